/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire.h - core messages and records as protobuf. Pure but for memory. */
#ifndef LUNWARD_CLUSTER_WIRE_H
#define LUNWARD_CLUSTER_WIRE_H

#include "cluster/core/core.h"
#include "node/util/util.h"
#include "proto/cluster.pb-c.h"
#include "proto/frame.h"

#define WIRE_MIN_VERSION (LUNWARD_CLUSTER_PROTO > 1 ? LUNWARD_CLUSTER_PROTO - 1 : 1)  /* oldest we understand */
#define WIRE_WHY_MAX 256

struct wire_msg {
	Lunward__ClusterMessage *pb;
	bool is_core;
	struct core_msg core;   /* if @is_core; points into @pb and what follows */
	struct core_group_state *states;
	struct core_body *body;
};

/** wire_pack_core() - @config_hash: of the document in force, told beside NODE_STATE. Return: malloc()ed */
uint8_t *wire_pack_core(const struct core_msg *m, uint64_t config_hash, size_t *ret_len);
/** wire_pack() - A message of the shell's own; versions are filled in. Return: malloc()ed */
uint8_t *wire_pack(Lunward__ClusterMessage *pb, size_t *ret_len);
/**
 * wire_unpack() - Decode and check
 * @ret: wire_release() it; untouched on failure
 * @why: on failure, what is wrong with the sender, for people: "it speaks version 3 …"
 * Return: 0, -EPROTO, -EPROTONOSUPPORT
 */
int wire_unpack(const uint8_t *p, size_t len, struct wire_msg *ret, char why[WIRE_WHY_MAX]);
void wire_release(struct wire_msg *w);

/** wire_record_pack() - A record as it lies on disk (`warm` is beside it). Return: malloc()ed */
uint8_t *wire_record_pack(const char *group, const struct core_record *r, size_t *ret_len);
/** wire_record_unpack() - @ret->body is the caller's reference. Return: 0, -EBADMSG, -EPROTO, -EPROTONOSUPPORT */
int wire_record_unpack(const uint8_t *p, size_t len, const char *group, struct core_record *ret);

#endif
