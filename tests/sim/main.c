/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - sim [--seed N] [--runs M] [--jobs J] [--only FAULTS] [--mutant K] [--keep-going] [--verbose]
 *
 * Schedules from seed N on, on J processors, until one breaks an invariant. It says which seed, and how to replay it with
 * as few faults as possible (shrink.c); --only leaves out all others. Without --seed those that once found something come
 * first. --mutant K puts a deliberate fault into the core (cluster/core/internal.h).
 */
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim.h"

/* Each has found a fault of the core or of this simulation. */
static const uint64_t regressions[] = {
#include "tests/sim/seeds.h"
};

static struct sums { atomic_ullong bad, next, steps, acks, activations, ios, seconds; } *sum;

static const char *text(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return NULL;
}

static uint64_t number(int argc, char **argv, const char *name, uint64_t otherwise)
{
	const char *t = text(argc, argv, name);

	return t ? strtoull(t, NULL, 0) : otherwise;
}

static bool flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

static void one(const struct sim_options *opt)
{
	struct sim_result r;

	if (!sim_run(opt, &r)) {
		sum->bad++;
		printf("seed %llu, after %.3f s: %s\n", (unsigned long long)opt->seed, (double)r.now / 1e6, r.broken);
		fflush(stdout);
		if (!opt->only)
			shrink(opt, &r);
		fflush(stdout);
	}
	sum->steps += r.steps;
	sum->acks += r.acks;
	sum->activations += r.activations;
	sum->ios += r.ios;
	sum->seconds += r.now / SEC;
	free(r.happened);
}

static void work(struct sim_options opt, uint64_t seed, uint64_t runs, bool first, bool go_on)
{
	uint64_t old = first ? ARRAY_SIZE(regressions) : 0, i;

	while ((go_on || !sum->bad) && (i = sum->next++) < old + runs) {
		opt.seed = i < old ? regressions[i] : seed + i - old;
		one(&opt);
	}
}

static void spawn(const struct sim_options *opt, uint64_t seed, uint64_t runs, unsigned jobs, bool first, bool go_on)
{
	int status;

	fflush(stdout);
	for (unsigned j = 1; j < jobs; j++)
		if (fork() == 0) {
			work(*opt, seed, runs, first, go_on);
			_exit(0);
		}
	work(*opt, seed, runs, first, go_on);
	while (wait(&status) > 0)
		if (status)
			sum->bad++;
}

int main(int argc, char **argv)
{
	uint64_t seed = number(argc, argv, "--seed", 1), runs = number(argc, argv, "--runs", SIM_RUNS);
	uint64_t jobs = number(argc, argv, "--jobs", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	const char *only = text(argc, argv, "--only");
	struct sim_options opt = { .verbose = flag(argc, argv, "--verbose") };
	uint32_t *ids = NULL;

	if (only) {
		int n = ids_parse(only, &ids);

		if (n < 0) {
			fprintf(stderr, "sim: --only: numbers of faults, as a broken schedule prints them\n");
			return 2;
		}
		opt.only = ids;
		opt.n_only = (size_t)n;
		runs = 1;
	}
	core_mutant = (int)number(argc, argv, "--mutant", 0);
	sum = mmap(NULL, sizeof(*sum), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sum == MAP_FAILED)
		abort();
	spawn(&opt, seed, runs, opt.verbose || !jobs ? 1 : (unsigned)MIN(jobs, 256u), !text(argc, argv, "--seed"),
	      flag(argc, argv, "--keep-going"));
	printf("%llu schedules broken; %llu s simulated, %llu steps, %llu activations, %llu commits, %llu I/Os\n", sum->bad,
	       sum->seconds, sum->steps, sum->activations, sum->acks, sum->ios);
	free(ids);
	return sum->bad ? 1 : 0;
}
