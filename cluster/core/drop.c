/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drop.c - giving a group up at once: fenced, no quorum, or something failed beyond repair here
 *
 * The target drops every connection, the addresses go, in parallel; keys are left as they are. The group can be taken
 * again by this node only when the target has said that nothing is in flight: a late write of the old life must
 * not land under a new registration.
 */
#include <stdarg.h>

#include "cluster/core/internal.h"

static void vdrop(struct core *c, struct group *g, enum core_state s, bool back_off, const char *text)
{
	if (g->state == CORE_INIT)
		g->address = true;  /* of our former life */
	co_act_event(c, g, s == CORE_FENCED ? CORE_ERROR : CORE_WARNING, s == CORE_FENCED ? "fenced" : "dropped", "%s", text);
	co_set_why(c, g, "%s", text);
	co_lun_forget(g);
	co_store_cancel(g);
	co_commit_forget(g);
	co_target_drop(c, g);
	if (!MUTANT(MUTANT_KEEP_ADDRESS))
		co_address_down(c, g);
	g->key = (struct core_key){ 0 };
	for (unsigned i = 0; i < g->n_luns; i++)
		g->luns[i].mine = g->key;
	memset(&g->repl, 0, sizeof(g->repl));
	memset(&g->next, 0, sizeof(g->next));
	g->must_bump = g->challenged = g->verify = false;
	g->timer[TM_ACK] = g->timer[TM_CHECK] = g->timer[TM_FAILBACK] = CORE_NEVER;
	g->back_off = back_off;
	co_forget_wish(g, c->self);
	co_set_state(c, g, s);
	co_set_timer(c, g, TM_PHASE, DROP_MS);
}

/** co_drop() - For a reason that lies outside: this node may take the group again as soon as it is gone */
void co_drop(struct core *c, struct group *g, enum core_state s, const char *fmt, ...)
{
	char text[CORE_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vdrop(c, g, s, false, text);
}

/** co_drop_back_off() - For a reason that lies here: another node should try first */
void co_drop_back_off(struct core *c, struct group *g, const char *fmt, ...)
{
	char text[CORE_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vdrop(c, g, CORE_DROPPING, true, text);
}

/** co_fenced() - Somebody else holds the LUNs */
void co_fenced(struct core *c, struct group *g, const char *how)
{
	char text[CORE_TEXT_MAX];

	if (MUTANT(MUTANT_IGNORE_FENCED))
		return;
	snprintf(text, sizeof(text), "fenced: %s. All connections were dropped", how);
	vdrop(c, g, CORE_FENCED, true, text);
}

/** co_drop_check() - Is it over? */
void co_drop_check(struct core *c, struct group *g)
{
	if (g->t.phase > T_STANDBY || g->address_busy)
		return;
	if (g->back_off) {
		co_set_timer(c, g, TM_RETRY, (uint64_t)c->opt.retry_ms << MIN(g->failures, 5u));
		g->failures++;
		g->blocked_sync = c->sync;
		co_set_state(c, g, CORE_BLOCKED);
	} else {
		co_set_state(c, g, CORE_STANDBY);
	}
}

/** co_drop_timer() - A target that does not even drop is killed; an address that nobody reports on is gone by its lease */
void co_drop_timer(struct core *c, struct group *g)
{
	g->address_busy = false;
	if (g->t.phase > T_STANDBY)
		co_target_kill(c, g);
	co_set_timer(c, g, TM_PHASE, DROP_MS);
	co_dirty(g);
}
