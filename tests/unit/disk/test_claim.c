/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_claim.c - one process at a time, to its last request in flight. A process is an open file description here */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/disk/claim.h"

static char path[] = "/tmp/lunward-test-claim.XXXXXX";

static int up(void **state)
{
	(void)state;
	return close(mkstemp(path));
}

static int down(void **state)
{
	(void)state;
	return unlink(path);
}

static int open_it(void)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* All descriptors of a process share the file; another process has to wait for all of them. */
static void one_process_at_a_time(void **state)
{
	struct claim ours = CLAIM_INIT, theirs = CLAIM_INIT;
	int a = open_it(), b = open_it(), other = open_it();

	(void)state;
	assert_int_equal(claim_take(&ours, a), 0);
	assert_int_equal(claim_take(&ours, b), 0);
	assert_int_equal(ours.users, 2);
	assert_int_equal(claim_take(&theirs, other), -EWOULDBLOCK);
	assert_int_equal(theirs.users, 0);
	claim_drop(&ours);
	close(a);
	assert_int_equal(claim_take(&theirs, other), -EWOULDBLOCK);
	claim_drop(&ours);
	close(b);
	assert_int_equal(ours.users, 0);
	assert_int_equal(claim_take(&theirs, other), 0);
	close(other);
}

/* The process is gone, a request that it submitted is not: it holds the description, as a duplicate does. */
static void a_request_outlives_its_process(void **state)
{
	struct claim dead = CLAIM_INIT, next = CLAIM_INIT;
	int fd = open_it(), other = open_it(), in_flight;

	(void)state;
	assert_int_equal(claim_take(&dead, fd), 0);
	in_flight = dup(fd);
	close(fd);
	assert_int_equal(claim_take(&next, other), -EWOULDBLOCK);
	close(in_flight);
	assert_int_equal(claim_take(&next, other), 0);
	close(other);
}

/* Being first means having been alone, but not keeping the others of the same process out. */
static void the_first_is_alone(void **state)
{
	struct claim c = CLAIM_INIT;
	int fd = open_it(), reader = open_it();

	(void)state;
	assert_int_equal(flock(reader, LOCK_SH), 0);
	assert_int_equal(claim_take(&c, fd), -EWOULDBLOCK);
	assert_int_equal(flock(reader, LOCK_UN), 0);
	assert_int_equal(claim_take(&c, fd), 0);
	assert_int_equal(flock(reader, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(flock(reader, LOCK_SH | LOCK_NB), 0);
	close(reader);
	close(fd);
}

/* What knows no locks has nothing to wait for that could be seen. */
static void without_locks(void **state)
{
	struct claim c = CLAIM_INIT;
	int fd = open(path, O_PATH | O_CLOEXEC);

	(void)state;
	assert_int_equal(claim_take(&c, fd), 0);
	assert_int_equal(c.users, 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_process_at_a_time),
		cmocka_unit_test(a_request_outlives_its_process),
		cmocka_unit_test(the_first_is_alone),
		cmocka_unit_test(without_locks),
	};

	return cmocka_run_group_tests(tests, up, down);
}
