/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registers.h - what a block may hold: each 4 KiB block is a register, checked for linearizability
 *
 * Theory of operation. Writes of one block never overlap (the client keeps a block busy until its write is
 * acknowledged, however often the write must be issued again), and each gets the next sequence number. So all
 * that real-time order allows is a range: a read that starts may return no less than the newest value that was
 * acknowledged, or returned by a finished read, before it started (the floor), and no more than the newest value
 * issued before it ends. A lost write, a stale read, a late write of a dead node, a read that goes back in time:
 * all of them leave that range.
 *
 * Each 512-byte sector carries the whole tag and is a function of it, so a sector is right or wrong by itself:
 * a block read while it is being written may be half old and half new, which SBC-3 allows.
 *
 * Context: pure; the caller serialises.
 */
#ifndef LUNWARD_TESTS_LAB_REGISTERS_H
#define LUNWARD_TESTS_LAB_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REG_BLOCK 4096u
#define REG_SECTOR 512u

struct reg {
	uint32_t issued;          /* sequence number of the newest write given out */
	uint32_t floor;           /* newest one that was acknowledged or fully read */
	uint32_t acked;           /* newest one that was acknowledged */
	bool busy;                /* a write is on its way */
};

struct reg_tag {
	uint64_t run;             /* which run of the client wrote it */
	uint32_t lun;
	uint32_t block;
	uint32_t seq;
	uint32_t session;
};

/**
 * enum reg_verdict - What is to be said of a block that was read
 *   REG_OK         within the range
 *   REG_STALE      older than what was there before the read began: a lost write or a read back in time
 *   REG_FUTURE     a sequence number nobody issued
 *   REG_FOREIGN    right by itself, but of another block, LUN or run: a misplaced write
 *   REG_CORRUPT    no tag where one must be, or the contents do not match it
 *   REG_TORN       the same, but a write was on its way during the read: no violation (no standard promises that
 *                  a sector is read as a whole then); a corruption that stays is seen by the next read
 */
enum reg_verdict { REG_OK, REG_STALE, REG_FUTURE, REG_FOREIGN, REG_CORRUPT, REG_TORN };
extern const char *const reg_verdict_names[];

/** reg_write_begin() - Give out the next sequence number; the block must not be busy */
uint32_t reg_write_begin(struct reg *r);
/** reg_write_done() - The write was acknowledged */
void reg_write_done(struct reg *r);

/** reg_fill() - Make the contents of a block (REG_BLOCK bytes) of its tag */
void reg_fill(uint8_t *block, const struct reg_tag *tag);

/**
 * reg_check() - Judge a block that was read
 * @floor:   r->floor as it was when the read was issued
 * @want:    run, LUN and block that should be there; seq and session do not matter
 * @ret_got: the first tag that explains the verdict (zero if none could be read); may be NULL
 *
 * Raises the floor when all of the block shows one newer value: a later read may not go back behind it.
 */
enum reg_verdict reg_check(struct reg *r, uint32_t floor, const struct reg_tag *want, const uint8_t *block,
			   struct reg_tag *ret_got);

#endif
