/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving a group up in order, and being asked to: docs/architecture.md, "Planned move" */
#include "tests/unit/core/drive.h"

/* Drain, address, sockets, last record: in this order, and the key stays. */
static void planned_move(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	drive_admin(d, CORE_VERB_MOVE, 2, false);
	expect_words(d, "drain down drop final");
	expect_state(d, CORE_STANDBY);
	assert_int_equal(d->lun[0].node, 1);
	drive_run(d, 1000);
	expect_words(d, "");                      /* beta is to take it: we wait */
	d->peer[2].state = CORE_ACTIVE;
	d->peer[2].key_epoch = 2;
	drive_say(d, 2);
	assert_int_equal(d->n_results, 1);
	assert_true(d->result_ok);
	expect_in(d->result, "served by beta");
	drive_free(d);
}

/* The destination dies while we drain: the group stays, under a key that has moved on. */
static void destination_dies(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->hold_target = true;
	drive_admin(d, CORE_VERB_MOVE, 2, false);
	expect_words(d, "drain");
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	d->hold_target = false;
	drive_target(d, CORE_TARGET_DEACTIVATED);
	drive_run(d, 100);
	expect_words(d, "down drop read store bump activate up!");
	expect_state(d, CORE_ACTIVE);
	expect_in(d->result, "is back on alpha");
	assert_false(d->result_ok);
	drive_free(d);
}

/* The destination cannot: it says so, and the next in order takes the group, which is us. */
static void destination_blocked(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	drive_admin(d, CORE_VERB_MOVE, 2, false);
	forget_words(d);
	d->peer[2].state = CORE_BLOCKED;
	d->peer[2].eligible = false;
	d->peer[2].why = "no path to the LUN";
	drive_say(d, 2);
	drive_run(d, 100);
	expect_words(d, "read store push take activate up!");
	assert_false(d->result_ok);
	drive_free(d);
}

static void move_refused(void **state)
{
	static const struct { bool live, eligible; uint8_t to; const char *text; } t[] = {
		{ true, false, 2, "beta cannot take vmstore: its disk is full" },
		{ false, false, 2, "not a node of the group, or is not here" },
		{ true, true, 1, "is there already" },
		{ true, false, 0, "no other node cannot take" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct drive *d = drive_new(2);

		d->peer[2].live = true;
		drive_serve(d);
		d->peer[2].live = t[i].live;
		d->peer[2].eligible = t[i].eligible;
		d->peer[2].why = "its disk is full";
		drive_members(d, CORE_LEFT_NODE_DOWN);
		forget_words(d);
		drive_admin(d, CORE_VERB_MOVE, t[i].to, false);
		expect_words(d, "");
		assert_false(d->result_ok);
		if (i < 3)
			expect_in(d->result, t[i].text);
		expect_state(d, CORE_ACTIVE);
		drive_free(d);
	}
}

/* Stopped is stopped, also after a restart of clusterd, until somebody starts it. */
static void stop_and_start(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	drive_admin(d, CORE_VERB_STOP, 0, false);
	expect_words(d, "store drain down drop final");
	expect_state(d, CORE_STOPPED);
	assert_true(d->result_ok);
	assert_true(d->disk.stopped);
	drive_restart(d, CORE_T_NONE, 0);
	drive_run(d, 20000);
	expect_words(d, "start configure");
	expect_state(d, CORE_STOPPED);
	drive_admin(d, CORE_VERB_START, 0, false);
	drive_run(d, 100);
	expect_words(d, "store read store push take activate up!");
	expect_in(d->result, "vmstore is served by alpha");
	assert_false(d->disk.stopped);
	drive_free(d);
}

/* A node that was away learns of the wish from whoever heard it. The larger generation wins; at a tie, stopped. */
static void wish_travels(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 1, 4 };
	d->peer[2].record = drive_record(1, 4, 10);
	d->peer[2].record.admin_gen = 7;
	d->peer[2].record.stopped = true;
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 10000);
	expect_state(d, CORE_STOPPED);
	assert_int_equal(d->disk.admin_gen, 7);
	d->peer[2].record.stopped = false;
	drive_say(d, 2);
	expect_state(d, CORE_STOPPED);
	d->peer[2].record.admin_gen = 8;
	drive_say(d, 2);
	drive_run(d, 100);
	expect_state(d, CORE_ACTIVE);
	drive_free(d);
}

/* --force: what is outdated starts; without, it does not, and says what to do. */
static void force(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->peer[2].live = false;
	d->disk = drive_record(2, 5, 10);
	d->lun[0] = (struct core_key){ 2, 7 };
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 100);
	drive_admin(d, CORE_VERB_START, 0, false);
	expect_state(d, CORE_BLOCKED);
	assert_false(d->result_ok);
	expect_in(d->result, "`lunwardctl group start --force vmstore` to lose what beta acknowledged");
	forget_words(d);
	drive_admin(d, CORE_VERB_START, 0, true);
	drive_run(d, 1000);
	expect_words(d, "store read store read take activate up!");
	assert_true(d->result_ok);
	assert_int_equal(d->lun[0].epoch, 8);
	drive_free(d);
}

/* The owner releases: drained first, then the keys go, and the group stays down until it is started with all nodes. */
static void release_by_owner(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->n_luns = 2;
	drive_serve(d);
	drive_admin(d, CORE_VERB_RELEASE, 0, false);
	drive_run(d, 100);
	expect_words(d, "store drain down drop release release1");
	expect_state(d, CORE_STOPPED);
	assert_int_equal(d->lun[0].epoch, 0);
	assert_int_equal(d->lun[1].epoch, 0);
	assert_true(d->result_ok);
	drive_free(d);
}

/* Nobody owns it. A key of a node that is not here may be a living owner's: only with --force. */
static void release_without_owner(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->peer[2].live = false;
	d->disk = drive_record(2, 5, 10);
	d->disk.admin_gen = 3;
	d->disk.stopped = true;
	d->lun[0] = (struct core_key){ 2, 5 };
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 4000);
	forget_words(d);
	drive_admin(d, CORE_VERB_RELEASE, 0, false);
	assert_false(d->result_ok);
	expect_in(d->result, "its key is of beta, which is not here");
	assert_int_equal(d->lun[0].epoch, 5);
	forget_words(d);
	drive_admin(d, CORE_VERB_RELEASE, 0, true);
	drive_run(d, 100);
	assert_true(d->result_ok);
	assert_int_equal(d->lun[0].epoch, 0);
	expect_state(d, CORE_STOPPED);
	drive_free(d);
}

/* clusterd is asked to leave: groups go to others first, and it does not take long, whatever hangs. */
static void shutdown(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	drive_feed(d, (struct core_event){ .type = CORE_EV_SHUTDOWN });
	expect_words(d, "drain down drop final stop exit");
	assert_true(core_deadline(d->core) == CORE_NEVER);
	drive_free(d);

	d = drive_new(2);
	drive_serve(d);
	d->hold_target = true;
	drive_feed(d, (struct core_event){ .type = CORE_EV_SHUTDOWN });
	drive_run(d, 20000);
	expect_words(d, "drain down drop kill final exit");
	drive_free(d);
}

/* A better node is back: it gets its group, but only where that is asked for. */
static void failback(void **state)
{
	for (int automatic = 0; automatic < 2; automatic++) {
		struct drive *d = drive_new(2);

		(void)state;
		d->failback = automatic;
		d->order[0] = 2;
		d->order[1] = 1;
		d->peer[2].eligible = false;
		d->disk = drive_record(1, 4, 10);
		d->lun[0] = (struct core_key){ 1, 4 };
		drive_serve(d);
		d->peer[2].eligible = true;
		drive_say(d, 2);
		drive_run(d, 6000);
		expect_words(d, automatic ? "drain down drop final" : "");
		drive_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(planned_move), cmocka_unit_test(destination_dies), cmocka_unit_test(destination_blocked),
		cmocka_unit_test(move_refused), cmocka_unit_test(stop_and_start), cmocka_unit_test(wish_travels),
		cmocka_unit_test(force), cmocka_unit_test(release_by_owner), cmocka_unit_test(release_without_owner),
		cmocka_unit_test(shutdown), cmocka_unit_test(failback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
