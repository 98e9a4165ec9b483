/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * internal.h - private map of the core: its state, and one section a file
 *
 * Conventions. `c` is the core, `g` a group. Handlers change state and emit actions; when an event has been handled,
 * step.c lets evaluate.c look at every group marked dirty until nothing changes any more, and then announces what
 * changed. So a handler need not think of consequences outside of its own concern: it marks the group dirty.
 * Functions shared between files have the prefix co_, so that nothing clashes with the shell they are linked into.
 * Peers are known by slot (a bit of a pset); a slot keeps its node for as long as it is configured or live.
 */
#ifndef LUNWARD_CORE_INTERNAL_H
#define LUNWARD_CORE_INTERNAL_H

#include <string.h>

#include "cluster/core/core.h"
#include "node/util/util.h"

#include "cluster/core/mutants.h"

typedef uint32_t pset;               /* set of peer slots */
#define BIT(slot) ((pset)1 << (slot))
#define NO_SLOT CORE_MAX_NODES

/* Lengths of time that are nobody's to configure, ms. */
#define HEARTBEAT_MS 100u            /* while we hold something: so that we notice when we were stopped */
#define BEAT_MS 1000u                /* longest silence of a core that lives */
#define FETCH_MS 2000u
#define INTENT_MS 1000u              /* wait for members to store an intent; who is slower is left behind */
#define HANDOVER_MS 1000u
#define LUN_RETRY_MS 1000u
#define DECISION_MS 900u             /* nobody can be missed, another node take a LUN that nobody holds, and let it go, in less */
#define STORE_RETRY_MS 5000u
#define HOLD_MS 10000u               /* a member left behind is tried again after */
#define CHECK_MS 10000u              /* an owner looks at its key, unasked */
#define PATIENCE_MS 3000u            /* for each candidate before us that should begin and does not */
#define FAILBACK_MS 5000u
#define DROP_MS 5000u                /* a target that does not drop is killed */
#define CRASH_WINDOW_MS 3000u     /* a process that lived longer than this after its restart is no crash loop */
#define CRASH_LIMIT 3u
#define REQUEST_MS 60000u
#define QUEUE_MAX 16u

enum timer {
	TM_PHASE,                    /* of the state; co_set_state() cancels it */
	TM_RETRY,                    /* BLOCKED → STANDBY, and whatever co_evaluate() wants to look at again */
	TM_ACK,                      /* members that have not acknowledged */
	TM_STORE,                    /* disk failed: try again */
	TM_CHECK,                    /* owner looks at its key; converge of LUNs */
	TM_TARGET,                   /* target process: hello, configure, drop, restart */
	TM_FAILBACK,
	N_TIMERS,
};

struct peer {
	bool used, configured, live, synced, draining;
	bool silent;                 /* live, but says nothing any more: not synced, until it speaks again */
	bool gone;                   /* was a member before, and left: the next two are valid */
	enum core_left_reason why_left;
	uint8_t id;
	char name[CORE_NAME_MAX];
	uint64_t left_at, heard_at;
	uint64_t config_version;
};

/* What a peer said of a group last; kept when it leaves. */
struct view {
	bool known, warm, eligible, store_ok;
	enum core_state state;
	uint32_t key_epoch;
	struct core_stamp stamp;
	uint64_t hold_until;         /* owner: push nothing before */
	char why[CORE_TEXT_MAX];
};

struct lun {
	char *name;
	struct core_key seen;        /* holder, as read or changed last */
	struct core_key mine;        /* our key that holds it; epoch 0: none, as far as we know */
	uint32_t max_epoch;
	enum core_fence_status status;
	bool known;                  /* an answer of the present phase is there */
	bool finished;               /* release.c */
	bool foreign;                /* people were told of a foreign key */
	struct core_key told;        /* likewise of this one, which is newer than ours */
	bool busy, forgotten;        /* operation under way; its answer will be ignored */
	bool wanted;                 /* the next one, once it is idle */
	unsigned tries;
	uint64_t id, issued;
	enum core_fence_op op, want_op;
	struct core_key op_key, want_old, want_key;
	char error[CORE_TEXT_MAX];
};

/* Who may hold a record under a key of ours, and who is known to. Self is never in it: we store before we push. */
struct repl {
	struct core_stamp last;      /* pushed last */
	pset in;                     /* were pushed a record of this (epoch, node): they count as current */
	pset acked;                  /* of in: hold `last` on stable storage */
	pset lost;                   /* of in: gone, refused, too slow. Nothing is committed before a bump leaves them behind */
};

enum store_kind { ST_NONE, ST_PUSH, ST_INTENT, ST_COMMIT, ST_BUMP, ST_RELEASE, ST_ADMIN, ST_REPAIR };
struct store_job {
	enum store_kind kind;
	struct core_record rec;
};

enum target_phase {
	T_NONE,                      /* no process */
	T_STARTING,                  /* forked, or outlived clusterd; no Hello yet */
	T_STANDBY,                   /* nothing in flight */
	T_ACTIVATING, T_ACTIVE,
	T_QUIET,                     /* drained, connections still there */
	T_DROPPING,                  /* told to deactivate */
};
struct target {
	enum target_phase phase;
	bool configured, refused;    /* serves a document; refused the newest */
	bool killed;
	bool outlived;               /* of a former clusterd, for all we know: T_STARTING until it or the shell speaks */
	struct core_key key;         /* its data nexuses have it */
	bool rekeying;
	unsigned crashes;
	uint64_t restart_at;
	char error[CORE_TEXT_MAX];
};

enum bump_phase { BUMP_WAIT, BUMP_READ, BUMP_STORE, BUMP_PUSH, BUMP_CAS };
enum move_purpose { MOVE_AWAY, MOVE_STOP, MOVE_RELEASE, MOVE_REMOVE, MOVE_BACK };
enum move_phase { MOVE_DRAIN, MOVE_ADDRESS, MOVE_CLOSE };

struct gone { char *name; struct core_key key; };
struct change { uint64_t ticket; struct core_body *body; };

struct group {
	char name[CORE_NAME_MAX];
	/* configuration */
	bool configured;             /* in the document */
	bool mine;                   /* and this node is in its list */
	bool failback;
	uint8_t nodes[CORE_MAX_NODES];
	unsigned n_nodes, n_luns, n_gone;
	struct lun *luns;
	struct gone *gone;           /* LUNs the document dropped while we hold them: released when the new ones are held */
	bool reconfigure;            /* target has not got the newest document yet */

	/* what everybody is told */
	enum core_state state;
	uint64_t since;
	bool eligible;
	bool dirty, announce;
	bool why_eligible;           /* `why` says why we are not eligible: it goes when we are */
	char why[CORE_TEXT_MAX];

	struct view view[CORE_MAX_NODES];
	uint64_t timer[N_TIMERS];

	/* administrator's wish */
	uint64_t admin_gen;
	bool stopped;
	uint64_t idle_since;         /* we could take it, somebody else should, and nobody does; CORE_NEVER: not so */
	uint8_t move_to;             /* should take it next; 0: order of preference */
	uint8_t force_node;          /* was told to take it whatever is missing */

	/* store.c */
	struct core_record rec;      /* on stable storage */
	struct store_job flight, want;
	uint64_t store_id;
	bool store_ok;
	uint64_t seq;                /* largest ever seen or used */
	uint32_t epoch;              /* likewise, of records and keys: a new key is always larger */

	/* owner */
	struct core_key key;         /* ours, on the arbitrating LUN; epoch 0: not the owner */
	struct repl repl, next;      /* in force; of the intent or bump in the making */
	uint64_t key_at;             /* when the command was sent that put it there */
	bool verify;                 /* look at our key (BUMPING reads first) */
	bool must_bump;
	bool challenged;             /* a member that does not hear us is about to take the group: our key has to move once more */
	uint64_t verified_at;        /* a rival's claim does not make us look more often than once a second */
	bool cold;
	bool back_off;               /* after FENCED or DROPPING: BLOCKED for a while, not STANDBY */
	bool remove;                 /* nothing is left of it: step.c frees it */
	bool address, address_busy;  /* wanted up; going down, not yet confirmed */
	char address_error[CORE_TEXT_MAX];

	struct {                     /* takeover.c */
		struct core_key expect, key;
		unsigned from;       /* who was asked for its record */
		uint64_t sync, until;
		bool window, forced, looking;
		uint64_t decided;    /* when our record was found to be the newest */
		unsigned tries;
	} take;
	unsigned failures;           /* attempts in a row: back-off */
	unsigned given_back;         /* of them, those that won a LUN that nobody held, but too late */
	uint64_t blocked_sync;       /* membership under which we were blocked */

	struct {                     /* commit.c */
		enum { COMMIT_NONE, COMMIT_STORING, COMMIT_PUSHED } phase;
		uint64_t ticket;
		bool redo;           /* a bump overtook it: to be written again under the key in force */
		uint64_t not_before;
		struct change queue[QUEUE_MAX];
		unsigned n;
	} commit;
	struct {                     /* bump.c */
		enum bump_phase phase;
		struct core_key key;
		bool activate;
		uint64_t not_before;
	} bump;
	struct {
		enum move_purpose purpose;
		enum move_phase phase;
		uint8_t to;
	} move;
	struct {                     /* release.c */
		bool wanted, failed, stored, looked;
		struct core_key key, base;  /* to take with; on the first LUN, when that was written down */
		uint64_t cookie;
		uint8_t requester;
		bool force;
	} release;
	struct target t;
};

struct request {                     /* a waiting lunwardctl of this node */
	bool used;
	bool seen;                   /* the command came back in CPG's order */
	bool left;                   /* MOVE: the former owner has begun */
	uint64_t cookie, deadline;
	enum core_verb verb;
	char group[CORE_NAME_MAX];
	uint8_t to, from;
};
#define REQUESTS_MAX 32

struct arena;
struct core {
	uint8_t self;
	unsigned me;                 /* our slot */
	uint64_t now;
	bool holding;                /* some group, after the last step */
	struct core_options opt;
	uint64_t conf_version;
	struct peer peers[CORE_MAX_NODES];
	struct group **groups;       /* in order of names */
	unsigned n_groups;

	bool members_known, synced, quorum_known, quorate;
	uint64_t ring, sync, quorum_ring, sync_until;
	uint64_t beat_at;            /* if we have said nothing else by then */
	bool announce_full;

	bool draining, exited;
	uint64_t shutdown_until;

	uint64_t next_id;
	struct request requests[REQUESTS_MAX];

	struct core_action *acts;
	unsigned n_acts, max_acts;
	struct core_body **held;     /* bodies in actions */
	unsigned n_held, max_held;
	struct arena *arena;
	struct group *graveyard[CORE_MAX_GROUPS];  /* freed when the next step begins: actions point to them */
	unsigned n_graveyard;
};

/* ---- act.c: making actions ---- */
struct core_action *co_act(struct core *c, enum core_act_type type, const struct group *g);
void co_act_reset(struct core *c);
void co_act_free(struct core *c);
struct core_body *co_act_hold(struct core *c, struct core_body *b);
void *co_act_alloc(struct core *c, size_t n);
char *co_act_dup(struct core *c, const char *s);
void co_act_event(struct core *c, const struct group *g, enum core_severity sev, const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void co_copy_text(char *dst, size_t size, const char *src);
void *co_must_alloc(size_t n);  /* zeroed */

/* ---- state.c: states, texts, timers ---- */
enum {                               /* what a state is, for tests of several at once */
	F_RESTING = 1,               /* nothing held, nothing under way */
	F_EARLY = 2,                 /* takeover that leaves no trace when given up */
	F_TAKING = 4,                /* a compare-and-swap is under way */
	F_HOLD = 8,                  /* the key is ours */
	F_DOWN = 16,                 /* giving up */
	F_TARGET = 32,               /* the target is, or is about to be, active */
};
unsigned co_state_flags(enum core_state s);
void co_set_state(struct core *c, struct group *g, enum core_state s);
void co_set_why(struct core *c, struct group *g, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void co_set_timer(struct core *c, struct group *g, enum timer t, uint64_t in_ms);
void co_dirty(struct group *g);
const char *co_node_name(const struct core *c, uint8_t id);
bool co_key_eq(struct core_key a, struct core_key b);
bool co_stamp_eq(struct core_stamp a, struct core_stamp b);
int co_stamp_cmp(const struct core_stamp *a, const struct core_stamp *b);
int co_truth_cmp(const struct core_stamp *a, const struct core_stamp *b);
struct core_key co_in_force(const struct core_stamp *s);
void co_note_stamp(struct group *g, const struct core_stamp *s);
bool co_next_key(const struct core *c, struct group *g, struct core_key *ret);
void co_forget_wish(struct group *g, uint8_t id);
void co_block(struct core *c, struct group *g, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- member.c: who is there, and what they say ---- */
void co_member_change(struct core *c, const struct core_ev_members *ev);
void co_member_quorum(struct core *c, const struct core_ev_quorum *ev);
void co_member_state(struct core *c, unsigned slot, const struct core_msg_node_state *m);
void co_member_sync_timeout(struct core *c);
void co_member_heard(struct core *c, unsigned slot);
void co_member_listen(struct core *c, bool slept);
uint64_t co_member_deadline(const struct core *c);
void co_member_announce(struct core *c);
unsigned co_peer_slot(const struct core *c, uint8_t id);
unsigned co_peer_intern(struct core *c, uint8_t id);
bool co_in_step(const struct core *c);  /* members, their states, and quorum are all of one ring */
bool co_has_quorum(const struct core *c);  /* votequorum says yes, for the ring CPG shows */
bool co_may_hold(const struct core *c, const struct group *g, unsigned slot);  /* live, configured for it */
pset co_live_holders(const struct core *c, const struct group *g);  /* others that records are pushed to */

/* ---- choose.c: who should have a group ---- */
unsigned co_owner_slot(const struct core *c, const struct group *g);  /* live member that holds it; NO_SLOT */
unsigned co_choose(const struct core *c, const struct group *g);
bool co_my_turn(struct core *c, struct group *g);
bool co_other_is_at_it(const struct core *c, const struct group *g);
int co_rank(const struct core *c, const struct group *g, unsigned slot);
bool co_find_eligible(const struct core *c, const struct group *g, char *why, size_t size);
bool co_wait_for_somebody(struct core *c, struct group *g);
unsigned co_best_record(const struct core *c, const struct group *g, const struct core_key *k);
void co_failback_seen(struct core *c, struct group *g, unsigned slot);
void co_failback_timer(struct core *c, struct group *g);

/* ---- evaluate.c: what follows, once an event has been handled ---- */
void co_evaluate(struct core *c, struct group *g);

/* ---- store.c: our own disk ---- */
void co_store(struct core *c, struct group *g, enum store_kind kind, struct core_stamp stamp, struct core_body *body, bool warm);
void co_store_admin(struct core *c, struct group *g);
void co_store_done(struct core *c, const struct core_ev_stored *ev);
void co_store_retry(struct core *c, struct group *g);
void co_store_cancel(struct group *g);
void co_admin_merge(struct core *c, struct group *g, uint64_t gen, bool stopped);
void co_record_set(struct core_record *dst, const struct core_record *src);
void co_record_clear(struct core_record *r);

/* ---- record.c: records between nodes ---- */
void co_record_push(struct core *c, struct group *g, struct repl *r, const struct core_record *rec, pset to);
void co_record_final(struct core *c, struct group *g, uint8_t to);
void co_record_received(struct core *c, unsigned from, const struct core_msg_push *m);
void co_record_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok);
void co_record_acked(struct core *c, unsigned from, const struct core_msg_ack *m);
void co_record_wanted(struct core *c, unsigned from, const struct core_msg_fetch *m);
void co_repl_left(struct core *c, struct group *g, pset gone);
void co_repl_timeout(struct core *c, struct group *g);
void co_repl_catch_up(struct core *c, struct group *g);
bool co_repl_complete(const struct repl *r);

/* ---- lun.c: fence operations ---- */
void co_lun_fence(struct core *c, struct group *g, struct lun *l, enum core_fence_op op, struct core_key old, struct core_key key);
void co_lun_forget(struct group *g);
void co_lun_done(struct core *c, const struct core_ev_fence *ev);
bool co_lun_idle(const struct group *g);
bool co_key_stale(const struct core *c, const struct group *g);
bool co_lun_fresh(const struct core *c, uint64_t issued);
void co_lun_converge(struct core *c, struct group *g);
void co_lun_check_timer(struct core *c, struct group *g);
void co_lun_background(struct core *c, struct group *g, struct lun *l);
bool co_lun_all_mine(const struct group *g);

/* ---- takeover.c, arbitrate.c: from STANDBY to the key ---- */
void co_takeover_start(struct core *c, struct group *g);
void co_takeover_check(struct core *c, struct group *g);
void co_takeover_give_up(struct core *c, struct group *g);
void co_takeover_decide(struct core *c, struct group *g);
void co_takeover_fetched(struct core *c, struct group *g);
void co_intent_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok);
void co_intent_acked(struct core *c, struct group *g);
void co_reading_fence(struct core *c, struct group *g, struct lun *l);
void co_reading_timer(struct core *c, struct group *g);
void co_fetching_timer(struct core *c, struct group *g);
void co_intent_timer(struct core *c, struct group *g);
void co_waiting_timer(struct core *c, struct group *g);
void co_waiting_fence(struct core *c, struct group *g, struct lun *l);
void co_taking_start(struct core *c, struct group *g);
void co_taking_fence(struct core *c, struct group *g, struct lun *l);
void co_rest_start(struct core *c, struct group *g);
void co_rest_fence(struct core *c, struct group *g, struct lun *l);
void co_rest_timer(struct core *c, struct group *g);

/* ---- target.c: the process; serve.c: activation ---- */
void co_target_event(struct core *c, const struct core_ev_target *ev);
void co_target_timer(struct core *c, struct group *g);
void co_target_want(struct core *c, struct group *g);
void co_target_drop(struct core *c, struct group *g);
void co_target_rekey(struct core *c, struct group *g);
void co_target_kill(struct core *c, struct group *g);
bool co_target_ready(const struct group *g);
void co_serve_start(struct core *c, struct group *g);
void co_serve_try(struct core *c, struct group *g);
void co_serve_target(struct core *c, struct group *g, const struct core_ev_target *ev);
void co_serve_timer(struct core *c, struct group *g);
void co_serve_crashed(struct core *c, struct group *g);
void co_serve_address(struct core *c, const struct core_ev_address *ev);
void co_address_up(struct core *c, struct group *g, bool announce);
void co_address_down(struct core *c, struct group *g);

/* ---- adopt.c: a target that outlived clusterd ---- */
void co_adopt_target(struct core *c, struct group *g, const struct core_ev_target *ev);
void co_adopt_fence(struct core *c, struct group *g, struct lun *l);
void co_adopt_timer(struct core *c, struct group *g);

/* ---- commit.c, bump.c ---- */
void co_commit_request(struct core *c, struct group *g, uint64_t ticket, struct core_body *body);
void co_commit_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok);
void co_commit_pump(struct core *c, struct group *g);
void co_commit_forget(struct group *g);
bool co_bump_needed(const struct core *c, const struct group *g);
void co_bump_start(struct core *c, struct group *g, bool activate);
void co_bump_go(struct core *c, struct group *g);
void co_bump_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok);
void co_bump_acked(struct core *c, struct group *g);
void co_bump_fence(struct core *c, struct group *g, struct lun *l);
void co_bump_timer(struct core *c, struct group *g);

/* ---- drop.c: giving up at once; move.c: giving up in order ---- */
void co_drop_back_off(struct core *c, struct group *g, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void co_drop(struct core *c, struct group *g, enum core_state s, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void co_drop_check(struct core *c, struct group *g);
void co_drop_timer(struct core *c, struct group *g);
void co_fenced(struct core *c, struct group *g, const char *how);
void co_move_start(struct core *c, struct group *g, enum move_purpose purpose, uint8_t to);
void co_move_target(struct core *c, struct group *g);
void co_move_address(struct core *c, struct group *g);
void co_move_timer(struct core *c, struct group *g);
void co_move_check(struct core *c, struct group *g);
void co_handover_check(struct core *c, struct group *g);
void co_handover_timer(struct core *c, struct group *g);
void co_shutdown_start(struct core *c);
void co_shutdown_check(struct core *c);

/* ---- release.c ---- */
void co_release_start(struct core *c, struct group *g, bool held);
void co_release_fence(struct core *c, struct group *g, struct lun *l);
void co_release_stored(struct core *c, struct group *g, const struct core_record *rec, bool ok);
void co_release_timer(struct core *c, struct group *g);

/* ---- admin.c: commands ---- */
void co_admin_request(struct core *c, const struct core_ev_admin *ev);
void co_admin_command(struct core *c, unsigned from, const struct core_msg_command *m);
void co_admin_result(struct core *c, const struct core_msg_result *m);
void co_admin_send_result(struct core *c, uint64_t cookie, uint8_t requester, bool ok, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void co_admin_check(struct core *c);
uint64_t co_admin_deadline(const struct core *c);

/* ---- config.c ---- */
void co_config_apply(struct core *c, const struct core_conf *conf);
struct group *co_group_find(const struct core *c, const char *name);
struct group *co_group_new(struct core *c, const char *name);
void co_group_free(struct group *g);
bool co_group_visible(const struct group *g);
void co_group_remove(struct core *c, struct group *g);

/* ---- step.c: what each state does with each event ---- */
struct state_ops {
	void (*fence)(struct core *c, struct group *g, struct lun *l);
	void (*timer)(struct core *c, struct group *g);
};
extern const struct state_ops co_state_ops[CORE_N_STATES];

#endif
