/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pr_model.c - the model; the numbers are subclauses and tables of SPC-4 */
#include "tests/unit/scsi/pr_model.h"

#include <string.h>

const int model_name_of[IPORTS] = { 0, 0, 1, 2 };

#define FOR_NX(n) for (int n = 0; n < NX; n++)

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->spc2 = -1;
}

static void good(struct outcome *o) { o->status = 0x00; }
static void conflict(struct outcome *o) { o->status = 0x18; }

static void check_condition(struct outcome *o, uint8_t key, uint16_t asc)
{
	o->status = 0x02;
	o->sense_key = key;
	o->asc = asc;
}

static void invalid_field_in_cdb(struct outcome *o) { check_condition(o, 5, 0x2400); }
static void invalid_field_in_parameter_list(struct outcome *o) { check_condition(o, 5, 0x2600); }

static bool registered(const struct model *m, int n) { return m->key[n] != 0; }
static bool all_registrants(int type) { return type == 7 || type == 8; }
static bool registrants_only(int type) { return type == 5 || type == 6; }
static bool type_exists(int type) { return type == 1 || type == 3 || (type >= 5 && type <= 8); }

static bool anybody_registered(const struct model *m)
{
	FOR_NX(n)
		if (registered(m, n))
			return true;
	return false;
}

/* 5.13.10 */
static bool is_holder(const struct model *m, int n)
{
	if (m->type == 0)
		return false;
	return all_registrants(m->type) ? registered(m, n) : m->holder == n;
}

/* "If the registration of the persistent reservation holder is removed, the reservation shall be released": 5.13.10 */
static void remove_registration(struct model *m, int n)
{
	bool held = is_holder(m, n);

	m->key[n] = 0;
	if (!held)
		return;
	if (!all_registrants(m->type) || !anybody_registered(m))
		m->type = 0;
}

static void attention(const struct model *m, struct outcome *o, int except, uint16_t code)
{
	FOR_NX(n)
		if (n != except && registered(m, n))
			o->ua[n] = code;
}

/* ---- 5.13.7 with tables 67, 68, 69 ---- */

/* The nexuses a registration is for: through the port it came through, or through all of them */
static unsigned targets(const struct step *s, int iport)
{
	unsigned set = 0;

	for (int t = 0; t < TPORTS; t++)
		if (s->all_tg_pt || t == TPORT(s->nx))
			set |= 1u << NX_OF(iport, t);
	return set;
}

static void associate(struct model *m, struct outcome *o, unsigned set, int self, uint64_t key)
{
	int type_before = m->type;

	FOR_NX(n) {
		if (!(set >> n & 1))
			continue;
		if (key)
			m->key[n] = key;
		else if (registered(m, n))
			remove_registration(m, n);
	}
	/* 5.13.11.2.3 */
	if (type_before && !m->type && registrants_only(type_before))
		attention(m, o, self, 0x2a04);
}

/* Which initiator ports a TransportID names: 7.6.4.6 */
static unsigned ports_named(const struct step *s, const struct model_tid *id)
{
	unsigned set = 0;

	for (int p = 0; p < IPORTS; p++)
		if (id->name_only ? (s->known >> p & 1) && model_name_of[p] == id->who : p == id->who)
			set |= 1u << p;
	return set;
}

static void do_register(struct model *m, const struct step *s, struct outcome *o, bool ignore_key)
{
	unsigned own = targets(s, IPORT(s->nx)), others = 0;
	bool any = false;

	FOR_NX(n) {
		if (!(own >> n & 1))
			continue;
		any |= registered(m, n);
		if (!ignore_key && s->key != m->key[n]) {
			conflict(o);
			return;
		}
	}
	if (s->spec_i_pt && registered(m, s->nx)) {
		invalid_field_in_parameter_list(o);
		return;
	}
	if (!s->sark && !any)
		return;  /* "Do nothing except return GOOD status" */
	for (unsigned i = 0; s->spec_i_pt && s->sark && i < s->n_tids; i++) {
		unsigned ports = ports_named(s, &s->tid[i]);

		if (!ports) {
			invalid_field_in_parameter_list(o);
			return;
		}
		for (int p = 0; p < IPORTS; p++)
			if (ports >> p & 1)
				others |= targets(s, p);
	}
	FOR_NX(n)
		if (others >> n & 1 && registered(m, n)) {
			invalid_field_in_parameter_list(o);  /* table 67, footnote b */
			return;
		}
	associate(m, o, own | others, s->nx, s->sark);
	m->aptpl = s->aptpl;
	m->prgeneration++;
}

/* ---- 5.13.8 with table 70 ---- */
static void register_and_move(struct model *m, const struct step *s, struct outcome *o)
{
	unsigned ports = ports_named(s, &s->tid[0]);
	int to = 0;

	if (m->type == 0) {
		invalid_field_in_cdb(o);
		return;
	}
	if (all_registrants(m->type) || m->holder != s->nx) {
		conflict(o);
		return;
	}
	while (to < IPORTS && ports != 1u << to)
		to++;
	if (s->sark == 0 || s->move_port >= TPORTS || to == IPORTS || to == IPORT(s->nx)) {
		invalid_field_in_parameter_list(o);
		return;
	}
	m->aptpl = s->aptpl;
	m->key[NX_OF(to, s->move_port)] = s->sark;
	m->holder = NX_OF(to, s->move_port);
	if (s->unreg)
		remove_registration(m, s->nx);
	m->prgeneration++;
}

/* ---- 5.13.9 ---- */
static void reserve(struct model *m, const struct step *s, struct outcome *o)
{
	if (m->type && !is_holder(m, s->nx)) {
		conflict(o);
	} else if (m->type && m->type != s->scope_type) {
		conflict(o);
	} else if (!m->type) {
		m->type = s->scope_type;
		m->holder = s->nx;
	}
}

/* ---- 5.13.11.2.2 ---- */
static void release(struct model *m, const struct step *s, struct outcome *o)
{
	int was = m->type;

	if (!is_holder(m, s->nx))
		return;
	if (s->scope_type != m->type) {
		check_condition(o, 5, 0x2604);
		return;
	}
	m->type = 0;
	if (registrants_only(was) || all_registrants(was))
		attention(m, o, s->nx, 0x2a04);
}

/* ---- 5.13.11.2.4 to 5.13.11.2.6 with table 72 and figure 9 ---- */

static unsigned having(const struct model *m, uint64_t key)
{
	unsigned set = 0;

	FOR_NX(n)
		if (registered(m, n) && (key == 0 || m->key[n] == key))
			set |= 1u << n;
	return set;
}

static void preempt(struct model *m, const struct step *s, struct outcome *o, bool and_abort)
{
	bool zero_means_all = all_registrants(m->type) && s->sark == 0;
	bool takes = zero_means_all || (m->type && !all_registrants(m->type) && s->sark && m->key[m->holder] == s->sark);
	int was = m->type;
	unsigned set;

	if (s->sark == 0 && m->type && !zero_means_all) {
		invalid_field_in_parameter_list(o);
		return;
	}
	if (s->sark == 0 && !m->type) {
		conflict(o);  /* no registered key is zero */
		return;
	}
	set = having(m, s->sark);
	if (!set) {
		conflict(o);
		return;
	}
	if (takes && !type_exists(s->scope_type)) {
		invalid_field_in_cdb(o);
		return;
	}
	FOR_NX(n) {
		if (!(set >> n & 1))
			continue;
		o->abort[n] = and_abort;
		if (n == s->nx && takes)
			continue;
		if (n != s->nx)
			o->ua[n] = 0x2a05;
		if (takes)
			m->key[n] = 0;
		else
			remove_registration(m, n);
	}
	m->prgeneration++;
	if (!takes)
		return;
	m->type = s->scope_type;
	m->holder = s->nx;
	if (m->type != was)
		attention(m, o, s->nx, 0x2a04);
}

/* ---- 5.13.11.2.7 ---- */
static void clear(struct model *m, const struct step *s, struct outcome *o)
{
	attention(m, o, s->nx, 0x2a03);
	memset(m->key, 0, sizeof(m->key));
	m->type = 0;
	m->prgeneration++;
}

/* ---- 5.13.11.3 ---- */
static void replace_lost(struct model *m, const struct step *s, struct outcome *o)
{
	if (!m->lost) {
		if (m->type && !registered(m, s->nx))
			conflict(o);
		else
			check_condition(o, 5, 0x2604);
		return;
	}
	if (s->key != 0 || s->sark == 0) {
		invalid_field_in_parameter_list(o);
		return;
	}
	m->key[s->nx] = s->sark;
	m->type = s->scope_type;
	m->holder = s->nx;
	m->prgeneration = 0;
	m->lost = false;
	m->aptpl = s->aptpl;
}

/* ---- PERSISTENT RESERVE OUT ---- */

/* 6.16.3: SPEC_I_PT, and ALL_TG_PT of REPLACE LOST RESERVATION; 6.16.1: scope and type. Before anything is looked at */
static bool list_is_wrong(const struct step *s, struct outcome *o)
{
	if ((s->what == 1 || s->what == 8) && !type_exists(s->scope_type))
		invalid_field_in_cdb(o);
	else if (s->what != 7 && s->spec_i_pt && s->what != 0)
		invalid_field_in_parameter_list(o);
	else if (s->what == 8 && s->all_tg_pt)
		invalid_field_in_parameter_list(o);
	return o->status != 0;
}

static void persistent_reserve_out(struct model *m, const struct step *s, struct outcome *o)
{
	bool needs_registration = s->what != 0 && s->what != 6 && s->what != 8;

	if (list_is_wrong(s, o))
		return;
	if (m->lost && s->what != 8) {
		check_condition(o, 7, 0x4401);
		return;
	}
	if (m->spc2 >= 0) {
		conflict(o);  /* SPC-2 5.5.1 */
		return;
	}
	if (needs_registration && (!registered(m, s->nx) || m->key[s->nx] != s->key)) {
		conflict(o);
		return;
	}
	switch (s->what) {
	case 0: do_register(m, s, o, false); break;
	case 1: reserve(m, s, o); break;
	case 2: release(m, s, o); break;
	case 3: clear(m, s, o); break;
	case 4: preempt(m, s, o, false); break;
	case 5: preempt(m, s, o, true); break;
	case 6: do_register(m, s, o, true); break;
	case 7: register_and_move(m, s, o); break;
	case 8: replace_lost(m, s, o); break;
	}
}

/* ---- SPC-2 7.21, 7.18, with the exceptions of 5.13.3 ---- */
static void spc2(struct model *m, const struct step *s, struct outcome *o)
{
	bool release_it = s->what == DO_RELEASE6 || s->what == DO_RELEASE10;

	if (m->lost) {
		check_condition(o, 7, 0x4401);
		return;
	}
	if (is_holder(m, s->nx) || (registered(m, s->nx) && (registrants_only(m->type) || all_registrants(m->type))))
		return;
	if (anybody_registered(m)) {
		conflict(o);
	} else if (release_it) {
		if (m->spc2 == s->nx)
			m->spc2 = -1;
	} else if (m->spc2 >= 0 && m->spc2 != s->nx) {
		conflict(o);
	} else {
		m->spc2 = s->nx;
	}
}

/* ---- 5.13.5.1 ---- */
static void power_loss(struct model *m)
{
	m->spc2 = -1;
	m->prgeneration = 0;
	if (!m->aptpl) {
		memset(m->key, 0, sizeof(m->key));
		m->type = 0;
	}
}

void model_step(struct model *m, const struct step *s, struct outcome *o)
{
	memset(o, 0, sizeof(*o));
	good(o);
	if (s->what <= 8) {
		persistent_reserve_out(m, s, o);
	} else if (s->what <= DO_RELEASE10) {
		spc2(m, s, o);
	} else if (s->what == EV_NEXUS_LOSS) {
		if (m->spc2 == s->nx)
			m->spc2 = -1;
	} else if (s->what == EV_RESET) {
		m->spc2 = -1;
	} else if (s->what == EV_POWER_LOSS) {
		power_loss(m);
	} else {
		model_init(m);
		m->lost = m->aptpl = true;
	}
}

/* Table 65 and SBC-4 table 13: READ, WRITE, TEST UNIT READY; SPC-2 table 10 */
int model_access(const struct model *m, int nx, char how)
{
	if (m->lost)
		return 0x02;
	if (m->spc2 >= 0)
		return m->spc2 == nx ? 0 : 0x18;
	if (how == 't' || is_holder(m, nx))
		return 0;
	switch (m->type) {
	case 1: return how == 'w' ? 0x18 : 0;
	case 3: return 0x18;
	case 5: case 7: return how == 'w' && !registered(m, nx) ? 0x18 : 0;
	case 6: case 8: return registered(m, nx) ? 0 : 0x18;
	default: return 0;
	}
}
