/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest.c - CRC32C header and data digests (RFC 7143 13.1)
 *
 * ISA-L's crc32_iscsi() neither presets nor complements: the register starts as CRC_INIT, is carried from one piece
 * to the next, and is complemented at the end. On the wire the digest goes least significant byte first.
 */
#include <limits.h>
#include <isa-l.h>

#include "node/iscsi/priv.h"
#include "node/util/util.h"

uint32_t isc_crc(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n) {
		size_t part = MIN(n, (size_t)INT_MAX);

		/* takes a pointer to non-const, but only reads */
		crc = crc32_iscsi((unsigned char *)(uintptr_t)b, (int)part, crc);
		b += part;
		n -= part;
	}
	return crc;
}

void isc_crc_put(uint8_t out[DIGEST_LEN], uint32_t crc)
{
	crc = ~crc;
	for (int i = 0; i < DIGEST_LEN; i++, crc >>= 8)
		out[i] = (uint8_t)crc;
}

bool isc_crc_ok(uint32_t crc, const uint8_t digest[DIGEST_LEN])
{
	uint8_t want[DIGEST_LEN];

	isc_crc_put(want, crc);
	return memcmp(want, digest, DIGEST_LEN) == 0;
}
