/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_reject.c - each class of bad PDU gets its Reject (RFC 7143 11.17.1), carrying the header that was wrong, and
 * harms nothing: afterwards a command runs as if nothing had been
 */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static struct peer *full(const char *keys)
{
	struct peer *p = peer_new();

	peer_full(p, keys ? keys : "InitialR2T=No\nFirstBurstLength=4096\nMaxBurstLength=8192\n");
	return p;
}

static void still_well(struct peer *p)
{
	struct reply r;

	peer_want_nothing(p);
	assert_int_equal(p->closings, 0);
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
}

static void want_reject_of(struct peer *p, enum isc_reject reason, const uint8_t *bhs, uint32_t ahs)
{
	struct reply r;

	peer_want(p, OP_REJECT, &r);
	assert_int_equal(r.h[O_REJECT_REASON], reason);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL);
	assert_int_equal(pdu_itt(r.h), TAG_NONE);
	assert_int_equal(r.len, BHS_LEN + ahs);
	assert_memory_equal(r.data, bhs, 5);  /* up to the lengths, which peer_pack() filled in */
	assert_memory_equal(r.data + 8, bhs + 8, BHS_LEN - 8 + ahs);
	assert_int_equal(isc_conn_stats(p->c)->rejects, 1);
}

static void opcodes(void **state)
{
	(void)state;
	for (unsigned op = 0; op <= OP_MASK; op++) {
		struct peer *p;
		uint8_t bhs[BHS_LEN];
		enum isc_reject want = ISC_REJECT_UNSUPPORTED;

		if (op <= OP_LOGOUT && op != OP_LOGIN)
			continue;
		if (op == OP_LOGIN)
			want = ISC_REJECT_PROTOCOL;
		if (op == OP_SNACK)
			want = ISC_REJECT_SNACK;
		p = full(NULL);
		peer_bhs(bhs, (uint8_t)op, PDU_FINAL, 77);
		peer_send(p, bhs, NULL, 0);
		want_reject_of(p, want, bhs, 0);
		still_well(p);
		peer_free(p);
	}
}

/* struct bad - A SCSI command that 11.3 forbids */
static void commands(void **state)
{
	static const struct {
		const char *keys; uint8_t opcode, flags; uint32_t edtl, dlen; enum isc_reject want;
	} t[] = {
		{ NULL, 0, 0, 0, 0, ISC_REJECT_INVALID_FIELD },                                 /* F=0 without W */
		{ NULL, 0, CMD_READ, 512, 0, ISC_REJECT_INVALID_FIELD },
		{ NULL, 0, PDU_FINAL, 512, 0, ISC_REJECT_INVALID_FIELD },                       /* length, no direction */
		{ NULL, 0, PDU_FINAL | CMD_READ, 512, 512, ISC_REJECT_INVALID_FIELD },          /* data without W */
		{ NULL, 0, PDU_FINAL | CMD_WRITE, 512, 600, ISC_REJECT_INVALID_FIELD },         /* more than expected */
		{ NULL, 0, CMD_WRITE, 512, 512, ISC_REJECT_INVALID_FIELD },                     /* F=0, nothing left */
		{ NULL, 0, CMD_WRITE, 0, 0, ISC_REJECT_INVALID_FIELD },
		{ NULL, 0, PDU_FINAL | CMD_WRITE, 8192, 4097, ISC_REJECT_PROTOCOL },            /* FirstBurstLength */
		{ "InitialR2T=Yes\n", 0, CMD_WRITE, 8192, 0, ISC_REJECT_PROTOCOL },             /* 13.10 */
		{ "ImmediateData=No\n", 0, PDU_FINAL | CMD_WRITE, 512, 512, ISC_REJECT_PROTOCOL }, /* 13.11 */
	};
	uint8_t data[8192] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = full(t[i].keys);
		uint8_t bhs[BHS_LEN];

		peer_cmd_bhs(p, bhs, CDB_WRITE, t[i].flags, t[i].edtl, t[i].edtl);
		peer_send(p, bhs, data, t[i].dlen);
		if (!(t[i].flags & PDU_FINAL))  /* data that follows on the heels of the command is not rejected again */
			peer_data_out(p, pdu_itt(bhs), TAG_NONE, 0, 0, 512, true);
		want_reject_of(p, t[i].want, bhs, 0);
		assert_int_equal(p->commands, 0);
		still_well(p);
		peer_free(p);
	}
}

static void reserved_tag(void **state)
{
	static const uint8_t ops[] = { OP_SCSI_CMD, OP_TMF, OP_TEXT, OP_LOGOUT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct peer *p = full(NULL);
		uint8_t bhs[BHS_LEN];

		peer_numbered(p, bhs, ops[i], PDU_FINAL);
		put_be32(bhs + O_ITT, TAG_NONE);
		peer_send(p, bhs, NULL, 0);
		want_reject_of(p, ISC_REJECT_INVALID_FIELD, bhs, 0);
		still_well(p);
		peer_free(p);
	}
}

/* A tag of a task that is still there */
static void tag_in_use(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN];
	struct reply r;
	uint32_t itt;

	(void)state;
	p->manual = true;
	itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 0, 0);
	put_be32(bhs + O_ITT, itt);
	peer_send(p, bhs, NULL, 0);
	want_reject_of(p, ISC_REJECT_TASK_IN_PROGRESS, bhs, 0);
	assert_int_equal(p->commands, 1);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_want_status(p, itt, 0, &r);
	/* now it is free again */
	p->manual = false;
	put_be32(bhs + O_CMDSN, p->cmdsn++);
	peer_send(p, bhs, NULL, 0);
	peer_want_status(p, itt, 0, &r);
	still_well(p);
	peer_free(p);
}

/* Additional headers: malformed, unknown, twice, too long, or where there may be none (11.2.2) */
static void additional_headers(void **state)
{
	static const struct { uint8_t opcode, words, ahs[12]; uint8_t flags; } t[] = {
		{ OP_SCSI_CMD, 1, { 0, 0, AHS_EXT_CDB, 0 }, PDU_FINAL },
		{ OP_SCSI_CMD, 1, { 0, 9, AHS_EXT_CDB, 0 }, PDU_FINAL },
		{ OP_SCSI_CMD, 1, { 0xff, 0xff, AHS_EXT_CDB, 0 }, PDU_FINAL },
		{ OP_SCSI_CMD, 1, { 0, 1, 0x3f, 0 }, PDU_FINAL },
		{ OP_SCSI_CMD, 2, { 0, 1, AHS_EXT_CDB, 0, 0, 1, AHS_EXT_CDB, 0 }, PDU_FINAL },
		{ OP_SCSI_CMD, 2, { 0, 4, AHS_BIDI_READ, 0, 0, 0, 2, 0 }, PDU_FINAL | CMD_READ | CMD_WRITE },
		{ OP_SCSI_CMD, 2, { 0, 5, AHS_BIDI_READ, 0, 0, 0, 2, 0 }, PDU_FINAL | CMD_WRITE },
		{ OP_NOP_OUT, 1, { 0, 1, AHS_EXT_CDB, 0 }, PDU_FINAL },
		{ OP_TEXT, 1, { 0, 1, AHS_EXT_CDB, 0 }, PDU_FINAL },
		{ OP_DATA_OUT, 1, { 0, 1, AHS_EXT_CDB, 0 }, PDU_FINAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = full(NULL);
		uint8_t bhs[BHS_LEN + 12] = { 0 };

		if (t[i].opcode == OP_DATA_OUT)
			peer_bhs(bhs, OP_DATA_OUT, PDU_FINAL, 5);
		else
			peer_numbered(p, bhs, t[i].opcode, t[i].flags);
		put_be32(bhs + O_TTT, t[i].opcode == OP_SCSI_CMD ? 0 : TAG_NONE);
		bhs[O_AHS_LEN] = t[i].words;
		memcpy(bhs + BHS_LEN, t[i].ahs, 4u * t[i].words);
		peer_send(p, bhs, NULL, 0);
		want_reject_of(p, ISC_REJECT_INVALID_FIELD, bhs, 4u * t[i].words);
		still_well(p);
		peer_free(p);
	}
}

/* The largest CDB there is, and one byte more */
static void long_cdb(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN + 252];
	struct reply r;

	(void)state;
	for (unsigned extra = ISC_CDB_MAX - 16; extra <= ISC_CDB_MAX - 15; extra++) {
		peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 0, 0);
		memset(bhs + BHS_LEN, 0, sizeof(bhs) - BHS_LEN);
		put_be16(bhs + BHS_LEN, (uint16_t)(extra + 1));
		bhs[BHS_LEN + 2] = AHS_EXT_CDB;
		for (unsigned i = 0; i < extra; i++)
			bhs[BHS_LEN + 4 + i] = (uint8_t)(16 + i);
		bhs[O_AHS_LEN] = (uint8_t)((4 + extra + 3) / 4);
		p->manual = true;
		peer_send(p, bhs, NULL, 0);
		if (extra > ISC_CDB_MAX - 16) {
			want_reject_of(p, ISC_REJECT_INVALID_FIELD, bhs, bhs[O_AHS_LEN] * 4u);
			break;
		}
		assert_int_equal(p->task[0]->t.cdb_len, ISC_CDB_MAX);
		for (unsigned i = 16; i < ISC_CDB_MAX; i++)
			assert_int_equal(p->task[0]->t.cdb[i], (uint8_t)i);
		isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
		peer_want_status(p, pdu_itt(bhs), 0, &r);
	}
	p->manual = false;
	still_well(p);
	peer_free(p);
}

static void data_out(void **state)
{
	static const struct { bool known, unsolicited; uint8_t lun; enum isc_reject want; } t[] = {
		{ false, true, 3, ISC_REJECT_INVALID_FIELD },   /* no such task */
		{ false, false, 3, ISC_REJECT_INVALID_FIELD },
		{ true, true, 3, ISC_REJECT_PROTOCOL },         /* unsolicited, and none was announced */
		{ true, false, 3, ISC_REJECT_INVALID_FIELD },   /* no such R2T */
		{ true, false, 4, ISC_REJECT_INVALID_FIELD },   /* another LUN; the R2T is right */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = full(NULL);
		uint32_t itt = peer_cmd(p, CDB_WRITE, PDU_FINAL | CMD_WRITE, 2048, 2048, NULL, 0), ttt;
		uint8_t bhs[BHS_LEN], data[16] = { 0 };
		struct reply r;

		peer_want(p, OP_R2T, &r);
		ttt = pdu_ttt(r.h);
		peer_bhs(bhs, OP_DATA_OUT, PDU_FINAL, t[i].known ? itt : itt + 5000);
		bhs[O_LUN + 1] = t[i].lun;
		put_be32(bhs + O_TTT, t[i].unsolicited ? TAG_NONE : t[i].lun == 4 ? ttt : ttt + 100);
		peer_send(p, bhs, data, sizeof(data));
		want_reject_of(p, t[i].want, bhs, 0);
		/* the write itself goes on */
		peer_data_out(p, itt, ttt, 0, 0, 2048, true);
		peer_want_status(p, itt, 0, &r);
		still_well(p);
		peer_free(p);
	}
}

static void nops(void **state)
{
	static const struct { uint8_t opcode; uint32_t itt, ttt; enum isc_reject want; } t[] = {
		{ OP_NOP_OUT, TAG_NONE, TAG_NONE, ISC_REJECT_PROTOCOL },                        /* not immediate */
		{ OP_NOP_OUT | PDU_IMMEDIATE, 5, 6, ISC_REJECT_INVALID_FIELD },                 /* both tags */
		{ OP_NOP_OUT | PDU_IMMEDIATE, TAG_NONE, 6, ISC_REJECT_INVALID_FIELD },          /* we did not ask */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = full(NULL);
		uint8_t bhs[BHS_LEN];

		peer_numbered(p, bhs, t[i].opcode, PDU_FINAL);
		put_be32(bhs + O_ITT, t[i].itt);
		put_be32(bhs + O_TTT, t[i].ttt);
		peer_send(p, bhs, "x", 1);
		want_reject_of(p, t[i].want, bhs, 0);
		assert_int_equal(p->nop_replies, 0);
		still_well(p);
		peer_free(p);
	}
}

/* Data where none may be, and a logout for no reason */
static void others(void **state)
{
	static const struct { uint8_t opcode, flags; uint32_t dlen; enum isc_reject want; } t[] = {
		{ OP_TMF, PDU_FINAL | ISC_TMF_LUN_RESET, 4, ISC_REJECT_INVALID_FIELD },
		{ OP_LOGOUT, PDU_FINAL, 4, ISC_REJECT_INVALID_FIELD },
		{ OP_LOGOUT, PDU_FINAL | 3, 0, ISC_REJECT_INVALID_FIELD },
		{ OP_TEXT, PDU_FINAL | PDU_CONTINUE, 0, ISC_REJECT_PROTOCOL },
		{ OP_TEXT, PDU_FINAL, ISC_TEXT_MAX + 1, ISC_REJECT_RESOURCES },
	};
	static const uint8_t data[ISC_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = full(NULL);
		uint8_t bhs[BHS_LEN];

		peer_numbered(p, bhs, t[i].opcode, t[i].flags);
		if (t[i].opcode == OP_TEXT)
			put_be32(bhs + O_TTT, TAG_NONE);
		peer_send(p, bhs, data, t[i].dlen);
		want_reject_of(p, t[i].want, bhs, 0);
		assert_int_equal(p->tmfs + p->logouts, 0);
		still_well(p);
		peer_free(p);
	}
}

/* 4.3: a discovery session takes Text and Logout, nothing else */
static void discovery(void **state)
{
	static const uint8_t ops[] = { OP_SCSI_CMD, OP_TMF, OP_NOP_OUT, OP_DATA_OUT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct peer *p = peer_new();
		uint8_t bhs[BHS_LEN];
		struct reply r;

		peer_start(p);
		peer_login(p, 1, 3, false, "InitiatorName=iqn.2026-11.test:i\nSessionType=Discovery\n");
		peer_want(p, OP_LOGIN_RSP, &r);
		peer_numbered(p, bhs, ops[i], PDU_FINAL);
		peer_send(p, bhs, NULL, 0);
		want_reject_of(p, ISC_REJECT_PROTOCOL, bhs, 0);
		assert_int_equal(p->commands + p->tmfs, 0);
		assert_int_equal(p->closings, 0);
		peer_free(p);
	}
}

/* A data segment longer than we declared: the lengths cannot be trusted any more */
static void too_long(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN];

	(void)state;
	peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be24(bhs + O_DSL, p->cfg.max_recv_dsl + 1);
	assert_int_equal(peer_feed(p, bhs, BHS_LEN), -1);
	assert_int_equal(p->why, ISC_CLOSE_FRAMING);
	peer_free(p);
}

/* No memory for a task (SAM-5 5.3): TASK SET FULL; its data is ignored */
static void task_set_full(void **state)
{
	struct peer *p = full(NULL);
	struct reply r;
	uint32_t itt;

	(void)state;
	p->no_tasks = true;
	itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 2048, 2048, NULL, 0);
	peer_data_out(p, itt, TAG_NONE, 0, 0, 2048, true);
	peer_want_status(p, itt, 0x28, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), p->cmdsn);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), p->cmdsn + PEER_WINDOW - 1);
	p->no_tasks = false;
	still_well(p);

	/* ahead of its turn: the place it would have had does not stay empty */
	p->no_tasks = true;
	p->cmdsn++;
	itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_want_status(p, itt, 0x28, &r);
	p->no_tasks = false;
	p->cmdsn -= 2;
	still_well(p);
	p->cmdsn++;
	still_well(p);
	peer_free(p);
}

/* Two additional headers, the first one padded; and the task attribute */
static void two_additional_headers(void **state)
{
	struct peer *p = full(NULL);
	uint8_t bhs[BHS_LEN + 16] = { 0 };
	struct isc_task *t;

	(void)state;
	p->manual = true;
	peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL | CMD_READ | CMD_WRITE, 0, 0);
	bhs[O_FLAGS] = (uint8_t)((bhs[O_FLAGS] & ~CMD_ATTR_MASK) | ISC_HEAD_OF_QUEUE);
	bhs[O_AHS_LEN] = 4;
	put_be16(bhs + BHS_LEN, 3);
	bhs[BHS_LEN + 2] = AHS_EXT_CDB;
	bhs[BHS_LEN + 4] = 0xab;
	bhs[BHS_LEN + 5] = 0xcd;
	put_be16(bhs + BHS_LEN + 8, 5);
	bhs[BHS_LEN + 10] = AHS_BIDI_READ;
	put_be32(bhs + BHS_LEN + 12, 777);
	peer_send(p, bhs, NULL, 0);
	assert_int_equal(p->commands, 1);
	t = &p->task[0]->t;
	assert_int_equal(t->cdb_len, 18);
	assert_memory_equal(t->cdb + 16, "\xab\xcd", 2);
	assert_int_equal(t->edtl_in, 777);
	assert_int_equal(t->attr, ISC_HEAD_OF_QUEUE);
	assert_int_equal(t->lun[1], 3);
	isc_task_complete(t, 0, NULL, 0, NULL, 0);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(opcodes), cmocka_unit_test(commands), cmocka_unit_test(reserved_tag),
		cmocka_unit_test(tag_in_use), cmocka_unit_test(additional_headers), cmocka_unit_test(long_cdb),
		cmocka_unit_test(two_additional_headers),
		cmocka_unit_test(data_out), cmocka_unit_test(nops), cmocka_unit_test(others),
		cmocka_unit_test(discovery), cmocka_unit_test(too_long), cmocka_unit_test(task_set_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
