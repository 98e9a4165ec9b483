/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * target.c - the target process of a group: started, configured, watched, started again
 *
 * Every node of a group keeps one, warm, whether it serves or not. `phase` is what we told it last and it confirmed;
 * whatever it says that does not fit (it was restarted by hand, it is older than we are) ends with a drop.
 */
#include "cluster/core/internal.h"

#define RESTART_MS 200u

bool co_target_ready(const struct group *g)
{
	return g->t.phase == T_STANDBY && g->t.configured;
}

void co_target_kill(struct core *c, struct group *g)
{
	if (g->t.phase == T_NONE || g->t.killed)
		return;
	co_act(c, CORE_ACT_TARGET_KILL, g);
	g->t.killed = true;
}

/** co_target_want() - There should be a process: start one if its back-off is over. Or there should be none any more */
void co_target_want(struct core *c, struct group *g)
{
	if (!g->mine || c->exited) {
		if ((co_state_flags(g->state) & F_RESTING) && g->t.phase != T_NONE) {
			co_act(c, CORE_ACT_TARGET_STOP, g);
			memset(&g->t, 0, sizeof(g->t));
			g->timer[TM_TARGET] = CORE_NEVER;
		}
		return;
	}
	if (g->t.phase != T_NONE || c->draining)
		return;
	if (g->t.restart_at > c->now) {
		co_set_timer(c, g, TM_TARGET, g->t.restart_at - c->now);
		return;
	}
	co_act(c, CORE_ACT_TARGET_START, g);
	g->t.killed = g->t.killed && MUTANT(MUTANT_KILLED_ONCE);  /* that one was for a process that turned out not to be there */
	g->t.phase = T_STARTING;
	co_set_timer(c, g, TM_TARGET, c->opt.activate_ms);
}

/** co_target_drop() - Have it drop everything at once; T_STANDBY once it says that nothing is in flight */
void co_target_drop(struct core *c, struct group *g)
{
	struct core_action *a;

	if (g->t.phase == T_NONE || g->t.phase == T_STARTING || g->t.phase == T_STANDBY)
		return;
	a = co_act(c, CORE_ACT_TARGET_DEACTIVATE, g);
	a->deactivate.drain = false;
	g->t.phase = T_DROPPING;
	g->t.rekeying = false;
}

/** co_target_rekey() - Its data nexuses follow the key in force, one change at a time */
void co_target_rekey(struct core *c, struct group *g)
{
	struct core_action *a;

	if (g->t.phase != T_ACTIVE || g->t.rekeying || co_key_eq(g->t.key, g->key))
		return;
	a = co_act(c, CORE_ACT_TARGET_REKEY, g);
	a->rekey.old = g->t.key;
	a->rekey.key = g->key;
	g->t.rekeying = true;
}

/** co_target_timer() - Start it again; or it does not say Hello, or does not drop */
void co_target_timer(struct core *c, struct group *g)
{
	if (g->t.phase == T_NONE) {
		co_target_want(c, g);
	} else if (g->t.phase == T_STARTING) {
		co_act_event(c, g, CORE_ERROR, "target-hung", "the target process does not report");
		co_target_kill(c, g);
	} else if (g->t.refused) {
		co_act(c, CORE_ACT_TARGET_CONFIGURE, g);
	}
}

static void hello(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	bool first = g->state == CORE_INIT;

	if (g->t.phase > T_STARTING && (co_state_flags(g->state) & F_HOLD)) {  /* another one, and nobody saw the first die */
		g->t.phase = T_STARTING;
		co_serve_crashed(c, g);
	}
	g->t.outlived = false;
	g->t.killed = g->t.rekeying = g->t.configured = g->t.refused = false;
	g->timer[TM_TARGET] = CORE_NEVER;
	g->t.key = ev->key;
	if (ev->state == CORE_T_STANDBY || ev->state == CORE_T_NONE) {
		g->t.phase = T_STANDBY;
	} else if (ev->state == CORE_T_ACTIVE && first && g->mine) {
		g->t.phase = T_ACTIVE;
		g->t.configured = true;
		co_adopt_target(c, g, ev);
		return;
	} else {
		g->t.phase = T_ACTIVE;  /* it serves, and should not */
		if (co_state_flags(g->state) & F_HOLD)
			co_drop_back_off(c, g, "the target process reports a state that nobody told it to have");
		else
			co_target_drop(c, g);
	}
	co_act(c, CORE_ACT_TARGET_CONFIGURE, g);
	g->reconfigure = false;
}

static void absent(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	(void)ev;
	if (g->t.outlived) {
		g->t.outlived = false;
		g->t.phase = T_NONE;
		co_target_want(c, g);
	}
}

static void configured(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	g->t.refused = ev->error != NULL;
	if (!ev->error)
		g->t.configured = true;
	if (g->t.refused) {
		co_act_event(c, g, CORE_ERROR, "config-refused", "the target refused the configuration: %s", ev->error);
		co_set_timer(c, g, TM_TARGET, 5ull * c->opt.retry_ms);
	}
	co_copy_text(g->t.error, sizeof(g->t.error), ev->error);
}

static void deactivated(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	(void)ev;
	if (g->state == CORE_DRAINING && g->move.phase == MOVE_DRAIN)
		g->t.phase = T_QUIET;
	else if (g->t.phase == T_DROPPING)
		g->t.phase = T_STANDBY;
	if (g->state == CORE_DRAINING)
		co_move_target(c, g);
}

static void says_fenced(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	(void)ev;
	if (co_state_flags(g->state) & F_HOLD)
		co_fenced(c, g, "a LUN answered RESERVATION CONFLICT");
}

static void rekeyed(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	if (!g->t.rekeying)
		return;
	g->t.rekeying = false;
	if (ev->fenced) {
		co_fenced(c, g, "a LUN is held by another key than the group's");
		return;
	}
	g->t.key = ev->key;
	if (ev->error)
		co_act_event(c, g, CORE_WARNING, "rekey-failed", "%s", ev->error);
	co_target_rekey(c, g);
}

static void record(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	co_commit_request(c, g, ev->ticket, ev->body);
}

static void died(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	bool in_window = g->t.crashes && c->now - g->t.restart_at < CRASH_WINDOW_MS;
	unsigned n = in_window ? g->t.crashes + 1 : 1;

	if (g->t.phase == T_NONE)
		return;
	if (!c->exited)
		co_act_event(c, g, CORE_ERROR, "target-died", "the target process died%s%s", ev->error ? ": " : "",
			  ev->error ? ev->error : "");
	memset(&g->t, 0, sizeof(g->t));
	g->t.crashes = n;
	g->t.restart_at = n == 1 ? c->now : c->now + ((uint64_t)RESTART_MS << MIN(n, 6u));
	co_copy_text(g->t.error, sizeof(g->t.error), ev->error);
	g->timer[TM_TARGET] = CORE_NEVER;
	if (co_state_flags(g->state) & F_HOLD)
		co_serve_crashed(c, g);
	co_target_want(c, g);
}

static void hung(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	(void)ev;
	co_act_event(c, g, CORE_ERROR, "target-hung", "the target process does not answer: it is killed");
	co_target_kill(c, g);
}

/** co_target_event() - Something about a target process */
void co_target_event(struct core *c, const struct core_ev_target *ev)
{
	static void (*const handle[])(struct core *c, struct group *g, const struct core_ev_target *ev) = {
		[CORE_TARGET_HELLO] = hello,
		[CORE_TARGET_ABSENT] = absent,
		[CORE_TARGET_CONFIGURED] = configured,
		[CORE_TARGET_ACTIVATED] = co_serve_target,
		[CORE_TARGET_DEACTIVATED] = deactivated,
		[CORE_TARGET_FENCED] = says_fenced,
		[CORE_TARGET_REKEYED] = rekeyed,
		[CORE_TARGET_RECORD] = record,
		[CORE_TARGET_DIED] = died,
		[CORE_TARGET_HUNG] = hung,
	};
	struct group *g = co_group_find(c, ev->group);

	if (!g)
		return;
	handle[ev->what](c, g, ev);
	co_dirty(g);
}
