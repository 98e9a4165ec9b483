/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_spc2.c - RESERVE and RELEASE of SPC-2, and what ends reservations without a command
 *
 * An SPC-2 reservation belongs to a nexus that is there: it ends with the nexus, with a reset and with power. While
 * anybody is registered there is none; while there is one, PERSISTENT RESERVE OUT is in conflict (SPC-2 5.5.1).
 */
#include "node/scsi/internal.h"

/* CRH: with a persistent reservation the holder and its fellow registrants get GOOD and no effect. SPC-4 5.13.3 */
static bool compatible(const struct sc_pr_edit *e)
{
	if (MUTANT(SPC2_NO_CRH))
		return false;
	return e->me >= 0 && e->old->type &&
	       (sc_pr_shared(e->old->type) || sc_pr_holds(e->old, (unsigned)e->me) || MUTANT(SPC2_CRH_RESERVES));
}

static bool mine(const struct sc_pr_edit *e)
{
	return sc_nexus_equal(&e->old->spc2_holder, e->who);
}

void sc_pr_do_spc2_reserve(struct sc_pr_edit *e)
{
	if (compatible(e))
		return;
	if ((e->old->n_regs && !MUTANT(SPC2_BESIDE_PR)) || (e->old->spc2 && !mine(e) && !MUTANT(SPC2_STEALS))) {
		sc_pr_conflict(e);
		return;
	}
	e->pr->spc2 = true;
	e->pr->spc2_holder = *e->who;
}

void sc_pr_drop_spc2(struct sc_pr_edit *e)
{
	if (MUTANT(SPC2_OUTLIVES_RESET) && e->cmd->verb == SC_PR_RESET)
		return;
	e->pr->spc2 = false;
	memset(&e->pr->spc2_holder, 0, sizeof(e->pr->spc2_holder));
}

/* SPC-2 7.18.1: not the holder: GOOD, and nothing happens */
void sc_pr_do_spc2_release(struct sc_pr_edit *e)
{
	if (compatible(e))
		return;
	if (e->old->n_regs)
		sc_pr_conflict(e);
	else if (mine(e) || MUTANT(SPC2_RELEASED_BY_ANYBODY))
		sc_pr_drop_spc2(e);
}

void sc_pr_do_nexus_loss(struct sc_pr_edit *e)
{
	if (mine(e) && !MUTANT(SPC2_OUTLIVES_NEXUS))
		sc_pr_drop_spc2(e);
}

void sc_pr_forget(struct sc_pr *pr)
{
	sc_pr_unreserve(pr);
	pr->n_regs = 0;
}

/* SPC-4 5.13.5.1: without APTPL everything goes; PRGENERATION starts again in any case (6.15.2) */
void sc_pr_do_power_loss(struct sc_pr_edit *e)
{
	bool keeps = e->old->aptpl ? !MUTANT(POWER_LOSS_FORGETS) : MUTANT(POWER_LOSS_KEEPS);

	sc_pr_drop_spc2(e);
	if (!keeps)
		sc_pr_forget(e->pr);
	if (!MUTANT(POWER_LOSS_GENERATION))
		e->pr->generation = 0;
}

/*
 * REPLACE LOST RESERVATION, SPC-4 5.13.11.3. Without a loss: INVALID RELEASE, but a stranger to a reservation is in
 * conflict (table 66).
 */
void sc_pr_do_replace_lost(struct sc_pr_edit *e)
{
	if (!e->old->lost && e->old->type && e->me < 0) {
		sc_pr_conflict(e);
	} else if (!e->old->lost && !MUTANT(REPLACE_ANY_TIME)) {
		sc_pr_fail(e, sc_sense_make(SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_RELEASE));
	} else if (e->cmd->key) {
		sc_pr_fail(e, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, 0, SC_NO_BIT));
	} else if (!e->cmd->sark) {
		sc_pr_fail(e, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, 8, SC_NO_BIT));
	} else {
		sc_pr_forget(e->pr);
		e->pr->lost = false;
		e->pr->aptpl = e->cmd->aptpl;
		e->pr->type = e->cmd->type;
		if (!MUTANT(REPLACE_COUNTS))
			e->pr->generation = 0;
		(void)sc_pr_put_key(e, e->who, e->cmd->sark);
	}
}
