/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_preempt.c - PREEMPT and PREEMPT AND ABORT; SPC-4 5.13.11.2.4 to 5.13.11.2.6
 *
 * Two things under one name. When the key is the holder's (or zero with an all registrants type) the reservation is
 * taken over: the preempting nexus stays registered, also if the key is its own. Otherwise registrations with that
 * key are removed and the reservation stays as it is; then a nexus may remove itself.
 */
#include "node/scsi/internal.h"

/*
 * Remove what has the key (all of it when @key is zero), but @spare. No unit attention for the nexus that asked; its
 * own tasks are aborted too, but for the command itself. Return: false without memory
 */
static bool remove_key(struct sc_pr_edit *e, uint64_t key, const struct sc_nexus *spare)
{
	uint16_t ua = MUTANT(PREEMPT_WRONG_UA) ? SC_UA_RESERVATIONS_PREEMPTED : SC_UA_REGISTRATIONS_PREEMPTED;
	bool abort = e->cmd->verb == SC_PR_PREEMPT_ABORT || MUTANT(PREEMPT_ABORTS);

	for (unsigned i = 0; i < e->pr->n_regs;) {
		struct sc_nexus n = e->pr->regs[i].nexus;
		bool self = sc_nexus_equal(&n, e->who);
		bool hit = !key || e->pr->regs[i].key == key;

		if (self && MUTANT(PREEMPT_SPARES_SELF))
			hit = false;
		if (hit && (!self || (abort && !MUTANT(ABORT_SPARES_OWN))) &&
		    !sc_pr_effect(e, &n, self ? 0 : ua, abort))
			return false;
		if (hit && !(spare && sc_nexus_equal(&n, spare)))
			sc_pr_drop(e->pr, i);
		else
			i++;
	}
	return true;
}

static bool key_registered(const struct sc_pr *pr, uint64_t key)
{
	for (unsigned i = 0; i < pr->n_regs; i++)
		if (pr->regs[i].key == key)
			return true;
	return false;
}

/* 5.13.11.2.4.3: release, remove, reserve as one. RESERVATIONS RELEASED for who stays, if the type is another one. */
static void take_over(struct sc_pr_edit *e)
{
	uint8_t type = e->cmd->type;

	if (!sc_pr_type_ok(type) && !MUTANT(PREEMPT_BAD_TYPE)) {
		sc_pr_fail(e, sc_sense_cdb(SC_ASC_INVALID_FIELD_CDB, 2, type >> 4 ? 7 : 3));
		return;
	}
	if (!remove_key(e, e->cmd->sark, MUTANT(PREEMPT_DROPS_SELF) ? NULL : e->who))
		return;
	e->pr->type = MUTANT(PREEMPT_KEEPS_TYPE) ? e->old->type : type;
	e->pr->holder = sc_pr_all_registrants(e->pr->type) ? 0 : (uint16_t)sc_pr_find(e->pr, e->who);
	if (type != e->old->type && !MUTANT(PREEMPT_NO_RELEASED))
		(void)sc_pr_effect_others(e, e->pr, SC_UA_RESERVATIONS_RELEASED);
}

/* Table 72: the key is the holder's; zero is everybody's who holds an all registrants reservation */
static bool key_holds(const struct sc_pr *pr, uint64_t key)
{
	if (!pr->type)
		return false;
	if (MUTANT(PREEMPT_ALWAYS_TAKES) && key_registered(pr, key))
		return true;
	if (sc_pr_all_registrants(pr->type))
		return !key || (MUTANT(PREEMPT_AR_KEY_TAKES) && key_registered(pr, key));
	return pr->regs[pr->holder].key == key;
}

void sc_pr_do_preempt(struct sc_pr_edit *e)
{
	const struct sc_pr *old = e->old;
	uint64_t key = e->cmd->sark;

	if (key_holds(old, key))
		take_over(e);
	else if (!key && old->type && !MUTANT(PREEMPT_ZERO))
		sc_pr_fail(e, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, 8, SC_NO_BIT));
	else if (!key_registered(old, key) && !MUTANT(PREEMPT_STALE_KEY))
		sc_pr_conflict(e);
	else if (key)
		(void)remove_key(e, key, NULL);
}
