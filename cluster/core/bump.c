/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bump.c - the key moves on, and leaves behind whoever did not acknowledge
 *
 *   WAIT   until votequorum has spoken for the present ring: a minority must not move the key, or it would lock the
 *          majority out; and until our disk is done with the commit under way
 *   READ   is the key ours still? Also all there is to do if a rival's claim made us doubt
 *   STORE  the record under (epoch + 1, self), with the key in force as its base: on disk here, …
 *   PUSH   … and at the members that are left
 *   CAS    the first LUN. Then the new set of members is in force and commits go on; other LUNs and the target's
 *          own nexuses follow in the background (lun_converge, target_rekey)
 *
 * The target serves all the time; only commits wait. A conflict means fenced.
 */
#include "cluster/core/internal.h"

static const struct core_key no_key;

/** co_bump_needed() - May nothing be committed before the key has moved? */
bool co_bump_needed(const struct core *c, const struct group *g)
{
	(void)c;
	if (MUTANT(MUTANT_NO_BUMP))
		return false;
	return g->must_bump || g->challenged || (g->repl.in & g->repl.lost);
}

static void done(struct core *c, struct group *g)
{
	g->verify = !co_lun_fresh(c, g->luns[0].issued);
	g->verified_at = c->now;
	memset(&g->next, 0, sizeof(g->next));
	if (g->bump.activate) {
		co_rest_start(c, g);
		return;
	}
	co_set_state(c, g, CORE_ACTIVE);
	co_target_rekey(c, g);
	co_lun_converge(c, g);
}

/* Not now: serve on with commits held, and try again in a while. */
static void postpone(struct core *c, struct group *g, uint64_t ms)
{
	g->bump.not_before = c->now + ms;
	memset(&g->next, 0, sizeof(g->next));
	if (g->bump.activate)
		co_serve_start(c, g);
	else
		co_set_state(c, g, CORE_ACTIVE);
	co_set_timer(c, g, TM_RETRY, ms);
}

/** co_bump_start() - @activate: the target is not active; TAKING_REST follows, otherwise ACTIVE */
void co_bump_start(struct core *c, struct group *g, bool activate)
{
	if (co_bump_needed(c, g))
		co_act_event(c, g, CORE_INFO, "bump", "the key moves on from epoch %u: not all who hold the record answer",
			  g->key.epoch);
	memset(&g->next, 0, sizeof(g->next));
	g->bump.phase = BUMP_WAIT;
	g->bump.activate = activate;
	g->bump.key = no_key;
	g->luns[0].forgotten = g->luns[0].busy;  /* a sweep: its answer is none to what we ask */
	co_set_state(c, g, CORE_BUMPING);
	co_bump_go(c, g);
}

static void cas(struct core *c, struct group *g)
{
	if (!co_has_quorum(c))
		return;  /* co_evaluate() comes back */
	g->bump.phase = BUMP_CAS;
	co_set_timer(c, g, TM_PHASE, c->opt.fence_ms);
	co_lun_fence(c, g, &g->luns[0], CORE_FENCE_BUMP, g->key, g->bump.key);
}

static bool pushed(const struct group *g)
{
	return !(g->next.in & ~g->next.acked & ~g->next.lost);
}

/** co_bump_go() - On from where it waits, if it may. Called whenever something changes */
void co_bump_go(struct core *c, struct group *g)
{
	if (g->bump.phase == BUMP_PUSH && pushed(g)) {
		cas(c, g);
		return;
	}
	if (g->bump.phase != BUMP_WAIT || !co_has_quorum(c) || g->commit.phase == COMMIT_STORING || g->flight.kind != ST_NONE ||
	    g->timer[TM_PHASE] != CORE_NEVER)
		return;
	g->bump.phase = BUMP_READ;
	co_set_timer(c, g, TM_PHASE, c->opt.fence_ms);
	co_lun_fence(c, g, &g->luns[0], CORE_FENCE_READ, no_key, g->key);
}

static void write_ahead(struct core *c, struct group *g)
{
	struct core_stamp s = { .node = c->self, .seq = g->seq + 1, .base = g->key, .ahead = true };

	if (!co_next_key(c, g, &g->bump.key)) {
		co_act_event(c, g, CORE_ERROR, "epochs-used-up", "the group has used all epochs of its keys: `lunwardctl "
			  "group release %s` and start it anew", g->name);
		postpone(c, g, HOLD_MS);
		return;
	}
	s.epoch = g->bump.key.epoch;
	g->challenged = false;  /* whoever challenges later is in time to see this one move, or challenges anew */
	g->bump.phase = BUMP_STORE;
	co_set_timer(c, g, TM_PHASE, c->opt.ack_ms);
	co_store(c, g, ST_BUMP, s, g->rec.body, g->rec.warm);
}

/** co_bump_stored() - Our own disk has the new record, or refuses; then commits stay refused and we try again */
void co_bump_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok)
{
	pset to = co_live_holders(c, g);

	if (g->state != CORE_BUMPING || g->bump.phase != BUMP_STORE || rec->stamp.epoch != g->bump.key.epoch)
		return;
	if (!ok) {
		postpone(c, g, STORE_RETRY_MS);
		return;
	}
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (g->view[s].hold_until > c->now)
			to &= ~BIT(s);
	g->bump.phase = BUMP_PUSH;
	co_set_timer(c, g, TM_PHASE, INTENT_MS);
	co_record_push(c, g, &g->next, &g->rec, to);
	g->timer[TM_ACK] = CORE_NEVER;
	co_bump_acked(c, g);
}

/** co_bump_acked() - One more member has it, or cannot */
void co_bump_acked(struct core *c, struct group *g)
{
	if (g->bump.phase == BUMP_PUSH && pushed(g))
		cas(c, g);
}

static void moved(struct core *c, struct group *g)
{
	co_act_event(c, g, CORE_INFO, "bumped", "key epoch %u -> %u", g->key.epoch, g->bump.key.epoch);
	g->key = g->bump.key;
	g->key_at = g->luns[0].issued;
	g->luns[0].mine = g->key;
	g->repl = g->next;
	g->must_bump = false;
	g->commit.redo = g->commit.phase == COMMIT_PUSHED;
	if (g->repl.in & ~g->repl.acked)
		co_set_timer(c, g, TM_ACK, c->opt.ack_ms);
	g->announce = true;
	done(c, g);
}

static void was_read(struct core *c, struct group *g, struct lun *l)
{
	if (!co_key_eq(l->seen, g->key) && !(g->bump.key.epoch && co_key_eq(l->seen, g->bump.key))) {
		co_fenced(c, g, "its key was preempted");
	} else if (!co_lun_fresh(c, l->issued) && ++l->tries <= 3) {
		co_lun_fence(c, g, l, CORE_FENCE_READ, no_key, g->key);
	} else if (g->bump.key.epoch && co_key_eq(l->seen, g->bump.key)) {
		moved(c, g);  /* the answer to the compare-and-swap got lost */
	} else if (g->bump.key.epoch) {
		cas(c, g);
	} else if (co_bump_needed(c, g)) {
		write_ahead(c, g);
	} else {
		done(c, g);
	}
}

/** co_bump_fence() - Answer of the first LUN */
void co_bump_fence(struct core *c, struct group *g, struct lun *l)
{
	if (l->status == CORE_FENCE_ERROR) {
		co_act_event(c, g, CORE_WARNING, "lun-error", "%s: %s", l->name, l->error);
		g->bump.phase = g->bump.phase == BUMP_CAS ? BUMP_CAS : BUMP_WAIT;
		co_set_timer(c, g, TM_PHASE, LUN_RETRY_MS);
	} else if (l->op == CORE_FENCE_READ) {
		was_read(c, g, l);
	} else if (l->status == CORE_FENCE_OK) {
		moved(c, g);
	} else {
		co_fenced(c, g, "its key was preempted");
	}
}

/** co_bump_timer() - A LUN failed or is silent: read it (again). A disk or a member is silent: go on without */
void co_bump_timer(struct core *c, struct group *g)
{
	pset late = g->next.in & ~g->next.acked;

	switch (g->bump.phase) {
	case BUMP_WAIT:
		co_bump_go(c, g);
		break;
	case BUMP_READ:
	case BUMP_CAS:
		co_set_timer(c, g, TM_PHASE, c->opt.fence_ms);
		co_lun_fence(c, g, &g->luns[0], CORE_FENCE_READ, no_key, g->key);
		break;
	case BUMP_STORE:
		co_set_timer(c, g, TM_PHASE, c->opt.ack_ms);  /* a disk that hangs: commits cannot go on anyway */
		break;
	case BUMP_PUSH:
		for (unsigned s = 0; s < CORE_MAX_NODES; s++)
			if (late & BIT(s))
				g->view[s].hold_until = c->now + HOLD_MS;
		g->next.lost |= late;
		cas(c, g);
		break;
	}
}
