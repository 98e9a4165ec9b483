/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/fencing/fake_array.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/iscsi/isc.h"
#include "node/util/util.h"

#define MAX_CONNS 16

struct conn {
	struct array *a;
	struct isc_conn *isc;
	int fd;
	bool dead, closing;  /* close at once; close when all is sent */
	struct isc_task *kept;  /* the one that is not answered */
};

struct task {
	struct isc_task t;
	uint8_t out[FENCE_OUT_LEN], in[FENCE_IN_MAX];
};

struct array {
	pthread_t thread;
	pthread_mutex_t lock;      /* everything below; held while the thread works */
	pthread_cond_t changed;
	int listener, wake;
	bool stop, drop;
	struct conn conn[MAX_CONNS];
	struct lun_model lun;
	struct { char initiator[64]; uint8_t isid[6]; } nexus[LUN_NEXUSES];
	enum fence_cmd_op fault_op;
	enum array_fault fault;
	enum array_login login;
	struct array_seen seen;
	char spec[256], moved_to[64];
};

/* ---- commands ---- */

static unsigned int nexus_of(struct array *a, const struct isc_login *who)
{
	unsigned int i = 0;

	for (; i < LUN_NEXUSES - 1 && a->nexus[i].initiator[0]; i++)
		if (strcmp(a->nexus[i].initiator, who->initiator) == 0 && memcmp(a->nexus[i].isid, who->isid, 6) == 0)
			return i;
	snprintf(a->nexus[i].initiator, sizeof(a->nexus[i].initiator), "%.63s", who->initiator);
	memcpy(a->nexus[i].isid, who->isid, 6);
	return i;
}

static void execute(struct isc_task *t)
{
	static const uint8_t bad_cdb[18] = { 0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24 };
	struct task *task = container_of(t, struct task, t);
	struct conn *c = isc_conn_user(t->conn);
	struct array *a = c->a;
	static _Thread_local struct fence_result res;
	enum array_fault fault;
	struct fence_cmd cmd;
	size_t n = 0;

	if (fence_cmd_decode(&cmd, t->cdb, FENCE_CDB_LEN, task->out, t->received) < 0) {
		isc_task_complete(t, 0x02, bad_cdb, sizeof(bad_cdb), NULL, 0);
		return;
	}
	a->seen.sent[cmd.op]++;
	fault = a->fault_op == cmd.op ? a->fault : ARRAY_GOOD;
	if (fault)
		a->fault = ARRAY_GOOD;
	c->kept = fault ? t : c->kept;
	c->dead = fault == ARRAY_CLOSE_BEFORE || fault == ARRAY_CLOSE_AFTER;
	if (fault == ARRAY_CLOSE_BEFORE)
		return;
	lun_exec(&a->lun, nexus_of(a, isc_conn_login(t->conn)), &cmd, &res);
	if (fault)
		return;
	if (res.scsi_status == 0x02) {
		uint8_t sense[18] = { 0x70, 0, res.sense_key, 0, 0, 0, 0, 10, 0, 0, 0, 0, res.asc, res.ascq };

		isc_task_complete(t, 0x02, sense, sizeof(sense), NULL, 0);
		return;
	}
	if (!fence_cmd_is_out(cmd.op) && res.scsi_status == 0)
		n = fence_result_encode(&res, task->in, sizeof(task->in));
	isc_task_complete(t, res.scsi_status, NULL, 0, task->in, (uint32_t)n);
}

static void on_command(struct isc_task *t)
{
	struct task *task = container_of(t, struct task, t);

	if (t->write)
		isc_task_expect_data(t, task->out, sizeof(task->out));
	else
		execute(t);
}

static struct isc_task *on_alloc(struct isc_conn *conn)
{
	struct task *t = malloc(sizeof(*t));

	(void)conn;
	return t ? &t->t : NULL;
}

static void on_release(struct isc_task *t)
{
	free(container_of(t, struct task, t));
}

static void on_tmf(struct isc_tmf *tmf)
{
	isc_tmf_complete(tmf, ISC_TMF_NOT_SUPPORTED);
}

/* ---- login ---- */

static enum isc_login_status on_lookup(struct isc_conn *conn, const struct isc_login *who, struct isc_verdict *ret)
{
	struct array *a = ((struct conn *)isc_conn_user(conn))->a;

	(void)who;
	if (a->login == ARRAY_MOVED) {
		ret->moved_to = a->moved_to;
		return ISC_LOGIN_MOVED_TEMP;
	}
	ret->chap = a->login == ARRAY_CHAP;
	return a->login == ARRAY_REFUSE ? ISC_LOGIN_FORBIDDEN : ISC_LOGIN_SUCCESS;
}

static bool on_chap(struct isc_conn *conn, const struct isc_login *who, const char *user, struct isc_chap *ret)
{
	(void)conn, (void)who;
	*ret = (struct isc_chap){ .secret = "secret-of-hv", .secret_len = 12 };
	return strcmp(user, "hv") == 0;
}

/* Session reinstatement, RFC 7143 6.3.5: the old session of this nexus goes first. */
static void on_login_done(struct isc_conn *conn)
{
	const struct isc_login *who = isc_conn_login(conn);
	struct conn *c = isc_conn_user(conn);
	struct array *a = c->a;

	a->seen.asked++;
	pthread_cond_broadcast(&a->changed);
	if (a->login == ARRAY_PARK)
		return;
	for (int i = 0; i < MAX_CONNS; i++) {
		struct conn *o = &a->conn[i];

		if (o->isc && o != c && isc_conn_full_feature(o->isc) &&
		    nexus_of(a, isc_conn_login(o->isc)) == nexus_of(a, who))
			o->dead = true;
	}
	for (int i = a->seen.logins ? 1 : 0; i < 2; i++) {
		snprintf(a->seen.initiator[i], sizeof(a->seen.initiator[i]), "%.63s", who->initiator);
		memcpy(a->seen.isid[i], who->isid, 6);
	}
	isc_login_admit(conn, (uint16_t)++a->seen.logins);
}

static void on_targets(struct isc_conn *conn, const char *name, struct isc_targets *list)
{
	(void)conn;
	(void)name;
	(void)list;
}

static void on_random(struct isc_conn *conn, void *buf, size_t len)
{
	(void)conn;
	if (getrandom(buf, len, 0) != (ssize_t)len)
		abort();
}

static void on_tx_ready(struct isc_conn *conn)
{
	(void)conn;
}

static void on_closing(struct isc_conn *conn, enum isc_close why, const char *what)
{
	(void)why;
	(void)what;
	((struct conn *)isc_conn_user(conn))->closing = true;
}

static void on_logout(struct isc_logout *lo)
{
	isc_logout_complete(lo, ISC_LOGOUT_DONE);
}

static const struct isc_ops ops = {
	.task_alloc = on_alloc, .task_release = on_release, .command = on_command, .data_ready = execute,
	.tmf = on_tmf, .lookup = on_lookup, .chap = on_chap, .login_done = on_login_done, .send_targets = on_targets,
	.logout = on_logout, .random = on_random, .tx_ready = on_tx_ready, .closing = on_closing,
};

/* ---- the loop ---- */

static void accept_one(struct array *a)
{
	int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct isc_config cfg;

	isc_config_default(&cfg);
	cfg.max_connections = 1;
	for (int i = 0; i < MAX_CONNS && fd >= 0; i++) {
		if (a->conn[i].isc)
			continue;
		a->conn[i] = (struct conn){ .a = a, .fd = fd };
		a->conn[i].isc = isc_conn_new(&ops, &cfg, &a->conn[i]);
		return;
	}
	abort();
}

static void serve(struct conn *c, short revents)
{
	uint8_t buf[8192];
	struct iovec iov[16];
	ssize_t n;

	if (revents & (POLLIN | POLLHUP | POLLERR)) {
		n = recv(c->fd, buf, sizeof(buf), 0);
		if (n <= 0 || (isc_rx(c->isc, buf, (size_t)n) < 0 && !isc_tx_pending(c->isc)))
			c->dead = true;
	}
	while (!c->dead) {
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)isc_tx_iov(c->isc, iov, ARRAY_SIZE(iov)) };

		if (m.msg_iovlen == 0)
			break;
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		isc_tx_done(c->isc, (size_t)n);
	}
	c->dead |= c->closing && !isc_tx_pending(c->isc);
}

static void close_conn(struct conn *c)
{
	close(c->fd);
	isc_conn_free(c->isc);
	c->isc = NULL;
	if (c->kept)
		isc_task_complete(c->kept, 0, NULL, 0, NULL, 0);  /* orphaned: just released */
}

static void round_of(struct array *a, const struct pollfd *p)
{
	if (p[0].revents)
		accept_one(a);
	for (int i = 0; i < MAX_CONNS; i++)
		if (a->conn[i].isc && p[2 + i].fd >= 0 && p[2 + i].revents)
			serve(&a->conn[i], p[2 + i].revents);
	for (int i = 0; i < MAX_CONNS; i++)
		if (a->conn[i].isc && (a->conn[i].dead || a->drop || a->stop))
			close_conn(&a->conn[i]);
	a->drop = false;
	pthread_cond_broadcast(&a->changed);
}

static void *run(void *arg)
{
	struct array *a = arg;
	bool stop = false;

	while (!stop) {
		struct pollfd p[2 + MAX_CONNS] = { { .fd = a->listener, .events = POLLIN }, { .fd = a->wake, .events = POLLIN } };
		uint64_t n;

		pthread_mutex_lock(&a->lock);
		for (int i = 0; i < MAX_CONNS; i++)
			p[2 + i] = (struct pollfd){ .fd = a->conn[i].isc ? a->conn[i].fd : -1, .events = POLLIN };
		pthread_mutex_unlock(&a->lock);
		(void)poll(p, ARRAY_SIZE(p), -1);
		if (p[1].revents && read(a->wake, &n, sizeof(n)) < 0)
			abort();
		pthread_mutex_lock(&a->lock);
		round_of(a, p);
		stop = a->stop;
		pthread_mutex_unlock(&a->lock);
	}
	return NULL;
}

static void kick(struct array *a)
{
	static const uint64_t one = 1;

	if (write(a->wake, &one, sizeof(one)) < 0)
		abort();
}

/* ---- the test's side ---- */

struct array *array_start(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	struct array *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	lun_init(&a->lun);
	a->wake = eventfd(0, EFD_CLOEXEC);
	a->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(a->listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(a->listener, 16) < 0 ||
	    getsockname(a->listener, (struct sockaddr *)&sin, &len) < 0 ||
	    pthread_create(&a->thread, NULL, run, a) != 0)
		abort();
	snprintf(a->moved_to, sizeof(a->moved_to), "127.0.0.1:%u", ntohs(sin.sin_port));
	return a;
}

void array_stop(struct array *a)
{
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_mutex_unlock(&a->lock);
	kick(a);
	pthread_join(a->thread, NULL);
	close(a->listener);
	close(a->wake);
	free(a);
}

const char *array_spec(struct array *a, const char *userinfo)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	if (getsockname(a->listener, (struct sockaddr *)&sin, &len) < 0)
		abort();
	snprintf(a->spec, sizeof(a->spec), "iscsi://%s127.0.0.1:%u/" ARRAY_TARGET "/1", userinfo, ntohs(sin.sin_port));
	return a->spec;
}

void array_fault(struct array *a, enum fence_cmd_op op, enum array_fault fault)
{
	pthread_mutex_lock(&a->lock);
	a->fault_op = op;
	a->fault = fault;
	pthread_mutex_unlock(&a->lock);
}

void array_set_login(struct array *a, enum array_login login)
{
	pthread_mutex_lock(&a->lock);
	a->login = login;
	pthread_mutex_unlock(&a->lock);
}

void array_moved_to(struct array *a, const struct array *other)
{
	pthread_mutex_lock(&a->lock);
	a->login = ARRAY_MOVED;
	memcpy(a->moved_to, other->moved_to, sizeof(a->moved_to));
	pthread_mutex_unlock(&a->lock);
}

void array_drop_all(struct array *a)
{
	pthread_mutex_lock(&a->lock);
	a->drop = true;
	pthread_mutex_unlock(&a->lock);
	kick(a);
}

void array_power_loss(struct array *a)
{
	pthread_mutex_lock(&a->lock);
	lun_power_loss(&a->lun);
	pthread_mutex_unlock(&a->lock);
}

void array_look(struct array *a, struct array_seen *seen, struct lun_model *lun)
{
	pthread_mutex_lock(&a->lock);
	if (seen)
		*seen = a->seen;
	if (lun)
		*lun = a->lun;
	pthread_mutex_unlock(&a->lock);
}

bool array_wait(struct array *a, unsigned int n, bool asked)
{
	struct timespec until;
	bool came;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&a->lock);
	while ((asked ? a->seen.asked : a->seen.logins) < n)
		if (pthread_cond_timedwait(&a->changed, &a->lock, &until) != 0)
			break;
	came = (asked ? a->seen.asked : a->seen.logins) >= n;
	pthread_mutex_unlock(&a->lock);
	return came;
}
