/* SPDX-License-Identifier: GPL-2.0-or-later */
/* security.h - the security stage of a login (RFC 7143 6.3.2, 12.1): AuthMethod and CHAP. Context: pure. */
#ifndef LUNWARD_ISCSI_SECURITY_H
#define LUNWARD_ISCSI_SECURITY_H

#include "node/iscsi/chap.h"
#include "node/iscsi/isc.h"
#include "node/iscsi/negotiate.h"

/**
 * enum sec_state - Where the exchange is; each names what the next request has to bring
 *    SEC_METHOD     AuthMethod
 *    SEC_ALGORITHM  CHAP_A. Caveats: only after AuthMethod=CHAP
 *    SEC_RESPONSE   CHAP_N and CHAP_R, perhaps CHAP_I and CHAP_C. Caveats: our challenge is good for one try
 *    SEC_DONE       nothing more
 */
enum sec_state { SEC_METHOD, SEC_ALGORITHM, SEC_RESPONSE, SEC_DONE };

struct security {
	enum sec_state state;
	bool chap;                    /* the initiator has to prove who it is */
	uint8_t algs;                 /* allowed */
	const struct chap_alg *alg;
	uint8_t id;
	uint8_t challenge[CHAP_DIGEST_MAX];
	bool proved;
};

/** isc_security_required() - Return: true if the initiator has to prove itself and has not done so */
bool isc_security_required(const struct security *s);
/**
 * isc_security_step() - One request of the security stage
 * @n: its keys; @fresh: 1 + CHAP_DIGEST_MAX unpredictable bytes; @leave: T bit: the initiator wants to go on
 * @user: whom CHAP_N names, NULL: nobody that we know, or CHAP_N is not there
 * @out: our keys
 * Return: 0, or the status to refuse the login with
 */
enum isc_login_status isc_security_step(struct security *s, const struct neg *n, const uint8_t *fresh, bool leave,
					const struct isc_chap *user, struct text *out);

#endif
