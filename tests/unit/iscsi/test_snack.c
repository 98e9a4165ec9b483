/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_snack.c - SNACK: what is kept, what comes again and how, what is refused (RFC 7143 11.16) */
#include <string.h>

#include "node/iscsi/recover.h"
#include "tests/unit/iscsi/peer.h"

static struct peer *level1(const char *keys)
{
	struct peer *p = peer_new();
	char all[512];

	snprintf(all, sizeof(all), "ErrorRecoveryLevel=1\nMaxRecvDataSegmentLength=512\nMaxBurstLength=2048\n%s", keys);
	peer_full(p, all);
	assert_int_equal(isc_conn_params(p->c)->erl, 1);
	assert_int_equal(isc_conn_params(p->c)->max_outstanding_r2t, 1);
	return p;
}

static void snack(struct peer *p, uint8_t type, uint32_t itt, uint32_t tag, uint32_t begin, uint32_t run)
{
	uint8_t bhs[BHS_LEN];

	peer_bhs(bhs, OP_SNACK, PDU_FINAL | type, itt);
	put_be32(bhs + O_TTT, tag);
	put_be32(bhs + O_SNACK_BEGIN, begin);
	put_be32(bhs + O_SNACK_RUN, run);
	if (type == SNACK_DATA_ACK)
		bhs[O_LUN + 1] = 3;
	peer_send(p, bhs, NULL, 0);
}

static void ack(struct peer *p, uint32_t exp_statsn)
{
	uint8_t bhs[BHS_LEN];

	peer_bhs(bhs, OP_NOP_OUT | PDU_IMMEDIATE, PDU_FINAL, TAG_NONE);
	put_be32(bhs + O_TTT, TAG_NONE);
	put_be32(bhs + O_EXP_STATSN, exp_statsn);
	peer_send(p, bhs, NULL, 0);
}

/* A PDU as it came, for comparison with its copy */
struct seen {
	uint8_t h[BHS_LEN], data[1024];
	uint32_t len;
};

static void see(struct peer *p, struct seen *s)
{
	struct reply r;

	assert_true(peer_next(p, &r));
	memcpy(s->h, r.h, BHS_LEN);
	assert_true(r.len <= sizeof(s->data));
	if (r.len)
		memcpy(s->data, r.data, r.len);
	s->len = r.len;
}

/* 11.16: exact replicas, but for ExpCmdSN and MaxCmdSN, which are the current ones */
static void want_again(struct peer *p, const struct seen *s)
{
	struct seen again, was = *s;

	see(p, &again);
	memcpy(was.h + O_EXP_CMDSN, again.h + O_EXP_CMDSN, 8);
	assert_memory_equal(again.h, was.h, BHS_LEN);
	assert_int_equal(get_be32(again.h + O_EXP_CMDSN), p->cmdsn);
	assert_int_equal(again.len, was.len);
	assert_memory_equal(again.data, was.data, was.len);
}

/* GOOD, CHECK CONDITION with sense, Reject, NOP-In with data: each numbered response comes again */
static void status(void **state)
{
	struct peer *p = level1("");
	struct seen s[4];
	uint8_t bhs[BHS_LEN];

	(void)state;
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	see(p, &s[0]);
	peer_cmd(p, CDB_FAIL, PDU_FINAL, 0, 0, NULL, 0);
	see(p, &s[1]);
	snack(p, 9, TAG_NONE, TAG_NONE, 0, 0);
	see(p, &s[2]);
	assert_int_equal(s[2].h[O_OPCODE], OP_REJECT);
	assert_int_equal(s[2].h[O_REJECT_REASON], ISC_REJECT_INVALID_SNACK);
	peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(p, bhs, "ping!", 5);
	see(p, &s[3]);
	p->loose = true;
	for (int i = 0; i < 4; i++) {
		snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, get_be32(s[i].h + O_STATSN), 1);
		want_again(p, &s[i]);
		peer_want_nothing(p);
	}
	snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, get_be32(s[1].h + O_STATSN), 0);
	for (int i = 1; i < 4; i++)
		want_again(p, &s[i]);
	for (int i = 0; i < 3; i += 2)  /* asked for twice before one comes: all that is between */
		snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, get_be32(s[i].h + O_STATSN), 1);
	for (int i = 0; i < 3; i++)
		want_again(p, &s[i]);
	peer_want_nothing(p);
	ack(p, get_be32(s[2].h + O_STATSN));
	snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, 0, 0);
	want_again(p, &s[2]);
	want_again(p, &s[3]);
	peer_want_nothing(p);
	snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, get_be32(s[1].h + O_STATSN), 1);
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	peer_free(p);
}

/* A read of 2048 + 1000 bytes: PDUs of 512, the fourth ends a sequence and asks for an acknowledgement */
static uint32_t read_seen(struct peer *p, struct seen s[6])
{
	uint32_t itt = peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 3048, 3048, NULL, 0);

	for (uint32_t i = 0; i < 6; i++) {
		see(p, &s[i]);
		assert_int_equal(s[i].h[O_OPCODE], OP_DATA_IN);
		assert_int_equal(get_be32(s[i].h + O_DATASN), i);
		assert_int_equal(s[i].h[O_FLAGS], i == 3 ? PDU_FINAL | DATA_ACK : i == 5 ? PDU_FINAL | DATA_STATUS : 0);
		assert_int_equal(get_be32(s[i].h + O_TTT), i == 3 ? itt : TAG_NONE);
		assert_int_equal(s[i].h[O_LUN + 1], i == 3 ? 3 : 0);
	}
	peer_want_nothing(p);
	p->loose = true;
	return itt;
}

static void data(void **state)
{
	static const struct { uint32_t begin, run, from, end; } ok[] = {
		{ 1, 2, 1, 3 }, { 4, 0, 4, 6 }, { 0, 0, 0, 6 }, { 5, 1, 5, 6 }, { 3, 1, 3, 4 }, { 0, 6, 0, 6 },
	};
	static const uint32_t wrong[][2] = { { 6, 1 }, { 6, 0 }, { 0, 7 }, { 5, 2 }, { 5, UINT32_MAX }, { UINT32_MAX, 2 } };
	struct peer *p = level1("");
	struct seen s[6];
	uint32_t itt = read_seen(p, s);

	(void)state;
	assert_int_equal(p->keeps, 1);
	assert_int_equal(p->releases, 0);
	for (size_t i = 0; i < ARRAY_SIZE(ok); i++) {
		snack(p, SNACK_DATA, itt, TAG_NONE, ok[i].begin, ok[i].run);
		for (uint32_t sn = ok[i].from; sn < ok[i].end; sn++)
			want_again(p, &s[sn]);
		peer_want_nothing(p);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snack(p, SNACK_DATA, itt, TAG_NONE, wrong[i][0], wrong[i][1]);
		peer_want_reject(p, ISC_REJECT_PROTOCOL);
	}
	snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, get_be32(s[5].h + O_STATSN), 1);  /* it rode in the Data-In */
	want_again(p, &s[5]);
	/* two requests, one answer for both */
	snack(p, SNACK_DATA, itt, TAG_NONE, 2, 1);
	snack(p, SNACK_DATA, itt, TAG_NONE, 1, 3);
	for (int i = 1; i < 4; i++)
		want_again(p, &s[i]);
	peer_want_nothing(p);
	ack(p, get_be32(s[5].h + O_STATSN) + 1);
	assert_int_equal(p->releases, 1);
	snack(p, SNACK_DATA, itt, TAG_NONE, 0, 0);
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	peer_free(p);
}

/* What was acknowledged is not to be asked for again */
static void data_ack(void **state)
{
	struct peer *p = level1("");
	struct seen s[6];
	uint32_t itt = read_seen(p, s);

	(void)state;
	snack(p, SNACK_DATA_ACK, TAG_NONE, itt + 1, 4, 0);
	peer_want_reject(p, ISC_REJECT_INVALID_SNACK);
	snack(p, SNACK_DATA_ACK, TAG_NONE, itt, 7, 0);
	peer_want_reject(p, ISC_REJECT_INVALID_SNACK);
	snack(p, SNACK_DATA, itt, TAG_NONE, 3, 2);
	snack(p, SNACK_DATA_ACK, TAG_NONE, itt, 4, 0);  /* found meanwhile */
	want_again(p, &s[4]);
	peer_want_nothing(p);
	snack(p, SNACK_DATA, itt, TAG_NONE, 3, 1);
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	snack(p, SNACK_DATA, itt, TAG_NONE, 0, 0);
	want_again(p, &s[4]);
	want_again(p, &s[5]);
	peer_want_nothing(p);
	peer_free(p);
}

static void new_segment(struct peer *p, const char *key)
{
	uint8_t bhs[BHS_LEN];
	char text[128];

	peer_numbered(p, bhs, OP_TEXT, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(p, bhs, text, (uint32_t)peer_text(text, key));
}

/* 11.16.3: cut anew from the last acknowledgement on, and a response of its own with the tag, under the same StatSN */
static void rdata(void **state)
{
	struct peer *p = level1("");
	struct seen s[6];
	uint32_t itt = read_seen(p, s), statsn = get_be32(s[5].h + O_STATSN);
	struct reply r;

	(void)state;
	snack(p, SNACK_DATA_ACK, TAG_NONE, itt, 4, 0);
	new_segment(p, "MaxRecvDataSegmentLength=768\n");
	peer_want(p, OP_TEXT_RSP, &r);
	for (uint32_t tag = 0x1234; tag < 0x1236; tag++) {
		snack(p, SNACK_RDATA, itt, tag, 0, 0);
		for (uint32_t i = 0; i < 2; i++) {
			peer_want(p, OP_DATA_IN, &r);
			assert_int_equal(get_be32(r.h + O_DATASN), 4 + i);
			assert_int_equal(get_be32(r.h + O_DATA_OFFSET), 2048 + 768 * i);
			assert_int_equal(r.len, i ? 232 : 768);
			assert_int_equal(r.h[O_FLAGS], i ? PDU_FINAL : 0);
			pattern_check(r.data, 2048 + 768 * i, r.len);
		}
		peer_want(p, OP_SCSI_RSP, &r);
		assert_int_equal(pdu_itt(r.h), itt);
		assert_int_equal(r.h[O_STATUS], 0);
		assert_int_equal(get_be32(r.h + O_STATSN), statsn);
		assert_int_equal(get_be32(r.h + O_RSP_SNACK_TAG), tag);
		assert_int_equal(get_be32(r.h + O_RSP_EXP_DATASN), 6);
		peer_want_nothing(p);
	}
	snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, statsn, 1);
	peer_want(p, OP_SCSI_RSP, &r);
	assert_int_equal(get_be32(r.h + O_RSP_SNACK_TAG), 0x1235);
	assert_int_equal(p->keeps, 1);
	ack(p, statsn + 1);
	assert_int_equal(p->releases, 1);
	peer_free(p);
}

/* Without R-Data, PDUs that were cut otherwise cannot be had again */
static void cut_otherwise(void **state)
{
	struct peer *p = level1("");
	uint32_t itt = peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 200000, 200000, NULL, 0);
	struct iovec iov[8];
	uint32_t off = 0;
	struct reply r;

	(void)state;
	assert_int_equal(isc_tx_iov(p->c, iov, ARRAY_SIZE(iov)), 6);  /* three are made */
	new_segment(p, "MaxRecvDataSegmentLength=1024\n");
	snack(p, SNACK_DATA, itt, TAG_NONE, 2, 1);
	for (uint32_t sn = 0; off < 200000; sn++) {
		uint32_t n = sn <= 3 ? 512 : 1024;  /* the fourth ends the sequence */

		peer_want(p, OP_DATA_IN, &r);
		assert_int_equal(get_be32(r.h + O_DATASN), sn);
		assert_int_equal(r.len, MIN(n, 200000 - off));
		off += r.len;
	}
	peer_want(p, OP_TEXT_RSP, &r);
	peer_want_nothing(p);  /* it was asked for before the cut changed, but cannot come after */
	p->loose = true;
	snack(p, SNACK_DATA, itt, TAG_NONE, 2, 1);
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	for (uint32_t sn = 3; sn < 6; sn++) {
		snack(p, SNACK_DATA, itt, TAG_NONE, sn, 1);
		peer_want(p, OP_DATA_IN, &r);
		assert_int_equal(get_be32(r.h + O_DATASN), sn);
		assert_int_equal(get_be32(r.h + O_DATA_OFFSET), sn == 3 ? 1536 : 2048 + 1024 * (sn - 4));
	}
	peer_free(p);
}

static void r2t(void **state)
{
	struct peer *p = level1("InitialR2T=Yes\nImmediateData=No\n");
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 3000, 3000, NULL, 0);
	struct reply r;
	struct seen s;

	(void)state;
	see(p, &s);
	assert_int_equal(s.h[O_OPCODE], OP_R2T);
	for (int i = 0; i < 3; i++) {
		snack(p, SNACK_DATA, itt, TAG_NONE, 0, i == 1);
		want_again(p, &s);
	}
	snack(p, SNACK_DATA, itt, TAG_NONE, 1, 0);
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	snack(p, SNACK_DATA, itt, TAG_NONE, 0, 2);
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	snack(p, SNACK_DATA, itt, TAG_NONE, 0, 0);  /* the data is faster: nothing to be asked for any more */
	peer_data_out(p, itt, get_be32(s.h + O_TTT), 0, 0, 2048, true);
	see(p, &s);
	assert_int_equal(s.h[O_OPCODE], OP_R2T);
	assert_int_equal(get_be32(s.h + O_DATASN), 1);
	assert_int_equal(get_be32(s.h + O_DATA_OFFSET), 2048);
	assert_int_equal(get_be32(s.h + O_R2T_LENGTH), 952);
	peer_want_nothing(p);
	snack(p, SNACK_DATA, itt, TAG_NONE, 1, 1);
	p->rewait = true;
	peer_data_out(p, itt, get_be32(s.h + O_TTT), 0, 2048, 952, true);
	peer_want_nothing(p);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_want_status(p, itt, 0, &r);
	assert_int_equal(get_be32(r.h + O_RSP_EXP_DATASN), 2);
	assert_int_equal(p->keeps, 0);  /* a write is released at once: its status is all that is kept */
	assert_int_equal(p->releases, 1);
	peer_free(p);
}

static void invalid(void **state)
{
	static const struct { uint8_t type; bool itt; uint32_t tag, begin, run; enum isc_reject why; } bad[] = {
		{ SNACK_DATA, false, TAG_NONE, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_DATA, true, 5, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_STATUS, true, TAG_NONE, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_STATUS, false, 5, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_STATUS, false, TAG_NONE, 499, 1, ISC_REJECT_PROTOCOL },
		{ SNACK_STATUS, false, TAG_NONE, 600, 0, ISC_REJECT_PROTOCOL },
		{ SNACK_RDATA, true, 0, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_RDATA, true, TAG_NONE, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_RDATA, true, 5, 1, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_RDATA, true, 5, 0, 1, ISC_REJECT_INVALID_SNACK },
		{ SNACK_RDATA, false, 5, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_DATA_ACK, true, TAG_NONE, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ SNACK_DATA_ACK, false, 5, 0, 1, ISC_REJECT_INVALID_SNACK },
		{ SNACK_DATA_ACK, false, 5, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ 4, true, TAG_NONE, 0, 0, ISC_REJECT_INVALID_SNACK },
		{ 15, true, TAG_NONE, 0, 0, ISC_REJECT_INVALID_SNACK },
	};
	struct peer *p = level1("");
	uint32_t itt;

	(void)state;
	p->manual = true;
	itt = peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 512, 512, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snack(p, bad[i].type, bad[i].itt ? itt : TAG_NONE, bad[i].tag, bad[i].begin, bad[i].run);
		peer_want_reject(p, bad[i].why);
	}
	snack(p, SNACK_DATA, itt, TAG_NONE, 0, 0);  /* nothing was sent yet */
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	snack(p, SNACK_DATA, itt + 1, TAG_NONE, 0, 0);
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	assert_int_equal(p->closings, 0);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_free(p);
}

/* Level 0: nothing is kept, everything is refused */
static void level0(void **state)
{
	struct peer *p = peer_new();
	struct reply r;
	uint32_t itt;

	(void)state;
	peer_full(p, "ErrorRecoveryLevel=0\nMaxOutstandingR2T=8\n");
	assert_int_equal(isc_conn_params(p->c)->max_outstanding_r2t, 8);
	itt = peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 512, 512, NULL, 0);
	peer_want_status(p, itt, 0, &r);
	assert_int_equal(p->releases, 1);
	assert_int_equal(p->keeps, 0);
	assert_null(p->c->retain);
	snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, 0, 0);
	peer_want_reject(p, ISC_REJECT_SNACK);
	peer_free(p);
}

/* The server may be short of memory: the status stays, as a response of its own, the data goes */
static void forgotten(void **state)
{
	struct peer *p = level1("");
	uint32_t itt, statsn;
	struct reply r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		p->no_keep = i;
		itt = peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 512, 512, NULL, 0);
		p->loose = false;
		peer_want_status(p, itt, 0, &r);
		p->loose = true;
		statsn = get_be32(r.h + O_STATSN);
		assert_int_equal(p->releases, (unsigned)i + (i == 1));
		isc_conn_forget(p->c);
		assert_int_equal(p->releases, (unsigned)i + 1);
		snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, statsn, 1);
		peer_want(p, OP_SCSI_RSP, &r);
		assert_int_equal(pdu_itt(r.h), itt);
		assert_int_equal(get_be32(r.h + O_STATSN), statsn);
		assert_int_equal(get_be32(r.h + O_RSP_EXP_DATASN), 1);
		snack(p, SNACK_DATA, itt, TAG_NONE, 0, 0);
		peer_want_reject(p, ISC_REJECT_SNACK);
		p->statsn++;
	}
	peer_free(p);
}

/* Limits: bytes of read data, bytes of pings, number of responses */
static void limits(void **state)
{
	enum { MIB = 1 << 20, BYTES = ISC_RETAIN_BYTES_MAX / MIB, PINGS = ISC_RETAIN_CTL_MAX / 8192 };
	struct peer *p = peer_new();
	static uint8_t ping[8192];
	uint8_t bhs[BHS_LEN];
	struct reply r;
	uint32_t first = 0;

	(void)state;
	peer_full(p, "ErrorRecoveryLevel=1\nMaxRecvDataSegmentLength=1048576\nMaxBurstLength=1048576\n");
	for (unsigned i = 0; i < BYTES + 3; i++) {
		peer_want_status(p, peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, MIB, MIB, NULL, 0), 0, &r);
		assert_int_equal(p->releases, i < BYTES ? 0 : i - BYTES + 1);
		assert_true(p->c->retain->data_bytes <= ISC_RETAIN_BYTES_MAX);
	}
	for (unsigned i = 0; i < PINGS + 3; i++) {
		peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
		put_be32(bhs + O_TTT, TAG_NONE);
		peer_send(p, bhs, ping, sizeof(ping));
		peer_want(p, OP_NOP_IN, &r);
		if (!first)
			first = get_be32(r.h + O_STATSN);
		assert_true(p->c->retain->ctl_bytes <= ISC_RETAIN_CTL_MAX);
	}
	assert_int_equal(p->c->retain->from, first + 3);
	assert_int_equal(p->releases, BYTES + 3);
	for (unsigned i = 0; i < ISC_RETAIN_MAX + 3; i++) {
		peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
		put_be32(bhs + O_TTT, TAG_NONE);
		peer_send(p, bhs, NULL, 0);
		peer_want(p, OP_NOP_IN, &r);
	}
	assert_int_equal(p->c->retain->ctl_bytes, 0);
	assert_int_equal(p->c->statsn - p->c->retain->from, ISC_RETAIN_MAX);
	p->loose = true;
	snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, p->c->retain->from - 1, 1);
	peer_want_reject(p, ISC_REJECT_SNACK);
	snack(p, SNACK_STATUS, TAG_NONE, TAG_NONE, p->c->retain->from, 1);
	peer_want(p, OP_NOP_IN, &r);
	peer_free(p);
}

/* An acknowledgement may come before the server says that the PDU is gone; nonsense acknowledges nothing */
static void early_ack(void **state)
{
	struct peer *p = level1("");
	struct iovec iov[8];
	struct reply r;
	uint32_t sn;

	(void)state;
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 512, 512, NULL, 0);
	sn = p->c->statsn;
	assert_true(isc_tx_iov(p->c, iov, ARRAY_SIZE(iov)) > 0);
	ack(p, sn + 2);
	assert_int_equal(p->c->retain->acked, 500 + 0);
	ack(p, sn + 1);
	assert_int_equal(p->releases, 0);  /* its data is being sent */
	assert_true(peer_next(p, &r));
	assert_int_equal(p->releases, 1);
	assert_int_equal(p->keeps, 0);
	ack(p, sn - 1);
	assert_int_equal(p->c->retain->acked, sn + 1);
	peer_free(p);
}

/* The tag of a command that is over may be used again, even while its status is not acknowledged */
static void same_tag(void **state)
{
	struct peer *p = level1("");
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	for (int i = 0; i < 3; i++) {
		p->itt = 0x4711;
		peer_cmd_bhs(p, bhs, CDB_READ, PDU_FINAL | CMD_READ, 512, 512);
		if (i)
			bhs[O_OPCODE] |= PDU_IMMEDIATE;
		peer_send(p, bhs, NULL, 0);
		peer_want_status(p, 0x4711, 0, &r);
		p->cmdsn -= i > 0;
	}
	assert_int_equal(p->releases, 0);
	assert_int_equal(p->keeps, 3);
	assert_int_equal(p->c->sess->immediate, 0);
	/* nor is it there for ABORT TASK: the response is on its way */
	peer_numbered(p, bhs, OP_TMF | PDU_IMMEDIATE, PDU_FINAL | ISC_TMF_ABORT_TASK);
	put_be32(bhs + O_TMF_REF_ITT, 0x4711);
	put_be32(bhs + O_TMF_REF_CMDSN, p->cmdsn - 1);
	peer_send(p, bhs, NULL, 0);
	peer_want(p, OP_TMF_RSP, &r);
	assert_int_equal(r.h[O_TMF_RESPONSE], ISC_TMF_NO_TASK);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(status), cmocka_unit_test(data), cmocka_unit_test(data_ack), cmocka_unit_test(rdata),
		cmocka_unit_test(cut_otherwise), cmocka_unit_test(r2t), cmocka_unit_test(invalid),
		cmocka_unit_test(level0), cmocka_unit_test(forgotten), cmocka_unit_test(limits),
		cmocka_unit_test(early_ack), cmocka_unit_test(same_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
