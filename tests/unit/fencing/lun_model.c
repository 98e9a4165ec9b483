/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/fencing/lun_model.h"

#include <string.h>

enum { GOOD = 0x00, CHECK = 0x02, CONFLICT = 0x18 };
enum { RELEASED = 0x2a04, PREEMPTED = 0x2a05, RESV_PREEMPTED = 0x2a03, POWER_ON = 0x2900 };

struct answer {
	uint8_t status, key;
	uint16_t asc;
};

static const struct answer good = { GOOD, 0, 0 }, conflict = { CONFLICT, 0, 0 };
static const struct answer bad_cdb = { CHECK, 5, 0x2400 }, bad_param = { CHECK, 5, 0x2600 };
static const struct answer bad_release = { CHECK, 5, 0x2604 };

void lun_init(struct lun_model *lun)
{
	memset(lun, 0, sizeof(*lun));
	lun->holder = -1;
}

uint64_t lun_holder_key(const struct lun_model *lun)
{
	return lun->holder < 0 ? 0 : lun->nexus[lun->holder].key;
}

static bool registrants_only(uint8_t type)
{
	return type >= FENCE_TYPE_WE_RO;
}

bool lun_allows(const struct lun_model *lun, unsigned int nexus)
{
	if (lun->holder < 0 || lun->holder == (int)nexus)
		return true;
	return registrants_only(lun->type) && lun->nexus[nexus].key != 0;
}

bool lun_submit(struct lun_model *lun, unsigned int nexus)
{
	if (!lun_allows(lun, nexus))
		return false;
	lun->nexus[nexus].queued++;
	return true;
}

static void attention(struct lun_model *lun, unsigned int nexus, uint16_t ua)
{
	if (lun->with_ua && lun->nexus[nexus].ua == 0)
		lun->nexus[nexus].ua = ua;
}

static void release(struct lun_model *lun)
{
	for (unsigned int i = 0; i < LUN_NEXUSES && registrants_only(lun->type); i++)
		if ((int)i != lun->holder && lun->nexus[i].key)
			attention(lun, i, RELEASED);
	lun->holder = -1;
	lun->type = 0;
}

void lun_power_loss(struct lun_model *lun)
{
	if (!lun->aptpl) {
		lun->holder = -1;
		lun->type = 0;
	}
	for (unsigned int i = 0; i < LUN_NEXUSES; i++) {
		if (!lun->aptpl)
			lun->nexus[i].key = 0;
		lun->nexus[i].ua = POWER_ON;
		lun->nexus[i].queued = 0;
	}
}

/* SPC-4 5.13.7, tables 60 and 61 */
static struct answer do_register(struct lun_model *lun, unsigned int n, const struct fence_cmd *cmd)
{
	bool ignore = cmd->op == FENCE_CMD_REGISTER_AND_IGNORE;

	if (ignore && lun->no_ignore)
		return bad_cdb;
	if (!ignore && lun->nexus[n].key != cmd->key)
		return conflict;
	if (cmd->aptpl && lun->no_aptpl)
		return lun->no_caps ? bad_cdb : bad_param;  /* there are both kinds */
	if (!lun->nexus[n].key && !cmd->sakey)
		return good;
	lun->aptpl = cmd->aptpl;
	lun->generation++;
	if (!cmd->sakey && lun->holder == (int)n)
		release(lun);
	lun->nexus[n].key = cmd->sakey;
	return good;
}

/* 5.13.9 */
static struct answer do_reserve(struct lun_model *lun, unsigned int n, const struct fence_cmd *cmd)
{
	if (lun->holder == (int)n && lun->type == cmd->type)
		return good;
	if (lun->holder >= 0)
		return conflict;
	lun->holder = (int)n;
	lun->type = cmd->type;
	return good;
}

/* 5.13.11.2 */
static struct answer do_release(struct lun_model *lun, unsigned int n, const struct fence_cmd *cmd)
{
	if (lun->holder != (int)n)
		return good;
	if (lun->type != cmd->type)
		return bad_release;
	release(lun);
	return good;
}

/* 5.13.11.4 and 5.13.11.5 */
static struct answer do_preempt(struct lun_model *lun, unsigned int n, const struct fence_cmd *cmd)
{
	bool abort = cmd->op == FENCE_CMD_PREEMPT_AND_ABORT, any = false, holder = false;

	if (!cmd->sakey)
		return bad_param;
	for (unsigned int i = 0; i < LUN_NEXUSES; i++)
		any |= lun->nexus[i].key == cmd->sakey;
	if (!any)
		return conflict;
	holder = lun_holder_key(lun) == cmd->sakey;
	lun->generation++;
	for (unsigned int i = 0; i < LUN_NEXUSES; i++) {
		if (lun->nexus[i].key != cmd->sakey)
			continue;
		if (abort)
			lun->nexus[i].queued = 0;
		if (i == n)
			continue;
		lun->nexus[i].key = 0;
		attention(lun, i, PREEMPTED);
	}
	if (holder) {
		lun->holder = (int)n;
		lun->type = cmd->type;
	}
	return good;
}

static struct answer do_clear(struct lun_model *lun, unsigned int n)
{
	lun->generation++;
	lun->holder = -1;
	lun->type = 0;
	for (unsigned int i = 0; i < LUN_NEXUSES; i++) {
		if (lun->nexus[i].key && i != n)
			attention(lun, i, RESV_PREEMPTED);
		lun->nexus[i].key = 0;
	}
	return good;
}

static struct answer do_out(struct lun_model *lun, unsigned int n, const struct fence_cmd *cmd)
{
	bool typed = cmd->op == FENCE_CMD_RESERVE || cmd->op == FENCE_CMD_PREEMPT ||
		     cmd->op == FENCE_CMD_PREEMPT_AND_ABORT;

	if (lun->refuse_all || (cmd->op == FENCE_CMD_PREEMPT_AND_ABORT && lun->no_abort) ||
	    (typed && cmd->type == FENCE_TYPE_EA_RO && lun->no_type6))
		return bad_cdb;
	if (cmd->op == FENCE_CMD_REGISTER || cmd->op == FENCE_CMD_REGISTER_AND_IGNORE)
		return do_register(lun, n, cmd);
	if (!lun->nexus[n].key || lun->nexus[n].key != cmd->key)
		return conflict;
	switch (cmd->op) {
	case FENCE_CMD_RESERVE:
		return do_reserve(lun, n, cmd);
	case FENCE_CMD_RELEASE:
		return do_release(lun, n, cmd);
	case FENCE_CMD_CLEAR:
		return do_clear(lun, n);
	default:
		return do_preempt(lun, n, cmd);
	}
}

static struct answer do_in(const struct lun_model *lun, struct fence_result *dev)
{
	dev->generation = lun->generation;
	dev->n_keys = 0;
	if (dev->op == FENCE_CMD_READ_KEYS) {
		for (unsigned int i = 0; i < LUN_NEXUSES; i++)
			if (lun->nexus[i].key)
				dev->keys[dev->n_keys++] = lun->nexus[i].key;
	} else if (dev->op == FENCE_CMD_READ_RESERVATION) {
		dev->holder = lun->type >= FENCE_TYPE_WE_AR ? 0 : lun_holder_key(lun);
		dev->type = lun->type;
	} else if (dev->op == FENCE_CMD_REPORT_CAPABILITIES && !lun->no_caps) {
		dev->caps = (struct fence_caps){ .ptpl_c = !lun->no_aptpl, .ptpl_a = lun->aptpl, .tmv = true,
			.types = 0x1ea & ~(lun->no_type6 ? 1 << FENCE_TYPE_EA_RO : 0) };
	} else {
		return bad_cdb;
	}
	return good;
}

void lun_exec(struct lun_model *lun, unsigned int nexus, const struct fence_cmd *sent, struct fence_result *res)
{
	uint8_t cdb[FENCE_CDB_LEN], out[FENCE_OUT_LEN], in[8 + 8 * LUN_NEXUSES + 24], sense[18] = { 0x70 };
	int out_len = fence_cmd_encode(sent, cdb, out);
	struct fence_result *dev = res;  /* the device's scratch; only its head is used before it is filled in again */
	struct fence_cmd cmd;
	struct answer a;
	size_t in_len = 0;

	memset(dev, 0, offsetof(struct fence_result, keys));
	if (fence_cmd_decode(&cmd, cdb, sizeof(cdb), out, (size_t)out_len) < 0) {
		a = bad_cdb;
	} else if (lun->nexus[nexus].ua) {
		a = (struct answer){ CHECK, 6, lun->nexus[nexus].ua };
		lun->nexus[nexus].ua = 0;
	} else if (fence_cmd_is_out(cmd.op)) {
		a = do_out(lun, nexus, &cmd);
	} else {
		dev->op = cmd.op;
		a = do_in(lun, dev);
		in_len = a.status == GOOD ? fence_result_encode(dev, in, sizeof(in)) : 0;
	}
	sense[2] = a.key;
	sense[7] = 10;
	sense[12] = (uint8_t)(a.asc >> 8);
	sense[13] = (uint8_t)a.asc;
	fence_result_scsi(res, sent, a.status, in, in_len, sense, a.status == CHECK ? sizeof(sense) : 0);
}
