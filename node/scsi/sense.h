/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sense.h - SAM status codes and SPC-4 sense data
 *
 * A command ends with a status and, for CHECK CONDITION, a struct sc_sense; both are plain values until the
 * transport asks for bytes. Context: pure, any thread.
 */
#ifndef LUNWARD_SCSI_SENSE_H
#define LUNWARD_SCSI_SENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SAM-5 5.3.1 */
enum sc_status {
	SC_GOOD = 0x00,
	SC_CHECK_CONDITION = 0x02,
	SC_CONDITION_MET = 0x04,
	SC_BUSY = 0x08,
	SC_RESERVATION_CONFLICT = 0x18,
	SC_TASK_SET_FULL = 0x28,
	SC_TASK_ABORTED = 0x40,
};

/* SPC-4 4.5.6 */
enum sc_key {
	SC_KEY_NO_SENSE = 0x0,
	SC_KEY_NOT_READY = 0x2,
	SC_KEY_MEDIUM_ERROR = 0x3,
	SC_KEY_HARDWARE_ERROR = 0x4,
	SC_KEY_ILLEGAL_REQUEST = 0x5,
	SC_KEY_UNIT_ATTENTION = 0x6,
	SC_KEY_DATA_PROTECT = 0x7,
	SC_KEY_COPY_ABORTED = 0xa,
	SC_KEY_ABORTED_COMMAND = 0xb,
	SC_KEY_MISCOMPARE = 0xe,
};

/* Additional sense: ASC << 8 | ASCQ. Unit attentions have their own list in ua.h. */
#define SC_ASC_NONE                      0x0000
#define SC_ASC_OPERATION_IN_PROGRESS     0x0016
#define SC_ASC_BECOMING_READY            0x0401
#define SC_ASC_START_REQUIRED            0x0402  /* INITIALIZING COMMAND REQUIRED */
#define SC_ASC_ALUA_TRANSITION           0x040a
#define SC_ASC_ALUA_STANDBY              0x040b
#define SC_ASC_ALUA_UNAVAILABLE          0x040c
#define SC_ASC_WRITE_ERROR               0x0c00
#define SC_ASC_UNEXPECTED_UNSOLICITED    0x0c0c
#define SC_ASC_NOT_ENOUGH_UNSOLICITED    0x0c0d
#define SC_ASC_COPY_DEVICE_FAILURE       0x0d01  /* THIRD PARTY DEVICE FAILURE */
#define SC_ASC_COPY_NOT_REACHABLE        0x0d02  /* COPY TARGET DEVICE … */
#define SC_ASC_COPY_DEVICE_TYPE          0x0d03
#define SC_ASC_UNRECOVERED_READ          0x1100
#define SC_ASC_PARAM_LENGTH              0x1a00
#define SC_ASC_MISCOMPARE_VERIFY         0x1d00
#define SC_ASC_INVALID_OPCODE            0x2000
#define SC_ASC_LBA_RANGE                 0x2100
#define SC_ASC_INVALID_FIELD_CDB         0x2400
#define SC_ASC_NO_LUN                    0x2500
#define SC_ASC_INVALID_FIELD_PARAM       0x2600
#define SC_ASC_INVALID_RELEASE           0x2604
#define SC_ASC_TOO_MANY_CSCDS            0x2606  /* TOO MANY TARGET DESCRIPTORS */
#define SC_ASC_UNSUPPORTED_CSCD          0x2607
#define SC_ASC_TOO_MANY_SEGMENTS         0x2608
#define SC_ASC_UNSUPPORTED_SEGMENT       0x2609
#define SC_ASC_INEXACT_SEGMENT           0x260a
#define SC_ASC_INLINE_DATA_LENGTH        0x260b
#define SC_ASC_WRITE_PROTECTED           0x2700
#define SC_ASC_SOFT_WRITE_PROTECTED      0x2702
#define SC_ASC_SPACE_ALLOC_FAILED        0x2707
#define SC_ASC_COMMAND_SEQUENCE          0x2c00
#define SC_ASC_SAVING_PARAMS             0x3900
#define SC_ASC_INTERNAL_FAILURE          0x4400
#define SC_ASC_RESERVATIONS_LOST         0x4401  /* PERSISTENT RESERVATION INFORMATION LOST */
#define SC_ASC_DATA_CRC_ERROR            0x4705  /* PROTOCOL SERVICE CRC ERROR: a data digest was wrong */
#define SC_ASC_INSUFFICIENT_REGISTRATION 0x5504

/** struct sc_sense - Sense data before encoding; all zero means none (NO SENSE) */
struct sc_sense {
	uint8_t key;          /* enum sc_key */
	bool info_valid;
	bool csi_valid;
	bool field_valid;     /* sense-key specific FIELD POINTER, SPC-4 4.5.2.4.2 */
	bool in_cdb;          /* C/D: the field is in the CDB, not in the parameter list */
	uint8_t bit;          /* 0..7: BPV set; SC_NO_BIT: only the byte is meant */
	uint16_t asc;         /* SC_ASC_*, SC_UA_* */
	uint16_t field;       /* byte in error */
	uint32_t csi;         /* COMMAND-SPECIFIC INFORMATION: the segment that was not copied */
	uint64_t info;        /* INFORMATION: LBA, or offset of a miscompare */
};
#define SC_NO_BIT  0xff
#define SC_SENSE_MAX 40   /* largest encoding made here */

/**
 * sc_sense_encode() - Bytes of sense data, fixed (70h) or descriptor (72h) format; SPC-4 4.5.2, 4.5.3
 * @buf: SC_SENSE_MAX bytes
 *
 * An INFORMATION value beyond 32 bits does not fit fixed format: VALID stays zero there.
 * Return: length in bytes.
 */
size_t sc_sense_encode(const struct sc_sense *s, bool descriptor, uint8_t buf[SC_SENSE_MAX]);

/** sc_sense_make(), … - Values; sc_sense_cdb() and sc_sense_param() carry a field pointer */
struct sc_sense sc_sense_make(enum sc_key key, uint16_t asc);
struct sc_sense sc_sense_info(enum sc_key key, uint16_t asc, uint64_t info);
struct sc_sense sc_sense_cdb(uint16_t asc, uint16_t byte, uint8_t bit);
struct sc_sense sc_sense_param(uint16_t asc, uint16_t byte, uint8_t bit);

#endif
