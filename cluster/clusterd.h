/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clusterd.h - private map of lunward-clusterd: the I/O shell around cluster/core
 *
 * One thread runs a qb_loop; everything here is called on it unless a comment says otherwise. What may block
 * (fsync, SCSI commands) runs on workers that answer through an eventfd. The shell decides nothing: corosync,
 * timers, files, targets and the administrator become core events, and the core's actions become I/O.
 *
 * Titles below are files: a section declares what that file defines.
 */
#ifndef LUNWARD_CLUSTERD_H
#define LUNWARD_CLUSTERD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <qb/qbloop.h>

#include "node/util/list.h"
#include "node/util/util.h"
#include "proto/frame.h"

#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC 1000000000ull

/* ---- ip.c: addresses in network order ---- */
struct ip {
	uint8_t len;  /* 4 or 16; 0: none */
	uint8_t b[16];
};
struct endpoint {
	struct ip ip;
	uint16_t port;  /* host order */
};

/** ip_make() - From 4 or 16 bytes; an IPv4-mapped IPv6 address becomes IPv4. Return: false: neither length */
bool ip_make(struct ip *ret, const void *bytes, size_t len);
bool ip_equal(const struct ip *a, const struct ip *b);
/** ip_in_subnet() - Is @a in the subnet that @net with @prefix bits spans? Different families: no */
bool ip_in_subnet(const struct ip *a, const struct ip *net, unsigned prefix);
/** ip_text() - For people and logs. @buf: INET6_ADDRSTRLEN bytes. Return: @buf */
const char *ip_text(const struct ip *a, char *buf);
/** ip_sockaddr() - @port in host order. Return: length of what was filled in */
socklen_t ip_sockaddr(const struct ip *a, uint16_t port, struct sockaddr_storage *ret);

/* ---- packet.c: the bytes of ARP, NA and tickle packets. Pure ---- */
#define PACKET_MAX 128
/**
 * packet_arp() - Gratuitous ARP (RFC 826, RFC 5227 section 3), with its Ethernet header
 * @reply: false: request (opcode 1), true: reply (opcode 2); caches differ in which of them they heed
 * Return: bytes written to @out, at most PACKET_MAX
 */
size_t packet_arp(uint8_t out[static PACKET_MAX], const uint8_t mac[6], const uint8_t ip[4], bool reply)
	__attribute__((nonnull));
/** packet_na() - Unsolicited neighbor advertisement, override set (RFC 4861 4.4, 7.2.6), with Ethernet header */
size_t packet_na(uint8_t out[static PACKET_MAX], const uint8_t mac[6], const uint8_t ip[16])
	__attribute__((nonnull));
/**
 * packet_tickle() - IP packet with a bare TCP ACK, seq 0, ack 0, from @from to @to (same family)
 * The receiver's kernel, holding a connection of these ends, answers with its true numbers (RFC 9293 3.10.7.4).
 * Return: bytes written to @out; 0: families differ
 */
size_t packet_tickle(uint8_t out[static PACKET_MAX], const struct endpoint *from, const struct endpoint *to)
	__attribute__((nonnull));
/** inet_checksum() - RFC 1071 over @n bytes, folded with a partial sum @sum. Return: complemented, host order */
uint16_t inet_checksum(const uint8_t *p, size_t n, uint32_t sum);

/* ---- chunk.c: large messages over CPG. Pure ---- */
#define CHUNK_HEADER 20u
#define CHUNK_MESSAGE_MAX (64u << 20)
/* How one CPG message begins: LWCG, version 1, incarnation of the sender, message number, total length, index. */
struct chunk_head {
	uint32_t incarnation;
	uint32_t number;
	uint32_t total;  /* bytes of the whole message */
	uint16_t index;
};
struct chunk_sender { uint32_t nodeid, pid; };
struct chunk_asm { struct list senders; };

void chunk_asm_init(struct chunk_asm *a);
void chunk_asm_clear(struct chunk_asm *a);
/** chunk_count() - How many CPG messages carry @total bytes; at least 1 */
size_t chunk_count(size_t total);
/** chunk_put() - Write chunk @h->index of @msg. @out: LUNWARD_CPG_CHUNK bytes. Return: bytes written */
size_t chunk_put(uint8_t *out, const struct chunk_head *h, const uint8_t *msg) __attribute__((nonnull));
/**
 * chunk_feed() - Take one CPG message of @from, in the order CPG delivered it
 * @ret, @ret_len: the whole message once complete; in place in @p or in the assembly, until the next call
 * @ret_incarnation: of the sender
 * Return: 1 complete; 0 more to come; -EPROTO malformed or out of sequence (what was assembled is dropped)
 */
int chunk_feed(struct chunk_asm *a, struct chunk_sender from, const uint8_t *p, size_t len,
	       const uint8_t **ret, size_t *ret_len, uint32_t *ret_incarnation);
/** chunk_drop() - @from left: forget what is half assembled */
void chunk_drop(struct chunk_asm *a, struct chunk_sender from);

/* ---- cpg.c: ordered messages, and who is there ---- */
enum cpglink_reason {
	CPGLINK_HERE,
	CPGLINK_LEAVE,     /* left on purpose */
	CPGLINK_PROCDOWN,  /* the process died, its node lives */
	CPGLINK_NODEDOWN,  /* the node is out of reach: dead, cut off, or without corosync */
};
struct cpglink_member { struct chunk_sender who; enum cpglink_reason reason; };
struct cpglink_change {
	const struct cpglink_member *member, *left;
	size_t n_member, n_left;
	bool ring_follows;  /* part of a ring change: ring() comes next */
};
/* Called on the loop, in the order of CPG. None may close the link but lost(), which is the last. */
struct cpglink_ops {
	void (*message)(void *data, struct chunk_sender from, uint32_t incarnation, const uint8_t *msg, size_t len);
	void (*change)(void *data, const struct cpglink_change *ch);
	void (*ring)(void *data, uint32_t ring_node, uint64_t ring_seq);
	void (*garbage)(void *data, struct chunk_sender from);
	void (*lost)(void *data, const char *why);
};
struct cpglink;
/** cpglink_open() - Connect and join. @incarnation: tells this process from its predecessors.
 * Return: 0 or a negated cs_error_t. Context: synchronous calls to the local corosync */
int cpglink_open(struct cpglink **ret, qb_loop_t *loop, uint32_t incarnation, const struct cpglink_ops *ops,
		 void *data);
void cpglink_leave(struct cpglink *c);
void cpglink_close(struct cpglink *c);
uint32_t cpglink_nodeid(const struct cpglink *c);
/** cpglink_send() - Multicast, to ourselves too. Copied. Return: 0; an error means that lost() will come */
int cpglink_send(struct cpglink *c, const uint8_t *msg, size_t len);
/** cpglink_idle() - Has corosync taken everything */
bool cpglink_idle(const struct cpglink *c);

/* ---- quorum.c ---- */
struct quorumlink_ops {
	void (*quorum)(void *data, bool quorate, uint32_t ring_node, uint64_t ring_seq, const uint32_t *node,
		       size_t n);
	void (*lost)(void *data, const char *why);
};
struct quorumlink;
/** quorumlink_open() - Return: 0 or a negated cs_error_t (CS_ERR_NOT_EXIST: corosync.conf has no quorum provider) */
int quorumlink_open(struct quorumlink **ret, qb_loop_t *loop, const struct quorumlink_ops *ops, void *data);
void quorumlink_close(struct quorumlink *q);

/* ---- cmap.c ---- */
#define NODELIST_MAX 64
struct nodelist {
	char cluster[64];
	uint32_t self, token_ms, consensus_ms;
	bool two_node;
	size_t n;
	struct nodelist_node { uint32_t id; char name[64]; } node[NODELIST_MAX];
};
/** nodelist_read() - Return: 0 or a negated cs_error_t */
int nodelist_read(struct nodelist *ret);
const struct nodelist_node *nodelist_find(const struct nodelist *l, uint32_t id);

/* ---- device.c: which network device a portal belongs on. Pure ---- */
struct dev_addr {
	int ifindex;
	struct ip ip;
	uint8_t prefix;
	bool up;        /* the device is administratively up */
};
/**
 * device_choose() - The device with the longest connected subnet that holds @portal; ties: the lowest index
 * Addresses equal to @portal do not count: a leftover of ours must not choose.
 * Return: interface index, -ENODEV: no device up has such a subnet
 */
int device_choose(const struct dev_addr *list, size_t n, const struct ip *portal);

/* ---- netlink.c: addresses and links through rtnetlink ---- */
struct netlink;
int netlink_open(struct netlink **ret);
void netlink_close(struct netlink *nl);
/** netlink_addrs() - All addresses of this network namespace, malloc()ed. Return: 0 or -errno */
int netlink_addrs(struct netlink *nl, struct dev_addr **ret, size_t *ret_n);
/**
 * netlink_addr_add() - Add or renew an address with a lifetime, without duplicate address detection
 * @lease_s: valid and preferred lifetime in seconds; the kernel removes the address when it ends
 * @prefix_route: the subnet is not connected yet. Otherwise false: the route of the permanent address would get our
 *                lifetime (IPv6) and vanish with it
 * Return: 0 or -errno. Context: a system call; the kernel answers within it
 */
int netlink_addr_add(struct netlink *nl, int ifindex, const struct ip *ip, unsigned prefix, unsigned lease_s,
		     bool prefix_route);
/** netlink_addr_del() - Return: 0, -EADDRNOTAVAIL: was not there, or -errno */
int netlink_addr_del(struct netlink *nl, int ifindex, const struct ip *ip, unsigned prefix);
/** netlink_mute() - Let nothing out that has @ip as its source (a blackhole rule), or let it out again. 0 or -errno */
int netlink_mute(struct netlink *nl, const struct ip *ip, bool on);
/** netlink_mac() - Return: 0, -EAFNOSUPPORT: the device has no Ethernet address, or -errno */
int netlink_mac(int ifindex, uint8_t ret[6]);

/* ---- sockdiag.c: TCP sockets of an address ---- */
/**
 * sockdiag_destroy() - Abort every TCP socket bound to @local that has a peer; listeners stay
 * Call it once the address is gone. Its resets must not leave: the peer shall meet the next owner instead. IPv4 does
 * not route from an address that is not there; IPv6 does, so @local is muted meanwhile.
 * Return: how many, or -errno. Context: system calls
 */
int sockdiag_destroy(struct netlink *nl, const struct ip *local);

/* ---- announce.c: gratuitous ARP and unsolicited NA, repeated ---- */
struct announcer;
int announcer_new(struct announcer **ret, qb_loop_t *loop);
void announcer_free(struct announcer *a);
/** announce_start() - At once, 5 times every 200 ms, and once more 5 s after the first. Return: of the first */
int announce_start(struct announcer *a, int ifindex, const struct ip *ip);
void announce_stop(struct announcer *a, const struct ip *ip);

/* ---- tickle.c: wake clients that still hold a connection to the portal's former owner ---- */
struct tickler;
struct tickle_conn { struct endpoint portal, client; };
int tickler_new(struct tickler **ret, qb_loop_t *loop);
void tickler_free(struct tickler *t);
/**
 * tickle_start() - To each of @conn whose portal is @portal: at once, and twice more TICKLE_REPEAT_MS apart
 * Return: how many were sent at once, or -errno of the first that failed if none could be
 */
#define TICKLE_REPEAT_MS 600  /* Linux answers a bogus ACK at most every 500 ms (tcp_invalid_ratelimit) */
int tickle_start(struct tickler *t, const struct ip *portal, const struct tickle_conn *conn, size_t n);
void tickle_stop(struct tickler *t, const struct ip *portal);

/* ---- store.c: files that survive a power loss, written by a worker ---- */
#define STORE_BOOT_ID_LEN 36
#define STORE_NAME_MAX 128
enum store_kind { STORE_RECORD = 1, STORE_CONFIG = 2 };
struct store;
/* Called on the loop when a write is on stable storage (@error 0), or failed (@error: -errno). */
typedef void store_done_fn(void *data, uint64_t cookie, int error);
/* The system calls of a write, so that a test can make each of them fail. NULL: the real ones. */
struct store_ops {
	ssize_t (*write)(int fd, const void *p, size_t n);
	int (*fsync)(int fd);
	int (*rename)(int dirfd, const char *from, const char *to);
};

/**
 * store_open() - The state directory; makes it (0700) and its subdirectories, and takes its lock
 * @boot_id: NULL: of this kernel, or LUNWARD_BOOT_ID of the environment
 * Return: 0; -EBUSY: another process holds it; -errno
 */
int store_open(struct store **ret, qb_loop_t *loop, const char *dir, const char *boot_id,
	       const struct store_ops *ops);
/** store_close() - Writes everything queued, then stops the worker; their callbacks are not called any more */
void store_close(struct store *s);
/**
 * store_write() - Write @name beside, fsync, rename, fsync the directory; then call @done
 * @name: "records/GROUP" or "config". Payload is copied. Writes are done in the order asked for.
 * @warm: note this boot's id beside it
 * Return: 0; -ENOMEM (then @done is not called)
 */
int store_write(struct store *s, const char *name, enum store_kind kind, bool warm, const void *payload, size_t len,
		store_done_fn *done, void *data, uint64_t cookie);
/** store_remove() - Unlink @name, in order with the writes; nobody is told */
int store_remove(struct store *s, const char *name);

struct store_file {
	uint8_t *payload;
	size_t len;
	bool warm;  /* written since this node's last boot */
};
/**
 * store_read() - Read a file back, checksum verified
 * @why: -EBADMSG: what is damaged, for people (static text)
 * Return: 0; -ENOENT; -EBADMSG: damaged, never to be trusted; -EPROTONOSUPPORT: a newer format; -errno
 * Context: blocks as a file system does: at start-up only
 */
int store_read(struct store *s, const char *name, enum store_kind kind, struct store_file *ret, const char **why);
/** store_names() - Names of the records on disk, malloc()ed strings in a NULL-terminated malloc()ed array */
char **store_names(struct store *s);
void store_names_free(char **names);

/* ---- storefile.c: the bytes of such a file. Pure ---- */
/** storefile_make() - @boot_id: STORE_BOOT_ID_LEN characters, or NULL: never warm. Return: malloc()ed, or NULL */
uint8_t *storefile_make(enum store_kind kind, const char *boot_id, const void *payload, size_t len, size_t *ret_len);
/** storefile_check() - As store_read(), of bytes. Nothing is filled in on failure but @why */
int storefile_check(const uint8_t *buf, size_t len, enum store_kind kind, const char *boot_id,
		    struct store_file *ret, const char **why);

/* ---- zsock.c: a ZeroMQ ROUTER on the loop ---- */
struct zsock;
/* One message: @id is the peer's identity. Must not close the socket. */
typedef void zsock_recv_fn(void *data, const uint8_t *id, size_t id_len, const uint8_t *msg, size_t len);
/** zsock_router() - Bind to the Unix socket @path. @greet: send an empty frame to each new peer (ZMQ_PROBE_ROUTER) */
int zsock_router(struct zsock **ret, qb_loop_t *loop, void *zmq_ctx, const char *path, bool greet, zsock_recv_fn *fn,
		 void *data);
void zsock_close(struct zsock *z);
/** zsock_send() - Return: 0; -EHOSTUNREACH: no such peer now; -EAGAIN: it does not read; -errno. Never blocks */
int zsock_send(struct zsock *z, const uint8_t *id, size_t id_len, const void *msg, size_t len);

/* The clocks, also in ip.c: nanoseconds since boot, microseconds since the epoch */
uint64_t mono_ns(void);
uint64_t real_us(void);

#endif
