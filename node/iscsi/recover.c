/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recover.c - write data that is lost is asked for again (RFC 7143 7.2.1, 7.8, 7.9)
 *
 * Lost is what a PDU with a wrong digest carried, what a gap in the DataSNs skipped, and what did not come in time. All that
 * is missing of a task is kept as one range; when its sequence has ended, an R2T asks for it. With one R2T at a time (13.19)
 * nothing else is outstanding then. Data between two losses comes once more, which does no harm.
 */
#include "node/iscsi/recover.h"
#include "node/util/util.h"

void isc_lost_add(struct isc_task *t, uint32_t off, uint32_t end)
{
	if (end <= off)
		return;
	if (t->lost == t->lost_end) {
		t->lost = off;
		t->lost_end = end;
		return;
	}
	t->lost = MIN(t->lost, off);
	t->lost_end = MAX(t->lost_end, end);
}

/* Beyond what the command takes nothing is missed */
bool isc_lost(struct isc_task *t)
{
	t->lost_end = MIN(t->lost_end, t->want);
	if (t->lost < t->lost_end)
		return true;
	t->lost = t->lost_end = 0;
	return false;
}

bool isc_lost_hopeless(struct isc_task *t)
{
	return t->n_recover >= ISC_RECOVER_MAX && isc_lost(t);
}

/* What is wrong beyond numbers, the caller sees: a place that does not follow is left to it */
bool isc_lost_unsolicited(struct isc_task *t, uint32_t sn, uint32_t off)
{
	uint32_t limit = MIN(t->edtl_out, t->conn->params.first_burst);

	if (sn_before(sn, t->unsol_datasn))
		return false;
	if (sn == t->unsol_datasn || off < t->next_off || off > limit)
		return true;
	isc_lost_add(t, t->next_off, off);
	t->next_off = off;
	t->unsol_datasn = sn;
	return true;
}

bool isc_lost_solicited(struct isc_task *t, struct isc_r2t *r, uint32_t sn, uint32_t off)
{
	if (sn_before(sn, r->datasn))
		return false;
	if (sn == r->datasn || off < r->off + r->done || off > r->off + r->len)
		return true;
	isc_lost_add(t, r->off + r->done, off);
	r->done = off - r->off;
	r->datasn = sn;
	return true;
}

/* ---- nothing comes any more ---- */

/* First the R2T itself may be lost; an initiator that has it ignores the copy */
static void overdue(struct isc_task *t, struct isc_r2t *r)
{
	if (!r->done && !r->repeated) {
		r->repeated = r->again = true;
		if (list_empty(&t->r2tq))
			isc_tx_r2t(t);
		return;
	}
	isc_lost_add(t, r->off + r->done, r->off + r->len);
	isc_r2t_done(t, r);
}

/* An initiator sends one sequence after the other: on a slow line those of others may take long */
static bool is_overdue(struct isc_task *t, bool others)
{
	t->silent = t->heard ? 0 : t->silent + 1;
	t->heard = false;
	if (t->silent < (others ? ISC_SILENT_MAX : 1))
		return false;
	t->silent = 0;
	return true;
}

void isc_conn_tick(struct isc_conn *c)
{
	struct isc_task *t, *tmp;
	bool others;

	if (!c->retain || c->state != CONN_FULL)
		return;
	others = c->retain->heard;
	c->retain->heard = false;
	list_for_each_safe(t, tmp, &c->tasks, node) {
		if (!isc_data_coming(t) || t->in_pdu || t->aborted || !is_overdue(t, others))
			continue;
		t->unsol_done = true;
		for (size_t i = 0; i < ARRAY_SIZE(t->r2t); i++)
			if (t->r2t[i].len)
				overdue(t, &t->r2t[i]);
		isc_task_progress(t);
	}
}
