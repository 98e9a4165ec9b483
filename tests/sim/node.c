/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node.c - the shell around a core, as clusterd is one: actions become simulated I/O */
#include "tests/sim/sim.h"

const char *group_name(unsigned g)
{
	static char name[GROUPS][16];

	if (!*name[g])
		snprintf(name[g], sizeof(name[g]), "g%03u", g);
	return name[g];
}

const char *lun_name(unsigned l)
{
	static const char *const name[LUNS] = { "/dev/lun0", "/dev/lun1", "/dev/lun2" };

	return name[l];
}

static unsigned group_index(const char *name)
{
	return (unsigned)strtoul(name + 1, NULL, 10);
}

static unsigned lun_index(const char *name)
{
	return (unsigned)(name[8] - '0');
}

uint64_t node_clock(const struct sim *s, unsigned n)
{
	return s->node[n].clock_base + (uint64_t)((int64_t)(s->now / MS) + (int64_t)(s->now / MS) * s->node[n].clock_ppm / 1000000);
}

/* Until @clock says @ms, in simulated microseconds, rounded up. */
static uint64_t until_clock(const struct sim *s, unsigned n, uint64_t ms)
{
	uint64_t now = node_clock(s, n);

	return ms <= now ? 0 : (ms - now) * (MS + 1) - s->now % MS;
}

/* ---- disk ---- */

static void copy_record(struct core_record *dst, const struct core_record *src)
{
	struct core_body *old = dst->body;

	*dst = *src;
	core_body_ref(dst->body);
	core_body_unref(old);
}

static void disk_write(struct sim *s, unsigned n, unsigned g)
{
	struct disk *d = &s->node[n].disk[g];

	check_stored(s, n, g, &d->writing);
	if (!d->unsynced) {
		copy_record(&d->old, &d->rec);
		d->old_valid = d->valid;
	}
	copy_record(&d->rec, &d->writing);
	d->valid = d->unsynced = true;
	d->boot = s->node[n].boot;
}

/* Power is gone: what was never synced may not be there. */
static void disk_lost(struct sim *s, struct disk *d)
{
	if (d->unsynced && rnd_chance(s, 500)) {
		copy_record(&d->rec, &d->old);
		d->valid = d->old_valid;
	}
	d->unsynced = false;
}

static void disk_idle(struct disk *d)
{
	core_body_unref(d->writing.body);
	d->writing.body = NULL;
	d->busy = false;
}

static void stored(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct disk *d = &s->node[n].disk[a & 0xff];
	struct core_event ev = { .type = CORE_EV_STORED };
	bool ok = s->now >= s->node[n].disk_bad_until;

	(void)p;
	if (ok || rnd_chance(s, 500))
		disk_write(s, n, a & 0xff);
	if (ok) {
		d->known = d->rec.stamp;
		d->high = d->rec.high;
		d->unsynced = false;
	}
	disk_idle(d);
	snipe(s, n);
	ev.stored = (struct core_ev_stored){ .group = group_name(a & 0xff), .id = a >> 8, .ok = ok, .error = ok ? NULL : "disk full" };
	node_step(s, n, &ev);
}

static void begin_store(struct sim *s, unsigned n, unsigned g, const struct core_action *a)
{
	struct disk *d = &s->node[n].disk[g];

	if (d->busy)
		broken(s, "n%u: two writes of a record at once", n + 1);
	copy_record(&d->writing, &a->store.record);
	d->busy = true;
	at(s, latency(s, 2 * MS), LANE_CLUSTERD, n, stored, a->store.id << 8 | g, NULL);
}

/* ---- addresses: leased, renewed while clusterd runs and wants them ---- */

static void renew(struct sim *s, unsigned n, uint64_t g, void *p)
{
	struct core_event ev = { .type = CORE_EV_ADDRESS };

	(void)p;
	if (!s->node[n].address[g].wanted)
		return;
	if (s->node[n].address[g].until && s->now > s->node[n].address[g].until) {
		s->node[n].address[g].wanted = false;
		ev.address = (struct core_ev_address){ .group = group_name((unsigned)g), .expired = true };
		node_step(s, n, &ev);
		return;
	}
	s->node[n].address[g].until = s->now + 2 * SEC;
	at(s, 500 * MS, LANE_CLUSTERD, n, renew, g, NULL);
}

static void address_said(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct core_event ev = { .type = CORE_EV_ADDRESS };

	bool failed = a >> 8 && s->now < s->node[n].address_bad_until;

	(void)p;
	ev.address = (struct core_ev_address){ .group = group_name(a & 0xff), .up = a >> 8,
					       .error = failed ? "no interface has this subnet" : NULL };
	node_step(s, n, &ev);
}

static void address(struct sim *s, unsigned n, unsigned g, bool up, bool announce)
{
	bool was = s->node[n].address[g].wanted;

	s->node[n].address[g].wanted = up;
	if (up)
		check_address(s, n, g, announce);
	if (up && !was) {
		s->node[n].address[g].until = 0;
		renew(s, n, g, NULL);
	}
	if (!up)
		s->node[n].address[g].until = s->now;
	at(s, latency(s, 200), LANE_CLUSTERD, n, address_said, (uint64_t)up << 8 | g, NULL);
}

/* ---- actions ---- */

static void start_again(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)a, (void)p;
	clusterd_start(s, n);
}

static void quit(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)a, (void)p;
	clusterd_die(s, n, CORE_LEFT_CLEAN);
	at(s, rnd_range(s, 10, 5000) * MS, LANE_WORLD, n, start_again, 0, NULL);
}

static void show(struct sim *s, unsigned n, const struct core_action *a)
{
	if (a->type == CORE_ACT_EVENT)
		trace(s, "n%u %s: %s: %s", n + 1, a->group ? a->group : "node", a->event.kind, a->event.text);
	else if (a->type == CORE_ACT_ADMIN_RESULT)
		trace(s, "n%u administrator is told: %s: %s", n + 1, a->result.ok ? "ok" : "failed", a->result.text);
}

static void act(struct sim *s, unsigned n, const struct core_action *a)
{
	unsigned g = a->group ? group_index(a->group) : 0;

	show(s, n, a);
	switch (a->type) {
	case CORE_ACT_SEND:
		cpg_send(s, n, &a->msg);
		break;
	case CORE_ACT_STORE:
		begin_store(s, n, g, a);
		break;
	case CORE_ACT_FENCE:
		lun_request(s, n, g, lun_index(a->fence.lun), a->fence.id, a->fence.op, a->fence.old, a->fence.key);
		break;
	case CORE_ACT_TARGET_START:
		sim_target_start(s, n, g);
		break;
	case CORE_ACT_TARGET_KILL:
		sim_target_kill(s, n, g, true);
		break;
	case CORE_ACT_TARGET_STOP:
		sim_target_kill(s, n, g, false);
		break;
	case CORE_ACT_ADDRESS_UP:
	case CORE_ACT_ADDRESS_DOWN:
		address(s, n, g, a->type == CORE_ACT_ADDRESS_UP, a->address.announce);
		break;
	case CORE_ACT_EXIT:
		at(s, 0, LANE_CLUSTERD, n, quit, 0, NULL);
		break;
	case CORE_ACT_ADMIN_RESULT:
	case CORE_ACT_EVENT:
		break;
	default:
		sim_target_act(s, n, g, a);
	}
}

static void tick(struct sim *s, unsigned n, uint64_t gen, void *p)
{
	struct core_event ev = { .type = CORE_EV_TICK };

	(void)p;
	if (gen != s->node[n].tick)
		return;
	s->node[n].armed = 0;
	node_step(s, n, &ev);
}

static void arm(struct sim *s, unsigned n)
{
	uint64_t t = core_deadline(s->node[n].core);

	if (t == s->node[n].armed)
		return;
	s->node[n].armed = t;
	s->node[n].tick++;
	if (t != CORE_NEVER)
		at(s, until_clock(s, n, t), LANE_CLUSTERD, n, tick, s->node[n].tick, NULL);
}

void node_step(struct sim *s, unsigned n, struct core_event *ev)
{
	struct node *me = &s->node[n];
	uint32_t pid = me->pid;
	struct core_actions v;

	if (!me->core || *s->broken)
		return;
	ev->now = node_clock(s, n);
	s->steps++;
	v = core_step(me->core, ev);
	for (unsigned i = 0; i < v.n && me->pid == pid && me->clusterd; i++)
		act(s, n, &v.v[i]);
	if (me->core && me->pid == pid)
		arm(s, n);
}

/* ---- life ---- */

void clusterd_start(struct sim *s, unsigned n)
{
	struct core_stored_record rec[GROUPS];
	struct node *me = &s->node[n];
	struct core_start start = { .self = (uint8_t)(n + 1), .records = rec };

	if (!me->up || me->clusterd)
		return;
	me->clusterd = true;
	me->clusterd_paused = false;
	me->pid++;
	memset(me->worker, 0, s->n_groups * sizeof(*me->worker));
	config_fill(s, n, &start.conf);
	for (unsigned g = 0; g < s->n_groups; g++) {
		if (!me->disk[g].valid)
			continue;
		me->disk[g].unsynced = false;  /* store_open() sees to that */
		me->disk[g].known = me->disk[g].rec.stamp;
		me->disk[g].high = me->disk[g].rec.high;
		rec[start.n_records] = (struct core_stored_record){ .group = group_name(g), .record = me->disk[g].rec };
		rec[start.n_records++].record.warm = me->disk[g].boot == me->boot && me->disk[g].rec.warm;
	}
	trace(s, "n%u clusterd starts", n + 1);
	me->core = core_new(&start, node_clock(s, n));
	for (unsigned g = 0; g < s->n_groups; g++)
		sim_target_report(s, n, g);
	cpg_join(s, n);
	me->armed = 0;
	arm(s, n);
}

static void forget(struct sim *s, unsigned n)
{
	struct node *me = &s->node[n];

	for (unsigned g = 0; g < s->n_groups; g++) {
		if (me->disk[g].busy && rnd_chance(s, 500))
			disk_write(s, n, g);
		if (me->disk[g].busy)
			disk_idle(&me->disk[g]);
		me->address[g].wanted = false;
	}
	me->clusterd = me->clusterd_paused = false;
	me->pid++;
	cpg_outbox_free(me);
	core_free(me->core);
	me->core = NULL;
}

void clusterd_die(struct sim *s, unsigned n, enum core_left_reason why)
{
	if (!s->node[n].clusterd)
		return;
	trace(s, "n%u clusterd %s", n + 1, why == CORE_LEFT_CLEAN ? "leaves" : "dies");
	if (!s->node[n].paused)
		cpg_leave(s, n, why);
	forget(s, n);
}

void node_boot(struct sim *s, unsigned n)
{
	if (s->node[n].up)
		return;
	trace(s, "n%u boots", n + 1);
	s->node[n].up = true;
	s->node[n].boot++;
	cpg_boot(s, n);
	cpg_topology(s);
	clusterd_start(s, n);
}

void node_crash(struct sim *s, unsigned n)
{
	struct node *me = &s->node[n];

	if (!me->up)
		return;
	trace(s, "n%u loses power", n + 1);
	if (me->clusterd)
		forget(s, n);
	me->up = me->paused = false;
	me->life++;
	for (unsigned g = 0; g < s->n_groups; g++) {
		uint32_t life = me->target[g].life + 1;

		disk_lost(s, &me->disk[g]);
		memset(&me->target[g], 0, sizeof(me->target[g]));
		me->target[g].life = life;
		me->address[g].until = 0;
	}
	cpg_topology(s);
}

void node_pause(struct sim *s, unsigned n, bool clusterd_only)
{
	struct node *me = &s->node[n];

	if (!me->up || me->paused || (clusterd_only && (!me->clusterd || me->clusterd_paused)))
		return;
	trace(s, "n%u %s", n + 1, clusterd_only ? "clusterd is stopped" : "freezes");
	if (clusterd_only) {
		me->clusterd_paused = true;
	} else {
		me->paused = true;
		cpg_topology(s);
	}
}

void node_resume(struct sim *s, unsigned n)
{
	struct node *me = &s->node[n];
	bool was = me->paused;

	if (!me->paused && !me->clusterd_paused)
		return;
	trace(s, "n%u goes on", n + 1);
	me->paused = me->clusterd_paused = false;
	sim_wake(s, n);
	if (was)
		cpg_topology(s);
}

/* A machine that has never run. Clocks are quartz: 200 ppm at most. */
void node_new(struct sim *s, unsigned n)
{
	struct node *me = &s->node[n];

	me->disk = sim_alloc(s->n_groups, sizeof(*me->disk));
	me->target = sim_alloc(s->n_groups, sizeof(*me->target));
	me->worker = sim_alloc(s->n_groups, sizeof(*me->worker));
	me->address = sim_alloc(s->n_groups, sizeof(*me->address));
	me->clock_base = rnd_range(s, 0, 5000000);
	me->clock_ppm = (int64_t)rnd_range(s, 0, 400) - 200;
}

void node_free(struct sim *s, unsigned n)
{
	struct node *me = &s->node[n];

	core_free(me->core);
	cpg_outbox_free(me);
	for (unsigned g = 0; me->disk && g < s->n_groups; g++) {
		core_body_unref(me->disk[g].rec.body);
		core_body_unref(me->disk[g].old.body);
		core_body_unref(me->disk[g].writing.body);
	}
	free(me->disk);
	free(me->target);
	free(me->worker);
	free(me->address);
}
