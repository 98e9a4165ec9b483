/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tmf_all.c - task management that reaches beyond one session's tasks: on all reactors (SAM-5 6.3, 7; RFC 7143 11.5.1)
 *
 * On each reactor: unit attentions, then all tasks meant are aborted and waited for. Then an SPC-2 reservation ends (a
 * persistent one never does, SPC-4 5.13.5.1), and when that is on record, the answer.
 */
#include <string.h>
#include <strings.h>

#include <qb/qblog.h>

#include "node/node.h"

static const struct sc_nexus nobody;

/* What a function does */
struct scope {
	bool target;                 /* to all logical units of the target; otherwise to one */
	bool own;                    /* to this nexus alone */
	bool cleared;                /* others hear that their commands were cleared, and nothing else */
	bool modes;                  /* mode values become the default ones */
	uint16_t ua;                 /* for every nexus it is done to */
	enum sc_pr_verb event;       /* 0: none */
};
static const struct scope scopes[ISC_TMF_FUNCTIONS] = {
	[ISC_TMF_CLEAR_TASK_SET] = { .cleared = true },
	[ISC_TMF_LUN_RESET] = { .modes = true, .ua = SC_UA_LU_RESET, .event = SC_PR_RESET },
	[ISC_TMF_TARGET_WARM_RESET] = { .target = true, .modes = true, .ua = SC_UA_TARGET_RESET, .event = SC_PR_RESET },
	[ISC_TMF_TARGET_COLD_RESET] = { .target = true, .modes = true, .ua = SC_UA_TARGET_RESET, .event = SC_PR_RESET },
	[ISC_TMF_NEXUS_RESET] = { .target = true, .own = true, .ua = SC_UA_NEXUS_LOSS, .event = SC_PR_NEXUS_LOSS },
};

struct reset {
	struct call call;
	struct tmf *f;
	const struct scope *scope;
	struct lu *lu;               /* NULL: all of the target */
	unsigned left;               /* events that are not on record yet, and one */
	struct reset_part {
		struct abort_req q;
		struct reset *reset;
		struct reactor *r;
	} part[REACTORS_MAX];
};

static bool means(const struct reset *s, const struct lu *lu)
{
	return s->lu ? s->lu == lu : lu->group == s->f->conn->group && !strcasecmp(lu->iqn, s->f->conn->iqn);
}

static void give_uas(struct reset *s, struct reactor *r)
{
	struct session *sess;

	list_for_each(sess, &r->sessions, at) {
		if (s->scope->own && sess != s->f->conn->sess)
			continue;
		for (unsigned k = 0; k < sess->n_itl; k++)
			if (means(s, sess->itl[k]->lu->lu))
				sc_ua_add(&sess->itl[k]->sc.ua, s->scope->ua);
	}
}

static void gone(struct abort_req *q)
{
	struct reset_part *p = container_of(q, struct reset_part, q);

	call_reply(&p->reset->call, p->r);
}

static void on_reactor(struct call *c, struct reactor *r)
{
	struct reset *s = container_of(c, struct reset, call);
	struct reset_part *p = &s->part[r->index];
	const struct conn *conn = s->f->conn;
	struct rlu *l;

	if (s->scope->ua)
		give_uas(s, r);
	list_for_each(l, &r->rlus, link)
		if (s->scope->modes && means(s, l->lu)) {
			l->sc.set.mode = l->sc.set.saved;  /* and on record, by settings_reset() */
			l->sc.stopped = false;
		}
	*p = (struct reset_part){ .reset = s, .r = r, .q = { .gone = gone } };
	if (s->lu) {
		p->q.lu = s->lu->at[r->index];
	} else {
		p->q.group = conn->group;
		p->q.iqn = conn->iqn;
	}
	if (s->scope->own)
		p->q.nexus = &conn->nexus;
	if (s->scope->cleared)
		p->q.by = &conn->nexus;
	tasks_abort(r, &p->q);
}

/* All other sessions of the target end; the one that asked for it ends with its answer (tmf.c). */
static void close_sessions(struct control *ctl, const struct conn *c)
{
	struct session *s;

	list_for_each(s, &ctl->sessions, link)
		if (s != c->session && !s->discovery && s->group == c->group && !strcasecmp(s->iqn, c->iqn))
			registry_kill(s, "target cold reset");
}

static void finish(void *arg)
{
	struct reset *s = arg;
	struct tmf *f = s->f;

	if (--s->left)
		return;
	if (f->fn == ISC_TMF_TARGET_COLD_RESET)
		close_sessions(f->conn->r->ctl, f->conn);
	f->response = ISC_TMF_COMPLETE;
	f->msg.run = f->answered;
	queue_push(&f->conn->r->in, &f->msg);  /* the reactor's from here on */
	free(s);
}

static void done(struct call *call)
{
	struct reset *s = container_of(call, struct reset, call);
	struct lu *lu;

	s->left = 1;
	list_for_each(lu, &call->ctl->lus, link) {
		if (s->scope->modes && means(s, lu))
			settings_reset(lu);
		if (!s->scope->event || !means(s, lu))
			continue;
		s->left++;
		resv_event(lu, s->scope->event, s->scope->own ? &s->f->conn->nexus : &nobody, finish, s);
	}
	finish(s);
}

void tmf_all_request(struct msg *m, void *ctl)
{
	struct tmf *f = container_of(m, struct tmf, msg);
	struct reset *s = calloc(1, sizeof(*s));

	if (!s) {
		f->response = ISC_TMF_REJECTED;
		f->msg.run = f->answered;
		queue_push(&f->conn->r->in, &f->msg);
		return;
	}
	s->f = f;
	s->scope = &scopes[f->fn];
	s->lu = s->scope->target ? NULL : f->lu->lu;
	s->call.on_reactor = on_reactor;
	s->call.done = done;
	call_all(ctl, &s->call);
}
