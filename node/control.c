/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.c - the control thread: its loop, its queue, and the reactors
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <qb/qblog.h>

#include "node/node.h"

#define REACTORS_DEFAULT 4u

void control_send(struct control *ctl, struct msg *m)
{
	queue_push(&ctl->in, m);
}

static int32_t on_messages(int32_t fd, int32_t revents, void *data)
{
	struct control *ctl = data;
	eventfd_t n;

	(void)revents;
	(void)eventfd_read(fd, &n);
	(void)queue_run(&ctl->in, ctl);
	return 0;
}

static unsigned cores(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return MIN((unsigned)CPU_COUNT(&set), REACTORS_DEFAULT);
}

/* As many connections as the system lets us. */
static void raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur == l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

int control_init(struct control *ctl, unsigned n_reactors)
{
	int rc;

	list_init(&ctl->groups);
	list_init(&ctl->lus);
	list_init(&ctl->sessions);
	list_init(&ctl->conns);
	list_init(&ctl->ops);
	list_init(&ctl->batch);
	list_init(&ctl->dirty_groups);
	raise_files();
	n_reactors = MIN(n_reactors ? n_reactors : cores(), REACTORS_MAX);
	ctl->loop = qb_loop_create();
	ctl->start_fd = eventfd(0, EFD_CLOEXEC);
	ctl->reactor = calloc(n_reactors, sizeof(*ctl->reactor));
	rc = ctl->loop && ctl->start_fd >= 0 && ctl->reactor ? queue_init(&ctl->in) : -ENOMEM;
	if (rc) {
		qb_log(LOG_CRIT, "cannot start: %s", strerror(-rc));
		return rc;
	}
	(void)qb_loop_poll_add(ctl->loop, QB_LOOP_HIGH, ctl->in.wake_fd, POLLIN, ctl, on_messages);
	for (unsigned i = 0; i < n_reactors; i++) {
		rc = reactor_start(&ctl->reactor[i], ctl, i);
		if (rc) {
			qb_log(LOG_CRIT, "%s", ctl->reactor[i].err);
			return rc;
		}
		ctl->n_reactors++;
	}
	return 0;
}

/* The last logical unit is gone: nothing is left to be done. */
void control_check_down(struct control *ctl)
{
	if (ctl->down && list_empty(&ctl->lus))
		qb_loop_stop(ctl->loop);
}

static void group_is_down(struct group *g, void *arg, const char *err)
{
	struct control *ctl = arg;
	struct lu *lu, *tmp;

	(void)g, (void)err;
	if (--ctl->closing)
		return;
	ctl->down = true;
	list_for_each_safe(lu, tmp, &ctl->lus, link)
		lu_remove(lu);
	control_check_down(ctl);
}

void control_down(struct control *ctl)
{
	struct group *g;

	ctl->stopping = true;
	ctl->closing = 1;
	list_for_each(g, &ctl->groups, link) {
		listen_close(g);
		ctl->closing++;
		group_drop(g, group_is_down, ctl);
	}
	group_is_down(NULL, ctl, NULL);
}

void control_fini(struct control *ctl)
{
	struct group *g, *tmp;

	for (unsigned i = 0; i < ctl->n_reactors; i++)
		reactor_join(&ctl->reactor[i]);
	(void)queue_run(&ctl->in, ctl);  /* log lines and farewells */
	list_for_each_safe(g, tmp, &ctl->groups, link) {
		listen_close(g);
		record_free(g->loaded);
		free(g->saved);
		free(g);
	}
	view_free(ctl->view);
	free(ctl->reactor);
	close(ctl->start_fd);
	queue_free(&ctl->in);
	qb_loop_destroy(ctl->loop);
}
