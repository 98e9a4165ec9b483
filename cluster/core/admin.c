/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * admin.c - the administrator's commands: start, stop, move, release
 *
 * A command is multicast, so that every node sees it at the same place in the order of things; each does its part.
 * The node that was asked watches what everybody announces, and answers lunwardctl when the wish has come true or cannot.
 */
#include <stdarg.h>

#include "cluster/core/internal.h"

static void result(struct core *c, struct request *r, bool ok, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void emit(struct core *c, uint64_t cookie, bool ok, const char *text)
{
	struct core_action *a = co_act(c, CORE_ACT_ADMIN_RESULT, NULL);

	a->result.cookie = cookie;
	a->result.ok = ok;
	a->result.done = true;
	a->result.text = co_act_dup(c, text);
}

static void result(struct core *c, struct request *r, bool ok, const char *fmt, ...)
{
	char text[2 * CORE_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(c, r->cookie, ok, text);
	r->used = false;
}

/* Return: NULL, or why the command cannot be carried out, in words. */
static const char *refuse(struct core *c, const struct core_ev_admin *ev)
{
	struct group *g = co_group_find(c, ev->group);
	unsigned o = g ? co_owner_slot(c, g) : NO_SLOT;
	unsigned to = ev->to ? co_peer_slot(c, ev->to) : NO_SLOT;

	if (!g || !g->configured)
		return "there is no such group: `lunwardctl status` lists them";
	if (!c->members_known)
		return "this node is not connected to corosync yet: is it running?";
	if (ev->verb != CORE_VERB_MOVE)
		return NULL;
	if (o == NO_SLOT)
		return "nobody serves the group: `lunwardctl group start` starts it";
	if (ev->to && (to == NO_SLOT || !co_may_hold(c, g, to)))
		return "the destination is not a node of the group, or is not here";
	if (to == o)
		return "the group is there already";
	return NULL;
}

/** co_admin_request() - From lunwardctl on this node */
void co_admin_request(struct core *c, const struct core_ev_admin *ev)
{
	const char *why = refuse(c, ev);
	struct request *r = NULL;
	struct core_action *a;
	struct group *g;

	for (unsigned i = 0; i < REQUESTS_MAX && !r; i++)
		if (!c->requests[i].used)
			r = &c->requests[i];
	if (why || !r) {
		emit(c, ev->cookie, false, why ? why : "too many commands wait already: try again later");
		return;
	}
	g = co_group_find(c, ev->group);
	*r = (struct request){ .used = true, .cookie = ev->cookie, .verb = ev->verb, .to = ev->to,
			       .deadline = c->now + REQUEST_MS };
	co_copy_text(r->group, sizeof(r->group), ev->group);
	if (co_owner_slot(c, g) != NO_SLOT)
		r->from = c->peers[co_owner_slot(c, g)].id;
	a = co_act(c, CORE_ACT_SEND, g);
	a->msg.type = CORE_MSG_COMMAND;
	a->msg.command = (struct core_msg_command){ .verb = ev->verb, .group = g->name, .to = ev->to, .force = ev->force,
		.admin_gen = g->admin_gen + 1, .cookie = ev->cookie, .requester = c->self };
}

void co_admin_send_result(struct core *c, uint64_t cookie, uint8_t requester, bool ok, const char *fmt, ...)
{
	char text[2 * CORE_TEXT_MAX];
	struct core_action *a;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	a = co_act(c, CORE_ACT_SEND, NULL);
	a->msg.type = CORE_MSG_RESULT;
	a->msg.result = (struct core_msg_result){ .cookie = cookie, .requester = requester, .ok = ok, .done = true,
						  .text = co_act_dup(c, text) };
}

/** co_admin_result() - The node that carried a command out reports */
void co_admin_result(struct core *c, const struct core_msg_result *m)
{
	for (unsigned i = 0; m->requester == c->self && i < REQUESTS_MAX; i++)
		if (c->requests[i].used && c->requests[i].cookie == m->cookie)
			result(c, &c->requests[i], m->ok, "%s", m->text);
}

/* The live member with the newest record; at a tie the first in order. The same everywhere, near enough. */
static unsigned best_holder(const struct core *c, const struct group *g)
{
	unsigned best = NO_SLOT;
	struct core_stamp b = { 0 };

	for (unsigned s = 0; s < CORE_MAX_NODES; s++) {
		const struct core_stamp *r = s == c->me ? &g->rec.stamp : &g->view[s].stamp;
		int d;

		if (!co_may_hold(c, g, s) || c->peers[s].draining)
			continue;
		d = best == NO_SLOT ? 1 : co_truth_cmp(r, &b);
		if (d > 0 || (co_stamp_eq(*r, b) && co_rank(c, g, s) < co_rank(c, g, best))) {
			best = s;
			b = *r;
		}
	}
	return best;
}

/* Everybody forgets failed attempts; so do we, of them, since they handle the same command. */
static void start(struct core *c, struct group *g, const struct core_msg_command *m)
{
	unsigned best = best_holder(c, g);

	g->failures = 0;
	if (m->force && g->state == CORE_ACTIVE && !co_lun_all_mine(g)) {
		g->take.forced = true;
		co_lun_converge(c, g);
	}
	if (m->force && best != NO_SLOT && co_owner_slot(c, g) == NO_SLOT)
		g->force_node = c->peers[best].id;
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (s != c->me && (g->view[s].state == CORE_BLOCKED || g->view[s].state == CORE_STOPPED)) {
			g->view[s].state = CORE_STANDBY;
			g->view[s].eligible = true;
		}
	if (g->state == CORE_BLOCKED)
		co_set_state(c, g, CORE_STANDBY);
}

static void stop(struct core *c, struct group *g, const struct core_msg_command *m)
{
	if (m->force && (co_state_flags(g->state) & F_HOLD))
		co_drop(c, g, CORE_DROPPING, "stopped by the administrator, by force");
}

static void move(struct core *c, struct group *g, const struct core_msg_command *m)
{
	unsigned to = m->to ? co_peer_slot(c, m->to) : co_choose(c, g);

	if (!(co_state_flags(g->state) & F_HOLD))
		return;
	if (g->state != CORE_ACTIVE) {
		co_admin_send_result(c, m->cookie, m->requester, false, "%s is %s on %s just now: try again in a moment", g->name,
				  core_state_name(g->state), co_node_name(c, c->self));
	} else if (to == NO_SLOT || to == c->me || !co_may_hold(c, g, to) || !g->view[to].eligible) {
		co_admin_send_result(c, m->cookie, m->requester, false, "%s cannot take %s: %s",
				  to == NO_SLOT ? "no other node" : c->peers[to].name, g->name,
				  to == NO_SLOT || !*g->view[to].why ? "it is not ready" : g->view[to].why);
	} else {
		co_move_start(c, g, MOVE_AWAY, c->peers[to].id);
	}
}

static void release(struct core *c, struct group *g, const struct core_msg_command *m)
{
	unsigned o = co_owner_slot(c, g);

	if ((o == NO_SLOT ? best_holder(c, g) : o) != c->me)
		return;
	g->release.wanted = true;
	g->release.cookie = m->cookie;
	g->release.requester = m->requester;
	g->release.force = m->force;
	if (co_state_flags(g->state) & (F_EARLY | F_RESTING)) {
		co_lun_forget(g);
		co_store_cancel(g);
		co_release_start(c, g, false);
	} else if (o == NO_SLOT) {
		co_admin_send_result(c, m->cookie, m->requester, false, "%s is %s just now: try again in a moment", g->name,
				  core_state_name(g->state));
	}
}

/** co_admin_command() - GroupCommand, at its place in CPG's order */
void co_admin_command(struct core *c, unsigned from, const struct core_msg_command *m)
{
	static void (*const handle[])(struct core *c, struct group *g, const struct core_msg_command *m) = {
		[CORE_VERB_START] = start, [CORE_VERB_STOP] = stop, [CORE_VERB_MOVE] = move, [CORE_VERB_RELEASE] = release,
	};
	struct group *g = co_group_find(c, m->group);

	(void)from;
	if (!g || m->verb <= CORE_VERB_NONE || m->verb > CORE_VERB_RELEASE)
		return;
	for (unsigned i = 0; m->requester == c->self && i < REQUESTS_MAX; i++)
		if (c->requests[i].used && c->requests[i].cookie == m->cookie)
			c->requests[i].seen = true;
	g->move_to = g->force_node = 0;
	if (m->verb != CORE_VERB_MOVE)
		co_admin_merge(c, g, m->admin_gen, m->verb != CORE_VERB_START);
	handle[m->verb](c, g, m);
	co_dirty(g);
}

static enum core_state state_at(const struct core *c, const struct group *g, unsigned s)
{
	return s == c->me ? g->state : g->view[s].state;
}

/* Is anybody at it, or about to be? Otherwise collect everybody's reasons. */
static bool anybody_busy(const struct core *c, const struct group *g, char *why, size_t size)
{
	*why = '\0';
	if (co_choose(c, g) != NO_SLOT || !co_in_step(c))
		return true;
	for (unsigned s = 0; s < CORE_MAX_NODES; s++) {
		const char *w = s == c->me ? g->why : g->view[s].why;
		size_t n = strlen(why);

		if (!co_may_hold(c, g, s))
			continue;
		if (!(co_state_flags(state_at(c, g, s)) & F_RESTING))
			return true;
		snprintf(why + n, size - n, "%s%s: %s", n ? "; " : "", c->peers[s].name, *w ? w : "not ready");
	}
	return false;
}

static void check_start(struct core *c, struct request *r, struct group *g)
{
	unsigned o = co_owner_slot(c, g);
	char why[2 * CORE_TEXT_MAX];

	if (o != NO_SLOT && state_at(c, g, o) == CORE_ACTIVE)
		result(c, r, true, "%s is served by %s", g->name, c->peers[o].name);
	else if (o == NO_SLOT && !anybody_busy(c, g, why, sizeof(why)))
		result(c, r, false, "%s cannot be started: %s", g->name, why);
}

static void check_stop(struct core *c, struct request *r, struct group *g)
{
	for (unsigned s = 0; s < CORE_MAX_NODES; s++)
		if (co_may_hold(c, g, s) && !(co_state_flags(state_at(c, g, s)) & F_RESTING) && state_at(c, g, s) != CORE_INIT)
			return;
	result(c, r, true, "%s is stopped", g->name);
}

static void check_move(struct core *c, struct request *r, struct group *g)
{
	unsigned o = co_owner_slot(c, g), from = r->from ? co_peer_slot(c, r->from) : NO_SLOT;

	if (from == NO_SLOT || o == NO_SLOT)
		return;
	if (state_at(c, g, from) != CORE_ACTIVE)
		r->left = true;
	if (state_at(c, g, o) != CORE_ACTIVE || (o == from && !r->left))
		return;
	if (o == from)
		result(c, r, false, "%s is back on %s: the destination could not take it", g->name, c->peers[o].name);
	else if (r->to && c->peers[o].id != r->to)
		result(c, r, false, "%s is served by %s: the destination could not take it", g->name, c->peers[o].name);
	else
		result(c, r, true, "%s is served by %s", g->name, c->peers[o].name);
}

/** co_admin_check() - Have wishes come true? */
void co_admin_check(struct core *c)
{
	static void (*const check[])(struct core *c, struct request *r, struct group *g) = {
		[CORE_VERB_START] = check_start, [CORE_VERB_STOP] = check_stop, [CORE_VERB_MOVE] = check_move,
	};

	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = &c->requests[i];
		struct group *g = r->used ? co_group_find(c, r->group) : NULL;

		if (!r->used)
			continue;
		if (!g)
			result(c, r, false, "the group was removed from the configuration");
		else if (r->seen && r->verb < ARRAY_SIZE(check) && check[r->verb])
			check[r->verb](c, r, g);
		if (r->used && c->now >= r->deadline)
			result(c, r, false, "not done yet: %s", g && *g->why ? g->why : "see `lunwardctl status`");
	}
}

uint64_t co_admin_deadline(const struct core *c)
{
	uint64_t t = CORE_NEVER;

	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (c->requests[i].used)
			t = MIN(t, c->requests[i].deadline);
	return t;
}
