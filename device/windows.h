/* SPDX-License-Identifier: MIT */
/*
 * Whether a BAR finds room for another size. The kernel lets go of the windows above a BAR one by one, as long as
 * nothing else lies in them, and then places everything anew; the first window that something else pins must have a
 * gap that is large enough (pci_reassign_bridge_resources() in drivers/pci/setup-bus.c). Pure.
 */
#ifndef BERTH_DEVICE_WINDOWS_H
#define BERTH_DEVICE_WINDOWS_H

#include "device/scene.h"

#define PINS_MAX 16

enum room_verdict {
	ROOM_FITS,    /* the deciding window has a gap for it */
	ROOM_UNKNOWN, /* nothing pins any window: the processor's own decides, which no file shows */
	ROOM_SMALL,   /* the deciding window has no such gap */
	ROOM_CLOSED,  /* a bridge above has no window of that kind at all */
};

/* What lies in the deciding window besides. */
struct pin {
	const struct func *func;
	uint64_t bytes;
	bool empty_port; /* a port with nothing below it */
	bool same_card;  /* another function of the very card */
};

struct room {
	enum room_verdict verdict;
	const struct func *bridge; /* whose window decides; NULL: the processor's */
	struct window window;
	bool prefetch;       /* which window of the bridge */
	bool nearest;        /* it is the one right above: older kernels give up there (-ENOENT) */
	uint64_t need_bytes; /* for this BAR and those that move with it */
	uint64_t gap_bytes;  /* the largest part of the window that is free and aligned for it */
	uint32_t n_pins, n_pins_left_out;
	struct pin pins[PINS_MAX];
};

/*
 * Where BAR `bar` of f would find `size` bytes, a power of two. Functions of without[] are taken as gone, which is how to
 * see whether removing them helps.
 */
void room_find(const struct scene *s, const struct func *f, int bar, uint64_t size,
	       const struct func *const *without, uint32_t n_without, struct room *r);

/* A line of `resource` that is a memory BAR or window with an address. */
bool res_is_memory(const struct func_res *r);
uint64_t res_size(const struct func_res *r);

#endif
