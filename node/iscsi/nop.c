/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nop.c - NOP-Out and NOP-In (RFC 7143 11.18, 11.19)
 *
 * An initiator's ping has a task tag and gets its data back. A NOP-Out without one is either the answer to a NOP-In
 * of ours (it carries our transfer tag) or only tells ExpStatSN; both are immediate.
 */
#include "node/iscsi/priv.h"
#include "node/util/util.h"

static enum isc_reject nop_check(struct isc_conn *c, const struct pdu *p)
{
	bool ping = pdu_itt(p->bhs) != TAG_NONE, answer = pdu_ttt(p->bhs) != TAG_NONE;

	if (!ping && !pdu_immediate(p->bhs))
		return ISC_REJECT_PROTOCOL;
	if (ping && answer)
		return ISC_REJECT_INVALID_FIELD;
	if (answer && pdu_ttt(p->bhs) != c->nop_ttt)
		return ISC_REJECT_INVALID_FIELD;
	return 0;
}

static void nop_run(struct isc_conn *c, const struct pdu *p)
{
	uint32_t n = MIN(p->dsl, c->params.max_send_dsl);
	struct ctl *ctl;

	if (pdu_ttt(p->bhs) != TAG_NONE) {
		c->nop_ttt = TAG_NONE;
		if (c->ops->nop_reply)
			c->ops->nop_reply(c);
		return;
	}
	if (pdu_itt(p->bhs) == TAG_NONE)
		return;
	ctl = isc_ctl_new(OP_NOP_IN, PDU_FINAL, pdu_itt(p->bhs), n);
	if (ctl) {
		put_be32(ctl->bhs + O_TTT, TAG_NONE);
		if (n)
			memcpy(ctl->data, p->data, n);
	}
	isc_ctl_send(c, ctl, true);
}

const struct op isc_op_nop = { .numbered = true, .data = true, .check = nop_check, .run = nop_run };

int isc_send_nop_in(struct isc_conn *c)
{
	struct ctl *ctl;

	if (c->state != CONN_FULL || c->nop_ttt != TAG_NONE)
		return -1;
	ctl = isc_ctl_new(OP_NOP_IN, PDU_FINAL, TAG_NONE, 0);
	if (!ctl)
		return -1;
	c->nop_ttt = isc_new_ttt(c);
	put_be32(ctl->bhs + O_TTT, c->nop_ttt);
	isc_ctl_send(c, ctl, false);  /* 11.19.3: carries the next StatSN, and does not use it up */
	return 0;
}
