/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ua.h - unit attention conditions of one nexus on one logical unit (SAM-5 5.14)
 *
 * A small fixed queue: no allocation, duplicates are merged, a reset comes first (POWER ON clears the rest). Context: whoever owns the session (its reactor); no locks.
 */
#ifndef LUNWARD_SCSI_UA_H
#define LUNWARD_SCSI_UA_H

#include <stdbool.h>
#include <stdint.h>

/* ASC << 8 | ASCQ, as in record.proto UnitAttention.asc_ascq */
enum sc_ua_code {
	SC_UA_NONE = 0,
	SC_UA_POWER_ON = 0x2900,             /* POWER ON, RESET, OR BUS DEVICE RESET OCCURRED */
	SC_UA_TARGET_RESET = 0x2902,         /* SCSI BUS RESET OCCURRED: target warm reset */
	SC_UA_LU_RESET = 0x2903,             /* BUS DEVICE RESET FUNCTION OCCURRED: logical unit reset */
	SC_UA_NEXUS_LOSS = 0x2907,           /* I_T NEXUS LOSS OCCURRED */
	SC_UA_MODE_CHANGED = 0x2a01,         /* MODE PARAMETERS CHANGED */
	SC_UA_RESERVATIONS_PREEMPTED = 0x2a03,
	SC_UA_RESERVATIONS_RELEASED = 0x2a04,
	SC_UA_REGISTRATIONS_PREEMPTED = 0x2a05,
	SC_UA_ALUA_CHANGED = 0x2a06,         /* ASYMMETRIC ACCESS STATE CHANGED */
	SC_UA_CAPACITY_CHANGED = 0x2a09,
	SC_UA_TIMESTAMP_CHANGED = 0x2a10,
	SC_UA_COMMANDS_CLEARED = 0x2f00,     /* COMMANDS CLEARED BY ANOTHER INITIATOR */
	SC_UA_THIN_THRESHOLD = 0x3807,       /* THIN PROVISIONING SOFT THRESHOLD REACHED */
	SC_UA_INQUIRY_CHANGED = 0x3f03,
	SC_UA_IDENTIFIER_CHANGED = 0x3f05,   /* DEVICE IDENTIFIER CHANGED: identifying information */
	SC_UA_LUNS_CHANGED = 0x3f0e,         /* REPORTED LUNS DATA HAS CHANGED */
};

#define SC_UA_MAX 12

struct sc_ua {
	uint8_t n;
	uint16_t q[SC_UA_MAX];  /* a reset, then oldest first */
};

/** sc_ua_add() - Establish @code. Without room for another one everything becomes POWER ON: nothing is silently lost. */
void sc_ua_add(struct sc_ua *ua, uint16_t code);
/** sc_ua_peek(), sc_ua_take() - The condition to report next, or SC_UA_NONE; take clears it */
uint16_t sc_ua_peek(const struct sc_ua *ua);
uint16_t sc_ua_take(struct sc_ua *ua);
/** sc_ua_del() - Clear one condition wherever it is in the queue */
void sc_ua_del(struct sc_ua *ua, uint16_t code);

#endif
