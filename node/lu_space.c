/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lu_space.c - the space below a thin logical unit: thresholds of initiators, and of ours
 *
 * Each reactor looks with its own handle, and tells its own sessions. What a threshold is reached by is said once, and again
 * after it was not; a new owner of the group says it anew. A file system that fills up below a file is said without any
 * threshold (disk/file_look.c). LBPERE 0 silences both.
 */
#include "node/node.h"

#define THRESHOLD_SET (1u << 20)     /* bytes; the unit that initiators count in */

uint8_t lu_space_exponent(const struct rlu *l)
{
	return l->disk->geo.space ? (uint8_t)__builtin_ctz(THRESHOLD_SET / l->disk->geo.block_size) : 0;
}

void lu_thresholds(struct rlu *l)
{
	unsigned reached = sc_thresholds_reached(&l->sc), more = reached & ~(unsigned)l->sc.reached;

	l->sc.reached = (uint8_t)reached;
	if (more)
		lu_tell(l, SC_UA_THIN_THRESHOLD);
}

void lu_space(struct disk *d, void *rlu, uint64_t used, uint64_t left, bool own)
{
	struct rlu *l = rlu;

	(void)d;
	if (!l->sc.threshold_exp)
		return;
	sc_lu_set_space(&l->sc, used, left, own);
	lu_thresholds(l);
}

void lu_low_space(struct disk *d, void *rlu)
{
	struct rlu *l = rlu;

	(void)d;
	if (l->sc.unmap_max && !(l->sc.set.mode.lbp & SC_LBP_SILENT))
		lu_tell(l, SC_UA_THIN_THRESHOLD);
}
