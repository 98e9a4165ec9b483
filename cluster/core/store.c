/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.c - our own copy of a group's record: one write in flight, the newest wish waiting behind it
 *
 * After a failed write the file may hold either version. In memory the old one stays in force; both are safe,
 * since whatever needed the new one is refused or left behind by a bump. The disk is tried again every few
 * seconds with the record in force; until it works we announce that nobody should count on us.
 */
#include "cluster/core/internal.h"

void co_record_clear(struct core_record *r)
{
	core_body_unref(r->body);
	*r = (struct core_record){ 0 };
}

void co_record_set(struct core_record *dst, const struct core_record *src)
{
	struct core_body *old = dst->body;

	*dst = *src;
	core_body_ref(dst->body);
	core_body_unref(old);
}

static void pump(struct core *c, struct group *g)
{
	const struct core_stamp *stamp;
	struct core_action *a;

	if ((g->flight.kind != ST_NONE && !MUTANT(MUTANT_STORE_TWICE)) || g->want.kind == ST_NONE)
		return;
	g->flight = g->want;
	g->want = (struct store_job){ 0 };
	stamp = &g->flight.rec.stamp;
	g->flight.rec.admin_gen = g->admin_gen;
	g->flight.rec.stopped = g->stopped;
	g->flight.rec.high = MUTANT(MUTANT_FORGET_HIGH) ? 0 : MAX(g->epoch, stamp->epoch);
	g->store_id = ++c->next_id;
	a = co_act(c, CORE_ACT_STORE, g);
	a->store.id = g->store_id;
	a->store.record = g->flight.rec;
	co_act_hold(c, g->flight.rec.body);
}

/**
 * co_store() - Make a record stable; co_record_stored(), co_intent_stored(), … follow
 * What waits already is replaced: it was either an older record of the same owner, or a claim that has lapsed.
 */
void co_store(struct core *c, struct group *g, enum store_kind kind, struct core_stamp stamp, struct core_body *body, bool warm)
{
	struct core_record r = { .stamp = stamp, .body = body, .warm = warm };

	co_note_stamp(g, &stamp);
	co_record_set(&g->want.rec, &r);
	g->want.kind = kind;
	pump(c, g);
}

/** co_store_cancel() - What we wanted for ourselves and has not begun yet is not wanted any more */
void co_store_cancel(struct group *g)
{
	if (g->want.kind == ST_NONE || g->want.kind == ST_PUSH)
		return;
	co_record_clear(&g->want.rec);
	g->want.kind = ST_NONE;
}

/** co_store_admin() - The administrator's wish is newer than what lies on disk: write it beside the same record */
void co_store_admin(struct core *c, struct group *g)
{
	if (g->rec.admin_gen == g->admin_gen && g->rec.stopped == g->stopped)
		return;
	if (g->flight.kind == ST_NONE && g->want.kind == ST_NONE && g->store_ok)
		co_store(c, g, ST_ADMIN, g->rec.stamp, g->rec.body, g->rec.warm);
}

/** co_admin_merge() - Somebody knows of a newer wish. Ties between partitions: stopped is the safer one */
void co_admin_merge(struct core *c, struct group *g, uint64_t gen, bool stopped)
{
	if (gen < g->admin_gen || (gen == g->admin_gen && (stopped == g->stopped || !stopped)))
		return;
	g->admin_gen = gen;
	g->stopped = stopped;
	g->announce = true;
	co_dirty(g);
	co_store_admin(c, g);
}

static void failed(struct core *c, struct group *g, const char *error)
{
	if (g->store_ok) {
		co_act_event(c, g, CORE_ERROR, "store-failed", "cannot write the group's record: %s. Until that is repaired "
			  "this node does not take part in the group's reservations", error ? error : "unknown error");
		g->store_ok = false;
		g->announce = true;
	}
	co_set_timer(c, g, TM_STORE, STORE_RETRY_MS);
}

/** co_store_done() - A write ended: put it in force, tell whoever waits */
void co_store_done(struct core *c, const struct core_ev_stored *ev)
{
	struct group *g = co_group_find(c, ev->group);
	struct store_job job;

	if (!g || g->flight.kind == ST_NONE || ev->id != g->store_id)
		return;
	job = g->flight;
	g->flight = (struct store_job){ 0 };
	co_dirty(g);
	if (ev->ok) {
		co_record_set(&g->rec, &job.rec);
		g->timer[TM_STORE] = CORE_NEVER;
		if (!g->store_ok)
			g->announce = true;
		g->store_ok = true;
	} else {
		failed(c, g, ev->error);
	}
	if (job.kind == ST_PUSH)
		co_record_stored(c, g, &job.rec, ev->ok);
	else if (job.kind == ST_INTENT)
		co_intent_stored(c, g, &job.rec, ev->ok);
	else if (job.kind == ST_COMMIT)
		co_commit_stored(c, g, &job.rec, ev->ok);
	else if (job.kind == ST_BUMP)
		co_bump_stored(c, g, &job.rec, ev->ok);
	else if (job.kind == ST_RELEASE)
		co_release_stored(c, g, &job.rec, ev->ok);
	co_record_clear(&job.rec);
	pump(c, g);
	co_store_admin(c, g);
}

/** co_store_retry() - Has the disk recovered? */
void co_store_retry(struct core *c, struct group *g)
{
	if (g->flight.kind == ST_NONE && g->want.kind == ST_NONE)
		co_store(c, g, ST_REPAIR, g->rec.stamp, g->rec.body, g->rec.warm);
	else
		co_set_timer(c, g, TM_STORE, STORE_RETRY_MS);
}
