/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text.h - key=value text (RFC 7143 6.1): taking it apart, values, putting it together. Context: pure.
 */
#ifndef LUNWARD_ISCSI_TEXT_H
#define LUNWARD_ISCSI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * isc_text_next() - The next key=value pair
 * @p: where to go on, moved behind the pair; @end: behind the last byte of the text. The text is cut into strings.
 * Return: 1; 0 at the end; -1 if this is not key=value with a NUL at its end, or the key is empty or too long.
 */
int isc_text_next(char **p, char *end, char **ret_key, char **ret_value);

/**
 * isc_list_next() - The next value of a list "a,b,c"
 * @p: where to go on, NULL behind the last
 * Return: the value, not terminated, its length in @ret_len; NULL at the end
 */
const char *isc_list_next(const char **p, size_t *ret_len);

/** isc_num() - A decimal or hexadecimal (0x) number of at most 64 bits. Return: false if it is none */
bool isc_num(const char *s, uint64_t *ret);

/**
 * isc_bin() - A binary value, hexadecimal (0x) or base64 (0b)
 * Return: bytes written to @out, or -1: malformed, or more than @cap
 */
ssize_t isc_bin(const char *s, uint8_t *out, size_t cap);

/** struct text - Text being written; grows up to @max, then @bad is set and stays */
struct text {
	char *buf;
	size_t len, cap, max;
	bool bad;
};

void isc_text_init(struct text *t, size_t max);
void isc_text_wipe(struct text *t);
void isc_text_put(struct text *t, const char *key, const char *value);
void isc_text_put_num(struct text *t, const char *key, uint64_t value);
/* isc_text_put_bin() - As hexadecimal */
void isc_text_put_bin(struct text *t, const char *key, const uint8_t *bin, size_t len);

#endif
