/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mode_pages.c - the mode pages: bytes for each page control, and back
 *
 * D_SENSE, SWP and TAS of the Control page, WCE of the Caching page where the disk has a volatile cache, and of a thin
 * logical unit LBPERE and the thresholds (threshold.c) can be changed and saved (unless SC_LU_MODE_FIXED); everything else
 * is a fact.
 */
#include "node/scsi/internal.h"

#define WCE     0x04  /* byte 2 of the Caching page */
#define D_SENSE 0x04  /* byte 2 of the Control page */
#define SWP     0x08  /* byte 4 */
#define TAS     0x40  /* byte 5 */
#define LBPERE  0x80  /* byte 7 of the Read-Write Error Recovery page */
#define PS      0x80  /* byte 0: the page can be saved */

static bool fixed(const struct sc_lu *lu) { return lu->flags & SC_LU_MODE_FIXED; }

struct sc_mode sc_mode_values(const struct sc_lu *lu, enum sc_pc pc)
{
	static const struct sc_mode defaults;

	return pc == SC_PC_CURRENT ? lu->set.mode : pc == SC_PC_SAVED ? lu->set.saved : defaults;
}

/* SBC-3 6.4.9: no retries of ours are told of, and none can be asked for. LBPERE: that space runs out is. */
static void error_recovery(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p)
{
	if (!lu->unmap_max || (pc == SC_PC_CHANGEABLE && fixed(lu)))
		return;
	if (pc == SC_PC_CHANGEABLE || !(sc_mode_values(lu, pc).lbp & SC_LBP_SILENT))
		p[7] = LBPERE;
}

static void take_error_recovery(const uint8_t *p, struct sc_mode *m)
{
	if (!(p[7] & LBPERE))
		m->lbp |= SC_LBP_SILENT;
}

/* SPC-4 7.5.10. The burst lengths are text keys of iSCSI (RFC 7143 13): zero is no limit here. */
static void disconnect(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p)
{
	(void)lu;
	(void)pc;
	(void)p;
}

/* SBC-3 6.4.5. An initiator may make all writes durable. It cannot give a disk a cache that has none. */
static void caching(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p)
{
	if (!(lu->flags & SC_LU_WRITE_CACHE) || (pc == SC_PC_CHANGEABLE && fixed(lu)))
		return;
	if (pc == SC_PC_CHANGEABLE || !sc_mode_values(lu, pc).write_through)
		p[2] = WCE;
}

static void take_caching(const uint8_t *p, struct sc_mode *m)
{
	m->write_through = !(p[2] & WCE);
}

/*
 * SPC-4 7.5.8. TST 0: one task set. QUEUE ALGORITHM MODIFIER 1: unrestricted reordering, as between sessions on
 * different reactors. QERR 0.
 */
static void control(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p)
{
	bool all = pc == SC_PC_CHANGEABLE;
	struct sc_mode m = sc_mode_values(lu, pc);

	if (all && fixed(lu))
		return;
	if (!all)
		p[3] = 0x10;
	if (all || m.d_sense)
		p[2] |= D_SENSE;
	if (all || m.swp)
		p[4] |= SWP;
	if (all || m.tas)
		p[5] |= TAS;
}

static void take_control(const uint8_t *p, struct sc_mode *m)
{
	m->d_sense = p[2] & D_SENSE;
	m->swp = p[4] & SWP;
	m->tas = p[5] & TAS;
}

/* SPC-4 7.5.9. IALUAE: implicit asymmetric access. TCMOS, SCSIP: clock.c. */
static void control_extension(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p)
{
	(void)lu;
	if (pc != SC_PC_CHANGEABLE)
		p[4] = 0x04 | 0x02 | 0x01;
}

/* SPC-4 7.5.12. DEXCPT: there are no informational exceptions; MRIE 0. */
static void exceptions(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p)
{
	(void)lu;
	if (pc != SC_PC_CHANGEABLE)
		p[2] = 0x08;
}

const struct sc_mode_page sc_mode_pages[] = {  /* ascending; the order in which "all pages" lists them */
	{ 0x01, 0x00, 12, SC_SET_RECOVERY, error_recovery, take_error_recovery },
	{ 0x02, 0x00, 16, 0, disconnect, NULL },
	{ 0x08, 0x00, 20, SC_SET_CACHING, caching, take_caching },
	{ 0x0a, 0x00, 12, SC_SET_CONTROL, control, take_control },
	{ 0x0a, 0x01, 32, 0, control_extension, NULL },
	{ 0x1c, 0x00, 12, 0, exceptions, NULL },
	{ 0x1c, 0x02, SC_MODE_THRESHOLDS_LEN, SC_SET_THRESHOLDS, sc_mode_thresholds, sc_mode_take_thresholds },
};
const unsigned sc_mode_page_count = ARRAY_SIZE(sc_mode_pages);

bool sc_mode_page_there(const struct sc_mode_page *pg, const struct sc_lu *lu)
{
	return pg->set != SC_SET_THRESHOLDS || lu->threshold_exp;
}

void sc_mode_page_get(const struct sc_mode_page *pg, const struct sc_lu *lu, enum sc_pc pc, uint8_t *p)
{
	memset(p, 0, pg->size);
	p[0] = pg->page;
	if (pg->set && !fixed(lu))
		p[0] |= PS;
	if (pg->subpage) {
		p[0] |= 0x40;  /* SPF: subpage format */
		p[1] = pg->subpage;
		put_be16(p + 2, (uint16_t)(pg->size - 4));
	} else {
		p[1] = (uint8_t)(pg->size - 2);
	}
	pg->fill(lu, pc, p);
}

void sc_mode_page_read(const struct sc_mode_page *pg, const uint8_t *p, struct sc_change *c)
{
	struct sc_mode m = { 0 };

	if (!pg->take)
		return;
	c->what |= pg->set;
	pg->take(p, &m);
	sc_mode_merge(&c->mode, &m, pg->set);
}
