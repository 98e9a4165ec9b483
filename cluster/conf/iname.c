/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iname.c - iSCSI names (RFC 7143 4.2.7, RFC 3722) and URLs of iSCSI LUNs. Pure */
#include <ctype.h>
#include <string.h>

#include "cluster/conf/internal.h"

#define SAY(...) (snprintf(why, WHY_MAX, __VA_ARGS__), false)

void ascii_lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static bool hex_only(const char *s, size_t n)
{
	return strlen(s) == n && strspn(s, "0123456789abcdefABCDEF") == n;
}

/* "yyyy-mm." and a domain name backwards, then perhaps ":" and anything. @extra: further characters to take. */
static bool iqn_ok(const char *s, const char *extra, char why[WHY_MAX])
{
	const char *domain = s + 12, *colon = strchr(s, ':'), *p;
	size_t n = strlen(s);

	if (n < 12 || !isdigit((unsigned char)s[4]) || !isdigit((unsigned char)s[5]) ||
	    !isdigit((unsigned char)s[6]) || !isdigit((unsigned char)s[7]) || s[8] != '-' ||
	    !isdigit((unsigned char)s[9]) || !isdigit((unsigned char)s[10]) || s[11] != '.')
		return SAY("lacks the date; allowed: iqn.YYYY-MM.DOMAIN[:NAME], such as iqn.2026-11.org.example:disk1");
	if (!memcmp(s + 9, "00", 2) || memcmp(s + 9, "12", 2) > 0)
		return SAY("has a month that does not exist; allowed: iqn.YYYY-MM.DOMAIN[:NAME], month 01 to 12");
	if (!isalnum((unsigned char)domain[0]))
		return SAY("lacks the domain; allowed: iqn.YYYY-MM.DOMAIN[:NAME], such as iqn.2026-11.org.example:disk1");
	for (p = domain; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-.", *p) && !(*p == ':' && p >= colon) &&
		    !strchr(extra, *p))
			return SAY("has a character that iSCSI names cannot have; allowed: letters, digits, dash, "
				   "dot, and colon after the domain");
	return true;
}

static bool iname_ok(const char *s, const char *extra, char why[WHY_MAX])
{
	if (strlen(s) > CONF_ISCSI_NAME_MAX)
		return SAY("is too long for an iSCSI name; allowed: %d bytes", CONF_ISCSI_NAME_MAX);
	if (!strncasecmp(s, "iqn.", 4))
		return iqn_ok(s, extra, why);
	if (!strncasecmp(s, "eui.", 4))
		return hex_only(s + 4, 16) || SAY("is no EUI-64 name; allowed: eui. and 16 hex digits");
	if (!strncasecmp(s, "naa.", 4))
		return hex_only(s + 4, 16) || hex_only(s + 4, 32) ||
		       SAY("is no NAA name; allowed: naa. and 16 or 32 hex digits");
	return SAY("is no iSCSI name; allowed: iqn.YYYY-MM.DOMAIN[:NAME], eui.HEX, naa.HEX");
}

bool value_target_name(const char *s, void *ret, char why[WHY_MAX])
{
	(void)ret;
	return iname_ok(s, "", why);
}

/* Initiators in the field have underscores in their names; a pattern cannot be checked for its form. */
bool value_initiator_name(const char *s, void *ret, char why[WHY_MAX])
{
	(void)ret;
	if (!strpbrk(s, "*?"))
		return iname_ok(s, "_", why);
	if (strlen(s) > CONF_ISCSI_NAME_MAX)
		return SAY("is too long for an iSCSI name; allowed: %d bytes", CONF_ISCSI_NAME_MAX);
	for (const char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-.:_*?", *p))
			return SAY("has a character that iSCSI names cannot have; allowed: letters, digits, dash, "
				   "dot, colon, and the wildcards * and ?");
	return true;
}

/* HOST or [IPV6], perhaps :PORT, up to the slash at @end. */
static bool url_host_ok(const char *s, const char *end)
{
	const char *p = s;

	if (*s == '[') {
		p = memchr(s, ']', (size_t)(end - s));
		if (!p || p == s + 1)
			return false;
		for (const char *q = s + 1; q < p; q++)
			if (!isxdigit((unsigned char)*q) && *q != ':' && *q != '.')
				return false;
		p++;
	} else {
		while (p < end && (isalnum((unsigned char)*p) || *p == '.' || *p == '-'))
			p++;
		if (p == s)
			return false;
	}
	if (p < end && *p == ':') {
		uint32_t port = 0;

		for (p++; p < end && isdigit((unsigned char)*p) && port <= 65535; p++)
			port = port * 10 + (uint32_t)(*p - '0');
		if (port == 0 || port > 65535)
			return false;
	}
	return p == end;
}

bool value_iscsi_url(const char *s, void *ret, char why[WHY_MAX])
{
	static const char allowed[] = "allowed: iscsi://HOST[:PORT]/TARGET-NAME/LUN";
	char name[CONF_ISCSI_NAME_MAX + 1], sub[WHY_MAX];
	const char *host = s + 8, *slash, *last;
	uint16_t lun;

	(void)ret;
	if (strncmp(s, "iscsi://", 8))
		return SAY("is no iSCSI URL; %s", allowed);
	slash = strchr(host, '/');
	last = strrchr(host, '/');
	if (!slash || slash == last)
		return SAY("lacks target name or LUN; %s", allowed);
	if (!url_host_ok(host, slash))
		return SAY("has no usable host and port; %s", allowed);
	if ((size_t)(last - slash) > sizeof(name))
		return SAY("has too long a target name; %s", allowed);
	snprintf(name, sizeof(name), "%.*s", (int)(last - slash - 1), slash + 1);
	if (!iname_ok(name, "_", sub))
		return SAY("names the target \"%.60s\", which %.200s", name, sub);
	if (!value_lun_number(last + 1, &lun, sub))
		return SAY("ends in \"%.20s\", which %.200s", last + 1, sub);
	return true;
}
