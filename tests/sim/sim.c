/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sim.c - one schedule: a cluster comes up, suffers, is left in peace, and must serve again */
#include <stdarg.h>

#include "tests/sim/sim.h"

#define BOUND (100 * SEC)
#define SETTLED (15 * SEC)
int core_mutant;

void trace(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->verbose)
		return;
	printf("%10.3f ", (double)s->now / 1e6);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void devices(struct sim *s)
{
	bool no_aptpl = rnd_chance(s, 80), with_ua = rnd_chance(s, 500);

	s->lun = sim_alloc(s->n_groups, sizeof(*s->lun));
	s->forced = sim_alloc(s->n_groups, sizeof(*s->forced));
	s->overruled = sim_alloc(s->n_groups, sizeof(*s->overruled));
	s->unfinished = sim_alloc(s->n_groups, sizeof(*s->unfinished));
	s->acked = sim_alloc(s->n_groups, sizeof(*s->acked));
	for (unsigned g = 0; g < s->n_groups; g++)
		for (unsigned l = 0; l < LUNS; l++) {
			lun_init(&s->lun[g][l].model);
			s->lun[g][l].model.with_ua = with_ua;
			s->lun[g][l].model.no_aptpl = no_aptpl;
		}
}

/* Mostly what people have; now and then what they may have. */
static void shape(struct sim *s)
{
	s->n_nodes = rnd_chance(s, 300) ? 2 : (unsigned)(rnd_chance(s, 80) ? rnd_range(s, 5, NODES) : rnd_range(s, 2, 4));
	s->n_groups = (unsigned)rnd_range(s, 1, 2);
	if (rnd_chance(s, 20))
		s->n_groups = (unsigned)(rnd_chance(s, 40) ? rnd_range(s, 20, GROUPS) : rnd_range(s, 3, 8));
	s->n_luns = (unsigned)rnd_range(s, 1, LUNS);
	s->snipe = (unsigned)rnd_range(s, 0, 50);
	s->lossy = rnd_chance(s, 300) ? (unsigned)rnd_range(s, 1, 50) : 0;
	s->end_faults = rnd_range(s, 3, 25) * SEC;
	devices(s);
	for (unsigned i = 0; i < s->n_nodes; i++)
		node_new(s, i);
	config_start(s);
}

static bool all_served(struct sim *s, char *why, size_t size)
{
	for (unsigned g = 0; g < s->n_groups; g++)
		if (!check_served(s, g, why, size))
			return false;
	return true;
}

/* Peace: within BOUND everything is served, and a change is acknowledged that was made after that. */
static void must_recover(struct sim *s)
{
	uint64_t until = s->now + BOUND, look_at = 0, acked[GROUPS];
	char why[400] = "";
	bool served = false;

	while (!*s->broken && s->now < until && sim_next(s)) {
		bool ok;

		if (s->now < look_at)
			continue;
		look_at = s->now + 20 * MS;
		ok = all_served(s, why, sizeof(why));

		if (ok && !served)
			memcpy(acked, s->acked, s->n_groups * sizeof(*acked));
		served = ok;
		for (unsigned g = 0; ok && g < s->n_groups; g++)
			ok &= s->acked[g] != acked[g] || !check_must_grow(s, g);
		if (ok && s->now > until - BOUND + SETTLED)
			return;
	}
	if (!*s->broken)
		broken(s, "not served again%s:%s", served ? ": nothing is committed" : "", why);
}

/* Before another blow somebody else must be able to take over: those that were left behind are tried again. */
static void must_catch_up(struct sim *s)
{
	uint64_t until = s->now + BOUND;
	bool all = false;

	while (!*s->broken && !all && s->now < until && sim_next(s)) {
		all = true;
		for (unsigned g = 0; all && g < s->n_groups; g++)
			all = check_caught_up(s, g);
	}
	if (!*s->broken && !all)
		broken(s, "a member was left behind for good");
}

static void finish(struct sim *s, struct sim_result *ret)
{
	*ret = (struct sim_result){ .steps = s->steps, .acks = s->acks, .activations = s->activations, .ios = s->ios,
				    .now = s->now, .happened = s->happened, .n_happened = s->n_happened };
	memcpy(ret->broken, s->broken, sizeof(ret->broken));
	heap_clear(s);
	for (unsigned i = 0; i < s->n_nodes; i++)
		node_free(s, i);
	cpg_free(s);
	config_free(s);
	faults_free(s);
	free(s->lun);
	free(s->forced);
	free(s->overruled);
	free(s->unfinished);
	free(s->acked);
	free(s->parent);
	free(s->depth);
	free(s);
}

bool sim_run(const struct sim_options *opt, struct sim_result *ret)
{
	struct sim *s = sim_alloc(1, sizeof(*s));

	s->opt = opt;
	s->seed = s->random = opt->seed;
	s->verbose = opt->verbose;
	s->order = 1ull << 40;  /* early ones are below */
	shape(s);
	trace(s, "seed %llu: %u nodes, %u groups, %u luns", (unsigned long long)s->seed, s->n_nodes, s->n_groups, s->n_luns);
	for (unsigned i = 0; i < s->n_nodes; i++)
		node_boot(s, i);
	faults_start(s);
	while (!*s->broken && s->now < s->end_faults && sim_next(s))
		;
	if (!*s->broken) {
		faults_heal(s);
		must_recover(s);
	}
	if (!*s->broken && rnd_chance(s, 250)) {
		must_catch_up(s);
		faults_stick(s);
		must_recover(s);
	}
	finish(s, ret);
	return !*ret->broken;
}
