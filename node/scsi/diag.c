/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diag.c - SEND DIAGNOSTIC, RECEIVE DIAGNOSTIC RESULTS; SPC-4 6.31, 6.42, 7.2
 *
 * The default self-test finds nothing: what could fail is the disk, and its errors are told where they happen. The one
 * page is the list of pages.
 */
#include "node/scsi/internal.h"

#define SELFTEST 0x04
#define PF       0x10
#define PCV      0x01

/* SELF-TEST CODE is refused by the table: no background tests, and no log of their results. */
void sc_start_send_diagnostic(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	if (op->cdb[1] & SELFTEST && op->out_len)
		sc_op_bad_cdb(op, 3, SC_NO_BIT);
	else if (op->out_len && !(op->cdb[1] & PF))
		sc_op_bad_cdb(op, 1, 4);
	else if (!op->out_len)
		sc_op_good(op);
}

void sc_param_send_diagnostic(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	(void)ctx;
	if (len < 4)
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	else if (data[0] != 0x00)
		sc_op_bad_param(op, 0, SC_NO_BIT);
	else if (get_be16(data + 2))
		sc_op_bad_param(op, 2, SC_NO_BIT);
	else
		sc_op_good(op);
}

/* PCV 0 asks for what the last SEND DIAGNOSTIC prepared: always the list of pages. */
void sc_start_receive_diagnostic(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	if (op->cdb[1] & PCV && op->cdb[2] != 0x00)
		sc_op_bad_cdb(op, 2, SC_NO_BIT);
}

void sc_in_receive_diagnostic(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	(void)ctx;
	(void)op;
	sc_out_u16(o, 0x0000);  /* page 00h */
	sc_out_u16(o, 1);
	sc_out_u8(o, 0x00);
}
