/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_key.c - the reservation key: layout, whose it is, the end of the epochs
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fencing/key.h"

static void layout_is_fixed(void **state)
{
	struct fence_key k;

	(void)state;
	assert_int_equal(fence_key_make(0x1234, 0x56, 0x789abc), 0x4c57123456789abc);
	assert_true(fence_key_parse(0x4c57123456789abc, &k));
	assert_int_equal(k.cluster, 0x1234);
	assert_int_equal(k.node, 0x56);
	assert_int_equal(k.epoch, 0x789abc);
	assert_int_equal(fence_key_epoch(0x4c57123456789abc), 0x789abc);
	assert_int_equal(fence_key_node(0x4c57123456789abc), 0x56);
}

/* The tag is on disks of running clusters: it must never change between versions. */
static void cluster_tag_is_fixed(void **state)
{
	(void)state;
	assert_int_equal(fence_cluster_tag("prod"), 0xdc4a);
	assert_int_not_equal(fence_cluster_tag("prod"), fence_cluster_tag("prod2"));
	assert_int_not_equal(fence_cluster_tag(""), 0);
}

static void out_of_range_makes_no_key(void **state)
{
	(void)state;
	assert_int_equal(fence_key_make(1, 0, 1), 0);
	assert_int_equal(fence_key_make(1, 256, 1), 0);
	assert_int_equal(fence_key_make(1, 1, 0), 0);
	assert_int_equal(fence_key_make(1, 1, 0x1000000), 0);
	assert_int_not_equal(fence_key_make(0, 255, 0xffffff), 0);
}

static void malformed_key_is_not_parsed(void **state)
{
	struct fence_key k = { .node = 99 };

	(void)state;
	assert_false(fence_key_parse(0, &k));
	assert_false(fence_key_parse(0x4c57123400789abc, &k));  /* node 0 */
	assert_false(fence_key_parse(0x4c57123456000000, &k));  /* epoch 0 */
	assert_false(fence_key_parse(0x4c58123456789abc, &k));  /* magic */
	assert_int_equal(k.node, 99);
	assert_int_equal(fence_key_epoch(0x1234), 0);
	assert_int_equal(fence_key_node(0x1234), 0);
}

static void classes(void **state)
{
	static const struct { uint64_t key; enum fence_key_class class; } t[] = {
		{ 0, FENCE_KEY_NONE },
		{ 0x4c57000702000001, FENCE_KEY_OURS },
		{ 0x4c57000702ffffff, FENCE_KEY_OURS },
		{ 0x4c57000703000001, FENCE_KEY_CLUSTER },
		{ 0x4c57000802000001, FENCE_KEY_OTHER_CLUSTER },
		{ 0x4c57000702000000, FENCE_KEY_FOREIGN },
		{ 0x0000000000000001, FENCE_KEY_FOREIGN },
		{ 0x123456789abcdef0, FENCE_KEY_FOREIGN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(fence_key_classify(t[i].key, 7, 2), t[i].class);
		assert_int_equal(fence_key_is_foreign(t[i].key, 7), t[i].class >= FENCE_KEY_OTHER_CLUSTER);
	}
}

static void epochs_do_not_wrap(void **state)
{
	uint32_t e = 77;

	(void)state;
	assert_true(fence_epoch_next(0, &e));
	assert_int_equal(e, 1);
	assert_true(fence_epoch_next(FENCE_EPOCH_MAX - 1, &e));
	assert_int_equal(e, FENCE_EPOCH_MAX);
	e = 77;
	assert_false(fence_epoch_next(FENCE_EPOCH_MAX, &e));
	assert_false(fence_epoch_next(UINT32_MAX, &e));
	assert_int_equal(e, 77);
}

static void in_words(void **state)
{
	char buf[FENCE_KEY_STR];

	(void)state;
	assert_string_equal(fence_key_str(0, buf), "none");
	assert_string_equal(fence_key_str(0x4c57000702000009, buf), "0x4c57000702000009 (node 2, epoch 9)");
	assert_string_equal(fence_key_str(0xffffffffffffffff, buf), "0xffffffffffffffff (not of Lunward)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_is_fixed),
		cmocka_unit_test(cluster_tag_is_fixed),
		cmocka_unit_test(out_of_range_makes_no_key),
		cmocka_unit_test(malformed_key_is_not_parsed),
		cmocka_unit_test(classes),
		cmocka_unit_test(epochs_do_not_wrap),
		cmocka_unit_test(in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
