/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file_probe.c - what a block device or a file is like: size, blocks, what it can do. Asks; changes nothing */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "node/disk/file.h"

#define FILE_BLOCK 512u

/* A number from the queue's directory in sysfs; a partition's is its disk's. No such file: 0 */
static uint64_t queue_value(dev_t dev, const char *name)
{
	unsigned long long v = 0;

	for (unsigned up = 0; up < 2; up++) {
		_cleanup_fclose_ FILE *file = NULL;
		char path[128];

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(dev), minor(dev), up ? "../" : "", name);
		file = fopen(path, "re");
		if (file)
			return fscanf(file, "%llu", &v) == 1 ? v : 0;
	}
	return 0;
}

/*
 * Storage is given back by writing zeroes in the way that the device does with discards (fallocate() with PUNCH_HOLE of a
 * block device), never by a bare discard: what is read afterwards is zero, not anything.
 */
static void probe_discard(dev_t dev, struct disk_geometry *g)
{
	uint64_t granularity = MIN(queue_value(dev, "discard_granularity"), (uint64_t)1 << 30);

	g->zeroes = true;  /* the kernel writes them where the device cannot */
	g->unmap_zeroes = true;
	if (!queue_value(dev, "discard_max_bytes") || !queue_value(dev, "write_zeroes_max_bytes"))
		return;
	g->unmap_granularity = (uint32_t)MAX(granularity, (uint64_t)FILE_BLOCK);
}

static int probe_block(int fd, dev_t dev, struct disk_geometry *g, uint64_t *bytes, uint32_t *align)
{
	unsigned int phys = 0, opt = 0;
	int logical = 0, ro = 0, shift = 0;

	if (ioctl(fd, BLKGETSIZE64, bytes) || ioctl(fd, BLKSSZGET, &logical))
		return -errno;
	if (ioctl(fd, BLKPBSZGET, &phys) == 0)
		g->physical_block_size = phys;
	if (ioctl(fd, BLKIOOPT, &opt) == 0)
		g->optimal_io = opt;
	if (ioctl(fd, BLKALIGNOFF, &shift) == 0 && shift > 0)
		g->alignment = (uint32_t)shift;
	if (ioctl(fd, BLKROGET, &ro) == 0 && ro)
		g->read_only = true;
	probe_discard(dev, g);
	*align = (uint32_t)logical;
	return 0;
}

static int probe_file(struct file_disk *f, struct disk_geometry *g, uint64_t *bytes, uint32_t *align)
{
	struct statx stx;

	if (statx(f->fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_DIOALIGN, &stx))
		return -errno;
	*bytes = stx.stx_size;
	g->physical_block_size = stx.stx_blksize > 4096 ? 4096 : stx.stx_blksize;
	g->unmap_granularity = g->physical_block_size;
	g->map = true;
	g->space = true;
	*align = 1;
	if (f->direct && (stx.stx_mask & STATX_DIOALIGN) && stx.stx_dio_offset_align)
		*align = stx.stx_dio_offset_align;
	return 0;
}

int file_probe(struct file_disk *f, char *err, size_t err_len)
{
	const struct disk_spec *spec = &f->disk.backing->spec;
	struct disk_geometry g = { .write_cache = true, .read_only = spec->read_only };
	uint64_t bytes = 0;
	uint32_t align = 1;
	struct stat st;
	int rc = fstat(f->fd, &st) ? -errno : 0;

	if (!rc && spec->is_block && !S_ISBLK(st.st_mode)) {
		snprintf(err, err_len, "%s: not a block device: use file:", spec->path);
		return -ENOTBLK;
	}
	f->is_block = !rc && S_ISBLK(st.st_mode);
	if (!rc)
		rc = f->is_block ? probe_block(f->fd, st.st_rdev, &g, &bytes, &align) : probe_file(f, &g, &bytes, &align);
	if (rc) {
		snprintf(err, err_len, "%s: cannot read its size: %s", spec->path, strerror(-rc));
		return rc;
	}
	g.block_size = spec->block_size ? spec->block_size : MAX(align, FILE_BLOCK);
	g.physical_block_size = MAX(g.physical_block_size, g.block_size);
	g.blocks = bytes / g.block_size;
	if (g.block_size % align) {
		snprintf(err, err_len, "%s: block-size %u is below what the device takes (%u): set block-size: %u",
			 spec->path, g.block_size, align, align);
		return -EINVAL;
	}
	if (!g.blocks) {
		snprintf(err, err_len, "%s: smaller than one block of %u bytes", spec->path, g.block_size);
		return -EINVAL;
	}
	f->disk.geo = g;
	return 0;
}
