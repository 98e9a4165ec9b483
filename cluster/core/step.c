/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * step.c - one event in, actions out
 *
 * handle the event → look at every group that it (or another group's consequences) made dirty → answer waiting
 * administrators → announce what changed. Tables say which handler an event, a message, a timer or a state has.
 */
#include "cluster/core/internal.h"

const struct state_ops co_state_ops[CORE_N_STATES] = {
	[CORE_INIT] = { .fence = co_adopt_fence, .timer = co_adopt_timer },
	[CORE_READING] = { .fence = co_reading_fence, .timer = co_reading_timer },
	[CORE_FETCHING] = { .timer = co_fetching_timer },
	[CORE_INTENT] = { .timer = co_intent_timer },
	[CORE_WAITING] = { .fence = co_waiting_fence, .timer = co_waiting_timer },
	[CORE_TAKING] = { .fence = co_taking_fence, .timer = co_rest_timer },
	[CORE_TAKING_REST] = { .fence = co_rest_fence, .timer = co_rest_timer },
	[CORE_ACTIVATING] = { .timer = co_serve_timer },
	[CORE_BUMPING] = { .fence = co_bump_fence, .timer = co_bump_timer },
	[CORE_DRAINING] = { .timer = co_move_timer },
	[CORE_HANDOVER] = { .timer = co_handover_timer },
	[CORE_FENCED] = { .timer = co_drop_timer },
	[CORE_DROPPING] = { .timer = co_drop_timer },
	[CORE_RELEASING] = { .fence = co_release_fence, .timer = co_release_timer },
};

static void phase_timer(struct core *c, struct group *g)
{
	if (co_state_ops[g->state].timer)
		co_state_ops[g->state].timer(c, g);
}

static void retry_timer(struct core *c, struct group *g)
{
	if (g->state == CORE_BLOCKED)
		co_set_state(c, g, CORE_STANDBY);
}

static void (*const timer_handler[N_TIMERS])(struct core *c, struct group *g) = {
	[TM_PHASE] = phase_timer, [TM_RETRY] = retry_timer, [TM_ACK] = co_repl_timeout, [TM_STORE] = co_store_retry,
	[TM_CHECK] = co_lun_check_timer, [TM_TARGET] = co_target_timer, [TM_FAILBACK] = co_failback_timer,
};

static void run_timers(struct core *c)
{
	if (c->now >= c->sync_until)
		co_member_sync_timeout(c);
	for (unsigned i = 0; i < c->n_groups; i++)
		for (unsigned t = 0; t < N_TIMERS; t++) {
			struct group *g = c->groups[i];

			if (g->timer[t] > c->now)
				continue;
			g->timer[t] = CORE_NEVER;
			co_dirty(g);
			timer_handler[t](c, g);
		}
}

/* We were stopped for a while: what we hold may have been taken from us. */
static void was_paused(struct core *c)
{
	for (unsigned i = 0; i < c->n_groups; i++) {
		struct group *g = c->groups[i];

		if (co_state_flags(g->state) & F_HOLD) {
			g->verify = true;
			co_dirty(g);
		}
	}
}

static void settle(struct core *c)
{
	for (unsigned pass = 0, again = 1; again && pass < 64; pass++) {
		again = 0;
		for (unsigned i = 0; i < c->n_groups; i++) {
			struct group *g = c->groups[i];

			if (!g->dirty)
				continue;
			g->dirty = false;
			co_evaluate(c, g);
			again |= g->dirty;
		}
	}
	for (unsigned i = c->n_groups; i-- > 0; )
		if (c->groups[i]->remove)
			co_group_remove(c, c->groups[i]);
	co_shutdown_check(c);
	co_admin_check(c);
	co_member_announce(c);
}

static void message(struct core *c, const struct core_event *ev)
{
	const struct core_msg *m = &ev->message.msg;
	unsigned from = co_peer_slot(c, ev->message.from);

	if (from == NO_SLOT)
		return;
	co_member_heard(c, from);
	switch (m->type) {
	case CORE_MSG_NODE_STATE:
		co_member_state(c, from, &m->node_state);
		break;
	case CORE_MSG_PUSH:
		co_record_received(c, from, &m->push);
		break;
	case CORE_MSG_ACK:
		co_record_acked(c, from, &m->ack);
		break;
	case CORE_MSG_FETCH:
		co_record_wanted(c, from, &m->fetch);
		break;
	case CORE_MSG_COMMAND:
		co_admin_command(c, from, &m->command);
		break;
	case CORE_MSG_RESULT:
		co_admin_result(c, &m->result);
		break;
	}
}

static void on_members(struct core *c, const struct core_event *ev) { co_member_change(c, &ev->members); }
static void on_quorum(struct core *c, const struct core_event *ev) { co_member_quorum(c, &ev->quorum); }
static void on_config(struct core *c, const struct core_event *ev) { co_config_apply(c, &ev->conf); }
static void on_fenced_op(struct core *c, const struct core_event *ev) { co_lun_done(c, &ev->fence); }
static void on_stored(struct core *c, const struct core_event *ev) { co_store_done(c, &ev->stored); }
static void on_target(struct core *c, const struct core_event *ev) { co_target_event(c, &ev->target); }
static void on_address(struct core *c, const struct core_event *ev) { co_serve_address(c, &ev->address); }
static void on_admin(struct core *c, const struct core_event *ev) { co_admin_request(c, &ev->admin); }
static void on_shutdown(struct core *c, const struct core_event *ev) { (void)ev; co_shutdown_start(c); }
static void on_tick(struct core *c, const struct core_event *ev) { (void)ev; run_timers(c); }

static bool holding(const struct core *c)
{
	for (unsigned i = 0; i < c->n_groups; i++)
		if (co_state_flags(c->groups[i]->state) & F_HOLD)
			return true;
	return false;
}

struct core_actions core_step(struct core *c, const struct core_event *ev)
{
	static void (*const handle[])(struct core *c, const struct core_event *ev) = {
		[CORE_EV_MEMBERS] = on_members, [CORE_EV_QUORUM] = on_quorum, [CORE_EV_MESSAGE] = message,
		[CORE_EV_CONFIG] = on_config, [CORE_EV_FENCED_OP] = on_fenced_op, [CORE_EV_STORED] = on_stored,
		[CORE_EV_TARGET] = on_target, [CORE_EV_ADDRESS] = on_address, [CORE_EV_ADMIN] = on_admin,
		[CORE_EV_SHUTDOWN] = on_shutdown, [CORE_EV_TICK] = on_tick,
	};

	uint64_t before;
	bool paused;

	co_act_reset(c);
	while (c->n_graveyard)
		co_group_free(c->graveyard[--c->n_graveyard]);
	before = c->now;
	c->now = MAX(c->now, ev->now);
	paused = c->holding && !co_lun_fresh(c, before);
	if (!c->exited) {
		if (paused)
			was_paused(c);
		co_member_listen(c, c->now - before > 2 * BEAT_MS);
		handle[ev->type](c, ev);
		settle(c);
	}
	c->holding = holding(c);
	return (struct core_actions){ .v = c->acts, .n = c->n_acts };
}

uint64_t core_deadline(const struct core *c)
{
	uint64_t t = MIN(c->sync_until, co_admin_deadline(c));

	if (c->exited)
		return CORE_NEVER;
	t = MIN(t, co_member_deadline(c));
	if (c->holding)
		t = MIN(t, c->now + HEARTBEAT_MS);
	if (c->draining)
		t = MIN(t, c->now < c->shutdown_until ? c->shutdown_until : c->shutdown_until + DROP_MS);
	for (unsigned i = 0; i < c->n_groups; i++)
		for (unsigned k = 0; k < N_TIMERS; k++)
			t = MIN(t, c->groups[i]->timer[k]);
	return t;
}

static void set_options(struct core *c, const struct core_options *o)
{
	static const struct core_options d = {
		.window_ms = 400, .grace_ms = 4000, .sync_ms = 3000, .ack_ms = 5000, .drain_ms = 2000, .hello_ms = 3000,
		.retry_ms = 2000, .fence_ms = 15000, .activate_ms = 20000, .shutdown_ms = 10000,
	};

#define OPTION(f) c->opt.f = o->f ? o->f : d.f
	OPTION(window_ms);
	OPTION(grace_ms);
	OPTION(sync_ms);
	OPTION(ack_ms);
	OPTION(drain_ms);
	OPTION(hello_ms);
	OPTION(retry_ms);
	OPTION(fence_ms);
	OPTION(activate_ms);
	OPTION(shutdown_ms);
#undef OPTION
}

static void load(struct core *c, const struct core_stored_record *r)
{
	struct group *g = co_group_find(c, r->group);

	if (!g)
		g = co_group_new(c, r->group);
	co_record_set(&g->rec, &r->record);
	g->admin_gen = r->record.admin_gen;
	g->stopped = r->record.stopped;
	co_note_stamp(g, &r->record.stamp);
	g->epoch = MAX(g->epoch, r->record.high);
}

struct core *core_new(const struct core_start *start, uint64_t now)
{
	struct core *c = co_must_alloc(sizeof(*c));

	c->self = start->self;
	c->now = now;
	c->sync_until = c->beat_at = CORE_NEVER;
	c->me = co_peer_intern(c, start->self);
	set_options(c, &start->options);
	co_config_apply(c, &start->conf);
	for (unsigned i = 0; i < start->n_records; i++)
		load(c, &start->records[i]);
	for (unsigned i = 0; i < c->n_groups; i++) {
		struct group *g = c->groups[i];

		g->t.phase = T_STARTING;
		g->t.outlived = true;
	}
	return c;
}

void core_free(struct core *c)
{
	if (!c)
		return;
	while (c->n_graveyard)
		co_group_free(c->graveyard[--c->n_graveyard]);
	for (unsigned i = 0; i < c->n_groups; i++)
		co_group_free(c->groups[i]);
	free(c->groups);
	co_act_free(c);
	free(c);
}
