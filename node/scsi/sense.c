/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sense.c - sense data in fixed and descriptor format, SPC-4 4.5 */
#include "node/scsi/sense.h"

#include <string.h>

#include "node/util/wire.h"

struct sc_sense sc_sense_make(enum sc_key key, uint16_t asc)
{
	return (struct sc_sense){ .key = (uint8_t)key, .asc = asc };
}

struct sc_sense sc_sense_info(enum sc_key key, uint16_t asc, uint64_t info)
{
	return (struct sc_sense){ .key = (uint8_t)key, .asc = asc, .info_valid = true, .info = info };
}

static struct sc_sense field(uint16_t asc, bool in_cdb, uint16_t byte, uint8_t bit)
{
	return (struct sc_sense){ .key = SC_KEY_ILLEGAL_REQUEST, .asc = asc, .field_valid = true,
				  .in_cdb = in_cdb, .field = byte, .bit = bit };
}

struct sc_sense sc_sense_cdb(uint16_t asc, uint16_t byte, uint8_t bit)
{
	return field(asc, true, byte, bit);
}

struct sc_sense sc_sense_param(uint16_t asc, uint16_t byte, uint8_t bit)
{
	return field(asc, false, byte, bit);
}

/* SPC-4 4.5.2.4.2: SKSV, C/D, BPV, BIT POINTER; FIELD POINTER */
static void put_field_pointer(uint8_t p[3], const struct sc_sense *s)
{
	p[0] = (uint8_t)(0x80 | (s->in_cdb ? 0x40 : 0) | (s->bit <= 7 ? 0x08 | s->bit : 0));
	put_be16(p + 1, s->field);
}

/* SPC-4 4.5.3 */
static size_t encode_fixed(const struct sc_sense *s, uint8_t *b)
{
	b[0] = 0x70;
	if (s->info_valid && s->info <= UINT32_MAX) {
		b[0] |= 0x80;
		put_be32(b + 3, (uint32_t)s->info);
	}
	b[2] = s->key;
	b[7] = 10;
	if (s->csi_valid)
		put_be32(b + 8, s->csi);
	put_be16(b + 12, s->asc);
	if (s->field_valid)
		put_field_pointer(b + 15, s);
	return 18;
}

/* SPC-4 4.5.2: information (type 00h), command-specific information (01h), sense key specific descriptors (02h) */
static size_t encode_descriptor(const struct sc_sense *s, uint8_t *b)
{
	size_t n = 8;

	b[0] = 0x72;
	b[1] = s->key;
	put_be16(b + 2, s->asc);
	if (s->info_valid) {
		b[n + 1] = 0x0a;
		b[n + 2] = 0x80;
		put_be64(b + n + 4, s->info);
		n += 12;
	}
	if (s->csi_valid) {
		b[n] = 0x01;
		b[n + 1] = 0x0a;
		put_be64(b + n + 4, s->csi);
		n += 12;
	}
	if (s->field_valid) {
		b[n] = 0x02;
		b[n + 1] = 0x06;
		put_field_pointer(b + n + 4, s);
		n += 8;
	}
	b[7] = (uint8_t)(n - 8);
	return n;
}

size_t sc_sense_encode(const struct sc_sense *s, bool descriptor, uint8_t buf[SC_SENSE_MAX])
{
	memset(buf, 0, SC_SENSE_MAX);
	return descriptor ? encode_descriptor(s, buf) : encode_fixed(s, buf);
}
