/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_chap.c - CHAP: digests against independent values, one-way and mutual logins, and each way to fail (12.1.3) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"
#include "node/iscsi/chap.h"

#define WHO "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n"
#define SECRET "secretsecret1"
#define OUR_SECRET "oursecretours2"

/* digest(0x17 | "secretsecret1" | 00 01 … 0f), computed with Python's hashlib */
static void vectors(void **state)
{
	static const struct { const char *list; unsigned number; size_t size; const char *hex; } t[] = {
		{ "5", 5, 16, "0x340b0fd5bfcb7192f50ef966404d6f16" },
		{ "6", 6, 20, "0x197ebc6c455ac03c59899d2e811525cee80fe9d8" },
		{ "7", 7, 32, "0xdead788d95087b92a21231c84b9b5b90217e49d0c56f1fb81a2200279981bcd7" },
		{ "8", 8, 32, "0x078fb4e40ed5d238379ce5b9596c0f430e5b4283a90f32748debe3c1f5ecc79b" },
	};
	uint8_t challenge[16], out[CHAP_DIGEST_MAX], want[CHAP_DIGEST_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(challenge); i++)
		challenge[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const struct chap_alg *alg = isc_chap_choose(t[i].list, ISC_CHAP_ANY);

		assert_non_null(alg);
		assert_int_equal(isc_chap_number(alg), t[i].number);
		assert_int_equal(isc_chap_size(alg), t[i].size);
		isc_chap_digest(alg, 0x17, SECRET, strlen(SECRET), challenge, sizeof(challenge), out);
		assert_int_equal(isc_bin(t[i].hex, want, sizeof(want)), t[i].size);
		assert_memory_equal(out, want, t[i].size);
	}
}

static void choice(void **state)
{
	static const struct { const char *list; uint8_t allowed; unsigned number; } t[] = {
		{ "7,5", ISC_CHAP_ANY, 7 }, { "5,7", ISC_CHAP_ANY, 5 }, { "5,7", ISC_CHAP_SHA256, 7 },
		{ "8", ISC_CHAP_ANY, 8 }, { "0x6", ISC_CHAP_ANY, 6 }, { "9,,6", ISC_CHAP_ANY, 6 },
		{ "5", ISC_CHAP_SHA1, 0 }, { "9", ISC_CHAP_ANY, 0 }, { "", ISC_CHAP_ANY, 0 },
		{ "md5", ISC_CHAP_ANY, 0 }, { "50000000000000005", ISC_CHAP_ANY, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const struct chap_alg *alg = isc_chap_choose(t[i].list, t[i].allowed);

		assert_int_equal(alg ? isc_chap_number(alg) : 0, t[i].number);
	}
}

static void set_user(struct peer *p, const char *name, const char *secret, bool mutual)
{
	p->verdict.chap = true;
	p->users[p->n_users].name = name;
	p->users[p->n_users].chap = (struct isc_chap){ .secret = secret, .secret_len = strlen(secret) };
	if (mutual) {
		p->users[p->n_users].chap.mutual_user = "store";
		p->users[p->n_users].chap.mutual_secret = OUR_SECRET;
		p->users[p->n_users].chap.mutual_secret_len = strlen(OUR_SECRET);
	}
	p->n_users++;
}

static struct peer *chap_peer(bool mutual)
{
	struct peer *p = peer_new();

	set_user(p, "hv", SECRET, mutual);
	peer_start(p);
	return p;
}

static void want_refused(struct peer *p)
{
	struct reply r;

	peer_want(p, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), ISC_LOGIN_AUTH_FAILED);
	assert_int_equal(r.len, 0);
	assert_int_equal(p->why, ISC_CLOSE_LOGIN_REFUSED);
	assert_int_equal(p->logins, 0);
	peer_free(p);
}

static void want_stage(struct peer *p, uint8_t flags, struct reply *r)
{
	peer_want(p, OP_LOGIN_RSP, r);
	assert_int_equal(get_be16(r->h + O_LOGIN_STATUS), 0);
	assert_int_equal(r->h[O_FLAGS], flags);
}

/* struct exchange - The target's challenge, as the initiator got it */
struct exchange {
	const struct chap_alg *alg;
	uint8_t id;
	uint8_t challenge[64];
	size_t len;
};

static void to_challenge(struct peer *p, const char *alg, struct exchange *x)
{
	struct reply r;
	uint64_t id;
	ssize_t len;
	char keys[64];

	/* T is asked for early on, and not granted (6.3.2) */
	peer_login(p, 0, 1, false, WHO "AuthMethod=CHAP,None\n");
	want_stage(p, 0, &r);
	assert_string_equal(peer_value(&r, "AuthMethod"), "CHAP");
	snprintf(keys, sizeof(keys), "CHAP_A=%s\n", alg);
	peer_login(p, 0, -1, false, keys);
	want_stage(p, 0, &r);
	x->alg = isc_chap_choose(peer_value(&r, "CHAP_A"), ISC_CHAP_ANY);
	assert_non_null(x->alg);
	assert_true(isc_num(peer_value(&r, "CHAP_I"), &id));
	x->id = (uint8_t)id;
	len = isc_bin(peer_value(&r, "CHAP_C"), x->challenge, sizeof(x->challenge));
	assert_true(len >= CHAP_CHALLENGE_MIN);
	x->len = (size_t)len;
}

/* CHAP_N and CHAP_R for @secret, then @more */
static void respond(struct peer *p, const struct exchange *x, const char *name, const char *secret, const char *more)
{
	uint8_t digest[CHAP_DIGEST_MAX];
	struct text t;
	char keys[4096];
	size_t n = 0;

	isc_chap_digest(x->alg, x->id, secret, strlen(secret), x->challenge, x->len, digest);
	isc_text_init(&t, sizeof(keys));
	isc_text_put(&t, "CHAP_N", name);
	isc_text_put_bin(&t, "CHAP_R", digest, isc_chap_size(x->alg));
	for (; n < t.len; n++)
		keys[n] = t.buf[n] ? t.buf[n] : '\n';
	snprintf(keys + n, sizeof(keys) - n, "%s", more);
	isc_text_wipe(&t);
	peer_login(p, 0, 1, false, keys);
}

static void one_way(void **state)
{
	static const char *const algs[] = { "5", "6", "7", "8", "7,5" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		struct peer *p = chap_peer(false);
		struct exchange x;
		struct reply r;

		to_challenge(p, algs[i], &x);
		respond(p, &x, "hv", SECRET, "");
		want_stage(p, PDU_TRANSIT | 1, &r);
		assert_null(peer_value(&r, "CHAP_R"));
		peer_login(p, 1, 3, false, "");
		want_stage(p, PDU_TRANSIT | 1 << 2 | 3, &r);
		assert_true(isc_conn_login(p->c)->chap_done);
		assert_string_equal(isc_conn_login(p->c)->chap_user, "hv");
		peer_free(p);
	}
}

/* The target proves itself too; the challenge comes in either encoding */
static void mutual(void **state)
{
	static const char *const challenges[] = {
		"0x000102030405060708090a0b0c0d0e0f", "0bAAECAwQFBgcICQoLDA0ODw==",
		"0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",  /* as long as ours */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(challenges); i++) {
		struct peer *p = chap_peer(true);
		size_t len = i == 2 ? 32 : 16;
		uint8_t challenge[32], want[CHAP_DIGEST_MAX], got[CHAP_DIGEST_MAX];
		struct exchange x;
		struct reply r;
		char more[128];

		to_challenge(p, "7", &x);
		snprintf(more, sizeof(more), "CHAP_I=255\nCHAP_C=%s\n", challenges[i]);
		respond(p, &x, "hv", SECRET, more);
		want_stage(p, PDU_TRANSIT | 1, &r);
		assert_string_equal(peer_value(&r, "CHAP_N"), "store");
		for (size_t b = 0; b < sizeof(challenge); b++)
			challenge[b] = (uint8_t)b;
		isc_chap_digest(x.alg, 255, OUR_SECRET, strlen(OUR_SECRET), challenge, len, want);
		assert_int_equal(isc_bin(peer_value(&r, "CHAP_R"), got, sizeof(got)), 32);
		assert_memory_equal(got, want, 32);
		peer_free(p);
	}
}

/* Identifier and challenge are what ops->random() gave: other bytes each time (RFC 1994 2.3) */
static void fresh(void **state)
{
	(void)state;
	for (uint8_t n = 0; n < 3; n++) {
		struct peer *p = chap_peer(false);
		struct exchange x;

		p->random = (uint8_t)(n * 50);
		to_challenge(p, "7", &x);
		assert_int_equal(x.len, 32);
		assert_int_equal(x.id, 0x40 + n * 50);
		for (size_t i = 0; i < x.len; i++)
			assert_int_equal(x.challenge[i], (uint8_t)(0x41 + n * 50 + i));
		peer_free(p);
	}
}

/* A name or secret that the server should not have configured is an error of the target */
static void bad_credentials(void **state)
{
	char name[ISC_SECRET_MAX + 2];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 8; i++) {
		struct peer *p = chap_peer(true);
		struct isc_chap *u = &p->users[0].chap;
		struct exchange x;
		struct reply r;

		if (i == 0)
			u->secret = NULL;
		else if (i == 1)
			u->secret_len = 0;
		else if (i == 2)
			u->secret_len = ISC_SECRET_MAX + 1;
		else if (i == 3)
			u->mutual_user = name;
		else if (i == 4)
			u->mutual_user = "";
		else if (i == 5)
			u->mutual_secret = NULL;
		else if (i == 6)
			u->mutual_secret = u->secret, u->mutual_secret_len = u->secret_len;  /* 9.2.1 */
		else
			u->mutual_user = name + 1;  /* the longest there may be */
		to_challenge(p, "7", &x);
		respond(p, &x, "hv", SECRET, "");
		peer_want(p, OP_LOGIN_RSP, &r);
		assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), i == 7 ? 0 : ISC_LOGIN_TARGET_ERROR);
		peer_free(p);
	}
}

/* Several users: each with its own secret, and no other's */
static void several_users(void **state)
{
	static const struct { const char *user, *secret; bool ok; } t[] = {
		{ "hv", SECRET, true }, { "backup", "another-secret", true }, { "hv", "another-secret", false },
		{ "backup", SECRET, false }, { "Backup", "another-secret", false }, { "backu", "another-secret", false },
		{ "none", SECRET, false }, { "none", "nobody", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = chap_peer(false);
		struct exchange x;
		struct reply r;

		set_user(p, "backup", "another-secret", true);
		to_challenge(p, "8", &x);
		assert_int_equal(p->chaps, 0);  /* nobody is looked up before the proof */
		respond(p, &x, t[i].user, t[i].secret, "");
		assert_int_equal(p->chaps, 1);
		if (!t[i].ok) {
			want_refused(p);
			continue;
		}
		want_stage(p, PDU_TRANSIT | 1, &r);
		assert_string_equal(isc_conn_login(p->c)->chap_user, t[i].user);
		peer_free(p);
	}
}

/* What the verdict allows counts, not what the configuration does; the initiator's order decides (12.1.3) */
static void verdict_algorithms(void **state)
{
	static const struct { const char *list; uint8_t allowed; unsigned want; } t[] = {
		{ "5,6,7,8", ISC_CHAP_SHA256 | ISC_CHAP_SHA3_256, 7 }, { "8,7", ISC_CHAP_SHA256 | ISC_CHAP_SHA3_256, 8 },
		{ "5,6", ISC_CHAP_SHA256 | ISC_CHAP_SHA3_256, 0 }, { "6", ISC_CHAP_MD5, 0 }, { "6,5", ISC_CHAP_MD5, 5 },
		{ "5", 0, 5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = chap_peer(false);
		struct reply r;
		char keys[32], want[12];

		p->verdict.chap_algs = t[i].allowed;
		peer_login(p, 0, 1, false, WHO "AuthMethod=CHAP\n");
		want_stage(p, 0, &r);
		snprintf(keys, sizeof(keys), "CHAP_A=%s\n", t[i].list);
		peer_login(p, 0, -1, false, keys);
		if (!t[i].want) {
			want_refused(p);
			continue;
		}
		want_stage(p, 0, &r);
		snprintf(want, sizeof(want), "%u", t[i].want);
		assert_string_equal(peer_value(&r, "CHAP_A"), want);
		peer_free(p);
	}
}

static void wrong_secret(void **state)
{
	struct peer *p = chap_peer(true);
	struct exchange x;

	(void)state;
	to_challenge(p, "5", &x);
	respond(p, &x, "hv", "secretsecret2", "CHAP_I=1\nCHAP_C=0x0102030405060708\n");
	want_refused(p);  /* and not a byte of proof of ours */
}

static void wrong_name(void **state)
{
	struct peer *p = chap_peer(false);
	struct exchange x;

	(void)state;
	to_challenge(p, "5", &x);
	respond(p, &x, "hw", SECRET, "");
	want_refused(p);
}

/* 9.2.1: our own challenge sent back to us */
static void reflected(void **state)
{
	struct peer *p = chap_peer(true);
	struct exchange x;
	char more[256] = "CHAP_I=1\nCHAP_C=0x";

	(void)state;
	to_challenge(p, "7", &x);
	for (size_t i = 0; i < x.len; i++)
		snprintf(more + strlen(more), 3, "%02x", x.challenge[i]);
	strcat(more, "\n");
	respond(p, &x, "hv", SECRET, more);
	want_refused(p);
}

static void mutual_without_secret(void **state)
{
	struct peer *p = chap_peer(false);
	struct exchange x;

	(void)state;
	to_challenge(p, "7", &x);
	respond(p, &x, "hv", SECRET, "CHAP_I=1\nCHAP_C=0x01020304\n");
	want_refused(p);
}

static void mutual_malformed(void **state)
{
	static const char *const t[] = {
		"CHAP_I=1\n", "CHAP_C=0x0102\n", "CHAP_I=256\nCHAP_C=0x0102\n", "CHAP_I=x\nCHAP_C=0x0102\n",
		"CHAP_I=1\nCHAP_C=0102\n", "CHAP_I=1\nCHAP_C=\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = chap_peer(true);
		struct exchange x;

		to_challenge(p, "7", &x);
		respond(p, &x, "hv", SECRET, t[i]);
		want_refused(p);
	}
}

/* A proof that is missing, malformed, or of another length */
static void bad_proof(void **state)
{
	static const char *const t[] = {
		"CHAP_N=hv\n", "CHAP_R=0x00\n", "CHAP_N=hv\nCHAP_R=0x00\n", "CHAP_N=hv\nCHAP_R=xyz\n",
		"CHAP_N=hv\nCHAP_R=0x0000000000000000000000000000000000\n", "",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = chap_peer(false);
		struct exchange x;

		to_challenge(p, "5", &x);
		peer_login(p, 0, 1, false, t[i]);
		want_refused(p);
	}
}

/* CHAP is required here: ways around it */
static void evaded(void **state)
{
	static const struct { uint8_t csg; int nsg; const char *keys; } t[] = {
		{ 1, 3, WHO },                                        /* straight to the operational stage */
		{ 0, 1, WHO },                                        /* no AuthMethod at all */
		{ 0, 3, WHO },
		{ 0, 1, WHO "AuthMethod=None\n" },
		{ 0, 1, WHO "AuthMethod=CHAP\nCHAP_A=5\n" },          /* out of order */
		{ 0, 1, WHO "CHAP_N=hv\nCHAP_R=0x00\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = chap_peer(false);

		peer_login(p, t[i].csg, t[i].nsg, false, t[i].keys);
		want_refused(p);
	}
}

static void no_common_algorithm(void **state)
{
	struct peer *p = peer_new();
	struct reply r;

	(void)state;
	p->cfg.chap_algs = ISC_CHAP_SHA256;
	set_user(p, "hv", SECRET, false);
	peer_start(p);
	peer_login(p, 0, 1, false, WHO "AuthMethod=CHAP\n");
	want_stage(p, 0, &r);
	peer_login(p, 0, 1, false, "CHAP_A=5,6\n");
	want_refused(p);
}

/* The exchange is not started again, nor with a second try at the same challenge */
static void again(void **state)
{
	struct peer *p = chap_peer(false);
	struct exchange x;
	struct reply r;

	(void)state;
	to_challenge(p, "7", &x);
	peer_login(p, 0, -1, false, "CHAP_A=7\n");
	peer_want(p, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), ISC_LOGIN_INITIATOR_ERROR);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors), cmocka_unit_test(choice), cmocka_unit_test(one_way),
		cmocka_unit_test(mutual), cmocka_unit_test(fresh), cmocka_unit_test(bad_credentials),
		cmocka_unit_test(several_users), cmocka_unit_test(verdict_algorithms),
		cmocka_unit_test(wrong_secret), cmocka_unit_test(wrong_name),
		cmocka_unit_test(reflected), cmocka_unit_test(mutual_without_secret),
		cmocka_unit_test(mutual_malformed), cmocka_unit_test(bad_proof), cmocka_unit_test(evaded),
		cmocka_unit_test(no_common_algorithm), cmocka_unit_test(again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
