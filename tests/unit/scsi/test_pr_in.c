/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PERSISTENT RESERVE IN, byte by byte; SPC-4 6.15 */
#include "tests/unit/scsi/scsi_test.h"

#include "node/scsi/internal.h"

static uint8_t *pr_in(struct fix *f, uint8_t sa, uint16_t alloc)
{
	return ANSWER(f, ALICE, 0x5e, sa, [7] = (uint8_t)(alloc >> 8), [8] = (uint8_t)alloc);
}

static void test_nothing(void **state)
{
	struct fix *f = *state;

	assert_int_equal(get_be64(pr_in(f, 0, 255)), 0);
	assert_int_equal(f->in_len, 8);
	assert_int_equal(get_be64(pr_in(f, 1, 255)), 0);
	assert_int_equal(f->in_len, 8);
	assert_int_equal(get_be64(pr_in(f, 3, 255)), 0);
	assert_int_equal(f->in_len, 8);
}

/* In order of registration; ADDITIONAL LENGTH does not depend on the allocation length */
static void test_read_keys(void **state)
{
	struct fix *f = *state;
	uint8_t *p;

	REGISTER(f, BOB, 0x1122334455667788);
	REGISTER(f, ALICE, 2);
	p = pr_in(f, 0, 255);
	assert_int_equal(f->in_len, 24);
	assert_int_equal(get_be32(p), 2);
	assert_int_equal(get_be32(p + 4), 16);
	assert_int_equal(get_be64(p + 8), 0x1122334455667788);
	assert_int_equal(get_be64(p + 16), 2);
	p = pr_in(f, 0, 8);
	assert_int_equal(f->in_len, 8);
	assert_int_equal(get_be32(p + 4), 16);
	p = pr_in(f, 0, 13);
	assert_int_equal(f->in_len, 13);
	assert_int_equal(p[12], 0x55);
}

static void test_read_reservation(void **state)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	struct fix *f = *state;

	REGISTER(f, BOB, 2);
	REGISTER(f, ALICE, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		uint8_t *p;

		RESERVE(f, ALICE, 1, types[i]);
		p = pr_in(f, 1, 255);
		assert_int_equal(f->in_len, 24);
		assert_int_equal(get_be32(p), 2);
		assert_int_equal(get_be32(p + 4), 16);
		assert_int_equal(get_be64(p + 8), types[i] >= 7 ? 0 : 1);  /* all registrants: no key */
		assert_int_equal(get_be32(p + 16), 0);
		assert_int_equal(get_be32(p + 20), (uint32_t)types[i] << 16);
		assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_RELEASE, .key = 1, .type = types[i]), SC_GOOD);
	}
}

static void test_report_capabilities(void **state)
{
	struct fix *f = *state;

	assert_memory_equal(pr_in(f, 2, 255), "\0\x08\x9d\xc0\xea\x01\0\0", 8);
	assert_int_equal(f->in_len, 8);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .sark = 1, .aptpl = true), SC_GOOD);
	assert_memory_equal(pr_in(f, 2, 255), "\0\x08\x9d\xc1\xea\x01\0\0", 8);  /* PTPL_A */
}

static void check_status(const struct fix *f, const uint8_t *p, unsigned who, uint64_t key, bool holder, unsigned type)
{
	char text[256];

	snprintf(text, sizeof(text), "%s,i,0x40000001370%x", f->nx[who].initiator, who);
	assert_int_equal(get_be64(p), key);
	assert_int_equal(get_be32(p + 8), 0);
	assert_int_equal(p[12], holder);
	assert_int_equal(p[13], type);
	assert_int_equal(get_be32(p + 14), 0);
	assert_int_equal(get_be16(p + 18), 1);
	assert_int_equal(get_be32(p + 20), 4u + get_be16(p + 26));
	assert_int_equal(get_be16(p + 24), 0x4500);
	assert_int_equal(get_be16(p + 26) % 4, 0);
	assert_string_equal((const char *)p + 28, text);
}

static void test_read_full_status(void **state)
{
	struct fix *f = *state;
	uint8_t *p;
	uint32_t second;

	REGISTER(f, BOB, 2);
	REGISTER(f, ALICE, 1);
	RESERVE(f, ALICE, 1, SC_PR_EXCL_ACCESS_RO);
	p = pr_in(f, 3, 4096);
	second = 8 + 24 + get_be32(p + 8 + 20);
	assert_int_equal(get_be32(p), 2);
	assert_int_equal(get_be32(p + 4), f->in_len - 8);
	check_status(f, p + 8, BOB, 2, false, 0);
	check_status(f, p + second, ALICE, 1, true, SC_PR_EXCL_ACCESS_RO);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_RELEASE, .key = 1, .type = SC_PR_EXCL_ACCESS_RO), SC_GOOD);
	RESERVE(f, ALICE, 1, SC_PR_WRITE_EXCL_AR);
	p = pr_in(f, 3, 4096);
	check_status(f, p + 8, BOB, 2, true, SC_PR_WRITE_EXCL_AR);
	check_status(f, p + second, ALICE, 1, true, SC_PR_WRITE_EXCL_AR);
}

/* The largest answer there can be stays within what sc.h promises, and is clipped by 16 bits of allocation length */
static void test_largest(void **state)
{
	struct fix *f = *state;
	char name[SC_NAME_MAX + 1];
	struct sc_out measure = { .cap = 0 };

	memset(name, 'x', SC_NAME_MAX);
	name[SC_NAME_MAX] = 0;
	for (unsigned i = 0; i < SC_PR_MAX_REGS; i++) {
		uint8_t isid[6] = { 0x80, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

		assert_true(sc_nexus_init(&f->nx[DAVE], name, isid, 1));
		REGISTER(f, DAVE, i + 1);
	}
	sc_in_full_status(&f->ctx[ALICE], &f->op, &measure);
	assert_true(measure.len > UINT16_MAX && measure.len <= SC_IN_MAX);
	assert_int_equal(get_be32(pr_in(f, 3, UINT16_MAX) + 4), measure.len - 8);
	assert_int_equal(f->in_len, UINT16_MAX);
	(void)pr_in(f, 0, UINT16_MAX);
	assert_int_equal(f->in_len, 8 + 8 * SC_PR_MAX_REGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_nothing),
		FIX_TEST(test_read_keys),
		FIX_TEST(test_read_reservation),
		FIX_TEST(test_report_capabilities),
		FIX_TEST(test_read_full_status),
		FIX_TEST(test_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
