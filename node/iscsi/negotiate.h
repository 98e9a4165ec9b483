/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * negotiate.h - the text keys (RFC 7143 chapters 12, 13) and their negotiation (6.2)
 *
 * The table in keys.c says everything about a key; negotiate.c works it off. Context: pure.
 */
#ifndef LUNWARD_ISCSI_NEGOTIATE_H
#define LUNWARD_ISCSI_NEGOTIATE_H

#include "node/iscsi/isc.h"
#include "node/iscsi/text.h"

enum key_id {
	K_AUTH_METHOD, K_CHAP_A, K_CHAP_C, K_CHAP_I, K_CHAP_N, K_CHAP_R,
	K_INITIATOR_NAME, K_INITIATOR_ALIAS, K_TARGET_NAME, K_SESSION_TYPE,
	K_TARGET_ALIAS, K_TARGET_ADDRESS, K_TPGT,
	K_HEADER_DIGEST, K_DATA_DIGEST,
	K_MAX_CONNECTIONS, K_INITIAL_R2T, K_IMMEDIATE_DATA, K_MAX_RECV_DSL, K_MAX_BURST, K_FIRST_BURST,
	K_TIME2WAIT, K_TIME2RETAIN, K_MAX_R2T, K_PDU_IN_ORDER, K_SEQUENCE_IN_ORDER, K_ERL,
	K_TASK_REPORTING, K_PROTOCOL_LEVEL, K_NODE_ARCHITECTURE,
	K_IF_MARKER, K_OF_MARKER, K_IF_MARK_INT, K_OF_MARK_INT,
	K_SEND_TARGETS,
	KEY_COUNT,
};

/* enum key_type - How a value is read, and what comes of the initiator's and ours */
enum key_type {
	KT_AND, KT_OR,                /* boolean: the result function */
	KT_MIN, KT_MAX,               /* number: the result function */
	KT_LIST,                      /* list of values, in order of preference; ours: a set of acceptable ones */
	KT_DECLARE_NUM,               /* declared, not negotiated */
	KT_DECLARE,                   /* a string, kept for the caller in neg.value */
	KT_CONST,                     /* obsolete: always the same answer */
};

/* When a key may be used */
enum key_phase { PH_SECURITY = 1, PH_OPERATIONAL = 2, PH_FULL = 4, PH_LOGIN = PH_SECURITY | PH_OPERATIONAL };

enum key_flag {
	KF_IRRELEVANT = 1,            /* in a discovery session */
	KF_TARGET = 2,                /* only a target sends it */
	KF_REPEAT = 4,                /* may come again in a later request; the caller checks that it says the same */
	KF_LEADING = 8,               /* only the leading connection of a session negotiates it ("LO") */
	KF_LATE = 16,                 /* a number that isc_neg_close() answers */
	KF_DECLARED = 32,             /* we may have declared it: words such as NotUnderstood may be answers to that */
};

struct key {
	const char *name;
	uint8_t type, phases, flags;
	uint16_t max_len;             /* of the value; 0: ISC_VALUE_MAX */
	uint32_t min, max;            /* of a number */
	const char *const *values;    /* KT_LIST: bit i of our set means values[i]; KT_CONST: the answer */
};

extern const struct key isc_keys[KEY_COUNT];

/* Bits of the sets for K_TASK_REPORTING; those of the digests are enum isc_digest */
enum { TR_RFC3720 = 1, TR_RESPONSE_FENCE = 2 };

/** struct neg - A negotiation: one login, or one text request */
struct neg {
	enum key_phase phase;
	bool discovery;
	bool further;                 /* not the leading connection of its session */
	bool seen[KEY_COUNT];
	bool agreed[KEY_COUNT];       /* num[] holds a result */
	bool open[KEY_COUNT];         /* num[] holds the initiator's value, to be answered by isc_neg_close() */
	bool time2wait_as_is;         /* struct isc_verdict */
	bool recovers;                /* the initiator offers an ErrorRecoveryLevel of 1 or 2 */
	uint32_t ours[KEY_COUNT];     /* what we want: number, boolean, or set */
	uint32_t num[KEY_COUNT];      /* the result */
	const char *value[KEY_COUNT]; /* KT_DECLARE: as it came; NULL: did not */
};

/**
 * enum neg_result - What became of a key
 *    NEG_BROKEN    the key is not the initiator's to use here, or too long
 *    NEG_PROTOCOL  it breaks the rules of negotiating: twice in one sequence (6.3, 6.4), a reserved word as an offer (6.2)
 */
enum neg_result { NEG_OK, NEG_BROKEN, NEG_PROTOCOL };

void isc_neg_init(struct neg *n, const struct isc_config *cfg);

/**
 * isc_neg_key() - One key=value of the initiator
 * @value: has to live as long as n->value is used
 * @out: the answer is added, if there is one and it is not isc_neg_close()'s
 * Return: NEG_OK. In login anything else ends it (6.3); in full feature phase NEG_BROKEN is answered key=Reject, and
 * NEG_PROTOCOL with a Reject PDU.
 */
enum neg_result isc_neg_key(struct neg *n, const char *key, const char *value, struct text *out);

/**
 * isc_neg_close() - After the last key of a request: the answers to keys that depend on others, or on who asks
 * (FirstBurstLength on MaxBurstLength, DefaultTime2Wait on n->time2wait_as_is, DefaultTime2Retain on ErrorRecoveryLevel)
 */
void isc_neg_close(struct neg *n, struct text *out);

/** isc_neg_apply() - Put what was agreed into @p */
void isc_neg_apply(const struct neg *n, struct isc_params *p);

#endif
