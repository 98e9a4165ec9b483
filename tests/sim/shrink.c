/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shrink.c - a broken schedule, made short: which of its faults are needed?
 *
 * Delta debugging (ddmin, Zeller and Hildebrandt 2002) over the ids of the faults that took place: ever smaller pieces are
 * left out for as long as something is still broken, be it something else. What is left is run once more and printed with
 * the command that replays it.
 */
#include "tests/sim/sim.h"

#define RUNS_MAX 600u

struct search {
	struct sim_options opt;
	uint32_t *ids;
	size_t n;
	unsigned runs;
};

static bool breaks(struct search *w, const uint32_t *ids, size_t n)
{
	struct sim_result r;
	bool ok;

	w->runs++;
	w->opt.only = ids;
	w->opt.n_only = n;
	ok = sim_run(&w->opt, &r);
	free(r.happened);
	return !ok;
}

/* Leave out the faults [from, to). Return: still broken, and they are gone */
static bool without(struct search *w, size_t from, size_t to)
{
	size_t n = w->n - (to - from);
	uint32_t *v = malloc((n + 1) * sizeof(*v));

	if (!v)
		abort();
	memcpy(v, w->ids, from * sizeof(*v));
	memcpy(v + from, w->ids + to, (w->n - to) * sizeof(*v));
	if (!breaks(w, v, n)) {
		free(v);
		return false;
	}
	free(w->ids);
	w->ids = v;
	w->n = n;
	return true;
}

static void ddmin(struct search *w)
{
	for (size_t piece = w->n; piece && w->runs < RUNS_MAX; ) {
		bool less = false;

		for (size_t from = 0; from < w->n && w->runs < RUNS_MAX; ) {
			if (without(w, from, MIN(from + piece, w->n)))
				less = true;
			else
				from += piece;
		}
		if (!less || piece > w->n)
			piece = piece == 1 ? 0 : MIN(piece, w->n) / 2;
	}
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* "3,17,m204": numbers of faults, and of delicate moments. Return: how many, -1: nonsense */
int ids_parse(const char *text, uint32_t **ret)
{
	uint32_t *v = calloc(strlen(text) + 1, sizeof(*v));
	int n = 0;

	if (!v)
		abort();
	while (*text) {
		uint32_t moment = *text == 'm' ? MOMENT : 0;
		char *end;

		text += moment ? 1 : 0;
		v[n++] = (uint32_t)strtoul(text, &end, 10) | moment;
		if (end == text || (*end && *end != ',')) {
			free(v);
			return -1;
		}
		text = *end ? end + 1 : end;
	}
	qsort(v, (size_t)n, sizeof(*v), by_id);
	*ret = v;
	return n;
}

void shrink(const struct sim_options *opt, const struct sim_result *found)
{
	struct search w = { .opt = *opt, .n = found->n_happened };
	struct sim_result r;

	w.opt.verbose = false;
	w.ids = calloc(w.n + 1, sizeof(*w.ids));
	if (!w.ids)
		abort();
	memcpy(w.ids, found->happened, w.n * sizeof(*w.ids));
	qsort(w.ids, w.n, sizeof(*w.ids), by_id);
	ddmin(&w);
	w.opt.only = w.ids;
	w.opt.n_only = w.n;
	(void)sim_run(&w.opt, &r);
	printf("  %zu of its %zu faults are enough: %s\n  replay: sim --seed %llu --only \"", w.n, found->n_happened, r.broken,
	       (unsigned long long)opt->seed);
	for (size_t i = 0; i < w.n; i++)
		printf("%s%s%u", i ? "," : "", w.ids[i] & MOMENT ? "m" : "", w.ids[i] & ~MOMENT);
	printf("\" --verbose\n");
	free(r.happened);
	free(w.ids);
}
