/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chap.c - CHAP's arithmetic, on nettle's digests */
#include <string.h>
#include <nettle/md5.h>
#include <nettle/memops.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <nettle/sha3.h>

#include "node/iscsi/chap.h"
#include "node/iscsi/isc.h"
#include "node/iscsi/text.h"
#include "node/util/util.h"

struct chap_alg {
	unsigned number;
	uint8_t bit;
	const struct nettle_hash *hash;
};

static const struct chap_alg algs[] = {
	{ 5, ISC_CHAP_MD5, &nettle_md5 },
	{ 6, ISC_CHAP_SHA1, &nettle_sha1 },
	{ 7, ISC_CHAP_SHA256, &nettle_sha256 },
	{ 8, ISC_CHAP_SHA3_256, &nettle_sha3_256 },
};

/* Contexts of all of them, on the stack */
union hash_ctx {
	struct md5_ctx md5;
	struct sha1_ctx sha1;
	struct sha256_ctx sha256;
	struct sha3_256_ctx sha3_256;
};

const struct chap_alg *isc_chap_choose(const char *list, uint8_t allowed)
{
	const char *v;
	size_t len;

	while ((v = isc_list_next(&list, &len))) {
		char number[8];
		uint64_t n;

		snprintf(number, sizeof(number), "%.*s", (int)MIN(len, (size_t)8), v);
		if (len >= sizeof(number) || !isc_num(number, &n))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(algs); i++)
			if (algs[i].number == n && algs[i].bit & allowed)
				return &algs[i];
	}
	return NULL;
}

unsigned isc_chap_number(const struct chap_alg *alg)
{
	return alg->number;
}

size_t isc_chap_size(const struct chap_alg *alg)
{
	return alg->hash->digest_size;
}

void isc_chap_digest(const struct chap_alg *alg, uint8_t id, const void *secret, size_t secret_len,
		     const uint8_t *challenge, size_t challenge_len, uint8_t out[CHAP_DIGEST_MAX])
{
	union hash_ctx ctx;

	alg->hash->init(&ctx);
	alg->hash->update(&ctx, 1, &id);
	alg->hash->update(&ctx, secret_len, secret);
	alg->hash->update(&ctx, challenge_len, challenge);
	alg->hash->digest(&ctx, alg->hash->digest_size, out);
	explicit_bzero(&ctx, sizeof(ctx));
}

bool isc_chap_equal(const void *a, const void *b, size_t n)
{
	return memeql_sec(a, b, n);
}
