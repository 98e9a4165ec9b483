/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text.c - key=value text (RFC 7143 6.1) */
#include <inttypes.h>
#include <string.h>
#include <nettle/base64.h>

#include "node/iscsi/isc.h"
#include "node/iscsi/text.h"
#include "node/util/util.h"

int isc_text_next(char **p, char *end, char **ret_key, char **ret_value)
{
	char *key, *eq, *nul;

	while (*p < end && **p == '\0')  /* a stray NUL is no pair */
		(*p)++;
	if (*p == end)
		return 0;
	key = *p;
	nul = memchr(key, '\0', (size_t)(end - key));
	eq = nul ? memchr(key, '=', (size_t)(nul - key)) : NULL;
	if (!eq || eq == key || eq - key > ISC_KEY_MAX)
		return -1;
	*eq = '\0';
	*ret_key = key;
	*ret_value = eq + 1;
	*p = nul + 1;
	return 1;
}

const char *isc_list_next(const char **p, size_t *ret_len)
{
	const char *s = *p, *comma;

	if (!s)
		return NULL;
	comma = strchr(s, ',');
	*ret_len = comma ? (size_t)(comma - s) : strlen(s);
	*p = comma ? comma + 1 : NULL;
	return s;
}

/* Return: 0 … 15, or -1 */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_prefix(const char *s, char x)
{
	return s[0] == '0' && (s[1] | 0x20) == x;
}

bool isc_num(const char *s, uint64_t *ret)
{
	unsigned base = is_prefix(s, 'x') ? 16 : 10;
	uint64_t v = 0;

	if (base == 16)
		s += 2;
	if (!*s)
		return false;
	for (; *s; s++) {
		int d = hex_digit(*s);

		if (d < 0 || (unsigned)d >= base || mul_overflow(v, base, &v) || add_overflow(v, (unsigned)d, &v))
			return false;
	}
	*ret = v;
	return true;
}

/* An odd number of digits means a leading zero (6.1: a number, most significant digit first) */
static ssize_t bin_hex(const char *s, uint8_t *out, size_t cap)
{
	size_t digits = strlen(s), n = (digits + 1) / 2;

	if (!digits || n > cap)
		return -1;
	memset(out, 0, n);
	for (size_t i = 0; i < digits; i++) {
		size_t nibble = digits - 1 - i;  /* from the right */
		int d = hex_digit(s[i]);

		if (d < 0)
			return -1;
		out[n - 1 - nibble / 2] |= (uint8_t)(d << (nibble % 2 * 4));
	}
	return (ssize_t)n;
}

static ssize_t bin_base64(const char *s, uint8_t *out, size_t cap)
{
	struct base64_decode_ctx ctx;
	size_t n = 0;

	if (!*s)
		return -1;
	base64_decode_init(&ctx);
	for (; *s; s++) {
		uint8_t byte;
		int got = base64_decode_single(&ctx, &byte, *s);

		if (got < 0 || (got && n == cap))
			return -1;
		if (got)
			out[n++] = byte;
	}
	return base64_decode_final(&ctx) ? (ssize_t)n : -1;
}

ssize_t isc_bin(const char *s, uint8_t *out, size_t cap)
{
	if (is_prefix(s, 'x'))
		return bin_hex(s + 2, out, cap);
	return is_prefix(s, 'b') ? bin_base64(s + 2, out, cap) : -1;
}

void isc_text_init(struct text *t, size_t max)
{
	*t = (struct text){ .max = max };
}

void isc_text_wipe(struct text *t)
{
	if (t->buf)
		explicit_bzero(t->buf, t->cap);
	free(t->buf);
	isc_text_init(t, t->max);
}

/* Return: room for @n more bytes, counted as written; NULL if there is none */
static char *text_room(struct text *t, size_t n)
{
	size_t cap = t->cap ? t->cap : 512;
	char *buf;

	if (t->bad || n > t->max - t->len) {
		t->bad = true;
		return NULL;
	}
	while (cap - t->len < n)
		cap *= 2;
	if (cap != t->cap) {
		buf = realloc(t->buf, cap);
		if (!buf) {
			t->bad = true;
			return NULL;
		}
		t->buf = buf;
		t->cap = cap;
	}
	buf = t->buf + t->len;
	t->len += n;
	return buf;
}

void isc_text_put(struct text *t, const char *key, const char *value)
{
	size_t k = strlen(key), v = strlen(value);
	char *p = text_room(t, k + v + 2);

	if (!p)
		return;
	memcpy(p, key, k);
	p[k] = '=';
	memcpy(p + k + 1, value, v + 1);
}

void isc_text_put_num(struct text *t, const char *key, uint64_t value)
{
	char s[21];

	snprintf(s, sizeof(s), "%" PRIu64, value);
	isc_text_put(t, key, s);
}

void isc_text_put_bin(struct text *t, const char *key, const uint8_t *bin, size_t len)
{
	size_t k = strlen(key);
	char *p = text_room(t, k + 2 * len + 4);

	if (!p)
		return;
	memcpy(p, key, k);
	memcpy(p + k, "=0x", 3);
	p += k + 3;
	for (size_t i = 0; i < len; i++) {
		*p++ = "0123456789abcdef"[bin[i] >> 4];
		*p++ = "0123456789abcdef"[bin[i] & 15];
	}
	*p = '\0';
}
