/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fencing/key.h"

#include <inttypes.h>
#include <stdio.h>

uint16_t fence_cluster_tag(const char *cluster_name)
{
	uint32_t h = 2166136261u;  /* FNV-1a, folded */

	for (const unsigned char *p = (const unsigned char *)cluster_name; *p; p++)
		h = (h ^ *p) * 16777619u;
	h = (h >> 16) ^ (h & 0xffffu);
	return h ? (uint16_t)h : 1;
}

uint64_t fence_key_make(uint16_t cluster, unsigned int node, uint32_t epoch)
{
	if (node == 0 || node > FENCE_NODE_MAX || epoch == 0 || epoch > FENCE_EPOCH_MAX)
		return 0;
	return (uint64_t)FENCE_KEY_MAGIC << 48 | (uint64_t)cluster << 32 | (uint64_t)node << 24 | epoch;
}

bool fence_key_parse(uint64_t key, struct fence_key *ret_key)
{
	struct fence_key k = {
		.cluster = (uint16_t)(key >> 32),
		.node = (uint8_t)(key >> 24),
		.epoch = (uint32_t)key & FENCE_EPOCH_MAX,
	};

	if (key >> 48 != FENCE_KEY_MAGIC || k.node == 0 || k.epoch == 0)
		return false;
	*ret_key = k;
	return true;
}

uint32_t fence_key_epoch(uint64_t key)
{
	struct fence_key k = { 0 };

	(void)fence_key_parse(key, &k);
	return k.epoch;
}

unsigned int fence_key_node(uint64_t key)
{
	struct fence_key k = { 0 };

	(void)fence_key_parse(key, &k);
	return k.node;
}

enum fence_key_class fence_key_classify(uint64_t key, uint16_t cluster, unsigned int node)
{
	struct fence_key k;

	if (key == 0)
		return FENCE_KEY_NONE;
	if (!fence_key_parse(key, &k))
		return FENCE_KEY_FOREIGN;
	if (k.cluster != cluster)
		return FENCE_KEY_OTHER_CLUSTER;
	return k.node == node ? FENCE_KEY_OURS : FENCE_KEY_CLUSTER;
}

bool fence_key_is_foreign(uint64_t key, uint16_t cluster)
{
	enum fence_key_class c = fence_key_classify(key, cluster, 0);

	return c == FENCE_KEY_OTHER_CLUSTER || c == FENCE_KEY_FOREIGN;
}

bool fence_epoch_next(uint32_t epoch, uint32_t *ret_epoch)
{
	if (epoch >= FENCE_EPOCH_MAX)
		return false;
	*ret_epoch = epoch + 1;
	return true;
}

const char *fence_key_str(uint64_t key, char buf[static FENCE_KEY_STR])
{
	struct fence_key k;

	if (key == 0)
		snprintf(buf, FENCE_KEY_STR, "none");
	else if (fence_key_parse(key, &k))
		snprintf(buf, FENCE_KEY_STR, "0x%016" PRIx64 " (node %u, epoch %" PRIu32 ")", key, k.node, k.epoch);
	else
		snprintf(buf, FENCE_KEY_STR, "0x%016" PRIx64 " (not of Lunward)", key);
	return buf;
}
