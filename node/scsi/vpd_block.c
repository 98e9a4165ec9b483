/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vpd_block.c - the vital product data of a disk: what it can do with blocks; SBC-3 6.6, SBC-4 6.6 */
#include "node/scsi/internal.h"

#define UGAVALID 0x80000000u

/* WSNZ; no limits of their own for PRE-FETCH. The atomic fields are SBC-4 6.6.4: no boundaries within a WRITE ATOMIC. */
void sc_vpd_block_limits(const struct sc_ctx *ctx, struct sc_out *o)
{
	const struct sc_lu *lu = ctx->lu;

	sc_out_u8(o, 0x01);
	sc_out_u8(o, lu->caw_max);
	sc_out_u16(o, MIN(lu->opt_gran, (uint32_t)UINT16_MAX));
	sc_out_u32(o, lu->max_xfer);
	sc_out_u32(o, lu->opt_xfer);
	sc_out_u32(o, 0);
	sc_out_u32(o, lu->unmap_max);
	sc_out_u32(o, lu->unmap_max ? lu->unmap_descs : 0);
	sc_out_u32(o, lu->unmap_max ? lu->unmap_gran : 0);
	sc_out_u32(o, lu->unmap_max && lu->unmap_gran ? UGAVALID | lu->unmap_align : 0);
	sc_out_u64(o, lu->write_same_max);
	sc_out_u32(o, lu->atomic_max);
	sc_out_u32(o, lu->atomic_max ? lu->atomic_gran : 0);  /* ATOMIC ALIGNMENT */
	sc_out_u32(o, lu->atomic_max ? lu->atomic_gran : 0);  /* ATOMIC TRANSFER LENGTH GRANULARITY */
	sc_out_zero(o, 8);
}

/* MEDIUM ROTATION RATE: 0 not reported, 1 non-rotating. SBC-3 6.6.3 */
void sc_vpd_characteristics(const struct sc_ctx *ctx, struct sc_out *o)
{
	sc_out_u16(o, ctx->lu->flags & SC_LU_ROTATING ? 0 : 1);
	sc_out_zero(o, 58);
}

/*
 * SBC-3 6.6.5. THRESHOLD EXPONENT. Thin: LBPU, LBPWS, LBPWS10, and LBPRZ as in READ CAPACITY(16); nothing can be anchored.
 */
void sc_vpd_provisioning(const struct sc_ctx *ctx, struct sc_out *o)
{
	const struct sc_lu *lu = ctx->lu;
	unsigned how = 0xe0 | (lu->flags & SC_LU_UNMAP_ZEROES ? 0x04 : 0);

	sc_out_u8(o, lu->threshold_exp);
	sc_out_u8(o, lu->unmap_max ? how : 0);
	sc_out_u8(o, lu->unmap_max ? 0x02 : 0);  /* PROVISIONING TYPE */
	sc_out_u8(o, 0);
}
