/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * adopt.c - clusterd was restarted, and a target of its former life still serves
 *
 * The key on the LUN decides: if it is ours and our record belongs to it, the group is ours still and its I/O goes
 * on undisturbed. Addresses are renewed from then on: their lease outlives a quick restart. What members hold is not
 * known any more, so the key moves on (bump) before the next commit.
 */
#include "cluster/core/internal.h"

static const struct core_key no_key;
#define ADOPT_MS 8000u

/** co_adopt_target() - Hello of an active target, right after the start of clusterd */
void co_adopt_target(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	co_act_event(c, g, CORE_INFO, "adopt", "a target that serves under key epoch %u is still here", ev->key.epoch);
	co_lun_forget(g);
	for (unsigned i = 0; i < g->n_luns; i++)
		co_lun_fence(c, g, &g->luns[i], CORE_FENCE_READ, no_key, no_key);
	co_set_timer(c, g, TM_PHASE, ADOPT_MS);
	co_set_timer(c, g, TM_CHECK, CORE_NEVER);
}

static void adopted(struct core *c, struct group *g)
{
	struct lun *arb = g->luns;

	g->key = arb->seen;
	for (unsigned i = 0; i < g->n_luns; i++)
		g->luns[i].mine = g->luns[i].status == CORE_FENCE_ERROR ? g->key : g->luns[i].seen;
	memset(&g->repl, 0, sizeof(g->repl));
	memset(&g->next, 0, sizeof(g->next));
	g->repl.last = g->rec.stamp;
	g->must_bump = !MUTANT(MUTANT_ADOPT_NO_BUMP);
	g->take.forced = false;
	co_act_event(c, g, CORE_INFO, "adopted", "key epoch %u on the LUN is ours: the group stays here", g->key.epoch);
	co_address_up(c, g, false);
	co_set_timer(c, g, TM_CHECK, CHECK_MS);
	co_bump_start(c, g, false);
}

/** co_adopt_fence() - A key was read */
void co_adopt_fence(struct core *c, struct group *g, struct lun *l)
{
	const struct core_key *k = &g->luns[0].seen;

	if (g->t.phase != T_ACTIVE)
		return;
	if (l->status == CORE_FENCE_ERROR && l == g->luns) {
		l->known = false;
		co_set_timer(c, g, TM_CHECK, LUN_RETRY_MS);
		return;
	}
	for (unsigned i = 0; i < g->n_luns; i++)
		if (!g->luns[i].known)
			return;
	if (!co_lun_fresh(c, g->luns->issued)) {
		co_lun_fence(c, g, g->luns, CORE_FENCE_READ, no_key, no_key);
		return;
	}
	for (unsigned i = 0; i < g->n_luns; i++)
		if (g->luns[i].status != CORE_FENCE_ERROR && g->luns[i].seen.node != c->self) {
			co_fenced(c, g, "another key than this node's is on its LUNs");
			return;
		}
	if (k->epoch && core_current(&g->rec.stamp, k))
		adopted(c, g);
	else
		co_drop_back_off(c, g, "a target outlived lunward-clusterd, but the record on this node's disk (epoch %u) does "
			      "not belong to the key (epoch %u)", g->rec.stamp.epoch, k->epoch);
}

/** co_adopt_timer() - The LUN does not answer, or the target has not said Hello */
void co_adopt_timer(struct core *c, struct group *g)
{
	if (g->t.phase == T_ACTIVE) {
		co_drop_back_off(c, g, "a target outlived lunward-clusterd, but the key on %s cannot be read", g->luns[0].name);
		return;
	}
	if (g->t.outlived)
		co_target_kill(c, g);
	co_set_state(c, g, CORE_STANDBY);
}
