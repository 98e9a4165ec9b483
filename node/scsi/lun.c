/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lun.c - 8-byte logical unit numbers, SAM-5 4.7 */
#include <string.h>

#include "node/scsi/sc.h"
#include "node/util/wire.h"

int sc_lun_decode(const uint8_t lun[8])
{
	static const uint8_t rest[6];
	uint16_t first = get_be16(lun);

	if (memcmp(lun + 2, rest, sizeof(rest)))
		return SC_NO_LUN;  /* second and deeper levels */
	if (first >> 14 == 0)      /* peripheral device addressing: BUS IDENTIFIER must be this level */
		return first & 0x3f00 ? SC_NO_LUN : first;
	if (first >> 14 == 1)      /* flat space addressing */
		return first & 0x3fff;
	return SC_NO_LUN;
}

void sc_lun_encode(uint16_t n, uint8_t lun[8])
{
	memset(lun, 0, 8);
	put_be16(lun, n <= 255 ? n : (uint16_t)(0x4000 | n));
}
