/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_access.c - who may log in: names, wildcards, addresses, prefixes */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/conf/conf.h"

static struct conf *with_initiators(const char *list)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	struct conf *c = NULL;
	char text[1024];

	snprintf(text, sizeof(text), "groups:\n- name: g\n  portals: [0.0.0.0]\n  targets:\n"
		 "  - iqn: iqn.2026-11.org.example:t\n%s%s%s    luns: {0: {ram: 1MiB}}\n", list ? "    initiators: [" : "",
		 list ? list : "", list ? "]\n" : "");
	assert_int_equal(conf_parse(text, strlen(text), "D", CONF_STANDALONE, &c, &d), 0);
	return c;
}

static const struct {
	const char *list, *name, *ip;
	bool allowed;
} cases[] = {
	{ NULL, "iqn.1991-05.com.microsoft:hv1", "203.0.113.1", true },
	{ "iqn.1991-05.com.microsoft:hv1", "iqn.1991-05.com.microsoft:hv1", "203.0.113.1", true },
	/* RFC 7143 4.2.7.1, RFC 3722: names are compared in lower case */
	{ "iqn.1991-05.com.microsoft:HV1", "iqn.1991-05.com.Microsoft:hv1", "203.0.113.1", true },
	{ "iqn.1991-05.com.microsoft:hv1", "iqn.1991-05.com.microsoft:hv10", "203.0.113.1", false },
	{ "iqn.1991-05.com.microsoft:hv1", "iqn.1991-05.com.microsoft:hv", "203.0.113.1", false },
	{ "\"iqn.1991-05.com.microsoft:*\"", "iqn.1991-05.com.microsoft:hv1", "203.0.113.1", true },
	{ "\"iqn.1991-05.com.microsoft:*\"", "iqn.1993-08.org.debian:x", "203.0.113.1", false },
	{ "\"iqn.1991-05.com.microsoft:hv?\"", "iqn.1991-05.com.microsoft:hv1", "203.0.113.1", true },
	{ "\"iqn.1991-05.com.microsoft:hv?\"", "iqn.1991-05.com.microsoft:hv", "203.0.113.1", false },
	{ "\"*\"", "eui.02004567a425678d", "2001:db8::1", true },
	{ "192.0.2.7", "iqn.1993-08.org.debian:x", "192.0.2.7", true },
	{ "192.0.2.7", "iqn.1993-08.org.debian:x", "192.0.2.8", false },
	{ "192.0.2.0/25", "iqn.1993-08.org.debian:x", "192.0.2.127", true },
	{ "192.0.2.0/25", "iqn.1993-08.org.debian:x", "192.0.2.128", false },
	{ "0.0.0.0/0", "iqn.1993-08.org.debian:x", "203.0.113.9", true },
	{ "0.0.0.0/0", "iqn.1993-08.org.debian:x", "2001:db8::1", false },
	/* RFC 4291 2.5.5.2: a dual-stack socket sees IPv4 peers as mapped addresses */
	{ "192.0.2.0/24", "iqn.1993-08.org.debian:x", "::ffff:192.0.2.9", true },
	{ "\"2001:db8::/33\"", "iqn.1993-08.org.debian:x", "2001:db8:7fff::1", true },
	{ "\"2001:db8::/33\"", "iqn.1993-08.org.debian:x", "2001:db8:8000::1", false },
	{ "\"::/0\"", "iqn.1993-08.org.debian:x", "192.0.2.1", false },
	{ "iqn.2026-11.org.example:a, 192.0.2.7", "iqn.1993-08.org.debian:x", "192.0.2.7", true },
	{ "iqn.2026-11.org.example:a, 192.0.2.7", "iqn.2026-11.org.example:a", "192.0.2.8", true },
	{ "iqn.2026-11.org.example:a, 192.0.2.7", "iqn.2026-11.org.example:b", "192.0.2.8", false },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_conf_ struct conf *c = with_initiators(cases[i].list);
		bool six = strchr(cases[i].ip, ':');
		uint8_t ip[16];

		assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, cases[i].ip, ip), 1);
		if (conf_allowed(&c->group[0].target[0].initiators, cases[i].name, ip, six ? 16 : 4) != cases[i].allowed)
			fail_msg("[%s] %s %s", cases[i].list, cases[i].name, cases[i].ip);
	}
}

/* A LUN's list is a list of its own: who is on it says nothing about the target's, nor about another LUN's */
static void test_luns(void **state)
{
	static const char text[] =
		"groups:\n- name: g\n  portals: [0.0.0.0]\n  targets:\n  - iqn: iqn.2026-11.org.example:t\n"
		"    initiators: ['iqn.2026-11.org.example:*']\n    luns:\n"
		"      0: {ram: 1MiB}\n"
		"      1: {ram: 1MiB, initiators: [IQN.2026-11.org.example:A]}\n"
		"      2: {ram: 1MiB, initiators: ['iqn.2026-11.org.example:?', '2001:db8::/32']}\n";
	static const struct { const char *name, *ip; bool sees[3]; } t[] = {
		{ "iqn.2026-11.org.example:a", "192.0.2.1", { true, true, true } },
		{ "iqn.2026-11.org.example:b", "192.0.2.1", { true, false, true } },
		{ "iqn.2026-11.org.example:bb", "192.0.2.1", { true, false, false } },
		{ "iqn.2026-11.org.example:bb", "2001:db8::1", { true, false, true } },
	};
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_conf_ struct conf *c = NULL;
	uint8_t ip[16];

	(void)state;
	assert_int_equal(conf_parse(text, strlen(text), "D", CONF_STANDALONE, &c, &d), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		bool six = strchr(t[i].ip, ':');

		assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, t[i].ip, ip), 1);
		for (int k = 0; k < 3; k++)
			assert_int_equal(conf_allowed(&c->group[0].target[0].lun[k].initiators, t[i].name, ip,
						      six ? 16 : 4), t[i].sees[k]);
	}
}

/* Where logins are sent; who is there already stays */
static void test_redirect(void **state)
{
	static const struct { const char *redirect, *text, *ip; uint16_t port; bool redirected, permanent; } t[] = {
		{ "", NULL, "192.0.2.50", 3260, false, false },
		{ "    redirect: {to: 192.0.2.51}\n", "192.0.2.51:3260", "192.0.2.50", 3260, true, false },
		{ "    redirect: {to: 192.0.2.51, permanent: true}\n", "192.0.2.51:3260", "192.0.2.50", 3260, true, true },
		{ "    redirect: {to: 192.0.2.51}\n", "192.0.2.51:3260", "192.0.2.51", 3260, false, false },
		{ "    redirect: {to: 192.0.2.51}\n", "192.0.2.51:3260", "::ffff:192.0.2.51", 3260, false, false },
		{ "    redirect: {to: '192.0.2.51:3261'}\n", "192.0.2.51:3261", "192.0.2.51", 3260, true, false },
		{ "    redirect: {to: '2001:db8::51'}\n", "[2001:db8::51]:3260", "2001:db8::50", 3260, true, false },
		{ "    redirect: {to: '[2001:db8:0::51]:3261'}\n", "[2001:db8::51]:3261", "2001:db8::51", 3261, false, false },
		{ "    redirect: {to: '2001:db8::51'}\n", "[2001:db8::51]:3260", "192.0.2.50", 3260, true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
		_cleanup_conf_ struct conf *c = NULL;
		bool six = strchr(t[i].ip, ':');
		const struct conf_redirect *r;
		char text[512];
		uint8_t ip[16];

		snprintf(text, sizeof(text), "groups:\n- name: g\n  portals: [0.0.0.0]\n  targets:\n"
			 "  - iqn: iqn.2026-11.org.example:t\n%s    luns: {0: {ram: 1MiB}}\n", t[i].redirect);
		assert_int_equal(conf_parse(text, strlen(text), "D", CONF_STANDALONE, &c, &d), 0);
		r = &c->group[0].target[0].redirect;
		if (t[i].text)
			assert_string_equal(r->text, t[i].text);
		else
			assert_null(r->text);
		assert_int_equal(r->permanent, t[i].permanent);
		assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, t[i].ip, ip), 1);
		assert_int_equal(conf_redirected(r, ip, six ? 16 : 4, t[i].port), t[i].redirected);
	}
}

/* RFC 7143 13.15 for all but those that are known to take less, unless the document says otherwise */
static void test_fast_reconnect(void **state)
{
	static const struct { enum conf_reconnect policy; const char *name; bool fast; } t[] = {
		{ CONF_RECONNECT_AUTO, "iqn.1993-08.org.debian:01:abc", true },
		{ CONF_RECONNECT_AUTO, "IQN.1994-05.com.RedHat:abc", true },
		{ CONF_RECONNECT_AUTO, "iqn.1991-05.com.microsoft:hv1", false },
		{ CONF_RECONNECT_AUTO, "iqn.1998-01.com.vmware:esx1", false },
		{ CONF_RECONNECT_AUTO, "iqn.1993-08.org.debianoid:1", false },
		{ CONF_RECONNECT_ON, "iqn.1991-05.com.microsoft:hv1", true },
		{ CONF_RECONNECT_OFF, "iqn.1993-08.org.debian:01:abc", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct conf_target target = { .fast_reconnect = t[i].policy };

		assert_int_equal(conf_fast_reconnect(&target, t[i].name), t[i].fast);
	}
}

static void test_too_long_name(void **state)
{
	_cleanup_conf_ struct conf *c = with_initiators("\"*\"");
	char name[CONF_ISCSI_NAME_MAX + 2];
	const uint8_t ip[4] = { 192, 0, 2, 1 };

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_false(conf_allowed(&c->group[0].target[0].initiators, name, ip, 4));
	name[sizeof(name) - 2] = '\0';
	assert_true(conf_allowed(&c->group[0].target[0].initiators, name, ip, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases), cmocka_unit_test(test_luns), cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_fast_reconnect), cmocka_unit_test(test_too_long_name),
	};

	return cmocka_run_group_tests_name("conf access", tests, NULL, NULL);
}
