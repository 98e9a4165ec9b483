/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * race.h - nodes that run the step machines against one model LUN, one command at a time, in any order
 *
 * A node has a nexus of its own (clusterd's, which a kernel block device shares: it does I/O while the node serves) and
 * data nexuses that join, do I/O, and follow key changes. Whoever is not chosen to go on is paused: for as long
 * as the schedule wants, between any two commands.
 *
 * A flaw is a mistake built into the machines from outside, to see that the checks would notice.
 */
#ifndef LUNWARD_TESTS_RACE_H
#define LUNWARD_TESTS_RACE_H

#include "fencing/arbitrate.h"
#include "tests/unit/fencing/lun_model.h"

#define RACE_NODES 3u
#define RACE_DATA 2u                                  /* data nexuses a node */
#define RACE_ACTORS (RACE_NODES * (1u + RACE_DATA))   /* actor number = nexus number */
#define RACE_CLUSTER 7u

enum flaw {
	FLAW_NONE,
	FLAW_NO_READ_BACK,      /* TAKE: the claim's GOOD is taken for the win */
	FLAW_NO_SWEEP,          /* TAKE: won as soon as the holder is us */
	FLAW_PLAIN_PREEMPT,     /* TAKE: PREEMPT instead of PREEMPT AND ABORT */
	FLAW_BUMP_IGNORES,      /* BUMP: REGISTER AND IGNORE EXISTING KEY */
	FLAW_REKEY_IGNORES,     /* REKEY: likewise */
	FLAW_JOIN_LOOKS_FIRST,  /* JOIN: verifies the holder, then registers */
	FLAW_NO_CAS,            /* TAKE: preempts whoever holds, not whom it expected */
	FLAW__MAX
};

struct actor {
	unsigned int node;
	bool busy;              /* an operation is under way; @cmd is to be sent next */
	bool looked;            /* FLAW_JOIN_LOOKS_FIRST: first half done */
	struct fence_machine m;
	struct fence_cmd cmd;
	/* data nexuses */
	bool joined;            /* does I/O */
	uint64_t key;           /* it was registered with, while joined */
};

struct node {
	bool serving;           /* believes that it owns the LUN */
	uint64_t key;           /* while serving */
	uint32_t epoch;         /* largest it has seen */
	bool read;              /* @holder is fresh enough to challenge */
	uint64_t holder;
	bool crashed;           /* never goes on; what it queued may still land */
};

struct race {
	struct lun_model lun;
	struct node node[RACE_NODES];
	struct actor actor[RACE_ACTORS];
	enum flaw flaw;
	unsigned int wins, commands;
	const char *broken;     /* the invariant that was violated; NULL: none */
};

static inline unsigned int race_control(unsigned int node) { return node * (1 + RACE_DATA); }
static inline uint64_t race_key(unsigned int node, uint32_t epoch)
{
	return fence_key_make(RACE_CLUSTER, node + 1, epoch);
}

void race_init(struct race *r, enum flaw flaw);

/** race_own() - Start state: @node serves with @epoch, all its data nexuses joined */
void race_own(struct race *r, unsigned int node, uint32_t epoch);

/** race_begin() - An actor starts an operation */
void race_begin(struct race *r, unsigned int actor, enum fence_op op, uint64_t key, uint64_t expect);

enum fault { FAULT_NONE, FAULT_LOST_BEFORE, FAULT_LOST_AFTER, FAULT_UNSENT };
/** race_step() - A busy actor sends its next command and digests the answer. Return: true when its operation ended. */
bool race_step(struct race *r, unsigned int actor, enum fault fault);

/** race_io() - An actor that may do I/O submits one; a queued one of it is completed */
void race_submit(struct race *r, unsigned int actor);
void race_complete(struct race *r, unsigned int actor);

/** race_may_io() - Does this actor believe that it may do I/O? */
bool race_may_io(const struct race *r, unsigned int actor);

#endif
