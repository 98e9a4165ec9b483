/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * serve.c - the reservation is ours: target and addresses come up, and come up again after a crash
 *
 * Nothing becomes visible to initiators that a failover could take back: before a target is activated the record
 * it gets is complete at all members that may hold one (a commit whose target died is brought to its end first).
 */
#include "cluster/core/internal.h"

/** co_address_up() - @announce: we are new here: ARP, NA, and wake those who were connected to the former owner */
void co_address_up(struct core *c, struct group *g, bool announce)
{
	struct core_action *a = co_act(c, CORE_ACT_ADDRESS_UP, g);

	a->address.announce = announce;
	a->address.body = co_act_hold(c, g->rec.body);
	g->address = true;
	g->address_busy = false;
}

void co_address_down(struct core *c, struct group *g)
{
	if (!g->address)
		return;
	co_act(c, CORE_ACT_ADDRESS_DOWN, g);
	g->address = false;
	g->address_busy = true;
}

/** co_serve_start() - All LUNs are ours: ACTIVATING, until the target says that it serves */
void co_serve_start(struct core *c, struct group *g)
{
	co_set_state(c, g, CORE_ACTIVATING);
	co_set_timer(c, g, TM_PHASE, c->opt.activate_ms);
	co_serve_try(c, g);
}

/** co_serve_try() - Activate, once the target is there and the record is complete. Called again whenever something changes */
void co_serve_try(struct core *c, struct group *g)
{
	struct core_action *a;

	co_commit_pump(c, g);
	if (!g->address && co_lun_all_mine(g) && g->t.phase == T_STANDBY && co_key_stale(c, g)) {
		g->take.tries++;
		g->must_bump = true;
	}
	if (co_bump_needed(c, g) && c->now >= g->bump.not_before) {
		co_bump_start(c, g, true);
		return;
	}
	if (co_bump_needed(c, g) && !g->address) {
		co_drop_back_off(c, g, "the key could not be moved on: %s", g->store_ok ? "see the log" :
				 "is the disk of the state directory full?");
		return;
	}
	if (g->t.phase != T_STANDBY || !co_target_ready(g) || g->commit.phase != COMMIT_NONE)
		return;
	if (!co_lun_all_mine(g)) {
		co_rest_start(c, g);
		return;
	}
	co_act_event(c, g, CORE_INFO, "activate", "opening the LUNs under key epoch %u", g->key.epoch);
	a = co_act(c, CORE_ACT_TARGET_ACTIVATE, g);
	a->activate.key = g->key;
	a->activate.body = co_act_hold(c, g->rec.body);
	a->activate.cold = g->cold;
	g->t.phase = T_ACTIVATING;
	g->t.key = g->key;
	co_set_timer(c, g, TM_PHASE, c->opt.activate_ms);
	if (!g->address)
		co_address_up(c, g, true);
}

static void active(struct core *c, struct group *g)
{
	g->t.phase = T_ACTIVE;
	g->take.tries = 0;
	g->cold = false;
	g->failures = g->given_back = 0;
	g->move_to = g->force_node = 0;
	co_set_state(c, g, CORE_ACTIVE);
	co_set_why(c, g, "%s", "");
	co_set_timer(c, g, TM_CHECK, CHECK_MS);
	co_act_event(c, g, CORE_INFO, "activated", "serving, key epoch %u, record %llu", g->key.epoch,
		  (unsigned long long)g->rec.stamp.seq);
}

/** co_serve_target() - Activated */
void co_serve_target(struct core *c, struct group *g, const struct core_ev_target *ev)
{
	if (g->t.phase != T_ACTIVATING)
		return;
	if (g->state != CORE_ACTIVATING || !co_key_eq(ev->key, g->key))
		return;  /* told to drop since: Deactivated follows */
	if (ev->fenced)
		co_fenced(c, g, "a LUN is held by another key than the group's");
	else if (ev->error)
		co_drop_back_off(c, g, "the target cannot open the group's LUNs: %s", ev->error);
	else
		active(c, g);
}

/** co_serve_timer() - The target does not become active */
void co_serve_timer(struct core *c, struct group *g)
{
	co_act_event(c, g, CORE_ERROR, "target-hung", "the target does not become active");
	co_set_timer(c, g, TM_PHASE, c->opt.activate_ms);
	if (g->t.phase == T_ACTIVATING)
		co_target_kill(c, g);
	else if (g->t.crashes >= CRASH_LIMIT || g->t.refused)
		co_drop_back_off(c, g, "the target process does not come up%s%s", *g->t.error ? ": " : "", g->t.error);
}

static bool somebody_else(const struct core *c, const struct group *g)
{
	unsigned s = co_choose(c, g);

	return s != NO_SLOT && s != c->me;
}

/**
 * co_serve_crashed() - The target died while we hold the group: again, in place, under the same key
 * What it wanted committed and nobody answered is void; a commit under way comes to its end unanswered.
 */
void co_serve_crashed(struct core *c, struct group *g)
{
	g->commit.ticket = 0;
	while (g->commit.n)
		core_body_unref(g->commit.queue[--g->commit.n].body);
	if (g->state == CORE_DRAINING) {
		co_move_target(c, g);
	} else if (c->draining) {
		co_drop(c, g, CORE_DROPPING, "the target process died, and this node is shutting down");
	} else if (g->t.crashes >= CRASH_LIMIT && somebody_else(c, g)) {
		co_drop_back_off(c, g, "the target process died %u times in quick succession: another node shall try", g->t.crashes);
	} else if (g->state == CORE_BUMPING) {
		g->bump.activate = true;
	} else if (g->state == CORE_ACTIVE || g->state == CORE_ACTIVATING) {
		co_set_state(c, g, CORE_ACTIVATING);
		co_set_timer(c, g, TM_PHASE, c->opt.activate_ms);
	}
}

/** co_serve_address() - What became of the addresses */
void co_serve_address(struct core *c, const struct core_ev_address *ev)
{
	struct group *g = co_group_find(c, ev->group);

	if (!g)
		return;
	co_dirty(g);
	if (ev->expired && g->address && !MUTANT(MUTANT_NO_LEASE)) {
		g->address = false;  /* evaluate.c brings them back once the key is proved to be ours */
		co_act_event(c, g, CORE_WARNING, "address-expired", "this node stood still for longer than the lease of its "
			     "addresses: is the group still ours?");
	}
	if (!ev->up && !g->address)
		g->address_busy = false;
	if (ev->error && strcmp(ev->error, g->address_error) != 0)
		co_act_event(c, g, CORE_ERROR, "address-error", "%s", ev->error);
	co_copy_text(g->address_error, sizeof(g->address_error), ev->error);
	if (g->state == CORE_ACTIVE)
		co_set_why(c, g, "%s", g->address_error);
}
