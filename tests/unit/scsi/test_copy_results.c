/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RECEIVE COPY RESULTS, the Third-party Copy page; SPC-4 6.18 ff., 7.8.17 */
#include "tests/unit/scsi/copy_test.h"

static struct sc_copy_slot *begin(struct fix *f, struct sc_copies *copies, uint8_t id, uint8_t usage)
{
	struct list l;

	header(&l, id, usage);
	send(f, &l, l.n);
	assert_int_equal(f->op.kind, SC_OP_COPY);
	return sc_copy_begin(copies, &f->op);
}

static void test_results(void **state)
{
	static struct sc_copies copies;
	struct fix *f = *state;
	struct sc_copy_slot *s;
	uint8_t *p;

	for (uint8_t sa = 0; sa < 5; sa += sa == 1 ? 3 : 1) {
		START(f, ALICE, 0x84, sa, 5, [13] = 255);  /* none yet */
		assert_bad_cdb(&f->op, 2);
	}
	f->ctx[ALICE].copies = &copies;
	s = begin(f, &copies, 5, 0);
	assert_non_null(s);
	s->segments = 3;
	s->bytes = 0x12345;
	p = ANSWER(f, ALICE, 0x84, 0, 5, [13] = 255);
	assert_int_equal(f->in_len, 12);
	assert_memory_equal(p, "\0\0\0\x08\x00\0\x03\0\0\x01\x23\x45", 12);
	START(f, ALICE, 0x84, 4, 5, [13] = 255);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_OPERATION_IN_PROGRESS);
	START(f, ALICE, 0x84, 1, 5, [13] = 255);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_OPERATION_IN_PROGRESS);
	assert_null(begin(f, &copies, 5, 0));
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_OPERATION_IN_PROGRESS);
	s->bytes = 5ull << 32;
	sc_op_status(&f->op, SC_GOOD);
	sc_copy_end(s, &f->op);
	p = ANSWER(f, ALICE, 0x84, 0, 5, [13] = 255);
	assert_memory_equal(p, "\0\0\0\x08\x01\0\x03\x01\x01\x40\0\0", 12);  /* in KiB */
	p = ANSWER(f, ALICE, 0x84, 4, 5, [13] = 255);
	assert_int_equal(f->in_len, 4);
	assert_int_equal(get_be32(p), 0);
	assert_int_equal(get_be32(ANSWER(f, ALICE, 0x84, 1, 5, [13] = 255)), 0);
	s = begin(f, &copies, 5, 0);  /* the same identifier again: the older one is forgotten */
	sc_copy_fail(&f->op, SC_ASC_COPY_NOT_REACHABLE, 2);
	sc_copy_end(s, &f->op);
	assert_int_equal(ANSWER(f, ALICE, 0x84, 0, 5, [13] = 255)[4], 0x02);
	p = ANSWER(f, ALICE, 0x84, 4, 5, [13] = 255);
	assert_int_equal(f->in_len, 60 + 18);
	assert_int_equal(get_be32(p), 56 + 18);
	assert_int_equal(p[56], SC_CHECK_CONDITION);
	assert_int_equal(get_be16(p + 58), 18);
	assert_int_equal(p[62], SC_KEY_COPY_ABORTED);
	assert_int_equal(get_be16(p + 72), SC_ASC_COPY_NOT_REACHABLE);
}

static void test_lists_kept(void **state)
{
	static struct sc_copies copies;
	struct fix *f = *state;
	struct sc_copy_slot *s[SC_COPY_LISTS];

	f->ctx[ALICE].copies = &copies;
	for (uint8_t i = 0; i < SC_COPY_LISTS; i++) {
		s[i] = begin(f, &copies, i, i < 2 ? 0 : 2);
		assert_non_null(s[i]);
	}
	assert_null(begin(f, &copies, 100, 0));
	assert_int_equal(f->op.status, SC_BUSY);
	sc_op_status(&f->op, SC_GOOD);
	sc_copy_end(s[1], &f->op);
	sc_copy_end(s[0], &f->op);
	assert_ptr_equal(begin(f, &copies, 100, 0), s[0]);  /* the one that began first is given up */
	START(f, ALICE, 0x84, 0, 0, [13] = 255);
	assert_bad_cdb(&f->op, 2);
	ANSWER(f, ALICE, 0x84, 0, 1, [13] = 255);
	sc_op_status(&f->op, SC_GOOD);
	sc_copy_end(s[5], &f->op);                              /* LIST ID USAGE 10b: not kept */
	START(f, ALICE, 0x84, 0, 5, [13] = 255);
	assert_bad_cdb(&f->op, 2);
}

static void test_operating_parameters(void **state)
{
	static const uint8_t expected[] = {
		0, 0, 0, 42, 0x01, 0, 0, 0,  0, 16, 0, 64,  0, 0, 0x09, 0,  0x10, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
		0, 0, 0, 0,  0, 0, 0, 16,  16, 9, 0, 0,  0, 0, 0, 2,  0x02, 0xe4,
	};
	struct fix *f = *state;

	ANSWER(f, ALICE, 0x84, 3, [13] = 255);
	assert_int_equal(f->in_len, sizeof(expected));
	assert_memory_equal(f->in, expected, sizeof(expected));
	START(f, ALICE, 0x84, 2, [13] = 255);
	assert_bad_cdb(&f->op, 1);
}

static void test_page(void **state)
{
	static const uint8_t expected[] = {
		0x00, 0x8f, 0, 132,
		0, 1, 0, 12,  9, 0x83, 1, 0, 0x84, 4, 0, 1, 3, 4, 0, 0,
		0, 4, 0, 28,  0, 0, 0, 0, 0, 16, 0, 64, 0, 0, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 8, 0, 4,  2, 0x02, 0xe4, 0,
		0, 12, 0, 4,  0, 2, 0xff, 0xff,
		0x80, 1, 0, 32,  0, 0, 0, 16, 0, 0, 0, 16, 0x10, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0xc0, 1, 0, 28,
	};
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x12, 1, 0x8f, 1, 0);

	assert_memory_equal(p, expected, sizeof(expected));
	assert_int_equal(f->in_len, 4u + get_be16(p + 2));
	assert_int_equal(f->in_len, sizeof(expected) + 28);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_results),
		FIX_TEST(test_lists_kept),
		FIX_TEST(test_operating_parameters),
		FIX_TEST(test_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
