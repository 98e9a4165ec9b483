/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_param.c - PERSISTENT RESERVE OUT and RESERVE/RELEASE: from bytes to struct sc_pr_cmd
 *
 * Refuses what is wrong whatever the state is; what depends on state is sc_pr_apply()'s. SPC-4 6.16
 */
#include "node/scsi/internal.h"

#define BASIC_LEN 24u

/* Bits of byte 20 of the basic list, and of byte 17 of the REGISTER AND MOVE list */
#define SPEC_I_PT 0x08
#define ALL_TG_PT 0x04
#define APTPL     0x01
#define UNREG     0x02

static void control(struct sc_op *op)
{
	sc_op_good(op);
	op->kind = SC_OP_CONTROL;
	op->control = SC_CONTROL_PR;
}

static void bad_length(struct sc_op *op)
{
	sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
}

/*
 * SCOPE must be the logical unit and TYPE one of the six where a reservation is made. RELEASE compares both with what
 * is held, PREEMPT may not need them: both take the byte as it is. The other service actions ignore it (table 216).
 */
void sc_start_pr_out(const struct sc_ctx *ctx, struct sc_op *op)
{
	uint8_t scope_type = op->cdb[2];
	bool reserves;

	(void)ctx;
	op->pr.verb = op->cdb[1] & 0x1f;
	op->pr.type = scope_type;
	reserves = op->pr.verb == SC_PR_RESERVE || op->pr.verb == SC_PR_REPLACE_LOST;
	if (reserves && scope_type >> 4)
		sc_op_bad_cdb(op, 2, 7);
	else if (reserves && !sc_pr_type_ok(scope_type))
		sc_op_bad_cdb(op, 2, 3);
	else if (op->out_len < BASIC_LEN || op->out_len > SC_PARAM_MAX)
		bad_length(op);
}

void sc_start_spc2(const struct sc_ctx *ctx, struct sc_op *op)
{
	(void)ctx;
	op->pr.verb = op->cmd->opcode == 0x16 || op->cmd->opcode == 0x56 ? SC_PR_SPC2_RESERVE : SC_PR_SPC2_RELEASE;
	control(op);
}

/* Every TransportID must be well-formed. Return: false with the field pointer set */
static bool ids_ok(struct sc_op *op, const uint8_t *ids, uint32_t len, uint16_t offset)
{
	struct rd r = rd_init(ids, len);
	struct sc_nexus n;
	bool any_port;

	while (rd_left(&r)) {
		uint16_t at = (uint16_t)(offset + (r.p - ids));

		if (!sc_tid_get(&r, 0, &n, &any_port)) {
			sc_op_bad_param(op, at, SC_NO_BIT);
			return false;
		}
	}
	op->pr.ids = ids;
	op->pr.ids_len = len;
	return true;
}

/* SPC-4 6.16.3: TRANSPORTID PARAMETER DATA LENGTH, then TransportIDs to the end of the list */
static bool take_spec_i_pt(struct sc_op *op, const uint8_t *data, uint32_t len)
{
	if (op->pr.verb != SC_PR_REGISTER) {
		sc_op_bad_param(op, 20, 3);
		return false;
	}
	if (len < BASIC_LEN + 4 || get_be32(data + BASIC_LEN) != len - BASIC_LEN - 4) {
		bad_length(op);
		return false;
	}
	return ids_ok(op, data + SC_PR_IDS_AT, len - SC_PR_IDS_AT, SC_PR_IDS_AT);
}

static bool take_basic(struct sc_op *op, const uint8_t *data, uint32_t len)
{
	uint8_t flags = data[20];
	bool registers = op->pr.verb == SC_PR_REGISTER || op->pr.verb == SC_PR_REGISTER_IGNORE;
	bool replaces = op->pr.verb == SC_PR_REPLACE_LOST;

	if (flags & ~(SPEC_I_PT | ALL_TG_PT | APTPL)) {
		sc_op_bad_param(op, 20, SC_NO_BIT);
		return false;
	}
	if (replaces && flags & ALL_TG_PT) {
		sc_op_bad_param(op, 20, 2);
		return false;
	}
	op->pr.aptpl = (registers || replaces) && flags & APTPL;
	op->pr.all_tg_pt = registers && flags & ALL_TG_PT;
	op->pr.spec_i_pt = flags & SPEC_I_PT;
	if (op->pr.spec_i_pt)
		return take_spec_i_pt(op, data, len);
	if (len != BASIC_LEN) {
		bad_length(op);
		return false;
	}
	return true;
}

/* SPC-4 6.16.4: exactly one TransportID, that fills what its length field says */
static bool take_move(struct sc_op *op, const uint8_t *data, uint32_t len)
{
	uint32_t id_len = get_be32(data + 20);
	struct rd r = rd_init(data + BASIC_LEN, len - BASIC_LEN);
	struct sc_nexus n;
	bool any_port;

	op->pr.unreg = data[17] & UNREG;
	op->pr.aptpl = data[17] & APTPL;
	op->pr.move_rtpi = get_be16(data + 18);
	if (data[17] & ~(UNREG | APTPL)) {
		sc_op_bad_param(op, 17, SC_NO_BIT);
	} else if (id_len != len - BASIC_LEN) {
		bad_length(op);
	} else if (!sc_tid_get(&r, op->pr.move_rtpi, &n, &any_port) || rd_left(&r)) {
		sc_op_bad_param(op, BASIC_LEN, SC_NO_BIT);
	} else {
		op->pr.ids = data + BASIC_LEN;
		op->pr.ids_len = id_len;
		return true;
	}
	return false;
}

void sc_param_pr_out(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len)
{
	(void)ctx;
	op->pr.key = get_be64(data);
	op->pr.sark = get_be64(data + 8);
	if (op->pr.verb == SC_PR_REGISTER_MOVE ? take_move(op, data, len) : take_basic(op, data, len))
		control(op);
}
