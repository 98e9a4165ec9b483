/* SPDX-License-Identifier: GPL-2.0-or-later */
/* out.c - the writer of answers: counts everything, stores what fits (SPC-4 4.2.5.6 ALLOCATION LENGTH) */
#include "node/scsi/internal.h"

static void store(struct sc_out *o, uint32_t at, const uint8_t *p, uint32_t n)
{
	if (at < o->cap)
		memcpy(o->buf + at, p, MIN(n, o->cap - at));
}

void sc_out_bytes(struct sc_out *o, const void *p, uint32_t n)
{
	store(o, o->len, p, n);
	o->len += n;
}

void sc_out_patch(struct sc_out *o, uint32_t at, uint64_t v, unsigned n)
{
	uint8_t b[8];

	put_be64(b, v);
	store(o, at, b + 8 - n, n);
}

void sc_out_be(struct sc_out *o, uint64_t v, unsigned n)
{
	sc_out_patch(o, o->len, v, n);
	o->len += n;
}

void sc_out_zero(struct sc_out *o, uint32_t n)
{
	while (n-- > 0)
		sc_out_u8(o, 0);
}

void sc_out_ascii(struct sc_out *o, const char *s, uint32_t n)
{
	for (; n > 0; n--)
		sc_out_u8(o, *s ? (uint8_t)*s++ : ' ');
}
