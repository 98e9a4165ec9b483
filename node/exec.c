/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec.c - a SCSI command from its arrival to its answer
 *
 * arrive -> device server (all checks) -> buffer -> write data -> turn in the task set -> disk (exec_io.c) -> answer.
 * A command waits for its one buffer in order of arrival and holds nothing meanwhile; it waits for its turn behind older
 * commands only; and write data is read from its connection whatever else is short. So whoever holds a buffer goes on.
 */
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "node/exec_io.h"
#include "node/util/wire.h"

struct sc_ctx task_ctx(const struct task *t)
{
	return (struct sc_ctx){
		.tgt = &t->sess->sc,
		.nexus = &t->sess->nexus,
		.lu = t->lu ? &t->lu->sc : NULL,
		.itl = t->itl ? &t->itl->sc : NULL,
		.copies = t->sess->copies,
	};
}

/* ---- answers ---- */

/* After REPORT LUNS nobody needs to be told that the list has changed (SPC-4 6.33). */
static void luns_reported(struct session *s)
{
	for (unsigned k = 0; k < s->n_itl; k++)
		sc_ua_del(&s->itl[k]->sc.ua, SC_UA_LUNS_CHANGED);
}

struct first_io {
	struct msg msg;
	struct group *group;
	char initiator[SC_NAME_MAX + 1];
};

static void first_io_run(struct msg *m, void *ctl)
{
	struct first_io *f = container_of(m, struct first_io, msg);

	group_first(ctl, f->group, f->initiator, false);
	free(f);
}

/* Once an activation: how long did initiators have to wait? */
static void first_io(struct task *t)
{
	struct first_io *f = calloc(1, sizeof(*f));

	t->r->tell_first_io = false;
	if (!f)
		return;
	f->msg.run = first_io_run;
	f->group = t->sess->group;
	memcpy(f->initiator, t->sess->nexus.initiator, sizeof(f->initiator));
	control_send(t->r->ctl, &f->msg);
}

void exec_done(struct task *t)
{
	uint8_t sense[SC_SENSE_MAX];
	struct sc_ctx ctx;
	size_t n;

	if (task_dead(t)) {
		exec_drop(t);
		return;
	}
	gate_leave(t);
	ctx = task_ctx(t);
	n = sc_op_sense(&ctx, &t->op, sense);
	if (t->r->tell_first_io && t->op.status == SC_GOOD && t->step)
		first_io(t);
	if (t->op.status == SC_GOOD && t->op.flags & SC_LUNS_REPORTED)
		luns_reported(t->sess);
	isc_task_complete(&t->isc, t->op.status, sense, n, t->data, t->op.status == SC_GOOD ? t->data_len : 0);
}

void exec_drop(struct task *t)
{
	if (t->waits == TASK_WAITS_ORDER)
		t->itl->n_waiting--;
	list_del(&t->wait);
	t->waits = TASK_RUNS;
	gate_leave(t);
	isc_task_complete(&t->isc, SC_TASK_ABORTED, NULL, 0, NULL, 0);
}

/* ---- control thread ---- */

static void answered(struct msg *m, void *reactor)
{
	struct task *t = container_of(m, struct task, msg);

	(void)reactor;
	t->waits = TASK_RUNS;
	exec_done(t);
}

void exec_control(struct task *t)
{
	t->waits = TASK_WAITS_CONTROL;
	t->answered = answered;
	t->msg.run = t->op.control == SC_CONTROL_START ? lu_start_stop : resv_task;
	control_send(t->r->ctl, &t->msg);
}

/* ---- by kind ---- */

/* What few commands need to know, and is not looked up for all of them. */
static void prepare(struct task *t, struct sc_ctx *ctx)
{
	struct timespec ts;

	if (t->op.flags & SC_LOOK)
		disk_look(t->lu->disk);
	if (t->op.flags & SC_NOW) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ctx->now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	}
	if (t->op.flags & SC_ECHO && !ctx->itl->echo)
		ctx->itl->echo = calloc(1, sizeof(*ctx->itl->echo));
}

static void do_data_in(struct task *t)
{
	struct sc_ctx ctx = task_ctx(t);

	prepare(t, &ctx);
	t->data_len = sc_op_data_in(&ctx, &t->op, t->buf, t->buf_len);
	t->data = t->buf;
	exec_done(t);
}

static void do_param(struct task *t);

static void collect(struct task *t)
{
	t->collecting = true;
	t->conn->n_collecting++;
	isc_task_expect_data(&t->isc, t->buf, t->op.out_len);
}

static uint32_t need_none(const struct task *t)
{
	(void)t;
	return 0;
}

static uint32_t need_in(const struct task *t)
{
	return t->op.in_len;
}

/* Not more than the initiator takes, but whole blocks. */
static uint32_t need_read(const struct task *t)
{
	uint32_t bs = t->lu->sc.block_size;
	uint64_t takes = ((uint64_t)t->isc.edtl_in + bs - 1) / bs * bs;

	return (uint32_t)MIN((uint64_t)t->op.in_len, takes);
}

static uint32_t need_out(const struct task *t)
{
	return MIN(t->op.out_len, t->isc.edtl_out);
}

static uint32_t need_status(const struct task *t)
{
	return MAX(t->op.in_len, SC_LBA_STATUS_MIN);
}

/* What comes from the initiator, and behind it what is on the disk: whoever is alone with his blocks waits for nothing. */
static uint32_t need_both(const struct task *t)
{
	return exec_second(t) + (uint32_t)(t->op.blocks * t->lu->sc.block_size);
}

/* How many bytes of memory the command needs, whether it collects data from the initiator, and what executes it. */
static const struct {
	uint32_t (*need)(const struct task *t);
	bool collects;
	void (*execute)(struct task *t);
} kinds[] = {
	[SC_OP_DONE] = { need_none, false, exec_done },
	[SC_OP_DATA_IN] = { need_in, false, do_data_in },
	[SC_OP_PARAM] = { need_out, true, do_param },
	[SC_OP_CONTROL] = { need_none, false, exec_control },
	[SC_OP_READ] = { need_read, false, exec_io_start },
	[SC_OP_WRITE] = { need_out, true, exec_io_start },
	[SC_OP_WRITE_SAME] = { need_out, true, exec_io_start },
	[SC_OP_VERIFY] = { need_none, false, exec_io_start },
	[SC_OP_COMPARE] = { need_out, true, exec_io_start },
	[SC_OP_WRITE_VERIFY] = { need_out, true, exec_io_start },
	[SC_OP_FLUSH] = { need_none, false, exec_io_start },
	[SC_OP_COPY] = { need_none, false, copy_start },  /* with its parameter list in the buffer */
	[SC_OP_UNMAP] = { need_out, true, exec_io_start },  /* comes as SC_OP_PARAM */
	[SC_OP_LBA_STATUS] = { need_status, false, exec_io_start },
	[SC_OP_COMPARE_WRITE] = { need_both, true, exec_io_start },
	[SC_OP_OR_WRITE] = { need_both, true, exec_io_start },
	[SC_OP_WRITE_ATOMIC] = { need_out, true, exec_io_start },
};

static void do_param(struct task *t)
{
	struct sc_ctx ctx = task_ctx(t);

	prepare(t, &ctx);
	sc_op_param(&ctx, &t->op, t->buf, t->isc.received);
	kinds[t->op.kind].execute(t);
}

/* Data and memory are there: execute it, in order. */
static void execute(struct task *t)
{
	if (itl_gate(t))
		kinds[t->op.kind].execute(t);
}

/* No buffer. Data that comes unasked has nowhere to wait for long: the initiator has to try again. */
static void wait_for_buffer(struct task *t)
{
	if (t->isc.write && (t->isc.next_off || !t->isc.unsol_done)) {
		sc_op_fail(&t->op, (struct sc_sense){ 0 });
		t->op.status = SC_TASK_SET_FULL;
		exec_done(t);
		return;
	}
	t->waits = TASK_WAITS_BUFFER;
	list_add_tail(&t->r->buf_wait, &t->wait);
	keep_forget(t->r);
}

/* Everything is checked; go on as soon as there is memory for it. Return: false: there is none. */
static bool begin(struct task *t)
{
	struct reactor *r = t->r;
	uint32_t need = kinds[t->op.kind].need(t);

	if (need) {
		t->buf = buf_get(&r->arena, need);
		if (!t->buf)
			return false;
		t->buf_len = need;
	}
	list_del(&t->wait);
	t->waits = TASK_RUNS;
	if (kinds[t->op.kind].collects)
		collect(t);
	else
		execute(t);
	return true;
}

void exec_data_ready(struct isc_task *it)
{
	struct task *t = task_of(it);

	t->collecting = false;
	t->conn->n_collecting--;
	execute(t);
}

/* ---- arrival ---- */

/* What a logical unit answers while its disk cannot be read: what it is, but not what is on it. */
static bool needs_disk(uint8_t opcode)
{
	return opcode != 0x12 && opcode != 0xa0 && opcode != 0x03;  /* INQUIRY, REPORT LUNS, REQUEST SENSE */
}

static void exec_run(struct task *t)
{
	struct sc_ctx ctx = task_ctx(t);
	uint8_t n_ua = t->itl ? t->itl->sc.ua.n : 0;

	if (t->lu && t->lu->disk->state != DISK_OPEN && needs_disk(t->isc.cdb[0])) {
		memset(&t->op, 0, sizeof(t->op));
		sc_op_fail(&t->op, sc_sense_make(SC_KEY_NOT_READY, SC_ASC_BECOMING_READY));
	} else {
		sc_op_start(&ctx, t->isc.cdb, t->isc.cdb_len, &t->op);
		sc_op_data_out(&t->op, t->isc.edtl_out);
	}
	if (t->itl && t->itl->sc.ua.n < n_ua)
		itl_ua_reported(t->itl);
	if (!list_empty(&t->r->buf_wait) && kinds[t->op.kind].need(t))
		wait_for_buffer(t);
	else if (!begin(t))
		wait_for_buffer(t);
}

static void run_ready(struct ring_work *w)
{
	struct reactor *r = container_of(w, struct reactor, ready_work);

	while (!list_empty(&r->ready)) {
		struct task *t = list_first(&r->ready, struct task, wait);

		list_del(&t->wait);
		t->waits = TASK_RUNS;
		kinds[t->op.kind].execute(t);
	}
}

void exec_later(struct task *t)
{
	t->waits = TASK_WAITS_TURN;
	list_add_tail(&t->r->ready, &t->wait);
	ring_defer(&t->r->ring, &t->r->ready_work);
}

void exec_command(struct isc_task *it)
{
	struct task *t = task_of(it);
	const struct session *s = t->sess;
	int k = itl_index(s, sc_lun_decode(it->lun));

	if (k >= 0 && !s->itl[k]->lu->dying) {
		t->itl = s->itl[k];
		t->lu = t->itl->lu;
		itl_enter(t);
	}
	exec_run(t);
}

/* ---- buffers come back ---- */

static void run_buffers(struct ring_work *w)
{
	struct reactor *r = container_of(w, struct reactor, buf_work);

	while (!list_empty(&r->buf_wait) && begin(list_first(&r->buf_wait, struct task, wait)))
		;
	for (struct list *at = r->rx_wait.next, *next; at != &r->rx_wait; at = next) {
		next = at->next;
		conn_rx_resume(list_entry(at, struct conn, rx_wait));
	}
}

void exec_buffers(struct reactor *r)
{
	if (!list_empty(&r->buf_wait) || !list_empty(&r->rx_wait))
		ring_defer(&r->ring, &r->buf_work);
}

void exec_init(struct reactor *r)
{
	list_init(&r->ready);
	ring_work_init(&r->ready_work, run_ready);
	ring_work_init(&r->buf_work, run_buffers);
}
