/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_conf.c - any text as a document: refused with a finding, or what is printed of it parses to the same again
 */
#include <string.h>

#include "cluster/conf/conf.h"
#include "node/util/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void round_trip(const struct conf *a)
{
	_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
	_cleanup_free_ char *one = conf_print(a), *two = NULL;
	_cleanup_conf_ struct conf *b = NULL;
	struct conf_diff diff;

	expect(one && conf_parse(one, strlen(one), "printed", a->mode, &b, &d) == 0);
	two = conf_print(b);
	expect(two && !strcmp(one, two));
	expect(conf_diff(a, b, &diff) == 0 && diff.n == 0);
	conf_diff_free(&diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum conf_mode modes[] = { CONF_CLUSTER, CONF_STANDALONE };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		_cleanup_diags_ struct conf_diags d = CONF_DIAGS_INIT;
		_cleanup_conf_ struct conf *c = NULL;
		int r = conf_parse((const char *)data, size, "fuzz", modes[i], &c, &d);

		expect((r == 0) == (d.n_errors == 0) && (r == 0) == (c != NULL));
		if (c)
			round_trip(c);
	}
	return 0;
}
