/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame.h - one version number for each seam, and the sockets' names
 *
 * Every message carries the version of its sender. A receiver takes its own version and the one before;
 * anything else is refused with a message that names both. ZeroMQ frames and CPG messages are already
 * delimited, so there is no further framing here; CPG messages above LUNWARD_CPG_CHUNK are cut by
 * cluster/cpg.c and put together again there.
 */
#ifndef LUNWARD_PROTO_FRAME_H
#define LUNWARD_PROTO_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define LUNWARD_TARGET_PROTO 1u   /* target.proto */
#define LUNWARD_CLUSTER_PROTO 1u  /* cluster.proto */
#define LUNWARD_CTL_PROTO 1u      /* ctl.proto */
#define LUNWARD_RECORD_FORMAT 1u  /* record.proto, on disk and between nodes */

#define LUNWARD_CPG_GROUP "lunward"
#define LUNWARD_CPG_CHUNK (60u * 1024u)

#define LUNWARD_RUN_DIR "/run/lunward"           /* 0700; overridden by LUNWARD_RUN_DIR in the environment */
#define LUNWARD_STATE_DIR "/var/lib/lunward"     /* 0700; overridden by LUNWARD_STATE_DIR */
#define LUNWARD_TARGET_SOCKET "target.sock"      /* below the run directory */
#define LUNWARD_CTL_SOCKET "ctl.sock"

/** frame_version_ok() - Can this build talk to a sender of version @peer? @own: one of the numbers above. */
static inline bool frame_version_ok(uint32_t own, uint32_t peer)
{
	return peer == own || (own > 1 && peer == own - 1);
}

#endif
