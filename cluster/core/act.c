/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * act.c - making actions, and the memory they live in
 *
 * Actions and the texts in them live until the next step; the vector and the arena keep their size, so that a
 * steady core allocates nothing. Bodies in actions are held until then too.
 */
#include <stdarg.h>

#include "cluster/core/internal.h"

#define ARENA_CHUNK (64u * 1024u)
struct arena {
	struct arena *next;
	size_t used, size;
	_Alignas(16) char mem[];
};

void *co_must_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		abort();
	return p;
}

struct core_body *core_body_new(const void *data, size_t len)
{
	struct core_body *b = co_must_alloc(sizeof(*b) + len);

	b->refs = 1;
	b->len = len;
	if (data && len)
		memcpy(b->data, data, len);
	return b;
}

struct core_body *core_body_ref(struct core_body *b)
{
	if (b)
		b->refs++;
	return b;
}

void core_body_unref(struct core_body *b)
{
	if (b && --b->refs == 0)
		free(b);
}

/** co_act_alloc() - Zeroed memory that lives until the next step */
void *co_act_alloc(struct core *c, size_t n)
{
	struct arena *a = c->arena;
	size_t need = (n + 15) & ~(size_t)15;
	void *p;

	if (!a || a->size - a->used < need) {
		size_t size = MAX((size_t)ARENA_CHUNK, need);

		a = co_must_alloc(sizeof(*a) + size);
		a->size = size;
		a->next = c->arena;
		c->arena = a;
	}
	p = a->mem + a->used;
	a->used += need;
	memset(p, 0, n);
	return p;
}

char *co_act_dup(struct core *c, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(co_act_alloc(c, n), s, n);
}

/** co_act_hold() - Keep a body until the next step. Return: @b */
struct core_body *co_act_hold(struct core *c, struct core_body *b)
{
	if (!b)
		return NULL;
	if (c->n_held == c->max_held) {
		c->max_held = c->max_held ? 2 * c->max_held : 64;
		c->held = realloc(c->held, c->max_held * sizeof(*c->held));
		if (!c->held)
			abort();
	}
	c->held[c->n_held++] = core_body_ref(b);
	return b;
}

/** co_act() - One more action. Return: zeroed but for type and group; valid until the next co_act() */
struct core_action *co_act(struct core *c, enum core_act_type type, const struct group *g)
{
	struct core_action *a;

	if (c->n_acts == c->max_acts) {
		c->max_acts = c->max_acts ? 2 * c->max_acts : 256;
		c->acts = realloc(c->acts, c->max_acts * sizeof(*c->acts));
		if (!c->acts)
			abort();
	}
	a = &c->acts[c->n_acts++];
	memset(a, 0, sizeof(*a));
	a->type = type;
	a->group = g ? g->name : NULL;
	return a;
}

/** co_act_event() - Something for the log. @kind: a stable word */
void co_act_event(struct core *c, const struct group *g, enum core_severity sev, const char *kind, const char *fmt, ...)
{
	char text[2 * CORE_TEXT_MAX];
	struct core_action *a;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	a = co_act(c, CORE_ACT_EVENT, g);
	a->event.severity = sev;
	a->event.kind = kind;
	a->event.text = co_act_dup(c, text);
}

/** co_act_reset() - Forget the actions of the last step; keep one chunk of memory */
void co_act_reset(struct core *c)
{
	for (unsigned i = 0; i < c->n_held; i++)
		core_body_unref(c->held[i]);
	c->n_held = c->n_acts = 0;
	while (c->arena && c->arena->next) {
		struct arena *a = c->arena;

		c->arena = a->next;
		free(a);
	}
	if (c->arena)
		c->arena->used = 0;
}

void co_act_free(struct core *c)
{
	co_act_reset(c);
	free(c->arena);
	free(c->acts);
	free(c->held);
}

/** co_copy_text() - Copy, cut to @size with its NUL */
void co_copy_text(char *dst, size_t size, const char *src)
{
	snprintf(dst, size, "%s", src ? src : "");
}
