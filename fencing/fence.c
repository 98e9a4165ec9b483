/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence.c - devices, their worker threads, and the mailbox
 *
 * Theory of operation
 *
 * Two sides, one lock a mailbox, held for a few instructions only. The owner's side appends jobs to a device's queue and
 * wakes its worker through an eventfd. The worker runs one job at a time: it steps the machine and gives each
 * command to the transport, which itself waits on that eventfd too, so that a cancel or a close ends any wait but SG_IO.
 * Done jobs go to the mailbox's list; its eventfd tells the owner, who runs the callbacks in its own loop.
 * Between jobs the worker keeps the transport warm and reconnects once a second, so that a takeover needs no login.
 *
 * A closed device lives on until its worker has said goodbye through the same list, as the last thing it says:
 * dispatch then joins the thread and frees it. Jobs of a closed device are dropped without a callback.
 */
#include "fencing/fence.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fencing/transport.h"
#include "node/util/list.h"
#include "node/util/util.h"

#define RECONNECT_MS 1000u
#define SILENCE_MS 10u       /* between two looks whether a device is quiet */
#define WARM_MS 3600000u     /* how long one idle() may last: as good as for ever */

struct job {
	struct list link;
	struct fence_dev *dev;
	uint64_t ticket;         /* 0: not an operation but the worker's goodbye */
	uint64_t deadline_ms;
	struct fence_request req;
	fence_done_fn done;
	void *arg;
	bool canceled;
	struct fence_machine m;
};

struct fence_mailbox {
	int efd;
	pthread_mutex_t lock;
	struct list done;        /* jobs; lock */
	struct list devs;        /* owner's thread only */
};

struct fence_dev {
	struct list link;
	struct fence_mailbox *mb;
	struct fence_transport *transport;  /* worker's */
	uint64_t retry_ms;                  /* worker's: no reconnect in the background before */
	struct fence_dev_opts opts;
	char *spec;
	pthread_t thread;
	int wake;
	uint64_t last_ticket;
	struct job goodbye;
	/* under mb->lock */
	struct list queue;
	struct job *current;
	bool closing;
	enum fence_link link_state;
	char link_text[FENCE_TEXT];
};

static void notify(int efd)
{
	static const uint64_t one = 1;

	/* Cannot fail but by overflow, which means that it is readable anyway. */
	if (write(efd, &one, sizeof(one)) < 0)
		return;
}

static void drain(int efd)
{
	uint64_t n;

	if (read(efd, &n, sizeof(n)) < 0)
		return;
}

static void lock(struct fence_mailbox *mb) { pthread_mutex_lock(&mb->lock); }
static void unlock(struct fence_mailbox *mb) { pthread_mutex_unlock(&mb->lock); }

/* ---- the worker's side ---- */

static void post(struct fence_dev *dev, struct job *job)
{
	lock(dev->mb);
	dev->current = NULL;
	list_add_tail(&dev->mb->done, &job->link);
	notify(dev->mb->efd);
	unlock(dev->mb);
}

static void set_link(struct fence_dev *dev, enum fence_link state, const char *text)
{
	lock(dev->mb);
	dev->link_state = state;
	snprintf(dev->link_text, sizeof(dev->link_text), "%s", text);
	unlock(dev->mb);
}

/* While connecting in the background: new work needs that connection, too. */
static bool stop_connect(void *arg)
{
	struct fence_dev *dev = arg;
	bool stop;

	drain(dev->wake);
	lock(dev->mb);
	stop = dev->closing;
	unlock(dev->mb);
	return stop;
}

/* While idle: any work? */
static bool stop_idle(void *arg)
{
	struct fence_dev *dev = arg;
	bool stop;

	drain(dev->wake);
	lock(dev->mb);
	stop = dev->closing || !list_empty(&dev->queue);
	unlock(dev->mb);
	return stop;
}

/* In an operation: is it to end early? */
static bool stop_job(void *arg)
{
	struct fence_dev *dev = arg;
	bool stop;

	drain(dev->wake);
	lock(dev->mb);
	stop = dev->closing || dev->current->canceled;
	unlock(dev->mb);
	return stop;
}

static struct fence_wait wait_until(struct fence_dev *dev, uint64_t deadline_ms, bool (*stop)(void *))
{
	return (struct fence_wait){
		.deadline_ms = deadline_ms, .cmd_timeout_ms = dev->opts.cmd_timeout_ms,
		.wake_fd = dev->wake, .stop = stop, .arg = dev,
	};
}

static struct fence_wait wait_for(struct fence_dev *dev, unsigned int ms, bool (*stop)(void *))
{
	return wait_until(dev, fence_now_ms() + ms, stop);
}

static void too_late(struct fence_dev *dev, struct fence_machine *m)
{
	char text[FENCE_TEXT], link[FENCE_TEXT];

	(void)fence_dev_link(dev, link);
	snprintf(text, sizeof(text), "%s took longer than %u ms%s%.120s", fence_op_name(m->req.op),
		 dev->opts.op_timeout_ms, link[0] ? ": " : "", link);
	fence_abort(m, FENCE_WHY_TIMEOUT, text);
}

/* One command. Return: false if the operation ended early, @m is aborted then */
static bool run_command(struct fence_dev *dev, struct fence_machine *m, const struct fence_cmd *cmd,
			struct fence_result *res, const struct fence_wait *w)
{
	bool failed = true;

	if (cmd->delay_ms)
		(void)fence_poll(-1, 0, MIN(w->deadline_ms, fence_now_ms() + cmd->delay_ms), w);
	if (fence_now_ms() < w->deadline_ms && !stop_job(dev)) {
		fence_transport_pr(dev->transport, cmd, res, w);
		failed = res->status == FENCE_ST_LOST || res->status == FENCE_ST_UNSENT;
		/* "timed out" of a last try that the deadline cut short would hide the reason. */
		if (!failed || fence_now_ms() < w->deadline_ms)
			set_link(dev, dev->transport->ops->up(dev->transport) ? FENCE_LINK_UP : FENCE_LINK_DOWN,
				 failed ? res->text : "");
	}
	if (failed && stop_job(dev))
		fence_abort(m, FENCE_WHY_CANCELED, "canceled");
	else if (failed && fence_now_ms() >= w->deadline_ms)
		too_late(dev, m);
	else
		return true;
	return false;
}

/*
 * A take registers before it has won: what an earlier life of this node has in flight through the same nexus would be
 * let in. O_DIRECT writes submitted through io_uring outlive a killed process.
 */
static bool silence(struct fence_dev *dev, struct fence_machine *m, const struct fence_wait *w)
{
	while (fence_in_use(dev->spec)) {
		if (stop_job(dev)) {
			fence_abort(m, FENCE_WHY_CANCELED, "canceled");
			return false;
		}
		if (fence_now_ms() >= w->deadline_ms) {
			fence_abort(m, FENCE_WHY_TIMEOUT, "I/O of a target process that has ended is still in flight, or "
				    "another process uses the device");
			return false;
		}
		(void)fence_poll(-1, 0, MIN(w->deadline_ms, fence_now_ms() + SILENCE_MS), w);
	}
	return true;
}

static void run_job(struct fence_dev *dev, struct job *job)
{
	struct fence_wait w = wait_until(dev, job->deadline_ms, stop_job);
	struct fence_result res;
	struct fence_cmd cmd;

	res.full = NULL;
	fence_begin(&job->m, &job->req);
	if (job->req.op == FENCE_OP_TAKE && !silence(dev, &job->m, &w))
		return;
	for (bool more = fence_step(&job->m, NULL, &cmd); more; more = fence_step(&job->m, &res, &cmd))
		if (!run_command(dev, &job->m, &cmd, &res, &w))
			break;
}

/* One bit of idle life; the worker looks for work in between, since whoever waited may have drained the wake up. */
static void keep_warm(struct fence_dev *dev)
{
	struct fence_transport *t = dev->transport;
	char err[FENCE_TEXT] = "";
	struct fence_wait w;

	if (t->ops->up(t)) {
		w = wait_for(dev, WARM_MS, stop_idle);
		if (!t->ops->idle(t, &w, err))
			set_link(dev, FENCE_LINK_DOWN, err);
	} else if (fence_now_ms() < dev->retry_ms) {
		w = wait_until(dev, dev->retry_ms, stop_idle);
		(void)fence_poll(-1, 0, w.deadline_ms, &w);
	} else {
		w = wait_for(dev, dev->opts.cmd_timeout_ms, stop_connect);
		if (t->ops->connect(t, &w, err))
			set_link(dev, FENCE_LINK_UP, "");
		else
			set_link(dev, FENCE_LINK_DOWN, err);
		dev->retry_ms = fence_now_ms() + RECONNECT_MS;
	}
}

static void *worker(void *arg)
{
	struct fence_dev *dev = arg;

	for (bool closing = false; !closing;) {
		struct job *job;

		lock(dev->mb);
		closing = dev->closing;
		job = closing ? NULL : list_first(&dev->queue, struct job, link);
		if (job)
			list_del(&job->link);
		dev->current = job;
		unlock(dev->mb);
		if (job) {
			run_job(dev, job);
			post(dev, job);
		} else if (!closing) {
			keep_warm(dev);
		}
	}
	dev->transport->ops->close(dev->transport);
	post(dev, &dev->goodbye);
	return NULL;
}

/* ---- the owner's side ---- */

struct fence_mailbox *fence_mailbox_new(void)
{
	struct fence_mailbox *mb = calloc(1, sizeof(*mb));

	if (!mb)
		return NULL;
	mb->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mb->efd < 0) {
		free(mb);
		return NULL;
	}
	pthread_mutex_init(&mb->lock, NULL);
	list_init(&mb->done);
	list_init(&mb->devs);
	return mb;
}

int fence_mailbox_fd(const struct fence_mailbox *mb)
{
	return mb->efd;
}

static void discard(struct fence_dev *dev)
{
	if (dev->wake >= 0)
		close(dev->wake);
	free((char *)dev->opts.initiator);
	free(dev->spec);
	free(dev);
}

/* The worker has ended. */
static void free_dev(struct fence_dev *dev)
{
	struct job *job, *next;

	list_for_each_safe(job, next, &dev->queue, link)
		free(job);
	list_del(&dev->link);
	discard(dev);
}

/* Jobs one by one, so that a callback finds everything in a state where it may close or cancel. */
void fence_mailbox_dispatch(struct fence_mailbox *mb)
{
	drain(mb->efd);
	for (;;) {
		struct job *job;
		bool closing;

		lock(mb);
		job = list_first(&mb->done, struct job, link);
		if (job)
			list_del(&job->link);
		closing = job && job->dev->closing;
		unlock(mb);
		if (!job)
			return;
		if (job->ticket == 0) {
			pthread_join(job->dev->thread, NULL);  /* about to return */
			free_dev(job->dev);
			continue;
		}
		if (!closing)
			job->done(job->arg, job->dev, &job->req, &job->m.outcome);
		free(job);
	}
}

void fence_mailbox_free(struct fence_mailbox *mb)
{
	struct fence_dev *dev, *next;
	struct job *job, *njob;

	if (!mb)
		return;
	list_for_each_safe(dev, next, &mb->devs, link)
		fence_dev_close(dev);
	list_for_each(dev, &mb->devs, link)
		pthread_join(dev->thread, NULL);
	list_for_each_safe(job, njob, &mb->done, link)
		if (job->ticket)
			free(job);
	list_for_each_safe(dev, next, &mb->devs, link)
		free_dev(dev);
	close(mb->efd);
	pthread_mutex_destroy(&mb->lock);
	free(mb);
}

/* Signals are the owner's; a SIGPIPE of libiscsi's writev() must not kill anybody. */
static int start_worker(struct fence_dev *dev)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&dev->thread, NULL, worker, dev);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

struct fence_dev *fence_dev_open_on(struct fence_mailbox *mb, struct fence_transport *t, const char *spec,
				    const struct fence_dev_opts *opts, char ret_err[static FENCE_TEXT])
{
	struct fence_dev *dev = calloc(1, sizeof(*dev));

	snprintf(ret_err, FENCE_TEXT, "cannot start: out of memory, descriptors or threads");
	if (!dev) {
		t->ops->close(t);
		return NULL;
	}
	*dev = (struct fence_dev){ .mb = mb, .transport = t, .opts = *opts, .link_text = "connecting" };
	list_init(&dev->queue);
	list_init(&dev->goodbye.link);
	dev->goodbye.dev = dev;
	dev->opts.initiator = strdup(opts->initiator ? opts->initiator : "");
	dev->spec = fence_spec_for_people(spec);
	dev->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!dev->opts.cmd_timeout_ms)
		dev->opts.cmd_timeout_ms = FENCE_CMD_TIMEOUT_MS;
	if (!dev->opts.op_timeout_ms)
		dev->opts.op_timeout_ms = FENCE_OP_TIMEOUT_MS;
	if (!dev->opts.initiator || !dev->spec || dev->wake < 0 || start_worker(dev) != 0) {
		t->ops->close(t);
		discard(dev);
		return NULL;
	}
	list_add_tail(&mb->devs, &dev->link);
	return dev;
}

struct fence_dev *fence_dev_open(struct fence_mailbox *mb, const char *spec, const struct fence_dev_opts *opts,
				 char ret_err[static FENCE_TEXT])
{
	struct fence_transport *t = fence_transport_open(spec, opts, ret_err);

	return t ? fence_dev_open_on(mb, t, spec, opts, ret_err) : NULL;
}

void fence_dev_close(struct fence_dev *dev)
{
	lock(dev->mb);
	dev->closing = true;
	unlock(dev->mb);
	notify(dev->wake);
}

const char *fence_dev_spec(const struct fence_dev *dev)
{
	return dev->spec;
}

enum fence_link fence_dev_link(struct fence_dev *dev, char ret_text[static FENCE_TEXT])
{
	enum fence_link state;

	lock(dev->mb);
	state = dev->link_state;
	snprintf(ret_text, FENCE_TEXT, "%s", dev->link_text);
	unlock(dev->mb);
	return state;
}

uint64_t fence_submit(struct fence_dev *dev, const struct fence_request *req, fence_done_fn done, void *arg)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return 0;
	*job = (struct job){ .dev = dev, .ticket = ++dev->last_ticket, .req = *req, .done = done, .arg = arg,
			     .deadline_ms = fence_now_ms() + dev->opts.op_timeout_ms };
	lock(dev->mb);
	list_add_tail(&dev->queue, &job->link);
	unlock(dev->mb);
	notify(dev->wake);
	return dev->last_ticket;
}

void fence_cancel(struct fence_dev *dev, uint64_t ticket)
{
	struct job *job, *next;

	lock(dev->mb);
	if (dev->current && dev->current->ticket == ticket)
		dev->current->canceled = true;
	list_for_each_safe(job, next, &dev->queue, link) {
		if (job->ticket != ticket)
			continue;
		list_del(&job->link);
		fence_begin(&job->m, &job->req);
		fence_abort(&job->m, FENCE_WHY_CANCELED, "canceled");
		list_add_tail(&dev->mb->done, &job->link);
		notify(dev->mb->efd);
	}
	unlock(dev->mb);
	notify(dev->wake);
}
