/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of gratuitous ARP, unsolicited NA and tickle, their checksums verified independently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/clusterd.h"
#include "node/util/wire.h"

static const uint8_t MAC[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
static const uint8_t V4[4] = { 192, 0, 2, 50 };
static const uint8_t V6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x50 };

/* A receiver's check (RFC 1071): the ones' complement sum over everything, checksum included, is ffff. */
static bool sums_up(const uint8_t *p, size_t n, const uint8_t *src, const uint8_t *dst, size_t alen, uint8_t proto)
{
	uint32_t sum = proto + (proto ? (uint32_t)n : 0);

	for (size_t i = 0; i + 1 < alen; i += 2)
		sum += (uint32_t)(src[i] << 8 | src[i + 1]) + (uint32_t)(dst[i] << 8 | dst[i + 1]);
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* RFC 1071 section 3, worked example */
static void test_checksum(void **state)
{
	static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	(void)state;
	assert_int_equal(inet_checksum(data, sizeof(data), 0), (uint16_t)~0xddf2);
	assert_int_equal(inet_checksum(data, 3, 0), (uint16_t)~0xf201);   /* odd length: padded with zero */
}

/* RFC 826, RFC 5227 3: sender and target protocol address are both the announced one */
static void test_arp(void **state)
{
	static const uint8_t request[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x08, 0x06,
		0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,
		0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 192, 0, 2, 50,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 192, 0, 2, 50,
	};
	uint8_t out[PACKET_MAX];

	(void)state;
	assert_int_equal(packet_arp(out, MAC, V4, false), sizeof(request));
	assert_memory_equal(out, request, sizeof(request));
	assert_int_equal(packet_arp(out, MAC, V4, true), sizeof(request));
	assert_int_equal(get_be16(out + 20), 2);
	assert_memory_equal(out + 32, MAC, 6);
	assert_memory_equal(out + 38, V4, 4);
}

/* RFC 4861 4.4 and 7.1.2: hop limit 255, override, target link-layer address; to all nodes */
static void test_na(void **state)
{
	uint8_t out[PACKET_MAX];
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

	(void)state;
	assert_int_equal(packet_na(out, MAC, V6), 14 + 40 + 32);
	assert_memory_equal(out, ((uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }), 6);
	assert_memory_equal(out + 6, MAC, 6);
	assert_int_equal(get_be16(out + 12), 0x86dd);
	assert_int_equal(get_be32(out + 14), 0x60000000);
	assert_int_equal(get_be16(out + 18), 32);
	assert_int_equal(out[20], 58);
	assert_int_equal(out[21], 255);
	assert_memory_equal(out + 22, V6, 16);
	assert_memory_equal(out + 38, all_nodes, 16);
	assert_int_equal(out[54], 136);
	assert_int_equal(out[55], 0);
	assert_int_equal(get_be32(out + 58), 0x20000000);
	assert_memory_equal(out + 62, V6, 16);
	assert_memory_equal(out + 78, ((uint8_t[]){ 2, 1 }), 2);
	assert_memory_equal(out + 80, MAC, 6);
	assert_true(sums_up(out + 54, 32, V6, all_nodes, 16, 58));
}

static struct endpoint endpoint(const uint8_t *b, size_t len, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_true(ip_make(&e.ip, b, len));
	return e;
}

/* RFC 9293 3.1: a bare ACK; RFC 791 3.1 */
static void test_tickle4(void **state)
{
	static const uint8_t client[4] = { 198, 51, 100, 7 };
	struct endpoint from = endpoint(V4, 4, 3260), to = endpoint(client, 4, 40000);
	uint8_t out[PACKET_MAX];

	(void)state;
	assert_int_equal(packet_tickle(out, &from, &to), 40);
	assert_int_equal(get_be16(out), 0x4500);
	assert_int_equal(get_be16(out + 2), 40);
	assert_int_equal(out[9], 6);
	assert_memory_equal(out + 12, V4, 4);
	assert_memory_equal(out + 16, client, 4);
	assert_true(sums_up(out, 20, NULL, NULL, 0, 0));
	assert_int_equal(get_be16(out + 20), 3260);
	assert_int_equal(get_be16(out + 22), 40000);
	assert_int_equal(get_be32(out + 24), 0);
	assert_int_equal(get_be32(out + 28), 0);
	assert_int_equal(out[32] >> 4, 5);
	assert_int_equal(out[33], 0x10);
	assert_true(sums_up(out + 20, 20, V4, client, 4, 6));
}

/* RFC 8200 3 and 8.1 */
static void test_tickle6(void **state)
{
	static const uint8_t client[16] = { 0x20, 0x01, 0x0d, 0xb8, 0xff, [15] = 7 };
	struct endpoint from = endpoint(V6, 16, 3260), to = endpoint(client, 16, 65535);
	uint8_t out[PACKET_MAX];

	(void)state;
	assert_int_equal(packet_tickle(out, &from, &to), 60);
	assert_int_equal(out[0] >> 4, 6);
	assert_int_equal(get_be16(out + 4), 20);
	assert_int_equal(out[6], 6);
	assert_memory_equal(out + 8, V6, 16);
	assert_memory_equal(out + 24, client, 16);
	assert_int_equal(get_be16(out + 42), 65535);
	assert_int_equal(out[53], 0x10);
	assert_true(sums_up(out + 40, 20, V6, client, 16, 6));
}

static void test_tickle_of_two_families_is_refused(void **state)
{
	struct endpoint a = endpoint(V4, 4, 1), b = endpoint(V6, 16, 2), none = { .port = 1 };
	uint8_t out[PACKET_MAX] = { 0xa5 };

	(void)state;
	assert_int_equal(packet_tickle(out, &a, &b), 0);
	assert_int_equal(packet_tickle(out, &none, &none), 0);
	assert_int_equal(out[0], 0xa5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_arp),
		cmocka_unit_test(test_na),
		cmocka_unit_test(test_tickle4),
		cmocka_unit_test(test_tickle6),
		cmocka_unit_test(test_tickle_of_two_families_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
