/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user protocol, version 0.0, as bytes: docs/interop/vfio-user.rst of QEMU. Pure: bytes in, a request out; an
 * answer in, bytes out. Every length, count and flag of a client is checked here and nowhere else.
 *
 * All numbers are in the host's order; the protocol never leaves the machine.
 */
#ifndef BERTH_WIRE_H
#define BERTH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

enum vu_command {
	VU_VERSION = 1,
	VU_DMA_MAP = 2,
	VU_DMA_UNMAP = 3,
	VU_DEVICE_GET_INFO = 4,
	VU_GET_REGION_INFO = 5,
	VU_GET_REGION_IO_FDS = 6,
	VU_GET_IRQ_INFO = 7,
	VU_SET_IRQS = 8,
	VU_REGION_READ = 9,
	VU_REGION_WRITE = 10,
	VU_DMA_READ = 11,  /* server to client */
	VU_DMA_WRITE = 12, /* server to client */
	VU_DEVICE_RESET = 13,
	VU_REGION_WRITE_MULTI = 15,
	VU_DEVICE_FEATURE = 16,
	VU_MIG_DATA_READ = 17,
	VU_MIG_DATA_WRITE = 18,
	VU_COMMAND_COUNT
};

/* Before every message. */
struct vu_header {
	uint16_t id; /* the sender's; comes back in the reply, need not be unique */
	uint16_t command;
	uint32_t size;  /* of the whole message */
	uint32_t flags; /* enum vu_flags */
	uint32_t error; /* of a reply: an errno, positive; may be 0 */
};
_Static_assert(sizeof(struct vu_header) == 16, "vfio-user: a header is 16 bytes");

enum vu_flags {
	VU_TYPE_MASK = 0x0f,
	VU_TYPE_COMMAND = 0x00,
	VU_TYPE_REPLY = 0x01,
	VU_NO_REPLY = 0x10,
	VU_ERROR = 0x20,
};

#define VU_DATA_MAX    UINT32_C(1048576) /* bytes of one transfer: what we say, and what QEMU says */
#define VU_MESSAGE_MAX (16 + 32 + VU_DATA_MAX)
#define VU_FDS_MAX     16    /* descriptors of one message: QEMU refuses servers that say more */
#define VU_DMA_MAPS    65535 /* the protocol's default */
#define VU_IRQS_MAX    2048  /* MSI-X vectors of a function, by PCI's format */
#define VU_AREAS_MAX   64    /* areas of a region that can be mapped, in one answer */

/* --- requests --- */

struct vu_version {
	uint16_t major, minor;
	uint32_t max_fds;    /* that the client takes in one message; 1 when it does not say */
	uint64_t max_data;   /* bytes of one transfer */
	uint64_t max_maps;   /* DMA maps at one time */
	uint64_t page_sizes; /* of its DMA maps, or'ed */
	bool write_multiple; /* it sends VU_REGION_WRITE_MULTI */
	bool twin_socket;    /* it takes a second socket for our commands */
};

struct vu_dma {
	uint64_t iova, size;
	uint64_t offset; /* in the descriptor; maps only */
	bool read, write;
	bool all; /* of an unmap: everything, whatever iova and size say */
};

struct vu_irqs {
	uint32_t index, start, count;
	enum { VU_IRQ_NONE, VU_IRQ_BOOL, VU_IRQ_EVENTFD } data;
	enum { VU_IRQ_MASK, VU_IRQ_UNMASK, VU_IRQ_TRIGGER } action;
	const uint8_t *bools; /* VU_IRQ_BOOL: `count` of them, in the message */
};

struct vu_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;      /* bytes; at least 1 */
	const uint8_t *data; /* of a write, in the message */
};

struct vu_request {
	uint16_t id;
	uint16_t command; /* enum vu_command */
	bool no_reply;
	uint32_t
		room; /* bytes that the answer's payload may have: the client's argsz, or what the command implies */
	union {
		struct vu_version version;
		struct vu_dma dma;
		uint32_t index; /* VU_GET_REGION_INFO, VU_GET_REGION_IO_FDS, VU_GET_IRQ_INFO */
		struct vu_irqs irqs;
		struct vu_access access;
		struct {
			uint64_t count;
			const uint8_t *writes; /* `count` times VU_MULTI_SIZE bytes */
		} multi;
		struct {
			uint16_t index;
			bool get, set, probe;
		} feature;
	};
};

#define VU_MULTI_SIZE 24 /* offset, region, count, and 8 bytes of data */

/*
 * Whether a header can begin a message from a client: 0, or -EPROTO with *e. There is no going on after the
 * latter, since nobody knows where the next message begins.
 */
int vu_check_header(const struct vu_header *h, struct err *e);

/*
 * One whole message (of h->size bytes, its header checked) with n_fds descriptors. 0, or a negative errno that the
 * reply should carry, with *e for the log: -EINVAL for what is malformed, -ENOTSUP for a command nobody serves,
 * -E2BIG for a transfer above VU_DATA_MAX. r->id, r->command and r->no_reply are set in either case.
 */
int vu_parse(const uint8_t *message, uint32_t n_fds, struct vu_request *r, struct err *e);

/* Write i of a VU_REGION_WRITE_MULTI. 0, or -EINVAL: a count that is not 1 to 8. */
int vu_multi_write(const struct vu_request *r, uint64_t i, struct vu_access *w);

const char *vu_command_name(uint16_t command); /* "REGION_READ"; 17000 is "a message" */

/* --- replies: each writes a whole message and returns its size --- */

/* The area of a region that a client may map. */
struct vu_area {
	uint64_t offset, size;
};

struct vu_region {
	uint32_t index;
	bool read, write, map;
	uint64_t size;
	uint64_t offset;  /* for mmap */
	uint32_t n_areas; /* 0 with `map`: all of it */
	struct vu_area areas[VU_AREAS_MAX];
};

struct vu_irq_info {
	uint32_t index, count;
	bool eventfd, maskable, automasked, noresize;
};

/* Room for any reply but a read's: a header, and the largest region info; a version's takes less. */
#define VU_REPLY_MAX (16 + 32 + 16 + 16 * VU_AREAS_MAX)

size_t vu_reply_error(const struct vu_request *r, int rc, uint8_t *to);
size_t vu_reply_empty(const struct vu_request *r,
		      uint8_t *to); /* DMA_MAP, SET_IRQS, DEVICE_RESET */

/*
 * The same version, and of the capabilities those that both know. QEMU takes no reply larger than its request: what
 * does not fit into r->room is left out, the least important first.
 */
size_t vu_reply_version(const struct vu_request *r, uint8_t *to);
size_t vu_reply_unmap(const struct vu_request *r, uint8_t *to);
size_t vu_reply_info(const struct vu_request *r, bool reset, uint32_t n_regions, uint32_t n_irqs,
		     uint8_t *to);

/*
 * When the areas do not fit into r->room only argsz says how much they need, and *fits becomes false: send no descriptor.
 * Neither flag is set then: QEMU takes a reply that says it has capabilities, and does not say where, for a broken one.
 */
size_t vu_reply_region(const struct vu_request *r, const struct vu_region *info, uint8_t *to,
		       bool *fits);
size_t vu_reply_irq(const struct vu_request *r, const struct vu_irq_info *info, uint8_t *to);

#define VU_READ_HEAD 32 /* bytes before the data of a read's reply */

/* The head of a read's reply, the data being behind it already. */
size_t vu_reply_read(const struct vu_request *r, uint8_t *to);
size_t vu_reply_write(const struct vu_request *r, uint8_t *to);
size_t vu_reply_multi(const struct vu_request *r, uint64_t done, uint8_t *to);

/* --- our own commands to a client --- */

/* VU_DMA_READ and VU_DMA_WRITE; the data of a write goes behind the VU_DMA_HEAD bytes. */
#define VU_DMA_HEAD 32
size_t vu_ask_dma(uint16_t id, bool write, uint64_t iova, uint64_t count, uint8_t *to);

/* The reply of a client to one of these: its data, `count` bytes of it for a read. 0 or a negative errno. */
int vu_check_dma_reply(const uint8_t *message, bool write, uint64_t iova, uint64_t count,
		       const uint8_t **data, struct err *e);

#endif
