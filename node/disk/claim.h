/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * claim.h - a file or block device is used by one process at a time, to its last write
 *
 * Theory of operation. Writes that a process handed to the kernel outlive it: one that was killed is reaped at once,
 * and its O_DIRECT writes may land seconds later, on top of what its successor has written meanwhile. A request in
 * flight holds its open file description, and so does a flock(2) on it. So every descriptor that I/O uses carries a
 * shared lock, and the first one of a process must have had it exclusively: that is granted when the last request
 * of everybody else has ended, never earlier.
 *
 * Context: a claim belongs to a backing; any reactor may call. Nothing here blocks.
 */
#ifndef LUNWARD_DISK_CLAIM_H
#define LUNWARD_DISK_CLAIM_H

#include <pthread.h>

struct claim {
	pthread_mutex_t lock;        /* opening and closing only: never on the data path */
	unsigned users;              /* descriptors of this process that carry the lock */
};

#define CLAIM_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }

/**
 * claim_take() - Lock a descriptor before its first I/O
 *
 * Return: 0; -EWOULDBLOCK: another process, or what is left of it, still uses the file: ask again soon.
 * A file system without locks has no leftovers to wait for that could be seen: 0.
 */
int claim_take(struct claim *c, int fd);

/** claim_drop() - A descriptor with the lock is about to be closed */
void claim_drop(struct claim *c);

#endif
