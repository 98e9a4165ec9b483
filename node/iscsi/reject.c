/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reject.c - PDUs of the target's own that answer no command: Reject (RFC 7143 11.17), Async Message (11.9) */
#include "node/iscsi/priv.h"
#include "node/util/util.h"

/* The data segment is the header that was wrong, AHS included */
void isc_reject(struct isc_conn *c, const struct pdu *p, enum isc_reject reason)
{
	struct ctl *ctl = isc_ctl_new(OP_REJECT, PDU_FINAL, TAG_NONE, BHS_LEN + p->ahs_len);

	c->stats.rejects++;
	if (ctl) {
		ctl->bhs[O_REJECT_REASON] = (uint8_t)reason;
		memcpy(ctl->data, p->bhs, BHS_LEN);
		if (p->ahs_len)
			memcpy(ctl->data + BHS_LEN, p->ahs, p->ahs_len);
	}
	isc_ctl_send(c, ctl, true);
}

static struct ctl *async_new(struct isc_conn *c, enum isc_async event, uint32_t len)
{
	struct ctl *ctl = NULL;

	if (c->state == CONN_FULL)
		ctl = isc_ctl_new(OP_ASYNC, PDU_FINAL, TAG_NONE, len);
	if (ctl)
		ctl->bhs[O_ASYNC_EVENT] = (uint8_t)event;
	return ctl;
}

int isc_send_async(struct isc_conn *c, enum isc_async event, uint8_t vcode, uint16_t p1, uint16_t p2, uint16_t p3)
{
	struct ctl *ctl = async_new(c, event, 0);

	if (!ctl)
		return -1;
	ctl->bhs[O_ASYNC_VCODE] = vcode;
	put_be16(ctl->bhs + O_ASYNC_P1, p1);
	put_be16(ctl->bhs + O_ASYNC_P2, p2);
	put_be16(ctl->bhs + O_ASYNC_P3, p3);
	isc_ctl_send(c, ctl, true);
	return 0;
}

int isc_send_async_scsi(struct isc_conn *c, const uint8_t lun[8], const void *sense, size_t sense_len)
{
	uint32_t n = (uint32_t)MIN(sense_len, (size_t)ISC_SENSE_MAX);
	struct ctl *ctl = async_new(c, ISC_ASYNC_SCSI, 2 + n);

	if (!ctl)
		return -1;
	memcpy(ctl->bhs + O_LUN, lun, 8);
	put_be16(ctl->data, (uint16_t)n);
	if (n)
		memcpy(ctl->data + 2, sense, n);
	isc_ctl_send(c, ctl, true);
	return 0;
}
