/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_keys.c - every key of RFC 7143 (chapters 12, 13), RFC 7144 and RFC 4850 with values that it cannot have, in phases
 * where it must not be used, and twice: what goes out, and that nothing has changed
 *
 * The table here is written from the standards, not from keys.c.
 */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

#define WHO "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n"

enum kind { BOOL, NUM, LIST, TEXT, OBSOLETE };
enum { SEC = 1, OPER = 2, FULL = 4 };

static const struct std_key {
	const char *name;
	enum kind kind;
	uint32_t min, max;
	unsigned phases;
	bool target;                  /* only a target sends it */
	bool silent;                  /* declared: a good value is not answered */
	const char *good;
} keys[] = {
	{ "HeaderDigest", LIST, 0, 0, OPER, .good = "None" },
	{ "DataDigest", LIST, 0, 0, OPER, .good = "None" },
	{ "MaxConnections", NUM, 1, 65535, OPER, .good = "1" },
	{ "SendTargets", TEXT, 0, 0, FULL, .silent = true, .good = "iqn.2026-11.test:none" },
	{ "TargetName", TEXT, 0, 0, SEC | OPER, .silent = true, .good = "iqn.2026-11.test:t" },
	{ "InitiatorName", TEXT, 0, 0, SEC | OPER, .silent = true, .good = "iqn.2026-11.test:i" },
	{ "TargetAlias", TEXT, 0, 0, SEC | OPER | FULL, .target = true, .good = "x" },
	{ "InitiatorAlias", TEXT, 0, 0, SEC | OPER | FULL, .silent = true, .good = "x" },
	{ "TargetAddress", TEXT, 0, 0, SEC | OPER | FULL, .target = true, .good = "192.0.2.1:3260,1" },
	{ "TargetPortalGroupTag", TEXT, 0, 0, SEC | OPER, .target = true, .good = "1" },
	{ "InitialR2T", BOOL, 0, 0, OPER, .good = "Yes" },
	{ "ImmediateData", BOOL, 0, 0, OPER, .good = "Yes" },
	{ "MaxRecvDataSegmentLength", NUM, 512, 16777215, OPER | FULL, .silent = true, .good = "8192" },
	{ "MaxBurstLength", NUM, 512, 16777215, OPER, .good = "262144" },
	{ "FirstBurstLength", NUM, 512, 16777215, OPER, .good = "65536" },
	{ "DefaultTime2Wait", NUM, 0, 3600, OPER, .good = "2" },
	{ "DefaultTime2Retain", NUM, 0, 3600, OPER, .good = "20" },
	{ "MaxOutstandingR2T", NUM, 1, 65535, OPER, .good = "1" },
	{ "DataPDUInOrder", BOOL, 0, 0, OPER, .good = "Yes" },
	{ "DataSequenceInOrder", BOOL, 0, 0, OPER, .good = "Yes" },
	{ "ErrorRecoveryLevel", NUM, 0, 2, OPER, .good = "0" },
	{ "SessionType", TEXT, 0, 0, SEC | OPER, .silent = true, .good = "Normal" },
	{ "TaskReporting", LIST, 0, 0, OPER, .good = "RFC3720" },
	{ "iSCSIProtocolLevel", NUM, 0, 31, OPER, .good = "1" },
	{ "X-NodeArchitecture", TEXT, 0, 0, SEC | OPER | FULL, .silent = true, .good = "riscv" },
	{ "IFMarker", OBSOLETE, 0, 0, OPER, .good = "No" },
	{ "OFMarker", OBSOLETE, 0, 0, OPER, .good = "No" },
	{ "IFMarkInt", OBSOLETE, 0, 0, OPER, .good = "2048" },
	{ "OFMarkInt", OBSOLETE, 0, 0, OPER, .good = "2048" },
	{ "AuthMethod", TEXT, 0, 0, SEC, .good = "None" },
	{ "CHAP_A", TEXT, 0, 0, SEC, .good = "5" }, { "CHAP_I", TEXT, 0, 0, SEC, .good = "1" },
	{ "CHAP_C", TEXT, 0, 0, SEC, .good = "0x00" }, { "CHAP_N", TEXT, 0, 0, SEC, .good = "n" },
	{ "CHAP_R", TEXT, 0, 0, SEC, .good = "0x00" },
};

static bool is_name(const struct std_key *k)
{
	return strcmp(k->name, "TargetName") == 0 || strcmp(k->name, "InitiatorName") == 0;
}

static void check_unchanged(struct peer *p, const struct isc_params *was)
{
	assert_memory_equal(isc_conn_params(p->c), was, sizeof(*was));
}

/* Log in with this pair in the operational stage. Return: the status */
static enum isc_login_status login_with(struct peer *p, const char *pair, struct reply *r)
{
	char all[4096];

	peer_start(p);
	snprintf(all, sizeof(all), WHO "%s\n", pair);
	peer_login(p, STAGE_OPERATIONAL, STAGE_FULL, false, all);
	peer_want(p, OP_LOGIN_RSP, r);
	return get_be16(r->h + O_LOGIN_STATUS);
}

/* 6.2: a value that is none is answered Reject; the login goes on, and the default holds */
static void rejected(const struct std_key *k, const char *value)
{
	struct peer *p = peer_new(), *plain = peer_new();
	struct reply r;
	char pair[512];

	snprintf(pair, sizeof(pair), "%s=%s", k->name, value);
	if (login_with(p, pair, &r) || !peer_value(&r, k->name) || strcmp(peer_value(&r, k->name), "Reject") != 0)
		fail_msg("%s: status %04x, answer %s", pair, get_be16(r.h + O_LOGIN_STATUS), peer_value(&r, k->name));
	peer_full(plain, NULL);
	check_unchanged(p, isc_conn_params(plain->c));
	peer_free(p);
	peer_free(plain);
}

static void bad_values(void **state)
{
	static const char *const no_bool[] = { "yes", "no", "YES", "1", "0", "", "Yes,No", "true", "Yes ", NULL };
	static const char *const no_num[] = { "", "-1", "+1", "0x", "0b", "abc", "1,2", "1 ", " 1", "1.5", "512~1024",
					      "18446744073709551616", "4294967296", "0xffffffffffffffffff", NULL };
	static const char *const no_list[] = { "", "none", "X", ",", "Nonsense,X-y", NULL };
	static const char *const *const bad[] = { [BOOL] = no_bool, [NUM] = no_num, [LIST] = no_list };
	char edge[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].kind > LIST)
			continue;
		for (const char *const *v = bad[keys[i].kind]; *v; v++)
			rejected(&keys[i], *v);
		if (keys[i].kind != NUM)
			continue;
		snprintf(edge, sizeof(edge), "%u", keys[i].max + 1);
		rejected(&keys[i], edge);
		snprintf(edge, sizeof(edge), "0x%x", keys[i].max + 1);
		rejected(&keys[i], edge);
		snprintf(edge, sizeof(edge), "%u", keys[i].min - 1);
		if (keys[i].min)
			rejected(&keys[i], edge);
	}
}

/* The ends of each range are inside */
static void range_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].kind != NUM)
			continue;
		for (int top = 0; top < 2; top++) {
			struct peer *p = peer_new();
			struct reply r;
			char pair[64];

			snprintf(pair, sizeof(pair), "%s=%u", keys[i].name, top ? keys[i].max : keys[i].min);
			assert_int_equal(login_with(p, pair, &r), 0);
			if (keys[i].silent)
				assert_true(get_be32(r.h + O_STATSN) && isc_conn_params(p->c)->max_send_dsl ==
					    (top ? keys[i].max : keys[i].min));
			else if (!peer_value(&r, keys[i].name) || strcmp(peer_value(&r, keys[i].name), "Reject") == 0)
				fail_msg("%s: %s", pair, peer_value(&r, keys[i].name));
			peer_free(p);
		}
	}
}

/* Chapters 12, 13 ("Use"): in a stage that is not the key's, the login ends with 0200 (6.3) */
static void wrong_stage(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		for (uint8_t stage = STAGE_SECURITY; stage <= STAGE_OPERATIONAL; stage++) {
			bool ok = keys[i].phases & (stage == STAGE_SECURITY ? SEC : OPER) && !keys[i].target;
			struct peer *p = peer_new();
			struct reply r;
			char all[512];

			if (ok || is_name(&keys[i])) {
				peer_free(p);
				continue;
			}
			peer_start(p);
			snprintf(all, sizeof(all), WHO "%s=%s\n", keys[i].name, keys[i].good);
			peer_login(p, stage, -1, false, all);
			peer_want(p, OP_LOGIN_RSP, &r);
			if (get_be16(r.h + O_LOGIN_STATUS) != ISC_LOGIN_INITIATOR_ERROR)
				fail_msg("%s in stage %u: status %04x", keys[i].name, stage, get_be16(r.h + O_LOGIN_STATUS));
			assert_int_equal(p->why, ISC_CLOSE_LOGIN_REFUSED);
			peer_free(p);
		}
	}
}

/* 6.3: no key twice in one request; 6.2: no answer where there was no offer; 6.1: no value longer than 255 bytes */
static void broken(void **state)
{
	static const char *const words[] = { "Reject", "Irrelevant", "NotUnderstood" };
	char all[1024], long_value[257];

	(void)state;
	memset(long_value, '1', sizeof(long_value));
	long_value[256] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		for (int how = 0; how < 5; how++) {
			struct peer *p = peer_new();
			struct reply r;

			if (!(keys[i].phases & OPER) || keys[i].target || (how != 1 && is_name(&keys[i])) ||
			    /* what we declare ourselves may be answered so */
			    (how > 1 && strcmp(keys[i].name, "MaxRecvDataSegmentLength") == 0)) {
				peer_free(p);
				continue;
			}
			peer_start(p);
			if (how == 0)
				snprintf(all, sizeof(all), WHO "%s=%s\n%s=%s\n", keys[i].name, keys[i].good, keys[i].name,
					 keys[i].good);
			else
				snprintf(all, sizeof(all), "%s%s=%s\n", is_name(&keys[i]) ? "" : WHO, keys[i].name,
					 how == 1 ? long_value : words[how - 2]);
			peer_login(p, STAGE_OPERATIONAL, STAGE_FULL, false, all);
			peer_want(p, OP_LOGIN_RSP, &r);
			if (get_be16(r.h + O_LOGIN_STATUS) != ISC_LOGIN_INITIATOR_ERROR)
				fail_msg("%s, way %d: status %04x", keys[i].name, how, get_be16(r.h + O_LOGIN_STATUS));
			peer_free(p);
		}
	}
}

/* In full feature phase: what may not be negotiated there is answered Reject and changes nothing (6.4) */
static void full_feature(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		bool ok = keys[i].phases & FULL && !keys[i].target;
		struct peer *p = peer_new();
		struct isc_params was;
		uint8_t bhs[BHS_LEN];
		char pair[512], text[512];
		struct reply r;

		peer_full(p, NULL);
		was = *isc_conn_params(p->c);
		snprintf(pair, sizeof(pair), "%s=%s\n", keys[i].name, keys[i].good);
		peer_numbered(p, bhs, OP_TEXT, PDU_FINAL);
		put_be32(bhs + O_TTT, TAG_NONE);
		peer_send(p, bhs, text, (uint32_t)peer_text(text, pair));
		peer_want(p, OP_TEXT_RSP, &r);
		assert_int_equal(r.h[O_FLAGS], PDU_FINAL);
		if (ok ? r.len != 0 : !peer_value(&r, keys[i].name) || strcmp(peer_value(&r, keys[i].name), "Reject") != 0)
			fail_msg("%s: answer %s", pair, peer_value(&r, keys[i].name));
		check_unchanged(p, &was);
		peer_free(p);
	}
}

/* 13.26, 6.2: keys that nobody knows, private ones of every form */
static void unknown(void **state)
{
	static const char *const names[] = {
		"X-com.example.key", "X#key", "Y-digest", "Z-auth", "headerdigest", "HEADERDIGEST", "Task Reporting", "x",
		"a23456789012345678901234567890123456789012345678901234567890123",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct peer *p = peer_new();
		struct reply r;
		char pair[128];

		snprintf(pair, sizeof(pair), "%s=1", names[i]);
		assert_int_equal(login_with(p, pair, &r), 0);
		assert_string_equal(peer_value(&r, names[i]), "NotUnderstood");
		peer_free(p);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_values), cmocka_unit_test(range_ends), cmocka_unit_test(wrong_stage),
		cmocka_unit_test(broken), cmocka_unit_test(full_feature), cmocka_unit_test(unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
