/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec_io.h - what the disk's parts of commands share: exec_io.c, exec_space.c, exec_alone.c
 *
 * A part is one or more disk I/Os, each followed by a step; nothing is kept on the stack in between. Context: the task's
 * reactor.
 */
#ifndef LUNWARD_NODE_EXEC_IO_H
#define LUNWARD_NODE_EXEC_IO_H

#include "node/node.h"

#define SCRATCH_MAX (1u << 20)  /* verify and write same go in pieces of this size */

/** exec_move() - Read or write; @step when it ended well */
void exec_move(struct task *t, enum disk_op op, bool fua, uint64_t offset, void *buf, uint32_t len,
	       void (*step)(struct task *t));
/** exec_piece() - The next at most SCRATCH_MAX bytes, from t->pos on, between the disk and t->scratch; GOOD when none are left */
void exec_piece(struct task *t, enum disk_op op, void (*step)(struct task *t));
/** exec_extent() - An I/O that moves no data */
void exec_extent(struct task *t, enum disk_op op, bool unmap, uint64_t offset, uint32_t len,
		 void (*step)(struct task *t));
/** exec_finish() - The command ends; @at: byte of a medium error or miscompare */
void exec_finish(struct task *t, enum sc_io result, uint64_t at);
void exec_good(struct task *t);
/** exec_short() - Less data came than the command cannot do without: CHECK CONDITION */
void exec_short(struct task *t);
/** exec_scratch() - A second buffer. The task holds one already, so it must not wait. Return: false: it has ended, BUSY */
bool exec_scratch(struct task *t, size_t len);
/** exec_came() - Whole blocks of what came: the residual tells the initiator of the rest (RFC 7143 11.4.5) */
uint32_t exec_came(const struct task *t);

static inline uint64_t exec_start_byte(const struct task *t) { return t->op.lba * t->lu->sc.block_size; }
static inline uint64_t exec_all_bytes(const struct task *t) { return t->op.blocks * t->lu->sc.block_size; }
/** exec_second() - Where behind the write data the second part of the buffer begins (need_both() in exec.c) */
static inline uint32_t exec_second(const struct task *t)
{
	return (t->op.out_len + DISK_BUF_ALIGN - 1) / DISK_BUF_ALIGN * DISK_BUF_ALIGN;
}

/* exec_space.c */
void exec_write_same(struct task *t);
void exec_unmap(struct task *t);
void exec_lba_status(struct task *t);
/* exec_alone.c */
void exec_compare_write(struct task *t);
void exec_or_write(struct task *t);
void exec_write_atomic(struct task *t);

#endif
