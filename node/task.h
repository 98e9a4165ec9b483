/* SPDX-License-Identifier: GPL-2.0-or-later */
/* task.h - commands from arrival to answer, and ending them early; private to node/, see node.h */
#ifndef LUNWARD_NODE_TASK_H
#define LUNWARD_NODE_TASK_H

#include "node/reactor.h"

/* ---- task.c [R] ---- */

/*
 * What a task waits for, if it is with nobody else (the library, the disk). At most one of
 *    TASK_WAITS_BUFFER   on reactor.buf_wait
 *    TASK_WAITS_ORDER    for commands before it in its task set; has its buffer and its data
 *    TASK_WAITS_TURN     on reactor.ready
 *    TASK_WAITS_CONTROL  with the control thread
 *    TASK_WAITS_GATE     on rlu.held for commands that need its blocks for themselves; or for its own gate
 */
enum task_wait {
	TASK_RUNS, TASK_WAITS_BUFFER, TASK_WAITS_ORDER, TASK_WAITS_TURN, TASK_WAITS_CONTROL, TASK_WAITS_GATE,
};

/* A SCSI command from its arrival until its answer is sent; then back to the pool. */
struct task {
	struct isc_task isc;
	struct list link;            /* reactor.tasks, or free_tasks */
	struct list wait;            /* reactor.buf_wait or ready, or rlu.held */
	struct list order;           /* itl.set */
	enum task_wait waits;
	uint64_t seq;                /* order of arrival at this reactor */
	struct reactor *r;
	struct session *sess;
	struct conn *conn;           /* until release, also when the connection is dying. Another one after TASK REASSIGN, so
				      * only the reactor may look */
	struct rlu *lu;              /* NULL: no such logical unit */
	struct itl *itl;
	bool collecting;             /* its write data is still to come */
	bool kept;                   /* over; its data may be asked for again (keep.c) */
	bool told;                   /* aborted by another nexus, and to be answered with TASK ABORTED (TAS) */
	atomic_bool cut;             /* aborted while with the control thread: it must not take effect any more */
	struct sc_op op;
	void (*step)(struct task *t);/* after the disk I/O under way */
	void (*otherwise)(struct task *t);  /* if the disk cannot do that; NULL: an error */
	uint8_t *buf;                /* write data in, read data out */
	uint8_t *scratch;            /* second buffer of compare, write same, copy */
	struct copy *copy;           /* copy.c */
	uint32_t buf_len;
	uint64_t pos;                /* bytes of a command that goes in pieces */
	uint64_t part_lba;           /* UNMAP: of the descriptor under way, */
	uint32_t part_blocks;        /* what is left of it, */
	unsigned part;               /* and the next one */
	bool on_disk;                /* its turn at the gate has come */
	uint64_t gate_pos;           /* held: gates up to this one come first */
	struct gate *gate;           /* its own */
	struct disk_io io;
	struct iovec iov;
	const void *data;            /* what to answer with, and how much the command transfers */
	uint32_t data_len;
	struct msg msg;              /* to the control thread and back */
	void (*answered)(struct msg *m, void *reactor);
};

/* Which tasks are to end, and whom to tell when they are gone. NULL matches all. */
struct abort_req {
	struct list link;
	const struct group *group;
	const char *iqn;             /* of the target */
	const struct session *sess;
	const struct rlu *lu;
	const struct sc_nexus *nexus;
	const struct task *except;
	const struct task *only;
	const struct sc_nexus *by;   /* not NULL: the nexus whose doing it is. Others are told: by TASK ABORTED, or by
				      * a unit attention (TAS in the Control mode page, SPC-4 7.5.8) */
	bool dying;                  /* those whose logical unit is going away */
	bool wait_only;              /* do not abort: wait for their natural end */
	uint64_t upto;               /* set by tasks_abort(): later tasks are not meant */
	unsigned n;                  /* tasks that matched at the start */
	void (*gone)(struct abort_req *q);
};

struct isc_task *task_alloc(struct isc_conn *isc);
void task_release(struct isc_task *it);
/** task_moved() - [R] For conn_isc_ops, see isc.h */
void task_moved(struct isc_task *it, struct isc_conn *old);
/** task_over() - [R] It counts no more, wherever tasks are counted or waited for */
void task_over(struct task *t);
/** task_keep() - [R] For conn_isc_ops, see isc.h */
bool task_keep(struct isc_task *it);
/**
 * keep_forget() - [R] Somebody has to wait: release what is kept, of all connections, and what waits with a buffer for its
 * initiator to reassign it
 */
void keep_forget(struct reactor *r);
/**
 * tasks_abort() - Abort what @q describes; q->gone is called (later) when none of it is left
 * Aborted tasks are never answered, but for q->by. A disk I/O under way is waited for: it may still change the disk.
 */
void tasks_abort(struct reactor *r, struct abort_req *q);
/** tasks_recheck() - Something ended: look at the abort requests again, from a shallow stack */
void tasks_recheck(struct reactor *r);
/** task_idle() - Waits where it can be ended at once */
static inline bool task_idle(const struct task *t) { return t->waits != TASK_RUNS && t->waits != TASK_WAITS_CONTROL; }
/** task_dead() - Nobody waits for its answer any more: start nothing new for it */
static inline bool task_dead(const struct task *t) { return t->isc.aborted || !t->isc.conn || t->told; }
static inline struct task *task_of(struct isc_task *it) { return container_of(it, struct task, isc); }

#endif
