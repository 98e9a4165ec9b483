/* SPDX-License-Identifier: GPL-2.0-or-later */
/* WRITE BUFFER and READ BUFFER(10): the echo buffer; SPC-4 6.20, 6.45 */
#include "tests/unit/scsi/scsi_test.h"

enum { DESCRIPTOR = 0x03, ECHO = 0x0a, ECHO_DESCRIPTOR = 0x0b };

static void write_echo(struct fix *f, unsigned who, const char *text, uint8_t len)
{
	START(f, who, 0x3b, ECHO, 7, 1, 2, 3, [8] = len);  /* BUFFER ID and OFFSET mean nothing */
	assert_int_equal(f->op.kind, SC_OP_PARAM);
	assert_true(f->op.flags & SC_ECHO);
	sc_op_param(&f->ctx[who], &f->op, (const uint8_t *)text, len);
}

static void test_echo(void **state)
{
	static struct sc_echo alices, bobs;
	struct fix *f = *state;
	uint8_t *p;

	START(f, ALICE, 0x3c, ECHO, [8] = 255);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_COMMAND_SEQUENCE);
	f->itl[ALICE].echo = &alices;
	f->itl[BOB].echo = &bobs;
	write_echo(f, ALICE, "hello there", 11);
	assert_good(&f->op);
	write_echo(f, BOB, "bob", 3);
	assert_good(&f->op);
	p = ANSWER(f, ALICE, 0x3c, ECHO, [8] = 255);
	assert_int_equal(f->in_len, 11);
	assert_memory_equal(p, "hello there", 11);
	ANSWER(f, ALICE, 0x3c, ECHO, [8] = 5);
	assert_int_equal(f->in_len, 5);
	write_echo(f, ALICE, "x", 1);
	p = ANSWER(f, ALICE, 0x3c, ECHO, [8] = 255);
	assert_int_equal(f->in_len, 1);  /* the last one, all of it */
	assert_int_equal(p[0], 'x');
	assert_memory_equal(ANSWER(f, BOB, 0x3c, ECHO, [8] = 255), "bob", 3);
	START(f, ALICE, 0x3b, ECHO);
	assert_good(&f->op);
}

static void test_descriptors(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x3c, ECHO_DESCRIPTOR, 9, [8] = 255);

	assert_int_equal(f->in_len, 4);
	assert_memory_equal(p, "\x01\0\x10\0", 4);  /* EBOS; 4096 bytes */
	p = ANSWER(f, ALICE, 0x3c, DESCRIPTOR, 9, [8] = 255);
	assert_int_equal(f->in_len, 4);
	assert_memory_equal(p, "\0\0\0\0", 4);
}

static void test_refused(void **state)
{
	struct fix *f = *state;

	for (unsigned mode = 0; mode < 0x20; mode++) {
		START(f, ALICE, 0x3b, (uint8_t)mode, [8] = 16);
		if (mode != ECHO)
			assert_bad_cdb(&f->op, 1);
		START(f, ALICE, 0x3c, (uint8_t)mode, [8] = 16);
		if (mode != ECHO && mode != ECHO_DESCRIPTOR && mode != DESCRIPTOR)
			assert_bad_cdb(&f->op, 1);
	}
	START(f, ALICE, 0x3b, ECHO, [7] = 0x10, 0);
	assert_int_equal(f->op.kind, SC_OP_PARAM);
	START(f, ALICE, 0x3b, ECHO, [7] = 0x10, 1);
	assert_bad_cdb(&f->op, 6);
	START(f, ALICE, 0x3b, 0x20 | ECHO, [8] = 1);  /* MODE SPECIFIC */
	assert_bad_cdb(&f->op, 1);
	write_echo(f, ALICE, "x", 1);                 /* no memory for it */
	assert_int_equal(f->op.status, SC_BUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_echo),
		FIX_TEST(test_descriptors),
		FIX_TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
