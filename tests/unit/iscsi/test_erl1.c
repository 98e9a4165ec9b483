/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_erl1.c - error recovery level 1: broken and lost PDUs of the initiator (RFC 7143 7.2, 7.3, 7.8, 7.9) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static struct peer *level1(const char *keys)
{
	struct peer *p = peer_new();
	char all[512];

	snprintf(all, sizeof(all), "MaxOutstandingR2T=4\nErrorRecoveryLevel=1\nHeaderDigest=CRC32C\nDataDigest=CRC32C\n"
		 "MaxBurstLength=4096\nFirstBurstLength=2048\n%s", keys);
	peer_full(p, all);
	assert_int_equal(isc_conn_params(p->c)->erl, 1);
	return p;
}

/* Send a PDU with one bit wrong, @at bytes from its end */
static int send_broken(struct peer *p, const uint8_t *bhs, const void *data, uint32_t len, size_t at)
{
	uint8_t out[8192];
	size_t n = peer_pack(p, bhs, data, len, out);

	out[n - at] ^= 0x10;
	return peer_feed(p, out, n);
}

static void broken_data_out(struct peer *p, uint32_t itt, uint32_t ttt, uint32_t sn, uint32_t off, uint32_t len, bool final)
{
	uint8_t bhs[BHS_LEN], data[4096];

	peer_bhs(bhs, OP_DATA_OUT, final ? PDU_FINAL : 0, itt);
	bhs[O_LUN + 1] = 3;
	put_be32(bhs + O_TTT, ttt);
	put_be32(bhs + O_DATASN, sn);
	put_be32(bhs + O_DATA_OFFSET, off);
	pattern_fill(data, off, len);
	assert_int_equal(send_broken(p, bhs, data, len, 60), 0);
}

/* Return: its tag */
static uint32_t want_r2t(struct peer *p, uint32_t itt, uint32_t sn, uint32_t off, uint32_t len)
{
	struct reply r;

	peer_want(p, OP_R2T, &r);
	assert_int_equal(pdu_itt(r.h), itt);
	assert_int_equal(r.h[O_LUN + 1], 3);
	assert_int_equal(get_be32(r.h + O_DATASN), sn);
	assert_int_equal(get_be32(r.h + O_DATA_OFFSET), off);
	assert_int_equal(get_be32(r.h + O_R2T_LENGTH), len);
	return pdu_ttt(r.h);
}

/* 13.17, 13.19: sequences in order and recovery allow one R2T, whatever order the keys come in */
static void one_r2t(void **state)
{
	static const struct { const char *keys; uint32_t erl, r2t; } t[] = {
		{ "MaxOutstandingR2T=4\nErrorRecoveryLevel=2\n", 1, 1 },
		{ "ErrorRecoveryLevel=1\nMaxOutstandingR2T=4\n", 1, 1 },
		{ "ErrorRecoveryLevel=0x1\nMaxOutstandingR2T=4\n", 1, 4 },
		{ "MaxOutstandingR2T=4\nErrorRecoveryLevel=0x1\n", 0, 4 },
		{ "MaxOutstandingR2T=4\nErrorRecoveryLevel=0\n", 0, 4 },
		{ "ErrorRecoveryLevel=1\n", 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = peer_new();

		peer_full(p, t[i].keys);
		assert_int_equal(isc_conn_params(p->c)->erl, t[i].erl);
		if (t[i].erl)
			assert_int_equal(isc_conn_params(p->c)->max_outstanding_r2t, 1);
		else
			assert_int_equal(isc_conn_params(p->c)->max_outstanding_r2t, t[i].r2t);
		peer_free(p);
	}
}

/* A target that is configured not to recover does not say it does */
static void not_offered(void **state)
{
	struct peer *p = peer_new();

	(void)state;
	p->cfg.max_erl = 0;
	peer_full(p, "ErrorRecoveryLevel=2\nMaxOutstandingR2T=4\n");
	assert_int_equal(isc_conn_params(p->c)->erl, 0);
	assert_int_equal(isc_conn_params(p->c)->max_outstanding_r2t, 4);
	peer_free(p);
}

/* In the middle and at the end of what was asked for: Reject, and when the sequence is over, an R2T for what is missing */
static void solicited(void **state)
{
	struct peer *p = level1("InitialR2T=Yes\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 6000, 6000, NULL, 0), ttt;
	struct reply r;

	(void)state;
	ttt = want_r2t(p, itt, 0, 0, 4096);
	peer_data_out(p, itt, ttt, 0, 0, 1024, false);
	broken_data_out(p, itt, ttt, 1, 1024, 1024, false);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	peer_data_out(p, itt, ttt, 2, 2048, 1024, false);
	peer_want_nothing(p);  /* waits for the F bit */
	peer_data_out(p, itt, ttt, 3, 3072, 1024, true);
	ttt = want_r2t(p, itt, 1, 1024, 1024);
	broken_data_out(p, itt, ttt, 0, 1024, 1024, true);
	ttt = want_r2t(p, itt, 2, 1024, 1024);  /* R2Ts overtake */
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	peer_data_out(p, itt, ttt, 0, 1024, 1024, true);
	ttt = want_r2t(p, itt, 3, 4096, 1904);
	peer_data_out(p, itt, ttt, 0, 4096, 1904, true);
	peer_want_status(p, itt, 0, &r);
	assert_int_equal(p->received[0], 6000);
	assert_int_equal(get_be32(r.h + O_RSP_EXP_DATASN), 4);
	assert_int_equal(p->closings, 0);
	peer_free(p);
}

/* PDUs that are not there at all: the DataSNs tell. Those that come twice are ignored. */
static void gap_solicited(void **state)
{
	struct peer *p = level1("InitialR2T=Yes\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 4096, 4096, NULL, 0), ttt, ttt2;
	uint64_t ignored = isc_conn_stats(p->c)->ignored;
	struct reply r;

	(void)state;
	ttt = want_r2t(p, itt, 0, 0, 4096);
	peer_data_out(p, itt, ttt, 1, 512, 512, false);
	peer_data_out(p, itt, ttt, 0, 0, 512, false);
	assert_int_equal(isc_conn_stats(p->c)->ignored, ignored + 1);
	peer_data_out(p, itt, ttt, 4, 2048, 1024, false);
	peer_data_out(p, itt, ttt, 5, 3072, 1024, true);
	ttt2 = want_r2t(p, itt, 1, 0, 2048);  /* both gaps, and what is between */
	peer_data_out(p, itt, ttt2, 0, 0, 2048, true);
	peer_want_status(p, itt, 0, &r);
	peer_free(p);
}

static void unsolicited(void **state)
{
	struct peer *p = level1("InitialR2T=No\nImmediateData=Yes\n");
	uint8_t data[512];
	uint32_t itt, ttt;
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 5000, 5000, data, 512);
	broken_data_out(p, itt, TAG_NONE, 0, 512, 512, false);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	peer_data_out(p, itt, TAG_NONE, 2, 1536, 512, true);  /* and one is missing */
	ttt = want_r2t(p, itt, 0, 512, 1024);
	peer_data_out(p, itt, TAG_NONE, 2, 1536, 512, true);  /* a copy */
	peer_data_out(p, itt, ttt, 0, 512, 1024, true);
	ttt = want_r2t(p, itt, 1, 2048, 2952);
	peer_data_out(p, itt, ttt, 0, 2048, 2952, true);
	peer_want_status(p, itt, 0, &r);
	assert_int_equal(p->received[0], 5000);
	peer_free(p);
}

/* Nobody misses what the command does not take */
static void surplus(void **state)
{
	struct peer *p = level1("InitialR2T=No\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 2048, 1000, NULL, 0), ttt;
	struct reply r;

	(void)state;
	broken_data_out(p, itt, TAG_NONE, 0, 0, 1024, false);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	broken_data_out(p, itt, TAG_NONE, 1, 1024, 1024, true);
	ttt = want_r2t(p, itt, 0, 0, 1000);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	peer_data_out(p, itt, ttt, 0, 0, 1000, true);
	peer_want_status(p, itt, 0, &r);
	itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 2048, 1000, NULL, 0);
	peer_data_out(p, itt, TAG_NONE, 0, 0, 1024, false);
	broken_data_out(p, itt, TAG_NONE, 1, 1024, 1024, true);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	peer_want_status(p, itt, 0, &r);
	peer_free(p);
}

/* 7.3, 7.8: such a command was never there; it comes again with its CmdSN and takes its turn */
static void immediate_data(void **state)
{
	struct peer *p = level1("InitialR2T=No\nImmediateData=Yes\n");
	uint8_t bhs[BHS_LEN], data[600];
	uint32_t itt;
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	peer_cmd_bhs(p, bhs, CDB_WRITE, CMD_WRITE, 1200, 1200);
	assert_int_equal(send_broken(p, bhs, data, 600, 20), 0);
	peer_want(p, OP_REJECT, &r);
	assert_int_equal(r.h[O_REJECT_REASON], ISC_REJECT_DATA_DIGEST);
	assert_memory_equal(r.data, bhs, 5);
	assert_memory_equal(r.data + 8, bhs + 8, BHS_LEN - 8);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), pdu_cmdsn(bhs));
	assert_int_equal(p->commands, 0);
	peer_data_out(p, pdu_itt(bhs), TAG_NONE, 0, 600, 600, true);  /* was on its way */
	itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_want_nothing(p);
	peer_send(p, bhs, data, 600);
	peer_want_status(p, itt, 0, &r);
	peer_data_out(p, pdu_itt(bhs), TAG_NONE, 0, 600, 600, true);
	peer_want_status(p, pdu_itt(bhs), 0, &r);
	assert_int_equal(p->cmdsn_log[0], pdu_cmdsn(bhs));
	/* a retry of what arrived well is ignored, with its data */
	peer_send(p, bhs, data, 600);
	peer_data_out(p, pdu_itt(bhs), TAG_NONE, 0, 600, 600, true);
	peer_want_nothing(p);
	assert_int_equal(p->commands, 2);
	assert_int_equal(p->closings, 0);
	peer_free(p);
}

/* ... and one that came before its turn waits for it with its data */
static void immediate_data_ahead(void **state)
{
	struct peer *p = level1("InitialR2T=No\nImmediateData=Yes\n");
	uint8_t first[BHS_LEN], bhs[BHS_LEN], data[600];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	peer_cmd_bhs(p, first, CDB_TUR, PDU_FINAL, 0, 0);
	peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 600, 600);
	assert_int_equal(send_broken(p, bhs, data, 600, 20), 0);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	peer_send(p, bhs, data, 600);
	peer_want_nothing(p);
	peer_send(p, first, NULL, 0);
	peer_want_status(p, pdu_itt(first), 0, &r);
	peer_want_status(p, pdu_itt(bhs), 0, &r);
	assert_int_equal(p->c->sess->held_bytes, 0);
	peer_free(p);
}

/* Other requests: discarded, and their CmdSN is free for another attempt; so for whatever is rejected */
static void requests(void **state)
{
	struct peer *p = level1("");
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	for (int immediate = 0; immediate < 2; immediate++) {
		peer_numbered(p, bhs, OP_NOP_OUT | (immediate ? PDU_IMMEDIATE : 0), PDU_FINAL);
		put_be32(bhs + O_TTT, TAG_NONE);
		assert_int_equal(send_broken(p, bhs, "ping", 4, 1), 0);
		peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
		peer_send(p, bhs, "ping", 4);
		peer_want(p, OP_NOP_IN, &r);
	}
	peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 5, 0);  /* length without direction */
	peer_send(p, bhs, NULL, 0);
	peer_want_reject(p, ISC_REJECT_INVALID_FIELD);
	put_be32(bhs + O_CMD_EDTL, 0);
	peer_send(p, bhs, NULL, 0);
	peer_want_status(p, pdu_itt(bhs), 0, &r);
	peer_free(p);
}

/* A header that cannot be trusted: nobody knows where the next PDU begins (7.8) */
static void header(void **state)
{
	struct peer *p = level1("");
	uint8_t bhs[BHS_LEN];

	(void)state;
	peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 0, 0);
	assert_int_equal(send_broken(p, bhs, NULL, 0, 1), -1);
	assert_int_equal(p->why, ISC_CLOSE_HEADER_DIGEST);
	peer_free(p);
}

/* Sequence reception timeout: first the R2T again, then another one for the rest */
static void overdue(void **state)
{
	struct peer *p = level1("InitialR2T=Yes\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 4096, 4096, NULL, 0), ttt;
	struct reply r;

	(void)state;
	ttt = want_r2t(p, itt, 0, 0, 4096);
	isc_conn_tick(p->c);
	peer_want_nothing(p);  /* it was just sent */
	isc_conn_tick(p->c);
	assert_int_equal(want_r2t(p, itt, 0, 0, 4096), ttt);
	peer_data_out(p, itt, ttt, 0, 0, 1000, false);
	isc_conn_tick(p->c);
	peer_want_nothing(p);
	isc_conn_tick(p->c);
	ttt = want_r2t(p, itt, 1, 1000, 3096);
	isc_conn_tick(p->c);
	isc_conn_tick(p->c);
	assert_int_equal(want_r2t(p, itt, 1, 1000, 3096), ttt);
	isc_conn_tick(p->c);
	ttt = want_r2t(p, itt, 2, 1000, 3096);
	peer_data_out(p, itt, ttt, 0, 1000, 3096, true);
	peer_want_status(p, itt, 0, &r);
	peer_free(p);
}

/* A slow line: while data of others comes, more patience */
static void overdue_behind_others(void **state)
{
	struct peer *p = level1("InitialR2T=Yes\nImmediateData=No\n");
	uint32_t one = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 4096, 4096, NULL, 0), ttt1, ttt;
	uint32_t two = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 4096, 4096, NULL, 0);
	struct reply r;

	(void)state;
	ttt1 = want_r2t(p, one, 0, 0, 4096);
	ttt = want_r2t(p, two, 0, 0, 4096);
	isc_conn_tick(p->c);
	for (uint32_t i = 0; i < ISC_SILENT_MAX; i++) {
		peer_want_nothing(p);
		peer_data_out(p, one, ttt1, i, i * 100, 100, false);
		isc_conn_tick(p->c);
	}
	assert_int_equal(want_r2t(p, two, 0, 0, 4096), ttt);
	peer_data_out(p, two, ttt, 0, 0, 4096, true);
	peer_want_status(p, two, 0, &r);
	peer_free(p);
}

static void overdue_unsolicited(void **state)
{
	struct peer *p = level1("InitialR2T=No\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 3000, 3000, NULL, 0), ttt;
	struct reply r;

	(void)state;
	isc_conn_tick(p->c);
	peer_data_out(p, itt, TAG_NONE, 0, 0, 1000, false);
	isc_conn_tick(p->c);
	peer_want_nothing(p);
	isc_conn_tick(p->c);
	ttt = want_r2t(p, itt, 0, 1000, 2000);
	peer_data_out(p, itt, ttt, 0, 1000, 2000, true);
	peer_want_status(p, itt, 0, &r);
	peer_free(p);
}

/* An answer that waits for data which never comes does not wait for ever */
static void overdue_drain(void **state)
{
	struct peer *p = level1("InitialR2T=No\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_FAIL, CMD_WRITE, 3000, 3000, NULL, 0);
	struct reply r;

	(void)state;
	peer_want_nothing(p);
	isc_conn_tick(p->c);
	isc_conn_tick(p->c);
	peer_want_status(p, itt, 2, &r);
	peer_free(p);
}

/* A line that breaks everything: the command ends, the initiator's SCSI layer decides */
static void hopeless(void **state)
{
	struct peer *p = level1("InitialR2T=Yes\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 1024, 1024, NULL, 0);
	struct reply r;
	uint32_t ttt = want_r2t(p, itt, 0, 0, 1024);

	(void)state;
	for (uint32_t i = 1; i <= ISC_RECOVER_MAX + 1; i++) {
		broken_data_out(p, itt, ttt, 0, 0, 1024, true);
		if (i <= ISC_RECOVER_MAX)
			ttt = want_r2t(p, itt, i, 0, 1024);
		peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	}
	peer_want_status(p, itt, 2, &r);
	assert_int_equal(get_be16(r.data + 2 + 12), 0x4705);
	assert_int_equal(p->readies, 0);
	peer_free(p);
}

/* ... but a long write on a line that breaks something now and then goes through */
static void patient(void **state)
{
	enum { BURSTS = ISC_RECOVER_MAX + 4 };
	struct peer *p = level1("InitialR2T=Yes\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, BURSTS * 4096, BURSTS * 4096, NULL, 0);
	uint32_t ttt = want_r2t(p, itt, 0, 0, 4096);
	struct reply r;

	(void)state;
	for (uint32_t i = 0; i < BURSTS; i++) {
		broken_data_out(p, itt, ttt, 0, i * 4096, 4096, true);
		ttt = want_r2t(p, itt, 2 * i + 1, i * 4096, 4096);
		peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
		peer_data_out(p, itt, ttt, 0, i * 4096, 4096, true);
		if (i + 1 < BURSTS)
			ttt = want_r2t(p, itt, 2 * i + 2, (i + 1) * 4096, 4096);
	}
	peer_want_status(p, itt, 0, &r);
	peer_free(p);
}

/* Each connection keeps its own responses, and recovers its own tasks */
static void connections(void **state)
{
	struct peer *a = level1("MaxConnections=2\n"), *b = peer_join(a, 3);
	uint8_t bhs[BHS_LEN];
	struct reply r;
	uint32_t itt;

	(void)state;
	assert_int_equal(isc_conn_params(b->c)->erl, 1);
	itt = peer_cmd(a, CDB_READ, PDU_FINAL | CMD_READ, 512, 512, NULL, 0);
	peer_want_status(a, itt, 0, &r);
	assert_int_equal(a->keeps, 1);
	peer_bhs(bhs, OP_SNACK, PDU_FINAL | SNACK_DATA, itt);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(b, bhs, NULL, 0);
	peer_want_reject(b, ISC_REJECT_PROTOCOL);
	a->loose = true;
	peer_send(a, bhs, NULL, 0);
	peer_want_status(a, itt, 0, &r);
	peer_free(b);
	assert_int_equal(a->releases, 0);
	peer_free(a);
}

/* While the immediate data of a command is on its way, another connection brings the same CmdSN: one of them counts */
static void overtaken(void **state)
{
	struct peer *a = level1("MaxConnections=2\nInitialR2T=No\n"), *b = peer_join(a, 3);
	uint8_t bhs[BHS_LEN], data[600], out[1024];
	struct reply r;
	uint32_t itt;
	size_t n;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	peer_cmd_bhs(a, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 600, 600);
	n = peer_pack(a, bhs, data, 600, out);
	assert_int_equal(peer_feed(a, out, 200), 0);
	a->cmdsn--;
	itt = peer_cmd(b, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_want_status(b, itt, 0, &r);
	assert_int_equal(peer_feed(a, out + 200, n - 200), 0);
	peer_want_nothing(a);
	itt = peer_cmd(a, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_want_status(a, itt, 0, &r);
	assert_int_equal(a->c->sess->held_bytes, 0);
	assert_int_equal(a->c->sess->max_cmdsn + 1 - a->c->sess->exp_cmdsn, PEER_WINDOW);
	peer_free(b);
	peer_free(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_r2t), cmocka_unit_test(not_offered), cmocka_unit_test(solicited),
		cmocka_unit_test(gap_solicited), cmocka_unit_test(unsolicited), cmocka_unit_test(surplus),
		cmocka_unit_test(immediate_data), cmocka_unit_test(immediate_data_ahead), cmocka_unit_test(requests),
		cmocka_unit_test(header), cmocka_unit_test(overdue), cmocka_unit_test(overdue_unsolicited),
		cmocka_unit_test(overdue_behind_others),
		cmocka_unit_test(overdue_drain), cmocka_unit_test(hopeless), cmocka_unit_test(patient),
		cmocka_unit_test(connections), cmocka_unit_test(overtaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
