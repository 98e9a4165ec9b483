/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cdb.c - the command table: what is not here does not exist
 *
 * Sorted by operation code, then service action. Decoding, the check of reserved bits, reservation conflicts and
 * REPORT SUPPORTED OPERATION CODES all come from these rows, so they cannot disagree. In usage, the service action
 * bits of byte 1 hold the service action itself (SPC-4 6.35.3). RDPROTECT, WRPROTECT and VRPROTECT are zero: there is
 * no protection information. GROUP NUMBER, FUA_NV and SYNC_NV are accepted and ignored (SBC-3 5.x, SBC-2).
 */
#include "node/scsi/internal.h"

#define LBA4 0xff, 0xff, 0xff, 0xff
#define LBA8 LBA4, LBA4
#define LEN2 0xff, 0xff
#define LEN4 0xff, 0xff, 0xff, 0xff

const struct sc_cmd sc_cmd_table[] = {
	{ "TEST UNIT READY", 0x00, SC_NO_SA, 6, SC_RC_PR_FREE, .usage = { 0x00 } },
	{ "REQUEST SENSE", 0x03, SC_NO_SA, 6, SC_RC_FREE, SC_F_NO_LU | SC_F_NO_UA | SC_F_ALUA, 0, 4, 1,
	  { 0x03, 0x01, 0, 0, 0xff, 0 }, sc_start_request_sense, sc_in_request_sense, NULL },
	{ "READ(6)", 0x08, SC_NO_SA, 6, SC_RC_READ, 0, SC_OP_READ,
	  .usage = { 0x08, 0x1f, 0xff, 0xff, 0xff, 0 }, .start = sc_start_rw },
	{ "WRITE(6)", 0x0a, SC_NO_SA, 6, SC_RC_WRITE, SC_F_WRITES, SC_OP_WRITE,
	  .usage = { 0x0a, 0x1f, 0xff, 0xff, 0xff, 0 }, .start = sc_start_rw },
	{ "INQUIRY", 0x12, SC_NO_SA, 6, SC_RC_FREE, SC_F_NO_LU | SC_F_NO_UA | SC_F_ALUA, 0, 3, 2,
	  { 0x12, 0x01, 0xff, LEN2, 0 }, sc_start_inquiry, sc_in_inquiry, NULL },
	{ "MODE SELECT(6)", 0x15, SC_NO_SA, 6, SC_RC_WRITE, 0, 0, 4, 1,
	  { 0x15, 0x11, 0, 0, 0xff, 0 }, sc_start_mode_select, NULL, sc_param_mode_select },
	{ "RESERVE(6)", 0x16, SC_NO_SA, 6, SC_RC_SELF, .usage = { 0x16 }, .start = sc_start_spc2 },
	{ "RELEASE(6)", 0x17, SC_NO_SA, 6, SC_RC_SELF, .usage = { 0x17 }, .start = sc_start_spc2 },
	{ "MODE SENSE(6)", 0x1a, SC_NO_SA, 6, SC_RC_READ, 0, 0, 4, 1,
	  { 0x1a, 0x08, 0xff, 0xff, 0xff, 0 }, sc_start_mode_sense, sc_in_mode_sense, NULL },
	{ "START STOP UNIT", 0x1b, SC_NO_SA, 6, SC_RC_START,
	  .usage = { 0x1b, 0x01, 0, 0, 0x05, 0 }, .start = sc_start_stop },
	{ "RECEIVE DIAGNOSTIC RESULTS", 0x1c, SC_NO_SA, 6, SC_RC_READ, 0, 0, 3, 2,
	  { 0x1c, 0x01, 0xff, LEN2, 0 }, sc_start_receive_diagnostic, sc_in_receive_diagnostic, NULL },
	{ "SEND DIAGNOSTIC", 0x1d, SC_NO_SA, 6, SC_RC_WRITE, 0, 0, 3, 2,
	  { 0x1d, 0x14, 0, LEN2, 0 }, sc_start_send_diagnostic, NULL, sc_param_send_diagnostic },
	{ "PREVENT ALLOW MEDIUM REMOVAL", 0x1e, SC_NO_SA, 6, SC_RC_PREVENT,
	  .usage = { 0x1e, 0, 0, 0, 0x01, 0 }, .start = sc_start_prevent },
	{ "READ CAPACITY(10)", 0x25, SC_NO_SA, 10, SC_RC_FREE, .usage = { 0x25 }, .data_in = sc_in_capacity10 },
	{ "READ(10)", 0x28, SC_NO_SA, 10, SC_RC_READ, 0, SC_OP_READ,
	  .usage = { 0x28, 0x1a, LBA4, 0x1f, LEN2, 0 }, .start = sc_start_rw },
	{ "WRITE(10)", 0x2a, SC_NO_SA, 10, SC_RC_WRITE, SC_F_WRITES, SC_OP_WRITE,
	  .usage = { 0x2a, 0x1a, LBA4, 0x1f, LEN2, 0 }, .start = sc_start_rw },
	{ "WRITE AND VERIFY(10)", 0x2e, SC_NO_SA, 10, SC_RC_WRITE, SC_F_WRITES, SC_OP_WRITE_VERIFY,
	  .usage = { 0x2e, 0x12, LBA4, 0x1f, LEN2, 0 }, .start = sc_start_rw },
	{ "VERIFY(10)", 0x2f, SC_NO_SA, 10, SC_RC_READ, 0, SC_OP_VERIFY,
	  .usage = { 0x2f, 0x16, LBA4, 0x1f, LEN2, 0 }, .start = sc_start_verify },
	{ "PRE-FETCH(10)", 0x34, SC_NO_SA, 10, SC_RC_READ, 0, SC_OP_VERIFY,
	  .usage = { 0x34, 0x02, LBA4, 0x1f, LEN2, 0 }, .start = sc_start_prefetch },
	{ "SYNCHRONIZE CACHE(10)", 0x35, SC_NO_SA, 10, SC_RC_WRITE, 0, SC_OP_FLUSH,
	  .usage = { 0x35, 0x06, LBA4, 0x1f, LEN2, 0 }, .start = sc_start_flush },
	{ "WRITE BUFFER", 0x3b, SC_NO_SA, 10, SC_RC_WRITE, 0, 0, 6, 3,
	  { 0x3b, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 }, sc_start_write_buffer, NULL, sc_param_write_buffer },
	{ "READ BUFFER(10)", 0x3c, SC_NO_SA, 10, SC_RC_READ, 0, 0, 6, 3,
	  { 0x3c, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 }, sc_start_read_buffer, sc_in_read_buffer, NULL },
	{ "WRITE SAME(10)", 0x41, SC_NO_SA, 10, SC_RC_WRITE, SC_F_WRITES | SC_F_WS, SC_OP_WRITE_SAME,
	  .usage = { 0x41, 0x08, LBA4, 0x1f, LEN2, 0 }, .start = sc_start_write_same },
	{ "UNMAP", 0x42, SC_NO_SA, 10, SC_RC_WRITE, SC_F_WRITES | SC_F_THIN, SC_OP_UNMAP, 7, 2,
	  { 0x42, 0, 0, 0, 0, 0, 0x1f, LEN2, 0 }, sc_start_unmap, NULL, sc_param_unmap },
	{ "LOG SENSE", 0x4d, SC_NO_SA, 10, SC_RC_FREE, 0, 0, 7, 2,
	  { 0x4d, 0, 0xff, 0xff, 0, LEN2, LEN2, 0 }, sc_start_log_sense, sc_in_log_sense, NULL },
	{ "MODE SELECT(10)", 0x55, SC_NO_SA, 10, SC_RC_WRITE, 0, 0, 7, 2,
	  { 0x55, 0x11, 0, 0, 0, 0, 0, LEN2, 0 }, sc_start_mode_select, NULL, sc_param_mode_select },
	{ "RESERVE(10)", 0x56, SC_NO_SA, 10, SC_RC_SELF, .usage = { 0x56 }, .start = sc_start_spc2 },
	{ "RELEASE(10)", 0x57, SC_NO_SA, 10, SC_RC_SELF, .usage = { 0x57 }, .start = sc_start_spc2 },
	{ "MODE SENSE(10)", 0x5a, SC_NO_SA, 10, SC_RC_READ, 0, 0, 7, 2,
	  { 0x5a, 0x18, 0xff, 0xff, 0, 0, 0, LEN2, 0 }, sc_start_mode_sense, sc_in_mode_sense, NULL },
#define PR_IN(sa, text, handler) \
	{ "PERSISTENT RESERVE IN (" text ")", 0x5e, sa, 10, SC_RC_PR, SC_F_ALUA, 0, 7, 2, \
	  { 0x5e, sa, 0, 0, 0, 0, 0, LEN2, 0 }, NULL, handler, NULL }
	PR_IN(0, "READ KEYS", sc_in_read_keys),
	PR_IN(1, "READ RESERVATION", sc_in_read_reservation),
	PR_IN(2, "REPORT CAPABILITIES", sc_in_report_caps),
	PR_IN(3, "READ FULL STATUS", sc_in_full_status),
#define PR_OUT(sa, text) \
	{ "PERSISTENT RESERVE OUT (" text ")", 0x5f, sa, 10, SC_RC_SELF, SC_F_ALUA, 0, 5, 4, \
	  { 0x5f, sa, 0xff, 0, 0, LEN4, 0 }, sc_start_pr_out, NULL, sc_param_pr_out }
	PR_OUT(SC_PR_REGISTER, "REGISTER"),
	PR_OUT(SC_PR_RESERVE, "RESERVE"),
	PR_OUT(SC_PR_RELEASE, "RELEASE"),
	PR_OUT(SC_PR_CLEAR, "CLEAR"),
	PR_OUT(SC_PR_PREEMPT, "PREEMPT"),
	PR_OUT(SC_PR_PREEMPT_ABORT, "PREEMPT AND ABORT"),
	PR_OUT(SC_PR_REGISTER_IGNORE, "REGISTER AND IGNORE EXISTING KEY"),
	PR_OUT(SC_PR_REGISTER_MOVE, "REGISTER AND MOVE"),
	PR_OUT(SC_PR_REPLACE_LOST, "REPLACE LOST RESERVATION"),
	{ "EXTENDED COPY(LID1)", 0x83, 0x00, 16, SC_RC_WRITE, 0, 0, 10, 4,
	  { 0x83, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, LEN4, 0, 0 }, sc_start_copy, NULL, sc_param_copy },
#define COPY_RESULTS(sa, text, start, handler) \
	{ "RECEIVE COPY " text, 0x84, sa, 16, SC_RC_PR_FREE, 0, 0, 10, 4, \
	  { 0x84, sa, 0xff, 0, 0, 0, 0, 0, 0, 0, LEN4, 0, 0 }, start, handler, NULL }
	COPY_RESULTS(SC_COPY_STATUS, "STATUS(LID1)", sc_start_copy_results, sc_in_copy_status),
	COPY_RESULTS(0x01, "DATA(LID1)", sc_start_copy_results, sc_in_copy_data),
	COPY_RESULTS(0x03, "OPERATING PARAMETERS", NULL, sc_in_copy_parameters),
	COPY_RESULTS(0x04, "FAILURE DETAILS(LID1)", sc_start_copy_results, sc_in_failed_segment),
	{ "READ(16)", 0x88, SC_NO_SA, 16, SC_RC_READ, 0, SC_OP_READ,
	  .usage = { 0x88, 0x1a, LBA8, LEN4, 0x1f, 0 }, .start = sc_start_rw },
	{ "COMPARE AND WRITE", 0x89, SC_NO_SA, 16, SC_RC_WRITE, SC_F_WRITES | SC_F_CAW, SC_OP_COMPARE_WRITE,
	  .usage = { 0x89, 0x1a, LBA8, 0, 0, 0, 0xff, 0x1f, 0 }, .start = sc_start_compare_write },
	{ "WRITE(16)", 0x8a, SC_NO_SA, 16, SC_RC_WRITE, SC_F_WRITES, SC_OP_WRITE,
	  .usage = { 0x8a, 0x1a, LBA8, LEN4, 0x1f, 0 }, .start = sc_start_rw },
	{ "ORWRITE(16)", 0x8b, SC_NO_SA, 16, SC_RC_WRITE, SC_F_WRITES | SC_F_CAW, SC_OP_OR_WRITE,
	  .usage = { 0x8b, 0x1a, LBA8, LEN4, 0x1f, 0 }, .start = sc_start_rw },
	{ "WRITE AND VERIFY(16)", 0x8e, SC_NO_SA, 16, SC_RC_WRITE, SC_F_WRITES, SC_OP_WRITE_VERIFY,
	  .usage = { 0x8e, 0x12, LBA8, LEN4, 0x1f, 0 }, .start = sc_start_rw },
	{ "VERIFY(16)", 0x8f, SC_NO_SA, 16, SC_RC_READ, 0, SC_OP_VERIFY,
	  .usage = { 0x8f, 0x16, LBA8, LEN4, 0x1f, 0 }, .start = sc_start_verify },
	{ "PRE-FETCH(16)", 0x90, SC_NO_SA, 16, SC_RC_READ, 0, SC_OP_VERIFY,
	  .usage = { 0x90, 0x02, LBA8, LEN4, 0x1f, 0 }, .start = sc_start_prefetch },
	{ "SYNCHRONIZE CACHE(16)", 0x91, SC_NO_SA, 16, SC_RC_WRITE, 0, SC_OP_FLUSH,
	  .usage = { 0x91, 0x06, LBA8, LEN4, 0x1f, 0 }, .start = sc_start_flush },
	{ "WRITE SAME(16)", 0x93, SC_NO_SA, 16, SC_RC_WRITE, SC_F_WRITES | SC_F_WS, SC_OP_WRITE_SAME,
	  .usage = { 0x93, 0x09, LBA8, LEN4, 0x1f, 0 }, .start = sc_start_write_same },
	{ "WRITE ATOMIC(16)", 0x9c, SC_NO_SA, 16, SC_RC_WRITE, SC_F_WRITES | SC_F_ATOMIC, SC_OP_WRITE_ATOMIC,
	  .usage = { 0x9c, 0x18, LBA8, 0, 0, LEN2, 0x1f, 0 }, .start = sc_start_write_atomic },
	{ "READ CAPACITY(16)", 0x9e, 0x10, 16, SC_RC_FREE, 0, 0, 10, 4,
	  { 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, LEN4, 0, 0 }, NULL, sc_in_capacity16, NULL },
	{ "GET LBA STATUS", 0x9e, 0x12, 16, SC_RC_READ, 0, SC_OP_LBA_STATUS, 10, 4,
	  { 0x9e, 0x12, LBA8, LEN4, 0, 0 }, sc_start_lba_status, NULL, NULL },
	{ "REPORT LUNS", 0xa0, SC_NO_SA, 12, SC_RC_FREE, SC_F_NO_LU | SC_F_NO_UA | SC_F_ALUA, 0, 6, 4,
	  { 0xa0, 0, 0xff, 0, 0, 0, LEN4, 0, 0 }, sc_start_report_luns, sc_in_report_luns, NULL },
	{ "REPORT IDENTIFYING INFORMATION", 0xa3, 0x05, 12, SC_RC_FREE, 0, 0, 6, 4,
	  { 0xa3, 0x05, 0, 0, 0, 0, LEN4, 0xfe, 0 }, sc_start_report_info, sc_in_report_info, NULL },
	{ "REPORT TARGET PORT GROUPS", 0xa3, 0x0a, 12, SC_RC_FREE, SC_F_ALUA, 0, 6, 4,
	  { 0xa3, 0xea, 0, 0, 0, 0, LEN4, 0, 0 }, sc_start_port_groups, sc_in_port_groups, NULL },
	{ "REPORT SUPPORTED OPERATION CODES", 0xa3, 0x0c, 12, SC_RC_READ, 0, 0, 6, 4,
	  { 0xa3, 0x0c, 0x87, 0xff, 0xff, 0xff, LEN4, 0, 0 }, sc_start_opcodes, sc_in_opcodes, NULL },
	{ "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", 0xa3, 0x0d, 12, SC_RC_READ, 0, 0, 6, 4,
	  { 0xa3, 0x0d, 0x80, 0, 0, 0, LEN4, 0, 0 }, NULL, sc_in_tmfs, NULL },
	{ "REPORT TIMESTAMP", 0xa3, 0x0f, 12, SC_RC_FREE, 0, 0, 6, 4,
	  { 0xa3, 0x0f, 0, 0, 0, 0, LEN4, 0, 0 }, sc_start_clock, sc_in_timestamp, NULL },
	{ "SET IDENTIFYING INFORMATION", 0xa4, 0x06, 12, SC_RC_WRITE, 0, 0, 6, 4,
	  { 0xa4, 0x06, 0, 0, 0, 0, LEN4, 0xfe, 0 }, sc_start_set_info, NULL, sc_param_set_info },
	{ "SET TIMESTAMP", 0xa4, 0x0f, 12, SC_RC_WRITE, 0, 0, 6, 4,
	  { 0xa4, 0x0f, 0, 0, 0, 0, LEN4, 0, 0 }, sc_start_clock, NULL, sc_param_timestamp },
	{ "READ(12)", 0xa8, SC_NO_SA, 12, SC_RC_READ, 0, SC_OP_READ,
	  .usage = { 0xa8, 0x1a, LBA4, LEN4, 0x1f, 0 }, .start = sc_start_rw },
	{ "WRITE(12)", 0xaa, SC_NO_SA, 12, SC_RC_WRITE, SC_F_WRITES, SC_OP_WRITE,
	  .usage = { 0xaa, 0x1a, LBA4, LEN4, 0x1f, 0 }, .start = sc_start_rw },
	{ "WRITE AND VERIFY(12)", 0xae, SC_NO_SA, 12, SC_RC_WRITE, SC_F_WRITES, SC_OP_WRITE_VERIFY,
	  .usage = { 0xae, 0x12, LBA4, LEN4, 0x1f, 0 }, .start = sc_start_rw },
	{ "VERIFY(12)", 0xaf, SC_NO_SA, 12, SC_RC_READ, 0, SC_OP_VERIFY,
	  .usage = { 0xaf, 0x16, LBA4, LEN4, 0x1f, 0 }, .start = sc_start_verify },
};
const unsigned sc_cmd_count = ARRAY_SIZE(sc_cmd_table);

/* Index of the first row with an operation code not below @opcode */
static unsigned first_row(uint8_t opcode)
{
	unsigned lo = 0, hi = sc_cmd_count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (sc_cmd_table[mid].opcode < opcode)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct sc_cmd *sc_cmd_find(uint8_t opcode, unsigned sa, bool *opcode_known)
{
	unsigned i = first_row(opcode);

	*opcode_known = i < sc_cmd_count && sc_cmd_table[i].opcode == opcode;
	for (; i < sc_cmd_count && sc_cmd_table[i].opcode == opcode; i++)
		if (sc_cmd_table[i].sa == SC_NO_SA || sc_cmd_table[i].sa == (int)sa)
			return &sc_cmd_table[i];
	return NULL;
}

bool sc_cmd_there(const struct sc_cmd *cmd, const struct sc_lu *lu)
{
	if (!lu)
		return !(cmd->flags & (SC_F_WS | SC_F_THIN | SC_F_CAW | SC_F_ATOMIC));
	return !((cmd->flags & SC_F_WS && !lu->write_same_max) || (cmd->flags & SC_F_THIN && !lu->unmap_max) ||
		 (cmd->flags & SC_F_CAW && !lu->caw_max) || (cmd->flags & SC_F_ATOMIC && !lu->atomic_max));
}

bool sc_cmd_bad_bit(const struct sc_cmd *cmd, const uint8_t *cdb, uint16_t *byte, uint8_t *bit)
{
	for (unsigned i = 1; i < cmd->len; i++) {
		unsigned bad = (unsigned)cdb[i] & ~(unsigned)cmd->usage[i];

		if (!bad)
			continue;
		*byte = (uint16_t)i;
		for (*bit = 7; !(bad >> *bit); (*bit)--)
			;
		return true;
	}
	return false;
}

const char *sc_cmd_name(const uint8_t cdb[SC_CDB_MAX])
{
	bool known;
	const struct sc_cmd *cmd = sc_cmd_find(cdb[0], cdb[1] & 0x1f, &known);

	return cmd ? cmd->name : "?";
}
