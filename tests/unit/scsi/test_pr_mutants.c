/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pr_mutants [NAME] - each deliberate fault of node/scsi/pr_mutants.h must be noticed
 *
 * With a name: that one alone, with the steps that show it.
 */
#include <stdio.h>
#include <string.h>

#include "node/scsi/pr_mutants.h"
#include "tests/unit/scsi/pr_random.h"

#define RUNS 20000u

int sc_mutant;

static const struct { const char *name, *what; } mutants[] = {
#define ROW(name, what) { #name, what },
	SC_PR_MUTANTS(ROW)
};

static bool noticed(int mutant, bool report)
{
	char why[200];

	sc_mutant = mutant;
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		if (pr_random_run(seed, report, why, sizeof(why)))
			continue;
		printf("%s: seed %llu: %s\n", mutants[mutant - 1].what, (unsigned long long)seed, why);
		return true;
	}
	printf("NOT NOTICED: %s\n", mutants[mutant - 1].what);
	return mutant == SC_MUT_NONE;
}

int main(int argc, char **argv)
{
	int missed = 0;

	for (int i = 1; i < SC_N_MUTANTS; i++)
		if (argc < 2 || !strcmp(argv[1], mutants[i - 1].name))
			missed += !noticed(i, argc > 1);
	return missed ? 1 : 0;
}
