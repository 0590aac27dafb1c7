/* SPDX-License-Identifier: MIT */
/*
 * A recording of what went over a bridge, byte by byte: docs/formats.md specifies it, and the assertions at the end hold
 * these structs to it. Little endian. trace.h writes it, traceread.h reads it.
 *
 * A head of three pages, and a ring of slots. The record of ticket T lies in slot T % slots, so that the last `slots` records
 * are there. Who records takes a ticket, marks its slot as being written, fills it, and marks it as written: these two words
 * are all that makes a record, and whoever is killed between them leaves a slot that no reader takes.
 */
#ifndef BERTH_TRACEFILE_H
#define BERTH_TRACEFILE_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC      UINT64_C(0x3143525448545242) /* "BRTHTRC1" in memory */
#define TRACE_VERSION    1
#define TRACE_HEAD_BYTES 12288
#define TRACE_REGIONS    9
#define TRACE_IRQS       5
#define TRACE_SLOTS_MIN  64
#define TRACE_SLOTS_MAX  (UINT64_C(1) << 36)
#define TRACE_DATA_BYTES 32     /* that one slot of kind TRACE_DATA carries */
#define TRACE_DATA_MAX   65536U /* of one access; of a longer one only its place is recorded */

enum trace_kind {
	TRACE_NONE,
	TRACE_READ,
	TRACE_WRITE,
	TRACE_DATA,    /* bytes of the access in the tickets before it */
	TRACE_IRQ_SET, /* a client sets interrupts up, masks them, or takes them down */
	TRACE_IRQ,     /* one was raised; only where it passes us */
	TRACE_DMA_MAP, /* the client's memory becomes the device's */
	TRACE_DMA_UNMAP,
	TRACE_DMA_READ, /* the device reads of the client's memory, by message */
	TRACE_DMA_WRITE,
	TRACE_RESET,
	TRACE_CLIENT, /* a client has come */
	TRACE_GONE,   /* the client is gone */
	TRACE_LOST,   /* the device is lost */
	TRACE_DEVICE, /* a device is there: with the recording, or again */
	TRACE_WORKER, /* another process does the accesses from here on */
	TRACE_MARK,   /* a person wanted to find this place again */
	TRACE_KINDS
};

/* Of every kind. */
#define TRACE_FAILED 0x10 /* `extra` is the errno */
#define TRACE_ABSENT 0x20 /* the device was gone: reads gave all-ones, the rest nothing */
#define TRACE_AGAIN                                                                                \
	0x40 /* told by who took over from a process that was killed, which may have told it, too */
#define TRACE_CUT 0x80 /* its bytes are not recorded */
/* Of reads and writes. */
#define TRACE_POSTED 0x01
#define TRACE_DENIED 0x02 /* by policy */
#define TRACE_MASKED 0x04 /* by policy: `extra` is what passed */
#define TRACE_LOGGED 0x08 /* by policy */
/* Of maps. */
#define TRACE_MAP_READ    0x01
#define TRACE_MAP_WRITE   0x02
#define TRACE_MAP_MESSAGE 0x04 /* without a descriptor */
#define TRACE_MAP_ALL     0x08 /* of an unmap */
/* Of interrupts that are set up. */
#define TRACE_IRQ_EVENTFD 0x01
#define TRACE_IRQ_BOOL    0x02
#define TRACE_IRQ_MASK    0x04
#define TRACE_IRQ_UNMASK  0x08 /* neither: trigger */

/*
 *             region  offset           value            extra
 * READ/WRITE  index   in the region    the bytes, or    errno, or what passed
 *                                      with width 0 their count
 * DATA        -       bytes: `ns`, offset, value and extra as they lie in memory, `width` of them
 * IRQ_SET     index   first            count            errno
 * IRQ         index   vector           how often        -
 * DMA_MAP     -       iova             bytes            offset in the descriptor, or errno
 * DMA_UNMAP   -       iova             bytes            errno
 * DMA_READ..  -       iova             bytes            errno
 * RESET       -       -                -                errno
 * CLIENT      -       -                its pid          -
 * DEVICE      -       -                generation       -
 * WORKER      -       -                its pid          -
 * MARK        -       text: offset, value and extra, `width` bytes
 */
struct trace_slot {
	uint64_t word; /* 0: never written; 2T+1: being written; 2T+2: written. Atomic */
	uint64_t ns;   /* CLOCK_BOOTTIME, at the end of what is told */
	uint64_t offset, value, extra;
	uint32_t took; /* ns; UINT32_MAX: as long or longer */
	uint8_t kind, region, width, flags;
};

struct trace_region {
	uint64_t size;  /* 0: there is none */
	uint32_t flags; /* 1 read, 2 write, 4 I/O ports */
	uint32_t reserved;
};

struct trace_irq {
	uint32_t count, flags; /* 1 eventfd, 2 maskable, 4 masks itself, 8 does not grow */
};

/* The device, for who replays it. */
struct trace_device {
	uint32_t seq; /* odd while it is being written; 0: nothing is there yet. Atomic */
	uint32_t generation;
	struct trace_region region[TRACE_REGIONS];
	struct trace_irq irq[TRACE_IRQS];
	uint32_t flags;       /* 1 it can be reset alone, 2 eight bytes are one access */
	uint32_t config_size; /* 256 or 4096; 0: not told */
	uint8_t reserved[3896];
	uint8_t config[4096]; /* its configuration space, before the guest's */
};

struct trace_head {
	uint64_t magic;
	uint32_t version;
	uint32_t head_bytes, slot_bytes;
	uint32_t reserved;
	uint64_t slots;
	uint64_t started_ns; /* CLOCK_BOOTTIME */
	uint64_t clock_ns;   /* of the day at that moment, ns since 1970 */
	uint8_t boot_id[16];
	int32_t writer_pid; /* of the bridge, and when it began: as on the telemetry page */
	uint32_t reserved2;
	uint64_t writer_start;
	char device[128], backend[16], socket[112], guest[64];
	uint8_t reserved3[624];
	uint64_t next; /* ticket, at 1024. Atomic */
	uint8_t reserved4[56];
	uint64_t lost; /* records that found their slot still being written. Atomic */
	uint32_t on;   /* 0: nothing is recorded just now. Atomic */
	uint8_t reserved5[2996];
	struct trace_device what; /* at 4096 */
};

_Static_assert(sizeof(struct trace_slot) == 48, "docs/formats.md: a slot is 48 bytes");
_Static_assert(offsetof(struct trace_slot, took) == 40, "docs/formats.md: took at 40");
_Static_assert(offsetof(struct trace_head, device) == 80, "docs/formats.md: device at 80");
_Static_assert(offsetof(struct trace_head, next) == 1024, "docs/formats.md: next at 1024");
_Static_assert(offsetof(struct trace_head, lost) == 1088, "docs/formats.md: lost at 1088");
_Static_assert(offsetof(struct trace_head, what) == 4096, "docs/formats.md: the device at 4096");
_Static_assert(offsetof(struct trace_device, config) == 4096, "docs/formats.md: config at 8192");
_Static_assert(sizeof(struct trace_head) == TRACE_HEAD_BYTES, "docs/formats.md: three pages");

#endif
