/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * member.c - a target process in a cluster: does what clusterd says, one group (proto/target.proto)
 *
 * clusterd may die and come back at any time: an active group goes on serving, what needs a commit waits, and the new
 * clusterd learns by Hello what there is. Everything else is clusterd's to decide.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <qb/qblog.h>

#include "node/link.h"
#include "proto/frame.h"

struct member {
	struct control ctl;
	const char *name;
	struct link *link;
	Lunward__Configure *next;    /* came while the one before was being applied */
	uint64_t version;            /* of the configuration in force */
	uint64_t applying;           /* of the one on its way */
	Lunward__Activate *activate; /* waits until what was before is dropped */
	uint8_t *body;               /* of the commit in flight, packed: a new clusterd gets it again */
	size_t body_len;
};

static struct member *member_of(struct control *ctl)
{
	return container_of(ctl, struct member, ctl);
}

static struct group *our_group(struct member *m)
{
	return group_find(&m->ctl, m->name);
}

#define SEND(m_, name_, NAME, body_) do { \
	Lunward__FromTarget from_ = LUNWARD__FROM_TARGET__INIT; \
	from_.msg_case = LUNWARD__FROM_TARGET__MSG_##NAME; \
	from_.name_ = (body_); \
	link_send((m_)->link, &from_); \
} while (0)

/* ---- hello, state ---- */

static Lunward__TargetState wire_state(const struct group *g)
{
	static const Lunward__TargetState states[] = {
		[GROUP_STANDBY] = LUNWARD__TARGET_STATE__TARGET_STANDBY,
		[GROUP_ACTIVATING] = LUNWARD__TARGET_STATE__TARGET_ACTIVATING,
		[GROUP_ACTIVE] = LUNWARD__TARGET_STATE__TARGET_ACTIVE,
		[GROUP_QUIESCING] = LUNWARD__TARGET_STATE__TARGET_QUIESCING,
		[GROUP_DRAINED] = LUNWARD__TARGET_STATE__TARGET_QUIESCING,
		[GROUP_DROPPING] = LUNWARD__TARGET_STATE__TARGET_QUIESCING,
		[GROUP_FENCED] = LUNWARD__TARGET_STATE__TARGET_FENCED,
	};

	return g ? states[g->state] : LUNWARD__TARGET_STATE__TARGET_STANDBY;
}

static void send_record(struct member *m)
{
	Lunward__RecordChange c = LUNWARD__RECORD_CHANGE__INIT;
	Lunward__RecordBody *body = lunward__record_body__unpack(NULL, m->body_len, m->body);

	if (!body)
		return;
	c.ticket = m->ctl.ticket;
	c.record = body;
	SEND(m, record_change, RECORD_CHANGE, &c);
	record_free(body);
}

static void met(struct control *ctl)
{
	struct member *m = member_of(ctl);
	struct group *g = our_group(m);
	Lunward__Hello h = LUNWARD__HELLO__INIT;

	h.group = (char *)m->name;
	h.pid = getpid();
	h.state = wire_state(g);
	h.key = g && g->state == GROUP_ACTIVE ? g->key : 0;
	h.config_version = m->version;
	qb_log(LOG_INFO, "clusterd is there: we are %s", g ? group_state_name(g->state) : "not configured yet");
	SEND(m, hello, HELLO, &h);
	if (ctl->committing)
		send_record(m);
}

/* ---- configuration ---- */

static void configured(struct member *m, uint64_t version, const char *error)
{
	Lunward__Configured c = LUNWARD__CONFIGURED__INIT;
	Lunward__ListenFd fds[64], *v[64];
	struct group *g = our_group(m);
	struct listener *l;

	c.version = version;
	c.error = (char *)(error ? error : "");
	c.listeners = v;
	if (error)
		qb_log(LOG_ERR, "configuration %llu is refused: %s", (unsigned long long)version, error);
	else if (g)
		list_for_each(l, &g->listeners, link) {
			if (c.n_listeners == ARRAY_SIZE(fds))
				break;
			lunward__listen_fd__init(&fds[c.n_listeners]);
			fds[c.n_listeners].portal = l->text;
			fds[c.n_listeners].fd = l->fd;
			v[c.n_listeners] = &fds[c.n_listeners];
			c.n_listeners++;
		}
	SEND(m, configured, CONFIGURED, &c);
}

static void configure(struct member *m, const Lunward__Configure *c);

static void on_applied(struct control *ctl)
{
	struct member *m = member_of(ctl);
	Lunward__Configure *next = m->next;

	m->version = m->applying;
	configured(m, m->version, NULL);
	m->next = NULL;
	if (next) {
		configure(m, next);
		lunward__configure__free_unpacked(next, NULL);
	}
}

static Lunward__Configure *copy_configure(const Lunward__Configure *c)
{
	size_t n = lunward__configure__get_packed_size(c);
	_cleanup_free_ uint8_t *buf = malloc(n + 1);

	if (!buf)
		return NULL;
	lunward__configure__pack(c, buf);
	return lunward__configure__unpack(NULL, n, buf);
}

static void configure(struct member *m, const Lunward__Configure *c)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_free_ char *text = NULL;
	struct conf *conf = NULL;
	char err[400];

	if (m->ctl.applying) {
		if (m->next)
			lunward__configure__free_unpacked(m->next, NULL);
		m->next = copy_configure(c);
		return;
	}
	if (conf_parse(c->yaml, strlen(c->yaml), "configuration", CONF_CLUSTER, &conf, &d)) {
		text = conf_diags_text(&d);
		configured(m, c->version, text ? text : "out of memory");
		return;
	}
	if (!conf_group_find(conf, m->name)) {
		conf_free(conf);
		configured(m, c->version, "it does not have our group");
		return;
	}
	snprintf(m->ctl.initiator, sizeof(m->ctl.initiator), "%s", c->initiator);
	m->applying = c->version;
	if (control_apply(&m->ctl, conf, on_applied, err, sizeof(err)))
		configured(m, c->version, err);
}

static void got_configure(struct member *m, const Lunward__ToTarget *t)
{
	configure(m, t->configure);
}

/* ---- activate, deactivate, rekey ---- */

static void activated(struct group *g, uint64_t key, const char *err)
{
	Lunward__Activated a = LUNWARD__ACTIVATED__INIT;

	a.key = key;
	a.error = (char *)(err ? err : "");
	a.fenced = err && !strcmp(err, "fenced");
	if (g)
		a.open_us = (uint32_t)(ring_clock_us() - g->began_us);
	if (err)
		qb_log(LOG_ERR, "not activated: %s", err);
	SEND(member_of(g->ctl), activated, ACTIVATED, &a);
}

static void on_active(struct group *g, void *arg, const char *err)
{
	(void)arg;
	activated(g, g->key, err);
}

static void activate(struct group *g, const Lunward__Activate *a)
{
	Lunward__RecordBody none = LUNWARD__RECORD_BODY__INIT;
	char err[200];

	if (record_load(g, a->record ? a->record : &none, a->cold, err, sizeof(err)))
		activated(g, a->key, err);
	else
		group_activate(g, a->key, on_active, NULL);
}

static void on_clean(struct group *g, void *arg, const char *err)
{
	struct member *m = arg;
	Lunward__Activate *a = m->activate;

	m->activate = NULL;
	if (a && !err)
		activate(g, a);
	if (a)
		lunward__activate__free_unpacked(a, NULL);
}

static void got_activate(struct member *m, const Lunward__ToTarget *t)
{
	struct group *g = our_group(m);
	Lunward__Activated no = LUNWARD__ACTIVATED__INIT;

	if (!g || !g->wanted) {
		no.key = t->activate->key;
		no.error = (char *)"the group is not configured";
		SEND(m, activated, ACTIVATED, &no);
		return;
	}
	if (g->state == GROUP_STANDBY) {
		activate(g, t->activate);
		return;
	}
	/* something is left of before: it has to be gone first */
	if (m->activate)
		lunward__activate__free_unpacked(m->activate, NULL);
	m->activate = t->activate;
	((Lunward__ToTarget *)t)->activate = NULL;  /* ours now */
	group_drop(g, on_clean, m);
}

static void on_inactive(struct group *g, void *arg, const char *err)
{
	struct member *m = arg;
	Lunward__Deactivated d = LUNWARD__DEACTIVATED__INIT;

	if (err)
		return;  /* overtaken: the one that overtook it answers */
	d.drained = g->drained;
	d.dropped = g->dropped;
	SEND(m, deactivated, DEACTIVATED, &d);
}

static void got_deactivate(struct member *m, const Lunward__ToTarget *t)
{
	struct group *g = our_group(m);
	Lunward__Deactivated d = LUNWARD__DEACTIVATED__INIT;

	if (!g)
		SEND(m, deactivated, DEACTIVATED, &d);
	else if (t->deactivate->drain && g->state == GROUP_ACTIVE)
		group_drain(g, t->deactivate->timeout_ms, on_inactive, m);
	else
		group_drop(g, on_inactive, m);
}

static void on_rekeyed(struct group *g, void *arg, const char *err)
{
	Lunward__Rekeyed r = LUNWARD__REKEYED__INIT;

	r.key = g->key;
	r.ok = !err;
	r.error = (char *)(err ? err : "");
	SEND((struct member *)arg, rekeyed, REKEYED, &r);
}

static void got_rekey(struct member *m, const Lunward__ToTarget *t)
{
	struct group *g = our_group(m);
	Lunward__Rekeyed no = LUNWARD__REKEYED__INIT;

	if (g && g->state == GROUP_ACTIVE) {
		group_rekey(g, t->rekey->old_key, t->rekey->new_key, on_rekeyed, m);
		return;
	}
	no.key = t->rekey->new_key;
	no.error = (char *)"the group is not active here";
	SEND(m, rekeyed, REKEYED, &no);
}

/* ---- the rest ---- */

static void got_committed(struct member *m, const Lunward__ToTarget *t)
{
	commit_result(&m->ctl, t->record_committed->ticket, t->record_committed->ok);
}

static void got_ping(struct member *m, const Lunward__ToTarget *t)
{
	Lunward__Pong p = LUNWARD__PONG__INIT;

	p.cookie = t->ping->cookie;
	SEND(m, pong, PONG, &p);
}

static void reported(struct group *g, Lunward__TargetReport *r)
{
	r->state = wire_state(g);
	SEND(member_of(g->ctl), report, REPORT, r);
}

static void got_query(struct member *m, const Lunward__ToTarget *t)
{
	struct group *g = our_group(m);
	Lunward__TargetReport none = LUNWARD__TARGET_REPORT__INIT;

	if (g) {
		report_make(g, t->query->cookie, reported);
		return;
	}
	none.cookie = t->query->cookie;
	none.state = LUNWARD__TARGET_STATE__TARGET_STANDBY;
	SEND(m, report, REPORT, &none);
}

/* Without a word to anybody: the address may be somebody else's already. */
static void stop(struct member *m)
{
	if (m->ctl.stopping)
		qb_loop_stop(m->ctl.loop);
	else
		control_down(&m->ctl);
}

static void got_stop(struct member *m, const Lunward__ToTarget *t)
{
	(void)t;
	stop(m);
}

static int32_t on_signal(int32_t sig, void *data)
{
	(void)sig;
	stop(data);
	return 0;
}

static void (*const handlers[])(struct member *m, const Lunward__ToTarget *t) = {
	[LUNWARD__TO_TARGET__MSG_CONFIGURE] = got_configure,
	[LUNWARD__TO_TARGET__MSG_ACTIVATE] = got_activate,
	[LUNWARD__TO_TARGET__MSG_DEACTIVATE] = got_deactivate,
	[LUNWARD__TO_TARGET__MSG_REKEY] = got_rekey,
	[LUNWARD__TO_TARGET__MSG_RECORD_COMMITTED] = got_committed,
	[LUNWARD__TO_TARGET__MSG_PING] = got_ping,
	[LUNWARD__TO_TARGET__MSG_QUERY] = got_query,
	[LUNWARD__TO_TARGET__MSG_STOP] = got_stop,
};

static void got(struct control *ctl, const Lunward__ToTarget *t)
{
	if ((size_t)t->msg_case < ARRAY_SIZE(handlers) && handlers[t->msg_case])
		handlers[t->msg_case](member_of(ctl), t);
	else
		qb_log(LOG_WARNING, "clusterd sent a message of type %d, which we do not know", (int)t->msg_case);
}

/* ---- what the control thread has to say ---- */

static int store(struct control *ctl, struct group *g, uint64_t ticket, const Lunward__RecordBody *body)
{
	struct member *m = member_of(ctl);

	(void)g, (void)ticket;
	free(m->body);
	m->body_len = lunward__record_body__get_packed_size(body);
	m->body = malloc(m->body_len + 1);
	if (!m->body)
		return -1;
	lunward__record_body__pack(body, m->body);
	send_record(m);
	return 1;
}

static void on_fenced(struct group *g, const char *lun, const char *detail)
{
	Lunward__Fenced f = LUNWARD__FENCED__INIT;

	f.key = g->key;
	f.lun = (char *)lun;
	f.detail = (char *)detail;
	SEND(member_of(g->ctl), fenced, FENCED, &f);
}

static void on_first(struct group *g, const char *initiator, bool login)
{
	Lunward__FirstIo f = LUNWARD__FIRST_IO__INIT;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	f.initiator = (char *)initiator;
	f.at_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	f.login = login;
	SEND(member_of(g->ctl), first_io, FIRST_IO, &f);
}

int member_run(const char *name, unsigned n_reactors)
{
	static struct member m;
	const char *dir = getenv("LUNWARD_RUN_DIR");
	char path[256];

	m = (struct member){ .name = name };
	m.ctl.cluster = true;
	m.ctl.only = name;
	m.ctl.store = store;
	m.ctl.on_fenced = on_fenced;
	m.ctl.on_first = on_first;
	if (control_init(&m.ctl, n_reactors))
		return 1;
	qb_loop_signal_add(m.ctl.loop, QB_LOOP_HIGH, SIGTERM, &m, on_signal, NULL);
	qb_loop_signal_add(m.ctl.loop, QB_LOOP_HIGH, SIGINT, &m, on_signal, NULL);
	listen_inherit(&m.ctl);
	snprintf(path, sizeof(path), "%s/" LUNWARD_TARGET_SOCKET, dir ? dir : LUNWARD_RUN_DIR);
	m.link = link_open(&m.ctl, path, name, met, got);
	if (m.link)
		qb_loop_run(m.ctl.loop);
	else
		m.ctl.exit_status = 1;
	link_end(m.link);
	control_fini(&m.ctl);
	link_close(m.link);
	if (m.next)
		lunward__configure__free_unpacked(m.next, NULL);
	if (m.activate)
		lunward__activate__free_unpacked(m.activate, NULL);
	free(m.body);
	return m.ctl.exit_status;
}
