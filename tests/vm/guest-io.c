/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest-io - load for a disk or a file in a guest that checks itself
 *
 * usage: guest-io PATH BLOCKS SECONDS
 *
 * Writes tagged 4 KiB blocks (O_DIRECT, O_DSYNC), one after the other at random places, every other time reads one back and
 * compares. SIGTERM or the time ends it: then every block that was ever written is read and compared. Says "tick" once a
 * second while operations complete, in the end the longest pause between two of them and when it began; any error, or any block that is not what was last written
 * and acknowledged, ends it with status 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096 };
static volatile sig_atomic_t stop;
static uint64_t *written;               /* sequence number last acknowledged, a block each; 0: never written */
static uint64_t worst_us, worst_at_us, last_us, ops, said_s;
static char *buf;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void fill(uint64_t block, uint64_t seq)
{
	for (size_t i = 0; i < BLOCK / 16; i++) {
		memcpy(buf + i * 16, &block, 8);
		memcpy(buf + i * 16 + 8, &seq, 8);
	}
}

static void fail(const char *what, uint64_t block)
{
	printf("FAILED %s of block %" PRIu64 " after %" PRIu64 " operations: %s\n", what, block, ops, strerror(errno));
	exit(1);
}

static void check(int fd, uint64_t block)
{
	uint64_t want[2] = { block, written[block] };

	if (pread(fd, buf, BLOCK, (off_t)block * BLOCK) != BLOCK)
		fail("read", block);
	for (size_t i = 0; i < BLOCK / 16; i++)
		if (memcmp(buf + i * 16, want, 16) != 0) {
			errno = EILSEQ;
			fail("contents", block);
		}
}

static void done(void)
{
	uint64_t t = now_us();

	if (last_us && t - last_us > worst_us) {
		worst_us = t - last_us;
		worst_at_us = last_us;
	}
	last_us = t;
	ops++;
	if (t / 1000000 != said_s) {
		said_s = t / 1000000;
		printf("tick %" PRIu64 "\n", ops);
	}
}

int main(int argc, char **argv)
{
	uint64_t blocks = argc == 4 ? strtoull(argv[2], NULL, 10) : 0, end, seq = 0, verified = 0;
	int fd;

	if (!blocks) {
		fprintf(stderr, "usage: guest-io PATH BLOCKS SECONDS\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_DIRECT | O_DSYNC, 0600);
	written = calloc(blocks, sizeof(*written));
	if (fd < 0 || !written || posix_memalign((void **)&buf, BLOCK, BLOCK) != 0)
		fail("open", 0);
	signal(SIGTERM, on_signal);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("started\n");
	for (end = now_us() + strtoull(argv[3], NULL, 10) * 1000000; !stop && now_us() < end;) {
		uint64_t b = (uint64_t)random() % blocks;

		if ((ops & 1) && written[b]) {
			check(fd, b);
		} else {
			fill(b, ++seq);
			if (pwrite(fd, buf, BLOCK, (off_t)b * BLOCK) != BLOCK)
				fail("write", b);
			written[b] = seq;
		}
		done();
	}
	for (uint64_t b = 0; b < blocks; b++)
		if (written[b]) {
			check(fd, b);
			verified++;
		}
	printf("ended ops %" PRIu64 " verified %" PRIu64 " gap_us %" PRIu64 " at_us %" PRIu64 "\n", ops, verified, worst_us,
	       worst_at_us);
	return 0;
}
