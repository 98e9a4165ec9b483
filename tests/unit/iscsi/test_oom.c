/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_oom.c - memory runs out: at each allocation of the library in turn. The connection ends, or the request is
 * refused; nothing leaks, every task comes back, and memory that is there again is used again.
 */
#include <stdlib.h>

#include "tests/unit/iscsi/peer.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned countdown;  /* the allocation that fails; 0: none */

static bool fails(void)
{
	return peer_in_library && countdown && !--countdown;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }

/* Whatever is answered, or not: take it */
static void drain(struct peer *p)
{
	struct iovec iov[8];
	int n;

	while ((n = isc_tx_iov(p->c, iov, ARRAY_SIZE(iov))) > 0)
		for (int i = 0; i < n; i++)
			isc_tx_done(p->c, iov[i].iov_len);
}

static void request(struct peer *p, uint8_t opcode, uint8_t flags, const char *data, uint32_t len, int ahead)
{
	uint8_t bhs[BHS_LEN];

	peer_numbered(p, bhs, opcode, flags);
	put_be32(bhs + O_TTT, TAG_NONE);
	put_be32(bhs + O_CMDSN, p->cmdsn - 1 + (uint32_t)ahead);
	peer_send(p, bhs, data, len);
	drain(p);
}

/* What error recovery keeps */
static void kept(struct peer *p)
{
	uint32_t itt = p->itt;
	uint8_t bhs[BHS_LEN];

	p->manual = false;
	peer_cmd(p, CDB_READ, PDU_FINAL | CMD_READ, 3000, 3000, NULL, 0);
	peer_cmd(p, CDB_FAIL, PDU_FINAL, 0, 0, NULL, 0);
	drain(p);
	peer_bhs(bhs, OP_SNACK, PDU_FINAL | SNACK_STATUS, TAG_NONE);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(p, bhs, NULL, 0);
	peer_bhs(bhs, OP_SNACK, PDU_FINAL | SNACK_DATA, itt);
	put_be32(bhs + O_TTT, TAG_NONE);
	peer_send(p, bhs, NULL, 0);
	drain(p);
	p->manual = true;
}

/* Everything that allocates */
static void conversation(struct peer *p, const char *keys)
{
	static const char *const targets[] = { "iqn.2026-11.test:t", NULL };
	uint8_t data[600];

	p->targets = targets;
	p->manual = true;
	pattern_fill(data, 0, sizeof(data));
	peer_login(p, 0, 1, false, "InitiatorName=iqn.2026-11.test:i\nTargetName=iqn.2026-11.test:t\nAuthMethod=None\n");
	peer_login(p, 1, 3, false, keys);
	drain(p);
	if (!isc_conn_full_feature(p->c))
		return;
	if (isc_conn_params(p->c)->erl)
		kept(p);
	request(p, OP_NOP_OUT, PDU_FINAL, "ping", 4, 0);
	request(p, OP_TEXT, PDU_FINAL, "SendTargets=\0", 13, 0);
	request(p, OP_TEXT, 0, "X-a=b", 6, 0);
	request(p, OP_NOP_OUT, PDU_FINAL, "held", 4, 1);
	p->cmdsn--;
	request(p, OP_NOP_OUT, PDU_FINAL, "hole", 4, 0);
	p->cmdsn++;
	request(p, OP_TMF, PDU_FINAL | ISC_TMF_LUN_RESET, NULL, 0, 0);
	if (p->tmf)
		isc_tmf_complete(p->tmf, ISC_TMF_COMPLETE);
	peer_cmd(p, CDB_WRITE, CMD_WRITE, 2000, 2000, data, sizeof(data));  /* into the stash */
	isc_send_nop_in(p->c);
	isc_send_async(p->c, ISC_ASYNC_LOGOUT_REQUEST, 0, 0, 0, 1);
	request(p, OP_SNACK, PDU_FINAL, NULL, 0, 0);
	p->no_tasks = true;
	peer_cmd(p, CDB_TUR, PDU_FINAL, 0, 0, NULL, 0);
	request(p, OP_LOGOUT, PDU_FINAL, NULL, 0, 0);
}

/* Return: true if allocation @n was reached */
static bool fail_at(unsigned n, const char *keys)
{
	struct peer *p = peer_new();
	struct isc_task *t = NULL;
	bool reached;

	countdown = n;
	peer_start(p);
	if (p->c)
		conversation(p, keys);
	reached = !countdown;
	countdown = 0;
	for (unsigned i = 0; p->c && i < p->commands; i++)
		if (p->task[i] && !p->task[i]->t.over)
			t = &p->task[i]->t;
	if (reached && p->c && p->closings)
		assert_true(isc_conn_closing(p->c));
	if (p->c)
		peer_close(p);
	if (t)
		isc_task_complete(t, 0, NULL, 0, NULL, 0);
	peer_free(p);
	return reached;
}

static void every_allocation(void **state)
{
	static const char *const keys[] = {
		"InitialR2T=No\nFirstBurstLength=4096\n", "InitialR2T=No\nFirstBurstLength=4096\nErrorRecoveryLevel=1\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		unsigned n = 1;

		while (fail_at(n, keys[i]))
			n++;
		assert_true(n > 20 + 2 * i);  /* it was the whole conversation */
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
