/* SPDX-License-Identifier: GPL-2.0-or-later */
/* server.c - a ROUTER socket in a thread that speaks proto/ctl.proto from a script */
#include <pthread.h>
#include <string.h>
#include <zmq.h>

#include "proto/frame.h"
#include "tests/unit/ctl/fake.h"

struct fake_server {
	void *ctx, *sock, *stop_tx, *stop_rx;
	fake_reply *reply;
	pthread_t thread;
};

static void send_reply(void *sock, const void *id, size_t id_len, const Lunward__CtlReply *r)
{
	size_t n = lunward__ctl_reply__get_packed_size(r);
	_cleanup_free_ uint8_t *buf = malloc(n + 1);

	if (!buf)
		abort();
	lunward__ctl_reply__pack(r, buf);
	zmq_send(sock, id, id_len, ZMQ_SNDMORE);
	zmq_send(sock, buf, n, 0);
}

static void serve(struct fake_server *s)
{
	uint8_t id[256], buf[65536];
	int n_id = zmq_recv(s->sock, id, sizeof(id), 0), n = zmq_recv(s->sock, buf, sizeof(buf), 0);
	Lunward__CtlRequest *req = n < 0 ? NULL : lunward__ctl_request__unpack(NULL, (size_t)n, buf);

	if (n_id < 0 || !req)
		abort();
	for (unsigned i = 0;; i++) {
		Lunward__CtlReply r = LUNWARD__CTL_REPLY__INIT;

		r.version = LUNWARD_CTL_PROTO;
		r.ok = true;
		if (!s->reply(req, i, &r))
			break;
		send_reply(s->sock, id, (size_t)n_id, &r);
	}
	lunward__ctl_request__free_unpacked(req, NULL);
}

static void *main_loop(void *arg)
{
	struct fake_server *s = arg;
	zmq_pollitem_t item[2] = {
		{ .socket = s->sock, .events = ZMQ_POLLIN },
		{ .socket = s->stop_rx, .events = ZMQ_POLLIN },
	};

	while (zmq_poll(item, 2, -1) >= 0 && !item[1].revents)
		if (item[0].revents)
			serve(s);
	return NULL;
}

struct fake_server *fake_start(const char *run_dir, fake_reply *reply)
{
	struct fake_server *s = calloc(1, sizeof(*s));
	char url[256];
	int linger = 1000;

	if (!s || !(s->ctx = zmq_ctx_new()))
		abort();
	s->reply = reply;
	s->sock = zmq_socket(s->ctx, ZMQ_ROUTER);
	s->stop_rx = zmq_socket(s->ctx, ZMQ_PAIR);
	s->stop_tx = zmq_socket(s->ctx, ZMQ_PAIR);
	snprintf(url, sizeof(url), "ipc://%s/%s", run_dir, LUNWARD_CTL_SOCKET);
	zmq_setsockopt(s->sock, ZMQ_LINGER, &linger, sizeof(linger));
	if (zmq_bind(s->sock, url) || zmq_bind(s->stop_rx, "inproc://stop") || zmq_connect(s->stop_tx, "inproc://stop") ||
	    pthread_create(&s->thread, NULL, main_loop, s))
		abort();
	return s;
}

void fake_stop(struct fake_server *s)
{
	zmq_send(s->stop_tx, "", 0, 0);
	pthread_join(s->thread, NULL);
	zmq_close(s->sock);
	zmq_close(s->stop_rx);
	zmq_close(s->stop_tx);
	zmq_ctx_term(s->ctx);
	free(s);
}
