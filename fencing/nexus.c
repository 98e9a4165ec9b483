/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nexus.c - keys of one's own nexus: defend (bump), data nexuses (join, rekey, leave), and just looking
 *
 * Theory of operation
 *
 * BUMP and REKEY use REGISTER with the old key as RESERVATION KEY and never ignore an existing key: a node that was
 * fenced while it slept has no registration any more, and REGISTER AND IGNORE would give it one back, with its old
 * I/O still queued behind it.
 *
 * JOIN may ignore, because it registers first and looks at the holder after: either a later preempt of this key
 * removes the registration, or an earlier one shows in the holder. The order is what matters: looking first and
 * registering after would leave a gap to sleep in.
 *
 * A nexus cannot read its own registration, but it can ask: REGISTER with the same key as old and new one succeeds
 * exactly if that is its key, and changes nothing. That tells what became of a lost REGISTER.
 */
#include <stdio.h>
#include <string.h>

#include "fencing/private.h"

enum { NEXUS_CHANGE, NEXUS_PROBE, NEXUS_WITHDRAW };

static bool settled(enum fence_status st)
{
	return st == FENCE_ST_GOOD || st == FENCE_ST_CONFLICT;
}

static bool refused(enum fence_status st)
{
	return st == FENCE_ST_UNSUPPORTED || st == FENCE_ST_BAD_PARAM || st == FENCE_ST_NO_ROOM;
}

static enum fence_next done(struct fence_machine *m)
{
	return fence_end(m, FENCE_OK, FENCE_WHY_NONE, "%s", "");
}

static enum fence_next fenced(struct fence_machine *m, const char *how)
{
	char seen[FENCE_KEY_STR];

	return fence_end(m, FENCE_LOST, FENCE_WHY_NONE, "%s: the holder is %s", how,
			 fence_key_str(m->outcome.view.holder, seen));
}

static enum fence_next withdraw(struct fence_machine *m)
{
	m->state = NEXUS_WITHDRAW;
	m->tail = true;
	m->tries = 0;
	return fence_cmd_register(m, m->req.key, 0);
}

static enum fence_next withdrawn(struct fence_machine *m, const struct fence_result *res)
{
	if (settled(res->status))
		return NEXT_DONE;
	if (fence_try_without_aptpl(m, res))
		return NEXT_CMD;
	return fence_again(m, res);
}

/* ---- read ---- */

static enum fence_next read_start(struct fence_machine *m)
{
	(void)m;
	return NEXT_LOOK;
}

static enum fence_next read_answered(struct fence_machine *m, const struct fence_result *res)
{
	return fence_refused(m, res);
}

/* ---- bump ---- */

static enum fence_next bump_start(struct fence_machine *m)
{
	m->state = NEXUS_CHANGE;
	if (MUTANT(MUTANT_BLIND_BUMP))
		return fence_cmd_register_ignore(m, m->req.key);
	return fence_cmd_register(m, m->req.expect, m->req.key);
}

static enum fence_next bump_answered(struct fence_machine *m, const struct fence_result *res)
{
	if (m->state == NEXUS_WITHDRAW)
		return withdrawn(m, res);
	if (fence_try_without_aptpl(m, res))
		return NEXT_CMD;
	if (refused(res->status))
		return fence_refused(m, res);
	if (settled(res->status)) {
		m->refusals += res->status == FENCE_ST_CONFLICT;
		return NEXT_LOOK;
	}
	return fence_look(m, res);
}

static enum fence_next bump_seen(struct fence_machine *m)
{
	const struct fence_view *v = &m->outcome.view;

	if (v->holder == m->req.key)
		return done(m);
	if (v->holder == m->req.expect && m->refusals == 0)
		return bump_start(m);
	if (v->holder == m->req.expect)
		return fenced(m, "this nexus is not registered with the old key (fenced, or its initiator name or ISID changed)");
	(void)fenced(m, "fenced");
	return fence_view_count(v, m->req.key) ? withdraw(m) : NEXT_DONE;
}

/* ---- join ---- */

static enum fence_next join_start(struct fence_machine *m)
{
	m->state = NEXUS_CHANGE;
	return fence_cmd_register_ignore(m, m->req.key);
}

static enum fence_next join_answered(struct fence_machine *m, const struct fence_result *res)
{
	if (m->state == NEXUS_WITHDRAW)
		return withdrawn(m, res);
	if (fence_try_without_aptpl(m, res))
		return NEXT_CMD;
	if (res->status == FENCE_ST_GOOD)
		return NEXT_LOOK;
	if (refused(res->status) || res->status == FENCE_ST_CONFLICT)
		return fence_refused(m, res);
	return fence_again(m, res);  /* nothing is in flight and nothing was verified: saying it again is safe */
}

static enum fence_next join_seen(struct fence_machine *m)
{
	const struct fence_view *v = &m->outcome.view;
	bool registrants_only = v->type == FENCE_TYPE_EA_RO || v->type == FENCE_TYPE_WE_RO;

	if (v->holder == m->req.key && registrants_only)
		return done(m);
	(void)fenced(m, v->type && !registrants_only ? "the reservation is not of type 6 or 5" : "fenced");
	return withdraw(m);
}

/* ---- rekey ---- */

static enum fence_next rekey_start(struct fence_machine *m)
{
	m->state = NEXUS_CHANGE;
	return fence_cmd_register(m, m->req.expect, m->req.key);
}

static enum fence_next rekey_answered(struct fence_machine *m, const struct fence_result *res)
{
	if (fence_try_without_aptpl(m, res))
		return NEXT_CMD;
	if (res->status == FENCE_ST_GOOD)
		return done(m);
	if (res->status == FENCE_ST_CONFLICT && m->state == NEXUS_PROBE)
		return fence_end(m, FENCE_LOST, FENCE_WHY_NONE, "fenced: this nexus is not registered any more");
	if (res->status == FENCE_ST_CONFLICT) {
		m->state = NEXUS_PROBE;
		return fence_cmd_register(m, m->req.key, m->req.key);
	}
	if (refused(res->status))
		return fence_refused(m, res);
	return fence_again(m, res);  /* a compare-and-swap, and the conflict that follows if it was done is probed */
}

/* ---- leave ---- */

static enum fence_next leave_start(struct fence_machine *m)
{
	return fence_cmd_register(m, m->req.key, 0);
}

static enum fence_next leave_answered(struct fence_machine *m, const struct fence_result *res)
{
	if (settled(res->status))
		return done(m);
	if (fence_try_without_aptpl(m, res))
		return NEXT_CMD;
	return refused(res->status) ? fence_refused(m, res) : fence_again(m, res);
}

const struct fence_program fence_program_read = {
	.start = read_start, .answered = read_answered, .seen = done,
};
const struct fence_program fence_program_bump = {
	.start = bump_start, .answered = bump_answered, .seen = bump_seen, .needs_key = true, .needs_old = true,
};
const struct fence_program fence_program_join = {
	.start = join_start, .answered = join_answered, .seen = join_seen, .own_only = true, .needs_key = true,
};
const struct fence_program fence_program_rekey = {
	.start = rekey_start, .answered = rekey_answered, .seen = done, .own_only = true,
	.needs_key = true, .needs_old = true,
};
const struct fence_program fence_program_leave = {
	.start = leave_start, .answered = leave_answered, .seen = done, .own_only = true, .needs_key = true,
};
