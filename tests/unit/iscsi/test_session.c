/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_session.c - NOPs both ways, logout, asynchronous messages (RFC 7143 11.9, 11.14, 11.15, 11.18, 11.19) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static struct peer *full(const char *keys)
{
	struct peer *p = peer_new();

	peer_full(p, keys);
	return p;
}

static void ping_from_initiator(void **state)
{
	struct peer *p = full("MaxRecvDataSegmentLength=512\n");
	uint8_t bhs[BHS_LEN], data[1000];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	for (uint32_t n = 0; n <= 1000; n += 250) {
		peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
		put_be32(bhs + O_TTT, TAG_NONE);
		peer_send(p, bhs, data, n);
		peer_want(p, OP_NOP_IN, &r);
		assert_int_equal(r.h[O_FLAGS], PDU_FINAL);
		assert_int_equal(pdu_itt(r.h), pdu_itt(bhs));
		assert_int_equal(pdu_ttt(r.h), TAG_NONE);
		assert_int_equal(get_be32(r.h + O_STATSN), 501 + n / 250);
		assert_int_equal(get_be32(r.h + O_EXP_CMDSN), p->cmdsn);
		assert_int_equal(r.len, MIN(n, 512u));  /* not more than the initiator takes */
		pattern_check(r.data, 0, r.len);
	}
	peer_free(p);
}

static void ping_from_target(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN];
	struct reply r;
	uint32_t ttt = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(isc_send_nop_in(p->c), 0);
		assert_int_equal(isc_send_nop_in(p->c), -1);  /* one at a time */
		peer_want(p, OP_NOP_IN, &r);
		assert_int_equal(pdu_itt(r.h), TAG_NONE);
		assert_int_not_equal(pdu_ttt(r.h), TAG_NONE);
		assert_int_not_equal(pdu_ttt(r.h), ttt);
		assert_int_equal(get_be32(r.h + O_STATSN), 501);  /* not used up */
		ttt = pdu_ttt(r.h);
		peer_numbered(p, bhs, OP_NOP_OUT | PDU_IMMEDIATE, PDU_FINAL);
		put_be32(bhs + O_ITT, TAG_NONE);
		put_be32(bhs + O_TTT, ttt);
		peer_send(p, bhs, NULL, 0);
		assert_int_equal(p->nop_replies, i + 1);
		peer_want_nothing(p);
	}
	/* the same answer again is none */
	peer_send(p, bhs, NULL, 0);
	peer_want_reject(p, ISC_REJECT_INVALID_FIELD);
	assert_int_equal(p->nop_replies, 2);
	peer_free(p);
}

/* Neither ping nor answer: it only tells ExpStatSN */
static void silent_nop(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN];

	(void)state;
	peer_numbered(p, bhs, OP_NOP_OUT | PDU_IMMEDIATE, PDU_FINAL);
	put_be32(bhs + O_ITT, TAG_NONE);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(p, bhs, NULL, 0);
	peer_want_nothing(p);
	assert_int_equal(p->nop_replies, 0);
	peer_free(p);
}

static void logout_send(struct peer *p, uint8_t reason, uint16_t cid)
{
	uint8_t bhs[BHS_LEN];

	peer_numbered(p, bhs, OP_LOGOUT, PDU_FINAL | reason);
	put_be16(bhs + O_LOGOUT_CID, cid);
	peer_send(p, bhs, NULL, 0);
}

static void logout(void **state)
{
	static const struct { uint8_t reason; uint16_t cid; uint8_t response; } t[] = {
		{ LOGOUT_SESSION, 0, ISC_LOGOUT_DONE },
		{ LOGOUT_CONNECTION, 9, ISC_LOGOUT_DONE },
		{ LOGOUT_CONNECTION, 8, ISC_LOGOUT_NO_CID },
		{ LOGOUT_RECOVERY, 9, ISC_LOGOUT_NO_RECOVERY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = full("DefaultTime2Wait=3\n");
		struct reply r;

		logout_send(p, t[i].reason, t[i].cid);
		peer_want(p, OP_LOGOUT_RSP, &r);
		assert_int_equal(pdu_itt(r.h), p->itt - 1);
		assert_int_equal(r.h[O_LOGOUT_RESPONSE], t[i].response);
		assert_int_equal(get_be16(r.h + O_LOGOUT_TIME2WAIT), 3);
		assert_int_equal(get_be16(r.h + O_LOGOUT_TIME2RETAIN), 20);
		assert_int_equal(p->closings, t[i].response == ISC_LOGOUT_DONE);
		assert_int_equal(p->logouts, t[i].response == ISC_LOGOUT_DONE);
		if (t[i].response == ISC_LOGOUT_DONE)
			assert_int_equal(p->why, ISC_CLOSE_LOGOUT);
		else
			peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
		peer_free(p);
	}
}

/* The server takes its time: tasks end, what the initiator still sends is dropped, then the response and the end */
static void logout_with_tasks(void **state)
{
	struct peer *p = full(NULL);
	struct reply r;
	uint32_t itt;

	(void)state;
	p->manual = p->keep_logout = true;
	itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	logout_send(p, LOGOUT_SESSION, 0);
	assert_int_equal(p->logouts, 1);
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	assert_int_equal(p->commands, 1);
	peer_want_nothing(p);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	isc_logout_complete(p->logout, ISC_LOGOUT_DONE);
	peer_want_status(p, itt, 0, &r);
	peer_want(p, OP_LOGOUT_RSP, &r);
	peer_want_nothing(p);
	assert_int_equal(p->closings, 1);
	peer_free(p);
}

static void logout_of_discovery(void **state)
{
	struct peer *p = peer_new();
	struct reply r;

	(void)state;
	peer_start(p);
	peer_login(p, 1, 3, false, "InitiatorName=iqn.2026-11.test:i\nSessionType=Discovery\n");
	peer_want(p, OP_LOGIN_RSP, &r);
	logout_send(p, LOGOUT_SESSION, 0);
	peer_want(p, OP_LOGOUT_RSP, &r);
	assert_int_equal(p->why, ISC_CLOSE_LOGOUT);
	peer_free(p);
}

static void async(void **state)
{
	static const uint8_t lun[8] = { 0, 7 }, sense[] = { 0x70, 0, 6 };
	struct peer *p = full(NULL);
	struct reply r;

	(void)state;
	assert_int_equal(isc_send_async(p->c, ISC_ASYNC_DROP_CONNECTION, 5, 9, 4, 20), 0);
	peer_want(p, OP_ASYNC, &r);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL);
	assert_int_equal(pdu_itt(r.h), TAG_NONE);
	assert_int_equal(get_be32(r.h + O_STATSN), 501);
	assert_int_equal(r.h[O_ASYNC_EVENT], 2);
	assert_int_equal(get_be16(r.h + O_ASYNC_P1), 9);
	assert_int_equal(r.h[O_ASYNC_VCODE], 5);
	assert_int_equal(get_be16(r.h + O_ASYNC_P2), 4);
	assert_int_equal(get_be16(r.h + O_ASYNC_P3), 20);
	assert_int_equal(isc_send_async_scsi(p->c, lun, sense, sizeof(sense)), 0);
	peer_want(p, OP_ASYNC, &r);
	assert_int_equal(get_be32(r.h + O_STATSN), 502);
	assert_int_equal(r.h[O_ASYNC_EVENT], 0);
	assert_int_equal(r.h[O_LUN + 1], 7);
	assert_int_equal(r.len, 5);
	assert_memory_equal(r.data, "\0\3\x70\0\6", 5);
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);  /* StatSN goes on */
	peer_free(p);
}

/* Nothing of this before full feature phase */
static void too_early(void **state)
{
	static const uint8_t lun[8];
	struct peer *p = peer_new();

	(void)state;
	peer_start(p);
	assert_int_equal(isc_send_nop_in(p->c), -1);
	assert_int_equal(isc_send_async(p->c, ISC_ASYNC_LOGOUT_REQUEST, 0, 0, 0, 5), -1);
	assert_int_equal(isc_send_async_scsi(p->c, lun, NULL, 0), -1);
	peer_want_nothing(p);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ping_from_initiator), cmocka_unit_test(ping_from_target),
		cmocka_unit_test(silent_nop), cmocka_unit_test(logout), cmocka_unit_test(logout_with_tasks),
		cmocka_unit_test(logout_of_discovery), cmocka_unit_test(async), cmocka_unit_test(too_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
