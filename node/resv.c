/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resv.c - the only writer of reservations
 *
 * Old state + command -> new state + effects is a pure function of node/scsi. Around it: commit, publish to all reactors,
 * then the effects (unit attentions; for PREEMPT AND ABORT the end of the victims' tasks) on all of them, then the answer.
 *
 * A victim's task may itself be a reservation command on its way through here, and might wait for the end of the very
 * command that waits for its end. So reservation commands of victims are put off (lu->deferred) until the reactors know
 * of the abort; then those that it was about say so (task.cut) and end without effect, and the others go on.
 * Settings go the same way: settings.c.
 */
#include <string.h>
#include <strings.h>

#include <qb/qblog.h>

#include "node/node.h"

/* ---- publish ---- */

struct publish {
	struct call call;
	struct lu *lu;
	struct sc_pr *pr, *old;
};

static void publish_on_reactor(struct call *c, struct reactor *r)
{
	struct publish *p = container_of(c, struct publish, call);

	sc_lu_set_pr(&p->lu->at[r->index]->sc, p->pr);
	call_reply(c, r);
}

static void published(struct call *c)
{
	struct publish *p = container_of(c, struct publish, call);

	free(p->old);
	free(p);
}

void resv_publish(struct lu *lu, struct sc_pr *old)
{
	struct publish *p = calloc(1, sizeof(*p));

	if (!p) {
		qb_log(LOG_CRIT, "out of memory");
		abort();  /* it is on record: it has to hold */
	}
	*p = (struct publish){ .lu = lu, .pr = lu->pr, .old = old };
	p->call.on_reactor = publish_on_reactor;
	p->call.done = published;
	call_all(lu->ctl, &p->call);
}

/* ---- one command ---- */

struct resv_op {
	struct commit_op op;
	struct call call;
	struct lu *lu;
	struct task *task;           /* NULL: an event */
	void (*done)(void *arg);     /* of an event; may be NULL */
	void *arg;
	struct list aborting;        /* lu->aborting */
	struct sc_nexus nexus;
	struct sc_pr_cmd cmd;
	struct sc_nexus *known;      /* cmd.known */
	struct sc_pr_fx fx;
	uint64_t *ua_seq;            /* parallel to fx.items */
	struct resv_abort {
		struct abort_req q;
		struct resv_op *op;
		struct reactor *r;
	} *aborts;                   /* n_items for each reactor */
	bool any_abort;
	unsigned left[REACTORS_MAX]; /* aborts under way, and one until they are waited for; slot i is reactor i's */
};

static void op_free(struct resv_op *o)
{
	list_del(&o->aborting);
	sc_pr_fx_free(&o->fx);
	free(o->known);
	free(o->ua_seq);
	free(o->aborts);
	free(o);
}

static void answer(struct task *t, uint8_t status, struct sc_sense sense)
{
	t->op.kind = SC_OP_DONE;
	t->op.status = status;
	t->op.sense = sense;
	t->msg.run = t->answered;
	queue_push(&t->r->in, &t->msg);
}

static void end(struct resv_op *o)
{
	if (o->task)
		answer(o->task, o->fx.status, o->fx.sense);
	if (o->done)
		o->done(o->arg);
	op_free(o);
}

/* ---- victims' own reservation commands ---- */

static bool is_victim(const struct resv_op *o, const struct sc_nexus *n)
{
	for (uint32_t i = 0; i < o->fx.n_items; i++)
		if (o->fx.items[i].abort && sc_nexus_equal(&o->fx.items[i].nexus, n))
			return true;
	return false;
}

/* Is it not known yet whether @o is to be aborted? Then it waits. */
static bool put_off(struct resv_op *o)
{
	const struct resv_op *a;

	if (!o->task)
		return false;
	list_for_each(a, &o->lu->aborting, aborting)
		if (is_victim(a, &o->nexus)) {
			list_add_tail(&o->lu->deferred, &o->op.link);
			return true;
		}
	return false;
}

static void go_on(struct lu *lu)
{
	struct list waiting;

	list_insert(&lu->deferred, &waiting);  /* some may be put off again */
	list_del(&lu->deferred);
	while (!list_empty(&waiting)) {
		struct commit_op *op = list_first(&waiting, struct commit_op, link);

		list_del(&op->link);
		commit_submit(lu->ctl, op);
	}
}

/* Memory for the effects, before anything is decided. */
static bool alloc_effects(struct resv_op *o)
{
	size_t n = (size_t)o->fx.n_items;

	o->ua_seq = calloc(n + 1, sizeof(*o->ua_seq));
	o->aborts = calloc(n * o->lu->ctl->n_reactors + 1, sizeof(*o->aborts));
	return o->ua_seq && o->aborts;
}

static void record_uas(struct resv_op *o)
{
	for (uint32_t i = 0; i < o->fx.n_items; i++) {
		if (!o->fx.items[i].ua)
			continue;
		lu_ua_add(o->lu, &o->fx.items[i].nexus, o->fx.items[i].ua);
		o->ua_seq[i] = o->lu->ua_seq;
	}
}

/* Whom a TransportID without an ISID means: the initiator ports that are logged in to the target now */
static bool find_known(struct resv_op *o)
{
	const struct control *ctl = o->lu->ctl;
	const struct session *s;
	uint32_t n = 0;

	if (!o->cmd.ids_len)
		return true;
	list_for_each(s, &ctl->sessions, link)
		n++;
	o->known = calloc((size_t)n + 1, sizeof(*o->known));
	if (!o->known)
		return false;
	o->cmd.known = o->known;
	list_for_each(s, &ctl->sessions, link)
		if (registry_is(s, o->lu))
			o->known[o->cmd.n_known++] = s->nexus;
	return true;
}

static bool resv_take(struct commit_op *op)
{
	struct resv_op *o = container_of(op, struct resv_op, op);
	struct lu *lu = o->lu;
	const struct target *t = view_find(lu->ctl->view, lu->group, lu->iqn);
	struct sc_pr *next = NULL;

	if (put_off(o))
		return false;
	if (o->task && atomic_load(&o->task->cut)) {
		o->fx.status = SC_TASK_ABORTED;  /* whether it says so is the reactor's to know */
		end(o);
		return false;
	}
	if (!t || !find_known(o)) {
		o->fx.status = SC_BUSY;
		end(o);
		return false;
	}
	sc_pr_apply(lu->changed ? lu->next : lu->pr, &t->sc, &o->nexus, &o->cmd, &next, &o->fx);
	if (o->fx.changed && !alloc_effects(o)) {
		free(next);
		sc_pr_fx_free(&o->fx);
		o->fx = (struct sc_pr_fx){ .status = SC_BUSY };
	}
	if (o->fx.changed) {
		if (lu->changed)
			free(lu->next);
		lu->next = next;
		lu->changed = true;
		record_uas(o);
		for (uint32_t i = 0; i < o->fx.n_items; i++)
			o->any_abort |= o->fx.items[i].abort;
		if (o->any_abort)
			list_add_tail(&lu->aborting, &o->aborting);
		return true;
	}
	if (lu->changed)
		return true;  /* its answer rests on a change that is not committed yet */
	end(o);
	return false;
}

/* ---- effects, on each reactor ---- */

/* Whoever counts down last says that nothing is left here */
static void part_done(struct resv_op *o, struct reactor *r)
{
	if (--o->left[r->index] == 0)
		call_reply(&o->call, r);
}

static void wait_on_reactor(struct call *c, struct reactor *r)
{
	part_done(container_of(c, struct resv_op, call), r);
}

static void victims_gone(struct abort_req *q)
{
	struct resv_abort *a = container_of(q, struct resv_abort, q);

	part_done(a->op, a->r);
}

static void give_ua(struct resv_op *o, uint32_t i, struct reactor *r)
{
	struct session *s;

	list_for_each(s, &r->sessions, at) {
		struct itl *itl;

		if (!sc_nexus_equal(&s->nexus, &o->fx.items[i].nexus))
			continue;
		itl = itl_find(s, o->lu);
		if (!itl)
			continue;
		sc_ua_add(&itl->sc.ua, o->fx.items[i].ua);
		itl->ua_seq = o->ua_seq[i];
	}
}

static void effects_on_reactor(struct call *c, struct reactor *r)
{
	struct resv_op *o = container_of(c, struct resv_op, call);

	o->left[r->index] = 1;
	for (uint32_t i = 0; i < o->fx.n_items; i++) {
		struct resv_abort *a = &o->aborts[r->index * o->fx.n_items + i];

		if (o->fx.items[i].ua)
			give_ua(o, i, r);
		if (!o->fx.items[i].abort)
			continue;
		*a = (struct resv_abort){ .op = o, .r = r,
					  .q = { .lu = o->lu->at[r->index], .nexus = &o->fx.items[i].nexus,
						 .by = &o->nexus, .except = o->task, .gone = victims_gone } };
		o->left[r->index]++;
		tasks_abort(r, &a->q);
	}
	call_reply(c, r);
}

static void effects_done(struct call *c)
{
	end(container_of(c, struct resv_op, call));
}

/* Every reactor knows: now those that were put off can be told from new ones, and the tasks are waited for. */
static void effects_begun(struct call *c)
{
	struct resv_op *o = container_of(c, struct resv_op, call);
	struct lu *lu = o->lu;

	if (!o->any_abort) {
		end(o);
		return;
	}
	list_del(&o->aborting);
	o->call.on_reactor = wait_on_reactor;
	o->call.done = effects_done;
	call_all(lu->ctl, &o->call);
	go_on(lu);
}

static void resv_committed(struct commit_op *op, bool ok)
{
	struct resv_op *o = container_of(op, struct resv_op, op);

	if (!ok) {
		list_del(&o->aborting);
		go_on(o->lu);
		sc_pr_fx_free(&o->fx);
		o->fx = (struct sc_pr_fx){
			.status = SC_CHECK_CONDITION,
			.sense = sc_sense_make(SC_KEY_ILLEGAL_REQUEST, SC_ASC_INSUFFICIENT_REGISTRATION),
		};
		end(o);
		return;
	}
	o->call.on_reactor = effects_on_reactor;
	o->call.done = effects_begun;
	call_all(o->lu->ctl, &o->call);
}

static struct resv_op *op_new(struct lu *lu, const struct sc_nexus *nexus)
{
	struct resv_op *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->op = (struct commit_op){ .group = lu->group, .take = resv_take, .committed = resv_committed };
	o->lu = lu;
	o->nexus = *nexus;
	list_init(&o->aborting);
	return o;
}

/* ---- from the reactors ---- */

void resv_task(struct msg *m, void *ctl)
{
	struct task *t = container_of(m, struct task, msg);
	struct lu *lu = t->lu->lu;
	struct resv_op *o;

	if (t->op.control == SC_CONTROL_SETTINGS) {
		settings_task(t);
		return;
	}
	o = op_new(lu, &t->sess->nexus);
	if (!o) {
		answer(t, SC_BUSY, (struct sc_sense){ 0 });
		return;
	}
	o->task = t;
	o->cmd = t->op.pr;
	commit_submit(ctl, &o->op);
}

static bool has_spc2(const struct sc_pr *pr)
{
	return pr && pr->spc2;
}

void resv_event(struct lu *lu, enum sc_pr_verb verb, const struct sc_nexus *who, void (*done)(void *arg), void *arg)
{
	bool matters = has_spc2(lu->pr) || (lu->changed && has_spc2(lu->next));
	struct resv_op *o = matters ? op_new(lu, who) : NULL;

	if (!o) {
		if (done)
			done(arg);
		return;
	}
	o->cmd.verb = (uint8_t)verb;
	o->done = done;
	o->arg = arg;
	commit_submit(lu->ctl, &o->op);
}

void resv_nexus_loss(const struct session *s)
{
	struct lu *lu;

	list_for_each(lu, &s->r->ctl->lus, link)
		if (lu->group == s->group && !strcasecmp(lu->iqn, s->iqn))
			resv_event(lu, SC_PR_NEXUS_LOSS, &s->nexus, NULL, NULL);
}
