/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sc.h - the device server (SPC-4, SBC-3) as a library: no I/O, no threads, no clock
 *
 * Life of a command on its reactor:
 *
 *	sc_op_start(&ctx, cdb, len, &op)          all checks, in the order of SAM-5; then look at op.kind:
 *	  SC_OP_DONE      op.status (and op.sense) is the answer
 *	  SC_OP_DATA_IN   n = sc_op_data_in(&ctx, &op, buf, op.in_len): buf[0..n) and GOOD are the answer
 *	  SC_OP_PARAM     receive op.out_len bytes, then sc_op_param(&ctx, &op, buf, got): kind becomes DONE, CONTROL, COPY
 *	                  or UNMAP
 *	  SC_OP_CONTROL   hand op to the control thread, which answers (see below)
 *	  SC_OP_COPY      copy segment by segment (copy.h)
 *	  SC_OP_READ …    do it on the disk, then sc_op_io_done(&ctx, &op, result, at)
 *
 * The control thread executes op.control: SC_CONTROL_PR with sc_pr_apply(&op.pr), SC_CONTROL_SETTINGS with
 * sc_settings_apply(&op.change), publishing what comes out to all reactors.
 *
 * struct sc_lu is a reactor's own copy. Reservation state and settings in it are replaced, never edited, when the
 * control thread publishes: sc_lu_set_pr().
 *
 * Context: pure; a ctx, op and itl are used by one thread at a time. No function here allocates, except in pr.h.
 */
#ifndef LUNWARD_SCSI_SC_H
#define LUNWARD_SCSI_SC_H

#include "node/scsi/copy.h"
#include "node/scsi/pr.h"
#include "node/scsi/sense.h"
#include "node/scsi/settings.h"
#include "node/scsi/ua.h"

#define SC_CDB_MAX     16
#define SC_NO_LUN      (-1)
#define SC_LUN_MAX     16383         /* largest in flat space addressing */
#define SC_IN_MAX      (96u * 1024)  /* no answer of SC_OP_DATA_IN is longer */
#define SC_PARAM_MAX   (64u * 1024)  /* no parameter list is longer */

/* ---- lun.c: 8-byte LUNs, SAM-5 4.7 ---- */

/** sc_lun_decode() - Peripheral (bus 0) or flat space addressing. Return: 0…16383, or SC_NO_LUN for any other form */
int sc_lun_decode(const uint8_t lun[8]);
/** sc_lun_encode() - Peripheral addressing up to 255, flat space above; @n must not exceed SC_LUN_MAX */
void sc_lun_encode(uint16_t n, uint8_t lun[8]);

/* ---- what is served ---- */

struct sc_tport {
	uint16_t rtpi;               /* relative target port identifier, from 1 */
	uint16_t tpgt;               /* iSCSI target portal group tag */
};

/** struct sc_target - The SCSI target device of an iSCSI target; immutable while commands run */
struct sc_target {
	const char *name;            /* iSCSI name */
	const struct sc_tport *ports;
	const uint16_t *luns;        /* ascending; for REPORT LUNS */
	uint16_t n_ports;
	uint16_t n_luns;
};

/* SPC-4 table 304 */
enum sc_alua {
	SC_ALUA_OPTIMIZED = 0x0,
	SC_ALUA_NON_OPTIMIZED = 0x1,
	SC_ALUA_STANDBY = 0x2,
	SC_ALUA_UNAVAILABLE = 0x3,
	SC_ALUA_TRANSITIONING = 0xf,
};

#define SC_LU_READONLY    1u         /* every write is refused with WRITE PROTECTED, WP is shown */
#define SC_LU_WRITE_CACHE 2u         /* WCE: written data may be volatile until a flush or FUA */
#define SC_LU_ROTATING    4u         /* VPD B1: otherwise non-rotating */
#define SC_LU_MODE_FIXED  8u         /* MODE SELECT may not change anything (nobody executes SC_CONTROL_SETTINGS) */
#define SC_LU_UNMAP_ZEROES 16u       /* LBPRZ: what was deallocated reads as zero */

/** struct sc_space - What is below a thin logical unit, as of the last look */
struct sc_space {
	bool known;
	bool own;                    /* nobody else takes from what is available */
	uint32_t sets[SC_THRESHOLDS];  /* threshold sets: used rounded up, available down */
};

struct sc_lu {
	uint8_t naa[16];             /* NAA identifier, identical on every node */
	uint8_t naa_len;             /* 8 or 16 */
	uint8_t eui[16];             /* EUI-64 based identifier, where one was configured */
	uint8_t eui_len;             /* 8, 12 or 16; 0: there is none */
	char serial[37];             /* unit serial number, ASCII */
	char product[17];            /* the same for all, unless configured: docs/architecture.md, "Identities" */
	char revision[5];
	uint32_t block_size;         /* bytes: 512 or 4096 */
	uint8_t phys_exp;            /* physical block = block_size << phys_exp */
	uint64_t blocks;             /* capacity, > 0 */
	uint32_t max_xfer;           /* blocks one READ, WRITE or VERIFY with data may move; > 0 */
	uint32_t opt_xfer;           /* blocks; 0: not reported */
	uint32_t opt_gran;           /* blocks; 0: not reported */
	uint32_t write_same_max;     /* blocks one WRITE SAME may write; 0: WRITE SAME is not supported */
	uint32_t unmap_max;          /* blocks one UNMAP may name; 0: fully provisioned, else thin */
	uint32_t unmap_descs;        /* block descriptors one UNMAP may have */
	uint32_t unmap_gran;         /* blocks that are allocated and deallocated as one; 0: not reported */
	uint32_t unmap_align;        /* the LBA where such a unit starts */
	uint8_t threshold_exp;       /* blocks are counted in sets of 2 ^ this, for thresholds; 0: there are none */
	uint8_t reached;             /* thresholds that are, by sc_thresholds_reached() */
	struct sc_space space;
	uint8_t caw_max;             /* blocks one COMPARE AND WRITE may compare; 0: it and ORWRITE are not supported */
	uint32_t atomic_max;         /* blocks one WRITE ATOMIC may write; 0: not supported */
	uint32_t atomic_gran;        /* its LBA and length are multiples of it; 0: any */
	uint16_t lowest_aligned;     /* the first LBA that starts a physical block */
	bool stopped;                /* by START STOP UNIT: the medium is not accessed */
	uint32_t flags;              /* SC_LU_* */
	enum sc_alua alua;
	struct sc_settings set;      /* shared by all nexuses */
	const struct sc_pr *pr;      /* borrowed snapshot; NULL: no reservations */
	uint64_t pr_seq;             /* sc_lu_set_pr() */
};
#define SC_VENDOR "LUNWARD "

/** sc_lu_set_pr() - Switch to another snapshot. Context: the reactor that owns @lu. The old one may then be freed. */
static inline void sc_lu_set_pr(struct sc_lu *lu, const struct sc_pr *pr)
{
	lu->pr = pr;
	lu->pr_seq++;
}

/** sc_lu_set_space() - @used, @available: bytes. Where there are thresholds */
void sc_lu_set_space(struct sc_lu *lu, uint64_t used, uint64_t available, bool own);
/** sc_thresholds_reached() - Return: a bit for each enum sc_resource. One that was not set before is a SC_UA_THIN_THRESHOLD */
unsigned sc_thresholds_reached(const struct sc_lu *lu);

/* What a nexus wrote last with WRITE BUFFER */
#define SC_ECHO_MAX 4096u
struct sc_echo {
	uint32_t len;
	uint8_t data[SC_ECHO_MAX];
};

/** struct sc_itl - What a session keeps for each logical unit; zero it, then add the first unit attention */
struct sc_itl {
	struct sc_ua ua;
	struct sc_echo *echo;        /* made for SC_ECHO, before sc_op_param(); freed with it */
	uint8_t role;                /* private: sc_pr_role() as of pr_seen - 1 */
	uint64_t pr_seen;
};

/** struct sc_ctx - Surroundings of a command; everything is borrowed */
struct sc_ctx {
	const struct sc_target *tgt;
	const struct sc_nexus *nexus;
	const struct sc_lu *lu;      /* NULL: no such logical unit */
	struct sc_itl *itl;          /* NULL exactly when lu is NULL */
	struct sc_copies *copies;    /* of the nexus; NULL: none yet */
	uint64_t now_ms;             /* since 1970, UTC; for SC_NOW only */
};

/* ---- commands ---- */

/**
 * enum sc_kind - What the reactor has to do with an operation
 *    SC_OP_DONE       answer with status and sense
 *    SC_OP_DATA_IN    sc_op_data_in()
 *    SC_OP_PARAM      collect out_len bytes of parameter list, then sc_op_param()
 *    SC_OP_CONTROL    the control thread's: op.control
 *    SC_OP_READ       lba, blocks; SC_FUA: from the medium (after a flush), SC_DPO: a hint. in_len bytes.
 *    SC_OP_WRITE      lba, blocks; SC_FUA: durable before the answer. out_len bytes.
 *    SC_OP_WRITE_SAME lba, blocks; out_len is one block, to be written to each; 0: zeroes. SC_DEALLOCATE: may be
 *                     deallocated instead if what is read then is the same
 *    SC_OP_VERIFY     lba, blocks: read and throw away; no data moves
 *    SC_OP_COMPARE    lba, blocks; out_len bytes to compare with the medium; differs: SC_IO_MISCOMPARE, at = byte offset.
 *                     SC_ONE_BLOCK: out_len is one block, to be compared with each
 *    SC_OP_WRITE_VERIFY lba, blocks; write, make durable, read back; SC_BYTCHK: and compare
 *    SC_OP_COPY       copy: what is to be copied (copy.h)
 *    SC_OP_FLUSH      lba, blocks: make durable (all of the disk will do). SC_IMMED: answer first. Then, if there is a
 *                     control, the control thread's
 *    SC_OP_UNMAP      deallocate the blocks that sc_unmap_next() names; lba, blocks: all of them are in there
 *    SC_OP_LBA_STATUS which blocks from lba on are allocated: sc_lba_status_add(); blocks: up to the end of the medium
 *  Nothing that overlaps lba, blocks may come between the parts of these (sc_op_exclusive()):
 *    SC_OP_COMPARE_WRITE  lba, blocks; the first half of the out_len bytes is compared with the medium (differs: as above),
 *                     the second written
 *    SC_OP_OR_WRITE   lba, blocks; the out_len bytes are ORed to what is there. SC_FUA
 *    SC_OP_WRITE_ATOMIC  as SC_OP_WRITE; all or nothing, whatever happens
 */
enum sc_kind {
	SC_OP_DONE,
	SC_OP_DATA_IN,
	SC_OP_PARAM,
	SC_OP_CONTROL,
	SC_OP_READ,
	SC_OP_WRITE,
	SC_OP_WRITE_SAME,
	SC_OP_VERIFY,
	SC_OP_COMPARE,
	SC_OP_WRITE_VERIFY,
	SC_OP_FLUSH,
	SC_OP_COPY,
	SC_OP_UNMAP,
	SC_OP_LBA_STATUS,
	SC_OP_COMPARE_WRITE,
	SC_OP_OR_WRITE,
	SC_OP_WRITE_ATOMIC,
};

/** sc_op_exclusive() - Must not be mixed with other commands on the same blocks */
static inline bool sc_op_exclusive(enum sc_kind kind) { return kind >= SC_OP_COMPARE_WRITE; }

enum sc_control { SC_CONTROL_NONE, SC_CONTROL_PR, SC_CONTROL_SETTINGS, SC_CONTROL_START };

#define SC_FUA    1u
#define SC_DPO    2u
#define SC_BYTCHK 4u
#define SC_IMMED  8u
#define SC_LUNS_REPORTED 16u  /* GOOD clears SC_UA_LUNS_CHANGED on all logical units of the session (sc_ua_del()) */
#define SC_DEALLOCATE 32u
#define SC_ONE_BLOCK  64u
/* Of an SC_OP_DATA_IN or SC_OP_PARAM, before sc_op_data_in() or sc_op_param(): */
#define SC_LOOK      128u     /* look at the space below (sc_lu_set_space()); later will do, for the next one to ask */
#define SC_NOW       256u     /* ctx.now_ms is needed */
#define SC_ECHO      512u     /* ctx.itl->echo is needed (NULL: there is no memory) */

struct sc_cmd;

struct sc_op {
	uint8_t kind;                /* enum sc_kind */
	uint8_t status;              /* enum sc_status; valid with SC_OP_DONE */
	uint8_t control;             /* enum sc_control; valid with SC_OP_CONTROL */
	uint16_t flags;              /* SC_FUA, … */
	uint8_t cdb[SC_CDB_MAX];
	uint32_t in_len;             /* most bytes this command may send to the initiator */
	uint32_t out_len;            /* bytes it needs from the initiator */
	uint64_t lba, blocks;
	const struct sc_cmd *cmd;    /* private: row of the command table */
	struct sc_sense sense;
	struct sc_pr_cmd pr;         /* SC_CONTROL_PR */
	struct sc_change change;     /* SC_CONTROL_SETTINGS */
	struct sc_copy copy;         /* SC_OP_COPY */
	bool stop;                   /* SC_CONTROL_START: sc_lu.stopped of all reactors becomes this */
};

/**
 * sc_op_start() - Decode a CDB and make every check that comes before execution
 * @len: bytes of @cdb (iSCSI: 16)
 *
 * In this order (SAM-5 5.3.3, 5.14; SPC-4 5.13.1): logical unit exists, unit attention (which is thereby reported and
 * cleared), reservation conflict, ALUA state, operation code, fields, LBA range, write protection.
 * A command whose data-out is shorter or longer than op->out_len is the transport's to report.
 */
void sc_op_start(const struct sc_ctx *ctx, const uint8_t *cdb, size_t len, struct sc_op *op);

/**
 * sc_op_data_out() - The initiator is going to send @bytes; of a started operation, before anything else is done for it
 *
 * Where the data is more than a run of blocks (WRITE SAME, COMPARE AND WRITE), another amount than the CDB means is refused:
 * blocks that were meant otherwise would be overwritten.
 */
void sc_op_data_out(struct sc_op *op, uint32_t bytes);

/**
 * sc_op_data_in() - The answer of an SC_OP_DATA_IN
 * @cap: room in @buf; op->in_len suffices, less clips the answer
 *
 * Return: bytes in @buf; op->kind is SC_OP_DONE afterwards (GOOD).
 */
uint32_t sc_op_data_in(const struct sc_ctx *ctx, struct sc_op *op, uint8_t *buf, uint32_t cap);

/**
 * sc_op_param() - Take the parameter list of an SC_OP_PARAM (MODE SELECT, PERSISTENT RESERVE OUT, …)
 * @len: bytes received; fewer than op->out_len is PARAMETER LIST LENGTH ERROR
 *
 * op->kind becomes SC_OP_DONE (the answer), SC_OP_CONTROL or SC_OP_COPY. op->pr.ids, op->change.info and op->copy.list may point into @data.
 */
void sc_op_param(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);

/**
 * sc_unmap_next() - The next block descriptor of an SC_OP_UNMAP's parameter list, as sc_op_param() has checked it
 * @at: 0 at first
 *
 * Return: false: there are no more. Descriptors of zero blocks are left out.
 */
bool sc_unmap_next(const uint8_t *list, unsigned *at, uint64_t *ret_lba, uint32_t *ret_blocks);

#define SC_LBA_STATUS_MIN 24u        /* bytes of the shortest answer */
/**
 * sc_lba_status_add() - Append blocks of one status to the answer of an SC_OP_LBA_STATUS
 * @buf: at least SC_LBA_STATUS_MIN and op->in_len bytes; zeroed before the first call
 * @blocks: clipped to what a descriptor can say; the same status as before extends the last one
 *
 * op->lba and op->blocks move on by what was taken.
 * Return: false: the answer is complete, its length is sc_lba_status_len().
 */
bool sc_lba_status_add(struct sc_op *op, uint8_t *buf, uint64_t blocks, bool mapped);
uint32_t sc_lba_status_len(const struct sc_op *op, const uint8_t *buf);

/* How a disk may fail; the disk library's errors are mapped to these by the reactor. */
enum sc_io {
	SC_IO_OK,
	SC_IO_MEDIUM,        /* the medium failed at @at (bytes from the start of the operation) */
	SC_IO_MISCOMPARE,    /* at = byte offset of the first difference */
	SC_IO_NOT_READY,     /* the disk is not open (yet) */
	SC_IO_PROTECTED,     /* the disk turned out to be read-only */
	SC_IO_NO_SPACE,
	SC_IO_HARDWARE,      /* anything else */
	SC_IO_BUSY,          /* try again later: status BUSY */
	SC_IO_RANGE,         /* beyond the end: the disk has shrunk */
};

/** sc_op_io_done() - Status and sense of a finished READ, WRITE, …; op->kind becomes SC_OP_DONE */
void sc_op_io_done(const struct sc_ctx *ctx, struct sc_op *op, enum sc_io result, uint64_t at);

/** sc_op_fail() - End an operation with CHECK CONDITION and this sense (for errors the transport finds) */
void sc_op_fail(struct sc_op *op, struct sc_sense sense);

/** sc_op_sense() - Sense bytes in the format this logical unit is set to. Return: length, 0 unless CHECK CONDITION */
size_t sc_op_sense(const struct sc_ctx *ctx, const struct sc_op *op, uint8_t buf[SC_SENSE_MAX]);

/** sc_cmd_name() - For logs: "READ(10)", "PERSISTENT RESERVE OUT (REGISTER)"; "?" for what is not in the table */
const char *sc_cmd_name(const uint8_t cdb[SC_CDB_MAX]);

#endif
