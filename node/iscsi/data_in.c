/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * data_in.c - the PDUs that answer a command: Data-In (RFC 7143 11.7), SCSI Response (11.4), R2T (11.8)
 *
 * Made one at a time, when there is room to send them; data is never copied. Data-In goes out in sequences of at most
 * MaxBurstLength, in PDUs of at most the initiator's MaxRecvDataSegmentLength. Status GOOD rides in the last one. At error
 * recovery level 1 or more each can be made again, for which struct isc_task says how it was cut.
 */
#include "node/iscsi/recover.h"
#include "node/util/util.h"

static void bhs_init(uint8_t *h, uint8_t opcode, uint8_t flags, const struct isc_task *t)
{
	memset(h, 0, BHS_LEN);
	h[O_OPCODE] = opcode;
	h[O_FLAGS] = flags;
	put_be32(h + O_ITT, t->itt);
}

/* 11.4.5: Return: the flag, and the count at @h. @shift: 0, or 2 for the read of a bidirectional command */
static uint8_t residual(uint8_t *h, uint32_t expected, uint32_t transfer, unsigned shift)
{
	if (expected == transfer)
		return 0;
	put_be32(h, transfer > expected ? transfer - expected : expected - transfer);
	return (uint8_t)((transfer > expected ? RSP_OVERFLOW : RSP_UNDERFLOW) << shift);
}

_Static_assert(RSP_OVERFLOW << 2 == RSP_BIDI_OVERFLOW && RSP_UNDERFLOW << 2 == RSP_BIDI_UNDERFLOW, "see residual()");

static bool is_bidi(const struct isc_task *t)
{
	return t->read && t->write;
}

/* A command that neither reads nor writes can still overflow */
static uint8_t main_residual(const struct isc_task *t, uint8_t *h)
{
	if (t->write || t->transfer_out)
		return residual(h + O_RESIDUAL, t->edtl_out, t->transfer_out, 0);
	return residual(h + O_RESIDUAL, t->edtl_in, t->transfer_in, 0);
}

/* Its answer is made: a place in the window is free */
static void answered(struct isc_conn *c, struct isc_task *t)
{
	t->built = true;
	if (t->credit)
		isc_sess_credit(c->sess);
	t->credit = false;
}

static void response(struct isc_conn *c, const struct isc_task *t, uint8_t *h)
{
	bhs_init(h, OP_SCSI_RSP, PDU_FINAL, t);
	h[O_STATUS] = t->status;
	h[O_FLAGS] |= main_residual(t, h);
	if (is_bidi(t))
		h[O_FLAGS] |= residual(h + O_RSP_BIDI_RESIDUAL, t->edtl_in, t->transfer_in, 2);
	put_be32(h + O_RSP_SNACK_TAG, t->snack_tag);
	put_be32(h + O_RSP_EXP_DATASN, t->datasn);
	isc_tx_sns(c, h, false);
	put_be32(h + O_STATSN, t->statsn);
}

/* Its last PDU is being made, whose StatSN this is. After an R-Data SNACK it has one already (11.16.3). */
static void number(struct isc_conn *c, struct isc_task *t)
{
	uint8_t h[BHS_LEN];

	if (!t->numbered)
		t->statsn = c->statsn++;
	t->numbered = true;
	answered(c, t);
	if (!c->retain)
		return;
	response(c, t, h);
	isc_retain_task(c, t, h);
}

static void build_response(struct isc_conn *c, struct isc_task *t, struct txpdu *out)
{
	number(c, t);
	response(c, t, out->head);
	out->data = t->sense;
	out->data_len = t->sense_len;
}

/* ---- Data-In ---- */

/* The one at @off, @burst bytes into its sequence */
static struct din din(const struct isc_conn *c, const struct isc_task *t, uint32_t sn, uint32_t off, uint32_t burst)
{
	uint32_t left = t->data_len - off, room = c->params.max_burst - burst, n = MIN(left, room);

	n = MIN(n, t->segment);
	return (struct din){ .sn = sn, .off = off, .len = n, .burst = burst, .end = n == left || n == room };
}

struct din isc_din_at(const struct isc_conn *c, const struct isc_task *t, uint32_t sn)
{
	uint32_t off = t->base_off, burst = t->base_burst;
	struct din d = din(c, t, t->base_sn, off, burst);

	while (d.sn != sn && d.len) {
		burst = d.end ? 0 : burst + d.len;
		off += d.len;
		d = din(c, t, d.sn + 1, off, burst);
	}
	return d;
}

static void build_din(struct isc_conn *c, struct isc_task *t, const struct din *d, struct txpdu *out)
{
	bool last = d->off + d->len == t->data_len;
	uint8_t *h = out->head;

	bhs_init(h, OP_DATA_IN, d->end ? PDU_FINAL : 0, t);
	put_be32(h + O_TTT, TAG_NONE);
	put_be32(h + O_DATASN, d->sn);
	put_be32(h + O_DATA_OFFSET, d->off);
	if (last && t->in_data)
		h[O_FLAGS] |= DATA_STATUS | main_residual(t, h);
	isc_tx_sns(c, h, false);
	put_be32(h + O_STATSN, last && t->in_data ? t->statsn : 0);
	if (c->params.erl && d->end && !last) {  /* 11.7.3: the initiator acknowledges; the tag is for that only */
		h[O_FLAGS] |= DATA_ACK;
		memcpy(h + O_LUN, t->lun, sizeof(t->lun));
		put_be32(h + O_TTT, t->itt);
	}
	out->data = t->data + d->off;
	out->data_len = d->len;
}

/* What is acknowledged and how long PDUs may be; the latter may change at any time (13.12) */
static void cut(struct isc_conn *c, struct isc_task *t)
{
	uint32_t segment = MIN(c->params.max_send_dsl, c->cfg.max_send_dsl);

	if (segment == t->segment)
		return;
	if (!t->data_sent)
		t->acked_sn = t->datasn;  /* of a bidirectional command the first numbers were its R2Ts' */
	t->segment = segment;
	t->base_sn = t->datasn;
	t->base_off = t->data_sent;
	t->base_burst = t->burst;
	isc_task_not_again(t, t->base_sn);  /* who changes the length asks by R-Data (11.16.3) */
}

static void build_data_in(struct isc_conn *c, struct isc_task *t, struct txpdu *out)
{
	struct din d;

	cut(c, t);
	d = din(c, t, t->datasn++, t->data_sent, t->burst);
	t->data_sent += d.len;
	t->burst = d.end ? 0 : t->burst + d.len;
	if (t->data_sent == t->data_len && !t->status && !t->sense_len && !is_bidi(t) && !t->snack_tag) {
		t->in_data = true;
		number(c, t);
	}
	build_din(c, t, &d, out);
	c->stats.read_bytes += d.len;
}

static void made(struct isc_task *t, struct txpdu *out)
{
	out->task = t;
	t->tx_refs++;
}

void isc_build_last(struct isc_conn *c, struct isc_task *t, struct txpdu *out)
{
	struct din d = isc_din_at(c, t, t->datasn - 1);

	build_din(c, t, &d, out);
	made(t, out);
}

/* ---- again ---- */

void isc_task_again(struct isc_task *t, uint32_t sn, uint32_t end)
{
	if (list_empty(&t->again.node)) {
		t->again_sn = sn;
		t->again_end = end;
		isc_tx_txn(t->conn, &t->again);
		return;
	}
	if (sn_before(sn, t->again_sn))
		t->again_sn = sn;
	if (sn_before(t->again_end, end))
		t->again_end = end;
}

void isc_task_not_again(struct isc_task *t, uint32_t sn)
{
	if (list_empty(&t->again.node))
		return;
	if (sn_before(t->again_sn, sn))
		t->again_sn = sn;
	if (!sn_before(t->again_sn, t->again_end))
		list_del(&t->again.node);
}

void isc_build_again(struct isc_conn *c, struct isc_task *t, struct txpdu *out)
{
	struct din d = isc_din_at(c, t, t->again_sn++);

	if (t->again_sn == t->again_end)
		list_del(&t->again.node);
	build_din(c, t, &d, out);
	made(t, out);
}

void isc_task_acked(struct isc_task *t, uint32_t sn)
{
	struct din d = isc_din_at(t->conn, t, sn);

	t->acked_sn = t->base_sn = sn;
	t->acked_off = t->base_off = d.off;
	t->acked_burst = t->base_burst = d.burst;
	isc_task_not_again(t, sn);
}

void isc_task_rewind(struct isc_task *t, uint32_t tag)
{
	list_del(&t->again.node);
	t->snack_tag = tag;
	t->in_data = t->built = false;
	t->datasn = t->acked_sn;
	t->data_sent = t->acked_off;
	t->burst = t->acked_burst;
	t->segment = 0;  /* cut anew */
	if (t->state == TASK_KEPT || list_empty(&t->tx.node)) {
		t->state = TASK_SEND;
		isc_tx_task(t);
	}
}

void isc_build_task(struct isc_conn *c, struct isc_task *t, struct txpdu *out)
{
	if (t->data_sent < t->data_len)
		build_data_in(c, t, out);
	else
		build_response(c, t, out);
	made(t, out);
}

/* ---- R2T ---- */

static struct isc_r2t *r2t_free(struct isc_task *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->r2t); i++)
		if (!t->r2t[i].len)
			return &t->r2t[i];
	return NULL;
}

static struct isc_r2t *r2t_again(struct isc_task *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->r2t); i++)
		if (t->r2t[i].len && t->r2t[i].again)
			return &t->r2t[i];
	return NULL;
}

/* Lost data first: sequences are in order (13.19) */
static struct isc_r2t *r2t_new(struct isc_conn *c, struct isc_task *t)
{
	struct isc_r2t *r = r2t_free(t);  /* there is one: n_r2t < MaxOutstandingR2T ≤ ISC_R2T_MAX */

	*r = (struct isc_r2t){ .ttt = isc_new_ttt(c), .sn = t->datasn++ };
	if (isc_lost(t)) {
		r->off = t->lost;
		r->len = MIN(t->lost_end - t->lost, c->params.max_burst);
		t->lost += r->len;
		t->n_recover++;
	} else {
		t->n_recover = 0;
		r->off = t->next_off;
		r->len = MIN(t->want - t->next_off, c->params.max_burst);
		t->next_off += r->len;
	}
	t->n_r2t++;
	t->heard = true;
	return r;
}

bool isc_build_r2t(struct isc_conn *c, struct isc_task *t, struct txpdu *out)
{
	struct isc_r2t *r = r2t_again(t);
	uint8_t *h = out->head;

	if (!r)
		r = r2t_new(c, t);
	r->again = false;
	bhs_init(h, OP_R2T, PDU_FINAL, t);
	memcpy(h + O_LUN, t->lun, sizeof(t->lun));
	put_be32(h + O_TTT, r->ttt);
	isc_tx_sns(c, h, false);
	put_be32(h + O_DATASN, r->sn);
	put_be32(h + O_DATA_OFFSET, r->off);
	put_be32(h + O_R2T_LENGTH, r->len);
	made(t, out);
	return r2t_again(t) || (t->next_off < t->want && t->n_r2t < c->params.max_outstanding_r2t);
}
