/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faults.c - what goes wrong, and when
 *
 * The plan is drawn up before the run. A fault brings random numbers of its own, which it uses for itself and for what
 * follows from it at once, so that one that is left out takes no number from anybody else. Delicate moments (a message
 * goes out, a key has just changed, a record was written) are numbered as they come; the seed says which of them are hit.
 */
#include "tests/sim/sim.h"

static void boot(struct sim *s, unsigned n, uint64_t a, void *p) { (void)a, (void)p; node_boot(s, n); }
static void start(struct sim *s, unsigned n, uint64_t a, void *p) { (void)a, (void)p; clusterd_start(s, n); }
static void resume(struct sim *s, unsigned n, uint64_t a, void *p) { (void)a, (void)p; node_resume(s, n); }

static void crash_node(struct sim *s, unsigned n)
{
	node_crash(s, n);
	at(s, rnd_range(s, 500, 12000) * MS, LANE_WORLD, n, boot, 0, NULL);
}

static void crash_clusterd(struct sim *s, unsigned n)
{
	clusterd_die(s, n, CORE_LEFT_PROCESS_DOWN);
	at(s, rnd_range(s, 50, 6000) * MS, LANE_WORLD, n, start, 0, NULL);
}

static void pause_node(struct sim *s, unsigned n)
{
	node_pause(s, n, false);
	at(s, rnd_chance(s, 300) ? rnd_range(s, 10, 2500) * MS : rnd_range(s, 1000, 10000) * MS, LANE_WORLD, n, resume, 0, NULL);
}

static void pause_clusterd(struct sim *s, unsigned n)
{
	node_pause(s, n, true);
	at(s, rnd_range(s, 10, 10000) * MS, LANE_WORLD, n, resume, 0, NULL);
}

static void kill_target(struct sim *s, unsigned n)
{
	sim_target_kill(s, n, (unsigned)(rnd(s) % s->n_groups), true);
}

static void hang_target(struct sim *s, unsigned n)
{
	sim_target_hang(s, n, (unsigned)(rnd(s) % s->n_groups));
}

static void show_parts(struct sim *s, const char *what)
{
	char text[NODES + 1] = "";

	for (unsigned i = 0; i < s->n_nodes; i++)
		text[i] = (char)('0' + s->node[i].part);
	trace(s, "the network is %s: %s", what, text);
}

static void together(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)n, (void)a, (void)p;
	for (unsigned i = 0; i < s->n_nodes; i++)
		s->node[i].part = 0;
	show_parts(s, "whole");
	cpg_topology(s);
}

static void cut(struct sim *s, unsigned n)
{
	unsigned parts = rnd_chance(s, 250) ? 3 : 2;

	(void)n;
	for (unsigned i = 0; i < s->n_nodes; i++)
		s->node[i].part = (unsigned)(rnd(s) % parts);
	show_parts(s, "cut");
	cpg_topology(s);
	at(s, rnd_range(s, 200, 12000) * MS, LANE_WORLD, 0, together, 0, NULL);
}

/* Two parts merge while the third is still away, or one node goes over to another side. */
static void shift(struct sim *s, unsigned n)
{
	s->node[n].part = (unsigned)(rnd(s) % 3);
	show_parts(s, "shifted");
	cpg_topology(s);
	at(s, rnd_range(s, 200, 6000) * MS, LANE_WORLD, 0, together, 0, NULL);
}

/* Something is out of order on @n until a moment to come. */
#define SPELL(fn, member, text, lo, hi) \
	static void fn(struct sim *s, unsigned n) \
	{ \
		trace(s, "n%u: %s", n + 1, text); \
		s->node[n].member = s->now + rnd_range(s, lo, hi) * MS; \
	}
SPELL(bad_disk, disk_bad_until, "disk full", 100, 8000)
SPELL(bad_san, san_bad_until, "no path to the LUNs", 10, 5000)
SPELL(lossy_san, lossy_until, "answers of the LUNs get lost", 10, 5000)
SPELL(try_again, busy_until, "corosync says TRY_AGAIN", 1, 3000)
SPELL(bad_address, address_bad_until, "addresses cannot be added", 100, 5000)
SPELL(refuse, refuse_until, "targets refuse the configuration", 100, 5000)

static void bad_lun(struct sim *s, unsigned n)
{
	unsigned g = (unsigned)(rnd(s) % s->n_groups), l = (unsigned)(rnd(s) % LUNS);

	(void)n;
	trace(s, "lun %u of %s fails", l, group_name(g));
	s->lun[g][l].bad_until = s->now + rnd_range(s, 10, 8000) * MS;
}

static void power_loss(struct sim *s, unsigned n)
{
	uint64_t until = s->now + rnd_range(s, 10, 6000) * MS;

	(void)n;
	trace(s, "the array loses power");
	for (unsigned g = 0; g < s->n_groups; g++)
		for (unsigned l = 0; l < LUNS; l++)
			lun_power(s, g, l, until);
}

static const struct { unsigned weight; void (*fn)(struct sim *s, unsigned n); const char *name; } menu[] = {
	{ 12, crash_node, "a node loses power" }, { 10, crash_clusterd, "clusterd dies" },
	{ 14, pause_node, "a node freezes" }, { 6, pause_clusterd, "clusterd stands still" },
	{ 10, kill_target, "a target dies" }, { 3, hang_target, "a target hangs" },
	{ 12, cut, "the network is cut" }, { 4, shift, "a node goes over to another part" },
	{ 5, bad_disk, "a disk is full" }, { 4, bad_san, "no path to the LUNs" },
	{ 4, lossy_san, "answers of the LUNs get lost" }, { 3, bad_lun, "a LUN fails" },
	{ 3, power_loss, "the array loses power" }, { 3, try_again, "corosync takes no messages" },
	{ 2, bad_address, "addresses cannot be added" }, { 2, refuse, "targets refuse the document" },
	{ 12, admin_move, "a group is moved" }, { 4, admin_stop, "a group is stopped, or released" },
	{ 4, admin_force, "something is forced" }, { 5, admin_leave, "clusterd is stopped" },
	{ 14, config_change, "another document" },
};
#define FAULTS ARRAY_SIZE(menu)

/* What strikes at delicate moments. */
static void (*const blow[])(struct sim *s, unsigned n) = {
	crash_node, crash_node, crash_clusterd, pause_node, pause_node, pause_clusterd, kill_target, cut, cut, lossy_san,
};

static bool wanted(const struct sim *s, uint32_t id)
{
	size_t lo = 0, hi = s->opt->n_only;

	if (!s->opt->only)
		return true;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->opt->only[mid] == id)
			return true;
		if (s->opt->only[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static void happen(struct sim *s, uint32_t id, unsigned n, uint64_t random, void (*fn)(struct sim *s, unsigned n))
{
	uint64_t world = s->random;

	if ((s->n_happened & (s->n_happened + 1)) == 0) {
		s->happened = realloc(s->happened, 2 * (s->n_happened + 1) * sizeof(*s->happened));
		if (!s->happened)
			abort();
	}
	s->happened[s->n_happened++] = id;
	s->random = random;
	fn(s, n);
	s->random = world;
}

static void fault(struct sim *s, unsigned n, uint64_t i, void *p)
{
	const struct fault *f = &s->plan[i];

	(void)n, (void)p;
	happen(s, (uint32_t)i, f->node, f->random, menu[f->what].fn);
}

/* Every schedule has a taste of its own: some faults often, some never. Return: their sum */
static unsigned choose_weights(struct sim *s, unsigned weight[FAULTS])
{
	static const unsigned times[] = { 0, 1, 1, 2, 6 };
	unsigned total = 1;

	for (unsigned i = 0; i < FAULTS; i++)
		total += weight[i] = menu[i].weight * times[rnd(s) % ARRAY_SIZE(times)];
	weight[0]++;
	return total;
}

void faults_start(struct sim *s)
{
	uint64_t world = s->random, when;
	unsigned weight[FAULTS], total;

	s->random = s->seed ^ 0x6c756e77617264ull;
	total = choose_weights(s, weight);
	for (when = rnd_range(s, 500, 4000) * MS; when < s->end_faults; ) {
		struct fault f = { .at = when, .node = (unsigned)(rnd(s) % s->n_nodes), .random = rnd(s) };
		unsigned pick = (unsigned)(rnd(s) % total);

		while (pick >= weight[f.what])
			pick -= weight[f.what++];
		s->plan = realloc(s->plan, (s->n_plan + 1) * sizeof(f));
		if (!s->plan)
			abort();
		s->plan[s->n_plan] = f;
		if (wanted(s, (uint32_t)s->n_plan))
			at(s, when, LANE_WORLD, 0, fault, s->n_plan, NULL);
		s->n_plan++;
		/* now and then several at once: that is where protocols break */
		when += rnd_chance(s, 350) ? rnd_range(s, 0, 60 * MS) : rnd_range(s, 100 * MS, 5000 * MS);
	}
	s->random = world;
}

void faults_free(struct sim *s)
{
	free(s->plan);
}

static void hit(struct sim *s, unsigned n, uint64_t random, void *p)
{
	uint32_t id = *(uint32_t *)p;

	free(p);
	happen(s, id, n, random, blow[(random >> 20) % ARRAY_SIZE(blow)]);
}

void snipe(struct sim *s, unsigned n)
{
	uint64_t world = s->random, random;
	uint32_t *id, k = s->moments++ | MOMENT;

	if (s->now >= s->end_faults)
		return;
	s->random = s->seed ^ (uint64_t)k << 24;
	if (rnd_chance(s, s->snipe) && wanted(s, k)) {
		id = malloc(sizeof(*id));
		if (!id)
			abort();
		*id = k;
		random = rnd(s);
		at(s, rnd_chance(s, 500) ? 0 : rnd_range(s, 0, 4 * MS), LANE_WORLD, n, hit, random, id);
	}
	s->random = world;
}

/* The clusterd of whoever serves stands still for good, in the midst of peace: somebody else must take over. */
void faults_stick(struct sim *s)
{
	for (unsigned g = 0; g < s->n_groups; g++) {
		int n = s->lun[g][config_newest(s, g)->lun[0]].model.holder;

		if (!config_newest(s, g)->there || config_newest(s, g)->n_nodes < 2)
			continue;
		trace(s, "---- one more ----");
		node_pause(s, (unsigned)n, true);
		return;
	}
}

/* Everything is repaired; whatever is under way may still end badly for a moment. */
void faults_heal(struct sim *s)
{
	trace(s, "---- no more faults ----");
	for (unsigned g = 0; g < s->n_groups; g++)
		for (unsigned l = 0; l < LUNS; l++)
			s->lun[g][l].bad_until = s->now;
	for (unsigned i = 0; i < s->n_nodes; i++) {
		struct node *n = &s->node[i];

		n->part = 0;
		n->disk_bad_until = n->san_bad_until = n->lossy_until = n->address_bad_until = n->refuse_until = s->now;
		node_resume(s, i);
		if (!n->up)
			node_boot(s, i);
		else if (!n->clusterd)
			clusterd_start(s, i);
	}
	cpg_topology(s);
	admin_insist(s);
}

const char *fault_name(const struct sim *s, uint32_t id)
{
	return id & MOMENT ? "a blow at a delicate moment" : menu[s->plan[id].what].name;
}
