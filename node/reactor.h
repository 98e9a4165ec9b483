/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reactor.h - a thread with a ring, and calls to all of them; private to node/, see node.h */
#ifndef LUNWARD_NODE_REACTOR_H
#define LUNWARD_NODE_REACTOR_H

#include "node/rxpool.h"
#include "node/view.h"

/* ---- reactor.c [R] unless said otherwise ---- */

struct reactor {
	struct ring ring;
	struct queue in;
	struct control *ctl;
	unsigned index;
	const struct view *view;
	struct list conns;
	struct list sessions;        /* with at least one connection admitted, see struct session */
	struct list rlus;
	struct arena arena;
	struct rxpool rxpool;
	struct list ready;           /* tasks whose turn has come */
	struct list buf_wait;        /* tasks that wait for a buffer, oldest first */
	struct ring_work ready_work, buf_work;
	struct list rx_wait;         /* connections not read from until buffers are free again */
	/* task.c */
	struct list tasks;           /* all in use, oldest first */
	struct list free_tasks;
	struct list aborts;          /* struct abort_req under way */
	unsigned n_tasks;
	uint64_t task_seq;
	void *slab[TASKS_MAX / TASK_SLAB];
	unsigned n_slabs;
	struct gate *free_gates;
	bool tell_first_io;          /* the control thread wants to hear of the next read or write that ends well */
	struct ring_work aborts_work;
	/* thread */
	struct ring_op wake_op;
	uint64_t wake_count;
	pthread_t thread;
	bool started, stop;
	atomic_uint n_logs;
	unsigned lost_logs;
	char err[256];               /* why it could not start */
	int rc;
};

/** reactor_start() - [C] Start the thread and wait until its ring is up. Return: 0, or -errno and r->err */
int reactor_start(struct reactor *r, struct control *ctl, unsigned index);
/** reactor_join() - [C] Wait for the end of a reactor that was told to stop */
void reactor_join(struct reactor *r);

/* A call to all reactors and back. Embedded; lives until @done. */
struct call {
	struct control *ctl;
	unsigned left;
	void (*on_reactor)(struct call *c, struct reactor *r);  /* [R] has to end in call_reply(), at once or later */
	void (*done)(struct call *c);                           /* [C] all replied */
	struct call_slot {
		struct msg msg;
		struct call *call;
		struct reactor *r;
	} slot[REACTORS_MAX];
};
/** call_all() - [C] Run c->on_reactor on every reactor, then c->done here */
void call_all(struct control *ctl, struct call *c);
/** call_reply() - [R] This reactor has done its part */
void call_reply(struct call *c, struct reactor *r);

#endif
