/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arbitration.pml - who owns a group: a model of cluster/core and fencing/ for Spin, with their names
 *
 * Theory of operation. Each node is a process that does the steps of takeover.c, arbitrate.c, bump.c, commit.c and drop.c;
 * a command to the LUN is one atomic step, and whatever happens between two of them can happen between any two. A node
 * that is paused does no step; its I/O that is at the array goes on. The environment crashes, boots, pauses, resumes,
 * cuts and heals as often as it may (CRASHES, PAUSES, CUTS; acknowledgements get lost: LOSSES), each for a while or for good.
 *
 * What is abstracted: one group, one LUN; the members' announcements are what they are (no delay), but only within a
 * membership both sides share; a push is stored by whoever can be reached, or not. Time is not in it: the challenge
 * window may end at any moment, unless TIMELY says that a running owner moves its key first (bump.c promises that).
 * The number of commits is bounded, and a node that has failed tries again only after something has changed. So every
 * run ends, and liveness is a property of where it ends: rest().
 *
 * Safety: `epoch goes back`, `late I/O` (an I/O of an older tenure reaches the medium after a newer one may do I/O),
 * `outdated record serves` (something acknowledged is not in it), `key used twice`.
 */
#ifndef N
#define N 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef PAUSES
#define PAUSES 1
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef COMMITS
#define COMMITS 1
#endif
#ifndef TIMELY
#define TIMELY 0
#endif

#define NOBODY N
#define BIT(n) (1 << (n))
#define KEY(epoch, n) ((epoch) * 4 + (n))        /* never 0: epochs begin with 1 */
#define EPOCH(k) ((k) / 4)
#define NODE(k) ((k) % 4)
#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* enum core_state, as far as one group without administrator goes; TAKING is split as fencing/take.c is */
mtype = { STANDBY, BLOCKED, READING, INTENT, WAITING, TAKE_LOOK, TAKE_REGISTER, TAKE_CLAIM, TAKE_SWEEP, ACTIVATING,
	  ACTIVE, BUMP_READ, BUMP_STORE, BUMP_CAS, DROPPING };
#define HOLD(n) (st[n] == ACTIVATING || st[n] == ACTIVE || st[n] == BUMP_READ || st[n] == BUMP_STORE || st[n] == BUMP_CAS)
#define TAKING(n) (st[n] == TAKE_LOOK || st[n] == TAKE_REGISTER || st[n] == TAKE_CLAIM || st[n] == TAKE_SWEEP)
#define EARLY(n) (st[n] == READING || st[n] == INTENT || st[n] == WAITING)
#define RESTING(n) (st[n] == STANDBY || st[n] == BLOCKED)

/* ---- the LUN: the nexus of each clusterd and of each target's data, and what is queued there ---- */
byte reg[3], data[3];            /* registered keys; 0: none */
byte holder;                     /* whose clusterd's nexus holds it */
byte queued[3];                  /* tenure of an I/O that has passed the reservation check; 0: none */
#define HOLDER_KEY (reg[holder])

/* ---- the nodes ---- */
mtype st[3];
bool up[3], paused[3];
byte sees[3];                    /* members, as this node knows them */
byte isolated;                   /* a node that the others cannot reach; NOBODY: none */
bool changed[3];                 /* something is new since it failed last */
/* struct core_record, on disk: the key it was written under, its base, and which commits are in it */
byte rec[3], base[3], version[3], high[3];
byte key[3], expect[3], next[3];          /* in force; as read; of the attempt under way */
byte in[3], lost[3];             /* members that may hold a record under our key; those that did not acknowledge */
bool pending[3];                 /* a commit is stable here, not answered yet */
byte served[3];                  /* target: tenure under which it does I/O; 0: standby */
byte did[3];                     /* target: the key of its last I/O; one a key, so that every run ends */
byte joined[3];                  /* target: its nexus joined with this key, not yet looked at the holder */

#ifdef MUTANT_FORGET_JOINERS
byte caught_up[3];
#endif
byte committed, commits, newest; /* answered; done in all; the tenure that may do I/O */
byte crashes, pauses, cuts, losses;
byte tenures;
byte down, asleep;               /* 1 + the node that was crashed, paused; 0: none */
bool for_good, cut_for_good;

#define RUNS(n) (up[n] && !paused[n])
#define REACH(a, b) ((a) == (b) || (isolated != (a) && isolated != (b)))
#define MEMBERS(a, b) (REACH(a, b) && RUNS(b) && (sees[a] & BIT(b)) && (sees[b] & BIT(a)))
#define LOST(a, b) ((sees[a] & BIT(b)) && !(REACH(a, b) && RUNS(b)))
#define FOUND(a, b) ((a) != (b) && REACH(a, b) && RUNS(b) && !((sees[a] & BIT(b)) && (sees[b] & BIT(a))))
#define BEHIND(a, b) ((a) != (b) && !(in[a] & BIT(b)) && MEMBERS(a, b) && RESTING(b))
#define ANY(what, n) (what(n, 0) || what(n, 1) || (N > 2 && what(n, 2)))
#define POPULATION(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1))
#ifdef MUTANT_NO_QUORUM
#define QUORATE(n) true
#else
#define QUORATE(n) (N == 2 || POPULATION(sees[n]) * 2 > N)
#endif
#ifdef MUTANT_SERVE_OUTDATED
#define CURRENT(n, k) true
#elif defined(MUTANT_LARGER_IS_CURRENT)
#define CURRENT(n, k) (EPOCH(rec[n]) >= EPOCH(k))
#else
#define CURRENT(n, k) (rec[n] == (k) || base[n] == (k))
#endif
#define BUMP_NEEDED(n) ((in[n] & lost[n]) != 0)

#define news() changed[0] = true; changed[1] = true; changed[2] = true

/* Of the step under way, which is atomic: no part of the state */
hidden byte i, who, x, ok;

inline back_off(n)
{
	if :: st[n] != READING -> news() :: else fi;     /* the others, who left it to us, may try */
	st[n] = BLOCKED; changed[n] = false; expect[n] = 0; next[n] = 0
}

#define stored(n, i) rec[i] = rec[n]; base[i] = base[n]; version[i] = version[n]; high[i] = MAX(high[i], EPOCH(rec[n]))

inline next_key(n, k)                    /* co_next_key() */
{
#ifdef MUTANT_LARGER_IS_CURRENT
	high[n] = EPOCH(k) + 1;
#else
	high[n] = MAX(high[n], MAX(EPOCH(k), EPOCH(rec[n])));
	for (i : 0 .. N - 1) {
		if :: MEMBERS(n, i) -> high[n] = MAX(high[n], EPOCH(rec[i])) :: else fi
	}
	high[n]++;
#endif
	assert(high[n] < 60);                            /* no end to it: they take it from each other */
	next[n] = KEY(high[n], n)
}

/*
 * RecordPush to @to: those it is delivered to and who may store it (acceptable() of record.c) do so and acknowledge; an
 * acknowledgement may get lost, and a paused member may have it without anybody knowing. Who did not acknowledge is in lost.
 */
#define DELIVERED(n, i) (REACH(n, i) && up[i] && (sees[n] & BIT(i)) && (sees[i] & BIT(n)))
#define ACCEPTABLE(n, i) (!HOLD(i) && !TAKING(i) && EPOCH(rec[i]) <= EPOCH(rec[n]) && !(EARLY(i) && EARLY(n) && i < n))
inline push(n, to)
{
	for (i : 0 .. N - 1) {
		if
		:: (to & BIT(i)) && i != n ->
			lost[n] = lost[n] | BIT(i);
			if
			:: DELIVERED(n, i) && ACCEPTABLE(n, i) && !paused[i] -> stored(n, i); lost[n] = lost[n] & ~BIT(i)
			:: DELIVERED(n, i) && ACCEPTABLE(n, i) && !paused[i] && losses < LOSSES -> losses++; stored(n, i)
			:: DELIVERED(n, i) && ACCEPTABLE(n, i) && paused[i] -> stored(n, i)
			:: paused[i] || !DELIVERED(n, i) || !ACCEPTABLE(n, i)
			fi
		:: else
		fi
	}
}

/* PREEMPT AND ABORT of a key by a nexus that is registered; @ok: GOOD */
inline preempt(n, k, ok)
{
	ok = false;
	for (i : 0 .. N - 1) {
		if
		:: reg[n] && data[i] == k -> data[i] = 0; ok = true;
#ifndef MUTANT_PLAIN_PREEMPT
			queued[i] = 0
#endif
		:: else
		fi;
		if
		:: reg[n] && i != n && reg[i] == k ->
			if
			:: holder == i -> assert(EPOCH(reg[n]) > EPOCH(reg[i])) /* epoch goes back */; holder = n
			:: else
			fi;
			reg[i] = 0; ok = true
		:: else
		fi
	}
}

inline drop(n)                           /* drop.c: fenced, or no quorum */
{
	st[n] = DROPPING; key[n] = 0; next[n] = 0; expect[n] = 0; in[n] = 0; lost[n] = 0; pending[n] = false; served[n] = 0; joined[n] = 0
}

inline fenced(n)
{
#ifndef MUTANT_IGNORE_FENCED
	drop(n)
#else
	st[n] = ACTIVE; next[n] = 0
#endif
}

inline answer(n)
{
	pending[n] = false; committed = MAX(committed, version[n])
}

proctype node(byte n)
{
end:	do
	/* ---- choose.c, takeover.c ---- */
	:: atomic { RUNS(n) && st[n] == BLOCKED && changed[n] -> st[n] = STANDBY }
	:: atomic { RUNS(n) && st[n] == STANDBY && changed[n] && QUORATE(n) ->
		who = NOBODY;
		for (i : 0 .. N - 1) {
			if :: i != n && MEMBERS(n, i) && !RESTING(i) && st[i] != DROPPING -> who = i :: else fi
		}
		if
		:: who == NOBODY -> st[n] = READING
		:: else -> changed[n] = false            /* somebody has it, or is at it */
		fi }
	:: atomic { RUNS(n) && st[n] == READING && !expect[n] -> expect[n] = HOLDER_KEY }
	:: atomic { RUNS(n) && st[n] == READING && expect[n] ->     /* co_takeover_decide(); fetching is one step */
		who = n;
		for (i : 0 .. N - 1) {
			if :: i != n && MEMBERS(n, i) && RESTING(i) && !CURRENT(n, expect[n]) && CURRENT(i, expect[n]) -> who = i :: else fi
		}
		rec[n] = rec[who]; base[n] = base[who]; version[n] = version[who];
		if
		:: CURRENT(n, expect[n]) ->
			next_key(n, expect[n]);
#ifndef MUTANT_NO_INTENT
			rec[n] = next[n]; base[n] = expect[n];
#endif
			st[n] = INTENT
		:: else -> back_off(n)                   /* outdated */
		fi }
	:: atomic { RUNS(n) && st[n] == INTENT ->
		in[n] = sees[n] & ~BIT(n); lost[n] = 0;
#ifndef MUTANT_NO_INTENT
		push(n, in[n]);
#else
		lost[n] = in[n];
#endif
		who = NODE(expect[n]);                   /* set_window(), disclaims() */
		if
#ifdef MUTANT_NO_WINDOW
		:: true -> st[n] = TAKE_LOOK
#else
		:: who == n || (MEMBERS(n, who) && RESTING(who) && EPOCH(rec[who]) >= EPOCH(expect[n])) -> st[n] = TAKE_LOOK
		:: else -> st[n] = WAITING
#endif
		fi }
	/* A running owner that is cut off moves its key within the window: only without it may the window end as if it had not. */
	:: atomic { RUNS(n) && st[n] == WAITING && !(TIMELY && RUNS(NODE(expect[n])) && HOLD(NODE(expect[n])) && HOLDER_KEY == expect[n]) ->
		if
		:: HOLDER_KEY == expect[n] -> st[n] = TAKE_LOOK
		:: else -> in[n] = 0; lost[n] = 0; back_off(n)    /* owner-alive */
		fi }

	/* ---- fencing/take.c ---- */
	:: atomic { RUNS(n) && st[n] == TAKE_LOOK ->
		if
		:: HOLDER_KEY == expect[n] -> st[n] = TAKE_REGISTER
		:: else -> in[n] = 0; lost[n] = 0; back_off(n)
		fi }
	:: atomic { RUNS(n) && st[n] == TAKE_REGISTER ->     /* and ignore: our key of an earlier life may be the holder's */
		assert(holder != n || EPOCH(next[n]) > EPOCH(reg[n]));
		reg[n] = next[n]; st[n] = TAKE_CLAIM }
	:: atomic { RUNS(n) && st[n] == TAKE_CLAIM ->
		ok = true;
		if
		:: holder == n && reg[n] == next[n]
		:: else -> preempt(n, expect[n], ok)
		fi;
#ifdef MUTANT_NO_LOOK_BACK
		if :: ok -> st[n] = ACTIVATING; key[n] = next[n]; tenures++; news() :: else -> st[n] = TAKE_SWEEP fi
#else
		st[n] = TAKE_SWEEP
#endif
		}
	:: atomic { RUNS(n) && st[n] == TAKE_SWEEP ->
		if
		:: holder == n && reg[n] == next[n] ->
			who = 0;
#ifndef MUTANT_NO_SWEEP
			for (i : 0 .. N - 1) {
				if :: data[i] && data[i] != next[n] -> who = data[i] :: else fi;
				if :: i != n && reg[i] -> who = reg[i] :: else fi
			}
#endif
			if
			:: who -> preempt(n, who, ok)
			:: else ->
				st[n] = ACTIVATING; key[n] = next[n]; next[n] = 0; expect[n] = 0; tenures++; news()
			fi
		:: HOLDER_KEY == expect[n] && reg[n] == next[n] -> st[n] = TAKE_CLAIM
		:: else ->                                       /* lost: withdraw */
			if :: reg[n] == next[n] -> reg[n] = 0 :: else fi;
			in[n] = 0; lost[n] = 0; back_off(n)
		fi }

	/* ---- the target: fencing/nexus.c JOIN, then I/O ---- */
#ifdef MUTANT_LOOK_FIRST
	:: atomic { RUNS(n) && st[n] == ACTIVATING && !joined[n] ->
		if :: HOLDER_KEY == key[n] -> joined[n] = key[n] :: else -> fenced(n) fi }
	:: atomic { RUNS(n) && st[n] == ACTIVATING && joined[n] ->
		data[n] = joined[n]; served[n] = EPOCH(joined[n]); joined[n] = 0; st[n] = ACTIVE }
#else
	:: atomic { RUNS(n) && st[n] == ACTIVATING && !joined[n] -> data[n] = key[n]; joined[n] = key[n] }
	:: atomic { RUNS(n) && st[n] == ACTIVATING && joined[n] ->
		if
#ifndef MUTANT_NO_LOOK_BACK
		:: HOLDER_KEY != joined[n] ->
			if :: data[n] == joined[n] -> data[n] = 0 :: else fi;
			fenced(n)
		:: else ->
#else
		:: true ->
#endif
			assert(version[n] >= committed);         /* outdated record serves */
			served[n] = EPOCH(joined[n]); newest = MAX(newest, served[n]); joined[n] = 0; st[n] = ACTIVE
		fi }
#endif
	:: atomic { RUNS(n) && served[n] && !queued[n] && data[n] && did[n] != data[n] -> queued[n] = served[n]; did[n] = data[n] }
	:: atomic { RUNS(n) && served[n] && !data[n] -> fenced(n) }     /* RESERVATION CONFLICT */

	/* ---- commit.c ---- */
	:: atomic { RUNS(n) && st[n] == ACTIVE && !BUMP_NEEDED(n) && !pending[n] && commits < COMMITS ->
		commits++; version[n] = commits; rec[n] = key[n]; base[n] = key[n]; pending[n] = true;
		push(n, in[n]);
#ifdef MUTANT_SELF_DELIVERY
		answer(n)
#else
		if :: !BUMP_NEEDED(n) -> answer(n) :: else fi
#endif
		}
	:: atomic { RUNS(n) && st[n] == ACTIVE && !BUMP_NEEDED(n) && ANY(BEHIND, n) ->   /* co_repl_catch_up() */
		if :: BEHIND(n, 0) -> who = 0 :: BEHIND(n, 1) -> who = 1 :: N > 2 && BEHIND(n, 2) -> who = 2 fi;
		push(n, BIT(who));                               /* who refuses, for his is newer, makes us bump */
#ifdef MUTANT_FORGET_JOINERS
		caught_up[n] = caught_up[n] | BIT(who)
#else
		in[n] = in[n] | BIT(who)
#endif
		}
	/* a challenge is heard of, or the key is looked at */
	:: atomic { RUNS(n) && st[n] == ACTIVE && HOLDER_KEY != key[n] -> fenced(n) }
	:: atomic { RUNS(n) && HOLD(n) && !QUORATE(n) -> drop(n) }

	/* ---- bump.c ---- */
#ifndef MUTANT_NO_BUMP
	:: atomic { RUNS(n) && st[n] == ACTIVE && BUMP_NEEDED(n) && QUORATE(n) -> st[n] = BUMP_READ }
#else
	:: atomic { RUNS(n) && st[n] == ACTIVE && BUMP_NEEDED(n) && QUORATE(n) -> in[n] = in[n] & ~lost[n]; lost[n] = 0;
		if :: pending[n] -> answer(n) :: else fi }
#endif
	:: atomic { RUNS(n) && st[n] == BUMP_READ ->
		if
		:: HOLDER_KEY != key[n] -> fenced(n)
		:: else -> next_key(n, key[n]); rec[n] = next[n]; base[n] = key[n]; st[n] = BUMP_STORE
		fi }
	:: atomic { RUNS(n) && st[n] == BUMP_STORE ->
		expect[n] = sees[n] & ~BIT(n) & ~lost[n];        /* repl.next.in */
		lost[n] = 0; push(n, expect[n]); st[n] = BUMP_CAS }
	:: atomic { RUNS(n) && st[n] == BUMP_CAS && QUORATE(n) ->
		if
		:: holder == n && reg[n] == key[n] ->
#ifndef MUTANT_SAME_EPOCH
			reg[n] = next[n]; key[n] = next[n];
#else
			rec[n] = key[n];
#endif
			in[n] = expect[n]; next[n] = 0; expect[n] = 0; news();
			st[n] = ACTIVE
		:: else -> fenced(n)
		fi }
	:: atomic { RUNS(n) && st[n] == ACTIVE && pending[n] && !BUMP_NEEDED(n) ->      /* again(): once more under the new key */
		rec[n] = key[n]; base[n] = key[n]; push(n, in[n]);
		if :: !BUMP_NEEDED(n) -> answer(n) :: else fi }
	:: atomic { RUNS(n) && st[n] == ACTIVE && data[n] && data[n] != key[n] -> data[n] = key[n] }   /* REKEY */
	:: atomic { RUNS(n) && st[n] == ACTIVE && !served[n] -> st[n] = ACTIVATING }

	/* ---- drop.c: until nothing is in flight ---- */
	:: atomic { RUNS(n) && st[n] == DROPPING && !queued[n] ->
		data[n] = 0;                                     /* LEAVE */
		st[n] = BLOCKED; news() }

	/* ---- member.c: one member at a time is lost, or is found; whoever is at it starts anew ---- */
	:: atomic { RUNS(n) && ANY(LOST, n) ->
		if :: LOST(n, 0) -> who = 0 :: LOST(n, 1) -> who = 1 :: N > 2 && LOST(n, 2) -> who = 2 fi;
		sees[n] = sees[n] & ~BIT(who); lost[n] = lost[n] | (in[n] & BIT(who));
		if :: EARLY(n) -> st[n] = STANDBY; expect[n] = 0; next[n] = 0; in[n] = 0; lost[n] = 0 :: else fi;
		news() }
	:: atomic { RUNS(n) && ANY(FOUND, n) ->          /* both hear of it; who had not noticed the loss, does now */
		if :: FOUND(n, 0) -> who = 0 :: FOUND(n, 1) -> who = 1 :: N > 2 && FOUND(n, 2) -> who = 2 fi;
		lost[n] = lost[n] | (in[n] & BIT(who)); lost[who] = lost[who] | (in[who] & BIT(n));
		sees[n] = sees[n] | BIT(who); sees[who] = sees[who] | BIT(n);
		if :: EARLY(n) -> st[n] = STANDBY; expect[n] = 0; next[n] = 0; in[n] = 0; lost[n] = 0 :: else fi;
		if :: EARLY(who) -> st[who] = STANDBY; expect[who] = 0; next[who] = 0; in[who] = 0; lost[who] = 0 :: else fi;
		news() }
	od
}

/* The array executes what is queued there. */
proctype lun()
{
end:	do
	:: atomic { queued[0] || queued[1] || queued[2] ->
		if :: queued[0] -> x = 0 :: queued[1] -> x = 1 :: queued[2] -> x = 2 fi;
		assert(queued[x] >= newest);                     /* late I/O */
		queued[x] = 0 }
	od
}

proctype environment()
{
end:	do
	:: atomic { crashes < CRASHES && !down ->
		crashes++;
		select (x : 0 .. N - 1);
		if
		:: up[x] -> up[x] = false; paused[x] = false;
			st[x] = BLOCKED; key[x] = 0; expect[x] = 0; next[x] = 0; in[x] = 0; lost[x] = 0; pending[x] = false;
			served[x] = 0; joined[x] = 0; did[x] = 0; sees[x] = BIT(x);
			if :: for_good = true :: for_good = false fi;
			down = x + 1
		:: else
		fi }
	:: atomic { down && !for_good -> up[down - 1] = true; down = 0; news() }
	:: atomic { pauses < PAUSES && !asleep ->
		pauses++;
		select (x : 0 .. N - 1);
		if :: RUNS(x) -> paused[x] = true; asleep = x + 1 :: else fi }
	:: atomic { asleep -> paused[asleep - 1] = false; asleep = 0; news() }
	:: atomic { cuts < CUTS && isolated == NOBODY -> cuts++; select (x : 0 .. N - 1); isolated = x;
		if :: cut_for_good = true :: cut_for_good = false fi }
	:: atomic { isolated != NOBODY && !cut_for_good -> isolated = NOBODY; news() }
	od
}

/*
 * Where nothing moves any more: who can serve does. A node that is up, quorate and has, or can reach, a current record;
 * and an owner that was only cut off, and has quorum, is still the one (TIMELY).
 */
proctype rest()
{
	byte n, can, does;

	atomic { timeout ->
	for (n : 0 .. N - 1) {
		if
		:: RUNS(n) && QUORATE(n) ->
			for (i : 0 .. N - 1) {
				if :: (i == n || MEMBERS(n, i)) && CURRENT(i, HOLDER_KEY) -> can = can | BIT(n) :: else fi
			}
		:: else
		fi;
		if :: RUNS(n) && st[n] == ACTIVE && served[n] && key[n] == HOLDER_KEY -> does = does | BIT(n) :: else fi
	}
	assert(!can || does);                                    /* a group that can be served is not */
#if TIMELY
	assert(N > 2 || crashes || pauses || tenures == 0)       /* it moved although its owner was only cut off */
#endif
	}
}

init
{
	atomic {
		isolated = NOBODY;
		for (i : 0 .. N - 1) {
			up[i] = true; st[i] = STANDBY; sees[i] = BIT(N) - 1; rec[i] = KEY(1, 0); base[i] = KEY(1, 0); high[i] = 1
		}
		reg[0] = KEY(1, 0); data[0] = KEY(1, 0); holder = 0; key[0] = KEY(1, 0); st[0] = ACTIVE; served[0] = 1; newest = 1;
		in[0] = sees[0] & ~1;
		for (i : 0 .. N - 1) { run node(i) }
		run lun(); run environment(); run rest()
	}
}
