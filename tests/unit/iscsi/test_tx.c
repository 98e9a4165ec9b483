/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tx.c - bytes out: asked for in any portions, made late, never changed once shown */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static struct peer *full(const char *keys)
{
	struct peer *p = peer_new();

	peer_full(p, keys ? keys : "MaxRecvDataSegmentLength=512\nMaxBurstLength=1024\n");
	return p;
}

static size_t total(const struct iovec *iov, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* More than the ring holds, sent in awkward portions: every byte, once, in order */
static void portions(void **state)
{
	static const size_t chunks[] = { 1, 5, 48, 560, 561, 1000, 100000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		struct peer *p = full(NULL);
		uint32_t off = 0;
		struct reply r;

		p->tx_chunk = chunks[i];
		peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 100001, 100001, NULL, 0);
		while (off < 100001) {
			peer_want(p, OP_DATA_IN, &r);
			assert_int_equal(get_be32(r.h + O_DATA_OFFSET), off);
			pattern_check(r.data, off, r.len);
			off += r.len;
		}
		peer_want_nothing(p);
		peer_free(p);
	}
}

/* Asked twice without isc_tx_done(), the same bytes come first, at the same place */
static void asked_twice(void **state)
{
	struct peer *p = full(NULL);
	struct iovec a[10], b[40];
	uint8_t copy[BHS_LEN];
	struct reply r;
	int na, nb;

	(void)state;
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 10000, 10000, NULL, 0);
	na = isc_tx_iov(p->c, a, 10);
	assert_true(na >= 4 && na <= 10);
	memcpy(copy, a[0].iov_base, BHS_LEN);
	nb = isc_tx_iov(p->c, b, 40);
	assert_true(nb > na);
	for (int i = 0; i < na; i++) {
		assert_ptr_equal(a[i].iov_base, b[i].iov_base);
		assert_int_equal(a[i].iov_len, b[i].iov_len);
	}
	assert_memory_equal(a[0].iov_base, copy, BHS_LEN);
	while (peer_next(p, &r))
		;
	peer_free(p);
}

/* After a part was sent, the rest begins exactly there */
static void partly(void **state)
{
	struct peer *p = full("DataDigest=CRC32C\nHeaderDigest=CRC32C\n");
	struct iovec iov[4];
	size_t all;
	int n;

	(void)state;
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 101, 101, NULL, 0);
	n = isc_tx_iov(p->c, iov, 4);
	all = total(iov, n);
	assert_int_equal(all, BHS_LEN + 4 + 101 + 3 + 4);
	for (size_t sent = 1; sent < all; sent++) {
		isc_tx_done(p->c, 1);
		n = isc_tx_iov(p->c, iov, 4);
		assert_int_equal(total(iov, n), all - sent);
		if (sent == BHS_LEN + 4 + 50)
			assert_int_equal(((uint8_t *)iov[0].iov_base)[0], pattern(50));
	}
	isc_tx_done(p->c, 1);
	assert_int_equal(isc_tx_iov(p->c, iov, 4), 0);
	assert_int_equal(p->releases, 1);
	peer_free(p);
}

/* Not more is made ahead than can be sent soon: later R2Ts and numbers stay fresh */
static void not_too_far_ahead(void **state)
{
	static struct iovec iov[1024];
	struct peer *p = full("MaxRecvDataSegmentLength=65536\nMaxBurstLength=65536\n");
	struct reply r;
	int n;

	(void)state;
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 4 << 20, 4 << 20, NULL, 0);
	n = isc_tx_iov(p->c, iov, 1024);
	assert_true(total(iov, n) <= TX_AHEAD + 65536 + BHS_LEN);
	while (peer_next(p, &r))
		;
	peer_free(p);
}

/* R2Ts overtake queued data */
static void r2t_first(void **state)
{
	struct peer *p = full(NULL);
	struct reply r;
	uint32_t itt;

	(void)state;
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 10000, 10000, NULL, 0);
	itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 512, 512, NULL, 0);
	peer_want(p, OP_R2T, &r);
	assert_int_equal(pdu_itt(r.h), itt);
	peer_want(p, OP_DATA_IN, &r);
	peer_free(p);
}

/* ops->tx_ready() once for each time that there is something again */
static void told_once(void **state)
{
	struct peer *p = full(NULL);
	unsigned before = p->tx_readies;
	struct reply r;

	(void)state;
	peer_want_nothing(p);
	assert_false(isc_tx_pending(p->c));
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	assert_true(isc_tx_pending(p->c));
	assert_int_equal(p->tx_readies, before + 1);
	while (peer_next(p, &r))
		;
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	assert_int_equal(p->tx_readies, before + 2);
	peer_want(p, OP_SCSI_RSP, &r);
	peer_want_nothing(p);
	peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 10, 10, NULL, 0);  /* an R2T */
	assert_int_equal(p->tx_readies, before + 3);
	peer_want(p, OP_R2T, &r);
	peer_want_nothing(p);
	isc_send_nop_in(p->c);
	assert_int_equal(p->tx_readies, before + 4);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(portions), cmocka_unit_test(asked_twice), cmocka_unit_test(partly),
		cmocka_unit_test(not_too_far_ahead), cmocka_unit_test(r2t_first), cmocka_unit_test(told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
