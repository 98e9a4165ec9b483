/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUN codec, REPORT LUNS, READ CAPACITY, REQUEST SENSE, REPORT TARGET PORT GROUPS, small commands */
#include "tests/unit/scsi/scsi_test.h"

/* SAM-5 4.7.6 ff. */
static void test_lun_codec(void **state)
{
	static const struct { uint8_t wire[8]; int lun; } rows[] = {
		{ { 0 }, 0 },
		{ { 0, 255 }, 255 },
		{ { 0x40, 0x00 }, 0 },                  /* flat space addressing */
		{ { 0x41, 0x2c }, 300 },
		{ { 0x7f, 0xff }, 16383 },
		{ { 0x01, 0x05 }, SC_NO_LUN },          /* peripheral, another bus */
		{ { 0x80, 0x01 }, SC_NO_LUN },          /* logical unit addressing */
		{ { 0xc1, 0x00 }, SC_NO_LUN },          /* well-known: REPORT LUNS */
		{ { 0xd2, 0x00, 0x01 }, SC_NO_LUN },    /* extended flat */
		{ { 0, 1, 0, 1 }, SC_NO_LUN },          /* second level */
		{ { 0, 1, 0, 0, 0, 0, 0, 1 }, SC_NO_LUN },
	};
	uint8_t wire[8];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(sc_lun_decode(rows[i].wire), rows[i].lun);
	for (unsigned n = 0; n <= SC_LUN_MAX; n++) {
		sc_lun_encode((uint16_t)n, wire);
		assert_int_equal(wire[0] >> 6, n > 255);
		assert_int_equal(sc_lun_decode(wire), n);
	}
}

/* SPC-4 6.33 */
static void test_report_luns(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0xa0, 0, 0, [9] = 128);

	assert_int_equal(f->in_len, 32);
	assert_int_equal(get_be32(p), 24);
	assert_int_equal(get_be64(p + 8), 0);
	assert_int_equal(get_be64(p + 16), 1ull << 48);
	assert_int_equal(get_be64(p + 24), 0x412cull << 48);
	assert_int_equal(f->op.flags, SC_LUNS_REPORTED);
	p = ANSWER(f, ALICE, 0xa0, 0, 1, [9] = 128);  /* well-known logical units: none */
	assert_int_equal(f->in_len, 8);
	assert_int_equal(get_be32(p), 0);
	assert_int_equal(f->op.flags, 0);
	for (unsigned i = 0; i < 2; i++) {            /* administrative, subsidiary: none */
		ANSWER(f, ALICE, 0xa0, 0, i ? 0x10 : 0x12, [9] = 128);
		assert_int_equal(f->in_len, 8);
	}
	p = ANSWER(f, ALICE, 0xa0, 0, 0x11, [9] = 128);
	assert_int_equal(get_be32(p), 24);
	assert_int_equal(f->op.flags, SC_LUNS_REPORTED);
	p = ANSWER(f, ALICE, 0xa0, 0, 2, [9] = 16);   /* the list length is that of the whole list */
	assert_int_equal(f->in_len, 16);
	assert_int_equal(get_be32(p), 24);
	START(f, ALICE, 0xa0, 0, 3, [9] = 16);
	assert_bad_cdb(&f->op, 2);
	START(f, ALICE, 0xa0, 0, 0x13, [9] = 16);
	assert_bad_cdb(&f->op, 2);
	START(f, ALICE, 0xa0, 0, 0, [9] = 15);
	assert_bad_cdb(&f->op, 6);
}

/* SBC-3 5.15, 5.16 */
static void test_capacity(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x25);

	assert_int_equal(f->in_len, 8);
	assert_int_equal(get_be32(p), 0xfff);
	assert_int_equal(get_be32(p + 4), 512);
	p = ANSWER(f, ALICE, 0x9e, 0x10, [13] = 255);
	assert_int_equal(f->in_len, 32);
	assert_int_equal(get_be64(p), 0xfff);
	assert_int_equal(get_be32(p + 8), 512);
	assert_int_equal(p[12], 0);                   /* P_TYPE, PROT_EN */
	assert_int_equal(p[13], 3);                   /* LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT */
	assert_int_equal(get_be16(p + 14), 0x8003);   /* LBPME, no LBPRZ, LOWEST ALIGNED LOGICAL BLOCK ADDRESS */
	f->lu.flags |= SC_LU_UNMAP_ZEROES;
	assert_int_equal(get_be16(ANSWER(f, ALICE, 0x9e, 0x10, [13] = 32) + 14), 0xc003);
	f->lu.unmap_max = 0;
	f->lu.lowest_aligned = 0;
	assert_int_equal(get_be16(ANSWER(f, ALICE, 0x9e, 0x10, [13] = 32) + 14), 0);
	f->lu.blocks = 0x100000000ull;                /* the last one still fits, and is ambiguous on purpose */
	assert_int_equal(get_be32(ANSWER(f, ALICE, 0x25)), UINT32_MAX);
	f->lu.blocks = 1ull << 40;
	assert_int_equal(get_be32(ANSWER(f, ALICE, 0x25)), UINT32_MAX);
	assert_int_equal(get_be64(ANSWER(f, ALICE, 0x9e, 0x10, [13] = 32)), (1ull << 40) - 1);
	ANSWER(f, ALICE, 0x9e, 0x10, [13] = 12);
	assert_int_equal(f->in_len, 12);
}

/* SPC-4 6.39: parameter data, GOOD, in the format DESC asks for */
static void test_request_sense(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x03, 0, 0, 0, 252);

	assert_int_equal(f->in_len, 18);
	assert_int_equal(p[0], 0x70);
	assert_int_equal(p[2], 0);
	sc_ua_add(&f->itl[ALICE].ua, SC_UA_LU_RESET);
	sc_ua_add(&f->itl[ALICE].ua, SC_UA_MODE_CHANGED);
	p = ANSWER(f, ALICE, 0x03, 1, 0, 0, 252);
	assert_int_equal(f->in_len, 8);
	assert_int_equal(p[0], 0x72);
	assert_int_equal(p[1], SC_KEY_UNIT_ATTENTION);
	assert_int_equal(get_be16(p + 2), SC_UA_LU_RESET);
	p = ANSWER(f, ALICE, 0x03, 0, 0, 0, 14);
	assert_int_equal(f->in_len, 14);
	assert_int_equal(get_be16(p + 12), SC_UA_MODE_CHANGED);
	assert_int_equal(sc_ua_peek(&f->itl[ALICE].ua), SC_UA_NONE);
	f->ctx[BOB].lu = NULL;
	f->ctx[BOB].itl = NULL;
	p = ANSWER(f, BOB, 0x03, 0, 0, 0, 252);
	assert_int_equal(p[2], SC_KEY_ILLEGAL_REQUEST);
	assert_int_equal(get_be16(p + 12), SC_ASC_NO_LUN);
}

/* SPC-4 6.37: a port group for each portal group, both header formats */
static void test_target_port_groups(void **state)
{
	static const uint8_t expect[] = { 0, 0, 0, 28, 0x00, 0x81, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3,
					  0x00, 0x81, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2 };
	struct sc_tport ports[] = { { 1, 1 }, { 2, 7 }, { 3, 1 } };
	struct fix *f = *state;
	uint8_t *p;

	f->tgt.ports = ports;
	f->tgt.n_ports = 3;
	p = ANSWER(f, ALICE, 0xa3, 0x0a, [9] = 255);
	assert_int_equal(f->in_len, sizeof(expect));
	assert_memory_equal(p, expect, sizeof(expect));
	f->lu.alua = SC_ALUA_TRANSITIONING;
	p = ANSWER(f, ALICE, 0xa3, 0x2a, [9] = 255);
	assert_int_equal(f->in_len, sizeof(expect) + 4);
	assert_int_equal(get_be32(p), sizeof(expect));
	assert_int_equal(p[4], 0x10);
	assert_int_equal(p[8], 0x0f);
	assert_memory_equal(p + 9, expect + 5, 15);
	START(f, ALICE, 0xa3, 0x4a, [9] = 255);
	assert_bad_cdb(&f->op, 1);
	f->lu.alua = SC_ALUA_OPTIMIZED;
	START(f, ALICE, 0xa4, 0x0a, [9] = 8);         /* SET TARGET PORT GROUPS: TPGS says implicit only */
	assert_int_equal(f->op.sense.key, SC_KEY_ILLEGAL_REQUEST);
}

/* SPC-4 6.31, 6.42, 7.2.4 */
static void test_diagnostics(void **state)
{
	static const uint8_t page0[4], page1[4] = { 1 }, long0[4] = { 0, 0, 0, 1 };
	struct fix *f = *state;
	uint8_t *p;

	for (uint8_t pcv = 0; pcv < 2; pcv++) {
		p = ANSWER(f, ALICE, 0x1c, pcv, 0, 0, 255);
		assert_int_equal(f->in_len, 5);
		assert_memory_equal(p, "\0\0\0\1\0", 5);
	}
	START(f, ALICE, 0x1c, 1, 0x40, 0, 255);
	assert_bad_cdb(&f->op, 2);
	START(f, ALICE, 0x1d, 0x04);                  /* default self-test */
	assert_good(&f->op);
	START(f, ALICE, 0x1d, 0x24);                  /* background self-test */
	assert_bad_cdb(&f->op, 1);
	START(f, ALICE, 0x1d, 0x14, 0, 0, 4);         /* a self-test takes no list */
	assert_bad_cdb(&f->op, 3);
	START(f, ALICE, 0x1d, 0x00, 0, 0, 4);         /* PF 0 */
	assert_bad_cdb(&f->op, 1);
	START(f, ALICE, 0x1d, 0x10, 0, 0, 4);
	assert_int_equal(f->op.kind, SC_OP_PARAM);
	sc_op_param(&f->ctx[ALICE], &f->op, page0, 4);
	assert_good(&f->op);
	START(f, ALICE, 0x1d, 0x10, 0, 0, 4);
	sc_op_param(&f->ctx[ALICE], &f->op, page1, 4);
	assert_bad_param(&f->op, 0);
	START(f, ALICE, 0x1d, 0x10, 0, 0, 4);
	sc_op_param(&f->ctx[ALICE], &f->op, long0, 4);
	assert_bad_param(&f->op, 2);
	START(f, ALICE, 0x1d, 0x10, 0, 0, 3);
	sc_op_param(&f->ctx[ALICE], &f->op, page0, 3);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
}

static void test_no_data_commands(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x00);
	assert_good(&f->op);
	START(f, ALICE, 0x1e, 0, 0, 0, 1);
	assert_good(&f->op);
	START(f, ALICE, 0x1e, 0, 0, 0, 2);  /* PREVENT 10b is obsolete */
	assert_bad_cdb(&f->op, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lun_codec),
		FIX_TEST(test_report_luns),
		FIX_TEST(test_capacity),
		FIX_TEST(test_request_sense),
		FIX_TEST(test_target_port_groups),
		FIX_TEST(test_diagnostics),
		FIX_TEST(test_no_data_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
