/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cpg.c - ordered messages between the nodes' clusterds, and who of them is there
 *
 * Theory of operation. What is to be sent goes through a queue of our own, as CPG messages of at most
 * LUNWARD_CPG_CHUNK. CS_ERR_TRY_AGAIN (corosync's queue is full, or it is forming a new ring) leaves the queue as
 * it is and starts a short timer; nothing sleeps. The queue is bounded: a corosync that takes nothing for so long
 * counts as lost. Dispatch comes at high priority, before anything else is done in a turn of the loop: what a
 * member does not read piles up in corosync without bound.
 *
 * A dead connection is reported once, from the loop, never from inside a callback of corosync or from
 * cpglink_send(); the owner then closes it.
 */
#include "cluster/clusterd.h"

#include <corosync/cpg.h>
#include <errno.h>
#include <string.h>

#define QUEUE_MAX (128u << 20)  /* bytes */
#define RETRY_NS (2 * NSEC_PER_MSEC)

struct packet {
	struct list link;
	size_t len;
	uint8_t data[];
};

struct cpglink {
	qb_loop_t *loop;
	const struct cpglink_ops *ops;
	void *data;
	cpg_handle_t handle;
	int fd;
	uint32_t nodeid, incarnation, number;
	struct chunk_asm assembly;
	struct list queue;
	size_t queued;
	qb_loop_timer_handle retry;
	qb_loop_timer_handle obituary;
	const char *dead;  /* why; not NULL once the connection is gone */
};

static const struct cpg_name GROUP = { .length = sizeof(LUNWARD_CPG_GROUP) - 1, .value = LUNWARD_CPG_GROUP };

static void on_obituary(void *data)
{
	struct cpglink *c = data;

	c->obituary = 0;
	c->ops->lost(c->data, c->dead);
}

static void die(struct cpglink *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = why;
	qb_loop_timer_add(c->loop, QB_LOOP_HIGH, 0, c, on_obituary, &c->obituary);
}

/* ---- receiving ---- */

static struct cpglink *of_handle(cpg_handle_t handle)
{
	void *ctx = NULL;

	cpg_context_get(handle, &ctx);
	return ctx;
}

static void on_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid, uint32_t pid, void *msg,
		       size_t len)
{
	struct cpglink *c = of_handle(handle);
	struct chunk_sender from = { nodeid, pid };
	const uint8_t *whole;
	size_t whole_len;
	uint32_t incarnation;
	int r = chunk_feed(&c->assembly, from, msg, len, &whole, &whole_len, &incarnation);

	(void)group;
	if (r == 1)
		c->ops->message(c->data, from, incarnation, whole, whole_len);
	else if (r < 0 && c->ops->garbage)
		c->ops->garbage(c->data, from);
}

static enum cpglink_reason reason_of(uint32_t reason)
{
	switch (reason) {
	case CPG_REASON_LEAVE:
		return CPGLINK_LEAVE;
	case CPG_REASON_PROCDOWN:
		return CPGLINK_PROCDOWN;
	default:
		return CPGLINK_NODEDOWN;
	}
}

static void on_confchg(cpg_handle_t handle, const struct cpg_name *group, const struct cpg_address *member,
		       size_t n_member, const struct cpg_address *left, size_t n_left,
		       const struct cpg_address *joined, size_t n_joined)
{
	struct cpglink *c = of_handle(handle);
	struct cpglink_member m[CPG_MEMBERS_MAX], l[CPG_MEMBERS_MAX];
	struct cpglink_change ch = { .member = m, .n_member = n_member, .left = l, .n_left = n_left };

	(void)group;
	for (size_t i = 0; i < n_joined; i++)
		ch.ring_follows |= joined[i].reason == CPG_REASON_NODEUP;
	for (size_t i = 0; i < n_left; i++) {
		ch.ring_follows |= left[i].reason == CPG_REASON_NODEDOWN;
		l[i] = (struct cpglink_member){ { left[i].nodeid, left[i].pid }, reason_of(left[i].reason) };
		chunk_drop(&c->assembly, l[i].who);
	}
	for (size_t i = 0; i < n_member; i++)
		m[i] = (struct cpglink_member){ { member[i].nodeid, member[i].pid }, CPGLINK_HERE };
	c->ops->change(c->data, &ch);
}

static void on_ring(cpg_handle_t handle, struct cpg_ring_id ring, uint32_t n, const uint32_t *list)
{
	struct cpglink *c = of_handle(handle);

	(void)n;
	(void)list;
	c->ops->ring(c->data, ring.nodeid, ring.seq);
}

static int32_t on_readable(int32_t fd, int32_t revents, void *data)
{
	struct cpglink *c = data;

	(void)fd;
	if (c->dead)
		return -1;
	if (cpg_dispatch(c->handle, CS_DISPATCH_ALL) != CS_OK || (revents & (POLLHUP | POLLERR | POLLNVAL))) {
		die(c, "corosync closed the connection (CPG)");
		return -1;
	}
	return 0;
}

/* ---- sending ---- */

static void on_retry(void *data);

static void pump(struct cpglink *c)
{
	struct packet *p;

	while (!c->dead && (p = list_first(&c->queue, struct packet, link))) {
		struct iovec iov = { .iov_base = p->data, .iov_len = p->len };
		cs_error_t e = cpg_mcast_joined(c->handle, CPG_TYPE_AGREED, &iov, 1);

		if (e == CS_ERR_TRY_AGAIN) {
			if (!c->retry)
				qb_loop_timer_add(c->loop, QB_LOOP_HIGH, RETRY_NS, c, on_retry, &c->retry);
			return;
		}
		if (e != CS_OK) {
			die(c, "corosync refused a message (CPG)");
			return;
		}
		list_del(&p->link);
		c->queued -= p->len;
		free(p);
	}
}

static void on_retry(void *data)
{
	struct cpglink *c = data;

	c->retry = 0;
	pump(c);
}

int cpglink_send(struct cpglink *c, const uint8_t *msg, size_t len)
{
	struct chunk_head h = { .incarnation = c->incarnation, .number = ++c->number, .total = (uint32_t)len };
	size_t n = chunk_count(len);

	if (c->dead)
		return -ENOTCONN;
	if (len > CHUNK_MESSAGE_MAX)
		return -EMSGSIZE;
	if (c->queued + len > QUEUE_MAX) {
		die(c, "corosync took no message for too long (CPG)");
		return -ENOBUFS;
	}
	for (; h.index < n; h.index++) {
		struct packet *p = malloc(sizeof(*p) + MIN((size_t)LUNWARD_CPG_CHUNK, len + CHUNK_HEADER));

		if (!p) {
			die(c, "out of memory while sending (CPG)");
			return -ENOMEM;
		}
		p->len = chunk_put(p->data, &h, msg);
		c->queued += p->len;
		list_add_tail(&c->queue, &p->link);
	}
	if (!c->retry)
		pump(c);
	return c->dead ? -ENOTCONN : 0;
}

bool cpglink_idle(const struct cpglink *c)
{
	return list_empty(&c->queue);
}

/* ---- life ---- */

void cpglink_leave(struct cpglink *c)
{
	if (c && !c->dead)
		cpg_leave(c->handle, &GROUP);
}

void cpglink_close(struct cpglink *c)
{
	struct packet *p, *tmp;

	if (!c)
		return;
	list_for_each_safe(p, tmp, &c->queue, link)
		free(p);
	qb_loop_timer_del(c->loop, c->retry);
	qb_loop_timer_del(c->loop, c->obituary);
	if (c->fd >= 0)
		qb_loop_poll_del(c->loop, c->fd);
	if (c->handle)
		cpg_finalize(c->handle);
	chunk_asm_clear(&c->assembly);
	free(c);
}

uint32_t cpglink_nodeid(const struct cpglink *c)
{
	return c->nodeid;
}

static int join(struct cpglink *c)
{
	cpg_model_v1_data_t model = {
		.model = CPG_MODEL_V1,
		.cpg_deliver_fn = on_deliver,
		.cpg_confchg_fn = on_confchg,
		.cpg_totem_confchg_fn = on_ring,
		.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF,
	};
	cs_error_t e = cpg_model_initialize(&c->handle, CPG_MODEL_V1, (cpg_model_data_t *)&model, c);

	if (e != CS_OK) {
		c->handle = 0;
		return -(int)e;
	}
	e = cpg_local_get(c->handle, &c->nodeid);
	if (e == CS_OK)
		e = cpg_fd_get(c->handle, &c->fd);
	if (e == CS_OK)
		e = cpg_join(c->handle, &GROUP);
	return e == CS_OK ? 0 : -(int)e;
}

int cpglink_open(struct cpglink **ret, qb_loop_t *loop, uint32_t incarnation, const struct cpglink_ops *ops,
		 void *data)
{
	struct cpglink *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -(int)CS_ERR_NO_MEMORY;
	c->loop = loop;
	c->ops = ops;
	c->data = data;
	c->incarnation = incarnation;
	c->fd = -1;
	chunk_asm_init(&c->assembly);
	list_init(&c->queue);
	r = join(c);
	if (r == 0 && qb_loop_poll_add(loop, QB_LOOP_HIGH, c->fd, POLLIN, c, on_readable) < 0)
		r = -(int)CS_ERR_LIBRARY;
	if (r < 0) {
		c->fd = -1;
		cpglink_close(c);
		return r;
	}
	*ret = c;
	return 0;
}
