/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commits and bumps: docs/architecture.md, "Records" and "Keys and epochs", Bump */
#include "tests/unit/core/drive.h"

/* Here first, then the members; the target is told when all of them have acknowledged. */
static void all_acknowledge(void **state)
{
	struct drive *d = drive_new(3);

	(void)state;
	drive_serve(d);
	drive_change(d, 1);
	expect_words(d, "store push ok1");
	assert_int_equal(d->disk.stamp.seq, d->peer[2].record.stamp.seq);
	assert_int_equal(d->disk.stamp.seq, d->peer[3].record.stamp.seq);
	assert_false(d->disk.stamp.ahead);
	drive_free(d);
}

/* Self-delivery is no acknowledgement, and one of two is not all. */
static void one_is_missing(void **state)
{
	struct drive *d = drive_new(3);

	(void)state;
	drive_serve(d);
	d->peer[3].acks = ACK_NEVER;
	drive_change(d, 1);
	drive_run(d, 4000);
	expect_words(d, "store push");
	drive_run(d, 2500);  /* ack_ms, then a bump that does not wait for it longer than a second */
	expect_words(d, "read store push bump rekey store push ok1");
	assert_int_equal(d->lun[0].epoch, 2);
	assert_int_equal(d->peer[3].record.stamp.epoch, 1);
	drive_free(d);
}

/* A member whose clusterd stands still is left behind like one that has left, and catches up when it speaks again. */
static void silent_member(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->peer[2].stuck = true;
	d->peer[2].acks = ACK_NEVER;
	drive_change(d, 1);
	expect_words(d, "store push");
	drive_run(d, 3000);
	expect_words(d, "");
	drive_run(d, 1500);
	expect_words(d, "read store bump rekey store ok1");
	drive_change(d, 2);
	expect_words(d, "store ok2");
	d->peer[2].stuck = false;
	d->peer[2].acks = ACK_OK;
	drive_run(d, 2000);
	expect_words(d, "push");
	assert_int_equal(d->peer[2].record.stamp.epoch, d->lun[0].epoch);
	drive_free(d);
}

/* A member that does not hear us is about to take the group: our key moves while it looks on, once for each challenge. */
static void challenged_by_a_member(void **state)
{
	static const enum core_state steps[] = { CORE_READING, CORE_INTENT, CORE_WAITING };
	static const char *const words[] = { "", "read store push bump rekey", "" };
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	for (int again = 0; again < 2; again++) {
		for (unsigned i = 0; i < 3; i++) {
			d->peer[2].state = steps[i];
			drive_say(d, 2);
			expect_words(d, words[i]);
		}
		d->peer[2].state = CORE_BLOCKED;
		drive_say(d, 2);
		expect_words(d, "");
	}
	assert_int_equal(d->lun[0].epoch, 3);
	drive_free(d);
}

/* A sweep that ends while the key waits to be moved says nothing about the key. */
static void sweep_under_way(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->hold_fence = true;
	drive_run(d, 10000);
	expect_words(d, "sweep");
	d->quorum_lags = true;
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_state(d, CORE_BUMPING);
	d->hold_fence = false;
	drive_answer(d);
	expect_state(d, CORE_BUMPING);
	assert_int_equal(drive_view(d).key.epoch, 1);
	d->quorum_lags = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_words(d, "read store bump rekey");
	assert_int_equal(drive_view(d).key.epoch, 2);
	drive_free(d);
}

/* clusterd restarts with a change on its way: the target sends it again, and it waits until the group is ours again. */
static void sent_again_to_a_new_clusterd(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->hold_fence = true;
	drive_restart(d, CORE_T_ACTIVE, 1);
	forget_words(d);
	drive_change(d, 7);
	expect_state(d, CORE_INIT);
	expect_words(d, "");
	d->hold_fence = false;
	drive_answer(d);
	expect_words(d, "up read store push bump rekey store configure up push ok7");
	drive_free(d);

	/* … or it is not ours any more: the target drops everything, and nobody is told anything */
	d = drive_new(2);
	drive_serve(d);
	d->hold_fence = true;
	drive_restart(d, CORE_T_ACTIVE, 1);
	forget_words(d);
	drive_change(d, 7);
	d->lun[0] = (struct core_key){ 2, 2 };
	d->hold_fence = false;
	drive_answer(d);
	expect_words(d, "drop down");
	drive_free(d);
}

/* A member that cannot store is left behind: the key moves first, then the change is answered under the new key. */
static void member_refuses(void **state)
{
	struct drive *d = drive_new(3);
	struct core_key k;

	(void)state;
	drive_serve(d);
	d->peer[2].acks = ACK_REFUSE;
	drive_change(d, 1);
	expect_words(d, "store push read store push bump rekey store push ok1");
	k = d->lun[0];
	assert_int_equal(k.epoch, 2);
	assert_true(core_current(&d->disk.stamp, &k));
	assert_true(core_current(&d->peer[3].record.stamp, &k));
	assert_false(core_current(&d->peer[2].record.stamp, &k));
	assert_false(d->disk.stamp.ahead);
	drive_free(d);
}

/* Our own disk full: refused as a whole, nobody has seen it; the next one works again once there is room. */
static void own_disk_full(void **state)
{
	struct drive *d = drive_new(2);
	struct core_stamp before;

	(void)state;
	drive_serve(d);
	before = d->peer[2].record.stamp;
	d->disk_full = true;
	drive_change(d, 1);
	expect_words(d, "store no1");
	assert_int_equal(d->peer[2].record.stamp.seq, before.seq);
	expect_state(d, CORE_ACTIVE);
	d->disk_full = false;
	drive_run(d, 6000);
	expect_words(d, "store");
	drive_change(d, 2);
	expect_words(d, "store push ok2");
	assert_true(d->disk.stamp.seq > before.seq + 1);  /* the refused number is not used again */
	drive_free(d);
}

/* One in flight, the others wait; too many are refused rather than forgotten. */
static void queue(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->peer[2].acks = ACK_NEVER;
	for (uint64_t t = 1; t <= 18; t++)
		drive_change(d, t);
	expect_words(d, "store push no18");
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_words(d, "read store bump rekey store ok1 store ok2 store ok3 store ok4 store ok5 store ok6 store ok7 "
		     "store ok8 store ok9 store ok10 store ok11 store ok12 store ok13 store ok14 store ok15 store ok16 "
		     "store ok17");
	drive_free(d);
}

/* Whoever leaves is left behind at once, not with the next change: a challenger must see the key move. */
static void member_leaves(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_words(d, "read store bump rekey");
	expect_state(d, CORE_ACTIVE);
	assert_int_equal(d->lun[0].epoch, 2);
	drive_free(d);
}

/* Who joins gets the record, and counts from then on. */
static void member_joins(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	drive_change(d, 1);
	forget_words(d);
	d->peer[2].live = true;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_words(d, "push");
	assert_int_equal(d->peer[2].record.stamp.seq, d->disk.stamp.seq);
	d->peer[2].acks = ACK_NEVER;
	drive_change(d, 2);
	expect_words(d, "store push");
	drive_free(d);
}

/* A joiner that was pushed the record and never acknowledged may hold it all the same: it is bumped away, not forgotten. */
static void joiner_leaves_again(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	d->peer[2].live = true;
	d->peer[2].acks = ACK_NEVER;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	forget_words(d);
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_words(d, "read store bump rekey");
	drive_free(d);
}

/* In a minority the key must not move: that would lock the majority out. Quorum lost: everything stops at once. */
static void no_bump_before_quorum(void **state)
{
	struct drive *d = drive_new(3);

	(void)state;
	drive_serve(d);
	d->peer[2].live = d->peer[3].live = false;
	d->quorum_lags = true;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	drive_run(d, 50);
	expect_words(d, "");
	d->quorum_lags = d->quorate = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_words(d, "drop down");
	expect_state(d, CORE_STANDBY);
	expect_in(drive_view(d).why, "no quorum");
	assert_int_equal(d->lun[0].epoch, 1);
	drive_free(d);
}

/* A conflict while defending: somebody else has it. Everything is dropped; later, standby. */
static void fenced_while_defending(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->lun[0] = (struct core_key){ 2, 9 };
	d->peer[2].live = false;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	expect_words(d, "read drop down");
	expect_state(d, CORE_BLOCKED);
	expect_in(drive_view(d).why, "fenced");
	d->peer[2].live = true;
	d->peer[2].state = CORE_ACTIVE;
	d->peer[2].key_epoch = 9;
	d->peer[2].record = drive_record(2, 9, 99);
	drive_members(d, CORE_LEFT_NODE_DOWN);
	drive_run(d, 10000);
	expect_state(d, CORE_STANDBY);
	assert_string_equal(drive_view(d).why, "");
	assert_int_equal(drive_view(d).owner, 2);
	expect_words(d, "");
	drive_free(d);
}

/* After two partitions meet: who hears a claim that is not older than its own looks at its LUN. */
static void rival_claim(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	drive_run(d, 2000);
	d->peer[2].state = CORE_ACTIVE;
	d->peer[2].key_epoch = 3;
	d->peer[2].record = drive_record(2, 3, 40);
	drive_say(d, 2);
	expect_words(d, "read store push bump rekey");  /* ours still; and beta would refuse what is older than its own */
	assert_int_equal(d->lun[0].epoch, 4);
	drive_free(d);
}

/* The LUN fails while the key is to move: commits wait, I/O goes on, nothing is given up. */
static void lun_fails_while_defending(void **state)
{
	struct drive *d = drive_new(2);

	(void)state;
	drive_serve(d);
	d->peer[2].live = false;
	d->fail[0] = CORE_FENCE_ERROR;
	drive_members(d, CORE_LEFT_NODE_DOWN);
	drive_change(d, 1);
	drive_run(d, 2500);
	expect_state(d, CORE_BUMPING);
	expect_words(d, "read read read");
	d->fail[0] = CORE_FENCE_OK;
	drive_run(d, 1100);
	expect_words(d, "read store bump rekey store ok1");
	drive_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_acknowledge), cmocka_unit_test(one_is_missing), cmocka_unit_test(silent_member), cmocka_unit_test(challenged_by_a_member),
		cmocka_unit_test(sweep_under_way),
		 cmocka_unit_test(sent_again_to_a_new_clusterd), cmocka_unit_test(member_refuses),
		cmocka_unit_test(own_disk_full), cmocka_unit_test(queue), cmocka_unit_test(member_leaves),
		cmocka_unit_test(member_joins), cmocka_unit_test(joiner_leaves_again),
		cmocka_unit_test(no_bump_before_quorum), cmocka_unit_test(fenced_while_defending),
		cmocka_unit_test(rival_claim), cmocka_unit_test(lun_fails_while_defending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
