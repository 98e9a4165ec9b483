/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * logout.c - Logout (RFC 7143 11.14, 11.15): close the session, this connection, or another one of the session
 *
 * What is to be closed takes nothing more, and what it brought ahead of its turn was never received (11.14). The server
 * ends connections and tasks; a connection that closes itself does so with the response. At error recovery level 2 a
 * connection can be removed for recovery: its tasks then wait to be reassigned (lost.c), also if it was lost before.
 */
#include <stdlib.h>

#include "node/iscsi/recover.h"

static uint8_t reason_of(const struct pdu *p)
{
	return p->bhs[O_FLAGS] & 0x7f;
}

static enum isc_reject logout_check(struct isc_conn *c, const struct pdu *p)
{
	(void)c;
	if (pdu_itt(p->bhs) == TAG_NONE || reason_of(p) > LOGOUT_RECOVERY)
		return ISC_REJECT_INVALID_FIELD;
	return 0;
}

static void logout_answer(struct isc_conn *c, uint32_t itt, enum isc_logout_response response)
{
	struct ctl *ctl = isc_ctl_new(OP_LOGOUT_RSP, PDU_FINAL, itt, 0);

	if (ctl) {
		ctl->bhs[O_LOGOUT_RESPONSE] = (uint8_t)response;
		put_be16(ctl->bhs + O_LOGOUT_TIME2WAIT, (uint16_t)c->params.time2wait);
		put_be16(ctl->bhs + O_LOGOUT_TIME2RETAIN, (uint16_t)c->params.time2retain);
	}
	isc_ctl_send(c, ctl, true);
}

static void no_more(struct isc_conn *c)
{
	if (c->state == CONN_FULL)
		isc_conn_set_state(c, CONN_LOGOUT);
}

static void ask(struct isc_conn *c, const struct pdu *p, struct isc_conn *victim)
{
	struct isc_logout *lo = calloc(1, sizeof(*lo));
	bool session = reason_of(p) == LOGOUT_SESSION;
	struct isc_conn *each;

	if (!lo) {
		isc_conn_close(c, ISC_CLOSE_RESOURCES, "out of memory for a logout");
		return;
	}
	*lo = (struct isc_logout){ .conn = c, .victim = victim, .session = session, .itt = pdu_itt(p->bhs),
				   .recovery = reason_of(p) == LOGOUT_RECOVERY };
	list_add_tail(&c->logouts, &lo->node);
	no_more(victim);
	if (session)
		list_for_each(each, &c->sess->conns, link)
			no_more(each);
	c->ops->logout(lo);
}

static void logout_run(struct isc_conn *c, const struct pdu *p)
{
	struct isc_conn *victim = c;
	uint16_t cid = get_be16(p->bhs + O_LOGOUT_CID);

	if (reason_of(p) != LOGOUT_SESSION)
		victim = isc_sess_find(c->sess, cid);
	if (!victim)
		victim = isc_lost_conn(c->sess, cid);
	if (reason_of(p) == LOGOUT_RECOVERY && c->params.erl < 2)
		logout_answer(c, pdu_itt(p->bhs), ISC_LOGOUT_NO_RECOVERY);
	else if (!victim)
		logout_answer(c, pdu_itt(p->bhs), ISC_LOGOUT_NO_CID);
	else
		ask(c, p, victim);
}

const struct op isc_op_logout = { .numbered = true, .discovery = true, .check = logout_check, .run = logout_run };

void isc_logout_complete(struct isc_logout *lo, enum isc_logout_response response)
{
	struct isc_conn *c = lo->conn;

	if (lo->recovery && lo->victim && response == ISC_LOGOUT_DONE)
		lo->victim->cleaned = true;
	if (c) {
		list_del(&lo->node);
		if (c->state != CONN_CLOSING)
			logout_answer(c, lo->itt, response);
		if (lo->victim == c)
			isc_conn_close(c, lo->recovery ? ISC_CLOSE_RECOVERY : ISC_CLOSE_LOGOUT, "logout");
	}
	free(lo);
}

void isc_logout_orphan(struct isc_conn *c)
{
	struct isc_logout *lo;

	while ((lo = list_first(&c->logouts, struct isc_logout, node))) {
		list_del(&lo->node);
		lo->conn = NULL;
		lo->victim = NULL;  /* off the list nobody says when it goes */
	}
}

/* @c ends: its logouts are answered to nobody; others' that were to close it have it closed */
void isc_logout_drop(struct isc_conn *c)
{
	struct isc_logout *lo;
	struct isc_conn *each;

	isc_logout_orphan(c);
	if (!c->sess)
		return;
	list_for_each(each, &c->sess->conns, link)
		list_for_each(lo, &each->logouts, node)
			if (lo->victim == c)
				lo->victim = NULL;
}
