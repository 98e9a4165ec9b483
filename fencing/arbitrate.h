/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arbitrate.h - who owns a LUN: step machines over PERSISTENT RESERVE commands of one I_T nexus
 *
 * A machine is a value. fence_begin() sets it up from a request; fence_step() takes the result of the command it
 * asked for last and gives the next command, or says that it is done and fills in the outcome:
 *
 *	struct fence_machine m;
 *	struct fence_result res;                     // large (4 KiB): not on a small stack
 *	struct fence_cmd cmd;
 *
 *	fence_begin(&m, &req);
 *	for (bool more = fence_step(&m, NULL, &cmd); more; more = fence_step(&m, &res, &cmd))
 *		run(&cmd, &res);                     // wait cmd.delay_ms, encode, send, fence_result_*()
 *	… m.outcome …
 *
 * Any time may pass, and any other nexus may do anything, between two steps: only the device decides, by the
 * compare-and-swap that PREEMPT and REGISTER are. A machine may be abandoned between steps; then nothing is known
 * until FENCE_OP_READ has looked. Theory of operation: arbitrate.c. Context: pure, any thread.
 */
#ifndef LUNWARD_FENCING_ARBITRATE_H
#define LUNWARD_FENCING_ARBITRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "fencing/key.h"
#include "fencing/prcmd.h"

/*
 * What to do. @key is the caller's own key; every nexus but the data nexuses of JOIN, REKEY and LEAVE is "the node's".
 *
 *   READ     look: keys, holder. @key says which cluster is ours (foreign, max_epoch); it may be 0.
 *            OK.
 *   TAKE     become the holder with the new @key. @expect: the holder that was read, 0 for none. The node must not
 *            have any I/O in flight, or ready to go, through this nexus: it is registered before it has won.
 *            OK: holder is @key, no other registration is left on the LUN. LOST: not @expect (any more), or somebody
 *            else was faster, or the owner removed our registration: own registration is withdrawn. FOREIGN: nothing
 *            was taken (before the win), or a foreign nexus registered while we took (view.holder == @key: our
 *            reservation is kept). ERROR: unknown; READ before anything else, and never serve.
 *            Taking again with @expect == @key, or an own older key on our nexus (after a reboot), is fine.
 *   BUMP     holder goes from @expect to @key (same node, later epoch) on our nexus: REGISTER as compare-and-swap,
 *            read back. OK. LOST: fenced; stop at once. ERROR: stop serving commits until READ has shown who holds.
 *   SWEEP    holder (must be @key) removes registrations of this cluster's *other* nodes: challengers that died.
 *            OK. LOST: fenced. Own data nexuses are left alone, whatever their epoch.
 *   RELEASE  holder (@key) gives the LUN back: all of this cluster's registrations go, the reservation with them.
 *            All data nexuses must be drained and gone. OK. LOST: not the holder; nothing was changed. Foreign
 *            registrations are left.
 *   JOIN     data nexus: register with the group's @key, then the holder's key must be exactly @key. OK: I/O may
 *            start. LOST: fenced (unregistered again) - unless view.holder is another epoch of the same node: then the
 *            group's key is just moving on, and the caller joins again, with the key that it is told. For a new
 *            nexus, or before its first I/O, with nothing in flight.
 *   REKEY    data nexus goes from @expect to @key: compare-and-swap on its own registration. OK. LOST: fenced.
 *   LEAVE    data nexus unregisters from @key, after its last I/O has ended. OK also if it was not registered.
 */
enum fence_op {
	FENCE_OP_READ,
	FENCE_OP_TAKE,
	FENCE_OP_BUMP,
	FENCE_OP_SWEEP,
	FENCE_OP_RELEASE,
	FENCE_OP_JOIN,
	FENCE_OP_REKEY,
	FENCE_OP_LEAVE,
	FENCE_OP__MAX
};

struct fence_request {
	enum fence_op op;
	uint64_t key;
	uint64_t expect;
	bool plain_preempt;  /* device lacks PREEMPT AND ABORT and the administrator accepts that a dead node's
			      * queued writes may still land: use PREEMPT */
};

enum fence_verdict {
	FENCE_OK,
	FENCE_LOST,
	FENCE_FOREIGN,
	FENCE_ERROR,
	FENCE_VERDICT__MAX
};

enum fence_why {             /* of FENCE_ERROR */
	FENCE_WHY_NONE,
	FENCE_WHY_UNREACHABLE,   /* no path to the device, or it stopped answering */
	FENCE_WHY_UNSUPPORTED,   /* the device lacks what is needed */
	FENCE_WHY_DEVICE,        /* the device refused or answers nonsense */
	FENCE_WHY_TIMEOUT,       /* the whole operation took too long */
	FENCE_WHY_CANCELED,
	FENCE_WHY_REQUEST,       /* the request itself is wrong */
};

struct fence_view {              /* what was read of the device last */
	bool valid;              /* keys and holder have been read in this operation */
	bool truncated;          /* more registrations than FENCE_KEYS_MAX */
	uint8_t type;            /* 0: no reservation */
	uint32_t generation;
	uint64_t holder;         /* 0: none */
	uint64_t foreign;        /* a foreign key that is registered or holds; 0: none */
	uint32_t max_epoch;      /* largest epoch of any registration of this cluster (the one of @key) */
	unsigned int n_keys;
	uint64_t keys[FENCE_KEYS_MAX];  /* one entry a registration: several nexuses can have the same key */
};

struct fence_outcome {
	enum fence_verdict verdict;
	enum fence_why why;
	bool touched;            /* the device may have been changed by us */
	unsigned int commands;   /* sent in all */
	char text[FENCE_TEXT];   /* in words, with what to do; empty if OK */
	struct fence_view view;
};

struct fence_machine {
	struct fence_request req;
	struct fence_outcome outcome;
	/* private to arbitrate.c and its parts */
	const struct fence_program *program;
	unsigned int phase, state;   /* of the engine; of the program */
	uint16_t cluster;
	uint8_t node, type;
	bool no_aptpl, pending, tail; /* APTPL refused; a change is on its way; outcome stands, only cleaning up */
	unsigned int tries, looks, torn, rounds, refusals;  /* so that nothing goes on for ever */
	struct fence_cmd last;
};

const char *fence_op_name(enum fence_op op);              /* "take" */
const char *fence_verdict_name(enum fence_verdict v);     /* "ok", "lost", "foreign", "error" */
const char *fence_why_name(enum fence_why why);

/** fence_begin() - Set a machine up. A request that is wrong in itself ends with its first step, in words. */
void fence_begin(struct fence_machine *m, const struct fence_request *req);

/**
 * fence_step() - Go on
 * @res:      result of the command that the last step gave; NULL the first time
 * @ret_cmd:  next command, when true is returned
 *
 * Return: true: run @ret_cmd and step again with its result. false: done, see @m->outcome.
 */
bool fence_step(struct fence_machine *m, const struct fence_result *res, struct fence_cmd *ret_cmd);

/** fence_abort() - End it from outside (time over, canceled): outcome ERROR with @why and @text */
void fence_abort(struct fence_machine *m, enum fence_why why, const char *text);

#endif
