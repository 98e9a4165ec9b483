/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vpd_id.c - vital product data that names things: Device Identification, SCSI Ports, Management Network Addresses
 *
 * The same on every node and for ever: names come from the configuration, never from the device or the node.
 */
#include "node/scsi/internal.h"

/* Designation descriptor: association and type, SPC-4 7.8.6.1 */
enum { ASSOC_LU = 0x00, ASSOC_PORT = 0x10, ASSOC_TARGET = 0x20 };
enum { DES_T10 = 0x1, DES_EUI = 0x2, DES_NAA = 0x3, DES_RTPI = 0x4, DES_TPG = 0x5, DES_NAME = 0x8 };
enum { CODE_BINARY = 0x1, CODE_ASCII = 0x2, CODE_UTF8 = 0x3 };
#define PROTO_ISCSI 0x50
#define PIV         0x80

/* Start of a designator; its length is patched by end_designator(). Return: where */
static uint32_t designator(struct sc_out *o, unsigned code_set, unsigned assoc, unsigned type)
{
	bool lu = assoc == ASSOC_LU;

	sc_out_u8(o, (lu ? 0u : PROTO_ISCSI) | code_set);
	sc_out_u8(o, (lu ? 0u : PIV) | assoc | type);
	sc_out_u16(o, 0);
	return o->len;
}

static void end_designator(struct sc_out *o, uint32_t start)
{
	sc_out_patch(o, start - 1, o->len - start, 1);
}

/* SCSI name string: at least one NUL, a multiple of four. SPC-4 7.8.6.11 */
static void put_name(struct sc_out *o, unsigned assoc, const char *name, const char *suffix)
{
	uint32_t n = (uint32_t)(strlen(name) + strlen(suffix));
	uint32_t at = designator(o, CODE_UTF8, assoc, DES_NAME);

	sc_out_bytes(o, name, (uint32_t)strlen(name));
	sc_out_bytes(o, suffix, (uint32_t)strlen(suffix));
	sc_out_zero(o, 4 - n % 4);
	end_designator(o, at);
}

static void put_number(struct sc_out *o, unsigned type, uint16_t number)
{
	uint32_t at = designator(o, CODE_BINARY, ASSOC_PORT, type);

	sc_out_zero(o, 2);
	sc_out_u16(o, number);
	end_designator(o, at);
}

static void put_binary(struct sc_out *o, unsigned type, const uint8_t *id, uint32_t n)
{
	uint32_t at = designator(o, CODE_BINARY, ASSOC_LU, type);

	sc_out_bytes(o, id, n);
	end_designator(o, at);
}

/*
 * NAA first: it is what initiators look for. The T10 one names no product, so that it outlives a change of that. The
 * name string is the NAA identifier again, for those that rank a locally assigned one low but take any name (multipath).
 */
void sc_vpd_lu_names(const struct sc_lu *lu, struct sc_out *o)
{
	char name[4 + 2 * sizeof(lu->naa) + 1] = "naa.";
	uint32_t at;

	put_binary(o, DES_NAA, lu->naa, lu->naa_len);
	if (lu->eui_len)
		put_binary(o, DES_EUI, lu->eui, lu->eui_len);
	at = designator(o, CODE_ASCII, ASSOC_LU, DES_T10);
	sc_out_ascii(o, SC_VENDOR, 8);
	sc_out_bytes(o, lu->serial, (uint32_t)strlen(lu->serial));
	end_designator(o, at);
	for (unsigned i = 0; i < lu->naa_len; i++)
		snprintf(name + 4 + 2 * (size_t)i, 3, "%02X", lu->naa[i]);
	put_name(o, ASSOC_LU, name, "");
}

/* Target port name: ",t,0x" and the target portal group tag behind the iSCSI name (RFC 7143 4.2.7.1 and 3.4.3) */
static void put_port_name(const struct sc_target *tgt, uint16_t tpgt, struct sc_out *o)
{
	char suffix[16];

	snprintf(suffix, sizeof(suffix), ",t,0x%04x", tpgt);
	put_name(o, ASSOC_PORT, tgt->name, suffix);
}

static uint16_t tpgt_of(const struct sc_ctx *ctx)
{
	for (unsigned i = 0; i < ctx->tgt->n_ports; i++)
		if (ctx->tgt->ports[i].rtpi == ctx->nexus->rtpi)
			return ctx->tgt->ports[i].tpgt;
	return 0;
}

/* Of the logical unit; of the port the command came through, with its port group (alua.c); of the target device */
void sc_vpd_identification(const struct sc_ctx *ctx, struct sc_out *o)
{
	sc_vpd_lu_names(ctx->lu, o);
	put_number(o, DES_RTPI, ctx->nexus->rtpi);
	put_number(o, DES_TPG, tpgt_of(ctx));
	put_port_name(ctx->tgt, tpgt_of(ctx), o);
	put_name(o, ASSOC_TARGET, ctx->tgt->name, "");
}

/* Nothing is managed through the target's own addresses. SPC-4 7.8.8 */
void sc_vpd_networks(const struct sc_ctx *ctx, struct sc_out *o)
{
	(void)ctx;
	(void)o;
}

/* Every target port with its name; initiator ports there are none. SPC-4 7.8.15 */
void sc_vpd_ports(const struct sc_ctx *ctx, struct sc_out *o)
{
	for (unsigned i = 0; i < ctx->tgt->n_ports; i++) {
		uint32_t at;

		sc_out_zero(o, 2);
		sc_out_u16(o, ctx->tgt->ports[i].rtpi);
		sc_out_zero(o, 2);
		sc_out_u16(o, 0);  /* INITIATOR PORT TRANSPORTID LENGTH */
		sc_out_zero(o, 2);
		sc_out_u16(o, 0);  /* TARGET PORT DESCRIPTORS LENGTH */
		at = o->len;
		put_port_name(ctx->tgt, ctx->tgt->ports[i].tpgt, o);
		sc_out_patch(o, at - 2, o->len - at, 2);
	}
}
