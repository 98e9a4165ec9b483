/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settings.c - the only writer of logical units' settings (mode page values, identifying information)
 *
 * As with reservations (resv.c): work out the change, have it committed, publish it to all reactors with its unit
 * attentions, then answer. Each operation carries the settings as of its own change: what a reactor takes over is a
 * copy, so that the next change cannot get in its way.
 */
#include <string.h>

#include <qb/qblog.h>

#include "node/node.h"

struct settings_op {
	struct commit_op op;
	struct call call;
	struct lu *lu;
	struct task *task;           /* NULL: an event */
	struct sc_change change;
	struct sc_settings next;
	uint16_t ua;                 /* for every other nexus */
};

static void end(struct settings_op *o, enum sc_status status)
{
	struct task *t = o->task;

	free(o);
	if (!t)
		return;
	t->op.kind = SC_OP_DONE;
	t->op.status = (uint8_t)status;
	t->msg.run = t->answered;
	queue_push(&t->r->in, &t->msg);
}

/* ---- publish ---- */

static void on_reactor(struct call *call, struct reactor *r)
{
	struct settings_op *o = container_of(call, struct settings_op, call);
	struct session *s;

	o->lu->at[r->index]->sc.set = o->next;
	list_for_each(s, &r->sessions, at) {
		struct itl *itl = o->ua ? itl_find(s, o->lu) : NULL;

		if (itl && !(o->task && s == o->task->sess))
			sc_ua_add(&itl->sc.ua, o->ua);
	}
	lu_thresholds(o->lu->at[r->index]);
	call_reply(call, r);
}

static void published(struct call *call)
{
	end(container_of(call, struct settings_op, call), SC_GOOD);
}

static void publish(struct settings_op *o)
{
	o->call.on_reactor = on_reactor;
	o->call.done = published;
	call_all(o->lu->ctl, &o->call);
}

void settings_publish(struct lu *lu)
{
	struct settings_op *o = calloc(1, sizeof(*o));

	if (!o) {
		qb_log(LOG_CRIT, "out of memory");
		abort();  /* it is on record: it has to hold */
	}
	o->lu = lu;
	o->next = lu->set;
	publish(o);
}

/* ---- changes ---- */

static bool take(struct commit_op *op)
{
	struct settings_op *o = container_of(op, struct settings_op, op);
	struct lu *lu = o->lu;

	if (sc_settings_apply(lu->set_changed ? &lu->set_next : &lu->set, &o->change, &o->next, &o->ua)) {
		lu->set_next = o->next;
		lu->set_changed = true;
		return true;
	}
	if (lu->set_changed)
		return true;  /* its answer rests on a change that is not committed yet */
	end(o, SC_GOOD);
	return false;
}

/* Refused, because the record could not be written: nothing has changed, and it may be tried again. */
static void committed(struct commit_op *op, bool ok)
{
	struct settings_op *o = container_of(op, struct settings_op, op);

	if (ok)
		publish(o);
	else
		end(o, SC_BUSY);
}

void settings_settle(struct lu *lu, bool ok)
{
	if (ok && lu->set_changed)
		lu->set = lu->set_next;
	lu->set_changed = false;
}

static struct settings_op *op_new(struct lu *lu, const struct sc_change *c)
{
	struct settings_op *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->op = (struct commit_op){ .group = lu->group, .take = take, .committed = committed };
	o->lu = lu;
	o->change = *c;
	return o;
}

void settings_task(struct task *t)
{
	struct lu *lu = t->lu->lu;
	struct settings_op *o = op_new(lu, &t->op.change);

	if (!o) {
		t->op.kind = SC_OP_DONE;
		t->op.status = SC_BUSY;
		t->msg.run = t->answered;
		queue_push(&t->r->in, &t->msg);
		return;
	}
	o->task = t;
	commit_submit(lu->ctl, &o->op);
}

void settings_reset(struct lu *lu)
{
	static const struct sc_change revert = { .what = SC_SET_REVERT };
	struct settings_op *o = op_new(lu, &revert);

	if (o)
		commit_submit(lu->ctl, &o->op);
}

void settings_inherit(struct lu *lu, const struct lu *old)
{
	lu->set = old->set;
	settings_publish(lu);
}
