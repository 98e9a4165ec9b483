/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packet.c - deep copies of core messages, counted */
#include "tests/sim/sim.h"

static char *copy(const char *p)
{
	char *q = p ? strdup(p) : NULL;

	if (p && !q)
		abort();
	return q;
}

static void copy_states(struct core_msg_node_state *m)
{
	struct core_group_state *v = calloc(m->n_groups ? m->n_groups : 1, sizeof(*v));

	if (!v)
		abort();
	for (unsigned i = 0; i < m->n_groups; i++) {
		v[i] = m->groups[i];
		v[i].group = copy(m->groups[i].group);
		v[i].why = copy(m->groups[i].why);
	}
	m->groups = v;
}

struct packet *packet_new(unsigned from, const struct core_msg *m)
{
	struct packet *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->refs = 1;
	p->from = from;
	p->msg = *m;
	switch (m->type) {
	case CORE_MSG_NODE_STATE:
		copy_states(&p->msg.node_state);
		break;
	case CORE_MSG_PUSH:
		p->msg.push.group = copy(m->push.group);
		core_body_ref(m->push.record.body);
		break;
	case CORE_MSG_ACK:
		p->msg.ack.group = copy(m->ack.group);
		break;
	case CORE_MSG_FETCH:
		p->msg.fetch.group = copy(m->fetch.group);
		break;
	case CORE_MSG_COMMAND:
		p->msg.command.group = copy(m->command.group);
		break;
	case CORE_MSG_RESULT:
		p->msg.result.text = copy(m->result.text);
		break;
	}
	return p;
}

static void free_states(struct core_msg_node_state *m)
{
	for (unsigned i = 0; i < m->n_groups; i++) {
		free((char *)m->groups[i].group);
		free((char *)m->groups[i].why);
	}
	free((void *)m->groups);
}

void packet_unref(struct packet *p)
{
	if (!p || --p->refs)
		return;
	switch (p->msg.type) {
	case CORE_MSG_NODE_STATE:
		free_states(&p->msg.node_state);
		break;
	case CORE_MSG_PUSH:
		free((char *)p->msg.push.group);
		core_body_unref(p->msg.push.record.body);
		break;
	case CORE_MSG_ACK:
		free((char *)p->msg.ack.group);
		break;
	case CORE_MSG_FETCH:
		free((char *)p->msg.fetch.group);
		break;
	case CORE_MSG_COMMAND:
		free((char *)p->msg.command.group);
		break;
	case CORE_MSG_RESULT:
		free((char *)p->msg.result.text);
		break;
	}
	free(p);
}

static int stamp_text(char *buf, size_t size, const struct core_stamp *t)
{
	return snprintf(buf, size, "(%u.%u%s/%llu<%u.%u)", t->node, t->epoch, t->ahead ? "+" : "", (unsigned long long)t->seq, t->base.node,
			t->base.epoch);
}

char *packet_text(const struct packet *p, char *buf, size_t size)
{
	static const char *const name[] = { "state", "push", "ack", "fetch", "command", "result" };
	int n = snprintf(buf, size, "%s ", name[p->msg.type]);

	if (p->msg.type == CORE_MSG_PUSH) {
		n += stamp_text(buf + n, size - (size_t)n, &p->msg.push.record.stamp);
		snprintf(buf + n, size - (size_t)n, "%s", p->msg.push.final ? " final" : "");
	} else if (p->msg.type == CORE_MSG_ACK) {
		n += stamp_text(buf + n, size - (size_t)n, &p->msg.ack.stamp);
		snprintf(buf + n, size - (size_t)n, "%s", p->msg.ack.stored ? "" : " REFUSED");
	} else if (p->msg.type == CORE_MSG_NODE_STATE) {
		for (unsigned i = 0; i < p->msg.node_state.n_groups && (size_t)n < size - 80; i++) {
			const struct core_group_state *g = &p->msg.node_state.groups[i];

			n += snprintf(buf + n, size - (size_t)n, "%s=%s%s key %u ", g->group, core_state_name(g->state),
				      g->eligible ? "+" : "", g->key_epoch);
			n += stamp_text(buf + n, size - (size_t)n, &g->stamp);
		}
	}
	return buf;
}
