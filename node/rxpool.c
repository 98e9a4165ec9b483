/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rxpool.c - receive buffers, see rxpool.h */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "node/rxpool.h"

#define GROUP 0
#define SPARES_MAX 64u  /* that are kept */

static void add(struct rxpool *p, unsigned id)
{
	io_uring_buf_ring_add(p->ring, p->mem + (size_t)id * RXPOOL_BYTES, RXPOOL_BYTES, (unsigned short)id,
			      io_uring_buf_ring_mask(RXPOOL_BUFFERS), 0);
	io_uring_buf_ring_advance(p->ring, 1);
}

static void *pages(size_t n)
{
	void *mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

int rxpool_init(struct rxpool *p, struct ring *r)
{
	struct io_uring_buf_reg reg = { .ring_entries = RXPOOL_BUFFERS, .bgid = GROUP };
	int rc;

	*p = (struct rxpool){ .ring = pages(RXPOOL_BUFFERS * sizeof(struct io_uring_buf)),
			      .mem = pages((size_t)RXPOOL_BUFFERS * RXPOOL_BYTES) };
	if (!p->ring || !p->mem)
		return -ENOMEM;
	reg.ring_addr = (uintptr_t)p->ring;
	rc = io_uring_register_buf_ring(&r->uring, &reg, 0);
	if (rc)
		return rc;
	io_uring_buf_ring_init(p->ring);
	for (unsigned i = 0; i < RXPOOL_BUFFERS; i++)
		add(p, i);
	return 0;
}

void rxpool_free(struct rxpool *p)
{
	if (p->ring)
		munmap(p->ring, RXPOOL_BUFFERS * sizeof(struct io_uring_buf));
	if (p->mem)
		munmap(p->mem, (size_t)RXPOOL_BUFFERS * RXPOOL_BYTES);
	while (p->spare) {
		void *buf = p->spare;

		p->spare = *(void **)buf;
		free(buf);
	}
	*p = (struct rxpool){ .ring = NULL };
}

void rxpool_prep(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_recv(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
}

void *rxpool_data(const struct rxpool *p, uint32_t flags)
{
	return flags & IORING_CQE_F_BUFFER ? p->mem + (size_t)(flags >> IORING_CQE_BUFFER_SHIFT) * RXPOOL_BYTES : NULL;
}

void rxpool_put(struct rxpool *p, uint32_t flags)
{
	if (flags & IORING_CQE_F_BUFFER)
		add(p, flags >> IORING_CQE_BUFFER_SHIFT);
}

void *rxpool_spare(struct rxpool *p)
{
	void *buf = p->spare;

	if (!buf)
		return malloc(RXPOOL_SPARE_BYTES);
	p->spare = *(void **)buf;
	p->n_spares--;
	return buf;
}

void rxpool_spare_put(struct rxpool *p, void *buf)
{
	if (!buf)
		return;
	if (p->n_spares == SPARES_MAX) {
		free(buf);
		return;
	}
	*(void **)buf = p->spare;
	p->spare = buf;
	p->n_spares++;
}
