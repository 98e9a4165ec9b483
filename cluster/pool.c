/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool.c - memory that goes all at once, for building messages. Running out of it ends the process. */
#include "cluster/shell.h"

#include <stdarg.h>
#include <string.h>

struct pool_chunk {
	struct pool_chunk *next;
	max_align_t data[];
};

void *pool_alloc(struct pool *p, size_t n)
{
	struct pool_chunk *c = calloc(1, sizeof(*c) + n);

	if (!c)
		abort();
	c->next = p->first;
	p->first = c;
	return c->data;
}

char *pool_text(struct pool *p, const char *s)
{
	size_t n = s ? strlen(s) : 0;
	char *copy = pool_alloc(p, n + 1);

	if (n)
		memcpy(copy, s, n);
	return copy;
}

char *pool_fmt(struct pool *p, const char *fmt, ...)
{
	va_list ap;
	char *copy;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	copy = pool_alloc(p, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(copy, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return copy;
}

/* Doubles whenever @n is a power of two: no capacity to keep. */
void pool_push(struct pool *p, void *array_of_pointers, size_t *n, void *item)
{
	void ***array = array_of_pointers;
	size_t cap = *n ? 2 * *n : 1;

	if ((*n & (*n - 1)) == 0) {
		void **more = pool_alloc(p, cap * sizeof(void *));

		if (*n)
			memcpy(more, *array, *n * sizeof(void *));
		*array = more;
	}
	(*array)[(*n)++] = item;
}

void pool_free(struct pool *p)
{
	while (p->first) {
		struct pool_chunk *c = p->first;

		p->first = c->next;
		free(c);
	}
}
