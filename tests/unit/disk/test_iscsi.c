/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_iscsi.c - a LUN of an array as a disk: joining a key, losing it, losing the array
 *
 * The array is a real one (tests/unit/node/array.h), and so is the one who takes its LUN away.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <iscsi/iscsi.h>

#include "tests/unit/disk/bench.h"
#include "tests/unit/node/array.h"

#define MIB (1u << 20)

static struct array array;
static char url[160];

static int up(void **state)
{
	(void)state;
	array_make(&array, 1);
	array_url(&array, 0, url);
	return 0;
}

static int down(void **state)
{
	(void)state;
	array_unmake(&array);
	return 0;
}

static const struct disk_spec spec = {
	.kind = DISK_ISCSI, .path = url, .initiator = "iqn.2026-11.io.lunward:unit:node1", .isid = { 0x80, 1, 2, 3, 0, 0x40 },
};

/* I/Os larger than one command, at the ends of the LUN; what is beyond is refused here. */
static void test_bytes(void **state)
{
	static const struct { uint64_t at; uint32_t len; } cases[] = {
		{ 0, 512 }, { 512, 4096 }, { 4096, DISK_IO_MAX }, { 16 * MIB - 512, 512 }, { 3 * MIB + 512, MIB + 512 },
	};
	uint8_t *out = bench_buffer(DISK_IO_MAX), *in = bench_buffer(DISK_IO_MAX);
	struct bench b;

	(void)state;
	for (size_t i = 0; i < DISK_IO_MAX; i++)
		out[i] = (uint8_t)(i * 11 + i / 512);
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	assert_int_equal(b.disk->geo.blocks, 16 * MIB / 512);
	assert_int_equal(b.disk->geo.block_size, 512);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(in, 0, cases[i].len);
		assert_int_equal(bench_io(&b, DISK_WRITE, cases[i].at, out, cases[i].len, i & 1), DISK_OK);
		assert_int_equal(bench_io(&b, DISK_READ, cases[i].at, in, cases[i].len, false), DISK_OK);
		assert_memory_equal(in, out, cases[i].len);
	}
	assert_int_equal(bench_io(&b, DISK_FLUSH, 0, NULL, 0, false), DISK_OK);
	assert_int_equal(bench_io(&b, DISK_READ, 16 * MIB, in, 512, false), DISK_RANGE);
	bench_close(&b);
	free(out);
	free(in);
}

/* A thin LUN of the array: storage goes back, zeroes move no data, and the array tells where data is. */
static void test_space(void **state)
{
	uint8_t *buf = bench_buffer(MIB);
	struct disk_io io;
	struct bench b;

	(void)state;
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	assert_int_equal(b.disk->geo.unmap_granularity, 4096);
	assert_true(b.disk->geo.unmap_zeroes && b.disk->geo.zeroes && b.disk->geo.map);
	assert_int_equal(bench_extent(&b, DISK_UNMAP, 0, 16 * MIB, false).status, DISK_OK);
	memset(buf, 'x', MIB);
	assert_int_equal(bench_io(&b, DISK_WRITE, MIB, buf, MIB, false), DISK_OK);
	io = bench_extent(&b, DISK_MAP, 0, 512, false);
	assert_true(io.status == DISK_OK && !io.mapped && io.extent == MIB);
	io = bench_extent(&b, DISK_MAP, MIB + 4096, 512, false);
	assert_true(io.status == DISK_OK && io.mapped && io.extent == MIB - 4096);
	assert_int_equal(bench_extent(&b, DISK_ZERO, MIB, 65536, false).status, DISK_OK);
	assert_int_equal(bench_extent(&b, DISK_ZERO, MIB, 65536, true).status, DISK_OK);
	assert_false(bench_extent(&b, DISK_MAP, MIB, 512, false).mapped);
	assert_int_equal(bench_io(&b, DISK_READ, MIB, buf, 131072, false), DISK_OK);
	for (size_t i = 0; i < 131072; i++)
		assert_int_equal(buf[i], i < 65536 ? 0 : 'x');
	assert_int_equal(bench_extent(&b, DISK_UNMAP, 16 * MIB, 512, false).status, DISK_RANGE);
	bench_look(&b);
	assert_int_equal(b.n_resized, 0);
	bench_close(&b);
	free(buf);
}

static void test_wrong_url(void **state)
{
	struct disk_spec wrong = spec;
	struct bench b;

	(void)state;
	wrong.path = "iscsi://127.0.0.1";
	assert_true(bench_open(&b, &wrong, 0));
	assert_int_equal(bench_start(&b, 0), DISK_NOT_READY);
	assert_non_null(strstr(b.text, "not of the form"));
	bench_close(&b);
}

/* A key that nobody holds the LUN with must not be served under: the holder is gone, or was never there. */
static void test_join_without_holder(void **state)
{
	struct bench b;

	(void)state;
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, array_key(1, 1)), DISK_FENCED);
	assert_int_equal(b.disk->state, DISK_STANDBY);
	assert_int_equal(array_fence(&array, 1, FENCE_OP_READ, array_key(1, 1), 0), FENCE_OK);
	assert_int_equal(array.outcome.view.n_keys, 0);  /* it has taken its registration back */
	bench_close(&b);
}

/* The holder's key moves to another node: the next I/O, whatever it is, ends all. */
static void test_fenced(void **state)
{
	uint64_t ours = array_key(1, 1), theirs = array_key(2, 2);
	uint8_t *buf = bench_buffer(4096);
	struct bench b, second;

	(void)state;
	assert_int_equal(array_fence(&array, 1, FENCE_OP_TAKE, ours, 0), FENCE_OK);
	assert_true(bench_open(&b, &spec, 0));
	assert_true(bench_open(&second, &spec, 1));  /* another reactor: another nexus */
	assert_int_equal(bench_start(&b, ours), DISK_OK);
	assert_int_equal(bench_start(&second, ours), DISK_OK);
	assert_int_equal(bench_io(&b, DISK_WRITE, 0, buf, 4096, false), DISK_OK);
	assert_int_equal(array_fence(&array, 2, FENCE_OP_TAKE, theirs, ours), FENCE_OK);
	assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 4096, false), DISK_FENCED);
	assert_true(b.fenced);
	assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 4096, false), DISK_FENCED);
	assert_int_equal(bench_io(&second, DISK_WRITE, 0, buf, 4096, false), DISK_FENCED);
	assert_true(second.fenced);
	assert_int_equal(bench_stop(&b), DISK_OK);
	assert_int_equal(bench_start(&b, ours), DISK_FENCED);  /* and it cannot come back under that key */
	bench_close(&b);
	bench_close(&second);
	free(buf);
}

/* The disk has joined under @old; the array has been told @new, and the disk not yet. */
static void start_then_bump(struct bench *b, uint64_t old, uint64_t new)
{
	assert_int_equal(array_fence(&array, 1, FENCE_OP_TAKE, old, 0), FENCE_OK);
	assert_true(bench_open(b, &spec, 0));
	assert_int_equal(bench_start(b, old), DISK_OK);
	assert_int_equal(array_fence(&array, 1, FENCE_OP_BUMP, new, old), FENCE_OK);
}

/* A bump: clusterd moves the holder's key, then the data nexuses follow; no I/O fails. */
static void test_rekey(void **state)
{
	uint64_t old = array_key(1, 1), new = array_key(1, 2);
	uint8_t *buf = bench_buffer(4096);
	struct bench b;

	(void)state;
	start_then_bump(&b, old, new);
	assert_int_equal(bench_io(&b, DISK_WRITE, 0, buf, 4096, false), DISK_OK);
	assert_int_equal(bench_rekey(&b, old, new), DISK_OK);
	assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 4096, false), DISK_OK);
	assert_false(b.fenced);
	assert_int_equal(array_fence(&array, 1, FENCE_OP_READ, new, 0), FENCE_OK);
	for (unsigned i = 0; i < array.outcome.view.n_keys; i++)
		assert_int_equal(array.outcome.view.keys[i], new);
	assert_int_equal(bench_rekey(&b, array_key(1, 9), array_key(1, 10)), DISK_FENCED);  /* not what it has */
	assert_true(b.fenced);
	bench_close(&b);
	free(buf);
}

/* LOGICAL UNIT RESET by another initiator */
static void reset_lun(void)
{
	struct iscsi_context *ctx = iscsi_create_context("iqn.2026-11.org.example:other");
	struct iscsi_url *u = iscsi_parse_full_url(ctx, url);

	assert_non_null(u);
	assert_int_equal(iscsi_set_targetname(ctx, u->target), 0);
	assert_int_equal(iscsi_set_session_type(ctx, ISCSI_SESSION_NORMAL), 0);
	assert_int_equal(iscsi_full_connect_sync(ctx, u->portal, u->lun), 0);
	assert_int_equal(iscsi_task_mgmt_lun_reset_sync(ctx, (uint32_t)u->lun), 0);
	iscsi_destroy_url(u);
	iscsi_destroy_context(ctx);
}

/* An I/O meets a unit attention after which the key is to be joined again, while a bump is under way: it is done after both. */
static void test_unit_attention_in_a_bump(void **state)
{
	uint64_t old = array_key(1, 1), new = array_key(1, 2);
	uint8_t *buf = bench_buffer(4096);
	struct disk_io io = { 0 };
	struct iovec iov;
	struct bench b;

	(void)state;
	start_then_bump(&b, old, new);
	reset_lun();
	bench_submit(&b, &io, &iov, DISK_READ, 0, buf, 4096);
	assert_int_equal(bench_rekey(&b, old, new), DISK_OK);
	for (uint64_t end = ring_clock_us() + 30000000; !bench_is_done(&io); bench_turn(&b))
		assert_true(ring_clock_us() < end);
	assert_int_equal(io.status, DISK_OK);
	assert_false(b.fenced);
	bench_close(&b);
	free(buf);
}

/* The session is lost in the middle of a bump: the holder is our own node, later; it waits to be told the new key. */
static void test_session_lost_in_a_bump(void **state)
{
	uint64_t old = array_key(1, 1), new = array_key(1, 2);
	uint8_t *buf = bench_buffer(4096);
	struct disk_io io = { 0 };
	struct iovec iov;
	struct bench b;

	(void)state;
	start_then_bump(&b, old, new);
	array_kill(&array);
	bench_submit(&b, &io, &iov, DISK_READ, 0, buf, 4096);
	array_start(&array);
	while (!b.n_logs)
		bench_turn(&b);
	for (uint64_t end = ring_clock_us() + 500000; ring_clock_us() < end && !bench_is_done(&io);)
		assert_true(ring_turn(&b.ring, 10000) >= 0);
	assert_false(bench_is_done(&io));  /* neither fenced nor served */
	assert_int_equal(bench_rekey(&b, old, new), DISK_OK);
	while (!bench_is_done(&io))
		bench_turn(&b);
	assert_int_equal(io.status, DISK_OK);
	assert_false(b.fenced);
	bench_close(&b);
	free(buf);
}

#define FLIGHT 16

/* The array dies with I/Os in flight and comes back: they are done, each once told, under the key that was verified again. */
static void test_array_dies_and_comes_back(void **state)
{
	uint8_t *out = bench_buffer(FLIGHT * 4096), *in = bench_buffer(FLIGHT * 4096);
	struct disk_io io[FLIGHT] = { 0 };
	struct iovec iov[FLIGHT];
	struct bench b;

	(void)state;
	for (size_t i = 0; i < FLIGHT * 4096; i++)
		out[i] = (uint8_t)(i / 4096 + 1);
	assert_int_equal(array_fence(&array, 1, FENCE_OP_TAKE, array_key(1, 1), 0), FENCE_OK);
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, array_key(1, 1)), DISK_OK);
	array_signal(&array, SIGSTOP);
	for (size_t i = 0; i < FLIGHT; i++)
		bench_submit(&b, &io[i], &iov[i], DISK_WRITE, i * 4096, out + i * 4096, 4096);
	assert_true(ring_turn(&b.ring, 10000) >= 0);
	array_kill(&array);
	array_start(&array);
	for (size_t i = 0; i < FLIGHT; i++) {
		while (!bench_is_done(&io[i]))
			bench_turn(&b);
		assert_int_equal(io[i].status, DISK_OK);
	}
	assert_int_equal(bench_io(&b, DISK_READ, 0, in, FLIGHT * 4096, false), DISK_OK);
	assert_memory_equal(in, out, FLIGHT * 4096);
	bench_close(&b);
	free(out);
	free(in);
}

/* It comes back without its reservations: whoever holds the LUN now, it is not us by proof. */
static void test_array_forgets(void **state)
{
	uint8_t *buf = bench_buffer(4096);
	struct bench b;

	(void)state;
	assert_int_equal(array_fence(&array, 1, FENCE_OP_TAKE, array_key(1, 1), 0), FENCE_OK);
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, array_key(1, 1)), DISK_OK);
	array_kill(&array);
	array_forget(&array);
	array_start(&array);
	assert_int_equal(bench_io(&b, DISK_WRITE, 0, buf, 4096, false), DISK_FENCED);
	assert_true(b.fenced);
	bench_close(&b);
	free(buf);
}

/* Somebody else took the LUN while the array was away from us. */
static void test_taken_while_away(void **state)
{
	uint8_t *buf = bench_buffer(4096);
	struct disk_io io = { 0 };
	struct iovec iov;
	struct bench b;

	(void)state;
	assert_int_equal(array_fence(&array, 1, FENCE_OP_TAKE, array_key(1, 1), 0), FENCE_OK);
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, array_key(1, 1)), DISK_OK);
	array_kill(&array);
	bench_submit(&b, &io, &iov, DISK_WRITE, 0, buf, 4096);
	array_start(&array);
	assert_int_equal(array_fence(&array, 2, FENCE_OP_TAKE, array_key(2, 2), array_key(1, 1)), FENCE_OK);
	while (!bench_is_done(&io))
		bench_turn(&b);
	assert_int_equal(io.status, DISK_FENCED);
	assert_true(b.fenced);
	bench_close(&b);
	free(buf);
}

/* A stop does not wait for an array that does not answer. */
static void test_stop_while_the_array_hangs(void **state)
{
	uint8_t *buf = bench_buffer(4096);
	struct disk_io io = { 0 };
	struct iovec iov;
	struct bench b;

	(void)state;
	assert_true(bench_open(&b, &spec, 0));
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	array_signal(&array, SIGSTOP);
	bench_submit(&b, &io, &iov, DISK_WRITE, 0, buf, 4096);
	assert_true(ring_turn(&b.ring, 10000) >= 0);
	assert_int_equal(bench_stop(&b), DISK_OK);
	assert_true(bench_is_done(&io));
	assert_int_equal(io.status, DISK_ABORTED);
	array_signal(&array, SIGCONT);
	assert_int_equal(bench_start(&b, 0), DISK_OK);
	assert_int_equal(bench_io(&b, DISK_READ, 0, buf, 4096, false), DISK_OK);
	bench_close(&b);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes, up, down),
		cmocka_unit_test_setup_teardown(test_space, up, down),
		cmocka_unit_test_setup_teardown(test_wrong_url, up, down),
		cmocka_unit_test_setup_teardown(test_join_without_holder, up, down),
		cmocka_unit_test_setup_teardown(test_fenced, up, down),
		cmocka_unit_test_setup_teardown(test_rekey, up, down),
		cmocka_unit_test_setup_teardown(test_unit_attention_in_a_bump, up, down),
		cmocka_unit_test_setup_teardown(test_session_lost_in_a_bump, up, down),
		cmocka_unit_test_setup_teardown(test_array_dies_and_comes_back, up, down),
		cmocka_unit_test_setup_teardown(test_array_forgets, up, down),
		cmocka_unit_test_setup_teardown(test_taken_while_away, up, down),
		cmocka_unit_test_setup_teardown(test_stop_while_the_array_hangs, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
