/* SPDX-License-Identifier: GPL-2.0-or-later */
/* load.c - options, and the course of a measurement: open all sessions, warm up, measure, print */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "node/util/util.h"
#include "tests/bench/load.h"

static const char usage[] =
	"Usage: load [OPTION…] HOST PORT [IQN]\n"
	"Puts iSCSI sessions of one LUN under load and prints what was measured as one JSON object.\n\n"
	"  --lun N            (0)\n"
	"  --sessions N       (1)\n"
	"  --depth N          commands outstanding in each (1)\n"
	"  --block BYTES      of a command (4096)\n"
	"  --read PERCENT     the others are writes (100)\n"
	"  --sequential       not random\n"
	"  --header-digest, --data-digest\n"
	"  --bare             the peer is tests/bench/limit; without IQN\n"
	"  --spin             never sleep\n"
	"  --warmup SECONDS   (0.2)\n"
	"  --seconds SECONDS  (2)\n"
	"  --span BYTES       how much of the LUN is used (64 MiB)\n"
	"  --pid PID          process whose CPU time is reported\n";

enum { OPT_LUN = 256, OPT_SESSIONS, OPT_DEPTH, OPT_BLOCK, OPT_READ, OPT_SEQ, OPT_HD, OPT_DD, OPT_BARE, OPT_SPIN,
       OPT_WARMUP, OPT_SECONDS, OPT_SPAN, OPT_PID, OPT_HELP };

static const struct option longs[] = {
	{ "lun", required_argument, NULL, OPT_LUN }, { "sessions", required_argument, NULL, OPT_SESSIONS },
	{ "depth", required_argument, NULL, OPT_DEPTH }, { "block", required_argument, NULL, OPT_BLOCK },
	{ "read", required_argument, NULL, OPT_READ }, { "sequential", no_argument, NULL, OPT_SEQ },
	{ "header-digest", no_argument, NULL, OPT_HD }, { "data-digest", no_argument, NULL, OPT_DD },
	{ "bare", no_argument, NULL, OPT_BARE }, { "spin", no_argument, NULL, OPT_SPIN },
	{ "warmup", required_argument, NULL, OPT_WARMUP }, { "seconds", required_argument, NULL, OPT_SECONDS },
	{ "span", required_argument, NULL, OPT_SPAN }, { "pid", required_argument, NULL, OPT_PID },
	{ "help", no_argument, NULL, OPT_HELP }, { 0 },
};

static bool option(struct options *o, int c)
{
	switch (c) {
	case OPT_LUN: o->lun = strtoull(optarg, NULL, 0); return true;
	case OPT_SESSIONS: o->sessions = (unsigned)strtoul(optarg, NULL, 0); return true;
	case OPT_DEPTH: o->depth = (unsigned)strtoul(optarg, NULL, 0); return true;
	case OPT_BLOCK: o->block = (unsigned)strtoul(optarg, NULL, 0); return true;
	case OPT_READ: o->read_percent = (unsigned)strtoul(optarg, NULL, 0); return true;
	case OPT_SEQ: o->sequential = true; return true;
	case OPT_HD: o->header_digest = true; return true;
	case OPT_DD: o->data_digest = true; return true;
	case OPT_BARE: o->bare = true; return true;
	case OPT_SPIN: o->spin = true; return true;
	case OPT_WARMUP: o->warmup = strtod(optarg, NULL); return true;
	case OPT_SECONDS: o->seconds = strtod(optarg, NULL); return true;
	case OPT_SPAN: o->span = strtoull(optarg, NULL, 0); return true;
	case OPT_PID: o->pid = atoi(optarg); return true;
	case OPT_HELP: fputs(usage, stdout); exit(0);
	default: return false;
	}
}

static void parse(struct options *o, int argc, char **argv)
{
	int c;

	*o = (struct options){ .sessions = 1, .depth = 1, .block = 4096, .read_percent = 100, .warmup = .2, .seconds = 2,
			       .span = 64 << 20 };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!option(o, c))
			exit(2);
	if (argc - optind != (o->bare ? 2 : 3))
		die("%s", usage);
	o->host = argv[optind];
	o->port = argv[optind + 1];
	o->iqn = o->bare ? "" : argv[optind + 2];
	if (!o->sessions || !o->depth || o->depth > 4096 || !o->block || o->block > DATA_MAX || o->block % 512 ||
	    o->read_percent > 100 || o->span < o->block)
		die("load: --sessions and --depth of at least 1, --block a multiple of 512 of at most 16 MiB, --read of at "
		    "most 100 and --span of at least a block are wanted");
}

static uint64_t own_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void measure(struct session *s, const struct options *o)
{
	struct stats *st = calloc(1, sizeof(*st));
	uint64_t *done = calloc(o->sessions, sizeof(*done)), cpu, own, begun;

	if (!st || !done)
		die("out of memory");
	loop_start(s, o->sessions);
	loop_run(o->warmup, o->spin);
	for (unsigned i = 0; i < o->sessions; i++) {
		s[i].stats = st;
		done[i] = s[i].done;
	}
	cpu = cpu_ns(o->pid);
	own = own_cpu_ns();
	begun = now_ns();
	loop_run(o->seconds, o->spin);
	begun = now_ns() - begun;
	own = own_cpu_ns() - own;
	cpu = cpu_ns(o->pid) - cpu;
	for (unsigned i = 0; i < o->sessions; i++)
		done[i] = s[i].done - done[i];
	stats_print(st, o, (double)begun / 1e9, cpu, own, done);
	free(done);
	free(st);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct options o;
	struct session *s;

	parse(&o, argc, argv);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	s = calloc(o.sessions, sizeof(*s));
	if (!s)
		die("out of memory");
	loop_init();
	for (unsigned i = 0; i < o.sessions; i++)
		session_open(&s[i], &o, i + 1);
	measure(s, &o);
	return 0;
}
