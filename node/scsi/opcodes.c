/* SPDX-License-Identifier: GPL-2.0-or-later */
/* opcodes.c - REPORT SUPPORTED OPERATION CODES and TASK MANAGEMENT FUNCTIONS, from the command table; SPC-4 6.35, 6.36 */
#include "node/scsi/internal.h"

enum { REPORT_ALL = 0, REPORT_OPCODE = 1, REPORT_SA = 2, REPORT_EITHER = 3 };

#define SUPPORT_NONE     1  /* SUPPORT: not supported */
#define SUPPORT_STANDARD 3  /* SUPPORT: as the standard says */

static bool want_timeouts(const struct sc_op *op) { return op->cdb[2] & 0x80; }

/* What a REPORT SUPPORTED OPERATION CODES asks about; NULL when not supported. Service action rows need one. */
static const struct sc_cmd *asked(const struct sc_ctx *ctx, const struct sc_op *op, bool *opcode_known)
{
	unsigned sa = get_be16(op->cdb + 4);
	const struct sc_cmd *cmd = sc_cmd_find(op->cdb[3], sa, opcode_known);

	return cmd && sc_cmd_there(cmd, ctx->lu) ? cmd : NULL;
}

static bool has_service_actions(uint8_t opcode)
{
	for (unsigned i = 0; i < sc_cmd_count; i++)
		if (sc_cmd_table[i].opcode == opcode)
			return sc_cmd_table[i].sa != SC_NO_SA;
	return false;
}

void sc_start_opcodes(const struct sc_ctx *ctx, struct sc_op *op)
{
	unsigned options = op->cdb[2] & 0x07;
	bool known;

	(void)asked(ctx, op, &known);
	if (options > REPORT_EITHER)
		sc_op_bad_cdb(op, 2, 2);
	else if (options == REPORT_OPCODE && has_service_actions(op->cdb[3]))
		sc_op_bad_cdb(op, 2, 2);
	else if (options == REPORT_SA && known && !has_service_actions(op->cdb[3]))
		sc_op_bad_cdb(op, 2, 2);
}

/* Command timeouts descriptor: nominal and recommended time are not said (zero). SPC-4 6.35.4 */
static void put_timeouts(struct sc_out *o)
{
	sc_out_u16(o, 0x0a);
	sc_out_zero(o, 10);
}

static void put_all(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	bool timeouts = want_timeouts(op);

	sc_out_u32(o, 0);
	for (unsigned i = 0; i < sc_cmd_count; i++) {
		const struct sc_cmd *cmd = &sc_cmd_table[i];

		if (!sc_cmd_there(cmd, ctx->lu))
			continue;
		sc_out_u8(o, cmd->opcode);
		sc_out_u8(o, 0);
		sc_out_u16(o, cmd->sa == SC_NO_SA ? 0u : (unsigned)cmd->sa);
		sc_out_u8(o, 0);
		sc_out_u8(o, (timeouts ? 2u : 0u) | (cmd->sa == SC_NO_SA ? 0u : 1u));  /* CTDP, SERVACTV */
		sc_out_u16(o, cmd->len);
		if (timeouts)
			put_timeouts(o);
	}
	sc_out_patch(o, 0, o->len - 4, 4);
}

static void put_one(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	bool known, timeouts = want_timeouts(op);
	const struct sc_cmd *cmd = asked(ctx, op, &known);

	if ((op->cdb[2] & 0x07) == REPORT_EITHER && cmd && cmd->sa == SC_NO_SA && get_be16(op->cdb + 4))
		cmd = NULL;
	sc_out_u8(o, 0);
	if (!cmd) {
		sc_out_u8(o, SUPPORT_NONE);
		sc_out_u16(o, 0);
		return;
	}
	sc_out_u8(o, (timeouts ? 0x80u : 0u) | SUPPORT_STANDARD);
	sc_out_u16(o, cmd->len);
	sc_out_bytes(o, cmd->usage, cmd->len);
	if (timeouts)
		put_timeouts(o);
}

void sc_in_opcodes(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	if ((op->cdb[2] & 0x07) == REPORT_ALL)
		put_all(ctx, op, o);
	else
		put_one(ctx, op, o);
}

/*
 * ATS, ATSS, CTSS, LURS, QTS, TRS; QAES, QTSS, ITNRS: what RFC 7143 11.5.1 and RFC 7144 6.1 name, without CLEAR ACA.
 * REPD: four bytes or sixteen.
 */
void sc_in_tmfs(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	bool repd = op->cdb[2] & 0x80;

	(void)ctx;
	sc_out_u8(o, 0x80 | 0x40 | 0x10 | 0x08 | 0x04 | 0x02);
	sc_out_u8(o, 0x04 | 0x02 | 0x01);
	sc_out_zero(o, 1);
	sc_out_u8(o, repd ? 0x0c : 0);
	if (repd)
		sc_out_zero(o, 12);
}
