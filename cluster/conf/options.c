/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options.c - the tunables of `options:`: names, defaults, limits. The only place that knows them */
#include <string.h>

#include "cluster/conf/internal.h"

#define OPT(key, field, d, lo, hi, u) \
	{ .name = key, .offset = offsetof(struct conf_options, field), .def = d, .min = lo, .max = hi, .unit = u }

/* Why each default is what it is: lunward.yaml(5). */
const struct option conf_option_table[] = {
	OPT("lease", lease_ms, 2000, 1000, 60000, OPT_MS_WHOLE),
	OPT("lease-renew", lease_renew_ms, 500, 100, 10000, OPT_MS),
	OPT("challenge-window", challenge_window_ms, 400, 50, 10000, OPT_MS),
	OPT("clusterd-grace", clusterd_grace_ms, 4000, 1000, 60000, OPT_MS),
	OPT("target-timeout", target_timeout_ms, 10000, 1000, 120000, OPT_MS),
	OPT("drain-timeout", drain_timeout_ms, 2000, 0, 30000, OPT_MS),
	OPT("login-timeout", login_timeout_ms, 15000, 1000, 120000, OPT_MS),
	OPT("nop-interval", nop_interval_ms, 10000, 0, 3600000, OPT_MS),
	OPT("nop-timeout", nop_timeout_ms, 10000, 1000, 3600000, OPT_MS),
	OPT("time2wait", time2wait_s, 0, 0, 3600, OPT_S),
	OPT("time2retain", time2retain_s, 20, 0, 3600, OPT_S),
	OPT("error-recovery-level", max_erl, 1, 0, 2, OPT_COUNT),
	OPT("reactors", reactors, 0, 0, 16, OPT_COUNT),
	OPT("queue-depth", queue_depth, 128, 1, 1024, OPT_COUNT),
	OPT("max-sessions", max_sessions, 4096, 1, 65535, OPT_COUNT),
};
const size_t conf_option_n = ARRAY_SIZE(conf_option_table);

struct conf_options conf_default_options(void)
{
	struct conf_options o;

	memset(&o, 0, sizeof(o));
	for (size_t i = 0; i < conf_option_n; i++)
		*option_at(&o, i) = conf_option_table[i].def;
	return o;
}

static void value_text(const struct option *o, uint32_t v, char buf[24])
{
	if (o->unit == OPT_COUNT)
		snprintf(buf, 24, "%u", v);
	else if (o->unit == OPT_S)
		snprintf(buf, 24, "%us", v);
	else if (v % 1000 == 0)
		snprintf(buf, 24, "%us", v / 1000);
	else
		snprintf(buf, 24, "%ums", v);
}

char *option_print(const struct conf_options *o, size_t i, char buf[24])
{
	value_text(&conf_option_table[i], option_get(o, i), buf);
	return buf;
}

bool option_set(struct conf_options *opts, size_t i, const char *s, char why[WHY_MAX])
{
	const struct option *o = &conf_option_table[i];
	char lo[24], hi[24];
	uint32_t v;

	if (!(o->unit == OPT_COUNT ? value_count : value_duration)(s, &v, why))
		return false;
	if ((o->unit == OPT_S || o->unit == OPT_MS_WHOLE) && v % 1000) {
		snprintf(why, WHY_MAX, "is not a whole number of seconds; allowed: such as 2s");
		return false;
	}
	if (o->unit == OPT_S)
		v /= 1000;
	if (v < o->min || v > o->max) {
		value_text(o, o->min, lo);
		value_text(o, o->max, hi);
		snprintf(why, WHY_MAX, "is out of range; allowed: %s to %s", lo, hi);
		return false;
	}
	*option_at(opts, i) = v;
	return true;
}
