/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterd.c - see clusterd.h */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "tests/unit/node/clusterd.h"

#define PATIENCE_MS 20000

/* ---- socket ---- */

void clusterd_socket(struct clusterd *c, bool on)
{
	int yes = 1, none = 0;
	char url[128];

	if (!on) {
		zmq_close(c->sock);
		c->sock = NULL;
		return;
	}
	snprintf(url, sizeof(url), "ipc://%s/" LUNWARD_TARGET_SOCKET, c->dir);
	c->sock = zmq_socket(c->zmq, ZMQ_ROUTER);
	zmq_setsockopt(c->sock, ZMQ_ROUTER_MANDATORY, &yes, sizeof(yes));
	zmq_setsockopt(c->sock, ZMQ_ROUTER_HANDOVER, &yes, sizeof(yes));
	zmq_setsockopt(c->sock, ZMQ_PROBE_ROUTER, &yes, sizeof(yes));
	zmq_setsockopt(c->sock, ZMQ_LINGER, &none, sizeof(none));
	assert_int_equal(zmq_bind(c->sock, url), 0);
}

void clusterd_send(struct clusterd *c, Lunward__ToTarget *m)
{
	uint8_t *buf;
	size_t n;

	m->version = LUNWARD_TARGET_PROTO;
	n = lunward__to_target__get_packed_size(m);
	buf = malloc(n + 1);
	lunward__to_target__pack(m, buf);
	assert_true(zmq_send(c->sock, GROUP, strlen(GROUP), ZMQ_SNDMORE) >= 0);
	assert_true(zmq_send(c->sock, buf, n, 0) >= 0);
	free(buf);
}

static void receive(struct clusterd *c)
{
	zmq_msg_t id, m;

	zmq_msg_init(&id);
	zmq_msg_init(&m);
	while (zmq_msg_recv(&id, c->sock, ZMQ_DONTWAIT) >= 0) {
		assert_true(zmq_msg_recv(&m, c->sock, 0) >= 0);
		assert_int_equal(zmq_msg_size(&id), strlen(GROUP));
		if (!zmq_msg_size(&m))
			continue;
		assert_true(c->n_got < 32);
		c->got[c->n_got] = lunward__from_target__unpack(NULL, zmq_msg_size(&m), zmq_msg_data(&m));
		assert_non_null(c->got[c->n_got]);
		assert_int_equal(c->got[c->n_got]->version, LUNWARD_TARGET_PROTO);
		c->n_got++;
	}
	zmq_msg_close(&id);
	zmq_msg_close(&m);
}

void serve(struct clusterd *c, struct client *cl, int ms)
{
	zmq_pollitem_t p[2] = { { .socket = c->sock, .events = ZMQ_POLLIN } };
	int n = 1;

	if (cl && cl->ctx && !cl->broken) {
		p[n].fd = iscsi_get_fd(cl->ctx);
		p[n++].events = (short)((iscsi_which_events(cl->ctx) & POLLOUT ? ZMQ_POLLOUT : 0) | ZMQ_POLLIN);
	}
	assert_true(zmq_poll(p, n, ms) >= 0);
	receive(c);
	if (n == 2 && p[1].revents)
		cl->broken = iscsi_service(cl->ctx, (p[1].revents & ZMQ_POLLIN ? POLLIN : 0) |
						    (p[1].revents & ZMQ_POLLOUT ? POLLOUT : 0)) < 0;
}

static Lunward__FromTarget *take(struct clusterd *c, Lunward__FromTarget__MsgCase what)
{
	for (unsigned i = 0; i < c->n_got; i++) {
		Lunward__FromTarget *m = c->got[i];

		if (m->msg_case != what)
			continue;
		memmove(&c->got[i], &c->got[i + 1], (--c->n_got - i) * sizeof(c->got[0]));
		return m;
	}
	return NULL;
}

bool clusterd_has(const struct clusterd *c, Lunward__FromTarget__MsgCase what)
{
	for (unsigned i = 0; i < c->n_got; i++)
		if (c->got[i]->msg_case == what)
			return true;
	return false;
}

Lunward__FromTarget *clusterd_wait(struct clusterd *c, Lunward__FromTarget__MsgCase what, struct client *cl)
{
	Lunward__FromTarget *m;
	int turns = PATIENCE_MS / 10, status;

	while (!(m = take(c, what))) {
		if (c->pid && waitpid(c->pid, &status, WNOHANG) == c->pid) {
			c->pid = 0;
			fail_msg("the target process ended with status %#x: see %s/log", (unsigned)status, c->dir);
		}
		if (!turns--)
			fail_msg("message %d does not come: see %s/log", (int)what, c->dir);
		serve(c, cl, 10);
	}
	return m;
}

void clusterd_round(struct clusterd *c, struct client *cl)
{
	static uint64_t cookie;
	Lunward__Ping ping = LUNWARD__PING__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;
	Lunward__FromTarget *pong;

	ping.cookie = ++cookie;
	m.msg_case = LUNWARD__TO_TARGET__MSG_PING;
	m.ping = &ping;
	clusterd_send(c, &m);
	pong = clusterd_wait(c, LUNWARD__FROM_TARGET__MSG_PONG, cl);
	assert_int_equal(pong->pong->cookie, cookie);
	lunward__from_target__free_unpacked(pong, NULL);
}

/* ---- the process ---- */

static void run(struct clusterd *c)
{
	char log[128];
	int fd;

	snprintf(log, sizeof(log), "%s/log", c->dir);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd, 1);
	dup2(fd, 2);
	setenv("LUNWARD_RUN_DIR", c->dir, 1);
	execl(c->array.program, c->array.program, "--group", GROUP, "--reactors", "2", "-v", NULL);
	_exit(127);
}

static int set_address(int fd, const char *name, const char *ip)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ip) {
		inet_pton(AF_INET, ip, &a.sin_addr);
		memcpy(&r.ifr_addr, &a, sizeof(a));
		return ioctl(fd, SIOCSIFADDR, &r);
	}
	r.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
	return ioctl(fd, SIOCSIFFLAGS, &r);
}

/* A portal of a cluster cannot be 127.0.0.1. */
bool clusterd_network(void)
{
	int fd, rc;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = set_address(fd, "lo", NULL) | set_address(fd, "lo:1", PORTAL);
	close(fd);
	return rc == 0;
}

void clusterd_up(struct clusterd *c)
{
	memset(c, 0, sizeof(*c));
	array_make(&c->array, 1);
	snprintf(c->dir, sizeof(c->dir), "/tmp/lunward-test-member.XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	c->port = free_port();
	c->zmq = zmq_ctx_new();
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (!c->pid)
		run(c);
	clusterd_socket(c, true);
}

void clusterd_exit(struct clusterd *c, int *ret_status)
{
	assert_int_equal(waitpid(c->pid, ret_status, 0), c->pid);
	c->pid = 0;
}

void clusterd_down(struct clusterd *c)
{
	Lunward__StopTarget stop = LUNWARD__STOP_TARGET__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;
	char command[128];
	int status = 0;

	m.msg_case = LUNWARD__TO_TARGET__MSG_STOP;
	m.stop = &stop;
	if (c->pid) {
		clusterd_send(c, &m);
		clusterd_exit(c, &status);
		if (status)
			fail_msg("the target process ended with status %#x: see %s/log", (unsigned)status, c->dir);
	}
	while (c->n_got)
		lunward__from_target__free_unpacked(c->got[--c->n_got], NULL);
	clusterd_socket(c, false);
	zmq_ctx_term(c->zmq);
	array_unmake(&c->array);
	snprintf(command, sizeof(command), "rm -r %s", c->dir);
	assert_int_equal(system(command), 0);
}

char *clusterd_yaml(const struct clusterd *c, const char *group)
{
	char url[160], *yaml = NULL;

	array_url(&c->array, 0, url);
	assert_true(asprintf(&yaml, "cluster: " ARRAY_CLUSTER "\ngroups:\n  - name: %s\n    nodes: [n1, n2]\n"
			     "    portals: [\"" PORTAL "/24:%u\"]\n    targets:\n      - iqn: " TARGET_IQN "\n        luns:\n"
			     "          0: {iscsi: \"%s\"}\n", group, c->port, url) > 0);
	return yaml;
}

void clusterd_configure(struct clusterd *c)
{
	Lunward__Configure conf = LUNWARD__CONFIGURE__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;
	Lunward__FromTarget *r;

	lunward__from_target__free_unpacked(clusterd_wait(c, LUNWARD__FROM_TARGET__MSG_HELLO, NULL), NULL);
	m.msg_case = LUNWARD__TO_TARGET__MSG_CONFIGURE;
	m.configure = &conf;
	conf.version = 1;
	conf.yaml = clusterd_yaml(c, GROUP);
	conf.group = (char *)GROUP;
	conf.node = (char *)"n1";
	conf.initiator = (char *)"iqn.2026-11.io.lunward:unit:n1";
	clusterd_send(c, &m);
	r = clusterd_wait(c, LUNWARD__FROM_TARGET__MSG_CONFIGURED, NULL);
	assert_string_equal(r->configured->error, "");
	assert_int_equal(r->configured->n_listeners, 1);
	lunward__from_target__free_unpacked(r, NULL);
	free(conf.yaml);
}

void clusterd_activate(struct clusterd *c, uint64_t key)
{
	Lunward__Activate a = LUNWARD__ACTIVATE__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;
	Lunward__FromTarget *r;

	m.msg_case = LUNWARD__TO_TARGET__MSG_ACTIVATE;
	m.activate = &a;
	a.key = key;
	clusterd_send(c, &m);
	r = clusterd_wait(c, LUNWARD__FROM_TARGET__MSG_ACTIVATED, NULL);
	assert_string_equal(r->activated->error, "");
	assert_int_equal(r->activated->key, key);
	lunward__from_target__free_unpacked(r, NULL);
}

void clusterd_commit(struct clusterd *c, bool ok, struct client *cl)
{
	Lunward__RecordCommitted done = LUNWARD__RECORD_COMMITTED__INIT;
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT;
	Lunward__FromTarget *r = clusterd_wait(c, LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE, cl);

	m.msg_case = LUNWARD__TO_TARGET__MSG_RECORD_COMMITTED;
	m.record_committed = &done;
	done.ticket = r->record_change->ticket;
	done.ok = ok;
	assert_int_not_equal(done.ticket, 0);
	clusterd_send(c, &m);
	lunward__from_target__free_unpacked(r, NULL);
}

void clusterd_commit_all(struct clusterd *c, struct client *cl)
{
	clusterd_round(c, cl);
	while (clusterd_has(c, LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE)) {
		clusterd_commit(c, true, cl);
		clusterd_round(c, cl);
	}
}

/* ---- an initiator ---- */

static void on_login(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct client *cl = arg;

	(void)ctx, (void)data;
	cl->logged_in = status == SCSI_STATUS_GOOD;
	cl->broken = !cl->logged_in;
}

static void on_connect(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	(void)data;
	assert_int_equal(status, SCSI_STATUS_GOOD);
	((struct client *)arg)->connected = true;
	assert_int_equal(iscsi_login_async(ctx, on_login, arg), 0);
}

void client_login(struct client *cl, const struct clusterd *c, unsigned isid)
{
	char portal[32];

	memset(cl, 0, sizeof(*cl));
	snprintf(portal, sizeof(portal), PORTAL ":%u", c->port);
	cl->ctx = iscsi_create_context("iqn.2026-11.org.example:client");
	iscsi_set_noautoreconnect(cl->ctx, 1);
	iscsi_set_session_type(cl->ctx, ISCSI_SESSION_NORMAL);
	iscsi_set_targetname(cl->ctx, TARGET_IQN);
	iscsi_set_isid_random(cl->ctx, isid, 0);
	assert_int_equal(iscsi_connect_async(cl->ctx, portal, on_connect, cl), 0);
}

static void on_command(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct scsi_task *task = data;
	struct client *cl = arg;

	(void)ctx;
	if (!task || status > 0xff) {
		if (task)
			scsi_free_scsi_task(task);
		return;
	}
	cl->done = true;
	cl->status = status;
	cl->key = task->sense.key;
	cl->asc_ascq = task->sense.ascq;
	if (task->datain.size > 0 && status == SCSI_STATUS_GOOD)
		memcpy(cl->in, task->datain.data, (size_t)task->datain.size < 512 ? (size_t)task->datain.size : 512);
	scsi_free_scsi_task(task);
}

void client_command(struct client *cl, const uint8_t *cdb, int cdb_len, const void *out, size_t out_len, size_t in_len)
{
	struct iscsi_data data = { .size = out_len, .data = (unsigned char *)out };
	uint8_t copy[16] = { 0 };
	struct scsi_task *task;

	memcpy(copy, cdb, (size_t)cdb_len);
	task = scsi_create_task(cdb_len, copy, out_len ? SCSI_XFER_WRITE : in_len ? SCSI_XFER_READ : SCSI_XFER_NONE,
				(int)(out_len ? out_len : in_len));
	assert_non_null(task);
	cl->done = false;
	assert_int_equal(iscsi_scsi_command_async(cl->ctx, 0, task, on_command, out_len ? &data : NULL, cl), 0);
}

void client_close(struct client *cl)
{
	if (cl->ctx)
		iscsi_destroy_context(cl->ctx);
	cl->ctx = NULL;
}

bool client_peer_closed(const struct client *cl)
{
	char byte;
	ssize_t n = recv(iscsi_get_fd(cl->ctx), &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN);
}
