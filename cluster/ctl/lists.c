/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lists.c - sessions, reservations, events for people */
#include <inttypes.h>
#include <string.h>

#include "cluster/ctl/ctl.h"
#include "proto/sessions.h"

/* ---- sessions ---- */

static void session_row(struct table *t, const Lunward__SessionInfo *i, uint64_t now_ms)
{
	const Lunward__Connection *c = i->connection;
	char from[WORD_MAX], to[WORD_MAX], age[WORD_MAX], rd[WORD_MAX], wr[WORD_MAX];

	table_cell(t, "%s", c->initiator);
	table_cell(t, "%" PRIu32, c->tsih);
	table_cell(t, "%" PRIu32, c->cid);
	table_cell(t, "%s", word_endpoint(c->client_addr, c->client_port, from));
	table_cell(t, "%s", word_endpoint(c->portal_addr, c->portal_port, to));
	table_cell(t, "%s", c->since_ms ? word_age((int64_t)(now_ms - c->since_ms), age) : "-");
	table_cell(t, "%s", word_bytes(i->bytes_read, rd));
	table_cell(t, "%s", word_bytes(i->bytes_written, wr));
}

/* Those of one target, if it has not been printed yet: the list need not be sorted. */
static void sessions_of(FILE *f, const Lunward__GroupSessions *g, size_t first, uint64_t now_ms)
{
	const char *target = g->sessions[first]->connection->target;
	struct table *t;

	for (size_t i = 0; i < first; i++)
		if (g->sessions[i]->connection && !strcmp(g->sessions[i]->connection->target, target))
			return;
	fprintf(f, "  target %s\n", target);
	t = table_new("INITIATOR|>TSIH|>CID|FROM|TO|>FOR|>READ|>WRITTEN");
	for (size_t i = first; i < g->n_sessions; i++)
		if (g->sessions[i]->connection && !strcmp(g->sessions[i]->connection->target, target))
			session_row(t, g->sessions[i], now_ms);
	table_print(t, f, 4);
}

void sessions_print(FILE *f, const Lunward__CtlSessions *s, uint64_t now_ms)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		const Lunward__GroupSessions *g = s->groups[i];
		uint32_t n = sessions_count(g->sessions, g->n_sessions);

		fprintf(f, "%sgroup %s: %" PRIu32 " session%s", i ? "\n" : "", g->group, n, n == 1 ? "" : "s");
		if (n != g->n_sessions)
			fprintf(f, ", %zu connections", g->n_sessions);
		fputc('\n', f);
		for (size_t j = 0; j < g->n_sessions; j++)
			if (g->sessions[j]->connection)
				sessions_of(f, g, j, now_ms);
	}
	if (s->n_groups == 0)
		fputs("no sessions\n", f);
}

/* ---- reservations ---- */

/* SPC-4 table 66 (PERSISTENT RESERVATION TYPE) */
static const char *type_name(uint32_t type)
{
	static const char *const names[] = {
		[1] = "Write Exclusive",
		[3] = "Exclusive Access",
		[5] = "Write Exclusive, Registrants Only",
		[6] = "Exclusive Access, Registrants Only",
		[7] = "Write Exclusive, All Registrants",
		[8] = "Exclusive Access, All Registrants",
	};

	return type < ARRAY_SIZE(names) && names[type] ? names[type] : "unknown type";
}

static void lu_print(FILE *f, const Lunward__LuReservations *lu)
{
	bool all = lu->type == 7 || lu->type == 8;
	struct table *t;
	char isid[WORD_MAX];

	if (!lu->type && !lu->spc2_initiator[0] && !lu->n_registrations) {
		fprintf(f, "  LUN %" PRIu32 " of %s: not reserved, nobody is registered\n", lu->lun, lu->target);
		return;
	}
	fprintf(f, "  LUN %" PRIu32 " of %s\n    ", lu->lun, lu->target);
	if (lu->type)
		fprintf(f, "%s (type %" PRIu32 ")", type_name(lu->type), lu->type);
	else if (lu->spc2_initiator[0])
		fprintf(f, "reserved by %s (SPC-2 RESERVE)", lu->spc2_initiator);
	else
		fputs("not reserved", f);
	fprintf(f, ", generation %" PRIu32 "%s\n", lu->generation, lu->aptpl ? ", survives power loss (APTPL)" : "");
	if (lu->n_registrations == 0)
		return;
	t = table_new("REGISTERED|ISID|>PORT|KEY|");
	for (size_t i = 0; i < lu->n_registrations; i++) {
		const Lunward__Registration *r = lu->registrations[i];

		table_cell(t, "%s", r->initiator);
		table_cell(t, "%s", word_hex(r->isid, isid));
		table_cell(t, "%" PRIu32, r->rtpi);
		table_cell(t, "0x%016" PRIx64 "%s", r->key, lu->type && (all || i == lu->holder) ? "  holder" : "");
	}
	table_print(t, f, 4);
}

void reservations_print(FILE *f, const Lunward__CtlReservations *r)
{
	for (size_t i = 0; i < r->n_groups; i++) {
		const Lunward__GroupReservations *g = r->groups[i];

		fprintf(f, "%sgroup %s%s\n", i ? "\n" : "", g->group, g->n_lus ? "" : ": no reservations, no registrations");
		for (size_t j = 0; j < g->n_lus; j++)
			lu_print(f, g->lus[j]);
	}
	if (r->n_groups == 0)
		fputs("no reservations\n", f);
}

/* ---- events ---- */

void event_print(FILE *f, const Lunward__CtlEvent *e)
{
	bool info = !strcmp(e->severity, "info") || !e->severity[0];
	char at[WORD_MAX];

	fprintf(f, "%6" PRIu64 "  %s  %-10s  %-16s  %s%s%s\n", e->id, word_time(e->at_us, at), e->group[0] ? e->group : "-",
		e->kind, info ? "" : e->severity, info ? "" : ": ", e->text);
}
