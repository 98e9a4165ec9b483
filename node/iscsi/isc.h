/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isc.h - target side of iSCSI (RFC 7143) without any I/O: bytes in, bytes and SCSI tasks out
 *
 * Theory of operation
 *	The server (the reactor) owns sockets, buffers, time and randomness; the library owns the protocol.
 *	For each accepted TCP connection the server makes a struct isc_conn, pushes received bytes into it and
 *	sends what it asks for:
 *
 *		isc_rx(conn, buf, n)                        bytes that were received into a buffer of the server
 *		n = isc_rx_direct(conn, &p)                 or: where the next n bytes belong (a task's buffer),
 *		recv(fd, p, n) ; isc_rx_direct_done(conn, got)
 *		n = isc_tx_iov(conn, iov, max) ; sendmsg() ; isc_tx_done(conn, sent)
 *
 *	Everything else happens in the callbacks of struct isc_ops, made from inside these calls. A session with
 *	all its connections belongs to one thread; the library has no global state and takes no lock. A connection
 *	that has no session yet may be handed to another thread between two calls (a parked login, isc_login_join()).
 *
 *	Callbacks may call any function below for any connection of the session, at once or later, except isc_rx*(),
 *	isc_tx_iov(), isc_tx_done() and isc_conn_free(): those only from the server's own loop. They may come for
 *	another connection than the one that bytes were received for: a command that waited on one connection has
 *	its turn when the CmdSN before it arrives on another.
 *
 * Sessions of several connections (4.2.2, 4.2.3)
 *	The first connection makes the session (isc_login_admit()); further ones name its TSIH and join it
 *	(isc_login_join()). Commands are delivered in CmdSN order whatever connection they came on; data, R2Ts and the
 *	answer of a command stay on the connection it came on. A connection that ends takes its tasks with it, and those
 *	of its commands that were not delivered yet become holes again (11.14); the session lives on with the others
 *	and ends with the last one.
 *
 * Connection recovery (7.1.4.3, error recovery level 2)
 *	When a connection breaks the server calls isc_conn_lose() instead of isc_conn_free(). What is left is a connection
 *	without a socket: its tasks go on and their answers wait. After a logout for recovery, or a login with its CID, TASK
 *	REASSIGN takes them to another connection one by one (ops->task_moved()). The server frees it when DefaultTime2Retain
 *	is over; what was not reassigned ends then as it does at other levels. t->conn is never NULL meanwhile.
 *
 * Who owns a task
 *	A task comes from ops->task_alloc() and goes back by ops->task_release(); in between exactly one side has
 *	the next move:
 *
 *		ops->command(t)                       server's move: it may keep t, or ...
 *		isc_task_expect_data(t, buf, len)     library's move: it collects the write data into buf
 *		ops->data_ready(t)                    server's move: execute
 *		isc_task_complete(t, …)               library's move: it sends data and status; data must stay valid
 *		ops->task_release(t)                  t, its write buffer and its read data are the server's again
 *
 *	Where write data is lost (digest, wrong amount) the library answers CHECK CONDITION itself: task_release() comes
 *	without data_ready().
 *
 *	At error recovery level 1 or more, read data is kept until the initiator has acknowledged the status:
 *	ops->task_keep(t) says so, and task_release() comes later.
 *
 *	When the connection ends (isc_conn_free()), tasks where the library has the move are released at once;
 *	those where the server has it are orphaned: t->conn becomes NULL and isc_task_complete() then releases
 *	them without sending anything. Exactly one task_release() follows every task_alloc().
 *
 * Errors
 *	Two classes. *This PDU or command fails*: Reject PDU (enum isc_reject) or a SCSI status; the connection goes
 *	on and the server hears nothing of it but isc_conn_stats(). *This connection is over*: ops->closing() with an
 *	enum isc_close, once; the server flushes what isc_tx_iov() still gives, closes the socket and frees the conn.
 */
#ifndef LUNWARD_ISCSI_ISC_H
#define LUNWARD_ISCSI_ISC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "node/util/list.h"

/* Limits: all of them, in one place. */
enum {
	ISC_NAME_MAX = 223,           /* iSCSI name, RFC 7143 4.2.7.1 */
	ISC_ALIAS_MAX = 255,
	ISC_CDB_MAX = 260,            /* 16, or an extended CDB (AHS type 1) */
	ISC_SENSE_MAX = 252,
	ISC_SECRET_MAX = 255,         /* CHAP names and secrets */
	ISC_KEY_MAX = 63,             /* key name, 6.1 */
	ISC_VALUE_MAX = 255,          /* value, where no key says otherwise, 6.1 */
	ISC_TEXT_MAX = 16384,         /* one whole login or text request, all its PDUs (C bit) together */
	ISC_TEXT_REPLY_MAX = 1 << 20, /* the whole answer to SendTargets */
	ISC_LOGIN_ROUNDS_MAX = 32,    /* login requests before the connection is given up */
	ISC_LOGIN_PDU_MAX = 8192,     /* MaxRecvDataSegmentLength before and during login, 13.12 */
	ISC_RECV_DSL_MAX = 1 << 18,   /* largest data segment we declare */
	ISC_WINDOW_DEFAULT = 128,     /* commands a session may have outstanding (MaxCmdSN - ExpCmdSN + 1) */
	ISC_WINDOW_MAX = 1024,
	ISC_IMMEDIATE_MAX = 32,       /* immediate commands outstanding a session; more get Reject 0x06 */
	ISC_HELD_BYTES_MAX = 1 << 20, /* data held for commands that wait for a CmdSN hole to be filled */
	ISC_R2T_MAX = 8,              /* MaxOutstandingR2T */
	ISC_CONNECTIONS_MAX = 32,     /* MaxConnections: connections a session */
	ISC_CONNECTIONS_DEFAULT = 8,
	ISC_RETAIN_MAX = 1024,        /* error recovery: responses kept that the initiator has not acknowledged, … */
	ISC_RETAIN_BYTES_MAX = 8 << 20, /* … read data kept with them, … */
	ISC_RETAIN_CTL_MAX = 1 << 20, /* … and data of NOP-In, Text and Reject. The oldest goes; asked for: Reject 0x03 */
	ISC_SILENT_MAX = 6,           /* see isc_conn_tick() */
	ISC_RECOVER_MAX = 16,         /* R2Ts for data lost of one sequence; then its command ends in CHECK CONDITION */
	ISC_TX_BACKLOG_MAX = 1 << 20, /* control bytes queued (NOP-In, Text, Reject) beyond which isc_rx_paused() */
};

/* SCSI task attributes (11.3.1) */
enum isc_attr { ISC_UNTAGGED, ISC_SIMPLE, ISC_ORDERED, ISC_HEAD_OF_QUEUE, ISC_ACA };

/* Task management functions (11.5.1, RFC 7144 6.1) and their responses (11.6.1, RFC 7144 6.2) */
enum isc_tmf_fn {
	ISC_TMF_ABORT_TASK = 1,
	ISC_TMF_ABORT_TASK_SET,
	ISC_TMF_CLEAR_ACA,
	ISC_TMF_CLEAR_TASK_SET,
	ISC_TMF_LUN_RESET,
	ISC_TMF_TARGET_WARM_RESET,
	ISC_TMF_TARGET_COLD_RESET,
	ISC_TMF_TASK_REASSIGN,        /* never reaches the server */
	ISC_TMF_QUERY_TASK,           /* this and what follows: iSCSIProtocolLevel 2 */
	ISC_TMF_QUERY_TASK_SET,
	ISC_TMF_NEXUS_RESET,
	ISC_TMF_QUERY_ASYNC_EVENT,
	ISC_TMF_FUNCTIONS,
};
enum isc_tmf_response {
	ISC_TMF_COMPLETE = 0,
	ISC_TMF_NO_TASK = 1,
	ISC_TMF_NO_LUN = 2,
	ISC_TMF_STILL_ALLEGIANT = 3,
	ISC_TMF_NO_REASSIGN = 4,
	ISC_TMF_NOT_SUPPORTED = 5,
	ISC_TMF_AUTH_FAILED = 6,
	ISC_TMF_SUCCEEDED = 7,        /* of the queries: yes */
	ISC_TMF_REJECTED = 255,
};

/* Login status, class << 8 | detail (11.13.5) */
enum isc_login_status {
	ISC_LOGIN_SUCCESS = 0x0000,
	ISC_LOGIN_MOVED_TEMP = 0x0101,       /* with struct isc_verdict.moved_to */
	ISC_LOGIN_MOVED_PERM = 0x0102,
	ISC_LOGIN_INITIATOR_ERROR = 0x0200,
	ISC_LOGIN_AUTH_FAILED = 0x0201,
	ISC_LOGIN_FORBIDDEN = 0x0202,        /* initiator not in the target's access list */
	ISC_LOGIN_NOT_FOUND = 0x0203,        /* no such target */
	ISC_LOGIN_REMOVED = 0x0204,
	ISC_LOGIN_BAD_VERSION = 0x0205,
	ISC_LOGIN_TOO_MANY_CONNS = 0x0206,
	ISC_LOGIN_MISSING_PARAM = 0x0207,
	ISC_LOGIN_NOT_INCLUDED = 0x0208,     /* target cannot include this connection in the session */
	ISC_LOGIN_BAD_SESSION_TYPE = 0x0209,
	ISC_LOGIN_NO_SESSION = 0x020a,
	ISC_LOGIN_INVALID = 0x020b,          /* invalid during login */
	ISC_LOGIN_TARGET_ERROR = 0x0300,
	ISC_LOGIN_UNAVAILABLE = 0x0301,
	ISC_LOGIN_OUT_OF_RESOURCES = 0x0302,
};

/* Reasons of a Reject PDU (11.17.1): this PDU fails, the connection goes on */
enum isc_reject {
	ISC_REJECT_DATA_DIGEST = 0x02,
	ISC_REJECT_SNACK = 0x03,
	ISC_REJECT_PROTOCOL = 0x04,
	ISC_REJECT_UNSUPPORTED = 0x05,
	ISC_REJECT_IMMEDIATE = 0x06,
	ISC_REJECT_TASK_IN_PROGRESS = 0x07,
	ISC_REJECT_INVALID_SNACK = 0x08,
	ISC_REJECT_INVALID_FIELD = 0x09,
	ISC_REJECT_RESOURCES = 0x0a,
	ISC_REJECT_NEGOTIATION_RESET = 0x0b,
	ISC_REJECT_WAITING_LOGOUT = 0x0c,
};

/* Why a connection is over: nothing more is received; pending bytes are still to be sent, then close it */
enum isc_close {
	ISC_CLOSE_LOGOUT,           /* the logout response is queued */
	ISC_CLOSE_RECOVERY,         /* likewise, and its tasks are to go on elsewhere: isc_conn_lose() */
	ISC_CLOSE_LOGIN_REFUSED,    /* the login response with the status is queued */
	ISC_CLOSE_HEADER_DIGEST,    /* 7.8: at error recovery level 0 the session is recovered */
	ISC_CLOSE_DATA_DIGEST,      /* of a command's immediate data, after a Reject */
	ISC_CLOSE_FRAMING,          /* lengths that make the byte stream meaningless (data segment too long, …) */
	ISC_CLOSE_PROTOCOL,         /* anything else an initiator must not do */
	ISC_CLOSE_RESOURCES,        /* one of the limits above, or out of memory */
};

/* Async Message events (11.9.1) */
enum isc_async {
	ISC_ASYNC_SCSI = 0,
	ISC_ASYNC_LOGOUT_REQUEST = 1,   /* p3: seconds to log out in */
	ISC_ASYNC_DROP_CONNECTION = 2,  /* p1: CID, p2: Time2Wait, p3: Time2Retain */
	ISC_ASYNC_DROP_SESSION = 3,     /* p2: Time2Wait, p3: Time2Retain */
	ISC_ASYNC_NEGOTIATE = 4,        /* p3: seconds */
	ISC_ASYNC_TASKS_TERMINATED = 5, /* FastAbort only */
};

enum isc_digest { ISC_DIGEST_NONE = 1, ISC_DIGEST_CRC32C = 2 };     /* a set: what is acceptable */
enum isc_chap_alg { ISC_CHAP_MD5 = 1, ISC_CHAP_SHA1 = 2, ISC_CHAP_SHA256 = 4, ISC_CHAP_SHA3_256 = 8, ISC_CHAP_ANY = 15 };

struct isc_conn;
struct isc_sess;

/**
 * struct isc_config - What this target offers; copied by isc_conn_new()
 *  isc_config_default() fills in the values in brackets.
 */
struct isc_config {
	uint32_t window;              /* commands outstanding a session [128], 1 … ISC_WINDOW_MAX */
	uint32_t max_recv_dsl;        /* bytes, [256 KiB], 512 … ISC_RECV_DSL_MAX */
	uint32_t max_burst;           /* bytes, [1 MiB], 512 … 2^24-1 */
	uint32_t first_burst;         /* bytes, [256 KiB], ≤ max_burst */
	uint32_t max_outstanding_r2t; /* [8], 1 … ISC_R2T_MAX */
	uint32_t max_connections;     /* [8], 1 … ISC_CONNECTIONS_MAX */
	uint32_t max_send_dsl;        /* bytes, never send larger data segments than this [1 MiB] */
	bool initial_r2t;             /* [false] */
	bool immediate_data;          /* [true] */
	uint16_t time2wait;           /* DefaultTime2Wait, seconds [0] */
	uint16_t time2retain;         /* DefaultTime2Retain, seconds [20]; 0 is answered below error recovery level 2 */
	uint8_t header_digest;        /* set of enum isc_digest [both] */
	uint8_t data_digest;          /* [both] */
	uint8_t chap_algs;            /* set of enum isc_chap_alg [any] */
	uint16_t tpgt;                /* target portal group tag of the portal this connection came in on [1] */
	uint8_t max_erl;              /* ErrorRecoveryLevel, at most [1], 0 … 2 */
};

/**
 * struct isc_login - Who logs in; strings are "" until known, never NULL
 *  Valid from ops->lookup() until isc_conn_free(). Together (initiator, isid) name the initiator port,
 *  (target, tpgt) the target port: the I_T nexus (4.2.7).
 */
struct isc_login {
	char initiator[ISC_NAME_MAX + 1];
	char initiator_alias[ISC_ALIAS_MAX + 1];
	char target[ISC_NAME_MAX + 1];      /* "" in a discovery session that named none */
	char chap_user[ISC_SECRET_MAX + 1]; /* who authenticated, "" without CHAP */
	uint8_t isid[6];
	uint16_t tsih;                      /* as asked for; after isc_login_admit() the one given */
	uint16_t cid;
	uint16_t tpgt;
	bool discovery;
	bool chap_done;                     /* the initiator proved its secret */
};

/** struct isc_verdict - The server's answer to ops->lookup(); strings are copied before the library returns */
struct isc_verdict {
	bool chap;                    /* it has to prove who it is; ops->chap() knows who there is */
	uint8_t chap_algs;            /* set of enum isc_chap_alg; 0: those of the configuration */
	const char *alias;            /* TargetAlias to declare, or NULL */
	const char *moved_to;         /* "address:port[,tpgt]" with ISC_LOGIN_MOVED_* */
	bool time2wait_as_is;         /* answer config.time2wait, not the maximum of both sides (13.15) */
};

/** struct isc_chap - One user's secrets: bytes, not strings, 1 … ISC_SECRET_MAX of them; two different ones (9.2.1) */
struct isc_chap {
	const void *secret;
	size_t secret_len;
	const char *mutual_user;      /* what we call ourselves to it; NULL: we prove nothing to this user */
	const void *mutual_secret;
	size_t mutual_secret_len;
};

/** struct isc_params - What was negotiated (13), in bytes and seconds. The defaults of the RFC before login. */
struct isc_params {
	uint32_t max_recv_dsl;        /* ours */
	uint32_t max_send_dsl;        /* the initiator's MaxRecvDataSegmentLength */
	uint32_t max_burst;
	uint32_t first_burst;
	uint32_t max_outstanding_r2t;
	uint32_t max_connections;
	uint32_t time2wait, time2retain;
	uint32_t erl;
	uint32_t protocol_level;      /* iSCSIProtocolLevel, RFC 7144 */
	uint8_t header_digest;        /* one of enum isc_digest */
	uint8_t data_digest;
	bool initial_r2t;
	bool immediate_data;
	bool data_pdu_in_order;
	bool data_sequence_in_order;
};

/** struct isc_stats - Counters of one connection */
struct isc_stats {
	uint64_t rx_bytes, tx_bytes;
	uint64_t rx_pdus, tx_pdus;
	uint64_t commands;
	uint64_t read_bytes, written_bytes;   /* SCSI data */
	uint64_t rejects;                     /* Reject PDUs sent */
	uint64_t ignored;                     /* PDUs dropped in silence: CmdSN outside the window, data of aborted tasks */
};

/**
 * struct isc_task - One SCSI command
 *  The server embeds it in its own task and finds that by container_of(). Fields above the line are for the
 *  server to read (not to write) from ops->command() on.
 */
struct isc_task {
	struct isc_conn *conn;        /* NULL: orphaned, its connection is gone */
	uint8_t lun[8];               /* as on the wire (SAM-5 4.7) */
	uint8_t cdb[ISC_CDB_MAX];
	uint16_t cdb_len;             /* 16, or more with an extended CDB */
	uint8_t attr;                 /* enum isc_attr; 5 … 7 are passed on as they came */
	bool read, write;             /* R and W bits */
	bool immediate;
	bool aborted;                 /* isc_task_abort() was called: only isc_task_complete() is left to do */
	uint32_t itt;                 /* initiator task tag */
	uint32_t cmdsn;
	uint32_t edtl;                /* expected data transfer length: of the write if W is set, else of the read */
	uint32_t edtl_in;             /* bytes the initiator takes: edtl (R), the AHS's length (R and W), else 0 */
	uint32_t edtl_out;            /* bytes the initiator gives: edtl (W), else 0 */
	uint8_t *buf;                 /* as given to isc_task_expect_data() */
	uint32_t buf_len;
	uint32_t received;            /* bytes in buf at ops->data_ready() */
	/* ---- the library's own from here on ---- */
	const struct isc_ops *ops;
	uint8_t state;                /* enum task_state, priv.h */
	uint8_t status;
	uint8_t fault;                /* enum data_fault: write data lost; CHECK CONDITION in the end */
	uint8_t n_r2t;                /* R2Ts outstanding */
	bool credit;                  /* occupies a place in the command window */
	bool in_pdu;                  /* a PDU with data for it is being received */
	bool unsol_done;              /* no (more) unsolicited data is coming */
	bool built;                   /* its last PDU was made */
	bool over;                    /* ops->task_keep() was called */
	bool numbered;                /* it has its StatSN */
	bool kept;                    /* its data is kept until its status is acknowledged */
	bool in_data;                 /* its status rode in the last Data-In */
	bool late;                    /* its turn comes when its immediate data is there and well */
	bool heard;                   /* data came since isc_conn_tick() */
	uint8_t silent;               /* so many of them ago the last came */
	uint8_t n_recover;            /* R2Ts in a row for lost data */
	uint32_t tx_refs;             /* PDUs made and not wholly sent */
	uint32_t want;                /* bytes to collect: min(buf_len, edtl_out) */
	uint32_t transfer_in, transfer_out; /* what the command would transfer, for the residuals */
	uint32_t next_off;            /* next byte that comes unsolicited, and then: to be asked for by R2T */
	uint32_t unsol_datasn;
	const uint8_t *data;          /* read data */
	uint32_t data_len, data_sent; /* bytes to send; bytes for which PDUs were made */
	uint32_t burst;               /* bytes in the current Data-In sequence */
	uint32_t datasn;              /* next DataSN or R2TSN to send */
	uint32_t segment;             /* Data-Ins from DataSN base_sn on are cut by this length … */
	uint32_t base_sn, base_off, base_burst; /* … beginning here, so many bytes into a sequence */
	uint32_t acked_sn, acked_off, acked_burst; /* Data-Ins before DataSN acked_sn are acknowledged */
	uint32_t statsn;              /* of its status, when built */
	uint32_t snack_tag;           /* of the last R-Data SNACK, or 0 */
	uint32_t again_sn, again_end; /* Data-Ins to be sent again */
	uint32_t lost, lost_end;      /* write data to be asked for again: the hull of all that is missing */
	uint8_t *stash;               /* data that came before the server said where to */
	uint32_t stash_cap;
	uint16_t sense_len;           /* of @sense, SenseLength included; 0: none */
	struct isc_r2t {
		uint32_t ttt, off, len, done, datasn, sn;
		bool again;           /* to be sent again … */
		bool repeated;        /* … because nothing came of it */
	} r2t[ISC_R2T_MAX];
	uint8_t sense[2 + ISC_SENSE_MAX];
	struct list node;             /* in the connection's tasks */
	struct list hash;             /* in the session, by ITT */
	struct list r2tq;             /* wants to send an R2T */
	struct isc_txn {
		struct list node;     /* in the connection's transmit queue */
		uint8_t kind;
	} tx;
	struct isc_txn again;         /* likewise, for Data-Ins to be sent again */
	struct list keptq;            /* in the connection's retained tasks */
};

/**
 * struct isc_tmf - One task management request
 *  The server keeps it until isc_tmf_complete(). For ABORT TASK @task is the live task meant, on whatever connection of
 *  the session, and becomes NULL when that task is released meanwhile, or @conn is gone.
 */
struct isc_tmf {
	struct isc_conn *conn;        /* NULL: connection is gone; isc_tmf_complete() just frees */
	enum isc_tmf_fn fn;
	uint8_t lun[8];               /* not for target resets */
	uint32_t itt, cmdsn;
	struct isc_task *task;
	bool found;                   /* QUERY TASK: the task meant is there */
	uint8_t info[3];              /* Additional Response Information; the server's to fill in */
	void *user;                   /* the server's */
	/* ---- the library's own ---- */
	struct list node;
	bool immediate;
	uint32_t ref_itt, exp_datasn; /* TASK REASSIGN */
};

/**
 * struct isc_logout - One logout request (11.14)
 *  The server keeps it until isc_logout_complete(). The connections that it closes take nothing more from the initiator.
 */
struct isc_logout {
	struct isc_conn *conn;        /* on which it came, and is answered; NULL: that is gone */
	struct isc_conn *victim;      /* what is to be closed, @conn itself or another of the session (NULL: it is gone, or @conn) … */
	bool session;                 /* … or all of them; @victim is @conn */
	bool recovery;                /* @victim's tasks are to go on: isc_conn_lose() it, if that has not been done yet */
	/* ---- the library's own ---- */
	uint32_t itt;
	struct list node;
};
enum isc_logout_response { ISC_LOGOUT_DONE = 0, ISC_LOGOUT_NO_CID = 1, ISC_LOGOUT_NO_RECOVERY = 2, ISC_LOGOUT_FAILED = 3 };

/** struct isc_targets - Where ops->send_targets() puts its answer */
struct isc_targets;

/**
 * struct isc_ops - What the library asks of the server
 *  Context: called on the connection's thread, from inside isc_rx*(), isc_tx_iov(), isc_tx_done(), isc_conn_free() or a
 *  function of the server's own call; must not block.
 */
struct isc_ops {
	/* task_alloc() - Return: memory for a task, contents do not matter, or NULL: answered with TASK SET FULL */
	struct isc_task *(*task_alloc)(struct isc_conn *conn);
	/* task_release() - The last move. @t->conn may be NULL. */
	void (*task_release)(struct isc_task *t);
	/* task_keep() - The answer is sent, but may have to be sent again: only @t's read data has to stay, until
	 * task_release(); as a command it is over. Return: false: it cannot stay, release it now. NULL: never. */
	bool (*task_keep)(struct isc_task *t);
	/* task_moved() - @t has become a task of @t->conn, and was one of @old, a lost connection. May be NULL if that is
	 * never called for. */
	void (*task_moved)(struct isc_task *t, struct isc_conn *old);
	/* command() - A command, in CmdSN order (4.2.2.1), before its data. Answer with isc_task_expect_data(),
	 * isc_task_complete(), or later one of both (data that comes before is copied once more). */
	void (*command)(struct isc_task *t);
	/* data_ready() - After isc_task_expect_data(): @t->received bytes are in @t->buf. Called from inside
	 * isc_task_expect_data() itself when there is nothing to wait for. */
	void (*data_ready)(struct isc_task *t);
	/* tmf() - A task management request. The library resolved ABORT TASK and answered what it could itself. The
	 * server aborts what is to be aborted (isc_task_abort()), and completes when the tasks are gone. */
	void (*tmf)(struct isc_tmf *tmf);

	/* lookup() - May this initiator log in to this target, and how must it prove who it is? Called once a login,
	 * when InitiatorName and TargetName (or SessionType=Discovery) are known; see isc_conn_login().
	 * @ret: zeroed; to be filled in. Return: 0, or the login status to refuse it with. */
	enum isc_login_status (*lookup)(struct isc_conn *conn, const struct isc_login *who, struct isc_verdict *ret);
	/* chap() - The secrets of the user that calls itself @user. Nothing is copied: @ret is used before the library
	 * returns to the server. May be NULL if no verdict asks for CHAP. Return: false: there is no such user. */
	bool (*chap)(struct isc_conn *conn, const struct isc_login *who, const char *user, struct isc_chap *ret);
	/* login_done() - All is negotiated; the final response is held until isc_login_admit(), isc_login_join() (if
	 * isc_conn_login()->tsih is not 0) or isc_login_refuse() is called (inside this callback, or any time later: a
	 * parked login). */
	void (*login_done)(struct isc_conn *conn);
	/* send_targets() - List @name, or all targets that this initiator may see (NULL), with their addresses: for each
	 * isc_targets_name(), then isc_targets_address() any number of times. */
	void (*send_targets)(struct isc_conn *conn, const char *name, struct isc_targets *list);
	/* logout() - The initiator logs out. End the other connections that are meant, and call isc_logout_complete() when
	 * they and their tasks are gone. Tasks of @lo->conn itself may be left to isc_conn_free(), which orphans them. */
	void (*logout)(struct isc_logout *lo);
	/* nop_reply() - The answer to isc_send_nop_in(). May be NULL. */
	void (*nop_reply)(struct isc_conn *conn);
	/* random() - Fill @buf with unpredictable bytes (CHAP challenges) */
	void (*random)(struct isc_conn *conn, void *buf, size_t len);
	/* tx_ready() - There is something to send where there was nothing. Not repeated until isc_tx_iov() gave 0. */
	void (*tx_ready)(struct isc_conn *conn);
	/* closing() - The connection is over, see enum isc_close. @what: a short text for the log, static. Called once.
	 * Send what is left, then close the socket and isc_conn_free(), not from inside the callback. */
	void (*closing)(struct isc_conn *conn, enum isc_close why, const char *what);
};

/** isc_config_default() - Fill in the defaults */
void isc_config_default(struct isc_config *cfg);

/**
 * isc_conn_new() - State for a TCP connection just accepted
 * @ops: must outlive the connection and its orphaned tasks
 * @user: the server's, see isc_conn_user()
 * Return: the connection, in login; or NULL, out of memory.
 * Context: allocates. The server arms a login timer; the library knows no time.
 */
struct isc_conn *isc_conn_new(const struct isc_ops *ops, const struct isc_config *cfg, void *user);

/**
 * isc_conn_free() - The socket is closed
 * Tasks and TMFs of the library's are released, the server's orphaned (see the top of this file).
 * Context: not from a callback.
 */
void isc_conn_free(struct isc_conn *conn);

/**
 * isc_conn_lose() - The socket is closed: keep what connection recovery needs
 * To be called instead of isc_conn_free(), which is still to follow: when the initiator has had DefaultTime2Wait +
 * DefaultTime2Retain seconds (isc_conn_params()), counted again from a logout for recovery or a login with its CID; or
 * earlier. isc_conn_user() goes on to be used. Nothing is to be sent or received any more.
 * Return: false: nothing is kept (not error recovery level 2, Time2Retain 0, no session, or it was logged out for good).
 * Context: not from a callback.
 */
bool isc_conn_lose(struct isc_conn *conn);

void *isc_conn_user(const struct isc_conn *conn);
const struct isc_login *isc_conn_login(const struct isc_conn *conn);
const struct isc_params *isc_conn_params(const struct isc_conn *conn);
const struct isc_stats *isc_conn_stats(const struct isc_conn *conn);
/** isc_conn_full_feature() - Return: true from isc_login_admit() until the connection is closing */
bool isc_conn_full_feature(const struct isc_conn *conn);
/** isc_conn_parked() - Return: true while a login waits for isc_login_admit() */
bool isc_conn_parked(const struct isc_conn *conn);
/** isc_conn_closing() - Return: true after ops->closing(), or isc_conn_lose() */
bool isc_conn_closing(const struct isc_conn *conn);
/** isc_conn_sess() - Return: the session, NULL before isc_login_admit() */
struct isc_sess *isc_conn_sess(const struct isc_conn *conn);
/** isc_sess_find() - Return: the connection of @sess with this CID, or NULL. One that is closing is still found, a lost one is not. */
struct isc_conn *isc_sess_find(const struct isc_sess *sess, uint16_t cid);
/**
 * isc_sess_keep(), isc_sess_put() - The session outlives its last connection until it is put: a connection that takes the
 * place of the only one (6.3.4) finds it as it was. Once each.
 */
void isc_sess_keep(struct isc_sess *sess);
void isc_sess_put(struct isc_sess *sess);
/** isc_sess_conns() - Return: how many connections it has, lost ones not counted */
unsigned isc_sess_conns(const struct isc_sess *sess);
/** isc_connections_max() - How many connections a session may have: at level 2 a second one, to clean up the first (6.3.4) */
static inline uint32_t isc_connections_max(const struct isc_params *p)
{
	return p->erl == 2 && p->max_connections < 2 ? 2 : p->max_connections;
}
/** isc_conn_tasks() - Return: tasks not released yet */
unsigned isc_conn_tasks(const struct isc_conn *conn);

/* ---- error recovery (7) ---- */

/**
 * isc_conn_tick() - Sequence reception timeout (7.1.4.1): to be called every few seconds while it is received from
 * Write data of which nothing came since the last call is asked for again; if data of other commands came, they may be before
 * it, and it is waited for ISC_SILENT_MAX calls. Nothing happens at error recovery level 0.
 */
void isc_conn_tick(struct isc_conn *conn);
/** isc_conn_forget() - Memory is short: release read data that is kept. Who asks for it again gets a Reject. */
void isc_conn_forget(struct isc_conn *conn);

/* ---- bytes in ---- */

/**
 * isc_rx() - Received bytes, any number, cut anywhere
 * Return: 0, or -1: the connection is closing (ops->closing() was called, now or before) and takes no more.
 * Context: the server's loop, not a callback.
 */
int isc_rx(struct isc_conn *conn, const void *buf, size_t len);

/**
 * isc_rx_direct() - Where do the next bytes belong?
 * In the middle of a data segment that goes into a task's buffer the server may receive straight into it.
 * @ret_p: set when the return value is not 0; valid until the next call of isc_rx*() or isc_conn_free()
 *
 * The task that owns the memory may be aborted meanwhile: it is then not released before isc_rx_direct_done().
 * isc_conn_free() does release it: cancel the recv first.
 * Return: how many bytes may be written to *@ret_p (the rest of the data segment), or 0: use isc_rx().
 */
size_t isc_rx_direct(struct isc_conn *conn, void **ret_p);

/** isc_rx_direct_done() - @n bytes (0 … what isc_rx_direct() said) were received there. Return: as isc_rx() */
int isc_rx_direct_done(struct isc_conn *conn, size_t n);

/** isc_rx_paused() - Return: true while the initiator does not read its answers; do not receive until they are sent */
bool isc_rx_paused(const struct isc_conn *conn);

/* ---- bytes out ---- */

/**
 * isc_tx_iov() - What to send next
 * Makes PDUs as needed (Data-In headers, digests). The memory stays valid and unchanged until isc_tx_done() passed it.
 * @max: entries in @iov, at least 4
 * Return: number of entries filled in; 0 if there is nothing to send. Called again without isc_tx_done() it gives the
 * same bytes again, perhaps followed by more.
 */
int isc_tx_iov(struct isc_conn *conn, struct iovec *iov, int max);

/** isc_tx_done() - The first @n bytes of what isc_tx_iov() gave were sent. Releases tasks. */
void isc_tx_done(struct isc_conn *conn, size_t n);

/** isc_tx_pending() - Return: true if isc_tx_iov() would give something */
bool isc_tx_pending(const struct isc_conn *conn);

/* ---- tasks ---- */

/**
 * isc_task_expect_data() - Collect this command's write data
 * Immediate data, unsolicited Data-Out and then R2Ts as negotiated (4.2.5.2, 11.7, 11.8). What the initiator has
 * more than @len is taken and thrown away; if it has less, @t->received says so at ops->data_ready().
 * @buf: at least min(@len, t->edtl_out) bytes, valid until task_release(); may be NULL if that is 0
 * @len: what the CDB asks to transfer, in bytes; makes the residual count together with edtl
 * Context: once a task, from ops->command() or later.
 */
void isc_task_expect_data(struct isc_task *t, void *buf, uint32_t len);

/**
 * isc_task_complete() - Send the answer, then release
 * A GOOD status travels in the last Data-In (11.7.3). An answer given while unsolicited data or data for an R2T is
 * still coming is held until its last PDU was there (11.4.2).
 * @status: SCSI status
 * @sense: fixed or descriptor sense data without length, or NULL; copied; cut at ISC_SENSE_MAX
 * @data: read data, valid until task_release(), of which min(@data_len, t->edtl_in) bytes are sent
 * @data_len: what the command would transfer to the initiator, in bytes; makes the residual count
 * Context: the thread of the connection, also for an orphaned or aborted task (released without sending).
 */
void isc_task_complete(struct isc_task *t, uint8_t status, const void *sense, size_t sense_len,
		       const void *data, uint32_t data_len);

/**
 * isc_task_abort() - Never answer this task (a TMF, PREEMPT AND ABORT, a reset)
 * Return: true: the library had the move, the task is being released (perhaps already, or after bytes on their way;
 * task_release() tells). false: the server has the move; it calls isc_task_complete() as always, nothing is sent.
 */
bool isc_task_abort(struct isc_task *t);

/** isc_task_with_server() - Return: true while the server has the move; else no callback but task_release() follows an abort */
bool isc_task_with_server(const struct isc_task *t);

/** isc_tmf_complete() - Answer and free. @response: enum isc_tmf_response */
void isc_tmf_complete(struct isc_tmf *tmf, enum isc_tmf_response response);

/* ---- login and logout ---- */

/** isc_login_admit() - Let the parked login in. @tsih: not 0; ignored in a discovery session (which gets one too) */
void isc_login_admit(struct isc_conn *conn, uint16_t tsih);
/**
 * isc_login_join() - Let the parked login in as a further connection of @sess (6.3.1)
 * The server has found @sess by the TSIH, and ended an older connection with the same CID (connection reinstatement,
 * 6.3.4): freed it, or lost it, and then its tasks may be reassigned from now on. What differs from the session's ports, is one connection too many or a CID in use is refused here.
 * Return: ISC_LOGIN_SUCCESS, or the status it was refused with.
 */
enum isc_login_status isc_login_join(struct isc_conn *conn, struct isc_sess *sess);
/** isc_login_refuse() - Answer the parked login with this status and close */
void isc_login_refuse(struct isc_conn *conn, enum isc_login_status status);
/**
 * isc_logout_complete() - After ops->logout(): send the response and free @lo; if @lo->conn is among those that were to be
 * closed, ops->closing() follows
 */
void isc_logout_complete(struct isc_logout *lo, enum isc_logout_response response);

/* ---- SendTargets ---- */

/** isc_targets_name() - A target, by its iSCSI name */
void isc_targets_name(struct isc_targets *list, const char *name);
/** isc_targets_address() - An address of the last name. @address: "192.0.2.50:3260" or "[2001:db8::50]:3260" */
void isc_targets_address(struct isc_targets *list, const char *address, uint16_t tpgt);

/* ---- unasked PDUs ---- */

/**
 * isc_send_nop_in() - Ask whether the initiator is there (11.19); ops->nop_reply() tells. One at a time.
 * Return: 0; -1 if one is outstanding still, or the connection is not in full feature phase.
 */
int isc_send_nop_in(struct isc_conn *conn);

/**
 * isc_send_async() - Async Message (11.9)
 * @sense, @sense_len: for ISC_ASYNC_SCSI, with @lun; else NULL, 0
 * Return: 0; -1 if the connection is not in full feature phase, or out of memory.
 */
int isc_send_async(struct isc_conn *conn, enum isc_async event, uint8_t vcode, uint16_t p1, uint16_t p2, uint16_t p3);
int isc_send_async_scsi(struct isc_conn *conn, const uint8_t lun[8], const void *sense, size_t sense_len);

#endif
