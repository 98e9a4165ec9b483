/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arbitrate.c - the compare-and-swap on the first LUN, then all the others; ends where the target may be activated
 *
 * An answer that took long proves nothing: this node may have been stopped between the answer and its reading,
 * and the LUN taken from us since. Reading again does not help much: a challenger's window may end right after that.
 * So before an address is added the key must be younger than a window, which nobody can have waited for yet; an older one
 * is moved on first (co_key_stale(), bump.c).
 */
#include "cluster/core/internal.h"

static const struct core_key no_key;
#define TRIES 3u

/** co_taking_start() - The point of no return: from now on the LUN may be ours */
void co_taking_start(struct core *c, struct group *g)
{
	co_set_state(c, g, CORE_TAKING);
	co_set_timer(c, g, TM_PHASE, c->opt.fence_ms);
	co_act_event(c, g, CORE_INFO, "fence-start", "taking %s with key epoch %u", g->luns[0].name, g->take.key.epoch);
	if (MUTANT(MUTANT_EARLY_ADDRESS))
		co_address_up(c, g, true);
	g->luns[0].tries = 0;
	co_lun_fence(c, g, &g->luns[0], CORE_FENCE_TAKE, g->take.expect, g->take.key);
}

/*
 * Nobody held it, so that the compare-and-swap compared nothing. If members have changed since we decided, or too much time
 * has passed to know, another node may have taken the LUN, committed, and released it: our record may be an old one.
 */
static bool blind(const struct core *c, const struct group *g)
{
	if (g->take.expect.epoch)
		return false;
	return g->take.sync != c->sync || !co_in_step(c) || (c->now - g->take.decided > DECISION_MS && g->given_back < TRIES);
}

static void give_back(struct core *c, struct group *g, struct lun *l)
{
	g->given_back++;
	co_block(c, g, "%s was taken, but meanwhile others may have had it: it is given back and looked at anew", l->name);
	co_lun_fence(c, g, l, CORE_FENCE_RELEASE, no_key, g->take.key);
	l->forgotten = true;  /* nobody waits for it, but the next attempt does not begin before it has ended */
	l->mine = no_key;
}

static void won(struct core *c, struct group *g, struct lun *l)
{
	if (blind(c, g)) {
		give_back(c, g, l);
		return;
	}
	g->key = g->take.key;
	g->repl = g->next;
	memset(&g->next, 0, sizeof(g->next));
	g->must_bump = g->challenged = g->verify = false;
	g->key_at = l->issued;
	for (unsigned i = 1; i < g->n_luns; i++)
		g->luns[i].tries = 0;
	co_act_event(c, g, CORE_INFO, "fence-won", "%s is ours: key epoch %u", l->name, g->key.epoch);
	if (c->quorum_known && !c->quorate && !MUTANT(MUTANT_NO_QUORUM))
		co_drop(c, g, CORE_DROPPING, "no quorum: too few nodes see each other");
	else
		co_rest_start(c, g);
}

static void lost(struct core *c, struct group *g, const struct lun *l)
{
	co_act_event(c, g, CORE_INFO, "fence-lost", "%s was taken by %s (key epoch %u)", l->name,
		  l->seen.epoch ? co_node_name(c, l->seen.node) : "nobody", l->seen.epoch);
	co_block(c, g, "%s was faster, or defended itself", l->seen.epoch ? co_node_name(c, l->seen.node) : "somebody");
}

/** co_taking_fence() - Answer of the first LUN. After an error only reading tells */
void co_taking_fence(struct core *c, struct group *g, struct lun *l)
{
	if (l != g->luns)
		return;
	if (l->status == CORE_FENCE_OK && l->op == CORE_FENCE_TAKE)
		won(c, g, l);
	else if (l->status == CORE_FENCE_FOREIGN)
		co_block(c, g, "%s carries a key that is not this cluster's: %s", l->name, l->error);
	else if (l->status == CORE_FENCE_LOST)
		lost(c, g, l);
	else if (l->status == CORE_FENCE_ERROR && ++l->tries > TRIES)
		co_block(c, g, "cannot take %s: %s", l->name, l->error);
	else if (l->status == CORE_FENCE_ERROR)
		co_lun_fence(c, g, l, CORE_FENCE_READ, no_key, no_key);
	else if (co_key_eq(l->seen, g->take.expect) || co_key_eq(l->seen, g->take.key))
		co_lun_fence(c, g, l, CORE_FENCE_TAKE, l->seen, g->take.key);
	else
		lost(c, g, l);
}

static void rest_done(struct core *c, struct group *g)
{
	if (co_lun_all_mine(g))
		co_serve_start(c, g);
}

/** co_rest_start() - The first LUN is ours under g->key; make sure of all the others, in parallel, then go on to serve */
void co_rest_start(struct core *c, struct group *g)
{
	co_set_state(c, g, CORE_TAKING_REST);
	co_set_timer(c, g, TM_PHASE, 2 * c->opt.fence_ms);
	for (unsigned i = 1; i < g->n_luns; i++)
		if (!co_key_eq(g->luns[i].mine, g->key))
			co_lun_fence(c, g, &g->luns[i], CORE_FENCE_TAKE, g->luns[i].seen, g->key);
	rest_done(c, g);
}

/* Somebody else's key, of this cluster, is on another LUN than was read before. */
static void rest_lost(struct core *c, struct group *g, struct lun *l)
{
	g->must_bump = true;  /* whose key is newer on the first LUN, now? */
	if (++l->tries > TRIES + CORE_MAX_NODES)
		co_drop_back_off(c, g, "%s changes hands all the time", l->name);
	else if (l->seen.epoch < g->key.epoch)
		co_lun_fence(c, g, l, CORE_FENCE_TAKE, l->seen, g->key);
	else if (g->take.forced)
		co_bump_start(c, g, true);  /* our key has to be the newer one; co_rest_start() comes back */
	else
		co_drop_back_off(c, g, "%s carries key epoch %u of %s, newer than this group's: does another group use it? "
			      "`lunwardctl group start --force %s` takes it", l->name, l->seen.epoch,
			      co_node_name(c, l->seen.node), g->name);
}

/** co_rest_fence() - Answer of one of the other LUNs */
void co_rest_fence(struct core *c, struct group *g, struct lun *l)
{
	if (l == g->luns) {
		return;
	} else if (l->status == CORE_FENCE_FOREIGN) {
		co_drop_back_off(c, g, "%s carries a key that is not this cluster's: %s", l->name, l->error);
	} else if (l->status == CORE_FENCE_LOST) {
		rest_lost(c, g, l);
	} else if (l->status == CORE_FENCE_ERROR && ++l->tries > TRIES) {
		co_drop_back_off(c, g, "cannot take %s: %s", l->name, l->error);
	} else if (l->status == CORE_FENCE_ERROR) {
		co_lun_fence(c, g, l, CORE_FENCE_READ, no_key, no_key);
	} else if (l->op == CORE_FENCE_READ) {
		co_lun_fence(c, g, l, CORE_FENCE_TAKE, l->seen, g->key);
	} else {
		rest_done(c, g);
	}
}

/** co_rest_timer() - TAKING or TAKING_REST takes too long */
void co_rest_timer(struct core *c, struct group *g)
{
	const struct lun *l = g->luns;

	for (unsigned i = 0; i < g->n_luns; i++)
		if (g->luns[i].busy)
			l = &g->luns[i];
	if (g->state == CORE_TAKING)
		co_block(c, g, "%s does not answer: check the path to it", l->name);
	else
		co_drop_back_off(c, g, "%s does not answer: check the path to it", l->name);
}
