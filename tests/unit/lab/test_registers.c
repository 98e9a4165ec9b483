/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The history client's judgement: what real-time order allows a read to return (tests/lab/history_client/registers.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/lab/history_client/registers.h"

static const struct reg_tag here = { .run = 77, .lun = 1, .block = 9 };
static uint8_t block[REG_BLOCK];

static void fill(uint32_t seq)
{
	struct reg_tag t = here;

	t.seq = seq;
	reg_fill(block, &t);
}

static enum reg_verdict check(struct reg *r, uint32_t floor)
{
	return reg_check(r, floor, &here, block, NULL);
}

static void acknowledged_value_is_right(void **state)
{
	struct reg r = { 0 };

	(void)state;
	assert_int_equal(reg_write_begin(&r), 1);
	assert_true(r.busy);
	reg_write_done(&r);
	assert_false(r.busy);
	fill(1);
	assert_int_equal(check(&r, r.floor), REG_OK);
}

static void lost_write_is_stale(void **state)
{
	struct reg r = { .issued = 2, .acked = 2, .floor = 2 };
	struct reg_tag got;

	(void)state;
	fill(1);
	assert_int_equal(reg_check(&r, r.floor, &here, block, &got), REG_STALE);
	assert_int_equal(got.seq, 1);
}

/* A write on its way may be seen or not; once seen, no later read may miss it. */
static void maybe_write_may_not_be_unseen(void **state)
{
	struct reg r = { .issued = 2, .acked = 1, .floor = 1, .busy = true };

	(void)state;
	fill(1);
	assert_int_equal(check(&r, r.floor), REG_OK);
	fill(2);
	assert_int_equal(check(&r, r.floor), REG_OK);
	assert_int_equal(r.floor, 2);
	fill(1);
	assert_int_equal(check(&r, r.floor), REG_STALE);
}

/* A read that began before a write was acknowledged may return the value before it. */
static void overlapping_read_may_be_old(void **state)
{
	struct reg r = { .issued = 1, .acked = 1, .floor = 1 };
	uint32_t floor = r.floor;

	(void)state;
	reg_write_begin(&r);
	reg_write_done(&r);
	fill(1);
	assert_int_equal(check(&r, floor), REG_OK);
	assert_int_equal(r.floor, 2);
	assert_int_equal(check(&r, r.floor), REG_STALE);
}

static void half_new_block_raises_nothing(void **state)
{
	struct reg r = { .issued = 2, .acked = 1, .floor = 1, .busy = true };
	uint8_t old[REG_BLOCK];

	(void)state;
	fill(1);
	memcpy(old, block, sizeof(old));
	fill(2);
	memcpy(block + REG_BLOCK / 2, old + REG_BLOCK / 2, REG_BLOCK / 2);
	assert_int_equal(check(&r, 1), REG_OK);
	assert_int_equal(r.floor, 1);
	assert_int_equal(check(&r, 2), REG_STALE);
}

static void value_nobody_wrote_is_future(void **state)
{
	struct reg r = { .issued = 3, .acked = 3, .floor = 3 };

	(void)state;
	fill(4);
	assert_int_equal(check(&r, 3), REG_FUTURE);
	assert_int_equal(r.floor, 3);
}

static void misplaced_write_is_foreign(void **state)
{
	struct reg r = { .issued = 1, .acked = 1, .floor = 1 };
	struct reg_tag t = here;

	(void)state;
	t.seq = 1;
	t.block++;
	reg_fill(block, &t);
	assert_int_equal(check(&r, 1), REG_FOREIGN);
	t = here;
	t.lun++;
	t.seq = 1;
	reg_fill(block, &t);
	assert_int_equal(check(&r, 1), REG_FOREIGN);
	t = here;
	t.run++;
	t.seq = 1;
	reg_fill(block, &t);
	assert_int_equal(check(&r, 1), REG_FOREIGN);
	fill(1);
	memmove(block, block + REG_SECTOR, REG_SECTOR);     /* right block, wrong sector */
	assert_int_equal(check(&r, 1), REG_FOREIGN);
}

static void changed_bit_is_corrupt(void **state)
{
	struct reg r = { .issued = 1, .acked = 1, .floor = 1 };

	(void)state;
	for (size_t i = 0; i < REG_BLOCK; i += 61) {
		fill(1);
		block[i] ^= 0x10;
		assert_int_not_equal(check(&r, 1), REG_OK);
		assert_int_not_equal(check(&r, 1), REG_TORN);
	}
	memset(block, 0, sizeof(block));
	assert_int_equal(check(&r, 1), REG_CORRUPT);
}

static void only_a_write_on_its_way_excuses_a_torn_sector(void **state)
{
	struct reg r = { .issued = 2, .acked = 1, .floor = 1, .busy = true };

	(void)state;
	fill(1);
	block[200] ^= 1;
	assert_int_equal(check(&r, 1), REG_TORN);
	reg_write_done(&r);
	assert_int_equal(check(&r, r.floor), REG_CORRUPT);
}

static void unwritten_block_may_hold_anything(void **state)
{
	struct reg r = { 0 };

	(void)state;
	memset(block, 0x55, sizeof(block));
	assert_int_equal(check(&r, 0), REG_OK);
	assert_int_equal(r.floor, 0);
	fill(1);
	assert_int_equal(check(&r, 0), REG_FUTURE);         /* but not what this run would write later */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_value_is_right),
		cmocka_unit_test(lost_write_is_stale),
		cmocka_unit_test(maybe_write_may_not_be_unseen),
		cmocka_unit_test(overlapping_read_may_be_old),
		cmocka_unit_test(half_new_block_raises_nothing),
		cmocka_unit_test(value_nobody_wrote_is_future),
		cmocka_unit_test(misplaced_write_is_foreign),
		cmocka_unit_test(changed_bit_is_corrupt),
		cmocka_unit_test(only_a_write_on_its_way_excuses_a_torn_sector),
		cmocka_unit_test(unwritten_block_may_hold_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
