/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.c - JSON lines, gaps, violations, the summary. Times are CLOCK_REALTIME in microseconds: all machines of
 * the lab share that clock, so that what a client saw can be laid beside what a node did. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/lab/history_client/history.h"

#define ALIVE_US 1000000u
#define KINDS 16

struct counters counters;
static FILE *out;
static struct { const char *kind; uint64_t n; } kinds[KINDS];
static uint64_t n_violations, first_us, last_any_us, gap_any_us, gap_session_us;

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void report_open(const char *path)
{
	out = path ? fopen(path, "we") : NULL;
	if (path && !out) {
		perror(path);
		exit(2);
	}
	if (out)
		setvbuf(out, NULL, _IOLBF, 0);
}

/** json_text() - Without what would break a JSON string; static buffer, one use at a time */
const char *json_text(const char *s)
{
	static char buf[256];
	size_t n = 0;

	for (; *s && n + 1 < sizeof(buf); s++)
		buf[n++] = *s < ' ' || *s > '~' || *s == '"' || *s == '\\' ? ' ' : *s;
	buf[n] = 0;
	return buf;
}

static void line(FILE *f, const char *ev, const struct session *s, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));
static void line(FILE *f, const char *ev, const struct session *s, const char *fmt, va_list ap)
{
	if (!f)
		return;
	fprintf(f, "{\"t\": %llu, \"ev\": \"%s\"", (unsigned long long)now_us(), ev);
	if (s)
		fprintf(f, ", \"s\": %u", s->index);
	if (fmt[0]) {
		fputs(", ", f);
		vfprintf(f, fmt, ap);
	}
	fputs("}\n", f);
}

void event(const char *ev, const struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(out, ev, s, fmt, ap);
	va_end(ap);
}

static void count_kind(const char *kind)
{
	n_violations++;
	for (size_t i = 0; i < KINDS; i++) {
		if (kinds[i].kind && strcmp(kinds[i].kind, kind) != 0)
			continue;
		kinds[i].kind = kind;
		kinds[i].n++;
		return;
	}
}

void violation(const char *kind, const struct session *s, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	count_kind(kind);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	event("violation", s, "\"kind\": \"%s\", %s", kind, text);
	if (n_violations <= 20)
		fprintf(stderr, "history: VIOLATION %s, session %u: %s\n", kind, s ? s->index : 0, text);
}

static void gap(const struct session *s, uint64_t from, uint64_t to, uint64_t *max)
{
	if (!from)
		return;
	*max = MAX(*max, to - from);
	if (to - from >= client.o.gap_ms * 1000ull)
		event(s ? "gap" : "gap-any", s, "\"from\": %llu, \"to\": %llu, \"ms\": %.1f",
		      (unsigned long long)from, (unsigned long long)to, (double)(to - from) / 1000);
}

/** report_done() - An I/O was completed: counts it and closes the gap before it */
void report_done(struct session *s, bool write)
{
	uint64_t now = now_us();

	if (!first_us)
		first_us = now;
	(*(write ? &counters.writes : &counters.reads))++;
	gap(s, s->last_done_us, now, &gap_session_us);
	gap(NULL, last_any_us, now, &gap_any_us);
	s->last_done_us = last_any_us = now;
	if (now - s->alive_us >= ALIVE_US) {
		s->alive_us = now;
		event("alive", s, "\"write\": %s", write ? "true" : "false");
	}
	if (s->first_io_pending) {
		s->first_io_pending = false;
		event("first-io", s, "\"write\": %s", write ? "true" : "false");
	}
}

/** report_gap_break() - A pause that was meant (draining, verifying) is no gap */
void report_gap_break(struct session *s)
{
	s->last_done_us = last_any_us = 0;
}

int report_summary(void)
{
	bool ok = n_violations == 0 && client.verified;

	printf("{\"ok\": %s, \"finished\": %s, \"violations\": %llu, \"kinds\": {", ok ? "true" : "false",
	       client.verified ? "true" : "false", (unsigned long long)n_violations);
	for (size_t i = 0; i < KINDS && kinds[i].kind; i++)
		printf("%s\"%s\": %llu", i ? ", " : "", kinds[i].kind, (unsigned long long)kinds[i].n);
	printf("}, \"reads\": %llu, \"writes\": %llu, \"torn\": %llu, \"reissued\": %llu, \"verified_blocks\": %llu, "
	       "\"reconnects\": %llu, \"refused\": %llu, \"timeouts\": %llu, \"unit_attentions\": %llu, \"busy\": %llu, "
	       "\"pr_checks\": %llu, \"outsider_conflicts\": %llu, \"gap_any_ms\": %.1f, \"gap_session_ms\": %.1f}\n",
	       (unsigned long long)counters.reads, (unsigned long long)counters.writes,
	       (unsigned long long)counters.torn, (unsigned long long)counters.reissued,
	       (unsigned long long)counters.verified_blocks,
	       (unsigned long long)counters.reconnects, (unsigned long long)counters.refused,
	       (unsigned long long)counters.timeouts, (unsigned long long)counters.unit_attentions,
	       (unsigned long long)counters.busy, (unsigned long long)counters.pr_checks,
	       (unsigned long long)counters.outsider_conflicts, (double)gap_any_us / 1000,
	       (double)gap_session_us / 1000);
	if (out)
		fclose(out);
	out = NULL;
	return ok ? 0 : n_violations ? 1 : 3;
}
