/* SPDX-License-Identifier: GPL-2.0-or-later */
/* value.c - scalars of the document: sizes, times, numbers, names. Pure */
#include <ctype.h>
#include <string.h>

#include "cluster/conf/internal.h"

#define SAY(...) (snprintf(why, WHY_MAX, __VA_ARGS__), false)

/* Decimal digits at the start of *s; a number too large for 64 bits is UINT64_MAX. Return: false if there are none */
static bool digits(const char **s, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)**s))
		return false;
	*ret = strtoull(*s, &end, 10);
	*s = end;
	return true;
}

bool value_size(const char *s, void *ret, char why[WHY_MAX])
{
	static const struct { const char *unit; unsigned shift; } units[] = {
		{ "", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 }, { "PiB", 50 },
	};
	uint64_t n, bytes;
	const char *p = s;

	if (digits(&p, &n)) {
		for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
			if (strcmp(p, units[i].unit))
				continue;
			if (mul_overflow(n, UINT64_C(1) << units[i].shift, &bytes) || bytes > INT64_MAX)
				return SAY("is too large; allowed: up to 8191PiB");
			if (bytes == 0)
				return SAY("is no size; allowed: more than 0");
			*(uint64_t *)ret = bytes;
			return true;
		}
	}
	return SAY("is not a size; allowed: a number of bytes, or a number with KiB, MiB, GiB, TiB or PiB, "
		   "such as 64MiB");
}

bool value_bool(const char *s, void *ret, char why[WHY_MAX])
{
	bool t = !strcmp(s, "true"), f = !strcmp(s, "false");

	if (!t && !f)
		return SAY("is neither; allowed: true, false");
	*(bool *)ret = t;
	return true;
}

bool value_failback(const char *s, void *ret, char why[WHY_MAX])
{
	bool automatic = !strcmp(s, "automatic");

	if (!automatic && strcmp(s, "manual"))
		return SAY("is no way to fail back; allowed: manual (stay where it is), automatic (return to the "
			   "first node when it is back)");
	*(bool *)ret = automatic;
	return true;
}

bool value_reconnect(const char *s, void *ret, char why[WHY_MAX])
{
	static const char *const words[] = {
		[CONF_RECONNECT_AUTO] = "auto", [CONF_RECONNECT_ON] = "on", [CONF_RECONNECT_OFF] = "off",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(s, words[i])) {
			*(enum conf_reconnect *)ret = (enum conf_reconnect)i;
			return true;
		}
	return SAY("is none of them; allowed: auto (initiators known to take it), on, off");
}

bool value_block_size(const char *s, void *ret, char why[WHY_MAX])
{
	if (strcmp(s, "512") && strcmp(s, "4096"))
		return SAY("is no block size; allowed: 512, 4096");
	*(uint32_t *)ret = s[0] == '5' ? 512 : 4096;
	return true;
}

bool value_provisioning(const char *s, void *ret, char why[WHY_MAX])
{
	bool thin = !strcmp(s, "thin");

	if (!thin && strcmp(s, "thick"))
		return SAY("is no provisioning; allowed: thin (storage is taken when it is written to, and given back by "
			   "initiators), thick (all of it is there from the start)");
	*(enum conf_provisioning *)ret = thin ? CONF_THIN : CONF_THICK;
	return true;
}

bool value_lun_number(const char *s, void *ret, char why[WHY_MAX])
{
	const char *p = s;
	uint64_t n;

	if (!digits(&p, &n) || *p || n > CONF_LUN_MAX || (s[0] == '0' && s[1]))
		return SAY("is no LUN number; allowed: 0 to %u, without leading zeros", CONF_LUN_MAX);
	*(uint16_t *)ret = (uint16_t)n;
	return true;
}

bool value_duration(const char *s, void *ret, char why[WHY_MAX])
{
	const char *p = s;
	uint64_t n;

	if (!digits(&p, &n) || (strcmp(p, "ms") && strcmp(p, "s")) || mul_overflow(n, p[0] == 's' ? 1000u : 1u, &n) ||
	    n > UINT32_MAX)
		return SAY("is not a time; allowed: a number with ms or s, such as 400ms or 2s");
	*(uint32_t *)ret = (uint32_t)n;
	return true;
}

bool value_count(const char *s, void *ret, char why[WHY_MAX])
{
	const char *p = s;
	uint64_t n;

	if (!digits(&p, &n) || *p || n > UINT32_MAX)
		return SAY("is not a number; allowed: a whole number");
	*(uint32_t *)ret = (uint32_t)n;
	return true;
}

static bool all_of(const char *s, const char *set)
{
	return s[strspn(s, set)] == '\0';
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* They become parts of file names, socket identities and iSCSI names. */
bool value_name(const char *s, void *ret, char why[WHY_MAX])
{
	(void)ret;
	if (!isalnum((unsigned char)s[0]) || strlen(s) > CONF_NAME_MAX || !all_of(s, ALNUM "._-"))
		return SAY("cannot be a name here; allowed: 1 to %d letters, digits, dots, dashes and underscores, "
			   "a letter or digit first", CONF_NAME_MAX);
	return true;
}

bool value_path(const char *s, void *ret, char why[WHY_MAX])
{
	(void)ret;
	if (s[0] != '/')
		return SAY("is not an absolute path; allowed: a path that starts with /");
	if (strlen(s) > 4095)
		return SAY("is too long; allowed: 4095 bytes");
	return true;
}

bool value_serial(const char *s, void *ret, char why[WHY_MAX])
{
	(void)ret;
	if (!s[0] || strlen(s) > 32 || !all_of(s, ALNUM "._-"))
		return SAY("is no serial number; allowed: 1 to 32 letters, digits, dots, dashes and underscores");
	return true;
}

/* SPC-4 7.8.6.6: NAA 2h, 3h, 5h have 8 bytes, 6h has 16. */
bool value_naa(const char *s, void *ret, char why[WHY_MAX])
{
	size_t n = strlen(s), want = s[0] == '6' ? 32 : 16;

	(void)ret;
	if (!s[0] || !strchr("2356", s[0]) || n != want || !all_of(s, "0123456789abcdefABCDEF"))
		return SAY("is no NAA identifier; allowed: 16 hex digits that start with 2, 3 or 5, or 32 that start "
			   "with 6");
	return true;
}

/* SPC-4 7.8.6.5: EUI-64 based, 8, 12 or 16 bytes. */
bool value_eui(const char *s, void *ret, char why[WHY_MAX])
{
	size_t n = strlen(s);

	(void)ret;
	if ((n != 16 && n != 24 && n != 32) || !all_of(s, "0123456789abcdefABCDEF"))
		return SAY("is no EUI-64 based identifier; allowed: 16, 24 or 32 hex digits");
	return true;
}

bool value_product(const char *s, void *ret, char why[WHY_MAX])
{
	(void)ret;
	if (!isalnum((unsigned char)s[0]) || strlen(s) > 16 || !all_of(s, ALNUM " ._-"))
		return SAY("is no product identification; allowed: 1 to 16 letters, digits, blanks, dots, dashes and "
			   "underscores, a letter or digit first");
	return true;
}

bool value_user(const char *s, void *ret, char why[WHY_MAX])
{
	(void)ret;
	if (!s[0] || strlen(s) > 255)
		return SAY("is no CHAP name; allowed: 1 to 255 bytes");
	return true;
}
