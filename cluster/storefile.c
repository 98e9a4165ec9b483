/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storefile.c - the bytes of a file in the state directory
 *
 *	magic 8 "LUNWARD\n" | layout 4 | kind 4 | boot id 36 | payload length 4 | CRC32C 4 | payload
 *
 * The checksum is over all that comes before it and the payload. Context: pure.
 */
#include "cluster/clusterd.h"

#include <errno.h>
#include <isa-l.h>

#include "node/util/wire.h"

#define LAYOUT 1u
#define HEADER_LEN (8u + 4u + 4u + STORE_BOOT_ID_LEN + 4u + 4u)

static const char MAGIC[8] = { 'L', 'U', 'N', 'W', 'A', 'R', 'D', '\n' };

static uint32_t checksum(const uint8_t *head, const uint8_t *payload, size_t len)
{
	uint32_t crc = crc32_iscsi((unsigned char *)head, (int)(HEADER_LEN - 4), 0xffffffff);

	return ~crc32_iscsi((unsigned char *)payload, (int)len, crc);
}

uint8_t *storefile_make(enum store_kind kind, const char *boot_id, const void *payload, size_t len, size_t *ret_len)
{
	uint8_t *buf = malloc(HEADER_LEN + len);
	struct wr w;

	if (!buf)
		return NULL;
	w = wr_init(buf, HEADER_LEN + len);
	wr_bytes(&w, MAGIC, sizeof(MAGIC));
	wr_u32(&w, LAYOUT);
	wr_u32(&w, kind);
	if (boot_id)
		wr_bytes(&w, boot_id, STORE_BOOT_ID_LEN);
	else
		wr_zero(&w, STORE_BOOT_ID_LEN);
	wr_u32(&w, (uint32_t)len);
	wr_u32(&w, checksum(buf, payload, len));
	wr_bytes(&w, payload, len);
	*ret_len = w.want;
	return buf;
}

static int damaged(const char **why, const char *text)
{
	*why = text;
	return -EBADMSG;
}

int storefile_check(const uint8_t *buf, size_t len, enum store_kind kind, const char *boot_id,
		    struct store_file *ret, const char **why)
{
	struct rd r = rd_init(buf, len);
	const uint8_t *magic = rd_bytes(&r, sizeof(MAGIC));
	uint32_t layout = rd_u32(&r), found_kind = rd_u32(&r);
	const uint8_t *boot = rd_bytes(&r, STORE_BOOT_ID_LEN);
	uint32_t payload_len = rd_u32(&r), crc = rd_u32(&r);
	uint8_t *copy;

	if (r.bad)
		return damaged(why, "shorter than its header");
	if (memcmp(magic, MAGIC, sizeof(MAGIC)))
		return damaged(why, "no Lunward state file");
	if (layout != LAYOUT)
		return -EPROTONOSUPPORT;
	if (rd_left(&r) != payload_len)
		return damaged(why, "its length is not the one it was written with");
	if (checksum(buf, r.p, payload_len) != crc)
		return damaged(why, "its checksum is wrong");
	if (found_kind != kind)
		return damaged(why, "it is of another kind");
	copy = malloc(payload_len + 1u);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, r.p, payload_len);
	*ret = (struct store_file){ .payload = copy, .len = payload_len,
				    .warm = !memcmp(boot, boot_id, STORE_BOOT_ID_LEN) };
	return 0;
}
