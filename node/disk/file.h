/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file.h - a block device or a file: what opening (file.c), probing (file_probe.c) and I/O (file_io.c) share */
#ifndef LUNWARD_DISK_FILE_H
#define LUNWARD_DISK_FILE_H

#include "node/disk/aside.h"
#include "node/disk/disk.h"

struct file_disk {
	struct disk disk;
	struct ring_op open_op, probe_op;
	struct ring_timer claim_timer;
	uint64_t opened_us;
	bool direct;
	bool claimed;
	bool is_block;
	int fd;
	/* file_look.c */
	struct aside_job look_job;
	bool looking;
	bool low;                    /* space, as of the last look */
	struct file_look {
		int rc;
		uint64_t bytes, allocated, free, total;
	} look;
};

static inline struct file_disk *file_of(struct disk *d)
{
	return container_of(d, struct file_disk, disk);
}

/** file_probe() - Fill the geometry from the open descriptor. Return: 0, or -errno and @err */
int file_probe(struct file_disk *f, char *err, size_t err_len);
/** file_look() - disk_ops.look */
void file_look(struct disk *d);
void file_look_init(struct file_disk *f);
/** file_submit() - disk_ops.submit. Context: the disk's reactor */
void file_submit(struct disk *d, struct disk_io *io);

#endif
