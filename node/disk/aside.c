/* SPDX-License-Identifier: GPL-2.0-or-later */
/* aside.c - see aside.h */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/disk/aside.h"
#include "node/util/util.h"

struct aside {
	struct ring *ring;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list todo, ended;     /* under the lock */
	bool stop;
	/* the ring's thread */
	struct ring_op wake_op;
	int wake_fd;
	uint64_t wake_count;
	unsigned n;                  /* jobs under way */
	bool armed;
};

static void *aside_main(void *arg)
{
	struct aside *a = arg;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		struct aside_job *j;

		if (list_empty(&a->todo)) {
			pthread_cond_wait(&a->more, &a->lock);
			continue;
		}
		j = list_first(&a->todo, struct aside_job, link);
		list_del(&j->link);
		pthread_mutex_unlock(&a->lock);
		j->run(j);
		pthread_mutex_lock(&a->lock);
		list_add_tail(&a->ended, &j->link);
		(void)eventfd_write(a->wake_fd, 1);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* Only while something is under way: an idle ring has nothing pending. */
static void arm(struct aside *a)
{
	if (a->armed || !a->n)
		return;
	a->armed = true;
	io_uring_prep_read(ring_sqe(a->ring, &a->wake_op), a->wake_fd, &a->wake_count, sizeof(a->wake_count), 0);
}

static void woken(struct ring_op *op, int res, uint32_t flags)
{
	struct aside *a = container_of(op, struct aside, wake_op);

	(void)res, (void)flags;
	a->armed = false;
	for (;;) {
		struct aside_job *j = NULL;

		pthread_mutex_lock(&a->lock);
		if (!list_empty(&a->ended)) {
			j = list_first(&a->ended, struct aside_job, link);
			list_del(&j->link);
		}
		pthread_mutex_unlock(&a->lock);
		if (!j)
			break;
		a->n--;
		j->done(j);
	}
	arm(a);
}

static struct aside *aside_new(struct ring *r)
{
	struct aside *a = calloc(1, sizeof(*a));
	sigset_t all, old;
	int rc;

	if (!a)
		return NULL;
	a->ring = r;
	a->wake_op.done = woken;
	list_init(&a->todo);
	list_init(&a->ended);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->more, NULL);
	a->wake_fd = eventfd(0, EFD_CLOEXEC);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = a->wake_fd < 0 ? errno : pthread_create(&a->thread, NULL, aside_main, a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		return a;
	if (a->wake_fd >= 0)
		close(a->wake_fd);
	free(a);
	return NULL;
}

int aside_submit(struct ring *r, struct aside_job *j)
{
	struct aside *a = r->aside;

	if (!a)
		a = r->aside = aside_new(r);
	if (!a)
		return -ENOMEM;
	list_init(&j->link);
	a->n++;
	pthread_mutex_lock(&a->lock);
	list_add_tail(&a->todo, &j->link);
	pthread_cond_signal(&a->more);
	pthread_mutex_unlock(&a->lock);
	arm(a);
	return 0;
}

void aside_free(struct ring *r)
{
	struct aside *a = r->aside;

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->more);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->more);
	pthread_mutex_destroy(&a->lock);
	close(a->wake_fd);
	free(a);
	r->aside = NULL;
}
