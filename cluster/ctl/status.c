/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c - the one screen: what is served where, what is not, why not, and what to do */
#include <inttypes.h>
#include <string.h>

#include "cluster/ctl/ctl.h"

const char *node_name(const Lunward__CtlStatus *s, uint32_t id, char buf[WORD_MAX])
{
	for (size_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i]->id == id)
			return s->nodes[i]->name;
	snprintf(buf, WORD_MAX, "node %" PRIu32, id);
	return buf;
}

/* Addresses up, I/O answered: core_state_name() of CORE_ACTIVE, and of CORE_BUMPING, a moment of it. */
static bool group_active(const Lunward__GroupStatus *g)
{
	return g->owner[0] && (!strcmp(g->state, "active") || !strcmp(g->state, "bumping"));
}

bool group_served(const Lunward__GroupStatus *g)
{
	if (!group_active(g))
		return false;
	for (size_t i = 0; i < g->n_portals; i++)
		if (!g->portals[i]->up)
			return false;
	for (size_t i = 0; i < g->n_luns; i++)
		if (!strcmp(g->luns[i]->state, "failed"))
			return false;
	return true;
}

/* A node that is not in the cluster knows of no group, so that it cannot say that all are served. */
bool status_served(const Lunward__CtlStatus *s)
{
	bool here = false;

	for (size_t i = 0; i < s->n_nodes; i++)
		here |= s->nodes[i]->self && s->nodes[i]->online;
	if (!here)
		return false;
	for (size_t i = 0; i < s->n_groups; i++)
		if (!group_served(s->groups[i]))
			return false;
	return true;
}

static void nodes_print(FILE *f, const Lunward__CtlStatus *s)
{
	struct table *t = table_new("NODE|>ID|STATE|CONFIG|");

	for (size_t i = 0; i < s->n_nodes; i++) {
		const Lunward__NodeStatus *n = s->nodes[i];

		table_cell(t, "%s%s", n->name, n->self ? " (here)" : "");
		if (n->id)
			table_cell(t, "%" PRIu32, n->id);
		else
			table_cell(t, "-");
		table_cell(t, "%s", n->online ? "online" : "OFFLINE");
		if (n->config_version)
			table_cell(t, "%" PRIu64 "%s", n->config_version,
				   n->config_version == s->config_version ? "" : " (outdated)");
		else
			table_cell(t, "-");
		if (n->note[0])
			table_note(t, "%s", n->note);
	}
	table_print(t, f, 0);
}

/* What is wrong inside a group, a line each; a healthy one has none. */
static void group_problems(struct table *t, const Lunward__CtlStatus *s, const Lunward__GroupStatus *g)
{
	bool active = group_active(g);

	if (g->why[0])
		table_note(t, "%s", g->why);
	if (!strcmp(g->state, "stopped"))
		table_note(t, "to serve it: lunwardctl group start %s", g->name);
	for (size_t i = 0; i < g->n_portals && active; i++)
		if (!g->portals[i]->up)
			table_note(t, "portal %s is down: %s", g->portals[i]->address,
				   g->portals[i]->error[0] ? g->portals[i]->error : "no reason known");
	for (size_t i = 0; i < g->n_luns; i++)
		if (!strcmp(g->luns[i]->state, "failed"))
			table_note(t, "LUN %" PRIu32 " of %s failed: %s", g->luns[i]->lun, g->luns[i]->target,
				   g->luns[i]->error[0] ? g->luns[i]->error : "no reason known");
	for (size_t i = 0; i < g->n_fence; i++)
		if (g->fence[i]->error[0])
			table_note(t, "fence device %s: %s", g->fence[i]->device, g->fence[i]->error);
	for (size_t i = 0; i < g->n_records && active; i++)
		for (size_t j = 0; j < s->n_nodes; j++)
			if (!g->records[i]->current && s->nodes[j]->online &&
			    !strcmp(s->nodes[j]->name, g->records[i]->node))
				table_note(t, "%s cannot take over: its record is outdated", g->records[i]->node);
}

static void groups_print(FILE *f, const Lunward__CtlStatus *s, uint64_t now_ms)
{
	struct table *t = table_new("GROUP|STATE|SERVED BY|>FOR|>SESSIONS|PORTALS");
	char age[WORD_MAX];

	for (size_t i = 0; i < s->n_groups; i++) {
		const Lunward__GroupStatus *g = s->groups[i];
		bool served = group_served(g);

		table_cell(t, "%s", g->name);
		table_cell(t, "%s%s", g->state, served || !group_active(g) ? "" : ", DEGRADED");
		table_cell(t, "%s", g->owner[0] ? g->owner : "NOBODY");
		table_cell(t, "%s", g->since_ms ? word_age((int64_t)(now_ms - g->since_ms), age) : "-");
		if (g->owner[0])
			table_cell(t, "%" PRIu32, g->sessions);
		else
			table_cell(t, "-");
		table_cell(t, "%s%s", g->n_portals ? g->portals[0]->address : "-", g->n_portals > 1 ? "," : "");
		for (size_t j = 1; j < g->n_portals; j++) {
			for (int blank = 0; blank < 5; blank++)
				table_cell(t, "%s", "");
			table_cell(t, "%s%s", g->portals[j]->address, j + 1 < g->n_portals ? "," : "");
		}
		group_problems(t, s, g);
	}
	table_print(t, f, 0);
}

void status_print(FILE *f, const Lunward__CtlStatus *s, const char *note, uint64_t now_ms)
{
	size_t served = 0, online = 0;

	for (size_t i = 0; i < s->n_groups; i++)
		served += group_served(s->groups[i]);
	for (size_t i = 0; i < s->n_nodes; i++)
		online += s->nodes[i]->online;
	fprintf(f, "cluster %s: %zu of %zu groups served, %zu of %zu nodes online, %s, configuration %" PRIu64 "%s%s\n\n",
		s->cluster, served, s->n_groups, online, s->n_nodes, s->quorate ? "quorate" : "NO QUORUM",
		s->config_version, s->software[0] ? ", lunward " : "", s->software);
	nodes_print(f, s);
	fputc('\n', f);
	if (note[0])
		text_wrap(f, 0, note);
	if (!s->quorate && online)
		text_wrap(f, 0, "This node is in a minority: nothing is served from here until it sees enough of the others "
			  "again. Look at the network between the nodes (corosync-cfgtool -s) and at the nodes that are "
			  "offline.\n");
	if (s->n_groups)
		groups_print(f, s, now_ms);
	else if (online && !note[0])
		text_wrap(f, 0, "No group is configured: write a document (see lunward.yaml(5)) and run: lunwardctl apply "
			  "FILE");
}
