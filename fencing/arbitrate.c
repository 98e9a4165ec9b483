/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arbitrate.c - the engine under every operation
 *
 * Theory of operation
 *
 * The device is the only judge. Two commands are atomic compare-and-swaps there (SPC-4 5.13.7, 5.13.11):
 * REGISTER changes the key of its own nexus only if that is RESERVATION KEY, and PREEMPT fails with RESERVATION
 * CONFLICT if no nexus is registered with SERVICE ACTION RESERVATION KEY. Everything else is a look at something that may
 * have changed since. Hence the rules all programs (take.c, nexus.c) follow:
 *
 *  - GOOD is no proof. A PREEMPT also succeeds when the holder has gone on to another key and only a data nexus still
 *    has the old one. So after every change the machine reads back, and decides from what it read and from how
 *    far it had got, not from the statuses it saw.
 *  - A change whose answer was lost is never sent again blindly: read back first. (REGISTER AND IGNORE before it was
 *    followed by anything is the exception: repeating it says the same again.) The transport guarantees that
 *    a lost command does not take effect later than the next one.
 *  - A unit attention means: not done, and perhaps the world is another: read back first, too.
 *  - Reads may be repeated as often as needed; busy devices are asked again after a pause; all of it is bounded.
 *  - Every REGISTER carries APTPL = 1, unregistering ones too: the last one counts for the whole logical unit (5.13.5).
 *
 * Between READ KEYS and READ RESERVATION others may act. PRGENERATION tells about registrations; if it moved, both are
 * read again a few times, then taken as they are: each decision below is safe on a torn view, because a claim is
 * a compare-and-swap and is read back, and because nobody uses a registration that was made after our win without
 * looking at the holder first.
 */
#include "fencing/arbitrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fencing/private.h"
#include "node/util/util.h"

#define MAX_TORN 8u      /* views read again because PRGENERATION moved in between */
#define MAX_TAIL 3u      /* repetitions while cleaning up: the outcome should not wait long for that */
#define MAX_LOOKS 8u     /* read-backs in a row without a definite answer to a change */

enum phase { PHASE_START, PHASE_CAPS, PHASE_KEYS, PHASE_HOLDER, PHASE_CHANGE, PHASE_DONE };

static const struct {
	const char *name;
	const struct fence_program *program;
} ops[] = {
	[FENCE_OP_READ] = { "read", &fence_program_read },
	[FENCE_OP_TAKE] = { "take", &fence_program_take },
	[FENCE_OP_BUMP] = { "bump", &fence_program_bump },
	[FENCE_OP_SWEEP] = { "sweep", &fence_program_sweep },
	[FENCE_OP_RELEASE] = { "release", &fence_program_release },
	[FENCE_OP_JOIN] = { "join", &fence_program_join },
	[FENCE_OP_REKEY] = { "rekey", &fence_program_rekey },
	[FENCE_OP_LEAVE] = { "leave", &fence_program_leave },
};
_Static_assert(ARRAY_SIZE(ops) == FENCE_OP__MAX, "one row an operation");

static const char *const verdicts[] = {
	[FENCE_OK] = "ok", [FENCE_LOST] = "lost", [FENCE_FOREIGN] = "foreign", [FENCE_ERROR] = "error",
};
_Static_assert(ARRAY_SIZE(verdicts) == FENCE_VERDICT__MAX, "one name a verdict");

static const char *const whys[] = {
	[FENCE_WHY_NONE] = "", [FENCE_WHY_UNREACHABLE] = "unreachable", [FENCE_WHY_UNSUPPORTED] = "unsupported",
	[FENCE_WHY_DEVICE] = "device", [FENCE_WHY_TIMEOUT] = "timeout", [FENCE_WHY_CANCELED] = "canceled",
	[FENCE_WHY_REQUEST] = "request",
};

/* How often a command may end so in a row, and the pause before the next try. 0: not to be repeated. */
static const struct { unsigned int limit, delay_ms; } repeat[FENCE_ST__MAX] = {
	[FENCE_ST_UA_PR] = { 16, 0 },
	[FENCE_ST_UA_RESET] = { 16, 0 },
	[FENCE_ST_UA_OTHER] = { 16, 0 },
	[FENCE_ST_BUSY] = { 200, 50 },
	[FENCE_ST_LOST] = { 4, 0 },
	[FENCE_ST_UNSENT] = { 100, 100 },
};

const char *fence_op_name(enum fence_op op)
{
	return (unsigned int)op < FENCE_OP__MAX ? ops[op].name : "?";
}

const char *fence_verdict_name(enum fence_verdict v)
{
	return (unsigned int)v < FENCE_VERDICT__MAX ? verdicts[v] : "?";
}

const char *fence_why_name(enum fence_why why)
{
	return (unsigned int)why < ARRAY_SIZE(whys) ? whys[why] : "?";
}

unsigned int fence_view_count(const struct fence_view *v, uint64_t key)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < v->n_keys; i++)
		n += v->keys[i] == key;
	return n;
}

enum fence_next fence_end(struct fence_machine *m, enum fence_verdict v, enum fence_why why, const char *fmt, ...)
{
	va_list ap;

	m->outcome.verdict = v;
	m->outcome.why = why;
	va_start(ap, fmt);
	vsnprintf(m->outcome.text, sizeof(m->outcome.text), fmt, ap);
	va_end(ap);
	return NEXT_DONE;
}

static enum fence_why why_of(enum fence_status st)
{
	switch (st) {
	case FENCE_ST_LOST:
	case FENCE_ST_UNSENT:
		return FENCE_WHY_UNREACHABLE;
	case FENCE_ST_UNSUPPORTED:
	case FENCE_ST_BAD_PARAM:
		return FENCE_WHY_UNSUPPORTED;
	default:
		return FENCE_WHY_DEVICE;
	}
}

enum fence_next fence_refused(struct fence_machine *m, const struct fence_result *res)
{
	if (m->tail)
		return NEXT_DONE;
	return fence_end(m, FENCE_ERROR, why_of(res->status), "%s", res->text);
}

enum fence_next fence_again(struct fence_machine *m, const struct fence_result *res)
{
	unsigned int limit = repeat[res->status].limit;

	if (m->tail && limit > MAX_TAIL)
		limit = MAX_TAIL;
	if (++m->tries > limit)
		return fence_refused(m, res);
	m->last.delay_ms = repeat[res->status].delay_ms;
	return NEXT_CMD;
}

enum fence_next fence_look(struct fence_machine *m, const struct fence_result *res)
{
	return ++m->looks > MAX_LOOKS ? fence_refused(m, res) : NEXT_LOOK;
}

bool fence_try_without_aptpl(struct fence_machine *m, const struct fence_result *res)
{
	/* 26/00 by the book; some devices say 24/00 */
	if ((res->status != FENCE_ST_BAD_PARAM && res->status != FENCE_ST_UNSUPPORTED) || !m->last.aptpl)
		return false;
	m->no_aptpl = true;
	m->last.aptpl = false;
	return true;
}

enum fence_next fence_cmd_register(struct fence_machine *m, uint64_t key, uint64_t sakey)
{
	m->last = (struct fence_cmd){ .op = FENCE_CMD_REGISTER, .key = key, .sakey = sakey, .aptpl = !m->no_aptpl };
	return NEXT_CMD;
}

enum fence_next fence_cmd_register_ignore(struct fence_machine *m, uint64_t sakey)
{
	m->last = (struct fence_cmd){ .op = FENCE_CMD_REGISTER_AND_IGNORE, .sakey = sakey, .aptpl = !m->no_aptpl };
	return NEXT_CMD;
}

/* ---- requests ---- */

static const char *check(const struct fence_machine *m)
{
	const struct fence_request *req = &m->req;
	struct fence_key old;

	if (!m->program)
		return "no such operation";
	if (m->program->needs_key && m->node == 0)
		return "the key is not one of Lunward";
	if (m->program->needs_old && !fence_key_parse(req->expect, &old))
		return "the old key is not one of Lunward";
	if (m->program->needs_old && (old.cluster != m->cluster || old.node != m->node ||
				      old.epoch >= fence_key_epoch(req->key)))
		return "the new key must be of the same node and of a later epoch than the old one";
	if (req->op == FENCE_OP_TAKE && fence_key_is_foreign(req->expect, m->cluster))
		return "a foreign key is not taken from: only an administrator may remove it";
	if (req->op == FENCE_OP_TAKE && req->expect != req->key &&
	    fence_key_epoch(req->expect) >= fence_key_epoch(req->key))
		return "the new key must be of a later epoch than the holder's";
	return NULL;
}

void fence_begin(struct fence_machine *m, const struct fence_request *req)
{
	struct fence_key key = { 0 };

	memset(m, 0, offsetof(struct fence_machine, outcome.view.keys));
	memset(&m->program, 0, sizeof(*m) - offsetof(struct fence_machine, program));
	m->req = *req;
	m->program = (unsigned int)req->op < FENCE_OP__MAX ? ops[req->op].program : NULL;
	(void)fence_key_parse(req->key, &key);
	m->cluster = key.cluster;
	m->node = key.node;
	m->type = FENCE_TYPE_EA_RO;
}

static enum fence_next first(struct fence_machine *m)
{
	const char *wrong = check(m);

	if (wrong)
		return fence_end(m, FENCE_ERROR, FENCE_WHY_REQUEST, "%s request: %s", fence_op_name(m->req.op), wrong);
	return m->program->start(m);
}

/* ---- looking ---- */

static enum fence_next digest_caps(struct fence_machine *m, const struct fence_result *res)
{
	if (res->status == FENCE_ST_GOOD) {
		if (!res->caps.ptpl_c)
			m->no_aptpl = true;
		if (res->caps.tmv && !(res->caps.types & 1u << FENCE_TYPE_EA_RO)) {
			m->type = FENCE_TYPE_WE_RO;
			if (!(res->caps.types & 1u << FENCE_TYPE_WE_RO))
				return fence_end(m, FENCE_ERROR, FENCE_WHY_UNSUPPORTED, "the device has neither "
						 "reservation type 6 nor 5 (Registrants Only): it cannot fence");
		}
	}
	return NEXT_LOOK;  /* a device that does not report has to show by refusing */
}

static void digest_keys(struct fence_view *v, const struct fence_result *res)
{
	v->generation = res->generation;
	v->truncated = res->truncated;
	v->n_keys = res->n_keys;
	memcpy(v->keys, res->keys, res->n_keys * sizeof(v->keys[0]));
}

static bool all_registrants(uint8_t type)
{
	return type == FENCE_TYPE_WE_AR || type == FENCE_TYPE_EA_AR;
}

static enum fence_next digest_holder(struct fence_machine *m, const struct fence_result *res)
{
	struct fence_view *v = &m->outcome.view;

	if (!m->program->own_only && res->generation != v->generation && ++m->torn <= MAX_TORN)
		return NEXT_LOOK;
	m->torn = 0;
	v->generation = res->generation;
	v->type = res->type;
	v->holder = all_registrants(res->type) ? 0 : res->holder;
	v->foreign = fence_key_is_foreign(v->holder, m->cluster) ? v->holder : 0;
	v->max_epoch = 0;
	for (unsigned int i = 0; i < v->n_keys; i++) {
		if (fence_key_is_foreign(v->keys[i], m->cluster))
			v->foreign = v->foreign ? v->foreign : v->keys[i];
		else
			v->max_epoch = MAX(v->max_epoch, fence_key_epoch(v->keys[i]));
	}
	v->valid = !m->program->own_only;
	return m->program->seen(m);
}

/* ---- the engine ---- */

static enum fence_next digest(struct fence_machine *m, const struct fence_result *res)
{
	bool change = m->phase == PHASE_CHANGE;

	m->pending = false;
	if (change && !fence_status_no_effect(res->status))
		m->outcome.touched = true;
	if (res->status == FENCE_ST_GOOD || res->status == FENCE_ST_CONFLICT)
		m->tries = 0;
	if (change) {
		if (res->status == FENCE_ST_GOOD)
			m->looks = 0;
		if (res->status == FENCE_ST_BUSY || res->status == FENCE_ST_UNSENT)
			return fence_again(m, res);
		return m->program->answered(m, res);
	}
	if (repeat[res->status].limit)
		return fence_again(m, res);
	if (m->phase == PHASE_CAPS)
		return digest_caps(m, res);
	if (res->status != FENCE_ST_GOOD)
		return fence_refused(m, res);
	if (m->phase == PHASE_HOLDER)
		return digest_holder(m, res);
	digest_keys(&m->outcome.view, res);
	m->phase = PHASE_HOLDER;
	m->last = (struct fence_cmd){ .op = FENCE_CMD_READ_RESERVATION };
	return NEXT_CMD;
}

static void look(struct fence_machine *m)
{
	static const struct fence_cmd cmds[] = {
		[PHASE_CAPS] = { .op = FENCE_CMD_REPORT_CAPABILITIES },
		[PHASE_KEYS] = { .op = FENCE_CMD_READ_KEYS },
		[PHASE_HOLDER] = { .op = FENCE_CMD_READ_RESERVATION },
	};

	if (m->phase == PHASE_START && m->program->caps)
		m->phase = PHASE_CAPS;
	else
		m->phase = m->program->own_only ? PHASE_HOLDER : PHASE_KEYS;
	m->last = cmds[m->phase];
}

bool fence_step(struct fence_machine *m, const struct fence_result *res, struct fence_cmd *ret_cmd)
{
	enum fence_next next;

	if (m->phase == PHASE_DONE)
		return false;
	next = res ? digest(m, res) : first(m);
	if (next == NEXT_DONE) {
		m->phase = PHASE_DONE;
		return false;
	}
	if (next == NEXT_LOOK)
		look(m);
	else if (fence_cmd_is_out(m->last.op))
		m->phase = PHASE_CHANGE;
	m->pending = m->phase == PHASE_CHANGE;
	m->outcome.commands++;
	*ret_cmd = m->last;
	return true;
}

void fence_abort(struct fence_machine *m, enum fence_why why, const char *text)
{
	if (m->phase == PHASE_DONE)
		return;
	if (m->pending)
		m->outcome.touched = true;
	(void)fence_end(m, FENCE_ERROR, why, "%s", text);
	m->phase = PHASE_DONE;
}
