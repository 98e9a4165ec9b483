/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * records.c - the core's records on disk: records/GROUP in the state directory
 *
 * A file that is damaged, or holds another group's record, is reported and treated as absent: the node then has
 * no record, and the core fetches one or refuses to serve. It is kept beside for whoever wants to look.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <string.h>

struct storing {
	struct clusterd *d;
	uint64_t id;
	char group[CORE_NAME_MAX];
};

static void on_stored(void *data, uint64_t cookie, int error)
{
	struct storing *s = data;
	char why[CORE_TEXT_MAX];
	struct core_event ev = {
		.type = CORE_EV_STORED,
		.stored = { .group = s->group, .id = cookie, .ok = error == 0 },
	};

	if (error) {
		snprintf(why, sizeof(why), "the record cannot be written below %s: %s", s->d->state_dir, strerror(-error));
		ev.stored.error = why;
	}
	shell_feed(s->d, &ev);
	free(s);
}

static const char *file_of(const char *group, char buf[STORE_NAME_MAX])
{
	snprintf(buf, STORE_NAME_MAX, "records/%s", group);
	return buf;
}

void records_store(struct clusterd *d, const struct core_action *a)
{
	struct storing *s = calloc(1, sizeof(*s));
	char name[STORE_NAME_MAX];
	size_t len;
	uint8_t *buf = wire_record_pack(a->group, &a->store.record, &len);
	int r;

	if (!s)
		abort();
	s->d = d;
	s->id = a->store.id;
	snprintf(s->group, sizeof(s->group), "%s", a->group);
	r = store_write(d->store, file_of(a->group, name), STORE_RECORD, a->store.record.warm, buf, len, on_stored, s, s->id);
	free(buf);
	if (r < 0)
		on_stored(s, s->id, r);
}

static bool load_one(struct clusterd *d, const char *group, struct core_stored_record *ret)
{
	char name[STORE_NAME_MAX];
	struct store_file f = { 0 };
	const char *why = "what it holds is no record of this group";
	struct core_record rec;
	int r = store_read(d->store, file_of(group, name), STORE_RECORD, &f, &why);

	if (r == 0) {
		r = wire_record_unpack(f.payload, f.len, group, &rec);
		rec.warm = f.warm;
	}
	free(f.payload);
	if (r == 0) {
		*ret = (struct core_stored_record){ .group = strdup(group), .record = rec };
		return true;
	}
	if (r == -EPROTONOSUPPORT)
		why = "it was written by a newer version of Lunward";
	else if (r != -EBADMSG && r != -EPROTO)
		why = strerror(-r);
	event_add(d, group, CORE_ERROR, "record-damaged", "the record in %s/%s is not used: %s; a current one is fetched "
		  "from another node if there is one", d->state_dir, name, why);
	return false;
}

struct core_stored_record *records_load(struct clusterd *d, unsigned *ret_n)
{
	char **names = store_names(d->store);
	struct core_stored_record *v;
	unsigned n = 0, max = 0;

	while (names && names[max])
		max++;
	v = calloc(max + 1u, sizeof(*v));
	if (!v)
		abort();
	for (unsigned i = 0; i < max; i++)
		if (strlen(names[i]) < CORE_NAME_MAX)
			n += load_one(d, names[i], &v[n]);
	store_names_free(names);
	*ret_n = n;
	return v;
}

void records_unload(struct core_stored_record *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		free((char *)v[i].group);
		core_body_unref(v[i].record.body);
	}
	free(v);
}
