/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scsi_test.h - a target with one logical unit and some initiators, for the tests of node/scsi */
#ifndef SCSI_TEST_H
#define SCSI_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "node/scsi/sc.h"
#include "node/util/util.h"
#include "node/util/wire.h"

enum { ALICE, BOB, CAROL, DAVE, NEXUSES };

struct fix {
	struct sc_tport ports[2];
	uint16_t luns[3];
	struct sc_target tgt;
	struct sc_lu lu;
	struct sc_nexus nx[NEXUSES];
	struct sc_itl itl[NEXUSES];
	struct sc_ctx ctx[NEXUSES];
	struct sc_op op;
	uint8_t in[SC_IN_MAX];
	uint32_t in_len;
};

/* Port 1 (TPGT 1) only; f->tgt.n_ports = 2 adds port 2. 1000h blocks of 512, 100h blocks a transfer. */
static inline void fix_init(struct fix *f)
{
	static const uint8_t naa[16] = { 0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const char *const names[] = { "iqn.2026-11.org.example:alice", "iqn.2026-11.org.example:bob",
					     "iqn.2026-11.org.example:carol", "iqn.2026-11.org.example:dave" };

	memset(f, 0, sizeof(*f));
	f->ports[0] = (struct sc_tport){ 1, 1 };
	f->ports[1] = (struct sc_tport){ 2, 7 };
	f->luns[1] = 1;
	f->luns[2] = 300;
	f->tgt = (struct sc_target){ .name = "iqn.2026-11.org.example:disk", .ports = f->ports, .luns = f->luns,
				     .n_ports = 1, .n_luns = 3 };
	f->lu = (struct sc_lu){ .naa_len = 16, .serial = "0123456789abcdef", .product = "VMSTORE0", .revision = "0001",
				.block_size = 512, .phys_exp = 3, .blocks = 0x1000, .max_xfer = 0x100, .opt_xfer = 0x80,
				.opt_gran = 8, .write_same_max = 0x200, .unmap_max = 0x400,
				.unmap_descs = 4, .unmap_gran = 8, .unmap_align = 3, .caw_max = 16, .atomic_max = 0x40,
				.lowest_aligned = 3, .flags = SC_LU_WRITE_CACHE };
	memcpy(f->lu.naa, naa, sizeof(naa));
	for (unsigned i = 0; i < NEXUSES; i++) {
		uint8_t isid[6] = { 0x40, 0, 0, 1, 0x37, (uint8_t)i };

		assert_true(sc_nexus_init(&f->nx[i], names[i], isid, 1));
		f->ctx[i] = (struct sc_ctx){ .tgt = &f->tgt, .nexus = &f->nx[i], .lu = &f->lu, .itl = &f->itl[i] };
	}
}

static inline int fix_setup(void **state)
{
	struct fix *f = malloc(sizeof(*f));

	*state = f;
	if (f)
		fix_init(f);
	return f ? 0 : -1;
}

static inline int fix_teardown(void **state)
{
	struct fix *f = *state;

	free((void *)f->lu.pr);
	free(f);
	return 0;
}

#define FIX_TEST(t) cmocka_unit_test_setup_teardown(t, fix_setup, fix_teardown)

/* Start a CDB given as bytes; the rest is zero. */
#define START(f, who, ...) \
	sc_op_start(&(f)->ctx[who], (const uint8_t[SC_CDB_MAX]){ __VA_ARGS__ }, SC_CDB_MAX, &(f)->op)

/* Start a data-in command that must succeed, and take its answer into exactly as many bytes as were promised. */
static inline uint8_t *answer(struct fix *f, unsigned who, const uint8_t *cdb)
{
	uint8_t *tight;

	sc_op_start(&f->ctx[who], cdb, SC_CDB_MAX, &f->op);
	assert_int_equal(f->op.kind, SC_OP_DATA_IN);
	tight = malloc(f->op.in_len + 1);  /* the sanitizer sees a byte too many */
	assert_non_null(tight);
	f->in_len = sc_op_data_in(&f->ctx[who], &f->op, tight, f->op.in_len);
	assert_true(f->in_len <= sizeof(f->in));
	memset(f->in, 0xee, sizeof(f->in));
	memcpy(f->in, tight, f->in_len);
	free(tight);
	assert_int_equal(f->op.kind, SC_OP_DONE);
	assert_int_equal(f->op.status, SC_GOOD);
	return f->in;
}
#define ANSWER(f, who, ...) answer(f, who, (const uint8_t[SC_CDB_MAX]){ __VA_ARGS__ })

static inline void assert_good(const struct sc_op *op)
{
	assert_int_equal(op->kind, SC_OP_DONE);
	assert_int_equal(op->status, SC_GOOD);
}

static inline void assert_sense(const struct sc_op *op, unsigned key, unsigned asc)
{
	assert_int_equal(op->kind, SC_OP_DONE);
	assert_int_equal(op->status, SC_CHECK_CONDITION);
	assert_int_equal(op->sense.key, key);
	assert_int_equal(op->sense.asc, asc);
	assert_int_equal(op->in_len, 0);
	assert_int_equal(op->out_len, 0);
}

static inline void assert_bad_cdb(const struct sc_op *op, unsigned byte)
{
	assert_sense(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_FIELD_CDB);
	assert_true(op->sense.field_valid && op->sense.in_cdb);
	assert_int_equal(op->sense.field, byte);
}

static inline void assert_bad_param(const struct sc_op *op, unsigned byte)
{
	assert_sense(op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_FIELD_PARAM);
	assert_true(op->sense.field_valid && !op->sense.in_cdb);
	assert_int_equal(op->sense.field, byte);
}

/* Execute a reservation command and publish what comes out. Return: status; effects of the last one in *fx */
static inline unsigned pr_do(struct fix *f, unsigned who, struct sc_pr_cmd cmd, struct sc_pr_fx *fx)
{
	struct sc_pr *next;
	struct sc_pr_fx own;
	unsigned status;

	fx = fx ? fx : &own;
	sc_pr_apply(f->lu.pr, &f->tgt, &f->nx[who], &cmd, &next, fx);
	status = fx->status;
	assert_int_equal(fx->changed, next != NULL);
	if (next) {
		assert_int_equal(status, SC_GOOD);
		assert_true(sc_pr_valid(next));
		free((void *)f->lu.pr);
		sc_lu_set_pr(&f->lu, next);
	} else {
		assert_int_equal(fx->n_items, 0);
	}
	if (fx == &own)
		sc_pr_fx_free(fx);
	return status;
}

#define PR_DO(f, who, ...) pr_do(f, who, (struct sc_pr_cmd){ __VA_ARGS__ }, NULL)
#define REGISTER(f, who, k) \
	assert_int_equal(PR_DO(f, who, .verb = SC_PR_REGISTER_IGNORE, .sark = (k)), SC_GOOD)
#define RESERVE(f, who, k, t) \
	assert_int_equal(PR_DO(f, who, .verb = SC_PR_RESERVE, .key = (k), .type = (t)), SC_GOOD)

/* Execute op.change as the control thread does. Return: unit attention for the others */
static inline uint16_t settings_do(struct fix *f)
{
	struct sc_settings next;
	uint16_t ua;

	assert_int_equal(f->op.kind, SC_OP_CONTROL);
	assert_int_equal(f->op.control, SC_CONTROL_SETTINGS);
	assert_true(sc_settings_apply(&f->lu.set, &f->op.change, &next, &ua));
	f->lu.set = next;
	return ua;
}

/* What was to happen to a nexus; NULL: nothing */
static inline const struct sc_pr_fx_item *fx_of(const struct sc_pr_fx *fx, const struct sc_nexus *n)
{
	for (unsigned i = 0; i < fx->n_items; i++)
		if (sc_nexus_equal(&fx->items[i].nexus, n))
			return &fx->items[i];
	return NULL;
}

static inline unsigned fx_ua(const struct sc_pr_fx *fx, const struct sc_nexus *n)
{
	const struct sc_pr_fx_item *item = fx_of(fx, n);

	return item ? item->ua : 0u;
}

static inline uint32_t generation(const struct fix *f) { return f->lu.pr ? f->lu.pr->generation : 0; }

#endif
