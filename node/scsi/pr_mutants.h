/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_mutants.h - deliberate faults of the reservation rules, one a rule; compiled in for tests/unit/scsi/test_pr_mutants
 *
 * Each must be noticed by the comparison with the second model. A fault that is not noticed means that the comparison
 * has lost its teeth, or that the rule is none.
 */
#ifndef LUNWARD_SCSI_PR_MUTANTS_H
#define LUNWARD_SCSI_PR_MUTANTS_H

#define SC_PR_MUTANTS(X) \
	X(REGISTER_ANY_KEY, "REGISTER does not look at the key") \
	X(REGISTER_NOTHING_COUNTS, "registering nothing counts in PRGENERATION") \
	X(UNREGISTER_KEEPS, "a holder that unregisters keeps the reservation for the next one") \
	X(UNREGISTER_SILENT, "fellow registrants do not hear that the holder unregistered") \
	X(UNREGISTER_LOUD, "they hear of it with types 1 and 3 too") \
	X(IGNORE_LOOKS_AT_KEY, "REGISTER AND IGNORE EXISTING KEY looks at the key") \
	X(KEY_CHANGE_RELEASES, "a new key releases the reservation") \
	X(APTPL_STICKS, "APTPL stays once it was set") \
	X(ALL_TG_PT_IGNORED, "ALL_TG_PT is ignored") \
	X(ALL_TG_PT_ONE_KEY, "with ALL_TG_PT only this port's key is looked at") \
	X(SPEC_I_PT_REGISTERED, "SPEC_I_PT from a registered nexus") \
	X(SPEC_I_PT_OVERWRITES, "SPEC_I_PT changes the keys of registered nexuses") \
	X(SPEC_I_PT_FIRST_ONLY, "SPEC_I_PT registers the first one only") \
	X(SPEC_I_PT_UNKNOWN_NAME, "a name that nobody has is no mistake") \
	X(RESERVE_WITHOUT_KEY, "RESERVE does not look at the key") \
	X(RESERVE_STEALS, "RESERVE takes a reservation away") \
	X(RESERVE_CHANGES_TYPE, "the holder may change the type by RESERVE") \
	X(RESERVE_COUNTS, "RESERVE counts in PRGENERATION") \
	X(RELEASE_BY_ANYBODY, "any registrant releases") \
	X(RELEASE_WRONG_TYPE, "RELEASE does not compare the type") \
	X(RELEASE_SILENT, "nobody hears of a RELEASE") \
	X(RELEASE_TELLS_SELF, "who releases hears of it too") \
	X(AR_HELD_BY_ONE, "all registrants types have one holder") \
	X(CLEAR_KEEPS_REGISTRATIONS, "CLEAR removes the reservation only") \
	X(CLEAR_RELEASED, "CLEAR says RESERVATIONS RELEASED") \
	X(PREEMPT_STALE_KEY, "PREEMPT of a key that nobody has is GOOD") \
	X(PREEMPT_ZERO, "zero is a key that nobody has") \
	X(PREEMPT_KEEPS_TYPE, "PREEMPT does not set the new type") \
	X(PREEMPT_DROPS_SELF, "PREEMPT of the own key as a holder unregisters") \
	X(PREEMPT_SPARES_SELF, "PREEMPT of the own key by others than the holder does not unregister") \
	X(PREEMPT_AR_KEY_TAKES, "all registrants: PREEMPT with a key takes the reservation") \
	X(PREEMPT_ALWAYS_TAKES, "PREEMPT of any registrant takes the reservation") \
	X(PREEMPT_NO_RELEASED, "nobody hears of the changed type") \
	X(PREEMPT_WRONG_UA, "the victims hear RESERVATIONS PREEMPTED") \
	X(PREEMPT_ABORTS, "PREEMPT aborts commands") \
	X(ABORT_SPARES_OWN, "PREEMPT AND ABORT spares the own commands") \
	X(PREEMPT_BAD_TYPE, "PREEMPT takes any type") \
	X(MOVE_BY_ANYBODY, "any registrant moves the reservation") \
	X(MOVE_AR, "an all registrants reservation moves") \
	X(MOVE_NO_RESERVATION, "nothing to move is a conflict") \
	X(MOVE_TO_SELF, "the reservation moves to the same initiator port") \
	X(MOVE_KEEPS_HOLDER, "REGISTER AND MOVE registers only") \
	X(MOVE_UNREG_IGNORED, "UNREG is ignored") \
	X(MOVE_UNKNOWN_PORT, "the target port need not exist") \
	X(MOVE_ZERO_KEY, "a move to key zero") \
	X(REPLACE_ANY_TIME, "REPLACE LOST RESERVATION without a loss") \
	X(LOST_SERVES, "lost reservations do not keep anybody out") \
	X(REPLACE_COUNTS, "REPLACE LOST RESERVATION keeps PRGENERATION") \
	X(SPC2_BESIDE_PR, "RESERVE(6) while somebody is registered") \
	X(SPC2_STEALS, "RESERVE(6) takes an SPC-2 reservation away") \
	X(SPC2_RELEASED_BY_ANYBODY, "RELEASE(6) by anybody") \
	X(SPC2_NO_CRH, "no compatible reservation handling") \
	X(SPC2_CRH_RESERVES, "compatible reservation handling for types 1 and 3 too") \
	X(SPC2_OUTLIVES_NEXUS, "an SPC-2 reservation outlives its nexus") \
	X(SPC2_OUTLIVES_RESET, "an SPC-2 reservation outlives a reset") \
	X(PR_BESIDE_SPC2, "PERSISTENT RESERVE OUT under an SPC-2 reservation") \
	X(POWER_LOSS_KEEPS, "a power loss without APTPL keeps everything") \
	X(POWER_LOSS_FORGETS, "a power loss with APTPL forgets everything") \
	X(POWER_LOSS_GENERATION, "PRGENERATION outlives a power loss") \
	X(CONFLICT_HOLDER_ONLY, "types 5 and 6 let only the holder in") \
	X(CONFLICT_WE_READS, "Write Exclusive keeps readers out") \
	X(CONFLICT_EA_READS, "Exclusive Access lets readers in") \
	X(CONFLICT_SPC2_READS, "an SPC-2 reservation lets readers in") \
	X(CONFLICT_NEXUS_BY_NAME, "another ISID of the holder's name is the holder")

#define SC_MUTANT_ENUM(name, what) SC_MUT_##name,
enum sc_mutant { SC_MUT_NONE, SC_PR_MUTANTS(SC_MUTANT_ENUM) SC_N_MUTANTS };

#ifdef SC_MUTANTS
extern int sc_mutant;
#define MUTANT(name) (sc_mutant == SC_MUT_##name)
#else
#define MUTANT(name) false
#endif

#endif
