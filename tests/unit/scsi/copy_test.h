/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy_test.h - parameter lists of EXTENDED COPY(LID1), for the tests of node/scsi */
#ifndef COPY_TEST_H
#define COPY_TEST_H

#include "node/scsi/internal.h"
#include "tests/unit/scsi/scsi_test.h"

struct list {
	uint8_t b[SC_COPY_HEADER + SC_COPY_LIST_MAX + 64];
	uint32_t n;
};

static inline void header(struct list *l, uint8_t id, uint8_t usage)
{
	memset(l, 0, sizeof(*l));
	l->b[0] = id;
	l->b[1] = (uint8_t)(usage << 3);
	l->n = SC_COPY_HEADER;
}

/* E4h with the NAA identifier */
static inline void add_cscd(struct list *l, const uint8_t *naa, uint8_t len, uint32_t block_size)
{
	uint8_t *d = l->b + l->n;

	d[0] = 0xe4;
	d[4] = 0x01;
	d[5] = 0x03;
	d[7] = len;
	memcpy(d + 8, naa, len);
	put_be32(d + 28, block_size);
	l->n += SC_COPY_CSCD_SIZE;
	put_be16(l->b + 2, (uint16_t)(get_be16(l->b + 2) + SC_COPY_CSCD_SIZE));
}

static inline uint8_t *add_segment(struct list *l, uint16_t src, uint16_t dst, uint16_t blocks, uint64_t from, uint64_t to)
{
	uint8_t *s = l->b + l->n;

	s[0] = 0x02;
	put_be16(s + 2, 0x18);
	put_be16(s + 4, src);
	put_be16(s + 6, dst);
	put_be16(s + 10, blocks);
	put_be64(s + 12, from);
	put_be64(s + 20, to);
	l->n += SC_COPY_SEGMENT_SIZE;
	put_be32(l->b + 8, get_be32(l->b + 8) + SC_COPY_SEGMENT_SIZE);
	return s;
}

static inline struct sc_op *send(struct fix *f, struct list *l, uint32_t n)
{
	uint8_t *tight = malloc(n + 1);

	START(f, ALICE, 0x83, 0, [10] = 0, [12] = (uint8_t)(n >> 8), [13] = (uint8_t)n);
	if (f->op.kind == SC_OP_PARAM) {
		assert_non_null(tight);
		assert_int_equal(f->op.out_len, n);
		memcpy(tight, l->b, n);
		sc_op_param(&f->ctx[ALICE], &f->op, tight, n);
	}
	if (f->op.kind == SC_OP_COPY)
		f->op.copy.list = l->b;
	free(tight);
	return &f->op;
}

#endif
