/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pr_random.h - random reservation commands, byte by byte through node/scsi, and what the model makes of the same */
#ifndef PR_RANDOM_H
#define PR_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PR_STEPS_MAX 24

/**
 * pr_random_run() - One sequence
 * @report: on a difference, take away every step it does not need, and print what is left
 * Return: true, or false with the first difference in words in @why
 */
bool pr_random_run(uint64_t seed, bool report, char *why, size_t why_len);

#endif
