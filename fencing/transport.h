/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - one I_T nexus to one logical unit: SCSI commands in, answers out
 *
 * Two kinds: iSCSI (transport_iscsi.c) and the kernel's SG_IO (transport_sg.c). A multipath device will be a list of
 * these. All calls block, within the bounds of their struct fence_wait; they belong to the device's worker thread.
 *
 * The promise that arbitrate.c builds on: when exec() returns with FENCE_NO_ANSWER, the command has taken effect, or it
 * will not do so after the next command's exec() has begun to send. iSCSI keeps it by dropping the connection and
 * reinstating the session (same name and ISID) before anything else is sent: the target ends the old session's
 * tasks first (RFC 7143 6.3.5). SG_IO keeps it by the kernel's error handling, which has ended before it returns.
 */
#ifndef LUNWARD_FENCING_TRANSPORT_H
#define LUNWARD_FENCING_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fencing/fence.h"
#include "fencing/prcmd.h"

enum fence_delivery {
	FENCE_ANSWERED,    /* status (and sense, and data-in) are the device's */
	FENCE_NO_ANSWER,   /* outcome unknown; text says why */
	FENCE_NOT_SENT,    /* text says why */
};

struct fence_scsi {
	uint8_t cdb[16];
	uint8_t cdb_len;
	bool out;              /* direction of @data */
	uint8_t *data;         /* to be sent, or room for what comes */
	size_t data_len;       /* 0: no data */
	/* the answer */
	enum fence_delivery delivery;
	uint8_t status;        /* SAM-5 status byte */
	uint8_t sense[96];
	size_t sense_len;
	size_t received;       /* data-in */
	char text[FENCE_TEXT];
};

/* How long a call may wait, and what may end it before. */
struct fence_wait {
	uint64_t deadline_ms;        /* of fence_now_ms() */
	unsigned int cmd_timeout_ms; /* a single command's */
	int wake_fd;                 /* readable: ask @stop (which drains it) */
	bool (*stop)(void *arg);     /* true: return early */
	void *arg;
};

struct fence_transport;
struct fence_transport_ops {
	bool (*up)(const struct fence_transport *t);
	/* Make it ready to send. Return: false and @ret_err */
	bool (*connect)(struct fence_transport *t, const struct fence_wait *w, char ret_err[static FENCE_TEXT]);
	/* Only while up. */
	void (*exec)(struct fence_transport *t, struct fence_scsi *s, const struct fence_wait *w);
	/* Keep it warm until the deadline or @stop. Return: false and @ret_err if it went down */
	bool (*idle)(struct fence_transport *t, const struct fence_wait *w, char ret_err[static FENCE_TEXT]);
	void (*close)(struct fence_transport *t);  /* and free */
};
struct fence_transport {
	const struct fence_transport_ops *ops;
};

/** fence_transport_open() - By spec (fence.h). Does not connect or block. Return: NULL and @ret_err if it is wrong */
struct fence_transport *fence_transport_open(const char *spec, const struct fence_dev_opts *opts,
					     char ret_err[static FENCE_TEXT]);

struct fence_transport *fence_iscsi_open(const char *url, const struct fence_dev_opts *opts,
					 char ret_err[static FENCE_TEXT]);

typedef int (*fence_ioctl_fn)(int fd, unsigned long request, void *arg);
/** fence_sg_open() - @ioctl_fn: NULL for the kernel's */
struct fence_transport *fence_sg_open(const char *path, fence_ioctl_fn ioctl_fn, char ret_err[static FENCE_TEXT]);

/** fence_dev_open_on() - As fence_dev_open(), on a transport, which is the device's from then on (also if NULL is returned) */
struct fence_dev *fence_dev_open_on(struct fence_mailbox *mb, struct fence_transport *t, const char *spec,
				    const struct fence_dev_opts *opts, char ret_err[static FENCE_TEXT]);

/** fence_transport_scsi() - Connect if need be, and execute */
void fence_transport_scsi(struct fence_transport *t, struct fence_scsi *s, const struct fence_wait *w);

/** fence_transport_pr() - Likewise, for a PERSISTENT RESERVE command */
void fence_transport_pr(struct fence_transport *t, const struct fence_cmd *cmd, struct fence_result *res,
			const struct fence_wait *w);

/** fence_spec_for_people() - @spec without user and password. Return: malloc()ed, or NULL */
char *fence_spec_for_people(const char *spec);

/**
 * fence_in_use() - Does I/O of a target process go on, or linger in the kernel, on the device at path @spec?
 * Each descriptor that it uses carries a shared flock, which a request in flight holds beyond the end of its process.
 * Return: false also for what is no path, or cannot be opened
 */
bool fence_in_use(const char *spec);

/** fence_now_ms() - CLOCK_MONOTONIC */
uint64_t fence_now_ms(void);

/** fence_poll() - poll() of @fd (-1: none) and the wake descriptor, until @until_ms at the latest.
 *  Return: revents of @fd; 0: time is over; -1: stopped */
int fence_poll(int fd, short events, uint64_t until_ms, const struct fence_wait *w);

#endif
