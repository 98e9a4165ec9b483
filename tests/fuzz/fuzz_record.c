/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_record.c - reservations as they come from disk or from another node
 *
 * Input: a RecordBody. What is taken of it is a valid state, which is the same after having been a message once more.
 */
#include <assert.h>

#include "node/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct sc_pr *pr)
{
	Lunward__LuReservations m = LUNWARD__LU_RESERVATIONS__INIT, *there;
	_cleanup_free_ uint8_t *buf = NULL;
	_cleanup_free_ struct sc_pr *back = NULL;
	size_t n;

	assert(record_put_string(&m.target, "iqn.2026-11.org.example:t") && record_put_pr(&m, pr));
	n = lunward__lu_reservations__get_packed_size(&m);
	buf = malloc(n);
	assert(buf && lunward__lu_reservations__pack(&m, buf) == n);
	there = lunward__lu_reservations__unpack(NULL, n, buf);
	assert(there);
	back = record_get_pr(there);
	assert(back && sc_pr_equal(pr, back));
	lunward__lu_reservations__free_unpacked(there, NULL);
	free(m.target);
	for (size_t i = 0; i < m.n_registrations; i++)
		lunward__registration__free_unpacked(m.registrations[i], NULL);
	free(m.registrations);
	if (pr->spc2) {
		free(m.spc2_initiator);
		free(m.spc2_isid.data);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Lunward__RecordBody *b = lunward__record_body__unpack(NULL, size, data);

	for (size_t i = 0; b && i < b->n_lus; i++) {
		_cleanup_free_ struct sc_pr *pr = record_get_pr(b->lus[i]);

		if (!pr)
			continue;
		assert(sc_pr_valid(pr));
		again(pr);
	}
	if (b)
		lunward__record_body__free_unpacked(b, NULL);
	return 0;
}
