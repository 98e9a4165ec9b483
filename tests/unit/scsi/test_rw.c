/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that name blocks: extents, limits, flags, protection, and what disk errors become; SBC-3 5 */
#include "tests/unit/scsi/scsi_test.h"

/* One command in its sizes: where LBA and length are */
static void extent_cdb(uint8_t cdb[SC_CDB_MAX], uint8_t opcode, uint64_t lba, uint32_t n)
{
	memset(cdb, 0, SC_CDB_MAX);
	cdb[0] = opcode;
	switch (opcode >> 5) {  /* SPC-4 4.3.1 group code: 6, 10, 10, 16, 12 bytes */
	case 0:
		put_be24(cdb + 1, (uint32_t)lba);
		cdb[4] = (uint8_t)n;
		break;
	case 1: case 2:
		put_be32(cdb + 2, (uint32_t)lba);
		put_be16(cdb + 7, (uint16_t)n);
		break;
	case 4:
		put_be64(cdb + 2, lba);
		put_be32(cdb + 10, n);
		break;
	default:
		put_be32(cdb + 2, (uint32_t)lba);
		put_be32(cdb + 6, n);
		break;
	}
}

static struct sc_op *extent(struct fix *f, uint8_t opcode, uint64_t lba, uint32_t n)
{
	uint8_t cdb[SC_CDB_MAX];

	extent_cdb(cdb, opcode, lba, n);
	sc_op_start(&f->ctx[ALICE], cdb, SC_CDB_MAX, &f->op);
	return &f->op;
}

static const struct { uint8_t opcode; uint8_t kind; bool in; } transfers[] = {
	{ 0x08, SC_OP_READ, true }, { 0x28, SC_OP_READ, true }, { 0xa8, SC_OP_READ, true }, { 0x88, SC_OP_READ, true },
	{ 0x0a, SC_OP_WRITE, false }, { 0x2a, SC_OP_WRITE, false }, { 0xaa, SC_OP_WRITE, false }, { 0x8a, SC_OP_WRITE, false },
	{ 0x8b, SC_OP_OR_WRITE, false },
	{ 0x2e, SC_OP_WRITE_VERIFY, false }, { 0xae, SC_OP_WRITE_VERIFY, false }, { 0x8e, SC_OP_WRITE_VERIFY, false },
};

static void test_transfers(void **state)
{
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(transfers); i++) {
		struct sc_op *op = extent(f, transfers[i].opcode, 0xabc, 9);

		assert_int_equal(op->kind, transfers[i].kind);
		assert_int_equal(op->lba, 0xabc);
		assert_int_equal(op->blocks, 9);
		assert_int_equal(op->flags, 0);
		assert_int_equal(op->in_len, transfers[i].in ? 9 * 512 : 0);
		assert_int_equal(op->out_len, transfers[i].in ? 0 : 9 * 512);
	}
}

/* SBC-3 5.8: TRANSFER LENGTH 0 is 256 blocks in a 6-byte CDB, and nothing in all others */
static void test_zero_blocks(void **state)
{
	struct fix *f = *state;

	assert_int_equal(extent(f, 0x08, 0, 0)->blocks, 256);
	assert_int_equal(f->op.in_len, 256 * 512);
	for (unsigned i = 0; i < ARRAY_SIZE(transfers); i++) {
		if (transfers[i].opcode < 0x20)
			continue;
		assert_good(extent(f, transfers[i].opcode, 0x1000, 0));  /* just behind the last block */
		assert_sense(extent(f, transfers[i].opcode, 0x1001, 0), SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
	}
}

static void test_lba_out_of_range(void **state)
{
	static const uint8_t others[] = { 0x2f, 0xaf, 0x8f, 0x34, 0x90, 0x35, 0x91, 0x41, 0x93 };
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(transfers); i++) {
		assert_int_equal(extent(f, transfers[i].opcode, 0xfff, 1)->kind, transfers[i].kind);
		assert_sense(extent(f, transfers[i].opcode, 0xfff, 2), SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
		assert_true(f->op.sense.info_valid);
		assert_int_equal(f->op.sense.info, 0xfff);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		(void)extent(f, others[i], 0xfff, 1);
		assert_false(f->op.kind == SC_OP_DONE && f->op.status != SC_GOOD);
		assert_sense(extent(f, others[i], 0xfff, 2), SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
	}
	/* the sum wraps: still out of range */
	assert_sense(extent(f, 0x88, UINT64_MAX, 1), SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
	assert_sense(extent(f, 0x8f, UINT64_MAX - 1, UINT32_MAX), SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
}

/* Block Limits MAXIMUM TRANSFER LENGTH (SBC-3 6.6.4): INVALID FIELD IN CDB at the length */
static void test_transfer_limit(void **state)
{
	static const struct { uint8_t opcode, at; } rows[] = {
		{ 0x28, 7 }, { 0x2a, 7 }, { 0xa8, 6 }, { 0x88, 10 }, { 0x8e, 10 },
	};
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(extent(f, rows[i].opcode, 0, 0x100)->kind != SC_OP_DONE);
		assert_bad_cdb(extent(f, rows[i].opcode, 0, 0x101), rows[i].at);
	}
	f->lu.max_xfer = 0x80;
	assert_bad_cdb(extent(f, 0x08, 0, 0x81), 4);
}

/* 4096-byte blocks; and a capacity far beyond 32 bits */
static void test_large_geometry(void **state)
{
	struct fix *f = *state;

	f->lu.block_size = 4096;
	f->lu.blocks = 1ull << 40;
	assert_int_equal(extent(f, 0x88, (1ull << 40) - 2, 2)->in_len, 8192);
	assert_int_equal(f->op.lba, (1ull << 40) - 2);
	assert_sense(extent(f, 0x88, (1ull << 40) - 1, 2), SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
	assert_int_equal(f->op.sense.info, (1ull << 40) - 1);
}

/* DPO, FUA; FUA_NV is accepted and ignored */
static void test_cache_bits(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x28, 0x08, [8] = 1);
	assert_int_equal(f->op.flags, SC_FUA);
	START(f, ALICE, 0x8a, 0x18, [13] = 1);
	assert_int_equal(f->op.flags, SC_FUA | SC_DPO);
	START(f, ALICE, 0xaa, 0x12, [9] = 1);
	assert_int_equal(f->op.flags, SC_DPO);
	START(f, ALICE, 0x2e, 0x12, [8] = 1);  /* WRITE AND VERIFY: bit 1 is BYTCHK */
	assert_int_equal(f->op.flags, SC_DPO | SC_BYTCHK);
	START(f, ALICE, 0x0a, 0x18, [4] = 1);  /* WRITE(6): these are LBA bits, and out of range here */
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
}

static void test_write_protect(void **state)
{
	static const uint8_t writes[] = { 0x0a, 0x2a, 0xaa, 0x8a, 0x8b, 0x2e, 0xae, 0x8e, 0x41, 0x93 };
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		f->lu.flags |= SC_LU_READONLY;
		assert_sense(extent(f, writes[i], 0, 1), SC_KEY_DATA_PROTECT, SC_ASC_WRITE_PROTECTED);
		f->lu.flags &= ~SC_LU_READONLY;
		f->lu.set.mode.swp = true;
		assert_sense(extent(f, writes[i], 0, 1), SC_KEY_DATA_PROTECT, SC_ASC_SOFT_WRITE_PROTECTED);
		f->lu.set.mode.swp = false;
		assert_true(extent(f, writes[i], 0, 1)->kind != SC_OP_DONE);
	}
	f->lu.flags |= SC_LU_READONLY;
	assert_int_equal(extent(f, 0x28, 0, 1)->kind, SC_OP_READ);
	assert_int_equal(extent(f, 0x35, 0, 1)->kind, SC_OP_FLUSH);
}

/* BYTCHK 0 moves nothing and is not limited; BYTCHK 1 compares and is; 11b compares one block with each; 10b is reserved. SBC-3 5.31 */
static void test_verify(void **state)
{
	struct fix *f = *state;

	assert_int_equal(extent(f, 0x8f, 0, 0x1000)->kind, SC_OP_VERIFY);
	assert_int_equal(f->op.out_len, 0);
	assert_int_equal(f->op.blocks, 0x1000);
	START(f, ALICE, 0x2f, 0x02, [7] = 1, [8] = 0);
	assert_int_equal(f->op.kind, SC_OP_COMPARE);
	assert_int_equal(f->op.out_len, 256 * 512);
	START(f, ALICE, 0x2f, 0x02, [7] = 1, [8] = 1);
	assert_bad_cdb(&f->op, 7);
	START(f, ALICE, 0xaf, 0x12, [9] = 1);
	assert_int_equal(f->op.flags, SC_DPO | SC_BYTCHK);
	START(f, ALICE, 0x2f, 0x04, [8] = 1);
	assert_bad_cdb(&f->op, 1);
	START(f, ALICE, 0x8f, 0x06, [12] = 0x0f);
	assert_int_equal(f->op.kind, SC_OP_COMPARE);
	assert_int_equal(f->op.flags, SC_BYTCHK | SC_ONE_BLOCK);
	assert_int_equal(f->op.out_len, 512);
	assert_int_equal(f->op.blocks, 0xf00);
	START(f, ALICE, 0x2f, 0x02);
	assert_good(&f->op);
}

/* NUMBER OF LOGICAL BLOCKS in byte 13, twice as much data; MAXIMUM COMPARE AND WRITE LENGTH. SBC-3 5.2 */
static void test_compare_and_write(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x89, 0x18, [8] = 0x0f, [9] = 0xf0, [13] = 16);
	assert_int_equal(f->op.kind, SC_OP_COMPARE_WRITE);
	assert_true(sc_op_exclusive(f->op.kind));
	assert_int_equal(f->op.lba, 0xff0);
	assert_int_equal(f->op.blocks, 16);
	assert_int_equal(f->op.out_len, 2 * 16 * 512);
	assert_int_equal(f->op.flags, SC_FUA | SC_DPO);
	START(f, ALICE, 0x89, 0, [13] = 17);
	assert_bad_cdb(&f->op, 13);
	START(f, ALICE, 0x89, 0, [8] = 0x0f, [9] = 0xf1, [13] = 16);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
	START(f, ALICE, 0x89);
	assert_good(&f->op);
	f->lu.flags |= SC_LU_READONLY;
	START(f, ALICE, 0x89, 0, [13] = 1);
	assert_sense(&f->op, SC_KEY_DATA_PROTECT, SC_ASC_WRITE_PROTECTED);
	f->lu.caw_max = 0;
	START(f, ALICE, 0x89, 0, [13] = 1);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_OPCODE);
}

/* The offset of the first difference is in INFORMATION; SBC-3 5.2 */
static void test_compare_and_write_miscompare(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x89, 0, [13] = 2);
	sc_op_io_done(&f->ctx[ALICE], &f->op, SC_IO_MISCOMPARE, 513);
	assert_sense(&f->op, SC_KEY_MISCOMPARE, SC_ASC_MISCOMPARE_VERIFY);
	assert_true(f->op.sense.info_valid);
	assert_int_equal(f->op.sense.info, 513);
}

/* Data of another size than the CDB means: refused where it is not just a run of blocks */
static void test_data_out_size(void **state)
{
	static const struct { uint8_t opcode, at; } strict[] = { { 0x41, 7 }, { 0x93, 10 } };
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(strict); i++)
		for (uint32_t n = 0; n <= 1024; n += 512) {
			sc_op_data_out(extent(f, strict[i].opcode, 0, 1), n);
			if (n == 512)
				assert_int_equal(f->op.kind, SC_OP_WRITE_SAME);
			else
				assert_bad_cdb(&f->op, strict[i].at);
		}
	START(f, ALICE, 0x89, 0, [13] = 1);
	sc_op_data_out(&f->op, 1024);
	assert_int_equal(f->op.kind, SC_OP_COMPARE_WRITE);
	sc_op_data_out(&f->op, 512);
	assert_bad_cdb(&f->op, 13);
	START(f, ALICE, 0x89);           /* 256 blocks, cut to a byte */
	sc_op_data_out(&f->op, 256 * 1024);
	assert_bad_cdb(&f->op, 13);
	sc_op_data_out(extent(f, 0x2a, 0, 1), 4096);
	assert_int_equal(f->op.kind, SC_OP_WRITE);
	START(f, ALICE, 0x93, 0xff);     /* refused already, and stays so */
	sc_op_data_out(&f->op, 4096);
	assert_bad_cdb(&f->op, 1);
}

/* TRANSFER LENGTH in bytes 12 and 13; alignment and granularity are one number here. SBC-4 5.54 */
static void test_write_atomic(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x9c, 0x08, [9] = 5, [13] = 0x40);
	assert_int_equal(f->op.kind, SC_OP_WRITE_ATOMIC);
	assert_int_equal(f->op.out_len, 0x40 * 512);
	assert_int_equal(f->op.flags, SC_FUA);
	START(f, ALICE, 0x9c, 0, [13] = 0x41);
	assert_bad_cdb(&f->op, 12);
	START(f, ALICE, 0x9c, 0, [11] = 1, [13] = 1);  /* ATOMIC BOUNDARY */
	assert_bad_cdb(&f->op, 11);
	START(f, ALICE, 0x9c);
	assert_good(&f->op);
	f->lu.atomic_gran = 8;
	START(f, ALICE, 0x9c, 0, [9] = 16, [13] = 24);
	assert_int_equal(f->op.kind, SC_OP_WRITE_ATOMIC);
	START(f, ALICE, 0x9c, 0, [9] = 16, [13] = 25);
	assert_bad_cdb(&f->op, 12);
	START(f, ALICE, 0x9c, 0, [9] = 17, [13] = 8);
	assert_bad_cdb(&f->op, 2);
	START(f, ALICE, 0x9c, 0, [8] = 0x0f, [9] = 0xf8, [13] = 16);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
}

/* SBC-3 5.26: zero blocks is everything from the LBA on */
static void test_flush(void **state)
{
	struct fix *f = *state;

	assert_int_equal(extent(f, 0x35, 0x10, 0)->kind, SC_OP_FLUSH);
	assert_int_equal(f->op.lba, 0x10);
	assert_int_equal(f->op.blocks, 0xff0);
	START(f, ALICE, 0x91, 0x02, [13] = 4);
	assert_int_equal(f->op.flags, SC_IMMED);
	assert_int_equal(f->op.blocks, 4);
}

/* SBC-3 5.25: stopping flushes unless told not to, then all reactors are told; LOEJ and power conditions are refused */
static void test_start_stop(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x1b, 0, 0, 0, 0x01);
	assert_good(&f->op);
	START(f, ALICE, 0x1b, 0, 0, 0, 0x00);
	assert_int_equal(f->op.kind, SC_OP_FLUSH);
	assert_int_equal(f->op.blocks, 0x1000);
	assert_int_equal(f->op.flags, 0);
	assert_int_equal(f->op.control, SC_CONTROL_START);
	assert_true(f->op.stop);
	START(f, ALICE, 0x1b, 1, 0, 0, 0x00);
	assert_int_equal(f->op.flags, SC_IMMED);
	START(f, ALICE, 0x1b, 0, 0, 0, 0x04);
	assert_int_equal(f->op.kind, SC_OP_CONTROL);
	START(f, ALICE, 0x1b, 0, 0, 0, 0x02);
	assert_bad_cdb(&f->op, 4);
	START(f, ALICE, 0x1b, 0, 0, 0, 0x30);
	assert_bad_cdb(&f->op, 4);
}

/* Stopped: the medium is not accessed (02/04/02), everything else works; SBC-3 4.20 */
static void test_stopped(void **state)
{
	static const uint8_t medium[] = { 0x08, 0x28, 0x88, 0xa8, 0x0a, 0x2a, 0x2e, 0x2f, 0x34, 0x35, 0x41, 0x8b, 0x90, 0x93 };
	static const uint8_t others[] = { 0x25, 0x1e };
	struct fix *f = *state;

	f->lu.stopped = true;
	for (unsigned i = 0; i < ARRAY_SIZE(medium); i++)
		assert_sense(extent(f, medium[i], 0, 1), SC_KEY_NOT_READY, SC_ASC_START_REQUIRED);
	START(f, ALICE, 0x00);
	assert_sense(&f->op, SC_KEY_NOT_READY, SC_ASC_START_REQUIRED);
	START(f, ALICE, 0x42, [8] = 24);
	assert_sense(&f->op, SC_KEY_NOT_READY, SC_ASC_START_REQUIRED);
	START(f, ALICE, 0x9e, 0x12, [13] = 24);
	assert_sense(&f->op, SC_KEY_NOT_READY, SC_ASC_START_REQUIRED);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		START(f, ALICE, others[i]);
		assert_int_equal(f->op.status, SC_GOOD);
	}
	START(f, ALICE, 0x12, 0, 0, 0, 36);
	assert_int_equal(f->op.kind, SC_OP_DATA_IN);
	START(f, ALICE, 0x1b, 0, 0, 0, 0x00);
	assert_good(&f->op);
	START(f, ALICE, 0x1b, 0, 0, 0, 0x01);
	assert_int_equal(f->op.kind, SC_OP_CONTROL);
	assert_int_equal(f->op.control, SC_CONTROL_START);
	assert_false(f->op.stop);
}

/* SBC-3 4.18 and table 14 of sense keys: each disk error, its status, sense and information */
static void test_disk_errors(void **state)
{
	static const struct { uint8_t opcode; enum sc_io io; unsigned key, asc; bool info; uint64_t value; } rows[] = {
		{ 0x28, SC_IO_MEDIUM, SC_KEY_MEDIUM_ERROR, SC_ASC_UNRECOVERED_READ, true, 0x10 + 3 },
		{ 0x2f, SC_IO_MEDIUM, SC_KEY_MEDIUM_ERROR, SC_ASC_UNRECOVERED_READ, true, 0x10 + 3 },
		{ 0x2a, SC_IO_MEDIUM, SC_KEY_MEDIUM_ERROR, SC_ASC_WRITE_ERROR, true, 0x10 + 3 },
		{ 0x41, SC_IO_MEDIUM, SC_KEY_MEDIUM_ERROR, SC_ASC_WRITE_ERROR, true, 0x10 + 3 },
		{ 0x2e, SC_IO_MEDIUM, SC_KEY_MEDIUM_ERROR, SC_ASC_WRITE_ERROR, true, 0x10 + 3 },
		{ 0x35, SC_IO_MEDIUM, SC_KEY_MEDIUM_ERROR, SC_ASC_WRITE_ERROR, false, 0 },
		{ 0x2e, SC_IO_MISCOMPARE, SC_KEY_MISCOMPARE, SC_ASC_MISCOMPARE_VERIFY, true, 1537 },
		{ 0x28, SC_IO_NOT_READY, SC_KEY_NOT_READY, SC_ASC_BECOMING_READY, false, 0 },
		{ 0x2a, SC_IO_PROTECTED, SC_KEY_DATA_PROTECT, SC_ASC_WRITE_PROTECTED, false, 0 },
		{ 0x2a, SC_IO_NO_SPACE, SC_KEY_DATA_PROTECT, SC_ASC_SPACE_ALLOC_FAILED, false, 0 },
		{ 0x28, SC_IO_HARDWARE, SC_KEY_HARDWARE_ERROR, SC_ASC_INTERNAL_FAILURE, false, 0 },
		{ 0x28, SC_IO_RANGE, SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE, true, 0x10 },
	};
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)extent(f, rows[i].opcode, 0x10, 8);
		sc_op_io_done(&f->ctx[ALICE], &f->op, rows[i].io, 1537);
		assert_sense(&f->op, rows[i].key, rows[i].asc);
		assert_int_equal(f->op.sense.info_valid, rows[i].info);
		assert_int_equal(f->op.sense.info, rows[i].value);
	}
	(void)extent(f, 0x28, 0, 1);
	sc_op_io_done(&f->ctx[ALICE], &f->op, SC_IO_BUSY, 0);
	assert_int_equal(f->op.status, SC_BUSY);
	(void)extent(f, 0x28, 0, 1);
	sc_op_io_done(&f->ctx[ALICE], &f->op, SC_IO_OK, 0);
	assert_good(&f->op);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_transfers),
		FIX_TEST(test_zero_blocks),
		FIX_TEST(test_lba_out_of_range),
		FIX_TEST(test_transfer_limit),
		FIX_TEST(test_large_geometry),
		FIX_TEST(test_cache_bits),
		FIX_TEST(test_write_protect),
		FIX_TEST(test_verify),
		FIX_TEST(test_compare_and_write),
		FIX_TEST(test_compare_and_write_miscompare),
		FIX_TEST(test_data_out_size),
		FIX_TEST(test_write_atomic),
		FIX_TEST(test_flush),
		FIX_TEST(test_start_stop),
		FIX_TEST(test_stopped),
		FIX_TEST(test_disk_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
