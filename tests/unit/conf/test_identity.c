/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_identity.c - derived names are pinned: a change here breaks every installation's disks and reservations */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/conf/conf.h"

/* SPC-4 7.8.6.6.4: NAA 3h, locally assigned, is 8 bytes. */
static void test_pinned(void **state)
{
	static const uint8_t naa[8] = { 0x37, 0x0f, 0x3c, 0xee, 0x88, 0xb5, 0x8a, 0x2b };
	struct conf_identity id;

	(void)state;
	conf_identity("prod", "iqn.2026-11.org.example:vmstore", 0, &id);
	assert_int_equal(id.naa_len, 8);
	assert_memory_equal(id.naa, naa, 8);
	assert_string_equal(id.serial, "14fe64d2be825a4a8b7a");
	assert_string_equal(id.t10, id.serial);
	assert_string_equal(id.product, "SHARED DISK");  /* part of ESXi's volume ids */
	assert_int_equal(id.eui_len, 0);
}

static void test_each_part_counts(void **state)
{
	static const struct { const char *cluster, *iqn; unsigned lun; } in[] = {
		{ "prod", "iqn.2026-11.org.example:a", 0 },  { "test", "iqn.2026-11.org.example:a", 0 },
		{ "prod", "iqn.2026-11.org.example:b", 0 },  { "prod", "iqn.2026-11.org.example:a", 1 },
		{ "prod", "iqn.2026-11.org.example:a1", 0 }, { "prod", "iqn.2026-11.org.example:a", 10 },
	};
	struct conf_identity id[6];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		conf_identity(in[i].cluster, in[i].iqn, in[i].lun, &id[i]);
		assert_int_equal(id[i].naa[0] >> 4, 3);
		for (size_t j = 0; j < i; j++) {
			assert_memory_not_equal(id[i].naa, id[j].naa, 8);
			assert_string_not_equal(id[i].serial, id[j].serial);
		}
	}
}

/* VENDOR 8 bytes, PRODUCT 16 (SPC-4 6.6.2). The product's first bytes are part of the names that ESXi gives. */
static void test_inquiry_strings(void **state)
{
	(void)state;
	assert_true(strlen(CONF_VENDOR) <= 8);
	assert_true(strlen(CONF_PRODUCT) <= 16);
	assert_string_equal(CONF_VENDOR " " CONF_PRODUCT, "LUNWARD SHARED DISK");
}

/* RFC 7143 4.2.7: lower case, and of ASCII only letters, digits, dash, dot, colon. */
static void test_initiator_name(void **state)
{
	char buf[CONF_ISCSI_NAME_MAX + 1], longest[CONF_NAME_MAX + 1];

	(void)state;
	assert_string_equal(conf_initiator_name("prod", "alpha", buf), "iqn.2026-11.io.lunward:prod:alpha");
	assert_string_equal(conf_initiator_name("Prod_1", "Node_A.example", buf),
			    "iqn.2026-11.io.lunward:prod-1:node-a.example");
	memset(longest, 'x', CONF_NAME_MAX);
	longest[CONF_NAME_MAX] = '\0';
	assert_int_equal(strlen(conf_initiator_name(longest, longest, buf)), 24 + 63 + 63);
}

/* RFC 7143 11.12.5: T = 10b in the top bits; what is left of the first byte is reserved. */
static void test_isid(void **state)
{
	static const char url[] = "iscsi://192.0.2.9/iqn.2026-11.org.example:array/1";
	static const uint8_t want[6] = { 0x80, 0xc0, 0x81, 0x57, 0x67, 0x43 };
	uint8_t a[6], b[6];

	(void)state;
	conf_isid(CONF_ROLE_DATA, "vmstore", url, 3, a);
	assert_memory_equal(a, want, 6);
	conf_isid(CONF_ROLE_DATA, "vmstore", "iscsi://[2001:db8::9]:3261/iqn.2026-11.org.example:array/1", 3, b);
	assert_memory_equal(a, b, 6);
	conf_isid(CONF_ROLE_FENCE, "vmstore", url, 3, b);
	assert_memory_not_equal(a, b, 6);
	conf_isid(CONF_ROLE_DATA, "vmstore", url, 4, b);
	assert_memory_not_equal(a, b, 6);
	conf_isid(CONF_ROLE_DATA, "home", url, 3, b);
	assert_memory_not_equal(a, b, 6);
}

/* RFC 7143 6.3.5: two sessions to one target need two ISIDs, also if they are for two LUNs of it. */
static void test_isid_per_lun(void **state)
{
	uint8_t a[6], b[6];

	(void)state;
	conf_isid(CONF_ROLE_DATA, "vmstore", "iscsi://192.0.2.9/iqn.2026-11.org.example:array/1", 0, a);
	conf_isid(CONF_ROLE_DATA, "vmstore", "iscsi://192.0.2.9/iqn.2026-11.org.example:array/2", 0, b);
	assert_memory_not_equal(a + 1, b + 1, 4);
	assert_int_equal(a[5], b[5]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pinned),         cmocka_unit_test(test_each_part_counts),
		cmocka_unit_test(test_inquiry_strings), cmocka_unit_test(test_initiator_name),
		cmocka_unit_test(test_isid),           cmocka_unit_test(test_isid_per_lun),
	};

	return cmocka_run_group_tests_name("conf identity", tests, NULL, NULL);
}
