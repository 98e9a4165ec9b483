/* SPDX-License-Identifier: GPL-2.0-or-later */
/* words.c - numbers, times and addresses as people read them. Pure but for the time zone */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cluster/ctl/ctl.h"

char *word_age(int64_t ms, char buf[WORD_MAX])
{
	static const struct { int64_t below, unit; const char *name; } steps[] = {
		{ 1000, 1, "ms" },
		{ 120 * 1000, 1000, "s" },
		{ 120 * 60 * 1000, 60 * 1000, "min" },
		{ INT64_C(48) * 3600 * 1000, 3600 * 1000, "h" },
		{ INT64_MAX, INT64_C(24) * 3600 * 1000, "d" },
	};
	size_t i = 0;

	if (ms < 0)
		ms = 0;    /* clocks of two nodes differ a little */
	while (i + 1 < ARRAY_SIZE(steps) && ms >= steps[i].below)
		i++;
	snprintf(buf, WORD_MAX, "%" PRId64 " %s", ms / steps[i].unit, steps[i].name);
	return buf;
}

char *word_bytes(uint64_t bytes, char buf[WORD_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t whole = bytes;
	size_t i = 0;

	while (whole >= 1024 && i + 1 < ARRAY_SIZE(units)) {
		whole >>= 10;
		i++;
	}
	if (i == 0 || bytes == whole << (10 * i) || whole >= 100) {
		snprintf(buf, WORD_MAX, "%" PRIu64 " %s", whole, units[i]);
	} else {
		uint64_t rest = bytes - (whole << (10 * i));

		snprintf(buf, WORD_MAX, "%" PRIu64 ".%" PRIu64 " %s", whole, (rest >> (10 * (i - 1))) * 10 / 1024, units[i]);
	}
	return buf;
}

char *word_endpoint(ProtobufCBinaryData ip, uint32_t port, char buf[WORD_MAX])
{
	char text[INET6_ADDRSTRLEN];

	if ((ip.len != 4 && ip.len != 16) || !inet_ntop(ip.len == 4 ? AF_INET : AF_INET6, ip.data, text, sizeof(text)))
		snprintf(buf, WORD_MAX, "-");
	else
		snprintf(buf, WORD_MAX, ip.len == 4 ? "%s:%" PRIu32 : "[%s]:%" PRIu32, text, port);
	return buf;
}

char *word_hex(ProtobufCBinaryData b, char buf[WORD_MAX])
{
	buf[0] = '\0';
	for (size_t i = 0; i < b.len && i < WORD_MAX / 2 - 1; i++)
		snprintf(buf + 2 * i, 3, "%02x", b.data[i]);
	return buf;
}

char *word_time(uint64_t us, char buf[WORD_MAX])
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;
	size_t n;

	if (!localtime_r(&t, &tm)) {
		snprintf(buf, WORD_MAX, "-");
		return buf;
	}
	n = strftime(buf, WORD_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(buf + n, WORD_MAX - n, ".%06u", (unsigned)(us % 1000000));
	return buf;
}
