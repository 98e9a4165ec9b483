/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record_settings.c - settings of logical units (settings.c) as part of a group's record, and back */
#include <errno.h>
#include <string.h>

#include <qb/qblog.h>

#include "node/node.h"

_Static_assert(sizeof(struct sc_settings) == 8 + 4 + 2 * (4 + 4 + 4 * SC_THRESHOLDS) + SC_INFO_TYPES * (2 + SC_INFO_TEXT_MAX), "no padding: they compare as memory");

static const struct sc_settings *newest(const struct lu *lu)
{
	return lu->set_changed ? &lu->set_next : &lu->set;
}

static bool are_default(const struct sc_settings *s)
{
	static const struct sc_settings defaults;

	return !memcmp(s, &defaults, sizeof(defaults));
}

static bool on_record(const struct lu *lu, const struct group *g)
{
	return lu->group == g && lu->wanted && !are_default(newest(lu));
}

static Lunward__ModeValues *put_mode(const struct sc_mode *m)
{
	Lunward__ModeValues *v = malloc(sizeof(*v));

	if (!v)
		return NULL;
	lunward__mode_values__init(v);
	v->d_sense = m->d_sense;
	v->swp = m->swp;
	v->tas = m->tas;
	v->write_through = m->write_through;
	v->lbp = m->lbp;
	v->thresholds = malloc(sizeof(m->threshold));
	if (!v->thresholds) {
		free(v);
		return NULL;
	}
	memcpy(v->thresholds, m->threshold, sizeof(m->threshold));
	v->n_thresholds = SC_THRESHOLDS;
	return v;
}

static bool put_info(ProtobufCBinaryData *d, const struct sc_info *i)
{
	d->data = malloc(i->len + 1u);
	if (!d->data)
		return false;
	memcpy(d->data, i->data, i->len);
	d->len = i->len;
	return true;
}

static Lunward__LuSettings *put_lu(const struct lu *lu)
{
	const struct sc_settings *s = newest(lu);
	Lunward__LuSettings *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	lunward__lu_settings__init(m);
	m->lun = lu->number;
	m->target = strdup(lu->iqn);
	m->current = put_mode(&s->mode);
	m->saved = put_mode(&s->saved);
	m->clock_set = s->clock_set;
	m->clock_offset = s->clock_offset;
	if (m->target && m->current && m->saved && put_info(&m->peripheral_info, &s->info[SC_INFO_PERIPHERAL]) &&
	    put_info(&m->text_info, &s->info[SC_INFO_TEXT]))
		return m;
	lunward__lu_settings__free_unpacked(m, NULL);
	return NULL;
}

static struct sc_mode get_mode(const Lunward__ModeValues *v)
{
	struct sc_mode m = { 0 };

	if (!v)
		return m;
	m = (struct sc_mode){ .d_sense = v->d_sense, .swp = v->swp, .tas = v->tas, .write_through = v->write_through,
			      .lbp = v->lbp };
	for (unsigned i = 0; i < SC_THRESHOLDS && i < v->n_thresholds; i++)
		m.threshold[i] = v->thresholds[i];
	return m;
}

static bool get_info(struct sc_info *i, enum sc_info_type type, const ProtobufCBinaryData *d)
{
	if (d->len > sc_info_max(type))
		return false;
	i->len = (uint16_t)d->len;
	if (d->len)
		memcpy(i->data, d->data, d->len);
	return true;
}

static int load_lu(struct lu *lu, const Lunward__LuSettings *m, bool cold)
{
	struct sc_settings s = { .mode = get_mode(m->current), .saved = get_mode(m->saved) };

	if (!get_info(&s.info[SC_INFO_PERIPHERAL], SC_INFO_PERIPHERAL, &m->peripheral_info) ||
	    !get_info(&s.info[SC_INFO_TEXT], SC_INFO_TEXT, &m->text_info))
		return -1;
	if (cold) {
		s.mode = s.saved;
	} else if (m->clock_set) {
		s.clock_set = 1;
		s.clock_offset = m->clock_offset;
	}
	lu->set = s;
	settings_publish(lu);
	return 0;
}

bool record_put_settings(Lunward__RecordBody *b, struct group *g)
{
	struct lu *lu;
	size_t n = 0;

	list_for_each(lu, &g->ctl->lus, link)
		n += on_record(lu, g);
	b->settings = calloc(n + 1, sizeof(*b->settings));
	if (!b->settings)
		return false;
	list_for_each(lu, &g->ctl->lus, link) {
		if (!on_record(lu, g))
			continue;
		b->settings[b->n_settings] = put_lu(lu);
		if (!b->settings[b->n_settings])
			return false;
		b->n_settings++;
	}
	return true;
}

static void clear(struct lu *lu)
{
	if (are_default(&lu->set))
		return;
	lu->set = (struct sc_settings){ 0 };
	settings_publish(lu);
}

int record_load_settings(struct group *g, const Lunward__RecordBody *b, bool cold, char *err, size_t err_len)
{
	struct lu *lu;

	list_for_each(lu, &g->ctl->lus, link)
		if (lu->group == g)
			clear(lu);
	for (size_t i = 0; i < b->n_settings; i++) {
		lu = lu_find(g->ctl, b->settings[i]->target, b->settings[i]->lun);
		if (lu && lu->group == g && load_lu(lu, b->settings[i], cold)) {
			snprintf(err, err_len, "the record's settings of %s/%u are damaged", lu->iqn, lu->number);
			return -EINVAL;
		}
	}
	return 0;
}
