/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Soft thresholds of logical block provisioning; SBC-3 4.7.3, 6.3, 6.4, 6.6.5 */
#include "tests/unit/scsi/scsi_test.h"

#define MIB (1u << 20)
#define PAGE 0x1c
#define SUBPAGE 0x02

static int setup(void **state)
{
	int rc = fix_setup(state);
	struct fix *f = *state;

	f->lu.threshold_exp = 11;  /* sets of 1 MiB */
	return rc;
}
#define THIN_TEST(t) cmocka_unit_test_setup_teardown(t, setup, fix_teardown)

/* A MODE SELECT(10) of the page; byte 4 of the header on: no block descriptor */
static void select_page(struct fix *f, unsigned sp, const uint8_t *page, uint32_t len)
{
	uint8_t list[8 + 64] = { 0 };

	memcpy(list + 8, page, len);
	list[8] &= 0x7f;  /* PS is reserved here */
	START(f, ALICE, 0x55, (uint8_t)(0x10 | sp), [8] = (uint8_t)(8 + len));
	assert_int_equal(f->op.kind, SC_OP_PARAM);
	sc_op_param(&f->ctx[ALICE], &f->op, list, 8 + len);
}

static const uint8_t none_set[32] = { 0xdc, 2, 0, 28, [16] = 0x00, 0x01, [24] = 0x01, 0x02 };
static const uint8_t both_set[32] = { 0xdc, 2, 0, 28, [16] = 0x80, 0x01, 0, 0, 0, 0, 1, 4, [24] = 0x81, 0x02, 0, 0, 0, 0, 0, 9 };

static void assert_page(struct fix *f, unsigned pc, const uint8_t want[32])
{
	assert_memory_equal(ANSWER(f, ALICE, 0x5a, 8, (uint8_t)(pc << 6 | PAGE), SUBPAGE, [8] = 255) + 8, want, 32);
	assert_int_equal(f->in_len, 8 + 32);
}

static void test_mode_page(void **state)
{
	static const uint8_t mask[32] = { 0xdc, 2, 0, 28, [16] = 0x80, 0, 0, 0, 255, 255, 255, 255,
					  [24] = 0x80, 0, 0, 0, 255, 255, 255, 255 };
	struct fix *f = *state;

	assert_page(f, 0, none_set);
	assert_page(f, 1, mask);
	select_page(f, 0, both_set, 32);
	assert_int_equal(settings_do(f), SC_UA_MODE_CHANGED);
	assert_page(f, 0, both_set);
	assert_page(f, 2, none_set);
	assert_page(f, 3, none_set);
	select_page(f, 1, both_set, 32);
	assert_int_equal(settings_do(f), SC_UA_NONE);  /* saved only */
	assert_page(f, 3, both_set);
	select_page(f, 0, none_set, 32);
	settings_do(f);
	assert_page(f, 0, none_set);
	assert_page(f, 3, both_set);
	f->lu.flags |= SC_LU_MODE_FIXED;
	assert_int_equal(ANSWER(f, ALICE, 0x5a, 8, 0x40 | PAGE, SUBPAGE, [8] = 255)[8 + 16], 0);
}

/* What a descriptor is about cannot be changed, and all of them have to be there. */
static void test_mode_page_refused(void **state)
{
	static const struct { uint8_t at, value; } facts[] = {
		{ 4, 0x01 }, { 16, 0x81 }, { 16, 0x88 }, { 17, 0x02 }, { 24, 0x80 }, { 25, 0x01 }, { 26, 0x01 },
	};
	struct fix *f = *state;
	uint8_t page[32];

	for (unsigned i = 0; i < ARRAY_SIZE(facts); i++) {
		memcpy(page, both_set, 32);
		page[facts[i].at] = facts[i].value;
		select_page(f, 0, page, 32);
		assert_bad_param(&f->op, 8u + facts[i].at);
	}
	memcpy(page, both_set, 32);
	page[3] = 20;
	select_page(f, 0, page, 24);
	assert_bad_param(&f->op, 8 + 2);
}

/* Without thresholds there is none of it. */
static void test_not_there(void **state)
{
	struct fix *f = *state;

	assert_int_equal(ANSWER(f, ALICE, 0x12, 1, 0xb2, 0, 255)[4], 11);
	f->lu.threshold_exp = 0;
	assert_int_equal(ANSWER(f, ALICE, 0x12, 1, 0xb2, 0, 255)[4], 0);
	START(f, ALICE, 0x5a, 8, PAGE, SUBPAGE, [8] = 255);
	assert_bad_cdb(&f->op, 3);
	select_page(f, 0, both_set, 32);
	assert_bad_param(&f->op, 8);
	START(f, ALICE, 0x4d, 0, 0x4c, [8] = 255);
	assert_bad_cdb(&f->op, 2);
}

/* Read-Write Error Recovery: LBPERE, there only where storage can run out; other bits of the page stay facts. */
static void test_lbpere(void **state)
{
	static const uint8_t off[12] = { 0x81, 10 };
	struct fix *f = *state;

	assert_int_equal(ANSWER(f, ALICE, 0x5a, 8, 0x01, [8] = 255)[8 + 7], 0x80);
	assert_int_equal(ANSWER(f, ALICE, 0x5a, 8, 0x41, [8] = 255)[8 + 7], 0x80);
	select_page(f, 0, both_set, 32);
	settings_do(f);
	select_page(f, 0, off, 12);
	assert_int_equal(settings_do(f), SC_UA_MODE_CHANGED);
	assert_int_equal(ANSWER(f, ALICE, 0x5a, 8, 0x01, [8] = 255)[8 + 7], 0);
	assert_page(f, 0, both_set);  /* thresholds are another page's */
	sc_lu_set_space(&f->lu, 100 * (uint64_t)MIB, 0, true);
	assert_int_equal(sc_thresholds_reached(&f->lu), 0);
	select_page(f, 0, none_set, 32);
	settings_do(f);
	assert_int_equal(ANSWER(f, ALICE, 0x5a, 8, 0x01, [8] = 255)[8 + 7], 0);
	f->lu.unmap_max = 0;
	assert_int_equal(ANSWER(f, ALICE, 0x5a, 8, 0x41, [8] = 255)[8 + 7], 0);
}

/* Used: at or above. Available: at or below. */
static void test_reached(void **state)
{
	const unsigned used = 1u << SC_USED, available = 1u << SC_AVAILABLE;
	struct fix *f = *state;

	select_page(f, 0, both_set, 32);
	settings_do(f);
	assert_int_equal(sc_thresholds_reached(&f->lu), 0);                    /* not known yet */
	sc_lu_set_space(&f->lu, 8 * MIB, 261 * (uint64_t)MIB, true);
	assert_int_equal(sc_thresholds_reached(&f->lu), 0);
	sc_lu_set_space(&f->lu, 8 * MIB + 1, 261 * (uint64_t)MIB, true);       /* a set that is begun is used */
	assert_int_equal(sc_thresholds_reached(&f->lu), used);
	sc_lu_set_space(&f->lu, 8 * MIB, 261 * (uint64_t)MIB - 1, true);       /* and not available */
	assert_int_equal(sc_thresholds_reached(&f->lu), available);
	sc_lu_set_space(&f->lu, UINT64_MAX / 2, 0, true);
	assert_int_equal(sc_thresholds_reached(&f->lu), used | available);
	select_page(f, 0, none_set, 32);
	settings_do(f);
	assert_int_equal(sc_thresholds_reached(&f->lu), 0);
}

/* INFORMATION: the descriptor's place in the mode page; none where the file system said it. */
static void test_sense(void **state)
{
	struct fix *f = *state;

	sc_ua_add(&f->itl[ALICE].ua, SC_UA_THIN_THRESHOLD);
	f->lu.reached = 1u << SC_USED;
	START(f, ALICE, 0x00);
	assert_sense(&f->op, SC_KEY_UNIT_ATTENTION, SC_UA_THIN_THRESHOLD);
	assert_true(f->op.sense.info_valid && f->op.sense.info == 24);
	sc_ua_add(&f->itl[ALICE].ua, SC_UA_THIN_THRESHOLD);
	f->lu.reached = 0;
	START(f, ALICE, 0x00);
	assert_sense(&f->op, SC_KEY_UNIT_ATTENTION, SC_UA_THIN_THRESHOLD);
	assert_false(f->op.sense.info_valid);
	sc_ua_add(&f->itl[ALICE].ua, SC_UA_THIN_THRESHOLD);
	f->lu.reached = 1u << SC_AVAILABLE;
	assert_memory_equal(ANSWER(f, ALICE, 0x03, 0, 0, 0, 252), "\xf0\0\x06\0\0\0\x10", 7);
}

static void test_log_page(void **state)
{
	static const uint8_t page[] = { 0x0c, 0, 0, 24, 0, 1, 0x03, 8, 0, 0, 1, 0, 0x02, 0, 0, 0,
					0, 2, 0x03, 8, 0, 0, 0, 3, 0x01, 0, 0, 0 };
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x4d, 0, 0x4c, [8] = 255);

	assert_int_equal(f->in_len, 4);  /* nothing known yet */
	sc_lu_set_space(&f->lu, 2 * MIB + 1, 256 * (uint64_t)MIB, false);
	p = ANSWER(f, ALICE, 0x4d, 0, 0x4c, [8] = 255);
	assert_int_equal(f->in_len, sizeof(page));
	assert_memory_equal(p, page, sizeof(page));
	p = ANSWER(f, ALICE, 0x4d, 0, 0x4c, [6] = 2, [8] = 255);  /* PARAMETER POINTER */
	assert_int_equal(f->in_len, 4 + 12);
	assert_memory_equal(p + 4, page + 16, 12);
	sc_lu_set_space(&f->lu, 0, 0, true);
	assert_int_equal(ANSWER(f, ALICE, 0x4d, 0, 0x4c, [8] = 255)[12], 0x01);  /* SCOPE: its own */
	p = ANSWER(f, ALICE, 0x4d, 0, 0x40, [8] = 255);
	assert_memory_equal(p, "\0\0\0\x03\0\x0c\x2f", 7);
	START(f, ALICE, 0x4d, 0, 0x4c, [8] = 255);
	assert_true(f->op.flags & SC_LOOK);
	START(f, ALICE, 0x4d, 0, 0x6f, [8] = 255);
	assert_false(f->op.flags & SC_LOOK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		THIN_TEST(test_mode_page),
		THIN_TEST(test_mode_page_refused),
		THIN_TEST(test_not_there),
		THIN_TEST(test_lbpere),
		THIN_TEST(test_reached),
		THIN_TEST(test_sense),
		THIN_TEST(test_log_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
