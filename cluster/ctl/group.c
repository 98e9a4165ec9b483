/* SPDX-License-Identifier: GPL-2.0-or-later */
/* group.c - one group in full: portals, fence devices, records, LUNs */
#include <inttypes.h>
#include <string.h>

#include "cluster/ctl/ctl.h"

static void portals(FILE *f, const Lunward__GroupStatus *g)
{
	struct table *t = table_new("PORTAL|DEVICE|STATE|>LEASE");

	for (size_t i = 0; i < g->n_portals; i++) {
		const Lunward__PortalStatus *p = g->portals[i];

		table_cell(t, "%s", p->address);
		table_cell(t, "%s", p->device[0] ? p->device : "-");
		table_cell(t, "%s", p->up ? "up" : "down");
		if (p->up)
			table_cell(t, "%.1f s", p->lease_ms / 1000.0);
		else
			table_cell(t, "-");
		if (p->error[0])
			table_note(t, "%s", p->error);
	}
	table_print(t, f, 2);
}

static void fence(FILE *f, const Lunward__GroupStatus *g)
{
	struct table *t = table_new("FENCE DEVICE|KEY|OWNER|>EPOCH|STATE");

	for (size_t i = 0; i < g->n_fence; i++) {
		const Lunward__FenceStatus *d = g->fence[i];

		table_cell(t, "%s%s", d->device, d->arbitrates ? " (arbitrates)" : "");
		if (d->key)
			table_cell(t, "0x%016" PRIx64, d->key);
		else
			table_cell(t, "none");
		table_cell(t, "%s", d->owner[0] ? d->owner : "-");
		table_cell(t, "%" PRIu32, d->epoch);
		table_cell(t, "%s", d->state[0] ? d->state : "-");
		if (d->error[0])
			table_note(t, "%s", d->error);
	}
	table_print(t, f, 2);
}

static void records(FILE *f, const Lunward__CtlStatus *s, const Lunward__GroupStatus *g)
{
	struct table *t = table_new("RECORD ON|>EPOCH|WRITTEN BY|>SEQ|MAY TAKE OVER");
	char name[WORD_MAX];

	for (size_t i = 0; i < g->n_records; i++) {
		const Lunward__RecordStatus *r = g->records[i];

		table_cell(t, "%s", r->node);
		table_cell(t, "%" PRIu32, r->epoch);
		table_cell(t, "%s", r->epoch ? node_name(s, r->by_node, name) : "-");
		table_cell(t, "%" PRIu64, r->seq);
		table_cell(t, "%s", r->current ? "yes" : "no: outdated");
	}
	table_print(t, f, 2);
}

static void luns(FILE *f, const Lunward__GroupStatus *g)
{
	const char *target = NULL;
	char size[WORD_MAX];
	struct table *t = NULL;

	for (size_t i = 0; i < g->n_luns; i++) {
		const Lunward__LunInfo *l = g->luns[i];

		if (!target || strcmp(target, l->target)) {
			table_print(t, f, 4);
			target = l->target;
			fprintf(f, "\n  target %s\n", target);
			t = table_new(">LUN|>SIZE|>BLOCK|STATE|IDENTITY|BACKING");
		}
		table_cell(t, "%" PRIu32, l->lun);
		table_cell(t, "%s", l->blocks ? word_bytes(l->blocks * l->block_size, size) : "-");
		table_cell(t, "%" PRIu32, l->block_size);
		table_cell(t, "%s", l->state[0] ? l->state : "-");
		table_cell(t, "%s", l->identity[0] ? l->identity : "-");
		table_cell(t, "%s", l->backing[0] ? l->backing : "-");
		if (l->error[0])
			table_note(t, "%s", l->error);
	}
	table_print(t, f, 4);
}

void group_print(FILE *f, const Lunward__CtlStatus *s, const Lunward__GroupStatus *g, uint64_t now_ms)
{
	char age[WORD_MAX];

	fprintf(f, "group %s: %s", g->name, g->state);
	if (g->owner[0])
		fprintf(f, " on %s", g->owner);
	if (g->since_ms)
		fprintf(f, " for %s", word_age((int64_t)(now_ms - g->since_ms), age));
	fprintf(f, ", epoch %" PRIu32 ", record %" PRIu64 ", %" PRIu32 " sessions\n", g->epoch, g->seq, g->sessions);
	if (g->why[0])
		text_wrap(f, 4, g->why);
	fputs("nodes in order of preference:", f);
	for (size_t i = 0; i < g->n_nodes; i++)
		fprintf(f, " %s", g->nodes[i]);
	fputs("\n\n", f);
	portals(f, g);
	fputc('\n', f);
	fence(f, g);
	fputc('\n', f);
	records(f, s, g);
	luns(f, g);
}
