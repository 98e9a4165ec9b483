/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * key.h - the 64-bit reservation key that says whose a LUN is
 *
 *    63      48 47         32 31     24 23        0
 *   | magic 16 | cluster tag | node id |   epoch   |        magic = 0x4c57, "LW"
 *
 * Node ids are 1..255 (corosync's nodeid must fit), epochs 1..0xffffff; 0 is "no key" in SPC-4 and never made here.
 * Epochs only grow and never wrap: at the end of their range the functions below refuse, and an administrator gives
 * the group's LUNs back and starts it anew. One take over a second would last half a year.
 * Context: pure, any thread.
 */
#ifndef LUNWARD_FENCING_KEY_H
#define LUNWARD_FENCING_KEY_H

#include <stdbool.h>
#include <stdint.h>

#define FENCE_KEY_MAGIC 0x4c57u
#define FENCE_NODE_MAX 0xffu
#define FENCE_EPOCH_MAX 0xffffffu
#define FENCE_EPOCH_LOW 0x10000u   /* this few epochs left: worth a warning in status */

struct fence_key {
	uint16_t cluster;  /* fence_cluster_tag() of the cluster's name */
	uint8_t node;
	uint32_t epoch;
};

/* Whose a key is, as seen by one node. */
enum fence_key_class {
	FENCE_KEY_NONE,           /* 0: no key */
	FENCE_KEY_OURS,           /* this cluster, this node, whatever epoch */
	FENCE_KEY_CLUSTER,        /* this cluster, another node */
	FENCE_KEY_OTHER_CLUSTER,  /* another Lunward cluster: foreign, never preempted */
	FENCE_KEY_FOREIGN,        /* not Lunward's (or not well-formed): foreign, never preempted */
};

/** fence_cluster_tag() - 16-bit tag of a cluster's name in its keys; never 0; the same in every version */
uint16_t fence_cluster_tag(const char *cluster_name);

/**
 * fence_key_make() - Make a key
 *
 * Return: the key; 0 if @node is not 1..FENCE_NODE_MAX or @epoch not 1..FENCE_EPOCH_MAX
 */
uint64_t fence_key_make(uint16_t cluster, unsigned int node, uint32_t epoch);

/** fence_key_parse() - Return: false (and @ret_key untouched) if it is none that fence_key_make() makes */
bool fence_key_parse(uint64_t key, struct fence_key *ret_key);

/** fence_key_epoch() - Return: the epoch in a Lunward key, 0 for any other */
uint32_t fence_key_epoch(uint64_t key);

/** fence_key_node() - Return: the node id in a Lunward key, 0 for any other */
unsigned int fence_key_node(uint64_t key);

enum fence_key_class fence_key_classify(uint64_t key, uint16_t cluster, unsigned int node);

/** fence_key_is_foreign() - FENCE_KEY_OTHER_CLUSTER or FENCE_KEY_FOREIGN: only an administrator may remove it */
bool fence_key_is_foreign(uint64_t key, uint16_t cluster);

/**
 * fence_epoch_next() - The epoch after @epoch (0: the first)
 *
 * Return: false if there is none left (@ret_epoch untouched): say so with FENCE_EPOCH_EXHAUSTED
 */
bool fence_epoch_next(uint32_t epoch, uint32_t *ret_epoch);

#define FENCE_EPOCH_EXHAUSTED "the group has used all 16777215 epochs of its keys: stop it, run " \
	"'lunwardctl group release' and start it again with --force"

#define FENCE_KEY_STR 64
/** fence_key_str() - For people: "0x4c57… (node 2, epoch 7)", "none", "0x… (foreign)". Return: @buf */
const char *fence_key_str(uint64_t key, char buf[static FENCE_KEY_STR]);

#endif
