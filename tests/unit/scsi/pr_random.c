/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_random.c - the two logical units side by side
 *
 * Each step is made into a CDB and a parameter list and goes the way a command goes: sc_op_start(), sc_op_param(),
 * sc_pr_apply(). Status, sense, unit attentions and aborts must be the model's; then PERSISTENT RESERVE IN must say what
 * the model says, and every nexus must get at the medium exactly as the model lets it.
 */
#include "tests/unit/scsi/pr_random.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/scsi/sc.h"
#include "node/util/util.h"
#include "node/util/wire.h"
#include "tests/unit/scsi/pr_model.h"

#define RTPI(t) ((uint16_t)((t) ? 7 : 1))  /* not consecutive */

static const char *const names[] = { "iqn.2026-11.org.example:alice", "iqn.2026-11.org.example:bob",
				     "eui.02004567a425678d", "iqn.2026-11.org.example:nobody" };
static const uint8_t isids[IPORTS][6] = { { 0x40, 0, 0, 1, 0, 0 }, { 0x40, 0, 0, 1, 0, 1 },
					  { 0x40, 0, 0, 1, 0, 0 }, { 0x80, 0xab, 0xcd, 0xef, 0x12, 0x34 } };
static const struct sc_tport ports[TPORTS] = { { 1, 1 }, { 7, 2 } };
static const uint16_t luns[] = { 0 };
static const struct sc_target target = { .name = "iqn.2026-11.org.example:disk", .ports = ports, .luns = luns,
					 .n_ports = TPORTS, .n_luns = 1 };

struct world {
	struct sc_lu lu;
	struct sc_nexus nx[NX];
	struct sc_itl itl[NX];
	struct model model;
	char *why;
	size_t why_len;
};

/* ---- random ---- */

static uint64_t rng(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1dull;
}

static unsigned pick(uint64_t *s, unsigned n) { return (unsigned)(rng(s) >> 33) % n; }
static bool one_in(uint64_t *s, unsigned n) { return pick(s, n) == 0; }

static int pick_what(uint64_t *s)
{
	static const uint8_t common[] = { 0, 0, 0, 0, 6, 6, 6, 6, 1, 1, 1, 1, 2, 2, 3, 4, 4, 4, 5, 5, 5, 7, 7, 8,
					  DO_RESERVE6, DO_RESERVE10, DO_RELEASE6, DO_RELEASE10,
					  EV_NEXUS_LOSS, EV_RESET, EV_POWER_LOSS };

	return one_in(s, 200) ? EV_LOSE : common[pick(s, ARRAY_SIZE(common))];
}

static struct step make_step(const struct model *m, uint64_t *s)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	struct step st = { .what = pick_what(s), .nx = (int)pick(s, NX) };

	if (m->type && one_in(s, 3))  /* often enough, the one who may */
		st.nx = m->holder;
	st.scope_type = types[pick(s, 6)];
	if (m->type && !one_in(s, 3))
		st.scope_type = (uint8_t)m->type;
	if (one_in(s, 25))
		st.scope_type = (uint8_t)(one_in(s, 2) ? pick(s, 256) : 0x10 | st.scope_type);
	st.key = one_in(s, 6) ? pick(s, 4) : st.what == 8 ? 0 : m->key[st.nx];
	st.sark = pick(s, 4);
	if (m->type && st.what >= 4 && st.what <= 5 && one_in(s, 2))
		st.sark = m->key[m->holder];
	st.aptpl = one_in(s, 2);
	st.all_tg_pt = one_in(s, st.what == 8 ? 20 : 5);
	st.spec_i_pt = one_in(s, st.what == 0 ? 4 : 40);
	st.unreg = one_in(s, 2);
	st.move_port = one_in(s, 12) ? TPORTS : (int)pick(s, TPORTS);
	st.n_tids = st.what == 7 ? 1 : pick(s, 3);
	for (unsigned i = 0; i < 2; i++) {
		st.tid[i].name_only = one_in(s, 3);
		st.tid[i].who = (int)pick(s, 4);  /* four ports, or three names and nobody */
	}
	st.known = pick(s, 16);
	return st;
}

/* ---- bytes ---- */

static uint32_t put_tid(uint8_t *p, const struct model_tid *id)
{
	char text[300] = { 0 };
	const uint8_t *i = isids[id->who];
	uint32_t len;

	if (id->name_only)
		snprintf(text, sizeof(text), "%s", names[id->who]);
	else
		snprintf(text, sizeof(text), "%s,i,0x%02X%02x%02X%02x%02x%02x", names[model_name_of[id->who]],
			 i[0], i[1], i[2], i[3], i[4], i[5]);
	len = ((uint32_t)strlen(text) + 4) & ~3u;
	p[0] = id->name_only ? 0x05 : 0x45;
	p[1] = 0;
	put_be16(p + 2, (uint16_t)len);
	memcpy(p + 4, text, len);
	return 4 + len;
}

static uint32_t put_list(uint8_t *p, const struct step *s)
{
	uint32_t n = 24;

	memset(p, 0, 28);
	put_be64(p, s->key);
	put_be64(p + 8, s->sark);
	if (s->what == 7) {
		p[17] = (uint8_t)((s->unreg ? 2 : 0) | (s->aptpl ? 1 : 0));
		put_be16(p + 18, s->move_port == TPORTS ? 3 : RTPI(s->move_port));
		n += put_tid(p + n, &s->tid[0]);
		put_be32(p + 20, n - 24);
		return n;
	}
	p[20] = (uint8_t)((s->spec_i_pt ? 8 : 0) | (s->all_tg_pt ? 4 : 0) | (s->aptpl ? 1 : 0));
	if (!s->spec_i_pt)
		return n;
	n = 28;
	for (unsigned i = 0; i < s->n_tids; i++)
		n += put_tid(p + n, &s->tid[i]);
	put_be32(p + 24, n - 28);
	return n;
}

static struct sc_ctx ctx_of(struct world *w, int nx)
{
	return (struct sc_ctx){ .tgt = &target, .nexus = &w->nx[nx], .lu = &w->lu, .itl = &w->itl[nx] };
}

/* ---- the same, by node/scsi ---- */

static bool differ(struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->why, w->why_len, fmt, ap);
	va_end(ap);
	return false;
}

static void publish(struct world *w, struct sc_pr *next)
{
	free((void *)w->lu.pr);
	sc_lu_set_pr(&w->lu, next);
}

static void take_fx(struct world *w, const struct sc_pr_fx *fx, struct outcome *o)
{
	for (uint32_t i = 0; i < fx->n_items; i++)
		for (int n = 0; n < NX; n++)
			if (sc_nexus_equal(&fx->items[i].nexus, &w->nx[n])) {
				o->ua[n] = fx->items[i].ua;
				o->abort[n] = fx->items[i].abort;
			}
}

static void apply(struct world *w, const struct step *s, struct sc_pr_cmd cmd, struct outcome *o)
{
	struct sc_nexus known[IPORTS];
	struct sc_pr *next = NULL;
	struct sc_pr_fx fx;

	for (int p = 0; p < IPORTS; p++)
		if (s->known >> p & 1)
			known[cmd.n_known++] = w->nx[NX_OF(p, p & 1)];
	cmd.known = known;
	sc_pr_apply(w->lu.pr, &target, &w->nx[s->nx], &cmd, &next, &fx);
	o->status = fx.status;
	o->sense_key = fx.status == SC_CHECK_CONDITION ? fx.sense.key : 0;
	o->asc = fx.status == SC_CHECK_CONDITION ? fx.sense.asc : 0;
	take_fx(w, &fx, o);
	sc_pr_fx_free(&fx);
	if (next)
		publish(w, next);
}

static void run_command(struct world *w, const struct step *s, const uint8_t *cdb, const uint8_t *list, uint32_t n,
			struct outcome *o)
{
	struct sc_ctx ctx = ctx_of(w, s->nx);
	struct sc_op op;

	sc_op_start(&ctx, cdb, SC_CDB_MAX, &op);
	if (op.kind == SC_OP_PARAM)
		sc_op_param(&ctx, &op, list, n);
	if (op.kind == SC_OP_CONTROL) {
		apply(w, s, op.pr, o);
		return;
	}
	o->status = op.status;
	if (op.status == SC_CHECK_CONDITION) {
		o->sense_key = op.sense.key;
		o->asc = op.sense.asc;
	}
}

static void run_step(struct world *w, const struct step *s, struct outcome *o)
{
	static const uint8_t spc2[] = { 0x16, 0x17, 0x56, 0x57 };
	static const uint8_t events[] = { SC_PR_NEXUS_LOSS, SC_PR_RESET, SC_PR_POWER_LOSS };
	uint8_t list[512], cdb[SC_CDB_MAX] = { 0 };
	uint32_t n = 0;

	memset(o, 0, sizeof(*o));
	if (s->what == EV_LOSE) {
		struct sc_pr *lost = sc_pr_lost();

		if (lost)
			lost->generation = 9;  /* as it may come from a record */
		publish(w, lost);
	} else if (s->what >= EV_NEXUS_LOSS) {
		apply(w, s, (struct sc_pr_cmd){ .verb = events[s->what - EV_NEXUS_LOSS] }, o);
	} else {
		cdb[0] = s->what <= 8 ? 0x5f : spc2[s->what - DO_RESERVE6];
		if (s->what <= 8) {
			n = put_list(list, s);
			cdb[1] = (uint8_t)s->what;
			cdb[2] = s->scope_type;
			put_be32(cdb + 5, n);
		}
		run_command(w, s, cdb, list, n, o);
	}
}

/* ---- comparing ---- */

static bool same_outcome(struct world *w, const struct outcome *got, const struct outcome *want)
{
	if (got->status != want->status || got->sense_key != want->sense_key || got->asc != want->asc)
		return differ(w, "status %02x %x/%04x, the standard says %02x %x/%04x", got->status, got->sense_key, got->asc,
			      want->status, want->sense_key, want->asc);
	for (int n = 0; n < NX; n++)
		if (got->ua[n] != want->ua[n] || got->abort[n] != want->abort[n])
			return differ(w, "nexus %d: unit attention %04x, abort %d, the standard says %04x, %d", n, got->ua[n],
				      got->abort[n], want->ua[n], want->abort[n]);
	return true;
}

static uint32_t pr_in(struct world *w, int nx, uint8_t sa, uint8_t *buf, uint32_t cap)
{
	struct sc_ctx ctx = ctx_of(w, nx);
	uint8_t cdb[SC_CDB_MAX] = { 0x5e, sa };
	struct sc_op op;

	put_be16(cdb + 7, (uint16_t)cap);
	sc_op_start(&ctx, cdb, SC_CDB_MAX, &op);
	return op.kind == SC_OP_DATA_IN ? sc_op_data_in(&ctx, &op, buf, cap) : 0;
}

static bool same_keys(struct world *w, const uint8_t *p, uint32_t len)
{
	const struct model *m = &w->model;
	uint64_t left[NX];
	uint32_t n = 0;

	memcpy(left, m->key, sizeof(left));
	for (int i = 0; i < NX; i++)
		n += m->key[i] != 0;
	if (len != 8 + 8 * n || get_be32(p + 4) != 8 * n)
		return differ(w, "READ KEYS: %u bytes, the standard says %u keys", len, n);
	if (get_be32(p) != m->prgeneration)
		return differ(w, "PRGENERATION %u, the standard says %u", get_be32(p), m->prgeneration);
	for (uint32_t k = 0; k < n; k++) {
		int i = 0;

		while (i < NX && left[i] != get_be64(p + 8 + 8 * k))
			i++;
		if (i == NX)
			return differ(w, "READ KEYS: %llu", (unsigned long long)get_be64(p + 8 + 8 * k));
		left[i] = 0;
	}
	return true;
}

static bool same_reservation(struct world *w, const uint8_t *p, uint32_t len)
{
	const struct model *m = &w->model;
	bool ar = m->type >= 7;

	if (len != (m->type ? 24u : 8u) || get_be32(p + 4) != len - 8)
		return differ(w, "READ RESERVATION: %u bytes, the standard says type %d", len, m->type);
	if (m->type && (p[21] != m->type || get_be64(p + 8) != (ar ? 0 : m->key[m->holder])))
		return differ(w, "READ RESERVATION: type %u, key %llu", p[21], (unsigned long long)get_be64(p + 8));
	return true;
}

/* Each registration once, with its port, its TransportID, and whether it holds */
static bool same_status(struct world *w, const uint8_t *p, uint32_t len)
{
	const struct model *m = &w->model;
	uint32_t at = 8;
	unsigned seen = 0;

	for (int n = 0; n < NX; n++)
		seen += m->key[n] != 0;
	for (; at + 24 <= len; seen--) {
		uint32_t more = get_be32(p + at + 20);
		int n = 0;

		for (; n < NX; n++) {
			struct model_tid id = { .who = IPORT(n) };
			char text[300];
			uint8_t tid[300];
			uint32_t tid_len = put_tid(tid, &id);

			for (uint32_t i = 0; i < tid_len; i++)
				text[i] = (char)(tid[i] >= 'A' && tid[i] <= 'F' && i > 4 ? tid[i] + 32 : tid[i]);
			if (tid_len == more && !memcmp(text, p + at + 24, more) && get_be16(p + at + 18) == RTPI(TPORT(n)))
				break;
		}
		if (n == NX || get_be64(p + at) != m->key[n])
			return differ(w, "READ FULL STATUS: nexus %d", n);
		if ((p[at + 12] & 1) != (m->type && (m->type >= 7 || m->holder == n)))
			return differ(w, "READ FULL STATUS: R_HOLDER of nexus %d", n);
		if (p[at + 12] & 1 && p[at + 13] != m->type)
			return differ(w, "READ FULL STATUS: type %u", p[at + 13]);
		at += 24 + more;
	}
	return (at == len && !seen) || differ(w, "READ FULL STATUS: %u bytes", len);
}

static bool same_state(struct world *w, bool in_full)
{
	const struct model *m = &w->model;
	uint8_t buf[2048];
	uint32_t len;

	if (w->lu.pr && !sc_pr_valid(w->lu.pr))
		return differ(w, "the state does not make sense");
	if (m->lost || m->spc2 >= 0) {
		len = pr_in(w, 0, 0, buf, sizeof(buf));
		return !len || differ(w, "PERSISTENT RESERVE IN was answered");
	}
	len = pr_in(w, 0, 0, buf, sizeof(buf));
	if (!same_keys(w, buf, len))
		return false;
	len = pr_in(w, 3, 1, buf, sizeof(buf));
	if (!same_reservation(w, buf, len))
		return false;
	if (!in_full)
		return true;
	len = pr_in(w, 5, 3, buf, sizeof(buf));
	if (!same_status(w, buf, len))
		return false;
	len = pr_in(w, 1, 2, buf, sizeof(buf));
	return (buf[3] & 1) == m->aptpl || differ(w, "PTPL_A");
}

static bool same_access(struct world *w)
{
	static const struct { char how; uint8_t cdb[SC_CDB_MAX]; } probes[] = {
		{ 'r', { 0x28, [8] = 1 } }, { 'w', { 0x2a, [8] = 1 } }, { 't', { 0x00 } },
	};

	for (int n = 0; n < NX; n++) {
		for (unsigned i = 0; i < ARRAY_SIZE(probes); i++) {
			struct sc_ctx ctx = ctx_of(w, n);
			int want = model_access(&w->model, n, probes[i].how), got = 0;
			struct sc_op op;

			sc_op_start(&ctx, probes[i].cdb, SC_CDB_MAX, &op);
			if (op.kind == SC_OP_DONE)
				got = op.status;
			if (got != want)
				return differ(w, "access %c of nexus %d: %02x, the standard says %02x", probes[i].how, n, got,
					      want);
		}
	}
	return true;
}

/* ---- sequences ---- */

static void world_init(struct world *w, char *why, size_t why_len)
{
	memset(w, 0, sizeof(*w));
	w->lu = (struct sc_lu){ .block_size = 512, .blocks = 1000, .max_xfer = 100 };
	for (int n = 0; n < NX; n++)
		(void)sc_nexus_init(&w->nx[n], names[model_name_of[IPORT(n)]], isids[IPORT(n)], RTPI(TPORT(n)));
	model_init(&w->model);
	w->why = why;
	w->why_len = why_len;
}

static bool do_step(struct world *w, const struct step *s, bool in_full)
{
	struct outcome got, want;

	model_step(&w->model, s, &want);
	run_step(w, s, &got);
	return same_outcome(w, &got, &want) && same_state(w, in_full) && same_access(w);
}

/* Return: how many steps went well */
static unsigned replay(const struct step *s, unsigned n, char *why, size_t why_len)
{
	struct world w;
	unsigned i = 0;

	world_init(&w, why, why_len);
	while (i < n && do_step(&w, &s[i], true))
		i++;
	publish(&w, NULL);
	return i;
}

static void print_step(const struct step *s)
{
	printf("  nexus %d: %s %d, scope/type %02x, key %llu, sark %llu%s%s%s%s, to port %d", s->nx,
	       s->what <= 8 ? "PERSISTENT RESERVE OUT" : "event", s->what, s->scope_type, (unsigned long long)s->key,
	       (unsigned long long)s->sark, s->aptpl ? ", APTPL" : "", s->all_tg_pt ? ", ALL_TG_PT" : "",
	       s->spec_i_pt ? ", SPEC_I_PT" : "", s->unreg ? ", UNREG" : "", s->move_port);
	for (unsigned i = 0; i < s->n_tids; i++)
		printf(", %s %d", s->tid[i].name_only ? "name" : "port", s->tid[i].who);
	printf(", known %x\n", s->known);
}

/* Take away whatever the difference does not need. Return: steps left */
static unsigned shorten(struct step *s, unsigned n, char *why, size_t why_len)
{
	for (unsigned i = 0; i < n;) {
		struct step without[PR_STEPS_MAX];
		unsigned m;

		memcpy(without, s, i * sizeof(*s));
		memcpy(without + i, s + i + 1, (n - i - 1) * sizeof(*s));
		m = replay(without, n - 1, why, why_len);
		if (m == n - 1) {
			i++;
			continue;
		}
		n = m + 1;
		memcpy(s, without, n * sizeof(*s));
		i = 0;
	}
	(void)replay(s, n, why, why_len);
	return n;
}

bool pr_random_run(uint64_t seed, bool report, char *why, size_t why_len)
{
	uint64_t rnd = seed * 0x9e3779b97f4a7c15ull + 1;
	struct step s[PR_STEPS_MAX];
	unsigned n, len;
	struct world w;
	bool ok = true;

	world_init(&w, why, why_len);
	len = 4 + pick(&rnd, PR_STEPS_MAX - 3);
	for (n = 0; ok && n < len; n++) {
		s[n] = make_step(&w.model, &rnd);
		ok = do_step(&w, &s[n], n + 1 == len);
	}
	publish(&w, NULL);
	if (ok || !report)
		return ok;
	printf("seed %llu, step %u: %s\n", (unsigned long long)seed, n, why);
	if (replay(s, n, why, why_len) < n) {
		n = shorten(s, n, why, why_len);
		printf("%u steps suffice: %s\n", n, why);
	}
	for (unsigned i = 0; i < n; i++)
		print_step(&s[i]);
	return false;
}
