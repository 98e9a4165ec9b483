/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * itl.c - what a session keeps for each logical unit: unit attentions, and the order of its commands
 *
 * The table is the session's, whatever connection a command comes on; the LUNs are those that the leading connection's
 * address may see. Order is kept within a session, which is one reactor's: SIMPLE commands run at once unless an ORDERED one is before
 * them; an ORDERED one waits for all before it; HEAD OF QUEUE runs at once (SAM-5 8.7). Between sessions there is none:
 * initiators that share a disk order what they do among themselves.
 */
#include <errno.h>
#include <syslog.h>

#include "node/node.h"

static int itl_new(struct session *s, struct rlu *lu, uint16_t first_ua, struct itl **ret)
{
	struct itl *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->lu = lu;
	i->sess = s;
	list_init(&i->set);
	if (first_ua)
		sc_ua_add(&i->sc.ua, first_ua);
	*ret = i;
	return 0;
}

static void itl_free(struct itl *i)
{
	free(i->sc.echo);
	free(i);
}

int itl_index(const struct session *s, int number)
{
	int low = 0, high = (int)s->n_itl - 1;

	while (number >= 0 && low <= high) {
		int mid = (low + high) / 2;

		if (s->lun_no[mid] == number)
			return mid;
		if (s->lun_no[mid] < number)
			low = mid + 1;
		else
			high = mid - 1;
	}
	return -1;
}

struct itl *itl_find(const struct session *s, const struct lu *lu)
{
	int k = itl_index(s, lu->number);

	return k >= 0 && s->itl[k]->lu->lu == lu ? s->itl[k] : NULL;
}

/* ---- which LUNs a session has ---- */

struct table {
	struct itl **itl;
	uint16_t *lun_no;
	unsigned n;
};

/* Return: 0, 1: something is new; -ENOMEM */
static int fill(struct table *new, struct session *s, const struct target *t, uint16_t first_ua)
{
	const uint8_t *ip;
	size_t len = addr_ip(&s->peer, &ip);
	int rc = 0;

	for (unsigned k = 0; rc >= 0 && k < t->sc.n_luns; k++) {
		struct itl *i = itl_find(s, t->lu[k]);

		if (!conf_allowed(&t->conf->lun[k].initiators, s->nexus.initiator, ip, len))
			continue;
		if (!i)
			rc = itl_new(s, t->lu[k]->at[s->r->index], first_ua, &i) ? -ENOMEM : 1;
		new->lun_no[new->n] = t->lun_no[k];
		new->itl[new->n] = i;
		new->n += rc >= 0;
	}
	return rc;
}

/* What is in @new and was not in the session's table before goes again. */
static void give_up(struct table *new, const struct session *s)
{
	for (unsigned k = 0; k < new->n; k++)
		if (itl_find(s, new->itl[k]->lu->lu) != new->itl[k])
			itl_free(new->itl[k]);
	free(new->itl);
	free(new->lun_no);
}

/* @new is in force; what is not in it any more is kept for those that may still mean it. Return: was there such? */
static bool replace(struct session *s, const struct table *new)
{
	struct table old = { s->itl, s->lun_no, s->n_itl };
	bool gone = false;

	s->itl = new->itl;
	s->lun_no = new->lun_no;
	s->n_itl = new->n;
	for (unsigned k = 0; k < old.n; k++) {
		struct itl *i = old.itl[k];

		if (itl_find(s, i->lu->lu) == i)
			continue;
		i->next_old = s->old_itls;
		s->old_itls = i;
		gone = true;
	}
	free(old.itl);
	free(old.lun_no);
	return gone;
}

int itls_make(struct session *s, const struct target *t, uint16_t first_ua)
{
	struct table new = { calloc((size_t)t->sc.n_luns + 1, sizeof(struct itl *)),
			     calloc((size_t)t->sc.n_luns + 1, sizeof(uint16_t)), 0 };
	int rc = new.itl && new.lun_no ? fill(&new, s, t, first_ua) : -ENOMEM;

	if (rc < 0) {
		give_up(&new, s);
		return rc;
	}
	if (replace(s, &new))
		rc = 1;
	s->target = t;
	s->port = t->port;
	s->sc = t->sc;
	s->sc.name = s->iqn;
	s->sc.ports = &s->port;
	s->sc.luns = s->lun_no;
	s->sc.n_luns = (uint16_t)s->n_itl;
	s->masked = s->n_itl < t->sc.n_luns;
	return rc;
}

bool itls_same(const struct session *s, const struct target *t, const struct sockaddr_storage *peer)
{
	const uint8_t *ip;
	size_t len = addr_ip(peer, &ip);

	for (unsigned k = 0; k < t->sc.n_luns; k++)
		if (conf_allowed(&t->conf->lun[k].initiators, s->nexus.initiator, ip, len) != !!itl_find(s, t->lu[k]))
			return false;
	return true;
}

void itls_drop(struct session *s)
{
	struct table none = { .n = 0 };

	(void)replace(s, &none);
	s->target = NULL;
}

void itls_free(struct session *s)
{
	for (unsigned k = 0; k < s->n_itl; k++)
		itl_free(s->itl[k]);
	while (s->old_itls) {
		struct itl *i = s->old_itls;

		s->old_itls = i->next_old;
		itl_free(i);
	}
	free(s->itl);
	free(s->lun_no);
	s->itl = NULL;
	s->lun_no = NULL;
	s->n_itl = 0;
}

/* ---- unit attentions on record ---- */

static void note_back(struct msg *m, void *reactor)
{
	struct itl *i = container_of(m, struct itl, note);

	(void)reactor;
	i->note_busy = false;
	itl_ua_reported(i);
}

static void note_arrived(struct msg *m, void *ctl)
{
	struct itl *i = container_of(m, struct itl, note);

	(void)ctl;
	lu_ua_drop(i->lu->lu, &i->sess->nexus, i->note_seq);
	m->run = note_back;
	queue_push(&i->sess->r->in, m);
}

void itl_ua_reported(struct itl *i)
{
	if (i->note_busy || i->ua_seq == i->note_seq || sc_ua_peek(&i->sc.ua) != SC_UA_NONE)
		return;
	i->note_busy = true;
	i->note_seq = i->ua_seq;
	i->note.run = note_arrived;
	control_send(i->sess->r->ctl, &i->note);
}

/* ---- order ---- */

void itl_enter(struct task *t)
{
	struct itl *i = t->itl;

	list_add_tail(&i->set, &t->order);
	i->n_ordered += t->isc.attr == ISC_ORDERED;
}

/* Does anything before @t in the task set have to end first? */
static bool must_wait(const struct itl *i, const struct task *t)
{
	const struct task *before;

	if (!i->n_ordered || t->isc.attr == ISC_HEAD_OF_QUEUE)
		return false;
	list_for_each(before, &i->set, order) {
		if (before == t)
			return false;
		if (t->isc.attr == ISC_ORDERED || before->isc.attr == ISC_ORDERED)
			return true;
	}
	return false;
}

bool itl_gate(struct task *t)
{
	if (!t->itl || !must_wait(t->itl, t))
		return true;
	t->waits = TASK_WAITS_ORDER;
	t->itl->n_waiting++;
	return false;
}

void itl_leave(struct task *t)
{
	struct itl *i = t->itl;

	if (!i || list_empty(&t->order))
		return;
	list_del(&t->order);
	i->n_ordered -= t->isc.attr == ISC_ORDERED;
	if (!i->n_waiting)
		return;
	list_for_each(t, &i->set, order) {
		if (t->waits != TASK_WAITS_ORDER || must_wait(i, t))
			continue;
		i->n_waiting--;
		exec_later(t);
	}
}
