/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench.h - a ring and one disk on it: what a reactor does, in a test */
#ifndef TESTS_UNIT_DISK_BENCH_H
#define TESTS_UNIT_DISK_BENCH_H

#include "node/disk/disk.h"

struct bench {
	struct ring ring;
	struct disk_backing *backing;
	struct disk *disk;
	bool step_done, fenced;
	enum disk_status step;       /* of the last step */
	char text[400];              /* its error, or what fenced said */
	int n_logs;
	int n_resized, n_low, n_space;  /* events */
	uint64_t used, left;         /* of the last n_space */
	bool own;
};

/** bench_open() - Ring, backing, disk in standby. Return: false: text says why there is no backing */
bool bench_open(struct bench *b, const struct disk_spec *spec, unsigned index);
void bench_close(struct bench *b);  /* stops the disk if need be */
enum disk_status bench_start(struct bench *b, uint64_t key);
enum disk_status bench_stop(struct bench *b);
enum disk_status bench_rekey(struct bench *b, uint64_t old_key, uint64_t new_key);
void bench_turn(struct bench *b);
/** bench_extent() - An I/O that moves no data, from beginning to end. Return: it, with its results */
struct disk_io bench_extent(struct bench *b, enum disk_op op, uint64_t at, uint32_t len, bool unmap);
/** bench_look() - disk_look() until its end */
void bench_look(struct bench *b);

/** bench_io() - One I/O from beginning to end; @buf: DISK_BUF_ALIGN aligned */
enum disk_status bench_io(struct bench *b, enum disk_op op, uint64_t offset, void *buf, uint32_t len, bool fua);
void bench_submit(struct bench *b, struct disk_io *io, struct iovec *iov, enum disk_op op, uint64_t offset, void *buf,
		  uint32_t len);
static inline bool bench_is_done(const struct disk_io *io) { return !io->done; }

void *bench_buffer(size_t len);  /* aligned; free() it */

#endif
