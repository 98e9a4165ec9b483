/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.c - a TCP connection: receiving, sending, timers, and its end
 *
 * One receive and one sendmsg are with the kernel at most. A receive goes to a buffer that the kernel chooses (rxpool.h);
 * or, where much of a data segment is to come, to where the protocol wants it, a task's buffer, and on to a spare one: so
 * large writes are not copied. What there is to send is gathered once a turn of the ring, whatever made it.
 *
 * End: conn_close() takes requests back from the kernel; when it has none, the library gives up its tasks and the
 * socket is closed; when the last task is gone, the control thread is told, and answers with the permission to free.
 * At error recovery level 2 conn_lose() stops half-way: the socket is closed, the library keeps the tasks, and the rest
 * follows when nobody may ask for them any more.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <syslog.h>

#include "node/node.h"

#define TICK_US 1000000u
#define SEQUENCE_TIMEOUT_TICKS 5u  /* write data of which nothing comes for so long is asked for again */

static const char *const state_names[] = {
	[CONN_LOGIN] = "login", [CONN_PARKED] = "parked", [CONN_FULL] = "full", [CONN_QUIESCED] = "quiesced",
	[CONN_FLUSHING] = "flushing", [CONN_DYING] = "dying", [CONN_LOST] = "lost", [CONN_GONE] = "gone",
};
_Static_assert(ARRAY_SIZE(state_names) == CONN_GONE + 1, "a name for each state");

static void conn_send(struct ring_work *w);
static void conn_recv(struct conn *c);
static void conn_end_run(struct ring_work *w);

void conn_set_state(struct conn *c, enum conn_state s)
{
	if (c->state != s)
		rlog(c->r, LOG_DEBUG, "%s: %s -> %s", c->name, state_names[c->state], state_names[s]);
	c->state = s;
}

/* ---- receive ---- */

/* Buffers run low: whoever need not be read for others to go on has to wait. A connection that collects write data
 * must be read: the buffers it holds come back no other way. */
static bool must_wait(struct conn *c)
{
	return isc_rx_paused(c->isc) ||
	       (c->n_collecting == 0 && c->state == CONN_FULL && arena_left(&c->r->arena) < ARENA_LOW &&
		c->n_tasks > 0);
}

/* The rest of a data segment to a task, what follows to a spare buffer. */
static void recv_direct(struct conn *c, void *p, size_t n)
{
	c->rx_spare = rxpool_spare(&c->r->rxpool);
	c->rx_iov[0] = (struct iovec){ p, n };
	c->rx_iov[1] = (struct iovec){ c->rx_spare, RXPOOL_SPARE_BYTES };
	c->rx_msg = (struct msghdr){ .msg_iov = c->rx_iov, .msg_iovlen = c->rx_spare ? 2 : 1 };
	io_uring_prep_recvmsg(ring_sqe(&c->r->ring, &c->rx_op), c->fd, &c->rx_msg, 0);
}

static void conn_recv(struct conn *c)
{
	void *p = NULL;

	if (c->rx_busy || c->moving || c->state > CONN_FULL)
		return;
	if (must_wait(c)) {
		if (list_empty(&c->rx_wait))
			list_add_tail(&c->r->rx_wait, &c->rx_wait);
		return;
	}
	list_del(&c->rx_wait);
	c->rx_direct = isc_rx_direct(c->isc, &p);
	if (c->rx_direct < RX_DIRECT_MIN)
		c->rx_direct = 0;
	if (c->rx_direct)
		recv_direct(c, p, c->rx_direct);
	else
		rxpool_prep(ring_sqe(&c->r->ring, &c->rx_op), c->fd);
	c->rx_busy = true;
	c->n_ops++;
}

/* Hand @n received bytes to the library. Return: 0, or -1: it is closing. */
static int feed(struct conn *c, size_t n, uint32_t flags)
{
	size_t direct = MIN(n, c->rx_direct);

	if (c->rx_direct && isc_rx_direct_done(c->isc, direct))
		return -1;
	if (n == direct)
		return 0;
	return isc_rx(c->isc, c->rx_direct ? c->rx_spare : rxpool_data(&c->r->rxpool, flags), n - direct);
}

static void ops_ended(struct conn *c)
{
	c->n_ops--;
	if ((c->state == CONN_DYING || c->moving) && !c->n_ops)
		ring_defer(&c->r->ring, &c->end_work);
}

static void rx_done(struct ring_op *op, int res, uint32_t flags)
{
	struct conn *c = container_of(op, struct conn, rx_op);

	c->rx_busy = false;
	if (c->state <= CONN_FULL) {
		if (res == -EINTR || res == -EAGAIN || res == -ENOBUFS || (res == -ECANCELED && c->moving)) {
			res = 0;
			if (c->rx_direct)
				isc_rx_direct_done(c->isc, 0);
		} else if (res <= 0) {
			conn_lose(c, CONN_END_FIN, res ? strerror(-res) : "closed by the initiator");
		} else {
			c->rx_at_us = c->r->ring.now_us;
			(void)feed(c, (size_t)res, flags);  /* an error has been reported by closing() */
		}
	}
	rxpool_put(&c->r->rxpool, flags);
	rxpool_spare_put(&c->r->rxpool, c->rx_spare);
	c->rx_spare = NULL;
	conn_recv(c);
	ops_ended(c);
}

void conn_rx_resume(struct conn *c)
{
	if (!list_empty(&c->rx_wait))
		conn_recv(c);
}

/* ---- send ---- */

static void conn_send(struct ring_work *w)
{
	struct conn *c = container_of(w, struct conn, tx_work);
	struct io_uring_sqe *sqe;
	int n;

	if (c->tx_busy || c->moving || c->state >= CONN_DYING)
		return;
	n = isc_tx_iov(c->isc, c->tx_iov, TX_IOV);
	if (n == 0) {
		if (c->state == CONN_FLUSHING)
			conn_lose(c, CONN_END_FIN, NULL);
		drain_conn_settled(c);
		return;
	}
	c->tx_msg = (struct msghdr){ .msg_iov = c->tx_iov, .msg_iovlen = (size_t)n };
	sqe = ring_sqe(&c->r->ring, &c->tx_op);
	io_uring_prep_sendmsg(sqe, c->fd, &c->tx_msg, MSG_NOSIGNAL);
	c->tx_busy = true;
	c->tx_at_us = c->r->ring.now_us;
	c->n_ops++;
}

static void tx_done(struct ring_op *op, int res, uint32_t flags)
{
	struct conn *c = container_of(op, struct conn, tx_op);

	(void)flags;
	c->tx_busy = false;
	if (c->state < CONN_DYING) {
		if (res > 0) {
			isc_tx_done(c->isc, (size_t)res);
			conn_rx_resume(c);
		} else if (res != -EINTR && res != -EAGAIN) {
			conn_lose(c, CONN_END_FIN, res ? strerror(-res) : "cannot send");
		}
	}
	if (c->state < CONN_DYING)
		ring_defer(&c->r->ring, &c->tx_work);
	ops_ended(c);
}

static void cb_tx_ready(struct isc_conn *isc)
{
	struct conn *c = isc_conn_user(isc);

	ring_defer(&c->r->ring, &c->tx_work);
}

/* ---- timers: nothing here needs to be exact, so one tick a second looks after all of them ---- */

/* A ping after a silence. Only an initiator that has answered one before is dropped for not answering: some boot
 * firmware never does. One that lets a ping lie and goes on with other things is waited for again when it falls silent. */
static void tick_nop(struct conn *c, uint64_t now)
{
	const struct view *v = c->r->view;

	if (c->nop_at_us && c->rx_at_us > c->nop_at_us)
		c->nop_at_us = 0;
	if (c->nop_at_us && c->nop_answers && now - c->nop_at_us > v->nop_timeout_us) {
		session_drop_conn(c, "no answer to NOP-In");
	} else if (v->nop_interval_us && !c->nop_at_us && now - c->rx_at_us > v->nop_interval_us) {
		(void)isc_send_nop_in(c->isc);  /* or one is outstanding still */
		c->nop_at_us = now;
	}
}

/* Nothing but Text and Logout is allowed there (RFC 7143 4.3), so no ping; and nobody needs one for long. */
static void tick_discovery(struct conn *c, uint64_t now)
{
	if (now - c->rx_at_us > c->r->view->login_timeout_us)
		conn_finish(c, "a discovery session that asks for nothing");
}

static void tick_full(struct conn *c, uint64_t now)
{
	(c->discovery ? tick_discovery : tick_nop)(c, now);
	if (list_empty(&c->rx_wait) && ++c->ticks % SEQUENCE_TIMEOUT_TICKS == 0)
		isc_conn_tick(c->isc);
}

static void conn_tick(struct ring_timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	uint64_t now = c->r->ring.now_us;

	if (c->state == CONN_LOST)
		conn_close(c, CONN_END_FIN, "nobody has taken its tasks over");
	else if (c->tx_busy && now - c->tx_at_us > STALL_TIMEOUT_US)
		session_drop_conn(c, "it reads nothing any more");
	else if (c->state == CONN_LOGIN && now - c->since_us > c->r->view->login_timeout_us)
		conn_close(c, CONN_END_RST, "login timeout");
	else if (c->state == CONN_FLUSHING && now - c->flush_us > FLUSH_TIMEOUT_US)
		conn_lose(c, CONN_END_RST, NULL);
	else if (c->state == CONN_FULL)
		tick_full(c, now);
	if (c->state < CONN_DYING)
		ring_timer_set(&c->r->ring, &c->timer, TICK_US);
}

/* ---- the end ---- */

static void cancel(struct conn *c, struct ring_op *op)
{
	struct io_uring_sqe *sqe = ring_sqe(&c->r->ring, NULL);

	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

/* What was kept is not any more */
static void end_lost(struct conn *c, const char *why)
{
	if (why)
		rlog(c->r, LOG_INFO, "%s: lost connection ends: %s", c->name, why);
	ring_timer_cancel(&c->timer);
	conn_set_state(c, CONN_DYING);
	ring_defer(&c->r->ring, &c->end_work);
}

void conn_close(struct conn *c, enum conn_end end, const char *why)
{
	c->recover = false;
	if (c->state == CONN_LOST)
		end_lost(c, why);
	else
		conn_lose(c, end, why);
}

void conn_lose(struct conn *c, enum conn_end end, const char *why)
{
	if (c->state >= CONN_DYING)
		return;
	if (why)
		rlog(c->r, LOG_INFO, "%s: connection ends: %s", c->name, why);
	conn_set_state(c, CONN_DYING);
	c->moving = false;
	c->end = end;
	ring_timer_cancel(&c->timer);
	list_del(&c->rx_wait);
	list_del(&c->tx_work.link);
	if (c->rx_busy)
		cancel(c, &c->rx_op);
	if (c->tx_busy)
		cancel(c, &c->tx_op);
	if (!c->n_ops)
		ring_defer(&c->r->ring, &c->end_work);
}

/* Without a word, where permitted: a FIN or RST would invite the initiator to an address that may be on its way. */
static void close_socket(struct conn *c)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };
	int on = 1;

	if (c->fd < 0)
		return;
	if (c->end == CONN_END_SILENT && setsockopt(c->fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		c->end = CONN_END_RST;
	if (c->end == CONN_END_RST)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(steal_fd(&c->fd));
}

static void drop_waiting(struct conn *c)
{
	struct task *t, *tmp;

	list_for_each_safe(t, tmp, &c->r->tasks, link)
		if (t->conn == c && task_idle(t))
			exec_drop(t);
}

static void conn_free(struct conn *c)
{
	list_del(&c->link);
	free(c);
}

static void free_run(struct msg *m, void *reactor)
{
	(void)reactor;
	conn_free(container_of(m, struct conn, msg_free));
}

/* ---- to another reactor: a parked connection only, which has no session, tasks or buffers yet ---- */

void conn_move_run(struct msg *m, void *reactor)
{
	struct conn *c = container_of(m, struct conn, msg_move);

	(void)reactor;
	if (c->state != CONN_PARKED)
		return;  /* it ends: the control thread hears of that instead */
	c->moving = true;
	if (c->rx_busy)
		cancel(c, &c->rx_op);
	if (!c->n_ops)
		ring_defer(&c->r->ring, &c->end_work);
}

/* The kernel has nothing of it: let go, if it has not begun to end meanwhile */
static void move_out(struct conn *c)
{
	if (!c->moving || c->n_ops)
		return;
	if (c->state != CONN_PARKED) {
		c->moving = false;
		ring_defer(&c->r->ring, &c->tx_work);
		return;
	}
	drain_conn_leaves(c);
	ring_timer_cancel(&c->timer);
	list_del(&c->rx_wait);
	list_del(&c->tx_work.link);
	list_del(&c->link);
	c->msg_move.run = registry_moved;
	control_send(c->r->ctl, &c->msg_move);
}

void conn_adopt_run(struct msg *m, void *reactor)
{
	struct conn *c = container_of(m, struct conn, msg_move);
	struct reactor *r = reactor;

	c->moving = false;
	list_add_tail(&r->conns, &c->link);
	c->rx_at_us = c->tx_at_us = r->ring.now_us;
	ring_timer_set(&r->ring, &c->timer, TICK_US);
	conn_recv(c);
	ring_defer(&r->ring, &c->tx_work);
}

/* ---- error recovery level 2: what belongs to its tasks outlives the socket ---- */

void conn_lost_for(struct conn *c)
{
	const struct isc_params *p = isc_conn_params(c->isc);

	ring_timer_set(&c->r->ring, &c->timer, ((uint64_t)p->time2wait + p->time2retain) * 1000000);
}

/* Return: false: there is nothing to be kept */
static bool keep_lost(struct conn *c)
{
	if (!c->recover || !c->sess || !isc_conn_lose(c->isc))
		return false;
	conn_set_state(c, CONN_LOST);
	close_socket(c);
	list_del(&c->link);
	list_add_tail(&c->r->conns, &c->link);  /* in order of loss: session.c */
	rlog(c->r, LOG_INFO, "%s: %u tasks may be reassigned", c->name, c->n_tasks);
	conn_lost_for(c);
	c->msg_lost.run = registry_lost;
	control_send(c->r->ctl, &c->msg_lost);
	session_conn_gone(c);
	return true;
}

/* The kernel has nothing of ours any more. */
static void conn_end_run(struct ring_work *w)
{
	struct conn *c = container_of(w, struct conn, end_work);

	if (c->state < CONN_DYING) {
		move_out(c);
		return;
	}
	if (c->state == CONN_LOST || (c->isc && keep_lost(c)))
		return;
	if (c->isc) {
		isc_conn_free(c->isc);
		c->isc = NULL;
		drop_waiting(c);
		close_socket(c);
	}
	if (c->state == CONN_GONE || c->n_tasks || c->n_held)
		return;
	conn_set_state(c, CONN_GONE);
	list_del(&c->end_work.link);  /* the last task that was dropped has asked for it again */
	drain_conn_settled(c);
	if (c->sess)
		session_conn_gone(c);
	if (!c->registered) {
		conn_free(c);
		return;
	}
	c->msg_gone.run = registry_gone;
	c->msg_free.run = free_run;
	control_send(c->r->ctl, &c->msg_gone);
}

void conn_task_gone(struct conn *c)
{
	if (c->state == CONN_DYING && !c->isc && !c->n_tasks && !c->n_held)
		ring_defer(&c->r->ring, &c->end_work);
	else if (c->state == CONN_QUIESCED)
		ring_defer(&c->r->ring, &c->tx_work);  /* which finds out whether it is settled */
}

void conn_finish(struct conn *c, const char *why)
{
	if (c->state >= CONN_FLUSHING)
		return;
	rlog(c->r, LOG_INFO, "%s: connection ends: %s", c->name, why);
	c->recover = false;
	conn_set_state(c, CONN_FLUSHING);
	c->flush_us = c->r->ring.now_us;
	ring_defer(&c->r->ring, &c->tx_work);
}

static void cb_closing(struct isc_conn *isc, enum isc_close why, const char *what)
{
	struct conn *c = isc_conn_user(isc);

	if (c->state >= CONN_FLUSHING)
		return;
	if (why == ISC_CLOSE_LOGOUT)
		c->recover = false;
	if (why == ISC_CLOSE_LOGOUT || why == ISC_CLOSE_RECOVERY)
		rlog(c->r, LOG_INFO, "%s: logged out", c->name);
	else
		rlog(c->r, LOG_NOTICE, "%s: closing: %s", c->name, what);
	conn_set_state(c, CONN_FLUSHING);
	c->flush_us = c->r->ring.now_us;
	ring_defer(&c->r->ring, &c->tx_work);
}

/* ---- quiesce ---- */

void conn_quiesce(struct conn *c)
{
	struct task *t, *tmp;

	if (c->state != CONN_FULL)
		return;
	conn_set_state(c, CONN_QUIESCED);
	c->recover = false;
	list_del(&c->rx_wait);
	if (c->rx_busy)
		cancel(c, &c->rx_op);
	/* What has not begun, or cannot without what is not read any more, the initiator asks for again. */
	list_for_each_safe(t, tmp, &c->r->tasks, link) {
		if (t->conn != c || t->isc.aborted)
			continue;
		if (t->collecting)
			isc_task_abort(&t->isc);
		else if (task_idle(t) && !isc_task_abort(&t->isc))
			exec_drop(t);
	}
	ring_defer(&c->r->ring, &c->tx_work);
}

/* One that is aborted, and stays only because a PDU for it is half received, would stay for ever: nothing is read any more. */
static bool tasks_left(const struct conn *c)
{
	const struct task *t;

	if (c->n_tasks)
		list_for_each(t, &c->r->tasks, link)
			if (t->conn == c && !(t->isc.aborted && !isc_task_with_server(&t->isc)))
				return true;
	return false;
}

bool conn_settled(const struct conn *c)
{
	return c->state >= CONN_GONE ||
	       (c->state == CONN_QUIESCED && !c->tx_busy && !isc_tx_pending(c->isc) && !tasks_left(c));
}

/* ---- the beginning ---- */

static void cb_random(struct isc_conn *isc, void *buf, size_t len)
{
	(void)isc;
	arc4random_buf(buf, len);
}

static void cb_nop_reply(struct isc_conn *isc)
{
	struct conn *c = isc_conn_user(isc);

	c->nop_at_us = 0;
	c->nop_answers = true;
}

const struct isc_ops conn_isc_ops = {
	.task_alloc = task_alloc,
	.task_release = task_release,
	.task_keep = task_keep,
	.task_moved = task_moved,
	.command = exec_command,
	.data_ready = exec_data_ready,
	.tmf = tmf_request,
	.lookup = login_lookup,
	.chap = login_chap,
	.login_done = login_done,
	.send_targets = login_send_targets,
	.logout = session_logout,
	.nop_reply = cb_nop_reply,
	.random = cb_random,
	.tx_ready = cb_tx_ready,
	.closing = cb_closing,
};

void conn_new(struct reactor *r, struct group *g, int fd, uint64_t number,
	      const struct sockaddr_storage *peer, const struct sockaddr_storage *local)
{
	struct conn *c = calloc(1, sizeof(*c));
	char at[ADDR_TEXT_MAX];

	if (!c || !(c->isc = isc_conn_new(&conn_isc_ops, &r->view->isc, c))) {
		rlog(r, LOG_ERR, "connection refused: out of memory");
		close(fd);
		free(c);
		return;
	}
	c->r = r;
	c->group = g;
	c->fd = fd;
	c->number = number;
	c->peer = *peer;
	c->local = *local;
	c->since_us = c->rx_at_us = c->tx_at_us = r->ring.now_us;
	snprintf(c->name, sizeof(c->name), "%s", addr_text(peer, at));
	c->rx_op.done = rx_done;
	c->tx_op.done = tx_done;
	list_init(&c->rx_wait);
	list_init(&c->known);
	list_init(&c->of_session);
	ring_work_init(&c->tx_work, conn_send);
	ring_work_init(&c->end_work, conn_end_run);
	ring_timer_init(&c->timer, conn_tick);
	ring_timer_set(&r->ring, &c->timer, TICK_US);
	list_add_tail(&r->conns, &c->link);
	conn_recv(c);
}
