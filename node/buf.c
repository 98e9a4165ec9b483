/* SPDX-License-Identifier: GPL-2.0-or-later */
/* buf.c - buddy allocator, see buf.h */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "node/buf.h"
#include "node/util/util.h"

#define NIL UINT32_MAX

enum page_state { PAGE_INSIDE, PAGE_FREE, PAGE_USED };

static void push(struct arena *a, uint32_t i, unsigned order)
{
	struct arena_page *p = &a->page[i];

	*p = (struct arena_page){ .next = a->free_head[order], .prev = NIL, .order = (uint8_t)order, .state = PAGE_FREE };
	if (p->next != NIL)
		a->page[p->next].prev = i;
	a->free_head[order] = i;
}

static void unlink_page(struct arena *a, uint32_t i)
{
	struct arena_page *p = &a->page[i];

	if (p->prev == NIL)
		a->free_head[p->order] = p->next;
	else
		a->page[p->prev].next = p->next;
	if (p->next != NIL)
		a->page[p->next].prev = p->prev;
	p->state = PAGE_INSIDE;
}

int arena_init(struct arena *a, size_t bytes)
{
	size_t n = bytes / BUF_PAGE;
	void *mem;

	*a = (struct arena){ .bytes = bytes };
	a->page = calloc(n, sizeof(*a->page));
	if (!a->page)
		return -ENOMEM;
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED) {
		free(a->page);
		return -ENOMEM;
	}
	a->base = mem;
	for (unsigned o = 0; o < BUF_ORDERS; o++)
		a->free_head[o] = NIL;
	for (size_t i = n; i; i -= BUF_MAX / BUF_PAGE)
		push(a, (uint32_t)(i - BUF_MAX / BUF_PAGE), BUF_ORDERS - 1);
	return 0;
}

void arena_fini(struct arena *a)
{
	if (a->base)
		munmap(a->base, a->bytes);
	free(a->page);
	*a = (struct arena){ 0 };
}

static unsigned order_of(size_t len)
{
	size_t pages = (len + BUF_PAGE - 1) / BUF_PAGE;

	return pages <= 1 ? 0 : 64 - (unsigned)__builtin_clzl(pages - 1);
}

void *buf_get(struct arena *a, size_t len)
{
	unsigned want = order_of(len), o = want;
	uint32_t i;

	while (o < BUF_ORDERS && a->free_head[o] == NIL)
		o++;
	if (o >= BUF_ORDERS)
		return NULL;
	i = a->free_head[o];
	unlink_page(a, i);
	while (o > want) {
		o--;
		push(a, i + (1u << o), o);
	}
	a->page[i].state = PAGE_USED;
	a->page[i].order = (uint8_t)want;
	a->used += (size_t)BUF_PAGE << want;
	return a->base + (size_t)i * BUF_PAGE;
}

void buf_put(struct arena *a, void *buf)
{
	uint32_t i;
	unsigned o;

	if (!buf)
		return;
	i = (uint32_t)((size_t)((uint8_t *)buf - a->base) / BUF_PAGE);
	if (a->page[i].state != PAGE_USED)
		abort();  /* given back twice, or not ours: nothing sound can follow */
	o = a->page[i].order;
	a->used -= (size_t)BUF_PAGE << o;
	a->page[i].state = PAGE_INSIDE;
	while (o < BUF_ORDERS - 1) {
		uint32_t buddy = i ^ (1u << o);

		if (a->page[buddy].state != PAGE_FREE || a->page[buddy].order != o)
			break;
		unlink_page(a, buddy);
		i = MIN(i, buddy);
		o++;
	}
	push(a, i, o);
}
