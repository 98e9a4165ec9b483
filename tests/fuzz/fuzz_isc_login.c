/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_isc_login.c - the login phase, from the first byte. First byte of the input: FUZZ_CHAP, FUZZ_PARK. */
#include "tests/fuzz/isc_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size)
		fuzz_isc(data[0] & (FUZZ_CHAP | FUZZ_PARK), data + 1, size - 1);
	return 0;
}
