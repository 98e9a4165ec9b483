/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Thin provisioning: WRITE SAME, UNMAP and its parameter list, GET LBA STATUS and its answer; SBC-3 4.7, 5.7, 5.28, 5.43 */
#include "tests/unit/scsi/scsi_test.h"

/* ---- WRITE SAME ---- */

static void test_write_same(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x93, 0, [9] = 5, [12] = 2);
	assert_int_equal(f->op.kind, SC_OP_WRITE_SAME);
	assert_int_equal(f->op.lba, 5);
	assert_int_equal(f->op.blocks, 0x200);
	assert_int_equal(f->op.out_len, 512);
	assert_int_equal(f->op.flags, 0);
	START(f, ALICE, 0x93, 0, [12] = 2, [13] = 1);  /* MAXIMUM WRITE SAME LENGTH */
	assert_bad_cdb(&f->op, 10);
	START(f, ALICE, 0x41);                         /* WSNZ */
	assert_bad_cdb(&f->op, 7);
	f->lu.write_same_max = 0;
	START(f, ALICE, 0x93, 0, [13] = 1);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_OPCODE);
}

/* UNMAP where LBPWS is set; NDOB only in 16 bytes; ANCHOR never (ANC_SUP 0) */
static void test_write_same_bits(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x93, 0x08, [13] = 1);
	assert_int_equal(f->op.flags, SC_DEALLOCATE);
	START(f, ALICE, 0x41, 0x08, [8] = 1);
	assert_int_equal(f->op.flags, SC_DEALLOCATE);
	START(f, ALICE, 0x93, 0x09, [13] = 1);
	assert_int_equal(f->op.kind, SC_OP_WRITE_SAME);
	assert_int_equal(f->op.out_len, 0);
	START(f, ALICE, 0x93, 0x01, [13] = 1);
	assert_int_equal(f->op.flags, 0);
	assert_int_equal(f->op.out_len, 0);
	START(f, ALICE, 0x41, 0x01, [8] = 1);
	assert_bad_cdb(&f->op, 1);
	for (uint8_t anchor = 0x10; anchor <= 0x18; anchor = (uint8_t)(anchor + 8)) {
		START(f, ALICE, 0x93, anchor, [13] = 1);
		assert_bad_cdb(&f->op, 1);
		START(f, ALICE, 0x41, anchor, [8] = 1);
		assert_bad_cdb(&f->op, 1);
	}
	f->lu.unmap_max = 0;
	START(f, ALICE, 0x93, 0x08, [13] = 1);
	assert_bad_cdb(&f->op, 1);
	assert_int_equal(f->op.sense.bit, 3);
}

/* ---- UNMAP ---- */

struct extent { uint64_t lba; uint32_t blocks; };

/* A correct list. Return: its length */
static uint32_t list(uint8_t *p, const struct extent *e, unsigned n)
{
	memset(p, 0, 8 + 16 * (size_t)n);
	put_be16(p, (uint16_t)(6 + 16 * n));
	put_be16(p + 2, (uint16_t)(16 * n));
	for (unsigned i = 0; i < n; i++) {
		put_be64(p + 8 + 16 * (size_t)i, e[i].lba);
		put_be32(p + 16 + 16 * (size_t)i, e[i].blocks);
	}
	return 8 + 16 * n;
}

/* CDB with PARAMETER LIST LENGTH @len, then @got bytes */
static struct sc_op *unmap_raw(struct fix *f, const uint8_t *p, uint32_t len, uint32_t got)
{
	uint8_t *tight = malloc(got + 1);

	START(f, ALICE, 0x42, [7] = (uint8_t)(len >> 8), [8] = (uint8_t)len);
	assert_non_null(tight);
	memcpy(tight, p, got);
	if (f->op.kind == SC_OP_PARAM)
		sc_op_param(&f->ctx[ALICE], &f->op, tight, got);
	free(tight);
	return &f->op;
}

static struct sc_op *unmap(struct fix *f, uint8_t *p, const struct extent *e, unsigned n)
{
	uint32_t len = list(p, e, n);

	return unmap_raw(f, p, len, len);
}

static void test_unmap(void **state)
{
	static const struct extent three[] = { { 0x100, 8 }, { 0x55, 0 }, { 0x10, 0x20 } };
	struct fix *f = *state;
	unsigned at = 0;
	uint8_t p[256];
	uint64_t lba;
	uint32_t n;

	assert_int_equal(unmap(f, p, three, 3)->kind, SC_OP_UNMAP);
	assert_int_equal(f->op.lba, 0x10);      /* all of them are in there */
	assert_int_equal(f->op.blocks, 0xf8);
	assert_true(sc_unmap_next(p, &at, &lba, &n));
	assert_int_equal(lba, 0x100);
	assert_int_equal(n, 8);
	assert_true(sc_unmap_next(p, &at, &lba, &n));
	assert_int_equal(lba, 0x10);
	assert_int_equal(n, 0x20);
	assert_false(sc_unmap_next(p, &at, &lba, &n));
}

/* "Not an error": no list, a header alone, descriptors of nothing */
static void test_unmap_nothing(void **state)
{
	static const struct extent none[] = { { 0x1000, 0 }, { 0, 0 } };
	struct fix *f = *state;
	uint8_t p[64];

	START(f, ALICE, 0x42);
	assert_good(&f->op);
	assert_good(unmap(f, p, none, 0));
	assert_good(unmap(f, p, none, 2));
	list(p, (const struct extent[]){ { 0, 8 } }, 1);
	put_be16(p + 2, 15);                    /* an incomplete descriptor is ignored */
	assert_good(unmap_raw(f, p, 24, 24));
}

static void test_unmap_lengths(void **state)
{
	static const struct extent one[] = { { 0, 8 } };
	struct fix *f = *state;
	uint8_t p[64];

	list(p, one, 1);
	for (uint32_t n = 1; n < 24; n++)       /* cut by the CDB */
		assert_sense(unmap_raw(f, p, n, n), SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	for (uint32_t n = 0; n < 24; n++)       /* cut on the way */
		assert_sense(unmap_raw(f, p, 24, n), SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	put_be16(p, 21);                        /* UNMAP DATA LENGTH says less than there is */
	assert_bad_param(unmap_raw(f, p, 24, 24), 0);
	put_be16(p, 100);                       /* more is no harm */
	assert_int_equal(unmap_raw(f, p, 24, 24)->kind, SC_OP_UNMAP);
}

static void test_unmap_limits(void **state)
{
	static const struct extent five[] = { { 0, 1 }, { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 } };
	static const struct extent max[] = { { 0, 0x3ff }, { 0x500, 1 } }, over[] = { { 0, 0x3ff }, { 0x500, 2 } };
	struct fix *f = *state;
	uint8_t p[128];

	assert_int_equal(unmap(f, p, five, 4)->kind, SC_OP_UNMAP);
	assert_bad_param(unmap(f, p, five, 5), 2);
	assert_int_equal(unmap(f, p, max, 2)->kind, SC_OP_UNMAP);
	assert_bad_param(unmap(f, p, over, 2), 16);
	f->lu.unmap_max = 0;
	START(f, ALICE, 0x42, [8] = 24);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_OPCODE);
}

/* One descriptor beyond the end: nothing at all is unmapped */
static void test_unmap_range(void **state)
{
	static const struct extent bad[][2] = {
		{ { 0, 8 }, { 0xfff, 2 } }, { { 0, 8 }, { 0x1000, 1 } }, { { UINT64_MAX, 1 }, { 0, 8 } },
		{ { 0, 8 }, { UINT64_MAX - 8, UINT32_MAX } }, { { 0, 8 }, { 0x1001, 0 } },
	};
	struct fix *f = *state;
	uint8_t p[64];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_sense(unmap(f, p, bad[i], 2), SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
	assert_int_equal(unmap(f, p, (const struct extent[]){ { 0xfff, 1 } }, 1)->kind, SC_OP_UNMAP);
}

static void test_unmap_protected(void **state)
{
	struct fix *f = *state;

	f->lu.flags |= SC_LU_READONLY;
	START(f, ALICE, 0x42, [8] = 24);
	assert_sense(&f->op, SC_KEY_DATA_PROTECT, SC_ASC_WRITE_PROTECTED);
}

/* ---- GET LBA STATUS ---- */

static uint8_t *status(struct fix *f, uint64_t lba, uint32_t alloc)
{
	uint8_t cdb[SC_CDB_MAX] = { 0x9e, 0x12 };

	put_be64(cdb + 2, lba);
	put_be32(cdb + 10, alloc);
	sc_op_start(&f->ctx[ALICE], cdb, sizeof(cdb), &f->op);
	memset(f->in, 0, sizeof(f->in));
	return f->in;
}

static void expect_status(const uint8_t *p, unsigned i, uint64_t lba, uint32_t blocks, uint8_t how)
{
	const uint8_t *d = p + 8 + 16 * (size_t)i;

	assert_int_equal(get_be64(d), lba);
	assert_int_equal(get_be32(d + 8), blocks);
	assert_int_equal(d[12], how);
	assert_int_equal(d[13] | d[14] | d[15], 0);
}

static void test_lba_status(void **state)
{
	struct fix *f = *state;
	uint8_t *p = status(f, 0x10, 4096);

	assert_int_equal(f->op.kind, SC_OP_LBA_STATUS);
	assert_int_equal(f->op.lba, 0x10);
	assert_int_equal(f->op.blocks, 0xff0);
	assert_true(sc_lba_status_add(&f->op, p, 8, true));
	assert_true(sc_lba_status_add(&f->op, p, 8, true));      /* joins the one before */
	assert_true(sc_lba_status_add(&f->op, p, 0x100, false));
	assert_int_equal(f->op.lba, 0x120);
	assert_false(sc_lba_status_add(&f->op, p, 0x100000, true));
	assert_int_equal(sc_lba_status_len(&f->op, p), 8 + 3 * 16);
	assert_int_equal(get_be32(p), 4 + 3 * 16);
	expect_status(p, 0, 0x10, 0x10, 0);
	expect_status(p, 1, 0x20, 0x100, 1);
	expect_status(p, 2, 0x120, 0xee0, 0);
}

/* ALLOCATION LENGTH: as many descriptors as fit, at least one is made */
static void test_lba_status_allocation(void **state)
{
	struct fix *f = *state;

	for (uint32_t alloc = 1; alloc < 60; alloc++) {
		unsigned fit = alloc < 40 ? 1 : alloc < 56 ? 2 : 3, n = 0;
		uint8_t *p = status(f, 0, alloc);

		assert_int_equal(f->op.in_len, alloc);
		while (n < 100 && sc_lba_status_add(&f->op, p, 1, n % 2))
			n++;
		assert_int_equal(n, fit);
		assert_int_equal(get_be32(p), 4 + 16 * fit);
		assert_int_equal(sc_lba_status_len(&f->op, p), MIN(alloc, 8 + 16 * fit));
		assert_int_equal(f->in[8 + 16 * fit], 0);
	}
	(void)status(f, 0, 0);
	assert_good(&f->op);
	(void)status(f, 0x1000, 24);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
}

/* NUMBER OF LOGICAL BLOCKS has 32 bits */
static void test_lba_status_large(void **state)
{
	struct fix *f = *state;
	uint8_t *p;

	f->lu.blocks = 1ull << 40;
	p = status(f, 0, 4096);
	assert_true(sc_lba_status_add(&f->op, p, 1ull << 40, false));
	assert_int_equal(f->op.lba, UINT32_MAX);
	assert_true(sc_lba_status_add(&f->op, p, 1, false));
	expect_status(p, 0, 0, UINT32_MAX, 1);
	expect_status(p, 1, UINT32_MAX, 1, 1);
	assert_int_equal(f->op.blocks, (1ull << 40) - UINT32_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_write_same),
		FIX_TEST(test_write_same_bits),
		FIX_TEST(test_unmap),
		FIX_TEST(test_unmap_nothing),
		FIX_TEST(test_unmap_lengths),
		FIX_TEST(test_unmap_limits),
		FIX_TEST(test_unmap_range),
		FIX_TEST(test_unmap_protected),
		FIX_TEST(test_lba_status),
		FIX_TEST(test_lba_status_allocation),
		FIX_TEST(test_lba_status_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
