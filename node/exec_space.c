/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec_space.c - WRITE SAME, UNMAP, GET LBA STATUS: commands about many blocks that move little data */
#include <string.h>

#include "node/exec_io.h"

/* ---- WRITE SAME ---- */

static void write_same_step(struct task *t)
{
	exec_piece(t, DISK_WRITE, write_same_step);
}

static void write_pattern(struct task *t)
{
	uint32_t bs = t->lu->sc.block_size;
	size_t len = (size_t)MIN(exec_all_bytes(t), (uint64_t)SCRATCH_MAX);

	t->pos = 0;
	if (!exec_scratch(t, len))
		return;
	if (t->op.out_len)
		for (size_t i = 0; i < len; i += bs)
			memcpy(t->scratch + i, t->buf, bs);
	else
		memset(t->scratch, 0, len);
	write_same_step(t);
}

/* What moves no data has no FUA of its own: without a write cache (WCE 0) a flush makes it durable. */
static void settled(struct task *t)
{
	if (t->lu->sc.set.mode.write_through)
		exec_move(t, DISK_FLUSH, false, 0, NULL, 0, exec_good);
	else
		exec_good(t);
}

/* Storage is given back only where zeroes are read afterwards: SBC-3 5.43, LBPRZ. */
static void write_zeroes_step(struct task *t)
{
	uint64_t left = exec_all_bytes(t) - t->pos, at = exec_start_byte(t) + t->pos;
	uint32_t n = (uint32_t)MIN(left, (uint64_t)DISK_EXTENT_MAX);
	bool unmap = t->op.flags & SC_DEALLOCATE && t->lu->disk->geo.unmap_zeroes;

	if (!n) {
		settled(t);
		return;
	}
	t->pos += n;
	t->otherwise = write_pattern;
	exec_extent(t, DISK_ZERO, unmap, at, n, write_zeroes_step);
}

static bool all_zero(const uint8_t *p, uint32_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

void exec_write_same(struct task *t)
{
	uint32_t bs = t->lu->sc.block_size;

	if (t->op.out_len && exec_came(t) < bs)
		exec_short(t);
	else if (t->lu->disk->geo.zeroes && (!t->op.out_len || all_zero(t->buf, bs)))
		write_zeroes_step(t);
	else
		write_pattern(t);
}

/* ---- UNMAP ---- */

void exec_unmap(struct task *t)
{
	uint32_t bs = t->lu->sc.block_size, n;

	if (!t->part_blocks && !sc_unmap_next(t->buf, &t->part, &t->part_lba, &t->part_blocks)) {
		settled(t);
		return;
	}
	n = MIN(t->part_blocks, DISK_EXTENT_MAX / bs);
	exec_extent(t, DISK_UNMAP, false, t->part_lba * bs, n * bs, exec_unmap);
	t->part_lba += n;
	t->part_blocks -= n;
}

/* ---- GET LBA STATUS ---- */

static void status_step(struct task *t);

static void status_more(struct task *t, uint64_t blocks, bool mapped)
{
	if (sc_lba_status_add(&t->op, t->buf, blocks, mapped)) {
		status_step(t);
		return;
	}
	t->data = t->buf;
	t->data_len = sc_lba_status_len(&t->op, t->buf);
	exec_good(t);
}

static void status_found(struct task *t)
{
	status_more(t, t->io.extent / t->lu->sc.block_size, t->io.mapped);
}

static void status_step(struct task *t)
{
	uint32_t bs = t->lu->sc.block_size;

	exec_extent(t, DISK_MAP, false, t->op.lba * bs, bs, status_found);
}

/* Fully provisioned, or nobody knows: all of it is mapped. */
void exec_lba_status(struct task *t)
{
	memset(t->buf, 0, t->buf_len);
	if (t->lu->disk->geo.map && t->lu->sc.unmap_max) {
		status_step(t);
		return;
	}
	while (sc_lba_status_add(&t->op, t->buf, t->op.blocks, true))
		;
	t->data = t->buf;
	t->data_len = sc_lba_status_len(&t->op, t->buf);
	exec_good(t);
}
