/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_show.c - what lunward-pr prints
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fencing/pr_tool.h"

/* RFC 8259 7; what is not printable ASCII is replaced */
static void json_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else
			putchar(*s >= 0x20 && *s < 0x7f ? *s : '?');
	}
	putchar('"');
}

static void json_key(uint64_t key)
{
	struct fence_key k;

	printf("\"key\":\"0x%016" PRIx64 "\"", key);
	if (fence_key_parse(key, &k))
		printf(",\"cluster_tag\":%u,\"node\":%u,\"epoch\":%" PRIu32, k.cluster, k.node, k.epoch);
}

static const char *type_name(uint8_t type)
{
	static const char *const names[16] = {
		[0] = "none", [1] = "Write Exclusive", [3] = "Exclusive Access",
		[5] = "Write Exclusive, Registrants Only", [6] = "Exclusive Access, Registrants Only",
		[7] = "Write Exclusive, All Registrants", [8] = "Exclusive Access, All Registrants",
	};

	return names[type & 0xf] ? names[type & 0xf] : "unknown type";
}

static void json_view(const struct fence_view *v, const struct fence_result *full)
{
	printf(",\"generation\":%" PRIu32 ",\"type\":%u,\"max_epoch\":%" PRIu32, v->generation, v->type, v->max_epoch);
	printf(",\"holder\":");
	if (v->holder) {
		putchar('{');
		json_key(v->holder);
		putchar('}');
	} else {
		printf("null");
	}
	printf(",\"keys\":[");
	for (unsigned int i = 0; i < v->n_keys; i++) {
		printf(i ? ",{" : "{");
		json_key(v->keys[i]);
		putchar('}');
	}
	printf("],\"truncated\":%s", v->truncated ? "true" : "false");
	printf(",\"nexuses\":[");
	for (unsigned int i = 0; full && i < full->n_full; i++) {
		const struct fence_full *f = &full->full[i];

		printf(i ? ",{" : "{");
		json_key(f->key);
		printf(",\"holder\":%s,\"port\":%u,\"initiator\":", f->holder ? "true" : "false", f->rtpi);
		json_string(f->initiator);
		putchar('}');
	}
	putchar(']');
}

static void text_view(const struct fence_view *v, const struct fence_result *full)
{
	char key[FENCE_KEY_STR];

	printf("reservation  %s\n", v->type ? type_name(v->type) : "none");
	if (v->type)
		printf("holder       %s\n", fence_key_str(v->holder, key));
	printf("generation   %" PRIu32 "\n", v->generation);
	printf("registered   %u%s\n", v->n_keys, v->truncated ? " and more" : "");
	for (unsigned int i = 0; full && i < full->n_full; i++)
		printf("  %-46s port %u  %s%s\n", fence_key_str(full->full[i].key, key), full->full[i].rtpi,
		       full->full[i].initiator, full->full[i].holder ? "  (holder)" : "");
	for (unsigned int i = 0; !full && i < v->n_keys; i++)
		printf("  %s\n", fence_key_str(v->keys[i], key));
}

void pr_show_outcome(const struct pr_args *a, const struct fence_outcome *o, const struct fence_result *full)
{
	bool read = a->verb->op == FENCE_OP_READ;
	char key[FENCE_KEY_STR];

	if (!a->json) {
		if (!read || o->verdict != FENCE_OK)
			printf("%s: %s%s%s\n", a->verb->name, fence_verdict_name(o->verdict), o->text[0] ? ": " : "", o->text);
		if (!read)
			printf("our key      %s\n", fence_key_str(a->key, key));
		if (o->view.valid)
			text_view(&o->view, full);
		return;
	}
	printf("{\"operation\":\"%s\",\"verdict\":\"%s\",\"why\":\"%s\",\"touched\":%s,\"commands\":%u,\"text\":",
	       a->verb->name, fence_verdict_name(o->verdict), fence_why_name(o->why), o->touched ? "true" : "false",
	       o->commands);
	json_string(o->text);
	if (!read) {
		printf(",\"own\":{");
		json_key(a->key);
		putchar('}');
	}
	if (o->view.valid)
		json_view(&o->view, full);
	puts("}");
}

static void show_status(const struct pr_args *a, const struct fence_result *res)
{
	const char *colon = strstr(res->text, ": ");  /* after the command's name, which the verb tells already */
	const char *text = res->status == FENCE_ST_GOOD ? "GOOD" : colon ? colon + 2 : res->text;

	if (!a->json) {
		printf("%s: %s\n", a->verb->name, text);
		return;
	}
	printf("{\"command\":\"%s\",\"status\":\"%s\",\"scsi_status\":%d,\"sense\":\"%x/%02x/%02x\",\"text\":",
	       a->verb->name, fence_status_name(res->status), res->scsi_status == 0xff ? -1 : res->scsi_status,
	       res->sense_key, res->asc, res->ascq);
	json_string(text);
}

void pr_show_command(const struct pr_args *a, const struct fence_result *res)
{
	show_status(a, res);
	if (a->json)
		puts("}");
}

void pr_show_io(const struct pr_args *a, const struct fence_scsi *s, const struct fence_result *res, uint32_t block_size)
{
	char start[65] = "";

	for (size_t i = 0; !s->out && i < s->received && i < sizeof(start) - 1; i++)
		start[i] = s->data[i] >= 0x20 && s->data[i] < 0x7f ? (char)s->data[i] : '.';
	show_status(a, res);
	if (a->json) {
		printf(",\"lba\":%" PRIu64 ",\"block_size\":%" PRIu32 ",\"data\":", a->lba, block_size);
		json_string(start);
		puts("}");
	} else if (start[0]) {
		puts(start);
	}
}

void pr_show_error(const struct pr_args *a, const char *text)
{
	if (!a->json) {
		fprintf(stderr, "lunward-pr: %s\n", text);
		return;
	}
	printf("{\"error\":");
	json_string(text);
	puts("}");
}
