/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PREEMPT and PREEMPT AND ABORT: the compare-and-swap that fencing stands on; SPC-4 5.13.11.2.3 to 5.13.11.2.7 */
#include "tests/unit/scsi/scsi_test.h"

#include "node/scsi/internal.h"

static const uint8_t verbs[] = { SC_PR_PREEMPT, SC_PR_PREEMPT_ABORT };
#define EACH_VERB(v) for (unsigned v##_i = 0, v; v##_i < ARRAY_SIZE(verbs) && (v = verbs[v##_i], true); v##_i++)

/* ALICE 1, BOB 2, CAROL 3, DAVE 2; type 0: nothing reserved, else ALICE reserved */
static void scene(struct fix *f, unsigned type)
{
	free((void *)f->lu.pr);
	fix_init(f);
	REGISTER(f, ALICE, 1);
	REGISTER(f, BOB, 2);
	REGISTER(f, CAROL, 3);
	REGISTER(f, DAVE, 2);
	if (type)
		RESERVE(f, ALICE, 1, (uint8_t)type);
}

static unsigned preempt(struct fix *f, unsigned verb, unsigned who, uint64_t key, uint64_t sark, unsigned type,
			struct sc_pr_fx *fx)
{
	struct sc_pr_cmd cmd = { .verb = (uint8_t)verb, .key = key, .sark = sark, .type = (uint8_t)type };

	return pr_do(f, who, cmd, fx);
}

static bool registered(const struct fix *f, unsigned who)
{
	return sc_pr_find(f->lu.pr, &f->nx[who]) >= 0;
}

/* Who lost its registration gets REGISTRATIONS PREEMPTED; its tasks are aborted by PREEMPT AND ABORT only */
static void assert_victim(const struct fix *f, const struct sc_pr_fx *fx, unsigned verb, unsigned who)
{
	const struct sc_pr_fx_item *item = fx_of(fx, &f->nx[who]);

	assert_false(registered(f, who));
	assert_non_null(item);
	assert_int_equal(item->ua, SC_UA_REGISTRATIONS_PREEMPTED);
	assert_int_equal(item->abort, verb == SC_PR_PREEMPT_ABORT);
}

/* 5.13.11.2.6: nothing reserved: every registration with the key goes, type and scope do not matter */
static void test_removes_registrations(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		scene(f, SC_PR_NONE);
		assert_int_equal(preempt(f, v, ALICE, 1, 2, 0xff, &fx), SC_GOOD);
		assert_int_equal(fx.n_items, 2);
		assert_victim(f, &fx, v, BOB);
		assert_victim(f, &fx, v, DAVE);
		assert_true(registered(f, ALICE) && registered(f, CAROL));
		assert_int_equal(f->lu.pr->type, SC_PR_NONE);
		assert_int_equal(generation(f), 5);
		sc_pr_fx_free(&fx);
	}
}

/* 5.13.11.2.4: the holder's key: the reservation changes hands in one step, with the type that was asked for */
static void test_takes_over(void **state)
{
	static const uint8_t types[] = { SC_PR_WRITE_EXCL, SC_PR_EXCL_ACCESS, SC_PR_WRITE_EXCL_RO, SC_PR_EXCL_ACCESS_RO };
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
			bool same = types[i] == SC_PR_EXCL_ACCESS_RO;
			unsigned others = same ? SC_UA_NONE : SC_UA_RESERVATIONS_RELEASED;

			scene(f, types[i]);
			assert_int_equal(preempt(f, v, BOB, 2, 1, SC_PR_EXCL_ACCESS_RO, &fx), SC_GOOD);
			assert_victim(f, &fx, v, ALICE);
			assert_int_equal(f->lu.pr->type, SC_PR_EXCL_ACCESS_RO);
			assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[BOB]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
			assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[DAVE]), SC_ROLE_REGISTERED);
			assert_int_equal(fx_ua(&fx, &f->nx[BOB]), SC_UA_NONE);
			assert_int_equal(fx_ua(&fx, &f->nx[CAROL]), others);
			assert_int_equal(fx_ua(&fx, &f->nx[DAVE]), others);
			assert_int_equal(fx.n_items, same ? 1 : 3);
			assert_int_equal(generation(f), 5);
			sc_pr_fx_free(&fx);
		}
	}
}

/* Others with the holder's key go with it, wherever they are in the list */
static void test_takes_over_from_shared_key(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		scene(f, SC_PR_NONE);
		RESERVE(f, DAVE, 2, SC_PR_EXCL_ACCESS_RO);
		assert_int_equal(preempt(f, v, CAROL, 3, 2, SC_PR_EXCL_ACCESS_RO, &fx), SC_GOOD);
		assert_int_equal(fx.n_items, 2);
		assert_victim(f, &fx, v, BOB);
		assert_victim(f, &fx, v, DAVE);
		assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[CAROL]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
		assert_int_equal(f->lu.pr->n_regs, 2);
		sc_pr_fx_free(&fx);
	}
}

/* A nexus may preempt its own key: as holder it stays registered and may change the type, its namesakes go */
static void test_preempts_itself(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		scene(f, SC_PR_NONE);
		RESERVE(f, BOB, 2, SC_PR_WRITE_EXCL);
		assert_int_equal(preempt(f, v, BOB, 2, 2, SC_PR_EXCL_ACCESS_RO, &fx), SC_GOOD);
		assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[BOB]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
		assert_int_equal(f->lu.pr->type, SC_PR_EXCL_ACCESS_RO);
		assert_victim(f, &fx, v, DAVE);
		assert_int_equal(fx_ua(&fx, &f->nx[BOB]), SC_UA_NONE);
		assert_int_equal(fx_of(&fx, &f->nx[BOB]) != NULL, v == SC_PR_PREEMPT_ABORT);  /* its own tasks, too */
		assert_int_equal(fx_ua(&fx, &f->nx[ALICE]), SC_UA_RESERVATIONS_RELEASED);
		sc_pr_fx_free(&fx);
	}
}

/* 5.13.11.2.6: without holding, the own key removes the own registration, and no unit attention says so */
static void test_removes_itself(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		scene(f, SC_PR_WRITE_EXCL);
		assert_int_equal(preempt(f, v, BOB, 2, 2, SC_PR_WRITE_EXCL, &fx), SC_GOOD);
		assert_false(registered(f, BOB));
		assert_victim(f, &fx, v, DAVE);
		assert_int_equal(fx_ua(&fx, &f->nx[BOB]), SC_UA_NONE);
		assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[ALICE]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
		sc_pr_fx_free(&fx);
	}
}

/* Not the holder's key: registrations go, the reservation stays with its holder and type */
static void test_leaves_reservation(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		scene(f, SC_PR_NONE);
		RESERVE(f, CAROL, 3, SC_PR_WRITE_EXCL_RO);
		assert_int_equal(preempt(f, v, ALICE, 1, 2, SC_PR_EXCL_ACCESS, &fx), SC_GOOD);
		assert_victim(f, &fx, v, BOB);
		assert_victim(f, &fx, v, DAVE);
		assert_int_equal(fx.n_items, 2);
		assert_int_equal(f->lu.pr->type, SC_PR_WRITE_EXCL_RO);
		assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[CAROL]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
		sc_pr_fx_free(&fx);
	}
}

/* A key that nobody has (any more): RESERVATION CONFLICT. This is what makes PREEMPT a compare-and-swap. */
static void test_stale_key(void **state)
{
	static const uint8_t types[] = { SC_PR_NONE, SC_PR_EXCL_ACCESS_RO, SC_PR_EXCL_ACCESS_AR };
	struct fix *f = *state;

	EACH_VERB(v) {
		for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
			scene(f, types[i]);
			assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 1, .sark = 11), SC_GOOD);
			assert_int_equal(preempt(f, v, BOB, 2, 1, SC_PR_EXCL_ACCESS_RO, NULL), SC_RESERVATION_CONFLICT);
			assert_int_equal(f->lu.pr->n_regs, 4);
			assert_int_equal(generation(f), 5);
		}
	}
}

/* Zero names nobody, unless all registrants hold: INVALID FIELD IN PARAMETER LIST (table 72), a conflict with nothing held */
static void test_zero_key(void **state)
{
	static const uint8_t types[] = { SC_PR_WRITE_EXCL, SC_PR_EXCL_ACCESS_RO };
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		scene(f, SC_PR_NONE);
		assert_int_equal(preempt(f, v, BOB, 2, 0, SC_PR_EXCL_ACCESS_RO, NULL), SC_RESERVATION_CONFLICT);
		for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
			scene(f, types[i]);
			assert_int_equal(preempt(f, v, BOB, 2, 0, SC_PR_EXCL_ACCESS_RO, &fx), SC_CHECK_CONDITION);
			assert_int_equal(fx.sense.asc, SC_ASC_INVALID_FIELD_PARAM);
			assert_int_equal(fx.sense.field, 8);
			assert_int_equal(f->lu.pr->n_regs, 4);
		}
	}
}

/* All registrants and zero: everybody else goes, the reservation is the preempting nexus's with the new type */
static void test_all_registrants_taken_over(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		scene(f, SC_PR_WRITE_EXCL_AR);
		assert_int_equal(preempt(f, v, CAROL, 3, 0, SC_PR_EXCL_ACCESS, &fx), SC_GOOD);
		if (v == SC_PR_PREEMPT_ABORT) {  /* "all commands for all registered I_T nexuses": its own too */
			assert_non_null(fx_of(&fx, &f->nx[CAROL]));
			assert_true(fx_of(&fx, &f->nx[CAROL])->abort && !fx_of(&fx, &f->nx[CAROL])->ua);
		}
		assert_int_equal(fx.n_items, v == SC_PR_PREEMPT_ABORT ? 4 : 3);
		assert_victim(f, &fx, v, ALICE);
		assert_victim(f, &fx, v, BOB);
		assert_victim(f, &fx, v, DAVE);
		assert_int_equal(f->lu.pr->n_regs, 1);
		assert_int_equal(f->lu.pr->type, SC_PR_EXCL_ACCESS);
		assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[CAROL]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
		sc_pr_fx_free(&fx);
	}
}

/* All registrants and a key: those registrations go, the reservation stays all registrants' */
static void test_all_registrants_thinned(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	EACH_VERB(v) {
		scene(f, SC_PR_WRITE_EXCL_AR);
		assert_int_equal(preempt(f, v, CAROL, 3, 2, SC_PR_EXCL_ACCESS, &fx), SC_GOOD);
		assert_int_equal(fx.n_items, 2);
		assert_victim(f, &fx, v, BOB);
		assert_victim(f, &fx, v, DAVE);
		assert_int_equal(f->lu.pr->type, SC_PR_WRITE_EXCL_AR);
		sc_pr_fx_free(&fx);
		/* until nobody is left */
		assert_int_equal(preempt(f, v, CAROL, 3, 1, 0, NULL), SC_GOOD);
		assert_int_equal(preempt(f, v, CAROL, 3, 3, 0, NULL), SC_GOOD);
		assert_int_equal(f->lu.pr->n_regs, 0);
		assert_int_equal(f->lu.pr->type, SC_PR_NONE);
	}
}

/* The type matters only where a reservation is made: then it must be one, for the logical unit */
static void test_bad_type(void **state)
{
	static const uint8_t bad[] = { 0x00, 0x02, 0x04, 0x09, 0x0f, 0x16, 0x26 };
	struct fix *f = *state;
	struct sc_pr_fx fx;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		scene(f, SC_PR_EXCL_ACCESS_RO);
		assert_int_equal(preempt(f, SC_PR_PREEMPT, BOB, 2, 1, bad[i], &fx), SC_CHECK_CONDITION);
		assert_int_equal(fx.sense.asc, SC_ASC_INVALID_FIELD_CDB);
		assert_int_equal(fx.sense.field, 2);
		assert_true(registered(f, ALICE));
		assert_int_equal(preempt(f, SC_PR_PREEMPT, BOB, 2, 3, bad[i], NULL), SC_GOOD);
	}
}

/* Two nodes race for the same victim: exactly one wins. What fencing relies on (docs/architecture.md). */
static void test_race_has_one_winner(void **state)
{
	struct fix *f = *state;

	scene(f, SC_PR_EXCL_ACCESS_RO);
	assert_int_equal(preempt(f, SC_PR_PREEMPT_ABORT, CAROL, 3, 1, SC_PR_EXCL_ACCESS_RO, NULL), SC_GOOD);
	assert_int_equal(preempt(f, SC_PR_PREEMPT_ABORT, BOB, 2, 1, SC_PR_EXCL_ACCESS_RO, NULL), SC_RESERVATION_CONFLICT);
	assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[CAROL]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
	/* and the victim is out: it cannot even take back what it held */
	assert_int_equal(preempt(f, SC_PR_PREEMPT_ABORT, ALICE, 1, 3, SC_PR_EXCL_ACCESS_RO, NULL), SC_RESERVATION_CONFLICT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_removes_registrations),
		FIX_TEST(test_takes_over),
		FIX_TEST(test_takes_over_from_shared_key),
		FIX_TEST(test_preempts_itself),
		FIX_TEST(test_removes_itself),
		FIX_TEST(test_leaves_reservation),
		FIX_TEST(test_stale_key),
		FIX_TEST(test_zero_key),
		FIX_TEST(test_all_registrants_taken_over),
		FIX_TEST(test_all_registrants_thinned),
		FIX_TEST(test_bad_type),
		FIX_TEST(test_race_has_one_winner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
