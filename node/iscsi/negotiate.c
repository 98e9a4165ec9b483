/* SPDX-License-Identifier: GPL-2.0-or-later */
/* negotiate.c - works off the key table: what is allowed, what the result is, what to answer (RFC 7143 6.2) */
#include <string.h>

#include "node/iscsi/negotiate.h"
#include "node/util/util.h"

void isc_neg_init(struct neg *n, const struct isc_config *cfg)
{
	*n = (struct neg){ .phase = PH_SECURITY };
	n->ours[K_HEADER_DIGEST] = cfg->header_digest;
	n->ours[K_DATA_DIGEST] = cfg->data_digest;
	n->ours[K_MAX_CONNECTIONS] = MIN(cfg->max_connections, (uint32_t)ISC_CONNECTIONS_MAX);
	n->ours[K_INITIAL_R2T] = cfg->initial_r2t;
	n->ours[K_IMMEDIATE_DATA] = cfg->immediate_data;
	n->ours[K_MAX_BURST] = cfg->max_burst;
	n->ours[K_FIRST_BURST] = MIN(cfg->first_burst, cfg->max_burst);
	n->ours[K_TIME2WAIT] = cfg->time2wait;
	n->ours[K_TIME2RETAIN] = cfg->time2retain;
	n->ours[K_MAX_R2T] = MIN(cfg->max_outstanding_r2t, (uint32_t)ISC_R2T_MAX);
	n->ours[K_PDU_IN_ORDER] = true;
	n->ours[K_SEQUENCE_IN_ORDER] = true;
	n->ours[K_ERL] = cfg->max_erl;
	n->ours[K_TASK_REPORTING] = TR_RFC3720 | TR_RESPONSE_FENCE;  /* but see neg_list() */
	n->ours[K_PROTOCOL_LEVEL] = 2;
}

/* A type's function. Return: the answer, in @buf or static; NULL for none. "Reject" if the value is not one. */
typedef const char *key_fn(struct neg *n, enum key_id id, const char *value, char buf[16]);

static const char rejected[] = "Reject";

static void agree(struct neg *n, enum key_id id, uint32_t v)
{
	n->num[id] = v;
	n->agreed[id] = true;
}

static const char *neg_bool(struct neg *n, enum key_id id, const char *value, char buf[16])
{
	bool theirs = strcmp(value, "Yes") == 0, v;

	(void)buf;
	if (!theirs && strcmp(value, "No") != 0)
		return rejected;
	v = isc_keys[id].type == KT_AND ? theirs && n->ours[id] : theirs || n->ours[id];
	agree(n, id, v);
	return v ? "Yes" : "No";
}

/* Return: false unless it is a number within the key's range */
static bool key_num(enum key_id id, const char *value, uint32_t *ret)
{
	uint64_t v;

	if (!isc_num(value, &v) || v < isc_keys[id].min || v > isc_keys[id].max)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static const char *neg_num(struct neg *n, enum key_id id, const char *value, char buf[16])
{
	uint32_t theirs, v;

	if (!key_num(id, value, &theirs))
		return rejected;
	if (isc_keys[id].flags & KF_LATE) {
		n->num[id] = theirs;
		n->open[id] = true;
		return NULL;
	}
	v = isc_keys[id].type == KT_MIN ? MIN(theirs, n->ours[id]) : MAX(theirs, n->ours[id]);
	if (id == K_MAX_R2T && ((n->recovers && n->ours[K_ERL]) || (n->agreed[K_ERL] && n->num[K_ERL])))
		v = 1;  /* 13.19: with sequences in order, as we want them */
	if (id == K_ERL && n->agreed[K_MAX_R2T] && n->num[K_MAX_R2T] > 1)  /* likewise, agreed on in an earlier request */
		v = 0;
	if (id == K_MAX_CONNECTIONS && n->agreed[K_TASK_REPORTING] && n->num[K_TASK_REPORTING] == TR_RESPONSE_FENCE)
		v = 1;  /* see neg_list() */
	agree(n, id, v);
	snprintf(buf, 16, "%u", v);
	return buf;
}

static const char *neg_declare_num(struct neg *n, enum key_id id, const char *value, char buf[16])
{
	uint32_t v;

	(void)buf;
	if (!key_num(id, value, &v))
		return rejected;
	agree(n, id, v);
	return NULL;
}

/*
 * 6.2.1: the first of the initiator's values that we support. A response fence (4.2.2.3.3) holds answers back on all
 * connections until those before it are acknowledged; we have it only where it is free, on the only connection.
 */
static const char *neg_list(struct neg *n, enum key_id id, const char *value, char buf[16])
{
	const char *const *values = isc_keys[id].values, *v;
	uint32_t ours = n->ours[id];
	size_t len;

	(void)buf;
	if (id == K_TASK_REPORTING && n->agreed[K_MAX_CONNECTIONS] && n->num[K_MAX_CONNECTIONS] > 1)
		ours &= ~(uint32_t)TR_RESPONSE_FENCE;
	while ((v = isc_list_next(&value, &len))) {
		for (unsigned i = 0; values[i]; i++) {
			if (!(ours & 1u << i) || strlen(values[i]) != len || memcmp(values[i], v, len) != 0)
				continue;
			agree(n, id, 1u << i);
			return values[i];
		}
	}
	return rejected;
}

static const char *neg_declare(struct neg *n, enum key_id id, const char *value, char buf[16])
{
	(void)buf;
	n->value[id] = value;
	return NULL;
}

static const char *neg_const(struct neg *n, enum key_id id, const char *value, char buf[16])
{
	(void)n;
	(void)value;
	(void)buf;
	return isc_keys[id].values[0];
}

static key_fn *const types[] = {
	[KT_AND] = neg_bool,
	[KT_OR] = neg_bool,
	[KT_MIN] = neg_num,
	[KT_MAX] = neg_num,
	[KT_LIST] = neg_list,
	[KT_DECLARE_NUM] = neg_declare_num,
	[KT_DECLARE] = neg_declare,
	[KT_CONST] = neg_const,
};

static int key_find(const char *name)
{
	for (int i = 0; i < KEY_COUNT; i++)
		if (strcmp(isc_keys[i].name, name) == 0)
			return i;
	return -1;
}

/* Words that are answers, and never offers */
static bool is_reserved(const char *value)
{
	return strcmp(value, "NotUnderstood") == 0 || strcmp(value, "Irrelevant") == 0 || strcmp(value, rejected) == 0;
}

enum neg_result isc_neg_key(struct neg *n, const char *name, const char *value, struct text *out)
{
	int id = key_find(name);
	const struct key *k = &isc_keys[id < 0 ? 0 : id];
	const char *answer;
	char buf[16];

	if (is_reserved(value))
		return id < 0 || k->flags & KF_DECLARED ? NEG_OK : NEG_PROTOCOL;
	if (id < 0) {
		isc_text_put(out, name, "NotUnderstood");
		return NEG_OK;
	}
	if (!(k->phases & n->phase) || k->flags & KF_TARGET)
		return NEG_BROKEN;
	if (n->seen[id] && (!(k->flags & KF_REPEAT) || n->value[id]))
		return NEG_PROTOCOL;
	if (strlen(value) > (k->max_len ? k->max_len : (size_t)ISC_VALUE_MAX))
		return NEG_BROKEN;
	n->seen[id] = true;
	if ((n->discovery && k->flags & KF_IRRELEVANT) || (n->further && k->flags & KF_LEADING))
		answer = "Irrelevant";
	else
		answer = types[k->type](n, (enum key_id)id, value, buf);
	if (answer)
		isc_text_put(out, name, answer);
	return NEG_OK;
}

/* The result, where it is not only a matter of this key's two values */
static uint32_t late_result(const struct neg *n, enum key_id id)
{
	uint32_t theirs = n->num[id], ours = n->ours[id];

	if (id == K_TIME2WAIT)
		return n->time2wait_as_is ? ours : MAX(theirs, ours);
	if (id == K_TIME2RETAIN && !(n->agreed[K_ERL] && n->num[K_ERL] == 2))  /* nothing is retained */
		return 0;
	if (n->agreed[K_MAX_BURST])  /* 13.14 */
		ours = MIN(ours, n->num[K_MAX_BURST]);
	return MIN(theirs, ours);
}

void isc_neg_close(struct neg *n, struct text *out)
{
	for (int id = 0; id < KEY_COUNT; id++) {
		if (!n->open[id])
			continue;
		n->open[id] = false;
		agree(n, (enum key_id)id, late_result(n, (enum key_id)id));
		isc_text_put_num(out, isc_keys[id].name, n->num[id]);
	}
}

void isc_neg_apply(const struct neg *n, struct isc_params *p)
{
	const struct { enum key_id id; uint32_t *num; } nums[] = {
		{ K_MAX_CONNECTIONS, &p->max_connections }, { K_MAX_RECV_DSL, &p->max_send_dsl },
		{ K_MAX_BURST, &p->max_burst }, { K_FIRST_BURST, &p->first_burst },
		{ K_TIME2WAIT, &p->time2wait }, { K_TIME2RETAIN, &p->time2retain },
		{ K_MAX_R2T, &p->max_outstanding_r2t }, { K_ERL, &p->erl },
		{ K_PROTOCOL_LEVEL, &p->protocol_level },
	};
	const struct { enum key_id id; bool *yes; } bools[] = {
		{ K_INITIAL_R2T, &p->initial_r2t }, { K_IMMEDIATE_DATA, &p->immediate_data },
		{ K_PDU_IN_ORDER, &p->data_pdu_in_order }, { K_SEQUENCE_IN_ORDER, &p->data_sequence_in_order },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nums); i++)
		if (n->agreed[nums[i].id])
			*nums[i].num = n->num[nums[i].id];
	for (size_t i = 0; i < ARRAY_SIZE(bools); i++)
		if (n->agreed[bools[i].id])
			*bools[i].yes = n->num[bools[i].id];
	if (n->agreed[K_HEADER_DIGEST])
		p->header_digest = (uint8_t)n->num[K_HEADER_DIGEST];
	if (n->agreed[K_DATA_DIGEST])
		p->data_digest = (uint8_t)n->num[K_DATA_DIGEST];
}
