/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * evaluate.c - what follows for a group, once an event has been handled
 *
 * Called for every group marked dirty until nothing changes any more. It only ever begins something, or gives
 * something up; the steps in between belong to the files of the states.
 */
#include "cluster/core/internal.h"

static void refresh_eligible(struct core *c, struct group *g)
{
	char why[CORE_TEXT_MAX];
	bool e = co_find_eligible(c, g, why, sizeof(why)) && !g->stopped;

	if (e != g->eligible) {
		g->eligible = e;
		g->announce = true;
	}
	if (g->state != CORE_STANDBY || !g->mine || (!*why && !g->why_eligible))
		return;
	co_set_why(c, g, "%s", why);
	g->why_eligible = *why;
}

static void eval_init(struct core *c, struct group *g)
{
	if (!g->t.outlived)
		co_target_want(c, g);
	if ((g->t.phase == T_STANDBY && co_target_ready(g)) || (!g->mine && g->t.phase == T_NONE))
		co_set_state(c, g, CORE_STANDBY);
}

/* Does anybody have it? Then nothing is wrong with it, and wishes about who should are fulfilled. */
static bool owned(struct core *c, struct group *g)
{
	unsigned o = co_owner_slot(c, g);

	if (o == NO_SLOT)
		return false;
	if (g->state == CORE_BLOCKED) {
		g->failures = 0;
		co_set_state(c, g, CORE_STANDBY);
		refresh_eligible(c, g);
	}
	if (g->eligible)
		co_set_why(c, g, "%s", "");
	if (g->view[o].state == CORE_ACTIVE)
		g->move_to = g->force_node = 0;
	return true;
}

static void eval_stopped(struct core *c, struct group *g)
{
	if (g->state == CORE_STOPPED)
		return;
	if (!g->release.failed)
		co_set_why(c, g, "%s", "stopped by the administrator");
	g->timer[TM_RETRY] = CORE_NEVER;
	g->failures = 0;
	co_set_state(c, g, CORE_STOPPED);
}

static void eval_rest(struct core *c, struct group *g)
{
	co_target_want(c, g);
	co_store_admin(c, g);
	if (!g->mine) {
		co_set_state(c, g, CORE_STANDBY);
		g->dirty = false;
		refresh_eligible(c, g);
		g->remove = !g->configured && !g->rec.stamp.epoch && g->t.phase == T_NONE && g->flight.kind == ST_NONE && co_lun_idle(g);
		return;
	}
	if (g->stopped)
		eval_stopped(c, g);
	else if (g->state == CORE_STOPPED)
		co_set_state(c, g, CORE_STANDBY);
	if (g->state == CORE_BLOCKED && co_in_step(c) && g->blocked_sync != c->sync)
		co_set_state(c, g, CORE_STANDBY);
	refresh_eligible(c, g);
	if (owned(c, g) || !g->eligible || !co_in_step(c) || co_other_is_at_it(c, g) || co_wait_for_somebody(c, g)) {
		g->idle_since = CORE_NEVER;
		return;
	}
	if (g->flight.kind == ST_NONE && g->want.kind == ST_NONE && co_my_turn(c, g)) {
		g->idle_since = CORE_NEVER;
		co_takeover_start(c, g);
	}
}

static bool unwanted(const struct core *c, const struct group *g)
{
	return !g->mine || g->stopped || c->draining;
}

static void give_up_in_order(struct core *c, struct group *g)
{
	if (!g->configured)
		co_move_start(c, g, MOVE_REMOVE, 0);
	else if (g->stopped)
		co_move_start(c, g, g->release.wanted ? MOVE_RELEASE : MOVE_STOP, 0);
	else
		co_move_start(c, g, MOVE_AWAY, 0);
}

/* Before the target serves there is nothing to drain. */
static void eval_coming_up(struct core *c, struct group *g)
{
	if (unwanted(c, g))
		co_drop(c, g, CORE_DROPPING, "%s", c->draining ? "this node is shutting down" : "stopped by the administrator");
	else if (g->state == CORE_ACTIVATING)
		co_serve_try(c, g);
}

/* Another live member claims the group with a key that is not older than ours: one of us is wrong. */
static void doubt(struct core *c, struct group *g)
{
	unsigned s;

	for (s = 0; s < CORE_MAX_NODES; s++)
		if (s != c->me && c->peers[s].live && c->peers[s].synced && g->view[s].known &&
		    (co_state_flags(g->view[s].state) & F_HOLD) && g->view[s].key_epoch >= g->key.epoch)
			break;
	if (s == CORE_MAX_NODES)
		return;
	if (c->now >= g->verified_at + LUN_RETRY_MS)
		g->verify = true;
	else
		co_set_timer(c, g, TM_RETRY, LUN_RETRY_MS);
}

/* Addresses ran out while we stood still: only under a key that nobody can have challenged for long enough. */
static void bring_address_back(struct core *c, struct group *g)
{
	if (g->address || g->must_bump)
		return;
	if (co_key_stale(c, g) && !MUTANT(MUTANT_BLIND_ADDRESS)) {
		g->take.tries++;
		g->must_bump = true;
	} else {
		g->take.tries = 0;
		co_address_up(c, g, true);
	}
}

static void eval_active(struct core *c, struct group *g)
{
	if (unwanted(c, g)) {
		give_up_in_order(c, g);
		return;
	}
	doubt(c, g);
	bring_address_back(c, g);
	co_repl_catch_up(c, g);
	if (g->verify || (co_bump_needed(c, g) && c->now >= g->bump.not_before)) {
		co_bump_start(c, g, false);
		return;
	}
	co_commit_pump(c, g);
	co_store_admin(c, g);
	co_lun_converge(c, g);
	co_target_rekey(c, g);
	if (g->reconfigure && co_lun_all_mine(g)) {
		g->reconfigure = false;
		co_act(c, CORE_ACT_TARGET_CONFIGURE, g);
		co_address_up(c, g, false);
	}
}

static void eval_bumping(struct core *c, struct group *g)
{
	if (!unwanted(c, g) || g->bump.phase != BUMP_WAIT)
		co_bump_go(c, g);
	else if (g->bump.activate)
		eval_coming_up(c, g);
	else
		give_up_in_order(c, g);
}

static void eval_draining(struct core *c, struct group *g)
{
	co_commit_pump(c, g);
	co_move_check(c, g);
}

/** co_evaluate() - Table of the above */
void co_evaluate(struct core *c, struct group *g)
{
	static void (*const eval[CORE_N_STATES])(struct core *c, struct group *g) = {
		[CORE_INIT] = eval_init,
		[CORE_STOPPED] = eval_rest, [CORE_STANDBY] = eval_rest, [CORE_BLOCKED] = eval_rest,
		[CORE_READING] = co_takeover_check, [CORE_FETCHING] = co_takeover_check,
		[CORE_INTENT] = co_takeover_check, [CORE_WAITING] = co_takeover_check,
		[CORE_TAKING_REST] = eval_coming_up, [CORE_ACTIVATING] = eval_coming_up,
		[CORE_ACTIVE] = eval_active,
		[CORE_BUMPING] = eval_bumping,
		[CORE_DRAINING] = eval_draining,
		[CORE_HANDOVER] = co_handover_check,
		[CORE_FENCED] = co_drop_check, [CORE_DROPPING] = co_drop_check,
	};

	if ((co_state_flags(g->state) & F_HOLD) && c->quorum_known && !c->quorate && !MUTANT(MUTANT_NO_QUORUM))
		co_drop(c, g, CORE_DROPPING, "no quorum: too few nodes see each other");
	if (!(co_state_flags(g->state) & F_RESTING) && g->eligible) {
		g->eligible = false;
		g->announce = true;
	}
	if (eval[g->state])
		eval[g->state](c, g);
}
