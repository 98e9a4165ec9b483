/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/fencing/race.h"

#include <string.h>

static bool is_control(unsigned int actor)
{
	return actor % (1 + RACE_DATA) == 0;
}

void race_init(struct race *r, enum flaw flaw)
{
	lun_init(&r->lun);
	memset(r->node, 0, sizeof(r->node));
	for (unsigned int i = 0; i < RACE_ACTORS; i++) {
		r->actor[i].node = i / (1 + RACE_DATA);
		r->actor[i].busy = r->actor[i].joined = r->actor[i].looked = false;
		r->actor[i].key = 0;
	}
	r->flaw = flaw;
	r->wins = r->commands = 0;
	r->broken = NULL;
}

void race_own(struct race *r, unsigned int node, uint32_t epoch)
{
	uint64_t key = race_key(node, epoch);

	r->node[node] = (struct node){ .serving = true, .key = key, .epoch = epoch };
	for (unsigned int i = race_control(node); i <= race_control(node) + RACE_DATA; i++) {
		r->lun.nexus[i].key = key;
		r->actor[i].key = key;
		r->actor[i].joined = !is_control(i);
	}
	r->lun.holder = (int)race_control(node);
	r->lun.type = FENCE_TYPE_EA_RO;
	r->lun.aptpl = true;
}

/* ---- invariants ---- */

bool race_may_io(const struct race *r, unsigned int actor)
{
	const struct node *n = &r->node[r->actor[actor].node];

	return n->serving && (is_control(actor) || r->actor[actor].joined);
}

/* Is there a node other than @node that has won and holds the LUN? */
static bool somebody_else_owns(const struct race *r, unsigned int node)
{
	unsigned int owner = r->lun.holder < 0 ? node : r->actor[r->lun.holder].node;

	return owner != node && r->node[owner].serving;
}

/* At the moment of a win: we hold, and nobody else's nexus that does I/O has access, nor anything queued. */
static void check_win(struct race *r, unsigned int node)
{
	if (r->lun.holder < 0 || r->actor[r->lun.holder].node != node)
		r->broken = "won, but is not the holder";
	for (unsigned int i = 0; i < RACE_ACTORS; i++) {
		if (r->actor[i].node == node)
			continue;
		if (race_may_io(r, i) && lun_allows(&r->lun, i))
			r->broken = "won, but another node's nexus still has access";
		if (r->lun.nexus[i].queued)
			r->broken = "won, but another node's I/O is still queued";
	}
}

void race_submit(struct race *r, unsigned int actor)
{
	struct actor *a = &r->actor[actor];

	if (!lun_submit(&r->lun, actor)) {  /* fenced: the target drops everything */
		for (unsigned int i = 0; i < RACE_ACTORS; i++)
			if (r->actor[i].node == a->node)
				r->actor[i].joined = false;
		r->node[a->node].serving = false;
	} else if (somebody_else_owns(r, a->node)) {
		r->broken = "I/O was let in under another node's win";
	}
}

void race_complete(struct race *r, unsigned int actor)
{
	if (r->lun.nexus[actor].queued == 0)
		return;
	r->lun.nexus[actor].queued--;
	if (somebody_else_owns(r, r->actor[actor].node))
		r->broken = "I/O took effect under another node's win";
}

/* ---- operations ---- */

void race_begin(struct race *r, unsigned int actor, enum fence_op op, uint64_t key, uint64_t expect)
{
	struct fence_request req = { .op = op, .key = key, .expect = expect };
	struct actor *a = &r->actor[actor];

	req.plain_preempt = r->flaw == FLAW_PLAIN_PREEMPT;
	fence_begin(&a->m, &req);
	a->busy = fence_step(&a->m, NULL, &a->cmd);
	a->looked = false;
}

static bool flawed_command(struct race *r, struct actor *a, struct fence_cmd *cmd)
{
	enum fence_op op = a->m.req.op;

	if (cmd->op == FENCE_CMD_REGISTER && cmd->sakey &&
	    ((r->flaw == FLAW_BUMP_IGNORES && op == FENCE_OP_BUMP) ||
	     (r->flaw == FLAW_REKEY_IGNORES && op == FENCE_OP_REKEY)))
		cmd->op = FENCE_CMD_REGISTER_AND_IGNORE;
	if (r->flaw == FLAW_NO_CAS && cmd->op == FENCE_CMD_PREEMPT_AND_ABORT && cmd->sakey == a->m.req.expect &&
	    r->lun.holder >= 0)
		cmd->sakey = lun_holder_key(&r->lun);
	if (r->flaw == FLAW_JOIN_LOOKS_FIRST && op == FENCE_OP_JOIN && !a->looked) {
		cmd->op = FENCE_CMD_READ_RESERVATION;
		return true;
	}
	return false;
}

/* Return: true if the flaw declares the operation done and successful */
static bool flawed_end(const struct race *r, const struct actor *a, const struct fence_result *res)
{
	bool claim = res->op == FENCE_CMD_PREEMPT_AND_ABORT || res->op == FENCE_CMD_RESERVE;

	if (res->status != FENCE_ST_GOOD)
		return false;
	if (a->m.req.op == FENCE_OP_TAKE && r->flaw == FLAW_NO_READ_BACK)
		return claim;
	if (a->m.req.op == FENCE_OP_TAKE && r->flaw == FLAW_NO_SWEEP)
		return res->op == FENCE_CMD_READ_RESERVATION && res->holder == a->m.req.key;
	if (a->m.req.op == FENCE_OP_JOIN && r->flaw == FLAW_JOIN_LOOKS_FIRST)
		return res->op == FENCE_CMD_REGISTER_AND_IGNORE && a->looked;
	return false;
}

static void control_done(struct race *r, struct actor *a)
{
	const struct fence_outcome *o = &a->m.outcome;
	struct node *n = &r->node[a->node];

	n->read = false;
	if (o->view.valid && o->view.max_epoch > n->epoch)
		n->epoch = o->view.max_epoch;
	switch (a->m.req.op) {
	case FENCE_OP_READ:
		n->read = o->verdict == FENCE_OK;
		n->holder = o->view.holder;
		break;
	case FENCE_OP_TAKE:
		n->serving = o->verdict == FENCE_OK;
		n->key = a->m.req.key;
		if (n->serving) {
			r->wins++;
			check_win(r, a->node);
		}
		break;
	case FENCE_OP_BUMP:
		n->serving = n->serving && o->verdict == FENCE_OK;
		n->key = a->m.req.key;
		break;
	default:
		n->serving = n->serving && o->verdict == FENCE_OK;
		break;
	}
}

static void data_done(struct race *r, struct actor *a)
{
	bool ok = a->m.outcome.verdict == FENCE_OK;
	struct node *n = &r->node[a->node];

	a->joined = ok && n->serving && (a->joined || n->key == a->m.req.key);
	a->key = a->m.req.key;
	if (a->m.outcome.verdict == FENCE_LOST && n->key == a->m.req.key)
		n->serving = false;
}

bool race_step(struct race *r, unsigned int actor, enum fault fault)
{
	struct actor *a = &r->actor[actor];
	struct fence_cmd cmd = a->cmd;
	static struct fence_result res;
	bool extra = flawed_command(r, a, &cmd);

	r->commands++;
	if (fault == FAULT_NONE || fault == FAULT_LOST_AFTER)
		lun_exec(&r->lun, actor, &cmd, &res);
	if (fault == FAULT_UNSENT)
		fence_result_unsent(&res, &cmd, "test");
	else if (fault != FAULT_NONE)
		fence_result_lost(&res, &cmd, "test");
	if (extra && res.status == FENCE_ST_GOOD && res.holder == a->m.req.key)
		a->looked = true;
	if (extra && (res.status != FENCE_ST_GOOD || a->looked))
		return false;
	if (flawed_end(r, a, &res)) {
		a->m.outcome.verdict = FENCE_OK;
		a->busy = false;
	} else {
		a->busy = !extra && fence_step(&a->m, &res, &a->cmd);
		if (extra)
			a->m.outcome.verdict = FENCE_LOST;
	}
	if (a->busy)
		return false;
	if (is_control(actor))
		control_done(r, a);
	else
		data_done(r, a);
	return true;
}
