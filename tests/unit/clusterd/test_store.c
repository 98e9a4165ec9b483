/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state directory: what was said to be stored is read back; what is damaged is never trusted. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cluster/clusterd.h"

#define BOOT_A "aaaaaaaa-0000-0000-0000-000000000000"
#define BOOT_B "bbbbbbbb-0000-0000-0000-000000000000"
#define NAME "records/vmstore"

struct fixture {
	char dir[64];
	qb_loop_t *loop;
	struct store *s;
	int wanted, n_done;
	int error[16];
	uint64_t cookie[16];
};

/* ---- system calls that fail on purpose ---- */
static int fail_write, fail_fsync, fail_rename;   /* errno, or 0 */
static int n_writes, n_fsyncs;
static size_t write_limit;                        /* bytes a write() takes at most; 0: all */

static ssize_t my_write(int fd, const void *p, size_t n)
{
	n_writes++;
	if (fail_write) {
		errno = fail_write;
		return -1;
	}
	return write(fd, p, write_limit ? MIN(n, write_limit) : n);
}

static int my_fsync(int fd)
{
	n_fsyncs++;
	if (!fail_fsync)
		return fsync(fd);
	errno = fail_fsync;
	return -1;
}

static int my_rename(int dirfd, const char *from, const char *to)
{
	if (!fail_rename)
		return renameat(dirfd, from, dirfd, to);
	errno = fail_rename;
	return -1;
}

static const struct store_ops OPS = { my_write, my_fsync, my_rename };

/* ---- fixture ---- */
static void open_store(struct fixture *f, const char *boot)
{
	assert_int_equal(store_open(&f->s, f->loop, f->dir, boot, &OPS), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fail_write = fail_fsync = fail_rename = n_writes = n_fsyncs = 0;
	write_limit = 0;
	strcpy(f->dir, "/tmp/lunward-test-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->loop = qb_loop_create();
	open_store(f, BOOT_A);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];

	store_close(f->s);
	qb_loop_destroy(f->loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	assert_int_equal(system(cmd), 0);
	free(f);
	return 0;
}

static void done(void *data, uint64_t cookie, int error)
{
	struct fixture *f = data;

	f->cookie[f->n_done] = cookie;
	f->error[f->n_done] = error;
	if (++f->n_done == f->wanted)
		qb_loop_stop(f->loop);
}

static void wait_for(struct fixture *f, int n)
{
	f->wanted = n;
	if (f->n_done < n)
		qb_loop_run(f->loop);
	assert_int_equal(f->n_done, n);
}

static int put(struct fixture *f, const char *text)
{
	f->n_done = 0;
	assert_int_equal(store_write(f->s, NAME, STORE_RECORD, true, text, strlen(text), done, f, 7), 0);
	wait_for(f, 1);
	assert_int_equal(f->cookie[0], 7);
	return f->error[0];
}

static void assert_reads(struct fixture *f, const char *text, bool warm)
{
	struct store_file file;
	const char *why = NULL;

	assert_int_equal(store_read(f->s, NAME, STORE_RECORD, &file, &why), 0);
	assert_int_equal(file.len, strlen(text));
	assert_memory_equal(file.payload, text, file.len);
	assert_int_equal(file.warm, warm);
	free(file.payload);
}

static int path(const struct fixture *f, const char *name, char *ret, size_t size)
{
	return snprintf(ret, size, "%s/%s", f->dir, name);
}

/* ---- tests ---- */
static void test_write_and_read(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char p[128];

	assert_int_equal(put(f, "first"), 0);
	assert_int_equal(n_fsyncs, 2);   /* the file, and its directory */
	assert_reads(f, "first", true);
	assert_int_equal(put(f, "second"), 0);
	assert_reads(f, "second", true);
	assert_int_equal(put(f, ""), 0);
	assert_reads(f, "", true);
	path(f, NAME, p, sizeof(p));
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_absent(void **state)
{
	struct fixture *f = *state;
	struct store_file file = { .len = 5 };
	const char *why = NULL;

	assert_int_equal(store_read(f->s, NAME, STORE_RECORD, &file, &why), -ENOENT);
	assert_int_equal(file.len, 5);
}

static void test_order(void **state)
{
	struct fixture *f = *state;

	write_limit = 3;   /* short writes are continued */
	for (uint64_t i = 0; i < 8; i++) {
		char text[8];

		snprintf(text, sizeof(text), "n%u", (unsigned)i);
		assert_int_equal(store_write(f->s, NAME, STORE_RECORD, true, text, 2, done, f, i), 0);
	}
	wait_for(f, 8);
	for (uint64_t i = 0; i < 8; i++) {
		assert_int_equal(f->cookie[i], i);
		assert_int_equal(f->error[i], 0);
	}
	assert_reads(f, "n7", true);
}

/* A write that fails says so, leaves what was there, and leaves nothing else. */
static void test_failures_keep_the_old(void **state)
{
	struct fixture *f = *state;
	int *fail[] = { &fail_write, &fail_fsync, &fail_rename };
	char p[128];

	assert_int_equal(put(f, "old"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fail); i++) {
		*fail[i] = ENOSPC;
		assert_int_equal(put(f, "new"), -ENOSPC);
		*fail[i] = 0;
		assert_reads(f, "old", true);
		path(f, NAME ".new", p, sizeof(p));
		assert_int_equal(access(p, F_OK), -1);
	}
	assert_int_equal(put(f, "new"), 0);
	assert_reads(f, "new", true);
}

static void test_warm_ends_with_the_boot(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f, "text"), 0);
	store_close(f->s);
	open_store(f, BOOT_A);
	assert_reads(f, "text", true);
	store_close(f->s);
	open_store(f, BOOT_B);
	assert_reads(f, "text", false);
	f->n_done = 0;
	assert_int_equal(store_write(f->s, NAME, STORE_RECORD, false, "cold", 4, done, f, 0), 0);
	wait_for(f, 1);
	assert_reads(f, "cold", false);   /* written in this boot, but not warm: it stays so */
}

static void corrupt(const struct fixture *f, off_t at, uint8_t mask)
{
	char p[128];
	uint8_t b;
	int fd;

	path(f, NAME, p, sizeof(p));
	fd = open(p, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= mask;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

/* One flipped bit in any byte is noticed: damaged, or (the layout's own number) of another version. */
static void test_every_bit_counts(void **state)
{
	struct fixture *f = *state;
	struct store_file file = { .len = 5 };
	const char *why;
	char p[128];
	struct stat st;

	assert_int_equal(put(f, "some payload"), 0);
	path(f, NAME, p, sizeof(p));
	assert_int_equal(stat(p, &st), 0);
	for (off_t i = 0; i < st.st_size; i++) {
		bool layout = i >= 8 && i < 12;

		why = NULL;
		corrupt(f, i, 0x10);
		assert_int_equal(store_read(f->s, NAME, STORE_RECORD, &file, &why), layout ? -EPROTONOSUPPORT : -EBADMSG);
		assert_true(layout || why);
		corrupt(f, i, 0x10);
	}
	assert_int_equal(file.len, 5);
	assert_reads(f, "some payload", true);
}

static void test_truncated(void **state)
{
	struct fixture *f = *state;
	struct store_file file;
	const char *why = NULL;
	char p[128];
	struct stat st;

	assert_int_equal(put(f, "some payload"), 0);
	path(f, NAME, p, sizeof(p));
	assert_int_equal(stat(p, &st), 0);
	for (off_t n = st.st_size; n-- > 0;) {
		assert_int_equal(truncate(p, n), 0);
		assert_int_equal(store_read(f->s, NAME, STORE_RECORD, &file, &why), -EBADMSG);
	}
}

static void test_kinds_do_not_mix(void **state)
{
	struct fixture *f = *state;
	struct store_file file;
	const char *why = NULL;

	assert_int_equal(put(f, "text"), 0);
	assert_int_equal(store_read(f->s, NAME, STORE_CONFIG, &file, &why), -EBADMSG);
}

static void test_names_and_remove(void **state)
{
	struct fixture *f = *state;
	char p[128];
	char **names;

	assert_int_equal(put(f, "text"), 0);
	path(f, "records/half.new", p, sizeof(p));   /* what a crash leaves behind */
	close(open(p, O_CREAT | O_WRONLY, 0600));
	names = store_names(f->s);
	assert_string_equal(names[0], "vmstore");
	assert_null(names[1]);
	store_names_free(names);
	assert_int_equal(store_remove(f->s, NAME), 0);
	store_close(f->s);                           /* finishes what is queued */
	open_store(f, BOOT_A);
	names = store_names(f->s);
	assert_null(names[0]);
	store_names_free(names);
}

static void test_one_owner(void **state)
{
	struct fixture *f = *state;
	struct store *second = NULL;

	assert_int_equal(store_open(&second, f->loop, f->dir, BOOT_A, NULL), -EBUSY);
	assert_null(second);
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_write_and_read), T(test_absent), T(test_order), T(test_failures_keep_the_old),
		T(test_warm_ends_with_the_boot), T(test_every_bit_counts), T(test_truncated), T(test_kinds_do_not_mix),
		T(test_names_and_remove), T(test_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
