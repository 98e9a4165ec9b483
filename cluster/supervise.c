/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * supervise.c - the process of each group: started, watched, restarted when the core says so
 *
 * Theory of operation. A target runs in a session of its own and outlives clusterd. It is watched through a pidfd,
 * its own child or one adopted after a restart of clusterd alike. RUN_DIR/target-GROUP.pid tells the next clusterd
 * which process to wait for; the process itself says Hello as soon as it can reach the new socket. A process that
 * answers no ping for target_timeout is reported hung; the core has it killed, its death is reported, and the core
 * starts the next one.
 *
 * Its listening sockets are duplicated here (pidfd_getfd) and inherited by its successor, so that a connection
 * attempt between the two waits in the accept queue instead of being refused (a refusal costs an initiator 3 s).
 */
#include "cluster/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <qb/qblog.h>

#define TARGET_PROGRAM "lunward-target"

extern char **environ;

static int sys_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int sys_pidfd_getfd(int pidfd, int fd)
{
	return (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

static void feed(struct group *g, enum core_target_event what, const char *error)
{
	struct core_event ev = { .type = CORE_EV_TARGET, .target = { .group = g->name, .what = what, .error = error } };

	shell_feed(g->d, &ev);
}

/* ---- pid files ---- */

static void pid_path(const struct group *g, char *buf, size_t size)
{
	snprintf(buf, size, "%s/target-%s.pid", g->d->run_dir, g->name);
}

static void pid_write(const struct group *g)
{
	char path[PATH_MAX];
	FILE *f;

	pid_path(g, path, sizeof(path));
	f = fopen(path, "we");
	if (!f)
		return;
	fprintf(f, "%d\n", (int)g->target.pid);
	fclose(f);
}

static pid_t pid_read(const struct group *g)
{
	char path[PATH_MAX];
	int pid = 0;
	FILE *f;

	pid_path(g, path, sizeof(path));
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

static void pid_remove(const struct group *g)
{
	char path[PATH_MAX];

	pid_path(g, path, sizeof(path));
	unlink(path);
}

/* A pid may have been given to somebody else meanwhile: is this one serving this group? */
static bool is_target_of(const struct group *g, pid_t pid)
{
	char path[64], cmd[1024] = "";
	_cleanup_fclose_ FILE *f = NULL;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	f = fopen(path, "re");
	n = f ? fread(cmd, 1, sizeof(cmd) - 1, f) : 0;
	if (!strstr(cmd, TARGET_PROGRAM))
		return false;
	for (char *arg = cmd; arg < cmd + n; arg += strlen(arg) + 1)
		if (!strcmp(arg, g->name))
			return true;
	return false;
}

/* ---- watching ---- */

static void close_listeners(struct target *t)
{
	for (size_t i = 0; i < t->n_listeners; i++)
		close(t->listener[i].fd);
	t->n_listeners = 0;
}

static void unwatch(struct group *g)
{
	struct target *t = &g->target;

	if (t->pidfd >= 0) {
		qb_loop_poll_del(g->d->loop, t->pidfd);
		close(t->pidfd);
	}
	t->pidfd = -1;
	t->pid = 0;
	t->life = LIFE_NONE;
	t->hello = t->hung = false;
}

static void cause_of_death(struct target *t, char *buf, size_t size)
{
	siginfo_t si = { 0 };

	if (!t->child || waitid(P_PIDFD, (id_t)t->pidfd, &si, WEXITED) < 0)
		snprintf(buf, size, "ended");
	else if (si.si_code == CLD_EXITED)
		snprintf(buf, size, "exited with code %d", si.si_status);
	else
		snprintf(buf, size, "was killed by signal %d (%s)", si.si_status, strsignal(si.si_status));
}

static int32_t on_death(int32_t fd, int32_t revents, void *data)
{
	struct group *g = data;
	char cause[96], text[CORE_TEXT_MAX];
	bool wanted = g->target.wanted_gone;

	(void)fd, (void)revents;
	cause_of_death(&g->target, cause, sizeof(cause));
	snprintf(text, sizeof(text), "target process %d %s", (int)g->target.pid, cause);
	qb_log(LOG_INFO, "%s: %s", g->name, text);
	unwatch(g);
	pid_remove(g);
	if (wanted)
		close_listeners(&g->target);
	feed(g, CORE_TARGET_DIED, text);
	return 0;
}

static int watch(struct group *g, pid_t pid, bool child)
{
	struct target *t = &g->target;
	int fd = sys_pidfd_open(pid);

	if (fd < 0)
		return -errno;
	if (qb_loop_poll_add(g->d->loop, QB_LOOP_HIGH, fd, POLLIN, g, on_death) < 0) {
		close(fd);
		return -EIO;
	}
	t->life = LIFE_RUNNING;
	t->pid = pid;
	t->pidfd = fd;
	t->child = child;
	t->wanted_gone = false;
	t->heard_ns = mono_ns();
	return 0;
}

void process_init(struct target *t)
{
	*t = (struct target){ .pidfd = -1 };
}

void process_forget(struct group *g)
{
	unwatch(g);
	close_listeners(&g->target);
	if (g->target.report)
		lunward__target_report__free_unpacked(g->target.report, NULL);
	g->target.report = NULL;
}

bool process_adopt(struct group *g, pid_t pid)
{
	if (g->target.life == LIFE_RUNNING && g->target.pid == pid)
		return true;
	if (g->target.life == LIFE_RUNNING) {
		qb_log(LOG_WARNING, "%s: process %d says it serves the group, but %d does: killed", g->name, (int)pid,
		       (int)g->target.pid);
		if (is_target_of(g, pid))
			kill(pid, SIGKILL);
		return false;
	}
	if (!is_target_of(g, pid) || watch(g, pid, false) < 0)
		return false;
	pid_write(g);
	return true;
}

void process_resume(struct group *g)
{
	pid_t pid = pid_read(g);

	if (g->target.life == LIFE_RUNNING)
		return;   /* it was faster: Hello has come */
	if (pid > 0 && is_target_of(g, pid) && watch(g, pid, false) == 0) {
		qb_log(LOG_NOTICE, "%s: target process %d is still there", g->name, (int)pid);
		return;
	}
	feed(g, CORE_TARGET_ABSENT, NULL);
}

/* ---- starting ---- */

/* LUNWARD_TARGET names another program, for the lab; else it is beside ours, else installed. */
static void program(char *buf, size_t size)
{
	const char *env = getenv("LUNWARD_TARGET");
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	snprintf(buf, size, "%s", env ? env : LUNWARD_SBINDIR "/" TARGET_PROGRAM);
	if (env || n <= 0)
		return;
	self[n] = 0;
	slash = strrchr(self, '/');
	*slash = 0;
	snprintf(buf, size, "%.*s/" TARGET_PROGRAM, (int)(size - sizeof(TARGET_PROGRAM) - 1), self);
	if (access(buf, X_OK) == 0)
		return;
	/* a build tree: cluster/lunward-clusterd and node/lunward-target */
	snprintf(buf, size, "%.*s/../node/" TARGET_PROGRAM, (int)(size - sizeof(TARGET_PROGRAM) - 9), self);
	if (access(buf, X_OK) < 0)
		snprintf(buf, size, "%s", LUNWARD_SBINDIR "/" TARGET_PROGRAM);
}

/* Our environment without the listeners of others, and with those of this group. */
static char **make_environ(const struct target *t, char *fds, size_t size)
{
	size_t n = 0, len = 0, k = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 2, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LUNWARD_LISTEN_FDS=", 19) != 0)
			env[k++] = environ[i];
	len = (size_t)snprintf(fds, size, "LUNWARD_LISTEN_FDS=");
	for (size_t i = 0; i < t->n_listeners && len < size; i++)
		len += (size_t)snprintf(fds + len, size - len, "%s%d", i ? "," : "", t->listener[i].fd);
	if (t->n_listeners)
		env[k++] = fds;
	return env;
}

static int spawn(struct group *g, pid_t *ret)
{
	struct target *t = &g->target;
	uint32_t reactors = g->d->conf ? g->d->conf->opt.reactors : 0;
	char path[PATH_MAX], fds[LISTENERS_MAX * 12 + 32], n[12];
	char *argv[] = { path, (char *)"--group", g->name, NULL, n, NULL };
	char **env = make_environ(t, fds, sizeof(fds));
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	if (!env)
		return -ENOMEM;
	program(path, sizeof(path));
	snprintf(n, sizeof(n), "%u", reactors);
	if (reactors)   /* 0: the target's own choice */
		argv[3] = (char *)"--reactors";
	posix_spawn_file_actions_init(&files);
	for (size_t i = 0; i < t->n_listeners; i++)   /* onto itself: loses FD_CLOEXEC */
		posix_spawn_file_actions_adddup2(&files, t->listener[i].fd, t->listener[i].fd);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(ret, path, &files, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	free(env);
	return -r;
}

void process_start(struct group *g)
{
	char text[CORE_TEXT_MAX];
	pid_t pid;
	int r;

	if (g->target.life == LIFE_RUNNING)
		return;
	r = spawn(g, &pid);
	if (r == 0)
		r = watch(g, pid, true);
	if (r < 0) {
		snprintf(text, sizeof(text), "lunward-target cannot be started: %s", strerror(-r));
		feed(g, CORE_TARGET_DIED, text);
		return;
	}
	pid_write(g);
	event_add(g->d, g->name, CORE_INFO, "target-started", "process %d", (int)pid);
}

void process_kill(struct group *g)
{
	if (g->target.life == LIFE_RUNNING)
		syscall(SYS_pidfd_send_signal, g->target.pidfd, SIGKILL, NULL, 0);
	else
		feed(g, CORE_TARGET_DIED, "there was no target process");
}

/* ---- its listeners, its health ---- */

void process_listeners(struct group *g, const Lunward__Configured *c)
{
	struct target *t = &g->target;

	close_listeners(t);
	for (size_t i = 0; i < c->n_listeners && t->n_listeners < LISTENERS_MAX; i++) {
		int fd = sys_pidfd_getfd(t->pidfd, c->listeners[i]->fd);

		if (fd < 0) {
			qb_log(LOG_WARNING, "%s: listener %s cannot be kept over a restart: %s", g->name,
			       c->listeners[i]->portal, strerror(errno));
			continue;
		}
		snprintf(t->listener[t->n_listeners].portal, sizeof(t->listener[0].portal), "%s", c->listeners[i]->portal);
		t->listener[t->n_listeners++].fd = fd;
	}
}

void process_tick(struct group *g)
{
	struct target *t = &g->target;
	uint64_t limit = (g->d->conf ? g->d->conf->opt.target_timeout_ms : 10000) * NSEC_PER_MSEC;

	if (t->life != LIFE_RUNNING)
		return;
	if (t->hello)
		targetlink_ping(g);
	if (t->hung || mono_ns() - t->heard_ns < limit)
		return;
	t->hung = true;
	feed(g, CORE_TARGET_HUNG, NULL);
}
