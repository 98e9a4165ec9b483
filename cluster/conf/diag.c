/* SPDX-License-Identifier: GPL-2.0-or-later */
/* diag.c - findings in a document: collected, ordered, printed; and what a misspelt word meant */
#include <stdarg.h>
#include <string.h>

#include "cluster/conf/internal.h"

#define ERRORS_MAX 100     /* more than anybody reads; the rest is counted */
#define WARNINGS_MAX 50    /* and they leave room for errors */
#define WORD_MAX 31

static void diag_add(struct conf_diags *d, int line, bool warning, const char *fmt, va_list ap)
{
	struct conf_diag *v;
	char *text = NULL;

	size_t warnings = d->n - MIN(d->n_errors, (size_t)ERRORS_MAX);

	d->n_errors += !warning;
	if (warning ? warnings >= WARNINGS_MAX : d->n_errors > ERRORS_MAX)
		return;
	v = realloc(d->v, (d->n + 1) * sizeof(*v));
	if (!v)
		return;
	d->v = v;
	if (vasprintf(&text, fmt, ap) < 0)
		return;
	d->v[d->n++] = (struct conf_diag){ .line = line, .warning = warning, .text = text };
}

void diag_error(struct conf_diags *d, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_add(d, line, false, fmt, ap);
	va_end(ap);
}

void diag_warn(struct conf_diags *d, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_add(d, line, true, fmt, ap);
	va_end(ap);
}

/** diag_sort() - By line; those of one line in the order they were found */
void diag_sort(struct conf_diags *d)
{
	for (size_t i = 1; i < d->n; i++) {
		struct conf_diag x = d->v[i];
		size_t j = i;

		for (; j > 0 && d->v[j - 1].line > x.line; j--)
			d->v[j] = d->v[j - 1];
		d->v[j] = x;
	}
}

char *conf_diags_text(const struct conf_diags *d)
{
	char *text = NULL;
	size_t len = 0, shown = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (size_t i = 0; i < d->n; i++) {
		shown += !d->v[i].warning;
		fprintf(f, "%s:", d->name ? d->name : "configuration");
		if (d->v[i].line)
			fprintf(f, "%d:", d->v[i].line);
		fprintf(f, " %s%s\n", d->v[i].warning ? "warning: " : "", d->v[i].text);
	}
	if (d->n_errors > shown)
		fprintf(f, "%s: and %zu more errors\n", d->name ? d->name : "configuration", d->n_errors - shown);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

void conf_diags_free(struct conf_diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].text);
	free(d->v);
	free(d->name);
	*d = (struct conf_diags)CONF_DIAGS_INIT;
}

/* Edit distance with swaps of neighbors (optimal string alignment); both words at most WORD_MAX. */
static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
	size_t m[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= la; i++)
		m[i][0] = i;
	for (size_t j = 0; j <= lb; j++)
		m[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			size_t cost = a[i - 1] != b[j - 1];
			size_t best = MIN(m[i - 1][j], m[i][j - 1]) + 1;

			best = MIN(best, m[i - 1][j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, m[i - 2][j - 2] + 1);
			m[i][j] = best;
		}
	}
	return m[la][lb];
}

const char *diag_meant(const char *got, const char *const *words, size_t n)
{
	size_t lg = strlen(got), best = 1 + (lg > 4 ? 2 : 1);
	const char *meant = NULL;

	if (lg > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t lw = strlen(words[i]);
		size_t dist = lw <= WORD_MAX ? distance(got, lg, words[i], lw) : best;

		/* a plural, a prefix: "portal", "iqns", "init" */
		if (dist > 2 && lg >= 3 && lw <= WORD_MAX && !strncmp(got, words[i], lg))
			dist = 2;
		if (dist < best && dist < lw) {
			best = dist;
			meant = words[i];
		}
	}
	return meant;
}
