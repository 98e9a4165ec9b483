/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_prcmd.c - PERSISTENT RESERVE IN and OUT on the wire, and what the end of a command means
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "fencing/prcmd.h"
#include "node/util/util.h"

static struct fence_result res;
static const struct fence_cmd read_keys = { .op = FENCE_CMD_READ_KEYS };
static const struct fence_cmd read_reservation = { .op = FENCE_CMD_READ_RESERVATION };

/* SPC-4 6.16, tables 199 and 202 */
static void out_is_encoded(void **state)
{
	static const struct fence_cmd cmd = {
		.op = FENCE_CMD_PREEMPT_AND_ABORT, .key = 0x0102030405060708, .sakey = 0x1112131415161718, .type = 6,
	};
	static const uint8_t want_cdb[] = { 0x5f, 0x05, 0x06, 0, 0, 0, 0, 0, 24, 0 };
	static const uint8_t want_out[] = { 1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18 };
	uint8_t cdb[FENCE_CDB_LEN], out[FENCE_OUT_LEN];

	(void)state;
	assert_int_equal(fence_cmd_encode(&cmd, cdb, out), 24);
	assert_memory_equal(cdb, want_cdb, sizeof(cdb));
	assert_memory_equal(out, want_out, sizeof(want_out));
	for (size_t i = 16; i < sizeof(out); i++)
		assert_int_equal(out[i], 0);
	assert_int_equal(fence_cmd_in_len(&cmd), 0);
}

/* SPC-4 6.16.3: APTPL is bit 0 of byte 20 */
static void aptpl_is_encoded(void **state)
{
	static const struct fence_cmd cmd = { .op = FENCE_CMD_REGISTER, .sakey = 1, .aptpl = true };
	uint8_t cdb[FENCE_CDB_LEN], out[FENCE_OUT_LEN];

	(void)state;
	assert_int_equal(fence_cmd_encode(&cmd, cdb, out), 24);
	assert_int_equal(out[20], 0x01);
	assert_int_equal(cdb[1], 0);
}

/* SPC-4 6.15, table 186 */
static void in_is_encoded(void **state)
{
	static const uint8_t sa[] = { 0, 1, 2, 3 };
	uint8_t cdb[FENCE_CDB_LEN], out[FENCE_OUT_LEN];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sa); i++) {
		struct fence_cmd cmd = { .op = FENCE_CMD_READ_KEYS + i };

		assert_int_equal(fence_cmd_encode(&cmd, cdb, out), 0);
		assert_int_equal(cdb[0], 0x5e);
		assert_int_equal(cdb[1], sa[i]);
		assert_int_equal(cdb[7] << 8 | cdb[8], fence_cmd_in_len(&cmd));
		assert_true(fence_cmd_in_len(&cmd) >= 8 && fence_cmd_in_len(&cmd) <= FENCE_IN_MAX);
	}
}

static void unknown_command_is_not_encoded(void **state)
{
	struct fence_cmd cmd = { .op = FENCE_CMD_NONE };
	uint8_t cdb[FENCE_CDB_LEN], out[FENCE_OUT_LEN];

	(void)state;
	assert_int_equal(fence_cmd_encode(&cmd, cdb, out), -EINVAL);
	cmd.op = FENCE_CMD__MAX;
	assert_int_equal(fence_cmd_encode(&cmd, cdb, out), -EINVAL);
}

static void every_command_survives_both_ways(void **state)
{
	uint8_t cdb[FENCE_CDB_LEN], out[FENCE_OUT_LEN];

	(void)state;
	for (unsigned int op = FENCE_CMD_READ_KEYS; op < FENCE_CMD__MAX; op++) {
		struct fence_cmd cmd = { .op = op }, back = { 0 };
		int n;

		if (fence_cmd_is_out(op))
			cmd = (struct fence_cmd){ .op = op, .key = 1, .sakey = ~0ull, .type = 5, .aptpl = op & 1 };
		n = fence_cmd_encode(&cmd, cdb, out);
		assert_int_equal(fence_cmd_decode(&back, cdb, sizeof(cdb), out, (size_t)n), 0);
		assert_int_equal(back.op, cmd.op);
		assert_int_equal(back.key, cmd.key);
		assert_int_equal(back.sakey, cmd.sakey);
		assert_int_equal(back.type, cmd.type);
		assert_int_equal(back.aptpl, cmd.aptpl);
	}
}

static void malformed_command_is_not_decoded(void **state)
{
	uint8_t cdb[FENCE_CDB_LEN] = { 0x5f, 0x04, 0x06, 0, 0, 0, 0, 0, 24, 0 }, out[FENCE_OUT_LEN] = { 0 };
	struct fence_cmd cmd = { .op = FENCE_CMD__MAX };

	(void)state;
	assert_int_equal(fence_cmd_decode(&cmd, cdb, 9, out, 24), -EINVAL);
	assert_int_equal(fence_cmd_decode(&cmd, cdb, 10, out, 23), -EINVAL);
	cdb[2] = 0x16;  /* scope */
	assert_int_equal(fence_cmd_decode(&cmd, cdb, 10, out, 24), -EINVAL);
	cdb[2] = 0x06;
	cdb[1] = 0x07;  /* REGISTER AND MOVE */
	assert_int_equal(fence_cmd_decode(&cmd, cdb, 10, out, 24), -EINVAL);
	cdb[0] = 0x28;
	assert_int_equal(fence_cmd_decode(&cmd, cdb, 10, out, 24), -EINVAL);
	assert_int_equal(cmd.op, FENCE_CMD__MAX);
}

/* SPC-4 6.15.2 */
static void keys_are_parsed(void **state)
{
	static const uint8_t data[] = { 0, 0, 1, 2, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0x4c, 0x57, 0, 7, 2, 0, 0, 9 };

	(void)state;
	fence_result_scsi(&res, &read_keys, 0, data, sizeof(data), NULL, 0);
	assert_int_equal(res.status, FENCE_ST_GOOD);
	assert_int_equal(res.generation, 0x102);
	assert_int_equal(res.n_keys, 2);
	assert_int_equal(res.keys[0], 1);
	assert_int_equal(res.keys[1], 0x4c57000702000009);
	assert_false(res.truncated);
	assert_string_equal(res.text, "");
}

/* ADDITIONAL LENGTH is of the whole list, whatever was transferred. */
static void more_keys_than_transferred_are_truncated(void **state)
{
	static const uint8_t data[] = { 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0 };

	(void)state;
	fence_result_scsi(&res, &read_keys, 0, data, sizeof(data), NULL, 0);
	assert_int_equal(res.status, FENCE_ST_GOOD);
	assert_int_equal(res.n_keys, 1);
	assert_true(res.truncated);
}

static void more_keys_than_fit_are_truncated(void **state)
{
	static uint8_t data[8 + 8 * (FENCE_KEYS_MAX + 1)];
	const size_t n = FENCE_KEYS_MAX + 1;

	(void)state;
	data[6] = (uint8_t)(n * 8 >> 8);
	data[7] = (uint8_t)(n * 8);
	fence_result_scsi(&res, &read_keys, 0, data, sizeof(data), NULL, 0);
	assert_int_equal(res.n_keys, FENCE_KEYS_MAX);
	assert_true(res.truncated);
}

/* SPC-4 6.15.3, with and without a descriptor */
static void reservation_is_parsed(void **state)
{
	static const uint8_t held[] = { 0, 0, 0, 3, 0, 0, 0, 16, 0x4c, 0x57, 0, 7, 2, 0, 0, 9, 0, 0, 0, 0, 0, 0x06, 0, 0 };

	(void)state;
	fence_result_scsi(&res, &read_reservation, 0, held, sizeof(held), NULL, 0);
	assert_int_equal(res.status, FENCE_ST_GOOD);
	assert_int_equal(res.holder, 0x4c57000702000009);
	assert_int_equal(res.type, 6);
	fence_result_scsi(&res, &read_reservation, 0, "\0\0\0\4\0\0\0\0", 8, NULL, 0);
	assert_int_equal(res.status, FENCE_ST_GOOD);
	assert_int_equal(res.holder, 0);
	assert_int_equal(res.type, 0);
	assert_int_equal(res.generation, 4);
}

static void short_data_is_a_failure(void **state)
{
	static const uint8_t held[] = { 0, 0, 0, 3, 0, 0, 0, 16, 0x4c, 0x57, 0, 7, 2, 0, 0, 9, 0, 0, 0, 0, 0 };

	(void)state;
	fence_result_scsi(&res, &read_keys, 0, held, 7, NULL, 0);
	assert_int_equal(res.status, FENCE_ST_FAILED);
	fence_result_scsi(&res, &read_reservation, 0, held, sizeof(held), NULL, 0);
	assert_int_equal(res.status, FENCE_ST_FAILED);
	assert_non_null(strstr(res.text, "malformed"));
	fence_result_scsi(&res, &(struct fence_cmd){ .op = FENCE_CMD_REPORT_CAPABILITIES }, 0, held, 3, NULL, 0);
	assert_int_equal(res.status, FENCE_ST_FAILED);
}

/* SPC-4 6.15.4, table 194: the bits of the type mask in the order of type numbers */
static void capabilities_are_parsed(void **state)
{
	static const uint8_t data[] = { 0, 8, 0x1d, 0x91, 0xea, 0x01, 0, 0 };

	(void)state;
	fence_result_scsi(&res, &(struct fence_cmd){ .op = FENCE_CMD_REPORT_CAPABILITIES }, 0, data, 8, NULL, 0);
	assert_int_equal(res.status, FENCE_ST_GOOD);
	assert_true(res.caps.crh && res.caps.sip_c && res.caps.atp_c && res.caps.ptpl_c && res.caps.tmv && res.caps.ptpl_a);
	assert_int_equal(res.caps.allow_commands, 1);
	assert_int_equal(res.caps.types, 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8);
}

/* SPC-4 6.15.5 and 7.6.4.6 (iSCSI TransportID) */
static void full_status_survives_both_ways(void **state)
{
	static struct fence_full out[2] = {
		{ .key = 5, .holder = true, .type = 6, .rtpi = 3, .initiator = "iqn.2026-11.io.lunward:a,i,0x8000deadbeef" },
		{ .key = 6, .all_tg_pt = true, .rtpi = 1, .initiator = "iqn.x" },
	};
	static struct fence_full in[FENCE_FULL_MAX];
	static struct fence_result dev = { .op = FENCE_CMD_READ_FULL_STATUS, .generation = 9, .n_full = 2, .full = out };
	uint8_t buf[512];
	size_t n = fence_result_encode(&dev, buf, sizeof(buf));

	(void)state;
	res.full = in;
	fence_result_scsi(&res, &(struct fence_cmd){ .op = FENCE_CMD_READ_FULL_STATUS }, 0, buf, n, NULL, 0);
	assert_int_equal(res.status, FENCE_ST_GOOD);
	assert_int_equal(res.generation, 9);
	assert_int_equal(res.n_full, 2);
	assert_false(res.truncated);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(in[i].key, out[i].key);
		assert_int_equal(in[i].holder, out[i].holder);
		assert_int_equal(in[i].all_tg_pt, out[i].all_tg_pt);
		assert_int_equal(in[i].type, out[i].type);
		assert_int_equal(in[i].rtpi, out[i].rtpi);
		assert_string_equal(in[i].initiator, out[i].initiator);
	}
	fence_result_scsi(&res, &(struct fence_cmd){ .op = FENCE_CMD_READ_FULL_STATUS }, 0, buf, n - 4, NULL, 0);
	assert_int_equal(res.n_full, 1);
	assert_true(res.truncated);
	res.full = NULL;
}

/* SAM-5 table 43; SPC-4 4.5: fixed and descriptor format */
static void statuses_and_sense_are_classified(void **state)
{
	static const struct { uint8_t status, key, asc, ascq; enum fence_status want; } t[] = {
		{ 0x00, 0, 0, 0, FENCE_ST_GOOD },
		{ 0x18, 0, 0, 0, FENCE_ST_CONFLICT },
		{ 0x08, 0, 0, 0, FENCE_ST_BUSY },
		{ 0x28, 0, 0, 0, FENCE_ST_BUSY },
		{ 0x30, 0, 0, 0, FENCE_ST_BUSY },
		{ 0x40, 0, 0, 0, FENCE_ST_LOST },
		{ 0x04, 0, 0, 0, FENCE_ST_FAILED },
		{ 0x02, 6, 0x2a, 0x03, FENCE_ST_UA_PR },
		{ 0x02, 6, 0x2a, 0x04, FENCE_ST_UA_PR },
		{ 0x02, 6, 0x2a, 0x05, FENCE_ST_UA_PR },
		{ 0x02, 6, 0x29, 0x00, FENCE_ST_UA_RESET },
		{ 0x02, 6, 0x29, 0x07, FENCE_ST_UA_RESET },
		{ 0x02, 6, 0x2a, 0x09, FENCE_ST_UA_OTHER },
		{ 0x02, 6, 0x3f, 0x0e, FENCE_ST_UA_OTHER },
		{ 0x02, 5, 0x20, 0x00, FENCE_ST_UNSUPPORTED },
		{ 0x02, 5, 0x24, 0x00, FENCE_ST_UNSUPPORTED },
		{ 0x02, 5, 0x25, 0x00, FENCE_ST_FAILED },
		{ 0x02, 5, 0x26, 0x00, FENCE_ST_BAD_PARAM },
		{ 0x02, 5, 0x26, 0x04, FENCE_ST_BAD_PARAM },
		{ 0x02, 5, 0x55, 0x04, FENCE_ST_NO_ROOM },
		{ 0x02, 2, 0x04, 0x01, FENCE_ST_BUSY },
		{ 0x02, 2, 0x04, 0x0a, FENCE_ST_BUSY },
		{ 0x02, 2, 0x04, 0x0b, FENCE_ST_FAILED },
		{ 0x02, 3, 0x11, 0x00, FENCE_ST_FAILED },
		{ 0x02, 4, 0x44, 0x00, FENCE_ST_FAILED },
		{ 0x02, 0xb, 0x00, 0x00, FENCE_ST_LOST },
		{ 0x02, 0x1, 0x17, 0x00, FENCE_ST_GOOD },
	};
	static const struct fence_cmd cmd = { .op = FENCE_CMD_PREEMPT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint8_t fixed[18] = { [0] = 0xf0, [2] = t[i].key, [7] = 10, [12] = t[i].asc, [13] = t[i].ascq };
		uint8_t desc[8] = { 0x72, t[i].key, t[i].asc, t[i].ascq };

		fence_result_scsi(&res, &cmd, t[i].status, NULL, 0, fixed, sizeof(fixed));
		assert_int_equal(res.status, t[i].want);
		assert_int_equal(res.scsi_status, t[i].status);
		assert_int_equal(res.text[0] == '\0', res.status == FENCE_ST_GOOD);
		if (t[i].status == 0x02)
			assert_int_equal(res.asc, t[i].asc);
		fence_result_scsi(&res, &cmd, t[i].status, NULL, 0, desc, sizeof(desc));
		assert_int_equal(res.status, t[i].want);
	}
}

/* SPC-4 4.5.7: a deferred error is of another command, and this one was not done */
static void deferred_error_means_not_done(void **state)
{
	static const uint8_t sense[18] = { 0x71, 0, 0x3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x0c, 0 };

	(void)state;
	fence_result_scsi(&res, &read_keys, 0x02, NULL, 0, sense, sizeof(sense));
	assert_int_equal(res.status, FENCE_ST_UA_OTHER);
	assert_true(fence_status_no_effect(res.status));
}

static void check_condition_without_sense_is_a_failure(void **state)
{
	(void)state;
	fence_result_scsi(&res, &read_keys, 0x02, NULL, 0, NULL, 0);
	assert_int_equal(res.status, FENCE_ST_FAILED);
	fence_result_scsi(&res, &read_keys, 0x02, NULL, 0, "\x72\x06", 2);
	assert_int_equal(res.status, FENCE_ST_FAILED);
}

static void transport_errors(void **state)
{
	(void)state;
	fence_result_lost(&res, &read_keys, "connection reset");
	assert_int_equal(res.status, FENCE_ST_LOST);
	assert_false(fence_status_no_effect(res.status));
	assert_string_equal(res.text, "READ KEYS: no answer: connection reset");
	fence_result_unsent(&res, &read_keys, "no route");
	assert_int_equal(res.status, FENCE_ST_UNSENT);
	assert_true(fence_status_no_effect(res.status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_is_encoded),
		cmocka_unit_test(aptpl_is_encoded),
		cmocka_unit_test(in_is_encoded),
		cmocka_unit_test(unknown_command_is_not_encoded),
		cmocka_unit_test(every_command_survives_both_ways),
		cmocka_unit_test(malformed_command_is_not_decoded),
		cmocka_unit_test(keys_are_parsed),
		cmocka_unit_test(more_keys_than_transferred_are_truncated),
		cmocka_unit_test(more_keys_than_fit_are_truncated),
		cmocka_unit_test(reservation_is_parsed),
		cmocka_unit_test(short_data_is_a_failure),
		cmocka_unit_test(capabilities_are_parsed),
		cmocka_unit_test(full_status_survives_both_ways),
		cmocka_unit_test(statuses_and_sense_are_classified),
		cmocka_unit_test(deferred_error_means_not_done),
		cmocka_unit_test(check_condition_without_sense_is_a_failure),
		cmocka_unit_test(transport_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
