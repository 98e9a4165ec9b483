/* SPDX-License-Identifier: GPL-2.0-or-later */
/* group.h - groups: their states, and draining them; private to node/, see node.h */
#ifndef LUNWARD_NODE_GROUP_H
#define LUNWARD_NODE_GROUP_H

#include "node/lu.h"

/* ---- group.c [C] ---- */

/**
 * enum group_state - What this process is to a group
 *    GROUP_STANDBY     logins are parked
 *    GROUP_ACTIVATING  LUNs are being opened under a key; logins are parked
 *    GROUP_ACTIVE      logins are admitted, commands run. The only state in which the record changes
 *    GROUP_QUIESCING   nothing new is read; what was asked for is answered
 *    GROUP_DRAINED     quiesced, disks closed, sockets open and silent until group_drop()
 *    GROUP_DROPPING    sockets and disks are being closed
 *    GROUP_FENCED      everything dropped; only group_drop() or group_activate() leaves it
 */
enum group_state {
	GROUP_STANDBY,
	GROUP_ACTIVATING,
	GROUP_ACTIVE,
	GROUP_QUIESCING,
	GROUP_DRAINED,
	GROUP_DROPPING,
	GROUP_FENCED,
};

struct group;
/* @err: NULL: done; "fenced"; or what was wrong in words */
typedef void group_step_fn(struct group *g, void *arg, const char *err);

struct group {
	struct list link;            /* control.groups */
	char name[CONF_NAME_MAX + 1];
	struct control *ctl;
	const struct conf_group *conf;   /* of the newest view; NULL: not in it */
	bool wanted;
	enum group_state state;
	uint64_t key;
	struct list listeners;
	unsigned chain;              /* counts commands: whatever an older one was about is over */
	group_step_fn *done;         /* of the command under way */
	void *done_arg;
	uint64_t began_us;
	bool first_login, first_io;  /* not yet reported since the activation */
	bool drain_over;
	qb_loop_timer_handle timer;  /* retry of failed LUNs, or end of a drain */
	unsigned drained, dropped;   /* connections, of the last drain or drop */
	/* commit.c */
	struct list dirty;           /* control.dirty_groups */
	uint64_t seq;                /* standalone: of the record on disk */
	Lunward__RecordBody *loaded; /* record of the last activation: whom it knows */
	void *saved;                 /* standalone: what is on disk */
	size_t saved_len;
};

struct group *group_find(struct control *ctl, const char *name);
struct group *group_new(struct control *ctl, const char *name);
const char *group_state_name(enum group_state s);
/** group_activate() - Open all LUNs under @key and let logins in; LUNs that do not open are tried again */
void group_activate(struct group *g, uint64_t key, group_step_fn *done, void *arg);
/** group_open_new() - LUNs were added to an active group */
void group_open_new(struct group *g);
/** group_drain() - Finish what was asked for, say goodbye, close disks, keep the sockets silent */
void group_drain(struct group *g, uint32_t timeout_ms, group_step_fn *done, void *arg);
/** group_drop() - Close every connection at once (silently in a cluster), close disks, back to standby */
void group_drop(struct group *g, group_step_fn *done, void *arg);
void group_rekey(struct group *g, uint64_t old_key, uint64_t new_key, group_step_fn *done, void *arg);
void group_fenced(struct group *g, const char *lun, const char *detail);
/** group_fenced_here() - [R] A disk met a reservation conflict: drop all here, now, then tell everybody */
void group_fenced_here(struct rlu *l, const char *detail);
/** group_first() - A login or an I/O: the shell hears of the first after each activation */
void group_first(struct control *ctl, struct group *g, const char *initiator, bool login);
/** group_remove() - It is not in the newest view any more */
void group_remove(struct group *g);

/* ---- drain.c ---- */

/*
 *    DRAIN_QUIESCE    stop reading, let tasks end, send answers and goodbye; connections in login are reset
 *    DRAIN_CLOSE      close sockets; tasks may still be with the disks
 *    DRAIN_WAIT_GONE  wait until nothing is left of them
 */
enum drain_kind { DRAIN_QUIESCE, DRAIN_CLOSE, DRAIN_WAIT_GONE };

struct drain {
	struct call call;
	struct group *group;
	enum drain_kind kind;
	enum conn_end end;
	const char *why;
	unsigned left[REACTORS_MAX]; /* connections that are not there yet; slot i is reactor i's */
	unsigned n[REACTORS_MAX];    /* connections that it was about */
	void (*done)(void *arg, unsigned n);
	void *arg;
};
/** drain_start() - [C] Begin; @done when all are there, with the number of connections it was about */
void drain_start(struct group *g, enum drain_kind kind, enum conn_end end, const char *why,
		void (*done)(void *arg, unsigned n), void *arg);
/** drain_conn_settled() - [R] A connection has taken a step towards its end */
void drain_conn_settled(struct conn *c);
/** drain_conn_leaves() - [R] It moves to another reactor: no drain of this one counts on it any more */
void drain_conn_leaves(struct conn *c);

#endif
