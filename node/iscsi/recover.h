/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recover.h - error recovery levels 1 and up (RFC 7143 chapter 7): what is kept to be sent again, what is asked for again
 *
 * All of it costs nothing at level 0: struct isc_conn.retain is NULL there. Context: as isc.h.
 */
#ifndef LUNWARD_ISCSI_RECOVER_H
#define LUNWARD_ISCSI_RECOVER_H

#include "node/iscsi/priv.h"

/* ---- retain.c: numbered responses, until ExpStatSN acknowledges them (4.2.2.2) ---- */

/**
 * struct kept - One numbered response: how to send it again
 *  A status that rode in a Data-In is sent again as that while its data is there, and as a SCSI Response after.
 */
struct kept {
	struct isc_task *task;        /* its read data is still there */
	struct ctl *ctl;              /* anything with a data segment that is no read data; else … */
	uint8_t bhs[BHS_LEN];         /* … this header is all */
	bool read;                    /* of a SCSI Response: there was read data */
};

struct retain {
	uint32_t acked;               /* ExpStatSN: those before are acknowledged */
	uint32_t from;                /* those from here on are kept; between both: forgotten */
	size_t ctl_bytes;             /* in data segments of control PDUs */
	size_t data_bytes;            /* read data of tasks that wait for their acknowledgement */
	struct list tasks;            /* these tasks, oldest first */
	bool heard;                   /* write data came since isc_conn_tick() */
	struct isc_txn again;         /* in the transmit queue: */
	uint32_t again_sn, again_end; /* ... StatSNs to be sent again */
	struct kept slots[ISC_RETAIN_MAX]; /* by StatSN modulo their number */
};

/* isc_retain_init() - Full feature phase begins at level 1 or more. Return: 0, or -1: out of memory */
int isc_retain_init(struct isc_conn *c);
void isc_retain_free(struct isc_conn *c);
/* isc_retain_ctl() - @ctl was given the StatSN @sn */
void isc_retain_ctl(struct isc_conn *c, struct ctl *ctl, uint32_t sn);
/* isc_retain_task() - @t has got its status, t->statsn. @h: the header of its SCSI Response */
void isc_retain_task(struct isc_conn *c, struct isc_task *t, const uint8_t *h);
/* isc_retain_sent() - The last of @t is gone: the server need not count on it any more, its data stays */
void isc_retain_sent(struct isc_task *t);
/* isc_retain_drop() - @t is released */
void isc_retain_drop(struct isc_task *t);
void isc_retain_ack(struct isc_conn *c, uint32_t exp_statsn);
/* isc_retain_find() - Our answer to the command with this tag, if that was not acknowledged, or NULL */
struct kept *isc_retain_find(const struct isc_conn *c, uint32_t itt);
/* isc_kept_header() - Of a SCSI Response that is kept */
static inline uint8_t *isc_kept_header(struct kept *k) { return k->ctl ? k->ctl->bhs : k->bhs; }
/* isc_retain_knows() - Did we answer a command with this tag, and was that not acknowledged? */
bool isc_retain_knows(const struct isc_conn *c, uint32_t itt);
/* isc_retain_again() - Queue StatSNs @sn … @end - 1, which are kept */
void isc_retain_again(struct isc_conn *c, uint32_t sn, uint32_t end);
/* isc_build_kept() - The next of them */
void isc_build_kept(struct isc_conn *c, struct txpdu *out);

/* ---- snack.c ---- */
extern const struct op isc_op_snack;

/* ---- data_in.c ---- */
/* struct din - A Data-In PDU: its number and place */
struct din {
	uint32_t sn, off, len, burst; /* @burst: bytes of its sequence before it */
	bool end;                     /* of its sequence */
};

/* isc_din_at() - The PDU with DataSN @sn of @t, which was cut as all since t->base_sn */
struct din isc_din_at(const struct isc_conn *c, const struct isc_task *t, uint32_t sn);
/* isc_build_again() - The next of the Data-Ins that were asked for again */
void isc_build_again(struct isc_conn *c, struct isc_task *t, struct txpdu *out);
/* isc_build_last() - The one that carried the status */
void isc_build_last(struct isc_conn *c, struct isc_task *t, struct txpdu *out);
/* isc_task_again() - Queue Data-Ins @sn … @end - 1 */
void isc_task_again(struct isc_task *t, uint32_t sn, uint32_t end);
/* isc_task_not_again() - Those before @sn are not needed, or cannot be had, any more */
void isc_task_not_again(struct isc_task *t, uint32_t sn);
/* isc_task_acked() - Data-Ins before @sn, which is not before t->base_sn, have arrived */
void isc_task_acked(struct isc_task *t, uint32_t sn);
/* isc_task_rewind() - R-Data: all that was not acknowledged once more, and a response with @tag */
void isc_task_rewind(struct isc_task *t, uint32_t tag);

/* ---- recover.c: write data that is lost ---- */

/* isc_lost_add() - Bytes @off … @end - 1 did not arrive (or not well) */
void isc_lost_add(struct isc_task *t, uint32_t off, uint32_t end);
/* isc_lost() - Is there anything to be asked for again? */
bool isc_lost(struct isc_task *t);
/* isc_lost_hopeless() - ... once more than ISC_RECOVER_MAX times for one sequence? */
bool isc_lost_hopeless(struct isc_task *t);
/* isc_lost_unsolicited(), isc_lost_solicited() - @sn is not the DataSN that was expected, the PDU begins at @off.
 * Return: false: it was here before, ignore it */
bool isc_lost_unsolicited(struct isc_task *t, uint32_t sn, uint32_t off);
bool isc_lost_solicited(struct isc_task *t, struct isc_r2t *r, uint32_t sn, uint32_t off);

/* ---- lost.c: connection recovery (error recovery level 2) ---- */

/* isc_lost_conn() - The lost connection with this CID that was not logged out yet, or NULL */
struct isc_conn *isc_lost_conn(const struct isc_sess *s, uint16_t cid);
/* isc_lost_cleaned() - Those with this CID are logged out by a login with it (6.3.4) */
void isc_lost_cleaned(struct isc_sess *s, uint16_t cid);
/* isc_lost_done() - Has the initiator perhaps had the answer to @t, so that its tag may be used again? */
bool isc_lost_done(const struct isc_task *t);
/* isc_lost_forget() - The tag is used again: what there is of it on lost connections is not needed any more */
void isc_lost_forget(struct isc_sess *s, uint32_t itt);

/* struct lost - What a TASK REASSIGN means: one of both */
struct lost {
	struct isc_task *task;
	struct kept *kept;            /* an answer that was sent, and perhaps lost; its task is over */
};

/* isc_lost_soon() - Its connection has logged out for recovery and is about to be lost: wait for that */
bool isc_lost_soon(struct isc_sess *s, uint32_t itt);
/* isc_lost_find() - @exp_datasn: as the request has it. Return: ISC_TMF_COMPLETE and *@ret, or why not */
enum isc_tmf_response isc_lost_find(struct isc_sess *s, uint32_t itt, uint32_t exp_datasn, struct lost *ret);
/* isc_lost_take() - @c goes on with it */
void isc_lost_take(struct isc_conn *c, const struct lost *l, uint32_t exp_datasn);

/* ---- data_out.c ---- */
/* isc_r2t_done() - Nothing more is expected for it */
void isc_r2t_done(struct isc_task *t, struct isc_r2t *r);

#endif
