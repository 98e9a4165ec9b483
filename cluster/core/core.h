/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core.h - the deterministic state machine of ownership and replication: (state, event) -> actions
 *
 * Theory of operation. The shell (cluster/) turns everything that happens into a struct core_event and carries
 * out the struct core_actions that come back, in their order. The core does no I/O, has no clock and no random
 * source: an event carries the monotonic time, and core_deadline() says when a CORE_EV_TICK is wanted. Equal
 * events give equal actions, so a simulated run replays exactly. The protocol: docs/architecture.md.
 *
 * Groups and nodes are named, never indexed, across this interface: a configuration may change in between.
 * Node ids are the 8-bit ids of the key. Pointers in an event are borrowed for the call (bodies are
 * reference-counted); pointers in actions are valid until the next core_step() or core_free().
 *
 * Context: pure; one thread; never blocks. Memory is allocated on configuration changes and for record bodies
 * only; running out of it aborts (a clusterd that cannot keep its state must not go on).
 */
#ifndef LUNWARD_CLUSTER_CORE_H
#define LUNWARD_CLUSTER_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CORE_MAX_NODES 16
#define CORE_MAX_GROUPS 1024
#define CORE_MAX_LUNS 1024       /* fence LUNs of one group */
#define CORE_NAME_MAX 64         /* with its NUL */
#define CORE_TEXT_MAX 384        /* with its NUL */
#define CORE_EPOCH_MAX 0xffffffu /* 24 bits in the key */
#define CORE_NEVER UINT64_MAX

/**
 * enum core_state - What this node is to one group
 *  Only set_state() in state.c writes it. Numbers travel in NodeState: append only.
 *    INIT        clusterd has just started; a target that outlived it may still serve. Nobody challenges us
 *                without the window. Leaves on Hello, or when the shell says there is no such process.
 *    STOPPED     stopped by the administrator. Nothing is taken until `group start`.
 *    STANDBY     target warm, nothing held. The only state in which a takeover may begin.
 *    BLOCKED     as STANDBY, but this node cannot serve the group now; core_group_view.why says why and what to do.
 *                Tried again by itself after a while, or at once when something relevant changes.
 *    READING     keys are being read from all fence LUNs; nothing decided. From here to WAITING a takeover is given
 *                up without a trace when the membership changes or somebody with a better right appears.
 *    FETCHING    our record is older than the key: a live member was asked for a newer one.
 *    INTENT      the record with our new epoch is being made stable here and at all live members. The key is
 *                still the former owner's.
 *    WAITING     challenge window, or grace for a clusterd that restarts. Ends with a second look at the key.
 *    TAKING      the arbitrating LUN is being taken: compare-and-swap. From here on the LUN knows us, if we win.
 *    TAKING_REST arbitration won; other fence LUNs in parallel.
 *    ACTIVATING  reservation held everywhere; target opens LUNs, addresses come up. Commits are not taken yet.
 *    ACTIVE      serving. The only state in which a commit may be answered.
 *    BUMPING     serving; commits held while the key moves to epoch+1 (or is only checked).
 *    DRAINING    planned move or stop: target finishes its tasks, still answers I/O; addresses still up.
 *    HANDOVER    target stopped, addresses down, final record on its way to all members; key still ours.
 *    FENCED      somebody else holds the LUNs: target is dropping everything, addresses go. Never back to
 *                ACTIVE but through STANDBY and a takeover.
 *    DROPPING    as FENCED, for another reason (quorum lost, no longer configured, forced stop): keys are left.
 *    RELEASING   keys are being removed from the LUNs on the administrator's wish.
 */
enum core_state {
	CORE_INIT, CORE_STOPPED, CORE_STANDBY, CORE_BLOCKED, CORE_READING, CORE_FETCHING, CORE_INTENT, CORE_WAITING,
	CORE_TAKING, CORE_TAKING_REST, CORE_ACTIVATING, CORE_ACTIVE, CORE_BUMPING, CORE_DRAINING, CORE_HANDOVER,
	CORE_FENCED, CORE_DROPPING, CORE_RELEASING,
	CORE_N_STATES,
};

/* A reservation key of this cluster, unpacked; epoch 0: no key. fence.h packs it (magic, cluster tag). */
struct core_key {
	uint8_t node;
	uint32_t epoch;
};

/*
 * Which version of a group's record: the key it was written under, and a number that never goes back under it.
 * @ahead: written ahead of the compare-and-swap that was to put the key on the LUN; nobody knows whether it came to that.
 * @base: the key that was in force when it was written: an ahead record serves under that one too.
 */
struct core_stamp {
	uint32_t epoch;
	uint8_t node;
	uint64_t seq;
	struct core_key base;
	bool ahead;
};

/* A record's body, opaque to the core (RecordBody, packed). Immutable once made. */
struct core_body {
	unsigned refs;
	size_t len;
	uint8_t data[];
};
struct core_body *core_body_new(const void *data, size_t len);  /* one reference, the caller's; @data may be NULL (zeroes) */
struct core_body *core_body_ref(struct core_body *b);           /* NULL stays NULL */
void core_body_unref(struct core_body *b);

/*
 * A record as it lies on disk and travels. The administrator's wish (stopped) has a generation of its own, since it
 * must be possible to stop a group that nobody owns; the larger generation wins, at a tie `stopped` does.
 */
struct core_record {
	struct core_stamp stamp;     /* epoch 0: none yet */
	struct core_body *body;      /* NULL: empty */
	bool warm;                   /* in memory somewhere ever since it was in force: see architecture.md, "Records" */
	uint64_t admin_gen;
	bool stopped;
	uint32_t high;               /* on disk: largest epoch this node knows of. A key of ours is always larger */
};

/* ---- configuration ---- */
struct core_node_conf { uint8_t id; const char *name; };
struct core_group_conf {
	const char *name;
	const uint8_t *nodes;        /* ids in order of preference */
	unsigned n_nodes;
	const char *const *luns;     /* fence LUNs: names, for people and to see what changed; the first arbitrates */
	unsigned n_luns;
	bool failback;               /* automatic */
};
struct core_conf {
	uint64_t version;
	const struct core_node_conf *nodes;
	unsigned n_nodes;
	const struct core_group_conf *groups;
	unsigned n_groups;
};

/* Times in ms; 0: the default in parentheses. */
struct core_options {
	uint32_t window_ms;          /* (400) challenge window */
	uint32_t grace_ms;           /* (4000) for a clusterd that died on a live node; longer than the address lease */
	uint32_t sync_ms;            /* (3000) wait for the states of all members of a ring */
	uint32_t ack_ms;             /* (5000) a member that does not acknowledge a record for so long is left behind */
	uint32_t drain_ms;           /* (2000) planned move: tasks in flight may finish */
	uint32_t hello_ms;           /* (3000) after a restart: surviving targets report */
	uint32_t retry_ms;           /* (2000) first wait after a failed attempt; doubles up to 32 times that */
	uint32_t fence_ms;           /* (15000) a LUN that does not answer for so long blocks this node */
	uint32_t activate_ms;        /* (20000) a target that does not become active for so long is restarted */
	uint32_t shutdown_ms;        /* (10000) longest clean shutdown */
};

/* ---- messages between cores: proto/cluster.proto as C structs; the shell only translates ---- */
enum core_msg_type {
	CORE_MSG_NODE_STATE, CORE_MSG_PUSH, CORE_MSG_ACK, CORE_MSG_FETCH, CORE_MSG_COMMAND, CORE_MSG_RESULT,
};

struct core_group_state {            /* GroupState */
	const char *group;
	enum core_state state;
	uint32_t key_epoch;          /* from TAKING_REST on: epoch of our key; 0: not the owner */
	struct core_stamp stamp;     /* of the stored record */
	bool warm;
	bool eligible;
	bool store_ok;               /* false: the disk refused the last record; do not count on us */
	uint64_t admin_gen;
	bool stopped;
	const char *why;
};
struct core_msg_node_state {         /* NodeState */
	uint64_t sync;               /* ring it answers to */
	uint64_t config_version;
	bool draining;               /* shutting down: takes nothing */
	bool full;                   /* all groups; otherwise only those that changed */
	const struct core_group_state *groups;
	unsigned n_groups;
};
struct core_msg_push {               /* RecordPush */
	const char *group;
	struct core_record record;
	uint8_t to[CORE_MAX_NODES];  /* only these store and acknowledge it: whoever is not listed must not */
	unsigned n_to;
	bool final;                  /* sender has stopped serving */
	uint8_t move_to;             /* with final: who should take the group; 0: the next in order */
};
struct core_msg_ack {                /* RecordAck */
	const char *group;
	struct core_stamp stamp;
	bool stored;
};
struct core_msg_fetch {              /* RecordFetch */
	const char *group;
	uint8_t from;                /* who is asked */
};

enum core_verb { CORE_VERB_NONE, CORE_VERB_START, CORE_VERB_STOP, CORE_VERB_MOVE, CORE_VERB_RELEASE };
struct core_msg_command {            /* GroupCommand */
	enum core_verb verb;
	const char *group;
	uint8_t to;                  /* MOVE; 0: whoever is next in order */
	bool force;
	uint64_t admin_gen;
	uint64_t cookie;
	uint8_t requester;
};
struct core_msg_result {             /* CommandResult */
	uint64_t cookie;
	uint8_t requester;
	bool ok, done;
	const char *text;
};
struct core_msg {
	enum core_msg_type type;
	union {
		struct core_msg_node_state node_state;
		struct core_msg_push push;
		struct core_msg_ack ack;
		struct core_msg_fetch fetch;
		struct core_msg_command command;
		struct core_msg_result result;
	};
};

/*
 * ---- fence operations: one at a time on each (group, LUN), results matched by id ----
 * How fencing/arbitrate.h maps: READ with a foreign key in its view is CORE_FENCE_FOREIGN here (found is filled in
 * all the same); every other verdict is the one of the same name. A result that comes late is no less welcome.
 */
enum core_fence_op {
	CORE_FENCE_READ,             /* who holds the LUN? */
	CORE_FENCE_TAKE,             /* @old: the holder that was read (epoch 0: none) -> @key ours, by compare-and-swap */
	CORE_FENCE_BUMP,             /* @old ours -> @key ours */
	CORE_FENCE_SWEEP,            /* holder @key: remove what other nodes of the cluster left registered */
	CORE_FENCE_RELEASE,          /* holder @key: all of this cluster's registrations go, and the reservation */
};
enum core_fence_status {
	CORE_FENCE_OK,               /* READ: done; others: verified by reading back */
	CORE_FENCE_LOST,             /* compare failed, nothing of ours is left behind; @found */
	CORE_FENCE_FOREIGN,          /* READ, TAKE: a key that is not of this cluster is registered or holds; @found */
	CORE_FENCE_ERROR,            /* @error; what is on the LUN is unknown */
};

/* ---- events ---- */
enum core_ev_type {
	CORE_EV_MEMBERS,        /* members: CPG configuration change */
	CORE_EV_QUORUM,         /* quorum: votequorum spoke */
	CORE_EV_MESSAGE,        /* message: from any member, own ones included, in CPG's order */
	CORE_EV_CONFIG,         /* conf: a new document is in force here */
	CORE_EV_FENCED_OP,      /* fence: a fence operation ended */
	CORE_EV_STORED,         /* stored: a CORE_ACT_STORE ended */
	CORE_EV_TARGET,         /* target: something about a target process */
	CORE_EV_ADDRESS,        /* address: answer to CORE_ACT_ADDRESS_*, or they failed later */
	CORE_EV_ADMIN,          /* admin: a command from lunwardctl on this node */
	CORE_EV_SHUTDOWN,       /* leave cleanly: hand over or stop, then CORE_ACT_EXIT */
	CORE_EV_TICK,           /* core_deadline() has come */
};

enum core_left_reason {
	CORE_LEFT_NODE_DOWN,    /* node or link: CPG_REASON_NODEDOWN */
	CORE_LEFT_PROCESS_DOWN, /* clusterd died on a live node: CPG_REASON_PROCDOWN */
	CORE_LEFT_CLEAN,        /* cpg_leave: CPG_REASON_LEAVE */
};
/*
 * One CPG configuration change. A node that left and came back in one step (another (nodeid, pid), or it comes from
 * another ring) is in both lists: first it left, then it is a member.
 * @ring: totem ring sequence. Nothing that needs quorum is done before votequorum has spoken for the same ring: an
 * owner in a minority that moved its key first would lock the majority out.
 * @sync: a number that all members derive equally from this change and that no other change has: a hash of the
 * ring sequence and the sorted (nodeid, pid) of all members. States sent before the change do not answer to it.
 */
struct core_ev_members {
	uint64_t ring;
	uint64_t sync;
	const uint8_t *members; /* present now, self included */
	unsigned n_members;
	const struct core_left { uint8_t node; enum core_left_reason reason; } *left;
	unsigned n_left;
};
struct core_ev_quorum { uint64_t ring; bool quorate; };
struct core_ev_message {
	uint8_t from;
	struct core_msg msg;
};
struct core_ev_fence {
	const char *group;
	uint64_t id;                   /* of the action */
	enum core_fence_status status;
	struct core_key found;         /* holder's key, if it was read; epoch 0: nothing held by this cluster */
	uint32_t max_epoch;            /* largest epoch of any registration of this cluster that was read */
	const char *error;             /* ERROR, FOREIGN: what and where, for people; may be NULL */
};
struct core_ev_stored { const char *group; uint64_t id; bool ok; const char *error; };

enum core_target_event {
	CORE_TARGET_HELLO,       /* @state, @key: a process reported (new, or one that outlived clusterd) */
	CORE_TARGET_ABSENT,      /* after start: no process of this group is alive */
	CORE_TARGET_CONFIGURED,  /* @error NULL: serves document @version; otherwise refused */
	CORE_TARGET_ACTIVATED,   /* @key; @error NULL: serving. @fenced: a LUN's holder was not @key */
	CORE_TARGET_DEACTIVATED, /* nothing is in flight any more, standby */
	CORE_TARGET_FENCED,      /* RESERVATION CONFLICT; it dropped everything by itself; @key */
	CORE_TARGET_REKEYED,     /* @key; @error NULL: done */
	CORE_TARGET_RECORD,      /* @ticket, @body: wants a change committed */
	CORE_TARGET_DIED,        /* process gone, and everything it had in flight */
	CORE_TARGET_HUNG,        /* no pong for long */
};
enum core_target_state { CORE_T_NONE, CORE_T_STANDBY, CORE_T_ACTIVATING, CORE_T_ACTIVE, CORE_T_QUIESCING, CORE_T_FENCED };
struct core_ev_target {
	const char *group;
	enum core_target_event what;
	enum core_target_state state;
	struct core_key key;
	uint64_t version;
	uint64_t ticket;
	struct core_body *body;        /* borrowed; the core takes its own reference */
	bool fenced;
	const char *error;
};
/* error NULL: as wanted. expired: gone unasked, our lease ran out while we stood still; nothing renews it until asked. */
struct core_ev_address { const char *group; bool up, expired; const char *error; };
struct core_ev_admin { uint64_t cookie; enum core_verb verb; const char *group; uint8_t to; bool force; };

struct core_event {
	uint64_t now;                  /* CLOCK_MONOTONIC, ms; never goes back */
	enum core_ev_type type;
	union {
		struct core_ev_members members;
		struct core_ev_quorum quorum;
		struct core_ev_message message;
		struct core_conf conf;
		struct core_ev_fence fence;
		struct core_ev_stored stored;
		struct core_ev_target target;
		struct core_ev_address address;
		struct core_ev_admin admin;
	};
};

/* ---- actions ---- */
enum core_act_type {
	CORE_ACT_SEND,           /* msg: multicast to all members */
	CORE_ACT_STORE,          /* store: make @record stable, then CORE_EV_STORED. At most one a group in flight */
	CORE_ACT_FENCE,          /* fence */
	CORE_ACT_TARGET_START,   /* group: fork one; Hello follows, or DIED */
	CORE_ACT_TARGET_CONFIGURE,   /* group: with the newest document */
	CORE_ACT_TARGET_ACTIVATE,    /* activate */
	CORE_ACT_TARGET_DEACTIVATE,  /* deactivate */
	CORE_ACT_TARGET_REKEY,       /* rekey */
	CORE_ACT_TARGET_COMMITTED,   /* committed */
	CORE_ACT_TARGET_KILL,        /* SIGKILL; DIED follows */
	CORE_ACT_TARGET_STOP,        /* StopTarget, no longer wanted; DIED may follow */
	CORE_ACT_ADDRESS_UP,         /* address: add what is missing, renew all from now on; remove what is no longer configured */
	CORE_ACT_ADDRESS_DOWN,       /* group: remove at once, stop renewing; CORE_EV_ADDRESS{up: false} follows */
	CORE_ACT_ADMIN_RESULT,       /* result: for a waiting lunwardctl on this node */
	CORE_ACT_EVENT,              /* event: log, and `lunwardctl events` */
	CORE_ACT_EXIT,               /* clean shutdown is complete: leave CPG and exit */
};
enum core_severity { CORE_INFO, CORE_WARNING, CORE_ERROR };

struct core_action {
	enum core_act_type type;
	const char *group;             /* NULL: the node */
	union {
		struct core_msg msg;
		struct { uint64_t id; struct core_record record; } store;
		struct {
			uint64_t id;
			const char *lun;    /* name: may be one that the configuration has just dropped */
			enum core_fence_op op;
			struct core_key old, key;
		} fence;
		struct { struct core_key key; struct core_body *body; bool cold; } activate;
		struct { bool drain; uint32_t timeout_ms; } deactivate;  /* drain: finish tasks, say goodbye, close silently */
		struct { struct core_key old, key; } rekey;
		struct { uint64_t ticket; bool ok; } committed;
		struct { bool announce; struct core_body *body; } address;   /* announce: ARP/NA, and tickle the body's connections */
		struct { uint64_t cookie; bool ok, done; const char *text; } result;
		struct { enum core_severity severity; const char *kind, *text; } event;  /* kind: a stable word */
	};
};
struct core_actions {
	const struct core_action *v;
	unsigned n;
};

/* ---- life ---- */
struct core_stored_record {
	const char *group;
	struct core_record record;     /* warm: the boot id beside the file is this boot's */
};
struct core_start {
	uint8_t self;
	struct core_options options;
	struct core_conf conf;
	const struct core_stored_record *records;
	unsigned n_records;
};
struct core;

/**
 * core_new() - A core that knows its configuration and what lies on its disk, but no members yet
 * Every group starts in CORE_INIT. For each the shell then reports a CORE_TARGET_HELLO or CORE_TARGET_ABSENT,
 * and CORE_EV_MEMBERS and CORE_EV_QUORUM once corosync has spoken; until then nothing is taken.
 */
struct core *core_new(const struct core_start *start, uint64_t now);
void core_free(struct core *c);

/** core_step() - Feed one event. Return: what to do, in this order; valid until the next call */
struct core_actions core_step(struct core *c, const struct core_event *ev);

/** core_deadline() - Return: time at which a CORE_EV_TICK is wanted, ms, or CORE_NEVER. Ask again after every step */
uint64_t core_deadline(const struct core *c);

/* ---- looking in (status) ---- */
struct core_member_view {
	uint8_t node;
	bool live, synced, draining;
	uint64_t config_version;
	enum core_state state;         /* of the group asked for */
	struct core_stamp stamp;
	bool eligible, current;        /* current: as far as the key is known here */
	const char *why;
};
struct core_lun_view {
	const char *name;
	enum core_fence_status status; /* of the last operation */
	struct core_key key;           /* last seen holder */
	const char *error;             /* NULL: none */
	bool busy;
};
struct core_group_view {
	const char *name;
	enum core_state state;         /* this node's */
	uint8_t owner;                 /* live member that serves or is about to; 0: nobody */
	enum core_state owner_state;
	struct core_key key;           /* of the arbitrating LUN, as last heard */
	struct core_stamp stamp;       /* our record */
	struct core_body *body;        /* our record; borrowed */
	bool stopped, addresses_up;
	uint64_t since;                /* ms, monotonic: last change of state or owner */
	const char *why;               /* empty: nothing wrong */
	unsigned n_nodes, n_luns;
};
/** core_group() - Return: false when there is no group number @i (0, 1, …, in order of names) */
bool core_group(const struct core *c, unsigned i, struct core_group_view *ret);
/** core_group_member() - What member number @i (order of preference) of group @group said last */
bool core_group_member(const struct core *c, const char *group, unsigned i, struct core_member_view *ret);
bool core_group_lun(const struct core *c, const char *group, unsigned i, struct core_lun_view *ret);
const char *core_state_name(enum core_state s);  /* "standby", … */

/** core_current() - May a node with a record of @r serve LUNs whose holder is @k? (architecture.md, "Keys and epochs") */
bool core_current(const struct core_stamp *r, const struct core_key *k);

#endif
