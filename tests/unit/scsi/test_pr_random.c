/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pr_random [SEED [RUNS]] - random reservation commands of eight nexuses, against the model of pr_model.c
 *
 * A difference is printed with its seed and the fewest steps that show it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/scsi/pr_random.h"

#define RUNS 100000u

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t runs = argc > 2 ? strtoull(argv[2], NULL, 0) : argc > 1 ? 1 : RUNS;
	char why[200];

	for (uint64_t i = 0; i < runs; i++)
		if (!pr_random_run(seed + i, true, why, sizeof(why)))
			return 1;
	printf("%llu sequences\n", (unsigned long long)runs);
	return 0;
}
