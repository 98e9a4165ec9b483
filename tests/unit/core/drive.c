/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/core/drive.h"

#include <stdio.h>

static const char group[] = "vmstore";
static const char *const names[] = { "", "alpha", "beta", "gamma" };

static void word(struct drive *d, const char *w, unsigned lun)
{
	size_t n = strlen(d->words);

	snprintf(d->words + n, sizeof(d->words) - n, lun ? "%s%s%u" : "%s%s", n ? " " : "", w, lun);
}

static struct core_event *later(struct drive *d, enum core_ev_type type)
{
	assert_true(d->n < PENDING);
	memset(&d->q[d->n], 0, sizeof(d->q[d->n]));
	d->q[d->n].ev.type = type;
	return &d->q[d->n++].ev;
}

static void set_record(struct core_record *dst, const struct core_record *src)
{
	struct core_body *old = dst->body;

	*dst = *src;
	core_body_ref(dst->body);
	core_body_unref(old);
}

struct core_record drive_record(uint8_t node, uint32_t epoch, uint64_t seq)
{
	return (struct core_record){ .stamp = { .node = node, .epoch = epoch, .seq = seq }, .warm = true, .high = epoch };
}

/* ---- what the shell would do ---- */

static unsigned lun_number(const struct drive *d, const char *name)
{
	for (unsigned i = 0; i < LUNS; i++)
		if (d->luns[i] && strcmp(d->luns[i], name) == 0)
			return i;
	return LUNS - 1;
}

static bool same(struct core_key a, struct core_key b)
{
	return a.node == b.node && a.epoch == b.epoch;
}

static void execute(struct drive *d, const struct core_action *a)
{
	unsigned l = lun_number(d, a->fence.lun);
	struct core_key *k = &d->lun[l];
	struct core_event *ev;

	if (a->fence.op == CORE_FENCE_TAKE)
		d->now += d->slow_take;
	ev = later(d, CORE_EV_FENCED_OP);
	ev->fence.group = group;
	ev->fence.id = a->fence.id;
	ev->fence.status = d->fail[l];
	ev->fence.error = d->fail[l] == CORE_FENCE_OK ? NULL : "as scripted";
	if (d->fail[l] == CORE_FENCE_ERROR)
		return;
	if (a->fence.op == CORE_FENCE_TAKE && !same(a->fence.old, a->fence.key) && a->fence.old.epoch >= a->fence.key.epoch) {
		ev->fence.status = CORE_FENCE_ERROR;
		ev->fence.error = "the new key must be of a later epoch than the holder's";
		return;
	}
	if (d->fail[l] == CORE_FENCE_OK && (a->fence.op == CORE_FENCE_TAKE || a->fence.op == CORE_FENCE_BUMP)) {
		if (same(*k, a->fence.old) || same(*k, a->fence.key))
			*k = a->fence.key;
		else
			ev->fence.status = CORE_FENCE_LOST;
	} else if (d->fail[l] == CORE_FENCE_OK && a->fence.op == CORE_FENCE_SWEEP) {
		if (!same(*k, a->fence.key))
			ev->fence.status = CORE_FENCE_LOST;
	} else if (d->fail[l] == CORE_FENCE_OK && a->fence.op == CORE_FENCE_RELEASE) {
		if (same(*k, a->fence.key))
			*k = (struct core_key){ 0 };
		else
			ev->fence.status = CORE_FENCE_LOST;
	}
	ev->fence.found = *k;
	ev->fence.max_epoch = k->epoch;
}

static void fence(struct drive *d, const struct core_action *a)
{
	static const char *const name[] = { "read", "take", "bump", "sweep", "release" };
	unsigned l = lun_number(d, a->fence.lun);

	word(d, name[a->fence.op], l);
	if (!d->hold_fence) {
		execute(d, a);
	} else if (d->n_held < HELD) {
		d->held[d->n_held] = *a;
		d->held[d->n_held++].fence.lun = d->luns[l];
	}
}

static void store(struct drive *d, const struct core_action *a)
{
	struct core_event *ev;

	word(d, "store", 0);
	if (d->hold_store)
		return;
	if (!d->disk_full)
		set_record(&d->disk, &a->store.record);
	ev = later(d, CORE_EV_STORED);
	ev->stored = (struct core_ev_stored){ .group = group, .id = a->store.id, .ok = !d->disk_full,
					      .error = d->disk_full ? "No space left on device" : NULL };
}

static void ack(struct drive *d, unsigned node, const struct core_msg_push *m)
{
	struct peer_script *p = &d->peer[node];
	struct core_event *ev;

	if (!p->live || p->acks == ACK_NEVER)
		return;
	if (p->acks == ACK_OK)
		set_record(&p->record, &m->record);
	ev = later(d, CORE_EV_MESSAGE);
	ev->message.from = (uint8_t)node;
	ev->message.msg.type = CORE_MSG_ACK;
	ev->message.msg.ack = (struct core_msg_ack){ .group = group, .stamp = m->record.stamp, .stored = p->acks == ACK_OK };
}

static void hand_out(struct drive *d, unsigned node)
{
	struct core_event *ev;

	if (!d->peer[node].live || d->peer[node].acks == ACK_NEVER)
		return;
	ev = later(d, CORE_EV_MESSAGE);
	ev->message.from = (uint8_t)node;
	ev->message.msg.type = CORE_MSG_PUSH;
	ev->message.msg.push = (struct core_msg_push){ .group = group, .record = d->peer[node].record, .to = { 1 }, .n_to = 1 };
}

/* Multicasts come back to ourselves too. Only what has consequences there is delivered. */
static void deliver_to_self(struct drive *d, const struct core_msg *m)
{
	struct core_event *ev = later(d, CORE_EV_MESSAGE);

	ev->message.from = 1;
	ev->message.msg = *m;
	if (m->type == CORE_MSG_COMMAND)
		ev->message.msg.command.group = group;
	if (m->type == CORE_MSG_PUSH)
		ev->message.msg.push.group = group;
	if (m->type == CORE_MSG_RESULT) {
		snprintf(d->q[d->n - 1].text, sizeof(d->q[0].text), "%s", m->result.text);
		ev->message.msg.result.text = d->q[d->n - 1].text;
	}
}

/* Whoever lives says something as often as we do; our own message comes back, too. */
static void beats(struct drive *d)
{
	for (unsigned i = 1; i <= d->n_nodes; i++) {
		struct core_event *ev;

		if (i == 1 ? d->deaf : !d->peer[i].live || d->peer[i].mute || d->peer[i].stuck)
			continue;
		ev = later(d, CORE_EV_MESSAGE);
		ev->message.from = (uint8_t)i;
		ev->message.msg.type = CORE_MSG_NODE_STATE;
		ev->message.msg.node_state = (struct core_msg_node_state){ .sync = d->ring, .config_version = d->version,
									   .draining = d->peer[i].draining };
	}
}

static void sent(struct drive *d, const struct core_msg *m)
{
	switch (m->type) {
	case CORE_MSG_PUSH:
		word(d, m->push.final ? "final" : "push", 0);
		for (unsigned i = 0; i < m->push.n_to; i++)
			ack(d, m->push.to[i], &m->push);
		break;
	case CORE_MSG_FETCH:
		word(d, "fetch", 0);
		hand_out(d, m->fetch.from);
		break;
	case CORE_MSG_COMMAND:
	case CORE_MSG_RESULT:
		deliver_to_self(d, m);
		break;
	case CORE_MSG_NODE_STATE:
		beats(d);
		break;
	default:
		break;
	}
}

static void target_says(struct drive *d, enum core_target_event what, struct core_key key, const char *error)
{
	struct core_event *ev;

	if (d->hold_target)
		return;
	ev = later(d, CORE_EV_TARGET);
	ev->target = (struct core_ev_target){ .group = group, .what = what, .key = key, .error = error,
					      .state = CORE_T_STANDBY };
}

static void address(struct drive *d, bool up)
{
	struct core_event *ev = later(d, CORE_EV_ADDRESS);

	ev->address = (struct core_ev_address){ .group = group, .up = up };
}

static void perform(struct drive *d, const struct core_action *a)
{
	const struct core_key none = { 0 };

	switch (a->type) {
	case CORE_ACT_SEND:
		sent(d, &a->msg);
		break;
	case CORE_ACT_STORE:
		store(d, a);
		break;
	case CORE_ACT_FENCE:
		fence(d, a);
		break;
	case CORE_ACT_TARGET_START:
		word(d, "start", 0);
		target_says(d, CORE_TARGET_HELLO, none, NULL);
		break;
	case CORE_ACT_TARGET_CONFIGURE:
		word(d, "configure", 0);
		target_says(d, CORE_TARGET_CONFIGURED, none, NULL);
		break;
	case CORE_ACT_TARGET_ACTIVATE:
		word(d, "activate", 0);
		target_says(d, CORE_TARGET_ACTIVATED, a->activate.key, d->activate_error);
		break;
	case CORE_ACT_TARGET_DEACTIVATE:
		word(d, a->deactivate.drain ? "drain" : "drop", 0);
		target_says(d, CORE_TARGET_DEACTIVATED, none, NULL);
		break;
	case CORE_ACT_TARGET_REKEY:
		word(d, "rekey", 0);
		target_says(d, CORE_TARGET_REKEYED, a->rekey.key, NULL);
		break;
	case CORE_ACT_TARGET_COMMITTED:
		word(d, a->committed.ok ? "ok" : "no", (unsigned)a->committed.ticket);
		break;
	case CORE_ACT_TARGET_KILL:
		word(d, "kill", 0);
		later(d, CORE_EV_TARGET)->target = (struct core_ev_target){ .group = group, .what = CORE_TARGET_DIED };
		break;
	case CORE_ACT_TARGET_STOP:
		word(d, "stop", 0);
		break;
	case CORE_ACT_ADDRESS_UP:
		word(d, a->address.announce ? "up!" : "up", 0);
		address(d, true);
		break;
	case CORE_ACT_ADDRESS_DOWN:
		word(d, "down", 0);
		address(d, false);
		break;
	case CORE_ACT_ADMIN_RESULT:
		snprintf(d->result, sizeof(d->result), "%s", a->result.text);
		d->result_ok = a->result.ok;
		d->n_results++;
		break;
	case CORE_ACT_EXIT:
		word(d, "exit", 0);
		break;
	case CORE_ACT_EVENT:
		break;
	}
}

static void step(struct drive *d, struct core_event *ev)
{
	struct core_actions v;

	ev->now = d->now;
	v = core_step(d->core, ev);
	for (unsigned i = 0; i < v.n; i++)
		perform(d, &v.v[i]);
}

static void drain(struct drive *d)
{
	while (d->n) {
		struct pending p = d->q[0];

		if (p.ev.type == CORE_EV_MESSAGE && p.ev.message.msg.type == CORE_MSG_RESULT)
			p.ev.message.msg.result.text = p.text;
		memmove(d->q, d->q + 1, --d->n * sizeof(p));
		step(d, &p.ev);
	}
}

void drive_feed(struct drive *d, struct core_event ev)
{
	step(d, &ev);
	drain(d);
}

void drive_answer(struct drive *d)
{
	while (d->n_held) {
		struct core_action a = d->held[0];

		memmove(d->held, d->held + 1, --d->n_held * sizeof(a));
		execute(d, &a);
	}
	drain(d);
}

void drive_run(struct drive *d, uint64_t ms)
{
	uint64_t end = d->now + ms;

	drain(d);
	while (core_deadline(d->core) <= end) {
		struct core_event tick = { .type = CORE_EV_TICK };

		if (core_deadline(d->core) > d->now)
			d->now = core_deadline(d->core);
		step(d, &tick);
		drain(d);
	}
	d->now = end;
}

/* ---- setting up ---- */

static void configuration(struct drive *d, struct core_conf *ret)
{
	static struct core_node_conf nodes[NODES];
	static struct core_group_conf groups[1];

	for (unsigned i = 0; i < d->n_nodes; i++)
		nodes[i] = (struct core_node_conf){ .id = (uint8_t)(i + 1), .name = names[i + 1] };
	groups[0] = (struct core_group_conf){ .name = group, .nodes = d->order, .n_nodes = d->n_nodes, .luns = d->luns,
					      .n_luns = d->n_luns, .failback = d->failback };
	*ret = (struct core_conf){ .version = d->version, .nodes = nodes, .n_nodes = d->n_nodes, .groups = groups,
				   .n_groups = d->n_groups };
}

struct drive *drive_new(unsigned n_nodes)
{
	struct drive *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	*d = (struct drive){ .now = 1000, .ring = 10, .quorate = true, .n_nodes = n_nodes, .n_luns = 1, .n_groups = 1,
			     .version = 1, .order = { 1, 2, 3 }, .luns = { "/dev/lun0", "/dev/lun1", "/dev/lun2" } };
	for (unsigned i = 2; i <= n_nodes; i++)
		d->peer[i] = (struct peer_script){ .live = true, .eligible = true, .state = CORE_STANDBY, .why = "" };
	return d;
}

void drive_free(struct drive *d)
{
	core_free(d->core);
	core_body_unref(d->disk.body);
	for (unsigned i = 0; i <= NODES; i++)
		core_body_unref(d->peer[i].record.body);
	free(d);
}

void drive_say(struct drive *d, unsigned node)
{
	struct peer_script *p = &d->peer[node];
	struct core_group_state s = {
		.group = group, .state = p->state, .key_epoch = p->key_epoch, .stamp = p->record.stamp, .warm = p->record.warm,
		.eligible = p->eligible, .store_ok = !p->store_failed, .admin_gen = p->record.admin_gen,
		.stopped = p->record.stopped, .why = p->why,
	};
	struct core_event ev = { .type = CORE_EV_MESSAGE };

	ev.message.from = (uint8_t)node;
	ev.message.msg.type = CORE_MSG_NODE_STATE;
	ev.message.msg.node_state = (struct core_msg_node_state){ .sync = d->ring, .config_version = d->version,
		.draining = p->draining, .full = true, .groups = &s, .n_groups = 1 };
	drive_feed(d, ev);
}

static void quorum(struct drive *d)
{
	struct core_event ev = { .type = CORE_EV_QUORUM };

	ev.quorum.ring = d->ring;
	ev.quorum.quorate = d->quorate;
	drive_feed(d, ev);
}

void drive_members(struct drive *d, enum core_left_reason why)
{
	struct core_event ev = { .type = CORE_EV_MEMBERS };
	uint8_t members[NODES] = { 1 };
	struct core_left left[NODES];

	d->ring++;
	ev.members = (struct core_ev_members){ .ring = d->ring, .sync = d->ring, .members = members, .n_members = 1, .left = left };
	for (unsigned i = 2; i <= d->n_nodes; i++)
		if (d->peer[i].live)
			members[ev.members.n_members++] = (uint8_t)i;
		else
			left[ev.members.n_left++] = (struct core_left){ .node = (uint8_t)i, .reason = why };
	drive_feed(d, ev);
	if (!d->quorum_lags)
		quorum(d);
	for (unsigned i = 2; i <= d->n_nodes; i++)
		if (d->peer[i].live && !d->peer[i].mute)
			drive_say(d, i);
}

void drive_start(struct drive *d, enum core_target_state hello, uint32_t key_epoch)
{
	struct core_stored_record rec = { .group = group, .record = d->disk };
	struct core_start start = { .self = 1, .records = &rec, .n_records = d->disk.high ? 1 : 0 };
	struct core_event ev = { .type = CORE_EV_TARGET };

	configuration(d, &start.conf);
	d->core = core_new(&start, d->now);
	drive_members(d, CORE_LEFT_NODE_DOWN);
	ev.target = (struct core_ev_target){ .group = group, .what = hello ? CORE_TARGET_HELLO : CORE_TARGET_ABSENT,
					     .state = hello, .key = { .node = 1, .epoch = key_epoch } };
	drive_feed(d, ev);
}

void drive_restart(struct drive *d, enum core_target_state hello, uint32_t key_epoch)
{
	core_free(d->core);
	d->n = 0;
	drive_start(d, hello, key_epoch);
}

void drive_target(struct drive *d, enum core_target_event what)
{
	struct core_event ev = { .type = CORE_EV_TARGET };

	ev.target = (struct core_ev_target){ .group = group, .what = what, .key = drive_view(d).key };
	drive_feed(d, ev);
}

void drive_change(struct drive *d, uint64_t ticket)
{
	struct core_event ev = { .type = CORE_EV_TARGET };

	ev.target = (struct core_ev_target){ .group = group, .what = CORE_TARGET_RECORD, .ticket = ticket,
					     .body = core_body_new(&ticket, sizeof(ticket)) };
	drive_feed(d, ev);
	core_body_unref(ev.target.body);
}

void drive_admin(struct drive *d, enum core_verb verb, uint8_t to, bool force)
{
	struct core_event ev = { .type = CORE_EV_ADMIN };

	ev.admin = (struct core_ev_admin){ .cookie = d->now, .verb = verb, .group = group, .to = to, .force = force };
	drive_feed(d, ev);
}

void drive_config(struct drive *d)
{
	struct core_event ev = { .type = CORE_EV_CONFIG };

	d->version++;
	configuration(d, &ev.conf);
	drive_feed(d, ev);
}

void drive_serve(struct drive *d)
{
	drive_start(d, CORE_T_NONE, 0);
	drive_run(d, 100);
	expect_state(d, CORE_ACTIVE);
	forget_words(d);
}

struct core_group_view drive_view(const struct drive *d)
{
	struct core_group_view v;

	assert_true(core_group(d->core, 0, &v));
	return v;
}
