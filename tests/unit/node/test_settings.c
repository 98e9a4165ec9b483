/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_settings.c - what initiators have set goes into the record, comes back, and reaches every reactor */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/node.h"

#define IQN "iqn.2026-11.org.example:settings"

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

static Lunward__ModeValues current, saved;
static uint32_t thresholds[2][SC_THRESHOLDS] = { { 5, UINT32_MAX }, { 0, 9 } };
static Lunward__LuSettings set;
static Lunward__LuSettings *setv[] = { &set };
static Lunward__RecordBody body;

static int make(void **state)
{
	(void)state;
	lunward__record_body__init(&body);
	lunward__mode_values__init(&current);
	lunward__mode_values__init(&saved);
	lunward__lu_settings__init(&set);
	set.target = (char *)IQN;
	set.lun = 1;
	current.d_sense = current.swp = true;
	saved.d_sense = saved.write_through = true;
	current.lbp = SC_LBP_SILENT | sc_lbp_on(SC_AVAILABLE);
	saved.lbp = sc_lbp_on(SC_USED);
	current.n_thresholds = saved.n_thresholds = SC_THRESHOLDS;
	current.thresholds = thresholds[0];
	saved.thresholds = thresholds[1];
	set.clock_set = true;
	set.clock_offset = -1234567;
	set.current = &current;
	set.saved = &saved;
	set.peripheral_info = (ProtobufCBinaryData){ 5, (uint8_t *)(uintptr_t)"box 7" };
	set.text_info = (ProtobufCBinaryData){ 5, (uint8_t *)(uintptr_t)"mail" };
	body.settings = setv;
	body.n_settings = 1;
	return 0;
}

static void load(bool cold)
{
	char err[200];

	assert_int_equal(record_load(group, &body, cold, err, sizeof(err)), 0);
}

static void assert_record_is(const Lunward__RecordBody *wanted)
{
	Lunward__RecordBody *got = record_make(group);
	uint8_t a[2048], b[2048];
	size_t n = lunward__record_body__get_packed_size(wanted);

	assert_non_null(got);
	assert_true(n <= sizeof(a));
	assert_int_equal(lunward__record_body__get_packed_size(got), n);
	lunward__record_body__pack(wanted, a);
	lunward__record_body__pack(got, b);
	assert_memory_equal(a, b, n);
	record_free(got);
}

static void test_round_trip(void **state)
{
	static Lunward__RecordBody none = LUNWARD__RECORD_BODY__INIT;

	(void)state;
	load(false);
	assert_record_is(&body);
	load(false);
	assert_record_is(&body);
	lunward__record_body__init(&none);
	body.n_settings = 0;
	load(false);  /* what is not on record is as by default */
	assert_record_is(&none);
}

/* Powered off as a whole: saved values become the current ones, information stays. SPC-4 5.9, 6.43 */
static void test_cold(void **state)
{
	const struct lu *lu = lu_find(&ctl, IQN, 1);

	(void)state;
	load(true);
	assert_true(lu->set.mode.d_sense && lu->set.mode.write_through && !lu->set.mode.swp);
	assert_int_equal(lu->set.clock_set, 0);
	assert_true(lu->set.mode.lbp == sc_lbp_on(SC_USED) && lu->set.mode.threshold[SC_USED] == 9);
	assert_int_equal(lu->set.info[SC_INFO_TEXT].len, 5);
	assert_memory_equal(lu->set.info[SC_INFO_TEXT].data, "mail", 5);
}

static void ask(struct call *c, struct reactor *r)
{
	const struct lu *lu = lu_find(r->ctl, IQN, 1);

	assert_true(lu->at[r->index]->sc.set.mode.swp);
	assert_memory_equal(lu->at[r->index]->sc.set.info[SC_INFO_PERIPHERAL].data, "box 7", 6);
	call_reply(c, r);
}

static void asked(struct call *c)
{
	qb_loop_stop(c->ctl->loop);
}

static void test_reactors_know(void **state)
{
	struct call c = { .on_reactor = ask, .done = asked };

	(void)state;
	load(false);
	call_all(&ctl, &c);
	qb_loop_run(ctl.loop);
}

static void test_damaged(void **state)
{
	static uint8_t big[SC_INFO_TEXT_MAX + 1];
	ProtobufCBinaryData *const fields[] = { &set.peripheral_info, &set.text_info };
	char err[200];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		make(NULL);
		*fields[i] = (ProtobufCBinaryData){ (size_t)(i ? SC_INFO_TEXT_MAX : SC_INFO_PERIPHERAL_MAX) + 1, big };
		assert_int_equal(record_load(group, &body, false, err, sizeof(err)), -EINVAL);
		assert_non_null(strstr(err, IQN "/1"));
	}
	make(NULL);
	set.lun = 99;  /* one that is configured no longer is no reason not to serve the others */
	load(false);
	set.current = NULL;
	set.lun = 1;
	load(false);
	assert_false(lu_find(&ctl, IQN, 1)->set.mode.swp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round_trip, make),
		cmocka_unit_test_setup(test_cold, make),
		cmocka_unit_test_setup(test_reactors_know, make),
		cmocka_unit_test_setup(test_damaged, make),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
