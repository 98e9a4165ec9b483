/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history.h - the history client: an initiator that remembers everything and believes nothing
 *
 *   registers.c  what a block may hold (pure)
 *   session.c    one iSCSI session: connect, log in, settle unit attentions, notice loss, come back
 *   load.c       reads and writes, judged on completion; the final read-back
 *   watch.c      set-up (capacity, reservations), then the reservation watch and the outsider's writes
 *   report.c     JSON lines, gaps, violations, the summary
 *   history.c    options and the event loop
 *
 * One thread. An unanswered write becomes "maybe" and is issued again, unchanged, until it is answered: what a
 * real initiator does. libiscsi's own reconnect is off (it waits seconds, and mixes old and new commands): after
 * a loss the context is destroyed and a fresh one logs in with the same ISID.
 */
#ifndef LUNWARD_TESTS_LAB_HISTORY_H
#define LUNWARD_TESTS_LAB_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "node/util/util.h"
#include "tests/lab/history_client/registers.h"

#define MAX_LUNS 16
#define MAX_SESSIONS 64
#define MAX_DEPTH 64
#define MAX_IO_BLOCKS 16

struct options {
	const char *portal, *target, *log;
	const char *initiator;        /* the outsider is this with ":outsider" */
	unsigned luns[MAX_LUNS], n_luns;
	unsigned sessions, depth, io_blocks, region;   /* region: blocks of 4 KiB a LUN */
	unsigned rate;                /* I/Os a second and session; 0: as fast as it goes */
	unsigned read_percent;
	unsigned seconds;             /* 0: until SIGTERM */
	unsigned pr_type;             /* 0: no reservations */
	bool aptpl, keep_pr, power_cycles, header_digest, fua;
	unsigned connect_ms, login_ms, io_ms, gap_ms, final_s;
	uint64_t seed;
};

/**
 * enum outcome - How a command ended
 *   OUT_GOOD      GOOD
 *   OUT_AGAIN     unit attention, BUSY, TASK SET FULL: to be issued again
 *   OUT_CONFLICT  RESERVATION CONFLICT
 *   OUT_ERROR     any other status: what no initiator may see because of a failover
 *   OUT_LOST      unanswered when the connection went: done or not, nobody knows
 */
enum outcome { OUT_GOOD, OUT_AGAIN, OUT_CONFLICT, OUT_ERROR, OUT_LOST };

struct session;
/* One command; embedded in whoever issues it. @task is set while it is on its way. */
struct cmd {
	struct session *s;
	struct scsi_task *task;
	struct scsi_iovec iov;        /* libiscsi keeps a pointer to it */
	uint64_t issued_us;
	void (*done)(struct cmd *c, enum outcome out);
};

/**
 * enum session_state - Life of a session; only session.c writes it
 *   SESS_DOWN       waits for the next attempt
 *   SESS_CONNECTING TCP; bounded by connect_ms
 *   SESS_LOGIN      bounded by login_ms (a target may hold a login for seconds)
 *   SESS_SETTLING   TEST UNIT READY until every LUN answers GOOD
 *   SESS_READY      commands may be issued
 */
enum session_state { SESS_DOWN, SESS_CONNECTING, SESS_LOGIN, SESS_SETTLING, SESS_READY };

struct io {
	struct cmd cmd;
	bool used, write;
	unsigned lun;                 /* index */
	uint32_t block, n;
	uint32_t seq[MAX_IO_BLOCKS];  /* write: given out; read: floors */
	uint64_t retry_us;            /* not before */
	uint8_t *buf;
};

struct session {
	unsigned index;
	bool outsider;
	enum session_state state;
	struct iscsi_context *iscsi;
	bool lost;                    /* to be torn down by the loop, not inside a callback */
	bool tearing_down;
	char why[160];
	uint64_t deadline_us, next_try_us;
	unsigned attempts, reconnects;
	unsigned settle_lun;
	struct cmd admin;             /* one at a time: settling, set-up, watch */
	struct io *io;
	uint64_t due_us;              /* of the next new I/O */
	uint64_t last_done_us;        /* of the last completed I/O; 0: none yet */
	uint64_t alive_us;            /* of the last word that it does I/O */
	bool first_io_pending;
	uint64_t watch_due_us;
	unsigned watch_lun, watch_part;
};

struct lun {
	unsigned number;
	uint32_t block_size;
	struct reg *reg;
};

struct client {
	struct options o;
	uint64_t run, now_us;
	struct lun lun[MAX_LUNS];
	struct session *s;            /* o.sessions of them, then the outsider if reservations are held */
	unsigned n_sessions;
	bool set_up, stopping, draining, verifying, verified;
	uint64_t rng;
};

extern struct client client;

/* ---- session.c ---- */
void session_init(struct session *s, unsigned index, bool outsider);
void session_tick(struct session *s);
void session_service(struct session *s, int revents);
void session_close(struct session *s);
/** session_events() - What to poll for; *ret_fd is -1 when there is nothing */
int session_events(struct session *s, int *ret_fd);
/** cmd_issued() - Book a task that libiscsi took (NULL: it did not, the session is given up) */
bool cmd_issued(struct session *s, struct cmd *c, struct scsi_task *task);
/** cmd_cb() - libiscsi's callback for every command; private_data is the struct cmd */
void cmd_cb(struct iscsi_context *iscsi, int status, void *command_data, void *private_data);

/* ---- load.c ---- */
void load_init(struct session *s);
void load_tick(struct session *s);
bool load_idle(const struct session *s);
void load_start_verify(void);
bool load_verified(void);

/* ---- watch.c ---- */
void watch_tick(struct session *s);
bool setup_tick(void);
bool teardown_tick(void);

/* ---- report.c ---- */
uint64_t now_us(void);
void report_open(const char *path);
/** event() - One JSON line: {"t": …, "ev": …, "s": …, and @fmt as further members} */
void event(const char *ev, const struct session *s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** violation() - Something that must never happen; counted by kind */
void violation(const char *kind, const struct session *s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void report_done(struct session *s, bool write);
void report_gap_break(struct session *s);
/** report_summary() - To stdout, as JSON. Return: exit status */
int report_summary(void);
const char *json_text(const char *s);

struct counters {
	uint64_t reads, writes, torn, reissued, unit_attentions, busy, timeouts, reconnects, refused;
	uint64_t pr_checks, outsider_conflicts, verified_blocks;
};
extern struct counters counters;

#endif
