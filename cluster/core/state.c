/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.c - states of a group, what they are, texts and timers; the meaning of keys and stamps
 */
#include <assert.h>
#include <stdarg.h>

#include "cluster/core/internal.h"

static const struct { const char *name; unsigned flags; } states[] = {
	[CORE_INIT] = { "starting", 0 },
	[CORE_STOPPED] = { "stopped", F_RESTING },
	[CORE_STANDBY] = { "standby", F_RESTING },
	[CORE_BLOCKED] = { "blocked", F_RESTING },
	[CORE_READING] = { "reading keys", F_EARLY },
	[CORE_FETCHING] = { "fetching record", F_EARLY },
	[CORE_INTENT] = { "writing intent", F_EARLY },
	[CORE_WAITING] = { "challenging", F_EARLY },
	[CORE_TAKING] = { "arbitrating", F_TAKING },
	[CORE_TAKING_REST] = { "fencing", F_HOLD },
	[CORE_ACTIVATING] = { "activating", F_HOLD | F_TARGET },
	[CORE_ACTIVE] = { "active", F_HOLD | F_TARGET },
	[CORE_BUMPING] = { "defending", F_HOLD },
	[CORE_DRAINING] = { "draining", F_HOLD | F_TARGET },
	[CORE_HANDOVER] = { "handing over", F_HOLD },
	[CORE_FENCED] = { "fenced", F_DOWN },
	[CORE_DROPPING] = { "dropping", F_DOWN },
	[CORE_RELEASING] = { "releasing", F_DOWN },
};
_Static_assert(ARRAY_SIZE(states) == CORE_N_STATES, "every state has a name");

const char *core_state_name(enum core_state s)
{
	return (unsigned)s < CORE_N_STATES ? states[s].name : "unknown";
}

unsigned co_state_flags(enum core_state s)
{
	return (unsigned)s < CORE_N_STATES ? states[s].flags : 0;
}

/** co_dirty() - Have co_evaluate() look at the group before the step ends */
void co_dirty(struct group *g)
{
	g->dirty = true;
}

/** co_set_state() - The only writer of group.state. Cancels the phase timer. */
void co_set_state(struct core *c, struct group *g, enum core_state s)
{
	g->timer[TM_PHASE] = CORE_NEVER;
	co_dirty(g);
	if (g->state == s)
		return;
	g->state = s;
	g->since = c->now;
	g->announce = true;
}

/** co_set_why() - What people should know about the group here; empty: nothing is wrong */
void co_set_why(struct core *c, struct group *g, const char *fmt, ...)
{
	char text[CORE_TEXT_MAX];
	va_list ap;

	(void)c;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	g->why_eligible = false;
	if (strcmp(text, g->why) == 0)
		return;
	co_copy_text(g->why, sizeof(g->why), text);
	g->announce = true;
}

/** co_forget_wish() - The node that should take the group next cannot: all think so alike, or two would wait for each other */
void co_forget_wish(struct group *g, uint8_t id)
{
	if (g->force_node == id)
		g->force_node = 0;
	if (g->move_to == id)
		g->move_to = 0;
}

/**
 * co_block() - This node cannot serve the group now; try again after a back-off
 * The back-off doubles with each failure in a row. Nobody waits for us meanwhile: we are not eligible.
 */
void co_block(struct core *c, struct group *g, const char *fmt, ...)
{
	char text[CORE_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, g->why) != 0)
		co_act_event(c, g, CORE_WARNING, "blocked", "%s", text);
	co_set_why(c, g, "%s", text);
	co_lun_forget(g);
	co_store_cancel(g);
	co_forget_wish(g, c->self);
	co_set_timer(c, g, TM_RETRY, (uint64_t)c->opt.retry_ms << MIN(g->failures, 5u));
	g->failures++;
	g->blocked_sync = c->sync;
	co_set_state(c, g, CORE_BLOCKED);
}

/** co_set_timer() - In @in_ms from now; CORE_NEVER cancels */
void co_set_timer(struct core *c, struct group *g, enum timer t, uint64_t in_ms)
{
	g->timer[t] = in_ms == CORE_NEVER ? CORE_NEVER : c->now + in_ms;
}

/** co_node_name() - For people; "node 7" is static, so use it once in a format */
const char *co_node_name(const struct core *c, uint8_t id)
{
	static const char *const unknown = "a node that is not configured";

	for (unsigned i = 0; i < CORE_MAX_NODES; i++)
		if (c->peers[i].used && c->peers[i].id == id)
			return c->peers[i].name;
	return unknown;
}

bool co_key_eq(struct core_key a, struct core_key b)
{
	return a.epoch == b.epoch && a.node == b.node;
}

bool co_stamp_eq(struct core_stamp a, struct core_stamp b)
{
	return a.epoch == b.epoch && a.node == b.node && a.seq == b.seq;
}

/** co_stamp_cmp() - Which of two records that are both current is newer; the node decides ties, so that all agree */
int co_stamp_cmp(const struct core_stamp *a, const struct core_stamp *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

/** co_in_force() - The last key that is known to have been on the LUN while this record, or its source, was valid */
struct core_key co_in_force(const struct core_stamp *s)
{
	return s->ahead ? s->base : (struct core_key){ .node = s->node, .epoch = s->epoch };
}

/**
 * co_truth_cmp() - As co_stamp_cmp(), when there is no key on the LUN to say which records are current
 * Keys in force only grow, while epochs of records written ahead may be anything: so the former decide. Records with
 * the same key in force all hold whatever was acknowledged under it.
 */
int co_truth_cmp(const struct core_stamp *a, const struct core_stamp *b)
{
	struct core_key x = co_in_force(a), y = co_in_force(b);

	if (x.epoch != y.epoch)
		return x.epoch < y.epoch ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

/** co_note_stamp() - Epochs and sequence numbers never go back: remember the largest that anybody has */
void co_note_stamp(struct group *g, const struct core_stamp *s)
{
	g->seq = MAX(g->seq, s->seq);
	g->epoch = MAX(g->epoch, s->epoch);
}

/** co_next_key() - A key of ours that never was. Return: false: 24 bits are used up */
bool co_next_key(const struct core *c, struct group *g, struct core_key *ret)
{
	if (g->epoch >= CORE_EPOCH_MAX)
		return false;
	*ret = (struct core_key){ .node = c->self, .epoch = g->epoch + 1 };
	g->epoch++;
	if (MUTANT(MUTANT_LARGER_IS_CURRENT) && g->key.epoch + g->take.expect.epoch)
		ret->epoch = (g->key.epoch ? g->key.epoch : g->take.expect.epoch) + 1;
	return true;
}

bool core_current(const struct core_stamp *r, const struct core_key *k)
{
	if (MUTANT(MUTANT_SERVE_OUTDATED))
		return true;
	if (MUTANT(MUTANT_LARGER_IS_CURRENT) && r->epoch > k->epoch)
		return true;
	return k->epoch && r->epoch && ((r->epoch == k->epoch && r->node == k->node) || co_key_eq(r->base, *k));
}
