/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ring.c - io_uring, timers, deferred work; theory of operation in ring.h */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "node/disk/aside.h"
#include "node/disk/ring.h"

#define COMPLETION_BATCH 64

uint64_t ring_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Best mode first: DEFER_TASKRUN since Linux 6.1, COOP_TASKRUN since 5.19. */
static const unsigned ring_modes[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
};

static int ring_explain(int rc, char *err, size_t err_len)
{
	if (rc == -ENOMEM)
		snprintf(err, err_len, "io_uring: no memory for a ring: raise the memory limit (ulimit -l)");
	else if (rc == -EPERM || rc == -EACCES)
		snprintf(err, err_len, "io_uring: not permitted: set kernel.io_uring_disabled=0, "
			 "and allow io_uring_setup in the container's seccomp profile");
	else
		snprintf(err, err_len, "io_uring: %s: Linux 5.19 or later with CONFIG_IO_URING is needed",
			 strerror(-rc));
	return rc;
}

int ring_init(struct ring *r, unsigned entries, char *err, size_t err_len)
{
	int rc = -EINVAL;

	*r = (struct ring){ .now_us = ring_clock_us() };
	list_init(&r->timers);
	list_init(&r->work);
	for (size_t i = 0; i < ARRAY_SIZE(ring_modes) && rc == -EINVAL; i++) {
		struct io_uring_params p = { .flags = ring_modes[i] | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
					     .cq_entries = entries * 4 };

		rc = io_uring_queue_init_params(entries, &r->uring, &p);
	}
	return rc ? ring_explain(rc, err, err_len) : 0;
}

void ring_free(struct ring *r)
{
	aside_free(r);
	io_uring_queue_exit(&r->uring);
}

struct io_uring_sqe *ring_sqe(struct ring *r, struct ring_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

	while (!sqe) {
		int rc = io_uring_submit(&r->uring);

		r->n_enter++;
		if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
			abort();  /* our own ring refuses us: nothing sound can follow */
		sqe = io_uring_get_sqe(&r->uring);
	}
	io_uring_sqe_set_data(sqe, op);
	r->pending += op != NULL;
	return sqe;
}

void ring_timer_set(struct ring *r, struct ring_timer *t, uint64_t after_us)
{
	struct list *at;

	list_del(&t->link);
	t->due_us = r->now_us + after_us;
	/* from the end: most timers have one of a few lengths, so the place is near */
	for (at = r->timers.prev; at != &r->timers; at = at->prev)
		if (list_entry(at, struct ring_timer, link)->due_us <= t->due_us)
			break;
	list_insert(at->next, &t->link);
}

static int run_timers(struct ring *r)
{
	int n = 0;

	while (!list_empty(&r->timers)) {
		struct ring_timer *t = list_first(&r->timers, struct ring_timer, link);

		if (t->due_us > r->now_us)
			break;
		list_del(&t->link);
		t->expired(t);
		n++;
	}
	return n;
}

/* One pass over what is queued now: work that queues itself again runs in the next turn. */
static int run_work(struct ring *r)
{
	struct list batch;
	int n = 0;

	if (list_empty(&r->work))
		return 0;
	list_insert(&r->work, &batch);
	list_del(&r->work);
	while (!list_empty(&batch)) {
		struct ring_work *w = list_first(&batch, struct ring_work, link);

		list_del(&w->link);
		w->run(w);
		n++;
	}
	return n;
}

static int run_completions(struct ring *r)
{
	struct io_uring_cqe *cqes[COMPLETION_BATCH];
	int total = 0;

	for (;;) {
		unsigned n = io_uring_peek_batch_cqe(&r->uring, cqes, COMPLETION_BATCH);

		for (unsigned i = 0; i < n; i++) {
			struct ring_op *op = io_uring_cqe_get_data(cqes[i]);
			int res = cqes[i]->res;
			uint32_t flags = cqes[i]->flags;

			if (!op)
				continue;
			r->pending -= !(flags & IORING_CQE_F_MORE);
			op->done(op, res, flags);
		}
		io_uring_cq_advance(&r->uring, n);
		total += (int)n;
		if (n < COMPLETION_BATCH)
			break;
	}
	r->n_done += (uint64_t)total;
	return total;
}

/* How long may we sleep: not at all while work is queued, not past the next timer. */
static uint64_t sleep_us(const struct ring *r, uint64_t max_wait_us)
{
	if (!list_empty(&r->work))
		return 0;
	if (!list_empty(&r->timers)) {
		const struct ring_timer *t = list_first(&r->timers, struct ring_timer, link);
		uint64_t left = t->due_us > r->now_us ? t->due_us - r->now_us : 0;

		return MIN(left, max_wait_us);
	}
	return max_wait_us;
}

int ring_turn(struct ring *r, uint64_t max_wait_us)
{
	struct io_uring_cqe *cqe;
	struct __kernel_timespec ts;
	uint64_t wait;
	int rc, n = 0;

	r->now_us = ring_clock_us();
	n += run_timers(r);
	n += run_work(r);
	wait = n ? 0 : sleep_us(r, max_wait_us);
	ts = (struct __kernel_timespec){ .tv_sec = (long long)(wait / 1000000),
					 .tv_nsec = (long long)(wait % 1000000) * 1000 };
	rc = io_uring_submit_and_wait_timeout(&r->uring, &cqe, 1, &ts, NULL);
	r->n_enter++;
	if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) {
		r->failed = true;
		return rc;
	}
	r->now_us = ring_clock_us();
	return n + run_completions(r);
}
