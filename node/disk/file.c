/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file.c - a block device or a file, by O_DIRECT through io_uring
 *
 * Each reactor has its own descriptor. A file system that lacks O_DIRECT (tmpfs of older kernels) is used through
 * the page cache, which is a volatile write cache like a disk's own: flushes and FUA mean the same.
 * A reservation conflict of a kernel SCSI or NVMe device arrives as EBADE.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "node/disk/claim.h"
#include "node/disk/file.h"

#define PROBE_BYTES 4096u
#define CLAIM_RETRY_US 5000u
#define CLAIM_PATIENCE_US 15000000u  /* for a dead process's writes to end; then the start fails */

/* ---- backing ---- */

/* `size:` creates a sparse file, or grows one; with `allocate` one that can be written to the end. */
static int file_grow(struct disk_backing *b, char *err, size_t err_len)
{
	_cleanup_close_ int fd = open(b->spec.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;
	int rc;

	if (fd >= 0 && fstat(fd, &st) == 0 &&
	    (!S_ISREG(st.st_mode) || (uint64_t)st.st_size >= b->spec.size || !ftruncate(fd, (off_t)b->spec.size)) &&
	    (!b->spec.allocate || !fallocate(fd, 0, 0, (off_t)b->spec.size) || errno == EOPNOTSUPP))
		return 0;
	rc = -errno;
	snprintf(err, err_len, "%s: cannot create or grow it to %llu bytes: %s", b->spec.path,
		 (unsigned long long)b->spec.size, strerror(-rc));
	return rc;
}

static int file_prepare(struct disk_backing *b, char *err, size_t err_len)
{
	struct claim *c = malloc(sizeof(*c));
	int rc = 0;

	if (!c) {
		snprintf(err, err_len, "%s: out of memory", b->spec.path);
		return -ENOMEM;
	}
	*c = (struct claim)CLAIM_INIT;
	b->shared = c;
	if (!b->spec.is_block && b->spec.size && !b->spec.read_only)
		rc = file_grow(b, err, err_len);
	if (rc)
		free(c);
	return rc;
}

static void file_unprepare(struct disk_backing *b)
{
	free(b->shared);
}

/* ---- start ---- */

static void file_open(struct file_disk *f)
{
	const struct disk_spec *spec = &f->disk.backing->spec;
	int flags = (spec->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | (f->direct ? O_DIRECT : 0);

	f->disk.holds++;
	io_uring_prep_openat(ring_sqe(f->disk.ring, &f->open_op), AT_FDCWD, spec->path, flags, 0);
}

static void file_close(struct disk *d);
static void file_probe_hole(struct file_disk *f);

static void file_start_failed(struct file_disk *f, const char *err)
{
	file_close(&f->disk);
	disk_step_end(&f->disk, DISK_NOT_READY, err);
}

/* Nothing is read or written before nobody else has anything in flight: see claim.h. */
static void file_claim(struct file_disk *f)
{
	struct disk *d = &f->disk;
	char err[400];

	if (claim_take(d->backing->shared, f->fd)) {
		if (d->ring->now_us - f->opened_us < CLAIM_PATIENCE_US) {
			ring_timer_set(d->ring, &f->claim_timer, CLAIM_RETRY_US);
			return;
		}
		snprintf(err, sizeof(err), "%s: another process uses it, or its last writes do not end", d->backing->spec.path);
		file_start_failed(f, err);
		return;
	}
	f->claimed = true;
	if (file_probe(f, err, sizeof(err)))
		file_start_failed(f, err);
	else
		file_probe_hole(f);
}

/* Whether a file's storage can be given back is not to be asked, only to be tried: behind its end, where nothing is. */
static void file_probe_hole(struct file_disk *f)
{
	struct disk *d = &f->disk;
	uint64_t end = d->geo.blocks * d->geo.block_size;

	if (f->is_block || d->geo.read_only) {
		d->geo.unmap_zeroes = true;  /* what cannot be written to is never asked to prove it */
		disk_step_end(d, DISK_OK, NULL);
		return;
	}
	d->holds++;
	end += PROBE_BYTES - end % PROBE_BYTES;
	io_uring_prep_fallocate(ring_sqe(d->ring, &f->probe_op), f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, end,
				PROBE_BYTES);
}

static void file_probed(struct ring_op *op, int res, uint32_t flags)
{
	struct file_disk *f = container_of(op, struct file_disk, probe_op);
	struct disk *d = &f->disk;

	(void)flags;
	if (d->state == DISK_STARTING) {
		d->geo.unmap_zeroes = d->geo.zeroes = res == 0;
		if (res)
			d->geo.unmap_granularity = 0;
		disk_step_end(d, DISK_OK, NULL);
	}
	disk_release(d);
}

static void file_claim_again(struct ring_timer *t)
{
	file_claim(container_of(t, struct file_disk, claim_timer));
}

static void file_opened(struct ring_op *op, int res, uint32_t flags)
{
	struct file_disk *f = container_of(op, struct file_disk, open_op);
	struct disk *d = &f->disk;
	char err[400];

	(void)flags;
	disk_release(d);
	if (d->state != DISK_STARTING) {
		if (res >= 0)
			close(res);
		return;
	}
	if (res == -EINVAL && f->direct) {
		disk_log(d, LOG_NOTICE, "%s: no O_DIRECT here: the page cache is used as write cache",
			 d->backing->spec.path);
		f->direct = false;
		file_open(f);
		return;
	}
	if (res < 0) {
		snprintf(err, sizeof(err), "%s: %s", d->backing->spec.path, strerror(-res));
		disk_step_end(d, DISK_NOT_READY, err);
		return;
	}
	f->fd = res;
	f->opened_us = d->ring->now_us;
	file_claim(f);
}

static void file_init(struct disk *d)
{
	struct file_disk *f = file_of(d);

	f->fd = -1;
	ring_timer_init(&f->claim_timer, file_claim_again);
	f->open_op.done = file_opened;
	f->probe_op.done = file_probed;
	file_look_init(f);
}

static void file_start(struct disk *d)
{
	struct file_disk *f = file_of(d);

	f->direct = true;
	file_open(f);
}

/* ---- stop: what the kernel has it finishes ---- */

static void file_close(struct disk *d)
{
	struct file_disk *f = file_of(d);

	ring_timer_cancel(&f->claim_timer);
	if (f->claimed)
		claim_drop(d->backing->shared);
	f->claimed = false;
	if (f->fd >= 0)
		close(steal_fd(&f->fd));
}

const struct disk_ops disk_file_ops = {
	.name = "file",
	.size = sizeof(struct file_disk),
	.prepare = file_prepare,
	.grow = file_grow,
	.unprepare = file_unprepare,
	.init = file_init,
	.start = file_start,
	.submit = file_submit,
	.look = file_look,
	.close = file_close,
	.fini = file_close,
};
