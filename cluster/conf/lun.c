/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lun.c - the keys of a target and of its LUNs */
#include <string.h>

#include "cluster/conf/internal.h"

const char *const conf_backing_names[] = { "block", "file", "iscsi", "ram" };
const char *const conf_provisioning_names[] = { NULL, "thin", "thick" };

/* ---- lists of initiators: a target's, a LUN's ---- */

static void one_initiator(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_acl *a = obj;
	char why[WHY_MAX], buf[ADDRESS_MAX];
	char *s = tree_scalar(r, n, "initiators");
	bool ok;

	a->line = tree_line(n);
	if (!s)
		return;
	if (strpbrk(s, "*?") || !strncasecmp(s, "iqn.", 4) || !strncasecmp(s, "eui.", 4) || !strncasecmp(s, "naa.", 4)) {
		a->kind = CONF_ACL_NAME;
		ok = value_initiator_name(s, NULL, why);
		ascii_lower(s);
		a->text = s;
	} else {
		a->kind = CONF_ACL_ADDR;
		ok = address_parse(s, &a->addr, why);
		a->text = ok ? arena_strdup(r->c->arena, address_print(&a->addr, false, buf)) : NULL;
	}
	if (!ok)
		diag_error(r->d, a->line, "initiators: \"%.80s\" %s", s, why);
}

void schema_initiators(struct reader *r, yaml_node_t *n, struct conf_acls *ret, const char *without)
{
	ret->v = tree_list(r, n, "initiators", sizeof(*ret->v), one_initiator, &ret->n);
	if (n->type == YAML_SEQUENCE_NODE && !ret->n)
		diag_error(r->d, tree_line(n), "initiators: is an empty list; allowed: iSCSI names, addresses and "
			   "prefixes, or leave it out: %s", without);
}

/* ---- a LUN ---- */

/* What one LUN's mapping said, before it is put together. */
struct lun_spec {
	struct conf_lun *lun;
	int n_backing;
	int size_line;
	bool not_yet;
};

/* The URL of an iSCSI LUN; one that carries a password is not quoted, for messages go to logs. */
char *schema_url(struct reader *r, yaml_node_t *n, const char *what)
{
	if (n->type == YAML_SCALAR_NODE && strpbrk((const char *)n->data.scalar.value, "@?")) {
		diag_error(r->d, tree_line(n), "%s: the URL carries user, password or parameters, which do not belong "
			   "into this document; allowed: iscsi://HOST[:PORT]/TARGET-NAME/LUN", what);
		return NULL;
	}
	return tree_value(r, n, what, value_iscsi_url, NULL);
}

static void set_backing(struct reader *r, yaml_node_t *n, struct lun_spec *s, enum conf_backing b, value_fn *fn)
{
	s->lun->backing = b;
	s->n_backing++;
	s->lun->path = tree_value(r, n, conf_backing_names[b], fn, NULL);
}

static void lun_block(struct reader *r, yaml_node_t *n, void *obj)
{
	set_backing(r, n, obj, CONF_BLOCK, value_path);
}

static void lun_file(struct reader *r, yaml_node_t *n, void *obj)
{
	set_backing(r, n, obj, CONF_FILE, value_path);
}

static void lun_iscsi(struct reader *r, yaml_node_t *n, void *obj)
{
	struct lun_spec *s = obj;

	s->lun->backing = CONF_ISCSI;
	s->n_backing++;
	s->lun->path = schema_url(r, n, "iscsi");
}

static void lun_ram(struct reader *r, yaml_node_t *n, void *obj)
{
	struct lun_spec *s = obj;

	s->lun->backing = CONF_RAM;
	s->lun->path = "";
	s->n_backing++;
	tree_value(r, n, "ram", value_size, &s->lun->size);
	if (r->c->mode == CONF_CLUSTER)
		diag_error(r->d, tree_line(n), "ram: is lost with the node that holds it, so a cluster cannot keep it; "
			   "allowed: block, iscsi, or file with fence:");
}

static void lun_vhdx(struct reader *r, yaml_node_t *n, void *obj)
{
	struct lun_spec *s = obj;

	s->n_backing++;
	s->not_yet = true;
	diag_error(r->d, tree_line(n), "vhdx: is reserved, this version cannot serve it yet; allowed: block, file, "
		   "iscsi%s", r->c->mode == CONF_STANDALONE ? ", ram" : "");
}

static void lun_size(struct reader *r, yaml_node_t *n, void *obj)
{
	struct lun_spec *s = obj;

	s->size_line = tree_line(n);
	tree_value(r, n, "size", value_size, &s->lun->size);
}

static void lun_block_size(struct reader *r, yaml_node_t *n, void *obj)
{
	tree_value(r, n, "block-size", value_block_size, &((struct lun_spec *)obj)->lun->block_size);
}

static void lun_read_only(struct reader *r, yaml_node_t *n, void *obj)
{
	tree_value(r, n, "read-only", value_bool, &((struct lun_spec *)obj)->lun->read_only);
}

static void lun_provisioning(struct reader *r, yaml_node_t *n, void *obj)
{
	tree_value(r, n, "provisioning", value_provisioning, &((struct lun_spec *)obj)->lun->provisioning);
}

static void lun_serial(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct lun_spec *)obj)->lun->set_serial = tree_value(r, n, "serial", value_serial, NULL);
}

static void lun_naa(struct reader *r, yaml_node_t *n, void *obj)
{
	char *s = tree_value(r, n, "naa", value_naa, NULL);

	if (s)
		ascii_lower(s);
	((struct lun_spec *)obj)->lun->set_naa = s;
}

static void lun_eui(struct reader *r, yaml_node_t *n, void *obj)
{
	char *s = tree_value(r, n, "eui", value_eui, NULL);

	if (s)
		ascii_lower(s);
	((struct lun_spec *)obj)->lun->set_eui = s;
}

static void lun_product(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct lun_spec *)obj)->lun->set_product = tree_value(r, n, "product", value_product, NULL);
}

static void lun_initiators(struct reader *r, yaml_node_t *n, void *obj)
{
	schema_initiators(r, n, &((struct lun_spec *)obj)->lun->initiators, "then every initiator of the target sees it");
}

static const struct field lun_fields[] = {
	MAY("block", lun_block),
	MAY("file", lun_file),
	MAY("iscsi", lun_iscsi),
	MAY("ram", lun_ram),
	REFUSED("vhdx", lun_vhdx),
	MAY("size", lun_size),
	MAY("block-size", lun_block_size),
	MAY("read-only", lun_read_only),
	MAY("provisioning", lun_provisioning),
	MAY("serial", lun_serial),
	MAY("naa", lun_naa),
	MAY("eui", lun_eui),
	MAY("product", lun_product),
	MAY("initiators", lun_initiators),
};

static void lun_check(struct reader *r, const struct lun_spec *s)
{
	const struct conf_lun *l = s->lun;
	uint32_t bs = l->block_size ? l->block_size : 512;

	if (s->n_backing != 1) {
		diag_error(r->d, l->line, "LUN %u: %s where its bytes live; allowed: exactly one of block, file, iscsi%s",
			   l->number, s->n_backing ? "says twice" : "does not say",
			   r->c->mode == CONF_STANDALONE ? ", ram" : "");
		return;
	}
	if (s->size_line && l->backing != CONF_FILE && !s->not_yet)
		diag_error(r->d, s->size_line, "size: a %s LUN has its own; allowed with file only",
			   conf_backing_names[l->backing]);
	else if (l->size % bs)
		diag_error(r->d, l->line, "LUN %u: its size is no multiple of its block size, %u; allowed: whole blocks",
			   l->number, bs);
}

static void one_lun(struct reader *r, yaml_node_t *k, yaml_node_t *v, struct conf_lun *l)
{
	struct lun_spec s = { .lun = l };
	size_t before = r->d->n_errors;

	l->line = tree_line(k);
	if (!tree_value(r, k, "luns", value_lun_number, &l->number))
		return;
	tree_map(r, v, "LUN", lun_fields, ARRAY_SIZE(lun_fields), &s);
	if (r->d->n_errors == before)
		lun_check(r, &s);
	if (!l->block_size && (l->backing == CONF_FILE || l->backing == CONF_RAM))
		l->block_size = 512;
}

static int by_number(const void *a, const void *b)
{
	const struct conf_lun *x = a, *y = b;

	return x->number != y->number ? (x->number > y->number) - (x->number < y->number)
				      : (x->line > y->line) - (x->line < y->line);
}

void schema_luns(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_target *t = obj;
	size_t count, before = r->d->n_errors;

	if (n->type != YAML_MAPPING_NODE) {
		diag_error(r->d, tree_line(n), "luns: is no mapping; allowed: NUMBER: {block: PATH}, one a line");
		return;
	}
	count = (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
	if (count == 0 || count > r->budget || !(t->lun = arena_alloc(r->c->arena, count, sizeof(*t->lun))))
		return;
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
		yaml_node_t *k = tree_node(r, p->key), *v = tree_node(r, p->value);

		if (k && v)
			one_lun(r, k, v, &t->lun[t->n_lun++]);
	}
	qsort(t->lun, t->n_lun, sizeof(*t->lun), by_number);
	for (size_t i = 1; i < t->n_lun && r->d->n_errors == before; i++)
		if (t->lun[i].number == t->lun[i - 1].number)
			diag_error(r->d, t->lun[i].line, "LUN %u: is there twice, first in line %d; allowed: each number "
				   "once a target", t->lun[i].number, t->lun[i - 1].line);
}

/* ---- a target ---- */

static void target_chap(struct reader *r, yaml_node_t *n, void *obj)
{
	schema_chap(r, n, &((struct conf_target *)obj)->chap);
}

static void target_iqn(struct reader *r, yaml_node_t *n, void *obj)
{
	char *s = tree_value(r, n, "iqn", value_target_name, NULL);

	if (s)
		ascii_lower(s);
	((struct conf_target *)obj)->iqn = s;
}

static void target_alias(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct conf_target *)obj)->alias = tree_value(r, n, "alias", value_user, NULL);
}

static void target_initiators(struct reader *r, yaml_node_t *n, void *obj)
{
	schema_initiators(r, n, &((struct conf_target *)obj)->initiators, "then every initiator may log in");
}

static void redirect_to(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_redirect *to = obj;
	char why[WHY_MAX], buf[CONF_TARGET_ADDRESS_MAX];
	char *s = tree_scalar(r, n, "to");

	if (!s)
		return;
	if (endpoint_parse(s, &to->addr, &to->port, why))
		to->text = arena_strdup(r->c->arena, endpoint_print(&to->addr, to->port, buf));
	else
		diag_error(r->d, tree_line(n), "to: \"%.80s\" %s", s, why);
}

static void redirect_permanent(struct reader *r, yaml_node_t *n, void *obj)
{
	tree_value(r, n, "permanent", value_bool, &((struct conf_redirect *)obj)->permanent);
}

static const struct field redirect_fields[] = { MUST("to", redirect_to), MAY("permanent", redirect_permanent) };

static void target_redirect(struct reader *r, yaml_node_t *n, void *obj)
{
	tree_map(r, n, "redirect", redirect_fields, ARRAY_SIZE(redirect_fields), &((struct conf_target *)obj)->redirect);
}

static void target_reconnect(struct reader *r, yaml_node_t *n, void *obj)
{
	tree_value(r, n, "fast-reconnect", value_reconnect, &((struct conf_target *)obj)->fast_reconnect);
}

static const struct field target_fields[] = {
	MUST("iqn", target_iqn),
	MAY("alias", target_alias),
	MAY("initiators", target_initiators),
	MAY("chap", target_chap),
	MAY("redirect", target_redirect),
	MAY("fast-reconnect", target_reconnect),
	MUST("luns", schema_luns),
};

static void one_target(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_target *t = obj;

	t->line = tree_line(n);
	tree_map(r, n, "target", target_fields, ARRAY_SIZE(target_fields), t);
}

void schema_targets(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_group *g = obj;

	g->target = tree_list(r, n, "targets", sizeof(*g->target), one_target, &g->n_target);
}
