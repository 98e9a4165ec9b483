/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control.h - the control thread, listeners, the two ways to run; private to node/, see node.h */
#ifndef LUNWARD_NODE_CONTROL_H
#define LUNWARD_NODE_CONTROL_H

#include "node/registry.h"

/* ---- listen.c [C] ---- */
struct listener {
	struct list link;            /* group.listeners */
	struct group *group;
	char text[CONF_TARGET_ADDRESS_MAX];
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int fd;
	bool wanted, fresh, paused, watched;
	qb_loop_timer_handle timer;
};
/** listen_open() - Open a group's portals as of @conf, those that are open already are kept; accept nothing yet.
 * Return: 0, or -errno and @err: nothing has changed */
int listen_open(struct group *g, const struct conf_group *conf, char *err, size_t err_len);
/** listen_settle() - After a listen_open(): close what is not wanted any more, accept on the others */
void listen_settle(struct group *g);
/** listen_rollback() - Instead: as before the listen_open() */
void listen_rollback(struct group *g);
void listen_close(struct group *g);
/** listen_pause(), listen_resume() - Leave connections in the backlog, for a while */
void listen_pause(struct group *g);
void listen_resume(struct group *g);
/** listen_reset() - Whoever waits in the backlog is reset, and may come again */
void listen_reset(struct group *g);
/** listen_inherit() - Descriptors in LUNWARD_LISTEN_FDS, to be used by listen_open() */
void listen_inherit(struct control *ctl);

/* ---- control.c [C] ---- */
struct control {
	qb_loop_t *loop;
	struct queue in;
	struct reactor *reactor;
	unsigned n_reactors, next_reactor;
	uint64_t accepted;           /* connections so far */
	int start_fd;                /* eventfd: a reactor came up */
	char initiator[CONF_ISCSI_NAME_MAX + 1];  /* our name towards iSCSI LUNs */
	bool cluster;                /* started by clusterd: drops are silent, records go to it */
	struct view *view;
	const char *only;            /* the one group that is ours; NULL: all of the document */
	bool applying;
	struct list groups, lus, sessions;
	struct list conns;           /* all that have asked to log in */
	uint16_t next_tsih;
	qb_loop_timer_handle login_timer;
	int inherited[64];
	unsigned n_inherited;
	/* commit.c */
	struct list ops;             /* waiting */
	struct list batch;           /* in flight */
	struct list dirty_groups;
	struct group *commit_group;  /* whose it is */
	uint64_t ticket;
	bool committing;
	/* to where records go: link.c or standalone.c. Return: 1: will be told by commit_result(); 0: done; -1: failed */
	int (*store)(struct control *ctl, struct group *g, uint64_t ticket, const Lunward__RecordBody *body);
	void (*on_fenced)(struct group *g, const char *lun, const char *detail);
	void (*on_first)(struct group *g, const char *initiator, bool login);
	void *shell;                 /* standalone's or link's */
	bool down;                   /* groups are; logical units are on their way */
	bool stopping;               /* the end has begun: nothing new */
	unsigned closing;            /* groups on their way down, and one for the walk over them */
	int exit_status;
};

/** control_init() - Loop, queue, reactors. @n_reactors 0: one a core up to 4. Return: 0, or -errno, said on the log */
int control_init(struct control *ctl, unsigned n_reactors);
void control_fini(struct control *ctl);
/** control_down() - Drop all groups, give up all logical units, then end the loop */
void control_down(struct control *ctl);
void control_check_down(struct control *ctl);
void control_send(struct control *ctl, struct msg *m);   /* [any] to the control thread */
/* ---- apply.c [C] ---- */
/** control_apply() - Serve @conf from now on (taken over in any case); @done when the old one is gone everywhere.
 * Return: 0, or -errno and @err: nothing has changed */
int control_apply(struct control *ctl, struct conf *conf, void (*done)(struct control *ctl), char *err, size_t err_len);

/* ---- report.c [C] ---- */
/** report_make() - @done gets it, without its state, and must not keep it */
void report_make(struct group *g, uint64_t cookie, void (*done)(struct group *g, Lunward__TargetReport *r));

/* ---- standalone.c, member.c: the two ways to run. Return: exit status ---- */
int member_run(const char *group, unsigned n_reactors);
int standalone_run(const char *file, const char *state_dir, unsigned n_reactors, int ready_fd);
int standalone_check(const char *file);

#endif
