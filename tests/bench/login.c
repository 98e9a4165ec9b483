/* SPDX-License-Identifier: GPL-2.0-or-later */
/* login.c - a session from nothing to its first command, on a blocking socket; so are the commands that prepare it */
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/util/util.h"
#include "tests/bench/load.h"

#define NAME "iqn.2026-11.org.example:bench"

static int dial(const struct options *o)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai;
	int fd, on = 1, rc = getaddrinfo(o->host, o->port, &hints, &ai);

	if (rc)
		die("%s port %s: %s", o->host, o->port, gai_strerror(rc));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen))
		die("cannot connect to %s port %s: %m", o->host, o->port);
	freeaddrinfo(ai);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void put_all(int fd, const void *p, size_t n)
{
	if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		die("cannot send: %m");
}

static void get_all(int fd, void *p, size_t n)
{
	if (n && recv(fd, p, n, MSG_WAITALL) != (ssize_t)n)
		die("the target closed the connection");
}

/* One PDU; @text: of at least 8 KiB, gets its data segment, terminated. Digests are not checked. */
static uint32_t get_pdu(struct session *s, uint8_t *h, char *text, bool digests)
{
	uint8_t digest[DIGEST_LEN];
	uint32_t n;

	get_all(s->fd, h, BHS_LEN);
	if (digests && s->o->header_digest)
		get_all(s->fd, digest, DIGEST_LEN);
	n = pdu_dsl(h);
	if (n + 4 > 8192)
		die("a data segment of %u bytes during login", n);
	get_all(s->fd, text, n + pdu_pad(n));
	text[n] = 0;
	if (digests && n && s->o->data_digest)
		get_all(s->fd, digest, DIGEST_LEN);
	return n;
}

/* Return: the value of a key, or NULL */
static const char *find(const char *text, uint32_t len, const char *key)
{
	size_t k = strlen(key);

	for (const char *p = text; p < text + len; p += strlen(p) + 1)
		if (strncmp(p, key, k) == 0 && p[k] == '=')
			return p + k + 1;
	return NULL;
}

static void number(const char *text, uint32_t len, const char *key, uint32_t *ret)
{
	const char *v = find(text, len, key);

	if (v)
		*ret = (uint32_t)strtoul(v, NULL, 0);
}

static void learn(struct session *s, const char *text, uint32_t len)
{
	const char *v;

	number(text, len, "MaxRecvDataSegmentLength", &s->send_dsl);
	number(text, len, "FirstBurstLength", &s->first_burst);
	v = find(text, len, "ImmediateData");
	if (v)
		s->immediate = strcmp(v, "Yes") == 0;
	v = find(text, len, "HeaderDigest");
	if (v && (strcmp(v, "CRC32C") == 0) != s->o->header_digest)
		die("the target has HeaderDigest=%s", v);
	v = find(text, len, "DataDigest");
	if (v && (strcmp(v, "CRC32C") == 0) != s->o->data_digest)
		die("the target has DataDigest=%s", v);
}

/* Return: length of "key=value\0…" for a stage */
static uint32_t text_of(const struct session *s, unsigned stage, char *text)
{
	int n;

	if (stage == STAGE_SECURITY)
		n = sprintf(text, "InitiatorName=" NAME "%cTargetName=%s%cSessionType=Normal%cAuthMethod=None", 0, s->o->iqn,
			    0, 0);
	else
		n = sprintf(text, "HeaderDigest=%s%cDataDigest=%s%cMaxRecvDataSegmentLength=262144%cMaxBurstLength=16776192%c"
			    "FirstBurstLength=262144%cInitialR2T=No%cImmediateData=Yes%cMaxOutstandingR2T=1%cMaxConnections=1%c"
			    "ErrorRecoveryLevel=0%cDefaultTime2Wait=2%cDefaultTime2Retain=0%cDataPDUInOrder=Yes%cDataSequenceInOrder=Yes",
			    s->o->header_digest ? "CRC32C" : "None", 0, s->o->data_digest ? "CRC32C" : "None", 0, 0, 0, 0, 0, 0,
			    0, 0, 0, 0, 0, 0);
	return (uint32_t)n + 1;
}

/* One request and its answer. Return: the stage that follows */
static unsigned login_step(struct session *s, unsigned number_, unsigned stage, bool first)
{
	unsigned next = stage == STAGE_SECURITY ? STAGE_OPERATIONAL : STAGE_FULL;
	uint8_t h[BHS_LEN] = { OP_LOGIN | PDU_IMMEDIATE, (uint8_t)(PDU_TRANSIT | stage << 2 | next) };
	char text[8192] = "";
	uint32_t n = first ? text_of(s, stage, text) : 0;

	put_be24(h + O_DSL, n);
	h[O_LOGIN_ISID] = 0x80;
	put_be32(h + O_LOGIN_ISID + 2, number_);
	put_be32(h + O_CMDSN, s->cmdsn);
	put_be32(h + O_EXP_STATSN, s->exp_statsn);
	put_all(s->fd, h, sizeof(h));
	if (n)
		put_all(s->fd, text, n + pdu_pad(n));
	n = get_pdu(s, h, text, false);
	if (pdu_opcode(h) != OP_LOGIN_RSP || h[O_LOGIN_STATUS])
		die("login refused: status %02x%02x", h[O_LOGIN_STATUS], h[O_LOGIN_STATUS + 1]);
	learn(s, text, n);
	s->exp_statsn = get_be32(h + O_STATSN) + 1;
	s->max_cmdsn = get_be32(h + O_MAX_CMDSN);
	return h[O_FLAGS] & PDU_TRANSIT ? h[O_FLAGS] & 3u : stage;
}

static void login(struct session *s, unsigned number_)
{
	unsigned stage = STAGE_SECURITY, last = STAGE_FULL;

	for (unsigned tries = 0; stage != STAGE_FULL; tries++) {
		unsigned next;

		if (tries == 8)
			die("a login that comes to no end");
		next = login_step(s, number_, stage, stage != last);
		last = stage;
		stage = next;
	}
	s->out.header_digest = s->o->header_digest;
	s->out.data_digest = s->o->data_digest;
}

/* A command that reads at most 8 KiB. Return: SCSI status; @data gets what came */
static uint8_t simple(struct session *s, const uint8_t *cdb, uint32_t edtl, char *data)
{
	uint8_t *q = pieces_add(&s->out, 0), h[BHS_LEN];
	struct iovec iov[PIECE_IOV];
	char text[8192];

	q[O_OPCODE] = OP_SCSI_CMD;
	q[O_FLAGS] = PDU_FINAL | (edtl ? CMD_READ : 0);
	put_be64(q + O_LUN, s->o->lun << 48);
	put_be32(q + O_CMD_EDTL, edtl);
	put_be32(q + O_CMDSN, s->cmdsn++);
	put_be32(q + O_EXP_STATSN, s->exp_statsn);
	memcpy(q + O_CMD_CDB, cdb, 16);
	pieces_seal(&s->out);
	(void)pieces_iov(&s->out, iov);
	put_all(s->fd, iov[0].iov_base, iov[0].iov_len);
	pieces_sent(&s->out, iov[0].iov_len);
	for (;;) {
		uint32_t n = get_pdu(s, h, text, true);

		if (pdu_opcode(h) == OP_DATA_IN && n <= edtl)
			memcpy(data, text, n);
		if (pdu_opcode(h) != OP_SCSI_RSP && !(pdu_opcode(h) == OP_DATA_IN && h[O_FLAGS] & DATA_STATUS))
			continue;
		s->exp_statsn = get_be32(h + O_STATSN) + 1;
		s->max_cmdsn = get_be32(h + O_MAX_CMDSN);
		return h[O_STATUS];
	}
}

static void prepare(struct session *s)
{
	static const uint8_t ready[16], capacity[16] = { 0x9e, 0x10, [13] = 32 };
	uint64_t blocks;
	char data[32];

	for (unsigned tries = 0; simple(s, ready, 0, NULL); tries++) {
		if (tries == 100)
			die("the LUN does not get ready");
		if (tries > 8)
			usleep(50000);
	}
	if (simple(s, capacity, sizeof(data), data))
		die("READ CAPACITY(16) failed");
	blocks = get_be64((uint8_t *)data) + 1;
	s->block_size = get_be32((uint8_t *)data + 8);
	s->bytes = MIN(blocks * s->block_size, s->o->span);
	if (!s->block_size || s->o->block % s->block_size || s->bytes < s->o->block)
		die("blocks of %u bytes do not fit a LUN of %llu blocks of %u", s->o->block, (unsigned long long)blocks,
		    s->block_size);
}

void session_open(struct session *s, const struct options *o, unsigned number_)
{
	*s = (struct session){ .o = o, .send_dsl = 8192, .first_burst = 65536, .immediate = true, .cmdsn = 1,
			       .block_size = 512, .bytes = o->span, .random = number_ * 2654435761u + 1 };
	s->fd = dial(o);
	s->slot = calloc(o->depth, sizeof(*s->slot));
	s->rx_buf = malloc(RX_BYTES);
	if (!s->slot || !s->rx_buf)
		die("out of memory");
	pieces_init(&s->out, 16);
	if (!o->bare) {
		login(s, number_);
		prepare(s);
	}
	s->immediate_max = MIN(s->first_burst, s->send_dsl);
	free(s->out.ring);
	pieces_init(&s->out, 16 + o->depth * (o->block / s->send_dsl + 2));
	s->out.header_digest = o->header_digest;
	s->out.data_digest = o->data_digest;
}
