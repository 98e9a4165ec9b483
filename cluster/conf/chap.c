/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chap.c - the keys `chap`, `discovery-chap` and `chap-algorithms`, and finding a user by them. Pure */
#include <string.h>

#include "cluster/conf/internal.h"

const char *const conf_chap_alg_names[CONF_CHAP_ALGS] = { "md5", "sha1", "sha256", "sha3-256" };

/* ---- one user ---- */

static void chap_user(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct conf_chap_user *)obj)->user = tree_value(r, n, "user", value_user, NULL);
}

static void chap_file(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct conf_chap_user *)obj)->secret_file = tree_value(r, n, "secret-file", value_path, NULL);
}

static void chap_mutual_user(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct conf_chap_user *)obj)->mutual_user = tree_value(r, n, "mutual-user", value_user, NULL);
}

static void chap_mutual_file(struct reader *r, yaml_node_t *n, void *obj)
{
	((struct conf_chap_user *)obj)->mutual_secret_file = tree_value(r, n, "mutual-secret-file", value_path, NULL);
}

static void chap_initiators(struct reader *r, yaml_node_t *n, void *obj)
{
	schema_initiators(r, n, &((struct conf_chap_user *)obj)->initiators, "then any initiator may be this user");
}

/* People write the secret itself; it must not get into a document that travels and is printed. */
static void chap_secret(struct reader *r, yaml_node_t *n, void *obj)
{
	(void)obj;
	diag_error(r->d, tree_line(n), "chap: secrets do not belong into this document; allowed: secret-file: PATH of a "
		   "file that only root can read");
}

static const struct field user_fields[] = {
	MUST("user", chap_user),
	MUST("secret-file", chap_file),
	MAY("mutual-user", chap_mutual_user),
	MAY("mutual-secret-file", chap_mutual_file),
	MAY("initiators", chap_initiators),
	REFUSED("secret", chap_secret),
	REFUSED("password", chap_secret),
	REFUSED("mutual-secret", chap_secret),
	REFUSED("mutual-password", chap_secret),
};

static void one_user(struct reader *r, yaml_node_t *n, void *obj)
{
	struct conf_chap_user *u = obj;
	size_t before = r->d->n_errors;

	u->line = tree_line(n);
	tree_map(r, n, "chap", user_fields, ARRAY_SIZE(user_fields), u);
	if (r->d->n_errors == before && !u->mutual_user != !u->mutual_secret_file)
		diag_error(r->d, u->line, "chap: lacks \"%s\"; allowed: mutual-user and mutual-secret-file, both or none",
			   u->mutual_user ? "mutual-secret-file" : "mutual-user");
}

/* ---- all of a target, or of discovery ---- */

static void check_users(struct reader *r, const struct conf_chap *c)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t j = 0; j < i; j++)
			if (c->user[i].user && c->user[j].user && !strcmp(c->user[i].user, c->user[j].user)) {
				diag_error(r->d, c->user[i].line, "chap: user \"%.80s\" is there twice, first in line "
					   "%d; allowed: each user once", c->user[i].user, c->user[j].line);
				break;
			}
}

void schema_chap(struct reader *r, yaml_node_t *n, struct conf_chap *c)
{
	if (n->type != YAML_SEQUENCE_NODE) {
		c->user = arena_alloc(r->c->arena, 1, sizeof(*c->user));
		c->n = c->user ? 1 : 0;
		if (c->user)
			one_user(r, n, c->user);
		return;
	}
	c->user = tree_list(r, n, "chap", sizeof(*c->user), one_user, &c->n);
	if (!c->n)
		diag_error(r->d, tree_line(n), "chap: is an empty list; allowed: {user: NAME, secret-file: PATH}, one or a "
			   "list of them, or leave it out: then nobody has to prove anything");
	if (c->n > CONF_CHAP_USERS_MAX)
		diag_error(r->d, tree_line(n), "chap: has %zu users; allowed: %d", c->n, CONF_CHAP_USERS_MAX);
	else
		check_users(r, c);
}

struct use {
	const char *file;
	const struct conf_chap_user *user;
};

static int use_cmp(const void *a, const void *b)
{
	const struct use *x = a, *y = b;
	int c = strcmp(x->file, y->file);

	return c ? c : (x->user->line > y->user->line) - (x->user->line < y->user->line);
}

static size_t add_uses(struct use *v, const struct conf_chap *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->user[i].secret_file)
			v[n++] = (struct use){ c->user[i].secret_file, &c->user[i] };
	return n;
}

static void check_mutual(struct reader *r, const struct conf_chap *c, const struct use *v, size_t n)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct conf_chap_user *u = &c->user[i];
		struct use key = { u->mutual_secret_file, u };
		size_t low = 0, high = n;

		while (key.file && low < high) {
			size_t mid = (low + high) / 2;

			if (strcmp(v[mid].file, key.file) < 0)
				low = mid + 1;
			else
				high = mid;
		}
		if (key.file && low < n && !strcmp(v[low].file, key.file))
			diag_error(r->d, u->line, "chap: mutual-secret-file \"%.160s\" is also the secret of user \"%.80s\" "
				   "(line %d), who could then answer for the target (RFC 7143 9.2.1); allowed: different "
				   "secrets for both directions", key.file, v[low].user->user, v[low].user->line);
	}
}

/* RFC 7143 9.2.1: what proves us must not prove anybody else, or that one could be us. */
void chap_check(struct reader *r)
{
	const struct conf *c = r->c;
	struct use *v;
	size_t n = 0;

	for (size_t i = 0; i < c->n_group; i++) {
		n += c->group[i].discovery_chap.n;
		for (size_t k = 0; k < c->group[i].n_target; k++)
			n += c->group[i].target[k].chap.n;
	}
	v = n ? arena_alloc(r->c->arena, n, sizeof(*v)) : NULL;
	if (!v)
		return;
	n = 0;
	for (size_t i = 0; i < c->n_group; i++) {
		n += add_uses(v + n, &c->group[i].discovery_chap);
		for (size_t k = 0; k < c->group[i].n_target; k++)
			n += add_uses(v + n, &c->group[i].target[k].chap);
	}
	qsort(v, n, sizeof(*v), use_cmp);
	for (size_t i = 0; i < c->n_group; i++) {
		check_mutual(r, &c->group[i].discovery_chap, v, n);
		for (size_t k = 0; k < c->group[i].n_target; k++)
			check_mutual(r, &c->group[i].target[k].chap, v, n);
	}
}

static void one_algorithm(struct reader *r, yaml_node_t *n, void *obj)
{
	char *s = tree_scalar(r, n, "chap-algorithms");

	for (unsigned i = 0; s && i < CONF_CHAP_ALGS; i++)
		if (!strcmp(s, conf_chap_alg_names[i])) {
			*(uint8_t *)obj = (uint8_t)(1u << i);
			return;
		}
	if (s)
		diag_error(r->d, tree_line(n), "chap-algorithms: \"%.80s\" is none; allowed: sha3-256, sha256, sha1, md5", s);
}

void schema_chap_algs(struct reader *r, yaml_node_t *n, uint8_t *ret)
{
	size_t count = 0;
	const uint8_t *v = tree_list(r, n, "chap-algorithms", 1, one_algorithm, &count);

	*ret = 0;
	for (size_t i = 0; i < count; i++)
		*ret |= v[i];
	if (n->type == YAML_SEQUENCE_NODE && !count)
		diag_error(r->d, tree_line(n), "chap-algorithms: is an empty list; allowed: sha3-256, sha256, sha1, md5, or "
			   "leave it out: then all of them");
}

/* ---- who is it ---- */

int conf_chap_find(const struct conf_chap *c, const char *user, const char *name, const void *ip, size_t ip_len)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->user[i].user, user))
			return conf_allowed(&c->user[i].initiators, name, ip, ip_len) ? (int)i : -1;
	return -1;
}
