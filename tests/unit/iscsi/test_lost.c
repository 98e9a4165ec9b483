/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_lost.c - error recovery level 2: lost connections, TASK REASSIGN (RFC 7143 6.3.4, 7.1.4.3, 7.2.2, 11.5, 11.14) */
#include "node/iscsi/recover.h"
#include "tests/unit/iscsi/peer.h"

enum { CID = 9, SEGMENT = 1024, BURST = 4096, BYTES = 10000 };

static struct peer *level(const char *erl, const char *keys)
{
	struct peer *p = peer_new();
	char all[512];

	p->cfg.max_erl = 2;
	snprintf(all, sizeof(all), "ErrorRecoveryLevel=%s\nInitialR2T=Yes\nMaxBurstLength=4096\nMaxRecvDataSegmentLength=1024\n"
		 "MaxConnections=3\n%s", erl, keys);
	peer_full(p, all);
	return p;
}

static struct peer *level2(void)
{
	struct peer *p = level("2", "");

	assert_int_equal(isc_conn_params(p->c)->erl, 2);
	return p;
}

/* Its CID logs in again */
static struct peer *come_back(struct peer *lost)
{
	struct peer *p;

	assert_true(isc_conn_lose(lost->c));
	assert_true(isc_conn_closing(lost->c));
	p = peer_join(lost, lost->cid);
	p->c->params.max_send_dsl = SEGMENT;
	return p;
}

static void logout(struct peer *p, uint8_t reason, uint16_t cid, enum isc_logout_response want)
{
	uint8_t bhs[BHS_LEN];
	struct reply r;

	peer_numbered(p, bhs, OP_LOGOUT | PDU_IMMEDIATE, PDU_FINAL | reason);
	put_be16(bhs + O_LOGOUT_CID, cid);
	peer_send(p, bhs, NULL, 0);
	peer_want(p, OP_LOGOUT_RSP, &r);
	assert_int_equal(r.h[O_LOGOUT_RESPONSE], want);
}

static void reassign_send(struct peer *p, uint32_t ref, uint32_t exp_datasn)
{
	uint8_t bhs[BHS_LEN];

	peer_numbered(p, bhs, OP_TMF | PDU_IMMEDIATE, PDU_FINAL | ISC_TMF_TASK_REASSIGN);
	put_be32(bhs + O_TMF_REF_ITT, ref);
	put_be32(bhs + O_TMF_EXP_DATASN, exp_datasn);
	put_be32(bhs + O_EXP_STATSN, p->statsn);
	peer_send(p, bhs, NULL, 0);
}

static void reassign(struct peer *p, uint32_t ref, uint32_t exp_datasn, enum isc_tmf_response want)
{
	struct reply r;

	reassign_send(p, ref, exp_datasn);
	peer_want(p, OP_TMF_RSP, &r);
	assert_int_equal(r.h[O_TMF_RESPONSE], want);
}

static uint32_t want_r2t(struct peer *p, uint32_t itt, uint32_t sn, uint32_t off, uint32_t len)
{
	struct reply r;

	peer_want(p, OP_R2T, &r);
	assert_int_equal(pdu_itt(r.h), itt);
	assert_int_equal(get_be32(r.h + O_DATASN), sn);
	assert_int_equal(get_be32(r.h + O_DATA_OFFSET), off);
	assert_int_equal(get_be32(r.h + O_R2T_LENGTH), len);
	return pdu_ttt(r.h);
}

/* All that comes of a read from @off on, in PDUs from @sn on */
static void want_data(struct peer *p, uint32_t itt, uint32_t sn, uint32_t off, uint32_t end)
{
	struct reply r;

	while (off < end) {
		peer_want(p, OP_DATA_IN, &r);
		assert_int_equal(pdu_itt(r.h), itt);
		assert_int_equal(get_be32(r.h + O_DATASN), sn++);
		assert_int_equal(get_be32(r.h + O_DATA_OFFSET), off);
		pattern_check(r.data, off, r.len);
		off += r.len;
	}
	assert_int_equal(r.h[O_FLAGS] & DATA_STATUS, DATA_STATUS);
}

static void end(struct peer *a, struct peer *b)
{
	peer_free(b);
	peer_free(a);
}

/* 7.2.2: where ExpDataSN says; a value that makes no sense is ignored (11.5.6). Sent all, some, or nothing before. */
static void reads(void **state)
{
	static const struct { size_t sent; uint32_t exp, sn; } t[] = {
		{ 0, 0, 0 }, { 0, 3, 0 }, { 2500, 0, 0 }, { 2500, 1, 1 }, { 2500, 2, 2 }, { SIZE_MAX, 9, 9 },
		{ SIZE_MAX, 0, 0 }, { SIZE_MAX, 11, 0 }, { SIZE_MAX, UINT32_MAX, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *a = level2(), *b;
		struct iovec iov[64];
		uint32_t itt = peer_cmd(a, CDB_READ, PDU_FINAL | CMD_READ, BYTES, BYTES, NULL, 0);
		struct reply r;

		a->loose = true;
		if (t[i].sent == SIZE_MAX)
			while (peer_next(a, &r))
				;
		else if (t[i].sent && isc_tx_iov(a->c, iov, ARRAY_SIZE(iov)))
			isc_tx_done(a->c, t[i].sent);
		b = come_back(a);
		reassign(b, itt, t[i].exp, ISC_TMF_COMPLETE);
		want_data(b, itt, t[i].sn, t[i].sn * SEGMENT, BYTES);
		assert_int_equal(b->moves, 1);
		assert_int_equal(a->commands, 1);
		end(a, b);
	}
}

/* R2TSNs go on from ExpDataSN, or from what is known to have arrived; all that did not come is asked for */
static void writes(void **state)
{
	static const struct { uint32_t came, half, exp, sn; } t[] = {
		{ 0, 0, 0, 0 }, { 0, 0, 1, 1 }, { 0, 0, 7, 0 }, { 1000, 0, 0, 1 }, { 1000, 0, 1, 1 }, { 1000, 300, 0, 1 },
		{ 0, 300, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *a = level2(), *b;
		uint8_t bhs[BHS_LEN] = { 0 };
		uint32_t itt = peer_cmd(a, CDB_WRITE, PDU_FINAL | CMD_WRITE, 6000, 6000, NULL, 0), ttt;
		struct reply r;

		ttt = want_r2t(a, itt, 0, 0, BURST);
		if (t[i].came)
			peer_data_out(a, itt, ttt, 0, 0, t[i].came, false);
		peer_bhs(bhs, OP_DATA_OUT, 0, itt);
		bhs[O_LUN + 1] = 3;
		put_be24(bhs + O_DSL, 900);
		put_be32(bhs + O_TTT, ttt);
		put_be32(bhs + O_DATASN, t[i].came > 0);
		put_be32(bhs + O_DATA_OFFSET, t[i].came);
		if (t[i].half) {
			peer_feed(a, bhs, BHS_LEN);
			peer_feed(a, "what is not all there", 20);
		}
		b = come_back(a);
		reassign(b, itt, t[i].exp, ISC_TMF_COMPLETE);
		ttt = want_r2t(b, itt, t[i].sn, t[i].came, BURST - t[i].came);
		peer_data_out(b, itt, ttt, 0, t[i].came, BURST - t[i].came, true);
		ttt = want_r2t(b, itt, t[i].sn + 1, BURST, 6000 - BURST);
		peer_data_out(b, itt, ttt, 0, BURST, 6000 - BURST, true);
		peer_want_status(b, itt, 0, &r);
		assert_int_equal(get_be32(r.h + O_RSP_EXP_DATASN), t[i].sn + 2);
		assert_int_equal(a->received[0], 6000);
		end(a, b);
	}
}

/* The server has it: it goes on, whatever becomes of the connection; data that it asks for comes on the new one */
static void with_the_server(void **state)
{
	struct peer *a = level2(), *b;
	uint8_t buf[100];
	uint32_t itt[3];
	struct reply r;

	(void)state;
	a->manual = true;
	for (int i = 0; i < 2; i++)
		itt[i] = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	itt[2] = peer_cmd(a, CDB_WRITE, PDU_FINAL | CMD_WRITE, 100, 100, NULL, 0);
	assert_true(isc_conn_lose(a->c));
	isc_task_complete(&a->task[0]->t, 0, NULL, 0, NULL, 0);
	isc_task_expect_data(&a->task[2]->t, buf, 100);
	b = peer_join(a, CID);
	for (int i = 0; i < 3; i++)
		reassign_send(b, itt[i], 0);
	peer_want(b, OP_TMF_RSP, &r);
	peer_want_status(b, itt[0], 0, &r);
	peer_want(b, OP_TMF_RSP, &r);
	peer_want(b, OP_TMF_RSP, &r);  /* no R2T overtakes it (11.5.1) */
	peer_data_out(b, itt[2], want_r2t(b, itt[2], 0, 0, 100), 0, 0, 100, true);
	peer_want_status(b, itt[2], 0, &r);
	isc_task_complete(&a->task[1]->t, 8, NULL, 0, NULL, 0);
	peer_want_status(b, itt[1], 8, &r);
	assert_int_equal(isc_conn_tasks(a->c), 0);
	end(a, b);
}

/* Answers that were sent, or would have been next, come again with StatSNs of the new connection; and once more */
static void answers(void **state)
{
	(void)state;
	for (int sent = 0; sent < 2; sent++) {
		struct peer *a = level2(), *b, *c;
		uint32_t good = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), bad, full;
		struct reply r;

		bad = peer_cmd(a, CDB_FAIL, PDU_FINAL, 0, 0, NULL, 0);
		a->no_tasks = true;
		full = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
		while (sent && peer_next(a, &r))
			;
		b = come_back(a);
		for (int again = 0; again < 2; again++) {
			reassign_send(b, bad, 0);
			reassign_send(b, full, 0);
			if (again)
				break;
			assert_true(isc_conn_lose(b->c));
			c = b;
			b = peer_join(a, CID);
		}
		peer_want(b, OP_TMF_RSP, &r);
		peer_want_status(b, bad, 2, &r);
		assert_int_equal(r.data[2 + 12], 0x20);
		peer_want(b, OP_TMF_RSP, &r);
		peer_want_status(b, full, STATUS_TASK_SET_FULL, &r);
		reassign(b, good, 0, ISC_TMF_COMPLETE);
		peer_want_status(b, good, 0, &r);
		reassign(b, good, 0, ISC_TMF_NO_TASK);  /* acknowledged */
		peer_free(b);
		end(a, c);
	}
}

static void refused(void **state)
{
	struct peer *a = level2(), *b = peer_join(a, 2), *one = level("1", ""), *c;
	uint32_t mine, its;
	struct reply r;

	(void)state;
	reassign(one, 1, 0, ISC_TMF_NO_REASSIGN);
	logout(one, LOGOUT_RECOVERY, CID, ISC_LOGOUT_NO_RECOVERY);
	assert_false(isc_conn_lose(one->c));
	peer_free(one);
	a->manual = true;
	reassign(b, 1, 0, ISC_TMF_NO_TASK);
	mine = peer_cmd(b, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	its = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	reassign(b, mine, 0, ISC_TMF_STILL_ALLEGIANT);
	reassign(b, its, 0, ISC_TMF_STILL_ALLEGIANT);
	assert_true(isc_conn_lose(a->c));
	reassign(b, its, 0, ISC_TMF_STILL_ALLEGIANT);
	logout(b, LOGOUT_RECOVERY, CID, ISC_LOGOUT_DONE);
	logout(b, LOGOUT_RECOVERY, CID, ISC_LOGOUT_NO_CID);
	assert_false(isc_task_abort(&a->task[1]->t));
	reassign(b, its, 0, ISC_TMF_NO_TASK);
	isc_task_complete(&a->task[1]->t, 0, NULL, 0, NULL, 0);
	isc_task_complete(&a->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_next(b, &r);
	c = peer_join(a, CID);
	peer_free(c);
	end(a, b);
}

/* When the server gives a lost connection up, all is as at other levels; so it is without Time2Retain */
static void given_up(void **state)
{
	struct peer *a = level2(), *b, *c;
	uint32_t tur, data;

	(void)state;
	a->manual = true;
	tur = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	a->manual = false;
	data = peer_cmd(a, CDB_WRITE, PDU_FINAL | CMD_WRITE, 100, 100, NULL, 0);
	b = come_back(a);
	isc_conn_free(a->c);
	assert_int_equal(a->releases, 1);
	assert_null(a->task[0]->t.conn);
	reassign(b, tur, 0, ISC_TMF_NO_TASK);
	reassign(b, data, 0, ISC_TMF_NO_TASK);
	isc_task_complete(&a->task[0]->t, 0, NULL, 0, NULL, 0);
	a->c = NULL;
	end(a, b);
	c = level("2", "DefaultTime2Retain=0\n");
	assert_false(isc_conn_lose(c->c));
	peer_free(c);
	c = level2();  /* nobody is left: the session goes with it */
	assert_true(isc_conn_lose(c->c));
	peer_free(c);
}

/* A broken header ends the connection; what is answered until the socket is closed is answered on the next one */
static void closing(void **state)
{
	struct peer *a = level2(), *b;
	uint8_t bhs[BHS_LEN] = { OP_NOP_OUT };
	uint32_t itt;
	struct reply r;

	(void)state;
	a->manual = true;
	itt = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	put_be24(bhs + O_DSL, 0xffffff);
	assert_int_equal(peer_feed(a, bhs, sizeof(bhs)), -1);
	isc_task_complete(&a->task[0]->t, 0, NULL, 0, NULL, 0);
	assert_int_equal(a->releases, 0);
	b = come_back(a);
	reassign(b, itt, 0, ISC_TMF_COMPLETE);
	peer_want_status(b, itt, 0, &r);
	end(a, b);
}

/* A connection removes itself: who reassigns before its socket is closed waits for that. Closed for good, it is not kept. */
static void itself(void **state)
{
	struct peer *a = level2(), *b = peer_join(a, 2);
	uint32_t itt;
	struct reply r;

	(void)state;
	a->manual = true;
	itt = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	logout(a, LOGOUT_RECOVERY, CID, ISC_LOGOUT_DONE);
	assert_int_equal(a->why, ISC_CLOSE_RECOVERY);
	isc_task_complete(&a->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_want_nothing(a);
	reassign_send(b, itt, 0);
	peer_want_nothing(b);
	assert_true(isc_conn_lose(a->c));
	peer_want(b, OP_TMF_RSP, &r);
	peer_want_status(b, itt, 0, &r);
	logout(b, LOGOUT_CONNECTION, 2, ISC_LOGOUT_DONE);
	assert_false(isc_conn_lose(b->c));
	end(a, b);
}

/* Who asked for the logout is gone, then its victim: nobody is logged out */
static void nobody_asks(void **state)
{
	struct peer *a = level2(), *b = peer_join(a, 2), *c = peer_join(a, 3);
	uint8_t bhs[BHS_LEN];

	(void)state;
	b->keep_logout = true;
	peer_numbered(b, bhs, OP_LOGOUT | PDU_IMMEDIATE, PDU_FINAL | LOGOUT_RECOVERY);
	put_be16(bhs + O_LOGOUT_CID, 3);
	peer_send(b, bhs, NULL, 0);
	assert_true(isc_conn_lose(b->c));
	assert_true(isc_conn_lose(c->c));
	peer_close(c);
	isc_logout_complete(b->logout, ISC_LOGOUT_DONE);
	peer_free(c);
	end(a, b);
}

/* Whoever uses a tag again has had the answer. One that has none is in use. */
static void tags(void **state)
{
	struct peer *a = level2(), *b;
	uint32_t read = peer_cmd(a, CDB_READ, PDU_FINAL | CMD_READ, 512, 512, NULL, 0), tur, half, stuck;
	struct iovec iov[8];
	struct reply r;

	(void)state;
	tur = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_want_status(a, read, 0, &r);
	peer_want_status(a, tur, 0, &r);
	half = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	assert_true(isc_tx_iov(a->c, iov, ARRAY_SIZE(iov)) > 0);  /* it may have arrived */
	stuck = peer_cmd(a, CDB_WRITE, PDU_FINAL | CMD_WRITE, 100, 100, NULL, 0);
	b = come_back(a);
	assert_int_equal(a->releases, 1);
	a->itt = read;
	a->manual = true;
	for (unsigned i = 0; i < 3; i++)
		peer_cmd(b, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	assert_int_equal(a->releases, 3);
	peer_cmd(b, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_want_reject(b, ISC_REJECT_TASK_IN_PROGRESS);
	a->itt = stuck + 1;
	reassign(b, tur, 0, ISC_TMF_STILL_ALLEGIANT);
	for (unsigned i = 4; i < 7; i++) {
		isc_task_complete(&a->task[i]->t, 0, NULL, 0, NULL, 0);
		peer_want_status(b, a->cmdsn_log[i] - a->cmdsn_log[4] + read, 0, &r);
	}
	reassign(b, read, 0, ISC_TMF_NO_TASK);  /* and not with the older one's answer */
	reassign(b, tur, 0, ISC_TMF_NO_TASK);
	reassign(b, half, 0, ISC_TMF_NO_TASK);
	end(a, b);
}

/* Memory was short: who has had all the data gets the status, others have to do without */
static void forgotten(void **state)
{
	(void)state;
	for (int all = 0; all < 2; all++) {
		struct peer *a = level2(), *b;
		uint32_t itt = peer_cmd(a, CDB_READ, PDU_FINAL | CMD_READ, 3000, 3000, NULL, 0);
		struct reply r;

		a->loose = true;
		while (peer_next(a, &r))
			;
		b = come_back(a);
		isc_conn_forget(a->c);
		assert_int_equal(a->releases, 1);
		reassign(b, itt, all ? 3 : 2, all ? ISC_TMF_COMPLETE : ISC_TMF_NO_TASK);
		if (all)
			peer_want_status(b, itt, 0, &r);
		end(a, b);
	}
}

/* What came before its turn was never received (11.14); its CmdSN is free again */
static void ahead(void **state)
{
	struct peer *a = level2(), *b;
	uint8_t first[BHS_LEN], second[BHS_LEN];
	struct reply r;

	(void)state;
	peer_cmd_bhs(a, first, CDB_TUR, PDU_FINAL, 0, 0);
	peer_cmd_bhs(a, second, CDB_TUR, PDU_FINAL, 0, 0);
	peer_send(a, second, NULL, 0);
	b = come_back(a);
	reassign(b, pdu_itt(second), 0, ISC_TMF_NO_TASK);
	peer_send(b, first, NULL, 0);
	peer_want_status(b, pdu_itt(first), 0, &r);
	peer_send(b, second, NULL, 0);
	peer_want_status(b, pdu_itt(second), 0, &r);
	end(a, b);
}

/* Time2Retain is agreed on where something is retained (13.16), whatever order the keys come in */
static void negotiated(void **state)
{
	static const struct { const char *keys; uint8_t max; uint32_t want; } t[] = {
		{ "DefaultTime2Retain=15\nErrorRecoveryLevel=2\n", 2, 15 }, { "ErrorRecoveryLevel=2\nDefaultTime2Retain=60\n", 2, 20 },
		{ "DefaultTime2Retain=15\nErrorRecoveryLevel=2\n", 1, 0 }, { "DefaultTime2Retain=15\n", 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = peer_new();

		p->cfg.max_erl = t[i].max;
		peer_full(p, t[i].keys);
		assert_int_equal(isc_conn_params(p->c)->time2retain, t[i].want);
		peer_free(p);
	}
}

/* 6.3.4: at level 2 a second connection may clean up the first, whatever MaxConnections is */
static void a_second_one(void **state)
{
	struct peer *a = peer_new(), *b, *c;
	struct reply r;

	(void)state;
	a->cfg.max_erl = 2;
	peer_full(a, "ErrorRecoveryLevel=2\nMaxConnections=1\n");
	b = peer_join(a, 2);
	c = peer_further(a, 3);
	peer_login(c, STAGE_OPERATIONAL, STAGE_FULL, false, "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n");
	peer_want(c, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), ISC_LOGIN_TOO_MANY_CONNS);
	peer_free(c);
	end(a, b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads), cmocka_unit_test(writes), cmocka_unit_test(with_the_server), cmocka_unit_test(answers),
		cmocka_unit_test(refused), cmocka_unit_test(given_up), cmocka_unit_test(closing), cmocka_unit_test(itself),
		cmocka_unit_test(nobody_asks), cmocka_unit_test(tags), cmocka_unit_test(forgotten), cmocka_unit_test(ahead), cmocka_unit_test(negotiated),
		cmocka_unit_test(a_second_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
