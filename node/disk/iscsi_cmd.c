/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iscsi_cmd.c - the commands that a LUN of an array gets, and what its answers mean; SBC-3 */
#include <string.h>

#include "node/disk/iscsi_disk.h"
#include "node/util/wire.h"

#define PIECE_DEFAULT (512u << 10)    /* bytes a command, if the array names no limit */
#define PIECE_MAX (1u << 20)

/* ---- what kind of LUN it is ---- */

/* READ CAPACITY (16), 5.16 */
size_t icmd_size(struct idisk *x)
{
	memset(x->cmd.cdb, 0, sizeof(x->cmd.cdb));
	x->cmd.cdb[0] = 0x9e;
	x->cmd.cdb[1] = 0x10;
	put_be32(x->cmd.cdb + 10, 32);
	x->cmd.cdb_len = 16;
	return 32;
}

static size_t vpd(struct idisk *x, uint8_t page, uint16_t len)
{
	memset(x->cmd.cdb, 0, sizeof(x->cmd.cdb));
	x->cmd.cdb[0] = 0x12;
	x->cmd.cdb[1] = 1;
	x->cmd.cdb[2] = page;
	put_be16(x->cmd.cdb + 3, len);
	x->cmd.cdb_len = 6;
	return len;
}

/* Block Limits, 6.6.4 */
size_t icmd_limits(struct idisk *x)
{
	return vpd(x, 0xb0, 64);
}

/* Logical Block Provisioning, 6.6.5 */
size_t icmd_provisioning(struct idisk *x)
{
	return vpd(x, 0xb2, 8);
}

const char *icmd_size_take(const struct idisk *x, struct disk_geometry *g, bool *ret_thin)
{
	const struct disk_spec *spec = &x->d.backing->spec;
	uint64_t last = get_be64(x->in);
	uint32_t bs = get_be32(x->in + 8);
	unsigned bits = x->cmd.moved >= 16 ? get_be16(x->in + 14) : 0;

	if (x->cmd.moved < 14 || (bs != 512 && bs != 4096) || last >= UINT64_MAX / bs)
		return "READ CAPACITY (16): blocks of 512 or 4096 bytes are supported";
	if (spec->block_size && spec->block_size != bs)
		return "the array's block size is not the configured one";
	*g = (struct disk_geometry){
		.blocks = last + 1, .block_size = bs, .physical_block_size = bs << (x->in[13] & 0x0f),
		.alignment = (bits & 0x3fff) * bs, .write_cache = true, .read_only = spec->read_only,
		.unmap_zeroes = (bits & 0xc000) == 0xc000, .zeroes = true,
	};
	*ret_thin = bits & 0x8000;
	return NULL;
}

static uint32_t bytes_of(const struct idisk *x, uint64_t blocks, uint32_t most)
{
	return blocks > most / x->d.geo.block_size ? most : (uint32_t)blocks * x->d.geo.block_size;
}

/* A limit of zero is none, but for UNMAP, where it is "not supported". */
void icmd_limits_take(struct idisk *x)
{
	bool there = x->cmd.status == 0 && x->cmd.moved >= 16 && x->in[1] == 0xb0;
	uint32_t most = there ? get_be32(x->in + 8) : 0;
	bool thin = there && x->cmd.moved >= 44;

	x->d.geo.optimal_io = there ? bytes_of(x, get_be32(x->in + 12), PIECE_MAX) : 0;
	x->piece_bytes = most ? bytes_of(x, most, PIECE_MAX) : PIECE_DEFAULT;
	x->unmap_bytes = thin && get_be32(x->in + 24) ? bytes_of(x, get_be32(x->in + 20), DISK_EXTENT_MAX) : 0;
	x->d.geo.unmap_granularity = bytes_of(x, thin ? MAX(get_be32(x->in + 28), 1u) : 1, 1u << 30);
	x->same_bytes = thin && get_be64(x->in + 36) ? bytes_of(x, get_be64(x->in + 36), DISK_EXTENT_MAX) : DISK_EXTENT_MAX;
	if (!x->unmap_bytes || !x->d.geo.map)
		x->d.geo.unmap_granularity = 0;
}

/* LBPU: UNMAP; LBPWS: WRITE SAME (16) with UNMAP */
void icmd_provisioning_take(struct idisk *x)
{
	unsigned how = x->cmd.status == 0 && x->cmd.moved >= 6 && x->in[1] == 0xb2 ? x->in[5] : 0;

	x->same_unmaps = how & 0x40;
	if (!(how & 0x80))
		x->d.geo.unmap_granularity = 0;
}

/* ---- I/O ---- */

uint32_t icmd_most(const struct idisk *x, const struct disk_io *io)
{
	switch (io->op) {
	case DISK_UNMAP:
		return x->unmap_bytes;
	case DISK_ZERO:
		return x->same_bytes;
	default:
		return x->piece_bytes;
	}
}

/* The part of an I/O's memory that starts at byte @from, @len bytes long. */
static unsigned cut_iov(struct iovec *to, const struct disk_io *io, uint32_t from, uint32_t len)
{
	unsigned n = 0;

	for (unsigned i = 0; i < io->n_iov && len; i++) {
		size_t have = io->iov[i].iov_len, take;

		if (from >= have) {
			from -= (uint32_t)have;
			continue;
		}
		take = MIN(have - from, (size_t)len);
		to[n++] = (struct iovec){ .iov_base = (uint8_t *)io->iov[i].iov_base + from, .iov_len = take };
		len -= (uint32_t)take;
		from = 0;
	}
	return n;
}

static void param(struct piece *p, uint32_t len)
{
	p->iov[0] = (struct iovec){ .iov_base = p->param, .iov_len = len };
	p->cmd.n_iov = 1;
	p->cmd.length = len;
}

static void moves(struct idisk *x, struct piece *p, uint32_t from, uint32_t len)
{
	(void)x;
	p->cmd.length = len;
	p->cmd.n_iov = cut_iov(p->iov, p->io, from, len);
}

/* SYNCHRONIZE CACHE (16) of everything, 5.24 */
static void flushes(struct idisk *x, struct piece *p, uint32_t from, uint32_t len)
{
	(void)x, (void)from, (void)len;
	memset(p->cmd.cdb + 2, 0, 12);
	p->cmd.length = 0;
	p->cmd.n_iov = 0;
}

/* UNMAP, 5.28: one descriptor */
static void unmaps(struct idisk *x, struct piece *p, uint32_t from, uint32_t len)
{
	uint32_t bs = x->d.geo.block_size;

	memset(p->cmd.cdb + 1, 0, 15);
	put_be16(p->cmd.cdb + 7, 24);
	p->cmd.cdb_len = 10;
	memset(p->param, 0, sizeof(p->param));
	put_be16(p->param, 22);
	put_be16(p->param + 2, 16);
	put_be64(p->param + 8, (p->io->offset + from) / bs);
	put_be32(p->param + 16, len / bs);
	param(p, 24);
}

/* WRITE SAME (16), 5.44: one block of zeroes */
static void zeroes(struct idisk *x, struct piece *p, uint32_t from, uint32_t len)
{
	static uint8_t block[4096];

	(void)from, (void)len;
	if (p->io->unmap && x->same_unmaps)
		p->cmd.cdb[1] = 0x08;
	p->iov[0] = (struct iovec){ .iov_base = block, .iov_len = x->d.geo.block_size };
	p->cmd.n_iov = 1;
	p->cmd.length = x->d.geo.block_size;
}

/* GET LBA STATUS, 5.7: one descriptor */
static void maps(struct idisk *x, struct piece *p, uint32_t from, uint32_t len)
{
	(void)x, (void)from, (void)len;
	p->cmd.cdb[1] = 0x12;
	put_be32(p->cmd.cdb + 10, 24);
	param(p, 24);
}

/* READ (16), 5.13; WRITE (16), 5.36; … */
static const struct {
	uint8_t opcode;
	enum nexus_dir dir;
	void (*rest)(struct idisk *x, struct piece *p, uint32_t from, uint32_t len);
} commands[] = {
	[DISK_READ] = { 0x88, NEXUS_IN, moves },   [DISK_WRITE] = { 0x8a, NEXUS_OUT, moves },
	[DISK_FLUSH] = { 0x91, NEXUS_NONE, flushes }, [DISK_UNMAP] = { 0x42, NEXUS_OUT, unmaps },
	[DISK_ZERO] = { 0x93, NEXUS_OUT, zeroes }, [DISK_MAP] = { 0x9e, NEXUS_IN, maps },
};

void icmd_piece(struct idisk *x, struct piece *p, uint32_t from, uint32_t len)
{
	const struct disk_io *io = p->io;
	struct nexus_cmd *c = &p->cmd;
	uint32_t bs = x->d.geo.block_size;

	memset(c->cdb, 0, sizeof(c->cdb));
	c->cdb[0] = commands[io->op].opcode;
	c->cdb[1] = io->op == DISK_WRITE && io->fua ? 0x08 : 0;
	put_be64(c->cdb + 2, (io->offset + from) / bs);
	put_be32(c->cdb + 10, len / bs);
	c->cdb_len = 16;
	c->dir = commands[io->op].dir;
	c->iov = p->iov;
	commands[io->op].rest(x, p, from, len);
}

/* ---- what an answer means ---- */

static enum disk_status sense_status(const struct nexus_cmd *c)
{
	switch (c->sense_key) {
	case 0x0: case 0x1:
		return DISK_OK;
	case 0x2: case 0x4:
		return DISK_NOT_READY;
	case 0x5:
		return c->asc == 0x20 || c->asc == 0x24 ? DISK_UNSUPPORTED : c->asc == 0x21 ? DISK_RANGE : DISK_MEDIUM;
	case 0x7:
		return c->asc == 0x27 && c->ascq == 0x07 ? DISK_NO_SPACE : DISK_READ_ONLY;
	default:
		return DISK_MEDIUM;
	}
}

enum disk_status icmd_verdict(struct idisk *x, const struct nexus_cmd *c, bool *ret_again)
{
	*ret_again = c->lost;
	if (c->lost)
		return DISK_OK;
	switch (c->status) {
	case 0x00:
		return c->moved == c->length ? DISK_OK : DISK_MEDIUM;
	case 0x18:
		return DISK_FENCED;
	case 0x08: case 0x28:           /* BUSY, TASK SET FULL */
	case 0x40:                      /* TASK ABORTED: by somebody's reset */
		*ret_again = true;
		return DISK_OK;
	case 0x02:
		if (c->sense_key == 0x6 && (c->asc == 0x29 || (c->asc == 0x2a && c->ascq >= 3 && c->ascq <= 5)))
			x->rejoin = x->d.key != 0;
		if (c->sense_key == 0x6 && c->asc == 0x38 && c->ascq == 0x07)
			disk_low_space(&x->d);
		*ret_again = c->sense_key == 0x6 || c->sense_key == 0xb || (c->sense_key == 0x2 && c->asc == 0x04);
		return *ret_again ? DISK_OK : sense_status(c);
	default:
		return DISK_MEDIUM;
	}
}

enum disk_status icmd_map_take(const struct idisk *x, const struct piece *p)
{
	const struct disk_geometry *g = &x->d.geo;
	struct disk_io *io = p->io;
	uint64_t lba = io->offset / g->block_size, from = get_be64(p->param + 8), n = get_be32(p->param + 16);

	if (p->cmd.moved < 24 || from > lba || lba - from >= n)
		return DISK_MEDIUM;
	io->mapped = (p->param[20] & 0x0f) != 1;  /* anchored ones are allocated, too */
	io->extent = MIN(n - (lba - from), g->blocks - lba) * g->block_size;
	return DISK_OK;
}
