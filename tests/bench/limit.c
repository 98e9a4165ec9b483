/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit.c - a bare TCP server that answers each request with the same number of bytes and does nothing else
 *
 * What any target has to do at least: receive what an initiator sends, send what it expects back. One thread, epoll, one
 * recv and one sendmsg a batch. It looks at the opcode, lengths and tag of a request; see load --bare.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/util/util.h"
#include "tests/bench/pieces.h"

enum { RX_BYTES = 256 * 1024, WAITING_MAX = 8192 };

struct peer {
	int fd;
	uint32_t have;
	size_t skip;
	uint8_t hdr[BHS_LEN];
	struct pieces out;
	bool blocked;
};

static uint8_t rx_buf[RX_BYTES];

static void answer(struct peer *p)
{
	bool read = p->hdr[O_FLAGS] & CMD_READ;
	uint8_t *h = pieces_add(&p->out, read ? get_be32(p->hdr + O_CMD_EDTL) : 0);

	h[O_OPCODE] = read ? OP_DATA_IN : OP_SCSI_RSP;
	h[O_FLAGS] = PDU_FINAL | (read ? DATA_STATUS : 0);
	memcpy(h + O_ITT, p->hdr + O_ITT, 4);
	pieces_seal(&p->out);
}

static void received(struct peer *p, const uint8_t *at, size_t n)
{
	while (n) {
		size_t used = MIN(n, p->skip ? p->skip : (size_t)(BHS_LEN - p->have));

		if (p->skip) {
			p->skip -= used;
		} else {
			memcpy(p->hdr + p->have, at, used);
			p->have = (p->have + (uint32_t)used) % BHS_LEN;
			p->skip = p->have ? 0 : pdu_dsl(p->hdr);
		}
		at += used;
		n -= used;
		if (!p->have && !p->skip)
			answer(p);
	}
}

static int transmit(struct peer *p)
{
	struct iovec iov[PIECE_IOV];
	int n;

	while ((n = pieces_iov(&p->out, iov))) {
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n };
		ssize_t sent = sendmsg(p->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0)
			return errno == EAGAIN ? 0 : -1;
		pieces_sent(&p->out, (size_t)sent);
	}
	return 0;
}

static void peer_end(struct peer *p)
{
	close(p->fd);
	free(p->out.ring);
	free(p);
}

static void serve(int ep, struct peer *p)
{
	ssize_t n = recv(p->fd, rx_buf, sizeof(rx_buf), MSG_DONTWAIT);
	struct epoll_event ev = { .data.ptr = p };
	bool blocked;

	if (n > 0)
		received(p, rx_buf, (size_t)n);
	if (n == 0 || (n < 0 && errno != EAGAIN) || transmit(p)) {
		peer_end(p);
		return;
	}
	blocked = p->out.head != p->out.tail;
	if (blocked == p->blocked)
		return;
	p->blocked = blocked;
	ev.events = EPOLLIN | (blocked ? (uint32_t)EPOLLOUT : 0);
	if (epoll_ctl(ep, EPOLL_CTL_MOD, p->fd, &ev))
		die("epoll: %m");
}

static void welcome(int ep, int listener)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = p };
	int on = 1;

	if (!p)
		die("out of memory");
	p->fd = accept(listener, NULL, NULL);
	if (p->fd < 0)
		die("accept: %m");
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	pieces_init(&p->out, WAITING_MAX);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, p->fd, &ev))
		die("epoll: %m");
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1024))
		die("port %u: %m", port);
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN }, evs[64];
	int ep, listener;

	if (argc != 2)
		die("Usage: limit PORT\nServes load --bare on 127.0.0.1:PORT; prints READY when it does.");
	listener = listen_on((uint16_t)atoi(argv[1]));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev))
		die("epoll: %m");
	puts("READY");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, evs, ARRAY_SIZE(evs), -1);

		if (n < 0 && errno != EINTR)
			die("epoll: %m");
		for (int i = 0; i < n; i++) {
			if (evs[i].data.ptr)
				serve(ep, evs[i].data.ptr);
			else
				welcome(ep, listener);
		}
	}
}
