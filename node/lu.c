/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lu.c - a logical unit: one object of the control thread, and one of each reactor with its disk
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <qb/qblog.h>

#include "node/node.h"

const char *lu_name(const struct lu *lu, char buf[LU_NAME_MAX])
{
	snprintf(buf, LU_NAME_MAX, "%s/%u", lu->iqn, lu->number);
	return buf;
}

/* ---- finding ---- */

static bool same(const struct lu *lu, const struct conf_lun *c)
{
	return lu->conf.backing == c->backing && !strcmp(lu->path, c->path) &&
	       (lu->conf.size == c->size || c->backing == CONF_FILE) &&
	       lu->conf.block_size == c->block_size && lu->conf.read_only == c->read_only &&
	       lu->conf.provisioning == c->provisioning &&
	       lu->conf.id.naa_len == c->id.naa_len && !memcmp(lu->conf.id.naa, c->id.naa, c->id.naa_len) &&
	       lu->conf.id.eui_len == c->id.eui_len && !memcmp(lu->conf.id.eui, c->id.eui, c->id.eui_len) &&
	       !strcmp(lu->conf.id.serial, c->id.serial) && !strcmp(lu->conf.id.product, c->id.product);
}

struct lu *lu_same(struct control *ctl, const struct group *g, const char *iqn, const struct conf_lun *conf)
{
	struct lu *lu;

	list_for_each(lu, &ctl->lus, link) {
		if (lu->group != g || lu->number != conf->number || strcasecmp(lu->iqn, iqn) || !same(lu, conf))
			continue;
		lu_grow(lu, conf->size);
		return lu;
	}
	return NULL;
}

struct lu *lu_find(struct control *ctl, const char *iqn, unsigned number)
{
	struct lu *lu;

	list_for_each(lu, &ctl->lus, link)
		if (lu->wanted && lu->number == number && !strcasecmp(lu->iqn, iqn))
			return lu;
	return NULL;
}

/* ---- a reactor's side ---- */

static void on_fenced(struct disk *d, void *arg, const char *detail)
{
	struct rlu *l = arg;

	(void)d;
	group_fenced_here(l, detail);
}

static void on_log(struct disk *d, void *arg, int priority, const char *text)
{
	struct rlu *l = arg;

	(void)d;
	rlog(l->r, priority, "%s/%u: %s", l->lu->iqn, l->lu->number, text);
}

static const struct disk_events disk_events = {
	.fenced = on_fenced, .log = on_log, .resized = lu_resized, .space = lu_space,
	.low_space = lu_low_space,
};

static void rlu_arrives(struct msg *m, void *reactor)
{
	struct rlu *l = container_of(m, struct rlu, msg);

	l->r = reactor;
	gate_init(l);
	list_init(&l->look.link);
	l->disk = disk_new(l->lu->backing, &l->r->ring, l->r->index, &disk_events, l);
	list_add_tail(&l->r->rlus, &l->link);
}

/* ---- making ---- */

static void make_identity(struct lu *lu, const struct conf_lun *c)
{
	struct sc_lu *s = &lu->tmpl;

	memcpy(s->naa, c->id.naa, sizeof(s->naa));
	s->naa_len = c->id.naa_len;
	memcpy(s->eui, c->id.eui, sizeof(s->eui));
	s->eui_len = c->id.eui_len;
	snprintf(s->serial, sizeof(s->serial), "%s", c->id.serial);
	snprintf(s->product, sizeof(s->product), "%s", c->id.product);
	snprintf(s->revision, sizeof(s->revision), "%.4s", PACKAGE_VERSION);
	/* until its disk says better */
	s->block_size = c->block_size ? c->block_size : 512;
	s->blocks = 1;
	s->max_xfer = DISK_IO_MAX / s->block_size;
}

static int make_backing(struct lu *lu, const struct conf_lun *c, char *err, size_t err_len)
{
	static const enum disk_kind kinds[] = {
		[CONF_BLOCK] = DISK_FILE, [CONF_FILE] = DISK_FILE, [CONF_ISCSI] = DISK_ISCSI, [CONF_RAM] = DISK_RAM,
	};
	struct disk_spec spec = {
		.kind = kinds[c->backing],
		.path = lu->path,
		.is_block = c->backing == CONF_BLOCK,
		.size = c->size,
		.block_size = c->block_size,
		.read_only = c->read_only,
		.allocate = c->provisioning == CONF_THICK,
		.initiator = lu->initiator,
	};

	conf_isid(CONF_ROLE_DATA, lu->group->name, lu->path, 0, spec.isid);
	lu->backing = disk_backing_new(&spec, err, err_len);
	return lu->backing ? 0 : -EINVAL;
}

static void lu_free(struct lu *lu)
{
	struct lu_ua *u, *tmp;

	list_del(&lu->link);
	list_for_each_safe(u, tmp, &lu->uas, link)
		free(u);
	for (unsigned i = 0; i < REACTORS_MAX; i++)
		free(lu->at[i]);
	disk_backing_free(lu->backing);
	free(lu->path);
	free(lu->initiator);
	free(lu->pr);
	free(lu->next);
	free(lu);
}

static void lu_freed(struct lu *lu, void *arg, enum disk_status s, const char *err)
{
	struct control *ctl = lu->ctl;

	(void)arg, (void)s, (void)err;
	lu->closed = true;
	if (lu->n_gates)
		return;  /* lu_gate_ended() comes back */
	lu_free(lu);
	control_check_down(ctl);
}

void lu_gate_ended(struct lu *lu)
{
	if (--lu->n_gates == 0 && lu->closed)
		lu_freed(lu, NULL, DISK_OK, NULL);
}

struct lu *lu_new(struct control *ctl, struct group *g, const char *iqn, const struct conf_lun *c, char *err,
		  size_t err_len)
{
	struct lu *lu = calloc(1, sizeof(*lu));
	int rc = lu ? 0 : -ENOMEM;

	snprintf(err, err_len, "out of memory");
	if (rc)
		return NULL;
	list_init(&lu->link);
	list_init(&lu->uas);
	list_init(&lu->aborting);
	list_init(&lu->deferred);
	snprintf(lu->iqn, sizeof(lu->iqn), "%s", iqn);
	lu->number = c->number;
	lu->group = g;
	lu->ctl = ctl;
	lu->conf = *c;
	lu->path = strdup(c->path);
	lu->initiator = strdup(ctl->initiator);
	make_identity(lu, c);
	if (!lu->path || !lu->initiator || make_backing(lu, c, err, err_len))
		rc = -EINVAL;
	for (unsigned i = 0; !rc && i < ctl->n_reactors; i++) {
		lu->at[i] = calloc(1, sizeof(struct rlu));
		if (lu->at[i])
			*lu->at[i] = (struct rlu){ .lu = lu, .sc = lu->tmpl, .msg.run = rlu_arrives };
		else
			rc = -ENOMEM;
	}
	if (rc) {
		lu_free(lu);
		return NULL;
	}
	list_add_tail(&ctl->lus, &lu->link);
	for (unsigned i = 0; i < ctl->n_reactors; i++)
		queue_push(&ctl->reactor[i].in, &lu->at[i]->msg);
	return lu;
}

/* ---- the end ---- */

static void lu_stopped(struct lu *lu, void *arg, enum disk_status s, const char *err)
{
	(void)arg, (void)s, (void)err;
	lu_close(lu, lu_freed, NULL);
}

void lu_remove(struct lu *lu)
{
	lu->wanted = false;
	lu_stop(lu, lu_stopped, NULL);
}

/* ---- unit attentions on record ---- */

void lu_ua_add(struct lu *lu, const struct sc_nexus *nexus, uint16_t code)
{
	struct lu_ua *u;
	unsigned n = 0;

	list_for_each(u, &lu->uas, link) {
		n++;
		if (u->code != code || !sc_nexus_equal(&u->nexus, nexus))
			continue;
		u->seq = ++lu->ua_seq;
		list_del(&u->link);
		list_add_tail(&lu->uas, &u->link);
		return;
	}
	if (n >= LU_UAS_MAX) {
		u = list_first(&lu->uas, struct lu_ua, link);  /* of somebody who has not come back for long */
		list_del(&u->link);
	} else {
		u = calloc(1, sizeof(*u));
	}
	if (!u)
		return;  /* lost only if a failover comes before it is reported */
	*u = (struct lu_ua){ .nexus = *nexus, .code = code, .seq = ++lu->ua_seq };
	list_add_tail(&lu->uas, &u->link);
}

void lu_ua_drop(struct lu *lu, const struct sc_nexus *nexus, uint64_t upto)
{
	struct lu_ua *u, *tmp;

	list_for_each_safe(u, tmp, &lu->uas, link) {
		if (u->seq > upto || !sc_nexus_equal(&u->nexus, nexus))
			continue;
		list_del(&u->link);
		free(u);
		commit_dirty(lu->group);
	}
}
