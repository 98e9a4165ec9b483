/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_space.c - storage given back, zeroes written without data, where data is: RAM disks, files */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/disk/bench.h"

#define MIB (1u << 20)
#define SIZE (64 * MIB)

static char dir[64], path[128];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/lunward-test-space.XXXXXX");
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
	{ .kind = DISK_RAM, .path = "", .size = SIZE },
	{ .kind = DISK_FILE, .path = path, .size = SIZE },
	{ .kind = DISK_RAM, .path = "", .size = SIZE, .block_size = 4096 },
	{ .kind = DISK_FILE, .path = path, .size = SIZE, .block_size = 4096 },
};

static void done(struct disk_io *io)
{
	io->done = NULL;
}

static struct disk_io map(struct bench *b, uint64_t at)
{
	struct disk_io io = bench_extent(b, DISK_MAP, at, b->disk->geo.block_size, false);

	assert_int_equal(io.status, DISK_OK);
	return io;
}

static void open_disk(struct bench *b, const struct disk_spec *spec)
{
	unlink(path);
	assert_true(bench_open(b, spec, 0));
	assert_int_equal(bench_start(b, 0), DISK_OK);
	if (b->disk->geo.unmap_granularity)
		return;
	bench_close(b);
	print_message("skipped: the file system below %s cannot punch holes\n", dir);
	skip();
}

static void fill(struct bench *b, uint64_t at, uint32_t len, uint8_t with)
{
	uint8_t *buf = bench_buffer(len);

	memset(buf, with, len);
	assert_int_equal(bench_io(b, DISK_WRITE, at, buf, len, false), DISK_OK);
	free(buf);
}

/* All of [at, at + len) is @with */
static void expect(struct bench *b, uint64_t at, uint32_t len, uint8_t with)
{
	uint8_t *buf = bench_buffer(len);

	assert_int_equal(bench_io(b, DISK_READ, at, buf, len, false), DISK_OK);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(buf[i], with);
	free(buf);
}

/* What is given back reads as zero, at any alignment, and what is beside it stays. */
static void test_unmap(void **state)
{
	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(specs); s++) {
		struct bench b;
		uint32_t bs;

		open_disk(&b, &specs[s]);
		bs = b.disk->geo.block_size;
		assert_true(b.disk->geo.unmap_zeroes);
		assert_int_equal(b.disk->geo.unmap_granularity, 4096);
		fill(&b, 0, MIB, 'x');
		assert_int_equal(bench_extent(&b, DISK_UNMAP, 8192 + bs, 65536, false).status, DISK_OK);
		expect(&b, 0, 8192 + bs, 'x');
		expect(&b, 8192 + bs, 65536, 0);
		expect(&b, 8192 + bs + 65536, MIB - 8192 - bs - 65536, 'x');
		assert_int_equal(bench_extent(&b, DISK_UNMAP, 0, bs, false).status, DISK_OK);   /* less than a page */
		expect(&b, 0, bs, 0);
		expect(&b, bs, 4096, 'x');
		fill(&b, 8192 + bs, bs, 'y');                                             /* and written again */
		expect(&b, 8192 + bs, bs, 'y');
		expect(&b, 8192 + 2 * bs, bs, 0);
		bench_close(&b);
	}
}

/* The storage of a file really goes back to the file system. */
static void test_file_shrinks(void **state)
{
	struct stat before, after;
	struct bench b;

	(void)state;
	open_disk(&b, &specs[1]);
	fill(&b, 0, 4 * MIB, 'x');
	assert_int_equal(bench_io(&b, DISK_FLUSH, 0, NULL, 0, false), DISK_OK);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(bench_extent(&b, DISK_UNMAP, 0, 4 * MIB, false).status, DISK_OK);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, SIZE);
	assert_true(before.st_blocks >= 8192);
	assert_int_equal(after.st_blocks, 0);
	bench_close(&b);
}

/* Zeroes: kept or given back, as asked for */
static void test_zero(void **state)
{
	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(specs); s++) {
		struct bench b;
		struct disk_io io;

		open_disk(&b, &specs[s]);
		fill(&b, 0, MIB, 'x');
		io = bench_extent(&b, DISK_ZERO, 4096, 131072, false);
		if (io.status != DISK_UNSUPPORTED) {  /* ZERO_RANGE is not everywhere */
			assert_int_equal(io.status, DISK_OK);
			expect(&b, 4096, 131072, 0);
			expect(&b, 0, 4096, 'x');
		}
		assert_int_equal(bench_extent(&b, DISK_ZERO, 262144, 131072, true).status, DISK_OK);
		expect(&b, 262144, 131072, 0);
		expect(&b, 262144 + 131072, 4096, 'x');
		assert_false(map(&b, 262144).mapped);
		bench_close(&b);
	}
}

/* Thick: zeroes do not take storage away. */
static void test_allocated(void **state)
{
	struct disk_spec spec = { .kind = DISK_FILE, .path = path, .size = 8 * MIB, .allocate = true };
	struct stat st;
	struct bench b;

	(void)state;
	open_disk(&b, &spec);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_blocks >= 8 * MIB / 512);
	if (bench_extent(&b, DISK_ZERO, 0, MIB, false).status == DISK_OK) {
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_blocks >= 8 * MIB / 512);
	}
	bench_close(&b);
}

/* Every look tells what is used and what is left; of memory nobody else takes any. */
static void test_space_told(void **state)
{
	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(specs); s++) {
		bool ram = specs[s].kind == DISK_RAM;
		struct bench b;
		uint64_t before;

		open_disk(&b, &specs[s]);
		assert_true(b.disk->geo.space);
		bench_look(&b);
		assert_int_equal(b.n_space, 1);
		assert_int_equal(b.own, ram);
		before = b.used;
		assert_true(ram ? before == 0 && b.left == SIZE : before < MIB && b.left > 0);
		fill(&b, MIB, 65536, 'x');
		fill(&b, MIB, 65536, 'y');  /* the same place takes nothing more */
		assert_int_equal(bench_io(&b, DISK_FLUSH, 0, NULL, 0, false), DISK_OK);
		bench_look(&b);
		assert_int_equal(b.n_space, 2);
		assert_true(ram ? b.used == 65536 && b.left == SIZE - 65536
				: b.used >= before + 65536 && b.used < before + MIB);  /* file systems need some for themselves */
		if (bench_extent(&b, DISK_UNMAP, MIB, 65536, false).status == DISK_OK) {
			bench_look(&b);
			assert_true(ram ? b.used == 0 : b.used < before + 65536);
		}
		bench_close(&b);
	}
}

static void test_map(void **state)
{
	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(specs); s++) {
		struct disk_io io;
		struct bench b;

		open_disk(&b, &specs[s]);
		io = map(&b, 0);
		assert_false(io.mapped);
		assert_int_equal(io.extent, SIZE);
		fill(&b, MIB, 65536, 'x');
		assert_int_equal(bench_io(&b, DISK_FLUSH, 0, NULL, 0, false), DISK_OK);
		io = map(&b, 4096);
		assert_false(io.mapped);
		assert_int_equal(io.extent, MIB - 4096);
		io = map(&b, MIB);
		assert_true(io.mapped);
		assert_int_equal(io.extent, 65536);
		io = map(&b, MIB + 65536 - b.disk->geo.block_size);
		assert_true(io.mapped);
		assert_int_equal(io.extent, b.disk->geo.block_size);
		assert_int_equal(bench_extent(&b, DISK_UNMAP, MIB, 65536, false).status, DISK_OK);
		assert_false(map(&b, MIB).mapped);
		io = map(&b, SIZE - b.disk->geo.block_size);
		assert_false(io.mapped);
		assert_int_equal(io.extent, b.disk->geo.block_size);
		bench_close(&b);
	}
}

static void test_limits(void **state)
{
	static const enum disk_op ops[] = { DISK_UNMAP, DISK_ZERO, DISK_MAP };

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(specs); s++) {
		struct bench b;

		open_disk(&b, &specs[s]);
		for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
			assert_int_equal(bench_extent(&b, ops[i], SIZE, 4096, false).status, DISK_RANGE);
			assert_int_equal(bench_extent(&b, ops[i], SIZE - 4096, 8192, false).status, DISK_RANGE);
			assert_int_equal(bench_extent(&b, ops[i], UINT64_MAX - 4095, 4096, false).status, DISK_RANGE);
			assert_int_equal(bench_extent(&b, ops[i], 0, 0, false).status, DISK_RANGE);
			assert_int_equal(bench_extent(&b, ops[i], 100, 4096, false).status, DISK_RANGE);
			assert_int_equal(bench_extent(&b, ops[i], 0, DISK_EXTENT_MAX + 4096, false).status, DISK_RANGE);
		}
		assert_int_equal(bench_extent(&b, DISK_UNMAP, 0, DISK_EXTENT_MAX, false).status, DISK_OK);
		bench_close(&b);
	}
}

static void test_read_only(void **state)
{
	struct disk_spec spec = specs[1];
	struct bench b;

	(void)state;
	open_disk(&b, &spec);
	bench_close(&b);
	spec.read_only = true;
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	assert_int_equal(bench_extent(&b, DISK_UNMAP, 0, 4096, false).status, DISK_READ_ONLY);
	assert_int_equal(bench_extent(&b, DISK_ZERO, 0, 4096, true).status, DISK_READ_ONLY);
	assert_false(map(&b, 0).mapped);
	bench_close(&b);
}

/* A look at the map under way: the stop waits for it. */
static void test_stop_waits(void **state)
{
	struct bench b;
	struct disk_io io = { .op = DISK_MAP, .length = 512, .done = done };
	struct disk_io hole = { .op = DISK_UNMAP, .length = MIB, .done = done };

	(void)state;
	open_disk(&b, &specs[1]);
	disk_submit(b.disk, &io);
	disk_submit(b.disk, &hole);
	assert_int_equal(bench_stop(&b), DISK_OK);
	assert_true(bench_is_done(&io));
	assert_true(bench_is_done(&hole));
	assert_int_equal(io.status, DISK_OK);
	assert_int_equal(hole.status, DISK_OK);
	bench_close(&b);
}

/* ---- disks that change while they are open ---- */

static void test_grows_and_shrinks(void **state)
{
	uint8_t *buf = bench_buffer(4096);
	char err[200];
	struct bench b;

	(void)state;
	open_disk(&b, &specs[1]);
	bench_look(&b);
	assert_int_equal(b.n_resized, 0);
	assert_int_equal(bench_io(&b, DISK_WRITE, SIZE, buf, 4096, false), DISK_RANGE);
	assert_int_equal(truncate(path, SIZE + MIB), 0);
	bench_look(&b);
	assert_int_equal(b.n_resized, 1);
	assert_int_equal(b.disk->geo.blocks, (SIZE + MIB) / 512);
	assert_int_equal(bench_io(&b, DISK_WRITE, SIZE, buf, 4096, false), DISK_OK);
	assert_int_equal(disk_backing_grow(b.backing, SIZE + 2 * MIB, err, sizeof(err)), 0);
	assert_int_equal(disk_backing_grow(b.backing, SIZE, err, sizeof(err)), 0);  /* never smaller */
	bench_look(&b);
	assert_int_equal(b.n_resized, 2);
	assert_int_equal(b.disk->geo.blocks, (SIZE + 2 * MIB) / 512);
	assert_int_equal(truncate(path, MIB), 0);
	b.n_logs = 0;
	bench_look(&b);
	assert_int_equal(b.n_resized, 3);
	assert_int_equal(b.n_logs, 1);
	assert_int_equal(bench_io(&b, DISK_READ, MIB, buf, 4096, false), DISK_RANGE);
	assert_int_equal(bench_io(&b, DISK_READ, MIB - 4096, buf, 4096, false), DISK_OK);
	bench_look(&b);
	assert_int_equal(b.n_resized, 3);
	bench_close(&b);
	free(buf);
}

/* A stop while it looks: the stop waits. */
static void test_stop_while_looking(void **state)
{
	struct bench b;

	(void)state;
	open_disk(&b, &specs[1]);
	disk_look(b.disk);
	disk_look(b.disk);
	assert_int_equal(bench_stop(&b), DISK_OK);
	assert_int_equal(b.disk->holds, 0);
	bench_close(&b);
}

/* A small file system of our own; the test stays in its mount namespace, so it is the last. */
static bool small_file_system(void)
{
	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	return !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) && !mount("none", dir, "tmpfs", 0, "size=4m");
}

/* Space runs out below a thin file: said once when little is left, and what does not fit any more is refused as such. */
static void test_file_system_full(void **state)
{
	struct disk_spec spec = { .kind = DISK_FILE, .path = path, .size = 16 * MIB };
	uint8_t *buf = bench_buffer(MIB);
	uint64_t at = 0;
	struct bench b;

	(void)state;
	if (!small_file_system()) {
		free(buf);
		print_message("skipped: no file system can be mounted here\n");
		skip();
	}
	memset(buf, 'x', MIB);
	open_disk(&b, &spec);
	assert_int_equal(bench_io(&b, DISK_WRITE, 0, buf, MIB, false), DISK_OK);
	bench_look(&b);
	assert_int_equal(b.n_low, 0);
	while (bench_io(&b, DISK_WRITE, at, buf, 65536, false) == DISK_OK)
		at += 65536;
	assert_true(at >= 2 * MIB && at < 5 * MIB);
	assert_int_equal(bench_io(&b, DISK_WRITE, at + MIB, buf, MIB, false), DISK_NO_SPACE);
	bench_look(&b);
	bench_look(&b);
	assert_int_equal(b.n_low, 1);
	assert_int_equal(bench_extent(&b, DISK_UNMAP, 0, 2 * MIB, false).status, DISK_OK);
	bench_look(&b);
	assert_int_equal(bench_io(&b, DISK_WRITE, at + MIB, buf, MIB, false), DISK_OK);
	assert_int_equal(bench_io(&b, DISK_WRITE, at + 2 * MIB, buf, 786432, false), DISK_OK);
	bench_look(&b);
	assert_int_equal(b.n_low, 2);  /* full again */
	bench_close(&b);
	unlink(path);
	assert_int_equal(umount(dir), 0);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_file_shrinks),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_allocated),
		cmocka_unit_test(test_space_told),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_stop_waits),
		cmocka_unit_test(test_grows_and_shrinks),
		cmocka_unit_test(test_stop_while_looking),
		cmocka_unit_test(test_file_system_full),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
