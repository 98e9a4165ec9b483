/* SPDX-License-Identifier: GPL-2.0-or-later */
/* settings.c - changes of settings; REPORT and SET IDENTIFYING INFORMATION, SPC-4 6.32, 6.43 */
#include "node/scsi/internal.h"

/* ---- changes ---- */

void sc_mode_merge(struct sc_mode *m, const struct sc_mode *from, unsigned what)
{
	if (what & SC_SET_CACHING)
		m->write_through = from->write_through;
	if (what & SC_SET_RECOVERY)
		m->lbp = (m->lbp & ~SC_LBP_SILENT) | (from->lbp & SC_LBP_SILENT);
	if (what & SC_SET_THRESHOLDS) {
		m->lbp = (m->lbp & SC_LBP_SILENT) | (from->lbp & ~SC_LBP_SILENT);
		memcpy(m->threshold, from->threshold, sizeof(m->threshold));
	}
	if (what & SC_SET_CONTROL) {
		m->d_sense = from->d_sense;
		m->swp = from->swp;
		m->tas = from->tas;
	}
}

static void take_info(struct sc_info *i, const struct sc_change *c)
{
	memset(i, 0, sizeof(*i));
	i->len = c->info_len;
	if (c->info_len)
		memcpy(i->data, c->info, c->info_len);
}

static bool same_mode(const struct sc_mode *a, const struct sc_mode *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool same_info(const struct sc_info *a, const struct sc_info *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

static bool same_clock(const struct sc_settings *a, const struct sc_settings *b)
{
	return a->clock_set == b->clock_set && a->clock_offset == b->clock_offset;
}

/* SPC-4 6.9: MODE PARAMETERS CHANGED; 6.43: DEVICE IDENTIFIER CHANGED; 6.46: TIMESTAMP CHANGED. What is saved only changes nothing yet. */
bool sc_settings_apply(const struct sc_settings *old, const struct sc_change *c, struct sc_settings *next, uint16_t *ua)
{
	bool info = false;

	*next = *old;
	sc_mode_merge(&next->mode, &c->mode, c->what);
	if (c->what & SC_SET_SAVE)
		sc_mode_merge(&next->saved, &c->mode, c->what);
	if (c->what & SC_SET_REVERT)
		next->mode = next->saved;
	if (c->what & SC_SET_INFO) {
		take_info(&next->info[c->info_type], c);
		info = !same_info(&next->info[c->info_type], &old->info[c->info_type]);
	}
	if (c->what & SC_SET_CLOCK) {
		next->clock_set = 1;
		next->clock_offset = c->clock_offset;
	}
	*ua = info ? SC_UA_IDENTIFIER_CHANGED : SC_UA_NONE;
	if (c->what & SC_SET_CLOCK)
		*ua = SC_UA_TIMESTAMP_CHANGED;
	if (!same_mode(&next->mode, &old->mode) && !(c->what & SC_SET_REVERT))
		*ua = SC_UA_MODE_CHANGED;  /* a reset has a unit attention of its own */
	return info || !same_clock(next, old) || !same_mode(&next->mode, &old->mode) || !same_mode(&next->saved, &old->saved);
}

uint16_t sc_info_max(enum sc_info_type type)
{
	return type == SC_INFO_TEXT ? SC_INFO_TEXT_MAX : SC_INFO_PERIPHERAL_MAX;
}

/* ---- identifying information ---- */

enum { ITYPE_PERIPHERAL = 0x00, ITYPE_TEXT = 0x02, ITYPE_SUPPORTED = 0x7f };
static const uint8_t itypes[SC_INFO_TYPES] = { [SC_INFO_PERIPHERAL] = ITYPE_PERIPHERAL, [SC_INFO_TEXT] = ITYPE_TEXT };

static unsigned itype(const struct sc_op *op) { return op->cdb[10] >> 1; }

/* Index of the type the CDB names, or SC_INFO_TYPES */
static unsigned asked(const struct sc_op *op)
{
	unsigned i = 0;

	while (i < SC_INFO_TYPES && itypes[i] != itype(op))
		i++;
	return i;
}

void sc_start_report_info(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	if (asked(op) == SC_INFO_TYPES && itype(op) != ITYPE_SUPPORTED)
		sc_op_bad_cdb(op, 10, 7);
}

void sc_in_report_info(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_info *info;

	sc_out_zero(o, 2);
	if (itype(op) == ITYPE_SUPPORTED) {
		sc_out_u16(o, 4 * SC_INFO_TYPES);
		for (unsigned i = 0; i < SC_INFO_TYPES; i++) {
			sc_out_u8(o, (unsigned)itypes[i] << 1);
			sc_out_u8(o, 0);
			sc_out_u16(o, sc_info_max((enum sc_info_type)i));
		}
		return;
	}
	info = &ctx->lu->set.info[asked(op)];
	sc_out_u16(o, info->len);
	sc_out_bytes(o, info->data, info->len);
}

static void change(struct sc_op *op, const uint8_t *data, uint32_t len)
{
	op->change = (struct sc_change){ .what = SC_SET_INFO, .info_type = (uint8_t)asked(op), .info = data,
					 .info_len = (uint16_t)len };
	op->kind = SC_OP_CONTROL;
	op->control = SC_CONTROL_SETTINGS;
}

/* An empty list removes the information. */
void sc_start_set_info(const struct sc_ctx *ctx, struct sc_op *op)
{
	unsigned i = asked(op);

	(void)ctx;
	if (i == SC_INFO_TYPES)
		sc_op_bad_cdb(op, 10, 7);
	else if (op->out_len > sc_info_max((enum sc_info_type)i))
		sc_op_bad_cdb(op, 6, SC_NO_BIT);
	else if (!op->out_len)
		change(op, NULL, 0);
}

/* Text is UTF-8 and ends with a NUL, and only there. SPC-4 6.43 */
void sc_param_set_info(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	const uint8_t *nul = memchr(data, 0, len);

	(void)ctx;
	if (asked(op) == SC_INFO_TEXT && nul != data + len - 1)
		sc_op_bad_param(op, (uint16_t)(nul ? nul - data : (ptrdiff_t)len - 1), SC_NO_BIT);
	else
		change(op, data, len);
}
