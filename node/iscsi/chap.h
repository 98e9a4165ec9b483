/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chap.h - CHAP's arithmetic (RFC 1994, RFC 7143 12.1.3). Context: pure. */
#ifndef LUNWARD_ISCSI_CHAP_H
#define LUNWARD_ISCSI_CHAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHAP_DIGEST_MAX = 32,
	CHAP_CHALLENGE_MIN = 16,      /* ours are as long as the digest, at least this */
	CHAP_CHALLENGE_MAX = 1024,    /* 12.1.3: the initiator's */
};

struct chap_alg;

/**
 * isc_chap_choose() - The first algorithm of the list CHAP_A=@list that is in @allowed (set of enum isc_chap_alg)
 * Return: the algorithm, or NULL
 */
const struct chap_alg *isc_chap_choose(const char *list, uint8_t allowed);
/** isc_chap_number() - Its number in CHAP_A */
unsigned isc_chap_number(const struct chap_alg *alg);
/** isc_chap_size() - Bytes of its digest */
size_t isc_chap_size(const struct chap_alg *alg);
/** isc_chap_digest() - digest(id | secret | challenge), isc_chap_size() bytes */
void isc_chap_digest(const struct chap_alg *alg, uint8_t id, const void *secret, size_t secret_len,
		     const uint8_t *challenge, size_t challenge_len, uint8_t out[CHAP_DIGEST_MAX]);
/** isc_chap_equal() - Are two values of the same length equal? Takes the same time whatever they are. */
bool isc_chap_equal(const void *a, const void *b, size_t n);

#endif
