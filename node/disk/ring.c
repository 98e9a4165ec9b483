/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ring.c - io_uring, timers, deferred work; theory of operation in ring.h */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "node/disk/aside.h"
#include "node/disk/ring.h"

#define COMPLETION_BATCH 64
#define WORK_PASSES 4
#define POLL_GAP_US 40u      /* polling pays where completions come that soon, */
#define POLL_MAX_US 60u      /* and for no longer than that */
#define POLL_REST 500u       /* waits without it after one in vain */
#define GAP_MAX_US 1000u
#define POLL_LOOKS 64u       /* between two looks at the clock */

uint64_t ring_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Best mode first: DEFER_TASKRUN since Linux 6.1, COOP_TASKRUN since 5.19. */
static const unsigned ring_modes[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
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

	*r = (struct ring){ .now_us = ring_clock_us(), .gap_us = GAP_MAX_US };
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

/* What is queued now. What has run in this turn already waits for the next one: @later. */
static int run_pass(struct ring *r, struct list *later)
{
	struct list batch;
	int n = 0;

	list_insert(&r->work, &batch);
	list_del(&r->work);
	while (!list_empty(&batch)) {
		struct ring_work *w = list_first(&batch, struct ring_work, link);

		list_del(&w->link);
		if (w->turn == r->turn) {
			list_add_tail(later, &w->link);
			continue;
		}
		w->turn = r->turn;
		w->run(w);
		n++;
	}
	return n;
}

/*
 * The end of a disk I/O makes an answer, which makes something to send: a few passes, so that one turn does it. Not more:
 * whoever goes on and on, such as a VERIFY of a whole disk, keeps nobody waiting.
 */
static int run_work(struct ring *r)
{
	struct list later;
	int n = 0;

	list_init(&later);
	for (unsigned pass = 0; pass < WORK_PASSES && !list_empty(&r->work); pass++)
		n += run_pass(r, &later);
	while (!list_empty(&later)) {
		struct list *first = later.next;

		list_del(first);
		list_add_tail(&r->work, first);
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

/* Has the kernel something that makes completions as soon as we enter it? */
static bool in_kernel(const struct ring *r)
{
	return __atomic_load_n(r->uring.sq.kflags, __ATOMIC_RELAXED) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Return: true if it was not in vain */
static bool poll_ring(struct ring *r)
{
	uint64_t end = r->now_us + POLL_MAX_US;

	do {
		for (unsigned i = 0; i < POLL_LOOKS; i++) {
			if (io_uring_cq_ready(&r->uring) || in_kernel(r)) {
				r->n_polled++;
				return true;
			}
			relax();
		}
	} while (ring_clock_us() < end);
	r->no_poll = POLL_REST;
	return false;
}

static bool may_poll(struct ring *r, uint64_t wait_us)
{
	if (r->no_poll) {
		r->no_poll--;
		return false;
	}
	return r->gap_us <= POLL_GAP_US && wait_us > POLL_MAX_US;
}

static int enter(struct ring *r, uint64_t wait_us)
{
	struct __kernel_timespec ts = { .tv_sec = (long long)(wait_us / 1000000),
					.tv_nsec = (long long)(wait_us % 1000000) * 1000 };
	struct io_uring_cqe *cqe;

	r->n_enter++;
	return io_uring_submit_and_wait_timeout(&r->uring, &cqe, 1, &ts, NULL);
}

/* Hand over what is prepared; then wait, for as long as may be. */
static int submit_and_wait(struct ring *r, uint64_t wait_us)
{
	int rc;

	if (!may_poll(r, wait_us))
		return enter(r, wait_us);
	if (io_uring_sq_ready(&r->uring)) {
		r->n_enter++;
		rc = io_uring_submit(&r->uring);
		if (rc < 0)
			return rc;
	}
	if (!poll_ring(r))
		return enter(r, wait_us);
	return in_kernel(r) ? enter(r, 0) : 0;
}

/* Since when we have waited is when this turn began: what it ran before is part of the gap. */
static void note_gap(struct ring *r, uint64_t began_us)
{
	uint32_t gap = (uint32_t)MIN(r->now_us - began_us, (uint64_t)GAP_MAX_US);

	r->gap_us = (7 * r->gap_us + gap) / 8;
}

int ring_turn(struct ring *r, uint64_t max_wait_us)
{
	uint64_t wait, began;
	int rc, n = 0;

	r->turn++;
	began = r->now_us = ring_clock_us();
	n += run_timers(r);
	n += run_work(r);
	if (n && list_empty(&r->work) && !io_uring_sq_ready(&r->uring))
		return n;
	wait = sleep_us(r, max_wait_us);
	rc = submit_and_wait(r, wait);
	if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) {
		r->failed = true;
		return rc;
	}
	r->now_us = ring_clock_us();
	if (wait)
		note_gap(r, began);
	return n + run_completions(r);
}
