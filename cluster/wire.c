/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.c - what the core says, as cluster.proto; and records, as record.proto
 *
 * Whatever comes off the wire is checked here: enums in range, node ids of 8 bits, names that fit. Context: pure
 * but for memory; running out of it ends the process, as in the core.
 */
#include "cluster/wire.h"

#include <errno.h>
#include <string.h>

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static char *mutable(const char *s)
{
	return (char *)(s ? s : "");   /* protobuf-c does not write through it when packing */
}

/* ---- records ---- */

static void record_fill(Lunward__Record *pb, const char *group, const struct core_record *r)
{
	lunward__record__init(pb);
	pb->format = LUNWARD_RECORD_FORMAT;
	pb->group = mutable(group);
	pb->epoch = r->stamp.epoch;
	pb->node = r->stamp.node;
	pb->seq = r->stamp.seq;
	pb->base_epoch = r->stamp.base.epoch;
	pb->base_node = r->stamp.base.node;
	pb->ahead = r->stamp.ahead;
	pb->high = r->high;
	pb->admin_gen = r->admin_gen;
	pb->stopped = r->stopped;
	if (r->body) {
		pb->body.data = r->body->data;
		pb->body.len = r->body->len;
	}
}

static bool name_ok(const char *s)
{
	return s[0] && strlen(s) < CORE_NAME_MAX;
}

static bool key_ok(uint32_t epoch, uint32_t node)
{
	return epoch <= CORE_EPOCH_MAX && node <= UINT8_MAX;
}

static struct core_stamp make_stamp(uint32_t epoch, uint32_t node, uint64_t seq, bool ahead, uint32_t base_epoch,
				    uint32_t base_node)
{
	return (struct core_stamp){
		.epoch = epoch, .node = (uint8_t)node, .seq = seq, .ahead = ahead,
		.base = { .epoch = base_epoch, .node = (uint8_t)base_node },
	};
}

static int record_get(const Lunward__Record *pb, struct core_record *ret)
{
	if (!pb || !name_ok(pb->group) || !key_ok(pb->epoch, pb->node) || !key_ok(pb->base_epoch, pb->base_node))
		return -EPROTO;
	if (!frame_version_ok(LUNWARD_RECORD_FORMAT, pb->format))
		return -EPROTONOSUPPORT;
	*ret = (struct core_record){
		.stamp = make_stamp(pb->epoch, pb->node, pb->seq, pb->ahead, pb->base_epoch, pb->base_node),
		.high = pb->high,
		.body = pb->body.len ? need(core_body_new(pb->body.data, pb->body.len)) : NULL,
		.admin_gen = pb->admin_gen,
		.stopped = pb->stopped,
	};
	return 0;
}

uint8_t *wire_record_pack(const char *group, const struct core_record *r, size_t *ret_len)
{
	Lunward__Record pb;
	uint8_t *buf;

	record_fill(&pb, group, r);
	*ret_len = lunward__record__get_packed_size(&pb);
	buf = need(malloc(*ret_len + 1));
	lunward__record__pack(&pb, buf);
	return buf;
}

int wire_record_unpack(const uint8_t *p, size_t len, const char *group, struct core_record *ret)
{
	Lunward__Record *pb = lunward__record__unpack(NULL, len, p);
	int r = -EBADMSG;

	if (pb && !strcmp(pb->group, group))
		r = record_get(pb, ret);
	if (pb)
		lunward__record__free_unpacked(pb, NULL);
	return r;
}

/* ---- core to wire: one function a type, filling @pb from @m; the arrays they make live in @scratch ---- */

struct scratch {
	Lunward__GroupState *state;
	Lunward__GroupState **states;
	union {
		Lunward__NodeState node_state;
		struct {
			Lunward__RecordPush push;
			Lunward__Record record;
			uint32_t to[CORE_MAX_NODES];
		};
		Lunward__RecordAck ack;
		Lunward__RecordFetch fetch;
		Lunward__GroupCommand command;
		Lunward__CommandResult result;
	};
};

static void put_group_state(Lunward__GroupState *pb, const struct core_group_state *s)
{
	lunward__group_state__init(pb);
	pb->group = mutable(s->group);
	pb->state = s->state;
	pb->key_epoch = s->key_epoch;
	pb->record_epoch = s->stamp.epoch;
	pb->record_node = s->stamp.node;
	pb->record_seq = s->stamp.seq;
	pb->record_base_epoch = s->stamp.base.epoch;
	pb->record_base_node = s->stamp.base.node;
	pb->record_ahead = s->stamp.ahead;
	pb->record_warm = s->warm;
	pb->eligible = s->eligible;
	pb->store_failed = !s->store_ok;
	pb->admin_gen = s->admin_gen;
	pb->stopped = s->stopped;
	pb->why = mutable(s->why);
}

static void put_node_state(Lunward__ClusterMessage *pb, const struct core_msg *m, struct scratch *x)
{
	const struct core_msg_node_state *s = &m->node_state;

	lunward__node_state__init(&x->node_state);
	x->node_state.config_version = s->config_version;
	x->node_state.draining = s->draining;
	x->node_state.full = s->full;
	x->node_state.sync = s->sync;
	x->state = need(calloc(s->n_groups + 1, sizeof(*x->state)));
	x->states = need(calloc(s->n_groups + 1, sizeof(void *)));
	for (unsigned i = 0; i < s->n_groups; i++) {
		put_group_state(&x->state[i], &s->groups[i]);
		x->states[i] = &x->state[i];
	}
	x->node_state.groups = x->states;
	x->node_state.n_groups = s->n_groups;
	pb->msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_NODE_STATE;
	pb->node_state = &x->node_state;
}

static void put_push(Lunward__ClusterMessage *pb, const struct core_msg *m, struct scratch *x)
{
	lunward__record_push__init(&x->push);
	record_fill(&x->record, m->push.group, &m->push.record);
	x->push.record = &x->record;
	x->push.final = m->push.final;
	x->push.move_to = m->push.move_to;
	for (unsigned i = 0; i < m->push.n_to; i++)
		x->to[i] = m->push.to[i];
	x->push.to = x->to;
	x->push.n_to = m->push.n_to;
	x->push.warm = m->push.record.warm;
	pb->msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_RECORD_PUSH;
	pb->record_push = &x->push;
}

static void put_ack(Lunward__ClusterMessage *pb, const struct core_msg *m, struct scratch *x)
{
	lunward__record_ack__init(&x->ack);
	x->ack.group = mutable(m->ack.group);
	x->ack.epoch = m->ack.stamp.epoch;
	x->ack.node = m->ack.stamp.node;
	x->ack.seq = m->ack.stamp.seq;
	x->ack.base_epoch = m->ack.stamp.base.epoch;
	x->ack.base_node = m->ack.stamp.base.node;
	x->ack.ahead = m->ack.stamp.ahead;
	x->ack.stored = m->ack.stored;
	pb->msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_RECORD_ACK;
	pb->record_ack = &x->ack;
}

static void put_fetch(Lunward__ClusterMessage *pb, const struct core_msg *m, struct scratch *x)
{
	lunward__record_fetch__init(&x->fetch);
	x->fetch.group = mutable(m->fetch.group);
	x->fetch.from = m->fetch.from;
	pb->msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_RECORD_FETCH;
	pb->record_fetch = &x->fetch;
}

static void put_command(Lunward__ClusterMessage *pb, const struct core_msg *m, struct scratch *x)
{
	lunward__group_command__init(&x->command);
	x->command.verb = (Lunward__GroupCommand__Verb)m->command.verb;
	x->command.group = mutable(m->command.group);
	x->command.to = m->command.to;
	x->command.force = m->command.force;
	x->command.admin_gen = m->command.admin_gen;
	x->command.cookie = m->command.cookie;
	x->command.requester = m->command.requester;
	pb->msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_COMMAND;
	pb->command = &x->command;
}

static void put_result(Lunward__ClusterMessage *pb, const struct core_msg *m, struct scratch *x)
{
	lunward__command_result__init(&x->result);
	x->result.cookie = m->result.cookie;
	x->result.requester = m->result.requester;
	x->result.ok = m->result.ok;
	x->result.done = m->result.done;
	x->result.text = mutable(m->result.text);
	pb->msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_COMMAND_RESULT;
	pb->command_result = &x->result;
}

static void (*const PUT[])(Lunward__ClusterMessage *, const struct core_msg *, struct scratch *) = {
	[CORE_MSG_NODE_STATE] = put_node_state,
	[CORE_MSG_PUSH] = put_push,
	[CORE_MSG_ACK] = put_ack,
	[CORE_MSG_FETCH] = put_fetch,
	[CORE_MSG_COMMAND] = put_command,
	[CORE_MSG_RESULT] = put_result,
};

uint8_t *wire_pack(Lunward__ClusterMessage *pb, size_t *ret_len)
{
	uint8_t *buf;

	pb->version = LUNWARD_CLUSTER_PROTO;
	pb->min_version = WIRE_MIN_VERSION;
	*ret_len = lunward__cluster_message__get_packed_size(pb);
	buf = need(malloc(*ret_len + 1));
	lunward__cluster_message__pack(pb, buf);
	return buf;
}

uint8_t *wire_pack_core(const struct core_msg *m, uint64_t config_hash, size_t *ret_len)
{
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	struct scratch x = { 0 };
	uint8_t *buf;

	PUT[m->type](&pb, m, &x);
	if (m->type == CORE_MSG_NODE_STATE) {
		x.node_state.config_hash = config_hash;
		x.node_state.software = mutable(PACKAGE_VERSION);
	}
	buf = wire_pack(&pb, ret_len);
	free(x.state);
	free(x.states);
	return buf;
}

/* ---- wire to core ---- */

static int get_group_state(const Lunward__GroupState *pb, struct core_group_state *s)
{
	if (!name_ok(pb->group) || pb->state >= CORE_N_STATES || !key_ok(pb->key_epoch, 0) ||
	    !key_ok(pb->record_epoch, pb->record_node) || !key_ok(pb->record_base_epoch, pb->record_base_node))
		return -EPROTO;
	*s = (struct core_group_state){
		.group = pb->group,
		.state = (enum core_state)pb->state,
		.key_epoch = pb->key_epoch,
		.stamp = make_stamp(pb->record_epoch, pb->record_node, pb->record_seq, pb->record_ahead,
				    pb->record_base_epoch, pb->record_base_node),
		.warm = pb->record_warm,
		.eligible = pb->eligible,
		.store_ok = !pb->store_failed,
		.admin_gen = pb->admin_gen,
		.stopped = pb->stopped,
		.why = pb->why,
	};
	return 0;
}

static int get_node_state(const Lunward__ClusterMessage *pb, struct wire_msg *w)
{
	const Lunward__NodeState *s = pb->node_state;

	w->states = need(calloc(s->n_groups + 1, sizeof(*w->states)));
	for (size_t i = 0; i < s->n_groups; i++)
		if (get_group_state(s->groups[i], &w->states[i]) < 0)
			return -EPROTO;
	w->core.type = CORE_MSG_NODE_STATE;
	w->core.node_state = (struct core_msg_node_state){
		.sync = s->sync,
		.config_version = s->config_version,
		.draining = s->draining,
		.full = s->full,
		.groups = w->states,
		.n_groups = (unsigned)s->n_groups,
	};
	return 0;
}

static int get_push(const Lunward__ClusterMessage *pb, struct wire_msg *w)
{
	const Lunward__RecordPush *p = pb->record_push;
	struct core_record rec;
	int r = p->move_to > UINT8_MAX || p->n_to > CORE_MAX_NODES ? -EPROTO : record_get(p->record, &rec);

	if (r < 0)
		return r;
	w->body = rec.body;
	rec.warm = p->warm;
	w->core.type = CORE_MSG_PUSH;
	w->core.push = (struct core_msg_push){
		.group = p->record->group, .record = rec, .n_to = (unsigned)p->n_to, .final = p->final,
		.move_to = (uint8_t)p->move_to,
	};
	for (size_t i = 0; i < p->n_to; i++) {
		if (p->to[i] > UINT8_MAX)
			return -EPROTO;
		w->core.push.to[i] = (uint8_t)p->to[i];
	}
	return 0;
}

static int get_ack(const Lunward__ClusterMessage *pb, struct wire_msg *w)
{
	const Lunward__RecordAck *a = pb->record_ack;

	if (!name_ok(a->group) || !key_ok(a->epoch, a->node) || !key_ok(a->base_epoch, a->base_node))
		return -EPROTO;
	w->core.type = CORE_MSG_ACK;
	w->core.ack = (struct core_msg_ack){
		.group = a->group,
		.stamp = make_stamp(a->epoch, a->node, a->seq, a->ahead, a->base_epoch, a->base_node),
		.stored = a->stored,
	};
	return 0;
}

static int get_fetch(const Lunward__ClusterMessage *pb, struct wire_msg *w)
{
	const Lunward__RecordFetch *f = pb->record_fetch;

	if (!name_ok(f->group) || f->from > UINT8_MAX)
		return -EPROTO;
	w->core.type = CORE_MSG_FETCH;
	w->core.fetch = (struct core_msg_fetch){ .group = f->group, .from = (uint8_t)f->from };
	return 0;
}

static int get_command(const Lunward__ClusterMessage *pb, struct wire_msg *w)
{
	const Lunward__GroupCommand *c = pb->command;

	if (!name_ok(c->group) || c->to > UINT8_MAX || c->requester > UINT8_MAX ||
	    (unsigned)c->verb > CORE_VERB_RELEASE)
		return -EPROTO;
	w->core.type = CORE_MSG_COMMAND;
	w->core.command = (struct core_msg_command){
		.verb = (enum core_verb)c->verb,
		.group = c->group,
		.to = (uint8_t)c->to,
		.force = c->force,
		.admin_gen = c->admin_gen,
		.cookie = c->cookie,
		.requester = (uint8_t)c->requester,
	};
	return 0;
}

static int get_result(const Lunward__ClusterMessage *pb, struct wire_msg *w)
{
	const Lunward__CommandResult *r = pb->command_result;

	if (r->requester > UINT8_MAX)
		return -EPROTO;
	w->core.type = CORE_MSG_RESULT;
	w->core.result = (struct core_msg_result){
		.cookie = r->cookie, .requester = (uint8_t)r->requester, .ok = r->ok, .done = r->done, .text = r->text,
	};
	return 0;
}

/* What is not here is for the shell (config.c, report.c, corosync.c). */
static int (*const GET[])(const Lunward__ClusterMessage *, struct wire_msg *) = {
	[LUNWARD__CLUSTER_MESSAGE__MSG_NODE_STATE] = get_node_state,
	[LUNWARD__CLUSTER_MESSAGE__MSG_RECORD_PUSH] = get_push,
	[LUNWARD__CLUSTER_MESSAGE__MSG_RECORD_ACK] = get_ack,
	[LUNWARD__CLUSTER_MESSAGE__MSG_RECORD_FETCH] = get_fetch,
	[LUNWARD__CLUSTER_MESSAGE__MSG_COMMAND] = get_command,
	[LUNWARD__CLUSTER_MESSAGE__MSG_COMMAND_RESULT] = get_result,
};

static bool version_ok(const Lunward__ClusterMessage *pb)
{
	if (frame_version_ok(LUNWARD_CLUSTER_PROTO, pb->version))
		return true;
	return pb->version > LUNWARD_CLUSTER_PROTO && pb->min_version && pb->min_version <= LUNWARD_CLUSTER_PROTO;
}

void wire_release(struct wire_msg *w)
{
	free(w->states);
	core_body_unref(w->body);
	if (w->pb)
		lunward__cluster_message__free_unpacked(w->pb, NULL);
	*w = (struct wire_msg){ 0 };
}

int wire_unpack(const uint8_t *p, size_t len, struct wire_msg *ret, char why[WIRE_WHY_MAX])
{
	struct wire_msg w = { .pb = lunward__cluster_message__unpack(NULL, len, p) };
	int r = 0;

	if (!w.pb) {
		snprintf(why, WIRE_WHY_MAX, "not a cluster message (%zu bytes)", len);
		return -EPROTO;
	}
	if (!version_ok(w.pb)) {
		snprintf(why, WIRE_WHY_MAX, "it speaks version %u of the cluster protocol and no older than %u; this node "
			 "speaks %u to %u: update one of them", w.pb->version, w.pb->min_version, WIRE_MIN_VERSION,
			 LUNWARD_CLUSTER_PROTO);
		wire_release(&w);
		return -EPROTONOSUPPORT;
	}
	if ((size_t)w.pb->msg_case < ARRAY_SIZE(GET) && GET[w.pb->msg_case]) {
		w.is_core = true;
		r = GET[w.pb->msg_case](w.pb, &w);
	}
	if (r < 0) {
		snprintf(why, WIRE_WHY_MAX, "message of type %d with a field out of range", (int)w.pb->msg_case);
		wire_release(&w);
		return r;
	}
	*ret = w;
	return 0;
}
