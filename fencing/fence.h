/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence.h - fence devices: operations of arbitrate.h on a real LUN, off the caller's thread
 *
 * A device has a worker thread which keeps its session warm and runs one operation at a time, in the order of
 * submission. Results come back through a *mailbox*: the owner watches its eventfd in its own loop and calls
 * fence_mailbox_dispatch(), which runs the callbacks there. Devices run in parallel; one mailbox serves any number.
 * Nothing here blocks the owner, but fence_mailbox_free() as it says.
 *
 *	struct fence_mailbox *mb = fence_mailbox_new();
 *	qb_loop_poll_add(loop, QB_LOOP_HIGH, fence_mailbox_fd(mb), POLLIN, mb, on_mail);  // → fence_mailbox_dispatch(mb)
 *	dev = fence_dev_open(mb, "iscsi://192.0.2.9/iqn.2026-11.org.example:array/1", &opts, err);
 *	fence_submit(dev, &(struct fence_request){ .op = FENCE_OP_READ, .key = own }, on_read, group);
 *
 * Context: unless said otherwise all functions belong to the one thread that owns the mailbox.
 */
#ifndef LUNWARD_FENCING_FENCE_H
#define LUNWARD_FENCING_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fencing/arbitrate.h"

#define FENCE_CMD_TIMEOUT_MS 5000u
#define FENCE_OP_TIMEOUT_MS 15000u

struct fence_mailbox;
struct fence_dev;

struct fence_dev_opts {
	const char *initiator;         /* iSCSI name of this node, iqn.2026-11.io.lunward:<cluster>:<node>; copied */
	uint8_t isid[6];               /* conf_isid(): with the name it is the nexus that registrations belong to. Another
					* one for each LUN: two sessions to one target with the same would reinstate
					* (end) each other for ever, RFC 7143 6.3.5 */
	unsigned int cmd_timeout_ms;   /* a command's, and a login's; 0: FENCE_CMD_TIMEOUT_MS */
	unsigned int op_timeout_ms;    /* a whole operation's, from its submission; 0: FENCE_OP_TIMEOUT_MS */
};

/** fence_mailbox_new() - Return: a mailbox, or NULL with errno set */
struct fence_mailbox *fence_mailbox_new(void);

/** fence_mailbox_fd() - Eventfd to be watched for POLLIN; level-triggered */
int fence_mailbox_fd(const struct fence_mailbox *mb);

/** fence_mailbox_dispatch() - Run the callbacks of all that is done. Does not block. Callbacks may submit, cancel, close. */
void fence_mailbox_dispatch(struct fence_mailbox *mb);

/**
 * fence_mailbox_free() - Close all its devices and wait for their threads
 *
 * Pending operations end without a callback. Context: may block for as long as the kernel holds an SG_IO command
 * (its timeout); iSCSI devices end at once.
 */
void fence_mailbox_free(struct fence_mailbox *mb);

/**
 * fence_dev_open() - Open a device and start to connect in the background
 * @spec:  iscsi://[user%password@]host[:port]/iqn/lun, or the path of a SCSI block or sg device (/dev/…)
 * @opts:  copied
 * @ret_err:  what is wrong with the spec, if NULL is returned
 *
 * A device that cannot be reached is no error here; operations on it fail, and it is tried again every second.
 * Return: the device, or NULL
 */
struct fence_dev *fence_dev_open(struct fence_mailbox *mb, const char *spec, const struct fence_dev_opts *opts,
				 char ret_err[static FENCE_TEXT]);

/** fence_dev_close() - Close; operations still pending end without a callback. Does not wait. */
void fence_dev_close(struct fence_dev *dev);

/** fence_dev_spec() - The spec without user and password: fit for logs */
const char *fence_dev_spec(const struct fence_dev *dev);

enum fence_link { FENCE_LINK_CONNECTING, FENCE_LINK_UP, FENCE_LINK_DOWN };
/** fence_dev_link() - State of the path and, unless it is up, why in words */
enum fence_link fence_dev_link(struct fence_dev *dev, char ret_text[static FENCE_TEXT]);

/**
 * fence_done_fn - An operation has ended
 *
 * Context: on the mailbox's thread, out of fence_mailbox_dispatch(); @outcome is valid during the call only.
 */
typedef void (*fence_done_fn)(void *arg, struct fence_dev *dev, const struct fence_request *req,
			      const struct fence_outcome *outcome);

/**
 * fence_submit() - Queue an operation
 *
 * Return: ticket for fence_cancel(), never 0; or 0 with errno set (out of memory). @done is called exactly once unless
 * the device is closed before, never out of this call.
 */
uint64_t fence_submit(struct fence_dev *dev, const struct fence_request *req, fence_done_fn done, void *arg);

/**
 * fence_cancel() - End an operation early: its callback comes with FENCE_ERROR, FENCE_WHY_CANCELED (unless it had
 * ended before). What it did so far stays; outcome->touched says whether it may have changed something.
 */
void fence_cancel(struct fence_dev *dev, uint64_t ticket);

#endif
