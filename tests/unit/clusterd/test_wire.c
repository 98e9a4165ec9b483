/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every core message over the wire and back; every version and field that must be refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/wire.h"

static struct wire_msg round_trip(const struct core_msg *m)
{
	struct wire_msg w = { 0 };
	char why[WIRE_WHY_MAX];
	size_t len;
	uint8_t *buf = wire_pack_core(m, 0x1122334455667788, &len);

	assert_int_equal(wire_unpack(buf, len, &w, why), 0);
	assert_true(w.is_core);
	assert_int_equal(w.core.type, m->type);
	free(buf);
	return w;
}

static void stamp_equal(const struct core_stamp *a, const struct core_stamp *b)
{
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->node, b->node);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->base.epoch, b->base.epoch);
	assert_int_equal(a->base.node, b->base.node);
	assert_int_equal(a->ahead, b->ahead);
}

static void test_node_state(void **state)
{
	const struct core_group_state g[2] = {
		{ .group = "vmstore", .state = CORE_ACTIVE, .key_epoch = 7, .stamp = { 7, 1, 1ull << 40, { 2, 6 }, true }, .warm = true,
		  .eligible = true, .store_ok = true, .admin_gen = 3, .why = "" },
		{ .group = "other", .state = CORE_BLOCKED, .stamp = { .epoch = 6, .node = 2, .seq = 9 }, .stopped = true, .store_ok = false,
		  .why = "no path" },
	};
	const struct core_msg m = {
		.type = CORE_MSG_NODE_STATE,
		.node_state = { .sync = ~0ull, .config_version = 12, .draining = true, .full = true, .groups = g,
				.n_groups = 2 },
	};
	struct wire_msg w = round_trip(&m);
	const struct core_msg_node_state *n = &w.core.node_state;

	(void)state;
	assert_true(n->sync == ~0ull);
	assert_int_equal(n->config_version, 12);
	assert_true(n->draining && n->full);
	assert_int_equal(n->n_groups, 2);
	assert_true(w.pb->node_state->config_hash == 0x1122334455667788);
	for (unsigned i = 0; i < 2; i++) {
		assert_string_equal(n->groups[i].group, g[i].group);
		assert_int_equal(n->groups[i].state, g[i].state);
		assert_int_equal(n->groups[i].key_epoch, g[i].key_epoch);
		stamp_equal(&n->groups[i].stamp, &g[i].stamp);
		assert_int_equal(n->groups[i].warm, g[i].warm);
		assert_int_equal(n->groups[i].eligible, g[i].eligible);
		assert_int_equal(n->groups[i].store_ok, g[i].store_ok);
		assert_int_equal(n->groups[i].admin_gen, g[i].admin_gen);
		assert_int_equal(n->groups[i].stopped, g[i].stopped);
		assert_string_equal(n->groups[i].why, g[i].why);
	}
	wire_release(&w);
}

static void test_push(void **state)
{
	struct core_body *b = core_body_new("body of it", 10);
	struct core_msg m = {
		.type = CORE_MSG_PUSH,
		.push = { .group = "vmstore", .final = true, .move_to = 255, .to = { 1, 255 }, .n_to = 2,
			  .record = { .stamp = { CORE_EPOCH_MAX, 255, 5, { 1, 4 }, true }, .body = b, .warm = true, .admin_gen = 2,
				      .stopped = true } },
	};
	struct wire_msg w = round_trip(&m);
	const struct core_msg_push *p = &w.core.push;

	(void)state;
	assert_string_equal(p->group, "vmstore");
	assert_true(p->final && p->record.warm && p->record.stopped);
	assert_int_equal(p->move_to, 255);
	assert_int_equal(p->n_to, 2);
	assert_memory_equal(p->to, m.push.to, 2);
	assert_int_equal(p->record.admin_gen, 2);
	stamp_equal(&p->record.stamp, &m.push.record.stamp);
	assert_int_equal(p->record.body->len, 10);
	assert_memory_equal(p->record.body->data, "body of it", 10);
	wire_release(&w);
	core_body_unref(b);

	m.push.record.body = NULL;   /* an empty record stays empty */
	w = round_trip(&m);
	assert_null(w.core.push.record.body);
	wire_release(&w);
}

static void test_ack_fetch_command_result(void **state)
{
	const struct core_msg ack = { .type = CORE_MSG_ACK, .ack = { "g", { 3, 2, 1, { 1, 2 } }, true } };
	const struct core_msg fetch = { .type = CORE_MSG_FETCH, .fetch = { "g", 9 } };
	const struct core_msg command = {
		.type = CORE_MSG_COMMAND,
		.command = { CORE_VERB_MOVE, "g", 2, true, 4, ~0ull, 1 },
	};
	const struct core_msg result = { .type = CORE_MSG_RESULT, .result = { 77, 3, true, true, "moved" } };
	struct wire_msg w = round_trip(&ack);

	(void)state;
	assert_string_equal(w.core.ack.group, "g");
	stamp_equal(&w.core.ack.stamp, &ack.ack.stamp);
	assert_true(w.core.ack.stored);
	wire_release(&w);
	w = round_trip(&fetch);
	assert_string_equal(w.core.fetch.group, "g");
	assert_int_equal(w.core.fetch.from, 9);
	wire_release(&w);
	w = round_trip(&command);
	assert_int_equal(w.core.command.verb, CORE_VERB_MOVE);
	assert_string_equal(w.core.command.group, "g");
	assert_int_equal(w.core.command.to, 2);
	assert_int_equal(w.core.command.admin_gen, 4);
	assert_int_equal(w.core.command.requester, 1);
	assert_true(w.core.command.force && w.core.command.cookie == ~0ull);
	wire_release(&w);
	w = round_trip(&result);
	assert_int_equal(w.core.result.cookie, 77);
	assert_int_equal(w.core.result.requester, 3);
	assert_true(w.core.result.ok && w.core.result.done);
	assert_string_equal(w.core.result.text, "moved");
	wire_release(&w);
}

/* The shell's own messages come through untouched, and are not taken for the core's. */
static void test_shell_messages(void **state)
{
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	Lunward__ConfigPush push = LUNWARD__CONFIG_PUSH__INIT;
	struct wire_msg w;
	char why[WIRE_WHY_MAX];
	size_t len;
	uint8_t *buf;

	(void)state;
	push.version = 5;
	push.yaml = (char *)"cluster: x\n";
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_CONFIG_PUSH;
	pb.config_push = &push;
	buf = wire_pack(&pb, &len);
	assert_int_equal(wire_unpack(buf, len, &w, why), 0);
	assert_false(w.is_core);
	assert_string_equal(w.pb->config_push->yaml, "cluster: x\n");
	wire_release(&w);
	free(buf);
}

static int unpack_pb(Lunward__ClusterMessage *pb, char why[WIRE_WHY_MAX])
{
	uint8_t buf[1024];
	struct wire_msg w = { .is_core = true };
	int r;

	assert_true(lunward__cluster_message__get_packed_size(pb) <= sizeof(buf));
	why[0] = 0;
	r = wire_unpack(buf, lunward__cluster_message__pack(pb, buf), &w, why);
	if (r == 0)
		wire_release(&w);
	else
		assert_true(w.is_core && why[0]);   /* untouched; and it says why */
	return r;
}

static void test_versions(void **state)
{
	static const struct { uint32_t version, min; int want; } v[] = {
		{ LUNWARD_CLUSTER_PROTO, LUNWARD_CLUSTER_PROTO, 0 },
		{ LUNWARD_CLUSTER_PROTO + 1, LUNWARD_CLUSTER_PROTO, 0 },
		{ LUNWARD_CLUSTER_PROTO + 1, LUNWARD_CLUSTER_PROTO + 1, -EPROTONOSUPPORT },
		{ LUNWARD_CLUSTER_PROTO + 1, 0, -EPROTONOSUPPORT },
		{ LUNWARD_CLUSTER_PROTO + 9, LUNWARD_CLUSTER_PROTO + 8, -EPROTONOSUPPORT },
		{ 0, 0, -EPROTONOSUPPORT },
	};
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	char why[WIRE_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		pb.version = v[i].version;
		pb.min_version = v[i].min;
		assert_int_equal(unpack_pb(&pb, why), v[i].want);
	}
	pb.version = 9;
	pb.min_version = 8;
	unpack_pb(&pb, why);
	assert_non_null(strstr(why, "version 9"));
}

static void test_fields_out_of_range(void **state)
{
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	Lunward__RecordAck ack = LUNWARD__RECORD_ACK__INIT;
	Lunward__GroupCommand cmd = LUNWARD__GROUP_COMMAND__INIT;
	Lunward__RecordPush push = LUNWARD__RECORD_PUSH__INIT;
	char why[WIRE_WHY_MAX], long_name[CORE_NAME_MAX + 1];

	(void)state;
	pb.version = LUNWARD_CLUSTER_PROTO;
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_RECORD_ACK;
	pb.record_ack = &ack;
	assert_int_equal(unpack_pb(&pb, why), -EPROTO);   /* no name */
	memset(long_name, 'x', CORE_NAME_MAX);
	long_name[CORE_NAME_MAX] = 0;
	ack.group = long_name;
	assert_int_equal(unpack_pb(&pb, why), -EPROTO);
	ack.group = (char *)"g";
	assert_int_equal(unpack_pb(&pb, why), 0);
	ack.node = 256;
	assert_int_equal(unpack_pb(&pb, why), -EPROTO);
	ack.node = 1;
	ack.epoch = CORE_EPOCH_MAX + 1;
	assert_int_equal(unpack_pb(&pb, why), -EPROTO);
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_COMMAND;
	pb.command = &cmd;
	cmd.group = (char *)"g";
	cmd.verb = (Lunward__GroupCommand__Verb)(CORE_VERB_RELEASE + 1);
	assert_int_equal(unpack_pb(&pb, why), -EPROTO);
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_RECORD_PUSH;
	pb.record_push = &push;
	assert_int_equal(unpack_pb(&pb, why), -EPROTO);   /* no record in it */
}

static void test_garbage(void **state)
{
	static const uint8_t junk[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct wire_msg w;
	char why[WIRE_WHY_MAX];

	(void)state;
	assert_int_equal(wire_unpack(junk, sizeof(junk), &w, why), -EPROTO);
}

static void test_record(void **state)
{
	struct core_body *b = core_body_new("abc", 3);
	const struct core_record r = { .stamp = { 9, 2, 33, { 1, 8 } }, .body = b, .admin_gen = 4, .stopped = true };
	struct core_record got = { .admin_gen = 99 };
	size_t len;
	uint8_t *buf = wire_record_pack("g", &r, &len);

	(void)state;
	assert_int_equal(wire_record_unpack(buf, len, "another", &got), -EBADMSG);   /* a file under a wrong name */
	assert_int_equal(wire_record_unpack(buf, len - 1, "g", &got), -EBADMSG);
	assert_int_equal(got.admin_gen, 99);
	assert_int_equal(wire_record_unpack(buf, len, "g", &got), 0);
	stamp_equal(&got.stamp, &r.stamp);
	assert_int_equal(got.admin_gen, 4);
	assert_true(got.stopped);
	assert_memory_equal(got.body->data, "abc", 3);
	core_body_unref(got.body);
	core_body_unref(b);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_state),
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_ack_fetch_command_result),
		cmocka_unit_test(test_shell_messages),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_fields_out_of_range),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
