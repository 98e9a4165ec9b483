/* SPDX-License-Identifier: GPL-2.0-or-later */
/* print.c - the document in one canonical form: what is not said is not printed, and it parses to the same again */
#include <string.h>

#include "cluster/conf/internal.h"

/* Plain if no YAML reader could take it for anything but this text. */
static bool plain(const char *s)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf" };
	bool letter = false;

	if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/", s[0]))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(s, words[i]))
			return false;
	for (const char *p = s; *p; p++) {
		bool alnum = (*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z');

		letter |= (*p | 0x20) >= 'a' && (*p | 0x20) <= 'z';
		if (!alnum && !strchr("/._-+@", *p) && !(*p == ':' && p[1] && p[1] != ' '))
			return false;
	}
	return letter || s[0] == '/';
}

static void text(FILE *f, const char *s)
{
	if (plain(s)) {
		fputs(s, f);
		return;
	}
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

static void pair(FILE *f, const char *key, const char *value)
{
	fprintf(f, "%s: ", key);
	text(f, value);
}

static void size(FILE *f, uint64_t bytes)
{
	static const struct { const char *unit; unsigned shift; } units[] = {
		{ "TiB", 40 }, { "GiB", 30 }, { "MiB", 20 }, { "KiB", 10 }, { "", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (bytes % (UINT64_C(1) << units[i].shift) == 0) {
			fprintf(f, "%llu%s", (unsigned long long)(bytes >> units[i].shift), units[i].unit);
			return;
		}
}

static void print_acls(FILE *f, const struct conf_acls *l)
{
	fputs("initiators: ", f);
	for (size_t i = 0; i < l->n; i++) {
		fputs(i ? ", " : "[", f);
		text(f, l->v[i].text);
	}
	fputc(']', f);
}

static void print_lun(FILE *f, const struct conf_lun *l)
{
	fprintf(f, "          %u: {", l->number);
	if (l->backing == CONF_RAM) {
		fputs("ram: ", f);
		size(f, l->size);
	} else {
		pair(f, conf_backing_names[l->backing], l->path);
	}
	if (l->backing == CONF_FILE && l->size) {
		fputs(", size: ", f);
		size(f, l->size);
	}
	/* file and ram: 512 is what is meant without it */
	if (l->block_size && !(l->block_size == 512 && (l->backing == CONF_FILE || l->backing == CONF_RAM)))
		fprintf(f, ", block-size: %u", l->block_size);
	if (l->read_only)
		fputs(", read-only: true", f);
	if (l->provisioning)
		fprintf(f, ", provisioning: %s", conf_provisioning_names[l->provisioning]);
	if (l->set_serial) {
		fputs(", ", f);
		pair(f, "serial", l->set_serial);
	}
	if (l->set_naa)
		fprintf(f, ", naa: \"%s\"", l->set_naa);
	if (l->set_eui)
		fprintf(f, ", eui: \"%s\"", l->set_eui);
	if (l->set_product) {
		fputs(", ", f);
		pair(f, "product", l->set_product);
	}
	if (l->initiators.n) {
		fputs(", ", f);
		print_acls(f, &l->initiators);
	}
	fputs("}\n", f);
}

static void print_chap_user(FILE *f, const struct conf_chap_user *u)
{
	fputc('{', f);
	pair(f, "user", u->user);
	fputs(", ", f);
	pair(f, "secret-file", u->secret_file);
	if (u->mutual_user) {
		fputs(", ", f);
		pair(f, "mutual-user", u->mutual_user);
		fputs(", ", f);
		pair(f, "mutual-secret-file", u->mutual_secret_file);
	}
	if (u->initiators.n) {
		fputs(", ", f);
		print_acls(f, &u->initiators);
	}
	fputs("}\n", f);
}

static void print_chap(FILE *f, const char *key, const struct conf_chap *c)
{
	int indent = (int)strspn(key, " ");

	if (c->n == 0)
		return;
	fprintf(f, "%s:%s", key, c->n > 1 ? "\n" : " ");
	for (size_t i = 0; i < c->n; i++) {
		if (c->n > 1)
			fprintf(f, "%*s- ", indent + 2, "");
		print_chap_user(f, &c->user[i]);
	}
}

static void print_chap_algs(FILE *f, uint8_t algs)
{
	const char *between = "    chap-algorithms: [";

	for (unsigned i = 0; i < CONF_CHAP_ALGS; i++)
		if (algs & 1u << i) {
			fprintf(f, "%s%s", between, conf_chap_alg_names[i]);
			between = ", ";
		}
	fputs(algs ? "]\n" : "", f);
}

static void print_target(FILE *f, const struct conf_target *t)
{
	fputs("      - ", f);
	pair(f, "iqn", t->iqn);
	fputc('\n', f);
	if (t->alias) {
		fputs("        ", f);
		pair(f, "alias", t->alias);
		fputc('\n', f);
	}
	if (t->initiators.n) {
		fputs("        ", f);
		print_acls(f, &t->initiators);
		fputc('\n', f);
	}
	print_chap(f, "        chap", &t->chap);
	if (t->redirect.text) {
		fputs("        redirect: {", f);
		pair(f, "to", t->redirect.text);
		fputs(t->redirect.permanent ? ", permanent: true}\n" : "}\n", f);
	}
	if (t->fast_reconnect != CONF_RECONNECT_AUTO)
		fprintf(f, "        fast-reconnect: %s\n", t->fast_reconnect == CONF_RECONNECT_ON ? "on" : "off");
	fputs(t->n_lun ? "        luns:\n" : "        luns: {}\n", f);
	for (size_t i = 0; i < t->n_lun; i++)
		print_lun(f, &t->lun[i]);
}

static void print_group(FILE *f, const struct conf_group *g)
{
	fputs("  - ", f);
	pair(f, "name", g->name);
	fputc('\n', f);
	for (size_t i = 0; i < g->n_node; i++) {
		fputs(i ? ", " : "    nodes: [", f);
		text(f, g->node[i]);
		fputs(i + 1 == g->n_node ? "]\n" : "", f);
	}
	if (g->failback_auto)
		fputs("    failback: automatic\n", f);
	for (size_t i = 0; i < g->n_portal; i++) {
		fputs(i ? ", " : "    portals: [", f);
		text(f, g->portal[i].text);
		fputs(i + 1 == g->n_portal ? "]\n" : "", f);
	}
	for (size_t i = 0; i < g->n_fence_set; i++) {
		fputs(i ? ", " : "    fence: [", f);
		text(f, g->fence[i].path);
		fputs(i + 1 == g->n_fence_set ? "]\n" : "", f);
	}
	print_chap(f, "    discovery-chap", &g->discovery_chap);
	print_chap_algs(f, g->chap_algs);
	fputs(g->n_target ? "    targets:\n" : "    targets: []\n", f);
	for (size_t i = 0; i < g->n_target; i++)
		print_target(f, &g->target[i]);
}

static void print_options(FILE *f, const struct conf *c)
{
	bool first = true;
	char buf[24];

	for (size_t i = 0; i < conf_option_n; i++) {
		if (option_get(&c->opt, i) == conf_option_table[i].def)
			continue;
		fprintf(f, "%s  %s: %s\n", first ? "options:\n" : "", conf_option_table[i].name,
			option_print(&c->opt, i, buf));
		first = false;
	}
}

char *conf_print(const struct conf *c)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	if (!f)
		return NULL;
	pair(f, "cluster", c->cluster);
	fputc('\n', f);
	print_options(f, c);
	fputs(c->n_group ? "groups:\n" : "groups: []\n", f);
	for (size_t i = 0; i < c->n_group; i++)
		print_group(f, &c->group[i]);
	if (fclose(f)) {
		free(out);
		return NULL;
	}
	return out;
}
