/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_link.c - node/link.c against a ROUTER that is there before the link is opened
 *
 * The loop is this test: what would wait for the next turn of the loop is run when the test says so.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "node/link.h"
#include "proto/frame.h"

#define PATIENCE_MS 20000

static struct control ctl;
static struct link *l;
static struct msg *turn;       /* waits for the loop */
static unsigned met;
static uint64_t got;           /* cookie of the last ping */
static void *zmq, *router, *dealer;
static char dir[] = "/tmp/lunward-test-link.XXXXXX";

void control_send(struct control *c, struct msg *m)
{
	assert_ptr_equal(c, &ctl);
	assert_null(turn);
	turn = m;
}

/* The link's socket, on its way to ZeroMQ. */
int zmq_connect(void *s, const char *url)
{
	int (*real)(void *, const char *);

	*(void **)&real = dlsym(RTLD_NEXT, "zmq_connect");
	dealer = s;
	return real(s, url);
}

/* As if this thread had been descheduled here until the greeting of the ROUTER was in: the worst moment there is. */
int32_t qb_loop_poll_add(struct qb_loop *loop, enum qb_loop_priority p, int32_t fd, int32_t events, void *data,
			 qb_loop_poll_dispatch_fn fn)
{
	zmq_pollitem_t at[2] = { { .socket = dealer, .events = ZMQ_POLLIN }, { .socket = router, .events = ZMQ_POLLIN } };

	(void)loop, (void)p, (void)fd, (void)events, (void)data, (void)fn;
	while (!(at[0].revents & ZMQ_POLLIN))
		assert_true(zmq_poll(at, 2, PATIENCE_MS) > 0);
	return 0;
}

int32_t qb_loop_poll_del(struct qb_loop *loop, int32_t fd)
{
	(void)loop, (void)fd;
	return 0;
}

static void run_turn(void)
{
	struct msg *m = turn;

	assert_non_null(m);
	turn = NULL;
	m->run(m, &ctl);
}

static void on_met(struct control *c)
{
	assert_ptr_equal(c, &ctl);
	assert_non_null(l);  /* the caller of link_open() has what it needs to answer */
	met++;
}

static void on_got(struct control *c, const Lunward__ToTarget *m)
{
	assert_ptr_equal(c, &ctl);
	assert_int_equal(m->msg_case, LUNWARD__TO_TARGET__MSG_PING);
	got = m->ping->cookie;
}

static int up(void **state)
{
	int yes = 1;
	char url[128];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(url, sizeof(url), "ipc://%s/s", dir);
	zmq = zmq_ctx_new();
	router = zmq_socket(zmq, ZMQ_ROUTER);
	zmq_setsockopt(router, ZMQ_PROBE_ROUTER, &yes, sizeof(yes));
	assert_int_equal(zmq_bind(router, url), 0);
	return 0;
}

static int down(void **state)
{
	char path[128];

	(void)state;
	link_close(l);
	zmq_close(router);
	zmq_ctx_term(zmq);
	snprintf(path, sizeof(path), "%s/s", dir);
	unlink(path);
	return rmdir(dir);
}

/* A greeting that is there already when the link is opened waits for the loop, like every other message. */
static void test_nobody_is_called_early(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/s", dir);
	l = link_open(&ctl, path, "g1", on_met, on_got);
	assert_non_null(l);
	assert_int_equal(met, 0);
	run_turn();
	assert_int_equal(met, 1);
}

static void send_ping(uint64_t cookie)
{
	zmq_pollitem_t at = { .socket = dealer, .events = ZMQ_POLLIN };
	Lunward__Ping ping = LUNWARD__PING__INIT;
	Lunward__ToTarget to = LUNWARD__TO_TARGET__INIT;
	uint8_t buf[64];

	ping.cookie = cookie;
	to.version = LUNWARD_TARGET_PROTO;
	to.msg_case = LUNWARD__TO_TARGET__MSG_PING;
	to.ping = &ping;
	zmq_send(router, "g1", 2, ZMQ_SNDMORE);
	zmq_send(router, buf, lunward__to_target__pack(&to, buf), 0);
	assert_int_equal(zmq_poll(&at, 1, PATIENCE_MS), 1);
}

/* What is sent arrives under the group's name, and the loop looks at the socket once more: the send may have taken the edge. */
static void test_send_and_receive(void **state)
{
	Lunward__FromTarget from = LUNWARD__FROM_TARGET__INIT, *in;
	Lunward__Pong pong = LUNWARD__PONG__INIT;
	uint8_t buf[64], id[16];
	int n;

	(void)state;
	from.msg_case = LUNWARD__FROM_TARGET__MSG_PONG;
	from.pong = &pong;
	pong.cookie = 5;
	link_send(l, &from);
	link_send(l, &from);  /* one look is enough for both */
	run_turn();
	assert_int_equal(zmq_recv(router, id, sizeof(id), 0), 2);
	assert_memory_equal(id, "g1", 2);
	n = zmq_recv(router, buf, sizeof(buf), 0);
	in = lunward__from_target__unpack(NULL, (size_t)n, buf);
	assert_non_null(in);
	assert_int_equal(in->version, LUNWARD_TARGET_PROTO);
	assert_int_equal(in->pong->cookie, 5);
	lunward__from_target__free_unpacked(in, NULL);

	send_ping(7);
	link_send(l, &from);
	run_turn();
	assert_int_equal(got, 7);
	assert_int_equal(met, 1);
}

/* The process ends: its last messages still run, and are for nobody. */
static void test_after_the_end(void **state)
{
	Lunward__FromTarget from = LUNWARD__FROM_TARGET__INIT;
	Lunward__Pong pong = LUNWARD__PONG__INIT;

	(void)state;
	from.msg_case = LUNWARD__FROM_TARGET__MSG_PONG;
	from.pong = &pong;
	link_send(l, &from);
	send_ping(8);
	link_end(l);
	run_turn();
	link_send(l, &from);
	assert_null(turn);
	assert_int_equal(got, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_is_called_early),
		cmocka_unit_test(test_send_and_receive),
		cmocka_unit_test(test_after_the_end),
	};

	return cmocka_run_group_tests(tests, up, down);
}
