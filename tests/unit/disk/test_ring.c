/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ring.c - order of work and timers, more requests than the queue holds */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/disk/ring.h"

static struct ring ring;
static char trace[64];

static int setup(void **state)
{
	char err[256];

	(void)state;
	memset(trace, 0, sizeof(trace));
	return ring_init(&ring, 8, err, sizeof(err));
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(ring.pending, 0);
	ring_free(&ring);
	return 0;
}

struct named_work { struct ring_work work; char name; int again; };

static void run_work(struct ring_work *w)
{
	struct named_work *n = container_of(w, struct named_work, work);

	trace[strlen(trace)] = n->name;
	if (n->again-- > 0)
		ring_defer(&ring, w);
}

/* First in, first out; work that queues itself again waits for the next turn and keeps nobody waiting. */
static void test_work_runs_in_order(void **state)
{
	struct named_work w[3] = { { .name = 'a', .again = 1 }, { .name = 'b' }, { .name = 'c' } };

	(void)state;
	for (int i = 0; i < 3; i++) {
		ring_work_init(&w[i].work, run_work);
		ring_defer(&ring, &w[i].work);
		ring_defer(&ring, &w[i].work);  /* once only */
	}
	assert_true(ring_turn(&ring, 0) >= 3);
	assert_string_equal(trace, "abc");
	ring_turn(&ring, 0);
	assert_string_equal(trace, "abca");
	ring_turn(&ring, 0);
	assert_string_equal(trace, "abca");
}

struct chain_work { struct ring_work work; char name; struct chain_work *next; };

static void run_chain(struct ring_work *w)
{
	struct chain_work *c = container_of(w, struct chain_work, work);

	trace[strlen(trace)] = c->name;
	if (c->next)
		ring_defer(&ring, &c->next->work);
}

/* What work makes necessary is done in the same turn, with its request handed over; but not for ever. */
static void test_work_of_work_runs_in_the_same_turn(void **state)
{
	struct chain_work w[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		w[i] = (struct chain_work){ .name = (char)('0' + i), .next = i < 7 ? &w[i + 1] : NULL };
		ring_work_init(&w[i].work, run_chain);
	}
	ring_defer(&ring, &w[0].work);
	ring_turn(&ring, 0);
	assert_string_equal(trace, "0123");
	ring_turn(&ring, 0);
	assert_string_equal(trace, "01234567");
	assert_int_equal(ring.n_enter, 1);  /* when there was work left; then nothing to hand over, nothing to wait for */
}

static void note_done(struct ring_op *op, int res, uint32_t flags)
{
	(void)op, (void)flags;
	assert_int_equal(res, 1);
	trace[strlen(trace)] = '!';
}

/* Work without end, and a request that ends meanwhile: it is heard of at once. */
static void test_endless_work_keeps_no_completion_away(void **state)
{
	struct chain_work w[2] = { { .name = 'a', .next = &w[1] }, { .name = 'b', .next = &w[0] } };
	struct ring_op op = { .done = note_done };
	int fds[2];
	char c;

	(void)state;
	assert_return_code(pipe(fds), errno);
	io_uring_prep_read(ring_sqe(&ring, &op), fds[0], &c, 1, 0);
	ring_turn(&ring, 0);
	ring_work_init(&w[0].work, run_chain);
	ring_work_init(&w[1].work, run_chain);
	ring_defer(&ring, &w[0].work);
	ring_turn(&ring, 1000000);
	assert_int_equal(write(fds[1], "x", 1), 1);
	for (int i = 0; i < 3; i++)
		ring_turn(&ring, 1000000);
	assert_non_null(strchr(trace, '!'));
	w[0].next = w[1].next = NULL;
	ring_turn(&ring, 0);
	close(fds[0]);
	close(fds[1]);
}

struct named_timer { struct ring_timer timer; char name; };

static void run_timer(struct ring_timer *t)
{
	trace[strlen(trace)] = container_of(t, struct named_timer, timer)->name;
}

static void test_timers_expire_in_order(void **state)
{
	static const uint64_t after[] = { 3000, 1000, 2000, 1000, 0 };
	struct named_timer t[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		t[i].name = (char)('0' + i);
		ring_timer_init(&t[i].timer, run_timer);
		ring_timer_set(&ring, &t[i].timer, after[i]);
	}
	ring_timer_set(&ring, &t[2].timer, 4000);  /* again: later than all */
	while (strlen(trace) < 5)
		assert_true(ring_turn(&ring, 1000000) >= 0);
	assert_string_equal(trace, "41302");       /* equal ones in the order they were set */
}

static void test_canceled_timer_does_not_expire(void **state)
{
	struct named_timer t[2] = { { .name = 'x' }, { .name = 'y' } };

	(void)state;
	for (int i = 0; i < 2; i++) {
		ring_timer_init(&t[i].timer, run_timer);
		ring_timer_set(&ring, &t[i].timer, 100);
	}
	ring_timer_cancel(&t[0].timer);
	while (!*trace)
		ring_turn(&ring, 1000000);
	assert_string_equal(trace, "y");
}

#define MANY 1000

static void count_done(struct ring_op *op, int res, uint32_t flags)
{
	(void)op, (void)flags;
	assert_int_equal(res, 0);
}

/* Eight places in the queue, a thousand requests: none is lost, and they do not cost a call each. */
static void test_more_requests_than_the_queue_holds(void **state)
{
	struct ring_op op = { .done = count_done };

	(void)state;
	for (int i = 0; i < MANY; i++)
		io_uring_prep_nop(ring_sqe(&ring, &op));
	assert_int_equal(ring.pending, MANY);
	while (ring.pending)
		assert_true(ring_turn(&ring, 1000000) >= 0);
	assert_int_equal(ring.n_done, MANY);
	assert_true(ring.n_enter < MANY / 4);
}

/* Busy: what is there is found without being put to sleep. In vain: not again for a while. An idle ring never. */
static void test_polls_only_where_it_pays(void **state)
{
	struct ring_op op = { .done = count_done };

	(void)state;
	io_uring_prep_nop(ring_sqe(&ring, &op));
	ring_turn(&ring, 1000000);
	assert_int_equal(ring.n_polled, 0);
	ring.gap_us = 0;
	io_uring_prep_nop(ring_sqe(&ring, &op));
	ring_turn(&ring, 1000000);
	assert_int_equal(ring.n_polled, 1);
	ring.gap_us = 0;
	ring_turn(&ring, 1000);
	assert_int_equal(ring.n_polled, 1);
	assert_true(ring.no_poll > 0);
	ring.gap_us = 0;
	io_uring_prep_nop(ring_sqe(&ring, &op));
	ring_turn(&ring, 1000000);
	assert_int_equal(ring.n_polled, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_work_runs_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_work_of_work_runs_in_the_same_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless_work_keeps_no_completion_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_polls_only_where_it_pays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timers_expire_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_canceled_timer_does_not_expire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_requests_than_the_queue_holds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
