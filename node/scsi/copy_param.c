/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy_param.c - the parameter list of EXTENDED COPY(LID1), SPC-4 6.3 and 6.4, and what each segment of it means */
#include "node/scsi/internal.h"

#define CSCD_IDENTIFICATION 0xe4
#define SEGMENT_BLOCK_BLOCK 0x02
#define SEGMENT_CAT         0x01
#define SEGMENT_DC          0x02  /* the count is in blocks of the destination */
#define CSCD_PAD            0x04  /* of the device type specific parameters, byte 28 */
#define CSCD_SELF           0xffffu
#define CSCD_NONE           0xfffeu
#define DESIGNATOR_MAX      20u

enum { USE_ID = 0, USE_ID_DISCARD = 2, USE_NO_ID = 3 };  /* LIST ID USAGE */

static void param_error(struct sc_op *op, uint16_t asc, uint32_t byte)
{
	sc_op_fail(op, sc_sense_param(asc, (uint16_t)byte, SC_NO_BIT));
}

/* More than the operating parameters allow is refused before a buffer is taken for it. */
void sc_start_copy(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	if (!op->out_len)
		sc_op_good(op);
	else if (op->out_len > SC_COPY_HEADER + SC_COPY_LIST_MAX)
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
}

/* STR and PRIORITY are accepted: they order nothing that is not in order. */
static bool header_ok(struct sc_op *op, const uint8_t *p)
{
	struct sc_copy *c = &op->copy;
	unsigned usage = p[1] >> 3 & 3;

	c->id = p[0];
	c->has_id = usage != USE_NO_ID;
	c->hold = usage == USE_ID;
	if (p[1] & 0xc0)
		sc_op_bad_param(op, 1, 7);
	else if (usage != USE_ID && usage != USE_ID_DISCARD && usage != USE_NO_ID)
		sc_op_bad_param(op, 1, 4);
	else if (usage == USE_NO_ID && c->id)
		sc_op_bad_param(op, 0, SC_NO_BIT);
	else if (get_be32(p + 12))
		param_error(op, SC_ASC_INLINE_DATA_LENGTH, 12);
	else
		return true;
	return false;
}

static bool cscds_ok(struct sc_op *op, const uint8_t *p, uint32_t len)
{
	if (len % SC_COPY_CSCD_SIZE) {
		sc_op_bad_param(op, 2, SC_NO_BIT);
		return false;
	}
	if (len / SC_COPY_CSCD_SIZE > SC_COPY_CSCDS) {
		param_error(op, SC_ASC_TOO_MANY_CSCDS, 2);
		return false;
	}
	op->copy.n_cscds = (uint16_t)(len / SC_COPY_CSCD_SIZE);
	for (uint32_t at = SC_COPY_HEADER; at < SC_COPY_HEADER + len; at += SC_COPY_CSCD_SIZE) {
		const uint8_t *d = p + at;

		if (d[0] != CSCD_IDENTIFICATION)
			param_error(op, SC_ASC_UNSUPPORTED_CSCD, at);
		else if (d[1] & 0x1f)  /* PERIPHERAL DEVICE TYPE: a block device */
			sc_op_asc(op, SC_KEY_COPY_ABORTED, SC_ASC_COPY_DEVICE_TYPE);
		else if (d[5] & 0x30)  /* ASSOCIATION: the logical unit */
			sc_op_bad_param(op, (uint16_t)(at + 5), 5);
		else if (d[7] > DESIGNATOR_MAX)
			sc_op_bad_param(op, (uint16_t)(at + 7), SC_NO_BIT);
		else
			continue;
		return false;
	}
	return true;
}

/* @p: the list up to the end of the segment descriptors, which begin at @at */
static bool segments_ok(struct sc_op *op, const uint8_t *p, uint32_t at, uint32_t end)
{
	while (at < end) {
		if (op->copy.n_segments == SC_COPY_SEGMENTS)
			param_error(op, SC_ASC_TOO_MANY_SEGMENTS, 8);
		else if (p[at] != SEGMENT_BLOCK_BLOCK)
			param_error(op, SC_ASC_UNSUPPORTED_SEGMENT, at);
		else if (end - at < SC_COPY_SEGMENT_SIZE)
			sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
		else if (get_be16(p + at + 2) != SC_COPY_SEGMENT_SIZE - 4)
			sc_op_bad_param(op, (uint16_t)(at + 2), SC_NO_BIT);
		else {
			op->copy.n_segments++;
			at += SC_COPY_SEGMENT_SIZE;
			continue;
		}
		return false;
	}
	return true;
}

void sc_param_copy(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	uint32_t cscds, segments;

	(void)ctx;
	op->copy = (struct sc_copy){ .list = data };
	if (len < SC_COPY_HEADER) {
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
		return;
	}
	cscds = get_be16(data + 2);
	segments = get_be32(data + 8);
	if (segments > SC_COPY_LIST_MAX || cscds + segments > SC_COPY_LIST_MAX ||
	    SC_COPY_HEADER + cscds + segments > len) {
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
		return;
	}
	if (!header_ok(op, data) || !cscds_ok(op, data, cscds) ||
	    !segments_ok(op, data, SC_COPY_HEADER + cscds, SC_COPY_HEADER + cscds + segments))
		return;
	op->kind = SC_OP_COPY;
	op->out_len = 0;
}

/* ---- what it means ---- */

static const uint8_t *cscd(const struct sc_copy *c, unsigned i)
{
	return c->list + SC_COPY_HEADER + i * SC_COPY_CSCD_SIZE;
}

static const uint8_t *segment(const struct sc_copy *c, unsigned i)
{
	return cscd(c, c->n_cscds) + i * SC_COPY_SEGMENT_SIZE;
}

static uint16_t cscd_index(const struct sc_copy *c, uint16_t id)
{
	return id == CSCD_SELF ? SC_COPY_SELF : id < c->n_cscds ? id : CSCD_NONE;
}

void sc_copy_cscds(const struct sc_copy *c, unsigned i, uint16_t *src, uint16_t *dst)
{
	*src = cscd_index(c, get_be16(segment(c, i) + 4));
	*dst = cscd_index(c, get_be16(segment(c, i) + 6));
}

bool sc_copy_designates(const struct sc_copy *c, unsigned i, const struct sc_lu *lu)
{
	const uint8_t *d = cscd(c, i) + 4;  /* code set, type, reserved, length, designator: as in page 83h */
	uint8_t names[256];
	struct sc_out o = { .buf = names, .cap = sizeof(names) };

	sc_vpd_lu_names(lu, &o);
	for (uint32_t at = 0; at + 4 <= MIN(o.len, o.cap); at += 4u + names[at + 3])
		if ((d[0] & 0x0f) == (names[at] & 0x0f) && (d[1] & 0x0f) == (names[at + 1] & 0x0f) &&
		    d[3] == names[at + 3] && !memcmp(d + 4, names + at + 4, d[3]))
			return true;
	return false;
}

void sc_copy_fail(struct sc_op *op, uint16_t asc, unsigned i)
{
	struct sc_sense s = sc_sense_make(SC_KEY_COPY_ABORTED, asc);

	s.csi_valid = true;
	s.csi = i;
	sc_op_fail(op, s);
}

bool sc_copy_allowed(const struct sc_op *op, const struct sc_ctx *src, const struct sc_ctx *dst)
{
	return !sc_conflict(src, SC_RC_READ, op->cdb) && !sc_conflict(dst, SC_RC_WRITE, op->cdb) &&
	       !sc_lu_protected(dst->lu) && !src->lu->stopped && !dst->lu->stopped;
}

/* DISK BLOCK LENGTH: what the initiator takes for the block size. Zero says nothing. */
static bool block_length_ok(const struct sc_copy *c, uint16_t i, const struct sc_lu *lu)
{
	uint32_t said = i == SC_COPY_SELF ? 0 : get_be24(cscd(c, i) + 29);

	return !said || said == lu->block_size;
}

static bool in_range(uint64_t lba, uint64_t bytes, const struct sc_lu *lu)
{
	return lba <= lu->blocks && (bytes + lu->block_size - 1) / lu->block_size <= lu->blocks - lba;
}

static bool pads(const struct sc_copy *c, uint16_t i)
{
	return i != SC_COPY_SELF && cscd(c, i)[28] & CSCD_PAD;
}

/*
 * Whole blocks on both sides, or PAD where they are not (SPC-4 6.4.3, table of PAD and CAT). CAT, which would keep the rest for
 * the next segment, is not honoured: then an inexact segment is an error, and nothing is copied that was not asked for.
 */
static bool exact_enough(const struct sc_copy *c, const uint8_t *s, uint64_t bytes, uint16_t src, uint16_t dst,
			 const struct sc_lu *from, const struct sc_lu *to)
{
	bool cat = s[1] & SEGMENT_CAT;

	return (bytes % from->block_size == 0 || (pads(c, src) && !cat)) &&
	       (bytes % to->block_size == 0 || (pads(c, dst) && !cat));
}

/* Blocks that are not there are answered as a device that is not (what LIO says, and iscsi-test-cu expects). */
bool sc_copy_check(struct sc_op *op, unsigned i, const struct sc_ctx *src, const struct sc_ctx *dst,
		   struct sc_copy_extent *ret)
{
	const uint8_t *s = segment(&op->copy, i);
	uint16_t src_cscd, dst_cscd;
	uint64_t bytes, src_lba = get_be64(s + 12), dst_lba = get_be64(s + 20);

	sc_copy_cscds(&op->copy, i, &src_cscd, &dst_cscd);
	if (src_cscd == CSCD_NONE || dst_cscd == CSCD_NONE || !src->lu || !dst->lu) {
		sc_copy_fail(op, SC_ASC_COPY_NOT_REACHABLE, i);
		return false;
	}
	bytes = (uint64_t)get_be16(s + 10) * (s[1] & SEGMENT_DC ? dst : src)->lu->block_size;
	if (!block_length_ok(&op->copy, src_cscd, src->lu) || !block_length_ok(&op->copy, dst_cscd, dst->lu))
		sc_copy_fail(op, SC_ASC_COPY_DEVICE_TYPE, i);
	else if (!exact_enough(&op->copy, s, bytes, src_cscd, dst_cscd, src->lu, dst->lu))
		sc_copy_fail(op, SC_ASC_INEXACT_SEGMENT, i);
	else if (!in_range(src_lba, bytes, src->lu) || !in_range(dst_lba, bytes, dst->lu))
		sc_copy_fail(op, SC_ASC_COPY_NOT_REACHABLE, i);
	else if (!sc_copy_allowed(op, src, dst))
		sc_copy_fail(op, SC_ASC_COPY_DEVICE_FAILURE, i);
	else {
		*ret = (struct sc_copy_extent){ src_lba * src->lu->block_size, dst_lba * dst->lu->block_size, bytes };
		return true;
	}
	return false;
}
