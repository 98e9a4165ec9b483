/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prcmd.c - PERSISTENT RESERVE IN and OUT: one table, two directions
 */
#include "fencing/prcmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fencing/private.h"
#include "node/util/util.h"
#include "node/util/wire.h"

#define OPCODE_PR_IN 0x5e
#define OPCODE_PR_OUT 0x5f
#define SA_MASK 0x1f
#define SCOPE_LU 0  /* the only scope SPC-4 knows */

#define RESERVATION_LEN 24u  /* header and one descriptor, SPC-4 6.15.3 */
#define CAPABILITIES_LEN 8u

#define BYTE5_APTPL 0x01     /* of the basic parameter list, byte 20 */

static const struct {
	const char *name;
	uint8_t opcode, sa;
	uint16_t in_len;
} cmds[] = {
	[FENCE_CMD_NONE] = { "command", 0, 0, 0 },
	[FENCE_CMD_READ_KEYS] = { "READ KEYS", OPCODE_PR_IN, 0, FENCE_IN_MAX },
	[FENCE_CMD_READ_RESERVATION] = { "READ RESERVATION", OPCODE_PR_IN, 1, RESERVATION_LEN },
	[FENCE_CMD_REPORT_CAPABILITIES] = { "REPORT CAPABILITIES", OPCODE_PR_IN, 2, CAPABILITIES_LEN },
	[FENCE_CMD_READ_FULL_STATUS] = { "READ FULL STATUS", OPCODE_PR_IN, 3, FENCE_IN_MAX },
	[FENCE_CMD_REGISTER] = { "REGISTER", OPCODE_PR_OUT, 0, 0 },
	[FENCE_CMD_RESERVE] = { "RESERVE", OPCODE_PR_OUT, 1, 0 },
	[FENCE_CMD_RELEASE] = { "RELEASE", OPCODE_PR_OUT, 2, 0 },
	[FENCE_CMD_CLEAR] = { "CLEAR", OPCODE_PR_OUT, 3, 0 },
	[FENCE_CMD_PREEMPT] = { "PREEMPT", OPCODE_PR_OUT, 4, 0 },
	[FENCE_CMD_PREEMPT_AND_ABORT] = { "PREEMPT AND ABORT", OPCODE_PR_OUT, 5, 0 },
	[FENCE_CMD_REGISTER_AND_IGNORE] = { "REGISTER AND IGNORE EXISTING KEY", OPCODE_PR_OUT, 6, 0 },
};
_Static_assert(ARRAY_SIZE(cmds) == FENCE_CMD__MAX, "one row a command");

const char *fence_cmd_name(enum fence_cmd_op op)
{
	return (unsigned int)op < FENCE_CMD__MAX ? cmds[op].name : "?";
}

bool fence_cmd_is_out(enum fence_cmd_op op)
{
	return (unsigned int)op < FENCE_CMD__MAX && cmds[op].opcode == OPCODE_PR_OUT;
}

size_t fence_cmd_in_len(const struct fence_cmd *cmd)
{
	return (unsigned int)cmd->op < FENCE_CMD__MAX ? cmds[cmd->op].in_len : 0;
}

/* SPC-4 6.16.3 */
static void encode_out(const struct fence_cmd *cmd, struct wr *w)
{
	wr_u64(w, cmd->key);
	wr_u64(w, cmd->sakey);
	wr_u32(w, 0);  /* obsolete */
	wr_u8(w, cmd->aptpl ? BYTE5_APTPL : 0);
	wr_zero(w, 3);
}

int fence_cmd_encode(const struct fence_cmd *cmd, uint8_t ret_cdb[static FENCE_CDB_LEN],
		     uint8_t ret_out[static FENCE_OUT_LEN])
{
	struct wr cdb = wr_init(ret_cdb, FENCE_CDB_LEN), out = wr_init(ret_out, FENCE_OUT_LEN);
	bool is_out = fence_cmd_is_out(cmd->op);

	if (cmd->op <= FENCE_CMD_NONE || cmd->op >= FENCE_CMD__MAX)
		return -EINVAL;
	wr_u8(&cdb, cmds[cmd->op].opcode);
	wr_u8(&cdb, cmds[cmd->op].sa);
	wr_u8(&cdb, is_out ? SCOPE_LU << 4 | (cmd->type & 0xf) : 0);
	wr_zero(&cdb, 2);
	if (is_out) {
		wr_u32(&cdb, FENCE_OUT_LEN);
		encode_out(cmd, &out);
	} else {
		wr_zero(&cdb, 2);
		wr_u16(&cdb, cmds[cmd->op].in_len);
	}
	wr_u8(&cdb, 0);
	return is_out ? (int)FENCE_OUT_LEN : 0;
}

/* ---- data-in ---- */

/* SPC-4 6.15.2. Keys beyond what was transferred or fits are counted as truncated. */
static bool parse_keys(struct rd *r, struct fence_result *res)
{
	size_t n, room;

	res->generation = rd_u32(r);
	n = rd_u32(r) / 8u;
	if (r->bad)
		return false;
	room = MIN(rd_left(r) / 8, (size_t)FENCE_KEYS_MAX);
	res->truncated = n > room;
	n = MIN(n, room);
	for (size_t i = 0; i < n; i++)
		res->keys[i] = rd_u64(r);
	res->n_keys = (unsigned int)n;
	return true;
}

/* SPC-4 6.15.3: no descriptor means no reservation */
static bool parse_reservation(struct rd *r, struct fence_result *res)
{
	uint32_t len;

	res->generation = rd_u32(r);
	len = rd_u32(r);
	if (r->bad)
		return false;
	if (len == 0)
		return true;
	res->holder = rd_u64(r);
	rd_skip(r, 5);
	res->type = rd_u8(r) & 0xf;
	return !r->bad && res->type != 0;
}

/* SPC-4 6.15.4. Bits 1, 3, 5, 6 and 7 of byte 4 are the types of these numbers; bit 0 of byte 5 is type 8. */
static bool parse_caps(struct rd *r, struct fence_result *res)
{
	uint16_t len = rd_u16(r);
	uint8_t b2 = rd_u8(r), b3 = rd_u8(r);

	res->caps = (struct fence_caps){
		.crh = b2 & 0x10, .sip_c = b2 & 0x08, .atp_c = b2 & 0x04, .ptpl_c = b2 & 0x01,
		.tmv = b3 & 0x80, .allow_commands = b3 >> 4 & 7, .ptpl_a = b3 & 0x01,
	};
	res->caps.types = rd_u8(r) & 0xea;
	res->caps.types |= (uint16_t)((rd_u8(r) & 1) << FENCE_TYPE_EA_AR);
	return !r->bad && len >= 6;
}

/* A TransportID, SPC-4 7.6.4: iSCSI names as they are, any other protocol in hex */
static void parse_transport_id(const uint8_t *id, size_t len, char *out, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	if (len >= 4 && (id[0] & 0xf) == 5) {
		for (size_t i = 4; i < len && id[i] && n + 1 < size; i++)
			out[n++] = id[i] >= 0x20 && id[i] < 0x7f ? (char)id[i] : '?';
	} else {
		for (size_t i = 0; i < len && n + 2 < size; i++) {
			out[n++] = hex[id[i] >> 4];
			out[n++] = hex[id[i] & 0xf];
		}
	}
	out[n] = '\0';
}

/* SPC-4 6.15.5 */
static bool parse_full(struct rd *r, struct fence_result *res)
{
	uint32_t len;
	struct rd d;

	res->generation = rd_u32(r);
	len = rd_u32(r);
	if (r->bad)
		return false;
	res->truncated = len > rd_left(r);
	d = rd_init(r->p, MIN((size_t)len, rd_left(r)));
	while (rd_left(&d) > 0 && res->full) {
		struct fence_full f = { .key = rd_u64(&d) };
		const uint8_t *id;
		uint32_t id_len;
		uint8_t flags;

		rd_skip(&d, 4);
		flags = rd_u8(&d);
		f.all_tg_pt = flags & 0x02;
		f.holder = flags & 0x01;
		f.type = f.holder ? rd_u8(&d) & 0xf : rd_u8(&d) & 0;
		rd_skip(&d, 4);
		f.rtpi = rd_u16(&d);
		id_len = rd_u32(&d);
		id = rd_bytes(&d, id_len);
		if (!id || res->n_full == FENCE_FULL_MAX) {
			res->truncated = true;
			break;
		}
		parse_transport_id(id, id_len, f.initiator, sizeof(f.initiator));
		res->full[res->n_full++] = f;
	}
	return true;
}

bool fence_parse_in(struct fence_result *res, const void *data, size_t len)
{
	static bool (*const parse[FENCE_CMD__MAX])(struct rd *, struct fence_result *) = {
		[FENCE_CMD_READ_KEYS] = parse_keys,
		[FENCE_CMD_READ_RESERVATION] = parse_reservation,
		[FENCE_CMD_REPORT_CAPABILITIES] = parse_caps,
		[FENCE_CMD_READ_FULL_STATUS] = parse_full,
	};
	struct rd r = rd_init(data, len);

	return !parse[res->op] || parse[res->op](&r, res);
}

/* ---- the device's side ---- */

static enum fence_cmd_op find_cmd(uint8_t opcode, uint8_t sa)
{
	for (unsigned int op = FENCE_CMD_NONE + 1; op < FENCE_CMD__MAX; op++)
		if (cmds[op].opcode == opcode && cmds[op].sa == sa)
			return op;
	return FENCE_CMD_NONE;
}

int fence_cmd_decode(struct fence_cmd *ret_cmd, const void *cdb, size_t cdb_len, const void *out, size_t out_len)
{
	struct rd c = rd_init(cdb, cdb_len), o = rd_init(out, out_len);
	struct fence_cmd cmd = { 0 };
	uint8_t opcode = rd_u8(&c), scope_type;

	cmd.op = find_cmd(opcode, rd_u8(&c) & SA_MASK);
	scope_type = rd_u8(&c);
	rd_skip(&c, FENCE_CDB_LEN - 3);
	if (c.bad || cmd.op == FENCE_CMD_NONE)
		return -EINVAL;
	if (fence_cmd_is_out(cmd.op)) {
		cmd.type = scope_type & 0xf;
		cmd.key = rd_u64(&o);
		cmd.sakey = rd_u64(&o);
		rd_skip(&o, 4);
		cmd.aptpl = rd_u8(&o) & BYTE5_APTPL;
		rd_skip(&o, 3);
		if (o.bad || scope_type >> 4 != SCOPE_LU)
			return -EINVAL;
	}
	*ret_cmd = cmd;
	return 0;
}

static void encode_full(const struct fence_result *res, struct wr *w)
{
	size_t len = 0;

	for (unsigned int i = 0; i < res->n_full; i++)
		len += 24 + 4 + ((strlen(res->full[i].initiator) + 4) & ~(size_t)3);
	wr_u32(w, res->generation);
	wr_u32(w, (uint32_t)len);
	for (unsigned int i = 0; i < res->n_full; i++) {
		const struct fence_full *f = &res->full[i];
		size_t name = strlen(f->initiator), padded = (name + 4) & ~(size_t)3;

		wr_u64(w, f->key);
		wr_u32(w, 0);
		wr_u8(w, (uint8_t)(f->all_tg_pt << 1 | f->holder));
		wr_u8(w, f->type);
		wr_u32(w, 0);
		wr_u16(w, f->rtpi);
		wr_u32(w, (uint32_t)(4 + padded));
		wr_u8(w, strstr(f->initiator, ",i,0x") ? 0x45 : 0x05);
		wr_u8(w, 0);
		wr_u16(w, (uint16_t)padded);
		wr_bytes(w, f->initiator, name);
		wr_zero(w, padded - name);
	}
}

static void encode_caps(const struct fence_caps *c, struct wr *w)
{
	wr_u16(w, CAPABILITIES_LEN);
	wr_u8(w, (uint8_t)(c->crh << 4 | c->sip_c << 3 | c->atp_c << 2 | c->ptpl_c));
	wr_u8(w, (uint8_t)(c->tmv << 7 | (c->allow_commands & 7) << 4 | c->ptpl_a));
	wr_u8(w, (uint8_t)(c->types & 0xff));
	wr_u8(w, (uint8_t)(c->types >> FENCE_TYPE_EA_AR & 1));
	wr_zero(w, 2);
}

size_t fence_result_encode(const struct fence_result *res, void *buf, size_t len)
{
	uint8_t full[FENCE_IN_MAX + FENCE_FULL_MAX * 256];
	struct wr w = wr_init(full, sizeof(full));
	size_t n;

	if (res->op == FENCE_CMD_READ_KEYS) {
		wr_u32(&w, res->generation);
		wr_u32(&w, res->n_keys * 8);
		for (unsigned int i = 0; i < res->n_keys; i++)
			wr_u64(&w, res->keys[i]);
	} else if (res->op == FENCE_CMD_READ_RESERVATION) {
		wr_u32(&w, res->generation);
		wr_u32(&w, res->type ? 16 : 0);
		if (res->type) {
			wr_u64(&w, res->holder);
			wr_zero(&w, 5);
			wr_u8(&w, res->type);
			wr_zero(&w, 2);
		}
	} else if (res->op == FENCE_CMD_REPORT_CAPABILITIES) {
		encode_caps(&res->caps, &w);
	} else if (res->op == FENCE_CMD_READ_FULL_STATUS && res->full) {
		encode_full(res, &w);
	}
	n = MIN((size_t)(w.p - full), len);
	if (n)
		memcpy(buf, full, n);
	return n;
}
