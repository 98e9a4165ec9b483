/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_machine.c - each operation alone: its commands, its outcomes, and every way a command can go wrong
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "fencing/arbitrate.h"
#include "node/util/util.h"
#include "tests/unit/fencing/lun_model.h"

enum { A, B, A_DATA, B_DATA, C, ALIEN };  /* nexuses */
enum { CLUSTER = 7 };

static struct lun_model lun;
static struct fence_machine m;
static struct fence_result res;
static enum fence_cmd_op sent[512];
static unsigned int n_sent;

/* What may happen to the @at-th command (from 0). */
static struct trouble {
	int at;
	enum { NOTHING, LOST_BEFORE, LOST_AFTER, UNSENT, UNIT_ATTENTION, RESET, BUSY, EVENT } what;
	void (*event)(void);  /* before the command is executed */
} trouble;

static uint64_t key(unsigned int node, uint32_t epoch)
{
	return fence_key_make(CLUSTER, node + 1, epoch);
}

static void exec(unsigned int nexus, const struct fence_cmd *cmd)
{
	bool now = trouble.what != NOTHING && (int)n_sent == trouble.at;
	enum fence_cmd_op op = cmd->op;

	sent[n_sent++] = op;
	assert_true(n_sent < ARRAY_SIZE(sent));
	if (now && trouble.what == EVENT)
		trouble.event();
	if (now && trouble.what == UNIT_ATTENTION)
		lun.nexus[nexus].ua = 0x2a05;
	if (now && trouble.what == RESET)
		lun_power_loss(&lun);
	if (!now || trouble.what == LOST_AFTER || trouble.what >= UNIT_ATTENTION)
		lun_exec(&lun, nexus, cmd, &res);
	if (now && (trouble.what == LOST_BEFORE || trouble.what == LOST_AFTER))
		fence_result_lost(&res, cmd, "test");
	if (now && trouble.what == UNSENT)
		fence_result_unsent(&res, cmd, "test");
	if (now && trouble.what == BUSY)
		fence_result_scsi(&res, cmd, 0x08, NULL, 0, NULL, 0);
}

static enum fence_verdict run_request(unsigned int nexus, const struct fence_request *req)
{
	struct fence_cmd cmd;

	n_sent = 0;
	fence_begin(&m, req);
	for (bool more = fence_step(&m, NULL, &cmd); more; more = fence_step(&m, &res, &cmd))
		exec(nexus, &cmd);
	assert_int_equal(m.outcome.commands, n_sent);
	assert_false(fence_step(&m, &res, &cmd));
	assert_true(m.outcome.verdict == FENCE_OK || m.outcome.text[0]);
	assert_int_equal(m.outcome.verdict == FENCE_ERROR, m.outcome.why != FENCE_WHY_NONE);
	return m.outcome.verdict;
}

static enum fence_verdict run(unsigned int nexus, enum fence_op op, uint64_t k, uint64_t expect)
{
	return run_request(nexus, &(struct fence_request){ .op = op, .key = k, .expect = expect });
}

/* A owns with epoch 5 and has a data nexus. */
static int owned_by_a(void **state)
{
	(void)state;
	lun_init(&lun);
	trouble = (struct trouble){ 0 };
	lun.nexus[A].key = lun.nexus[A_DATA].key = key(A, 5);
	lun.holder = A;
	lun.type = FENCE_TYPE_EA_RO;
	lun.aptpl = true;
	return 0;
}

static int free_lun(void **state)
{
	(void)state;
	lun_init(&lun);
	trouble = (struct trouble){ 0 };
	return 0;
}

static void only_registered(unsigned int nexus, uint64_t k)
{
	for (unsigned int i = 0; i < LUN_NEXUSES; i++)
		assert_int_equal(lun.nexus[i].key, i == nexus ? k : 0);
}

#define assert_sent(...) do { \
	static const enum fence_cmd_op want[] = { __VA_ARGS__ }; \
	assert_int_equal(n_sent, ARRAY_SIZE(want)); \
	assert_memory_equal(sent, want, sizeof(want)); \
} while (0)

/* ---- take ---- */

static void take_from_a_dead_owner(void **state)
{
	(void)state;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_OK);
	assert_sent(FENCE_CMD_REPORT_CAPABILITIES, FENCE_CMD_READ_KEYS, FENCE_CMD_READ_RESERVATION,
		    FENCE_CMD_REGISTER_AND_IGNORE, FENCE_CMD_PREEMPT_AND_ABORT, FENCE_CMD_READ_KEYS,
		    FENCE_CMD_READ_RESERVATION);
	only_registered(B, key(B, 6));
	assert_int_equal(lun.holder, B);
	assert_int_equal(lun.type, FENCE_TYPE_EA_RO);
	assert_true(lun.aptpl);
	assert_true(m.outcome.touched);
	assert_string_equal(m.outcome.text, "");
	assert_int_equal(m.outcome.view.holder, key(B, 6));
}

static void take_a_free_lun(void **state)
{
	(void)state;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 1), 0), FENCE_OK);
	assert_sent(FENCE_CMD_REPORT_CAPABILITIES, FENCE_CMD_READ_KEYS, FENCE_CMD_READ_RESERVATION,
		    FENCE_CMD_REGISTER_AND_IGNORE, FENCE_CMD_RESERVE, FENCE_CMD_READ_KEYS, FENCE_CMD_READ_RESERVATION);
	only_registered(B, key(B, 1));
	assert_int_equal(lun.holder, B);
}

static void take_removes_data_nexuses_with_other_epochs(void **state)
{
	(void)state;
	lun.nexus[A_DATA].key = key(A, 4);
	lun.nexus[B_DATA].key = key(B, 2);  /* of an earlier life of ours */
	lun.nexus[C].key = key(C, 6);       /* a challenger that died */
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_OK);
	only_registered(B, key(B, 6));
}

/* Our nexus still has the key of before a reboot, as holder: registering anew makes the new key the holder's. */
static void take_after_own_reboot_as_holder(void **state)
{
	(void)state;
	assert_int_equal(run(A, FENCE_OP_TAKE, key(A, 6), key(A, 5)), FENCE_OK);
	only_registered(A, key(A, 6));
	assert_int_equal(lun.holder, A);
}

static void take_after_own_reboot_with_a_stale_key(void **state)
{
	(void)state;
	lun.nexus[B].key = key(B, 3);
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_OK);
	only_registered(B, key(B, 6));
}

/* Holder is us, but through another nexus: the ISID changed. */
static void take_from_own_other_nexus(void **state)
{
	(void)state;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(A, 6), key(A, 5)), FENCE_OK);
	only_registered(B, key(A, 6));
	assert_int_equal(lun.holder, B);
}

static void take_again_what_is_held(void **state)
{
	(void)state;
	lun.nexus[C].key = key(C, 9);
	assert_int_equal(run(A, FENCE_OP_TAKE, key(A, 5), key(A, 5)), FENCE_OK);
	assert_int_equal(lun.nexus[A].key, key(A, 5));
	assert_int_equal(lun.nexus[A_DATA].key, key(A, 5));  /* has the same key: ours */
	assert_int_equal(lun.nexus[C].key, 0);
}

static void take_loses_when_the_holder_is_another(void **state)
{
	(void)state;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(C, 4)), FENCE_LOST);
	assert_sent(FENCE_CMD_REPORT_CAPABILITIES, FENCE_CMD_READ_KEYS, FENCE_CMD_READ_RESERVATION);
	assert_int_equal(m.outcome.view.holder, key(A, 5));
	assert_false(m.outcome.touched);
}

static void take_loses_when_a_free_lun_is_expected(void **state)
{
	(void)state;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), 0), FENCE_LOST);
	assert_int_equal(lun.nexus[B].key, 0);
}

static void owner_bumps(void) { lun.nexus[A].key = key(A, 6); }
static void owner_bumps_all(void) { lun.nexus[A].key = lun.nexus[A_DATA].key = key(A, 6); }
static void owner_sweeps(void) { lun.nexus[B].key = 0; }
static void c_wins(void)
{
	lun.nexus[A].key = lun.nexus[A_DATA].key = 0;
	lun.nexus[C].key = key(C, 6);
	lun.holder = C;
}

/* The owner moves its key right before the preempt; a data nexus may still have the old one: GOOD is no proof. */
static void take_loses_to_a_living_owner(void **state)
{
	static void (*const how[])(void) = { owner_bumps, owner_bumps_all, owner_sweeps, c_wins };

	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		owned_by_a(state);
		trouble = (struct trouble){ 4, EVENT, how[i] };
		assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_LOST);
		assert_int_equal(sent[4], FENCE_CMD_PREEMPT_AND_ABORT);
		assert_int_equal(lun.nexus[B].key, 0);
		assert_int_equal(lun.holder, how[i] == c_wins ? C : A);
	}
}

static void take_loses_after_its_claim(void **state)
{
	(void)state;
	trouble = (struct trouble){ 6, EVENT, c_wins };
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_LOST);
	assert_int_equal(lun.nexus[B].key, 0);
	assert_int_equal(lun.holder, C);
}

/* ---- take: foreign keys ---- */

static void foreign_holder_is_left_alone(void **state)
{
	static const uint64_t foreign[] = { 0x1234, 0x4c57000801000001 };

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		owned_by_a(state);
		lun.nexus[A].key = foreign[i];
		assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_FOREIGN);
		assert_int_equal(m.outcome.view.foreign, foreign[i]);
		assert_false(m.outcome.touched);
		assert_int_equal(lun.nexus[B].key, 0);
	}
}

static void foreign_registration_is_left_alone(void **state)
{
	(void)state;
	lun.nexus[ALIEN].key = 0xabc;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_FOREIGN);
	assert_int_equal(m.outcome.view.foreign, 0xabc);
	assert_false(m.outcome.touched);
}

static void alien_registers(void) { lun.nexus[ALIEN].key = 0xabc; lun.generation++; }

/* Seen before the claim: our registration is taken back. Seen after: the reservation stays ours, but we do not serve. */
static void foreign_registration_while_taking(void **state)
{
	for (int at = 1; at <= 6; at++) {
		owned_by_a(state);
		trouble = (struct trouble){ at, EVENT, alien_registers };
		assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_FOREIGN);
		assert_int_equal(lun.nexus[ALIEN].key, 0xabc);
		assert_int_equal(lun.holder, at >= 3 ? B : A);
		assert_int_equal(lun.nexus[B].key, at >= 3 ? key(B, 6) : 0);
	}
}

/* Types 7 and 8 show no holder (SPC-4 6.15.3) and are never ours. */
static void all_registrants_is_foreign(void **state)
{
	(void)state;
	lun.type = FENCE_TYPE_EA_AR;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), 0), FENCE_FOREIGN);
	assert_int_equal(lun.nexus[B].key, 0);
	assert_int_equal(run(A, FENCE_OP_RELEASE, key(A, 5), 0), FENCE_LOST);
}

/* ---- take: devices of all kinds ---- */

static void device_without_capabilities(void **state)
{
	(void)state;
	lun.no_caps = true;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_OK);
	assert_int_equal(lun.type, FENCE_TYPE_EA_RO);
}

static void device_without_type_6(void **state)
{
	(void)state;
	lun.no_type6 = true;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_OK);
	assert_int_equal(lun.type, FENCE_TYPE_WE_RO);
	assert_non_null(strstr(m.outcome.text, "type 5"));
}

/* APTPL: known from the capabilities, or learned by a refusal (26/00, or, as tgt does, 24/00) */
static void device_without_aptpl(void **state)
{
	for (int i = 0; i < 2; i++) {
		owned_by_a(state);
		lun.no_aptpl = true;
		lun.no_caps = i;
		assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_OK);
		assert_int_equal(n_sent, i ? 8 : 7);
		assert_non_null(strstr(m.outcome.text, "power loss"));
		assert_int_equal(run(B, FENCE_OP_BUMP, key(B, 7), key(B, 6)), FENCE_OK);
		assert_int_equal(run(B_DATA, FENCE_OP_JOIN, key(B, 7), 0), FENCE_OK);
		assert_int_equal(run(B_DATA, FENCE_OP_REKEY, key(B, 8), key(B, 7)), FENCE_OK);
		assert_int_equal(run(B_DATA, FENCE_OP_LEAVE, key(B, 8), 0), FENCE_OK);
	}
}

static void device_without_preempt_and_abort(void **state)
{
	(void)state;
	lun.no_abort = true;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), key(A, 5)), FENCE_ERROR);
	assert_int_equal(m.outcome.why, FENCE_WHY_UNSUPPORTED);
	assert_non_null(strstr(m.outcome.text, "PREEMPT AND ABORT"));
	assert_int_equal(lun.nexus[B].key, 0);
	assert_int_equal(lun.holder, A);
	assert_int_equal(run_request(B, &(struct fence_request){ .op = FENCE_OP_TAKE, .key = key(B, 6),
			 .expect = key(A, 5), .plain_preempt = true }), FENCE_OK);
	only_registered(B, key(B, 6));
}

static void device_without_reservations(void **state)
{
	(void)state;
	lun.refuse_all = lun.no_caps = true;
	lun.holder = -1;
	lun.type = 0;
	assert_int_equal(run(B, FENCE_OP_TAKE, key(B, 6), 0), FENCE_ERROR);
	assert_int_equal(m.outcome.why, FENCE_WHY_UNSUPPORTED);
	assert_false(m.outcome.touched);
}

static void own_reservation_of_another_type_is_made_anew(void **state)
{
	(void)state;
	lun.type = FENCE_TYPE_WE;
	assert_int_equal(run(A, FENCE_OP_TAKE, key(A, 6), key(A, 5)), FENCE_OK);
	assert_int_equal(lun.type, FENCE_TYPE_EA_RO);
	only_registered(A, key(A, 6));
}

static void c_registers_again(void) { lun.nexus[C].key = key(C, 6); lun.generation++; }

static void keys_that_keep_coming_back_are_an_error(void **state)
{
	struct fence_cmd cmd;

	(void)state;
	n_sent = 0;
	fence_begin(&m, &(struct fence_request){ .op = FENCE_OP_TAKE, .key = key(B, 6), .expect = key(A, 5) });
	for (bool more = fence_step(&m, NULL, &cmd); more; more = fence_step(&m, &res, &cmd)) {
		if (cmd.op == FENCE_CMD_READ_KEYS)
			c_registers_again();
		exec(B, &cmd);
	}
	assert_int_equal(m.outcome.verdict, FENCE_ERROR);
	assert_int_equal(m.outcome.why, FENCE_WHY_DEVICE);
	assert_true(n_sent > 64);
}

/* ---- any operation: one trouble with each of its commands in turn ---- */

static const struct {
	unsigned int nexus;
	enum fence_op op;
	uint32_t epoch, expect;  /* of node @who; @expect of node A */
	unsigned int who;
} whole[] = {
	{ B, FENCE_OP_TAKE, 6, 5, B },
	{ A, FENCE_OP_TAKE, 6, 5, A },
	{ A, FENCE_OP_BUMP, 6, 5, A },
	{ A, FENCE_OP_SWEEP, 5, 0, A },
	{ A, FENCE_OP_RELEASE, 5, 0, A },
	{ A_DATA, FENCE_OP_JOIN, 5, 0, A },
	{ A_DATA, FENCE_OP_REKEY, 6, 5, A },
	{ A_DATA, FENCE_OP_LEAVE, 5, 0, A },
	{ C, FENCE_OP_READ, 1, 0, C },
};

static enum fence_verdict run_whole(size_t i)
{
	return run(whole[i].nexus, whole[i].op, key(whole[i].who, whole[i].epoch),
		   whole[i].expect ? key(A, whole[i].expect) : 0);
}

/*
 * Whatever happens once to whichever command, on a device that keeps its state, the operation ends well, and the
 * device is in the same state as without the trouble.
 */
static void one_trouble_anywhere_is_overcome(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		struct lun_model want;
		unsigned int n;

		owned_by_a(state);
		lun.nexus[C].key = key(C, 6);
		assert_int_equal(run_whole(i), FENCE_OK);
		want = lun;
		n = n_sent;
		for (int what = LOST_BEFORE; what <= BUSY; what++) {
			for (int at = 0; at < (int)n; at++) {
				owned_by_a(state);
				lun.nexus[C].key = key(C, 6);
				trouble = (struct trouble){ at, (unsigned int)what, NULL };
				assert_int_equal(run_whole(i), FENCE_OK);
				assert_true(n_sent > n || what == LOST_AFTER || what == LOST_BEFORE);
				for (unsigned int x = 0; x < LUN_NEXUSES; x++)
					assert_int_equal(lun.nexus[x].key, want.nexus[x].key);
				assert_int_equal(lun.holder, want.holder);
				assert_int_equal(lun.type, want.type);
			}
		}
	}
}

static void exec_always(unsigned int nexus, const struct fence_cmd *cmd, unsigned int what)
{
	trouble = (struct trouble){ (int)n_sent, what, NULL };
	exec(nexus, cmd);
}

/* Trouble that never ends is an error in words after a bounded number of commands, never a win. */
static void endless_trouble_ends_in_an_error(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		for (int what = LOST_BEFORE; what <= BUSY; what++) {
			struct fence_request req = { whole[i].op, key(whole[i].who, whole[i].epoch),
						     whole[i].expect ? key(A, whole[i].expect) : 0, false };
			struct fence_cmd cmd;

			if (what == LOST_AFTER)
				continue;
			owned_by_a(state);
			n_sent = 0;
			fence_begin(&m, &req);
			for (bool more = fence_step(&m, NULL, &cmd); more; more = fence_step(&m, &res, &cmd))
				exec_always(whole[i].nexus, &cmd, (unsigned int)what);
			assert_int_equal(m.outcome.verdict, FENCE_ERROR);
			assert_int_equal(m.outcome.why, what == LOST_BEFORE || what == UNSENT ?
					 FENCE_WHY_UNREACHABLE : FENCE_WHY_DEVICE);
		}
	}
}

static void busy_devices_are_asked_again_after_a_pause(void **state)
{
	struct fence_cmd cmd;

	(void)state;
	n_sent = 0;
	trouble = (struct trouble){ 0, BUSY, NULL };
	fence_begin(&m, &(struct fence_request){ .op = FENCE_OP_READ });
	assert_true(fence_step(&m, NULL, &cmd));
	assert_int_equal(cmd.delay_ms, 0);
	exec(A, &cmd);
	assert_true(fence_step(&m, &res, &cmd));
	assert_true(cmd.delay_ms > 0);
	exec(A, &cmd);
	assert_true(fence_step(&m, &res, &cmd));
	assert_int_equal(cmd.delay_ms, 0);
}

/* ---- bump ---- */

static void bump(void **state)
{
	(void)state;
	assert_int_equal(run(A, FENCE_OP_BUMP, key(A, 6), key(A, 5)), FENCE_OK);
	assert_sent(FENCE_CMD_REGISTER, FENCE_CMD_READ_KEYS, FENCE_CMD_READ_RESERVATION);
	assert_int_equal(lun.nexus[A].key, key(A, 6));
	assert_int_equal(lun.nexus[A_DATA].key, key(A, 5));  /* follows by itself */
	assert_int_equal(lun.holder, A);
}

/* A fenced node's bump must not give it a registration back. */
static void bump_of_a_fenced_node(void **state)
{
	(void)state;
	c_wins();
	assert_int_equal(run(A, FENCE_OP_BUMP, key(A, 6), key(A, 5)), FENCE_LOST);
	assert_int_equal(m.outcome.view.holder, key(C, 6));
	only_registered(C, key(C, 6));
}

static void bump_after_the_array_forgot(void **state)
{
	(void)state;
	lun.aptpl = false;
	lun_power_loss(&lun);
	assert_int_equal(run(A, FENCE_OP_BUMP, key(A, 6), key(A, 5)), FENCE_LOST);
	assert_int_equal(m.outcome.view.holder, 0);
	only_registered(A, 0);
}

static void bump_through_a_wrong_nexus(void **state)
{
	(void)state;
	assert_int_equal(run(C, FENCE_OP_BUMP, key(A, 6), key(A, 5)), FENCE_LOST);
	assert_non_null(strstr(m.outcome.text, "ISID"));
	assert_int_equal(lun.nexus[C].key, 0);
}

/* Registered with the old key, but not the holder (nothing of ours makes this): do not stay registered. */
static void bump_without_holding(void **state)
{
	(void)state;
	lun.holder = C;
	lun.nexus[C].key = key(C, 6);
	assert_int_equal(run(A, FENCE_OP_BUMP, key(A, 6), key(A, 5)), FENCE_LOST);
	assert_int_equal(lun.nexus[A].key, 0);
}

/* ---- sweep, release ---- */

static void sweep_removes_other_nodes_only(void **state)
{
	(void)state;
	lun.nexus[A_DATA].key = key(A, 4);
	lun.nexus[B].key = key(B, 6);
	lun.nexus[C].key = key(C, 6);
	assert_int_equal(run(A, FENCE_OP_SWEEP, key(A, 5), 0), FENCE_OK);
	assert_int_equal(lun.nexus[A].key, key(A, 5));
	assert_int_equal(lun.nexus[A_DATA].key, key(A, 4));
	assert_int_equal(lun.nexus[B].key | lun.nexus[C].key, 0);
}

static void sweep_reports_foreign_keys(void **state)
{
	(void)state;
	lun.nexus[B].key = key(B, 6);
	alien_registers();
	assert_int_equal(run(A, FENCE_OP_SWEEP, key(A, 5), 0), FENCE_FOREIGN);
	assert_int_equal(lun.nexus[B].key, 0);
	assert_int_equal(lun.nexus[ALIEN].key, 0xabc);
	assert_int_equal(lun.holder, A);
}

static void sweep_of_a_fenced_node(void **state)
{
	(void)state;
	c_wins();
	assert_int_equal(run(A, FENCE_OP_SWEEP, key(A, 5), 0), FENCE_LOST);
	assert_int_equal(lun.holder, C);
}

static void release_gives_the_lun_back(void **state)
{
	(void)state;
	lun.nexus[B].key = key(B, 3);
	assert_int_equal(run(A, FENCE_OP_RELEASE, key(A, 5), 0), FENCE_OK);
	only_registered(A, 0);
	assert_int_equal(lun.holder, -1);
	assert_int_equal(run(A, FENCE_OP_RELEASE, key(A, 5), 0), FENCE_OK);  /* again: nothing left to do */
}

static void release_leaves_foreign_keys(void **state)
{
	(void)state;
	alien_registers();
	assert_int_equal(run(A, FENCE_OP_RELEASE, key(A, 5), 0), FENCE_OK);
	only_registered(ALIEN, 0xabc);
}

static void release_of_what_is_not_ours(void **state)
{
	(void)state;
	assert_int_equal(run(B, FENCE_OP_RELEASE, key(B, 4), 0), FENCE_LOST);
	assert_int_equal(lun.holder, A);
	assert_false(m.outcome.touched);
}

/* ---- data nexuses ---- */

static void join(void **state)
{
	(void)state;
	assert_int_equal(run(C, FENCE_OP_JOIN, key(A, 5), 0), FENCE_OK);
	assert_sent(FENCE_CMD_REGISTER_AND_IGNORE, FENCE_CMD_READ_RESERVATION);
	assert_int_equal(lun.nexus[C].key, key(A, 5));
}

static void join_of_a_fenced_node(void **state)
{
	(void)state;
	c_wins();
	assert_int_equal(run(A_DATA, FENCE_OP_JOIN, key(A, 5), 0), FENCE_LOST);
	only_registered(C, key(C, 6));
	assert_int_equal(m.outcome.view.holder, key(C, 6));
}

/* The group's key has moved on meanwhile: exactly this key, not just this node. */
static void join_with_an_old_epoch(void **state)
{
	(void)state;
	owner_bumps();
	assert_int_equal(run(B_DATA, FENCE_OP_JOIN, key(A, 5), 0), FENCE_LOST);
	assert_int_equal(lun.nexus[B_DATA].key, 0);
	assert_int_equal(m.outcome.view.holder, key(A, 6));
}

static void join_of_an_unreserved_lun(void **state)
{
	(void)state;
	assert_int_equal(run(A_DATA, FENCE_OP_JOIN, key(A, 5), 0), FENCE_LOST);
	only_registered(A, 0);
}

static void join_under_a_weaker_reservation(void **state)
{
	(void)state;
	lun.type = FENCE_TYPE_WE;
	assert_int_equal(run(B_DATA, FENCE_OP_JOIN, key(A, 5), 0), FENCE_LOST);
	assert_int_equal(lun.nexus[B_DATA].key, 0);
}

static void rekey(void **state)
{
	(void)state;
	assert_int_equal(run(A_DATA, FENCE_OP_REKEY, key(A, 6), key(A, 5)), FENCE_OK);
	assert_sent(FENCE_CMD_REGISTER);
	assert_int_equal(lun.nexus[A_DATA].key, key(A, 6));
}

static void rekey_of_a_fenced_nexus(void **state)
{
	(void)state;
	c_wins();
	assert_int_equal(run(A_DATA, FENCE_OP_REKEY, key(A, 6), key(A, 5)), FENCE_LOST);
	only_registered(C, key(C, 6));
}

static void leave(void **state)
{
	(void)state;
	assert_int_equal(run(A_DATA, FENCE_OP_LEAVE, key(A, 5), 0), FENCE_OK);
	only_registered(A, key(A, 5));
	assert_int_equal(run(A_DATA, FENCE_OP_LEAVE, key(A, 5), 0), FENCE_OK);
}

/* ---- read, requests, abort ---- */

static void read_shows_what_is_there(void **state)
{
	(void)state;
	lun.nexus[C].key = key(C, 9);
	assert_int_equal(run(B, FENCE_OP_READ, key(B, 1), 0), FENCE_OK);
	assert_true(m.outcome.view.valid);
	assert_int_equal(m.outcome.view.n_keys, 3);
	assert_int_equal(m.outcome.view.holder, key(A, 5));
	assert_int_equal(m.outcome.view.type, FENCE_TYPE_EA_RO);
	assert_int_equal(m.outcome.view.max_epoch, 9);
	assert_int_equal(m.outcome.view.foreign, 0);
	assert_false(m.outcome.touched);
}

static void wrong_requests(void **state)
{
	const struct fence_request wrong[] = {
		{ FENCE_OP__MAX, key(A, 1), 0, false },
		{ FENCE_OP_TAKE, 0, 0, false },
		{ FENCE_OP_TAKE, 0x1234, 0, false },
		{ FENCE_OP_TAKE, key(A, 6), 0x1234, false },        /* from a foreign key */
		{ FENCE_OP_TAKE, key(A, 6), key(B, 6), false },     /* epoch does not grow */
		{ FENCE_OP_BUMP, key(A, 6), key(A, 6), false },
		{ FENCE_OP_BUMP, key(A, 6), key(B, 5), false },
		{ FENCE_OP_BUMP, key(A, 6), 0, false },
		{ FENCE_OP_REKEY, key(A, 5), key(A, 6), false },
		{ FENCE_OP_JOIN, 0, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(run_request(A, &wrong[i]), FENCE_ERROR);
		assert_int_equal(m.outcome.why, FENCE_WHY_REQUEST);
		assert_int_equal(n_sent, 0);
	}
}

static void abort_says_whether_something_was_touched(void **state)
{
	struct fence_cmd cmd;

	(void)state;
	fence_begin(&m, &(struct fence_request){ .op = FENCE_OP_BUMP, .key = key(A, 6), .expect = key(A, 5) });
	fence_abort(&m, FENCE_WHY_CANCELED, "test");
	assert_false(m.outcome.touched);
	assert_false(fence_step(&m, NULL, &cmd));
	fence_begin(&m, &(struct fence_request){ .op = FENCE_OP_BUMP, .key = key(A, 6), .expect = key(A, 5) });
	assert_true(fence_step(&m, NULL, &cmd));
	fence_abort(&m, FENCE_WHY_TIMEOUT, "test");
	assert_int_equal(m.outcome.verdict, FENCE_ERROR);
	assert_int_equal(m.outcome.why, FENCE_WHY_TIMEOUT);
	assert_true(m.outcome.touched);
}

#define owned(f) cmocka_unit_test_setup(f, owned_by_a)
#define unowned(f) cmocka_unit_test_setup(f, free_lun)

int main(void)
{
	const struct CMUnitTest tests[] = {
		owned(take_from_a_dead_owner),
		unowned(take_a_free_lun),
		owned(take_removes_data_nexuses_with_other_epochs),
		owned(take_after_own_reboot_as_holder),
		owned(take_after_own_reboot_with_a_stale_key),
		owned(take_from_own_other_nexus),
		owned(take_again_what_is_held),
		owned(take_loses_when_the_holder_is_another),
		owned(take_loses_when_a_free_lun_is_expected),
		owned(take_loses_to_a_living_owner),
		owned(take_loses_after_its_claim),
		owned(foreign_holder_is_left_alone),
		owned(foreign_registration_is_left_alone),
		owned(foreign_registration_while_taking),
		owned(all_registrants_is_foreign),
		owned(device_without_capabilities),
		owned(device_without_type_6),
		owned(device_without_aptpl),
		owned(device_without_preempt_and_abort),
		unowned(device_without_reservations),
		owned(own_reservation_of_another_type_is_made_anew),
		owned(keys_that_keep_coming_back_are_an_error),
		owned(one_trouble_anywhere_is_overcome),
		owned(endless_trouble_ends_in_an_error),
		owned(busy_devices_are_asked_again_after_a_pause),
		owned(bump),
		owned(bump_of_a_fenced_node),
		owned(bump_after_the_array_forgot),
		owned(bump_through_a_wrong_nexus),
		owned(bump_without_holding),
		owned(sweep_removes_other_nodes_only),
		owned(sweep_reports_foreign_keys),
		owned(sweep_of_a_fenced_node),
		owned(release_gives_the_lun_back),
		owned(release_leaves_foreign_keys),
		owned(release_of_what_is_not_ours),
		owned(join),
		owned(join_of_a_fenced_node),
		owned(join_with_an_old_epoch),
		unowned(join_of_an_unreserved_lun),
		owned(join_under_a_weaker_reservation),
		owned(rekey),
		owned(rekey_of_a_fenced_nexus),
		owned(leave),
		owned(read_shows_what_is_there),
		owned(wrong_requests),
		owned(abort_says_whether_something_was_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
