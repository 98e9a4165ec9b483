/* SPDX-License-Identifier: GPL-2.0-or-later */
/* device.c - which network device a portal belongs on. Context: pure. */
#include "cluster/clusterd.h"

#include <errno.h>

static bool better(const struct dev_addr *a, const struct dev_addr *best)
{
	if (!best || a->prefix != best->prefix)
		return !best || a->prefix > best->prefix;
	return a->ifindex < best->ifindex;
}

int device_choose(const struct dev_addr *list, size_t n, const struct ip *portal)
{
	const struct dev_addr *best = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct dev_addr *a = &list[i];

		if (!a->up || ip_equal(&a->ip, portal) || !ip_in_subnet(portal, &a->ip, a->prefix))
			continue;
		if (better(a, best))
			best = a;
	}
	return best ? best->ifindex : -ENODEV;
}
