/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.c - who is logged in: the control thread's list of connections and of their sessions
 *
 * A login is admitted in steps, each of which may take as long as it takes; the initiator waits for its last login
 * response meanwhile, which it does more patiently than for anything else:
 *
 *   PARKED -> (group active) -> WAIT_OLD -> (what it replaces is gone, with its tasks) -> [MOVING -> (with the reactor of
 *   its session)] -> RECORDING -> (on record) -> LIVE
 *
 * A leading connection (TSIH 0) makes a session and replaces older ones of the same nexus (session reinstatement, RFC 7143
 * 6.3.5): they are gone only when their last disk I/O has ended, so that a late write of the old one never lands after a
 * write of the new one. A further connection finds its session by TSIH, replaces the one with the same CID (connection
 * reinstatement, 6.3.4) in the same way, and goes to the session's reactor. A session ends with its last connection,
 * those that are on their way counted, and those that are lost (error recovery level 2): to log in to a session that has
 * only such is its continuation. Discovery sessions go to LIVE at once.
 */
#include <string.h>
#include <strings.h>
#include <time.h>

#include <qb/qblog.h>

#include "node/node.h"

#define LOGIN_RETRY_NS (200ull * 1000000)

static void advance(struct conn *c);

static bool same_nexus(const struct session *s, const struct conn *c)
{
	return !s->discovery && s->group == c->group && sc_nexus_equal(&s->nexus, &c->nexus) && !strcasecmp(s->iqn, c->iqn);
}

unsigned registry_admitted(struct control *ctl, const struct group *g)
{
	struct session *s;
	unsigned n = 0;

	list_for_each(s, &ctl->sessions, link)
		n += s->group == g && s->live && !s->discovery;
	return n;
}

bool registry_is(const struct session *s, const struct lu *lu)
{
	return s->live && !s->discovery && s->group == lu->group && !strcasecmp(s->iqn, lu->iqn);
}

bool registry_has(const struct lu *lu, const struct sc_nexus *nexus)
{
	const struct session *s;

	list_for_each(s, &lu->ctl->sessions, link)
		if (registry_is(s, lu) && sc_nexus_equal(&s->nexus, nexus))
			return true;
	return false;
}

/* ---- sessions ---- */

static uint16_t new_tsih(struct control *ctl)
{
	struct session *s;

	for (;;) {
		bool used = false;

		if (++ctl->next_tsih == 0)
			ctl->next_tsih = 1;
		list_for_each(s, &ctl->sessions, link)
			used |= s->tsih == ctl->next_tsih;
		if (!used)
			return ctl->next_tsih;
	}
}

static void attach(struct session *s, struct conn *c)
{
	c->session = s;
	list_add_tail(&s->conns, &c->of_session);
}

static bool session_new(struct conn *c)
{
	struct control *ctl = c->r->ctl;
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return false;
	*s = (struct session){ .r = c->r, .group = c->group, .peer = c->peer, .nexus = c->nexus, .number = c->number,
			       .discovery = c->discovery, .tsih = new_tsih(ctl),
			       .max_connections = c->max_connections };
	memcpy(s->iqn, c->iqn, sizeof(s->iqn));
	list_init(&s->at);
	list_init(&s->logouts);
	list_init(&s->conns);
	s->known = !c->discovery && record_known(c->group, &c->nexus, c->iqn);
	list_add_tail(&ctl->sessions, &s->link);
	attach(s, c);
	return true;
}

/* The session that a further connection names, if it is its initiator port's (6.3.1) */
static struct session *session_named(const struct conn *c)
{
	struct session *s;

	list_for_each(s, &c->r->ctl->sessions, link)
		if (s->tsih == c->tsih && s->live && same_nexus(s, c))
			return s;
	return NULL;
}

static void session_over(struct session *s)
{
	if (!s->discovery && s->group->state == GROUP_ACTIVE)
		resv_nexus_loss(s);
	list_del(&s->link);
	s->msg_end.run = session_end_run;
	queue_push(&s->r->in, &s->msg_end);
}

/* ---- verdicts ---- */

static void refuse(struct conn *c, enum isc_login_status status)
{
	struct verdict *v = calloc(1, sizeof(*v));

	c->login = LOGIN_KILLED;
	if (!v)
		return;  /* it runs into its initiator's login timeout */
	*v = (struct verdict){ .msg.run = login_verdict, .conn = c, .status = status };
	queue_push(&c->r->in, &v->msg);
}

/* What the nexus missed while it was away, LUN by LUN. */
static size_t missed(struct control *ctl, const struct conn *c, struct verdict_ua *ret)
{
	struct lu *lu;
	struct lu_ua *u;
	size_t n = 0;

	if (c->discovery || c->tsih)
		return 0;
	list_for_each(lu, &ctl->lus, link) {
		if (lu->group != c->group || strcasecmp(lu->iqn, c->iqn))
			continue;
		list_for_each(u, &lu->uas, link) {
			if (!sc_nexus_equal(&u->nexus, &c->nexus))
				continue;
			if (ret)
				ret[n] = (struct verdict_ua){ .lu = lu, .code = u->code, .seq = u->seq };
			n++;
		}
	}
	return n;
}

static void admit(struct conn *c)
{
	struct control *ctl = c->r->ctl;
	struct session *s = c->session;
	size_t n = missed(ctl, c, NULL);
	struct verdict *v = calloc(1, sizeof(*v) + n * sizeof(v->ua[0]));

	if (!v) {
		refuse(c, ISC_LOGIN_OUT_OF_RESOURCES);
		return;
	}
	c->login = LOGIN_LIVE;
	s->live |= !c->tsih;
	*v = (struct verdict){ .msg.run = login_verdict, .conn = c, .sess = s,
			       .first_ua = s->known ? SC_UA_NEXUS_LOSS : SC_UA_POWER_ON, .n_ua = n };
	(void)missed(ctl, c, v->ua);
	queue_push(&c->r->in, &v->msg);
	if (!c->discovery)
		group_first(ctl, c->group, c->nexus.initiator, true);
}

/* ---- the connection goes on record ---- */

static void advance_all(struct control *ctl)
{
	struct conn *c, *tmp;

	list_for_each_safe(c, tmp, &ctl->conns, known)
		advance(c);
}

static void again(void *arg)
{
	struct control *ctl = arg;

	ctl->login_timer = 0;
	advance_all(ctl);
}

/* The record could not be written: the initiator waits, which is better than any answer. */
static void try_again_later(struct control *ctl)
{
	if (!ctl->login_timer)
		(void)qb_loop_timer_add(ctl->loop, QB_LOOP_MED, LOGIN_RETRY_NS, ctl, again, &ctl->login_timer);
}

struct login_op {
	struct commit_op op;
	struct conn *conn;           /* NULL: gone meanwhile */
};

static bool login_take(struct commit_op *op)
{
	return container_of(op, struct login_op, op)->conn;
}

static void login_committed(struct commit_op *op, bool ok)
{
	struct login_op *l = container_of(op, struct login_op, op);
	struct conn *c = l->conn;

	free(l);
	if (!c)
		return;
	c->op = NULL;
	if (c->login != LOGIN_RECORDING)
		return;
	if (ok) {
		admit(c);
	} else {
		c->login = LOGIN_PARKED;
		c->on_record = false;
		try_again_later(c->r->ctl);
	}
}

static void record(struct conn *c)
{
	struct login_op *l = calloc(1, sizeof(*l));

	if (!l) {
		refuse(c, ISC_LOGIN_OUT_OF_RESOURCES);
		return;
	}
	*l = (struct login_op){ .op = { .group = c->group, .take = login_take, .committed = login_committed }, .conn = c };
	c->op = l;
	c->on_record = true;
	c->login = LOGIN_RECORDING;
	commit_submit(c->r->ctl, &l->op);
}

/* ---- ending connections ---- */

static void kill_run(struct msg *m, void *reactor)
{
	struct conn *c = container_of(m, struct conn, msg_kill);

	(void)reactor;
	conn_close(c, c->kill_end, c->kill_why);
}

static void kill_conn(struct conn *c, const char *why)
{
	bool moving = c->login == LOGIN_MOVING;

	if (!moving)
		c->login = LOGIN_KILLED;
	if (c->kill_why)
		return;
	c->kill_why = why;
	if (moving)
		return;  /* when it has arrived: registry_moved() */
	c->msg_kill.run = kill_run;
	queue_push(&c->r->in, &c->msg_kill);
}

static void lose_run(struct msg *m, void *reactor)
{
	struct conn *c = container_of(m, struct conn, msg_lose);

	(void)reactor;
	conn_lose(c, CONN_END_FIN, "its CID has logged in again");
}

/* The reactor knows whether its tasks may be reassigned, and it is lost, or not, and it goes */
static void lose_conn(struct conn *c)
{
	c->login = LOGIN_LOST;
	c->msg_lose.run = lose_run;
	queue_push(&c->r->in, &c->msg_lose);
}

void registry_kill(struct session *s, const char *why)
{
	struct conn *c;

	s->live = false;
	list_for_each(c, &s->conns, of_session)
		kill_conn(c, why);
}

/* ---- a leading connection ---- */

/* Return: false while one of the older sessions of the nexus is still there */
static bool old_are_gone(struct conn *c)
{
	struct session *old;
	bool gone = true;

	list_for_each(old, &c->r->ctl->sessions, link) {
		if (old == c->session)
			break;
		if (!same_nexus(old, c))
			continue;
		gone = false;
		if (old->number > c->number && old->live) {
			kill_conn(c, "its initiator has given it up for a newer one");
			break;
		}
		c->session->known = true;
		registry_kill(old, "the same initiator port has logged in again");
	}
	return gone;
}

static void lead(struct conn *c)
{
	struct control *ctl = c->r->ctl;

	if (!old_are_gone(c))
		return;
	if (registry_admitted(ctl, c->group) >= ctl->view->conf->opt.max_sessions)
		refuse(c, ISC_LOGIN_OUT_OF_RESOURCES);
	else
		record(c);
}

/* ---- a further connection ---- */

/* Return: false while a connection with its CID is still there. One that is lost is in nobody's way. */
static bool old_is_gone(struct conn *c)
{
	struct conn *old;
	bool gone = true;

	list_for_each(old, &c->session->conns, of_session) {
		if (old == c)
			break;
		if (old->cid != c->cid || old->lost)
			continue;
		gone = false;
		if (old->number > c->number && old->login < LOGIN_LOST) {
			kill_conn(c, "its initiator has given it up for a newer one");
			break;
		}
		if (old->login == LOGIN_LIVE)
			lose_conn(old);
		else if (old->login < LOGIN_LIVE)
			kill_conn(old, "its CID has logged in again");
	}
	return gone;
}

static unsigned count(const struct session *s)
{
	struct conn *c;
	unsigned n = 0;

	list_for_each(c, &s->conns, of_session)
		n += c->login < LOGIN_LOST;
	return n;
}

static bool is_left(const struct session *s)
{
	const struct conn *c;

	list_for_each(c, &s->conns, of_session)
		if (c->login < LOGIN_LOST || c->lost)
			return true;
	return false;
}

static void join(struct conn *c)
{
	struct session *s = c->session;

	if (!s) {
		s = session_named(c);
		if (!s || !is_left(s)) {
			refuse(c, ISC_LOGIN_NO_SESSION);
			return;
		}
		attach(s, c);
	}
	if (!old_is_gone(c))
		return;
	if (!s->live) {
		refuse(c, ISC_LOGIN_NO_SESSION);
	} else if (count(s) > s->max_connections) {
		refuse(c, ISC_LOGIN_TOO_MANY_CONNS);
	} else if (c->r != s->r) {
		c->login = LOGIN_MOVING;
		c->msg_move.run = conn_move_run;
		queue_push(&c->r->in, &c->msg_move);
	} else {
		record(c);
	}
}

/* Nobody has it at this moment. Whatever happened to its session or its group meanwhile is looked at from the start. */
void registry_moved(struct msg *m, void *ctl)
{
	struct conn *c = container_of(m, struct conn, msg_move);
	const char *why = c->kill_why;

	c->r = c->session->r;
	c->msg_move.run = conn_adopt_run;
	queue_push(&c->r->in, &c->msg_move);
	c->login = LOGIN_PARKED;
	if (!why && c->group->state != GROUP_ACTIVE) {  /* those who closed its connections have missed this one */
		why = "the group is not served here any more";
		c->kill_end = ((struct control *)ctl)->cluster ? CONN_END_SILENT : CONN_END_FIN;
	}
	c->kill_why = NULL;
	if (why)
		kill_conn(c, why);
	else
		advance(c);
}

/* ---- steps ---- */

static void advance(struct conn *c)
{
	if (c->login == LOGIN_PARKED && c->group->state == GROUP_ACTIVE)
		c->login = LOGIN_WAIT_OLD;
	if (c->login != LOGIN_WAIT_OLD)
		return;
	if (c->tsih)
		join(c);
	else
		lead(c);
}

void registry_group_active(struct group *g)
{
	advance_all(g->ctl);
}

/* ---- from the reactors ---- */

static uint64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void registry_login(struct msg *m, void *arg)
{
	struct conn *c = container_of(m, struct conn, msg_login);
	struct control *ctl = arg;

	list_add_tail(&ctl->conns, &c->known);
	c->since_ms = wall_ms();
	c->login = LOGIN_PARKED;
	if (!c->tsih && !session_new(c))
		refuse(c, ISC_LOGIN_OUT_OF_RESOURCES);
	else if (c->discovery)
		admit(c);
	else
		advance(c);
}

void registry_lost(struct msg *m, void *arg)
{
	struct conn *c = container_of(m, struct conn, msg_lost);

	c->lost = true;
	if (c->login == LOGIN_LIVE)
		c->login = LOGIN_LOST;
	advance_all(arg);
}

void registry_gone(struct msg *m, void *arg)
{
	struct conn *c = container_of(m, struct conn, msg_gone);
	struct session *s = c->session;
	struct control *ctl = arg;

	if (c->op)
		c->op->conn = NULL;
	list_del(&c->known);
	list_del(&c->of_session);
	if (c->on_record && c->group->state == GROUP_ACTIVE)
		commit_dirty(c->group);
	queue_push(&c->r->in, &c->msg_free);  /* nobody refers to it any more */
	if (s && list_empty(&s->conns))
		session_over(s);
	advance_all(ctl);
}
