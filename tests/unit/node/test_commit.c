/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_commit.c - the pipeline: one in flight, the rest waits and rides together, refusals, resets */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/node.h"

static struct control ctl;
static struct group group;
static char trace[256];
static int store_says;               /* what store() returns */
static unsigned n_stored;

static void note(const char *what, char name)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%s%c ", what, name);
}

static int store(struct control *c, struct group *g, uint64_t ticket, const Lunward__RecordBody *body)
{
	assert_ptr_equal(c, &ctl);
	assert_ptr_equal(g, &group);
	assert_int_equal(ticket, ++n_stored);
	assert_non_null(body);
	note("store", (char)('0' + n_stored % 10));
	return store_says;
}

struct named_op { struct commit_op op; char name; bool nothing; struct named_op *then; };

static bool take(struct commit_op *op)
{
	struct named_op *x = container_of(op, struct named_op, op);

	note("take", x->name);
	return !x->nothing;
}

static void committed(struct commit_op *op, bool ok)
{
	struct named_op *x = container_of(op, struct named_op, op);

	note(ok ? "ok" : "no", x->name);
	if (x->then)
		commit_submit(&ctl, &x->then->op);
}

static struct named_op make(char name)
{
	return (struct named_op){ .op = { .group = &group, .take = take, .committed = committed }, .name = name };
}

static int setup(void **state)
{
	(void)state;
	memset(&ctl, 0, sizeof(ctl));
	memset(&group, 0, sizeof(group));
	memset(trace, 0, sizeof(trace));
	list_init(&ctl.ops);
	list_init(&ctl.batch);
	list_init(&ctl.dirty_groups);
	list_init(&ctl.lus);
	list_init(&ctl.sessions);
	list_init(&ctl.conns);
	list_init(&group.dirty);
	group.ctl = &ctl;
	group.state = GROUP_ACTIVE;
	ctl.store = store;
	store_says = 1;
	n_stored = 0;
	return 0;
}

static void test_one_in_flight_the_rest_together(void **state)
{
	struct named_op a = make('a'), b = make('b'), c = make('c');

	(void)state;
	commit_submit(&ctl, &a.op);
	commit_submit(&ctl, &b.op);
	commit_submit(&ctl, &c.op);
	assert_string_equal(trace, "takea store1 ");
	commit_result(&ctl, 1, true);
	assert_string_equal(trace, "takea store1 oka takeb takec store2 ");
	commit_result(&ctl, 2, true);
	assert_string_equal(trace, "takea store1 oka takeb takec store2 okb okc ");
}

/* A refused batch ends refused; what waited is worked out anew and has its own chance. */
static void test_refusal(void **state)
{
	struct named_op a = make('a'), b = make('b');

	(void)state;
	commit_submit(&ctl, &a.op);
	commit_submit(&ctl, &b.op);
	commit_result(&ctl, 1, false);
	commit_result(&ctl, 2, true);
	assert_string_equal(trace, "takea store1 noa takeb store2 okb ");
}

static void test_store_that_is_done_at_once(void **state)
{
	struct named_op a = make('a'), b = make('b');

	(void)state;
	store_says = 0;
	a.then = &b;  /* submitted while a's batch is ending */
	commit_submit(&ctl, &a.op);
	assert_string_equal(trace, "takea store1 oka takeb store2 okb ");
	store_says = -1;
	a.then = NULL;
	commit_submit(&ctl, &a.op);
	assert_string_equal(trace, "takea store1 oka takeb store2 okb takea store3 noa ");
}

/* An op that changes nothing costs no commit; a record that changed by itself does, and carries no op. */
static void test_nothing_to_commit_and_dirty(void **state)
{
	struct named_op a = make('a');

	(void)state;
	a.nothing = true;
	commit_submit(&ctl, &a.op);
	assert_string_equal(trace, "takea ");
	commit_dirty(&group);
	commit_dirty(&group);
	commit_dirty(&group);
	assert_string_equal(trace, "takea store1 ");
	commit_result(&ctl, 1, true);
	assert_string_equal(trace, "takea store1 store2 ");  /* it changed while the first was on its way */
	commit_result(&ctl, 2, true);
	assert_string_equal(trace, "takea store1 store2 ");
}

static void test_answers_to_other_tickets(void **state)
{
	struct named_op a = make('a');

	(void)state;
	commit_result(&ctl, 0, true);
	commit_submit(&ctl, &a.op);
	commit_result(&ctl, 7, true);
	commit_result(&ctl, 0, false);
	assert_string_equal(trace, "takea store1 ");
	commit_result(&ctl, 1, true);
	commit_result(&ctl, 1, true);
	assert_string_equal(trace, "takea store1 oka ");
}

/* The group is not ours any more: everything ends refused, and a late answer means nothing. */
static void test_reset(void **state)
{
	struct named_op a = make('a'), b = make('b'), c = make('c');

	(void)state;
	commit_submit(&ctl, &a.op);
	commit_submit(&ctl, &b.op);
	group.state = GROUP_DROPPING;
	commit_reset(&group);
	commit_result(&ctl, 1, true);
	commit_submit(&ctl, &c.op);
	commit_dirty(&group);
	assert_string_equal(trace, "takea store1 noa nob noc ");
}

/* A drain finishes what was begun before it. */
static void test_quiescing_group_commits(void **state)
{
	struct named_op a = make('a');

	(void)state;
	group.state = GROUP_QUIESCING;
	commit_submit(&ctl, &a.op);
	commit_result(&ctl, 1, true);
	assert_string_equal(trace, "takea store1 oka ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_in_flight_the_rest_together, setup),
		cmocka_unit_test_setup(test_refusal, setup),
		cmocka_unit_test_setup(test_store_that_is_done_at_once, setup),
		cmocka_unit_test_setup(test_nothing_to_commit_and_dirty, setup),
		cmocka_unit_test_setup(test_answers_to_other_tickets, setup),
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_quiescing_group_commits, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
