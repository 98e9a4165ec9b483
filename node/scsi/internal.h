/* SPDX-License-Identifier: GPL-2.0-or-later */
/* internal.h - what the files of node/scsi share; a map in one page */
#ifndef LUNWARD_SCSI_INTERNAL_H
#define LUNWARD_SCSI_INTERNAL_H

#include <string.h>

#include "node/scsi/pr_mutants.h"
#include "node/scsi/sc.h"
#include "node/util/util.h"
#include "node/util/wire.h"

/* ---- out.c: answers are written once, in full, and clipped to the allocation length byte by byte ---- */

struct sc_out {
	uint8_t *buf;
	uint32_t cap;
	uint32_t len;  /* length of the whole answer so far, also beyond cap */
};

void sc_out_bytes(struct sc_out *o, const void *p, uint32_t n);
void sc_out_be(struct sc_out *o, uint64_t v, unsigned n);
void sc_out_zero(struct sc_out *o, uint32_t n);
void sc_out_ascii(struct sc_out *o, const char *s, uint32_t n);             /* left-aligned, padded with blanks */
void sc_out_patch(struct sc_out *o, uint32_t at, uint64_t v, unsigned n);   /* a length, once it is known */
static inline void sc_out_u8(struct sc_out *o, unsigned v) { sc_out_be(o, v, 1); }
static inline void sc_out_u16(struct sc_out *o, unsigned v) { sc_out_be(o, v, 2); }
static inline void sc_out_u32(struct sc_out *o, uint32_t v) { sc_out_be(o, v, 4); }
static inline void sc_out_u64(struct sc_out *o, uint64_t v) { sc_out_be(o, v, 8); }

/* ---- cdb.c: the command table ---- */

/* Reservation class: a row of the table in conflict.c */
enum sc_rc {
	SC_RC_FREE,     /* INQUIRY, REPORT LUNS, …: never in conflict */
	SC_RC_PR_FREE,  /* TEST UNIT READY, …: in conflict with an SPC-2 reservation only */
	SC_RC_READ,
	SC_RC_WRITE,
	SC_RC_PR,       /* PERSISTENT RESERVE IN: in conflict with any SPC-2 reservation, also one's own */
	SC_RC_SELF,     /* decided where it is executed, by sc_pr_apply() */
	SC_RC_START,    /* START STOP UNIT: depends on the CDB */
	SC_RC_PREVENT,  /* PREVENT ALLOW MEDIUM REMOVAL: depends on the CDB */
};

#define SC_F_NO_LU   1u   /* answered where there is no logical unit */
#define SC_F_NO_UA   2u   /* does not report unit attentions */
#define SC_F_ALUA    4u   /* executed in every asymmetric access state */
#define SC_F_WRITES  8u   /* refused on a write-protected logical unit */
#define SC_F_WS     16u   /* there only while lu->write_same_max > 0 */
#define SC_F_THIN   32u   /* … lu->unmap_max > 0 */
#define SC_F_CAW    64u   /* … lu->caw_max > 0 */
#define SC_F_ATOMIC 128u  /* … lu->atomic_max > 0 */

#define SC_NO_SA (-1)
#define SC_COPY_STATUS 0x00  /* service action of RECEIVE COPY RESULTS */

/**
 * struct sc_cmd - A row: one operation code, or one service action of it
 *  @usage: CDB USAGE DATA of REPORT SUPPORTED OPERATION CODES; a bit that is zero here must be zero in the CDB
 *  @alloc_at, @alloc_n: ALLOCATION LENGTH (rows with data_in) or PARAMETER LIST LENGTH (rows with param)
 *  @start: sets op->kind, or fails; NULL: nothing to check
 *  @data_in: writes the answer; must not change anything, for it is also run to learn the length
 *  @param: takes the parameter list
 */
struct sc_cmd {
	const char *name;
	uint8_t opcode;
	int8_t sa;
	uint8_t len;
	uint8_t rc;          /* enum sc_rc */
	uint8_t flags;       /* SC_F_* */
	uint8_t kind;        /* enum sc_kind: of block commands */
	uint8_t alloc_at, alloc_n;
	uint8_t usage[SC_CDB_MAX];
	void (*start)(const struct sc_ctx *ctx, struct sc_op *op);
	void (*data_in)(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
	void (*param)(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);
};

extern const struct sc_cmd sc_cmd_table[];
extern const unsigned sc_cmd_count;

/** sc_cmd_find() - Row of a CDB or NULL; *@opcode_known says whether only the service action is unknown */
const struct sc_cmd *sc_cmd_find(uint8_t opcode, unsigned sa, bool *opcode_known);
bool sc_cmd_there(const struct sc_cmd *cmd, const struct sc_lu *lu);
/** sc_cmd_bad_bit() - First bit of a CDB that must be zero and is not. Return: false when there is none */
bool sc_cmd_bad_bit(const struct sc_cmd *cmd, const uint8_t *cdb, uint16_t *byte, uint8_t *bit);

/* ---- op.c ---- */
void sc_op_good(struct sc_op *op);
void sc_op_status(struct sc_op *op, enum sc_status status);
void sc_op_bad_cdb(struct sc_op *op, uint16_t byte, uint8_t bit);     /* INVALID FIELD IN CDB */
void sc_op_bad_param(struct sc_op *op, uint16_t byte, uint8_t bit);   /* INVALID FIELD IN PARAMETER LIST */
struct sc_sense sc_ua_sense(const struct sc_lu *lu, uint16_t ua);
static inline void sc_op_asc(struct sc_op *op, enum sc_key key, uint16_t asc) { sc_op_fail(op, sc_sense_make(key, asc)); }
static inline bool sc_lu_protected(const struct sc_lu *lu) { return lu->flags & SC_LU_READONLY || lu->set.mode.swp; }

/* ---- conflict.c ---- */
/** sc_conflict() - Whether the reservations of ctx->lu keep this command out (SPC-4 5.13.1, SPC-2 5.5.1) */
bool sc_conflict(const struct sc_ctx *ctx, enum sc_rc rc, const uint8_t *cdb);
/** sc_lost_refuses() - Whether lost reservations keep this command out (SPC-4 5.13.5.3.2) */
bool sc_lost_refuses(const struct sc_lu *lu, const uint8_t *cdb);
static inline bool sc_pr_all_registrants(uint8_t type) { return type >= SC_PR_WRITE_EXCL_AR; }
static inline bool sc_pr_shared(uint8_t type) { return type >= SC_PR_WRITE_EXCL_RO; }  /* registrants share access */
bool sc_pr_type_ok(uint8_t type);

/* ---- handlers, by file ---- */
void sc_start_rw(const struct sc_ctx *ctx, struct sc_op *op);                                        /* rw.c */
void sc_start_verify(const struct sc_ctx *ctx, struct sc_op *op);
/** sc_op_extent() - op->lba and op->blocks from the CDB. Return: false: out of range, and op says so */
bool sc_op_extent(const struct sc_ctx *ctx, struct sc_op *op);
uint16_t sc_op_length_at(const struct sc_op *op);  /* byte of the length field: for the field pointer */
void sc_start_compare_write(const struct sc_ctx *ctx, struct sc_op *op);
void sc_start_write_atomic(const struct sc_ctx *ctx, struct sc_op *op);
void sc_start_write_same(const struct sc_ctx *ctx, struct sc_op *op);                                /* provision.c */
void sc_start_unmap(const struct sc_ctx *ctx, struct sc_op *op);
void sc_param_unmap(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);
void sc_start_lba_status(const struct sc_ctx *ctx, struct sc_op *op);
void sc_vpd_block_limits(const struct sc_ctx *ctx, struct sc_out *o);                                /* vpd_block.c */
void sc_vpd_characteristics(const struct sc_ctx *ctx, struct sc_out *o);
void sc_vpd_provisioning(const struct sc_ctx *ctx, struct sc_out *o);
void sc_start_flush(const struct sc_ctx *ctx, struct sc_op *op);
void sc_start_prefetch(const struct sc_ctx *ctx, struct sc_op *op);
void sc_start_stop(const struct sc_ctx *ctx, struct sc_op *op);                                      /* basic.c */
void sc_start_prevent(const struct sc_ctx *ctx, struct sc_op *op);
void sc_start_request_sense(const struct sc_ctx *ctx, struct sc_op *op);
void sc_start_report_luns(const struct sc_ctx *ctx, struct sc_op *op);
void sc_in_request_sense(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_report_luns(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_capacity10(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_capacity16(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_start_inquiry(const struct sc_ctx *ctx, struct sc_op *op);                                   /* inquiry.c */
void sc_in_inquiry(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
bool sc_vpd_known(const struct sc_lu *lu, uint8_t page);                                             /* vpd.c */
void sc_vpd(const struct sc_ctx *ctx, uint8_t page, struct sc_out *o);
void sc_vpd_lu_names(const struct sc_lu *lu, struct sc_out *o);                                      /* vpd_id.c */
void sc_vpd_identification(const struct sc_ctx *ctx, struct sc_out *o);
void sc_vpd_networks(const struct sc_ctx *ctx, struct sc_out *o);
void sc_vpd_ports(const struct sc_ctx *ctx, struct sc_out *o);
void sc_vpd_copy(const struct sc_ctx *ctx, struct sc_out *o);                                        /* copy_results.c */
void sc_start_copy_results(const struct sc_ctx *ctx, struct sc_op *op);
void sc_in_copy_status(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_copy_data(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_failed_segment(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_copy_parameters(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_start_copy(const struct sc_ctx *ctx, struct sc_op *op);                                      /* copy_param.c */
void sc_param_copy(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);
void sc_start_report_info(const struct sc_ctx *ctx, struct sc_op *op);                               /* settings.c */
void sc_in_report_info(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_start_set_info(const struct sc_ctx *ctx, struct sc_op *op);
void sc_start_clock(const struct sc_ctx *ctx, struct sc_op *op);                                     /* clock.c */
void sc_in_timestamp(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_param_timestamp(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);
void sc_start_write_buffer(const struct sc_ctx *ctx, struct sc_op *op);                              /* buffer.c */
void sc_start_read_buffer(const struct sc_ctx *ctx, struct sc_op *op);
void sc_in_read_buffer(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_param_write_buffer(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);
void sc_param_set_info(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);
void sc_start_log_sense(const struct sc_ctx *ctx, struct sc_op *op);                                 /* log.c */
void sc_in_log_sense(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_start_receive_diagnostic(const struct sc_ctx *ctx, struct sc_op *op);                        /* diag.c */
void sc_in_receive_diagnostic(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_start_send_diagnostic(const struct sc_ctx *ctx, struct sc_op *op);
void sc_param_send_diagnostic(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);
void sc_start_mode_sense(const struct sc_ctx *ctx, struct sc_op *op);                                /* mode_sense.c */
void sc_in_mode_sense(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_start_mode_select(const struct sc_ctx *ctx, struct sc_op *op);                               /* mode_select.c */
void sc_param_mode_select(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);
void sc_start_opcodes(const struct sc_ctx *ctx, struct sc_op *op);                                   /* opcodes.c */
void sc_in_opcodes(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_tmfs(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_start_port_groups(const struct sc_ctx *ctx, struct sc_op *op);                               /* alua.c */
void sc_in_port_groups(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_read_keys(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);            /* pr_in.c */
void sc_in_read_reservation(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_report_caps(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_in_full_status(const struct sc_ctx *ctx, const struct sc_op *op, struct sc_out *o);
void sc_start_pr_out(const struct sc_ctx *ctx, struct sc_op *op);                                    /* pr_param.c */
void sc_start_spc2(const struct sc_ctx *ctx, struct sc_op *op);
void sc_param_pr_out(const struct sc_ctx *ctx, struct sc_op *op, const uint8_t *data, uint32_t len);

/* ---- mode_pages.c: SPC-4 7.5, SBC-3 6.4 ---- */

enum sc_pc { SC_PC_CURRENT, SC_PC_CHANGEABLE, SC_PC_DEFAULT, SC_PC_SAVED };

struct sc_mode_page {
	uint8_t page, subpage;
	uint8_t size;            /* bytes with its header */
	uint8_t set;             /* SC_SET_* of its changeable values; 0: it has none, and PS is 0 */
	void (*fill)(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p);
	void (*take)(const uint8_t *p, struct sc_mode *m);  /* the changeable values into @m, zero before; NULL: none */
};
#define SC_MODE_PAGE_MAX 32
extern const struct sc_mode_page sc_mode_pages[];
extern const unsigned sc_mode_page_count;

/** sc_mode_page_there() - Whether this logical unit has it */
bool sc_mode_page_there(const struct sc_mode_page *pg, const struct sc_lu *lu);
/** sc_mode_values() - For a page control; defaults where that is not current or saved */
struct sc_mode sc_mode_values(const struct sc_lu *lu, enum sc_pc pc);
/** sc_mode_page_get() - All bytes of one page, header included, into @p (SC_MODE_PAGE_MAX bytes) */
void sc_mode_page_get(const struct sc_mode_page *pg, const struct sc_lu *lu, enum sc_pc pc, uint8_t *p);
/** sc_mode_page_read() - Take the changeable values out of a page an initiator sent */
void sc_mode_page_read(const struct sc_mode_page *pg, const uint8_t *p, struct sc_change *c);

/* ---- threshold.c ---- */
#define SC_MODE_THRESHOLDS_LEN 32
void sc_mode_thresholds(const struct sc_lu *lu, enum sc_pc pc, uint8_t *p);
void sc_mode_take_thresholds(const uint8_t *p, struct sc_mode *m);
void sc_log_provisioning(const struct sc_ctx *ctx, struct sc_out *o);
/** sc_threshold_sense() - Of SC_UA_THIN_THRESHOLD: INFORMATION is the place of the descriptor in its mode page */
struct sc_sense sc_threshold_sense(const struct sc_lu *lu);

/* ---- log.c ---- */
/** sc_log_parameter() - Begin a parameter. Return: for sc_log_end_parameter(), which fills in its length */
uint32_t sc_log_parameter(struct sc_out *o, uint16_t code);
void sc_log_end_parameter(struct sc_out *o, uint32_t at);

/* ---- pr_tid.c: TransportIDs of iSCSI initiator ports, SPC-4 7.6.4.6 ---- */

#define SC_TID_MIN 24u  /* bytes of the shortest */
/**
 * sc_tid_get() - The next TransportID from @r as a nexus through the target port @rtpi
 * @ret_any_port: it names an initiator without a port (FORMAT CODE 00b): the ISID in @n is zero and means nothing
 * Return: false when its form is wrong
 */
bool sc_tid_get(struct rd *r, uint16_t rtpi, struct sc_nexus *n, bool *ret_any_port);
void sc_tid_put(struct sc_out *o, const struct sc_nexus *n);

/* ---- pr_state.c ---- */
int sc_pr_find(const struct sc_pr *pr, const struct sc_nexus *who);  /* index of its registration, or -1 */
bool sc_pr_holds(const struct sc_pr *pr, unsigned i);                /* registration @i is a holder */

/* ---- pr_edit.c: the block under construction ---- */

struct sc_pr_edit {
	const struct sc_pr *old;        /* never NULL here */
	const struct sc_target *tgt;
	const struct sc_nexus *who;
	const struct sc_pr_cmd *cmd;
	int me;                         /* registration of @who in old, or -1 */
	bool nothing;                   /* GOOD, and PRGENERATION stays */
	struct sc_nexus move_to;
	struct sc_pr *pr;               /* a private copy of old with room for what the command may add */
	uint16_t room;
	struct sc_pr_fx *fx;
};

/* Each returns false after setting fx->status; then the handler returns at once. */
bool sc_pr_put_key(struct sc_pr_edit *e, const struct sc_nexus *n, uint64_t key);  /* register, or change its key */
bool sc_pr_effect(struct sc_pr_edit *e, const struct sc_nexus *n, uint16_t ua, bool abort);
bool sc_pr_effect_others(struct sc_pr_edit *e, const struct sc_pr *of, uint16_t ua);  /* every registrant but who */
void sc_pr_drop(struct sc_pr *pr, unsigned i);            /* remove a registration, keeping holder right */
void sc_pr_unreserve(struct sc_pr *pr);
void sc_pr_conflict(struct sc_pr_edit *e);                /* RESERVATION CONFLICT */
void sc_pr_fail(struct sc_pr_edit *e, struct sc_sense sense);

/* ---- pr_register.c, pr_spc2.c, pr_preempt.c: a handler each ---- */
#define SC_PR_IDS_AT 28u  /* where the list of TransportIDs begins in the parameter list of SPEC_I_PT */
void sc_pr_do_register(struct sc_pr_edit *e);
void sc_pr_do_register_ignore(struct sc_pr_edit *e);
void sc_pr_do_register_move(struct sc_pr_edit *e);
void sc_pr_do_replace_lost(struct sc_pr_edit *e);
void sc_pr_do_spc2_reserve(struct sc_pr_edit *e);
void sc_pr_do_spc2_release(struct sc_pr_edit *e);
void sc_pr_do_nexus_loss(struct sc_pr_edit *e);
void sc_pr_do_power_loss(struct sc_pr_edit *e);
void sc_pr_drop_spc2(struct sc_pr_edit *e);
void sc_pr_forget(struct sc_pr *pr);                      /* all registrations, and the reservation */
void sc_pr_do_preempt(struct sc_pr_edit *e);

#endif
