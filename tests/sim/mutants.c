/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mutants.c - the checks must notice: each deliberate fault of the core breaks an invariant within a few schedules
 *
 * A fault that is not noticed means that the simulator has lost its teeth (or that the fault is none any more).
 */
#include "cluster/core/internal.h"
#include "tests/sim/sim.h"

#define RUNS 6000u

static const struct { int mutant; const char *what; } mutants[] = {
	{ MUTANT_NO_LOOK_BACK, "trusts old answers of the LUN" },
	{ MUTANT_SELF_DELIVERY, "commits on self-delivery" },
	{ MUTANT_NO_BUMP, "does not move the key when members leave" },
	{ MUTANT_SERVE_OUTDATED, "serves from an outdated record" },
	{ MUTANT_EARLY_ADDRESS, "adds the address before the LUN is taken" },
	{ MUTANT_IGNORE_FENCED, "goes on after it was fenced" },
	{ MUTANT_NO_INTENT, "takes the LUN before the record says so" },
	{ MUTANT_NO_SWEEP, "never sweeps" },
	{ MUTANT_TRUST_SILENT, "leaves a stuck owner alone" },
	{ MUTANT_NO_QUORUM, "goes on without quorum" },
	{ MUTANT_FORGET_JOINERS, "does not count who joins" },
	{ MUTANT_LARGER_IS_CURRENT, "takes a larger epoch for current" },
};
_Static_assert(ARRAY_SIZE(mutants) == N_MUTANTS - 1, "each is tried");

int main(void)
{
	struct sim_result r;
	int missed = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(mutants); i++) {
		uint64_t seed = 1;

		core_mutant = mutants[i].mutant;
		while (seed <= RUNS && sim_run(&(struct sim_options){ .seed = seed }, &r)) {
			free(r.happened);
			seed++;
		}
		if (seed > RUNS)
			printf("NOT NOTICED: %s\n", mutants[i].what);
		else
			printf("%s: seed %llu: %s\n", mutants[i].what, (unsigned long long)seed, r.broken);
		if (seed <= RUNS)
			free(r.happened);
		missed += seed > RUNS;
	}
	return missed ? 1 : 0;
}
