/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tmf.c - task management (RFC 7143 11.5, 11.6)
 *
 * The library knows which commands it still holds and which task a tag means; what aborting does to a logical unit
 * is the server's. Commands that were held for their CmdSN and are covered by the function end here, unseen.
 *
 * Tasks are the session's, on whatever connection. An immediate function that is about many tasks covers all commands
 * with smaller CmdSNs (4.2.3.3): those that are still on their way on other connections are waited for. On a session's
 * only connection nothing sent before can still come, so there it goes ahead.
 */
#include <stdlib.h>

#include "node/iscsi/recover.h"
#include "node/util/util.h"

static enum isc_reject tmf_check(struct isc_conn *c, const struct pdu *p)
{
	if (pdu_itt(p->bhs) == TAG_NONE)
		return ISC_REJECT_INVALID_FIELD;
	if (pdu_immediate(p->bhs) && c->sess->immediate >= ISC_IMMEDIATE_MAX)
		return ISC_REJECT_IMMEDIATE;
	return 0;
}

static struct ctl *tmf_response(uint32_t itt, enum isc_tmf_response response)
{
	struct ctl *ctl = isc_ctl_new(OP_TMF_RSP, PDU_FINAL, itt, 0);

	if (ctl)
		ctl->bhs[O_TMF_RESPONSE] = (uint8_t)response;
	return ctl;
}

static void tmf_answer_info(struct isc_conn *c, uint32_t itt, enum isc_tmf_response response, const uint8_t info[3])
{
	struct ctl *ctl = tmf_response(itt, response);

	if (ctl)
		memcpy(ctl->bhs + O_TMF_INFO, info, 3);
	isc_ctl_send(c, ctl, true);
}

static void tmf_answer(struct isc_conn *c, uint32_t itt, enum isc_tmf_response response)
{
	static const uint8_t none[3];

	tmf_answer_info(c, itt, response, none);
}

static struct isc_tmf *tmf_new(struct isc_conn *c, const struct pdu *p)
{
	struct isc_tmf *tmf = calloc(1, sizeof(*tmf));

	if (!tmf) {
		isc_conn_close(c, ISC_CLOSE_RESOURCES, "out of memory for task management");
		return NULL;
	}
	tmf->conn = c;
	tmf->fn = p->bhs[O_FLAGS] & 0x7f;
	memcpy(tmf->lun, p->bhs + O_LUN, sizeof(tmf->lun));
	tmf->itt = pdu_itt(p->bhs);
	tmf->cmdsn = pdu_cmdsn(p->bhs);
	tmf->immediate = pdu_immediate(p->bhs);
	c->sess->immediate += tmf->immediate;
	list_init(&tmf->node);
	return tmf;
}

/* The server's move; @tmf may be NULL (no memory, said already) */
static void tmf_ask(struct isc_tmf *tmf)
{
	if (!tmf)
		return;
	list_add_tail(&tmf->conn->sess->tmfs, &tmf->node);
	tmf->conn->ops->tmf(tmf);
}

/*
 * 11.6.1: a task that is not there may be one that never arrived. If its CmdSN (RefCmdSN) is within the window and
 * before this request, the CmdSN counts as received from now on, and the function is complete.
 */
static enum isc_tmf_response abort_unknown(struct isc_conn *c, const struct pdu *p)
{
	uint32_t ref = get_be32(p->bhs + O_TMF_REF_CMDSN);
	struct isc_sess *s = c->sess;

	if (!sn_in(ref, s->exp_cmdsn, s->max_cmdsn) || !sn_before(ref, pdu_cmdsn(p->bhs)))
		return ISC_TMF_NO_TASK;
	if (isc_sess_order(s, ref, false) != ORDER_IGNORE)
		(void)isc_sess_fill(c, ref, NULL, NULL);  /* cannot fail without a PDU */
	return ISC_TMF_COMPLETE;
}

static void abort_task(struct isc_conn *c, const struct pdu *p)
{
	uint32_t ref = get_be32(p->bhs + O_TMF_REF_ITT);
	struct isc_task *t = isc_task_find(c->sess, ref);
	struct isc_tmf *tmf;

	if (!t || t->late)  /* its data is on its way on another connection: it has not been there yet */
		tmf_answer(c, pdu_itt(p->bhs), abort_unknown(c, p));
	else if (t->aborted || memcmp(t->lun, p->bhs + O_LUN, sizeof(t->lun)) != 0)
		tmf_answer(c, pdu_itt(p->bhs), ISC_TMF_NO_TASK);
	else if (t->state == TASK_HELD)
		tmf_answer(c, pdu_itt(p->bhs), isc_sess_unhold(c->sess, ref, NULL, t->cmdsn + 1)
						? ISC_TMF_COMPLETE : ISC_TMF_NO_TASK);
	else if ((tmf = tmf_new(c, p))) {
		tmf->task = t;
		tmf_ask(tmf);
	}
}

/* May commands before it still come? */
static bool must_wait(const struct isc_tmf *tmf)
{
	struct isc_sess *s = tmf->conn->sess;

	if (tmf->fn == ISC_TMF_TASK_REASSIGN)
		return isc_lost_soon(s, tmf->ref_itt);
	return tmf->immediate && s->n_conns > 1 && sn_in(tmf->cmdsn - 1, s->exp_cmdsn, s->max_cmdsn);
}

/* Commands that it covers and that wait for their turn */
static void unhold(const struct isc_tmf *tmf)
{
	bool all = tmf->fn == ISC_TMF_TARGET_WARM_RESET || tmf->fn == ISC_TMF_TARGET_COLD_RESET ||
		   tmf->fn == ISC_TMF_NEXUS_RESET;

	isc_sess_unhold(tmf->conn->sess, TAG_NONE, all ? NULL : tmf->lun, tmf->cmdsn);
}

static void abort_many(struct isc_conn *c, const struct pdu *p)
{
	struct isc_tmf *tmf = tmf_new(c, p);

	if (!tmf)
		return;
	unhold(tmf);
	list_add_tail(&c->sess->tmf_wait, &tmf->node);
	isc_tmf_ready(c->sess);
}

/* The response is sent before anything of the task is (11.5.1) */
static void reassign(struct isc_tmf *tmf)
{
	struct isc_conn *c = tmf->conn;
	struct lost lost = { .task = NULL };
	enum isc_tmf_response response = ISC_TMF_REJECTED;  /* it has been logged out meanwhile */
	struct ctl *ctl;

	c->sess->immediate -= tmf->immediate;
	if (c->state == CONN_FULL)
		response = isc_lost_find(c->sess, tmf->ref_itt, tmf->exp_datasn, &lost);
	ctl = tmf_response(tmf->itt, response);
	if (ctl && response == ISC_TMF_COMPLETE) {
		ctl->reassigns = true;
		c->tx.reassigns++;
	}
	isc_ctl_send(c, ctl, true);
	if (ctl && response == ISC_TMF_COMPLETE)
		isc_lost_take(c, &lost, tmf->exp_datasn);
	free(tmf);
}

void isc_tmf_ready(struct isc_sess *s)
{
	struct isc_tmf *tmf;

	while ((tmf = list_first(&s->tmf_wait, struct isc_tmf, node)) && !must_wait(tmf)) {
		list_del(&tmf->node);
		if (tmf->fn == ISC_TMF_TASK_REASSIGN) {
			reassign(tmf);
			continue;
		}
		unhold(tmf);  /* on the only connection that is left, holes may remain */
		tmf_ask(tmf);
	}
}

/* CLEAR ACA, QUERY TASK SET, QUERY ASYNCHRONOUS EVENT */
static void ask(struct isc_conn *c, const struct pdu *p)
{
	tmf_ask(tmf_new(c, p));
}

/* A command that is held for its turn has arrived: it is there. Whether there is such a LUN, the server knows. */
static void query_task(struct isc_conn *c, const struct pdu *p)
{
	const struct isc_task *t = isc_task_find(c->sess, get_be32(p->bhs + O_TMF_REF_ITT));
	struct isc_tmf *tmf = tmf_new(c, p);

	if (tmf)
		tmf->found = t && !t->aborted && memcmp(t->lun, p->bhs + O_LUN, sizeof(t->lun)) == 0;
	tmf_ask(tmf);
}

/* 7.2.2. A connection that has just logged itself out still has to send the response, and is waited for */
static void task_reassign(struct isc_conn *c, const struct pdu *p)
{
	struct isc_tmf *tmf;

	if (c->params.erl < 2) {
		tmf_answer(c, pdu_itt(p->bhs), ISC_TMF_NO_REASSIGN);
		return;
	}
	tmf = tmf_new(c, p);
	if (!tmf)
		return;
	tmf->ref_itt = get_be32(p->bhs + O_TMF_REF_ITT);
	tmf->exp_datasn = get_be32(p->bhs + O_TMF_EXP_DATASN);
	list_add_tail(&c->sess->tmf_wait, &tmf->node);
	isc_tmf_ready(c->sess);
}

static void (*const functions[])(struct isc_conn *c, const struct pdu *p) = {
	[ISC_TMF_ABORT_TASK] = abort_task,
	[ISC_TMF_ABORT_TASK_SET] = abort_many,
	[ISC_TMF_CLEAR_ACA] = ask,
	[ISC_TMF_CLEAR_TASK_SET] = abort_many,
	[ISC_TMF_LUN_RESET] = abort_many,
	[ISC_TMF_TARGET_WARM_RESET] = abort_many,
	[ISC_TMF_TARGET_COLD_RESET] = abort_many,
	[ISC_TMF_TASK_REASSIGN] = task_reassign,
	[ISC_TMF_QUERY_TASK] = query_task,
	[ISC_TMF_QUERY_TASK_SET] = ask,
	[ISC_TMF_NEXUS_RESET] = abort_many,
	[ISC_TMF_QUERY_ASYNC_EVENT] = ask,
};
_Static_assert(ARRAY_SIZE(functions) == ISC_TMF_FUNCTIONS, "each function");

/* RFC 7144 5: only if iSCSIProtocolLevel says so */
static bool negotiated(const struct isc_conn *c, uint8_t fn)
{
	return fn < ISC_TMF_QUERY_TASK || c->params.protocol_level >= 2;
}

static void tmf_run(struct isc_conn *c, const struct pdu *p)
{
	uint8_t fn = p->bhs[O_FLAGS] & 0x7f;

	if (fn < ARRAY_SIZE(functions) && functions[fn] && negotiated(c, fn))
		functions[fn](c, p);
	else
		tmf_answer(c, pdu_itt(p->bhs), ISC_TMF_NOT_SUPPORTED);
}

const struct op isc_op_tmf = { .numbered = true, .check = tmf_check, .run = tmf_run };

void isc_tmf_complete(struct isc_tmf *tmf, enum isc_tmf_response response)
{
	struct isc_conn *c = tmf->conn;

	if (c) {
		list_del(&tmf->node);
		c->sess->immediate -= tmf->immediate;
		if (c->state != CONN_CLOSING)
			tmf_answer_info(c, tmf->itt, response, tmf->info);
	}
	free(tmf);
}

void isc_tmf_forget(struct isc_sess *s, const struct isc_task *t)
{
	struct isc_tmf *tmf;

	list_for_each(tmf, &s->tmfs, node)
		if (tmf->task == t)
			tmf->task = NULL;
}

void isc_tmf_drop(struct isc_conn *c)
{
	struct isc_tmf *tmf, *tmp;

	if (!c->sess)
		return;
	list_for_each_safe(tmf, tmp, &c->sess->tmfs, node) {
		if (tmf->conn != c)
			continue;
		list_del(&tmf->node);
		c->sess->immediate -= tmf->immediate;
		tmf->conn = NULL;
		tmf->task = NULL;  /* off the session's list nobody says when it goes */
	}
	list_for_each_safe(tmf, tmp, &c->sess->tmf_wait, node) {
		if (tmf->conn != c)
			continue;
		list_del(&tmf->node);
		c->sess->immediate -= tmf->immediate;
		free(tmf);
	}
}
