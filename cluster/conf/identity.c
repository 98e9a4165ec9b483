/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.c - names and numbers derived from the document
 *
 * They are the same on every node and in every version: initiators find their disks by them, and arrays our
 * registrations. So nothing here may ever change; tests/unit/conf pins the values. Each is the start of
 * SHA-256 over a label, then each part with a zero byte after it.
 */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include <nettle/sha2.h>

#include "cluster/conf/internal.h"
#include "node/util/wire.h"

static void hash(uint8_t ret[SHA256_DIGEST_SIZE], const char *const *parts, size_t n)
{
	struct sha256_ctx h;

	sha256_init(&h);
	for (size_t i = 0; i < n; i++)
		sha256_update(&h, strlen(parts[i]) + 1, (const uint8_t *)parts[i]);
	sha256_digest(&h, SHA256_DIGEST_SIZE, ret);
}

/* RFC 3722 allows lower-case letters, digits, dash and dot of what value_name() allows. */
static void iname_part(char *to, size_t size, const char *from)
{
	size_t i = 0;

	for (; from[i] && i + 1 < size; i++)
		to[i] = from[i] == '_' ? '-' : (char)tolower((unsigned char)from[i]);
	to[i] = '\0';
}

char *conf_initiator_name(const char *cluster, const char *node, char *buf)
{
	char c[CONF_NAME_MAX + 1], n[CONF_NAME_MAX + 1];

	iname_part(c, sizeof(c), cluster);
	iname_part(n, sizeof(n), node);
	snprintf(buf, CONF_ISCSI_NAME_MAX + 1, "iqn.2026-11.io.lunward:%s:%s", c, n);
	return buf;
}

const char *device_key(const char *path)
{
	const char *name;

	if (strncmp(path, "iscsi://", 8))
		return path;
	name = strchr(path + 8, '/');
	return name ? name : path;
}

void conf_isid(enum conf_role role, const char *group, const char *url, unsigned index, uint8_t ret[6])
{
	const char *parts[] = { "lunward isid", group, device_key(url) };
	uint8_t h[SHA256_DIGEST_SIZE];

	hash(h, parts, ARRAY_SIZE(parts));
	ret[0] = 0x80;     /* T = 10b, the rest is reserved */
	memcpy(ret + 1, h, 4);
	ret[5] = (uint8_t)((unsigned)role << 6 | (index & (CONF_ISID_INDEXES - 1)));
}

static void identity_serial(struct conf_identity *id, const char *serial)
{
	snprintf(id->serial, sizeof(id->serial), "%s", serial);
	snprintf(id->t10, sizeof(id->t10), "%s", serial);
}

void conf_identity(const char *cluster, const char *iqn, unsigned lun, struct conf_identity *ret)
{
	char number[12], serial[21];
	const char *parts[] = { "lunward identity", cluster, iqn, number };
	uint8_t h[SHA256_DIGEST_SIZE];

	snprintf(number, sizeof(number), "%u", lun);
	hash(h, parts, ARRAY_SIZE(parts));
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->naa, h, 8);
	ret->naa[0] = (uint8_t)(0x30 | (h[0] & 0x0f));   /* SPC-4 7.8.6.6.4, NAA 3h: locally assigned */
	ret->naa_len = 8;
	snprintf(ret->product, sizeof(ret->product), "%s", CONF_PRODUCT);
	for (size_t i = 0; i < 10; i++)
		snprintf(serial + 2 * i, 3, "%02x", h[8 + i]);
	identity_serial(ret, serial);
}

/* Return: bytes */
static uint8_t from_hex(uint8_t ret[16], const char *hex)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n && i < 16; i++) {
		const char byte[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		ret[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return (uint8_t)n;
}

void conf_fill_identities(struct conf *c)
{
	for (size_t i = 0; i < c->n_group; i++)
		for (size_t j = 0; j < c->group[i].n_target; j++) {
			struct conf_target *t = &c->group[i].target[j];

			for (size_t k = 0; k < t->n_lun; k++) {
				struct conf_lun *l = &t->lun[k];

				conf_identity(c->cluster, t->iqn, l->number, &l->id);
				if (l->set_serial)
					identity_serial(&l->id, l->set_serial);
				if (l->set_naa)
					l->id.naa_len = from_hex(l->id.naa, l->set_naa);
				if (l->set_eui)
					l->id.eui_len = from_hex(l->id.eui, l->set_eui);
				if (l->set_product)
					snprintf(l->id.product, sizeof(l->id.product), "%s", l->set_product);
			}
		}
}
