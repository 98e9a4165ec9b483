/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c - the connections of a session and its command window (RFC 7143 4.2.2.1)
 *
 * Requests have consecutive CmdSNs, whatever connection they come on. Those within ExpCmdSN … MaxCmdSN are delivered in
 * order: one that is ahead of its turn waits in a slot until the hole before it is filled. Others, and those seen already,
 * are ignored. A request takes one place of the window until its answer is made; MaxCmdSN grows then. Immediate requests
 * stand outside.
 */
#include <stdlib.h>

#include "node/iscsi/priv.h"
#include "node/util/util.h"

/* struct held - A request that waits, other than a SCSI command */
struct held {
	struct isc_conn *conn;
	uint8_t bhs[BHS_LEN];
	uint32_t dsl;
	uint8_t data[];
};

/* ---- connections ---- */

void isc_sess_join(struct isc_sess *s, struct isc_conn *c)
{
	c->sess = s;
	list_add_tail(&s->conns, &c->link);
	s->n_conns++;
}

struct isc_sess *isc_sess_new(struct isc_conn *c)
{
	uint32_t window = c->cfg.window;
	struct isc_sess *s = calloc(1, sizeof(*s) + window * sizeof(s->slots[0]));

	if (!s)
		return NULL;
	list_init(&s->conns);
	list_init(&s->lost);
	list_init(&s->tmfs);
	list_init(&s->tmf_wait);
	for (size_t i = 0; i < TASK_BUCKETS; i++)
		list_init(&s->by_itt[i]);
	s->who = c->login;
	s->params = c->params;
	s->exp_cmdsn = c->login_cmdsn;
	s->max_cmdsn = c->login_cmdsn + window - 1;
	s->window = window;
	isc_sess_join(s, c);
	return s;
}

static bool is_unused(const struct isc_sess *s)
{
	return s->n_conns == 0 && list_empty(&s->lost) && !s->kept;
}

void isc_sess_leave(struct isc_conn *c)
{
	struct isc_sess *s = c->sess;

	if (!s)
		return;
	c->sess = NULL;
	list_del(&c->link);
	s->n_conns -= c->state != CONN_LOST;
	if (is_unused(s))
		free(s);
	else
		isc_sess_drain(s);  /* a TMF may have waited for what will not come any more */
}

void isc_sess_lose(struct isc_conn *c)
{
	struct isc_sess *s = c->sess;

	list_del(&c->link);
	s->n_conns--;
	list_add(&s->lost, &c->link);
	isc_sess_drain(s);
}

void isc_sess_keep(struct isc_sess *s)
{
	s->kept = true;
}

void isc_sess_put(struct isc_sess *s)
{
	s->kept = false;
	if (is_unused(s))
		free(s);
}

struct isc_conn *isc_sess_find(const struct isc_sess *s, uint16_t cid)
{
	struct isc_conn *c;

	list_for_each(c, &s->conns, link)
		if (c->login.cid == cid)
			return c;
	return NULL;
}

unsigned isc_sess_conns(const struct isc_sess *s)
{
	return s->n_conns;
}

/* ---- the window ---- */

static struct slot *slot_of(struct isc_sess *s, uint32_t cmdsn)
{
	return &s->slots[cmdsn % s->window];
}

static void held_free(struct isc_sess *s, struct held *h)
{
	if (h)
		s->held_bytes -= h->dsl;
	free(h);
}

enum order isc_sess_order(const struct isc_sess *s, uint32_t cmdsn, bool immediate)
{
	if (immediate)
		return ORDER_NOW;
	if (!sn_in(cmdsn, s->exp_cmdsn, s->max_cmdsn) || (s->n_filled && s->slots[cmdsn % s->window].filled))
		return ORDER_IGNORE;
	return cmdsn == s->exp_cmdsn ? ORDER_NOW : ORDER_HOLD;
}

int isc_sess_fill(struct isc_conn *c, uint32_t cmdsn, struct isc_task *t, const struct pdu *p)
{
	struct isc_sess *s = c->sess;
	struct slot *slot = slot_of(s, cmdsn);

	if (p) {
		if (s->held_bytes + p->dsl > ISC_HELD_BYTES_MAX)
			return -1;
		slot->held = malloc(sizeof(*slot->held) + p->dsl);
		if (!slot->held)
			return -1;
		slot->held->conn = c;
		memcpy(slot->held->bhs, p->bhs, BHS_LEN);
		slot->held->dsl = p->dsl;
		if (p->dsl)
			memcpy(slot->held->data, p->data, p->dsl);
		s->held_bytes += p->dsl;
	}
	slot->task = t;
	s->n_filled += !slot->filled;
	slot->filled = true;
	return 0;
}

void isc_sess_advance(struct isc_sess *s)
{
	s->exp_cmdsn++;
}

void isc_sess_credit(struct isc_sess *s)
{
	s->max_cmdsn++;
}

static void run_held(struct held *h)
{
	struct pdu p = { .bhs = h->bhs, .data = h->data, .dsl = h->dsl };

	isc_op_find(h->bhs)->run(h->conn, &p);
}

/* What is in a slot belongs to a connection that takes part in the session: isc_sess_discard() sees to it */
static void run_slots(struct isc_sess *s)
{
	while (slot_of(s, s->exp_cmdsn)->filled) {
		struct slot slot = *slot_of(s, s->exp_cmdsn);

		*slot_of(s, s->exp_cmdsn) = (struct slot){ .filled = false };
		s->n_filled--;
		isc_sess_advance(s);
		if (slot.task) {
			isc_task_start(slot.task);
		} else {
			isc_sess_credit(s);
			if (slot.held)
				run_held(slot.held);
			held_free(s, slot.held);
		}
		if (!list_empty(&s->tmf_wait))
			isc_tmf_ready(s);
	}
}

void isc_sess_run(struct isc_sess *s)
{
	if (!list_empty(&s->tmf_wait))
		isc_tmf_ready(s);
	run_slots(s);
}

/* ---- what waits, and is not to be run ---- */

/* The task was never delivered: its place in the window is its CmdSN's, not its own */
static void drop_held_task(struct isc_task *t)
{
	t->credit = false;
	isc_task_abort(t);
}

int isc_sess_unhold(struct isc_sess *s, uint32_t itt, const uint8_t *lun, uint32_t before)
{
	int n = 0;

	for (uint32_t i = 0; i < s->window; i++) {
		struct isc_task *t = s->slots[i].task;

		if (!t || (itt != TAG_NONE && t->itt != itt) || (lun && memcmp(t->lun, lun, sizeof(t->lun)) != 0) ||
		    !sn_before(t->cmdsn, before))
			continue;
		s->slots[i].task = NULL;
		drop_held_task(t);
		n++;
	}
	return n;
}

void isc_sess_discard(struct isc_conn *c)
{
	struct isc_sess *s = c->sess;

	for (uint32_t i = 0; s && i < s->window; i++) {
		struct slot slot = s->slots[i];

		if (!(slot.task && slot.task->conn == c) && !(slot.held && slot.held->conn == c))
			continue;
		s->slots[i] = (struct slot){ .filled = false };
		s->n_filled--;
		held_free(s, slot.held);
		if (slot.task)
			drop_held_task(slot.task);
	}
}
