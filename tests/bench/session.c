/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c - commands out, answers in (RFC 7143 11.3 to 11.8)
 *
 * Data that is read is thrown away unseen: a conformance suite looks at it, this measures. Anything that is not the
 * expected answer ends the program.
 */
#include <stdlib.h>

#include "node/util/util.h"
#include "tests/bench/load.h"

/* xorshift32 */
static uint32_t next_random(struct session *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 17;
	s->random ^= s->random << 5;
	return s->random;
}

static uint64_t next_offset(struct session *s)
{
	uint64_t at, n = s->bytes / s->o->block;

	if (!s->o->sequential)
		return (next_random(s) % n) * s->o->block;
	at = s->next_at;
	s->next_at = (at + 2 * (uint64_t)s->o->block <= s->bytes) ? at + s->o->block : 0;
	return at;
}

static void put_cdb(struct session *s, uint8_t *cdb, bool write)
{
	uint64_t lba = next_offset(s) / s->block_size;

	cdb[0] = write ? 0x8a : 0x88;  /* WRITE(16), READ(16) */
	put_be64(cdb + 2, lba);
	put_be32(cdb + 10, s->o->block / s->block_size);
}

/* How much of a write goes out with the command; for the rest the target asks. */
static uint32_t immediate(const struct session *s)
{
	if (s->o->bare)
		return s->o->block;
	return s->immediate ? MIN(s->o->block, s->immediate_max) : 0;
}

static void command(struct session *s, unsigned k)
{
	const struct options *o = s->o;
	bool write = next_random(s) % 100 >= o->read_percent;
	uint8_t *h = pieces_add(&s->out, write ? immediate(s) : 0);

	h[O_OPCODE] = OP_SCSI_CMD;
	h[O_FLAGS] = PDU_FINAL | (write ? CMD_WRITE : CMD_READ);
	put_be64(h + O_LUN, o->lun << 48);
	put_be32(h + O_ITT, k);
	put_be32(h + O_CMD_EDTL, o->block);
	put_be32(h + O_CMDSN, s->cmdsn++);
	put_be32(h + O_EXP_STATSN, s->exp_statsn);
	put_cdb(s, h + O_CMD_CDB, write);
	pieces_seal(&s->out);
	s->slot[k] = (struct slot){ now_ns(), write };
	s->busy++;
}

void session_issue(struct session *s)
{
	for (unsigned k = 0; k < s->o->depth && s->busy < s->o->depth && !s->stopped; k++) {
		if (s->slot[k].begun_ns)
			continue;
		if (!s->o->bare && sn_before(s->max_cmdsn, s->cmdsn))
			return;
		command(s, k);
	}
}

static void finish(struct session *s, const uint8_t *h)
{
	uint32_t k = pdu_itt(h);

	if (k >= s->o->depth || !s->slot[k].begun_ns)
		die("an answer to no command: ITT 0x%x", k);
	if (h[O_STATUS] || (pdu_opcode(h) == OP_SCSI_RSP && h[O_RSP_RESPONSE]))
		die("a command failed: status 0x%02x, response 0x%02x", h[O_STATUS], h[O_RSP_RESPONSE]);
	if (s->stats)
		stats_add(s->stats, s->slot[k].write, now_ns() - s->slot[k].begun_ns);
	s->done++;
	s->slot[k].begun_ns = 0;
	s->busy--;
	if (s->o->bare || !sn_before(s->max_cmdsn, s->cmdsn)) {
		if (!s->stopped)
			command(s, k);
	}
}

static void data_out(struct session *s, const uint8_t *r2t)
{
	uint32_t at = get_be32(r2t + O_DATA_OFFSET), left = get_be32(r2t + O_R2T_LENGTH);

	for (uint32_t sn = 0; left; sn++) {
		uint32_t n = MIN(left, s->send_dsl);
		uint8_t *h = pieces_add(&s->out, n);

		left -= n;
		h[O_OPCODE] = OP_DATA_OUT;
		h[O_FLAGS] = left ? 0 : PDU_FINAL;
		memcpy(h + O_LUN, r2t + O_LUN, 8);
		memcpy(h + O_ITT, r2t + O_ITT, 4);
		memcpy(h + O_TTT, r2t + O_TTT, 4);
		put_be32(h + O_EXP_STATSN, s->exp_statsn);
		put_be32(h + O_DATASN, sn);
		put_be32(h + O_DATA_OFFSET, at);
		at += n;
		pieces_seal(&s->out);
	}
}

/* The target asks whether we are there. */
static void nop_in(struct session *s, const uint8_t *in)
{
	uint8_t *h;

	if (get_be32(in + O_TTT) == TAG_NONE)
		return;
	h = pieces_add(&s->out, 0);
	h[O_OPCODE] = OP_NOP_OUT | PDU_IMMEDIATE;
	h[O_FLAGS] = PDU_FINAL;
	memcpy(h + O_LUN, in + O_LUN, 8);
	put_be32(h + O_ITT, TAG_NONE);
	memcpy(h + O_TTT, in + O_TTT, 4);
	put_be32(h + O_CMDSN, s->cmdsn);
	put_be32(h + O_EXP_STATSN, s->exp_statsn);
	pieces_seal(&s->out);
}

static void numbers(struct session *s, const uint8_t *h, bool status)
{
	uint32_t max = get_be32(h + O_MAX_CMDSN);

	if (sn_before(s->max_cmdsn, max))
		s->max_cmdsn = max;
	if (status)
		s->exp_statsn = get_be32(h + O_STATSN) + 1;
}

static void answer(struct session *s, const uint8_t *h)
{
	uint8_t op = pdu_opcode(h);
	bool ends = op == OP_SCSI_RSP || (op == OP_DATA_IN && h[O_FLAGS] & DATA_STATUS);

	numbers(s, h, ends);
	if (ends)
		finish(s, h);
	else if (op == OP_R2T)
		data_out(s, h);
	else if (op == OP_NOP_IN)
		nop_in(s, h);
	else if (op != OP_DATA_IN)
		die("an unexpected PDU: opcode 0x%02x", op);
}

static size_t header(struct session *s, const uint8_t *p, size_t n)
{
	uint32_t need = BHS_LEN + (s->o->header_digest ? DIGEST_LEN : 0), dsl;

	n = MIN(n, (size_t)(need - s->have));
	memcpy(s->hdr + s->have, p, n);
	s->have += (uint32_t)n;
	if (s->have < need)
		return n;
	s->have = 0;
	dsl = pdu_dsl(s->hdr);
	s->skip = pdu_ahs_len(s->hdr) + dsl + pdu_pad(dsl) + (dsl && s->o->data_digest ? DIGEST_LEN : 0);
	if (!s->skip)
		answer(s, s->hdr);
	return n;
}

void session_received(struct session *s, size_t n)
{
	const uint8_t *p = s->rx_buf;

	while (n) {
		size_t used = MIN(n, s->skip);

		if (!used)
			used = header(s, p, n);
		else if (!(s->skip -= used))
			answer(s, s->hdr);  /* it counts when its data is there */
		p += used;
		n -= used;
	}
	session_issue(s);
}
