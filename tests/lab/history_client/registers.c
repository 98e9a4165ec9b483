/* SPDX-License-Identifier: GPL-2.0-or-later */
/* registers.c - see registers.h */
#include "tests/lab/history_client/registers.h"

#include <string.h>

#include "node/util/util.h"
#include "node/util/wire.h"

#define TAG_MAGIC 0x4c57484953544f52ull   /* "LWHISTOR" */
#define TAG_LEN 48u

const char *const reg_verdict_names[] = {
	[REG_OK] = "ok", [REG_STALE] = "stale", [REG_FUTURE] = "future", [REG_FOREIGN] = "foreign",
	[REG_CORRUPT] = "corrupt", [REG_TORN] = "torn",
};

uint32_t reg_write_begin(struct reg *r)
{
	r->busy = true;
	return ++r->issued;
}

void reg_write_done(struct reg *r)
{
	r->busy = false;
	r->acked = r->issued;
	r->floor = r->issued;
}

/* splitmix64: the checksum of a tag, and the source of the filling */
static uint64_t mix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void sector_fill(uint8_t *sector, const struct reg_tag *tag, uint32_t index)
{
	struct wr w = wr_init(sector, REG_SECTOR);
	uint64_t x;

	wr_u64(&w, TAG_MAGIC);
	wr_u64(&w, tag->run);
	wr_u32(&w, tag->lun);
	wr_u32(&w, tag->block);
	wr_u32(&w, tag->seq);
	wr_u32(&w, tag->session);
	wr_u32(&w, index);
	wr_u32(&w, 0);
	x = tag->run ^ (uint64_t)tag->lun << 48 ^ (uint64_t)tag->block << 24 ^ (uint64_t)tag->seq << 3 ^ index ^
	    (uint64_t)tag->session << 56;
	while (w.want < REG_SECTOR)
		wr_u64(&w, mix(&x));
}

void reg_fill(uint8_t *block, const struct reg_tag *tag)
{
	for (uint32_t i = 0; i < REG_BLOCK / REG_SECTOR; i++)
		sector_fill(block + i * REG_SECTOR, tag, i);
}

/* True if the sector holds what its own tag makes of it. */
static bool sector_read(const uint8_t *sector, struct reg_tag *ret, uint32_t *ret_index)
{
	uint8_t again[REG_SECTOR];
	struct rd r = rd_init(sector, TAG_LEN);

	if (rd_u64(&r) != TAG_MAGIC)
		return false;
	ret->run = rd_u64(&r);
	ret->lun = rd_u32(&r);
	ret->block = rd_u32(&r);
	ret->seq = rd_u32(&r);
	ret->session = rd_u32(&r);
	*ret_index = rd_u32(&r);
	sector_fill(again, ret, *ret_index);
	return memcmp(again, sector, REG_SECTOR) == 0;
}

static enum reg_verdict sector_check(const struct reg *r, uint32_t floor, const struct reg_tag *want,
				     uint32_t index, const uint8_t *sector, struct reg_tag *ret_got)
{
	uint32_t got_index = 0;

	*ret_got = (struct reg_tag){ 0 };
	if (!sector_read(sector, ret_got, &got_index)) {
		ret_got->seq = 0;
		if (!floor)
			return REG_OK;          /* not written in this run: may hold anything */
		return floor == r->issued ? REG_CORRUPT : REG_TORN;
	}
	if (ret_got->run != want->run) {
		ret_got->seq = 0;
		return floor ? REG_FOREIGN : REG_OK;
	}
	if (ret_got->lun != want->lun || ret_got->block != want->block || got_index != index)
		return REG_FOREIGN;
	if (ret_got->seq > r->issued)
		return REG_FUTURE;
	return ret_got->seq < floor ? REG_STALE : REG_OK;
}

enum reg_verdict reg_check(struct reg *r, uint32_t floor, const struct reg_tag *want, const uint8_t *block,
			   struct reg_tag *ret_got)
{
	uint32_t least = UINT32_MAX;
	struct reg_tag got;

	for (uint32_t i = 0; i < REG_BLOCK / REG_SECTOR; i++) {
		enum reg_verdict v = sector_check(r, floor, want, i, block + i * REG_SECTOR, &got);

		if (v != REG_OK) {
			if (ret_got)
				*ret_got = got;
			return v;
		}
		least = MIN(least, got.seq);
	}
	r->floor = MAX(r->floor, least);
	if (ret_got)
		*ret_got = got;
	return REG_OK;
}
