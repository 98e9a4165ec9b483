/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret.c - CHAP secrets and the files they are in (RFC 7143 9.2.1). Reads files */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "cluster/conf/internal.h"

PRINTF(2, 3) static void say(char **why, const char *fmt, ...)
{
	va_list ap;

	free(*why);
	va_start(ap, fmt);
	if (vasprintf(why, fmt, ap) < 0)
		*why = NULL;
	va_end(ap);
}

void conf_secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

/* The first line of @fd. Return: its length, -errno */
static int first_line(int fd, char buf[CONF_SECRET_MAX + 2])
{
	ssize_t n = read(fd, buf, CONF_SECRET_MAX + 1);
	char *nl;

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	nl = memchr(buf, '\n', (size_t)n);
	if (nl)
		*nl = '\0';
	n = nl ? nl - buf : n;
	if (n > 0 && buf[n - 1] == '\r')
		buf[--n] = '\0';
	if (n == 0 || n > CONF_SECRET_MAX || memchr(buf, '\0', (size_t)n))
		return -EINVAL;
	return (int)n;
}

/* Who else can read it, and is it hard to guess? Return: 0 and perhaps something to say; -errno */
static int judge(const char *path, mode_t mode, int n, enum conf_secret whose, char **why)
{
	if (mode & 07) {
		say(why, "secret file %s is open to everybody (mode %04o); allowed: chmod 0600", path, mode & 07777);
		return -EACCES;
	}
	if (n < CONF_SECRET_MIN && whose == CONF_SECRET_OURS) {
		say(why, "secret file %s holds %d bytes, so that whoever asks could find the secret by trying (RFC 7143 "
		    "9.2.1); allowed: %d or more", path, n, CONF_SECRET_MIN);
		return -EINVAL;
	}
	if (mode & 070)
		say(why, "secret file %s can be read by others (mode %04o); allowed: chmod 0600", path, mode & 07777);
	else if (n < CONF_SECRET_MIN)
		say(why, "secret file %s holds %d bytes, which is right only where IPsec protects the connection (RFC 7143 "
		    "9.2.1); allowed: %d or more", path, n, CONF_SECRET_MIN);
	return 0;
}

int conf_secret_read(const char *path, enum conf_secret whose, char **ret, size_t *ret_len, char **why)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char buf[CONF_SECRET_MAX + 2];
	struct stat st;
	char *copy;
	int n, rc;

	*why = NULL;
	if (fd < 0 || fstat(fd, &st) < 0) {
		n = -errno;
		say(why, "secret file %s cannot be opened: %s", path, strerror(-n));
		return n;
	}
	n = first_line(fd, buf);
	if (n < 0) {
		say(why, n == -EINVAL ? "secret file %s does not hold a secret in its first line; allowed: 1 to 255 bytes"
				      : "secret file %s cannot be read", path);
		explicit_bzero(buf, sizeof(buf));
		return n;
	}
	rc = judge(path, st.st_mode, n, whose, why);
	copy = rc ? NULL : strndup(buf, (size_t)n);
	explicit_bzero(buf, sizeof(buf));
	if (!copy)
		return rc ? rc : -ENOMEM;
	*ret = copy;
	*ret_len = (size_t)n;
	return 0;
}

/* ---- all of a group ---- */

struct known {
	char *secret;
	const char *user;
	enum conf_secret whose;
	int line;
};

static void read_one(struct known *v, size_t *n, const char *path, enum conf_secret whose, const char *user, int line,
		     struct conf_diags *d)
{
	_cleanup_free_ char *why = NULL;
	struct known k = { .user = user, .whose = whose, .line = line };
	size_t len;

	if (!path)
		return;
	if (conf_secret_read(path, whose, &k.secret, &len, &why) < 0) {
		diag_error(d, line, "chap: %s", why ? why : path);
		return;
	}
	if (why)
		diag_warn(d, line, "chap: %s", why);
	v[(*n)++] = k;
}

static void read_all(struct known *v, size_t *n, const struct conf_chap *c, struct conf_diags *d)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct conf_chap_user *u = &c->user[i];

		read_one(v, n, u->secret_file, CONF_SECRET_THEIRS, u->user, u->line, d);
		read_one(v, n, u->mutual_secret_file, CONF_SECRET_OURS, u->mutual_user, u->line, d);
	}
}

static int known_cmp(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	int c = strcmp(x->secret, y->secret);

	if (c)
		return c;
	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : (x->whose > y->whose) - (x->whose < y->whose);
}

/* @first and @k have the same secret. One user of several targets is one user. */
static void compare(const struct known *first, const struct known *k, struct conf_diags *d)
{
	if (first->whose != k->whose)
		diag_error(d, k->line, "chap: users \"%.80s\" (line %d) and \"%.80s\" have one secret, and prove themselves "
			   "to each other with it: either could be the other (RFC 7143 9.2.1); allowed: different secrets for "
			   "both directions", first->user, first->line, k->user);
	else if (k->whose == CONF_SECRET_THEIRS && strcmp(first->user, k->user))
		diag_warn(d, k->line, "chap: users \"%.80s\" (line %d) and \"%.80s\" have one secret, so each could be the "
			  "other (RFC 7143 9.2.1); allowed: a secret for each", first->user, first->line, k->user);
}

void secrets_check(const struct conf_group *g, struct conf_diags *d)
{
	struct known *v;
	size_t n = g->discovery_chap.n;

	for (size_t i = 0; i < g->n_target; i++)
		n += g->target[i].chap.n;
	v = n ? calloc(2 * n, sizeof(*v)) : NULL;
	if (!v)
		return;
	n = 0;
	read_all(v, &n, &g->discovery_chap, d);
	for (size_t i = 0; i < g->n_target; i++)
		read_all(v, &n, &g->target[i].chap, d);
	qsort(v, n, sizeof(*v), known_cmp);
	for (size_t i = 1, first = 0; i < n; i++) {
		if (strcmp(v[i].secret, v[first].secret))
			first = i;
		else
			compare(&v[first], &v[i], d);
	}
	for (size_t i = 0; i < n; i++)
		conf_secret_free(v[i].secret);
	free(v);
}
