/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_write.c - write data: immediate, unsolicited, solicited, in every combination of InitialR2T, ImmediateData and
 * the burst lengths (RFC 7143 4.2.5.2, 11.7, 11.8, 13.10 … 13.17), and data that is wrong (7.9, 11.4.7.2)
 */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

enum { WR = CMD_WRITE };

/* struct plan - What is negotiated, and how much is written */
struct plan {
	const char *initial_r2t, *immediate;
	uint32_t first_burst, max_burst, max_r2t, dsl, edtl, len;
	unsigned want_r2ts;
};

static struct peer *planned(const struct plan *t)
{
	struct peer *p = peer_new();
	char keys[256];

	p->cfg.max_recv_dsl = t->dsl;
	snprintf(keys, sizeof(keys), "InitialR2T=%s\nImmediateData=%s\nMaxBurstLength=%u\nFirstBurstLength=%u\n"
		 "MaxOutstandingR2T=%u\n", t->initial_r2t, t->immediate, t->max_burst, t->first_burst, t->max_r2t);
	peer_full(p, keys);
	return p;
}

static uint32_t send_seq(struct peer *p, uint32_t itt, uint32_t ttt, uint32_t off, uint32_t len, uint32_t dsl)
{
	uint32_t sn = 0, done = 0;

	do {
		uint32_t n = MIN(dsl, len - done);

		peer_data_out(p, itt, ttt, sn++, off + done, n, done + n == len);
		done += n;
	} while (done < len);
	return sn;
}

/* Answer R2Ts until the status comes. Return: how many there were; all are checked */
static unsigned serve_r2ts(struct peer *p, const struct plan *t, uint32_t itt, uint32_t from, struct reply *r)
{
	uint32_t end = MIN(t->edtl, t->len);
	unsigned n = 0, open = 0;
	struct { uint32_t ttt, off, len; } r2t[ISC_R2T_MAX];

	for (;;) {
		while (peer_next(p, r) && r->h[O_OPCODE] == OP_R2T) {
			assert_int_equal(pdu_itt(r->h), itt);
			assert_int_equal(get_be32(r->h + O_DATASN), n++);  /* R2TSN */
			assert_int_equal(r->h[O_FLAGS], PDU_FINAL);
			assert_memory_equal(r->h + O_LUN, "\0\3\0\0\0\0\0\0", 8);
			assert_int_equal(get_be32(r->h + O_DATA_OFFSET), from);
			assert_true(open < t->max_r2t);
			r2t[open].ttt = pdu_ttt(r->h);
			r2t[open].off = from;
			r2t[open].len = get_be32(r->h + O_R2T_LENGTH);
			assert_int_equal(r2t[open].len, MIN(t->max_burst, end - from));
			from += r2t[open++].len;
			if (p->in_off == p->in_len && !isc_tx_pending(p->c))
				break;
		}
		if (r->h[O_OPCODE] != OP_R2T)
			return n;
		send_seq(p, itt, r2t[0].ttt, r2t[0].off, r2t[0].len, t->dsl);
		memmove(r2t, r2t + 1, --open * sizeof(r2t[0]));
	}
}

static void run_plan(const struct plan *t)
{
	bool unsolicited = strcmp(t->initial_r2t, "No") == 0;
	uint32_t first = MIN(t->first_burst, t->edtl), imm = 0, sent, want = MIN(t->edtl, t->len);
	struct peer *p = planned(t);
	uint8_t *data = malloc(t->edtl + 1);
	struct reply r;
	uint32_t itt;
	unsigned n;

	pattern_fill(data, 0, t->edtl);
	if (strcmp(t->immediate, "Yes") == 0)
		imm = MIN(first, t->dsl);
	sent = unsolicited ? first : imm;
	itt = peer_cmd(p, CDB_WRITE, (uint8_t)(WR | (sent > imm ? 0 : PDU_FINAL)), t->edtl, t->len, data, imm);
	if (sent > imm)
		send_seq(p, itt, TAG_NONE, imm, sent - imm, t->dsl);
	n = serve_r2ts(p, t, itt, sent, &r);
	assert_int_equal(n, t->want_r2ts);
	assert_int_equal(r.h[O_OPCODE], OP_SCSI_RSP);
	assert_int_equal(r.h[O_STATUS], 0);
	assert_int_equal(get_be32(r.h + O_RSP_EXP_DATASN), n);
	assert_int_equal(p->readies, 1);
	assert_int_equal(p->received[0], want);
	assert_int_equal(isc_conn_stats(p->c)->written_bytes, want);
	assert_int_equal(isc_conn_stats(p->c)->rejects, 0);
	/* 11.4.5.2: residual */
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL | (t->len > t->edtl ? RSP_OVERFLOW : 0) |
				       (t->len < t->edtl ? RSP_UNDERFLOW : 0));
	assert_int_equal(get_be32(r.h + O_RESIDUAL), t->len > t->edtl ? t->len - t->edtl : t->edtl - t->len);
	free(data);
	peer_free(p);
}

static void segmentation(void **state)
{
	static const struct plan plans[] = {
		/* R2T  imm   first  burst  r2ts dsl   edtl   len    R2Ts */
		{ "Yes", "No", 4096, 8192, 1, 2048, 20000, 20000, 3 },
		{ "Yes", "No", 4096, 8192, 4, 2048, 65536, 65536, 8 },
		{ "Yes", "No", 4096, 8192, 8, 1000, 8192, 8192, 1 },
		{ "Yes", "Yes", 4096, 8192, 1, 2048, 20000, 20000, 3 },
		{ "Yes", "Yes", 4096, 8192, 2, 8192, 4096, 4096, 0 },
		{ "Yes", "Yes", 4096, 8192, 2, 8192, 4097, 4097, 1 },
		{ "No", "Yes", 4096, 8192, 1, 2048, 20000, 20000, 2 },
		{ "No", "Yes", 4096, 8192, 1, 1024, 4096, 4096, 0 },
		{ "No", "No", 4096, 8192, 1, 1024, 4096, 4096, 0 },
		{ "No", "No", 4096, 8192, 3, 1024, 30000, 30000, 4 },
		{ "No", "No", 512, 512, 8, 512, 10000, 10000, 19 },
		{ "No", "Yes", 65536, 65536, 1, 65536, 1, 1, 0 },
		/* residuals: more offered than wanted, and less */
		{ "No", "Yes", 4096, 8192, 1, 2048, 20000, 512, 0 },
		{ "No", "Yes", 4096, 8192, 1, 2048, 20000, 6000, 1 },
		{ "Yes", "No", 4096, 8192, 1, 2048, 20000, 512, 1 },
		{ "Yes", "No", 4096, 8192, 1, 2048, 512, 1024, 1 },
		{ "No", "Yes", 4096, 8192, 1, 2048, 512, 1024, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plans); i++)
		run_plan(&plans[i]);
}

static struct peer *unsolicited_peer(void)
{
	static const struct plan t = { "No", "Yes", 4096, 8192, 2, 8192, 0, 0, 0 };

	return planned(&t);
}

/* No data wanted, none offered, and a write without the W bit */
static void nothing_to_write(void **state)
{
	struct peer *p = unsolicited_peer();
	struct reply r;

	(void)state;
	peer_want_status(p, peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 0, 0, NULL, 0), 0, &r);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL);
	peer_want_status(p, peer_cmd(p, CDB_WRITE, PDU_FINAL, 0, 512, NULL, 0), 0, &r);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL | RSP_OVERFLOW);
	assert_int_equal(get_be32(r.h + O_RESIDUAL), 512);
	assert_int_equal(p->readies, 2);
	peer_free(p);
}

/* 11.4.2: an answer given early waits for the end of the unsolicited data */
static void early_answer(void **state)
{
	struct peer *p = unsolicited_peer();
	struct reply r;
	uint32_t itt = peer_cmd(p, CDB_FAIL, WR, 4096, 4096, NULL, 0);

	(void)state;
	peer_want_nothing(p);
	peer_data_out(p, itt, TAG_NONE, 0, 0, 2048, false);
	peer_want_nothing(p);
	peer_data_out(p, itt, TAG_NONE, 1, 2048, 2048, true);
	peer_want_status(p, itt, 2, &r);
	assert_int_equal(get_be16(r.data), 18);
	assert_int_equal(p->readies, 0);
	peer_free(p);
}

/* The server gives up while its data is collected: what was asked for is waited for, no more is asked for */
static void gives_up(void **state)
{
	static const struct plan plan = { "Yes", "No", 4096, 8192, 2, 16384, 0, 0, 0 };
	struct peer *p = planned(&plan);
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 40000, 40000, NULL, 0), ttt[2];
	struct reply r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		peer_want(p, OP_R2T, &r);
		ttt[i] = pdu_ttt(r.h);
	}
	peer_data_out(p, itt, ttt[0], 0, 0, 8192, true);  /* makes room for a third R2T */
	isc_task_complete(&p->task[0]->t, 8, NULL, 0, NULL, 0);
	peer_want_nothing(p);
	peer_data_out(p, itt, ttt[1], 0, 8192, 8192, true);
	peer_want_status(p, itt, 8, &r);
	assert_int_equal(p->readies, 0);
	peer_free(p);
}

/* The server says late where the data belongs: what came before is there all the same */
static void late_buffer(void **state)
{
	struct peer *p = unsolicited_peer();
	uint8_t data[1024];
	struct reply r;
	uint32_t itt;
	struct ptask *t;

	(void)state;
	p->manual = true;
	pattern_fill(data, 0, sizeof(data));
	itt = peer_cmd(p, CDB_WRITE, WR, 6000, 6000, data, sizeof(data));
	peer_data_out(p, itt, TAG_NONE, 0, 1024, 1000, false);
	t = p->task[0];
	t->buf = malloc(6000);
	isc_task_expect_data(&t->t, t->buf, 6000);
	peer_want_nothing(p);
	peer_data_out(p, itt, TAG_NONE, 1, 2024, 2072, true);
	peer_want(p, OP_R2T, &r);
	send_seq(p, itt, pdu_ttt(r.h), 4096, 6000 - 4096, 8192);
	peer_want_status(p, itt, 0, &r);
	assert_int_equal(p->received[0], 6000);
	peer_free(p);
}

/* ... even in the middle of a PDU */
static void late_buffer_mid_pdu(void **state)
{
	struct peer *p = unsolicited_peer();
	uint8_t bhs[BHS_LEN], data[4000], pdu[BHS_LEN + 4000];
	struct ptask *t;
	struct reply r;
	uint32_t itt;
	void *to;
	size_t n;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	itt = peer_cmd(p, CDB_WRITE, WR, 2000, 2000, data, 1000);  /* a whole one before it, with an offset */
	peer_data_out(p, itt, TAG_NONE, 0, 1000, 1000, true);
	peer_want_status(p, itt, 0, &r);
	p->manual = true;
	peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | WR, 4000, 4000);
	n = peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, BHS_LEN + 1500);
	t = p->task[1];
	t->buf = malloc(4000);
	assert_int_equal(isc_rx_direct(p->c, &to), 0);
	isc_task_expect_data(&t->t, t->buf, 4000);
	assert_int_equal(p->readies, 1);
	assert_int_equal(isc_rx_direct(p->c, &to), 2500);  /* and the rest can go there straight */
	assert_ptr_equal(to, t->buf + 1500);
	peer_feed(p, pdu + BHS_LEN + 1500, n - BHS_LEN - 1500);
	peer_want_status(p, pdu_itt(bhs), 0, &r);
	assert_int_equal(p->received[1], 4000);
	peer_free(p);
}

/* 11.4.7.2: each kind of wrong data has its sense, given when the sequence has ended */
static void wrong_unsolicited(void **state)
{
	static const struct { uint32_t sn, off, len; uint16_t asc; } t[] = {
		{ 1, 0, 512, 0x4705 },     /* DataSN: one is missing */
		{ 27, 0, 512, 0x4705 },
		{ 0xffffffff, 0, 512, 0x4705 },
		{ 0, 512, 512, 0x0c0d },   /* a gap */
		{ 0, 0xfffffe00, 512, 0x0c0d },
		{ 0, 0, 4097, 0x0c0c },    /* beyond FirstBurstLength */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = unsolicited_peer();
		uint32_t itt = peer_cmd(p, CDB_WRITE, WR, 20000, 20000, NULL, 0);
		struct reply r;

		peer_data_out(p, itt, TAG_NONE, t[i].sn, t[i].off, t[i].len, false);
		peer_want_nothing(p);
		peer_data_out(p, itt, TAG_NONE, 1, 512, 0, true);
		peer_want_status(p, itt, 2, &r);
		assert_int_equal(get_be16(r.data + 14), t[i].asc);
		assert_int_equal(r.data[4], 0x0b);
		assert_int_equal(p->readies, 0);
		assert_int_equal(isc_conn_stats(p->c)->rejects, 0);
		/* the connection is none the worse for it */
		peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
		peer_free(p);
	}
}

/* Beyond the transfer, though within FirstBurstLength */
static void beyond_edtl(void **state)
{
	struct peer *p = unsolicited_peer();
	uint32_t itt = peer_cmd(p, CDB_WRITE, WR, 600, 600, NULL, 0);
	struct reply r;

	(void)state;
	peer_data_out(p, itt, TAG_NONE, 0, 0, 601, true);
	peer_want_status(p, itt, 2, &r);
	assert_int_equal(get_be16(r.data + 14), 0x0c0c);
	peer_free(p);
}

static void wrong_solicited(void **state)
{
	static const struct { uint32_t sn, off, len; bool final; uint16_t asc; } t[] = {
		{ 1, 0, 8192, true, 0x4705 },
		{ 0, 1, 8191, true, 0x0c0d },
		{ 0, 8192, 100, true, 0x0c0d },
		{ 0, 0xffffff00, 8192, true, 0x0c0d },
		{ 0, 0, 8000, true, 0x0c0d },           /* less than asked for */
	};
	static const struct plan plan = { "Yes", "No", 4096, 8192, 1, 16384, 0, 0, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = planned(&plan);
		uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 20000, 20000, NULL, 0);
		struct reply r;

		peer_want(p, OP_R2T, &r);
		peer_data_out(p, itt, pdu_ttt(r.h), t[i].sn, t[i].off, t[i].len, t[i].final);
		peer_want_status(p, itt, 2, &r);
		assert_int_equal(get_be16(r.data + 14), t[i].asc);
		assert_int_equal(p->readies, 0);
		peer_free(p);
	}
}

/* More than an R2T asked for, at its end */
static void longer_than_r2t(void **state)
{
	static const struct plan plan = { "Yes", "No", 4096, 8192, 1, 16384, 0, 0, 0 };
	struct peer *p = planned(&plan);
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 20000, 20000, NULL, 0), ttt;
	struct reply r;

	(void)state;
	peer_want(p, OP_R2T, &r);
	ttt = pdu_ttt(r.h);
	peer_data_out(p, itt, ttt, 0, 0, 8000, false);
	peer_data_out(p, itt, ttt, 1, 8000, 193, true);
	peer_want_status(p, itt, 2, &r);
	assert_int_equal(get_be16(r.data + 14), 0x0c0d);
	peer_free(p);
}

/* With a fault no more R2Ts are sent, but those outstanding are waited for */
static void fault_with_r2ts(void **state)
{
	static const struct plan plan = { "Yes", "No", 4096, 8192, 2, 16384, 0, 0, 0 };
	struct peer *p = planned(&plan);
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 40000, 40000, NULL, 0), ttt[2];
	struct reply r;

	(void)state;
	peer_want(p, OP_R2T, &r);
	ttt[0] = pdu_ttt(r.h);
	peer_want(p, OP_R2T, &r);
	ttt[1] = pdu_ttt(r.h);
	assert_int_not_equal(ttt[0], ttt[1]);
	peer_data_out(p, itt, ttt[0], 5, 0, 8192, true);
	peer_want_nothing(p);
	peer_data_out(p, itt, ttt[1], 0, 8192, 8192, true);
	peer_want_status(p, itt, 2, &r);
	assert_int_equal(get_be16(r.data + 14), 0x4705);
	peer_free(p);
}

/* ... nor is one sent that was only waiting for room */
static void fault_stops_r2ts(void **state)
{
	static const struct plan plan = { "Yes", "No", 4096, 8192, 2, 16384, 0, 0, 0 };
	struct peer *p = planned(&plan);
	uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 40000, 40000, NULL, 0), ttt[2];
	struct reply r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		peer_want(p, OP_R2T, &r);
		ttt[i] = pdu_ttt(r.h);
	}
	peer_data_out(p, itt, ttt[0], 0, 0, 8192, true);
	peer_data_out(p, itt, ttt[1], 7, 8192, 8192, true);
	peer_want_status(p, itt, 2, &r);
	peer_want_nothing(p);
	peer_free(p);
}

/* What the server does not want of the data is thrown away, the rest is in its place */
static void more_than_wanted(void **state)
{
	struct peer *p = unsolicited_peer();
	uint8_t data[4096];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	peer_want_status(p, peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 4096, 1000, data, 4096), 0, &r);
	assert_int_equal(p->received[0], 1000);
	assert_int_equal(get_be32(r.h + O_RESIDUAL), 3096);
	peer_free(p);
}

/* Two writes at a time, their data interleaved */
static void interleaved(void **state)
{
	static const struct plan plan = { "Yes", "No", 4096, 8192, 1, 4096, 0, 0, 0 };
	struct peer *p = planned(&plan);
	uint32_t itt[2], ttt[2];
	struct reply r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		itt[i] = peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 8192, 8192, NULL, 0);
		peer_want(p, OP_R2T, &r);
		assert_int_equal(pdu_itt(r.h), itt[i]);
		ttt[i] = pdu_ttt(r.h);
	}
	peer_data_out(p, itt[1], ttt[1], 0, 0, 4096, false);
	peer_data_out(p, itt[0], ttt[0], 0, 0, 4096, false);
	peer_data_out(p, itt[0], ttt[0], 1, 4096, 4096, true);
	peer_want_status(p, itt[0], 0, &r);
	peer_data_out(p, itt[1], ttt[1], 1, 4096, 4096, true);
	peer_want_status(p, itt[1], 0, &r);
	assert_int_equal(isc_conn_stats(p->c)->written_bytes, 2 * 8192);
	assert_int_equal(isc_conn_stats(p->c)->commands, 2);
	peer_free(p);
}

/* A buffer given while another PDU is being received does not disturb that one */
static void buffer_during_other_pdu(void **state)
{
	struct peer *p = unsolicited_peer();
	uint8_t bhs[BHS_LEN], data[400], pdu[BHS_LEN + 400];
	struct ptask *t;
	struct reply r;

	(void)state;
	p->manual = true;
	pattern_fill(data, 0, sizeof(data));
	peer_cmd(p, CDB_WRITE, PDU_FINAL | WR, 400, 400, data, sizeof(data));
	t = p->task[0];
	memset(data, 0xaa, sizeof(data));
	peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, BHS_LEN + 100);
	t->buf = malloc(400);
	isc_task_expect_data(&t->t, t->buf, 400);
	assert_int_equal(t->t.buf_len, 400);
	peer_feed(p, pdu + BHS_LEN + 100, 300);
	peer_want_status(p, t->t.itt, 0, &r);  /* op_data_ready() checked the data */
	peer_want(p, OP_NOP_IN, &r);
	assert_int_equal(r.len, 400);
	assert_memory_equal(r.data, data, 400);
	peer_free(p);
}

/* An answer of the server's in the middle of the command's own PDU waits for its end */
static void answer_mid_pdu(void **state)
{
	struct peer *p = unsolicited_peer();
	uint8_t bhs[BHS_LEN], data[400] = { 0 }, pdu[BHS_LEN + 400];
	struct reply r;

	(void)state;
	p->manual = true;
	peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | WR, 400, 400);
	peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, BHS_LEN + 100);
	isc_task_complete(&p->task[0]->t, 8, NULL, 0, NULL, 0);
	peer_want_nothing(p);
	peer_feed(p, pdu + BHS_LEN + 100, 300);
	peer_want_status(p, pdu_itt(bhs), 8, &r);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(segmentation), cmocka_unit_test(nothing_to_write), cmocka_unit_test(early_answer), cmocka_unit_test(gives_up),
		cmocka_unit_test(late_buffer), cmocka_unit_test(late_buffer_mid_pdu),
		cmocka_unit_test(wrong_unsolicited), cmocka_unit_test(beyond_edtl), cmocka_unit_test(wrong_solicited),
		cmocka_unit_test(longer_than_r2t), cmocka_unit_test(fault_with_r2ts),
		cmocka_unit_test(fault_stops_r2ts),
		cmocka_unit_test(more_than_wanted), cmocka_unit_test(interleaved),
		cmocka_unit_test(buffer_during_other_pdu), cmocka_unit_test(answer_mid_pdu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
