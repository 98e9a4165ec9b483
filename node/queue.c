/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queue.c - a stack that is taken as a whole and turned round: needs no more than one exchange, so no ABA */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/queue.h"

int queue_init(struct queue *q)
{
	atomic_init(&q->top, NULL);
	q->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return q->wake_fd < 0 ? -errno : 0;
}

void queue_free(struct queue *q)
{
	close(q->wake_fd);
}

void queue_push(struct queue *q, struct msg *m)
{
	struct msg *top = atomic_load_explicit(&q->top, memory_order_relaxed);

	do
		m->next = top;
	while (!atomic_compare_exchange_weak_explicit(&q->top, &top, m, memory_order_release, memory_order_relaxed));
	if (!top)
		(void)eventfd_write(q->wake_fd, 1);  /* EAGAIN: it is awake as can be */
}

unsigned queue_run(struct queue *q, void *owner)
{
	struct msg *m = atomic_exchange_explicit(&q->top, NULL, memory_order_acquire), *oldest = NULL;
	unsigned n = 0;

	while (m) {
		struct msg *next = m->next;

		m->next = oldest;
		oldest = m;
		m = next;
	}
	while (oldest) {
		m = oldest;
		oldest = m->next;
		m->next = NULL;
		m->run(m, owner);
		n++;
	}
	return n;
}
