/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_device.c - devices and their mailbox: order, cancel, close, time limits, several in parallel
 *
 * The transport is a fake on the model device, whose commands wait at a gate until the test lets them through: nothing
 * here depends on how fast anything is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>

#include "fencing/transport.h"
#include "node/util/util.h"
#include "tests/unit/fencing/lun_model.h"

#define DEVICES 3
enum { CLUSTER = 7 };

struct fake {
	struct fence_transport t;
	struct lun_model lun;
	int gate;            /* eventfd semaphore: one unit lets one command through */
	sem_t arrived;       /* posted when a command is at the gate */
	bool gated, up, refuse;
	sem_t *closed;
};

static struct fence_mailbox *mb;
static struct fence_dev *dev[DEVICES];
static struct fake *fake[DEVICES];
static sem_t closed;
static struct fence_outcome last;
static unsigned int n_done;
static char order[64];

static uint64_t key(unsigned int node, uint32_t epoch)
{
	return fence_key_make(CLUSTER, node, epoch);
}

static bool fake_up(const struct fence_transport *t)
{
	return container_of(t, const struct fake, t)->up;
}

static bool fake_connect(struct fence_transport *t, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	struct fake *f = container_of(t, struct fake, t);

	(void)w;
	f->up = !__atomic_load_n(&f->refuse, __ATOMIC_SEQ_CST);
	if (!f->up)
		snprintf(ret_err, FENCE_TEXT, "connection refused");
	return f->up;
}

static void fake_exec(struct fence_transport *t, struct fence_scsi *s, const struct fence_wait *w)
{
	struct fake *f = container_of(t, struct fake, t);
	static _Thread_local struct fence_result res;
	struct fence_cmd cmd;
	uint64_t one;

	if (__atomic_load_n(&f->gated, __ATOMIC_SEQ_CST)) {
		sem_post(&f->arrived);
		if (fence_poll(f->gate, POLLIN, w->deadline_ms, w) <= 0) {
			s->delivery = FENCE_NO_ANSWER;
			snprintf(s->text, sizeof(s->text), "gate closed");
			return;
		}
		if (read(f->gate, &one, sizeof(one)) < 0)
			abort();
	}
	if (fence_cmd_decode(&cmd, s->cdb, s->cdb_len, s->data, s->data_len) < 0)
		abort();
	lun_exec(&f->lun, 0, &cmd, &res);
	s->delivery = FENCE_ANSWERED;
	s->status = res.scsi_status;
	s->received = s->out ? 0 : fence_result_encode(&res, s->data, s->data_len);
}

static bool fake_idle(struct fence_transport *t, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	(void)t;
	(void)ret_err;
	(void)fence_poll(-1, 0, w->deadline_ms, w);
	return true;
}

static void fake_close(struct fence_transport *t)
{
	struct fake *f = container_of(t, struct fake, t);

	sem_post(f->closed);
	close(f->gate);
	sem_destroy(&f->arrived);
	free(f);
}

static const struct fence_transport_ops fake_ops = {
	.up = fake_up, .connect = fake_connect, .exec = fake_exec, .idle = fake_idle, .close = fake_close,
};

static struct fake *new_fake(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->t.ops = &fake_ops;
	f->gate = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	f->closed = &closed;
	sem_init(&f->arrived, 0, 0);
	lun_init(&f->lun);
	return f;
}

static void open_devices(unsigned int op_timeout_ms)
{
	struct fence_dev_opts opts = { .initiator = "iqn.x", .op_timeout_ms = op_timeout_ms };
	char err[FENCE_TEXT];

	mb = fence_mailbox_new();
	assert_non_null(mb);
	sem_init(&closed, 0, 0);
	n_done = 0;
	order[0] = '\0';
	for (int i = 0; i < DEVICES; i++) {
		fake[i] = new_fake();
		dev[i] = fence_dev_open_on(mb, &fake[i]->t, "iscsi://user%secret@h/iqn.t/1", &opts, err);
		assert_non_null(dev[i]);
	}
}

static int setup(void **state)
{
	(void)state;
	open_devices(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fence_mailbox_free(mb);
	for (int i = 0; i < DEVICES; i++)
		assert_int_equal(sem_trywait(&closed), 0);
	sem_destroy(&closed);
	return 0;
}

static void done(void *arg, struct fence_dev *d, const struct fence_request *req, const struct fence_outcome *o)
{
	(void)d;
	(void)req;
	last = *o;
	n_done++;
	strncat(order, arg ? (const char *)arg : "?", sizeof(order) - strlen(order) - 1);
}

static void wait_done(unsigned int n)
{
	struct pollfd p = { .fd = fence_mailbox_fd(mb), .events = POLLIN };

	while (n_done < n) {
		assert_int_equal(poll(&p, 1, 60000), 1);
		fence_mailbox_dispatch(mb);
	}
}

static void gate(int i, bool shut)
{
	__atomic_store_n(&fake[i]->gated, shut, __ATOMIC_SEQ_CST);
}

static void let_through(int i, uint64_t n)
{
	assert_int_equal(write(fake[i]->gate, &n, sizeof(n)), sizeof(n));
}

static const struct fence_request read_req = { .op = FENCE_OP_READ };

static void an_operation_and_its_callback(void **state)
{
	struct fence_request req = { .op = FENCE_OP_TAKE, .key = key(1, 1) };

	(void)state;
	assert_true(fence_submit(dev[0], &req, done, "a") != 0);
	assert_int_equal(n_done, 0);  /* never out of submit */
	wait_done(1);
	assert_int_equal(last.verdict, FENCE_OK);
	assert_int_equal(last.view.holder, key(1, 1));
	assert_int_equal(fake[0]->lun.holder, 0);
}

static void operations_run_in_order(void **state)
{
	struct fence_request take = { .op = FENCE_OP_TAKE, .key = key(1, 1) };
	struct fence_request bump = { .op = FENCE_OP_BUMP, .key = key(1, 2), .expect = key(1, 1) };

	(void)state;
	fence_submit(dev[0], &take, done, "a");
	fence_submit(dev[0], &bump, done, "b");
	fence_submit(dev[0], &read_req, done, "c");
	wait_done(3);
	assert_string_equal(order, "abc");
	assert_int_equal(last.view.holder, key(1, 2));
}

/* One device that does not answer does not hold the others up. */
static void devices_are_independent(void **state)
{
	(void)state;
	gate(0, true);
	fence_submit(dev[0], &read_req, done, "0");
	sem_wait(&fake[0]->arrived);
	fence_submit(dev[1], &read_req, done, "1");
	fence_submit(dev[2], &read_req, done, "2");
	wait_done(2);
	assert_null(strchr(order, '0'));
	gate(0, false);
	let_through(0, 1);
	wait_done(3);
	assert_int_equal(last.verdict, FENCE_OK);
}

static void cancel_under_way(void **state)
{
	struct fence_request req = { .op = FENCE_OP_TAKE, .key = key(1, 1) };
	uint64_t ticket;

	(void)state;
	gate(0, true);
	ticket = fence_submit(dev[0], &req, done, "a");
	for (int i = 0; i < 3; i++) {  /* REPORT CAPABILITIES, READ KEYS, READ RESERVATION */
		sem_wait(&fake[0]->arrived);
		let_through(0, 1);
	}
	sem_wait(&fake[0]->arrived);   /* REGISTER: its outcome will be unknown */
	fence_cancel(dev[0], ticket);
	wait_done(1);
	assert_int_equal(last.verdict, FENCE_ERROR);
	assert_int_equal(last.why, FENCE_WHY_CANCELED);
	assert_true(last.touched);
	gate(0, false);
	fence_submit(dev[0], &read_req, done, "b");
	wait_done(2);
	assert_int_equal(last.verdict, FENCE_OK);
}

static void cancel_in_the_queue(void **state)
{
	uint64_t ticket;

	(void)state;
	gate(0, true);
	fence_submit(dev[0], &read_req, done, "a");
	sem_wait(&fake[0]->arrived);
	ticket = fence_submit(dev[0], &read_req, done, "b");
	fence_cancel(dev[0], ticket);
	assert_int_equal(n_done, 0);
	wait_done(1);
	assert_string_equal(order, "b");
	assert_int_equal(last.why, FENCE_WHY_CANCELED);
	assert_false(last.touched);
	fence_cancel(dev[0], 4711);    /* unknown: nothing */
	gate(0, false);
	let_through(0, 1);
	wait_done(2);
	assert_int_equal(last.verdict, FENCE_OK);
}

static void an_operation_that_takes_too_long(void **state)
{
	(void)state;
	fence_mailbox_free(mb);
	sem_destroy(&closed);
	open_devices(1);
	gate(0, true);
	fence_submit(dev[0], &read_req, done, "a");
	wait_done(1);
	assert_int_equal(last.verdict, FENCE_ERROR);
	assert_int_equal(last.why, FENCE_WHY_TIMEOUT);
	assert_non_null(strstr(last.text, "read took longer than 1 ms"));
	gate(0, false);
}

static void a_device_that_cannot_be_reached(void **state)
{
	char text[FENCE_TEXT] = "";
	struct fence_dev *d;
	struct fake *f = new_fake();
	struct fence_dev_opts opts = { .initiator = "iqn.x", .op_timeout_ms = 300 };

	(void)state;
	f->refuse = true;
	d = fence_dev_open_on(mb, &f->t, "iscsi://user%secret@h/iqn.t/1", &opts, text);
	fence_submit(d, &read_req, done, "a");
	wait_done(1);
	assert_int_equal(last.verdict, FENCE_ERROR);
	assert_non_null(strstr(last.text, "connection refused"));
	assert_int_equal(fence_dev_link(d, text), FENCE_LINK_DOWN);
	assert_non_null(strstr(text, "connection refused"));
	__atomic_store_n(&f->refuse, false, __ATOMIC_SEQ_CST);
	fence_submit(d, &read_req, done, "b");
	wait_done(2);
	assert_int_equal(last.verdict, FENCE_OK);
	assert_int_equal(fence_dev_link(d, text), FENCE_LINK_UP);
	fence_dev_close(d);
	sem_wait(&closed);
}

/* Nothing goes to a device through which a dead process still has I/O in flight: a request holds its descriptor, and its lock. */
static void a_take_waits_for_silence(void **state)
{
	struct fence_request take = { .op = FENCE_OP_TAKE, .key = key(1, 1) };
	struct fence_dev_opts opts = { .initiator = "iqn.x", .op_timeout_ms = 100 };
	char path[] = "/tmp/lunward-test-quiet.XXXXXX", err[FENCE_TEXT];
	int process = mkstemp(path), in_flight;
	struct fake *f = new_fake();
	struct fence_dev *d;

	(void)state;
	assert_int_equal(flock(process, LOCK_SH), 0);
	in_flight = dup(process);
	close(process);
	assert_true(fence_in_use(path));
	d = fence_dev_open_on(mb, &f->t, path, &opts, err);
	fence_submit(d, &take, done, "a");
	wait_done(1);
	assert_int_equal(last.verdict, FENCE_ERROR);
	assert_int_equal(last.commands, 0);
	assert_non_null(strstr(last.text, "still in flight"));
	fence_submit(d, &read_req, done, "b");  /* looking is allowed */
	wait_done(2);
	assert_int_equal(last.verdict, FENCE_OK);
	close(in_flight);
	assert_false(fence_in_use(path));
	fence_submit(d, &take, done, "c");
	wait_done(3);
	assert_int_equal(last.verdict, FENCE_OK);
	assert_int_equal(last.view.holder, key(1, 1));
	fence_dev_close(d);
	sem_wait(&closed);
	unlink(path);
	assert_false(fence_in_use(path));
	assert_false(fence_in_use("iscsi://h/iqn.t/1"));
}

static void close_drops_what_is_pending(void **state)
{
	(void)state;
	gate(0, true);
	fence_submit(dev[0], &read_req, done, "a");
	sem_wait(&fake[0]->arrived);
	fence_submit(dev[0], &read_req, done, "b");
	fence_dev_close(dev[0]);
	sem_wait(&closed);
	sem_post(&closed);
	fence_submit(dev[1], &read_req, done, "c");
	wait_done(1);
	fence_mailbox_dispatch(mb);
	assert_string_equal(order, "c");
}

static void close_own_device(void *arg, struct fence_dev *d, const struct fence_request *req,
			     const struct fence_outcome *o)
{
	done(arg, d, req, o);
	fence_dev_close(d);
}

static void close_out_of_a_callback(void **state)
{
	(void)state;
	fence_submit(dev[0], &read_req, close_own_device, "a");
	fence_submit(dev[0], &read_req, done, "b");
	wait_done(1);
	sem_wait(&closed);
	sem_post(&closed);
	fence_mailbox_dispatch(mb);
	assert_string_equal(order, "a");
}

static void secrets_do_not_show(void **state)
{
	(void)state;
	assert_string_equal(fence_dev_spec(dev[0]), "iscsi://h/iqn.t/1");
}

static void wrong_specs(void **state)
{
	static const char *const wrong[] = {
		"", "sda", "iscsi:/h/iqn.t/1", "iscsi://user%secret@h", "iscsi://h/iqn.t", "iscsi://h/iqn.t/x",
	};
	struct fence_dev_opts opts = { .initiator = "iqn.x" };
	char err[FENCE_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		err[0] = '\0';
		assert_null(fence_dev_open(mb, wrong[i], &opts, err));
		assert_non_null(strstr(err, "iscsi://"));
		assert_null(strstr(err, "secret@h"));
	}
	opts.initiator = NULL;
	assert_null(fence_dev_open(mb, "iscsi://h/iqn.t/1", &opts, err));
	assert_non_null(strstr(err, "initiator name"));
}

#define dev_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		dev_test(an_operation_and_its_callback),
		dev_test(operations_run_in_order),
		dev_test(devices_are_independent),
		dev_test(cancel_under_way),
		dev_test(cancel_in_the_queue),
		dev_test(an_operation_that_takes_too_long),
		dev_test(a_device_that_cannot_be_reached),
		dev_test(a_take_waits_for_silence),
		dev_test(close_drops_what_is_pending),
		dev_test(close_out_of_a_callback),
		dev_test(secrets_do_not_show),
		dev_test(wrong_specs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
