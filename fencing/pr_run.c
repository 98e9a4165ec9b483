/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_run.c - what lunward-pr does on the device
 */
#include <stdio.h>
#include <string.h>

#include "fencing/pr_tool.h"
#include "node/util/util.h"
#include "node/util/wire.h"

#define UA_TRIES 8

static const struct fence_cmd full_status = { .op = FENCE_CMD_READ_FULL_STATUS };

static void run_machine(struct pr_args *a, const struct fence_request *req, struct fence_machine *m)
{
	static struct fence_result res;
	char reason[FENCE_TEXT] = "took too long";
	struct fence_cmd cmd;

	a->wait.deadline_ms = fence_now_ms() + a->dev.op_timeout_ms;
	fence_begin(m, req);
	for (bool more = fence_step(m, NULL, &cmd); more; more = fence_step(m, &res, &cmd)) {
		if (fence_now_ms() >= a->wait.deadline_ms) {
			fence_abort(m, FENCE_WHY_TIMEOUT, reason);
			break;
		}
		(void)fence_poll(-1, 0, fence_now_ms() + cmd.delay_ms, &a->wait);
		fence_transport_pr(a->t, &cmd, &res, &a->wait);
		if (res.text[0] && fence_now_ms() < a->wait.deadline_ms)  /* not of a last try that was cut short */
			snprintf(reason, sizeof(reason), "%s", res.text);
	}
}

static enum pr_exit exit_of(const struct fence_outcome *o)
{
	static const enum pr_exit map[] = {
		[FENCE_OK] = PR_OK, [FENCE_LOST] = PR_LOST, [FENCE_FOREIGN] = PR_FOREIGN, [FENCE_ERROR] = PR_ERROR,
	};

	return map[o->verdict];
}

/* A key that only says which cluster is ours; 0 if that was not said */
static uint64_t any_key(const struct pr_args *a)
{
	return a->given & OPT_KEY ? a->key : a->given & OPT_CLUSTER ? fence_key_make(a->cluster, 1, 1) : 0;
}

enum pr_exit pr_read(struct pr_args *a)
{
	static struct fence_full full[FENCE_FULL_MAX];
	static struct fence_result res = { .full = full };
	static struct fence_machine m;

	run_machine(a, &(struct fence_request){ .op = FENCE_OP_READ, .key = any_key(a) }, &m);
	if (m.outcome.verdict == FENCE_OK)
		fence_transport_pr(a->t, &full_status, &res, &a->wait);  /* optional on devices */
	pr_show_outcome(a, &m.outcome, res.status == FENCE_ST_GOOD && res.op == full_status.op ? &res : NULL);
	return exit_of(&m.outcome);
}

/* Our key, if it was given in parts or not at all: TAKE and BUMP make a new one, the others mean the holder's. */
static const char *own_key(struct pr_args *a, const struct fence_view *v)
{
	bool new = a->verb->takes & OPT_EXPECT;
	uint32_t epoch = a->epoch;

	if (!(a->given & OPT_CLUSTER) || !(a->given & OPT_NODE))
		return "whose? give --key, or --cluster and --node";
	if (!(a->given & OPT_EPOCH) && !new) {
		a->key = v->holder;
		return fence_key_classify(v->holder, a->cluster, a->node) == FENCE_KEY_OURS ? NULL :
		       "this node is not the holder: give --key or --epoch";
	}
	if (!(a->given & OPT_EPOCH) && !fence_epoch_next(v->max_epoch, &epoch))
		return FENCE_EPOCH_EXHAUSTED;
	a->key = fence_key_make(a->cluster, a->node, epoch);
	return a->key ? NULL : "--node must be 1 to 255, --epoch 1 to 16777215";
}

/* Fill in what was not given from the device as it is now. */
static const char *complete(struct pr_args *a, struct fence_machine *m)
{
	bool need_key = !(a->given & OPT_KEY), need_epoch = need_key && !(a->given & OPT_EPOCH);
	bool need_expect = a->verb->takes & OPT_EXPECT && !(a->given & OPT_EXPECT);

	if (need_expect || need_epoch) {
		run_machine(a, &(struct fence_request){ .op = FENCE_OP_READ, .key = any_key(a) }, m);
		if (m->outcome.verdict != FENCE_OK)
			return m->outcome.text;
		if (need_expect)
			a->expect = m->outcome.view.holder;
	}
	return need_key ? own_key(a, &m->outcome.view) : NULL;
}

enum pr_exit pr_operation(struct pr_args *a)
{
	static struct fence_machine m;
	const char *wrong = complete(a, &m);

	if (wrong) {
		pr_show_error(a, wrong);
		return m.outcome.verdict == FENCE_ERROR ? PR_ERROR : PR_USAGE;
	}
	run_machine(a, &(struct fence_request){ .op = a->verb->op, .key = a->key, .expect = a->expect,
		    .plain_preempt = a->given & OPT_PLAIN }, &m);
	pr_show_outcome(a, &m.outcome, NULL);
	return exit_of(&m.outcome);
}

static enum pr_exit exit_of_status(enum fence_status st)
{
	return st == FENCE_ST_GOOD ? PR_OK : st == FENCE_ST_CONFLICT ? PR_LOST : PR_ERROR;
}

enum pr_exit pr_command(struct pr_args *a)
{
	static struct fence_result res;
	bool reg = a->verb->cmd == FENCE_CMD_REGISTER_AND_IGNORE, unreg = a->verb->cmd == FENCE_CMD_REGISTER;
	struct fence_cmd cmd = {
		.op = a->verb->cmd, .key = reg ? 0 : a->key, .sakey = reg ? a->key : a->victim, .type = a->type,
		.aptpl = (reg || unreg) && !(a->given & OPT_NO_APTPL),
	};

	a->wait.deadline_ms = fence_now_ms() + a->dev.op_timeout_ms;
	for (int i = 0; i < UA_TRIES; i++) {  /* of a new session; the command was not executed */
		fence_transport_pr(a->t, &cmd, &res, &a->wait);
		if (res.status != FENCE_ST_UA_RESET && res.status != FENCE_ST_UA_PR && res.status != FENCE_ST_UA_OTHER)
			break;
	}
	pr_show_command(a, &res);
	return exit_of_status(res.status);
}

/* ---- one block, as this nexus ---- */

static void classify(const struct fence_scsi *s, struct fence_result *res)
{
	static const struct fence_cmd none = { .op = FENCE_CMD_NONE };

	if (s->delivery == FENCE_ANSWERED)
		fence_result_scsi(res, &none, s->status, NULL, 0, s->sense, s->sense_len);
	else if (s->delivery == FENCE_NO_ANSWER)
		fence_result_lost(res, &none, s->text);
	else
		fence_result_unsent(res, &none, s->text);
}

static void scsi(struct pr_args *a, struct fence_scsi *s, struct fence_result *res)
{
	for (int i = 0; i < UA_TRIES; i++) {
		fence_transport_scsi(a->t, s, &a->wait);
		classify(s, res);
		if (res->status != FENCE_ST_UA_RESET && res->status != FENCE_ST_UA_PR && res->status != FENCE_ST_UA_OTHER)
			break;
	}
}

/* READ CAPACITY (10), SBC-3 5.15: allowed whatever the reservation. Return: 0 if there is none */
static uint32_t block_size(struct pr_args *a, struct fence_scsi *s, struct fence_result *res)
{
	uint8_t cap[8];

	*s = (struct fence_scsi){ .cdb = { 0x25 }, .cdb_len = 10, .data = cap, .data_len = sizeof(cap) };
	scsi(a, s, res);
	return res->status == FENCE_ST_GOOD && s->received == sizeof(cap) ? get_be32(cap + 4) : 0;
}

/* WRITE (16) or READ (16) of one block, SBC-3 5.34 and 5.13 */
enum pr_exit pr_io(struct pr_args *a)
{
	_cleanup_free_ uint8_t *block = NULL;
	static struct fence_result res;
	bool write = a->verb->takes & OPT_DATA;
	struct fence_scsi s;
	uint32_t size;

	a->wait.deadline_ms = fence_now_ms() + a->dev.op_timeout_ms;
	size = block_size(a, &s, &res);
	if (size == 0 || size > 1u << 20) {
		pr_show_error(a, res.text[0] ? res.text : "the device does not say its block size");
		return PR_ERROR;
	}
	block = calloc(1, size);
	if (!block)
		return PR_ERROR;
	for (uint32_t i = 0; write && a->data && *a->data && i < size; i++)
		block[i] = (uint8_t)a->data[i % strlen(a->data)];
	s = (struct fence_scsi){ .cdb = { write ? 0x8a : 0x88 }, .cdb_len = 16, .out = write, .data = block,
				 .data_len = size };
	put_be64(s.cdb + 2, a->lba);
	put_be32(s.cdb + 10, 1);
	scsi(a, &s, &res);
	pr_show_io(a, &s, &res, size);
	return exit_of_status(res.status);
}
