/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rxpool.h - what a reactor's connections receive into
 *
 * The kernel takes a buffer from a ring that all connections share when there is something to put into it, and has it back
 * as soon as the library has looked at it. So one that is idle costs no buffer, and a batch of commands fits one however
 * many connections there are. What goes straight to a task (rx_direct) has a spare buffer beside it, for what follows.
 * Context: the reactor.
 */
#ifndef LUNWARD_NODE_RXPOOL_H
#define LUNWARD_NODE_RXPOOL_H

#include "node/disk/ring.h"

#define RXPOOL_BUFFERS 64u         /* a power of two; more recvs than that in one turn have to be tried again */
#define RXPOOL_BYTES 65536u
#define RXPOOL_SPARE_BYTES 16384u

struct rxpool {
	struct io_uring_buf_ring *ring;
	uint8_t *mem;
	void *spare;                 /* the first of a list through their first words */
	unsigned n_spares;           /* in the list */
};

/** rxpool_init() - Needs Linux 5.19. Return: 0, or -errno */
int rxpool_init(struct rxpool *p, struct ring *r);
/** rxpool_free() - After the ring: the kernel may write into it until then */
void rxpool_free(struct rxpool *p);
/** rxpool_prep() - A recv into whichever buffer is next */
void rxpool_prep(struct io_uring_sqe *sqe, int fd);
/** rxpool_data() - What a completion with these flags has received, or NULL: nothing. rxpool_put() must follow */
void *rxpool_data(const struct rxpool *p, uint32_t flags);
void rxpool_put(struct rxpool *p, uint32_t flags);
/** rxpool_spare(), rxpool_spare_put() - RXPOOL_SPARE_BYTES, or NULL: no memory */
void *rxpool_spare(struct rxpool *p);
void rxpool_spare_put(struct rxpool *p, void *buf);

#endif
