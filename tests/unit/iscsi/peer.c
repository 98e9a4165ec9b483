/* SPDX-License-Identifier: GPL-2.0-or-later */
/* peer.c - see peer.h */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

uint8_t pattern(size_t i) { return (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16)); }

void pattern_fill(uint8_t *buf, size_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = pattern(off + i);
}

void pattern_check(const uint8_t *buf, size_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != pattern(off + i))
			fail_msg("byte %zu is %02x, not %02x", off + i, buf[i], pattern(off + i));
}

volatile bool peer_in_library;  /* volatile: the compiler knows that malloc() does not look at it */

/* ---- the server ---- */

static void *server_alloc(size_t n)
{
	bool was = peer_in_library;
	void *p;

	peer_in_library = false;
	p = malloc(n ? n : 1);
	peer_in_library = was;
	return p;
}

static struct peer *peer_of(struct isc_conn *c) { return isc_conn_user(c); }
static struct peer *lead_of(struct peer *p) { return p->lead ? p->lead : p; }

static struct isc_task *op_alloc(struct isc_conn *c)
{
	struct peer *p = peer_of(c);
	struct ptask *t;

	if (p->no_tasks)
		return NULL;
	t = server_alloc(sizeof(*t));
	memset(t, 0xee, sizeof(*t));  /* contents do not matter */
	t->peer = p;
	t->buf = NULL;
	t->index = PEER_TASKS;
	p->allocs++;
	return &t->t;
}

static void op_release(struct isc_task *it)
{
	struct ptask *t = container_of(it, struct ptask, t);

	t->peer->releases++;
	if (t->index < PEER_TASKS)
		lead_of(t->peer)->task[t->index] = NULL;
	free(t->buf);
	free(t);
}

static bool op_keep(struct isc_task *it)
{
	struct peer *p = container_of(it, struct ptask, t)->peer;

	p->keeps++;
	return !p->no_keep;
}

static void op_moved(struct isc_task *it, struct isc_conn *old)
{
	assert_ptr_not_equal(it->conn, old);
	peer_of(it->conn)->moves++;
}

static void do_fail(struct ptask *t)
{
	static const uint8_t sense[18] = { 0x70, [2] = 5, [7] = 10, [12] = 0x20 };

	isc_task_complete(&t->t, 2, sense, sizeof(sense), NULL, 0);
}

static void op_command(struct isc_task *it)
{
	struct ptask *t = container_of(it, struct ptask, t);
	uint32_t len = get_be32(it->cdb + 2);
	struct peer *p = lead_of(t->peer);

	assert_true(p->commands < PEER_TASKS);
	t->index = p->commands++;
	p->task[t->index] = t;
	p->cmdsn_log[t->index] = it->cmdsn;
	p->conn_log[t->index] = it->conn;
	if (p->manual)
		return;
	t->buf = server_alloc(len);
	pattern_fill(t->buf, 0, it->cdb[0] == CDB_READ ? len : 0);
	if (it->cdb[0] == CDB_READ)
		isc_task_complete(it, 0, NULL, 0, t->buf, len);
	else if (it->cdb[0] == CDB_WRITE)
		isc_task_expect_data(it, t->buf, len);
	else if (it->cdb[0] == CDB_FAIL)
		do_fail(t);
	else
		isc_task_complete(it, 0, NULL, 0, NULL, 0);
}

static void op_data_ready(struct isc_task *it)
{
	struct ptask *t = container_of(it, struct ptask, t);

	struct peer *p = lead_of(t->peer);

	p->readies++;
	p->received[t->index] = it->received;
	pattern_check(it->buf, 0, it->received);
	if (!p->rewait)
		isc_task_complete(it, 0, NULL, 0, NULL, 0);
}

static void op_tmf(struct isc_tmf *tmf)
{
	struct peer *p = lead_of(peer_of(tmf->conn));

	p->tmfs++;
	p->tmf = tmf;
}

static enum isc_login_status op_lookup(struct isc_conn *c, const struct isc_login *who, struct isc_verdict *ret)
{
	struct peer *p = peer_of(c);

	assert_true(who->initiator[0]);
	p->lookups++;
	*ret = p->verdict;
	return p->verdict_status;
}

static bool op_chap(struct isc_conn *c, const struct isc_login *who, const char *user, struct isc_chap *ret)
{
	struct peer *p = peer_of(c);

	assert_true(who->initiator[0]);
	p->chaps++;
	for (unsigned i = 0; i < p->n_users; i++) {
		if (strcmp(p->users[i].name, user) != 0)
			continue;
		*ret = p->users[i].chap;
		return true;
	}
	return false;
}

static void op_login_done(struct isc_conn *c)
{
	struct peer *p = peer_of(c);

	p->logins++;
	if (p->park)
		return;
	if (p->lead && p->lead->c)
		isc_login_join(c, isc_conn_sess(p->lead->c));
	else if (p->tsih)
		isc_login_refuse(c, ISC_LOGIN_NO_SESSION);
	else
		isc_login_admit(c, 0x77);
}

static void op_send_targets(struct isc_conn *c, const char *name, struct isc_targets *list)
{
	struct peer *p = peer_of(c);

	for (const char *const *t = p->targets; t && *t; t++) {
		if (name && strcmp(name, *t) != 0)
			continue;
		isc_targets_name(list, *t);
		isc_targets_address(list, "192.0.2.50:3260", 1);
	}
}

static void op_logout(struct isc_logout *lo)
{
	struct peer *p = peer_of(lo->conn);

	p->logouts++;
	p->logout = lo;
	if (!p->keep_logout)
		isc_logout_complete(lo, ISC_LOGOUT_DONE);
}

static void op_nop_reply(struct isc_conn *c) { peer_of(c)->nop_replies++; }

static void op_random(struct isc_conn *c, void *buf, size_t len)
{
	struct peer *p = peer_of(c);

	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(0x40 + p->random + i);
}

static void op_tx_ready(struct isc_conn *c) { peer_of(c)->tx_readies++; }

static void op_closing(struct isc_conn *c, enum isc_close why, const char *what)
{
	struct peer *p = peer_of(c);

	p->closings++;
	p->why = why;
	p->what = what;
}

const struct isc_ops peer_ops = {
	.task_alloc = op_alloc, .task_release = op_release, .task_keep = op_keep, .task_moved = op_moved,
	.command = op_command,
	.data_ready = op_data_ready, .tmf = op_tmf, .lookup = op_lookup, .chap = op_chap, .login_done = op_login_done,
	.send_targets = op_send_targets, .logout = op_logout, .nop_reply = op_nop_reply, .random = op_random,
	.tx_ready = op_tx_ready, .closing = op_closing,
};

struct peer *peer_new(void)
{
	struct peer *p = calloc(1, sizeof(*p));

	isc_config_default(&p->cfg);
	p->cfg.window = PEER_WINDOW;
	p->cmdsn = 0xfffffff8;  /* wraps early in every test */
	p->itt = 0x1000;
	p->cid = 9;
	return p;
}

void peer_start(struct peer *p)
{
	peer_in_library = true;
	p->c = isc_conn_new(&peer_ops, &p->cfg, p);
	peer_in_library = false;
}

void peer_full(struct peer *p, const char *keys)
{
	char all[2048];
	struct reply r;

	peer_start(p);
	assert_non_null(p->c);
	snprintf(all, sizeof(all), "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n%s",
		 keys ? keys : "");
	assert_int_equal(peer_login(p, STAGE_OPERATIONAL, STAGE_FULL, false, all), 0);
	peer_want(p, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), 0);
	assert_true(isc_conn_full_feature(p->c));
}

struct peer *peer_further(struct peer *lead, uint16_t cid)
{
	struct peer *p = peer_new();

	p->cfg = lead->cfg;
	p->lead = lead;
	p->cid = cid;
	p->tsih = 0x77;
	p->cmdsn = lead->cmdsn;
	peer_start(p);
	return p;
}

struct peer *peer_join(struct peer *lead, uint16_t cid)
{
	struct peer *p = peer_further(lead, cid);
	struct reply r;

	assert_non_null(p->c);
	assert_int_equal(peer_login(p, STAGE_OPERATIONAL, STAGE_FULL, false,
				    "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\n"), 0);
	peer_want(p, OP_LOGIN_RSP, &r);
	assert_int_equal(get_be16(r.h + O_LOGIN_STATUS), 0);
	assert_ptr_equal(isc_conn_sess(p->c), isc_conn_sess(lead->c));
	return p;
}

void peer_close(struct peer *p)
{
	isc_conn_free(p->c);
	p->c = NULL;
}

/* Every task that was handed out must have come back */
void peer_free(struct peer *p)
{
	peer_close(p);
	assert_int_equal(p->allocs, p->releases);
	free(p->in);
	free(p);
}

/* ---- the initiator: out ---- */

int peer_feed(struct peer *p, const void *buf, size_t len)
{
	const uint8_t *b = buf;
	int rc = 0;

	while (len && rc == 0) {
		size_t n = p->chunk ? MIN(p->chunk, len) : len;
		/* an exact copy, so that reading on past the end is seen */
		uint8_t *copy = malloc(n);

		memcpy(copy, b, n);
		peer_in_library = true;
		rc = isc_rx(p->c, copy, n);
		peer_in_library = false;
		free(copy);
		b += n;
		len -= n;
	}
	return rc;
}

static bool digests(const struct peer *p, uint8_t which)
{
	return p->c && p->c->state != CONN_LOGIN && p->c->state != CONN_PARKED && which == ISC_DIGEST_CRC32C;
}

size_t peer_pack(struct peer *p, const uint8_t *bhs, const void *data, uint32_t len, uint8_t *out)
{
	size_t hdr = BHS_LEN + pdu_ahs_len(bhs), n = hdr;

	memcpy(out, bhs, hdr);
	put_be24(out + O_DSL, len);
	if (digests(p, isc_conn_params(p->c)->header_digest)) {
		isc_crc_put(out + n, isc_crc(CRC_INIT, out, hdr));
		n += DIGEST_LEN;
	}
	if (!len)
		return n;
	memcpy(out + n, data, len);
	memset(out + n + len, 0, pdu_pad(len));
	if (digests(p, isc_conn_params(p->c)->data_digest)) {
		isc_crc_put(out + n + len + pdu_pad(len), isc_crc(CRC_INIT, out + n, len + pdu_pad(len)));
		n += DIGEST_LEN;
	}
	return n + len + pdu_pad(len);
}

int peer_send(struct peer *p, const uint8_t *bhs, const void *data, uint32_t len)
{
	uint8_t *out = malloc(BHS_LEN + AHS_MAX + len + 16);
	size_t n = peer_pack(p, bhs, data, len, out);
	int rc = peer_feed(p, out, n);

	free(out);
	return rc;
}

void peer_bhs(uint8_t *bhs, uint8_t opcode, uint8_t flags, uint32_t itt)
{
	memset(bhs, 0, BHS_LEN);
	bhs[O_OPCODE] = opcode;
	bhs[O_FLAGS] = flags;
	put_be32(bhs + O_ITT, itt);
}

void peer_numbered(struct peer *p, uint8_t *bhs, uint8_t opcode, uint8_t flags)
{
	p = lead_of(p);
	peer_bhs(bhs, opcode, flags, p->itt++);
	put_be32(bhs + O_CMDSN, p->cmdsn);
	if (!pdu_immediate(bhs))
		p->cmdsn++;
}

void peer_cmd_bhs(struct peer *p, uint8_t *bhs, uint8_t cdb0, uint8_t flags, uint32_t edtl, uint32_t len)
{
	peer_numbered(p, bhs, OP_SCSI_CMD, flags | ISC_SIMPLE);
	put_be32(bhs + O_CMD_EDTL, edtl);
	bhs[O_LUN + 1] = 3;
	bhs[O_CMD_CDB] = cdb0;
	put_be32(bhs + O_CMD_CDB + 2, len);
}

uint32_t peer_cmd(struct peer *p, uint8_t cdb0, uint8_t flags, uint32_t edtl, uint32_t len, const void *data,
		  uint32_t dlen)
{
	uint8_t bhs[BHS_LEN];

	peer_cmd_bhs(p, bhs, cdb0, flags, edtl, len);
	peer_send(p, bhs, data, dlen);
	return pdu_itt(bhs);
}

void peer_data_out(struct peer *p, uint32_t itt, uint32_t ttt, uint32_t datasn, uint32_t off, uint32_t len, bool final)
{
	uint8_t bhs[BHS_LEN], *data = malloc(len + 1);

	peer_bhs(bhs, OP_DATA_OUT, final ? PDU_FINAL : 0, itt);
	bhs[O_LUN + 1] = 3;
	put_be32(bhs + O_TTT, ttt);
	put_be32(bhs + O_DATASN, datasn);
	put_be32(bhs + O_DATA_OFFSET, off);
	pattern_fill(data, off, len);
	peer_send(p, bhs, data, len);
	free(data);
}

size_t peer_text(char *out, const char *keys)
{
	size_t n = strlen(keys);

	for (size_t i = 0; i < n; i++)
		out[i] = keys[i] == '\n' ? '\0' : keys[i];
	return n;
}

int peer_login(struct peer *p, uint8_t csg, int nsg, bool more, const char *keys)
{
	uint8_t bhs[BHS_LEN];
	char text[ISC_TEXT_MAX];
	uint8_t flags = (uint8_t)(csg << 2);

	if (nsg >= 0)
		flags |= (uint8_t)(PDU_TRANSIT | nsg);
	if (more)
		flags |= PDU_CONTINUE;
	peer_bhs(bhs, OP_LOGIN | PDU_IMMEDIATE, flags, p->itt);
	memcpy(bhs + O_LOGIN_ISID, "\x40\0\1\x37\0\2", 6);
	put_be16(bhs + O_LOGIN_TSIH, p->tsih);
	put_be16(bhs + O_LOGIN_CID, p->cid);
	put_be32(bhs + O_CMDSN, lead_of(p)->cmdsn);
	put_be32(bhs + O_EXP_STATSN, 500);
	return peer_send(p, bhs, text, (uint32_t)peer_text(text, keys ? keys : ""));
}

/* ---- the initiator: in ---- */

/* All that the target has to send, in several bites */
static void pull(struct peer *p)
{
	struct iovec iov[7];
	int n;

	while (p->c && (n = isc_tx_iov(p->c, iov, ARRAY_SIZE(iov))) > 0) {
		size_t take = 0;

		for (int i = 0; i < n; i++) {
			size_t len = iov[i].iov_len;

			assert_true(len > 0);
			if (p->tx_chunk)
				len = MIN(len, p->tx_chunk - take);
			p->in = realloc(p->in, p->in_len + len);
			memcpy(p->in + p->in_len, iov[i].iov_base, len);
			p->in_len += len;
			take += len;
			if (p->tx_chunk && take == p->tx_chunk)
				break;
		}
		isc_tx_done(p->c, take);
	}
}

/* 11.4.8, 11.4.10: StatSN goes up by one with each status, and is shown but not used by R2T and our NOP-In */
static void check_numbers(struct peer *p, const uint8_t *h)
{
	bool data = h[O_OPCODE] == OP_DATA_IN && !(h[O_FLAGS] & DATA_STATUS);
	bool shown = h[O_OPCODE] == OP_R2T || (h[O_OPCODE] == OP_NOP_IN && pdu_itt(h) == TAG_NONE);

	if (p->loose)
		return;
	if (h[O_OPCODE] == OP_LOGIN_RSP && !p->statsn)
		p->statsn = get_be32(h + O_STATSN);
	assert_int_equal(get_be32(h + O_STATSN), data ? 0 : p->statsn);
	if (!data && !shown)
		p->statsn++;
	if (h[O_OPCODE] == OP_SCSI_RSP) {  /* reserved, or of no use without SNACK */
		assert_memory_equal(h + O_LUN, "\0\0\0\0\0\0\0\0", 8);
		assert_int_equal(get_be32(h + O_TTT), 0);
	}
	if (p->tsih && h[O_OPCODE] == OP_LOGIN_RSP && !isc_conn_sess(p->c))  /* 4.2.2.1: such a pair is to be ignored */
		assert_int_equal(get_be32(h + O_MAX_CMDSN), get_be32(h + O_EXP_CMDSN) - 2);
	else
		assert_true(get_be32(h + O_MAX_CMDSN) + 1 - get_be32(h + O_EXP_CMDSN) <= p->cfg.window);
}

bool peer_next(struct peer *p, struct reply *r)
{
	uint8_t *h;
	size_t n = BHS_LEN;

	pull(p);
	if (p->in_off == p->in_len)
		return false;
	h = p->in + p->in_off;
	assert_true(p->in_len - p->in_off >= BHS_LEN);
	r->h = h;
	r->len = pdu_dsl(h);
	if (h[O_OPCODE] != OP_LOGIN_RSP && digests(p, isc_conn_params(p->c)->header_digest)) {
		assert_true(isc_crc_ok(isc_crc(CRC_INIT, h, n), h + n));
		n += DIGEST_LEN;
	}
	r->data = h + n;
	if (r->len && h[O_OPCODE] != OP_LOGIN_RSP && digests(p, isc_conn_params(p->c)->data_digest)) {
		size_t seg = r->len + pdu_pad(r->len);

		assert_true(isc_crc_ok(isc_crc(CRC_INIT, r->data, seg), r->data + seg));
		n += DIGEST_LEN;
	}
	assert_memory_equal(r->data + r->len, "\0\0\0", pdu_pad(r->len));
	n += r->len + pdu_pad(r->len);
	assert_true(p->in_len - p->in_off >= n);
	check_numbers(p, h);
	p->in_off += n;
	return true;
}

void peer_want(struct peer *p, uint8_t opcode, struct reply *r)
{
	assert_true(peer_next(p, r));
	assert_int_equal(r->h[O_OPCODE], opcode);
}

void peer_want_nothing(struct peer *p)
{
	struct reply r;

	assert_false(peer_next(p, &r));
}

void peer_want_status(struct peer *p, uint32_t itt, uint8_t status, struct reply *r)
{
	assert_true(peer_next(p, r));
	if (r->h[O_OPCODE] == OP_DATA_IN)
		assert_true(r->h[O_FLAGS] & DATA_STATUS);
	else
		assert_int_equal(r->h[O_OPCODE], OP_SCSI_RSP);
	assert_int_equal(pdu_itt(r->h), itt);
	assert_int_equal(r->h[O_STATUS], status);
}

void peer_want_reject(struct peer *p, enum isc_reject reason)
{
	struct reply r;

	peer_want(p, OP_REJECT, &r);
	assert_int_equal(r.h[O_REJECT_REASON], reason);
	assert_int_equal(pdu_itt(r.h), TAG_NONE);
	assert_true(r.len >= BHS_LEN);
}

const char *peer_value(const struct reply *r, const char *key)
{
	size_t k = strlen(key);

	for (const char *s = (const char *)r->data, *end = s + r->len; s < end; s += strlen(s) + 1)
		if (strncmp(s, key, k) == 0 && s[k] == '=')
			return s + k + 1;
	return NULL;
}
