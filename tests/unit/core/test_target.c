/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target processes, restarts of clusterd, pauses, configuration: docs/architecture.md, "Supervision" */
#include "tests/unit/core/drive.h"

static void crash_in_place(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	drive_target(d, CORE_TARGET_DIED);
	drive_run(d, 50);
	expect_words(d, "start configure activate");   /* same key, addresses never went */
	expect_state(d, CORE_ACTIVE);
	assert_int_equal(d->lun[0].epoch, 1);
	drive_free(d);
}

/* A change under way when the target died is brought to its end before anybody sees the record; nobody is answered. */
static void crash_during_commit(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->peer[2].acks = ACK_NEVER;
	drive_change(d, 1);
	drive_change(d, 2);
	drive_target(d, CORE_TARGET_DIED);
	drive_run(d, 50);
	expect_words(d, "store push start configure");
	d->peer[2].acks = ACK_OK;
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	drive_run(d, 50);
	expect_words(d, "read store bump store activate");
	drive_free(d);
}

static void crash_loop(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	for (int i = 0; i < 3; i++) {
		drive_target(d, CORE_TARGET_DIED);
		drive_run(d, i < 2 ? 1500 : 10);
	}
	expect_words(d, "start configure activate start configure activate down");
	expect_state(d, CORE_BLOCKED);
	expect_in(drive_view(d).why, "another node shall try");
	drive_free(d);

	d = drive_new(2);  /* nobody else can: go on trying here */
	d->peer[2].eligible = false;
	drive_serve(d);
	for (int i = 0; i < 6; i++) {
		drive_target(d, CORE_TARGET_DIED);
		drive_run(d, 15000);
	}
	expect_state(d, CORE_ACTIVE);
	drive_free(d);
}

static void hung(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	drive_target(d, CORE_TARGET_HUNG);
	drive_run(d, 50);
	expect_words(d, "kill start configure activate");
	drive_free(d);
}

/* RESERVATION CONFLICT on its own I/O: fenced. It does not come back by itself while somebody else serves. */
static void conflict(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->lun[0] = (struct core_key){ 2, 2 };
	drive_target(d, CORE_TARGET_FENCED);
	expect_words(d, "drop down");
	expect_state(d, CORE_BLOCKED);
	expect_in(drive_view(d).why, "RESERVATION CONFLICT");
	drive_free(d);
}

static void cannot_open(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->activate_error = "LUN 0: No such device";
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 100);
	expect_words(d, "start configure read store push take activate up! drop down");
	expect_state(d, CORE_BLOCKED);
	expect_in(drive_view(d).why, "No such device");
	drive_free(d);
}

/* clusterd was restarted, its target serves: read the key, renew the addresses, and move the key before the next commit. */
static void adopt(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(1, 4, 10);
	d->peer[2].record = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 1, 4 };
	drive_start(d, CORE_T_ACTIVE, 4);
	expect_words(d, "read up read store push bump rekey configure up");
	expect_state(d, CORE_ACTIVE);
	drive_change(d, 1);
	expect_words(d, "store push ok1");
	drive_free(d);
}

static void adopt_fenced(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 2, 5 };
	d->peer[2].state = CORE_ACTIVE;
	d->peer[2].key_epoch = 5;
	d->peer[2].record = drive_record(2, 5, 20);
	drive_start(d, CORE_T_ACTIVE, 4);
	expect_words(d, "read drop down");
	expect_state(d, CORE_STANDBY);
	assert_int_equal(drive_view(d).owner, 2);
	drive_free(d);
}

/* Stopped for a while: whatever we hold may have been taken. Look before anything is answered. */
static void paused(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->now += 5000;
	d->lun[0] = (struct core_key){ 2, 2 };
	drive_change(d, 1);
	expect_words(d, "read drop down");
	expect_state(d, CORE_BLOCKED);
	drive_free(d);
}

/* The lease of the addresses ran out meanwhile: they come back under a key nobody can have waited for. */
static void address_expired(void **state)
{
	struct drive *d = drive_new(2);
	struct core_event ev = { .type = CORE_EV_ADDRESS };

	(void)state;
	drive_serve(d);
	drive_run(d, 2000);
	ev.address = (struct core_ev_address){ .group = "vmstore", .expired = true };
	drive_feed(d, ev);
	expect_words(d, "read store push bump rekey up!");
	drive_free(d);
}

/* An owner looks at its key unasked: somebody may have cleared the reservation with a tool. */
static void key_vanishes(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->lun[0] = (struct core_key){ 0 };
	drive_run(d, 11000);
	expect_words(d, "sweep drop down");
	drive_free(d);
}

/* A LUN more, a LUN less, while we serve: taken first, then the target is told; let go when the others are held. */
static void config_luns(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->n_luns = 2;
	drive_config(d);
	expect_words(d, "read1 take1 configure up");
	assert_int_equal(d->lun[1].node, 1);
	d->n_luns = 1;
	drive_config(d);
	expect_in(d->words, "release1");
	assert_int_equal(d->lun[1].epoch, 0);
	expect_state(d, CORE_ACTIVE);
	drive_free(d);
}

/* The group leaves the document: drained, keys given back. It comes back: everything is there. */
static void config_group(void **state)
{
	struct drive *d = drive_new(2);
	struct core_group_view v;

	(void)state;
	drive_serve(d);
	d->n_groups = 0;
	drive_config(d);
	expect_words(d, "drain down drop release stop");
	assert_false(core_group(d->core, 0, &v));
	d->n_groups = 1;
	drive_config(d);
	drive_run(d, 4000);
	expect_words(d, "start configure read store push take activate up!");
	drive_free(d);
}

/* This node leaves the group's list: the group moves to one that is in it. */
static void config_node(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->order[0] = 2;
	d->order[1] = 3;
	drive_config(d);
	expect_words(d, "drain down drop final stop");
	drive_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crash_in_place), cmocka_unit_test(crash_during_commit), cmocka_unit_test(crash_loop),
		cmocka_unit_test(hung), cmocka_unit_test(conflict), cmocka_unit_test(cannot_open), cmocka_unit_test(adopt),
		cmocka_unit_test(adopt_fenced), cmocka_unit_test(paused), cmocka_unit_test(address_expired),
		cmocka_unit_test(key_vanishes), cmocka_unit_test(config_luns), cmocka_unit_test(config_group),
		cmocka_unit_test(config_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
