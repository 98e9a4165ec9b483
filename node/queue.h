/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * queue.h - messages between threads: many producers, one consumer, no lock, no allocation
 *
 * A message is embedded in the object it is about (a connection, a task, a call to all reactors) and is with one
 * queue at a time; so a queue is bounded by the number of such objects and can never be full. Messages of one producer
 * arrive in order. The consumer is woken by an eventfd, once for any number of messages.
 */
#ifndef LUNWARD_NODE_QUEUE_H
#define LUNWARD_NODE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>

struct msg {
	struct msg *next;
	void (*run)(struct msg *m, void *owner);  /* on the consumer's thread; @m may be sent again, or freed */
};

struct queue {
	_Atomic(struct msg *) top;  /* newest first */
	int wake_fd;                /* eventfd, non-blocking */
};

/** queue_init() - Return: 0, or -errno */
int queue_init(struct queue *q);
void queue_free(struct queue *q);

/** queue_push() - Send. Context: any thread; never blocks */
void queue_push(struct queue *q, struct msg *m);

/**
 * queue_run() - Run all messages there are, oldest first
 * @owner: handed to each
 *
 * Return: how many. Context: the consumer, after it has read wake_fd (or in any case: it may find nothing).
 */
unsigned queue_run(struct queue *q, void *owner);

#endif
