/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep.c - what is there only for initiators that may ask for it (error recovery levels 1 and 2, RFC 7143 7.2)
 *
 * As a command such a task is over: it is in no task set, no abort request waits for it, and draining does not either. It
 * has its buffer and its place in the pool until the initiator acknowledges the status, and gives them up before anybody
 * has to wait. So has one that waits to be reassigned: a lost connection cannot hold up the others.
 */
#include "node/node.h"

bool task_keep(struct isc_task *it)
{
	struct task *t = task_of(it);
	struct reactor *r = t->r;

	if (arena_left(&r->arena) < ARENA_LOW || !list_empty(&r->buf_wait))
		return false;
	task_over(t);
	buf_put(&r->arena, t->scratch);
	t->scratch = NULL;
	t->kept = true;
	return true;
}

/* Only that one: nothing of it can be under way */
static bool waits_for_initiator(const struct task *t)
{
	return t->conn->state == CONN_LOST && t->buf && !isc_task_with_server(&t->isc);
}

void keep_forget(struct reactor *r)
{
	struct task *t, *tmp;
	struct conn *c;

	list_for_each_safe(t, tmp, &r->tasks, link)
		if (waits_for_initiator(t))
			isc_task_abort(&t->isc);

	list_for_each(c, &r->conns, link)
		if (c->isc)
			isc_conn_forget(c->isc);
}
