/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.c - the invariants of docs/architecture.md
 *
 *  1 at no time can two nodes complete I/O on a group's LUNs
 *  2 changes that initiators were told of form one line; whoever serves has all of them (no fork, none lost)
 *  3 epochs never go back, on a LUN or in a record; sequence numbers do not under one key
 *  4 an address is added only on the node that holds the reservation at that very moment; one that was there already
 *    may be confirmed by an answer of the LUN that is 300 ms old, not older
 *  5 without quorum nothing is served (two-node clusters never lack it)
 *  6 a process is never activated while I/O of its node's former life is in flight (target.c)
 *  7 one operation at a time on a LUN, one write at a time of a record (lun.c, node.c)
 */
#include <stdarg.h>

#include "tests/sim/sim.h"

void broken(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (*s->broken)
		return;
	va_start(ap, fmt);
	vsnprintf(s->broken, sizeof(s->broken), fmt, ap);
	va_end(ap);
	trace(s, "BROKEN: %s", s->broken);
}

uint64_t change_new(struct sim *s, uint64_t parent)
{
	uint64_t i = ++s->n_changes;

	if ((i & (i - 1)) == 0 || i == 1) {
		s->parent = realloc(s->parent, 2 * (i + 1) * sizeof(*s->parent));
		s->depth = realloc(s->depth, 2 * (i + 1) * sizeof(*s->depth));
		if (!s->parent || !s->depth)
			abort();
	}
	s->parent[i] = parent;
	s->depth[i] = parent ? s->depth[parent] + 1 : 1;
	return i;
}

static uint32_t depth(const struct sim *s, uint64_t i)
{
	return i ? s->depth[i] : 0;
}

static bool contains(const struct sim *s, uint64_t change, uint64_t older)
{
	while (depth(s, change) > depth(s, older))
		change = s->parent[change];
	return change == older;
}

/* Would I/O of @node on this LUN be let in, if its target had any? An array without its reservations stops nobody. */
static bool serves(const struct sim *s, unsigned node, unsigned g, unsigned l)
{
	const struct sim_target *t = &s->node[node].target[g];
	const struct sim_lun *x = &s->lun[g][l];

	return t->state == CORE_T_ACTIVE && (t->luns & 1u << l) && !x->lawless && !(s->unfinished[g] && x->model.holder < 0) &&
	       lun_allows(&x->model, node);
}

void check_access(struct sim *s, unsigned g)
{
	for (unsigned l = 0; l < LUNS; l++) {
		unsigned who[2], n = 0;

		for (unsigned i = 0; i < s->n_nodes; i++)
			if (serves(s, i, g, l) && n < 2)
				who[n++] = i + 1;
		if (n == 2)
			broken(s, "%s: n%u and n%u can both do I/O on lun %u", group_name(g), who[0], who[1], l);
	}
}

/* @node is about to release a LUN: not one that its target serves. */
void check_release(struct sim *s, unsigned node, unsigned g, unsigned l)
{
	const struct doc_group *d = config_of(s, node, g);

	if (s->node[node].target[g].state == CORE_T_ACTIVE && d->there && memchr(d->lun, (int)l, d->n_luns))
		broken(s, "%s: n%u releases lun %u, which it serves", group_name(g), node + 1, l);
}

/* An I/O of @node has just taken effect on @l. */
void check_effect(struct sim *s, unsigned node, unsigned g, unsigned l)
{
	for (unsigned i = 0; i < s->n_nodes; i++)
		if (i != node && serves(s, i, g, l))
			broken(s, "%s: I/O of n%u took effect on lun %u while n%u serves", group_name(g), node + 1, l, i + 1);
}

void check_epoch(struct sim *s, unsigned g, unsigned l)
{
	struct sim_lun *x = &s->lun[g][l];
	uint32_t e = fence_key_epoch(lun_holder_key(&x->model));
	bool any = false;

	for (unsigned i = 0; i < LUN_NEXUSES; i++)
		any |= x->model.nexus[i].key != 0;
	if (!any)
		x->max_epoch = 0;  /* given back to the world: from now on only records tell */
	if (e && e < x->max_epoch)
		broken(s, "%s: the key on lun %u went back from epoch %u to %u", group_name(g), l, x->max_epoch, e);
	if (x->model.holder >= 0)
		x->lost_at[x->model.holder] = s->now;
	x->max_epoch = MAX(x->max_epoch, e);
}

/* A target has been activated from change `body`: is everything in it that initiators were told of? */
void check_activated(struct sim *s, unsigned node, unsigned g)
{
	const struct sim_target *t = &s->node[node].target[g];

	if (s->now < s->forced[g] && !contains(s, t->body, s->acked[g])) {
		s->acked[g] = t->body;  /* the administrator was told that he loses something */
		s->overruled[g] = true;
		s->forced[g] = 0;
	}
	if (!contains(s, t->body, s->acked[g]))
		broken(s, "%s: n%u serves from change %llu, which lacks %llu that was acknowledged", group_name(g), node + 1,
		       (unsigned long long)t->body, (unsigned long long)s->acked[g]);
}

/* An initiator is told that @change is done. The answer may come late, but must never be of another line. */
void check_committed(struct sim *s, unsigned node, unsigned g, uint64_t change)
{
	uint64_t *acked = &s->acked[g];

	if (s->overruled[g] && s->lun[g][config_of(s, node, g)->lun[0]].model.holder != (int)node)
		return;  /* on the side that was given up, and has not noticed yet */
	if (contains(s, change, *acked))
		*acked = change;
	else if (!contains(s, *acked, change))
		broken(s, "%s: n%u acknowledged change %llu, which is in no line with %llu", group_name(g), node + 1,
		       (unsigned long long)change, (unsigned long long)*acked);
}

void check_address(struct sim *s, unsigned node, unsigned g, bool added)
{
	const struct sim_lun *l = &s->lun[g][config_of(s, node, g)->lun[0]];

	if (!l->lawless && l->model.holder != (int)node && (added || s->now > l->lost_at[node] + 300 * MS))
		broken(s, "%s: n%u adds the address without holding the reservation", group_name(g), node + 1);
}

/* votequorum has just told the core of @node: without quorum it must have let go of everything before it returned. */
void check_quorum(struct sim *s, unsigned node, bool quorate)
{
	for (unsigned g = 0; g < s->n_groups; g++)
		if (!quorate && s->node[node].address[g].wanted)
			broken(s, "%s: n%u goes on without quorum", group_name(g), node + 1);
}

void check_stored(struct sim *s, unsigned node, unsigned g, const struct core_record *rec)
{
	const struct disk *d = &s->node[node].disk[g];
	const struct core_stamp *a = &d->known, *b = &rec->stamp;

	if (rec->high < d->high || rec->high < b->epoch)
		broken(s, "%s: n%u forgot epoch %u for %u", group_name(g), node + 1, d->high, rec->high);
	else if (b->epoch == a->epoch && b->node == a->node && b->seq < a->seq)
		broken(s, "%s: the record of n%u went back from %llu to %llu", group_name(g), node + 1,
		       (unsigned long long)a->seq, (unsigned long long)b->seq);
}

/* Does a LUN carry a registration of another node than its owner? Dead challengers' are swept by the owner in a while. */
static bool left_behind(struct sim *s, unsigned g, unsigned owner, char *why, size_t size)
{
	const struct doc_group *d = config_newest(s, g);

	for (unsigned k = 0; k < d->n_luns; k++)
		for (unsigned i = 0; i < NODES; i++)
			if (i != owner && s->lun[g][d->lun[k]].model.nexus[i].key) {
				snprintf(why, size, " n%u is still registered on lun %u of %s", i + 1, d->lun[k], group_name(g));
				return true;
			}
	return false;
}

/* Has the document of all nodes this group, and does anybody live who may serve it? */
static bool can_be_served(const struct sim *s, unsigned g)
{
	const struct doc_group *d = config_newest(s, g);

	for (unsigned i = 0; d->there && i < d->n_nodes; i++)
		if (s->node[d->node[i] - 1].core && !s->node[d->node[i] - 1].clusterd_paused)
			return true;
	return false;
}

static void reasons(struct sim *s, unsigned g, char *why, size_t size)
{
	unsigned len = (unsigned)snprintf(why, size, " %s:", group_name(g));

	for (unsigned i = 0; i < s->n_nodes; i++) {
		struct core_group_view v;
		unsigned k = 0;

		while (s->node[i].core && core_group(s->node[i].core, k, &v) && strcmp(v.name, group_name(g)) != 0)
			k++;
		if (s->node[i].core && core_group(s->node[i].core, k, &v) && len < size)
			len += (unsigned)snprintf(why + len, size - len, " n%u %s: %s;", i + 1, core_state_name(v.state), v.why);
	}
}

/* Liveness: exactly one node serves, with all LUNs of the newest document, its address is up, all agree. */
bool check_served(struct sim *s, unsigned g, char *why, size_t size)
{
	const struct doc_group *d = config_newest(s, g);
	unsigned owner = NODES, n = 0;
	bool all = true;

	if (!can_be_served(s, g))
		return true;
	for (unsigned i = 0; i < s->n_nodes; i++)
		if (s->node[i].target[g].state == CORE_T_ACTIVE && s->node[i].address[g].until > s->now) {
			owner = i;
			n++;
		}
	for (unsigned k = 0; n == 1 && k < d->n_luns; k++)
		all &= s->lun[g][d->lun[k]].model.holder == (int)owner && (s->node[owner].target[g].luns & 1u << d->lun[k]);
	if (n == 1 && all)
		return !left_behind(s, g, owner, why, size);
	reasons(s, g, why, size);
	return false;
}

/* Has every node of the group a record under the key in force? One that was left behind is tried again after a while. */
bool check_caught_up(const struct sim *s, unsigned g)
{
	const struct doc_group *d = config_newest(s, g);
	struct core_key k = key_unpack(lun_holder_key(&s->lun[g][d->lun[0]].model));

	for (unsigned i = 0; d->there && i < d->n_nodes; i++) {
		const struct core_stamp *r = &s->node[d->node[i] - 1].disk[g].rec.stamp;

		if (r->node != k.node || r->epoch != k.epoch)
			return false;
	}
	return true;
}

bool check_must_grow(const struct sim *s, unsigned g)
{
	return can_be_served(s, g);
}
