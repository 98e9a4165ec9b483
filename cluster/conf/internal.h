/* SPDX-License-Identifier: GPL-2.0-or-later */
/* internal.h - what the files of cluster/conf share: a map of the folder */
#ifndef LUNWARD_CONF_INTERNAL_H
#define LUNWARD_CONF_INTERNAL_H

#include <yaml.h>

#include "cluster/conf/conf.h"
#include "node/util/util.h"

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* ---- arena.c: memory that lives as long as the document ---- */
struct conf_arena *arena_new(void);
void arena_free(struct conf_arena *a);
/** arena_alloc() - @n objects of @size bytes, zeroed. Return: NULL if out of memory (remembered: arena_failed()) */
void *arena_alloc(struct conf_arena *a, size_t n, size_t size);
char *arena_strdup(struct conf_arena *a, const char *s);
char *arena_printf(struct conf_arena *a, const char *fmt, ...) PRINTF(2, 3);
bool arena_failed(const struct conf_arena *a);

/* ---- diag.c: findings ---- */
void diag_error(struct conf_diags *d, int line, const char *fmt, ...) PRINTF(3, 4);
void diag_warn(struct conf_diags *d, int line, const char *fmt, ...) PRINTF(3, 4);
void diag_sort(struct conf_diags *d);
/** diag_meant() - The word of @words nearest to @got, NULL if none is near */
const char *diag_meant(const char *got, const char *const *words, size_t n);

/* ---- value.c: scalars ----
 * Each reads @s into *@ret, or returns false and writes into @why what is wrong; what is allowed. The message
 * is made to follow the quoted value: `"64XB" is not a size; allowed: …`. */
#define WHY_MAX 320
typedef bool value_fn(const char *s, void *ret, char why[WHY_MAX]);
bool value_size(const char *s, void *ret_u64, char why[WHY_MAX]);
bool value_bool(const char *s, void *ret_bool, char why[WHY_MAX]);
bool value_failback(const char *s, void *ret_bool, char why[WHY_MAX]);
bool value_provisioning(const char *s, void *ret_enum, char why[WHY_MAX]);
bool value_reconnect(const char *s, void *ret_enum, char why[WHY_MAX]);
bool value_block_size(const char *s, void *ret_u32, char why[WHY_MAX]);
bool value_lun_number(const char *s, void *ret_u16, char why[WHY_MAX]);
/** value_duration() - "400ms", "2s" into milliseconds */
bool value_duration(const char *s, void *ret_u32, char why[WHY_MAX]);
bool value_count(const char *s, void *ret_u32, char why[WHY_MAX]);
/* These check only; @ret is ignored. */
bool value_name(const char *s, void *ret, char why[WHY_MAX]);       /* of a cluster, group, node */
bool value_path(const char *s, void *ret, char why[WHY_MAX]);
bool value_serial(const char *s, void *ret, char why[WHY_MAX]);
bool value_naa(const char *s, void *ret, char why[WHY_MAX]);
bool value_eui(const char *s, void *ret, char why[WHY_MAX]);
bool value_product(const char *s, void *ret, char why[WHY_MAX]);
bool value_user(const char *s, void *ret, char why[WHY_MAX]);

/* ---- iname.c: iSCSI names and URLs ---- */
bool value_target_name(const char *s, void *ret, char why[WHY_MAX]);     /* RFC 7143 4.2.7 */
bool value_initiator_name(const char *s, void *ret, char why[WHY_MAX]);  /* the same, patterns too */
bool value_iscsi_url(const char *s, void *ret, char why[WHY_MAX]);
void ascii_lower(char *s);

/* ---- address.c ---- */
/** address_parse() - "192.0.2.1", "2001:db8::/32" */
bool address_parse(const char *s, struct conf_addr *ret, char why[WHY_MAX]);
/** portal_parse() - ADDRESS/LEN[:PORT][@DEV]. @dev: copied to @dev_buf, "" if none */
#define DEV_MAX 16
bool portal_parse(const char *s, enum conf_mode mode, struct conf_portal *ret, char dev_buf[DEV_MAX],
		  char why[WHY_MAX]);
/** endpoint_parse() - ADDRESS[:PORT] of another machine, or of this one. Return: false: unusable for others, too */
bool endpoint_parse(const char *s, struct conf_addr *ret, uint16_t *ret_port, char why[WHY_MAX]);
/** endpoint_print() - "192.0.2.50:3260", "[2001:db8::50]:3260". @buf: CONF_TARGET_ADDRESS_MAX. Return: @buf */
char *endpoint_print(const struct conf_addr *a, uint16_t port, char *buf);
/** address_print() - @with_prefix: always "/LEN", otherwise only if it is shorter than the address */
#define ADDRESS_MAX 64
char *address_print(const struct conf_addr *a, bool with_prefix, char buf[ADDRESS_MAX]);
/** address_match() - Is @ip inside @a */
bool address_match(const struct conf_addr *a, const uint8_t *ip, size_t len);
bool address_is_any(const struct conf_addr *a);

/* ---- options.c ---- */
struct option {
	const char *name;
	size_t offset;            /* of a uint32_t in struct conf_options */
	uint32_t def, min, max;
	enum {
		OPT_MS,           /* milliseconds */
		OPT_MS_WHOLE,     /* milliseconds, whole seconds only */
		OPT_S,            /* seconds */
		OPT_COUNT,
	} unit;
};
extern const struct option conf_option_table[];
extern const size_t conf_option_n;
static inline uint32_t *option_at(struct conf_options *o, size_t i)
{
	return (uint32_t *)(void *)((char *)o + conf_option_table[i].offset);
}
static inline uint32_t option_get(const struct conf_options *o, size_t i)
{
	return *(const uint32_t *)(const void *)((const char *)o + conf_option_table[i].offset);
}
bool option_set(struct conf_options *o, size_t i, const char *s, char why[WHY_MAX]);
/** option_print() - "2s", "400ms", "64" */
char *option_print(const struct conf_options *o, size_t i, char buf[24]);

/* ---- tree.c: walking the YAML tree by tables ---- */
struct reader {
	yaml_document_t *y;
	struct conf *c;
	struct conf_diags *d;
	size_t budget;            /* nodes that may still be visited: aliases must not multiply without bound */
	int options_line;
};
typedef void node_fn(struct reader *r, yaml_node_t *n, void *obj);
struct field {
	const char *key;
	node_fn *read;
	bool required;
	bool hidden;              /* understood only to say why it is refused */
};
#define MUST(k, f) { .key = k, .read = f, .required = true }
#define MAY(k, f) { .key = k, .read = f }
#define REFUSED(k, f) { .key = k, .read = f, .hidden = true }
/** tree_map() - Read a mapping: each key's value by its field's function, into @obj */
void tree_map(struct reader *r, yaml_node_t *n, const char *what, const struct field *f, size_t n_f, void *obj);
/** tree_list() - Read a sequence into a new array of @size-byte objects. Return: the array, NULL if empty or bad */
void *tree_list(struct reader *r, yaml_node_t *n, const char *what, size_t size, node_fn *read, size_t *ret_n);
/** tree_scalar() - The text of a scalar, in the arena. Return: NULL and a finding if it is none */
char *tree_scalar(struct reader *r, yaml_node_t *n, const char *what);
/** tree_value() - A scalar through @fn. Return: its text, NULL and a finding if it is not allowed */
char *tree_value(struct reader *r, yaml_node_t *n, const char *what, value_fn *fn, void *ret);
yaml_node_t *tree_node(struct reader *r, int index);
static inline int tree_line(const yaml_node_t *n) { return (int)n->start_mark.line + 1; }

/* ---- schema.c, lun.c, chap.c: the tables ---- */
void schema_read(struct reader *r, yaml_node_t *root);
void schema_targets(struct reader *r, yaml_node_t *n, void *group);
char *schema_url(struct reader *r, yaml_node_t *n, const char *what);
void schema_luns(struct reader *r, yaml_node_t *n, void *target);
/** schema_initiators() - A list of names and addresses. @without: what it means to leave it out */
void schema_initiators(struct reader *r, yaml_node_t *n, struct conf_acls *ret, const char *without);
void schema_chap(struct reader *r, yaml_node_t *n, struct conf_chap *ret);
void schema_chap_algs(struct reader *r, yaml_node_t *n, uint8_t *ret);
void chap_check(struct reader *r);                             /* the whole document's */

/* ---- check.c: between parts ---- */
void check_group(struct reader *r, struct conf_group *g);      /* one that read without errors */
void check_document(struct reader *r);
bool conf_fill_group(struct conf *c, struct conf_group *g);    /* effective fence list */
bool conf_fill_nodes(struct conf *c);

/* ---- secret.c ---- */
/** secrets_check() - The CHAP secrets of a group: there, usable, no two the same that must differ */
void secrets_check(const struct conf_group *g, struct conf_diags *d);

/* ---- identity.c ---- */
void conf_fill_identities(struct conf *c);
/** device_key() - What makes a device the same one: of an iSCSI URL the part after the host, else the path */
const char *device_key(const char *path);

#endif
