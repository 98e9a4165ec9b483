/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faults.c - what goes wrong, and when; and the administrator, who is no better */
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

static void together(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)n, (void)a, (void)p;
	for (unsigned i = 0; i < s->n_nodes; i++)
		s->node[i].part = 0;
	trace(s, "the network is whole");
	cpg_topology(s);
}

static void cut(struct sim *s, unsigned n)
{
	(void)n;
	for (unsigned i = 0; i < s->n_nodes; i++)
		s->node[i].part = (unsigned)(rnd(s) % 2);
	trace(s, "the network is cut: %u %u %u %u", s->node[0].part, s->node[1].part, s->node[2].part, s->node[3].part);
	cpg_topology(s);
	at(s, rnd_range(s, 200, 12000) * MS, LANE_WORLD, 0, together, 0, NULL);
}

static void bad_disk(struct sim *s, unsigned n)
{
	trace(s, "n%u: disk full", n + 1);
	s->node[n].disk_bad_until = s->now + rnd_range(s, 100, 8000) * MS;
}

static void bad_san(struct sim *s, unsigned n)
{
	trace(s, "n%u: no path to the LUNs", n + 1);
	s->node[n].san_bad_until = s->now + rnd_range(s, 10, 5000) * MS;
}

static void command(struct sim *s, unsigned n, enum core_verb verb, unsigned g, uint8_t to)
{
	struct core_event ev = { .type = CORE_EV_ADMIN };

	if (!s->node[n].core || s->node[n].paused || s->node[n].clusterd_paused)
		return;
	trace(s, "n%u administrator: verb %d %s to %u", n + 1, verb, group_name(g), to);
	ev.admin = (struct core_ev_admin){ .cookie = s->order, .verb = verb, .group = group_name(g), .to = to };
	node_step(s, n, &ev);
}

static void move_group(struct sim *s, unsigned n)
{
	command(s, n, CORE_VERB_MOVE, (unsigned)(rnd(s) % s->n_groups), (uint8_t)(rnd(s) % (s->n_nodes + 1)));
}

static void start_group(struct sim *s, unsigned n, uint64_t g, void *p)
{
	(void)p;
	command(s, n, CORE_VERB_START, (unsigned)g, 0);
}

static void stop_group(struct sim *s, unsigned n)
{
	unsigned g = (unsigned)(rnd(s) % s->n_groups);

	command(s, n, rnd_chance(s, 150) ? CORE_VERB_RELEASE : CORE_VERB_STOP, g, 0);
	at(s, rnd_range(s, 100, 4000) * MS, LANE_WORLD, n, start_group, g, NULL);
}

static void leave(struct sim *s, unsigned n)
{
	struct core_event ev = { .type = CORE_EV_SHUTDOWN };

	if (!s->node[n].core || s->node[n].paused || s->node[n].clusterd_paused)
		return;
	trace(s, "n%u: clusterd is asked to stop", n + 1);
	node_step(s, n, &ev);
}

static const struct { unsigned weight; void (*fn)(struct sim *s, unsigned n); } menu[] = {
	{ 12, crash_node }, { 10, crash_clusterd }, { 14, pause_node }, { 6, pause_clusterd }, { 10, kill_target },
	{ 12, cut }, { 5, bad_disk }, { 4, bad_san }, { 12, move_group }, { 4, stop_group }, { 4, leave },
};
_Static_assert(ARRAY_SIZE(menu) == FAULTS, "one weight each");

/* Every schedule has a taste of its own: some faults often, some never. */
static void choose_weights(struct sim *s)
{
	static const unsigned times[] = { 0, 1, 1, 2, 6 };

	for (unsigned i = 0; i < FAULTS; i++)
		s->weight[i] = menu[i].weight * times[rnd(s) % ARRAY_SIZE(times)];
	s->weight[0]++;
}

static void fault(struct sim *s, unsigned n, uint64_t a, void *p)
{
	unsigned total = 0, pick, i = 0;

	(void)a, (void)p;
	if (s->now >= s->end_faults)
		return;
	for (unsigned k = 0; k < FAULTS; k++)
		total += s->weight[k];
	pick = (unsigned)(rnd(s) % total);
	n = (unsigned)(rnd(s) % s->n_nodes);
	while (pick >= s->weight[i])
		pick -= s->weight[i++];
	menu[i].fn(s, n);
	/* now and then several at once: that is where protocols break */
	at(s, rnd_chance(s, 350) ? rnd_range(s, 0, 60 * MS) : rnd_range(s, 100 * MS, 5000 * MS), LANE_WORLD, 0, fault, 0, NULL);
}

static void hit(struct sim *s, unsigned n, uint64_t a, void *p)
{
	static void (*const blow[])(struct sim *s, unsigned n) = {
		crash_node, crash_clusterd, pause_node, pause_node, pause_clusterd, kill_target, cut, cut,
	};

	(void)a, (void)p;
	blow[rnd(s) % ARRAY_SIZE(blow)](s, n);
}

void snipe(struct sim *s, unsigned n)
{
	if (s->now < s->end_faults && rnd_chance(s, s->snipe))
		at(s, rnd_chance(s, 500) ? 0 : rnd_range(s, 0, 4 * MS), LANE_WORLD, n, hit, 0, NULL);
}

void faults_start(struct sim *s)
{
	choose_weights(s);
	at(s, rnd_range(s, 500, 4000) * MS, LANE_WORLD, 0, fault, 0, NULL);
}

/* The clusterd of whoever serves stands still for good, in the midst of peace: somebody else must take over. */
void faults_stick(struct sim *s)
{
	int n = s->lun[0][0].model.holder;

	trace(s, "---- one more ----");
	node_pause(s, (unsigned)n, true);
}

static void insist(struct sim *s, unsigned n, uint64_t tries, void *p)
{
	(void)p;
	if (!s->node[n].core || s->node[n].paused || s->node[n].clusterd_paused) {
		at(s, 500 * MS, LANE_WORLD, n, insist, tries, NULL);
		return;
	}
	for (unsigned g = 0; g < s->n_groups; g++)
		command(s, n, CORE_VERB_START, g, 0);
}

/* Everything is repaired; whatever is under way may still end badly for a moment. */
void faults_heal(struct sim *s)
{
	trace(s, "---- no more faults ----");
	for (unsigned i = 0; i < s->n_nodes; i++) {
		s->node[i].part = 0;
		s->node[i].disk_bad_until = s->node[i].san_bad_until = s->now;
		node_resume(s, i);
		if (!s->node[i].up)
			node_boot(s, i);
		else if (!s->node[i].clusterd)
			clusterd_start(s, i);
	}
	cpg_topology(s);
	at(s, 12 * SEC, LANE_WORLD, 0, insist, 0, NULL);
}
