/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buffer.c - WRITE BUFFER and READ BUFFER(10), SPC-4 6.20, 6.45: the echo buffer
 *
 * Each nexus has an echo buffer of its own (EBOS) for each logical unit, from its first WRITE BUFFER on. There are no other
 * buffers, no microcode to download and no error history.
 */
#include "node/scsi/internal.h"

enum { MODE_DESCRIPTOR = 0x03, MODE_ECHO = 0x0a, MODE_ECHO_DESCRIPTOR = 0x0b };
#define EBOS 0x01

static unsigned mode(const struct sc_op *op) { return op->cdb[1] & 0x1f; }

/* BUFFER ID and BUFFER OFFSET are ignored with the echo buffer. */
void sc_start_write_buffer(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	if (mode(op) != MODE_ECHO)
		sc_op_bad_cdb(op, 1, 4);
	else if (op->out_len > SC_ECHO_MAX)
		sc_op_bad_cdb(op, 6, SC_NO_BIT);
	else if (!op->out_len)
		sc_op_good(op);
	else
		op->flags |= SC_ECHO;
}

void sc_param_write_buffer(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	struct sc_echo *e = ctx->itl->echo;

	if (!e) {
		sc_op_status(op, SC_BUSY);
		return;
	}
	memcpy(e->data, data, len);
	e->len = len;
	sc_op_good(op);
}

/* What was never written cannot be read back (SPC-4 6.20.6). */
void sc_start_read_buffer(const struct sc_ctx *ctx, struct sc_op *op)
{
	unsigned m = mode(op);

	if (m != MODE_DESCRIPTOR && m != MODE_ECHO && m != MODE_ECHO_DESCRIPTOR)
		sc_op_bad_cdb(op, 1, 4);
	else if (m == MODE_ECHO && !ctx->itl->echo)
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_COMMAND_SEQUENCE);
}

/* The descriptor of a buffer that does not exist is all zeroes, and none does. */
void sc_in_read_buffer(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	switch (mode(op)) {
	case MODE_ECHO:
		sc_out_bytes(o, ctx->itl->echo->data, ctx->itl->echo->len);
		break;
	case MODE_ECHO_DESCRIPTOR:
		sc_out_u8(o, EBOS);
		sc_out_u8(o, 0);
		sc_out_u16(o, SC_ECHO_MAX);
		break;
	default:
		sc_out_u32(o, 0);
		break;
	}
}
