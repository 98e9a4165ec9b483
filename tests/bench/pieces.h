/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pieces.h - PDUs to be sent: a ring of headers with lengths of data, and the iovecs of what is at its front
 *
 * The data of all PDUs is the same constant bytes, so that it costs neither copies nor, but for the first of a length,
 * digests. Context: one thread.
 */
#ifndef LUNWARD_BENCH_PIECES_H
#define LUNWARD_BENCH_PIECES_H

#include <sys/uio.h>

#include "node/iscsi/pdu.h"

enum { PIECE_IOV = 192, DATA_MAX = 1 << 24 };

struct piece {
	uint8_t head[BHS_LEN + DIGEST_LEN], tail[DIGEST_LEN];
	uint32_t head_len, tail_len, data_len;
};

struct pieces {
	struct piece *ring;
	uint32_t size;               /* a power of two */
	uint32_t head, tail;         /* never wrapped */
	size_t sent;                 /* bytes of ring[head] that are gone */
	bool header_digest, data_digest;
};

/** pieces_init() - @n: how many wait at most. Ends the program when there is no memory */
void pieces_init(struct pieces *q, uint32_t n);
/** pieces_add() - The next header, zeroed but for its data's length; pieces_seal() must follow when it is filled in */
uint8_t *pieces_add(struct pieces *q, uint32_t data_len);
void pieces_seal(struct pieces *q);
/** pieces_iov() - @iov: PIECE_IOV entries. Return: how many are filled, 0: there is nothing to send */
int pieces_iov(const struct pieces *q, struct iovec *iov);
/** pieces_sent() - @n bytes of it were taken */
void pieces_sent(struct pieces *q, size_t n);

/** die() - Say what is wrong and end: a measurement that went wrong half-way is none */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
