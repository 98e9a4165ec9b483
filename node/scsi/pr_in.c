/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pr_in.c - PERSISTENT RESERVE IN, from the reactor's snapshot; SPC-4 6.15 */
#include "node/scsi/internal.h"

/* PRGENERATION and room for ADDITIONAL LENGTH, which end() fills in */
static void begin(const struct sc_pr *pr, struct sc_out *o)
{
	sc_out_u32(o, pr ? pr->generation : 0);
	sc_out_u32(o, 0);
}

static void end(struct sc_out *o)
{
	sc_out_patch(o, 4, o->len - 8, 4);
}

void sc_in_read_keys(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_pr *pr = ctx->lu->pr;

	(void)op;
	begin(pr, o);
	for (unsigned i = 0; pr && i < pr->n_regs; i++)
		sc_out_u64(o, pr->regs[i].key);
	end(o);
}

/* For the all registrants types the key is zero: nobody in particular holds it. SCOPE is always the logical unit. */
void sc_in_read_reservation(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_pr *pr = ctx->lu->pr;

	(void)op;
	begin(pr, o);
	if (pr && pr->type) {
		sc_out_u64(o, sc_pr_all_registrants(pr->type) ? 0 : pr->regs[pr->holder].key);
		sc_out_zero(o, 5);
		sc_out_u8(o, pr->type);
		sc_out_zero(o, 2);
	}
	end(o);
}

/*
 * SPC-4 6.15.4: RLR_C, CRH, SIP_C, ATP_C, PTPL_C; TMV; ALLOW COMMANDS 100b: what table 65 leaves open (footnote b) is
 * allowed; PTPL_A; all six types
 */
void sc_in_report_caps(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_pr *pr = ctx->lu->pr;

	(void)op;
	sc_out_u16(o, 8);
	sc_out_u8(o, 0x80 | 0x10 | 0x08 | 0x04 | 0x01);
	sc_out_u8(o, 0x80 | 0x40 | (pr && pr->aptpl ? 0x01 : 0));
	sc_out_u8(o, 0x80 | 0x40 | 0x20 | 0x08 | 0x02);
	sc_out_u8(o, 0x01);
	sc_out_zero(o, 2);
}

/* SPC-4 6.15.5: one descriptor a registration; ALL_TG_PT is 0, each has its own port */
void sc_in_full_status(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_pr *pr = ctx->lu->pr;

	(void)op;
	begin(pr, o);
	for (unsigned i = 0; pr && i < pr->n_regs; i++) {
		bool holder = sc_pr_holds(pr, i);
		uint32_t length_at;

		sc_out_u64(o, pr->regs[i].key);
		sc_out_zero(o, 4);
		sc_out_u8(o, holder ? 0x01 : 0);
		sc_out_u8(o, holder ? pr->type : 0);
		sc_out_zero(o, 4);
		sc_out_u16(o, pr->regs[i].nexus.rtpi);
		length_at = o->len;
		sc_out_u32(o, 0);
		sc_tid_put(o, &pr->regs[i].nexus);
		sc_out_patch(o, length_at, o->len - length_at - 4, 4);
	}
	end(o);
}
