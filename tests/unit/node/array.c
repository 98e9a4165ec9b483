/* SPDX-License-Identifier: GPL-2.0-or-later */
/* array.c - see array.h */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/node/array.h"

unsigned free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

/* Dies with us, however that happens. */
static void run(char *const argv[], const char *log)
{
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, 1);
	dup2(out, 2);
	execv(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

pid_t spawn_ready(char *const argv[], const char *log)
{
	char *args[16] = { 0 }, fd[16], said[8] = "";
	int ready[2], n = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	fcntl(ready[0], F_SETFD, FD_CLOEXEC);
	snprintf(fd, sizeof(fd), "%d", ready[1]);
	while (argv[n]) {
		args[n] = argv[n];
		n++;
	}
	args[n++] = (char *)"--ready-fd";
	args[n++] = fd;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run(args, log);
	close(ready[1]);
	if (read(ready[0], said, sizeof(said)) != 6 || strncmp(said, "READY\n", 6))
		fail_msg("%s is not ready: see %s", argv[0], log);
	close(ready[0]);
	return pid;
}

/* ---- the array ---- */

static void path_of(const struct array *a, const char *name, char buf[160])
{
	snprintf(buf, 160, "%s/%s", a->dir, name);
}

void array_start(struct array *a)
{
	char conf[160], state[160], log[160];
	char *argv[] = { a->program, (char *)"--standalone", conf, (char *)"--state-dir", state, NULL };

	path_of(a, "array.yaml", conf);
	path_of(a, "state", state);
	path_of(a, "log", log);
	a->pid = spawn_ready(argv, log);
}

static void write_conf(const struct array *a, unsigned luns)
{
	char path[160];
	FILE *f;

	path_of(a, "array.yaml", path);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "cluster: array\ngroups:\n  - name: array\n    portals: [\"127.0.0.1:%u\"]\n    targets:\n"
		"      - iqn: %s\n        luns:\n", a->port, ARRAY_IQN);
	for (unsigned i = 0; i < luns; i++)
		fprintf(f, "          %u: {file: %s/disk%u, size: 16MiB}\n", i, a->dir, i);
	fclose(f);
}

void array_make(struct array *a, unsigned luns)
{
	const char *env = getenv("LUNWARD_TARGET");

	memset(a, 0, sizeof(*a));
	signal(SIGPIPE, SIG_IGN);  /* as all our daemons do: libiscsi writes to what may be closed */
	snprintf(a->program, sizeof(a->program), "%s", env ? env : "node/lunward-target");
	snprintf(a->dir, sizeof(a->dir), "/tmp/lunward-test-array.XXXXXX");
	assert_non_null(mkdtemp(a->dir));
	a->port = free_port();
	write_conf(a, luns);
	array_start(a);
}

void array_signal(struct array *a, int sig)
{
	assert_int_equal(kill(a->pid, sig), 0);
	/* Its threads run on, and answer, until the kernel has got to each. */
	if (sig == SIGSTOP)
		assert_int_equal(waitpid(a->pid, NULL, WUNTRACED), a->pid);
}

void array_kill(struct array *a)
{
	array_signal(a, SIGKILL);
	assert_int_equal(waitpid(a->pid, NULL, 0), a->pid);
	a->pid = 0;
}

void array_forget(struct array *a)
{
	char path[160];

	path_of(a, "state/array.record", path);
	assert_int_equal(unlink(path), 0);
}

/* An array that was stopped in order has to end well: it is the target that is tested here. */
void array_unmake(struct array *a)
{
	char command[128];
	int status = 0;

	if (a->mb)
		fence_mailbox_free(a->mb);
	if (a->pid) {
		array_signal(a, SIGCONT);
		array_signal(a, SIGTERM);
		assert_int_equal(waitpid(a->pid, &status, 0), a->pid);
		if (status)
			fail_msg("the array ended with status %#x: see %s/log", (unsigned)status, a->dir);
	}
	snprintf(command, sizeof(command), "rm -r %s", a->dir);
	assert_int_equal(system(command), 0);
}

void array_url(const struct array *a, unsigned lun, char buf[160])
{
	snprintf(buf, 160, "iscsi://127.0.0.1:%u/%s/%u", a->port, ARRAY_IQN, lun);
}

/* ---- clusterd's part ---- */

uint64_t array_key(unsigned node, uint32_t epoch)
{
	return fence_key_make(fence_cluster_tag(ARRAY_CLUSTER), node, epoch);
}

static void on_done(void *arg, struct fence_dev *dev, const struct fence_request *req, const struct fence_outcome *o)
{
	struct array *a = arg;

	(void)dev, (void)req;
	a->outcome = *o;
	a->done = true;
}

enum fence_verdict array_fence(struct array *a, unsigned node, enum fence_op op, uint64_t key, uint64_t expect)
{
	struct fence_request req = { .op = op, .key = key, .expect = expect };
	struct fence_dev_opts opts = { .isid = { 0x80, 0xfe, 0xfe, 0xfe, 0, (uint8_t)node } };
	char name[64], url[160], err[FENCE_TEXT];

	snprintf(name, sizeof(name), "iqn.2026-11.io.lunward:unit:node%u", node);
	opts.initiator = name;
	array_url(a, 0, url);
	if (!a->mb)
		a->mb = fence_mailbox_new();
	assert_non_null(a->mb);
	a->dev = fence_dev_open(a->mb, url, &opts, err);
	assert_non_null(a->dev);
	a->done = false;
	assert_true(fence_submit(a->dev, &req, on_done, a));
	while (!a->done) {
		struct pollfd p = { .fd = fence_mailbox_fd(a->mb), .events = POLLIN };

		assert_true(poll(&p, 1, 20000) > 0);
		fence_mailbox_dispatch(a->mb);
	}
	fence_dev_close(a->dev);
	return a->outcome.verdict;
}
