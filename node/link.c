/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.c - ZeroMQ link to clusterd: a DEALER whose identity is the group's name
 *
 * ZeroMQ connects, and connects again for as long as it takes; clusterd's socket greets each new connection with an empty
 * message, which is when we say Hello. ZMQ_FD is edge-triggered and any call on the socket may swallow the edge: so after
 * every wake-up messages are taken until there are none, and after a send, or once the link is open, a message to ourselves
 * makes the loop look again, from a shallow stack: nobody is called before link_open() has returned.
 */
#include <errno.h>
#include <string.h>
#include <zmq.h>

#include <qb/qblog.h>

#include "node/link.h"
#include "proto/frame.h"

#define RECONNECT_MS 20
#define RECONNECT_MAX_MS 200
#define MESSAGES_WAITING 1000

struct link {
	struct control *ctl;
	void *zmq, *sock;
	int fd;
	struct msg look_again;
	bool looking, ended;
	void (*met)(struct control *ctl);
	void (*got)(struct control *ctl, const Lunward__ToTarget *m);
};

static bool readable(struct link *l)
{
	int events = 0;
	size_t len = sizeof(events);

	return zmq_getsockopt(l->sock, ZMQ_EVENTS, &events, &len) == 0 && (events & ZMQ_POLLIN);
}

static void take(struct link *l, const uint8_t *buf, size_t len)
{
	Lunward__ToTarget *m;

	if (!len) {
		l->met(l->ctl);
		return;
	}
	m = lunward__to_target__unpack(NULL, len, buf);
	if (!m || !frame_version_ok(LUNWARD_TARGET_PROTO, m->version))
		qb_log(LOG_ERR, "message of clusterd is not understood (version %u, ours is %u)", m ? m->version : 0,
		       LUNWARD_TARGET_PROTO);
	else
		l->got(l->ctl, m);
	if (m)
		lunward__to_target__free_unpacked(m, NULL);
}

static void drain(struct link *l)
{
	while (!l->ended && readable(l)) {
		zmq_msg_t m;

		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, l->sock, ZMQ_DONTWAIT) >= 0)
			take(l, zmq_msg_data(&m), zmq_msg_size(&m));
		zmq_msg_close(&m);
	}
}

static int32_t on_readable(int32_t fd, int32_t revents, void *data)
{
	(void)fd, (void)revents;
	drain(data);
	return 0;
}

static void look_again(struct msg *m, void *ctl)
{
	struct link *l = container_of(m, struct link, look_again);

	(void)ctl;
	l->looking = false;
	drain(l);
}

static void look(struct link *l)
{
	if (l->looking || l->ended)
		return;
	l->looking = true;
	control_send(l->ctl, &l->look_again);
}

void link_send(struct link *l, Lunward__FromTarget *m)
{
	_cleanup_free_ uint8_t *buf = NULL;
	size_t n;

	if (l->ended)
		return;
	m->version = LUNWARD_TARGET_PROTO;
	n = lunward__from_target__get_packed_size(m);
	buf = malloc(n + 1);
	if (!buf) {
		qb_log(LOG_CRIT, "out of memory for a message to clusterd");
		return;
	}
	lunward__from_target__pack(m, buf);
	if (zmq_send(l->sock, buf, n, ZMQ_DONTWAIT) < 0)
		qb_log(LOG_ERR, "cannot send to clusterd: %s", zmq_strerror(errno));
	look(l);
}

static int connect_socket(struct link *l, const char *path, const char *identity)
{
	int no_linger = 0, ms = RECONNECT_MS, max_ms = RECONNECT_MAX_MS, hwm = MESSAGES_WAITING;
	size_t len = sizeof(l->fd);
	char url[256];

	if (snprintf(url, sizeof(url), "ipc://%s", path) >= (int)sizeof(url))
		return -ENAMETOOLONG;
	(void)zmq_setsockopt(l->sock, ZMQ_ROUTING_ID, identity, strlen(identity));
	(void)zmq_setsockopt(l->sock, ZMQ_LINGER, &no_linger, sizeof(no_linger));
	(void)zmq_setsockopt(l->sock, ZMQ_RECONNECT_IVL, &ms, sizeof(ms));
	(void)zmq_setsockopt(l->sock, ZMQ_RECONNECT_IVL_MAX, &max_ms, sizeof(max_ms));
	(void)zmq_setsockopt(l->sock, ZMQ_SNDHWM, &hwm, sizeof(hwm));
	(void)zmq_setsockopt(l->sock, ZMQ_RCVHWM, &hwm, sizeof(hwm));
	if (zmq_connect(l->sock, url) || zmq_getsockopt(l->sock, ZMQ_FD, &l->fd, &len))
		return -errno;
	return 0;
}

struct link *link_open(struct control *ctl, const char *path, const char *identity, void (*met)(struct control *),
		       void (*got)(struct control *, const Lunward__ToTarget *))
{
	struct link *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return NULL;
	*l = (struct link){ .ctl = ctl, .fd = -1, .met = met, .got = got, .look_again.run = look_again };
	l->zmq = zmq_ctx_new();
	l->sock = l->zmq ? zmq_socket(l->zmq, ZMQ_DEALER) : NULL;
	rc = l->sock ? connect_socket(l, path, identity) : -ENOMEM;
	if (rc) {
		qb_log(LOG_CRIT, "%s: cannot connect to clusterd: %s", path, strerror(-rc));
		link_close(l);
		return NULL;
	}
	(void)qb_loop_poll_add(ctl->loop, QB_LOOP_MED, l->fd, POLLIN, l, on_readable);
	look(l);
	return l;
}

void link_end(struct link *l)
{
	if (!l)
		return;
	(void)qb_loop_poll_del(l->ctl->loop, l->fd);
	l->ended = true;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	if (l->sock)
		zmq_close(l->sock);
	if (l->zmq)
		zmq_ctx_term(l->zmq);
	free(l);
}
