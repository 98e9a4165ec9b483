/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snack.c - SNACK (RFC 7143 11.16): the initiator asks for PDUs again, or acknowledges data
 *
 * Rejected are: all at error recovery level 0, and what we had but keep no more (0x03); what was never sent, or is
 * acknowledged (0x04, as 11.16 wants it); an acknowledgement of nothing, and fields that make no sense (0x08).
 */
#include "node/iscsi/recover.h"
#include "node/util/util.h"

/* struct snack - Its fields */
struct snack {
	uint32_t itt, tag, begin, run;
};

static struct snack fields(const struct pdu *p)
{
	return (struct snack){ pdu_itt(p->bhs), pdu_ttt(p->bhs), get_be32(p->bhs + O_SNACK_BEGIN),
			       get_be32(p->bhs + O_SNACK_RUN) };
}

/* The range that is asked for, out of @from … @end - 1. Return: false if it is not within */
static bool range(const struct snack *s, uint32_t from, uint32_t end, uint32_t *ret_sn, uint32_t *ret_end)
{
	if (!s->begin && !s->run) {  /* all that is not acknowledged */
		*ret_sn = from;
		*ret_end = end;
		return from != end;
	}
	*ret_sn = s->begin;
	*ret_end = s->run ? s->begin + s->run : end;
	return s->begin - from < end - from && (!s->run || s->run <= end - s->begin);
}

/* ---- Status ---- */

static enum isc_reject status(struct isc_conn *c, const struct snack *s, const struct pdu *p)
{
	struct retain *r = c->retain;
	uint32_t sn, end;

	(void)p;
	if (s->itt != TAG_NONE || s->tag != TAG_NONE)
		return ISC_REJECT_INVALID_SNACK;
	if (!range(s, r->acked, c->statsn, &sn, &end))
		return ISC_REJECT_PROTOCOL;
	if (sn_before(sn, r->from))
		return ISC_REJECT_SNACK;
	isc_retain_again(c, sn, end);
	return 0;
}

/* ---- Data-In ---- */

static bool has_data(const struct isc_task *t)
{
	return t && !t->aborted && t->data_len && (t->state == TASK_KEPT || (t->state == TASK_SEND && (!t->built || t->kept)));
}

/* R2T: with MaxOutstandingR2T=1 there is one that is not answered wholly, at most */
static enum isc_reject r2ts(struct isc_task *t, const struct snack *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(t->r2t); i++) {
		struct isc_r2t *r = &t->r2t[i];

		if (!r->len || sn_before(r->sn, s->begin) || (s->run && r->sn - s->begin >= s->run))
			continue;
		r->again = true;
		n++;
	}
	if (!n || (s->run && n < s->run))
		return ISC_REJECT_PROTOCOL;
	if (list_empty(&t->r2tq))
		isc_tx_r2t(t);
	return 0;
}

static enum isc_reject data(struct isc_conn *c, const struct snack *s, const struct pdu *p)
{
	struct isc_task *t = isc_task_find_kept(c, s->itt);
	uint32_t sn, end;

	(void)p;
	if (s->itt == TAG_NONE || s->tag != TAG_NONE)
		return ISC_REJECT_INVALID_SNACK;
	if (t && t->state == TASK_COLLECT)
		return r2ts(t, s);
	if (!has_data(t))
		return isc_retain_knows(c, s->itt) ? ISC_REJECT_SNACK : ISC_REJECT_PROTOCOL;
	if (!t->segment || !range(s, t->acked_sn, t->datasn, &sn, &end))
		return ISC_REJECT_PROTOCOL;
	if (sn_before(sn, t->base_sn))  /* cut otherwise: only R-Data will do */
		return ISC_REJECT_PROTOCOL;
	isc_task_again(t, sn, end);
	return 0;
}

static enum isc_reject rdata(struct isc_conn *c, const struct snack *s, const struct pdu *p)
{
	struct isc_task *t = isc_task_find_kept(c, s->itt);

	(void)p;
	if (s->itt == TAG_NONE || s->tag == TAG_NONE || !s->tag || s->begin || s->run)
		return ISC_REJECT_INVALID_SNACK;
	if (!has_data(t))
		return isc_retain_knows(c, s->itt) ? ISC_REJECT_SNACK : ISC_REJECT_PROTOCOL;
	if (!t->segment)
		return ISC_REJECT_PROTOCOL;
	isc_task_rewind(t, s->tag);
	return 0;
}

/* The tag is the task's (data_in.c). Nothing is freed: a task's data is in one piece. */
static enum isc_reject data_ack(struct isc_conn *c, const struct snack *s, const struct pdu *p)
{
	struct isc_task *t = isc_task_find_kept(c, s->tag);

	if (s->itt != TAG_NONE || s->run || !has_data(t) || !t->segment ||
	    memcmp(t->lun, p->bhs + O_LUN, sizeof(t->lun)) != 0)
		return ISC_REJECT_INVALID_SNACK;
	if (!sn_in(s->begin, t->acked_sn, t->datasn))
		return ISC_REJECT_INVALID_SNACK;
	if (sn_before(s->begin, t->base_sn))  /* cut otherwise since: not worth the memory of how */
		return 0;
	isc_task_acked(t, s->begin);
	return 0;
}

static enum isc_reject (*const types[])(struct isc_conn *c, const struct snack *s, const struct pdu *p) = {
	[SNACK_DATA] = data,
	[SNACK_STATUS] = status,
	[SNACK_DATA_ACK] = data_ack,
	[SNACK_RDATA] = rdata,
};

static enum isc_reject snack_check(struct isc_conn *c, const struct pdu *p)
{
	uint8_t type = p->bhs[O_FLAGS] & SNACK_TYPE_MASK;

	if (!c->retain)
		return ISC_REJECT_SNACK;
	return type < ARRAY_SIZE(types) ? 0 : ISC_REJECT_INVALID_SNACK;
}

static void snack_run(struct isc_conn *c, const struct pdu *p)
{
	struct snack s = fields(p);
	enum isc_reject reason = types[p->bhs[O_FLAGS] & SNACK_TYPE_MASK](c, &s, p);

	if (reason)
		isc_reject(c, p, reason);
}

const struct op isc_op_snack = { .discovery = true, .check = snack_check, .run = snack_run };
