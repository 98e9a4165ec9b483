/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EXTENDED COPY(LID1); SPC-4 5.17.7, 6.3 */
#include "tests/unit/scsi/copy_test.h"

static void simple(struct fix *f, struct list *l)
{
	header(l, 1, 0);
	add_cscd(l, f->lu.naa, 16, 512);
	add_segment(l, 0, 0, 0x10, 0x20, 0x800);
}

static void test_good(void **state)
{
	struct fix *f = *state;
	struct sc_copy_extent e;
	struct list l;
	uint16_t src, dst;

	header(&l, 7, 2);
	add_cscd(&l, f->lu.naa, 16, 512);
	add_cscd(&l, f->lu.naa, 8, 0);
	add_segment(&l, 0, 1, 0x10, 0x20, 0x800);
	add_segment(&l, 1, 0, 0, 1, 2);
	send(f, &l, l.n);
	assert_int_equal(f->op.kind, SC_OP_COPY);
	assert_int_equal(f->op.copy.n_cscds, 2);
	assert_int_equal(f->op.copy.n_segments, 2);
	assert_int_equal(f->op.copy.id, 7);
	assert_true(f->op.copy.has_id && !f->op.copy.hold);
	sc_copy_cscds(&f->op.copy, 1, &src, &dst);
	assert_int_equal(src, 1);
	assert_int_equal(dst, 0);
	assert_true(sc_copy_check(&f->op, 0, &f->ctx[ALICE], &f->ctx[ALICE], &e));
	assert_int_equal(e.src, 0x20 * 512);
	assert_int_equal(e.dst, 0x800 * 512);
	assert_int_equal(e.bytes, 0x10 * 512);
	assert_true(sc_copy_check(&f->op, 1, &f->ctx[ALICE], &f->ctx[ALICE], &e));
	assert_int_equal(e.bytes, 0);
	START(f, ALICE, 0x83);  /* no list: nothing to do */
	assert_good(&f->op);
}

/* What page 83h says of the logical unit, an initiator may say back; nothing else */
static void test_designators(void **state)
{
	static const uint8_t eui[8] = { 8, 7, 6, 5, 4, 3, 2, 1 };
	struct fix *f = *state;
	struct list l;
	uint8_t *d = l.b + SC_COPY_HEADER;

	simple(f, &l);
	assert_int_equal(send(f, &l, l.n)->kind, SC_OP_COPY);
	assert_true(sc_copy_designates(&f->op.copy, 0, &f->lu));
	d[23] ^= 1;
	assert_false(sc_copy_designates(&f->op.copy, 0, &f->lu));
	d[23] ^= 1;
	d[7] = 15;
	assert_false(sc_copy_designates(&f->op.copy, 0, &f->lu));
	d[7] = 16;
	d[5] = 2;  /* not an EUI-64 */
	assert_false(sc_copy_designates(&f->op.copy, 0, &f->lu));
	memcpy(d + 8, eui, 8);
	d[7] = 8;
	assert_false(sc_copy_designates(&f->op.copy, 0, &f->lu));
	memcpy(f->lu.eui, eui, 8);
	f->lu.eui_len = 8;
	assert_true(sc_copy_designates(&f->op.copy, 0, &f->lu));
	strcpy(f->lu.serial, "disk7");
	d[4] = 0x02, d[5] = 0x01, d[7] = 13;
	memcpy(d + 8, "LUNWARD disk7", 13);
	assert_true(sc_copy_designates(&f->op.copy, 0, &f->lu));
}

static void expect(struct fix *f, struct list *l, unsigned key, unsigned asc)
{
	send(f, l, l->n);
	assert_sense(&f->op, key, asc);
}

static void test_list_refused(void **state)
{
	struct fix *f = *state;
	struct list l;
	uint8_t *d = l.b + SC_COPY_HEADER, *s = d + SC_COPY_CSCD_SIZE;
	const unsigned bad = SC_KEY_ILLEGAL_REQUEST;

	simple(f, &l);
	for (uint32_t n = 1; n < l.n; n++) {  /* cut anywhere */
		send(f, &l, n);
		assert_sense(&f->op, bad, SC_ASC_PARAM_LENGTH);
	}
	l.b[1] = 0x08;                                       /* LIST ID USAGE 01b */
	expect(f, &l, bad, SC_ASC_INVALID_FIELD_PARAM);
	l.b[1] = 0x18;                                       /* 11b: no identifier */
	expect(f, &l, bad, SC_ASC_INVALID_FIELD_PARAM);
	l.b[0] = 0;
	assert_int_equal(send(f, &l, l.n)->kind, SC_OP_COPY);
	assert_false(f->op.copy.has_id || f->op.copy.hold);
	l.b[1] = 0x3f;                                       /* STR, PRIORITY */
	assert_int_equal(send(f, &l, l.n)->kind, SC_OP_COPY);
	put_be32(l.b + 12, 4);
	expect(f, &l, bad, SC_ASC_INLINE_DATA_LENGTH);
	simple(f, &l);
	put_be16(l.b + 2, 31);
	put_be32(l.b + 8, 29);
	expect(f, &l, bad, SC_ASC_INVALID_FIELD_PARAM);
	simple(f, &l);
	d[0] = 0xe0;                                         /* Fibre Channel N_Port_Name */
	expect(f, &l, bad, SC_ASC_UNSUPPORTED_CSCD);
	assert_int_equal(f->op.sense.field, SC_COPY_HEADER);
	simple(f, &l);
	d[1] = 0xc0;                                         /* LU ID TYPE is ignored */
	assert_int_equal(send(f, &l, l.n)->kind, SC_OP_COPY);
	d[1] = 0x01;                                         /* a stream device */
	expect(f, &l, SC_KEY_COPY_ABORTED, SC_ASC_COPY_DEVICE_TYPE);
	simple(f, &l);
	d[5] = 0x13;                                         /* a target port's name */
	expect(f, &l, bad, SC_ASC_INVALID_FIELD_PARAM);
	simple(f, &l);
	d[7] = 21;
	expect(f, &l, bad, SC_ASC_INVALID_FIELD_PARAM);
	simple(f, &l);
	s[0] = 0x03;
	expect(f, &l, bad, SC_ASC_UNSUPPORTED_SEGMENT);
	assert_int_equal(f->op.sense.field, SC_COPY_HEADER + SC_COPY_CSCD_SIZE);
	simple(f, &l);
	s[3] = 0x1c;
	expect(f, &l, bad, SC_ASC_INVALID_FIELD_PARAM);
	simple(f, &l);
	put_be32(l.b + 8, UINT32_MAX - 20);                  /* would wrap */
	expect(f, &l, bad, SC_ASC_PARAM_LENGTH);
}

static void test_limits(void **state)
{
	struct fix *f = *state;
	struct list l;

	header(&l, 0, 0);
	for (unsigned i = 0; i < SC_COPY_CSCDS; i++)
		add_cscd(&l, f->lu.naa, 16, 512);
	for (unsigned i = 0; i < SC_COPY_SEGMENTS; i++)
		add_segment(&l, 0, 0, 1, 0, 1);
	assert_int_equal(l.n, SC_COPY_HEADER + SC_COPY_LIST_MAX);
	assert_int_equal(send(f, &l, l.n)->kind, SC_OP_COPY);
	assert_int_equal(f->op.copy.n_segments, SC_COPY_SEGMENTS);
	START(f, ALICE, 0x83, 0, [12] = (uint8_t)((l.n + 1) >> 8), [13] = (uint8_t)(l.n + 1));
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);  /* before any of it is received */
	header(&l, 0, 0);
	for (unsigned i = 0; i <= SC_COPY_CSCDS; i++)
		add_cscd(&l, f->lu.naa, 16, 512);
	expect(f, &l, SC_KEY_ILLEGAL_REQUEST, SC_ASC_TOO_MANY_CSCDS);
	header(&l, 0, 0);
	add_cscd(&l, f->lu.naa, 16, 512);
	for (unsigned i = 0; i <= SC_COPY_SEGMENTS; i++)
		add_segment(&l, 0, 0, 1, 0, 1);
	expect(f, &l, SC_KEY_ILLEGAL_REQUEST, SC_ASC_TOO_MANY_SEGMENTS);
}

static void refused_segment(struct fix *f, struct list *l, struct sc_ctx *dst, unsigned asc)
{
	struct sc_copy_extent e = { .bytes = 0x5a };
	uint8_t sense[SC_SENSE_MAX];

	assert_int_equal(send(f, l, l->n)->kind, SC_OP_COPY);
	assert_false(sc_copy_check(&f->op, 1, &f->ctx[ALICE], dst, &e));
	assert_sense(&f->op, SC_KEY_COPY_ABORTED, asc);
	assert_int_equal(e.bytes, 0x5a);
	f->lu.set.mode.d_sense = false;  /* SPC-4 5.17.7.4: the segment's number, in either format */
	assert_int_equal(sc_op_sense(&f->ctx[ALICE], &f->op, sense), 18);
	assert_int_equal(get_be32(sense + 8), 1);
	f->lu.set.mode.d_sense = true;
	assert_int_equal(sc_op_sense(&f->ctx[ALICE], &f->op, sense), 20);
	assert_memory_equal(sense + 8, "\x01\x0a\0\0\0\0\0\0\0\0\0\1", 12);
	f->lu.set.mode.d_sense = false;
}

static void test_segment_refused(void **state)
{
	struct fix *f = *state;
	struct sc_lu other = f->lu;
	struct sc_itl itl = { .role = 0 };
	struct sc_ctx dst = f->ctx[ALICE];
	struct sc_copy_extent e;
	struct list l;
	uint8_t *s, *d = l.b + SC_COPY_HEADER + SC_COPY_CSCD_SIZE;

	dst.lu = &other;
	dst.itl = &itl;
	header(&l, 0, 0);
	add_cscd(&l, f->lu.naa, 16, 512);
	add_cscd(&l, f->lu.naa, 8, 0);
	add_segment(&l, 0, 0, 1, 0, 1);
	s = add_segment(&l, 0, 1, 0x10, 0xff0, 0xff0);
	send(f, &l, l.n);
	assert_true(sc_copy_check(&f->op, 1, &f->ctx[ALICE], &dst, &e));
	put_be64(s + 12, 0xff1);
	refused_segment(f, &l, &dst, SC_ASC_COPY_NOT_REACHABLE);
	put_be64(s + 12, 0);
	put_be64(s + 20, UINT64_MAX - 1);
	refused_segment(f, &l, &dst, SC_ASC_COPY_NOT_REACHABLE);
	put_be64(s + 20, 0);
	dst.lu = NULL;
	refused_segment(f, &l, &dst, SC_ASC_COPY_NOT_REACHABLE);
	for (unsigned at = 4; at < 8; at += 2) {  /* no such descriptor */
		put_be16(s + at, 2);
		refused_segment(f, &l, &f->ctx[ALICE], SC_ASC_COPY_NOT_REACHABLE);
		put_be16(s + at, 1);
	}
	put_be16(s + 4, 0);
	dst.lu = &other;
	put_be32(d + 28, 4096);
	refused_segment(f, &l, &dst, SC_ASC_COPY_DEVICE_TYPE);
	other.block_size = 4096;  /* ten blocks of 512 are not whole ones of 4096; with DC they are */
	put_be16(s + 10, 10);
	refused_segment(f, &l, &dst, SC_ASC_INEXACT_SEGMENT);
	s[1] = 0x02;
	put_be64(s + 20, 3);
	send(f, &l, l.n);
	assert_true(sc_copy_check(&f->op, 1, &f->ctx[ALICE], &dst, &e));
	assert_int_equal(e.bytes, 40960);
	assert_int_equal(e.dst, 3 * 4096);
	other.flags = SC_LU_READONLY;
	refused_segment(f, &l, &dst, SC_ASC_COPY_DEVICE_FAILURE);
	other.flags = 0;
	other.stopped = true;  /* the medium is not accessed: SBC-3 4.20 */
	refused_segment(f, &l, &dst, SC_ASC_COPY_DEVICE_FAILURE);
	other.stopped = false;
	f->lu.stopped = true;
	refused_segment(f, &l, &dst, SC_ASC_COPY_DEVICE_FAILURE);
	f->lu.stopped = false;
}

/* FFFFh: the logical unit that the command was sent to; it needs no descriptor, and there is no PAD to it */
static void test_self(void **state)
{
	struct fix *f = *state;
	struct sc_copy_extent e;
	uint16_t src, dst;
	struct list l;

	header(&l, 1, 0);
	add_segment(&l, 0xffff, 0xffff, 0x10, 0x20, 0x800);
	add_segment(&l, 0xfffe, SC_COPY_SELF, 1, 0, 1);  /* others are no such thing */
	assert_int_equal(send(f, &l, l.n)->kind, SC_OP_COPY);
	sc_copy_cscds(&f->op.copy, 0, &src, &dst);
	assert_true(src == SC_COPY_SELF && dst == SC_COPY_SELF);
	assert_true(sc_copy_check(&f->op, 0, &f->ctx[ALICE], &f->ctx[ALICE], &e));
	assert_int_equal(e.dst, 0x800 * 512);
	sc_copy_cscds(&f->op.copy, 1, &src, &dst);
	assert_true(src > SC_COPY_SELF && dst > SC_COPY_SELF);
	assert_false(sc_copy_check(&f->op, 1, &f->ctx[ALICE], &f->ctx[ALICE], &e));
	assert_sense(&f->op, SC_KEY_COPY_ABORTED, SC_ASC_COPY_NOT_REACHABLE);
}

/* A copy of @blocks between block sizes. Return: whether it may be; then of 1536 bytes */
static bool pads(struct fix *f, uint32_t from, uint32_t to, uint8_t flags, uint8_t src_pad, uint8_t dst_pad)
{
	struct sc_lu other = f->lu, own = f->lu;
	struct sc_ctx src = f->ctx[ALICE], dst = f->ctx[ALICE];
	struct sc_copy_extent e;
	struct list l;
	uint8_t *s;

	own.block_size = from;
	other.block_size = to;
	src.lu = &own;
	dst.lu = &other;
	header(&l, 0, 0);
	add_cscd(&l, f->lu.naa, 16, from);
	add_cscd(&l, f->lu.naa, 16, to);
	l.b[SC_COPY_HEADER + 28] = src_pad;
	l.b[SC_COPY_HEADER + SC_COPY_CSCD_SIZE + 28] = dst_pad;
	s = add_segment(&l, 0, 1, 3, 0, 0xfff);
	s[1] = flags;
	send(f, &l, l.n);
	if (!sc_copy_check(&f->op, 0, &src, &dst, &e)) {
		assert_sense(&f->op, SC_KEY_COPY_ABORTED, f->op.sense.asc);
		return false;
	}
	assert_int_equal(e.bytes, 1536);
	return true;
}

/* PAD of the side that has no whole blocks; CAT would keep the rest for later, which is not done. SPC-4 6.4.3 */
static void test_pad(void **state)
{
	enum { CAT = 1, DC = 2, PAD = 4 };
	struct fix *f = *state;

	assert_true(pads(f, 512, 4096, 0, 0, PAD));   /* to the last block, and not beyond it */
	assert_true(pads(f, 512, 4096, 0, PAD, PAD));
	assert_false(pads(f, 512, 4096, 0, PAD, 0));
	assert_int_equal(f->op.sense.asc, SC_ASC_INEXACT_SEGMENT);
	assert_false(pads(f, 512, 4096, CAT, 0, PAD));
	f->lu.blocks += 2;
	assert_true(pads(f, 4096, 512, DC, PAD, 0));
	assert_false(pads(f, 4096, 512, DC, 0, PAD));
	assert_int_equal(f->op.sense.asc, SC_ASC_INEXACT_SEGMENT);
	assert_false(pads(f, 4096, 512, DC | CAT, PAD, PAD));
	f->lu.blocks = 0xfff;
	assert_false(pads(f, 512, 4096, 0, 0, PAD));
	assert_int_equal(f->op.sense.asc, SC_ASC_COPY_NOT_REACHABLE);
}

/* Reservations of the destination keep it out, those of the source only if they are exclusive; and from one piece on */
static void test_reservations(void **state)
{
	struct fix *f = *state;
	struct sc_lu other = f->lu;
	struct sc_itl itl = { .role = 0 };
	struct sc_ctx dst = f->ctx[ALICE];
	struct list l;

	dst.lu = &other;
	dst.itl = &itl;
	header(&l, 0, 0);
	add_cscd(&l, f->lu.naa, 16, 512);
	add_segment(&l, 0, 0, 1, 0, 1);
	send(f, &l, l.n);
	REGISTER(f, BOB, 1);
	assert_true(sc_copy_allowed(&f->op, &f->ctx[ALICE], &dst));
	RESERVE(f, BOB, 1, SC_PR_WRITE_EXCL);
	assert_true(sc_copy_allowed(&f->op, &f->ctx[ALICE], &dst));
	sc_lu_set_pr(&other, f->lu.pr);
	assert_false(sc_copy_allowed(&f->op, &f->ctx[ALICE], &dst));
	sc_lu_set_pr(&other, NULL);
	assert_true(sc_copy_allowed(&f->op, &f->ctx[ALICE], &dst));
	assert_int_equal(PR_DO(f, BOB, .verb = SC_PR_RELEASE, .key = 1, .type = SC_PR_WRITE_EXCL), SC_GOOD);
	RESERVE(f, BOB, 1, SC_PR_EXCL_ACCESS);
	assert_false(sc_copy_allowed(&f->op, &f->ctx[ALICE], &dst));
	assert_false(sc_copy_allowed(&f->op, &dst, &f->ctx[ALICE]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_good),
		FIX_TEST(test_designators),
		FIX_TEST(test_list_refused),
		FIX_TEST(test_limits),
		FIX_TEST(test_segment_refused),
		FIX_TEST(test_self),
		FIX_TEST(test_pad),
		FIX_TEST(test_reservations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
