/* SPDX-License-Identifier: GPL-2.0-or-later */
/* registry.h - who is logged in; records and the only writers of what is in them; private to node/, see node.h */
#ifndef LUNWARD_NODE_REGISTRY_H
#define LUNWARD_NODE_REGISTRY_H

#include "node/group.h"

/* ---- registry.c [C]: who is logged in ---- */
void registry_login(struct msg *m, void *ctl);     /* msg_login of a connection */
void registry_lost(struct msg *m, void *ctl);      /* msg_lost */
void registry_gone(struct msg *m, void *ctl);      /* msg_gone */
void registry_group_active(struct group *g);       /* let parked logins go on */
void registry_moved(struct msg *m, void *ctl);     /* msg_move, back from the reactor that it leaves */
/** registry_is() - Is it an admitted session of the target of @lu, not one that is being ended? */
bool registry_is(const struct session *s, const struct lu *lu);
/** registry_has() - Has this nexus such a session? */
bool registry_has(const struct lu *lu, const struct sc_nexus *nexus);
/** registry_kill() - End a session with all its connections */
void registry_kill(struct session *s, const char *why);
/** registry_admitted() - Sessions of @g that have been admitted and not ended */
unsigned registry_admitted(struct control *ctl, const struct group *g);

/* ---- commit.c [C]: the pipeline ---- */

/*
 * One thing that has to be on record before it takes effect: a reservation command, or a login. Ops are taken in
 * order, in batches: while a batch is being committed, the next ones wait.
 */
struct commit_op {
	struct list link;
	struct group *group;
	/* take() - Work out the change, on the states as they are now. Return: false: the op has ended already */
	bool (*take)(struct commit_op *op);
	/* committed() - It is on record; or (@ok false) it was refused and nothing has changed. Called once. */
	void (*committed)(struct commit_op *op, bool ok);
};
/** commit_submit() - Queue an op; of a group that is not active it ends at once, refused */
void commit_submit(struct control *ctl, struct commit_op *op);
/** commit_dirty() - The record has changed in what nobody waits for (a connection gone, a unit attention) */
void commit_dirty(struct group *g);
/** commit_result() - What became of the commit with this ticket */
void commit_result(struct control *ctl, uint64_t ticket, bool ok);
/** commit_reset() - The group stopped being active: all its ops end, refused */
void commit_reset(struct group *g);

/* ---- record_pr.c: reservations as a message, and back. Pure ---- */
#define RECORD_NEW(Type, init) ({ Type *m_ = malloc(sizeof(*m_)); if (m_) init(m_); m_; })
/** record_put_bytes(), …_string(), …_pr() - Return: false: no memory; what is there already is the message's */
bool record_put_bytes(ProtobufCBinaryData *d, const void *p, size_t n);
bool record_put_string(char **to, const char *s);
bool record_put_pr(Lunward__LuReservations *m, const struct sc_pr *pr);
/** record_nexus() - Return: false: it is none */
bool record_nexus(struct sc_nexus *n, const char *initiator, const ProtobufCBinaryData *isid, uint32_t rtpi);
/** record_get_pr() - Return: a valid state, to be freed; NULL: this is none, or no memory */
struct sc_pr *record_get_pr(const Lunward__LuReservations *m);

/* ---- record.c [C]: state <-> RecordBody ---- */
Lunward__LuReservations *record_lu(const struct lu *lu);
Lunward__Connection *record_connection(const struct conn *c);
/** record_make() - Body with lu->next where changed. Return: malloc()ed message, record_free() it; NULL: no memory */
Lunward__RecordBody *record_make(struct group *g);
void record_free(Lunward__RecordBody *b);
/** record_load() - Replace the group's reservations and unit attentions. @cold: the group was powered off */
int record_load(struct group *g, const Lunward__RecordBody *b, bool cold, char *err, size_t err_len);
/* record_settings.c: the part of record_make() and record_load() that is about settings */
bool record_put_settings(Lunward__RecordBody *b, struct group *g);
int record_load_settings(struct group *g, const Lunward__RecordBody *b, bool cold, char *err, size_t err_len);
/** record_known() - Was this nexus connected according to the record that was loaded last? */
bool record_known(const struct group *g, const struct sc_nexus *nexus, const char *iqn);

/* ---- resv.c [C]: the only writer of reservations ---- */
void resv_task(struct msg *m, void *ctl);          /* task.msg of an SC_OP_CONTROL */
/** resv_event() - Something that may end an SPC-2 reservation (SC_PR_NEXUS_LOSS of @who, SC_PR_RESET). @done: always */
void resv_event(struct lu *lu, enum sc_pr_verb verb, const struct sc_nexus *who, void (*done)(void *arg), void *arg);
/** resv_nexus_loss() - On all logical units of its target */
void resv_nexus_loss(const struct session *s);
/** resv_publish() - All reactors switch to lu->pr; then @old is freed */
void resv_publish(struct lu *lu, struct sc_pr *old);

/* ---- settings.c [C]: the only writer of settings ---- */
void settings_task(struct task *t);                /* an SC_CONTROL_SETTINGS */
/** settings_reset() - A reset: current mode values become the saved ones */
void settings_reset(struct lu *lu);
/** settings_publish() - All reactors take over lu->set */
void settings_publish(struct lu *lu);
/** settings_settle() - A commit has ended: what was being committed is in force, or forgotten */
void settings_settle(struct lu *lu, bool ok);
/** settings_inherit() - @lu takes the place of @old */
void settings_inherit(struct lu *lu, const struct lu *old);

/* ---- tmf_all.c [C]: task management that reaches beyond a session ---- */
void tmf_all_request(struct msg *m, void *ctl);

#endif
