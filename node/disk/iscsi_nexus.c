/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iscsi_nexus.c - see iscsi_nexus.h */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "node/disk/iscsi_nexus.h"

#define LOGIN_TIMEOUT_US 3000000u   /* connect and login together */
#define PING_US 2000000u            /* NOP-Out this often */
#define PINGS_LOST 3u               /* unanswered: the array is gone */
#define RETRY_MAX_US 1000000u
#define RETRY_MIN_US 20000u

/**
 * enum nexus_state - Life of a nexus
 *   NEXUS_WAIT     no connection; the timer runs until the next attempt
 *   NEXUS_LOGIN    connecting or logging in; the timer bounds it
 *   NEXUS_UP       nexus_send() may be called; the timer pings
 *   NEXUS_LOST     connection given up; waits for the polls to be canceled
 *   NEXUS_FREED    as LOST, and then memory goes
 */
enum nexus_state { NEXUS_WAIT, NEXUS_LOGIN, NEXUS_UP, NEXUS_LOST, NEXUS_FREED };

struct nexus_poll {
	struct ring_op op;
	struct nexus *nexus;
	bool armed;
};

struct nexus {
	enum nexus_state state;
	struct ring *ring;
	const struct nexus_ops *ops;
	void *arg;
	struct iscsi_context *ctx;
	struct iscsi_url *url;
	char *initiator;
	uint8_t isid[6];
	struct nexus_poll in, out;
	struct ring_timer timer;
	struct ring_work work;       /* flush what was queued this turn, or take a lost connection apart */
	bool broken;                 /* seen inside libiscsi: drop from a shallow stack */
	char why[160];
	uint64_t retry_us;
};

bool nexus_is_up(const struct nexus *n)
{
	return n->state == NEXUS_UP && !n->broken;
}

unsigned nexus_lun(const struct nexus *n)
{
	return (unsigned)n->url->lun;
}

static void free_now(struct nexus *n)
{
	ring_timer_cancel(&n->timer);
	list_del(&n->work.link);
	iscsi_destroy_url(n->url);
	free(n->initiator);
	free(n);
}

/* Context: anywhere, also inside libiscsi's callbacks */
static void mark_broken(struct nexus *n, const char *why)
{
	if (n->broken || n->state == NEXUS_FREED)
		return;
	n->broken = true;
	snprintf(n->why, sizeof(n->why), "%s", why && *why ? why : "connection lost");
	ring_defer(n->ring, &n->work);
}

static void poll_cancel(struct nexus *n, struct nexus_poll *p)
{
	if (p->armed)
		io_uring_prep_cancel(ring_sqe(n->ring, NULL), &p->op, 0);
}

static void settle(struct nexus *n)
{
	if (n->in.armed || n->out.armed)
		return;
	if (n->state == NEXUS_FREED) {
		free_now(n);
		return;
	}
	n->state = NEXUS_WAIT;
	ring_timer_set(n->ring, &n->timer, n->retry_us);
	n->retry_us = n->retry_us ? MIN(n->retry_us * 2, (uint64_t)RETRY_MAX_US) : RETRY_MIN_US;
}

/* Take the connection apart; commands in flight end as lost from within. Context: shallow stack */
static void tear_down(struct nexus *n, enum nexus_state next)
{
	struct iscsi_context *ctx = n->ctx;

	ring_timer_cancel(&n->timer);
	n->state = next;
	n->ctx = NULL;
	poll_cancel(n, &n->in);
	poll_cancel(n, &n->out);
	if (ctx)
		iscsi_destroy_context(ctx);
	n->broken = false;
	if (next == NEXUS_LOST)
		n->ops->down(n->arg, n->why);
	settle(n);
}

static void poll_arm(struct nexus *n, struct nexus_poll *p, short mask)
{
	if (p->armed)
		return;
	p->armed = true;
	io_uring_prep_poll_add(ring_sqe(n->ring, &p->op), iscsi_get_fd(n->ctx), (unsigned)mask);
}

static void poll_again(struct nexus *n)
{
	if (n->broken || !n->ctx)
		return;
	poll_arm(n, &n->in, POLLIN | POLLRDHUP);
	if (iscsi_which_events(n->ctx) & POLLOUT)
		poll_arm(n, &n->out, POLLOUT);
}

static void service(struct nexus *n, int revents)
{
	if (n->broken || !n->ctx)
		return;
	if (iscsi_service(n->ctx, revents) < 0)
		mark_broken(n, iscsi_get_error(n->ctx));
	else if (revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL))
		mark_broken(n, "connection closed by the array");
	poll_again(n);
}

static void poll_done(struct ring_op *op, int res, uint32_t flags)
{
	struct nexus_poll *p = container_of(op, struct nexus_poll, op);
	struct nexus *n = p->nexus;

	(void)flags;
	p->armed = false;
	if (n->state == NEXUS_LOST || n->state == NEXUS_FREED)
		settle(n);
	else if (res < 0)
		mark_broken(n, strerror(-res));
	else
		service(n, res);
}

static void run_work(struct ring_work *w)
{
	struct nexus *n = container_of(w, struct nexus, work);

	if (n->broken)
		tear_down(n, NEXUS_LOST);
	else
		service(n, POLLOUT);
}

/* ---- logging in ---- */
static void logged_in(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct nexus *n = arg;

	(void)data;
	if (n->ctx != ctx)
		return;
	if (status) {
		mark_broken(n, iscsi_get_error(ctx));
		return;
	}
	n->state = NEXUS_UP;
	n->retry_us = 0;
	ring_timer_set(n->ring, &n->timer, PING_US);
	n->ops->up(n->arg);
}

static void connected(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct nexus *n = arg;

	(void)data;
	if (n->ctx != ctx)
		return;
	if (status || iscsi_login_async(ctx, logged_in, n))
		mark_broken(n, iscsi_get_error(ctx));
}

static bool context_new(struct nexus *n)
{
	n->ctx = iscsi_create_context(n->initiator);
	if (!n->ctx)
		return false;
	iscsi_set_noautoreconnect(n->ctx, 1);
	iscsi_set_timeout(n->ctx, 0);
	iscsi_set_header_digest(n->ctx, ISCSI_HEADER_DIGEST_NONE_CRC32C);
	if (n->url->user[0] && iscsi_set_initiator_username_pwd(n->ctx, n->url->user, n->url->passwd))
		return false;
	return !iscsi_set_session_type(n->ctx, ISCSI_SESSION_NORMAL) &&
	       !iscsi_set_targetname(n->ctx, n->url->target) &&
	       !iscsi_set_isid_random(n->ctx, (uint32_t)n->isid[1] << 16 | (uint32_t)n->isid[2] << 8 | n->isid[3],
				      (uint32_t)n->isid[4] << 8 | n->isid[5]) &&
	       !iscsi_connect_async(n->ctx, n->url->portal, connected, n);
}

static void attempt(struct nexus *n)
{
	n->state = NEXUS_LOGIN;
	if (!context_new(n)) {
		mark_broken(n, n->ctx ? iscsi_get_error(n->ctx) : "out of memory");
		return;
	}
	ring_timer_set(n->ring, &n->timer, LOGIN_TIMEOUT_US);
	poll_again(n);
}

static void pong(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	(void)ctx, (void)status, (void)data, (void)arg;
}

static void ping(struct nexus *n)
{
	if (iscsi_get_nops_in_flight(n->ctx) >= (int)PINGS_LOST)
		mark_broken(n, "the array does not answer pings");
	else if (iscsi_nop_out_async(n->ctx, pong, NULL, 0, n))
		mark_broken(n, iscsi_get_error(n->ctx));
	else
		ring_defer(n->ring, &n->work);
	ring_timer_set(n->ring, &n->timer, PING_US);
}

static void timer_expired(struct ring_timer *t)
{
	struct nexus *n = container_of(t, struct nexus, timer);

	if (n->state == NEXUS_WAIT)
		attempt(n);
	else if (n->state == NEXUS_LOGIN)
		mark_broken(n, "no answer to the login");
	else if (n->state == NEXUS_UP)
		ping(n);
}

/* ---- commands ---- */
static void command_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct scsi_task *task = data;
	struct nexus_cmd *c = arg;
	struct nexus *n = c->nexus;

	/* codes above a byte are libiscsi's own: canceled, timed out, connection error */
	c->lost = status < 0 || status > 0xff || !task;
	if (c->lost) {
		if (n->ctx == ctx)
			mark_broken(n, "connection lost with commands in flight");
	} else {
		c->status = (uint8_t)status;
		c->moved = c->length;
		if (task->residual_status == SCSI_RESIDUAL_UNDERFLOW)
			c->moved -= (uint32_t)MIN(task->residual, (size_t)c->length);
		c->sense_key = (uint8_t)task->sense.key;
		c->asc = (uint8_t)(task->sense.ascq >> 8);
		c->ascq = (uint8_t)task->sense.ascq;
		if (status == SCSI_STATUS_CHECK_CONDITION && task->datain.size > 2) {
			c->sense = task->datain.data + 2;
			c->sense_len = (size_t)task->datain.size - 2;
		}
	}
	c->done(c);
	if (task)
		scsi_free_scsi_task(task);
}

bool nexus_send(struct nexus *n, struct nexus_cmd *c)
{
	static const int dirs[] = { SCSI_XFER_NONE, SCSI_XFER_READ, SCSI_XFER_WRITE };
	struct scsi_task *task;

	if (!nexus_is_up(n))
		return false;
	task = scsi_create_task(c->cdb_len, c->cdb, dirs[c->dir], (int)c->length);

	c->nexus = n;
	c->lost = true;
	c->moved = 0;
	c->sense = NULL;
	c->sense_len = 0;
	c->sense_key = c->asc = c->ascq = 0;
	/* struct scsi_iovec has the layout of struct iovec */
	_Static_assert(sizeof(struct scsi_iovec) == sizeof(struct iovec), "iovec layout");
	if (task && c->dir == NEXUS_IN)
		scsi_task_set_iov_in(task, (struct scsi_iovec *)c->iov, (int)c->n_iov);
	else if (task && c->dir == NEXUS_OUT)
		scsi_task_set_iov_out(task, (struct scsi_iovec *)c->iov, (int)c->n_iov);
	if (!task || iscsi_scsi_command_async(n->ctx, n->url->lun, task, command_done, NULL, c)) {
		if (task)
			scsi_free_scsi_task(task);
		mark_broken(n, iscsi_get_error(n->ctx));
		return false;
	}
	ring_defer(n->ring, &n->work);
	return true;
}

void nexus_drop(struct nexus *n, const char *why)
{
	if (n->state == NEXUS_LOGIN || n->state == NEXUS_UP)
		mark_broken(n, why);
}

struct nexus *nexus_new(struct ring *ring, const struct nexus_opts *opts, const struct nexus_ops *ops, void *arg,
			char *err, size_t err_len)
{
	struct nexus *n = calloc(1, sizeof(*n));

	if (!n) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	*n = (struct nexus){ .state = NEXUS_WAIT, .ring = ring, .ops = ops, .arg = arg };
	n->url = iscsi_parse_full_url(NULL, opts->url);
	n->initiator = strdup(opts->initiator);
	if (!n->url || !n->initiator) {
		snprintf(err, err_len, "%s: not of the form iscsi://host[:port]/target/lun", opts->url);
		goto fail;
	}
	memcpy(n->isid, opts->isid, sizeof(n->isid));
	n->in = (struct nexus_poll){ .op.done = poll_done, .nexus = n };
	n->out = (struct nexus_poll){ .op.done = poll_done, .nexus = n };
	ring_timer_init(&n->timer, timer_expired);
	ring_work_init(&n->work, run_work);
	ring_timer_set(ring, &n->timer, 0);
	return n;
fail:
	if (n->url)
		iscsi_destroy_url(n->url);
	free(n->initiator);
	free(n);
	return NULL;
}

void nexus_free(struct nexus *n)
{
	if (n)
		tear_down(n, NEXUS_FREED);
}
