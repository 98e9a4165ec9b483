/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_lossy.c - error recovery on a line that loses and breaks PDUs both ways, and (level 2) is cut, by a random sequence
 *
 * An initiator that does what RFC 7143 7.2 has for it: it retries commands that ExpCmdSN does not pass, asks for missing
 * data and responses by SNACK, acknowledges a status only when its data is whole, and answers recovery R2Ts. Where the
 * connection is cut it logs in again with its CID and has its commands reassigned. In the end
 * each command has completed once with GOOD, and every byte was right: peer.c checks those written, this those read.
 */
#include <stdlib.h>
#include <string.h>

#include "node/iscsi/recover.h"
#include "tests/unit/iscsi/peer.h"

enum { COMMANDS = 24, DEPTH = 6, BYTES_MAX = 40000, SEGMENT = 1024, BURST = 8192, FIRST = 4096, SEEDS = 300 };
enum { SEEDS_CUT = 150, CUTS_MAX = 12 };
enum { PDUS_MAX = BYTES_MAX / SEGMENT + BYTES_MAX / BURST + 2, ROUNDS_MAX = 3000, STATS = 8192 };

struct cmd {
	uint8_t bhs[BHS_LEN];
	uint32_t len, immediate, tag;
	bool read, sent, status, done;
	bool orphan;                  /* to be reassigned */
	uint32_t told, tmf;           /* ... with this ExpDataSN, by this request */
	uint32_t statsn, n_data;      /* with the status: how many Data-Ins there are */
	bool have[PDUS_MAX];
	uint32_t acked, last_r2t;     /* R2TSNs seen: all before */
};

struct line {
	struct peer *p;               /* the connection of now */
	struct peer *all[CUTS_MAX + 1]; /* the first, and those that took its place */
	unsigned cuts, max_cuts;
	uint32_t rnd, loss;           /* one PDU of so many is lost, and another one broken */
	struct cmd cmd[COMMANDS];
	unsigned n, done;
	uint32_t exp_statsn, exp_cmdsn, tag;
	bool seen[STATS];             /* StatSNs modulo */
	bool rdata;
};

static uint32_t dice(struct line *l, uint32_t n)
{
	l->rnd = l->rnd * 1664525u + 1013904223u;
	return (l->rnd >> 8) % n;
}

static void send(struct line *l, uint8_t *bhs, const void *data, uint32_t len)
{
	uint8_t out[BHS_LEN + SEGMENT * 4 + 16];
	size_t n;

	put_be32(bhs + O_EXP_STATSN, l->exp_statsn);
	n = peer_pack(l->p, bhs, data, len, out);
	if (!dice(l, l->loss))
		return;
	if (len && !dice(l, l->loss))
		out[n - 1 - dice(l, len)] ^= 1;
	assert_int_equal(peer_feed(l->p, out, n), 0);
}

static void data_out(struct line *l, const struct cmd *m, uint32_t ttt, uint32_t off, uint32_t end)
{
	uint8_t bhs[BHS_LEN], data[SEGMENT];

	for (uint32_t sn = 0; off < end; sn++) {
		uint32_t n = ttt == TAG_NONE ? SEGMENT : 1 + dice(l, SEGMENT);  /* a retry repeats what was sent */

		n = MIN(n, end - off);
		peer_bhs(bhs, OP_DATA_OUT, off + n == end ? PDU_FINAL : 0, pdu_itt(m->bhs));
		bhs[O_LUN + 1] = 3;
		put_be32(bhs + O_TTT, ttt);
		put_be32(bhs + O_DATASN, sn);
		put_be32(bhs + O_DATA_OFFSET, off);
		pattern_fill(data, off, n);
		send(l, bhs, data, n);
		off += n;
	}
}

/* First time, or again */
static void send_cmd(struct line *l, struct cmd *m)
{
	uint8_t data[SEGMENT];

	pattern_fill(data, 0, m->immediate);
	send(l, m->bhs, data, m->immediate);
	if (!pdu_final(m->bhs))
		data_out(l, m, TAG_NONE, m->immediate, MIN(m->len, (uint32_t)FIRST));
	m->sent = true;
}

static void make_cmd(struct line *l)
{
	struct cmd *m = &l->cmd[l->n++];

	m->len = 1 + dice(l, BYTES_MAX);
	m->read = dice(l, 2);
	if (m->read) {
		peer_cmd_bhs(l->p, m->bhs, CDB_READ, PDU_FINAL | CMD_READ, m->len, m->len);
	} else {
		uint32_t n = dice(l, 2) ? dice(l, SEGMENT) : 0;

		m->immediate = MIN(m->len, n);
		peer_cmd_bhs(l->p, m->bhs, CDB_WRITE, CMD_WRITE, m->len, m->len);
		if (m->immediate == m->len || dice(l, 2))
			m->bhs[O_FLAGS] |= PDU_FINAL;
	}
	send_cmd(l, m);
}

static void snack(struct line *l, uint8_t type, uint32_t itt, uint32_t tag, uint32_t begin, uint32_t run)
{
	uint8_t bhs[BHS_LEN];

	peer_bhs(bhs, OP_SNACK, PDU_FINAL | type, itt);
	bhs[O_LUN + 1] = type == SNACK_DATA_ACK ? 3 : 0;
	put_be32(bhs + O_TTT, tag);
	put_be32(bhs + O_SNACK_BEGIN, begin);
	put_be32(bhs + O_SNACK_RUN, run);
	send(l, bhs, NULL, 0);
}

/* ---- what comes ---- */

static void numbered(struct line *l, uint32_t sn)
{
	l->seen[sn % STATS] = true;
	while (l->seen[l->exp_statsn % STATS]) {
		l->seen[l->exp_statsn % STATS] = false;
		l->exp_statsn++;
	}
}

static uint32_t first_missing(const struct cmd *m, uint32_t from)
{
	while (from < PDUS_MAX && m->have[from])
		from++;
	return from;
}

static void check_done(struct line *l, struct cmd *m)
{
	if (!m->status || m->done || (m->read && first_missing(m, 0) < m->n_data))
		return;
	m->done = true;
	l->done++;
	numbered(l, m->statsn);
}

static struct cmd *find(struct line *l, uint32_t itt)
{
	for (unsigned i = 0; i < l->n; i++)
		if (pdu_itt(l->cmd[i].bhs) == itt || (l->cmd[i].tmf && l->cmd[i].tmf == itt))
			return &l->cmd[i];
	return NULL;
}

static void got_status(struct line *l, struct cmd *m, const struct reply *r, uint32_t n_data)
{
	assert_int_equal(r->h[O_STATUS], 0);
	if (m->done) {
		assert_int_equal(m->statsn, get_be32(r->h + O_STATSN));  /* never a second answer */
		return;
	}
	if (m->tag && (r->h[O_OPCODE] != OP_SCSI_RSP || get_be32(r->h + O_RSP_SNACK_TAG) != m->tag))
		return;  /* an R-Data SNACK makes it void, if that arrives */
	m->status = true;
	m->statsn = get_be32(r->h + O_STATSN);
	m->n_data = n_data;
	check_done(l, m);
}

static void got_data(struct line *l, struct cmd *m, const struct reply *r)
{
	uint32_t sn = get_be32(r->h + O_DATASN);

	assert_true(sn < PDUS_MAX && m->read && !get_be32(r->h + O_RESIDUAL));
	assert_true(get_be32(r->h + O_DATA_OFFSET) + r->len <= m->len);
	pattern_check(r->data, get_be32(r->h + O_DATA_OFFSET), r->len);
	m->have[sn] = true;
	if (r->h[O_FLAGS] & DATA_ACK && first_missing(m, 0) > sn) {
		snack(l, SNACK_DATA_ACK, TAG_NONE, get_be32(r->h + O_TTT), sn + 1, 0);
		m->acked = sn + 1;
	}
	if (r->h[O_FLAGS] & DATA_STATUS)
		got_status(l, m, r, sn + 1);
	else
		check_done(l, m);
}

static void got_r2t(struct line *l, struct cmd *m, const struct reply *r)
{
	uint32_t sn = get_be32(r->h + O_DATASN), off = get_be32(r->h + O_DATA_OFFSET);

	if (m->done || sn < m->last_r2t)
		return;
	m->last_r2t = sn + 1;
	data_out(l, m, get_be32(r->h + O_TTT), off, off + get_be32(r->h + O_R2T_LENGTH));
}

/* Several times, if the response was lost; then perhaps after the end of the task. @m: NULL: an older request's */
static void got_reassigned(struct line *l, const struct cmd *m, const struct reply *r)
{
	uint8_t response = r->h[O_TMF_RESPONSE];

	numbered(l, get_be32(r->h + O_STATSN));
	assert_true(response == ISC_TMF_COMPLETE || response == ISC_TMF_STILL_ALLEGIANT || !m || m->done);
}

static void got(struct line *l, const struct reply *r)
{
	struct cmd *m = find(l, pdu_itt(r->h));
	uint32_t sn = get_be32(r->h + O_STATSN);

	if (m)
		m->orphan = false;  /* it has been reassigned, whatever became of the response */
	if (!sn_before(get_be32(r->h + O_EXP_CMDSN), l->exp_cmdsn))
		l->exp_cmdsn = get_be32(r->h + O_EXP_CMDSN);
	if (r->h[O_OPCODE] == OP_REJECT)
		numbered(l, sn);
	else if (r->h[O_OPCODE] == OP_TMF_RSP)
		got_reassigned(l, m, r);
	else if (!m)
		fail_msg("PDU %02x for nobody", r->h[O_OPCODE]);
	else if (r->h[O_OPCODE] == OP_DATA_IN)
		got_data(l, m, r);
	else if (r->h[O_OPCODE] == OP_R2T)
		got_r2t(l, m, r);
	else if (r->h[O_OPCODE] == OP_SCSI_RSP)
		got_status(l, m, r, get_be32(r->h + O_RSP_EXP_DATASN));
	else
		fail_msg("PDU %02x", r->h[O_OPCODE]);
}

/* ---- nothing comes: what may be missing? ---- */

static void recover_read(struct line *l, struct cmd *m)
{
	uint32_t first = first_missing(m, m->acked);

	if (l->rdata && !dice(l, 4)) {
		memset(m->have + m->acked, 0, sizeof(m->have) - m->acked * sizeof(m->have[0]));
		m->status = false;
		m->tag = ++l->tag;
		snack(l, SNACK_RDATA, pdu_itt(m->bhs), m->tag, 0, 0);
	} else if (m->status) {
		snack(l, SNACK_DATA, pdu_itt(m->bhs), TAG_NONE, first, 1);
	} else {
		snack(l, SNACK_DATA, pdu_itt(m->bhs), TAG_NONE, 0, 0);
	}
}

/* ---- the connection is cut ---- */

static void reassign(struct line *l, struct cmd *m)
{
	uint8_t bhs[BHS_LEN];

	peer_numbered(l->p, bhs, OP_TMF | PDU_IMMEDIATE, PDU_FINAL | ISC_TMF_TASK_REASSIGN);
	put_be32(bhs + O_TMF_REF_ITT, pdu_itt(m->bhs));
	put_be32(bhs + O_TMF_EXP_DATASN, m->told);
	m->tmf = pdu_itt(bhs);
	send(l, bhs, NULL, 0);
}

/* The target has it: it is told what there is, or the least that it has to send again */
static void orphaned(struct line *l, struct cmd *m)
{
	m->orphan = true;
	m->status = false;
	m->tag = m->tmf = 0;
	if (!m->read) {
		m->told = m->last_r2t = dice(l, 2) ? m->last_r2t : 0;
		return;
	}
	m->acked = m->told = dice(l, 2) ? first_missing(m, m->acked) : m->acked;
	memset(m->have + m->acked, 0, sizeof(m->have) - m->acked * sizeof(m->have[0]));
}

static void cut(struct line *l)
{
	struct reply r;

	assert_true(isc_conn_lose(l->p->c));
	l->p = l->all[++l->cuts] = peer_further(l->all[0], 9);
	peer_login(l->p, STAGE_OPERATIONAL, STAGE_FULL, false, "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n"
		   "HeaderDigest=CRC32C\nDataDigest=CRC32C\nMaxRecvDataSegmentLength=1024\n");
	peer_want(l->p, OP_LOGIN_RSP, &r);
	l->p->loose = true;
	l->p->chunk = l->all[0]->chunk;
	l->p->tx_chunk = l->all[0]->tx_chunk;
	memset(l->seen, 0, sizeof(l->seen));
	l->exp_statsn = l->p->statsn;
	l->exp_cmdsn = l->p->c->sess->exp_cmdsn;
	for (unsigned i = 0; i < l->n; i++)
		if (!l->cmd[i].done && sn_before(pdu_cmdsn(l->cmd[i].bhs), l->exp_cmdsn))
			orphaned(l, &l->cmd[i]);
}

static void recover_all(struct line *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		struct cmd *m = &l->cmd[i];

		if (m->done)
			continue;
		if (m->orphan)
			reassign(l, m);
		else if (!sn_before(pdu_cmdsn(m->bhs), l->exp_cmdsn))
			send_cmd(l, m);
		else if (m->read)
			recover_read(l, m);
		else if (dice(l, 2))
			snack(l, SNACK_DATA, pdu_itt(m->bhs), TAG_NONE, 0, 0);
	}
	snack(l, SNACK_STATUS, TAG_NONE, TAG_NONE, 0, 0);
	isc_conn_tick(l->p->c);
}

static void listen_all(struct line *l)
{
	struct reply r;

	while (peer_next(l->p, &r))
		if (dice(l, l->loss))
			got(l, &r);
}

/* @max_cuts: 0: error recovery level 1 */
static void line_run(uint32_t seed, uint32_t loss, unsigned max_cuts)
{
	struct line *l = calloc(1, sizeof(*l));
	char keys[256];
	unsigned rounds = 0;

	snprintf(keys, sizeof(keys), "ErrorRecoveryLevel=%d\nHeaderDigest=CRC32C\nDataDigest=CRC32C\nMaxRecvDataSegmentLength=1024\n"
		 "MaxBurstLength=8192\nFirstBurstLength=4096\nInitialR2T=No\nImmediateData=Yes\n", max_cuts ? 2 : 1);
	l->max_cuts = max_cuts;
	l->rnd = seed;
	l->loss = loss;
	l->rdata = seed % 3 == 0;
	l->p = l->all[0] = peer_new();
	l->p->cfg.max_erl = 2;
	l->p->itt = 0x9000;
	l->p->chunk = seed % 5 ? 0 : 100 + seed % 1000;
	l->p->tx_chunk = seed % 7 ? 0 : 100 + seed % 1000;
	l->exp_cmdsn = l->p->cmdsn;
	peer_full(l->p, keys);
	l->p->loose = true;
	l->exp_statsn = l->p->statsn;
	while (l->done < COMMANDS) {
		while (l->n < COMMANDS && l->n - l->done < DEPTH)
			make_cmd(l);
		listen_all(l);
		if (l->cuts < l->max_cuts && !dice(l, 3))
			cut(l);
		if (l->n - l->done == DEPTH || l->n == COMMANDS)
			recover_all(l);
		assert_true(++rounds < ROUNDS_MAX);
	}
	assert_int_equal(l->all[0]->commands, COMMANDS);
	assert_int_equal(l->p->closings, 0);
	for (unsigned i = 0; i < COMMANDS; i++)
		assert_int_equal(l->all[0]->cmdsn_log[i], pdu_cmdsn(l->cmd[i].bhs));
	for (unsigned i = l->cuts + 1; i; i--)
		peer_free(l->all[i - 1]);
	free(l);
}

static void lossy(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++)
		line_run(seed * 7919, 8 + seed % 40, 0);
}

static void cut_off(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS_CUT; seed++)
		line_run(seed * 104729, seed % 4 ? 8 + seed % 40 : UINT32_MAX, CUTS_MAX);
}

/* ... and recovery is not wanted where nothing is lost */
static void lossless(void **state)
{
	(void)state;
	line_run(1, UINT32_MAX, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(lossless), cmocka_unit_test(lossy), cmocka_unit_test(cut_off) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
