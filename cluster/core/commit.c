/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commit.c - a change of the record: stable here, stable at every member that may hold a record, then answered
 *
 * One at a time; the target puts further changes into its next one. Our own disk comes first: if it refuses, nobody
 * else has seen the change and it is refused as a whole. After that there is no way back: a member that fails is
 * left behind by a bump; then it is written once more under the new key, and the target is told.
 */
#include "cluster/core/internal.h"

static void answer(struct core *c, struct group *g, uint64_t ticket, bool ok)
{
	struct core_action *a;

	if (!ticket)
		return;
	a = co_act(c, CORE_ACT_TARGET_COMMITTED, g);
	a->committed.ticket = ticket;
	a->committed.ok = ok;
}

/* In these states the target serves, and what it was told can be kept. */
static bool serving(const struct group *g)
{
	return g->state == CORE_ACTIVE || g->state == CORE_BUMPING ||
	       (g->state == CORE_DRAINING && g->move.phase == MOVE_DRAIN);
}

/* In these it is about to: what it wants waits. A target that outlived clusterd sends its change again right after Hello. */
static bool about_to_serve(const struct group *g)
{
	return (g->state == CORE_INIT || g->state == CORE_ACTIVATING) &&
	       (g->t.phase == T_ACTIVE || g->t.phase == T_ACTIVATING);
}

/** co_commit_request() - RecordChange of the target. @ticket: never 0 */
void co_commit_request(struct core *c, struct group *g, uint64_t ticket, struct core_body *body)
{
	if (!(serving(g) || about_to_serve(g)) || g->commit.n == QUEUE_MAX) {
		answer(c, g, ticket, false);
		return;
	}
	g->commit.queue[g->commit.n++] = (struct change){ .ticket = ticket, .body = core_body_ref(body) };
	co_commit_pump(c, g);
}

/** co_commit_forget() - We own nothing any more: whoever waits is about to be dropped */
void co_commit_forget(struct group *g)
{
	while (g->commit.n)
		core_body_unref(g->commit.queue[--g->commit.n].body);
	g->commit.phase = COMMIT_NONE;
	g->commit.ticket = 0;
	g->commit.redo = false;
}

static void begin(struct core *c, struct group *g)
{
	struct change ch = g->commit.queue[0];
	struct core_stamp s = { .epoch = g->key.epoch, .node = c->self, .seq = g->seq + 1, .base = g->rec.stamp.base };

	memmove(g->commit.queue, g->commit.queue + 1, --g->commit.n * sizeof(ch));
	g->commit.phase = COMMIT_STORING;
	g->commit.ticket = ch.ticket;
	co_store(c, g, ST_COMMIT, s, ch.body, true);
	if (MUTANT(MUTANT_PUSH_FIRST))
		answer(c, g, ch.ticket, true);
	core_body_unref(ch.body);
}

/** co_commit_stored() - Our own disk has it, or refuses */
void co_commit_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok)
{
	if (g->commit.phase != COMMIT_STORING || rec->stamp.epoch != g->key.epoch)
		return;
	if (!ok && g->commit.redo) {
		g->commit.phase = COMMIT_PUSHED;
		g->commit.not_before = c->now + STORE_RETRY_MS;
		co_set_timer(c, g, TM_RETRY, STORE_RETRY_MS);
		return;
	}
	if (!ok) {
		co_act_event(c, g, CORE_ERROR, "commit-refused", "a reservation or login was refused: the record cannot be stored");
		g->commit.phase = COMMIT_NONE;
		answer(c, g, g->commit.ticket, false);
		co_commit_pump(c, g);
		return;
	}
	g->commit.phase = COMMIT_PUSHED;
	g->commit.redo = false;
	co_record_push(c, g, &g->repl, &g->rec, g->repl.in & ~g->repl.lost);
	co_commit_pump(c, g);
}

/* The bump's own record holds the change, but as one written ahead, which proves nothing if the LUN loses its key. */
static void again(struct core *c, struct group *g)
{
	struct core_stamp s = { .epoch = g->key.epoch, .node = c->self, .seq = g->seq + 1, .base = g->rec.stamp.base };

	g->commit.phase = COMMIT_STORING;
	co_store(c, g, ST_COMMIT, s, g->rec.body, true);
}

/** co_commit_pump() - Answer what is complete, begin what waits */
void co_commit_pump(struct core *c, struct group *g)
{
	if (g->state == CORE_BUMPING || (g->verify && g->state == CORE_ACTIVE) || co_bump_needed(c, g))
		return;
	if (g->commit.phase == COMMIT_PUSHED && g->commit.redo) {
		if (c->now >= g->commit.not_before)
			again(c, g);
	} else if (g->commit.phase == COMMIT_PUSHED && co_repl_complete(&g->repl)) {
		g->commit.phase = COMMIT_NONE;
		g->timer[TM_ACK] = CORE_NEVER;
		answer(c, g, g->commit.ticket, true);
	}
	if (g->commit.phase == COMMIT_NONE && g->commit.n && serving(g))
		begin(c, g);
}
