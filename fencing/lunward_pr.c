/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lunward_pr.c - the command line of lunward-pr
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cluster/conf/conf.h"
#include "fencing/pr_tool.h"
#include "node/util/util.h"

static const struct pr_verb verbs[] = {
	{ "read", "show holder, keys and (where the device tells) whose nexuses they are", OPT_CLUSTER | OPT_KEY, 0,
	  pr_read, FENCE_OP_READ, 0 },
	{ "take", "become the holder, by compare-and-swap against --expect (default: whoever holds now)",
	  OPT_OWN | OPT_EXPECT | OPT_PLAIN, 0, pr_operation, FENCE_OP_TAKE, 0 },
	{ "bump", "as the holder: move on to the next epoch", OPT_OWN | OPT_EXPECT, 0, pr_operation, FENCE_OP_BUMP, 0 },
	{ "sweep", "as the holder: remove registrations of the cluster's other nodes", OPT_OWN | OPT_PLAIN, 0,
	  pr_operation, FENCE_OP_SWEEP, 0 },
	{ "release", "as the holder: give the LUN back, all keys of the cluster go", OPT_OWN | OPT_PLAIN, 0,
	  pr_operation, FENCE_OP_RELEASE, 0 },
	{ "join", "register this nexus with the holder's key and check that it holds", OPT_OWN, 0,
	  pr_operation, FENCE_OP_JOIN, 0 },
	{ "rekey", "move this nexus from --expect to --key", OPT_KEY | OPT_EXPECT, OPT_KEY | OPT_EXPECT,
	  pr_operation, FENCE_OP_REKEY, 0 },
	{ "leave", "unregister this nexus from --key", OPT_OWN, 0, pr_operation, FENCE_OP_LEAVE, 0 },
	{ "register", "REGISTER AND IGNORE EXISTING KEY with --key", OPT_KEY | OPT_NO_APTPL, OPT_KEY,
	  pr_command, 0, FENCE_CMD_REGISTER_AND_IGNORE },
	{ "unregister", "REGISTER from --key to none", OPT_KEY | OPT_NO_APTPL, OPT_KEY, pr_command, 0, FENCE_CMD_REGISTER },
	{ "reserve", "RESERVE with --type", OPT_KEY | OPT_TYPE, OPT_KEY, pr_command, 0, FENCE_CMD_RESERVE },
	{ "unreserve", "RELEASE with --type", OPT_KEY | OPT_TYPE, OPT_KEY, pr_command, 0, FENCE_CMD_RELEASE },
	{ "preempt", "PREEMPT AND ABORT --victim: removes a foreign key, once you know whose it was",
	  OPT_KEY | OPT_VICTIM | OPT_TYPE, OPT_KEY | OPT_VICTIM, pr_command, 0, FENCE_CMD_PREEMPT_AND_ABORT },
	{ "clear", "CLEAR: remove every key and the reservation, whosever they are", OPT_KEY, OPT_KEY,
	  pr_command, 0, FENCE_CMD_CLEAR },
	{ "write-test", "OVERWRITE one block at --lba as this nexus, and tell the SCSI status", OPT_LBA | OPT_DATA, OPT_LBA,
	  pr_io, 0, 0 },
	{ "read-test", "read one block at --lba as this nexus, and tell the SCSI status", OPT_LBA, OPT_LBA, pr_io, 0, 0 },
};

enum { ARG_INITIATOR = 256, ARG_ISID, ARG_GROUP, ARG_JSON, ARG_TIMEOUT, ARG_HELP, ARG_VERSION, ARG_BIT };

static const struct option options[] = {
	{ "initiator", required_argument, NULL, ARG_INITIATOR }, { "isid", required_argument, NULL, ARG_ISID },
	{ "json", no_argument, NULL, ARG_JSON }, { "timeout", required_argument, NULL, ARG_TIMEOUT },
	{ "help", no_argument, NULL, ARG_HELP }, { "version", no_argument, NULL, ARG_VERSION },
	/* ARG_BIT + the number of their bit */
	{ "cluster", required_argument, NULL, ARG_BIT }, { "node", required_argument, NULL, ARG_BIT + 1 },
	{ "epoch", required_argument, NULL, ARG_BIT + 2 }, { "key", required_argument, NULL, ARG_BIT + 3 },
	{ "expect", required_argument, NULL, ARG_BIT + 4 }, { "plain-preempt", no_argument, NULL, ARG_BIT + 5 },
	{ "type", required_argument, NULL, ARG_BIT + 6 }, { "lba", required_argument, NULL, ARG_BIT + 7 },
	{ "data", required_argument, NULL, ARG_BIT + 8 }, { "victim", required_argument, NULL, ARG_BIT + 9 },
	{ "no-aptpl", no_argument, NULL, ARG_BIT + 10 }, { 0 },
};

static const char help_tail[] =
	"\nSPEC is iscsi://[user%password@]host[:port]/iqn/lun or the path of a SCSI device, /dev/…\n"
	"\nwho we are on an iSCSI device (a nexus is name, ISID and LUN; a registration belongs to one nexus):\n"
	"  --initiator IQN      default iqn.2026-11.io.lunward:pr:HOSTNAME. A session of the same name and ISID\n"
	"                       to the same target is thrown out by ours\n"
	"  --isid HEX           12 hex digits; default 80 00 00 00 20 00\n"
	"keys are 64 bits in hex, or parts:\n"
	"  --key KEY            ours;  or  --cluster NAME --node ID [--epoch N] (default: one more than any seen)\n"
	"  --expect KEY|none    the holder it must be;  --victim KEY  the one to remove\n"
	"others:\n"
	"  --type N             reservation type, default 6 (Exclusive Access, Registrants Only)\n"
	"  --plain-preempt      for devices that lack PREEMPT AND ABORT: queued commands of the loser may still land\n"
	"  --no-aptpl           do not ask for persistence through power loss\n"
	"  --lba N  --data TEXT block number, and what to fill it with\n"
	"  --timeout MS         for the whole operation, default 5000\n"
	"  --json  --help  --version\n"
	"\nexit code: 0 done, 1 usage, 2 error, 3 somebody else holds it (RESERVATION CONFLICT), 4 foreign key\n";

static void help(void)
{
	puts("lunward-pr VERB SPEC [options]: persistent reservations of a LUN, by hand\n\nwhole operations, as clusterd "
	     "and the targets do them, and single commands:");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %-12s %s\n", verbs[i].name, verbs[i].summary);
	fputs(help_tail, stdout);
}

static bool number(const char *s, int base, uint64_t max, uint64_t *ret)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(s, &end, base);
	if (errno || end == s || *end || v > max || *s == '-')
		return false;
	*ret = v;
	return true;
}

static bool hex_isid(const char *s, uint8_t isid[6])
{
	uint64_t v;

	if (strlen(s) != 12 || !number(s, 16, UINT64_MAX, &v))
		return false;
	for (int i = 0; i < 6; i++)
		isid[i] = (uint8_t)(v >> (40 - 8 * i));
	return true;
}

/* One option with a bit. Return: false if its value is wrong */
static bool set(struct pr_args *a, int bit, const char *value)
{
	uint64_t v = 0;

	a->given |= 1u << bit;
	switch (1 << bit) {
	case OPT_CLUSTER:
		a->cluster = fence_cluster_tag(value);
		return value[0];
	case OPT_DATA:
		a->data = value;
		return true;
	case OPT_PLAIN:
	case OPT_NO_APTPL:
		return true;
	case OPT_NODE:
		return number(value, 10, FENCE_NODE_MAX, &v) && (a->node = (unsigned int)v);
	case OPT_EPOCH:
		return number(value, 10, FENCE_EPOCH_MAX, &v) && (a->epoch = (uint32_t)v);
	case OPT_TYPE:
		return number(value, 10, 8, &v) && (a->type = (uint8_t)v);
	case OPT_LBA:
		return number(value, 0, UINT64_MAX, &a->lba);
	case OPT_KEY:
		return number(value, 16, UINT64_MAX, &a->key) && a->key;
	case OPT_VICTIM:
		return number(value, 16, UINT64_MAX, &a->victim) && a->victim;
	default:
		return strcmp(value, "none") == 0 || number(value, 16, UINT64_MAX, &a->expect);
	}
}

static const char *option_name(int arg)
{
	const struct option *o = options;

	while (o->name && o->val != arg)
		o++;
	return o->name;
}

static int wrong(const char *what, const char *which)
{
	fprintf(stderr, "lunward-pr: %s%s; see lunward-pr --help\n", what, which);
	return PR_USAGE;
}

/* Return: -1 to go on, or an exit code */
static int parse(struct pr_args *a, int argc, char **argv)
{
	uint64_t ms;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		if (c == ARG_HELP || c == ARG_VERSION) {
			c == ARG_HELP ? help() : (void)puts("lunward-pr " PACKAGE_VERSION);
			return PR_OK;
		}
		if (c == '?')
			return PR_USAGE;
		if (c == ARG_INITIATOR)
			a->dev.initiator = optarg;
		else if (c == ARG_ISID)
			ok = hex_isid(optarg, a->dev.isid);
		else if (c == ARG_JSON)
			a->json = true;
		else if (c == ARG_TIMEOUT)
			ok = number(optarg, 10, 3600000, &ms) && (a->dev.op_timeout_ms = (unsigned int)ms);
		else
			ok = set(a, c - ARG_BIT, optarg);
		if (!ok)
			return wrong("wrong value of --", option_name(c));
	}
	if (argc - optind != 2)
		return wrong(argc - optind < 2 ? "a verb and a device are needed" : "too many arguments", "");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, argv[optind]) == 0)
			a->verb = &verbs[i];
	a->spec = argv[optind + 1];
	if (!a->verb)
		return wrong("no such verb: ", argv[optind]);
	for (int bit = 0; 1u << bit <= OPT_NO_APTPL; bit++) {
		if (a->given & ~a->verb->takes & 1u << bit)
			return wrong("this verb does not take --", option_name(ARG_BIT + bit));
		if (a->verb->needs & ~a->given & 1u << bit)
			return wrong("this verb needs --", option_name(ARG_BIT + bit));
	}
	return -1;
}

int main(int argc, char **argv)
{
	char host[65] = "localhost", name[CONF_ISCSI_NAME_MAX + 1], err[FENCE_TEXT];
	struct pr_args a = { .type = FENCE_TYPE_EA_RO, .data = "lunward-pr write test. ",
		.dev = { .cmd_timeout_ms = FENCE_CMD_TIMEOUT_MS, .op_timeout_ms = FENCE_CMD_TIMEOUT_MS } };
	int code;

	(void)gethostname(host, sizeof(host) - 1);
	a.dev.initiator = conf_initiator_name("pr", host, name);
	memcpy(a.dev.isid, "\x80\0\0\0\x20\0", 6);
	code = parse(&a, argc, argv);
	if (code >= 0)
		return code;
	signal(SIGPIPE, SIG_IGN);  /* libiscsi's writev() */
	a.wait = (struct fence_wait){ .cmd_timeout_ms = MIN(FENCE_CMD_TIMEOUT_MS, a.dev.op_timeout_ms), .wake_fd = -1 };
	a.t = fence_transport_open(a.spec, &a.dev, err);
	if (!a.t) {
		pr_show_error(&a, err);
		return PR_USAGE;
	}
	code = a.verb->run(&a);
	a.t->ops->close(a.t);
	return code;
}
