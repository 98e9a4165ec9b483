/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.c - walking the YAML tree by tables
 *
 * libyaml composes the text into nodes with line numbers; the tables of schema.c say which keys a mapping has and
 * which function reads each. What does not fit is a finding and the walk goes on, so that one look shows
 * every mistake. The depth is that of the tables; aliases cannot multiply the work beyond the budget.
 */
#include <string.h>

#include "cluster/conf/internal.h"

#define FIELDS_MAX 24
#define SHOWN 80     /* bytes of a value that a message quotes */

yaml_node_t *tree_node(struct reader *r, int index)
{
	if (r->budget == 0)
		return NULL;
	if (--r->budget == 0)
		diag_error(r->d, 0, "aliases repeat more than this document can mean; write out what they stand for");
	return yaml_document_get_node(r->y, index);
}

static const char *node_kind(const yaml_node_t *n)
{
	switch (n->type) {
	case YAML_SCALAR_NODE:
		return n->data.scalar.length ? "a single value" : "empty";
	case YAML_SEQUENCE_NODE:
		return "a list";
	case YAML_MAPPING_NODE:
		return "a mapping";
	default:
		return "empty";
	}
}

/* Plain text without control characters; it is printed in messages and tables, and handed to other programs. */
static bool clean(const yaml_node_t *n)
{
	for (size_t i = 0; i < n->data.scalar.length; i++)
		if (n->data.scalar.value[i] < 0x20 || n->data.scalar.value[i] == 0x7f)
			return false;
	return true;
}

char *tree_scalar(struct reader *r, yaml_node_t *n, const char *what)
{
	if (n->type != YAML_SCALAR_NODE) {
		diag_error(r->d, tree_line(n), "%s: is %s; allowed: a single value", what, node_kind(n));
		return NULL;
	}
	if (n->data.scalar.length == 0) {
		diag_error(r->d, tree_line(n), "%s: is empty; allowed: a value, or leave the key out", what);
		return NULL;
	}
	if (!clean(n)) {
		diag_error(r->d, tree_line(n), "%s: has control characters; allowed: printable text", what);
		return NULL;
	}
	return arena_strdup(r->c->arena, (const char *)n->data.scalar.value);
}

char *tree_value(struct reader *r, yaml_node_t *n, const char *what, value_fn *fn, void *ret)
{
	char why[WHY_MAX];
	char *s = tree_scalar(r, n, what);

	if (!s || fn(s, ret, why))
		return s;
	diag_error(r->d, tree_line(n), "%s: \"%.*s\" %s", what, SHOWN, s, why);
	return NULL;
}

static void unknown_key(struct reader *r, const yaml_node_t *k, const char *what, const struct field *f, size_t n_f)
{
	const char *words[FIELDS_MAX], *meant;
	const char *got = (const char *)k->data.scalar.value;
	char list[512] = "";
	size_t at = 0, n = 0;

	for (size_t i = 0; i < n_f && i < FIELDS_MAX; i++) {
		if (f[i].hidden)
			continue;
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", n ? ", " : "", f[i].key);
		words[n++] = f[i].key;
	}
	meant = clean(k) ? diag_meant(got, words, n) : NULL;
	if (meant)
		diag_error(r->d, tree_line(k), "%s: unknown key \"%.*s\", did you mean \"%s\"?; allowed: %s", what,
			   SHOWN, got, meant, list);
	else
		diag_error(r->d, tree_line(k), "%s: unknown key \"%.*s\"; allowed: %s", what, SHOWN,
			   clean(k) ? got : "…", list);
}

static const struct field *find_field(const yaml_node_t *k, const struct field *f, size_t n_f)
{
	for (size_t i = 0; i < n_f; i++)
		if (!strcmp((const char *)k->data.scalar.value, f[i].key))
			return &f[i];
	return NULL;
}

static void map_pair(struct reader *r, const char *what, const struct field *f, size_t n_f, int *seen,
		     const yaml_node_t *k, yaml_node_t *v, void *obj)
{
	const struct field *hit;

	if (k->type != YAML_SCALAR_NODE) {
		diag_error(r->d, tree_line(k), "%s: a key is %s; allowed: a word", what, node_kind(k));
		return;
	}
	hit = find_field(k, f, n_f);
	if (!hit) {
		unknown_key(r, k, what, f, n_f);
		return;
	}
	if (seen[hit - f]) {
		diag_error(r->d, tree_line(k), "%s: \"%s\" is there twice, first in line %d; allowed: once", what,
			   hit->key, seen[hit - f]);
		return;
	}
	seen[hit - f] = tree_line(k);
	hit->read(r, v, obj);
}

void tree_map(struct reader *r, yaml_node_t *n, const char *what, const struct field *f, size_t n_f, void *obj)
{
	int seen[FIELDS_MAX] = { 0 };

	if (n->type != YAML_MAPPING_NODE) {
		diag_error(r->d, tree_line(n), "%s: is %s; allowed: a mapping, KEY: VALUE", what, node_kind(n));
		return;
	}
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
		yaml_node_t *k = tree_node(r, p->key), *v = tree_node(r, p->value);

		if (k && v)
			map_pair(r, what, f, n_f, seen, k, v, obj);
	}
	for (size_t i = 0; i < n_f && r->budget; i++)
		if (f[i].required && !seen[i])
			diag_error(r->d, tree_line(n), "%s: lacks \"%s\", which must be there", what, f[i].key);
}

void *tree_list(struct reader *r, yaml_node_t *n, const char *what, size_t size, node_fn *read, size_t *ret_n)
{
	size_t count, i = 0;
	char *v;

	if (n->type != YAML_SEQUENCE_NODE) {
		diag_error(r->d, tree_line(n), "%s: is %s; allowed: a list, [A, B] or one \"- ITEM\" a line", what,
			   node_kind(n));
		return NULL;
	}
	count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
	if (count == 0 || count > r->budget || !(v = arena_alloc(r->c->arena, count, size)))
		return NULL;
	*ret_n = count;
	for (yaml_node_item_t *it = n->data.sequence.items.start; it < n->data.sequence.items.top; it++, i++) {
		yaml_node_t *x = tree_node(r, *it);

		if (x)
			read(r, x, v + i * size);
	}
	return v;
}
