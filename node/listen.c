/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.c - portals: listening sockets, and connections handed to the reactors in turn
 *
 * A socket is bound whether its address is there or not (IP_FREEBIND): the listener is up before the address.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <qb/qblog.h>

#include "node/node.h"

#define BACKLOG 1024
#define ACCEPTS_A_TURN 64
#define PAUSE_NS (100ull * 1000000)

struct accepted {
	struct msg msg;
	struct group *group;
	int fd;
	uint64_t number;
	struct sockaddr_storage peer, local;
};

static void accepted_run(struct msg *m, void *reactor)
{
	struct accepted *a = container_of(m, struct accepted, msg);

	conn_new(reactor, a->group, a->fd, a->number, &a->peer, &a->local);
	free(a);
}

/* ---- accept ---- */

static void hand_over(struct control *ctl, struct group *g, int fd, const struct sockaddr_storage *peer)
{
	struct accepted *a = calloc(1, sizeof(*a));
	socklen_t len = sizeof(a->local);
	int one = 1;

	if (!a || getsockname(fd, (struct sockaddr *)&a->local, &len)) {
		free(a);
		close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	a->msg.run = accepted_run;
	a->group = g;
	a->fd = fd;
	a->number = ++ctl->accepted;
	a->peer = *peer;
	queue_push(&ctl->reactor[ctl->next_reactor++ % ctl->n_reactors].in, &a->msg);
}

static int32_t on_connection(int32_t fd, int32_t revents, void *data);

static void watch(struct listener *l)
{
	if (!l->watched)
		(void)qb_loop_poll_add(l->group->ctl->loop, QB_LOOP_HIGH, l->fd, POLLIN, l, on_connection);
	l->watched = true;
}

static void unwatch(struct listener *l)
{
	if (l->watched)
		qb_loop_poll_del(l->group->ctl->loop, l->fd);
	l->watched = false;
}

static void on_pause_end(void *arg)
{
	struct listener *l = arg;

	l->timer = 0;
	if (!l->paused)
		watch(l);
}

/* No descriptors or no memory: leave them in the backlog for a while. */
static void rest(struct listener *l, int e)
{
	qb_log(LOG_ERR, "portal %s: cannot accept: %s%s", l->text, strerror(e),
	       e == EMFILE ? ": raise the limit of open files (ulimit -n)" : "");
	unwatch(l);
	if (!l->timer)
		(void)qb_loop_timer_add(l->group->ctl->loop, QB_LOOP_MED, PAUSE_NS, l, on_pause_end, &l->timer);
}

static int32_t on_connection(int32_t fd, int32_t revents, void *data)
{
	struct listener *l = data;

	(void)revents;
	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		int c = accept4(fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

		if (c >= 0) {
			hand_over(l->group->ctl, l->group, c, &peer);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			rest(l, errno);
			break;
		}
		/* the connection's own error: it is gone (accept(2)) */
	}
	return 0;
}

void listen_pause(struct group *g)
{
	struct listener *l;

	list_for_each(l, &g->listeners, link) {
		l->paused = true;
		unwatch(l);
	}
}

void listen_reset(struct group *g)
{
	static const struct linger hard = { .l_onoff = 1 };
	struct listener *l;

	list_for_each(l, &g->listeners, link)
		for (unsigned i = 0; i < 2 * BACKLOG; i++) {
			int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
				break;
			if (fd < 0)
				continue;  /* the connection's own error: it is gone */
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
			close(fd);
		}
}

void listen_resume(struct group *g)
{
	struct listener *l;

	list_for_each(l, &g->listeners, link) {
		l->paused = false;
		watch(l);
	}
}

/* ---- open and close ---- */

static bool same_addr(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const uint8_t *x, *y;
	size_t n = addr_ip(a, &x);

	return a->ss_family == b->ss_family && addr_port(a) == addr_port(b) && addr_ip(b, &y) == n && !memcmp(x, y, n);
}

/* A descriptor that came from our predecessor, if it is this portal's. */
static int inherited(struct control *ctl, const struct sockaddr_storage *addr)
{
	for (unsigned i = 0; i < ctl->n_inherited; i++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof(ss);
		int fd = ctl->inherited[i];

		if (fd < 0 || getsockname(fd, (struct sockaddr *)&ss, &len) || !same_addr(&ss, addr))
			continue;
		ctl->inherited[i] = -1;
		return fd;
	}
	return -1;
}

static int open_socket(const struct listener *l)
{
	_cleanup_close_ int fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	int one = 1;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (l->addr.ss_family == AF_INET6) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	} else {
		(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	}
	if (bind(fd, (const struct sockaddr *)&l->addr, l->addr_len) || listen(fd, BACKLOG))
		return -errno;
	return steal_fd(&fd);
}

static void listener_close(struct listener *l)
{
	unwatch(l);
	if (l->timer)
		qb_loop_timer_del(l->group->ctl->loop, l->timer);
	list_del(&l->link);
	close(l->fd);
	free(l);
}

static struct listener *find(struct group *g, const struct sockaddr_storage *addr)
{
	struct listener *l;

	list_for_each(l, &g->listeners, link)
		if (same_addr(&l->addr, addr))
			return l;
	return NULL;
}

static int open_one(struct group *g, const struct conf_portal *p, char *err, size_t err_len)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = conf_sockaddr(p, &addr);
	struct listener *l = find(g, &addr);

	if (l) {
		l->wanted = true;
		return 0;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	*l = (struct listener){ .group = g, .addr = addr, .addr_len = len, .wanted = true, .fresh = true };
	(void)addr_text(&addr, l->text);
	l->fd = inherited(g->ctl, &addr);
	if (l->fd < 0)
		l->fd = open_socket(l);
	if (l->fd < 0) {
		int rc = l->fd;

		snprintf(err, err_len, "portal %s: cannot listen: %s", l->text, strerror(-rc));
		free(l);
		return rc;
	}
	list_add_tail(&g->listeners, &l->link);
	return 0;
}

int listen_open(struct group *g, const struct conf_group *conf, char *err, size_t err_len)
{
	struct listener *l;
	int rc = 0;

	list_for_each(l, &g->listeners, link)
		l->wanted = l->fresh = false;
	for (size_t i = 0; !rc && i < conf->n_portal; i++)
		rc = open_one(g, &conf->portal[i], err, err_len);
	if (rc)
		listen_rollback(g);
	return rc;
}

void listen_rollback(struct group *g)
{
	struct listener *l, *tmp;

	list_for_each_safe(l, tmp, &g->listeners, link)
		if (l->fresh)
			listener_close(l);
}

void listen_settle(struct group *g)
{
	struct listener *l, *tmp;

	list_for_each_safe(l, tmp, &g->listeners, link) {
		l->fresh = false;
		if (!l->wanted)
			listener_close(l);
		else if (!l->paused)
			watch(l);
	}
}

void listen_close(struct group *g)
{
	struct listener *l, *tmp;

	list_for_each_safe(l, tmp, &g->listeners, link)
		listener_close(l);
}

void listen_inherit(struct control *ctl)
{
	const char *s = getenv("LUNWARD_LISTEN_FDS");
	char *end;

	while (s && *s && ctl->n_inherited < ARRAY_SIZE(ctl->inherited)) {
		long fd = strtol(s, &end, 10);

		if (end == s || fd < 3)
			break;
		ctl->inherited[ctl->n_inherited++] = (int)fd;
		s = *end == ',' ? end + 1 : end;
	}
	unsetenv("LUNWARD_LISTEN_FDS");
}
