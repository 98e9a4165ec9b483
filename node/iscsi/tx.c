/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tx.c - bytes out
 *
 * What is to be sent waits in two queues: tasks that want to send an R2T, which go first because they make the
 * initiator work; and answers (tasks and control PDUs) in order. A PDU is made from them only when isc_tx_iov() has
 * room for it: it gets its numbers and digests, and a place in a small ring of headers, until its last byte is gone.
 * A read thus costs no memory however large, and ExpCmdSN and MaxCmdSN are as fresh as can be.
 */
#include <stdlib.h>

#include "node/iscsi/recover.h"
#include "node/util/util.h"

enum { IOV_PER_PDU = 3 };

void isc_tx_init(struct isc_conn *c)
{
	list_init(&c->tx.queue);
	list_init(&c->tx.r2tq);
}

static struct isc_txn *queue_first(struct tx *tx)
{
	return list_first(&tx->queue, struct isc_txn, node);
}

void isc_ctl_put(struct ctl *ctl)
{
	if (!ctl->refs && !ctl->kept)
		free(ctl);
}

static void ctl_done(struct ctl *ctl)
{
	if (!ctl)
		return;
	ctl->refs--;
	isc_ctl_put(ctl);
}

void isc_tx_free(struct isc_conn *c)
{
	struct tx *tx = &c->tx;
	struct isc_txn *n;

	for (; tx->head != tx->tail; tx->head++)
		ctl_done(tx->ring[tx->head % TX_RING].ctl);
	while ((n = queue_first(tx))) {
		list_del(&n->node);
		if (n->kind == TX_CTL)
			free(container_of(n, struct ctl, tx));
	}
}

static void tell(struct isc_conn *c)
{
	if (c->tx.told)
		return;
	c->tx.told = true;
	c->ops->tx_ready(c);
}

void isc_tx_txn(struct isc_conn *c, struct isc_txn *n)
{
	list_add_tail(&c->tx.queue, &n->node);
	tell(c);
}

void isc_tx_task(struct isc_task *t)
{
	isc_tx_txn(t->conn, &t->tx);
}

void isc_tx_r2t(struct isc_task *t)
{
	list_add_tail(&t->conn->tx.r2tq, &t->r2tq);
	tell(t->conn);
}

struct ctl *isc_ctl_new(uint8_t opcode, uint8_t flags, uint32_t itt, uint32_t len)
{
	struct ctl *ctl = malloc(sizeof(*ctl) + len);

	if (!ctl)
		return NULL;
	*ctl = (struct ctl){ .tx.kind = TX_CTL, .len = len };
	ctl->bhs[O_OPCODE] = opcode;
	ctl->bhs[O_FLAGS] = flags;
	put_be32(ctl->bhs + O_ITT, itt);
	return ctl;
}

void isc_ctl_send(struct isc_conn *c, struct ctl *ctl, bool statsn)
{
	if (!ctl) {
		isc_conn_close(c, ISC_CLOSE_RESOURCES, "out of memory for an answer");
		return;
	}
	ctl->statsn = statsn;
	ctl->refs = 1;
	c->tx.backlog += sizeof(*ctl) + ctl->len;
	list_add_tail(&c->tx.queue, &ctl->tx.node);
	tell(c);
}

void isc_tx_sns(struct isc_conn *c, uint8_t *h, bool advance)
{
	put_be32(h + O_STATSN, c->statsn);
	if (advance)
		c->statsn++;
	if (c->sess) {
		put_be32(h + O_EXP_CMDSN, c->sess->exp_cmdsn);
		put_be32(h + O_MAX_CMDSN, c->sess->max_cmdsn);
		return;
	}
	/* A further connection does not know its session's window yet: 4.2.2.1, such a pair is ignored */
	put_be32(h + O_EXP_CMDSN, c->login_cmdsn);
	put_be32(h + O_MAX_CMDSN, c->login.tsih ? c->login_cmdsn - 2 : c->login_cmdsn + c->cfg.window - 1);
}

static void build_ctl(struct isc_conn *c, struct ctl *ctl, struct txpdu *out)
{
	isc_tx_sns(c, ctl->bhs, ctl->statsn);
	if (ctl->statsn)
		isc_retain_ctl(c, ctl, c->statsn - 1);
	c->tx.reassigns -= ctl->reassigns;
	memcpy(out->head, ctl->bhs, BHS_LEN);
	out->data = ctl->data;
	out->data_len = ctl->len;
	out->ctl = ctl;
}

/* Lengths, padding and digests: the same for all */
static void seal(struct isc_conn *c, struct txpdu *out)
{
	bool digests = pdu_opcode(out->head) != OP_LOGIN_RSP;
	uint32_t pad = pdu_pad(out->data_len), crc;

	put_be24(out->head + O_DSL, out->data_len);
	out->head_len = BHS_LEN;
	if (digests && c->params.header_digest == ISC_DIGEST_CRC32C) {
		isc_crc_put(out->head + BHS_LEN, isc_crc(CRC_INIT, out->head, BHS_LEN));
		out->head_len += DIGEST_LEN;
	}
	memset(out->tail, 0, pad);
	out->tail_len = (uint8_t)pad;
	if (digests && out->data_len && c->params.data_digest == ISC_DIGEST_CRC32C) {
		crc = isc_crc(isc_crc(CRC_INIT, out->data, out->data_len), out->tail, pad);
		isc_crc_put(out->tail + pad, crc);
		out->tail_len = (uint8_t)(pad + DIGEST_LEN);
	}
}

static size_t pdu_size(const struct txpdu *p)
{
	return p->head_len + p->data_len + p->tail_len;
}

static void build_next_r2t(struct isc_conn *c, struct txpdu *out)
{
	struct isc_task *t = list_first(&c->tx.r2tq, struct isc_task, r2tq);

	list_del(&t->r2tq);
	if (isc_build_r2t(c, t, out))
		list_add_tail(&c->tx.r2tq, &t->r2tq);
}

static void build_next_answer(struct isc_conn *c, struct txpdu *out)
{
	struct isc_txn *n = queue_first(&c->tx);
	struct isc_task *t;

	if (n->kind == TX_CTL) {
		list_del(&n->node);
		build_ctl(c, container_of(n, struct ctl, tx), out);
		return;
	}
	if (n->kind == TX_KEPT) {
		isc_build_kept(c, out);
		return;
	}
	if (n->kind == TX_AGAIN) {
		isc_build_again(c, container_of(n, struct isc_task, again), out);
		return;
	}
	t = container_of(n, struct isc_task, tx);
	isc_build_task(c, t, out);
	if (t->built)
		list_del(&n->node);
}

/* Return: true if a PDU was added to the ring */
static bool build(struct isc_conn *c)
{
	struct tx *tx = &c->tx;
	bool r2t = !list_empty(&tx->r2tq) && c->state == CONN_FULL && !tx->reassigns;
	struct txpdu *out = &tx->ring[tx->tail % TX_RING];

	if (tx->tail - tx->head == TX_RING || tx->built >= TX_AHEAD || (!r2t && list_empty(&tx->queue)))
		return false;
	out->task = NULL;
	out->ctl = NULL;
	out->data = NULL;
	out->data_len = 0;
	if (r2t)
		build_next_r2t(c, out);
	else
		build_next_answer(c, out);
	seal(c, out);
	tx->built += pdu_size(out);
	tx->tail++;
	return true;
}

/* Add a piece without its first *@skip bytes. Return: entries used, 0 or 1 */
static int piece(struct iovec *iov, const void *p, size_t len, size_t *skip)
{
	if (len <= *skip) {
		*skip -= len;
		return 0;
	}
	iov->iov_base = (uint8_t *)(uintptr_t)p + *skip;
	iov->iov_len = len - *skip;
	*skip = 0;
	return 1;
}

int isc_tx_iov(struct isc_conn *c, struct iovec *iov, int max)
{
	struct tx *tx = &c->tx;
	size_t skip = tx->sent;
	int n = 0;

	for (uint32_t i = tx->head; n + IOV_PER_PDU <= max && (i != tx->tail || build(c)); i++) {
		const struct txpdu *p = &tx->ring[i % TX_RING];

		n += piece(iov + n, p->head, p->head_len, &skip);
		n += piece(iov + n, p->data, p->data_len, &skip);
		n += piece(iov + n, p->tail, p->tail_len, &skip);
	}
	tx->told = n > 0;
	return n;
}

/* The first PDU of the ring is gone */
static void pdu_done(struct isc_conn *c)
{
	struct tx *tx = &c->tx;
	struct txpdu *p = &tx->ring[tx->head % TX_RING];
	struct isc_task *t = p->task;

	c->stats.tx_pdus++;
	if (p->ctl)
		tx->backlog -= sizeof(*p->ctl) + p->ctl->len;
	ctl_done(p->ctl);
	tx->head++;
	tx->sent = 0;
	if (t)
		isc_task_sent(t);
}

void isc_tx_done(struct isc_conn *c, size_t n)
{
	struct tx *tx = &c->tx;

	c->stats.tx_bytes += n;
	tx->built -= MIN(n, tx->built);
	while (n && tx->head != tx->tail) {
		size_t left = pdu_size(&tx->ring[tx->head % TX_RING]) - tx->sent;

		if (n < left) {
			tx->sent += n;
			return;
		}
		n -= left;
		pdu_done(c);
	}
}

bool isc_tx_pending(const struct isc_conn *c)
{
	const struct tx *tx = &c->tx;

	return tx->head != tx->tail || !list_empty(&tx->queue) || (!list_empty(&tx->r2tq) && c->state == CONN_FULL);
}
