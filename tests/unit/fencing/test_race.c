/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_race.c - two or three nodes at one LUN: never two with access, and one winner
 *
 * First every interleaving of two machines, then random schedules of whole nodes with pauses of any length, lost
 * answers, unit attentions, power losses of the array, and I/O that is queued and lands late. Each flaw of race.h must
 * be caught by the same checks (SPC-4 5.13).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "node/util/util.h"
#include "tests/unit/fencing/race.h"

#define RUNS 100000u       /* random schedules */
#define STEPS 250u         /* of each */
#define FLAW_RUNS 400000u  /* at most, until a flaw must have shown */

enum { A, B, C };

static struct race race;   /* machines are large */

/* ---- every interleaving: the next schedule is the last one with its last possible choice advanced ---- */

struct schedule {
	unsigned int choice[128], of[128], n, depth;
};

static unsigned int choose(struct schedule *s, unsigned int of)
{
	assert_true(s->n < ARRAY_SIZE(s->choice));
	if (s->n == s->depth) {
		s->choice[s->n] = 0;
		s->depth++;
	}
	s->of[s->n] = of;
	return s->choice[s->n++];
}

static bool advance(struct schedule *s)
{
	while (s->depth > 0 && s->choice[s->depth - 1] + 1 >= s->of[s->depth - 1])
		s->depth--;
	if (s->depth == 0)
		return false;
	s->choice[s->depth - 1]++;
	s->n = 0;
	return true;
}

/* Let the busy actors go on in the order of the schedule until all are done. @follow: what comes after an operation. */
static void run(struct schedule *s, void (*follow)(unsigned int actor))
{
	for (;;) {
		unsigned int busy[RACE_ACTORS], n = 0, a;

		for (unsigned int i = 0; i < RACE_ACTORS; i++)
			if (race.actor[i].busy)
				busy[n++] = i;
		if (n == 0)
			return;
		a = busy[n > 1 ? choose(s, n) : 0];
		if (race_step(&race, a, FAULT_NONE) && follow)
			follow(a);
	}
}

/* Everybody who believes so does an I/O: two nodes whose I/O is let in are the failure this is all about. */
static void probe_io(void)
{
	for (unsigned int i = 0; i < RACE_ACTORS; i++)
		if (race_may_io(&race, i))
			race_submit(&race, i);
}

static enum fence_verdict verdict(unsigned int node)
{
	return race.actor[race_control(node)].m.outcome.verdict;
}

/* The owner is dead, two challengers: exactly one wins, whatever the interleaving. */
static void take_against_take_with(bool with_ua, uint64_t expect)
{
	struct schedule s = { .n = 0 };
	unsigned int runs = 0;

	do {
		race_init(&race, FLAW_NONE);
		if (expect)
			race_own(&race, A, 5);
		race.node[A].crashed = true;
		race.lun.with_ua = with_ua;
		race_begin(&race, race_control(B), FENCE_OP_TAKE, race_key(B, 6), expect);
		race_begin(&race, race_control(C), FENCE_OP_TAKE, race_key(C, 6), expect);
		run(&s, NULL);
		assert_null(race.broken);
		assert_int_equal(race.wins, 1);
		assert_int_equal(verdict(B) == FENCE_OK ? verdict(C) : verdict(B), FENCE_LOST);
		assert_int_equal(race.lun.nexus[race_control(verdict(B) == FENCE_OK ? C : B)].key, 0);
		probe_io();
		assert_null(race.broken);
		runs++;
	} while (advance(&s));
	assert_true(runs > 1000);
}

static void take_against_take(void **state)
{
	(void)state;
	take_against_take_with(false, race_key(A, 5));
}

static void take_against_take_with_unit_attentions(void **state)
{
	(void)state;
	take_against_take_with(true, race_key(A, 5));
}

static void take_against_take_of_a_free_lun(void **state)
{
	(void)state;
	take_against_take_with(false, 0);
}

/* The owner defends itself while it is challenged; then its data nexuses follow. One of the two stands. */
static void after_bump(unsigned int actor)
{
	if (actor != race_control(A) || !race.node[A].serving)
		return;
	for (unsigned int i = 1; i <= RACE_DATA; i++)
		race_begin(&race, race_control(A) + i, FENCE_OP_REKEY, race_key(A, 6), race_key(A, 5));
}

static void take_against_bump(void **state)
{
	struct schedule s = { .n = 0 };
	unsigned int bumped = 0, taken = 0;

	(void)state;
	do {
		race_init(&race, FLAW_NONE);
		race_own(&race, A, 5);
		race_begin(&race, race_control(A), FENCE_OP_BUMP, race_key(A, 6), race_key(A, 5));
		race_begin(&race, race_control(B), FENCE_OP_TAKE, race_key(B, 6), race_key(A, 5));
		run(&s, after_bump);
		assert_null(race.broken);
		assert_true(verdict(A) == FENCE_OK || verdict(B) == FENCE_OK);
		assert_false(verdict(A) == FENCE_OK && verdict(B) == FENCE_OK &&
			     lun_holder_key(&race.lun) != race_key(B, 6));
		if (verdict(B) == FENCE_OK)
			taken++;
		else
			bumped++;
		probe_io();
		assert_null(race.broken);
	} while (advance(&s));
	assert_true(bumped > 5 && taken > 5);
}

/* A data nexus changes its key between the challenger's preempts: the sweep has to catch up with it. */
static void take_against_rekey(void **state)
{
	struct schedule s = { .n = 0 };

	(void)state;
	do {
		race_init(&race, FLAW_NONE);
		race_own(&race, A, 5);
		race.lun.nexus[race_control(A)].key = race.node[A].key = race_key(A, 6);
		for (unsigned int i = 1; i <= RACE_DATA; i++)
			race_begin(&race, race_control(A) + i, FENCE_OP_REKEY, race_key(A, 6), race_key(A, 5));
		race_begin(&race, race_control(B), FENCE_OP_TAKE, race_key(B, 7), race_key(A, 6));
		run(&s, NULL);
		assert_null(race.broken);
		assert_int_equal(verdict(B), FENCE_OK);
		probe_io();
		assert_null(race.broken);
	} while (advance(&s));
}

/* Data nexuses of the old owner join while it is taken over. */
static void take_against_join(void **state)
{
	struct schedule s = { .n = 0 };

	(void)state;
	do {
		race_init(&race, FLAW_NONE);
		race_own(&race, A, 5);
		for (unsigned int i = 1; i <= RACE_DATA; i++) {
			race.lun.nexus[race_control(A) + i].key = 0;
			race.actor[race_control(A) + i].joined = false;
			race_begin(&race, race_control(A) + i, FENCE_OP_JOIN, race_key(A, 5), 0);
		}
		race_begin(&race, race_control(B), FENCE_OP_TAKE, race_key(B, 6), race_key(A, 5));
		run(&s, NULL);
		assert_null(race.broken);
		assert_int_equal(verdict(B), FENCE_OK);
		probe_io();
		assert_null(race.broken);
		for (unsigned int i = 1; i <= RACE_DATA; i++)
			assert_int_equal(race.lun.nexus[race_control(A) + i].key, 0);
	} while (advance(&s));
}

/* ---- random schedules ---- */

static uint64_t seed;

static unsigned int rnd(unsigned int of)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)((seed >> 20) % of);
}

static bool drained(unsigned int node)
{
	for (unsigned int i = 0; i <= RACE_DATA; i++)
		if (race.lun.nexus[race_control(node) + i].queued)
			return false;
	return true;
}

/* What a node's clusterd does next: look, challenge, defend, sweep, or stop. */
static void decide(unsigned int node)
{
	struct node *n = &race.node[node];
	unsigned int a = race_control(node);

	if (n->serving) {
		if (rnd(4) == 0)
			race_begin(&race, a, FENCE_OP_SWEEP, n->key, 0);
		else
			race_begin(&race, a, FENCE_OP_BUMP, race_key(node, ++n->epoch), n->key);
		return;
	}
	for (unsigned int i = 1; i <= RACE_DATA; i++)
		race.actor[a + i].joined = false;
	if (!n->read)
		race_begin(&race, a, FENCE_OP_READ, race_key(node, 1), 0);
	else if (drained(node))  /* nothing of an earlier life may be in flight: the condition of TAKE */
		race_begin(&race, a, FENCE_OP_TAKE, race_key(node, n->epoch + 1), n->holder);
}

static void decide_data(unsigned int actor)
{
	struct actor *a = &race.actor[actor];
	struct node *n = &race.node[a->node];

	if (!n->serving)
		a->joined = false;
	else if (!a->joined)
		race_begin(&race, actor, FENCE_OP_JOIN, n->key, 0);
	else if (a->key != n->key)
		race_begin(&race, actor, FENCE_OP_REKEY, n->key, a->key);
}

static enum fault some_fault(unsigned int rate)
{
	return rate && rnd(rate) == 0 ? FAULT_LOST_BEFORE + rnd(3) : FAULT_NONE;
}

static void act(unsigned int actor, unsigned int fault_rate)
{
	struct actor *a = &race.actor[actor];

	if (race.node[a->node].crashed)
		return;
	if (race_may_io(&race, actor) && rnd(4) == 0)
		race_submit(&race, actor);
	else if (a->busy)
		(void)race_step(&race, actor, some_fault(fault_rate));
	else if (actor == race_control(a->node))
		decide(a->node);
	else
		decide_data(actor);
}

/* One random life of the cluster. Actors differ in how often they get to act: that makes pauses. */
static void live(uint64_t s, enum flaw flaw)
{
	unsigned int pace[RACE_ACTORS], fault_rate;

	seed = s * 0x9e3779b97f4a7c15u | 1;
	(void)rnd(2);
	race_init(&race, flaw);
	race.lun.with_ua = rnd(2);
	race.lun.no_caps = rnd(8) == 0;
	fault_rate = rnd(2) ? 0 : 4 + rnd(20);
	if (rnd(4))
		race_own(&race, A, 5);
	for (unsigned int i = 0; i < RACE_ACTORS; i++)
		pace[i] = 1 + rnd(3);
	for (unsigned int i = 0; i < STEPS && !race.broken; i++) {
		unsigned int actor = rnd(RACE_ACTORS);

		if (rnd(30) == 0)
			pace[actor] = rnd(2) ? 1000 : 1 + rnd(3);
		if (rnd(400) == 0)
			race.node[race.actor[actor].node].crashed = true;
		if (rnd(600) == 0 && race.lun.aptpl)
			lun_power_loss(&race.lun);
		if (rnd(4) == 0)
			race_complete(&race, actor);
		if (rnd(pace[actor]) == 0)
			act(actor, fault_rate);
	}
}

static void random_schedules(void **state)
{
	unsigned int wins = 0;

	(void)state;
	for (uint64_t s = 1; s <= RUNS; s++) {
		live(s, FLAW_NONE);
		if (race.broken)
			fail_msg("seed %llu: %s", (unsigned long long)s, race.broken);
		wins += race.wins;
	}
	print_message("%u random schedules, %u take overs\n", RUNS, wins);
	assert_true(wins > RUNS / 4);
}

/* ---- built-in mistakes must show ---- */

static void flaw_is_caught(void **state)
{
	enum flaw flaw = (enum flaw)(uintptr_t)*state;

	for (uint64_t s = 1; s <= FLAW_RUNS; s++) {
		live(s, flaw);
		if (race.broken) {
			print_message("caught with seed %llu: %s\n", (unsigned long long)s, race.broken);
			return;
		}
	}
	fail_msg("flaw %u went unnoticed in %u schedules", flaw, FLAW_RUNS);
}

/* Without compare-and-swap nobody gets hurt, but both think they have won: ping-pong. */
static void no_cas_is_caught(void **state)
{
	struct schedule s = { .n = 0 };

	(void)state;
	do {
		race_init(&race, FLAW_NO_CAS);
		race_own(&race, A, 5);
		race_begin(&race, race_control(B), FENCE_OP_TAKE, race_key(B, 6), race_key(A, 5));
		race_begin(&race, race_control(C), FENCE_OP_TAKE, race_key(C, 6), race_key(A, 5));
		run(&s, NULL);
		if (race.wins > 1)
			return;
	} while (advance(&s));
	fail_msg("nobody won twice");
}

#define flaw_test(f) { #f, flaw_is_caught, NULL, NULL, (void *)(uintptr_t)(f) }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_against_take),
		cmocka_unit_test(take_against_take_with_unit_attentions),
		cmocka_unit_test(take_against_take_of_a_free_lun),
		cmocka_unit_test(take_against_bump),
		cmocka_unit_test(take_against_rekey),
		cmocka_unit_test(take_against_join),
		cmocka_unit_test(random_schedules),
		flaw_test(FLAW_NO_READ_BACK),
		flaw_test(FLAW_NO_SWEEP),
		flaw_test(FLAW_PLAIN_PREEMPT),
		flaw_test(FLAW_BUMP_IGNORES),
		flaw_test(FLAW_REKEY_IGNORES),
		flaw_test(FLAW_JOIN_LOOKS_FIRST),
		cmocka_unit_test(no_cas_is_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
