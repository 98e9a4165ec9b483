/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base.h - limits, forward declarations, logging, addresses; private to node/, see node.h */
#ifndef LUNWARD_NODE_BASE_H
#define LUNWARD_NODE_BASE_H

#include <netinet/in.h>
#include <pthread.h>
#include <qb/qbloop.h>

#include "cluster/conf/conf.h"
#include "node/buf.h"
#include "node/disk/disk.h"
#include "node/iscsi/isc.h"
#include "node/queue.h"
#include "node/scsi/sc.h"
#include "node/util/list.h"
#include "proto/record.pb-c.h"
#include "proto/target.pb-c.h"

/* Limits, all of them */
#define REACTORS_MAX 16u
#define RING_ENTRIES 512u
#define ARENA_BYTES (256u << 20)         /* I/O buffers a reactor; memory is used as it is touched */
#define ARENA_LOW (ARENA_BYTES / 4)      /* below it, connections that wait for nothing are not read from */
#define TASKS_MAX 8192u                  /* commands a reactor */
#define TASK_SLAB 64u
#define RX_DIRECT_MIN 8192u              /* of a data segment to come: it goes straight to its task */
#define TX_IOV 68                        /* a send: 32 reads and more, 22 PDUs with all their parts */
#define FLUSH_TIMEOUT_US 5000000u        /* an initiator gets this long to read our last words */
#define STALL_TIMEOUT_US 60000000u       /* and this long to read anything at all */
#define LOST_CONNS_MAX 8u               /* connections of a session that wait for recovery; the oldest gives way */
#define LU_UAS_MAX 1024u                 /* unit attentions on record, a logical unit; the oldest gives way */
#define LOGS_MAX 256u                    /* log lines a reactor has on their way */

struct call;
struct commit_op;
struct conn;
struct control;
struct copy;
struct group;
struct login_op;
struct lu;
struct reactor;
struct rlu;
struct session;
struct target;
struct task;
struct view;

/* ---- log.c: the only way to log from a reactor [R]; the control thread uses qb_log() ---- */
void rlog(struct reactor *r, int priority, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void log_start(const char *name, int max_priority);
void log_stop(void);

/* ---- addr.c [any] ---- */
#define ADDR_TEXT_MAX 64
/** addr_ip() - The address's bytes, network order; an IPv4-mapped one as IPv4. Return: 4 or 16 */
size_t addr_ip(const struct sockaddr_storage *ss, const uint8_t **ret);
uint16_t addr_port(const struct sockaddr_storage *ss);
bool addr_is_any(const struct sockaddr_storage *ss);
/** addr_text() - "192.0.2.1:3260", "[2001:db8::1]:3260". @buf: ADDR_TEXT_MAX. Return: @buf */
char *addr_text(const struct sockaddr_storage *ss, char *buf);

#endif
