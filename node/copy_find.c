/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy_find.c - which logical unit a CSCD descriptor of an EXTENDED COPY means
 *
 * One that the initiator sees: of its target, or of another one of the group that would let it in without being asked
 * more than this one has.
 */
#include <string.h>

#include "node/node.h"

static bool usable(const struct task *t, const struct rlu *l)
{
	return l->r == t->r && !l->dying && l->disk && l->disk->state == DISK_OPEN;
}

static struct rlu *find_here(const struct task *t, unsigned cscd)
{
	for (unsigned k = 0; k < t->sess->n_itl; k++) {
		struct rlu *l = t->sess->itl[k]->lu;

		if (usable(t, l) && sc_copy_designates(&t->op.copy, cscd, &l->sc))
			return l;
	}
	return NULL;
}

/* Who has logged in here could have logged in there: nobody has to prove anything, or the same to both. */
static bool same_chap(const struct conf_chap *a, const struct conf_chap *b)
{
	if (!b->n || a->n != b->n)
		return !b->n;
	for (size_t i = 0; i < a->n; i++)
		if (a->user[i].initiators.n || b->user[i].initiators.n || strcmp(a->user[i].user, b->user[i].user) != 0 ||
		    strcmp(a->user[i].secret_file, b->user[i].secret_file) != 0)
			return false;
	return true;
}

static struct rlu *find_in(const struct task *t, const struct target *other, unsigned cscd)
{
	const struct conn *c = t->conn;
	const uint8_t *ip;
	size_t len = addr_ip(&c->peer, &ip);

	for (unsigned k = 0; k < other->sc.n_luns; k++) {
		struct rlu *l = other->lu[k]->at[t->r->index];

		if (conf_allowed(&other->conf->lun[k].initiators, c->nexus.initiator, ip, len) && usable(t, l) &&
		    sc_copy_designates(&t->op.copy, cscd, &l->sc))
			return l;
	}
	return NULL;
}

struct rlu *copy_find(const struct task *t, unsigned cscd)
{
	const struct conn *c = t->conn;
	const struct view *v = t->r->view;
	struct rlu *l;

	if (cscd == SC_COPY_SELF)
		return usable(t, t->lu) ? t->lu : NULL;
	l = find_here(t, cscd);
	for (size_t i = 0; !l && i < v->n_target; i++) {
		const struct target *other = &v->target[i];

		if (other->group == c->group && other != c->sess->target && login_allowed(c, other, c->nexus.initiator) &&
		    same_chap(&c->sess->target->conf->chap, &other->conf->chap))
			l = find_in(t, other, cscd);
	}
	return l;
}
