/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_text.c - key=value text and its values (RFC 7143 6.1) */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static void pairs(void **state)
{
	static const struct { const char *text; size_t len; int want; const char *key, *value; } t[] = {
		{ "A=b\0", 4, 1, "A", "b" },
		{ "A=\0", 3, 1, "A", "" },
		{ "A=b=c\0", 6, 1, "A", "b=c" },
		{ "\0\0A=b\0", 6, 1, "A", "b" },
		{ "", 0, 0, NULL, NULL },
		{ "\0\0", 2, 0, NULL, NULL },
		{ "A=b", 3, -1, NULL, NULL },            /* no NUL at the end */
		{ "Ab\0", 3, -1, NULL, NULL },           /* no = */
		{ "=b\0", 3, -1, NULL, NULL },           /* no key */
		{ "Ab\0C=d\0", 7, -1, NULL, NULL },      /* the = is the next pair's */
		{ "a23456789012345678901234567890123456789012345678901234567890123=x\0", 66, 1,
		  "a23456789012345678901234567890123456789012345678901234567890123", "x" },
		{ "a234567890123456789012345678901234567890123456789012345678901234=x\0", 67, -1, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char *buf = malloc(t[i].len + 1), *p = buf, *key, *value;

		memcpy(buf, t[i].text, t[i].len);
		assert_int_equal(isc_text_next(&p, buf + t[i].len, &key, &value), t[i].want);
		if (t[i].want == 1) {
			assert_string_equal(key, t[i].key);
			assert_string_equal(value, t[i].value);
			assert_int_equal(isc_text_next(&p, buf + t[i].len, &key, &value), 0);
		}
		free(buf);
	}
}

static void numbers(void **state)
{
	static const struct { const char *s; bool ok; uint64_t v; } t[] = {
		{ "0", true, 0 }, { "8192", true, 8192 }, { "0x2000", true, 8192 }, { "0XfF", true, 255 },
		{ "18446744073709551615", true, UINT64_MAX }, { "0xffffffffffffffff", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 }, { "0x10000000000000000", false, 0 },
		{ "", false, 0 }, { "0x", false, 0 }, { "-1", false, 0 }, { " 1", false, 0 }, { "1 ", false, 0 },
		{ "12a", false, 0 }, { "0x1g", false, 0 }, { "1,2", false, 0 }, { "+1", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 0x5a5a;

		assert_int_equal(isc_num(t[i].s, &v), t[i].ok);
		assert_int_equal(v, t[i].ok ? t[i].v : 0x5a5a);
	}
}

static void binaries(void **state)
{
	static const struct { const char *s; ssize_t n; const char *bin; } t[] = {
		{ "0x010203ff", 4, "\1\2\3\xff" }, { "0X0A", 1, "\x0a" },
		{ "0x1", 1, "\1" }, { "0x123", 2, "\1\x23" },    /* odd: the first digit is a whole byte */
		{ "0bAQID", 3, "\1\2\3" }, { "0BAQI=", 2, "\1\2" }, { "0bAQ==", 1, "\1" },
		{ "0x", -1, "" }, { "0b", -1, "" }, { "0xzz", -1, "" }, { "0b*", -1, "" }, { "0bA", -1, "" },
		{ "0102", -1, "" }, { "", -1, "" }, { "0x0102030405", -1, "" }, { "0bAQIDBAU=", -1, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint8_t out[4];

		assert_int_equal(isc_bin(t[i].s, out, sizeof(out)), t[i].n);
		if (t[i].n > 0)
			assert_memory_equal(out, t[i].bin, (size_t)t[i].n);
	}
}

static void lists(void **state)
{
	static const char *const want[] = { "CRC32C", "", "None" };
	const char *p = "CRC32C,,None", *v;
	size_t len, n = 0;

	(void)state;
	while ((v = isc_list_next(&p, &len))) {
		assert_true(n < ARRAY_SIZE(want));
		assert_int_equal(len, strlen(want[n]));
		assert_memory_equal(v, want[n], len);
		n++;
	}
	assert_int_equal(n, ARRAY_SIZE(want));
}

static void writing(void **state)
{
	struct text t;

	(void)state;
	isc_text_init(&t, 32);
	isc_text_put(&t, "A", "b");
	isc_text_put_num(&t, "N", 4294967296);
	isc_text_put_bin(&t, "B", (const uint8_t *)"\xde\x01", 2);
	assert_int_equal(t.len, 4 + 13 + 9);
	assert_memory_equal(t.buf, "A=b\0N=4294967296\0B=0xde01\0", t.len);
	assert_false(t.bad);
	isc_text_put(&t, "TooLong", "x");  /* past the limit: sticky, and nothing half-written */
	assert_true(t.bad);
	assert_int_equal(t.len, 26);
	isc_text_put(&t, "A", "b");
	assert_int_equal(t.len, 26);
	isc_text_wipe(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs), cmocka_unit_test(numbers), cmocka_unit_test(binaries),
		cmocka_unit_test(lists), cmocka_unit_test(writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
