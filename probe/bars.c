/* SPDX-License-Identifier: MIT */
/* The kernel's `resource` files into BARs and windows. Pure; every byte may be hostile. */
#include "probe/bars.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* include/linux/ioport.h; the `resource` file shows these bits. */
#define RES_IO       UINT64_C(0x00000100)
#define RES_MEM      UINT64_C(0x00000200)
#define RES_PREFETCH UINT64_C(0x00002000)
#define RES_MEM_64   UINT64_C(0x00100000)
#define RES_UNSET    UINT64_C(0x20000000)

bool bar_size_ok(uint64_t size)
{
	return size && size <= UINT64_C(1) << 62;
}

static bool hex(const char **s, uint64_t *v)
{
	char *end;

	while (**s == ' ')
		++*s;
	if (**s != '0')
		return false;
	errno = 0;
	*v = strtoull(*s, &end, 16);
	if (errno || end == *s)
		return false;
	*s = end;
	return true;
}

static struct bar parse_bar(const char *line)
{
	uint64_t start, end, flags;

	if (!hex(&line, &start) || !hex(&line, &end) || !hex(&line, &flags))
		return (struct bar) { 0 };
	if (*line != '\n' && *line != '\0')
		return (struct bar) { 0 };
	if (end < start || !(flags & (RES_IO | RES_MEM)))
		return (struct bar) { 0 };
	/* end - start + 1 wraps to 0 for the whole 64-bit space, which bar_size_ok refuses. */
	uint64_t size = end - start + 1;

	if (!bar_size_ok(size))
		return (struct bar) { 0 };
	/* The kernel keeps the size of a BAR without room as 0 .. size-1, with UNSET on newer ones. */
	bool unassigned = (flags & RES_UNSET) || start == 0;

	return (struct bar) {
		.address = unassigned ? 0 : start,
		.size_bytes = size,
		.io = flags & RES_IO,
		.is_64bit = flags & RES_MEM_64,
		.prefetchable = flags & RES_PREFETCH,
		.unassigned = unassigned,
	};
}

void parse_resource(const char *text, struct bar bars[PROBE_BARS])
{
	for (int i = 0; i < PROBE_BARS; i++) {
		bars[i] = text ? parse_bar(text) : (struct bar) { 0 };
		text = text ? strchr(text, '\n') : NULL;
		text = text ? text + 1 : NULL;
	}
}

static struct window parse_window(const char *line)
{
	uint64_t v[3];
	char *end;

	for (int i = 0; i < 3; i++) {
		errno = 0;
		v[i] = strtoull(line, &end, 16);
		if (errno || end == line)
			return (struct window) { 0 };
		line = end;
	}
	if (!v[2] || v[1] < v[0] || !v[0] || !bar_size_ok(v[1] - v[0] + 1))
		return (struct window) { 0 };
	return (struct window) { .start = v[0], .size = v[1] - v[0] + 1 };
}

/*
 * drivers/pci/pci-sysfs.c prints all resources of a bridge: six BARs, the ROM, those of SR-IOV where the
 * kernel has it, then four windows: I/O, memory, prefetchable memory, and one of CardBus.
 */
void bridge_windows(const char *resource, struct window *plain, struct window *prefetch)
{
	const char *lines[4] = { NULL };
	int n = 0;

	*plain = *prefetch = (struct window) { 0 };
	for (const char *l = resource; l && *l; n++) {
		memmove(lines, lines + 1, sizeof(lines) - sizeof(lines[0]));
		lines[3] = l;
		l = strchr(l, '\n');
		l = l ? l + 1 : NULL;
	}
	if (n != 11 && n != 17)
		return; /* not a bridge's file */
	*plain = parse_window(lines[1]);
	*prefetch = parse_window(lines[2]);
}

bool window_holds(const struct window *w, uint64_t start, uint64_t size)
{
	return w->size && start >= w->start && size <= w->size &&
	       start - w->start <= w->size - size;
}
