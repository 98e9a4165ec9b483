/* SPDX-License-Identifier: GPL-2.0-or-later */
/* load.c - reads and writes, judged on completion; the final read-back of everything that was acknowledged */
#include <stdio.h>
#include <string.h>

#include "tests/lab/history_client/history.h"

#define RETRY_US 2000u            /* after a unit attention or BUSY */
#define ERROR_RETRY_US 100000u
#define FIND_TRIES 16u

static struct { unsigned lun; uint32_t block; uint64_t left; } verify;

static uint64_t rnd(void)
{
	uint64_t x = client.rng;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return client.rng = x;
}

void load_init(struct session *s)
{
	uint8_t *buf;

	s->io = calloc(client.o.depth, sizeof(*s->io) + MAX_IO_BLOCKS * REG_BLOCK);
	if (!s->io)
		exit(2);
	buf = (uint8_t *)(s->io + client.o.depth);
	for (unsigned i = 0; i < client.o.depth; i++)
		s->io[i].buf = buf + (size_t)i * MAX_IO_BLOCKS * REG_BLOCK;
}

static struct reg *regs(const struct io *io)
{
	return client.lun[io->lun].reg + io->block;
}

static struct reg_tag tag_of(const struct io *io, const struct session *s, uint32_t i)
{
	return (struct reg_tag){ .run = client.run, .lun = client.lun[io->lun].number, .block = io->block + i,
				 .seq = io->seq[i], .session = s->index };
}

static void judge_read(struct session *s, struct io *io)
{
	for (uint32_t i = 0; i < io->n; i++) {
		struct reg_tag want = tag_of(io, s, i), got;
		struct reg *r = regs(io) + i;
		enum reg_verdict v = reg_check(r, io->seq[i], &want, io->buf + (size_t)i * REG_BLOCK, &got);

		counters.torn += v == REG_TORN;
		if (v != REG_OK && v != REG_TORN)
			violation(client.verifying && v == REG_STALE ? "lost-write" : reg_verdict_names[v], s,
				  "\"lun\": %u, \"block\": %u, \"floor\": %u, \"issued\": %u, \"acked\": %u, "
				  "\"got_seq\": %u, \"got_session\": %u, \"got_lun\": %u, \"got_block\": %u",
				  want.lun, want.block, io->seq[i], r->issued, r->acked, got.seq, got.session, got.lun,
				  got.block);
		if (client.verifying)
			counters.verified_blocks++;
	}
}

static void io_done(struct cmd *c, enum outcome out)
{
	struct io *io = container_of(c, struct io, cmd);
	struct session *s = c->s;

	if (out == OUT_CONFLICT)
		violation("conflict", s, "\"op\": \"%s\"", io->write ? "write" : "read");
	if (out != OUT_GOOD) {
		counters.reissued++;
		io->retry_us = out == OUT_LOST ? 0 : client.now_us + (out == OUT_AGAIN ? RETRY_US : ERROR_RETRY_US);
		return;                 /* a write stays what it is: "maybe", until it is acknowledged */
	}
	if (!io->write)
		judge_read(s, io);
	for (uint32_t i = 0; io->write && i < io->n; i++)
		reg_write_done(regs(io) + i);
	if (client.verifying)
		verify.left -= io->n;
	io->used = false;
	report_done(s, io->write);
}

static void issue(struct session *s, struct io *io)
{
	struct lun *l = &client.lun[io->lun];
	uint64_t lba = (uint64_t)io->block * (REG_BLOCK / l->block_size);
	uint32_t len = io->n * REG_BLOCK;
	struct scsi_task *task;

	io->cmd.done = io_done;
	io->cmd.iov = (struct scsi_iovec){ .iov_base = io->buf, .iov_len = len };
	if (io->write) {
		task = iscsi_write16_iov_task(s->iscsi, (int)l->number, lba, NULL, len, (int)l->block_size, 0, 0,
					      client.o.fua, 0, 0, cmd_cb, &io->cmd, &io->cmd.iov, 1);
	} else {
		for (uint32_t i = 0; i < io->n; i++)     /* a read that is issued again starts anew */
			io->seq[i] = regs(io)[i].floor;
		memset(io->buf, 0xee, len);
		task = iscsi_read16_iov_task(s->iscsi, (int)l->number, lba, len, (int)l->block_size, 0, 0, 0, 0, 0,
					     cmd_cb, &io->cmd, &io->cmd.iov, 1);
	}
	cmd_issued(s, &io->cmd, task);
}

static bool any_busy(const struct io *io)
{
	for (uint32_t i = 0; i < io->n; i++)
		if (regs(io)[i].busy)
			return true;
	return false;
}

static bool make_io(struct session *s, struct io *io)
{
	io->write = rnd() % 100 >= client.o.read_percent;
	io->n = 1 + (uint32_t)(rnd() % client.o.io_blocks);
	for (unsigned t = 0; t < FIND_TRIES; t++) {
		io->lun = (unsigned)(rnd() % client.o.n_luns);
		io->block = (uint32_t)(rnd() % (client.o.region - io->n + 1));
		if (io->write && any_busy(io))
			continue;
		for (uint32_t i = 0; io->write && i < io->n; i++) {
			struct reg_tag tag;

			io->seq[i] = reg_write_begin(regs(io) + i);
			tag = tag_of(io, s, i);
			reg_fill(io->buf + (size_t)i * REG_BLOCK, &tag);
		}
		return true;
	}
	return false;
}

/* The next piece of the final read-back. */
static bool make_verify(struct io *io)
{
	if (verify.lun >= client.o.n_luns)
		return false;
	io->write = false;
	io->lun = verify.lun;
	io->block = verify.block;
	io->n = MIN((uint32_t)MAX_IO_BLOCKS, client.o.region - verify.block);
	verify.block += io->n;
	if (verify.block == client.o.region) {
		verify.block = 0;
		verify.lun++;
	}
	return true;
}

static bool may_start(struct session *s)
{
	if (client.verifying)
		return true;
	if (client.draining || client.now_us < s->due_us)
		return false;
	if (client.o.rate)
		s->due_us = MAX(s->due_us + 1000000 / client.o.rate, client.now_us - 100000);
	return true;
}

/** load_tick() - Issue again what was lost, then what is new; Context: only while the session is ready */
void load_tick(struct session *s)
{
	for (unsigned i = 0; i < client.o.depth && !s->lost; i++) {
		struct io *io = &s->io[i];

		if (io->cmd.task || (io->used && client.now_us < io->retry_us))
			continue;
		if (!io->used) {
			if (!may_start(s))
				continue;
			io->used = client.verifying ? make_verify(io) : make_io(s, io);
			io->retry_us = 0;
		}
		if (io->used)
			issue(s, io);
	}
}

bool load_idle(const struct session *s)
{
	for (unsigned i = 0; i < client.o.depth; i++)
		if (s->io[i].used)
			return false;
	return true;
}

void load_start_verify(void)
{
	verify.left = (uint64_t)client.o.n_luns * client.o.region;
	client.verifying = true;
}

bool load_verified(void)
{
	return client.verifying && verify.left == 0;
}
