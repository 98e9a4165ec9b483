/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses, announcements, tickles and left-over sockets against a real kernel: two network namespaces of our own
 * joined by a veth. "server" is this process; "client" is a namespace entered by setns(), whose sockets we hold as
 * well. Skipped where namespaces cannot be made.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cluster/clusterd.h"
#include "node/util/wire.h"

#define PORT 3260
#define TEST_SKIP 77
#define WAIT_MS 10000   /* for what must happen; never for what must not */

static int server_ns = -1, client_ns = -1;
static struct netlink *nl;
static qb_loop_t *loop;

static struct ip ip(const char *text)
{
	struct ip r;
	uint8_t b[16];
	bool v6 = strchr(text, ':');

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, b), 1);
	assert_true(ip_make(&r, b, v6 ? 16 : 4));
	return r;
}

static void enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static int run(const char *cmd)
{
	return WEXITSTATUS(system(cmd));
}

static int my_ns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* Return: 0; TEST_SKIP: not allowed here */
static int make_namespaces(void)
{
	char cmd[128];

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return TEST_SKIP;
	client_ns = my_ns();
	if (run("ip link set lo up && sysctl -qw net.ipv6.conf.default.accept_dad=0 2>/dev/null; ip link set lo up") ||
	    unshare(CLONE_NEWNET) < 0)
		return TEST_SKIP;
	server_ns = my_ns();
	if (run("ip link set lo up && ip link add srv type veth peer name cli"))
		return TEST_SKIP;
	snprintf(cmd, sizeof(cmd), "ip link set cli netns /proc/%d/fd/%d", (int)getpid(), client_ns);
	if (run(cmd) || run("ip link set srv up && ip addr add 192.0.2.1/24 dev srv && "
			    "ip addr add 2001:db8::1/64 dev srv nodad"))
		return TEST_SKIP;
	enter(client_ns);
	if (run("ip link set cli up && ip addr add 192.0.2.100/24 dev cli && ip addr add 2001:db8::100/64 dev cli nodad"))
		return TEST_SKIP;
	enter(server_ns);
	return 0;
}

static bool has_address(const struct ip *want, int *ret_ifindex)
{
	_cleanup_free_ struct dev_addr *list = NULL;
	size_t n;

	assert_int_equal(netlink_addrs(nl, &list, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (ip_equal(&list[i].ip, want)) {
			*ret_ifindex = list[i].ifindex;
			return true;
		}
	return false;
}

/* ---- addresses ---- */

static void add(const struct ip *a, unsigned lease)
{
	assert_int_equal(netlink_addr_add(nl, (int)if_nametoindex("srv"), a, a->len == 4 ? 24 : 64, lease, false), 0);
}

static void del(const struct ip *a)
{
	assert_int_equal(netlink_addr_del(nl, (int)if_nametoindex("srv"), a, a->len == 4 ? 24 : 64), 0);
}

static void address_comes_and_goes(const char *text)
{
	struct ip a = ip(text);
	struct dev_addr *list;
	size_t n;
	int ifindex = 0;

	assert_int_equal(netlink_addrs(nl, &list, &n), 0);
	assert_int_equal(device_choose(list, n, &a), (int)if_nametoindex("srv"));
	free(list);
	add(&a, 60);
	add(&a, 60);   /* a renewal */
	assert_true(has_address(&a, &ifindex));
	assert_int_equal(ifindex, if_nametoindex("srv"));
	del(&a);
	assert_false(has_address(&a, &ifindex));
	assert_int_equal(netlink_addr_del(nl, ifindex, &a, a.len == 4 ? 24 : 64), -EADDRNOTAVAIL);
	assert_int_equal(netlink_addr_add(nl, 9999, &a, 24, 60, false), -ENODEV);
}

static void test_address(void **state)
{
	(void)state;
	address_comes_and_goes("192.0.2.50");
	address_comes_and_goes("2001:db8::50");
}

static int monitor(void)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Wait until the kernel says that it removed something. */
static void wait_removed(int fd)
{
	char buf[8192] __attribute__((aligned(4)));
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n))
			if (h->nlmsg_type == RTM_DELADDR)
				return;
	fail_msg("the address stays");
}

/* The kernel itself removes an address that is not renewed; the subnet's own route stays, and for ever. */
static void test_lease_ends(void **state)
{
	static const char *const v[] = { "192.0.2.50", "2001:db8::50" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct ip a = ip(v[i]);
		int fd = monitor(), ifindex;

		add(&a, 1);
		wait_removed(fd);
		assert_false(has_address(&a, &ifindex));
		close(fd);
	}
	assert_int_equal(run("test -n \"$(ip route show 192.0.2.0/24)\" && test -n \"$(ip -6 route show 2001:db8::/64)\" && "
			     "test -z \"$(ip -6 route show 2001:db8::/64 | grep expires)\""), 0);
}

/* ---- what the client sees ---- */

static int packet_socket(void)
{
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	int fd;

	enter(client_ns);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	enter(server_ns);
	return fd;
}

static bool is_tcp_rst(const uint8_t *p, ssize_t n)
{
	if (n >= 54 && get_be16(p + 12) == ETH_P_IP && p[23] == IPPROTO_TCP)
		return p[47] & 4;
	return n >= 74 && get_be16(p + 12) == ETH_P_IPV6 && p[20] == IPPROTO_TCP && (p[67] & 4);
}

static bool is_announcement(const uint8_t *p, ssize_t n)
{
	if (n >= 42 && get_be16(p + 12) == ETH_P_ARP)
		return !memcmp(p + 28, p + 38, 4);
	return n >= 86 && get_be16(p + 12) == ETH_P_IPV6 && p[20] == IPPROTO_ICMPV6 && p[54] == 136;
}

/* Packets on the wire until an announcement comes. Return: resets among them from the server */
static int resets_before_announcement(int fd)
{
	uint8_t buf[2048];
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	int rsts = 0;
	ssize_t n;

	while ((n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len)) > 0) {
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		if (is_announcement(buf, n))
			return rsts;
		rsts += is_tcp_rst(buf, n);
	}
	fail_msg("no announcement came");
	return -1;
}

struct pair { int listener, server, client; struct endpoint portal, peer; };

/* A connection from the client's namespace to @a here. */
static struct pair connect_pair(const struct ip *a)
{
	struct pair p;
	struct sockaddr_storage sa, me;
	socklen_t len = ip_sockaddr(a, PORT, &sa), me_len = sizeof(me);
	int on = 1;

	p.listener = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(p.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(setsockopt(p.listener, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)), 0);
	assert_int_equal(bind(p.listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(p.listener, 5), 0);
	enter(client_ns);
	p.client = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(p.client, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(p.client, (struct sockaddr *)&me, &me_len), 0);
	enter(server_ns);
	p.server = accept4(p.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(p.server >= 0);
	p.portal = (struct endpoint){ .ip = *a, .port = PORT };
	if (me.ss_family == AF_INET) {
		ip_make(&p.peer.ip, &((struct sockaddr_in *)&me)->sin_addr, 4);
		p.peer.port = ntohs(((struct sockaddr_in *)&me)->sin_port);
	} else {
		ip_make(&p.peer.ip, &((struct sockaddr_in6 *)&me)->sin6_addr, 16);
		p.peer.port = ntohs(((struct sockaddr_in6 *)&me)->sin6_port);
	}
	return p;
}

static void close_pair(struct pair *p)
{
	close(p->listener);
	close(p->server);
	close(p->client);
}

/* RFC 9293 3.10.7.4: the client answers the impossible ACK, our kernel resets, the client knows. */
static void tickled(const char *text)
{
	struct ip a = ip(text);
	struct pair p;
	struct tickler *t;
	struct tickle_conn conn[2];
	struct pollfd pfd;
	char c;
	int on = 1;

	add(&a, 600);
	p = connect_pair(&a);
	/* the former owner is gone without a word */
	assert_int_equal(setsockopt(p.server, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	close(p.server);
	assert_int_equal(tickler_new(&t, loop), 0);
	conn[0] = (struct tickle_conn){ p.portal, p.peer };
	conn[1] = (struct tickle_conn){ { ip("198.51.100.1"), PORT }, p.peer };   /* another portal's: not ours to wake */
	assert_int_equal(tickle_start(t, &a, conn, 2), 1);
	pfd = (struct pollfd){ .fd = p.client, .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	assert_int_equal(recv(p.client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	tickler_free(t);
	p.server = dup(p.client);
	close_pair(&p);
	del(&a);
}

static void test_tickle(void **state)
{
	(void)state;
	tickled("192.0.2.50");
	tickled("2001:db8::50");
}

/* What is left of an address we gave up goes, and nobody on the network hears of it. */
static void destroyed(const char *text)
{
	struct ip a = ip(text), other = ip(text);
	struct announcer *an;
	struct pair p, q;
	int fd;
	char c;

	other.b[other.len - 1]++;
	add(&a, 600);
	add(&other, 600);
	p = connect_pair(&a);
	q = connect_pair(&other);
	fd = packet_socket();
	del(&a);
	assert_int_equal(sockdiag_destroy(nl, &a), 1);
	assert_int_equal(recv(p.server, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNABORTED);
	assert_int_equal(recv(q.server, &c, 1, MSG_DONTWAIT), -1);   /* another address: untouched */
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(run("ip -6 rule | grep -q blackhole"), 1);          /* nothing stays muted */
	assert_int_equal(announcer_new(&an, loop), 0);
	assert_int_equal(announce_start(an, (int)if_nametoindex("srv"), &other), 0);
	assert_int_equal(resets_before_announcement(fd), 0);
	assert_int_equal(recv(p.client, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	announcer_free(an);
	close(fd);
	close_pair(&p);
	close_pair(&q);
	del(&other);
}

static void test_destroy_is_silent_4(void **state)
{
	(void)state;
	destroyed("192.0.2.50");
}

static void test_destroy_is_silent_6(void **state)
{
	(void)state;
	destroyed("2001:db8::50");
}

/* A client with a stale entry for the address believes the announcement. */
static void announced(const char *text, const char *family)
{
	struct ip a = ip(text);
	struct announcer *an;
	char cmd[256];
	int fd;

	enter(client_ns);
	snprintf(cmd, sizeof(cmd), "ip %s neigh replace %s lladdr 02:de:ad:be:ef:00 dev cli nud stale", family, text);
	assert_int_equal(run(cmd), 0);
	enter(server_ns);
	add(&a, 600);
	fd = packet_socket();
	assert_int_equal(announcer_new(&an, loop), 0);
	assert_int_equal(announce_start(an, (int)if_nametoindex("srv"), &a), 0);
	resets_before_announcement(fd);
	enter(client_ns);
	snprintf(cmd, sizeof(cmd), "test \"$(ip %s neigh show %s | sed 's/.*lladdr \\([^ ]*\\).*/\\1/')\" != 02:de:ad:be:ef:00",
		 family, text);
	assert_int_equal(run(cmd), 0);
	enter(server_ns);
	announcer_free(an);
	close(fd);
	del(&a);
}

static void test_announce(void **state)
{
	(void)state;
	announced("192.0.2.50", "-4");
	announced("2001:db8::50", "-6");
}

static int setup(void **state)
{
	(void)state;
	loop = qb_loop_create();
	return netlink_open(&nl);
}

static int teardown(void **state)
{
	(void)state;
	netlink_close(nl);
	qb_loop_destroy(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_tickle),
		cmocka_unit_test(test_destroy_is_silent_4),
		cmocka_unit_test(test_destroy_is_silent_6),
		cmocka_unit_test(test_announce),
		cmocka_unit_test(test_lease_ends),
	};

	if (make_namespaces() == TEST_SKIP)
		return TEST_SKIP;
	return cmocka_run_group_tests(tests, setup, teardown);
}
