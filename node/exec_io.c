/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec_io.c - the disk's part of a command: one or more disk I/Os, each followed by t->step
 *
 * Nothing new is started for a task that nobody waits for any more: an aborted write that has not reached the disk
 * never will.
 */
#include <string.h>
#include <syslog.h>

#include "node/exec_io.h"

static const enum sc_io io_results[] = {
	[DISK_OK] = SC_IO_OK,
	[DISK_MEDIUM] = SC_IO_MEDIUM,
	[DISK_NOT_READY] = SC_IO_NOT_READY,
	[DISK_NO_SPACE] = SC_IO_NO_SPACE,
	[DISK_RANGE] = SC_IO_RANGE,
	[DISK_READ_ONLY] = SC_IO_PROTECTED,
	[DISK_FENCED] = SC_IO_NOT_READY,
	[DISK_ABORTED] = SC_IO_BUSY,
	[DISK_UNSUPPORTED] = SC_IO_HARDWARE,
};
_Static_assert(ARRAY_SIZE(io_results) == DISK_UNSUPPORTED + 1, "a result for each status");

void exec_finish(struct task *t, enum sc_io result, uint64_t at)
{
	struct sc_ctx ctx = task_ctx(t);

	sc_op_io_done(&ctx, &t->op, result, at);
	exec_done(t);
}

static void failed(struct task *t, enum disk_status s)
{
	struct sc_ctx ctx = task_ctx(t);

	if (s == DISK_ABORTED) {  /* we are giving the group up: whether it was done is the next owner's to say */
		(void)isc_task_abort(&t->isc);
		exec_drop(t);
		return;
	}
	sc_op_io_done(&ctx, &t->op, io_results[s], t->pos);
	if (s == DISK_FENCED && !t->r->ctl->cluster)  /* somebody else's reservation on the disk below: pass it on */
		t->op.status = SC_RESERVATION_CONFLICT;
	exec_done(t);
}

static void io_done(struct disk_io *io)
{
	struct task *t = container_of(io, struct task, io);

	if (task_dead(t))
		exec_drop(t);
	else if (io->status == DISK_UNSUPPORTED && t->otherwise)
		t->otherwise(t);
	else if (io->status != DISK_OK)
		failed(t, io->status);
	else
		t->step(t);
}

static void submit(struct task *t, struct disk_io io, void (*step)(struct task *t))
{
	t->step = step;
	t->io = io;
	t->io.fua = io.fua || t->lu->sc.set.mode.write_through;  /* of a write */
	t->io.done = io_done;
	disk_submit(t->lu->disk, &t->io);
}

void exec_move(struct task *t, enum disk_op op, bool fua, uint64_t offset, void *buf, uint32_t len,
	       void (*step)(struct task *t))
{
	t->iov = (struct iovec){ buf, len };
	submit(t, (struct disk_io){ .op = op, .fua = fua, .offset = offset, .length = len, .iov = &t->iov,
				    .n_iov = len ? 1 : 0 }, step);
}

void exec_extent(struct task *t, enum disk_op op, bool unmap, uint64_t offset, uint32_t len,
		 void (*step)(struct task *t))
{
	submit(t, (struct disk_io){ .op = op, .unmap = unmap, .offset = offset, .length = len }, step);
}

void exec_short(struct task *t)
{
	sc_op_fail(&t->op, sc_sense_make(SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH));
	exec_done(t);
}

bool exec_scratch(struct task *t, size_t len)
{
	if (!t->scratch)
		t->scratch = buf_get(&t->r->arena, len);
	if (!t->scratch)
		exec_finish(t, SC_IO_BUSY, 0);
	return t->scratch;
}

void exec_good(struct task *t)
{
	exec_finish(t, SC_IO_OK, 0);
}

/* ---- READ ---- */

static void read_done(struct task *t)
{
	t->data = t->buf;
	t->data_len = t->op.in_len;
	exec_good(t);
}

static void read_now(struct task *t)
{
	if (t->buf_len)
		exec_move(t, DISK_READ, false, exec_start_byte(t), t->buf, t->buf_len, read_done);
	else
		read_done(t);
}

/* FUA: what is read has to be on the medium (SBC-3 5.10). */
static void start_read(struct task *t)
{
	if (t->op.flags & SC_FUA)
		exec_move(t, DISK_FLUSH, false, 0, NULL, 0, read_now);
	else
		read_now(t);
}

/* ---- WRITE ---- */

uint32_t exec_came(const struct task *t)
{
	uint32_t n = MIN(t->isc.received, t->op.out_len);

	return n - n % t->lu->sc.block_size;
}

static void start_write(struct task *t)
{
	uint32_t n = exec_came(t);

	if (n)
		exec_move(t, DISK_WRITE, t->op.flags & SC_FUA, exec_start_byte(t), t->buf, n, exec_good);
	else
		exec_good(t);
}

/* ---- VERIFY without data ---- */

void exec_piece(struct task *t, enum disk_op op, void (*step)(struct task *t))
{
	uint64_t left = exec_all_bytes(t) - t->pos, at = exec_start_byte(t) + t->pos;
	uint32_t n = (uint32_t)MIN(left, (uint64_t)SCRATCH_MAX);

	if (!n) {
		exec_good(t);
		return;
	}
	t->pos += n;
	exec_move(t, op, false, at, t->scratch, n, step);
}

static void verify_step(struct task *t)
{
	exec_piece(t, DISK_READ, verify_step);
}

static void start_verify(struct task *t)
{
	if (exec_scratch(t, (size_t)MIN(exec_all_bytes(t), (uint64_t)SCRATCH_MAX)))
		verify_step(t);
}

/* ---- COMPARE, WRITE AND VERIFY ---- */

static void compare(struct task *t)
{
	uint32_t n = exec_came(t), at = 0;

	while (at < n && t->buf[at] == t->scratch[at])
		at++;
	if (at < n)
		exec_finish(t, SC_IO_MISCOMPARE, at);
	else
		exec_good(t);
}

static void read_back(struct task *t, void (*step)(struct task *t))
{
	uint32_t n = exec_came(t);

	if (!n)
		exec_good(t);
	else if (exec_scratch(t, n))
		exec_move(t, DISK_READ, false, exec_start_byte(t), t->scratch, n, step);
}

/* BYTCHK 11b: each block with the one that came. @t->pos is where the next piece begins. */
static void compare_each(struct task *t)
{
	uint32_t bs = t->lu->sc.block_size, n = t->io.length, at = 0;

	while (at < n && t->scratch[at] == t->buf[at % bs])
		at++;
	if (at < n)
		exec_finish(t, SC_IO_MISCOMPARE, t->pos - n + at);
	else
		exec_piece(t, DISK_READ, compare_each);
}

static void start_compare(struct task *t)
{
	if (!(t->op.flags & SC_ONE_BLOCK))
		read_back(t, compare);
	else if (exec_came(t) < t->lu->sc.block_size)
		exec_short(t);
	else if (exec_scratch(t, (size_t)MIN(exec_all_bytes(t), (uint64_t)SCRATCH_MAX)))
		exec_piece(t, DISK_READ, compare_each);
}

static void verify_written(struct task *t)
{
	read_back(t, t->op.flags & SC_BYTCHK ? compare : exec_good);
}

static void start_write_verify(struct task *t)
{
	uint32_t n = exec_came(t);

	if (n)
		exec_move(t, DISK_WRITE, true, exec_start_byte(t), t->buf, n, verify_written);
	else
		exec_good(t);
}

/* ---- SYNCHRONIZE CACHE: all of the disk. IMMED only allows an early answer (SBC-3 5.26). ---- */

static void flushed(struct task *t)
{
	if (t->op.control)
		exec_control(t);  /* START STOP UNIT */
	else
		exec_good(t);
}

static void start_flush(struct task *t)
{
	exec_move(t, DISK_FLUSH, false, 0, NULL, 0, flushed);
}

static void (*const starts[])(struct task *t) = {
	[SC_OP_READ] = start_read,
	[SC_OP_WRITE] = start_write,
	[SC_OP_WRITE_SAME] = exec_write_same,
	[SC_OP_VERIFY] = start_verify,
	[SC_OP_COMPARE] = start_compare,
	[SC_OP_WRITE_VERIFY] = start_write_verify,
	[SC_OP_FLUSH] = start_flush,
	[SC_OP_UNMAP] = exec_unmap,
	[SC_OP_LBA_STATUS] = exec_lba_status,
	[SC_OP_COMPARE_WRITE] = exec_compare_write,
	[SC_OP_OR_WRITE] = exec_or_write,
	[SC_OP_WRITE_ATOMIC] = exec_write_atomic,
};

void exec_io_start(struct task *t)
{
	if (task_dead(t))
		exec_drop(t);
	else if (gate_enter(t))
		starts[t->op.kind](t);
}
