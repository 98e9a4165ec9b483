/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * retain.c - numbered responses are kept until they are acknowledged (RFC 7143 4.2.2.2, 7.2, 11.16)
 *
 * StatSNs are consecutive, so a ring of slots holds them. A response without data is kept as its header; one of a read
 * keeps its task, and with it the read data. Limits: beyond ISC_RETAIN_BYTES_MAX of read data the oldest is given back
 * (its status stays); beyond ISC_RETAIN_MAX responses, or ISC_RETAIN_CTL_MAX bytes of others' data, the oldest response is
 * forgotten. Whoever asks for what is not there any more gets Reject 0x03.
 */
#include <stdlib.h>

#include "node/iscsi/recover.h"
#include "node/util/util.h"

static struct kept *slot_of(struct retain *r, uint32_t sn)
{
	return &r->slots[sn % ISC_RETAIN_MAX];
}

int isc_retain_init(struct isc_conn *c)
{
	struct retain *r;

	if (!c->params.erl)
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -1;
	r->acked = r->from = c->statsn;
	list_init(&r->tasks);
	list_init(&r->again.node);
	r->again.kind = TX_KEPT;
	c->retain = r;
	return 0;
}

/* ---- forgetting ---- */

/* The read data of @t is not needed any more. May release @t. */
static void data_drop(struct isc_task *t)
{
	struct retain *r = t->conn->retain;

	slot_of(r, t->statsn)->task = NULL;
	t->kept = false;
	list_del(&t->keptq);
	list_del(&t->again.node);
	r->data_bytes -= t->data_len;
}

static void data_forget(struct isc_task *t)
{
	data_drop(t);
	if (t->state == TASK_SEND && t->built)
		return;  /* on its way: isc_task_sent() */
	list_del(&t->tx.node);
	t->state = TASK_DEAD;
	isc_task_progress(t);
}

void isc_retain_drop(struct isc_task *t)
{
	if (t->kept)
		data_drop(t);
}

static void kept_forget(struct isc_conn *c, uint32_t sn)
{
	struct retain *r = c->retain;
	struct kept *k = slot_of(r, sn);

	if (k->task)
		data_forget(k->task);
	if (k->ctl) {
		r->ctl_bytes -= k->ctl->len;
		k->ctl->kept = false;
		isc_ctl_put(k->ctl);
		k->ctl = NULL;
	}
}

/* All before @sn */
static void forget(struct isc_conn *c, uint32_t sn)
{
	struct retain *r = c->retain;

	while (sn_before(r->from, sn))
		kept_forget(c, r->from++);
	if (list_empty(&r->again.node))
		return;
	if (sn_before(r->again_sn, r->from))
		r->again_sn = r->from;
	if (!sn_before(r->again_sn, r->again_end))
		list_del(&r->again.node);
}

void isc_retain_ack(struct isc_conn *c, uint32_t exp_statsn)
{
	struct retain *r = c->retain;

	if (!sn_in(exp_statsn, r->acked, c->statsn))
		return;  /* old, or nonsense: acknowledges nothing */
	r->acked = exp_statsn;
	forget(c, exp_statsn);
}

void isc_retain_free(struct isc_conn *c)
{
	if (c->retain)
		forget(c, c->statsn);
	free(c->retain);
	c->retain = NULL;
}

void isc_conn_forget(struct isc_conn *c)
{
	struct isc_task *t, *tmp;

	if (!c->retain)
		return;
	list_for_each_safe(t, tmp, &c->retain->tasks, keptq)
		if (t->state == TASK_KEPT)
			data_forget(t);
}

/* ---- keeping ---- */

static struct kept *keep(struct isc_conn *c, uint32_t sn)
{
	struct retain *r = c->retain;

	if (sn - r->from >= ISC_RETAIN_MAX)
		forget(c, sn - ISC_RETAIN_MAX + 1);
	return slot_of(r, sn);
}

static void limit_ctl(struct isc_conn *c, uint32_t newest)
{
	while (c->retain->ctl_bytes > ISC_RETAIN_CTL_MAX && sn_before(c->retain->from, newest))
		forget(c, c->retain->from + 1);
}

void isc_retain_ctl(struct isc_conn *c, struct ctl *ctl, uint32_t sn)
{
	if (!c->retain)
		return;
	keep(c, sn)->ctl = ctl;
	ctl->kept = true;
	c->retain->ctl_bytes += ctl->len;
	limit_ctl(c, sn);
}

/* Sense data: a copy, for the task is the server's again soon */
static void keep_sense(struct isc_conn *c, const struct isc_task *t, const uint8_t *h)
{
	struct kept *k = slot_of(c->retain, t->statsn);
	struct ctl *ctl;

	if (!t->sense_len || k->ctl)
		return;
	ctl = isc_ctl_new(OP_SCSI_RSP, PDU_FINAL, t->itt, t->sense_len);
	if (!ctl) {
		isc_conn_close(c, ISC_CLOSE_RESOURCES, "out of memory for an answer");
		return;
	}
	memcpy(ctl->bhs, h, BHS_LEN);
	memcpy(ctl->data, t->sense, t->sense_len);
	isc_retain_ctl(c, ctl, t->statsn);
}

static void limit_data(struct isc_conn *c)
{
	struct retain *r = c->retain;
	struct isc_task *t, *tmp;

	list_for_each_safe(t, tmp, &r->tasks, keptq) {
		if (r->data_bytes <= ISC_RETAIN_BYTES_MAX)
			break;
		if (t->state == TASK_KEPT)
			data_forget(t);
	}
}

void isc_retain_task(struct isc_conn *c, struct isc_task *t, const uint8_t *h)
{
	struct kept *k;

	if (!c->retain)
		return;
	k = keep(c, t->statsn);
	memcpy(k->bhs, h, BHS_LEN);
	k->read = t->data_len;
	if (k->ctl)
		memcpy(k->ctl->bhs, h, BHS_LEN);  /* the second response after an R-Data SNACK */
	keep_sense(c, t, h);
	if (!t->data_len || t->kept || t->aborted)
		return;
	k->task = t;
	t->kept = true;
	list_add_tail(&c->retain->tasks, &t->keptq);
	c->retain->data_bytes += t->data_len;
}

void isc_retain_sent(struct isc_task *t)
{
	struct isc_conn *c = t->conn;

	bool stay = t->over;

	t->state = TASK_KEPT;
	if (!t->over) {
		t->over = true;
		c->sess->immediate -= t->immediate;
		t->immediate = false;
		stay = c->ops->task_keep && c->ops->task_keep(t);
	}
	if (stay)
		limit_data(c);
	else
		data_forget(t);
}

struct kept *isc_retain_find(const struct isc_conn *c, uint32_t itt)
{
	struct retain *r = c->retain;

	for (uint32_t sn = r->from; sn != c->statsn; sn++) {
		struct kept *k = slot_of(r, sn);
		const uint8_t *h = isc_kept_header(k);

		if (pdu_opcode(h) == OP_SCSI_RSP && pdu_itt(h) == itt)
			return k;
	}
	return NULL;
}

bool isc_retain_knows(const struct isc_conn *c, uint32_t itt)
{
	return isc_retain_find(c, itt);
}

/* ---- sending again ---- */

void isc_retain_again(struct isc_conn *c, uint32_t sn, uint32_t end)
{
	struct retain *r = c->retain;

	if (list_empty(&r->again.node)) {
		r->again_sn = sn;
		r->again_end = end;
		isc_tx_txn(c, &r->again);
		return;
	}
	if (sn_before(sn, r->again_sn))
		r->again_sn = sn;
	if (sn_before(r->again_end, end))
		r->again_end = end;
}

/* 11.16: an exact replica but for ExpCmdSN and MaxCmdSN */
void isc_build_kept(struct isc_conn *c, struct txpdu *out)
{
	struct retain *r = c->retain;
	uint32_t sn = r->again_sn++;
	struct kept *k = slot_of(r, sn);

	if (r->again_sn == r->again_end)
		list_del(&r->again.node);
	if (k->task && k->task->in_data && k->task->base_sn != k->task->datasn) {
		isc_build_last(c, k->task, out);
		return;
	}
	memcpy(out->head, k->ctl ? k->ctl->bhs : k->bhs, BHS_LEN);
	isc_tx_sns(c, out->head, false);
	put_be32(out->head + O_STATSN, sn);
	if (!k->ctl)
		return;
	out->ctl = k->ctl;
	out->data = k->ctl->data;
	out->data_len = k->ctl->len;
	k->ctl->refs++;
	c->tx.backlog += sizeof(*k->ctl) + k->ctl->len;
}
