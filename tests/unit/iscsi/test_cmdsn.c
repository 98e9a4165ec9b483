/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_cmdsn.c - the command window and delivery in order (RFC 7143 4.2.2.1). CmdSNs wrap around in every test. */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

static struct peer *full(void)
{
	struct peer *p = peer_new();

	peer_full(p, "InitialR2T=No\nFirstBurstLength=4096\n");
	return p;
}

static uint32_t cmd_at(struct peer *p, uint32_t cmdsn, uint8_t cdb, uint8_t flags, uint32_t len, const void *data,
		       uint32_t dlen)
{
	uint8_t bhs[BHS_LEN];

	peer_cmd_bhs(p, bhs, cdb, flags, len, len);
	put_be32(bhs + O_CMDSN, cmdsn);
	peer_send(p, bhs, data, dlen);
	return pdu_itt(bhs);
}

static uint32_t tur_at(struct peer *p, uint32_t cmdsn)
{
	return cmd_at(p, cmdsn, CDB_TUR, PDU_FINAL, 0, NULL, 0);
}

/* Below and above the window, and what was seen already: no answer, no harm, the numbers do not move */
static void outside(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn, bad[] = { base - 1, base - 100, base + PEER_WINDOW, base + 1000, base + 0x80000000 };
	struct reply r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		tur_at(p, bad[i]);
	peer_want_nothing(p);
	assert_int_equal(p->commands, 0);
	assert_int_equal(isc_conn_stats(p->c)->ignored, ARRAY_SIZE(bad));
	peer_want_status(p, tur_at(p, base), 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 1);
	tur_at(p, base);  /* again */
	peer_want_nothing(p);
	assert_int_equal(p->commands, 1);
	assert_int_equal(p->closings, 0);
	peer_free(p);
}

/* The data of an ignored command is ignored too, immediate and unsolicited */
static void outside_with_data(void **state)
{
	struct peer *p = full();
	uint8_t data[512] = { 0 };
	struct reply r;
	uint32_t itt = cmd_at(p, p->cmdsn + 1000, CDB_WRITE, CMD_WRITE, 4096, data, sizeof(data));

	(void)state;
	peer_data_out(p, itt, TAG_NONE, 0, 512, 3584, true);
	peer_want_nothing(p);
	p->cmdsn--;
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	peer_free(p);
}

/* A hole is filled: those behind it are delivered, in order; every order of four */
static void holes(void **state)
{
	(void)state;
	for (unsigned perm = 0; perm < 256; perm++) {
		unsigned order[4] = { perm & 3, perm >> 2 & 3, perm >> 4 & 3, perm >> 6 & 3 }, seen = 0;
		struct peer *p;
		uint32_t base;
		struct reply r;

		for (int i = 0; i < 4; i++)
			seen |= 1u << order[i];
		if (seen != 15)
			continue;
		p = full();
		base = p->cmdsn;
		for (int i = 0; i < 4; i++)
			tur_at(p, base + order[i]);
		assert_int_equal(p->commands, 4);
		for (uint32_t i = 0; i < 4; i++)
			assert_int_equal(p->cmdsn_log[i], base + i);
		for (int i = 0; i < 4; i++)
			peer_want(p, OP_SCSI_RSP, &r);
		assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 4);
		assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + 4 + PEER_WINDOW - 1);
		peer_want_nothing(p);
		peer_free(p);
	}
}

/* A duplicate of a command that is held is ignored */
static void duplicate_of_held(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn, itt[2];
	struct reply r;

	(void)state;
	itt[1] = tur_at(p, base + 1);
	tur_at(p, base + 1);
	itt[0] = tur_at(p, base);
	peer_want_status(p, itt[0], 0, &r);
	peer_want_status(p, itt[1], 0, &r);
	peer_want_nothing(p);
	assert_int_equal(p->commands, 2);
	peer_free(p);
}

/* Held writes keep their data, immediate and unsolicited */
static void held_write(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn, itt[2], hole;
	uint8_t data[1000];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	itt[0] = cmd_at(p, base + 1, CDB_WRITE, CMD_WRITE, 4000, data, sizeof(data));
	itt[1] = cmd_at(p, base + 2, CDB_WRITE, PDU_FINAL | CMD_WRITE, 1000, data, sizeof(data));
	peer_data_out(p, itt[0], TAG_NONE, 0, 1000, 3000, true);
	assert_int_equal(p->commands, 0);
	peer_want_nothing(p);
	hole = tur_at(p, base);
	peer_want_status(p, hole, 0, &r);
	peer_want_status(p, itt[0], 0, &r);
	peer_want_status(p, itt[1], 0, &r);
	assert_int_equal(p->received[1], 4000);
	assert_int_equal(p->received[2], 1000);
	assert_int_equal(isc_conn_sess(p->c)->held_bytes, 0);
	peer_free(p);
}

/* A held write whose unsolicited data comes only after its turn */
static void held_write_data_later(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn, itt, hole;
	uint8_t data[1000];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, sizeof(data));
	itt = cmd_at(p, base + 1, CDB_WRITE, CMD_WRITE, 4000, data, sizeof(data));
	hole = tur_at(p, base);
	peer_want_status(p, hole, 0, &r);
	peer_want_nothing(p);
	peer_data_out(p, itt, TAG_NONE, 0, 1000, 3000, true);
	peer_want_status(p, itt, 0, &r);
	assert_int_equal(p->received[1], 4000);
	peer_free(p);
}

/* Other requests have CmdSNs as well, and wait as well */
static void held_ping(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn;
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
	put_be32(bhs + O_CMDSN, base + 1);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(p, bhs, "hello", 5);
	peer_want_nothing(p);
	peer_want_status(p, tur_at(p, base), 0, &r);
	peer_want(p, OP_NOP_IN, &r);
	assert_int_equal(r.len, 5);
	assert_memory_equal(r.data, "hello", 5);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 2);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + 2 + PEER_WINDOW - 1);
	peer_free(p);
}

/* A request that is rejected uses its CmdSN up, in turn or ahead of it: nobody waits behind it */
static void rejected(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn, later;
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	peer_cmd_bhs(p, bhs, CDB_TUR, 0, 0, 0);  /* no F, no W */
	peer_send(p, bhs, NULL, 0);
	peer_want_reject(p, ISC_REJECT_INVALID_FIELD);
	peer_want_status(p, tur_at(p, base + 1), 0, &r);

	cmd_at(p, base + 3, CDB_TUR, 0, 0, NULL, 0);
	peer_want_reject(p, ISC_REJECT_INVALID_FIELD);
	later = tur_at(p, base + 4);
	peer_want_nothing(p);
	peer_want_status(p, tur_at(p, base + 2), 0, &r);
	peer_want_status(p, later, 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 5);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + 5 + PEER_WINDOW - 1);
	peer_free(p);
}

/* The window closes when the server does not answer, and opens with each answer */
static void closed_window(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn;
	struct reply r;

	(void)state;
	p->manual = true;
	for (uint32_t i = 0; i < PEER_WINDOW; i++)
		tur_at(p, base + i);
	assert_int_equal(p->commands, PEER_WINDOW);
	tur_at(p, base + PEER_WINDOW);
	assert_int_equal(p->commands, PEER_WINDOW);
	isc_task_complete(&p->task[5]->t, 0, NULL, 0, NULL, 0);
	peer_want(p, OP_SCSI_RSP, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + PEER_WINDOW);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + PEER_WINDOW);
	tur_at(p, base + PEER_WINDOW);
	assert_int_equal(p->commands, PEER_WINDOW + 1);
	for (unsigned i = 0; i <= PEER_WINDOW; i++)
		if (p->task[i])
			isc_task_complete(&p->task[i]->t, 0, NULL, 0, NULL, 0);
	while (peer_next(p, &r))
		;
	peer_free(p);
}

/* Immediate requests are delivered at once and take no number, even when the window is closed */
static void immediate(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn;
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	tur_at(p, base + 1);
	peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 0, 0);
	bhs[O_OPCODE] |= PDU_IMMEDIATE;
	put_be32(bhs + O_CMDSN, base + 2);
	peer_send(p, bhs, NULL, 0);
	peer_want_status(p, pdu_itt(bhs), 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + PEER_WINDOW - 1);
	assert_true(p->commands == 1);
	peer_free(p);
}

/* 11.17.1 reason 6: there is an end to immediate ones; the place comes back with the answer */
static void too_many_immediate(void **state)
{
	struct peer *p = full();
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	p->manual = true;
	for (int i = 0; i <= ISC_IMMEDIATE_MAX; i++) {
		peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 0, 0);
		bhs[O_OPCODE] |= PDU_IMMEDIATE;
		peer_send(p, bhs, NULL, 0);
	}
	peer_want_reject(p, ISC_REJECT_IMMEDIATE);
	peer_want_nothing(p);
	assert_int_equal(p->commands, ISC_IMMEDIATE_MAX);
	for (int i = 0; i < ISC_IMMEDIATE_MAX; i++)
		isc_task_complete(&p->task[i]->t, 0, NULL, 0, NULL, 0);
	for (int i = 0; i < ISC_IMMEDIATE_MAX; i++)
		peer_want(p, OP_SCSI_RSP, &r);
	assert_int_equal(isc_conn_sess(p->c)->immediate, 0);
	peer_free(p);
}

/* Data for commands that wait is bounded; beyond that a command has to be tried again, and the server never hears of it */
static void held_too_much(void **state)
{
	struct peer *p = peer_new();
	uint8_t *data = malloc(262144);
	uint32_t base, itt[6];
	struct reply r;

	(void)state;
	pattern_fill(data, 0, 262144);
	peer_full(p, "InitialR2T=No\nFirstBurstLength=262144\nMaxBurstLength=1048576\n");
	base = p->cmdsn;
	for (uint32_t i = 1; i <= 5; i++)
		itt[i] = cmd_at(p, base + i, CDB_WRITE, PDU_FINAL | CMD_WRITE, 262144, data, 262144);
	peer_want_status(p, tur_at(p, base), 0, &r);
	for (uint32_t i = 1; i <= 5; i++)
		peer_want_status(p, itt[i], i < 5 ? 0 : STATUS_TASK_SET_FULL, &r);
	assert_int_equal(r.len, 0);
	assert_int_equal(p->commands, 5);
	assert_int_equal(isc_conn_sess(p->c)->held_bytes, 0);
	assert_int_equal(p->closings, 0);
	free(data);
	peer_free(p);
}

/* ... whatever kind of request it is: there are no other answers, so the connection ends */
static void held_too_many_pings(void **state)
{
	struct peer *p = peer_new();
	uint8_t *data = calloc(1, 262144), bhs[BHS_LEN];

	(void)state;
	peer_full(p, NULL);
	for (uint32_t i = 1; i <= 5; i++) {
		assert_int_equal(p->closings, 0);
		peer_numbered(p, bhs, OP_NOP_OUT, PDU_FINAL);
		put_be32(bhs + O_CMDSN, p->cmdsn);
		put_be32(bhs + O_TTT, TAG_NONE);
		peer_send(p, bhs, data, 262144);
	}
	assert_int_equal(p->closings, 1);
	assert_int_equal(p->why, ISC_CLOSE_RESOURCES);
	free(data);
	peer_free(p);
}

/* Text requests that waited may find that their exchange is over, or grown too long */
static void held_text(void **state)
{
	static char half[ISC_TEXT_MAX / 2 + 1];
	struct peer *p = full();
	uint32_t base = p->cmdsn, ttt;
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	memset(half, 'x', sizeof(half) - 1);
	for (int round = 0; round < 2; round++) {
		peer_bhs(bhs, OP_TEXT | PDU_IMMEDIATE, PDU_CONTINUE, 42);
		put_be32(bhs + O_TTT, TAG_NONE);
		peer_send(p, bhs, half, sizeof(half) - 2);
		peer_want(p, OP_TEXT_RSP, &r);
		ttt = pdu_ttt(r.h);
		for (uint32_t i = 1; i <= 2; i++) {  /* two pieces, each fits, both not */
			peer_bhs(bhs, OP_TEXT, round ? PDU_FINAL : PDU_CONTINUE, 42);
			put_be32(bhs + O_TTT, ttt);
			put_be32(bhs + O_CMDSN, base + i);
			peer_send(p, bhs, "a=b", round ? 4 : 3);
		}
		peer_want_nothing(p);
		peer_want_status(p, tur_at(p, base), 0, &r);
		peer_want(p, round ? OP_REJECT : OP_TEXT_RSP, &r);   /* round 1: "xxxa=b" is no key */
		peer_want_reject(p, ISC_REJECT_INVALID_FIELD);       /* the tag is another one by now */
		base += 3;
		peer_want_nothing(p);
	}
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(outside), cmocka_unit_test(outside_with_data), cmocka_unit_test(holes),
		cmocka_unit_test(duplicate_of_held), cmocka_unit_test(held_write),
		cmocka_unit_test(held_write_data_later), cmocka_unit_test(held_ping), cmocka_unit_test(rejected),
		cmocka_unit_test(closed_window), cmocka_unit_test(immediate), cmocka_unit_test(too_many_immediate),
		cmocka_unit_test(held_too_much), cmocka_unit_test(held_too_many_pings), cmocka_unit_test(held_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
