/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_digest.c - CRC32C (RFC 7143 appendix A.4's examples, 13.1) and what happens when it is wrong (7.8) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static void vectors(void **state)
{
	static const uint8_t read10[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14,
		0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
	};
	static const uint8_t want[][4] = {
		{ 0xaa, 0x36, 0x91, 0x8a }, { 0x43, 0xab, 0xa8, 0x62 }, { 0x4e, 0x79, 0xdd, 0x46 },
		{ 0x5c, 0xdb, 0x3f, 0x11 }, { 0x56, 0x3a, 0x96, 0xd9 },
	};
	uint8_t buf[5][48] = { { 0 } }, out[4];

	(void)state;
	memset(buf[1], 0xff, 32);
	for (int i = 0; i < 32; i++) {
		buf[2][i] = (uint8_t)i;
		buf[3][i] = (uint8_t)(31 - i);
	}
	memcpy(buf[4], read10, 48);
	for (int i = 0; i < 5; i++) {
		size_t len = i == 4 ? 48 : 32;

		isc_crc_put(out, isc_crc(CRC_INIT, buf[i], len));
		assert_memory_equal(out, want[i], 4);
		/* in pieces it is the same */
		isc_crc_put(out, isc_crc(isc_crc(isc_crc(CRC_INIT, buf[i], 1), buf[i] + 1, 0), buf[i] + 1, len - 1));
		assert_memory_equal(out, want[i], 4);
		assert_true(isc_crc_ok(isc_crc(CRC_INIT, buf[i], len), want[i]));
		assert_false(isc_crc_ok(isc_crc(CRC_INIT, buf[i], len - 1), want[i]));
	}
}

static struct peer *with_digests(void)
{
	struct peer *p = peer_new();

	peer_full(p, "HeaderDigest=CRC32C\nDataDigest=CRC32C\nInitialR2T=No\nImmediateData=Yes\n");
	assert_int_equal(isc_conn_params(p->c)->header_digest, ISC_DIGEST_CRC32C);
	assert_int_equal(isc_conn_params(p->c)->data_digest, ISC_DIGEST_CRC32C);
	return p;
}

/* Both ways, lengths that need padding included; peer.c checks those of the target */
static void good(void **state)
{
	static const uint32_t lens[] = { 0, 1, 2, 3, 4, 511, 4096, 9001 };
	struct peer *p = with_digests();
	uint8_t data[9001];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	for (size_t i = 0; i < 10 * ARRAY_SIZE(lens); i++) {
		uint32_t n = lens[i % ARRAY_SIZE(lens)], got = 0;
		uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, n, n, data, n);

		peer_want_status(p, itt, 0, &r);
		assert_int_equal(p->received[p->commands - 1], n);
		itt = peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, n, n, NULL, 0);
		while (got < n) {
			peer_want(p, OP_DATA_IN, &r);
			pattern_check(r.data, got, r.len);
			got += r.len;
		}
		if (!n)
			peer_want_status(p, itt, 0, &r);
	}
	peer_free(p);
}

/* Send a PDU with one bit wrong, @at bytes from its end */
static int send_broken(struct peer *p, const uint8_t *bhs, const void *data, uint32_t len, size_t at)
{
	uint8_t out[8192];
	size_t n = peer_pack(p, bhs, data, len, out);

	out[n - at] ^= 0x10;
	return peer_feed(p, out, n);
}

/* At error recovery level 0 a header that cannot be trusted ends the connection */
static void header_error(void **state)
{
	struct peer *p = with_digests();
	uint8_t bhs[BHS_LEN];

	(void)state;
	peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 0, 0);
	assert_int_equal(send_broken(p, bhs, NULL, 0, 1), -1);
	assert_int_equal(p->closings, 1);
	assert_int_equal(p->why, ISC_CLOSE_HEADER_DIGEST);
	assert_int_equal(p->commands, 0);
	peer_free(p);
}

/* Immediate data of a command: Reject, the command never ran, then session recovery */
static void immediate_data_error(void **state)
{
	struct peer *p = with_digests();
	uint8_t bhs[BHS_LEN], data[64];

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	peer_cmd_bhs(p, bhs, CDB_WRITE, PDU_FINAL | CMD_WRITE, 64, 64);
	assert_int_equal(send_broken(p, bhs, data, 64, 20), -1);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	assert_int_equal(p->why, ISC_CLOSE_DATA_DIGEST);
	assert_int_equal(p->readies, 0);
	peer_free(p);
}

/* Data-Out: Reject, and CHECK CONDITION when the whole sequence was there */
static void data_out_error(void **state)
{
	static const uint8_t crc_error[] = { 0, 18, 0x70, 0, 0x0b };
	struct peer *p = with_digests();
	uint8_t bhs[BHS_LEN], data[512];
	struct reply r;
	uint32_t itt;

	(void)state;
	itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 1024, 1024, NULL, 0);
	peer_bhs(bhs, OP_DATA_OUT, 0, itt);
	put_be32(bhs + O_TTT, TAG_NONE);
	pattern_fill(data, 0, sizeof(data));
	assert_int_equal(send_broken(p, bhs, data, 512, 100), 0);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	peer_want_nothing(p);  /* waits for the F bit */
	peer_data_out(p, itt, TAG_NONE, 1, 512, 512, true);
	peer_want_status(p, itt, 2, &r);
	assert_memory_equal(r.data, crc_error, sizeof(crc_error));
	assert_int_equal(get_be16(r.data + 2 + 12), 0x4705);
	assert_int_equal(p->readies, 0);
	assert_int_equal(p->closings, 0);
	peer_free(p);
}

/* A ping leaves no hole behind: Reject and nothing else */
static void ping_error(void **state)
{
	struct peer *p = with_digests();
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	peer_numbered(p, bhs, OP_NOP_OUT | PDU_IMMEDIATE, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	assert_int_equal(send_broken(p, bhs, "ping", 4, 1), 0);
	peer_want_reject(p, ISC_REJECT_DATA_DIGEST);
	assert_int_equal(p->closings, 0);
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	/* but one with a CmdSN of its own would */
	peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_TTT, TAG_NONE);
	assert_int_equal(send_broken(p, bhs, "ping", 4, 1), -1);
	assert_int_equal(p->why, ISC_CLOSE_DATA_DIGEST);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors), cmocka_unit_test(good), cmocka_unit_test(header_error),
		cmocka_unit_test(immediate_data_error), cmocka_unit_test(data_out_error), cmocka_unit_test(ping_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
