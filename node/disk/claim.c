/* SPDX-License-Identifier: GPL-2.0-or-later */
/* claim.c - see claim.h */
#include <errno.h>
#include <sys/file.h>

#include "node/disk/claim.h"

static int lock_first(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return flock(fd, LOCK_SH | LOCK_NB) ? -EWOULDBLOCK : 0;
	return errno == EWOULDBLOCK || errno == EINTR ? -EWOULDBLOCK : 0;
}

int claim_take(struct claim *c, int fd)
{
	int rc;

	pthread_mutex_lock(&c->lock);
	if (c->users)
		rc = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK ? -EWOULDBLOCK : 0;
	else
		rc = lock_first(fd);
	if (!rc)
		c->users++;
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void claim_drop(struct claim *c)
{
	pthread_mutex_lock(&c->lock);
	c->users--;
	pthread_mutex_unlock(&c->lock);
}
