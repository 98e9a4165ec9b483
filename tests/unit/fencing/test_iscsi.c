/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_iscsi.c - devices over libiscsi, on real sockets, against an array that drops connections and answers
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "fencing/fence.h"
#include "node/util/util.h"
#include "tests/unit/fencing/fake_array.h"

enum { CLUSTER = 7 };
static const uint8_t isid[6] = { 0x80, 0x12, 0x34, 0x56, 0x10, 0x01 };

static struct array *array;
static struct fence_mailbox *mb;
static struct fence_outcome last;
static unsigned int n_done;

static uint64_t key(unsigned int node, uint32_t epoch)
{
	return fence_key_make(CLUSTER, node, epoch);
}

static int setup(void **state)
{
	(void)state;
	array = array_start();
	mb = fence_mailbox_new();
	n_done = 0;
	return mb ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fence_mailbox_free(mb);
	array_stop(array);
	return 0;
}

static struct fence_dev *open_as(const char *initiator, uint8_t last_byte, const char *userinfo)
{
	struct fence_dev_opts opts = { .initiator = initiator, .cmd_timeout_ms = 700 };
	struct fence_dev *dev;
	char err[FENCE_TEXT];

	memcpy(opts.isid, isid, 6);
	opts.isid[5] = last_byte;
	dev = fence_dev_open(mb, array_spec(array, userinfo), &opts, err);
	assert_non_null(dev);
	return dev;
}

static void done(void *arg, struct fence_dev *dev, const struct fence_request *req, const struct fence_outcome *o)
{
	(void)arg;
	(void)dev;
	(void)req;
	last = *o;
	n_done++;
}

static uint64_t submit(struct fence_dev *dev, enum fence_op op, uint64_t k, uint64_t expect)
{
	return fence_submit(dev, &(struct fence_request){ .op = op, .key = k, .expect = expect }, done, NULL);
}

static void wait_done(unsigned int n)
{
	struct pollfd p = { .fd = fence_mailbox_fd(mb), .events = POLLIN };

	while (n_done < n) {
		assert_int_equal(poll(&p, 1, 60000), 1);
		fence_mailbox_dispatch(mb);
	}
}

static enum fence_verdict run(struct fence_dev *dev, enum fence_op op, uint64_t k, uint64_t expect)
{
	submit(dev, op, k, expect);
	wait_done(n_done + 1);
	return last.verdict;
}

static void take_over(void **state)
{
	struct fence_dev *a = open_as("iqn.a", 1, ""), *b = open_as("iqn.b", 1, "");
	struct lun_model lun;
	struct array_seen seen;

	(void)state;
	assert_int_equal(run(a, FENCE_OP_TAKE, key(1, 1), 0), FENCE_OK);
	assert_int_equal(run(b, FENCE_OP_TAKE, key(2, 2), key(1, 1)), FENCE_OK);
	assert_int_equal(run(a, FENCE_OP_BUMP, key(1, 2), key(1, 1)), FENCE_LOST);
	array_look(array, &seen, &lun);
	assert_int_equal(lun_holder_key(&lun), key(2, 2));
	assert_int_equal(seen.logins, 2);  /* sessions stay warm between operations */
}

/* libiscsi's own reconnect would make another ISID: another nexus, without our registration. */
static void the_nexus_stays_the_same(void **state)
{
	struct fence_dev *a = open_as("iqn.a", 1, "");
	struct array_seen seen;

	(void)state;
	assert_int_equal(run(a, FENCE_OP_TAKE, key(1, 1), 0), FENCE_OK);
	array_drop_all(array);
	assert_int_equal(run(a, FENCE_OP_BUMP, key(1, 2), key(1, 1)), FENCE_OK);
	array_look(array, &seen, NULL);
	assert_true(seen.logins >= 2);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(seen.initiator[i], "iqn.a");
		assert_memory_equal(seen.isid[i], isid, 6);
	}
}

/*
 * The claim's answer is lost: whether it took effect or not is read back, and it is sent again only if not. (libiscsi
 * would send it again by itself: the count says that it does not.)
 */
static void lost_claim(void **state)
{
	static const struct { enum array_fault fault; unsigned int sent; } t[] = {
		{ ARRAY_CLOSE_BEFORE, 2 }, { ARRAY_CLOSE_AFTER, 1 }, { ARRAY_SILENT, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct fence_dev *a, *b;
		struct array_seen seen;
		struct lun_model lun;

		if (i)
			(void)setup(state);
		a = open_as("iqn.a", 1, "");
		b = open_as("iqn.b", 1, "");
		assert_int_equal(run(a, FENCE_OP_TAKE, key(1, 1), 0), FENCE_OK);
		array_fault(array, FENCE_CMD_PREEMPT_AND_ABORT, t[i].fault);
		assert_int_equal(run(b, FENCE_OP_TAKE, key(2, 2), key(1, 1)), FENCE_OK);
		array_look(array, &seen, &lun);
		assert_int_equal(seen.sent[FENCE_CMD_PREEMPT_AND_ABORT], t[i].sent);
		assert_int_equal(lun_holder_key(&lun), key(2, 2));
		if (i + 1 < ARRAY_SIZE(t))
			(void)teardown(state);
	}
}

static void lost_bump(void **state)
{
	struct fence_dev *a = open_as("iqn.a", 1, "");
	struct array_seen seen;

	(void)state;
	assert_int_equal(run(a, FENCE_OP_TAKE, key(1, 1), 0), FENCE_OK);
	array_fault(array, FENCE_CMD_REGISTER, ARRAY_CLOSE_AFTER);
	assert_int_equal(run(a, FENCE_OP_BUMP, key(1, 2), key(1, 1)), FENCE_OK);
	array_look(array, &seen, NULL);
	assert_int_equal(seen.sent[FENCE_CMD_REGISTER], 1);
	array_fault(array, FENCE_CMD_REGISTER, ARRAY_CLOSE_BEFORE);
	assert_int_equal(run(a, FENCE_OP_BUMP, key(1, 3), key(1, 2)), FENCE_OK);
	array_look(array, &seen, NULL);
	assert_int_equal(seen.sent[FENCE_CMD_REGISTER], 3);
}

/* A unit attention is for the machine to see, not for a login to swallow. */
static void unit_attention_after_login(void **state)
{
	struct fence_dev *a = open_as("iqn.a", 1, "");
	struct array_seen seen;

	(void)state;
	assert_int_equal(run(a, FENCE_OP_TAKE, key(1, 1), 0), FENCE_OK);
	array_power_loss(array);
	array_drop_all(array);
	assert_true(array_wait(array, 2, false));
	assert_int_equal(run(a, FENCE_OP_BUMP, key(1, 2), key(1, 1)), FENCE_OK);
	array_look(array, &seen, NULL);
	assert_int_equal(seen.sent[FENCE_CMD_REGISTER], 2);  /* the first met the unit attention */
}

static void idle_loss_is_repaired_in_the_background(void **state)
{
	char text[FENCE_TEXT];
	struct fence_dev *a = open_as("iqn.a", 1, "");

	(void)state;
	assert_true(array_wait(array, 1, false));
	array_drop_all(array);
	assert_true(array_wait(array, 2, false));
	assert_int_equal(run(a, FENCE_OP_READ, 0, 0), FENCE_OK);
	assert_int_equal(fence_dev_link(a, text), FENCE_LINK_UP);
}

/* Two LUNs of one target need two ISIDs; then both sessions live. */
static void two_nexuses_to_one_target(void **state)
{
	struct fence_dev *a = open_as("iqn.a", 1, ""), *b = open_as("iqn.a", 2, "");
	struct array_seen seen;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(run(a, FENCE_OP_READ, 0, 0), FENCE_OK);
		assert_int_equal(run(b, FENCE_OP_READ, 0, 0), FENCE_OK);
	}
	array_look(array, &seen, NULL);
	assert_int_equal(seen.logins, 2);
}

static void login_refused(void **state)
{
	struct fence_dev *a;
	char text[FENCE_TEXT];
	uint64_t ticket;

	(void)state;
	array_set_login(array, ARRAY_REFUSE);
	a = open_as("iqn.a", 1, "");
	ticket = submit(a, FENCE_OP_READ, 0, 0);
	do
		(void)fence_dev_link(a, text);
	while (!strstr(text, "log in"));
	assert_int_equal(fence_dev_link(a, text), FENCE_LINK_DOWN);
	assert_non_null(strstr(text, "127.0.0.1"));
	fence_cancel(a, ticket);
	wait_done(1);
	assert_int_equal(last.why, FENCE_WHY_CANCELED);
	assert_false(last.touched);
	array_set_login(array, ARRAY_ADMIT);
	assert_int_equal(run(a, FENCE_OP_READ, 0, 0), FENCE_OK);
}

/* A target that holds a login back must not hold us. */
static void cancel_while_the_login_is_held(void **state)
{
	struct fence_dev *a;
	uint64_t ticket;

	(void)state;
	array_set_login(array, ARRAY_PARK);
	a = open_as("iqn.a", 1, "");
	ticket = submit(a, FENCE_OP_READ, 0, 0);
	assert_true(array_wait(array, 1, true));
	fence_cancel(a, ticket);
	wait_done(1);
	assert_int_equal(last.why, FENCE_WHY_CANCELED);
}

static void chap(void **state)
{
	struct fence_dev *a, *wrong;
	char text[FENCE_TEXT];

	(void)state;
	array_set_login(array, ARRAY_CHAP);
	a = open_as("iqn.a", 1, "hv%secret-of-hv@");
	assert_int_equal(run(a, FENCE_OP_READ, 0, 0), FENCE_OK);
	wrong = open_as("iqn.b", 1, "hv%another-secret@");
	do
		(void)fence_dev_link(wrong, text);
	while (!strstr(text, "log in"));
	assert_null(strstr(text, "another-secret"));
}

static void redirected(void **state)
{
	struct array *other = array_start();
	struct fence_dev *a;
	struct array_seen seen;

	(void)state;
	array_moved_to(array, other);
	a = open_as("iqn.a", 1, "");
	assert_int_equal(run(a, FENCE_OP_READ, 0, 0), FENCE_OK);
	array_look(other, &seen, NULL);
	assert_int_equal(seen.logins, 1);
	assert_memory_equal(seen.isid[0], isid, 6);
	array_stop(other);
}

/* A session that a child of clusterd inherits would outlive clusterd. */
static void sockets_are_not_inherited(void **state)
{
	struct fence_dev *a = open_as("iqn.a", 1, "");
	unsigned int sockets = 0;

	(void)state;
	assert_int_equal(run(a, FENCE_OP_READ, 0, 0), FENCE_OK);
	for (int fd = 3; fd < 256; fd++) {
		int type;
		socklen_t len = sizeof(type);

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
			continue;
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		sockets++;
	}
	assert_true(sockets >= 3);  /* listener and both ends */
}

#define iscsi_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		iscsi_test(take_over),
		iscsi_test(the_nexus_stays_the_same),
		iscsi_test(lost_claim),
		iscsi_test(lost_bump),
		iscsi_test(unit_attention_after_login),
		iscsi_test(idle_loss_is_repaired_in_the_background),
		iscsi_test(two_nexuses_to_one_target),
		iscsi_test(login_refused),
		iscsi_test(cancel_while_the_login_is_held),
		iscsi_test(chap),
		iscsi_test(redirected),
		iscsi_test(sockets_are_not_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
