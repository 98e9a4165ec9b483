/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.c - the configuration as the core needs it, applied live
 *
 * Groups keep their state across documents; what follows from a change (a move away from a node that is no longer
 * listed, a release of a group that is gone) is co_evaluate()'s. A group that left the document stays, unseen, for as
 * long as there is a record of it: the document may come back. LUNs keep what we know of them; dropped ones are released once the new ones are held.
 */
#include "cluster/core/internal.h"

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct group *const *)a)->name, (*(struct group *const *)b)->name);
}

/** co_group_find() - Return: NULL if there is none of that name */
struct group *co_group_find(const struct core *c, const char *name)
{
	unsigned lo = 0, hi = c->n_groups;

	while (name && lo < hi) {
		unsigned mid = (lo + hi) / 2;
		int d = strcmp(name, c->groups[mid]->name);

		if (d == 0)
			return c->groups[mid];
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/** co_group_new() - A group of that name, in order among the others, about which nothing is known yet */
struct group *co_group_new(struct core *c, const char *name)
{
	struct group *g = co_must_alloc(sizeof(*g));

	co_copy_text(g->name, sizeof(g->name), name);
	g->state = CORE_INIT;
	g->since = c->now;
	g->idle_since = CORE_NEVER;
	g->store_ok = g->dirty = g->announce = true;
	for (unsigned t = 0; t < N_TIMERS; t++)
		g->timer[t] = CORE_NEVER;
	co_set_timer(c, g, TM_PHASE, c->opt.hello_ms);
	c->groups = realloc(c->groups, (c->n_groups + 1) * sizeof(*c->groups));
	if (!c->groups)
		abort();
	c->groups[c->n_groups++] = g;
	qsort(c->groups, c->n_groups, sizeof(*c->groups), by_name);
	return g;
}

static void free_luns(struct lun *l, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(l[i].name);
	free(l);
}

void co_group_free(struct group *g)
{
	co_commit_forget(g);
	co_record_clear(&g->rec);
	co_record_clear(&g->flight.rec);
	co_record_clear(&g->want.rec);
	free_luns(g->luns, g->n_luns);
	for (unsigned i = 0; i < g->n_gone; i++)
		free(g->gone[i].name);
	free(g->gone);
	free(g);
}

/** co_group_remove() - Out of sight now, freed when the next step begins: actions of this one point to it */
void co_group_remove(struct core *c, struct group *g)
{
	unsigned i = 0;

	while (c->groups[i] != g)
		i++;
	memmove(&c->groups[i], &c->groups[i + 1], (--c->n_groups - i) * sizeof(*c->groups));
	if (c->n_graveyard < CORE_MAX_GROUPS)
		c->graveyard[c->n_graveyard++] = g;
	else
		co_group_free(g);
}

static void remember_gone(struct group *g, const struct lun *l)
{
	struct gone *v = realloc(g->gone, (g->n_gone + 1) * sizeof(*v));
	char *name = strdup(l->name);

	if (!v || !name)
		abort();
	v[g->n_gone++] = (struct gone){ .name = name, .key = l->mine };
	g->gone = v;
}

/* It is back before it was released: now it must not be. */
static void forget_gone(struct group *g, const char *name)
{
	for (unsigned i = g->n_gone; i-- > 0; )
		if (strcmp(g->gone[i].name, name) == 0) {
			free(g->gone[i].name);
			g->gone[i] = g->gone[--g->n_gone];
		}
}

static bool luns_equal(const struct group *g, const struct core_group_conf *conf)
{
	if (g->n_luns != conf->n_luns)
		return false;
	for (unsigned i = 0; i < g->n_luns; i++)
		if (strcmp(g->luns[i].name, conf->luns[i]) != 0)
			return false;
	return true;
}

/* A changed list of LUNs: keep what we know by name. Whoever is in the middle of something begins again. */
static void set_luns(struct core *c, struct group *g, const struct core_group_conf *conf)
{
	struct lun *old = g->luns;
	unsigned n_old = g->n_luns;

	if (luns_equal(g, conf))
		return;
	g->luns = co_must_alloc(conf->n_luns * sizeof(*g->luns));
	g->n_luns = conf->n_luns;
	for (unsigned i = 0; i < conf->n_luns; i++) {
		struct lun *l = &g->luns[i];

		for (unsigned j = 0; j < n_old && !l->name; j++)
			if (old[j].name && strcmp(old[j].name, conf->luns[i]) == 0) {
				*l = old[j];
				old[j].name = NULL;
			}
		if (!l->name && !(l->name = strdup(conf->luns[i])))
			abort();
		forget_gone(g, l->name);
	}
	for (unsigned j = 0; j < n_old; j++)
		if (old[j].name && old[j].mine.epoch)
			remember_gone(g, &old[j]);
	free_luns(old, n_old);
	if (co_state_flags(g->state) & (F_EARLY | F_TAKING))
		co_takeover_give_up(c, g);
	else if (g->state == CORE_TAKING_REST || g->state == CORE_ACTIVATING || g->state == CORE_BUMPING)
		co_drop(c, g, CORE_DROPPING, "the list of its LUNs changed while it was being taken over");
}

static void set_group(struct core *c, struct group *g, const struct core_group_conf *conf)
{
	g->configured = true;
	g->mine = false;
	g->failback = conf->failback;
	g->n_nodes = MIN(conf->n_nodes, (unsigned)CORE_MAX_NODES);
	for (unsigned i = 0; i < g->n_nodes; i++) {
		g->nodes[i] = conf->nodes[i];
		g->mine |= conf->nodes[i] == c->self;
	}
	if (!conf->n_luns && (co_state_flags(g->state) & (F_HOLD | F_TAKING | F_EARLY)))
		co_drop(c, g, CORE_DROPPING, "the group has no fence LUN any more");
	set_luns(c, g, conf);
	g->reconfigure = true;
	if (g->t.phase > T_STARTING && !(co_state_flags(g->state) & F_HOLD)) {
		co_act(c, CORE_ACT_TARGET_CONFIGURE, g);
		g->reconfigure = false;
	}
}

static void set_peers(struct core *c, const struct core_conf *conf)
{
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		c->peers[s].configured = false;
	for (unsigned pass = 0; pass < 2; pass++)  /* first those that keep their slot, then new ones */
		for (unsigned i = 0; i < conf->n_nodes; i++) {
			unsigned s = pass ? co_peer_intern(c, conf->nodes[i].id) : co_peer_slot(c, conf->nodes[i].id);

			if (s == NO_SLOT)
				continue;
			c->peers[s].configured = true;
			co_copy_text(c->peers[s].name, sizeof(c->peers[s].name), conf->nodes[i].name);
		}
}

/** co_config_apply() - A new document is in force here */
void co_config_apply(struct core *c, const struct core_conf *conf)
{
	c->conf_version = conf->version;
	set_peers(c, conf);
	for (unsigned i = 0; i < c->n_groups; i++) {
		c->groups[i]->configured = c->groups[i]->mine = false;
		co_dirty(c->groups[i]);
	}
	for (unsigned i = 0; i < conf->n_groups; i++) {
		struct group *g = co_group_find(c, conf->groups[i].name);

		set_group(c, g ? g : co_group_new(c, conf->groups[i].name), &conf->groups[i]);
	}
	c->announce_full = true;
}
