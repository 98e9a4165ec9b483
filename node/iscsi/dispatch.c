/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dispatch.c - requests of the full feature phase: which there are, what all have in common
 *
 * One flat path: known opcode, CmdSN, general rules, the operation's own check(). The first that fails gives the
 * reason of the Reject; a rejected request still uses up its CmdSN (11.17.1), or those behind it would wait for ever. From
 * error recovery level 1 on it does not: the initiator sends another one with this CmdSN (7.3).
 */
#include "node/iscsi/recover.h"
#include "node/util/util.h"

/* A login request belongs to the login phase (6.3) */
static enum isc_reject login_check(struct isc_conn *c, const struct pdu *p)
{
	(void)c;
	(void)p;
	return ISC_REJECT_PROTOCOL;
}

static const struct op op_login = { .discovery = true, .data = true, .check = login_check };

static const struct op *const ops[OP_MASK + 1] = {
	[OP_NOP_OUT] = &isc_op_nop,
	[OP_SCSI_CMD] = &isc_op_cmd,
	[OP_TMF] = &isc_op_tmf,
	[OP_LOGIN] = &op_login,
	[OP_TEXT] = &isc_op_text,
	[OP_DATA_OUT] = &isc_op_data_out,
	[OP_LOGOUT] = &isc_op_logout,
	[OP_SNACK] = &isc_op_snack,
};

const struct op *isc_op_find(const uint8_t *bhs)
{
	return ops[pdu_opcode(bhs)];
}

static enum isc_reject check(struct isc_conn *c, const struct op *op, const struct pdu *p)
{
	if (!op)
		return ISC_REJECT_UNSUPPORTED;
	if (c->login.discovery && !op->discovery)
		return ISC_REJECT_PROTOCOL;
	if (p->ahs_len && op != &isc_op_cmd)
		return ISC_REJECT_INVALID_FIELD;
	if (p->dsl && !op->data)
		return ISC_REJECT_INVALID_FIELD;
	return op->check(c, p);
}

/* A numbered request came to nothing */
static void use_up(struct isc_conn *c, const struct pdu *p)
{
	if (pdu_immediate(p->bhs))
		return;
	if (c->rx.order == ORDER_HOLD) {
		(void)isc_sess_fill(c, pdu_cmdsn(p->bhs), NULL, NULL);  /* cannot fail without a PDU */
		return;
	}
	isc_sess_advance(c->sess);
	isc_sess_credit(c->sess);
}

static void begin(struct isc_conn *c, const struct op *op, const struct pdu *p)
{
	struct rx *rx = &c->rx;
	enum isc_reject reason;

	if (c->retain && op)
		isc_retain_ack(c, get_be32(p->bhs + O_EXP_STATSN));
	rx->order = ORDER_NOW;
	if (op && op->numbered)
		rx->order = isc_sess_order(c->sess, pdu_cmdsn(p->bhs), pdu_immediate(p->bhs));
	if (rx->order == ORDER_IGNORE) {
		c->stats.ignored++;
		rx->skip = true;
		if (op == &isc_op_cmd && !pdu_final(p->bhs))
			isc_gone_add(c, pdu_itt(p->bhs));
		return;
	}
	reason = check(c, op, p);
	if (!reason && op->begin)
		reason = op->begin(c, p);
	if (!reason)
		return;
	rx->skip = true;
	isc_reject(c, p, reason);
	if (op && op->numbered && !c->params.erl)
		use_up(c, p);
	if (op == &isc_op_cmd && !pdu_final(p->bhs))
		isc_gone_add(c, pdu_itt(p->bhs));
}

void isc_pdu_begin(struct isc_conn *c, const struct pdu *p)
{
	const struct op *op = isc_op_find(p->bhs);

	if (c->state == CONN_LOGOUT) {
		c->rx.skip = true;
		return;
	}
	begin(c, op, p);
	if (p->dsl && op && op->numbered)  /* those behind it need not wait for its data */
		isc_sess_drain(c->sess);
}

/* A request without begin(): in memory, whole. Its turn may have come, or gone, while its data was on its way. */
static void whole(struct isc_conn *c, const struct op *op, const struct pdu *p)
{
	enum order order = ORDER_NOW;

	if (op->numbered)
		order = isc_sess_order(c->sess, pdu_cmdsn(p->bhs), pdu_immediate(p->bhs));
	if (order == ORDER_IGNORE) {
		c->stats.ignored++;
		return;
	}
	if (order == ORDER_HOLD) {
		if (isc_sess_fill(c, pdu_cmdsn(p->bhs), NULL, p) < 0)
			isc_conn_close(c, ISC_CLOSE_RESOURCES, "too many requests ahead of their turn");
		return;
	}
	if (op->numbered && !pdu_immediate(p->bhs)) {
		isc_sess_advance(c->sess);
		isc_sess_credit(c->sess);
	}
	op->run(c, p);
}

void isc_pdu_end(struct isc_conn *c, const struct pdu *p)
{
	const struct op *op = isc_op_find(p->bhs);

	if (!c->rx.skip && c->state != CONN_CLOSING) {
		if (op->begin)
			op->run(c, p);  /* also in CONN_LOGOUT: the task must not wait for its PDU for ever */
		else if (c->state == CONN_FULL)
			whole(c, op, p);
	}
	if (op && op->numbered)
		isc_sess_drain(c->sess);
}

static void recover(struct isc_conn *c, const struct op *op, const struct pdu *p)
{
	struct isc_task *t = c->rx.task;

	if (t->late) {  /* a command that has not begun */
		c->rx.task = NULL;
		isc_task_release(t);
		if (!pdu_final(p->bhs))
			isc_gone_add(c, pdu_itt(p->bhs));
		return;
	}
	isc_lost_add(t, c->rx.off, c->rx.off + p->dsl);
	op->run(c, p);
}

/*
 * 7.8: every such PDU is rejected and discarded. From error recovery level 1 on the data is asked for again (recover.c), and
 * the initiator retries any other request. At level 0 a Data-Out costs its command (11.4.7.2), and a numbered request would
 * leave a hole in the CmdSNs that nobody fills: the session is recovered, which 7.8 leaves to either party.
 */
void isc_pdu_bad_digest(struct isc_conn *c, const struct pdu *p)
{
	const struct op *op = isc_op_find(p->bhs);

	if (c->state == CONN_FULL)
		isc_reject(c, p, ISC_REJECT_DATA_DIGEST);
	if (c->params.erl) {
		if (c->rx.task)
			recover(c, op, p);
		return;
	}
	if (op == &isc_op_data_out) {
		c->rx.task->fault = FAULT_CRC;
		op->run(c, p);
		return;
	}
	if (op == &isc_op_cmd || (c->state == CONN_FULL && op->numbered && !pdu_immediate(p->bhs)))
		isc_conn_close(c, ISC_CLOSE_DATA_DIGEST, "data digest error in a request");
}
