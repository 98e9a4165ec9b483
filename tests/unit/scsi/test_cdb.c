/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every row of the command table, and the order of the checks (SAM-5 5.3.3) */
#include "tests/unit/scsi/scsi_test.h"

#include "node/scsi/internal.h"

/* The shortest CDB of a row that is not refused for its fields: what must not be zero is set here. */
static void valid_cdb(const struct sc_cmd *cmd, uint8_t cdb[SC_CDB_MAX])
{
	memset(cdb, 0, SC_CDB_MAX);
	cdb[0] = cmd->opcode;
	if (cmd->sa != SC_NO_SA)
		cdb[1] = (uint8_t)cmd->sa;
	switch (cmd->opcode) {
	case 0x15: case 0x55: cdb[1] = 0x10; break;                    /* MODE SELECT: PF */
	case 0x1a: case 0x5a: cdb[2] = 0x3f; break;                    /* MODE SENSE: all pages */
	case 0x41: cdb[8] = 1; break;                                  /* WRITE SAME: WSNZ */
	case 0x93: cdb[13] = 1; break;
	case 0x42: cdb[8] = 24; break;                                 /* UNMAP: header and one descriptor */
	case 0x5f: cdb[8] = 24; cdb[2] = SC_PR_WRITE_EXCL; break;      /* PERSISTENT RESERVE OUT: length, type */
	case 0x3b: cdb[1] = 0x0a; break;                               /* WRITE BUFFER, READ BUFFER: echo buffer, its descriptor */
	case 0x3c: cdb[1] = 0x0b; break;
	case 0xa0: cdb[9] = 16; break;                                 /* REPORT LUNS: at least 16 */
	}
}

static bool refused(const struct sc_op *op)
{
	return op->kind == SC_OP_DONE && op->status == SC_CHECK_CONDITION;
}

static void test_every_row_decodes(void **state)
{
	static struct sc_copies copies = { .slot[0] = { .used = true, .has_id = true } };  /* list identifier 0 */
	struct fix *f = *state;
	uint8_t cdb[SC_CDB_MAX];

	f->ctx[ALICE].copies = &copies;
	for (unsigned i = 0; i < sc_cmd_count; i++) {
		const struct sc_cmd *cmd = &sc_cmd_table[i];

		valid_cdb(cmd, cdb);
		sc_op_start(&f->ctx[ALICE], cdb, cmd->len, &f->op);
		if (refused(&f->op))
			fail_msg("%s refused: %02x/%04x byte %u", cmd->name, f->op.sense.key, f->op.sense.asc, f->op.sense.field);
		assert_ptr_equal(f->op.cmd, cmd);
		assert_string_equal(sc_cmd_name(cdb), cmd->name);
	}
}

/* A bit that is zero in CDB USAGE DATA and one in the CDB: INVALID FIELD IN CDB, pointing at it. SPC-4 4.5.2.4.2 */
static void test_every_reserved_bit_is_refused(void **state)
{
	struct fix *f = *state;
	uint8_t cdb[SC_CDB_MAX];
	unsigned checked = 0;

	for (unsigned i = 0; i < sc_cmd_count; i++) {
		const struct sc_cmd *cmd = &sc_cmd_table[i];

		for (unsigned bit = 8; bit < cmd->len * 8u; bit++) {
			unsigned byte = bit / 8;

			if (cmd->usage[byte] & 1u << bit % 8 || (cmd->sa != SC_NO_SA && byte == 1 && bit % 8 < 5))
				continue;
			valid_cdb(cmd, cdb);
			cdb[byte] |= (uint8_t)(1u << bit % 8);
			sc_op_start(&f->ctx[ALICE], cdb, cmd->len, &f->op);
			assert_bad_cdb(&f->op, byte);
			assert_int_equal(f->op.sense.bit, bit % 8);
			checked++;
		}
	}
	assert_true(checked > 1000);
}

static void test_short_cdb_is_refused(void **state)
{
	struct fix *f = *state;
	uint8_t cdb[SC_CDB_MAX];

	for (unsigned i = 0; i < sc_cmd_count; i++) {
		valid_cdb(&sc_cmd_table[i], cdb);
		sc_op_start(&f->ctx[ALICE], cdb, sc_cmd_table[i].len - 1u, &f->op);
		assert_true(refused(&f->op));
	}
	sc_op_start(&f->ctx[ALICE], cdb, 0, &f->op);  /* an empty one reads as TEST UNIT READY without bytes */
	assert_bad_cdb(&f->op, 0);
}

/* An extended CDB (RFC 7143 11.2.2.4): nothing here is longer than 16 bytes, and no more is looked at */
static void test_long_cdb(void **state)
{
	struct fix *f = *state;
	uint8_t cdb[260];

	memset(cdb, 0xff, sizeof(cdb));
	memset(cdb, 0, 6);
	sc_op_start(&f->ctx[ALICE], cdb, sizeof(cdb), &f->op);
	assert_good(&f->op);
	cdb[0] = 0x7f;
	sc_op_start(&f->ctx[ALICE], cdb, sizeof(cdb), &f->op);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_OPCODE);
}

/* Sorted (the lookup relies on it), consistent with its own usage data */
static void test_table_is_well_formed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sc_cmd_count; i++) {
		const struct sc_cmd *c = &sc_cmd_table[i];

		assert_int_equal(c->usage[0], c->opcode);
		if (c->sa != SC_NO_SA)
			assert_int_equal(c->usage[1] & 0x1f, c->sa);
		if (i > 0)
			assert_true(c[-1].opcode < c->opcode || (c[-1].opcode == c->opcode && c[-1].sa < c->sa));
		assert_true(!c->data_in || c->alloc_n || c->opcode == 0x25);
		assert_true(!c->param || c->alloc_n);
		for (unsigned j = 0; j < c->alloc_n; j++)
			assert_int_equal(c->usage[c->alloc_at + j], 0xff);
		for (unsigned j = c->len; j < SC_CDB_MAX; j++)
			assert_int_equal(c->usage[j], 0);
	}
}

/* Everything that is not in the table; among it what comes later: EXTENDED COPY, FORMAT UNIT */
static void test_unknown_opcodes(void **state)
{
	struct fix *f = *state;
	unsigned unknown = 0;

	for (unsigned opcode = 0; opcode < 256; opcode++) {
		bool known;

		(void)sc_cmd_find((uint8_t)opcode, 0, &known);
		if (known)
			continue;
		START(f, ALICE, (uint8_t)opcode);
		assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_OPCODE);
		unknown++;
	}
	assert_true(unknown > 200);
	START(f, ALICE, 0x4c);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_OPCODE);
}

/* A known operation code with another service action: the field is in error, not the operation code */
static void test_unknown_service_actions(void **state)
{
	static const uint8_t opcodes[] = { 0x5e, 0x5f, 0x9e, 0xa3 };
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++) {
		for (uint8_t sa = 0; sa < 0x20; sa++) {
			bool known;

			if (sc_cmd_find(opcodes[i], sa, &known))
				continue;
			assert_true(known);
			START(f, ALICE, opcodes[i], sa);
			assert_bad_cdb(&f->op, 1);
		}
	}
}

static void test_no_lun(void **state)
{
	struct fix *f = *state;
	struct sc_ctx none = { .tgt = &f->tgt, .nexus = &f->nx[ALICE] };
	uint8_t cdb[SC_CDB_MAX];

	for (unsigned i = 0; i < sc_cmd_count; i++) {
		uint8_t op = sc_cmd_table[i].opcode;

		valid_cdb(&sc_cmd_table[i], cdb);
		sc_op_start(&none, cdb, SC_CDB_MAX, &f->op);
		if (op == 0x12 || op == 0xa0 || op == 0x03)  /* INQUIRY, REPORT LUNS, REQUEST SENSE: SPC-4 5.x, SAM-5 4.7.4 */
			assert_int_equal(f->op.kind, SC_OP_DATA_IN);
		else
			assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_NO_LUN);
	}
	sc_op_start(&none, (const uint8_t[SC_CDB_MAX]){ 0x42 }, SC_CDB_MAX, &f->op);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_NO_LUN);
}

/* SAM-5 5.14: one report a command; INQUIRY, REPORT LUNS and REQUEST SENSE do not report it */
static void test_unit_attention_first(void **state)
{
	struct fix *f = *state;
	uint8_t cdb[SC_CDB_MAX];

	for (unsigned i = 0; i < sc_cmd_count; i++) {
		uint8_t op = sc_cmd_table[i].opcode;

		valid_cdb(&sc_cmd_table[i], cdb);
		memset(&f->itl[ALICE].ua, 0, sizeof(f->itl[ALICE].ua));
		sc_ua_add(&f->itl[ALICE].ua, SC_UA_CAPACITY_CHANGED);
		sc_op_start(&f->ctx[ALICE], cdb, SC_CDB_MAX, &f->op);
		if (op == 0x12 || op == 0xa0) {
			assert_int_equal(sc_ua_peek(&f->itl[ALICE].ua), SC_UA_CAPACITY_CHANGED);
		} else {
			assert_int_equal(sc_ua_peek(&f->itl[ALICE].ua), SC_UA_NONE);
			if (op != 0x03)
				assert_sense(&f->op, SC_KEY_UNIT_ATTENTION, SC_UA_CAPACITY_CHANGED);
		}
	}
	sc_ua_add(&f->itl[ALICE].ua, SC_UA_POWER_ON);
	START(f, ALICE, 0x42);  /* also before INVALID COMMAND OPERATION CODE */
	assert_sense(&f->op, SC_KEY_UNIT_ATTENTION, SC_UA_POWER_ON);
}

/* Unit attention, then reservation conflict, then what is wrong with the CDB */
static void test_order_of_checks(void **state)
{
	struct fix *f = *state;

	REGISTER(f, BOB, 1);
	RESERVE(f, BOB, 1, SC_PR_EXCL_ACCESS);
	sc_ua_add(&f->itl[ALICE].ua, SC_UA_POWER_ON);
	START(f, ALICE, 0x28, 0xe0, 0xff);  /* READ(10), RDPROTECT 7, far beyond the end */
	assert_sense(&f->op, SC_KEY_UNIT_ATTENTION, SC_UA_POWER_ON);
	START(f, ALICE, 0x28, 0xe0, 0xff);
	assert_int_equal(f->op.kind, SC_OP_DONE);
	assert_int_equal(f->op.status, SC_RESERVATION_CONFLICT);
	f->lu.alua = SC_ALUA_TRANSITIONING;
	START(f, BOB, 0x28, 0xe0, 0xff);
	assert_sense(&f->op, SC_KEY_NOT_READY, SC_ASC_ALUA_TRANSITION);
	f->lu.alua = SC_ALUA_OPTIMIZED;
	START(f, BOB, 0x28, 0xe0, 0xff);
	assert_bad_cdb(&f->op, 1);
	START(f, BOB, 0x28, 0, 0xff);
	assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_LBA_RANGE);
}

/* SPC-4 5.15.2: which commands work in a state that gives no access to the medium */
static void test_alua_states(void **state)
{
	static const struct { enum sc_alua state; unsigned asc; } states[] = {
		{ SC_ALUA_TRANSITIONING, SC_ASC_ALUA_TRANSITION },
		{ SC_ALUA_STANDBY, SC_ASC_ALUA_STANDBY },
		{ SC_ALUA_UNAVAILABLE, SC_ASC_ALUA_UNAVAILABLE },
	};
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
		f->lu.alua = states[i].state;
		START(f, ALICE, 0x00);
		assert_sense(&f->op, SC_KEY_NOT_READY, states[i].asc);
		START(f, ALICE, 0x08, 0, 0, 0, 1);
		assert_sense(&f->op, SC_KEY_NOT_READY, states[i].asc);
		ANSWER(f, ALICE, 0x12, 0, 0, 0, 36);
		ANSWER(f, ALICE, 0xa3, 0x0a, [9] = 64);
		ANSWER(f, ALICE, 0xa0, [9] = 64);
		ANSWER(f, ALICE, 0x5e, [8] = 64);
	}
	f->lu.alua = SC_ALUA_NON_OPTIMIZED;
	START(f, ALICE, 0x00);
	assert_good(&f->op);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_every_row_decodes),
		FIX_TEST(test_every_reserved_bit_is_refused),
		FIX_TEST(test_short_cdb_is_refused),
		FIX_TEST(test_long_cdb),
		cmocka_unit_test(test_table_is_well_formed),
		FIX_TEST(test_unknown_opcodes),
		FIX_TEST(test_unknown_service_actions),
		FIX_TEST(test_no_lun),
		FIX_TEST(test_unit_attention_first),
		FIX_TEST(test_order_of_checks),
		FIX_TEST(test_alua_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
