/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunk.c - cut messages for CPG, and put them together again
 *
 * CPG delivers the messages of one sender in the order sent, and cpg.c sends the chunks of one message back to
 * back: so there is at most one message in assembly a sender, and its chunks come in sequence. Anything else is
 * an error. A sender is (node, pid); its incarnation tells a new process under an old pid from the old one.
 *
 * Context: pure but for memory.
 */
#include "cluster/clusterd.h"

#include <errno.h>

#include "node/util/wire.h"

#define CHUNK_MAGIC 0x4c574347u  /* LWCG */
#define CHUNK_VERSION 1u
#define CHUNK_PAYLOAD (LUNWARD_CPG_CHUNK - CHUNK_HEADER)

_Static_assert(CHUNK_MESSAGE_MAX / CHUNK_PAYLOAD < UINT16_MAX, "index must hold the largest message");

struct assembly {
	struct list link;
	struct chunk_sender from;
	uint32_t incarnation, number, total;
	uint16_t next;        /* index expected */
	uint8_t *buf;         /* NULL: nothing in assembly */
};

void chunk_asm_init(struct chunk_asm *a)
{
	list_init(&a->senders);
}

static void assembly_reset(struct assembly *s)
{
	free(s->buf);
	s->buf = NULL;
}

static void assembly_free(struct assembly *s)
{
	list_del(&s->link);
	assembly_reset(s);
	free(s);
}

void chunk_asm_clear(struct chunk_asm *a)
{
	struct assembly *s, *tmp;

	list_for_each_safe(s, tmp, &a->senders, link)
		assembly_free(s);
}

static struct assembly *assembly_find(struct chunk_asm *a, struct chunk_sender from)
{
	struct assembly *s;

	list_for_each(s, &a->senders, link)
		if (s->from.nodeid == from.nodeid && s->from.pid == from.pid)
			return s;
	return NULL;
}

void chunk_drop(struct chunk_asm *a, struct chunk_sender from)
{
	struct assembly *s = assembly_find(a, from);

	if (s)
		assembly_free(s);
}

size_t chunk_count(size_t total)
{
	return total ? (total + CHUNK_PAYLOAD - 1) / CHUNK_PAYLOAD : 1;
}

static size_t chunk_len(uint32_t total, uint16_t index)
{
	size_t off = (size_t)index * CHUNK_PAYLOAD;

	return off >= total ? 0 : MIN(total - off, (size_t)CHUNK_PAYLOAD);
}

size_t chunk_put(uint8_t *out, const struct chunk_head *h, const uint8_t *msg)
{
	struct wr w = wr_init(out, LUNWARD_CPG_CHUNK);

	wr_u32(&w, CHUNK_MAGIC);
	wr_u16(&w, CHUNK_VERSION);
	wr_u16(&w, h->index);
	wr_u32(&w, h->incarnation);
	wr_u32(&w, h->number);
	wr_u32(&w, h->total);
	wr_bytes(&w, msg + (size_t)h->index * CHUNK_PAYLOAD, chunk_len(h->total, h->index));
	return w.want;
}

/* Return: 0, or -EPROTO if this is no chunk, or not of a legal length */
static int chunk_get(struct chunk_head *h, struct rd *r)
{
	bool ours = rd_u32(r) == CHUNK_MAGIC && rd_u16(r) == CHUNK_VERSION;

	h->index = rd_u16(r);
	h->incarnation = rd_u32(r);
	h->number = rd_u32(r);
	h->total = rd_u32(r);
	if (r->bad || !ours || h->total > CHUNK_MESSAGE_MAX)
		return -EPROTO;
	if (h->index >= chunk_count(h->total) || rd_left(r) != chunk_len(h->total, h->index))
		return -EPROTO;
	return 0;
}

static struct assembly *assembly_start(struct chunk_asm *a, struct chunk_sender from, const struct chunk_head *h)
{
	struct assembly *s = assembly_find(a, from);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		s->from = from;
		list_add_tail(&a->senders, &s->link);
	}
	assembly_reset(s);
	s->incarnation = h->incarnation;
	s->number = h->number;
	s->total = h->total;
	s->next = 0;
	s->buf = malloc(h->total);
	return s->buf ? s : NULL;
}

/* The assembly that expects exactly this chunk, or NULL. */
static struct assembly *assembly_continue(struct chunk_asm *a, struct chunk_sender from, const struct chunk_head *h)
{
	struct assembly *s = assembly_find(a, from);

	if (!s || !s->buf)
		return NULL;
	if (s->incarnation != h->incarnation || s->number != h->number || s->total != h->total || s->next != h->index) {
		assembly_reset(s);
		return NULL;
	}
	return s;
}

int chunk_feed(struct chunk_asm *a, struct chunk_sender from, const uint8_t *p, size_t len,
	       const uint8_t **ret, size_t *ret_len, uint32_t *ret_incarnation)
{
	struct rd r = rd_init(p, len);
	struct assembly *s = assembly_find(a, from);
	struct chunk_head h;
	size_t n;

	if (s && s->next && s->buf && s->next == chunk_count(s->total))
		assembly_reset(s);   /* handed out by the previous call */
	if (chunk_get(&h, &r) < 0) {
		if (s)
			assembly_reset(s);
		return -EPROTO;
	}
	n = rd_left(&r);
	*ret_incarnation = h.incarnation;
	if (chunk_count(h.total) == 1) {
		if (s)
			assembly_reset(s);
		*ret = rd_bytes(&r, n);
		*ret_len = n;
		return 1;
	}
	s = h.index ? assembly_continue(a, from, &h) : assembly_start(a, from, &h);
	if (!s)
		return -EPROTO;
	memcpy(s->buf + (size_t)h.index * CHUNK_PAYLOAD, rd_bytes(&r, n), n);
	if (++s->next < chunk_count(h.total))
		return 0;
	*ret = s->buf;
	*ret_len = s->total;
	return 1;
}
