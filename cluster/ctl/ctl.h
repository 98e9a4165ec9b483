/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl.h - what the files of cluster/ctl share: a map of the folder */
#ifndef LUNWARD_CTL_CTL_H
#define LUNWARD_CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "node/util/util.h"
#include "proto/ctl.pb-c.h"

#define CTL_WIDTH 96      /* longest line of running text */

/**
 * enum ctl_exit - What the program returns; lunwardctl(8) documents them
 *   CTL_OK          done
 *   CTL_FAILED      the operation failed, or the document has errors
 *   CTL_USAGE       the command line is wrong
 *   CTL_NO_CLUSTERD clusterd cannot be reached or does not answer in time
 *   CTL_NOT_SERVED  `status` succeeded and shows something that is not served
 */
enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NO_CLUSTERD = 3, CTL_NOT_SERVED = 4 };

/* ---- args.c: the command line and the table of commands ---- */
enum ctl_opt {
	OPT_JSON = 1 << 0,
	OPT_TIMEOUT = 1 << 1,
	OPT_HELP = 1 << 2,
	OPT_VERSION = 1 << 3,
	OPT_DRY_RUN = 1 << 4,
	OPT_FORCE = 1 << 5,
	OPT_FOLLOW = 1 << 6,
	OPT_AFTER = 1 << 7,
	OPT_LIMIT = 1 << 8,
	OPT_STANDALONE = 1 << 9,
	OPT_FILES = 1 << 10,
};
#define OPT_GLOBAL (OPT_JSON | OPT_TIMEOUT | OPT_HELP | OPT_VERSION)

struct ctl_args {
	unsigned opts;            /* enum ctl_opt: those given */
	int timeout_ms;           /* 0: the command's own */
	uint64_t after;
	uint32_t limit;
	char **word;              /* what follows the command's name */
	int n_word;
	FILE *out, *err;
};

struct ctl_command {
	const char *name;         /* one or two words */
	const char *args;         /* as in a synopsis */
	int min, max;             /* words after the name */
	unsigned opts;            /* allowed beside the global ones */
	int timeout_ms;
	const char *summary;      /* one line */
	const char *help;         /* what --help adds */
	enum ctl_exit (*run)(const struct ctl_command *cmd, const struct ctl_args *a);
};
extern const struct ctl_command ctl_commands[];
extern const size_t ctl_n_commands;

/** ctl_main() - All of the program but its standard streams. Return: enum ctl_exit */
int ctl_main(int argc, char **argv, FILE *out, FILE *err);

/* ---- link.c: the conversation with clusterd ---- */
struct ctl_link;
/**
 * link_open() - Connect to clusterd's control socket in the run directory
 * Return: 0; -errno, with the reason and what to do in @why (malloc()ed)
 */
int link_open(struct ctl_link **ret, char **why);
void link_close(struct ctl_link *l);
/** link_send() - Send a request; fills in its version. Return: 0 or -errno */
int link_send(struct ctl_link *l, Lunward__CtlRequest *req);
/**
 * link_receive() - The next reply
 * @timeout_ms: how long to wait; < 0: for ever
 * @ret: to be freed with lunward__ctl_reply__free_unpacked()
 * Return: 0; -ETIMEDOUT; -ECONNRESET: clusterd went away; -EPROTO: not understood, or another version; -errno
 */
int link_receive(struct ctl_link *l, int timeout_ms, Lunward__CtlReply **ret, char **why);

/* ---- json.c ---- */
/** json_message() - A message as one JSON object: all fields, names as in the .proto files
 * 64-bit keys are strings of hex digits (JSON numbers are doubles), addresses are text, other bytes are hex.
 * @pretty: indented on several lines; otherwise one line. Ends with a line break.
 */
void json_message(FILE *f, const ProtobufCMessage *m, bool pretty);
/** json_string() - @s quoted and escaped; what is no UTF-8 becomes U+FFFD */
void json_string(FILE *f, const char *s);

/* ---- table.c ---- */
struct table;
/** table_new() - @head: column titles, separated by |; a title that starts with > has its column at the right */
struct table *table_new(const char *head);
/** table_cell() - The next cell, row by row */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** table_note() - A line of its own below the current row, wrapped at CTL_WIDTH */
void table_note(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** table_print() - Print and free it. @indent: spaces before each line */
void table_print(struct table *t, FILE *f, int indent);
/** text_wrap() - Running text, wrapped at CTL_WIDTH, each line indented */
void text_wrap(FILE *f, int indent, const char *s);

/* ---- words.c: numbers and addresses for people ---- */
#define WORD_MAX 80
char *word_age(int64_t ms, char buf[WORD_MAX]);             /* "3 min" */
char *word_bytes(uint64_t bytes, char buf[WORD_MAX]);       /* "1.5 GiB" */
char *word_endpoint(ProtobufCBinaryData ip, uint32_t port, char buf[WORD_MAX]);  /* "192.0.2.7:49152" */
char *word_hex(ProtobufCBinaryData b, char buf[WORD_MAX]);
char *word_time(uint64_t us, char buf[WORD_MAX]);           /* local time, to the microsecond */

/* ---- status.c, group.c, lists.c: messages for people ---- */
/** status_print() - The one screen: what is served where, what is not and why not
 * @note: what clusterd has to say beside; may be empty. @now_ms: CLOCK_REALTIME
 */
void status_print(FILE *f, const Lunward__CtlStatus *s, const char *note, uint64_t now_ms);
/** status_served() - Is this node in the cluster, and every group active, with all its portals and LUNs */
bool status_served(const Lunward__CtlStatus *s);
bool group_served(const Lunward__GroupStatus *g);
/** group_print() - One group in full */
void group_print(FILE *f, const Lunward__CtlStatus *s, const Lunward__GroupStatus *g, uint64_t now_ms);
const char *node_name(const Lunward__CtlStatus *s, uint32_t id, char buf[WORD_MAX]);
void sessions_print(FILE *f, const Lunward__CtlSessions *s, uint64_t now_ms);
void reservations_print(FILE *f, const Lunward__CtlReservations *r);
void event_print(FILE *f, const Lunward__CtlEvent *e);

/* ---- call.c: one request, its progress, its outcome ---- */
static inline void cleanup_linkp(struct ctl_link **l) { link_close(*l); }
static inline void cleanup_replyp(Lunward__CtlReply **r)
{
	if (*r)
		lunward__ctl_reply__free_unpacked(*r, NULL);
}
#define _cleanup_link_ __attribute__((cleanup(cleanup_linkp)))
#define _cleanup_reply_ __attribute__((cleanup(cleanup_replyp)))

/** ctl_call() - Send @req, print its progress, wait for its final reply. What goes wrong has been said */
enum ctl_exit ctl_call(const struct ctl_command *cmd, const struct ctl_args *a, Lunward__CtlRequest *req,
		       Lunward__CtlReply **ret);
/** ctl_ask(), ctl_answer() - The two halves: send; the next reply that is no error. @n: how many came before */
enum ctl_exit ctl_ask(struct ctl_link **l, const struct ctl_args *a, int timeout_ms, Lunward__CtlRequest *req);
enum ctl_exit ctl_answer(struct ctl_link *l, const struct ctl_args *a, int timeout_ms, unsigned n,
			 Lunward__CtlReply **ret);
/** ctl_done() - What was done: the reply's text, or @otherwise */
enum ctl_exit ctl_done(const struct ctl_args *a, const Lunward__CtlReply *r, const char *otherwise);
enum ctl_exit ctl_wrong_reply(const struct ctl_args *a);
/** ctl_fail() - An error for people or, with --json, for programs. Return: @code */
enum ctl_exit ctl_fail(const struct ctl_args *a, enum ctl_exit code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint64_t ctl_now_ms(void);

/* ---- commands.c, document.c: the commands' functions ---- */
enum ctl_exit cmd_status(const struct ctl_command *cmd, const struct ctl_args *a);
enum ctl_exit cmd_apply(const struct ctl_command *cmd, const struct ctl_args *a);
enum ctl_exit cmd_config(const struct ctl_command *cmd, const struct ctl_args *a);
enum ctl_exit cmd_group(const struct ctl_command *cmd, const struct ctl_args *a);
enum ctl_exit cmd_sessions(const struct ctl_command *cmd, const struct ctl_args *a);
enum ctl_exit cmd_reservations(const struct ctl_command *cmd, const struct ctl_args *a);
enum ctl_exit cmd_events(const struct ctl_command *cmd, const struct ctl_args *a);
enum ctl_exit cmd_check(const struct ctl_command *cmd, const struct ctl_args *a);

#endif
