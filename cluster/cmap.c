/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmap.c - what corosync.conf says of the cluster: its name, its nodes, its timers. Short synchronous calls. */
#include "cluster/clusterd.h"

#include <corosync/cmap.h>
#include <stdio.h>
#include <string.h>

static void get_text(cmap_handle_t h, const char *key, char *ret, size_t size)
{
	char *s = NULL;

	if (cmap_get_string(h, key, &s) == CS_OK && s)
		snprintf(ret, size, "%s", s);
	free(s);
}

static uint32_t get_u32(cmap_handle_t h, const char *key, uint32_t dflt)
{
	uint32_t v;

	return cmap_get_uint32(h, key, &v) == CS_OK ? v : dflt;
}

/* nodelist.node.N.nodeid, .name or else .ring0_addr; positions may have gaps after a reload. */
static void read_node(cmap_handle_t h, unsigned pos, struct nodelist *ret)
{
	struct nodelist_node *n = &ret->node[ret->n];
	char key[64];

	snprintf(key, sizeof(key), "nodelist.node.%u.nodeid", pos);
	n->id = get_u32(h, key, 0);
	if (!n->id)
		return;
	snprintf(key, sizeof(key), "nodelist.node.%u.ring0_addr", pos);
	get_text(h, key, n->name, sizeof(n->name));
	snprintf(key, sizeof(key), "nodelist.node.%u.name", pos);
	get_text(h, key, n->name, sizeof(n->name));
	if (n->name[0])
		ret->n++;
}

static unsigned position_of(const char *key)
{
	unsigned pos;
	char rest[32];

	if (sscanf(key, "nodelist.node.%u.%31s", &pos, rest) != 2 || strcmp(rest, "nodeid"))
		return UINT32_MAX;
	return pos;
}

static void read_nodes(cmap_handle_t h, struct nodelist *ret)
{
	cmap_iter_handle_t it;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	size_t len;
	cmap_value_types_t type;

	if (cmap_iter_init(h, "nodelist.node.", &it) != CS_OK)
		return;
	while (ret->n < NODELIST_MAX && cmap_iter_next(h, it, key, &len, &type) == CS_OK) {
		unsigned pos = position_of(key);

		if (pos != UINT32_MAX)
			read_node(h, pos, ret);
	}
	cmap_iter_finalize(h, it);
}

const struct nodelist_node *nodelist_find(const struct nodelist *l, uint32_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->node[i].id == id)
			return &l->node[i];
	return NULL;
}

int nodelist_read(struct nodelist *ret)
{
	cmap_handle_t h;
	cs_error_t e = cmap_initialize(&h);
	uint8_t two_node = 0;

	if (e != CS_OK)
		return -(int)e;
	memset(ret, 0, sizeof(*ret));
	get_text(h, "totem.cluster_name", ret->cluster, sizeof(ret->cluster));
	ret->self = get_u32(h, "runtime.votequorum.this_node_id", 0);
	ret->token_ms = get_u32(h, "runtime.config.totem.token", 1000);
	ret->consensus_ms = get_u32(h, "runtime.config.totem.consensus", ret->token_ms * 12 / 10);
	if (cmap_get_uint8(h, "runtime.votequorum.two_node", &two_node) == CS_OK)
		ret->two_node = two_node;
	read_nodes(h, ret);
	cmap_finalize(h);
	return 0;
}
