/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * group.c - a group of targets: activation, drain, drop, fencing
 *
 * Each is a chain of calls to all reactors; LUNs are opened and closed all at once, so that the time does not grow with
 * their number. A chain that was overtaken (fenced or dropped while activating) sees that g->chain has changed, and ends.
 */
#include <errno.h>
#include <string.h>

#include <qb/qblog.h>

#include "node/node.h"

#define RETRY_NS (2ull * 1000000000)

static const char *const state_names[] = {
	[GROUP_STANDBY] = "standby",     [GROUP_ACTIVATING] = "activating", [GROUP_ACTIVE] = "active",
	[GROUP_QUIESCING] = "quiescing", [GROUP_DRAINED] = "drained",       [GROUP_DROPPING] = "dropping",
	[GROUP_FENCED] = "fenced",
};
_Static_assert(ARRAY_SIZE(state_names) == GROUP_FENCED + 1, "a name for each state");

static void retry_later(struct group *g);

const char *group_state_name(enum group_state s)
{
	return state_names[s];
}

static void set_state(struct group *g, enum group_state s)
{
	if (g->state != s)
		qb_log(LOG_INFO, "group %s: %s -> %s", g->name, state_names[g->state], state_names[s]);
	g->state = s;
}

struct group *group_find(struct control *ctl, const char *name)
{
	struct group *g;

	list_for_each(g, &ctl->groups, link)
		if (!strcmp(g->name, name))
			return g;
	return NULL;
}

struct group *group_new(struct control *ctl, const char *name)
{
	struct group *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->ctl = ctl;
	list_init(&g->listeners);
	list_init(&g->dirty);
	list_add_tail(&ctl->groups, &g->link);
	return g;
}

static void cancel_timer(struct group *g)
{
	if (g->timer)
		qb_loop_timer_del(g->ctl->loop, g->timer);
	g->timer = 0;
}

/* Whoever waited for the last step hears how it ended; a new one begins. */
static void chain_end(struct group *g, const char *err)
{
	group_step_fn *done = g->done;

	g->done = NULL;
	if (done)
		done(g, g->done_arg, err);
}

static void chain_begin(struct group *g, group_step_fn *done, void *arg)
{
	chain_end(g, "overtaken by the next command");
	cancel_timer(g);
	g->chain++;
	g->done = done;
	g->done_arg = arg;
}

/* ---- all LUNs of the group, in parallel ---- */

struct sweep {
	struct group *g;
	unsigned chain, left, n, n_failed;
	bool fenced;
	char err[256];
	void (*done)(struct group *g, struct sweep *s);
};

static void sweep_end(struct sweep *s)
{
	if (--s->left)
		return;
	if (s->chain == s->g->chain)
		s->done(s->g, s);
	free(s);
}

static void sweep_one(struct lu *lu, void *arg, enum disk_status status, const char *err)
{
	struct sweep *s = arg;
	char name[LU_NAME_MAX];

	if (status != DISK_OK) {
		s->n_failed++;
		s->fenced |= status == DISK_FENCED;
		if (status != DISK_ABORTED && strcmp(lu->error, err))
			qb_log(LOG_ERR, "%s: %s", lu_name(lu, name), err);
		snprintf(s->err, sizeof(s->err), "%s: %s", lu_name(lu, name), err);
	}
	snprintf(lu->error, sizeof(lu->error), "%s", status == DISK_OK ? "" : err);
	if (lu->state == LU_OPENING)
		lu->state = status == DISK_OK ? LU_OPEN : LU_FAILED;
	sweep_end(s);
}

static struct sweep *sweep_new(struct group *g, void (*done)(struct group *g, struct sweep *s))
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s) {
		qb_log(LOG_CRIT, "out of memory");
		abort();
	}
	*s = (struct sweep){ .g = g, .chain = g->chain, .left = 1, .done = done };
	return s;
}

#define sweep(s, g_, cond, act) do { \
	struct lu *lu; \
	list_for_each(lu, &(g_)->ctl->lus, link) { \
		if (lu->group != (g_) || !lu->wanted || !(cond)) \
			continue; \
		(s)->n++; \
		(s)->left++; \
		act; \
	} \
	sweep_end(s); \
} while (0)

/* ---- activate ---- */

static void retried(struct group *g, struct sweep *s)
{
	if (s->fenced)
		group_fenced(g, s->err, "the holder's key is not ours");
	else if (s->n_failed)
		retry_later(g);
	else
		qb_log(LOG_NOTICE, "group %s: all LUNs are open", g->name);
}

static void retry(void *arg)
{
	struct group *g = arg;
	struct sweep *s = sweep_new(g, retried);

	g->timer = 0;
	sweep(s, g, lu->state != LU_OPEN, lu_start(lu, g->key, sweep_one, s));
}

static void retry_later(struct group *g)
{
	cancel_timer(g);
	(void)qb_loop_timer_add(g->ctl->loop, QB_LOOP_MED, RETRY_NS, g, retry, &g->timer);
}

static void expect_first_io(struct call *c, struct reactor *r)
{
	r->tell_first_io = true;
	call_reply(c, r);
}

static void expected(struct call *c)
{
	free(c);
}

/* In a cluster the first login and the first I/O are events. */
static void expect_first(struct group *g)
{
	struct call *c = g->ctl->on_first ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return;
	g->first_login = g->first_io = true;
	c->on_reactor = expect_first_io;
	c->done = expected;
	call_all(g->ctl, c);
}

void group_first(struct control *ctl, struct group *g, const char *initiator, bool login)
{
	bool *first = login ? &g->first_login : &g->first_io;

	if (*first && g->state == GROUP_ACTIVE)
		ctl->on_first(g, initiator, login);
	*first = false;
}

static void activated(struct group *g, struct sweep *s)
{
	if (s->fenced) {
		group_fenced(g, s->err, "the holder's key is not ours");
		return;
	}
	expect_first(g);
	set_state(g, GROUP_ACTIVE);
	qb_log(LOG_NOTICE, "group %s: active, %u of %u LUNs open, %llu us", g->name, s->n - s->n_failed, s->n,
	       (unsigned long long)(ring_clock_us() - g->began_us));
	if (s->n_failed)
		retry_later(g);
	chain_end(g, NULL);  /* first: clusterd takes no commits before it knows */
	registry_group_active(g);
	commit_dirty(g);
}

void group_activate(struct group *g, uint64_t key, group_step_fn *done, void *arg)
{
	struct sweep *s;

	chain_begin(g, done, arg);
	g->key = key;
	g->began_us = ring_clock_us();
	set_state(g, GROUP_ACTIVATING);
	s = sweep_new(g, activated);
	sweep(s, g, lu->state != LU_OPEN, lu_start(lu, key, sweep_one, s));
}

void group_open_new(struct group *g)
{
	struct lu *lu;

	list_for_each(lu, &g->ctl->lus, link) {
		if (g->state == GROUP_ACTIVE && lu->group == g && lu->wanted && lu->state != LU_OPEN) {
			cancel_timer(g);
			retry(g);
			return;
		}
	}
}

/* ---- drop ---- */

static void drop_gone(void *arg, unsigned n)
{
	struct group *g = arg;

	(void)n;
	if (g->state != GROUP_DROPPING)
		return;
	set_state(g, GROUP_STANDBY);
	if (!g->ctl->stopping)
		listen_resume(g);
	chain_end(g, NULL);
}

/* Disks are closed, so nothing of any task can be under way: they all end. */
static void drop_stopped(struct group *g, struct sweep *s)
{
	(void)s;
	drain_start(g, DRAIN_WAIT_GONE, CONN_END_SILENT, NULL, drop_gone, g);
}

static void drop_closed(void *arg, unsigned n)
{
	struct group *g = arg;
	struct sweep *s;

	if (g->state != GROUP_DROPPING)
		return;
	g->dropped = n;
	s = sweep_new(g, drop_stopped);
	sweep(s, g, true, lu_stop(lu, sweep_one, s));
}

void group_drop(struct group *g, group_step_fn *done, void *arg)
{
	chain_begin(g, done, arg);
	set_state(g, GROUP_DROPPING);
	/* connections first: what the reset ends as refused may be on record, and nobody must hear of it */
	drain_start(g, DRAIN_CLOSE, g->ctl->cluster ? CONN_END_SILENT : CONN_END_FIN, "the group was stopped here",
		    drop_closed, g);
	commit_reset(g);
}

/* ---- drain ---- */

static void drain_stopped(struct group *g, struct sweep *s)
{
	(void)s;
	set_state(g, GROUP_DRAINED);
	/* The address is about to go. Who has sent its login by now would wait for the answer: it is on no record, nobody wakes it. */
	listen_reset(g);
	chain_end(g, NULL);
}

static void drain_disks(struct group *g)
{
	struct sweep *s;

	cancel_timer(g);
	g->chain++;  /* from here on neither the timer nor the drain has a say */
	s = sweep_new(g, drain_stopped);
	sweep(s, g, true, lu_stop(lu, sweep_one, s));
}

static void drain_quiet(void *arg, unsigned n)
{
	struct group *g = arg;

	if (g->state != GROUP_QUIESCING || g->drain_over)
		return;
	g->drain_over = true;
	g->drained = n;
	drain_disks(g);
}

/* What has not ended by now will not be answered; closing the disks ends it. */
static void drain_timeout(void *arg)
{
	struct group *g = arg;

	g->timer = 0;
	if (g->state != GROUP_QUIESCING || g->drain_over)
		return;
	qb_log(LOG_WARNING, "group %s: commands did not end in time: they are left unanswered", g->name);
	g->drain_over = true;
	g->drained = 0;
	drain_disks(g);
}

void group_drain(struct group *g, uint32_t timeout_ms, group_step_fn *done, void *arg)
{
	chain_begin(g, done, arg);
	set_state(g, GROUP_QUIESCING);
	g->drain_over = false;
	listen_pause(g);
	(void)qb_loop_timer_add(g->ctl->loop, QB_LOOP_MED, (uint64_t)timeout_ms * 1000000, g, drain_timeout, &g->timer);
	drain_start(g, DRAIN_QUIESCE, CONN_END_SILENT, NULL, drain_quiet, g);
}

/* ---- rekey ---- */

static void rekeyed(struct group *g, struct sweep *s)
{
	if (s->fenced)
		group_fenced(g, s->err, "the key could not be changed");
	else
		chain_end(g, s->n_failed ? s->err : NULL);
}

void group_rekey(struct group *g, uint64_t old_key, uint64_t new_key, group_step_fn *done, void *arg)
{
	struct sweep *s;

	chain_begin(g, done, arg);
	g->key = new_key;
	s = sweep_new(g, rekeyed);
	sweep(s, g, lu->state == LU_OPEN, lu_rekey(lu, old_key, new_key, sweep_one, s));
}

/* ---- fenced ---- */

struct fence_note {
	struct msg msg;
	struct lu *lu;
	char detail[200];
};

static void fenced_closed(void *arg, unsigned n)
{
	(void)arg, (void)n;
}

void group_fenced(struct group *g, const char *lun, const char *detail)
{
	if (g->state == GROUP_FENCED)
		return;
	cancel_timer(g);
	g->chain++;
	set_state(g, GROUP_FENCED);
	qb_log(LOG_CRIT, "group %s: FENCED: %s: %s: all connections dropped", g->name, lun, detail);
	drain_start(g, DRAIN_CLOSE, CONN_END_SILENT, "fenced", fenced_closed, g);
	commit_reset(g);
	chain_end(g, "fenced");
	if (g->ctl->on_fenced)
		g->ctl->on_fenced(g, lun, detail);
}

static void fence_arrives(struct msg *m, void *ctl)
{
	struct fence_note *n = container_of(m, struct fence_note, msg);
	char name[LU_NAME_MAX];

	(void)ctl;
	if (n->lu->group->state != GROUP_DROPPING && n->lu->group->state != GROUP_STANDBY)
		group_fenced(n->lu->group, lu_name(n->lu, name), n->detail);
	free(n);
}

void group_fenced_here(struct rlu *l, const char *detail)
{
	struct fence_note *n = malloc(sizeof(*n));
	struct conn *c, *tmp;

	list_for_each_safe(c, tmp, &l->r->conns, link)
		if (c->group == l->lu->group)
			conn_close(c, CONN_END_SILENT, "fenced");
	if (!n)
		abort();  /* the others must hear of it */
	*n = (struct fence_note){ .msg.run = fence_arrives, .lu = l->lu };
	snprintf(n->detail, sizeof(n->detail), "%s", detail);
	control_send(l->r->ctl, &n->msg);
}

/* ---- removal ---- */

static void removed(struct group *g, void *arg, const char *err)
{
	struct lu *lu, *tmp;

	(void)arg, (void)err;
	list_for_each_safe(lu, tmp, &g->ctl->lus, link)
		if (lu->group == g)
			lu_remove(lu);
	/* The memory stays: connections that are just arriving may still name the group. */
}

void group_remove(struct group *g)
{
	g->wanted = false;
	g->conf = NULL;
	listen_close(g);
	group_drop(g, removed, NULL);
}
