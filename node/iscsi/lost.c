/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lost.c - connection recovery (RFC 7143 7.1.4.3, 7.2.2; error recovery level 2)
 *
 * A connection that lost its socket stays as what its tasks belong to (CONN_LOST). They go on: what the server works on is
 * worked on, and answers wait. After a logout for recovery TASK REASSIGN moves them, one by one. What the new connection
 * needs to know is all in the task: which write data is missing (recover.c asks for it, by R2T, also for what was to come
 * unasked) and which Data-Ins were acknowledged. An answer that was sent and not acknowledged is in the ring of retain.c.
 *
 * R2TSNs and DataSNs go on from ExpDataSN. Where that is 0 ("unchanged", 11.5.6) they do from what is known to have arrived:
 * Data-Ins that a SNACK acknowledged, R2Ts of which data came.
 */
#include <stdlib.h>

#include "node/iscsi/recover.h"
#include "node/util/util.h"

/* ---- the socket is gone ---- */

static bool may_recover(const struct isc_conn *c)
{
	if (!c->sess || c->login.discovery || c->params.erl < 2 || !c->params.time2retain)
		return false;
	return c->state == CONN_FULL || c->state == CONN_LOGOUT || (c->state == CONN_CLOSING && c->recovers);
}

/* An R2T is known to have arrived when data for it did, or for a later one */
static uint32_t r2ts_arrived(const struct isc_task *t)
{
	uint32_t sn = t->datasn;

	for (size_t i = 0; i < ARRAY_SIZE(t->r2t); i++) {
		const struct isc_r2t *r = &t->r2t[i];

		if (r->len && sn_before(r->sn, sn))
			sn = r->sn + (r->done || r->datasn);
	}
	return sn;
}

/* Nothing more comes for it here, and what is being sent is lost */
static void lose_task(struct isc_task *t)
{
	const struct rx *rx = &t->conn->rx;

	if (t->in_pdu)
		isc_lost_add(t, rx->off, rx->off + rx->dsl);
	if (!t->segment)
		t->acked_sn = r2ts_arrived(t);
	for (size_t i = 0; i < ARRAY_SIZE(t->r2t); i++) {
		struct isc_r2t *r = &t->r2t[i];

		if (r->len)
			isc_lost_add(t, r->off + r->done, r->off + r->len);
		r->len = 0;
		r->again = false;
	}
	t->n_r2t = 0;
	t->unsol_done = true;
	t->in_pdu = false;
	t->tx_refs = 0;
	list_del(&t->r2tq);
	list_del(&t->tx.node);
	list_del(&t->again.node);
}

/* A command whose data was not there yet was never received; an aborted one has waited for its bytes only */
static struct isc_task *not_needed(struct isc_conn *c)
{
	struct isc_task *t;

	list_for_each(t, &c->tasks, node)
		if (t->late || t->state == TASK_DEAD)
			return t;
	return NULL;
}

/* Answers that are no task's, and would be sent now: as if they had been */
static void lose_answers(struct isc_conn *c)
{
	struct isc_txn *n, *tmp;

	list_for_each_safe(n, tmp, &c->tx.queue, node) {
		struct ctl *ctl = container_of(n, struct ctl, tx);

		if (n->kind != TX_CTL || pdu_opcode(ctl->bhs) != OP_SCSI_RSP)
			continue;
		list_del(&n->node);
		ctl->refs = 0;
		isc_retain_ctl(c, ctl, c->statsn++);
	}
}

bool isc_conn_lose(struct isc_conn *c)
{
	struct isc_task *t;

	if (!may_recover(c))
		return false;
	c->closed = true;
	c->recovers = false;
	isc_conn_set_state(c, CONN_LOST);
	lose_answers(c);
	isc_tx_free(c);
	c->tx.told = true;  /* nobody sends what comes now */
	list_for_each(t, &c->tasks, node)
		lose_task(t);
	while ((t = not_needed(c)))
		isc_task_release(t);
	list_del(&c->retain->again.node);
	isc_tmf_drop(c);
	isc_logout_orphan(c);
	isc_rx_free(c);
	isc_text_free(c);
	isc_sess_lose(c);
	return true;
}

/* ---- logged out ---- */

struct isc_conn *isc_lost_conn(const struct isc_sess *s, uint16_t cid)
{
	struct isc_conn *c;

	list_for_each(c, &s->lost, link)
		if (c->login.cid == cid && !c->cleaned)
			return c;
	return NULL;
}

void isc_lost_cleaned(struct isc_sess *s, uint16_t cid)
{
	struct isc_conn *c;

	while ((c = isc_lost_conn(s, cid)))
		c->cleaned = true;
}

/* ---- a tag is used again ---- */

bool isc_lost_done(const struct isc_task *t)
{
	return t->conn->state == CONN_LOST && t->built;
}

static void void_kept(struct isc_conn *c, uint32_t itt)
{
	struct kept *k;

	while ((k = isc_retain_find(c, itt)))
		put_be32(isc_kept_header(k) + O_ITT, TAG_NONE);
}

void isc_lost_forget(struct isc_sess *s, uint32_t itt)
{
	struct isc_task *t = isc_task_find_last(s, itt);
	struct isc_conn *c;

	if (t && t->conn->state == CONN_LOST)
		isc_task_release(t);
	list_for_each(c, &s->lost, link)
		void_kept(c, itt);
}

/* ---- TASK REASSIGN ---- */

/* Is all that is left to be sent its status? Its data is not there any more */
static bool status_is_enough(struct kept *k, uint32_t exp_datasn)
{
	return !k->read || exp_datasn == get_be32(isc_kept_header(k) + O_RSP_EXP_DATASN);
}

/* Its answer was sent */
static enum isc_tmf_response find_answer(struct isc_sess *s, uint32_t itt, uint32_t exp_datasn, struct lost *ret)
{
	struct isc_conn *c;
	struct kept *k;

	list_for_each(c, &s->conns, link)
		if (c->retain && isc_retain_knows(c, itt))
			return ISC_TMF_STILL_ALLEGIANT;
	list_for_each(c, &s->lost, link) {
		k = isc_retain_find(c, itt);
		if (!k)
			continue;
		if (!c->cleaned)
			return ISC_TMF_STILL_ALLEGIANT;
		ret->kept = k;
		return status_is_enough(k, exp_datasn) ? ISC_TMF_COMPLETE : ISC_TMF_NO_TASK;
	}
	return ISC_TMF_NO_TASK;
}

enum isc_tmf_response isc_lost_find(struct isc_sess *s, uint32_t itt, uint32_t exp_datasn, struct lost *ret)
{
	struct isc_task *t = isc_task_find_last(s, itt);

	*ret = (struct lost){ .task = t };
	if (!t)
		return find_answer(s, itt, exp_datasn, ret);
	if (t->aborted || t->late || t->state == TASK_HELD)
		return ISC_TMF_NO_TASK;
	return t->conn->state == CONN_LOST && t->conn->cleaned ? ISC_TMF_COMPLETE : ISC_TMF_STILL_ALLEGIANT;
}

static bool is_closing(const struct isc_conn *c)
{
	return c->state == CONN_CLOSING && c->cleaned;
}

bool isc_lost_soon(struct isc_sess *s, uint32_t itt)
{
	const struct isc_task *t = isc_task_find_last(s, itt);
	const struct isc_conn *c;

	if (t)
		return is_closing(t->conn);
	list_for_each(c, &s->conns, link)
		if (is_closing(c) && c->retain && isc_retain_knows(c, itt))
			return true;
	return false;
}

/* 11.5.6: a value that makes no sense is ignored */
static void acknowledge(struct isc_task *t, uint32_t exp_datasn)
{
	bool sane = exp_datasn && sn_in(exp_datasn, t->acked_sn, t->datasn);

	if (!t->segment) {  /* R2Ts */
		t->datasn = t->acked_sn = sane ? exp_datasn : t->acked_sn;
		return;
	}
	if (sane && !sn_before(exp_datasn, t->base_sn))
		isc_task_acked(t, exp_datasn);
}

static void move(struct isc_task *t, struct isc_conn *c)
{
	struct isc_conn *old = t->conn;

	isc_retain_drop(t);
	void_kept(old, t->itt);
	list_del(&t->node);
	list_del(&t->tx.node);
	list_del(&t->r2tq);
	old->n_tasks--;
	c->n_tasks++;
	list_add_tail(&c->tasks, &t->node);
	t->conn = c;
	t->numbered = false;
	t->n_recover = t->silent = 0;
	t->heard = true;
	t->ops->task_moved(t, old);
}

static void go_on(struct isc_task *t)
{
	if (t->state != TASK_SEND && t->state != TASK_KEPT) {
		isc_task_progress(t);
		return;
	}
	if (t->segment)
		isc_task_rewind(t, 0);
	t->built = false;
	t->state = TASK_SEND;
	if (list_empty(&t->tx.node))
		isc_tx_task(t);
}

/* The answer alone, with a new StatSN */
static void answer_again(struct isc_conn *c, struct kept *k)
{
	uint32_t len = k->ctl ? k->ctl->len : 0;
	uint8_t *h = isc_kept_header(k);
	struct ctl *ctl = isc_ctl_new(OP_SCSI_RSP, PDU_FINAL, pdu_itt(h), len);

	if (ctl)
		memcpy(ctl->bhs, h, BHS_LEN);
	if (ctl && len)
		memcpy(ctl->data, k->ctl->data, len);
	if (ctl)
		put_be32(ctl->bhs + O_RSP_SNACK_TAG, 0);
	put_be32(h + O_ITT, TAG_NONE);
	isc_ctl_send(c, ctl, true);
}

void isc_lost_take(struct isc_conn *c, const struct lost *l, uint32_t exp_datasn)
{
	if (l->kept) {
		answer_again(c, l->kept);
		return;
	}
	acknowledge(l->task, exp_datasn);
	move(l->task, c);
	go_on(l->task);
}
