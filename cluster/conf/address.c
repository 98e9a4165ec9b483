/* SPDX-License-Identifier: GPL-2.0-or-later */
/* address.c - addresses, prefixes and portals. Pure */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "cluster/conf/internal.h"

#define SAY(...) (snprintf(why, WHY_MAX, __VA_ARGS__), false)

/* A decimal number of at most @max at s, all of it. */
static bool number(const char *s, unsigned max, unsigned *ret)
{
	unsigned v = 0;

	if (!*s || strlen(s) > 5)
		return false;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
		v = v * 10 + (unsigned)(*s - '0');
	}
	*ret = v;
	return v <= max;
}

static bool ip_parse(const char *s, struct conf_addr *ret)
{
	struct conf_addr a = { .family = strchr(s, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(a.family, s, a.ip) != 1)
		return false;
	a.len = a.family == AF_INET ? 4 : 16;
	a.prefix = (uint8_t)(a.len * 8);
	*ret = a;
	return true;
}

static bool host_bits(const struct conf_addr *a)
{
	for (unsigned bit = a->prefix; bit < a->len * 8u; bit++)
		if (a->ip[bit / 8] & (0x80u >> bit % 8))
			return true;
	return false;
}

static void clear_host_bits(struct conf_addr *a)
{
	for (unsigned bit = a->prefix; bit < a->len * 8u; bit++)
		a->ip[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
}

/* Of `initiators:`: an address or a whole network. */
bool address_parse(const char *s, struct conf_addr *ret, char why[WHY_MAX])
{
	char ip[ADDRESS_MAX], buf[ADDRESS_MAX];
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);
	struct conf_addr a;
	unsigned prefix;

	if (n >= sizeof(ip))
		return SAY("is no address");
	memcpy(ip, s, n);
	ip[n] = '\0';
	if (!ip_parse(ip, &a))
		return SAY("is neither an iSCSI name nor an address; allowed: iqn.…, eui.…, naa.… (* and ? match "
			   "anything), 192.0.2.7, 192.0.2.0/24, 2001:db8::/32");
	if (slash) {
		if (!number(slash + 1, a.len * 8u, &prefix))
			return SAY("has no usable prefix length; allowed: 0 to %u", a.len * 8u);
		a.prefix = (uint8_t)prefix;
	}
	if (host_bits(&a)) {
		clear_host_bits(&a);
		return SAY("has bits set beyond its prefix; allowed: a network such as %s, or a single address",
			   address_print(&a, true, buf));
	}
	*ret = a;
	return true;
}

static const char portal_allowed[] =
	"allowed: ADDRESS/LENGTH[:PORT][@DEVICE], such as 192.0.2.50/24 or \"2001:db8::50/64:3261@eth1\"";
static const char listen_allowed[] =
	"allowed: ADDRESS[/LENGTH][:PORT][@DEVICE], such as 192.0.2.50, 0.0.0.0:3261, \"[::]:3260\"";

static bool is_loopback(const struct conf_addr *a)
{
	static const uint8_t six[16] = { [15] = 1 };

	return a->family == AF_INET ? a->ip[0] == 127 : !memcmp(a->ip, six, 16);
}

static bool is_multicast(const struct conf_addr *a)
{
	return a->family == AF_INET ? a->ip[0] >= 224 : a->ip[0] == 0xff;
}

static bool is_link_local(const struct conf_addr *a)
{
	return a->family == AF_INET6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool address_is_any(const struct conf_addr *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->ip, zero, a->len);
}

/* What a portal's address cannot be. */
static bool portal_addr_ok(const struct conf_addr *a, enum conf_mode mode, bool dev, char why[WHY_MAX])
{
	struct conf_addr net = *a;

	if (is_multicast(a))
		return SAY("is a multicast address; allowed: a unicast address");
	if (is_link_local(a) && !dev)
		return SAY("is a link-local address, which needs its device; allowed: ADDRESS/LENGTH@DEVICE");
	if (mode == CONF_STANDALONE)
		return true;
	if (address_is_any(a))
		return SAY("is the wildcard address, which cannot move between nodes; allowed: an address of the "
			   "group's own");
	if (is_loopback(a))
		return SAY("is a loopback address, which no other machine reaches; allowed: an address of the "
			   "group's own");
	clear_host_bits(&net);
	if (a->family == AF_INET && a->prefix <= 30 && !memcmp(net.ip, a->ip, 4))
		return SAY("is the network itself, not an address in it; allowed: a host's address");
	return true;
}

/* The address at the start of @s, with or without brackets. Return: what follows it, NULL if it is none. */
static const char *portal_ip(const char *s, struct conf_addr *a)
{
	bool bracket = *s == '[';
	const char *end = bracket ? strchr(s, ']') : s + strcspn(s, "/@");
	char ip[ADDRESS_MAX];
	size_t n;

	if (!end)
		return NULL;
	/* "192.0.2.1:3260": a single colon can only be a port */
	if (!bracket && strchr(s, ':') && strchr(s, ':') < end && strchr(s, '.') && strchr(s, '.') < strchr(s, ':'))
		end = strchr(s, ':');
	s += bracket;
	n = (size_t)(end - s);
	if (n >= sizeof(ip))
		return NULL;
	memcpy(ip, s, n);
	ip[n] = '\0';
	if (!ip_parse(ip, a) || (bracket && a->family != AF_INET6))
		return NULL;
	return end + bracket;
}

/* One "/LENGTH", ":PORT" or "@DEVICE" at *@s, up to the next mark, into @buf. */
static bool part(const char **s, char mark, const char *stop, char *buf, size_t size, bool *ret_there)
{
	size_t n;

	*ret_there = **s == mark;
	if (!*ret_there)
		return true;
	n = strcspn(++*s, stop);
	if (n == 0 || n >= size)
		return false;
	memcpy(buf, *s, n);
	buf[n] = '\0';
	*s += n;
	return true;
}

bool portal_parse(const char *s, enum conf_mode mode, struct conf_portal *ret, char dev_buf[DEV_MAX],
		  char why[WHY_MAX])
{
	const char *allowed = mode == CONF_CLUSTER ? portal_allowed : listen_allowed;
	bool has_len, has_port, has_dev;
	char len[8] = "", port[8] = "", dev[DEV_MAX] = "";
	unsigned bits = 0, num = CONF_ISCSI_PORT;
	struct conf_addr a;
	const char *p = portal_ip(s, &a);

	if (!p || !part(&p, '/', ":@", len, sizeof(len), &has_len) ||
	    !part(&p, ':', "@", port, sizeof(port), &has_port) ||
	    !part(&p, '@', "/: \t", dev, sizeof(dev), &has_dev) || *p)
		return SAY("is no portal address; %s", allowed);
	if (!has_len && mode == CONF_CLUSTER)
		return SAY("lacks the prefix length; %s", allowed);
	if (has_len && (!number(len, a.len * 8u, &bits) || bits == 0))
		return SAY("has no usable prefix length; allowed: 1 to %u", a.len * 8u);
	if (has_port && (!number(port, 65535, &num) || num == 0))
		return SAY("has no usable port; allowed: 1 to 65535");
	if (has_len)
		a.prefix = (uint8_t)bits;
	if (!portal_addr_ok(&a, mode, has_dev, why))
		return false;
	ret->addr = a;
	ret->port = (uint16_t)num;
	memcpy(dev_buf, dev, sizeof(dev));
	return true;
}

bool endpoint_parse(const char *s, struct conf_addr *ret, uint16_t *ret_port, char why[WHY_MAX])
{
	bool has_port;
	char port[8] = "";
	unsigned num = CONF_ISCSI_PORT;
	struct conf_addr a;
	const char *p = portal_ip(s, &a);

	if (!p || !part(&p, ':', "", port, sizeof(port), &has_port) || *p)
		return SAY("is no address; allowed: ADDRESS[:PORT], such as 192.0.2.51, 192.0.2.51:3261 or "
			   "\"[2001:db8::51]:3261\"");
	if (has_port && (!number(port, 65535, &num) || num == 0))
		return SAY("has no usable port; allowed: 1 to 65535");
	if (address_is_any(&a) || is_multicast(&a) || is_link_local(&a))
		return SAY("is an address that initiators cannot be sent to; allowed: a unicast address that they reach");
	*ret = a;
	*ret_port = (uint16_t)num;
	return true;
}

char *endpoint_print(const struct conf_addr *a, uint16_t port, char *buf)
{
	struct conf_addr host = *a;
	bool six = a->family == AF_INET6;
	char ip[ADDRESS_MAX];

	host.prefix = (uint8_t)(host.len * 8);
	snprintf(buf, CONF_TARGET_ADDRESS_MAX, "%s%.46s%s:%u", six ? "[" : "", address_print(&host, false, ip),
		 six ? "]" : "", port);
	return buf;
}

char *address_print(const struct conf_addr *a, bool with_prefix, char buf[ADDRESS_MAX])
{
	size_t n;

	if (!inet_ntop(a->family, a->ip, buf, ADDRESS_MAX))
		buf[0] = '\0';
	n = strlen(buf);
	if (with_prefix || a->prefix < a->len * 8)
		snprintf(buf + n, ADDRESS_MAX - n, "/%u", a->prefix);
	return buf;
}

bool address_match(const struct conf_addr *a, const uint8_t *ip, size_t len)
{
	struct conf_addr x = { .len = a->len, .prefix = a->prefix };

	if (len != a->len)
		return false;
	memcpy(x.ip, ip, len);
	clear_host_bits(&x);
	return !memcmp(x.ip, a->ip, len);
}
