/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.c - what happened: the log for people, and a ring of the last EVENTS_MAX for `lunwardctl events`
 *
 * Times are CLOCK_REALTIME in microseconds, taken when the event is added: the parts of a failover can be read off
 * them.
 */
#include "cluster/shell.h"

#include <stdarg.h>
#include <string.h>

#include <qb/qblog.h>

static const char *const SEVERITY[] = { [CORE_INFO] = "info", [CORE_WARNING] = "warning", [CORE_ERROR] = "error" };
static const uint8_t PRIORITY[] = { [CORE_INFO] = LOG_NOTICE, [CORE_WARNING] = LOG_WARNING, [CORE_ERROR] = LOG_ERR };

static void event_clear(struct event *e)
{
	free(e->group);
	free(e->kind);
	free(e->text);
	*e = (struct event){ 0 };
}

void event_add(struct clusterd *d, const char *group, enum core_severity severity, const char *kind, const char *fmt, ...)
{
	struct event *e;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!d->events.next)
		d->events.next = 1;
	e = &d->events.ring[d->events.next % EVENTS_MAX];
	event_clear(e);
	*e = (struct event){
		.id = d->events.next++,
		.at_us = real_us(),
		.group = strdup(group ? group : ""),
		.kind = strdup(kind),
		.text = strdup(text),
		.severity = severity,
	};
	if (!e->group || !e->kind || !e->text)
		abort();
	if (group)
		qb_log(PRIORITY[severity], "%s: %s: %s", group, kind, text);
	else
		qb_log(PRIORITY[severity], "%s: %s", kind, text);
	if (d->ctlsrv)
		ctlsrv_event(d, e);
}

void events_free(struct events *e)
{
	for (size_t i = 0; i < EVENTS_MAX; i++)
		event_clear(&e->ring[i]);
}

Lunward__CtlEvent *event_message(struct pool *p, const struct event *e)
{
	Lunward__CtlEvent *m = pool_alloc(p, sizeof(*m));

	lunward__ctl_event__init(m);
	m->id = e->id;
	m->at_us = e->at_us;
	m->group = e->group;
	m->kind = e->kind;
	m->text = e->text;
	m->severity = (char *)SEVERITY[e->severity];
	return m;
}

uint64_t events_reply(struct clusterd *d, struct pool *p, Lunward__CtlReply *reply, uint64_t after, uint32_t limit)
{
	Lunward__CtlEvents *list = pool_alloc(p, sizeof(*list));
	uint64_t next = MAX(d->events.next, 1u), oldest = next > EVENTS_MAX ? next - EVENTS_MAX : 1;
	uint64_t from = MAX(after + 1, oldest);

	if (limit && next > limit && from < next - limit)
		from = next - limit;
	lunward__ctl_events__init(list);
	for (uint64_t id = from; id < next; id++)
		pool_push(p, &list->events, &list->n_events, event_message(p, &d->events.ring[id % EVENTS_MAX]));
	reply->msg_case = LUNWARD__CTL_REPLY__MSG_EVENTS;
	reply->events = list;
	return next - 1;
}
