/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake.h - a clusterd that answers from a script over real ZeroMQ, and messages to answer with */
#ifndef LUNWARD_TEST_CTL_FAKE_H
#define LUNWARD_TEST_CTL_FAKE_H

#include "cluster/ctl/ctl.h"

/* ---- messages.c; all of them static, valid until the next call ---- */
const Lunward__CtlStatus *fake_status_healthy(void);
const Lunward__CtlStatus *fake_status_trouble(void);
const Lunward__CtlStatus *fake_status_empty(void);
const Lunward__CtlStatus *fake_status_lonely(void);
const Lunward__CtlSessions *fake_sessions(void);
const Lunward__CtlReservations *fake_reservations(void);
const Lunward__CtlEvents *fake_events(unsigned first, unsigned n);

/* ---- server.c ---- */
/* Answers each request by @reply: called with n = 0, 1, … until it returns false, to fill the n-th reply. */
typedef bool fake_reply(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *reply);
struct fake_server;
struct fake_server *fake_start(const char *run_dir, fake_reply *reply);
/** fake_stop() - Also makes the connections of clients go away */
void fake_stop(struct fake_server *s);

#endif
