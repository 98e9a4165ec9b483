/* SPDX-License-Identifier: GPL-2.0-or-later */
/* schema.c - the document's mappings and their keys, down to the groups; targets and LUNs: lun.c */
#include <string.h>

#include "cluster/conf/internal.h"

static void empty_list(struct reader *r, const yaml_node_t *n, const char *what, const char *instead)
{
	if (n->type == YAML_SEQUENCE_NODE && n->data.sequence.items.start == n->data.sequence.items.top)
		diag_error(r->d, tree_line(n), "%s: is an empty list; %s", what, instead);
}

/* ---- a group ---- */

static void group_name(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct conf_group *)obj)->name = tree_value(r, n, "name", value_name, NULL);
}

static void one_node(struct reader *r, yaml_node_t *n, void *obj)
{
	*(const char **)obj = tree_value(r, n, "nodes", value_name, NULL);
}

static void group_nodes(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_group *g = obj;

	g->node = tree_list(r, n, "nodes", sizeof(*g->node), one_node, &g->n_node);
	empty_list(r, n, "nodes", "allowed: at least one node's name");
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t j = 0; j < i; j++)
			if (g->node[i] && g->node[j] && !strcmp(g->node[i], g->node[j]))
				diag_error(r->d, tree_line(n), "nodes: \"%s\" is there twice; allowed: each node once",
					   g->node[i]);
}

static void group_failback(struct reader *r, yaml_node_t *n, void *obj)
{
	tree_value(r, n, "failback", value_failback, &((struct conf_group *)obj)->failback_auto);
}

/* "192.0.2.50/24:3261@eth1" in one spelling */
static char *portal_text(struct reader *r, const struct conf_portal *p)
{
	char ip[ADDRESS_MAX], port[8] = "";
	bool prefix = r->c->mode == CONF_CLUSTER || p->addr.prefix < p->addr.len * 8;
	bool bracket;

	address_print(&p->addr, prefix, ip);
	if (p->port != CONF_ISCSI_PORT)
		snprintf(port, sizeof(port), ":%u", p->port);
	bracket = port[0] && p->addr.family == AF_INET6 && !prefix;
	return arena_printf(r->c->arena, "%s%s%s%s%s%s", bracket ? "[" : "", ip, bracket ? "]" : "", port,
			    p->dev ? "@" : "", p->dev ? p->dev : "");
}

static void one_portal(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_portal *p = obj;
	char why[WHY_MAX], dev[DEV_MAX] = "";
	char *s = tree_scalar(r, n, "portals");

	p->line = tree_line(n);
	if (!s)
		return;
	if (!portal_parse(s, r->c->mode, p, dev, why)) {
		diag_error(r->d, p->line, "portals: \"%.80s\" %s", s, why);
		return;
	}
	if (dev[0])
		p->dev = arena_strdup(r->c->arena, dev);
	p->text = portal_text(r, p);
}

static void group_portals(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_group *g = obj;

	g->portal = tree_list(r, n, "portals", sizeof(*g->portal), one_portal, &g->n_portal);
	empty_list(r, n, "portals", "allowed: at least one address");
}

static void one_fence(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_fence *f = obj;
	bool url = n->type == YAML_SCALAR_NODE && !strncmp((char *)n->data.scalar.value, "iscsi:", 6);

	f->line = tree_line(n);
	f->backing = url ? CONF_ISCSI : CONF_BLOCK;
	f->path = url ? schema_url(r, n, "fence") : tree_value(r, n, "fence", value_path, NULL);
}

static void group_fence(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_group *g = obj;

	g->fence = tree_list(r, n, "fence", sizeof(*g->fence), one_fence, &g->n_fence_set);
	g->n_fence = g->n_fence_set;
	empty_list(r, n, "fence", "allowed: devices, or leave it out: then the group's own shared LUNs fence");
}

static void group_discovery_chap(struct reader *r, yaml_node_t *n, void *obj)
{
	schema_chap(r, n, &((struct conf_group *)obj)->discovery_chap);
}

static void group_chap_algs(struct reader *r, yaml_node_t *n, void *obj)
{
	schema_chap_algs(r, n, &((struct conf_group *)obj)->chap_algs);
}

static const struct field group_fields[] = {
	MUST("name", group_name),
	MAY("nodes", group_nodes),
	MAY("failback", group_failback),
	MUST("portals", group_portals),
	MAY("fence", group_fence),
	MAY("discovery-chap", group_discovery_chap),
	MAY("chap-algorithms", group_chap_algs),
	MUST("targets", schema_targets),
};

static void one_group(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_group *g = obj;
	size_t before = r->d->n_errors;

	g->line = tree_line(n);
	tree_map(r, n, "group", group_fields, ARRAY_SIZE(group_fields), g);
	if (r->d->n_errors == before && !arena_failed(r->c->arena))
		check_group(r, g);
}

/* ---- the document ---- */

static void doc_cluster(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct conf *)obj)->cluster = tree_value(r, n, "cluster", value_name, NULL);
}

static void doc_groups(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf *c = obj;

	c->group = tree_list(r, n, "groups", sizeof(*c->group), one_group, &c->n_group);
}

/* The keys of `options:` are those of the table in options.c. */
static void one_option(struct reader *r, yaml_node_t *k, yaml_node_t *v, int *seen)
{
	const char *words[32], *meant;
	char why[WHY_MAX];
	char *key = tree_scalar(r, k, "options"), *s;

	if (!key)
		return;
	for (size_t i = 0; i < conf_option_n; i++) {
		words[i] = conf_option_table[i].name;
		if (strcmp(words[i], key))
			continue;
		if (seen[i])
			diag_error(r->d, tree_line(k), "options: \"%s\" is there twice, first in line %d; allowed: once",
				   key, seen[i]);
		seen[i] = tree_line(k);
		s = tree_scalar(r, v, key);
		if (s && !option_set(&r->c->opt, i, s, why))
			diag_error(r->d, tree_line(v), "%s: \"%.80s\" %s", key, s, why);
		return;
	}
	meant = diag_meant(key, words, conf_option_n);
	diag_error(r->d, tree_line(k), "options: unknown key \"%.80s\"%s%s%s; allowed: see lunward.yaml(5)", key,
		   meant ? ", did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
}

static void doc_options(struct reader *r, yaml_node_t *n, void *obj)
{
	int seen[32] = { 0 };

	(void)obj;
	r->options_line = tree_line(n);
	if (n->type != YAML_MAPPING_NODE) {
		diag_error(r->d, tree_line(n), "options: is no mapping; allowed: KEY: VALUE, see lunward.yaml(5)");
		return;
	}
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
		yaml_node_t *k = tree_node(r, p->key), *v = tree_node(r, p->value);

		if (k && v)
			one_option(r, k, v, seen);
	}
}

static const struct field cluster_fields[] = {
	MUST("cluster", doc_cluster),
	MAY("options", doc_options),
	MUST("groups", doc_groups),
};

static const struct field standalone_fields[] = {
	MAY("cluster", doc_cluster),
	MAY("options", doc_options),
	MUST("groups", doc_groups),
};

void schema_read(struct reader *r, yaml_node_t *root)
{
	tree_map(r, root, "document", r->c->mode == CONF_CLUSTER ? cluster_fields : standalone_fields,
		 ARRAY_SIZE(cluster_fields), r->c);
}
