/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport_iscsi.c - an iSCSI session of our own, through libiscsi
 *
 * Theory of operation
 *
 * libiscsi's own reconnect is off, for two reasons: it sends commands again that were in flight, which for a PERSISTENT
 * RESERVE OUT must be decided by reading back; and it makes a new random ISID, that is another I_T nexus, to
 * which our registration does not belong. A lost session is thrown away as a whole here, and a new one is logged in
 * with the same initiator name and ISID: session reinstatement (RFC 7143 6.3.5). Nor is its TEST UNIT READY after login
 * wanted: it would swallow the unit attentions that arbitrate.c has to see.
 *
 * While idle, the session is pinged, so that a dead one is found before it is needed.
 *
 * Names are resolved by the system's resolver, which blocks: name portals by address.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "fencing/transport.h"
#include "node/util/util.h"

#define PING_MS 2000u       /* idle time between pings, and how long one may take */
#define MAX_REDIRECTS 3u

struct is {
	struct fence_transport t;
	struct iscsi_context *ctx;    /* NULL: down */
	char *initiator, *user, *password, *portal, *target;
	uint8_t isid[6];
	int lun;
	/* set by callbacks */
	bool done, pong;
	int status;
	char err[FENCE_TEXT];         /* libiscsi's words at that time; it overwrites them soon */
	char moved_to[128];           /* by a login redirection */
};

static bool is_up(const struct fence_transport *t)
{
	return container_of(t, const struct is, t)->ctx != NULL;
}

static void drop(struct is *is)
{
	if (is->ctx)
		iscsi_destroy_context(is->ctx);
	is->ctx = NULL;
}

/* libiscsi's last words, on one line */
static void why(struct is *is, const char *what, char ret_err[static FENCE_TEXT])
{
	const char *e = is->err[0] ? is->err : is->ctx ? iscsi_get_error(is->ctx) : "";
	size_t n;

	n = (size_t)snprintf(ret_err, FENCE_TEXT, "%s%s%.150s", what, *e ? ": " : "", e);
	for (n = MIN(n, (size_t)FENCE_TEXT - 1); n > 0 && (ret_err[n - 1] == '\n' || ret_err[n - 1] == ' '); n--)
		ret_err[n - 1] = '\0';
}

static void begin(struct is *is)
{
	is->done = false;
	is->err[0] = '\0';
}

/* Serve the connection until is->done. Return: false and @ret_err if it broke, or it took too long, or was stopped */
static bool serve(struct is *is, uint64_t until_ms, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	while (!is->done) {
		int ev = fence_poll(iscsi_get_fd(is->ctx), (short)iscsi_which_events(is->ctx), until_ms, w);

		if (ev <= 0) {
			snprintf(ret_err, FENCE_TEXT, ev < 0 ? "canceled" : "timed out");
			return false;
		}
		if (iscsi_service(is->ctx, ev) < 0 && !is->done) {
			why(is, "connection lost", ret_err);
			return false;
		}
	}
	return true;
}

static void on_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct is *is = arg;

	(void)data;
	is->status = status;
	is->done = true;
	if (status != SCSI_STATUS_GOOD)
		snprintf(is->err, sizeof(is->err), "%s", iscsi_get_error(ctx));
}

/* Apply the ISID through libiscsi's constructors (RFC 7143 11.12.5: type in the upper two bits). */
static void set_isid(struct iscsi_context *ctx, const uint8_t i[6])
{
	uint32_t b = (uint32_t)i[1] << 16 | (uint32_t)i[2] << 8 | i[3], d = (uint32_t)i[4] << 8 | i[5];

	switch (i[0] >> 6) {
	case 0:
		iscsi_set_isid_oui(ctx, (uint32_t)(i[0] & 0x3f) << 16 | b >> 8, (b & 0xff) << 16 | d);
		break;
	case 1:
		iscsi_set_isid_en(ctx, b, d);
		break;
	default:
		iscsi_set_isid_random(ctx, b, d);
		break;
	}
}

static bool make_context(struct is *is)
{
	is->ctx = iscsi_create_context(is->initiator);
	if (!is->ctx)
		return false;
	iscsi_set_noautoreconnect(is->ctx, 1);
	iscsi_set_session_type(is->ctx, ISCSI_SESSION_NORMAL);
	iscsi_set_targetname(is->ctx, is->target);
	set_isid(is->ctx, is->isid);
	return !is->user || iscsi_set_initiator_username_pwd(is->ctx, is->user, is->password) == 0;
}

/* One phase of coming up. Return: true if it ended well */
static bool phase(struct is *is, int started, const char *what, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	uint64_t until = MIN(w->deadline_ms, fence_now_ms() + w->cmd_timeout_ms);
	char broke[FENCE_TEXT];
	int fd = iscsi_get_fd(is->ctx);

	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);  /* libiscsi does not; a child must not keep the session alive */
	if (started < 0) {
		why(is, what, ret_err);
		return false;
	}
	if (!serve(is, until, w, broke)) {
		snprintf(ret_err, FENCE_TEXT, "%s: %.100s", what, broke);
		return false;
	}
	if (is->status != SCSI_STATUS_GOOD)
		why(is, what, ret_err);
	return is->status == SCSI_STATUS_GOOD;
}

static bool log_in(struct is *is, const char *portal, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	begin(is);
	is->moved_to[0] = '\0';
	if (!make_context(is)) {
		snprintf(ret_err, FENCE_TEXT, "cannot set a session up: out of memory, or user or password too long");
		return false;
	}
	if (!phase(is, iscsi_connect_async(is->ctx, portal, on_done, is), "cannot connect", w, ret_err))
		return false;
	begin(is);
	if (phase(is, iscsi_login_async(is->ctx, on_done, is), "cannot log in", w, ret_err))
		return true;
	if (is->done && is->status == SCSI_STATUS_REDIRECT)
		snprintf(is->moved_to, sizeof(is->moved_to), "%s", iscsi_get_target_address(is->ctx));
	return false;
}

static bool is_connect(struct fence_transport *t, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	struct is *is = container_of(t, struct is, t);
	char portal[sizeof(is->moved_to)];

	snprintf(portal, sizeof(portal), "%s", is->portal);
	for (unsigned int i = 0; i <= MAX_REDIRECTS; i++) {
		char err[FENCE_TEXT];

		if (log_in(is, portal, w, err))
			return true;
		drop(is);
		snprintf(ret_err, FENCE_TEXT, "%.60s: %.120s", portal, err);
		if (!is->moved_to[0])
			return false;
		snprintf(portal, sizeof(portal), "%s", is->moved_to);
	}
	return false;
}

/* ---- commands ---- */

/* libiscsi hands sense data over with the two length bytes of RFC 7143 11.4.7.2 */
static void take_answer(struct fence_scsi *s, const struct scsi_task *task, int status)
{
	const uint8_t *in = task->datain.data;
	size_t n = in && task->datain.size > 0 ? (size_t)task->datain.size : 0;

	s->delivery = FENCE_ANSWERED;
	s->status = (uint8_t)status;
	if (status == SCSI_STATUS_CHECK_CONDITION && n > 2) {
		s->sense_len = MIN(n - 2, sizeof(s->sense));
		memcpy(s->sense, in + 2, s->sense_len);
	} else if (status == SCSI_STATUS_GOOD && !s->out) {
		s->received = MIN(n, s->data_len);
		if (s->received)
			memcpy(s->data, in, s->received);
	}
}

static void is_exec(struct fence_transport *t, struct fence_scsi *s, const struct fence_wait *w)
{
	struct is *is = container_of(t, struct is, t);
	uint64_t until = MIN(w->deadline_ms, fence_now_ms() + w->cmd_timeout_ms);
	int dir = !s->data_len ? SCSI_XFER_NONE : s->out ? SCSI_XFER_WRITE : SCSI_XFER_READ;
	struct iscsi_data out = { .size = s->data_len, .data = s->data };
	struct scsi_task *task = scsi_create_task(s->cdb_len, s->cdb, dir, (int)s->data_len);

	s->delivery = FENCE_NOT_SENT;
	begin(is);
	if (!task) {
		snprintf(s->text, sizeof(s->text), "out of memory");
		return;
	}
	if (iscsi_scsi_command_async(is->ctx, is->lun, task, on_done, s->out ? &out : NULL, is) != 0) {
		why(is, "cannot send", s->text);
		drop(is);
		scsi_free_scsi_task(task);
		return;
	}
	s->delivery = FENCE_NO_ANSWER;
	if (!serve(is, until, w, s->text))
		drop(is);
	else if (is->status >= 0 && is->status <= 0xff)
		take_answer(s, task, is->status);
	else {
		why(is, "connection lost", s->text);
		drop(is);
	}
	scsi_free_scsi_task(task);
}

/* ---- idle ---- */

static bool lost(struct is *is, const char *what, char ret_err[static FENCE_TEXT])
{
	is->err[0] = '\0';
	why(is, what, ret_err);
	drop(is);
	return false;
}

static void on_pong(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct is *is = arg;

	(void)ctx;
	(void)status;
	(void)data;
	is->pong = true;
}

/* What the target says by itself (NOP-In, Async Message, its end) is served meanwhile. */
static bool is_idle(struct fence_transport *t, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	struct is *is = container_of(t, struct is, t);
	uint64_t next = fence_now_ms() + PING_MS;
	bool pinging = false;

	for (;;) {
		int ev = fence_poll(iscsi_get_fd(is->ctx), (short)iscsi_which_events(is->ctx),
				    MIN(w->deadline_ms, next), w);

		if (ev < 0)
			return true;
		if (ev > 0 && iscsi_service(is->ctx, ev) < 0)
			return lost(is, "connection lost", ret_err);
		if (pinging && is->pong) {
			pinging = false;
			next = fence_now_ms() + PING_MS;
		}
		if (ev > 0)
			continue;
		if (fence_now_ms() >= w->deadline_ms)
			return true;
		if (pinging)
			return lost(is, "the target does not answer a ping", ret_err);
		is->pong = false;
		if (iscsi_nop_out_async(is->ctx, on_pong, NULL, 0, is) != 0)
			return lost(is, "cannot ping", ret_err);
		pinging = true;
		next = fence_now_ms() + PING_MS;
	}
}

/* ---- open and close ---- */

static void is_close(struct fence_transport *t)
{
	struct is *is = container_of(t, struct is, t);

	drop(is);
	if (is->password)
		explicit_bzero(is->password, strlen(is->password));
	free(is->initiator);
	free(is->user);
	free(is->password);
	free(is->portal);
	free(is->target);
	free(is);
}

static bool parse(struct is *is, const char *url)
{
	struct iscsi_context *ctx = iscsi_create_context(is->initiator);
	struct iscsi_url *u = ctx ? iscsi_parse_full_url(ctx, url) : NULL;
	bool ok = u != NULL;

	if (u) {
		is->portal = strdup(u->portal);
		is->target = strdup(u->target);
		is->user = u->user[0] ? strdup(u->user) : NULL;
		is->password = u->user[0] ? strdup(u->passwd) : NULL;
		is->lun = u->lun;
		ok = is->portal && is->target && (!u->user[0] || (is->user && is->password));
		explicit_bzero(u->passwd, sizeof(u->passwd));
		iscsi_destroy_url(u);
	}
	if (ctx)
		iscsi_destroy_context(ctx);
	return ok;
}

struct fence_transport *fence_iscsi_open(const char *url, const struct fence_dev_opts *opts,
					 char ret_err[static FENCE_TEXT])
{
	static const struct fence_transport_ops ops = {
		.up = is_up, .connect = is_connect, .exec = is_exec, .idle = is_idle, .close = is_close,
	};
	struct is *is = calloc(1, sizeof(*is));
	_cleanup_free_ char *shown = fence_spec_for_people(url);

	if (!is || !shown || !opts->initiator || !opts->initiator[0]) {
		snprintf(ret_err, FENCE_TEXT, is && shown ? "an iSCSI device needs an initiator name" : "out of memory");
		free(is);
		return NULL;
	}
	is->t.ops = &ops;
	memcpy(is->isid, opts->isid, sizeof(is->isid));
	is->initiator = strdup(opts->initiator);
	if (!is->initiator || !parse(is, url)) {
		snprintf(ret_err, FENCE_TEXT, "'%.80s' is not iscsi://[user%%password@]host[:port]/iqn/lun", shown);
		is_close(&is->t);
		return NULL;
	}
	return &is->t;
}
