/* SPDX-License-Identifier: GPL-2.0-or-later */
/* REPORT and SET IDENTIFYING INFORMATION; SPC-4 6.32, 6.43 */
#include "tests/unit/scsi/scsi_test.h"

static struct sc_op *set_info(struct fix *f, uint8_t type, const char *text, uint16_t len)
{
	START(f, ALICE, 0xa4, 0x06, [8] = (uint8_t)(len >> 8), [9] = (uint8_t)len, [10] = (uint8_t)(type << 1));
	if (f->op.kind == SC_OP_PARAM)
		sc_op_param(&f->ctx[ALICE], &f->op, (const uint8_t *)text, len);
	return &f->op;
}

static void test_information(void **state)
{
	static const char big[300];
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0xa3, 0x05, [9] = 255, [10] = 0xfe);

	assert_int_equal(f->in_len, 12);
	assert_memory_equal(p, "\0\0\0\x08\0\0\0\x40\x04\0\x01\0", 12);
	p = ANSWER(f, ALICE, 0xa3, 0x05, [9] = 255);
	assert_int_equal(f->in_len, 4);
	assert_int_equal(get_be32(p), 0);
	set_info(f, 0, "box 7\0x", 7);
	assert_int_equal(settings_do(f), SC_UA_IDENTIFIER_CHANGED);
	set_info(f, 2, "mail store", 11);
	assert_int_equal(settings_do(f), SC_UA_IDENTIFIER_CHANGED);
	p = ANSWER(f, ALICE, 0xa3, 0x05, [9] = 255);
	assert_int_equal(f->in_len, 11);
	assert_memory_equal(p, "\0\0\0\7box 7\0x", 11);
	p = ANSWER(f, ALICE, 0xa3, 0x05, [9] = 8, [10] = 4);
	assert_int_equal(f->in_len, 8);
	assert_memory_equal(p, "\0\0\0\x0bmail", 8);
	set_info(f, 0, NULL, 0);
	assert_int_equal(settings_do(f), SC_UA_IDENTIFIER_CHANGED);
	assert_int_equal(get_be16(ANSWER(f, ALICE, 0xa3, 0x05, [9] = 255) + 2), 0);
	assert_bad_cdb(set_info(f, 1, "x", 1), 10);
	assert_bad_cdb(set_info(f, 0x7f, "x", 1), 10);
	assert_bad_cdb(set_info(f, 0, big, 65), 6);
	assert_bad_cdb(set_info(f, 2, big, 257), 6);
	assert_bad_param(set_info(f, 2, "no end", 6), 5);
	assert_bad_param(set_info(f, 2, "a\0b", 4), 1);
	START(f, ALICE, 0xa3, 0x05, [9] = 255, [10] = 2);
	assert_bad_cdb(&f->op, 10);
	START(f, ALICE, 0xa4, 0x06, [6] = 0xff, [9] = 1);
	assert_bad_cdb(&f->op, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_information),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
