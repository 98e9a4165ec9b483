/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * targetlink.c - messages with target processes (proto/target.proto)
 *
 * A target's ZeroMQ identity is its group's name. It says Hello when it meets our socket, also when it has outlived
 * an earlier clusterd; whatever else it says counts only from the process that said Hello.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <string.h>

#include <qb/qblog.h>

/* ---- to a target ---- */

static int send_to(struct group *g, Lunward__ToTarget *m)
{
	_cleanup_free_ uint8_t *buf = NULL;
	size_t len;
	int r;

	m->version = LUNWARD_TARGET_PROTO;
	len = lunward__to_target__get_packed_size(m);
	buf = malloc(len + 1);
	if (!buf)
		abort();
	lunward__to_target__pack(m, buf);
	r = zsock_send(g->d->target_sock, (const uint8_t *)g->name, strlen(g->name), buf, len);
	if (r < 0)
		qb_log(LOG_WARNING, "%s: message %d to the target process is not sent: %s", g->name, (int)m->msg_case,
		       strerror(-r));
	return r;
}

#define TO(name, NAME, body) \
	Lunward__ToTarget m = LUNWARD__TO_TARGET__INIT; \
	m.msg_case = LUNWARD__TO_TARGET__MSG_##NAME; \
	m.name = (body)

void targetlink_configure(struct group *g)
{
	struct clusterd *d = g->d;
	Lunward__Configure c = LUNWARD__CONFIGURE__INIT;
	char self[CORE_NAME_MAX], initiator[CONF_ISCSI_NAME_MAX + 1];
	TO(configure, CONFIGURE, &c);

	if (!d->conf)
		return;
	c.version = d->config_version;
	c.yaml = d->yaml;
	c.group = g->name;
	c.node = (char *)shell_node_name(d, d->self, self);
	c.initiator = conf_initiator_name(d->conf->cluster, c.node, initiator);
	send_to(g, &m);
}

void targetlink_activate(struct group *g, const struct core_action *a)
{
	Lunward__Activate v = LUNWARD__ACTIVATE__INIT;
	const struct core_body *b = a->activate.body;
	TO(activate, ACTIVATE, &v);

	v.key = key_pack(g->d, a->activate.key);
	v.cold = a->activate.cold;
	v.record = b ? lunward__record_body__unpack(NULL, b->len, b->data) : NULL;
	send_to(g, &m);
	if (v.record)
		lunward__record_body__free_unpacked(v.record, NULL);
}

void targetlink_deactivate(struct group *g, const struct core_action *a)
{
	Lunward__Deactivate v = LUNWARD__DEACTIVATE__INIT;
	TO(deactivate, DEACTIVATE, &v);

	v.drain = a->deactivate.drain;
	v.timeout_ms = a->deactivate.timeout_ms;
	send_to(g, &m);
}

void targetlink_rekey(struct group *g, const struct core_action *a)
{
	Lunward__Rekey v = LUNWARD__REKEY__INIT;
	TO(rekey, REKEY, &v);

	v.old_key = key_pack(g->d, a->rekey.old);
	v.new_key = key_pack(g->d, a->rekey.key);
	send_to(g, &m);
}

void targetlink_committed(struct group *g, const struct core_action *a)
{
	Lunward__RecordCommitted v = LUNWARD__RECORD_COMMITTED__INIT;
	TO(record_committed, RECORD_COMMITTED, &v);

	v.ticket = a->committed.ticket;
	v.ok = a->committed.ok;
	send_to(g, &m);
}

void targetlink_stop(struct group *g)
{
	Lunward__StopTarget v = LUNWARD__STOP_TARGET__INIT;
	TO(stop, STOP, &v);

	g->target.wanted_gone = true;
	if (g->target.life == LIFE_RUNNING && send_to(g, &m) < 0)
		process_kill(g);   /* it has not even come as far as saying Hello */
}

void targetlink_ping(struct group *g)
{
	Lunward__Ping v = LUNWARD__PING__INIT;
	TO(ping, PING, &v);

	v.cookie = ++g->target.ping;
	send_to(g, &m);
}

int targetlink_query(struct group *g, uint64_t cookie)
{
	Lunward__QueryTarget v = LUNWARD__QUERY_TARGET__INIT;
	TO(query, QUERY, &v);

	v.cookie = cookie;
	return g->target.hello ? send_to(g, &m) : -ENOTCONN;
}

/* ---- from a target: one function a message ---- */

static struct core_event event_of(struct group *g, enum core_target_event what)
{
	return (struct core_event){ .type = CORE_EV_TARGET, .target = { .group = g->name, .what = what } };
}

static const char *text_or_null(const char *s)
{
	return s && s[0] ? s : NULL;
}

static void got_hello(struct group *g, const Lunward__FromTarget *m)
{
	struct core_event ev = event_of(g, CORE_TARGET_HELLO);

	qb_log(LOG_INFO, "%s: hello from process %d, state %d", g->name, m->hello->pid, (int)m->hello->state);
	if (!process_adopt(g, m->hello->pid)) {
		qb_log(LOG_WARNING, "%s: hello of process %d, which is none of ours", g->name, m->hello->pid);
		return;
	}
	g->target.hello = true;
	if (!g->configured) {
		targetlink_stop(g);   /* left over from a group that is no longer configured */
		return;
	}
	ev.target.state = (enum core_target_state)m->hello->state;
	ev.target.key = key_unpack(g->d, m->hello->key);
	ev.target.version = m->hello->config_version;
	shell_feed(g->d, &ev);
}

static void got_configured(struct group *g, const Lunward__FromTarget *m)
{
	struct core_event ev = event_of(g, CORE_TARGET_CONFIGURED);

	ev.target.version = m->configured->version;
	ev.target.error = text_or_null(m->configured->error);
	if (!ev.target.error)
		process_listeners(g, m->configured);
	shell_feed(g->d, &ev);
}

static void got_activated(struct group *g, const Lunward__FromTarget *m)
{
	struct core_event ev = event_of(g, CORE_TARGET_ACTIVATED);

	ev.target.key = key_unpack(g->d, m->activated->key);
	ev.target.error = text_or_null(m->activated->error);
	ev.target.fenced = m->activated->fenced;
	if (!ev.target.error && !ev.target.fenced)
		event_add(g->d, g->name, CORE_INFO, "luns-open", "in %.1f ms", m->activated->open_us / 1000.0);
	shell_feed(g->d, &ev);
}

static void got_deactivated(struct group *g, const Lunward__FromTarget *m)
{
	struct core_event ev = event_of(g, CORE_TARGET_DEACTIVATED);

	qb_log(LOG_INFO, "%s: target is standby: %u tasks drained, %u dropped", g->name, m->deactivated->drained,
	       m->deactivated->dropped);
	shell_feed(g->d, &ev);
}

static void got_fenced(struct group *g, const Lunward__FromTarget *m)
{
	struct core_event ev = event_of(g, CORE_TARGET_FENCED);

	event_add(g->d, g->name, CORE_ERROR, "conflict", "LUN %s answered RESERVATION CONFLICT: %s", m->fenced->lun,
		  m->fenced->detail);
	ev.target.key = key_unpack(g->d, m->fenced->key);
	shell_feed(g->d, &ev);
}

static void got_rekeyed(struct group *g, const Lunward__FromTarget *m)
{
	struct core_event ev = event_of(g, CORE_TARGET_REKEYED);

	ev.target.key = key_unpack(g->d, m->rekeyed->key);
	ev.target.error = m->rekeyed->ok ? NULL : m->rekeyed->error[0] ? m->rekeyed->error : "not re-keyed";
	shell_feed(g->d, &ev);
}

static void got_record(struct group *g, const Lunward__FromTarget *m)
{
	struct core_event ev = event_of(g, CORE_TARGET_RECORD);
	const Lunward__RecordBody *b = m->record_change->record;
	size_t len = b ? lunward__record_body__get_packed_size(b) : 0;
	struct core_body *body = len ? core_body_new(NULL, len) : NULL;

	if (body)
		lunward__record_body__pack(b, body->data);
	ev.target.ticket = m->record_change->ticket;
	ev.target.body = body;
	shell_feed(g->d, &ev);
	core_body_unref(body);
}

static void got_pong(struct group *g, const Lunward__FromTarget *m)
{
	(void)g, (void)m;   /* any message is a sign of life */
}

static void got_first_io(struct group *g, const Lunward__FromTarget *m)
{
	event_add(g->d, g->name, CORE_INFO, m->first_io->login ? "first-login" : "first-io", "%s", m->first_io->initiator);
}

static void got_report(struct group *g, const Lunward__FromTarget *m)
{
	report_arrived(g, m->report);
}

static void (*const GOT[])(struct group *, const Lunward__FromTarget *) = {
	[LUNWARD__FROM_TARGET__MSG_HELLO] = got_hello,
	[LUNWARD__FROM_TARGET__MSG_CONFIGURED] = got_configured,
	[LUNWARD__FROM_TARGET__MSG_ACTIVATED] = got_activated,
	[LUNWARD__FROM_TARGET__MSG_DEACTIVATED] = got_deactivated,
	[LUNWARD__FROM_TARGET__MSG_FENCED] = got_fenced,
	[LUNWARD__FROM_TARGET__MSG_REKEYED] = got_rekeyed,
	[LUNWARD__FROM_TARGET__MSG_RECORD_CHANGE] = got_record,
	[LUNWARD__FROM_TARGET__MSG_PONG] = got_pong,
	[LUNWARD__FROM_TARGET__MSG_FIRST_IO] = got_first_io,
	[LUNWARD__FROM_TARGET__MSG_REPORT] = got_report,
};

static void on_message(void *data, const uint8_t *id, size_t id_len, const uint8_t *msg, size_t len)
{
	struct clusterd *d = data;
	char name[CORE_NAME_MAX];
	Lunward__FromTarget *m;
	struct group *g;

	if (id_len >= sizeof(name) || len == 0)   /* empty: the peer's own probe */
		return;
	snprintf(name, sizeof(name), "%.*s", (int)id_len, (const char *)id);
	m = lunward__from_target__unpack(NULL, len, msg);
	if (!m || !frame_version_ok(LUNWARD_TARGET_PROTO, m->version)) {
		qb_log(LOG_ERR, "%s: message of the target process is not understood (version %u, ours is %u)", name,
		       m ? m->version : 0, LUNWARD_TARGET_PROTO);
	} else if (d->core && (size_t)m->msg_case < ARRAY_SIZE(GOT) && GOT[m->msg_case]) {
		g = shell_group(d, name);
		if (g->target.hello || m->msg_case == LUNWARD__FROM_TARGET__MSG_HELLO) {
			g->target.heard_ns = mono_ns();
			GOT[m->msg_case](g, m);
		}
	}
	if (m)
		lunward__from_target__free_unpacked(m, NULL);
}

int targetlink_start(struct clusterd *d)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" LUNWARD_TARGET_SOCKET, d->run_dir);
	return zsock_router(&d->target_sock, d->loop, d->zmq, path, true, on_message, d);
}
