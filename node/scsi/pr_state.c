/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pr_state.c - the reservation block: making, copying, comparing, reading */
#include "node/scsi/internal.h"

_Static_assert(sizeof(struct sc_nexus) == SC_NAME_MAX + 1 + 6 + 2, "no padding: nexuses compare as memory");
_Static_assert(sizeof(struct sc_pr_reg) == sizeof(struct sc_nexus) + 8, "no padding: blocks compare as memory");
_Static_assert(offsetof(struct sc_pr, regs) == 16 + sizeof(struct sc_nexus), "no padding: blocks compare as memory");

bool sc_nexus_init(struct sc_nexus *n, const char *initiator, const uint8_t isid[6], uint16_t rtpi)
{
	size_t len = strnlen(initiator, SC_NAME_MAX + 1);

	if (len == 0 || len > SC_NAME_MAX)
		return false;
	memset(n, 0, sizeof(*n));
	memcpy(n->initiator, initiator, len);
	memcpy(n->isid, isid, sizeof(n->isid));
	n->rtpi = rtpi;
	return true;
}

/* The ISID first: it differs soonest between ports of one initiator, and the names are long. */
bool sc_nexus_equal(const struct sc_nexus *a, const struct sc_nexus *b)
{
	return !memcmp(a->isid, b->isid, sizeof(a->isid)) && !memcmp(a, b, sizeof(*a));
}

size_t sc_pr_size(const struct sc_pr *pr)
{
	return sizeof(*pr) + pr->n_regs * sizeof(pr->regs[0]);
}

struct sc_pr *sc_pr_alloc(uint16_t n)
{
	struct sc_pr *pr = calloc(1, sizeof(*pr) + n * sizeof(pr->regs[0]));

	if (pr)
		pr->n_regs = n;
	return pr;
}

struct sc_pr *sc_pr_dup(const struct sc_pr *pr)
{
	struct sc_pr *copy = pr ? sc_pr_alloc(pr->n_regs) : NULL;

	if (copy)
		memcpy(copy, pr, sc_pr_size(pr));
	return copy;
}

struct sc_pr *sc_pr_lost(void)
{
	struct sc_pr *pr = sc_pr_alloc(0);

	if (pr)
		pr->lost = pr->aptpl = true;
	return pr;
}

bool sc_pr_equal(const struct sc_pr *a, const struct sc_pr *b)
{
	static const struct sc_pr nothing;

	a = a ? a : &nothing;
	b = b ? b : &nothing;
	return a->n_regs == b->n_regs && !memcmp(a, b, sc_pr_size(a));
}

static bool nexus_valid(const struct sc_nexus *n)
{
	struct sc_nexus canonical;

	if (n->initiator[SC_NAME_MAX] || !sc_nexus_init(&canonical, n->initiator, n->isid, n->rtpi))
		return false;
	return sc_nexus_equal(n, &canonical);
}

bool sc_pr_valid(const struct sc_pr *pr)
{
	static const struct sc_pr blank;

	if (pr->n_regs > SC_PR_MAX_REGS || (pr->type && (!sc_pr_type_ok(pr->type) || pr->holder >= pr->n_regs)))
		return false;
	if ((!pr->type || sc_pr_all_registrants(pr->type)) && pr->holder)
		return false;
	if (memcmp(pr->zero, blank.zero, sizeof(pr->zero)) || (pr->lost && (pr->n_regs || pr->type || pr->spc2)))
		return false;
	if (pr->spc2 ? !nexus_valid(&pr->spc2_holder) || pr->n_regs :
		       !!memcmp(&pr->spc2_holder, &blank.spc2_holder, sizeof(blank.spc2_holder)))
		return false;
	for (unsigned i = 0; i < pr->n_regs; i++) {
		if (!pr->regs[i].key || !nexus_valid(&pr->regs[i].nexus))
			return false;
		if (sc_pr_find(pr, &pr->regs[i].nexus) != (int)i)
			return false;  /* twice */
	}
	return true;
}

int sc_pr_find(const struct sc_pr *pr, const struct sc_nexus *who)
{
	for (unsigned i = 0; pr && i < pr->n_regs; i++)
		if (sc_nexus_equal(&pr->regs[i].nexus, who))
			return (int)i;
	return -1;
}

/* SPC-4 5.13.10: the nexus that reserved, or every registered one */
bool sc_pr_holds(const struct sc_pr *pr, unsigned i)
{
	return pr->type && ((sc_pr_all_registrants(pr->type) && !MUTANT(AR_HELD_BY_ONE)) || pr->holder == i);
}

unsigned sc_pr_role(const struct sc_pr *pr, const struct sc_nexus *who)
{
	int i = sc_pr_find(pr, who);
	unsigned role = 0;

	if (MUTANT(CONFLICT_NEXUS_BY_NAME))
		for (unsigned k = 0; pr && i < 0 && k < pr->n_regs; k++)
			i = strcmp(pr->regs[k].nexus.initiator, who->initiator) ? -1 : (int)k;

	if (i >= 0)
		role |= SC_ROLE_REGISTERED | (sc_pr_holds(pr, (unsigned)i) ? SC_ROLE_HOLDER : 0);
	if (pr && pr->spc2 && sc_nexus_equal(&pr->spc2_holder, who))
		role |= SC_ROLE_SPC2;
	return role;
}
