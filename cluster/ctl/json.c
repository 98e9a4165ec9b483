/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.c - any message as JSON, by its descriptor
 *
 * Programs get everything that the messages hold, including fields added later, without a line of code here.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "cluster/ctl/ctl.h"

struct json {
	FILE *f;
	bool pretty;
	int depth;
};

/* Length of the UTF-8 sequence at @s, 0 if it is none (overlong, surrogate, beyond U+10FFFF, cut; RFC 3629). */
static size_t utf8_len(const unsigned char *s)
{
	uint32_t c = s[0];
	size_t n = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };

	if (n < 2)
		return n;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

/* RFC 8259 7 */
void json_string(FILE *f, const char *str)
{
	const unsigned char *s = (const unsigned char *)str;

	fputc('"', f);
	while (*s) {
		size_t n = utf8_len(s);

		if (n == 0) {
			fputs("\\ufffd", f);
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else if (*s == '\t')
			fputs("\\t", f);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(f, "\\u%04x", *s);
		else
			fwrite(s, 1, n, f);
		s += n;
	}
	fputc('"', f);
}

static void line(struct json *j)
{
	if (j->pretty)
		fprintf(j->f, "\n%*s", 2 * j->depth, "");
}

static void bytes(struct json *j, const char *name, const ProtobufCBinaryData *b)
{
	size_t n = strlen(name);
	char ip[INET6_ADDRSTRLEN];

	if (n > 5 && !strcmp(name + n - 5, "_addr") && (b->len == 4 || b->len == 16)) {
		fprintf(j->f, "\"%s\"", inet_ntop(b->len == 4 ? AF_INET : AF_INET6, b->data, ip, sizeof(ip)));
		return;
	}
	fputc('"', j->f);
	for (size_t i = 0; i < b->len; i++)
		fprintf(j->f, "%02x", b->data[i]);
	fputc('"', j->f);
}

static void object(struct json *j, const ProtobufCMessage *m);

static void enumerated(struct json *j, const ProtobufCFieldDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d->descriptor, value);

	if (v)
		json_string(j->f, v->name);
	else
		fprintf(j->f, "%d", value);
}

/* One value at @p. Return: its size, to step to the next of a repeated field */
static size_t value(struct json *j, const ProtobufCFieldDescriptor *d, const void *p)
{
	switch (d->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		fprintf(j->f, "%" PRId32, *(const int32_t *)p);
		return sizeof(int32_t);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		fprintf(j->f, "%" PRIu32, *(const uint32_t *)p);
		return sizeof(uint32_t);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		fprintf(j->f, "%" PRId64, *(const int64_t *)p);
		return sizeof(int64_t);
	case PROTOBUF_C_TYPE_UINT64:
		fprintf(j->f, "%" PRIu64, *(const uint64_t *)p);
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_FIXED64:
		fprintf(j->f, "\"0x%016" PRIx64 "\"", *(const uint64_t *)p);
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_FLOAT:
		fprintf(j->f, "%g", (double)*(const float *)p);
		return sizeof(float);
	case PROTOBUF_C_TYPE_DOUBLE:
		fprintf(j->f, "%.17g", *(const double *)p);
		return sizeof(double);
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)p ? "true" : "false", j->f);
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		enumerated(j, d, *(const int *)p);
		return sizeof(int);
	case PROTOBUF_C_TYPE_STRING:
		json_string(j->f, *(const char *const *)p ? *(const char *const *)p : "");
		return sizeof(char *);
	case PROTOBUF_C_TYPE_BYTES:
		bytes(j, d->name, p);
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_MESSAGE:
		object(j, *(const ProtobufCMessage *const *)p);
		return sizeof(ProtobufCMessage *);
	}
	fputs("null", j->f);
	return 0;
}

static void array(struct json *j, const ProtobufCFieldDescriptor *d, const char *p, size_t n)
{
	fputc('[', j->f);
	j->depth++;
	for (size_t i = 0; i < n; i++) {
		if (i)
			fputs(j->pretty ? "," : ", ", j->f);
		line(j);
		p += value(j, d, p);
	}
	j->depth--;
	if (n)
		line(j);
	fputc(']', j->f);
}

/* A sub-message that is not there, or a oneof's member that is not set, is left out. */
static bool present(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *d)
{
	const char *base = (const char *)m;

	if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(const void *)(base + d->quantifier_offset) == d->id;
	return d->label == PROTOBUF_C_LABEL_REPEATED || d->type != PROTOBUF_C_TYPE_MESSAGE ||
	       *(const void *const *)(const void *)(base + d->offset);
}

static void object(struct json *j, const ProtobufCMessage *m)
{
	const char *base = (const char *)m, *sep = "";

	fputc('{', j->f);
	j->depth++;
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
		const void *p = base + d->offset;

		if (!present(m, d))
			continue;
		fputs(sep, j->f);
		sep = j->pretty ? "," : ", ";
		line(j);
		fprintf(j->f, "\"%s\": ", d->name);
		if (d->label == PROTOBUF_C_LABEL_REPEATED)
			array(j, d, *(const char *const *)p, *(const size_t *)(const void *)(base + d->quantifier_offset));
		else
			value(j, d, p);
	}
	j->depth--;
	if (*sep)
		line(j);
	fputc('}', j->f);
}

void json_message(FILE *f, const ProtobufCMessage *m, bool pretty)
{
	struct json j = { .f = f, .pretty = pretty };

	object(&j, m);
	fputc('\n', f);
}
