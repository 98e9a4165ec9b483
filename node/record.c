/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.c - a group's state as a message (proto/record.proto), and back
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <qb/qblog.h>

#include "node/node.h"

/* ---- state -> message ---- */

static Lunward__UnitAttention *put_ua(const struct lu_ua *u)
{
	Lunward__UnitAttention *m = RECORD_NEW(Lunward__UnitAttention, lunward__unit_attention__init);

	if (!m)
		return NULL;
	m->asc_ascq = u->code;
	m->rtpi = u->nexus.rtpi;
	if (record_put_string(&m->initiator, u->nexus.initiator) && record_put_bytes(&m->isid, u->nexus.isid, 6))
		return m;
	lunward__unit_attention__free_unpacked(m, NULL);
	return NULL;
}

static size_t count_uas(const struct lu *lu)
{
	const struct lu_ua *u;
	size_t n = 0;

	list_for_each(u, &lu->uas, link)
		n++;
	return n;
}

Lunward__LuReservations *record_lu(const struct lu *lu)
{
	const struct sc_pr *pr = lu->changed ? lu->next : lu->pr;
	Lunward__LuReservations *m = RECORD_NEW(Lunward__LuReservations, lunward__lu_reservations__init);
	struct lu_ua *u;
	bool ok;

	if (!m)
		return NULL;
	m->lun = lu->number;
	ok = record_put_string(&m->target, lu->iqn) && (!pr || record_put_pr(m, pr));
	m->unit_attentions = calloc(count_uas(lu) + 1, sizeof(*m->unit_attentions));
	ok = ok && m->unit_attentions;
	list_for_each(u, &lu->uas, link) {
		Lunward__UnitAttention *ua = ok ? put_ua(u) : NULL;

		ok = ok && ua;
		if (ua)
			m->unit_attentions[m->n_unit_attentions++] = ua;
	}
	if (ok)
		return m;
	lunward__lu_reservations__free_unpacked(m, NULL);
	return NULL;
}

static bool put_addr(ProtobufCBinaryData *d, uint32_t *port, const struct sockaddr_storage *ss)
{
	const uint8_t *ip;
	size_t n = addr_ip(ss, &ip);

	*port = addr_port(ss);
	return record_put_bytes(d, ip, n);
}

Lunward__Connection *record_connection(const struct conn *c)
{
	Lunward__Connection *m = RECORD_NEW(Lunward__Connection, lunward__connection__init);

	if (!m)
		return NULL;
	m->tsih = c->session->tsih;
	m->cid = c->cid;
	m->since_ms = c->since_ms;
	if (record_put_string(&m->target, c->iqn) && record_put_string(&m->initiator, c->nexus.initiator) &&
	    record_put_bytes(&m->isid, c->nexus.isid, 6) && put_addr(&m->client_addr, &m->client_port, &c->peer) &&
	    put_addr(&m->portal_addr, &m->portal_port, &c->local))
		return m;
	lunward__connection__free_unpacked(m, NULL);
	return NULL;
}

static bool on_record(const struct lu *lu)
{
	return lu->wanted && ((lu->changed ? lu->next : lu->pr) || !list_empty(&lu->uas));
}

static bool put_lus(Lunward__RecordBody *b, struct group *g)
{
	struct lu *lu;
	size_t n = 0;

	list_for_each(lu, &g->ctl->lus, link)
		n += lu->group == g && on_record(lu);
	b->lus = calloc(n + 1, sizeof(*b->lus));
	if (!b->lus)
		return false;
	list_for_each(lu, &g->ctl->lus, link) {
		if (lu->group != g || !on_record(lu))
			continue;
		b->lus[b->n_lus] = record_lu(lu);
		if (!b->lus[b->n_lus])
			return false;
		b->n_lus++;
	}
	return true;
}

static bool put_connections(Lunward__RecordBody *b, struct group *g)
{
	struct conn *c;
	size_t n = 0;

	list_for_each(c, &g->ctl->conns, known)
		n++;
	b->connections = calloc(n + 1, sizeof(*b->connections));
	if (!b->connections)
		return false;
	list_for_each(c, &g->ctl->conns, known) {
		if (c->group != g || c->discovery || !c->on_record)
			continue;
		b->connections[b->n_connections] = record_connection(c);
		if (!b->connections[b->n_connections])
			return false;
		b->n_connections++;
	}
	return true;
}

Lunward__RecordBody *record_make(struct group *g)
{
	Lunward__RecordBody *b = RECORD_NEW(Lunward__RecordBody, lunward__record_body__init);

	if (b && put_lus(b, g) && put_connections(b, g) && record_put_settings(b, g))
		return b;
	record_free(b);
	return NULL;
}

void record_free(Lunward__RecordBody *b)
{
	if (b)
		lunward__record_body__free_unpacked(b, NULL);
}

/* ---- message -> state ---- */

static void clear(struct lu *lu)
{
	struct lu_ua *u, *tmp;
	struct sc_pr *old = lu->pr;

	list_for_each_safe(u, tmp, &lu->uas, link) {
		list_del(&u->link);
		free(u);
	}
	lu->pr = NULL;
	if (old)
		resv_publish(lu, old);
}

/* Something that happened before there was anybody to hear of it. Return: @pr or what it became */
static struct sc_pr *event(struct lu *lu, struct sc_pr *pr, enum sc_pr_verb verb, const struct sc_nexus *who)
{
	const struct target *t = view_find(lu->ctl->view, lu->group, lu->iqn);
	struct sc_pr_cmd cmd = { .verb = (uint8_t)verb };
	struct sc_pr *next = NULL;
	struct sc_pr_fx fx;

	sc_pr_apply(pr, &t->sc, who, &cmd, &next, &fx);
	if (fx.changed) {
		free(pr);
		pr = next;
	}
	sc_pr_fx_free(&fx);
	return pr;
}

/*
 * In a cluster another member may hold a better copy: this one is refused. Alone, the device server says that it has
 * lost them, and its initiators can make them anew.
 */
static struct sc_pr *not_read_back(const struct lu *lu)
{
	if (lu->ctl->cluster)
		return NULL;
	qb_log(LOG_ERR, "%s/%u: its reservations are damaged: refusing access until REPLACE LOST RESERVATION", lu->iqn,
	       lu->number);
	return sc_pr_lost();
}

/*
 * The whole group was without power: what APTPL does not keep is gone (SPC-4 5.13.5). Otherwise the target has changed
 * hands or was restarted, and no session outlived that: an SPC-2 reservation ends with its I_T nexus, whose next login
 * is told so (29/07). Nobody else could end it, were its holder never to come back.
 */
static int load_lu(struct lu *lu, const Lunward__LuReservations *m, bool cold)
{
	static const struct sc_nexus nobody;
	struct sc_pr *pr = record_get_pr(m);
	struct sc_nexus holder;

	if (!pr)
		pr = not_read_back(lu);
	if (!pr)
		return -EINVAL;
	holder = pr->spc2_holder;
	if (cold)
		pr = event(lu, pr, SC_PR_POWER_LOSS, &nobody);
	else if (pr->spc2 && !registry_has(lu, &holder))
		pr = event(lu, pr, SC_PR_NEXUS_LOSS, &holder);
	lu->pr = pr;
	resv_publish(lu, NULL);
	for (size_t i = 0; i < m->n_unit_attentions; i++) {
		const Lunward__UnitAttention *u = m->unit_attentions[i];
		struct sc_nexus n;

		if (record_nexus(&n, u->initiator, &u->isid, u->rtpi ? u->rtpi : 1))
			lu_ua_add(lu, &n, (uint16_t)u->asc_ascq);
	}
	return 0;
}

static void keep_loaded(struct group *g, const Lunward__RecordBody *b)
{
	size_t n = lunward__record_body__get_packed_size(b);
	_cleanup_free_ uint8_t *buf = malloc(n + 1);

	record_free(g->loaded);
	g->loaded = NULL;
	if (!buf)
		return;
	lunward__record_body__pack(b, buf);
	g->loaded = lunward__record_body__unpack(NULL, n, buf);
}

int record_load(struct group *g, const Lunward__RecordBody *b, bool cold, char *err, size_t err_len)
{
	struct lu *lu;

	list_for_each(lu, &g->ctl->lus, link)
		if (lu->group == g)
			clear(lu);
	for (size_t i = 0; i < b->n_lus; i++) {
		lu = lu_find(g->ctl, b->lus[i]->target, b->lus[i]->lun);
		if (!lu || lu->group != g) {
			qb_log(LOG_WARNING, "group %s: reservations of %s/%u on record, but there is no such LUN", g->name,
			       b->lus[i]->target, b->lus[i]->lun);
			continue;
		}
		if (load_lu(lu, b->lus[i], cold)) {
			snprintf(err, err_len, "the record's reservations of %s/%u are damaged", lu->iqn, lu->number);
			return -EINVAL;
		}
	}
	if (record_load_settings(g, b, cold, err, err_len))
		return -EINVAL;
	keep_loaded(g, b);
	return 0;
}

bool record_known(const struct group *g, const struct sc_nexus *nexus, const char *iqn)
{
	for (size_t i = 0; g->loaded && i < g->loaded->n_connections; i++) {
		const Lunward__Connection *c = g->loaded->connections[i];
		struct sc_nexus n;

		if (record_nexus(&n, c->initiator, &c->isid, nexus->rtpi) && sc_nexus_equal(&n, nexus) &&
		    !strcasecmp(c->target, iqn))
			return true;
	}
	return false;
}
