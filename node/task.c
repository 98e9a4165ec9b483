/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * task.c - the pool of tasks of a reactor, and ending them early
 *
 * An abort request describes a set of tasks and waits until none of it is left. A task that the disk works on cannot be
 * ended, only be waited for; so "gone" means that nothing of it can reach the disk any more. That is what session
 * reinstatement, task management and PREEMPT AND ABORT are built on. Bytes of an aborted task that are half sent, or half
 * received, are not waited for: a peer that lost power would hold up the very command that fences it.
 */
#include <string.h>
#include <strings.h>

#include "node/node.h"

static void aborts_check(struct ring_work *w);

static int grow(struct reactor *r)
{
	struct task *slab;

	if (r->n_slabs == TASKS_MAX / TASK_SLAB)
		return -1;
	slab = calloc(TASK_SLAB, sizeof(*slab));
	if (!slab)
		return -1;
	r->slab[r->n_slabs++] = slab;
	for (unsigned i = 0; i < TASK_SLAB; i++)
		list_add_tail(&r->free_tasks, &slab[i].link);
	return 0;
}

struct isc_task *task_alloc(struct isc_conn *isc)
{
	struct conn *c = isc_conn_user(isc);
	struct reactor *r = c->r;
	struct task *t;

	if (list_empty(&r->free_tasks) && grow(r))
		keep_forget(r);
	if (list_empty(&r->free_tasks))
		return NULL;
	t = list_first(&r->free_tasks, struct task, link);
	list_del(&t->link);
	memset(&t->wait, 0, sizeof(*t) - offsetof(struct task, wait));
	list_init(&t->wait);
	list_init(&t->order);
	t->r = r;
	t->conn = c;
	t->sess = c->sess;
	t->seq = ++r->task_seq;
	list_add_tail(&r->tasks, &t->link);
	r->n_tasks++;
	c->n_tasks++;
	return &t->isc;
}

void task_over(struct task *t)
{
	struct reactor *r = t->r;
	struct conn *c = t->conn;

	if (t->copy)
		copy_release(t);
	itl_leave(t);
	list_del(&t->wait);
	list_del(&t->link);
	r->n_tasks--;
	c->n_tasks--;
	c->n_collecting -= t->collecting;
	if (!list_empty(&r->aborts))
		tasks_recheck(r);
	conn_task_gone(c);
}

void task_moved(struct isc_task *it, struct isc_conn *old)
{
	struct task *t = task_of(it);
	struct conn *from = isc_conn_user(old), *to = isc_conn_user(it->conn);

	t->conn = to;
	if (t->kept)
		return;
	from->n_tasks--;
	from->n_collecting -= t->collecting;
	to->n_tasks++;
	to->n_collecting += t->collecting;
}

void task_release(struct isc_task *it)
{
	struct task *t = task_of(it);
	struct reactor *r = t->r;
	bool had_buffer = t->buf || t->scratch;

	if (!t->kept)
		task_over(t);
	buf_put(&r->arena, t->buf);
	buf_put(&r->arena, t->scratch);
	list_add(&r->free_tasks, &t->link);
	if (had_buffer)
		exec_buffers(r);
}

/* ---- abort requests ---- */

static bool matches(const struct abort_req *q, const struct task *t)
{
	if (t->seq > q->upto || t == q->except || (q->dying && !(t->lu && t->lu->dying) && !copy_dying(t)))
		return false;
	return (!q->only || q->only == t) && (!q->sess || q->sess == t->sess) && (!q->lu || q->lu == t->lu || copy_uses(t, q->lu)) &&
	       (!q->group || q->group == t->sess->group) && (!q->iqn || !strcasecmp(q->iqn, t->sess->iqn)) &&
	       (!q->nexus || sc_nexus_equal(q->nexus, &t->sess->nexus));
}

static unsigned count(const struct reactor *r, const struct abort_req *q)
{
	const struct task *t;
	unsigned n = 0;

	list_for_each(t, &r->tasks, link)
		n += matches(q, t);
	return n;
}

/* Whoever only waits (for answers to be sent, for a logical unit to be used by nobody) waits until all is released. */
static bool left(const struct reactor *r, const struct abort_req *q)
{
	const struct task *t;

	list_for_each(t, &r->tasks, link)
		if (matches(q, t) && (q->wait_only || !(t->isc.aborted || t->told) || isc_task_with_server(&t->isc)))
			return true;
	return false;
}

/* With TAS: it ends with TASK ABORTED, unless it has been answered. Where it is at work, exec_done() sees to that. */
static void tell(struct task *t)
{
	t->told = true;
	if (t->collecting || (isc_task_with_server(&t->isc) && task_idle(t)))
		exec_drop(t);
}

static void end_task(const struct abort_req *q, struct task *t)
{
	bool others = q->by && !sc_nexus_equal(q->by, &t->sess->nexus);

	if (q->lu && q->lu != t->lu) {
		copy_cut(t);
		return;
	}
	if (t->waits == TASK_WAITS_CONTROL)
		atomic_store(&t->cut, true);
	if (others && t->lu && t->lu->sc.set.mode.tas) {
		tell(t);
		return;
	}
	if (others && t->itl && (t->collecting || isc_task_with_server(&t->isc)))
		sc_ua_add(&t->itl->sc.ua, SC_UA_COMMANDS_CLEARED);
	/* Ours to end, and nothing is under way for it: end it. This releases t alone. */
	if (!isc_task_abort(&t->isc) && task_idle(t))
		exec_drop(t);
}

void tasks_abort(struct reactor *r, struct abort_req *q)
{
	struct task *t, *tmp;

	q->upto = r->task_seq;
	q->n = count(r, q);
	list_add_tail(&r->aborts, &q->link);
	if (!q->wait_only) {
		list_for_each_safe(t, tmp, &r->tasks, link) {
			if (matches(q, t) && !t->isc.aborted && !t->told)
				end_task(q, t);
		}
	}
	tasks_recheck(r);
}

void tasks_recheck(struct reactor *r)
{
	if (!r->aborts_work.run)
		ring_work_init(&r->aborts_work, aborts_check);
	ring_defer(&r->ring, &r->aborts_work);
}

static void aborts_check(struct ring_work *w)
{
	struct reactor *r = container_of(w, struct reactor, aborts_work);
	struct abort_req *q, *tmp;

	list_for_each_safe(q, tmp, &r->aborts, link) {
		if (left(r, q))
			continue;
		list_del(&q->link);
		q->gone(q);
	}
}
