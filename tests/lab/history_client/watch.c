/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch.c - set-up (capacity, reservations), then the reservation watch and the outsider's writes
 *
 * With reservations, every session registers a key of its own and session 0 reserves each LUN. What READ FULL
 * STATUS and READ RESERVATION say then (SPC-4 6.15.5, 6.15.3) is what they must say for ever after: the generation,
 * every registration with its nexus, the holder. Each session looks after each of its logins, session 0 all the time.
 * The outsider is an initiator that never registers: its writes must get RESERVATION CONFLICT, always.
 */
#include <stdio.h>
#include <string.h>

#include "node/util/wire.h"
#include "tests/lab/history_client/history.h"

#define WATCH_US 250000u
#define OUTSIDER_US 100000u
#define STEP_RETRY_US 100000u
#define PR_MAX 8192u
#define KEY_BASE 0xace0000000000000ull

enum step_kind { STEP_CAPACITY, STEP_REGISTER, STEP_CLEAR, STEP_RESERVE, STEP_FULL, STEP_HOLDER };
struct step { enum step_kind kind; unsigned session, lun; };
static struct step steps[8 * MAX_LUNS + (MAX_SESSIONS + 1) * MAX_LUNS];
static unsigned n_steps, at_step;

struct picture { uint8_t data[PR_MAX]; uint32_t len; };
static struct picture pictures[MAX_LUNS][2];   /* full status, reservation */
static uint8_t outsider_buf[REG_BLOCK];

/* ---- pictures of reservations ---- */
static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 128);
}

/* Full status with its descriptors in a fixed order: their order means nothing (SPC-4 6.15.5). */
static bool normalize(const struct scsi_task *task, bool full, struct picture *p)
{
	struct rd r = rd_init(task->datain.data, (size_t)MAX(task->datain.size, 0));
	struct wr w = wr_init(p->data, sizeof(p->data));
	uint32_t generation = rd_u32(&r), left = rd_u32(&r), n = 0;

	memset(p, 0, sizeof(*p));
	wr_u32(&w, client.o.power_cycles ? 0 : generation);
	if (left > rd_left(&r))
		return false;
	if (!full) {
		wr_bytes(&w, rd_bytes(&r, left), left);
		p->len = (uint32_t)w.want;
		return !w.bad;
	}
	wr_zero(&w, 124);
	while (left >= 24 && !r.bad && !w.bad && n < PR_MAX / 128 - 1) {
		const uint8_t *d = rd_bytes(&r, 24);
		uint32_t more = d ? get_be32(d + 20) : 0;
		const uint8_t *id = rd_bytes(&r, more);

		if (!d || !id || 24 + more > left)
			return false;
		wr_bytes(&w, d, 24);
		wr_bytes(&w, id, MIN(more, 104u));
		wr_zero(&w, 128 - 24 - MIN(more, 104u));
		left -= 24 + more;
		n++;
	}
	qsort(p->data + 128, n, 128, by_bytes);
	p->len = 128 * (n + 1);
	return !w.bad && !r.bad;
}

static void hex(char *out, size_t size, const struct picture *p)
{
	size_t n = 0;

	for (uint32_t i = 0; i < p->len && n + 3 < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%02x", p->data[i]);
	out[n] = 0;
}

static void compare(struct session *s, unsigned lun, unsigned part, const struct scsi_task *task)
{
	struct picture now;
	char was[900], is[900];

	if (normalize(task, part == 0, &now) && now.len == pictures[lun][part].len &&
	    memcmp(now.data, pictures[lun][part].data, now.len) == 0)
		return;
	hex(was, sizeof(was), &pictures[lun][part]);
	hex(is, sizeof(is), &now);
	violation("reservations-changed", s, "\"lun\": %u, \"what\": \"%s\", \"was\": \"%s\", \"is\": \"%s\"",
		  client.lun[lun].number, part ? "reservation" : "full status", was, is);
}

/* ---- set-up ---- */
static void add_step(enum step_kind kind, unsigned session, unsigned lun)
{
	steps[n_steps++] = (struct step){ kind, session, lun };
}

static void plan(void)
{
	for (unsigned l = 0; l < client.o.n_luns; l++) {
		add_step(STEP_CAPACITY, 0, l);
		if (!client.o.pr_type)
			continue;
		add_step(STEP_REGISTER, 0, l);
		add_step(STEP_CLEAR, 0, l);
		for (unsigned s = 0; s < client.o.sessions; s++)
			add_step(STEP_REGISTER, s, l);
		add_step(STEP_RESERVE, 0, l);
		add_step(STEP_FULL, 0, l);
		add_step(STEP_HOLDER, 0, l);
	}
}

static void take_capacity(struct session *s, const struct scsi_task *task, struct lun *l)
{
	struct rd r = rd_init(task->datain.data, (size_t)MAX(task->datain.size, 0));
	uint64_t last = rd_u64(&r);

	l->block_size = rd_u32(&r);
	if (r.bad || (l->block_size != 512 && l->block_size != REG_BLOCK) ||
	    (last + 1) * l->block_size < (client.o.region + 1ull) * REG_BLOCK) {
		fprintf(stderr, "history: LUN %u: %llu blocks of %u bytes do not hold the region (%u × 4 KiB and one more)\n",
			l->number, (unsigned long long)last + 1, l->block_size, client.o.region);
		exit(2);
	}
	(void)s;
}

static void step_done(struct cmd *c, enum outcome out)
{
	const struct step *st = &steps[at_step];

	if (out == OUT_CONFLICT)
		violation("conflict", c->s, "\"op\": \"reservation set-up\", \"step\": %u", st->kind);
	if (out != OUT_GOOD) {
		c->s->watch_due_us = client.now_us + (out == OUT_AGAIN ? 0 : STEP_RETRY_US);
		return;
	}
	if (st->kind == STEP_CAPACITY)
		take_capacity(c->s, c->task, &client.lun[st->lun]);
	if (st->kind >= STEP_FULL && !normalize(c->task, st->kind == STEP_FULL,
						&pictures[st->lun][st->kind - STEP_FULL]))
		violation("reservation-data", c->s, "\"lun\": %u", st->lun);
	at_step++;
}

static struct scsi_task *pr_in(struct session *s, unsigned lun, bool full)
{
	return iscsi_persistent_reserve_in_task(s->iscsi, (int)client.lun[lun].number,
						full ? SCSI_PERSISTENT_RESERVE_READ_FULL_STATUS
						     : SCSI_PERSISTENT_RESERVE_READ_RESERVATION,
						PR_MAX, cmd_cb, &s->admin);
}

static struct scsi_task *issue_step(struct session *s, const struct step *st)
{
	uint64_t key = KEY_BASE | (s->index + 1);
	bool reg = st->kind == STEP_REGISTER;
	struct scsi_persistent_reserve_out_basic p = {
		.reservation_key = reg ? 0 : key,
		.service_action_reservation_key = reg ? key : 0,
		.aptpl = reg && client.o.aptpl,
	};
	int lun = (int)client.lun[st->lun].number;
	int sa = reg ? SCSI_PERSISTENT_RESERVE_REGISTER_AND_IGNORE_EXISTING_KEY
		     : st->kind == STEP_CLEAR ? SCSI_PERSISTENT_RESERVE_CLEAR : SCSI_PERSISTENT_RESERVE_RESERVE;

	switch (st->kind) {
	case STEP_CAPACITY:
		return iscsi_readcapacity16_task(s->iscsi, lun, cmd_cb, &s->admin);
	case STEP_FULL:
	case STEP_HOLDER:
		return pr_in(s, st->lun, st->kind == STEP_FULL);
	default:
		return iscsi_persistent_reserve_out_task(s->iscsi, lun, sa, 0,
							 st->kind == STEP_RESERVE ? (int)client.o.pr_type : 0, &p,
							 cmd_cb, &s->admin);
	}
}

/* Go on with the plan. Return: true once it is done. */
static bool steps_tick(void)
{
	struct session *s;

	if (at_step == n_steps)
		return true;
	s = &client.s[steps[at_step].session];
	if (s->state != SESS_READY || s->lost || s->admin.task || client.now_us < s->watch_due_us)
		return false;
	s->admin.done = step_done;
	cmd_issued(s, &s->admin, issue_step(s, &steps[at_step]));
	return false;
}

bool setup_tick(void)
{
	if (n_steps == 0) {
		for (unsigned i = 0; i < client.n_sessions; i++)
			if (client.s[i].state != SESS_READY)
				return false;
		plan();
	}
	return steps_tick();
}

/** teardown_tick() - Give the reservations back. Return: true once done */
bool teardown_tick(void)
{
	static bool planned;

	if (!planned) {
		planned = true;
		n_steps = at_step = 0;
		for (unsigned l = 0; l < client.o.n_luns && client.o.pr_type && !client.o.keep_pr; l++)
			add_step(STEP_CLEAR, 0, l);
	}
	return steps_tick();
}

/* ---- watch ---- */
static void watch_done(struct cmd *c, enum outcome out)
{
	struct session *s = c->s;

	if (out == OUT_CONFLICT)
		violation("conflict", s, "\"op\": \"PERSISTENT RESERVE IN\"");
	if (out != OUT_GOOD) {
		if (out != OUT_LOST)
			s->watch_due_us = client.now_us + 2000;
		return;
	}
	compare(s, s->watch_lun, s->watch_part, c->task);
	if (++s->watch_part < 2)
		return;
	s->watch_part = 0;
	if (++s->watch_lun < client.o.n_luns)
		return;
	s->watch_lun = 0;
	counters.pr_checks++;
	event("pr-checked", s, "\"generation\": %u", get_be32(pictures[0][0].data));
	s->watch_due_us = s->index == 0 ? client.now_us + WATCH_US : UINT64_MAX;
}

static void outsider_done(struct cmd *c, enum outcome out)
{
	if (out == OUT_GOOD)
		violation("outsider-wrote", c->s, "\"lun\": %u", client.lun[c->s->watch_lun].number);
	if (out == OUT_CONFLICT && c->s->first_io_pending) {
		c->s->first_io_pending = false;
		event("outsider-refused", c->s, "\"lun\": %u", client.lun[c->s->watch_lun].number);
	}
	counters.outsider_conflicts += out == OUT_CONFLICT;
	if (out == OUT_GOOD || out == OUT_CONFLICT) {
		c->s->watch_lun = (c->s->watch_lun + 1) % client.o.n_luns;
		c->s->watch_due_us = client.now_us + OUTSIDER_US;
	}
}

static struct scsi_task *outsider_write(struct session *s)
{
	const struct lun *l = &client.lun[s->watch_lun];
	uint64_t lba = (uint64_t)client.o.region * (REG_BLOCK / l->block_size);

	s->admin.iov = (struct scsi_iovec){ .iov_base = outsider_buf, .iov_len = REG_BLOCK };
	return iscsi_write16_iov_task(s->iscsi, (int)l->number, lba, NULL, REG_BLOCK, (int)l->block_size, 0, 0, 0, 0, 0,
				      cmd_cb, &s->admin, &s->admin.iov, 1);
}

/** watch_tick() - Context: only while the session is ready and set-up is done */
void watch_tick(struct session *s)
{
	if (!client.o.pr_type || s->admin.task || client.now_us < s->watch_due_us || s->lost)
		return;
	s->admin.done = s->outsider ? outsider_done : watch_done;
	cmd_issued(s, &s->admin, s->outsider ? outsider_write(s) : pr_in(s, s->watch_lun, s->watch_part == 0));
}
