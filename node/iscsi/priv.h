/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * priv.h - what the files of node/iscsi share; one section a file
 */
#ifndef LUNWARD_ISCSI_PRIV_H
#define LUNWARD_ISCSI_PRIV_H

#include "node/iscsi/isc.h"
#include "node/iscsi/pdu.h"
#include "node/iscsi/text.h"

struct login;
struct held;
struct textreq;
struct retain;

/**
 * enum conn_state - Life of one connection; only conn.c writes it
 *    CONN_LOGIN     Operations: login PDUs only. Caveats: no session, digests off, 8 KiB data segments
 *    CONN_PARKED    Operations: isc_login_admit(), isc_login_refuse(). Caveats: nothing may be received
 *    CONN_FULL      Operations: everything
 *    CONN_LOGOUT    Operations: answers of running tasks, isc_logout_complete(). Caveats: received PDUs are dropped
 *    CONN_CLOSING   Operations: sending what is queued. Caveats: nothing is received; tasks complete without answer, or
 *                   (error recovery level 2) wait with it
 *    CONN_LOST      Operations: isc_conn_free(), TASK REASSIGN from another connection (lost.c). Caveats: nothing is sent or
 *                   received; it is one of sess->lost, not of sess->conns
 */
enum conn_state { CONN_LOGIN, CONN_PARKED, CONN_FULL, CONN_LOGOUT, CONN_CLOSING, CONN_LOST };

/* ---- task.c ---- */

/**
 * enum task_state - Who has the next move
 *    TASK_HELD      Caveats: waits for earlier CmdSNs; the server does not know it; data goes to the stash
 *    TASK_SERVER    the server has it. Caveats: unsolicited data may come meanwhile: stash
 *    TASK_COLLECT   write data is collected into the server's buffer
 *    TASK_DRAIN     the answer is known; waits for the end of data that is on its way
 *    TASK_SEND      in the transmit queue
 *    TASK_KEPT      answered; its data waits for the acknowledgement (retain.c)
 *    TASK_DEAD      aborted, or acknowledged; waits until nothing of it is being received or sent
 *    TASK_ORPHAN    no connection; the server has it
 */
enum task_state { TASK_HELD, TASK_SERVER, TASK_COLLECT, TASK_DRAIN, TASK_SEND, TASK_KEPT, TASK_DEAD, TASK_ORPHAN };

/* Why write data is incomplete; each has its sense data in 11.4.7.2, but FAULT_ROOM: TASK SET FULL */
enum data_fault { FAULT_NONE, FAULT_CRC, FAULT_UNSOLICITED, FAULT_AMOUNT, FAULT_ROOM };

/* isc_task_init() - A new task of @c, linked; the caller fills in what the command PDU says */
void isc_task_init(struct isc_task *t, struct isc_conn *c, uint32_t itt, bool immediate);
/* isc_task_find() - Not over; on any connection of the session: see t->conn */
struct isc_task *isc_task_find(struct isc_sess *s, uint32_t itt);
/* isc_task_find_kept() - On this connection, also one that is over: the last with this tag */
struct isc_task *isc_task_find_kept(struct isc_conn *c, uint32_t itt);
/* isc_task_find_last() - On any connection, also a lost one, and also one that is over: the last with this tag */
struct isc_task *isc_task_find_last(struct isc_sess *s, uint32_t itt);
/* isc_data_coming() - Data of this task is on its way from the initiator */
bool isc_data_coming(const struct isc_task *t);
/* isc_task_start() - Its CmdSN's turn has come */
void isc_task_start(struct isc_task *t);
/* isc_task_progress() - Data arrived, or its PDU is over: take the next step that has become possible */
void isc_task_progress(struct isc_task *t);
/* isc_task_place() - Where byte @off of its data belongs. Return: room there, at most @len; 0 to throw it away */
uint32_t isc_task_place(struct isc_task *t, uint32_t off, uint32_t len, uint8_t **ret_p);
/* isc_task_sent() - One of its PDUs is gone */
void isc_task_sent(struct isc_task *t);
void isc_task_release(struct isc_task *t);
/* isc_tasks_drop() - The connection ends: release or orphan all */
void isc_tasks_drop(struct isc_conn *c);
/* isc_gone_add() - Data-Out for this ITT may still come, and is to be ignored */
void isc_gone_add(struct isc_conn *c, uint32_t itt);
bool isc_gone_has(const struct isc_conn *c, uint32_t itt);

/* ---- session.c ---- */

/* enum order - What the CmdSN of a request says (4.2.2.1) */
enum order { ORDER_NOW, ORDER_HOLD, ORDER_IGNORE };

/* struct slot - A request that came before its turn: a task, another PDU, or nothing (its PDU was rejected) */
struct slot {
	struct isc_task *task;
	struct held *held;
	bool filled;
};

enum { TASK_BUCKETS = 64 };

/**
 * struct isc_sess - What the connections of a session share
 *  A session owns: the two ports it joins (@who), the session-wide parameters, the command window and all that waits for
 *  its turn in it, the index of tasks by ITT, and task management requests under way.
 *  A connection owns (struct isc_conn): bytes in and out, StatSN, transfer tags, digests and segment lengths, its tasks
 *  (connection allegiance, 4.2.2.1) and logouts. Links from here to a connection (slots, by_itt, tmfs) end with it.
 *  Lives from isc_login_admit() until its last connection is freed (a lost one too), or until isc_sess_put() if that is later.
 */
struct isc_sess {
	struct list conns;            /* struct isc_conn.link, oldest first */
	struct list lost;             /* likewise, in CONN_LOST, newest first */
	unsigned n_conns;
	bool kept;                    /* isc_sess_keep() */
	struct isc_login who;         /* of the leading connection: initiator, isid, target, tpgt, tsih count */
	struct isc_params params;     /* session-wide ones (13, "LO") */
	struct list by_itt[TASK_BUCKETS];
	struct list tmfs;             /* with the server */
	struct list tmf_wait;         /* immediate ones that wait for commands before them, see tmf.c */
	uint32_t exp_cmdsn, max_cmdsn;
	uint32_t window;
	unsigned immediate;           /* immediate tasks and TMFs outstanding */
	uint32_t held_bytes;
	unsigned n_filled;            /* slots */
	struct slot slots[];          /* by CmdSN modulo window */
};

/* isc_sess_new() - With @c as its leading connection; CmdSN from c->login_cmdsn on. Return: NULL: no memory */
struct isc_sess *isc_sess_new(struct isc_conn *c);
void isc_sess_join(struct isc_sess *s, struct isc_conn *c);
/* isc_sess_leave() - @c ends. The last one frees the session */
void isc_sess_leave(struct isc_conn *c);
/* isc_sess_lose() - @c takes no part in it any more, but stays: sess->lost */
void isc_sess_lose(struct isc_conn *c);
/* isc_sess_discard() - Requests of @c that wait for their turn were never received (11.14): their CmdSNs are holes again */
void isc_sess_discard(struct isc_conn *c);
enum order isc_sess_order(const struct isc_sess *s, uint32_t cmdsn, bool immediate);
/* isc_sess_fill() - CmdSN @cmdsn is taken care of: its task, its PDU (copied), or neither. Return: 0, -1 no memory */
int isc_sess_fill(struct isc_conn *c, uint32_t cmdsn, struct isc_task *t, const struct pdu *p);
void isc_sess_advance(struct isc_sess *s);
void isc_sess_credit(struct isc_sess *s);
/* isc_sess_drain() - Run what waited for its turn and now has it */
void isc_sess_run(struct isc_sess *s);
static inline void isc_sess_drain(struct isc_sess *s)
{
	if (s->n_filled || !list_empty(&s->tmf_wait))
		isc_sess_run(s);
}
/* isc_sess_unhold() - Take held tasks away from their slots (their CmdSNs stay filled) and release them.
 * @itt: only this one, or TAG_NONE; @lun: only those, or NULL. Return: how many */
int isc_sess_unhold(struct isc_sess *s, uint32_t itt, const uint8_t *lun, uint32_t before);

/* ---- digest.c ---- */
#define CRC_INIT 0xffffffffu
uint32_t isc_crc(uint32_t crc, const void *p, size_t n);
void isc_crc_put(uint8_t out[DIGEST_LEN], uint32_t crc);
bool isc_crc_ok(uint32_t crc, const uint8_t digest[DIGEST_LEN]);

/* ---- rx.c ---- */
enum rx_state { RX_HEADER, RX_DATA, RX_TAIL };

struct rx {
	enum rx_state state;
	uint32_t have, need;          /* header or tail bytes: there, and wanted before the next step */
	uint32_t dsl, got;            /* data segment: its length, received so far */
	uint32_t crc;
	bool skip;                    /* rejected or ignored: the data goes nowhere */
	enum order order;
	struct isc_task *task;        /* the data is this task's */
	uint32_t off;                 /* ... from this byte of its buffer on */
	bool direct;                  /* ... which is the server's own (and not the stash) */
	uint8_t *dst;                 /* where data goes ... */
	uint32_t dst_len;             /* ... this much of it; the rest is thrown away */
	uint8_t *own;                 /* data segment of a PDU that is not a task's */
	uint8_t hdr[BHS_LEN + AHS_MAX + DIGEST_LEN];
	uint8_t tail[3 + DIGEST_LEN];
};

void isc_rx_init(struct isc_conn *c);
void isc_rx_free(struct isc_conn *c);

/* ---- dispatch.c: full feature phase ---- */

/* struct op - How a request is handled */
struct op {
	bool numbered;                /* has a CmdSN that counts */
	bool discovery;               /* allowed in a discovery session (4.3) */
	bool data;                    /* may have a data segment */
	/* check() - Return: 0, or the reason to reject it with. No side effects. */
	enum isc_reject (*check)(struct isc_conn *c, const struct pdu *p);
	/* begin() - The header is there: say where the data goes. NULL: into memory, then run(). Return: 0 or a reason */
	enum isc_reject (*begin)(struct isc_conn *c, const struct pdu *p);
	/* run() - All of it is there, and its turn has come */
	void (*run)(struct isc_conn *c, const struct pdu *p);
};

/* Called by rx.c. isc_pdu_bad_digest(): the data digest is wrong, instead of isc_pdu_end() */
void isc_pdu_begin(struct isc_conn *c, const struct pdu *p);
void isc_pdu_end(struct isc_conn *c, const struct pdu *p);
void isc_pdu_bad_digest(struct isc_conn *c, const struct pdu *p);
const struct op *isc_op_find(const uint8_t *bhs);

extern const struct op isc_op_cmd, isc_op_data_out, isc_op_nop, isc_op_tmf, isc_op_text, isc_op_logout;

/* ---- tx.c ---- */
enum tx_kind { TX_TASK, TX_CTL, TX_KEPT, TX_AGAIN };

/* struct ctl - A PDU that is no task's, with its own copy of its data */
struct ctl {
	struct isc_txn tx;
	bool statsn;                  /* StatSN is to be advanced */
	bool kept;                    /* retain.c has it */
	bool reassigns;               /* the response to TASK REASSIGN: its R2Ts wait for it */
	unsigned refs;                /* PDUs of it that are queued or made and not wholly sent */
	uint8_t bhs[BHS_LEN];
	uint32_t len;
	uint8_t data[];
};

/* struct txpdu - A PDU made and not wholly sent */
struct txpdu {
	uint8_t head[BHS_LEN + DIGEST_LEN];
	uint8_t tail[3 + DIGEST_LEN];
	uint8_t head_len, tail_len;
	const uint8_t *data;
	uint32_t data_len;
	struct isc_task *task;
	struct ctl *ctl;
};

enum { TX_RING = 64, TX_AHEAD = 512 * 1024 };

struct tx {
	struct list queue;            /* struct isc_txn, in the order of responses */
	struct list r2tq;             /* tasks that may ask for data; before the queue */
	uint32_t head, tail;          /* of the ring; never wrapped */
	size_t sent;                  /* bytes of ring[head] that are gone */
	size_t built;                 /* bytes in the ring, sent ones not counted */
	size_t backlog;               /* bytes of control PDUs queued */
	bool told;                    /* ops->tx_ready() was called, isc_tx_iov() has not given 0 since; or nobody is to hear */
	unsigned reassigns;           /* responses to TASK REASSIGN in the queue: no R2T before them (11.5.1) */
	struct txpdu ring[TX_RING];
};

void isc_tx_init(struct isc_conn *c);
void isc_tx_free(struct isc_conn *c);
void isc_tx_task(struct isc_task *t);
void isc_tx_r2t(struct isc_task *t);
void isc_tx_txn(struct isc_conn *c, struct isc_txn *n);
/* isc_ctl_put() - Free it, unless it is used or kept */
void isc_ctl_put(struct ctl *ctl);
struct ctl *isc_ctl_new(uint8_t opcode, uint8_t flags, uint32_t itt, uint32_t len);
/* isc_ctl_send() - Queue; with @statsn the PDU takes a StatSN of its own. @ctl may be NULL (no memory): closes */
void isc_ctl_send(struct isc_conn *c, struct ctl *ctl, bool statsn);
void isc_tx_sns(struct isc_conn *c, uint8_t *bhs, bool advance);

/* ---- data_in.c: PDUs of a task ---- */
/* isc_build_task() - Fill in the next PDU of @t: Data-In or SCSI Response; t->built after the last */
void isc_build_task(struct isc_conn *c, struct isc_task *t, struct txpdu *out);
/* isc_build_r2t() - Return: true if @t wants to send another one */
bool isc_build_r2t(struct isc_conn *c, struct isc_task *t, struct txpdu *out);

/* ---- reject.c ---- */
void isc_reject(struct isc_conn *c, const struct pdu *p, enum isc_reject reason);

/* ---- login.c, security.c ---- */
void isc_login_pdu(struct isc_conn *c, const struct pdu *p);
void isc_login_free(struct isc_conn *c);

/* ---- textreq.c ---- */
void isc_text_free(struct isc_conn *c);

/* ---- tmf.c ---- */
/* isc_tmf_forget() - @t is released: no TMF may point to it */
void isc_tmf_forget(struct isc_sess *s, const struct isc_task *t);
void isc_tmf_drop(struct isc_conn *c);
/* isc_tmf_ready() - Hand over those that waited for nothing but CmdSNs that are there now */
void isc_tmf_ready(struct isc_sess *s);

/* ---- logout.c ---- */
void isc_logout_drop(struct isc_conn *c);
/* isc_logout_orphan() - Logouts that came on @c are answered to nobody */
void isc_logout_orphan(struct isc_conn *c);

/* ---- conn.c ---- */
enum { GONE_MAX = 32 };

struct isc_conn {
	const struct isc_ops *ops;
	void *user;
	struct isc_config cfg;
	enum conn_state state;
	bool closed;                  /* ops->closing() was called */
	bool recovers;                /* CONN_CLOSING: its tasks will wait for another connection */
	bool cleaned;                 /* CONN_LOST: it was logged out for recovery, its tasks may be reassigned */
	struct isc_sess *sess;        /* from the end of login on */
	struct list link;             /* sess->conns */
	struct login *lg;             /* until the login is over */
	struct textreq *text;
	struct retain *retain;        /* NULL: error recovery level 0 */
	uint32_t statsn;              /* next to be given */
	uint32_t next_ttt;
	uint32_t nop_ttt;             /* of our NOP-In that is unanswered, or TAG_NONE */
	uint32_t login_cmdsn;         /* ExpCmdSN before there is a session */
	unsigned n_tasks;
	struct list tasks;
	struct list logouts;          /* that came on it, with the server */
	uint32_t gone[GONE_MAX];
	unsigned gone_next;
	struct isc_login login;
	struct isc_params params;
	struct isc_stats stats;
	struct rx rx;
	struct tx tx;
};

void isc_conn_set_state(struct isc_conn *c, enum conn_state state);
void isc_conn_close(struct isc_conn *c, enum isc_close why, const char *what);
uint32_t isc_new_ttt(struct isc_conn *c);

#endif
