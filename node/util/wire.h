/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h - big-endian cursors with a sticky error
 *
 * A reader past its end returns zero and sets @bad; a writer past its end writes nothing, goes on counting
 * in @want and sets @bad. Parsers are straight lines with one check at the end; nothing on the wire or on
 * disk is ever cast to a struct. Context: pure, any thread.
 */
#ifndef LUNWARD_UTIL_WIRE_H
#define LUNWARD_UTIL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct rd rd_init(const void *buf, size_t len)
{
	return (struct rd){ .p = buf, .end = len ? (const uint8_t *)buf + len : buf };  /* nothing may be NULL */
}

static inline size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

/** rd_bytes() - The next @n bytes in place, or NULL (and @bad) if fewer are left */
static inline const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || rd_left(r) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static inline void rd_skip(struct rd *r, size_t n)
{
	(void)rd_bytes(r, n);
}

static inline uint64_t rd_be(struct rd *r, size_t n)
{
	const uint8_t *p = rd_bytes(r, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static inline uint8_t rd_u8(struct rd *r) { return (uint8_t)rd_be(r, 1); }
static inline uint16_t rd_u16(struct rd *r) { return (uint16_t)rd_be(r, 2); }
static inline uint32_t rd_u24(struct rd *r) { return (uint32_t)rd_be(r, 3); }
static inline uint32_t rd_u32(struct rd *r) { return (uint32_t)rd_be(r, 4); }
static inline uint64_t rd_u64(struct rd *r) { return rd_be(r, 8); }

struct wr {
	uint8_t *p, *end;
	size_t want;  /* bytes asked for so far: what a large enough buffer would hold */
	bool bad;
};

static inline struct wr wr_init(void *buf, size_t len)
{
	return (struct wr){ .p = buf, .end = (uint8_t *)buf + len };
}

/** wr_room() - Reserve @n bytes in place, or NULL (and @bad) if they do not fit */
static inline uint8_t *wr_room(struct wr *w, size_t n)
{
	uint8_t *p = w->p;

	w->want += n;
	if (w->bad || (size_t)(w->end - w->p) < n) {
		w->bad = true;
		return NULL;
	}
	w->p += n;
	return p;
}

static inline void wr_be(struct wr *w, uint64_t v, size_t n)
{
	uint8_t *p = wr_room(w, n);

	for (size_t i = n; p && i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

static inline void wr_u8(struct wr *w, uint8_t v) { wr_be(w, v, 1); }
static inline void wr_u16(struct wr *w, uint16_t v) { wr_be(w, v, 2); }
static inline void wr_u24(struct wr *w, uint32_t v) { wr_be(w, v, 3); }
static inline void wr_u32(struct wr *w, uint32_t v) { wr_be(w, v, 4); }
static inline void wr_u64(struct wr *w, uint64_t v) { wr_be(w, v, 8); }

static inline void wr_zero(struct wr *w, size_t n)
{
	uint8_t *p = wr_room(w, n);

	if (p)
		memset(p, 0, n);
}

static inline void wr_bytes(struct wr *w, const void *src, size_t n)
{
	uint8_t *p = wr_room(w, n);

	if (p && n)
		memcpy(p, src, n);
}

/* Fixed-offset accessors, for fields of a header whose size was checked once. */
static inline uint16_t get_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get_be24(const uint8_t *p) { return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]; }
static inline uint32_t get_be32(const uint8_t *p) { return (uint32_t)get_be16(p) << 16 | get_be16(p + 2); }
static inline uint64_t get_be64(const uint8_t *p) { return (uint64_t)get_be32(p) << 32 | get_be32(p + 4); }

static inline void put_be16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void put_be24(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 16); put_be16(p + 1, (uint16_t)v); }
static inline void put_be32(uint8_t *p, uint32_t v) { put_be16(p, (uint16_t)(v >> 16)); put_be16(p + 2, (uint16_t)v); }
static inline void put_be64(uint8_t *p, uint64_t v) { put_be32(p, (uint32_t)(v >> 32)); put_be32(p + 4, (uint32_t)v); }

#endif
