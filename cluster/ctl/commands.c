/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commands.c - the commands that ask clusterd and show the answer */
#include <string.h>

#include "cluster/ctl/ctl.h"

enum ctl_exit cmd_status(const struct ctl_command *cmd, const struct ctl_args *a)
{
	_cleanup_reply_ Lunward__CtlReply *r = NULL;
	Lunward__CtlStatusRequest what = LUNWARD__CTL_STATUS_REQUEST__INIT;
	Lunward__CtlRequest req = LUNWARD__CTL_REQUEST__INIT;
	const Lunward__GroupStatus *g = NULL;
	enum ctl_exit e;

	req.msg_case = LUNWARD__CTL_REQUEST__MSG_STATUS;
	req.status = &what;
	e = ctl_call(cmd, a, &req, &r);
	if (e != CTL_OK)
		return e;
	if (r->msg_case != LUNWARD__CTL_REPLY__MSG_STATUS)
		return ctl_wrong_reply(a);
	for (size_t i = 0; a->n_word && i < r->status->n_groups && !g; i++)
		if (!strcmp(r->status->groups[i]->name, a->word[0]))
			g = r->status->groups[i];
	if (a->n_word && !g)
		return ctl_fail(a, CTL_FAILED, "no group \"%s\"; lunwardctl status lists them all", a->word[0]);
	if (a->opts & OPT_JSON)
		json_message(a->out, g ? &g->base : &r->status->base, true);
	else if (g)
		group_print(a->out, r->status, g, ctl_now_ms());
	else
		status_print(a->out, r->status, r->text, ctl_now_ms());
	return (g ? group_served(g) : status_served(r->status)) ? CTL_OK : CTL_NOT_SERVED;
}

enum ctl_exit cmd_group(const struct ctl_command *cmd, const struct ctl_args *a)
{
	static const struct { const char *name; Lunward__CtlGroupRequest__Verb verb; } verbs[] = {
		{ "group start", LUNWARD__CTL_GROUP_REQUEST__VERB__START },
		{ "group stop", LUNWARD__CTL_GROUP_REQUEST__VERB__STOP },
		{ "group move", LUNWARD__CTL_GROUP_REQUEST__VERB__MOVE },
		{ "group release", LUNWARD__CTL_GROUP_REQUEST__VERB__RELEASE },
	};
	_cleanup_reply_ Lunward__CtlReply *r = NULL;
	Lunward__CtlGroupRequest what = LUNWARD__CTL_GROUP_REQUEST__INIT;
	Lunward__CtlRequest req = LUNWARD__CTL_REQUEST__INIT;
	enum ctl_exit e;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, cmd->name))
			what.verb = verbs[i].verb;
	what.group = a->word[0];
	if (a->n_word > 1)
		what.to = a->word[1];
	what.force = !!(a->opts & OPT_FORCE);
	req.msg_case = LUNWARD__CTL_REQUEST__MSG_GROUP;
	req.group = &what;
	e = ctl_call(cmd, a, &req, &r);
	return e == CTL_OK ? ctl_done(a, r, "done") : e;
}

enum ctl_exit cmd_sessions(const struct ctl_command *cmd, const struct ctl_args *a)
{
	_cleanup_reply_ Lunward__CtlReply *r = NULL;
	Lunward__CtlSessionsRequest what = LUNWARD__CTL_SESSIONS_REQUEST__INIT;
	Lunward__CtlRequest req = LUNWARD__CTL_REQUEST__INIT;
	enum ctl_exit e;

	if (a->n_word)
		what.group = a->word[0];
	req.msg_case = LUNWARD__CTL_REQUEST__MSG_SESSIONS;
	req.sessions = &what;
	e = ctl_call(cmd, a, &req, &r);
	if (e != CTL_OK)
		return e;
	if (r->msg_case != LUNWARD__CTL_REPLY__MSG_SESSIONS)
		return ctl_wrong_reply(a);
	if (a->opts & OPT_JSON)
		json_message(a->out, &r->sessions->base, true);
	else
		sessions_print(a->out, r->sessions, ctl_now_ms());
	return CTL_OK;
}

enum ctl_exit cmd_reservations(const struct ctl_command *cmd, const struct ctl_args *a)
{
	_cleanup_reply_ Lunward__CtlReply *r = NULL;
	Lunward__CtlReservationsRequest what = LUNWARD__CTL_RESERVATIONS_REQUEST__INIT;
	Lunward__CtlRequest req = LUNWARD__CTL_REQUEST__INIT;
	enum ctl_exit e;

	if (a->n_word)
		what.group = a->word[0];
	req.msg_case = LUNWARD__CTL_REQUEST__MSG_RESERVATIONS;
	req.reservations = &what;
	e = ctl_call(cmd, a, &req, &r);
	if (e != CTL_OK)
		return e;
	if (r->msg_case != LUNWARD__CTL_REPLY__MSG_RESERVATIONS)
		return ctl_wrong_reply(a);
	if (a->opts & OPT_JSON)
		json_message(a->out, &r->reservations->base, true);
	else
		reservations_print(a->out, r->reservations);
	return CTL_OK;
}

/* Events come in one or several replies; the last has more unset. With --follow there is no last one. */
static enum ctl_exit events_show(const struct ctl_args *a, const Lunward__CtlReply *r)
{
	if (r->msg_case != LUNWARD__CTL_REPLY__MSG_EVENTS)
		return r->msg_case == LUNWARD__CTL_REPLY__MSG__NOT_SET ? CTL_OK : ctl_wrong_reply(a);
	for (size_t i = 0; i < r->events->n_events; i++) {
		if (a->opts & OPT_JSON)
			json_message(a->out, &r->events->events[i]->base, false);
		else
			event_print(a->out, r->events->events[i]);
	}
	fflush(a->out);
	return CTL_OK;
}

enum ctl_exit cmd_events(const struct ctl_command *cmd, const struct ctl_args *a)
{
	Lunward__CtlEventsRequest what = LUNWARD__CTL_EVENTS_REQUEST__INIT;
	Lunward__CtlRequest req = LUNWARD__CTL_REQUEST__INIT;
	int timeout_ms = a->timeout_ms ? a->timeout_ms : cmd->timeout_ms;
	_cleanup_link_ struct ctl_link *l = NULL;
	enum ctl_exit e;
	bool more = true;

	what.after = a->after;
	what.limit = a->limit;
	what.follow = !!(a->opts & OPT_FOLLOW);
	req.msg_case = LUNWARD__CTL_REQUEST__MSG_EVENTS;
	req.events = &what;
	e = ctl_ask(&l, a, timeout_ms, &req);
	for (unsigned n = 0; e == CTL_OK && more; n++) {
		_cleanup_reply_ Lunward__CtlReply *r = NULL;

		e = ctl_answer(l, a, n && what.follow ? -1 : timeout_ms, n, &r);
		if (e == CTL_OK) {
			e = events_show(a, r);
			more = r->more;
		}
	}
	return e;
}
