/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply.c - from one configuration to the next, while initiators are logged in
 *
 * What did not change is not touched: a LUN that is the same keeps its object, its disks and its reservations, a session
 * whose target is still there keeps running. What goes away goes when its last command has ended. All that can
 * fail is done before anything is changed.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <qb/qblog.h>

#include "node/node.h"

struct apply {
	struct call call;
	struct view *old, *new;
	void (*done)(struct control *ctl);
	struct apply_part {
		struct abort_req q;
		struct apply *a;
		struct reactor *r;
	} part[REACTORS_MAX];
};

/* ---- on each reactor ---- */

static void close_unwanted(struct conn *c, const struct view *v)
{
	const struct target *t = view_find(v, c->group, c->iqn);

	if (!t || !login_allowed(c, t, c->nexus.initiator))
		session_expel(c, t ? "not among the target's initiators any more" : "its target was removed");
}

static void close_conns(struct session *s, const char *why)
{
	struct conn *c, *tmp;

	list_for_each_safe(c, tmp, &s->r->conns, link)
		if (c->sess == s)
			conn_close(c, CONN_END_RST, why);
}

/* Each connection is in the session on its own account: what join() of login.c would refuse now goes. */
static void recheck_conns(struct session *s, const struct target *t)
{
	struct conn *c, *tmp;

	list_for_each_safe(c, tmp, &s->r->conns, link)
		if (c->sess == s && c->state < CONN_DYING && !itls_same(s, t, &c->peer))
			session_drop_conn(c, "it would see other LUNs than its session");
}

static void move_session(struct session *s, const struct target *t)
{
	int changed = itls_make(s, t, SC_UA_POWER_ON);

	if (changed < 0) {
		close_conns(s, "out of memory");
		itls_drop(s);
	}
	recheck_conns(s, t);
	for (unsigned k = 0; changed > 0 && k < s->n_itl; k++)
		sc_ua_add(&s->itl[k]->sc.ua, SC_UA_LUNS_CHANGED);
}

static void move_sessions(struct reactor *r, const struct view *v)
{
	struct conn *c, *tmp;
	struct session *s;

	list_for_each_safe(c, tmp, &r->conns, link)
		if (c->registered && !c->discovery && c->state < CONN_DYING)
			close_unwanted(c, v);
	list_for_each(s, &r->sessions, at) {
		const struct target *t = s->target ? view_find(v, s->group, s->iqn) : NULL;

		if (t)
			move_session(s, t);
		else if (s->target)
			itls_drop(s);
	}
}

static void no_tasks_left(struct abort_req *q)
{
	struct apply_part *p = container_of(q, struct apply_part, q);

	move_sessions(p->r, p->a->new);
	call_reply(&p->a->call, p->r);
}

/* Commands for a LUN that goes away: those that have not begun never will, the others are waited for. */
static void end_not_begun(struct reactor *r)
{
	struct task *t, *tmp;

	list_for_each_safe(t, tmp, &r->tasks, link) {
		if (!t->lu || !t->lu->dying)
			continue;
		if (t->collecting)
			isc_task_abort(&t->isc);
		else if (task_idle(t) && !isc_task_abort(&t->isc))
			exec_drop(t);
	}
}

static void on_reactor(struct call *call, struct reactor *r)
{
	struct apply *a = container_of(call, struct apply, call);
	struct apply_part *p = &a->part[r->index];
	struct rlu *l;

	r->view = a->new;
	list_for_each(l, &r->rlus, link)
		l->dying = !l->lu->wanted;
	end_not_begun(r);
	*p = (struct apply_part){ .a = a, .r = r, .q = { .dying = true, .wait_only = true, .gone = no_tasks_left } };
	tasks_abort(r, &p->q);
}

/* ---- on the control thread ---- */

static void remove_unwanted(struct control *ctl)
{
	struct lu *lu, *tmp;
	struct group *g;

	list_for_each_safe(lu, tmp, &ctl->lus, link)
		if (!lu->wanted && lu->group->wanted)
			lu_remove(lu);
	list_for_each(g, &ctl->groups, link) {
		if (!g->wanted && g->conf)
			group_remove(g);
		else if (g->wanted)
			group_open_new(g);
	}
}

static void applied(struct call *call)
{
	struct apply *a = container_of(call, struct apply, call);
	struct control *ctl = call->ctl;
	void (*done)(struct control *ctl) = a->done;
	struct group *g;

	ctl->applying = false;
	list_for_each(g, &ctl->groups, link)
		if (g->wanted)
			listen_settle(g);
	remove_unwanted(ctl);
	view_free(a->old);
	free(a);
	done(ctl);
}

/* A LUN was replaced by another one under its number: what initiators registered and set is theirs still. */
static void inherit(struct lu *lu)
{
	struct lu *old;

	list_for_each(old, &lu->ctl->lus, link) {
		if (old->wanted || old->group != lu->group || old->number != lu->number || strcasecmp(old->iqn, lu->iqn))
			continue;
		if (!lu->geo.blocks)
			settings_inherit(lu, old);
		if (!old->pr || lu->pr)
			continue;
		lu->pr = sc_pr_dup(old->pr);
		if (lu->pr)
			resv_publish(lu, NULL);
	}
}

static void mark(struct control *ctl, const struct view *v)
{
	struct lu *lu;
	struct group *g;

	list_for_each(lu, &ctl->lus, link)
		lu->wanted = false;
	list_for_each(g, &ctl->groups, link)
		g->wanted = false;
	for (size_t i = 0; i < v->n_target; i++)
		for (unsigned k = 0; k < v->target[i].sc.n_luns; k++)
			v->target[i].lu[k]->wanted = true;
	list_for_each(g, &ctl->groups, link) {
		const struct conf_group *cg = conf_group_find(v->conf, g->name);

		if (!cg || (ctl->only && strcmp(ctl->only, g->name) != 0))
			continue;  /* g->conf of before says that it is to be removed */
		g->wanted = true;
		g->conf = cg;
	}
	list_for_each(lu, &ctl->lus, link)
		if (lu->wanted)
			inherit(lu);
}

static int open_portals(struct control *ctl, const struct view *v, char *err, size_t err_len)
{
	struct group *g;
	int rc = 0;

	list_for_each(g, &ctl->groups, link) {
		const struct conf_group *cg = conf_group_find(v->conf, g->name);

		if (!rc && cg && !(ctl->only && strcmp(ctl->only, g->name) != 0))
			rc = listen_open(g, cg, err, err_len);
	}
	if (rc)
		list_for_each(g, &ctl->groups, link)
			listen_rollback(g);
	return rc;
}

/* LUNs that were made for a configuration that is refused */
static void forget_new(struct control *ctl)
{
	struct lu *lu, *tmp;

	list_for_each_safe(lu, tmp, &ctl->lus, link)
		if (!lu->wanted && lu->state == LU_STANDBY && !lu->geo.blocks)
			lu_remove(lu);
}

int control_apply(struct control *ctl, struct conf *conf, void (*done)(struct control *ctl), char *err, size_t err_len)
{
	struct apply *a;
	struct view *v;
	int rc = 0;

	if (ctl->applying) {
		conf_free(conf);
		snprintf(err, err_len, "the configuration before is still being applied: try again");
		return -EBUSY;
	}
	v = view_new(ctl, conf, ctl->only, err, err_len);
	if (!v) {
		forget_new(ctl);
		return -EINVAL;
	}
	rc = open_portals(ctl, v, err, err_len);
	a = rc ? NULL : calloc(1, sizeof(*a));
	if (!a) {
		view_free(v);
		forget_new(ctl);
		return rc ? rc : -ENOMEM;
	}
	mark(ctl, v);
	a->old = ctl->view;
	a->new = v;
	a->done = done;
	a->call.on_reactor = on_reactor;
	a->call.done = applied;
	ctl->view = v;
	ctl->applying = true;
	call_all(ctl, &a->call);
	return 0;
}
