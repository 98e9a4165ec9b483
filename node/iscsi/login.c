/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * login.c - the login phase (RFC 7143 6.3, 11.12, 11.13)
 *
 * Requests and responses alternate. A request's text may be cut over several (C bit), each answered with an empty
 * response; when it is whole its keys are negotiated in the stage that the request names, and the answer is one
 * response. A stage is left when the initiator asks (T bit) and nothing is missing: then the response has T too. The
 * response that would enter full feature phase is held (CONN_PARKED) until the server admits or refuses.
 * Whatever is wrong ends the login: a response with the status, then close.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "node/iscsi/negotiate.h"
#include "node/iscsi/recover.h"
#include "node/iscsi/security.h"
#include "node/util/util.h"

struct login {
	struct neg neg;
	struct security sec;
	bool started;                 /* the first request was seen: @first holds its header */
	bool identified;              /* ops->lookup() was asked */
	bool declared;                /* our MaxRecvDataSegmentLength is told */
	uint8_t stage;                /* enum login_stage */
	unsigned rounds;
	uint32_t itt;
	uint8_t reply;                /* flags of the response that is held */
	uint8_t first[BHS_LEN];
	struct text out;
	size_t in_len;
	char in[ISC_TEXT_MAX];
};

static uint8_t csg_of(const uint8_t *h) { return h[O_FLAGS] >> 2 & 3; }
static uint8_t nsg_of(const uint8_t *h) { return h[O_FLAGS] & 3; }
static bool transit_of(const uint8_t *h) { return h[O_FLAGS] & PDU_TRANSIT; }

void isc_login_free(struct isc_conn *c)
{
	if (!c->lg)
		return;
	isc_text_wipe(&c->lg->out);
	explicit_bzero(c->lg, sizeof(*c->lg));
	free(c->lg);
	c->lg = NULL;
}

/* ---- responses ---- */

static struct ctl *response_new(struct isc_conn *c, uint8_t flags, const struct text *text)
{
	size_t len = text ? text->len : 0;
	struct ctl *ctl = isc_ctl_new(OP_LOGIN_RSP, flags, c->lg->itt, (uint32_t)len);

	if (!ctl)
		return NULL;
	memcpy(ctl->bhs + O_LOGIN_ISID, c->login.isid, sizeof(c->login.isid));
	put_be16(ctl->bhs + O_LOGIN_TSIH, c->login.tsih);
	if (len)
		memcpy(ctl->data, text->buf, len);
	return ctl;
}

/* The text waits in lg->out. */
static void respond(struct isc_conn *c, uint8_t flags)
{
	isc_ctl_send(c, response_new(c, flags, &c->lg->out), true);
	isc_text_wipe(&c->lg->out);
}

static const struct { uint16_t status; const char *what; } refusals[] = {
	{ ISC_LOGIN_AUTH_FAILED, "login refused: authentication failed" },
	{ ISC_LOGIN_FORBIDDEN, "login refused: initiator not allowed" },
	{ ISC_LOGIN_NOT_FOUND, "login refused: no such target" },
	{ ISC_LOGIN_BAD_VERSION, "login refused: protocol version not supported" },
	{ ISC_LOGIN_MISSING_PARAM, "login refused: InitiatorName or TargetName missing" },
	{ ISC_LOGIN_INVALID, "login refused: not a login request" },
	{ ISC_LOGIN_INITIATOR_ERROR, "login refused: the initiator broke the rules of login" },
	{ ISC_LOGIN_TOO_MANY_CONNS, "login refused: too many connections in the session" },
	{ ISC_LOGIN_NOT_INCLUDED, "login refused: the connection cannot be included in the session" },
	{ ISC_LOGIN_NO_SESSION, "login refused: no such session" },
	{ ISC_LOGIN_UNAVAILABLE, "login refused: service unavailable" },
	{ ISC_LOGIN_TARGET_ERROR, "login refused: the CHAP secrets for it cannot be used (both directions the same?)" },
};

static const char *refusal(enum isc_login_status status)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (refusals[i].status == status)
			return refusals[i].what;
	return "login refused";
}

/* @text: what goes with it (TargetAddress), or NULL */
static void refuse(struct isc_conn *c, enum isc_login_status status, const struct text *text)
{
	struct ctl *ctl = response_new(c, 0, text);

	if (ctl)
		put_be16(ctl->bhs + O_LOGIN_STATUS, (uint16_t)status);
	isc_ctl_send(c, ctl, true);
	isc_login_free(c);
	isc_conn_close(c, ISC_CLOSE_LOGIN_REFUSED, refusal(status));
}

/* ---- one request ---- */

static enum isc_login_status header_check(const struct login *lg, const struct pdu *p)
{
	const uint8_t *h = p->bhs;

	if (pdu_opcode(h) != OP_LOGIN)
		return ISC_LOGIN_INVALID;
	if (h[O_LOGIN_VERSION_MIN] > 0)
		return ISC_LOGIN_BAD_VERSION;
	if (p->ahs_len || lg->rounds > ISC_LOGIN_ROUNDS_MAX)
		return ISC_LOGIN_INITIATOR_ERROR;
	if (transit_of(h) && pdu_continue(h))
		return ISC_LOGIN_INITIATOR_ERROR;
	if (csg_of(h) > STAGE_OPERATIONAL)
		return ISC_LOGIN_INITIATOR_ERROR;
	if (transit_of(h) && (nsg_of(h) == 2 || nsg_of(h) <= csg_of(h)))
		return ISC_LOGIN_INITIATOR_ERROR;
	if (!lg->started)
		return ISC_LOGIN_SUCCESS;
	if (csg_of(h) != lg->stage)
		return ISC_LOGIN_INITIATOR_ERROR;
	if (memcmp(h + O_LOGIN_ISID, lg->first + O_LOGIN_ISID, 8) != 0 ||  /* ISID and TSIH */
	    memcmp(h + O_LOGIN_CID, lg->first + O_LOGIN_CID, 2) != 0)
		return ISC_LOGIN_INITIATOR_ERROR;
	return ISC_LOGIN_SUCCESS;
}

static void start(struct isc_conn *c, struct login *lg, const uint8_t *h)
{
	lg->started = true;
	lg->stage = csg_of(h);
	memcpy(lg->first, h, BHS_LEN);
	memcpy(c->login.isid, h + O_LOGIN_ISID, sizeof(c->login.isid));
	c->login.tsih = get_be16(h + O_LOGIN_TSIH);
	c->login.cid = get_be16(h + O_LOGIN_CID);
	c->statsn = get_be32(h + O_EXP_STATSN);
}

/* Some keys decide how others are answered, wherever they stand in the text */
static bool says(const char *text, size_t len, const char *want)
{
	for (const char *p = text, *end = text + len, *nul; p < end; p = nul + 1) {
		nul = memchr(p, '\0', (size_t)(end - p));
		if (!nul)
			return false;
		if (strcmp(p, want) == 0)
			return true;
	}
	return false;
}

static enum isc_login_status keys(struct login *lg)
{
	char *p = lg->in, *end = lg->in + lg->in_len, *key, *value;
	int more;

	memset(lg->neg.value, 0, sizeof(lg->neg.value));
	lg->neg.phase = lg->stage == STAGE_SECURITY ? PH_SECURITY : PH_OPERATIONAL;
	while ((more = isc_text_next(&p, end, &key, &value)) > 0)
		if (isc_neg_key(&lg->neg, key, value, &lg->out) != NEG_OK)
			return ISC_LOGIN_INITIATOR_ERROR;
	return more < 0 ? ISC_LOGIN_INITIATOR_ERROR : ISC_LOGIN_SUCCESS;
}

static bool take_name(char to[ISC_NAME_MAX + 1], const char *name)
{
	size_t len = name ? strlen(name) : 0;

	if (!len || len > ISC_NAME_MAX)
		return false;
	memcpy(to, name, len + 1);
	return true;
}

/* 6.3.1, 13.4, 13.5, 13.21: who, where to, and what for */
static enum isc_login_status take_names(struct isc_conn *c, const struct neg *n)
{
	const char *type = n->value[K_SESSION_TYPE];

	if (type && strcmp(type, "Normal") != 0 && strcmp(type, "Discovery") != 0)
		return ISC_LOGIN_BAD_SESSION_TYPE;
	c->login.discovery = n->discovery;
	if (!n->value[K_INITIATOR_NAME] || (!n->value[K_TARGET_NAME] && !n->discovery))
		return ISC_LOGIN_MISSING_PARAM;
	if (!take_name(c->login.initiator, n->value[K_INITIATOR_NAME]))
		return ISC_LOGIN_INITIATOR_ERROR;
	if (n->value[K_TARGET_NAME] && !take_name(c->login.target, n->value[K_TARGET_NAME]))
		return ISC_LOGIN_NOT_FOUND;
	return ISC_LOGIN_SUCCESS;
}

/*
 * Said once, that is (6.3). But libiscsi says who it is in both stages if it has CHAP credentials and none are wanted:
 * the same again is as good as nothing.
 */
static bool same_names(const struct isc_login *who, const struct neg *n)
{
	const char *initiator = n->value[K_INITIATOR_NAME], *target = n->value[K_TARGET_NAME];
	const char *type = n->value[K_SESSION_TYPE];

	return (!initiator || strcmp(initiator, who->initiator) == 0) &&
	       (!target || strcmp(target, who->target) == 0) &&
	       (!type || strcmp(type, who->discovery ? "Discovery" : "Normal") == 0);
}

/* What the first whole request has to tell, and the server's verdict. Return: as refuse() wants it; may refuse itself */
static enum isc_login_status identify(struct isc_conn *c, struct login *lg)
{
	struct isc_verdict v = { .chap = false };
	enum isc_login_status status = take_names(c, &lg->neg);

	if (!status && c->login.tsih && c->login.discovery)  /* 4.3: has one connection */
		status = ISC_LOGIN_NO_SESSION;
	if (status)
		return status;
	lg->identified = true;
	status = c->ops->lookup(c, &c->login, &v);
	if (status) {
		isc_text_wipe(&lg->out);
		if (status >> 8 == 1 && v.moved_to)
			isc_text_put(&lg->out, "TargetAddress", v.moved_to);
		return status;
	}
	lg->sec.chap = v.chap;
	if (v.chap_algs)
		lg->sec.algs = v.chap_algs;
	lg->neg.time2wait_as_is = v.time2wait_as_is;
	if (!lg->neg.discovery)
		isc_text_put_num(&lg->out, "TargetPortalGroupTag", c->login.tpgt);
	if (v.alias)
		isc_text_put(&lg->out, "TargetAlias", v.alias);
	return ISC_LOGIN_SUCCESS;
}

static enum isc_login_status security_stage(struct isc_conn *c, struct login *lg, bool leave)
{
	const char *name = lg->neg.value[K_CHAP_N];
	uint8_t fresh[1 + CHAP_DIGEST_MAX];
	struct isc_chap user = { .secret = NULL };
	enum isc_login_status status;
	bool known;

	c->ops->random(c, fresh, sizeof(fresh));
	known = name && lg->sec.state == SEC_RESPONSE && c->ops->chap(c, &c->login, name, &user);
	status = isc_security_step(&lg->sec, &lg->neg, fresh, leave, known ? &user : NULL, &lg->out);
	if (lg->sec.proved && !c->login.chap_done) {
		c->login.chap_done = true;
		strcpy(c->login.chap_user, name);  /* not longer than ISC_VALUE_MAX */
	}
	return status;
}

static enum isc_login_status operational_stage(struct isc_conn *c, struct login *lg)
{
	if (isc_security_required(&lg->sec))
		return ISC_LOGIN_AUTH_FAILED;
	if (!lg->declared) {
		lg->declared = true;
		isc_text_put_num(&lg->out, "MaxRecvDataSegmentLength", c->cfg.max_recv_dsl);
	}
	return ISC_LOGIN_SUCCESS;
}

/* The request's text is whole */
static enum isc_login_status negotiate(struct isc_conn *c, struct login *lg, const uint8_t *h)
{
	enum isc_login_status status;
	const char *alias;

	lg->neg.further = c->login.tsih;
	if (!lg->identified)
		lg->neg.discovery = says(lg->in, lg->in_len, "SessionType=Discovery");
	lg->neg.recovers |= says(lg->in, lg->in_len, "ErrorRecoveryLevel=1") ||
			    says(lg->in, lg->in_len, "ErrorRecoveryLevel=2");
	status = keys(lg);
	if (!status && lg->identified && !same_names(&c->login, &lg->neg))
		status = ISC_LOGIN_INITIATOR_ERROR;
	if (!status && !lg->identified)
		status = identify(c, lg);
	if (!status)
		isc_neg_close(&lg->neg, &lg->out);
	if (!status && lg->stage == STAGE_SECURITY)
		status = security_stage(c, lg, transit_of(h));
	else if (!status)
		status = operational_stage(c, lg);
	alias = lg->neg.value[K_INITIATOR_ALIAS];
	if (!status && alias)
		strcpy(c->login.initiator_alias, alias);  /* not longer than ISC_VALUE_MAX */
	lg->in_len = 0;
	return !status && lg->out.bad ? ISC_LOGIN_OUT_OF_RESOURCES : status;
}

_Static_assert((int)ISC_VALUE_MAX <= (int)ISC_ALIAS_MAX && (int)ISC_VALUE_MAX <= (int)ISC_SECRET_MAX, "values fit");

static void park(struct isc_conn *c, struct login *lg, uint8_t flags)
{
	lg->reply = flags;
	isc_neg_apply(&lg->neg, &c->params);
	if (lg->declared)
		c->params.max_recv_dsl = c->cfg.max_recv_dsl;
	isc_conn_set_state(c, CONN_PARKED);
	c->ops->login_done(c);
}

/* Answer, and go on to the next stage if the initiator asked and nothing is missing */
static void advance(struct isc_conn *c, struct login *lg, const uint8_t *h)
{
	uint8_t flags = (uint8_t)(lg->stage << 2);

	if (transit_of(h) && !isc_security_required(&lg->sec)) {
		flags |= PDU_TRANSIT | nsg_of(h);
		lg->stage = nsg_of(h);
	}
	if (lg->stage == STAGE_FULL)
		park(c, lg, flags);
	else
		respond(c, flags);
}

static enum isc_login_status request(struct isc_conn *c, struct login *lg, const struct pdu *p)
{
	enum isc_login_status status;

	lg->itt = pdu_itt(p->bhs);
	lg->rounds++;
	status = header_check(lg, p);
	if (status)
		return status;
	if (!lg->started)
		start(c, lg, p->bhs);
	c->login_cmdsn = pdu_cmdsn(p->bhs);
	if (p->dsl > sizeof(lg->in) - lg->in_len)
		return ISC_LOGIN_OUT_OF_RESOURCES;
	if (p->dsl)
		memcpy(lg->in + lg->in_len, p->data, p->dsl);
	lg->in_len += p->dsl;
	if (pdu_continue(p->bhs)) {
		respond(c, (uint8_t)(lg->stage << 2));
		return ISC_LOGIN_SUCCESS;
	}
	status = negotiate(c, lg, p->bhs);
	if (!status)
		advance(c, lg, p->bhs);
	return status;
}

static struct login *login_new(struct isc_conn *c)
{
	struct login *lg = calloc(1, sizeof(*lg));

	if (!lg)
		return NULL;
	isc_neg_init(&lg->neg, &c->cfg);
	lg->sec.algs = c->cfg.chap_algs;
	isc_text_init(&lg->out, ISC_LOGIN_PDU_MAX);
	return lg;
}

void isc_login_pdu(struct isc_conn *c, const struct pdu *p)
{
	enum isc_login_status status;

	if (!c->lg)
		c->lg = login_new(c);
	if (!c->lg) {
		isc_conn_close(c, ISC_CLOSE_RESOURCES, "out of memory for a login");
		return;
	}
	status = request(c, c->lg, p);
	if (status && c->state != CONN_CLOSING)
		refuse(c, status, status >> 8 == 1 ? &c->lg->out : NULL);
}

/* ---- the server's decision ---- */

static void enter(struct isc_conn *c)
{
	respond(c, c->lg->reply);
	isc_login_free(c);
	if (c->state == CONN_PARKED)  /* still: no memory for the response closes */
		isc_conn_set_state(c, CONN_FULL);
}

void isc_login_admit(struct isc_conn *c, uint16_t tsih)
{
	if (c->state != CONN_PARKED)
		return;
	c->login.tsih = tsih ? tsih : 1;
	if (isc_sess_new(c) && !isc_retain_init(c))
		enter(c);
	else
		refuse(c, ISC_LOGIN_OUT_OF_RESOURCES, NULL);
}

/* 6.3.1: ISID and TSIH are a session's only together with the initiator's name, and within the target port */
static bool same_ports(const struct isc_login *a, const struct isc_login *b)
{
	return memcmp(a->isid, b->isid, sizeof(a->isid)) == 0 && strcasecmp(a->initiator, b->initiator) == 0 &&
	       strcasecmp(a->target, b->target) == 0 && a->tpgt == b->tpgt && a->tsih == b->tsih;
}

static enum isc_login_status check_join(const struct isc_conn *c, const struct isc_sess *s)
{
	if (!same_ports(&c->login, &s->who))
		return ISC_LOGIN_NO_SESSION;
	if (strcmp(c->login.chap_user, s->who.chap_user) != 0)   /* a secret of one's own is no way into another's session */
		return ISC_LOGIN_AUTH_FAILED;
	if (isc_sess_find(s, c->login.cid))
		return ISC_LOGIN_NOT_INCLUDED;
	return s->n_conns < isc_connections_max(&s->params) ? ISC_LOGIN_SUCCESS : ISC_LOGIN_TOO_MANY_CONNS;
}

/* The session's, but what 13 has for each connection */
static void take_params(struct isc_conn *c, const struct isc_sess *s)
{
	struct isc_params own = c->params;

	c->params = s->params;
	c->params.max_recv_dsl = own.max_recv_dsl;
	c->params.max_send_dsl = own.max_send_dsl;
	c->params.header_digest = own.header_digest;
	c->params.data_digest = own.data_digest;
}

enum isc_login_status isc_login_join(struct isc_conn *c, struct isc_sess *s)
{
	enum isc_login_status status;

	if (c->state != CONN_PARKED)
		return ISC_LOGIN_INVALID;
	status = check_join(c, s);
	if (status) {
		refuse(c, status, NULL);
		return status;
	}
	take_params(c, s);
	if (isc_retain_init(c)) {
		refuse(c, ISC_LOGIN_OUT_OF_RESOURCES, NULL);
		return ISC_LOGIN_OUT_OF_RESOURCES;
	}
	isc_sess_join(s, c);
	isc_lost_cleaned(s, c->login.cid);
	enter(c);
	return ISC_LOGIN_SUCCESS;
}

void isc_login_refuse(struct isc_conn *c, enum isc_login_status status)
{
	if (c->state == CONN_PARKED)
		refuse(c, status, NULL);
}
