/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ua.c - unit attention queue of a nexus on a logical unit, SAM-5 5.14 */
#include "node/scsi/ua.h"

#include <stddef.h>
#include <string.h>

static void drop_at(struct sc_ua *ua, unsigned i)
{
	memmove(&ua->q[i], &ua->q[i + 1], (size_t)(ua->n - i - 1) * sizeof(ua->q[0]));
	ua->n--;
}

static bool is_reset(uint16_t code)
{
	return code >> 8 == 0x29;
}

void sc_ua_del(struct sc_ua *ua, uint16_t code)
{
	for (unsigned i = 0; i < ua->n; i++)
		if (ua->q[i] == code) {
			drop_at(ua, i);
			return;
		}
}

/*
 * SAM-5 5.14 table 48: power on before target reset before logical unit reset before I_T nexus loss; a stronger
 * one says all that a weaker one would. There is never more than one in the queue, and it is the first.
 */
static void add_reset(struct sc_ua *ua, uint16_t code)
{
	if (ua->n && is_reset(ua->q[0])) {
		if (ua->q[0] <= code)
			return;
		drop_at(ua, 0);
	}
	if (code == SC_UA_POWER_ON)
		ua->n = 0;
	memmove(&ua->q[1], &ua->q[0], ua->n * sizeof(ua->q[0]));
	ua->q[0] = code;
	ua->n++;
}

void sc_ua_add(struct sc_ua *ua, uint16_t code)
{
	if (code == SC_UA_NONE)
		return;
	for (unsigned i = 0; i < ua->n; i++)
		if (ua->q[i] == code)
			return;
	if (ua->n == SC_UA_MAX)  /* no room for more codes than there are: say the most general */
		code = SC_UA_POWER_ON;
	if (is_reset(code))
		add_reset(ua, code);
	else
		ua->q[ua->n++] = code;
}

uint16_t sc_ua_peek(const struct sc_ua *ua)
{
	return ua->n ? ua->q[0] : (uint16_t)SC_UA_NONE;
}

uint16_t sc_ua_take(struct sc_ua *ua)
{
	uint16_t code = sc_ua_peek(ua);

	if (code)
		drop_at(ua, 0);
	return code;
}
