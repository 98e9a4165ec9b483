/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MODE SENSE and MODE SELECT, both sizes; SPC-4 6.9 to 6.12, 7.5, SBC-3 6.4 */
#include "tests/unit/scsi/scsi_test.h"

static const uint8_t recovery[12] = { 0x81, 10, [7] = 0x80 };  /* LBPERE */
static const uint8_t disconnect[16] = { 0x02, 14 };
static const uint8_t caching[20] = { 0x88, 18, 0x04 };        /* PS: can be saved */
static const uint8_t control[12] = { 0x8a, 10, 0, 0x10 };
static const uint8_t control_ext[32] = { 0x4a, 1, 0, 28, 0x07 };
static const uint8_t exceptions[12] = { 0x1c, 10, 0x08 };

static void test_all_pages_6(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x1a, 0, 0x3f, 0, 255);

	assert_int_equal(f->in_len, 4 + 8 + 12 + 16 + 20 + 12 + 12);
	assert_int_equal(p[0], f->in_len - 1);
	assert_int_equal(p[1], 0);
	assert_int_equal(p[2], 0x10);                 /* DPOFUA, not WP */
	assert_int_equal(p[3], 8);
	assert_int_equal(get_be32(p + 4), 0x1000);
	assert_int_equal(get_be32(p + 8), 512);
	assert_memory_equal(p + 12, recovery, 12);
	assert_memory_equal(p + 24, disconnect, 16);
	assert_memory_equal(p + 40, caching, 20);
	assert_memory_equal(p + 60, control, 12);
	assert_memory_equal(p + 72, exceptions, 12);
	p = ANSWER(f, ALICE, 0x1a, 0x08, 0x3f, 0xff, 255);  /* DBD, all subpages */
	assert_int_equal(f->in_len, 4 + 12 + 16 + 20 + 12 + 32 + 12);
	assert_int_equal(p[3], 0);
	assert_memory_equal(p + 64, control_ext, 32);
}

static void test_10(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x5a, 0, 0x0a, 0, [8] = 255);

	assert_int_equal(f->in_len, 8 + 8 + 12);
	assert_int_equal(get_be16(p), f->in_len - 2);
	assert_int_equal(p[3], 0x10);
	assert_int_equal(p[4], 0);
	assert_int_equal(get_be16(p + 6), 8);
	assert_memory_equal(p + 16, control, 12);
	f->lu.blocks = 1ull << 40;
	assert_int_equal(get_be32(ANSWER(f, ALICE, 0x5a, 0, 0x0a, 0, [8] = 255) + 8), UINT32_MAX);
	p = ANSWER(f, ALICE, 0x5a, 0x10, 0x0a, 0, [8] = 255);  /* LLBAA: long descriptor */
	assert_int_equal(p[4], 0x01);
	assert_int_equal(get_be16(p + 6), 16);
	assert_int_equal(get_be64(p + 8), 1ull << 40);
	assert_int_equal(get_be32(p + 20), 512);
	assert_memory_equal(p + 24, control, 12);
}

static void test_single_pages(void **state)
{
	struct fix *f = *state;

	assert_memory_equal(ANSWER(f, ALICE, 0x1a, 8, 0x08, 0, 255) + 4, caching, 20);
	assert_memory_equal(ANSWER(f, ALICE, 0x1a, 8, 0x0a, 1, 255) + 4, control_ext, 32);
	assert_memory_equal(ANSWER(f, ALICE, 0x1a, 8, 0x1c, 0, 255) + 4, exceptions, 12);
	ANSWER(f, ALICE, 0x1a, 8, 0x0a, 0xff, 255);
	assert_int_equal(f->in_len, 4 + 12 + 32);
	f->lu.flags = 0;
	assert_int_equal(ANSWER(f, ALICE, 0x1a, 8, 0x08, 0, 255)[4 + 2], 0);  /* no write cache: WCE 0 */
}

/* Page control: current, changeable, default, saved. SPC-4 6.11.1 */
static void test_page_control(void **state)
{
	struct fix *f = *state;
	uint8_t *p;

	f->lu.set.mode = (struct sc_mode){ .d_sense = true, .swp = true, .tas = true, .write_through = true };
	f->lu.set.saved = (struct sc_mode){ .d_sense = true };
	p = ANSWER(f, ALICE, 0x1a, 8, 0x0a, 0, 255);
	assert_memory_equal(p + 4, "\x8a\x0a\x04\x10\x08\x40\0\0\0\0\0\0", 12);
	assert_int_equal(p[2], 0x90);                 /* SWP shows as WP */
	assert_memory_equal(ANSWER(f, ALICE, 0x1a, 8, 0x80 | 0x0a, 0, 255) + 4, control, 12);
	p = ANSWER(f, ALICE, 0x1a, 8, 0x40 | 0x0a, 0, 255);
	assert_memory_equal(p + 4, "\x8a\x0a\x04\0\x08\x40\0\0\0\0\0\0", 12);
	p = ANSWER(f, ALICE, 0x1a, 8, 0xc0 | 0x0a, 0, 255);
	assert_memory_equal(p + 4, "\x8a\x0a\x04\x10\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(ANSWER(f, ALICE, 0x1a, 8, 0x08, 0, 255)[6], 0);
	assert_memory_equal(ANSWER(f, ALICE, 0x1a, 8, 0xc0 | 0x08, 0, 255) + 4, caching, 20);
	assert_memory_equal(ANSWER(f, ALICE, 0x1a, 8, 0x80 | 0x08, 0, 255) + 4, caching, 20);
	assert_memory_equal(ANSWER(f, ALICE, 0x1a, 8, 0x40 | 0x08, 0, 255) + 4, caching, 20);  /* WCE can be changed */
	f->lu.flags = 0;                                                                      /* but not where there is no cache */
	assert_int_equal(ANSWER(f, ALICE, 0x1a, 8, 0x40 | 0x08, 0, 255)[6], 0);
	f->lu.flags = SC_LU_WRITE_CACHE;
	p = ANSWER(f, ALICE, 0x1a, 8, 0x40 | 0x1c, 0, 255);
	for (unsigned i = 6; i < 16; i++)
		assert_int_equal(p[i], 0);
	f->lu.flags |= SC_LU_MODE_FIXED;
	p = ANSWER(f, ALICE, 0x1a, 8, 0x40 | 0x08, 0, 255);
	assert_int_equal(p[4], 0x08);  /* no PS */
	assert_int_equal(p[6], 0);
	p = ANSWER(f, ALICE, 0x1a, 8, 0x40 | 0x0a, 0, 255);
	for (unsigned i = 6; i < 16; i++)
		assert_int_equal(p[i], 0);
	START(f, ALICE, 0x1a, 8, 0xc0 | 0x0a, 0, 255);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_SAVING_PARAMS);
}

static void test_unknown_pages(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x1a, 0, 0x03, 0, 255);
	assert_bad_cdb(&f->op, 2);
	START(f, ALICE, 0x1a, 0, 0x00, 0, 255);
	assert_bad_cdb(&f->op, 2);
	START(f, ALICE, 0x1a, 0, 0x0a, 2, 255);
	assert_bad_cdb(&f->op, 3);
	START(f, ALICE, 0x1a, 0, 0x08, 1, 255);
	assert_bad_cdb(&f->op, 3);
	START(f, ALICE, 0x5a, 0, 0x3f, 1, [8] = 255);
	assert_bad_cdb(&f->op, 3);
}

static void test_write_protect_bit(void **state)
{
	struct fix *f = *state;

	f->lu.flags = SC_LU_READONLY;
	assert_int_equal(ANSWER(f, ALICE, 0x1a, 8, 0x0a, 0, 255)[2], 0x90);
	assert_int_equal(ANSWER(f, ALICE, 0x5a, 8, 0x0a, 0, [8] = 255)[3], 0x90);
}

static struct sc_op *select6(struct fix *f, const uint8_t *list, uint8_t n)
{
	START(f, ALICE, 0x15, 0x10, 0, 0, n);
	assert_int_equal(f->op.kind, SC_OP_PARAM);
	assert_int_equal(f->op.out_len, n);
	sc_op_param(&f->ctx[ALICE], &f->op, list, n);
	return &f->op;
}
#define SELECT6(f, ...) \
	select6(f, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* What MODE SENSE gave may be written back: nothing changes */
static void test_select_unchanged(void **state)
{
	struct fix *f = *state;
	uint8_t list[256];

	memcpy(list, ANSWER(f, ALICE, 0x1a, 0, 0x3f, 0xff, 255), sizeof(list));
	list[0] = 0;
	assert_good(select6(f, list, (uint8_t)f->in_len));
	list[0] = 55;  /* MODE DATA LENGTH is reserved here, and ignored */
	assert_good(select6(f, list, (uint8_t)f->in_len));
	START(f, ALICE, 0x15, 0x10);
	assert_good(&f->op);
	/* a page that holds none of the changeable values leaves them alone, set or not */
	for (unsigned on = 0; on < 2; on++) {
		f->lu.set.mode = (struct sc_mode){ .d_sense = on, .swp = on };
		assert_good(SELECT6(f, 0, 0, 0, 0, 0x08, 18, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
		assert_good(SELECT6(f, 0, 0, 0, 0));
	}
}

static void test_select_changes(void **state)
{
	struct fix *f = *state;

	SELECT6(f, 0, 0, 0, 0, 0x0a, 10, 0x04, 0x10, 0x08, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(settings_do(f), SC_UA_MODE_CHANGED);
	assert_true(f->lu.set.mode.d_sense && f->lu.set.mode.swp && !f->lu.set.mode.write_through);
	assert_false(f->lu.set.saved.d_sense || f->lu.set.saved.swp);
	SELECT6(f, 0, 0, 0, 0, 0x8a, 10, 0x04, 0x10, 0x00, 0, 0, 0, 0, 0, 0, 0);  /* PS is reserved here */
	assert_int_equal(settings_do(f), SC_UA_MODE_CHANGED);
	assert_true(f->lu.set.mode.d_sense && !f->lu.set.mode.swp);
	SELECT6(f, 0, 0, 0, 0, 0x0a, 10, 0x04, 0x10, 0x00, 0x40, 0, 0, 0, 0, 0, 0);
	assert_int_equal(settings_do(f), SC_UA_MODE_CHANGED);
	assert_true(f->lu.set.mode.tas);
	SELECT6(f, 0, 0, 0, 0, 0x08, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(settings_do(f), SC_UA_MODE_CHANGED);
	assert_true(f->lu.set.mode.d_sense && f->lu.set.mode.write_through);
	assert_good(SELECT6(f, 0, 0, 0, 0, 0x0a, 10, 0x04, 0x10, 0, 0x40, 0, 0, 0, 0, 0, 0));
}

/* SP: the pages of the list, and no others. Then a reset. SPC-4 5.9, 6.9 */
static void test_select_saves(void **state)
{
	static const uint8_t list[] = { 0, 0, 0, 0, 0x0a, 10, 0x04, 0x10, 0x08, 0, 0, 0, 0, 0, 0, 0 };
	static const struct sc_change revert = { .what = SC_SET_REVERT };
	struct fix *f = *state;
	struct sc_settings next;
	uint16_t ua = 1;

	f->lu.set.mode.write_through = true;
	for (unsigned again = 0; again < 2; again++) {
		START(f, ALICE, 0x15, 0x11, 0, 0, sizeof(list));
		sc_op_param(&f->ctx[ALICE], &f->op, list, sizeof(list));
		if (again)
			assert_good(&f->op);
		else
			assert_int_equal(settings_do(f), SC_UA_MODE_CHANGED);
	}
	assert_true(f->lu.set.saved.d_sense && f->lu.set.saved.swp && !f->lu.set.saved.write_through);
	f->lu.set.saved.swp = false;     /* what is saved already, only not current: nobody has to be told */
	START(f, ALICE, 0x15, 0x11, 0, 0, sizeof(list));
	sc_op_param(&f->ctx[ALICE], &f->op, list, sizeof(list));
	assert_int_equal(settings_do(f), SC_UA_NONE);
	f->lu.set.mode.swp = false;
	assert_true(sc_settings_apply(&f->lu.set, &revert, &next, &ua));
	assert_int_equal(ua, SC_UA_NONE);
	assert_true(next.mode.d_sense && next.mode.swp && !next.mode.write_through);
	assert_false(sc_settings_apply(&next, &revert, &f->lu.set, &ua));
}

/* Two that cross each other: each was worked out on settings without the other's change */
static void test_changes_add_up(void **state)
{
	struct fix *f = *state;
	struct sc_change first;
	struct sc_settings next;
	uint16_t ua;

	SELECT6(f, 0, 0, 0, 0, 0x0a, 10, 0x04, 0x10, 0, 0, 0, 0, 0, 0, 0, 0);
	first = f->op.change;
	SELECT6(f, 0, 0, 0, 0, 0x08, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	settings_do(f);
	assert_true(sc_settings_apply(&f->lu.set, &first, &next, &ua));
	assert_true(next.mode.d_sense && next.mode.write_through);
}

/* The (10) header, a long block descriptor, and a page */
static void test_select_10(void **state)
{
	static const uint8_t list[] = { 0, 0, 0, 0, 0x01, 0, 0, 16,  0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 2, 0,
					0x0a, 10, 0, 0x10, 0x08, 0, 0, 0, 0, 0, 0, 0 };
	struct fix *f = *state;

	START(f, ALICE, 0x55, 0x10, [8] = sizeof(list));
	assert_int_equal(f->op.out_len, sizeof(list));
	sc_op_param(&f->ctx[ALICE], &f->op, list, sizeof(list));
	assert_int_equal(f->op.control, SC_CONTROL_SETTINGS);
	assert_true(f->op.change.mode.swp);
	START(f, ALICE, 0x55, 0x10, [8] = sizeof(list));
	sc_op_param(&f->ctx[ALICE], &f->op, list, sizeof(list) - 1);  /* the initiator sent less than it said */
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
}

static void test_select_refused(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x15, 0x00, 0, 0, 4);                                 /* PF 0 */
	assert_bad_cdb(&f->op, 1);
	assert_bad_param(SELECT6(f, 0, 1, 0, 0), 1);                          /* MEDIUM TYPE */
	assert_bad_param(SELECT6(f, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0), 3);     /* BLOCK DESCRIPTOR LENGTH */
	assert_bad_param(SELECT6(f, 0, 0, 0, 8, 0, 0, 0x0f, 0xff, 0, 0, 2, 0), 4);   /* another capacity */
	assert_bad_param(SELECT6(f, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x10, 0), 9);      /* another block size */
	assert_good(SELECT6(f, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0));
	assert_bad_param(SELECT6(f, 0, 0, 0, 0, 0x03, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 4);  /* no such page */
	assert_bad_param(SELECT6(f, 0, 0, 0, 0, 0x4a, 2, 0, 0), 4);           /* no such subpage */
	assert_bad_param(SELECT6(f, 0, 0, 0, 0, 0x4a, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0), 4);   /* page 0 in subpage format */
	assert_bad_param(SELECT6(f, 0, 0, 0, 0, 0x0a, 9, 0, 0x10, 0, 0, 0, 0, 0, 0, 0), 5);   /* PAGE LENGTH */
	assert_bad_param(SELECT6(f, 0, 0, 0, 0, 0x0a, 10, 0, 0x12, 0, 0, 0, 0, 0, 0, 0, 0), 7);  /* QERR: bit not changeable */
	assert_int_equal(f->op.sense.bit, 1);
	f->lu.flags = 0;
	assert_bad_param(SELECT6(f, 0, 0, 0, 0, 0x08, 18, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 6);  /* WCE on: no cache */
	f->lu.flags = SC_LU_MODE_FIXED;
	START(f, ALICE, 0x15, 0x11, 0, 0, 4);                                 /* SP */
	assert_bad_cdb(&f->op, 1);
	assert_bad_param(SELECT6(f, 0, 0, 0, 0, 0x0a, 10, 0x04, 0x10, 0, 0, 0, 0, 0, 0, 0, 0), 6);
}

/* Cut anywhere: PARAMETER LIST LENGTH ERROR, or complete up to there */
static void test_select_truncated(void **state)
{
	static const uint8_t list[] = { 0, 0, 0, 8, 0, 0, 0x10, 0, 0, 0, 2, 0, 0x0a, 10, 0, 0x10, 0x08, 0, 0, 0, 0, 0, 0, 0 };
	struct fix *f = *state;

	for (uint8_t n = 1; n < sizeof(list); n++) {
		(void)select6(f, list, n);
		if (n == 12)
			assert_good(&f->op);
		else
			assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	}
}

/* All or nothing: a good page before a bad one has no effect */
static void test_select_all_or_nothing(void **state)
{
	struct fix *f = *state;

	SELECT6(f, 0, 0, 0, 0, 0x0a, 10, 0x04, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0x03, 0);
	assert_bad_param(&f->op, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_all_pages_6),
		FIX_TEST(test_10),
		FIX_TEST(test_single_pages),
		FIX_TEST(test_page_control),
		FIX_TEST(test_unknown_pages),
		FIX_TEST(test_write_protect_bit),
		FIX_TEST(test_select_unchanged),
		FIX_TEST(test_select_changes),
		FIX_TEST(test_select_saves),
		FIX_TEST(test_changes_add_up),
		FIX_TEST(test_select_10),
		FIX_TEST(test_select_refused),
		FIX_TEST(test_select_truncated),
		FIX_TEST(test_select_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
