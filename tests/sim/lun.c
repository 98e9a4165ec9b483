/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lun.c - fence workers that run the real step machines against model LUNs, a command at a time */
#include "tests/sim/sim.h"

uint64_t key_pack(struct core_key k)
{
	return k.epoch ? fence_key_make(CLUSTER_TAG, k.node, k.epoch) : 0;
}

struct core_key key_unpack(uint64_t key)
{
	return (struct core_key){ .node = (uint8_t)fence_key_node(key), .epoch = fence_key_epoch(key) };
}

static void report(struct sim *s, unsigned n, uint64_t a, void *p);
static void begin(struct sim *s, unsigned n, uint64_t a, const struct job *j);

static void finish(struct sim *s, unsigned n, uint64_t a)
{
	static const enum core_fence_status map[] = {
		[FENCE_OK] = CORE_FENCE_OK, [FENCE_LOST] = CORE_FENCE_LOST, [FENCE_FOREIGN] = CORE_FENCE_FOREIGN,
		[FENCE_ERROR] = CORE_FENCE_ERROR,
	};
	struct worker *w = &s->node[n].worker[a / LUNS][a % LUNS];
	const struct fence_outcome *o = &w->m.outcome;
	struct core_event ev = { .type = CORE_EV_FENCED_OP };

	w->busy = false;
	ev.fence = (struct core_ev_fence){ .group = group_name((unsigned)a / LUNS), .id = w->id, .status = map[o->verdict],
		.found = key_unpack(o->view.holder), .max_epoch = o->view.max_epoch, .error = o->text };
	if (w->op == CORE_FENCE_READ && o->verdict == FENCE_OK && o->view.foreign)
		ev.fence.status = CORE_FENCE_FOREIGN;
	trace(s, "n%u %s lun %u: %s %s, holder %u.%u", n + 1, ev.fence.group, (unsigned)a % LUNS, fence_op_name(w->m.req.op),
	      fence_verdict_name(o->verdict), ev.fence.found.node, ev.fence.found.epoch);
	if (w->n_queue) {
		struct job next = w->queue[0];

		memmove(w->queue, w->queue + 1, --w->n_queue * sizeof(next));
		begin(s, n, a, &next);
	}
	node_step(s, n, &ev);
}

static bool answer_lost(struct sim *s, unsigned n)
{
	return rnd_chance(s, s->now < s->node[n].lossy_until ? 300 : s->lossy);
}

/* The command reaches the device: it does so even if its sender has died meanwhile. @p: the command */
static void execute(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct sim_lun *l = &s->lun[a / LUNS][a % LUNS];
	struct fence_result *res = malloc(sizeof(*res));
	struct { struct fence_cmd cmd; uint32_t life, pid; } *sent = p;
	bool lost = false;

	if (!res)
		abort();
	if (l->model.holder >= 0)
		l->lost_at[l->model.holder] = s->now;
	if (s->now < l->bad_until || (lost = answer_lost(s, n), lost && rnd_chance(s, 500))) {
		lost = true;  /* and the command with it */
	} else {
		lun_exec(&l->model, n, &sent->cmd, res);
		l->lawless &= l->model.holder < 0;
		check_epoch(s, (unsigned)a / LUNS, (unsigned)a % LUNS);
		check_access(s, (unsigned)a / LUNS);
	}
	if (lost)
		fence_result_lost(res, &sent->cmd, "no answer");
	if (fence_cmd_is_out(sent->cmd.op))
		snipe(s, n);
	if (sent->life == s->node[n].life && sent->pid == s->node[n].pid)
		at(s, latency(s, 300), LANE_CLUSTERD, n, report, a, res);
	else
		free(res);
	free(sent);
}

static void send_cmd(struct sim *s, unsigned n, uint64_t a)
{
	struct node *me = &s->node[n];
	struct worker *w = &me->worker[a / LUNS][a % LUNS];
	struct { struct fence_cmd cmd; uint32_t life, pid; } *sent;
	struct fence_result *res;

	if (s->now < me->san_bad_until || s->now < s->lun[a / LUNS][a % LUNS].bad_until) {
		res = malloc(sizeof(*res));
		if (!res)
			abort();
		fence_result_unsent(res, &w->cmd, "no path");
		at(s, w->cmd.delay_ms * MS + 500, LANE_CLUSTERD, n, report, a, res);
		return;
	}
	sent = malloc(sizeof(*sent));
	if (!sent)
		abort();
	sent->cmd = w->cmd;
	sent->life = me->life;
	sent->pid = me->pid;
	at(s, w->cmd.delay_ms * MS + latency(s, 300), LANE_WORLD, n, execute, a, sent);
}

static void report(struct sim *s, unsigned n, uint64_t a, void *p)
{
	struct worker *w = &s->node[n].worker[a / LUNS][a % LUNS];

	if (fence_step(&w->m, p, &w->cmd))
		send_cmd(s, n, a);
	else
		finish(s, n, a);
	free(p);
}

static void empty(struct sim *s, unsigned n, uint64_t a, void *p)
{
	(void)p;
	finish(s, n, a);
}

void lun_power(struct sim *s, unsigned g, unsigned l, uint64_t until)
{
	struct sim_lun *x = &s->lun[g][l];

	x->lawless |= !x->model.aptpl;
	if (x->model.holder >= 0)
		x->lost_at[x->model.holder] = s->now;
	lun_power_loss(&x->model);
	x->bad_until = MAX(x->bad_until, until);
	check_epoch(s, g, l);
}

static void begin(struct sim *s, unsigned n, uint64_t a, const struct job *j)
{
	static const enum fence_op map[] = {
		[CORE_FENCE_READ] = FENCE_OP_READ, [CORE_FENCE_TAKE] = FENCE_OP_TAKE, [CORE_FENCE_BUMP] = FENCE_OP_BUMP,
		[CORE_FENCE_SWEEP] = FENCE_OP_SWEEP, [CORE_FENCE_RELEASE] = FENCE_OP_RELEASE,
	};
	struct worker *w = &s->node[n].worker[a / LUNS][a % LUNS];
	struct fence_request req = { .op = map[j->op], .key = key_pack(j->key), .expect = key_pack(j->old) };

	if (j->op == CORE_FENCE_READ)
		req.key = fence_key_make(CLUSTER_TAG, n + 1, 1);
	w->busy = true;
	w->id = j->id;
	w->op = j->op;
	fence_begin(&w->m, &req);
	if (fence_step(&w->m, NULL, &w->cmd))
		send_cmd(s, n, a);
	else
		at(s, 0, LANE_CLUSTERD, n, empty, a, NULL);
}

/* The core has one operation at a time on a LUN; but for one that the document drops, or has dropped and brings back. */
void lun_request(struct sim *s, unsigned n, unsigned g, unsigned l, uint64_t id, enum core_fence_op op,
		 struct core_key old, struct core_key key)
{
	struct worker *w = &s->node[n].worker[g][l];
	struct job j = { .id = id, .op = op, .old = old, .key = key };

	if (op == CORE_FENCE_RELEASE)
		check_release(s, n, g, l);
	if (!w->busy)
		begin(s, n, g * LUNS + l, &j);
	else if (s->n_docs == 1 || w->n_queue == QUEUE)
		broken(s, "n%u: two operations at once on lun %u", n + 1, l);
	else
		w->queue[w->n_queue++] = j;
}
