/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lu.h - logical units: the control thread's and the reactors' parts; private to node/, see node.h */
#ifndef LUNWARD_NODE_LU_H
#define LUNWARD_NODE_LU_H

#include "node/exec.h"

/* ---- lu.c: logical units. [C] but for struct rlu ---- */

/* A reactor's side of a logical unit. */
struct rlu {
	struct list link;            /* reactor.rlus */
	struct lu *lu;
	struct reactor *r;
	struct sc_lu sc;
	struct disk *disk;           /* NULL: no memory for it */
	struct msg msg;              /* its way to the reactor */
	bool dying;                  /* not in the newest view: no new commands */
	struct ring_timer look;      /* lu_geometry.c */
	struct list gates;           /* gate.c: in order of arrival, the same on all reactors */
	struct list held;            /* tasks behind them */
	uint64_t gate_pos;           /* number of the newest */
};

/** gate_leave() - [R] @t is done with the disk, or ends before it came to it */
static inline void gate_leave(struct task *t)
{
	if (t->gate || (t->on_disk && !list_empty(&t->lu->gates)) || t->gate_pos)
		gate_left(t);
	t->on_disk = false;
}

/* A unit attention on record, for whoever serves the group next. */
struct lu_ua {
	struct list link;
	struct sc_nexus nexus;
	uint16_t code;
	uint64_t seq;
};

enum lu_state { LU_STANDBY, LU_OPENING, LU_OPEN, LU_FAILED };

struct lu {
	/* immutable */
	char iqn[CONF_ISCSI_NAME_MAX + 1];
	uint16_t number;
	struct group *group;
	struct disk_backing *backing;
	char *path, *initiator;      /* of the backing's spec */
	struct conf_lun conf;        /* values only: strings in it are not valid */
	struct sc_lu tmpl;           /* identity */
	struct rlu *at[REACTORS_MAX];/* slot i is reactor i's */
	/* control thread's */
	struct control *ctl;
	struct list link;            /* control.lus */
	bool wanted;                 /* of the newest view */
	enum lu_state state;
	char error[256];
	struct disk_geometry geo;
	struct sc_pr *pr;            /* in force: committed and with all reactors */
	struct sc_pr *next;          /* being committed */
	bool changed;                /* next differs (it may be NULL) */
	struct sc_settings set;      /* as pr, next, changed */
	struct sc_settings set_next;
	bool set_changed;
	struct list aborting;        /* resv.c: PREEMPT AND ABORTs that have not reached all tasks yet */
	struct list deferred;        /* resv.c: reservation commands that they may be about */
	struct list uas;             /* struct lu_ua */
	uint64_t ua_seq;
	unsigned n_gates;            /* between reactors */
	bool closed;                 /* to be freed with the last of them */
};

/** lu_name() - "iqn…/lun" for logs. Return: @buf */
#define LU_NAME_MAX (CONF_ISCSI_NAME_MAX + 8)
const char *lu_name(const struct lu *lu, char buf[LU_NAME_MAX]);
/** lu_find() - By what initiators call it */
struct lu *lu_find(struct control *ctl, const char *iqn, unsigned number);
/** lu_same() - One that is exactly as this configuration says; a file may have to grow for that, and does */
struct lu *lu_same(struct control *ctl, const struct group *g, const char *iqn, const struct conf_lun *conf);
struct lu *lu_new(struct control *ctl, struct group *g, const char *iqn, const struct conf_lun *conf, char *err,
		  size_t err_len);
/** lu_remove() - Stop its disks and free it. No task and no session may refer to it any more. */
void lu_remove(struct lu *lu);
/** lu_gate_ended() - One of n_gates is gone */
void lu_gate_ended(struct lu *lu);
/** lu_take_geometry() - [R] lu_geometry.c: what the disk says becomes what the logical unit says */
void lu_take_geometry(struct rlu *l);
/** lu_check_provisioning() - [R] Thin by the document, but what is below cannot give storage back: say so */
void lu_check_provisioning(const struct rlu *l);
/** lu_look_begin(), lu_look_end() - [R] Look every few seconds whether the disk has grown; its events about that */
void lu_look_begin(struct rlu *l);
void lu_look_end(struct rlu *l);
void lu_resized(struct disk *d, void *rlu);
/** lu_tell() - [R] A unit attention for every session of this reactor */
void lu_tell(const struct rlu *l, uint16_t ua);
/** lu_space(), lu_low_space() - [R] lu_space.c: events of its disk */
void lu_space(struct disk *d, void *rlu, uint64_t used, uint64_t left, bool own);
void lu_low_space(struct disk *d, void *rlu);
/** lu_thresholds() - [R] Space or thresholds have changed: who is to be told? */
void lu_thresholds(struct rlu *l);
/** lu_space_exponent() - [R] Of the threshold sets of an open disk; 0: no thresholds */
uint8_t lu_space_exponent(const struct rlu *l);
/** lu_grow() - `size` of the document has changed */
void lu_grow(struct lu *lu, uint64_t size);
/** lu_start_stop() - task.msg of an SC_CONTROL_START */
void lu_start_stop(struct msg *m, void *ctl);
/** lu_start(), lu_stop(), lu_rekey(), lu_close() - lu_step.c: on all reactors; closed is for ever. @done: status of the worst, and its text */
typedef void lu_step_fn(struct lu *lu, void *arg, enum disk_status s, const char *err);
void lu_start(struct lu *lu, uint64_t key, lu_step_fn *done, void *arg);
void lu_stop(struct lu *lu, lu_step_fn *done, void *arg);
void lu_rekey(struct lu *lu, uint64_t old_key, uint64_t new_key, lu_step_fn *done, void *arg);
void lu_close(struct lu *lu, lu_step_fn *done, void *arg);
void lu_ua_add(struct lu *lu, const struct sc_nexus *nexus, uint16_t code);
void lu_ua_drop(struct lu *lu, const struct sc_nexus *nexus, uint64_t upto);

#endif
