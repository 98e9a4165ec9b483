/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mutants.c - the checks must notice: each deliberate fault of the core breaks an invariant within a few schedules
 *
 * A fault that is not noticed means that the simulator has lost its teeth (or that the fault is none any more).
 */
#include "cluster/core/internal.h"
#include "tests/sim/sim.h"

#define RUNS 6000u

/* Rare ones begin with a seed that is known to show them. */
static const struct { int mutant; const char *what; uint64_t seed; } mutants[] = {
	{ MUTANT_NO_LOOK_BACK, "trusts old answers of the LUN", 0 },
	{ MUTANT_SELF_DELIVERY, "commits on self-delivery", 0 },
	{ MUTANT_NO_BUMP, "does not move the key when members leave", 0 },
	{ MUTANT_SERVE_OUTDATED, "serves from an outdated record", 0 },
	{ MUTANT_EARLY_ADDRESS, "adds the address before the LUN is taken", 0 },
	{ MUTANT_IGNORE_FENCED, "goes on after it was fenced", 0 },
	{ MUTANT_NO_INTENT, "takes the LUN before the record says so", 0 },
	{ MUTANT_NO_SWEEP, "never sweeps", 400 },
	{ MUTANT_TRUST_SILENT, "leaves a stuck owner alone", 0 },
	{ MUTANT_NO_QUORUM, "goes on without quorum", 0 },
	{ MUTANT_FORGET_JOINERS, "does not count who joins", 0 },
	{ MUTANT_LARGER_IS_CURRENT, "takes a larger epoch for current", 500 },
	{ MUTANT_PUSH_FIRST, "answers a commit before it is on any disk", 0 },
	{ MUTANT_FORGET_HIGH, "forgets the largest epoch", 0 },
	{ MUTANT_ADOPT_NO_BUMP, "goes on after a restart as if it knew who holds what", 0 },
	{ MUTANT_RELEASE_EARLY, "hands over before the target has closed", 0 },
	{ MUTANT_NO_LEASE, "skips the lease of its addresses", 0 },
	{ MUTANT_BLIND_ADDRESS, "brings addresses back under an old key", 0 },
	{ MUTANT_NO_WAIT_DROP, "takes a LUN without keys while somebody is giving it up", 1005832 },
	{ MUTANT_GIVE_UP_MATCH, "lets a rival replace the record of its key", 1012221 },
	{ MUTANT_TWO_AT_ONCE, "begins before the last operation has ended", 0 },
	{ MUTANT_BLIND_BUMP, "moves its key without comparing", 400 },
	{ MUTANT_KILLED_ONCE, "kills no second process", 28480 },
	{ MUTANT_KEEP_ADDRESS, "keeps its addresses when it drops the group", 0 },
	{ MUTANT_STORE_TWICE, "writes two records at once", 0 },
};
_Static_assert(ARRAY_SIZE(mutants) == N_MUTANTS - 1, "each is tried");

/* A deliberate fault may lose memory, too: that is not what is asked here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

int main(void)
{
	struct sim_result r;
	int missed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(mutants); i++) {
		uint64_t first = mutants[i].seed ? mutants[i].seed : 1, seed = first;

		core_mutant = mutants[i].mutant;
		while (seed < first + RUNS && sim_run(&(struct sim_options){ .seed = seed }, &r)) {
			free(r.happened);
			seed++;
		}
		if (seed >= first + RUNS)
			printf("NOT NOTICED: %s\n", mutants[i].what);
		else
			printf("%s: seed %llu: %s\n", mutants[i].what, (unsigned long long)seed, r.broken);
		if (seed < first + RUNS)
			free(r.happened);
		missed += seed >= first + RUNS;
	}
	return missed ? 1 : 0;
}
