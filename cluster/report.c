/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.c - what the targets of all nodes know, for an administrator on any of them
 *
 * A gather is a question of lunwardctl here: it goes to all members (over CPG) and to ourselves, each answers for
 * the groups it serves, and the parts become one reply. An inquiry is such a question answered here: our targets are
 * asked, and what they report is packed into one message. Both are bounded in time: a node or a target that does not
 * answer is left out.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <string.h>

#define GATHER_MS 1500u
#define INQUIRY_MS 1000u

struct gathers { struct list gathers, inquiries; };

struct gather {
	struct list link;
	struct clusterd *d;
	struct client who;
	uint64_t cookie;
	Lunward__ReportRequest__What what;
	bool waiting[NODE_ID_MAX + 1];
	Lunward__CtlReply *part[CORE_MAX_NODES];
	size_t n_part;
	qb_loop_timer_handle timer;
};

struct inquiry {
	struct list link;
	struct clusterd *d;
	uint64_t cookie, answer_to;   /* ours towards targets; the asking gather's */
	uint8_t requester;
	Lunward__ReportRequest__What what;
	char group[CORE_NAME_MAX];    /* empty: all */
	unsigned pending;
	qb_loop_timer_handle timer;
};

/* ---- gathers ---- */

static void gather_free(struct gather *g)
{
	list_del(&g->link);
	qb_loop_timer_del(g->d->loop, g->timer);
	for (size_t i = 0; i < g->n_part; i++)
		lunward__ctl_reply__free_unpacked(g->part[i], NULL);
	free(g);
}

static void gather_finish(struct gather *g)
{
	Lunward__CtlReply reply = LUNWARD__CTL_REPLY__INIT;
	struct pool p = { 0 };

	reply.ok = true;
	if (g->what == LUNWARD__REPORT_REQUEST__WHAT__STATUS)
		status_fill(g->d, &p, &reply, g->part, g->n_part);
	else
		status_merge(&p, &reply, g->part, g->n_part);
	ctl_reply(g->d, &g->who, &reply);
	pool_free(&p);
	gather_free(g);
}

static void gather_check(struct gather *g)
{
	for (unsigned i = 1; i <= NODE_ID_MAX; i++)
		if (g->waiting[i])
			return;
	gather_finish(g);
}

static void on_gather_timeout(void *data)
{
	struct gather *g = data;

	g->timer = 0;
	gather_finish(g);
}

static struct gather *gather_find(struct clusterd *d, uint64_t cookie)
{
	struct gather *g;

	list_for_each(g, &d->gathers->gathers, link)
		if (g->cookie == cookie)
			return g;
	return NULL;
}

static void gather_take(struct clusterd *d, uint8_t from, uint64_t cookie, const uint8_t *packed, size_t len)
{
	struct gather *g = gather_find(d, cookie);
	Lunward__CtlReply *part;

	if (!g || !g->waiting[from])
		return;
	g->waiting[from] = false;
	part = lunward__ctl_reply__unpack(NULL, len, packed);
	if (part && g->n_part < ARRAY_SIZE(g->part))
		g->part[g->n_part++] = part;
	else if (part)
		lunward__ctl_reply__free_unpacked(part, NULL);
	gather_check(g);
}

/* ---- inquiries ---- */

static void inquiry_free(struct inquiry *q)
{
	list_del(&q->link);
	qb_loop_timer_del(q->d->loop, q->timer);
	free(q);
}

static bool concerns(const struct inquiry *q, const struct group *g)
{
	struct core_group_view v;

	if (q->group[0] && strcmp(q->group, g->name) != 0)
		return false;
	return shell_group_view(q->d, g->name, &v) && v.owner == q->d->self;
}

static void inquiry_finish(struct inquiry *q)
{
	struct clusterd *d = q->d;
	Lunward__CtlReply reply = LUNWARD__CTL_REPLY__INIT;
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	Lunward__Report report = LUNWARD__REPORT__INIT;
	struct pool p = { 0 };
	struct group *g;

	reply.version = LUNWARD_CTL_PROTO;
	reply.ok = true;
	list_for_each(g, &d->groups, link)
		if (concerns(q, g))
			status_local(g, &p, &reply, q->what);
	report.cookie = q->answer_to;
	report.requester = q->requester;
	report.reply.len = lunward__ctl_reply__get_packed_size(&reply);
	report.reply.data = pool_alloc(&p, report.reply.len + 1);
	lunward__ctl_reply__pack(&reply, report.reply.data);
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_REPORT;
	pb.report = &report;
	if (q->requester == d->self)
		gather_take(d, d->self, q->answer_to, report.reply.data, report.reply.len);
	else
		corosync_send_pb(d, &pb);
	pool_free(&p);
	inquiry_free(q);
}

static void on_inquiry_timeout(void *data)
{
	struct inquiry *q = data;

	q->timer = 0;
	inquiry_finish(q);
}

static void inquire(struct clusterd *d, uint8_t requester, uint64_t answer_to, Lunward__ReportRequest__What what,
		    const char *group)
{
	struct inquiry *q = calloc(1, sizeof(*q));
	struct group *g;

	if (!q)
		abort();
	*q = (struct inquiry){ .d = d, .cookie = next_cookie(d), .answer_to = answer_to, .requester = requester, .what = what };
	snprintf(q->group, sizeof(q->group), "%s", group);
	list_add_tail(&d->gathers->inquiries, &q->link);
	list_for_each(g, &d->groups, link)
		if (concerns(q, g))
			q->pending += targetlink_query(g, q->cookie) == 0;
	if (!q->pending)
		inquiry_finish(q);
	else
		qb_loop_timer_add(d->loop, QB_LOOP_MED, INQUIRY_MS * NSEC_PER_MSEC, q, on_inquiry_timeout, &q->timer);
}

/* A report is the message's, which goes away: keep a copy. */
static void keep(struct group *g, const Lunward__TargetReport *r)
{
	size_t len = lunward__target_report__get_packed_size(r);
	_cleanup_free_ uint8_t *buf = malloc(len + 1);

	if (!buf)
		abort();
	lunward__target_report__pack(r, buf);
	if (g->target.report)
		lunward__target_report__free_unpacked(g->target.report, NULL);
	g->target.report = lunward__target_report__unpack(NULL, len, buf);
}

void report_arrived(struct group *g, const Lunward__TargetReport *r)
{
	struct inquiry *q, *tmp;

	keep(g, r);
	list_for_each_safe(q, tmp, &g->d->gathers->inquiries, link)
		if (q->cookie == r->cookie && q->pending && --q->pending == 0)
			inquiry_finish(q);
}

/* ---- entry ---- */

void report_request(struct clusterd *d, uint8_t from, const Lunward__ReportRequest *m)
{
	if (from != d->self)
		inquire(d, from, m->cookie, m->what, m->group);
}

void report_reply(struct clusterd *d, uint8_t from, const Lunward__Report *m)
{
	if (m->requester == d->self && from != d->self)
		gather_take(d, from, m->cookie, m->reply.data, m->reply.len);
}

void report_gather(struct clusterd *d, const struct client *who, Lunward__ReportRequest__What what, const char *group)
{
	struct gather *g = calloc(1, sizeof(*g));
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	Lunward__ReportRequest req = LUNWARD__REPORT_REQUEST__INIT;

	if (!g)
		abort();
	*g = (struct gather){ .d = d, .who = *who, .cookie = next_cookie(d), .what = what };
	list_add_tail(&d->gathers->gathers, &g->link);
	for (unsigned i = 1; i <= NODE_ID_MAX; i++)
		g->waiting[i] = i == d->self || (d->peer[i].live && !d->peer[i].refused[0]);
	qb_loop_timer_add(d->loop, QB_LOOP_MED, GATHER_MS * NSEC_PER_MSEC, g, on_gather_timeout, &g->timer);
	req.cookie = g->cookie;
	req.requester = d->self;
	req.what = what;
	req.group = (char *)group;
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_REPORT_REQUEST;
	pb.report_request = &req;
	corosync_send_pb(d, &pb);
	inquire(d, d->self, g->cookie, what, group);   /* may finish it: g is not to be used any more */
}

void report_members_changed(struct clusterd *d)
{
	struct gather *g, *tmp;

	list_for_each_safe(g, tmp, &d->gathers->gathers, link) {
		for (unsigned i = 1; i <= NODE_ID_MAX; i++)
			if (i != d->self && !d->peer[i].live)
				g->waiting[i] = false;
		gather_check(g);
	}
}

int report_init(struct clusterd *d)
{
	d->gathers = calloc(1, sizeof(*d->gathers));
	if (!d->gathers)
		return -ENOMEM;
	list_init(&d->gathers->gathers);
	list_init(&d->gathers->inquiries);
	return 0;
}

void report_fini(struct clusterd *d)
{
	struct gather *g, *gtmp;
	struct inquiry *q, *qtmp;

	if (!d->gathers)
		return;
	list_for_each_safe(q, qtmp, &d->gathers->inquiries, link)
		inquiry_free(q);
	list_for_each_safe(g, gtmp, &d->gathers->gathers, link)
		gather_free(g);
	free(d->gathers);
	d->gathers = NULL;
}
