/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arena.c - memory that lives as long as the document, given back in one go */
#include <stdarg.h>
#include <string.h>

#include "cluster/conf/internal.h"

struct block {
	struct block *next;
	max_align_t data[];
};

struct conf_arena {
	struct block *blocks;
	bool failed;
};

struct conf_arena *arena_new(void)
{
	return calloc(1, sizeof(struct conf_arena));
}

void arena_free(struct conf_arena *a)
{
	while (a && a->blocks) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	free(a);
}

void *arena_alloc(struct conf_arena *a, size_t n, size_t size)
{
	struct block *b;
	size_t bytes;

	if (mul_overflow(n, size, &bytes) || add_overflow(bytes, sizeof(*b), &bytes) || !(b = calloc(1, bytes))) {
		a->failed = true;
		return NULL;
	}
	b->next = a->blocks;
	a->blocks = b;
	return b->data;
}

char *arena_strdup(struct conf_arena *a, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = arena_alloc(a, n, 1);

	return p ? memcpy(p, s, n) : NULL;
}

char *arena_printf(struct conf_arena *a, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0) {
		s = NULL;
		a->failed = true;
	}
	va_end(ap);
	return s ? arena_strdup(a, s) : NULL;
}

bool arena_failed(const struct conf_arena *a)
{
	return a->failed;
}
