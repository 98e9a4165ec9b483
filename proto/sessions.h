/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sessions.h - a report lists connections; those with the same TSIH are one session (RFC 7143 4.2.2) */
#ifndef LUNWARD_PROTO_SESSIONS_H
#define LUNWARD_PROTO_SESSIONS_H

#include <stdint.h>

#include "proto/target.pb-c.h"

/** sessions_count() - How many sessions are there among these connections of one target process? */
static inline uint32_t sessions_count(Lunward__SessionInfo *const *v, size_t n)
{
	uint8_t seen[(UINT16_MAX + 1) / 8] = { 0 };
	uint32_t count = 0;

	for (size_t i = 0; i < n; i++) {
		uint16_t tsih = v[i]->connection ? (uint16_t)v[i]->connection->tsih : 0;

		count += !(seen[tsih / 8] >> tsih % 8 & 1);
		seen[tsih / 8] |= (uint8_t)(1u << tsih % 8);
	}
	return count;
}

#endif
