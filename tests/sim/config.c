/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.c - documents: changed while all nodes are there, or by force; each node gets the newest one in its own time
 *
 * As in cluster/apply.c: a change goes to all members, who store it and put it in force one after the other. Whoever was
 * away, or died before it had stored it, gets it from a member when it is back.
 */
#include "tests/sim/sim.h"

#define CHASE (400 * MS)

const struct doc_group *config_of(const struct sim *s, unsigned node, unsigned g)
{
	return &s->doc[s->node[node].doc - 1][g];
}

const struct doc_group *config_newest(const struct sim *s, unsigned g)
{
	uint64_t newest = 1;

	for (unsigned i = 0; i < s->n_nodes; i++)
		newest = MAX(newest, s->node[i].doc);
	return &s->doc[newest - 1][g];
}

void config_fill(struct sim *s, unsigned node, struct core_conf *conf)
{
	static struct core_node_conf nodes[NODES];
	static struct core_group_conf groups[GROUPS];
	static const char *luns[GROUPS][LUNS];
	static const char *const names[NODES] = { "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8" };
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_nodes; i++)
		nodes[i] = (struct core_node_conf){ .id = (uint8_t)(i + 1), .name = names[i] };
	for (unsigned g = 0; g < s->n_groups; g++) {
		const struct doc_group *d = config_of(s, node, g);

		if (!d->there)
			continue;
		for (unsigned l = 0; l < d->n_luns; l++)
			luns[g][l] = lun_name(d->lun[l]);
		groups[n++] = (struct core_group_conf){ .name = group_name(g), .nodes = d->node, .n_nodes = d->n_nodes,
			.luns = luns[g], .n_luns = d->n_luns, .failback = d->failback };
	}
	*conf = (struct core_conf){ .version = s->node[node].doc, .nodes = nodes, .n_nodes = s->n_nodes, .groups = groups,
				    .n_groups = n };
}

static struct doc_group *new_document(struct sim *s)
{
	struct doc_group *d = calloc(s->n_groups, sizeof(*d));

	s->doc = realloc(s->doc, (s->n_docs + 1) * sizeof(*s->doc));
	if (!d || !s->doc)
		abort();
	if (s->n_docs)
		memcpy(d, s->doc[s->n_docs - 1], s->n_groups * sizeof(*d));
	return s->doc[s->n_docs++] = d;
}

/* A document has come, is stored, and is in force. */
static void arrives(struct sim *s, unsigned n, uint64_t version, void *p)
{
	struct core_event ev = { .type = CORE_EV_CONFIG };

	(void)p;
	if (version <= s->node[n].doc)
		return;
	s->node[n].doc = version;
	trace(s, "n%u configuration %llu", n + 1, (unsigned long long)version);
	config_fill(s, n, &ev.conf);
	node_step(s, n, &ev);
}

static bool together(const struct sim *s, unsigned a, unsigned b)
{
	const struct node *x = &s->node[a], *y = &s->node[b];

	return x->up && y->up && !x->paused && !y->paused && x->core && y->core && x->ring == y->ring && x->part == y->part &&
	       (x->procs & 1u << b) && (y->procs & 1u << a);
}

static void chase(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)n, (void)a, (void)p;
	for (unsigned i = 0; i < s->n_nodes; i++) {
		uint64_t newest = s->node[i].doc;

		for (unsigned k = 0; k < s->n_nodes; k++)
			if (together(s, i, k))
				newest = MAX(newest, s->node[k].doc);
		if (newest > s->node[i].doc)
			at(s, latency(s, 2 * MS), LANE_CLUSTERD, i, arrives, newest, NULL);
	}
	at(s, CHASE, LANE_WORLD, 0, chase, 0, NULL);
}

static void other_nodes(struct sim *s, struct doc_group *d)
{
	uint8_t v[NODES];

	for (unsigned i = 0; i < s->n_nodes; i++)
		v[i] = (uint8_t)(i + 1);
	for (unsigned i = s->n_nodes; i-- > 1; ) {
		unsigned k = (unsigned)(rnd(s) % (i + 1));
		uint8_t x = v[i];

		v[i] = v[k];
		v[k] = x;
	}
	memcpy(d->node, v, sizeof(v));
	d->n_nodes = rnd_chance(s, 600) ? s->n_nodes : (unsigned)rnd_range(s, 1, s->n_nodes);
}

/* The first one stays: which LUN arbitrates is not changed while the group may be served. */
static void other_luns(struct sim *s, struct doc_group *d)
{
	unsigned want = (unsigned)rnd_range(s, 1, LUNS);

	while (d->n_luns > want)
		d->n_luns--;
	for (uint8_t l = 0; l < LUNS && d->n_luns < want; l++)
		if (!memchr(d->lun, l, d->n_luns))
			d->lun[d->n_luns++] = l;
}

static void change(struct sim *s, struct doc_group *d)
{
	switch (rnd(s) % 6) {
	case 0:
		d->failback = !d->failback;
		break;
	case 1:
		d->there = !d->there;
		break;
	case 2:
	case 3:
		other_nodes(s, d);
		break;
	default:
		other_luns(s, d);
	}
}

/* The administrator applies a document on @n. */
void config_change(struct sim *s, unsigned n)
{
	bool force = rnd_chance(s, 200), all = true;
	struct doc_group *d;

	for (unsigned i = 0; i < s->n_nodes; i++)
		all &= together(s, n, i);
	if (!s->node[n].core || s->node[n].paused || s->node[n].clusterd_paused || s->node[n].doc != s->n_docs || (!all && !force))
		return;
	d = new_document(s);
	change(s, &d[rnd(s) % s->n_groups]);
	trace(s, "n%u administrator: apply configuration %llu%s", n + 1, (unsigned long long)s->n_docs, force ? " --force" : "");
	for (unsigned i = 0; i < s->n_nodes; i++)
		if (i == n || together(s, n, i))
			at(s, latency(s, 3 * MS), LANE_CLUSTERD, i, arrives, s->n_docs, NULL);
}

void config_start(struct sim *s)
{
	struct doc_group *d = new_document(s);
	bool failback = rnd_chance(s, 250);

	for (unsigned g = 0; g < s->n_groups; g++) {
		d[g] = (struct doc_group){ .there = true, .failback = failback, .n_nodes = s->n_nodes, .n_luns = s->n_luns };
		for (unsigned i = 0; i < s->n_nodes; i++)
			d[g].node[i] = (uint8_t)(g % 2 ? s->n_nodes - i : i + 1);
		for (uint8_t l = 0; l < s->n_luns; l++)
			d[g].lun[l] = l;
	}
	for (unsigned i = 0; i < s->n_nodes; i++)
		s->node[i].doc = 1;
	at(s, CHASE, LANE_WORLD, 0, chase, 0, NULL);
}

void config_free(struct sim *s)
{
	for (uint64_t i = 0; i < s->n_docs; i++)
		free(s->doc[i]);
	free(s->doc);
}
