/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink.c - addresses through rtnetlink
 *
 * Requests are answered inside the system call that sends them, so nothing here waits on the network; a request
 * waits for other holders of the kernel's rtnl lock, as every tool does.
 */
#include "cluster/clusterd.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>

#define MUTE_PRIORITY 3260  /* of the rule: before the main table, after the local one */

struct netlink {
	struct mnl_socket *sock;
	unsigned seq;
};

void netlink_close(struct netlink *nl)
{
	if (!nl)
		return;
	mnl_socket_close(nl->sock);
	free(nl);
}

int netlink_open(struct netlink **ret)
{
	struct netlink *nl = calloc(1, sizeof(*nl));

	if (!nl)
		return -ENOMEM;
	nl->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		int err = -errno;

		if (nl->sock)
			mnl_socket_close(nl->sock);
		free(nl);
		return err;
	}
	*ret = nl;
	return 0;
}

/* Send one request and run its answers through @cb until the kernel's end or acknowledgment. 0 or -errno */
static int talk(struct netlink *nl, struct nlmsghdr *req, mnl_cb_t cb, void *data)
{
	char buf[32768];
	ssize_t n;
	int r = MNL_CB_OK;

	req->nlmsg_seq = ++nl->seq;
	if (mnl_socket_sendto(nl->sock, req, req->nlmsg_len) < 0)
		return -errno;
	while (r == MNL_CB_OK) {
		n = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, nl->seq, mnl_socket_get_portid(nl->sock), cb, data);
	}
	return r < 0 ? -errno : 0;
}

struct addr_list {
	struct dev_addr *v;
	size_t n, cap;
};

/* The local address: IFA_LOCAL where there is one (IPv4), else IFA_ADDRESS. */
static int addr_attr(const struct nlattr *attr, void *data)
{
	struct ip *ip = data;
	int type = mnl_attr_get_type(attr);

	if (type == IFA_LOCAL || (type == IFA_ADDRESS && !ip->len))
		ip_make(ip, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	return MNL_CB_OK;
}

static bool if_is_up(int ifindex)
{
	struct ifreq ifr = { 0 };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !if_indextoname((unsigned)ifindex, ifr.ifr_name))
		return false;
	return ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && (ifr.ifr_flags & IFF_UP);
}

static int addr_msg(const struct nlmsghdr *nlh, void *data)
{
	struct addr_list *l = data;
	struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct dev_addr a = { .ifindex = (int)ifa->ifa_index, .prefix = ifa->ifa_prefixlen };

	if (mnl_attr_parse(nlh, sizeof(*ifa), addr_attr, &a.ip) < 0 || !a.ip.len)
		return MNL_CB_OK;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		void *v = realloc(l->v, cap * sizeof(*l->v));

		if (!v) {
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = a;
	return MNL_CB_OK;
}

int netlink_addrs(struct netlink *nl, struct dev_addr **ret, size_t *ret_n)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct addr_list l = { 0 };
	int r;

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg));
	r = talk(nl, nlh, addr_msg, &l);
	if (r < 0) {
		free(l.v);
		return r;
	}
	for (size_t i = 0; i < l.n; i++)
		l.v[i].up = if_is_up(l.v[i].ifindex);
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}

static struct nlmsghdr *addr_request(char *buf, uint16_t type, uint16_t flags, int ifindex, const struct ip *ip,
				     unsigned prefix)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = ip->len == 4 ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = (uint8_t)prefix;
	ifa->ifa_scope = RT_SCOPE_UNIVERSE;
	ifa->ifa_index = (unsigned)ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, ip->len, ip->b);
	mnl_attr_put(nlh, IFA_ADDRESS, ip->len, ip->b);
	return nlh;
}

int netlink_addr_add(struct netlink *nl, int ifindex, const struct ip *ip, unsigned prefix, unsigned lease_s,
		     bool prefix_route)
{
	char buf[512] = { 0 };
	struct ifa_cacheinfo life = { .ifa_prefered = lease_s, .ifa_valid = lease_s };
	struct nlmsghdr *nlh = addr_request(buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, ip, prefix);

	mnl_attr_put(nlh, IFA_CACHEINFO, sizeof(life), &life);
	mnl_attr_put_u32(nlh, IFA_FLAGS, (ip->len == 16 ? IFA_F_NODAD : 0u) | (prefix_route ? 0 : IFA_F_NOPREFIXROUTE));
	return talk(nl, nlh, NULL, NULL);
}

int netlink_addr_del(struct netlink *nl, int ifindex, const struct ip *ip, unsigned prefix)
{
	char buf[512] = { 0 };

	return talk(nl, addr_request(buf, RTM_DELADDR, 0, ifindex, ip, prefix), NULL, NULL);
}

int netlink_mute(struct netlink *nl, const struct ip *ip, bool on)
{
	char buf[512] = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct fib_rule_hdr *rule;
	int r;

	nlh->nlmsg_type = on ? RTM_NEWRULE : RTM_DELRULE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (on ? NLM_F_CREATE | NLM_F_EXCL : 0);
	rule = mnl_nlmsg_put_extra_header(nlh, sizeof(*rule));
	rule->family = ip->len == 4 ? AF_INET : AF_INET6;
	rule->src_len = (uint8_t)(8 * ip->len);
	rule->action = FR_ACT_BLACKHOLE;
	mnl_attr_put(nlh, FRA_SRC, ip->len, ip->b);
	mnl_attr_put_u32(nlh, FRA_PRIORITY, MUTE_PRIORITY);
	r = talk(nl, nlh, NULL, NULL);
	return on && r == -EEXIST ? 0 : r;
}

int netlink_mac(int ifindex, uint8_t ret[6])
{
	struct ifreq ifr = { 0 };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !if_indextoname((unsigned)ifindex, ifr.ifr_name))
		return -errno;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return -EAFNOSUPPORT;
	memcpy(ret, ifr.ifr_hwaddr.sa_data, 6);
	return 0;
}
