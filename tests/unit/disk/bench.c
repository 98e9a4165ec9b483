/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench.c - see bench.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/disk/bench.h"

static void on_fenced(struct disk *d, void *arg, const char *detail)
{
	struct bench *b = arg;

	(void)d;
	assert_false(b->fenced);  /* told once */
	b->fenced = true;
	snprintf(b->text, sizeof(b->text), "%s", detail);
}

static void on_log(struct disk *d, void *arg, int priority, const char *text)
{
	struct bench *b = arg;

	(void)d, (void)priority, (void)text;
	b->n_logs++;
}

static void on_resized(struct disk *d, void *arg)
{
	struct bench *b = arg;

	(void)d;
	b->n_resized++;
}

static void on_low_space(struct disk *d, void *arg)
{
	struct bench *b = arg;

	(void)d;
	b->n_low++;
}

static void on_space(struct disk *d, void *arg, uint64_t used, uint64_t left, bool own)
{
	struct bench *b = arg;

	(void)d;
	b->n_space++;
	b->used = used;
	b->left = left;
	b->own = own;
}

bool bench_open(struct bench *b, const struct disk_spec *spec, unsigned index)
{
	static const struct disk_events events = {
		.fenced = on_fenced, .log = on_log, .resized = on_resized, .low_space = on_low_space, .space = on_space,
	};

	memset(b, 0, sizeof(*b));
	b->backing = disk_backing_new(spec, b->text, sizeof(b->text));
	if (!b->backing)
		return false;
	assert_int_equal(ring_init(&b->ring, 64, b->text, sizeof(b->text)), 0);
	b->disk = disk_new(b->backing, &b->ring, index, &events, b);
	assert_non_null(b->disk);
	return true;
}

void bench_turn(struct bench *b)
{
	assert_true(ring_turn(&b->ring, 1000000) >= 0);
}

void bench_close(struct bench *b)
{
	if (b->disk->state != DISK_STANDBY)
		bench_stop(b);
	disk_free(b->disk);
	while (b->ring.pending)
		bench_turn(b);
	ring_free(&b->ring);
	disk_backing_free(b->backing);
}

static void step_done(struct disk *d, void *arg, enum disk_status s, const char *err)
{
	struct bench *b = arg;

	(void)d;
	assert_false(b->step_done);  /* told once */
	b->step_done = true;
	b->step = s;
	if (err)
		snprintf(b->text, sizeof(b->text), "%s", err);
}

static enum disk_status wait_step(struct bench *b)
{
	while (!b->step_done)
		bench_turn(b);
	return b->step;
}

enum disk_status bench_start(struct bench *b, uint64_t key)
{
	b->step_done = false;
	disk_start(b->disk, key, step_done, b);
	return wait_step(b);
}

enum disk_status bench_stop(struct bench *b)
{
	b->step_done = false;
	disk_stop(b->disk, step_done, b);
	return wait_step(b);
}

enum disk_status bench_rekey(struct bench *b, uint64_t old_key, uint64_t new_key)
{
	b->step_done = false;
	disk_rekey(b->disk, old_key, new_key, step_done, b);
	return wait_step(b);
}

static void io_done(struct disk_io *io)
{
	assert_non_null(io->done);  /* told once */
	io->done = NULL;
}

void bench_submit(struct bench *b, struct disk_io *io, struct iovec *iov, enum disk_op op, uint64_t offset, void *buf,
		  uint32_t len)
{
	*iov = (struct iovec){ buf, len };
	*io = (struct disk_io){ .op = op, .fua = io->fua, .offset = offset, .length = len, .iov = iov, .n_iov = len ? 1 : 0,
				.done = io_done };
	disk_submit(b->disk, io);
	assert_non_null(io->done);  /* never from within */
}

enum disk_status bench_io(struct bench *b, enum disk_op op, uint64_t offset, void *buf, uint32_t len, bool fua)
{
	struct disk_io io = { .fua = fua };
	struct iovec iov;

	bench_submit(b, &io, &iov, op, offset, buf, len);
	while (!bench_is_done(&io))
		bench_turn(b);
	return io.status;
}

struct disk_io bench_extent(struct bench *b, enum disk_op op, uint64_t at, uint32_t len, bool unmap)
{
	struct disk_io io = { .op = op, .unmap = unmap, .offset = at, .length = len, .done = io_done };

	disk_submit(b->disk, &io);
	assert_non_null(io.done);  /* never from within */
	while (!bench_is_done(&io))
		bench_turn(b);
	return io;
}

void bench_look(struct bench *b)
{
	disk_look(b->disk);
	while (b->disk->holds)
		bench_turn(b);
}

void *bench_buffer(size_t len)
{
	void *p = aligned_alloc(DISK_BUF_ALIGN, (len + DISK_BUF_ALIGN - 1) / DISK_BUF_ALIGN * DISK_BUF_ALIGN);

	assert_non_null(p);
	memset(p, 0, len);
	return p;
}
