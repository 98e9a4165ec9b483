/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fenceglue.c - the core's fence operations on devices
 *
 * Every fence LUN of every group has its own device with its own worker and nexus, so that nothing waits for a LUN
 * of another. Operations are matched by the core's id. A device that cannot be opened (a path that does not exist
 * yet) is opened again when the next operation asks for it.
 *
 * ISIDs are conf_isid()'s: each LUN has its own, which does not change when LUNs are added.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <string.h>

#include <qb/qblog.h>

#define DROPPED_LINGER_NS (10 * NSEC_PER_SEC)

struct operation {
	struct fence_lun *lun;
	uint64_t id;
	enum core_fence_op op;
};

static const enum fence_op OP[] = {
	[CORE_FENCE_READ] = FENCE_OP_READ,
	[CORE_FENCE_TAKE] = FENCE_OP_TAKE,
	[CORE_FENCE_BUMP] = FENCE_OP_BUMP,
	[CORE_FENCE_SWEEP] = FENCE_OP_SWEEP,
	[CORE_FENCE_RELEASE] = FENCE_OP_RELEASE,
};

static const enum core_fence_status STATUS[] = {
	[FENCE_OK] = CORE_FENCE_OK,
	[FENCE_LOST] = CORE_FENCE_LOST,
	[FENCE_FOREIGN] = CORE_FENCE_FOREIGN,
	[FENCE_ERROR] = CORE_FENCE_ERROR,
};

/* ---- devices ---- */

static void open_dev(struct fence_lun *l)
{
	struct clusterd *d = l->group->d;
	char initiator[CONF_ISCSI_NAME_MAX + 1], self[CORE_NAME_MAX];
	struct fence_dev_opts opts = { 0 };

	if (l->dev || !d->conf || !d->self)
		return;
	conf_initiator_name(d->conf->cluster, shell_node_name(d, d->self, self), initiator);
	opts.initiator = initiator;
	conf_isid(CONF_ROLE_FENCE, l->group->name, l->spec, 0, opts.isid);
	l->dev = fence_dev_open(d->fences, l->spec, &opts, l->error);
}

static void fence_free(struct fence_lun *l)
{
	list_del(&l->link);
	if (l->dev)
		fence_dev_close(l->dev);
	free(l->spec);
	free(l);
}

static struct fence_lun *find(struct group *g, const char *spec)
{
	struct fence_lun *l;

	list_for_each(l, &g->fences, link)
		if (!strcmp(l->spec, spec))
			return l;
	return NULL;
}

static struct fence_lun *find_or_add(struct group *g, const char *spec)
{
	struct fence_lun *l = find(g, spec);

	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			abort();
		l->group = g;
		l->spec = strdup(spec);
		list_add_tail(&g->fences, &l->link);
	}
	l->dropped = false;
	return l;
}

void fences_configure(struct group *g, const struct conf_group *cg)
{
	struct fence_lun *l;

	list_for_each(l, &g->fences, link)
		if (!l->dropped) {
			l->dropped = true;
			l->dropped_ns = mono_ns();
		}
	for (size_t i = 0; cg && i < cg->n_fence; i++)
		open_dev(find_or_add(g, cg->fence[i].path));
}

void fences_tick(struct group *g)
{
	struct fence_lun *l, *tmp;

	list_for_each_safe(l, tmp, &g->fences, link)
		if (l->dropped && !l->pending && mono_ns() - l->dropped_ns > DROPPED_LINGER_NS)
			fence_free(l);
}

void fences_free(struct group *g)
{
	struct fence_lun *l, *tmp;

	list_for_each_safe(l, tmp, &g->fences, link)
		fence_free(l);
}

/* ---- operations ---- */

static void feed(struct clusterd *d, const char *group, uint64_t id, enum core_fence_status status,
		 const struct fence_view *view, const char *error)
{
	struct core_event ev = {
		.type = CORE_EV_FENCED_OP,
		.fence = { .group = group, .id = id, .status = status, .error = error },
	};

	if (view && view->valid) {
		ev.fence.found = key_unpack(d, view->holder);
		ev.fence.max_epoch = view->max_epoch;
	}
	shell_feed(d, &ev);
}

static void on_done(void *arg, struct fence_dev *dev, const struct fence_request *req, const struct fence_outcome *out)
{
	struct operation *o = arg;
	struct fence_lun *l = o->lun;
	enum core_fence_status status = STATUS[out->verdict];
	char text[CORE_TEXT_MAX], key[FENCE_KEY_STR];
	const char *error = out->text[0] ? out->text : NULL;

	(void)req;
	l->pending--;
	qb_log(LOG_DEBUG, "%s: %s of %s: %s, holder %s, %u commands %s", l->group->name, fence_op_name(req->op),
	       fence_dev_spec(dev), fence_verdict_name(out->verdict), fence_key_str(out->view.holder, key),
	       out->commands, out->text);
	if (o->op == CORE_FENCE_READ && out->verdict == FENCE_OK && out->view.foreign) {
		status = CORE_FENCE_FOREIGN;
		snprintf(text, sizeof(text), "%s carries a reservation key that is not of this cluster: %s; make sure that "
			 "nobody uses the device, then clear it (sg_persist --out --clear)", fence_dev_spec(dev),
			 fence_key_str(out->view.foreign, key));
		error = text;
	}
	feed(l->group->d, l->group->name, o->id, status, &out->view, error);
	free(o);
}

static bool submit(struct clusterd *d, struct fence_lun *l, const struct core_action *a)
{
	struct operation *o = calloc(1, sizeof(*o));
	struct fence_request req = {
		.op = OP[a->fence.op],
		.key = key_pack(d, a->fence.key),
		.expect = key_pack(d, a->fence.old),
	};

	if (!o)
		return false;
	if (a->fence.op == CORE_FENCE_READ && !req.key)
		req.key = key_pack(d, (struct core_key){ .node = d->self, .epoch = 1 });   /* whose cluster is asking */
	*o = (struct operation){ .lun = l, .id = a->fence.id, .op = a->fence.op };
	if (!fence_submit(l->dev, &req, on_done, o)) {
		free(o);
		return false;
	}
	l->pending++;
	return true;
}

void fences_submit(struct clusterd *d, const struct core_action *a)
{
	struct group *g = shell_group(d, a->group);
	struct fence_lun *l = find(g, a->fence.lun);
	char text[CORE_TEXT_MAX];

	if (l)
		open_dev(l);
	if (l && l->dev && submit(d, l, a))
		return;
	if (!l)
		snprintf(text, sizeof(text), "%s is no fence device of the group any more", a->fence.lun);
	else
		snprintf(text, sizeof(text), "%s", l->dev ? "out of memory" : l->error);
	feed(d, a->group, a->fence.id, CORE_FENCE_ERROR, NULL, text);
}

int32_t fences_mail(int32_t fd, int32_t revents, void *data)
{
	struct clusterd *d = data;

	(void)fd, (void)revents;
	fence_mailbox_dispatch(d->fences);
	return 0;
}
