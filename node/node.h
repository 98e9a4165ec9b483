/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node.h - the target process: what the private headers of node/ have in common
 *
 * Theory of operation. Threads: one *control* thread (qb_loop) and up to REACTORS_MAX *reactors* (struct ring).
 * A connection, its tasks, its buffers, and a handle of every disk belong to one reactor and are touched by nobody
 * else. Threads talk by messages only (queue.h), which are embedded in what they are about:
 *
 *   reactor -> control   login wants in, connection is gone, reservation command, task management, unit attention
 *                        was reported, log line
 *   control -> reactor   new connection, verdict on a login, answer of a command, free the connection
 *   control -> reactors  struct call: to all of them, each replies once, then the control thread goes on.
 *                        "Everybody has switched" and "nobody has such tasks any more" are both such calls.
 *
 * Messages of one sender arrive in order; that is what makes plain pointers to connections and sessions safe in them: both
 * are freed by their reactor only when the control thread, as the last that may still mean them, has said so.
 * A connection that joins a session of another reactor goes there while its login is parked: its reactor lets go of it,
 * hands it to the control thread, and that to the other one. In between nobody has it, and nobody may be sent there.
 * Shared between threads, and therefore immutable once sent: struct view (targets, access, secrets), struct sc_pr.
 *
 * Each section says which thread its functions belong to: [R] the reactor, [C] the control thread, [any].
 */
#ifndef LUNWARD_NODE_NODE_H
#define LUNWARD_NODE_NODE_H

#include "node/control.h"

#endif
