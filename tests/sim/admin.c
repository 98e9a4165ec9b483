/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin.c - an administrator who gives commands at bad moments, on any node */
#include "tests/sim/sim.h"

static bool listens(const struct sim *s, unsigned n)
{
	return s->node[n].core && !s->node[n].paused && !s->node[n].clusterd_paused;
}

void admin_command(struct sim *s, unsigned n, enum core_verb verb, unsigned g, uint8_t to, bool force)
{
	static const char *const name[] = {
		[CORE_VERB_START] = "start", [CORE_VERB_STOP] = "stop", [CORE_VERB_MOVE] = "move", [CORE_VERB_RELEASE] = "release",
	};
	struct core_event ev = { .type = CORE_EV_ADMIN };

	if (!listens(s, n))
		return;
	trace(s, "n%u administrator: %s %s%s, to %u", n + 1, name[verb], group_name(g), force ? " --force" : "", to);
	if (force && verb == CORE_VERB_START)
		s->forced[g] = s->now + 60 * SEC;
	s->unfinished[g] |= force && verb == CORE_VERB_RELEASE;
	for (unsigned l = 0; l < LUNS; l++)
		s->lun[g][l].lawless |= force && verb == CORE_VERB_RELEASE;
	ev.admin = (struct core_ev_admin){ .cookie = s->order, .verb = verb, .group = group_name(g), .to = to, .force = force };
	node_step(s, n, &ev);
}

static unsigned any_group(struct sim *s)
{
	return (unsigned)(rnd(s) % s->n_groups);
}

void admin_move(struct sim *s, unsigned n)
{
	admin_command(s, n, CORE_VERB_MOVE, any_group(s), (uint8_t)(rnd(s) % (s->n_nodes + 1)), false);
}

static void start(struct sim *s, unsigned n, uint64_t g, void *p)
{
	(void)p;
	admin_command(s, n, CORE_VERB_START, (unsigned)g, 0, false);
}

static void stop(struct sim *s, unsigned n, bool force)
{
	unsigned g = any_group(s);

	admin_command(s, n, rnd_chance(s, 250) ? CORE_VERB_RELEASE : CORE_VERB_STOP, g, 0, force);
	at(s, rnd_range(s, 100, 4000) * MS, LANE_WORLD, n, start, g, NULL);
}

void admin_stop(struct sim *s, unsigned n)
{
	stop(s, n, false);
}

/* What is acknowledged and not here may be lost: he has been told so. */
void admin_force(struct sim *s, unsigned n)
{
	if (rnd_chance(s, 500))
		admin_command(s, n, CORE_VERB_START, any_group(s), 0, true);
	else
		stop(s, n, true);
}

void admin_leave(struct sim *s, unsigned n)
{
	struct core_event ev = { .type = CORE_EV_SHUTDOWN };

	if (!listens(s, n))
		return;
	trace(s, "n%u: clusterd is asked to stop", n + 1);
	node_step(s, n, &ev);
}

/* One group after the other: a node has 32 commands waiting at most. */
static void insist(struct sim *s, unsigned n, uint64_t tries, void *p)
{
	(void)p;
	if (!listens(s, n)) {
		at(s, 500 * MS, LANE_WORLD, n, insist, tries, NULL);
		return;
	}
	for (unsigned g = 0; g < s->n_groups; g++) {
		if (s->unfinished[g]) {  /* what "released" never came for is done once more, now that everybody is here */
			admin_command(s, n, CORE_VERB_RELEASE, g, 0, false);
			at(s, 12 * SEC, LANE_WORLD, n, start, g, NULL);
		} else {
			at(s, g * 100 * MS, LANE_WORLD, n, start, g, NULL);
		}
	}
}

void admin_insist(struct sim *s)
{
	at(s, 12 * SEC, LANE_WORLD, 0, insist, 0, NULL);
}
