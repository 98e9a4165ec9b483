/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heap.c - simulated time: events in order, deferred while their node sleeps, void when it has died */
#include "tests/sim/sim.h"

void *sim_alloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		abort();
	return p;
}

/* splitmix64 */
uint64_t rnd(struct sim *s)
{
	uint64_t z = (s->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t rnd_range(struct sim *s, uint64_t lo, uint64_t hi)
{
	return lo + rnd(s) % (hi - lo + 1);
}

bool rnd_chance(struct sim *s, unsigned per_mille)
{
	return rnd(s) % 1000 < per_mille;
}

uint64_t latency(struct sim *s, uint64_t typical)
{
	if (rnd_chance(s, 3))
		return typical * rnd_range(s, 20, 200);
	return rnd_range(s, typical / 2, typical * 2);
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct heap *h, struct event e)
{
	size_t i = h->n++;

	if (h->n > h->max) {
		h->max = h->max ? 2 * h->max : 1024;
		h->v = realloc(h->v, h->max * sizeof(*h->v));
		if (!h->v)
			abort();
	}
	for (; i && before(&e, &h->v[(i - 1) / 2]); i = (i - 1) / 2)
		h->v[i] = h->v[(i - 1) / 2];
	h->v[i] = e;
}

static struct event pop(struct heap *h)
{
	struct event top = h->v[0], last = h->v[--h->n];
	size_t i = 0;

	for (;;) {
		size_t k = 2 * i + 1;

		if (k >= h->n)
			break;
		if (k + 1 < h->n && before(&h->v[k + 1], &h->v[k]))
			k++;
		if (!before(&h->v[k], &last))
			break;
		h->v[i] = h->v[k];
		i = k;
	}
	if (h->n)
		h->v[i] = last;
	return top;
}

static uint32_t life_of(const struct sim *s, enum lane lane, unsigned node)
{
	return lane == LANE_CLUSTERD ? s->node[node].pid : s->node[node].life;
}

void at(struct sim *s, uint64_t delay, enum lane lane, unsigned node, event_fn *fn, uint64_t a, void *p)
{
	push(&s->heap, (struct event){ .at = s->now + delay, .order = s->order++, .fn = fn, .lane = lane, .node = node,
				       .life = lane == LANE_WORLD ? 0 : life_of(s, lane, node), .a = a, .p = p });
}

static void defer(struct node *n, const struct event *e)
{
	if (n->n_deferred == n->max_deferred) {
		n->max_deferred = n->max_deferred ? 2 * n->max_deferred : 64;
		n->deferred = realloc(n->deferred, n->max_deferred * sizeof(*n->deferred));
		if (!n->deferred)
			abort();
	}
	n->deferred[n->n_deferred++] = *e;
}

void sim_wake(struct sim *s, unsigned node)
{
	struct node *n = &s->node[node];
	size_t count = n->n_deferred;

	for (size_t i = 0; i < count; i++) {
		struct event e = n->deferred[i];

		e.at = s->now;
		e.order = s->early++;  /* before what is due right now and came later */
		push(&s->heap, e);
	}
	n->n_deferred = 0;
}

bool sim_next(struct sim *s)
{
	struct event e;
	struct node *n;

	if (!s->heap.n)
		return false;
	e = pop(&s->heap);
	s->now = e.at;
	n = &s->node[e.node];
	if (e.lane == LANE_WORLD) {
		e.fn(s, e.node, e.a, e.p);
	} else if (e.life != life_of(s, e.lane, e.node) || !n->up || (e.lane == LANE_CLUSTERD && !n->clusterd)) {
		free(e.p);
	} else if (n->paused || (e.lane == LANE_CLUSTERD && n->clusterd_paused)) {
		defer(n, &e);
	} else {
		e.fn(s, e.node, e.a, e.p);
	}
	return true;
}

void heap_clear(struct sim *s)
{
	for (size_t i = 0; i < s->heap.n; i++)
		free(s->heap.v[i].p);
	free(s->heap.v);
	s->heap = (struct heap){ 0 };
	for (unsigned i = 0; i < NODES; i++) {
		for (size_t k = 0; k < s->node[i].n_deferred; k++)
			free(s->node[i].deferred[k].p);
		free(s->node[i].deferred);
		s->node[i].deferred = NULL;
		s->node[i].n_deferred = s->node[i].max_deferred = 0;
	}
}
