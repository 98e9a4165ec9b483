/* SPDX-License-Identifier: GPL-2.0-or-later */
/* REGISTER and REGISTER AND IGNORE EXISTING KEY, SPEC_I_PT, ALL_TG_PT, APTPL, power loss; SPC-4 5.13.5, 5.13.7 */
#include "tests/unit/scsi/scsi_test.h"

#include "node/scsi/internal.h"

static uint64_t key_of(const struct fix *f, unsigned who)
{
	int i = sc_pr_find(f->lu.pr, &f->nx[who]);

	return i < 0 ? 0 : f->lu.pr->regs[i].key;
}

/* Table 45: by an unregistered nexus */
static void test_register_unregistered(void **state)
{
	struct fix *f = *state;

	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 5, .sark = 1), SC_RESERVATION_CONFLICT);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 5), SC_RESERVATION_CONFLICT);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER), SC_GOOD);      /* nothing to do */
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER_IGNORE, .key = 5), SC_GOOD);
	assert_null(f->lu.pr);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .sark = 1), SC_GOOD);
	assert_int_equal(key_of(f, ALICE), 1);
	assert_int_equal(generation(f), 1);
	assert_int_equal(PR_DO(f, BOB, .verb = SC_PR_REGISTER_IGNORE, .key = 99, .sark = 1), SC_GOOD);  /* equal keys are fine */
	assert_int_equal(key_of(f, BOB), 1);
	assert_int_equal(generation(f), 2);
}

/* Table 46: by a registered nexus */
static void test_register_registered(void **state)
{
	struct fix *f = *state;

	REGISTER(f, ALICE, 1);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 2, .sark = 3), SC_RESERVATION_CONFLICT);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .sark = 3), SC_RESERVATION_CONFLICT);
	assert_int_equal(generation(f), 1);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 1, .sark = 3), SC_GOOD);
	assert_int_equal(key_of(f, ALICE), 3);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER_IGNORE, .key = 77, .sark = 4), SC_GOOD);
	assert_int_equal(key_of(f, ALICE), 4);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 4, .sark = 4), SC_GOOD);  /* to itself: counted */
	assert_int_equal(generation(f), 4);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 4), SC_GOOD);
	assert_int_equal(f->lu.pr->n_regs, 0);
	assert_int_equal(generation(f), 5);
}

/* A key change keeps the reservation; unregistering the holder releases it, and says so to fellow registrants only */
static void test_unregister_holder(void **state)
{
	static const struct { uint8_t type; bool released, ua; } rows[] = {
		{ SC_PR_WRITE_EXCL, true, false }, { SC_PR_EXCL_ACCESS, true, false },
		{ SC_PR_WRITE_EXCL_RO, true, true }, { SC_PR_EXCL_ACCESS_RO, true, true },
		{ SC_PR_WRITE_EXCL_AR, false, false }, { SC_PR_EXCL_ACCESS_AR, false, false },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fix *f = *state;
		struct sc_pr_fx fx;

		REGISTER(f, BOB, 2);
		REGISTER(f, ALICE, 1);
		RESERVE(f, ALICE, 1, rows[i].type);
		assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 1, .sark = 9), SC_GOOD);
		assert_int_equal(f->lu.pr->type, rows[i].type);
		assert_int_equal(pr_do(f, ALICE, (struct sc_pr_cmd){ .verb = SC_PR_REGISTER, .key = 9 }, &fx), SC_GOOD);
		assert_int_equal(f->lu.pr->type, rows[i].released ? SC_PR_NONE : rows[i].type);
		assert_int_equal(fx_ua(&fx, &f->nx[BOB]), rows[i].ua ? SC_UA_RESERVATIONS_RELEASED : SC_UA_NONE);
		assert_int_equal(fx.n_items, rows[i].ua);
		sc_pr_fx_free(&fx);
		/* the last registrant of an all registrants reservation takes it away */
		assert_int_equal(pr_do(f, BOB, (struct sc_pr_cmd){ .verb = SC_PR_REGISTER_IGNORE }, &fx), SC_GOOD);
		assert_int_equal(f->lu.pr->type, SC_PR_NONE);
		assert_int_equal(fx.n_items, 0);
		sc_pr_fx_free(&fx);
		free((void *)f->lu.pr);
		fix_init(f);
	}
}

/* Unregistering somebody who does not hold keeps the holder the holder, before and behind it in the list */
static void test_unregister_others(void **state)
{
	struct fix *f = *state;

	REGISTER(f, ALICE, 1);
	REGISTER(f, BOB, 2);
	REGISTER(f, CAROL, 3);
	RESERVE(f, BOB, 2, SC_PR_WRITE_EXCL);
	REGISTER(f, CAROL, 0);
	assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[BOB]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
	REGISTER(f, ALICE, 0);
	assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[BOB]), SC_ROLE_REGISTERED | SC_ROLE_HOLDER);
	assert_int_equal(f->lu.pr->holder, 0);
	assert_int_equal(sc_pr_role(f->lu.pr, &f->nx[ALICE]), 0);
}

static void nth_nexus(struct sc_nexus *n, unsigned i)
{
	uint8_t isid[6] = { 0x80, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

	assert_true(sc_nexus_init(n, "iqn.2026-11.org.example:many", isid, 1));
}

/* SPC-4 5.13.7: no room: INSUFFICIENT REGISTRATION RESOURCES, and nothing changes */
static void test_limit(void **state)
{
	struct fix *f = *state;
	struct sc_pr_fx fx;

	for (unsigned i = 0; i < SC_PR_MAX_REGS; i++) {
		nth_nexus(&f->nx[DAVE], i);
		REGISTER(f, DAVE, i + 1);
	}
	assert_int_equal(f->lu.pr->n_regs, SC_PR_MAX_REGS);
	assert_int_equal(pr_do(f, ALICE, (struct sc_pr_cmd){ .verb = SC_PR_REGISTER, .sark = 7 }, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.key, SC_KEY_ILLEGAL_REQUEST);
	assert_int_equal(fx.sense.asc, SC_ASC_INSUFFICIENT_REGISTRATION);
	assert_int_equal(generation(f), SC_PR_MAX_REGS);
	REGISTER(f, DAVE, 1000);  /* who is in may change its key */
	REGISTER(f, DAVE, 0);
	REGISTER(f, ALICE, 7);
}

/* ALL_TG_PT: through every port of the target at once */
static void test_all_target_ports(void **state)
{
	struct fix *f = *state;
	struct sc_nexus other = f->nx[ALICE];

	f->tgt.n_ports = 2;
	other.rtpi = 2;
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .sark = 1, .all_tg_pt = true), SC_GOOD);
	assert_int_equal(f->lu.pr->n_regs, 2);
	assert_int_equal(sc_pr_role(f->lu.pr, &other), SC_ROLE_REGISTERED);
	assert_int_equal(generation(f), 1);
	REGISTER(f, ALICE, 0);
	assert_int_equal(f->lu.pr->n_regs, 1);  /* without the bit: this nexus alone */
	assert_int_equal(sc_pr_role(f->lu.pr, &other), SC_ROLE_REGISTERED);
	/* as if it came through each port by itself: the other one's key is another */
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .sark = 2, .all_tg_pt = true), SC_RESERVATION_CONFLICT);
	assert_int_equal(f->lu.pr->n_regs, 1);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER_IGNORE, .sark = 2, .all_tg_pt = true), SC_GOOD);
	assert_int_equal(f->lu.pr->regs[0].key, 2);
	assert_int_equal(f->lu.pr->regs[1].key, 2);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 2, .sark = 3, .all_tg_pt = true), SC_GOOD);
	assert_int_equal(f->lu.pr->regs[0].key, 3);
	assert_int_equal(f->lu.pr->regs[1].key, 3);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .key = 3, .all_tg_pt = true), SC_GOOD);
	assert_int_equal(f->lu.pr->n_regs, 0);
	assert_int_equal(generation(f), 5);
}

static uint32_t tids(const struct fix *f, uint8_t *buf, uint32_t cap, unsigned first, unsigned last)
{
	struct sc_out o = { .buf = buf, .cap = cap };

	for (unsigned i = first; i <= last; i++)
		sc_tid_put(&o, &f->nx[i]);
	assert_true(o.len <= cap);
	return o.len;
}

/* SPEC_I_PT: the sender and the listed ports, all or none */
static void test_specified_initiators(void **state)
{
	struct fix *f = *state;
	uint8_t ids[512];
	uint32_t n = tids(f, ids, sizeof(ids), BOB, CAROL);
	struct sc_pr_cmd cmd = { .verb = SC_PR_REGISTER, .sark = 1, .spec_i_pt = true, .ids = ids, .ids_len = n };
	struct sc_pr_fx fx;

	assert_int_equal(pr_do(f, ALICE, cmd, NULL), SC_GOOD);
	assert_int_equal(f->lu.pr->n_regs, 3);
	assert_int_equal(key_of(f, ALICE), 1);
	assert_int_equal(key_of(f, BOB), 1);
	assert_int_equal(key_of(f, CAROL), 1);
	assert_int_equal(generation(f), 1);
	cmd.sark = 0;
	assert_int_equal(pr_do(f, DAVE, cmd, NULL), SC_GOOD);  /* without a key nobody is registered, and nobody changed */
	assert_int_equal(key_of(f, BOB), 1);
	assert_int_equal(pr_do(f, DAVE, (struct sc_pr_cmd){ .verb = SC_PR_REGISTER, .sark = 4, .spec_i_pt = true, .ids = ids,
							     .ids_len = n }, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.asc, SC_ASC_INVALID_FIELD_PARAM);  /* table 67, footnote b: BOB is registered */
	assert_int_equal(fx.sense.field, 28);
	assert_int_equal(key_of(f, DAVE), 0);
	cmd.key = cmd.sark = 1;
	assert_int_equal(pr_do(f, ALICE, cmd, &fx), SC_CHECK_CONDITION);  /* only from an unregistered nexus */
	assert_int_equal(fx.sense.asc, SC_ASC_INVALID_FIELD_PARAM);
	assert_int_equal(fx.sense.field, 20);
	assert_int_equal(generation(f), 1);
}

static void test_specified_initiators_no_room(void **state)
{
	struct fix *f = *state;
	uint8_t ids[512];
	uint32_t n = tids(f, ids, sizeof(ids), BOB, CAROL);
	struct sc_pr_cmd cmd = { .verb = SC_PR_REGISTER, .sark = 1, .spec_i_pt = true, .ids = ids, .ids_len = n };

	for (unsigned i = 0; i < SC_PR_MAX_REGS - 2; i++) {
		nth_nexus(&f->nx[DAVE], i);
		REGISTER(f, DAVE, i + 1);
	}
	assert_int_equal(pr_do(f, ALICE, cmd, NULL), SC_CHECK_CONDITION);
	assert_int_equal(f->lu.pr->n_regs, SC_PR_MAX_REGS - 2);
	assert_int_equal(key_of(f, ALICE), 0);
	REGISTER(f, DAVE, 0);
	assert_int_equal(pr_do(f, ALICE, cmd, NULL), SC_GOOD);
}

/* FORMAT CODE 00b: every port of the name that is known; nobody of that name: refused, as 7.6.4.6 allows */
static void test_specified_names(void **state)
{
	struct fix *f = *state;
	uint8_t id[4 + 32] = { 0x05, 0, 0, 32 };
	struct sc_nexus known[3] = { f->nx[BOB], f->nx[CAROL], f->nx[BOB] };
	struct sc_pr_cmd cmd = { .verb = SC_PR_REGISTER, .sark = 1, .spec_i_pt = true, .ids = id, .ids_len = sizeof(id),
				 .known = known, .n_known = 3 };
	struct sc_pr_fx fx;

	known[2].isid[0] ^= 1;
	known[2].rtpi = 2;
	memcpy(id + 4, f->nx[BOB].initiator, strlen(f->nx[BOB].initiator));
	assert_int_equal(pr_do(f, ALICE, cmd, NULL), SC_GOOD);
	assert_int_equal(f->lu.pr->n_regs, 3);
	assert_int_equal(key_of(f, BOB), 1);
	assert_int_equal(key_of(f, CAROL), 0);
	known[2].rtpi = 1;  /* registered through the port the command came through */
	assert_int_equal(sc_pr_role(f->lu.pr, &known[2]), SC_ROLE_REGISTERED);
	memcpy(id + 4, "iqn.nobody", 11);
	assert_int_equal(pr_do(f, DAVE, cmd, &fx), SC_CHECK_CONDITION);
	assert_int_equal(fx.sense.field, 28);
	assert_int_equal(f->lu.pr->n_regs, 3);
}

/* SPC-4 5.13.5: the last REGISTER says whether registrations outlive a power loss; the generation starts again */
static void test_power_loss(void **state)
{
	struct fix *f = *state;

	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_REGISTER, .sark = 1, .aptpl = true), SC_GOOD);
	RESERVE(f, ALICE, 1, SC_PR_EXCL_ACCESS_RO);
	assert_true(f->lu.pr->aptpl);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_POWER_LOSS), SC_GOOD);
	assert_int_equal(f->lu.pr->n_regs, 1);
	assert_int_equal(f->lu.pr->type, SC_PR_EXCL_ACCESS_RO);
	assert_int_equal(generation(f), 0);
	assert_int_equal(PR_DO(f, BOB, .verb = SC_PR_REGISTER, .sark = 2), SC_GOOD);  /* without: switched off */
	assert_false(f->lu.pr->aptpl);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_POWER_LOSS), SC_GOOD);
	assert_true(sc_pr_equal(f->lu.pr, NULL));
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_POWER_LOSS), SC_GOOD);
}

/* A reset of the logical unit or a lost nexus does not touch persistent reservations. SPC-4 5.13.4 */
static void test_events_keep_registrations(void **state)
{
	struct fix *f = *state;
	const struct sc_pr *before;

	REGISTER(f, ALICE, 1);
	RESERVE(f, ALICE, 1, SC_PR_EXCL_ACCESS);
	before = f->lu.pr;
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_NEXUS_LOSS), SC_GOOD);
	assert_int_equal(PR_DO(f, ALICE, .verb = SC_PR_RESET), SC_GOOD);
	assert_ptr_equal(f->lu.pr, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_register_unregistered),
		FIX_TEST(test_register_registered),
		FIX_TEST(test_unregister_holder),
		FIX_TEST(test_unregister_others),
		FIX_TEST(test_limit),
		FIX_TEST(test_all_target_ports),
		FIX_TEST(test_specified_initiators),
		FIX_TEST(test_specified_initiators_no_room),
		FIX_TEST(test_specified_names),
		FIX_TEST(test_power_loss),
		FIX_TEST(test_events_keep_registrations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
