/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_rxpool.c - many sockets, few buffers: every byte arrives, no buffer is lost; spare ones are used again */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/rxpool.h"

enum { SOCKETS = RXPOOL_BUFFERS * 3 };

static struct ring ring;
static struct rxpool pool;
static struct end { struct ring_op op; int fd, peer; unsigned got; char want; } ends[SOCKETS];
static unsigned arrived, refused;

static int setup(void **state)
{
	char err[256];

	(void)state;
	memset(&ends, 0, sizeof(ends));
	arrived = refused = 0;
	return ring_init(&ring, 256, err, sizeof(err)) || rxpool_init(&pool, &ring);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(ring.pending, 0);
	ring_free(&ring);
	rxpool_free(&pool);
	return 0;
}

static void receive(struct end *e)
{
	rxpool_prep(ring_sqe(&ring, &e->op), e->fd);
}

static void received(struct ring_op *op, int res, uint32_t flags)
{
	struct end *e = container_of(op, struct end, op);
	const char *p = rxpool_data(&pool, flags);

	if (res == -ENOBUFS) {
		assert_null(p);
		assert_true(++refused < SOCKETS * 1000);
		receive(e);
		return;
	}
	assert_int_equal(res, 3);
	assert_non_null(p);
	for (int i = 0; i < res; i++)
		assert_int_equal(p[i], e->want);
	rxpool_put(&pool, flags);
	e->got++;
	arrived++;
}

/* Three times as many as there are buffers, in one turn, again and again. */
static void test_more_sockets_than_buffers(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SOCKETS; i++) {
		int fds[2];

		assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), errno);
		ends[i] = (struct end){ .op.done = received, .fd = fds[0], .peer = fds[1] };
	}
	for (unsigned round = 1; round <= 5; round++) {
		for (unsigned i = 0; i < SOCKETS; i++) {
			ends[i].want = (char)(i + round);
			assert_int_equal(write(ends[i].peer, (char[3]){ ends[i].want, ends[i].want, ends[i].want }, 3), 3);
			receive(&ends[i]);
		}
		while (arrived < round * SOCKETS)
			assert_true(ring_turn(&ring, 1000000) >= 0);
		for (unsigned i = 0; i < SOCKETS; i++)
			assert_int_equal(ends[i].got, round);
	}
	for (unsigned i = 0; i < SOCKETS; i++) {
		close(ends[i].fd);
		close(ends[i].peer);
	}
}

/* What waits takes no buffer. */
static void test_idle_sockets_cost_no_buffer(void **state)
{
	unsigned n = RXPOOL_BUFFERS + 1;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		int fds[2];

		assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), errno);
		ends[i] = (struct end){ .op.done = received, .fd = fds[0], .peer = fds[1], .want = 'x' };
		receive(&ends[i]);
	}
	ring_turn(&ring, 0);
	assert_int_equal(write(ends[n - 1].peer, "xxx", 3), 3);
	while (arrived < 1)
		assert_true(ring_turn(&ring, 1000000) >= 0);
	assert_int_equal(ends[n - 1].got, 1);
	assert_int_equal(refused, 0);
	for (unsigned i = 0; i < n - 1; i++)
		assert_int_equal(write(ends[i].peer, "xxx", 3), 3);
	while (arrived < n)
		assert_true(ring_turn(&ring, 1000000) >= 0);
	for (unsigned i = 0; i < n; i++) {
		close(ends[i].fd);
		close(ends[i].peer);
	}
}

static void test_spare_buffers_are_used_again(void **state)
{
	void *a = rxpool_spare(&pool), *b = rxpool_spare(&pool);

	(void)state;
	assert_non_null(a);
	assert_ptr_not_equal(a, b);
	rxpool_spare_put(&pool, NULL);
	rxpool_spare_put(&pool, a);
	assert_ptr_equal(rxpool_spare(&pool), a);
	rxpool_spare_put(&pool, b);
	rxpool_spare_put(&pool, a);
	assert_int_equal(pool.n_spares, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_more_sockets_than_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_sockets_cost_no_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spare_buffers_are_used_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
