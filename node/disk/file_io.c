/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file_io.c - I/O of a block device or a file: everything through io_uring that it has */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/disk/aside.h"
#include "node/disk/file.h"

/* A hole reads as zero; of a block device too, where the kernel lets the device write zeroes by giving storage back. */
static int fallocate_mode(const struct disk_io *io)
{
	if (io->op == DISK_ZERO && !io->unmap)
		return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
}

static void file_issue(struct disk *d, struct disk_io *io)
{
	struct file_disk *f = file_of(d);
	struct io_uring_sqe *sqe = ring_sqe(d->ring, &io->ring_op);
	uint64_t at = io->offset + io->moved;

	switch (io->op) {
	case DISK_READ:
		io_uring_prep_readv(sqe, f->fd, io->iov, io->n_iov, at);
		break;
	case DISK_WRITE:
		io_uring_prep_writev2(sqe, f->fd, io->iov, io->n_iov, at, io->fua ? RWF_DSYNC : 0);
		break;
	case DISK_FLUSH:
		io_uring_prep_fsync(sqe, f->fd, IORING_FSYNC_DATASYNC);
		break;
	case DISK_UNMAP:
	case DISK_ZERO:
		io_uring_prep_fallocate(sqe, f->fd, fallocate_mode(io), io->offset, io->length);
		break;
	case DISK_MAP:
		break;  /* file_map() */
	}
}

/* Skip what was moved already: rare, so that it may change the caller's iovec. */
static void iov_advance(struct disk_io *io, size_t n)
{
	while (io->n_iov && n >= io->iov->iov_len) {
		n -= io->iov->iov_len;
		io->iov++;
		io->n_iov--;
	}
	if (n) {
		io->iov->iov_base = (uint8_t *)io->iov->iov_base + n;
		io->iov->iov_len -= n;
	}
}

static void file_io_done(struct ring_op *op, int res, uint32_t flags)
{
	struct disk_io *io = container_of(op, struct disk_io, ring_op);

	(void)flags;
	if (res == -EINTR || res == -EAGAIN) {
		file_issue(io->disk, io);
		return;
	}
	if (res < 0 || io->op >= DISK_FLUSH) {
		disk_io_end(io, disk_errno(-res));
		return;
	}
	io->moved += (uint32_t)res;
	if (io->moved >= io->length) {
		disk_io_end(io, DISK_OK);
	} else if (res == 0) {
		disk_io_end(io, DISK_MEDIUM);  /* somebody cut the file short */
	} else {
		iov_advance(io, (size_t)res);
		file_issue(io->disk, io);
	}
}

/* ---- where is data: lseek() may read metadata, and io_uring does not have it ---- */

struct map_job {
	struct aside_job job;
	struct disk_io *io;
	int fd;
	uint64_t at, end;
	enum disk_status status;
	bool mapped;
	uint64_t until;
};

static void map_run(struct aside_job *j)
{
	struct map_job *m = container_of(j, struct map_job, job);
	off_t data = lseek(m->fd, (off_t)m->at, SEEK_DATA), hole;

	m->until = m->end;
	if (data < 0) {
		m->status = errno == ENXIO ? DISK_OK : disk_errno(errno);  /* ENXIO: no data up to the end */
		return;
	}
	if ((uint64_t)data > m->at) {
		m->until = (uint64_t)data;
		return;
	}
	m->mapped = true;
	hole = lseek(m->fd, (off_t)m->at, SEEK_HOLE);
	if (hole >= 0)
		m->until = (uint64_t)hole;
	else
		m->status = disk_errno(errno);
}

/* Blocks that are partly data are data. */
static void map_done(struct aside_job *j)
{
	struct map_job *m = container_of(j, struct map_job, job);
	struct disk_io *io = m->io;
	uint64_t bs = io->disk->geo.block_size, n = MIN(m->until, m->end) - m->at;
	enum disk_status s = m->status;

	n = m->mapped ? (n + bs - 1) / bs * bs : n / bs * bs;
	io->mapped = m->mapped || !n;
	io->extent = n ? n : bs;
	free(m);
	disk_io_end(io, s);
}

static void file_map(struct disk *d, struct disk_io *io)
{
	struct map_job *m = calloc(1, sizeof(*m));

	if (m)
		*m = (struct map_job){ .job = { .run = map_run, .done = map_done }, .io = io, .fd = file_of(d)->fd,
				       .at = io->offset, .end = d->geo.blocks * d->geo.block_size };
	if (m && aside_submit(d->ring, &m->job) == 0)
		return;
	free(m);
	disk_io_end_later(io, DISK_NOT_READY);
}

void file_submit(struct disk *d, struct disk_io *io)
{
	if (io->op == DISK_MAP) {
		file_map(d, io);
		return;
	}
	io->ring_op.done = file_io_done;
	file_issue(d, io);
}
