/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.c - records between nodes: who gets one, who takes one, who has acknowledged
 *
 * The owner (or whoever is about to be it) keeps for each key of its own the set `in` of members that were ever
 * pushed a record under that key. They alone may hold a record that is current for it; everything rests on that set
 * being complete. So a push names its receivers; nobody else stores it. A member leaves the set only by the key
 * moving on without it (bump.c). A commit is complete when all of `in` have acknowledged and none of them is lost.
 *
 * A third party hands out its copy (FETCH) only while nobody holds the group or tries to: the owner would not know.
 */
#include "cluster/core/internal.h"

static void send_push(struct core *c, struct group *g, const struct core_record *rec, pset to, bool final, uint8_t move_to)
{
	struct core_action *a = co_act(c, CORE_ACT_SEND, g);
	struct core_msg_push *m = &a->msg.push;

	a->msg.type = CORE_MSG_PUSH;
	m->group = g->name;
	m->record = *rec;
	m->record.admin_gen = g->admin_gen;
	m->record.stopped = g->stopped;
	m->final = final;
	m->move_to = move_to;
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (to & BIT(s))
			m->to[m->n_to++] = c->peers[s].id;
	co_act_hold(c, rec->body);
}

/** co_repl_complete() - Everybody who may hold a record under this key holds the last one */
bool co_repl_complete(const struct repl *r)
{
	if (MUTANT(MUTANT_SELF_DELIVERY))
		return true;
	if (MUTANT(MUTANT_NO_BUMP))
		return !(r->in & ~r->acked & ~r->lost);
	return !(r->in & ~r->acked) && !(r->in & r->lost);
}

/** co_record_push() - Send a record that is stable here to members @to, and remember that they may have it */
void co_record_push(struct core *c, struct group *g, struct repl *r, const struct core_record *rec, pset to)
{
	if (!co_stamp_eq(r->last, rec->stamp))
		r->acked = 0;
	r->last = rec->stamp;
	r->in |= to;
	r->acked &= ~to;
	if (!to)
		return;
	send_push(c, g, rec, to, false, 0);
	co_set_timer(c, g, TM_ACK, c->opt.ack_ms);
}

/** co_record_final() - We have stopped serving: everybody hears it, and whoever can gets the last record */
void co_record_final(struct core *c, struct group *g, uint8_t to)
{
	pset all = (g->repl.in & ~g->repl.lost) | co_live_holders(c, g);

	g->repl.last = g->rec.stamp;
	g->repl.in |= all;
	g->repl.acked = 0;
	send_push(c, g, &g->rec, all, true, to);
}

/** co_repl_left() - Members left: whatever they may hold, nothing is committed before they are left behind */
void co_repl_left(struct core *c, struct group *g, pset gone)
{
	(void)c;
	g->repl.lost |= g->repl.in & gone;
	g->next.lost |= g->next.in & gone;
	if (gone)
		co_dirty(g);
}

/** co_repl_timeout() - Who has not acknowledged by now is left behind, and tried again later */
void co_repl_timeout(struct core *c, struct group *g)
{
	pset late = g->repl.in & ~g->repl.acked & ~g->repl.lost;

	if (!(co_state_flags(g->state) & F_HOLD) || !late)
		return;
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (late & BIT(s)) {
			co_act_event(c, g, CORE_WARNING, "left-behind", "%s does not acknowledge the record: going on without it",
				  c->peers[s].name);
			g->view[s].hold_until = c->now + HOLD_MS;
		}
	g->repl.lost |= late;
	co_dirty(g);
}

/** co_repl_catch_up() - Members that have joined, or have recovered, get the record in force; from then on they count */
void co_repl_catch_up(struct core *c, struct group *g)
{
	pset to = 0;

	for (unsigned s = 0; s < CORE_MAX_NODES; s++) {
		const struct view *v = &g->view[s];

		if (!(co_live_holders(c, g) & BIT(s)) || !c->peers[s].synced)
			continue;
		if (v->hold_until > c->now) {
			co_set_timer(c, g, TM_RETRY, v->hold_until - c->now);
			continue;
		}
		if (v->stamp.epoch > g->key.epoch && v->stamp.epoch > g->rec.stamp.epoch)
			g->must_bump = true;  /* it would refuse ours: epochs never go back */
		else if (!(g->repl.in & BIT(s)) && !(MUTANT(MUTANT_FORGET_JOINERS) && co_stamp_eq(v->stamp, g->rec.stamp)))
			to |= BIT(s);
		else if ((g->repl.acked & BIT(s)) && (v->stamp.epoch != g->repl.last.epoch || v->stamp.node != g->repl.last.node))
			to |= BIT(s);  /* a rival's claim has replaced it */
	}
	if (MUTANT(MUTANT_FORGET_JOINERS) && to)
		send_push(c, g, &g->rec, to, false, 0);
	else if (to)
		co_record_push(c, g, &g->repl, &g->rec, to);
}

/* The newest record here, stable or on its way. */
static const struct core_record *newest(const struct group *g)
{
	if (g->want.kind != ST_NONE)
		return &g->want.rec;
	return g->flight.kind != ST_NONE ? &g->flight.rec : &g->rec;
}

/*
 * Does our record belong to the key on the LUN, for all we know, while @s does not? An attempt that we gave up may have put that key
 * there after that node has looked; or it was an owner once, and has not heard of its end yet. Then nobody's record would match.
 */
static bool needed_here(const struct group *g, unsigned from, const struct core_stamp *have, const struct core_stamp *s)
{
	struct core_key k = g->n_luns ? g->luns[0].seen : (struct core_key){ 0 };

	if ((co_state_flags(g->view[from].state) & F_HOLD) && g->view[from].key_epoch > k.epoch)
		return false;
	return k.epoch && k.epoch == have->epoch && k.node == have->node && !core_current(s, &k);
}

/* May we replace what we have by this record of @from? */
static bool acceptable(const struct core *c, const struct group *g, unsigned from, const struct core_stamp *s)
{
	const struct core_stamp *have = &newest(g)->stamp;
	unsigned owner = co_owner_slot(c, g);

	if (!g->mine || (co_state_flags(g->state) & (F_TAKING | F_HOLD)) || g->state == CORE_RELEASING)
		return false;
	if (g->n_luns && g->luns[0].busy && (g->luns[0].op == CORE_FENCE_BUMP || g->luns[0].op == CORE_FENCE_TAKE))
		return false;  /* it may put our key there yet, and then nobody else has the record for it */
	if (g->state == CORE_FETCHING && g->take.from == from)
		return owner == NO_SLOT;  /* chosen as the best there is, whatever its epoch */
	if (c->peers[from].id != s->node)
		return false;
	if (needed_here(g, from, have, s) && !MUTANT(MUTANT_GIVE_UP_MATCH))
		return false;
	if (co_in_force(s).epoch < co_in_force(have).epoch)
		return false;  /* keys in force only grow: what was written ahead under an older one proves nothing */
	if (s->epoch < have->epoch || (s->epoch == have->epoch && s->node == have->node && s->seq < have->seq))
		return false;
	if (owner != NO_SLOT && owner != from && g->view[owner].key_epoch >= s->epoch)
		return false;
	return !((co_state_flags(g->state) & F_EARLY) && (co_state_flags(g->view[from].state) & F_EARLY) &&
		 co_rank(c, g, from) > co_rank(c, g, c->me));
}

static void send_ack(struct core *c, const struct group *g, const struct core_stamp *s, bool stored)
{
	struct core_action *a = co_act(c, CORE_ACT_SEND, g);

	a->msg.type = CORE_MSG_ACK;
	a->msg.ack = (struct core_msg_ack){ .group = g->name, .stamp = *s, .stored = stored };
}

static bool for_us(const struct core *c, const struct core_msg_push *m)
{
	return m->n_to && memchr(m->to, c->self, m->n_to);
}

/** co_record_received() - RecordPush */
void co_record_received(struct core *c, unsigned from, const struct core_msg_push *m)
{
	struct group *g = co_group_find(c, m->group);
	const struct core_stamp *s = &m->record.stamp;

	if (!g)
		return;
	co_admin_merge(c, g, m->record.admin_gen, m->record.stopped);
	co_note_stamp(g, s);
	if (m->final) {
		g->move_to = m->move_to;
		co_dirty(g);
	}
	if (from == c->me)
		return;
	if (c->peers[from].id == s->node)
		g->view[from].stamp = *s;
	co_dirty(g);
	if (!for_us(c, m))
		return;
	if (!acceptable(c, g, from, s)) {
		if ((co_state_flags(g->state) & F_HOLD) && s->epoch > g->key.epoch)
			g->verify = true;
		send_ack(c, g, s, false);
	} else if (!co_stamp_eq(newest(g)->stamp, *s)) {
		co_store(c, g, ST_PUSH, *s, m->record.body, m->record.warm);
	} else if (co_stamp_eq(g->rec.stamp, *s)) {
		if (m->record.warm && !g->rec.warm)
			co_store(c, g, ST_PUSH, *s, g->rec.body, true);
		else
			co_record_stored(c, g, &m->record, true);
	} /* else: on its way to the disk; acknowledged once it is there */
}

/** co_record_stored() - A record of another node is stable here, or could not be made so: tell it */
void co_record_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok)
{
	send_ack(c, g, &rec->stamp, ok);
	if (g->state == CORE_FETCHING)
		co_takeover_fetched(c, g);
}

static bool count_ack(struct core *c, struct group *g, struct repl *r, unsigned from, const struct core_msg_ack *m)
{
	if (!(r->in & BIT(from)) || m->stamp.epoch != r->last.epoch || m->stamp.node != r->last.node)
		return false;
	if (!m->stored) {
		r->lost |= BIT(from);
		g->view[from].hold_until = c->now + HOLD_MS;
		co_act_event(c, g, CORE_WARNING, "left-behind", "%s could not store the record: going on without it",
			  c->peers[from].name);
	} else if (co_stamp_eq(m->stamp, r->last)) {
		r->acked |= BIT(from);
	}
	return true;
}

/** co_record_acked() - RecordAck of anybody: counts if it is for the record we pushed last */
void co_record_acked(struct core *c, unsigned from, const struct core_msg_ack *m)
{
	struct group *g = co_group_find(c, m->group);

	if (!g || from == c->me)
		return;
	if (m->stored)
		g->view[from].stamp = m->stamp;
	co_dirty(g);
	if ((co_state_flags(g->state) & F_HOLD) && count_ack(c, g, &g->repl, from, m))
		return;
	if (!count_ack(c, g, &g->next, from, m))
		return;
	if (g->state == CORE_INTENT)
		co_intent_acked(c, g);
	else if (g->state == CORE_BUMPING)
		co_bump_acked(c, g);
}

/** co_record_wanted() - RecordFetch: hand out our record, unless somebody should know of it who would not */
void co_record_wanted(struct core *c, unsigned from, const struct core_msg_fetch *m)
{
	struct group *g = co_group_find(c, m->group);

	if (!g || from == c->me || m->from != c->self || !g->rec.stamp.epoch)
		return;
	if (!(co_state_flags(g->state) & F_RESTING))
		return;
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (s != from && s != c->me && c->peers[s].live &&
		    (co_state_flags(g->view[s].state) & (F_EARLY | F_TAKING | F_HOLD)))
			return;
	send_push(c, g, &g->rec, BIT(from), false, 0);
}
