/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.h - the configuration document: one YAML text, typed
 *
 * Everything here is a pure function of its arguments but for conf_load(), conf_check_files() and
 * conf_secret_read(), which read files. A document is immutable once parsed: it may be shared by threads, and
 * all that it points to lives until conf_free().
 *
 * Files: parse.c (text to tree), schema.c (tree to structs), value.c (names, addresses, sizes, times), check.c
 * (what must hold between parts), identity.c (names and numbers derived from the document), access.c, chap.c, secret.c, files.c,
 * diff.c, print.c. The document is described in lunward.yaml(5).
 */
#ifndef LUNWARD_CONF_CONF_H
#define LUNWARD_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define CONF_ISCSI_PORT 3260
#define CONF_LUN_MAX 16383u       /* flat space addressing, SAM-4 4.6.8 */
#define CONF_NAME_MAX 63          /* cluster, group and node names */
#define CONF_ISCSI_NAME_MAX 223   /* RFC 7143 4.2.7.1, in bytes */
#define CONF_SECRET_MIN 12        /* 96 bits, RFC 7143 9.2.1 */
#define CONF_SECRET_MAX 255
#define CONF_CHAP_USERS_MAX 1024  /* of one target */
#define CONF_TEXT_MAX (4u << 20)  /* a longer document is refused */

/**
 * enum conf_mode - Who reads the document
 *   CONF_CLUSTER     nodes are needed; every group must be fenceable; ram: is refused
 *   CONF_STANDALONE  one process serves all groups: nodes, failback and fence are checked but mean nothing,
 *                    portals are listen addresses (0.0.0.0 and [::] too), ram: is welcome
 */
enum conf_mode { CONF_CLUSTER, CONF_STANDALONE };

/* ---- errors ---- */

/* One finding; @line is 1-based, 0: of the whole document. @text: what is wrong; what is allowed. */
struct conf_diag {
	int line;
	bool warning;
	char *text;
};

struct conf_diags {
	struct conf_diag *v;
	size_t n;
	size_t n_errors;
	char *name;               /* of the document: the FILE in FILE:LINE */
};

#define CONF_DIAGS_INIT { 0 }

/** conf_diags_text() - All findings, one a line, `FILE:LINE: text` (warnings: `FILE:LINE: warning: text`)
 * Return: malloc()ed text, empty if there are none; NULL if out of memory
 */
char *conf_diags_text(const struct conf_diags *d);
void conf_diags_free(struct conf_diags *d);

/* ---- the document ---- */

/* An address with a prefix: a portal's, or a range of initiators. */
struct conf_addr {
	sa_family_t family;       /* AF_INET or AF_INET6 */
	uint8_t len;              /* bytes of @ip: 4 or 16 */
	uint8_t prefix;           /* bits; a plain address has all of them */
	uint8_t ip[16];           /* network order */
};

struct conf_portal {
	struct conf_addr addr;    /* standalone: may be the wildcard address */
	uint16_t port;            /* host order */
	const char *dev;          /* network device; NULL: the one whose subnet holds the address */
	const char *text;         /* canonical: "192.0.2.50/24", "2001:db8::50/64:3261@eth1" (port if not 3260) */
	int line;
};

/**
 * enum conf_acl_kind - What an entry of `initiators:` matches
 *   CONF_ACL_NAME  iSCSI name; * and ? match as in a shell
 *   CONF_ACL_ADDR  address or prefix of the initiator's end of the connection
 */
enum conf_acl_kind { CONF_ACL_NAME, CONF_ACL_ADDR };
struct conf_acl {
	enum conf_acl_kind kind;
	const char *text;         /* canonical; CONF_ACL_NAME: the pattern, lower case */
	struct conf_addr addr;    /* CONF_ACL_ADDR */
	int line;
};

/* A list of them: one match suffices. Empty: everybody. */
struct conf_acls {
	struct conf_acl *v;
	size_t n;
};

/* Somebody who can prove who it is by CHAP, RFC 7143 12.1.3. @mutual_user NULL: and nothing is proved to it. */
struct conf_chap_user {
	const char *user, *secret_file;
	const char *mutual_user, *mutual_secret_file;
	struct conf_acls initiators;  /* which initiators may be this user */
	int line;
};

/* One of them has to log in; none: nobody has to prove anything. */
struct conf_chap {
	struct conf_chap_user *user;
	size_t n;
};

/* Digests of CHAP: a set of bits, bit i is that of conf_chap_alg_names[i]; numbers 5 to 8 in CHAP_A */
#define CONF_CHAP_ALGS 4
extern const char *const conf_chap_alg_names[CONF_CHAP_ALGS];  /* "md5", "sha1", "sha256", "sha3-256" */

/* What a LUN says it is (SPC-4 7.8), the same on every node and for ever: derived from cluster name, target
 * iqn and LUN number unless the document says otherwise. */
#define CONF_VENDOR "LUNWARD"             /* T10 VENDOR IDENTIFICATION */
#define CONF_PRODUCT "SHARED DISK"        /* PRODUCT IDENTIFICATION; its start is part of ESXi's volume ids: never change it */
struct conf_identity {
	uint8_t naa[16];          /* designator type 3: NAA 3h (locally assigned), 8 bytes, unless set */
	uint8_t naa_len;          /* 8, or 16 for NAA 6h */
	uint8_t eui[16];          /* designator type 2, only where it was set: one that is made up would need a company id */
	uint8_t eui_len;          /* 0, 8, 12 or 16 */
	char product[17];         /* CONF_PRODUCT, unless set */
	char serial[33];          /* unit serial number, VPD 80h: printable ASCII */
	char t10[41];             /* designator type 1 after the vendor: product-independent, equals the serial */
};

enum conf_backing { CONF_BLOCK, CONF_FILE, CONF_ISCSI, CONF_RAM };
extern const char *const conf_backing_names[];  /* "block", "file", "iscsi", "ram" */

/* CONF_AUTO: thin if storage that is not needed can be given back, thick otherwise */
enum conf_provisioning { CONF_AUTO, CONF_THIN, CONF_THICK };
extern const char *const conf_provisioning_names[];  /* NULL, "thin", "thick" */

struct conf_lun {
	uint16_t number;
	enum conf_backing backing;
	const char *path;         /* block, file: absolute path; iscsi: URL; ram: "" */
	uint64_t size;            /* bytes; ram, and file (created or grown to it; 0: as large as it is) */
	uint32_t block_size;      /* 512 or 4096; 0: the device's own (block, iscsi); file, ram: 512 if not set */
	bool read_only;
	enum conf_provisioning provisioning;
	struct conf_acls initiators;  /* of those that the target lets in: who sees this LUN */
	struct conf_identity id;
	const char *set_serial, *set_naa, *set_eui, *set_product;  /* as set in the document; NULL: derived */
	int line;
};

/* Where logins are sent instead, RFC 7143 11.13.5. @text NULL: nowhere */
struct conf_redirect {
	const char *text;         /* as TargetAddress has it: "192.0.2.7:3260" */
	struct conf_addr addr;
	uint16_t port;            /* host order */
	bool permanent;
};

/**
 * enum conf_reconnect - Which initiators are to come back at once after a failover (DefaultTime2Wait, RFC 7143 13.15)
 *   CONF_RECONNECT_AUTO  those that are known to take what they are answered
 *   CONF_RECONNECT_ON    all: they are answered options.time2wait, even if they want to wait longer
 *   CONF_RECONNECT_OFF   none: the larger of both, as the standard has it
 */
enum conf_reconnect { CONF_RECONNECT_AUTO, CONF_RECONNECT_ON, CONF_RECONNECT_OFF };

struct conf_target {
	const char *iqn;          /* lower case */
	const char *alias;        /* NULL: none */
	struct conf_acls initiators;  /* who may log in */
	struct conf_chap chap;
	struct conf_redirect redirect;
	enum conf_reconnect fast_reconnect;
	struct conf_lun *lun;     /* ascending by number */
	size_t n_lun;
	int line;
};

/* A device that carries the group's reservation: CONF_BLOCK or CONF_ISCSI. */
struct conf_fence {
	enum conf_backing backing;
	const char *path;         /* path or URL */
	int line;
};

struct conf_group {
	const char *name;
	const char **node;        /* order of preference */
	size_t n_node;
	bool failback_auto;
	struct conf_portal *portal;
	size_t n_portal;
	struct conf_chap discovery_chap;
	uint8_t chap_algs;        /* allowed here, with all of its targets; 0: all */
	struct conf_fence *fence; /* [0] arbitrates. Those of `fence:` first, then each block and iscsi LUN of the group */
	size_t n_fence, n_fence_set;  /* all; of these from `fence:` */
	struct conf_target *target;
	size_t n_target;
	int line;
};

/* Tunables, top-level `options:`. Names, defaults and limits: the one table in options.c. Times in ms. */
struct conf_options {
	uint32_t lease_ms;            /* valid_lft of a portal address; whole seconds */
	uint32_t lease_renew_ms;      /* how often it is renewed */
	uint32_t challenge_window_ms; /* a challenger waits this long for the key to move */
	uint32_t clusterd_grace_ms;   /* peers wait so long for a clusterd that died on a live node; > lease */
	uint32_t target_timeout_ms;   /* a target that answers no ping for so long is killed and restarted */
	uint32_t drain_timeout_ms;    /* planned move: longest wait for tasks in flight */
	uint32_t login_timeout_ms;    /* from accept to full feature phase, without the time a login is parked */
	uint32_t nop_interval_ms;     /* idle connection: NOP-In ping; 0: never */
	uint32_t nop_timeout_ms;      /* and how long to wait for the answer */
	uint32_t time2wait_s;         /* DefaultTime2Wait answered at login, seconds */
	uint32_t time2retain_s;       /* DefaultTime2Retain, seconds */
	uint32_t max_erl;             /* ErrorRecoveryLevel, at most */
	uint32_t reactors;            /* 0: one a core, at most 4 */
	uint32_t queue_depth;         /* commands in flight a session (MaxCmdSN window) */
	uint32_t max_sessions;        /* a group */
};

struct conf {
	enum conf_mode mode;
	const char *cluster;      /* standalone: "standalone" if not given */
	struct conf_options opt;
	struct conf_group *group;
	size_t n_group;
	const char **node;        /* union of the groups' nodes, each once, sorted */
	size_t n_node;
	struct conf_arena *arena;
};

/**
 * conf_parse() - Parse and check a whole document
 * @text, @len: YAML 1.1, UTF-8
 * @name: for messages, e.g. the file's name
 * @ret: the document; untouched on failure. conf_free() it.
 * @diags: findings, of errors as many as can be told apart, and warnings; conf_diags_free() it in any case
 * Return: 0; -EINVAL: see @diags; -ENOMEM
 * Context: pure, any thread
 */
int conf_parse(const char *text, size_t len, const char *name, enum conf_mode mode, struct conf **ret,
	       struct conf_diags *diags);

/** conf_load() - conf_parse() of a file; errors of reading it are findings too. Context: reads a file */
int conf_load(const char *path, enum conf_mode mode, struct conf **ret, struct conf_diags *diags);
void conf_free(struct conf *c);
static inline void conf_freep(struct conf **c) { conf_free(*c); }
static inline void conf_diags_freep(struct conf_diags *d) { conf_diags_free(d); }
#define _cleanup_conf_ __attribute__((cleanup(conf_freep)))
#define _cleanup_diags_ __attribute__((cleanup(conf_diags_freep)))

/** conf_check_files() - Check what the document names on this node: devices, secret files
 * @group: only this one; NULL: all
 * Return: number of errors added to @diags. Context: stat() and short reads; may block as a file system does
 */
size_t conf_check_files(const struct conf *c, const char *group, struct conf_diags *diags);

/** conf_default_options() - What holds for a document without `options:` */
struct conf_options conf_default_options(void);

/* ---- finding one's way ---- */
const struct conf_group *conf_group_find(const struct conf *c, const char *name);
const struct conf_target *conf_target_find(const struct conf_group *g, const char *iqn);  /* case-insensitive */
const struct conf_lun *conf_lun_find(const struct conf_target *t, unsigned number);
/** conf_group_rank() - Place of @node in the group's order of preference, 0 first; -1: not configured for it */
int conf_group_rank(const struct conf_group *g, const char *node);
/** conf_sockaddr() - To bind or to compare: the portal's address and port. Return: length for bind() */
socklen_t conf_sockaddr(const struct conf_portal *p, struct sockaddr_storage *ret);
/** conf_target_address() - "192.0.2.50:3260", "[2001:db8::50]:3260": TargetAddress of RFC 7143 13.8 without the
 * portal group tag. @buf: at least CONF_TARGET_ADDRESS_MAX bytes. Return: @buf */
#define CONF_TARGET_ADDRESS_MAX 64
char *conf_target_address(const struct conf_portal *p, char *buf);

/* ---- access ---- */
/**
 * conf_allowed() - Is this initiator on the list
 * @list: a target's: may it log in (before any CHAP); a LUN's: does it see the LUN, once it is in
 * @name: iSCSI name, any case
 * @ip, @ip_len: its address, 4 or 16 bytes in network order; an IPv4-mapped IPv6 address counts as IPv4
 * Return: true if the list is empty, or one entry matches the name or the address
 */
bool conf_allowed(const struct conf_acls *list, const char *name, const void *ip, size_t ip_len);

/**
 * conf_redirected() - Is a login sent elsewhere
 * @ip, @ip_len, @port: our end of the connection; an initiator that is at the right address already may stay
 */
bool conf_redirected(const struct conf_redirect *r, const void *ip, size_t ip_len, uint16_t port);
/** conf_fast_reconnect() - Is this initiator (any case) answered DefaultTime2Wait as configured, not the larger of both */
bool conf_fast_reconnect(const struct conf_target *t, const char *name);

/**
 * conf_chap_find() - The user that calls itself @user, if this initiator may be it
 * @name, @ip, @ip_len: as for conf_allowed()
 * Return: index in @c->user, -1: there is none
 */
int conf_chap_find(const struct conf_chap *c, const char *user, const char *name, const void *ip, size_t ip_len);

/**
 * enum conf_secret - Whose secret it is, RFC 7143 9.2.1
 *   CONF_SECRET_THEIRS  proves an initiator. Shorter than CONF_SECRET_MIN: only where IPsec protects the connection
 *   CONF_SECRET_OURS    proves us. Shorter: not used, for whoever asks could search for it
 */
enum conf_secret { CONF_SECRET_THEIRS, CONF_SECRET_OURS };
/**
 * conf_secret_read() - A CHAP secret from its file: the first line, without the line break
 * @ret: malloc()ed, NUL-terminated; wipe and free it with conf_secret_free(). Untouched on failure
 * @why: on failure or when there is something to say about a usable one (mode, length): malloc()ed, else NULL
 * Return: 0 or -errno (-EINVAL: empty, or longer than CONF_SECRET_MAX, or too short; -EACCES: everybody may read or
 * change it). Context: reads a file
 */
int conf_secret_read(const char *path, enum conf_secret whose, char **ret, size_t *ret_len, char **why);
void conf_secret_free(char *secret);

/* ---- derived names and numbers: stable for ever, the same on every node ---- */
/** conf_initiator_name() - iqn.2026-11.io.lunward:<cluster>:<node>. @buf: CONF_ISCSI_NAME_MAX + 1. Return: @buf */
char *conf_initiator_name(const char *cluster, const char *node, char *buf);
/**
 * enum conf_role - Which of a node's nexuses to a LUN an ISID is for
 *   CONF_ROLE_FENCE  clusterd's own: registers, preempts, reads keys
 *   CONF_ROLE_DATA   a target's reactor: reads and writes
 *   CONF_ROLE_TOOL   lunward-pr and the like
 */
enum conf_role { CONF_ROLE_FENCE = 0, CONF_ROLE_DATA = 1, CONF_ROLE_TOOL = 2 };
#define CONF_ISID_INDEXES 64
/**
 * conf_isid() - Which nexus of this node to a LUN: ISID of RFC 7143 11.12.5, type 10b (random)
 * @url: of the LUN; only target name and LUN number count, so that another address is still the same nexus
 * @index: below CONF_ISID_INDEXES, e.g. the reactor; it is the low bits of the last byte
 *
 * Every LUN has ISIDs of its own: two sessions to one target with the same would reinstate (end) each other for ever
 * (RFC 7143 6.3.5). Two that are equal by chance are refused when the document is parsed.
 */
void conf_isid(enum conf_role role, const char *group, const char *url, unsigned index, uint8_t ret[6]);
/** conf_identity() - What a LUN is called, if the document does not say (conf_lun.id is already filled) */
void conf_identity(const char *cluster, const char *iqn, unsigned lun, struct conf_identity *ret);

/* ---- differences, for live apply ---- */
enum conf_change_kind { CONF_ADDED, CONF_REMOVED, CONF_CHANGED };
/**
 * enum conf_part - What a change is about; the fields of struct conf_change that are set
 *   CONF_PART_CLUSTER   the cluster's name (identities, keys: everything)
 *   CONF_PART_OPTION    @item: the option
 *   CONF_PART_GROUP     @group: a whole group; its parts are not listed one by one
 *   CONF_PART_NODES, CONF_PART_FAILBACK, CONF_PART_FENCE, CONF_PART_DISCOVERY (its CHAP)  @group
 *   CONF_PART_PORTAL    @group, @item: the portal's text
 *   CONF_PART_TARGET    @group, @item: the iqn; ADDED and REMOVED only
 *   CONF_PART_ALIAS, CONF_PART_INITIATORS, CONF_PART_CHAP, CONF_PART_REDIRECT, CONF_PART_RECONNECT  @group, @item: the
 *                       iqn; INITIATORS of one LUN: @lun
 *   CONF_PART_LUN       @group, @item: the iqn, @lun. CHANGED only if the bytes are another device's or the
 *                       identity is another: remove and add
 *   CONF_PART_LUN_ATTR  the same LUN with another size, read-only or provisioning
 */
enum conf_part {
	CONF_PART_CLUSTER, CONF_PART_OPTION, CONF_PART_GROUP, CONF_PART_NODES, CONF_PART_FAILBACK, CONF_PART_FENCE,
	CONF_PART_DISCOVERY,
	CONF_PART_PORTAL, CONF_PART_TARGET, CONF_PART_ALIAS, CONF_PART_INITIATORS, CONF_PART_CHAP, CONF_PART_LUN,
	CONF_PART_LUN_ATTR, CONF_PART_REDIRECT, CONF_PART_RECONNECT,
};
struct conf_change {
	enum conf_change_kind kind;
	enum conf_part part;
	const char *group;        /* name; NULL: of the document */
	const char *item;
	int lun;                  /* -1: none */
	bool disrupts;            /* initiators will notice */
	char *text;               /* for people: "group vmstore: portal 192.0.2.51/24 added" */
};
struct conf_diff {
	struct conf_change *v;
	size_t n;
};
/**
 * conf_diff() - What leads from @old to @new
 * @old: NULL: there was none, every group is added. Both must live as long as the result.
 * Return: 0, -ENOMEM (@ret untouched)
 */
int conf_diff(const struct conf *old, const struct conf *new, struct conf_diff *ret);
void conf_diff_free(struct conf_diff *d);
/** conf_diff_group() - Does anything of this group change */
bool conf_diff_group(const struct conf_diff *d, const char *group);

/** conf_print() - The document in canonical form: parses to the same again. Return: malloc()ed; NULL: no memory */
char *conf_print(const struct conf *c);

#endif
