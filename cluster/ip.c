/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ip.c - addresses in network order, and the two clocks. Context: pure but for the clocks. */
#include "cluster/clusterd.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

bool ip_make(struct ip *ret, const void *bytes, size_t len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (len != 4 && len != 16)
		return false;
	*ret = (struct ip){ .len = (uint8_t)len };
	memcpy(ret->b, bytes, len);
	if (len == 16 && !memcmp(ret->b, mapped, sizeof(mapped))) {
		memmove(ret->b, ret->b + 12, 4);
		memset(ret->b + 4, 0, 12);
		ret->len = 4;
	}
	return true;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->len == b->len && !memcmp(a->b, b->b, a->len);
}

bool ip_in_subnet(const struct ip *a, const struct ip *net, unsigned prefix)
{
	unsigned bytes = prefix / 8, bits = prefix % 8;

	if (a->len != net->len || prefix > 8u * a->len)
		return false;
	if (memcmp(a->b, net->b, bytes))
		return false;
	return !bits || !((a->b[bytes] ^ net->b[bytes]) >> (8 - bits));
}

const char *ip_text(const struct ip *a, char *buf)
{
	if (!inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->b, buf, INET6_ADDRSTRLEN))
		strcpy(buf, "?");
	return buf;
}

socklen_t ip_sockaddr(const struct ip *a, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (a->len == 4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t real_us(void)
{
	return clock_ns(CLOCK_REALTIME) / 1000;
}
