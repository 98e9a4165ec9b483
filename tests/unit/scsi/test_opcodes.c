/* SPDX-License-Identifier: GPL-2.0-or-later */
/* REPORT SUPPORTED OPERATION CODES and TASK MANAGEMENT FUNCTIONS; SPC-4 6.35, 6.36 */
#include "tests/unit/scsi/scsi_test.h"

#define ALLOC [8] = 0x10
enum { ALL, ONE, ONE_SA, EITHER };

static void test_all(void **state)
{
	struct fix *f = *state;
	uint8_t list[8192], *p;
	uint32_t n;

	p = ANSWER(f, ALICE, 0xa3, 0x0c, ALL, ALLOC);
	n = get_be32(p);
	assert_int_equal(n, f->in_len - 4);
	assert_int_equal(n % 8, 0);
	assert_true(n / 8 > 45);
	memcpy(list, p, f->in_len);
	for (uint32_t i = 4; i < n + 4; i += 8) {  /* each says the same when asked for alone */
		const uint8_t *d = list + i;
		bool servactv = d[5] & 1;

		assert_false(!servactv && get_be16(d + 2));
		p = ANSWER(f, ALICE, 0xa3, 0x0c, servactv ? ONE_SA : ONE, d[0], d[2], d[3], ALLOC);
		assert_int_equal(p[1], 3);
		assert_int_equal(get_be16(p + 2), get_be16(d + 6));
		assert_int_equal(f->in_len, 4u + get_be16(d + 6));
		assert_int_equal(p[4], d[0]);
		START(f, ALICE, 0xa3, 0x0c, servactv ? ONE : ONE_SA, d[0], d[2], d[3], ALLOC);
		assert_bad_cdb(&f->op, 2);
		p = ANSWER(f, ALICE, 0xa3, 0x0c, EITHER, d[0], d[2], d[3], ALLOC);
		assert_int_equal(p[1], 3);
	}
}

/* RCTD: timeouts descriptors, 12 bytes each, LENGTH 0Ah */
static void test_timeouts(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0xa3, 0x0c, 0x80 | ALL, ALLOC);

	assert_int_equal(get_be32(p) % 20, 0);
	for (uint32_t i = 4; i < f->in_len; i += 20) {
		assert_int_equal(p[i + 5] & 2, 2);
		assert_int_equal(get_be16(p + i + 8), 0x0a);
	}
	p = ANSWER(f, ALICE, 0xa3, 0x0c, 0x80 | ONE, 0x28, 0, 0, ALLOC);
	assert_int_equal(p[1], 0x83);
	assert_int_equal(f->in_len, 4 + 10 + 12);
}

static void test_usage_data(void **state)
{
	static const uint8_t read10[] = { 0x28, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff, 0 };
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0xa3, 0x0c, ONE, 0x28, 0, 0, ALLOC);

	assert_memory_equal(p + 4, read10, sizeof(read10));
	p = ANSWER(f, ALICE, 0xa3, 0x0c, ONE_SA, 0x9e, 0, 0x10, ALLOC);
	assert_int_equal(p[5], 0x10);
}

static void test_not_supported(void **state)
{
	static const uint8_t later[] = { 0x04, 0x48, 0x4c };  /* FORMAT UNIT, SANITIZE, LOG SELECT */
	struct fix *f = *state;
	uint32_t all;
	uint8_t *p;

	for (unsigned i = 0; i < ARRAY_SIZE(later); i++) {
		p = ANSWER(f, ALICE, 0xa3, 0x0c, ONE, later[i], 0, 0, ALLOC);
		assert_int_equal(f->in_len, 4);
		assert_int_equal(p[1], 1);
	}
	p = ANSWER(f, ALICE, 0xa3, 0x0c, ONE_SA, 0x9e, 0, 0x11, ALLOC);  /* READ LONG(16) */
	assert_int_equal(p[1], 1);
	p = ANSWER(f, ALICE, 0xa3, 0x0c, EITHER, 0x28, 0, 1, ALLOC);     /* READ(10) has no service action 1 */
	assert_int_equal(p[1], 1);
	assert_int_equal(ANSWER(f, ALICE, 0xa3, 0x0c, ONE, 0x93, 0, 0, ALLOC)[1], 3);
	all = get_be32(ANSWER(f, ALICE, 0xa3, 0x0c, ALL, ALLOC));
	f->lu.write_same_max = 0;
	assert_int_equal(get_be32(ANSWER(f, ALICE, 0xa3, 0x0c, ALL, ALLOC)), all - 2 * 8);
	assert_int_equal(ANSWER(f, ALICE, 0xa3, 0x0c, ONE, 0x93, 0, 0, ALLOC)[1], 1);
	f->lu.unmap_max = f->lu.atomic_max = 0;  /* UNMAP, WRITE ATOMIC */
	assert_int_equal(get_be32(ANSWER(f, ALICE, 0xa3, 0x0c, ALL, ALLOC)), all - 4 * 8);
	f->lu.caw_max = 0;                       /* COMPARE AND WRITE, ORWRITE */
	assert_int_equal(get_be32(ANSWER(f, ALICE, 0xa3, 0x0c, ALL, ALLOC)), all - 6 * 8);
	START(f, ALICE, 0xa3, 0x0c, 4, 0x28, 0, 0, ALLOC);
	assert_bad_cdb(&f->op, 2);
}

static void test_tmfs(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0xa3, 0x0d, 0, ALLOC);

	assert_int_equal(f->in_len, 4);
	assert_int_equal(get_be32(p), 0xde070000);
	p = ANSWER(f, ALICE, 0xa3, 0x0d, 0x80, ALLOC);
	assert_int_equal(f->in_len, 16);
	assert_int_equal(p[3], 0x0c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_all),
		FIX_TEST(test_timeouts),
		FIX_TEST(test_usage_data),
		FIX_TEST(test_not_supported),
		FIX_TEST(test_tmfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
