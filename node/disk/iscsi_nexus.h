/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iscsi_nexus.h - one I_T nexus to an iSCSI LUN: a libiscsi session on a reactor's ring
 *
 * Theory of operation. The nexus logs in by itself, stays logged in, and comes back by itself when the connection
 * is lost: always with the same initiator name and ISID, so that the array reinstates the session (RFC 7143 6.3.5):
 * whatever the old connection left in flight there is gone before the new login succeeds. libiscsi's own
 * reconnection and timeouts are off: both hide whether a command may still take effect.
 *
 * A command ends in one of two ways: *answered*, or *lost* (the connection ended first; by the time nexus_ops.up
 * is called again it has taken effect or never will). Who may repeat it is the caller's business.
 *
 * Context: the thread of the ring it was made on.
 */
#ifndef LUNWARD_DISK_ISCSI_NEXUS_H
#define LUNWARD_DISK_ISCSI_NEXUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "node/disk/ring.h"

struct nexus;

enum nexus_dir { NEXUS_NONE, NEXUS_IN, NEXUS_OUT };

/* One SCSI command. Belongs to the nexus from nexus_send() until @done. */
struct nexus_cmd {
	/* set by the caller */
	uint8_t cdb[16];
	uint8_t cdb_len;
	enum nexus_dir dir;
	uint32_t length;             /* bytes of @iov */
	struct iovec *iov;
	unsigned n_iov;
	void (*done)(struct nexus_cmd *c);
	void *arg;
	/* set by the nexus before @done */
	bool lost;                   /* no answer: the rest is not valid */
	uint8_t status;              /* SAM-5 status */
	uint32_t moved;              /* bytes, after residual */
	uint8_t sense_key, asc, ascq;
	const uint8_t *sense;        /* raw; valid during @done */
	size_t sense_len;
	/* the nexus's own */
	struct nexus *nexus;
};

struct nexus_ops {
	void (*up)(void *arg);                       /* logged in; nothing is in flight */
	void (*down)(void *arg, const char *why);    /* not, or no longer, logged in (after each failed attempt too); all
	                                              * commands have ended. Must not free the nexus */
};

struct nexus_opts {
	const char *url;             /* iscsi://[user%password@]host[:port]/iqn/lun */
	const char *initiator;
	uint8_t isid[6];             /* type 10b ("random"): 80h, 24 bits, 16 bits */
};

/**
 * nexus_new() - Start to log in
 * Return: NULL and @err if the URL is wrong or memory is out; an unreachable array is no error.
 */
struct nexus *nexus_new(struct ring *ring, const struct nexus_opts *opts, const struct nexus_ops *ops, void *arg,
			char *err, size_t err_len);

/** nexus_free() - Drop the connection; commands in flight end as lost first, then no callback follows. @n may be NULL */
void nexus_free(struct nexus *n);

bool nexus_is_up(const struct nexus *n);

/** nexus_lun() - The LUN of the URL */
unsigned nexus_lun(const struct nexus *n);

/**
 * nexus_send() - Send a command; @c->done is called later, never from within
 * Return: false: not up, or out of memory; it was not sent and @c->done is not called
 */
bool nexus_send(struct nexus *n, struct nexus_cmd *c);

/** nexus_drop() - Give the connection up (@why: for the log) and log in again; commands in flight end as lost */
void nexus_drop(struct nexus *n, const char *why);

#endif
