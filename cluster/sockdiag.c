/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sockdiag.c - abort leftover TCP sockets of an address this node has given up
 *
 * A socket left behind would answer with its old numbers when the address comes back here, and would spoil the
 * tickle: the client must meet a reset, not a stale peer.
 */
#include "cluster/clusterd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <string.h>

#define TCP_LISTEN_STATE 10

struct victims {
	struct inet_diag_sockid *v;
	uint8_t *family;
	size_t n, cap;
	struct ip local;
};

static bool grow(struct victims *l)
{
	size_t cap = l->cap ? 2 * l->cap : 32;
	void *v = realloc(l->v, cap * sizeof(*l->v));
	void *f;

	if (v)
		l->v = v;
	f = v ? realloc(l->family, cap) : NULL;
	if (f) {
		l->family = f;
		l->cap = cap;
	}
	return f;
}

/* A socket of an IPv6 listener may hold an IPv4 connection: compare the unmapped address. */
static int collect(const struct nlmsghdr *nlh, void *data)
{
	struct victims *l = data;
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	struct ip src;

	ip_make(&src, m->id.idiag_src, m->idiag_family == AF_INET ? 4 : 16);
	if (!ip_equal(&src, &l->local))
		return MNL_CB_OK;
	if (l->n == l->cap && !grow(l)) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	l->v[l->n] = m->id;
	l->family[l->n++] = m->idiag_family;
	return MNL_CB_OK;
}

static struct nlmsghdr *request(char *buf, uint16_t type, uint16_t flags, uint8_t family,
				const struct inet_diag_sockid *id)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = ~(1u << TCP_LISTEN_STATE);
	if (id)
		req->id = *id;
	return nlh;
}

static int talk(struct mnl_socket *s, struct nlmsghdr *req, mnl_cb_t cb, void *data)
{
	static unsigned seq;
	char buf[32768];
	ssize_t n;
	int r = MNL_CB_OK;

	req->nlmsg_seq = ++seq;
	if (mnl_socket_sendto(s, req, req->nlmsg_len) < 0)
		return -errno;
	while (r == MNL_CB_OK) {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, req->nlmsg_seq, mnl_socket_get_portid(s), cb, data);
	}
	return r < 0 ? -errno : 0;
}

static int dump(struct mnl_socket *s, uint8_t family, struct victims *l)
{
	char buf[512] = { 0 };

	return talk(s, request(buf, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family, NULL), collect, l);
}

static int destroy_all(struct mnl_socket *s, const struct victims *l)
{
	int done = 0;

	for (size_t i = 0; i < l->n; i++) {
		char buf[512] = { 0 };
		int r = talk(s, request(buf, SOCK_DESTROY, NLM_F_ACK, l->family[i], &l->v[i]), NULL, NULL);

		if (r == -EOPNOTSUPP)
			return r;    /* kernel without CONFIG_INET_DIAG_DESTROY */
		done += r == 0;
	}
	return done;
}

static int destroy(const struct ip *local)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct victims l = { .local = *local };
	int r = -errno;

	if (!s)
		return r;
	r = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	if (r == 0 && local->len == 4)
		r = dump(s, AF_INET, &l);
	if (r == 0)
		r = dump(s, AF_INET6, &l);
	if (r == 0)
		r = destroy_all(s, &l);
	mnl_socket_close(s);
	free(l.v);
	free(l.family);
	return r;
}

int sockdiag_destroy(struct netlink *nl, const struct ip *local)
{
	int r = local->len == 16 ? netlink_mute(nl, local, true) : 0;

	if (r < 0)
		return r;
	r = destroy(local);
	if (local->len == 16)
		netlink_mute(nl, local, false);
	return r;
}
