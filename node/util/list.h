/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list.h - intrusive doubly linked list. Context: pure; the owner of the list serialises. */
#ifndef LUNWARD_UTIL_LIST_H
#define LUNWARD_UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "node/util/util.h"

struct list { struct list *next, *prev; };

#define LIST_INIT(l) { .next = &(l), .prev = &(l) }
static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void list_insert(struct list *at, struct list *n)
{
	n->prev = at->prev;
	n->next = at;
	at->prev->next = n;
	at->prev = n;
}

static inline void list_add_tail(struct list *head, struct list *n) { list_insert(head, n); }
static inline void list_add(struct list *head, struct list *n) { list_insert(head->next, n); }

/** list_del() - Unlink; the node points to itself afterwards, so a second list_del() is harmless */
static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member) (list_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_for_each(pos, head, member) \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head); \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_safe(pos, tmp, head, member) \
	for (pos = list_entry((head)->next, __typeof__(*pos), member), \
	     tmp = list_entry(pos->member.next, __typeof__(*pos), member); &pos->member != (head); \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
