/* SPDX-License-Identifier: GPL-2.0-or-later */
/* isc_server.c - see isc_server.h */
#include <string.h>

#include "node/iscsi/priv.h"
#include "node/util/util.h"
#include "tests/fuzz/isc_server.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)
enum { DATA_MAX = 1 << 20, CMD_READ10 = 0x28, CMD_WRITE10 = 0x2a };

enum { SIDES = 2, LOST_MAX = 3 };

struct fuzz {
	unsigned options;
	struct side {
		struct fuzz *f;
		struct isc_conn *c;   /* NULL: not there */
		bool closed;
	} side[SIDES];
	struct isc_conn *lost[LOST_MAX]; /* oldest first */
	struct isc_sess *sess;        /* kept from the first login on */
	struct list tasks, tmfs;      /* the server's move, oldest first */
	struct list logouts;
	unsigned live;
};

struct ftask {
	struct isc_task t;
	struct fuzz *f;
	struct list node;
	uint8_t *buf;
	bool kept;
	bool data;                    /* data_ready() was called, or needs not be */
};

struct ftmf {
	struct isc_tmf *tmf;
	struct list node;
};

struct flogout {
	struct isc_logout *lo;
	struct list node;
};

static struct side *side_of(struct isc_conn *c) { return isc_conn_user(c); }
static struct fuzz *fuzz_of(struct isc_conn *c) { return side_of(c)->f; }

static struct isc_task *op_alloc(struct isc_conn *c)
{
	struct ftask *t = calloc(1, sizeof(*t));

	MUST(t);
	t->f = fuzz_of(c);
	list_init(&t->node);
	t->f->live++;
	return &t->t;
}

static void op_release(struct isc_task *it)
{
	struct ftask *t = container_of(it, struct ftask, t);

	MUST(t->f->live--);
	list_del(&t->node);
	free(t->buf);
	free(t);
}

/* Sometimes there is no memory to keep it */
static bool op_keep(struct isc_task *it)
{
	struct ftask *t = container_of(it, struct ftask, t);

	MUST(!t->kept && list_empty(&t->node) && t->f->options & FUZZ_RECOVERY);
	t->kept = true;
	return it->itt % 8 != 7;
}

/* The server's move */
static void answer(struct ftask *t)
{
	uint32_t len = MIN(get_be32(t->t.cdb + 2), (uint32_t)DATA_MAX);

	list_del(&t->node);
	if (!t->buf)
		t->buf = calloc(1, len ? len : 1);
	if (t->t.cdb[0] == CMD_WRITE10 && !t->data)
		isc_task_expect_data(&t->t, t->buf, len);
	else if (t->t.cdb[0] == CMD_READ10)
		isc_task_complete(&t->t, 0, NULL, 0, t->buf, len);
	else
		isc_task_complete(&t->t, t->t.cdb[0], t->t.cdb, 16, NULL, 0);
}

static void server_move(struct ftask *t)
{
	if (t->f->options & FUZZ_LATER)
		list_add_tail(&t->f->tasks, &t->node);
	else
		answer(t);
}

static void op_command(struct isc_task *it)
{
	server_move(container_of(it, struct ftask, t));
}

static void op_data_ready(struct isc_task *it)
{
	struct ftask *t = container_of(it, struct ftask, t);
	uint8_t sum = 0;

	MUST(it->received <= it->buf_len && it->received <= it->edtl_out);
	for (uint32_t i = 0; i < it->received; i++)
		sum ^= it->buf[i];
	it->buf[0] = it->received ? sum : 0;
	t->data = true;
	server_move(t);
}

static void op_moved(struct isc_task *it, struct isc_conn *old)
{
	MUST(it->conn && it->conn != old && isc_conn_full_feature(it->conn));
}

static void op_tmf(struct isc_tmf *tmf)
{
	struct ftmf *m = calloc(1, sizeof(*m));

	MUST(m);
	m->tmf = tmf;
	list_add_tail(&fuzz_of(tmf->conn)->tmfs, &m->node);
}

static void tmf_done(struct ftmf *m)
{
	list_del(&m->node);
	if (m->tmf->task)
		isc_task_abort(m->tmf->task);
	isc_tmf_complete(m->tmf, ISC_TMF_COMPLETE);
	free(m);
}

static enum isc_login_status op_lookup(struct isc_conn *c, const struct isc_login *who, struct isc_verdict *ret)
{
	MUST(strlen(who->initiator) && strlen(who->initiator) <= ISC_NAME_MAX);
	ret->chap = fuzz_of(c)->options & FUZZ_CHAP;
	return strstr(who->target, "gone") ? ISC_LOGIN_MOVED_TEMP : 0;
}

static bool op_chap(struct isc_conn *c, const struct isc_login *who, const char *user, struct isc_chap *ret)
{
	MUST(fuzz_of(c)->options & FUZZ_CHAP && strlen(who->initiator));
	*ret = (struct isc_chap){ .secret = "s", .secret_len = 1, .mutual_user = "u", .mutual_secret = "t",
				  .mutual_secret_len = 1 };
	return strcmp(user, "u") == 0;
}

/* A login that names the session joins it, if there is one */
static void admit(struct fuzz *f, struct isc_conn *c)
{
	if (!f->sess) {
		isc_login_admit(c, 7);
		f->sess = isc_conn_sess(c);
		if (f->sess)
			isc_sess_keep(f->sess);
	} else if (isc_conn_parked(c)) {
		isc_login_join(c, f->sess);
	}
}

static void op_login_done(struct isc_conn *c)
{
	if (!(fuzz_of(c)->options & FUZZ_PARK))
		admit(fuzz_of(c), c);
}

static void op_send_targets(struct isc_conn *c, const char *name, struct isc_targets *list)
{
	(void)c;
	for (int i = 0; i < 40; i++) {
		isc_targets_name(list, name ? name : "iqn.2026-11.test:all");
		isc_targets_address(list, "192.0.2.1:3260", 1);
	}
}

static void op_random(struct isc_conn *c, void *buf, size_t len)
{
	(void)c;
	memset(buf, 1, len);
}

static void op_closing(struct isc_conn *c, enum isc_close why, const char *what)
{
	MUST(!side_of(c)->closed && what);
	(void)why;
	side_of(c)->closed = true;
}

static void op_logout(struct isc_logout *lo)
{
	struct flogout *l = calloc(1, sizeof(*l));

	MUST(l && lo->victim);
	l->lo = lo;
	list_add_tail(&fuzz_of(lo->conn)->logouts, &l->node);
}

static void logout_done(struct flogout *l)
{
	list_del(&l->node);
	isc_logout_complete(l->lo, ISC_LOGOUT_DONE);
	free(l);
}

static void op_nothing(struct isc_conn *c) { (void)c; }

static const struct isc_ops ops = {
	.task_alloc = op_alloc, .task_release = op_release, .task_keep = op_keep, .task_moved = op_moved, .command = op_command, .data_ready = op_data_ready,
	.tmf = op_tmf, .lookup = op_lookup, .chap = op_chap, .login_done = op_login_done,
	.send_targets = op_send_targets, .logout = op_logout, .nop_reply = op_nothing, .random = op_random,
	.tx_ready = op_nothing, .closing = op_closing,
};

/* The session's own bounds */
static void check(const struct fuzz *f)
{
	const struct isc_sess *s = f->sess;
	unsigned tasks = 0, conns = 0, filled = 0;

	for (int i = 0; i < SIDES; i++) {
		if (!f->side[i].c)
			continue;
		MUST(f->side[i].closed == isc_conn_closing(f->side[i].c));
		tasks += isc_conn_tasks(f->side[i].c);
		conns += isc_conn_sess(f->side[i].c) != NULL;
	}
	MUST(tasks <= f->live);
	if (!s)
		return;
	MUST(conns == isc_sess_conns(s));
	MUST(s->max_cmdsn + 1 - s->exp_cmdsn <= s->window);
	for (uint32_t i = 0; i < s->window; i++)
		filled += s->slots[i].filled;
	MUST(filled == s->n_filled);
	MUST(s->immediate <= ISC_IMMEDIATE_MAX && s->held_bytes <= ISC_HELD_BYTES_MAX);
}

/* An exact copy, so that the address sanitizer sees a read past the end */
static void rx(struct side *f, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	MUST(copy);
	memcpy(copy, p, n);
	isc_rx(f->c, copy, n);
	free(copy);
}

static void direct(struct side *f, const uint8_t *p, size_t n)
{
	while (n && !isc_conn_closing(f->c)) {
		void *to;
		size_t take = MIN(isc_rx_direct(f->c, &to), n);

		if (take) {
			memcpy(to, p, take);
			isc_rx_direct_done(f->c, take);
		} else {
			take = MIN(n, (size_t)8);
			rx(f, p, take);
		}
		p += take;
		n -= take;
	}
}

static void tx(struct side *f, size_t n)
{
	struct iovec iov[8];
	int used = isc_tx_iov(f->c, iov, ARRAY_SIZE(iov));
	size_t all = 0;
	uint8_t sum = 0;

	for (int i = 0; i < used; i++) {
		for (size_t b = 0; b < iov[i].iov_len; b++)
			sum ^= ((uint8_t *)iov[i].iov_base)[b];
		all += iov[i].iov_len;
	}
	isc_tx_done(f->c, MIN(all, n + sum % 2));
}

static struct ftask *task_at(struct fuzz *f, unsigned n)
{
	struct ftask *t;

	list_for_each(t, &f->tasks, node)
		if (!n--)
			return t;
	return NULL;
}

static void conn_new(struct side *s)
{
	struct isc_config cfg;

	isc_config_default(&cfg);
	cfg.window = 8;
	cfg.max_recv_dsl = 8192;
	cfg.max_connections = SIDES;
	cfg.max_erl = 2;
	s->closed = false;
	s->c = isc_conn_new(&ops, &cfg, s);
	MUST(s->c);
}

static void lost_free(struct fuzz *f)
{
	isc_conn_free(f->lost[0]);
	memmove(f->lost, f->lost + 1, sizeof(f->lost) - sizeof(f->lost[0]));
	f->lost[LOST_MAX - 1] = NULL;
}

static void conn_drop(struct side *s, bool lose)
{
	struct fuzz *f = s->f;
	unsigned i = 0;

	if (lose && isc_conn_lose(s->c)) {
		if (f->lost[LOST_MAX - 1])
			lost_free(f);
		while (f->lost[i])
			i++;
		f->lost[i] = s->c;
	} else {
		isc_conn_free(s->c);
	}
	s->c = NULL;
}

static void login(struct side *s, uint16_t tsih, uint16_t cid)
{
	const struct fuzz *f = s->f;
	char text[512];
	uint8_t bhs[BHS_LEN] = { OP_LOGIN | PDU_IMMEDIATE, PDU_TRANSIT | 1 << 2 | 3 };
	static const char level[] = "ErrorRecoveryLevel=2\nMaxRecvDataSegmentLength=1024\n";
	const char *digest = f->options & FUZZ_DIGESTS ? "CRC32C" : "None";
	bool r2t = f->options & FUZZ_R2T;
	size_t n = (size_t)snprintf(text, sizeof(text), "InitiatorName=iqn.i\nTargetName=iqn.t\nHeaderDigest=%s\n"
				    "DataDigest=%s\nInitialR2T=%s\nImmediateData=%s\nMaxBurstLength=8192\n"
				    "FirstBurstLength=4096\nMaxOutstandingR2T=2\nMaxConnections=2\n%s", digest, digest,
				    r2t ? "Yes" : "No", r2t ? "No" : "Yes", f->options & FUZZ_RECOVERY ? level : "");

	for (size_t i = 0; i < n; i++)
		if (text[i] == '\n')
			text[i] = '\0';
	put_be24(bhs + O_DSL, (uint32_t)n);
	put_be16(bhs + O_LOGIN_TSIH, tsih);
	put_be16(bhs + O_LOGIN_CID, cid);
	isc_rx(s->c, bhs, BHS_LEN);
	isc_rx(s->c, text, n + pdu_pad((uint32_t)n));
}

/* A further connection, with the CID of its side */
static void further(struct side *s)
{
	conn_new(s);
	if (s->f->options & FUZZ_LOGIN)
		login(s, 7, (uint16_t)(s - s->f->side));
}

/* Steps without bytes that are about the server's tasks */
static bool act_task(struct fuzz *f, unsigned what, unsigned arg)
{
	struct ftask *t = task_at(f, arg);
	struct ftmf *m = list_first(&f->tmfs, struct ftmf, node);
	struct flogout *l = list_first(&f->logouts, struct flogout, node);

	if (what == STEP_ANSWER && t)
		answer(t);
	else if (what == STEP_ABORT && t)
		isc_task_abort(&t->t);
	else if (what == STEP_TMF && m)
		tmf_done(m);
	else if (what == STEP_LOGOUT && l)
		logout_done(l);
	return what == STEP_ANSWER || what == STEP_ABORT || what == STEP_TMF || what == STEP_LOGOUT;
}

/* ... and about a connection */
static void act(struct fuzz *f, unsigned what, unsigned arg, size_t n)
{
	struct side *s = &f->side[arg >> 3 & 1];

	arg &= 7;
	if (what == STEP_DROP && s->c)
		conn_drop(s, n & 1);
	if (what == STEP_DROP && arg)
		further(s);
	if (!s->c)
		return;
	if (what == STEP_TX)
		tx(s, n);
	else if (what == STEP_LOGIN && arg)
		isc_login_refuse(s->c, ISC_LOGIN_UNAVAILABLE);
	else if (what == STEP_LOGIN)
		admit(f, s->c);
	else if (what == STEP_UNASKED && arg)
		isc_send_async(s->c, ISC_ASYNC_DROP_CONNECTION, 0, 1, 2, 3);
	else if (what == STEP_UNASKED)
		isc_send_nop_in(s->c);
	else if (what == STEP_TICK && arg)
		isc_conn_forget(s->c);
	else if (what == STEP_TICK)
		isc_conn_tick(s->c);
}

static void run(struct fuzz *f, struct rd *r)
{
	while (rd_left(r) >= 3) {
		uint8_t step = rd_u8(r);
		struct side *s = &f->side[step >> 7];
		size_t n = rd_u16(r);

		if ((step & 15) <= STEP_DIRECT) {
			n = MIN(n, rd_left(r));
			if (s->c)
				((step & 15) == STEP_RX ? rx : direct)(s, r->p, n);
			rd_skip(r, n);
		} else if (!act_task(f, step & 15, step >> 4)) {
			act(f, step & 15, step >> 4, n);
		}
		check(f);
	}
}

/* Everything must come back, to a connection or to nobody */
static void end(struct fuzz *f)
{
	struct flogout *l;
	struct ftask *t;
	struct ftmf *m;

	for (int i = 0; i < SIDES; i++)
		if (f->side[i].c)
			conn_drop(&f->side[i], false);
	while (f->lost[0])
		lost_free(f);
	while ((t = list_first(&f->tasks, struct ftask, node))) {
		MUST(!t->t.conn);
		answer(t);
	}
	while ((m = list_first(&f->tmfs, struct ftmf, node)))
		tmf_done(m);
	while ((l = list_first(&f->logouts, struct flogout, node)))
		logout_done(l);
	MUST(f->live == 0);
	if (f->sess) {
		MUST(!f->sess->immediate && !f->sess->held_bytes && list_empty(&f->sess->tmfs));
		isc_sess_put(f->sess);
	}
}

void fuzz_isc(unsigned options, const uint8_t *data, size_t size)
{
	struct fuzz f = { .options = options };
	struct rd r = rd_init(data, size);

	list_init(&f.tasks);
	list_init(&f.tmfs);
	list_init(&f.logouts);
	for (int i = 0; i < SIDES; i++)
		f.side[i].f = &f;
	conn_new(&f.side[0]);
	if (options & FUZZ_LOGIN) {
		login(&f.side[0], 0, 0);
		MUST(isc_conn_full_feature(f.side[0].c));
	}
	if (options & FUZZ_TWO) {
		further(&f.side[1]);
		MUST(isc_conn_full_feature(f.side[1].c));
	}
	run(&f, &r);
	for (int k = 0; k < SIDES && size & 1; k++)  /* sometimes all is sent before the end */
		for (int i = 0; i < 1000 && f.side[k].c && isc_tx_pending(f.side[k].c); i++)
			tx(&f.side[k], 1 << 20);
	end(&f);
}
