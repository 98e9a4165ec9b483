/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterd.h - the test as clusterd: the socket, a target process, an initiator; all in one loop */
#ifndef TESTS_UNIT_NODE_CLUSTERD_H
#define TESTS_UNIT_NODE_CLUSTERD_H

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <sys/types.h>

#include "proto/target.pb-c.h"
#include "tests/unit/node/array.h"

#define GROUP "g"
#define TARGET_IQN "iqn.2026-11.org.example:g"

struct clusterd {
	struct array array;
	char dir[64];
	unsigned port;               /* of the portal */
	void *zmq, *sock;
	pid_t pid;                   /* the target process */
	Lunward__FromTarget *got[32];/* messages nobody has waited for yet */
	unsigned n_got;
};

/* One libiscsi session: what has become of its login, and of its last command. */
struct client {
	struct iscsi_context *ctx;
	bool connected, logged_in, done;
	int status;                  /* of the last command */
	int key, asc_ascq;           /* its sense */
	uint8_t in[512];
	bool broken;                 /* libiscsi gave up */
};

/** clusterd_network() - A network of our own, with the portal's address on lo. Return: false if that is not permitted */
#define PORTAL "192.0.2.50"
bool clusterd_network(void);
void clusterd_up(struct clusterd *c);        /* array, socket, target process */
void clusterd_down(struct clusterd *c);      /* the process has to end well */
void clusterd_socket(struct clusterd *c, bool on);  /* clusterd itself dies, and comes back */
void clusterd_send(struct clusterd *c, Lunward__ToTarget *m);
/** clusterd_wait() - The next message of this kind; others are kept. @cl: served meanwhile, may be NULL. Free it. */
Lunward__FromTarget *clusterd_wait(struct clusterd *c, Lunward__FromTarget__MsgCase what, struct client *cl);
/** clusterd_round() - Ping and pong: all that was sent before has been dealt with by the control thread */
void clusterd_round(struct clusterd *c, struct client *cl);
bool clusterd_has(const struct clusterd *c, Lunward__FromTarget__MsgCase what);
void clusterd_exit(struct clusterd *c, int *ret_status);  /* wait for the end of the process */
char *clusterd_yaml(const struct clusterd *c, const char *group);  /* free it */

/* shorthands; each asserts that it goes well */
void clusterd_configure(struct clusterd *c);
void clusterd_activate(struct clusterd *c, uint64_t key);
void clusterd_commit(struct clusterd *c, bool ok, struct client *cl);  /* wait for a change and answer it */
void clusterd_commit_all(struct clusterd *c, struct client *cl);       /* what there is, and what follows from it */

void client_login(struct client *cl, const struct clusterd *c, unsigned isid);
void client_command(struct client *cl, const uint8_t *cdb, int cdb_len, const void *out, size_t out_len, size_t in_len);
void client_close(struct client *cl);
/** serve() - One turn: client and socket; up to @ms */
void serve(struct clusterd *c, struct client *cl, int ms);
/** client_peer_closed() - Has a FIN or RST come? Context: nothing is left to be read but that */
bool client_peer_closed(const struct client *cl);

#endif
