/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conn.h - TCP connections, sessions, logins; private to node/, see node.h */
#ifndef LUNWARD_NODE_CONN_H
#define LUNWARD_NODE_CONN_H

#include "node/task.h"

/* ---- conn.c, session.c, login.c, itl.c [R] ---- */

/**
 * enum conn_state - Life of one TCP connection
 *  Only conn_set_state() writes it.
 *    CONN_LOGIN     Operations: receive, send; the login timer runs
 *    CONN_PARKED    Operations: receive (to see it close); the login is with the control thread. From here, and only from
 *                   here, it may move to the reactor of its session
 *    CONN_FULL      Operations: all
 *    CONN_QUIESCED  Operations: send. Nothing is read any more; tasks end, their answers are sent
 *    CONN_FLUSHING  Operations: send. The library has closed; last words are on their way
 *    CONN_DYING     the socket is being closed, then tasks drain. Nothing is sent any more
 *    CONN_LOST      no socket; its tasks go on and wait for TASK REASSIGN (error recovery level 2), until the timer ends it
 *    CONN_GONE      no tasks left; the control thread has been told and frees it
 */
enum conn_state { CONN_LOGIN, CONN_PARKED, CONN_FULL, CONN_QUIESCED, CONN_FLUSHING, CONN_DYING, CONN_LOST, CONN_GONE };

/* How to close: FIN; RST; or without a word (TCP_REPAIR; RST where that is not permitted). */
enum conn_end { CONN_END_FIN, CONN_END_RST, CONN_END_SILENT };

/**
 * enum login_state - How far a connection is, as the control thread sees it (registry.c)
 *    LOGIN_PARKED     waits for the group to become active
 *    LOGIN_WAIT_OLD   waits until what it replaces is gone, with its tasks: older sessions of the nexus, or the
 *                     session's connection with the same CID
 *    LOGIN_MOVING     on its way to the reactor of its session. Caveats: nothing may be sent to it
 *    LOGIN_RECORDING  is being committed
 *    LOGIN_LIVE       admitted
 *    LOGIN_LOST       its socket is gone, or on its way to be; its tasks wait to be reassigned, or it ends
 *    LOGIN_KILLED     refused, or is being closed by us; still there until it is gone
 */
enum login_state { LOGIN_PARKED, LOGIN_WAIT_OLD, LOGIN_MOVING, LOGIN_RECORDING, LOGIN_LIVE, LOGIN_LOST, LOGIN_KILLED };

/* What a session keeps for each logical unit (I_T_L nexus). */
struct itl {
	struct sc_itl sc;
	struct itl *next_old;
	struct rlu *lu;
	struct msg note;             /* to the control thread: recorded unit attentions were reported */
	struct session *sess;
	bool note_busy;
	uint64_t ua_seq;             /* last recorded one that was established here; 0: none */
	uint64_t note_seq;           /* the note speaks of those up to this one */
	struct list set;             /* its commands, in order of arrival */
	unsigned n_ordered;          /* of these with the ORDERED attribute */
	unsigned n_waiting;          /* of these that wait for others */
};

struct conn {
	/* reactor's */
	struct reactor *r;
	struct list link;            /* reactor.conns */
	struct list rx_wait;
	struct isc_conn *isc;
	int fd;
	enum conn_state state;
	enum conn_end end;
	struct session *sess;        /* NULL until it is admitted */
	bool moving;                 /* leaves this reactor as soon as the kernel has nothing of it */
	bool recover;                /* the library may keep its tasks when the socket is closed */
	unsigned n_tasks;            /* tasks with t->conn == this */
	unsigned n_collecting;       /* of these, tasks whose write data is still to come */
	unsigned n_held;             /* task management requests on their way */
	unsigned n_ops;              /* requests with the kernel */
	bool rx_busy, tx_busy;
	size_t rx_direct;            /* of the recv under way: bytes that go straight to a task */
	void *rx_spare;              /* beside it */
	struct iovec rx_iov[2], tx_iov[TX_IOV];
	struct msghdr rx_msg, tx_msg;
	struct ring_op rx_op, tx_op;
	struct ring_work tx_work, end_work;
	struct ring_timer timer;
	uint64_t since_us, flush_us; /* accepted; began to flush */
	uint64_t rx_at_us, tx_at_us; /* last bytes received; last send began */
	uint64_t nop_at_us;          /* ping sent, 0: none outstanding */
	unsigned ticks;              /* seconds in full feature phase during which it was read from */
	bool nop_answers;            /* it has answered one: silence means something */
	char name[ADDR_TEXT_MAX + CONF_ISCSI_NAME_MAX + 2];  /* for the log: peer and initiator */
	struct drain *drain;         /* counts on this connection */
	bool said_goodbye;
	/* set once, before the control thread hears of it; read by both */
	struct group *group;
	uint64_t number;             /* in order of acceptance: logins may reach the control thread in another one */
	struct sockaddr_storage peer, local;
	struct sc_nexus nexus;
	char iqn[CONF_ISCSI_NAME_MAX + 1];  /* of the target */
	uint16_t cid, tsih;          /* as the login has them; TSIH 0: the leading connection of a new session */
	uint16_t max_connections;    /* negotiated, if it is the leading one */
	bool discovery;
	bool registered;             /* the control thread knows it (msg_login was sent) */
	struct msg msg_login, msg_lost, msg_gone, msg_free, msg_move;
	/* control thread's; @r too, while LOGIN_MOVING */
	struct list known;           /* control.conns, oldest first */
	struct list of_session;      /* session.conns */
	enum login_state login;
	struct session *session;     /* NULL: not known yet */
	uint64_t since_ms;           /* CLOCK_REALTIME */
	struct login_op *op;         /* while LOGIN_RECORDING */
	bool on_record;              /* or about to be */
	bool lost;                   /* msg_lost has come */
	struct msg msg_kill, msg_lose;
	const char *kill_why;        /* NULL: not sent */
	enum conn_end kill_end;
};

/*
 * What the connections of a session share. Like struct conn it has parts of two threads: the control thread makes it for
 * a leading connection, its reactor uses it from that connection's verdict on. When its last connection is gone the
 * control thread says so, and the reactor frees it. The session's reactor is its leading connection's; others move there.
 */
struct session {
	/* set once, before the reactor hears of it; read by both */
	struct reactor *r;
	struct group *group;
	struct sockaddr_storage peer;/* of the leading connection: its address decides which LUNs there are */
	struct sc_nexus nexus;
	char iqn[CONF_ISCSI_NAME_MAX + 1];  /* of the target */
	bool discovery;
	uint16_t tsih;
	uint64_t number;             /* of the leading connection */
	struct msg msg_end;
	/* reactor's */
	struct list at;              /* reactor.sessions */
	struct isc_sess *isc;        /* kept until the end; NULL: the leading connection was not admitted */
	const struct target *target; /* of reactor.view; NULL: discovery, or not there any more */
	struct sc_target sc;         /* the target as this initiator sees it: its own list of LUNs */
	struct sc_tport port;
	uint16_t *lun_no;            /* LUNs it may know of, ascending; sc.luns */
	struct itl **itl;            /* parallel to lun_no, n_itl of them */
	unsigned n_itl;
	bool masked;                 /* the target has more LUNs than it sees */
	bool logged_out;             /* it is being closed: nobody joins it any more */
	struct sc_copies *copies;    /* what RECEIVE COPY RESULTS may ask about; NULL: nothing yet */
	struct itl *old_itls;        /* of LUNs that were removed: a note may still be on its way */
	struct list logouts;         /* struct logout, session.c */
	/* control thread's */
	struct list link;            /* control.sessions, oldest first */
	struct list conns;           /* its connections, admitted or on their way; the session ends with the last one */
	bool known;                  /* the nexus was on record before: I_T nexus loss, not power on */
	bool live;                   /* its leading connection was admitted, and nobody has ended it */
	uint16_t max_connections;
};

/** conn_new() - [R] Take an accepted socket over; closes it on failure. @number: in order of acceptance */
void conn_new(struct reactor *r, struct group *g, int fd, uint64_t number,
	      const struct sockaddr_storage *peer, const struct sockaddr_storage *local);
/** conn_close() - [R] The connection ends now; harmless when it is ending already. @why: for the log, NULL: silent */
void conn_close(struct conn *c, enum conn_end end, const char *why);
/** conn_lose() - [R] Likewise, but not by anybody's wish: at error recovery level 2 its tasks stay for a while */
void conn_lose(struct conn *c, enum conn_end end, const char *why);
/** conn_lost_for() - [R] A lost connection stays for DefaultTime2Wait + DefaultTime2Retain from now on */
void conn_lost_for(struct conn *c);
/** conn_finish() - [R] Send what is to be sent, then close */
void conn_finish(struct conn *c, const char *why);
/** conn_quiesce() - [R] Stop reading */
void conn_quiesce(struct conn *c);
/** conn_settled() - [R] A quiesced connection has nothing left to do or to say */
bool conn_settled(const struct conn *c);
/** conn_task_gone() - [R] One of its tasks was released */
void conn_task_gone(struct conn *c);
/** conn_rx_resume() - [R] Buffers are free again */
void conn_rx_resume(struct conn *c);
void conn_set_state(struct conn *c, enum conn_state s);
/** conn_move_run() - [R] msg_move: let go of a parked connection; the control thread gets msg_move back, or msg_gone */
void conn_move_run(struct msg *m, void *reactor);
/** conn_adopt_run() - [R] msg_move: a parked connection arrives; c->r is this reactor already */
void conn_adopt_run(struct msg *m, void *reactor);

/* ---- session.c [R]: the reactor's part of struct session ---- */
/** session_begin() - Its leading connection has been admitted by the library */
void session_begin(struct session *s, struct conn *leading);
/** session_end_run() - msg_end: free it */
void session_end_run(struct msg *m, void *reactor);
/** session_logout() - ops->logout */
void session_logout(struct isc_logout *lo);
/** session_conn_gone() - A connection of a session is gone, with all its tasks; or is lost, and its tasks are left */
void session_conn_gone(struct conn *c);
/** session_rejoined() - A CID has logged in again: those lost with it wait from now on for their tasks to be reassigned */
void session_rejoined(struct session *s, uint16_t cid);
/**
 * session_expel() - The initiator has no business here any more: Async Message 3 on an admitted connection, then its end
 * (the caller does the same to the others of the session)
 */
void session_expel(struct conn *c, const char *why);
/** session_drop_conn() - It is dead, perhaps not its session: Async Message 2 with its CID on another connection; its end */
void session_drop_conn(struct conn *c, const char *why);
/** session_finish() - Send what is to be sent on all its connections, then close them */
void session_finish(struct session *s, const char *why);

extern const struct isc_ops conn_isc_ops;
/* login.c: parts of conn_isc_ops */
enum isc_login_status login_lookup(struct isc_conn *isc, const struct isc_login *who, struct isc_verdict *ret);
bool login_chap(struct isc_conn *isc, const struct isc_login *who, const char *user, struct isc_chap *ret);
void login_done(struct isc_conn *isc);
bool login_allowed(const struct conn *c, const struct target *t, const char *initiator);
void login_send_targets(struct isc_conn *isc, const char *name, struct isc_targets *list);

/* The control thread's verdict on a login; malloc()ed, freed by the reactor. */
struct verdict {
	struct msg msg;
	struct conn *conn;
	enum isc_login_status status;
	struct session *sess;
	uint16_t first_ua;           /* for every logical unit */
	size_t n_ua;
	struct verdict_ua { const struct lu *lu; uint16_t code; uint64_t seq; } ua[];
};
void login_verdict(struct msg *m, void *reactor);

/**
 * itls_make() - [R] One for each LUN of @t that this initiator sees, those that exist already are kept
 * Here, at login and after a change of the configuration, is all that access to LUNs costs: commands find what is in the
 * session's own table.
 * Return: 0, 1: the LUNs are others than before; -ENOMEM
 */
int itls_make(struct session *s, const struct target *t, uint16_t first_ua);
/** itls_same() - [R] Would a connection from @peer see the same LUNs? */
bool itls_same(const struct session *s, const struct target *t, const struct sockaddr_storage *peer);
/** itls_drop() - [R] The target is gone: the session has no LUNs any more */
void itls_drop(struct session *s);
/** itl_index() - [R] Index of a LUN number in s->itl, or -1: it does not exist for this session */
int itl_index(const struct session *s, int number);
void itls_free(struct session *s);
struct itl *itl_find(const struct session *s, const struct lu *lu);
/** itl_ua_reported() - [R] A command has just taken a unit attention: tell the control thread if it is recorded */
void itl_ua_reported(struct itl *i);
/** itl_enter(), itl_leave() - [R] A command arrives in, or leaves, its task set */
void itl_enter(struct task *t);
void itl_leave(struct task *t);
/** itl_gate() - [R] Task set management (SAM-5 8): may @t be executed now? Otherwise exec_later() comes for it */
bool itl_gate(struct task *t);

#endif
