/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply.c - `lunwardctl apply`, on the node where it was asked for
 *
 * The document is checked here first. Then every member is asked whether it could take it (PREPARE), then told to
 * (COMMIT); only when all have stored it the administrator is told so. It needs every node that the old or the new
 * document names: a node that is away would come back with the old one. --force goes on without those, and without
 * what is missing on a node. One change at a time.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define PHASE_TIMEOUT_MS 15000u

struct applying {
	struct clusterd *d;
	struct client who;
	struct conf *conf;
	char *yaml, *name;
	bool force, dry_run;
	uint64_t version, cookie;
	Lunward__ConfigPush__Phase phase;
	bool waiting[NODE_ID_MAX + 1];
	char *changes;              /* what it changes, in words */
	char *errors;               /* what nodes said against it */
	qb_loop_timer_handle timer;
};

static void finish(struct applying *a)
{
	a->d->applying = NULL;
	qb_loop_timer_del(a->d->loop, a->timer);
	conf_free(a->conf);
	free(a->yaml);
	free(a->name);
	free(a->changes);
	free(a->errors);
	free(a);
}

void apply_cancel(struct clusterd *d)
{
	if (d->applying)
		finish(d->applying);
}

__attribute__((format(printf, 2, 3)))
static void complain(struct applying *a, const char *fmt, ...)
{
	char *more = NULL, *line = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0 || asprintf(&more, "%s%s%s", a->errors ? a->errors : "", a->errors ? "\n" : "", line) < 0)
		abort();
	free(line);
	free(a->errors);
	a->errors = more;
}

/* ---- what changes, in words ---- */

static char *describe(const struct conf *old, const struct conf *new)
{
	struct conf_diff diff = { 0 };
	struct pool pool = { 0 }, *p = &pool;
	char *text = pool_text(p, ""), *copy;

	if (conf_diff(old, new, &diff) < 0)
		abort();
	for (size_t i = 0; i < diff.n; i++)
		text = pool_fmt(p, "%s%s%s", text, i ? "\n" : "", diff.v[i].text);
	if (!diff.n)
		text = pool_text(p, "nothing changes");
	conf_diff_free(&diff);
	copy = strdup(text);
	pool_free(p);
	return copy;
}

static void succeed(struct applying *a)
{
	Lunward__CtlReply reply = LUNWARD__CTL_REPLY__INIT;
	struct pool p = { 0 };
	size_t n = 0;

	for (unsigned i = 1; i <= NODE_ID_MAX; i++)
		n += a->d->peer[i].live;
	reply.ok = true;
	if (a->dry_run)
		reply.text = pool_fmt(&p, "%s\nvalid on %zu nodes; nothing was changed (dry run)", a->changes, n);
	else
		reply.text = pool_fmt(&p, "%s\nconfiguration %llu is stored on %zu nodes and in force", a->changes,
				      (unsigned long long)a->version, n);
	ctl_reply(a->d, &a->who, &reply);
	pool_free(&p);
	finish(a);
}

static void fail(struct applying *a)
{
	ctl_error(a->d, &a->who, "%s\n%s", a->errors, a->phase == LUNWARD__CONFIG_PUSH__PHASE__PREPARE ?
		  "nothing was changed" : "the other nodes have stored it; these take it over when they are back in step");
	finish(a);
}

/* ---- phases ---- */

static void on_timeout(void *data)
{
	struct applying *a = data;
	char name[CORE_NAME_MAX];

	a->timer = 0;
	for (unsigned i = 1; i <= NODE_ID_MAX; i++)
		if (a->waiting[i])
			complain(a, "%s does not answer", shell_node_name(a->d, i, name));
	fail(a);
}

static void send_phase(struct applying *a, Lunward__ConfigPush__Phase phase)
{
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	Lunward__ConfigPush m = LUNWARD__CONFIG_PUSH__INIT;

	a->phase = phase;
	a->cookie = next_cookie(a->d);
	for (unsigned i = 1; i <= NODE_ID_MAX; i++)
		a->waiting[i] = a->d->peer[i].live && !a->d->peer[i].refused[0];
	m.phase = phase;
	m.version = a->version;
	m.yaml = a->yaml;
	m.name = a->name;
	m.force = a->force;
	m.cookie = a->cookie;
	m.requester = a->d->self;
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_CONFIG_PUSH;
	pb.config_push = &m;
	qb_loop_timer_del(a->d->loop, a->timer);
	a->timer = 0;
	qb_loop_timer_add(a->d->loop, QB_LOOP_MED, PHASE_TIMEOUT_MS * NSEC_PER_MSEC, a, on_timeout, &a->timer);
	corosync_send_pb(a->d, &pb);
}

static void proceed(struct applying *a)
{
	for (unsigned i = 1; i <= NODE_ID_MAX; i++)
		if (a->waiting[i])
			return;
	if (a->errors)
		fail(a);
	else if (a->phase == LUNWARD__CONFIG_PUSH__PHASE__PREPARE && !a->dry_run)
		send_phase(a, LUNWARD__CONFIG_PUSH__PHASE__COMMIT);
	else
		succeed(a);
}

void apply_ack(struct clusterd *d, uint8_t from, const Lunward__ConfigAck *m)
{
	struct applying *a = d->applying;
	char name[CORE_NAME_MAX];

	if (!a || m->requester != d->self || m->cookie != a->cookie || !a->waiting[from])
		return;
	a->waiting[from] = false;
	if (!m->ok)
		complain(a, "on %s: %s", shell_node_name(d, from, name), m->error);
	proceed(a);
}

void apply_members_changed(struct clusterd *d)
{
	struct applying *a = d->applying;
	char name[CORE_NAME_MAX];

	if (!a)
		return;
	for (unsigned i = 1; i <= NODE_ID_MAX; i++)
		if (a->waiting[i] && !d->peer[i].live) {
			a->waiting[i] = false;
			if (!a->force)
				complain(a, "%s went away meanwhile", shell_node_name(d, i, name));
		}
	proceed(a);
}

/* ---- beginning ---- */

/* Every node that a document names must be here. Return: names of those that are not, in @p */
static char *absent(struct clusterd *d, struct pool *p, const struct conf *conf, char *list)
{
	for (size_t i = 0; conf && i < conf->n_node; i++) {
		unsigned id = shell_node_id(d, conf->node[i]);

		if (!(id && d->peer[id].live) && !strstr(list, conf->node[i]))
			list = pool_fmt(p, "%s%s%s", list, list[0] ? ", " : "", conf->node[i]);
	}
	return list;
}

/* Return: why not, in @p; NULL: go on */
static const char *refusal(struct applying *a, struct pool *p)
{
	struct clusterd *d = a->d;
	char *list = absent(d, p, d->conf, absent(d, p, a->conf, pool_text(p, "")));

	for (size_t i = 0; i < a->conf->n_node; i++)
		if (!shell_node_id(d, a->conf->node[i]) && !a->force)
			return pool_fmt(p, "node %s is not in corosync's nodelist, or its id is not one of 1 to %u: add it to "
					"corosync.conf on all nodes (name and nodeid), then apply again", a->conf->node[i],
					NODE_ID_MAX);
	if (list[0] && !a->force)
		return pool_fmt(p, "not every configured node is here; away: %s. A change needs all of them, or they would come "
				"back with the old configuration. Start them, or use --force", list);
	if (d->conf && strcmp(d->conf->cluster, a->conf->cluster) && d->conf->n_group && !a->force)
		return pool_fmt(p, "the cluster's name is part of every reservation key and disk identity: it cannot change from "
				"%s to %s while there are groups", d->conf->cluster, a->conf->cluster);
	return NULL;
}

void apply_start(struct clusterd *d, const struct client *who, const Lunward__CtlApplyRequest *req, uint32_t timeout_ms)
{
	_cleanup_diags_ struct conf_diags diags = CONF_DIAGS_INIT;
	_cleanup_free_ char *text = NULL;
	struct pool p = { 0 };
	struct applying *a;
	struct conf *conf;
	const char *why;

	(void)timeout_ms;
	if (!corosync_up(d)) {
		ctl_error(d, who, "this node is not part of the cluster now: %s", corosync_note(d));
		return;
	}
	if (d->applying) {
		ctl_error(d, who, "another configuration is being applied right now: try again");
		return;
	}
	if (conf_parse(req->yaml, strlen(req->yaml), req->name, CONF_CLUSTER, &conf, &diags) < 0) {
		text = conf_diags_text(&diags);
		ctl_error(d, who, "%s", text ? text : "out of memory");
		return;
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		abort();
	*a = (struct applying){ .d = d, .who = *who, .conf = conf, .yaml = strdup(req->yaml), .name = strdup(req->name),
				.force = req->force, .dry_run = req->dry_run, .version = d->config_version + 1,
				.changes = describe(d->conf, conf) };
	d->applying = a;
	why = refusal(a, &p);
	if (why) {
		ctl_error(d, who, "%s", why);
		finish(a);
	} else {
		send_phase(a, LUNWARD__CONFIG_PUSH__PHASE__PREPARE);
	}
	pool_free(&p);
}
