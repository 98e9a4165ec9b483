/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sg.c - SG_IO: what is handed to the kernel, and what its three kinds of status mean; the kernel is a fake
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <scsi/sg.h>
#include <string.h>

#include "fencing/transport.h"
#include "node/util/util.h"
#include "tests/unit/fencing/lun_model.h"

static struct fence_transport *t;
static struct fence_result res;
static struct lun_model lun;
static const struct fence_cmd read_keys = { .op = FENCE_CMD_READ_KEYS };
static const struct fence_cmd preempt = {
	.op = FENCE_CMD_PREEMPT_AND_ABORT, .key = 0x4c57000702000006, .sakey = 0x4c57000701000005, .type = 6,
};

/* The fake kernel: it records what it was given and answers what it was told. */
static struct {
	int version, fail;  /* errno of SG_IO */
	sg_io_hdr_t seen, answer;
	uint8_t cdb[16], out[FENCE_OUT_LEN], sense[18], in[32];
	unsigned int calls;
	bool model;         /* let the model device answer */
} kernel;

static int model_answer(sg_io_hdr_t *io)
{
	struct fence_cmd cmd;

	assert_int_equal(fence_cmd_decode(&cmd, io->cmdp, io->cmd_len, io->dxferp, io->dxfer_len), 0);
	lun_exec(&lun, 0, &cmd, &res);
	io->status = res.scsi_status;
	if (!fence_cmd_is_out(cmd.op))
		io->resid = (int)(io->dxfer_len - fence_result_encode(&res, io->dxferp, io->dxfer_len));
	return 0;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	sg_io_hdr_t *io = arg;

	assert_true(fd >= 0);
	if (request == SG_GET_VERSION_NUM) {
		*(int *)arg = kernel.version;
		return 0;
	}
	assert_int_equal(request, SG_IO);
	kernel.calls++;
	kernel.seen = *io;
	memcpy(kernel.cdb, io->cmdp, io->cmd_len);
	if (io->dxfer_direction == SG_DXFER_TO_DEV)
		memcpy(kernel.out, io->dxferp, MIN((size_t)io->dxfer_len, sizeof(kernel.out)));
	if (kernel.fail) {
		errno = kernel.fail;
		return -1;
	}
	if (kernel.model)
		return model_answer(io);
	io->status = kernel.answer.status;
	io->host_status = kernel.answer.host_status;
	io->driver_status = kernel.answer.driver_status;
	io->sb_len_wr = kernel.answer.sb_len_wr;
	memcpy(io->sbp, kernel.sense, io->sb_len_wr);
	if (io->dxfer_direction == SG_DXFER_FROM_DEV) {
		memcpy(io->dxferp, kernel.in, sizeof(kernel.in));
		io->resid = (int)(io->dxfer_len - sizeof(kernel.in));
	}
	return 0;
}

static int setup(void **state)
{
	char err[FENCE_TEXT];

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.version = 30536;
	lun_init(&lun);
	t = fence_sg_open("/dev/null", fake_ioctl, err);
	return t ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	t->ops->close(t);
	return 0;
}

static enum fence_status run(const struct fence_cmd *cmd)
{
	struct fence_wait w = { .deadline_ms = fence_now_ms() + 60000, .cmd_timeout_ms = 4321, .wake_fd = -1 };

	fence_transport_pr(t, cmd, &res, &w);
	return res.status;
}

static void out_goes_to_the_kernel(void **state)
{
	static const uint8_t cdb[] = { 0x5f, 0x05, 0x06, 0, 0, 0, 0, 0, 24, 0 };

	(void)state;
	assert_int_equal(run(&preempt), FENCE_ST_GOOD);
	assert_int_equal(kernel.seen.interface_id, 'S');
	assert_int_equal(kernel.seen.dxfer_direction, SG_DXFER_TO_DEV);
	assert_int_equal(kernel.seen.dxfer_len, 24);
	assert_int_equal(kernel.seen.timeout, 4321);
	assert_int_equal(kernel.seen.cmd_len, 10);
	assert_memory_equal(kernel.cdb, cdb, sizeof(cdb));
	assert_memory_equal(kernel.out, "\x4c\x57\0\7\2\0\0\6\x4c\x57\0\7\1\0\0\5", 16);
}

static void in_comes_from_the_kernel(void **state)
{
	(void)state;
	memcpy(kernel.in, "\0\0\0\1\0\0\0\x18\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3", 32);
	assert_int_equal(run(&read_keys), FENCE_ST_GOOD);
	assert_int_equal(kernel.seen.dxfer_direction, SG_DXFER_FROM_DEV);
	assert_int_equal(res.n_keys, 3);
	assert_int_equal(res.keys[2], 3);
	assert_false(res.truncated);
}

/* The deadline of the operation cuts the timeout of the command. */
static void timeout_is_cut_by_the_deadline(void **state)
{
	struct fence_wait w = { .deadline_ms = fence_now_ms() + 1000, .cmd_timeout_ms = 4321, .wake_fd = -1 };

	(void)state;
	fence_transport_pr(t, &read_keys, &res, &w);
	assert_true(kernel.seen.timeout > 0 && kernel.seen.timeout <= 1000);
}

/* Status byte, host byte (DID_…), driver byte: only a device's own answer is one. */
static void three_kinds_of_status(void **state)
{
	static const struct { uint8_t status; uint16_t host, driver; enum fence_status want; } s[] = {
		{ 0x18, 0x00, 0x00, FENCE_ST_CONFLICT },
		{ 0x18, 0x11, 0x00, FENCE_ST_CONFLICT },  /* DID_NEXUS_FAILURE goes with it */
		{ 0x00, 0x11, 0x00, FENCE_ST_CONFLICT },  /* or stands alone */
		{ 0x08, 0x00, 0x00, FENCE_ST_BUSY },
		{ 0x00, 0x01, 0x00, FENCE_ST_LOST },      /* DID_NO_CONNECT */
		{ 0x00, 0x03, 0x00, FENCE_ST_LOST },      /* DID_TIME_OUT */
		{ 0x00, 0x05, 0x00, FENCE_ST_LOST },      /* DID_ABORT */
		{ 0x00, 0x08, 0x00, FENCE_ST_LOST },      /* DID_RESET */
		{ 0x00, 0x0e, 0x00, FENCE_ST_LOST },      /* DID_TRANSPORT_DISRUPTED */
		{ 0x00, 0x0f, 0x00, FENCE_ST_LOST },      /* DID_TRANSPORT_FAILFAST */
		{ 0x00, 0x77, 0x00, FENCE_ST_LOST },
		{ 0x00, 0x00, 0x06, FENCE_ST_LOST },      /* DRIVER_TIMEOUT */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		kernel.answer = (sg_io_hdr_t){ .status = s[i].status, .host_status = s[i].host, .driver_status = s[i].driver };
		assert_int_equal(run(&preempt), s[i].want);
		assert_true(res.text[0]);
	}
}

static void sense_is_the_devices_answer(void **state)
{
	(void)state;
	kernel.answer = (sg_io_hdr_t){ .status = 0x02, .driver_status = 0x08, .sb_len_wr = 18 };
	memcpy(kernel.sense, "\x70\0\6\0\0\0\0\x0a\0\0\0\0\x2a\5", 14);
	assert_int_equal(run(&preempt), FENCE_ST_UA_PR);
	assert_int_equal(res.ascq, 5);
}

static void errors_of_the_call_itself(void **state)
{
	(void)state;
	kernel.fail = ENODEV;
	assert_int_equal(run(&preempt), FENCE_ST_UNSENT);
	assert_false(t->ops->up(t));  /* opened again for the next command */
	kernel.fail = EPERM;
	assert_int_equal(run(&preempt), FENCE_ST_UNSENT);
	assert_non_null(strstr(res.text, "CAP_SYS_RAWIO"));
	kernel.fail = EINTR;
	assert_int_equal(run(&preempt), FENCE_ST_LOST);
	kernel.fail = 0;
	assert_int_equal(run(&preempt), FENCE_ST_GOOD);
}

static void not_a_scsi_device(void **state)
{
	(void)state;
	kernel.version = 0;
	assert_int_equal(run(&preempt), FENCE_ST_UNSENT);
	assert_non_null(strstr(res.text, "not a SCSI device"));
	assert_int_equal(kernel.calls, 0);
}

static void no_such_device(void **state)
{
	char err[FENCE_TEXT];
	struct fence_transport *good = t;

	(void)state;
	t = fence_sg_open("/dev/no/such/device", fake_ioctl, err);
	assert_int_equal(run(&preempt), FENCE_ST_UNSENT);
	assert_non_null(strstr(res.text, "cannot open"));
	t->ops->close(t);
	t = good;
}

static void a_whole_take_over(void **state)
{
	struct fence_request req = { .op = FENCE_OP_TAKE, .key = preempt.key, .expect = preempt.sakey };
	static struct fence_machine m;
	struct fence_cmd cmd;

	(void)state;
	kernel.model = true;
	lun.nexus[1].key = preempt.sakey;
	lun.holder = 1;
	lun.type = 6;
	fence_begin(&m, &req);
	for (bool more = fence_step(&m, NULL, &cmd); more; more = fence_step(&m, &res, &cmd))
		(void)run(&cmd);
	assert_int_equal(m.outcome.verdict, FENCE_OK);
	assert_int_equal(lun.holder, 0);
	assert_int_equal(lun.nexus[1].key, 0);
}

#define sg_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sg_test(out_goes_to_the_kernel),
		sg_test(in_comes_from_the_kernel),
		sg_test(timeout_is_cut_by_the_deadline),
		sg_test(three_kinds_of_status),
		sg_test(sense_is_the_devices_answer),
		sg_test(errors_of_the_call_itself),
		sg_test(not_a_scsi_device),
		sg_test(no_such_device),
		sg_test(a_whole_take_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
