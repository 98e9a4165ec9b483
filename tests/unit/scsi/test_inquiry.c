/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INQUIRY: standard data and every VPD page, byte by byte; SPC-4 6.6, 7.8, SBC-3 6.6 */
#include "tests/unit/scsi/scsi_test.h"

static uint8_t *vpd(struct fix *f, uint8_t page)
{
	uint8_t *p = ANSWER(f, ALICE, 0x12, 0x01, page, 0x04, 0x00);

	assert_int_equal(p[0], 0);
	assert_int_equal(p[1], page);
	assert_int_equal(get_be16(p + 2), f->in_len - 4);
	return p;
}

static void test_standard(void **state)
{
	struct fix *f = *state;
	uint8_t *p = ANSWER(f, ALICE, 0x12, 0, 0, 0x01, 0x04);

	assert_int_equal(f->in_len, 74);
	assert_int_equal(p[0], 0x00);           /* connected, direct access block device */
	assert_int_equal(p[1], 0x00);           /* not removable */
	assert_int_equal(p[2], 0x06);           /* SPC-4 */
	assert_int_equal(p[3], 0x12);           /* NORMACA 0, HISUP, format 2 */
	assert_int_equal(p[4], 74 - 5);
	assert_int_equal(p[5], 0x18);           /* TPGS implicit, 3PC, no PROTECT */
	assert_int_equal(p[6], 0x00);
	assert_int_equal(p[7], 0x02);           /* CMDQUE */
	assert_memory_equal(p + 8, "LUNWARD VMSTORE0        0001", 28);
	assert_int_equal(get_be16(p + 58), 0x00a0);
	assert_int_equal(get_be16(p + 60), 0x0460);
	assert_int_equal(get_be16(p + 62), 0x04c0);
	assert_int_equal(get_be16(p + 64), 0x0960);
	f->tgt.n_ports = 2;
	assert_int_equal(ANSWER(f, ALICE, 0x12, 0, 0, 0, 36)[6], 0x10);  /* MULTIP */
}

/* SPC-4 4.2.5.6: clipped to any allocation length, and the length field still tells the whole */
static void test_allocation_length(void **state)
{
	struct fix *f = *state;
	uint8_t whole[74];

	memcpy(whole, ANSWER(f, ALICE, 0x12, 0, 0, 0, 255), sizeof(whole));
	for (uint8_t n = 0; n < 80; n++) {
		uint8_t *p = ANSWER(f, ALICE, 0x12, 0, 0, 0, n);

		assert_int_equal(f->in_len, MIN(n, (uint8_t)74));
		assert_memory_equal(p, whole, f->in_len);
	}
}

/* A smaller buffer than promised clips, too, and is never overrun */
static void test_small_buffer(void **state)
{
	struct fix *f = *state;
	uint8_t b[8] = { [4] = 0xee, [5] = 0xee };

	START(f, ALICE, 0x12, 0, 0, 0, 36);
	assert_int_equal(f->op.in_len, 36);
	assert_int_equal(sc_op_data_in(&f->ctx[ALICE], &f->op, b, 4), 4);
	assert_int_equal(b[3], 0x12);
	assert_int_equal(b[4], 0xee);
}

static void test_page_code_without_evpd(void **state)
{
	struct fix *f = *state;

	START(f, ALICE, 0x12, 0, 0x80, 0, 255);
	assert_bad_cdb(&f->op, 2);
}

static void test_supported_pages(void **state)
{
	static const uint8_t expect[] = { 0x00, 0x80, 0x83, 0x85, 0x86, 0x87, 0x88, 0x8f, 0xb0, 0xb1, 0xb2 };
	struct fix *f = *state;
	uint8_t *p = vpd(f, 0x00);

	assert_int_equal(f->in_len, 4 + sizeof(expect));
	assert_memory_equal(p + 4, expect, sizeof(expect));
	for (unsigned page = 0; page < 256; page++) {
		if (memchr(expect, (int)page, sizeof(expect))) {
			(void)vpd(f, (uint8_t)page);
			continue;
		}
		START(f, ALICE, 0x12, 0x01, (uint8_t)page, 0, 255);
		assert_bad_cdb(&f->op, 2);
	}
}

static void test_serial(void **state)
{
	struct fix *f = *state;
	uint8_t *p = vpd(f, 0x80);

	assert_int_equal(f->in_len, 20);
	assert_memory_equal(p + 4, "0123456789abcdef", 16);
}

struct designator { uint8_t code_set, proto, piv, assoc, type, len; const uint8_t *value; };

/* SPC-4 7.8.5.1 */
static unsigned designators(const struct fix *f, const uint8_t *p, struct designator *d, unsigned max)
{
	struct rd r = rd_init(p + 4, f->in_len - 4);
	unsigned n = 0;

	while (rd_left(&r)) {
		uint8_t b0 = rd_u8(&r), b1 = rd_u8(&r);

		assert_true(n < max);
		d[n] = (struct designator){ b0 & 15, b0 >> 4, b1 >> 7, b1 >> 4 & 3, b1 & 15, 0, NULL };
		rd_skip(&r, 1);
		d[n].len = rd_u8(&r);
		d[n].value = rd_bytes(&r, d[n].len);
		assert_false(r.bad);
		n++;
	}
	return n;
}

static void test_identification(void **state)
{
	static const char port[] = "iqn.2026-11.org.example:disk,t,0x0007";
	struct fix *f = *state;
	struct designator d[8];
	uint8_t *p;

	f->tgt.n_ports = 2;
	f->nx[ALICE].rtpi = 2;
	p = vpd(f, 0x83);
	assert_int_equal(designators(f, p, d, 8), 7);
	/* logical unit: NAA, T10, name string */
	assert_memory_equal(&d[0], (&(struct designator){ 1, 0, 0, 0, 3, 16, NULL }), 6);
	assert_memory_equal(d[0].value, f->lu.naa, 16);
	assert_memory_equal(&d[1], (&(struct designator){ 2, 0, 0, 0, 1, 24, NULL }), 6);
	assert_memory_equal(d[1].value, "LUNWARD 0123456789abcdef", 24);
	assert_memory_equal(&d[2], (&(struct designator){ 3, 0, 0, 0, 8, 40, NULL }), 6);
	assert_memory_equal(d[2].value, "naa.600102030405060708090A0B0C0D0E0F\0\0\0", 40);
	/* target port: relative identifier, group, name with the portal group tag (RFC 7143 4.2.7.1) */
	assert_memory_equal(&d[3], (&(struct designator){ 1, 5, 1, 1, 4, 4, NULL }), 6);
	assert_int_equal(get_be32(d[3].value), 2);
	assert_memory_equal(&d[4], (&(struct designator){ 1, 5, 1, 1, 5, 4, NULL }), 6);
	assert_int_equal(get_be32(d[4].value), 7);
	assert_memory_equal(&d[5], (&(struct designator){ 3, 5, 1, 1, 8, 40, NULL }), 6);
	assert_string_equal((const char *)d[5].value, port);
	/* target device */
	assert_memory_equal(&d[6], (&(struct designator){ 3, 5, 1, 2, 8, 32, NULL }), 6);
	assert_string_equal((const char *)d[6].value, f->tgt.name);
	f->lu.naa_len = 8;
	memcpy(f->lu.eui, f->lu.naa, 12);
	f->lu.eui_len = 12;
	p = vpd(f, 0x83);
	assert_int_equal(designators(f, p, d, 8), 8);
	assert_int_equal(d[0].len, 8);
	assert_memory_equal(&d[1], (&(struct designator){ 1, 0, 0, 0, 2, 12, NULL }), 6);
	assert_memory_equal(d[1].value, f->lu.naa, 12);
	assert_memory_equal(d[3].value, "naa.6001020304050607\0\0\0", 24);
}

/* SPC-4 7.8.8, 7.8.9, 7.8.15 */
static void test_ports_and_policy(void **state)
{
	static const uint8_t head[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 44, 0x53, 0x98, 0, 40 };
	struct fix *f = *state;
	uint8_t *p;

	f->tgt.n_ports = 2;
	p = vpd(f, 0x88);
	assert_int_equal(f->in_len, 4 + 2 * (12 + 44));
	assert_memory_equal(p + 4, head, sizeof(head));
	assert_string_equal((const char *)p + 20, "iqn.2026-11.org.example:disk,t,0x0001");
	assert_int_equal(get_be16(p + 60 + 2), 2);
	assert_string_equal((const char *)p + 76, "iqn.2026-11.org.example:disk,t,0x0007");
	p = vpd(f, 0x87);
	assert_int_equal(f->in_len, 8);
	assert_memory_equal(p + 4, "\x3f\xff\0\0", 4);
	vpd(f, 0x85);
	assert_int_equal(f->in_len, 4);
}

/* SPC-4 7.8.5.11: names are NUL-terminated and padded to four, whatever their length */
static void test_name_padding(void **state)
{
	static const char *const names[] = { "iqn.a", "iqn.ab", "iqn.abc", "iqn.abcd" };
	struct fix *f = *state;
	struct designator d[8];

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		f->tgt.name = names[i];
		assert_int_equal(designators(f, vpd(f, 0x83), d, 8), 7);
		assert_int_equal(d[6].len % 4, 0);
		assert_true(d[6].len > strlen(names[i]) && d[6].len <= strlen(names[i]) + 4);
		assert_string_equal((const char *)d[6].value, names[i]);
	}
}

static void test_extended_inquiry(void **state)
{
	struct fix *f = *state;
	uint8_t *p = vpd(f, 0x86);

	assert_int_equal(f->in_len, 64);
	assert_int_equal(p[4], 0);      /* no protection types, no guard checks */
	assert_int_equal(p[5], 0x07);   /* simple, ordered, head of queue */
	assert_int_equal(p[6], 0x01);   /* V_SUP */
	f->lu.flags = 0;
	assert_int_equal(vpd(f, 0x86)[6], 0);
}

static void test_block_limits(void **state)
{
	struct fix *f = *state;
	uint8_t *p = vpd(f, 0xb0);

	assert_int_equal(f->in_len, 64);
	assert_int_equal(p[4], 0x01);                 /* WSNZ */
	assert_int_equal(p[5], 16);                   /* MAXIMUM COMPARE AND WRITE LENGTH */
	assert_int_equal(get_be16(p + 6), 8);
	assert_int_equal(get_be32(p + 8), 0x100);
	assert_int_equal(get_be32(p + 12), 0x80);
	assert_int_equal(get_be32(p + 16), 0);        /* prefetch: no limit */
	assert_int_equal(get_be32(p + 20), 0x400);    /* UNMAP: blocks, descriptors, granularity, UGAVALID and alignment */
	assert_int_equal(get_be32(p + 24), 4);
	assert_int_equal(get_be32(p + 28), 8);
	assert_int_equal(get_be32(p + 32), 0x80000003);
	assert_int_equal(get_be64(p + 36), 0x200);
	assert_int_equal(get_be32(p + 44), 0x40);     /* WRITE ATOMIC: length; then alignment, granularity, boundaries */
	for (unsigned i = 48; i < 64; i++)
		assert_int_equal(p[i], 0);
	f->lu.atomic_gran = 8;
	p = vpd(f, 0xb0);
	assert_int_equal(get_be32(p + 48), 8);
	assert_int_equal(get_be32(p + 52), 8);
	f->lu.unmap_max = f->lu.atomic_max = f->lu.caw_max = 0;
	p = vpd(f, 0xb0);
	assert_int_equal(p[5], 0);
	for (unsigned i = 20; i < 64; i++)
		assert_int_equal(p[i], i == 42 ? 0x02 : 0);
}

static void test_characteristics_and_provisioning(void **state)
{
	struct fix *f = *state;
	uint8_t *p = vpd(f, 0xb1);

	assert_int_equal(f->in_len, 64);
	assert_int_equal(get_be16(p + 4), 1);
	f->lu.flags = SC_LU_ROTATING;
	assert_int_equal(get_be16(vpd(f, 0xb1) + 4), 0);
	p = vpd(f, 0xb2);
	assert_int_equal(f->in_len, 8);
	assert_int_equal(get_be32(p + 4), 0x00e00200);  /* LBPU, LBPWS, LBPWS10; thin */
	f->lu.flags = SC_LU_UNMAP_ZEROES;
	assert_int_equal(get_be32(vpd(f, 0xb2) + 4), 0x00e40200);  /* LBPRZ */
	f->lu.unmap_max = 0;
	assert_int_equal(get_be32(vpd(f, 0xb2) + 4), 0);           /* fully provisioned */
}

/* SPC-4 6.6.2: where there is no logical unit */
static void test_no_logical_unit(void **state)
{
	struct fix *f = *state;
	uint8_t *p;

	f->ctx[ALICE].lu = NULL;
	f->ctx[ALICE].itl = NULL;
	p = ANSWER(f, ALICE, 0x12, 0, 0, 0, 255);
	assert_int_equal(p[0], 0x7f);
	assert_int_equal(f->in_len, 74);
	assert_memory_equal(p + 8, "LUNWARD                     ", 28);
	p = ANSWER(f, ALICE, 0x12, 0x01, 0, 0, 255);
	assert_int_equal(p[0], 0x7f);
	assert_int_equal(f->in_len, 5);
	START(f, ALICE, 0x12, 0x01, 0x83, 0, 255);
	assert_bad_cdb(&f->op, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_standard),
		FIX_TEST(test_allocation_length),
		FIX_TEST(test_small_buffer),
		FIX_TEST(test_page_code_without_evpd),
		FIX_TEST(test_supported_pages),
		FIX_TEST(test_serial),
		FIX_TEST(test_identification),
		FIX_TEST(test_ports_and_policy),
		FIX_TEST(test_name_padding),
		FIX_TEST(test_extended_inquiry),
		FIX_TEST(test_block_limits),
		FIX_TEST(test_characteristics_and_provisioning),
		FIX_TEST(test_no_logical_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
