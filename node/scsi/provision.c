/* SPDX-License-Identifier: GPL-2.0-or-later */
/* provision.c - which blocks are backed by storage: UNMAP, WRITE SAME, GET LBA STATUS; SBC-3 4.7 */
#include "node/scsi/internal.h"

#define NDOB  0x01
#define UNMAP 0x08

/* ---- WRITE SAME, SBC-3 5.43, 5.44 ---- */

/* WSNZ is set in the Block Limits page: zero blocks is refused. ANCHOR is refused by the table (ANC_SUP 0). */
void sc_start_write_same(const struct sc_ctx *ctx, struct sc_op *op)
{
	if (!sc_op_extent(ctx, op))
		return;
	if (op->cdb[1] & UNMAP && !ctx->lu->unmap_max) {
		sc_op_bad_cdb(op, 1, 3);
		return;
	}
	if (!op->blocks || op->blocks > ctx->lu->write_same_max) {
		sc_op_bad_cdb(op, sc_op_length_at(op), SC_NO_BIT);
		return;
	}
	op->kind = SC_OP_WRITE_SAME;
	op->flags = op->cdb[1] & UNMAP ? SC_DEALLOCATE : 0;
	op->out_len = op->cdb[1] & NDOB ? 0 : ctx->lu->block_size;
}

/* ---- UNMAP, SBC-3 5.28 ---- */

enum { HEADER = 8, DESCRIPTOR = 16 };

/* No list is no error; less than a header is one. */
void sc_start_unmap(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	if (!op->out_len)
		sc_op_good(op);
	else if (op->out_len < HEADER)
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
}

/* Whole descriptors: "the last unmap block descriptor is incomplete and shall be ignored" */
static unsigned descriptors(const uint8_t *list)
{
	return get_be16(list + 2) / DESCRIPTOR;
}

bool sc_unmap_next(const uint8_t *list, unsigned *at, uint64_t *ret_lba, uint32_t *ret_blocks)
{
	while (*at < descriptors(list)) {
		const uint8_t *d = list + HEADER + (size_t)DESCRIPTOR * (*at)++;

		*ret_lba = get_be64(d);
		*ret_blocks = get_be32(d + 8);
		if (*ret_blocks)
			return true;
	}
	return false;
}

/* Every descriptor within the medium. Return: the number of blocks all told; false: op says what is wrong */
static bool check_descriptors(const struct sc_lu *lu, struct sc_op *op, const uint8_t *list, uint64_t *ret_total)
{
	uint64_t total = 0, low = UINT64_MAX, high = 0;

	for (unsigned i = 0; i < descriptors(list); i++) {
		const uint8_t *d = list + HEADER + (size_t)DESCRIPTOR * i;
		uint64_t lba = get_be64(d), end;

		if (add_overflow(lba, (uint64_t)get_be32(d + 8), &end) || end > lu->blocks) {
			sc_op_fail(op, sc_sense_info(SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE, lba));
			return false;
		}
		if (end == lba)
			continue;
		total += end - lba;
		low = MIN(low, lba);
		high = MAX(high, end);
	}
	op->lba = total ? low : 0;
	op->blocks = total ? high - low : 0;
	*ret_total = total;
	return true;
}

void sc_param_unmap(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	unsigned data_len = get_be16(data), desc_len = get_be16(data + 2);
	uint64_t total = 0;

	if (HEADER + desc_len > len)
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	else if (data_len + 2 < HEADER + desc_len)
		sc_op_bad_param(op, 0, SC_NO_BIT);
	else if (descriptors(data) > ctx->lu->unmap_descs)
		sc_op_bad_param(op, 2, SC_NO_BIT);
	else if (!check_descriptors(ctx->lu, op, data, &total))
		return;
	else if (total > ctx->lu->unmap_max)
		sc_op_bad_param(op, HEADER + 8, SC_NO_BIT);
	else if (!total)
		sc_op_good(op);
	else
		op->kind = SC_OP_UNMAP;
}

/* ---- GET LBA STATUS, SBC-3 5.7 ---- */

#define STATUS_DESCS_MAX 64u
enum { MAPPED = 0, DEALLOCATED = 1 };

void sc_start_lba_status(const struct sc_ctx *ctx, struct sc_op *op)
{
	op->lba = get_be64(op->cdb + 2);
	if (op->lba >= ctx->lu->blocks) {
		sc_op_fail(op, sc_sense_info(SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE, op->lba));
		return;
	}
	op->blocks = ctx->lu->blocks - op->lba;
	op->in_len = MIN(get_be32(op->cdb + 10), HEADER + DESCRIPTOR * STATUS_DESCS_MAX);
	if (op->in_len)
		op->kind = SC_OP_LBA_STATUS;
}

/* PARAMETER DATA LENGTH counts what follows it: descriptors from byte 8 on. */
static unsigned status_descs(const uint8_t *buf)
{
	uint32_t n = get_be32(buf);

	return n ? (n - 4) / DESCRIPTOR : 0;
}

uint32_t sc_lba_status_len(const struct sc_op *op, const uint8_t *buf)
{
	return MIN(op->in_len, HEADER + DESCRIPTOR * status_descs(buf));
}

static void put_status(struct sc_op *op, uint8_t *d, uint64_t from, uint64_t blocks, uint8_t status)
{
	put_be64(d, from);
	put_be32(d + 8, (uint32_t)blocks);
	d[12] = status;
	op->lba = from + blocks;
}

bool sc_lba_status_add(struct sc_op *op, uint8_t *buf, uint64_t blocks, bool mapped)
{
	unsigned n = status_descs(buf);
	uint8_t *last = n ? buf + HEADER + DESCRIPTOR * (n - 1) : NULL;
	uint8_t status = mapped ? MAPPED : DEALLOCATED;
	uint64_t took = MIN(blocks, op->blocks), before = 0;

	if (last && last[12] == status && get_be32(last + 8) < UINT32_MAX) {
		before = get_be32(last + 8);
		took = MIN(took, UINT32_MAX - before);
		put_status(op, last, get_be64(last), before + took, status);
	} else {
		if (HEADER + DESCRIPTOR * (n + 1) > MAX(op->in_len, SC_LBA_STATUS_MIN))
			return false;
		took = MIN(took, (uint64_t)UINT32_MAX);
		put_status(op, buf + HEADER + DESCRIPTOR * n, op->lba, took, status);
		put_be32(buf, 4 + DESCRIPTOR * (n + 1));
	}
	op->blocks -= took;
	return op->blocks > 0;
}
