/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync.c - the connection to the local corosync as one thing: membership, quorum, messages; or none of it
 *
 * Theory of operation. CPG and quorum are connected together and lost together. On one CPG connection corosync
 * tells a ring change as: who left, who joined, then the ring id; the core gets one change once the ring id is
 * known. A process that comes or goes on the same ring is told at once. `sync` names a change: a hash over ring id
 * and the identities of all members, which all of them compute alike.
 *
 * Losing corosync is losing everything: no quorum, no members. The core then stops serving at once. Reconnecting is
 * tried with a back-off, for ever.
 *
 * A corosync that is stopped or stuck keeps its sockets open. So every HEARTBEAT_MS a message goes to ourselves; if
 * none has come back for longer than any ring change may take, it counts as lost too (the connection is kept: to
 * close it would wait for an answer). It is opened anew as soon as a message comes through again.
 */
#include "cluster/shell.h"

#include <corosync/corotypes.h>
#include <errno.h>
#include <string.h>

#include <qb/qblog.h>

#define MEMBERS_MAX 128
#define HEARTBEAT_MS 500
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 1000

struct corosync {
	struct clusterd *d;
	struct cpglink *cpg;
	struct quorumlink *quorum;
	bool announced;               /* the core knows of members */
	bool stuck;
	struct chunk_sender member[MEMBERS_MAX];
	size_t n_member;
	struct core_left left[MEMBERS_MAX];  /* since the last change the core was told of */
	unsigned n_left;
	uint32_t ring_node;
	uint64_t ring_seq;
	uint64_t beat, beat_ns;       /* last one sent; when one came back last */
	uint64_t looked_ns;           /* when we last looked at that */
	unsigned backoff_ms;
	int said;                     /* error of the last attempt, so that it is logged once */
	char note[160];
	qb_loop_timer_handle retry, heartbeat;
};

static void on_retry(void *data);

const char *corosync_note(const struct clusterd *d)
{
	return d->corosync->note;
}

bool corosync_up(const struct clusterd *d)
{
	return d->corosync->announced;
}

/* ---- membership ---- */

static uint64_t fnv(uint64_t h, uint64_t v)
{
	for (int i = 0; i < 8; i++, v >>= 8)
		h = (h ^ (v & 0xff)) * 0x100000001b3ull;
	return h;
}

static int by_identity(const void *a, const void *b)
{
	const struct chunk_sender *x = a, *y = b;

	if (x->nodeid != y->nodeid)
		return x->nodeid < y->nodeid ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static uint64_t sync_of(const struct corosync *c)
{
	uint64_t h = fnv(fnv(0xcbf29ce484222325ull, c->ring_node), c->ring_seq);

	for (size_t i = 0; i < c->n_member; i++)
		h = fnv(h, (uint64_t)c->member[i].nodeid << 32 | c->member[i].pid);
	return h ? h : 1;
}

static bool is_member(const struct corosync *c, uint32_t nodeid)
{
	for (size_t i = 0; i < c->n_member; i++)
		if (c->member[i].nodeid == nodeid)
			return true;
	return false;
}

/* Node ids, each once. */
static unsigned member_ids(const struct corosync *c, uint8_t *ret)
{
	unsigned n = 0;

	for (size_t i = 0; i < c->n_member; i++)
		if (!n || ret[n - 1] != c->member[i].nodeid)
			ret[n++] = (uint8_t)c->member[i].nodeid;
	return n;
}

/* A node joined that corosync.conf did not list when we connected. */
static void refresh_names(struct corosync *c)
{
	struct clusterd *d = c->d;

	for (size_t i = 0; i < c->n_member; i++)
		if (!nodelist_find(&d->nodes, c->member[i].nodeid)) {
			if (nodelist_read(&d->nodes) == 0)
				config_spread(d);
			return;
		}
}

static void log_change(const struct corosync *c, const struct core_ev_members *m)
{
	static const char *const reason[] = {
		[CORE_LEFT_NODE_DOWN] = "node down", [CORE_LEFT_PROCESS_DOWN] = "process down", [CORE_LEFT_CLEAN] = "left",
	};
	char text[400] = "";
	size_t n = 0;

	for (size_t i = 0; i < c->n_member && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %u/%u", c->member[i].nodeid, c->member[i].pid);
	for (unsigned i = 0; i < m->n_left && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ", %u: %s", m->left[i].node, reason[m->left[i].reason]);
	qb_log(LOG_INFO, "members on ring %u.%llx (node/process):%s", c->ring_node, (unsigned long long)c->ring_seq, text);
}

static void tell_core(struct corosync *c)
{
	struct clusterd *d = c->d;
	uint8_t ids[MEMBERS_MAX];
	struct core_event ev = {
		.type = CORE_EV_MEMBERS,
		.members = {
			.ring = c->ring_seq,
			.sync = sync_of(c),
			.members = ids,
			.n_members = member_ids(c, ids),
			.left = c->left,
			.n_left = c->n_left,
		},
	};

	for (unsigned i = 0; i <= NODE_ID_MAX; i++)
		d->peer[i].live = is_member(c, i);
	for (unsigned i = 0; i < c->n_left; i++)
		d->peer[c->left[i].node] = (struct peer){ .live = d->peer[c->left[i].node].live };
	c->announced = c->n_member > 0;
	log_change(c, &ev.members);
	refresh_names(c);
	shell_feed(d, &ev);
	c->n_left = 0;
	apply_members_changed(d);
	report_members_changed(d);
}

static void on_change(void *data, const struct cpglink_change *ch)
{
	static const enum core_left_reason reason[] = {
		[CPGLINK_LEAVE] = CORE_LEFT_CLEAN,
		[CPGLINK_PROCDOWN] = CORE_LEFT_PROCESS_DOWN,
		[CPGLINK_NODEDOWN] = CORE_LEFT_NODE_DOWN,
	};
	struct corosync *c = data;

	if (c->stuck)
		return;   /* news of a connection that is about to be opened anew */
	for (size_t i = 0; i < ch->n_left && c->n_left < MEMBERS_MAX; i++)
		if (ch->left[i].who.nodeid <= NODE_ID_MAX)
			c->left[c->n_left++] = (struct core_left){ (uint8_t)ch->left[i].who.nodeid, reason[ch->left[i].reason] };
	c->n_member = 0;
	for (size_t i = 0; i < ch->n_member && c->n_member < MEMBERS_MAX; i++)
		if (ch->member[i].who.nodeid <= NODE_ID_MAX)
			c->member[c->n_member++] = ch->member[i].who;
	qsort(c->member, c->n_member, sizeof(c->member[0]), by_identity);
	if (!ch->ring_follows && c->ring_seq && is_member(c, c->d->self))
		tell_core(c);
}

static void on_ring(void *data, uint32_t ring_node, uint64_t ring_seq)
{
	struct corosync *c = data;

	if (c->stuck)
		return;
	c->ring_node = ring_node;
	c->ring_seq = ring_seq;
	if (is_member(c, c->d->self))
		tell_core(c);
}

static void on_quorum(void *data, bool quorate, uint32_t ring_node, uint64_t ring_seq, const uint32_t *node, size_t n)
{
	struct corosync *c = data;
	struct core_event ev = { .type = CORE_EV_QUORUM, .quorum = { .ring = ring_seq, .quorate = quorate } };

	(void)ring_node, (void)node, (void)n;
	if (c->stuck)
		return;
	c->d->quorate = quorate;
	shell_feed(c->d, &ev);
}

/* ---- messages ---- */

static void refuse(struct clusterd *d, uint8_t from, const char *why)
{
	char name[CORE_NAME_MAX];

	if (!strcmp(d->peer[from].refused, why))
		return;
	snprintf(d->peer[from].refused, sizeof(d->peer[from].refused), "%s", why);
	event_add(d, NULL, CORE_ERROR, "peer-refused", "messages of %s are refused: %s", shell_node_name(d, from, name), why);
}

static void reopen(struct corosync *c);

static void on_beat(struct corosync *c, uint8_t from, uint64_t number)
{
	if (from != c->d->self || number > c->beat)
		return;
	c->beat_ns = mono_ns();
	if (c->stuck)
		reopen(c);
}

static void take_core(struct clusterd *d, uint8_t from, struct wire_msg *w)
{
	struct core_event ev = { .type = CORE_EV_MESSAGE, .message = { .from = from, .msg = w->core } };

	shell_feed(d, &ev);
	if (w->core.type == CORE_MSG_NODE_STATE)
		config_peer(d, from, w->pb->node_state->config_version, w->pb->node_state->config_hash);
}

static void take_shell(struct corosync *c, uint8_t from, const Lunward__ClusterMessage *pb)
{
	switch (pb->msg_case) {
	case LUNWARD__CLUSTER_MESSAGE__MSG_CONFIG_PUSH:
		config_push(c->d, from, pb->config_push);
		break;
	case LUNWARD__CLUSTER_MESSAGE__MSG_CONFIG_ACK:
		apply_ack(c->d, from, pb->config_ack);
		break;
	case LUNWARD__CLUSTER_MESSAGE__MSG_REPORT_REQUEST:
		report_request(c->d, from, pb->report_request);
		break;
	case LUNWARD__CLUSTER_MESSAGE__MSG_REPORT:
		report_reply(c->d, from, pb->report);
		break;
	case LUNWARD__CLUSTER_MESSAGE__MSG_HEARTBEAT:
		on_beat(c, from, pb->heartbeat->number);
		break;
	default:
		break;   /* a newer neighbor's: it must not need us to know it */
	}
}

static void on_message(void *data, struct chunk_sender from, uint32_t incarnation, const uint8_t *msg, size_t len)
{
	struct corosync *c = data;
	char why[WIRE_WHY_MAX];
	struct wire_msg w;
	uint8_t id = (uint8_t)from.nodeid;

	(void)incarnation;
	if (from.nodeid > NODE_ID_MAX || (c->stuck && id != c->d->self))
		return;
	if (wire_unpack(msg, len, &w, why) < 0) {
		refuse(c->d, id, why);
		return;
	}
	if (w.is_core && !c->stuck)
		take_core(c->d, id, &w);
	else if (!w.is_core)
		take_shell(c, id, w.pb);
	wire_release(&w);
}

static void on_garbage(void *data, struct chunk_sender from)
{
	struct corosync *c = data;

	if (from.nodeid <= NODE_ID_MAX)
		refuse(c->d, (uint8_t)from.nodeid, "what it sends is no Lunward message");
}

void corosync_send(struct clusterd *d, uint8_t *packed, size_t len)
{
	if (d->corosync->cpg)
		cpglink_send(d->corosync->cpg, packed, len);
	free(packed);
}

void corosync_send_pb(struct clusterd *d, Lunward__ClusterMessage *pb)
{
	size_t len;
	uint8_t *buf = wire_pack(pb, &len);

	corosync_send(d, buf, len);
}

/* ---- losing it ---- */

static void forget(struct corosync *c, const char *why)
{
	struct core_event q = { .type = CORE_EV_QUORUM, .quorum = { .ring = c->ring_seq, .quorate = false } };

	if (!c->announced)
		return;
	snprintf(c->note, sizeof(c->note), "%s", why);
	event_add(c->d, NULL, CORE_ERROR, "corosync-lost", "%s: nothing is served from this node until it is back", why);
	c->d->quorate = false;
	shell_feed(c->d, &q);
	c->n_left = 0;
	for (size_t i = 0; i < c->n_member && c->n_left < MEMBERS_MAX; i++)
		c->left[c->n_left++] = (struct core_left){ (uint8_t)c->member[i].nodeid, CORE_LEFT_NODE_DOWN };
	c->n_member = 0;
	tell_core(c);
}

static void close_links(struct corosync *c)
{
	cpglink_close(c->cpg);
	quorumlink_close(c->quorum);
	c->cpg = NULL;
	c->quorum = NULL;
	c->n_member = 0;
	c->n_left = 0;
	c->stuck = false;
	qb_loop_timer_del(c->d->loop, c->heartbeat);
	c->heartbeat = 0;
}

static void retry_in(struct corosync *c, unsigned ms)
{
	qb_loop_timer_del(c->d->loop, c->retry);
	c->retry = 0;
	qb_loop_timer_add(c->d->loop, QB_LOOP_HIGH, ms * NSEC_PER_MSEC, c, on_retry, &c->retry);
}

static void on_lost(void *data, const char *why)
{
	struct corosync *c = data;

	forget(c, why);
	if (c->d->exiting)
		return;
	c->backoff_ms = BACKOFF_MIN_MS;
	retry_in(c, 0);   /* not from here: one of the links is calling */
}

/* It answers again after having been stuck: what it thinks of us meanwhile we learn by joining anew. */
static void reopen(struct corosync *c)
{
	if (c->retry)
		return;
	qb_log(LOG_NOTICE, "corosync answers again");
	c->backoff_ms = BACKOFF_MIN_MS;
	retry_in(c, 0);
}

static void on_heartbeat(void *data)
{
	struct corosync *c = data;
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	Lunward__Heartbeat beat = LUNWARD__HEARTBEAT__INIT;
	uint64_t limit = (2ull * (c->d->nodes.token_ms + c->d->nodes.consensus_ms) + 2000) * NSEC_PER_MSEC;
	uint64_t now = mono_ns();

	c->heartbeat = 0;
	if (now - c->looked_ns > 3 * HEARTBEAT_MS * NSEC_PER_MSEC)
		c->beat_ns = now;     /* it was us who stood still */
	c->looked_ns = now;
	if (!c->stuck && now - c->beat_ns > limit) {
		c->stuck = true;
		forget(c, "corosync carries no messages any more (is it stopped?)");
	}
	if (cpglink_idle(c->cpg)) {
		beat.number = ++c->beat;
		pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_HEARTBEAT;
		pb.heartbeat = &beat;
		corosync_send_pb(c->d, &pb);
	}
	qb_loop_timer_add(c->d->loop, QB_LOOP_MED, HEARTBEAT_MS * NSEC_PER_MSEC, c, on_heartbeat, &c->heartbeat);
}

/* ---- connecting ---- */

static const struct cpglink_ops CPG_OPS = {
	.message = on_message, .change = on_change, .ring = on_ring, .garbage = on_garbage, .lost = on_lost,
};
static const struct quorumlink_ops QUORUM_OPS = { .quorum = on_quorum, .lost = on_lost };

/* Who we are; the id is for life. Return: false: not to be used */
static bool know_self(struct corosync *c, uint32_t id)
{
	struct clusterd *d = c->d;

	if (!id || id > NODE_ID_MAX) {
		snprintf(c->note, sizeof(c->note), "corosync node id %u does not fit: Lunward needs ids of 1 to %u in "
			 "corosync.conf (nodelist.node.nodeid)", id, NODE_ID_MAX);
		return false;
	}
	if (d->self && d->self != id) {
		qb_log(LOG_ERR, "this node's id changed from %u to %u: starting anew", d->self, id);
		d->exit_code = 1;
		qb_loop_stop(d->loop);
		return false;
	}
	d->self = (uint8_t)id;
	return true;
}

static int connect_all(struct corosync *c)
{
	struct clusterd *d = c->d;
	int r = nodelist_read(&d->nodes);

	if (r == 0)
		r = cpglink_open(&c->cpg, d->loop, d->incarnation, &CPG_OPS, c);
	if (r < 0)
		return r;
	if (!know_self(c, cpglink_nodeid(c->cpg)))
		return -EINVAL - 1000;
	if (!d->core)
		shell_start_core(d);
	else
		config_spread(d);   /* node names may mean other ids now */
	return quorumlink_open(&c->quorum, d->loop, &QUORUM_OPS, c);
}

static void explain(struct corosync *c, int error)
{
	if (error > -1000)
		snprintf(c->note, sizeof(c->note), "%s", error == -(int)CS_ERR_NOT_EXIST ?
			 "corosync.conf has no quorum provider: add \"quorum { provider: corosync_votequorum }\"" :
			 "corosync cannot be reached: is it running? (systemctl status corosync)");
	if (error == c->said)
		return;
	c->said = error;
	event_add(c->d, NULL, CORE_ERROR, "corosync-unreachable", "%s (error %d)", c->note, -error);
}

static void on_retry(void *data)
{
	struct corosync *c = data;
	int r;

	c->retry = 0;
	close_links(c);
	r = connect_all(c);
	if (r < 0) {
		close_links(c);
		explain(c, r);
		retry_in(c, c->backoff_ms);
		c->backoff_ms = MIN(2 * c->backoff_ms, (unsigned)BACKOFF_MAX_MS);
		return;
	}
	c->said = 0;
	c->note[0] = 0;
	c->beat_ns = c->looked_ns = mono_ns();
	on_heartbeat(c);
	event_add(c->d, NULL, CORE_INFO, "corosync", "connected to corosync as node %u", c->d->self);
}

int corosync_start(struct clusterd *d)
{
	struct corosync *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->d = d;
	c->backoff_ms = BACKOFF_MIN_MS;
	snprintf(c->note, sizeof(c->note), "connecting to corosync");
	d->corosync = c;
	retry_in(c, 0);
	return 0;
}

void corosync_stop(struct clusterd *d)
{
	struct corosync *c = d->corosync;

	if (!c)
		return;
	if (c->cpg && !c->stuck) {
		cpglink_leave(c->cpg);
		close_links(c);
	}
	qb_loop_timer_del(d->loop, c->retry);
	qb_loop_timer_del(d->loop, c->heartbeat);
	free(c);
	d->corosync = NULL;
}
