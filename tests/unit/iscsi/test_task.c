/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_task.c - who owns a task when: aborted, orphaned, released exactly once, and never while its memory is in use.
 * The address sanitizer is half of these tests: peer.c frees a task, and its buffer, in task_release().
 */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static struct peer *full(const char *keys)
{
	struct peer *p = peer_new();

	peer_full(p, keys ? keys : "InitialR2T=No\nFirstBurstLength=4096\nMaxBurstLength=8192\n");
	return p;
}

/* The server has it when the connection dies: orphaned; its end is its release */
static void orphan(void **state)
{
	struct peer *p = full(NULL);
	struct isc_task *t;

	(void)state;
	p->manual = true;
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	t = &p->task[0]->t;
	assert_int_equal(isc_conn_tasks(p->c), 1);
	peer_close(p);
	assert_null(t->conn);
	assert_int_equal(p->releases, 0);
	assert_false(isc_task_abort(t));
	isc_task_complete(t, 0, NULL, 0, NULL, 0);
	assert_int_equal(p->releases, 1);
	peer_free(p);
}

/* ... also if it only now wants its data: that will never come */
static void orphan_expects_data(void **state)
{
	struct peer *p = full(NULL);
	uint8_t buf[512], data[512] = { 0 };
	struct isc_task *t;

	(void)state;
	p->manual = true;
	peer_cmd(p, CDB_WRITE, CMD_WRITE, 512 + 10, 512 + 10, data, 512);  /* 512 in the stash */
	t = &p->task[0]->t;
	peer_close(p);
	isc_task_expect_data(t, buf, sizeof(buf));
	assert_int_equal(p->releases, 1);
	assert_int_equal(p->readies, 0);
	peer_free(p);
}

/* ... with its data complete, being executed */
static void orphan_after_data(void **state)
{
	struct peer *p = full(NULL);
	uint8_t data[512];
	struct isc_task *t;

	(void)state;
	p->rewait = true;
	pattern_fill(data, 0, sizeof(data));
	peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 512, 512, data, 512);
	assert_int_equal(p->readies, 1);
	t = &p->task[0]->t;
	peer_close(p);
	assert_int_equal(p->releases, 0);
	pattern_check(t->buf, 0, 512);
	isc_task_complete(t, 0, NULL, 0, NULL, 0);
	peer_free(p);
}

/* The library has it when the connection dies, at every stage: released at once */
static void dropped(void **state)
{
	struct peer *p;
	uint8_t data[512] = { 0 };
	struct reply r;
	struct iovec iov[8];

	(void)state;
	p = full(NULL);  /* waiting for unsolicited data */
	peer_cmd(p, CDB_WRITE, CMD_WRITE, 1024, 1024, data, 512);
	peer_close(p);
	assert_int_equal(p->releases, 1);
	peer_free(p);

	p = full(NULL);  /* waiting for an R2T's data */
	peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 1024, 1024, data, 512);
	peer_want(p, OP_R2T, &r);
	peer_close(p);
	assert_int_equal(p->releases, 1);
	peer_free(p);

	p = full(NULL);  /* held */
	p->cmdsn++;
	peer_cmd(p, CDB_WRITE, CMD_WRITE, 1024, 1024, data, 512);
	peer_close(p);
	assert_int_equal(p->releases, 1);
	peer_free(p);

	p = full(NULL);  /* answer queued */
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 50000, 50000, NULL, 0);
	peer_close(p);
	assert_int_equal(p->releases, 1);
	peer_free(p);

	p = full(NULL);  /* answer half sent */
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 50000, 50000, NULL, 0);
	assert_true(isc_tx_iov(p->c, iov, ARRAY_SIZE(iov)) > 0);
	isc_tx_done(p->c, 60);
	assert_int_equal(p->releases, 0);
	peer_close(p);
	assert_int_equal(p->releases, 1);
	peer_free(p);
}

/* A command in the middle of its own PDU */
static void dropped_mid_pdu(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN], data[512] = { 0 }, pdu[BHS_LEN + 512];

	(void)state;
	peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 512, 512);
	peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, BHS_LEN + 100);
	assert_int_equal(p->commands, 1);
	peer_close(p);
	assert_int_equal(p->releases, 1);
	peer_free(p);
}

/* Abort while the library collects data: gone at once, what still comes is ignored */
static void abort_collecting(void **state)
{
	struct peer *p = full(NULL);
	uint32_t itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 20000, 20000, NULL, 0), ttt;
	struct reply r;

	(void)state;
	assert_true(isc_task_abort(&p->task[0]->t));
	assert_int_equal(p->releases, 1);
	peer_data_out(p, itt, TAG_NONE, 0, 0, 4096, true);
	peer_want_nothing(p);

	itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 20000, 20000, NULL, 0);
	peer_want(p, OP_R2T, &r);
	ttt = pdu_ttt(r.h);
	assert_true(isc_task_abort(&p->task[1]->t));
	assert_int_equal(p->releases, 2);
	peer_data_out(p, itt, ttt, 0, 0, 4096, false);
	peer_data_out(p, itt, ttt, 1, 4096, 4096, true);
	peer_want_nothing(p);
	assert_int_equal(isc_conn_stats(p->c)->rejects, 0);
	assert_int_equal(isc_conn_stats(p->c)->ignored, 3);
	/* the window is whole again */
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN) - get_be32(r.h + O_EXP_CMDSN), PEER_WINDOW - 1);
	peer_free(p);
}

/* An R2T that was made but not sent yet keeps the task until it is gone */
static void abort_with_r2t_on_its_way(void **state)
{
	struct peer *p = full("MaxOutstandingR2T=8\nMaxBurstLength=1024\n");
	struct iovec iov[3];
	struct reply r;

	(void)state;
	p->tx_chunk = 1;
	peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 8192, 8192, NULL, 0);
	assert_int_equal(isc_tx_iov(p->c, iov, ARRAY_SIZE(iov)), 1);
	assert_true(isc_task_abort(&p->task[0]->t));
	assert_int_equal(p->releases, 0);
	peer_want(p, OP_R2T, &r);  /* promised bytes are sent */
	peer_want_nothing(p);      /* and no more */
	assert_int_equal(p->releases, 1);
	peer_free(p);
}

/* One that was only queued is not sent at all */
static void abort_with_r2t_queued(void **state)
{
	struct peer *p = full(NULL);

	(void)state;
	peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 8192, 8192, NULL, 0);
	assert_true(isc_task_abort(&p->task[0]->t));
	assert_int_equal(p->releases, 1);
	peer_want_nothing(p);
	peer_free(p);
}

/* A Data-Out being received keeps it, too */
static void abort_mid_data_out(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN], data[1000] = { 0 }, pdu[BHS_LEN + 1000];
	struct reply r;
	void *to;

	(void)state;
	peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 1000, 1000, NULL, 0);
	peer_want(p, OP_R2T, &r);
	peer_bhs(bhs, OP_DATA_OUT, PDU_FINAL, pdu_itt(r.h));
	bhs[O_LUN + 1] = 3;
	put_be32(bhs + O_TTT, pdu_ttt(r.h));
	peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, BHS_LEN);
	assert_int_equal(isc_rx_direct(p->c, &to), 1000);
	assert_true(isc_task_abort(&p->task[0]->t));
	assert_int_equal(p->releases, 0);
	memset(to, 1, 1000);
	isc_rx_direct_done(p->c, 1000);
	assert_int_equal(p->releases, 1);
	peer_want_nothing(p);
	peer_free(p);
}

/* Aborted in the middle of its PDU while the server has it, and answered there */
static void abort_server_mid_pdu(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN], data[400] = { 0 }, pdu[BHS_LEN + 400];

	(void)state;
	p->manual = true;
	peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 400, 400);
	peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, BHS_LEN + 100);
	assert_false(isc_task_abort(&p->task[0]->t));
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	assert_int_equal(p->releases, 0);
	peer_feed(p, pdu + BHS_LEN + 100, 300);
	assert_int_equal(p->releases, 1);
	peer_want_nothing(p);
	peer_free(p);
}

/* Abort while the answer is queued, and while it is half sent: made PDUs go out whole, the rest never */
static void abort_sending(void **state)
{
	struct peer *p = full("MaxRecvDataSegmentLength=8192\n");
	struct iovec iov[7];
	struct reply r;
	int n;

	(void)state;
	p->tx_chunk = 100;  /* slow, so that there is time to make more */
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 100000, 100000, NULL, 0);
	assert_true(isc_task_abort(&p->task[0]->t));
	assert_int_equal(p->releases, 1);
	peer_want_nothing(p);

	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 100000, 100000, NULL, 0);
	n = isc_tx_iov(p->c, iov, ARRAY_SIZE(iov));
	assert_true(n > 2);
	assert_true(isc_task_abort(&p->task[1]->t));
	assert_int_equal(p->releases, 1);
	for (int i = 0; i < n; i++)  /* the buffer is still there to be read */
		assert_int_equal(((uint8_t *)iov[i].iov_base)[0], ((uint8_t *)iov[i].iov_base)[0]);
	n = 0;
	while (peer_next(p, &r)) {
		assert_int_equal(r.h[O_OPCODE], OP_DATA_IN);
		assert_int_equal(r.h[O_FLAGS] & DATA_STATUS, 0);
		n++;
	}
	assert_true(n > 0 && n < 13);
	assert_int_equal(p->releases, 2);
	peer_free(p);
}

/* Abort while a recv into the task's buffer runs: released only when that is over */
static void abort_direct(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN], data[4096] = { 0 }, pdu[BHS_LEN + 4096];
	struct reply r;
	void *to;

	(void)state;
	peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 4096, 4096);
	peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, BHS_LEN);
	assert_int_equal(isc_rx_direct(p->c, &to), 4096);
	assert_true(isc_task_abort(&p->task[0]->t));
	assert_int_equal(p->releases, 0);
	memset(to, 1, 4096);
	assert_int_equal(isc_rx_direct_done(p->c, 4096), 0);
	assert_int_equal(p->releases, 1);
	assert_int_equal(p->readies, 0);
	peer_want_nothing(p);
	p->cmdsn = pdu_cmdsn(bhs) + 1;
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	peer_free(p);
}

/* An aborted task that the server has: every way it may end is silent */
static void abort_server(void **state)
{
	struct peer *p = full(NULL);
	uint8_t buf[100];

	(void)state;
	p->manual = true;
	for (int i = 0; i < 3; i++)
		peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 100, 100, NULL, 0);
	for (int i = 0; i < 3; i++) {
		assert_false(isc_task_abort(&p->task[i]->t));
		assert_false(isc_task_abort(&p->task[i]->t));  /* twice is as good as once */
	}
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	isc_task_expect_data(&p->task[1]->t, buf, sizeof(buf));
	assert_int_equal(p->releases, 2);
	peer_want_nothing(p);
	/* aborted, and then orphaned */
	struct isc_task *t = &p->task[2]->t;

	peer_close(p);
	isc_task_complete(t, 0, NULL, 0, NULL, 0);
	assert_int_equal(p->releases, 3);
	peer_free(p);
}

/* After ops->closing() nothing is answered any more */
static void complete_while_closing(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN];

	(void)state;
	p->manual = true;
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_bhs(bhs, OP_NOP_OUT, PDU_FINAL, 1);
	put_be24(bhs + O_DSL, 0xffffff);
	assert_int_equal(peer_feed(p, bhs, BHS_LEN), -1);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	assert_int_equal(p->releases, 1);
	peer_want_nothing(p);
	peer_free(p);
}

/* A status takes the task away only with its last byte */
static void released_with_last_byte(void **state)
{
	struct peer *p = full(NULL);
	struct iovec iov[4];
	uint32_t itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);

	(void)state;
	(void)itt;
	assert_int_equal(isc_tx_iov(p->c, iov, 4), 1);
	assert_int_equal(iov[0].iov_len, BHS_LEN);
	for (int i = 0; i < BHS_LEN; i++) {
		assert_int_equal(p->releases, 0);
		isc_tx_done(p->c, 1);
	}
	assert_int_equal(p->releases, 1);
	assert_false(isc_tx_pending(p->c));
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(orphan), cmocka_unit_test(orphan_expects_data), cmocka_unit_test(orphan_after_data),
		cmocka_unit_test(dropped), cmocka_unit_test(dropped_mid_pdu), cmocka_unit_test(abort_collecting),
		cmocka_unit_test(abort_with_r2t_on_its_way), cmocka_unit_test(abort_sending),
		cmocka_unit_test(abort_with_r2t_queued), cmocka_unit_test(abort_mid_data_out),
		cmocka_unit_test(abort_server_mid_pdu), cmocka_unit_test(abort_direct), cmocka_unit_test(abort_server),
		cmocka_unit_test(complete_while_closing), cmocka_unit_test(released_with_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
