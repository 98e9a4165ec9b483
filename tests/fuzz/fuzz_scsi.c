/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_scsi.c - commands of two initiators on one logical unit
 *
 * Input: a byte of logical unit settings, then commands: a byte that says who sends it, 16 bytes of CDB, and for a
 * parameter list a 16-bit count and as many bytes; or one byte from f0h: something that happens to reservations. Everything an initiator controls goes through; answers go to
 * buffers of exactly the promised size, and a reservation block must stay valid whatever was asked.
 */
#include <assert.h>

#include "node/scsi/sc.h"
#include "node/util/util.h"
#include "node/util/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct sc_tport ports[2];
	uint16_t luns[2];
	struct sc_target tgt;
	struct sc_lu lu;
	struct sc_nexus nx[2];
	struct sc_itl itl[2];
	struct sc_copies copies[2];
	struct sc_echo echo[2];
};

static void settings(struct world *w, uint8_t bits)
{
	static const uint8_t isid[6] = { 0x80 };

	*w = (struct world){ .ports = { { 1, 1 }, { 2, 2 } }, .luns = { 0, 300 } };
	w->tgt = (struct sc_target){ .name = "iqn.2026-11.org.example:t", .ports = w->ports, .luns = w->luns, .n_ports = 2, .n_luns = 2 };
	w->lu = (struct sc_lu){ .naa_len = bits & 1 ? 8 : 16, .serial = "1", .product = "P", .revision = "1",
				.block_size = bits & 2 ? 4096 : 512, .blocks = bits & 4 ? 1ull << 40 : 1000, .max_xfer = 256,
				.write_same_max = bits & 8 ? 100 : 0, .unmap_max = bits & 8 ? 900 : 0, .unmap_descs = 9,
				.caw_max = 20, .atomic_max = bits & 8 ? 16 : 0, .atomic_gran = bits & 2 ? 4 : 0,
				.threshold_exp = bits & 8 ? 8 : 0,
				.flags = bits >> 4 };
	if (bits & 8)
		sc_lu_set_space(&w->lu, 1 << 20, 1 << 21, bits & 1);
	assert(sc_nexus_init(&w->nx[0], "iqn.2026-11.org.example:a", isid, 1));
	assert(sc_nexus_init(&w->nx[1], "iqn.2026-11.org.example:b", isid, 2));
}

static void check_done(const struct sc_ctx *ctx, const struct sc_op *op)
{
	uint8_t sense[SC_SENSE_MAX];
	size_t n = sc_op_sense(ctx, op, sense);

	assert(op->kind == SC_OP_DONE);
	assert((op->status == SC_CHECK_CONDITION) == (n > 0) && n <= SC_SENSE_MAX);
	assert(op->status != SC_CHECK_CONDITION || (op->sense.key && op->sense.asc));
}

static void control(struct world *w, struct sc_ctx *ctx, struct sc_op *op)
{
	struct sc_pr *next;
	struct sc_pr_fx fx;

	if (op->control == SC_CONTROL_START) {
		w->lu.stopped = op->stop;
		return;
	}
	if (op->control == SC_CONTROL_SETTINGS) {
		struct sc_settings set;
		uint16_t ua;

		(void)sc_settings_apply(&w->lu.set, &op->change, &set, &ua);
		for (unsigned i = 0; i < SC_INFO_TYPES; i++)
			assert(set.info[i].len <= sc_info_max((enum sc_info_type)i));
		w->lu.set = set;
		w->lu.reached = (uint8_t)sc_thresholds_reached(&w->lu);
		if (w->lu.reached)
			sc_ua_add(&w->itl[0].ua, SC_UA_THIN_THRESHOLD);
		return;
	}
	op->pr.known = w->nx;  /* both are logged in */
	op->pr.n_known = 2;
	sc_pr_apply(w->lu.pr, &w->tgt, ctx->nexus, &op->pr, &next, &fx);
	assert(fx.changed == (next != NULL) && (!next || fx.status == SC_GOOD));
	for (uint32_t i = 0; i < fx.n_items; i++)
		if (fx.items[i].ua && sc_nexus_equal(&fx.items[i].nexus, &w->nx[ctx->nexus == &w->nx[0]]))
			sc_ua_add(&w->itl[ctx->nexus == &w->nx[0]].ua, fx.items[i].ua);
	sc_pr_fx_free(&fx);
	if (next) {
		assert(sc_pr_valid(next));
		free((void *)w->lu.pr);
		sc_lu_set_pr(&w->lu, next);
	}
}

static void data_in(const struct sc_ctx *ctx, struct sc_op *op)
{
	_cleanup_free_ uint8_t *buf = malloc(op->in_len ? op->in_len : 1);
	uint32_t promised = op->in_len;

	assert(buf && promised <= SC_IN_MAX);
	assert(sc_op_data_in(ctx, op, buf, promised) == promised);
	check_done(ctx, op);
}

static uint64_t out_bytes(const struct world *w, const struct sc_op *op, uint64_t bytes)
{
	if (op->kind == SC_OP_WRITE_SAME || op->flags & SC_ONE_BLOCK)
		return w->lu.block_size;
	return op->kind == SC_OP_COMPARE_WRITE ? 2 * bytes : bytes;
}

/* What a disk is asked to do must be on the disk, and of the size that was promised */
static void check_io(const struct world *w, const struct sc_op *op)
{
	uint64_t bytes = op->blocks * w->lu.block_size;

	assert(op->blocks > 0 || op->kind == SC_OP_FLUSH);
	assert(op->lba <= w->lu.blocks && op->blocks <= w->lu.blocks - op->lba);
	assert(!op->in_len || op->in_len == bytes || op->kind == SC_OP_LBA_STATUS);
	assert(!op->out_len || op->kind == SC_OP_UNMAP || op->out_len == out_bytes(w, op, bytes));
	assert(!(w->lu.flags & SC_LU_READONLY || w->lu.set.mode.swp) || op->kind == SC_OP_READ || op->kind == SC_OP_VERIFY ||
	       op->kind == SC_OP_COMPARE || op->kind == SC_OP_FLUSH || op->kind == SC_OP_LBA_STATUS);
}

/* Every descriptor is on the disk, and within what the operation says of all. */
static void unmap(const struct sc_lu *lu, const struct sc_op *op, const uint8_t *list)
{
	uint64_t lba, total = 0;
	unsigned at = 0;
	uint32_t n;

	while (sc_unmap_next(list, &at, &lba, &n)) {
		assert(n && lba >= op->lba && n <= op->blocks && lba - op->lba <= op->blocks - n);
		total += n;
	}
	assert(total && total <= lu->unmap_max && at <= lu->unmap_descs);
}

/* What is to be copied must be on the disk; one of two copies goes on for ever */
static void copy(struct world *w, const struct sc_ctx *ctx, struct sc_op *op, bool forever)
{
	struct sc_copy_slot *slot = sc_copy_begin(ctx->copies, op);
	struct sc_copy_extent e;

	assert(op->copy.n_cscds <= SC_COPY_CSCDS && op->copy.n_segments <= SC_COPY_SEGMENTS);
	for (unsigned i = 0; slot && op->kind == SC_OP_COPY && i < op->copy.n_segments; i++) {
		struct sc_ctx nowhere = *ctx;
		uint16_t src, dst;

		nowhere.lu = NULL;
		sc_copy_cscds(&op->copy, i, &src, &dst);
		(void)(dst < op->copy.n_cscds && sc_copy_designates(&op->copy, dst, &w->lu));
		if (!sc_copy_check(op, i, i % 8 == 7 ? &nowhere : ctx, ctx, &e))
			break;
		assert(e.bytes % w->lu.block_size == 0 && e.src / w->lu.block_size + e.bytes / w->lu.block_size <= w->lu.blocks);
		assert(e.dst / w->lu.block_size + e.bytes / w->lu.block_size <= w->lu.blocks);
		slot->segments++;
	}
	if (slot && !forever)
		sc_copy_end(slot, op);
}

static void parameter_list(struct world *w, const struct sc_ctx *ctx, struct sc_op *op, struct rd *r)
{
	size_t n = MIN((size_t)rd_u16(r), rd_left(r));
	const uint8_t *list = rd_bytes(r, n);

	if (op->flags & SC_ECHO)
		ctx->itl->echo = &w->echo[ctx->itl == &w->itl[1]];
	assert(op->out_len <= SC_PARAM_MAX);
	if (r->bad)
		sc_op_param(ctx, op, (const uint8_t *)"", 0);
	else
		sc_op_param(ctx, op, list, (uint32_t)n);
	if (op->kind == SC_OP_UNMAP)
		unmap(ctx->lu, op, list);
}

/* Any map: its answer stays in its buffer, and comes to an end. */
static void lba_status(struct sc_op *op, uint8_t who)
{
	uint32_t cap = MAX(op->in_len, SC_LBA_STATUS_MIN);
	_cleanup_free_ uint8_t *buf = calloc(1, cap);
	unsigned n = 0;

	assert(buf);
	while (sc_lba_status_add(op, buf, 1 + (uint64_t)n * who, n % (1 + who % 3)))
		if (++n == 1000)
			break;
	assert(sc_lba_status_len(op, buf) <= op->in_len);
}

/* The loss of reservations, of power, of a nexus; a reset */
static void event(struct world *w, uint8_t what)
{
	static const uint8_t verbs[] = { SC_PR_POWER_LOSS, SC_PR_RESET, SC_PR_NEXUS_LOSS };
	struct sc_ctx ctx = { .tgt = &w->tgt, .nexus = &w->nx[what & 1], .lu = &w->lu, .itl = &w->itl[what & 1] };
	struct sc_op op = { .control = SC_CONTROL_PR, .pr = { .verb = verbs[what % 3] } };

	if (what & 8) {
		free((void *)w->lu.pr);
		sc_lu_set_pr(&w->lu, sc_pr_lost());
	} else {
		control(w, &ctx, &op);
	}
}

static void command(struct world *w, struct rd *r)
{
	uint8_t who = rd_u8(r);
	struct sc_ctx ctx = { .tgt = &w->tgt, .nexus = &w->nx[who & 1], .lu = &w->lu, .itl = &w->itl[who & 1],
			      .copies = &w->copies[who & 1] };
	const uint8_t *cdb = who < 0xf0 ? rd_bytes(r, SC_CDB_MAX) : NULL;
	struct sc_op op;

	if (who >= 0xf0) {
		event(w, who);
		return;
	}

	if (!cdb)
		return;
	if (who & 2)
		ctx.lu = NULL, ctx.itl = NULL;
	sc_op_start(&ctx, cdb, who & 4 ? who >> 4 : SC_CDB_MAX, &op);
	sc_op_data_out(&op, who & 8 ? op.out_len : who);
	if (op.kind == SC_OP_PARAM)
		parameter_list(w, &ctx, &op, r);
	if (op.kind == SC_OP_COPY) {
		copy(w, &ctx, &op, who & 8);
	} else if (op.kind == SC_OP_CONTROL) {
		control(w, &ctx, &op);
	} else if (op.kind == SC_OP_DATA_IN) {
		data_in(&ctx, &op);
	} else if (op.kind == SC_OP_DONE) {
		check_done(&ctx, &op);
	} else {
		check_io(w, &op);
		if (op.kind == SC_OP_LBA_STATUS)
			lba_status(&op, who);
		sc_op_io_done(&ctx, &op, (enum sc_io)(who >> 4), who);
		assert(op.kind == SC_OP_DONE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_init(data, size);
	struct world w;

	settings(&w, rd_u8(&r));
	for (unsigned i = 0; i < 200 && rd_left(&r); i++)
		command(&w, &r);
	free((void *)w.lu.pr);
	return 0;
}
