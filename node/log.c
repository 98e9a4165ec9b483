/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.c - logging: libqb is used by the control thread alone
 *
 * A reactor formats its line and sends it over. Lines on their way are bounded; what is lost is counted and said.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <syslog.h>

#include <qb/qblog.h>

#include "node/node.h"

struct log_line {
	struct msg msg;
	struct reactor *r;
	int priority;
	char text[400];
};

static void log_out(struct msg *m, void *ctl)
{
	struct log_line *l = container_of(m, struct log_line, msg);

	(void)ctl;
	qb_log((uint8_t)l->priority, "reactor %u: %s", l->r->index, l->text);
	atomic_fetch_sub(&l->r->n_logs, 1);
	free(l);
}

void rlog(struct reactor *r, int priority, const char *fmt, ...)
{
	struct log_line *l = NULL;
	va_list ap;

	if (atomic_load(&r->n_logs) < LOGS_MAX)
		l = malloc(sizeof(*l));
	if (!l) {
		r->lost_logs++;
		return;
	}
	*l = (struct log_line){ .msg.run = log_out, .r = r, .priority = priority };
	va_start(ap, fmt);
	vsnprintf(l->text, sizeof(l->text), fmt, ap);
	va_end(ap);
	for (char *p = l->text; *p; p++)  /* names of initiators are in it: they must not make lines of their own */
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (r->lost_logs && priority <= LOG_WARNING) {
		size_t n = strlen(l->text);

		snprintf(l->text + n, sizeof(l->text) - n, " (%u lines lost before)", r->lost_logs);
		r->lost_logs = 0;
	}
	atomic_fetch_add(&r->n_logs, 1);
	control_send(r->ctl, &l->msg);
}

/* To stderr: whoever started us (systemd, clusterd, a person) reads it there. */
void log_start(const char *name, int max_priority)
{
	qb_log_init(name, LOG_DAEMON, (uint8_t)max_priority);
	qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_ENABLED, QB_FALSE);
	qb_log_filter_ctl(QB_LOG_STDERR, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*", (uint8_t)max_priority);
	qb_log_format_set(QB_LOG_STDERR, "%T %N[%P] %7p: %b");
	qb_log_ctl(QB_LOG_STDERR, QB_LOG_CONF_ENABLED, QB_TRUE);
}

void log_stop(void)
{
	qb_log_fini();
}
