/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * member.c - who is there, whether we have quorum, and what everybody says of every group
 *
 * After each membership change every member multicasts its whole state, marked with that change (sync). Nobody
 * begins a takeover before the states of all members of the same change are there, nor before votequorum has
 * spoken for the same ring. A member that stays silent is not waited for longer than sync_ms; it is then treated
 * as one that may well be the owner: challenged, not trusted.
 *
 * So is one that falls silent later, for grace_ms: its clusterd stands still while its corosync lives on, and its addresses
 * have run out by then. For that everybody says something every BEAT_MS. Messages are in order, so whoever speaks again is
 * what it said before, until it says otherwise.
 */
#include "cluster/core/internal.h"

/** co_peer_slot() - Return: slot of node @id, or NO_SLOT */
unsigned co_peer_slot(const struct core *c, uint8_t id)
{
	for (unsigned i = 0; i < CORE_MAX_NODES; i++)
		if (c->peers[i].used && c->peers[i].id == id)
			return i;
	return NO_SLOT;
}

/** co_peer_intern() - As co_peer_slot(), making one if there is room. A slot is free once its node is neither configured nor live */
unsigned co_peer_intern(struct core *c, uint8_t id)
{
	unsigned s = co_peer_slot(c, id);

	if (s != NO_SLOT)
		return s;
	for (s = 0; s < CORE_MAX_NODES; s++)
		if (!c->peers[s].used || (!c->peers[s].configured && !c->peers[s].live && s != c->me))
			break;
	if (s == NO_SLOT)
		return s;
	memset(&c->peers[s], 0, sizeof(c->peers[s]));
	c->peers[s].used = true;
	c->peers[s].id = id;
	snprintf(c->peers[s].name, sizeof(c->peers[s].name), "node %u", id);
	for (unsigned i = 0; i < c->n_groups; i++) {
		memset(&c->groups[i]->view[s], 0, sizeof(c->groups[i]->view[s]));
		c->groups[i]->repl.in &= ~BIT(s);
		c->groups[i]->next.in &= ~BIT(s);
	}
	return s;
}

/** co_has_quorum() - votequorum says yes, and speaks of the membership that we know */
bool co_has_quorum(const struct core *c)
{
	if (MUTANT(MUTANT_NO_QUORUM))
		return c->quorum_known && c->members_known;
	return c->quorum_known && c->members_known && c->quorate && c->quorum_ring == c->ring;
}

bool co_in_step(const struct core *c)
{
	return c->members_known && c->synced && co_has_quorum(c);
}

static bool listed(const struct group *g, uint8_t id)
{
	for (unsigned i = 0; i < g->n_nodes; i++)
		if (g->nodes[i] == id)
			return true;
	return false;
}

bool co_may_hold(const struct core *c, const struct group *g, unsigned slot)
{
	return c->peers[slot].used && c->peers[slot].live && listed(g, c->peers[slot].id);
}

/** co_live_holders() - The other members that a record has to be pushed to */
pset co_live_holders(const struct core *c, const struct group *g)
{
	pset s = 0;

	for (unsigned i = 0; i < CORE_MAX_NODES; i++)
		if (i != c->me && co_may_hold(c, g, i) && !c->peers[i].silent && (!g->view[i].known || g->view[i].store_ok))
			s |= BIT(i);
	return s;
}

static void sync_check(struct core *c)
{
	bool all = c->members_known;

	for (unsigned i = 0; i < CORE_MAX_NODES; i++)
		if (c->peers[i].live && !c->peers[i].synced)
			all = false;
	if (!all || c->synced)
		return;
	c->synced = true;
	c->sync_until = CORE_NEVER;
	for (unsigned i = 0; i < c->n_groups; i++)
		co_dirty(c->groups[i]);
}

/** co_member_sync_timeout() - Go on without the states of those who stay silent */
void co_member_sync_timeout(struct core *c)
{
	c->sync_until = CORE_NEVER;
	if (c->synced)
		return;
	c->synced = true;
	for (unsigned i = 0; i < CORE_MAX_NODES; i++)
		if (c->peers[i].live && !c->peers[i].synced)
			co_act_event(c, NULL, CORE_WARNING, "member-silent", "%s is a member but does not say what it does: "
				  "is its lunward-clusterd stuck?", c->peers[i].name);
	for (unsigned i = 0; i < c->n_groups; i++)
		co_dirty(c->groups[i]);
}

/* As if it had left, but it may well be the owner: whoever wants what it holds has to challenge it. */
static void fell_silent(struct core *c, unsigned slot)
{
	struct peer *p = &c->peers[slot];

	co_act_event(c, NULL, CORE_WARNING, "member-silent", "%s is a member but has said nothing for %llu ms: is its "
		  "lunward-clusterd stuck?", p->name, (unsigned long long)(c->now - p->heard_at));
	p->silent = true;
	p->synced = false;
	for (unsigned i = 0; i < c->n_groups; i++) {
		co_repl_left(c, c->groups[i], BIT(slot));
		co_dirty(c->groups[i]);
	}
}

static bool listened_to(const struct core *c, unsigned slot)
{
	return slot != c->me && c->peers[slot].live && c->peers[slot].synced;
}

/** co_member_heard() - A message of that member: it lives */
void co_member_heard(struct core *c, unsigned slot)
{
	struct peer *p = &c->peers[slot];

	p->heard_at = c->now;
	if (!p->silent)
		return;
	co_act_event(c, NULL, CORE_INFO, "member-back", "%s speaks again", p->name);
	p->silent = false;
	p->synced = true;
	for (unsigned i = 0; i < c->n_groups; i++)
		co_dirty(c->groups[i]);
}

/**
 * co_member_listen() - Has anybody fallen silent?
 * @slept: it was us who stood still: what others have said since is yet to come. Nor is anybody blamed while our own
 * messages do not come back, for then it is our corosync that stands still.
 */
void co_member_listen(struct core *c, bool slept)
{
	for (unsigned s = 0; slept && s < CORE_MAX_NODES; s++)
		c->peers[s].heard_at = c->now;
	if (c->now - c->peers[c->me].heard_at > 2 * BEAT_MS || MUTANT(MUTANT_TRUST_SILENT))
		return;
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (listened_to(c, s) && c->now - c->peers[s].heard_at >= c->opt.grace_ms)
			fell_silent(c, s);
}

/** co_member_deadline() - When we have to say something, or somebody else should have */
uint64_t co_member_deadline(const struct core *c)
{
	uint64_t t = c->beat_at;

	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (listened_to(c, s) && c->peers[s].heard_at + c->opt.grace_ms > c->now)
			t = MIN(t, c->peers[s].heard_at + c->opt.grace_ms);
	return t;
}

static void peer_left(struct core *c, struct peer *p, enum core_left_reason why)
{
	static const char *const how[] = {
		[CORE_LEFT_NODE_DOWN] = "is gone: node down or link cut",
		[CORE_LEFT_PROCESS_DOWN] = "lost its lunward-clusterd",
		[CORE_LEFT_CLEAN] = "left",
	};

	if (p->live)
		co_act_event(c, NULL, why == CORE_LEFT_CLEAN ? CORE_INFO : CORE_WARNING, "member-lost", "%s %s", p->name,
			  how[why]);
	p->live = p->synced = p->silent = false;
	p->gone = true;
	p->why_left = why;
	p->left_at = c->now;
}

static bool contains(const uint8_t *v, unsigned n, uint8_t id)
{
	return n && memchr(v, id, n);
}

/** co_member_change() - CPG configuration change */
void co_member_change(struct core *c, const struct core_ev_members *ev)
{
	pset left = 0;

	for (unsigned i = 0; i < ev->n_left; i++) {
		unsigned s = co_peer_slot(c, ev->left[i].node);

		if (s == NO_SLOT || s == c->me)
			continue;
		peer_left(c, &c->peers[s], ev->left[i].reason);
		left |= BIT(s);
	}
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (c->peers[s].live && s != c->me && !contains(ev->members, ev->n_members, c->peers[s].id)) {
			peer_left(c, &c->peers[s], CORE_LEFT_NODE_DOWN);
			left |= BIT(s);
		}
	c->ring = ev->ring;
	c->sync = ev->sync;
	c->members_known = true;
	for (unsigned i = 0; i < ev->n_members; i++) {
		unsigned s = co_peer_intern(c, ev->members[i]);

		if (s == NO_SLOT)
			continue;
		if (!c->peers[s].live && s != c->me)
			co_act_event(c, NULL, CORE_INFO, "member-joined", "%s is here", c->peers[s].name);
		c->peers[s].live = true;
		c->peers[s].synced = s == c->me;
		c->peers[s].silent = false;
		c->peers[s].heard_at = c->now;
	}
	c->synced = false;
	c->sync_until = c->now + c->opt.sync_ms;
	c->announce_full = true;
	for (unsigned i = 0; i < c->n_groups; i++) {
		for (unsigned s = 0; s < CORE_MAX_NODES; s++)
			if (left & BIT(s))
				c->groups[i]->view[s].eligible = false;
		c->groups[i]->move_to = c->groups[i]->force_node = 0;  /* newcomers have not heard of it: all must agree */
		co_repl_left(c, c->groups[i], left);
		co_dirty(c->groups[i]);
	}
	sync_check(c);
}

/** co_member_quorum() - votequorum spoke. Without quorum everything held is given up at once */
void co_member_quorum(struct core *c, const struct core_ev_quorum *ev)
{
	bool lost = (c->quorate || !c->quorum_known) && !ev->quorate;

	if (!c->quorum_known || c->quorate != ev->quorate)
		co_act_event(c, NULL, ev->quorate ? CORE_INFO : CORE_ERROR, ev->quorate ? "quorum" : "quorum-lost",
			  ev->quorate ? "this node is part of a quorum" :
			  "no quorum: this node serves nothing until enough nodes see each other again");
	c->quorum_known = true;
	c->quorate = ev->quorate;
	c->quorum_ring = ev->ring;
	for (unsigned i = 0; i < c->n_groups; i++) {
		struct group *g = c->groups[i];

		co_dirty(g);
		if (lost && !MUTANT(MUTANT_NO_QUORUM) && (co_state_flags(g->state) & F_HOLD))
			co_drop(c, g, CORE_DROPPING, "no quorum: too few nodes see each other");
	}
}

/* It has read our key once, and will look whether it has moved. */
static bool challenges(enum core_state s)
{
	return s == CORE_INTENT || s == CORE_WAITING;
}

static void heard(struct core *c, unsigned slot, const struct core_group_state *s)
{
	struct group *g = co_group_find(c, s->group);
	bool was;
	struct view *v;

	if (!g)
		return;
	v = &g->view[slot];
	was = v->eligible;
	if (challenges(s->state) && !challenges(v->state) && (g->state == CORE_ACTIVE || g->state == CORE_BUMPING))
		g->challenged = true;
	*v = (struct view){ .known = true, .warm = s->warm, .eligible = s->eligible, .store_ok = s->store_ok,
			    .state = s->state, .key_epoch = s->key_epoch, .stamp = s->stamp, .hold_until = v->hold_until };
	co_copy_text(v->why, sizeof(v->why), s->why);
	co_note_stamp(g, &s->stamp);
	co_admin_merge(c, g, s->admin_gen, s->stopped);
	if (s->state == CORE_BLOCKED || (co_state_flags(s->state) & F_DOWN))
		co_forget_wish(g, c->peers[slot].id);
	if (v->eligible && !was)
		co_failback_seen(c, g, slot);
	co_dirty(g);
}

/** co_member_state() - NodeState of another node */
void co_member_state(struct core *c, unsigned slot, const struct core_msg_node_state *m)
{
	struct peer *p = &c->peers[slot];

	if (slot == c->me)
		return;
	p->config_version = m->config_version;
	p->draining = m->draining;
	if (m->full)
		for (unsigned i = 0; i < c->n_groups; i++) {
			c->groups[i]->view[slot].known = false;
			co_dirty(c->groups[i]);
		}
	for (unsigned i = 0; i < m->n_groups; i++)
		heard(c, slot, &m->groups[i]);
	if (m->full && m->sync == c->sync && p->live && !p->synced) {
		p->synced = true;
		sync_check(c);
	}
}

static void say(struct core *c, struct group *g, struct core_group_state *s)
{
	*s = (struct core_group_state){
		.group = g->name, .state = g->state, .stamp = g->rec.stamp, .warm = g->rec.warm, .eligible = g->eligible,
		.store_ok = g->store_ok, .admin_gen = g->admin_gen, .stopped = g->stopped, .why = co_act_dup(c, g->why),
		.key_epoch = co_state_flags(g->state) & F_HOLD ? g->key.epoch : 0,
	};
}

static bool alone(const struct core *c)
{
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (s != c->me && c->peers[s].live)
			return false;
	return true;
}

/** co_member_announce() - Tell the others what changed, or everything after a membership change, or at least that we live */
void co_member_announce(struct core *c)
{
	struct core_group_state *v;
	struct core_action *a;
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_groups; i++)
		n += co_group_visible(c->groups[i]) && (c->announce_full || c->groups[i]->announce);
	if (!c->members_known || (!n && !c->announce_full && (c->now < c->beat_at || alone(c))))
		return;
	c->beat_at = alone(c) ? CORE_NEVER : c->now + BEAT_MS;
	v = co_act_alloc(c, (n ? n : 1) * sizeof(*v));
	n = 0;
	for (unsigned i = 0; i < c->n_groups; i++)
		if (co_group_visible(c->groups[i]) && (c->announce_full || c->groups[i]->announce)) {
			say(c, c->groups[i], &v[n++]);
			c->groups[i]->announce = false;
		}
	a = co_act(c, CORE_ACT_SEND, NULL);
	a->msg.type = CORE_MSG_NODE_STATE;
	a->msg.node_state = (struct core_msg_node_state){ .sync = c->sync, .config_version = c->conf_version,
		.draining = c->draining, .full = c->announce_full, .groups = v, .n_groups = n };
	c->announce_full = false;
}
