/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rx.c - the push parser: bytes to PDUs
 *
 * A PDU is received in three steps: its header (BHS, then AHS and header digest in one piece), its data segment, and
 * its tail (padding and data digest). isc_pdu_begin() is called after the header and says in struct rx where the data
 * goes; isc_pdu_end() after the tail. Any cut of the bytes gives the same calls. Until full feature phase there are
 * no digests and every PDU goes to login.
 */
#include <stdlib.h>

#include "node/iscsi/priv.h"
#include "node/util/util.h"

static bool digest_on(const struct isc_conn *c, uint8_t which)
{
	return c->state != CONN_LOGIN && c->state != CONN_PARKED && which == ISC_DIGEST_CRC32C;
}

static bool has_hdigest(const struct isc_conn *c) { return digest_on(c, c->params.header_digest); }
static bool has_ddigest(const struct isc_conn *c) { return digest_on(c, c->params.data_digest); }

static struct pdu rx_pdu(const struct rx *rx)
{
	return (struct pdu){ .bhs = rx->hdr, .ahs = rx->hdr + BHS_LEN, .ahs_len = pdu_ahs_len(rx->hdr),
			     .data = rx->own, .dsl = rx->dsl };
}

static void rx_next(struct rx *rx)
{
	free(rx->own);
	rx->own = NULL;
	rx->task = NULL;
	rx->dst = NULL;
	rx->dst_len = 0;
	rx->skip = rx->direct = false;
	rx->dsl = rx->got = 0;
	rx->state = RX_HEADER;
	rx->have = 0;
	rx->need = BHS_LEN;
}

void isc_rx_init(struct isc_conn *c)
{
	rx_next(&c->rx);
}

void isc_rx_free(struct isc_conn *c)
{
	rx_next(&c->rx);
}

/* The whole PDU is there */
static void rx_end(struct isc_conn *c)
{
	struct rx *rx = &c->rx;
	struct pdu p = rx_pdu(rx);
	const uint8_t *digest = rx->tail + pdu_pad(rx->dsl);

	c->stats.rx_pdus++;
	if (rx->dsl && has_ddigest(c) && !rx->skip) {
		rx->crc = isc_crc(rx->crc, rx->tail, pdu_pad(rx->dsl));
		if (!isc_crc_ok(rx->crc, digest)) {
			isc_pdu_bad_digest(c, &p);
			rx_next(rx);
			return;
		}
	}
	if (c->state == CONN_LOGIN)
		isc_login_pdu(c, &p);
	else
		isc_pdu_end(c, &p);
	rx_next(rx);
}

static void rx_tail(struct isc_conn *c)
{
	struct rx *rx = &c->rx;

	rx->state = RX_TAIL;
	rx->have = 0;
	rx->need = pdu_pad(rx->dsl) + (rx->dsl && has_ddigest(c) ? DIGEST_LEN : 0);
	if (!rx->need)
		rx_end(c);
}

/* A data segment for the library itself. Context: may allocate; not on the path of SCSI data */
static void rx_own(struct isc_conn *c)
{
	struct rx *rx = &c->rx;

	rx->own = malloc(rx->dsl);
	if (!rx->own) {
		isc_conn_close(c, ISC_CLOSE_RESOURCES, "out of memory for a data segment");
		return;
	}
	rx->dst = rx->own;
	rx->dst_len = rx->dsl;
}

/* BHS, AHS and header digest are there */
static void rx_begin(struct isc_conn *c)
{
	struct rx *rx = &c->rx;
	struct pdu p;
	bool login = c->state == CONN_LOGIN;

	rx->dsl = pdu_dsl(rx->hdr);
	rx->crc = CRC_INIT;
	p = rx_pdu(rx);
	if (rx->dsl > (login ? (uint32_t)ISC_LOGIN_PDU_MAX : c->params.max_recv_dsl)) {
		isc_conn_close(c, ISC_CLOSE_FRAMING, "data segment longer than MaxRecvDataSegmentLength");
		return;
	}
	if (!login)
		isc_pdu_begin(c, &p);
	if (c->state != CONN_CLOSING && rx->dsl && !rx->skip && !rx->task)
		rx_own(c);
	if (c->state == CONN_CLOSING)
		return;
	rx->state = RX_DATA;
	if (!rx->dsl)
		rx_tail(c);
}

/* rx->need bytes of header are there: more to come, or all? */
static void rx_header(struct isc_conn *c)
{
	struct rx *rx = &c->rx;
	uint32_t len = BHS_LEN + pdu_ahs_len(rx->hdr);
	uint32_t all = len + (has_hdigest(c) ? DIGEST_LEN : 0);

	if (rx->have < all) {
		rx->need = all;
		return;
	}
	if (has_hdigest(c) && !isc_crc_ok(isc_crc(CRC_INIT, rx->hdr, len), rx->hdr + len)) {
		isc_conn_close(c, ISC_CLOSE_HEADER_DIGEST, "header digest error");
		return;
	}
	rx_begin(c);
}

/* @n more bytes of the data segment were received; where they belong they are already */
static void rx_data_got(struct isc_conn *c, const uint8_t *p, uint32_t n)
{
	struct rx *rx = &c->rx;

	if (has_ddigest(c) && !rx->skip)
		rx->crc = isc_crc(rx->crc, p, n);
	rx->got += n;
	if (rx->got == rx->dsl)
		rx_tail(c);
}

/* Return: how many of the @len bytes at @p belonged to the data segment */
static size_t rx_data(struct isc_conn *c, const uint8_t *p, size_t len)
{
	struct rx *rx = &c->rx;
	uint32_t n = (uint32_t)MIN(len, (size_t)(rx->dsl - rx->got));

	if (rx->got < rx->dst_len)
		memcpy(rx->dst + rx->got, p, MIN(n, rx->dst_len - rx->got));
	rx_data_got(c, p, n);
	return n;
}

/* Header or tail. Return: bytes used */
static size_t rx_fixed(struct isc_conn *c, uint8_t *to, const uint8_t *p, size_t len)
{
	struct rx *rx = &c->rx;
	uint32_t n = (uint32_t)MIN(len, (size_t)(rx->need - rx->have));

	memcpy(to + rx->have, p, n);
	rx->have += n;
	if (rx->have == rx->need) {
		if (rx->state == RX_TAIL)
			rx_end(c);
		else
			rx_header(c);
	}
	return n;
}

int isc_rx(struct isc_conn *c, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	c->stats.rx_bytes += len;
	while (len && c->state != CONN_CLOSING) {
		struct rx *rx = &c->rx;
		size_t n;

		if (c->state == CONN_PARKED) {
			isc_conn_close(c, ISC_CLOSE_PROTOCOL, "data before the login was answered");
			break;
		}
		if (rx->state == RX_DATA)
			n = rx_data(c, p, len);
		else
			n = rx_fixed(c, rx->state == RX_TAIL ? rx->tail : rx->hdr, p, len);
		p += n;
		len -= n;
	}
	return c->state == CONN_CLOSING ? -1 : 0;
}

size_t isc_rx_direct(struct isc_conn *c, void **ret_p)
{
	struct rx *rx = &c->rx;

	if (c->state == CONN_CLOSING || rx->state != RX_DATA || !rx->direct || rx->got >= rx->dst_len)
		return 0;
	*ret_p = rx->dst + rx->got;
	return rx->dst_len - rx->got;
}

int isc_rx_direct_done(struct isc_conn *c, size_t n)
{
	struct rx *rx = &c->rx;

	if (c->state == CONN_CLOSING)
		return -1;
	if (n && rx->state == RX_DATA && rx->got < rx->dst_len) {
		n = MIN(n, (size_t)(rx->dst_len - rx->got));
		c->stats.rx_bytes += n;
		rx_data_got(c, rx->dst + rx->got, (uint32_t)n);
	}
	return c->state == CONN_CLOSING ? -1 : 0;
}

bool isc_rx_paused(const struct isc_conn *c)
{
	return c->tx.backlog > ISC_TX_BACKLOG_MAX;
}
