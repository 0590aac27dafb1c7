/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder: what goes over a bridge, into a ring in a file. Recording is stores into memory and nothing else:
 * no system call, no lock, no allocation, so that it may stand between any two steps of a worker that counts its bytes.
 *
 * Any number of processes may record into one ring at once, each of them may be killed at any moment, and whoever reads
 * meanwhile sees whole records only (tracefile.h). The file's blocks are allocated before it is mapped: a disk that is
 * full is an error of trace_create(), and no SIGBUS later.
 */
#ifndef BERTH_TRACE_H
#define BERTH_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/tracefile.h"
#include "base/err.h"

/* Zeroed: off; every function below takes it, and NULL, and does nothing. */
struct trace {
	struct trace_head *head; /* mapped; NULL: off */
	struct trace_slot *slot;
	uint64_t slots; /* ours, whatever the file says by now */
	uint64_t bytes; /* mapped */
	int fd;         /* of the file; valid while head is not NULL */
};

/* What a recording says of its bridge; texts are cut to fit. */
struct trace_about {
	const char *device, *backend, *socket, *guest; /* NULL: unknown */
	uint64_t now_ns;                               /* CLOCK_BOOTTIME */
	int32_t writer_pid;                            /* of the bridge; 0: this process */
};

/*
 * A new recording at `path`, of at most `size` bytes; one that was there is replaced by rename, so that who reads it keeps
 * the old one. 0, or with *e -EINVAL (a size too small), -ENOSPC, -EACCES, as trace_may_place(), or another errno.
 */
int trace_create(struct trace *t, const char *path, uint64_t size, const struct trace_about *about,
		 struct err *e);

/*
 * Whether what is at `path` may make way for a recording of the process `writer`, 0: a copy. Nothing, an empty file, and a
 * recording that no other process goes on with may; root's rename would put a file in the place of /dev/null as well.
 * 0, or with *e -EISDIR (no file), -EBADMSG (no recording), -EBUSY, or the errno of reading it.
 */
int trace_may_place(const char *path, int32_t writer, struct err *e);

/* The same file in another process, or one that another has made. Takes fd, whatever comes. 0 or an errno with *e. */
int trace_join(struct trace *t, int fd, struct err *e);

/* Nobody records into it any more, in whatever process. */
void trace_stop(struct trace *t);

/* The recording stays as it is. */
void trace_close(struct trace *t);

/* Whether a record of that kind is in the ring. For who has made it, and waits for others to begin. */
bool trace_has(const struct trace *t, enum trace_kind kind);

struct dev_facts;

/* Tell what device it is; `config`: its space of `size` bytes before the guest's. By one process at a time. */
void trace_device(struct trace *t, const struct dev_facts *facts, uint32_t generation,
		  const uint8_t *config, uint32_t size);

/* Bytes written so far, and records that were lost; TELEM_UNKNOWN for both when it is off. */
void trace_counts(const struct trace *t, uint64_t *bytes, uint64_t *lost);

static inline bool trace_is_on(const struct trace *t)
{
	return t && t->head &&
	       atomic_load_explicit((_Atomic uint32_t *)&t->head->on, memory_order_relaxed);
}

/* One record; word is ours. The caller has asked trace_is_on(). */
void trace_put(struct trace *t, const struct trace_slot *record);

/* An access with its bytes, however many; record->width and ->value are ours. */
void trace_bytes(struct trace *t, const struct trace_slot *record, const uint8_t *bytes,
		 uint32_t count);

/* A duration as a record has it. */
static inline uint32_t trace_took(uint64_t ns)
{
	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* Something that has no more to say than this. */
static inline void trace_event(struct trace *t, enum trace_kind kind, uint64_t ns, uint64_t value)
{
	if (trace_is_on(t))
		trace_put(t,
			  &(struct trace_slot) { .kind = (uint8_t)kind, .ns = ns, .value = value });
}

#endif
