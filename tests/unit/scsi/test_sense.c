/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sense data formats (SPC-4 4.5) and the unit attention queue (SAM-5 5.14) */
#include "tests/unit/scsi/scsi_test.h"

static void test_fixed(void **state)
{
	struct sc_sense s = sc_sense_info(SC_KEY_MEDIUM_ERROR, SC_ASC_UNRECOVERED_READ, 0x12345678);
	uint8_t b[SC_SENSE_MAX];

	(void)state;
	assert_int_equal(sc_sense_encode(&s, false, b), 18);
	assert_memory_equal(b, "\xf0\0\x03\x12\x34\x56\x78\x0a\0\0\0\0\x11\0\0\0\0\0", 18);
	s.info = UINT32_MAX;
	(void)sc_sense_encode(&s, false, b);
	assert_memory_equal(b, "\xf0\0\x03\xff\xff\xff\xff", 7);
	s.info = 0x100000000ull;  /* does not fit: VALID stays zero */
	(void)sc_sense_encode(&s, false, b);
	assert_memory_equal(b, "\x70\0\x03\0\0\0\0\x0a\0\0\0\0\x11\0\0\0\0\0", 18);
}

static void test_descriptor(void **state)
{
	struct sc_sense s = sc_sense_info(SC_KEY_MISCOMPARE, SC_ASC_MISCOMPARE_VERIFY, 0x123456789abull);
	uint8_t b[SC_SENSE_MAX];

	(void)state;
	assert_int_equal(sc_sense_encode(&s, true, b), 20);
	assert_memory_equal(b, "\x72\x0e\x1d\0\0\0\0\x0c" "\0\x0a\x80\0\0\0\x01\x23\x45\x67\x89\xab", 20);
	s = sc_sense_make(SC_KEY_NOT_READY, SC_ASC_BECOMING_READY);
	assert_int_equal(sc_sense_encode(&s, true, b), 8);
	assert_memory_equal(b, "\x72\x02\x04\x01\0\0\0\0", 8);
}

/* SPC-4 4.5.2.4.2: SKSV, C/D, BPV, bit and byte */
static void test_field_pointer(void **state)
{
	struct sc_sense s = sc_sense_cdb(SC_ASC_INVALID_FIELD_CDB, 0x0102, 7);
	uint8_t b[SC_SENSE_MAX];

	(void)state;
	(void)sc_sense_encode(&s, false, b);
	assert_int_equal(b[15], 0xcf);
	s.bit = 5;
	(void)sc_sense_encode(&s, false, b);
	assert_memory_equal(b + 12, "\x24\0\0\xcd\x01\x02", 6);
	assert_int_equal(sc_sense_encode(&s, true, b), 16);
	assert_memory_equal(b + 7, "\x08\x02\x06\0\0\xcd\x01\x02\0", 9);
	s = sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, 8, SC_NO_BIT);
	(void)sc_sense_encode(&s, false, b);
	assert_memory_equal(b + 12, "\x26\0\0\x80\0\x08", 6);
	s.info_valid = true;  /* the largest there is */
	assert_int_equal(sc_sense_encode(&s, true, b), 28);
	assert_int_equal(b[7], 20);
}

/* D_SENSE of the Control page decides */
static void test_op_sense(void **state)
{
	struct fix *f = *state;
	uint8_t b[SC_SENSE_MAX];

	START(f, ALICE, 0x00);
	assert_int_equal(sc_op_sense(&f->ctx[ALICE], &f->op, b), 0);
	START(f, ALICE, 0x04);  /* FORMAT UNIT: not there */
	assert_int_equal(sc_op_sense(&f->ctx[ALICE], &f->op, b), 18);
	assert_int_equal(b[0], 0x70);
	f->lu.set.mode.d_sense = true;
	assert_int_equal(sc_op_sense(&f->ctx[ALICE], &f->op, b), 16);
	assert_int_equal(b[0], 0x72);
}

static void take(struct sc_ua *ua, unsigned code)
{
	assert_int_equal(sc_ua_peek(ua), code);
	assert_int_equal(sc_ua_take(ua), code);
}

static void test_ua_order(void **state)
{
	struct sc_ua ua = { 0 };

	(void)state;
	take(&ua, SC_UA_NONE);
	sc_ua_add(&ua, SC_UA_NONE);
	sc_ua_add(&ua, SC_UA_MODE_CHANGED);
	sc_ua_add(&ua, SC_UA_RESERVATIONS_RELEASED);
	sc_ua_add(&ua, SC_UA_MODE_CHANGED);     /* merged */
	sc_ua_add(&ua, SC_UA_NEXUS_LOSS);       /* a reset is reported first, and keeps the rest */
	take(&ua, SC_UA_NEXUS_LOSS);
	take(&ua, SC_UA_MODE_CHANGED);
	take(&ua, SC_UA_RESERVATIONS_RELEASED);
	take(&ua, SC_UA_NONE);
}

/* SAM-5 table 48: the stronger reset stays, the weaker one is implied; power on clears everything */
static void test_ua_resets(void **state)
{
	struct sc_ua ua = { 0 };

	(void)state;
	sc_ua_add(&ua, SC_UA_NEXUS_LOSS);
	sc_ua_add(&ua, SC_UA_LU_RESET);
	sc_ua_add(&ua, SC_UA_NEXUS_LOSS);
	sc_ua_add(&ua, SC_UA_TARGET_RESET);
	sc_ua_add(&ua, SC_UA_LU_RESET);
	take(&ua, SC_UA_TARGET_RESET);
	take(&ua, SC_UA_NONE);
	sc_ua_add(&ua, SC_UA_CAPACITY_CHANGED);
	sc_ua_add(&ua, SC_UA_LU_RESET);
	sc_ua_add(&ua, SC_UA_POWER_ON);
	sc_ua_add(&ua, SC_UA_LUNS_CHANGED);     /* established after it: kept */
	take(&ua, SC_UA_POWER_ON);
	take(&ua, SC_UA_LUNS_CHANGED);
	take(&ua, SC_UA_NONE);
}

static void test_ua_del(void **state)
{
	struct sc_ua ua = { 0 };

	(void)state;
	sc_ua_add(&ua, SC_UA_MODE_CHANGED);
	sc_ua_add(&ua, SC_UA_LUNS_CHANGED);
	sc_ua_add(&ua, SC_UA_CAPACITY_CHANGED);
	sc_ua_del(&ua, SC_UA_LUNS_CHANGED);
	sc_ua_del(&ua, SC_UA_LUNS_CHANGED);
	take(&ua, SC_UA_MODE_CHANGED);
	take(&ua, SC_UA_CAPACITY_CHANGED);
	take(&ua, SC_UA_NONE);
}

/* More codes than the queue holds: nothing is silently lost, POWER ON says it all */
static void test_ua_overflow(void **state)
{
	struct sc_ua ua = { 0 };

	(void)state;
	for (unsigned i = 0; i < SC_UA_MAX; i++)
		sc_ua_add(&ua, (uint16_t)(0x3f40 + i));
	assert_int_equal(ua.n, SC_UA_MAX);
	sc_ua_add(&ua, 0x3f40);
	assert_int_equal(ua.n, SC_UA_MAX);
	sc_ua_add(&ua, SC_UA_LU_RESET);
	take(&ua, SC_UA_POWER_ON);
	take(&ua, SC_UA_NONE);
	sc_ua_add(&ua, SC_UA_POWER_ON);
	for (unsigned i = 0; i < SC_UA_MAX + 3; i++)
		sc_ua_add(&ua, (uint16_t)(0x3f40 + i));
	take(&ua, SC_UA_POWER_ON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_field_pointer),
		FIX_TEST(test_op_sense),
		cmocka_unit_test(test_ua_order),
		cmocka_unit_test(test_ua_resets),
		cmocka_unit_test(test_ua_del),
		cmocka_unit_test(test_ua_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
