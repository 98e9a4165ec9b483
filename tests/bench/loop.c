/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.c - all sessions on one io_uring
 *
 * One recv and one sendmsg of a session are with the kernel at most; what a batch of completions makes necessary is
 * submitted with one system call. So the client's cost is small and, above all, the same for every target.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "node/util/util.h"
#include "tests/bench/load.h"

#define IS_SEND 1u
#define BATCH 64

static struct io_uring ring;
static struct session *touched[BATCH];  /* of which something was completed */
static unsigned n_touched;

void loop_init(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
	int rc = io_uring_queue_init_params(4096, &ring, &p);
	if (rc == -EINVAL) {
		p = (struct io_uring_params){ .flags = 0 };
		rc = io_uring_queue_init_params(4096, &ring, &p);
	}
	if (rc)
		die("io_uring: %s", strerror(-rc));
}

static struct io_uring_sqe *sqe(struct session *s, unsigned what)
{
	struct io_uring_sqe *e = io_uring_get_sqe(&ring);

	if (!e) {
		(void)io_uring_submit(&ring);
		e = io_uring_get_sqe(&ring);
	}
	if (!e)
		die("io_uring takes nothing any more");
	io_uring_sqe_set_data64(e, (uint64_t)(uintptr_t)s | what);
	return e;
}

static void receive(struct session *s)
{
	io_uring_prep_recv(sqe(s, 0), s->fd, s->rx_buf, RX_BYTES, 0);
}

static void transmit(struct session *s)
{
	int n = s->sending ? 0 : pieces_iov(&s->out, s->iov);

	if (!n)
		return;
	s->msg = (struct msghdr){ .msg_iov = s->iov, .msg_iovlen = (size_t)n };
	io_uring_prep_sendmsg(sqe(s, IS_SEND), s->fd, &s->msg, MSG_NOSIGNAL);
	s->sending = true;
}

static void completed(const struct io_uring_cqe *cqe)
{
	struct session *s = (struct session *)(uintptr_t)(cqe->user_data & ~(uint64_t)IS_SEND);

	if (cqe->res <= 0)
		die("connection lost: %s", cqe->res ? strerror(-cqe->res) : "closed by the target");
	if (cqe->user_data & IS_SEND) {
		s->sending = false;
		pieces_sent(&s->out, (size_t)cqe->res);
	} else {
		session_received(s, (size_t)cqe->res);
		receive(s);
	}
	touched[n_touched++] = s;
}

void loop_start(struct session *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		session_issue(&s[i]);
		receive(&s[i]);
		transmit(&s[i]);
	}
}

static void batch(void)
{
	struct io_uring_cqe *cqes[BATCH];
	unsigned n;

	do {
		n = io_uring_peek_batch_cqe(&ring, cqes, BATCH);
		for (unsigned i = 0; i < n; i++)
			completed(cqes[i]);
		io_uring_cq_advance(&ring, n);
		for (unsigned i = 0; i < n_touched; i++)
			transmit(touched[i]);
		n_touched = 0;
	} while (n);
}

void loop_run(double seconds, bool spin)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
	struct __kernel_timespec tick = { .tv_nsec = 10000000 };
	struct io_uring_cqe *cqe;

	while (now_ns() < end) {
		int rc = spin ? io_uring_submit_and_get_events(&ring) :
				io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &tick, NULL);

		if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
			die("io_uring: %s", strerror(-rc));
		batch();
	}
}
