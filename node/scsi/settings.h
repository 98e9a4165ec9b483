/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settings.h - what initiators may set on a logical unit, for all of them: mode page values, identifying information, clock
 *
 * Theory of operation: as with reservations, a command never changes it. The reactor turns a MODE SELECT or a SET
 * IDENTIFYING INFORMATION into a struct sc_change; the control thread makes the next settings with sc_settings_apply(),
 * commits them (the record), publishes them to all reactors and then answers. A change names only what its command
 * was about, so changes that cross each other add up.
 *
 * All settings outlive a failover. Only the saved mode values outlive a reset or a power loss (SPC-4 5.9); identifying
 * information outlives everything. The clock outlives a reset, not a power loss.
 *
 * Context: pure, any thread.
 */
#ifndef LUNWARD_SCSI_SETTINGS_H
#define LUNWARD_SCSI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* Thresholds (threshold.c): of storage that is still available, and of what is used */
enum sc_resource { SC_AVAILABLE, SC_USED, SC_THRESHOLDS };
#define SC_LBP_SILENT 1u         /* Read-Write Error Recovery: LBPERE 0: nobody is told that a threshold is reached */
static inline uint32_t sc_lbp_on(unsigned resource) { return 2u << resource; }

/** struct sc_mode - The mode page values an initiator may change; all zero by default; compared as memory: no padding */
struct sc_mode {
	bool d_sense;                /* Control: descriptor format sense data */
	bool swp;                    /* Control: software write protect */
	bool tas;                    /* Control: tasks that another nexus aborts end with TASK ABORTED, not in silence */
	bool write_through;          /* Caching: WCE 0 where the disk has a volatile cache: each write is made durable */
	uint32_t lbp;                /* SC_LBP_SILENT, sc_lbp_on(): this threshold is enabled */
	uint32_t threshold[SC_THRESHOLDS];  /* threshold sets */
};

/* Identifying information, SPC-4 6.32: INFORMATION TYPE 0000000b and 0000010b */
enum sc_info_type { SC_INFO_PERIPHERAL, SC_INFO_TEXT, SC_INFO_TYPES };
#define SC_INFO_PERIPHERAL_MAX 64u
#define SC_INFO_TEXT_MAX       256u  /* with its NUL */

struct sc_info {
	uint16_t len;
	uint8_t data[SC_INFO_TEXT_MAX];  /* zero behind len */
};

struct sc_settings {
	int64_t clock_offset;        /* clock.c: milliseconds to the node's clock; 0 unless clock_set */
	uint32_t clock_set;          /* 1: by SET TIMESTAMP */
	struct sc_mode mode, saved;
	struct sc_info info[SC_INFO_TYPES];
};

#define SC_SET_CACHING 1u        /* the values of this page … */
#define SC_SET_CONTROL 2u
#define SC_SET_SAVE    4u        /* … and they are saved */
#define SC_SET_INFO    8u        /* info_type, info, info_len */
#define SC_SET_REVERT 16u        /* reset, power loss: the saved values are the current ones */
#define SC_SET_RECOVERY 32u
#define SC_SET_THRESHOLDS 64u
#define SC_SET_CLOCK 128u        /* clock_offset */

struct sc_change {
	uint8_t what;                /* SC_SET_* */
	uint8_t info_type;           /* enum sc_info_type */
	uint16_t info_len;           /* at most the maximum of the type */
	struct sc_mode mode;
	int64_t clock_offset;
	const uint8_t *info;         /* borrowed until the command is answered */
};

/**
 * sc_settings_apply() - What the settings are after a change
 * @ua:	unit attention for every nexus but the one that asked for it, or SC_UA_NONE
 *
 * Return: whether *@next differs from *@old
 */
bool sc_settings_apply(const struct sc_settings *old, const struct sc_change *c, struct sc_settings *next, uint16_t *ua);

/** sc_mode_merge() - Into @m what @from says about the pages in @what (SC_SET_*) */
void sc_mode_merge(struct sc_mode *m, const struct sc_mode *from, unsigned what);

/** sc_info_max() - Longest information of a type */
uint16_t sc_info_max(enum sc_info_type type);

#endif
