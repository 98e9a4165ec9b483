/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * data_out.c - SCSI Data-Out PDUs (RFC 7143 11.7): unsolicited data and data for an R2T
 *
 * Two kinds of error. A PDU that belongs to nothing we know is rejected. A PDU of a known sequence with a wrong
 * number, place or length costs the command: the rest of the sequence is thrown away up to its F bit, then the
 * command ends in CHECK CONDITION (7.9, 11.4.7.2); from error recovery level 1 on, what is missing is asked for again
 * (recover.c). Both sides agreed on DataPDUInOrder and DataSequenceInOrder.
 */
#include "node/iscsi/recover.h"
#include "node/util/util.h"

static struct isc_r2t *r2t_find(struct isc_task *t, uint32_t ttt)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->r2t); i++)
		if (t->r2t[i].len && t->r2t[i].ttt == ttt)
			return &t->r2t[i];
	return NULL;
}

/* 4.2.2.1, connection allegiance: data comes on the connection of its command */
static struct isc_task *task_here(struct isc_conn *c, uint32_t itt)
{
	struct isc_task *t = isc_task_find(c->sess, itt);

	return t && t->conn == c ? t : NULL;
}

static enum isc_reject data_out_check(struct isc_conn *c, const struct pdu *p)
{
	const uint8_t *h = p->bhs;
	struct isc_task *t = task_here(c, pdu_itt(h));

	if (!t || t->aborted)
		return isc_gone_has(c, pdu_itt(h)) ? 0 : ISC_REJECT_INVALID_FIELD;
	if (pdu_ttt(h) == TAG_NONE)
		return t->unsol_done && !c->params.erl ? ISC_REJECT_PROTOCOL : 0;
	if (!r2t_find(t, pdu_ttt(h)))
		return ISC_REJECT_INVALID_FIELD;
	if (memcmp(t->lun, h + O_LUN, sizeof(t->lun)) != 0)
		return ISC_REJECT_INVALID_FIELD;
	return 0;
}

/* 13.14: immediate and unsolicited data together stay within FirstBurstLength and the transfer */
static enum data_fault unsol_fault(const struct isc_task *t, uint32_t off, uint32_t len)
{
	uint32_t limit = MIN(t->edtl_out, t->conn->params.first_burst);

	if (off != t->next_off)
		return FAULT_AMOUNT;
	return len > limit - t->next_off ? FAULT_UNSOLICITED : FAULT_NONE;
}

static enum data_fault unsolicited(struct isc_task *t, const struct pdu *p)
{
	uint32_t off = get_be32(p->bhs + O_DATA_OFFSET);
	enum data_fault fault = unsol_fault(t, off, p->dsl);

	if (get_be32(p->bhs + O_DATASN) != t->unsol_datasn++)
		fault = FAULT_CRC;  /* one before it must have been lost */
	if (!fault)
		t->next_off += p->dsl;
	return fault;
}

/* Return: false for a copy of what was here before, which only error recovery sends */
static bool recovered(struct isc_task *t, const struct pdu *p)
{
	uint32_t sn = get_be32(p->bhs + O_DATASN), off = get_be32(p->bhs + O_DATA_OFFSET);

	if (!t->conn->params.erl)
		return true;
	t->heard = t->conn->retain->heard = true;
	if (pdu_ttt(p->bhs) == TAG_NONE)
		return !t->unsol_done && isc_lost_unsolicited(t, sn, off);
	return isc_lost_solicited(t, r2t_find(t, pdu_ttt(p->bhs)), sn, off);
}

static enum data_fault solicited(struct isc_r2t *r, const struct pdu *p)
{
	if (get_be32(p->bhs + O_DATASN) != r->datasn++)
		return FAULT_CRC;
	if (get_be32(p->bhs + O_DATA_OFFSET) != r->off + r->done || p->dsl > r->len - r->done)
		return FAULT_AMOUNT;
	r->done += p->dsl;
	return pdu_final(p->bhs) && r->done != r->len ? FAULT_AMOUNT : FAULT_NONE;
}

static enum isc_reject data_out_begin(struct isc_conn *c, const struct pdu *p)
{
	struct isc_task *t = task_here(c, pdu_itt(p->bhs));
	enum data_fault fault;
	struct rx *rx = &c->rx;

	if (!t || t->aborted || !recovered(t, p)) {
		c->stats.ignored++;
		rx->skip = true;
		return 0;
	}
	if (pdu_ttt(p->bhs) == TAG_NONE)
		fault = unsolicited(t, p);
	else
		fault = solicited(r2t_find(t, pdu_ttt(p->bhs)), p);
	if (!t->fault)
		t->fault = fault;
	t->in_pdu = true;
	rx->task = t;
	rx->off = get_be32(p->bhs + O_DATA_OFFSET);
	rx->dst_len = p->dsl ? isc_task_place(t, rx->off, p->dsl, &rx->dst) : 0;
	rx->direct = t->state == TASK_COLLECT;
	return 0;
}

void isc_r2t_done(struct isc_task *t, struct isc_r2t *r)
{
	if (r->again)
		list_del(&t->r2tq);
	r->len = 0;
	t->n_r2t--;
}

static void data_out_run(struct isc_conn *c, const struct pdu *p)
{
	struct isc_task *t = c->rx.task;

	t->in_pdu = false;
	if (pdu_final(p->bhs) && pdu_ttt(p->bhs) == TAG_NONE) {
		t->unsol_done = true;
	} else if (pdu_final(p->bhs)) {
		isc_r2t_done(t, r2t_find(t, pdu_ttt(p->bhs)));
	}
	isc_task_progress(t);
}

const struct op isc_op_data_out = {
	.data = true, .check = data_out_check, .begin = data_out_begin, .run = data_out_run,
};
