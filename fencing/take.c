/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * take.c - become the holder, keep the others off, give the device back
 *
 * Theory of operation
 *
 * TAKE goes through these states; whenever something is uncertain it looks, and take_seen() decides anew:
 *
 *   TAKE_LOOK      nothing of us is on the device. The holder must be the expected one (or we, already).
 *   TAKE_REGISTER  REGISTER AND IGNORE EXISTING KEY sent. Ignore, because our nexus may still carry a key of ours from
 *                  before a reboot; if that was the holder's, the holder's key is now the new one.
 *   TAKE_CLAIM     registered for certain. PREEMPT AND ABORT of the expected key, or RESERVE when nothing is held:
 *                  the race. Being no longer registered here means that a living owner (or a faster node) removed us.
 *   TAKE_SWEEP     the holder is us, by read-back. Every other key of this cluster is preempted, looking again after each
 *                  round: a data nexus of the loser may have changed its key between two of our commands. Won when
 *                  nothing but our own key is left.
 *   TAKE_WITHDRAW  not won, outcome decided: take our registration back, so that no nexus but the owner's has access.
 *
 * Foreign keys are never preempted. Seen before the claim they end the operation; seen after it, our reservation stays
 * (it is the truth on the device), but the outcome is FOREIGN.
 * An all-registrants reservation (types 7 and 8) is never ours: it shows no holder and counts as foreign.
 */
#include <stdio.h>
#include <string.h>

#include "fencing/private.h"

#define MAX_ROUNDS 64u     /* sweeps after which keys that keep coming back are an error */
#define MAX_REFUSALS 3u    /* conflicts of a claim that the read-back does not explain */

enum { TAKE_LOOK, TAKE_REGISTER, TAKE_CLAIM, TAKE_SWEEP, TAKE_UNREGISTER, TAKE_WITHDRAW };

static bool all_registrants(const struct fence_view *v)
{
	return v->type == FENCE_TYPE_WE_AR || v->type == FENCE_TYPE_EA_AR;
}

/* Take the registration back; the outcome stands whatever comes of it. */
static enum fence_next withdraw(struct fence_machine *m)
{
	m->state = TAKE_WITHDRAW;
	m->tail = true;
	m->tries = 0;
	return fence_cmd_register(m, m->req.key, 0);
}

static enum fence_next lost(struct fence_machine *m, const char *how)
{
	char seen[FENCE_KEY_STR], expected[FENCE_KEY_STR];

	(void)fence_end(m, FENCE_LOST, FENCE_WHY_NONE, "%s: the holder is %s, expected was %s", how,
			fence_key_str(m->outcome.view.holder, seen), fence_key_str(m->req.expect, expected));
	return m->state == TAKE_LOOK ? NEXT_DONE : withdraw(m);
}

static enum fence_next foreign(struct fence_machine *m)
{
	const struct fence_view *v = &m->outcome.view;
	char key[FENCE_KEY_STR];

	if (all_registrants(v))
		(void)fence_end(m, FENCE_FOREIGN, FENCE_WHY_NONE, "the device is reserved for all registrants (type %u), "
				"which Lunward never does: find out who uses it", v->type);
	else
		(void)fence_end(m, FENCE_FOREIGN, FENCE_WHY_NONE, "%s is %s: find out who uses the device, and only then "
				"remove it", fence_key_str(v->foreign, key),
				v->foreign == v->holder ? "the holder" : "registered");
	return m->state == TAKE_LOOK || v->holder == m->req.key ? NEXT_DONE : withdraw(m);
}

static enum fence_next claim(struct fence_machine *m)
{
	enum fence_cmd_op preempt = m->req.plain_preempt ? FENCE_CMD_PREEMPT : FENCE_CMD_PREEMPT_AND_ABORT;

	m->state = TAKE_CLAIM;
	m->last = (struct fence_cmd){
		.op = m->req.expect ? preempt : FENCE_CMD_RESERVE,
		.key = m->req.key, .sakey = m->req.expect, .type = m->type,
	};
	return NEXT_CMD;
}

/* ---- sweeping ---- */

static bool is_victim(const struct fence_machine *m, uint64_t key)
{
	switch (fence_key_classify(key, m->cluster, m->node)) {
	case FENCE_KEY_CLUSTER:
		return true;
	case FENCE_KEY_OURS:  /* of data nexuses: of an earlier life, if we are just taking over */
		return m->req.op != FENCE_OP_SWEEP && key != m->req.key;
	default:
		return false;
	}
}

static enum fence_next preempt(struct fence_machine *m, uint64_t victim)
{
	m->last = (struct fence_cmd){
		.op = m->req.plain_preempt ? FENCE_CMD_PREEMPT : FENCE_CMD_PREEMPT_AND_ABORT,
		.key = m->req.key, .sakey = victim, .type = m->type,
	};
	return NEXT_CMD;
}

/* Next victim of the view, or NEXT_DONE if there is none in it (any more). */
static enum fence_next next_victim(struct fence_machine *m)
{
	const struct fence_view *v = &m->outcome.view;

	for (unsigned int i = 0; i < v->n_keys; i++)
		if (is_victim(m, v->keys[i]))
			return preempt(m, v->keys[i]);
	return NEXT_DONE;
}

static void drop_from_view(struct fence_view *v, uint64_t key)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < v->n_keys; i++)
		if (v->keys[i] != key)
			v->keys[n++] = v->keys[i];
	v->n_keys = n;
}

static enum fence_next sweep_answered(struct fence_machine *m, const struct fence_result *res)
{
	enum fence_next next;

	if (res->status == FENCE_ST_UNSUPPORTED || res->status == FENCE_ST_BAD_PARAM)
		return fence_refused(m, res);
	if (res->status != FENCE_ST_GOOD && res->status != FENCE_ST_CONFLICT)
		return fence_look(m, res);
	if (m->last.sakey != m->req.key)  /* not a preempt of ourselves, which only makes the reservation anew */
		drop_from_view(&m->outcome.view, m->last.sakey);
	next = next_victim(m);
	return next == NEXT_DONE ? NEXT_LOOK : next;
}

/* The holder is us: go on with the next victim. Return: false if only own keys are left (@ret_next untouched) */
static bool sweeping(struct fence_machine *m, enum fence_next *ret_next)
{
	enum fence_next next = next_victim(m);

	m->state = TAKE_SWEEP;
	if (next == NEXT_DONE)
		return false;
	if (++m->rounds > MAX_ROUNDS)
		next = fence_end(m, FENCE_ERROR, FENCE_WHY_DEVICE,
				 "registrations keep coming back after %u rounds of preempting them", MAX_ROUNDS);
	*ret_next = next;
	return true;
}

static enum fence_next swept(struct fence_machine *m)
{
	const struct fence_view *v = &m->outcome.view;

	if (v->foreign)
		return foreign(m);
	if (v->truncated)
		return fence_end(m, FENCE_ERROR, FENCE_WHY_DEVICE, "more than %u registrations on the device", FENCE_KEYS_MAX);
	return fence_end(m, FENCE_OK, FENCE_WHY_NONE, "%s%s",
			 v->type == FENCE_TYPE_WE_RO ? "reservation type 5 only: a fenced node can still read. " : "",
			 m->no_aptpl ? "The device does not keep reservations over a power loss." : "");
}

/* ---- take ---- */

static enum fence_next take_start(struct fence_machine *m)
{
	m->state = TAKE_LOOK;
	return NEXT_LOOK;
}

static enum fence_next take_held(struct fence_machine *m)
{
	const struct fence_view *v = &m->outcome.view;
	enum fence_next next;

	if (m->state == TAKE_LOOK) {  /* held already: make sure that it is this nexus */
		m->state = TAKE_REGISTER;
		return fence_cmd_register_ignore(m, m->req.key);
	}
	if (fence_view_count(v, m->req.key) == 0 && !v->truncated) {  /* torn, or nonsense */
		if (++m->refusals <= MAX_REFUSALS)
			return NEXT_LOOK;
		return fence_end(m, FENCE_ERROR, FENCE_WHY_DEVICE, "the device names a holder that is not registered");
	}
	if (sweeping(m, &next))
		return next;
	if (v->type != m->type && ++m->refusals <= MAX_REFUSALS)
		return preempt(m, m->req.key);
	return swept(m);
}

static enum fence_next take_seen(struct fence_machine *m)
{
	const struct fence_view *v = &m->outcome.view;
	bool own = fence_view_count(v, m->req.key) > 0;

	if (v->foreign || all_registrants(v))
		return foreign(m);
	if (v->holder == m->req.key)
		return take_held(m);
	if (v->holder != m->req.expect)
		return lost(m, "somebody else was faster");
	if (m->state == TAKE_LOOK || (m->state == TAKE_REGISTER && !own)) {
		m->state = TAKE_REGISTER;
		return fence_cmd_register_ignore(m, m->req.key);
	}
	if (m->state == TAKE_SWEEP)
		return lost(m, "the preempt did not make us the holder");
	if (!own && !v->truncated)
		return lost(m, "our registration was removed: the owner is alive");
	if (m->refusals > MAX_REFUSALS) {
		(void)fence_end(m, FENCE_ERROR, FENCE_WHY_DEVICE, "the device answers %s with a conflict that its own "
				"lists do not explain", fence_cmd_name(m->last.op));
		return withdraw(m);
	}
	return claim(m);
}

static enum fence_next take_registered(struct fence_machine *m, const struct fence_result *res)
{
	uint64_t holder = m->outcome.view.holder;

	if (fence_try_without_aptpl(m, res))
		return NEXT_CMD;
	switch (res->status) {
	case FENCE_ST_GOOD:
		m->state = TAKE_CLAIM;
		/* If the holder is ourselves, of now or of an earlier life, that may have made us the new holder. */
		return holder && fence_key_node(holder) == m->node ? NEXT_LOOK : claim(m);
	case FENCE_ST_CONFLICT:
		return fence_end(m, FENCE_ERROR, FENCE_WHY_DEVICE, "%s: is there an SPC-2 RESERVE of another initiator?",
				 res->text);
	case FENCE_ST_UNSUPPORTED:
	case FENCE_ST_BAD_PARAM:
	case FENCE_ST_NO_ROOM:
		return fence_refused(m, res);
	default:
		return fence_look(m, res);
	}
}

static enum fence_next take_claimed(struct fence_machine *m, const struct fence_result *res)
{
	switch (res->status) {
	case FENCE_ST_GOOD:
		m->state = TAKE_SWEEP;
		return NEXT_LOOK;
	case FENCE_ST_UNSUPPORTED:
	case FENCE_ST_BAD_PARAM:
		(void)fence_end(m, FENCE_ERROR, FENCE_WHY_UNSUPPORTED, "%s%s", res->text,
				m->last.op == FENCE_CMD_PREEMPT_AND_ABORT ? ": without it a dead node's queued writes could "
				"still land; use another array" : "");
		return withdraw(m);
	case FENCE_ST_NO_ROOM:
		(void)fence_refused(m, res);
		return withdraw(m);
	case FENCE_ST_CONFLICT:
		m->refusals++;
		return NEXT_LOOK;
	default:
		return fence_look(m, res);
	}
}

/* Unregistering as compare-and-swap: a conflict says that there is nothing to take back. */
static enum fence_next withdrawn(struct fence_machine *m, const struct fence_result *res)
{
	if (res->status == FENCE_ST_GOOD || res->status == FENCE_ST_CONFLICT)
		return NEXT_DONE;
	if (fence_try_without_aptpl(m, res))
		return NEXT_CMD;
	return fence_again(m, res);
}

static enum fence_next take_answered(struct fence_machine *m, const struct fence_result *res)
{
	static enum fence_next (*const by_state[])(struct fence_machine *, const struct fence_result *) = {
		[TAKE_REGISTER] = take_registered,
		[TAKE_CLAIM] = take_claimed,
		[TAKE_SWEEP] = sweep_answered,
		[TAKE_WITHDRAW] = withdrawn,
	};

	return by_state[m->state](m, res);
}

/* ---- sweep: the holder removes other nodes' registrations ---- */

static enum fence_next sweep_seen(struct fence_machine *m)
{
	char seen[FENCE_KEY_STR];
	enum fence_next next;

	if (m->outcome.view.holder != m->req.key)
		return fence_end(m, FENCE_LOST, FENCE_WHY_NONE, "fenced: the holder is %s",
				 fence_key_str(m->outcome.view.holder, seen));
	m->type = m->outcome.view.type;
	return sweeping(m, &next) ? next : swept(m);
}

/* ---- release: the holder gives the device back ---- */

static enum fence_next release_seen(struct fence_machine *m)
{
	const struct fence_view *v = &m->outcome.view;
	unsigned int own = fence_view_count(v, m->req.key);
	char seen[FENCE_KEY_STR];
	enum fence_next next;

	if (v->holder == 0 && own == 0 && !all_registrants(v))
		return fence_end(m, FENCE_OK, FENCE_WHY_NONE, "%s", "");
	if (v->holder != m->req.key && (v->holder || all_registrants(v)))
		return fence_end(m, FENCE_LOST, FENCE_WHY_NONE, "not ours to give back: the holder is %s",
				 all_registrants(v) ? "every registrant" : fence_key_str(v->holder, seen));
	if (m->state == TAKE_UNREGISTER && ++m->refusals > MAX_REFUSALS)
		return fence_end(m, FENCE_ERROR, FENCE_WHY_DEVICE, "our key stays: is it another nexus that has it (initiator "
				 "name or ISID changed)? Take the device first, then release it");
	if (v->type)
		m->type = v->type;
	if (sweeping(m, &next))
		return next;
	if (own > 1 && ++m->rounds <= MAX_ROUNDS)  /* other nexuses of ours: preempting ourselves removes them */
		return preempt(m, m->req.key);
	m->state = TAKE_UNREGISTER;
	return fence_cmd_register(m, m->req.key, 0);
}

static enum fence_next release_answered(struct fence_machine *m, const struct fence_result *res)
{
	if (m->state == TAKE_SWEEP)
		return sweep_answered(m, res);
	if (fence_try_without_aptpl(m, res))
		return NEXT_CMD;
	if (res->status == FENCE_ST_GOOD)
		return NEXT_LOOK;
	return fence_look(m, res);
}

const struct fence_program fence_program_take = {
	.start = take_start, .answered = take_answered, .seen = take_seen, .caps = true, .needs_key = true,
};
const struct fence_program fence_program_sweep = {
	.start = take_start, .answered = sweep_answered, .seen = sweep_seen, .needs_key = true,
};
const struct fence_program fence_program_release = {
	.start = take_start, .answered = release_answered, .seen = release_seen, .needs_key = true,
};
