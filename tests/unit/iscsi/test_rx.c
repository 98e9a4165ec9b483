/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_rx.c - the parser: any cut of the bytes gives the same answers; receiving straight into a task's buffer */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

/* A conversation with a bit of everything, good and bad. Everything sent back ends up in p->in. */
static void conversation(struct peer *p, const char *digest)
{
	static const char *const targets[] = { "iqn.2026-11.test:t", NULL };
	uint8_t bhs[BHS_LEN], data[6001];
	char keys[128], text[64];
	struct reply r;
	uint32_t itt;

	p->targets = targets;
	pattern_fill(data, 0, sizeof(data));
	snprintf(keys, sizeof(keys), "HeaderDigest=%s\nDataDigest=%s\nInitialR2T=No\nFirstBurstLength=8192\n",
		 digest, digest);
	peer_full(p, keys);
	itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 20001, 20001, data, 3001);
	peer_data_out(p, itt, TAG_NONE, 0, 3001, 1002, false);
	peer_data_out(p, itt, TAG_NONE, 1, 4003, 0, false);
	peer_data_out(p, itt, TAG_NONE, 2, 4003, 4189, true);
	peer_want(p, OP_R2T, &r);
	peer_data_out(p, itt, pdu_ttt(r.h), 0, 8192, 20001 - 8192, true);
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 10003, 10003, NULL, 0);
	peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(p, bhs, data, 4097);
	peer_numbered(p, bhs, OP_TEXT, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(p, bhs, text, (uint32_t)peer_text(text, "SendTargets=All\n"));
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 10003, 10003, data, 33);  /* rejected */
	peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 6001, 600, data, 6001); /* most of it is thrown away */
	peer_cmd(p, CDB_FAIL, PDU_FINAL | CMD_WRITE, 6001, 600, data, 6001);
	peer_numbered(p, bhs, OP_LOGOUT, PDU_FINAL);
	peer_send(p, bhs, NULL, 0);
	while (peer_next(p, &r))
		;
	assert_int_equal(p->closings, 1);
	assert_int_equal(p->why, ISC_CLOSE_LOGOUT);
}

static void any_cut(void **state)
{
	static const char *const digests[] = { "None", "CRC32C" };
	static const size_t chunks[] = { 1, 2, 3, 7, 47, 48, 49, 51, 52, 53, 100, 4096 };

	(void)state;
	for (size_t d = 0; d < ARRAY_SIZE(digests); d++) {
		struct peer *whole = peer_new();

		conversation(whole, digests[d]);
		for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
			struct peer *p = peer_new();

			p->chunk = chunks[i];
			p->tx_chunk = chunks[ARRAY_SIZE(chunks) - 1 - i];
			conversation(p, digests[d]);
			assert_int_equal(p->in_len, whole->in_len);
			assert_memory_equal(p->in, whole->in, p->in_len);
			assert_int_equal(isc_conn_stats(p->c)->rx_bytes, isc_conn_stats(whole->c)->rx_bytes);
			assert_int_equal(isc_conn_stats(p->c)->rx_pdus, isc_conn_stats(whole->c)->rx_pdus);
			assert_int_equal(isc_conn_stats(p->c)->tx_bytes, p->in_len);
			assert_true(isc_conn_stats(p->c)->rx_bytes > 20001 + 4097 + 2 * 6001);
			assert_int_equal(isc_conn_stats(p->c)->rx_pdus, 13);
			assert_true(isc_conn_stats(p->c)->tx_pdus > 10);
			peer_free(p);
		}
		peer_free(whole);
	}
}

static struct peer *direct_peer(const char *digest)
{
	struct peer *p = peer_new();
	char keys[128];

	snprintf(keys, sizeof(keys), "DataDigest=%s\nInitialR2T=No\nFirstBurstLength=65536\n", digest);
	peer_full(p, keys);
	return p;
}

/* As a reactor does it: small things through a buffer, the rest straight to its place, in pieces of @step */
static void feed_direct(struct peer *p, const uint8_t *pdu, size_t n, size_t step, size_t *ret_direct)
{
	*ret_direct = 0;
	while (n) {
		void *to;
		size_t room = isc_rx_direct(p->c, &to), take = MIN(n, step);

		if (room) {
			take = MIN(take, room);
			memcpy(to, pdu, take);
			assert_int_equal(isc_rx_direct_done(p->c, take), 0);
			*ret_direct += take;
		} else {
			take = MIN(take, (size_t)BHS_LEN);
			assert_int_equal(isc_rx(p->c, pdu, take), 0);
		}
		pdu += take;
		n -= take;
	}
}

static void direct(void **state)
{
	static const struct { const char *digest; size_t step; uint32_t len, wanted; } t[] = {
		{ "None", 1 << 20, 60000, 60000 }, { "CRC32C", 1 << 20, 60000, 60000 }, { "None", 1000, 60001, 60001 },
		{ "CRC32C", 999, 60001, 60001 }, { "None", 1000, 60000, 500 }, { "CRC32C", 4096, 5000, 4999 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = direct_peer(t[i].digest);
		uint8_t bhs[BHS_LEN], *data = malloc(t[i].len), *pdu = malloc(t[i].len + 100);
		struct reply r;
		size_t n, placed;

		pattern_fill(data, 0, t[i].len);
		peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, t[i].len, t[i].wanted);
		n = peer_pack(p, bhs, data, t[i].len, pdu);
		feed_direct(p, pdu, n, t[i].step, &placed);
		assert_int_equal(placed, t[i].wanted);
		peer_want_status(p, pdu_itt(bhs), 0, &r);
		assert_int_equal(p->received[0], t[i].wanted);
		free(data);
		free(pdu);
		peer_free(p);
	}
}

/* Data-Out, at its offset */
static void direct_data_out(void **state)
{
	struct peer *p = direct_peer("None");
	uint8_t bhs[BHS_LEN], *data = malloc(100000), *pdu = malloc(100100);
	struct reply r;
	size_t n, placed;
	uint32_t itt;

	(void)state;
	pattern_fill(data, 0, 100000);
	itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 100000, 100000, data, 20000);
	peer_want(p, OP_R2T, &r);
	peer_bhs(bhs, OP_DATA_OUT, PDU_FINAL, itt);
	bhs[O_LUN + 1] = 3;
	put_be32(bhs + O_TTT, pdu_ttt(r.h));
	put_be32(bhs + O_DATA_OFFSET, 20000);
	n = peer_pack(p, bhs, data + 20000, 80000, pdu);
	feed_direct(p, pdu, n, 3000, &placed);
	assert_int_equal(placed, 80000);
	peer_want_status(p, itt, 0, &r);
	assert_int_equal(p->received[0], 100000);
	free(data);
	free(pdu);
	peer_free(p);
}

/* Nothing to place: between PDUs, in a header, in a ping, in data the server has no buffer for yet */
static void not_direct(void **state)
{
	struct peer *p = direct_peer("None");
	uint8_t bhs[BHS_LEN], data[64] = { 0 }, pdu[BHS_LEN + 64];
	void *to = &to;

	(void)state;
	assert_int_equal(isc_rx_direct(p->c, &to), 0);
	peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, 10);
	assert_int_equal(isc_rx_direct(p->c, &to), 0);
	peer_feed(p, pdu + 10, BHS_LEN - 10 + 5);
	assert_int_equal(isc_rx_direct(p->c, &to), 0);
	peer_feed(p, pdu + BHS_LEN + 5, sizeof(data) - 5);
	p->manual = true;
	peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 64, 64);
	peer_pack(p, bhs, data, sizeof(data), pdu);
	peer_feed(p, pdu, BHS_LEN + 1);
	assert_int_equal(isc_rx_direct(p->c, &to), 0);
	assert_ptr_equal(to, &to);  /* untouched when there is nothing */
	peer_feed(p, pdu + BHS_LEN + 1, sizeof(data) - 1);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_free(p);
}

/* Pings that nobody reads the answers of: the server is told to stop receiving */
static void paused(void **state)
{
	struct peer *p = peer_new();
	static uint8_t data[262144];
	uint8_t bhs[BHS_LEN];
	struct reply r;
	unsigned n = 0;

	(void)state;
	peer_full(p, "MaxRecvDataSegmentLength=262144\n");
	while (!isc_rx_paused(p->c)) {
		peer_numbered(p, bhs, OP_NOP_OUT | PDU_IMMEDIATE, PDU_FINAL);
		put_be32(bhs + O_TTT, TAG_NONE);
		peer_send(p, bhs, data, sizeof(data));
		assert_true(++n < 10);
	}
	while (peer_next(p, &r))
		n--;
	assert_int_equal(n, 0);
	assert_false(isc_rx_paused(p->c));
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_cut), cmocka_unit_test(direct), cmocka_unit_test(direct_data_out),
		cmocka_unit_test(not_direct), cmocka_unit_test(paused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
