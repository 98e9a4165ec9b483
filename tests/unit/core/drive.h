/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drive.h - one core (node 1, alpha), and everything around it as a script
 *
 * Whatever the core asks for is written down as a word, and answered at once as long as nothing is switched to fail:
 *	read take bump sweep release (with the LUN's number unless it is 0)   store   push final   fetch
 *	start configure activate drain drop rekey kill stop   ok no (a change answered)   up! up down   exit
 * States and acknowledgements that it multicasts are not words. Peers are 2 (beta) and 3 (gamma); a peer that is live
 * says that it is standing by, says something now and then, and acknowledges what is pushed to it, unless told
 * otherwise.
 */
#ifndef LUNWARD_TESTS_CORE_DRIVE_H
#define LUNWARD_TESTS_CORE_DRIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/core/core.h"

#define NODES 3u
#define LUNS 3u
#define PENDING 256u
#define HELD 16u

struct pending { struct core_event ev; char text[2 * CORE_TEXT_MAX]; };
struct peer_script {
	bool live, mute, stuck, eligible, draining, store_failed;
	enum { ACK_OK, ACK_REFUSE, ACK_NEVER } acks;
	enum core_state state;
	uint32_t key_epoch;
	struct core_record record;     /* what it holds, and hands out */
	const char *why;
};
struct drive {
	struct core *core;
	uint64_t now, ring;
	char words[4096];
	char result[1024];             /* last answer to the administrator */
	bool result_ok;
	unsigned n_results;
	struct core_key lun[LUNS];
	enum core_fence_status fail[LUNS]; /* instead of the truth, while not OK */
	bool hold_fence, hold_store;   /* no answers; those of the LUNs wait for drive_answer() */
	uint64_t slow_take;            /* ms until a TAKE is answered */
	bool disk_full;
	bool hold_target;              /* the process does not answer */
	const char *activate_error;
	bool quorate, quorum_lags;
	bool deaf;                     /* our own multicasts do not come back */
	struct core_record disk;
	struct peer_script peer[NODES + 1];
	struct pending q[PENDING];
	unsigned n;
	struct core_action held[HELD];
	unsigned n_held;
	/* configuration */
	unsigned n_nodes, n_luns, n_groups;
	bool failback;
	uint64_t version;
	uint8_t order[NODES];
	const char *luns[LUNS];
};

/** drive_new() - Not started yet: set up LUNs, disk, peers, then drive_start() */
struct drive *drive_new(unsigned n_nodes);
void drive_free(struct drive *d);
/** drive_start() - @hello: state of a target that outlived clusterd; CORE_T_NONE: there is none */
void drive_start(struct drive *d, enum core_target_state hello, uint32_t key_epoch);
void drive_restart(struct drive *d, enum core_target_state hello, uint32_t key_epoch);
/** drive_members() - Membership is as drive.peer[].live says; @why for those who left */
void drive_members(struct drive *d, enum core_left_reason why);
void drive_say(struct drive *d, unsigned node);        /* a peer announces its script */
void drive_feed(struct drive *d, struct core_event ev);
void drive_run(struct drive *d, uint64_t ms);          /* time passes, timers run, answers come */
void drive_answer(struct drive *d);                    /* what waits of the LUNs */
void drive_target(struct drive *d, enum core_target_event what);
void drive_change(struct drive *d, uint64_t ticket);   /* the target wants a change committed; body is the ticket */
void drive_admin(struct drive *d, enum core_verb verb, uint8_t to, bool force);
void drive_config(struct drive *d);
void drive_serve(struct drive *d);                     /* start, and let it become active with epoch 1 */

struct core_group_view drive_view(const struct drive *d);
struct core_record drive_record(uint8_t node, uint32_t epoch, uint64_t seq);

/* Words since the last time, which must be exactly these. */
#define expect_words(d, w) do { assert_string_equal((d)->words, w); (d)->words[0] = '\0'; } while (0)
#define forget_words(d) ((d)->words[0] = '\0')
#define expect_state(d, s) assert_string_equal(core_state_name(drive_view(d).state), core_state_name(s))
#define expect_in(text, part) do { if (!strstr(text, part)) { \
	print_error("\"%s\" is not in \"%s\"\n", part, text); fail(); } } while (0)

#endif
