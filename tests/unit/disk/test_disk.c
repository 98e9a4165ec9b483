/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_disk.c - RAM disks and files: bytes, limits, errors, the end with I/O under way */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/disk/bench.h"

#define MIB (1u << 20)

static char dir[64], path[128];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/lunward-test-disk.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/disk", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static const struct disk_spec specs[] = {
	{ .kind = DISK_RAM, .path = "", .size = 8 * MIB },
	{ .kind = DISK_FILE, .path = path, .size = 8 * MIB },
	{ .kind = DISK_RAM, .path = "", .size = 8 * MIB, .block_size = 4096 },
	{ .kind = DISK_FILE, .path = path, .size = 8 * MIB, .block_size = 4096 },
};

/* What is written is read, at any size up to the largest; what was never written is zero. */
static void test_bytes(void **state)
{
	static const uint32_t lens[] = { 4096, 65536, DISK_IO_MAX };
	uint8_t *out = bench_buffer(DISK_IO_MAX), *in = bench_buffer(DISK_IO_MAX);
	struct bench b;

	(void)state;
	for (size_t i = 0; i < DISK_IO_MAX; i++)
		out[i] = (uint8_t)(i * 7 + i / 4096);
	for (size_t s = 0; s < ARRAY_SIZE(specs); s++) {
		unlink(path);
		assert_true(bench_open(&b, &specs[s], 0));
		assert_int_equal(bench_start(&b, 0), DISK_OK);
		assert_int_equal(b.disk->geo.blocks * b.disk->geo.block_size, 8 * MIB);
		for (size_t k = 0; k < ARRAY_SIZE(lens); k++) {
			uint64_t at = k * MIB + 4096;

			assert_int_equal(bench_io(&b, DISK_WRITE, at, out, lens[k], k == 1), DISK_OK);
			assert_int_equal(bench_io(&b, DISK_FLUSH, 0, NULL, 0, false), DISK_OK);
			memset(in, 0xee, lens[k]);
			assert_int_equal(bench_io(&b, DISK_READ, at, in, lens[k], false), DISK_OK);
			assert_memory_equal(in, out, lens[k]);
		}
		assert_int_equal(bench_io(&b, DISK_READ, 0, in, 4096, false), DISK_OK);
		for (size_t i = 0; i < 4096; i++)
			assert_int_equal(in[i], 0);
		bench_close(&b);
	}
	free(out);
	free(in);
}

/* Handles on two rings see one disk. */
static void test_two_handles_one_disk(void **state)
{
	uint8_t *buf = bench_buffer(4096);
	struct bench a, b;

	(void)state;
	assert_true(bench_open(&a, &specs[0], 0));
	assert_true(bench_open(&b, &specs[0], 1));
	disk_backing_free(b.backing);
	b.backing = a.backing;
	b.disk->backing = a.backing;
	assert_int_equal(bench_start(&a, 0), DISK_OK);
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	memset(buf, 'x', 4096);
	assert_int_equal(bench_io(&a, DISK_WRITE, 4096, buf, 4096, false), DISK_OK);
	memset(buf, 0, 4096);
	assert_int_equal(bench_io(&b, DISK_READ, 4096, buf, 4096, false), DISK_OK);
	assert_int_equal(buf[4095], 'x');
	b.backing = NULL;
	bench_close(&b);
	bench_close(&a);
	free(buf);
}

static void test_limits(void **state)
{
	static const struct { uint64_t at; uint32_t len; enum disk_status s; } cases[] = {
		{ 8 * MIB - 4096, 4096, DISK_OK },
		{ 8 * MIB - 4096, 8192, DISK_RANGE },
		{ 8 * MIB, 4096, DISK_RANGE },
		{ UINT64_MAX - 4095, 4096, DISK_RANGE },
		{ 100, 4096, DISK_RANGE },
		{ 0, 100, DISK_RANGE },
		{ 0, 0, DISK_RANGE },
		{ 0, DISK_IO_MAX + 4096, DISK_RANGE },
	};
	uint8_t *buf = bench_buffer(DISK_IO_MAX + 4096);
	struct bench b;

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(specs); s++) {
		unlink(path);
		assert_true(bench_open(&b, &specs[s], 0));
		assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 4096, false), DISK_NOT_READY);
		assert_int_equal(bench_start(&b, 0), DISK_OK);
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
			assert_int_equal(bench_io(&b, DISK_READ, cases[k].at, buf, cases[k].len, false), cases[k].s);
			assert_int_equal(bench_io(&b, DISK_WRITE, cases[k].at, buf, cases[k].len, false), cases[k].s);
		}
		bench_close(&b);
	}
	free(buf);
}

static void test_read_only(void **state)
{
	struct disk_spec spec = specs[1];
	uint8_t *buf = bench_buffer(4096);
	struct bench b;

	(void)state;
	unlink(path);
	assert_true(bench_open(&b, &spec, 0));  /* makes the file */
	bench_close(&b);
	spec.read_only = true;
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 4096, false), DISK_OK);
	assert_int_equal(bench_io(&b, DISK_WRITE, 0, buf, 4096, false), DISK_READ_ONLY);
	bench_close(&b);
	free(buf);
}

/* `size:` makes a file as large, and never smaller. */
static void test_file_grows_only(void **state)
{
	struct disk_spec spec = specs[1];
	struct stat st;
	struct bench b;

	(void)state;
	unlink(path);
	for (unsigned mib = 8; mib >= 4; mib -= 4) {
		spec.size = mib * MIB;
		assert_true(bench_open(&b, &spec, 0));
		assert_int_equal(bench_start(&b, 0), DISK_OK);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, 8 * MIB);
		assert_int_equal(st.st_blocks, 0);  /* sparse */
		bench_close(&b);
	}
}

/* A file that was cut short under us is an error of the medium, not data out of nowhere. */
static void test_truncated_file(void **state)
{
	uint8_t *buf = bench_buffer(8192);
	struct bench b;

	(void)state;
	unlink(path);
	assert_true(bench_open(&b, &specs[1], 0));
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 8192, false), DISK_MEDIUM);
	assert_int_equal(bench_io(&b, DISK_READ, 4 * MIB, buf, 4096, false), DISK_MEDIUM);
	assert_int_equal(b.n_logs, 1);  /* the second within ten seconds is counted, not said */
	assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 4096, false), DISK_OK);
	bench_close(&b);
	free(buf);
}

/* What cannot be opened says which file and why, and can be tried again. */
static void test_start_fails_and_is_tried_again(void **state)
{
	struct disk_spec spec = { .kind = DISK_FILE, .path = path };
	struct bench b;
	int fd;

	(void)state;
	unlink(path);
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, 0), DISK_NOT_READY);
	assert_non_null(strstr(b.text, path));
	assert_non_null(strstr(b.text, "No such file"));
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(bench_start(&b, 0), DISK_NOT_READY);
	assert_non_null(strstr(b.text, "smaller than one block"));
	assert_int_equal(ftruncate(fd, MIB + 100), 0);
	close(fd);
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	assert_int_equal(b.disk->geo.blocks, MIB / 512);
	bench_close(&b);
}

static void test_file_is_no_block_device(void **state)
{
	struct disk_spec spec = { .kind = DISK_FILE, .path = path, .is_block = true };
	struct bench b;

	(void)state;
	assert_true(bench_open(&b, &specs[1], 0));
	bench_close(&b);
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, 0), DISK_NOT_READY);
	assert_non_null(strstr(b.text, "not a block device"));
	bench_close(&b);
}

static void test_impossible_backings(void **state)
{
	static const struct { struct disk_spec spec; const char *says; } cases[] = {
		{ { .kind = DISK_RAM, .path = "", .size = 100 }, "at least one block" },
		{ { .kind = DISK_RAM, .path = "", .size = 1ull << 62 }, "Cannot allocate memory" },
		{ { .kind = DISK_FILE, .path = "/nonexistent/disk", .size = MIB }, "No such file" },
	};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_false(bench_open(&b, &cases[i].spec, 0));
		assert_non_null(strstr(b.text, cases[i].says));
	}
}

#define FLIGHT 32

/* disk_stop() is over when the last I/O is; nothing is taken after it. */
static void test_stop_waits_for_what_is_under_way(void **state)
{
	uint8_t *buf = bench_buffer(MIB);
	struct disk_io io[FLIGHT] = { 0 };
	struct iovec iov[FLIGHT];
	struct bench b;

	(void)state;
	for (size_t s = 0; s < 2; s++) {
		unlink(path);
		assert_true(bench_open(&b, &specs[s], 0));
		assert_int_equal(bench_start(&b, 0), DISK_OK);
		for (size_t i = 0; i < FLIGHT; i++)
			bench_submit(&b, &io[i], &iov[i], DISK_WRITE, (i % 8) * MIB, buf, MIB);
		assert_int_equal(bench_stop(&b), DISK_OK);
		for (size_t i = 0; i < FLIGHT; i++) {
			assert_true(bench_is_done(&io[i]));
			assert_int_equal(io[i].status, DISK_OK);
		}
		assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 4096, false), DISK_NOT_READY);
		bench_close(&b);
	}
	free(buf);
}

static bool start_told;

static void start_aborted(struct disk *d, void *arg, enum disk_status s, const char *err)
{
	(void)d, (void)arg, (void)err;
	assert_int_equal(s, DISK_ABORTED);
	start_told = true;
}

/* A start that is overtaken by a stop ends as aborted, and leaves no descriptor behind. */
static void test_stop_while_starting(void **state)
{
	struct bench b;
	int before = dup(0), after;

	(void)state;
	close(before);
	unlink(path);
	start_told = false;
	assert_true(bench_open(&b, &specs[1], 0));
	disk_start(b.disk, 0, start_aborted, NULL);
	assert_int_equal(bench_stop(&b), DISK_OK);
	assert_true(start_told);
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	bench_close(&b);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

/* The block layer's answers; EBADE is BLK_STS_RESV_CONFLICT. */
static void test_errno_classes(void **state)
{
	static const struct { int e; enum disk_status s; } cases[] = {
		{ 0, DISK_OK },             { EBADE, DISK_FENCED },         { ENOSPC, DISK_NO_SPACE },
		{ EROFS, DISK_READ_ONLY },  { EIO, DISK_MEDIUM },           { ENODATA, DISK_MEDIUM },
		{ EILSEQ, DISK_MEDIUM },    { EREMOTEIO, DISK_NOT_READY },  { ETIMEDOUT, DISK_NOT_READY },
		{ ENOLINK, DISK_NOT_READY }, { ENODEV, DISK_NOT_READY },    { ECANCELED, DISK_ABORTED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(disk_errno(cases[i].e), cases[i].s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_two_handles_one_disk),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_file_grows_only),
		cmocka_unit_test(test_truncated_file),
		cmocka_unit_test(test_start_fails_and_is_tried_again),
		cmocka_unit_test(test_file_is_no_block_device),
		cmocka_unit_test(test_impossible_backings),
		cmocka_unit_test(test_stop_waits_for_what_is_under_way),
		cmocka_unit_test(test_stop_while_starting),
		cmocka_unit_test(test_errno_classes),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
