/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drain.c - all connections of a group, on all reactors: quiesce them, close them, wait for them
 *
 * Every connection that is not there yet points to the drain that counts on it; conn.c reports each step it takes by
 * drain_conn_settled(). One drain at a time concerns a connection: a later one takes it over from an earlier one, which
 * then counts it as settled.
 */
#include <qb/qblog.h>

#include "node/node.h"

static bool is_there(const struct conn *c, const struct drain *d)
{
	switch (d->kind) {
	case DRAIN_QUIESCE:
		return conn_settled(c);
	case DRAIN_CLOSE:
		return !c->isc;
	case DRAIN_WAIT_GONE:
		return c->state == CONN_GONE;
	}
	return true;
}

static void settle(struct conn *c)
{
	struct drain *d = c->drain;

	c->drain = NULL;
	if (--d->left[c->r->index] == 0)
		call_reply(&d->call, c->r);
}

void drain_conn_leaves(struct conn *c)
{
	if (c->drain)
		settle(c);
}

void drain_conn_settled(struct conn *c)
{
	if (!c->drain || !is_there(c, c->drain))
		return;
	/* All is answered: say goodbye, and come here again when that is sent. */
	if (c->drain->kind == DRAIN_QUIESCE && c->state == CONN_QUIESCED && !c->said_goodbye) {
		c->said_goodbye = true;
		if (isc_send_async(c->isc, ISC_ASYNC_DROP_CONNECTION, 0, c->cid, 0, 0) == 0)
			return;
	}
	settle(c);
}

static void on_reactor(struct call *call, struct reactor *r)
{
	struct drain *d = container_of(call, struct drain, call);
	struct conn *c, *tmp;

	d->left[r->index] = 1;  /* our own hand on it, while we look round */
	list_for_each_safe(c, tmp, &r->conns, link) {
		if (c->group != d->group)
			continue;
		if (c->drain)
			settle(c);
		if (d->kind == DRAIN_QUIESCE && c->state == CONN_FULL)
			conn_quiesce(c);
		else if (d->kind == DRAIN_QUIESCE && (c->state < CONN_FULL || c->state == CONN_LOST))
			conn_close(c, CONN_END_RST, "the group is being moved");
		else if (d->kind == DRAIN_CLOSE)
			conn_close(c, d->end, d->why);
		/* A connection that was closed before has nothing more to tell of it: to wait for its tasks is another drain's */
		if (c->state == CONN_GONE || (d->kind == DRAIN_CLOSE && is_there(c, d)))
			continue;
		c->drain = d;
		d->left[r->index]++;
		d->n[r->index]++;
	}
	if (--d->left[r->index] == 0)
		call_reply(call, r);
}

static void drain_done(struct call *call)
{
	struct drain *d = container_of(call, struct drain, call);
	unsigned n = 0;

	for (unsigned i = 0; i < call->ctl->n_reactors; i++)
		n += d->n[i];
	d->done(d->arg, n);
	free(d);
}

void drain_start(struct group *g, enum drain_kind kind, enum conn_end end, const char *why,
		void (*done)(void *arg, unsigned n), void *arg)
{
	struct drain *d = calloc(1, sizeof(*d));

	if (!d) {
		qb_log(LOG_CRIT, "out of memory");
		abort();  /* connections that have to go must not stay */
	}
	*d = (struct drain){ .group = g, .kind = kind, .end = end, .why = why, .done = done, .arg = arg };
	d->call.on_reactor = on_reactor;
	d->call.done = drain_done;
	call_all(g->ctl, &d->call);
}
