/* SPDX-License-Identifier: GPL-2.0-or-later */
/* table.c - aligned columns and wrapped text. Out of memory, a cell is lost, not the program */
#include <stdarg.h>
#include <string.h>

#include "cluster/ctl/ctl.h"

#define COLS 12

struct cell {
	char *text;
	bool note;               /* a line of its own */
};

struct table {
	char *head[COLS];
	bool right[COLS];
	int width[COLS];
	int n_col;
	struct cell *cell;
	size_t n_cell;
	int col;                 /* of the next cell */
};

/* Characters, not bytes: continuation bytes of UTF-8 take no place. */
static int width_of(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

struct table *table_new(const char *head)
{
	struct table *t = calloc(1, sizeof(*t));
	_cleanup_free_ char *copy = strdup(head);
	char *save, *p;

	if (!t || !copy) {
		free(t);
		return NULL;
	}
	for (p = strtok_r(copy, "|", &save); p && t->n_col < COLS; p = strtok_r(NULL, "|", &save)) {
		t->right[t->n_col] = *p == '>';
		t->head[t->n_col] = strdup(p + (*p == '>'));
		t->width[t->n_col] = t->head[t->n_col] ? width_of(t->head[t->n_col]) : 0;
		t->n_col++;
	}
	return t;
}

static void add(struct table *t, bool note, const char *fmt, va_list ap)
{
	struct cell *v = realloc(t->cell, (t->n_cell + 1) * sizeof(*v));
	char *text;

	if (!v)
		return;
	t->cell = v;
	if (vasprintf(&text, fmt, ap) < 0)
		return;
	v[t->n_cell++] = (struct cell){ .text = text, .note = note };
	if (note)
		return;
	t->width[t->col] = MAX(t->width[t->col], width_of(text));
	t->col = (t->col + 1) % t->n_col;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	if (!t)
		return;
	va_start(ap, fmt);
	add(t, false, fmt, ap);
	va_end(ap);
}

void table_note(struct table *t, const char *fmt, ...)
{
	va_list ap;

	if (!t)
		return;
	va_start(ap, fmt);
	add(t, true, fmt, ap);
	va_end(ap);
}

/* The last column is not padded: no blanks at the ends of lines. */
static void cell_print(const struct table *t, FILE *f, int col, const char *s)
{
	int pad = t->width[col] - width_of(s);

	if (t->right[col])
		fprintf(f, "%*s%s", pad, "", s);
	else
		fprintf(f, "%s%*s", s, col + 1 == t->n_col ? 0 : pad, "");
	fputs(col + 1 == t->n_col ? "\n" : "  ", f);
}

void table_print(struct table *t, FILE *f, int indent)
{
	int col = 0;

	if (!t)
		return;
	for (int i = 0; i < t->n_col; i++) {
		fprintf(f, "%*s", i ? 0 : indent, "");
		cell_print(t, f, i, t->head[i] ? t->head[i] : "");
	}
	for (size_t i = 0; i < t->n_cell; i++) {
		if (t->cell[i].note) {
			text_wrap(f, indent + 4, t->cell[i].text);
		} else {
			fprintf(f, "%*s", col ? 0 : indent, "");
			cell_print(t, f, col, t->cell[i].text);
			col = (col + 1) % t->n_col;
		}
		free(t->cell[i].text);
	}
	for (int i = 0; i < t->n_col; i++)
		free(t->head[i]);
	free(t->cell);
	free(t);
}

void text_wrap(FILE *f, int indent, const char *s)
{
	int at = 0;

	for (s += strspn(s, " \n"); *s; s += strspn(s, " \n")) {
		size_t n = strcspn(s, " \n");
		int w = 0;

		for (size_t i = 0; i < n; i++)
			w += ((unsigned char)s[i] & 0xc0) != 0x80;
		if (at && at + 1 + w > CTL_WIDTH) {
			fputc('\n', f);
			at = 0;
		}
		if (at == 0)
			at = fprintf(f, "%*s", indent, "");
		else
			at += fprintf(f, " ");
		fwrite(s, 1, n, f);
		at += w;
		s += n;
	}
	if (at)
		fputc('\n', f);
}
