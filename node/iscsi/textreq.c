/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * textreq.c - Text requests in full feature phase (RFC 7143 11.10, 11.11, 6.4, appendix C)
 *
 * One at a time. The request's text may come in several PDUs (C bit), and the answer may be longer than one PDU
 * can be: then it goes out in pieces, each with a transfer tag that the initiator sends back to get the next.
 */
#include <stdlib.h>
#include <string.h>

#include "node/iscsi/negotiate.h"
#include "node/iscsi/priv.h"
#include "node/util/util.h"

struct textreq {
	uint32_t itt, ttt;
	bool final;                   /* F bit of the request that is being answered */
	bool answering;
	struct neg neg;               /* of the whole exchange; in force when it ends (6.4) */
	bool named;                   /* @alias is set */
	char alias[ISC_ALIAS_MAX + 1];
	struct text out;
	size_t out_off;
	size_t in_len;
	char in[ISC_TEXT_MAX];
};

struct isc_targets {
	struct text *out;
};

void isc_text_free(struct isc_conn *c)
{
	if (c->text)
		isc_text_wipe(&c->text->out);
	free(c->text);
	c->text = NULL;
}

/* Does it go on with the exchange that is under way? */
static bool goes_on(const struct isc_conn *c, const uint8_t *h)
{
	return c->text && c->text->ttt == pdu_ttt(h) && c->text->itt == pdu_itt(h);
}

static enum isc_reject text_check(struct isc_conn *c, const struct pdu *p)
{
	const uint8_t *h = p->bhs;

	if (pdu_itt(h) == TAG_NONE)
		return ISC_REJECT_INVALID_FIELD;
	if (pdu_final(h) && pdu_continue(h))
		return ISC_REJECT_PROTOCOL;
	if (p->dsl > ISC_TEXT_MAX)
		return ISC_REJECT_RESOURCES;
	if (pdu_ttt(h) == TAG_NONE)
		return 0;
	if (!goes_on(c, h))
		return ISC_REJECT_INVALID_FIELD;
	return c->text->in_len + p->dsl > ISC_TEXT_MAX ? ISC_REJECT_RESOURCES : 0;
}

/* 6.4: what was negotiated becomes effective only now */
static void conclude(struct isc_conn *c, const struct textreq *req)
{
	isc_neg_apply(&req->neg, &c->params);
	if (req->named)
		strcpy(c->login.initiator_alias, req->alias);
}

/* Send the next piece of the answer; the request is over with the last one */
static void answer(struct isc_conn *c)
{
	struct textreq *req = c->text;
	size_t left = req->out.len - req->out_off;
	uint32_t n = (uint32_t)MIN(left, (size_t)c->params.max_send_dsl);
	bool more = n < left, over = req->answering && req->final && !more;
	uint8_t flags = more ? PDU_CONTINUE : over ? PDU_FINAL : 0;
	struct ctl *ctl = isc_ctl_new(OP_TEXT_RSP, flags, req->itt, n);

	if (!over)
		req->ttt = isc_new_ttt(c);
	if (ctl) {
		put_be32(ctl->bhs + O_TTT, over ? TAG_NONE : req->ttt);
		if (n)
			memcpy(ctl->data, req->out.buf + req->out_off, n);
	}
	isc_ctl_send(c, ctl, true);
	req->out_off += n;
	if (over) {
		conclude(c, req);
		isc_text_free(c);
	} else if (!more) {
		isc_text_wipe(&req->out);
		req->out_off = 0;
		req->answering = false;
	}
}

void isc_targets_name(struct isc_targets *list, const char *name)
{
	isc_text_put(list->out, "TargetName", name);
}

void isc_targets_address(struct isc_targets *list, const char *address, uint16_t tpgt)
{
	char value[ISC_VALUE_MAX + 1];

	snprintf(value, sizeof(value), "%s,%u", address, tpgt);
	isc_text_put(list->out, "TargetAddress", value);
}

static bool is_name(const char *s)
{
	return strncmp(s, "iqn.", 4) == 0 || strncmp(s, "eui.", 4) == 0 || strncmp(s, "naa.", 4) == 0;
}

/*
 * Appendix C. A session with a target learns about this target only. There "All" is not to be supported, but
 * initiators ask: they get no more than with the empty value.
 */
static void send_targets(struct isc_conn *c, const char *what, struct text *out)
{
	struct isc_targets list = { .out = out };
	bool all = strcmp(what, "All") == 0;

	if (c->login.discovery && (all || is_name(what)))
		c->ops->send_targets(c, all ? NULL : what, &list);
	else if (!c->login.discovery && (all || !*what || strcmp(what, c->login.target) == 0))
		c->ops->send_targets(c, c->login.target, &list);
	else if (c->login.discovery || !is_name(what))
		isc_text_put(out, "SendTargets", "Reject");
}

/* Return: false if it is no text, or breaks the rules of negotiating */
static bool negotiate(struct isc_conn *c, struct textreq *req)
{
	char *p = req->in, *end = req->in + req->in_len, *key, *value;
	struct neg *n = &req->neg;
	int more;

	memset(n->value, 0, sizeof(n->value));
	while ((more = isc_text_next(&p, end, &key, &value)) > 0) {
		enum neg_result result = isc_neg_key(n, key, value, &req->out);

		if (result == NEG_PROTOCOL)
			return false;
		if (result == NEG_BROKEN)
			isc_text_put(&req->out, key, "Reject");
	}
	if (more < 0)
		return false;
	if (n->value[K_INITIATOR_ALIAS]) {
		strcpy(req->alias, n->value[K_INITIATOR_ALIAS]);  /* not longer than ISC_VALUE_MAX */
		req->named = true;
	}
	if (n->value[K_SEND_TARGETS])
		send_targets(c, n->value[K_SEND_TARGETS], &req->out);
	return true;
}

static void text_whole(struct isc_conn *c, const struct pdu *p)
{
	struct textreq *req = c->text;

	req->final = pdu_final(p->bhs);
	req->answering = true;
	if (negotiate(c, req) && !req->out.bad) {
		req->in_len = 0;
		answer(c);
		return;
	}
	isc_reject(c, p, req->out.bad ? ISC_REJECT_RESOURCES : ISC_REJECT_PROTOCOL);
	isc_text_free(c);
}

static struct textreq *text_new(const struct isc_conn *c, uint32_t itt)
{
	struct textreq *req = malloc(sizeof(*req));

	if (!req)
		return NULL;
	memset(req, 0, offsetof(struct textreq, in));
	req->itt = itt;
	isc_neg_init(&req->neg, &c->cfg);
	req->neg.phase = PH_FULL;
	req->neg.discovery = c->login.discovery;
	isc_text_init(&req->out, ISC_TEXT_REPLY_MAX);
	return req;
}

/* A request without our tag starts anew, whatever was under way (11.10.4) */
static bool begin(struct isc_conn *c, const struct pdu *p)
{
	if (pdu_ttt(p->bhs) != TAG_NONE) {
		if (goes_on(c, p->bhs))
			return true;
		isc_reject(c, p, ISC_REJECT_INVALID_FIELD);
		return false;
	}
	isc_text_free(c);
	c->text = text_new(c, pdu_itt(p->bhs));
	if (!c->text)
		isc_conn_close(c, ISC_CLOSE_RESOURCES, "out of memory for a text request");
	return c->text;
}

static void text_run(struct isc_conn *c, const struct pdu *p)
{
	struct textreq *req;

	if (!begin(c, p))
		return;
	req = c->text;
	if (req->answering) {  /* "go on": more of the answer */
		answer(c);
		return;
	}
	if (p->dsl > sizeof(req->in) - req->in_len) {
		isc_reject(c, p, ISC_REJECT_RESOURCES);
		isc_text_free(c);
		return;
	}
	if (p->dsl)
		memcpy(req->in + req->in_len, p->data, p->dsl);
	req->in_len += p->dsl;
	if (pdu_continue(p->bhs))
		answer(c);  /* empty: "go on" */
	else
		text_whole(c, p);
}

const struct op isc_op_text = {
	.numbered = true, .discovery = true, .data = true, .check = text_check, .run = text_run,
};
