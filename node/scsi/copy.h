/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h - EXTENDED COPY(LID1) and what RECEIVE COPY RESULTS tells of it (SPC-4 5.17.7, 6.3, 6.18 ff.)
 *
 * Theory of operation: the parameter list is checked as a whole and stays where it is; struct sc_copy only says where.
 * The reactor then finds the logical unit of each CSCD descriptor (sc_copy_designates()) and copies segment by segment,
 * asking sc_copy_check() once for each and sc_copy_allowed() before every piece of it. What a session may ask about later
 * is in its struct sc_copies.
 *
 * Supported: segments from block device to block device (02h), CSCDs by identification descriptor (E4h) and the logical unit
 * itself (FFFFh), PAD; no CAT, no inline data.
 * Context: pure; one thread a session.
 */
#ifndef LUNWARD_SCSI_COPY_H
#define LUNWARD_SCSI_COPY_H

#include "node/scsi/sense.h"

#define SC_COPY_CSCDS        16u             /* descriptors in one list */
#define SC_COPY_SEGMENTS     64u
#define SC_COPY_SELF         SC_COPY_CSCDS   /* index of what no descriptor is about: the logical unit that copies (FFFFh) */
#define SC_COPY_CSCD_SIZE    32u             /* bytes of an E4h */
#define SC_COPY_SEGMENT_SIZE 28u             /* of a 02h */
#define SC_COPY_LIST_MAX     (SC_COPY_CSCDS * SC_COPY_CSCD_SIZE + SC_COPY_SEGMENTS * SC_COPY_SEGMENT_SIZE)
#define SC_COPY_HEADER       16u
#define SC_COPY_SEGMENT_MAX  (256u << 20)    /* bytes: 65535 blocks of 4096 are less */
#define SC_COPY_LISTS        16u             /* copies a session may run, and be told about */

struct sc_ctx;
struct sc_lu;
struct sc_op;

/* What is to be copied: a parameter list that was found good */
struct sc_copy {
	const uint8_t *list;         /* borrowed until the operation ends */
	uint16_t n_cscds, n_segments;
	uint8_t id;                  /* LIST IDENTIFIER */
	bool has_id;                 /* LIST ID USAGE: not 11b */
	bool hold;                   /* 00b: to be told about after its end, too */
};

/* A segment in bytes */
struct sc_copy_extent {
	uint64_t src, dst;           /* from the start of each logical unit */
	uint64_t bytes;              /* 0: nothing is copied; no whole blocks: the rest of the last one read is dropped (PAD of
	                                the source), or written as zeroes (of the destination) */
};

/** sc_copy_cscds() - Indexes of the CSCDs that a segment copies from and to: SC_COPY_SELF, or a descriptor's, or too large */
void sc_copy_cscds(const struct sc_copy *c, unsigned segment, uint16_t *src, uint16_t *dst);

/** sc_copy_designates() - Whether a CSCD descriptor means @lu: by any name of it that page 83h gives */
bool sc_copy_designates(const struct sc_copy *c, unsigned cscd, const struct sc_lu *lu);

/**
 * sc_copy_check() - Whether a segment of op->copy can be copied
 * @src, @dst:	surroundings of the logical units; src->lu or dst->lu NULL, or no such descriptor: not reachable
 *
 * Return: true and *@ret; false: @op has failed
 */
bool sc_copy_check(struct sc_op *op, unsigned segment, const struct sc_ctx *src, const struct sc_ctx *dst,
		   struct sc_copy_extent *ret);

/** sc_copy_allowed() - Whether reservations, write protection and START STOP UNIT let this nexus read @src and write @dst, now */
bool sc_copy_allowed(const struct sc_op *op, const struct sc_ctx *src, const struct sc_ctx *dst);

/** sc_copy_fail() - End @op with COPY ABORTED and the number of the segment that could not be copied */
void sc_copy_fail(struct sc_op *op, uint16_t asc, unsigned segment);

/* A copy as RECEIVE COPY RESULTS tells of it */
struct sc_copy_slot {
	bool used, busy, has_id, hold;
	uint8_t id;
	uint8_t status;              /* SAM status of a copy that has ended */
	uint16_t segments;           /* processed */
	uint64_t bytes;              /* transferred */
	uint64_t age;
	struct sc_sense sense;
};

/* Those of one I_T nexus; zero it */
struct sc_copies {
	struct sc_copy_slot slot[SC_COPY_LISTS];
	uint64_t clock;
};

/**
 * sc_copy_begin() - A place for op->copy among those of its nexus
 *
 * One that has ended and has the same identifier, or else the one that ended first, is forgotten.
 * Return: NULL: @op has failed (OPERATION IN PROGRESS), or is BUSY because all are running
 */
struct sc_copy_slot *sc_copy_begin(struct sc_copies *copies, struct sc_op *op);

/** sc_copy_end() - The copy is over, as @op says */
void sc_copy_end(struct sc_copy_slot *slot, const struct sc_op *op);

#endif
