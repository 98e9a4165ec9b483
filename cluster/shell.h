/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shell.h - struct clusterd, and the files that know it
 *
 * clusterd.h has the parts that stand alone. Here is what joins them to the core: each file turns one kind of
 * happening into core events, and one kind of core action into I/O. All of it runs on the loop; nothing blocks.
 *
 * Titles below are files.
 */
#ifndef LUNWARD_SHELL_H
#define LUNWARD_SHELL_H

#include "cluster/clusterd.h"
#include "cluster/conf/conf.h"
#include "cluster/core/core.h"
#include "cluster/wire.h"
#include "fencing/fence.h"
#include "proto/ctl.pb-c.h"
#include "proto/target.pb-c.h"

#define NODE_ID_MAX 255u  /* 8 bits in the reservation key */

/* ---- supervise.c: the process of one group ---- */
#define LISTENERS_MAX 64
/**
 * enum target_life - What we know of a group's process
 *   LIFE_NONE       none that we know of
 *   LIFE_RUNNING    a process, watched through @pidfd; ours or one that outlived an earlier clusterd
 */
enum target_life { LIFE_NONE, LIFE_RUNNING };
struct target {
	enum target_life life;
	pid_t pid;
	int pidfd;                  /* -1: none */
	bool child;                 /* ours to wait for */
	bool hello;                 /* it has said who it is */
	bool hung;                  /* reported; ends with its death */
	bool wanted_gone;           /* told to stop */
	uint64_t heard_ns;          /* last sign of life, CLOCK_MONOTONIC */
	uint64_t ping;              /* last cookie sent */
	struct { char portal[128]; int fd; } listener[LISTENERS_MAX];  /* duplicates, for its successor */
	size_t n_listeners;
	Lunward__TargetReport *report;  /* newest, for whoever asked */
};

/* ---- one group of the configuration, or one that has just left it and is being given up ---- */
struct group {
	struct list link;
	struct clusterd *d;
	char name[CORE_NAME_MAX];
	bool configured;
	struct target target;
	/* portals.c */
	struct list portals;        /* struct portal */
	bool serve;                 /* addresses shall be up */
	bool address_said, address_ok;  /* what the core was told last */
	/* fenceglue.c */
	struct list fences;         /* struct fence_lun */
};

/* ---- events.c: what happened, for `lunwardctl events` ---- */
#define EVENTS_MAX 4096u
struct event {
	uint64_t id, at_us;
	char *group, *kind, *text;
	enum core_severity severity;
};
struct events {
	struct event ring[EVENTS_MAX];
	uint64_t next;              /* id of the next one; the first is 1 */
};

/* ---- what peers say of their documents (config.c) ---- */
struct peer {
	bool live;                  /* its clusterd is a CPG member */
	uint64_t config_version, config_hash;
	char refused[WIRE_WHY_MAX]; /* why its messages are not understood; empty: they are */
};

struct clusterd {
	qb_loop_t *loop;
	void *zmq;
	char *run_dir, *state_dir;
	uint32_t incarnation;
	bool exiting;
	int exit_code;

	struct core *core;          /* NULL until corosync has told our node id */
	uint8_t self;
	struct nodelist nodes;
	struct peer peer[NODE_ID_MAX + 1];
	bool quorate;

	struct corosync *corosync;
	struct store *store;
	struct netlink *netlink;
	struct announcer *announcer;
	struct tickler *tickler;
	struct fence_mailbox *fences;
	struct zsock *target_sock, *ctl_sock;
	struct ctlsrv *ctlsrv;
	struct gathers *gathers;
	struct list groups;         /* struct group, in no order */
	struct events events;

	/* config.c */
	struct conf *conf;          /* in force; NULL: none */
	char *yaml;
	uint64_t config_version, config_hash;
	char config_note[256];      /* what is wrong with the stored document; empty: nothing */
	struct applying *applying;

	/* shell.c */
	bool feeding;
	struct list late;
	qb_loop_timer_handle tick;
	uint64_t tick_at;
	qb_loop_timer_handle second, lease;
	uint64_t looked_ns;         /* when `second` ran last */
};

/* ---- shell.c: events in, actions out ---- */
/**
 * shell_feed() - Give the core an event and carry out what it answers
 * @ev: `now` is filled in. From within an action (target, address, fence and stored events only) it is copied and
 *      fed once all actions are carried out.
 */
void shell_feed(struct clusterd *d, struct core_event *ev);
/** shell_start_core() - Make the core, once our node id is known */
void shell_start_core(struct clusterd *d);
struct group *shell_group_find(struct clusterd *d, const char *name);
/** shell_group() - As shell_group_find(), making it */
struct group *shell_group(struct clusterd *d, const char *name);
/** shell_group_view() - What the core says of a group. Return: false: it does not know it */
bool shell_group_view(const struct clusterd *d, const char *name, struct core_group_view *ret);
const char *shell_node_name(const struct clusterd *d, unsigned id, char buf[CORE_NAME_MAX]);
/** shell_node_id() - Return: 0: no such node in corosync's nodelist */
unsigned shell_node_id(const struct clusterd *d, const char *name);
uint64_t key_pack(const struct clusterd *d, struct core_key k);
/** key_unpack() - Epoch 0 for anything that is no key of this cluster */
struct core_key key_unpack(const struct clusterd *d, uint64_t key);

/* ---- records.c: the core's records on disk ---- */
void records_store(struct clusterd *d, const struct core_action *a);
/** records_load() - All records on disk, for core_new(). Damaged ones are reported and left out */
struct core_stored_record *records_load(struct clusterd *d, unsigned *ret_n);
void records_unload(struct core_stored_record *v, unsigned n);

/* ---- corosync.c: membership, quorum and messages ---- */
int corosync_start(struct clusterd *d);
void corosync_stop(struct clusterd *d);
/** corosync_send() - Takes what wire_pack made. Dropped while there is no connection */
void corosync_send(struct clusterd *d, uint8_t *packed, size_t len);
/** corosync_send_pb() - A message of the shell's own */
void corosync_send_pb(struct clusterd *d, Lunward__ClusterMessage *pb);
bool corosync_up(const struct clusterd *d);
/** corosync_note() - What is wrong with the connection; empty: nothing */
const char *corosync_note(const struct clusterd *d);

/* ---- portals.c: the addresses of a group ---- */
struct portal {
	struct list link;
	struct ip ip;
	uint8_t prefix;
	char *dev;           /* configured device, or NULL: by subnet */
	char *text;          /* as configured */
	int ifindex;         /* where it is, or was put last; 0: unknown */
	bool prefix_route;
	bool up;             /* the kernel took the last renewal */
	uint64_t renewed_ns; /* CLOCK_MONOTONIC of that */
	int error;           /* -errno of the last attempt; 0 */
};
void portals_configure(struct group *g, const struct conf_group *cg);
/** portals_up() - Add and keep renewed. @body: RecordBody whose connections are tickled; NULL: none */
void portals_up(struct group *g, bool announce, const struct core_body *body);
void portals_down(struct group *g);
void portals_renew_all(struct clusterd *d);
void portals_free(struct group *g);
/** portals_leftover() - At start-up: name addresses of ours that are still there */
void portals_leftover(struct clusterd *d);

/* ---- fenceglue.c: the core's fence operations on devices ---- */
struct fence_lun {
	struct list link;
	struct group *group;
	char *spec;
	struct fence_dev *dev;      /* NULL: could not be opened, see @error */
	char error[FENCE_TEXT];
	unsigned pending;
	bool dropped;               /* no longer configured: closed once nothing is pending */
	uint64_t dropped_ns;
};
void fences_configure(struct group *g, const struct conf_group *cg);
void fences_submit(struct clusterd *d, const struct core_action *a);
void fences_free(struct group *g);
/** fences_tick() - Once a second: close what has been dropped */
void fences_tick(struct group *g);
int32_t fences_mail(int32_t fd, int32_t revents, void *data);

/* ---- supervise.c ---- */
void process_init(struct target *t);
/** process_start() - Fork one; DIED is fed if that fails */
void process_start(struct group *g);
void process_kill(struct group *g);
/** process_adopt() - A process said Hello: watch it. Return: false: there is no such process */
bool process_adopt(struct group *g, pid_t pid);
/** process_resume() - After our own start: is a process of this group alive? Feeds ABSENT if not */
void process_resume(struct group *g);
void process_listeners(struct group *g, const Lunward__Configured *c);
void process_tick(struct group *g);   /* once a second: ping, notice hung ones */
void process_forget(struct group *g); /* close descriptors; the process stays */

/* ---- targetlink.c: messages with target processes ---- */
int targetlink_start(struct clusterd *d);
void targetlink_configure(struct group *g);
void targetlink_activate(struct group *g, const struct core_action *a);
void targetlink_deactivate(struct group *g, const struct core_action *a);
void targetlink_rekey(struct group *g, const struct core_action *a);
void targetlink_committed(struct group *g, const struct core_action *a);
void targetlink_stop(struct group *g);
void targetlink_ping(struct group *g);
/** targetlink_query() - Ask for a report; report_arrived() is called with @cookie. Return: 0 or -errno */
int targetlink_query(struct group *g, uint64_t cookie);

/* ---- config.c: the document, and how it changes ---- */
/** config_load() - From the state directory */
void config_load(struct clusterd *d);
/** config_core() - For core_new() and CORE_EV_CONFIG; config_core_free() it */
struct core_conf *config_core(struct clusterd *d);
void config_core_free(struct core_conf *c);
/** config_spread() - Groups, portals and fence devices follow the document in force */
void config_spread(struct clusterd *d);
void config_push(struct clusterd *d, uint8_t from, const Lunward__ConfigPush *m);
struct client;
/** config_peer() - A member told its version: catch up with it, or help it to */
void config_peer(struct clusterd *d, uint8_t from, uint64_t version, uint64_t hash);

/* ---- apply.c: an administrator's apply, on the node where it was asked for ---- */
void apply_start(struct clusterd *d, const struct client *who, const Lunward__CtlApplyRequest *req, uint32_t timeout_ms);
void apply_ack(struct clusterd *d, uint8_t from, const Lunward__ConfigAck *m);
void apply_members_changed(struct clusterd *d);
void apply_cancel(struct clusterd *d);

/* ---- report.c: what the targets of all nodes know ---- */
/** report_gather() - Ask all members (STATUS, SESSIONS, RESERVATIONS) and answer @who */
void report_gather(struct clusterd *d, const struct client *who, Lunward__ReportRequest__What what, const char *group);
void report_request(struct clusterd *d, uint8_t from, const Lunward__ReportRequest *m);
void report_reply(struct clusterd *d, uint8_t from, const Lunward__Report *m);
/** report_arrived() - A target of ours answered a query */
void report_arrived(struct group *g, const Lunward__TargetReport *r);
void report_members_changed(struct clusterd *d);
int report_init(struct clusterd *d);
void report_fini(struct clusterd *d);

/* ---- pool.c: memory that goes all at once, for building messages ---- */
struct pool { struct pool_chunk *first; };
void *pool_alloc(struct pool *p, size_t n);              /* zeroed */
char *pool_text(struct pool *p, const char *s);          /* NULL: "" */
char *pool_fmt(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** pool_push() - Append to an array of pointers that lives in the pool */
void pool_push(struct pool *p, void *array_of_pointers, size_t *n, void *item);
void pool_free(struct pool *p);

/* ---- status.c: messages for the administrator ---- */
/** status_fill() - The whole cluster as this node sees it; @remote: what other members reported, merged in */
void status_fill(struct clusterd *d, struct pool *p, Lunward__CtlReply *reply, Lunward__CtlReply *const *remote, size_t n);
/** status_local() - What this node's target of @g knows, into @reply (as @what asks) */
void status_local(struct group *g, struct pool *p, Lunward__CtlReply *reply, Lunward__ReportRequest__What what);
/** status_merge() - SESSIONS or RESERVATIONS of several replies into one */
void status_merge(struct pool *p, Lunward__CtlReply *reply, Lunward__CtlReply *const *part, size_t n);

/* ---- events.c ---- */
void event_add(struct clusterd *d, const char *group, enum core_severity severity, const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void events_free(struct events *e);
/** events_reply() - Those after id @after (0: from the oldest), at most @limit, the newest if more. Return: last id */
Lunward__CtlEvent *event_message(struct pool *p, const struct event *e);  /* borrows the texts */
uint64_t events_reply(struct clusterd *d, struct pool *p, Lunward__CtlReply *reply, uint64_t after, uint32_t limit);

/* ---- ctlsrv.c: lunwardctl's requests ---- */
#define CLIENT_ID_MAX 64
struct client { uint8_t id[CLIENT_ID_MAX]; size_t len; };
int ctlsrv_start(struct clusterd *d);
void ctlsrv_stop(struct clusterd *d);
/** ctl_reply() - Send; version is filled in. Return: 0; -EHOSTUNREACH: it is gone */
int ctl_reply(struct clusterd *d, const struct client *c, Lunward__CtlReply *reply);
int ctl_error(struct clusterd *d, const struct client *c, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** ctlsrv_result() - A group command has news (CORE_ACT_ADMIN_RESULT) */
void ctlsrv_result(struct clusterd *d, uint64_t cookie, bool ok, bool done, const char *text);
/** ctlsrv_event() - Tell those who follow */
void ctlsrv_event(struct clusterd *d, const struct event *e);
void ctlsrv_tick(struct clusterd *d);
uint64_t next_cookie(struct clusterd *d);

#endif
