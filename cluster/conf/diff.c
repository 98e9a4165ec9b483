/* SPDX-License-Identifier: GPL-2.0-or-later */
/* diff.c - what leads from one document to another, part by part, for live apply. Pure */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cluster/conf/internal.h"

struct differ {
	struct conf_diff d;
	bool failed;
};

static const char *const kind_words[] = { "added", "removed", "changed" };

/* One change; its text is "WHERE KIND", with @detail after it unless that is empty. */
PRINTF(8, 9) static void change(struct differ *x, enum conf_change_kind kind, enum conf_part part, const char *group,
				const char *item, int lun, bool disrupts, const char *fmt, ...)
{
	struct conf_change *v = realloc(x->d.v, (x->d.n + 1) * sizeof(*v));
	_cleanup_free_ char *where = NULL;
	char *text = NULL;
	va_list ap;

	if (!v) {
		x->failed = true;
		return;
	}
	x->d.v = v;
	va_start(ap, fmt);
	if (vasprintf(&where, fmt, ap) < 0)
		where = NULL;
	va_end(ap);
	if (!where || asprintf(&text, "%s %s%s", where, kind_words[kind],
			       disrupts ? " (initiators will notice)" : "") < 0) {
		x->failed = true;
		return;
	}
	v[x->d.n++] = (struct conf_change){ .kind = kind, .part = part, .group = group, .item = item, .lun = lun,
					    .disrupts = disrupts, .text = text };
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : !a && !b;
}

static bool same_strings(const char *const *a, size_t na, const char *const *b, size_t nb)
{
	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++)
		if (strcmp(a[i], b[i]))
			return false;
	return true;
}

static bool same_acls(const struct conf_acls *a, const struct conf_acls *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].text, b->v[i].text))
			return false;
	return true;
}

static bool listed(const struct conf_acls *l, const char *text)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i].text, text))
			return true;
	return false;
}

/* May somebody who was let in be shut out? What overlaps is not worked out: better one warning too many. */
static bool narrows(const struct conf_acls *a, const struct conf_acls *b)
{
	if (!b->n || listed(b, "*"))
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!listed(b, a->v[i].text))
			return true;
	return !a->n;
}

static bool same_chap(const struct conf_chap *a, const struct conf_chap *b)
{
	bool yes = a->n == b->n;

	for (size_t i = 0; yes && i < a->n; i++) {
		const struct conf_chap_user *u = &a->user[i], *v = &b->user[i];

		yes = same(u->user, v->user) && same(u->secret_file, v->secret_file) &&
		      same(u->mutual_user, v->mutual_user) && same(u->mutual_secret_file, v->mutual_secret_file) &&
		      same_acls(&u->initiators, &v->initiators);
	}
	return yes;
}

static bool same_fence(const struct conf_group *a, const struct conf_group *b)
{
	if (a->n_fence != b->n_fence)
		return false;
	for (size_t i = 0; i < a->n_fence; i++)
		if (strcmp(a->fence[i].path, b->fence[i].path))
			return false;
	return true;
}

/* The same bytes under the same name to initiators? */
static bool same_lun(const struct conf_lun *a, const struct conf_lun *b)
{
	return a->backing == b->backing && !strcmp(a->path, b->path) && a->block_size == b->block_size &&
	       a->id.naa_len == b->id.naa_len && !memcmp(a->id.naa, b->id.naa, a->id.naa_len) &&
	       a->id.eui_len == b->id.eui_len && !memcmp(a->id.eui, b->id.eui, a->id.eui_len) &&
	       !strcmp(a->id.product, b->id.product) &&
	       !strcmp(a->id.serial, b->id.serial) && (a->backing != CONF_RAM || a->size == b->size);
}

static void diff_luns(struct differ *x, const struct conf_group *g, const struct conf_target *a,
		      const struct conf_target *b)
{
	for (size_t i = 0; i < a->n_lun; i++) {
		const struct conf_lun *l = &a->lun[i], *m = conf_lun_find(b, l->number);

		if (!m)
			change(x, CONF_REMOVED, CONF_PART_LUN, g->name, b->iqn, l->number, true,
			       "group %s: LUN %u of %s", g->name, l->number, b->iqn);
		else if (!same_lun(l, m))
			change(x, CONF_CHANGED, CONF_PART_LUN, g->name, b->iqn, l->number, true,
			       "group %s: LUN %u of %s: its bytes or its identity", g->name, l->number, b->iqn);
		else if (l->size != m->size || l->read_only != m->read_only ||
			 l->provisioning != m->provisioning)
			change(x, CONF_CHANGED, CONF_PART_LUN_ATTR, g->name, b->iqn, l->number,
			       m->read_only && !l->read_only, "group %s: LUN %u of %s: %s", g->name, l->number, b->iqn,
			       l->size != m->size             ? "size"
			       : l->read_only != m->read_only ? "read-only"
							      : "provisioning");
		if (m && !same_acls(&l->initiators, &m->initiators))
			change(x, CONF_CHANGED, CONF_PART_INITIATORS, g->name, b->iqn, l->number,
			       narrows(&l->initiators, &m->initiators), "group %s: initiators of LUN %u of %s", g->name,
			       l->number, b->iqn);
	}
	for (size_t i = 0; i < b->n_lun; i++)
		if (!conf_lun_find(a, b->lun[i].number))
			change(x, CONF_ADDED, CONF_PART_LUN, g->name, b->iqn, b->lun[i].number, false,
			       "group %s: LUN %u of %s", g->name, b->lun[i].number, b->iqn);
}

static void diff_target(struct differ *x, const struct conf_group *g, const struct conf_target *a,
			const struct conf_target *b)
{
	if (!same(a->alias, b->alias))
		change(x, CONF_CHANGED, CONF_PART_ALIAS, g->name, b->iqn, -1, false, "group %s: alias of %s", g->name,
		       b->iqn);
	if (!same_acls(&a->initiators, &b->initiators))
		change(x, CONF_CHANGED, CONF_PART_INITIATORS, g->name, b->iqn, -1,
		       narrows(&a->initiators, &b->initiators), "group %s: initiators of %s", g->name, b->iqn);
	if (!same_chap(&a->chap, &b->chap))
		change(x, CONF_CHANGED, CONF_PART_CHAP, g->name, b->iqn, -1, false, "group %s: chap of %s", g->name,
		       b->iqn);
	if (!same(a->redirect.text, b->redirect.text) || a->redirect.permanent != b->redirect.permanent)
		change(x, CONF_CHANGED, CONF_PART_REDIRECT, g->name, b->iqn, -1, false, "group %s: redirect of %s", g->name,
		       b->iqn);
	if (a->fast_reconnect != b->fast_reconnect)
		change(x, CONF_CHANGED, CONF_PART_RECONNECT, g->name, b->iqn, -1, false, "group %s: fast-reconnect of %s",
		       g->name, b->iqn);
	diff_luns(x, g, a, b);
}

static void diff_targets(struct differ *x, const struct conf_group *a, const struct conf_group *b)
{
	for (size_t i = 0; i < a->n_target; i++) {
		const struct conf_target *t = conf_target_find(b, a->target[i].iqn);

		if (t)
			diff_target(x, b, &a->target[i], t);
		else
			change(x, CONF_REMOVED, CONF_PART_TARGET, b->name, a->target[i].iqn, -1, true,
			       "group %s: target %s", b->name, a->target[i].iqn);
	}
	for (size_t i = 0; i < b->n_target; i++)
		if (!conf_target_find(a, b->target[i].iqn))
			change(x, CONF_ADDED, CONF_PART_TARGET, b->name, b->target[i].iqn, -1, false,
			       "group %s: target %s", b->name, b->target[i].iqn);
}

static bool has_portal(const struct conf_group *g, const char *text)
{
	for (size_t i = 0; i < g->n_portal; i++)
		if (!strcmp(g->portal[i].text, text))
			return true;
	return false;
}

static void diff_portals(struct differ *x, const struct conf_group *a, const struct conf_group *b)
{
	for (size_t i = 0; i < a->n_portal; i++)
		if (!has_portal(b, a->portal[i].text))
			change(x, CONF_REMOVED, CONF_PART_PORTAL, b->name, a->portal[i].text, -1, true,
			       "group %s: portal %s", b->name, a->portal[i].text);
	for (size_t i = 0; i < b->n_portal; i++)
		if (!has_portal(a, b->portal[i].text))
			change(x, CONF_ADDED, CONF_PART_PORTAL, b->name, b->portal[i].text, -1, false,
			       "group %s: portal %s", b->name, b->portal[i].text);
}

static void diff_group(struct differ *x, const struct conf_group *a, const struct conf_group *b)
{
	const char *name = b->name;

	if (!same_strings(a->node, a->n_node, b->node, b->n_node))
		change(x, CONF_CHANGED, CONF_PART_NODES, name, NULL, -1, false, "group %s: nodes", name);
	if (a->failback_auto != b->failback_auto)
		change(x, CONF_CHANGED, CONF_PART_FAILBACK, name, NULL, -1, false, "group %s: failback", name);
	if (!same_fence(a, b))
		change(x, CONF_CHANGED, CONF_PART_FENCE, name, NULL, -1, false, "group %s: fence devices", name);
	if (!same_chap(&a->discovery_chap, &b->discovery_chap))
		change(x, CONF_CHANGED, CONF_PART_DISCOVERY, name, NULL, -1, false, "group %s: chap of discovery", name);
	if (a->chap_algs != b->chap_algs)
		change(x, CONF_CHANGED, CONF_PART_CHAP, name, NULL, -1, false, "group %s: algorithms of chap", name);
	diff_portals(x, a, b);
	diff_targets(x, a, b);
}

static void diff_options(struct differ *x, const struct conf_options *a, const struct conf_options *b)
{
	char was[24], is[24];

	for (size_t i = 0; i < conf_option_n; i++)
		if (option_get(a, i) != option_get(b, i))
			change(x, CONF_CHANGED, CONF_PART_OPTION, NULL, conf_option_table[i].name, -1, false,
			       "option %s: from %s to %s:", conf_option_table[i].name, option_print(a, i, was),
			       option_print(b, i, is));
}

int conf_diff(const struct conf *old, const struct conf *new, struct conf_diff *ret)
{
	static const struct conf none = { .mode = CONF_CLUSTER };
	const struct conf *a = old ? old : &none;
	struct differ x = { .d = { NULL, 0 } };

	if (old && strcmp(a->cluster, new->cluster))
		change(&x, CONF_CHANGED, CONF_PART_CLUSTER, NULL, NULL, -1, true,
		       "cluster name (with it every key and derived identity)");
	if (old)
		diff_options(&x, &a->opt, &new->opt);
	for (size_t i = 0; i < a->n_group; i++) {
		const struct conf_group *g = conf_group_find(new, a->group[i].name);

		if (g)
			diff_group(&x, &a->group[i], g);
		else
			change(&x, CONF_REMOVED, CONF_PART_GROUP, a->group[i].name, NULL, -1, true, "group %s",
			       a->group[i].name);
	}
	for (size_t i = 0; i < new->n_group; i++)
		if (!conf_group_find(a, new->group[i].name))
			change(&x, CONF_ADDED, CONF_PART_GROUP, new->group[i].name, NULL, -1, false, "group %s",
			       new->group[i].name);
	if (x.failed) {
		conf_diff_free(&x.d);
		return -ENOMEM;
	}
	*ret = x.d;
	return 0;
}

void conf_diff_free(struct conf_diff *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].text);
	free(d->v);
	*d = (struct conf_diff){ NULL, 0 };
}

bool conf_diff_group(const struct conf_diff *d, const char *group)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].group && !strcmp(d->v[i].group, group))
			return true;
	return false;
}
