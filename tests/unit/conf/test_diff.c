/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_diff.c - each edit of a document gives exactly the changes that live apply needs */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/conf/conf.h"
#include "node/util/util.h"

static const char base[] =
	"cluster: prod\n"
	"options: {lease: 2s}\n"
	"groups:\n"
	"- name: one\n"
	"  nodes: [alpha, beta]\n"
	"  failback: manual\n"
	"  portals: [192.0.2.50/24, 192.0.2.60/24]\n"
	"  targets:\n"
	"  - iqn: iqn.2026-11.org.example:one\n"
	"    alias: first\n"
	"    initiators: [192.0.2.0/24]\n"
	"    chap: {user: hv, secret-file: /etc/s/hv}\n"
	"    luns:\n"
	"      0: {block: /dev/disk/by-id/a}\n"
	"      1: {file: /srv/one.img, size: 1GiB}\n"
	"  - iqn: iqn.2026-11.org.example:two\n"
	"    initiators: ['*']\n"
	"    luns: {0: {block: /dev/disk/by-id/two}}\n"
	"  fence: [/dev/disk/by-id/a]\n"
	"- name: other\n"
	"  nodes: [beta, alpha]\n"
	"  portals: [192.0.2.51/24]\n"
	"  targets:\n"
	"  - iqn: iqn.2026-11.org.example:other\n"
	"    initiators: ['*']\n"
	"    luns: {0: {block: /dev/disk/by-id/b}}\n";

static struct conf *parse(const char *text)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_free_ char *said = NULL;
	struct conf *c = NULL;

	if (conf_parse(text, strlen(text), "D", CONF_CLUSTER, &c, &d)) {
		said = conf_diags_text(&d);
		fail_msg("%s", said);
	}
	return c;
}

/* @text with the first @from replaced by @to */
static char *edit(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out = NULL;

	assert_non_null(at);
	assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	return out;
}

#define ONE "iqn.2026-11.org.example:one"
static const struct {
	const char *from, *to, *want;
} cases[] = {
	{ "lease: 2s", "lease: 3s", "option lease: from 2s to 3s: changed\n" },
	{ "cluster: prod", "cluster: test",
	  "cluster name (with it every key and derived identity) changed (initiators will notice)\n"
	  "group one: LUN 0 of " ONE ": its bytes or its identity changed (initiators will notice)\n"
	  "group one: LUN 1 of " ONE ": its bytes or its identity changed (initiators will notice)\n"
	  "group one: LUN 0 of iqn.2026-11.org.example:two: its bytes or its identity changed (initiators will notice)\n"
	  "group other: LUN 0 of iqn.2026-11.org.example:other: its bytes or its identity changed (initiators will notice)\n" },
	{ "[alpha, beta]", "[beta, alpha]", "group one: nodes changed\n" },
	{ "failback: manual", "failback: automatic", "group one: failback changed\n" },
	{ ", 192.0.2.60/24", "", "group one: portal 192.0.2.60/24 removed (initiators will notice)\n" },
	{ "192.0.2.60/24", "192.0.2.60/24, 192.0.2.61/24", "group one: portal 192.0.2.61/24 added\n" },
	{ "192.0.2.60/24", "192.0.2.60/25",
	  "group one: portal 192.0.2.60/24 removed (initiators will notice)\ngroup one: portal 192.0.2.60/25 added\n" },
	{ "192.0.2.50/24, 192.0.2.60/24", "192.0.2.60/24, 192.0.2.50/24", "" },
	{ "alias: first", "alias: 1st", "group one: alias of " ONE " changed\n" },
	{ "    alias: first\n", "", "group one: alias of " ONE " changed\n" },
	{ "[192.0.2.0/24]", "['*']", "group one: initiators of " ONE " changed\n" },
	{ "[192.0.2.0/24]", "[192.0.2.0/24, 198.51.100.7]", "group one: initiators of " ONE " changed\n" },
	{ "[192.0.2.0/24]", "[192.0.2.7]", "group one: initiators of " ONE " changed (initiators will notice)\n" },
	{ "    initiators: [192.0.2.0/24]\n", "", "group one: initiators of " ONE " changed\n" },
	{ "size: 1GiB", "size: 1GiB, initiators: ['*']", "group one: initiators of LUN 1 of " ONE " changed\n" },
	{ "size: 1GiB", "size: 1GiB, initiators: [192.0.2.7]",
	  "group one: initiators of LUN 1 of " ONE " changed (initiators will notice)\n" },
	{ "user: hv", "user: hv2", "group one: chap of " ONE " changed\n" },
	{ "    chap: {user: hv, secret-file: /etc/s/hv}\n", "", "group one: chap of " ONE " changed\n" },
	{ "{user: hv, secret-file: /etc/s/hv}", "[{user: hv, secret-file: /etc/s/hv}]", "" },
	{ "{user: hv, secret-file: /etc/s/hv}", "{user: hv, secret-file: /etc/s/hv, initiators: ['*']}",
	  "group one: chap of " ONE " changed\n" },
	{ "{user: hv, secret-file: /etc/s/hv}", "[{user: hv, secret-file: /etc/s/hv}, {user: b, secret-file: /etc/s/b}]",
	  "group one: chap of " ONE " changed\n" },
	{ "    alias: first\n", "    alias: first\n    redirect: {to: 192.0.2.9}\n", "group one: redirect of " ONE " changed\n" },
	{ "    alias: first\n", "    alias: first\n    fast-reconnect: auto\n", "" },
	{ "    alias: first\n", "    alias: first\n    fast-reconnect: off\n",
	  "group one: fast-reconnect of " ONE " changed\n" },
	{ "  targets:\n", "  chap-algorithms: [sha256]\n  targets:\n", "group one: algorithms of chap changed\n" },
	{ "  targets:\n", "  discovery-chap: {user: u, secret-file: /etc/s/u}\n  targets:\n",
	  "group one: chap of discovery changed\n" },
	{ "size: 1GiB", "size: 2GiB", "group one: LUN 1 of " ONE ": size changed\n" },
	{ "size: 1GiB", "size: 1GiB, read-only: true", "group one: LUN 1 of " ONE ": read-only changed (initiators will notice)\n" },
	{ "size: 1GiB", "size: 1GiB, provisioning: thick", "group one: LUN 1 of " ONE ": provisioning changed\n" },
	{ "size: 1GiB", "size: 1GiB, block-size: 4096",
	  "group one: LUN 1 of " ONE ": its bytes or its identity changed (initiators will notice)\n" },
	{ "size: 1GiB", "size: 1GiB, serial: other",
	  "group one: LUN 1 of " ONE ": its bytes or its identity changed (initiators will notice)\n" },
	{ "size: 1GiB", "size: 1GiB, product: other",
	  "group one: LUN 1 of " ONE ": its bytes or its identity changed (initiators will notice)\n" },
	{ "size: 1GiB", "size: 1GiB, eui: 02004567a425678d",
	  "group one: LUN 1 of " ONE ": its bytes or its identity changed (initiators will notice)\n" },
	{ "/srv/one.img", "/srv/uno.img",
	  "group one: LUN 1 of " ONE ": its bytes or its identity changed (initiators will notice)\n" },
	{ "      1: {file", "      2: {file",
	  "group one: LUN 1 of " ONE " removed (initiators will notice)\ngroup one: LUN 2 of " ONE " added\n" },
	{ "fence: [/dev/disk/by-id/a]", "fence: [/dev/disk/by-id/f]", "group one: fence devices changed\n" },
	{ ":two\n", ":deux\n",
	  "group one: target iqn.2026-11.org.example:two removed (initiators will notice)\n"
	  "group one: target iqn.2026-11.org.example:deux added\n" },
	{ "name: other", "name: another", "group other removed (initiators will notice)\ngroup another added\n" },
	{ "iqn.2026-11.org.example:one", "IQN.2026-11.org.example:ONE", "" },
};

static char *diff_text(const struct conf *a, const struct conf *b)
{
	struct conf_diff d;
	char *out = calloc(1, 4096);

	assert_non_null(out);
	assert_int_equal(conf_diff(a, b, &d), 0);
	for (size_t i = 0; i < d.n; i++)
		sprintf(out + strlen(out), "%s\n", d.v[i].text);
	conf_diff_free(&d);
	return out;
}

static void test_edits(void **state)
{
	_cleanup_conf_ struct conf *a = parse(base);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = edit(base, cases[i].from, cases[i].to), *got = NULL;
		_cleanup_conf_ struct conf *b = parse(text);

		got = diff_text(a, b);
		assert_string_equal(got, cases[i].want);
	}
}

/* What is outside of the changed group stays untouched by an apply. */
static void test_other_group_untouched(void **state)
{
	_cleanup_free_ char *text = edit(base, "failback: manual", "failback: automatic");
	_cleanup_conf_ struct conf *a = parse(base), *b = parse(text);
	struct conf_diff d;

	(void)state;
	assert_int_equal(conf_diff(a, b, &d), 0);
	assert_true(conf_diff_group(&d, "one"));
	assert_false(conf_diff_group(&d, "other"));
	assert_int_equal(d.v[0].kind, CONF_CHANGED);
	assert_int_equal(d.v[0].part, CONF_PART_FAILBACK);
	assert_int_equal(d.v[0].lun, -1);
	conf_diff_free(&d);
}

static void test_first_document(void **state)
{
	_cleanup_conf_ struct conf *a = parse(base);
	_cleanup_free_ char *got = NULL;

	(void)state;
	got = diff_text(NULL, a);
	assert_string_equal(got, "group one added\ngroup other added\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_other_group_untouched),
		cmocka_unit_test(test_first_document),
	};

	return cmocka_run_group_tests_name("conf diff", tests, NULL, NULL);
}
