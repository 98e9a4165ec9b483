/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * choose.c - who should have a group, and who has it
 *
 * Everybody computes the same answer from the same announcements: the first live eligible member in the group's
 * order. Two nodes may still begin at once; the one with the worse rank gives way when it hears of the other, and
 * the arbitrating LUN decides in any case. Who fails is not eligible for a while, so the next in order follows.
 */
#include "cluster/core/internal.h"

#define UNRANKED 1000

/** co_rank() - Place of a node in line for the group: smaller is better */
int co_rank(const struct core *c, const struct group *g, unsigned slot)
{
	uint8_t id = c->peers[slot].id;

	if (g->force_node == id)
		return -2;
	if (g->move_to == id)
		return -1;
	for (unsigned i = 0; i < g->n_nodes; i++)
		if (g->nodes[i] == id)
			return (int)i;
	return UNRANKED;
}

static enum core_state state_of(const struct core *c, const struct group *g, unsigned slot)
{
	return slot == c->me ? g->state : g->view[slot].state;
}

/* Has this peer, live and heard since the last change, said something of the group? */
static bool heard_of(const struct core *c, const struct group *g, unsigned slot)
{
	if (slot == c->me)
		return true;
	return c->peers[slot].used && c->peers[slot].live && c->peers[slot].synced && g->view[slot].known;
}

static uint32_t key_epoch_of(const struct core *c, const struct group *g, unsigned slot)
{
	return slot == c->me ? g->key.epoch : g->view[slot].key_epoch;
}

unsigned co_owner_slot(const struct core *c, const struct group *g)
{
	unsigned best = NO_SLOT;

	for (unsigned s = 0; s < CORE_MAX_NODES; s++) {
		if (!heard_of(c, g, s) || !(co_state_flags(state_of(c, g, s)) & F_HOLD))
			continue;
		if (best == NO_SLOT || key_epoch_of(c, g, s) > key_epoch_of(c, g, best))
			best = s;
	}
	return best;
}

static bool eligible(const struct core *c, const struct group *g, unsigned s)
{
	if (s == c->me)
		return g->eligible;
	return heard_of(c, g, s) && co_may_hold(c, g, s) && g->view[s].eligible && !c->peers[s].draining;
}

/** co_choose() - Return: slot of the member that should take the group now; NO_SLOT: nobody can */
unsigned co_choose(const struct core *c, const struct group *g)
{
	unsigned best = NO_SLOT;

	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (eligible(c, g, s) && (best == NO_SLOT || co_rank(c, g, s) < co_rank(c, g, best)))
			best = s;
	return best;
}

/**
 * co_my_turn() - Is it us who should take the group now?
 * A candidate that should begin and does not (its clusterd is stuck, say) is not waited for forever: after some
 * patience for each that comes before us, we go. The LUN arbitrates if both do.
 */
bool co_my_turn(struct core *c, struct group *g)
{
	uint64_t patience = 0;

	if (g->idle_since == CORE_NEVER)
		g->idle_since = c->now;
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (s != c->me && eligible(c, g, s) && co_rank(c, g, s) < co_rank(c, g, c->me))
			patience += PATIENCE_MS;
	if (c->now >= g->idle_since + patience)
		return true;
	co_set_timer(c, g, TM_RETRY, g->idle_since + patience - c->now);
	return false;
}

/**
 * co_other_is_at_it() - Does another member hold the group, or try to with a better right than ours?
 * At rest anybody who tries is left alone; once we try as well, only a better rank makes us give way.
 */
bool co_other_is_at_it(const struct core *c, const struct group *g)
{
	bool resting = co_state_flags(g->state) & F_RESTING;

	for (unsigned s = 0; s < CORE_MAX_NODES; s++) {
		unsigned f;

		if (s == c->me || !heard_of(c, g, s))
			continue;
		f = co_state_flags(g->view[s].state);
		if ((f & (F_HOLD | F_TAKING)) || g->view[s].state == CORE_RELEASING)
			return true;
		if ((f & F_EARLY) && (resting || co_rank(c, g, s) < co_rank(c, g, c->me)))
			return true;
	}
	return false;
}

/**
 * co_wait_for_somebody() - Should the group be left alone for a short while?
 * For a clusterd that restarts on a live node, and whose target may still serve; and for a better node that has
 * just started. Both waits are bounded: by grace_ms, and by hello_ms at that node.
 */
bool co_wait_for_somebody(struct core *c, struct group *g)
{
	for (unsigned s = 0; s < CORE_MAX_NODES; s++) {
		const struct peer *p = &c->peers[s];
		const struct view *v = &g->view[s];

		if (s == c->me || !p->used)
			continue;
		if (heard_of(c, g, s) && v->state == CORE_INIT && co_may_hold(c, g, s) &&
		    (co_rank(c, g, s) < co_rank(c, g, c->me) || g->rec.stamp.node == p->id)) {
			co_set_why(c, g, "waiting for %s, which has just started", p->name);
			return true;
		}
		if (!p->live && p->gone && p->why_left == CORE_LEFT_PROCESS_DOWN &&
		    (v->state == CORE_INIT || (co_state_flags(v->state) & (F_HOLD | F_TAKING))) &&
		    p->left_at + c->opt.grace_ms > c->now) {
			co_set_timer(c, g, TM_RETRY, p->left_at + c->opt.grace_ms - c->now);
			co_set_why(c, g, "waiting for lunward-clusterd to come back on %s", p->name);
			return true;
		}
	}
	return false;
}

/** co_find_eligible() - Could this node take the group now? Return: false and @why, for people */
bool co_find_eligible(const struct core *c, const struct group *g, char *why, size_t size)
{
	*why = '\0';
	if (!g->mine)
		snprintf(why, size, "not one of the group's nodes");
	else if (c->draining)
		snprintf(why, size, "this node is shutting down");
	else if (!c->quorum_known || !c->quorate)
		snprintf(why, size, "no quorum");
	else if (!g->store_ok)
		snprintf(why, size, "the state directory takes no record of this group: is its disk full?");
	else if (g->t.refused)
		snprintf(why, size, "the target refused the configuration: %s", g->t.error);
	else if (!co_target_ready(g))
		snprintf(why, size, "the target process is not ready%s%s", *g->t.error ? ": " : "", g->t.error);
	else if (!co_lun_idle(g))
		snprintf(why, size, "an earlier command to a LUN has not ended yet");
	for (unsigned s = 0; !*why && s < CORE_MAX_NODES; s++)
		if (s != c->me && c->peers[s].live && c->peers[s].synced && c->peers[s].config_version > c->conf_version)
			snprintf(why, size, "configuration %llu is older than %s's", (unsigned long long)c->conf_version,
				 c->peers[s].name);
	return !*why && g->state == CORE_STANDBY;
}

/**
 * co_best_record() - Who has the newest record that may serve under holder @k (epoch 0: nothing is held: any)?
 * Return: slot (ours, if ours is as good), or NO_SLOT
 */
unsigned co_best_record(const struct core *c, const struct group *g, const struct core_key *k)
{
	unsigned best = NO_SLOT;
	struct core_stamp b = { 0 };

	if (g->rec.stamp.epoch && (!k->epoch || core_current(&g->rec.stamp, k))) {
		best = c->me;
		b = g->rec.stamp;
	}
	for (unsigned s = 0; s < CORE_MAX_NODES; s++) {
		const struct core_stamp *r = &g->view[s].stamp;

		if (s == c->me || !heard_of(c, g, s) || !r->epoch || (k->epoch && !core_current(r, k)))
			continue;
		if (best == NO_SLOT || (k->epoch ? co_stamp_cmp(r, &b) : co_truth_cmp(r, &b)) > 0) {
			best = s;
			b = *r;
		}
	}
	return best;
}

/** co_failback_seen() - A member became able to serve; if it is a better one, it gets its group back in a while */
void co_failback_seen(struct core *c, struct group *g, unsigned slot)
{
	if (g->failback && (co_state_flags(g->state) & F_HOLD) && co_rank(c, g, slot) < co_rank(c, g, c->me) &&
	    g->timer[TM_FAILBACK] == CORE_NEVER)
		co_set_timer(c, g, TM_FAILBACK, FAILBACK_MS);
}

void co_failback_timer(struct core *c, struct group *g)
{
	unsigned s = co_choose(c, g);

	if (s == NO_SLOT || s == c->me || co_rank(c, g, s) >= co_rank(c, g, c->me))
		return;
	if (g->state != CORE_ACTIVE) {
		co_set_timer(c, g, TM_FAILBACK, FAILBACK_MS);
		return;
	}
	co_act_event(c, g, CORE_INFO, "failback", "%s is back and comes first: the group moves there", c->peers[s].name);
	co_move_start(c, g, MOVE_AWAY, c->peers[s].id);
}
