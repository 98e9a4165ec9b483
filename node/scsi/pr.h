/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr.h - reservations of a logical unit: persistent (SPC-4 5.13) and SPC-2 RESERVE/RELEASE
 *
 * Theory of operation: all reservation state of a logical unit is one immutable block, struct sc_pr. A command
 * never changes it: sc_pr_apply() makes the next block and says what follows from the change. The control
 * thread is the only caller of sc_pr_apply(); it commits the new block (the record), publishes it to all
 * reactors, and only then establishes the effects and answers. Reactors only read (sc_pr_role(), and through
 * sc_op_start() the conflict table). Two equal states are equal bytes: sc_pr_equal().
 *
 * Context: pure, any thread. Nothing here blocks; sc_pr_apply(), sc_pr_alloc() and sc_pr_dup() call malloc().
 */
#ifndef LUNWARD_SCSI_PR_H
#define LUNWARD_SCSI_PR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/scsi/sense.h"

#define SC_NAME_MAX    223   /* bytes in an iSCSI name, RFC 7143 4.2.7.1 */
#define SC_PR_MAX_REGS 256   /* registrations a logical unit; one more is INSUFFICIENT REGISTRATION RESOURCES */

/**
 * struct sc_nexus - An I_T nexus: the initiator port (name and ISID) and the target port
 *  Made by sc_nexus_init() only: bytes behind the name are zero, so nexuses compare as memory.
 */
struct sc_nexus {
	char initiator[SC_NAME_MAX + 1];
	uint8_t isid[6];
	uint16_t rtpi;          /* RELATIVE TARGET PORT IDENTIFIER */
};

/** sc_nexus_init() - Return: false when @initiator is empty or longer than SC_NAME_MAX (then @n is untouched) */
bool sc_nexus_init(struct sc_nexus *n, const char *initiator, const uint8_t isid[6], uint16_t rtpi);
bool sc_nexus_equal(const struct sc_nexus *a, const struct sc_nexus *b);

/* Type codes, SPC-4 table 57 */
enum sc_pr_type {
	SC_PR_NONE = 0,
	SC_PR_WRITE_EXCL = 1,
	SC_PR_EXCL_ACCESS = 3,
	SC_PR_WRITE_EXCL_RO = 5,     /* registrants only */
	SC_PR_EXCL_ACCESS_RO = 6,
	SC_PR_WRITE_EXCL_AR = 7,     /* all registrants: every registered nexus holds it */
	SC_PR_EXCL_ACCESS_AR = 8,
};

struct sc_pr_reg {
	struct sc_nexus nexus;
	uint64_t key;                /* never zero */
};

/** struct sc_pr - Reservation state of one logical unit; immutable once published. NULL means: nothing at all. */
struct sc_pr {
	uint32_t generation;         /* PRGENERATION */
	uint16_t n_regs;
	uint16_t holder;             /* index into regs for types 1, 3, 5, 6; otherwise 0 */
	uint8_t type;                /* enum sc_pr_type */
	bool aptpl;
	bool spc2;                   /* held by an SPC-2 RESERVE: spc2_holder */
	bool lost;                   /* could not be read back: SPC-4 5.13.5.3.2. Nothing else is set, but aptpl */
	uint8_t zero[4];
	struct sc_nexus spc2_holder; /* all zero when !spc2 */
	struct sc_pr_reg regs[];
};

/**
 * sc_pr_alloc() - A zeroed block with room for @n registrations (n_regs is set to @n); for importing a record
 * sc_pr_valid() - Whether an imported block obeys all rules (types, holder in range, no nexus twice, no zero key)
 * sc_pr_lost()  - The block that says: what was reserved is not known any more
 * sc_pr_dup()   - A copy. All of them: free with free(). Return: NULL without memory or for dup(NULL).
 */
struct sc_pr *sc_pr_alloc(uint16_t n);
bool sc_pr_valid(const struct sc_pr *pr);
struct sc_pr *sc_pr_lost(void);
struct sc_pr *sc_pr_dup(const struct sc_pr *pr);
size_t sc_pr_size(const struct sc_pr *pr);
bool sc_pr_equal(const struct sc_pr *a, const struct sc_pr *b);   /* NULL equals a block that says nothing */

/* What a nexus is to a logical unit's reservations */
#define SC_ROLE_REGISTERED 1u
#define SC_ROLE_HOLDER     2u    /* of the persistent reservation */
#define SC_ROLE_SPC2       4u    /* holds the SPC-2 reservation */

/** sc_pr_role() - SC_ROLE_* bits; @pr may be NULL. Linear in registrations: cache it (struct sc_itl does). */
unsigned sc_pr_role(const struct sc_pr *pr, const struct sc_nexus *who);

/* PERSISTENT RESERVE OUT service actions (SPC-4 table 213), then what is not a service action. */
enum sc_pr_verb {
	SC_PR_REGISTER = 0x00,
	SC_PR_RESERVE = 0x01,
	SC_PR_RELEASE = 0x02,
	SC_PR_CLEAR = 0x03,
	SC_PR_PREEMPT = 0x04,
	SC_PR_PREEMPT_ABORT = 0x05,
	SC_PR_REGISTER_IGNORE = 0x06,
	SC_PR_REGISTER_MOVE = 0x07,
	SC_PR_REPLACE_LOST = 0x08,
	SC_PR_SPC2_RESERVE = 0x20,   /* RESERVE(6), RESERVE(10) */
	SC_PR_SPC2_RELEASE,
	/* Events, not commands: always GOOD. @who matters for the first only. */
	SC_PR_NEXUS_LOSS,            /* logout, connection lost for good, session reinstated: drops its SPC-2 reservation */
	SC_PR_RESET,                 /* logical unit or target reset: drops any SPC-2 reservation (SPC-2 5.5.1) */
	SC_PR_POWER_LOSS,            /* the whole group was off: keeps registrations and reservation only with APTPL */
};

/**
 * struct sc_pr_cmd - One reservation command, decoded and checked for everything that does not depend on state
 *  @ids borrows from the task's data-out buffer: the task (and its buffer) must live until sc_pr_apply() returned.
 *  Only PREEMPT AND ABORT asks for tasks to be aborted.
 */
struct sc_pr_cmd {
	uint8_t verb;                /* enum sc_pr_verb */
	uint8_t type;                /* RESERVE, RELEASE, PREEMPT (AND ABORT), REPLACE LOST RESERVATION */
	bool aptpl, all_tg_pt, spec_i_pt, unreg;
	uint16_t move_rtpi;          /* REGISTER AND MOVE */
	uint64_t key;                /* RESERVATION KEY */
	uint64_t sark;               /* SERVICE ACTION RESERVATION KEY */
	const uint8_t *ids;          /* TransportIDs, already checked for form: SPEC_I_PT or the destination of a move */
	uint32_t ids_len;
	const struct sc_nexus *known;/* initiator ports whose sessions are there now: whom a name without ISID means */
	uint32_t n_known;
};

/** struct sc_pr_fx_item - What happens to one nexus; each nexus appears once */
struct sc_pr_fx_item {
	struct sc_nexus nexus;
	uint16_t ua;                 /* unit attention to establish (ua.h), or 0 */
	bool abort;                  /* abort its tasks on this logical unit (not this command), silently: TAS is 0 */
};

/**
 * struct sc_pr_fx - Outcome of sc_pr_apply(); give it back with sc_pr_fx_free()
 *  @changed: *ret_new is a new block that must be committed before the effects and the answer.
 *            Otherwise *ret_new is NULL, the old state stays, and there are no items.
 */
struct sc_pr_fx {
	uint8_t status;              /* enum sc_status */
	bool changed;
	struct sc_sense sense;       /* with CHECK CONDITION */
	uint32_t n_items;
	struct sc_pr_fx_item *items;
};

struct sc_target;

/**
 * sc_pr_apply() - Old state + command → new state + effects (SPC-4 5.13, 6.16; SPC-2 RESERVE/RELEASE)
 * @old:     NULL for none; untouched
 * @tgt:     the target's ports (ALL_TG_PT, REGISTER AND MOVE)
 * @who:     the nexus the command came from
 * @ret_new: the next block (free with free()), or NULL when nothing changes or the command fails
 *
 * Deterministic: the same arguments give the same bytes. Without memory the command fails with BUSY.
 */
void sc_pr_apply(const struct sc_pr *old, const struct sc_target *tgt, const struct sc_nexus *who,
		 const struct sc_pr_cmd *cmd, struct sc_pr **ret_new, struct sc_pr_fx *fx);
void sc_pr_fx_free(struct sc_pr_fx *fx);

#endif
