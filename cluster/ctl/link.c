/* SPDX-License-Identifier: GPL-2.0-or-later */
/* link.c - the conversation with clusterd: one ZeroMQ DEALER socket, one message a frame (proto/ctl.proto) */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <zmq.h>

#include "cluster/ctl/ctl.h"
#include "proto/frame.h"

struct ctl_link {
	void *ctx, *sock;
	void *monitor;           /* tells when the connection is lost: a request would be lost with it, silently */
};

static const char *run_dir(void)
{
	const char *dir = getenv("LUNWARD_RUN_DIR");

	return dir && dir[0] ? dir : LUNWARD_RUN_DIR;
}

/* ZeroMQ would wait for a socket that is not there; people want to know at once, and why. */
static int probe(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return 0;
}

static int explain(int r, const char *path, char **why)
{
	const char *hint = "";

	if (r == -ENOENT || r == -ECONNREFUSED)
		hint = "; lunward-clusterd does not run on this node: systemctl start lunward-clusterd, or look at journalctl "
		       "-u lunward-clusterd";
	else if (r == -EACCES || r == -EPERM)
		hint = "; only root may control the cluster: use sudo";
	else if (r == -ENAMETOOLONG)
		hint = "; LUNWARD_RUN_DIR is too long";
	if (asprintf(why, "cannot reach lunward-clusterd at %s: %s%s", path, strerror(-r), hint) < 0)
		*why = NULL;
	return r;
}

static int watch(struct ctl_link *l)
{
	static const char here[] = "inproc://monitor";

	if (zmq_socket_monitor(l->sock, here, ZMQ_EVENT_DISCONNECTED))
		return -1;
	l->monitor = zmq_socket(l->ctx, ZMQ_PAIR);
	return l->monitor ? zmq_connect(l->monitor, here) : -1;
}

int link_open(struct ctl_link **ret, char **why)
{
	char path[4096], url[4200];
	struct ctl_link *l;
	int r, linger = 0;

	*why = NULL;
	snprintf(path, sizeof(path), "%s/%s", run_dir(), LUNWARD_CTL_SOCKET);
	r = probe(path);
	if (r < 0)
		return explain(r, path, why);
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	snprintf(url, sizeof(url), "ipc://%s", path);
	l->ctx = zmq_ctx_new();
	l->sock = l->ctx ? zmq_socket(l->ctx, ZMQ_DEALER) : NULL;
	if (!l->sock || zmq_setsockopt(l->sock, ZMQ_LINGER, &linger, sizeof(linger)) || watch(l) ||
	    zmq_connect(l->sock, url)) {
		r = explain(-errno, path, why);
		link_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

void link_close(struct ctl_link *l)
{
	if (!l)
		return;
	if (l->sock)
		zmq_close(l->sock);
	if (l->monitor)
		zmq_close(l->monitor);
	if (l->ctx)
		zmq_ctx_term(l->ctx);
	free(l);
}

int link_send(struct ctl_link *l, Lunward__CtlRequest *req)
{
	_cleanup_free_ uint8_t *buf = NULL;
	size_t n;

	req->version = LUNWARD_CTL_PROTO;
	n = lunward__ctl_request__get_packed_size(req);
	buf = malloc(n ? n : 1);
	if (!buf)
		return -ENOMEM;
	lunward__ctl_request__pack(req, buf);
	return zmq_send(l->sock, buf, n, 0) < 0 ? -errno : 0;
}

/* Wait for a frame. Return: 0, -ETIMEDOUT, -ECONNRESET, -errno */
static int wait_frame(struct ctl_link *l, int timeout_ms)
{
	zmq_pollitem_t item[2] = {
		{ .socket = l->sock, .events = ZMQ_POLLIN },
		{ .socket = l->monitor, .events = ZMQ_POLLIN },
	};
	int n = zmq_poll(item, 2, timeout_ms);

	if (n < 0)
		return -errno;
	if (item[0].revents)
		return 0;
	return item[1].revents ? -ECONNRESET : -ETIMEDOUT;
}

int link_receive(struct ctl_link *l, int timeout_ms, Lunward__CtlReply **ret, char **why)
{
	Lunward__CtlReply *reply;
	zmq_msg_t msg;
	int r = wait_frame(l, timeout_ms);

	*why = NULL;
	if (r == -ECONNRESET)
		*why = strdup("lunward-clusterd went away before it answered: look at journalctl -u lunward-clusterd");
	if (r < 0)
		return r;
	zmq_msg_init(&msg);
	if (zmq_msg_recv(&msg, l->sock, 0) < 0) {
		r = -errno;
		zmq_msg_close(&msg);
		return r;
	}
	reply = lunward__ctl_reply__unpack(NULL, zmq_msg_size(&msg), zmq_msg_data(&msg));
	zmq_msg_close(&msg);
	if (reply && frame_version_ok(LUNWARD_CTL_PROTO, reply->version)) {
		*ret = reply;
		return 0;
	}
	if (asprintf(why, reply ? "lunward-clusterd speaks version %u of the control protocol, this lunwardctl %u; use the "
		     "lunwardctl of the same release" : "lunward-clusterd's answer is not understood",
		     reply ? reply->version : 0, LUNWARD_CTL_PROTO) < 0)
		*why = NULL;
	if (reply)
		lunward__ctl_reply__free_unpacked(reply, NULL);
	return -EPROTO;
}
