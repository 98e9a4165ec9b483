/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiet.c - is a device still used by a process, or by what is left of one in the kernel? See node/disk/claim.h */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "fencing/transport.h"
#include "node/util/util.h"

bool fence_in_use(const char *spec)
{
	_cleanup_close_ int fd = *spec == '/' ? open(spec, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}
