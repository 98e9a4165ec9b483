/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_isc_full.c - PDUs of the full feature phase. First byte of the input: FUZZ_LATER, FUZZ_DIGESTS, FUZZ_R2T,
 * FUZZ_RECOVERY, FUZZ_TWO.
 */
#include "tests/fuzz/isc_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size)
		fuzz_isc(FUZZ_LOGIN | (data[0] & (FUZZ_LATER | FUZZ_DIGESTS | FUZZ_R2T | FUZZ_RECOVERY | FUZZ_TWO)), data + 1,
			 size - 1);
	return 0;
}
