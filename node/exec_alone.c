/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec_alone.c - COMPARE AND WRITE, ORWRITE, WRITE ATOMIC: nothing else touches their blocks meanwhile (gate.c)
 *
 * Their buffer has room for what comes from the initiator and, behind it, for what is on the disk: they never wait for
 * memory while others wait for them.
 */
#include <string.h>

#include "node/exec_io.h"

static uint8_t *second(const struct task *t)
{
	return t->buf + exec_second(t);
}

static void write_second(struct task *t)
{
	exec_move(t, DISK_WRITE, t->op.flags & SC_FUA, exec_start_byte(t), second(t), (uint32_t)exec_all_bytes(t), exec_good);
}

static void read_second(struct task *t, void (*step)(struct task *t))
{
	if (exec_came(t) < t->op.out_len)
		exec_short(t);
	else
		exec_move(t, DISK_READ, false, exec_start_byte(t), second(t), (uint32_t)exec_all_bytes(t), step);
}

/* SBC-3 5.2: the offset of the first byte that differs goes into INFORMATION */
static void compare_then_write(struct task *t)
{
	uint32_t n = (uint32_t)exec_all_bytes(t), at = 0;

	while (at < n && t->buf[at] == second(t)[at])
		at++;
	if (at < n) {
		exec_finish(t, SC_IO_MISCOMPARE, at);
		return;
	}
	memcpy(second(t), t->buf + n, n);
	write_second(t);
}

void exec_compare_write(struct task *t)
{
	read_second(t, compare_then_write);
}

/* SBC-3 5.8 */
static void or_then_write(struct task *t)
{
	uint32_t n = (uint32_t)exec_all_bytes(t);

	for (uint32_t i = 0; i < n; i++)
		second(t)[i] |= t->buf[i];
	write_second(t);
}

void exec_or_write(struct task *t)
{
	read_second(t, or_then_write);
}

/* SBC-4 4.27: the disk does it whole (geo.atomic); alone, so that nobody reads half of it. */
void exec_write_atomic(struct task *t)
{
	if (exec_came(t) < t->op.out_len)
		exec_short(t);
	else
		exec_move(t, DISK_WRITE, t->op.flags & SC_FUA, exec_start_byte(t), t->buf, t->op.out_len, exec_good);
}
