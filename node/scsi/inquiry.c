/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inquiry.c - standard INQUIRY data; SPC-4 6.6 */
#include "node/scsi/internal.h"

#define NO_LU 0x7f  /* PERIPHERAL QUALIFIER 3, DEVICE TYPE 1Fh: there is no logical unit here */

/* SPC-4 6.6.2: without EVPD, PAGE CODE must be zero */
void sc_start_inquiry(const struct sc_ctx *ctx, struct sc_op *op)
{
	if (!(op->cdb[1] & 0x01)) {
		if (op->cdb[2])
			sc_op_bad_cdb(op, 2, SC_NO_BIT);
	} else if (!sc_vpd_known(ctx->lu, op->cdb[2])) {
		sc_op_bad_cdb(op, 2, SC_NO_BIT);
	}
}

static void standard(const struct sc_ctx *ctx, struct sc_out *o)
{
	/* SAM-5, SPC-4, SBC-3, iSCSI: no version claimed. SPC-4 table 142 */
	static const uint16_t versions[8] = { 0x00a0, 0x0460, 0x04c0, 0x0960 };
	const struct sc_lu *lu = ctx->lu;
	uint32_t length_at;

	sc_out_u8(o, lu ? 0x00 : NO_LU);
	sc_out_u8(o, 0);
	sc_out_u8(o, 0x06);         /* VERSION: SPC-4 */
	sc_out_u8(o, 0x10 | 0x02);  /* HISUP; RESPONSE DATA FORMAT 2 */
	length_at = o->len;
	sc_out_u8(o, 0);
	sc_out_u8(o, 0x10 | 0x08);  /* TPGS: implicit asymmetric access only; 3PC */
	sc_out_u8(o, ctx->tgt->n_ports > 1 ? 0x10 : 0);  /* MULTIP */
	sc_out_u8(o, 0x02);         /* CMDQUE */
	sc_out_ascii(o, SC_VENDOR, 8);
	sc_out_ascii(o, lu ? lu->product : "", 16);
	sc_out_ascii(o, lu ? lu->revision : "", 4);
	sc_out_zero(o, 22);
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++)
		sc_out_u16(o, versions[i]);
	sc_out_patch(o, length_at, o->len - length_at - 1, 1);
}

void sc_in_inquiry(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	if (op->cdb[1] & 0x01)
		sc_vpd(ctx, op->cdb[2], o);
	else
		standard(ctx, o);
}
