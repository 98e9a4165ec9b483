/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ram.c - a disk in memory, for tests and for the standalone target
 *
 * The reactors share the bytes without a lock, as initiators share a real disk: what two overlapping commands in
 * flight at the same time leave behind is not defined (SBC-3 4.15 orders them by nothing).
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "node/disk/disk.h"

#define RAM_BLOCK 512u
#define RAM_PAGE 4096u  /* memory is given back in these */
#define RAM_LOOK ((uint64_t)1 << 30)  /* bytes to look at for where data is */

/* The bytes, and one for each page: is there anything in it. */
struct ram {
	uint8_t *bytes;
	size_t len;
	atomic_uchar *used;          /* reactors write to different blocks of one page */
	_Atomic uint64_t n_used;     /* pages */
};

#ifdef __SANITIZE_THREAD__
/* Initiators may race on their own blocks; that is theirs to order. Libraries that are not built for it do their own
 * synchronizing unseen: libzmq between its threads. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:ram_copy\ncalled_from_lib:libzmq.so\nrace:libzmq.so\nrace:libprotobuf-c.so\n";
}
#endif

static __attribute__((noinline)) void ram_copy(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);
}

static int ram_prepare(struct disk_backing *b, char *err, size_t err_len)
{
	size_t bs = b->spec.block_size ? b->spec.block_size : RAM_BLOCK;
	size_t len = b->spec.size - b->spec.size % bs;
	struct ram *m = calloc(1, sizeof(*m));
	void *p;

	if (!len) {
		free(m);
		snprintf(err, err_len, "ram: a size of at least one block (%zu bytes) is needed", bs);
		return -EINVAL;
	}
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m && p != MAP_FAILED)
		m->used = calloc(len / RAM_PAGE + 1, sizeof(*m->used));
	if (!m || p == MAP_FAILED || !m->used) {
		snprintf(err, err_len, "ram: %zu bytes: %s", len, strerror(ENOMEM));
		if (p != MAP_FAILED)
			munmap(p, len);
		free(m);
		return -ENOMEM;
	}
	m->bytes = p;
	m->len = len;
	b->shared = m;
	return 0;
}

static void ram_unprepare(struct disk_backing *b)
{
	struct ram *m = b->shared;

	munmap(m->bytes, m->len);
	free(m->used);
	free(m);
}

static void ram_start(struct disk *d)
{
	const struct disk_spec *spec = &d->backing->spec;
	uint32_t bs = spec->block_size ? spec->block_size : RAM_BLOCK;

	d->geo = (struct disk_geometry){
		.blocks = ((struct ram *)d->backing->shared)->len / bs,
		.block_size = bs,
		.physical_block_size = bs,
		.unmap_granularity = RAM_PAGE,
		.unmap_zeroes = true,
		.zeroes = true,
		.map = true,
		.space = true,
		.atomic = true,
		.read_only = spec->read_only,
	};
	disk_step_end(d, DISK_OK, NULL);
}

static bool used(struct ram *m, uint64_t at)
{
	return atomic_load_explicit(&m->used[at / RAM_PAGE], memory_order_relaxed);
}

/* All pages that [from, to) touches. Most are marked already: then nothing is written that others read. */
static void mark(struct ram *m, uint64_t from, uint64_t to, bool on)
{
	for (uint64_t at = from / RAM_PAGE * RAM_PAGE; at < to; at += RAM_PAGE)
		if (used(m, at) != on && atomic_exchange_explicit(&m->used[at / RAM_PAGE], on, memory_order_relaxed) != on)
			atomic_fetch_add_explicit(&m->n_used, on ? 1 : UINT64_MAX, memory_order_relaxed);
}

static enum disk_status ram_move(struct ram *m, struct disk_io *io)
{
	uint8_t *at = m->bytes + io->offset;
	size_t left = io->length;

	if (io->op == DISK_WRITE)
		mark(m, io->offset, io->offset + io->length, true);
	for (unsigned i = 0; i < io->n_iov && left; i++) {
		size_t n = MIN(left, io->iov[i].iov_len);

		if (io->op == DISK_WRITE)
			ram_copy(at, io->iov[i].iov_base, n);
		else
			ram_copy(io->iov[i].iov_base, at, n);
		at += n;
		left -= n;
	}
	return left ? DISK_RANGE : DISK_OK;
}

/* Whole pages go back to the system; of those that others use a part of, the part is wiped. */
static enum disk_status ram_clear(struct ram *m, struct disk_io *io)
{
	uint64_t from = io->offset, to = from + io->length;
	uint64_t first = (from + RAM_PAGE - 1) / RAM_PAGE * RAM_PAGE, last = to / RAM_PAGE * RAM_PAGE;

	if (first >= last) {
		memset(m->bytes + from, 0, to - from);
		return DISK_OK;
	}
	if (from < first && used(m, from))
		memset(m->bytes + from, 0, first - from);
	if (last < to && used(m, last))
		memset(m->bytes + last, 0, to - last);
	if (madvise(m->bytes + first, last - first, MADV_DONTNEED))
		memset(m->bytes + first, 0, last - first);
	mark(m, first, last, io->op == DISK_ZERO && !io->unmap);
	return DISK_OK;
}

static enum disk_status ram_map(struct ram *m, struct disk_io *io)
{
	uint64_t at = io->offset, end = MIN((uint64_t)m->len, at + RAM_LOOK), bs = io->length;

	io->mapped = used(m, at);
	while (at < end && used(m, at) == io->mapped)
		at = (at / RAM_PAGE + 1) * RAM_PAGE;
	io->extent = (MIN(at, end) - io->offset) / bs * bs;
	return DISK_OK;
}

static enum disk_status ram_flush(struct ram *m, struct disk_io *io)
{
	(void)m, (void)io;
	return DISK_OK;
}

static void ram_submit(struct disk *d, struct disk_io *io)
{
	static enum disk_status (*const does[])(struct ram *m, struct disk_io *io) = {
		[DISK_READ] = ram_move,   [DISK_WRITE] = ram_move, [DISK_FLUSH] = ram_flush,
		[DISK_UNMAP] = ram_clear, [DISK_ZERO] = ram_clear, [DISK_MAP] = ram_map,
	};

	disk_io_end_later(io, does[io->op](d->backing->shared, io));
}

static void ram_look(struct disk *d)
{
	struct ram *m = d->backing->shared;
	uint64_t n = MIN(atomic_load_explicit(&m->n_used, memory_order_relaxed) * RAM_PAGE, (uint64_t)m->len);

	disk_space(d, n, m->len - n, true);
}

const struct disk_ops disk_ram_ops = {
	.name = "ram",
	.size = sizeof(struct disk),
	.prepare = ram_prepare,
	.unprepare = ram_unprepare,
	.start = ram_start,
	.submit = ram_submit,
	.look = ram_look,
};
