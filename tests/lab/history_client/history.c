/* SPDX-License-Identifier: GPL-2.0-or-later */
/* history.c - options and the event loop; see history.h */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/lab/history_client/history.h"

#define TICK_MS 1
#define IDLE_TICK_MS 5

struct client client = { .o = {
	.initiator = "iqn.2026-11.org.example:history", .sessions = 4, .depth = 4, .io_blocks = 4, .region = 4096,
	.rate = 300, .read_percent = 50, .connect_ms = 250, .login_ms = 30000, .io_ms = 30000, .gap_ms = 30, .final_s = 60, .seed = 1,
} };
static volatile sig_atomic_t stop_asked;

static const char usage[] =
"Usage: history --portal HOST[:PORT] --target IQN [OPTION]...\n"
"Writes and reads tagged blocks over several iSCSI sessions, through failovers, and judges every answer: no\n"
"acknowledged write lost, no read back in time, no permanent error. Ends with a full read-back.\n"
"\n"
"  --luns N,N…          LUNs to use (default 0)\n"
"  --sessions N         sessions, each with its own ISID (default 4)\n"
"  --depth N            commands a session keeps on their way (default 4)\n"
"  --io-blocks N        largest I/O in blocks of 4 KiB (default 4, at most 16)\n"
"  --region N           blocks of 4 KiB a LUN (default 4096); one more is the outsider's\n"
"  --rate N             I/Os a second and session, 0: no limit (default 300)\n"
"  --reads PERCENT      (default 50)\n"
"  --seconds N          run for so long (default: until SIGTERM or SIGINT)\n"
"  --pr TYPE            register every session, reserve with TYPE (5 6 7 8), watch; an unregistered\n"
"                       initiator must get RESERVATION CONFLICT\n"
"  --aptpl              ask for reservations that outlive a power loss\n"
"  --power-cycles       a power cycle of everything may reset PRGENERATION (SPC-4 6.15.2)\n"
"  --keep-pr            leave them in place at the end\n"
"  --fua                writes with FUA\n"
"  --header-digest      CRC32C\n"
"  --initiator IQN      (default iqn.2026-11.org.example:history; the outsider appends :outsider)\n"
"  --connect-ms N       a connection attempt (default 250); --login-ms, --io-ms N (default 30000)\n"
"  --final-s N          time for draining and the read-back (default 60)\n"
"  --log FILE           JSON lines: lost, connecting, connected, login, ready, first-io, alive, gap, violation, …\n"
"  --gap-ms N           shorter pauses get no line (default 30)\n"
"  --seed N\n"
"Exit status: 0 all is well, 1 violations, 2 usage, 3 not finished (no connection at the end).\n";

enum { O_PORTAL = 1, O_TARGET, O_LUNS, O_SESSIONS, O_DEPTH, O_BLOCKS, O_REGION, O_RATE, O_READS, O_SECONDS, O_PR,
       O_APTPL, O_CYCLES, O_KEEP, O_FUA, O_DIGEST, O_INITIATOR, O_CONNECT, O_LOGIN, O_IO, O_GAP, O_FINAL, O_LOG, O_SEED, O_HELP };
static const struct option longopts[] = {
	{ "portal", 1, NULL, O_PORTAL }, { "target", 1, NULL, O_TARGET }, { "luns", 1, NULL, O_LUNS },
	{ "sessions", 1, NULL, O_SESSIONS }, { "depth", 1, NULL, O_DEPTH }, { "io-blocks", 1, NULL, O_BLOCKS },
	{ "region", 1, NULL, O_REGION }, { "rate", 1, NULL, O_RATE }, { "reads", 1, NULL, O_READS },
	{ "seconds", 1, NULL, O_SECONDS }, { "pr", 1, NULL, O_PR }, { "aptpl", 0, NULL, O_APTPL },
	{ "keep-pr", 0, NULL, O_KEEP }, { "power-cycles", 0, NULL, O_CYCLES }, { "fua", 0, NULL, O_FUA }, { "header-digest", 0, NULL, O_DIGEST },
	{ "initiator", 1, NULL, O_INITIATOR }, { "connect-ms", 1, NULL, O_CONNECT }, { "login-ms", 1, NULL, O_LOGIN },
	{ "io-ms", 1, NULL, O_IO }, { "gap-ms", 1, NULL, O_GAP }, { "final-s", 1, NULL, O_FINAL }, { "log", 1, NULL, O_LOG },
	{ "seed", 1, NULL, O_SEED }, { "help", 0, NULL, O_HELP }, { NULL, 0, NULL, 0 },
};

static void bad(const char *what)
{
	fprintf(stderr, "history: %s; see history --help\n", what);
	exit(2);
}

static unsigned number(const char *text, unsigned min, unsigned max, const char *what)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!*text || *end || v < min || v > max) {
		fprintf(stderr, "history: %s %s: %u to %u\n", what, text, min, max);
		exit(2);
	}
	return (unsigned)v;
}

static void parse_luns(char *text)
{
	for (char *save = NULL, *t = strtok_r(text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		if (client.o.n_luns == MAX_LUNS)
			bad("--luns: at most 16");
		client.o.luns[client.o.n_luns++] = number(t, 0, 16383, "--luns");
	}
}

static void one_option(int opt)
{
	struct options *o = &client.o;

	switch (opt) {
	case O_PORTAL: o->portal = optarg; break;
	case O_TARGET: o->target = optarg; break;
	case O_LUNS: parse_luns(optarg); break;
	case O_SESSIONS: o->sessions = number(optarg, 1, MAX_SESSIONS - 1, "--sessions"); break;
	case O_DEPTH: o->depth = number(optarg, 1, MAX_DEPTH, "--depth"); break;
	case O_BLOCKS: o->io_blocks = number(optarg, 1, MAX_IO_BLOCKS, "--io-blocks"); break;
	case O_REGION: o->region = number(optarg, MAX_IO_BLOCKS, 1u << 20, "--region"); break;
	case O_RATE: o->rate = number(optarg, 0, 1000000, "--rate"); break;
	case O_READS: o->read_percent = number(optarg, 0, 100, "--reads"); break;
	case O_SECONDS: o->seconds = number(optarg, 1, 86400, "--seconds"); break;
	case O_PR: o->pr_type = number(optarg, 5, 8, "--pr"); break;
	case O_APTPL: o->aptpl = true; break;
	case O_CYCLES: o->power_cycles = true; break;
	case O_KEEP: o->keep_pr = true; break;
	case O_FUA: o->fua = true; break;
	case O_DIGEST: o->header_digest = true; break;
	case O_INITIATOR: o->initiator = optarg; break;
	case O_CONNECT: o->connect_ms = number(optarg, 10, 60000, "--connect-ms"); break;
	case O_LOGIN: o->login_ms = number(optarg, 10, 120000, "--login-ms"); break;
	case O_IO: o->io_ms = number(optarg, 10, 600000, "--io-ms"); break;
	case O_GAP: o->gap_ms = number(optarg, 1, 60000, "--gap-ms"); break;
	case O_FINAL: o->final_s = number(optarg, 1, 3600, "--final-s"); break;
	case O_LOG: o->log = optarg; break;
	case O_SEED: o->seed = number(optarg, 0, UINT32_MAX, "--seed"); break;
	case O_HELP: fputs(usage, stdout); exit(0);
	default: exit(2);
	}
}

static void on_signal(int sig)
{
	(void)sig;
	stop_asked = 1;
}

static void make_client(void)
{
	client.now_us = now_us();
	client.run = client.now_us * 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid();
	client.rng = client.o.seed * 0x9e3779b97f4a7c15ull | 1;
	for (unsigned i = 0; i < client.o.n_luns; i++) {
		client.lun[i].number = client.o.luns[i];
		client.lun[i].reg = calloc(client.o.region, sizeof(struct reg));
		if (!client.lun[i].reg)
			bad("out of memory");
	}
	client.n_sessions = client.o.sessions + (client.o.pr_type ? 1 : 0);
	client.s = calloc(client.n_sessions, sizeof(*client.s));
	if (!client.s)
		bad("out of memory");
	for (unsigned i = 0; i < client.n_sessions; i++)
		session_init(&client.s[i], i, i == client.o.sessions);
}

static void free_client(void)
{
	for (unsigned i = 0; i < client.n_sessions; i++) {
		session_close(&client.s[i]);
		free(client.s[i].io);
	}
	for (unsigned i = 0; i < client.o.n_luns; i++)
		free(client.lun[i].reg);
	free(client.s);
}

static void poll_sessions(void)
{
	struct pollfd p[MAX_SESSIONS];

	for (unsigned i = 0; i < client.n_sessions; i++) {
		p[i] = (struct pollfd){ 0 };
		p[i].events = (short)session_events(&client.s[i], &p[i].fd);
	}
	poll(p, client.n_sessions, client.o.rate > 2000 || !client.o.rate ? TICK_MS : IDLE_TICK_MS);
	client.now_us = now_us();
	for (unsigned i = 0; i < client.n_sessions; i++)
		if (p[i].revents)
			session_service(&client.s[i], p[i].revents);
}

static void tick_sessions(void)
{
	for (unsigned i = 0; i < client.n_sessions; i++) {
		struct session *s = &client.s[i];

		session_tick(s);
		if (s->state != SESS_READY || !client.set_up)
			continue;
		if (!client.verified)
			watch_tick(s);
		if (!s->outsider)
			load_tick(s);
	}
}

static bool all_idle(void)
{
	for (unsigned i = 0; i < client.o.sessions; i++)
		if (!load_idle(&client.s[i]))
			return false;
	return true;
}

/* The phases: set-up, running, draining, verifying, giving back. Return: false at the end. */
static bool phase_tick(uint64_t *end_us)
{
	if (!client.set_up) {
		client.set_up = setup_tick();
		if (!client.set_up)
			return !stop_asked;
		event("set-up", NULL, "\"sessions\": %u, \"pr\": %u", client.o.sessions, client.o.pr_type);
		if (client.o.seconds)
			*end_us = client.now_us + client.o.seconds * 1000000ull;
	}
	if (!client.draining && (stop_asked || client.now_us > *end_us)) {
		client.draining = true;
		*end_us = client.now_us + client.o.final_s * 1000000ull;
		event("draining", NULL, "\"writes\": %llu", (unsigned long long)counters.writes);
	}
	if (client.draining && client.now_us > *end_us)
		return false;
	if (client.draining && !client.verifying && all_idle()) {
		for (unsigned i = 0; i < client.n_sessions; i++)
			report_gap_break(&client.s[i]);
		load_start_verify();
		event("verifying", NULL, "\"blocks\": %u", client.o.n_luns * client.o.region);
	}
	client.verified |= load_verified();
	return !client.verified || !teardown_tick();
}

int main(int argc, char **argv)
{
	uint64_t end_us = UINT64_MAX;
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		one_option(opt);
	if (!client.o.portal || !client.o.target || optind != argc)
		bad("--portal and --target are needed, and nothing but options");
	if (!client.o.n_luns)
		client.o.n_luns = 1;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGPIPE, SIG_IGN);
	report_open(client.o.log);
	make_client();
	while (phase_tick(&end_us)) {
		poll_sessions();
		tick_sessions();
	}
	rc = report_summary();
	free_client();
	return rc;
}
