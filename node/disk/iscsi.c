/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iscsi.c - a LUN of an iSCSI array as a disk
 *
 * Theory of operation. The nexus (iscsi_nexus.c) keeps the session; this file decides when I/O may use it.
 *
 *	down -> (up) -> JOINING -> SIZING -> READY
 *
 * A disk that has been open looks first who holds the LUN, and leaves if it is somebody else. Otherwise,
 * before the first I/O of each session, and after any unit attention that says that registrations may have moved,
 * the nexus *joins*: it registers the group's key and verifies that the reservation's holder has exactly it
 * (fencing/arbitrate.h, FENCE_OP_JOIN). Nothing is in flight then. A holder that is our own node with another epoch
 * means that a bump is under way: a later one, and disk_rekey() is about to say so; or an earlier one, since clusterd
 * moves the key of the first LUN before those of the others. Asked again for a while. Any other holder: fenced.
 *
 * I/Os stay on disk.busy until they are done. One that was lost with its connection is issued again, whole, when the
 * next session is READY; one that waits for longer than GIVE_UP_US without a session ends with DISK_NOT_READY.
 * An I/O in RESERVATION CONFLICT is never repeated.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fencing/key.h"
#include "node/disk/iscsi_disk.h"
#include "node/util/wire.h"

#define GIVE_UP_US 15000000u          /* without a session, or not ready, I/Os and starts fail after so long */
#define BUSY_RETRY_US 10000u
#define BUMP_WAIT_US 20000u           /* between two looks for our own bump to end */
#define BUMP_LOOKS 250u

static void issue_all(struct idisk *x);
static void advance(struct idisk *x);

/* ---- not ready: what waits, and for how long ---- */
static void not_ready(struct idisk *x, enum idisk_state s)
{
	x->state = s;
	if (!x->waiting_since_us)
		x->waiting_since_us = x->d.ring->now_us;
	ring_timer_set(x->d.ring, &x->timer, GIVE_UP_US / 10);
}

static void end_waiting(struct idisk *x, enum disk_status s)
{
	struct disk_io *io, *tmp;

	list_for_each_safe(io, tmp, &x->d.busy, link)
		if (!io->pieces && list_empty(&io->work.link))
			disk_io_end_later(io, s);
}

static void start_failed(struct idisk *x, enum disk_status s, const char *err)
{
	x->wanted = false;
	x->state = IDISK_DOWN;
	ring_timer_cancel(&x->timer);
	disk_step_end(&x->d, s, err);
}

static void fenced(struct idisk *x, const char *detail)
{
	x->state = IDISK_DOWN;
	x->wanted = false;
	x->rejoin = false;
	ring_timer_cancel(&x->timer);
	if (x->d.rekey_step)
		disk_rekey_end(&x->d, DISK_FENCED, detail);
	disk_fence(&x->d, detail);
	end_waiting(x, DISK_FENCED);
}

static void timer_expired(struct ring_timer *t)
{
	struct idisk *x = container_of(t, struct idisk, timer);
	bool late = x->waiting_since_us && x->d.ring->now_us - x->waiting_since_us >= GIVE_UP_US;

	if (x->state == IDISK_READY) {
		issue_all(x);
		return;
	}
	if (late && x->d.state == DISK_STARTING) {
		start_failed(x, DISK_NOT_READY, "the array cannot be reached");
		return;
	}
	if (late)
		end_waiting(x, DISK_NOT_READY);
	ring_timer_set(x->d.ring, t, GIVE_UP_US / 10);
	advance(x);
}

/* ---- single commands: joining, rekeying, sizing ---- */
static void single_send(struct idisk *x, enum nexus_dir dir, void *buf, size_t len)
{
	x->cmd_iov = (struct iovec){ .iov_base = buf, .iov_len = len };
	x->cmd.dir = dir;
	x->cmd.iov = &x->cmd_iov;
	x->cmd.n_iov = dir == NEXUS_NONE ? 0 : 1;
	x->cmd.length = (uint32_t)len;
	x->cmd_busy = nexus_send(x->nexus, &x->cmd);
	if (x->cmd_busy)
		x->d.holds++;
}

static void machine_run(struct idisk *x, const struct fence_result *res);
static void join_begin(struct idisk *x);

static void machine_answer(struct idisk *x)
{
	_cleanup_free_ struct fence_result *res = calloc(1, sizeof(*res));
	struct nexus_cmd *c = &x->cmd;

	if (!res) {
		nexus_drop(x->nexus, "out of memory");
		return;
	}
	fence_result_scsi(res, &x->pr, c->status, x->in, c->dir == NEXUS_IN ? c->moved : 0, c->sense, c->sense_len);
	machine_run(x, res);
}

static bool own_bump(const struct idisk *x)
{
	struct fence_key held, ours;

	return fence_key_parse(x->machine.outcome.view.holder, &held) && fence_key_parse(x->d.key, &ours) &&
	       held.cluster == ours.cluster && held.node == ours.node && held.epoch != ours.epoch;
}

static void join_end(struct idisk *x)
{
	const struct fence_outcome *o = &x->machine.outcome;

	if (o->verdict == FENCE_OK) {
		x->looks = 0;
		x->state = IDISK_SIZING;
	} else if (o->verdict == FENCE_LOST && own_bump(x) && ++x->looks < BUMP_LOOKS) {
		ring_timer_set(x->d.ring, &x->timer, BUMP_WAIT_US);
		return;
	} else if (o->verdict == FENCE_LOST || o->verdict == FENCE_FOREIGN) {
		fenced(x, o->text);
		return;
	} else if (x->d.state == DISK_STARTING) {
		start_failed(x, DISK_NOT_READY, o->text);
		return;
	} else {
		nexus_drop(x->nexus, o->text);
		return;
	}
	advance(x);
}

static void rekey_end(struct idisk *x)
{
	const struct fence_outcome *o = &x->machine.outcome;

	x->rekeying = false;
	if (o->verdict == FENCE_OK)
		disk_rekey_end(&x->d, DISK_OK, NULL);
	else if (o->verdict == FENCE_LOST || o->verdict == FENCE_FOREIGN)
		fenced(x, o->text);
	else
		nexus_drop(x->nexus, o->text);  /* the next session joins under the new key */
}

/* Not the end of it: only a holder that was ours after registering counts. But if it is another's already, leave. */
static void look_end(struct idisk *x)
{
	const struct fence_outcome *o = &x->machine.outcome;

	if (o->verdict != FENCE_OK)
		nexus_drop(x->nexus, o->text);
	else if (o->view.holder == x->d.key || own_bump(x))
		join_begin(x);
	else
		fenced(x, "the LUN is held by another key than the group's");
}

static void machine_run(struct idisk *x, const struct fence_result *res)
{
	int n;

	if (!fence_step(&x->machine, res, &x->pr)) {
		if (x->rekeying)
			rekey_end(x);
		else if (x->machine.req.op == FENCE_OP_READ)
			look_end(x);
		else
			join_end(x);
		return;
	}
	n = fence_cmd_encode(&x->pr, x->cmd.cdb, x->out);
	x->cmd.cdb_len = FENCE_CDB_LEN;
	if (n > 0)
		single_send(x, NEXUS_OUT, x->out, (size_t)n);
	else
		single_send(x, NEXUS_IN, x->in, fence_cmd_in_len(&x->pr));
}

static void join_begin(struct idisk *x)
{
	x->rejoin = false;
	fence_begin(&x->machine, &(struct fence_request){ .op = FENCE_OP_JOIN, .key = x->d.key });
	machine_run(x, NULL);
}

/* A disk that was open looks before it joins again: a node that was fenced meanwhile would leave its registration behind
 * if it were told to stop between registering and withdrawing. */
static void look_begin(struct idisk *x)
{
	x->rejoin = false;
	fence_begin(&x->machine, &(struct fence_request){ .op = FENCE_OP_READ, .key = x->d.key });
	machine_run(x, NULL);
}

static void rekey_begin(struct idisk *x)
{
	x->rekeying = true;
	fence_begin(&x->machine, &(struct fence_request){ .op = FENCE_OP_REKEY, .expect = x->rekey_old, .key = x->rekey_new });
	machine_run(x, NULL);
}

/* The geometry is complete. */
static void ready(struct idisk *x)
{
	x->state = IDISK_READY;
	x->waiting_since_us = 0;
	ring_timer_cancel(&x->timer);
	if (x->d.state == DISK_STARTING)
		disk_step_end(&x->d, DISK_OK, NULL);
	issue_all(x);
	if (x->d.rekey_step && x->state == IDISK_READY && !x->cmd_busy)
		disk_rekey_end(&x->d, DISK_OK, NULL);  /* joined under the new key */
}

static const char *size_take(struct idisk *x)
{
	bool open = x->d.state == DISK_OPEN, thin;
	struct disk_geometry g = x->d.geo;
	uint64_t before = g.blocks;
	const char *err = icmd_size_take(x, &g, &thin);

	if (!err && open && g.block_size != x->d.geo.block_size)
		err = "the LUN has changed its block size: restart the group to take it over";
	if (err)
		return err;
	if (open) {
		if (g.blocks != before)
			disk_resized(&x->d, g.blocks);
		return NULL;
	}
	x->d.geo = g;
	x->d.geo.map = thin;
	return NULL;
}

static void size_answer(struct idisk *x)
{
	const char *err;

	if (x->cmd.status == 2 && x->cmd.sense_key == 6) {
		advance(x);
		return;
	}
	err = x->cmd.status ? "READ CAPACITY (16) failed" : size_take(x);
	if (!err && x->d.state == DISK_OPEN) {
		ready(x);
	} else if (!err) {
		x->state = IDISK_LIMITS;
		advance(x);
	} else if (x->d.state == DISK_STARTING) {
		start_failed(x, DISK_NOT_READY, err);
	} else {
		disk_log(&x->d, LOG_ERR, "%s: %s", x->d.backing->spec.path, err);
		ring_timer_set(x->d.ring, &x->timer, GIVE_UP_US / 10);
	}
}

static void limits_answer(struct idisk *x)
{
	icmd_limits_take(x);
	x->state = IDISK_PROVISIONING;
	if (x->d.geo.map)
		advance(x);
	else
		ready(x);
}

static void provisioning_answer(struct idisk *x)
{
	icmd_provisioning_take(x);
	ready(x);
}

/* An open disk was asked for its size; what is wrong with the answer is no reason to give up. */
static void look_answer(struct idisk *x)
{
	bool again;

	if (!x->cmd.status)
		(void)size_take(x);
	else
		(void)icmd_verdict(x, &x->cmd, &again);
}

static void single_done(struct nexus_cmd *c)
{
	struct idisk *x = container_of(c, struct idisk, cmd);
	bool go = !c->lost && x->wanted && x->d.state != DISK_STOPPING;

	x->cmd_busy = false;
	if (go && (x->state == IDISK_JOINING || x->rekeying))
		machine_answer(x);
	else if (go && x->state == IDISK_SIZING)
		size_answer(x);
	else if (go && x->state == IDISK_LIMITS)
		limits_answer(x);
	else if (go && x->state == IDISK_PROVISIONING)
		provisioning_answer(x);
	else if (go && x->looking)
		look_answer(x);
	x->looking = false;
	if (x->rejoin)                          /* asked for while this command was under way, or by its answer */
		advance(x);
	disk_release(&x->d);
}

/* Take the next step towards READY, if one can be taken now. */
static void advance(struct idisk *x)
{
	if (!x->wanted || x->cmd_busy || x->in_flight || !x->nexus || !nexus_is_up(x->nexus))
		return;
	if (x->state == IDISK_DOWN || x->rejoin)
		not_ready(x, x->d.key ? IDISK_JOINING : IDISK_SIZING);
	if (x->state == IDISK_JOINING && x->d.state == DISK_OPEN)
		look_begin(x);
	else if (x->state == IDISK_JOINING)
		join_begin(x);
	else if (x->state == IDISK_SIZING)
		single_send(x, NEXUS_IN, x->in, icmd_size(x));
	else if (x->state == IDISK_LIMITS)
		single_send(x, NEXUS_IN, x->in, icmd_limits(x));
	else if (x->state == IDISK_PROVISIONING)
		single_send(x, NEXUS_IN, x->in, icmd_provisioning(x));
}

/* ---- I/O ---- */
static struct piece *piece_get(struct idisk *x)
{
	struct piece *p = x->free_pieces;

	if (p)
		x->free_pieces = p->next_free;
	else
		p = malloc(sizeof(*p));
	return p;
}

static void piece_put(struct idisk *x, struct piece *p)
{
	p->next_free = x->free_pieces;
	x->free_pieces = p;
}

static void piece_done(struct nexus_cmd *c)
{
	struct piece *p = container_of(c, struct piece, cmd);
	struct disk_io *io = p->io;
	struct idisk *x = idisk_of(io->disk);
	bool again, fence;
	enum disk_status s = icmd_verdict(x, c, &again);

	if (!s && !again && io->op == DISK_MAP)
		s = icmd_map_take(x, p);
	piece_put(x, p);
	x->in_flight--;
	io->pieces--;
	if (s && io->status == DISK_OK)
		io->status = s;
	if (again && !x->wanted && io->status == DISK_OK)
		io->status = x->d.state == DISK_GONE ? DISK_FENCED : DISK_ABORTED;
	if (again)
		io->moved = 0;                  /* marks it: to be issued again, whole */
	fence = s == DISK_FENCED && x->d.key && x->d.state == DISK_OPEN;
	if (!io->pieces && (io->status || io->moved))
		disk_io_end(io, io->status);  /* before fenced(), which ends what waits: not this one a second time */
	else if (!io->pieces && x->state == IDISK_READY && !x->rejoin)
		ring_timer_set(x->d.ring, &x->timer, BUSY_RETRY_US);
	if (fence)
		fenced(x, "an I/O ended in RESERVATION CONFLICT");
	if (x->rejoin && !x->in_flight)
		advance(x);
}

static bool piece_send(struct idisk *x, struct disk_io *io, uint32_t from, uint32_t len)
{
	struct piece *p = piece_get(x);

	if (!p)
		return false;
	p->io = io;
	p->cmd.done = piece_done;
	icmd_piece(x, p, from, len);
	if (!nexus_send(x->nexus, &p->cmd)) {
		piece_put(x, p);
		return false;
	}
	x->in_flight++;
	io->pieces++;
	return true;
}

/* All commands of an I/O. What could not be sent is issued again, whole, with the next session. */
static void issue(struct idisk *x, struct disk_io *io)
{
	uint32_t total = io->op == DISK_FLUSH ? 0 : io->length, from = 0;

	io->status = DISK_OK;
	io->moved = 1;
	do {
		uint32_t len = MIN(total - from, icmd_most(x, io));

		if (!piece_send(x, io, from, len)) {
			io->moved = 0;
			ring_timer_set(x->d.ring, &x->timer, BUSY_RETRY_US);
			return;
		}
		from += len;
	} while (from < total);
}

static void issue_all(struct idisk *x)
{
	struct disk_io *io, *tmp;

	if (x->state != IDISK_READY || x->rejoin)
		return;
	list_for_each_safe(io, tmp, &x->d.busy, link)
		if (!io->pieces && list_empty(&io->work.link))
			issue(x, io);
}

/* ---- the nexus speaks ---- */
static void nexus_up(void *arg)
{
	advance(arg);
}

static void nexus_down(void *arg, const char *why)
{
	struct idisk *x = arg;

	if (x->state == IDISK_READY || x->d.state == DISK_STARTING)
		disk_log(&x->d, LOG_WARNING, "%s: %s; logging in again", x->d.backing->spec.path, why);
	x->rekeying = false;
	x->rejoin = false;
	if (x->wanted)
		not_ready(x, IDISK_DOWN);
}

/* ---- disk operations ---- */
static void idisk_init(struct disk *d)
{
	static const struct nexus_ops ops = { .up = nexus_up, .down = nexus_down };
	struct idisk *x = idisk_of(d);
	struct nexus_opts opts = { .url = d->backing->spec.path, .initiator = d->backing->spec.initiator };
	unsigned low;

	memcpy(opts.isid, d->backing->spec.isid, sizeof(opts.isid));
	low = get_be16(opts.isid + 4) + d->index;
	put_be16(opts.isid + 4, (uint16_t)low);
	ring_timer_init(&x->timer, timer_expired);
	x->cmd.done = single_done;
	x->nexus = nexus_new(d->ring, &opts, &ops, x, x->url_error, sizeof(x->url_error));
}

static void idisk_start(struct disk *d)
{
	struct idisk *x = idisk_of(d);

	if (!x->nexus) {
		disk_step_end(d, DISK_NOT_READY, x->url_error);
		return;
	}
	x->wanted = true;
	x->looks = 0;
	x->waiting_since_us = 0;
	not_ready(x, IDISK_DOWN);
	advance(x);
}

static void idisk_submit(struct disk *d, struct disk_io *io)
{
	struct idisk *x = idisk_of(d);

	ring_work_init(&io->work, NULL);
	if (x->state == IDISK_READY && !x->rejoin)
		issue(x, io);
	else
		io->moved = 0;
}

/* How large is it now? Arrays tell it with a unit attention too, but only to those who send commands. */
static void idisk_look(struct disk *d)
{
	struct idisk *x = idisk_of(d);

	if (x->state != IDISK_READY || x->cmd_busy || x->rejoin)
		return;
	x->looking = true;
	single_send(x, NEXUS_IN, x->in, icmd_size(x));
	x->looking = x->cmd_busy;
}

static void idisk_abort(struct disk *d)
{
	struct idisk *x = idisk_of(d);

	x->wanted = false;
	x->rejoin = false;
	x->state = IDISK_DOWN;
	ring_timer_cancel(&x->timer);
	if (x->nexus && (x->in_flight || x->cmd_busy))
		nexus_drop(x->nexus, "stopped with commands in flight");
	end_waiting(x, DISK_ABORTED);
}

static void idisk_rekey(struct disk *d, uint64_t old_key, uint64_t new_key)
{
	struct idisk *x = idisk_of(d);

	d->key = new_key;
	x->rekey_old = old_key;
	x->rekey_new = new_key;
	if (x->state == IDISK_READY && !x->rejoin && !x->cmd_busy)
		rekey_begin(x);
	else if (x->cmd_busy)
		nexus_drop(x->nexus, "the key changed while it was being joined");  /* the next session joins the new one */
	/* otherwise: ends when the nexus is READY again, joined under the new key */
}

static void idisk_fini(struct disk *d)
{
	struct idisk *x = idisk_of(d);

	nexus_free(x->nexus);
	ring_timer_cancel(&x->timer);
	while (x->free_pieces) {
		struct piece *p = x->free_pieces;

		x->free_pieces = p->next_free;
		free(p);
	}
}

const struct disk_ops disk_iscsi_ops = {
	.name = "iscsi",
	.size = sizeof(struct idisk),
	.init = idisk_init,
	.start = idisk_start,
	.submit = idisk_submit,
	.abort = idisk_abort,
	.rekey = idisk_rekey,
	.look = idisk_look,
	.fini = idisk_fini,
};
