/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_queue.c - many threads send, one receives: nothing is lost, each sender's order is kept */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "node/queue.h"
#include "node/util/util.h"

#define SENDERS 4
#define EACH 20000

struct numbered { struct msg msg; unsigned sender, n; };

static struct queue queue;
static struct numbered msgs[SENDERS][EACH];
static unsigned next[SENDERS], total;

static void receive(struct msg *m, void *owner)
{
	struct numbered *x = container_of(m, struct numbered, msg);

	assert_ptr_equal(owner, next);
	assert_int_equal(x->n, next[x->sender]++);
	total++;
}

static void *sender(void *arg)
{
	unsigned s = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < EACH; i++) {
		msgs[s][i] = (struct numbered){ .msg.run = receive, .sender = s, .n = i };
		queue_push(&queue, &msgs[s][i].msg);
	}
	return NULL;
}

/* The receiver sleeps until it is woken: were a wake-up lost, this would not end. */
static void test_order_and_wakeups(void **state)
{
	pthread_t t[SENDERS];
	eventfd_t n;

	(void)state;
	assert_int_equal(queue_init(&queue), 0);
	for (uintptr_t s = 0; s < SENDERS; s++)
		assert_int_equal(pthread_create(&t[s], NULL, sender, (void *)s), 0);
	while (total < SENDERS * EACH) {
		struct pollfd p = { .fd = queue.wake_fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, 20000), 1);
		assert_int_equal(eventfd_read(queue.wake_fd, &n), 0);
		queue_run(&queue, next);
	}
	for (unsigned s = 0; s < SENDERS; s++) {
		pthread_join(t[s], NULL);
		assert_int_equal(next[s], EACH);
	}
	assert_int_equal(queue_run(&queue, next), 0);
	queue_free(&queue);
}

static unsigned times;

static void send_again(struct msg *m, void *owner)
{
	(void)owner;
	if (++times < 3)
		queue_push(&queue, m);
}

/* A message may be sent again as soon as it runs; it is then found by the next round. */
static void test_message_that_is_sent_again(void **state)
{
	struct msg m = { .run = send_again };

	(void)state;
	assert_int_equal(queue_init(&queue), 0);
	queue_push(&queue, &m);
	assert_int_equal(queue_run(&queue, NULL), 1);
	assert_int_equal(queue_run(&queue, NULL), 1);
	assert_int_equal(queue_run(&queue, NULL), 1);
	assert_int_equal(queue_run(&queue, NULL), 0);
	queue_free(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_wakeups),
		cmocka_unit_test(test_message_that_is_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
