/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer.h - both neighbours of the library for its tests: a small server behind it, an initiator in front of it
 *
 * The server answers by the first CDB byte: 0x00 GOOD; 0x28 READ and 0x2a WRITE of the number of bytes in CDB bytes
 * 2 … 5; 0xfe CHECK CONDITION. With @manual it only takes notes. Read data is pattern(offset). Everything that the
 * server was told is counted; tasks are freed when released, so that the sanitizers see who touches one too late.
 */
#ifndef LUNWARD_TESTS_ISCSI_PEER_H
#define LUNWARD_TESTS_ISCSI_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/iscsi/isc.h"
#include "node/iscsi/priv.h"
#include "node/util/util.h"

enum { CDB_TUR = 0x00, CDB_READ = 0x28, CDB_WRITE = 0x2a, CDB_FAIL = 0xfe };
enum { PEER_TASKS = 256, PEER_WINDOW = 16 };

struct ptask {
	struct isc_task t;
	struct peer *peer;
	uint8_t *buf;
	unsigned index;
};

struct peer {
	struct isc_conn *c;
	struct isc_config cfg;
	/* how the server behaves */
	bool manual, no_tasks, park, keep_logout, rewait;
	uint8_t random;               /* what ops->random() gives begins with 0x40 more */
	bool no_keep;                 /* read data does not stay until it is acknowledged */
	enum isc_login_status verdict_status;
	struct isc_verdict verdict;
	struct { const char *name; struct isc_chap chap; } users[2];
	unsigned n_users, chaps;      /* chaps: how often it was asked for one */
	const char *const *targets;   /* what SendTargets lists, NULL at the end */
	/* what it was told */
	unsigned keeps, moves, allocs, releases, commands, readies, tmfs, lookups, logins, logouts, nop_replies, closings, tx_readies;
	struct ptask *task[PEER_TASKS]; /* by order of command(); NULL when released */
	uint32_t received[PEER_TASKS];
	uint32_t cmdsn_log[PEER_TASKS];
	struct isc_conn *conn_log[PEER_TASKS];
	struct isc_tmf *tmf;
	struct isc_logout *logout;
	enum isc_close why;
	const char *what;
	/* the initiator */
	struct peer *lead;            /* a further connection of its session: task[], cmdsn, itt and tmf are that one's */
	uint16_t cid, tsih;
	size_t chunk;                 /* bytes a time into isc_rx(), 0: all at once */
	bool loose;                   /* StatSNs of the target are not checked: some come again */
	size_t tx_chunk;              /* bytes a time of isc_tx_done(), 0: all */
	uint32_t cmdsn, itt;
	uint32_t statsn;              /* the next one the target has to use */
	uint8_t *in;                  /* bytes received from the target */
	size_t in_len, in_off;
};

/* struct reply - A PDU from the target; @data valid until the next peer_*() call */
struct reply {
	const uint8_t *h;
	const uint8_t *data;
	uint32_t len;
};

extern const struct isc_ops peer_ops;
/* peer_in_library - Are we inside the library? For test_oom, which makes only its allocations fail. */
extern volatile bool peer_in_library;

struct peer *peer_new(void);
/* peer_start() - Make the connection, after @cfg is set */
void peer_start(struct peer *p);
/* peer_full() - peer_start() and log in; @keys: additional operational keys, "K=V\n…", or NULL */
void peer_full(struct peer *p, const char *keys);
/* peer_further() - A further connection of @lead's session, not yet logged in; peer_join(): logged in */
struct peer *peer_further(struct peer *lead, uint16_t cid);
struct peer *peer_join(struct peer *lead, uint16_t cid);
void peer_free(struct peer *p);
void peer_close(struct peer *p);

/* bytes and PDUs to the target */
int peer_feed(struct peer *p, const void *buf, size_t len);
int peer_send(struct peer *p, const uint8_t *bhs, const void *data, uint32_t len);
/* peer_pack() - A whole PDU with digests as negotiated into @out. Return: its length */
size_t peer_pack(struct peer *p, const uint8_t *bhs, const void *data, uint32_t len, uint8_t *out);
void peer_bhs(uint8_t *bhs, uint8_t opcode, uint8_t flags, uint32_t itt);
void peer_numbered(struct peer *p, uint8_t *bhs, uint8_t opcode, uint8_t flags);
/* peer_cmd_bhs() - A SCSI command of @len bytes; CmdSN and ITT are the next ones, and are used up */
void peer_cmd_bhs(struct peer *p, uint8_t *bhs, uint8_t cdb0, uint8_t flags, uint32_t edtl, uint32_t len);
uint32_t peer_cmd(struct peer *p, uint8_t cdb0, uint8_t flags, uint32_t edtl, uint32_t len, const void *data,
		  uint32_t dlen);
void peer_data_out(struct peer *p, uint32_t itt, uint32_t ttt, uint32_t datasn, uint32_t off, uint32_t len, bool final);
int peer_login(struct peer *p, uint8_t csg, int nsg, bool more, const char *keys);
/* peer_text() - "A=1\nB=2\n" to "A=1\0B=2\0". Return: length */
size_t peer_text(char *out, const char *keys);

/* PDUs from the target */
/* peer_next() - The next one. Digests, StatSN, the window and padding of every PDU are checked. */
bool peer_next(struct peer *p, struct reply *r);
void peer_want(struct peer *p, uint8_t opcode, struct reply *r);
void peer_want_nothing(struct peer *p);
/* peer_want_status() - A SCSI Response, or Data-In with status, for @itt */
void peer_want_status(struct peer *p, uint32_t itt, uint8_t status, struct reply *r);
void peer_want_reject(struct peer *p, enum isc_reject reason);
/* peer_value() - The value of a key in a text reply, or NULL */
const char *peer_value(const struct reply *r, const char *key);

uint8_t pattern(size_t i);
void pattern_fill(uint8_t *buf, size_t off, size_t len);
void pattern_check(const uint8_t *buf, size_t off, size_t len);

#endif
