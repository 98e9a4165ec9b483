/* SPDX-License-Identifier: GPL-2.0-or-later */
/* basic.c - REQUEST SENSE, REPORT LUNS, READ CAPACITY, START STOP UNIT, PREVENT ALLOW MEDIUM REMOVAL */
#include "node/scsi/internal.h"

/* A pending unit attention is reported as parameter data, with GOOD, and thereby cleared. SPC-4 6.39 */
void sc_start_request_sense(const struct sc_ctx *ctx, struct sc_op *op)
{
	uint16_t ua = ctx->itl ? sc_ua_take(&ctx->itl->ua) : (uint16_t)SC_UA_NONE;

	if (!ctx->lu)
		op->sense = sc_sense_make(SC_KEY_ILLEGAL_REQUEST, SC_ASC_NO_LUN);
	else if (ua)
		op->sense = sc_ua_sense(ctx->lu, ua);
}

void sc_in_request_sense(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	uint8_t b[SC_SENSE_MAX];
	size_t n = sc_sense_encode(&op->sense, op->cdb[1] & 0x01, b);  /* DESC, whatever D_SENSE says */

	(void)ctx;
	sc_out_bytes(o, b, (uint32_t)n);
}

/* SELECT REPORT, SPC-4 6.33. There are no well-known and no administrative logical units, and no conglomerates. */
enum { LUNS_ALL_BUT_WELL_KNOWN = 0x00, LUNS_WELL_KNOWN = 0x01, LUNS_ALL = 0x02, LUNS_ADMINISTRATIVE = 0x10,
       LUNS_ADMINISTRATIVE_AND_OTHERS = 0x11, LUNS_SUBSIDIARY = 0x12 };

static bool lists_luns(uint8_t select)
{
	return select == LUNS_ALL_BUT_WELL_KNOWN || select == LUNS_ALL || select == LUNS_ADMINISTRATIVE_AND_OTHERS;
}

static bool lists_none(uint8_t select)
{
	return select == LUNS_WELL_KNOWN || select == LUNS_ADMINISTRATIVE || select == LUNS_SUBSIDIARY;
}

void sc_start_report_luns(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	if (!lists_luns(op->cdb[2]) && !lists_none(op->cdb[2]))
		sc_op_bad_cdb(op, 2, SC_NO_BIT);
	else if (get_be32(op->cdb + 6) < 16)
		sc_op_bad_cdb(op, 6, SC_NO_BIT);
	else if (lists_luns(op->cdb[2]))
		op->flags |= SC_LUNS_REPORTED;
}

void sc_in_report_luns(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	uint32_t n = lists_luns(op->cdb[2]) ? ctx->tgt->n_luns : 0;
	uint8_t lun[8];

	sc_out_u32(o, n * 8);
	sc_out_zero(o, 4);
	for (uint32_t i = 0; i < n; i++) {
		sc_lun_encode(ctx->tgt->luns[i], lun);
		sc_out_bytes(o, lun, sizeof(lun));
	}
}

/* A capacity beyond 32 bits is said as FFFFFFFFh: ask READ CAPACITY(16). SBC-3 5.15 */
void sc_in_capacity10(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	uint64_t last = ctx->lu->blocks - 1;

	(void)op;
	sc_out_u32(o, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	sc_out_u32(o, ctx->lu->block_size);
}

/* No protection (P_TYPE, PROT_EN 0). LBPME, LBPRZ, LOWEST ALIGNED LOGICAL BLOCK ADDRESS. SBC-3 5.16 */
void sc_in_capacity16(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_lu *lu = ctx->lu;
	unsigned thin = lu->unmap_max ? 0x8000u | (lu->flags & SC_LU_UNMAP_ZEROES ? 0x4000u : 0) : 0;

	(void)op;
	sc_out_u64(o, ctx->lu->blocks - 1);
	sc_out_u32(o, ctx->lu->block_size);
	sc_out_u8(o, 0);
	sc_out_u8(o, ctx->lu->phys_exp & 0x0fu);
	sc_out_u16(o, thin | (lu->lowest_aligned & 0x3fffu));
	sc_out_zero(o, 16);
}

/*
 * SBC-3 5.25. There is no spindle: stopped means that the medium is not accessed until somebody starts the logical unit or
 * resets it, for all initiators. Stopping makes durable what was written, unless NO_FLUSH. Power conditions and LOEJ are
 * refused by the table.
 */
void sc_start_stop(const struct sc_ctx *ctx, struct sc_op *op)
{
	bool stop = !(op->cdb[4] & 0x01);

	if (stop == ctx->lu->stopped)
		return;
	op->control = SC_CONTROL_START;
	op->stop = stop;
	op->kind = stop && !(op->cdb[4] & 0x04) ? SC_OP_FLUSH : SC_OP_CONTROL;
	op->blocks = ctx->lu->blocks;
	op->flags = op->cdb[1] & 0x01 ? SC_IMMED : 0;
}

/* The medium cannot be removed: nothing to prevent. SPC-4 6.14 */
void sc_start_prevent(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	(void)op;
}
