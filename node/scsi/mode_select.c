/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mode_select.c - MODE SELECT(6) and (10); SPC-4 6.9, 6.10
 *
 * All or nothing: every page is compared with the current one, a difference outside the changeable bits refuses the
 * whole list. What remains is a struct sc_change; when it makes a difference, it is the control thread's.
 */
#include "node/scsi/internal.h"

struct list {
	struct rd r;
	const uint8_t *start;
	const struct sc_lu *lu;
	struct sc_op *op;
};

static uint16_t at(const struct list *l) { return (uint16_t)(l->r.p - l->start); }

static void truncated(struct list *l)
{
	sc_op_asc(l->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
}

/* PF 0 (vendor-specific format) is not supported, RTD neither. An empty list changes nothing. */
void sc_start_mode_select(const struct sc_ctx *ctx, struct sc_op *op)
{
	if (op->cdb[1] & 0x01 && ctx->lu->flags & SC_LU_MODE_FIXED)
		sc_op_bad_cdb(op, 1, 0);
	else if (!(op->cdb[1] & 0x10))
		sc_op_bad_cdb(op, 1, 4);
	else if (!op->out_len)
		sc_op_good(op);
}

/* One block descriptor at most, and it must say what is: the format cannot be changed. Return: false when @op is over */
static bool descriptor_ok(struct list *l, bool longlba, uint32_t len)
{
	uint16_t start = at(l);
	uint64_t blocks, size;

	if (!len)
		return true;
	if (len != (longlba ? 16u : 8u)) {
		sc_op_bad_param(l->op, l->op->cmd->len == 10 ? 6 : 3, SC_NO_BIT);
		return false;
	}
	blocks = longlba ? rd_u64(&l->r) : rd_u32(&l->r);
	rd_skip(&l->r, longlba ? 4 : 1);
	size = longlba ? rd_u32(&l->r) : rd_u24(&l->r);
	if (l->r.bad) {
		truncated(l);
		return false;
	}
	if (blocks && blocks != (longlba ? UINT64_MAX : UINT32_MAX) && blocks != l->lu->blocks) {
		sc_op_bad_param(l->op, start, SC_NO_BIT);
		return false;
	}
	if (size != l->lu->block_size) {
		sc_op_bad_param(l->op, (uint16_t)(start + (longlba ? 12 : 5)), SC_NO_BIT);
		return false;
	}
	return true;
}

/* Mode parameter header. MODE DATA LENGTH is reserved here, WP and DPOFUA are ignored. SPC-4 7.5.5 */
static bool header_ok(struct list *l)
{
	bool ten = l->op->cmd->len == 10, longlba = false;
	uint32_t bd;

	rd_skip(&l->r, ten ? 2 : 1);
	if (rd_u8(&l->r) != 0) {  /* MEDIUM TYPE */
		sc_op_bad_param(l->op, ten ? 2 : 1, SC_NO_BIT);
		return false;
	}
	rd_skip(&l->r, 1);
	if (ten) {
		longlba = rd_u8(&l->r) & 0x01;
		rd_skip(&l->r, 1);
	}
	bd = ten ? rd_u16(&l->r) : rd_u8(&l->r);
	if (l->r.bad) {
		truncated(l);
		return false;
	}
	return descriptor_ok(l, longlba, bd);
}

static const struct sc_mode_page *find_page(const struct sc_lu *lu, uint8_t page, uint8_t subpage)
{
	for (unsigned i = 0; i < sc_mode_page_count; i++)
		if (sc_mode_pages[i].page == page && sc_mode_pages[i].subpage == subpage &&
		    sc_mode_page_there(&sc_mode_pages[i], lu))
			return &sc_mode_pages[i];
	return NULL;
}

static bool same_but_changeable(struct list *l, const struct sc_mode_page *pg, const uint8_t *p, uint16_t start)
{
	uint8_t now[SC_MODE_PAGE_MAX], mask[SC_MODE_PAGE_MAX];

	sc_mode_page_get(pg, l->lu, SC_PC_CURRENT, now);
	sc_mode_page_get(pg, l->lu, SC_PC_CHANGEABLE, mask);
	for (uint16_t i = pg->subpage ? 4 : 2; i < pg->size; i++) {
		unsigned bad = (unsigned)(p[i] ^ now[i]) & ~(unsigned)mask[i];

		if (bad) {
			sc_op_bad_param(l->op, (uint16_t)(start + i), (uint8_t)(31 - __builtin_clz(bad)));
			return false;
		}
	}
	return true;
}

static bool take_page(struct list *l)
{
	uint16_t start = at(l);
	uint8_t first = rd_u8(&l->r);
	bool spf = first & 0x40;
	uint8_t subpage = spf ? rd_u8(&l->r) : 0;
	uint32_t len = spf ? rd_u16(&l->r) : rd_u8(&l->r);
	const struct sc_mode_page *pg = find_page(l->lu, first & 0x3f, subpage);

	if (l->r.bad) {
		truncated(l);
		return false;
	}
	if (!pg || (spf && !subpage)) {
		sc_op_bad_param(l->op, start, spf ? SC_NO_BIT : 5);
		return false;
	}
	if (len != pg->size - (spf ? 4u : 2u)) {
		sc_op_bad_param(l->op, (uint16_t)(start + (spf ? 2 : 1)), SC_NO_BIT);
		return false;
	}
	if (!rd_bytes(&l->r, len)) {
		truncated(l);
		return false;
	}
	if (!same_but_changeable(l, pg, l->start + start, start))
		return false;
	sc_mode_page_read(pg, l->start + start, &l->op->change);
	return true;
}

void sc_param_mode_select(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	struct list l = { .r = rd_init(data, len), .start = data, .lu = ctx->lu, .op = op };
	struct sc_settings next;
	uint16_t ua;

	op->change = (struct sc_change){ .what = op->cdb[1] & 0x01 ? SC_SET_SAVE : 0 };
	if (!header_ok(&l))
		return;
	while (rd_left(&l.r))
		if (!take_page(&l))
			return;
	sc_op_good(op);
	if (sc_settings_apply(&ctx->lu->set, &op->change, &next, &ua)) {
		op->kind = SC_OP_CONTROL;
		op->control = SC_CONTROL_SETTINGS;
	}
}
