/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Large messages over CPG: cut, reassembled per sender, refused when out of sequence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/clusterd.h"
#include "node/util/wire.h"

#define PAYLOAD (LUNWARD_CPG_CHUNK - CHUNK_HEADER)

static const struct chunk_sender ALPHA = { 1, 100 }, BETA = { 2, 100 };

static uint8_t *pattern(size_t len, uint8_t seed)
{
	uint8_t *p = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 31 + seed);
	return p;
}

/* Feed chunk @index of @msg. */
static int feed(struct chunk_asm *a, struct chunk_sender from, uint32_t inc, uint32_t number, uint16_t index,
		const uint8_t *msg, size_t len, const uint8_t **ret, size_t *ret_len)
{
	struct chunk_head h = { .incarnation = inc, .number = number, .total = (uint32_t)len, .index = index };
	/* exactly as large as it is, so that a sanitizer sees a read past its end */
	uint8_t *buf = malloc(LUNWARD_CPG_CHUNK), *exact;
	size_t n = msg ? chunk_put(buf, &h, msg) : 0;
	uint32_t got;
	int r;
	static uint8_t *keep;

	free(keep);   /* a single chunk is handed out in place */
	exact = malloc(n);
	memcpy(exact, buf, n);
	free(buf);
	r = chunk_feed(a, from, exact, n, ret, ret_len, &got);
	if (r >= 0)
		assert_int_equal(got, inc);
	keep = exact;
	if (!msg) {
		free(keep);
		keep = NULL;
	}
	return r;
}

static void whole(size_t len)
{
	struct chunk_asm a;
	uint8_t *msg = pattern(len, 7);
	const uint8_t *out = NULL;
	size_t out_len = 1;
	size_t n = chunk_count(len);

	chunk_asm_init(&a);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(feed(&a, ALPHA, 9, 1, (uint16_t)i, msg, len, &out, &out_len), i + 1 == n);
	assert_int_equal(out_len, len);
	assert_memory_equal(out, msg, len);
	chunk_asm_clear(&a);
	free(msg);
}

static void test_sizes(void **state)
{
	static const size_t len[] = { 0, 1, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, 2 * PAYLOAD, 2 * PAYLOAD + 1, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(len); i++)
		whole(len[i]);
	assert_int_equal(chunk_count(0), 1);
	assert_int_equal(chunk_count(PAYLOAD), 1);
	assert_int_equal(chunk_count(PAYLOAD + 1), 2);
}

static void test_interleaved_senders(void **state)
{
	struct chunk_asm a;
	size_t len = PAYLOAD + 10;
	uint8_t *ma = pattern(len, 1), *mb = pattern(len, 2);
	const uint8_t *out;
	size_t out_len;

	(void)state;
	chunk_asm_init(&a);
	assert_int_equal(feed(&a, ALPHA, 1, 1, 0, ma, len, &out, &out_len), 0);
	assert_int_equal(feed(&a, BETA, 2, 1, 0, mb, len, &out, &out_len), 0);
	assert_int_equal(feed(&a, ALPHA, 1, 1, 1, ma, len, &out, &out_len), 1);
	assert_memory_equal(out, ma, len);
	assert_int_equal(feed(&a, BETA, 2, 1, 1, mb, len, &out, &out_len), 1);
	assert_memory_equal(out, mb, len);
	chunk_asm_clear(&a);
	free(ma);
	free(mb);
}

/* A process that died half way, and its successor under the same pid: never one message made of two. */
static void test_incarnations_do_not_mix(void **state)
{
	struct chunk_asm a;
	size_t len = PAYLOAD + 10;
	uint8_t *m1 = pattern(len, 1), *m2 = pattern(len, 2);
	const uint8_t *out = NULL;
	size_t out_len;

	(void)state;
	chunk_asm_init(&a);
	assert_int_equal(feed(&a, ALPHA, 1, 1, 0, m1, len, &out, &out_len), 0);
	assert_int_equal(feed(&a, ALPHA, 2, 1, 1, m2, len, &out, &out_len), -EPROTO);
	assert_null(out);
	assert_int_equal(feed(&a, ALPHA, 2, 2, 0, m2, len, &out, &out_len), 0);
	assert_int_equal(feed(&a, ALPHA, 2, 2, 1, m2, len, &out, &out_len), 1);
	assert_memory_equal(out, m2, len);
	chunk_asm_clear(&a);
	free(m1);
	free(m2);
}

static void test_left_sender_is_forgotten(void **state)
{
	struct chunk_asm a;
	size_t len = PAYLOAD + 10;
	uint8_t *m = pattern(len, 1);
	const uint8_t *out;
	size_t out_len;

	(void)state;
	chunk_asm_init(&a);
	assert_int_equal(feed(&a, ALPHA, 1, 1, 0, m, len, &out, &out_len), 0);
	chunk_drop(&a, ALPHA);
	assert_int_equal(feed(&a, ALPHA, 1, 1, 1, m, len, &out, &out_len), -EPROTO);
	chunk_drop(&a, BETA);
	chunk_asm_clear(&a);
	free(m);
}

static void test_out_of_sequence(void **state)
{
	struct chunk_asm a;
	size_t len = 3 * PAYLOAD;
	uint8_t *m = pattern(len, 1);
	const uint8_t *out;
	size_t out_len;

	(void)state;
	chunk_asm_init(&a);
	assert_int_equal(feed(&a, ALPHA, 1, 1, 1, m, len, &out, &out_len), -EPROTO);  /* no start */
	assert_int_equal(feed(&a, ALPHA, 1, 1, 0, m, len, &out, &out_len), 0);
	assert_int_equal(feed(&a, ALPHA, 1, 1, 2, m, len, &out, &out_len), -EPROTO);  /* a gap */
	assert_int_equal(feed(&a, ALPHA, 1, 1, 1, m, len, &out, &out_len), -EPROTO);  /* dropped with it */
	assert_int_equal(feed(&a, ALPHA, 1, 2, 0, m, len, &out, &out_len), 0);
	assert_int_equal(feed(&a, ALPHA, 1, 2, 0, m, len, &out, &out_len), 0);        /* a start starts anew */
	assert_int_equal(feed(&a, ALPHA, 1, 2, 1, m, len, &out, &out_len), 0);
	assert_int_equal(feed(&a, ALPHA, 1, 2, 2, m, len, &out, &out_len), 1);
	assert_int_equal(feed(&a, ALPHA, 1, 2, 2, m, len, &out, &out_len), -EPROTO);  /* once is enough */
	chunk_asm_clear(&a);
	free(m);
}

/* Every byte of a header matters, and every length but the right one is refused. */
static void test_malformed(void **state)
{
	struct chunk_asm a;
	struct chunk_head h = { .incarnation = 1, .number = 1, .total = 10 };
	uint8_t buf[LUNWARD_CPG_CHUNK];
	const uint8_t *out;
	size_t out_len, n = chunk_put(buf, &h, (const uint8_t *)"0123456789");
	uint32_t inc;

	(void)state;
	chunk_asm_init(&a);
	assert_int_equal(chunk_feed(&a, ALPHA, buf, n, &out, &out_len, &inc), 1);
	for (size_t len = 0; len < n; len++)
		assert_int_equal(chunk_feed(&a, ALPHA, buf, len, &out, &out_len, &inc), -EPROTO);
	assert_int_equal(chunk_feed(&a, ALPHA, buf, n + 1, &out, &out_len, &inc), -EPROTO);
	for (size_t i = 0; i < 8; i++) {   /* magic, version, index */
		buf[i] ^= 0x40;
		assert_int_equal(chunk_feed(&a, ALPHA, buf, n, &out, &out_len, &inc), -EPROTO);
		buf[i] ^= 0x40;
	}
	put_be32(buf + 16, CHUNK_MESSAGE_MAX + 1);
	assert_int_equal(chunk_feed(&a, ALPHA, buf, n, &out, &out_len, &inc), -EPROTO);
	chunk_asm_clear(&a);
}

static int forget(void **state)
{
	struct chunk_asm a;
	const uint8_t *out;
	size_t out_len;

	(void)state;
	chunk_asm_init(&a);
	feed(&a, ALPHA, 1, 1, 0, NULL, 0, &out, &out_len);
	chunk_asm_clear(&a);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_interleaved_senders),
		cmocka_unit_test(test_incarnations_do_not_mix),
		cmocka_unit_test(test_left_sender_is_forgotten),
		cmocka_unit_test(test_out_of_sequence),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
