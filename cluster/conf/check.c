/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.c - what must hold between the parts of a document
 *
 * Names, addresses, devices and identities are claims: each kind is collected, sorted, and a key that is claimed
 * twice is a finding at the second place that names the first. A key whose own syntax was wrong is NULL and
 * makes no claim, so these checks run on damaged documents too.
 */
#include <ctype.h>
#include <string.h>

#include "cluster/conf/internal.h"

struct claim {
	const char *key;
	int line;
	size_t order;
};

struct claims {
	struct reader *r;
	struct claim *v;
	size_t n, room;
};

static void claim(struct claims *s, const char *key, int line)
{
	if (!key)
		return;
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct claim *v = arena_alloc(s->r->c->arena, room, sizeof(*v));

		if (!v)
			return;
		if (s->n)
			memcpy(v, s->v, s->n * sizeof(*v));
		s->v = v;
		s->room = room;
	}
	s->v[s->n] = (struct claim){ .key = key, .line = line, .order = s->n };
	s->n++;
}

static int claim_cmp(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	if (c)
		return c;
	return x->order < y->order ? -1 : x->order > y->order;
}

/** claims_check() - A finding for each claim but the first of its key. @fmt: of the key and the first's line */
static void claims_check(struct claims *s, const char *what, const char *allowed)
{
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), claim_cmp);
	for (size_t i = 1, first = 0; i < s->n; i++) {
		if (strcmp(s->v[i].key, s->v[first].key)) {
			first = i;
			continue;
		}
		diag_error(s->r->d, s->v[i].line, "%s: \"%.160s\" is there twice, first in line %d; allowed: %s", what,
			   s->v[i].key, s->v[first].line, allowed);
	}
	s->n = 0;
}

/* An empty array may be NULL, to which not even 0 may be added. */
#define END(v, n) ((n) ? (v) + (n) : (v))
#define for_each_group(c, g) \
	for (struct conf_group *g = (c)->group, *end_g = END(g, (c)->n_group); g != end_g; g++)
#define for_each_target(g, t) \
	for (struct conf_target *t = (g)->target, *end_t = END(t, (g)->n_target); t != end_t; t++)
#define for_each_lun(t, l) \
	for (struct conf_lun *l = (t)->lun, *end_l = END(l, (t)->n_lun); l != end_l; l++)

static void check_names(struct claims *s)
{
	struct conf *c = s->r->c;

	for_each_group(c, g)
		claim(s, g->name, g->line);
	claims_check(s, "name", "each group name once");
	for_each_group(c, g)
		for_each_target(g, t)
			claim(s, t->iqn, t->line);
	claims_check(s, "iqn", "each target name once in the whole document");
}

/* A portal address belongs to one group, for it moves with it; standalone, sockets must not collide. */
static void check_portals(struct claims *s)
{
	struct conf *c = s->r->c;
	char ip[ADDRESS_MAX];

	for_each_group(c, g)
		for (size_t i = 0; i < g->n_portal; i++) {
			const struct conf_portal *p = &g->portal[i];
			struct conf_addr host = p->addr;

			if (!p->text)
				continue;
			host.prefix = (uint8_t)(host.len * 8);
			address_print(&host, false, ip);
			claim(s, arena_printf(c->arena, "%s port %u", ip, p->port), p->line);
		}
	claims_check(s, "portals", "each address and port once");
	if (c->mode != CONF_CLUSTER)
		return;
	for_each_group(c, g)
		for (size_t i = 0; i < g->n_portal; i++) {
			struct conf_addr host = g->portal[i].addr;
			bool again = !g->portal[i].text;

			host.prefix = (uint8_t)(host.len * 8);
			/* once a group: one address with several ports is fine inside it */
			for (size_t j = 0; j < i && !again; j++)
				again = g->portal[j].addr.len == host.len &&
					!memcmp(g->portal[j].addr.ip, host.ip, host.len);
			if (!again)
				claim(s, arena_strdup(c->arena, address_print(&host, false, ip)), g->portal[i].line);
		}
	if (!s->r->d->n_errors)
		claims_check(s, "portals", "an address in one group only, it moves with the group");
	s->n = 0;
}

/* Two LUNs on the same bytes would not know of each other's reservations; two groups would fence each other. */
static void check_backings(struct claims *s)
{
	struct conf *c = s->r->c;

	for_each_group(c, g)
		for_each_target(g, t)
			for_each_lun(t, l)
				claim(s, l->path && l->path[0] ? device_key(l->path) : NULL, l->line);
	claims_check(s, "luns", "each device, file and URL once in the whole document");
	for_each_group(c, g)
		for (size_t i = 0; i < g->n_fence_set; i++)
			claim(s, g->fence[i].path ? device_key(g->fence[i].path) : NULL, g->fence[i].line);
	claims_check(s, "fence", "each device once; a group's reservation cannot share a device with another's");
	if (s->r->d->n_errors || c->mode != CONF_CLUSTER)
		return;
	for_each_group(c, g)
		for (size_t i = 0; i < g->n_fence; i++)
			claim(s, g->fence[i].path ? device_key(g->fence[i].path) : NULL, g->fence[i].line);
	claims_check(s, "fence", "each device in one group only, its reservation belongs to the group");
}

/* All nexuses of a node to one array must differ. Equal ones in 32 bits are rare, and would be hard to find. */
static void check_isids(struct claims *s)
{
	struct conf *c = s->r->c;
	uint8_t id[6];

	for_each_group(c, g)
		for (size_t i = 0; i < g->n_fence; i++) {
			if (g->fence[i].backing != CONF_ISCSI)
				continue;
			conf_isid(CONF_ROLE_FENCE, g->name, g->fence[i].path, 0, id);
			claim(s, arena_printf(c->arena, "%02x%02x%02x%02x", id[1], id[2], id[3], id[4]), g->fence[i].line);
		}
	claims_check(s, "ISID", "another group name: the ISIDs made from two LUNs are the same by chance");
}

static void check_identities(struct claims *s)
{
	struct conf *c = s->r->c;

	for_each_group(c, g)
		for_each_target(g, t)
			for_each_lun(t, l)
				claim(s, l->id.serial[0] ? l->id.serial : NULL, l->line);
	claims_check(s, "serial", "each serial number once");
	for_each_group(c, g)
		for_each_target(g, t)
			for_each_lun(t, l) {
				char hex[33] = "";

				for (size_t i = 0; i < l->id.naa_len; i++)
					snprintf(hex + 2 * i, 3, "%02x", l->id.naa[i]);
				claim(s, hex[0] ? arena_strdup(c->arena, hex) : NULL, l->line);
			}
	claims_check(s, "naa", "each NAA identifier once");
	for_each_group(c, g)
		for_each_target(g, t)
			for_each_lun(t, l)
				claim(s, l->set_eui, l->line);
	claims_check(s, "eui", "each EUI-64 based identifier once");
}

static void check_options(struct reader *r)
{
	const struct conf_options *o = &r->c->opt;

	if (o->clusterd_grace_ms <= o->lease_ms)
		diag_error(r->d, r->options_line, "options: clusterd-grace (%u ms) is not longer than lease (%u ms); allowed: longer, "
			   "so that a dead node's addresses have run out before another takes over", o->clusterd_grace_ms,
			   o->lease_ms);
	if (o->lease_renew_ms * 2 > o->lease_ms)
		diag_error(r->d, r->options_line, "options: lease-renew (%u ms) is more than half of lease (%u ms); allowed: half of it "
			   "or less, so that one late renewal does no harm", o->lease_renew_ms, o->lease_ms);
}

/* ---- one group ---- */

static bool kernel_disk_name(const char *path)
{
	return path && (!strncmp(path, "/dev/sd", 7) || !strncmp(path, "/dev/nvme", 9)) && !strchr(path + 5, '/');
}

/* Is there a LUN that anybody may use? */
static bool open_to_all(const struct conf_target *t)
{
	bool open = t->n_lun == 0;

	if (t->initiators.n || t->chap.n)
		return false;
	for_each_lun(t, l)
		open |= l->initiators.n == 0;
	return open;
}

static void check_group_luns(struct reader *r, const struct conf_group *g)
{
	for_each_target(g, t) {
		if (t->n_lun == 0)
			diag_warn(r->d, t->line, "target %s has no LUN", t->iqn);
		if (open_to_all(t) && r->c->mode == CONF_CLUSTER)
			diag_warn(r->d, t->line, "target %s is open to every initiator: it has neither initiators nor "
				  "chap", t->iqn);
		for_each_lun(t, l) {
			if (l->backing == CONF_BLOCK && kernel_disk_name(l->path) && r->c->mode == CONF_CLUSTER)
				diag_warn(r->d, l->line, "LUN %u: %s may be another disk after a reboot and on another "
					  "node; use a name in /dev/disk/by-id/", l->number, l->path);
			if (l->backing == CONF_FILE && !g->n_fence_set && r->c->mode == CONF_CLUSTER)
				diag_error(r->d, l->line, "LUN %u: a file cannot carry a reservation, and the group has no "
					   "fence:; allowed: fence: with the shared LUN that the file system is on",
					   l->number);
		}
	}
}

void check_group(struct reader *r, struct conf_group *g)
{
	size_t before = r->d->n_errors;

	if (!conf_fill_group(r->c, g))
		return;
	check_group_luns(r, g);
	if (r->c->mode != CONF_CLUSTER)
		return;
	if (g->n_node == 0)
		diag_error(r->d, g->line, "group %s: has no nodes; allowed: nodes: [NODE, …] in order of preference",
			   g->name);
	else if (g->n_node == 1)
		diag_warn(r->d, g->line, "group %s: only %s may serve it, nothing takes over when it dies", g->name,
			  g->node[0]);
	if (g->n_fence == 0 && r->d->n_errors == before)
		diag_error(r->d, g->line, "group %s: nothing can fence it; allowed: at least one block or iscsi LUN, or "
			   "fence: with a shared device", g->name);
}

/* Everything that carries the reservation: those of `fence:` first, then the group's shared LUNs. */
bool conf_fill_group(struct conf *c, struct conf_group *g)
{
	struct conf_fence *all;
	size_t n = g->n_fence_set;

	for_each_target(g, t)
		n += t->n_lun;
	all = arena_alloc(c->arena, n + 1, sizeof(*all));
	if (!all)
		return false;
	n = g->n_fence_set;
	if (n)
		memcpy(all, g->fence, n * sizeof(*all));
	for_each_target(g, t)
		for_each_lun(t, l) {
			bool have = l->backing != CONF_BLOCK && l->backing != CONF_ISCSI;

			for (size_t i = 0; i < g->n_fence_set && !have; i++)
				have = !strcmp(device_key(all[i].path), device_key(l->path));
			if (!have)
				all[n++] = (struct conf_fence){ .backing = l->backing, .path = l->path, .line = l->line };
		}
	g->fence = all;
	g->n_fence = n;
	return true;
}

/* ---- the whole document ---- */

static int str_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool conf_fill_nodes(struct conf *c)
{
	size_t n = 0, out = 0;

	for_each_group(c, g)
		n += g->n_node;
	c->node = arena_alloc(c->arena, n + 1, sizeof(*c->node));
	if (!c->node)
		return false;
	n = 0;
	for_each_group(c, g)
		for (size_t i = 0; i < g->n_node; i++)
			c->node[n++] = g->node[i];
	if (n)
		qsort(c->node, n, sizeof(*c->node), str_cmp);
	for (size_t i = 0; i < n; i++)
		if (out == 0 || strcmp(c->node[out - 1], c->node[i]))
			c->node[out++] = c->node[i];
	c->n_node = out;
	return true;
}

/* The initiator names made of two nodes must differ: case and underscores do not survive in them. */
static void check_nodes(struct reader *r)
{
	char a[CONF_ISCSI_NAME_MAX + 1], b[CONF_ISCSI_NAME_MAX + 1];

	for (size_t i = 0; i < r->c->n_node; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(conf_initiator_name(r->c->cluster, r->c->node[i], a),
				    conf_initiator_name(r->c->cluster, r->c->node[j], b)))
				diag_error(r->d, 0, "nodes: \"%s\" and \"%s\" differ only in case or underscores, which "
					   "iSCSI names do not tell apart; allowed: clearly different names",
					   r->c->node[j], r->c->node[i]);
}

void check_document(struct reader *r)
{
	struct claims s = { .r = r };

	check_options(r);
	chap_check(r);
	check_names(&s);
	check_portals(&s);
	check_backings(&s);
	if (r->d->n_errors || !conf_fill_nodes(r->c))
		return;
	if (r->c->mode == CONF_CLUSTER)
		check_nodes(r);
	check_isids(&s);
	conf_fill_identities(r->c);
	check_identities(&s);
}
