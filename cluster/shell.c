/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shell.c - events in, actions out
 *
 * Theory of operation. shell_feed() gives the core one event, carries out the actions it answers in their order,
 * and arms one timer for the core's next deadline. An action may have its result at once (an address that could not
 * be added, a process that could not be started): such a result waits in `late` until all actions of the step are
 * carried out, since they are the core's memory. So the core sees one event after the other, whoever calls.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <string.h>

#include <qb/qblog.h>

struct late {
	struct list link;
	struct core_event ev;
	char group[CORE_NAME_MAX];
	char error[CORE_TEXT_MAX];
	bool has_error;
};

/* ---- small lookups ---- */

struct group *shell_group_find(struct clusterd *d, const char *name)
{
	struct group *g;

	list_for_each(g, &d->groups, link)
		if (!strcmp(g->name, name))
			return g;
	return NULL;
}

struct group *shell_group(struct clusterd *d, const char *name)
{
	struct group *g = shell_group_find(d, name);

	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		abort();
	g->d = d;
	snprintf(g->name, sizeof(g->name), "%s", name);
	list_init(&g->portals);
	list_init(&g->fences);
	process_init(&g->target);
	list_add_tail(&d->groups, &g->link);
	return g;
}

bool shell_group_view(const struct clusterd *d, const char *name, struct core_group_view *ret)
{
	for (unsigned i = 0; d->core && core_group(d->core, i, ret); i++)
		if (!strcmp(ret->name, name))
			return true;
	return false;
}

const char *shell_node_name(const struct clusterd *d, unsigned id, char buf[CORE_NAME_MAX])
{
	const struct nodelist_node *n = nodelist_find(&d->nodes, id);

	if (n)
		snprintf(buf, CORE_NAME_MAX, "%.*s", CORE_NAME_MAX - 1, n->name);
	else
		snprintf(buf, CORE_NAME_MAX, "node %u", id);
	return buf;
}

unsigned shell_node_id(const struct clusterd *d, const char *name)
{
	for (size_t i = 0; i < d->nodes.n; i++)
		if (!strcmp(d->nodes.node[i].name, name))
			return d->nodes.node[i].id <= NODE_ID_MAX ? d->nodes.node[i].id : 0;
	return 0;
}

static uint16_t tag(const struct clusterd *d)
{
	return d->conf ? fence_cluster_tag(d->conf->cluster) : 0;
}

uint64_t key_pack(const struct clusterd *d, struct core_key k)
{
	return k.epoch ? fence_key_make(tag(d), k.node, k.epoch) : 0;
}

struct core_key key_unpack(const struct clusterd *d, uint64_t key)
{
	if (!fence_key_epoch(key) || fence_key_is_foreign(key, tag(d)))
		return (struct core_key){ 0 };
	return (struct core_key){ .node = (uint8_t)fence_key_node(key), .epoch = fence_key_epoch(key) };
}

uint64_t next_cookie(struct clusterd *d)
{
	static uint32_t counter;

	return (uint64_t)d->self << 56 | (uint64_t)(d->incarnation & 0xffffff) << 32 | ++counter;
}

/* ---- actions ---- */

static void act_send(struct clusterd *d, const struct core_action *a)
{
	size_t len;
	uint8_t *buf = wire_pack_core(&a->msg, d->config_hash, &len);

	corosync_send(d, buf, len);
}

static void act_target_start(struct clusterd *d, const struct core_action *a) { process_start(shell_group(d, a->group)); }
static void act_target_kill(struct clusterd *d, const struct core_action *a) { process_kill(shell_group(d, a->group)); }
static void act_stop(struct clusterd *d, const struct core_action *a) { targetlink_stop(shell_group(d, a->group)); }
static void act_configure(struct clusterd *d, const struct core_action *a) { targetlink_configure(shell_group(d, a->group)); }
static void act_activate(struct clusterd *d, const struct core_action *a) { targetlink_activate(shell_group(d, a->group), a); }
static void act_deactivate(struct clusterd *d, const struct core_action *a) { targetlink_deactivate(shell_group(d, a->group), a); }
static void act_rekey(struct clusterd *d, const struct core_action *a) { targetlink_rekey(shell_group(d, a->group), a); }
static void act_committed(struct clusterd *d, const struct core_action *a) { targetlink_committed(shell_group(d, a->group), a); }

static void act_address_up(struct clusterd *d, const struct core_action *a)
{
	portals_up(shell_group(d, a->group), a->address.announce, a->address.body);
}

static void act_address_down(struct clusterd *d, const struct core_action *a)
{
	portals_down(shell_group(d, a->group));
}

static void act_result(struct clusterd *d, const struct core_action *a)
{
	ctlsrv_result(d, a->result.cookie, a->result.ok, a->result.done, a->result.text);
}

static void act_event(struct clusterd *d, const struct core_action *a)
{
	event_add(d, a->group, a->event.severity, a->event.kind, "%s", a->event.text);
}

static void act_exit(struct clusterd *d, const struct core_action *a)
{
	(void)a;
	d->exiting = true;
	qb_loop_stop(d->loop);
}

static void (*const ACT[])(struct clusterd *, const struct core_action *) = {
	[CORE_ACT_SEND] = act_send,
	[CORE_ACT_STORE] = records_store,
	[CORE_ACT_FENCE] = fences_submit,
	[CORE_ACT_TARGET_START] = act_target_start,
	[CORE_ACT_TARGET_CONFIGURE] = act_configure,
	[CORE_ACT_TARGET_ACTIVATE] = act_activate,
	[CORE_ACT_TARGET_DEACTIVATE] = act_deactivate,
	[CORE_ACT_TARGET_REKEY] = act_rekey,
	[CORE_ACT_TARGET_COMMITTED] = act_committed,
	[CORE_ACT_TARGET_KILL] = act_target_kill,
	[CORE_ACT_TARGET_STOP] = act_stop,
	[CORE_ACT_ADDRESS_UP] = act_address_up,
	[CORE_ACT_ADDRESS_DOWN] = act_address_down,
	[CORE_ACT_ADMIN_RESULT] = act_result,
	[CORE_ACT_EVENT] = act_event,
	[CORE_ACT_EXIT] = act_exit,
};

/* ---- events ---- */

/* The text fields of an event that may come late; others must not be fed from within an action. */
static const char **late_group(struct core_event *ev, const char ***ret_error)
{
	switch (ev->type) {
	case CORE_EV_FENCED_OP:
		*ret_error = &ev->fence.error;
		return &ev->fence.group;
	case CORE_EV_STORED:
		*ret_error = &ev->stored.error;
		return &ev->stored.group;
	case CORE_EV_TARGET:
		*ret_error = &ev->target.error;
		return &ev->target.group;
	case CORE_EV_ADDRESS:
		*ret_error = &ev->address.error;
		return &ev->address.group;
	default:
		abort();
	}
}

static void feed_later(struct clusterd *d, struct core_event *ev)
{
	struct late *l = calloc(1, sizeof(*l));
	const char **error, **group;

	if (!l)
		abort();
	l->ev = *ev;
	group = late_group(&l->ev, &error);
	snprintf(l->group, sizeof(l->group), "%s", *group);
	*group = l->group;
	if (*error) {
		snprintf(l->error, sizeof(l->error), "%s", *error);
		*error = l->error;
	}
	list_add_tail(&d->late, &l->link);
}

static void step(struct clusterd *d, struct core_event *ev)
{
	struct core_actions acts;

	ev->now = mono_ns() / NSEC_PER_MSEC;
	acts = core_step(d->core, ev);
	for (unsigned i = 0; i < acts.n; i++)
		ACT[acts.v[i].type](d, &acts.v[i]);
}

static void on_tick(void *data)
{
	struct clusterd *d = data;
	struct core_event ev = { .type = CORE_EV_TICK };

	d->tick = 0;
	d->tick_at = CORE_NEVER;
	shell_feed(d, &ev);
}

static void arm(struct clusterd *d)
{
	uint64_t at = core_deadline(d->core), now = mono_ns();

	if (at == d->tick_at)
		return;
	qb_loop_timer_del(d->loop, d->tick);
	d->tick = 0;
	d->tick_at = at;
	if (at == CORE_NEVER)
		return;
	at *= NSEC_PER_MSEC;
	qb_loop_timer_add(d->loop, QB_LOOP_MED, at > now ? at - now : 0, d, on_tick, &d->tick);
}

void shell_feed(struct clusterd *d, struct core_event *ev)
{
	struct late *l;

	if (!d->core)
		return;
	if (d->feeding) {
		feed_later(d, ev);
		return;
	}
	d->feeding = true;
	step(d, ev);
	while ((l = list_first(&d->late, struct late, link))) {
		list_del(&l->link);
		step(d, &l->ev);
		free(l);
	}
	d->feeding = false;
	arm(d);
}

static struct core_options options(const struct clusterd *d)
{
	struct conf_options o = d->conf ? d->conf->opt : conf_default_options();

	return (struct core_options){
		.window_ms = o.challenge_window_ms,
		.grace_ms = o.clusterd_grace_ms,
		.drain_ms = o.drain_timeout_ms,
	};
}

void shell_start_core(struct clusterd *d)
{
	struct core_start start = { .self = d->self, .options = options(d) };
	struct core_stored_record *records;
	struct core_conf *conf = config_core(d);
	unsigned n;
	struct group *g;

	records = records_load(d, &n);
	start.conf = *conf;
	start.records = records;
	start.n_records = n;
	d->tick_at = CORE_NEVER;
	d->core = core_new(&start, mono_ns() / NSEC_PER_MSEC);
	config_core_free(conf);
	records_unload(records, n);
	arm(d);
	list_for_each(g, &d->groups, link) {
		fences_configure(g, d->conf ? conf_group_find(d->conf, g->name) : NULL);   /* now that we have a name */
		process_resume(g);
	}
	/* only now: a target that outlived us says Hello as soon as there is a socket */
	if (targetlink_start(d) < 0) {
		qb_log(LOG_ERR, "cannot listen on %s/" LUNWARD_TARGET_SOCKET ": %s", d->run_dir, strerror(errno));
		d->exit_code = 1;
		qb_loop_stop(d->loop);
	}
}
