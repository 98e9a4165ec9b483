/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conflict.c - whether a reservation keeps a command out
 *
 * The one table of it: SPC-4 table 65 and SBC-4 table 13 (persistent reservations), SPC-2 table 10 (RESERVE),
 * folded into classes of commands with equal rows. The holder is never in conflict; with a "registrants only" or
 * "all registrants" reservation no registrant is. A command is checked once, when it arrives: whether one that is in
 * the task set already is subject to a later reservation is ours to say (SPC-4 5.13.1), and it is not.
 */
#include "node/scsi/internal.h"

/* Columns: the nexus does not hold the reservation, and … */
enum column {
	WE,        /* Write Exclusive, registered or not */
	EA,        /* Exclusive Access, registered or not */
	RR,        /* registered, type 5 to 8 */
	WE_RR,     /* not registered, Write Exclusive types 5 and 7 */
	EA_RR,     /* not registered, Exclusive Access types 6 and 8 */
	SPC2,      /* another nexus holds an SPC-2 reservation */
	SPC2_OWN,  /* this nexus holds it */
	COLUMNS
};

#define A false
#define C true
static const bool conflicts[][COLUMNS] = {
	/*                   WE EA RR WE_RR EA_RR SPC2 SPC2_OWN */
	[SC_RC_FREE]    = {  A, A, A, A,    A,    A,   A },
	[SC_RC_PR_FREE] = {  A, A, A, A,    A,    C,   A },
	[SC_RC_READ]    = {  A, C, A, A,    C,    C,   A },
	[SC_RC_WRITE]   = {  C, C, A, C,    C,    C,   A },
	[SC_RC_PR]      = {  A, A, A, A,    A,    C,   C },
	[SC_RC_SELF]    = {  A, A, A, A,    A,    A,   A },
};
#undef A
#undef C

/* START with no power condition and PREVENT 0 do no harm to others (SBC-4 table 13 with SPC-2 table 10). */
static enum sc_rc resolve(enum sc_rc rc, const uint8_t *cdb)
{
	if (rc == SC_RC_START)
		return (cdb[4] & 0xf1) == 0x01 ? SC_RC_PR_FREE : SC_RC_WRITE;
	if (rc == SC_RC_PREVENT)
		return (cdb[4] & 0x03) == 0 ? SC_RC_FREE : SC_RC_WRITE;
	return rc;
}

static enum column column_of(uint8_t type, unsigned role)
{
	bool exclusive_access = (type == SC_PR_WRITE_EXCL && MUTANT(CONFLICT_WE_READS)) || type == SC_PR_EXCL_ACCESS || type == SC_PR_EXCL_ACCESS_RO || type == SC_PR_EXCL_ACCESS_AR;

	if (!sc_pr_shared(type))
		return exclusive_access ? EA : WE;
	if (role & SC_ROLE_REGISTERED && !(MUTANT(CONFLICT_HOLDER_ONLY) && type <= SC_PR_EXCL_ACCESS_RO))
		return RR;
	return exclusive_access ? EA_RR : WE_RR;
}

bool sc_conflict(const struct sc_ctx *ctx, enum sc_rc rc, const uint8_t *cdb)
{
	const struct sc_pr *pr = ctx->lu->pr;
	struct sc_itl *itl = ctx->itl;

	if (!pr || (!pr->type && !pr->spc2))
		return false;
	if (itl->pr_seen != ctx->lu->pr_seq + 1) {  /* zero: never seen any */
		itl->role = (uint8_t)sc_pr_role(pr, ctx->nexus);
		itl->pr_seen = ctx->lu->pr_seq + 1;
	}
	rc = resolve(rc, cdb);
	if (pr->spc2 && MUTANT(CONFLICT_SPC2_READS) && rc == SC_RC_READ)
		return false;
	if (pr->spc2 && conflicts[rc][itl->role & SC_ROLE_SPC2 ? SPC2_OWN : SPC2])
		return true;
	if (!pr->type || itl->role & SC_ROLE_HOLDER)
		return false;
	if (MUTANT(CONFLICT_EA_READS) && rc == SC_RC_READ)
		return false;
	return conflicts[rc][column_of(pr->type, itl->role)];
}

/* What SPC-4 5.13.5.2 lets through; PERSISTENT RESERVE OUT and RESERVE are refused where they are executed. */
bool sc_lost_refuses(const struct sc_lu *lu, const uint8_t *cdb)
{
	/* REQUEST SENSE, INQUIRY, WRITE BUFFER, READ BUFFER(10), (16), LOG SENSE, REPORT LUNS; then see above */
	static const uint8_t through[] = { 0x03, 0x12, 0x3b, 0x3c, 0x9b, 0x4d, 0xa0, 0x5f, 0x16, 0x17, 0x56, 0x57 };

	if (!lu->pr || !lu->pr->lost || MUTANT(LOST_SERVES))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(through); i++)
		if (cdb[0] == through[i])
			return false;
	if (cdb[0] == 0xa3)
		return (cdb[1] & 0x1f) != 0x0a;  /* REPORT TARGET PORT GROUPS */
	return cdb[0] != 0x1b || (cdb[4] & 0xf1) != 0x01;
}

bool sc_pr_type_ok(uint8_t type)
{
	return type == SC_PR_WRITE_EXCL || type == SC_PR_EXCL_ACCESS ||
	       (type >= SC_PR_WRITE_EXCL_RO && type <= SC_PR_EXCL_ACCESS_AR);
}
