/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tmf.c - task management (RFC 7143 11.5, 11.6): which task is meant, what the library answers by itself */
#include <string.h>

#include "tests/unit/iscsi/peer.h"

enum { IMM = PDU_IMMEDIATE };

static struct peer *full(void)
{
	struct peer *p = peer_new();

	p->manual = true;
	peer_full(p, "InitialR2T=No\n");
	return p;
}

static uint32_t tmf_send(struct peer *p, uint8_t imm, uint8_t fn, uint8_t lun, uint32_t ref, uint32_t ref_cmdsn)
{
	uint8_t bhs[BHS_LEN];

	peer_numbered(p, bhs, (uint8_t)(OP_TMF | imm), (uint8_t)(PDU_FINAL | fn));
	bhs[O_LUN + 1] = lun;
	put_be32(bhs + O_TMF_REF_ITT, ref);
	put_be32(bhs + O_TMF_REF_CMDSN, ref_cmdsn);
	peer_send(p, bhs, NULL, 0);
	return pdu_itt(bhs);
}

static void want_tmf(struct peer *p, uint32_t itt, enum isc_tmf_response response)
{
	struct reply r;

	peer_want(p, OP_TMF_RSP, &r);
	assert_int_equal(pdu_itt(r.h), itt);
	assert_int_equal(r.h[O_FLAGS], PDU_FINAL);
	assert_int_equal(r.h[O_TMF_RESPONSE], response);
}

static void abort_task(void **state)
{
	struct peer *p = full();
	uint32_t itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), tmf;

	(void)state;
	tmf = tmf_send(p, IMM, ISC_TMF_ABORT_TASK, 3, itt, p->cmdsn - 1);
	assert_int_equal(p->tmfs, 1);
	assert_int_equal(p->tmf->fn, ISC_TMF_ABORT_TASK);
	assert_ptr_equal(p->tmf->task, &p->task[0]->t);
	assert_int_equal(p->tmf->lun[1], 3);
	peer_want_nothing(p);
	/* the server has the task: it is told nothing yet, then answers in its own time */
	assert_false(isc_task_abort(p->tmf->task));
	assert_true(p->tmf->task->aborted);
	isc_task_complete(p->tmf->task, 0, NULL, 0, NULL, 0);
	assert_null(p->tmf->task);
	assert_int_equal(p->releases, 1);
	isc_tmf_complete(p->tmf, ISC_TMF_COMPLETE);
	want_tmf(p, tmf, ISC_TMF_COMPLETE);
	peer_want_nothing(p);  /* no status of the task */
	peer_free(p);
}

/* The task ends by itself while the server thinks */
static void ends_meanwhile(void **state)
{
	struct peer *p = full();
	uint32_t itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), tmf;
	struct reply r;

	(void)state;
	tmf = tmf_send(p, IMM, ISC_TMF_ABORT_TASK, 3, itt, p->cmdsn - 1);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_want_status(p, itt, 0, &r);
	assert_null(p->tmf->task);
	isc_tmf_complete(p->tmf, ISC_TMF_NO_TASK);
	want_tmf(p, tmf, ISC_TMF_NO_TASK);
	peer_free(p);
}

/* 11.6.1: what ABORT TASK says about a task that is not there */
static void unknown_task(void **state)
{
	static const struct { int32_t ref_cmdsn; enum isc_tmf_response want; } t[] = {
		{ -1, ISC_TMF_NO_TASK },                 /* received, and over */
		{ 0, ISC_TMF_COMPLETE },                 /* within the window and before this request: never arrived */
		{ 3, ISC_TMF_COMPLETE },
		{ 4, ISC_TMF_NO_TASK },                  /* not before this request */
		{ PEER_WINDOW, ISC_TMF_NO_TASK },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = full();
		uint32_t base = p->cmdsn;

		p->cmdsn = base + 4;
		want_tmf(p, tmf_send(p, IMM, ISC_TMF_ABORT_TASK, 3, 0x9999, base + (uint32_t)t[i].ref_cmdsn), t[i].want);
		assert_int_equal(p->tmfs, 0);
		peer_free(p);
	}
}

/* ... and it counts as received from then on: no hole, and should it come after all, it is ignored */
static void considered_received(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn, later;
	uint8_t bhs[BHS_LEN];
	struct reply r;

	(void)state;
	p->manual = false;
	p->cmdsn = base + 1;
	later = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	peer_want_nothing(p);
	want_tmf(p, tmf_send(p, IMM, ISC_TMF_ABORT_TASK, 3, 0x9999, base), ISC_TMF_COMPLETE);
	peer_want_status(p, later, 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 2);
	peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 0, 0);
	put_be32(bhs + O_CMDSN, base);
	peer_send(p, bhs, NULL, 0);
	peer_want_nothing(p);
	assert_int_equal(p->commands, 1);
	peer_free(p);
}

/* A task that waits for its turn is aborted without the server ever seeing it */
static void held_task(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn, itt;
	uint8_t data[100] = { 0 };
	struct reply r;

	(void)state;
	p->manual = false;
	p->cmdsn = base + 1;
	itt = peer_cmd(p, CDB_WRITE, CMD_WRITE, 1000, 1000, data, sizeof(data));
	want_tmf(p, tmf_send(p, IMM, ISC_TMF_ABORT_TASK, 3, itt, base + 1), ISC_TMF_COMPLETE);
	assert_int_equal(p->releases, 1);
	peer_data_out(p, itt, TAG_NONE, 0, 100, 900, true);  /* comes too late, and is ignored */
	peer_want_nothing(p);
	p->cmdsn = base;
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 2);  /* both are behind us */
	p->cmdsn = base + 2;
	peer_want_status(p, peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0), 0, &r);
	assert_int_equal(get_be32(r.h + O_EXP_CMDSN), base + 3);
	assert_int_equal(get_be32(r.h + O_MAX_CMDSN), base + 3 + PEER_WINDOW - 1);
	assert_int_equal(p->commands, 2);
	assert_int_equal(isc_conn_sess(p->c)->held_bytes, 0);
	peer_free(p);
}

static void wrong_lun(void **state)
{
	struct peer *p = full();
	uint32_t itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);

	(void)state;
	want_tmf(p, tmf_send(p, IMM, ISC_TMF_ABORT_TASK, 4, itt, p->cmdsn - 1), ISC_TMF_NO_TASK);
	assert_false(p->task[0]->t.aborted);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_free(p);
}

/* The others go to the server; held commands that they cover end at once */
static void many(void **state)
{
	static const struct { uint8_t fn; bool other_lun; } t[] = {
		{ ISC_TMF_ABORT_TASK_SET, false }, { ISC_TMF_CLEAR_TASK_SET, false }, { ISC_TMF_LUN_RESET, false },
		{ ISC_TMF_TARGET_WARM_RESET, true }, { ISC_TMF_TARGET_COLD_RESET, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct peer *p = full();
		uint32_t base = p->cmdsn, tmf;
		uint8_t bhs[BHS_LEN];

		p->cmdsn = base + 1;
		peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
		peer_cmd_bhs(p, bhs, CDB_TUR, PDU_FINAL, 0, 0);
		bhs[O_LUN + 1] = 4;
		peer_send(p, bhs, NULL, 0);
		tmf = tmf_send(p, IMM, t[i].fn, 3, TAG_NONE, 0);
		assert_int_equal(p->tmfs, 1);
		assert_int_equal(p->tmf->fn, t[i].fn);
		assert_null(p->tmf->task);
		assert_int_equal(p->releases, t[i].other_lun ? 2 : 1);
		isc_tmf_complete(p->tmf, ISC_TMF_COMPLETE);
		want_tmf(p, tmf, ISC_TMF_COMPLETE);
		peer_free(p);
	}
}

static void by_itself(void **state)
{
	static const struct { uint8_t fn; enum isc_tmf_response want; } t[] = {
		{ ISC_TMF_TASK_REASSIGN, ISC_TMF_NO_REASSIGN },
		{ 0, ISC_TMF_NOT_SUPPORTED }, { 9, ISC_TMF_NOT_SUPPORTED }, { 0x7f, ISC_TMF_NOT_SUPPORTED },
	};
	struct peer *p = full();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		want_tmf(p, tmf_send(p, 0, t[i].fn, 3, TAG_NONE, 0), t[i].want);
	assert_int_equal(p->tmfs, 0);
	peer_free(p);
}

static void clear_aca(void **state)
{
	struct peer *p = full();
	uint32_t tmf = tmf_send(p, 0, ISC_TMF_CLEAR_ACA, 3, TAG_NONE, 0);

	(void)state;
	assert_int_equal(p->tmf->fn, ISC_TMF_CLEAR_ACA);
	isc_tmf_complete(p->tmf, ISC_TMF_NOT_SUPPORTED);
	want_tmf(p, tmf, ISC_TMF_NOT_SUPPORTED);
	peer_free(p);
}

/* A TMF with a CmdSN waits for those before it */
static void in_order(void **state)
{
	struct peer *p = full();
	uint32_t base = p->cmdsn;

	(void)state;
	p->cmdsn = base + 1;
	tmf_send(p, 0, ISC_TMF_LUN_RESET, 3, TAG_NONE, 0);
	assert_int_equal(p->tmfs, 0);
	p->cmdsn = base;
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	assert_int_equal(p->commands, 1);
	assert_int_equal(p->tmfs, 1);
	isc_tmf_complete(p->tmf, ISC_TMF_COMPLETE);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_free(p);
}

/* 4.2.3.3: the answers of tasks that ended before come before the answer to the function */
static void answers_first(void **state)
{
	struct peer *p = full();
	uint32_t itt = peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 100000, 100000, NULL, 0), tmf;
	struct ptask *t = p->task[0];
	struct reply r;

	(void)state;
	t->buf = calloc(1, 100000);
	isc_task_complete(&t->t, 0, NULL, 0, t->buf, 100000);
	tmf = tmf_send(p, IMM, ISC_TMF_LUN_RESET, 3, TAG_NONE, 0);
	isc_tmf_complete(p->tmf, ISC_TMF_COMPLETE);
	do {
		peer_want(p, OP_DATA_IN, &r);
		assert_int_equal(pdu_itt(r.h), itt);
	} while (!(r.h[O_FLAGS] & DATA_STATUS));
	want_tmf(p, tmf, ISC_TMF_COMPLETE);
	peer_free(p);
}

/* 11.17.1 reason 6, and the places come back */
static void too_many(void **state)
{
	struct peer *p = full();
	struct isc_tmf *tmf[ISC_IMMEDIATE_MAX];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < ISC_IMMEDIATE_MAX; i++) {
			tmf_send(p, IMM, ISC_TMF_LUN_RESET, 3, TAG_NONE, 0);
			tmf[i] = p->tmf;
		}
		peer_want_nothing(p);
		tmf_send(p, IMM, ISC_TMF_LUN_RESET, 3, TAG_NONE, 0);
		peer_want_reject(p, ISC_REJECT_IMMEDIATE);
		assert_int_equal(p->tmfs, (round + 1) * ISC_IMMEDIATE_MAX);
		for (int i = 0; i < ISC_IMMEDIATE_MAX; i++) {
			isc_tmf_complete(tmf[i], ISC_TMF_COMPLETE);
			want_tmf(p, p->itt - 1 - ISC_IMMEDIATE_MAX + (uint32_t)i, ISC_TMF_COMPLETE);
		}
	}
	peer_free(p);
}

/* The connection dies first */
static void orphaned(void **state)
{
	struct peer *p = full();

	(void)state;
	tmf_send(p, IMM, ISC_TMF_LUN_RESET, 3, TAG_NONE, 0);
	peer_close(p);
	assert_null(p->tmf->conn);
	isc_tmf_complete(p->tmf, ISC_TMF_COMPLETE);
	peer_free(p);
}

/* RFC 7144 6.1: with iSCSIProtocolLevel 2 only. QUERY TASK finds what is with the server, and what waits for its turn */
static void queries(void **state)
{
	struct peer *p = full();
	struct reply r;
	uint32_t itt, held, tmf;

	(void)state;
	for (uint8_t fn = ISC_TMF_QUERY_TASK; fn <= ISC_TMF_FUNCTIONS; fn++)
		want_tmf(p, tmf_send(p, IMM, fn, 3, 0x77, 0), ISC_TMF_NOT_SUPPORTED);
	assert_int_equal(p->tmfs, 0);
	peer_free(p);

	p = peer_new();
	p->manual = true;
	peer_full(p, "iSCSIProtocolLevel=2\n");
	itt = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	p->cmdsn++;  /* a hole */
	held = peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	const struct { uint32_t ref; uint8_t lun; bool found; } rows[] = {
		{ itt, 3, true }, { held, 3, true }, { itt, 4, false }, { 0x7777, 3, false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tmf = tmf_send(p, IMM, ISC_TMF_QUERY_TASK, rows[i].lun, rows[i].ref, 0);
		assert_int_equal(p->tmf->fn, ISC_TMF_QUERY_TASK);
		assert_int_equal(p->tmf->found, rows[i].found);
		isc_tmf_complete(p->tmf, rows[i].found ? ISC_TMF_SUCCEEDED : ISC_TMF_COMPLETE);
		want_tmf(p, tmf, rows[i].found ? ISC_TMF_SUCCEEDED : ISC_TMF_COMPLETE);
	}
	tmf = tmf_send(p, IMM, ISC_TMF_QUERY_ASYNC_EVENT, 3, 0, 0);
	memcpy(p->tmf->info, "\x16\x29\x07", 3);
	isc_tmf_complete(p->tmf, ISC_TMF_SUCCEEDED);
	peer_want(p, OP_TMF_RSP, &r);
	assert_int_equal(pdu_itt(r.h), tmf);
	assert_memory_equal(r.h + O_TMF_INFO, "\x16\x29\x07", 4);
	/* I_T NEXUS RESET is about what is held, too: 4.2.3.3 */
	tmf = tmf_send(p, IMM, ISC_TMF_NEXUS_RESET, 0, 0, 0);
	isc_tmf_complete(p->tmf, ISC_TMF_COMPLETE);
	want_tmf(p, tmf, ISC_TMF_COMPLETE);
	tmf = tmf_send(p, IMM, ISC_TMF_QUERY_TASK, 3, held, 0);
	assert_false(p->tmf->found);
	isc_tmf_complete(p->tmf, ISC_TMF_COMPLETE);
	want_tmf(p, tmf, ISC_TMF_COMPLETE);
	isc_task_complete(&p->task[0]->t, 0, NULL, 0, NULL, 0);
	peer_want_status(p, itt, 0, &r);
	peer_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries),
		cmocka_unit_test(abort_task), cmocka_unit_test(ends_meanwhile), cmocka_unit_test(unknown_task),
		cmocka_unit_test(considered_received), cmocka_unit_test(held_task), cmocka_unit_test(wrong_lun),
		cmocka_unit_test(many), cmocka_unit_test(by_itself), cmocka_unit_test(clear_aca),
		cmocka_unit_test(in_order), cmocka_unit_test(answers_first),
		cmocka_unit_test(too_many), cmocka_unit_test(orphaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
