/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * standalone.c - a target without a cluster: one file of configuration, a directory for what has to survive
 *
 * Reservations with APTPL, and settings, are kept in STATE_DIR/<group>.record: written beside, fsync, rename, fsync of the directory, before
 * the command that makes them is answered. The control thread does that; the reactors go on meanwhile, and what
 * arrives while it waits for the disk rides in the next write.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include <qb/qblog.h>

#include "node/node.h"
#include "proto/frame.h"

struct standalone {
	struct control ctl;
	const char *file;
	const char *state_dir;       /* NULL: nothing is kept */
	int ready_fd;
	bool ready, again;           /* SIGHUP came while the last was being applied */
	unsigned draining;           /* groups, and one for the walk over them */
};

static struct standalone *shell(struct control *ctl)
{
	return container_of(ctl, struct standalone, ctl);
}

/* ---- records on disk ---- */

static char *record_path(const struct standalone *s, const struct group *g, const char *suffix)
{
	char *p = NULL;

	return asprintf(&p, "%s/%s.record%s", s->state_dir, g->name, suffix) < 0 ? NULL : p;
}

static int write_whole(int fd, const uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

/* Beside, fsync, rename, fsync of the directory: either the old or the new record is there, whole. */
static int replace_file(const struct standalone *s, const struct group *g, const uint8_t *buf, size_t len)
{
	_cleanup_free_ char *path = record_path(s, g, ""), *beside = record_path(s, g, ".new");
	_cleanup_close_ int dir = open(s->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	int rc;

	if (!path || !beside)
		return -ENOMEM;
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (dir < 0 || fd < 0)
		return -errno;
	rc = write_whole(fd, buf, len);
	if (rc)
		return rc;
	return rename(beside, path) || fsync(dir) ? -errno : 0;
}

/* What a power loss leaves of a record: reservations with APTPL, and settings. Return: packed Record, *len bytes */
static uint8_t *pack_kept(struct group *g, const Lunward__RecordBody *all, size_t *len)
{
	Lunward__RecordBody body = LUNWARD__RECORD_BODY__INIT;
	_cleanup_free_ Lunward__LuReservations *lus = calloc(all->n_lus + 1, sizeof(*lus));
	_cleanup_free_ Lunward__LuReservations **v = calloc(all->n_lus + 1, sizeof(*v));
	uint8_t *buf = NULL;

	if (!lus || !v)
		return NULL;
	body.lus = v;
	body.settings = all->settings;
	body.n_settings = all->n_settings;
	for (size_t i = 0; i < all->n_lus; i++) {
		if (!all->lus[i]->aptpl)
			continue;
		lus[i] = *all->lus[i];
		lus[i].n_unit_attentions = 0;
		lus[i].spc2_initiator = (char *)protobuf_c_empty_string;
		lus[i].spc2_isid = (ProtobufCBinaryData){ 0 };
		v[body.n_lus++] = &lus[i];
	}
	*len = lunward__record_body__get_packed_size(&body);
	buf = malloc(*len + 1);
	if (buf)
		lunward__record_body__pack(&body, buf);
	(void)g;
	return buf;
}

static int write_record(struct standalone *s, struct group *g, const uint8_t *body, size_t len)
{
	Lunward__Record rec = LUNWARD__RECORD__INIT;
	_cleanup_free_ uint8_t *buf = NULL;
	size_t n;

	rec.format = LUNWARD_RECORD_FORMAT;
	rec.group = g->name;
	rec.seq = g->seq + 1;
	rec.body = (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)body };
	n = lunward__record__get_packed_size(&rec);
	buf = malloc(n + 1);
	if (!buf)
		return -ENOMEM;
	lunward__record__pack(&rec, buf);
	return replace_file(s, g, buf, n);
}

static int store(struct control *ctl, struct group *g, uint64_t ticket, const Lunward__RecordBody *body)
{
	struct standalone *s = shell(ctl);
	_cleanup_free_ uint8_t *kept = NULL;
	size_t len = 0;
	int rc;

	(void)ticket;
	if (!s->state_dir)
		return 0;
	kept = pack_kept(g, body, &len);
	if (!kept)
		return -1;
	if (len == g->saved_len && (!len || !memcmp(kept, g->saved, len)))
		return 0;
	rc = write_record(s, g, kept, len);
	if (rc) {
		qb_log(LOG_ERR, "group %s: cannot keep its reservations and settings in %s: %s", g->name, s->state_dir,
		       strerror(-rc));
		return -1;
	}
	g->seq++;
	free(g->saved);
	g->saved = steal_ptr(kept);
	g->saved_len = len;
	return 0;
}

static uint8_t *read_file(const char *path, size_t *len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *buf = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	*len = (size_t)st.st_size;
	buf = malloc(*len + 1);
	if (buf && read(fd, buf, *len) != (ssize_t)*len) {
		free(buf);
		return NULL;
	}
	return buf;
}

static int load_packed(struct standalone *s, struct group *g, const uint8_t *buf, size_t n, char *err, size_t err_len)
{
	Lunward__Record *rec = lunward__record__unpack(NULL, n, buf);
	Lunward__RecordBody *body;
	int rc = -EINVAL;

	(void)s;
	if (!rec || rec->format != LUNWARD_RECORD_FORMAT) {
		snprintf(err, err_len, "not a record of format %u", LUNWARD_RECORD_FORMAT);
		goto out;
	}
	g->seq = rec->seq;
	body = lunward__record_body__unpack(NULL, rec->body.len, rec->body.data);
	if (body) {
		rc = record_load(g, body, true, err, err_len);
		record_free(body);
	}
out:
	if (rec)
		lunward__record__free_unpacked(rec, NULL);
	return rc;
}

/* Return: 0, also when there is none; otherwise the group must not be served: somebody's reservation would be broken */
static int load_record(struct standalone *s, struct group *g)
{
	_cleanup_free_ char *path = s->state_dir ? record_path(s, g, "") : NULL;
	_cleanup_free_ uint8_t *buf = NULL;
	char err[200] = "it is damaged";
	size_t n = 0;

	if (!path || (access(path, F_OK) && errno == ENOENT))
		return 0;
	buf = read_file(path, &n);
	if (buf && load_packed(s, g, buf, n, err, sizeof(err)) == 0)
		return 0;
	qb_log(LOG_CRIT, "%s: %s: group %s is not served: restore the file, or remove it to forget its reservations",
	       path, err, g->name);
	return -EINVAL;
}

/* ---- up ---- */

static void say_ready(struct standalone *s)
{
	struct group *g;

	list_for_each(g, &s->ctl.groups, link)
		if (g->wanted && g->state == GROUP_ACTIVATING)
			return;
	if (s->ready)
		return;
	s->ready = true;
	qb_log(LOG_NOTICE, "ready: %zu targets, %u reactors, configuration %s", s->ctl.view->n_target, s->ctl.n_reactors,
	       s->file);
	if (s->ready_fd >= 0) {
		if (write(s->ready_fd, "READY\n", 6) != 6)
			qb_log(LOG_WARNING, "cannot write to --ready-fd: %s", strerror(errno));
		close(steal_fd(&s->ready_fd));
	}
}

static void on_active(struct group *g, void *arg, const char *err)
{
	if (err)
		qb_log(LOG_ERR, "group %s: %s", g->name, err);
	say_ready(arg);
}

static void load(struct standalone *s);

static void on_applied(struct control *ctl)
{
	struct standalone *s = shell(ctl);
	struct group *g;

	list_for_each(g, &ctl->groups, link) {
		if (!g->wanted || g->state != GROUP_STANDBY)
			continue;
		if (load_record(s, g) == 0)
			group_activate(g, 0, on_active, s);
	}
	if (s->ready)
		qb_log(LOG_NOTICE, "%s: applied", s->file);
	say_ready(s);
	if (s->again) {
		s->again = false;
		load(s);
	}
}

static void print_diags(const struct conf_diags *d, int priority)
{
	for (size_t i = 0; i < d->n; i++)
		qb_log(d->v[i].warning ? LOG_WARNING : (uint8_t)priority, "%s:%d: %s", d->name, d->v[i].line,
		       d->v[i].text);
}

/* Read and check it, with what it names. Return: 0; -EINVAL and the findings on stderr */
static int read_conf(const char *file, struct conf **ret)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_free_ char *text = NULL;
	_cleanup_conf_ struct conf *conf = NULL;
	int rc = conf_load(file, CONF_STANDALONE, &conf, &d);

	if (!rc && conf_check_files(conf, NULL, &d))
		rc = -EINVAL;
	text = conf_diags_text(&d);
	fputs(text ? text : "out of memory\n", stderr);
	if (!rc)
		*ret = steal_ptr(conf);
	return rc;
}

/* SIGHUP: a document that is not right changes nothing. */
static void load(struct standalone *s)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	struct conf *conf = NULL;
	char err[400];

	if (s->ctl.applying) {
		s->again = true;
		return;
	}
	if (conf_load(s->file, CONF_STANDALONE, &conf, &d) || conf_check_files(conf, NULL, &d)) {
		conf_free(conf);
		print_diags(&d, LOG_ERR);
		qb_log(LOG_ERR, "%s is not right: the configuration stays as it was", s->file);
		return;
	}
	print_diags(&d, LOG_ERR);
	if (control_apply(&s->ctl, conf, on_applied, err, sizeof(err)))
		qb_log(LOG_ERR, "%s: %s: the configuration stays as it was", s->file, err);
}

/* ---- down ---- */

static void on_drained(struct group *g, void *arg, const char *err)
{
	struct standalone *s = arg;

	(void)g, (void)err;
	if (--s->draining == 0)
		control_down(&s->ctl);
}

static int32_t on_term(int32_t sig, void *data)
{
	struct standalone *s = data;
	struct group *g;

	(void)sig;
	if (s->ctl.stopping) {
		qb_loop_stop(s->ctl.loop);  /* twice: at once */
		return 0;
	}
	qb_log(LOG_NOTICE, "stopping: commands in flight are being finished");
	s->ctl.stopping = true;
	s->draining = 1;
	list_for_each(g, &s->ctl.groups, link) {
		if (g->state != GROUP_ACTIVE)
			continue;
		s->draining++;
		group_drain(g, s->ctl.view->conf->opt.drain_timeout_ms, on_drained, s);
	}
	on_drained(NULL, s, NULL);
	return 0;
}

static int32_t on_hup(int32_t sig, void *data)
{
	(void)sig;
	load(data);
	return 0;
}

/* ---- */

static const char *usable_dir(const char *dir)
{
	if ((mkdir(dir, 0700) && errno != EEXIST) || access(dir, W_OK | X_OK)) {
		qb_log(LOG_WARNING, "%s: %s: reservations are not kept over a restart (see --state-dir)", dir,
		       strerror(errno));
		return NULL;
	}
	return dir;
}

int standalone_run(const char *file, const char *state_dir, unsigned n_reactors, int ready_fd)
{
	static struct standalone s;
	struct conf *conf = NULL;
	char err[400];

	if (read_conf(file, &conf))
		return 2;
	s = (struct standalone){ .file = file, .ready_fd = ready_fd };
	s.state_dir = usable_dir(state_dir);
	s.ctl.store = store;
	snprintf(s.ctl.initiator, sizeof(s.ctl.initiator), "iqn.2026-11.io.lunward:%s:standalone", conf->cluster);
	if (control_init(&s.ctl, n_reactors ? n_reactors : conf->opt.reactors)) {
		conf_free(conf);
		return 1;
	}
	qb_loop_signal_add(s.ctl.loop, QB_LOOP_HIGH, SIGTERM, &s, on_term, NULL);
	qb_loop_signal_add(s.ctl.loop, QB_LOOP_HIGH, SIGINT, &s, on_term, NULL);
	qb_loop_signal_add(s.ctl.loop, QB_LOOP_HIGH, SIGHUP, &s, on_hup, NULL);
	listen_inherit(&s.ctl);
	if (control_apply(&s.ctl, conf, on_applied, err, sizeof(err))) {
		fprintf(stderr, "%s: %s\n", file, err);
		s.ctl.exit_status = 2;
		control_down(&s.ctl);
	}
	qb_loop_run(s.ctl.loop);
	control_fini(&s.ctl);
	return s.ctl.exit_status;
}

int standalone_check(const char *file)
{
	_cleanup_conf_ struct conf *conf = NULL;

	if (read_conf(file, &conf))
		return 2;
	printf("%s: all right\n", file);
	return 0;
}
