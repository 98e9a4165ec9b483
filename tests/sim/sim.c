/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sim.c - one schedule: a cluster comes up, suffers, is left in peace, and must serve again */
#include <stdarg.h>

#include "tests/sim/sim.h"

#define BOUND (100 * SEC)
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

static void shape(struct sim *s)
{
	s->n_nodes = (unsigned)rnd_range(s, 2, 4);
	if (rnd_chance(s, 300))
		s->n_nodes = 2;  /* the cluster most people have */
	s->n_groups = (unsigned)rnd_range(s, 1, GROUPS);
	s->n_luns = (unsigned)rnd_range(s, 1, LUNS);
	s->failback = rnd_chance(s, 250);
	for (unsigned g = 0; g < GROUPS; g++)
		for (unsigned l = 0; l < LUNS; l++) {
			lun_init(&s->lun[g][l].model);
			s->lun[g][l].model.with_ua = rnd_chance(s, 500);
		}
	s->snipe = (unsigned)rnd_range(s, 0, 50);
	s->end_faults = rnd_range(s, 3, 25) * SEC;
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
	uint64_t until = s->now + BOUND, acked[GROUPS];
	char why[400];
	bool served = false;

	while (!*s->broken && s->now < until && sim_next(s)) {
		bool ok = all_served(s, why, sizeof(why));

		if (ok && !served)
			memcpy(acked, s->acked, sizeof(acked));
		served = ok;
		for (unsigned g = 0; g < s->n_groups; g++)
			ok &= s->acked[g] != acked[g];
		if (ok && s->now > until - BOUND + 15 * SEC)
			return;
	}
	if (!*s->broken)
		broken(s, "not served again%s:%s", served ? ": nothing is committed" : "", why);
}

bool sim_run(uint64_t seed, bool verbose, struct sim_result *ret)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->seed = s->random = seed;
	s->verbose = verbose;
	shape(s);
	trace(s, "seed %llu: %u nodes, %u groups, %u luns", (unsigned long long)seed, s->n_nodes, s->n_groups, s->n_luns);
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
		faults_stick(s);
		must_recover(s);
	}
	*ret = (struct sim_result){ .steps = s->steps, .acks = s->acks, .activations = s->activations, .ios = s->ios,
				    .now = s->now };
	memcpy(ret->broken, s->broken, sizeof(ret->broken));
	heap_clear(s);
	for (unsigned i = 0; i < NODES; i++)
		node_free(s, i);
	cpg_free(s);
	free(s->parent);
	free(s->depth);
	free(s);
	return !*ret->broken;
}
