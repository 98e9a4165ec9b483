/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * target.c - target processes: as kernel block devices see them, I/O goes through the node's own nexus
 *
 * A target serves only after it has seen its key as the holder of every LUN. I/O is let in when it arrives at the
 * device and takes effect later. A change is made on top of the last committed one, so that all changes of a group form
 * a tree; what initiators were told must be one path in it (check.c).
 */
#include "tests/sim/sim.h"

#define IPC 100u

struct told { struct core_ev_target ev; };

static void told(struct sim *s, unsigned n, uint64_t g, void *p)
{
	struct told *t = p;
	struct core_event ev = { .type = CORE_EV_TARGET };

	if ((t->ev.what == CORE_TARGET_DIED || t->ev.what == CORE_TARGET_ABSENT) && s->node[n].target[g].alive) {
		free(t);  /* of the process before this one: a pidfd would not mix them up */
		return;
	}
	ev.target = t->ev;
	ev.target.group = group_name((unsigned)g);
	if (t->ev.what == CORE_TARGET_RECORD) {
		ev.target.body = core_body_new(&t->ev.version, sizeof(t->ev.version));
		ev.target.version = 0;
	}
	node_step(s, n, &ev);
	core_body_unref(ev.target.body);
	free(t);
}

static void say(struct sim *s, unsigned n, unsigned g, struct core_ev_target ev)
{
	bool outside = ev.what == CORE_TARGET_HUNG || ev.what == CORE_TARGET_DIED || ev.what == CORE_TARGET_ABSENT;
	struct told *t;

	if (s->node[n].target[g].stuck && !outside)
		return;
	t = malloc(sizeof(*t));
	if (!t)
		abort();
	t->ev = ev;
	at(s, IPC, LANE_CLUSTERD, n, told, g, t);
}

static void say_plain(struct sim *s, unsigned n, unsigned g, enum core_target_event what)
{
	say(s, n, g, (struct core_ev_target){ .what = what, .key = s->node[n].target[g].key });
}

static void hello(struct sim *s, unsigned n, unsigned g)
{
	struct sim_target *t = &s->node[n].target[g];

	say(s, n, g, (struct core_ev_target){ .what = CORE_TARGET_HELLO, .state = t->state, .key = t->key });
	if (t->ticket)
		say(s, n, g, (struct core_ev_target){ .what = CORE_TARGET_RECORD, .ticket = t->ticket, .version = t->wanted });
}

/* All continuations carry the process' life: a = life << 8 | group */
static struct sim_target *mine(struct sim *s, unsigned n, uint64_t a)
{
	struct sim_target *t = &s->node[n].target[a & 0xff];

	return t->alive && t->life == (uint32_t)(a >> 8) ? t : NULL;
}

static void later(struct sim *s, unsigned n, unsigned g, uint64_t delay, event_fn *fn)
{
	at(s, delay, LANE_NODE, n, fn, (uint64_t)s->node[n].target[g].life << 8 | g, NULL);
}

static void started(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct sim_target *t = mine(s, n, a);

	(void)p;
	if (!t)
		return;
	t->state = CORE_T_STANDBY;
	hello(s, n, a & 0xff);
}

void sim_target_start(struct sim *s, unsigned n, unsigned g)
{
	struct sim_target *t = &s->node[n].target[g];
	uint32_t life = t->life;

	trace(s, "n%u %s target starts", n + 1, group_name(g));
	if (t->alive)
		broken(s, "n%u: a second target process of %s", n + 1, group_name(g));
	*t = (struct sim_target){ .alive = true, .life = life + 1, .in_flight = t->in_flight };
	later(s, n, g, latency(s, 40 * MS), started);
}

/* The kernel keeps a process until its I/O is done. */
static void gone(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct sim_target *t = &s->node[n].target[a & 0xff];

	if (t->life != (uint32_t)(a >> 8))
		return;
	if (t->in_flight)
		at(s, MS, LANE_NODE, n, gone, a, p);
	else
		say_plain(s, n, a & 0xff, CORE_TARGET_DIED);
}

static void hung(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)p;
	if (!mine(s, n, a))
		return;
	say_plain(s, n, a & 0xff, CORE_TARGET_HUNG);
	later(s, n, a & 0xff, 3 * SEC, hung);
}

void sim_target_hang(struct sim *s, unsigned n, unsigned g)
{
	struct sim_target *t = &s->node[n].target[g];

	if (!t->alive || t->stuck)
		return;
	trace(s, "n%u %s target hangs", n + 1, group_name(g));
	t->stuck = true;
	later(s, n, g, rnd_range(s, 10, 3000) * MS, hung);
}

void sim_target_kill(struct sim *s, unsigned n, unsigned g, bool tell)
{
	struct sim_target *t = &s->node[n].target[g];

	if (!t->alive)
		return;
	trace(s, "n%u %s target killed", n + 1, group_name(g));
	t->alive = false;
	t->stuck = false;
	t->life++;
	t->state = CORE_T_NONE;
	t->ticket = 0;
	if (tell)
		gone(s, n, (uint64_t)t->life << 8 | g, NULL);
}

static void report(struct sim *s, unsigned n, uint64_t g, void *p)
{
	struct sim_target *t = &s->node[n].target[g];

	if (!t->alive && t->in_flight)
		at(s, MS, LANE_CLUSTERD, n, report, g, p);
	else if (!t->alive)
		say_plain(s, n, (unsigned)g, CORE_TARGET_ABSENT);
	else if (t->state != CORE_T_NONE)
		hello(s, n, (unsigned)g);
}

void sim_target_report(struct sim *s, unsigned n, unsigned g)
{
	at(s, rnd_range(s, 1, 100) * MS, LANE_CLUSTERD, n, report, g, NULL);
}

static bool holds_all(struct sim *s, unsigned n, unsigned g, struct core_key k)
{
	for (unsigned l = 0; l < LUNS; l++) {
		struct lun_model *m = &s->lun[g][l].model;

		if (!(s->node[n].target[g].luns & 1u << l))
			continue;
		if (lun_holder_key(m) != key_pack(k) || !lun_allows(m, n))
			return false;
	}
	return true;
}

/* Many groups together make no more noise than a few. */
static uint64_t pace(struct sim *s, unsigned most)
{
	return rnd_range(s, most / 10, most) * (1 + s->n_groups / 3);
}

static void io(struct sim *s, unsigned n, uint64_t a, void *p);
static void change(struct sim *s, unsigned n, uint64_t a, void *p);

static void drop(struct sim *s, unsigned n, unsigned g, enum core_target_state state)
{
	struct sim_target *t = &s->node[n].target[g];

	t->state = state;
	t->ticket = 0;
	(void)s;
}

static void activated(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct sim_target *t = mine(s, n, a);
	unsigned g = a & 0xff;

	(void)p;
	if (!t || t->state != CORE_T_ACTIVATING)
		return;
	if (!holds_all(s, n, g, t->key)) {
		t->state = CORE_T_STANDBY;
		say(s, n, g, (struct core_ev_target){ .what = CORE_TARGET_ACTIVATED, .key = t->key, .fenced = true, .error = "fenced" });
		return;
	}
	t->state = CORE_T_ACTIVE;
	s->activations++;
	check_access(s, g);
	check_activated(s, n, g);
	say_plain(s, n, g, CORE_TARGET_ACTIVATED);
	later(s, n, g, rnd_range(s, 1, 10) * MS, io);
	later(s, n, g, rnd_range(s, 5, 50) * MS, change);
}

/* At the device: the I/O takes effect, unless it was aborted. */
static void io_done(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct sim_target *t = &s->node[n].target[a & 0xff];
	struct lun_model *m = &s->lun[a & 0xff][(a >> 8) & 0xff].model;

	(void)p;
	if (m->nexus[n].queued) {
		m->nexus[n].queued--;
		s->ios++;
		check_effect(s, n, a & 0xff, (a >> 8) & 0xff);
	}
	if (s->node[n].boot == (unsigned)(a >> 16) && t->in_flight)
		t->in_flight--;
}

static void io(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct sim_target *t = mine(s, n, a);
	unsigned g = a & 0xff, l = (unsigned)(rnd(s) % LUNS);

	(void)p;
	if (!t || t->state != CORE_T_ACTIVE)
		return;
	if (!(t->luns & 1u << l) || s->now < s->lun[g][l].bad_until || s->now < s->node[n].san_bad_until) {
		later(s, n, g, pace(s, 20) * MS, io);  /* there is no such LUN, or no way to it */
		return;
	}
	if (lun_submit(&s->lun[g][l].model, n)) {
		t->in_flight++;
		at(s, latency(s, MS), LANE_WORLD, n, io_done, (uint64_t)s->node[n].boot << 16 | l << 8 | g, NULL);
		later(s, n, g, pace(s, 60) * MS, io);
		return;
	}
	trace(s, "n%u %s target: RESERVATION CONFLICT", n + 1, group_name(g));
	drop(s, n, g, CORE_T_FENCED);
	say_plain(s, n, g, CORE_TARGET_FENCED);
}

static void change(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct sim_target *t = mine(s, n, a);
	unsigned g = a & 0xff;

	(void)p;
	if (!t || t->state != CORE_T_ACTIVE)
		return;
	later(s, n, g, pace(s, 300) * MS, change);
	if (t->ticket)
		return;
	t->wanted = change_new(s, t->body);
	t->ticket = t->wanted;
	say(s, n, g, (struct core_ev_target){ .what = CORE_TARGET_RECORD, .ticket = t->ticket, .version = t->wanted });
}

static void quiet(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct sim_target *t = mine(s, n, a);

	(void)p;
	if (!t || !t->answer)
		return;
	if (t->in_flight || (t->state == CORE_T_QUIESCING && t->ticket)) {
		later(s, n, a & 0xff, MS, quiet);
		return;
	}
	t->answer = false;
	say_plain(s, n, a & 0xff, CORE_TARGET_DEACTIVATED);
}

static void activate(struct sim *s, unsigned n, unsigned g, const struct core_action *a)
{
	struct sim_target *t = &s->node[n].target[g];

	if (t->state != CORE_T_STANDBY) {
		broken(s, "n%u: %s is activated in state %d", n + 1, group_name(g), t->state);
		return;
	}
	if (t->in_flight)
		broken(s, "n%u: %s is activated with I/O of its former life in flight", n + 1, group_name(g));
	t->state = CORE_T_ACTIVATING;
	t->key = a->activate.key;
	t->body = 0;
	if (a->activate.body)
		memcpy(&t->body, a->activate.body->data, sizeof(t->body));
	later(s, n, g, latency(s, 10 * MS), activated);
}

static void deactivate(struct sim *s, unsigned n, unsigned g, bool drain)
{
	struct sim_target *t = &s->node[n].target[g];

	if (drain && t->state == CORE_T_ACTIVE)
		t->state = CORE_T_QUIESCING;
	else
		drop(s, n, g, CORE_T_STANDBY);
	t->answer = true;
	later(s, n, g, latency(s, MS), quiet);
}

static void committed(struct sim *s, unsigned n, unsigned g, uint64_t ticket, bool ok)
{
	struct sim_target *t = &s->node[n].target[g];

	if (t->ticket != ticket)
		return;
	t->ticket = 0;
	if (!ok)
		return;
	t->body = t->wanted;
	s->acks++;
	check_committed(s, n, g, t->body);
}

/* The newest document of this node. A group that is not in it any more keeps the disks it has. */
static void configure(struct sim *s, unsigned n, unsigned g)
{
	const struct doc_group *d = config_of(s, n, g);
	struct sim_target *t = &s->node[n].target[g];

	if (s->now < s->node[n].refuse_until) {
		say(s, n, g, (struct core_ev_target){ .what = CORE_TARGET_CONFIGURED, .error = "a file is missing" });
		return;
	}
	t->configured = true;
	if (d->there)
		t->luns = 0;
	for (unsigned l = 0; d->there && l < d->n_luns; l++)
		t->luns |= 1u << d->lun[l];
	check_access(s, g);
	say_plain(s, n, g, CORE_TARGET_CONFIGURED);
}

/* An action of the core reaches the process. */
void sim_target_act(struct sim *s, unsigned n, unsigned g, const struct core_action *a)
{
	struct sim_target *t = &s->node[n].target[g];

	if (!t->alive || t->state == CORE_T_NONE || t->stuck)
		return;
	switch (a->type) {
	case CORE_ACT_TARGET_CONFIGURE:
		configure(s, n, g);
		break;
	case CORE_ACT_TARGET_ACTIVATE:
		activate(s, n, g, a);
		break;
	case CORE_ACT_TARGET_DEACTIVATE:
		deactivate(s, n, g, a->deactivate.drain);
		break;
	case CORE_ACT_TARGET_REKEY:
		t->key = a->rekey.key;
		say_plain(s, n, g, CORE_TARGET_REKEYED);
		break;
	case CORE_ACT_TARGET_COMMITTED:
		committed(s, n, g, a->committed.ticket, a->committed.ok);
		break;
	default:
		break;
	}
}
