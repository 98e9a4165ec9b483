/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mode_sense.c - MODE SENSE(6) and (10); SPC-4 6.11, 6.12, headers 7.5.5 */
#include "node/scsi/internal.h"

#define ALL_PAGES    0x3f
#define ALL_SUBPAGES 0xff

static bool wanted(const struct sc_lu *lu, const struct sc_op *op, const struct sc_mode_page *pg)
{
	uint8_t page = op->cdb[2] & 0x3f, sub = op->cdb[3];

	return (page == ALL_PAGES || page == pg->page) && (sub == ALL_SUBPAGES || sub == pg->subpage) &&
	       sc_mode_page_there(pg, lu);
}

void sc_start_mode_sense(const struct sc_ctx *ctx, struct sc_op *op)
{
	bool page_known = (op->cdb[2] & 0x3f) == ALL_PAGES, any = false;

	if (op->cdb[2] >> 6 == SC_PC_SAVED && ctx->lu->flags & SC_LU_MODE_FIXED) {
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_SAVING_PARAMS);
		return;
	}
	for (unsigned i = 0; i < sc_mode_page_count; i++) {
		any = any || wanted(ctx->lu, op, &sc_mode_pages[i]);
		page_known = page_known || sc_mode_pages[i].page == (op->cdb[2] & 0x3f);
	}
	if (!page_known)
		sc_op_bad_cdb(op, 2, 5);
	else if (!any || ((op->cdb[2] & 0x3f) == ALL_PAGES && op->cdb[3] && op->cdb[3] != ALL_SUBPAGES))
		sc_op_bad_cdb(op, 3, SC_NO_BIT);
}

/* Short descriptor SBC-3 6.4.2.2, long one (LLBAA, MODE SENSE(10) only) 6.4.2.3 */
static void put_descriptor(const struct sc_lu *lu, bool llbaa, struct sc_out *o)
{
	if (llbaa) {
		sc_out_u64(o, lu->blocks);
		sc_out_zero(o, 4);
		sc_out_u32(o, lu->block_size);
	} else {
		sc_out_u32(o, (uint32_t)MIN(lu->blocks, (uint64_t)UINT32_MAX));
		sc_out_u32(o, lu->block_size);  /* DENSITY or reserved, then 24 bits of length */
	}
}

void sc_in_mode_sense(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_lu *lu = ctx->lu;
	bool ten = op->cmd->len == 10;
	bool descriptor = !(op->cdb[1] & 0x08), llbaa = ten && op->cdb[1] & 0x10;
	unsigned bd = !descriptor ? 0 : llbaa ? 16 : 8;
	unsigned device = (sc_lu_protected(lu) ? 0x80u : 0) | 0x10;  /* WP; DPOFUA: both bits are honored */
	uint8_t page[SC_MODE_PAGE_MAX];

	sc_out_be(o, 0, ten ? 2 : 1);
	sc_out_u8(o, 0);
	sc_out_u8(o, device);
	if (ten) {
		sc_out_u8(o, llbaa ? 0x01 : 0);  /* LONGLBA */
		sc_out_u8(o, 0);
	}
	sc_out_be(o, bd, ten ? 2 : 1);
	if (bd)
		put_descriptor(lu, llbaa, o);
	for (unsigned i = 0; i < sc_mode_page_count; i++) {
		if (!wanted(lu, op, &sc_mode_pages[i]))
			continue;
		sc_mode_page_get(&sc_mode_pages[i], lu, (enum sc_pc)(op->cdb[2] >> 6), page);
		sc_out_bytes(o, page, sc_mode_pages[i].size);
	}
	sc_out_patch(o, 0, o->len - (ten ? 2 : 1), ten ? 2 : 1);
}
