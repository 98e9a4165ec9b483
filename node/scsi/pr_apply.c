/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_apply.c - old reservations + command → new reservations + effects; SPC-4 5.13
 *
 * A handler edits a private copy; whatever it decided, nothing leaves this file unless the status is GOOD and the copy
 * differs from the old block. PRGENERATION grows with each service action that the standard says, also when nothing
 * else changed.
 */
#include "node/scsi/internal.h"

/* SPC-4 5.13.9 */
static void do_reserve(struct sc_pr_edit *e)
{
	bool other = e->old->type && !sc_pr_holds(e->old, (unsigned)e->me) && !MUTANT(RESERVE_STEALS);
	bool changes = e->old->type && e->old->type != e->cmd->type && !MUTANT(RESERVE_CHANGES_TYPE);

	if (other || changes) {
		sc_pr_conflict(e);
		return;
	}
	e->pr->type = e->cmd->type;
	e->pr->holder = sc_pr_all_registrants(e->cmd->type) ? 0 : (uint16_t)e->me;
}

/* SPC-4 5.13.11.2.2: not the holder, or nothing held: GOOD, and nothing happens */
static void do_release(struct sc_pr_edit *e)
{
	if (!e->old->type || (!sc_pr_holds(e->old, (unsigned)e->me) && !MUTANT(RELEASE_BY_ANYBODY)))
		return;
	if (e->old->type != e->cmd->type && !MUTANT(RELEASE_WRONG_TYPE)) {
		sc_pr_fail(e, sc_sense_make(SC_KEY_ILLEGAL_REQUEST, SC_ASC_INVALID_RELEASE));
		return;
	}
	sc_pr_unreserve(e->pr);
	if (sc_pr_shared(e->old->type) && !MUTANT(RELEASE_SILENT))
		(void)sc_pr_effect_others(e, e->old, SC_UA_RESERVATIONS_RELEASED);
	if (MUTANT(RELEASE_TELLS_SELF))
		(void)sc_pr_effect(e, e->who, SC_UA_RESERVATIONS_RELEASED, false);
}

/* SPC-4 5.13.11.2.7 */
static void do_clear(struct sc_pr_edit *e)
{
	if (MUTANT(CLEAR_KEEPS_REGISTRATIONS))
		sc_pr_unreserve(e->pr);
	else
		sc_pr_forget(e->pr);
	(void)sc_pr_effect_others(e, e->old, MUTANT(CLEAR_RELEASED) ? SC_UA_RESERVATIONS_RELEASED :
								      SC_UA_RESERVATIONS_PREEMPTED);
}

/* What holds for a verb before its handler runs */
#define PR      1u  /* PERSISTENT RESERVE OUT: in conflict with any SPC-2 reservation */
#define MEMBER  2u  /* only from a registered nexus that gives its key (SPC-4 table 66, 6.16.3) */
#define COUNTED 4u  /* PRGENERATION grows (SPC-4 6.15.2) */
#define EVENT   8u  /* no command: nobody is refused */

static const struct {
	void (*run)(struct sc_pr_edit *e);
	unsigned flags;
} verbs[] = {
	[SC_PR_REGISTER] = { sc_pr_do_register, PR | COUNTED },
	[SC_PR_RESERVE] = { do_reserve, PR | MEMBER },
	[SC_PR_RELEASE] = { do_release, PR | MEMBER },
	[SC_PR_CLEAR] = { do_clear, PR | MEMBER | COUNTED },
	[SC_PR_PREEMPT] = { sc_pr_do_preempt, PR | MEMBER | COUNTED },
	[SC_PR_PREEMPT_ABORT] = { sc_pr_do_preempt, PR | MEMBER | COUNTED },
	[SC_PR_REGISTER_IGNORE] = { sc_pr_do_register_ignore, PR | COUNTED },
	[SC_PR_REGISTER_MOVE] = { sc_pr_do_register_move, PR | MEMBER | COUNTED },
	[SC_PR_REPLACE_LOST] = { sc_pr_do_replace_lost, PR },
	[SC_PR_SPC2_RESERVE] = { sc_pr_do_spc2_reserve, 0 },
	[SC_PR_SPC2_RELEASE] = { sc_pr_do_spc2_release, 0 },
	[SC_PR_NEXUS_LOSS] = { sc_pr_do_nexus_loss, EVENT },
	[SC_PR_RESET] = { sc_pr_drop_spc2, EVENT },
	[SC_PR_POWER_LOSS] = { sc_pr_do_power_loss, EVENT },
};

static bool is_member(const struct sc_pr_edit *e)
{
	bool any_key = MUTANT(RESERVE_WITHOUT_KEY) && e->cmd->verb == SC_PR_RESERVE;

	return e->me >= 0 && (e->old->regs[e->me].key == e->cmd->key || any_key);
}

static void run(struct sc_pr_edit *e)
{
	unsigned flags = verbs[e->cmd->verb].flags;

	if (e->old->lost && !(flags & EVENT) && e->cmd->verb != SC_PR_REPLACE_LOST) {
		sc_pr_fail(e, sc_sense_make(SC_KEY_DATA_PROTECT, SC_ASC_RESERVATIONS_LOST));
		return;
	}
	if ((flags & PR && e->old->spc2 && !MUTANT(PR_BESIDE_SPC2)) || (flags & MEMBER && !is_member(e))) {
		sc_pr_conflict(e);
		return;
	}
	verbs[e->cmd->verb].run(e);
	if ((flags & COUNTED && !e->nothing) || (MUTANT(RESERVE_COUNTS) && e->cmd->verb == SC_PR_RESERVE))
		e->pr->generation++;
}

/* Registrations there can be in the end: each TransportID is one port, or some of the known ones */
static uint16_t room(const struct sc_pr_edit *e)
{
	uint64_t ids = 1 + (uint64_t)e->cmd->ids_len / SC_TID_MIN + e->cmd->n_known;

	return (uint16_t)MIN(e->old->n_regs + ids * (1u + e->tgt->n_ports), (uint64_t)SC_PR_MAX_REGS);
}

void sc_pr_apply(const struct sc_pr *old, const struct sc_target *tgt, const struct sc_nexus *who,
		 const struct sc_pr_cmd *cmd, struct sc_pr **ret_new, struct sc_pr_fx *fx)
{
	static const struct sc_pr nothing;
	struct sc_pr_edit e = { .old = old ? old : &nothing, .tgt = tgt, .who = who, .cmd = cmd, .fx = fx };

	*fx = (struct sc_pr_fx){ .status = SC_GOOD };
	*ret_new = NULL;
	if (cmd->verb >= ARRAY_SIZE(verbs) || !verbs[cmd->verb].run) {
		sc_pr_fail(&e, sc_sense_cdb(SC_ASC_INVALID_FIELD_CDB, 1, 4));
		return;
	}
	e.room = room(&e);
	e.pr = sc_pr_alloc(e.room);
	if (!e.pr) {
		fx->status = SC_BUSY;
		return;
	}
	memcpy(e.pr, e.old, sc_pr_size(e.old));
	e.me = sc_pr_find(e.old, who);
	run(&e);
	if (fx->status == SC_GOOD && !sc_pr_equal(e.pr, e.old)) {
		*ret_new = sc_pr_dup(e.pr);  /* without the spare room */
		fx->changed = *ret_new;
		fx->status = *ret_new ? SC_GOOD : SC_BUSY;
	}
	if (!fx->changed)
		sc_pr_fx_free(fx);
	free(e.pr);
}

void sc_pr_fx_free(struct sc_pr_fx *fx)
{
	free(fx->items);
	fx->items = NULL;
	fx->n_items = 0;
}
