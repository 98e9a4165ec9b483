/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quorum.c - may this partition act: votequorum's word, with the ring it was said of
 *
 * It comes on another connection than CPG's messages, in no order with them: compare the ring ids.
 */
#include "cluster/clusterd.h"

#include <corosync/quorum.h>

struct quorumlink {
	qb_loop_t *loop;
	const struct quorumlink_ops *ops;
	void *data;
	quorum_handle_t handle;
	int fd;
	bool dead;
};

static void on_notify(quorum_handle_t handle, uint32_t quorate, struct quorum_ring_id ring, uint32_t n,
		      const uint32_t *member)
{
	const void *ctx = NULL;
	const struct quorumlink *q;

	if (quorum_context_get(handle, &ctx) != CS_OK || !ctx)
		return;
	q = ctx;
	q->ops->quorum(q->data, quorate != 0, ring.nodeid, ring.seq, member, n);
}

static void on_nodelist(quorum_handle_t handle, struct quorum_ring_id ring, uint32_t n, const uint32_t *member,
			uint32_t n_joined, const uint32_t *joined, uint32_t n_left, const uint32_t *left)
{
	/* the quorum notification says it all */
	(void)handle, (void)ring, (void)n, (void)member, (void)n_joined, (void)joined, (void)n_left, (void)left;
}

static int32_t on_readable(int32_t fd, int32_t revents, void *data)
{
	struct quorumlink *q = data;

	(void)fd;
	if (quorum_dispatch(q->handle, CS_DISPATCH_ALL) == CS_OK && !(revents & (POLLHUP | POLLERR | POLLNVAL)))
		return 0;
	q->dead = true;
	q->fd = -1;
	q->ops->lost(q->data, "corosync closed the connection (quorum)");
	return -1;
}

void quorumlink_close(struct quorumlink *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		qb_loop_poll_del(q->loop, q->fd);
	if (q->handle)
		quorum_finalize(q->handle);
	free(q);
}

static int start(struct quorumlink *q)
{
	quorum_model_v1_data_t model = {
		.model = QUORUM_MODEL_V1,
		.quorum_notify_fn = on_notify,
		.nodelist_notify_fn = on_nodelist,
	};
	uint32_t type = QUORUM_FREE;
	cs_error_t e = quorum_model_initialize(&q->handle, QUORUM_MODEL_V1, (quorum_model_data_t *)&model, &type, q);

	if (e != CS_OK) {
		q->handle = 0;
		return -(int)e;
	}
	if (type != QUORUM_SET)
		return -(int)CS_ERR_NOT_EXIST;   /* no provider: corosync.conf lacks "quorum { provider: … }" */
	e = quorum_fd_get(q->handle, &q->fd);
	if (e == CS_OK)
		e = quorum_trackstart(q->handle, CS_TRACK_CHANGES | CS_TRACK_CURRENT);
	return e == CS_OK ? 0 : -(int)e;
}

int quorumlink_open(struct quorumlink **ret, qb_loop_t *loop, const struct quorumlink_ops *ops, void *data)
{
	struct quorumlink *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -(int)CS_ERR_NO_MEMORY;
	*q = (struct quorumlink){ .loop = loop, .ops = ops, .data = data, .fd = -1 };
	r = start(q);
	if (r == 0 && qb_loop_poll_add(loop, QB_LOOP_HIGH, q->fd, POLLIN, q, on_readable) < 0)
		r = -(int)CS_ERR_LIBRARY;
	if (r < 0) {
		q->fd = -1;
		quorumlink_close(q);
		return r;
	}
	*ret = q;
	return 0;
}
