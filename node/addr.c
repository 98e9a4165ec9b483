/* SPDX-License-Identifier: GPL-2.0-or-later */
/* addr.c - socket addresses as text and bytes */
#include <arpa/inet.h>
#include <string.h>

#include "node/node.h"

/* An IPv4 address that came in on an IPv6 socket is an IPv4 address. */
size_t addr_ip(const struct sockaddr_storage *ss, const uint8_t **ret)
{
	if (ss->ss_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)ss)->sin6_addr;

		*ret = a->s6_addr + (IN6_IS_ADDR_V4MAPPED(a) ? 12 : 0);
		return IN6_IS_ADDR_V4MAPPED(a) ? 4 : 16;
	}
	*ret = (const uint8_t *)&((const struct sockaddr_in *)ss)->sin_addr;
	return 4;
}

uint16_t addr_port(const struct sockaddr_storage *ss)
{
	return ntohs(ss->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)ss)->sin6_port
					       : ((const struct sockaddr_in *)ss)->sin_port);
}

bool addr_is_any(const struct sockaddr_storage *ss)
{
	static const uint8_t zero[16];
	const uint8_t *ip;
	size_t n = addr_ip(ss, &ip);

	return memcmp(ip, zero, n) == 0;
}

char *addr_text(const struct sockaddr_storage *ss, char *buf)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	const uint8_t *p;
	size_t n = addr_ip(ss, &p);

	(void)inet_ntop(n == 4 ? AF_INET : AF_INET6, p, ip, sizeof(ip));
	snprintf(buf, ADDR_TEXT_MAX, n == 4 ? "%s:%u" : "[%s]:%u", ip, addr_port(ss));
	return buf;
}
