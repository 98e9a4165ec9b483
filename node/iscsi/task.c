/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * task.c - life of a SCSI command
 *
 * States and who has the next move: enum task_state in priv.h. A task leaves memory only through isc_task_release(),
 * and not while a PDU for it is being received (in_pdu: its buffer may be the target of a running recv) or sent
 * (tx_refs). Every event that may let it go on ends in isc_task_progress().
 */
#include <stdlib.h>

#include "node/iscsi/recover.h"
#include "node/util/util.h"

static unsigned bucket(uint32_t itt)
{
	return (itt ^ itt >> 7 ^ itt >> 16) % TASK_BUCKETS;
}

void isc_task_init(struct isc_task *t, struct isc_conn *c, uint32_t itt, bool immediate)
{
	/* what the CDB does not fill, and R2Ts that there are not, nobody reads */
	memset(t, 0, offsetof(struct isc_task, cdb));
	memset(&t->cdb_len, 0, offsetof(struct isc_task, r2t) - offsetof(struct isc_task, cdb_len));
	for (size_t i = 0; i < ARRAY_SIZE(t->r2t); i++)
		t->r2t[i].len = 0;
	t->conn = c;
	t->ops = c->ops;
	t->itt = itt;
	t->immediate = immediate;
	t->credit = !immediate;
	t->heard = true;
	c->sess->immediate += immediate;
	list_init(&t->r2tq);
	list_init(&t->tx.node);
	list_init(&t->again.node);
	list_init(&t->keptq);
	t->tx.kind = TX_TASK;
	t->again.kind = TX_AGAIN;
	list_add_tail(&c->tasks, &t->node);
	list_add(&c->sess->by_itt[bucket(itt)], &t->hash);
	c->n_tasks++;
}

struct isc_task *isc_task_find(struct isc_sess *s, uint32_t itt)
{
	struct isc_task *t;

	list_for_each(t, &s->by_itt[bucket(itt)], hash)
		if (t->itt == itt && !t->over)
			return t;
	return NULL;
}

struct isc_task *isc_task_find_kept(struct isc_conn *c, uint32_t itt)
{
	struct isc_task *t;

	list_for_each(t, &c->sess->by_itt[bucket(itt)], hash)
		if (t->itt == itt && t->conn == c)
			return t;
	return NULL;
}

struct isc_task *isc_task_find_last(struct isc_sess *s, uint32_t itt)
{
	struct isc_task *t;

	list_for_each(t, &s->by_itt[bucket(itt)], hash)
		if (t->itt == itt)
			return t;
	return NULL;
}

static void stash_free(struct isc_task *t)
{
	if (t->stash && t->conn)
		t->conn->sess->held_bytes -= t->stash_cap;
	free(t->stash);
	t->stash = NULL;
	t->stash_cap = 0;
}

static void task_unlink(struct isc_task *t)
{
	struct isc_conn *c = t->conn;

	list_del(&t->node);
	list_del(&t->hash);
	list_del(&t->r2tq);
	list_del(&t->tx.node);
	list_del(&t->again.node);
	isc_retain_drop(t);
	stash_free(t);
	isc_tmf_forget(c->sess, t);
	c->n_tasks--;
	c->sess->immediate -= t->immediate;
	if (t->credit)
		isc_sess_credit(c->sess);
	t->credit = false;
}

void isc_task_release(struct isc_task *t)
{
	if (t->conn)
		task_unlink(t);
	t->ops->task_release(t);
}

bool isc_data_coming(const struct isc_task *t)
{
	return !t->unsol_done || t->n_r2t;
}

void isc_task_start(struct isc_task *t)
{
	t->conn->stats.commands++;
	if (t->fault) {  /* of data that came while it waited: the server need not hear of it */
		t->state = TASK_COLLECT;
		isc_task_progress(t);
		return;
	}
	t->state = TASK_SERVER;
	t->ops->command(t);
}

/* 11.4.7.2: all are ABORTED COMMAND. Fixed format, current error. No room for the data is nobody's error: SAM-5 5.3 */
static void fault_answer(struct isc_task *t)
{
	static const uint8_t code[][2] = {
		[FAULT_ROOM] = { 0 },
		[FAULT_CRC] = { 0x47, 0x05 },          /* PROTOCOL SERVICE CRC ERROR */
		[FAULT_UNSOLICITED] = { 0x0c, 0x0c },  /* WRITE ERROR - UNEXPECTED UNSOLICITED DATA */
		[FAULT_AMOUNT] = { 0x0c, 0x0d },       /* WRITE ERROR - NOT ENOUGH UNSOLICITED DATA */
	};
	uint8_t s[18] = { 0x70, [2] = 0x0b, [7] = 10, [12] = code[t->fault][0], [13] = code[t->fault][1] };

	if (t->fault == FAULT_ROOM) {
		t->status = STATUS_TASK_SET_FULL;
		return;
	}
	put_be16(t->sense, sizeof(s));
	memcpy(t->sense + 2, s, sizeof(s));
	t->sense_len = 2 + sizeof(s);
	t->status = STATUS_CHECK_CONDITION;
}

static void task_send(struct isc_task *t)
{
	t->state = TASK_SEND;
	if (!t->conn->recovers)  /* else it waits for another connection */
		isc_tx_task(t);
}

/* TASK_COLLECT: ask for more, or hand over */
static void collect(struct isc_task *t)
{
	struct isc_conn *c = t->conn;

	if (t->lost_end && !t->fault && !isc_data_coming(t) && isc_lost_hopeless(t))
		t->fault = FAULT_CRC;
	if (t->fault) {
		list_del(&t->r2tq);
		if (!isc_data_coming(t)) {
			fault_answer(t);
			task_send(t);
		}
		return;
	}
	if (t->unsol_done && (t->next_off < t->want || (t->lost_end && isc_lost(t)))) {
		if (t->n_r2t < c->params.max_outstanding_r2t && list_empty(&t->r2tq))
			isc_tx_r2t(t);
		return;
	}
	if (isc_data_coming(t))
		return;
	t->state = TASK_SERVER;
	t->received = t->want;
	c->stats.written_bytes += t->want;
	t->ops->data_ready(t);
}

void isc_task_progress(struct isc_task *t)
{
	if (t->in_pdu)
		return;
	if (t->state == TASK_COLLECT)
		collect(t);
	else if (t->state == TASK_DRAIN && !isc_data_coming(t))
		task_send(t);
	else if (t->state == TASK_DEAD && !t->tx_refs)
		isc_task_release(t);
}

/* The buffer for data that comes before the server said where to: as large as unsolicited data can get */
static bool stash_alloc(struct isc_task *t)
{
	struct isc_conn *c = t->conn;
	uint32_t n = MIN(t->edtl_out, c->params.first_burst);

	if (t->stash)
		return true;
	if (c->sess->held_bytes + n > ISC_HELD_BYTES_MAX)
		return false;
	t->stash = calloc(1, n ? n : 1);
	if (!t->stash)
		return false;
	t->stash_cap = n;
	c->sess->held_bytes += n;
	return true;
}

uint32_t isc_task_place(struct isc_task *t, uint32_t off, uint32_t len, uint8_t **ret_p)
{
	uint32_t size = t->want;
	uint8_t *base = t->buf;

	if (t->aborted || t->fault || t->state == TASK_DRAIN)
		return 0;
	if (t->state == TASK_HELD || t->state == TASK_SERVER) {
		if (!stash_alloc(t)) {
			t->fault = FAULT_ROOM;
			return 0;
		}
		base = t->stash;
		size = t->stash_cap;
	}
	if (off >= size)
		return 0;
	*ret_p = base + off;
	return MIN(len, size - off);
}

/* The server says where; what came before, and what is just coming, goes there */
static void stash_move(struct isc_task *t)
{
	struct rx *rx = &t->conn->rx;

	if (t->stash && t->want)
		memcpy(t->buf, t->stash, MIN(t->want, t->stash_cap));
	stash_free(t);
	if (rx->task != t || !rx->dst)
		return;
	rx->dst_len = isc_task_place(t, rx->off, rx->dsl, &rx->dst);
	rx->direct = true;
}

/* The server's move ends a task that must not be answered */
static void task_forsaken(struct isc_task *t)
{
	if (t->state == TASK_ORPHAN) {
		isc_task_release(t);
		return;
	}
	t->state = TASK_DEAD;
	isc_task_progress(t);
}

static bool is_forsaken(const struct isc_task *t)
{
	return t->aborted || t->state == TASK_ORPHAN || (t->conn->state == CONN_CLOSING && !t->conn->recovers);
}

void isc_task_expect_data(struct isc_task *t, void *buf, uint32_t len)
{
	if (is_forsaken(t)) {
		task_forsaken(t);
		return;
	}
	t->buf = buf;
	t->buf_len = len;
	t->want = MIN(len, t->edtl_out);
	t->transfer_out = len;
	t->state = TASK_COLLECT;
	stash_move(t);
	isc_task_progress(t);
}

void isc_task_complete(struct isc_task *t, uint8_t status, const void *sense, size_t sense_len,
		       const void *data, uint32_t data_len)
{
	if (is_forsaken(t)) {
		task_forsaken(t);
		return;
	}
	t->status = status;
	if (sense && sense_len) {
		sense_len = MIN(sense_len, (size_t)ISC_SENSE_MAX);
		put_be16(t->sense, (uint16_t)sense_len);
		memcpy(t->sense + 2, sense, sense_len);
		t->sense_len = (uint16_t)(2 + sense_len);
	}
	t->data = data;
	t->transfer_in = data_len;
	t->data_len = MIN(data_len, t->edtl_in);
	list_del(&t->r2tq);
	t->state = TASK_DRAIN;
	isc_task_progress(t);
}

bool isc_task_abort(struct isc_task *t)
{
	if (t->aborted || t->state == TASK_ORPHAN)
		return t->state == TASK_DEAD;
	t->aborted = true;
	list_del(&t->r2tq);
	if (isc_data_coming(t))
		isc_gone_add(t->conn, t->itt);
	if (t->state == TASK_SERVER)
		return false;
	list_del(&t->tx.node);
	list_del(&t->again.node);
	t->state = TASK_DEAD;
	isc_task_progress(t);
	return true;
}

bool isc_task_with_server(const struct isc_task *t)
{
	return t->state == TASK_SERVER || t->state == TASK_ORPHAN;
}

void isc_task_sent(struct isc_task *t)
{
	t->tx_refs--;
	if (t->tx_refs)
		return;
	if (t->state == TASK_SEND && t->built && t->kept)
		isc_retain_sent(t);
	else if (t->state == TASK_SEND && t->built)
		isc_task_release(t);
	else
		isc_task_progress(t);
}

void isc_tasks_drop(struct isc_conn *c)
{
	struct isc_task *t;

	/* from the front each time: task_release() may make the server complete others */
	while ((t = list_first(&c->tasks, struct isc_task, node))) {
		if (t->state != TASK_SERVER) {
			isc_task_release(t);
			continue;
		}
		task_unlink(t);
		t->conn = NULL;
		t->state = TASK_ORPHAN;
	}
}

void isc_gone_add(struct isc_conn *c, uint32_t itt)
{
	c->gone[c->gone_next++ % GONE_MAX] = itt;
}

bool isc_gone_has(const struct isc_conn *c, uint32_t itt)
{
	for (unsigned i = 0; i < MIN(c->gone_next, (unsigned)GONE_MAX); i++)
		if (c->gone[i] == itt)
			return true;
	return false;
}
