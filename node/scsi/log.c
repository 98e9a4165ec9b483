/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.c - LOG SENSE: a table of pages; SPC-4 6.7, 7.3
 *
 * Nothing is counted that could be reset or saved, so only cumulative values are there to be asked for, and LOG SELECT
 * does not exist.
 */
#include "node/scsi/internal.h"

#define PC_CUMULATIVE 0x40
#define FMT_BINARY    0x03  /* FORMAT AND LINKING: a binary parameter; DU, TSD and ETC 0 */

uint32_t sc_log_parameter(struct sc_out *o, uint16_t code)
{
	sc_out_u16(o, code);
	sc_out_u8(o, FMT_BINARY);
	sc_out_u8(o, 0);
	return o->len;
}

void sc_log_end_parameter(struct sc_out *o, uint32_t at)
{
	sc_out_patch(o, at - 1, o->len - at, 1);
}

static void page_supported(const struct sc_ctx *ctx, struct sc_out *o);
static void page_subpages(const struct sc_ctx *ctx, struct sc_out *o);

/* Parameter 0: no exception, and no temperature is known (FFh). SPC-4 7.3.8 */
static void page_exceptions(const struct sc_ctx *ctx, struct sc_out *o)
{
	uint32_t at = sc_log_parameter(o, 0x0000);

	(void)ctx;
	sc_out_u16(o, 0x0000);
	sc_out_u8(o, 0xff);
	sc_out_u8(o, 0x00);
	sc_log_end_parameter(o, at);
}

static const struct page {
	uint8_t page, subpage;
	void (*put)(const struct sc_ctx *ctx, struct sc_out *o);
	bool thresholds;             /* only where there are any */
} pages[] = {  /* ascending: SPC-4 7.3.17 */
	{ 0x00, 0x00, page_supported, false },
	{ 0x00, 0xff, page_subpages, false },
	{ 0x0c, 0x00, sc_log_provisioning, true },
	{ 0x2f, 0x00, page_exceptions, false },
};

static bool there(const struct page *pg, const struct sc_lu *lu)
{
	return !pg->thresholds || lu->threshold_exp;
}

static void page_supported(const struct sc_ctx *ctx, struct sc_out *o)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		if (!pages[i].subpage && there(&pages[i], ctx->lu))
			sc_out_u8(o, pages[i].page);
}

static void page_subpages(const struct sc_ctx *ctx, struct sc_out *o)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		if (!there(&pages[i], ctx->lu))
			continue;
		sc_out_u8(o, pages[i].page);
		sc_out_u8(o, pages[i].subpage);
	}
}

static const struct page *asked(const struct sc_ctx *ctx, const struct sc_op *op)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i].page == (op->cdb[2] & 0x3f) && pages[i].subpage == op->cdb[3] &&
		    there(&pages[i], ctx->lu))
			return &pages[i];
	return NULL;
}

/* Byte at which the parameter with the least code not below PARAMETER POINTER begins; the page's end: there is none */
static uint32_t pointed_at(const struct sc_ctx *ctx, const struct sc_op *op)
{
	uint8_t buf[512];
	struct sc_out o = { .buf = buf, .cap = sizeof(buf) };
	uint32_t at = 0, pointer = get_be16(op->cdb + 5);

	asked(ctx, op)->put(ctx, &o);
	while (at + 4 <= MIN(o.len, o.cap) && get_be16(buf + at) < pointer)
		at += 4u + buf[at + 3];
	return MIN(at, o.len);
}

/* The lists of pages have no parameters, and PC means nothing to them. */
static bool is_list(const struct sc_op *op) { return !(op->cdb[2] & 0x3f); }

void sc_start_log_sense(const struct sc_ctx *ctx, struct sc_op *op)
{
	const struct page *pg = asked(ctx, op);

	if (!pg) {
		bool page_known = false;

		for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
			page_known = page_known || (pages[i].page == (op->cdb[2] & 0x3f) && there(&pages[i], ctx->lu));
		sc_op_bad_cdb(op, page_known ? 3 : 2, page_known ? SC_NO_BIT : 5);
	} else if (!is_list(op) && (op->cdb[2] & 0xc0) != PC_CUMULATIVE) {
		sc_op_bad_cdb(op, 2, 7);
	} else if (get_be16(op->cdb + 5) && is_list(op)) {
		sc_op_bad_cdb(op, 5, SC_NO_BIT);
	} else if (get_be16(op->cdb + 5)) {
		struct sc_out o = { .cap = 0 };

		pg->put(ctx, &o);
		if (pointed_at(ctx, op) >= o.len)
			sc_op_bad_cdb(op, 5, SC_NO_BIT);
	}
	if (pg && pg->thresholds)
		op->flags |= SC_LOOK;
}

void sc_in_log_sense(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct page *pg = asked(ctx, op);
	uint8_t buf[512];
	struct sc_out whole = { .buf = buf, .cap = sizeof(buf) };
	uint32_t from = is_list(op) ? 0 : pointed_at(ctx, op);

	pg->put(ctx, &whole);
	sc_out_u8(o, (pg->subpage ? 0x40u : 0u) | pg->page);  /* DS 0, SPF */
	sc_out_u8(o, pg->subpage);
	sc_out_u16(o, whole.len - from);
	sc_out_bytes(o, buf + from, whole.len - from);
}
