/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_read.c - Data-In: segments, sequences, status, residuals, numbers (RFC 7143 11.4, 11.7) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

enum { RD = PDU_FINAL | CMD_READ };

static struct peer *reader(uint32_t dsl, uint32_t burst)
{
	struct peer *p = peer_new();
	char keys[128];

	snprintf(keys, sizeof(keys), "MaxRecvDataSegmentLength=%u\nMaxBurstLength=%u\n", dsl, burst);
	peer_full(p, keys);
	return p;
}

/* The shape of all Data-In of one read. Return: number of PDUs */
static unsigned check_data_in(struct peer *p, uint32_t itt, uint32_t len, uint32_t dsl, uint32_t burst)
{
	uint32_t off = 0, in_burst = 0, sn = 0;
	struct reply r;

	while (off < len) {
		bool last, end;

		peer_want(p, OP_DATA_IN, &r);
		assert_int_equal(pdu_itt(r.h), itt);
		assert_int_equal(pdu_ttt(r.h), TAG_NONE);
		assert_int_equal(get_be32(r.h + O_DATASN), sn++);
		assert_int_equal(get_be32(r.h + O_DATA_OFFSET), off);
		assert_true(r.len <= dsl);
		pattern_check(r.data, off, r.len);
		off += r.len;
		in_burst += r.len;
		assert_true(in_burst <= burst);
		last = off == len;
		end = last || in_burst == burst;
		assert_int_equal(!!(r.h[O_FLAGS] & PDU_FINAL), end);
		assert_int_equal(!!(r.h[O_FLAGS] & DATA_STATUS), last);
		assert_true(end || r.len == dsl);  /* no PDU is smaller than need be */
		if (!last)
			assert_int_equal(get_be32(r.h + O_STATSN), 0);
		if (end)
			in_burst = 0;
	}
	return sn;
}

static void segmentation(void **state)
{
	static const struct { uint32_t dsl, burst, len; unsigned pdus; } t[] = {
		{ 8192, 262144, 1, 1 }, { 8192, 262144, 8192, 1 }, { 8192, 262144, 8193, 2 },
		{ 8192, 8192, 65536, 8 }, { 65536, 8192, 65536, 8 }, { 1000, 2500, 10000, 12 },
		{ 512, 512, 300000, 586 }, { 262144, 1048576, 1 << 20, 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = reader(t[i].dsl, t[i].burst);
		uint32_t itt = peer_cmd(p, CDB_READ, RD, t[i].len, t[i].len, NULL, 0);

		assert_int_equal(check_data_in(p, itt, t[i].len, t[i].dsl, t[i].burst), t[i].pdus);
		peer_want_nothing(p);
		assert_int_equal(isc_conn_stats(p->c)->read_bytes, t[i].len);
		peer_free(p);
	}
}

/* 11.4.5: what the command would transfer against what the initiator expects */
static void residuals(void **state)
{
	static const struct { uint8_t cdb, flags; uint32_t edtl, len, data; uint8_t want, status; } t[] = {
		{ CDB_READ, RD, 1000, 1000, 1000, 0, 0 },
		{ CDB_READ, RD, 1000, 512, 512, RSP_UNDERFLOW, 0 },
		{ CDB_READ, RD, 512, 1000, 512, RSP_OVERFLOW, 0 },
		{ CDB_READ, RD, 0, 512, 0, RSP_OVERFLOW, 0 },
		{ CDB_READ, RD, 512, 0, 0, RSP_UNDERFLOW, 0 },
		{ CDB_READ, PDU_FINAL, 0, 512, 0, RSP_OVERFLOW, 0 },            /* neither R nor W */
		{ CDB_READ, PDU_FINAL | CMD_WRITE, 512, 512, 0, RSP_UNDERFLOW, 0 }, /* the wrong direction */
		{ CDB_TUR, RD, 512, 0, 0, RSP_UNDERFLOW, 0 },
		{ CDB_TUR, PDU_FINAL, 0, 0, 0, 0, 0 },
		{ CDB_FAIL, RD, 512, 0, 0, RSP_UNDERFLOW, 2 },
		{ CDB_FAIL, PDU_FINAL, 0, 0, 0, 0, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = reader(8192, 262144);
		uint32_t itt = peer_cmd(p, t[i].cdb, t[i].flags, t[i].edtl, t[i].len, NULL, 0);
		uint32_t moved = t[i].len;
		struct reply r;

		if (t[i].cdb == CDB_READ && t[i].flags & CMD_WRITE)
			moved = 0;  /* it is the write that counts */
		peer_want_status(p, itt, t[i].status, &r);
		assert_int_equal(r.h[O_OPCODE], t[i].data ? OP_DATA_IN : OP_SCSI_RSP);
		assert_int_equal(r.h[O_FLAGS] & 0x1e, t[i].want);
		assert_int_equal(get_be32(r.h + O_RESIDUAL),
				 moved > t[i].edtl ? moved - t[i].edtl : t[i].edtl - moved);
		if (t[i].data)
			assert_int_equal(r.len, t[i].data);
		peer_free(p);
	}
}

/* Numbers: StatSN goes up with each status, MaxCmdSN with each answer */
static void numbers(void **state)
{
	struct peer *p = reader(512, 512);
	uint32_t statsn = 501, first = p->cmdsn;
	struct reply r;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {  /* more than the ring of headers has */
		uint32_t itt = peer_cmd(p, CDB_READ, RD, 1024, 1024, NULL, 0);

		peer_want(p, OP_DATA_IN, &r);
		assert_int_equal(get_be32(r.h + O_EXP_CMDSN), first + i + 1);
		assert_int_equal(get_be32(r.h + O_MAX_CMDSN), first + i + PEER_WINDOW - 1);
		peer_want_status(p, itt, 0, &r);
		assert_int_equal(get_be32(r.h + O_STATSN), statsn++);
		assert_int_equal(get_be32(r.h + O_EXP_CMDSN), first + i + 1);
		assert_int_equal(get_be32(r.h + O_MAX_CMDSN), first + i + PEER_WINDOW);
	}
	for (int i = 0; i < 100; i++)
		peer_want_status(p, peer_cmd(p, CDB_FAIL, PDU_FINAL, 0, 0, NULL, 0), 2, &r);
	peer_free(p);
}

/* Data and a status that is not GOOD: the status has a PDU of its own, with the sense data (11.4.7) */
static void data_and_error(void **state)
{
	static const uint8_t sense[] = { 0x72, 1, 2, 3 };
	struct peer *p = reader(8192, 262144);
	uint32_t itt;
	struct ptask *t;
	struct reply r;

	(void)state;
	p->manual = true;
	itt = peer_cmd(p, CDB_READ, RD, 1000, 1000, NULL, 0);
	t = p->task[0];
	t->buf = malloc(600);
	pattern_fill(t->buf, 0, 600);
	isc_task_complete(&t->t, 2, sense, sizeof(sense), t->buf, 600);
	peer_want(p, OP_DATA_IN, &r);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL);
	assert_int_equal(r.len, 600);
	peer_want_status(p, itt, 2, &r);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL | RSP_UNDERFLOW);
	assert_int_equal(get_be32(r.h + O_RESIDUAL), 400);
	assert_int_equal(get_be32(r.h + O_RSP_EXP_DATASN), 1);
	assert_int_equal(r.len, 2 + sizeof(sense));
	assert_int_equal(get_be16(r.data), sizeof(sense));
	assert_memory_equal(r.data + 2, sense, sizeof(sense));
	peer_free(p);
}

/* Sense longer than we carry is cut, not overrun */
static void long_sense(void **state)
{
	uint8_t sense[400];
	struct peer *p = reader(8192, 262144);
	struct reply r;
	uint32_t itt;

	(void)state;
	p->manual = true;
	memset(sense, 0x5a, sizeof(sense));
	itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	isc_task_complete(&p->task[0]->t, 2, sense, sizeof(sense), NULL, 0);
	peer_want_status(p, itt, 2, &r);
	assert_int_equal(get_be16(r.data), ISC_SENSE_MAX);
	assert_int_equal(r.len, 2 + ISC_SENSE_MAX);
	peer_free(p);
}

/* 11.4.5: a bidirectional command has a residual for each direction, and its status in a PDU of its own */
static void bidirectional(void **state)
{
	struct peer *p = reader(8192, 262144);
	uint8_t pdu[BHS_LEN + 8] = { 0 }, data[512];
	struct ptask *t;
	struct reply r;

	(void)state;
	p->manual = p->rewait = true;
	pattern_fill(data, 0, sizeof(data));
	peer_cmd_bhs(p, pdu, CDB_WRITE, PDU_FINAL | CMD_READ | CMD_WRITE, 512, 512);
	pdu[O_AHS_LEN] = 2;
	put_be16(pdu + BHS_LEN, 5);
	pdu[BHS_LEN + 2] = AHS_BIDI_READ;
	put_be32(pdu + BHS_LEN + 4, 2000);
	peer_send(p, pdu, data, sizeof(data));
	t = p->task[0];
	assert_int_equal(t->t.edtl_out, 512);
	assert_int_equal(t->t.edtl_in, 2000);
	t->buf = malloc(2000);
	isc_task_expect_data(&t->t, t->buf, 600);
	assert_int_equal(p->readies, 1);
	pattern_fill(t->buf, 0, 1500);
	isc_task_complete(&t->t, 0, NULL, 0, t->buf, 1500);
	peer_want(p, OP_DATA_IN, &r);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL);
	pattern_check(r.data, 0, 1500);
	peer_want(p, OP_SCSI_RSP, &r);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL | RSP_OVERFLOW | RSP_BIDI_UNDERFLOW);
	assert_int_equal(get_be32(r.h + O_RESIDUAL), 88);
	assert_int_equal(get_be32(r.h + O_RSP_BIDI_RESIDUAL), 500);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(segmentation), cmocka_unit_test(residuals), cmocka_unit_test(numbers),
		cmocka_unit_test(data_and_error), cmocka_unit_test(long_sense), cmocka_unit_test(bidirectional),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
