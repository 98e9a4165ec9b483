/* SPDX-License-Identifier: GPL-2.0-or-later */
/* load.h - the load generator: a map of its files. One thread, no locks; a failure of any kind ends it (die()) */
#ifndef LUNWARD_BENCH_LOAD_H
#define LUNWARD_BENCH_LOAD_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/bench/pieces.h"

/* ---- load.c: what was asked for ---- */

struct options {
	const char *host, *port, *iqn;
	uint64_t lun;
	unsigned sessions, depth, block;
	unsigned read_percent;
	bool sequential;
	bool header_digest, data_digest;
	bool bare;                   /* the peer is tests/bench/limit: no login, answers come without R2T */
	bool spin;                   /* never sleep: what waking up costs is not the target's fault */
	double warmup, seconds;
	uint64_t span;               /* bytes of the LUN that are used */
	int pid;                     /* whose CPU time to read, 0: nobody's */
};

/* ---- stats.c: what was measured ---- */

enum { LATENCY_SUB = 32, LATENCY_BUCKETS = 40 * LATENCY_SUB };  /* error of at most 1/32 */

struct stats {
	uint64_t reads, writes;
	uint64_t latency[LATENCY_BUCKETS];
	uint64_t max_ns;
};

uint64_t now_ns(void);
void stats_add(struct stats *st, bool write, uint64_t ns);
/** cpu_ns() - User and system time of all threads of a process, from /proc/PID/task/N/schedstat. Return: ns */
uint64_t cpu_ns(int pid);
/** stats_print() - One JSON object. @seconds: the time measured; @cpu: ns; @per_session: commands, @n of them */
void stats_print(const struct stats *st, const struct options *o, double seconds, uint64_t cpu, uint64_t own_cpu,
		 const uint64_t *per_session);

/* ---- session.c: PDUs ---- */

enum { RX_BYTES = 128 * 1024 };

struct slot {
	uint64_t begun_ns;           /* 0: free */
	bool write;
};

struct session {
	int fd;
	const struct options *o;
	struct stats *stats;         /* NULL: not measured now */
	struct pieces out;
	struct slot *slot;           /* the ITT is its index */
	unsigned busy;
	uint64_t done;
	/* negotiated */
	uint32_t send_dsl, first_burst, immediate_max;
	bool immediate;
	/* numbers */
	uint32_t cmdsn, max_cmdsn, exp_statsn;
	uint64_t next_at;            /* sequential: the next offset */
	uint32_t block_size;
	uint64_t bytes;              /* of the LUN that are used */
	uint32_t random;
	/* receive */
	uint8_t *rx_buf;
	uint8_t hdr[BHS_LEN + DIGEST_LEN];
	uint32_t have;               /* bytes of @hdr */
	size_t skip;                 /* bytes of data that come before the next header */
	/* loop.c's */
	struct iovec iov[PIECE_IOV];
	struct msghdr msg;
	bool sending, stopped;
};

/** session_issue() - Commands into all free slots, as far as the window allows */
void session_issue(struct session *s);
/** session_received() - Bytes from the target, in s->rx_buf */
void session_received(struct session *s, size_t n);

/* ---- login.c: blocking, before anything is measured ---- */

/** session_open() - Connect, log in, wait out unit attentions, ask for the size. @number: makes the ISID */
void session_open(struct session *s, const struct options *o, unsigned number);

/* ---- loop.c: io_uring ---- */

void loop_init(void);
/** loop_start() - The first commands of @n sessions */
void loop_start(struct session *s, unsigned n);
/** loop_run() - Drive all sessions for @seconds */
void loop_run(double seconds, bool spin);

#endif
