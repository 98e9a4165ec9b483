/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * private.h - what the files of fencing/ share
 */
#ifndef LUNWARD_FENCING_PRIVATE_H
#define LUNWARD_FENCING_PRIVATE_H

#include "cluster/core/mutants.h"
#include "fencing/arbitrate.h"
#include "fencing/prcmd.h"

/* ---- prcmd.c, for prsense.c ---- */

/** fence_parse_in() - Data-in of a GOOD command into @res (by @res->op). Return: false if malformed. */
bool fence_parse_in(struct fence_result *res, const void *data, size_t len);

/* ---- arbitrate.c, for take.c and nexus.c ---- */

/* What a program wants next. */
enum fence_next {
	NEXT_LOOK,   /* READ KEYS and READ RESERVATION, then @seen */
	NEXT_CMD,    /* machine->last is filled in: send it, then @answered */
	NEXT_DONE,   /* outcome is filled in */
};

/*
 * One operation. @start begins; @answered digests the end of a PERSISTENT RESERVE OUT; @seen decides on a fresh,
 * whole view. What may simply be repeated (reads, busy devices, unit attentions before reads) never gets here.
 */
struct fence_program {
	enum fence_next (*start)(struct fence_machine *m);
	enum fence_next (*answered)(struct fence_machine *m, const struct fence_result *res);
	enum fence_next (*seen)(struct fence_machine *m);
	bool own_only;    /* a data nexus: look at the reservation only, the list of keys does not matter */
	bool caps;        /* ask for capabilities first (it will reserve) */
	bool needs_old;   /* expect must be a key, of the same node as key */
	bool needs_key;
};

extern const struct fence_program fence_program_take, fence_program_sweep, fence_program_release,
	fence_program_bump, fence_program_join, fence_program_rekey, fence_program_leave, fence_program_read;

enum fence_next fence_end(struct fence_machine *m, enum fence_verdict v, enum fence_why why, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** fence_cmd_register() - REGISTER @key → @sakey (0: unregister) as compare-and-swap, APTPL as the device lets us */
enum fence_next fence_cmd_register(struct fence_machine *m, uint64_t key, uint64_t sakey);

/** fence_cmd_register_ignore() - REGISTER AND IGNORE EXISTING KEY with @sakey */
enum fence_next fence_cmd_register_ignore(struct fence_machine *m, uint64_t sakey);

/** fence_again() - Send the last command once more, if this is not too often; otherwise end with an error */
enum fence_next fence_again(struct fence_machine *m, const struct fence_result *res);

/** fence_look() - Read back after @res, if this is not too often; otherwise end with an error */
enum fence_next fence_look(struct fence_machine *m, const struct fence_result *res);

/** fence_refused() - End: the device does not do the last command */
enum fence_next fence_refused(struct fence_machine *m, const struct fence_result *res);

/** fence_try_without_aptpl() - @res refused the last REGISTER, perhaps for its APTPL bit: drop it. Return: worth it? */
bool fence_try_without_aptpl(struct fence_machine *m, const struct fence_result *res);

unsigned int fence_view_count(const struct fence_view *v, uint64_t key);

#endif
