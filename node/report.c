/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.c - what goes on here: sessions with their counters, logical units, reservations
 *
 * Counters belong to the reactors: a call collects them, then the control thread puts them beside what it knows.
 */
#include <stdio.h>
#include <string.h>

#include "node/node.h"

struct counters {
	const struct conn *conn;
	struct isc_stats stats;
	uint32_t in_flight;
	bool header_digest, data_digest;
};

struct report {
	struct call call;
	struct group *group;
	uint64_t cookie;
	void (*done)(struct group *g, Lunward__TargetReport *r);
	struct { struct counters *v; size_t n; } at[REACTORS_MAX];
};

static void collect(struct call *call, struct reactor *r)
{
	struct report *p = container_of(call, struct report, call);
	struct conn *c;
	size_t n = 0;

	list_for_each(c, &r->conns, link)
		n++;
	p->at[r->index].v = calloc(n + 1, sizeof(struct counters));
	list_for_each(c, &r->conns, link) {
		struct counters *k;

		if (!p->at[r->index].v || c->group != p->group || c->state != CONN_FULL || !c->isc)
			continue;
		k = &p->at[r->index].v[p->at[r->index].n++];
		*k = (struct counters){
			.conn = c,
			.stats = *isc_conn_stats(c->isc),
			.in_flight = c->n_tasks,
			.header_digest = isc_conn_params(c->isc)->header_digest == ISC_DIGEST_CRC32C,
			.data_digest = isc_conn_params(c->isc)->data_digest == ISC_DIGEST_CRC32C,
		};
	}
	call_reply(call, r);
}

static const struct counters *find(const struct report *p, const struct conn *c)
{
	for (unsigned i = 0; i < REACTORS_MAX; i++)
		for (size_t k = 0; k < p->at[i].n; k++)
			if (p->at[i].v[k].conn == c)
				return &p->at[i].v[k];
	return NULL;
}

static Lunward__SessionInfo *session_info(const struct report *p, const struct conn *c)
{
	Lunward__SessionInfo *m = malloc(sizeof(*m));
	const struct counters *k = find(p, c);

	if (!m)
		return NULL;
	lunward__session_info__init(m);
	m->connection = record_connection(c);
	if (k) {
		m->commands = k->stats.commands;
		m->bytes_read = k->stats.read_bytes;
		m->bytes_written = k->stats.written_bytes;
		m->in_flight = k->in_flight;
		m->header_digest = k->header_digest;
		m->data_digest = k->data_digest;
	}
	return m;
}

static char *hex(const uint8_t *p, size_t n)
{
	char *s = malloc(2 * n + 1);

	for (size_t i = 0; s && i < n; i++)
		snprintf(s + 2 * i, 3, "%02x", p[i]);
	return s;
}

/* Where its bytes live: a URL says it all, a path does not say what it is the path of. */
static char *backing_text(const struct lu *lu)
{
	char *s = NULL;

	if (lu->conf.backing == CONF_ISCSI)
		return strdup(lu->path);
	if (asprintf(&s, "%s%s%s", conf_backing_names[lu->conf.backing], *lu->path ? ":" : "", lu->path) < 0)
		return NULL;
	return s;
}

static Lunward__LunInfo *lun_info(const struct lu *lu)
{
	static const char *const states[] = {
		[LU_STANDBY] = "standby", [LU_OPENING] = "opening", [LU_OPEN] = "open", [LU_FAILED] = "failed",
	};
	Lunward__LunInfo *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	lunward__lun_info__init(m);
	m->lun = lu->number;
	m->target = strdup(lu->iqn);
	m->backing = backing_text(lu);
	m->state = strdup(states[lu->state]);
	m->error = strdup(lu->error);
	m->identity = hex(lu->tmpl.naa, lu->tmpl.naa_len);
	m->blocks = lu->geo.blocks;
	m->block_size = lu->geo.block_size;
	m->reservations = record_lu(lu);
	if (m->target && m->backing && m->state && m->error && m->identity)
		return m;
	lunward__lun_info__free_unpacked(m, NULL);
	return NULL;
}

static void add_sessions(const struct report *p, Lunward__TargetReport *r)
{
	struct control *ctl = p->group->ctl;
	struct conn *c;
	size_t n = 0;

	list_for_each(c, &ctl->conns, known)
		n++;
	r->sessions = calloc(n + 1, sizeof(*r->sessions));
	list_for_each(c, &ctl->conns, known) {
		if (c->group != p->group || c->discovery)
			continue;
		r->parked_logins += c->login < LOGIN_LIVE;
		if (c->login != LOGIN_LIVE || !r->sessions)
			continue;
		r->sessions[r->n_sessions] = session_info(p, c);
		r->n_sessions += r->sessions[r->n_sessions] != NULL;
	}
}

static void add_luns(const struct report *p, Lunward__TargetReport *r)
{
	struct control *ctl = p->group->ctl;
	struct lu *lu;
	size_t n = 0;

	list_for_each(lu, &ctl->lus, link)
		n++;
	r->luns = calloc(n + 1, sizeof(*r->luns));
	list_for_each(lu, &ctl->lus, link) {
		if (lu->group != p->group || !lu->wanted || !r->luns)
			continue;
		r->luns[r->n_luns] = lun_info(lu);
		r->n_luns += r->luns[r->n_luns] != NULL;
	}
}

static void collected(struct call *call)
{
	struct report *p = container_of(call, struct report, call);
	Lunward__TargetReport *r = malloc(sizeof(*r));

	if (r) {
		lunward__target_report__init(r);
		r->cookie = p->cookie;
		add_sessions(p, r);
		add_luns(p, r);
		p->done(p->group, r);
		lunward__target_report__free_unpacked(r, NULL);
	}
	for (unsigned i = 0; i < REACTORS_MAX; i++)
		free(p->at[i].v);
	free(p);
}

void report_make(struct group *g, uint64_t cookie, void (*done)(struct group *g, Lunward__TargetReport *r))
{
	struct report *p = calloc(1, sizeof(*p));

	if (!p)
		return;
	*p = (struct report){ .group = g, .cookie = cookie, .done = done };
	p->call.on_reactor = collect;
	p->call.done = collected;
	call_all(g->ctl, &p->call);
}
