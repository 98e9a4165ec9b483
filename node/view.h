/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view.h - what is served, as all threads see it; private to node/, see node.h */
#ifndef LUNWARD_NODE_VIEW_H
#define LUNWARD_NODE_VIEW_H

#include "node/base.h"

/* ---- view.c: what is served, as all threads see it ---- */

/* Who may prove itself by CHAP, with the secrets read from their files. */
struct chap {
	const struct conf_chap *conf;
	struct chap_secret {
		char *secret, *mutual;
		size_t secret_len, mutual_len;
	} *secret;                   /* parallel to conf->user */
};

/* A target as of one configuration; immutable. */
struct target {
	const struct conf_target *conf;
	const struct conf_group *conf_group;
	struct group *group;
	struct sc_target sc;
	struct sc_tport port;        /* one: all portals of a group are one portal group, tag 1 */
	uint16_t *lun_no;            /* ascending, sc.n_luns of them */
	struct lu **lu;              /* parallel to lun_no */
	struct chap chap;
};

/* What holds for all of a group: discovery. */
struct view_group {
	const struct group *group;
	const struct conf_group *conf;
	struct chap chap;            /* of discovery sessions */
};

/* All targets of this process; immutable. Made by the control thread, replaced as a whole. */
struct view {
	struct conf *conf;
	struct target *target;
	size_t n_target;
	struct view_group *group;
	size_t n_group;
	struct isc_config isc;
	uint64_t login_timeout_us, nop_interval_us, nop_timeout_us;
};

/** view_find() - [any] A target by name within a group, any case, or NULL */
const struct target *view_find(const struct view *v, const struct group *g, const char *iqn);
/** view_group() - [any] A group, or NULL: not in this view */
const struct view_group *view_group(const struct view *v, const struct group *g);
/**
 * view_new() - [C] Bind a parsed configuration to groups and logical units
 * @only:	this group alone, NULL: all
 * Takes @conf over (also on failure). Logical units that do not exist yet are made, and opened nowhere.
 * Return: the view, or NULL and @err
 */
struct view *view_new(struct control *ctl, struct conf *conf, const char *only, char *err, size_t err_len);
void view_free(struct view *v);

#endif
