/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record_pr.c - reservations as a message, and back: what comes from disk or from another node is refused as a whole when
 * it does not make sense
 *
 * Messages are malloc()ed piece by piece, so that free_unpacked() frees them. No I/O, no control thread: fuzzed alone.
 */
#include <string.h>

#include "node/node.h"

bool record_put_bytes(ProtobufCBinaryData *d, const void *p, size_t n)
{
	d->data = malloc(n ? n : 1);
	if (!d->data)
		return false;
	memcpy(d->data, p, n);
	d->len = n;
	return true;
}

bool record_put_string(char **to, const char *s)
{
	*to = strdup(s);
	return *to;
}

static Lunward__Registration *put_reg(const struct sc_pr_reg *r)
{
	Lunward__Registration *m = RECORD_NEW(Lunward__Registration, lunward__registration__init);

	if (!m)
		return NULL;
	m->rtpi = r->nexus.rtpi;
	m->key = r->key;
	if (record_put_string(&m->initiator, r->nexus.initiator) && record_put_bytes(&m->isid, r->nexus.isid, 6))
		return m;
	lunward__registration__free_unpacked(m, NULL);
	return NULL;
}

bool record_put_pr(Lunward__LuReservations *m, const struct sc_pr *pr)
{
	m->generation = pr->generation;
	m->aptpl = pr->aptpl;
	m->type = pr->type;
	m->holder = pr->holder;
	m->lost = pr->lost;
	m->spc2_rtpi = pr->spc2 ? pr->spc2_holder.rtpi : 0;
	m->registrations = calloc((size_t)pr->n_regs + 1, sizeof(*m->registrations));
	if (!m->registrations)
		return false;
	for (unsigned i = 0; i < pr->n_regs; i++) {
		m->registrations[i] = put_reg(&pr->regs[i]);
		if (!m->registrations[i])
			return false;
		m->n_registrations++;
	}
	return !pr->spc2 || (record_put_string(&m->spc2_initiator, pr->spc2_holder.initiator) &&
			     record_put_bytes(&m->spc2_isid, pr->spc2_holder.isid, 6));
}

bool record_nexus(struct sc_nexus *n, const char *initiator, const ProtobufCBinaryData *isid, uint32_t rtpi)
{
	return isid->len == 6 && rtpi <= UINT16_MAX && sc_nexus_init(n, initiator, isid->data, (uint16_t)rtpi);
}

struct sc_pr *record_get_pr(const Lunward__LuReservations *m)
{
	struct sc_pr *pr = m->n_registrations <= SC_PR_MAX_REGS ? sc_pr_alloc((uint16_t)m->n_registrations) : NULL;
	bool ok = pr;

	if (!pr)
		return NULL;
	pr->generation = m->generation;
	pr->aptpl = m->aptpl;
	pr->type = (uint8_t)m->type;
	pr->holder = (uint16_t)m->holder;
	pr->lost = m->lost;
	for (size_t i = 0; i < m->n_registrations; i++) {
		const Lunward__Registration *r = m->registrations[i];

		ok = ok && record_nexus(&pr->regs[i].nexus, r->initiator, &r->isid, r->rtpi);
		pr->regs[i].key = r->key;
	}
	pr->spc2 = *m->spc2_initiator;
	if (pr->spc2)
		ok = ok && record_nexus(&pr->spc2_holder, m->spc2_initiator, &m->spc2_isid, m->spc2_rtpi ? m->spc2_rtpi : 1);
	if (ok && sc_pr_valid(pr))
		return pr;
	free(pr);
	return NULL;
}
