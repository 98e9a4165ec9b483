/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * announce.c - tell the network that an address is here now
 *
 * One packet socket, opened at start-up: closing one takes the kernel 10 ms, opening one is not for the
 * moment of a failover either. It is bound to no protocol, so it receives nothing. IPv4: gratuitous ARP request
 * and reply; IPv6: unsolicited NA with override. At once, 5 times every 200 ms, once more 5 s after the first:
 * a switch that is busy relearning, or a client that lost the first ones, gets another.
 */
#include "cluster/clusterd.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#define ANNOUNCE_FAST 5u
#define ANNOUNCE_FAST_NS (200 * NSEC_PER_MSEC)
#define ANNOUNCE_LATE_NS (500 * NSEC_PER_MSEC)
#define ANNOUNCE_LAST_NS (4 * NSEC_PER_SEC)  /* after the last fast one */

struct announcer {
	qb_loop_t *loop;
	int fd;
	struct list active;
};

struct announcement {
	struct list link;
	struct announcer *owner;
	struct ip ip;
	int ifindex;
	unsigned sent;
	qb_loop_timer_handle timer;
	uint64_t due_ns;
};

static void on_timer(void *data);

int announcer_new(struct announcer **ret, qb_loop_t *loop)
{
	struct announcer *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->loop = loop;
	list_init(&a->active);
	a->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0) {
		int err = -errno;

		free(a);
		return err;
	}
	*ret = a;
	return 0;
}

static void announcement_free(struct announcement *n)
{
	qb_loop_timer_del(n->owner->loop, n->timer);
	list_del(&n->link);
	free(n);
}

void announcer_free(struct announcer *a)
{
	struct announcement *n, *tmp;

	if (!a)
		return;
	list_for_each_safe(n, tmp, &a->active, link)
		announcement_free(n);
	close(a->fd);
	free(a);
}

void announce_stop(struct announcer *a, const struct ip *ip)
{
	struct announcement *n, *tmp;

	list_for_each_safe(n, tmp, &a->active, link)
		if (ip_equal(&n->ip, ip))
			announcement_free(n);
}

static int emit(const struct announcer *a, int ifindex, const uint8_t *pkt, size_t len)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = ifindex,
		.sll_halen = ETH_ALEN,
	};

	memcpy(to.sll_addr, pkt, ETH_ALEN);
	return sendto(a->fd, pkt, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static int send_all(const struct announcer *a, int ifindex, const struct ip *ip)
{
	uint8_t mac[6], pkt[PACKET_MAX];
	int r = netlink_mac(ifindex, mac);

	if (r < 0)
		return r == -EAFNOSUPPORT ? 0 : r;   /* nothing to announce on a device without Ethernet */
	if (ip->len == 16)
		return emit(a, ifindex, pkt, packet_na(pkt, mac, ip->b));
	r = emit(a, ifindex, pkt, packet_arp(pkt, mac, ip->b, false));
	return r < 0 ? r : emit(a, ifindex, pkt, packet_arp(pkt, mac, ip->b, true));
}

static void arm(struct announcement *n, uint64_t ns)
{
	n->due_ns = mono_ns() + ns;
	if (qb_loop_timer_add(n->owner->loop, QB_LOOP_MED, ns, n, on_timer, &n->timer) < 0)
		announcement_free(n);
}

static void on_timer(void *data)
{
	struct announcement *n = data;

	n->timer = 0;
	if (mono_ns() > n->due_ns + ANNOUNCE_LATE_NS) {
		announcement_free(n);  /* we stood still: the address may be somebody else's by now */
		return;
	}
	send_all(n->owner, n->ifindex, &n->ip);
	n->sent++;
	if (n->sent <= ANNOUNCE_FAST + 1)
		arm(n, n->sent <= ANNOUNCE_FAST ? ANNOUNCE_FAST_NS : ANNOUNCE_LAST_NS);
	else
		announcement_free(n);
}

int announce_start(struct announcer *a, int ifindex, const struct ip *ip)
{
	struct announcement *n = calloc(1, sizeof(*n));
	int r;

	announce_stop(a, ip);
	r = send_all(a, ifindex, ip);
	if (!n)
		return r;
	*n = (struct announcement){ .owner = a, .ip = *ip, .ifindex = ifindex, .sent = 1 };
	list_add_tail(&a->active, &n->link);
	arm(n, ANNOUNCE_FAST_NS);
	return r;
}
