/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_member.c - a target process under the direction of clusterd, which is this test
 *
 * The process, the array behind it and the initiator are real. docs/architecture.md, "The target process".
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/util/wire.h"
#include "tests/unit/node/clusterd.h"

#define OWN array_key(1, 1)

static struct clusterd c;
static struct client cl;

static int up(void **state)
{
	(void)state;
	memset(&cl, 0, sizeof(cl));
	clusterd_up(&c);
	return 0;
}

static int down(void **state)
{
	(void)state;
	client_close(&cl);
	clusterd_down(&c);
	return 0;
}

static Lunward__FromTarget *wait_for(Lunward__FromTarget__MsgCase what)
{
	return clusterd_wait(&c, what, &cl);
}

static void done_with(Lunward__FromTarget *m)
{
	lunward__from_target__free_unpacked(m, NULL);
}

static void wait_done(void)
{
	for (int i = 0; !cl.done && i < 2000; i++)
		serve(&c, &cl, 10);
	assert_true(cl.done);
}

/* The group is ours, on the LUN and here; an initiator is in, its unit attentions are taken. */
static void serving(void)
{
	clusterd_configure(&c);
	assert_int_equal(array_fence(&c.array, 1, FENCE_OP_TAKE, OWN, 0), FENCE_OK);
	clusterd_activate(&c, OWN);
	clusterd_commit_all(&c, NULL);
	client_login(&cl, &c, 1);
	while (!cl.logged_in) {
		serve(&c, &cl, 10);
		if (clusterd_has(&c, LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE))
			clusterd_commit(&c, true, &cl);
	}
	do {
		client_command(&cl, (const uint8_t[6]){ 0 }, 6, NULL, 0, 0);
		wait_done();
	} while (cl.status);
	clusterd_commit_all(&c, &cl);
}

static void write_block(void)
{
	static const uint8_t block[512] = { 0xab }, cdb[16] = { [0] = 0x8a, [13] = 1 };

	client_command(&cl, cdb, 16, block, sizeof(block), 0);
}

static void send_deactivate(bool drain, uint32_t ms)
{
	Lunward__Deactivate d = LUNWARD__DEACTIVATE__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;

	m.msg_case = LUNWARD__TO_TARGET__MSG_DEACTIVATE;
	m.deactivate = &d;
	d.drain = drain;
	d.timeout_ms = ms;
	clusterd_send(&c, &m);
}

static Lunward__FromTarget *query(void)
{
	Lunward__QueryTarget q = LUNWARD__QUERY_TARGET__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;
	Lunward__FromTarget *r;

	m.msg_case = LUNWARD__TO_TARGET__MSG_QUERY;
	m.query = &q;
	q.cookie = 77;
	clusterd_send(&c, &m);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_REPORT);
	assert_int_equal(r->report->cookie, 77);
	return r;
}

/* ---- hello, configuration, report ---- */

static void refuse_configuration(const char *yaml, const char *says)
{
	Lunward__Configure conf = LUNWARD__CONFIGURE__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;
	Lunward__FromTarget *r;

	m.msg_case = LUNWARD__TO_TARGET__MSG_CONFIGURE;
	m.configure = &conf;
	conf.version = 9;
	conf.yaml = (char *)yaml;
	clusterd_send(&c, &m);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_CONFIGURED);
	assert_int_equal(r->configured->version, 9);
	if (!strstr(r->configured->error, says))
		fail_msg("it says: %s", r->configured->error);
	done_with(r);
}

static void test_hello_and_configuration(void **state)
{
	Lunward__FromTarget *m = wait_for(LUNWARD__FROM_TARGET__MSG_HELLO);
	char *other = clusterd_yaml(&c, "somebody-else");

	(void)state;
	assert_string_equal(m->hello->group, GROUP);
	assert_int_equal(m->hello->pid, c.pid);
	assert_int_equal(m->hello->state, LUNWARD__TARGET_STATE__TARGET_STANDBY);
	assert_int_equal(m->hello->key, 0);
	c.got[c.n_got++] = m;  /* clusterd_configure() wants it too */
	refuse_configuration("groups: [", "is not YAML");
	refuse_configuration(other, "does not have our group");
	free(other);
	clusterd_configure(&c);
	m = query();
	assert_int_equal(m->report->state, LUNWARD__TARGET_STATE__TARGET_STANDBY);
	assert_int_equal(m->report->n_luns, 1);
	assert_string_equal(m->report->luns[0]->state, "standby");
	assert_memory_equal(m->report->luns[0]->backing, "iscsi://", 8);
	done_with(m);
}

/* ---- activation ---- */

/* Nobody holds the LUN under this key: nothing is served. */
static void test_activate_without_the_reservation(void **state)
{
	Lunward__Activate a = LUNWARD__ACTIVATE__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;
	Lunward__FromTarget *r;

	(void)state;
	clusterd_configure(&c);
	m.msg_case = LUNWARD__TO_TARGET__MSG_ACTIVATE;
	m.activate = &a;
	a.key = OWN;
	clusterd_send(&c, &m);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_ACTIVATED);
	assert_true(r->activated->fenced);
	assert_int_equal(r->activated->key, OWN);
	done_with(r);
	done_with(wait_for(LUNWARD__FROM_TARGET__MSG_FENCED));
	r = query();
	assert_int_equal(r->report->state, LUNWARD__TARGET_STATE__TARGET_FENCED);
	done_with(r);
	/* it is told to drop, and can then be activated under a key that holds */
	send_deactivate(false, 0);
	done_with(wait_for(LUNWARD__FROM_TARGET__MSG_DEACTIVATED));
	assert_int_equal(array_fence(&c.array, 1, FENCE_OP_TAKE, array_key(1, 2), 0), FENCE_OK);
	clusterd_activate(&c, array_key(1, 2));
}

/* A login that comes early waits for the activation, then for its place in the record. */
static void test_early_login_is_held(void **state)
{
	Lunward__FromTarget *r;

	(void)state;
	clusterd_configure(&c);
	client_login(&cl, &c, 1);
	do {
		serve(&c, &cl, 10);
		r = query();
		assert_int_equal(r->report->n_sessions, 0);
	} while (!r->report->parked_logins && (done_with(r), true));
	done_with(r);
	assert_false(cl.logged_in);
	assert_int_equal(array_fence(&c.array, 1, FENCE_OP_TAKE, OWN, 0), FENCE_OK);
	clusterd_activate(&c, OWN);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE);
	while (!r->record_change->record->n_connections) {  /* the activation's own comes before it */
		c.got[c.n_got++] = r;
		clusterd_commit(&c, true, &cl);
		r = wait_for(LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE);
	}
	assert_string_equal(r->record_change->record->connections[0]->initiator, "iqn.2026-11.org.example:client");
	clusterd_round(&c, &cl);
	assert_false(cl.logged_in);
	c.got[c.n_got++] = r;
	clusterd_commit(&c, true, &cl);
	while (!cl.logged_in)
		serve(&c, &cl, 10);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_FIRST_IO);
	assert_true(r->first_io->login);
	done_with(r);
}

/* ---- commits ---- */

static const uint8_t register_cdb[10] = { [0] = 0x5f, [1] = 0, [8] = 24 };
static const uint8_t register_out[24] = { [15] = 0x42 };
static const uint8_t read_keys_cdb[10] = { [0] = 0x5e, [8] = 64 };

/* A reservation command is answered only when it is on record; refused, nothing has changed. */
static void test_commit_before_the_answer(void **state)
{
	Lunward__FromTarget *r;

	(void)state;
	serving();
	client_command(&cl, register_cdb, 10, register_out, 24, 0);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE);
	assert_int_equal(r->record_change->record->n_lus, 1);
	assert_int_equal(r->record_change->record->lus[0]->registrations[0]->key, 0x42);
	clusterd_round(&c, &cl);
	assert_false(cl.done);
	c.got[c.n_got++] = r;
	clusterd_commit(&c, false, &cl);
	wait_done();
	assert_int_equal(cl.status, SCSI_STATUS_CHECK_CONDITION);
	assert_int_equal(cl.key, 5);
	assert_int_equal(cl.asc_ascq, 0x5504);
	client_command(&cl, read_keys_cdb, 10, NULL, 0, 64);
	wait_done();
	assert_int_equal(get_be32(cl.in + 4), 0);
	client_command(&cl, register_cdb, 10, register_out, 24, 0);
	clusterd_commit(&c, true, &cl);
	wait_done();
	assert_int_equal(cl.status, SCSI_STATUS_GOOD);
	client_command(&cl, read_keys_cdb, 10, NULL, 0, 64);
	wait_done();
	assert_int_equal(get_be64(cl.in + 8), 0x42);
}

/* A login whose record is refused waits and is tried again: it is never answered with an error. */
static void test_refused_login_is_tried_again(void **state)
{
	struct client second;

	(void)state;
	serving();
	client_login(&second, &c, 2);
	clusterd_commit(&c, false, &second);
	clusterd_commit(&c, false, &second);
	assert_false(second.logged_in || second.broken);
	while (!second.logged_in) {
		serve(&c, &second, 10);
		if (clusterd_has(&c, LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE))
			clusterd_commit(&c, true, &second);
	}
	client_close(&second);
	clusterd_commit_all(&c, &cl);
}

/* clusterd dies with a commit in flight: I/O goes on, the commit waits and goes out again to the next one. */
static void test_clusterd_restarts(void **state)
{
	Lunward__FromTarget *r;
	uint64_t ticket;

	(void)state;
	serving();
	client_command(&cl, register_cdb, 10, register_out, 24, 0);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE);
	ticket = r->record_change->ticket;
	done_with(r);
	clusterd_socket(&c, false);
	clusterd_socket(&c, true);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_HELLO);
	assert_int_equal(r->hello->state, LUNWARD__TARGET_STATE__TARGET_ACTIVE);
	assert_int_equal(r->hello->key, OWN);
	assert_int_equal(r->hello->config_version, 1);
	assert_int_equal(r->hello->pid, c.pid);
	done_with(r);
	assert_false(cl.done);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE);
	assert_int_equal(r->record_change->ticket, ticket);
	c.got[c.n_got++] = r;
	clusterd_commit(&c, true, &cl);
	wait_done();
	assert_int_equal(cl.status, SCSI_STATUS_GOOD);
}

/* ---- keys ---- */

static void send_rekey(uint64_t old_key, uint64_t new_key)
{
	Lunward__Rekey k = LUNWARD__REKEY__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;

	m.msg_case = LUNWARD__TO_TARGET__MSG_REKEY;
	m.rekey = &k;
	k.old_key = old_key;
	k.new_key = new_key;
	clusterd_send(&c, &m);
}

static void test_rekey(void **state)
{
	uint64_t next = array_key(1, 2);
	Lunward__FromTarget *r;

	(void)state;
	serving();
	assert_int_equal(array_fence(&c.array, 1, FENCE_OP_BUMP, next, OWN), FENCE_OK);
	send_rekey(OWN, next);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_REKEYED);
	assert_true(r->rekeyed->ok);
	assert_int_equal(r->rekeyed->key, next);
	done_with(r);
	write_block();
	wait_done();
	assert_int_equal(cl.status, SCSI_STATUS_GOOD);
}

/* The LUN is somebody else's: the first I/O that learns it ends everything, without an answer and without a FIN. */
static void test_fenced(void **state)
{
	Lunward__FromTarget *r;

	(void)state;
	serving();
	assert_int_equal(array_fence(&c.array, 2, FENCE_OP_TAKE, array_key(2, 2), OWN), FENCE_OK);
	write_block();
	r = wait_for(LUNWARD__FROM_TARGET__MSG_FENCED);
	assert_int_equal(r->fenced->key, OWN);
	assert_non_null(strstr(r->fenced->lun, TARGET_IQN "/0"));
	done_with(r);
	send_deactivate(false, 0);
	done_with(wait_for(LUNWARD__FROM_TARGET__MSG_DEACTIVATED));
	assert_false(cl.done);
	if (geteuid() == 0)
		assert_false(client_peer_closed(&cl));
	r = query();
	assert_int_equal(r->report->state, LUNWARD__TARGET_STATE__TARGET_STANDBY);
	assert_int_equal(r->report->n_sessions, 0);
	done_with(r);
}

/* ---- giving up ---- */

/* Planned move: what was asked for is answered, goodbye is said; sockets stay until the address is gone, then silence. */
static void test_drain_then_silence(void **state)
{
	struct client late;
	Lunward__FromTarget *r;
	uint8_t pdu[64];
	ssize_t n;
	int fd;

	(void)state;
	serving();
	array_signal(&c.array, SIGSTOP);
	write_block();
	while (iscsi_out_queue_length(cl.ctx))
		serve(&c, &cl, 10);
	do {  /* the command is with the disk */
		r = query();
	} while (!r->report->sessions[0]->in_flight && (done_with(r), true));
	done_with(r);
	send_deactivate(true, 10000);
	clusterd_round(&c, &cl);
	client_login(&late, &c, 2);
	while (iscsi_out_queue_length(late.ctx) || !late.connected)
		serve(&c, &late, 10);
	assert_false(late.broken);
	assert_false(clusterd_has(&c, LUNWARD__FROM_TARGET__MSG_DEACTIVATED));
	array_signal(&c.array, SIGCONT);
	fd = iscsi_get_fd(cl.ctx);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);  /* from here on we read it ourselves */
	do {
		n = recv(fd, pdu, 48, MSG_WAITALL);  /* the answer, then the Async Message: RFC 7143 11.9 */
		assert_int_equal(n, 48);
		if (pdu[0] == 0x21)
			assert_int_equal(pdu[3], 0);
	} while (pdu[0] != 0x32);
	assert_int_equal(pdu[36], 2);
	assert_int_equal(get_be16(pdu + 40), 0);
	r = wait_for(LUNWARD__FROM_TARGET__MSG_DEACTIVATED);
	assert_int_equal(r->deactivated->drained, 1);
	done_with(r);
	assert_false(client_peer_closed(&cl));
	assert_true(client_peer_closed(&late));  /* who came too late may come again: reset while the address is there */
	client_close(&late);
	send_deactivate(false, 0);
	done_with(wait_for(LUNWARD__FROM_TARGET__MSG_DEACTIVATED));
	if (geteuid() == 0)
		assert_false(client_peer_closed(&cl));
	assert_int_equal(array_fence(&c.array, 2, FENCE_OP_TAKE, array_key(2, 2), OWN), FENCE_OK);
}

/* A WRITE(16) of one block with immediate data, of which @n bytes follow the header; the next in order after that answer. */
static void send_half_a_write(int fd, const uint8_t *answer, size_t n)
{
	uint8_t pdu[48 + 512] = { [0] = 0x01, [1] = 0xa1, [6] = 2, [32] = 0x8a, [45] = 1 };

	put_be32(pdu + 16, 0x0badcafe);
	put_be32(pdu + 20, 512);
	put_be32(pdu + 24, get_be32(answer + 28));      /* CmdSN: its ExpCmdSN */
	put_be32(pdu + 28, get_be32(answer + 24) + 1);  /* ExpStatSN */
	assert_int_equal(send(fd, pdu, 48 + n, 0), 48 + n);
}

/* A command whose data is half received when reading stops cannot end, and is not waited for. */
static void test_drain_half_a_command(void **state)
{
	Lunward__FromTarget *r;
	uint8_t pdu[48];
	int fd;

	(void)state;
	serving();
	client_command(&cl, (const uint8_t[6]){ 0 }, 6, NULL, 0, 0);
	while (iscsi_out_queue_length(cl.ctx))
		assert_int_equal(iscsi_service(cl.ctx, POLLOUT), 0);
	fd = iscsi_get_fd(cl.ctx);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(recv(fd, pdu, 48, MSG_WAITALL), 48);
	send_half_a_write(fd, pdu, 100);
	do {
		r = query();
	} while (!r->report->sessions[0]->in_flight && (done_with(r), true));
	done_with(r);
	send_deactivate(true, 600000);
	r = clusterd_wait(&c, LUNWARD__FROM_TARGET__MSG_DEACTIVATED, NULL);
	assert_int_equal(r->deactivated->drained, 1);
	done_with(r);
	assert_int_equal(recv(fd, pdu, 48, MSG_WAITALL), 48);
	assert_int_equal(pdu[0], 0x32);  /* goodbye, and no answer before it */
	send_deactivate(false, 0);
	done_with(clusterd_wait(&c, LUNWARD__FROM_TARGET__MSG_DEACTIVATED, NULL));
}

/* A command that does not end in time is left unanswered, for the initiator to repeat elsewhere. */
static void test_drain_timeout(void **state)
{
	(void)state;
	serving();
	array_signal(&c.array, SIGSTOP);
	write_block();
	while (iscsi_out_queue_length(cl.ctx))
		serve(&c, &cl, 10);
	send_deactivate(true, 200);
	done_with(wait_for(LUNWARD__FROM_TARGET__MSG_DEACTIVATED));
	send_deactivate(false, 0);
	done_with(wait_for(LUNWARD__FROM_TARGET__MSG_DEACTIVATED));
	array_signal(&c.array, SIGCONT);
	assert_false(cl.done);
}

/* Back to serving, after a drain and a drop, under the same key. */
static void test_activate_again(void **state)
{
	(void)state;
	serving();
	send_deactivate(true, 1000);
	done_with(clusterd_wait(&c, LUNWARD__FROM_TARGET__MSG_DEACTIVATED, NULL));
	send_deactivate(false, 0);
	done_with(clusterd_wait(&c, LUNWARD__FROM_TARGET__MSG_DEACTIVATED, NULL));
	client_close(&cl);
	clusterd_activate(&c, OWN);
	client_login(&cl, &c, 1);
	while (!cl.logged_in) {
		serve(&c, &cl, 10);
		if (clusterd_has(&c, LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE))
			clusterd_commit(&c, true, &cl);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hello_and_configuration, up, down),
		cmocka_unit_test_setup_teardown(test_activate_without_the_reservation, up, down),
		cmocka_unit_test_setup_teardown(test_early_login_is_held, up, down),
		cmocka_unit_test_setup_teardown(test_commit_before_the_answer, up, down),
		cmocka_unit_test_setup_teardown(test_refused_login_is_tried_again, up, down),
		cmocka_unit_test_setup_teardown(test_clusterd_restarts, up, down),
		cmocka_unit_test_setup_teardown(test_rekey, up, down),
		cmocka_unit_test_setup_teardown(test_fenced, up, down),
		cmocka_unit_test_setup_teardown(test_drain_then_silence, up, down),
		cmocka_unit_test_setup_teardown(test_drain_half_a_command, up, down),
		cmocka_unit_test_setup_teardown(test_drain_timeout, up, down),
		cmocka_unit_test_setup_teardown(test_activate_again, up, down),
	};

	if (!clusterd_network()) {
		fprintf(stderr, "no network namespace of our own: skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
