/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_documents.c - whole documents: bad ones say exactly what is wrong, good ones survive a round trip
 *
 * A document says in comments what is expected of it: `# mode: standalone` (cluster if absent) and a line
 * `# expect: LINE: text` for each finding, in order. One error class a file, named after it.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/conf/conf.h"
#include "node/util/util.h"

#define BUF 65536

static char *slurp(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *buf = calloc(1, BUF);

	assert_non_null(f);
	assert_non_null(buf);
	assert_true(fread(buf, 1, BUF - 1, f) < BUF - 1);
	return buf;
}

static enum conf_mode mode_of(const char *text)
{
	return strstr(text, "# mode: standalone") ? CONF_STANDALONE : CONF_CLUSTER;
}

/* The findings that the document's own comments expect, as conf_diags_text() prints those of a document "D". */
static char *expected(const char *text)
{
	static const char mark[] = "# expect: ";
	char *out = calloc(1, BUF), *at = out;

	assert_non_null(out);
	for (const char *p = text; (p = strstr(p, mark)); ) {
		const char *line = p + strlen(mark), *end = strchrnul(line, '\n');
		bool numbered = line[0] >= '0' && line[0] <= '9';

		at += sprintf(at, "D:%s%.*s\n", numbered ? "" : " ", (int)(end - line), line);
		p = end;
	}
	return out;
}

/* Calls @fn for each .yaml file of tests/unit/conf/@dir. Return: how many */
static int for_each_document(const char *dir, void (*fn)(const char *path, const char *text))
{
	const char *src = getenv("srcdir");
	char path[4096], file[8192];
	const struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/tests/unit/conf/%s", src ? src : ".", dir);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		_cleanup_free_ char *text = NULL;

		if (!strstr(e->d_name, ".yaml"))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		text = slurp(file);
		fn(e->d_name, text);
		n++;
	}
	closedir(d);
	return n;
}

static void check_bad(const char *path, const char *text)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_free_ char *want = expected(text), *got = NULL;
	struct conf *const magic = (struct conf *)&d, *c = magic;
	int r = conf_parse(text, strlen(text), "D", mode_of(text), &c, &d);

	got = conf_diags_text(&d);
	if (want[0] == '\0' || strcmp(got, want))
		fail_msg("%s:\n--- expected ---\n%s--- got ---\n%s", path, want, got);
	if (d.n_errors) {
		assert_int_equal(r, -EINVAL);
		assert_ptr_equal(c, magic);
	} else {
		assert_int_equal(r, 0);
		conf_free(c);
	}
}

static void test_bad(void **state)
{
	(void)state;
	assert_true(for_each_document("bad", check_bad) > 100);
}

/* Parse, print, parse, print: no difference between the documents, none between the texts. */
static void check_good(const char *path, const char *text)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_conf_ struct conf *a = NULL, *b = NULL;
	_cleanup_free_ char *one = NULL, *two = NULL, *said = NULL;
	struct conf_diff diff;

	if (conf_parse(text, strlen(text), "D", mode_of(text), &a, &d) || d.n) {
		said = conf_diags_text(&d);
		fail_msg("%s: %s", path, said);
	}
	one = conf_print(a);
	assert_non_null(one);
	if (conf_parse(one, strlen(one), "D", mode_of(text), &b, &d)) {
		said = conf_diags_text(&d);
		fail_msg("%s, printed: %s\n%s", path, said, one);
	}
	two = conf_print(b);
	assert_string_equal(one, two);
	assert_int_equal(conf_diff(a, b, &diff), 0);
	assert_int_equal(diff.n, 0);
	conf_diff_free(&diff);
}

static void test_good(void **state)
{
	(void)state;
	assert_true(for_each_document("good", check_good) >= 5);
}

/* What people copy from the README and the guide must be right: each ```yaml block is a document. */
static void test_docs(void **state)
{
	static const char *const files[] = { "README.md", "docs/guide.md" };
	const char *src = getenv("srcdir");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = NULL;
		char path[4096], *end;
		int blocks = 0;

		snprintf(path, sizeof(path), "%s/%s", src ? src : ".", files[i]);
		text = slurp(path);
		for (char *p = text; (p = strstr(p, "```yaml\n")); p = end + 1, blocks++) {
			p += strlen("```yaml\n");
			end = strstr(p, "```");
			assert_non_null(end);
			*end = '\0';
			check_good(path, p);
		}
		assert_true(blocks > 0);
	}
}

static struct conf *load(const char *name)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	const char *src = getenv("srcdir");
	struct conf *c = NULL;
	char path[4096];

	snprintf(path, sizeof(path), "%s/tests/unit/conf/good/%s", src ? src : ".", name);
	assert_int_equal(conf_load(path, strncmp(name, "standalone", 10) ? CONF_CLUSTER : CONF_STANDALONE, &c, &d), 0);
	return c;
}

static void test_typed(void **state)
{
	_cleanup_conf_ struct conf *c = load("cluster.yaml");
	const struct conf_group *g = conf_group_find(c, "vmstore");
	const struct conf_target *t = conf_target_find(g, "IQN.2026-11.org.example:VMSTORE");
	const struct conf_lun *l;
	char buf[CONF_TARGET_ADDRESS_MAX];

	(void)state;
	assert_string_equal(c->cluster, "prod");
	assert_int_equal(c->opt.lease_ms, 3000);
	assert_int_equal(c->opt.challenge_window_ms, 300);
	assert_int_equal(c->opt.reactors, 4);
	assert_int_equal(c->opt.time2wait_s, 2);
	assert_int_equal(c->opt.clusterd_grace_ms, 4000);
	assert_int_equal(c->n_node, 2);
	assert_string_equal(c->node[0], "alpha");
	assert_int_equal(conf_group_rank(g, "beta"), 1);
	assert_int_equal(conf_group_rank(g, "gamma"), -1);
	assert_true(g->failback_auto);
	assert_int_equal(g->n_portal, 3);
	assert_string_equal(g->portal[1].text, "2001:db8::50/64:3261@eth1");
	assert_string_equal(g->portal[1].dev, "eth1");
	assert_string_equal(conf_target_address(&g->portal[0], buf), "192.0.2.50:3260");
	assert_string_equal(conf_target_address(&g->portal[1], buf), "[2001:db8::50]:3261");
	assert_int_equal(t->n_lun, 4);
	assert_int_equal(t->lun[1].number, 1);
	assert_int_equal(t->lun[2].number, 7);
	assert_null(conf_lun_find(t, 2));
	l = conf_lun_find(t, 16383);
	assert_int_equal(l->backing, CONF_FILE);
	assert_int_equal(l->size, 1536ull << 20);
	assert_int_equal(l->block_size, 4096);
	assert_string_equal(conf_lun_find(t, 7)->id.serial, "LW-0007");
	assert_int_equal(conf_lun_find(t, 7)->id.naa_len, 16);
	assert_int_equal(conf_lun_find(t, 7)->id.naa[1], 0xbc);
	assert_int_equal(conf_lun_find(t, 7)->id.eui_len, 12);
	assert_memory_equal(conf_lun_find(t, 7)->id.eui, "\x02\0\x45\x67\xa4\x25\x67\x8d\x01\x02\x03\x04", 12);
	assert_string_equal(conf_lun_find(t, 7)->id.product, "Mail Store");
	assert_int_equal(conf_lun_find(t, 1)->id.eui_len, 0);
	assert_string_equal(conf_lun_find(t, 1)->id.product, "SHARED DISK");
	assert_true(conf_lun_find(t, 1)->read_only);
	assert_int_equal(conf_lun_find(t, 0)->block_size, 0);
}

/* The devices of `fence:` come first, each shared LUN follows once; what is no shared LUN does not. */
static void test_fence_list(void **state)
{
	_cleanup_conf_ struct conf *c = load("cluster.yaml");
	const struct conf_group *g = conf_group_find(c, "vmstore"), *h = conf_group_find(c, "home");

	(void)state;
	assert_int_equal(g->n_fence_set, 1);
	assert_int_equal(g->n_fence, 3);
	assert_string_equal(g->fence[0].path, "/dev/disk/by-id/wwn-0x5000c500a0b1c2d3");
	assert_int_equal(g->fence[1].backing, CONF_ISCSI);
	assert_string_equal(g->fence[2].path, "/dev/disk/by-id/seven");
	assert_int_equal(h->n_fence_set, 0);
	assert_int_equal(h->n_fence, 1);
}

static void test_standalone(void **state)
{
	_cleanup_conf_ struct conf *c = load("standalone.yaml");
	struct sockaddr_storage sa;

	(void)state;
	assert_string_equal(c->cluster, "standalone");
	assert_int_equal(c->group[0].portal[1].port, 3261);
	assert_int_equal(conf_sockaddr(&c->group[0].portal[1], &sa), 28);
	assert_int_equal(sa.ss_family, AF_INET6);
	assert_int_equal(c->group[0].target[0].lun[0].block_size, 512);
	assert_int_equal(c->group[0].n_fence, 0);
}

static void test_too_large(void **state)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_free_ char *text = malloc(CONF_TEXT_MAX + 1);
	struct conf *c = NULL;

	(void)state;
	assert_non_null(text);
	memset(text, '#', CONF_TEXT_MAX + 1);
	assert_int_equal(conf_parse(text, CONF_TEXT_MAX + 1, "D", CONF_CLUSTER, &c, &d), -EINVAL);
	assert_string_equal(d.v[0].text, "is too large, 4194305 bytes; allowed: 4194304");
}

static void test_not_text(void **state)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(conf_parse("\xff\xfe\xff", 3, "D", CONF_CLUSTER, &c, &d), -EINVAL);
	assert_int_equal(d.n_errors, 1);
	assert_non_null(strstr(d.v[0].text, "is no text"));
	assert_non_null(strstr(d.v[0].text, "allowed: UTF-8"));
}

static void test_no_file(void **state)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_free_ char *text = NULL;
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(conf_load("/nonexistent/lunward.yaml", CONF_CLUSTER, &c, &d), -EINVAL);
	text = conf_diags_text(&d);
	assert_string_equal(text, "/nonexistent/lunward.yaml: cannot be opened: No such file or directory\n");
}

/* 200 mistakes: the first hundred are shown, the rest counted, and warnings do not crowd them out. */
static void test_many_errors(void **state)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_free_ char *text = calloc(1, 8192), *got = NULL;
	struct conf *c = NULL;

	(void)state;
	assert_non_null(text);
	strcpy(text, "cluster: prod\n");
	for (int i = 0; i < 200; i++)
		sprintf(text + strlen(text), "k%d: x\n", i);
	strcat(text, "groups: []\n");
	assert_int_equal(conf_parse(text, strlen(text), "D", CONF_CLUSTER, &c, &d), -EINVAL);
	assert_int_equal(d.n_errors, 200);
	assert_int_equal(d.n, 100);
	got = conf_diags_text(&d);
	assert_non_null(strstr(got, "D: and 100 more errors\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad),        cmocka_unit_test(test_good),     cmocka_unit_test(test_docs),
		cmocka_unit_test(test_typed),
		cmocka_unit_test(test_fence_list), cmocka_unit_test(test_standalone), cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_not_text),   cmocka_unit_test(test_no_file),  cmocka_unit_test(test_many_errors),
	};

	return cmocka_run_group_tests_name("conf documents", tests, NULL, NULL);
}
