/* SPDX-License-Identifier: GPL-2.0-or-later */
/* array.h - a SAN array for tests: lunward-target, standalone, a process of its own on loopback */
#ifndef TESTS_UNIT_NODE_ARRAY_H
#define TESTS_UNIT_NODE_ARRAY_H

#include <stdbool.h>
#include <sys/types.h>

#include "fencing/fence.h"

#define ARRAY_IQN "iqn.2026-11.org.example:array"
#define ARRAY_CLUSTER "unit"

struct array {
	char dir[64];                /* disks, state, log, configuration */
	char program[256];
	unsigned port;
	pid_t pid;                   /* 0: not running */
	struct fence_mailbox *mb;    /* array_fence() */
	struct fence_dev *dev;
	struct fence_outcome outcome;
	bool done;
};

/** array_make() - Directory, configuration with @luns file LUNs of 16 MiB, and start. Asserts that it worked. */
void array_make(struct array *a, unsigned luns);
void array_start(struct array *a);
void array_kill(struct array *a);      /* SIGKILL, and gone */
void array_signal(struct array *a, int sig);
void array_forget(struct array *a);    /* what it keeps over a restart is lost; not while it runs */
void array_unmake(struct array *a);
void array_url(const struct array *a, unsigned lun, char buf[160]);

/** array_key() - A key of the tests' cluster */
uint64_t array_key(unsigned node, uint32_t epoch);
/** array_fence() - What clusterd of @node would do to LUN 0. Return: the verdict */
enum fence_verdict array_fence(struct array *a, unsigned node, enum fence_op op, uint64_t key, uint64_t expect);

/** free_port() - A TCP port of 127.0.0.1 that nobody listens on */
unsigned free_port(void);
/** spawn_ready() - Start a program that takes --ready-fd, wait until it is ready. @log: file to append output to */
pid_t spawn_ready(char *const argv[], const char *log);

#endif
