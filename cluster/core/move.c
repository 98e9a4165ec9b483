/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move.c - giving a group up in order: planned move, stop, release, shutdown
 *
 *   DRAIN    the target finishes its tasks and says goodbye to initiators; addresses still answer
 *   ADDRESS  addresses are removed …
 *   CLOSE    … so that the target can close its sockets without a packet that would invite anybody back early
 *   HANDOVER every member is told that we have stopped; once all have the last record, we let go. The key stays on the
 *            LUN; whoever comes next sees that its owner lives and does not own it, and needs no window.
 *
 * If the destination dies or cannot, the group stays: while we drain, we activate again under the same key; after
 * HANDOVER the next in order takes it, which may be us.
 */
#include "cluster/core/internal.h"

static uint8_t next_in_line(const struct core *c, const struct group *g)
{
	unsigned s = co_choose(c, g);

	return s == NO_SLOT || s == c->me ? 0 : c->peers[s].id;
}

/** co_move_start() - From ACTIVE. @to: MOVE_AWAY: destination; 0: the best there is */
void co_move_start(struct core *c, struct group *g, enum move_purpose purpose, uint8_t to)
{
	struct core_action *a;

	g->move.purpose = purpose;
	g->move.phase = MOVE_DRAIN;
	g->move.to = purpose == MOVE_AWAY && !to ? next_in_line(c, g) : to;
	if (g->move.to)
		co_act_event(c, g, CORE_INFO, "moving", "to %s", co_node_name(c, g->move.to));
	else
		co_act_event(c, g, CORE_INFO, "stopping", "finishing what is in flight");
	co_lun_forget(g);
	co_set_state(c, g, CORE_DRAINING);
	co_set_timer(c, g, TM_PHASE, (uint64_t)c->opt.drain_ms + c->opt.drain_ms / 2);
	a = co_act(c, CORE_ACT_TARGET_DEACTIVATE, g);
	a->deactivate.drain = true;
	a->deactivate.timeout_ms = c->opt.drain_ms;
}

static void handover(struct core *c, struct group *g)
{
	co_set_state(c, g, CORE_HANDOVER);
	co_set_timer(c, g, TM_PHASE, HANDOVER_MS);
	g->move_to = g->move.to;
	co_record_final(c, g, g->move.to);
	co_handover_check(c, g);
}

static void closed(struct core *c, struct group *g)
{
	co_commit_forget(g);
	switch (g->move.purpose) {
	case MOVE_BACK:
		co_rest_start(c, g);
		break;
	case MOVE_RELEASE:
	case MOVE_REMOVE:
		co_release_start(c, g, true);
		break;
	case MOVE_AWAY:
	case MOVE_STOP:
		handover(c, g);
		break;
	}
}

static void close_sockets(struct core *c, struct group *g)
{
	g->move.phase = MOVE_CLOSE;
	co_set_timer(c, g, TM_PHASE, DROP_MS);
	if (g->t.phase > T_STANDBY && !MUTANT(MUTANT_RELEASE_EARLY))
		co_target_drop(c, g);
	else
		closed(c, g);
}

static void remove_address(struct core *c, struct group *g)
{
	g->move.phase = MOVE_ADDRESS;
	co_set_timer(c, g, TM_PHASE, DROP_MS);
	co_address_down(c, g);
	if (!g->address_busy)
		close_sockets(c, g);
}

/** co_move_target() - The target has drained, has closed, or is dead */
void co_move_target(struct core *c, struct group *g)
{
	if (g->move.phase == MOVE_DRAIN)
		remove_address(c, g);
	else if (g->move.phase == MOVE_CLOSE && g->t.phase <= T_STANDBY)
		closed(c, g);
}

/** co_move_check() - Addresses are gone; or the destination is */
void co_move_check(struct core *c, struct group *g)
{
	unsigned s = g->move.to ? co_peer_slot(c, g->move.to) : NO_SLOT;

	if (g->move.to && g->move.purpose == MOVE_AWAY && (s == NO_SLOT || !c->peers[s].live)) {
		if (c->draining) {
			g->move.to = next_in_line(c, g);
		} else {
			co_act_event(c, g, CORE_WARNING, "move-failed", "%s is gone: the group stays here", co_node_name(c, g->move.to));
			g->move.purpose = MOVE_BACK;
			g->move.to = 0;
		}
	}
	if (g->move.phase == MOVE_ADDRESS && !g->address_busy)
		close_sockets(c, g);
}

/** co_move_timer() - A step takes too long: go on without */
void co_move_timer(struct core *c, struct group *g)
{
	switch (g->move.phase) {
	case MOVE_DRAIN:
		remove_address(c, g);
		break;
	case MOVE_ADDRESS:
		g->address_busy = false;
		close_sockets(c, g);
		break;
	case MOVE_CLOSE:
		co_target_kill(c, g);
		break;
	}
}

static void let_go(struct core *c, struct group *g)
{
	co_act_event(c, g, CORE_INFO, "handed-over", "this node has let go of the group");
	g->key = (struct core_key){ 0 };
	for (unsigned i = 0; i < g->n_luns; i++)
		g->luns[i].mine = g->key;
	co_lun_forget(g);
	memset(&g->repl, 0, sizeof(g->repl));
	g->must_bump = g->challenged = g->verify = false;
	g->timer[TM_ACK] = g->timer[TM_CHECK] = g->timer[TM_FAILBACK] = CORE_NEVER;
	co_set_state(c, g, CORE_STANDBY);
}

/** co_handover_check() - Does every member have the last record? And no sweep of ours is under way, that would hit the next owner */
void co_handover_check(struct core *c, struct group *g)
{
	if (!(g->repl.in & ~g->repl.acked & ~g->repl.lost) && co_lun_idle(g))
		let_go(c, g);
}

void co_handover_timer(struct core *c, struct group *g)
{
	let_go(c, g);
}

/** co_shutdown_start() - Leave in order: co_evaluate() moves every group away, in parallel */
void co_shutdown_start(struct core *c)
{
	if (c->draining)
		return;
	co_act_event(c, NULL, CORE_INFO, "shutdown", "handing over what this node serves");
	c->draining = c->announce_full = true;
	c->shutdown_until = c->now + c->opt.shutdown_ms;
	for (unsigned i = 0; i < c->n_groups; i++)
		co_dirty(c->groups[i]);
}

/** co_shutdown_check() - When nothing is held any more, or time is over: stop the targets, exit */
void co_shutdown_check(struct core *c)
{
	bool late = c->now >= c->shutdown_until;
	bool busy = false;

	if (!c->draining || c->exited)
		return;
	for (unsigned i = 0; i < c->n_groups; i++) {
		struct group *g = c->groups[i];
		unsigned f = co_state_flags(g->state);

		if (late && (f & F_HOLD))
			co_drop(c, g, CORE_DROPPING, "the node shuts down and could not hand over in time");
		busy |= !(f & F_RESTING) && c->now < c->shutdown_until + DROP_MS;
	}
	if (busy)
		return;
	c->exited = true;
	for (unsigned i = 0; i < c->n_groups; i++) {
		struct group *g = c->groups[i];

		co_address_down(c, g);
		if (g->t.phase != T_NONE)
			co_act(c, CORE_ACT_TARGET_STOP, g);
		g->t.phase = T_NONE;
	}
	co_act(c, CORE_ACT_EXIT, NULL);
}
