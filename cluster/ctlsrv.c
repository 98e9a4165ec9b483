/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctlsrv.c - lunwardctl's requests (proto/ctl.proto)
 *
 * Some are answered at once, some when the cluster has done what was asked (group commands, apply), some go on
 * (followed events). A client that has gone away is noticed when something is sent to it.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 60000u

struct waiter {              /* for the result of a group command */
	struct list link;
	struct client who;
	uint64_t cookie, until_ns;
};

struct follower { struct list link; struct client who; };

struct ctlsrv { struct list waiters, followers; };

int ctl_reply(struct clusterd *d, const struct client *c, Lunward__CtlReply *reply)
{
	_cleanup_free_ uint8_t *buf = NULL;
	size_t len;

	reply->version = LUNWARD_CTL_PROTO;
	len = lunward__ctl_reply__get_packed_size(reply);
	buf = malloc(len + 1);
	if (!buf)
		abort();
	lunward__ctl_reply__pack(reply, buf);
	return zsock_send(d->ctl_sock, c->id, c->len, buf, len);
}

int ctl_error(struct clusterd *d, const struct client *c, const char *fmt, ...)
{
	Lunward__CtlReply reply = LUNWARD__CTL_REPLY__INIT;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&reply.error, fmt, ap);
	va_end(ap);
	if (r < 0)
		abort();
	r = ctl_reply(d, c, &reply);
	free(reply.error);
	return r;
}

/* ---- requests: one function each ---- */

static void do_status(struct clusterd *d, const struct client *c, const Lunward__CtlRequest *req)
{
	(void)req;
	report_gather(d, c, LUNWARD__REPORT_REQUEST__WHAT__STATUS, "");
}

static bool known_group(struct clusterd *d, const struct client *c, const char *name)
{
	struct pool p = { 0 };
	char *list;

	if (!name[0] || (d->conf && conf_group_find(d->conf, name)))
		return true;
	list = pool_text(&p, "");
	for (size_t i = 0; d->conf && i < d->conf->n_group; i++)
		list = pool_fmt(&p, "%s%s%s", list, i ? ", " : "", d->conf->group[i].name);
	ctl_error(d, c, "there is no group %s; there is: %s", name, list[0] ? list : "none (no configuration: run lunwardctl "
		  "apply FILE)");
	pool_free(&p);
	return false;
}

static void do_sessions(struct clusterd *d, const struct client *c, const Lunward__CtlRequest *req)
{
	if (known_group(d, c, req->sessions->group))
		report_gather(d, c, LUNWARD__REPORT_REQUEST__WHAT__SESSIONS, req->sessions->group);
}

static void do_reservations(struct clusterd *d, const struct client *c, const Lunward__CtlRequest *req)
{
	if (known_group(d, c, req->reservations->group))
		report_gather(d, c, LUNWARD__REPORT_REQUEST__WHAT__RESERVATIONS, req->reservations->group);
}

static void do_apply(struct clusterd *d, const struct client *c, const Lunward__CtlRequest *req)
{
	apply_start(d, c, req->apply, req->timeout_ms);
}

static void do_config(struct clusterd *d, const struct client *c, const Lunward__CtlRequest *req)
{
	Lunward__CtlReply reply = LUNWARD__CTL_REPLY__INIT;
	Lunward__CtlConfig config = LUNWARD__CTL_CONFIG__INIT;

	(void)req;
	if (!d->yaml) {
		ctl_error(d, c, "%s", d->config_note[0] ? d->config_note : "no configuration: run lunwardctl apply FILE");
		return;
	}
	config.version = d->config_version;
	config.yaml = d->yaml;
	reply.ok = true;
	reply.msg_case = LUNWARD__CTL_REPLY__MSG_CONFIG;
	reply.config = &config;
	ctl_reply(d, c, &reply);
}

static void wait_for(struct clusterd *d, const struct client *c, uint64_t cookie, uint32_t timeout_ms)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->who = *c;
	w->cookie = cookie;
	w->until_ns = mono_ns() + (timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS) * NSEC_PER_MSEC;
	list_add_tail(&d->ctlsrv->waiters, &w->link);
}

static void do_group(struct clusterd *d, const struct client *c, const Lunward__CtlRequest *req)
{
	const Lunward__CtlGroupRequest *g = req->group;
	struct core_event ev = { .type = CORE_EV_ADMIN };
	unsigned to = g->to[0] ? shell_node_id(d, g->to) : 0;

	if (!g->group[0] || g->verb == LUNWARD__CTL_GROUP_REQUEST__VERB__NONE ||
	    (unsigned)g->verb > LUNWARD__CTL_GROUP_REQUEST__VERB__RELEASE) {
		ctl_error(d, c, "a group command needs a group and one of start, stop, move, release");
		return;
	}
	if (!known_group(d, c, g->group))
		return;
	if (!d->core || !corosync_up(d)) {
		ctl_error(d, c, "this node is not part of the cluster now: %s", corosync_note(d));
		return;
	}
	if (g->to[0] && !to) {
		ctl_error(d, c, "there is no node %s in corosync's nodelist", g->to);
		return;
	}
	ev.admin = (struct core_ev_admin){ .cookie = next_cookie(d), .verb = (enum core_verb)g->verb, .group = g->group,
					   .to = (uint8_t)to, .force = g->force };
	wait_for(d, c, ev.admin.cookie, req->timeout_ms);
	shell_feed(d, &ev);
}

static void do_events(struct clusterd *d, const struct client *c, const Lunward__CtlRequest *req)
{
	Lunward__CtlReply reply = LUNWARD__CTL_REPLY__INIT;
	struct pool p = { 0 };
	struct follower *f;

	events_reply(d, &p, &reply, req->events->after, req->events->limit);
	reply.ok = true;
	reply.more = req->events->follow;
	if (ctl_reply(d, c, &reply) == 0 && req->events->follow) {
		f = calloc(1, sizeof(*f));
		if (!f)
			abort();
		f->who = *c;
		list_add_tail(&d->ctlsrv->followers, &f->link);
	}
	pool_free(&p);
}

static void (*const DO[])(struct clusterd *, const struct client *, const Lunward__CtlRequest *) = {
	[LUNWARD__CTL_REQUEST__MSG_STATUS] = do_status,
	[LUNWARD__CTL_REQUEST__MSG_APPLY] = do_apply,
	[LUNWARD__CTL_REQUEST__MSG_CONFIG] = do_config,
	[LUNWARD__CTL_REQUEST__MSG_GROUP] = do_group,
	[LUNWARD__CTL_REQUEST__MSG_SESSIONS] = do_sessions,
	[LUNWARD__CTL_REQUEST__MSG_RESERVATIONS] = do_reservations,
	[LUNWARD__CTL_REQUEST__MSG_EVENTS] = do_events,
};

static void on_request(void *data, const uint8_t *id, size_t id_len, const uint8_t *msg, size_t len)
{
	struct clusterd *d = data;
	Lunward__CtlRequest *req;
	struct client c = { .len = id_len };

	if (id_len > sizeof(c.id) || len == 0)
		return;
	memcpy(c.id, id, id_len);
	req = lunward__ctl_request__unpack(NULL, len, msg);
	if (!req)
		ctl_error(d, &c, "the request is not understood");
	else if (!frame_version_ok(LUNWARD_CTL_PROTO, req->version))
		ctl_error(d, &c, "lunwardctl speaks version %u of the control protocol, lunward-clusterd version %u: use the "
			  "lunwardctl of the same release", req->version, LUNWARD_CTL_PROTO);
	else if ((size_t)req->msg_case < ARRAY_SIZE(DO) && DO[req->msg_case])
		DO[req->msg_case](d, &c, req);
	else
		ctl_error(d, &c, "lunward-clusterd does not know this request: use the lunwardctl of the same release");
	if (req)
		lunward__ctl_request__free_unpacked(req, NULL);
}

/* ---- news for those who wait ---- */

static void waiter_free(struct waiter *w)
{
	list_del(&w->link);
	free(w);
}

void ctlsrv_result(struct clusterd *d, uint64_t cookie, bool ok, bool done, const char *text)
{
	Lunward__CtlReply reply = LUNWARD__CTL_REPLY__INIT;
	struct waiter *w, *tmp;

	reply.ok = ok;
	reply.more = !done;
	if (ok)
		reply.text = (char *)(text ? text : "");
	else
		reply.error = (char *)(text ? text : "");
	list_for_each_safe(w, tmp, &d->ctlsrv->waiters, link)
		if (w->cookie == cookie && (ctl_reply(d, &w->who, &reply) < 0 || done))
			waiter_free(w);
}

void ctlsrv_event(struct clusterd *d, const struct event *e)
{
	Lunward__CtlReply reply = LUNWARD__CTL_REPLY__INIT;
	Lunward__CtlEvents list = LUNWARD__CTL_EVENTS__INIT;
	Lunward__CtlEvent *one;
	struct pool p = { 0 };
	struct follower *f, *tmp;

	if (list_empty(&d->ctlsrv->followers))
		return;
	one = event_message(&p, e);
	list.events = &one;
	list.n_events = 1;
	reply.ok = reply.more = true;
	reply.msg_case = LUNWARD__CTL_REPLY__MSG_EVENTS;
	reply.events = &list;
	list_for_each_safe(f, tmp, &d->ctlsrv->followers, link)
		if (ctl_reply(d, &f->who, &reply) < 0) {
			list_del(&f->link);
			free(f);
		}
	pool_free(&p);
}

void ctlsrv_tick(struct clusterd *d)
{
	uint64_t now = mono_ns();
	struct waiter *w, *tmp;

	list_for_each_safe(w, tmp, &d->ctlsrv->waiters, link)
		if (now > w->until_ns) {
			ctl_error(d, &w->who, "not done in time; it goes on: see lunwardctl status");
			waiter_free(w);
		}
}

int ctlsrv_start(struct clusterd *d)
{
	char path[PATH_MAX];

	d->ctlsrv = calloc(1, sizeof(*d->ctlsrv));
	if (!d->ctlsrv)
		return -ENOMEM;
	list_init(&d->ctlsrv->waiters);
	list_init(&d->ctlsrv->followers);
	snprintf(path, sizeof(path), "%s/" LUNWARD_CTL_SOCKET, d->run_dir);
	return zsock_router(&d->ctl_sock, d->loop, d->zmq, path, false, on_request, d);
}

void ctlsrv_stop(struct clusterd *d)
{
	struct waiter *w, *wtmp;
	struct follower *f, *ftmp;

	if (!d->ctlsrv)
		return;
	list_for_each_safe(w, wtmp, &d->ctlsrv->waiters, link)
		waiter_free(w);
	list_for_each_safe(f, ftmp, &d->ctlsrv->followers, link) {
		list_del(&f->link);
		free(f);
	}
	free(d->ctlsrv);
	d->ctlsrv = NULL;
	zsock_close(d->ctl_sock);
	d->ctl_sock = NULL;
}
