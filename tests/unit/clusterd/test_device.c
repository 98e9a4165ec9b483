/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, subnets, and the choice of the network device a portal goes on. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/clusterd.h"

static struct ip ip(const char *text)
{
	struct ip r;
	uint8_t b[16];
	bool v6 = strchr(text, ':');

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, b), 1);
	assert_true(ip_make(&r, b, v6 ? 16 : 4));
	return r;
}

static void test_ip_make(void **state)
{
	struct ip a = ip("192.0.2.1"), b = ip("::ffff:192.0.2.1"), c = { .len = 0xa5 };
	char buf[INET6_ADDRSTRLEN];

	(void)state;
	assert_true(ip_equal(&a, &b));           /* RFC 4291 2.5.5.2: an IPv4-mapped address is that IPv4 address */
	assert_string_equal(ip_text(&b, buf), "192.0.2.1");
	assert_false(ip_make(&c, "12345", 5));
	assert_int_equal(c.len, 0xa5);
}

static void test_subnet(void **state)
{
	static const struct { const char *a, *net; unsigned prefix; bool in; } v[] = {
		{ "192.0.2.50", "192.0.2.1", 24, true },
		{ "192.0.3.50", "192.0.2.1", 24, false },
		{ "192.0.3.50", "192.0.2.1", 23, true },
		{ "192.0.2.129", "192.0.2.1", 25, false },
		{ "192.0.2.1", "192.0.2.1", 32, true },
		{ "192.0.2.2", "192.0.2.1", 32, false },
		{ "10.0.0.1", "192.0.2.1", 0, true },
		{ "192.0.2.1", "192.0.2.1", 33, false },
		{ "2001:db8::50", "2001:db8::1", 64, true },
		{ "2001:db8:0:1::50", "2001:db8::1", 64, false },
		{ "2001:db8:0:1::50", "2001:db8::1", 63, true },
		{ "192.0.2.1", "2001:db8::1", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct ip a = ip(v[i].a), net = ip(v[i].net);

		assert_int_equal(ip_in_subnet(&a, &net, v[i].prefix), v[i].in);
	}
}

static void test_choice(void **state)
{
	struct dev_addr l[] = {
		{ 2, ip("10.0.0.1"), 8, true },
		{ 3, ip("10.1.0.1"), 16, true },
		{ 4, ip("10.1.2.1"), 24, false },
		{ 6, ip("192.0.2.1"), 24, true },
		{ 5, ip("192.0.2.2"), 24, true },
		{ 7, ip("2001:db8::1"), 64, true },
		{ 8, ip("198.51.100.9"), 24, true },
	};
	static const struct { const char *portal; int want; } v[] = {
		{ "10.9.9.9", 2 },
		{ "10.1.2.9", 3 },           /* longest prefix of what is up */
		{ "192.0.2.50", 5 },         /* tie: lowest index */
		{ "2001:db8::50", 7 },
		{ "2001:db9::50", -ENODEV },
		{ "203.0.113.1", -ENODEV },
		{ "198.51.100.9", -ENODEV }, /* a leftover of the portal itself does not choose */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct ip p = ip(v[i].portal);

		assert_int_equal(device_choose(l, ARRAY_SIZE(l), &p), v[i].want);
	}
	assert_int_equal(device_choose(NULL, 0, &l[0].ip), -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip_make),
		cmocka_unit_test(test_subnet),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
