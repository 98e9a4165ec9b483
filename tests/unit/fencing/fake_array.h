/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_array.h - an iSCSI target on loopback, with the model device behind it, that misbehaves on demand
 *
 * It has one thread; the functions below may be called from the test's.
 */
#ifndef LUNWARD_TESTS_FAKE_ARRAY_H
#define LUNWARD_TESTS_FAKE_ARRAY_H

#include "tests/unit/fencing/lun_model.h"

#define ARRAY_TARGET "iqn.2026-11.org.example:array"

/* What is done to the next PERSISTENT RESERVE OUT with a given service action, once. */
enum array_fault {
	ARRAY_GOOD,
	ARRAY_CLOSE_BEFORE,  /* connection closed, command not executed */
	ARRAY_CLOSE_AFTER,   /* executed, connection closed instead of an answer */
	ARRAY_SILENT,        /* executed, no answer */
};

enum array_login { ARRAY_ADMIT, ARRAY_PARK, ARRAY_REFUSE, ARRAY_MOVED, ARRAY_CHAP };

struct array_seen {
	unsigned int logins;          /* admitted */
	unsigned int asked;           /* all that reached the end of negotiation */
	char initiator[2][64];        /* of the first and the last login */
	uint8_t isid[2][6];
	unsigned int sent[FENCE_CMD__MAX];
};

struct array;

struct array *array_start(void);
void array_stop(struct array *a);
/** array_spec() - iscsi://127.0.0.1:port/…/1, valid as long as the array; @userinfo: "user%password@" or "" */
const char *array_spec(struct array *a, const char *userinfo);
void array_fault(struct array *a, enum fence_cmd_op op, enum array_fault fault);
void array_set_login(struct array *a, enum array_login login);
/** array_moved_to() - With ARRAY_MOVED */
void array_moved_to(struct array *a, const struct array *other);
void array_drop_all(struct array *a);            /* close every connection */
void array_power_loss(struct array *a);          /* unit attentions for everybody */
void array_look(struct array *a, struct array_seen *seen, struct lun_model *lun);
/** array_wait() - Until @n logins were admitted (or, @asked, have asked); a minute at most. Return: that came true */
bool array_wait(struct array *a, unsigned int n, bool asked);

#endif
