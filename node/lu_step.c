/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lu_step.c - a logical unit's disks are opened, closed, rekeyed: a step of all reactors */
#include <string.h>

#include "node/node.h"

struct lu_step {
	struct call call;
	struct lu *lu;
	lu_step_fn *done;
	void *arg;
	uint64_t key, old_key;
	void (*begin)(struct rlu *l, struct lu_step *s);
	struct { enum disk_status status; char err[200]; struct disk_geometry geo; } at[REACTORS_MAX];
};

static void step_ended(struct disk *d, void *arg, enum disk_status status, const char *err)
{
	struct lu_step *s = arg;
	unsigned i = d->index;

	s->at[i].status = status;
	s->at[i].geo = d->geo;
	snprintf(s->at[i].err, sizeof(s->at[i].err), "%s", err ? err : disk_status_name(status));
	call_reply(&s->call, s->lu->at[i]->r);
}

static void begin_free(struct rlu *l, struct lu_step *s)
{
	list_del(&l->link);
	disk_free(l->disk);
	l->disk = NULL;
	call_reply(&s->call, l->r);  /* the control thread's from here on */
}

static void step_arrives(struct call *c, struct reactor *r)
{
	struct lu_step *s = container_of(c, struct lu_step, call);
	struct rlu *l = s->lu->at[r->index];

	if (l->disk || s->begin == begin_free) {
		s->begin(l, s);
		return;
	}
	s->at[r->index].status = DISK_NOT_READY;
	snprintf(s->at[r->index].err, sizeof(s->at[r->index].err), "out of memory");
	call_reply(c, r);
}

/* The worst counts: fenced before all others. */
static void step_done(struct call *c)
{
	struct lu_step *s = container_of(c, struct lu_step, call);
	unsigned worst = 0;

	for (unsigned i = 1; i < c->ctl->n_reactors; i++)
		if (s->at[worst].status != DISK_FENCED && s->at[i].status != DISK_OK)
			worst = i;
	s->lu->geo = s->at[0].geo;
	s->done(s->lu, s->arg, s->at[worst].status, s->at[worst].err);
	free(s);
}

static void step(struct lu *lu, void (*begin)(struct rlu *, struct lu_step *), uint64_t old_key, uint64_t key,
		 lu_step_fn *done, void *arg)
{
	struct lu_step *s = calloc(1, sizeof(*s));

	if (!s) {
		done(lu, arg, DISK_NOT_READY, "out of memory");
		return;
	}
	*s = (struct lu_step){ .lu = lu, .done = done, .arg = arg, .key = key, .old_key = old_key, .begin = begin };
	s->call.on_reactor = step_arrives;
	s->call.done = step_done;
	call_all(lu->ctl, &s->call);
}

static void started(struct disk *d, void *arg, enum disk_status status, const char *err)
{
	struct lu_step *s = arg;

	if (status == DISK_OK) {
		lu_take_geometry(s->lu->at[d->index]);
		lu_check_provisioning(s->lu->at[d->index]);
		lu_look_begin(s->lu->at[d->index]);
	}
	step_ended(d, arg, status, err);
}

static void begin_start(struct rlu *l, struct lu_step *s)
{
	if (l->disk->state == DISK_OPEN)
		step_ended(l->disk, s, DISK_OK, NULL);
	else
		disk_start(l->disk, s->key, started, s);
}

static void begin_stop(struct rlu *l, struct lu_step *s)
{
	lu_look_end(l);
	disk_stop(l->disk, step_ended, s);
}

static void begin_rekey(struct rlu *l, struct lu_step *s)
{
	disk_rekey(l->disk, s->old_key, s->key, step_ended, s);
}

void lu_start(struct lu *lu, uint64_t key, lu_step_fn *done, void *arg)
{
	lu->state = LU_OPENING;
	step(lu, begin_start, 0, key, done, arg);
}

void lu_stop(struct lu *lu, lu_step_fn *done, void *arg)
{
	lu->state = LU_STANDBY;
	step(lu, begin_stop, 0, 0, done, arg);
}

void lu_rekey(struct lu *lu, uint64_t old_key, uint64_t new_key, lu_step_fn *done, void *arg)
{
	step(lu, begin_rekey, old_key, new_key, done, arg);
}

void lu_close(struct lu *lu, lu_step_fn *done, void *arg)
{
	step(lu, begin_free, 0, 0, done, arg);
}
