/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.c - messages for the administrator: the whole cluster on one screen
 *
 * Who serves what, and why not, is the core's word and known on every node. Portals, LUNs and sessions are known
 * where a group is served: those come as parts from other members (report.c).
 */
#include "cluster/shell.h"
#include "proto/sessions.h"

#include <net/if.h>
#include <string.h>

/* ---- what this node knows of a group it serves ---- */

static Lunward__PortalStatus *portal_status(struct pool *pool, const struct group *g, const struct portal *p)
{
	Lunward__PortalStatus *s = pool_alloc(pool, sizeof(*s));
	uint64_t lease = g->d->conf ? g->d->conf->opt.lease_ms : 0;
	uint64_t age = (mono_ns() - p->renewed_ns) / NSEC_PER_MSEC;
	char dev[IF_NAMESIZE] = "";

	lunward__portal_status__init(s);
	s->address = pool_text(pool, p->text);
	if (p->ifindex)
		if_indextoname((unsigned)p->ifindex, dev);
	s->device = pool_text(pool, dev[0] ? dev : p->dev);
	s->up = p->up && g->serve;
	s->lease_ms = s->up && lease > age ? (uint32_t)(lease - age) : 0;
	s->error = pool_text(pool, p->error ? strerror(-p->error) : "");
	return s;
}

static void fill_portals(struct pool *pool, const struct group *g, Lunward__GroupStatus *s)
{
	const struct portal *p;

	list_for_each(p, &g->portals, link)
		pool_push(pool, &s->portals, &s->n_portals, portal_status(pool, g, p));
}

static const Lunward__TargetReport *report_of(const struct group *g)
{
	static Lunward__TargetReport none;

	if (!none.base.descriptor)
		lunward__target_report__init(&none);
	return g->target.report ? g->target.report : &none;
}

static Lunward__CtlSessions *sessions_of(struct pool *pool, Lunward__CtlReply *reply)
{
	if (reply->msg_case != LUNWARD__CTL_REPLY__MSG_SESSIONS) {
		reply->msg_case = LUNWARD__CTL_REPLY__MSG_SESSIONS;
		reply->sessions = pool_alloc(pool, sizeof(*reply->sessions));
		lunward__ctl_sessions__init(reply->sessions);
	}
	return reply->sessions;
}

static Lunward__CtlReservations *reservations_of(struct pool *pool, Lunward__CtlReply *reply)
{
	if (reply->msg_case != LUNWARD__CTL_REPLY__MSG_RESERVATIONS) {
		reply->msg_case = LUNWARD__CTL_REPLY__MSG_RESERVATIONS;
		reply->reservations = pool_alloc(pool, sizeof(*reply->reservations));
		lunward__ctl_reservations__init(reply->reservations);
	}
	return reply->reservations;
}

static void local_sessions(const struct group *g, struct pool *pool, Lunward__CtlReply *reply)
{
	const Lunward__TargetReport *r = report_of(g);
	Lunward__CtlSessions *list = sessions_of(pool, reply);
	Lunward__GroupSessions *s = pool_alloc(pool, sizeof(*s));

	lunward__group_sessions__init(s);
	s->group = pool_text(pool, g->name);
	s->sessions = r->sessions;
	s->n_sessions = r->n_sessions;
	pool_push(pool, &list->groups, &list->n_groups, s);
}

static void local_reservations(const struct group *g, struct pool *pool, Lunward__CtlReply *reply)
{
	const Lunward__TargetReport *r = report_of(g);
	Lunward__CtlReservations *list = reservations_of(pool, reply);
	Lunward__GroupReservations *s = pool_alloc(pool, sizeof(*s));

	lunward__group_reservations__init(s);
	s->group = pool_text(pool, g->name);
	for (size_t i = 0; i < r->n_luns; i++)
		if (r->luns[i]->reservations)
			pool_push(pool, &s->lus, &s->n_lus, r->luns[i]->reservations);
	pool_push(pool, &list->groups, &list->n_groups, s);
}

void status_merge(struct pool *p, Lunward__CtlReply *reply, Lunward__CtlReply *const *part, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (part[i]->msg_case == LUNWARD__CTL_REPLY__MSG_SESSIONS)
			for (size_t k = 0; k < part[i]->sessions->n_groups; k++) {
				Lunward__CtlSessions *s = sessions_of(p, reply);

				pool_push(p, &s->groups, &s->n_groups, part[i]->sessions->groups[k]);
			}
		if (part[i]->msg_case == LUNWARD__CTL_REPLY__MSG_RESERVATIONS)
			for (size_t k = 0; k < part[i]->reservations->n_groups; k++) {
				Lunward__CtlReservations *r = reservations_of(p, reply);

				pool_push(p, &r->groups, &r->n_groups, part[i]->reservations->groups[k]);
			}
	}
}

/* ---- the whole cluster ---- */

static void fill_records(struct clusterd *d, struct pool *pool, const struct core_group_view *v, Lunward__GroupStatus *s)
{
	struct core_member_view m;
	char name[CORE_NAME_MAX];

	for (unsigned i = 0; core_group_member(d->core, v->name, i, &m); i++) {
		Lunward__RecordStatus *r = pool_alloc(pool, sizeof(*r));

		lunward__record_status__init(r);
		r->node = pool_text(pool, shell_node_name(d, m.node, name));
		r->epoch = m.stamp.epoch;
		r->by_node = m.stamp.node;
		r->seq = m.stamp.seq;
		r->current = m.current;
		pool_push(pool, &s->records, &s->n_records, r);
	}
}

/* A device's name without the password an iscsi:// URL may hold. */
static const char *device_name(struct pool *pool, const struct group *g, const char *spec)
{
	const struct fence_lun *l;
	const char *user, *at;

	list_for_each(l, &g->fences, link)
		if (!strcmp(l->spec, spec) && l->dev)
			return fence_dev_spec(l->dev);
	user = strstr(spec, "://");
	at = user ? strchr(user, '@') : NULL;
	return at ? pool_fmt(pool, "%.*s%s", (int)(user + 3 - spec), spec, at + 1) : spec;
}

static const char *lun_state(const struct clusterd *d, const struct core_lun_view *l)
{
	if (l->busy)
		return "busy";
	if (l->status == CORE_FENCE_FOREIGN)
		return "foreign key";
	if (l->status == CORE_FENCE_ERROR)
		return "failed";
	if (!l->key.epoch)
		return "free";
	return l->key.node == d->self ? "held here" : "held";
}

static void fill_fence(struct clusterd *d, struct pool *pool, const char *group, Lunward__GroupStatus *s)
{
	const struct group *g = shell_group(d, group);
	struct core_lun_view l;
	char name[CORE_NAME_MAX];

	for (unsigned i = 0; core_group_lun(d->core, group, i, &l); i++) {
		Lunward__FenceStatus *f = pool_alloc(pool, sizeof(*f));

		lunward__fence_status__init(f);
		f->device = pool_text(pool, device_name(pool, g, l.name));
		f->arbitrates = i == 0;
		f->key = key_pack(d, l.key);
		f->owner = pool_text(pool, l.key.epoch ? shell_node_name(d, l.key.node, name) : "");
		f->epoch = l.key.epoch;
		f->state = pool_text(pool, lun_state(d, &l));
		f->error = pool_text(pool, l.error);
		pool_push(pool, &s->fence, &s->n_fence, f);
	}
}

static void local_status(const struct group *g, struct pool *pool, Lunward__CtlReply *reply)
{
	const Lunward__TargetReport *r = report_of(g);
	Lunward__GroupStatus *s = pool_alloc(pool, sizeof(*s));

	if (reply->msg_case != LUNWARD__CTL_REPLY__MSG_STATUS) {
		reply->msg_case = LUNWARD__CTL_REPLY__MSG_STATUS;
		reply->status = pool_alloc(pool, sizeof(*reply->status));
		lunward__ctl_status__init(reply->status);
	}
	lunward__group_status__init(s);
	s->name = pool_text(pool, g->name);
	fill_portals(pool, g, s);
	fill_fence(g->d, pool, g->name, s);
	s->luns = r->luns;
	s->n_luns = r->n_luns;
	s->sessions = sessions_count(r->sessions, r->n_sessions);
	pool_push(pool, &reply->status->groups, &reply->status->n_groups, s);
}

void status_local(struct group *g, struct pool *p, Lunward__CtlReply *reply, Lunward__ReportRequest__What what)
{
	if (what == LUNWARD__REPORT_REQUEST__WHAT__STATUS)
		local_status(g, p, reply);
	else if (what == LUNWARD__REPORT_REQUEST__WHAT__SESSIONS)
		local_sessions(g, p, reply);
	else
		local_reservations(g, p, reply);
}

/* LUNs of a group that nobody reports on: from the document. */
static void fill_luns(struct pool *pool, const struct conf_group *cg, Lunward__GroupStatus *s)
{
	for (size_t i = 0; cg && i < cg->n_target; i++)
		for (size_t k = 0; k < cg->target[i].n_lun; k++) {
			Lunward__LunInfo *l = pool_alloc(pool, sizeof(*l));

			lunward__lun_info__init(l);
			l->target = pool_text(pool, cg->target[i].iqn);
			l->lun = cg->target[i].lun[k].number;
			l->backing = pool_text(pool, conf_backing_names[cg->target[i].lun[k].backing]);
			l->state = pool_text(pool, "standby");
			pool_push(pool, &s->luns, &s->n_luns, l);
		}
}

/* Nobody serves it: what each node says to that. */
static char *reasons(struct clusterd *d, struct pool *pool, const struct core_group_view *v)
{
	struct core_member_view m;
	char name[CORE_NAME_MAX], *text = pool_text(pool, "");

	for (unsigned i = 0; core_group_member(d->core, v->name, i, &m); i++) {
		const char *why = m.node == d->self ? v->why : m.why;

		if (m.live && why && why[0])
			text = pool_fmt(pool, "%s%s%s: %s", text, text[0] ? "; " : "", shell_node_name(d, m.node, name), why);
	}
	return text;
}

static const char *why_of(struct clusterd *d, struct pool *pool, const struct core_group_view *v)
{
	struct core_member_view m;

	if (v->owner == d->self)
		return v->why;
	if (!v->owner)
		return reasons(d, pool, v);
	for (unsigned i = 0; core_group_member(d->core, v->name, i, &m); i++)
		if (m.node == v->owner && m.why)
			return m.why;
	return "";
}

static Lunward__GroupStatus *remote_part(Lunward__CtlReply *const *remote, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; remote[i]->msg_case == LUNWARD__CTL_REPLY__MSG_STATUS && k < remote[i]->status->n_groups; k++)
			if (!strcmp(remote[i]->status->groups[k]->name, name))
				return remote[i]->status->groups[k];
	return NULL;
}

static const char *state_word(const struct core_group_view *v)
{
	if (v->owner)
		return core_state_name(v->owner_state);
	return v->stopped && v->state != CORE_RELEASING ? "stopped" : core_state_name(v->state);
}

static Lunward__GroupStatus *group_status(struct clusterd *d, struct pool *pool, const struct core_group_view *v,
					  const Lunward__GroupStatus *part)
{
	Lunward__GroupStatus *s = pool_alloc(pool, sizeof(*s));
	const struct conf_group *cg = d->conf ? conf_group_find(d->conf, v->name) : NULL;
	char name[CORE_NAME_MAX];

	lunward__group_status__init(s);
	s->name = pool_text(pool, v->name);
	s->state = pool_text(pool, state_word(v));
	s->owner = pool_text(pool, v->owner ? shell_node_name(d, v->owner, name) : "");
	s->why = pool_text(pool, why_of(d, pool, v));
	s->since_ms = real_us() / 1000 - (mono_ns() / NSEC_PER_MSEC - v->since);
	for (size_t i = 0; cg && i < cg->n_node; i++)
		pool_push(pool, &s->nodes, &s->n_nodes, pool_text(pool, cg->node[i]));
	s->epoch = v->key.epoch;
	s->seq = v->stamp.seq;
	fill_records(d, pool, v, s);
	if (part) {
		s->fence = part->fence;
		s->n_fence = part->n_fence;
		s->portals = part->portals;
		s->n_portals = part->n_portals;
		s->luns = part->luns;
		s->n_luns = part->n_luns;
		s->sessions = part->sessions;
	} else {
		fill_portals(pool, shell_group(d, v->name), s);
		fill_fence(d, pool, v->name, s);
	}
	if (!s->n_luns)
		fill_luns(pool, cg, s);
	return s;
}

static Lunward__NodeStatus *node_status(struct clusterd *d, struct pool *pool, const struct nodelist_node *n)
{
	Lunward__NodeStatus *s = pool_alloc(pool, sizeof(*s));
	const struct peer *p = n->id <= NODE_ID_MAX ? &d->peer[n->id] : NULL;

	lunward__node_status__init(s);
	s->name = pool_text(pool, n->name);
	s->id = n->id;
	s->self = n->id == d->self;
	s->online = p && p->live;
	s->config_version = s->self ? d->config_version : p ? p->config_version : 0;
	if (!p)
		s->note = pool_fmt(pool, "its corosync node id is not one of 1 to %u: it cannot serve", NODE_ID_MAX);
	else if (s->self)
		s->note = pool_fmt(pool, "%s%s%s", corosync_note(d), corosync_note(d)[0] && d->config_note[0] ? "; " : "",
				   d->config_note);
	else
		s->note = pool_text(pool, p->refused);
	return s;
}

/* Corosync has never been reached: all we know is that we are here. */
static Lunward__NodeStatus *lonely(struct clusterd *d, struct pool *pool)
{
	Lunward__NodeStatus *s = pool_alloc(pool, sizeof(*s));
	char name[64] = "this node";

	gethostname(name, sizeof(name) - 1);
	lunward__node_status__init(s);
	s->name = pool_text(pool, name);
	s->self = true;
	s->config_version = d->config_version;
	s->note = pool_text(pool, corosync_note(d));
	return s;
}

void status_fill(struct clusterd *d, struct pool *pool, Lunward__CtlReply *reply, Lunward__CtlReply *const *remote, size_t n)
{
	Lunward__CtlStatus *s = pool_alloc(pool, sizeof(*s));
	struct core_group_view v;

	lunward__ctl_status__init(s);
	s->cluster = pool_text(pool, d->conf ? d->conf->cluster : d->nodes.cluster);
	s->quorate = d->quorate;
	s->config_version = d->config_version;
	s->software = pool_text(pool, PACKAGE_VERSION);
	if (!d->nodes.n)
		pool_push(pool, &s->nodes, &s->n_nodes, lonely(d, pool));
	for (size_t i = 0; i < d->nodes.n; i++)
		pool_push(pool, &s->nodes, &s->n_nodes, node_status(d, pool, &d->nodes.node[i]));
	for (unsigned i = 0; d->core && core_group(d->core, i, &v); i++)
		pool_push(pool, &s->groups, &s->n_groups, group_status(d, pool, &v, remote_part(remote, n, v.name)));
	reply->msg_case = LUNWARD__CTL_REPLY__MSG_STATUS;
	reply->status = s;
	if (!d->core)
		reply->text = pool_fmt(pool, "not in the cluster: %s", corosync_note(d));
	else if (!d->conf)
		reply->text = pool_text(pool, "no configuration: run lunwardctl apply FILE");
}
