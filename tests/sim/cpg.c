/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cpg.c - corosync: rings, one total order a ring, closed process group, votequorum
 *
 * A ring's messages are one log. The sender has its own message at once (Totem delivers before others confirm), the
 * others one after the other, in order. When membership changes, nodes that come from the same ring and go on
 * together get what any of them has; what only departed nodes had is lost to them.
 */
#include "tests/sim/sim.h"

static unsigned component(const struct sim *s, unsigned n)
{
	unsigned m = 0;

	for (unsigned i = 0; i < s->n_nodes; i++)
		if (s->node[i].up && !s->node[i].paused && s->node[i].part == s->node[n].part)
			m |= 1u << i;
	return m;
}

static struct ring *ring_new(struct sim *s, unsigned members)
{
	struct ring *r = calloc(1, sizeof(*r));

	s->rings = realloc(s->rings, (s->n_rings + 1) * sizeof(*s->rings));
	if (!r || !s->rings)
		abort();
	r->seq = ++s->ring_seq;
	r->members = members;
	s->rings[s->n_rings++] = r;
	return r;
}

void cpg_free(struct sim *s)
{
	for (size_t i = 0; i < s->n_rings; i++) {
		for (size_t k = 0; k < s->rings[i]->n; k++)
			packet_unref(s->rings[i]->log[k].packet);
		free(s->rings[i]->log);
		free(s->rings[i]);
	}
	free(s->rings);
}

static bool quorate(struct sim *s, unsigned n)
{
	unsigned count = (unsigned)__builtin_popcount(s->node[n].ring->members);

	if (count == s->n_nodes)
		s->node[n].seen_all = true;
	return s->n_nodes == 2 ? s->node[n].seen_all : 2 * count > s->n_nodes;
}

static void tell_quorum(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct core_event ev = { .type = CORE_EV_QUORUM };

	(void)a, (void)p;
	ev.quorum.ring = s->node[n].ring->seq;
	ev.quorum.quorate = quorate(s, n);
	node_step(s, n, &ev);
	check_quorum(s, n, ev.quorum.quorate);
}

/* votequorum is another connection: usually a moment apart from CPG, now and then a long one. */
static uint64_t quorum_delay(struct sim *s)
{
	return rnd_chance(s, 50) ? rnd_range(s, 0, 800 * MS) : rnd_range(s, 0, 5 * MS);
}

static uint64_t sync_number(const struct node *n)
{
	uint64_t h = n->ring->seq * 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < NODES; i++)
		if (n->procs & 1u << i)
			h = (h ^ (i + 1) ^ (uint64_t)n->proc_pid[i] << 8) * 0x100000001b3ull;
	return h;
}

struct change { uint8_t members[NODES]; unsigned n; struct core_left left[NODES]; unsigned n_left; uint64_t ring, sync; };

static void app_change(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct change *ch = p;
	struct core_event ev = { .type = CORE_EV_MEMBERS };

	(void)a;
	ev.members = (struct core_ev_members){ .ring = ch->ring, .sync = ch->sync, .members = ch->members,
					       .n_members = ch->n, .left = ch->left, .n_left = ch->n_left };
	node_step(s, n, &ev);
	free(ch);
}

/* A configuration change for the clusterd of @n, in order with its messages. @left: bits */
static void tell_change(struct sim *s, unsigned n, unsigned left, enum core_left_reason why)
{
	struct node *me = &s->node[n];
	struct change *ch;

	if (!me->clusterd || !(me->procs & 1u << n) || me->proc_pid[n] != me->pid)
		return;
	ch = calloc(1, sizeof(*ch));
	if (!ch)
		abort();
	ch->ring = me->ring->seq;
	ch->sync = sync_number(me);
	for (unsigned i = 0; i < NODES; i++) {
		if (me->procs & 1u << i)
			ch->members[ch->n++] = (uint8_t)(i + 1);
		if (left & 1u << i)
			ch->left[ch->n_left++] = (struct core_left){ .node = (uint8_t)(i + 1), .reason = why };
	}
	at(s, 0, LANE_CLUSTERD, n, app_change, 0, ch);
}

static void app_message(struct sim *s, unsigned n, uint64_t index, void *p)
{
	struct ring *r = s->rings[*(size_t *)p];
	struct packet *pk = r->log[index].packet;
	struct core_event ev = { .type = CORE_EV_MESSAGE };

	free(p);
	ev.message.from = (uint8_t)(pk->from + 1);
	ev.message.msg = pk->msg;
	node_step(s, n, &ev);
}

static size_t ring_index(const struct sim *s, const struct ring *r)
{
	size_t i = s->n_rings;

	while (s->rings[--i] != r)
		;
	return i;
}

static void deliver_one(struct sim *s, unsigned n, struct ring *r, size_t index)
{
	struct entry *e = &r->log[index];
	struct node *me = &s->node[n];
	size_t *ri;

	switch (e->type) {
	case ENTRY_JOIN:
		me->procs |= 1u << e->node;
		me->proc_pid[e->node] = e->pid;
		tell_change(s, n, 0, CORE_LEFT_CLEAN);
		break;
	case ENTRY_LEAVE:
		if (!(me->procs & 1u << e->node) || me->proc_pid[e->node] != e->pid)
			break;
		me->procs &= ~(1u << e->node);
		tell_change(s, n, 1u << e->node, e->reason);
		break;
	case ENTRY_MSG:
		if (!me->clusterd || !(me->procs & 1u << n) || me->proc_pid[n] != me->pid)
			break;
		ri = malloc(sizeof(*ri));
		if (!ri)
			abort();
		*ri = ring_index(s, r);
		at(s, 0, LANE_CLUSTERD, n, app_message, index, ri);
		break;
	}
}

static void deliver_to(struct sim *s, unsigned n, size_t upto)
{
	struct ring *r = s->node[n].ring;

	while (r->got[n] < upto)
		deliver_one(s, n, r, r->got[n]++);
}

/* An entry has travelled to @node: it has everything up to there. @a: ring number << 32 | entries */
static void arrived(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)p;
	if (s->node[n].up && !s->node[n].paused && s->node[n].ring == s->rings[a >> 32])
		deliver_to(s, n, (size_t)(a & 0xffffffff));
}

static void append(struct sim *s, unsigned n, struct entry e)
{
	struct ring *r = s->node[n].ring;
	uint64_t index = ring_index(s, r);

	if (r->n == r->max) {
		r->max = r->max ? 2 * r->max : 64;
		r->log = realloc(r->log, r->max * sizeof(*r->log));
		if (!r->log)
			abort();
	}
	r->log[r->n++] = e;
	deliver_to(s, n, r->n);
	for (unsigned i = 0; i < s->n_nodes; i++) {
		uint64_t t = s->now + latency(s, 300);

		if (i == n || !(r->members & 1u << i) || s->node[i].ring != r || s->node[i].part != s->node[n].part)
			continue;
		r->busy_until[i] = MAX(r->busy_until[i], t);
		at(s, r->busy_until[i] - s->now, LANE_WORLD, i, arrived, index << 32 | r->n, NULL);
	}
}

void cpg_outbox_free(struct node *n)
{
	while (n->n_outbox)
		packet_unref(n->outbox[--n->n_outbox]);
	free(n->outbox);
	n->outbox = NULL;
}

/* corosync takes messages again, in the order in which they were to go out. */
static void take_messages(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct node *me = &s->node[n];
	struct packet **v = me->outbox;
	size_t count = me->n_outbox;

	(void)a, (void)p;
	if (s->now < me->busy_until) {
		at(s, me->busy_until - s->now, LANE_CLUSTERD, n, take_messages, 0, NULL);
		return;
	}
	me->outbox = NULL;
	me->n_outbox = 0;
	for (size_t i = 0; i < count; i++)
		append(s, n, (struct entry){ .type = ENTRY_MSG, .node = n, .packet = v[i] });
	free(v);
}

void cpg_send(struct sim *s, unsigned n, const struct core_msg *m)
{
	struct node *me = &s->node[n];
	char text[512];
	struct packet *p = packet_new(n, m);

	if (s->verbose)
		trace(s, "n%u -> %s", n + 1, packet_text(p, text, sizeof(text)));
	snipe(s, n);
	if (!me->n_outbox && s->now >= me->busy_until) {
		append(s, n, (struct entry){ .type = ENTRY_MSG, .node = n, .packet = p });
		return;
	}
	if (!me->n_outbox)
		at(s, me->busy_until - s->now, LANE_CLUSTERD, n, take_messages, 0, NULL);
	me->outbox = realloc(me->outbox, (me->n_outbox + 1) * sizeof(*me->outbox));
	if (!me->outbox)
		abort();
	me->outbox[me->n_outbox++] = p;
}

static void join(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)a, (void)p;
	append(s, n, (struct entry){ .type = ENTRY_JOIN, .node = n, .pid = s->node[n].pid });
	at(s, quorum_delay(s), LANE_CLUSTERD, n, tell_quorum, 0, NULL);
}

void cpg_join(struct sim *s, unsigned n)
{
	at(s, rnd_range(s, 1, 20) * MS, LANE_CLUSTERD, n, join, 0, NULL);
}

void cpg_leave(struct sim *s, unsigned n, enum core_left_reason why)
{
	if (s->node[n].procs & 1u << n)
		append(s, n, (struct entry){ .type = ENTRY_LEAVE, .node = n, .pid = s->node[n].pid, .reason = why });
}

/* Nodes of one old ring that go on together: what one has, all get. */
static void flush(struct sim *s, struct ring *old, unsigned together)
{
	size_t most = 0;

	for (unsigned i = 0; i < s->n_nodes; i++)
		if (together & 1u << i)
			most = MAX(most, old->got[i]);
	for (unsigned i = 0; i < s->n_nodes; i++)
		if (together & 1u << i)
			deliver_to(s, i, most);
}

static void form_ring(struct sim *s, unsigned comp)
{
	struct ring *r = ring_new(s, comp), *old[NODES] = { 0 };
	unsigned together[NODES] = { 0 }, joined = 0;

	for (unsigned i = 0; i < s->n_nodes; i++) {
		if (!(comp & 1u << i))
			continue;
		old[i] = s->node[i].ring;
		for (unsigned k = 0; k < s->n_nodes; k++)
			if ((comp & 1u << k) && s->node[k].ring == old[i])
				together[i] |= 1u << k;
	}
	for (unsigned i = 0; i < s->n_nodes; i++)
		if (comp & 1u << i)
			flush(s, old[i], together[i]);
	for (unsigned i = 0; i < s->n_nodes; i++)
		if ((comp & 1u << i) && (s->node[i].procs & 1u << i))
			joined |= 1u << i;
	trace(s, "ring %llu: %x (processes %x)", (unsigned long long)r->seq, comp, joined);
	for (unsigned i = 0; i < s->n_nodes; i++) {
		unsigned before = s->node[i].procs;
		bool early = rnd_chance(s, 500);

		if (!(comp & 1u << i))
			continue;
		s->node[i].ring = r;
		s->node[i].procs = joined;
		for (unsigned k = 0; k < s->n_nodes; k++)
			if (joined & 1u << k)
				s->node[i].proc_pid[k] = s->node[k].proc_pid[k];
		if (early)
			at(s, 0, LANE_CLUSTERD, i, tell_quorum, 0, NULL);
		tell_change(s, i, before & ~together[i], CORE_LEFT_NODE_DOWN);
		if (!early)
			at(s, quorum_delay(s), LANE_CLUSTERD, i, tell_quorum, 0, NULL);
	}
}

static void look(struct sim *s, unsigned n, uint64_t a, void *p)
{
	unsigned comp;

	(void)a, (void)p;
	if (!s->node[n].up || s->node[n].paused)
		return;
	comp = component(s, n);
	for (unsigned i = 0; i < s->n_nodes; i++)
		if ((comp & 1u << i) && (s->node[i].ring != s->node[n].ring || s->node[n].ring->members != comp)) {
			form_ring(s, comp);
			return;
		}
}

/* Nodes that were away for less than it takes to notice get what they missed. */
static void catch_up(struct sim *s)
{
	for (unsigned i = 0; i < s->n_nodes; i++)
		for (unsigned k = 0; k < s->n_nodes; k++) {
			struct ring *r = s->node[i].ring;

			if (i == k || !s->node[i].up || !s->node[k].up || s->node[k].paused || r != s->node[k].ring ||
			    s->node[i].part != s->node[k].part || r->got[i] >= r->got[k])
				continue;
			at(s, rnd_range(s, 1, 10) * MS, LANE_WORLD, i, arrived, (uint64_t)ring_index(s, r) << 32 | r->got[k], NULL);
		}
}

/* Loss is noticed after token and consensus time, each side in its own time; newcomers are quick. */
void cpg_topology(struct sim *s)
{
	catch_up(s);
	for (unsigned i = 0; i < s->n_nodes; i++) {
		if (!s->node[i].up)
			continue;
		at(s, rnd_range(s, 1000, 1300) * MS, LANE_WORLD, i, look, 0, NULL);
		if (s->node[i].ring && (component(s, i) & ~s->node[i].ring->members))
			at(s, rnd_range(s, 20, 200) * MS, LANE_WORLD, i, look, 0, NULL);
	}
}

void cpg_boot(struct sim *s, unsigned n)
{
	s->node[n].ring = ring_new(s, 1u << n);
	s->node[n].procs = 0;
	s->node[n].seen_all = false;
}
