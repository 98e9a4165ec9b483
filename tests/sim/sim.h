/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim.h - a cluster in one process: real cores and real fence machines on a simulated CPG, LUNs, disks, targets, clock
 *
 * Theory of operation. Everything that happens is an event in one heap, in simulated microseconds; one random
 * source, seeded, decides latencies and faults. Equal seeds give equal runs. After every event the invariants are
 * checked (check.c); the first violation ends the run with the seed that replays it.
 *
 * What is modelled as nasty as it is in life:
 *  - CPG: a message is delivered to its sender at once and to others later; a ring change delivers to those who stay
 *    together what any of them has got, and nothing else; each side of a cut notices at a time of its own.
 *  - votequorum speaks before or after CPG.
 *  - corosync takes no message for a while (TRY_AGAIN): they queue, and go out late, or never.
 *  - LUN: commands of the real step machines, one at a time, each with a latency; a node that dies or is paused
 *    may have one under way. Answers get lost, whether the command took effect or not. I/O is let in on arrival and
 *    takes effect later, unless it was aborted. The array loses power, and registrations with it if it lacks APTPL.
 *  - A paused node wakes up in its old ring, with answers that are long out of date.
 *  - Disk: a write that was interrupted or failed leaves the old or the new version, and a power loss may bring the old
 *    one back.
 *  - Every node's clock begins somewhere else and runs at a speed of its own.
 *  - Documents come to nodes one after the other, and to those that were away much later.
 *
 * What is not: a step of the wall clock, which nothing in the core can see; a node whose monotonic clock stands still
 * while it is stopped (docs/architecture.md tells what becomes of its addresses).
 *
 * Faults are drawn up before the run, each with random numbers of its own (faults.c): any of them can be left out, and the
 * run replays exactly without it. That is how a broken schedule is made short (shrink.c).
 */
#ifndef LUNWARD_TESTS_SIM_H
#define LUNWARD_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/core/core.h"
#include "fencing/arbitrate.h"
#include "node/util/util.h"
#include "tests/unit/fencing/lun_model.h"

#ifdef __SANITIZE_ADDRESS__
#define SIM_RUNS 400u
#else
#define SIM_RUNS 20000u
#endif
#define NODES 8u
#define GROUPS 200u
#define LUNS 3u
#define CLUSTER_TAG 0x77u
#define MS 1000ull
#define SEC 1000000ull

struct sim;
struct node;

/* ---- heap.c: time, order, randomness ---- */
typedef void event_fn(struct sim *s, unsigned node, uint64_t a, void *p);
enum lane {          /* who has to be awake for it */
	LANE_WORLD,  /* nobody: device, network, faults */
	LANE_NODE,   /* the node: its target processes */
	LANE_CLUSTERD,
};
struct event {
	uint64_t at, order;
	event_fn *fn;
	enum lane lane;
	unsigned node;
	uint32_t life;   /* of the node, or of its clusterd: void if it has died since */
	uint64_t a;
	void *p;         /* freed with free() if the event is void; handlers own it otherwise */
};
struct heap { struct event *v; size_t n, max; };

void at(struct sim *s, uint64_t delay_us, enum lane lane, unsigned node, event_fn *fn, uint64_t a, void *p);
bool sim_next(struct sim *s);  /* run one event; false: none left */
void sim_wake(struct sim *s, unsigned node);  /* put what was deferred during a pause back */
void heap_clear(struct sim *s);
void *sim_alloc(size_t n, size_t size);  /* zeroed; never NULL */
uint64_t rnd(struct sim *s);
uint64_t rnd_range(struct sim *s, uint64_t lo, uint64_t hi);  /* both included */
bool rnd_chance(struct sim *s, unsigned per_mille);
uint64_t latency(struct sim *s, uint64_t typical_us);  /* sometimes much longer */

/* ---- cpg.c: rings, ordered messages, quorum ---- */
struct entry {
	enum { ENTRY_MSG, ENTRY_JOIN, ENTRY_LEAVE } type;
	unsigned node;
	uint32_t pid;
	enum core_left_reason reason;
	struct packet *packet;
};
struct ring {
	uint64_t seq;
	unsigned members;            /* bits */
	struct entry *log;
	size_t n, max;
	size_t got[NODES];           /* entries delivered to each */
	uint64_t busy_until[NODES];  /* deliveries to a node are in order */
};
void cpg_boot(struct sim *s, unsigned node);
void cpg_topology(struct sim *s);  /* nodes came, went, or were cut: rings follow, each in its time */
void cpg_join(struct sim *s, unsigned node);
void cpg_leave(struct sim *s, unsigned node, enum core_left_reason why);
void cpg_send(struct sim *s, unsigned node, const struct core_msg *m);
void cpg_outbox_free(struct node *n);
void cpg_free(struct sim *s);

/* ---- packet.c: messages that outlive the step that made them ---- */
struct packet {
	unsigned refs;
	unsigned from;
	struct core_msg msg;
};
struct packet *packet_new(unsigned from, const struct core_msg *m);
void packet_unref(struct packet *p);
char *packet_text(const struct packet *p, char *buf, size_t size);

/* ---- lun.c: fence workers and the devices ---- */
struct sim_lun {
	struct lun_model model;
	uint64_t lost_at[NODES];     /* when each was the holder last */
	uint32_t max_epoch;          /* of any holder ever: epochs never go back */
	uint64_t bad_until;          /* nothing gets through to it */
	bool lawless;                /* it lost its reservations, or was released by force: whoever is there may write */
};
#define QUEUE 4u
struct worker {                      /* one a node and LUN, as in fencing/ */
	bool busy;
	uint64_t id;
	enum core_fence_op op;
	struct job { uint64_t id; enum core_fence_op op; struct core_key old, key; } queue[QUEUE];
	unsigned n_queue;
	struct fence_machine m;
	struct fence_cmd cmd;
};
void lun_request(struct sim *s, unsigned node, unsigned g, unsigned l, uint64_t id, enum core_fence_op op,
		 struct core_key old, struct core_key key);
void lun_power(struct sim *s, unsigned g, unsigned l, uint64_t until);  /* lost, and back at */
uint64_t key_pack(struct core_key k);
struct core_key key_unpack(uint64_t key);

/* ---- target.c: the data path, as far as ownership sees it ---- */
struct io;
struct sim_target {
	bool alive, stuck;
	uint32_t life;
	enum core_target_state state;
	bool configured;
	struct core_key key;
	unsigned luns;               /* bits: of the document it serves */
	uint64_t body;               /* number of the committed change it serves from */
	uint64_t wanted, ticket;     /* change under way */
	unsigned in_flight;          /* I/Os at the device */
	bool answer;                 /* Deactivated is due when nothing is in flight */
};
void sim_target_start(struct sim *s, unsigned node, unsigned g);
void sim_target_kill(struct sim *s, unsigned node, unsigned g, bool tell);
void sim_target_hang(struct sim *s, unsigned node, unsigned g);  /* its clusterd finds that it does not answer */
void sim_target_act(struct sim *s, unsigned node, unsigned g, const struct core_action *a);
void sim_target_report(struct sim *s, unsigned node, unsigned g);  /* to a clusterd that has just started */

/* ---- node.c: the shell around a core ---- */
struct disk {
	struct core_record rec, writing;
	struct core_record old;      /* what a power loss brings back, if unsynced */
	bool unsynced, old_valid;
	struct core_stamp known;
	uint32_t high;               /* of the last version that the core was told is there, or read at its start */
	unsigned boot;               /* under which rec was written */
	bool valid, busy;
};
struct node {
	bool up, paused;             /* power; frozen as a whole */
	bool clusterd, clusterd_paused;
	uint32_t life, pid;          /* of the node; of clusterd */
	unsigned boot;
	unsigned part;               /* nodes of one part see each other */
	struct ring *ring;
	bool seen_all;               /* two_node implies wait_for_all */
	unsigned procs;              /* CPG members, as this node's corosync knows them */
	uint32_t proc_pid[NODES];
	struct core *core;
	uint64_t tick, armed;        /* generation of the armed tick, and its time; 0: none */
	uint64_t clock_base;         /* ms, when the simulation began */
	int64_t clock_ppm;           /* too fast by */
	uint64_t doc;                /* version of the document on its disk */
	struct disk *disk;           /* of each group, as the next ones */
	struct sim_target *target;
	struct worker (*worker)[LUNS];
	struct { bool wanted; uint64_t until; } *address;
	uint64_t disk_bad_until, san_bad_until, lossy_until, busy_until, address_bad_until, refuse_until;
	struct packet **outbox;      /* what corosync did not take yet */
	size_t n_outbox;
	struct event *deferred;
	size_t n_deferred, max_deferred;
};
void node_new(struct sim *s, unsigned n);
void node_boot(struct sim *s, unsigned n);
void node_crash(struct sim *s, unsigned n);
void node_pause(struct sim *s, unsigned n, bool clusterd_only);
void node_resume(struct sim *s, unsigned n);
void clusterd_start(struct sim *s, unsigned n);
void clusterd_die(struct sim *s, unsigned n, enum core_left_reason why);
void node_step(struct sim *s, unsigned n, struct core_event *ev);
void node_free(struct sim *s, unsigned n);
const char *group_name(unsigned g);
const char *lun_name(unsigned l);

uint64_t node_clock(const struct sim *s, unsigned n);  /* its CLOCK_MONOTONIC, ms */

/* ---- config.c: documents and how they spread ---- */
struct doc_group {
	bool there, failback;
	uint8_t node[NODES];         /* ids in order of preference */
	unsigned n_nodes;
	uint8_t lun[LUNS];           /* numbers; the first arbitrates */
	unsigned n_luns;
};
void config_start(struct sim *s);
void config_free(struct sim *s);
void config_change(struct sim *s, unsigned node);
void config_fill(struct sim *s, unsigned node, struct core_conf *conf);  /* valid until the next call */
const struct doc_group *config_of(const struct sim *s, unsigned node, unsigned g);  /* as that node has it */
const struct doc_group *config_newest(const struct sim *s, unsigned g);  /* that anybody has stored */

/* ---- faults.c: what goes wrong, and when; admin.c: and the administrator, who is no better ---- */
#define MOMENT (1u << 31)            /* id of a fault: its number, or that of a delicate moment with this bit */
struct fault { uint64_t at, random; unsigned what, node; };
void faults_start(struct sim *s);
void faults_heal(struct sim *s);
void faults_stick(struct sim *s);
void faults_free(struct sim *s);
const char *fault_name(const struct sim *s, uint32_t id);
void admin_command(struct sim *s, unsigned n, enum core_verb verb, unsigned g, uint8_t to, bool force);
void admin_move(struct sim *s, unsigned n);
void admin_stop(struct sim *s, unsigned n);
void admin_force(struct sim *s, unsigned n);
void admin_leave(struct sim *s, unsigned n);
void admin_insist(struct sim *s);  /* everything shall run */
void snipe(struct sim *s, unsigned n);  /* something delicate has just happened there: hit it now */

/* ---- check.c: invariants ---- */
void broken(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_access(struct sim *s, unsigned g);
void check_release(struct sim *s, unsigned node, unsigned g, unsigned l);
void check_effect(struct sim *s, unsigned node, unsigned g, unsigned l);
void check_epoch(struct sim *s, unsigned g, unsigned l);
void check_activated(struct sim *s, unsigned node, unsigned g);
void check_committed(struct sim *s, unsigned node, unsigned g, uint64_t change);
void check_address(struct sim *s, unsigned node, unsigned g, bool added);
void check_stored(struct sim *s, unsigned node, unsigned g, const struct core_record *rec);
void check_quorum(struct sim *s, unsigned node, bool quorate);
bool check_served(struct sim *s, unsigned g, char *why, size_t size);
bool check_caught_up(const struct sim *s, unsigned g);
bool check_must_grow(const struct sim *s, unsigned g);
uint64_t change_new(struct sim *s, uint64_t parent);

struct sim_options {
	uint64_t seed;
	bool verbose;                /* trace to stdout */
	const uint32_t *only;        /* leave out all faults but these, in ascending order; NULL: none is left out */
	size_t n_only;
};

struct sim {
	const struct sim_options *opt;
	uint64_t seed, random, now, order, early;
	uint64_t end_faults;
	struct heap heap;
	bool verbose;
	unsigned n_nodes, n_groups, n_luns;
	struct fault *plan;
	size_t n_plan;
	uint32_t *happened;          /* ids of faults */
	size_t n_happened;
	uint32_t moments;
	unsigned snipe;              /* per mille of delicate moments that are hit */
	unsigned lossy;              /* per mille of commands to LUNs whose answer is lost, always */
	struct doc_group **doc;      /* [version - 1][group] */
	uint64_t n_docs;
	struct node node[NODES];
	struct sim_lun (*lun)[LUNS]; /* of each group, as the next ones */
	uint64_t *forced;            /* the administrator has said: whatever is missing. Until then somebody may do so */
	bool *overruled;             /* he has once: who was cut off then may go on acknowledging until it notices */
	bool *unfinished;            /* a release by force may have been cut short */
	struct ring **rings;
	size_t n_rings;
	uint64_t ring_seq;
	uint64_t *parent;            /* of each change; 0: the beginning */
	uint32_t *depth;
	uint64_t n_changes;
	uint64_t *acked;             /* newest change that an initiator was told of */
	uint64_t acks, activations, ios, steps;
	char broken[512];
};

struct sim_result {
	uint64_t steps, acks, activations, ios, now;
	char broken[512];
	uint32_t *happened;          /* ids of the faults there were, to be freed */
	size_t n_happened;
};
/** sim_run() - One schedule. Context: core_mutant says which deliberate fault. Return: true: all invariants held, all groups served again */
bool sim_run(const struct sim_options *opt, struct sim_result *ret);
extern int core_mutant;
void trace(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- shrink.c ---- */
void shrink(const struct sim_options *opt, const struct sim_result *found);  /* make it short, and print how to replay it */
int ids_parse(const char *text, uint32_t **ret);
#endif
