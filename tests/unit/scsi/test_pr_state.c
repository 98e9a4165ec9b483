/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reservation block: copying, comparing, what an import must refuse; and random histories, after each step of
 * which every rule of the block must hold and an independent model must agree on who may do what.
 */
#include "tests/unit/scsi/scsi_test.h"

#include "node/scsi/internal.h"

static void test_dup_and_equal(void **state)
{
	struct fix *f = *state;
	struct sc_pr *copy;

	assert_null(sc_pr_dup(NULL));
	assert_true(sc_pr_equal(NULL, NULL));
	REGISTER(f, ALICE, 1);
	REGISTER(f, BOB, 2);
	copy = sc_pr_dup(f->lu.pr);
	assert_non_null(copy);
	assert_true(sc_pr_equal(copy, f->lu.pr));
	assert_false(sc_pr_equal(copy, NULL));
	copy->regs[1].key++;
	assert_false(sc_pr_equal(copy, f->lu.pr));
	free(copy);
	copy = sc_pr_alloc(0);
	assert_non_null(copy);
	assert_true(sc_pr_equal(copy, NULL));
	free(copy);
}

/* What sc_pr_apply() gave, taken apart and put together as a record does, is the same block */
static void test_import(void **state)
{
	struct fix *f = *state;
	const struct sc_pr *pr;
	struct sc_pr *back;

	REGISTER(f, ALICE, 1);
	REGISTER(f, BOB, 2);
	RESERVE(f, BOB, 2, SC_PR_EXCL_ACCESS_RO);
	pr = f->lu.pr;
	back = sc_pr_alloc(pr->n_regs);
	assert_non_null(back);
	back->generation = pr->generation;
	back->type = pr->type;
	back->holder = pr->holder;
	back->aptpl = pr->aptpl;
	for (unsigned i = 0; i < pr->n_regs; i++) {
		const struct sc_nexus *n = &pr->regs[i].nexus;

		assert_true(sc_nexus_init(&back->regs[i].nexus, n->initiator, n->isid, n->rtpi));
		back->regs[i].key = pr->regs[i].key;
	}
	assert_true(sc_pr_valid(back));
	assert_true(sc_pr_equal(back, pr));
	free(back);
}

static struct sc_pr *good(const struct fix *f)
{
	struct sc_pr *pr = sc_pr_alloc(2);

	assert_non_null(pr);
	pr->regs[0] = (struct sc_pr_reg){ f->nx[ALICE], 1 };
	pr->regs[1] = (struct sc_pr_reg){ f->nx[BOB], 2 };
	pr->type = SC_PR_EXCL_ACCESS_RO;
	pr->holder = 1;
	assert_true(sc_pr_valid(pr));
	return pr;
}

#define INVALID(f, change) do { \
	struct sc_pr *pr = good(f); \
	change; \
	assert_false(sc_pr_valid(pr)); \
	free(pr); \
} while (0)

static void test_import_refuses(void **state)
{
	struct fix *f = *state;

	INVALID(f, pr->type = 2);
	INVALID(f, pr->type = 9);
	INVALID(f, pr->holder = 2);
	INVALID(f, pr->type = SC_PR_NONE);                             /* a holder of nothing */
	INVALID(f, pr->type = SC_PR_WRITE_EXCL_AR);                    /* one holder among all registrants */
	INVALID(f, pr->regs[0].key = 0);
	INVALID(f, pr->regs[1].nexus = pr->regs[0].nexus);             /* twice */
	INVALID(f, pr->regs[1].nexus.initiator[0] = 0);
	INVALID(f, pr->regs[1].nexus.initiator[SC_NAME_MAX] = 'x');
	INVALID(f, pr->regs[1].nexus.initiator[SC_NAME_MAX - 1] = 'x');  /* rubbish behind the name */
	INVALID(f, pr->spc2_holder = f->nx[CAROL]);                    /* not said to be reserved */
	INVALID(f, (pr->spc2 = true, pr->spc2_holder = f->nx[CAROL])); /* both kinds at once */
	INVALID(f, (pr->n_regs = 0, pr->type = 0, pr->holder = 0, pr->spc2 = true));  /* by nobody */
	INVALID(f, pr->zero[3] = 1);
	INVALID(f, pr->n_regs = SC_PR_MAX_REGS + 1);
}

/* ---- random histories ---- */

struct model { uint64_t key[NEXUSES]; unsigned type, holder; bool spc2; unsigned spc2_by; };

static uint32_t rnd(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 16) % n;
}

static void model_of(const struct fix *f, struct model *m)
{
	const struct sc_pr *pr = f->lu.pr;

	memset(m, 0, sizeof(*m));
	for (unsigned i = 0; pr && i < NEXUSES; i++) {
		unsigned role = sc_pr_role(pr, &f->nx[i]);
		int at = sc_pr_find(pr, &f->nx[i]);

		m->key[i] = at < 0 ? 0 : pr->regs[at].key;
		if (role & SC_ROLE_HOLDER)
			m->holder |= 1u << i;
		if (role & SC_ROLE_SPC2)
			m->spc2_by |= 1u << i;
	}
	m->type = pr ? pr->type : 0;
	m->spc2 = pr && pr->spc2;
}

/* The rules that hold whatever happened: SPC-4 5.13.1, 5.13.10 */
static void check_rules(const struct fix *f, const struct model *m)
{
	unsigned registered = 0;

	for (unsigned i = 0; i < NEXUSES; i++)
		registered |= m->key[i] ? 1u << i : 0;
	if (f->lu.pr)
		assert_true(sc_pr_valid(f->lu.pr));
	assert_int_equal(m->holder & ~registered, 0);            /* only a registrant holds */
	assert_int_equal(m->type != 0, m->holder != 0);          /* a reservation has a holder */
	if (m->type >= SC_PR_WRITE_EXCL_AR)
		assert_int_equal(m->holder, registered);
	else
		assert_int_equal(m->holder & (m->holder - 1), 0);
	assert_false(m->spc2 && registered);                     /* never both kinds */
	assert_int_equal(m->spc2, m->spc2_by != 0);
}

/* What a change must have said: whoever lost its registration to another knows, nobody twice, never the sender */
static void check_effects(const struct fix *f, unsigned who, const struct model *a, const struct model *b,
			  const struct sc_pr_cmd *cmd, const struct sc_pr_fx *fx)
{
	bool preempts = cmd->verb == SC_PR_PREEMPT || cmd->verb == SC_PR_PREEMPT_ABORT;

	for (unsigned i = 0; i < fx->n_items; i++)
		assert_ptr_equal(fx_of(fx, &fx->items[i].nexus), &fx->items[i]);
	assert_int_equal(fx_ua(fx, &f->nx[who]), SC_UA_NONE);
	for (unsigned i = 0; i < NEXUSES; i++) {
		const struct sc_pr_fx_item *item = fx_of(fx, &f->nx[i]);
		bool lost = a->key[i] && !b->key[i] && i != who;

		if (lost && preempts)
			assert_int_equal(fx_ua(fx, &f->nx[i]), SC_UA_REGISTRATIONS_PREEMPTED);
		else if (lost && cmd->verb == SC_PR_CLEAR)
			assert_int_equal(fx_ua(fx, &f->nx[i]), SC_UA_RESERVATIONS_PREEMPTED);
		else if (lost)
			assert_int_equal(cmd->verb, SC_PR_POWER_LOSS);
		if (item && item->abort)
			assert_int_equal(cmd->verb, SC_PR_PREEMPT_ABORT);
		if (lost && cmd->verb == SC_PR_PREEMPT_ABORT)
			assert_true(item && item->abort);
	}
}

static void random_command(const struct fix *f, uint32_t *seed, unsigned who, struct sc_pr_cmd *cmd, uint8_t *id)
{
	static const uint8_t verbs[] = { SC_PR_REGISTER, SC_PR_REGISTER, SC_PR_REGISTER_IGNORE, SC_PR_REGISTER_IGNORE, SC_PR_RESERVE,
					 SC_PR_RESERVE, SC_PR_RELEASE, SC_PR_CLEAR, SC_PR_PREEMPT, SC_PR_PREEMPT_ABORT,
					 SC_PR_REGISTER_MOVE, SC_PR_SPC2_RESERVE, SC_PR_SPC2_RELEASE, SC_PR_NEXUS_LOSS,
					 SC_PR_RESET, SC_PR_POWER_LOSS };
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	struct sc_out o = { .buf = id, .cap = 256 };
	int at = sc_pr_find(f->lu.pr, &f->nx[who]);

	sc_tid_put(&o, &f->nx[rnd(seed, NEXUSES)]);
	*cmd = (struct sc_pr_cmd){ .verb = verbs[rnd(seed, ARRAY_SIZE(verbs))], .type = types[rnd(seed, ARRAY_SIZE(types))],
				   .aptpl = rnd(seed, 2), .unreg = rnd(seed, 2), .move_rtpi = 1, .ids = id, .ids_len = o.len,
				   .key = rnd(seed, 4), .sark = rnd(seed, 4) };
	if (at >= 0 && rnd(seed, 8))
		cmd->key = f->lu.pr->regs[at].key;
	if (cmd->verb == SC_PR_RELEASE && f->lu.pr && rnd(seed, 4))
		cmd->type = f->lu.pr->type;
	if (cmd->verb == SC_PR_REGISTER_MOVE && !cmd->sark)
		cmd->sark = 1;
}

/* Deterministic, and blind to everything but its arguments; the old block is not touched */
static void check_pure(const struct fix *f, unsigned who, const struct sc_pr_cmd *cmd)
{
	struct sc_pr *old = sc_pr_dup(f->lu.pr), *a, *b;
	struct sc_pr_fx fa, fb;

	sc_pr_apply(f->lu.pr, &f->tgt, &f->nx[who], cmd, &a, &fa);
	sc_pr_apply(old, &f->tgt, &f->nx[who], cmd, &b, &fb);
	assert_true(sc_pr_equal(old, f->lu.pr));
	assert_int_equal(a != NULL, b != NULL);
	assert_true(sc_pr_equal(a, b));
	assert_int_equal(fa.status, fb.status);
	assert_int_equal(fa.n_items, fb.n_items);
	for (unsigned i = 0; i < fa.n_items; i++)
		assert_memory_equal(&fa.items[i].nexus, &fb.items[i].nexus, sizeof(fa.items[i].nexus));
	sc_pr_fx_free(&fa);
	sc_pr_fx_free(&fb);
	free(a);
	free(b);
	free(old);
}

static void test_random_histories(void **state)
{
	struct fix *f = *state;
	unsigned changed[0x30] = { 0 };  /* by verb: none may be there in name only */

	for (uint32_t run = 1; run <= 300; run++) {
		uint32_t seed = run * 2654435761u;

		for (unsigned step = 0; step < 60; step++) {
			unsigned who = rnd(&seed, NEXUSES);
			uint32_t gen = generation(f);
			struct model before, after;
			struct sc_pr_cmd cmd;
			struct sc_pr_fx fx;
			uint8_t id[256];

			random_command(f, &seed, who, &cmd, id);
			model_of(f, &before);
			check_pure(f, who, &cmd);
			(void)pr_do(f, who, cmd, &fx);
			model_of(f, &after);
			check_rules(f, &after);
			check_effects(f, who, &before, &after, &cmd, &fx);
			if (cmd.verb != SC_PR_POWER_LOSS)
				assert_true(generation(f) - gen <= 1);
			if (memcmp(before.key, after.key, sizeof(before.key)) && cmd.verb != SC_PR_POWER_LOSS)
				assert_int_equal(generation(f), gen + 1);  /* SPC-4 6.15.2 */
			changed[cmd.verb] += fx.changed;
			sc_pr_fx_free(&fx);
		}
		free((void *)f->lu.pr);
		f->lu.pr = NULL;
	}
	for (unsigned verb = 0; verb < ARRAY_SIZE(changed); verb++)
		if (verb <= SC_PR_REGISTER_MOVE || (verb >= SC_PR_SPC2_RESERVE && verb <= SC_PR_POWER_LOSS))
			assert_in_range(changed[verb], 10, 300 * 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(test_dup_and_equal),
		FIX_TEST(test_import),
		FIX_TEST(test_import_refuses),
		FIX_TEST(test_random_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
