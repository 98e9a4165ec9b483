/* SPDX-License-Identifier: GPL-2.0-or-later */
/* disk.c - what all disks have in common: states, checks, ends of I/Os and steps */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

#include "node/disk/disk.h"

static const struct disk_ops *const disk_kinds[] = {
	[DISK_FILE] = &disk_file_ops,
	[DISK_RAM] = &disk_ram_ops,
	[DISK_ISCSI] = &disk_iscsi_ops,
};

static const char *const status_names[] = {
	[DISK_OK] = "ok",
	[DISK_MEDIUM] = "medium error",
	[DISK_NOT_READY] = "not ready",
	[DISK_NO_SPACE] = "no space",
	[DISK_RANGE] = "out of range",
	[DISK_READ_ONLY] = "read-only",
	[DISK_FENCED] = "fenced: reservation conflict",
	[DISK_ABORTED] = "aborted",
	[DISK_UNSUPPORTED] = "not supported",
};
_Static_assert(ARRAY_SIZE(status_names) == DISK_UNSUPPORTED + 1, "a name for each status");

const char *disk_status_name(enum disk_status s)
{
	return status_names[s];
}

enum disk_status disk_errno(int e)
{
	switch (e) {
	case 0:
		return DISK_OK;
	case EBADE:      /* BLK_STS_RESV_CONFLICT */
		return DISK_FENCED;
	case ENOSPC:
	case EDQUOT:
		return DISK_NO_SPACE;
	case EROFS:
	case EPERM:      /* BLKROSET device, or a write lock on it */
		return DISK_READ_ONLY;
	case EIO:
	case ENODATA:    /* BLK_STS_MEDIUM */
	case EILSEQ:     /* BLK_STS_PROTECTION */
		return DISK_MEDIUM;
	case ECANCELED:
		return DISK_ABORTED;
	case EOPNOTSUPP:
		return DISK_UNSUPPORTED;
	default:         /* EREMOTEIO, ETIMEDOUT, ENOLINK, ENXIO, ENODEV, ENOMEM, EAGAIN … */
		return DISK_NOT_READY;
	}
}

struct disk_backing *disk_backing_new(const struct disk_spec *spec, char *err, size_t err_len)
{
	struct disk_backing *b = calloc(1, sizeof(*b));

	if (!b) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	b->ops = disk_kinds[spec->kind];
	b->spec = *spec;
	if (b->ops->prepare && b->ops->prepare(b, err, err_len)) {
		free(b);
		return NULL;
	}
	return b;
}

int disk_backing_grow(struct disk_backing *b, uint64_t size, char *err, size_t err_len)
{
	uint64_t before = b->spec.size;
	int rc;

	if (size <= before || !b->ops->grow)
		return 0;
	b->spec.size = size;
	rc = b->ops->grow(b, err, err_len);
	if (rc)
		b->spec.size = before;
	return rc;
}

void disk_backing_free(struct disk_backing *b)
{
	if (b && b->ops->unprepare)
		b->ops->unprepare(b);
	free(b);
}

/* A stop is over when nothing is in flight: told from a shallow stack. */
static void stop_check(struct disk *d)
{
	if (d->state == DISK_STOPPING && list_empty(&d->busy) && !d->holds)
		ring_defer(d->ring, &d->stop_work);
}

void disk_release(struct disk *d)
{
	d->holds--;
	stop_check(d);
}

static void stop_run(struct ring_work *w)
{
	struct disk *d = container_of(w, struct disk, stop_work);

	if (d->ops->close)
		d->ops->close(d);
	disk_step_end(d, DISK_OK, NULL);
}

struct disk *disk_new(struct disk_backing *b, struct ring *ring, unsigned index,
		      const struct disk_events *events, void *arg)
{
	struct disk *d = calloc(1, b->ops->size);

	if (!d)
		return NULL;
	d->ops = b->ops;
	d->backing = b;
	d->ring = ring;
	d->index = index;
	d->events = events;
	d->events_arg = arg;
	list_init(&d->busy);
	ring_work_init(&d->stop_work, stop_run);
	if (d->ops->init)
		d->ops->init(d);
	return d;
}

void disk_free(struct disk *d)
{
	if (!d)
		return;
	if (d->ops->fini)
		d->ops->fini(d);
	free(d);
}

void disk_start(struct disk *d, uint64_t key, disk_step_fn *done, void *arg)
{
	d->state = DISK_STARTING;
	d->key = key;
	d->step = done;
	d->step_arg = arg;
	d->ops->start(d);
}

void disk_stop(struct disk *d, disk_step_fn *done, void *arg)
{
	if (d->state == DISK_STANDBY) {
		done(d, arg, DISK_OK, NULL);
		return;
	}
	if (d->state == DISK_STARTING)
		disk_step_end(d, DISK_ABORTED, "stopped while it was being opened");
	if (d->rekey_step)
		disk_rekey_end(d, DISK_ABORTED, "stopped");
	d->state = DISK_STOPPING;
	d->step = done;
	d->step_arg = arg;
	if (d->ops->abort)
		d->ops->abort(d);
	stop_check(d);
}

void disk_rekey(struct disk *d, uint64_t old_key, uint64_t new_key, disk_step_fn *done, void *arg)
{
	d->rekey_step = done;
	d->rekey_arg = arg;
	if (d->state == DISK_GONE)
		disk_rekey_end(d, DISK_FENCED, "fenced before");
	else if (d->state != DISK_OPEN)
		disk_rekey_end(d, DISK_NOT_READY, "not open");
	else if (!d->ops->rekey)
		disk_rekey_end(d, DISK_OK, NULL);
	else
		d->ops->rekey(d, old_key, new_key);
}

/* Everything that can be said about an I/O without knowing where the bytes live. */
static enum disk_status check_io(const struct disk *d, const struct disk_io *io)
{
	uint32_t most = io->op > DISK_FLUSH ? DISK_EXTENT_MAX : DISK_IO_MAX;
	uint64_t end;

	if (d->state == DISK_GONE)
		return DISK_FENCED;
	if (d->state != DISK_OPEN)
		return DISK_NOT_READY;
	if (io->op == DISK_FLUSH)
		return DISK_OK;
	if (d->geo.read_only && (io->op == DISK_WRITE || io->op == DISK_UNMAP || io->op == DISK_ZERO))
		return DISK_READ_ONLY;
	if ((io->op == DISK_UNMAP && !d->geo.unmap_granularity) || (io->op == DISK_ZERO && !d->geo.zeroes) ||
	    (io->op == DISK_MAP && !d->geo.map))
		return DISK_UNSUPPORTED;
	if (!io->length || io->length > most || io->offset % d->geo.block_size ||
	    io->length % d->geo.block_size || add_overflow(io->offset, io->length, &end) ||
	    end > d->geo.blocks * d->geo.block_size)
		return DISK_RANGE;
	return DISK_OK;
}

void disk_submit(struct disk *d, struct disk_io *io)
{
	enum disk_status s = check_io(d, io);

	io->disk = d;
	io->status = DISK_OK;
	io->moved = 0;
	io->pieces = 0;
	list_add_tail(&d->busy, &io->link);
	if (s)
		disk_io_end_later(io, s);
	else
		d->ops->submit(d, io);
}

/* The first failure is logged at once, then one line each ten seconds. */
static void note_failure(struct disk *d, const struct disk_io *io)
{
	static const char *const ops[] = { "read", "write", "flush", "unmap", "write of zeroes", "look at the map" };

	d->n_errors++;
	if (io->status == DISK_ABORTED || (d->n_errors > 1 && d->ring->now_us - d->errors_logged_us < 10000000))
		return;
	d->errors_logged_us = d->ring->now_us;
	disk_log(d, LOG_ERR, "%s: %s of %u bytes at %llu: %s (%llu failures so far)", d->backing->spec.path,
		 ops[io->op], io->length, (unsigned long long)io->offset, disk_status_name(io->status),
		 (unsigned long long)d->n_errors);
}

void disk_io_end(struct disk_io *io, enum disk_status s)
{
	struct disk *d = io->disk;

	io->status = s;
	if (s == DISK_FENCED)
		disk_fence(d, "an I/O ended in RESERVATION CONFLICT");
	else if (s != DISK_OK && s != DISK_RANGE && s != DISK_READ_ONLY && s != DISK_UNSUPPORTED)
		note_failure(d, io);
	list_del(&io->link);
	stop_check(d);
	io->done(io);
}

static void end_later(struct ring_work *w)
{
	struct disk_io *io = container_of(w, struct disk_io, work);

	disk_io_end(io, io->status);
}

void disk_io_end_later(struct disk_io *io, enum disk_status s)
{
	io->status = s;
	ring_work_init(&io->work, end_later);
	ring_defer(io->disk->ring, &io->work);
}

void disk_step_end(struct disk *d, enum disk_status s, const char *err)
{
	disk_step_fn *step = d->step;

	if (d->state == DISK_STARTING)
		d->state = s ? DISK_STANDBY : DISK_OPEN;
	else if (d->state == DISK_STOPPING)
		d->state = DISK_STANDBY;
	d->step = NULL;
	if (step)
		step(d, d->step_arg, s, err);
}

void disk_rekey_end(struct disk *d, enum disk_status s, const char *err)
{
	disk_step_fn *step = d->rekey_step;

	d->rekey_step = NULL;
	if (step)
		step(d, d->rekey_arg, s, err);
}

void disk_look(struct disk *d)
{
	if (d->state == DISK_OPEN && d->ops->look)
		d->ops->look(d);
}

/* I/O beyond the new end is refused from now on. */
void disk_resized(struct disk *d, uint64_t blocks)
{
	bool smaller = blocks < d->geo.blocks;

	disk_log(d, smaller ? LOG_ERR : LOG_NOTICE, "%s: %s from %llu to %llu blocks of %u bytes", d->backing->spec.path,
		 smaller ? "has SHRUNK" : "has grown", (unsigned long long)d->geo.blocks, (unsigned long long)blocks,
		 d->geo.block_size);
	d->geo.blocks = blocks;
	if (d->events->resized)
		d->events->resized(d, d->events_arg);
}

void disk_space(struct disk *d, uint64_t used, uint64_t left, bool own)
{
	if (d->events->space)
		d->events->space(d, d->events_arg, used, left, own);
}

void disk_low_space(struct disk *d)
{
	disk_log(d, LOG_WARNING, "%s: the space below it is running out", d->backing->spec.path);
	if (d->events->low_space)
		d->events->low_space(d, d->events_arg);
}

void disk_fence(struct disk *d, const char *detail)
{
	if (!d->key)
		return;  /* standalone: a conflict is the initiator's to know, not ours */
	if (d->state == DISK_STARTING) {
		disk_step_end(d, DISK_FENCED, detail);
		return;
	}
	if (d->state != DISK_OPEN)
		return;
	d->state = DISK_GONE;
	d->events->fenced(d, d->events_arg, detail);
}

void disk_log(struct disk *d, int priority, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->events->log(d, d->events_arg, priority, text);
}
