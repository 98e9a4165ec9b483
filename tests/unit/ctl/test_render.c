/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_render.c - the small parts of output: JSON strings and values, tables, wrapped text, numbers as words */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/ctl/ctl.h"

static char *text;
static size_t len;

static FILE *begin(void)
{
	FILE *f;

	free(text);
	text = NULL;
	f = open_memstream(&text, &len);
	assert_non_null(f);
	return f;
}

static int teardown(void **state)
{
	(void)state;
	free(text);
	return 0;
}

/* RFC 8259 7: what must be escaped; RFC 3629: what is no UTF-8 */
static void test_json_string(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "a\"b\\c/d", "\"a\\\"b\\\\c/d\"" },
		{ "a\nb\tc\rd\x01\x1f\x7f", "\"a\\nb\\tc\\u000dd\\u0001\\u001f\\u007f\"" },
		{ "Größe €", "\"Größe €\"" },
		{ "\xf0\x9f\x92\xbe", "\"\xf0\x9f\x92\xbe\"" },
		{ "x\xffy", "\"x\\ufffdy\"" },
		{ "cut \xe2\x82", "\"cut \\ufffd\\ufffd\"" },
		{ "overlong \xc0\xaf", "\"overlong \\ufffd\\ufffd\"" },
		{ "surrogate \xed\xa0\x80", "\"surrogate \\ufffd\\ufffd\\ufffd\"" },
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		FILE *f = begin();

		json_string(f, cases[i].in);
		fclose(f);
		assert_string_equal(text, cases[i].out);
	}
}

/* Keys as strings, addresses as text, other bytes as hex, enums by name, absent messages left out. */
static void test_json_message(void **state)
{
	uint8_t isid[6] = { 0x80, 1, 2, 3, 4, 0xff }, ip[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	Lunward__Hello hello = LUNWARD__HELLO__INIT;
	Lunward__Connection c = LUNWARD__CONNECTION__INIT;
	Lunward__SessionInfo s = LUNWARD__SESSION_INFO__INIT;
	FILE *f;

	(void)state;
	f = begin();
	hello.group = "g";
	hello.pid = -1;
	hello.state = LUNWARD__TARGET_STATE__TARGET_ACTIVE;
	hello.key = UINT64_MAX;
	json_message(f, &hello.base, false);
	fclose(f);
	assert_string_equal(text, "{\"group\": \"g\", \"pid\": -1, \"state\": \"TARGET_ACTIVE\", "
				  "\"key\": \"0xffffffffffffffff\", \"config_version\": 0}\n");
	f = begin();
	json_message(f, &s.base, false);
	s.connection = &c;
	c.isid = (ProtobufCBinaryData){ .len = 6, .data = isid };
	c.client_addr = (ProtobufCBinaryData){ .len = 16, .data = ip };
	json_message(f, &s.base, false);
	fclose(f);
	assert_null(strstr(text, "null"));
	assert_ptr_equal(strstr(text, "\"connection\""), strchr(text, '\n') + 2);
	assert_non_null(strstr(text, "\"isid\": \"8001020304ff\""));
	assert_non_null(strstr(text, "\"client_addr\": \"2001:db8::1\""));
	assert_non_null(strstr(text, "\"header_digest\": false"));
}

/* Only the member of a oneof that is set is there; an unknown enum value is a number. */
static void test_json_oneof(void **state)
{
	Lunward__CtlReply r = LUNWARD__CTL_REPLY__INIT;
	Lunward__CtlConfig c = LUNWARD__CTL_CONFIG__INIT;
	Lunward__Hello hello = LUNWARD__HELLO__INIT;
	FILE *f = begin();

	(void)state;
	r.msg_case = LUNWARD__CTL_REPLY__MSG_CONFIG;
	r.config = &c;
	json_message(f, &r.base, false);
	fclose(f);
	assert_string_equal(text, "{\"version\": 0, \"ok\": false, \"error\": \"\", \"text\": \"\", \"more\": false, "
				  "\"config\": {\"version\": 0, \"yaml\": \"\"}}\n");
	f = begin();
	hello.state = 99;
	json_message(f, &hello.base, false);
	fclose(f);
	assert_non_null(strstr(text, "\"state\": 99,"));
}

static void test_table(void **state)
{
	FILE *f = begin();
	struct table *t = table_new("NAME|>N|TEXT");

	(void)state;
	table_cell(t, "ä");
	table_cell(t, "%d", 7);
	table_cell(t, "short");
	table_note(t, "a note of its own");
	table_cell(t, "longer");
	table_cell(t, "%d", 1234);
	table_cell(t, "%s", "");
	table_print(t, f, 2);
	fclose(f);
	assert_string_equal(text, "  NAME       N  TEXT\n"
				  "  ä          7  short\n"
				  "      a note of its own\n"
				  "  longer  1234  \n");
}

static void test_wrap(void **state)
{
	char in[400] = "";
	FILE *f = begin();

	(void)state;
	for (int i = 0; i < 30; i++)
		strcat(in, "ninechars ");
	text_wrap(f, 6, in);
	text_wrap(f, 2, "");
	text_wrap(f, 2, " x ");
	fclose(f);
	assert_int_equal(strcspn(text, "\n"), 6 + 9 * 10 - 1);
	assert_string_equal(strrchr(text, 'x') - 2, "  x\n");
}

static void test_words(void **state)
{
	static const struct { int64_t ms; const char *want; } ages[] = {
		{ -5, "0 ms" }, { 999, "999 ms" }, { 1000, "1 s" }, { 119999, "119 s" }, { 120000, "2 min" },
		{ 7199999, "119 min" }, { 7200000, "2 h" }, { 172800000, "2 d" },
	};
	static const struct { uint64_t bytes; const char *want; } sizes[] = {
		{ 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1 KiB" }, { 1536, "1.5 KiB" }, { 1047552, "1023 KiB" },
		{ 1610612736, "1.5 GiB" }, { UINT64_MAX, "15.9 EiB" }, { 1100, "1.0 KiB" },
	};
	uint8_t ip[16] = { 192, 0, 2, 1 };
	char buf[WORD_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++)
		assert_string_equal(word_age(ages[i].ms, buf), ages[i].want);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_string_equal(word_bytes(sizes[i].bytes, buf), sizes[i].want);
	assert_string_equal(word_endpoint((ProtobufCBinaryData){ 4, ip }, 3260, buf), "192.0.2.1:3260");
	assert_string_equal(word_endpoint((ProtobufCBinaryData){ 16, ip }, 1, buf), "[c000:201::]:1");
	assert_string_equal(word_endpoint((ProtobufCBinaryData){ 3, ip }, 1, buf), "-");
	assert_string_equal(word_hex((ProtobufCBinaryData){ 2, ip }, buf), "c000");
	setenv("TZ", "UTC", 1);
	assert_string_equal(word_time(UINT64_C(1795368001123456), buf), "2026-11-22 17:20:01.123456");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_string), cmocka_unit_test(test_json_message), cmocka_unit_test(test_json_oneof),
		cmocka_unit_test(test_table),       cmocka_unit_test(test_wrap),         cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("lunwardctl output", tests, NULL, teardown);
}
