/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lun.c - fence operations on a group's LUNs
 *
 * One operation at a time on each LUN; a further one waits for the first to end. When a phase is given up its
 * operations cannot be called back, so their answers are forgotten: the LUN may change behind our back, which is
 * why every decision begins with reading.
 *
 * The arbitrating LUN (the first) is decided by takeover.c and bump.c. The others follow in the background while we
 * serve (lun_converge): they only have to keep others out, and any key of ours does that.
 */
#include "cluster/core/internal.h"

static const struct core_key no_key;

static void issue(struct core *c, struct group *g, struct lun *l, enum core_fence_op op, struct core_key old, struct core_key key)
{
	struct core_action *a = co_act(c, CORE_ACT_FENCE, g);

	l->busy = true;
	l->known = false;
	l->op = op;
	l->op_key = key;
	l->id = ++c->next_id;
	l->issued = c->now;
	a->fence.id = l->id;
	a->fence.lun = co_act_dup(c, l->name);
	a->fence.op = op;
	a->fence.old = old;
	a->fence.key = key;
}

/** co_lun_fence() - Begin an operation, now or when the one under way has ended; the answer of that is forgotten */
void co_lun_fence(struct core *c, struct group *g, struct lun *l, enum core_fence_op op, struct core_key old, struct core_key key)
{
	l->known = false;
	if (!l->busy || MUTANT(MUTANT_TWO_AT_ONCE)) {
		issue(c, g, l, op, old, key);
		return;
	}
	l->forgotten = l->wanted = true;
	l->want_op = op;
	l->want_old = old;
	l->want_key = key;
}

/** co_lun_forget() - The phase is over: whatever is under way means nothing to the next one */
void co_lun_forget(struct group *g)
{
	for (unsigned i = 0; i < g->n_luns; i++) {
		struct lun *l = &g->luns[i];

		l->forgotten = l->busy;
		l->wanted = l->known = false;
		l->tries = 0;
	}
}

/** co_lun_idle() - Nothing is under way on any LUN */
bool co_lun_idle(const struct group *g)
{
	for (unsigned i = 0; i < g->n_luns; i++)
		if (g->luns[i].busy)
			return false;
	return true;
}

/**
 * co_lun_fresh() - Is the answer to a command of that time so young that nobody can have taken the LUN since?
 * Challengers wait a window between their first look at our key and the compare-and-swap. Anything older proves nothing:
 * this node may have been stopped meanwhile.
 */
bool co_lun_fresh(const struct core *c, uint64_t issued)
{
	return MUTANT(MUTANT_NO_LOOK_BACK) || c->now - issued <= c->opt.window_ms - c->opt.window_ms / 4;
}

/** co_key_stale() - Is our key so old that a challenger's window may just have ended? Slow LUNs get three chances */
bool co_key_stale(const struct core *c, const struct group *g)
{
	return !co_lun_fresh(c, g->key_at) && g->take.tries < 3;
}

/** co_lun_all_mine() - Every LUN carries the key in force */
bool co_lun_all_mine(const struct group *g)
{
	for (unsigned i = 0; i < g->n_luns; i++)
		if (!co_key_eq(g->luns[i].mine, g->key))
			return false;
	return true;
}

static void learn_epoch(struct group *g, const struct core_ev_fence *ev)
{
	g->epoch = MAX(g->epoch, ev->found.epoch);
	g->epoch = MAX(g->epoch, ev->max_epoch);
}

static void learn(struct lun *l, const struct core_ev_fence *ev)
{
	bool read = ev->status == CORE_FENCE_LOST || ev->status == CORE_FENCE_FOREIGN ||
		    (ev->status == CORE_FENCE_OK && (l->op == CORE_FENCE_READ || l->op == CORE_FENCE_SWEEP));

	l->status = ev->status;
	co_copy_text(l->error, sizeof(l->error), ev->status == CORE_FENCE_OK ? NULL : ev->error);
	if (read) {
		l->seen = ev->found;
		l->max_epoch = ev->max_epoch;
	} else if (ev->status == CORE_FENCE_OK && (l->op == CORE_FENCE_TAKE || l->op == CORE_FENCE_BUMP)) {
		l->seen = l->mine = l->op_key;
	} else if (ev->status == CORE_FENCE_OK && l->op == CORE_FENCE_RELEASE) {
		l->seen = l->mine = no_key;
	}
	if (ev->status == CORE_FENCE_LOST)
		l->mine = no_key;
}

static struct lun *find(const struct core *c, const struct core_ev_fence *ev, struct group **ret_g)
{
	struct group *g = co_group_find(c, ev->group);

	*ret_g = g;
	for (unsigned i = 0; g && i < g->n_luns; i++)
		if (g->luns[i].busy && g->luns[i].id == ev->id)
			return &g->luns[i];
	return NULL;
}

/** co_lun_done() - An operation ended: the state decides what it means */
void co_lun_done(struct core *c, const struct core_ev_fence *ev)
{
	struct group *g;
	struct lun *l = find(c, ev, &g);

	if (!l)
		return;
	l->busy = false;
	co_dirty(g);
	learn_epoch(g, ev);
	if (l->forgotten) {
		if (ev->status == CORE_FENCE_OK && (l->op == CORE_FENCE_TAKE || l->op == CORE_FENCE_BUMP))
			l->seen = l->op_key;  /* nobody waits for it any more, but it is there */
		l->forgotten = false;
		if (l->wanted) {
			l->wanted = false;
			issue(c, g, l, l->want_op, l->want_old, l->want_key);
		}
		return;
	}
	learn(l, ev);
	l->known = true;
	if (co_state_ops[g->state].fence && !(g->state == CORE_BUMPING && l != g->luns))
		co_state_ops[g->state].fence(c, g, l);
	else if (co_state_flags(g->state) & F_HOLD)
		co_lun_background(c, g, l);
}

/* A look at what we hold, with a sweep if there was anything of others to remove. */
static void looked(struct core *c, struct group *g, struct lun *l)
{
	bool foreign = l->status == CORE_FENCE_FOREIGN;

	if (l == g->luns && l->status != CORE_FENCE_ERROR && !co_key_eq(l->seen, g->key)) {
		co_fenced(c, g, "the key on its first LUN is not this node's any more");
		return;
	}
	if (foreign && !l->foreign)
		co_act_event(c, g, CORE_WARNING, "foreign-key", "%s: somebody else has registered a key: %s", l->name, l->error);
	l->foreign = foreign;
}

/* Another LUN than the first was read: ours under some key, or never yet. */
static void read_other(struct core *c, struct group *g, struct lun *l)
{
	if (l->status == CORE_FENCE_FOREIGN && l->seen.node != c->self) {
		co_act_event(c, g, CORE_ERROR, "foreign-key", "%s cannot be used: %s", l->name, l->error);
	} else if (l->seen.epoch && l->seen.node == c->self) {
		l->mine = l->seen;
		if (!co_key_eq(l->mine, g->key))
			co_lun_fence(c, g, l, CORE_FENCE_BUMP, l->mine, g->key);
	} else if (l->mine.epoch) {
		co_fenced(c, g, "the key on one of its LUNs is not this node's any more");
	} else if (l->seen.epoch < g->key.epoch) {
		co_lun_fence(c, g, l, CORE_FENCE_TAKE, l->seen, g->key);
	} else if (g->take.forced) {
		g->must_bump = true;  /* to an epoch larger than all that were seen; then it is taken */
	} else if (!co_key_eq(l->seen, l->told)) {
		l->told = l->seen;
		co_act_event(c, g, CORE_ERROR, "lun-held", "%s carries key epoch %u of %s, newer than this group's: does "
			  "another group use it? `lunwardctl group start --force %s` takes it", l->name, l->seen.epoch,
			  co_node_name(c, l->seen.node), g->name);
	}
}

/** co_lun_background() - An answer while we serve: a look at our key, or the other LUNs following it */
void co_lun_background(struct core *c, struct group *g, struct lun *l)
{
	if (l->status == CORE_FENCE_LOST && (l == g->luns || l->op != CORE_FENCE_TAKE)) {
		co_fenced(c, g, "its key was preempted");
	} else if (l->op == CORE_FENCE_SWEEP || l == g->luns) {
		looked(c, g, l);
	} else if (l->status == CORE_FENCE_ERROR || l->status == CORE_FENCE_LOST) {
		g->timer[TM_CHECK] = MIN(g->timer[TM_CHECK], c->now + LUN_RETRY_MS);
	} else if (l->op == CORE_FENCE_READ) {
		read_other(c, g, l);
	}
}

static void release_gone(struct core *c, struct group *g)
{
	for (unsigned i = 0; i < g->n_gone; i++) {
		struct core_action *a = co_act(c, CORE_ACT_FENCE, g);

		a->fence.id = ++c->next_id;
		a->fence.lun = co_act_dup(c, g->gone[i].name);
		a->fence.op = CORE_FENCE_RELEASE;
		a->fence.key = g->gone[i].key;
		free(g->gone[i].name);
	}
	free(g->gone);
	g->gone = NULL;
	g->n_gone = 0;
}

/* A LUN that failed, or is held by somebody else, is not read again at once: nothing will have changed. */
static bool look_now(const struct core *c, const struct group *g, const struct lun *l)
{
	bool held = l->op == CORE_FENCE_READ && l->status == CORE_FENCE_OK && !g->take.forced;

	return !l->id || c->now - l->issued >= LUN_RETRY_MS ||
	       (l->status != CORE_FENCE_ERROR && l->status != CORE_FENCE_FOREIGN && !held);
}

/** co_lun_converge() - While we serve: bring every other LUN under the key in force, and let go what was dropped */
void co_lun_converge(struct core *c, struct group *g)
{
	bool all = true;

	for (unsigned i = 1; i < g->n_luns; i++) {
		struct lun *l = &g->luns[i];

		if (co_key_eq(l->mine, g->key))
			continue;
		all = false;
		if (l->busy)
			continue;
		if (l->mine.epoch && l->status == CORE_FENCE_OK)
			co_lun_fence(c, g, l, CORE_FENCE_BUMP, l->mine, g->key);
		else if (look_now(c, g, l))
			co_lun_fence(c, g, l, CORE_FENCE_READ, no_key, g->key);
		else
			g->timer[TM_CHECK] = MIN(g->timer[TM_CHECK], l->issued + LUN_RETRY_MS);
	}
	if (all)
		g->take.forced = false;
	if (all && g->n_gone)
		release_gone(c, g);
}

/*
 * Challengers that died between registering and claiming leave a registration behind, through which their node could
 * write. The holder removes them.
 */
static void sweep(struct core *c, struct group *g)
{
	for (unsigned i = 0; i < g->n_luns; i++) {
		struct lun *l = &g->luns[i];

		if (l->busy || !co_key_eq(l->mine, g->key))
			continue;
		co_lun_fence(c, g, l, MUTANT(MUTANT_NO_SWEEP) ? CORE_FENCE_READ : CORE_FENCE_SWEEP, no_key, g->key);
	}
}

/** co_lun_check_timer() - An owner looks at its keys, unasked, and sweeps; failed operations are tried again */
void co_lun_check_timer(struct core *c, struct group *g)
{
	co_set_timer(c, g, TM_CHECK, CHECK_MS);
	if (g->state == CORE_INIT && g->t.phase == T_ACTIVE)
		co_lun_fence(c, g, &g->luns[0], CORE_FENCE_READ, no_key, no_key);
	if (g->state != CORE_ACTIVE)
		return;
	sweep(c, g);
	co_lun_converge(c, g);
}
