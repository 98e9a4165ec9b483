/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring.h - the event loop a reactor shares with its disks: io_uring, timers, deferred work
 *
 * Theory of operation. A thread owns its ring; nothing in it is locked. One turn is: run due timers and
 * deferred work, with what that defers in turn; hand all prepared requests to the kernel and wait for at
 * least one completion in the same system call; then call the `done` of each completion. A `done` may
 * prepare further requests; they leave with the next turn's call, so that any number of I/Os costs one
 * system call. A turn that has run something, and has nothing to hand over and nothing left to run, makes
 * none; but work that goes on and on does not keep completions away.
 *
 * Polling. To be put to sleep and woken costs more than a short I/O. So where completions have come soon after
 * one another, the next one is looked for a moment before the thread sleeps; where that was in vain, it sleeps at
 * once for the next few hundred times. An idle ring never polls.
 *
 * A struct ring_op is embedded in the object it belongs to (a connection, a disk I/O) and must live until
 * its `done` was called without IORING_CQE_F_MORE. Objects count their outstanding operations.
 */
#ifndef LUNWARD_DISK_RING_H
#define LUNWARD_DISK_RING_H

#include <liburing.h>

#include "node/util/list.h"

struct ring_op {
	/* res: as the system call's return value, a negative errno on failure; flags: IORING_CQE_F_* */
	void (*done)(struct ring_op *op, int res, uint32_t flags);
};

struct ring_timer {
	struct list link;  /* on ring.timers while armed, in order of @due_us */
	uint64_t due_us;
	void (*expired)(struct ring_timer *t);
};

struct ring_work {
	struct list link;
	uint64_t turn;     /* when it ran last */
	void (*run)(struct ring_work *w);
};

struct aside;

struct ring {
	struct io_uring uring;
	struct aside *aside;         /* aside.c: NULL until it is needed */
	struct list timers;
	struct list work;
	uint64_t now_us;   /* CLOCK_MONOTONIC at the start of this turn */
	uint64_t turn;     /* turns so far */
	uint64_t n_enter;  /* system calls so far */
	uint64_t n_done;   /* completions so far */
	uint32_t gap_us;   /* how long the last completions were waited for: a moving average */
	unsigned no_poll;  /* waits until it may poll again */
	uint64_t n_polled; /* waits that polling has spared */
	unsigned pending;  /* requests whose end somebody waits for */
	bool failed;       /* the kernel refuses submissions: the thread has to end */
};

/**
 * ring_init() - Set up a ring for the calling thread
 * @entries:	Submissions that fit between two system calls; more cost one more call
 * @err:	Receives what was wrong and what to do
 *
 * Return: 0, or -errno. Context: the thread that will call ring_turn(), and no other.
 */
int ring_init(struct ring *r, unsigned entries, char *err, size_t err_len);
void ring_free(struct ring *r);

/**
 * ring_sqe() - The next submission, its completion bound to @op; never NULL
 *
 * @op NULL: nobody wants to know. Submits what is prepared when the queue is full.
 */
struct io_uring_sqe *ring_sqe(struct ring *r, struct ring_op *op);

/**
 * ring_turn() - One turn of the loop, see above
 * @max_wait_us:	Do not sleep longer than this, even if no timer is due
 *
 * Return: number of completions, timers and work items handled, or -errno if the ring is unusable.
 */
int ring_turn(struct ring *r, uint64_t max_wait_us);

/** ring_timer_init() - Must precede everything else on a timer */
static inline void ring_timer_init(struct ring_timer *t, void (*expired)(struct ring_timer *))
{
	list_init(&t->link);
	t->expired = expired;
}

/** ring_timer_set() - (Re)arm: @t expires once, @after_us from now */
void ring_timer_set(struct ring *r, struct ring_timer *t, uint64_t after_us);
static inline void ring_timer_cancel(struct ring_timer *t) { list_del(&t->link); }

static inline void ring_work_init(struct ring_work *w, void (*run)(struct ring_work *))
{
	list_init(&w->link);
	w->turn = 0;
	w->run = run;
}

/** ring_defer() - Run @w later in this turn, from a shallow stack; once a turn, queued once however often it is called */
static inline void ring_defer(struct ring *r, struct ring_work *w)
{
	if (list_empty(&w->link))
		list_add_tail(&r->work, &w->link);
}

uint64_t ring_clock_us(void);

#endif
