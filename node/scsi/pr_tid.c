/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_tid.c - TransportIDs of iSCSI initiator ports; SPC-4 7.6.4.6
 *
 * FORMAT CODE 01b: "<iSCSI name>,i,0x<ISID in hex>"; 00b: the name alone, which means all ports of this name that are
 * known. NUL-terminated and padded to a multiple of four. Names are compared in lower case (RFC 7143 4.2.7.2).
 */
#include "node/scsi/internal.h"

#define FORMAT_NAME 0x05  /* FORMAT CODE 00b, PROTOCOL IDENTIFIER 5 */
#define FORMAT_PORT 0x45  /* FORMAT CODE 01b */
#define SEPARATOR   ",i,0x"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool isid_from_hex(const char *s, uint8_t isid[6])
{
	if (strlen(s) != 12)
		return false;
	for (unsigned i = 0; i < 6; i++) {
		int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		isid[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* Cuts the ISID off @text. Return: false when there is none, or a wrong one */
static bool cut_isid(char *text, uint8_t isid[6])
{
	char *sep = strstr(text, SEPARATOR);

	if (!sep || !isid_from_hex(sep + strlen(SEPARATOR), isid))
		return false;
	*sep = '\0';
	return true;
}

bool sc_tid_get(struct rd *r, uint16_t rtpi, struct sc_nexus *n, bool *ret_any_port)
{
	uint8_t format = rd_u8(r);
	uint8_t reserved = rd_u8(r);
	uint16_t len = rd_u16(r);
	const uint8_t *p = rd_bytes(r, len);
	char text[SC_NAME_MAX + sizeof(SEPARATOR "001122334455")];
	uint8_t isid[6] = { 0 };
	size_t n_text;

	if (!p || (format != FORMAT_PORT && format != FORMAT_NAME) || reserved || len < 20 || len % 4)
		return false;
	n_text = strnlen((const char *)p, len);
	if (n_text == len || n_text >= sizeof(text))
		return false;
	memcpy(text, p, n_text + 1);
	if (format == FORMAT_PORT && !cut_isid(text, isid))
		return false;
	*ret_any_port = format == FORMAT_NAME;
	for (char *c = text; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	return sc_nexus_init(n, text, isid, rtpi);
}

void sc_tid_put(struct sc_out *o, const struct sc_nexus *n)
{
	char text[SC_NAME_MAX + sizeof(SEPARATOR "001122334455")];
	const uint8_t *i = n->isid;
	uint32_t len;

	len = (uint32_t)snprintf(text, sizeof(text), "%s" SEPARATOR "%02x%02x%02x%02x%02x%02x", n->initiator,
				 i[0], i[1], i[2], i[3], i[4], i[5]);
	sc_out_u8(o, FORMAT_PORT);
	sc_out_u8(o, 0);
	sc_out_u16(o, (len / 4 + 1) * 4);
	sc_out_bytes(o, text, len);
	sc_out_zero(o, 4 - len % 4);
}
