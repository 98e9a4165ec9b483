/* SPDX-License-Identifier: GPL-2.0-or-later */
/* parse.c - from text to a checked document; and finding one's way in it */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cluster/conf/internal.h"

static void syntax_error(const yaml_parser_t *p, struct conf_diags *d)
{
	int line = (int)p->problem_mark.line + 1;

	if (p->error == YAML_READER_ERROR)
		diag_error(d, 0, "is no text: %s at byte %zu; allowed: UTF-8", p->problem ? p->problem : "unreadable",
			   p->problem_offset);
	else if (p->context)
		diag_error(d, line, "is not YAML: %s, %s (from line %zu on); allowed: YAML 1.1, indented with spaces",
			   p->problem ? p->problem : "unreadable", p->context, p->context_mark.line + 1);
	else
		diag_error(d, line, "is not YAML: %s; allowed: YAML 1.1, indented with spaces",
			   p->problem ? p->problem : "unreadable");
}

/* The one document of the text. Return: 0 (to be deleted), -EINVAL, -ENOMEM */
static int compose(const char *text, size_t len, yaml_document_t *ret, struct conf_diags *d)
{
	yaml_document_t second;
	yaml_parser_t p;
	int r = -EINVAL;

	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	if (!yaml_parser_load(&p, ret)) {
		if (p.error == YAML_MEMORY_ERROR)
			r = -ENOMEM;
		else
			syntax_error(&p, d);
		goto out;
	}
	if (!yaml_document_get_root_node(ret)) {
		diag_error(d, 0, "is empty; allowed: a mapping with cluster and groups, see lunward.yaml(5)");
		yaml_document_delete(ret);
		goto out;
	}
	r = 0;
	if (!yaml_parser_load(&p, &second)) {
		syntax_error(&p, d);
		r = -EINVAL;
	} else {
		yaml_node_t *n = yaml_document_get_root_node(&second);

		if (n)
			diag_error(d, tree_line(n), "a second document starts here; allowed: one document");
		yaml_document_delete(&second);
	}
	if (r)
		yaml_document_delete(ret);
out:
	yaml_parser_delete(&p);
	return r;
}

static struct conf *conf_new(enum conf_mode mode)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->mode = mode;
	c->opt = conf_default_options();
	c->arena = arena_new();
	if (!c->arena) {
		free(c);
		return NULL;
	}
	return c;
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	arena_free(c->arena);
	free(c);
}

int conf_parse(const char *text, size_t len, const char *name, enum conf_mode mode, struct conf **ret,
	       struct conf_diags *d)
{
	_cleanup_conf_ struct conf *c = conf_new(mode);
	yaml_document_t y;
	struct reader r = { .y = &y, .c = c, .d = d };
	int rc;

	free(d->name);
	d->name = strdup(name);
	if (!c || !d->name)
		return -ENOMEM;
	if (len > CONF_TEXT_MAX) {
		diag_error(d, 0, "is too large, %zu bytes; allowed: %u", len, CONF_TEXT_MAX);
		return -EINVAL;
	}
	rc = compose(text, len, &y, d);
	if (rc)
		return rc;
	r.budget = 8 * (size_t)(y.nodes.top - y.nodes.start) + 1000;
	schema_read(&r, yaml_document_get_root_node(&y));
	if (mode == CONF_STANDALONE && !c->cluster)
		c->cluster = "standalone";
	if (r.budget)
		check_document(&r);
	yaml_document_delete(&y);
	diag_sort(d);
	if (arena_failed(c->arena))
		return -ENOMEM;
	if (d->n_errors)
		return -EINVAL;
	*ret = steal_ptr(c);
	return 0;
}

int conf_load(const char *path, enum conf_mode mode, struct conf **ret, struct conf_diags *d)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = malloc(CONF_TEXT_MAX + 1);
	size_t n;

	if (!text)
		return -ENOMEM;
	free(d->name);
	d->name = strdup(path);
	if (!f) {
		diag_error(d, 0, "cannot be opened: %m");
		return -EINVAL;
	}
	n = fread(text, 1, CONF_TEXT_MAX + 1, f);
	if (ferror(f)) {
		diag_error(d, 0, "cannot be read: %m");
		return -EINVAL;
	}
	return conf_parse(text, n, path, mode, ret, d);
}

const struct conf_group *conf_group_find(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_group; i++)
		if (!strcmp(c->group[i].name, name))
			return &c->group[i];
	return NULL;
}

const struct conf_target *conf_target_find(const struct conf_group *g, const char *iqn)
{
	for (size_t i = 0; i < g->n_target; i++)
		if (!strcasecmp(g->target[i].iqn, iqn))
			return &g->target[i];
	return NULL;
}

const struct conf_lun *conf_lun_find(const struct conf_target *t, unsigned number)
{
	size_t lo = 0, hi = t->n_lun;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->lun[mid].number == number)
			return &t->lun[mid];
		if (t->lun[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

int conf_group_rank(const struct conf_group *g, const char *node)
{
	for (size_t i = 0; i < g->n_node; i++)
		if (!strcmp(g->node[i], node))
			return (int)i;
	return -1;
}
