/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buf.h - a reactor's I/O buffers: one arena, cut by the buddy method
 *
 * Memory is reserved once and touched only when it is used. Every buffer is contiguous and page aligned, so it is
 * fit for O_DIRECT; sizes are rounded up to a power of two pages. What is said about buffers is kept beside the arena,
 * not in it. Context: one thread.
 */
#ifndef LUNWARD_NODE_BUF_H
#define LUNWARD_NODE_BUF_H

#include <stddef.h>
#include <stdint.h>

#define BUF_PAGE 4096u
#define BUF_ORDERS 11u                           /* 4 KiB … 4 MiB */
#define BUF_MAX (BUF_PAGE << (BUF_ORDERS - 1))   /* largest buffer */

struct arena {
	uint8_t *base;
	size_t bytes, used;
	struct arena_page {
		uint32_t next, prev;             /* in the free list of its order */
		uint8_t order;                   /* of the block that starts here */
		uint8_t state;
	} *page;
	uint32_t free_head[BUF_ORDERS];
};

/** arena_init() - @bytes: a multiple of BUF_MAX. Return: 0, or -errno */
int arena_init(struct arena *a, size_t bytes);
void arena_fini(struct arena *a);

/** buf_get() - A buffer of at least @len bytes (1 … BUF_MAX), or NULL: none is free */
void *buf_get(struct arena *a, size_t len);

/** buf_put() - Give it back; NULL is allowed */
void buf_put(struct arena *a, void *buf);

static inline size_t arena_left(const struct arena *a) { return a->bytes - a->used; }

#endif
