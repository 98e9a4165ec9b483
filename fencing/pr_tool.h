/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_tool.h - lunward-pr: one step or one whole operation on a LUN's reservation, by hand
 */
#ifndef LUNWARD_FENCING_PR_TOOL_H
#define LUNWARD_FENCING_PR_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "fencing/transport.h"

enum pr_exit {            /* exit codes; in --help */
	PR_OK = 0,
	PR_USAGE = 1,
	PR_ERROR = 2,     /* the device cannot be reached, or refused */
	PR_LOST = 3,      /* somebody else holds it; RESERVATION CONFLICT */
	PR_FOREIGN = 4,   /* a key that is not this cluster's */
};

/* Options, each a bit in @given and in pr_verb.takes */
enum {
	OPT_CLUSTER = 1 << 0, OPT_NODE = 1 << 1, OPT_EPOCH = 1 << 2, OPT_KEY = 1 << 3, OPT_EXPECT = 1 << 4,
	OPT_PLAIN = 1 << 5, OPT_TYPE = 1 << 6, OPT_LBA = 1 << 7, OPT_DATA = 1 << 8, OPT_VICTIM = 1 << 9,
	OPT_NO_APTPL = 1 << 10,
	OPT_OWN = OPT_CLUSTER | OPT_NODE | OPT_EPOCH | OPT_KEY,
};

struct pr_args {
	const struct pr_verb *verb;
	const char *spec;
	unsigned int given;
	bool json;
	uint16_t cluster;
	unsigned int node;
	uint32_t epoch;
	uint64_t key, expect, victim, lba;
	uint8_t type;
	const char *data;
	struct fence_dev_opts dev;
	struct fence_transport *t;
	struct fence_wait wait;
};

struct pr_verb {
	const char *name, *summary;
	unsigned int takes, needs;   /* options */
	enum pr_exit (*run)(struct pr_args *a);
	enum fence_op op;            /* pr_operation() */
	enum fence_cmd_op cmd;       /* pr_command() */
};

/* pr_run.c */
enum pr_exit pr_read(struct pr_args *a);
enum pr_exit pr_operation(struct pr_args *a);
enum pr_exit pr_command(struct pr_args *a);
enum pr_exit pr_io(struct pr_args *a);       /* write-test, read-test */

/* pr_show.c; all print to stdout, as text or (--json) one object */
void pr_show_outcome(const struct pr_args *a, const struct fence_outcome *o, const struct fence_result *full);
void pr_show_command(const struct pr_args *a, const struct fence_result *res);
void pr_show_io(const struct pr_args *a, const struct fence_scsi *s, const struct fence_result *res, uint32_t block_size);
/* an error before anything was sent: to stderr, or as {"error": …} */
void pr_show_error(const struct pr_args *a, const char *text);

#endif
