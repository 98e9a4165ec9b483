/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_textreq.c - Text requests in full feature phase (RFC 7143 11.10, 11.11, 6.4) and SendTargets (appendix C) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static const char *const three[] = { "iqn.2026-11.test:a", "iqn.2026-11.test:t", "iqn.2026-11.test:z", NULL };

static struct peer *session(bool discovery, const char *keys)
{
	struct peer *p = peer_new();
	char all[256];
	struct reply r;

	p->targets = three;
	if (!discovery) {
		peer_full(p, keys);
		return p;
	}
	peer_start(p);
	snprintf(all, sizeof(all), "InitiatorName=iqn.2026-11.test:i\nSessionType=Discovery\n%s", keys ? keys : "");
	peer_login(p, 1, 3, false, all);
	peer_want(p, OP_LOGIN_RSP, &r);
	return p;
}

static void send_text(struct peer *p, uint32_t itt, uint32_t ttt, uint8_t flags, const char *keys)
{
	uint8_t bhs[BHS_LEN];
	char text[ISC_TEXT_MAX];

	peer_numbered(p, bhs, OP_TEXT, flags);
	put_be32(bhs + O_ITT, itt);
	put_be32(bhs + O_TTT, ttt);
	peer_send(p, bhs, text, (uint32_t)peer_text(text, keys));
}

static void want_text(struct peer *p, uint32_t itt, uint8_t flags, struct reply *r)
{
	peer_want(p, OP_TEXT_RSP, r);
	assert_int_equal(pdu_itt(r->h), itt);
	assert_int_equal(r->h[O_FLAGS], flags);
	if (flags & PDU_FINAL)
		assert_int_equal(pdu_ttt(r->h), TAG_NONE);
	else
		assert_int_not_equal(pdu_ttt(r->h), TAG_NONE);
}

static void want_answer(struct peer *p, const char *keys, const char *want)
{
	char text[1024];
	size_t n = peer_text(text, want);
	struct reply r;

	send_text(p, 42, TAG_NONE, PDU_FINAL, keys);
	want_text(p, 42, PDU_FINAL, &r);
	if (r.len != n || memcmp(r.data, text, n) != 0)
		fail_msg("%s: answer %.*s", keys, (int)r.len, (const char *)r.data);
}

#define ENTRY(x) "TargetName=iqn.2026-11.test:" x "\nTargetAddress=192.0.2.50:3260,1\n"

static void send_targets(void **state)
{
	static const struct { bool discovery; const char *keys, *want; } t[] = {
		{ true, "SendTargets=All\n", ENTRY("a") ENTRY("t") ENTRY("z") },
		{ true, "SendTargets=iqn.2026-11.test:z\n", ENTRY("z") },
		{ true, "SendTargets=iqn.2026-11.test:none\n", "" },
		{ true, "SendTargets=\n", "SendTargets=Reject\n" },
		{ true, "SendTargets=Alle\n", "SendTargets=Reject\n" },
		{ false, "SendTargets=\n", ENTRY("t") },
		{ false, "SendTargets=All\n", ENTRY("t") },
		{ false, "SendTargets=iqn.2026-11.test:t\n", ENTRY("t") },
		{ false, "SendTargets=iqn.2026-11.test:a\n", "" },  /* not this session's business */
		{ false, "SendTargets=A\n", "SendTargets=Reject\n" },
		{ false, "sENDtARGETS=aLL\n", "sENDtARGETS=NotUnderstood\n" },
		{ true, "SendTargetsPlease=All\n", "SendTargetsPlease=NotUnderstood\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = session(t[i].discovery, NULL);

		want_answer(p, t[i].keys, t[i].want);
		peer_want_nothing(p);
		peer_free(p);
	}
}

/* Longer than the initiator takes in one PDU: in pieces, each asked for with the tag of the last */
static void long_answer(void **state)
{
	struct peer *p = session(true, "MaxRecvDataSegmentLength=512\n");
	static char names[200][40];
	const char *list[201] = { NULL };
	char *all = calloc(1, 200 * 100), *want = calloc(1, 200 * 100);
	size_t n = 0, len;
	struct reply r;
	uint32_t ttt = TAG_NONE;
	unsigned pieces = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "iqn.2026-11.test:%03d", i);
		list[i] = names[i];
		sprintf(want + strlen(want), "TargetName=%s\nTargetAddress=192.0.2.50:3260,1\n", names[i]);
	}
	p->targets = list;
	send_text(p, 42, TAG_NONE, PDU_FINAL, "SendTargets=All\n");
	for (;;) {
		peer_want(p, OP_TEXT_RSP, &r);
		assert_true(r.len <= 512);
		memcpy(all + n, r.data, r.len);
		n += r.len;
		pieces++;
		if (r.h[O_FLAGS] == PDU_FINAL)
			break;
		assert_int_equal(r.h[O_FLAGS], PDU_CONTINUE);
		assert_int_not_equal(pdu_ttt(r.h), ttt);
		ttt = pdu_ttt(r.h);
		peer_want_nothing(p);
		send_text(p, 42, ttt, PDU_FINAL, "");
	}
	assert_int_equal(pdu_ttt(r.h), TAG_NONE);
	len = peer_text(want, want);
	assert_int_equal(n, len);
	assert_memory_equal(all, want, n);
	assert_int_equal(pieces, (len + 511) / 512);
	free(all);
	free(want);
	peer_free(p);
}

/* A request in pieces (C bit) */
static void long_request(void **state)
{
	struct peer *p = session(true, NULL);
	struct reply r;

	(void)state;
	send_text(p, 42, TAG_NONE, PDU_CONTINUE, "SendTar");
	want_text(p, 42, 0, &r);
	assert_int_equal(r.len, 0);
	send_text(p, 42, pdu_ttt(r.h), PDU_FINAL, "gets=iqn.2026-11.test:a\n");
	want_text(p, 42, PDU_FINAL, &r);
	assert_string_equal(peer_value(&r, "TargetName"), "iqn.2026-11.test:a");
	peer_free(p);
}

/* 11.11.1: F is not answered where it was not asked for; the exchange goes on */
static void not_final(void **state)
{
	struct peer *p = session(false, NULL);
	struct reply r;

	(void)state;
	send_text(p, 42, TAG_NONE, 0, "X-a=1\n");
	want_text(p, 42, 0, &r);
	assert_string_equal(peer_value(&r, "X-a"), "NotUnderstood");
	send_text(p, 42, pdu_ttt(r.h), PDU_FINAL, "X-b=1\n");
	want_text(p, 42, PDU_FINAL, &r);
	assert_null(peer_value(&r, "X-a"));
	assert_string_equal(peer_value(&r, "X-b"), "NotUnderstood");
	peer_free(p);
}

/* 6.4: only few keys may be negotiated again; the others are rejected and change nothing */
static void renegotiation(void **state)
{
	struct peer *p = session(false, "MaxRecvDataSegmentLength=8192\nMaxBurstLength=65536\n");
	struct reply r;
	uint32_t itt;

	(void)state;
	want_answer(p, "MaxBurstLength=512\nHeaderDigest=CRC32C\nTargetAlias=x\n",
		    "MaxBurstLength=Reject\nHeaderDigest=Reject\nTargetAlias=Reject\n");
	assert_int_equal(isc_conn_params(p->c)->max_burst, 65536);
	want_answer(p, "MaxRecvDataSegmentLength=1024\nInitiatorAlias=new\n", "");
	assert_int_equal(isc_conn_params(p->c)->max_send_dsl, 1024);
	assert_string_equal(isc_conn_login(p->c)->initiator_alias, "new");
	itt = peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 2048, 2048, NULL, 0);
	peer_want(p, OP_DATA_IN, &r);
	assert_int_equal(r.len, 1024);
	peer_want_status(p, itt, 0, &r);
	want_answer(p, "MaxRecvDataSegmentLength=1\n", "MaxRecvDataSegmentLength=Reject\n");
	peer_free(p);
}

/* 6.4: in force when the exchange is over, not before; given up with it */
static void effective_at_the_end(void **state)
{
	struct peer *p = session(false, "MaxRecvDataSegmentLength=8192\n");
	struct reply r;

	(void)state;
	send_text(p, 42, TAG_NONE, 0, "MaxRecvDataSegmentLength=1024\nInitiatorAlias=new\n");
	want_text(p, 42, 0, &r);
	assert_int_equal(r.len, 0);
	assert_int_equal(isc_conn_params(p->c)->max_send_dsl, 8192);
	assert_string_equal(isc_conn_login(p->c)->initiator_alias, "");
	send_text(p, 42, pdu_ttt(r.h), PDU_FINAL, "");
	want_text(p, 42, PDU_FINAL, &r);
	assert_int_equal(isc_conn_params(p->c)->max_send_dsl, 1024);
	assert_string_equal(isc_conn_login(p->c)->initiator_alias, "new");
	/* reset: a request without our tag (11.10.4) */
	send_text(p, 43, TAG_NONE, 0, "MaxRecvDataSegmentLength=512\nInitiatorAlias=newer\n");
	want_text(p, 43, 0, &r);
	want_answer(p, "X-z=1\n", "X-z=NotUnderstood\n");
	assert_int_equal(isc_conn_params(p->c)->max_send_dsl, 1024);
	assert_string_equal(isc_conn_login(p->c)->initiator_alias, "new");
	peer_free(p);
}

/* 6.4, 6.2: a key twice in one exchange, or a reserved word as an offer: Reject, and the exchange is over */
static void protocol_errors(void **state)
{
	struct peer *p = session(false, "MaxRecvDataSegmentLength=8192\n");
	struct reply r;

	(void)state;
	send_text(p, 42, TAG_NONE, PDU_FINAL, "SendTargets=\nSendTargets=\n");
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	send_text(p, 42, TAG_NONE, 0, "MaxRecvDataSegmentLength=1024\n");
	want_text(p, 42, 0, &r);
	send_text(p, 42, pdu_ttt(r.h), PDU_FINAL, "MaxRecvDataSegmentLength=2048\n");
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	assert_int_equal(isc_conn_params(p->c)->max_send_dsl, 8192);
	send_text(p, 42, TAG_NONE, PDU_FINAL, "SendTargets=Irrelevant\n");
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	send_text(p, 42, TAG_NONE, PDU_FINAL, "MaxBurstLength=Reject\n");
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	want_answer(p, "MaxRecvDataSegmentLength=1024\n", "");
	assert_int_equal(isc_conn_params(p->c)->max_send_dsl, 1024);
	peer_free(p);
}

static void bad_tags(void **state)
{
	struct peer *p = session(true, NULL);
	struct reply r;
	uint32_t ttt;

	(void)state;
	send_text(p, 42, 7, PDU_FINAL, "");  /* we never gave one */
	peer_want_reject(p, ISC_REJECT_INVALID_FIELD);
	send_text(p, 42, TAG_NONE, PDU_CONTINUE, "Send");
	want_text(p, 42, 0, &r);
	ttt = pdu_ttt(r.h);
	send_text(p, 42, ttt + 1, PDU_FINAL, "Targets=All\n");
	peer_want_reject(p, ISC_REJECT_INVALID_FIELD);
	send_text(p, 43, ttt, PDU_FINAL, "Targets=All\n");
	peer_want_reject(p, ISC_REJECT_INVALID_FIELD);
	/* a new one starts anew (11.10.4) */
	want_answer(p, "SendTargets=iqn.2026-11.test:a\n", ENTRY("a"));
	peer_free(p);
}

static void no_text(void **state)
{
	struct peer *p = session(true, NULL);

	(void)state;
	send_text(p, 42, TAG_NONE, PDU_FINAL, "nonsense\n");
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	send_text(p, 42, TAG_NONE, PDU_FINAL, "SendTargets=All");  /* no NUL */
	peer_want_reject(p, ISC_REJECT_PROTOCOL);
	want_answer(p, "SendTargets=iqn.2026-11.test:a\n", ENTRY("a"));
	peer_free(p);
}

/* The limit on all pieces of a request together */
static void too_long(void **state)
{
	struct peer *p = session(false, NULL);
	char half[ISC_TEXT_MAX / 2 + 2];
	struct reply r;

	(void)state;
	memset(half, 'x', sizeof(half));
	half[sizeof(half) - 1] = '\0';
	send_text(p, 42, TAG_NONE, PDU_CONTINUE, half);
	want_text(p, 42, 0, &r);
	send_text(p, 42, pdu_ttt(r.h), PDU_CONTINUE, half);
	peer_want_reject(p, ISC_REJECT_RESOURCES);
	want_answer(p, "SendTargets=\n", ENTRY("t"));
	peer_free(p);
}

/* The connection dies in the middle of an exchange */
static void dies(void **state)
{
	struct peer *p = session(true, "MaxRecvDataSegmentLength=512\n");

	(void)state;
	send_text(p, 42, TAG_NONE, PDU_CONTINUE, "Send");
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(send_targets), cmocka_unit_test(long_answer), cmocka_unit_test(long_request),
		cmocka_unit_test(not_final), cmocka_unit_test(effective_at_the_end),
		cmocka_unit_test(protocol_errors), cmocka_unit_test(renegotiation), cmocka_unit_test(bad_tags),
		cmocka_unit_test(no_text), cmocka_unit_test(too_long), cmocka_unit_test(dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
