/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prsense.c - what may be concluded from the way a command ended (SAM-5 5.3, SPC-4 4.5)
 */
#include <stdio.h>
#include <string.h>

#include "fencing/prcmd.h"
#include "fencing/private.h"
#include "node/util/util.h"
#include "node/util/wire.h"

enum { /* SAM-5 table 43 */
	SAM_GOOD = 0x00, SAM_CHECK_CONDITION = 0x02, SAM_BUSY = 0x08, SAM_CONFLICT = 0x18, SAM_TASK_SET_FULL = 0x28,
	SAM_ACA_ACTIVE = 0x30, SAM_TASK_ABORTED = 0x40, SAM_NONE = 0xff,
};

enum { /* SPC-4 table 43 */
	SK_RECOVERED = 0x1, SK_NOT_READY = 0x2, SK_ILLEGAL = 0x5, SK_UNIT_ATTENTION = 0x6, SK_ABORTED = 0xb,
};

static const struct {
	const char *name;
	bool no_effect;
} statuses[] = {
	[FENCE_ST_GOOD] = { "good", false },
	[FENCE_ST_CONFLICT] = { "reservation conflict", true },
	[FENCE_ST_UA_PR] = { "reservations changed", true },
	[FENCE_ST_UA_RESET] = { "device was reset", true },
	[FENCE_ST_UA_OTHER] = { "unit attention", true },
	[FENCE_ST_BUSY] = { "busy", true },
	[FENCE_ST_UNSUPPORTED] = { "not supported", true },
	[FENCE_ST_BAD_PARAM] = { "parameter refused", true },
	[FENCE_ST_NO_ROOM] = { "no room for a registration", true },
	[FENCE_ST_FAILED] = { "failed", false },
	[FENCE_ST_LOST] = { "answer lost", false },
	[FENCE_ST_UNSENT] = { "not sent", true },
};
_Static_assert(ARRAY_SIZE(statuses) == FENCE_ST__MAX, "one row a status");

const char *fence_status_name(enum fence_status st)
{
	return (unsigned int)st < FENCE_ST__MAX ? statuses[st].name : "?";
}

bool fence_status_no_effect(enum fence_status st)
{
	return (unsigned int)st < FENCE_ST__MAX && statuses[st].no_effect;
}

/* First match counts; -1 matches any. */
static const struct {
	uint8_t key;
	int asc, ascq;
	enum fence_status status;
	const char *text;
} senses[] = {
	{ SK_UNIT_ATTENTION, 0x2a, 0x03, FENCE_ST_UA_PR, "reservations preempted" },
	{ SK_UNIT_ATTENTION, 0x2a, 0x04, FENCE_ST_UA_PR, "reservations released" },
	{ SK_UNIT_ATTENTION, 0x2a, 0x05, FENCE_ST_UA_PR, "registrations preempted" },
	{ SK_UNIT_ATTENTION, 0x29, -1, FENCE_ST_UA_RESET, "power on or reset occurred" },
	{ SK_UNIT_ATTENTION, -1, -1, FENCE_ST_UA_OTHER, "unit attention" },
	{ SK_ILLEGAL, 0x20, 0x00, FENCE_ST_UNSUPPORTED, "invalid command operation code" },
	{ SK_ILLEGAL, 0x24, -1, FENCE_ST_UNSUPPORTED, "invalid field in CDB" },
	{ SK_ILLEGAL, 0x25, 0x00, FENCE_ST_FAILED, "no such logical unit" },
	{ SK_ILLEGAL, 0x26, -1, FENCE_ST_BAD_PARAM, "invalid field in parameter list" },
	{ SK_ILLEGAL, 0x55, 0x04, FENCE_ST_NO_ROOM, "insufficient registration resources" },
	{ SK_NOT_READY, 0x04, 0x01, FENCE_ST_BUSY, "becoming ready" },
	{ SK_NOT_READY, 0x04, 0x0a, FENCE_ST_BUSY, "asymmetric access state transition" },
	{ SK_ABORTED, -1, -1, FENCE_ST_LOST, "aborted command" },
	{ SK_RECOVERED, -1, -1, FENCE_ST_GOOD, "" },
};

/* Fixed (70h, 71h) and descriptor format (72h, 73h). Return: deferred error, that is: of an earlier command */
static bool parse_sense(struct fence_result *res, const uint8_t *s, size_t len)
{
	uint8_t code = len ? s[0] & 0x7f : 0;

	if ((code == 0x70 || code == 0x71) && len >= 3) {
		res->sense_key = s[2] & 0xf;
		res->asc = len > 12 ? s[12] : 0;
		res->ascq = len > 13 ? s[13] : 0;
	} else if ((code == 0x72 || code == 0x73) && len >= 4) {
		res->sense_key = s[1] & 0xf;
		res->asc = s[2];
		res->ascq = s[3];
	}
	return code == 0x71 || code == 0x73;
}

static void classify_sense(struct fence_result *res, bool deferred)
{
	const char *text = "";
	size_t i;

	res->status = FENCE_ST_FAILED;
	for (i = 0; i < ARRAY_SIZE(senses) && !deferred; i++) {
		if (senses[i].key == res->sense_key && (senses[i].asc < 0 || senses[i].asc == res->asc) &&
		    (senses[i].ascq < 0 || senses[i].ascq == res->ascq)) {
			res->status = senses[i].status;
			text = senses[i].text;
			break;
		}
	}
	if (deferred) {  /* SPC-4 4.5.7: this command was not processed */
		res->status = FENCE_ST_UA_OTHER;
		text = "deferred error of an earlier command";
	}
	if (res->status != FENCE_ST_GOOD)
		snprintf(res->text, sizeof(res->text), "%s: %s%ssense %x/%02x/%02x", fence_cmd_name(res->op), text,
			 *text ? ", " : "", res->sense_key, res->asc, res->ascq);
}

static void start(struct fence_result *res, const struct fence_cmd *cmd)
{
	memset(res, 0, offsetof(struct fence_result, keys));
	res->op = cmd->op;
	res->scsi_status = SAM_NONE;
}

void fence_result_scsi(struct fence_result *res, const struct fence_cmd *cmd, uint8_t status,
		       const void *data, size_t data_len, const void *sense, size_t sense_len)
{
	static const struct { uint8_t sam; enum fence_status status; const char *text; } map[] = {
		{ SAM_CONFLICT, FENCE_ST_CONFLICT, "RESERVATION CONFLICT" },
		{ SAM_BUSY, FENCE_ST_BUSY, "BUSY" },
		{ SAM_TASK_SET_FULL, FENCE_ST_BUSY, "TASK SET FULL" },
		{ SAM_ACA_ACTIVE, FENCE_ST_BUSY, "ACA ACTIVE" },
		{ SAM_TASK_ABORTED, FENCE_ST_LOST, "TASK ABORTED" },
	};
	const char *text = "unexpected status";

	start(res, cmd);
	res->scsi_status = status;
	res->status = FENCE_ST_FAILED;
	if (status == SAM_CHECK_CONDITION)
		classify_sense(res, parse_sense(res, sense, sense_len));
	else if (status == SAM_GOOD)
		res->status = FENCE_ST_GOOD;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (map[i].sam == status) {
			res->status = map[i].status;
			text = map[i].text;
		}
	}
	if (res->status == FENCE_ST_GOOD && !fence_parse_in(res, data, data_len)) {
		res->status = FENCE_ST_FAILED;
		snprintf(res->text, sizeof(res->text), "%s: malformed answer of %zu bytes",
			 fence_cmd_name(cmd->op), data_len);
	}
	if (res->status != FENCE_ST_GOOD && !res->text[0])
		snprintf(res->text, sizeof(res->text), "%s: %s (%02xh)", fence_cmd_name(cmd->op), text, status);
}

void fence_result_lost(struct fence_result *res, const struct fence_cmd *cmd, const char *why)
{
	start(res, cmd);
	res->status = FENCE_ST_LOST;
	snprintf(res->text, sizeof(res->text), "%s: no answer: %s", fence_cmd_name(cmd->op), why);
}

void fence_result_unsent(struct fence_result *res, const struct fence_cmd *cmd, const char *why)
{
	start(res, cmd);
	res->status = FENCE_ST_UNSENT;
	snprintf(res->text, sizeof(res->text), "%s: not sent: %s", fence_cmd_name(cmd->op), why);
}
