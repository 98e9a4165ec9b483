/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rw.c - commands that move blocks: where, how many, and whether that is allowed; SBC-3 5 */
#include "node/scsi/internal.h"

/* LOGICAL BLOCK ADDRESS and the length field are where the CDB's size says. TRANSFER LENGTH zero in a 6-byte CDB is 256. */
static void get_extent(struct sc_op *op)
{
	const uint8_t *c = op->cdb;

	switch (op->cmd->len) {
	case 6:
		op->lba = get_be24(c + 1) & 0x1fffff;
		op->blocks = c[4] ? c[4] : 256;
		break;
	case 10:
		op->lba = get_be32(c + 2);
		op->blocks = get_be16(c + 7);
		break;
	case 12:
		op->lba = get_be32(c + 2);
		op->blocks = get_be32(c + 6);
		break;
	default:
		op->lba = get_be64(c + 2);
		op->blocks = get_be32(c + 10);
		break;
	}
}

uint16_t sc_op_length_at(const struct sc_op *op)
{
	return op->cmd->len == 6 ? 4 : op->cmd->len == 10 ? 7 : op->cmd->len == 12 ? 6 : 10;
}

/* SBC-3 4.8: nothing of a command that reaches beyond the end is done. */
static bool in_range(const struct sc_ctx *ctx, struct sc_op *op)
{
	uint64_t end;

	if (add_overflow(op->lba, op->blocks, &end) || end > ctx->lu->blocks) {
		sc_op_fail(op, sc_sense_info(SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE, op->lba));
		return false;
	}
	return true;
}

bool sc_op_extent(const struct sc_ctx *ctx, struct sc_op *op)
{
	get_extent(op);
	return in_range(ctx, op);
}

/* MAXIMUM TRANSFER LENGTH of the Block Limits page, SBC-3 6.6.4 */
static bool within_max(struct sc_op *op, uint32_t max)
{
	if (op->blocks > max) {
		sc_op_bad_cdb(op, sc_op_length_at(op), SC_NO_BIT);
		return false;
	}
	return true;
}

/* Zero blocks is not an error (SBC-3 5.8 ff.), and nothing is left to do. */
static bool nothing_to_do(struct sc_op *op)
{
	if (op->blocks)
		return false;
	sc_op_good(op);
	return true;
}

static uint32_t byte_count(const struct sc_ctx *ctx, const struct sc_op *op)
{
	uint64_t n;

	/* max_xfer is far below this; a configuration that is not must not turn into a short transfer */
	return mul_overflow(op->blocks, (uint64_t)ctx->lu->block_size, &n) || n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

void sc_start_rw(const struct sc_ctx *ctx, struct sc_op *op)
{
	uint8_t bits = op->cmd->len == 6 ? 0 : op->cdb[1];
	bool verify = op->cmd->kind == SC_OP_WRITE_VERIFY;

	if (!sc_op_extent(ctx, op) || !within_max(op, ctx->lu->max_xfer) || nothing_to_do(op))
		return;
	op->kind = op->cmd->kind;
	op->flags = (uint8_t)((bits & 0x10 ? SC_DPO : 0) | (!verify && bits & 0x08 ? SC_FUA : 0) |
			      (verify && bits & 0x02 ? SC_BYTCHK : 0));
	if (op->kind == SC_OP_READ)
		op->in_len = byte_count(ctx, op);
	else
		op->out_len = byte_count(ctx, op);
}

/*
 * BYTCHK 00b: read it. 01b: compare it with data-out, which MAXIMUM TRANSFER LENGTH limits. 11b: compare each block with the
 * one of data-out. SBC-3 5.31 ff.
 */
void sc_start_verify(const struct sc_ctx *ctx, struct sc_op *op)
{
	unsigned bytchk = op->cdb[1] >> 1 & 0x03;

	if (bytchk == 2) {
		sc_op_bad_cdb(op, 1, 2);
		return;
	}
	if (!sc_op_extent(ctx, op) || (bytchk == 1 && !within_max(op, ctx->lu->max_xfer)) || nothing_to_do(op))
		return;
	op->kind = bytchk ? SC_OP_COMPARE : SC_OP_VERIFY;
	op->flags = (uint8_t)((op->cdb[1] & 0x10 ? SC_DPO : 0) | (bytchk ? SC_BYTCHK : 0) | (bytchk == 3 ? SC_ONE_BLOCK : 0));
	if (bytchk)
		op->out_len = bytchk == 3 ? ctx->lu->block_size : byte_count(ctx, op);
}

/* NUMBER OF LOGICAL BLOCKS is one byte; data-out is twice as many: to compare, and to write. SBC-3 5.2 */
void sc_start_compare_write(const struct sc_ctx *ctx, struct sc_op *op)
{
	op->lba = get_be64(op->cdb + 2);
	op->blocks = op->cdb[13];
	if (op->blocks > ctx->lu->caw_max) {
		sc_op_bad_cdb(op, 13, SC_NO_BIT);
		return;
	}
	if (!in_range(ctx, op) || nothing_to_do(op))
		return;
	op->kind = SC_OP_COMPARE_WRITE;
	op->flags = (uint8_t)((op->cdb[1] & 0x10 ? SC_DPO : 0) | (op->cdb[1] & 0x08 ? SC_FUA : 0));
	op->out_len = 2 * byte_count(ctx, op);
}

/* ATOMIC BOUNDARY is refused by the table: MAXIMUM ATOMIC BOUNDARY SIZE is zero. SBC-4 5.54 */
void sc_start_write_atomic(const struct sc_ctx *ctx, struct sc_op *op)
{
	uint32_t gran = ctx->lu->atomic_gran;

	op->lba = get_be64(op->cdb + 2);
	op->blocks = get_be16(op->cdb + 12);
	if (op->blocks > ctx->lu->atomic_max || (gran && op->blocks % gran)) {
		sc_op_bad_cdb(op, 12, SC_NO_BIT);
		return;
	}
	if (gran && op->lba % gran) {
		sc_op_bad_cdb(op, 2, SC_NO_BIT);
		return;
	}
	if (!in_range(ctx, op) || nothing_to_do(op))
		return;
	op->kind = SC_OP_WRITE_ATOMIC;
	op->flags = (uint8_t)((op->cdb[1] & 0x10 ? SC_DPO : 0) | (op->cdb[1] & 0x08 ? SC_FUA : 0));
	op->out_len = byte_count(ctx, op);
}

/* Zero blocks: up to the end of the medium. SBC-3 5.26 */
void sc_start_flush(const struct sc_ctx *ctx, struct sc_op *op)
{
	if (!sc_op_extent(ctx, op))
		return;
	if (!op->blocks)
		op->blocks = ctx->lu->blocks - op->lba;
	op->kind = SC_OP_FLUSH;
	op->flags = op->cdb[1] & 0x02 ? SC_IMMED : 0;
}

/* A hint, and the cache is the disk's: checked, then GOOD ("may not all be in the cache"). SBC-3 5.10 */
void sc_start_prefetch(const struct sc_ctx *ctx, struct sc_op *op)
{
	if (sc_op_extent(ctx, op))
		sc_op_good(op);
}
