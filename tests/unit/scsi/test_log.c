/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LOG SENSE; SPC-4 6.7, 7.3 */
#include "tests/unit/scsi/scsi_test.h"

#define CUMULATIVE 0x40

static void test_lists(void **state)
{
	static const uint8_t pages[] = { 0x00, 0x00, 0, 2, 0x00, 0x2f };
	static const uint8_t subpages[] = { 0x40, 0xff, 0, 6, 0x00, 0x00, 0x00, 0xff, 0x2f, 0x00 };
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x4d, 0, CUMULATIVE, [8] = 255);

	assert_int_equal(f->in_len, sizeof(pages));
	assert_memory_equal(p, pages, sizeof(pages));
	p = ANSWER(f, ALICE, 0x4d, 0, 0x00, 0xff, [8] = 255);  /* PC means nothing here */
	assert_int_equal(f->in_len, sizeof(subpages));
	assert_memory_equal(p, subpages, sizeof(subpages));
}

static void test_exceptions(void **state)
{
	static const uint8_t page[] = { 0x2f, 0, 0, 8, 0, 0, 0x03, 4, 0, 0, 0xff, 0 };
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x4d, 0, CUMULATIVE | 0x2f, [8] = 255);

	assert_int_equal(f->in_len, sizeof(page));
	assert_memory_equal(p, page, sizeof(page));
	ANSWER(f, ALICE, 0x4d, 0, CUMULATIVE | 0x2f, [8] = 5);
	assert_int_equal(f->in_len, 5);
}

static void test_refused(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x4d, 0x01, CUMULATIVE | 0x2f, [8] = 255);             /* SP: nothing is saved */
	assert_bad_cdb(&f->op, 1);
	for (unsigned pc = 0; pc < 4; pc++) {
		START(f, ALICE, 0x4d, 0, (uint8_t)(pc << 6 | 0x2f), [8] = 255);
		if (pc == 1)
			assert_int_equal(f->op.kind, SC_OP_DATA_IN);
		else
			assert_bad_cdb(&f->op, 2);
	}
	START(f, ALICE, 0x4d, 0, CUMULATIVE | 0x0d, [8] = 255);                /* temperature */
	assert_bad_cdb(&f->op, 2);
	START(f, ALICE, 0x4d, 0, CUMULATIVE | 0x2f, 0x01, [8] = 255);
	assert_bad_cdb(&f->op, 3);
	START(f, ALICE, 0x4d, 0, CUMULATIVE | 0x2f, [6] = 1, [8] = 255);       /* PARAMETER POINTER behind the last */
	assert_bad_cdb(&f->op, 5);
	START(f, ALICE, 0x4d, 0, CUMULATIVE, [6] = 1, [8] = 255);
	assert_bad_cdb(&f->op, 5);
	START(f, ALICE, 0x4c, 0x02, CUMULATIVE);                               /* LOG SELECT */
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_OPCODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_lists),
		FIX_TEST(test_exceptions),
		FIX_TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
