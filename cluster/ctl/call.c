/* SPDX-License-Identifier: GPL-2.0-or-later */
/* call.c - one request to clusterd, its progress, its outcome */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "cluster/ctl/ctl.h"

#define GRACE_MS 500

uint64_t ctl_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

enum ctl_exit ctl_fail(const struct ctl_args *a, enum ctl_exit code, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (a->opts & OPT_JSON) {
		fputs("{\"ok\": false, \"error\": ", a->out);
		json_string(a->out, text ? text : "out of memory");
		fputs("}\n", a->out);
	} else {
		fprintf(a->err, "lunwardctl: %s\n", text ? text : "out of memory");
	}
	return code;
}

enum ctl_exit ctl_ask(struct ctl_link **l, const struct ctl_args *a, int timeout_ms, Lunward__CtlRequest *req)
{
	_cleanup_free_ char *why = NULL;
	int r = link_open(l, &why);

	if (r < 0)
		return ctl_fail(a, CTL_NO_CLUSTERD, "%s", why ? why : strerror(-r));
	req->timeout_ms = (uint32_t)timeout_ms;
	r = link_send(*l, req);
	if (r < 0)
		return ctl_fail(a, CTL_NO_CLUSTERD, "cannot send to lunward-clusterd: %s", strerror(-r));
	return CTL_OK;
}

enum ctl_exit ctl_answer(struct ctl_link *l, const struct ctl_args *a, int timeout_ms, unsigned n,
			     Lunward__CtlReply **ret)
{
	_cleanup_reply_ Lunward__CtlReply *reply = NULL;
	_cleanup_free_ char *why = NULL;
	/* clusterd gives up after the same time and says why: let it */
	int r = link_receive(l, timeout_ms < 0 ? -1 : timeout_ms + GRACE_MS, &reply, &why);

	if (r == -ETIMEDOUT && n)
		return ctl_fail(a, CTL_FAILED, "not finished after %d ms, and still going on: see lunwardctl status",
				timeout_ms);
	if (r == -ETIMEDOUT)
		return ctl_fail(a, CTL_NO_CLUSTERD, "lunward-clusterd does not answer within %d ms; it may be waiting for "
				"corosync or a disk: look at journalctl -u lunward-clusterd, or give --timeout SECONDS",
				timeout_ms);
	if (r < 0)
		return ctl_fail(a, CTL_NO_CLUSTERD, "%s", why ? why : strerror(-r));
	if (!reply->ok)
		return ctl_fail(a, CTL_FAILED, "%s", reply->error[0] ? reply->error : "refused, without a reason");
	*ret = steal_ptr(reply);
	return CTL_OK;
}

enum ctl_exit ctl_call(const struct ctl_command *cmd, const struct ctl_args *a, Lunward__CtlRequest *req,
			      Lunward__CtlReply **ret)
{
	int timeout_ms = a->timeout_ms ? a->timeout_ms : cmd->timeout_ms;
	_cleanup_link_ struct ctl_link *l = NULL;
	enum ctl_exit e = ctl_ask(&l, a, timeout_ms, req);

	for (unsigned n = 0; e == CTL_OK; n++) {
		_cleanup_reply_ Lunward__CtlReply *reply = NULL;

		e = ctl_answer(l, a, timeout_ms, n, &reply);
		if (e == CTL_OK && !reply->more) {
			*ret = steal_ptr(reply);
			return CTL_OK;
		}
		if (e == CTL_OK && reply->text[0] && !(a->opts & OPT_JSON)) {
			fprintf(a->out, "%s\n", reply->text);
			fflush(a->out);
		}
	}
	return e;
}

enum ctl_exit ctl_wrong_reply(const struct ctl_args *a)
{
	return ctl_fail(a, CTL_NO_CLUSTERD, "lunward-clusterd answered something else than was asked; use the lunwardctl of "
			"the same release");
}

enum ctl_exit ctl_done(const struct ctl_args *a, const Lunward__CtlReply *r, const char *otherwise)
{
	const char *text = r->text[0] ? r->text : otherwise;

	if (a->opts & OPT_JSON) {
		fputs("{\"ok\": true, \"text\": ", a->out);
		json_string(a->out, text);
		fputs("}\n", a->out);
	} else {
		fprintf(a->out, "%s\n", text);
	}
	return CTL_OK;
}
