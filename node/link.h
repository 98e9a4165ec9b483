/* SPDX-License-Identifier: GPL-2.0-or-later */
/* link.h - messages to and from clusterd (proto/target.proto). Context: the control thread */
#ifndef LUNWARD_NODE_LINK_H
#define LUNWARD_NODE_LINK_H

#include "node/node.h"

struct link;

/**
 * link_open() - Connect to clusterd, now or whenever it is there
 * @path:	of its socket
 * @identity:	the group's name
 * @met:	a connection to a (new) clusterd is up: say Hello
 * @got:	a message; valid during the call
 *
 * Return: NULL if it cannot be, said on the log. Does not wait, and
 * calls nobody: @met and @got come from the loop.
 */
struct link *link_open(struct control *ctl, const char *path, const char *identity, void (*met)(struct control *),
		       void (*got)(struct control *, const Lunward__ToTarget *));
/** link_send() - Send; while clusterd is away messages wait. @m: version is filled in */
void link_send(struct link *l, Lunward__FromTarget *m);
/** link_end() - Leave the loop: nothing is sent or received any more. @l may be NULL */
void link_end(struct link *l);
/** link_close() - Free it, once no message to the control thread is left that may use it. @l may be NULL */
void link_close(struct link *l);

#endif
