/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * security.c - AuthMethod, then CHAP (RFC 7143 12.1.3):
 *
 *	initiator                       target
 *	AuthMethod=CHAP,None            AuthMethod=CHAP
 *	CHAP_A=7,5                      CHAP_A=7  CHAP_I=<id>  CHAP_C=<challenge>
 *	CHAP_N=… CHAP_R=…               (login goes on)
 *	  [CHAP_I=… CHAP_C=…]             [CHAP_N=… CHAP_R=…]       mutual
 *
 * Keys out of this order, or of another exchange, fail the login: nothing of it is guessed.
 */
#include <string.h>

#include "node/iscsi/security.h"
#include "node/util/util.h"

/* struct round - One request and what there is to answer it with */
struct round {
	const struct neg *n;
	const uint8_t *fresh;
	const struct isc_chap *user;
	struct text *out;
};

bool isc_security_required(const struct security *s)
{
	return s->chap && !s->proved;
}

static bool list_has(const char *list, const char *what)
{
	const char *v;
	size_t len;

	while ((v = isc_list_next(&list, &len)))
		if (len == strlen(what) && memcmp(v, what, len) == 0)
			return true;
	return false;
}

static enum isc_login_status step_method(struct security *s, const struct round *r)
{
	const char *want = s->chap ? "CHAP" : "None";

	if (!r->n->value[K_AUTH_METHOD])
		return 0;
	if (!list_has(r->n->value[K_AUTH_METHOD], want))
		return ISC_LOGIN_AUTH_FAILED;
	isc_text_put(r->out, "AuthMethod", want);
	s->state = s->chap ? SEC_ALGORITHM : SEC_DONE;
	return 0;
}

static enum isc_login_status step_algorithm(struct security *s, const struct round *r)
{
	size_t len;

	s->alg = r->n->value[K_CHAP_A] ? isc_chap_choose(r->n->value[K_CHAP_A], s->algs) : NULL;
	if (!s->alg)
		return ISC_LOGIN_AUTH_FAILED;
	len = isc_chap_size(s->alg);
	s->id = r->fresh[0];
	memcpy(s->challenge, r->fresh + 1, len);
	isc_text_put_num(r->out, "CHAP_A", isc_chap_number(s->alg));
	isc_text_put_num(r->out, "CHAP_I", s->id);
	isc_text_put_bin(r->out, "CHAP_C", s->challenge, len);
	s->state = SEC_RESPONSE;
	return 0;
}

/* Worked out for users that do not exist too, so that the time does not tell whether the name or the proof was wrong. */
static bool proof_ok(const struct security *s, const struct round *r)
{
	static const struct isc_chap nobody = { .secret = "nobody", .secret_len = 6 };
	const struct isc_chap *user = r->user ? r->user : &nobody;
	uint8_t want[CHAP_DIGEST_MAX], got[CHAP_DIGEST_MAX];
	size_t len = isc_chap_size(s->alg);
	bool proof;

	if (!r->n->value[K_CHAP_N] || !r->n->value[K_CHAP_R] ||
	    isc_bin(r->n->value[K_CHAP_R], got, len) != (ssize_t)len)
		return false;
	isc_chap_digest(s->alg, s->id, user->secret, user->secret_len, s->challenge, len, want);
	proof = isc_chap_equal(want, got, len);
	return proof && r->user;
}

/* Prove ourselves. A challenge that is ours sent back would make us compute the initiator's answer for it (9.2.1). */
static bool mutual(const struct security *s, const struct round *r)
{
	const char *theirs = r->n->value[K_CHAP_C], *number = r->n->value[K_CHAP_I];
	uint8_t challenge[CHAP_CHALLENGE_MAX], digest[CHAP_DIGEST_MAX];
	size_t len = isc_chap_size(s->alg);
	ssize_t got;
	uint64_t id;

	if (!number && !theirs)
		return true;
	if (!number || !theirs || !r->user->mutual_user)
		return false;
	got = isc_bin(theirs, challenge, sizeof(challenge));
	if (got < 1 || !isc_num(number, &id) || id > 255)
		return false;
	if ((size_t)got == len && isc_chap_equal(challenge, s->challenge, len))
		return false;
	isc_chap_digest(s->alg, (uint8_t)id, r->user->mutual_secret, r->user->mutual_secret_len, challenge, (size_t)got,
			digest);
	isc_text_put(r->out, "CHAP_N", r->user->mutual_user);
	isc_text_put_bin(r->out, "CHAP_R", digest, len);
	return true;
}

static enum isc_login_status step_response(struct security *s, const struct round *r)
{
	if (!proof_ok(s, r) || !mutual(s, r))
		return ISC_LOGIN_AUTH_FAILED;
	s->proved = true;
	s->state = SEC_DONE;
	return 0;
}

static enum isc_login_status step_done(struct security *s, const struct round *r)
{
	(void)s;
	(void)r;
	return 0;
}

#define KEY(id) (1u << (id))

/* What each state does, and which security keys it may be given */
static const struct {
	enum isc_login_status (*step)(struct security *s, const struct round *r);
	uint32_t keys;
} states[] = {
	[SEC_METHOD] = { step_method, KEY(K_AUTH_METHOD) },
	[SEC_ALGORITHM] = { step_algorithm, KEY(K_CHAP_A) },
	[SEC_RESPONSE] = { step_response, KEY(K_CHAP_N) | KEY(K_CHAP_R) | KEY(K_CHAP_I) | KEY(K_CHAP_C) },
	[SEC_DONE] = { step_done, 0 },
};

static bool secret_ok(const void *secret, size_t len)
{
	return secret && len && len <= ISC_SECRET_MAX;
}

/* What the server should not have configured; one secret for both directions lets either side be the other (9.2.1) */
static bool usable(const struct isc_chap *u)
{
	if (!secret_ok(u->secret, u->secret_len))
		return false;
	if (!u->mutual_user)
		return true;
	return *u->mutual_user && strlen(u->mutual_user) <= ISC_SECRET_MAX &&
	       secret_ok(u->mutual_secret, u->mutual_secret_len) &&
	       (u->secret_len != u->mutual_secret_len || !isc_chap_equal(u->secret, u->mutual_secret, u->secret_len));
}

enum isc_login_status isc_security_step(struct security *s, const struct neg *n, const uint8_t *fresh, bool leave,
					const struct isc_chap *user, struct text *out)
{
	struct round r = { n, fresh, user, out };
	enum isc_login_status status;

	for (int id = K_AUTH_METHOD; id <= K_CHAP_R; id++)
		if (n->value[id] && !(states[s->state].keys & KEY(id)))
			return ISC_LOGIN_AUTH_FAILED;
	if (user && !usable(user))
		return ISC_LOGIN_TARGET_ERROR;
	status = states[s->state].step(s, &r);
	if (!status && leave && s->state == SEC_METHOD && s->chap)
		return ISC_LOGIN_AUTH_FAILED;  /* wants to leave without having proved anything */
	return status;
}
