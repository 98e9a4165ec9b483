/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_record.c - what one owner writes, the next one reads: the same again, or refused as a whole */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/node.h"

#define IQN "iqn.2026-11.org.example:record"

static const char yaml[] =
	"groups:\n  - name: g\n    portals: [\"127.0.0.1:%u\"]\n    targets:\n      - iqn: " IQN "\n        luns:\n"
	"          0: {ram: 1MiB}\n          1: {ram: 1MiB}\n";

static struct control ctl;
static struct group *group;

static void applied(struct control *c)
{
	qb_loop_stop(c->loop);
}

static int start(void **state)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	struct conf *conf = NULL;
	char text[512], err[256];

	(void)state;
	snprintf(text, sizeof(text), yaml, 20000 + (unsigned)getpid() % 20000);
	assert_int_equal(conf_parse(text, strlen(text), "test", CONF_STANDALONE, &conf, &d), 0);
	assert_int_equal(control_init(&ctl, 2), 0);
	assert_int_equal(control_apply(&ctl, conf, applied, err, sizeof(err)), 0);
	qb_loop_run(ctl.loop);
	group = group_find(&ctl, "g");
	assert_non_null(group);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	control_down(&ctl);
	qb_loop_run(ctl.loop);
	control_fini(&ctl);
	return 0;
}

/* ---- a record, piece by piece ---- */

static Lunward__Registration regs[3];
static Lunward__Registration *regv[] = { &regs[0], &regs[1], &regs[2] };
static Lunward__UnitAttention ua;
static Lunward__UnitAttention *uav[] = { &ua };
static Lunward__LuReservations lus[2];
static Lunward__LuReservations *luv[] = { &lus[0], &lus[1] };
static Lunward__RecordBody body;
static uint8_t isids[3][6] = { { 0x80, 0, 0, 0, 0, 1 }, { 0x80, 0, 0, 0, 0, 2 }, { 0x80, 0, 0, 0, 0, 3 } };

static ProtobufCBinaryData bytes(uint8_t *p, size_t n)
{
	return (ProtobufCBinaryData){ .data = p, .len = n };
}

static int make(void **state)
{
	(void)state;
	lunward__record_body__init(&body);
	body.lus = luv;
	body.n_lus = 2;
	for (int i = 0; i < 3; i++) {
		lunward__registration__init(&regs[i]);
		regs[i].initiator = (char *)(i == 2 ? "iqn.2026-11.org.example:two" : "iqn.2026-11.org.example:one");
		regs[i].isid = bytes(isids[i], 6);
		regs[i].rtpi = 1;
		regs[i].key = 0xff00000000000001ull + (unsigned)i;
	}
	lunward__unit_attention__init(&ua);
	ua.initiator = (char *)"iqn.2026-11.org.example:gone";
	ua.isid = bytes(isids[1], 6);
	ua.asc_ascq = SC_UA_REGISTRATIONS_PREEMPTED;
	ua.rtpi = 2;
	for (uint32_t i = 0; i < 2; i++) {
		lunward__lu_reservations__init(&lus[i]);
		lus[i].target = (char *)IQN;
		lus[i].lun = i;
	}
	lus[0].generation = 7;
	lus[0].aptpl = true;
	lus[0].type = SC_PR_EXCL_ACCESS_RO;
	lus[0].holder = 1;
	lus[0].registrations = regv;
	lus[0].n_registrations = 3;
	lus[0].unit_attentions = uav;
	lus[0].n_unit_attentions = 1;
	lus[1].generation = 3;
	return 0;
}

static void reserve_spc2(void)
{
	lus[1].spc2_initiator = (char *)"iqn.2026-11.org.example:two";
	lus[1].spc2_isid = bytes(isids[0], 6);
	lus[1].spc2_rtpi = 2;
}

static uint8_t *pack(const Lunward__RecordBody *b, size_t *len)
{
	uint8_t *p = malloc(lunward__record_body__get_packed_size(b) + 1);

	assert_non_null(p);
	*len = lunward__record_body__pack(b, p);
	return p;
}

static void assert_record_is(const Lunward__RecordBody *wanted)
{
	Lunward__RecordBody *got = record_make(group);
	size_t n_wanted, n_got;
	uint8_t *a = pack(wanted, &n_wanted), *b;

	assert_non_null(got);
	b = pack(got, &n_got);
	assert_int_equal(n_got, n_wanted);
	assert_memory_equal(a, b, n_got);
	record_free(got);
	free(a);
	free(b);
}

static void test_round_trip(void **state)
{
	char err[200];

	(void)state;
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
	assert_record_is(&body);
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);  /* replaces, adds nothing */
	assert_record_is(&body);
	assert_int_equal(lu_find(&ctl, IQN, 0)->pr->regs[1].key, 0xff00000000000002ull);
}

static void test_empty(void **state)
{
	Lunward__RecordBody none = LUNWARD__RECORD_BODY__INIT;
	char err[200];

	(void)state;
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
	assert_int_equal(record_load(group, &none, false, err, sizeof(err)), 0);
	assert_record_is(&none);
	assert_null(lu_find(&ctl, IQN, 0)->pr);
}

/* Powered off as a whole: APTPL keeps registrations and reservation (SPC-4 5.13.5); nothing keeps a RESERVE. */
static void test_cold(void **state)
{
	const struct lu *kept = lu_find(&ctl, IQN, 0), *lost = lu_find(&ctl, IQN, 1);
	char err[200];

	(void)state;
	reserve_spc2();
	assert_int_equal(record_load(group, &body, true, err, sizeof(err)), 0);
	assert_non_null(kept->pr);
	assert_int_equal(kept->pr->n_regs, 3);
	assert_int_equal(kept->pr->type, SC_PR_EXCL_ACCESS_RO);
	assert_true(sc_pr_equal(lost->pr, NULL));
	lus[0].aptpl = false;
	assert_int_equal(record_load(group, &body, true, err, sizeof(err)), 0);
	assert_true(!kept->pr || (!kept->pr->n_regs && !kept->pr->type));
}

static void break_holder(void) { lus[0].holder = 3; }
static void break_type(void) { lus[0].type = 2; }
static void break_key(void) { regs[1].key = 0; }
static void break_isid(void) { regs[1].isid.len = 5; }
static void break_name(void) { regs[1].initiator = (char *)""; }
static void break_twice(void) { regs[1].isid = regs[0].isid; }
static void break_rtpi(void) { regs[1].rtpi = 70000; }
static void break_spc2(void) { reserve_spc2(); lus[1].spc2_isid.len = 0; }
static void break_lost(void) { lus[0].lost = true; }

/* One by one: nobody may be served on a record that does not make sense. */
static void test_damaged(void **state)
{
	static void (*const breaks[])(void) = {
		break_holder, break_type, break_key, break_isid, break_name, break_twice, break_rtpi, break_spc2,
		break_lost,
	};
	char err[200];

	(void)state;
	ctl.cluster = true;
	for (size_t i = 0; i < ARRAY_SIZE(breaks); i++) {
		make(NULL);
		breaks[i]();
		err[0] = 0;
		if (record_load(group, &body, false, err, sizeof(err)) != -EINVAL)
			fail_msg("damage %zu was taken", i);
		assert_non_null(strstr(err, IQN));
	}
	ctl.cluster = false;
}

/* Alone, nobody has a better copy: the logical unit says so, and serves nobody (SPC-4 5.13.5.3.2); others are not touched */
static void test_lost(void **state)
{
	const struct lu *lu = lu_find(&ctl, IQN, 0);
	char err[200];

	(void)state;
	break_holder();
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
	assert_true(lu->pr->lost);
	assert_false(lu_find(&ctl, IQN, 1)->pr->lost);
	make(NULL);
	lus[0].registrations = NULL;
	lus[0].n_registrations = lus[0].type = lus[0].holder = 0;
	lus[0].lost = true;
	assert_int_equal(record_load(group, &body, true, err, sizeof(err)), 0);  /* no power cycle makes up for it */
	assert_true(lu->pr->lost);
	lus[0].generation = 0;
	lus[1].generation = 0;
	body.n_lus = 1;
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
	assert_record_is(&body);
}

/* An SPC-2 reservation is its holder's session's, and that has not outlived the owner: nobody is kept out for ever */
static void test_spc2_ends(void **state)
{
	const struct lu *lu = lu_find(&ctl, IQN, 1);
	char err[200];

	(void)state;
	reserve_spc2();
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
	assert_non_null(lu->pr);
	assert_false(lu->pr->spc2);
	assert_int_equal(lu->pr->generation, 3);
}

/* What is on record says which target port it is about; what is older says nothing, and means the first */
static void test_ports(void **state)
{
	const struct lu_ua *u;
	char err[200];

	(void)state;
	for (uint32_t rtpi = 0; rtpi < 3; rtpi++) {
		ua.rtpi = rtpi;
		assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
		u = list_first(&lu_find(&ctl, IQN, 0)->uas, struct lu_ua, link);
		assert_int_equal(u->nexus.rtpi, rtpi ? rtpi : 1);
	}
}

/* Each condition of a nexus is there once, and there are not more than LU_UAS_MAX: the oldest gives way */
static void test_unit_attentions(void **state)
{
	struct lu *lu = lu_find(&ctl, IQN, 1);
	struct sc_nexus n[2];
	unsigned count = 0;
	struct lu_ua *u;
	char err[200];

	(void)state;
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
	assert_true(sc_nexus_init(&n[0], "iqn.one", isids[0], 1) && sc_nexus_init(&n[1], "iqn.one", isids[0], 2));
	lu_ua_add(lu, &n[0], SC_UA_RESERVATIONS_RELEASED);
	lu_ua_add(lu, &n[1], SC_UA_RESERVATIONS_RELEASED);
	lu_ua_add(lu, &n[0], SC_UA_RESERVATIONS_RELEASED);
	u = list_first(&lu->uas, struct lu_ua, link);
	assert_int_equal(u->seq, lu->ua_seq - 1);
	for (unsigned i = 0; i < LU_UAS_MAX - 1; i++) {
		uint8_t isid[6] = { 0x80, 0, 0, 7, (uint8_t)(i >> 8), (uint8_t)i };

		assert_true(sc_nexus_init(&n[1], "iqn.two", isid, 1));
		lu_ua_add(lu, &n[1], SC_UA_RESERVATIONS_RELEASED);
	}
	list_for_each(u, &lu->uas, link) {
		count++;
		assert_false(!strcmp(u->nexus.initiator, "iqn.one") && u->nexus.rtpi == 2);
	}
	assert_int_equal(count, LU_UAS_MAX);
}

/* A LUN that is configured no longer is no reason not to serve the others. */
static void test_unknown_lun(void **state)
{
	char err[200];

	(void)state;
	lus[1].lun = 99;
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
	body.n_lus = 1;
	assert_record_is(&body);
}

/* Whom a record knows has lost its nexus and not its power (29/07 rather than 29/00). */
static void test_known_nexus(void **state)
{
	Lunward__Connection c = LUNWARD__CONNECTION__INIT, *v[] = { &c };
	struct sc_nexus n;
	char err[200];

	(void)state;
	c.target = (char *)IQN;
	c.initiator = (char *)"iqn.2026-11.org.example:one";
	c.isid = bytes(isids[0], 6);
	body.connections = v;
	body.n_connections = 1;
	assert_int_equal(record_load(group, &body, false, err, sizeof(err)), 0);
	assert_true(sc_nexus_init(&n, c.initiator, isids[0], 1));
	assert_true(record_known(group, &n, IQN));
	assert_false(record_known(group, &n, IQN ".other"));
	assert_true(sc_nexus_init(&n, c.initiator, isids[1], 1));
	assert_false(record_known(group, &n, IQN));
}

/* Every connection of a session is on record by itself, from the moment its login begins to be committed. */
static void test_connections(void **state)
{
	struct session s = { .tsih = 7 };
	struct conn c[3];
	Lunward__RecordBody *b;

	(void)state;
	memset(c, 0, sizeof(c));
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		c[i].group = group;
		c[i].session = &s;
		c[i].cid = (uint16_t)(10 * i);
		c[i].on_record = i != 1;  /* that one is still on its way */
		c[i].peer.ss_family = c[i].local.ss_family = AF_INET;
		((struct sockaddr_in *)&c[i].peer)->sin_port = htons((uint16_t)(1000 + i));
		snprintf(c[i].iqn, sizeof(c[i].iqn), "%s", IQN);
		assert_true(sc_nexus_init(&c[i].nexus, "iqn.2026-11.org.example:one", isids[0], 1));
		list_add_tail(&group->ctl->conns, &c[i].known);
	}
	b = record_make(group);
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		list_del(&c[i].known);
	assert_non_null(b);
	assert_int_equal(b->n_connections, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(b->connections[i]->tsih, 7);
		assert_int_equal(b->connections[i]->cid, 20 * i);
		assert_int_equal(b->connections[i]->client_port, 1000 + 2 * i);
	}
	record_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round_trip, make), cmocka_unit_test_setup(test_empty, make),
		cmocka_unit_test_setup(test_cold, make),       cmocka_unit_test_setup(test_damaged, make),
		cmocka_unit_test_setup(test_unknown_lun, make), cmocka_unit_test_setup(test_known_nexus, make),
		cmocka_unit_test_setup(test_connections, make), cmocka_unit_test_setup(test_lost, make),       cmocka_unit_test_setup(test_spc2_ends, make),
		cmocka_unit_test_setup(test_ports, make),      cmocka_unit_test_setup(test_unit_attentions, make),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
