/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lun_model.h - one logical unit with SPC-4 reservations (5.13), an I_T nexus at a time, as a value
 *
 * Commands come and go through the codec of prcmd.h. I/O has two ends: it is let in (or not) by the reservation when it
 * arrives, stays in the task set, and takes effect when it is completed: what PREEMPT AND ABORT is for.
 */
#ifndef LUNWARD_TESTS_LUN_MODEL_H
#define LUNWARD_TESTS_LUN_MODEL_H

#include "fencing/prcmd.h"

#define LUN_NEXUSES 12u

struct lun_model {
	struct {
		uint64_t key;         /* 0: not registered */
		uint16_t ua;          /* pending unit attention ASC << 8 | ASCQ; 0: none */
		unsigned int queued;  /* tasks in the task set */
	} nexus[LUN_NEXUSES];
	int holder;                   /* nexus; -1: none */
	uint8_t type;
	uint32_t generation;
	bool aptpl;
	/* what kind of device it is */
	bool with_ua;                 /* reports unit attentions for reservation changes */
	bool no_caps, no_aptpl, no_abort, no_type6, no_ignore, refuse_all;
};

void lun_init(struct lun_model *lun);

/** lun_exec() - Execute @cmd, sent on @nexus; @res is what fence_result_scsi() makes of the answer */
void lun_exec(struct lun_model *lun, unsigned int nexus, const struct fence_cmd *cmd, struct fence_result *res);

/** lun_allows() - Would a medium access (read or write) on @nexus be let in? SPC-4 table 63 */
bool lun_allows(const struct lun_model *lun, unsigned int nexus);

/** lun_submit() - I/O arrives. Return: false: RESERVATION CONFLICT; true: it is in the task set */
bool lun_submit(struct lun_model *lun, unsigned int nexus);

/** lun_power_loss() - What is not kept by APTPL goes, tasks too; everybody gets 29/00 */
void lun_power_loss(struct lun_model *lun);

uint64_t lun_holder_key(const struct lun_model *lun);

#endif
