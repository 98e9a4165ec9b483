/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd.c - SCSI Command PDUs (RFC 7143 11.3): validation, additional headers, the birth of a task */
#include "node/iscsi/recover.h"
#include "node/util/util.h"

/* struct ahs - What the additional header segments say (11.2.2) */
struct ahs {
	const uint8_t *cdb;           /* CDB bytes from 16 on */
	uint32_t cdb_len;
	bool bidi;
	uint32_t bidi_len;
};

/* Return: false if malformed, or of a type that there is not */
static bool ahs_parse(const struct pdu *p, struct ahs *ret)
{
	struct rd r = rd_init(p->ahs, p->ahs_len);

	*ret = (struct ahs){ .cdb = NULL };
	while (rd_left(&r)) {
		uint16_t len = rd_u16(&r);
		uint8_t type = rd_u8(&r);
		const uint8_t *body = rd_bytes(&r, len);

		rd_skip(&r, pdu_pad(3u + len));
		if (r.bad || !len)
			return false;
		if (type == AHS_EXT_CDB && !ret->cdb && len - 1 <= ISC_CDB_MAX - 16) {
			ret->cdb = body + 1;
			ret->cdb_len = len - 1u;
		} else if (type == AHS_BIDI_READ && !ret->bidi && len == 5) {
			ret->bidi = true;
			ret->bidi_len = get_be32(body + 1);
		} else {
			return false;
		}
	}
	return true;
}

/* Flat: each line is one thing that 11.3 (or 13.11, 13.14) forbids */
static enum isc_reject cmd_check(struct isc_conn *c, const struct pdu *p)
{
	const uint8_t *h = p->bhs;
	bool write = h[O_FLAGS] & CMD_WRITE, read = h[O_FLAGS] & CMD_READ;
	uint32_t edtl = get_be32(h + O_CMD_EDTL);
	const struct isc_task *same = isc_task_find(c->sess, pdu_itt(h));
	struct ahs ahs;

	if (pdu_itt(h) == TAG_NONE)
		return ISC_REJECT_INVALID_FIELD;
	if (same && !isc_lost_done(same))
		return ISC_REJECT_TASK_IN_PROGRESS;
	if (pdu_immediate(h) && c->sess->immediate >= ISC_IMMEDIATE_MAX)
		return ISC_REJECT_IMMEDIATE;
	if (!ahs_parse(p, &ahs) || (ahs.bidi && !(read && write)))
		return ISC_REJECT_INVALID_FIELD;
	if (!read && !write && edtl)
		return ISC_REJECT_INVALID_FIELD;
	if (!write && (!pdu_final(h) || p->dsl))
		return ISC_REJECT_INVALID_FIELD;
	if (!pdu_final(h) && c->params.initial_r2t)
		return ISC_REJECT_PROTOCOL;
	if (p->dsl && !c->params.immediate_data)
		return ISC_REJECT_PROTOCOL;
	if (p->dsl > c->params.first_burst)
		return ISC_REJECT_PROTOCOL;
	if (p->dsl > edtl)
		return ISC_REJECT_INVALID_FIELD;
	if (!pdu_final(h) && p->dsl >= MIN(edtl, c->params.first_burst))
		return ISC_REJECT_INVALID_FIELD;
	return 0;
}

static void cmd_fill(struct isc_task *t, const struct pdu *p)
{
	const uint8_t *h = p->bhs;
	struct ahs ahs;

	(void)ahs_parse(p, &ahs);  /* checked */
	memcpy(t->lun, h + O_LUN, sizeof(t->lun));
	memcpy(t->cdb, h + O_CMD_CDB, 16);
	t->cdb_len = 16;
	if (ahs.cdb) {
		memcpy(t->cdb + 16, ahs.cdb, ahs.cdb_len);
		t->cdb_len = (uint16_t)(16 + ahs.cdb_len);
	}
	t->attr = h[O_FLAGS] & CMD_ATTR_MASK;
	t->read = h[O_FLAGS] & CMD_READ;
	t->write = h[O_FLAGS] & CMD_WRITE;
	t->cmdsn = pdu_cmdsn(h);
	t->edtl = get_be32(h + O_CMD_EDTL);
	t->edtl_out = t->write ? t->edtl : 0;
	t->edtl_in = !t->read ? 0 : t->write ? ahs.bidi_len : t->edtl;
	t->unsol_done = pdu_final(h);
	t->next_off = p->dsl;
}

/* No memory for a task: SAM-5 5.3 has a status for that. Data that follows is ignored. */
static void task_set_full(struct isc_conn *c, const struct pdu *p)
{
	struct ctl *ctl = isc_ctl_new(OP_SCSI_RSP, PDU_FINAL, pdu_itt(p->bhs), 0);

	if (ctl)
		ctl->bhs[O_STATUS] = STATUS_TASK_SET_FULL;
	isc_ctl_send(c, ctl, true);
	if (!pdu_final(p->bhs))
		isc_gone_add(c, pdu_itt(p->bhs));
}

static void cmd_take(struct isc_conn *c, struct isc_task *t)
{
	if (c->rx.order == ORDER_HOLD) {
		t->state = TASK_HELD;
		(void)isc_sess_fill(c, t->cmdsn, t, NULL);  /* cannot fail without a PDU */
		return;
	}
	if (!t->immediate)
		isc_sess_advance(c->sess);
	isc_task_start(t);
}

/* From error recovery level 1 on, a command whose immediate data is broken was never there (7.8) */
static bool must_see_data(const struct isc_conn *c, const struct pdu *p)
{
	return c->params.erl && p->dsl && c->params.data_digest == ISC_DIGEST_CRC32C;
}

static enum isc_reject cmd_begin(struct isc_conn *c, const struct pdu *p)
{
	struct isc_task *t = c->ops->task_alloc(c);
	struct rx *rx = &c->rx;

	if (!list_empty(&c->sess->lost))
		isc_lost_forget(c->sess, pdu_itt(p->bhs));
	if (!t) {
		rx->skip = true;
		task_set_full(c, p);
		if (rx->order == ORDER_HOLD) {
			(void)isc_sess_fill(c, pdu_cmdsn(p->bhs), NULL, NULL);
		} else if (!pdu_immediate(p->bhs)) {
			isc_sess_advance(c->sess);
			isc_sess_credit(c->sess);
		}
		return 0;
	}
	isc_task_init(t, c, pdu_itt(p->bhs), pdu_immediate(p->bhs));
	cmd_fill(t, p);
	t->in_pdu = true;  /* so that it outlives whatever the server does to it now */
	if (must_see_data(c, p)) {
		t->late = true;
		t->credit = false;
		t->state = TASK_HELD;
	} else {
		cmd_take(c, t);
	}
	rx->task = t;
	rx->off = 0;
	rx->dst_len = p->dsl ? isc_task_place(t, 0, p->dsl, &rx->dst) : 0;
	rx->direct = t->state == TASK_COLLECT;
	return 0;
}

/*
 * Its data is well: now it counts. Return: false: a copy of it was faster on another connection, it was aborted from there,
 * or this one is being logged out (11.14: what was not delivered by then was never received)
 */
static bool cmd_late(struct isc_conn *c, struct isc_task *t)
{
	c->rx.order = isc_sess_order(c->sess, t->cmdsn, t->immediate);
	if (c->rx.order == ORDER_IGNORE || c->state != CONN_FULL) {
		c->stats.ignored++;
		isc_task_release(t);
		return false;
	}
	t->late = false;
	t->credit = !t->immediate;
	cmd_take(c, t);
	return true;
}

static void cmd_run(struct isc_conn *c, const struct pdu *p)
{
	struct isc_task *t = c->rx.task;

	(void)p;
	if (t->late && !cmd_late(c, t))
		return;
	t->in_pdu = false;
	isc_task_progress(t);
}

const struct op isc_op_cmd = {
	.numbered = true, .data = true, .check = cmd_check, .begin = cmd_begin, .run = cmd_run,
};
