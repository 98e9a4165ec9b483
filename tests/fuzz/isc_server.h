/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isc_server.h - the server that the iSCSI fuzz targets put behind node/iscsi
 *
 * The input is a list of steps: one byte says what, two how many (big-endian), then that many bytes for steps that
 * feed. So the fuzzer decides not only what the initiator sends, but also when the server and the network act.
 */
#ifndef LUNWARD_TESTS_FUZZ_ISC_SERVER_H
#define LUNWARD_TESTS_FUZZ_ISC_SERVER_H

#include "node/iscsi/isc.h"

/* The low nibble of a step's byte; the high one is its argument. Where a connection is meant its upper bit says which. */
enum fuzz_step {
	STEP_RX,                      /* bytes for isc_rx() */
	STEP_DIRECT,                  /* bytes: through isc_rx_direct() where it offers */
	STEP_TX,                      /* so many bytes are sent */
	STEP_ANSWER,                  /* task number @arg: the server's next move */
	STEP_ABORT,                   /* task number @arg */
	STEP_TMF,                     /* the oldest TMF is complete */
	STEP_LOGIN,                   /* the parked login is admitted, or with @arg refused */
	STEP_LOGOUT,                  /* the logout is complete */
	STEP_UNASKED,                 /* NOP-In, or with @arg Async Message */
	STEP_TICK,                    /* a sequence timeout, or with @arg a shortage of memory */
	STEP_DROP,                    /* the connection ends; with @arg another one takes its place. An odd number: its tasks
				       * wait for another one, where there is error recovery */
};

enum fuzz_option {
	FUZZ_CHAP = 1,                /* the initiator has to prove itself */
	FUZZ_PARK = 2,                /* logins wait for STEP_LOGIN */
	FUZZ_LATER = 4,               /* commands wait for STEP_ANSWER */
	FUZZ_LOGIN = 8,               /* start in full feature phase */
	FUZZ_DIGESTS = 16,            /* ... with digests */
	FUZZ_R2T = 32,                /* ... with InitialR2T=Yes, ImmediateData=No */
	FUZZ_RECOVERY = 64,           /* ... with error recovery */
	FUZZ_TWO = 128,               /* ... with two connections */
};

/** fuzz_isc() - Run one input. Aborts if an invariant breaks: every task released once, windows and limits kept */
void fuzz_isc(unsigned options, const uint8_t *data, size_t size);

#endif
