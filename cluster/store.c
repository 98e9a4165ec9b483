/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.c - the state directory: files that survive a power loss
 *
 * Theory of operation. A file is written beside (NAME.new), fsynced, renamed over NAME, and its directory fsynced:
 * after a crash there is the old file or the new one. Only then is it said to be stored. One worker thread does
 * this, in the order asked for, so that a slow disk delays nobody but those who wait for it; completions come back
 * to the loop through an eventfd. Every file has a header with a checksum over all of it; a file that fails it is
 * damaged and as good as absent: half a record must never serve.
 *
 * The header carries the boot id of the kernel that wrote it: a file is *warm* while the node has not rebooted
 * since. storefile.c makes and checks those bytes; reading is done by the loop's thread at start-up.
 */
#include "cluster/clusterd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>

#define RECORDS "records"

struct job {
	struct list link;
	char name[STORE_NAME_MAX];
	uint8_t *bytes;          /* NULL: unlink */
	size_t len;
	store_done_fn *done;
	void *data;
	uint64_t cookie;
	int error;
};

struct store {
	qb_loop_t *loop;
	int dirfd, lockfd, eventfd;
	char boot_id[STORE_BOOT_ID_LEN + 1];
	struct store_ops ops;
	pthread_t worker;
	bool running;
	/* shared with the worker, under @lock */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list todo, finished;
	bool stop;
};

/* ---- the worker ---- */

static int sync_parent(const struct store *s, const char *name)
{
	_cleanup_close_ int fd = openat(s->dirfd, strchr(name, '/') ? RECORDS : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || s->ops.fsync(fd) < 0 ? -errno : 0;
}

static int write_all(const struct store *s, int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t w = s->ops.write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int write_file(const struct store *s, const struct job *j)
{
	char beside[STORE_NAME_MAX + 8];
	_cleanup_close_ int fd = -1;
	int r;

	snprintf(beside, sizeof(beside), "%s.new", j->name);
	fd = openat(s->dirfd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(s, fd, j->bytes, j->len);
	if (r == 0 && s->ops.fsync(fd) < 0)
		r = -errno;
	if (r == 0 && s->ops.rename(s->dirfd, beside, j->name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(s->dirfd, beside, 0);
		return r;
	}
	return sync_parent(s, j->name);
}

static int remove_file(const struct store *s, const struct job *j)
{
	if (unlinkat(s->dirfd, j->name, 0) < 0 && errno != ENOENT)
		return -errno;
	return sync_parent(s, j->name);
}

static void finish(struct store *s, struct job *j)
{
	uint64_t one = 1;

	list_add_tail(&s->finished, &j->link);
	if (write(s->eventfd, &one, sizeof(one)) < 0)
		abort();   /* an eventfd counter cannot be full here */
}

static void *worker(void *data)
{
	struct store *s = data;
	struct job *j;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (list_empty(&s->todo) && !s->stop)
			pthread_cond_wait(&s->work, &s->lock);
		j = list_first(&s->todo, struct job, link);
		if (!j)
			break;
		list_del(&j->link);
		pthread_mutex_unlock(&s->lock);
		j->error = j->bytes ? write_file(s, j) : remove_file(s, j);
		pthread_mutex_lock(&s->lock);
		finish(s, j);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the loop's side ---- */

static void job_free(struct job *j)
{
	list_del(&j->link);
	free(j->bytes);
	free(j);
}

static int32_t on_finished(int32_t fd, int32_t revents, void *data)
{
	struct store *s = data;
	struct list mine;
	struct job *j, *tmp;
	uint64_t n;

	(void)revents;
	if (read(fd, &n, sizeof(n)) < 0)
		return 0;
	list_init(&mine);
	pthread_mutex_lock(&s->lock);
	list_for_each_safe(j, tmp, &s->finished, link) {
		list_del(&j->link);
		list_add_tail(&mine, &j->link);
	}
	pthread_mutex_unlock(&s->lock);
	list_for_each_safe(j, tmp, &mine, link) {
		if (j->done)
			j->done(j->data, j->cookie, j->error);
		job_free(j);
	}
	return 0;
}

static int enqueue(struct store *s, const char *name, uint8_t *bytes, size_t len, store_done_fn *done, void *data,
		   uint64_t cookie)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j || (size_t)snprintf(j->name, sizeof(j->name), "%s", name) >= sizeof(j->name)) {
		free(j);
		free(bytes);
		return -ENOMEM;
	}
	j->bytes = bytes;
	j->len = len;
	j->done = done;
	j->data = data;
	j->cookie = cookie;
	pthread_mutex_lock(&s->lock);
	list_add_tail(&s->todo, &j->link);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int store_write(struct store *s, const char *name, enum store_kind kind, bool warm, const void *payload, size_t len,
		store_done_fn *done, void *data, uint64_t cookie)
{
	size_t n;
	uint8_t *bytes = storefile_make(kind, warm ? s->boot_id : NULL, payload, len, &n);

	return bytes ? enqueue(s, name, bytes, n, done, data, cookie) : -ENOMEM;
}

int store_remove(struct store *s, const char *name)
{
	return enqueue(s, name, NULL, 0, NULL, NULL, 0);
}

static int read_whole(int dirfd, const char *name, uint8_t **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ uint8_t *buf = NULL;
	size_t len = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + len, (size_t)st.st_size - len);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret = steal_ptr(buf);
	*ret_len = len;
	return 0;
}

int store_read(struct store *s, const char *name, enum store_kind kind, struct store_file *ret, const char **why)
{
	_cleanup_free_ uint8_t *buf = NULL;
	size_t len = 0;
	int r = read_whole(s->dirfd, name, &buf, &len);

	return r < 0 ? r : storefile_check(buf, len, kind, s->boot_id, ret, why);
}

/* ---- names ---- */

static bool is_record(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return e->d_name[0] != '.' && (len < 4 || strcmp(e->d_name + len - 4, ".new") != 0);
}

char **store_names(struct store *s)
{
	int fd = openat(s->dirfd, RECORDS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char **v = calloc(1, sizeof(*v));
	struct dirent *e;
	size_t n = 0;

	while (d && v && (e = readdir(d))) {
		char **more = is_record(e) ? realloc(v, (n + 2) * sizeof(*v)) : NULL;

		if (!more)
			continue;
		v = more;
		v[n] = strdup(e->d_name);
		if (v[n])
			v[++n] = NULL;
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return v;
}

void store_names_free(char **names)
{
	for (char **p = names; p && *p; p++)
		free(*p);
	free(names);
}

/* ---- life ---- */

static int rename_at(int dirfd, const char *from, const char *to)
{
	return renameat(dirfd, from, dirfd, to);
}

static const struct store_ops REAL = { .write = write, .fsync = fsync, .rename = rename_at };

static int read_boot_id(char *ret, const char *given)
{
	const char *env = getenv("LUNWARD_BOOT_ID");
	_cleanup_fclose_ FILE *f = NULL;

	if (given || env) {
		snprintf(ret, STORE_BOOT_ID_LEN + 1, "%-*s", STORE_BOOT_ID_LEN, given ? given : env);
		return 0;
	}
	f = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!f || fread(ret, 1, STORE_BOOT_ID_LEN, f) != STORE_BOOT_ID_LEN)
		return -EIO;
	ret[STORE_BOOT_ID_LEN] = 0;
	return 0;
}

static int make_dir(int at, const char *path)
{
	return mkdirat(at, path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* A process before us may have died between rename and fsync: what we are about to read must not go back by a power loss. */
static int settle(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r, saved;

	if (fd < 0)
		return -1;
	r = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return r;
}

static int open_dir(struct store *s, const char *dir)
{
	int r = make_dir(AT_FDCWD, dir);

	if (r < 0)
		return r;
	s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0)
		return -errno;
	r = make_dir(s->dirfd, RECORDS);
	if (r < 0)
		return r;
	s->lockfd = openat(s->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lockfd < 0)
		return -errno;
	if (flock(s->lockfd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return settle(s->dirfd, ".") < 0 || settle(s->dirfd, RECORDS) < 0 ? -errno : 0;
}

static int start(struct store *s)
{
	s->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->eventfd < 0)
		return -errno;
	if (qb_loop_poll_add(s->loop, QB_LOOP_HIGH, s->eventfd, POLLIN, s, on_finished) < 0)
		return -EIO;
	s->running = pthread_create(&s->worker, NULL, worker, s) == 0;
	return s->running ? 0 : -EAGAIN;
}

int store_open(struct store **ret, qb_loop_t *loop, const char *dir, const char *boot_id, const struct store_ops *ops)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct store){ .loop = loop, .dirfd = -1, .lockfd = -1, .eventfd = -1, .ops = ops ? *ops : REAL };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	list_init(&s->todo);
	list_init(&s->finished);
	r = read_boot_id(s->boot_id, boot_id);
	if (r == 0)
		r = open_dir(s, dir);
	if (r == 0)
		r = start(s);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	struct job *j, *tmp;

	if (!s)
		return;
	if (s->running) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->worker, NULL);
	}
	list_for_each_safe(j, tmp, &s->finished, link)
		job_free(j);
	if (s->eventfd >= 0) {
		qb_loop_poll_del(s->loop, s->eventfd);
		close(s->eventfd);
	}
	if (s->lockfd >= 0)
		close(s->lockfd);
	if (s->dirfd >= 0)
		close(s->dirfd);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
