/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * takeover.c - from STANDBY to the point where the LUN is asked: keys, record, intent, window
 *
 *   READING   keys of all LUNs. Foreign → BLOCKED. What the first LUN says decides.
 *   FETCHING  a live member has a newer record that may serve under that key: get it first.
 *   INTENT    the record under our new key, stable here and at the members. Only then may the key change: whoever
 *             dies next leaves a record behind that matches the key.
 *   WAITING   the former owner may live: it sees us gone too, and moves its key (bump.c). We look again.
 *
 * Up to here nothing has changed but records that nobody counts on; giving up is free. The window begins with the
 * first reading, so the intent costs no extra time. Continued in arbitrate.c.
 */
#include "cluster/core/internal.h"

static const struct core_key no_key;

/** co_takeover_start() - This node is the one that should take the group */
void co_takeover_start(struct core *c, struct group *g)
{
	if (!g->n_luns) {
		co_block(c, g, "the group has no fence LUN: without one nothing tells which node owns it. Give it a shared LUN, or `fence:`");
		return;
	}
	memset(&g->take, 0, sizeof(g->take));
	g->bump.not_before = 0;
	g->take.sync = c->sync;
	g->take.forced = g->force_node == c->self;
	memset(&g->next, 0, sizeof(g->next));
	co_lun_forget(g);
	co_set_state(c, g, CORE_READING);
	co_set_timer(c, g, TM_PHASE, c->opt.fence_ms);
	for (unsigned i = 0; i < g->n_luns; i++)
		co_lun_fence(c, g, &g->luns[i], CORE_FENCE_READ, no_key, no_key);
}

/** co_takeover_give_up() - Back to STANDBY without a trace */
void co_takeover_give_up(struct core *c, struct group *g)
{
	co_lun_forget(g);
	co_store_cancel(g);
	memset(&g->next, 0, sizeof(g->next));
	co_set_state(c, g, CORE_STANDBY);
}

/** co_takeover_check() - Is there still reason to go on? For the states that leave no trace */
void co_takeover_check(struct core *c, struct group *g)
{
	if (co_in_step(c) && g->take.sync == c->sync && g->mine && !g->stopped && !c->draining && co_target_ready(g) &&
	    g->store_ok && !co_other_is_at_it(c, g))
		return;
	co_takeover_give_up(c, g);
}

void co_reading_timer(struct core *c, struct group *g)
{
	for (unsigned i = 0; i < g->n_luns; i++)
		if (!g->luns[i].known) {
			co_block(c, g, "%s does not answer: check the path to it", g->luns[i].name);
			return;
		}
}

void co_reading_fence(struct core *c, struct group *g, struct lun *l)
{
	(void)l;
	for (unsigned i = 0; i < g->n_luns; i++)
		if (!g->luns[i].known)
			return;
	for (unsigned i = 0; i < g->n_luns; i++) {
		struct lun *x = &g->luns[i];

		if (x->status == CORE_FENCE_ERROR) {
			co_block(c, g, "cannot read the key on %s: %s", x->name, x->error);
			return;
		}
		if (x->status == CORE_FENCE_FOREIGN) {
			co_block(c, g, "%s carries a key that is not this cluster's: %s. If nobody uses it any more, remove "
			      "that key with the tool that set it", x->name, x->error);
			return;
		}
	}
	co_takeover_decide(c, g);
}

/* What to do about a record that is not good enough, in words. */
static void block_outdated(struct core *c, struct group *g, const struct core_key *k)
{
	const char *who = co_node_name(c, k->node);

	if (!g->rec.stamp.epoch)
		co_block(c, g, "this node has no record of the group, the key on the LUN is of epoch %u (node %s): start %s, "
		      "or `lunwardctl group start --force %s` to lose what %s acknowledged",
		      k->epoch, who, who, g->name, who);
	else
		co_block(c, g, "this node's record is of epoch %u, the key on the LUN says epoch %u (node %s): start %s, "
		      "or `lunwardctl group start --force %s` to lose what %s acknowledged",
		      g->rec.stamp.epoch, k->epoch, who, who, g->name, who);
}

/* Somebody whose document has not had the group, or has not got it back, has not said what its record is. */
static void note_missing(const struct core *c, const struct group *g, unsigned s, const char *name, char *missing, size_t size)
{
	size_t n = strlen(missing);

	if (s == NO_SLOT || !c->peers[s].live || (s != c->me && (!c->peers[s].synced || !g->view[s].known)))
		snprintf(missing + n, size - n, "%s%s", n ? ", " : "", name);
}

/*
 * Nobody whose record might be the newest is missing: the nodes of the group; and once there is a record of it all that are
 * configured, for the group may have had other nodes when it was served last.
 */
static bool all_nodes_here(const struct core *c, const struct group *g, bool had_a_life, char *missing, size_t size)
{
	*missing = '\0';
	for (unsigned i = 0; !had_a_life && i < g->n_nodes; i++)
		note_missing(c, g, co_peer_slot(c, g->nodes[i]), co_node_name(c, g->nodes[i]), missing, size);
	for (unsigned s = 0; had_a_life && s < CORE_MAX_NODES; s++)
		if (c->peers[s].used && c->peers[s].configured)
			note_missing(c, g, s, c->peers[s].name, missing, size);
	return !*missing;
}

/*
 * A member that is still giving the group up may have I/O in flight. Usually the preempt aborts it; where nothing is registered
 * any more (an array without APTPL lost power) nothing does. Return: its slot, or NO_SLOT
 */
static unsigned still_dropping(const struct core *c, const struct group *g)
{
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (s != c->me && c->peers[s].live && g->view[s].known && !MUTANT(MUTANT_NO_WAIT_DROP) && (co_state_flags(g->view[s].state) & F_DOWN))
			return s;
	return NO_SLOT;
}

static void fetch(struct core *c, struct group *g, unsigned from)
{
	struct core_action *a;

	g->take.from = from;
	co_set_state(c, g, CORE_FETCHING);
	co_set_timer(c, g, TM_PHASE, FETCH_MS);
	a = co_act(c, CORE_ACT_SEND, g);
	a->msg.type = CORE_MSG_FETCH;
	a->msg.fetch = (struct core_msg_fetch){ .group = g->name, .from = c->peers[from].id };
}

/*
 * Does the node of the key say that it does not own the group, and knows of that very key when it says so? A node in
 * the middle of taking it, or one whose word is older than its key, does not count.
 */
static bool disclaims(const struct group *g, unsigned s, const struct core_key *k)
{
	const struct view *v = &g->view[s];

	return v->known && (co_state_flags(v->state) & (F_RESTING | F_DOWN)) && v->stamp.epoch >= k->epoch;
}

/* May the former owner still be alive, for all we know? Then it gets the chance to say so on the LUN. */
static void set_window(struct core *c, struct group *g)
{
	const struct core_key *k = &g->take.expect;
	unsigned s = co_peer_slot(c, k->node);
	const struct peer *p = s == NO_SLOT ? NULL : &c->peers[s];

	g->take.window = false;
	g->take.until = c->now;
	if (!k->epoch || k->node == c->self)
		return;
	if (p && disclaims(g, s, k) && (p->live ? p->synced : p->gone && p->why_left == CORE_LEFT_CLEAN))
		return;
	g->take.window = true;
	g->take.until = c->now + c->opt.window_ms;
	if (p && !p->live && p->gone && p->why_left == CORE_LEFT_PROCESS_DOWN)
		g->take.until = MAX(g->take.until, p->left_at + c->opt.grace_ms);
}

/* Has this very record been in somebody's memory ever since it was in force? */
static bool anybody_warm(const struct core *c, const struct group *g)
{
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (s != c->me && c->peers[s].live && c->peers[s].synced && g->view[s].known && g->view[s].warm &&
		    co_stamp_eq(g->view[s].stamp, g->rec.stamp))
			return true;
	return g->rec.warm;
}

/* The record under our new key goes to disk here, then to the members. */
static void intent(struct core *c, struct group *g)
{
	bool warm = anybody_warm(c, g);
	struct core_stamp s;

	if (!co_next_key(c, g, &g->take.key)) {
		co_block(c, g, "the group has used all epochs of its keys: `lunwardctl group release %s` and start it anew",
		      g->name);
		return;
	}
	set_window(c, g);
	s = (struct core_stamp){ .epoch = g->take.key.epoch, .node = c->self, .seq = g->seq + 1, .ahead = true };
	if (core_current(&g->rec.stamp, &g->take.expect))
		s.base = g->take.expect;
	else
		s.base = co_in_force(&g->rec.stamp);
	g->cold = !warm;
	co_set_state(c, g, CORE_INTENT);
	co_set_timer(c, g, TM_PHASE, c->opt.ack_ms);
	if (MUTANT(MUTANT_NO_INTENT))
		co_taking_start(c, g);
	else
		co_store(c, g, ST_INTENT, s, g->rec.body, warm);
}

/** co_takeover_decide() - Keys are read: may our record serve, or whose may? */
void co_takeover_decide(struct core *c, struct group *g)
{
	struct core_key k = g->luns[0].seen;
	unsigned best = co_best_record(c, g, &k);
	char missing[CORE_TEXT_MAX / 2];
	unsigned dropping;

	g->take.expect = k;
	g->take.decided = c->now;
	if (best != NO_SLOT && best != c->me && !(g->take.forced && k.epoch && core_current(&g->rec.stamp, &k))) {
		fetch(c, g, best);
		return;
	}
	if (!k.epoch && !g->take.forced && !all_nodes_here(c, g, best != NO_SLOT, missing, sizeof(missing))) {
		co_block(c, g, "there is no key on the LUN to tell which record is the newest: start %s, or "
		      "`lunwardctl group start --force %s` to go on with the newest of those present", missing, g->name);
		return;
	}
	dropping = still_dropping(c, g);
	if (!k.epoch && !g->take.forced && dropping != NO_SLOT) {
		co_block(c, g, "nothing is registered on %s that could be aborted, and %s has not given the group up yet",
			 g->luns[0].name, c->peers[dropping].name);
		return;
	}
	if (k.epoch && best == NO_SLOT && !g->take.forced) {
		block_outdated(c, g, &k);
		return;
	}
	intent(c, g);
}

/** co_takeover_fetched() - A record arrived while we wait for one */
void co_takeover_fetched(struct core *c, struct group *g)
{
	if (!g->store_ok)
		co_block(c, g, "the record that %s needs could not be stored: is the disk of the state directory full?", g->name);
	else
		co_takeover_decide(c, g);
}

void co_fetching_timer(struct core *c, struct group *g)
{
	co_block(c, g, "a newer record of the group was asked for, but did not come");
}

/** co_intent_stored() - Stable here: now the members */
void co_intent_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok)
{
	if (g->state != CORE_INTENT || rec->stamp.epoch != g->take.key.epoch)
		return;
	if (!ok) {
		co_block(c, g, "cannot store the group's record: is the disk of the state directory full?");
		return;
	}
	co_record_push(c, g, &g->next, &g->rec, co_live_holders(c, g));
	g->timer[TM_ACK] = CORE_NEVER;
	co_set_timer(c, g, TM_PHASE, INTENT_MS);
	co_intent_acked(c, g);
}

static void intent_done(struct core *c, struct group *g)
{
	g->next.lost |= g->next.in & ~g->next.acked;
	if (!g->take.window) {
		co_taking_start(c, g);
		return;
	}
	co_act_event(c, g, CORE_INFO, "challenge", "key epoch %u of %s: waiting whether it moves", g->take.expect.epoch,
		  co_node_name(c, g->take.expect.node));
	co_set_state(c, g, CORE_WAITING);
	co_set_timer(c, g, TM_PHASE, g->take.until > c->now ? g->take.until - c->now : 0);
}

/** co_intent_acked() - One more member has stored it, or cannot */
void co_intent_acked(struct core *c, struct group *g)
{
	if (!(g->next.in & ~g->next.acked & ~g->next.lost))
		intent_done(c, g);
}

/** co_intent_timer() - Who has not stored it by now is left behind: we bump before the first commit */
void co_intent_timer(struct core *c, struct group *g)
{
	if (!co_stamp_eq(g->next.last, g->rec.stamp))
		co_block(c, g, "storing the group's record takes too long: check the disk of the state directory");
	else
		intent_done(c, g);
}

/** co_waiting_timer() - The window is over: did the key move? */
void co_waiting_timer(struct core *c, struct group *g)
{
	if (g->take.looking) {
		co_block(c, g, "%s does not answer: check the path to it", g->luns[0].name);
		return;
	}
	g->take.looking = true;
	co_lun_fence(c, g, &g->luns[0], CORE_FENCE_READ, no_key, no_key);
	co_set_timer(c, g, TM_PHASE, c->opt.fence_ms);
}

void co_waiting_fence(struct core *c, struct group *g, struct lun *l)
{
	const struct core_key *k = &l->seen;

	if (l != g->luns)
		return;
	if (l->status == CORE_FENCE_ERROR) {
		co_block(c, g, "cannot read the key on %s: %s", l->name, l->error);
	} else if (!co_key_eq(*k, g->take.expect)) {
		co_act_event(c, g, CORE_WARNING, "owner-alive", "the key moved from epoch %u to %u: %s is alive", g->take.expect.epoch,
			  k->epoch, co_node_name(c, k->node));
		co_block(c, g, "%s serves the group but cannot be reached from here: check the cluster's network",
		      co_node_name(c, k->node));
	} else {
		co_taking_start(c, g);
	}
}
