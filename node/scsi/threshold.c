/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * threshold.c - soft thresholds of a thin logical unit, and what they are about: storage used and still available
 *
 * SBC-3: 4.7.3 (thresholds), 6.3 (Logical Block Provisioning log page), 6.4 (mode page of that name; LBPERE in the
 * Read-Write Error Recovery page). Two thresholds, each for a fact of its own: descriptors say which, an initiator sets the
 * count and whether it counts. All is in threshold sets of 2 ^ sc_lu.threshold_exp blocks; where that is 0 nothing here exists.
 * SITUA is 0: every initiator hears of it.
 */
#include "node/scsi/internal.h"

#define ENABLED     0x80  /* byte 0 of a descriptor; THRESHOLD TYPE 0: a count of threshold sets */
#define ARMED_BELOW 0x00  /* THRESHOLD ARMING: reached by shrinking */
#define ARMED_ABOVE 0x01  /* … by growing */
#define HEAD        16u   /* bytes of the mode page before the descriptors */
#define DESCRIPTOR  8u
#define SCOPE_OWN    0x01 /* dedicated to this logical unit */
#define SCOPE_SHARED 0x02

/* THRESHOLD RESOURCE, the code of the log parameter; in the order of sc_mode.threshold[] */
static const struct {
	uint8_t resource, arming;
} kinds[SC_THRESHOLDS] = {
	[SC_AVAILABLE] = { 0x01, ARMED_BELOW },
	[SC_USED] = { 0x02, ARMED_ABOVE },
};
_Static_assert(HEAD + SC_THRESHOLDS * DESCRIPTOR == SC_MODE_THRESHOLDS_LEN, "the page's length is in mode_pages.c");

void sc_mode_thresholds(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p)
{
	struct sc_mode m = sc_mode_values(lu, pc);

	if (pc == SC_PC_CHANGEABLE && lu->flags & SC_LU_MODE_FIXED)
		return;
	for (unsigned i = 0; i < SC_THRESHOLDS; i++) {
		uint8_t *d = p + HEAD + DESCRIPTOR * i;

		if (pc == SC_PC_CHANGEABLE) {
			d[0] = ENABLED;
			put_be32(d + 4, UINT32_MAX);
			continue;
		}
		d[0] = (uint8_t)((m.lbp & sc_lbp_on(i) ? ENABLED : 0) | kinds[i].arming);
		d[1] = kinds[i].resource;
		put_be32(d + 4, m.threshold[i]);
	}
}

void sc_mode_take_thresholds(const uint8_t *p, struct sc_mode *m)
{
	for (unsigned i = 0; i < SC_THRESHOLDS; i++) {
		const uint8_t *d = p + HEAD + DESCRIPTOR * i;

		if (d[0] & ENABLED)
			m->lbp |= sc_lbp_on(i);
		m->threshold[i] = get_be32(d + 4);
	}
}

unsigned sc_thresholds_reached(const struct sc_lu *lu)
{
	const struct sc_mode *m = &lu->set.mode;
	unsigned reached = 0;

	if (!lu->threshold_exp || !lu->space.known || m->lbp & SC_LBP_SILENT)
		return 0;
	for (unsigned i = 0; i < SC_THRESHOLDS; i++) {
		uint32_t now = lu->space.sets[i], limit = m->threshold[i];

		if (m->lbp & sc_lbp_on(i) && (kinds[i].arming == ARMED_BELOW ? now <= limit : now >= limit))
			reached |= 1u << i;
	}
	return reached;
}

struct sc_sense sc_threshold_sense(const struct sc_lu *lu)
{
	if (!lu->reached)
		return sc_sense_make(SC_KEY_UNIT_ATTENTION, SC_UA_THIN_THRESHOLD);
	return sc_sense_info(SC_KEY_UNIT_ATTENTION, SC_UA_THIN_THRESHOLD,
			     HEAD + DESCRIPTOR * (unsigned)__builtin_ctz(lu->reached));
}

void sc_lu_set_space(struct sc_lu *lu, uint64_t used, uint64_t available, bool own)
{
	uint64_t set = (uint64_t)lu->block_size << lu->threshold_exp;

	lu->space = (struct sc_space){ .known = true, .own = own };
	lu->space.sets[SC_USED] = (uint32_t)MIN((used + set - 1) / set, (uint64_t)UINT32_MAX);
	lu->space.sets[SC_AVAILABLE] = (uint32_t)MIN(available / set, (uint64_t)UINT32_MAX);
}

/* Without parameters until it is known: each is there only if it can be said. */
void sc_log_provisioning(const struct sc_ctx *ctx, struct sc_out *o)
{
	const struct sc_space *s = &ctx->lu->space;

	for (unsigned i = 0; s->known && i < SC_THRESHOLDS; i++) {
		uint32_t at = sc_log_parameter(o, kinds[i].resource);

		sc_out_u32(o, s->sets[i]);
		sc_out_u8(o, i == SC_USED || s->own ? SCOPE_OWN : SCOPE_SHARED);
		sc_out_zero(o, 3);
		sc_log_end_parameter(o, at);
	}
}
