/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_files.c - secret files, and what a document names on this node */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cluster/conf/conf.h"
#include "node/util/util.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/lunward-conf.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path_of("secret"));
	unlink(path_of("disk.img"));
	return rmdir(dir);
}

static void put(const char *name, const void *bytes, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
}

static const char magic[] = "untouched";

/* Reads the secret file. Return: conf_secret_read()'s; *why to be freed */
static int get(enum conf_secret whose, char **secret, size_t *len, char **why)
{
	*secret = (char *)magic;
	*len = 99;
	return conf_secret_read(path_of("secret"), whose, secret, len, why);
}

static void refuses(const void *bytes, size_t n, mode_t mode, enum conf_secret whose, const char *says)
{
	_cleanup_free_ char *why = NULL;
	char *secret;
	size_t len;

	put("secret", bytes, n, mode);
	assert_int_equal(get(whose, &secret, &len, &why), mode & 07 ? -EACCES : -EINVAL);
	assert_ptr_equal(secret, magic);
	assert_int_equal(len, 99);
	assert_non_null(strstr(why, says));
}

static void reads(const char *bytes, size_t n, mode_t mode, const char *want, const char *says)
{
	_cleanup_free_ char *why = NULL;
	char *secret;
	size_t len;

	put("secret", bytes, n, mode);
	assert_int_equal(get(CONF_SECRET_THEIRS, &secret, &len, &why), 0);
	assert_string_equal(secret, want);
	assert_int_equal(len, strlen(want));
	if (says)
		assert_non_null(strstr(why, says));
	else
		assert_null(why);
	conf_secret_free(secret);
}

#define S12 "abcdefghijkl"
static void test_secret(void **state)
{
	char long_one[257];

	(void)state;
	memset(long_one, 'x', sizeof(long_one));
	long_one[256] = '\0';
	reads(S12, 12, 0600, S12, NULL);
	reads(S12 "\n", 13, 0400, S12, NULL);
	reads(S12 "\r\nsecond line\n", 26, 0600, S12, NULL);
	reads("short", 5, 0600, "short", "holds 5 bytes, which is right only where IPsec protects the connection (RFC 7143 9.2.1); allowed: 12");
	reads(S12, 12, 0640, S12, "can be read by others (mode 0640); allowed: chmod 0600");
	reads(long_one + 1, 255, 0600, long_one + 1, NULL);
	refuses(long_one, 256, 0600, CONF_SECRET_THEIRS, "allowed: 1 to 255 bytes");
	refuses("", 0, 0600, CONF_SECRET_THEIRS, "allowed: 1 to 255 bytes");
	refuses("\nx", 2, 0600, CONF_SECRET_THEIRS, "allowed: 1 to 255 bytes");
	refuses("ab\0cdefghijklm", 14, 0600, CONF_SECRET_THEIRS, "allowed: 1 to 255 bytes");
	/* RFC 7143 9.2.1: no CHAP_R is made with fewer than 96 bits */
	refuses("elevenbytes", 11, 0600, CONF_SECRET_OURS, "holds 11 bytes, so that whoever asks");
	/* everybody may read it, or change it */
	for (mode_t bit = 1; bit < 8; bit *= 2)
		refuses(S12, 12, 0600 | bit, CONF_SECRET_THEIRS, "is open to everybody (mode 060");
}

/* @s with the test's directory for each $ */
static void expand(char to[512], const char *s)
{
	for (; *s; s++) {
		if (*s == '$')
			to += sprintf(to, "%s", dir);
		else
			*to++ = *s;
	}
	*to = '\0';
}

/* Secrets that are the same where they must not be, or should not be (RFC 7143 9.2.1) */
static void test_same_secrets(void **state)
{
	static const struct { const char *chap, *says; } t[] = {
		{ "[{user: a, secret-file: $/secret}, {user: b, secret-file: $/other}]", "" },
		{ "{user: a, secret-file: $/secret, mutual-user: t, mutual-secret-file: $/other}", "" },
		{ "{user: a, secret-file: $/secret, mutual-user: t, mutual-secret-file: $/copy}",
		  "D:6: chap: users \"a\" (line 6) and \"t\" have one secret, and prove themselves to each other with it: "
		  "either could be the other (RFC 7143 9.2.1); allowed: different secrets for both directions\n" },
		{ "[{user: a, secret-file: $/secret}, {user: b, secret-file: $/copy}]",
		  "D:6: warning: chap: users \"a\" (line 6) and \"b\" have one secret, so each could be the other (RFC 7143 "
		  "9.2.1); allowed: a secret for each\n" },
	};

	(void)state;
	put("secret", S12, 12, 0600);
	put("copy", S12 "\n", 13, 0600);
	put("other", "other-than-those", 16, 0600);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
		_cleanup_conf_ struct conf *c = NULL;
		_cleanup_free_ char *got = NULL;
		char chap[512], text[1024];

		expand(chap, t[i].chap);
		snprintf(text, sizeof(text), "groups:\n- name: g\n  portals: [0.0.0.0]\n  targets:\n"
			 "  - iqn: iqn.2026-11.org.example:t\n    chap: %s\n    luns: {0: {ram: 1MiB}}\n", chap);
		assert_int_equal(conf_parse(text, strlen(text), "D", CONF_STANDALONE, &c, &d), 0);
		assert_int_equal(conf_check_files(c, NULL, &d), i == 2);
		got = conf_diags_text(&d);
		assert_string_equal(got, t[i].says);
	}
	unlink(path_of("copy"));
	unlink(path_of("other"));
}

static void test_secret_missing(void **state)
{
	_cleanup_free_ char *why = NULL;
	char *secret;
	size_t len;

	(void)state;
	unlink(path_of("secret"));
	assert_int_equal(get(CONF_SECRET_OURS, &secret, &len, &why), -ENOENT);
	assert_non_null(strstr(why, "cannot be opened: No such file or directory"));
	assert_ptr_equal(secret, magic);
}

/* Findings of conf_check_files() for one LUN and one secret file, all under the test's directory. */
static char *findings(const char *lun)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_conf_ struct conf *c = NULL;
	char text[1024];
	size_t n;

	snprintf(text, sizeof(text), "groups:\n- name: g\n  portals: [0.0.0.0]\n  targets:\n"
		 "  - iqn: iqn.2026-11.org.example:t\n    chap: {user: u, secret-file: %s/secret}\n"
		 "    luns:\n      0: {%s}\n", dir, lun);
	assert_int_equal(conf_parse(text, strlen(text), "D", CONF_STANDALONE, &c, &d), 0);
	assert_int_equal(conf_check_files(c, "another", &d), 0);
	n = conf_check_files(c, "g", &d);
	assert_int_equal(n, d.n_errors);
	return conf_diags_text(&d);
}

static void finds(const char *kind, const char *name, const char *rest, const char *want)
{
	_cleanup_free_ char *got = NULL;
	char lun[256];

	snprintf(lun, sizeof(lun), "%s: %s/%s%s", kind, dir, name, rest);
	got = findings(lun);
	if (want ? !strstr(got, want) : got[0])
		fail_msg("%s: %s", lun, got);
}

static void test_check_files(void **state)
{
	(void)state;
	put("secret", S12, 12, 0600);
	unlink(path_of("disk.img"));
	finds("file", "disk.img", "", "D:8: ");
	finds("file", "disk.img", "", "allowed: an existing file, or size: N to have it made");
	finds("file", "disk.img", ", size: 1MiB", NULL);
	finds("file", "none/disk.img", ", size: 1MiB", "its directory does not exist");
	put("disk.img", "", 0, 0600);
	finds("file", "disk.img", "", "is empty; allowed: size: N");
	finds("file", "", "", "is no file; allowed: a file, or block: PATH for a device");
	finds("block", "disk.img", "", "is no block device; allowed: a block device, or file: PATH for a file");
	finds("block", "nothing", "", "allowed: a block device that this node sees now");
	unlink(path_of("secret"));
	finds("file", "disk.img", ", size: 1MiB", "D:6: chap: secret file ");
	put("secret", S12, 12, 0644);
	finds("file", "disk.img", ", size: 1MiB", "D:6: chap: secret file ");
	put("secret", S12, 12, 0640);
	finds("file", "disk.img", ", size: 1MiB", "D:6: warning: chap: secret file ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_same_secrets),
		cmocka_unit_test(test_secret_missing),
		cmocka_unit_test(test_check_files),
	};

	return cmocka_run_group_tests_name("conf files", tests, setup, teardown);
}
