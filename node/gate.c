/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.c - commands that need their blocks for themselves: COMPARE AND WRITE, ORWRITE, WRITE ATOMIC
 *
 * Theory of operation. Such a command raises a *gate* on its range of blocks. On each reactor the gates of a logical unit
 * are a list, in order of arrival. A gate is *clear* on a reactor when no gate before it overlaps it there, and no command
 * that came before it does. Commands that come after it and overlap are held. When it is clear on all reactors, its command
 * runs; then the gate is taken down everywhere, and those behind it go on.
 *
 * With one reactor all of that happens here and at once. With more, the control thread puts the gates up, so that their
 * order is the same on all reactors: whoever waits, waits for somebody earlier, and so there is no deadlock. A held command
 * waits only for the gates that were there when it came, so nobody starves. Commands behind a gate have their buffer and
 * their data already, and a command at work never waits for a gate: everything in front of one ends by itself.
 *
 * A command that ends while its gate is on its way leaves it without a task; the gate then goes down as soon as it is up.
 * A command that nothing overlaps pays one look at an empty list.
 */
#include <stdlib.h>

#include "node/node.h"

struct gate {
	struct call call;
	struct msg msg;
	struct reactor *r;           /* where its task is */
	struct rlu *lu;
	struct task *task;           /* NULL: gone */
	uint64_t from, to;           /* blocks */
	bool up;                     /* clear everywhere */
	struct gate *next_free;
	struct gate_at {
		struct list link;    /* rlu.gates */
		struct gate *gate;
		uint64_t pos;
		bool clear;
	} at[REACTORS_MAX];          /* slot i is reactor i's */
};

static void check(struct rlu *l);

void gate_init(struct rlu *l)
{
	list_init(&l->gates);
	list_init(&l->held);
}

static struct gate *gate_get(struct reactor *r)
{
	struct gate *g = r->free_gates;

	if (g)
		r->free_gates = g->next_free;
	else
		g = calloc(1, sizeof(*g));
	return g;
}

static void gate_put(struct gate *g)
{
	g->next_free = g->r->free_gates;
	g->r->free_gates = g;
}

void gates_free(struct reactor *r)
{
	while (r->free_gates) {
		struct gate *g = r->free_gates;

		r->free_gates = g->next_free;
		free(g);
	}
}

/* ---- who is in whose way, on one reactor ---- */

static bool overlaps(const struct gate *g, const struct task *t)
{
	return t->op.lba < g->to && t->op.lba + t->op.blocks > g->from;
}

static bool held(const struct task *t)
{
	return t->waits == TASK_WAITS_GATE && !t->gate;
}

static bool blocked(const struct rlu *l, const struct task *t)
{
	const struct gate_at *a;

	list_for_each(a, &l->gates, link)
		if (a->pos <= t->gate_pos && overlaps(a->gate, t))
			return true;
	return false;
}

static bool clear(const struct rlu *l, const struct gate_at *me)
{
	const struct gate *g = me->gate;
	const struct gate_at *a;
	const struct task *t;

	list_for_each(a, &l->gates, link) {
		if (a == me)
			break;
		if (a->gate->from < g->to && a->gate->to > g->from)
			return false;
	}
	list_for_each(t, &l->r->tasks, link)
		if (copy_is_on(t, l, g->from, g->to) ||
		    (t->lu == l && !t->gate && overlaps(g, t) && (t->on_disk || (held(t) && t->gate_pos < me->pos))))
			return false;
	return true;
}

static void put_up(struct rlu *l, struct gate *g)
{
	struct gate_at *a = &g->at[l->r->index];

	a->gate = g;
	a->pos = ++l->gate_pos;
	a->clear = false;
	list_add_tail(&l->gates, &a->link);
}

/* ---- the gate's own way: reactor -> control thread -> all reactors -> control thread -> reactor, and the same again ---- */

static void back(struct msg *m, void *reactor)
{
	(void)reactor;
	gate_put(container_of(m, struct gate, msg));
}

static void down_everywhere(struct call *c)
{
	struct gate *g = container_of(c, struct gate, call);
	struct lu *lu = g->lu->lu;

	g->msg.run = back;
	queue_push(&g->r->in, &g->msg);
	lu_gate_ended(lu);
}

static void down_here(struct call *c, struct reactor *r)
{
	struct gate *g = container_of(c, struct gate, call);
	struct rlu *l = g->lu->lu->at[r->index];

	list_del(&g->at[r->index].link);
	check(l);
	call_reply(c, r);
}

static void down_asked(struct msg *m, void *ctl)
{
	struct gate *g = container_of(m, struct gate, msg);

	g->call.on_reactor = down_here;
	g->call.done = down_everywhere;
	call_all(ctl, &g->call);
}

static void take_down(struct gate *g)
{
	if (g->r->ctl->n_reactors > 1) {
		g->msg.run = down_asked;
		control_send(g->r->ctl, &g->msg);
		return;
	}
	list_del(&g->at[g->r->index].link);
	check(g->lu);
	gate_put(g);
}

static void is_up(struct gate *g)
{
	g->up = true;
	if (!g->task) {
		take_down(g);
		return;
	}
	g->task->on_disk = true;
	exec_later(g->task);
}

static void up_back(struct msg *m, void *reactor)
{
	(void)reactor;
	is_up(container_of(m, struct gate, msg));
}

static void up_everywhere(struct call *c)
{
	struct gate *g = container_of(c, struct gate, call);

	g->msg.run = up_back;
	queue_push(&g->r->in, &g->msg);
}

static void up_here(struct call *c, struct reactor *r)
{
	struct gate *g = container_of(c, struct gate, call);
	struct rlu *l = g->lu->lu->at[r->index];

	put_up(l, g);
	check(l);
}

static void up_asked(struct msg *m, void *ctl)
{
	struct gate *g = container_of(m, struct gate, msg);

	g->lu->lu->n_gates++;
	g->call.on_reactor = up_here;
	g->call.done = up_everywhere;
	call_all(ctl, &g->call);
}

/* Something has gone: whose turn is it now? */
static void check(struct rlu *l)
{
	struct gate_at *a;
	struct task *t, *tmp;

	list_for_each_safe(t, tmp, &l->held, wait) {
		if (blocked(l, t))
			continue;
		list_del(&t->wait);
		t->on_disk = true;
		exec_later(t);
	}
	copy_gate_gone(l);
	list_for_each(a, &l->gates, link) {
		if (a->clear || !clear(l, a))
			continue;
		a->clear = true;
		if (l->r->ctl->n_reactors > 1)
			call_reply(&a->gate->call, l->r);
		else if (a->gate->task)
			is_up(a->gate);
	}
}

/* ---- tasks ---- */

/* Return: true: it is alone with its blocks already */
static bool raise_gate(struct task *t)
{
	struct gate *g = gate_get(t->r);

	if (!g) {
		sc_op_fail(&t->op, (struct sc_sense){ 0 });
		t->op.status = SC_BUSY;
		exec_done(t);
		return false;
	}
	g->r = t->r;
	g->lu = t->lu;
	g->task = t;
	g->from = t->op.lba;
	g->to = t->op.lba + t->op.blocks;
	g->up = false;
	t->gate = g;
	t->waits = TASK_WAITS_GATE;
	if (t->r->ctl->n_reactors > 1) {
		g->msg.run = up_asked;
		control_send(t->r->ctl, &g->msg);
		return false;
	}
	put_up(t->lu, g);
	if (!clear(t->lu, &g->at[t->r->index]))
		return false;
	g->at[t->r->index].clear = true;
	g->up = true;
	t->on_disk = true;
	t->waits = TASK_RUNS;
	return true;
}

/* Commands that name no blocks are in nobody's way. */
static bool passes(const struct task *t)
{
	return t->op.kind == SC_OP_FLUSH || t->op.kind == SC_OP_LBA_STATUS;
}

bool gate_enter(struct task *t)
{
	struct rlu *l = t->lu;

	if (t->on_disk || passes(t))
		return true;
	if (sc_op_exclusive(t->op.kind))
		return raise_gate(t);
	if (!list_empty(&l->gates)) {
		t->gate_pos = l->gate_pos;
		if (blocked(l, t)) {
			t->waits = TASK_WAITS_GATE;
			list_add_tail(&l->held, &t->wait);
			return false;
		}
	}
	t->on_disk = true;
	return true;
}

void gate_left(struct task *t)
{
	struct gate *g = t->gate;
	struct rlu *l = t->lu;

	t->on_disk = false;
	t->gate = NULL;
	t->gate_pos = 0;
	if (g) {
		g->task = NULL;
		if (g->up || l->r->ctl->n_reactors == 1)
			take_down(g);
	} else {
		check(l);
	}
}

/* ---- copies: their pieces are not the task's own blocks, and not of its own logical unit ---- */

bool gate_blocks(const struct rlu *l, uint64_t from, uint64_t to)
{
	const struct gate_at *a;

	list_for_each(a, &l->gates, link)
		if (a->gate->from < to && a->gate->to > from)
			return true;
	return false;
}

void gate_recheck(struct rlu *l)
{
	if (!list_empty(&l->gates))
		check(l);
}
