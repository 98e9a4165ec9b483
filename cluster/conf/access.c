/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access.c - who may log in, where, and how portals are named and bound. Pure */
#include <fnmatch.h>
#include <netinet/in.h>
#include <string.h>

#include "cluster/conf/internal.h"

/* ::ffff:a.b.c.d is a.b.c.d (RFC 4291 2.5.5.2): a socket on [::] sees IPv4 peers so. */
static void unmap(const uint8_t **ip, size_t *len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (*len == 16 && !memcmp(*ip, mapped, 12)) {
		*ip += 12;
		*len = 4;
	}
}

bool conf_allowed(const struct conf_acls *list, const char *name, const void *addr, size_t ip_len)
{
	char lower[CONF_ISCSI_NAME_MAX + 1];
	const uint8_t *ip = addr;

	if (list->n == 0)
		return true;
	if (strlen(name) > CONF_ISCSI_NAME_MAX)
		return false;
	strcpy(lower, name);
	ascii_lower(lower);
	unmap(&ip, &ip_len);
	for (size_t i = 0; i < list->n; i++) {
		const struct conf_acl *a = &list->v[i];

		if (a->kind == CONF_ACL_NAME ? !fnmatch(a->text, lower, FNM_NOESCAPE)
					     : address_match(&a->addr, ip, ip_len))
			return true;
	}
	return false;
}

socklen_t conf_sockaddr(const struct conf_portal *p, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (p->addr.family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(p->port);
		memcpy(&in->sin_addr, p->addr.ip, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(p->port);
	memcpy(&in6->sin6_addr, p->addr.ip, 16);
	return sizeof(*in6);
}

char *conf_target_address(const struct conf_portal *p, char *buf)
{
	return endpoint_print(&p->addr, p->port, buf);
}

bool conf_redirected(const struct conf_redirect *r, const void *addr, size_t ip_len, uint16_t port)
{
	const uint8_t *ip = addr;

	unmap(&ip, &ip_len);
	return r->text && (port != r->port || !address_match(&r->addr, ip, ip_len));
}

/*
 * Initiators that take whatever DefaultTime2Wait they are answered, by the names that they are installed with: open-iscsi
 * under Linux offers 2 s and would wait so long after each failover (RFC 7143 13.15: the result is the maximum).
 */
static const char *const take_it[] = {
	"iqn.1993-08.org.debian:", "iqn.2004-10.com.ubuntu:", "iqn.1994-05.com.redhat:", "iqn.1988-12.com.oracle:",
	"iqn.1996-04.de.suse:", "iqn.2005-03.org.open-iscsi:", "iqn.2016-04.com.open-iscsi:",
};

bool conf_fast_reconnect(const struct conf_target *t, const char *name)
{
	if (t->fast_reconnect != CONF_RECONNECT_AUTO)
		return t->fast_reconnect == CONF_RECONNECT_ON;
	for (size_t i = 0; i < ARRAY_SIZE(take_it); i++)
		if (!strncasecmp(take_it[i], name, strlen(take_it[i])))
			return true;
	return false;
}
