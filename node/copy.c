/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.c - EXTENDED COPY: a task that reads here and writes there, one piece after the other
 *
 * It holds its parameter list and one buffer, whatever it copies, and is with a disk all the time: so nothing waits for it
 * but those that wait for every task. All segments are checked before the first piece is read. Before each piece the
 * reservations are looked at again, so that a PREEMPT (whose victims lose their registration first) ends it.
 *
 * Who aborts the tasks of any of its CSCDs cuts the copy short: it ends with an error if it was sent to another logical
 * unit, silently if to this one. A piece keeps out of the way of commands that need its blocks for themselves (gate.c),
 * and they of it.
 */
#include <string.h>

#include "node/node.h"

#define PIECE_MAX (1u << 20)
#define PIECE_MIN (64u << 10)

struct copy {
	struct sc_copy_slot *slot;   /* in session.copies */
	struct rlu *cscd[SC_COPY_SELF + 1];  /* NULL: not reachable, or not there */
	struct sc_itl roles[SC_COPY_SELF + 1];
	bool cut;
	unsigned segment;
	uint16_t src, dst;           /* CSCDs of the segment */
	struct sc_copy_extent ext;
	uint32_t piece;              /* size of the buffer */
	uint64_t done;               /* bytes of the segment */
	uint64_t at;                 /* of the piece under way, from the start of the segment */
	uint32_t len;
	void (*step)(struct task *t);
	struct rlu *on;              /* where the piece is being read or written; or, with @waiting, will be */
	uint64_t from, to;           /* blocks of it */
	bool waiting;                /* for commands that need these blocks for themselves (gate.c) */
};

/* ---- whom it concerns ---- */

bool copy_uses(const struct task *t, const struct rlu *l)
{
	for (unsigned i = 0; t->copy && i <= SC_COPY_SELF; i++)
		if (t->copy->cscd[i] == l)
			return true;
	return false;
}

bool copy_dying(const struct task *t)
{
	for (unsigned i = 0; t->copy && i <= SC_COPY_SELF; i++)
		if (t->copy->cscd[i] && t->copy->cscd[i]->dying)
			return true;
	return false;
}

bool copy_is_on(const struct task *t, const struct rlu *l, uint64_t from, uint64_t to)
{
	const struct copy *cp = t->copy;

	return cp && cp->on == l && !cp->waiting && cp->from < to && cp->to > from;
}

void copy_cut(struct task *t)
{
	t->copy->cut = true;
}

static struct sc_ctx ctx_of(const struct task *t, unsigned cscd)
{
	struct rlu *l = cscd <= SC_COPY_SELF ? t->copy->cscd[cscd] : NULL;

	return (struct sc_ctx){ .tgt = &t->sess->sc, .nexus = &t->sess->nexus, .lu = l ? &l->sc : NULL,
				.itl = l ? &t->copy->roles[cscd] : NULL };
}

/* ---- the end ---- */

void copy_release(struct task *t)
{
	if (t->copy->slot)
		sc_copy_end(t->copy->slot, &t->op);
	free(t->copy);
	t->copy = NULL;
}

static void end(struct task *t)
{
	if (task_dead(t))
		t->op.status = SC_TASK_ABORTED;
	copy_release(t);
	exec_done(t);  /* drops it if nobody waits for it */
}

static void fail(struct task *t, uint16_t asc)
{
	sc_copy_fail(&t->op, asc, t->copy->segment);
	end(t);
}

static void finish(struct task *t, enum sc_status status)
{
	t->op.kind = SC_OP_DONE;
	t->op.status = (uint8_t)status;
	end(t);
}

/* ---- pieces ---- */

static void next(struct task *t);
static void write_piece(struct task *t, enum disk_op op);

static void io_done(struct disk_io *io)
{
	struct task *t = container_of(io, struct task, io);
	struct rlu *l = t->copy->on;

	t->copy->on = NULL;
	gate_recheck(l);

	if (io->status == DISK_ABORTED && !task_dead(t))
		(void)isc_task_abort(&t->isc);  /* we are giving the group up */
	if (task_dead(t))
		end(t);
	else if (io->status == DISK_UNSUPPORTED && io->op == DISK_ZERO)
		write_piece(t, DISK_WRITE);
	else if (io->status != DISK_OK)
		fail(t, SC_ASC_COPY_DEVICE_FAILURE);
	else
		t->copy->step(t);
}

/* Or, if those blocks are somebody's alone, later: copy_start() comes for it */
static void submit(struct task *t)
{
	struct copy *cp = t->copy;

	cp->waiting = gate_blocks(cp->on, cp->from, cp->to);
	if (!cp->waiting)
		disk_submit(cp->on->disk, &t->io);
}

/* Whole blocks: of the last one read what is not wanted stays in the buffer, and the last one written is filled with zeroes. */
static uint32_t whole_blocks(const struct copy *cp, const struct rlu *l)
{
	uint32_t bs = l->sc.block_size;

	return (cp->len + bs - 1) / bs * bs;
}

static void io(struct task *t, struct rlu *l, enum disk_op op, uint64_t offset, void (*step)(struct task *t))
{
	struct copy *cp = t->copy;
	uint32_t len = whole_blocks(cp, l);

	cp->step = step;
	cp->on = l;
	cp->from = (offset + cp->at) / l->sc.block_size;
	cp->to = cp->from + len / l->sc.block_size;
	if (op == DISK_WRITE)
		memset(t->scratch + cp->len, 0, len - cp->len);
	t->iov = (struct iovec){ t->scratch, len };
	t->io = (struct disk_io){ .op = op, .fua = l->sc.set.mode.write_through, .unmap = op == DISK_ZERO,
				  .offset = offset + cp->at, .length = len, .iov = &t->iov, .n_iov = op != DISK_ZERO,
				  .done = io_done };
	submit(t);
}

static void written(struct task *t)
{
	struct copy *cp = t->copy;

	cp->done += cp->len;
	cp->slot->bytes += cp->len;
	next(t);
}

/* Before each write, too: what may be read need not be written any more. Return: false: @t has ended */
static bool may_go_on(struct task *t)
{
	struct copy *cp = t->copy;
	struct sc_ctx src = ctx_of(t, cp->src), dst = ctx_of(t, cp->dst);

	if (cp->cut || copy_dying(t))
		fail(t, SC_ASC_COPY_NOT_REACHABLE);
	else if (t->conn->state == CONN_QUIESCED && cp->slot->bytes)
		fail(t, SC_ASC_COPY_DEVICE_FAILURE);  /* the group is moving */
	else if (t->conn->state == CONN_QUIESCED)
		finish(t, SC_BUSY);  /* nothing is overwritten yet: to be sent again, to the next owner */
	else if (!sc_copy_allowed(&t->op, &src, &dst))
		fail(t, SC_ASC_COPY_DEVICE_FAILURE);
	else
		return true;
	return false;
}

static void write_piece(struct task *t, enum disk_op op)
{
	io(t, t->copy->cscd[t->copy->dst], op, t->copy->ext.dst, written);
}

/* What is thin stays thin: a piece of nothing but zeroes needs no storage, where that can be had without a flush of its own. */
static bool needs_no_storage(const struct task *t)
{
	const struct rlu *l = t->copy->cscd[t->copy->dst];
	const uint8_t *p = t->scratch;

	return l->sc.unmap_max && l->disk->geo.zeroes && l->disk->geo.unmap_zeroes && !l->sc.set.mode.write_through &&
	       !p[0] && !memcmp(p, p + 1, t->copy->len - 1);
}

static void was_read(struct task *t)
{
	if (may_go_on(t))
		write_piece(t, needs_no_storage(t) ? DISK_ZERO : DISK_WRITE);
}

/* Where source and destination overlap so that copying forwards would overwrite what is still to be read */
static bool backwards(const struct copy *cp)
{
	return cp->cscd[cp->src] == cp->cscd[cp->dst] && cp->ext.dst > cp->ext.src &&
	       cp->ext.dst - cp->ext.src < cp->ext.bytes;
}

static void piece(struct task *t)
{
	struct copy *cp = t->copy;

	cp->len = (uint32_t)MIN(cp->ext.bytes - cp->done, (uint64_t)cp->piece);
	cp->at = backwards(cp) ? cp->ext.bytes - cp->done - cp->len : cp->done;
	io(t, cp->cscd[cp->src], DISK_READ, cp->ext.src, was_read);
}

/* Return: false: @t has ended */
static bool begin_segment(struct task *t)
{
	struct copy *cp = t->copy;
	struct sc_ctx src, dst;

	cp->done = 0;
	sc_copy_cscds(&t->op.copy, cp->segment, &cp->src, &cp->dst);
	src = ctx_of(t, cp->src);
	dst = ctx_of(t, cp->dst);
	if (sc_copy_check(&t->op, cp->segment, &src, &dst, &cp->ext))
		return true;
	end(t);
	return false;
}

/* A piece of this segment, or the first one of the next that is not empty, or the end */
static void next(struct task *t)
{
	struct copy *cp = t->copy;

	while (cp->done == cp->ext.bytes) {
		cp->slot->segments = (uint16_t)++cp->segment;
		if (cp->segment == t->op.copy.n_segments) {
			finish(t, SC_GOOD);
			return;
		}
		if (!begin_segment(t))
			return;
	}
	if (may_go_on(t))
		piece(t);
}

/* ---- the beginning ---- */

static bool get_piece(struct task *t)
{
	struct copy *cp = t->copy;

	for (cp->piece = PIECE_MAX; cp->piece >= PIECE_MIN && !t->scratch; cp->piece /= 2)
		t->scratch = buf_get(&t->r->arena, cp->piece);
	cp->piece *= 2;
	return t->scratch;
}

/* Return: false: @t has ended */
static bool begin(struct task *t)
{
	struct copy *cp = t->copy;

	cp->slot = sc_copy_begin(t->sess->copies, &t->op);
	if (!cp->slot) {
		end(t);
		return false;
	}
	for (unsigned i = 0; i < t->op.copy.n_cscds; i++)
		cp->cscd[i] = copy_find(t, i);
	cp->cscd[SC_COPY_SELF] = copy_find(t, SC_COPY_SELF);
	for (cp->segment = 0; cp->segment < t->op.copy.n_segments; cp->segment++)
		if (!begin_segment(t))
			return false;
	return true;
}

void copy_gate_gone(struct rlu *l)
{
	struct task *t;

	list_for_each(t, &l->r->tasks, link)
		if (t->copy && t->copy->waiting && t->copy->on == l && t->waits == TASK_RUNS)
			exec_later(t);
}

static void go_on(struct task *t)
{
	if (task_dead(t))
		end(t);
	else if (may_go_on(t))
		submit(t);
}

void copy_start(struct task *t)
{
	struct session *s = t->sess;

	if (t->copy) {
		go_on(t);
		return;
	}
	if (!s->copies)
		s->copies = calloc(1, sizeof(*s->copies));
	t->copy = s->copies ? calloc(1, sizeof(*t->copy)) : NULL;
	if (!t->copy) {
		sc_op_fail(&t->op, (struct sc_sense){ 0 });
		t->op.status = SC_BUSY;
		exec_done(t);
		return;
	}
	if (!begin(t))
		return;
	t->copy->segment = 0;
	if (!t->op.copy.n_segments)
		finish(t, SC_GOOD);
	else if (!get_piece(t))
		finish(t, SC_BUSY);
	else if (begin_segment(t))
		next(t);
}
