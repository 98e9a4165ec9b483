/* SPDX-License-Identifier: GPL-2.0-or-later */
/* files.c - what the document names on this node: devices, files; secrets are secret.c's. Reads files */
#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "cluster/conf/internal.h"

static void check_block(const char *path, int line, struct conf_diags *d)
{
	struct stat st;

	if (stat(path, &st) < 0)
		diag_error(d, line, "%s: %s; allowed: a block device that this node sees now", path, strerror(errno));
	else if (!S_ISBLK(st.st_mode))
		diag_error(d, line, "%s is no block device; allowed: a block device, or file: PATH for a file", path);
}

static void check_file(const struct conf_lun *l, struct conf_diags *d)
{
	_cleanup_free_ char *copy = strdup(l->path);
	struct stat st;

	if (stat(l->path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			diag_error(d, l->line, "%s is no file; allowed: a file, or block: PATH for a device", l->path);
		else if (!l->size && st.st_size == 0)
			diag_error(d, l->line, "%s is empty; allowed: size: N beside file:", l->path);
	} else if (!l->size) {
		diag_error(d, l->line, "%s: %s; allowed: an existing file, or size: N to have it made", l->path,
			   strerror(errno));
	} else if (copy && (stat(dirname(copy), &st) < 0 || !S_ISDIR(st.st_mode))) {
		diag_error(d, l->line, "%s: its directory does not exist; allowed: an existing directory", l->path);
	}
}

static void check_target(const struct conf_target *t, struct conf_diags *d)
{
	for (size_t i = 0; i < t->n_lun; i++)
		if (t->lun[i].backing == CONF_BLOCK)
			check_block(t->lun[i].path, t->lun[i].line, d);
		else if (t->lun[i].backing == CONF_FILE)
			check_file(&t->lun[i], d);
}

size_t conf_check_files(const struct conf *c, const char *group, struct conf_diags *d)
{
	size_t before = d->n_errors;

	for (size_t i = 0; i < c->n_group; i++) {
		const struct conf_group *g = &c->group[i];

		if (group && strcmp(group, g->name))
			continue;
		for (size_t j = 0; j < g->n_fence_set; j++)
			if (g->fence[j].backing == CONF_BLOCK)
				check_block(g->fence[j].path, g->fence[j].line, d);
		for (size_t j = 0; j < g->n_target; j++)
			check_target(&g->target[j], d);
		secrets_check(g, d);
	}
	diag_sort(d);
	return d->n_errors - before;
}
