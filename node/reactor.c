/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reactor.c - a thread, its ring, and calls from the control thread to all of them
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>

#include "node/node.h"

#define IDLE_WAIT_US 10000000u
#define LAST_WAIT_US 10000u
#define LAST_TURNS 100u

/* ---- messages in ---- */

static void wake_arm(struct reactor *r)
{
	io_uring_prep_read(ring_sqe(&r->ring, &r->wake_op), r->in.wake_fd, &r->wake_count, sizeof(r->wake_count), 0);
}

static void wake_done(struct ring_op *op, int res, uint32_t flags)
{
	struct reactor *r = container_of(op, struct reactor, wake_op);

	(void)res, (void)flags;
	queue_run(&r->in, r);
	if (!r->stop)
		wake_arm(r);
}

/* ---- calls ---- */

static void slot_replied(struct msg *m, void *ctl)
{
	struct call_slot *s = container_of(m, struct call_slot, msg);

	(void)ctl;
	if (--s->call->left == 0)
		s->call->done(s->call);
}

static void slot_arrived(struct msg *m, void *reactor)
{
	struct call_slot *s = container_of(m, struct call_slot, msg);

	s->call->on_reactor(s->call, reactor);
}

void call_all(struct control *ctl, struct call *c)
{
	c->ctl = ctl;
	c->left = ctl->n_reactors;
	for (unsigned i = 0; i < ctl->n_reactors; i++) {
		struct call_slot *s = &c->slot[i];

		*s = (struct call_slot){ .msg.run = slot_arrived, .call = c, .r = &ctl->reactor[i] };
		queue_push(&s->r->in, &s->msg);
	}
}

void call_reply(struct call *c, struct reactor *r)
{
	struct call_slot *s = &c->slot[r->index];

	s->msg.run = slot_replied;
	control_send(c->ctl, &s->msg);
}

/* ---- the thread ---- */

static void init_lists(struct reactor *r)
{
	list_init(&r->conns);
	list_init(&r->sessions);
	list_init(&r->rlus);
	list_init(&r->buf_wait);
	list_init(&r->rx_wait);
	list_init(&r->tasks);
	list_init(&r->free_tasks);
	list_init(&r->aborts);
	exec_init(r);
}

static void turn(struct reactor *r, uint64_t wait_us)
{
	int rc = ring_turn(&r->ring, wait_us);

	if (rc >= 0)
		return;
	fprintf(stderr, "reactor %u: io_uring: %s: cannot go on\n", r->index, strerror(-rc));
	abort();
}

static void *reactor_main(void *arg)
{
	struct reactor *r = arg;
	int rc = ring_init(&r->ring, RING_ENTRIES, r->err, sizeof(r->err));

	if (!rc && (rc = rxpool_init(&r->rxpool, &r->ring))) {
		snprintf(r->err, sizeof(r->err), "receive buffers of io_uring: %s: Linux 5.19 or later is needed", strerror(-rc));
		ring_free(&r->ring);
	}
	r->rc = rc;
	(void)eventfd_write(r->ctl->start_fd, 1);
	if (rc) {
		rxpool_free(&r->rxpool);
		return NULL;
	}
	wake_arm(r);
	while (!r->stop)
		turn(r, IDLE_WAIT_US);
	for (unsigned i = 0; i < LAST_TURNS && r->ring.pending; i++)
		turn(r, LAST_WAIT_US);  /* what was canceled still has to come home */
	ring_free(&r->ring);
	rxpool_free(&r->rxpool);
	return NULL;
}

int reactor_start(struct reactor *r, struct control *ctl, unsigned index)
{
	sigset_t all, old;
	eventfd_t n;
	int rc;

	*r = (struct reactor){ .ctl = ctl, .index = index };
	init_lists(r);
	r->wake_op.done = wake_done;
	rc = queue_init(&r->in);
	if (!rc)
		rc = arena_init(&r->arena, ARENA_BYTES);
	if (rc) {
		snprintf(r->err, sizeof(r->err), "reactor %u: %s", index, strerror(-rc));
		return rc;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);  /* signals are the control thread's */
	rc = -pthread_create(&r->thread, NULL, reactor_main, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		snprintf(r->err, sizeof(r->err), "reactor %u: cannot start a thread: %s", index, strerror(-rc));
		return rc;
	}
	r->started = true;
	while (eventfd_read(ctl->start_fd, &n) && errno == EINTR)
		;
	return r->rc;
}

static void stop_run(struct msg *m, void *reactor)
{
	struct reactor *r = reactor;

	(void)m;
	r->stop = true;
}

void reactor_join(struct reactor *r)
{
	struct msg stop = { .run = stop_run };

	if (!r->started)
		return;
	queue_push(&r->in, &stop);
	pthread_join(r->thread, NULL);
	for (unsigned i = 0; i < r->n_slabs; i++)
		free(r->slab[i]);
	gates_free(r);
	arena_fini(&r->arena);
	queue_free(&r->in);
}
