/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_park.c - the final login response is held until the server decides: early logins, session reinstatement */
#include "tests/unit/iscsi/peer.h"

#define KEYS "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n"

static struct peer *parked(void)
{
	struct peer *p = peer_new();

	p->park = true;
	peer_start(p);
	assert_int_equal(peer_login(p, 1, 3, false, KEYS "HeaderDigest=CRC32C\n"), 0);
	assert_int_equal(p->logins, 1);
	assert_true(isc_conn_parked(p->c));
	assert_false(isc_conn_full_feature(p->c));
	assert_null(isc_conn_sess(p->c));
	peer_want_nothing(p);
	return p;
}

static void admitted_later(void **state)
{
	struct peer *p = parked();
	struct reply r;

	(void)state;
	assert_int_equal(isc_conn_params(p->c)->header_digest, ISC_DIGEST_CRC32C);  /* known already */
	isc_login_admit(p->c, 0x1234);
	assert_true(isc_tx_pending(p->c));
	peer_want(p, OP_LOGIN_RSP, &r);
	assert_int_equal(r.h[O_FLAGS], PDU_TRANSIT | 1 << 2 | 3);
	assert_int_equal(get_be16(r.h + O_LOGIN_TSIH), 0x1234);
	assert_string_equal(peer_value(&r, "HeaderDigest"), "CRC32C");
	assert_non_null(isc_conn_sess(p->c));
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	/* once is enough */
	isc_login_admit(p->c, 0x9999);
	isc_login_refuse(p->c, ISC_LOGIN_UNAVAILABLE);
	peer_want_nothing(p);
	assert_int_equal(p->closings, 0);
	peer_free(p);
}

static void refused_later(void **state)
{
	struct peer *p = parked();
	struct reply r;

	(void)state;
	isc_login_refuse(p->c, ISC_LOGIN_UNAVAILABLE);
	peer_want(p, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), ISC_LOGIN_UNAVAILABLE);
	assert_int_equal(p->why, ISC_CLOSE_LOGIN_REFUSED);
	isc_login_admit(p->c, 1);  /* too late, and harmless */
	peer_want_nothing(p);
	peer_free(p);
}

/* The initiator gives up while it waits */
static void gone_meanwhile(void **state)
{
	struct peer *p = parked();

	(void)state;
	peer_free(p);
}

/* 6.3: requests and responses alternate */
static void talks_meanwhile(void **state)
{
	struct peer *p = parked();

	(void)state;
	assert_int_equal(peer_login(p, 1, 3, false, ""), -1);
	assert_int_equal(p->why, ISC_CLOSE_PROTOCOL);
	isc_login_admit(p->c, 1);
	assert_false(isc_conn_full_feature(p->c));
	peer_want_nothing(p);
	peer_free(p);
}

/* In the same bytes as the login, too */
static void talks_at_once(void **state)
{
	struct peer *p = peer_new();
	uint8_t bytes[2 * BHS_LEN], bhs[BHS_LEN];

	(void)state;
	p->park = true;
	peer_start(p);
	assert_int_equal(peer_login(p, 1, -1, false, KEYS), 0);
	peer_bhs(bhs, OP_LOGIN | PDU_IMMEDIATE, PDU_TRANSIT | 1 << 2 | 3, p->itt);
	memcpy(bhs + O_LOGIN_ISID, "\x40\0\1\x37\0\2", 6);
	put_be16(bhs + O_LOGIN_CID, 9);
	peer_pack(p, bhs, NULL, 0, bytes);
	peer_pack(p, bhs, NULL, 0, bytes + BHS_LEN);
	assert_int_equal(peer_feed(p, bytes, sizeof(bytes)), -1);
	assert_int_equal(p->logins, 1);
	assert_int_equal(p->why, ISC_CLOSE_PROTOCOL);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(admitted_later), cmocka_unit_test(refused_later), cmocka_unit_test(gone_meanwhile),
		cmocka_unit_test(talks_meanwhile), cmocka_unit_test(talks_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
