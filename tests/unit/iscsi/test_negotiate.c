/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_negotiate.c - each key: allowed when, result, answer (RFC 7143 6.2, chapter 13) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"
#include "node/iscsi/negotiate.h"

#define BROKEN ((const char *)-1)     /* not allowed here */
#define PROTOCOL ((const char *)-2)   /* against the rules of negotiating */
#define SILENT NULL                   /* taken without an answer */

static void init(struct neg *n, enum key_phase phase)
{
	struct isc_config cfg;

	isc_config_default(&cfg);
	cfg.max_burst = 1 << 20;
	cfg.first_burst = 1 << 17;
	cfg.time2wait = 0;
	cfg.max_outstanding_r2t = 4;
	isc_neg_init(n, &cfg);
	n->phase = phase;
}

static void check(struct neg *n, const char *key, const char *value, const char *want)
{
	struct text out;
	char all[512];

	isc_text_init(&out, 4096);
	if (want == BROKEN) {
		assert_int_equal(isc_neg_key(n, key, value, &out), NEG_BROKEN);
		want = SILENT;
	} else if (want == PROTOCOL) {
		assert_int_equal(isc_neg_key(n, key, value, &out), NEG_PROTOCOL);
		want = SILENT;
	} else {
		assert_int_equal(isc_neg_key(n, key, value, &out), NEG_OK);
		isc_neg_close(n, &out);
	}
	if (want) {
		snprintf(all, sizeof(all), "%s=%s", key, want);
		if (!out.len || strcmp(out.buf, all) != 0)
			fail_msg("%s=%s: answer %s, not %s", key, value, out.len ? out.buf : "(none)", all);
	} else if (out.len) {
		fail_msg("%s=%s: answer %s, not none", key, value, out.buf);
	}
	isc_text_wipe(&out);
}

/* 13.23: a fence over several connections there is not; whichever is asked for first is given */
static void fence_or_connections(void **state)
{
	struct neg n;

	(void)state;
	init(&n, PH_OPERATIONAL);
	check(&n, "MaxConnections", "4", "4");
	check(&n, "TaskReporting", "ResponseFence,RFC3720", "RFC3720");
	init(&n, PH_OPERATIONAL);
	check(&n, "MaxConnections", "1", "1");
	check(&n, "TaskReporting", "ResponseFence,RFC3720", "ResponseFence");
	init(&n, PH_OPERATIONAL);
	check(&n, "TaskReporting", "ResponseFence", "ResponseFence");
	check(&n, "MaxConnections", "4", "1");
	init(&n, PH_OPERATIONAL);
	check(&n, "TaskReporting", "RFC3720", "RFC3720");
	check(&n, "MaxConnections", "4", "4");
}

static void operational(void **state)
{
	static const struct { const char *key, *value, *want; } t[] = {
		/* 13.1: the first that we know, in the initiator's order */
		{ "HeaderDigest", "CRC32C,None", "CRC32C" }, { "HeaderDigest", "None,CRC32C", "None" },
		{ "HeaderDigest", "None", "None" }, { "DataDigest", "X-md5,CRC32C", "CRC32C" },
		{ "DataDigest", "X-md5", "Reject" }, { "DataDigest", "crc32c", "Reject" }, { "DataDigest", "", "Reject" },
		/* 13.2 … 13.20: booleans and numbers, result function and range */
		{ "MaxConnections", "8", "8" }, { "MaxConnections", "9", "8" }, { "MaxConnections", "1", "1" }, { "MaxConnections", "0", "Reject" },
		{ "MaxConnections", "65536", "Reject" },
		{ "InitialR2T", "Yes", "Yes" }, { "InitialR2T", "No", "No" }, { "InitialR2T", "no", "Reject" },
		{ "ImmediateData", "Yes", "Yes" }, { "ImmediateData", "No", "No" }, { "ImmediateData", "1", "Reject" },
		{ "MaxRecvDataSegmentLength", "262144", SILENT }, { "MaxRecvDataSegmentLength", "511", "Reject" },
		{ "MaxRecvDataSegmentLength", "16777216", "Reject" }, { "MaxRecvDataSegmentLength", "x", "Reject" },
		{ "MaxBurstLength", "262144", "262144" }, { "MaxBurstLength", "16777215", "1048576" },
		{ "MaxBurstLength", "0x10000", "65536" }, { "MaxBurstLength", "511", "Reject" },
		{ "MaxBurstLength", "16777216", "Reject" },
		{ "FirstBurstLength", "65536", "65536" }, { "FirstBurstLength", "262144", "131072" },
		{ "FirstBurstLength", "100", "Reject" },
		{ "DefaultTime2Wait", "2", "2" }, { "DefaultTime2Wait", "0", "0" }, { "DefaultTime2Wait", "3601", "Reject" },
		{ "DefaultTime2Retain", "20", "0" }, { "DefaultTime2Retain", "3601", "Reject" },
		{ "MaxOutstandingR2T", "1", "1" }, { "MaxOutstandingR2T", "64", "4" },
		{ "MaxOutstandingR2T", "0", "Reject" }, { "MaxOutstandingR2T", "65536", "Reject" },
		{ "DataPDUInOrder", "No", "Yes" }, { "DataPDUInOrder", "Yes", "Yes" },
		{ "DataSequenceInOrder", "No", "Yes" }, { "DataSequenceInOrder", "Maybe", "Reject" },
		{ "ErrorRecoveryLevel", "2", "1" }, { "ErrorRecoveryLevel", "0", "0" },
		{ "ErrorRecoveryLevel", "3", "Reject" },
		/* 13.23, 13.24 (RFC 7144) */
		{ "TaskReporting", "RFC3720", "RFC3720" }, { "TaskReporting", "FastAbort,ResponseFence", "ResponseFence" },
		{ "TaskReporting", "FastAbort", "Reject" },
		{ "iSCSIProtocolLevel", "3", "2" }, { "iSCSIProtocolLevel", "1", "1" }, { "iSCSIProtocolLevel", "0", "0" },
		{ "iSCSIProtocolLevel", "32", "Reject" },
		/* 13.25: obsolete, but understood */
		{ "IFMarker", "No", "No" }, { "OFMarker", "Yes", "No" },
		{ "IFMarkInt", "2048~8192", "Reject" }, { "OFMarkInt", "2048", "Reject" },
		/* 13.22, 13.26, 6.2: private and unknown */
		{ "X-NodeArchitecture", "riscv", SILENT }, { "X-com.example.foo", "1", "NotUnderstood" },
		{ "Maxburstlength", "512", "NotUnderstood" }, { "RDMAExtensions", "Yes", "NotUnderstood" },
		/* the initiator's answer to what we declared is no offer; as an offer these words are an error (6.2) */
		{ "TargetAlias", "NotUnderstood", SILENT }, { "MaxRecvDataSegmentLength", "Irrelevant", SILENT },
		{ "TargetPortalGroupTag", "NotUnderstood", SILENT }, { "TargetAddress", "Reject", SILENT },
		{ "X-y", "Reject", SILENT }, { "X-y", "NotUnderstood", SILENT },
		{ "MaxBurstLength", "Irrelevant", PROTOCOL }, { "HeaderDigest", "Reject", PROTOCOL },
		{ "InitialR2T", "NotUnderstood", PROTOCOL }, { "InitiatorName", "Reject", PROTOCOL },
		{ "ErrorRecoveryLevel", "Irrelevant", PROTOCOL }, { "IFMarker", "Reject", PROTOCOL },
		{ "TaskReporting", "NotUnderstood", PROTOCOL }, { "iSCSIProtocolLevel", "Reject", PROTOCOL },
		{ "X-NodeArchitecture", "NotUnderstood", PROTOCOL },
		/* wrong phase, wrong sender (chapters 12, 13) */
		{ "AuthMethod", "None", BROKEN }, { "CHAP_A", "5", BROKEN }, { "SendTargets", "All", BROKEN },
		{ "TargetAddress", "192.0.2.1", BROKEN }, { "TargetPortalGroupTag", "1", BROKEN },
		{ "TargetAlias", "x", BROKEN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct neg n;

		init(&n, PH_OPERATIONAL);
		check(&n, t[i].key, t[i].value, t[i].want);
	}
}

/* Chapter 12: other keys must not be used in the security stage; 13: most only in login */
static void phases(void **state)
{
	static const struct { enum key_phase phase; const char *key, *value, *want; } t[] = {
		{ PH_SECURITY, "AuthMethod", "CHAP", SILENT }, { PH_SECURITY, "CHAP_R", "0x00", SILENT },
		{ PH_SECURITY, "InitiatorName", "iqn.x", SILENT }, { PH_SECURITY, "SessionType", "Normal", SILENT },
		{ PH_SECURITY, "HeaderDigest", "None", BROKEN }, { PH_SECURITY, "MaxBurstLength", "512", BROKEN },
		{ PH_SECURITY, "MaxRecvDataSegmentLength", "512", BROKEN },
		{ PH_SECURITY, "Foo", "1", "NotUnderstood" },
		{ PH_FULL, "MaxRecvDataSegmentLength", "512", SILENT }, { PH_FULL, "SendTargets", "All", SILENT },
		{ PH_FULL, "InitiatorAlias", "x", SILENT }, { PH_FULL, "TargetAlias", "x", BROKEN },
		{ PH_FULL, "MaxBurstLength", "512", BROKEN }, { PH_FULL, "InitiatorName", "iqn.x", BROKEN },
		{ PH_FULL, "AuthMethod", "None", BROKEN }, { PH_FULL, "X-foo", "x", "NotUnderstood" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct neg n;

		init(&n, t[i].phase);
		check(&n, t[i].key, t[i].value, t[i].want);
	}
}

/* Keys that have no meaning in a discovery session */
static void discovery(void **state)
{
	static const struct { const char *key, *value, *want; } t[] = {
		{ "MaxConnections", "1", "Irrelevant" }, { "InitialR2T", "Yes", "Irrelevant" },
		{ "ImmediateData", "Yes", "Irrelevant" }, { "MaxBurstLength", "512", "Irrelevant" },
		{ "FirstBurstLength", "512", "Irrelevant" }, { "MaxOutstandingR2T", "1", "Irrelevant" },
		{ "DataPDUInOrder", "Yes", "Irrelevant" }, { "DataSequenceInOrder", "Yes", "Irrelevant" },
		{ "TaskReporting", "RFC3720", "Irrelevant" }, { "iSCSIProtocolLevel", "1", "Irrelevant" },
		{ "HeaderDigest", "None", "None" }, { "MaxRecvDataSegmentLength", "512", SILENT },
		{ "DefaultTime2Wait", "1", "1" }, { "ErrorRecoveryLevel", "0", "0" },
	};
	struct neg n;

	(void)state;
	init(&n, PH_OPERATIONAL);
	n.discovery = true;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		check(&n, t[i].key, t[i].value, t[i].want);
}

/* 6.3: no key twice, whatever the values */
static void twice(void **state)
{
	struct neg n;

	(void)state;
	init(&n, PH_OPERATIONAL);
	check(&n, "MaxBurstLength", "512", "512");
	check(&n, "MaxBurstLength", "512", PROTOCOL);
	check(&n, "InitialR2T", "Yes", "Yes");
	check(&n, "InitialR2T", "No", PROTOCOL);
	check(&n, "InitiatorAlias", "a", SILENT);
	check(&n, "InitiatorAlias", "a", PROTOCOL);  /* in the same request */
	assert_true(n.num[K_INITIAL_R2T]);
}

/* 6.1: 255 bytes, and more only where a key says so */
static void long_values(void **state)
{
	char value[2200];
	struct neg n;

	(void)state;
	memset(value, 'a', sizeof(value));
	init(&n, PH_SECURITY);
	value[255] = '\0';
	check(&n, "InitiatorAlias", value, SILENT);
	value[255] = 'a';
	value[256] = '\0';
	check(&n, "CHAP_N", value, BROKEN);
	value[256] = 'a';
	value[2050] = '\0';
	check(&n, "CHAP_C", value, SILENT);
	value[2050] = 'a';
	value[2051] = '\0';
	check(&n, "CHAP_R", value, BROKEN);
}

/* 13.14: FirstBurstLength is not more than MaxBurstLength */
static void first_burst(void **state)
{
	struct neg n;

	(void)state;
	init(&n, PH_OPERATIONAL);
	check(&n, "MaxBurstLength", "8192", "8192");
	check(&n, "FirstBurstLength", "65536", "8192");
}

/* Whatever order the keys of a request come in */
static void first_burst_first(void **state)
{
	struct text out;
	struct neg n;

	(void)state;
	init(&n, PH_OPERATIONAL);
	isc_text_init(&out, 4096);
	assert_int_equal(isc_neg_key(&n, "FirstBurstLength", "65536", &out), NEG_OK);
	assert_int_equal(out.len, 0);
	assert_int_equal(isc_neg_key(&n, "MaxBurstLength", "8192", &out), NEG_OK);
	isc_neg_close(&n, &out);
	assert_memory_equal(out.buf, "MaxBurstLength=8192\0FirstBurstLength=8192\0", out.len);
	assert_int_equal(n.num[K_FIRST_BURST], 8192);
	out.len = 0;
	isc_neg_close(&n, &out);  /* once */
	assert_int_equal(out.len, 0);
	isc_text_wipe(&out);
}

/* An initiator known to take less than the maximum */
static void time2wait(void **state)
{
	struct neg n;

	(void)state;
	init(&n, PH_OPERATIONAL);
	n.time2wait_as_is = true;
	check(&n, "DefaultTime2Wait", "2", "0");
}

/* What was agreed gets into the parameters; what was not, or was rejected, leaves the default */
static void apply(void **state)
{
	struct isc_params p = { .max_burst = 262144, .first_burst = 65536, .max_send_dsl = 8192, .immediate_data = true };
	struct neg n;

	(void)state;
	init(&n, PH_OPERATIONAL);
	check(&n, "MaxBurstLength", "1", "Reject");
	check(&n, "MaxRecvDataSegmentLength", "70000", SILENT);
	check(&n, "ImmediateData", "No", "No");
	check(&n, "DataDigest", "CRC32C", "CRC32C");
	isc_neg_apply(&n, &p);
	assert_int_equal(p.max_burst, 262144);
	assert_int_equal(p.first_burst, 65536);
	assert_int_equal(p.max_send_dsl, 70000);
	assert_int_equal(p.data_digest, ISC_DIGEST_CRC32C);
	assert_false(p.immediate_data);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(fence_or_connections), cmocka_unit_test(operational), cmocka_unit_test(phases), cmocka_unit_test(discovery),
		cmocka_unit_test(twice), cmocka_unit_test(long_values), cmocka_unit_test(first_burst), cmocka_unit_test(first_burst_first),
		cmocka_unit_test(time2wait), cmocka_unit_test(apply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
