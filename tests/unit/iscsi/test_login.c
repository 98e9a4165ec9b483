/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_login.c - stages, what a login must bring, and the status for each way to fail (RFC 7143 6.3, 11.12, 11.13) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

#define I "InitiatorName=iqn.2026-11.test:i\n"
#define T "TargetName=iqn.2026-11.test:t\n"

static struct peer *started(void)
{
	struct peer *p = peer_new();

	peer_start(p);
	return p;
}

/* The response to the last request: no error, and these flags */
static void want_ok(struct peer *p, uint8_t flags, struct reply *r)
{
	peer_want(p, OP_LOGIN_RSP, r);
	assert_int_equal(get_be16(r->h + O_LOGIN_STATUS), 0);
	assert_int_equal(r->h[O_FLAGS], flags);
	assert_int_equal(pdu_itt(r->h), p->itt);
	assert_memory_equal(r->h + O_LOGIN_ISID, "\x40\0\1\x37\0\2", 6);
	assert_int_equal(r->h[O_LOGIN_VERSION_MAX], 0);
	assert_int_equal(r->h[O_LOGIN_VERSION_MIN], 0);
}

static void want_refused(struct peer *p, enum isc_login_status status)
{
	struct reply r;

	peer_want(p, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), status);
	assert_int_equal(r.h[O_FLAGS] & PDU_TRANSIT, 0);
	peer_want_nothing(p);
	assert_int_equal(p->closings, 1);
	assert_int_equal(p->why, ISC_CLOSE_LOGIN_REFUSED);
	assert_non_null(p->what);
	assert_false(isc_conn_full_feature(p->c));
	assert_int_equal(peer_login(p, 1, 3, false, I T), -1);
	peer_want_nothing(p);
}

/* Security, operational, full feature; StatSN, CmdSN, TSIH and the keys of ours */
static void three_stages(void **state)
{
	struct peer *p = started();
	struct reply r;

	(void)state;
	peer_login(p, 0, 1, false, I T "InitiatorAlias=me\nSessionType=Normal\nAuthMethod=CHAP,None\n");
	want_ok(p, PDU_TRANSIT | 0 << 2 | 1, &r);
	assert_string_equal(peer_value(&r, "AuthMethod"), "None");
	assert_string_equal(peer_value(&r, "TargetPortalGroupTag"), "1");
	assert_int_equal(get_be32(r.h + O_STATSN), 500);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), p->cmdsn);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), p->cmdsn + PEER_WINDOW - 1);
	assert_int_equal(get_be16(r.h + O_LOGIN_TSIH), 0);
	assert_int_equal(p->lookups, 1);

	peer_login(p, 1, -1, false, "MaxBurstLength=4096\nMaxRecvDataSegmentLength=65536\n");
	want_ok(p, 1 << 2, &r);
	assert_string_equal(peer_value(&r, "MaxBurstLength"), "4096");
	assert_string_equal(peer_value(&r, "MaxRecvDataSegmentLength"), "262144");
	assert_null(peer_value(&r, "TargetPortalGroupTag"));

	peer_login(p, 1, 3, false, "HeaderDigest=None\n");
	want_ok(p, PDU_TRANSIT | 1 << 2 | 3, &r);
	assert_null(peer_value(&r, "MaxRecvDataSegmentLength"));  /* not twice */
	assert_int_equal(get_be32(r.h + O_STATSN), 502);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), p->cmdsn);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), p->cmdsn + PEER_WINDOW - 1);
	assert_int_equal(get_be16(r.h + O_LOGIN_TSIH), 0x77);
	assert_true(isc_conn_full_feature(p->c));
	assert_string_equal(isc_conn_login(p->c)->initiator_alias, "me");
	assert_string_equal(isc_conn_login(p->c)->initiator, "iqn.2026-11.test:i");
	assert_string_equal(isc_conn_login(p->c)->target, "iqn.2026-11.test:t");
	assert_int_equal(isc_conn_login(p->c)->tsih, 0x77);
	assert_int_equal(isc_conn_login(p->c)->cid, 9);
	assert_int_equal(isc_conn_params(p->c)->max_burst, 4096);
	assert_int_equal(isc_conn_params(p->c)->max_send_dsl, 65536);
	assert_int_equal(isc_conn_params(p->c)->max_recv_dsl, 262144);
	assert_int_equal(p->lookups, 1);
	assert_false(isc_conn_login(p->c)->chap_done);
	assert_string_equal(isc_conn_login(p->c)->chap_user, "");
	/* the first command has the CmdSN of the login (11.12.8) */
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	peer_free(p);
}

/* Straight from security to full feature: nothing was negotiated, all defaults hold (6.3) */
static void security_only(void **state)
{
	struct peer *p = started();
	struct reply r;

	(void)state;
	peer_login(p, 0, 3, false, I T "AuthMethod=None\n");
	want_ok(p, PDU_TRANSIT | 3, &r);
	assert_int_equal(isc_conn_params(p->c)->max_recv_dsl, 8192);
	assert_int_equal(isc_conn_params(p->c)->max_burst, 262144);
	assert_int_equal(isc_conn_params(p->c)->first_burst, 65536);
	assert_true(isc_conn_params(p->c)->initial_r2t);
	assert_true(isc_conn_params(p->c)->immediate_data);
	assert_true(isc_conn_params(p->c)->data_pdu_in_order);
	assert_true(isc_conn_params(p->c)->data_sequence_in_order);
	assert_int_equal(isc_conn_params(p->c)->max_outstanding_r2t, 1);
	assert_int_equal(isc_conn_params(p->c)->time2wait, 2);
	assert_int_equal(isc_conn_params(p->c)->time2retain, 20);
	peer_free(p);
}

/* 4.2.7.1: a name has at most 223 bytes */
static void long_names(void **state)
{
	char name[ISC_NAME_MAX + 2], keys[1024];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (int too_long = 0; too_long < 2; too_long++) {
		struct peer *p = started();
		struct reply r;

		name[ISC_NAME_MAX + too_long] = '\0';
		snprintf(keys, sizeof(keys), "InitiatorName=%s\nTargetName=%s\n", name, name);
		peer_login(p, 1, 3, false, keys);
		peer_want(p, OP_LOGIN_RSP, &r);
		assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), too_long ? ISC_LOGIN_INITIATOR_ERROR : 0);
		if (!too_long) {
			assert_string_equal(isc_conn_login(p->c)->initiator, name);
			assert_string_equal(isc_conn_login(p->c)->target, name);
		}
		peer_free(p);
		name[ISC_NAME_MAX] = 'n';
	}
}

/* Text cut in the middle of a key, with the C bit; each piece gets an empty response (6.1, 11.12.2) */
static void in_pieces(void **state)
{
	struct peer *p = started();
	struct reply r;

	(void)state;
	peer_login(p, 1, -1, true, I "TargetNa");
	want_ok(p, 1 << 2, &r);
	assert_int_equal(r.len, 0);
	assert_int_equal(p->lookups, 0);
	peer_login(p, 1, -1, true, "me=iqn.2026-11.te");
	want_ok(p, 1 << 2, &r);
	peer_login(p, 1, 3, false, "st:t\nMaxBurstLength=512\n");
	want_ok(p, PDU_TRANSIT | 1 << 2 | 3, &r);
	assert_string_equal(peer_value(&r, "MaxBurstLength"), "512");
	assert_string_equal(isc_conn_login(p->c)->target, "iqn.2026-11.test:t");
	peer_free(p);
}

static void discovery(void **state)
{
	struct peer *p = started();
	struct reply r;

	(void)state;
	/* the session type counts wherever it stands */
	peer_login(p, 1, 3, false, I "MaxBurstLength=512\nSessionType=Discovery\n");
	want_ok(p, PDU_TRANSIT | 1 << 2 | 3, &r);
	assert_string_equal(peer_value(&r, "MaxBurstLength"), "Irrelevant");
	assert_null(peer_value(&r, "TargetPortalGroupTag"));
	assert_true(isc_conn_login(p->c)->discovery);
	assert_string_equal(isc_conn_login(p->c)->target, "");
	assert_int_not_equal(get_be16(r.h + O_LOGIN_TSIH), 0);
	peer_free(p);
}

static void alias(void **state)
{
	struct peer *p = started();
	struct reply r;

	(void)state;
	p->verdict.alias = "disk of vm 7";
	peer_login(p, 1, 3, false, I T);
	want_ok(p, PDU_TRANSIT | 1 << 2 | 3, &r);
	assert_string_equal(peer_value(&r, "TargetAlias"), "disk of vm 7");
	peer_free(p);
}

/* One way to fail each; the first request alone */
static void refused(void **state)
{
	static const struct { uint8_t csg; int nsg; bool more; const char *keys; enum isc_login_status want; } t[] = {
		{ 1, 3, false, T, ISC_LOGIN_MISSING_PARAM },
		{ 1, 3, false, I, ISC_LOGIN_MISSING_PARAM },
		{ 1, 3, false, "", ISC_LOGIN_MISSING_PARAM },
		{ 1, 3, false, "InitiatorName=\n" T, ISC_LOGIN_INITIATOR_ERROR },
		{ 1, 3, false, I T "SessionType=Backup\n", ISC_LOGIN_BAD_SESSION_TYPE },
		{ 1, 3, false, I "TargetName=\n", ISC_LOGIN_NOT_FOUND },
		{ 1, 3, false, I T "nonsense\n", ISC_LOGIN_INITIATOR_ERROR },
		{ 1, 3, false, I T "NoNul=1", ISC_LOGIN_INITIATOR_ERROR },
		{ 1, 3, false, I I T, ISC_LOGIN_INITIATOR_ERROR },                      /* twice, 6.3 */
		{ 1, 3, false, I T "SendTargets=All\n", ISC_LOGIN_INITIATOR_ERROR },    /* wrong phase */
		{ 1, 3, false, I T "AuthMethod=None\n", ISC_LOGIN_INITIATOR_ERROR },    /* wrong stage, 12 */
		{ 0, 1, false, I T "HeaderDigest=None\n", ISC_LOGIN_INITIATOR_ERROR },  /* wrong stage, 12 */
		{ 0, 1, false, I T "AuthMethod=CHAP\n", ISC_LOGIN_AUTH_FAILED },        /* no secret for it here */
		{ 0, 1, false, I T "AuthMethod=KRB5,SRP\n", ISC_LOGIN_AUTH_FAILED },
		{ 0, 1, false, I T "CHAP_A=5\n", ISC_LOGIN_AUTH_FAILED },
		{ 2, 3, false, I T, ISC_LOGIN_INITIATOR_ERROR },                        /* stages, 11.12.3 */
		{ 3, -1, false, I T, ISC_LOGIN_INITIATOR_ERROR },
		{ 1, 1, false, I T, ISC_LOGIN_INITIATOR_ERROR },
		{ 1, 0, false, I T, ISC_LOGIN_INITIATOR_ERROR },
		{ 0, 2, false, I T, ISC_LOGIN_INITIATOR_ERROR },
		{ 1, 3, true, I T, ISC_LOGIN_INITIATOR_ERROR },                         /* T and C */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = started();

		peer_login(p, t[i].csg, t[i].nsg, t[i].more, t[i].keys);
		want_refused(p, t[i].want);
		peer_free(p);
	}
}

/* What the server says, goes out */
static void verdicts(void **state)
{
	static const enum isc_login_status t[] = {
		ISC_LOGIN_FORBIDDEN, ISC_LOGIN_NOT_FOUND, ISC_LOGIN_REMOVED, ISC_LOGIN_TARGET_ERROR,
		ISC_LOGIN_UNAVAILABLE, ISC_LOGIN_OUT_OF_RESOURCES,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = started();

		p->verdict_status = t[i];
		peer_login(p, 1, 3, false, I T);
		want_refused(p, t[i]);
		peer_free(p);
	}
}

static void redirect(void **state)
{
	static const struct { enum isc_login_status status; const char *to; } t[] = {
		{ ISC_LOGIN_MOVED_TEMP, "192.0.2.7:3260" }, { ISC_LOGIN_MOVED_PERM, "[2001:db8::7]:3261" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = started();
		struct reply r;

		p->verdict_status = t[i].status;
		p->verdict.moved_to = t[i].to;
		p->verdict.chap = true;  /* 11.13.5: may come before any proof */
		peer_login(p, 0, 1, false, I T "Foo=1\n");
		peer_want(p, OP_LOGIN_RSP, &r);
		assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), 0x0101 + i);
		assert_string_equal(peer_value(&r, "TargetAddress"), t[i].to);
		assert_int_equal(r.len, strlen("TargetAddress=") + strlen(t[i].to) + 1);
		assert_int_equal(p->why, ISC_CLOSE_LOGIN_REFUSED);
		peer_free(p);
	}
}

/* Header fields of the first request that are not keys */
static void first_header(struct peer *p, uint8_t *bhs)
{
	peer_bhs(bhs, OP_LOGIN | PDU_IMMEDIATE, PDU_TRANSIT | 1 << 2 | 3, 5);
	put_be32(bhs + O_CMDSN, p->cmdsn);
	memcpy(bhs + O_LOGIN_ISID, "\x40\0\1\x37\0\2", 6);
	put_be16(bhs + O_LOGIN_CID, 9);
}

static void send_first(struct peer *p, const uint8_t *bhs)
{
	char text[256];

	peer_send(p, bhs, text, (uint32_t)peer_text(text, I T));
}

static void bad_version(void **state)
{
	struct peer *p = started();
	uint8_t bhs[BHS_LEN];

	(void)state;
	first_header(p, bhs);
	bhs[O_LOGIN_VERSION_MAX] = bhs[O_LOGIN_VERSION_MIN] = 1;
	send_first(p, bhs);
	want_refused(p, ISC_LOGIN_BAD_VERSION);
	peer_free(p);
}

static void not_a_login(void **state)
{
	static const uint8_t ops[] = { OP_NOP_OUT, OP_SCSI_CMD, OP_TEXT, OP_LOGOUT, OP_DATA_OUT, 0x1c, OP_REJECT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct peer *p = started();
		uint8_t bhs[BHS_LEN];

		first_header(p, bhs);
		bhs[O_OPCODE] = ops[i];
		peer_send(p, bhs, NULL, 0);
		want_refused(p, ISC_LOGIN_INVALID);
		peer_free(p);
	}
}

static void ahs_in_login(void **state)
{
	struct peer *p = started();
	uint8_t bhs[BHS_LEN + 4] = { 0 };

	(void)state;
	first_header(p, bhs);
	bhs[O_AHS_LEN] = 1;
	send_first(p, bhs);
	want_refused(p, ISC_LOGIN_INITIATOR_ERROR);
	peer_free(p);
}

/* 6.3.1: a TSIH is the server's to look up, once all else is right; a discovery session has one connection (4.3) */
static void with_tsih(void **state)
{
	(void)state;
	for (int discovery = 0; discovery < 2; discovery++) {
		struct peer *p = started();

		p->tsih = 0x55;
		peer_login(p, 1, 3, false, discovery
			   ? "InitiatorName=iqn.2026-11.test:i\nSessionType=Discovery\n"
			   : "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n");
		assert_int_equal(p->lookups, !discovery);
		assert_int_equal(p->logins, !discovery);
		want_refused(p, ISC_LOGIN_NO_SESSION);
		peer_free(p);
	}
}

/* 6.3: what identifies the login does not change, nor does the stage go back or ahead by itself */
static void changes(void **state)
{
	static const struct { unsigned off; uint8_t xor; } t[] = {
		{ O_LOGIN_ISID, 1 }, { O_LOGIN_ISID + 5, 1 }, { O_LOGIN_TSIH, 1 }, { O_LOGIN_CID + 1, 1 },
		{ O_FLAGS, 1 << 2 },  /* CSG */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = started();
		uint8_t bhs[BHS_LEN];
		struct reply r;

		first_header(p, bhs);
		bhs[O_FLAGS] = 1 << 2;  /* no T: stays in the operational stage */
		send_first(p, bhs);
		peer_want(p, OP_LOGIN_RSP, &r);
		assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), 0);
		bhs[t[i].off] ^= t[i].xor;
		peer_send(p, bhs, NULL, 0);
		want_refused(p, ISC_LOGIN_INITIATOR_ERROR);
		peer_free(p);
	}
}

/* 6.3: nothing is declared twice, except that the same names may come again (libiscsi with credentials not asked for) */
static void said_again(void **state)
{
	static const struct { const char *keys; bool ok; } t[] = {
		{ I T "SessionType=Normal\n", true },
		{ "InitiatorAlias=other\n", true },
		{ "InitiatorName=iqn.2026-11.test:other\n", false },
		{ "TargetName=iqn.2026-11.test:other\n", false },
		{ "SessionType=Discovery\n", false },
		{ I I, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = started();
		struct reply r;

		peer_login(p, 0, 1, false, I T "AuthMethod=CHAP,None\nInitiatorAlias=me\n");
		want_ok(p, PDU_TRANSIT | 1, &r);
		peer_login(p, 1, 3, false, t[i].keys);
		if (t[i].ok)
			want_ok(p, PDU_TRANSIT | 1 << 2 | 3, &r);
		else
			want_refused(p, ISC_LOGIN_INITIATOR_ERROR);
		assert_int_equal(p->lookups, 1);
		peer_free(p);
	}
}

/* The limits: rounds, text in, text out */
static void limits(void **state)
{
	struct peer *p = started();
	char text[ISC_LOGIN_PDU_MAX + 1];
	struct reply r;

	(void)state;
	for (int i = 0; i < ISC_LOGIN_ROUNDS_MAX; i++) {
		peer_login(p, 1, -1, false, i ? "" : I T);
		want_ok(p, 1 << 2, &r);
	}
	peer_login(p, 1, -1, false, "");
	want_refused(p, ISC_LOGIN_INITIATOR_ERROR);
	peer_free(p);

	p = started();
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	peer_login(p, 1, -1, true, text);
	want_ok(p, 1 << 2, &r);
	peer_login(p, 1, -1, true, text);
	want_ok(p, 1 << 2, &r);
	peer_login(p, 1, -1, true, text);
	want_refused(p, ISC_LOGIN_OUT_OF_RESOURCES);
	peer_free(p);

	p = started();
	strcpy(text, I T);
	for (int i = 0; i < 1500; i++)
		strcat(text, "a=\n");
	peer_login(p, 1, -1, false, text);
	want_refused(p, ISC_LOGIN_OUT_OF_RESOURCES);
	peer_free(p);
}

/* 13.12: before it is negotiated nobody sends more than 8 KiB in a PDU. No length can be trusted after that. */
static void too_long(void **state)
{
	struct peer *p = started();
	uint8_t bhs[BHS_LEN];

	(void)state;
	first_header(p, bhs);
	put_be24(bhs + O_DSL, ISC_LOGIN_PDU_MAX + 1);
	assert_int_equal(peer_feed(p, bhs, BHS_LEN), -1);
	assert_int_equal(p->why, ISC_CLOSE_FRAMING);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_stages), cmocka_unit_test(security_only), cmocka_unit_test(in_pieces), cmocka_unit_test(long_names),
		cmocka_unit_test(discovery), cmocka_unit_test(alias), cmocka_unit_test(refused),
		cmocka_unit_test(verdicts), cmocka_unit_test(redirect), cmocka_unit_test(bad_version),
		cmocka_unit_test(not_a_login), cmocka_unit_test(ahs_in_login), cmocka_unit_test(with_tsih),
		cmocka_unit_test(changes), cmocka_unit_test(said_again),
		 cmocka_unit_test(limits), cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
