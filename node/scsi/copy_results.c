/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy_results.c - copies of a nexus, RECEIVE COPY RESULTS (SPC-4 6.18 to 6.22), and the Third-party Copy page (7.8.17) */
#include "node/scsi/internal.h"

/* ---- a nexus's copies ---- */

static struct sc_copy_slot *find(struct sc_copies *copies, uint8_t id)
{
	for (unsigned i = 0; copies && i < SC_COPY_LISTS; i++) {
		struct sc_copy_slot *s = &copies->slot[i];

		if (s->used && s->has_id && s->id == id)
			return s;
	}
	return NULL;
}

/* One that is not used, or the one that ended first; NULL: all are running */
static struct sc_copy_slot *spare(struct sc_copies *copies)
{
	struct sc_copy_slot *best = NULL;

	for (unsigned i = 0; i < SC_COPY_LISTS; i++) {
		struct sc_copy_slot *s = &copies->slot[i];

		if (!s->used)
			return s;
		if (!s->busy && (!best || s->age < best->age))
			best = s;
	}
	return best;
}

struct sc_copy_slot *sc_copy_begin(struct sc_copies *copies, struct sc_op *op)
{
	struct sc_copy_slot *s = op->copy.has_id ? find(copies, op->copy.id) : NULL;

	if (s && s->busy) {
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_OPERATION_IN_PROGRESS);
		return NULL;
	}
	s = s ? s : spare(copies);
	if (!s) {
		sc_op_status(op, SC_BUSY);
		return NULL;
	}
	*s = (struct sc_copy_slot){ .used = true, .busy = true, .has_id = op->copy.has_id, .hold = op->copy.hold,
				    .id = op->copy.id, .age = ++copies->clock };
	return s;
}

void sc_copy_end(struct sc_copy_slot *s, const struct sc_op *op)
{
	s->busy = false;
	s->used = s->hold;
	s->status = op->status;
	s->sense = op->sense;
}

/* ---- RECEIVE COPY RESULTS ---- */

/* LIST IDENTIFIER of a copy that nothing is known of: invalid field in the CDB. Data and details come after the end. */
void sc_start_copy_results(const struct sc_ctx *ctx, struct sc_op *op)
{
	const struct sc_copy_slot *s = find(ctx->copies, op->cdb[2]);

	if (!s)
		sc_op_bad_cdb(op, 2, SC_NO_BIT);
	else if (s->busy && (op->cdb[1] & 0x1f) != SC_COPY_STATUS)
		sc_op_asc(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_OPERATION_IN_PROGRESS);
}

/* For answers: one that was known when the command was checked may have ended and been forgotten since. */
static const struct sc_copy_slot *told(const struct sc_ctx *ctx, const struct sc_op *op)
{
	static const struct sc_copy_slot forgotten;
	const struct sc_copy_slot *s = find(ctx->copies, op->cdb[2]);

	return s ? s : &forgotten;
}

/* TRANSFER COUNT in bytes, KiB, MiB: the first unit in which it fits */
static void put_count(uint64_t bytes, struct sc_out *o)
{
	unsigned unit = 0;

	for (; bytes > UINT32_MAX; bytes >>= 10)
		unit++;
	sc_out_u8(o, unit);
	sc_out_u32(o, (uint32_t)bytes);
}

void sc_in_copy_status(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	enum { IN_PROGRESS = 0x00, DONE = 0x01, DONE_WITH_ERRORS = 0x02 };
	const struct sc_copy_slot *s = told(ctx, op);

	sc_out_u32(o, 8);
	sc_out_u8(o, s->busy ? IN_PROGRESS : s->status == SC_GOOD ? DONE : DONE_WITH_ERRORS);  /* HDD 0: no held data */
	sc_out_u16(o, s->segments);
	put_count(s->bytes, o);
}

/* No segment that we know has held data. */
void sc_in_copy_data(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	(void)ctx;
	(void)op;
	sc_out_u32(o, 0);
}

void sc_in_failed_segment(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	const struct sc_copy_slot *s = told(ctx, op);
	uint8_t sense[SC_SENSE_MAX];
	uint32_t n;

	if (s->status != SC_CHECK_CONDITION) {
		sc_out_u32(o, 0);
		return;
	}
	n = (uint32_t)sc_sense_encode(&s->sense, ctx->lu->set.mode.d_sense, sense);
	sc_out_u32(o, 56 + n);
	sc_out_zero(o, 52);
	sc_out_u8(o, s->status);  /* EXTENDED COPY COMMAND STATUS */
	sc_out_u8(o, 0);
	sc_out_u16(o, n);
	sc_out_bytes(o, sense, n);
}

static const uint8_t descriptor_types[] = { 0x02, 0xe4 };

void sc_in_copy_parameters(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o)
{
	(void)op;
	sc_out_u32(o, 0);
	sc_out_u8(o, 0x01);                  /* SNLID: LIST ID USAGE 11b */
	sc_out_zero(o, 3);
	sc_out_u16(o, SC_COPY_CSCDS);
	sc_out_u16(o, SC_COPY_SEGMENTS);
	sc_out_u32(o, SC_COPY_LIST_MAX);
	sc_out_u32(o, SC_COPY_SEGMENT_MAX);
	sc_out_u32(o, 0);                    /* inline data */
	sc_out_u32(o, 0);                    /* held data */
	sc_out_u32(o, 0);                    /* stream devices */
	sc_out_zero(o, 2);
	sc_out_u16(o, SC_COPY_LISTS);        /* TOTAL CONCURRENT COPIES */
	sc_out_u8(o, SC_COPY_LISTS);
	sc_out_u8(o, (unsigned)__builtin_ctz(ctx->lu->block_size));  /* DATA SEGMENT GRANULARITY, log2 */
	sc_out_zero(o, 2);
	sc_out_zero(o, 3);
	sc_out_u8(o, sizeof(descriptor_types));
	sc_out_bytes(o, descriptor_types, sizeof(descriptor_types));
	sc_out_patch(o, 0, o->len - 4, 4);
}

/* ---- page 8Fh: third-party copy descriptors, each a multiple of four ---- */

static uint32_t descriptor(struct sc_out *o, uint16_t type)
{
	sc_out_u16(o, type);
	sc_out_u16(o, 0);
	return o->len;
}

static void end_descriptor(struct sc_out *o, uint32_t at)
{
	while ((o->len - at) % 4)
		sc_out_u8(o, 0);
	sc_out_patch(o, at - 2, o->len - at, 2);
}

/* Operation codes 83h and 84h with the service actions that the command table has */
static void put_commands(struct sc_out *o)
{
	uint32_t at = descriptor(o, 0x0001), list, actions = 0;

	sc_out_u8(o, 0);
	list = o->len;
	for (unsigned i = 0; i < sc_cmd_count; i++) {
		const struct sc_cmd *cmd = &sc_cmd_table[i];

		if (cmd->opcode != 0x83 && cmd->opcode != 0x84)
			continue;
		if (sc_cmd_table[i - 1].opcode != cmd->opcode) {
			sc_out_u8(o, cmd->opcode);
			sc_out_u8(o, 0);
			actions = o->len;
		}
		sc_out_u8(o, (unsigned)cmd->sa);
		sc_out_patch(o, actions - 1, o->len - actions, 1);
	}
	sc_out_patch(o, list - 1, o->len - list, 1);
	end_descriptor(o, at);
}

static void put_limits(struct sc_out *o)
{
	uint32_t at = descriptor(o, 0x0004);  /* parameter data */

	sc_out_zero(o, 4);
	sc_out_u16(o, SC_COPY_CSCDS);
	sc_out_u16(o, SC_COPY_SEGMENTS);
	sc_out_u32(o, SC_COPY_LIST_MAX);
	sc_out_u32(o, 0);
	sc_out_zero(o, 12);
	end_descriptor(o, at);
}

static void put_types(struct sc_out *o)
{
	uint32_t at = descriptor(o, 0x0008);  /* supported descriptors */

	sc_out_u8(o, sizeof(descriptor_types));
	sc_out_bytes(o, descriptor_types, sizeof(descriptor_types));
	end_descriptor(o, at);
	at = descriptor(o, 0x000c);           /* CSCD descriptor IDs beyond the list */
	sc_out_u16(o, 2);
	sc_out_u16(o, 0xffff);
	end_descriptor(o, at);
}

static void put_general(const struct sc_lu *lu, struct sc_out *o)
{
	uint32_t at = descriptor(o, 0x8001);  /* general copy operations */

	sc_out_u32(o, SC_COPY_LISTS);
	sc_out_u32(o, SC_COPY_LISTS);
	sc_out_u32(o, SC_COPY_SEGMENT_MAX);
	sc_out_u8(o, (unsigned)__builtin_ctz(lu->block_size));
	sc_out_zero(o, 19);
	end_descriptor(o, at);
	at = descriptor(o, 0xc001);           /* held data */
	sc_out_zero(o, 28);
	end_descriptor(o, at);
}

void sc_vpd_copy(const struct sc_ctx *ctx, struct sc_out *o)
{
	put_commands(o);
	put_limits(o);
	put_types(o);
	put_general(ctx->lu, o);
}
