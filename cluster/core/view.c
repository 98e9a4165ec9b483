/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view.c - looking in, for status */
#include "cluster/core/internal.h"

/* The key as far as it is known here: ours, the owner's as announced, or what was read last. */
static struct core_key key_of(const struct core *c, const struct group *g, unsigned owner)
{
	if (g->key.epoch)
		return g->key;
	if (owner != NO_SLOT)
		return (struct core_key){ .node = c->peers[owner].id, .epoch = g->view[owner].key_epoch };
	return g->n_luns ? g->luns[0].seen : g->key;
}

/** co_group_visible() - In the document, or something of it is still going on */
bool co_group_visible(const struct group *g)
{
	return g->configured || !(co_state_flags(g->state) & F_RESTING);
}

bool core_group(const struct core *c, unsigned i, struct core_group_view *ret)
{
	const struct group *g;
	unsigned o, n;

	for (n = 0; n < c->n_groups; n++)
		if (co_group_visible(c->groups[n]) && i-- == 0)
			break;
	if (n == c->n_groups)
		return false;
	g = c->groups[n];
	o = co_owner_slot(c, g);
	*ret = (struct core_group_view){
		.name = g->name, .state = g->state, .stamp = g->rec.stamp, .body = g->rec.body, .stopped = g->stopped,
		.addresses_up = g->address, .since = g->since, .why = g->why, .n_nodes = g->n_nodes, .n_luns = g->n_luns,
		.key = key_of(c, g, o),
		.owner = o == NO_SLOT ? 0 : c->peers[o].id,
		.owner_state = o == NO_SLOT || o == c->me ? g->state : g->view[o].state,
	};
	return true;
}

bool core_group_member(const struct core *c, const char *group, unsigned i, struct core_member_view *ret)
{
	const struct group *g = co_group_find(c, group);
	const struct view *v;
	unsigned s;
	struct core_key k;

	if (!g || i >= g->n_nodes)
		return false;
	*ret = (struct core_member_view){ .node = g->nodes[i], .why = "" };
	s = co_peer_slot(c, g->nodes[i]);
	if (s == NO_SLOT)
		return true;
	v = &g->view[s];
	ret->live = c->peers[s].live;
	ret->synced = c->peers[s].synced;
	ret->draining = s == c->me ? c->draining : c->peers[s].draining;
	ret->config_version = s == c->me ? c->conf_version : c->peers[s].config_version;
	ret->state = s == c->me ? g->state : v->state;
	ret->stamp = s == c->me ? g->rec.stamp : v->stamp;
	ret->eligible = s == c->me ? g->eligible : v->eligible;
	ret->why = s == c->me ? g->why : v->why;
	k = key_of(c, g, co_owner_slot(c, g));
	ret->current = core_current(&ret->stamp, &k);
	return true;
}

bool core_group_lun(const struct core *c, const char *group, unsigned i, struct core_lun_view *ret)
{
	const struct group *g = co_group_find(c, group);
	const struct lun *l;

	if (!g || i >= g->n_luns)
		return false;
	l = &g->luns[i];
	*ret = (struct core_lun_view){ .name = l->name, .status = l->status, .key = l->seen,
				       .error = *l->error ? l->error : NULL, .busy = l->busy };
	return true;
}
