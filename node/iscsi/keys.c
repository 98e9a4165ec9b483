/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keys.c - every text key there is, in one table (RFC 7143 chapters 12 and 13, RFC 7144) */
#include "node/iscsi/negotiate.h"

enum { KF_SESSION = KF_IRRELEVANT | KF_LEADING };
enum { MAX24 = (1 << 24) - 1, BIN_TEXT_MAX = 2 + 2 * 1024 };

static const char *const digests[] = { "None", "CRC32C", NULL };
static const char *const reports[] = { "RFC3720", "ResponseFence", NULL };
static const char *const no[] = { "No" };
static const char *const reject[] = { "Reject" };

/* Name, type, phases, and what else there is to say */
#define KEY(n, t, p, ...) { .name = (n), .type = (t), .phases = (p), ## __VA_ARGS__ }

const struct key isc_keys[KEY_COUNT] = {
	/* 12.1: security; security.c reads the values */
	[K_AUTH_METHOD] = KEY("AuthMethod", KT_DECLARE, PH_SECURITY),
	[K_CHAP_A] = KEY("CHAP_A", KT_DECLARE, PH_SECURITY),
	[K_CHAP_C] = KEY("CHAP_C", KT_DECLARE, PH_SECURITY, .max_len = BIN_TEXT_MAX),
	[K_CHAP_I] = KEY("CHAP_I", KT_DECLARE, PH_SECURITY),
	[K_CHAP_N] = KEY("CHAP_N", KT_DECLARE, PH_SECURITY),
	[K_CHAP_R] = KEY("CHAP_R", KT_DECLARE, PH_SECURITY, .max_len = BIN_TEXT_MAX),

	/* 13.4 … 13.9, 13.21: who and what; login.c reads the values. Chapter 12 allows them in both stages. */
	[K_INITIATOR_NAME] = KEY("InitiatorName", KT_DECLARE, PH_LOGIN, .flags = KF_REPEAT),
	[K_INITIATOR_ALIAS] = KEY("InitiatorAlias", KT_DECLARE, PH_LOGIN | PH_FULL, .flags = KF_REPEAT),
	[K_TARGET_NAME] = KEY("TargetName", KT_DECLARE, PH_LOGIN, .flags = KF_REPEAT),
	[K_SESSION_TYPE] = KEY("SessionType", KT_DECLARE, PH_LOGIN, .flags = KF_REPEAT),
	[K_TARGET_ALIAS] = KEY("TargetAlias", KT_DECLARE, PH_LOGIN | PH_FULL, .flags = KF_TARGET | KF_DECLARED),
	[K_TARGET_ADDRESS] = KEY("TargetAddress", KT_DECLARE, PH_LOGIN | PH_FULL, .flags = KF_TARGET | KF_DECLARED),
	[K_TPGT] = KEY("TargetPortalGroupTag", KT_DECLARE, PH_LOGIN, .flags = KF_TARGET | KF_DECLARED),

	/* 13.1 … 13.20: operation */
	[K_HEADER_DIGEST] = KEY("HeaderDigest", KT_LIST, PH_OPERATIONAL, .values = digests),
	[K_DATA_DIGEST] = KEY("DataDigest", KT_LIST, PH_OPERATIONAL, .values = digests),
	[K_MAX_CONNECTIONS] = KEY("MaxConnections", KT_MIN, PH_OPERATIONAL, .flags = KF_SESSION,
		.min = 1, .max = 65535),
	[K_INITIAL_R2T] = KEY("InitialR2T", KT_OR, PH_OPERATIONAL, .flags = KF_SESSION),
	[K_IMMEDIATE_DATA] = KEY("ImmediateData", KT_AND, PH_OPERATIONAL, .flags = KF_SESSION),
	[K_MAX_RECV_DSL] = KEY("MaxRecvDataSegmentLength", KT_DECLARE_NUM, PH_OPERATIONAL | PH_FULL,
		.flags = KF_DECLARED, .min = 512, .max = MAX24),
	[K_MAX_BURST] = KEY("MaxBurstLength", KT_MIN, PH_OPERATIONAL, .flags = KF_SESSION,
		.min = 512, .max = MAX24),
	[K_FIRST_BURST] = KEY("FirstBurstLength", KT_MIN, PH_OPERATIONAL, .flags = KF_SESSION | KF_LATE,
		.min = 512, .max = MAX24),
	[K_TIME2WAIT] = KEY("DefaultTime2Wait", KT_MAX, PH_OPERATIONAL, .flags = KF_LEADING | KF_LATE,
		.min = 0, .max = 3600),
	[K_TIME2RETAIN] = KEY("DefaultTime2Retain", KT_MIN, PH_OPERATIONAL, .flags = KF_LEADING | KF_LATE,
				  .min = 0, .max = 3600),
	[K_MAX_R2T] = KEY("MaxOutstandingR2T", KT_MIN, PH_OPERATIONAL, .flags = KF_SESSION,
		.min = 1, .max = 65535),
	[K_PDU_IN_ORDER] = KEY("DataPDUInOrder", KT_OR, PH_OPERATIONAL, .flags = KF_SESSION),
	[K_SEQUENCE_IN_ORDER] = KEY("DataSequenceInOrder", KT_OR, PH_OPERATIONAL, .flags = KF_SESSION),
	[K_ERL] = KEY("ErrorRecoveryLevel", KT_MIN, PH_OPERATIONAL, .flags = KF_LEADING, .min = 0, .max = 2),
	[K_TASK_REPORTING] = KEY("TaskReporting", KT_LIST, PH_OPERATIONAL,
		.flags = KF_SESSION, .values = reports),
	[K_PROTOCOL_LEVEL] = KEY("iSCSIProtocolLevel", KT_MIN, PH_OPERATIONAL, .flags = KF_SESSION,
		.min = 0, .max = 31),
	[K_NODE_ARCHITECTURE] = KEY("X-NodeArchitecture", KT_DECLARE, PH_LOGIN | PH_FULL),

	/* 13.25: obsolete. "No" is as good as "Reject" there, and old initiators like it better. */
	[K_IF_MARKER] = KEY("IFMarker", KT_CONST, PH_OPERATIONAL, .values = no),
	[K_OF_MARKER] = KEY("OFMarker", KT_CONST, PH_OPERATIONAL, .values = no),
	[K_IF_MARK_INT] = KEY("IFMarkInt", KT_CONST, PH_OPERATIONAL, .values = reject),
	[K_OF_MARK_INT] = KEY("OFMarkInt", KT_CONST, PH_OPERATIONAL, .values = reject),

	/* 13.3: textreq.c reads the value */
	[K_SEND_TARGETS] = KEY("SendTargets", KT_DECLARE, PH_FULL),
};
