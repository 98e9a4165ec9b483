/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep.c - read data that initiators may ask for again (error recovery level 1 and up, RFC 7143 7.2.2)
 *
 * As a command such a task is over: it is in no task set, no abort request waits for it, and draining does not either. It
 * has its buffer and its place in the pool until the initiator acknowledges the status, and gives them up before anybody
 * has to wait.
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

void keep_forget(struct reactor *r)
{
	struct conn *c;

	list_for_each(c, &r->conns, link)
		if (c->isc)
			isc_conn_forget(c->isc);
}
