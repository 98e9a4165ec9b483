/* SPDX-License-Identifier: GPL-2.0-or-later */
/* alua.c - REPORT TARGET PORT GROUPS: one target port group for each portal group; SPC-4 5.15, 6.37 */
#include "node/scsi/internal.h"

#define TPG_SUPPORTED (0x80 | 0x01)  /* T_SUP: while a group moves; AO_SUP */

/*
 * A portal group tag is also the identifier of the port group: what an initiator sees in TargetPortalGroupTag, in the
 * names of ports and here is one number. A node serves all ports of a target or none, so the state is the same for all.
 * Implicit only: SET TARGET PORT GROUPS does not exist (TPGS 01b), it is clusterd that moves groups.
 */

/* PARAMETER DATA FORMAT: 0 length only, 1 extended header */
void sc_start_port_groups(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	if (op->cdb[1] >> 5 > 1)
		sc_op_bad_cdb(op, 1, 7);
}

/* Has a port before this one the same portal group? */
static bool seen(const struct sc_target *t, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (t->ports[k].tpgt == t->ports[i].tpgt)
			return true;
	return false;
}

static void put_group(const struct sc_ctx *ctx, uint16_t tpgt, struct sc_out *o)
{
	const struct sc_target *t = ctx->tgt;
	uint32_t count_at;
	unsigned n = 0;

	sc_out_u8(o, ctx->lu->alua);
	sc_out_u8(o, TPG_SUPPORTED);
	sc_out_u16(o, tpgt);
	sc_out_zero(o, 3);
	count_at = o->len;
	sc_out_u8(o, 0);
	for (unsigned i = 0; i < t->n_ports; i++) {
		if (t->ports[i].tpgt != tpgt)
			continue;
		sc_out_zero(o, 2);
		sc_out_u16(o, t->ports[i].rtpi);
		n++;
	}
	sc_out_patch(o, count_at, n, 1);
}

void sc_in_port_groups(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	sc_out_u32(o, 0);
	if (op->cdb[1] >> 5 == 1) {
		sc_out_u8(o, 0x10);  /* RETURN DATA FORMAT */
		sc_out_zero(o, 3);   /* IMPLICIT TRANSITION TIME: not said */
	}
	for (unsigned i = 0; i < ctx->tgt->n_ports; i++)
		if (!seen(ctx->tgt, i))
			put_group(ctx, ctx->tgt->ports[i].tpgt, o);
	sc_out_patch(o, 0, o->len - 4, 4);
}
