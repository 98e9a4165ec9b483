/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - sim [--seed N] [--runs M] [--mutant K] [--keep-going] [--verbose]
 *
 * Schedules from seed N on, until one breaks an invariant. It says which seed; --seed that --runs 1 --verbose shows
 * how. --mutant K puts a deliberate fault into the core (cluster/core/internal.h).
 */
#include "tests/sim/sim.h"

static uint64_t number(int argc, char **argv, const char *name, uint64_t otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return strtoull(argv[i + 1], NULL, 0);
	return otherwise;
}

static bool flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	uint64_t seed = number(argc, argv, "--seed", 1), runs = number(argc, argv, "--runs", SIM_RUNS);
	bool verbose = flag(argc, argv, "--verbose"), go_on = flag(argc, argv, "--keep-going");
	struct sim_result r, sum = { 0 };
	uint64_t bad = 0;

	core_mutant = (int)number(argc, argv, "--mutant", 0);
	for (uint64_t i = 0; i < runs && (go_on || !bad); i++) {
		bool ok = sim_run(seed + i, verbose, &r);

		sum.steps += r.steps;
		sum.acks += r.acks;
		sum.activations += r.activations;
		sum.ios += r.ios;
		sum.now += r.now;
		bad += !ok;
		if (!ok)
			printf("seed %llu, after %.3f s: %s\n", (unsigned long long)(seed + i), (double)r.now / 1e6, r.broken);
	}
	printf("%llu schedules broken; %llu s simulated, %llu steps, %llu activations, %llu commits, %llu I/Os\n",
	       (unsigned long long)bad, (unsigned long long)(sum.now / SEC), (unsigned long long)sum.steps,
	       (unsigned long long)sum.activations, (unsigned long long)sum.acks, (unsigned long long)sum.ios);
	return bad ? 1 : 0;
}
