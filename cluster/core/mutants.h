/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mutants.h - deliberate faults: tests/sim builds core and fencing once more with them, chooses one at a time, and must notice */
#ifndef LUNWARD_CORE_MUTANTS_H
#define LUNWARD_CORE_MUTANTS_H

#ifdef CORE_MUTANTS
extern int core_mutant;
#define MUTANT(n) (core_mutant == (n))
#else
#define MUTANT(n) false
#endif

enum {
	MUTANT_NO_LOOK_BACK = 1,     /* acts on a stale answer of the LUN: no reading back */
	MUTANT_SELF_DELIVERY,        /* commits as soon as the record is stable here */
	MUTANT_NO_BUMP,              /* members may leave without the key moving */
	MUTANT_SERVE_OUTDATED,       /* current() is always true */
	MUTANT_EARLY_ADDRESS,        /* address goes up when arbitration begins */
	MUTANT_IGNORE_FENCED,        /* goes on after a reservation conflict */
	MUTANT_NO_INTENT,            /* takes the LUN before the record says so */
	MUTANT_NO_QUORUM,            /* a minority goes on */
	MUTANT_FORGET_JOINERS,       /* a member that joins gets the record, but its acknowledgement is not waited for */
	MUTANT_LARGER_IS_CURRENT,    /* current() looks at epochs only; each attempt uses the key's epoch + 1 again */
	MUTANT_NO_SWEEP,             /* registrations of dead challengers stay */
	MUTANT_TRUST_SILENT,         /* a member that says nothing any more is left alone */
	MUTANT_PUSH_FIRST,           /* a commit does not wait for the owner's own disk */
	MUTANT_FORGET_HIGH,          /* the largest epoch ever seen is not kept on disk */
	MUTANT_ADOPT_NO_BUMP,        /* a clusterd that was restarted goes on as if it knew who holds what */
	MUTANT_RELEASE_EARLY,        /* hands over before the target has closed */
	MUTANT_NO_LEASE,             /* does not care that its addresses ran out */
	MUTANT_BLIND_ADDRESS,        /* brings them back whatever the age of its key */
	MUTANT_NO_WAIT_DROP,         /* no key on the LUN: does not wait for who is giving up */
	MUTANT_GIVE_UP_MATCH,        /* lets a rival's intent replace the record of the key that it has put on the LUN */
	MUTANT_TWO_AT_ONCE,          /* begins an operation on a LUN before the last one has ended */
	MUTANT_BLIND_BUMP,           /* fencing: moves its key whoever holds it: REGISTER AND IGNORE */
	MUTANT_KILLED_ONCE,          /* does not kill a second process after one that was not there */
	MUTANT_KEEP_ADDRESS,         /* keeps its addresses when it drops the group */
	MUTANT_STORE_TWICE,          /* writes a record while another write is under way */
	N_MUTANTS,
};

#endif
