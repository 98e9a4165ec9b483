/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prcmd.h - codec of PERSISTENT RESERVE IN and OUT (SPC-4 6.15, 6.16)
 *
 * An initiator encodes a struct fence_cmd, sends CDB and data by whatever transport, and makes a struct fence_result
 * of what came back, with exactly one of: fence_result_scsi() when the device answered, fence_result_lost() when
 * it did not, fence_result_unsent() when the command never left. Step machines (arbitrate.h) see nothing else.
 * The opposite direction (fence_cmd_decode(), fence_result_encode()) serves model devices in tests and simulation.
 * Context: pure, any thread.
 */
#ifndef LUNWARD_FENCING_PRCMD_H
#define LUNWARD_FENCING_PRCMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FENCE_CDB_LEN 10u
#define FENCE_OUT_LEN 24u                             /* parameter list of all but REGISTER AND MOVE */
#define FENCE_KEYS_MAX 512u                           /* registrations one READ KEYS can hold here */
#define FENCE_IN_MAX (8u + 8u * FENCE_KEYS_MAX)       /* data-in buffer that is large enough for every command */
#define FENCE_FULL_MAX 64u                            /* descriptors kept of READ FULL STATUS */
#define FENCE_TEXT 192

enum fence_cmd_op {
	FENCE_CMD_NONE,
	FENCE_CMD_READ_KEYS,
	FENCE_CMD_READ_RESERVATION,
	FENCE_CMD_REPORT_CAPABILITIES,
	FENCE_CMD_READ_FULL_STATUS,
	FENCE_CMD_REGISTER,
	FENCE_CMD_RESERVE,
	FENCE_CMD_RELEASE,
	FENCE_CMD_CLEAR,
	FENCE_CMD_PREEMPT,
	FENCE_CMD_PREEMPT_AND_ABORT,
	FENCE_CMD_REGISTER_AND_IGNORE,
	FENCE_CMD__MAX
};

/* Persistent reservation types, SPC-4 table 190. */
#define FENCE_TYPE_WE 1u      /* Write Exclusive */
#define FENCE_TYPE_EA 3u      /* Exclusive Access */
#define FENCE_TYPE_WE_RO 5u   /* Write Exclusive – Registrants Only */
#define FENCE_TYPE_EA_RO 6u   /* Exclusive Access – Registrants Only: what Lunward uses */
#define FENCE_TYPE_WE_AR 7u   /* Write Exclusive – All Registrants */
#define FENCE_TYPE_EA_AR 8u   /* Exclusive Access – All Registrants */

struct fence_cmd {
	enum fence_cmd_op op;
	uint64_t key;           /* OUT: RESERVATION KEY: the nexus must be registered with it */
	uint64_t sakey;         /* OUT: SERVICE ACTION RESERVATION KEY */
	uint8_t type;           /* RESERVE, RELEASE, PREEMPT, PREEMPT AND ABORT */
	bool aptpl;             /* REGISTER, REGISTER AND IGNORE: activate persist through power loss */
	unsigned int delay_ms;  /* wait this long before sending (a busy device is asked again): not on the wire */
};

/* How a command ended: what its sender may conclude from it. */
enum fence_status {
	FENCE_ST_GOOD,         /* done */
	FENCE_ST_CONFLICT,     /* RESERVATION CONFLICT: no effect */
	FENCE_ST_UA_PR,        /* UNIT ATTENTION 2A/03, 2A/04, 2A/05: no effect; reservations or registrations moved */
	FENCE_ST_UA_RESET,     /* UNIT ATTENTION 29/xx: no effect; the device or nexus was reset, registrations may be gone */
	FENCE_ST_UA_OTHER,     /* another UNIT ATTENTION: no effect */
	FENCE_ST_BUSY,         /* BUSY, TASK SET FULL, NOT READY becoming ready, ALUA transition: no effect, ask again */
	FENCE_ST_UNSUPPORTED,  /* ILLEGAL REQUEST 20/00, 24/xx: the device does not know this command or action */
	FENCE_ST_BAD_PARAM,    /* ILLEGAL REQUEST 26/xx: a field of the parameter list is not accepted (APTPL, for one) */
	FENCE_ST_NO_ROOM,      /* ILLEGAL REQUEST 55/04: INSUFFICIENT REGISTRATION RESOURCES */
	FENCE_ST_FAILED,       /* any other CHECK CONDITION or status: no effect is to be expected, but is not certain */
	FENCE_ST_LOST,         /* no answer, or aborted: it took effect or it did not; it will not do so later any more */
	FENCE_ST_UNSENT,       /* it never left: no effect; the device cannot be reached */
	FENCE_ST__MAX
};

struct fence_caps {             /* REPORT CAPABILITIES, SPC-4 6.15.4 */
	bool crh, sip_c, atp_c, ptpl_c, tmv, ptpl_a;
	uint8_t allow_commands;
	uint16_t types;         /* bit n: type n supported (already put in order); valid if @tmv */
};

struct fence_full {             /* one descriptor of READ FULL STATUS, SPC-4 6.15.5 */
	uint64_t key;
	bool all_tg_pt, holder;
	uint8_t type;
	uint16_t rtpi;
	char initiator[224];    /* iSCSI: "name,i,0xISID" or name; others: protocol and hex */
};

struct fence_result {
	enum fence_cmd_op op;   /* of the command */
	enum fence_status status;
	uint8_t scsi_status;    /* SAM-5 status byte, 0xff: none */
	uint8_t sense_key, asc, ascq;
	char text[FENCE_TEXT];  /* what happened, in words; empty if GOOD */

	uint32_t generation;    /* PRGENERATION: READ KEYS, READ RESERVATION, READ FULL STATUS */
	unsigned int n_keys;    /* READ KEYS: kept in keys[] */
	bool truncated;         /* READ KEYS, READ FULL STATUS: the device has more than fit */
	uint64_t holder;        /* READ RESERVATION: holder's key; 0 if none, and for all-registrants types */
	uint8_t type;           /* READ RESERVATION: 0: not reserved */
	struct fence_caps caps;
	unsigned int n_full;
	uint64_t keys[FENCE_KEYS_MAX];
	struct fence_full *full; /* READ FULL STATUS: FENCE_FULL_MAX of room given by the caller, or NULL */
};

const char *fence_cmd_name(enum fence_cmd_op op);    /* "PREEMPT AND ABORT" */
const char *fence_status_name(enum fence_status st); /* "conflict" */

/** fence_cmd_is_out() - PERSISTENT RESERVE OUT, that is: it can change something */
bool fence_cmd_is_out(enum fence_cmd_op op);

/** fence_status_no_effect() - Is it certain that a command which ended so changed nothing? */
bool fence_status_no_effect(enum fence_status st);

/**
 * fence_cmd_encode() - CDB and parameter list of a command
 * @ret_cdb:  always 10 bytes
 * @ret_out:  parameter list, for PERSISTENT RESERVE OUT
 *
 * Return: bytes of @ret_out (24 for OUT, 0 for IN), -EINVAL for an unknown @cmd->op. The data-in length to offer is
 * fence_cmd_in_len().
 */
int fence_cmd_encode(const struct fence_cmd *cmd, uint8_t ret_cdb[static FENCE_CDB_LEN],
		     uint8_t ret_out[static FENCE_OUT_LEN]);

/** fence_cmd_in_len() - Bytes of data-in (the ALLOCATION LENGTH of the CDB); 0 for PERSISTENT RESERVE OUT */
size_t fence_cmd_in_len(const struct fence_cmd *cmd);

/**
 * fence_result_scsi() - Make a result of a device's answer
 * @res:     filled in whole, except @res->full
 * @status:  SAM-5 status byte
 * @data:    data-in received, @data_len bytes (after residual)
 * @sense:   sense data without the two length bytes of iSCSI, fixed or descriptor format (SPC-4 4.5)
 *
 * A GOOD whose data is too short or malformed becomes FENCE_ST_FAILED.
 */
void fence_result_scsi(struct fence_result *res, const struct fence_cmd *cmd, uint8_t status,
		       const void *data, size_t data_len, const void *sense, size_t sense_len);

/**
 * fence_result_lost() - The answer did not come (connection lost, time over)
 *
 * Only after the transport has made sure that the command cannot take effect any more *later*: over iSCSI the session
 * was reinstated (same name and ISID, RFC 7143 6.3.5) or will be before the next command; SG_IO came back.
 */
void fence_result_lost(struct fence_result *res, const struct fence_cmd *cmd, const char *why);

/** fence_result_unsent() - The command could not be sent at all */
void fence_result_unsent(struct fence_result *res, const struct fence_cmd *cmd, const char *why);

/** fence_cmd_decode() - Device's side. Return: 0, or -EINVAL if CDB or parameter list is none of those above */
int fence_cmd_decode(struct fence_cmd *ret_cmd, const void *cdb, size_t cdb_len, const void *out, size_t out_len);

/** fence_result_encode() - Device's side: data-in of a GOOD PERSISTENT RESERVE IN. Return: bytes, cut to @len */
size_t fence_result_encode(const struct fence_result *res, void *buf, size_t len);

#endif
