/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_ctl.c - lunwardctl from command line to output and exit code, against a scripted clusterd
 *
 * What people and programs see is in golden/NAME.txt and NAME.json; UPDATE_GOLDEN=1 writes them anew, to be read before
 * they are committed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "tests/unit/ctl/fake.h"

static char dir[64];
static char *out, *err;                 /* of the last run */
static uint32_t seen_timeout_ms;        /* of the last request */
static char seen_text[2][256];          /* what else was in it */

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	strcpy(dir, "/tmp/lunward-ctl.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	return setenv("LUNWARD_RUN_DIR", dir, 1);
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	free(out);
	free(err);
	snprintf(path, sizeof(path), "%s/%s", dir, LUNWARD_CTL_SOCKET);
	unlink(path);
	snprintf(path, sizeof(path), "%s/doc.yaml", dir);
	unlink(path);
	return rmdir(dir);
}

/* Runs "lunwardctl @line"; @line is split at blanks. Return: the exit code; output in out and err */
static int run(const char *line)
{
	char copy[512], *argv[20] = { "lunwardctl" }, *save;
	size_t n_out, n_err;
	int argc = 1, r;
	FILE *fo, *fe;

	free(out);
	free(err);
	fo = open_memstream(&out, &n_out);
	fe = open_memstream(&err, &n_err);
	assert_true(fo && fe);
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	r = ctl_main(argc, argv, fo, fe);
	fclose(fo);
	fclose(fe);
	return r;
}

static int run_with(fake_reply *reply, const char *line)
{
	struct fake_server *s = fake_start(dir, reply);
	int r = run(line);

	fake_stop(s);
	return r;
}

static void golden(const char *name)
{
	const char *src = getenv("srcdir");
	_cleanup_free_ char *want = calloc(1, 65536);
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/unit/ctl/golden/%s", src ? src : ".", name);
	if (getenv("UPDATE_GOLDEN")) {
		f = fopen(path, "we");
		assert_non_null(f);
		fputs(out, f);
		fclose(f);
		return;
	}
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(want);
	assert_true(fread(want, 1, 65535, f) > 0);
	fclose(f);
	if (strcmp(out, want))
		fail_msg("%s:\n--- expected ---\n%s--- got ---\n%s", name, want, out);
}

/* ---- status ---- */

static bool reply_status(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r, const Lunward__CtlStatus *s)
{
	if (n || req->msg_case != LUNWARD__CTL_REQUEST__MSG_STATUS)
		return false;
	r->msg_case = LUNWARD__CTL_REPLY__MSG_STATUS;
	r->status = (Lunward__CtlStatus *)(uintptr_t)s;
	return true;
}

static bool healthy(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	return reply_status(req, n, r, fake_status_healthy());
}

static bool trouble(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	return reply_status(req, n, r, fake_status_trouble());
}

static bool empty(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	return reply_status(req, n, r, fake_status_empty());
}

static bool lonely(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	r->text = "not in the cluster: corosync does not answer";
	return reply_status(req, n, r, fake_status_lonely());
}

/* Serving goes on while the epoch moves. */
static bool bumping(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	Lunward__CtlStatus *s = (Lunward__CtlStatus *)(uintptr_t)fake_status_healthy();

	s->groups[0]->state = "bumping";
	return reply_status(req, n, r, s);
}

/* Golden JSON must not depend on the clock. */
static bool frozen(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	Lunward__CtlStatus *s = (Lunward__CtlStatus *)(uintptr_t)fake_status_healthy();

	for (size_t i = 0; i < s->n_groups; i++)
		s->groups[i]->since_ms = UINT64_C(1795368001000) + i;
	return reply_status(req, n, r, s);
}

static void test_status(void **state)
{
	(void)state;
	assert_int_equal(run_with(healthy, "status"), CTL_OK);
	golden("status-healthy.txt");
	assert_int_equal(run_with(trouble, "status"), CTL_NOT_SERVED);
	golden("status-trouble.txt");
	assert_int_equal(run_with(empty, "status"), CTL_OK);
	golden("status-empty.txt");
	assert_int_equal(run_with(lonely, "status"), CTL_NOT_SERVED);
	golden("status-lonely.txt");
	assert_int_equal(run_with(bumping, "status"), CTL_OK);
	assert_int_equal(run_with(frozen, "status --json"), CTL_OK);
	golden("status.json");
}

static void test_status_group(void **state)
{
	(void)state;
	assert_int_equal(run_with(healthy, "status vmstore"), CTL_OK);
	golden("group-healthy.txt");
	assert_int_equal(run_with(trouble, "status vmstore"), CTL_NOT_SERVED);
	golden("group-trouble.txt");
	assert_int_equal(run_with(trouble, "status home"), CTL_OK);
	assert_int_equal(run_with(trouble, "--json status backup"), CTL_NOT_SERVED);
	assert_int_equal(run_with(healthy, "status nothing"), CTL_FAILED);
	assert_string_equal(err, "lunwardctl: no group \"nothing\"; lunwardctl status lists them all\n");
}

/* Nothing that people read is wider than 100 columns (but for long device names). */
static void test_width(void **state)
{
	fake_reply *const replies[] = { healthy, trouble, empty };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		run_with(replies[i], "status");
		for (const char *p = out; *p; p += strcspn(p, "\n") + 1)
			assert_true(strcspn(p, "\n") <= 100);
	}
}

/* ---- lists ---- */

static bool lists(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	if (n)
		return false;
	if (req->msg_case == LUNWARD__CTL_REQUEST__MSG_SESSIONS) {
		snprintf(seen_text[0], sizeof(seen_text[0]), "%s", req->sessions->group);
		r->msg_case = LUNWARD__CTL_REPLY__MSG_SESSIONS;
		r->sessions = (Lunward__CtlSessions *)(uintptr_t)fake_sessions();
	} else if (req->msg_case == LUNWARD__CTL_REQUEST__MSG_RESERVATIONS) {
		snprintf(seen_text[0], sizeof(seen_text[0]), "%s", req->reservations->group);
		r->msg_case = LUNWARD__CTL_REPLY__MSG_RESERVATIONS;
		r->reservations = (Lunward__CtlReservations *)(uintptr_t)fake_reservations();
	}
	return true;
}

static void test_lists(void **state)
{
	(void)state;
	assert_int_equal(run_with(lists, "session list"), CTL_OK);
	golden("sessions.txt");
	assert_string_equal(seen_text[0], "");
	assert_int_equal(run_with(lists, "pr show vmstore"), CTL_OK);
	golden("reservations.txt");
	assert_string_equal(seen_text[0], "vmstore");
	assert_int_equal(run_with(lists, "pr show --json"), CTL_OK);
	golden("reservations.json");
}

/* ---- events ---- */

static bool events(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	static const struct { unsigned first, n; } chunk[] = { { 0, 2 }, { 2, 2 } };

	if (n == 0)
		seen_timeout_ms = req->timeout_ms;
	snprintf(seen_text[0], sizeof(seen_text[0]), "after %llu limit %u follow %d",
		 (unsigned long long)req->events->after, req->events->limit, req->events->follow);
	if (n >= 2)
		return false;
	r->more = n == 0;
	r->msg_case = LUNWARD__CTL_REPLY__MSG_EVENTS;
	r->events = (Lunward__CtlEvents *)(uintptr_t)fake_events(chunk[n].first, chunk[n].n);
	return true;
}

static void test_events(void **state)
{
	(void)state;
	assert_int_equal(run_with(events, "events --after 5 --limit 9 --timeout 1.5"), CTL_OK);
	golden("events.txt");
	assert_string_equal(seen_text[0], "after 5 limit 9 follow 0");
	assert_int_equal(seen_timeout_ms, 1500);
	assert_int_equal(run_with(events, "events --follow --json"), CTL_OK);
	golden("events.json");
	assert_string_equal(seen_text[0], "after 0 limit 0 follow 1");
}

/* ---- group commands and apply ---- */

static bool group_ok(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	if (req->msg_case != LUNWARD__CTL_REQUEST__MSG_GROUP || n > 1)
		return false;
	snprintf(seen_text[0], sizeof(seen_text[0]), "%d %s %s%s", req->group->verb, req->group->group, req->group->to,
		 req->group->force ? " force" : "");
	r->more = n == 0;
	r->text = n ? "group vmstore is served by beta" : "draining on alpha";
	return true;
}

static bool refused(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	(void)req;
	r->ok = false;
	r->error = "group vmstore: \"gamma\" is not one of its nodes; allowed: alpha, beta";
	return n == 0;
}

static void test_group(void **state)
{
	(void)state;
	assert_int_equal(run_with(group_ok, "group move vmstore beta"), CTL_OK);
	assert_string_equal(seen_text[0], "3 vmstore beta");
	assert_string_equal(out, "draining on alpha\ngroup vmstore is served by beta\n");
	assert_int_equal(run_with(group_ok, "group start --force vmstore --json"), CTL_OK);
	assert_string_equal(seen_text[0], "1 vmstore  force");
	assert_string_equal(out, "{\"ok\": true, \"text\": \"group vmstore is served by beta\"}\n");
	assert_int_equal(run_with(group_ok, "group stop vmstore"), CTL_OK);
	assert_string_equal(seen_text[0], "2 vmstore ");
	assert_int_equal(run_with(group_ok, "group release vmstore"), CTL_OK);
	assert_string_equal(seen_text[0], "4 vmstore ");
	assert_int_equal(run_with(refused, "group move vmstore gamma"), CTL_FAILED);
	assert_string_equal(out, "");
	assert_string_equal(err, "lunwardctl: group vmstore: \"gamma\" is not one of its nodes; allowed: alpha, beta\n");
	assert_int_equal(run_with(refused, "group move vmstore gamma --json"), CTL_FAILED);
	assert_string_equal(out, "{\"ok\": false, \"error\": \"group vmstore: \\\"gamma\\\" is not one of its nodes; "
				 "allowed: alpha, beta\"}\n");
}

static const char good[] =
	"cluster: prod\ngroups:\n- name: g\n  nodes: [alpha, beta]\n  portals: [192.0.2.50/24]\n  targets:\n"
	"  - iqn: iqn.2026-11.org.example:t\n    initiators: ['*']\n    luns: {0: {block: /dev/disk/by-id/a}}\n";

static void write_doc(const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/doc.yaml", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Replaces the directory's name, which differs from run to run. */
static const char *plain(char *s)
{
	for (char *p; (p = strstr(s, dir)); )
		memmove(p, p + strlen(dir), strlen(p + strlen(dir)) + 1);
	return s;
}

static bool apply_ok(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	if (req->msg_case != LUNWARD__CTL_REQUEST__MSG_APPLY || n)
		return false;
	snprintf(seen_text[0], sizeof(seen_text[0]), "%s%s%s", strcmp(req->apply->yaml, good) ? "?" : "same",
		 req->apply->force ? " force" : "", req->apply->dry_run ? " dry" : "");
	snprintf(seen_text[1], sizeof(seen_text[1]), "%s", req->apply->name);
	r->text = "version 8: group g added";
	return true;
}

static void test_apply(void **state)
{
	char line[256];

	(void)state;
	write_doc(good);
	snprintf(line, sizeof(line), "apply %s/doc.yaml --dry-run --force", dir);
	assert_int_equal(run_with(apply_ok, line), CTL_OK);
	assert_string_equal(seen_text[0], "same force dry");
	assert_string_equal(plain(seen_text[1]), "/doc.yaml");
	assert_string_equal(out, "version 8: group g added\n");
	write_doc("cluster: prod\ngroups: []\nother: x\n");
	snprintf(line, sizeof(line), "apply %s/doc.yaml", dir);
	seen_text[0][0] = '\0';
	assert_int_equal(run_with(apply_ok, line), CTL_FAILED);
	assert_string_equal(seen_text[0], "");
	assert_string_equal(plain(err), "/doc.yaml:3: document: unknown key \"other\"; allowed: cluster, options, groups\n");
	snprintf(line, sizeof(line), "apply %s/none.yaml", dir);
	assert_int_equal(run(line), CTL_FAILED);
	assert_string_equal(plain(err), "lunwardctl: /none.yaml: No such file or directory\n");
}

static void test_check(void **state)
{
	char line[256];

	(void)state;
	write_doc(good);
	snprintf(line, sizeof(line), "check %s/doc.yaml", dir);
	assert_int_equal(run(line), CTL_OK);
	assert_string_equal(plain(out), "/doc.yaml: good: cluster prod, 1 groups, 1 targets, 1 LUNs\n");
	snprintf(line, sizeof(line), "check --files %s/doc.yaml", dir);
	assert_int_equal(run(line), CTL_FAILED);
	assert_string_equal(plain(err), "/doc.yaml:9: /dev/disk/by-id/a: No such file or directory; allowed: a block device "
					"that this node sees now\n");
	write_doc("groups:\n- name: g\n  portals: [0.0.0.0]\n  targets:\n  - iqn: iqn.2026-11.org.example:t\n"
		  "    luns: {0: {ram: 1MiB}}\n");
	snprintf(line, sizeof(line), "check --standalone %s/doc.yaml", dir);
	assert_int_equal(run(line), CTL_OK);
	snprintf(line, sizeof(line), "check %s/doc.yaml --json", dir);
	assert_int_equal(run(line), CTL_FAILED);
	golden("check.json");
}

static bool config(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	static Lunward__CtlConfig c = LUNWARD__CTL_CONFIG__INIT;

	if (req->msg_case != LUNWARD__CTL_REQUEST__MSG_CONFIG || n)
		return false;
	c.version = 7;
	c.yaml = "cluster: prod\ngroups: []\n";
	r->msg_case = LUNWARD__CTL_REPLY__MSG_CONFIG;
	r->config = &c;
	return true;
}

static void test_config_show(void **state)
{
	(void)state;
	assert_int_equal(run_with(config, "config show"), CTL_OK);
	assert_string_equal(out, "cluster: prod\ngroups: []\n");
	assert_int_equal(run_with(config, "config show --json"), CTL_OK);
	assert_string_equal(out, "{\n  \"version\": 7,\n  \"yaml\": \"cluster: prod\\ngroups: []\\n\"\n}\n");
}

/* ---- clusterd that is not there, silent, of another version, or goes away ---- */

static bool silent(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	(void)req;
	(void)n;
	(void)r;
	return false;
}

static bool stuck(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	(void)req;
	r->more = true;
	r->text = "draining";
	return n == 0;
}

static bool too_new(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	(void)req;
	r->version = LUNWARD_CTL_PROTO + 1;
	return n == 0;
}

static bool other_kind(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	(void)req;
	(void)r;
	return n == 0;
}

static void test_no_clusterd(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/%s", dir, LUNWARD_CTL_SOCKET);
	unlink(path);
	assert_int_equal(run("status"), CTL_NO_CLUSTERD);
	assert_string_equal(plain(err), "lunwardctl: cannot reach lunward-clusterd at /ctl.sock: No such file or directory; "
					"lunward-clusterd does not run on this node: systemctl start lunward-clusterd, or look "
					"at journalctl -u lunward-clusterd\n");
	assert_int_equal(run("status --json"), CTL_NO_CLUSTERD);
	assert_non_null(strstr(out, "{\"ok\": false, \"error\": \"cannot reach"));
	assert_int_equal(run_with(silent, "status --timeout 0.05"), CTL_NO_CLUSTERD);
	assert_non_null(strstr(err, "does not answer within 50 ms"));
	assert_int_equal(run_with(stuck, "group stop vmstore --timeout 0.05"), CTL_FAILED);
	assert_string_equal(out, "draining\n");
	assert_non_null(strstr(err, "not finished after 50 ms, and still going on"));
	assert_int_equal(run_with(too_new, "status"), CTL_NO_CLUSTERD);
	assert_non_null(strstr(err, "speaks version 2 of the control protocol, this lunwardctl 1"));
	assert_int_equal(run_with(other_kind, "status"), CTL_NO_CLUSTERD);
	assert_non_null(strstr(err, "answered something else than was asked"));
	assert_int_equal(run_with(other_kind, "session list"), CTL_NO_CLUSTERD);
	assert_int_equal(run_with(other_kind, "config show"), CTL_NO_CLUSTERD);
}

/* Followed events end when clusterd does, instead of waiting for a restarted one that knows nothing of the request. */
static bool die_after_first(const Lunward__CtlRequest *req, unsigned n, Lunward__CtlReply *r)
{
	(void)req;
	r->more = true;
	return n == 0;
}

static void test_clusterd_goes_away(void **state)
{
	Lunward__CtlRequest req = LUNWARD__CTL_REQUEST__INIT;
	struct fake_server *s = fake_start(dir, die_after_first);
	struct ctl_link *lost = NULL;
	_cleanup_free_ char *why = NULL;
	Lunward__CtlReply *r = NULL;

	(void)state;
	assert_int_equal(link_open(&lost, &why), 0);
	assert_int_equal(link_send(lost, &req), 0);
	assert_int_equal(link_receive(lost, 5000, &r, &why), 0);
	lunward__ctl_reply__free_unpacked(r, NULL);
	fake_stop(s);
	assert_int_equal(link_receive(lost, 5000, &r, &why), -ECONNRESET);
	assert_non_null(strstr(why, "went away before it answered"));
	link_close(lost);
}

/* ---- the command line ---- */

static const struct { const char *line, *says; } wrong[] = {
	{ "", "Usage: lunwardctl [OPTION…] COMMAND" },
	{ "stauts", "unknown command \"stauts\"" },
	{ "group", "say which: group start, group stop, group move, group release" },
	{ "group go", "say which: group start" },
	{ "group move", "group move: something is missing\nUsage: lunwardctl group move GROUP [NODE]" },
	{ "group move a b c", "group move: too much: \"c\"" },
	{ "group move --force g", "group move has no option --force" },
	{ "status --follow", "status has no option --follow" },
	{ "--colour status", "unknown option --colour" },
	{ "events --after", "option --after needs a value" },
	{ "events --after x", "--after: \"x\" is not a number that fits" },
	{ "events --limit 4294967296", "--limit: \"4294967296\" is not a number" },
	{ "status --timeout 0", "--timeout: \"0\" is not a number" },
	{ "status --timeout -1", "--timeout: \"-1\" is not a number" },
};

static void test_usage(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(run(wrong[i].line), CTL_USAGE);
		assert_string_equal(out, "");
		if (!strstr(err, wrong[i].says))
			fail_msg("%s: %s", wrong[i].line, err);
	}
}

static void test_help(void **state)
{
	(void)state;
	assert_int_equal(run("--help"), CTL_OK);
	golden("help.txt");
	for (size_t i = 0; i < ctl_n_commands; i++) {
		char line[64], want[96];

		snprintf(line, sizeof(line), "%s --help", ctl_commands[i].name);
		snprintf(want, sizeof(want), "Usage: lunwardctl %s", ctl_commands[i].name);
		assert_int_equal(run(line), CTL_OK);
		assert_non_null(strstr(out, want));
	}
	assert_int_equal(run("--version"), CTL_OK);
	assert_string_equal(out, "lunwardctl " PACKAGE_VERSION "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),      cmocka_unit_test(test_status_group), cmocka_unit_test(test_width),
		cmocka_unit_test(test_lists),       cmocka_unit_test(test_events),       cmocka_unit_test(test_group),
		cmocka_unit_test(test_apply),       cmocka_unit_test(test_check),        cmocka_unit_test(test_config_show),
		cmocka_unit_test(test_no_clusterd), cmocka_unit_test(test_clusterd_goes_away),
		cmocka_unit_test(test_usage),       cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests_name("lunwardctl", tests, setup, teardown);
}
