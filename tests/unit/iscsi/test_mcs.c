/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_mcs.c - several connections a session (RFC 7143 4.2.2, 6.3, 11.14). CmdSNs wrap around in every test. */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

#define NAMES "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n"

enum { A_CID = 9, B_CID = 3 };

struct pair { struct peer *a, *b; };

static struct pair two(const char *keys)
{
	struct pair s = { .a = peer_new() };

	peer_full(s.a, keys ? keys : "MaxConnections=4\nInitialR2T=No\nFirstBurstLength=4096\n");
	s.b = peer_join(s.a, B_CID);
	return s;
}

/* All further connections first: peer_free() counts what came back to each */
static void end(struct pair s)
{
	peer_free(s.b);
	peer_free(s.a);
}

static uint32_t cmd_at(struct peer *p, uint32_t cmdsn, uint8_t cdb, uint8_t flags, uint32_t len, const void *data,
		       uint32_t dlen)
{
	uint8_t bhs[BHS_LEN];

	peer_cmd_bhs(p, bhs, cdb, flags, len, len);
	put_be32(bhs + O_CMDSN, cmdsn);
	peer_send(p, bhs, data, dlen);
	return pdu_itt(bhs);
}

static uint32_t tur_at(struct peer *p, uint32_t cmdsn)
{
	return cmd_at(p, cmdsn, CDB_TUR, PDU_FINAL, 0, NULL, 0);
}

static uint32_t tmf_at(struct peer *p, uint8_t imm, uint8_t fn, uint32_t cmdsn, uint32_t ref, uint32_t ref_cmdsn)
{
	uint8_t bhs[BHS_LEN];

	peer_numbered(p, bhs, (uint8_t)(OP_TMF | imm), (uint8_t)(PDU_FINAL | fn));
	bhs[O_LUN + 1] = 3;
	put_be32(bhs + O_CMDSN, cmdsn);
	put_be32(bhs + O_TMF_REF_ITT, ref);
	put_be32(bhs + O_TMF_REF_CMDSN, ref_cmdsn);
	peer_send(p, bhs, NULL, 0);
	return pdu_itt(bhs);
}

static void want_tmf(struct peer *p, uint32_t itt, enum isc_tmf_response response)
{
	struct reply r;

	peer_want(p, OP_TMF_RSP, &r);
	assert_int_equal(pdu_itt(r.h), itt);
	assert_int_equal(r.h[O_TMF_RESPONSE], response);
}

/* ---- order ---- */

/* Four commands, in every order, over every choice of connections: delivered by CmdSN, answered where they came */
static void order(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 256 * 16; n++) {
		unsigned at[4] = { n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3 }, seen = 0;
		uint32_t base, itt[4], window = PEER_WINDOW;
		struct peer *on[4];
		struct pair s;
		struct reply r;

		for (int i = 0; i < 4; i++)
			seen |= 1u << at[i];
		if (seen != 15)
			continue;
		s = two(NULL);
		base = s.a->cmdsn;
		for (int i = 0; i < 4; i++) {
			on[at[i]] = n >> (8 + i) & 1 ? s.b : s.a;
			itt[at[i]] = tur_at(on[at[i]], base + at[i]);
		}
		assert_int_equal(s.a->commands, 4);
		for (uint32_t i = 0; i < 4; i++) {
			assert_int_equal(s.a->cmdsn_log[i], base + i);
			assert_ptr_equal(s.a->conn_log[i], on[i]->c);
		}
		for (int i = 0; i < 4; i++)
			peer_want_status(on[i], itt[i], 0, &r);  /* StatSN by connection: peer checks it */
		assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 4);
		assert_in_range(get_be32(r.h + O_MAX_CMDSN) - base, window, window + 3);
		peer_want_nothing(s.a);
		peer_want_nothing(s.b);
		end(s);
	}
}

/* One window: what is outstanding on one connection closes it for the other */
static void one_window(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn;
	struct reply r;

	(void)state;
	s.a->manual = true;
	for (uint32_t i = 0; i < PEER_WINDOW; i++)
		tur_at(i % 2 ? s.b : s.a, base + i);
	assert_int_equal(s.a->commands, PEER_WINDOW);
	tur_at(s.b, base + PEER_WINDOW);
	assert_int_equal(s.a->commands, PEER_WINDOW);
	isc_task_complete(&s.a->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_want(s.a, OP_SCSI_RSP, &r);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + PEER_WINDOW);
	tur_at(s.b, base + PEER_WINDOW);
	assert_int_equal(s.a->commands, PEER_WINDOW + 1);
	for (unsigned i = 1; i <= PEER_WINDOW; i++)
		isc_task_complete(&s.a->task[i]->t, 0, NULL, 0, NULL, 0);
	while (peer_next(s.a, &r) || peer_next(s.b, &r))
		;
	end(s);
}

/* Immediate commands are nobody's hole, on either connection */
static void immediate(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn;
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	tur_at(s.a, base + 1);
	peer_cmd_bhs(s.b, bhs, CDB_TUR, PDU_FINAL, 0, 0);
	bhs[O_OPCODE] |= PDU_IMMEDIATE;
	put_be32(bhs + O_CMDSN, base + 2);
	peer_send(s.b, bhs, NULL, 0);
	peer_want_status(s.b, pdu_itt(bhs), 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base);
	assert_int_equal(s.a->commands, 1);
	end(s);
}

/* A command whose data is still on its way on one connection does not hold up the next on another */
static void slow_data(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, itt;
	uint8_t bhs[BHS_LEN], pdu[BHS_LEN + 512], data[512];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	itt = tur_at(s.b, base + 1);
	peer_cmd_bhs(s.a, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 512, 512);
	put_be32(bhs + O_CMDSN, base);
	peer_pack(s.a, bhs, data, sizeof(data), pdu);
	peer_want_nothing(s.b);
	peer_feed(s.a, pdu, BHS_LEN + 100);
	peer_want_status(s.b, itt, 0, &r);
	itt = tur_at(s.b, base + 2);
	peer_want_status(s.b, itt, 0, &r);
	peer_feed(s.a, pdu + BHS_LEN + 100, 412);
	peer_want_status(s.a, pdu_itt(bhs), 0, &r);
	assert_int_equal(s.a->received[0], 512);
	end(s);
}

/* A ping whose data is on its way when somebody else takes its CmdSN: it is ignored, and nobody's turn is skipped */
static void overtaken(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn;
	uint8_t bhs[BHS_LEN], pdu[BHS_LEN + 8];
	struct reply r;

	(void)state;
	peer_numbered(s.a, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	put_be32(bhs + O_CMDSN, base);
	peer_pack(s.a, bhs, "pingping", 8, pdu);
	peer_feed(s.a, pdu, BHS_LEN + 4);
	peer_want_status(s.b, tur_at(s.b, base), 0, &r);
	peer_feed(s.a, pdu + BHS_LEN + 4, 4);
	peer_want_nothing(s.a);
	assert_int_equal(isc_conn_stats(s.a->c)->ignored, 1);
	peer_want_status(s.b, tur_at(s.b, base + 1), 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 2);
	/* ... and one whose turn comes meanwhile is not held for ever */
	put_be32(bhs + O_CMDSN, base + 3);
	peer_pack(s.a, bhs, "pingping", 8, pdu);
	peer_feed(s.a, pdu, BHS_LEN + 4);
	peer_want_status(s.b, tur_at(s.b, base + 2), 0, &r);
	peer_feed(s.a, pdu + BHS_LEN + 4, 4);
	peer_want(s.a, OP_NOP_IN, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 4);
	end(s);
}

/* Other requests wait as well, and are answered on their connection */
static void held_ping(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn;
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	peer_numbered(s.b, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_CMDSN, base + 1);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(s.b, bhs, "hello", 5);
	peer_want_nothing(s.b);
	peer_want_status(s.a, tur_at(s.a, base), 0, &r);
	peer_want_nothing(s.a);
	peer_want(s.b, OP_NOP_IN, &r);
	assert_memory_equal(r.data, "hello", 5);
	end(s);
}

/* Held writes of two connections share one bound; who exceeds it has to try again, nobody is closed */
static void held_too_much(void **state)
{
	struct pair s;
	uint8_t *data = calloc(1, 262144);
	uint32_t base, itt[6];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, 262144);
	s = two("MaxConnections=2\nInitialR2T=No\nFirstBurstLength=262144\nMaxBurstLength=1048576\n");
	base = s.a->cmdsn;
	for (uint32_t i = 1; i <= 5; i++)
		itt[i] = cmd_at(i % 2 ? s.b : s.a, base + i, CDB_WRITE, PDU_FINAL | CMD_WRITE, 262144, data, 262144);
	peer_want_status(s.a, tur_at(s.a, base), 0, &r);
	for (uint32_t i = 1; i <= 5; i++)
		peer_want_status(i % 2 ? s.b : s.a, itt[i], i < 5 ? 0 : STATUS_TASK_SET_FULL, &r);
	assert_int_equal(s.a->commands, 5);  /* and not 6: the server does not hear of the one without room */
	assert_int_equal(isc_conn_sess(s.a->c)->held_bytes, 0);
	assert_int_equal(s.a->closings + s.b->closings, 0);
	free(data);
	end(s);
}

/* ---- allegiance ---- */

/* R2T, data and answer stay on the command's connection; data that comes on another belongs to nothing there */
static void allegiance(void **state)
{
	struct pair s = two("MaxConnections=2\nInitialR2T=Yes\nImmediateData=No\n");
	uint32_t itt = peer_cmd(s.b, CDB_WRITE, PDU_FINAL | CMD_WRITE, 4096, 4096, NULL, 0), ttt;
	struct reply r;

	(void)state;
	peer_want_nothing(s.a);
	peer_want(s.b, OP_R2T, &r);
	ttt = pdu_ttt(r.h);
	peer_data_out(s.a, itt, ttt, 0, 0, 4096, true);
	peer_want_reject(s.a, ISC_REJECT_INVALID_FIELD);
	peer_data_out(s.b, itt, ttt, 0, 0, 4096, true);
	peer_want_status(s.b, itt, 0, &r);
	peer_want_nothing(s.a);
	itt = peer_cmd(s.a, CDB_READ, PDU_FINAL | CMD_READ, 100, 100, NULL, 0);
	peer_want_status(s.a, itt, 0, &r);
	pattern_check(r.data, 0, 100);
	peer_want_nothing(s.b);
	end(s);
}

/* 11.2.1.8: task tags are the session's */
static void same_itt(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, itt;
	struct reply r;

	(void)state;
	s.a->manual = true;
	itt = tur_at(s.a, base);
	s.a->itt = itt;
	tur_at(s.b, base + 1);
	peer_want_reject(s.b, ISC_REJECT_TASK_IN_PROGRESS);
	isc_task_complete(&s.a->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_want_status(s.a, itt, 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 2);
	end(s);
}

/* ---- login ---- */

/* 6.3.1: the session is the initiator port's, and has room; a CID is there once */
static void refused(void **state)
{
	static const struct { unsigned off; const char *keys; uint16_t cid; enum isc_login_status want; const char *user; } t[] = {
		{ O_LOGIN_ISID + 5, NAMES, 4, ISC_LOGIN_NO_SESSION, NULL },
		{ O_LOGIN_TSIH + 1, NAMES, 4, ISC_LOGIN_NO_SESSION, NULL },
		{ 0, "InitiatorName=iqn.2026-11.test:j\nTargetName=iqn.2026-11.test:t\n", 4, ISC_LOGIN_NO_SESSION, NULL },
		{ 0, "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:u\n", 4, ISC_LOGIN_NO_SESSION, NULL },
		{ 0, NAMES, 4, ISC_LOGIN_AUTH_FAILED, "mallory" },
		{ 0, NAMES, B_CID, ISC_LOGIN_NOT_INCLUDED, NULL },
		{ 0, NAMES, A_CID, ISC_LOGIN_NOT_INCLUDED, NULL },
		{ 0, NAMES, 4, ISC_LOGIN_TOO_MANY_CONNS, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct pair s = two(i + 1 < ARRAY_SIZE(t) ? NULL : "MaxConnections=2\n");
		struct peer *c = peer_further(s.a, t[i].cid);
		uint8_t bhs[BHS_LEN];
		char text[200];
		struct reply r;

		peer_bhs(bhs, OP_LOGIN | PDU_IMMEDIATE, PDU_TRANSIT | 1 << 2 | 3, 1);
		memcpy(bhs + O_LOGIN_ISID, "\x40\0\1\x37\0\2\0\x77", 8);
		put_be16(bhs + O_LOGIN_CID, t[i].cid);
		put_be32(bhs + O_CMDSN, s.a->cmdsn);
		if (t[i].off)
			bhs[t[i].off] ^= 1;
		if (t[i].user)          /* as if it had proved a secret that the session's first connection did not */
			strcpy((char *)isc_conn_login(c->c)->chap_user, t[i].user);
		peer_send(c, bhs, text, (uint32_t)peer_text(text, t[i].keys));
		peer_want(c, OP_LOGIN_RSP, &r);
		assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), t[i].want);
		assert_int_equal(c->why, ISC_CLOSE_LOGIN_REFUSED);
		assert_int_equal(isc_sess_conns(isc_conn_sess(s.a->c)), 2);
		peer_free(c);
		end(s);
	}
}

/* Keys of the session are the leading connection's (13, "LO"); digests and segment lengths each connection's own */
static void keys(void **state)
{
	struct peer *a = peer_new(), *b;
	struct reply r;

	(void)state;
	peer_full(a, "MaxConnections=3\nMaxBurstLength=65536\nInitialR2T=No\nErrorRecoveryLevel=0\nDefaultTime2Wait=7\n");
	b = peer_further(a, B_CID);
	peer_login(b, 1, 3, false, NAMES "MaxConnections=8\nMaxBurstLength=512\nInitialR2T=Yes\nDefaultTime2Wait=9\n"
		   "ErrorRecoveryLevel=0\nHeaderDigest=CRC32C\nMaxRecvDataSegmentLength=1024\n");
	peer_want(b, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), 0);
	assert_int_equal(get_be16(r.h + O_LOGIN_TSIH), 0x77);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), a->cmdsn);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), a->cmdsn + PEER_WINDOW - 1);
	assert_string_equal(peer_value(&r, "MaxConnections"), "Irrelevant");
	assert_string_equal(peer_value(&r, "MaxBurstLength"), "Irrelevant");
	assert_string_equal(peer_value(&r, "InitialR2T"), "Irrelevant");
	assert_string_equal(peer_value(&r, "DefaultTime2Wait"), "Irrelevant");
	assert_string_equal(peer_value(&r, "ErrorRecoveryLevel"), "Irrelevant");
	assert_string_equal(peer_value(&r, "HeaderDigest"), "CRC32C");
	assert_int_equal(isc_conn_params(b->c)->max_burst, 65536);
	assert_int_equal(isc_conn_params(b->c)->time2wait, 7);
	assert_int_equal(isc_conn_params(b->c)->max_connections, 3);
	assert_false(isc_conn_params(b->c)->initial_r2t);
	assert_int_equal(isc_conn_params(b->c)->max_send_dsl, 1024);
	assert_int_equal(isc_conn_params(a->c)->max_send_dsl, 8192);
	assert_int_equal(isc_conn_params(b->c)->header_digest, ISC_DIGEST_CRC32C);
	assert_int_equal(isc_conn_params(a->c)->header_digest, ISC_DIGEST_NONE);
	peer_want_status(b, peer_cmd(b, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	end((struct pair){ a, b });
}

/* Responses before the session is known show a window that is to be ignored (4.2.2.1), not one that it has not */
static void login_in_steps(void **state)
{
	struct peer *a = peer_new(), *b;
	struct reply r;

	(void)state;
	peer_full(a, "MaxConnections=2\n");
	b = peer_further(a, B_CID);
	peer_login(b, 0, 1, false, NAMES "AuthMethod=None\n");
	peer_want(b, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), get_be32(r.h + O_EXP_CMDSN) - 2);
	peer_login(b, 1, 3, false, "");
	peer_want(b, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), a->cmdsn + PEER_WINDOW - 1);
	end((struct pair){ a, b });
}

/* ---- the end of a connection ---- */

/* 11.14: what it brought ahead of its turn was never received, and may come again elsewhere; the session goes on */
static void holes_again(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, itt;
	uint8_t bhs[BHS_LEN], data[100];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	cmd_at(s.b, base + 1, CDB_WRITE, CMD_WRITE, 200, data, 100);  /* half of its data */
	peer_numbered(s.b, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_CMDSN, base + 2);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(s.b, bhs, "hello", 5);
	tur_at(s.a, base + 3);
	peer_close(s.b);
	assert_int_equal(s.b->releases, 1);
	assert_int_equal(isc_conn_sess(s.a->c)->held_bytes, 0);
	peer_want_status(s.a, tur_at(s.a, base), 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 1);
	peer_want_nothing(s.a);
	itt = cmd_at(s.a, base + 1, CDB_WRITE, PDU_FINAL | CMD_WRITE, 100, data, 100);
	peer_want_status(s.a, itt, 0, &r);
	peer_want_status(s.a, tur_at(s.a, base + 2), 0, &r);
	peer_want(s.a, OP_SCSI_RSP, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 4);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + 4 + PEER_WINDOW - 1);
	end(s);
}

/* Its running tasks are orphaned, their tags and places in the window free; the leading one is no exception */
static void leading_ends(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, itt;
	struct ptask *old;
	struct reply r;

	(void)state;
	s.a->manual = true;
	itt = tur_at(s.a, base);
	old = s.a->task[0];
	peer_close(s.a);
	assert_null(old->t.conn);
	s.a->itt = itt;
	s.a->manual = false;
	peer_want_status(s.b, tur_at(s.b, base + 1), 0, &r);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + 2 + PEER_WINDOW - 1);
	isc_task_complete(&old->t, 0, NULL, 0, NULL, 0);
	peer_want_nothing(s.b);
	end(s);
}

/* A connection that ends in the middle of a command's data does not keep the others waiting */
static void ends_in_a_pdu(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, itt;
	uint8_t bhs[BHS_LEN], pdu[BHS_LEN + 512], data[512] = { 0 };
	struct reply r;

	(void)state;
	peer_cmd_bhs(s.b, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 512, 512);
	put_be32(bhs + O_CMDSN, base + 1);
	peer_pack(s.b, bhs, data, sizeof(data), pdu);
	peer_feed(s.b, pdu, BHS_LEN + 100);
	itt = tur_at(s.a, base);
	peer_want_status(s.a, itt, 0, &r);
	peer_close(s.b);
	assert_int_equal(s.b->releases, 1);
	peer_want_status(s.a, tur_at(s.a, base + 2), 0, &r);
	end(s);
}

/* 6.3.4: the same CID again, when the server has ended the old one */
static void connection_reinstated(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn;
	struct peer *again;
	struct reply r;

	(void)state;
	tur_at(s.b, base + 1);
	peer_close(s.b);
	again = peer_join(s.a, B_CID);
	peer_want_status(again, tur_at(again, base), 0, &r);
	peer_want_status(again, tur_at(again, base + 1), 0, &r);
	assert_int_equal(s.a->commands, 2);
	peer_free(again);
	end(s);
}

/* ---- task management ---- */

static void abort_on_other(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, itt, tmf;

	(void)state;
	s.a->manual = true;
	itt = tur_at(s.a, base);
	tmf = tmf_at(s.b, PDU_IMMEDIATE, ISC_TMF_ABORT_TASK, base + 1, itt, base);
	assert_ptr_equal(s.a->tmf->task, &s.a->task[0]->t);
	assert_ptr_equal(s.a->tmf->conn, s.b->c);
	assert_ptr_equal(s.a->tmf->task->conn, s.a->c);
	assert_false(isc_task_abort(s.a->tmf->task));
	isc_task_complete(s.a->tmf->task, 0, NULL, 0, NULL, 0);
	assert_null(s.a->tmf->task);
	isc_tmf_complete(s.a->tmf, ISC_TMF_COMPLETE);
	want_tmf(s.b, tmf, ISC_TMF_COMPLETE);
	peer_want_nothing(s.a);
	end(s);
}

/* The task's connection ends first: the function has no task any more */
static void abort_then_gone(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, itt, tmf;
	struct ptask *t;

	(void)state;
	s.a->manual = true;
	itt = tur_at(s.b, base);
	t = s.a->task[0];
	tmf = tmf_at(s.a, PDU_IMMEDIATE, ISC_TMF_ABORT_TASK, base + 1, itt, base);
	peer_close(s.b);
	assert_null(s.a->tmf->task);
	isc_task_complete(&t->t, 0, NULL, 0, NULL, 0);
	isc_tmf_complete(s.a->tmf, ISC_TMF_COMPLETE);
	want_tmf(s.a, tmf, ISC_TMF_COMPLETE);
	end(s);
}

/* 11.6.1: held on the other connection; not arrived yet there: counts as received, and is ignored when it comes */
static void abort_before_its_turn(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, held;
	struct reply r;

	(void)state;
	held = tur_at(s.a, base + 1);
	want_tmf(s.b, tmf_at(s.b, PDU_IMMEDIATE, ISC_TMF_ABORT_TASK, base + 3, held, base + 1), ISC_TMF_COMPLETE);
	assert_int_equal(s.a->releases, 1);
	want_tmf(s.b, tmf_at(s.b, PDU_IMMEDIATE, ISC_TMF_ABORT_TASK, base + 3, 0x9999, base), ISC_TMF_COMPLETE);
	tur_at(s.a, base);
	assert_int_equal(s.a->commands, 0);
	peer_want_nothing(s.a);
	peer_want_status(s.a, tur_at(s.a, base + 2), 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 3);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + 3 + PEER_WINDOW - 1);
	end(s);
}

/* 4.2.3.3: an immediate function about many tasks waits for commands before it that are on their way elsewhere */
static void waits_for_commands(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, tmf, after;
	struct reply r;

	(void)state;
	s.a->manual = true;
	tur_at(s.a, base + 1);
	tmf = tmf_at(s.b, PDU_IMMEDIATE, ISC_TMF_LUN_RESET, base + 3, TAG_NONE, 0);
	assert_int_equal(s.a->releases, 1);  /* what was held is covered */
	after = tur_at(s.b, base + 3);
	assert_int_equal(s.a->tmfs, 0);
	tur_at(s.a, base);
	assert_int_equal(s.a->tmfs, 0);
	assert_int_equal(s.a->commands, 1);
	tur_at(s.a, base + 2);
	assert_int_equal(s.a->tmfs, 1);
	assert_int_equal(s.a->tmf->cmdsn, base + 3);
	assert_int_equal(s.a->commands, 3);  /* and the one behind it, after it */
	assert_int_equal(s.a->cmdsn_log[2], base + 3);
	for (unsigned i = 0; i < 2; i++) {
		assert_false(isc_task_abort(&s.a->task[i]->t));
		isc_task_complete(&s.a->task[i]->t, 0, NULL, 0, NULL, 0);
	}
	isc_tmf_complete(s.a->tmf, ISC_TMF_COMPLETE);
	want_tmf(s.b, tmf, ISC_TMF_COMPLETE);
	isc_task_complete(&s.a->task[2]->t, 0, NULL, 0, NULL, 0);
	peer_want_status(s.b, after, 0, &r);
	peer_want_nothing(s.a);
	end(s);
}

/* ... until nothing can come any more; and it is forgotten with its own connection */
static void waits_no_longer(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, tmf;

	(void)state;
	tmf = tmf_at(s.a, PDU_IMMEDIATE, ISC_TMF_LUN_RESET, base + 3, TAG_NONE, 0);
	tmf_at(s.b, PDU_IMMEDIATE, ISC_TMF_LUN_RESET, base + 3, TAG_NONE, 0);
	assert_int_equal(s.a->tmfs, 0);
	assert_int_equal(isc_conn_sess(s.a->c)->immediate, 2);
	peer_close(s.b);
	assert_int_equal(s.a->tmfs, 1);
	assert_ptr_equal(s.a->tmf->conn, s.a->c);
	assert_int_equal(isc_conn_sess(s.a->c)->immediate, 1);
	isc_tmf_complete(s.a->tmf, ISC_TMF_COMPLETE);
	want_tmf(s.a, tmf, ISC_TMF_COMPLETE);
	end(s);
}

/* ---- logout ---- */

static uint32_t logout_send(struct peer *p, uint8_t reason, uint16_t cid)
{
	uint8_t bhs[BHS_LEN];

	peer_numbered(p, bhs, OP_LOGOUT | PDU_IMMEDIATE, PDU_FINAL | reason);
	put_be16(bhs + O_LOGOUT_CID, cid);
	peer_send(p, bhs, NULL, 0);
	return pdu_itt(bhs);
}

/* Another connection: it takes nothing more, is ended by the server, and then the answer goes where it was asked */
static void logout_other(void **state)
{
	struct pair s = two(NULL);
	uint32_t base = s.a->cmdsn, itt;
	struct reply r;

	(void)state;
	s.a->keep_logout = true;
	tur_at(s.b, base + 1);
	itt = logout_send(s.a, LOGOUT_CONNECTION, B_CID);
	assert_int_equal(s.a->logouts, 1);
	assert_ptr_equal(s.a->logout->conn, s.a->c);
	assert_ptr_equal(s.a->logout->victim, s.b->c);
	assert_false(s.a->logout->session);
	assert_int_equal(s.b->releases, 1);  /* what it held is a hole again */
	tur_at(s.b, base);
	assert_int_equal(s.a->commands, 0);
	peer_want_status(s.a, tur_at(s.a, base), 0, &r);
	peer_close(s.b);
	assert_null(s.a->logout->victim);
	isc_logout_complete(s.a->logout, ISC_LOGOUT_DONE);
	peer_want(s.a, OP_LOGOUT_RSP, &r);
	assert_int_equal(pdu_itt(r.h), itt);
	assert_int_equal(r.h[O_LOGOUT_RESPONSE], ISC_LOGOUT_DONE);
	assert_int_equal(s.a->closings, 0);
	peer_want_status(s.a, tur_at(s.a, base + 1), 0, &r);
	end(s);
}

static void logout_responses(void **state)
{
	static const struct { uint8_t reason; uint16_t cid; enum isc_logout_response want; } t[] = {
		{ LOGOUT_CONNECTION, 4, ISC_LOGOUT_NO_CID },
		{ LOGOUT_RECOVERY, B_CID, ISC_LOGOUT_NO_RECOVERY },
		{ LOGOUT_RECOVERY, 4, ISC_LOGOUT_NO_RECOVERY },
	};
	struct pair s = two(NULL);
	struct reply r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		logout_send(s.a, t[i].reason, t[i].cid);
		peer_want(s.a, OP_LOGOUT_RSP, &r);
		assert_int_equal(r.h[O_LOGOUT_RESPONSE], t[i].want);
		assert_int_equal(s.a->logouts, 0);
	}
	peer_want_status(s.b, peer_cmd(s.b, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	end(s);
}

/* The session: no connection takes anything more. The one that asked may die before the answer. */
static void logout_session(void **state)
{
	(void)state;
	for (int dies = 0; dies < 2; dies++) {
		struct pair s = two(NULL);
		uint32_t base = s.a->cmdsn;
		struct reply r;

		s.b->keep_logout = true;
		logout_send(s.b, LOGOUT_SESSION, 0);
		assert_true(s.b->logout->session);
		tur_at(s.a, base);
		tur_at(s.b, base);
		assert_int_equal(s.a->commands, 0);
		peer_close(s.a);
		if (dies)
			peer_close(s.b);
		isc_logout_complete(s.b->logout, ISC_LOGOUT_DONE);
		if (!dies) {
			peer_want(s.b, OP_LOGOUT_RSP, &r);
			assert_int_equal(s.b->why, ISC_CLOSE_LOGOUT);
		}
		end(s);
	}
}

/* A write in the middle of its data when its connection is logged out from elsewhere comes back in the end */
static void logout_in_a_pdu(void **state)
{
	struct pair s = two(NULL);
	uint8_t bhs[BHS_LEN], pdu[BHS_LEN + 512], data[512];

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	s.a->keep_logout = true;
	peer_cmd_bhs(s.b, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 512, 512);
	peer_pack(s.b, bhs, data, sizeof(data), pdu);
	peer_feed(s.b, pdu, BHS_LEN + 100);
	logout_send(s.a, LOGOUT_CONNECTION, B_CID);
	peer_feed(s.b, pdu + BHS_LEN + 100, 412);
	assert_int_equal(s.a->readies, 1);
	peer_close(s.b);
	isc_logout_complete(s.a->logout, ISC_LOGOUT_DONE);
	end(s);
}

/*
 * At error recovery level 1 a command with immediate data counts when its data is there and well. Until then another
 * connection may abort it (11.6.1: it counts as received and never comes) or log its own out (it was never received).
 */
static void data_still_to_come(void **state)
{
	(void)state;
	for (int aborts = 0; aborts < 2; aborts++) {
		struct pair s = two("MaxConnections=2\nInitialR2T=No\nErrorRecoveryLevel=1\nDataDigest=CRC32C\n");
		uint8_t bhs[BHS_LEN], pdu[BHS_LEN + 512 + DIGEST_LEN], data[512];
		uint32_t base = s.a->cmdsn;
		struct reply r;

		pattern_fill(data, 0, sizeof(data));
		s.a->keep_logout = s.b->keep_logout = true;
		peer_cmd_bhs(s.a, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 512, 512);
		assert_int_equal(peer_pack(s.a, bhs, data, sizeof(data), pdu), sizeof(pdu));
		peer_feed(s.a, pdu, BHS_LEN + 100);
		if (aborts)
			want_tmf(s.b, tmf_at(s.b, PDU_IMMEDIATE, ISC_TMF_ABORT_TASK, base + 1, pdu_itt(bhs), base),
				 ISC_TMF_COMPLETE);
		else
			logout_send(s.b, LOGOUT_CONNECTION, A_CID);
		peer_feed(s.a, pdu + BHS_LEN + 100, sizeof(pdu) - BHS_LEN - 100);
		assert_int_equal(s.a->commands, 0);
		assert_int_equal(s.a->releases, 1);
		peer_want_status(s.b, tur_at(s.b, base + (uint32_t)aborts), 0, &r);
		assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 1 + (uint32_t)aborts);
		if (!aborts)
			isc_logout_complete(s.b->logout, ISC_LOGOUT_DONE);
		end(s);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(order), cmocka_unit_test(one_window), cmocka_unit_test(immediate),
		cmocka_unit_test(slow_data), cmocka_unit_test(overtaken), cmocka_unit_test(held_ping),
		cmocka_unit_test(held_too_much), cmocka_unit_test(allegiance), cmocka_unit_test(same_itt),
		cmocka_unit_test(refused), cmocka_unit_test(keys), cmocka_unit_test(login_in_steps),
		cmocka_unit_test(holes_again), cmocka_unit_test(leading_ends), cmocka_unit_test(ends_in_a_pdu),
		cmocka_unit_test(connection_reinstated), cmocka_unit_test(abort_on_other),
		cmocka_unit_test(abort_then_gone), cmocka_unit_test(abort_before_its_turn),
		cmocka_unit_test(waits_for_commands), cmocka_unit_test(waits_no_longer),
		cmocka_unit_test(logout_other), cmocka_unit_test(logout_responses), cmocka_unit_test(logout_session),
		cmocka_unit_test(logout_in_a_pdu), cmocka_unit_test(data_still_to_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
