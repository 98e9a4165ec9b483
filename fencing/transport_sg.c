/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport_sg.c - the nexus the kernel has: SG_IO on /dev/sdX or /dev/sgX
 *
 * The block layer's own I/O shares this nexus, and with it the registration. SG_IO blocks until the command has ended,
 * by answer or by the kernel's error handling; it cannot be interrupted, but its timeout is the kernel's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fencing/transport.h"
#include "node/util/util.h"

#define DID_NEXUS_FAILURE 0x11    /* the kernel's name for RESERVATION CONFLICT */
#define DRIVER_MASK 0x0f
#define DRIVER_SENSE 0x08

struct sg {
	struct fence_transport t;
	fence_ioctl_fn ioctl_fn;
	int fd;
	char path[];
};

static int kernel_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static bool sg_up(const struct fence_transport *t)
{
	return container_of(t, const struct sg, t)->fd >= 0;
}

/* A device-mapper device hands SG_IO to any of its paths: registrations would go astray. */
static bool is_mapped(int fd)
{
	char sys[64];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u/dm", major(st.st_rdev), minor(st.st_rdev));
	return access(sys, F_OK) == 0;
}

static bool sg_connect(struct fence_transport *t, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	struct sg *sg = container_of(t, struct sg, t);
	_cleanup_close_ int fd = open(sg->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int version = 0;

	(void)w;
	if (fd < 0) {
		snprintf(ret_err, FENCE_TEXT, "cannot open %.100s: %s", sg->path, strerror(errno));
		return false;
	}
	if (is_mapped(fd)) {
		snprintf(ret_err, FENCE_TEXT, "%.100s is a device-mapper device: name one of its paths", sg->path);
		return false;
	}
	if (sg->ioctl_fn(fd, SG_GET_VERSION_NUM, &version) < 0 || version < 30000) {
		snprintf(ret_err, FENCE_TEXT, "%.100s is not a SCSI device", sg->path);
		return false;
	}
	sg->fd = steal_fd(&fd);
	return true;
}

/* DID_… of the kernel's host byte, for people */
static const char *host_status(unsigned int did)
{
	static const char *const names[] = {
		[0x01] = "no connection", [0x02] = "bus busy", [0x03] = "timed out", [0x04] = "bad target",
		[0x05] = "aborted", [0x06] = "parity error", [0x07] = "host error", [0x08] = "reset",
		[0x0b] = "soft error", [0x0c] = "to be retried", [0x0d] = "requeued", [0x0e] = "transport disrupted",
		[0x0f] = "transport failed fast", [0x10] = "target failure", [0x12] = "allocation failure",
		[0x13] = "medium error", [0x14] = "transport marginal",
	};

	return did < ARRAY_SIZE(names) && names[did] ? names[did] : "unknown host status";
}

static void classify(const sg_io_hdr_t *io, struct fence_scsi *s)
{
	unsigned int driver = io->driver_status & DRIVER_MASK;
	bool host_ok = io->host_status == 0 || io->host_status == DID_NEXUS_FAILURE;

	if (host_ok && (driver == 0 || driver == DRIVER_SENSE)) {
		/* Some drivers set the host byte alone. */
		s->status = io->host_status == DID_NEXUS_FAILURE && io->status == 0 ? 0x18 : io->status;
		s->sense_len = MIN((size_t)io->sb_len_wr, sizeof(s->sense));
		if (!s->out && io->resid >= 0 && (size_t)io->resid <= s->data_len)
			s->received = s->data_len - (size_t)io->resid;
		s->delivery = FENCE_ANSWERED;
		return;
	}
	s->delivery = FENCE_NO_ANSWER;
	snprintf(s->text, sizeof(s->text), "%s (host status %02xh, driver status %02xh)",
		 host_ok ? "driver error" : host_status(io->host_status), io->host_status, io->driver_status);
}

static bool gone(int err)
{
	return err == ENODEV || err == ENXIO || err == EBADF;
}

static void sg_exec(struct fence_transport *t, struct fence_scsi *s, const struct fence_wait *w)
{
	struct sg *sg = container_of(t, struct sg, t);
	uint64_t now = fence_now_ms();
	uint64_t left = w->deadline_ms > now ? w->deadline_ms - now : 1;
	sg_io_hdr_t io = {
		.interface_id = 'S',
		.dxfer_direction = !s->data_len ? SG_DXFER_NONE : s->out ? SG_DXFER_TO_DEV : SG_DXFER_FROM_DEV,
		.cmd_len = s->cdb_len, .cmdp = s->cdb,
		.dxfer_len = (unsigned int)s->data_len, .dxferp = s->data,
		.mx_sb_len = sizeof(s->sense), .sbp = s->sense,
		.timeout = (unsigned int)MIN(left, (uint64_t)w->cmd_timeout_ms),
	};

	if (sg->ioctl_fn(sg->fd, SG_IO, &io) == 0) {
		classify(&io, s);
		return;
	}
	/* EINTR cannot be: the worker blocks signals. If it is, the command goes on. */
	s->delivery = errno == EINTR || errno == EIO ? FENCE_NO_ANSWER : FENCE_NOT_SENT;
	snprintf(s->text, sizeof(s->text), "SG_IO on %.80s: %s%s", sg->path, strerror(errno),
		 errno == EPERM ? " (needs CAP_SYS_RAWIO)" : "");
	if (gone(errno)) {
		close(sg->fd);
		sg->fd = -1;
	}
}

static bool sg_idle(struct fence_transport *t, const struct fence_wait *w, char ret_err[static FENCE_TEXT])
{
	(void)t;
	(void)ret_err;
	(void)fence_poll(-1, 0, w->deadline_ms, w);
	return true;
}

static void sg_close(struct fence_transport *t)
{
	struct sg *sg = container_of(t, struct sg, t);

	if (sg->fd >= 0)
		close(sg->fd);
	free(sg);
}

struct fence_transport *fence_sg_open(const char *path, fence_ioctl_fn ioctl_fn, char ret_err[static FENCE_TEXT])
{
	static const struct fence_transport_ops ops = {
		.up = sg_up, .connect = sg_connect, .exec = sg_exec, .idle = sg_idle, .close = sg_close,
	};
	struct sg *sg = calloc(1, sizeof(*sg) + strlen(path) + 1);

	if (!sg) {
		snprintf(ret_err, FENCE_TEXT, "out of memory");
		return NULL;
	}
	sg->t.ops = &ops;
	sg->ioctl_fn = ioctl_fn ? ioctl_fn : kernel_ioctl;
	sg->fd = -1;
	strcpy(sg->path, path);
	return &sg->t;
}
