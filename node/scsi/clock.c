/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clock.c - the device clock: REPORT TIMESTAMP, SET TIMESTAMP; SPC-4 5.14, 6.38, 6.46
 *
 * It is the node's own clock, until an initiator sets it: then that many milliseconds before or after the node's, for all
 * initiators and on every node, until the power is lost. Bits of the Control Extension page say so: TCMOS (somebody else sets
 * the clock) and SCSIP (an initiator's word counts for more).
 */
#include "node/scsi/internal.h"

enum { ORIGIN_SET = 0x02, ORIGIN_OTHER = 0x03 };  /* TIMESTAMP ORIGIN */
#define TIMESTAMP_LEN 12u
#define TIMESTAMP_MASK 0xffffffffffffu

void sc_start_clock(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	op->flags |= SC_NOW;
	if (op->kind == SC_OP_PARAM && !op->out_len)
		sc_op_good(op);
	else if (op->kind == SC_OP_PARAM && op->out_len > TIMESTAMP_LEN)
		sc_op_bad_cdb(op, 6, SC_NO_BIT);
	else if (op->kind == SC_OP_PARAM && op->out_len < TIMESTAMP_LEN)
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
}

void sc_in_timestamp(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_settings *s = &ctx->lu->set;

	(void)op;
	sc_out_u16(o, TIMESTAMP_LEN - 2);
	sc_out_u8(o, s->clock_set ? ORIGIN_SET : ORIGIN_OTHER);
	sc_out_u8(o, 0);
	sc_out_be(o, (ctx->now_ms + (uint64_t)s->clock_offset) & TIMESTAMP_MASK, 6);
	sc_out_zero(o, 2);
}

void sc_param_timestamp(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	uint64_t wanted = (uint64_t)get_be16(data + 4) << 32 | get_be32(data + 6);

	(void)len;
	op->change = (struct sc_change){ .what = SC_SET_CLOCK, .clock_offset = (int64_t)(wanted - ctx->now_ms) };
	op->kind = SC_OP_CONTROL;
	op->control = SC_CONTROL_SETTINGS;
}
