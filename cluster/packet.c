/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.c - the bytes of the packets that tell a network where an address is now
 *
 * Context: pure.
 */
#include "cluster/clusterd.h"

#include <linux/if_ether.h>

#include "node/util/wire.h"

static const uint8_t ETHER_BROADCAST[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t ETHER_ALL_NODES[6] = { 0x33, 0x33, 0, 0, 0, 1 };           /* RFC 2464 7 */
static const uint8_t IP6_ALL_NODES[16] = { 0xff, 0x02, [15] = 1 };              /* RFC 4291 2.7.1 */

uint16_t inet_checksum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n > 1; p += 2, n -= 2)
		sum += get_be16(p);
	if (n)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The checksum without the complement, to be carried on: of a pseudo header (RFC 9293 3.1, RFC 8200 8.1). */
static uint32_t pseudo_sum(const struct ip *src, const struct ip *dst, uint8_t proto, size_t len)
{
	uint32_t sum = (uint32_t)proto + (uint32_t)len;

	for (size_t i = 0; i < src->len; i += 2)
		sum += (uint32_t)get_be16(src->b + i) + get_be16(dst->b + i);
	return sum;
}

static void put_ether(struct wr *w, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	wr_bytes(w, dst, 6);
	wr_bytes(w, src, 6);
	wr_u16(w, type);
}

size_t packet_arp(uint8_t out[static PACKET_MAX], const uint8_t mac[6], const uint8_t ip[4], bool reply)
{
	struct wr w = wr_init(out, PACKET_MAX);

	put_ether(&w, ETHER_BROADCAST, mac, ETH_P_ARP);
	wr_u16(&w, 1);             /* hardware: Ethernet */
	wr_u16(&w, ETH_P_IP);
	wr_u8(&w, 6);
	wr_u8(&w, 4);
	wr_u16(&w, reply ? 2 : 1);
	wr_bytes(&w, mac, 6);
	wr_bytes(&w, ip, 4);
	if (reply)
		wr_bytes(&w, mac, 6);
	else
		wr_zero(&w, 6);
	wr_bytes(&w, ip, 4);       /* target = sender: gratuitous */
	return w.want;
}

static void put_ip6(struct wr *w, const uint8_t src[16], const uint8_t dst[16], uint8_t next, uint16_t len, uint8_t hops)
{
	wr_u32(w, 6u << 28);
	wr_u16(w, len);
	wr_u8(w, next);
	wr_u8(w, hops);
	wr_bytes(w, src, 16);
	wr_bytes(w, dst, 16);
}

size_t packet_na(uint8_t out[static PACKET_MAX], const uint8_t mac[6], const uint8_t ip[16])
{
	struct wr w = wr_init(out, PACKET_MAX);
	struct ip src = { .len = 16 }, dst = { .len = 16 };
	const uint16_t len = 24 + 8;
	uint8_t *icmp;

	memcpy(src.b, ip, 16);
	memcpy(dst.b, IP6_ALL_NODES, 16);
	put_ether(&w, ETHER_ALL_NODES, mac, ETH_P_IPV6);
	put_ip6(&w, ip, IP6_ALL_NODES, IPPROTO_ICMPV6, len, 255);
	icmp = w.p;
	wr_u8(&w, 136);            /* neighbor advertisement */
	wr_u8(&w, 0);
	wr_u16(&w, 0);             /* checksum, below */
	wr_u32(&w, 1u << 29);      /* override; not solicited, not a router */
	wr_bytes(&w, ip, 16);
	wr_u8(&w, 2);              /* option: target link-layer address, in units of 8 bytes */
	wr_u8(&w, 1);
	wr_bytes(&w, mac, 6);
	put_be16(icmp + 2, inet_checksum(icmp, len, pseudo_sum(&src, &dst, IPPROTO_ICMPV6, len)));
	return w.want;
}

static void put_ip4(struct wr *w, const uint8_t src[4], const uint8_t dst[4], uint16_t len)
{
	uint8_t *ip = w->p;

	wr_u16(w, 0x4500);
	wr_u16(w, len);
	wr_u32(w, 0);              /* no fragments, no identification */
	wr_u8(w, 64);
	wr_u8(w, IPPROTO_TCP);
	wr_u16(w, 0);              /* checksum, below */
	wr_bytes(w, src, 4);
	wr_bytes(w, dst, 4);
	put_be16(ip + 10, inet_checksum(ip, 20, 0));
}

size_t packet_tickle(uint8_t out[static PACKET_MAX], const struct endpoint *from, const struct endpoint *to)
{
	struct wr w = wr_init(out, PACKET_MAX);
	const uint16_t len = 20;
	uint8_t *tcp;

	if (from->ip.len != to->ip.len || !from->ip.len)
		return 0;
	if (from->ip.len == 4)
		put_ip4(&w, from->ip.b, to->ip.b, 20 + len);
	else
		put_ip6(&w, from->ip.b, to->ip.b, IPPROTO_TCP, len, 64);
	tcp = w.p;
	wr_u16(&w, from->port);
	wr_u16(&w, to->port);
	wr_u32(&w, 0);             /* sequence number */
	wr_u32(&w, 0);             /* acknowledgment number */
	wr_u16(&w, 5u << 12 | 0x10);
	wr_u16(&w, 1024);          /* window: any */
	wr_u32(&w, 0);             /* checksum, below; urgent pointer */
	put_be16(tcp + 16, inet_checksum(tcp, len, pseudo_sum(&from->ip, &to->ip, IPPROTO_TCP, len)));
	return w.want;
}
