/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pr_edit.c - the next reservation block while it is made, and its effects */
#include "node/scsi/internal.h"

void sc_pr_conflict(struct sc_pr_edit *e)
{
	e->fx->status = SC_RESERVATION_CONFLICT;
}

void sc_pr_fail(struct sc_pr_edit *e, struct sc_sense sense)
{
	e->fx->status = SC_CHECK_CONDITION;
	e->fx->sense = sense;
}

bool sc_pr_put_key(struct sc_pr_edit *e, const struct sc_nexus *n, uint64_t key)
{
	int i = sc_pr_find(e->pr, n);

	if (i < 0) {
		if (e->pr->n_regs == e->room) {
			sc_pr_fail(e, sc_sense_make(SC_KEY_ILLEGAL_REQUEST, SC_ASC_INSUFFICIENT_REGISTRATION));
			return false;
		}
		i = e->pr->n_regs++;
		e->pr->regs[i].nexus = *n;
	}
	e->pr->regs[i].key = key;
	return true;
}

void sc_pr_unreserve(struct sc_pr *pr)
{
	pr->type = SC_PR_NONE;
	pr->holder = 0;
}

/* Order is kept: READ KEYS lists in order of registration. A reservation whose last holder goes, goes too. */
void sc_pr_drop(struct sc_pr *pr, unsigned i)
{
	bool only_holder = pr->type && (sc_pr_all_registrants(pr->type) ? pr->n_regs == 1 : pr->holder == i);

	if (only_holder)
		sc_pr_unreserve(pr);
	else if (pr->holder > i)
		pr->holder--;
	pr->n_regs--;
	memmove(&pr->regs[i], &pr->regs[i + 1], (pr->n_regs - i) * sizeof(pr->regs[0]));
}

bool sc_pr_effect(struct sc_pr_edit *e, const struct sc_nexus *n, uint16_t ua, bool abort)
{
	struct sc_pr_fx *fx = e->fx;
	struct sc_pr_fx_item *item;

	if (!fx->items)
		fx->items = calloc(e->old->n_regs + 1u, sizeof(*item));
	if (!fx->items) {
		fx->status = SC_BUSY;
		return false;
	}
	item = &fx->items[fx->n_items++];
	item->nexus = *n;
	item->ua = ua;
	item->abort = abort;
	return true;
}

bool sc_pr_effect_others(struct sc_pr_edit *e, const struct sc_pr *of, uint16_t ua)
{
	for (unsigned i = 0; i < of->n_regs; i++)
		if (!sc_nexus_equal(&of->regs[i].nexus, e->who) && !sc_pr_effect(e, &of->regs[i].nexus, ua, false))
			return false;
	return true;
}
