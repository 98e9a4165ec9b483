/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aside.h - a thread beside a ring for system calls that may block and that io_uring does not have
 *
 * Rare ones only: where a file has data, how full its file system is. One thread a ring, begun with the first job; jobs
 * run one after the other.
 */
#ifndef LUNWARD_DISK_ASIDE_H
#define LUNWARD_DISK_ASIDE_H

#include "node/disk/ring.h"

/* Embedded in what it is about; lives until @done was called. */
struct aside_job {
	struct list link;
	void (*run)(struct aside_job *j);   /* on the thread: must not touch what the ring's thread uses */
	void (*done)(struct aside_job *j);  /* on the ring's thread, never from within aside_submit() */
};

/** aside_submit() - Have a job run. Return: 0, or -errno: there is no thread, and @j->done will not be called */
int aside_submit(struct ring *r, struct aside_job *j);

/** aside_free() - No job may be under way. Called by ring_free() */
void aside_free(struct ring *r);

#endif
