/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tickle.c - wake clients that still hold a connection to the portal's former owner
 *
 * An idle client of a dead owner would notice after its own timeout only (10 s for open-iscsi). A bare ACK with
 * impossible numbers, sent from the portal, makes its kernel answer with the true ones (RFC 9293 3.10.7.4); our
 * kernel knows no such connection and resets; the client reconnects now. Send it after the announcement, or the
 * answer goes to the dead owner's hardware address. Linux limits those answers to one every 500 ms a
 * connection, and any one packet may be lost: twice more, TICKLE_REPEAT_MS apart. For a connection that is alive
 * again under the same ends the packet is harmless: its peer discards it.
 */
#include "cluster/clusterd.h"

#include <errno.h>
#include <sys/socket.h>

#define TICKLE_ROUNDS 3u

struct tickler {
	qb_loop_t *loop;
	int fd4, fd6;
	struct list active;
};

struct tickle {
	struct list link;
	struct tickler *owner;
	struct ip portal;
	unsigned rounds;
	qb_loop_timer_handle timer;
	size_t n;
	struct tickle_conn conn[];
};

static void on_timer(void *data);

int tickler_new(struct tickler **ret, qb_loop_t *loop)
{
	struct tickler *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->loop = loop;
	list_init(&t->active);
	t->fd4 = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	err = errno;
	t->fd6 = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (t->fd4 < 0 && t->fd6 < 0) {
		free(t);
		return -err;
	}
	*ret = t;
	return 0;
}

static void tickle_free(struct tickle *k)
{
	qb_loop_timer_del(k->owner->loop, k->timer);
	list_del(&k->link);
	free(k);
}

void tickle_stop(struct tickler *t, const struct ip *portal)
{
	struct tickle *k, *tmp;

	list_for_each_safe(k, tmp, &t->active, link)
		if (ip_equal(&k->portal, portal))
			tickle_free(k);
}

void tickler_free(struct tickler *t)
{
	struct tickle *k, *tmp;

	if (!t)
		return;
	list_for_each_safe(k, tmp, &t->active, link)
		tickle_free(k);
	if (t->fd4 >= 0)
		close(t->fd4);
	if (t->fd6 >= 0)
		close(t->fd6);
	free(t);
}

static int emit(const struct tickler *t, const struct tickle_conn *c)
{
	uint8_t pkt[PACKET_MAX];
	struct sockaddr_storage to;
	/* the port of a raw IPv6 destination must be 0 */
	socklen_t to_len = ip_sockaddr(&c->client.ip, 0, &to);
	size_t len = packet_tickle(pkt, &c->portal, &c->client);
	int fd = c->client.ip.len == 4 ? t->fd4 : t->fd6;

	if (!len || fd < 0)
		return -EAFNOSUPPORT;
	return sendto(fd, pkt, len, 0, (struct sockaddr *)&to, to_len) < 0 ? -errno : 0;
}

static int round_of(struct tickle *k)
{
	int sent = 0, err = 0;

	for (size_t i = 0; i < k->n; i++) {
		int r = emit(k->owner, &k->conn[i]);

		if (r == 0)
			sent++;
		else if (!err)
			err = r;
	}
	k->rounds++;
	return sent ? sent : err;
}

static void on_timer(void *data)
{
	struct tickle *k = data;

	k->timer = 0;
	round_of(k);
	if (k->rounds >= TICKLE_ROUNDS ||
	    qb_loop_timer_add(k->owner->loop, QB_LOOP_MED, TICKLE_REPEAT_MS * NSEC_PER_MSEC, k, on_timer, &k->timer) < 0)
		tickle_free(k);
}

int tickle_start(struct tickler *t, const struct ip *portal, const struct tickle_conn *conn, size_t n)
{
	struct tickle *k = calloc(1, sizeof(*k) + n * sizeof(*conn));
	int r;

	tickle_stop(t, portal);
	if (!k)
		return -ENOMEM;
	*k = (struct tickle){ .owner = t, .portal = *portal };
	for (size_t i = 0; i < n; i++)
		if (ip_equal(&conn[i].portal.ip, portal))
			k->conn[k->n++] = conn[i];
	list_add_tail(&t->active, &k->link);
	r = k->n ? round_of(k) : 0;
	if (!k->n ||
	    qb_loop_timer_add(t->loop, QB_LOOP_MED, TICKLE_REPEAT_MS * NSEC_PER_MSEC, k, on_timer, &k->timer) < 0)
		tickle_free(k);
	return r;
}
