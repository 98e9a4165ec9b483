/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commit.c - what has to be on record before it takes effect
 *
 * One commit is in flight at a time. Whatever comes meanwhile waits, and is worked out, in order, when the next one is
 * made: on states that are committed, so that a refused commit leaves nothing to be undone. After a commit its states
 * are published to the reactors, then its ops end; the messages to each reactor keep that order.
 */
#include <string.h>

#include <qb/qblog.h>

#include "node/node.h"

static void kick(struct control *ctl);

/* What was begun before a drain is finished in it. */
static bool takes_commits(const struct group *g)
{
	return g->state == GROUP_ACTIVE || g->state == GROUP_QUIESCING;
}

static struct group *next_group(struct control *ctl)
{
	struct group *g;

	if (!list_empty(&ctl->ops))
		return list_first(&ctl->ops, struct commit_op, link)->group;
	while ((g = list_first(&ctl->dirty_groups, struct group, dirty))) {
		if (takes_commits(g))
			return g;
		list_del(&g->dirty);
	}
	return NULL;
}

/* Return: is there anything to be committed? */
static bool take_batch(struct control *ctl, struct group *g)
{
	struct commit_op *op, *tmp;
	bool any = !list_empty(&g->dirty);

	list_del(&g->dirty);
	list_for_each_safe(op, tmp, &ctl->ops, link) {
		if (op->group != g)
			continue;
		list_del(&op->link);
		if (!op->take(op))
			continue;
		list_add_tail(&ctl->batch, &op->link);
		any = true;
	}
	return any;
}

/* States become the ones in force, or are forgotten. */
static void settle_states(struct control *ctl, const struct group *g, bool ok)
{
	struct lu *lu;

	list_for_each(lu, &ctl->lus, link) {
		struct sc_pr *old = lu->pr;

		if (lu->group == g)
			settings_settle(lu, ok);
		if (lu->group != g || !lu->changed)
			continue;
		lu->changed = false;
		if (ok) {
			lu->pr = lu->next;
			resv_publish(lu, old);
		} else {
			free(lu->next);
		}
		lu->next = NULL;
	}
}

static void finish(struct control *ctl, bool ok)
{
	struct group *g = ctl->commit_group;
	struct list batch;

	ctl->committing = false;
	ctl->commit_group = NULL;
	settle_states(ctl, g, ok);
	list_insert(&ctl->batch, &batch);  /* ops may submit others, which begin the next batch */
	list_del(&ctl->batch);
	while (!list_empty(&batch)) {
		struct commit_op *op = list_first(&batch, struct commit_op, link);

		list_del(&op->link);
		op->committed(op, ok);
	}
}

static void kick(struct control *ctl)
{
	struct group *g;

	while (!ctl->committing && (g = next_group(ctl))) {
		Lunward__RecordBody *body;
		int rc;

		if (!take_batch(ctl, g))
			continue;
		ctl->committing = true;
		ctl->commit_group = g;
		body = record_make(g);
		rc = body ? ctl->store(ctl, g, ++ctl->ticket, body) : -1;
		record_free(body);
		if (rc <= 0)
			finish(ctl, rc == 0);
	}
}

void commit_submit(struct control *ctl, struct commit_op *op)
{
	if (!takes_commits(op->group)) {
		op->committed(op, false);
		return;
	}
	list_add_tail(&ctl->ops, &op->link);
	kick(ctl);
}

void commit_dirty(struct group *g)
{
	if (g->state != GROUP_ACTIVE)
		return;
	if (list_empty(&g->dirty))
		list_add_tail(&g->ctl->dirty_groups, &g->dirty);
	kick(g->ctl);
}

void commit_result(struct control *ctl, uint64_t ticket, bool ok)
{
	if (!ctl->committing || ticket != ctl->ticket)
		return;  /* of before a reset */
	if (!ok)
		qb_log(LOG_ERR, "group %s: a change of its record was refused", ctl->commit_group->name);
	finish(ctl, ok);
	kick(ctl);
}

void commit_reset(struct group *g)
{
	struct control *ctl = g->ctl;
	struct commit_op *op, *tmp;

	list_del(&g->dirty);
	if (ctl->committing && ctl->commit_group == g)
		finish(ctl, false);
	list_for_each_safe(op, tmp, &ctl->ops, link) {
		if (op->group != g)
			continue;
		list_del(&op->link);
		op->committed(op, false);
	}
	kick(ctl);
}
