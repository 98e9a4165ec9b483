/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.c - what is the same for every transport
 */
#include "fencing/transport.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "node/util/util.h"

uint64_t fence_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int fence_poll(int fd, short events, uint64_t until_ms, const struct fence_wait *w)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = w->wake_fd, .events = POLLIN }, { .fd = fd, .events = events } };
		uint64_t now = fence_now_ms();

		if (poll(p, 2, until_ms > now ? (int)MIN(until_ms - now, (uint64_t)60000) : 0) < 0) {
			if (errno == EINTR)
				continue;
			return POLLERR;
		}
		if (p[0].revents && w->stop && w->stop(w->arg))
			return -1;
		if (p[1].revents)
			return p[1].revents;
		if (fence_now_ms() >= until_ms)
			return 0;
	}
}

struct fence_transport *fence_transport_open(const char *spec, const struct fence_dev_opts *opts,
					     char ret_err[static FENCE_TEXT])
{
	if (strncmp(spec, "iscsi://", 8) == 0)
		return fence_iscsi_open(spec, opts, ret_err);
	if (spec[0] == '/')
		return fence_sg_open(spec, NULL, ret_err);
	snprintf(ret_err, FENCE_TEXT, "'%.80s' is neither iscsi://[user%%password@]host[:port]/iqn/lun nor /dev/…", spec);
	return NULL;
}

char *fence_spec_for_people(const char *spec)
{
	const char *host = strncmp(spec, "iscsi://", 8) == 0 ? spec + 8 : NULL;
	size_t len = host ? strcspn(host, "/") : 0;
	const char *at = host ? memrchr(host, '@', len) : NULL;
	char *s = NULL;

	if (!at)
		return strdup(spec);
	if (asprintf(&s, "iscsi://%s", at + 1) < 0)
		return NULL;
	return s;
}

void fence_transport_scsi(struct fence_transport *t, struct fence_scsi *s, const struct fence_wait *w)
{
	s->received = s->sense_len = 0;
	s->status = 0xff;
	s->text[0] = '\0';
	s->delivery = FENCE_NOT_SENT;
	if (t->ops->up(t) || t->ops->connect(t, w, s->text))
		t->ops->exec(t, s, w);
}

void fence_transport_pr(struct fence_transport *t, const struct fence_cmd *cmd, struct fence_result *res,
			const struct fence_wait *w)
{
	struct fence_scsi s = { .cdb_len = FENCE_CDB_LEN, .out = fence_cmd_is_out(cmd->op) };
	uint8_t out[FENCE_OUT_LEN], in[FENCE_IN_MAX];
	int out_len = fence_cmd_encode(cmd, s.cdb, out);

	if (out_len < 0) {
		fence_result_unsent(res, cmd, "unknown command");
		return;
	}
	s.data = s.out ? out : in;
	s.data_len = s.out ? (size_t)out_len : fence_cmd_in_len(cmd);
	fence_transport_scsi(t, &s, w);
	if (s.delivery == FENCE_ANSWERED)
		fence_result_scsi(res, cmd, s.status, in, s.out ? 0 : s.received, s.sense, s.sense_len);
	else if (s.delivery == FENCE_NO_ANSWER)
		fence_result_lost(res, cmd, s.text);
	else
		fence_result_unsent(res, cmd, s.text);
}
