/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pdu.h - layout of iSCSI PDUs (RFC 7143 chapter 11): offsets, constants, accessors
 *
 * A basic header segment (BHS) is 48 bytes, big-endian. Fields are read and written by offset; the offsets of the
 * fields that most PDUs share come first, then those of single PDUs.
 */
#ifndef LUNWARD_ISCSI_PDU_H
#define LUNWARD_ISCSI_PDU_H

#include "node/util/wire.h"

enum {
	BHS_LEN = 48,
	AHS_MAX = 255 * 4,
	DIGEST_LEN = 4,
	TAG_NONE = 0xffffffff,        /* reserved task tag */
};

enum pdu_opcode {
	OP_NOP_OUT = 0x00,
	OP_SCSI_CMD = 0x01,
	OP_TMF = 0x02,
	OP_LOGIN = 0x03,
	OP_TEXT = 0x04,
	OP_DATA_OUT = 0x05,
	OP_LOGOUT = 0x06,
	OP_SNACK = 0x10,
	OP_NOP_IN = 0x20,
	OP_SCSI_RSP = 0x21,
	OP_TMF_RSP = 0x22,
	OP_LOGIN_RSP = 0x23,
	OP_TEXT_RSP = 0x24,
	OP_DATA_IN = 0x25,
	OP_LOGOUT_RSP = 0x26,
	OP_R2T = 0x31,
	OP_ASYNC = 0x32,
	OP_REJECT = 0x3f,
	OP_MASK = 0x3f,
};

/* Byte 0 and 1 */
enum {
	PDU_IMMEDIATE = 0x40,
	PDU_FINAL = 0x80,
	PDU_CONTINUE = 0x40,          /* C, in Login and Text */
	PDU_TRANSIT = 0x80,           /* T, in Login */
	CMD_READ = 0x40,
	CMD_WRITE = 0x20,
	CMD_ATTR_MASK = 0x07,
	RSP_BIDI_OVERFLOW = 0x10,
	RSP_BIDI_UNDERFLOW = 0x08,
	RSP_OVERFLOW = 0x04,
	RSP_UNDERFLOW = 0x02,
	DATA_STATUS = 0x01,           /* S, in Data-In */
	DATA_ACK = 0x40,              /* A, in Data-In */
	SNACK_TYPE_MASK = 0x0f,
};

/* Offsets */
enum {
	O_OPCODE = 0,
	O_FLAGS = 1,
	O_STATUS = 3,                 /* SCSI Response, Data-In */
	O_AHS_LEN = 4,                /* in words of 4 bytes */
	O_DSL = 5,                    /* DataSegmentLength, 3 bytes */
	O_LUN = 8,
	O_ITT = 16,
	O_TTT = 20,
	O_CMDSN = 24,                 /* requests */
	O_STATSN = 24,                /* responses */
	O_EXP_STATSN = 28,            /* requests */
	O_EXP_CMDSN = 28,             /* responses */
	O_MAX_CMDSN = 32,             /* responses */
	/* 11.3 SCSI Command */
	O_CMD_EDTL = 20,
	O_CMD_CDB = 32,
	/* 11.4 SCSI Response */
	O_RSP_RESPONSE = 2,
	O_RSP_SNACK_TAG = 20,
	O_RSP_EXP_DATASN = 36,
	O_RSP_BIDI_RESIDUAL = 40,
	O_RESIDUAL = 44,              /* also in Data-In */
	/* 11.5, 11.6 Task Management */
	O_TMF_REF_ITT = 20,
	O_TMF_REF_CMDSN = 32,
	O_TMF_EXP_DATASN = 36,
	O_TMF_RESPONSE = 2,
	O_TMF_INFO = 8,
	/* 11.7 Data-Out, Data-In; 11.8 R2T */
	O_DATASN = 36,
	O_DATA_OFFSET = 40,
	O_R2T_LENGTH = 44,
	/* 11.9 Async Message */
	O_ASYNC_EVENT = 36,
	O_ASYNC_VCODE = 37,
	O_ASYNC_P1 = 38,
	O_ASYNC_P2 = 40,
	O_ASYNC_P3 = 42,
	/* 11.12, 11.13 Login */
	O_LOGIN_VERSION_MAX = 2,
	O_LOGIN_VERSION_MIN = 3,      /* request; Version-active in the response */
	O_LOGIN_ISID = 8,
	O_LOGIN_TSIH = 14,
	O_LOGIN_CID = 20,
	O_LOGIN_STATUS = 36,          /* class, detail */
	/* 11.14, 11.15 Logout */
	O_LOGOUT_CID = 20,
	O_LOGOUT_RESPONSE = 2,
	O_LOGOUT_TIME2WAIT = 40,
	O_LOGOUT_TIME2RETAIN = 42,
	/* 11.16 SNACK */
	O_SNACK_BEGIN = 40,
	O_SNACK_RUN = 44,
	/* 11.17 Reject */
	O_REJECT_REASON = 2,
};

_Static_assert(O_RESIDUAL + 4 == BHS_LEN && O_CMD_CDB + 16 == BHS_LEN && O_R2T_LENGTH + 4 == BHS_LEN,
	       "the last fields end where the BHS ends");

/* SCSI status (SAM-5 5.3) that the library gives by itself */
enum { STATUS_CHECK_CONDITION = 0x02, STATUS_TASK_SET_FULL = 0x28 };

/* AHS types (11.2.2.1) */
enum { AHS_EXT_CDB = 1, AHS_BIDI_READ = 2 };

/* Login stages (11.12.3) */
enum login_stage { STAGE_SECURITY = 0, STAGE_OPERATIONAL = 1, STAGE_FULL = 3 };

/* Logout reasons (11.14.1) */
enum { LOGOUT_SESSION = 0, LOGOUT_CONNECTION = 1, LOGOUT_RECOVERY = 2 };

/* SNACK types (11.16.1) */
enum { SNACK_DATA = 0, SNACK_STATUS = 1, SNACK_DATA_ACK = 2, SNACK_RDATA = 3 };

/** struct pdu - A received PDU; @data is NULL while (or if) the data segment is not in memory of its own */
struct pdu {
	const uint8_t *bhs;
	const uint8_t *ahs;
	const uint8_t *data;
	uint32_t ahs_len;
	uint32_t dsl;
};

static inline uint8_t pdu_opcode(const uint8_t *bhs) { return bhs[O_OPCODE] & OP_MASK; }
static inline bool pdu_immediate(const uint8_t *bhs) { return bhs[O_OPCODE] & PDU_IMMEDIATE; }
static inline bool pdu_final(const uint8_t *bhs) { return bhs[O_FLAGS] & PDU_FINAL; }
static inline bool pdu_continue(const uint8_t *bhs) { return bhs[O_FLAGS] & PDU_CONTINUE; }
static inline uint32_t pdu_ahs_len(const uint8_t *bhs) { return bhs[O_AHS_LEN] * 4u; }
static inline uint32_t pdu_dsl(const uint8_t *bhs) { return get_be24(bhs + O_DSL); }
static inline uint32_t pdu_itt(const uint8_t *bhs) { return get_be32(bhs + O_ITT); }
static inline uint32_t pdu_ttt(const uint8_t *bhs) { return get_be32(bhs + O_TTT); }
static inline uint32_t pdu_cmdsn(const uint8_t *bhs) { return get_be32(bhs + O_CMDSN); }

/** pdu_pad() - Bytes that fill a segment of @n bytes up to a multiple of 4 (11.1) */
static inline uint32_t pdu_pad(uint32_t n) { return -n & 3; }

/** sn_in() - Serial number arithmetic (RFC 1982): is @lo <= @sn <= @hi? */
static inline bool sn_in(uint32_t sn, uint32_t lo, uint32_t hi) { return sn - lo < hi + 1 - lo; }
/** sn_before() - @a < @b */
static inline bool sn_before(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }

#endif
