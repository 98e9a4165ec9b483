/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lu_geometry.c - what a disk is becomes what its logical unit says it is; started and stopped */
#include <stdlib.h>
#include <syslog.h>

#include <qb/qblog.h>

#include "node/node.h"

/* One command ends in a time that an initiator waits for. */
#define WRITE_SAME_MAX_BYTES (16u << 20)
#define UNMAP_MAX_BLOCKS (1u << 20)
#define UNMAP_DESCS 256u
#define CAW_MAX_BLOCKS 128u

/* Thin: what the disk gives back can be given back by initiators, unless the document says thick. */
static void take_provisioning(struct rlu *l)
{
	const struct disk_geometry *g = &l->disk->geo;
	struct sc_lu *s = &l->sc;
	uint32_t bs = g->block_size;

	s->unmap_max = 0;
	s->threshold_exp = 0;
	if (!g->unmap_granularity || l->lu->conf.provisioning == CONF_THICK)
		return;
	s->unmap_max = UNMAP_MAX_BLOCKS;
	s->unmap_descs = UNMAP_DESCS;
	s->unmap_gran = MAX(g->unmap_granularity / bs, 1u);
	s->unmap_align = g->alignment / bs;
	s->threshold_exp = lu_space_exponent(l);
	if (g->unmap_zeroes)
		s->flags |= SC_LU_UNMAP_ZEROES;
}

void lu_check_provisioning(const struct rlu *l)
{
	if (l->lu->conf.provisioning == CONF_THIN && !l->sc.unmap_max && !l->r->index)
		rlog(l->r, LOG_WARNING, "%s/%u: provisioning: thin, but what is below cannot give storage back here: it is shown "
		     "as thick", l->lu->iqn, l->lu->number);
}

void lu_take_geometry(struct rlu *l)
{
	const struct disk_geometry *g = &l->disk->geo;
	struct sc_lu *s = &l->sc;
	uint32_t bs = g->block_size;

	s->block_size = bs;
	s->blocks = g->blocks;
	s->phys_exp = 0;
	while ((bs << (s->phys_exp + 1)) <= g->physical_block_size && s->phys_exp < 15)
		s->phys_exp++;
	s->lowest_aligned = (uint16_t)(g->alignment / bs & 0x3fff);
	s->max_xfer = DISK_IO_MAX / bs;
	s->opt_xfer = MIN(g->optimal_io, DISK_IO_MAX) / bs;
	s->write_same_max = WRITE_SAME_MAX_BYTES / bs;
	s->caw_max = (uint8_t)MIN(CAW_MAX_BLOCKS, s->max_xfer);
	s->atomic_max = g->atomic ? MIN(s->max_xfer, (uint32_t)UINT16_MAX) : 0;
	s->flags = (g->read_only ? SC_LU_READONLY : 0) | (g->write_cache ? SC_LU_WRITE_CACHE : 0);
	take_provisioning(l);
}

/* ---- changes of an open disk: each reactor sees them with its own handle, and tells its own sessions ---- */

#define LOOK_US 5000000u

static void look(struct ring_timer *t)
{
	struct rlu *l = container_of(t, struct rlu, look);

	disk_look(l->disk);
	ring_timer_set(&l->r->ring, t, LOOK_US);
}

void lu_look_begin(struct rlu *l)
{
	ring_timer_init(&l->look, look);
	look(&l->look);
}

void lu_look_end(struct rlu *l)
{
	ring_timer_cancel(&l->look);
}

void lu_tell(const struct rlu *l, uint16_t ua)
{
	struct session *s;

	list_for_each(s, &l->r->sessions, at) {
		struct itl *i = itl_find(s, l->lu);

		if (i)
			sc_ua_add(&i->sc.ua, ua);
	}
}

/* For the reports. */
struct size_note {
	struct msg msg;
	struct lu *lu;
	uint64_t blocks;
};

static void size_arrives(struct msg *m, void *ctl)
{
	struct size_note *n = container_of(m, struct size_note, msg);

	(void)ctl;
	n->lu->geo.blocks = n->blocks;
	free(n);
}

void lu_resized(struct disk *d, void *rlu)
{
	struct rlu *l = rlu;
	struct size_note *n = malloc(sizeof(*n));

	lu_take_geometry(l);
	lu_tell(l, SC_UA_CAPACITY_CHANGED);
	if (!n)
		return;
	*n = (struct size_note){ .msg.run = size_arrives, .lu = l->lu, .blocks = d->geo.blocks };
	control_send(l->r->ctl, &n->msg);
}

static void look_now(struct call *c, struct reactor *r)
{
	struct rlu *l;

	list_for_each(l, &r->rlus, link)
		if (l->disk)
			disk_look(l->disk);
	call_reply(c, r);
}

static void looked(struct call *c)
{
	free(c);
}

void lu_grow(struct lu *lu, uint64_t size)
{
	char err[256], name[LU_NAME_MAX];
	struct call *c;

	if (size == lu->conf.size)
		return;
	if (disk_backing_grow(lu->backing, size, err, sizeof(err)))
		qb_log(LOG_ERR, "%s: %s", lu_name(lu, name), err);
	lu->conf.size = size;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;  /* seen with the next look */
	c->on_reactor = look_now;
	c->done = looked;
	call_all(lu->ctl, c);
}

/* ---- START STOP UNIT: for all initiators; over a failover and a reset it is started (SBC-3 4.20) ---- */

struct start_op {
	struct call call;
	struct task *task;
	struct lu *lu;
};

static void start_on_reactor(struct call *call, struct reactor *r)
{
	struct start_op *o = container_of(call, struct start_op, call);

	o->lu->at[r->index]->sc.stopped = o->task->op.stop;
	call_reply(call, r);
}

static void answer(struct task *t, enum sc_status status)
{
	t->op.kind = SC_OP_DONE;
	t->op.status = (uint8_t)status;
	t->msg.run = t->answered;
	queue_push(&t->r->in, &t->msg);
}

static void start_done(struct call *call)
{
	struct start_op *o = container_of(call, struct start_op, call);

	answer(o->task, SC_GOOD);
	free(o);
}

void lu_start_stop(struct msg *m, void *ctl)
{
	struct task *t = container_of(m, struct task, msg);
	struct start_op *o = calloc(1, sizeof(*o));

	if (!o) {
		answer(t, SC_BUSY);
		return;
	}
	*o = (struct start_op){ .task = t, .lu = t->lu->lu };
	o->call.on_reactor = start_on_reactor;
	o->call.done = start_done;
	call_all(ctl, &o->call);
}
