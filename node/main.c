/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c - command line of lunward-target */
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>

#include "node/node.h"
#include "proto/frame.h"

static const char help[] =
	"Usage: lunward-target --standalone FILE [--state-dir DIR] [--check]\n"
	"       lunward-target --group NAME\n"
	"\n"
	"Serve iSCSI targets: those of a configuration file, without a cluster; or those of one group of the\n"
	"cluster, under the direction of lunward-clusterd, which starts it.\n"
	"\n"
	"  -s, --standalone FILE  serve the targets of FILE; portals are the addresses to listen on\n"
	"  -d, --state-dir DIR    where reservations with APTPL are kept (default: $LUNWARD_STATE_DIR, else\n"
	"                         " LUNWARD_STATE_DIR ")\n"
	"  -c, --check            only say whether FILE is right, and what it names is there\n"
	"  -g, --group NAME       serve this group of the cluster\n"
	"  -r, --reactors N       I/O threads (default: options.reactors of the configuration, else one a core, at most 4)\n"
	"      --ready-fd N       write \"READY\" to this descriptor when logins are taken\n"
	"  -v, --verbose          log more\n"
	"  -h, --help             this text\n"
	"  -V, --version          which version this is\n"
	"\n"
	"Signals (standalone): HUP reads FILE again and applies what has changed; TERM finishes the commands in\n"
	"flight, says goodbye to the initiators and ends.\n"
	"Exit status: 0 ended as told, 1 could not go on, 2 the command line or the configuration is wrong.\n";

enum { OPT_READY_FD = 256 };

static const struct option options[] = {
	{ "standalone", required_argument, NULL, 's' }, { "state-dir", required_argument, NULL, 'd' },
	{ "check", no_argument, NULL, 'c' },            { "group", required_argument, NULL, 'g' },
	{ "reactors", required_argument, NULL, 'r' },   { "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "verbose", no_argument, NULL, 'v' },          { "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },          { NULL, 0, NULL, 0 },
};

struct args {
	const char *file, *group, *state_dir;
	unsigned reactors;
	int ready_fd;
	bool check, verbose;
};

static bool number(const char *s, unsigned max, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (end == s || *end || n > max)
		return false;
	*ret = (unsigned)n;
	return true;
}

static int usage(const char *what, const char *arg)
{
	fprintf(stderr, "lunward-target: %s%s (see --help)\n", what, arg);
	return 2;
}

/* Return: -1: go on; otherwise the exit status */
static int parse(int argc, char **argv, struct args *a)
{
	unsigned fd;
	int o;

	while ((o = getopt_long(argc, argv, "s:d:cg:r:vhV", options, NULL)) != -1) {
		switch (o) {
		case 's': a->file = optarg; break;
		case 'd': a->state_dir = optarg; break;
		case 'c': a->check = true; break;
		case 'g': a->group = optarg; break;
		case 'v': a->verbose = true; break;
		case 'r':
			if (!number(optarg, REACTORS_MAX, &a->reactors) || !a->reactors)
				return usage("--reactors: from 1 to 16, not ", optarg);
			break;
		case OPT_READY_FD:
			if (!number(optarg, 1u << 20, &fd))
				return usage("--ready-fd: not a descriptor: ", optarg);
			a->ready_fd = (int)fd;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'V':
			puts("lunward-target " PACKAGE_VERSION);
			return 0;
		default:
			return 2;
		}
	}
	if (optind < argc)
		return usage("unexpected argument: ", argv[optind]);
	if (!a->file == !a->group)
		return usage("either --standalone FILE or --group NAME", "");
	return -1;
}

int main(int argc, char **argv)
{
	const char *dir = getenv("LUNWARD_STATE_DIR");
	struct args a = { .state_dir = dir ? dir : LUNWARD_STATE_DIR, .ready_fd = -1 };
	int rc = parse(argc, argv, &a);

	if (rc >= 0)
		return rc;
	if (a.check)
		return standalone_check(a.file);
	signal(SIGPIPE, SIG_IGN);
	log_start("lunward-target", a.verbose ? LOG_DEBUG : LOG_INFO);
	if (a.file)
		rc = standalone_run(a.file, a.state_dir, a.reactors, a.ready_fd);
	else
		rc = member_run(a.group, a.reactors);
	log_stop();
	return rc;
}
