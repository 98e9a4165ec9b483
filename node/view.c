/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.c - from the configuration to what reactors look at: targets, access, secrets
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <qb/qblog.h>

#include "node/node.h"

const struct target *view_find(const struct view *v, const struct group *g, const char *iqn)
{
	for (size_t i = 0; i < v->n_target; i++)
		if (v->target[i].group == g && strcasecmp(v->target[i].sc.name, iqn) == 0)
			return &v->target[i];
	return NULL;
}

const struct view_group *view_group(const struct view *v, const struct group *g)
{
	for (size_t i = 0; i < v->n_group; i++)
		if (v->group[i].group == g)
			return &v->group[i];
	return NULL;
}

static int read_secret(const char *path, enum conf_secret whose, char **ret, size_t *len, char *err, size_t err_len)
{
	_cleanup_free_ char *why = NULL;
	int rc;

	if (!path)
		return 0;
	rc = conf_secret_read(path, whose, ret, len, &why);
	if (rc)
		snprintf(err, err_len, "%s", why ? why : strerror(-rc));
	else if (why)
		qb_log(LOG_WARNING, "%s", why);
	return rc;
}

static int chap_read(struct chap *c, const struct conf_chap *conf, char *err, size_t err_len)
{
	int rc = 0;

	c->conf = conf;
	c->secret = calloc(conf->n + 1, sizeof(*c->secret));
	if (!c->secret)
		return -ENOMEM;
	for (size_t i = 0; !rc && i < conf->n; i++) {
		const struct conf_chap_user *u = &conf->user[i];
		struct chap_secret *s = &c->secret[i];

		rc = read_secret(u->secret_file, CONF_SECRET_THEIRS, &s->secret, &s->secret_len, err, err_len);
		if (!rc)
			rc = read_secret(u->mutual_secret_file, CONF_SECRET_OURS, &s->mutual, &s->mutual_len, err, err_len);
	}
	return rc;
}

static void chap_forget(struct chap *c)
{
	for (size_t i = 0; c->secret && i < c->conf->n; i++) {
		conf_secret_free(c->secret[i].secret);
		conf_secret_free(c->secret[i].mutual);
	}
	free(c->secret);
}

static int bind_lus(struct target *t, struct control *ctl, char *err, size_t err_len)
{
	size_t n = t->conf->n_lun;

	t->lun_no = calloc(n + 1, sizeof(*t->lun_no));
	t->lu = calloc(n + 1, sizeof(struct lu *));
	if (!t->lun_no || !t->lu) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		const struct conf_lun *l = &t->conf->lun[i];
		struct lu *lu = lu_same(ctl, t->group, t->conf->iqn, l);

		if (!lu)
			lu = lu_new(ctl, t->group, t->conf->iqn, l, err, err_len);
		if (!lu)
			return -EINVAL;
		t->lun_no[i] = l->number;
		t->lu[i] = lu;
		t->sc.n_luns = (uint16_t)(i + 1);
	}
	return 0;
}

static int target_bind(struct target *t, struct control *ctl, struct group *g, const struct conf_group *cg,
		       const struct conf_target *ct, char *err, size_t err_len)
{
	int rc;

	t->conf = ct;
	t->conf_group = cg;
	t->group = g;
	t->port = (struct sc_tport){ .rtpi = 1, .tpgt = 1 };
	rc = bind_lus(t, ctl, err, err_len);
	t->sc.name = ct->iqn;
	t->sc.ports = &t->port;
	t->sc.n_ports = 1;
	t->sc.luns = t->lun_no;
	return rc ? rc : chap_read(&t->chap, &ct->chap, err, err_len);
}

static int group_bind(struct view_group *vg, const struct group *g, const struct conf_group *cg, char *err,
		      size_t err_len)
{
	vg->group = g;
	vg->conf = cg;
	return chap_read(&vg->chap, &cg->discovery_chap, err, err_len);
}

static void take_options(struct view *v, const struct conf_options *o)
{
	isc_config_default(&v->isc);
	v->isc.window = o->queue_depth;
	v->isc.time2wait = (uint16_t)o->time2wait_s;
	v->isc.time2retain = (uint16_t)o->time2retain_s;
	v->isc.max_erl = (uint8_t)o->max_erl;
	v->login_timeout_us = (uint64_t)o->login_timeout_ms * 1000;
	v->nop_interval_us = (uint64_t)o->nop_interval_ms * 1000;
	v->nop_timeout_us = (uint64_t)o->nop_timeout_ms * 1000;
}

struct view *view_new(struct control *ctl, struct conf *conf, const char *only, char *err, size_t err_len)
{
	struct view *v = calloc(1, sizeof(*v));
	size_t n = 0;
	int rc = 0;

	if (!v) {
		conf_free(conf);
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	v->conf = conf;
	take_options(v, &conf->opt);
	for (size_t i = 0; i < conf->n_group; i++)
		n += conf->group[i].n_target;
	v->target = calloc(n + 1, sizeof(*v->target));
	v->group = calloc(conf->n_group + 1, sizeof(*v->group));
	if (!v->target || !v->group)
		rc = -ENOMEM;
	for (size_t i = 0; !rc && i < conf->n_group; i++) {
		const struct conf_group *cg = &conf->group[i];
		struct group *g;

		if (only && strcmp(only, cg->name) != 0)
			continue;
		g = group_find(ctl, cg->name);
		if (!g)
			g = group_new(ctl, cg->name);
		if (!g)
			rc = -ENOMEM;
		else
			rc = group_bind(&v->group[v->n_group++], g, cg, err, err_len);
		for (size_t k = 0; !rc && k < cg->n_target; k++)
			rc = target_bind(&v->target[v->n_target++], ctl, g, cg, &cg->target[k], err, err_len);
	}
	if (!rc)
		return v;
	if (rc == -ENOMEM)
		snprintf(err, err_len, "out of memory");
	view_free(v);
	return NULL;
}

void view_free(struct view *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n_target; i++) {
		free(v->target[i].lun_no);
		free(v->target[i].lu);
		chap_forget(&v->target[i].chap);
	}
	for (size_t i = 0; i < v->n_group; i++)
		chap_forget(&v->group[i].chap);
	free(v->target);
	free(v->group);
	conf_free(v->conf);
	free(v);
}
