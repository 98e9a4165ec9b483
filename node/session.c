/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c - the reactor's part of a session: its beginning and end, logouts, and what initiators are told of ends
 *
 * A logout of the session, or of another of its connections, is answered when those connections are gone with all their
 * tasks; a connection that logs out itself is answered at once, and its end gives its tasks up (RFC 7143 11.14). A logout
 * for recovery (error recovery level 2) is answered when the connection is lost, that is, without a socket: its tasks stay.
 */
#include <syslog.h>

#include "node/node.h"

struct logout {
	struct list link;            /* session.logouts */
	struct isc_logout *isc;
	const struct conn *asked;
	const struct conn *victim;   /* NULL: all of the session but @asked */
	uint16_t cid;                /* of the victim */
};

void session_begin(struct session *s, struct conn *leading)
{
	s->isc = isc_conn_sess(leading->isc);
	isc_sess_keep(s->isc);
	list_add_tail(&s->r->sessions, &s->at);
}

void session_end_run(struct msg *m, void *reactor)
{
	struct session *s = container_of(m, struct session, msg_end);

	(void)reactor;
	itls_free(s);
	free(s->copies);
	if (s->isc)
		isc_sess_put(s->isc);
	list_del(&s->at);
	free(s);
}

/* ---- lost connections (error recovery level 2) ---- */

/* One more is lost: a session has a bounded number of them */
static void limit_lost(struct session *s)
{
	struct conn *c, *oldest = NULL;
	unsigned n = 0;

	list_for_each(c, &s->r->conns, link) {
		if (c->sess != s || c->state != CONN_LOST)
			continue;
		oldest = oldest ? oldest : c;
		n++;
	}
	if (n > LOST_CONNS_MAX)
		conn_close(oldest, CONN_END_FIN, "newer ones were lost");
}

void session_rejoined(struct session *s, uint16_t cid)
{
	struct conn *c;

	list_for_each(c, &s->r->conns, link)
		if (c->sess == s && c->state == CONN_LOST && c->cid == cid)
			conn_lost_for(c);
}

/* ---- logout ---- */

static bool is_meant(const struct logout *lo, const struct conn *c)
{
	return lo->victim ? c == lo->victim : c != lo->asked;
}

static bool all_gone(const struct session *s, const struct logout *lo)
{
	const struct conn *c;

	list_for_each(c, &s->r->conns, link)
		if (c->sess == s && c->state != CONN_GONE && is_meant(lo, c) &&
		    !(lo->isc->recovery && c->state == CONN_LOST))
			return false;
	return true;
}

static void check_logouts(struct session *s)
{
	struct logout *lo, *tmp;

	list_for_each_safe(lo, tmp, &s->logouts, link) {
		if (!all_gone(s, lo))
			continue;
		list_del(&lo->link);
		if (lo->isc->recovery)
			session_rejoined(s, lo->cid);
		isc_logout_complete(lo->isc, ISC_LOGOUT_DONE);
		free(lo);
	}
}

void session_logout(struct isc_logout *isc)
{
	struct conn *asked = isc_conn_user(isc->conn), *victim = isc_conn_user(isc->victim), *c, *tmp;
	struct logout *lo;

	if (victim == asked && !isc->session) {
		isc_logout_complete(isc, ISC_LOGOUT_DONE);
		return;
	}
	lo = calloc(1, sizeof(*lo));
	if (!lo) {
		isc_logout_complete(isc, ISC_LOGOUT_FAILED);
		return;
	}
	*lo = (struct logout){ .isc = isc, .asked = asked, .victim = isc->session ? NULL : victim, .cid = victim->cid };
	list_add_tail(&asked->sess->logouts, &lo->link);
	asked->sess->logged_out |= isc->session;
	list_for_each_safe(c, tmp, &asked->r->conns, link)
		if (c->sess == asked->sess && is_meant(lo, c))
			(isc->recovery ? conn_lose : conn_close)(c, CONN_END_FIN, "logged out on another connection");
	check_logouts(asked->sess);
}

void session_conn_gone(struct conn *c)
{
	if (c->state == CONN_LOST)
		limit_lost(c->sess);
	check_logouts(c->sess);
}

/* ---- Async Messages (RFC 7143 11.9); a drain says its own goodbye (drain.c) ---- */

void session_expel(struct conn *c, const char *why)
{
	if (c->state != CONN_FULL) {
		conn_close(c, CONN_END_FIN, why);
		return;
	}
	(void)isc_send_async(c->isc, ISC_ASYNC_DROP_SESSION, 0, 0, (uint16_t)isc_conn_params(c->isc)->time2wait, 0);
	conn_finish(c, why);
}

void session_drop_conn(struct conn *c, const char *why)
{
	const struct isc_params *p = isc_conn_params(c->isc);
	struct conn *other;

	list_for_each(other, &c->r->conns, link) {
		if (other == c || !other->sess || other->sess != c->sess || other->state != CONN_FULL)
			continue;
		(void)isc_send_async(other->isc, ISC_ASYNC_DROP_CONNECTION, 0, c->cid, (uint16_t)p->time2wait,
				     p->erl == 2 ? (uint16_t)p->time2retain : 0);
		break;
	}
	conn_lose(c, CONN_END_RST, why);
}

static void end(struct conn *c, const char *why)
{
	if (c->state == CONN_LOST)
		conn_close(c, CONN_END_FIN, why);
	else
		conn_finish(c, why);
}

void session_finish(struct session *s, const char *why)
{
	struct conn *c, *tmp;

	list_for_each_safe(c, tmp, &s->r->conns, link)
		if (c->sess == s)
			end(c, why);
}
