/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec.h - carrying commands out: disk, gates, copies; private to node/, see node.h */
#ifndef LUNWARD_NODE_EXEC_H
#define LUNWARD_NODE_EXEC_H

#include "node/conn.h"

/* ---- exec.c, exec_io.c, tmf.c [R]: parts of conn_isc_ops ---- */
void exec_command(struct isc_task *it);
void exec_data_ready(struct isc_task *it);
/** exec_later() - Its turn in the task set has come: begin, from a shallow stack */
void exec_later(struct task *t);
/** exec_buffers() - Buffers were given back: let waiting tasks and connections go on, from a shallow stack */
void exec_buffers(struct reactor *r);
void exec_init(struct reactor *r);
/** exec_done() - Answer with what t->op says */
void exec_done(struct task *t);
/** exec_drop() - End a task that must not be answered */
void exec_drop(struct task *t);
/** exec_io_start() - The disk's part of a command whose data is there */
void exec_io_start(struct task *t);
/** exec_control() - What is left of it is the control thread's */
void exec_control(struct task *t);
struct sc_ctx task_ctx(const struct task *t);

/* ---- gate.c [R]: commands that need their blocks for themselves ---- */
void gate_init(struct rlu *l);
void gates_free(struct reactor *r);
/** gate_enter() - May @t use the disk now? Otherwise exec_later() comes for it. Ends in gate_leave() */
bool gate_enter(struct task *t);
/** gate_blocks() - Does a command need some of these blocks for itself? copy_gate_gone() tells when that may have changed */
bool gate_blocks(const struct rlu *l, uint64_t from, uint64_t to);
/** gate_recheck() - A piece of a copy is done with @l */
void gate_recheck(struct rlu *l);
/** gate_left() - see gate_leave() */
void gate_left(struct task *t);

/* ---- copy.c, copy_find.c [R]: EXTENDED COPY ---- */
/** copy_find() - The logical unit that a CSCD descriptor means, or SC_COPY_SELF; NULL: none that can be used */
struct rlu *copy_find(const struct task *t, unsigned cscd);
void copy_start(struct task *t);
/** copy_uses(), copy_dying() - Is @l, is any LUN that is going away, among those that it copies from or to? */
bool copy_uses(const struct task *t, const struct rlu *l);
bool copy_dying(const struct task *t);
/** copy_is_on() - Is a piece of it being read from or written to these blocks? */
bool copy_is_on(const struct task *t, const struct rlu *l, uint64_t from, uint64_t to);
/** copy_gate_gone() - Copies that wait for blocks of @l look again */
void copy_gate_gone(struct rlu *l);
/** copy_release() - Its task is released */
void copy_release(struct task *t);
/** copy_cut() - End it, with an error, when the piece under way is done */
void copy_cut(struct task *t);

/* A task management request on its way. */
struct tmf {
	struct isc_tmf *isc;         /* reactor's */
	struct conn *conn;           /* lives until it is answered */
	struct rlu *lu;              /* NULL: all of the target */
	enum isc_tmf_fn fn;
	enum isc_tmf_response response;
	struct abort_req abort;
	struct msg msg;              /* to the control thread and back */
	void (*answered)(struct msg *m, void *reactor);
	void *all;                   /* [C] tmf_all.c */
};
void tmf_request(struct isc_tmf *isc);

#endif
