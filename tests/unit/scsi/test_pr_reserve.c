/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RESERVE, RELEASE, CLEAR, REGISTER AND MOVE, and SPC-2 RESERVE/RELEASE beside them; SPC-4 5.13.3, 5.13.8 to 5.13.11 */
#include "tests/unit/scsi/scsi_test.h"

#include "node/scsi/internal.h"

static const uint8_t types[] = { SC_PR_WRITE_EXCL, SC_PR_EXCL_ACCESS, SC_PR_WRITE_EXCL_RO, SC_PR_EXCL_ACCESS_RO,
				 SC_PR_WRITE_EXCL_AR, SC_PR_EXCL_ACCESS_AR };
#define EACH_TYPE(t) for (unsigned t##_i = 0, t; t##_i < ARRAY_SIZE(types) && (t = types[t##_i], true); t##_i++)

static unsigned reserve(struct fix *f, unsigned who, uint64_t key, unsigned type)
{
	return PR_DO(f, who, .verb = SC_PR_RESERVE, .key = key, .type = (uint8_t)type);
}

static unsigned release(struct fix *f, unsigned who, uint64_t key, unsigned type)
{
	return PR_DO(f, who, .verb = SC_PR_RELEASE, .key = key, .type = (uint8_t)type);
}

static void restart(struct fix *f)
{
	free((void *)f->lu.pr);
	fix_init(f);
}

/* SPC-4 5.13.1: everything but registering wants the key of a registered nexus */
static void test_key_is_checked(void **state)
{
	static const uint8_t verbs[] = { SC_PR_RESERVE, SC_PR_RELEASE, SC_PR_CLEAR, SC_PR_PREEMPT, SC_PR_PREEMPT_ABORT,
					 SC_PR_REGISTER_MOVE };
	struct fix *f = *state;

	REGISTER(f, ALICE, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
		assert_int_equal(PR_DO(f, ALICE, .verb = verbs[i], .key = 2, .sark = 1, .type = 1), SC_RESERVATION_CONFLICT);
		assert_int_equal(PR_DO(f, BOB, .verb = verbs[i], .key = 1, .sark = 1, .type = 1), SC_RESERVATION_CONFLICT);
		assert_int_equal(PR_DO(f, BOB, .verb = verbs[i], .sark = 1, .type = 1), SC_RESERVATION_CONFLICT);
	}
	assert_int_equal(generation(f), 1);
}

/* SPC-4 5.13.9: again with the same type is GOOD, everything else in conflict; the generation does not move */
static void test_reserve(void **state)
{
	struct fix *f = *state;

	EACH_TYPE(t) {
		REGISTER(f, ALICE, 1);
		REGISTER(f, BOB, 2);
		assert_int_equal(reserve(f, ALICE, 1, t), SC_GOOD);
		assert_int_equal(f->lu.pr->type, t);
		EACH_TYPE(again) {
			bool same = again == t;

			assert_int_equal(reserve(f, ALICE, 1, again), same ? SC_GOOD : SC_RESERVATION_CONFLICT);
			assert_int_equal(reserve(f, BOB, 2, again),
					 same && sc_pr_all_registrants((uint8_t)t) ? SC_GOOD : SC_RESERVATION_CONFLICT);
		}
		assert_int_equal(generation(f), 2);
		restart(f);
	}
}

/* Who holds: one nexus, or all that are registered. SPC-4 5.13.10 */
static void test_holders(void **state)
{
	struct fix *f = *state;

	EACH_TYPE(t) {
		bool all = sc_pr_all_registrants((uint8_t)t);

		REGISTER(f, ALICE, 1);
		REGISTER(f, BOB, 2);
		assert_int_equal(reserve(f, BOB, 2, t), SC_GOOD);
		assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[ALICE]), SC_ROLE_REGISTERED | (all ? SC_ROLE_HOLDER : 0));
		assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[BOB]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
		assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[CAROL]), 0);
		restart(f);
	}
}

/* SPC-4 5.13.11.2.2: RESERVATIONS RELEASED for the other registrants with types 5 to 8, for nobody with 1 and 3 */
static void test_release(void **state)
{
	struct fix *f = *state;

	EACH_TYPE(t) {
		struct sc_pr_cmd cmd = { .verb = SC_PR_RELEASE, .key = 1, .type = (uint8_t)t };
		unsigned ua = t >= SC_PR_WRITE_EXCL_RO ? SC_UA_RESERVATIONS_RELEASED : SC_UA_NONE;
		struct sc_pr_fx fx;

		REGISTER(f, ALICE, 1);
		REGISTER(f, BOB, 2);
		REGISTER(f, CAROL, 3);
		assert_int_equal(reserve(f, ALICE, 1, t), SC_GOOD);
		if (!sc_pr_all_registrants((uint8_t)t)) {
			assert_int_equal(release(f, BOB, 2, t), SC_GOOD);  /* not the holder: GOOD, nothing released */
			assert_int_equal(f->lu.pr->type, t);
		}
		assert_int_equal(pr_do(f, ALICE, cmd, &fx), SC_GOOD);
		assert_int_equal(f->lu.pr->type, SC_PR_NONE);
		assert_int_equal(f->lu.pr->n_regs, 3);
		assert_int_equal(generation(f), 3);
		assert_int_equal(fx_ua(&fx, &f->nx[ALICE]), SC_UA_NONE);
		assert_int_equal(fx_ua(&fx, &f->nx[BOB]), ua);
		assert_int_equal(fx_ua(&fx, &f->nx[CAROL]), ua);
		assert_int_equal(fx.n_items, ua ? 2 : 0);
		sc_pr_fx_free(&fx);
		assert_int_equal(release(f, ALICE, 1, t), SC_GOOD);  /* nothing held */
		restart(f);
	}
}

/* Another type or scope than what is held: INVALID RELEASE OF PERSISTENT RESERVATION */
static void test_release_mismatch(void **state)
{
	struct fix *f = *state;
	struct sc_pr_cmd cmd = { .verb = SC_PR_RELEASE, .key = 1, .type = SC_PR_EXCL_ACCESS };
	struct sc_pr_fx fx;

	REGISTER(f, ALICE, 1);
	RESERVE(f, ALICE, 1, SC_PR_WRITE_EXCL);
	assert_int_equal(pr_do(f, ALICE, cmd, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.key, SC_KEY_ILLEGAL_REQUEST);
	assert_int_equal(fx.sense.asc, SC_ASC_INVALID_RELEASE);
	cmd.type = 0x10 | SC_PR_WRITE_EXCL;
	assert_int_equal(pr_do(f, ALICE, cmd, &fx), SC_CHECK_CONDITION);
	assert_int_equal(f->lu.pr->type, SC_PR_WRITE_EXCL);
}

/* SPC-4 5.13.11.2.8: RESERVATIONS PREEMPTED for all others, whatever the type */
static void test_clear(void **state)
{
	struct fix *f = *state;
	struct sc_pr_cmd cmd = { .verb = SC_PR_CLEAR, .key = 2 };
	struct sc_pr_fx fx;

	REGISTER(f, ALICE, 1);
	REGISTER(f, BOB, 2);
	REGISTER(f, CAROL, 3);
	RESERVE(f, ALICE, 1, SC_PR_EXCL_ACCESS);
	assert_int_equal(pr_do(f, BOB, cmd, &fx), SC_GOOD);
	assert_int_equal(f->lu.pr->n_regs, 0);
	assert_int_equal(f->lu.pr->type, SC_PR_NONE);
	assert_int_equal(generation(f), 4);
	assert_int_equal(fx.n_items, 2);
	assert_int_equal(fx_ua(&fx, &f->nx[ALICE]), SC_UA_RESERVATIONS_PREEMPTED);
	assert_int_equal(fx_ua(&fx, &f->nx[CAROL]), SC_UA_RESERVATIONS_PREEMPTED);
	assert_false(fx.items[0].abort || fx.items[1].abort);
	sc_pr_fx_free(&fx);
	assert_int_equal(pr_do(f, BOB, cmd, NULL), SC_RESERVATION_CONFLICT);
}

struct move { uint8_t id[256]; struct sc_pr_cmd cmd; };

static void move_to(struct move *m, const struct sc_nexus *to, bool unreg)
{
	struct sc_out o = { .buf = m->id, .cap = sizeof(m->id) };

	sc_tid_put(&o, to);
	m->cmd = (struct sc_pr_cmd){ .verb = SC_PR_REGISTER_MOVE, .key = 1, .sark = 9, .unreg = unreg, .move_rtpi = to->rtpi,
				     .ids = m->id, .ids_len = o.len };
}

/* SPC-4 5.13.8: the other one becomes the holder, with the type as it was, and no unit attention */
static void test_move(void **state)
{
	struct fix *f = *state;
	struct move m;
	struct sc_pr_fx fx;

	for (unsigned unreg = 0; unreg < 2; unreg++) {
		for (unsigned known = 0; known < 2; known++) {
			REGISTER(f, ALICE, 1);
			if (known)
				REGISTER(f, BOB, 2);
			RESERVE(f, ALICE, 1, SC_PR_WRITE_EXCL_RO);
			move_to(&m, &f->nx[BOB], unreg);
			m.cmd.aptpl = known;
			assert_int_equal(pr_do(f, ALICE, m.cmd, &fx), SC_GOOD);
			assert_int_equal(f->lu.pr->aptpl, known);
			assert_int_equal(f->lu.pr->type, SC_PR_WRITE_EXCL_RO);
			assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[BOB]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
			assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[ALICE]), unreg ? 0 : SC_ROLE_REGISTERED);
			assert_int_equal(f->lu.pr->regs[f->lu.pr->holder].key, 9);
			assert_int_equal(generation(f), 2 + known);
			assert_int_equal(fx.n_items, 0);
			restart(f);
		}
	}
}

static void test_move_refused(void **state)
{
	struct fix *f = *state;
	struct move m;
	struct sc_pr_fx fx;

	REGISTER(f, ALICE, 1);
	REGISTER(f, CAROL, 1);
	move_to(&m, &f->nx[BOB], false);
	assert_int_equal(pr_do(f, ALICE, m.cmd, &fx), SC_CHECK_CONDITION);  /* nothing to move */
	assert_int_equal(fx.sense.asc, SC_ASC_INVALID_FIELD_CDB);
	RESERVE(f, CAROL, 1, SC_PR_WRITE_EXCL);
	assert_int_equal(pr_do(f, ALICE, m.cmd, NULL), SC_RESERVATION_CONFLICT);  /* not the holder */
	m.cmd.move_rtpi = 2;
	assert_int_equal(pr_do(f, CAROL, m.cmd, &fx), SC_CHECK_CONDITION);  /* no such port */
	assert_int_equal(fx.sense.asc, SC_ASC_INVALID_FIELD_PARAM);
	assert_int_equal(fx.sense.field, 18);
	move_to(&m, &f->nx[CAROL], false);
	assert_int_equal(pr_do(f, CAROL, m.cmd, &fx), SC_CHECK_CONDITION);  /* to itself */
	assert_int_equal(fx.sense.field, 24);
	f->tgt.n_ports = 2;
	m.cmd.move_rtpi = 2;
	assert_int_equal(pr_do(f, CAROL, m.cmd, &fx), SC_CHECK_CONDITION);  /* the same initiator port elsewhere */
	assert_int_equal(fx.sense.field, 24);
	m.cmd.sark = 0;
	assert_int_equal(pr_do(f, CAROL, m.cmd, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.field, 8);
	assert_int_equal(pr_do(f, ALICE, m.cmd, NULL), SC_RESERVATION_CONFLICT);  /* table 70: ignored for who does not hold */
	assert_int_equal(pr_do(f, BOB, m.cmd, NULL), SC_RESERVATION_CONFLICT);
	assert_int_equal(release(f, CAROL, 1, SC_PR_WRITE_EXCL), SC_GOOD);
	RESERVE(f, CAROL, 1, SC_PR_WRITE_EXCL_AR);
	move_to(&m, &f->nx[BOB], false);
	assert_int_equal(pr_do(f, CAROL, m.cmd, NULL), SC_RESERVATION_CONFLICT);  /* all registrants */
	assert_int_equal(generation(f), 2);
}

/* SPC-2 5.5.1, 7.18, 7.21 */
static void test_spc2(void **state)
{
	struct fix *f = *state;

	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RELEASE), SC_GOOD);
	assert_null(f->lu.pr);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RESERVE), SC_GOOD);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RESERVE), SC_GOOD);
	assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[ALICE]), SC_ROLE_SPC2);
	assert_int_equal(PR_DO(f, BOB, .verb = SC_PR_SPC2_RESERVE), SC_RESERVATION_CONFLICT);
	assert_int_equal(PR_DO(f, BOB, .verb = SC_PR_SPC2_RELEASE), SC_GOOD);  /* no effect */
	assert_true(f->lu.pr->spc2);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RELEASE), SC_GOOD);
	assert_true(sc_pr_equal(f->lu.pr, NULL));
}

/* It ends with its nexus, with a reset, and with power */
static void test_spc2_ends(void **state)
{
	static const struct { uint8_t verb; unsigned who; bool ends; } rows[] = {
		{ SC_PR_NEXUS_LOSS, ALICE, true }, { SC_PR_NEXUS_LOSS, BOB, false },
		{ SC_PR_RESET, BOB, true }, { SC_PR_POWER_LOSS, BOB, true },
	};
	struct fix *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RESERVE), SC_GOOD);
		assert_int_equal(PR_DO(f, rows[i].who, .verb = rows[i].verb), SC_GOOD);
		assert_int_equal(f->lu.pr->spc2, !rows[i].ends);
	}
}

/* SPC-2 5.5.1: while one kind is there, the other is in conflict, from the same nexus too */
static void test_spc2_and_persistent(void **state)
{
	struct fix *f = *state;

	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RESERVE), SC_GOOD);
	for (uint8_t verb = SC_PR_REGISTER; verb <= SC_PR_REGISTER_MOVE; verb++)
		assert_int_equal(PR_DO(f, ALICE, .verb = verb, .sark = 1, .type = 1), SC_RESERVATION_CONFLICT);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RELEASE), SC_GOOD);
	REGISTER(f, ALICE, 1);  /* registered, nothing reserved */
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RESERVE), SC_RESERVATION_CONFLICT);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_SPC2_RELEASE), SC_RESERVATION_CONFLICT);
	assert_int_equal(PR_DO(f, BOB, .verb = SC_PR_SPC2_RESERVE), SC_RESERVATION_CONFLICT);
}

/* SPC-4 5.13.3 (CRH): GOOD without effect for the holder, and for registrants with types 5 to 8 */
static void test_compatible_reservation_handling(void **state)
{
	struct fix *f = *state;

	EACH_TYPE(t) {
		unsigned bob = t >= SC_PR_WRITE_EXCL_RO ? SC_GOOD : SC_RESERVATION_CONFLICT;
		const struct sc_pr *before;

		REGISTER(f, ALICE, 1);
		REGISTER(f, BOB, 2);
		assert_int_equal(reserve(f, ALICE, 1, t), SC_GOOD);
		before = f->lu.pr;
		for (uint8_t verb = SC_PR_SPC2_RESERVE; verb <= SC_PR_SPC2_RELEASE; verb++) {
			assert_int_equal(PR_DO(f, ALICE, .verb = verb), SC_GOOD);
			assert_int_equal(PR_DO(f, BOB, .verb = verb), bob);
			assert_int_equal(PR_DO(f, CAROL, .verb = verb), SC_RESERVATION_CONFLICT);
		}
		assert_ptr_equal(f->lu.pr, before);
		restart(f);
	}
}

/* A name without ISID is a destination if it means exactly one port (SPC-4 5.13.8 c, 7.6.4.6) */
static void test_move_to_name(void **state)
{
	struct fix *f = *state;
	uint8_t id[4 + 32] = { 0x05, 0, 0, 32 };
	struct sc_nexus known[3] = { f->nx[CAROL], f->nx[BOB], f->nx[BOB] };
	struct sc_pr_cmd cmd = { .verb = SC_PR_REGISTER_MOVE, .key = 1, .sark = 9, .move_rtpi = 1, .ids = id,
				 .ids_len = sizeof(id), .known = known };
	struct sc_pr_fx fx;

	memcpy(id + 4, f->nx[BOB].initiator, strlen(f->nx[BOB].initiator));
	REGISTER(f, ALICE, 1);
	RESERVE(f, ALICE, 1, SC_PR_EXCL_ACCESS);
	for (cmd.n_known = 1; cmd.n_known <= 3; cmd.n_known += 2) {  /* none, two */
		known[2].isid[5] ^= 0x11;
		assert_int_equal(pr_do(f, ALICE, cmd, &fx), SC_CHECK_CONDITION);
		assert_int_equal(fx.sense.field, 24);
		known[2].isid[5] ^= 0x11;
	}
	known[2].rtpi = 2;  /* the same port twice */
	cmd.n_known = 3;
	assert_int_equal(pr_do(f, ALICE, cmd, NULL), SC_GOOD);
	assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[BOB]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
}

/* SPC-4 5.13.5.3.2, 5.13.11.3 */
static void test_lost(void **state)
{
	static const struct { uint8_t cdb[SC_CDB_MAX]; bool through; } rows[] = {
		{ { 0x00 }, false }, { { 0x03, 0, 0, 0, 18 }, true }, { { 0x12, 0, 0, 0, 36 }, true },
		{ { 0x28, [8] = 1 }, false }, { { 0x2a, [8] = 1 }, false }, { { 0x5e, 0, [8] = 8 }, false },
		{ { 0xa0, [9] = 64 }, true }, { { 0xa3, 0x0a, [9] = 64 }, true }, { { 0xa3, 0x0c, [9] = 64 }, false },
		{ { 0x1b, [4] = 1 }, true }, { { 0x1b, [4] = 0 }, false }, { { 0x25 }, false },
	};
	struct fix *f = *state;
	struct sc_pr_cmd replace = { .verb = SC_PR_REPLACE_LOST, .sark = 5, .type = SC_PR_EXCL_ACCESS, .aptpl = true };
	struct sc_pr_fx fx;

	assert_int_equal(pr_do(f, ALICE, replace, &fx), SC_CHECK_CONDITION);  /* nothing is lost */
	assert_int_equal(fx.sense.asc, SC_ASC_INVALID_RELEASE);
	REGISTER(f, BOB, 2);
	RESERVE(f, BOB, 2, SC_PR_WRITE_EXCL);
	assert_int_equal(pr_do(f, BOB, replace, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.asc, SC_ASC_INVALID_RELEASE);
	assert_int_equal(pr_do(f, ALICE, replace, NULL), SC_RESERVATION_CONFLICT);  /* table 66 */
	free((void *)f->lu.pr);
	sc_lu_set_pr(&f->lu, sc_pr_lost());
	assert_true(sc_pr_valid(f->lu.pr));
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		sc_op_start(&f->ctx[ALICE], rows[i].cdb, SC_CDB_MAX, &f->op);
		if (rows[i].through)
			assert_true(f->op.kind != SC_OP_DONE || f->op.status == SC_GOOD);
		else
			assert_sense(&f->op, SC_KEY_DATA_PROTECT, SC_ASC_RESERVATIONS_LOST);
	}
	for (unsigned v = 0; v <= SC_PR_SPC2_RELEASE; v = v == SC_PR_REGISTER_MOVE ? SC_PR_SPC2_RESERVE : v + 1) {
		assert_int_equal(pr_do(f, ALICE, (struct sc_pr_cmd){ .verb = (uint8_t)v, .sark = 1, .type = 1 }, &fx),
				 SC_CHECK_CONDITION);
		assert_int_equal(fx.sense.key, SC_KEY_DATA_PROTECT);
		assert_int_equal(fx.sense.asc, SC_ASC_RESERVATIONS_LOST);
	}
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_RESET), SC_GOOD);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_POWER_LOSS), SC_GOOD);
	assert_true(f->lu.pr->lost);
	replace.key = 1;
	assert_int_equal(pr_do(f, ALICE, replace, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.field, 0);
	replace.key = replace.sark = 0;
	assert_int_equal(pr_do(f, ALICE, replace, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.field, 8);
	replace.sark = 5;
	assert_int_equal(pr_do(f, ALICE, replace, NULL), SC_GOOD);
	assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[ALICE]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
	assert_int_equal(f->lu.pr->type, SC_PR_EXCL_ACCESS);
	assert_true(f->lu.pr->aptpl && !f->lu.pr->lost);
	assert_int_equal(generation(f), 0);
	START(f, BOB, 0x28, [8] = 1);
	assert_int_equal(f->op.status, SC_RESERVATION_CONFLICT);
	START(f, ALICE, 0x28, [8] = 1);
	assert_int_equal(f->op.kind, SC_OP_READ);
}

static void test_unknown_verb(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	assert_int_equal(pr_do(f, ALICE, (struct sc_pr_cmd){ .verb = 0x09 }, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.asc, SC_ASC_INVALID_FIELD_CDB);
	assert_int_equal(pr_do(f, ALICE, (struct sc_pr_cmd){ .verb = SC_PR_POWER_LOSS + 1 }, &fx), SC_CHECK_CONDITION);
	assert_int_equal(pr_do(f, ALICE, (struct sc_pr_cmd){ .verb = 0xff }, &fx), SC_CHECK_CONDITION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_key_is_checked),
		FIX_TEST(test_reserve),
		FIX_TEST(test_holders),
		FIX_TEST(test_release),
		FIX_TEST(test_release_mismatch),
		FIX_TEST(test_clear),
		FIX_TEST(test_move),
		FIX_TEST(test_move_refused),
		FIX_TEST(test_spc2),
		FIX_TEST(test_spc2_ends),
		FIX_TEST(test_spc2_and_persistent),
		FIX_TEST(test_compatible_reservation_handling),
		FIX_TEST(test_move_to_name),
		FIX_TEST(test_lost),
		FIX_TEST(test_unknown_verb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
