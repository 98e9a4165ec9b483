/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * util.h - scope cleanup, checked arithmetic, small helpers used by all parts
 */
#ifndef LUNWARD_UTIL_UTIL_H
#define LUNWARD_UTIL_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Checked arithmetic for every length and LBA: true when the result does not fit. */
#define add_overflow(a, b, r) __builtin_add_overflow((a), (b), (r))
#define mul_overflow(a, b, r) __builtin_mul_overflow((a), (b), (r))

/* Scope cleanup: `_cleanup_free_ char *s = strdup(x);`, `_cleanup_close_ int fd = open(…);` */
static inline void cleanup_freep(void *p) { free(*(void **)p); }
static inline void cleanup_closep(int *fd) { if (*fd >= 0) close(*fd); }
static inline void cleanup_fclosep(FILE **f) { if (*f) fclose(*f); }
#define _cleanup_free_ __attribute__((cleanup(cleanup_freep)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_closep)))
#define _cleanup_fclose_ __attribute__((cleanup(cleanup_fclosep)))

/** steal_ptr(), steal_fd() - Hand a value out of its cleanup scope */
#define steal_ptr(p) ({ __typeof__(p) p_ = (p); (p) = NULL; p_; })
static inline int steal_fd(int *fd) { int r = *fd; *fd = -1; return r; }

#endif
