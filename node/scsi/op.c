/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * op.c - life of an operation: checks before, answers after
 *
 * Everything that differs between commands is in the rows of cdb.c; this file only knows the order of things.
 */
#include "node/scsi/internal.h"

void sc_op_status(struct sc_op *op, enum sc_status status)
{
	op->kind = SC_OP_DONE;
	op->status = (uint8_t)status;
	op->in_len = 0;
	op->out_len = 0;
}

void sc_op_good(struct sc_op *op)
{
	sc_op_status(op, SC_GOOD);
}

void sc_op_fail(struct sc_op *op, struct sc_sense sense)
{
	sc_op_status(op, SC_CHECK_CONDITION);
	op->sense = sense;
}

void sc_op_bad_cdb(struct sc_op *op, uint16_t byte, uint8_t bit)
{
	sc_op_fail(op, sc_sense_cdb(SC_ASC_INVALID_FIELD_CDB, byte, bit));
}

void sc_op_bad_param(struct sc_op *op, uint16_t byte, uint8_t bit)
{
	sc_op_fail(op, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, byte, bit));
}

/* Not executed in states that do not let media be accessed; SPC-4 5.15.2.4 ff. */
static bool alua_refuses(const struct sc_ctx *ctx, const struct sc_cmd *cmd, struct sc_op *op)
{
	if (!ctx->lu || (cmd->flags & SC_F_ALUA))
		return false;
	switch (ctx->lu->alua) {
	case SC_ALUA_TRANSITIONING:
		sc_op_asc(op, SC_KEY_NOT_READY, SC_ASC_ALUA_TRANSITION);
		return true;
	case SC_ALUA_STANDBY:
		sc_op_asc(op, SC_KEY_NOT_READY, SC_ASC_ALUA_STANDBY);
		return true;
	case SC_ALUA_UNAVAILABLE:
		sc_op_asc(op, SC_KEY_NOT_READY, SC_ASC_ALUA_UNAVAILABLE);
		return true;
	default:
		return false;
	}
}

/* Stopped: what needs the medium is not executed, and TEST UNIT READY says so. SBC-3 4.20 */
static bool stopped(const struct sc_ctx *ctx, const struct sc_cmd *cmd, struct sc_op *op)
{
	if (!ctx->lu || !ctx->lu->stopped || (!cmd->kind && cmd->opcode != 0x00))
		return false;
	sc_op_asc(op, SC_KEY_NOT_READY, SC_ASC_START_REQUIRED);
	return true;
}

struct sc_sense sc_ua_sense(const struct sc_lu *lu, uint16_t ua)
{
	return ua == SC_UA_THIN_THRESHOLD && lu ? sc_threshold_sense(lu) : sc_sense_make(SC_KEY_UNIT_ATTENTION, ua);
}

/* SAM-5 5.3.3: unit attention before reservation conflict before everything else. Return: true when @op is over */
static bool refused_early(const struct sc_ctx *ctx, const struct sc_cmd *cmd, struct sc_op *op)
{
	uint16_t ua;

	if (!ctx->lu && !(cmd && cmd->flags & SC_F_NO_LU)) {
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_NO_LUN);
		return true;
	}
	if (!(cmd && cmd->flags & SC_F_NO_UA)) {
		ua = sc_ua_take(&ctx->itl->ua);
		if (ua) {
			sc_op_fail(op, sc_ua_sense(ctx->lu, ua));
			return true;
		}
	}
	if (ctx->lu && sc_lost_refuses(ctx->lu, op->cdb)) {
		sc_op_asc(op, SC_KEY_DATA_PROTECT, SC_ASC_RESERVATIONS_LOST);
		return true;
	}
	if (cmd && ctx->lu && sc_conflict(ctx, cmd->rc, op->cdb)) {
		sc_op_status(op, SC_RESERVATION_CONFLICT);
		return true;
	}
	return cmd && (alua_refuses(ctx, cmd, op) || stopped(ctx, cmd, op));
}

/* Operation code, service action, length, bits that must be zero. Return: true when @op is over */
static bool refused_cdb(const struct sc_ctx *ctx, const struct sc_cmd *cmd, bool opcode_known, size_t len,
			struct sc_op *op)
{
	uint16_t byte;
	uint8_t bit;

	if (!opcode_known || (cmd && !sc_cmd_there(cmd, ctx->lu)))
		sc_op_fail(op, sc_sense_cdb(SC_ASC_INVALID_OPCODE, 0, SC_NO_BIT));
	else if (!cmd)
		sc_op_bad_cdb(op, 1, 4);  /* SERVICE ACTION */
	else if (len < cmd->len)
		sc_op_bad_cdb(op, (uint16_t)len, SC_NO_BIT);
	else if (sc_cmd_bad_bit(cmd, op->cdb, &byte, &bit))
		sc_op_bad_cdb(op, byte, bit);
	else if (cmd->flags & SC_F_WRITES && ctx->lu->flags & SC_LU_READONLY)
		sc_op_asc(op, SC_KEY_DATA_PROTECT, SC_ASC_WRITE_PROTECTED);
	else if (cmd->flags & SC_F_WRITES && ctx->lu->set.mode.swp)
		sc_op_asc(op, SC_KEY_DATA_PROTECT, SC_ASC_SOFT_WRITE_PROTECTED);
	else
		return false;
	return true;
}

/* ALLOCATION LENGTH or PARAMETER LIST LENGTH; a row without the field has no limit */
static uint32_t length_field(const struct sc_op *op)
{
	const uint8_t *p = op->cdb + op->cmd->alloc_at;
	uint32_t v = 0;

	if (!op->cmd->alloc_n)
		return UINT32_MAX;
	for (unsigned i = 0; i < op->cmd->alloc_n; i++)
		v = v << 8 | p[i];
	return v;
}

void sc_op_start(const struct sc_ctx *ctx, const uint8_t *cdb, size_t len, struct sc_op *op)
{
	bool known = false;
	const struct sc_cmd *cmd;

	memset(op, 0, sizeof(*op));
	len = MIN(len, (size_t)SC_CDB_MAX);
	memcpy(op->cdb, cdb, len);
	cmd = sc_cmd_find(op->cdb[0], op->cdb[1] & 0x1f, &known);
	if (refused_early(ctx, cmd, op) || refused_cdb(ctx, cmd, known, len, op))
		return;

	op->cmd = cmd;
	sc_op_good(op);
	if (cmd->data_in) {
		op->kind = SC_OP_DATA_IN;
	} else if (cmd->param) {
		op->kind = SC_OP_PARAM;
		op->out_len = length_field(op);
	}
	if (cmd->start)
		cmd->start(ctx, op);
	if (op->kind == SC_OP_DATA_IN) {
		struct sc_out measure = { .cap = 0 };

		cmd->data_in(ctx, op, &measure);
		op->in_len = MIN(measure.len, length_field(op));
	}
}

void sc_op_data_out(struct sc_op *op, uint32_t bytes)
{
	uint8_t kind = op->cmd ? op->cmd->kind : 0;

	if (op->status == SC_GOOD && (kind == SC_OP_WRITE_SAME || kind == SC_OP_COMPARE_WRITE) && bytes != op->out_len)
		sc_op_bad_cdb(op, kind == SC_OP_COMPARE_WRITE ? 13 : sc_op_length_at(op), SC_NO_BIT);
}

uint32_t sc_op_data_in(const struct sc_ctx *ctx, struct sc_op *op, uint8_t *buf, uint32_t cap)
{
	struct sc_out o = { .buf = buf, .cap = MIN(cap, op->in_len) };

	op->cmd->data_in(ctx, op, &o);
	sc_op_good(op);
	return MIN(o.len, o.cap);
}

void sc_op_param(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	if (len < op->out_len)
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	else
		op->cmd->param(ctx, op, data, op->out_len);
}

static struct sc_sense medium_sense(const struct sc_ctx *ctx, const struct sc_op *op, uint64_t at)
{
	bool write = op->cmd->flags & SC_F_WRITES;

	if (op->kind == SC_OP_FLUSH)
		return sc_sense_make(SC_KEY_MEDIUM_ERROR, SC_ASC_WRITE_ERROR);
	return sc_sense_info(SC_KEY_MEDIUM_ERROR, write ? SC_ASC_WRITE_ERROR : SC_ASC_UNRECOVERED_READ,
			     op->lba + at / ctx->lu->block_size);
}

void sc_op_io_done(const struct sc_ctx *ctx, struct sc_op *op, enum sc_io result, uint64_t at)
{
	switch (result) {
	case SC_IO_OK:
		sc_op_good(op);
		return;
	case SC_IO_BUSY:
		sc_op_status(op, SC_BUSY);
		return;
	case SC_IO_MEDIUM:
		sc_op_fail(op, medium_sense(ctx, op, at));
		return;
	case SC_IO_MISCOMPARE:
		sc_op_fail(op, sc_sense_info(SC_KEY_MISCOMPARE, SC_ASC_MISCOMPARE_VERIFY, at));
		return;
	case SC_IO_NOT_READY:
		sc_op_asc(op, SC_KEY_NOT_READY, SC_ASC_BECOMING_READY);
		return;
	case SC_IO_PROTECTED:
		sc_op_asc(op, SC_KEY_DATA_PROTECT, SC_ASC_WRITE_PROTECTED);
		return;
	case SC_IO_NO_SPACE:
		sc_op_asc(op, SC_KEY_DATA_PROTECT, SC_ASC_SPACE_ALLOC_FAILED);
		return;
	case SC_IO_RANGE:
		sc_op_fail(op, sc_sense_info(SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE, op->lba));
		return;
	case SC_IO_HARDWARE:
		break;
	}
	sc_op_asc(op, SC_KEY_HARDWARE_ERROR, SC_ASC_INTERNAL_FAILURE);
}

size_t sc_op_sense(const struct sc_ctx *ctx, const struct sc_op *op, uint8_t buf[SC_SENSE_MAX])
{
	if (op->status != SC_CHECK_CONDITION)
		return 0;
	return sc_sense_encode(&op->sense, ctx->lu && ctx->lu->set.mode.d_sense, buf);
}
