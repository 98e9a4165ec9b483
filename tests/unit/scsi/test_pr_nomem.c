/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sc_pr_apply() without memory: BUSY, nothing changed, nothing leaked, nothing half done */
#include "tests/unit/scsi/scsi_test.h"

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static int calls_left = -1;  /* this many succeed, then one fails; -1: all succeed */

void *__wrap_calloc(size_t n, size_t size)
{
	return calls_left >= 0 && calls_left-- == 0 ? NULL : __real_calloc(n, size);
}

/* ALICE holds; CAROL preempts her with another type: a new block, a victim and one to be told */
static void scene(struct fix *f)
{
	REGISTER(f, ALICE, 1);
	REGISTER(f, BOB, 2);
	REGISTER(f, CAROL, 3);
	RESERVE(f, ALICE, 1, SC_PR_EXCL_ACCESS);
}

static void fail_each_allocation(struct fix *f, unsigned who, struct sc_pr_cmd cmd, int allocations)
{
	const struct sc_pr *before = f->lu.pr;
	struct sc_pr *next;
	struct sc_pr_fx fx;

	for (int i = 0; i < allocations; i++) {
		calls_left = i;
		sc_pr_apply(before, &f->tgt, &f->nx[who], &cmd, &next, &fx);
		assert_int_equal(calls_left, -1);
		assert_int_equal(fx.status, SC_BUSY);
		assert_false(fx.changed);
		assert_null(next);
		assert_null(fx.items);
		assert_int_equal(fx.n_items, 0);
	}
	calls_left = allocations;
	assert_int_equal(pr_do(f, who, cmd, NULL), SC_GOOD);
	assert_int_equal(calls_left, 0);  /* not one more */
	calls_left = -1;
}

static void test_preempt(void **state)
{
	struct fix *f = *state;

	scene(f);
	fail_each_allocation(f, CAROL, (struct sc_pr_cmd){ .verb = SC_PR_PREEMPT, .key = 3, .sark = 1, .type = 6 }, 3);
}

static void test_clear(void **state)
{
	struct fix *f = *state;

	scene(f);
	fail_each_allocation(f, ALICE, (struct sc_pr_cmd){ .verb = SC_PR_CLEAR, .key = 1 }, 3);
}

static void test_register(void **state)
{
	struct fix *f = *state;

	fail_each_allocation(f, ALICE, (struct sc_pr_cmd){ .verb = SC_PR_REGISTER, .sark = 1 }, 2);
}

static void test_import(void **state)
{
	struct fix *f = *state;

	REGISTER(f, ALICE, 1);
	calls_left = 0;
	assert_null(sc_pr_alloc(1));
	calls_left = 0;
	assert_null(sc_pr_dup(f->lu.pr));
	calls_left = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_preempt),
		FIX_TEST(test_clear),
		FIX_TEST(test_register),
		FIX_TEST(test_import),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
