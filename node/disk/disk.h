/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * disk.h - where a LUN's bytes live
 *
 * Two objects. A *backing* is the LUN's storage, once a process: made and given up by the control thread,
 * immutable in between. A *disk* is one reactor's handle of it; it and its I/Os belong to that reactor's
 * thread alone. For an iSCSI LUN each disk is an I_T nexus of its own.
 *
 * Life of a disk, driven by the reactor; each step is asynchronous and calls back exactly once:
 *
 *   disk_new() -> STANDBY --disk_start()--> OPEN --disk_stop()--> STANDBY -> disk_free()
 *
 * In STANDBY what can be prepared without touching the data is (an iSCSI disk is logged in). disk_start()
 * opens it under a key: an iSCSI disk registers the key and verifies that the holder's is the same. From then
 * on disk_submit() may be called. Any I/O that ends in RESERVATION CONFLICT ends with DISK_FENCED, and so does
 * everything after it until disk_stop(): nothing is ever retried under a key that may be gone.
 *
 * Files: disk.c (dispatch, backings), file.c and file_*.c (block device or file), ram.c, iscsi.c and
 * iscsi_*.c (iSCSI LUN), aside.c (a thread for what io_uring lacks).
 */
#ifndef LUNWARD_DISK_DISK_H
#define LUNWARD_DISK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "node/disk/ring.h"

#define DISK_BUF_ALIGN 4096u         /* of memory handed to disk_submit(): enough for any O_DIRECT */
#define DISK_IO_MAX (4u << 20)       /* bytes in one struct disk_io */
#define DISK_EXTENT_MAX (32u << 20)  /* … that moves no data: DISK_UNMAP, DISK_ZERO */
#define DISK_IOV_MAX 65u             /* pieces in one struct disk_io */

enum disk_kind { DISK_FILE, DISK_RAM, DISK_ISCSI };

/* What to open; strings live as long as the backing. */
struct disk_spec {
	enum disk_kind kind;
	const char *path;            /* DISK_FILE: file or block device; DISK_ISCSI: URL */
	bool is_block;               /* DISK_FILE: must be a block device */
	uint64_t size;               /* bytes; DISK_RAM, and DISK_FILE: create or grow to it; 0: as it is */
	uint32_t block_size;         /* 512 or 4096; 0: the device's own */
	bool read_only;
	bool allocate;               /* DISK_FILE: reserve the space for all of `size` */
	const char *initiator;       /* DISK_ISCSI: our iSCSI name */
	uint8_t isid[6];             /* DISK_ISCSI: of reactor 0; see disk_new() */
};

/**
 * enum disk_status - How an I/O or a step ended
 *   DISK_OK
 *   DISK_MEDIUM     the device could not read or write these bytes: MEDIUM ERROR
 *   DISK_NOT_READY  the device or the way to it is gone, perhaps for a while: NOT READY or BUSY
 *   DISK_NO_SPACE   no room below a thin device: DATA PROTECT, SPACE ALLOCATION FAILED
 *   DISK_RANGE      beyond the end, or not aligned to blocks
 *   DISK_READ_ONLY  a write to what may only be read
 *   DISK_FENCED     RESERVATION CONFLICT, or the holder's key is not ours: stop at once
 *   DISK_ABORTED    disk_stop() came first
 *   DISK_UNSUPPORTED  DISK_UNMAP, DISK_ZERO: not here; nothing was done
 */
enum disk_status {
	DISK_OK,
	DISK_MEDIUM,
	DISK_NOT_READY,
	DISK_NO_SPACE,
	DISK_RANGE,
	DISK_READ_ONLY,
	DISK_FENCED,
	DISK_ABORTED,
	DISK_UNSUPPORTED,
};

const char *disk_status_name(enum disk_status s);

/** disk_errno() - What an errno (positive) of the block layer means. EBADE is its RESERVATION CONFLICT */
enum disk_status disk_errno(int e);

/**
 * enum disk_op - What an I/O does. Those after DISK_FLUSH move no data: they have no iovec
 *   DISK_UNMAP  give the storage back; what is read then is geo.unmap_zeroes's to say
 *   DISK_ZERO   write zeroes; @unmap: may give the storage back. Not where geo.zeroes is false
 *   DISK_MAP    where is data: @mapped tells whether storage is behind the first block, @extent for how many bytes at
 *               least that holds (whole blocks). @length is one block. Not where geo.map is false
 */
enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_UNMAP, DISK_ZERO, DISK_MAP };

/* One I/O. Embedded in a task; may be used again as soon as @done was called. */
struct disk_io {
	/* set by the caller */
	enum disk_op op;
	bool fua;                    /* DISK_WRITE: on stable storage before it is done */
	bool unmap;                  /* DISK_ZERO */
	uint64_t offset;             /* bytes, a multiple of the block size */
	uint32_t length;             /* bytes, a multiple of the block size, at most DISK_IO_MAX, or DISK_EXTENT_MAX */
	struct iovec *iov;           /* memory: DISK_BUF_ALIGN aligned pieces; may be changed by the disk */
	unsigned n_iov;
	void (*done)(struct disk_io *io);
	/* set by the disk before @done */
	enum disk_status status;
	bool mapped;                 /* DISK_MAP */
	uint64_t extent;
	/* the disk's own */
	struct disk *disk;
	struct list link;            /* on disk.busy, or a queue of the implementation */
	struct ring_op ring_op;
	struct ring_work work;
	uint32_t moved;              /* bytes so far */
	uint32_t pieces;             /* commands in flight for it */
};

struct disk_geometry {
	uint64_t blocks;
	uint32_t block_size;
	uint32_t physical_block_size;
	uint32_t optimal_io;         /* bytes; 0: unknown */
	uint32_t unmap_granularity;  /* bytes that are given back as one; 0: DISK_UNMAP does not work here */
	uint32_t alignment;          /* bytes from the start to the first physical block */
	bool unmap_zeroes;           /* what was given back reads as zero */
	bool zeroes, map;            /* DISK_ZERO, DISK_MAP work here */
	bool space;                  /* disk_look() tells how much storage is used, and how much is left */
	bool atomic;                 /* a write is done as a whole or not at all */
	bool write_cache;            /* data may be lost at power loss until flushed */
	bool read_only;
};

struct disk;
struct disk_backing;
/* @err: in words, NULL if DISK_OK */
typedef void disk_step_fn(struct disk *d, void *arg, enum disk_status s, const char *err);

/* What a disk tells its reactor on its own; called on the reactor's thread. */
struct disk_events {
	void (*fenced)(struct disk *d, void *arg, const char *detail);
	void (*log)(struct disk *d, void *arg, int priority, const char *text);  /* syslog priorities */
	void (*resized)(struct disk *d, void *arg);    /* geo.blocks has changed; NULL: nobody cares */
	void (*space)(struct disk *d, void *arg, uint64_t used, uint64_t left, bool own);  /* bytes, with each look; own: of
	                                                  nobody else; NULL: nobody cares */
	void (*low_space)(struct disk *d, void *arg);  /* what lies below a thin disk is filling up; said once each time */
};

struct disk_ops {
	const char *name;
	size_t size;                 /* of the implementation's struct, which starts with struct disk */
	/* backing, control thread */
	int (*prepare)(struct disk_backing *b, char *err, size_t err_len);
	int (*grow)(struct disk_backing *b, char *err, size_t err_len);  /* to spec.size */
	void (*unprepare)(struct disk_backing *b);
	/* disk, reactor */
	void (*init)(struct disk *d);
	void (*start)(struct disk *d);
	void (*submit)(struct disk *d, struct disk_io *io);
	void (*abort)(struct disk *d);  /* end what is in flight and cannot be waited for; NULL: all can be */
	void (*close)(struct disk *d);  /* nothing is in flight any more */
	void (*look)(struct disk *d);   /* disk_look(); NULL: nothing ever changes */
	void (*rekey)(struct disk *d, uint64_t old_key, uint64_t new_key);  /* NULL: keys mean nothing here */
	void (*fini)(struct disk *d);
};

struct disk_backing {
	const struct disk_ops *ops;
	struct disk_spec spec;
	void *shared;                /* the implementation's */
};

/**
 * disk_backing_new() - Make a LUN's storage known to this process
 *
 * Creates or grows a file, allocates a RAM disk. Nothing of the data is read or written.
 * Return: the backing, or NULL and @err. Context: control thread; may block as open() of a file does.
 */
struct disk_backing *disk_backing_new(const struct disk_spec *spec, char *err, size_t err_len);
/**
 * disk_backing_grow() - `size` of the document has grown; a file follows, smaller is never done
 * Return: 0, or -errno and @err. Context: control thread; may block as disk_backing_new()
 */
int disk_backing_grow(struct disk_backing *b, uint64_t size, char *err, size_t err_len);
/** disk_backing_free() - Every disk on it must have been freed. Context: control thread */
void disk_backing_free(struct disk_backing *b);

/**
 * enum disk_state - Life of a disk
 *   DISK_STANDBY   Operations: disk_start(), disk_free()
 *   DISK_STARTING  Operations: disk_stop() (the start then ends in DISK_ABORTED)
 *   DISK_OPEN      Operations: disk_submit(), disk_rekey(), disk_stop()
 *   DISK_STOPPING  Operations: none; I/O in flight is being waited for or dropped
 *   DISK_GONE      Operations: disk_stop(). Fenced: every disk_submit() ends in DISK_FENCED
 */
enum disk_state { DISK_STANDBY, DISK_STARTING, DISK_OPEN, DISK_STOPPING, DISK_GONE };

struct disk {
	const struct disk_ops *ops;
	struct disk_backing *backing;
	struct ring *ring;
	const struct disk_events *events;
	void *events_arg;
	unsigned index;              /* of the reactor */
	enum disk_state state;
	uint64_t key;                /* 0: no reservation is joined (standalone) */
	struct disk_geometry geo;    /* valid in DISK_OPEN */
	struct list busy;            /* I/Os submitted and not done */
	unsigned holds;              /* operations of the implementation that a stop has to wait for */
	disk_step_fn *step;          /* of the step under way */
	void *step_arg;
	disk_step_fn *rekey_step;
	void *rekey_arg;
	struct ring_work stop_work;
	uint64_t n_errors;           /* I/Os that failed, all told */
	uint64_t errors_logged_us;   /* when that was last said */
};

/**
 * disk_new() - A reactor's handle, in DISK_STANDBY
 * @index: reactor number; an iSCSI disk adds it to the last two bytes of the spec's ISID
 *
 * Return: NULL if out of memory. Context: like all below, the reactor's thread.
 */
struct disk *disk_new(struct disk_backing *b, struct ring *ring, unsigned index,
		      const struct disk_events *events, void *arg);

/**
 * disk_start() - Open for I/O
 * @key: registration key in force, to be joined; 0: there is none (standalone)
 * @done: DISK_OK: disk.geo is valid. Otherwise the disk is in DISK_STANDBY again. May be called at once.
 */
void disk_start(struct disk *d, uint64_t key, disk_step_fn *done, void *arg);

/** disk_submit() - Start an I/O; io->done is called later, never from within */
void disk_submit(struct disk *d, struct disk_io *io);

/** disk_rekey() - The group's key changed from @old_key to @new_key (epoch bump): join it, without a pause */
void disk_rekey(struct disk *d, uint64_t old_key, uint64_t new_key, disk_step_fn *done, void *arg);

/**
 * disk_stop() - End I/O: what is in flight ends with its result, or with DISK_ABORTED where it cannot be
 * waited for (an iSCSI LUN's connection is dropped); @done when nothing is left. May be called at once.
 */
void disk_stop(struct disk *d, disk_step_fn *done, void *arg);

/**
 * disk_look() - Look whether the disk has become larger or smaller, and how much space is left below it
 * Cheap, asynchronous; what is found is told through the events. To be called every few seconds, in DISK_OPEN.
 */
void disk_look(struct disk *d);

/** disk_free() - In DISK_STANDBY only */
void disk_free(struct disk *d);

/* ---- for the implementations ---- */
void disk_log(struct disk *d, int priority, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void disk_io_end(struct disk_io *io, enum disk_status s);      /* calls io->done: from completions only */
void disk_io_end_later(struct disk_io *io, enum disk_status s);
void disk_release(struct disk *d);                              /* one of d->holds has ended */
void disk_step_end(struct disk *d, enum disk_status s, const char *err);
void disk_rekey_end(struct disk *d, enum disk_status s, const char *err);
void disk_resized(struct disk *d, uint64_t blocks);
void disk_space(struct disk *d, uint64_t used, uint64_t left, bool own);
void disk_low_space(struct disk *d);
void disk_fence(struct disk *d, const char *detail);            /* DISK_GONE; tells the reactor once */

extern const struct disk_ops disk_file_ops, disk_ram_ops, disk_iscsi_ops;

#endif
