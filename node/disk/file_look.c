/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file_look.c - has it grown or shrunk, is its file system filling up?
 *
 * Asked on the thread beside the ring: fstat() and fstatvfs() of a remote file system may block.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "node/disk/file.h"

/* Low: less is left than the file may still need, and less than a tenth; over again above an eighth. */
#define LOW_DIVISOR  10u
#define HIGH_DIVISOR 8u

static void look_run(struct aside_job *j)
{
	struct file_disk *f = container_of(j, struct file_disk, look_job);
	struct file_look *l = &f->look;
	struct statvfs fs;
	struct stat st;

	*l = (struct file_look){ 0 };
	if (f->is_block) {
		l->rc = ioctl(f->fd, BLKGETSIZE64, &l->bytes) ? -errno : 0;
		return;
	}
	l->rc = fstat(f->fd, &st) ? -errno : 0;
	if (l->rc)
		return;
	l->bytes = (uint64_t)st.st_size;
	l->allocated = (uint64_t)st.st_blocks * 512;
	if (fstatvfs(f->fd, &fs))
		return;
	l->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	l->total = (uint64_t)fs.f_blocks * fs.f_frsize;
}

static void look_at_space(struct file_disk *f)
{
	const struct file_look *l = &f->look;
	uint64_t needs = l->bytes > l->allocated ? l->bytes - l->allocated : 0;

	if (l->total)
		disk_space(&f->disk, l->allocated, l->free, false);
	if (!l->total || l->free >= needs || l->free > l->total / HIGH_DIVISOR)
		f->low = false;
	else if (!f->low && l->free < l->total / LOW_DIVISOR) {
		f->low = true;
		disk_low_space(&f->disk);
	}
}

static void look_done(struct aside_job *j)
{
	struct file_disk *f = container_of(j, struct file_disk, look_job);
	struct disk *d = &f->disk;

	f->looking = false;
	if (d->state == DISK_OPEN && !f->look.rc) {
		if (f->look.bytes / d->geo.block_size != d->geo.blocks)
			disk_resized(d, f->look.bytes / d->geo.block_size);
		if (!f->is_block)
			look_at_space(f);
	}
	disk_release(d);
}

void file_look_init(struct file_disk *f)
{
	f->look_job = (struct aside_job){ .run = look_run, .done = look_done };
}

void file_look(struct disk *d)
{
	struct file_disk *f = file_of(d);

	if (f->looking || aside_submit(d->ring, &f->look_job))
		return;
	f->looking = true;
	d->holds++;
}
