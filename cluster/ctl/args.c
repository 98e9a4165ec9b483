/* SPDX-License-Identifier: GPL-2.0-or-later */
/* args.c - the table of commands, and the command line */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "cluster/ctl/ctl.h"

#define GROUP_HELP_TIME "The command ends when that is done, or with an error when it cannot be."

const struct ctl_command ctl_commands[] = {
	{ .name = "status", .args = "[GROUP]", .max = 1, .timeout_ms = 5000, .run = cmd_status,
	  .summary = "what is served where, what is not, and why not",
	  .help = "With GROUP, that group in full: portals, fence devices with their keys, records, LUNs.\n"
		  "Returns 4 if a group, a portal or a LUN is not served." },
	{ .name = "apply", .args = "[--dry-run] [--force] FILE", .min = 1, .max = 1, .opts = OPT_DRY_RUN | OPT_FORCE,
	  .timeout_ms = 30000, .run = cmd_apply, .summary = "check a document and put it in force, cluster-wide",
	  .help = "Only what differs from the document in force is touched. FILE - is standard input.\n"
		  "--dry-run  say what would change, change nothing\n"
		  "--force    although a configured node is not there; it fetches the document when it is back" },
	{ .name = "check", .args = "[--standalone] [--files] FILE", .min = 1, .max = 1,
	  .opts = OPT_STANDALONE | OPT_FILES, .run = cmd_check, .summary = "check a document; needs no cluster",
	  .help = "--standalone  by the rules of lunward-target --standalone\n"
		  "--files       also what it names on this node: devices, files, secrets" },
	{ .name = "config show", .args = "", .timeout_ms = 5000, .run = cmd_config,
	  .summary = "print the document in force" },
	{ .name = "group start", .args = "[--force] GROUP", .min = 1, .max = 1, .opts = OPT_FORCE, .timeout_ms = 60000,
	  .run = cmd_group, .summary = "serve a group that is stopped or blocked",
	  .help = GROUP_HELP_TIME "\n"
		  "--force  although the newest record is on a node that is not here: the newest that is here serves, and\n"
		  "         reservations that were made since may be lost" },
	{ .name = "group stop", .args = "[--force] GROUP", .min = 1, .max = 1, .opts = OPT_FORCE, .timeout_ms = 60000,
	  .run = cmd_group, .summary = "serve a group no more, until group start; its keys stay on the LUNs",
	  .help = GROUP_HELP_TIME "\n"
		  "--force  at once: commands in flight are dropped instead of finished" },
	{ .name = "group move", .args = "GROUP [NODE]", .min = 1, .max = 2, .timeout_ms = 60000, .run = cmd_group,
	  .summary = "serve a group from another node",
	  .help = "Without NODE: the first of its nodes that can. " GROUP_HELP_TIME },
	{ .name = "group release", .args = "[--force] GROUP", .min = 1, .max = 1, .opts = OPT_FORCE,
	  .timeout_ms = 60000, .run = cmd_group,
	  .summary = "stop a group and take its keys from the LUNs, for use outside of this cluster",
	  .help = GROUP_HELP_TIME "\n"
		  "--force  although the keys are of a node that is not here and may still serve the group. Keys that are\n"
		  "         not of this cluster are never removed: see lunward-pr(8)" },
	{ .name = "session list", .args = "[GROUP]", .max = 1, .timeout_ms = 5000, .run = cmd_sessions,
	  .summary = "initiators that are logged in" },
	{ .name = "pr show", .args = "[GROUP]", .max = 1, .timeout_ms = 5000, .run = cmd_reservations,
	  .summary = "persistent reservations and registrations of initiators" },
	{ .name = "events", .args = "[--follow] [--after N] [--limit N]", .opts = OPT_FOLLOW | OPT_AFTER | OPT_LIMIT,
	  .timeout_ms = 5000, .run = cmd_events, .summary = "what happened on this node, in order, to the microsecond",
	  .help = "--follow   go on with what happens from now on\n"
		  "--after N  only events after number N\n"
		  "--limit N  at most the newest N\n"
		  "With --json, one object a line." },
};
const size_t ctl_n_commands = ARRAY_SIZE(ctl_commands);

static const struct option options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "follow", no_argument, NULL, OPT_FOLLOW },
	{ "after", required_argument, NULL, OPT_AFTER },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "standalone", no_argument, NULL, OPT_STANDALONE },
	{ "files", no_argument, NULL, OPT_FILES },
	{ NULL, 0, NULL, 0 },
};

static const char *option_name(unsigned opt)
{
	for (const struct option *o = options; o->name; o++)
		if ((unsigned)o->val == opt)
			return o->name;
	return "";
}

static bool number(const char *s, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end && !errno && *ret <= max;
}

/* "5", "0.5" seconds into milliseconds */
static bool seconds(const char *s, int *ret_ms)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(s, &end);
	if (*s < '0' || *s > '9' || *end || errno || v < 0.001 || v > 86400)
		return false;
	*ret_ms = (int)(v * 1000 + 0.5);
	return true;
}

static void usage(FILE *f)
{
	fputs("Usage: lunwardctl [OPTION…] COMMAND [ARGUMENT…]\n\n", f);
	for (size_t i = 0; i < ctl_n_commands; i++)
		fprintf(f, "  %-14s %s\n", ctl_commands[i].name, ctl_commands[i].summary);
	fputs("\nOptions of every command:\n"
	      "  --json             print JSON for programs\n"
	      "  --timeout SECONDS  wait so long for an answer\n"
	      "  --help             help, of the command if one is given\n"
	      "  --version          version\n"
	      "\nReturns 0: done; 1: failed; 2: wrong command line; 3: clusterd cannot be reached;\n"
	      "4: status shows something that is not served. See lunwardctl(8).\n", f);
}

static void command_help(FILE *f, const struct ctl_command *c)
{
	fprintf(f, "Usage: lunwardctl %s%s%s\n\n%c%s.\n", c->name, c->args[0] ? " " : "", c->args, c->summary[0] - 32,
		c->summary + 1);
	if (c->help)
		fprintf(f, "\n%s\n", c->help);
	if (c->timeout_ms)
		fprintf(f, "\nWithout --timeout it waits %d s for an answer.\n", c->timeout_ms / 1000);
}

static int wrong(const struct ctl_args *a, const struct ctl_command *c, const char *what)
{
	if (c)
		fprintf(a->err, "lunwardctl: %s\nUsage: lunwardctl %s %s\n", what, c->name, c->args);
	else
		fprintf(a->err, "lunwardctl: %s\nTry: lunwardctl --help\n", what);
	return CTL_USAGE;
}

/* One option as getopt_long() returned it. Return: false if its argument is wrong */
static bool take(struct ctl_args *a, unsigned opt)
{
	uint64_t v;

	a->opts |= opt;
	switch (opt) {
	case OPT_TIMEOUT:
		return seconds(optarg, &a->timeout_ms);
	case OPT_AFTER:
		return number(optarg, UINT64_MAX, &a->after);
	case OPT_LIMIT:
		if (!number(optarg, UINT32_MAX, &v))
			return false;
		a->limit = (uint32_t)v;
		return true;
	default:
		return true;
	}
}

/* The command that @word starts with; its arguments are left in @a. */
static const struct ctl_command *find(struct ctl_args *a, char **word, int n)
{
	char two[64];

	for (int words = 2; words >= 1; words--) {
		if (n < words)
			continue;
		snprintf(two, sizeof(two), words == 2 ? "%s %s" : "%s", word[0], words == 2 ? word[1] : "");
		for (size_t i = 0; i < ctl_n_commands; i++)
			if (!strcmp(two, ctl_commands[i].name)) {
				a->word = word + words;
				a->n_word = n - words;
				return &ctl_commands[i];
			}
	}
	return NULL;
}

/* "group": say which commands begin so. */
static int unknown(const struct ctl_args *a, const char *word)
{
	size_t n = strlen(word), hits = 0;

	for (size_t i = 0; i < ctl_n_commands; i++)
		if (!strncmp(ctl_commands[i].name, word, n) && ctl_commands[i].name[n] == ' ')
			fprintf(a->err, "%s %s", hits++ ? "," : "lunwardctl: say which:", ctl_commands[i].name);
	if (hits)
		fputc('\n', a->err);
	else
		fprintf(a->err, "lunwardctl: unknown command \"%.40s\"\nTry: lunwardctl --help\n", word);
	return CTL_USAGE;
}

static int run(const struct ctl_command *c, const struct ctl_args *a)
{
	unsigned extra = a->opts & ~(c->opts | OPT_GLOBAL);
	char what[160];

	if (extra) {
		snprintf(what, sizeof(what), "%s has no option --%s", c->name, option_name(extra & -extra));
		return wrong(a, c, what);
	}
	if (a->n_word < c->min || a->n_word > c->max) {
		snprintf(what, sizeof(what), a->n_word < c->min ? "%s: something is missing"
								: "%s: too much: \"%.60s\"", c->name,
			 a->n_word < c->min ? "" : a->word[c->max]);
		return wrong(a, c, what);
	}
	return (int)c->run(c, a);
}

int ctl_main(int argc, char **argv, FILE *out, FILE *err)
{
	struct ctl_args a = { .out = out, .err = err };
	const struct ctl_command *c;
	char what[160];
	int opt, index = 0;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, &index)) != -1) {
		if (opt == '?' || opt == ':') {
			snprintf(what, sizeof(what), opt == ':' ? "option %.40s needs a value" : "unknown option %.40s",
				 argv[optind - 1]);
			return wrong(&a, NULL, what);
		}
		if (!take(&a, (unsigned)opt)) {
			snprintf(what, sizeof(what), "--%s: \"%.40s\" is not a number that fits", options[index].name, optarg);
			return wrong(&a, NULL, what);
		}
	}
	c = find(&a, argv + optind, argc - optind);
	if (a.opts & OPT_VERSION) {
		fprintf(out, "lunwardctl %s\n", PACKAGE_VERSION);
		return CTL_OK;
	}
	if (a.opts & OPT_HELP) {
		if (c)
			command_help(out, c);
		else
			usage(out);
		return CTL_OK;
	}
	if (optind == argc) {
		usage(err);
		return CTL_USAGE;
	}
	return c ? run(c, &a) : unknown(&a, argv[optind]);
}
