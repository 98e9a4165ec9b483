/* SPDX-License-Identifier: GPL-2.0-or-later */
/* document.c - the commands about the configuration document: check, apply, config show */
#include <errno.h>
#include <string.h>

#include "cluster/conf/conf.h"
#include "cluster/ctl/ctl.h"

/* All of @path ("-": standard input). Return: malloc()ed text, NULL with errno set */
static char *read_text(const char *path, size_t *ret_len)
{
	bool in = !strcmp(path, "-");
	_cleanup_fclose_ FILE *file = in ? NULL : fopen(path, "re");
	FILE *f = in ? stdin : file;
	_cleanup_free_ char *text = f ? malloc(CONF_TEXT_MAX + 2) : NULL;

	if (!text)
		return NULL;
	*ret_len = fread(text, 1, CONF_TEXT_MAX + 1, f);
	if (ferror(f))
		return NULL;
	text[*ret_len] = '\0';
	return steal_ptr(text);
}

static void findings_json(FILE *f, const struct conf_diags *d)
{
	fprintf(f, "{\"ok\": %s, \"findings\": [", d->n_errors ? "false" : "true");
	for (size_t i = 0; i < d->n; i++) {
		fprintf(f, "%s\n  {\"line\": %d, \"severity\": \"%s\", \"text\": ", i ? "," : "", d->v[i].line,
			d->v[i].warning ? "warning" : "error");
		json_string(f, d->v[i].text);
		fputc('}', f);
	}
	fputs(d->n ? "\n]}\n" : "]}\n", f);
}

/* Findings go where errors go, so that `check` can be silent in scripts; as JSON they are the output. */
static void findings(const struct ctl_args *a, const struct conf_diags *d)
{
	_cleanup_free_ char *text = NULL;

	if (a->opts & OPT_JSON) {
		findings_json(a->out, d);
		return;
	}
	text = conf_diags_text(d);
	fputs(text ? text : "out of memory\n", a->err);
}

static void summary(const struct ctl_args *a, const char *path, const struct conf *c)
{
	size_t targets = 0, luns = 0;

	for (size_t i = 0; i < c->n_group; i++) {
		targets += c->group[i].n_target;
		for (size_t j = 0; j < c->group[i].n_target; j++)
			luns += c->group[i].target[j].n_lun;
	}
	fprintf(a->out, "%s: good: cluster %s, %zu groups, %zu targets, %zu LUNs\n", path, c->cluster, c->n_group, targets,
		luns);
}

enum ctl_exit cmd_check(const struct ctl_command *cmd, const struct ctl_args *a)
{
	enum conf_mode mode = a->opts & OPT_STANDALONE ? CONF_STANDALONE : CONF_CLUSTER;
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_conf_ struct conf *c = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	(void)cmd;
	text = read_text(a->word[0], &len);
	if (!text)
		return ctl_fail(a, CTL_FAILED, "%s: %s", a->word[0], strerror(errno));
	if (conf_parse(text, len, a->word[0], mode, &c, &d) == 0 && a->opts & OPT_FILES)
		conf_check_files(c, NULL, &d);
	findings(a, &d);
	if (!c || d.n_errors)
		return CTL_FAILED;
	if (!(a->opts & OPT_JSON))
		summary(a, a->word[0], c);
	return CTL_OK;
}

/* A document with errors is refused here already, with its file's name; clusterd checks it again. */
enum ctl_exit cmd_apply(const struct ctl_command *cmd, const struct ctl_args *a)
{
	Lunward__CtlApplyRequest what = LUNWARD__CTL_APPLY_REQUEST__INIT;
	Lunward__CtlRequest req = LUNWARD__CTL_REQUEST__INIT;
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_reply_ Lunward__CtlReply *r = NULL;
	_cleanup_conf_ struct conf *c = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	enum ctl_exit e;

	text = read_text(a->word[0], &len);
	if (!text)
		return ctl_fail(a, CTL_FAILED, "%s: %s", a->word[0], strerror(errno));
	if (conf_parse(text, len, a->word[0], CONF_CLUSTER, &c, &d) < 0) {
		findings(a, &d);
		return CTL_FAILED;
	}
	if (d.n && !(a->opts & OPT_JSON))
		findings(a, &d);
	what.yaml = text;
	what.name = a->word[0];
	what.force = !!(a->opts & OPT_FORCE);
	what.dry_run = !!(a->opts & OPT_DRY_RUN);
	req.msg_case = LUNWARD__CTL_REQUEST__MSG_APPLY;
	req.apply = &what;
	e = ctl_call(cmd, a, &req, &r);
	return e == CTL_OK ? ctl_done(a, r, what.dry_run ? "nothing was changed" : "applied") : e;
}

enum ctl_exit cmd_config(const struct ctl_command *cmd, const struct ctl_args *a)
{
	_cleanup_reply_ Lunward__CtlReply *r = NULL;
	Lunward__CtlConfigRequest what = LUNWARD__CTL_CONFIG_REQUEST__INIT;
	Lunward__CtlRequest req = LUNWARD__CTL_REQUEST__INIT;
	enum ctl_exit e;

	req.msg_case = LUNWARD__CTL_REQUEST__MSG_CONFIG;
	req.config = &what;
	e = ctl_call(cmd, a, &req, &r);
	if (e != CTL_OK)
		return e;
	if (r->msg_case != LUNWARD__CTL_REPLY__MSG_CONFIG)
		return ctl_wrong_reply(a);
	if (a->opts & OPT_JSON)
		json_message(a->out, &r->config->base, true);
	else
		fputs(r->config->yaml, a->out);
	return CTL_OK;
}
