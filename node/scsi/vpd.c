/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vpd.c - vital product data: the table of pages; SPC-4 7.8. Names are in vpd_id.c, the pages of SBC-3 in vpd_block.c */
#include "node/scsi/internal.h"

static void page_supported(const struct sc_ctx *ctx, struct sc_out *o);

static void page_serial(const struct sc_ctx *ctx, struct sc_out *o)
{
	sc_out_bytes(o, ctx->lu->serial, (uint32_t)strlen(ctx->lu->serial));
}

/* HEADSUP, ORDSUP, SIMPSUP; V_SUP. Everything else is zero: no protection, no self-test times. SPC-4 7.8.7 */
static void page_extended(const struct sc_ctx *ctx, struct sc_out *o)
{
	sc_out_u8(o, 0);
	sc_out_u8(o, 0x07);
	sc_out_u8(o, ctx->lu->flags & SC_LU_WRITE_CACHE ? 0x01 : 0);
	sc_out_zero(o, 57);
}

/* MODE PAGE POLICY 00b, for all pages and subpages: the values are shared by all nexuses. SPC-4 7.8.9 */
static void page_mode_policy(const struct sc_ctx *ctx, struct sc_out *o)
{
	(void)ctx;
	sc_out_u8(o, 0x3f);
	sc_out_u8(o, 0xff);
	sc_out_zero(o, 2);
}

static const struct {
	uint8_t code;
	void (*put)(const struct sc_ctx *ctx, struct sc_out *o);
} pages[] = {  /* ascending: SPC-4 7.8.14 */
	{ 0x00, page_supported },
	{ 0x80, page_serial },
	{ 0x83, sc_vpd_identification },
	{ 0x85, sc_vpd_networks },
	{ 0x86, page_extended },
	{ 0x87, page_mode_policy },
	{ 0x88, sc_vpd_ports },
	{ 0x8f, sc_vpd_copy },
	{ 0xb0, sc_vpd_block_limits },
	{ 0xb1, sc_vpd_characteristics },
	{ 0xb2, sc_vpd_provisioning },
};

static void page_supported(const struct sc_ctx *ctx, struct sc_out *o)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		if (sc_vpd_known(ctx->lu, pages[i].code))
			sc_out_u8(o, pages[i].code);
}

/* Without a logical unit only the list of pages exists. */
bool sc_vpd_known(const struct sc_lu *lu, uint8_t page)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i].code == page)
			return lu || page == 0x00;
	return false;
}

void sc_vpd(const struct sc_ctx *ctx, uint8_t page, struct sc_out *o)
{
	sc_out_u8(o, ctx->lu ? 0x00 : 0x7f);
	sc_out_u8(o, page);
	sc_out_u16(o, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i].code == page)
			pages[i].put(ctx, o);
	sc_out_patch(o, 2, o->len - 4, 2);
}
