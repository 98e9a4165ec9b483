/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iscsi_disk.h - a LUN of an iSCSI array: what its life (iscsi.c) and its commands (iscsi_cmd.c) share */
#ifndef LUNWARD_DISK_ISCSI_DISK_H
#define LUNWARD_DISK_ISCSI_DISK_H

#include "fencing/arbitrate.h"
#include "fencing/prcmd.h"
#include "node/disk/disk.h"
#include "node/disk/iscsi_nexus.h"

#define IN_LEN FENCE_IN_MAX
#define ISCSI_PARAM_LEN 24

enum idisk_state { IDISK_DOWN, IDISK_JOINING, IDISK_SIZING, IDISK_LIMITS, IDISK_PROVISIONING, IDISK_READY };

/* One SCSI command of an I/O. */
struct piece {
	struct nexus_cmd cmd;
	struct disk_io *io;
	struct piece *next_free;
	struct iovec iov[DISK_IOV_MAX];
	uint8_t param[ISCSI_PARAM_LEN];  /* of UNMAP, GET LBA STATUS */
};

struct idisk {
	struct disk d;
	struct nexus *nexus;
	enum idisk_state state;
	bool wanted;                 /* started: join when the session is up */
	bool rejoin;                 /* as soon as nothing is in flight */
	unsigned in_flight;          /* pieces */
	unsigned looks;
	uint32_t piece_bytes;        /* most of a command: READ, WRITE, */
	uint32_t unmap_bytes;        /* UNMAP, */
	uint32_t same_bytes;         /* WRITE SAME */
	bool same_unmaps;            /* which may give storage back */
	bool looking;                /* the one command asks for the size of an open disk */
	uint64_t waiting_since_us;   /* since when I/O cannot be served; 0: it can */
	struct piece *free_pieces;
	struct ring_timer timer;     /* ask again: busy, bump, give up */
	char url_error[200];
	/* the one command of joining, sizing, rekeying */
	struct fence_machine machine;
	struct fence_cmd pr;
	struct nexus_cmd cmd;
	struct iovec cmd_iov;
	bool cmd_busy, rekeying;
	uint64_t rekey_old, rekey_new;
	uint8_t in[IN_LEN];
	uint8_t out[FENCE_OUT_LEN];
};

static inline struct idisk *idisk_of(struct disk *d)
{
	return container_of(d, struct idisk, d);
}

/* ---- iscsi_cmd.c: bytes of commands and answers; nothing is sent there ---- */

/** icmd_size(), … - x->cmd becomes an inquiry about the LUN. Return: bytes of its answer, in x->in */
size_t icmd_size(struct idisk *x);
size_t icmd_limits(struct idisk *x);
size_t icmd_provisioning(struct idisk *x);
/** icmd_size_take(), … - What the answer says, into @g; NULL, or what is wrong with it */
const char *icmd_size_take(const struct idisk *x, struct disk_geometry *g, bool *ret_thin);
void icmd_limits_take(struct idisk *x);
void icmd_provisioning_take(struct idisk *x);
/** icmd_most() - Bytes that one command of this I/O may be about */
uint32_t icmd_most(const struct idisk *x, const struct disk_io *io);
/** icmd_piece() - p->cmd becomes the command for @len bytes of p->io, from its byte @from on */
void icmd_piece(struct idisk *x, struct piece *p, uint32_t from, uint32_t len);
/** icmd_verdict() - What a command's end means for its I/O; *ret_again: neither good nor bad, issue the I/O again */
enum disk_status icmd_verdict(struct idisk *x, const struct nexus_cmd *c, bool *ret_again);
/** icmd_map_take() - The answer of a DISK_MAP */
enum disk_status icmd_map_take(const struct idisk *x, const struct piece *p);

#endif
