/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pieces.c - PDUs to be sent, see pieces.h */
#include <isa-l.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "node/util/util.h"
#include "tests/bench/pieces.h"

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* What all PDUs carry; never touched, so that it is one page of zeroes whatever its length. */
static void *data(void)
{
	static void *mem;

	if (!mem) {
		mem = mmap(NULL, DATA_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED)
			die("out of memory");
	}
	return mem;
}

static uint32_t crc(const void *p, size_t n)
{
	return ~crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, 0xffffffff);
}

static void put_crc(uint8_t *out, uint32_t v)
{
	for (int i = 0; i < DIGEST_LEN; i++, v >>= 8)
		out[i] = (uint8_t)v;
}

/* Lengths repeat. */
static uint32_t data_crc(uint32_t len)
{
	static struct { uint32_t len, crc; } known[16];
	size_t k = len / 512 % ARRAY_SIZE(known);

	if (known[k].len != len) {
		known[k].len = len;
		known[k].crc = crc(data(), len);
	}
	return known[k].crc;
}

void pieces_init(struct pieces *q, uint32_t n)
{
	*q = (struct pieces){ .size = 16 };
	while (q->size < n)
		q->size *= 2;
	q->ring = calloc(q->size, sizeof(*q->ring));
	if (!q->ring)
		die("out of memory");
}

uint8_t *pieces_add(struct pieces *q, uint32_t data_len)
{
	struct piece *p = &q->ring[q->tail % q->size];

	if (q->tail - q->head == q->size)
		die("more PDUs to send than were thought possible");
	*p = (struct piece){ .data_len = data_len };
	put_be24(p->head + O_DSL, data_len);
	return p->head;
}

void pieces_seal(struct pieces *q)
{
	struct piece *p = &q->ring[q->tail++ % q->size];
	uint32_t pad = pdu_pad(p->data_len);

	p->head_len = BHS_LEN;
	p->tail_len = pad;
	if (q->header_digest) {
		put_crc(p->head + BHS_LEN, crc(p->head, BHS_LEN));
		p->head_len += DIGEST_LEN;
	}
	if (q->data_digest && p->data_len) {
		put_crc(p->tail, data_crc(p->data_len + pad));
		p->data_len += pad;  /* zeroes are what pads it */
		p->tail_len = DIGEST_LEN;
	}
}

static int part(struct iovec *iov, void *p, size_t len, size_t *skip)
{
	if (len <= *skip) {
		*skip -= len;
		return 0;
	}
	*iov = (struct iovec){ (uint8_t *)p + *skip, len - *skip };
	*skip = 0;
	return 1;
}

int pieces_iov(const struct pieces *q, struct iovec *iov)
{
	size_t skip = q->sent;
	int n = 0;

	for (uint32_t i = q->head; i != q->tail && n + 3 <= PIECE_IOV; i++) {
		struct piece *p = &q->ring[i % q->size];

		n += part(iov + n, p->head, p->head_len, &skip);
		n += part(iov + n, data(), p->data_len, &skip);
		n += part(iov + n, p->tail, p->tail_len, &skip);
	}
	return n;
}

void pieces_sent(struct pieces *q, size_t n)
{
	while (n) {
		const struct piece *p = &q->ring[q->head % q->size];
		size_t left = (size_t)p->head_len + p->data_len + p->tail_len - q->sent;

		if (n < left) {
			q->sent += n;
			return;
		}
		n -= left;
		q->sent = 0;
		q->head++;
	}
}
