/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * release.c - give the LUNs back to the world, because the administrator says so
 *
 * The owner drains first (move.c) and then releases what it holds. Without an owner the keys are read; what another
 * node holds is taken first (compare-and-swap), then released. The group stays stopped. Starting it again needs all
 * of its nodes, since no key tells any more which record is the newest.
 */
#include "cluster/core/internal.h"

static const struct core_key no_key;
#define TRIES 3u

/** co_release_start() - @held: the keys are ours, and drained. Otherwise the group is at rest */
void co_release_start(struct core *c, struct group *g, bool held)
{
	co_lun_forget(g);
	g->release.failed = g->release.stored = g->release.looked = false;
	g->release.key = no_key;
	co_set_state(c, g, CORE_RELEASING);
	co_set_timer(c, g, TM_PHASE, 2 * c->opt.fence_ms);
	for (unsigned i = 0; i < g->n_luns; i++) {
		g->luns[i].finished = false;
		if (held && g->luns[i].mine.epoch)
			co_lun_fence(c, g, &g->luns[i], CORE_FENCE_RELEASE, no_key, g->luns[i].mine);
		else
			co_lun_fence(c, g, &g->luns[i], CORE_FENCE_READ, no_key, no_key);
	}
}

static void finish(struct core *c, struct group *g)
{
	char text[CORE_TEXT_MAX];

	co_lun_forget(g);
	g->key = no_key;
	for (unsigned i = 0; i < g->n_luns; i++)
		g->luns[i].mine = no_key;
	memset(&g->repl, 0, sizeof(g->repl));
	g->must_bump = g->challenged = g->verify = false;
	g->timer[TM_ACK] = g->timer[TM_CHECK] = g->timer[TM_FAILBACK] = CORE_NEVER;
	g->release.wanted = false;
	if (!g->release.failed) {
		co_set_why(c, g, "%s", "released: the LUNs carry no key of this cluster");
		co_act_event(c, g, CORE_INFO, "released", "the LUNs carry no key of this cluster any more");
	}
	co_copy_text(text, sizeof(text), g->why);
	if (g->release.requester)
		co_admin_send_result(c, g->release.cookie, g->release.requester, !g->release.failed, "%s", text);
	co_set_state(c, g, g->stopped ? CORE_STOPPED : CORE_STANDBY);
}

static void failed(struct core *c, struct group *g, struct lun *l, const char *why)
{
	g->release.failed = true;
	l->finished = true;
	co_set_why(c, g, "%s was not released: %s", l->name, why);
	co_act_event(c, g, CORE_ERROR, "release-failed", "%s was not released: %s", l->name, why);
}

/*
 * Before a new key goes to the LUNs, our disk says so. Should we die between taking and releasing, the record matches that
 * key; but an outdated one must not come to match (--force takes from a node that is not here): then only the epoch is
 * noted, and whoever finds the key has to release it once more.
 */
static void store(struct core *c, struct group *g)
{
	struct core_stamp st = { .node = c->self, .ahead = true, .epoch = g->release.key.epoch, .seq = g->seq + 1 };

	st.base = g->release.base = g->luns[0].finished ? no_key : g->luns[0].seen;
	if (!core_current(&g->rec.stamp, &st.base))
		st = g->rec.stamp;
	co_store(c, g, ST_RELEASE, st, g->rec.body, g->rec.warm);
}

/*
 * A key that this nexus need not have: it is taken first. Another node's only with --force, unless that node is here
 * and does not serve.
 */
static void take_first(struct core *c, struct group *g, struct lun *l)
{
	unsigned s = co_peer_slot(c, l->seen.node);
	char why[CORE_TEXT_MAX / 2];

	if (l->seen.node == c->self) {
		co_lun_fence(c, g, l, CORE_FENCE_TAKE, l->seen, l->seen);
	} else if (!g->release.force && (s == NO_SLOT || !c->peers[s].live || !c->peers[s].synced)) {
		snprintf(why, sizeof(why), "its key is of %s, which is not here and may still serve: start it, or release "
			 "with --force", co_node_name(c, l->seen.node));
		failed(c, g, l, why);
	} else if (g->release.stored && l == g->luns && !co_key_eq(l->seen, g->release.base)) {
		failed(c, g, l, "somebody else has taken it meanwhile");
	} else if (g->release.stored) {
		co_lun_fence(c, g, l, CORE_FENCE_TAKE, l->seen, g->release.key);
	} else if (g->release.key.epoch) {
		return;  /* with the others, once the record is stored */
	} else if (!co_next_key(c, g, &g->release.key)) {
		failed(c, g, l, "all epochs are used up");
	} else {
		store(c, g);
	}
}

static void check(struct core *c, struct group *g)
{
	for (unsigned i = 0; i < g->n_luns; i++)
		if (!g->luns[i].finished)
			return;
	finish(c, g);
}

/** co_release_stored() - The record is ready for our key on the LUNs */
void co_release_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok)
{
	if (g->state != CORE_RELEASING || !g->release.key.epoch || (ok && rec->high < g->release.key.epoch))
		return;
	g->release.stored = ok;
	for (unsigned i = 0; i < g->n_luns; i++) {
		struct lun *l = &g->luns[i];

		if (l->finished || l->busy || !l->seen.epoch || l->seen.node == c->self)
			continue;
		if (ok)
			take_first(c, g, l);
		else
			failed(c, g, l, "the state directory takes no record: is its disk full?");
	}
	check(c, g);
}

static void step(struct core *c, struct group *g, struct lun *l)
{
	if (l->status == CORE_FENCE_ERROR || l->status == CORE_FENCE_LOST) {
		if (++l->tries > TRIES)
			failed(c, g, l, *l->error ? l->error : "its key changes all the time");
		else
			co_lun_fence(c, g, l, CORE_FENCE_READ, no_key, no_key);
	} else if (l->status == CORE_FENCE_FOREIGN && l->seen.node != c->self) {
		failed(c, g, l, l->error);
	} else if (l->op == CORE_FENCE_RELEASE || (l->op == CORE_FENCE_READ && !l->seen.epoch)) {
		l->finished = true;
	} else if (l->op == CORE_FENCE_TAKE) {
		co_lun_fence(c, g, l, CORE_FENCE_RELEASE, no_key, l->mine);
	} else {
		take_first(c, g, l);
	}
}

/* What the first LUN says decides which record is current: answers of the others wait for it. */
void co_release_fence(struct core *c, struct group *g, struct lun *l)
{
	if (l != g->luns && !g->release.looked)
		return;
	step(c, g, l);
	if (l == g->luns && !g->release.looked && (l->finished || l->op != CORE_FENCE_READ || !l->busy)) {
		g->release.looked = true;
		for (unsigned i = 1; i < g->n_luns; i++)
			if (g->luns[i].known && !g->luns[i].finished)
				step(c, g, &g->luns[i]);
	}
	check(c, g);
}

void co_release_timer(struct core *c, struct group *g)
{
	for (unsigned i = 0; i < g->n_luns; i++)
		if (!g->luns[i].finished)
			failed(c, g, &g->luns[i], "it does not answer");
	finish(c, g);
}
