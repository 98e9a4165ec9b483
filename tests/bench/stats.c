/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stats.c - latencies in buckets, CPU time from /proc, and the result as JSON */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/util/util.h"
#include "tests/bench/load.h"

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Below LATENCY_SUB a bucket each; then LATENCY_SUB buckets for every power of two. */
static unsigned bucket(uint64_t ns)
{
	unsigned up = ns < LATENCY_SUB ? 0 : 63 - 5 - (unsigned)__builtin_clzll(ns);

	return MIN((unsigned)LATENCY_BUCKETS - 1, up * LATENCY_SUB + (unsigned)(ns >> up));
}

_Static_assert(LATENCY_SUB == 1 << 5, "see bucket()");

static uint64_t bucket_ns(unsigned b)
{
	unsigned up = b < 2 * LATENCY_SUB ? 0 : b / LATENCY_SUB - 1;

	return (uint64_t)(b - up * LATENCY_SUB) << up;
}

void stats_add(struct stats *st, bool write, uint64_t ns)
{
	st->reads += !write;
	st->writes += write;
	st->latency[bucket(ns)]++;
	st->max_ns = MAX(st->max_ns, ns);
}

static double percentile_us(const struct stats *st, double p)
{
	uint64_t want = (uint64_t)((double)(st->reads + st->writes) * p), seen = 0;

	for (unsigned b = 0; b < LATENCY_BUCKETS; b++) {
		seen += st->latency[b];
		if (seen > want)
			return (double)bucket_ns(b) / 1000;
	}
	return (double)st->max_ns / 1000;
}

uint64_t cpu_ns(int pid)
{
	char path[64 + sizeof(((struct dirent *)0)->d_name)];
	unsigned long long ns, sum = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = pid ? opendir(path) : NULL;
	while (dir && (e = readdir(dir))) {
		_cleanup_fclose_ FILE *f = NULL;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += ns;
	}
	if (dir)
		closedir(dir);
	return sum;
}

void stats_print(const struct stats *st, const struct options *o, double seconds, uint64_t cpu, uint64_t own_cpu,
		 const uint64_t *per_session)
{
	double n = (double)(st->reads + st->writes), mean = n / o->sessions, least = n;

	for (unsigned i = 0; i < o->sessions; i++)
		least = MIN(least, (double)per_session[i]);
	printf("{\"seconds\": %.3f, \"reads\": %llu, \"writes\": %llu, \"iops\": %.1f, \"mib_s\": %.2f, "
	       "\"cpu_s_per_million\": %.4f, \"client_cpu_s_per_million\": %.4f, \"slowest_of_mean\": %.3f, "
	       "\"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}}\n",
	       seconds, (unsigned long long)st->reads, (unsigned long long)st->writes, n / seconds,
	       n / seconds * o->block / (1 << 20), n ? (double)cpu / 1e9 / n * 1e6 : 0,
	       n ? (double)own_cpu / 1e9 / n * 1e6 : 0, n ? least / mean : 0, percentile_us(st, .5),
	       percentile_us(st, .9), percentile_us(st, .99), percentile_us(st, .999), (double)st->max_ns / 1000);
}
