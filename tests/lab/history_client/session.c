/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c - one iSCSI session: connect, log in, settle unit attentions, notice loss, come back
 *
 * Callbacks of libiscsi only take notes; contexts are destroyed by session_tick() alone, never inside a callback.
 * libiscsi does not call back for a PDU that was half sent when a context goes, so that every command of the
 * session is ended here by hand (lose_all()), and callbacks during the teardown are ignored.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/lab/history_client/history.h"

#define BACKOFF_FIRST_US 10000u
#define BACKOFF_MAX_US 200000u

static void lose(struct session *s, const char *why)
{
	if (s->lost || !s->iscsi)
		return;
	s->lost = true;
	snprintf(s->why, sizeof(s->why), "%s", json_text(why));
}

static enum outcome classify(struct session *s, int status, const struct scsi_task *task)
{
	switch (status) {
	case SCSI_STATUS_GOOD:
		return OUT_GOOD;
	case SCSI_STATUS_RESERVATION_CONFLICT:
		return OUT_CONFLICT;
	case SCSI_STATUS_BUSY:
	case SCSI_STATUS_TASK_SET_FULL:
		counters.busy++;
		return OUT_AGAIN;
	case SCSI_STATUS_CHECK_CONDITION:
		if (task && task->sense.key == SCSI_SENSE_UNIT_ATTENTION) {
			counters.unit_attentions++;
			event("ua", s, "\"asc\": \"%04x\"", (unsigned)task->sense.ascq);
			return OUT_AGAIN;
		}
		return OUT_ERROR;
	default:
		return OUT_LOST;
	}
}

void cmd_cb(struct iscsi_context *iscsi, int status, void *command_data, void *private_data)
{
	struct cmd *c = private_data;
	struct session *s = c->s;
	enum outcome out;

	(void)command_data;
	if (s->tearing_down || !c->task)
		return;
	out = classify(s, status, c->task);
	if (out == OUT_LOST) {          /* ended by lose_all(), with all the others */
		lose(s, iscsi_get_error(iscsi));
		return;
	}
	if (out == OUT_ERROR)
		violation("check-condition", s, "\"op\": \"%02x\", \"status\": %d, \"key\": %d, \"asc\": \"%04x\"",
			  c->task->cdb[0], status, c->task->sense.key, (unsigned)c->task->sense.ascq);
	c->done(c, out);
	scsi_free_scsi_task(c->task);
	c->task = NULL;
}

bool cmd_issued(struct session *s, struct cmd *c, struct scsi_task *task)
{
	if (!task) {
		lose(s, iscsi_get_error(s->iscsi));
		return false;
	}
	c->s = s;
	c->task = task;
	c->issued_us = client.now_us;
	return true;
}

static void lose_cmd(struct cmd *c)
{
	struct scsi_task *task = c->task;

	if (!task)
		return;
	c->task = NULL;
	c->done(c, OUT_LOST);
	scsi_free_scsi_task(task);
}

static void lose_all(struct session *s)
{
	lose_cmd(&s->admin);
	for (unsigned i = 0; s->io && i < client.o.depth; i++)
		lose_cmd(&s->io[i].cmd);
}

/* 20, 40, 80, 160, then 200 ms */
static uint64_t backoff_us(unsigned attempts)
{
	return attempts > 4 ? BACKOFF_MAX_US : (uint64_t)BACKOFF_FIRST_US << attempts;
}

static void tear_down(struct session *s)
{
	bool was_ready = s->state >= SESS_SETTLING;

	event(was_ready ? "lost" : "attempt-failed", s, "\"why\": \"%s\"", s->why);
	s->tearing_down = true;
	iscsi_destroy_context(s->iscsi);
	s->iscsi = NULL;
	lose_all(s);
	s->tearing_down = s->lost = false;
	s->state = SESS_DOWN;
	if (was_ready) {
		s->attempts = 0;
		s->reconnects++;
		counters.reconnects++;
		s->next_try_us = client.now_us;
	} else {
		s->next_try_us = client.now_us + backoff_us(s->attempts);
	}
}

/* ---- coming up ---- */
static void settle(struct session *s);

static void settle_done(struct cmd *c, enum outcome out)
{
	if (out == OUT_GOOD || (out == OUT_CONFLICT && c->s->outsider))
		c->s->settle_lun++;
	else if (out == OUT_CONFLICT)
		violation("conflict", c->s, "\"op\": \"TEST UNIT READY\"");
}

/* TEST UNIT READY on each LUN until it is GOOD: one unit attention an answer, SPC-4 5.14 */
static void settle(struct session *s)
{
	if (s->admin.task)
		return;
	if (s->settle_lun < client.o.n_luns) {
		s->admin.done = settle_done;
		cmd_issued(s, &s->admin, iscsi_testunitready_task(s->iscsi, (int)client.lun[s->settle_lun].number,
								   cmd_cb, &s->admin));
		return;
	}
	s->state = SESS_READY;
	s->first_io_pending = true;
	s->due_us = s->watch_due_us = client.now_us;
	event("ready", s, "\"attempts\": %u", s->attempts);
}

static void login_cb(struct iscsi_context *iscsi, int status, void *command_data, void *private_data)
{
	struct session *s = private_data;

	(void)command_data;
	if (s->tearing_down)
		return;
	if (status != SCSI_STATUS_GOOD) {
		/* an answer that says no: RFC 7143 11.13.5. A connection that breaks comes as CANCELLED. */
		if (status == SCSI_STATUS_ERROR || status == SCSI_STATUS_REDIRECT)
			violation("login-reject", s, "\"why\": \"%s\"", json_text(iscsi_get_error(iscsi)));
		lose(s, iscsi_get_error(iscsi));
		return;
	}
	event("login", s, "\"attempts\": %u", s->attempts);
	s->state = SESS_SETTLING;
	s->settle_lun = 0;
}

static void connect_cb(struct iscsi_context *iscsi, int status, void *command_data, void *private_data)
{
	struct session *s = private_data;

	(void)command_data;
	if (s->tearing_down)
		return;
	if (status != SCSI_STATUS_GOOD) {
		lose(s, iscsi_get_error(iscsi));
		return;
	}
	event("connected", s, "\"attempts\": %u", s->attempts);
	s->state = SESS_LOGIN;
	s->deadline_us = client.now_us + client.o.login_ms * 1000ull;
	if (iscsi_login_async(iscsi, login_cb, s) != 0)
		lose(s, iscsi_get_error(iscsi));
}

static struct iscsi_context *make_context(const struct session *s)
{
	char name[256];
	struct iscsi_context *iscsi;

	snprintf(name, sizeof(name), "%s%s", client.o.initiator, s->outsider ? ":outsider" : "");
	iscsi = iscsi_create_context(name);
	if (!iscsi)
		return NULL;
	iscsi_set_noautoreconnect(iscsi, 1);
	iscsi_set_isid_random(iscsi, 0x4c57, s->index);     /* the same at every login: one I_T nexus */
	iscsi_set_targetname(iscsi, client.o.target);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(iscsi, client.o.header_digest ? ISCSI_HEADER_DIGEST_CRC32C : ISCSI_HEADER_DIGEST_NONE);
	return iscsi;
}

static void start_connecting(struct session *s)
{
	s->attempts++;
	if (s->attempts == 1)
		event("connecting", s, "\"reconnects\": %u", s->reconnects);
	s->iscsi = make_context(s);
	s->state = SESS_CONNECTING;
	s->deadline_us = client.now_us + client.o.connect_ms * 1000ull;
	if (!s->iscsi || iscsi_connect_async(s->iscsi, client.o.portal, connect_cb, s) != 0)
		lose(s, s->iscsi ? iscsi_get_error(s->iscsi) : "out of memory");
}

/* ---- the loop's side ---- */
static void check_timeouts(struct session *s)
{
	uint64_t limit = client.now_us - client.o.io_ms * 1000ull;
	bool late = s->admin.task && s->admin.issued_us < limit;

	if ((s->state == SESS_CONNECTING || s->state == SESS_LOGIN) && client.now_us > s->deadline_us)
		lose(s, s->state == SESS_LOGIN ? "no login response in time" : "no connection in time");
	for (unsigned i = 0; s->io && i < client.o.depth; i++)
		late |= s->io[i].cmd.task && s->io[i].cmd.issued_us < limit;
	if (late && !s->lost) {
		counters.timeouts++;
		lose(s, "a command was not answered in time");
	}
}

/** session_tick() - Everything that is due: teardown, next attempt, settling, timeouts */
void session_tick(struct session *s)
{
	check_timeouts(s);
	if (s->lost)
		tear_down(s);
	if (s->state == SESS_DOWN && client.now_us >= s->next_try_us)
		start_connecting(s);
	if (s->state == SESS_SETTLING && !s->lost)
		settle(s);
}

int session_events(struct session *s, int *ret_fd)
{
	*ret_fd = s->iscsi && !s->lost ? iscsi_get_fd(s->iscsi) : -1;
	return *ret_fd < 0 ? 0 : iscsi_which_events(s->iscsi) | POLLRDHUP;
}

void session_service(struct session *s, int revents)
{
	if (!s->iscsi || s->lost)
		return;
	if (iscsi_service(s->iscsi, revents & ~POLLRDHUP) != 0)
		lose(s, iscsi_get_error(s->iscsi));
	else if (revents & (POLLRDHUP | POLLHUP | POLLERR))
		lose(s, revents & POLLERR ? "connection reset" : "connection closed by the target");
	if (s->lost && s->state == SESS_CONNECTING)
		counters.refused++;
}

void session_close(struct session *s)
{
	if (!s->iscsi)
		return;
	lose(s, "client ends");
	s->state = SESS_DOWN;
	tear_down(s);
}

void session_init(struct session *s, unsigned index, bool outsider)
{
	*s = (struct session){ .index = index, .outsider = outsider, .next_try_us = client.now_us };
	s->admin.s = s;
	if (!outsider)
		load_init(s);
}
