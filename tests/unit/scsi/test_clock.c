/* SPDX-License-Identifier: GPL-2.0-or-later */
/* REPORT TIMESTAMP and SET TIMESTAMP; SPC-4 5.14, 6.38, 6.46 */
#include "tests/unit/scsi/scsi_test.h"

static struct sc_op *set(struct fix *f, uint64_t ms, uint8_t len)
{
	uint8_t list[12] = { 0 };

	put_be16(list + 4, (uint16_t)(ms >> 32));
	put_be32(list + 6, (uint32_t)ms);
	START(f, ALICE, 0xa4, 0x0f, [9] = len);
	if (f->op.kind == SC_OP_PARAM) {
		assert_true(f->op.flags & SC_NOW);
		sc_op_param(&f->ctx[ALICE], &f->op, list, len);
	}
	return &f->op;
}

/* TIMESTAMP and its ORIGIN, as @who is told */
static uint64_t timestamp(struct fix *f, unsigned who, unsigned *origin)
{
	uint8_t *p = ANSWER(f, who, 0xa3, 0x0f, [9] = 255);

	assert_int_equal(f->in_len, 12);
	assert_int_equal(get_be16(p), 10);
	assert_int_equal(p[3], 0);
	assert_int_equal(get_be16(p + 10), 0);
	*origin = p[2];
	return (uint64_t)get_be16(p + 4) << 32 | get_be32(p + 6);
}

static void test_clock(void **state)
{
	const uint64_t now = 0x019b2c3d4e5f;
	struct fix *f = *state;
	unsigned origin;

	START(f, ALICE, 0xa3, 0x0f, [9] = 255);
	assert_true(f->op.flags & SC_NOW);
	f->ctx[ALICE].now_ms = f->ctx[BOB].now_ms = now;
	assert_int_equal(timestamp(f, ALICE, &origin), now);
	assert_int_equal(origin, 3);  /* not ours */
	set(f, 1000, 12);
	assert_int_equal(settings_do(f), SC_UA_TIMESTAMP_CHANGED);
	assert_int_equal(timestamp(f, BOB, &origin), 1000);
	assert_int_equal(origin, 2);
	f->ctx[BOB].now_ms = now + 25;
	assert_int_equal(timestamp(f, BOB, &origin), 1025);
	f->ctx[ALICE].now_ms = now + 25;
	set(f, 0xffffffffffff, 12);
	settings_do(f);
	assert_int_equal(timestamp(f, BOB, &origin), 0xffffffffffff);
	f->ctx[BOB].now_ms++;
	assert_int_equal(timestamp(f, BOB, &origin), 0);  /* 48 bits */
	ANSWER(f, ALICE, 0xa3, 0x0f, [9] = 4);
	assert_int_equal(f->in_len, 4);
}

static void test_refused(void **state)
{
	struct fix *f = *state;

	assert_sense(set(f, 1, 11), SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	assert_good(set(f, 1, 0));
	assert_bad_cdb(set(f, 1, 13), 6);
	START(f, ALICE, 0xa4, 0x0f, [6] = 0xff);  /* 4 GiB are not waited for */
	assert_bad_cdb(&f->op, 6);
	assert_int_equal(f->lu.set.clock_set, 0);
	START(f, ALICE, 0xa3, 0x0f, 1, [9] = 255);
	assert_bad_cdb(&f->op, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_clock),
		FIX_TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
