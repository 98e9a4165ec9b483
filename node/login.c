/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * login.c - who may log in, and the way through the control thread that admits a session
 */
#include <string.h>
#include <syslog.h>

#include "node/node.h"

bool login_allowed(const struct conn *c, const struct target *t, const char *initiator)
{
	const uint8_t *ip;
	size_t len = addr_ip(&c->peer, &ip);

	return conf_allowed(&t->conf->initiators, initiator, ip, len);
}

/* Who has to prove itself here: at a target, or in discovery. NULL: there is no such target, or group, any more */
static const struct chap *chap_of(const struct conn *c, const struct isc_login *who)
{
	const struct view_group *g = view_group(c->r->view, c->group);
	const struct target *t = who->discovery ? NULL : view_find(c->r->view, c->group, who->target);

	if (who->discovery)
		return g ? &g->chap : NULL;
	return t ? &t->chap : NULL;
}

_Static_assert(ISC_CHAP_MD5 == 1 && ISC_CHAP_SHA1 == 2 && ISC_CHAP_SHA256 == 4 && ISC_CHAP_SHA3_256 == 8,
	       "the bits of conf_chap_alg_names[]");

static void ask_for_proof(const struct conn *c, const struct isc_login *who, struct isc_verdict *ret)
{
	const struct view_group *g = view_group(c->r->view, c->group);
	const struct chap *chap = chap_of(c, who);

	ret->chap = chap && chap->conf->n;
	ret->chap_algs = g ? g->conf->chap_algs : 0;
}

bool login_chap(struct isc_conn *isc, const struct isc_login *who, const char *user, struct isc_chap *ret)
{
	const struct conn *c = isc_conn_user(isc);
	const struct chap *chap = chap_of(c, who);
	const uint8_t *ip;
	size_t len = addr_ip(&c->peer, &ip);
	int i = chap ? conf_chap_find(chap->conf, user, who->initiator, ip, len) : -1;

	if (i < 0) {
		/* not by name: people type secrets there */
		rlog(c->r, LOG_WARNING, "%s: the CHAP user that it names is not one here, or not this initiator", c->name);
		return false;
	}
	*ret = (struct isc_chap){
		.secret = chap->secret[i].secret,
		.secret_len = chap->secret[i].secret_len,
		.mutual_user = chap->conf->user[i].mutual_user,
		.mutual_secret = chap->secret[i].mutual,
		.mutual_secret_len = chap->secret[i].mutual_len,
	};
	return true;
}

static bool redirected(const struct conn *c, const struct target *t)
{
	const uint8_t *ip;
	size_t len = addr_ip(&c->local, &ip);

	return conf_redirected(&t->conf->redirect, ip, len, addr_port(&c->local));
}

/* RFC 7143 11.13.5: which status says what. A redirection may come before any proof. */
enum isc_login_status login_lookup(struct isc_conn *isc, const struct isc_login *who, struct isc_verdict *ret)
{
	struct conn *c = isc_conn_user(isc);
	const struct target *t;

	snprintf(c->name + strlen(c->name), sizeof(c->name) - strlen(c->name), " %s", who->initiator);
	c->discovery = who->discovery;
	ask_for_proof(c, who, ret);
	if (who->discovery)
		return view_group(c->r->view, c->group) ? ISC_LOGIN_SUCCESS : ISC_LOGIN_UNAVAILABLE;
	t = view_find(c->r->view, c->group, who->target);
	if (!t) {
		rlog(c->r, LOG_NOTICE, "%s: no target %s at this portal", c->name, who->target);
		return ISC_LOGIN_NOT_FOUND;
	}
	if (!login_allowed(c, t, who->initiator)) {
		rlog(c->r, LOG_WARNING, "%s: not among the initiators of %s", c->name, who->target);
		return ISC_LOGIN_FORBIDDEN;
	}
	if (!who->tsih && redirected(c, t)) {
		rlog(c->r, LOG_INFO, "%s: sent to %s", c->name, t->conf->redirect.text);
		ret->moved_to = t->conf->redirect.text;
		return t->conf->redirect.permanent ? ISC_LOGIN_MOVED_PERM : ISC_LOGIN_MOVED_TEMP;
	}
	ret->alias = t->conf->alias;
	ret->time2wait_as_is = conf_fast_reconnect(t->conf, who->initiator);
	return ISC_LOGIN_SUCCESS;
}

void login_done(struct isc_conn *isc)
{
	struct conn *c = isc_conn_user(isc);
	const struct isc_login *who = isc_conn_login(isc);

	if (!c->discovery) {
		const struct target *t = view_find(c->r->view, c->group, who->target);

		if (!t || !sc_nexus_init(&c->nexus, who->initiator, who->isid, t->port.rtpi)) {
			isc_login_refuse(isc, ISC_LOGIN_NOT_FOUND);
			return;
		}
		if (!login_allowed(c, t, who->initiator)) {  /* the configuration has changed since login_lookup() */
			isc_login_refuse(isc, ISC_LOGIN_FORBIDDEN);
			return;
		}
		snprintf(c->iqn, sizeof(c->iqn), "%s", t->sc.name);
	}
	c->cid = who->cid;
	c->tsih = who->tsih;
	c->max_connections = (uint16_t)isc_connections_max(isc_conn_params(isc));
	conn_set_state(c, CONN_PARKED);
	c->registered = true;
	c->msg_login.run = registry_login;
	control_send(c->r->ctl, &c->msg_login);
}

/* The first of its session. Return: 0, or the status to refuse it with */
static enum isc_login_status lead(struct conn *c, const struct verdict *v)
{
	struct session *s = v->sess;
	const struct target *t = s->discovery ? NULL : view_find(c->r->view, c->group, c->iqn);

	if (!s->discovery && (!t || itls_make(s, t, v->first_ua) < 0))
		return t ? ISC_LOGIN_OUT_OF_RESOURCES : ISC_LOGIN_NOT_FOUND;
	for (size_t i = 0; i < v->n_ua; i++) {
		struct itl *itl = itl_find(s, v->ua[i].lu);

		if (!itl)
			continue;
		sc_ua_add(&itl->sc.ua, v->ua[i].code);
		itl->ua_seq = MAX(itl->ua_seq, v->ua[i].seq);
	}
	isc_login_admit(c->isc, s->tsih);
	if (isc_conn_sess(c->isc))
		session_begin(s, c);
	return ISC_LOGIN_SUCCESS;
}

/* A further one. What may have changed since the control thread looked is looked at again. */
static enum isc_login_status join(struct conn *c, const struct verdict *v)
{
	struct session *s = v->sess;

	if (!s->isc || !s->target || s->logged_out)
		return ISC_LOGIN_NO_SESSION;
	if (!itls_same(s, s->target, &c->peer))
		return ISC_LOGIN_NOT_INCLUDED;
	if (!isc_login_join(c->isc, s->isc))
		session_rejoined(s, c->cid);
	return ISC_LOGIN_SUCCESS;
}

static void admit(struct conn *c, struct verdict *v)
{
	if (!v->status)
		v->status = c->tsih ? join(c, v) : lead(c, v);
	if (v->status) {
		rlog(c->r, LOG_NOTICE, "%s: login refused with status 0x%04x", c->name, v->status);
		isc_login_refuse(c->isc, v->status);
	}
	if (c->state != CONN_PARKED || !isc_conn_full_feature(c->isc))
		return;
	c->sess = v->sess;
	c->recover = true;
	conn_set_state(c, CONN_FULL);
	c->rx_at_us = c->r->ring.now_us;
	if (!c->discovery)
		rlog(c->r, LOG_INFO, "%s: logged in to %s, TSIH %u, CID %u", c->name, c->iqn, v->sess->tsih, c->cid);
}

void login_verdict(struct msg *m, void *reactor)
{
	struct verdict *v = container_of(m, struct verdict, msg);

	(void)reactor;
	if (v->conn->state == CONN_PARKED)
		admit(v->conn, v);
	free(v);
}

/* ---- SendTargets ---- */

/* A target that has moved for good is told where it is now; one that will be back, where to ask for it (11.13.5). */
static void one_target(struct conn *c, const struct target *t, struct isc_targets *list)
{
	const struct conf_group *g = t->conf_group;
	char at[CONF_TARGET_ADDRESS_MAX];

	isc_targets_name(list, t->sc.name);
	if (t->conf->redirect.text && t->conf->redirect.permanent) {
		isc_targets_address(list, t->conf->redirect.text, t->port.tpgt);
		return;
	}
	for (size_t i = 0; i < g->n_portal; i++) {
		struct sockaddr_storage ss;

		(void)conf_sockaddr(&g->portal[i], &ss);
		if (!addr_is_any(&ss))
			isc_targets_address(list, conf_target_address(&g->portal[i], at), t->port.tpgt);
		else if (ss.ss_family == c->local.ss_family && addr_port(&ss) == addr_port(&c->local))
			/* a wildcard: where the initiator has just found us */
			isc_targets_address(list, addr_text(&c->local, at), t->port.tpgt);
	}
}

void login_send_targets(struct isc_conn *isc, const char *name, struct isc_targets *list)
{
	struct conn *c = isc_conn_user(isc);
	const struct view *v = c->r->view;
	const struct isc_login *who = isc_conn_login(isc);

	for (size_t i = 0; i < v->n_target; i++) {
		const struct target *t = &v->target[i];

		if (t->group != c->group || (name && strcasecmp(name, t->sc.name)) || !login_allowed(c, t, who->initiator))
			continue;
		one_target(c, t, list);
	}
}
