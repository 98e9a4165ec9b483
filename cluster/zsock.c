/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zsock.c - a ZeroMQ ROUTER on the loop
 *
 * ZMQ_FD is edge-triggered: it becomes readable when *something* changed, once, and any call on the socket may
 * swallow that edge. So after every wake-up and after every send ZMQ_EVENTS is asked until it says there is nothing
 * to read; what is left over (a send saw POLLIN, or a turn took its fill) is taken up again through an eventfd.
 */
#include "cluster/clusterd.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <zmq.h>

#define BATCH 64       /* messages a turn of the loop */
#define HIGH_WATER 10000

struct zsock {
	qb_loop_t *loop;
	void *sock;
	int fd, again;
	zsock_recv_fn *recv;
	void *data;
};

static bool readable(const struct zsock *z)
{
	int events = 0;
	size_t len = sizeof(events);

	return zmq_getsockopt(z->sock, ZMQ_EVENTS, &events, &len) == 0 && (events & ZMQ_POLLIN);
}

static void wake(const struct zsock *z)
{
	uint64_t one = 1;

	if (write(z->again, &one, sizeof(one)) < 0)
		return;   /* already set */
}

/* A message has two parts, identity and payload; anything else is not for us and is skipped. */
static bool recv_one(struct zsock *z)
{
	zmq_msg_t part[2];
	int n = 0;
	bool more = true;

	while (more) {
		zmq_msg_t extra, *m = n < 2 ? &part[n] : &extra;

		zmq_msg_init(m);
		if (zmq_msg_recv(m, z->sock, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(m);
			break;
		}
		more = zmq_msg_more(m);
		n++;
		if (m == &extra)
			zmq_msg_close(m);
	}
	if (n == 2)
		z->recv(z->data, zmq_msg_data(&part[0]), zmq_msg_size(&part[0]), zmq_msg_data(&part[1]),
			zmq_msg_size(&part[1]));
	for (int i = 0; i < MIN(n, 2); i++)
		zmq_msg_close(&part[i]);
	return n > 0;
}

static void pump(struct zsock *z)
{
	int n = 0;

	while (readable(z)) {
		if (n++ == BATCH) {
			wake(z);
			return;
		}
		if (!recv_one(z))
			return;
	}
}

static int32_t on_fd(int32_t fd, int32_t revents, void *data)
{
	(void)fd, (void)revents;
	pump(data);
	return 0;
}

static int32_t on_again(int32_t fd, int32_t revents, void *data)
{
	uint64_t n;

	(void)revents;
	if (read(fd, &n, sizeof(n)) == sizeof(n))
		pump(data);
	return 0;
}

int zsock_send(struct zsock *z, const uint8_t *id, size_t id_len, const void *msg, size_t len)
{
	int r = 0;

	if (zmq_send(z->sock, id, id_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
	    zmq_send(z->sock, msg, len, ZMQ_DONTWAIT) < 0)
		r = -errno;
	if (readable(z))
		wake(z);
	return r;
}

void zsock_close(struct zsock *z)
{
	if (!z)
		return;
	if (z->fd >= 0)
		qb_loop_poll_del(z->loop, z->fd);
	if (z->again >= 0) {
		qb_loop_poll_del(z->loop, z->again);
		close(z->again);
	}
	if (z->sock)
		zmq_close(z->sock);
	free(z);
}

static int bind_socket(struct zsock *z, void *ctx, const char *path, bool greet)
{
	const int on = 1, linger = 500, hwm = HIGH_WATER;
	char url[256];
	size_t len = sizeof(z->fd);

	z->sock = zmq_socket(ctx, ZMQ_ROUTER);
	if (!z->sock)
		return -errno;
	zmq_setsockopt(z->sock, ZMQ_ROUTER_MANDATORY, &on, sizeof(on));   /* an unknown peer is an error, not silence */
	zmq_setsockopt(z->sock, ZMQ_ROUTER_HANDOVER, &on, sizeof(on));    /* a restarted peer takes its identity over */
	if (greet)
		zmq_setsockopt(z->sock, ZMQ_PROBE_ROUTER, &on, sizeof(on));
	zmq_setsockopt(z->sock, ZMQ_LINGER, &linger, sizeof(linger));
	zmq_setsockopt(z->sock, ZMQ_SNDHWM, &hwm, sizeof(hwm));
	zmq_setsockopt(z->sock, ZMQ_RCVHWM, &hwm, sizeof(hwm));
	snprintf(url, sizeof(url), "ipc://%s", path);
	if (zmq_bind(z->sock, url) < 0)
		return -errno;
	if (chmod(path, 0600) < 0 || zmq_getsockopt(z->sock, ZMQ_FD, &z->fd, &len) < 0)
		return -errno;
	return 0;
}

int zsock_router(struct zsock **ret, qb_loop_t *loop, void *ctx, const char *path, bool greet, zsock_recv_fn *fn,
		 void *data)
{
	struct zsock *z = calloc(1, sizeof(*z));
	int r;

	if (!z)
		return -ENOMEM;
	*z = (struct zsock){ .loop = loop, .fd = -1, .again = -1, .recv = fn, .data = data };
	r = bind_socket(z, ctx, path, greet);
	if (r == 0) {
		z->again = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (z->again < 0)
			r = -errno;
	}
	if (r == 0 && (qb_loop_poll_add(loop, QB_LOOP_MED, z->fd, POLLIN, z, on_fd) < 0 ||
		       qb_loop_poll_add(loop, QB_LOOP_MED, z->again, POLLIN, z, on_again) < 0))
		r = -EIO;
	if (r < 0) {
		zsock_close(z);
		return r;
	}
	wake(z);
	*ret = z;
	return 0;
}
