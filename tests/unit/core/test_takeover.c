/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From STANDBY to ACTIVE, or why not: docs/architecture.md, "Keys and epochs", Take over */
#include "tests/unit/core/drive.h"

static void current(void **state)
{
	static const struct { struct core_stamp r; struct core_key k; bool current; } t[] = {
		{ { .epoch = 5, .node = 1 }, { 1, 5 }, true },                         /* the key it was written under */
		{ { .epoch = 5, .node = 1 }, { 2, 5 }, false },                        /* same epoch, another node */
		{ { .epoch = 5, .node = 1 }, { 1, 6 }, false },                        /* the key moved on */
		{ { .epoch = 6, .node = 1, .base = { 2, 5 }, .ahead = true }, { 2, 5 }, true },  /* written ahead of it */
		{ { .epoch = 6, .node = 1, .base = { 2, 5 }, .ahead = true }, { 2, 4 }, false },
		{ { .epoch = 9, .node = 1, .base = { 2, 5 }, .ahead = true }, { 3, 7 }, false },  /* larger proves nothing */
		{ { .epoch = 0 }, { 1, 1 }, false },                                   /* no record */
		{ { .epoch = 5, .node = 1 }, { 0, 0 }, false },                        /* no key: other rules */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		assert_int_equal(core_current(&t[i].r, &t[i].k), t[i].current);
}

/* Each row: what is on disk here and at beta, what is on the LUN, and what comes of it within a second. */
struct row {
	const char *name;
	struct core_stamp mine, theirs;
	struct core_key key;
	bool beta_live, beta_left_clean;
	enum core_fence_status fail;
	enum core_state state;
	const char *words, *why;
};

static const struct row rows[] = {
	{ "first start of all, everybody there", .beta_live = true, .state = CORE_ACTIVE,
	  .words = "start configure read store push take activate up!", .why = "" },
	{ "first start, beta missing", .state = CORE_BLOCKED, .words = "start configure read", .why = "no key on the LUN" },
	{ "our own key", .mine = { .epoch = 4, .node = 1 }, .key = { 1, 4 }, .state = CORE_ACTIVE,
	  .words = "start configure read store take activate up!", .why = "" },
	{ "key of a live member that does not own it: no window", .mine = { .epoch = 4, .node = 2 },
	  .theirs = { .epoch = 4, .node = 2 }, .key = { 2, 4 }, .beta_live = true, .state = CORE_ACTIVE,
	  .words = "start configure read store push take activate up!", .why = "" },
	{ "key of a dead node: window, second look", .mine = { .epoch = 4, .node = 2 }, .key = { 2, 4 },
	  .state = CORE_ACTIVE, .words = "start configure read store read take activate up!", .why = "" },
	{ "outdated, owner of the key dead", .mine = { .epoch = 5, .node = 2 }, .key = { 2, 7 }, .state = CORE_BLOCKED,
	  .words = "start configure read",
	  .why = "this node's record is of epoch 5, the key on the LUN says epoch 7 (node beta): start beta, or "
		 "`lunwardctl group start --force vmstore` to lose what beta acknowledged" },
	{ "no record at all", .key = { 2, 7 }, .state = CORE_BLOCKED, .words = "start configure read",
	  .why = "this node has no record of the group" },
	{ "outdated, but beta has it", .mine = { .epoch = 5, .node = 2 }, .theirs = { .epoch = 7, .node = 2, .seq = 9 },
	  .key = { 2, 7 }, .beta_live = true, .state = CORE_ACTIVE,
	  .words = "start configure read fetch store store push take activate up!", .why = "" },
	{ "no key: the newest by the last key in force, not by the largest epoch",
	  .mine = { .epoch = 9, .node = 1, .base = { 2, 3 }, .ahead = true, .seq = 50 },
	  .theirs = { .epoch = 4, .node = 2, .seq = 9 }, .beta_live = true, .state = CORE_ACTIVE,
	  .words = "start configure read fetch store store push take activate up!", .why = "" },
	{ "foreign key", .mine = { .epoch = 4, .node = 1 }, .key = { 1, 4 }, .fail = CORE_FENCE_FOREIGN,
	  .state = CORE_BLOCKED, .words = "start configure read", .why = "not this cluster's" },
	{ "LUN cannot be read", .mine = { .epoch = 4, .node = 1 }, .key = { 1, 4 }, .fail = CORE_FENCE_ERROR,
	  .state = CORE_BLOCKED, .words = "start configure read", .why = "cannot read the key on /dev/lun0: as scripted" },
};

static void takeovers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *r = &rows[i];
		struct drive *d = drive_new(2);

		print_message("    %s\n", r->name);
		d->disk = (struct core_record){ .stamp = r->mine, .warm = true, .high = r->mine.epoch };
		d->peer[2].record = (struct core_record){ .stamp = r->theirs, .warm = true };
		d->peer[2].live = r->beta_live;
		d->lun[0] = r->key;
		d->fail[0] = r->fail;
		drive_start(d, CORE_T_NONE, 0);
		drive_run(d, 1000);
		expect_words(d, r->words);
		expect_state(d, r->state);
		expect_in(drive_view(d).why, r->why);
		if (r->state == CORE_ACTIVE) {
			assert_int_equal(d->lun[0].node, 1);
			assert_true(d->lun[0].epoch > r->key.epoch && d->lun[0].epoch > r->mine.epoch);
			assert_int_equal(d->disk.stamp.epoch, d->lun[0].epoch);
		} else {
			assert_int_equal(d->lun[0].epoch, r->key.epoch);
		}
		drive_free(d);
	}
}

/* The owner sees us gone, too, and moves its key: we must not take it. */
static void owner_defends(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(2, 4, 10);
	d->peer[2].live = false;
	d->lun[0] = (struct core_key){ 2, 4 };
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 200);
	expect_state(d, CORE_WAITING);
	d->lun[0].epoch = 5;
	drive_run(d, 400);
	expect_words(d, "start configure read store read");
	expect_state(d, CORE_BLOCKED);
	expect_in(drive_view(d).why, "beta serves the group but cannot be reached");
	assert_int_equal(d->lun[0].epoch, 5);
	drive_free(d);
}

/* A clusterd that died on a live node gets its grace before anybody challenges. */
static void grace_for_a_restart(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(2, 4, 10);
	d->lun[0] = (struct core_key){ 2, 4 };
	d->peer[2].state = CORE_ACTIVE;
	d->peer[2].key_epoch = 4;
	d->peer[2].record = drive_record(2, 4, 10);
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 500);
	expect_words(d, "start configure");
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_PROCESS_DOWN);
	drive_run(d, 3900);
	expect_words(d, "");
	expect_in(drive_view(d).why, "waiting for lunward-clusterd to come back on beta");
	drive_run(d, 1000);
	expect_words(d, "read store read take activate up!");
	drive_free(d);
}

/* Losing the race is no reason to insist. */
static void lost_race(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 1, 4 };
	d->peer[2].record = drive_record(1, 4, 10);
	d->hold_store = true;
	drive_start(d, CORE_T_NONE, 0);
	expect_state(d, CORE_INTENT);
	d->lun[0] = (struct core_key){ 2, 5 };
	d->hold_store = false;
	drive_run(d, 6000);
	expect_state(d, CORE_BLOCKED);
	assert_int_equal(d->lun[0].node, 2);
	drive_free(d);
}

/* Nobody acts before votequorum has spoken for the ring, nor before all members have said what they do. */
static void waits_for_everybody(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 1, 4 };
	d->peer[2].mute = true;
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 2500);
	expect_words(d, "start configure");
	drive_say(d, 2);
	expect_words(d, "read store push take activate up!");
	drive_free(d);

	d = drive_new(2);
	d->disk = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 1, 4 };
	d->quorum_lags = true;
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 8000);
	expect_words(d, "start configure");
	drive_free(d);
}

/* Candidates step aside: a better one first; if it does not begin, we go after a while. */
static void order_of_preference(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->order[0] = 2;
	d->order[1] = 1;
	d->disk = drive_record(1, 4, 10);
	d->peer[2].record = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 1, 4 };
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 2000);
	expect_words(d, "start configure");
	d->peer[2].eligible = false;
	d->peer[2].state = CORE_BLOCKED;
	d->peer[2].why = "no path";
	drive_say(d, 2);
	expect_words(d, "read store push take activate up!");
	drive_free(d);

	d = drive_new(2);
	d->order[0] = 2;
	d->order[1] = 1;
	d->disk = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 1, 4 };
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 3500);
	expect_words(d, "start configure read store push take activate up!");
	drive_free(d);
}

/* All fence LUNs are taken before anything is visible; one that cannot be had stops it all. */
static void all_luns(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->n_luns = 3;
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 100);
	expect_words(d, "start configure read read1 read2 store push take take1 take2 activate up!");
	drive_free(d);

	d = drive_new(2);
	d->n_luns = 2;
	d->disk = drive_record(1, 4, 10);
	d->lun[0] = (struct core_key){ 1, 4 };
	d->lun[1] = (struct core_key){ 2, 90 };  /* newer than ours: another group's? */
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 100);
	expect_state(d, CORE_ACTIVE);            /* read in time: the next epoch is larger than any seen */
	assert_int_equal(d->lun[0].epoch, 91);
	drive_free(d);
}

/* Another LUN turns out to be held under a newer key than the one that won: by force it is taken, under a newer one still. */
static void force_on_a_newer_key(void **state)
{
	(void)state;
	for (int force = 0; force < 2; force++) {
		struct drive *d = drive_new(2);

		d->n_luns = 2;
		d->disk = drive_record(2, 4, 10);
		d->peer[2].live = false;
		d->lun[0] = (struct core_key){ 2, force ? 7 : 4 };  /* our record is outdated, if force is needed */
		d->lun[1] = d->lun[0];
		drive_start(d, CORE_T_NONE, 0);
		if (force) {
			expect_state(d, CORE_BLOCKED);
			drive_admin(d, CORE_VERB_START, 0, true);
		}
		drive_run(d, 100);
		expect_state(d, CORE_WAITING);
		d->lun[1] = (struct core_key){ 2, 90 };
		forget_words(d);
		drive_run(d, 500);
		if (force) {
			expect_words(d, "read take take1 read store bump take1 activate up!");
			expect_state(d, CORE_ACTIVE);
			assert_int_equal(d->lun[0].epoch, 91);
			assert_int_equal(d->lun[1].epoch, 91);
		} else {
			expect_words(d, "read take take1");
			expect_state(d, CORE_BLOCKED);
			expect_in(drive_view(d).why, "`lunwardctl group start --force vmstore` takes it");
		}
		drive_free(d);
	}
}

/* The same for a LUN that the configuration adds while the group is served. */
static void force_on_an_added_lun(void **state)
{
	struct drive *d = drive_new(1);

	(void)state;
	drive_serve(d);
	d->n_luns = 2;
	d->lun[1] = (struct core_key){ 2, 90 };
	drive_config(d);
	drive_run(d, 100);
	expect_words(d, "read1");
	expect_state(d, CORE_ACTIVE);
	drive_admin(d, CORE_VERB_START, 0, true);
	drive_run(d, 100);
	expect_words(d, "store read1 read store bump rekey read1 take1 configure up");
	assert_int_equal(d->lun[0].epoch, 91);
	assert_int_equal(d->lun[1].epoch, 91);
	assert_true(d->result_ok);
	drive_free(d);
}

/* An owner looks at its keys every ten seconds, on all LUNs, and removes what dead challengers left behind. */
static void owner_sweeps(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->n_luns = 2;
	drive_serve(d);
	drive_run(d, 20000);
	expect_words(d, "sweep sweep1 sweep sweep1");
	d->lun[1] = (struct core_key){ 2, 9 };
	drive_run(d, 10000);
	expect_words(d, "sweep sweep1 drop down");
	expect_state(d, CORE_BLOCKED);
	expect_in(drive_view(d).why, "preempted");
	drive_free(d);
}

/*
 * With no key on the LUN the compare-and-swap compares nothing: if members changed, or much time passed, since we decided
 * that our record is the newest, somebody may have held the LUN and let it go meanwhile. It is given back and looked at anew.
 */
static void won_what_nobody_held(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->hold_fence = true;
	drive_start(d, CORE_T_NONE, 0);
	expect_words(d, "start configure read");
	drive_answer(d);
	expect_words(d, "store push take");
	expect_state(d, CORE_TAKING);
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_state(d, CORE_TAKING);
	d->hold_fence = false;
	drive_answer(d);
	expect_words(d, "release");
	expect_state(d, CORE_BLOCKED);
	assert_int_equal(d->lun[0].epoch, 0);
	drive_run(d, 2000);
	expect_in(drive_view(d).why, "no key on the LUN");
	d->peer[2].live = true;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	drive_run(d, 100);
	expect_state(d, CORE_ACTIVE);
	drive_free(d);

	d = drive_new(2);
	d->slow_take = 1500;  /* for ever: after three times it is simply a slow LUN */
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 1);
	expect_words(d, "start configure read store push take release");
	drive_run(d, 20000);
	expect_state(d, CORE_ACTIVE);
	drive_free(d);
}

/* clusterd of the owner stands still, its corosync does not: its addresses run out, and we challenge it. */
static void silent_owner(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(2, 4, 10);
	d->lun[0] = (struct core_key){ 2, 4 };
	d->peer[2] = (struct peer_script){ .live = true, .state = CORE_ACTIVE, .key_epoch = 4, .record = d->disk, .why = "" };
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 20000);
	expect_words(d, "start configure");
	d->peer[2].stuck = true;
	drive_run(d, 3000);
	expect_words(d, "");
	drive_run(d, 1300);
	expect_words(d, "read store");
	expect_state(d, CORE_WAITING);
	assert_int_equal(drive_view(d).owner, 0);
	drive_run(d, 1000);
	expect_words(d, "read take activate up!");
	drive_free(d);

	/* it speaks again in time: what it said before still holds */
	d = drive_new(2);
	d->disk = drive_record(2, 4, 10);
	d->lun[0] = (struct core_key){ 2, 4 };
	d->peer[2] = (struct peer_script){ .live = true, .state = CORE_ACTIVE, .key_epoch = 4, .record = d->disk, .why = "" };
	drive_start(d, CORE_T_NONE, 0);
	d->peer[2].stuck = true;
	drive_run(d, 4100);
	expect_state(d, CORE_WAITING);
	d->peer[2].stuck = false;
	drive_say(d, 2);
	drive_run(d, 10000);
	expect_state(d, CORE_STANDBY);
	assert_int_equal(drive_view(d).owner, 2);
	assert_int_equal(d->lun[0].node, 2);
	drive_free(d);
}

/* It is our corosync that stands still, or we: nobody else is to blame. */
static void silent_for_us_only(void **state)
{
	struct core_event tick = { .type = CORE_EV_TICK };
	struct drive *d = drive_new(2);

	(void)state;
	d->disk = drive_record(2, 4, 10);
	d->lun[0] = (struct core_key){ 2, 4 };
	d->peer[2] = (struct peer_script){ .live = true, .state = CORE_ACTIVE, .key_epoch = 4, .record = d->disk, .why = "" };
	drive_start(d, CORE_T_NONE, 0);
	d->deaf = d->peer[2].stuck = true;
	drive_run(d, 20000);
	expect_words(d, "start configure");
	d->deaf = d->peer[2].stuck = false;
	drive_run(d, 5000);
	d->now += 60000;
	drive_feed(d, tick);
	drive_run(d, 5000);
	expect_words(d, "");
	expect_state(d, CORE_STANDBY);
	drive_free(d);
}

/* Our disk refuses the intent: nothing was announced to anybody, the next node tries. */
static void disk_full(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->disk_full = true;
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 1000);
	expect_words(d, "start configure read store");
	expect_state(d, CORE_BLOCKED);
	expect_in(drive_view(d).why, "disk of the state directory full");
	drive_free(d);
}

/* A compare-and-swap whose answer comes late proves nothing: the key moves on before the address is added. */
static void late_answer(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	d->slow_take = 350;  /* more than three quarters of the window */
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 100);
	expect_words(d, "start configure read store push take read store push bump activate up!");
	assert_int_equal(d->lun[0].epoch, 2);
	drive_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(current), cmocka_unit_test(takeovers), cmocka_unit_test(owner_defends),
		cmocka_unit_test(grace_for_a_restart), cmocka_unit_test(lost_race), cmocka_unit_test(waits_for_everybody),
		cmocka_unit_test(order_of_preference), cmocka_unit_test(all_luns), cmocka_unit_test(disk_full),
		cmocka_unit_test(late_answer), cmocka_unit_test(force_on_a_newer_key),
		cmocka_unit_test(force_on_an_added_lun), cmocka_unit_test(owner_sweeps), cmocka_unit_test(silent_owner),
		cmocka_unit_test(silent_for_us_only),
		cmocka_unit_test(won_what_nobody_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
