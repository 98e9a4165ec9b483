/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_buf.c - the arena of I/O buffers: no overlap, alignment, exhaustion, and all of it back in the end */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/buf.h"
#include "node/util/util.h"

#define BYTES (4 * BUF_MAX)

static struct arena arena;

static int setup(void **state)
{
	(void)state;
	return arena_init(&arena, BYTES);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(arena_left(&arena), BYTES);
	arena_fini(&arena);
	return 0;
}

static void test_sizes_round_up(void **state)
{
	static const struct { size_t len, takes; } cases[] = {
		{ 1, 4096 }, { 4096, 4096 }, { 4097, 8192 }, { 12288, 16384 }, { BUF_MAX - 1, BUF_MAX }, { BUF_MAX, BUF_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		void *p = buf_get(&arena, cases[i].len);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % BUF_PAGE, 0);
		assert_int_equal(arena.used, cases[i].takes);
		buf_put(&arena, p);
	}
	assert_null(buf_get(&arena, BUF_MAX + 1));
	buf_put(&arena, NULL);
}

/* Every last page can be had; then there is none; what comes back grows together again. */
static void test_exhaustion(void **state)
{
	static void *p[BYTES / BUF_PAGE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = buf_get(&arena, 1);
		assert_non_null(p[i]);
	}
	assert_null(buf_get(&arena, 1));
	assert_int_equal(arena_left(&arena), 0);
	for (size_t i = 0; i < ARRAY_SIZE(p); i += 2)
		buf_put(&arena, p[i]);
	assert_null(buf_get(&arena, BUF_PAGE + 1));  /* half of it is free, in single pages */
	for (size_t i = 1; i < ARRAY_SIZE(p); i += 2)
		buf_put(&arena, p[i]);
	for (size_t i = 0; i < 4; i++)
		assert_non_null(p[i] = buf_get(&arena, BUF_MAX));
	for (size_t i = 0; i < 4; i++)
		buf_put(&arena, p[i]);
}

#define HELD 64

/* Any order of sizes: each buffer keeps its own bytes. */
static void test_no_overlap(void **state)
{
	struct { uint8_t *p; size_t len; uint8_t mark; } held[HELD] = { 0 };
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)rand_r(&seed) % HELD;

		if (held[i].p) {
			assert_int_equal(held[i].p[0], held[i].mark);
			assert_int_equal(held[i].p[held[i].len - 1], held[i].mark);
			buf_put(&arena, held[i].p);
			held[i].p = NULL;
			continue;
		}
		held[i].len = 1u << (unsigned)rand_r(&seed) % 20;
		held[i].p = buf_get(&arena, held[i].len);
		held[i].mark = (uint8_t)round;
		if (held[i].p) {
			held[i].p[0] = held[i].mark;
			held[i].p[held[i].len - 1] = held[i].mark;
		}
	}
	for (unsigned i = 0; i < HELD; i++)
		buf_put(&arena, held[i].p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sizes_round_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exhaustion, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_overlap, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
