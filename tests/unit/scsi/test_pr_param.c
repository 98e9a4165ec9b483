/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PERSISTENT RESERVE OUT from bytes: CDB, both parameter lists, TransportIDs, RESERVE/RELEASE; SPC-4 6.16, 7.6.4.6 */
#include "tests/unit/scsi/scsi_test.h"

#include "node/scsi/internal.h"

static struct sc_op *pr_out(struct fix *f, uint8_t sa, uint8_t scope_type, const uint8_t *list, uint32_t len)
{
	uint8_t cdb[SC_CDB_MAX] = { 0x5f, sa, scope_type };

	put_be32(cdb + 5, len);
	sc_op_start(&f->ctx[ALICE], cdb, SC_CDB_MAX, &f->op);
	if (f->op.kind == SC_OP_PARAM) {
		uint8_t *tight = malloc(len);

		assert_non_null(tight);
		memcpy(tight, list, len);
		assert_int_equal(f->op.out_len, len);
		sc_op_param(&f->ctx[ALICE], &f->op, tight, len);
		free(tight);
	}
	return &f->op;
}

static void basic(uint8_t list[24], uint64_t key, uint64_t sark, uint8_t flags)
{
	memset(list, 0, 24);
	put_be64(list, key);
	put_be64(list + 8, sark);
	list[20] = flags;
}

static void test_service_actions(void **state)
{
	struct fix *f = *state;
	uint8_t list[24];

	basic(list, 0x1122334455667788, 0x99aabbccddeeff00, 0x05);
	for (uint8_t sa = SC_PR_REGISTER; sa < SC_PR_REGISTER_MOVE; sa++) {
		bool registers = sa == SC_PR_REGISTER || sa == SC_PR_REGISTER_IGNORE;

		(void)pr_out(f, sa, SC_PR_EXCL_ACCESS_RO, list, 24);
		assert_int_equal(f->op.kind, SC_OP_CONTROL);
		assert_int_equal(f->op.control, SC_CONTROL_PR);
		assert_int_equal(f->op.pr.verb, sa);
		assert_int_equal(f->op.pr.type, SC_PR_EXCL_ACCESS_RO);
		assert_int_equal(f->op.pr.key, 0x1122334455667788);
		assert_int_equal(f->op.pr.sark, 0x99aabbccddeeff00);
		assert_int_equal(f->op.pr.aptpl, registers);      /* ignored by the others (table 64) */
		assert_int_equal(f->op.pr.all_tg_pt, registers);
	}
}

/* SCOPE: the logical unit only; TYPE: six of sixteen. Where neither is used, both are ignored. */
static void test_scope_and_type(void **state)
{
	struct fix *f = *state;
	uint8_t list[24];

	basic(list, 1, 2, 0);
	for (unsigned st = 0; st < 256; st++) {
		unsigned type = st & 15;
		bool ok = st >> 4 == 0 && (type == 1 || type == 3 || (type >= 5 && type <= 8));

		(void)pr_out(f, SC_PR_RESERVE, (uint8_t)st, list, 24);
		if (ok)
			assert_int_equal(f->op.kind, SC_OP_CONTROL);
		else
			assert_bad_cdb(&f->op, 2);
		assert_int_equal(pr_out(f, SC_PR_REGISTER, (uint8_t)st, list, 24)->kind, SC_OP_CONTROL);
		assert_int_equal(pr_out(f, SC_PR_CLEAR, (uint8_t)st, list, 24)->kind, SC_OP_CONTROL);
	}
}

static void test_list_length(void **state)
{
	static const uint32_t wrong[] = { 0, 1, 23, 25, 28, 65536, 65537, UINT32_MAX };
	struct fix *f = *state;
	uint8_t *list = calloc(1, 65536);

	assert_non_null(list);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		for (uint8_t sa = SC_PR_REGISTER; sa < SC_PR_REGISTER_MOVE; sa++)
			assert_sense(pr_out(f, sa, 1, list, wrong[i]), SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	free(list);
}

static void test_reserved_flags(void **state)
{
	struct fix *f = *state;
	uint8_t list[24];

	for (uint8_t bit = 0x80; bit; bit >>= 1) {
		basic(list, 0, 1, bit);
		(void)pr_out(f, SC_PR_REGISTER, 0, list, 24);
		if (bit == 0x01 || bit == 0x04)
			assert_int_equal(f->op.kind, SC_OP_CONTROL);
		else if (bit == 0x08)
			assert_sense(&f->op, SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);  /* SPEC_I_PT without a list */
		else
			assert_bad_param(&f->op, 20);
	}
}

static uint32_t put_tid(uint8_t *p, const struct sc_nexus *n)
{
	struct sc_out o = { .buf = p, .cap = 256 };

	sc_tid_put(&o, n);
	return o.len;
}

/* The list of TransportIDs: its length field, and each of them */
static void test_spec_i_pt(void **state)
{
	struct fix *f = *state;
	uint8_t list[600];
	uint32_t n, second;

	memset(list, 0, sizeof(list));
	basic(list, 0, 1, 0x08);
	second = 28 + put_tid(list + 28, &f->nx[BOB]);
	n = second + put_tid(list + second, &f->nx[CAROL]);
	put_be32(list + 24, n - 28);
	assert_int_equal(pr_out(f, SC_PR_REGISTER, 0, list, n)->kind, SC_OP_CONTROL);
	assert_true(f->op.pr.spec_i_pt);
	assert_int_equal(f->op.pr.ids_len, n - 28);
	assert_bad_param(pr_out(f, SC_PR_REGISTER_IGNORE, 0, list, n), 20);
	assert_bad_param(pr_out(f, SC_PR_RESERVE, 1, list, n), 20);
	START(f, ALICE, 0x5f, 0, [8] = (uint8_t)n);
	sc_op_param(&f->ctx[ALICE], &f->op, list, n);
	assert_ptr_equal(f->op.pr.ids, list + 28);
	put_be32(list + 24, n - 29);
	assert_sense(pr_out(f, SC_PR_REGISTER, 0, list, n), SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	put_be32(list + 24, UINT32_MAX);
	assert_sense(pr_out(f, SC_PR_REGISTER, 0, list, n), SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	put_be32(list + 24, n - 28);
	list[second] = 0x85;  /* FORMAT CODE 10b: reserved */
	assert_bad_param(pr_out(f, SC_PR_REGISTER, 0, list, n), second);
	put_be32(list + 24, 0);
	assert_int_equal(pr_out(f, SC_PR_REGISTER, 0, list, 28)->kind, SC_OP_CONTROL);  /* nobody else */
}

static void test_move(void **state)
{
	struct fix *f = *state;
	uint8_t list[300];
	uint32_t n;

	memset(list, 0, sizeof(list));
	put_be64(list, 1);
	put_be64(list + 8, 2);
	list[17] = 0x03;
	put_be16(list + 18, 7);
	n = put_tid(list + 24, &f->nx[BOB]);
	put_be32(list + 20, n);
	assert_int_equal(pr_out(f, SC_PR_REGISTER_MOVE, 0, list, 24 + n)->kind, SC_OP_CONTROL);
	assert_true(f->op.pr.unreg && f->op.pr.aptpl);
	assert_int_equal(f->op.pr.move_rtpi, 7);
	assert_int_equal(f->op.pr.ids_len, n);
	START(f, ALICE, 0x5f, 7, [8] = (uint8_t)(24 + n));
	sc_op_param(&f->ctx[ALICE], &f->op, list, 24 + n);
	assert_ptr_equal(f->op.pr.ids, list + 24);
	assert_sense(pr_out(f, SC_PR_REGISTER_MOVE, 0, list, 24 + n + 4), SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	assert_sense(pr_out(f, SC_PR_REGISTER_MOVE, 0, list, 24), SC_KEY_ILLEGAL_REQUEST, SC_ASC_PARAM_LENGTH);
	put_be32(list + 20, n + 4);  /* something behind the one TransportID */
	assert_bad_param(pr_out(f, SC_PR_REGISTER_MOVE, 0, list, 24 + n + 4), 24);
	put_be32(list + 20, n);
	list[24] = 0x46;             /* not iSCSI */
	assert_bad_param(pr_out(f, SC_PR_REGISTER_MOVE, 0, list, 24 + n), 24);
	list[24] = 0x45;
	list[17] = 0x04;
	assert_bad_param(pr_out(f, SC_PR_REGISTER_MOVE, 0, list, 24 + n), 17);
	list[17] = 0;
	put_be64(list + 8, 0);       /* whether a key of zero matters depends on who asks: table 70 */
	assert_int_equal(pr_out(f, SC_PR_REGISTER_MOVE, 0, list, 24 + n)->kind, SC_OP_CONTROL);
}

/* FORMAT CODE 00b: the name alone; what looks like a port name is part of it */
static void test_transport_id_without_port(void **state)
{
	static const char *const names[] = { "IQN.2026-11.org.Example:Bob", "iqn.2026-11.org.example:bob" };
	static const uint8_t zero[6];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		uint8_t b[64] = { 0x05 };
		struct rd r = rd_init(b, 4 + 28);
		struct sc_nexus n;
		bool any_port = false;

		put_be16(b + 2, 28);
		memcpy(b + 4, names[i], strlen(names[i]));
		assert_true(sc_tid_get(&r, 3, &n, &any_port));
		assert_true(any_port);
		assert_string_equal(n.initiator, names[1]);
		assert_memory_equal(n.isid, zero, 6);
		b[0] = 0x85;  /* 10b: reserved */
		r = rd_init(b, 4 + 28);
		assert_false(sc_tid_get(&r, 3, &n, &any_port));
	}
}

/* REPLACE LOST RESERVATION (table 216): scope and type are checked, APTPL counts, ALL_TG_PT and SPEC_I_PT are invalid */
static void test_replace_lost_list(void **state)
{
	struct fix *f = *state;
	uint8_t list[24];

	basic(list, 0, 5, 0x01);
	assert_int_equal(pr_out(f, SC_PR_REPLACE_LOST, 6, list, 24)->kind, SC_OP_CONTROL);
	assert_int_equal(f->op.pr.verb, SC_PR_REPLACE_LOST);
	assert_int_equal(f->op.pr.type, 6);
	assert_true(f->op.pr.aptpl);
	basic(list, 0, 5, 0x04);
	assert_bad_param(pr_out(f, SC_PR_REPLACE_LOST, 6, list, 24), 20);
	basic(list, 0, 5, 0x08);
	assert_bad_param(pr_out(f, SC_PR_REPLACE_LOST, 6, list, 24), 20);
	START(f, ALICE, 0x5f, SC_PR_REPLACE_LOST, 0x02, [8] = 24);
	assert_bad_cdb(&f->op, 2);
	START(f, ALICE, 0x5f, SC_PR_REPLACE_LOST, 0x16, [8] = 24);
	assert_bad_cdb(&f->op, 2);
}

/* SPC-4 7.6.4.6 with RFC 7143 4.2.7 */
static void test_transport_ids(void **state)
{
	static const struct { const char *text; bool ok; } rows[] = {
		{ "iqn.2026-11.org.example:bob,i,0x400000013701", true },
		{ "IQN.2026-11.Org.Example:BOB,i,0x4000000137AF", true },
		{ "iqn.2026-11.org.example:bob,i,0x4000000137:0", false },
		{ "iqn.2026-11.org.example:bob,i,0x40000001370@", false },
		{ "iqn.2026-11.org.example:bob,i,0x40000001370G", false },
		{ "iqn.2026-11.org.example:bob,i,0x4000000137", false },
		{ "iqn.2026-11.org.example:bob,i,0x40000001370122", false },
		{ "iqn.2026-11.org.example:bob,t,0x400000013701", false },
		{ "iqn.2026-11.org.example:bob", false },
		{ ",i,0x400000013701____", false },
		{ ",i,0x400000013701", false },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t b[300] = { 0x45 };
		size_t len = (strlen(rows[i].text) / 4 + 1) * 4;
		struct rd r = rd_init(b, 4 + len);
		struct sc_nexus n;
		bool any_port = true;

		memset(&n, 0xa5, sizeof(n));
		put_be16(b + 2, (uint16_t)len);
		memcpy(b + 4, rows[i].text, strlen(rows[i].text));
		assert_int_equal(sc_tid_get(&r, 3, &n, &any_port), rows[i].ok);
		if (rows[i].ok) {
			assert_string_equal(n.initiator, "iqn.2026-11.org.example:bob");
			assert_int_equal(n.rtpi, 3);
			assert_false(any_port);
			assert_int_equal(rd_left(&r), 0);
		} else {
			assert_int_equal((uint8_t)n.initiator[0], 0xa5);
		}
	}
}

static void test_transport_id_form(void **state)
{
	struct fix *f = *state;
	struct sc_nexus n;
	bool any_port;
	uint8_t b[300], good[300];
	uint32_t len = put_tid(good, &f->nx[BOB]);
	struct rd r;

	for (uint32_t cut = 0; cut < len; cut++) {  /* short of its own length */
		r = rd_init(good, cut);
		assert_false(sc_tid_get(&r, 1, &n, &any_port));
	}
	memcpy(b, good, sizeof(b));
	b[1] = 1;                                   /* reserved */
	r = rd_init(b, len);
	assert_false(sc_tid_get(&r, 1, &n, &any_port));
	memcpy(b, good, sizeof(b));
	put_be16(b + 2, (uint16_t)(len - 4 - 1));   /* not a multiple of four */
	r = rd_init(b, len);
	assert_false(sc_tid_get(&r, 1, &n, &any_port));
	memset(b + 4, 'a', 241);                    /* one more than any port name has */
	memset(b + 245, 0, sizeof(b) - 245);
	put_be16(b + 2, 244);
	r = rd_init(b, sizeof(b));
	assert_false(sc_tid_get(&r, 1, &n, &any_port));
	memset(b + 4, 'a', sizeof(b) - 4);          /* no NUL */
	put_be16(b + 2, 200);
	r = rd_init(b, sizeof(b));
	assert_false(sc_tid_get(&r, 1, &n, &any_port));
	put_be16(b + 2, 292);                       /* a name longer than there are names */
	b[295] = 0;
	r = rd_init(b, sizeof(b));
	assert_false(sc_tid_get(&r, 1, &n, &any_port));
}

/* The longest and the shortest name there is, and every digit of an ISID, go round */
static void test_longest_name(void **state)
{
	static const uint8_t digits[6] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xaf };
	struct sc_nexus n, back;
	bool any_port;
	char name[SC_NAME_MAX + 2];
	uint8_t b[256], isid[6] = { 0x80, 1, 2, 3, 4, 0xff };
	struct rd r;

	(void)state;
	memset(name, 'x', sizeof(name));
	name[SC_NAME_MAX] = 0;
	assert_true(sc_nexus_init(&n, name, isid, 9));
	r = rd_init(b, put_tid(b, &n));
	assert_true(sc_tid_get(&r, 9, &back, &any_port));
	assert_true(sc_nexus_equal(&n, &back));
	assert_true(sc_nexus_init(&n, "ab", digits, 9));
	r = rd_init(b, put_tid(b, &n));
	assert_int_equal(get_be16(b + 2), 20);
	assert_true(sc_tid_get(&r, 9, &back, &any_port));
	assert_true(sc_nexus_equal(&n, &back));
	name[SC_NAME_MAX] = 'x';
	name[SC_NAME_MAX + 1] = 0;
	assert_false(sc_nexus_init(&n, name, isid, 9));
	assert_false(sc_nexus_init(&n, "", isid, 9));
	assert_true(sc_nexus_equal(&n, &back));
}

static void test_spc2_cdbs(void **state)
{
	static const struct { uint8_t opcode, verb; } rows[] = {
		{ 0x16, SC_PR_SPC2_RESERVE }, { 0x56, SC_PR_SPC2_RESERVE }, { 0x17, SC_PR_SPC2_RELEASE }, { 0x57, SC_PR_SPC2_RELEASE },
	};
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		START(f, ALICE, rows[i].opcode);
		assert_int_equal(f->op.kind, SC_OP_CONTROL);
		assert_int_equal(f->op.control, SC_CONTROL_PR);
		assert_int_equal(f->op.pr.verb, rows[i].verb);
		START(f, ALICE, rows[i].opcode, 0x10);  /* third party */
		assert_bad_cdb(&f->op, 1);
		START(f, ALICE, rows[i].opcode, 0x01);  /* extent */
		assert_bad_cdb(&f->op, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_service_actions),
		FIX_TEST(test_scope_and_type),
		FIX_TEST(test_list_length),
		FIX_TEST(test_reserved_flags),
		FIX_TEST(test_spec_i_pt),
		FIX_TEST(test_move),
		cmocka_unit_test(test_transport_ids),
		cmocka_unit_test(test_transport_id_without_port),
		FIX_TEST(test_replace_lost_list),
		FIX_TEST(test_transport_id_form),
		cmocka_unit_test(test_longest_name),
		FIX_TEST(test_spc2_cdbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
