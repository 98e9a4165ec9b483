/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reservation conflicts, against a second table written from the standards command by command:
 * SPC-4 table 65 and SBC-4 table 13 (persistent reservations; what footnote b leaves open is allowed, as ALLOW COMMANDS
 * 100b says), SPC-2 table 10 with SBC (1998) (RESERVE).
 */
#include "tests/unit/scsi/scsi_test.h"

#include "node/scsi/internal.h"

/*
 * Columns as the standards print them: Write Exclusive and Exclusive Access from any other nexus; from a registered
 * nexus (types 5 to 8); Write Exclusive and Exclusive Access (types 5 to 8) from one that is not registered; then
 * SPC-2 RESERVE by another nexus.
 */
static const struct {
	const char *name, *columns;
	uint8_t cdb[SC_CDB_MAX];
} rows[] = {
	{ "TEST UNIT READY",                 "AAAAA C", { 0x00 } },
	{ "REQUEST SENSE",                   "AAAAA A", { 0x03, 0, 0, 0, 252 } },
	{ "READ(6)",                         "ACAAC C", { 0x08, 0, 0, 0, 1 } },
	{ "WRITE(6)",                        "CCACC C", { 0x0a, 0, 0, 0, 1 } },
	{ "INQUIRY",                         "AAAAA A", { 0x12, 0, 0, 0, 36 } },
	{ "MODE SELECT(6)",                  "CCACC C", { 0x15, 0x10, 0, 0, 24 } },
	{ "MODE SENSE(6)",                   "ACAAC C", { 0x1a, 0, 0x3f, 0, 255 } },
	{ "START STOP UNIT, START 1",        "AAAAA C", { 0x1b, 0, 0, 0, 1 } },
	{ "START STOP UNIT, START 0",        "CCACC C", { 0x1b, 0, 0, 0, 0 } },
	{ "RECEIVE DIAGNOSTIC RESULTS",      "ACAAC C", { 0x1c, 0, 0, 0, 8 } },
	{ "SEND DIAGNOSTIC",                 "CCACC C", { 0x1d, 0x04 } },
	{ "PREVENT ALLOW, PREVENT 0",        "AAAAA A", { 0x1e } },
	{ "PREVENT ALLOW, PREVENT 1",        "CCACC C", { 0x1e, 0, 0, 0, 1 } },
	{ "READ CAPACITY(10)",               "AAAAA A", { 0x25 } },
	{ "READ(10)",                        "ACAAC C", { 0x28, [8] = 1 } },
	{ "WRITE(10)",                       "CCACC C", { 0x2a, [8] = 1 } },
	{ "WRITE AND VERIFY(10)",            "CCACC C", { 0x2e, [8] = 1 } },
	{ "VERIFY(10)",                      "ACAAC C", { 0x2f, [8] = 1 } },
	{ "PRE-FETCH(10)",                   "ACAAC C", { 0x34, [8] = 1 } },
	{ "SYNCHRONIZE CACHE(10)",           "CCACC C", { 0x35 } },
	{ "WRITE SAME(10)",                  "CCACC C", { 0x41, [8] = 1 } },
	{ "UNMAP",                           "CCACC C", { 0x42, [8] = 24 } },
	{ "LOG SENSE",                       "AAAAA A", { 0x4d, 0, 0x40, [8] = 255 } },
	{ "MODE SELECT(10)",                 "CCACC C", { 0x55, 0x10, [8] = 24 } },
	{ "MODE SENSE(10)",                  "ACAAC C", { 0x5a, 0, 0x3f, [8] = 255 } },
	{ "PERSISTENT RESERVE IN, KEYS",     "AAAAA C", { 0x5e, 0, [8] = 255 } },
	{ "PERSISTENT RESERVE IN, FULL",     "AAAAA C", { 0x5e, 3, [8] = 255 } },
	{ "EXTENDED COPY(LID1)",             "CCACC C", { 0x83, 0, [13] = 60 } },
	{ "RECEIVE COPY OPERATING PARAMETERS", "AAAAA C", { 0x84, 3, [13] = 60 } },
	{ "READ(16)",                        "ACAAC C", { 0x88, [13] = 1 } },
	{ "COMPARE AND WRITE",               "CCACC C", { 0x89, [13] = 1 } },
	{ "WRITE(16)",                       "CCACC C", { 0x8a, [13] = 1 } },
	{ "ORWRITE(16)",                     "CCACC C", { 0x8b, [13] = 1 } },
	{ "WRITE AND VERIFY(16)",            "CCACC C", { 0x8e, [13] = 1 } },
	{ "VERIFY(16)",                      "ACAAC C", { 0x8f, [13] = 1 } },
	{ "PRE-FETCH(16)",                   "ACAAC C", { 0x90, [13] = 1 } },
	{ "SYNCHRONIZE CACHE(16)",           "CCACC C", { 0x91 } },
	{ "WRITE SAME(16)",                  "CCACC C", { 0x93, [13] = 1 } },
	{ "WRITE ATOMIC(16)",                "CCACC C", { 0x9c, [13] = 1 } },
	{ "READ CAPACITY(16)",               "AAAAA A", { 0x9e, 0x10, [13] = 32 } },
	{ "GET LBA STATUS",                  "ACAAC C", { 0x9e, 0x12, [13] = 24 } },
	{ "REPORT LUNS",                     "AAAAA A", { 0xa0, [9] = 64 } },
	{ "REPORT IDENTIFYING INFORMATION",  "AAAAA A", { 0xa3, 0x05, [9] = 64 } },
	{ "SET IDENTIFYING INFORMATION",     "CCACC C", { 0xa4, 0x06, [9] = 64 } },
	{ "REPORT TARGET PORT GROUPS",       "AAAAA A", { 0xa3, 0x0a, [9] = 64 } },
	{ "REPORT SUPPORTED OPERATION CODES", "ACAAC C", { 0xa3, 0x0c, [8] = 16 } },
	{ "REPORT SUPPORTED TMF",            "ACAAC C", { 0xa3, 0x0d, [9] = 16 } },
	{ "WRITE BUFFER",                    "CCACC C", { 0x3b, 0x0a, [8] = 8 } },
	{ "READ BUFFER(10)",                 "ACAAC C", { 0x3c, 0x0b, [8] = 8 } },
	{ "REPORT TIMESTAMP",                "AAAAA A", { 0xa3, 0x0f, [9] = 12 } },
	{ "SET TIMESTAMP",                   "CCACC C", { 0xa4, 0x0f, [9] = 12 } },
	{ "READ(12)",                        "ACAAC C", { 0xa8, [9] = 1 } },
	{ "WRITE(12)",                       "CCACC C", { 0xaa, [9] = 1 } },
	{ "WRITE AND VERIFY(12)",            "CCACC C", { 0xae, [9] = 1 } },
	{ "VERIFY(12)",                      "ACAAC C", { 0xaf, [9] = 1 } },
};

static unsigned row_of(const char *name)
{
	unsigned i = 0;

	while (strcmp(rows[i].name, name))
		i++;
	return i;
}

/* Every row of the command table is in this one, or is decided by sc_pr_apply() */
static void test_table_is_complete(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sc_cmd_count; i++) {
		uint8_t op = sc_cmd_table[i].opcode;
		bool found = op == 0x16 || op == 0x17 || op == 0x56 || op == 0x57 || op == 0x5e || op == 0x5f;

		for (unsigned j = 0; j < ARRAY_SIZE(rows); j++)
			found = found || (rows[j].cdb[0] == op && (op != 0xa3 || rows[j].cdb[1] == sc_cmd_table[i].sa));
		if (!found)
			fail_msg("%s has no row here", sc_cmd_table[i].name);
	}
}

static void expect(struct fix *f, unsigned row, unsigned who, char column, const char *when)
{
	bool conflict;

	sc_op_start(&f->ctx[who], rows[row].cdb, SC_CDB_MAX, &f->op);
	conflict = f->op.kind == SC_OP_DONE && f->op.status == SC_RESERVATION_CONFLICT;
	if (f->op.kind == SC_OP_DONE && f->op.status == SC_CHECK_CONDITION)
		fail_msg("%s: %02x/%04x", rows[row].name, f->op.sense.key, f->op.sense.asc);
	if (conflict != (column == 'C'))
		fail_msg("%s %s: %s", rows[row].name, when, conflict ? "conflict" : "allowed");
}

/* ALICE holds, BOB is registered, CAROL is not */
static void test_persistent_reservations(void **state)
{
	static const struct { uint8_t type; unsigned registered, other; } types[] = {
		{ SC_PR_WRITE_EXCL, 0, 0 }, { SC_PR_EXCL_ACCESS, 1, 1 },
		{ SC_PR_WRITE_EXCL_RO, 2, 3 }, { SC_PR_EXCL_ACCESS_RO, 2, 4 },
		{ SC_PR_WRITE_EXCL_AR, 2, 3 }, { SC_PR_EXCL_ACCESS_AR, 2, 4 },
	};
	struct fix *f = *state;

	REGISTER(f, ALICE, 1);
	REGISTER(f, BOB, 2);
	for (unsigned t = 0; t < ARRAY_SIZE(types); t++) {
		RESERVE(f, ALICE, 1, types[t].type);
		for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
			expect(f, i, ALICE, 'A', "holder");
			expect(f, i, BOB, rows[i].columns[types[t].registered], "registered");
			expect(f, i, CAROL, rows[i].columns[types[t].other], "not registered");
		}
		assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_RELEASE, .key = 1, .type = types[t].type), SC_GOOD);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)  /* registrations alone keep nobody out */
		expect(f, i, CAROL, 'A', "no reservation");
}

/* SPC-2 5.5.1: PERSISTENT RESERVE IN is in conflict whoever holds it */
static void test_spc2_reservation(void **state)
{
	struct fix *f = *state;

	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RESERVE), SC_GOOD);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		expect(f, i, ALICE, rows[i].cdb[0] == 0x5e ? 'C' : 'A', "holder of the SPC-2 reservation");
		expect(f, i, BOB, rows[i].columns[6], "SPC-2 reservation");
	}
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RELEASE), SC_GOOD);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		expect(f, i, BOB, 'A', "released");
}

/* The role cached with a session follows every new snapshot, also one at the address of an older one */
static void test_role_follows_snapshots(void **state)
{
	const unsigned write = row_of("WRITE(10)");
	struct fix *f = *state;
	struct sc_pr *pr;

	REGISTER(f, ALICE, 1);
	RESERVE(f, ALICE, 1, SC_PR_WRITE_EXCL_RO);
	expect(f, write, BOB, 'C', "before registering");
	REGISTER(f, BOB, 2);
	expect(f, write, BOB, 'A', "registered");
	pr = (struct sc_pr *)f->lu.pr;
	pr->n_regs = 1;  /* the same block again, with other contents: only the test may do this */
	sc_lu_set_pr(&f->lu, pr);
	expect(f, write, BOB, 'C', "gone again");
	/* a session that begins late */
	memset(&f->itl[BOB], 0, sizeof(f->itl[BOB]));
	expect(f, write, BOB, 'C', "fresh session");
	memset(&f->itl[ALICE], 0, sizeof(f->itl[ALICE]));
	f->lu.pr_seq = 0;
	expect(f, write, ALICE, 'A', "fresh session and logical unit");
}

/* A registration is of a nexus: same name with another ISID, or through another port, is somebody else */
static void test_nexus_identity(void **state)
{
	struct fix *f = *state;
	struct sc_nexus saved = f->nx[ALICE];

	REGISTER(f, ALICE, 1);
	RESERVE(f, ALICE, 1, SC_PR_WRITE_EXCL_RO);
	expect(f, row_of("WRITE(10)"), ALICE, 'A', "holder");
	f->nx[ALICE].isid[5] ^= 0x80;
	f->itl[ALICE].pr_seen = 0;
	expect(f, row_of("WRITE(10)"), ALICE, 'C', "other ISID");
	f->nx[ALICE] = saved;
	f->nx[ALICE].rtpi = 2;
	f->itl[ALICE].pr_seen = 0;
	expect(f, row_of("WRITE(10)"), ALICE, 'C', "other target port");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_complete),
		FIX_TEST(test_persistent_reservations),
		FIX_TEST(test_spc2_reservation),
		FIX_TEST(test_role_follows_snapshots),
		FIX_TEST(test_nexus_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
