/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_register.c - REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE; SPC-4 5.13.7, 5.13.8
 *
 * ALL_TG_PT: as if the request had come through each target port by itself (6.16.3). One command is one event, so a
 * port whose registration has another key refuses all of it. SPEC_I_PT: all of the listed ports, or none.
 */
#include "node/scsi/internal.h"

typedef bool nexus_fn(struct sc_pr_edit *e, const struct sc_nexus *n);

/* @n, and with ALL_TG_PT the same initiator port through every other target port; until one says false */
static bool each_port(struct sc_pr_edit *e, const struct sc_nexus *n, nexus_fn *fn)
{
	struct sc_nexus other = *n;
	bool ok = fn(e, n);

	for (unsigned i = 0; ok && e->cmd->all_tg_pt && !MUTANT(ALL_TG_PT_IGNORED) && i < e->tgt->n_ports; i++) {
		other.rtpi = e->tgt->ports[i].rtpi;
		if (other.rtpi != n->rtpi)
			ok = fn(e, &other);
	}
	return ok;
}

/* Table 67: the key as it is registered, zero for who is not */
static bool key_is_right(struct sc_pr_edit *e, const struct sc_nexus *n)
{
	int i = sc_pr_find(e->old, n);

	if (e->cmd->key == (i < 0 ? 0 : e->old->regs[i].key) || MUTANT(REGISTER_ANY_KEY))
		return true;
	if (MUTANT(ALL_TG_PT_ONE_KEY) && !sc_nexus_equal(n, e->who))
		return true;
	sc_pr_conflict(e);
	return false;
}

static bool is_unregistered(struct sc_pr_edit *e, const struct sc_nexus *n)
{
	return sc_pr_find(e->old, n) < 0;
}

static bool put(struct sc_pr_edit *e, const struct sc_nexus *n)
{
	int i = sc_pr_find(e->pr, n);

	if (e->cmd->sark && MUTANT(KEY_CHANGE_RELEASES) && i >= 0)
		sc_pr_unreserve(e->pr);
	if (e->cmd->sark)
		return sc_pr_put_key(e, n, e->cmd->sark);
	if (i >= 0 && MUTANT(UNREGISTER_KEEPS) && e->pr->n_regs > 1)
		e->pr->holder = e->pr->holder == i ? (uint16_t)(i ? 0 : 1) : e->pr->holder;
	if (i >= 0)
		sc_pr_drop(e->pr, (unsigned)i);
	return true;
}

/* 5.13.11.2.3: a holder that unregisters releases; RESERVATIONS RELEASED for those who shared it */
static void tell_released(struct sc_pr_edit *e)
{
	bool told = sc_pr_shared(e->old->type) ? !MUTANT(UNREGISTER_SILENT) : MUTANT(UNREGISTER_LOUD);

	if (e->old->type && !e->pr->type && told)
		(void)sc_pr_effect_others(e, e->pr, SC_UA_RESERVATIONS_RELEASED);
}

void sc_pr_do_register_ignore(struct sc_pr_edit *e)
{
	if (MUTANT(IGNORE_LOOKS_AT_KEY) && !key_is_right(e, e->who))
		return;
	if (!e->cmd->sark && each_port(e, e->who, is_unregistered)) {
		e->nothing = !MUTANT(REGISTER_NOTHING_COUNTS);
		return;
	}
	(void)each_port(e, e->who, put);
	e->pr->aptpl = e->cmd->aptpl || (MUTANT(APTPL_STICKS) && e->old->aptpl);
	tell_released(e);
}

/* ---- TransportIDs: one initiator port, or (without ISID) all known ones of a name; 7.6.4.6 ---- */

static bool put_listed(struct sc_pr_edit *e, const struct sc_nexus *n)
{
	return each_port(e, n, put);
}

/* Footnote b of table 67 */
static bool may_be_listed(struct sc_pr_edit *e, const struct sc_nexus *n)
{
	return each_port(e, n, is_unregistered) || MUTANT(SPEC_I_PT_OVERWRITES);
}

/* All ports that the next TransportID means, through the target port @rtpi. Return: how many, or -1: @fn said false */
static int each_meant(struct sc_pr_edit *e, struct rd *r, uint16_t rtpi, nexus_fn *fn)
{
	struct sc_nexus id, n;
	bool any_port;
	int count = 0;

	if (!sc_tid_get(r, rtpi, &id, &any_port))
		return 0;
	if (!any_port)
		return fn(e, &id) ? 1 : -1;
	for (uint32_t i = 0; i < e->cmd->n_known; i++) {
		n = e->cmd->known[i];
		n.rtpi = rtpi;
		if (strcmp(n.initiator, id.initiator))
			continue;
		if (!fn(e, &n))
			return -1;
		count++;
	}
	return count;
}

static bool each_listed(struct sc_pr_edit *e, nexus_fn *fn)
{
	struct rd r = rd_init(e->cmd->ids, e->cmd->ids_len);

	while (rd_left(&r)) {
		uint16_t at = (uint16_t)(SC_PR_IDS_AT + (r.p - e->cmd->ids));
		int n = each_meant(e, &r, e->who->rtpi, fn);

		if (e->fx->status != SC_GOOD)
			return false;  /* no room */
		if (n < 0 || (n == 0 && !MUTANT(SPEC_I_PT_UNKNOWN_NAME))) {
			sc_pr_fail(e, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, at, SC_NO_BIT));
			return false;
		}
		if (MUTANT(SPEC_I_PT_FIRST_ONLY))
			break;
	}
	return true;
}

void sc_pr_do_register(struct sc_pr_edit *e)
{
	if (!each_port(e, e->who, key_is_right))
		return;
	if (e->me >= 0 && e->cmd->spec_i_pt && !MUTANT(SPEC_I_PT_REGISTERED)) {
		sc_pr_fail(e, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, 20, 3));
		return;
	}
	sc_pr_do_register_ignore(e);
	if (e->cmd->spec_i_pt && e->cmd->sark && e->fx->status == SC_GOOD && each_listed(e, may_be_listed))
		(void)each_listed(e, put_listed);
}

/* ---- REGISTER AND MOVE ---- */

static bool port_known(const struct sc_target *tgt, uint16_t rtpi)
{
	for (unsigned i = 0; i < tgt->n_ports; i++)
		if (tgt->ports[i].rtpi == rtpi)
			return true;
	return MUTANT(MOVE_UNKNOWN_PORT);
}

static bool same_initiator_port(const struct sc_nexus *a, const struct sc_nexus *b)
{
	struct sc_nexus through_same = *a;

	through_same.rtpi = b->rtpi;
	return sc_nexus_equal(&through_same, b) && !MUTANT(MOVE_TO_SELF);
}

/* Takes the first it is asked about, and objects to any other one */
static bool the_only(struct sc_pr_edit *e, const struct sc_nexus *n)
{
	if (!e->move_to.initiator[0])
		e->move_to = *n;
	return sc_nexus_equal(&e->move_to, n);
}

/* Where to: exactly one initiator port, and not the one that asks. Return: false with the command failed */
static bool find_destination(struct sc_pr_edit *e)
{
	struct rd r = rd_init(e->cmd->ids, e->cmd->ids_len);

	if (each_meant(e, &r, e->cmd->move_rtpi, the_only) > 0 && !same_initiator_port(&e->move_to, e->who))
		return true;
	sc_pr_fail(e, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, 24, SC_NO_BIT));
	return false;
}

static void move(struct sc_pr_edit *e)
{
	if (!sc_pr_put_key(e, &e->move_to, e->cmd->sark))
		return;
	if (!MUTANT(MOVE_KEEPS_HOLDER))
		e->pr->holder = (uint16_t)sc_pr_find(e->pr, &e->move_to);
	if (e->cmd->unreg && !MUTANT(MOVE_UNREG_IGNORED))
		sc_pr_drop(e->pr, (unsigned)e->me);
	e->pr->aptpl = e->cmd->aptpl;
}

/*
 * Type and scope stay, the holder becomes another nexus, which is registered for that. Who is registered and does not
 * hold: RESERVATION CONFLICT, whatever else is wrong (table 70); nothing held: INVALID FIELD IN CDB.
 */
void sc_pr_do_register_move(struct sc_pr_edit *e)
{
	bool ar = sc_pr_all_registrants(e->old->type) && !MUTANT(MOVE_AR);

	if (!e->old->type && !MUTANT(MOVE_NO_RESERVATION))
		sc_pr_fail(e, sc_sense_cdb(SC_ASC_INVALID_FIELD_CDB, 1, 4));
	else if (!e->old->type || ar || (!sc_pr_holds(e->old, (unsigned)e->me) && !MUTANT(MOVE_BY_ANYBODY)))
		sc_pr_conflict(e);
	else if (!e->cmd->sark && !MUTANT(MOVE_ZERO_KEY))
		sc_pr_fail(e, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, 8, SC_NO_BIT));
	else if (!port_known(e->tgt, e->cmd->move_rtpi))
		sc_pr_fail(e, sc_sense_param(SC_ASC_INVALID_FIELD_PARAM, 18, SC_NO_BIT));
	else if (find_destination(e))
		move(e);
}
