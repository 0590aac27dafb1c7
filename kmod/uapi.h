/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * What a program and the module berth_vfio agree on.
 *
 * The module is told everything through a folder "berth" of the PCI function that it has bound, in
 * sysfs, before the function is opened:
 *
 *   abi               BERTH_VFIO_ABI; it grows when a meaning changes, not when something is added
 *   barN_mode         one of the names below, for each BAR that exists; written: the mode
 *   barN_counters     lines "NAME NUMBER": read_1, read_2, read_4, read_8, read_other, read_bytes,
 *                     read_failed, read_denied, and the same for write_. As the program asked: a
 *                     kernel may do one access of 8 bytes as two of 4
 *   barN_latency      lines "read|write FLOOR NUMBER": so many accesses took from FLOOR ns to twice
 *                     that; counted while `timing` is 1
 *   timing            0 or 1; may be written at any time
 *   policy            the table of rules, a line each; written: all of it at once
 *
 * A rule is "VERB BAR FIRST-LAST", offsets of bytes in hexadecimal with 0x, or decimal:
 *
 *   deny 0 0x100-0x1ff        neither read nor written: EPERM
 *   read-only 0 0x200-0x2ff   written: EPERM
 *   log 0 0x300-0x3ff         done, and told by the tracepoint berth_vfio_log
 *   map 0 0x1000-0x1fff       whole pages that BERTH_VFIO_PAGES may map, although the BAR is
 *                             trapped
 *   open config 0x60-0x67     bytes of configuration space that may be written, although they
 *                             belong to a vendor's capability, or to none, and so may lead to
 *                             registers
 *
 * An access that touches a byte of a range is judged as a whole. Writing answers with
 *
 *   EBUSY       the function is open
 *   EINVAL      no such name or verb, no such BAR, a range that is empty or leaves its BAR, ranges
 *               of a BAR that overlap, a rule for a BAR that is not trapped, another mode for one
 *               with rules, an I/O BAR mapped, a `map` of other than whole pages of memory
 *   E2BIG       more than BERTH_VFIO_RULES rules, or more text than sysfs takes at once
 *   EOPNOTSUPP  a mode that this kernel cannot give
 *
 * Two requests (ioctl) of the descriptor of the function, beside VFIO's own:
 *
 * BERTH_VFIO_PAGES, with a struct berth_vfio_pages, returns a descriptor (close-on-exec) through
 * which the chosen pages of a BAR, and nothing else, can be mapped, MAP_SHARED; offset 0 is the
 * BAR's first byte. It can be handed to another program; it keeps the function neither open nor
 * bound. A map of other pages is answered with EPERM, as is one to run, and one to write by a
 * descriptor without BERTH_VFIO_PAGES_WRITE with EACCES. Its pages are taken back when the
 * function is closed or removed, an error stops it, or BERTH_VFIO_REVOKE is said: for good, and
 * new maps get ENODEV. While its memory is off, it sleeps or is reset, they are away, and come
 * back. Who touches pages that are not there waits for the end of a reset, or has all ones; never
 * a signal. What is written then reaches nobody, and reads back for at most 20 ms, every 4 KiB.
 *
 *   EINVAL   a foreign size or flag, no range, ranges that are not whole pages of the BAR, in
 *            order, or overlap; no such BAR, or none that can be mapped
 *   E2BIG    more than BERTH_VFIO_RANGES ranges
 *   EPERM    the BAR is trapped, and a range is not within one `map` rule; or pages with the table
 *            of MSI-X, or its pending bits
 *   ENODEV   the function is being removed
 *   EBUSY    another driver has the BAR
 *
 * BERTH_VFIO_REVOKE, with 0, takes back the pages of all descriptors of the function; it returns
 * of how many. Once it has returned, nobody reaches the device by them. EINVAL: another argument.
 */
#ifndef BERTH_KMOD_UAPI_H
#define BERTH_KMOD_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BERTH_VFIO_DRIVER "berth_vfio"
#define BERTH_VFIO_ABI    1
#define BERTH_VFIO_RULES  64
#define BERTH_VFIO_RANGES 64

/*
 * A BAR that is revocable, while its device's memory is off, the device sleeps, or is gone: its
 * maps read as all ones, and what is written to them is seen for at most so many milliseconds, at
 * any address of that offset in a page, by nobody but who has this function open. Read and written
 * by descriptor a BAR gives EIO.
 */
#define BERTH_VFIO_ECHO_MS 20

#define BERTH_VFIO_MAP       "map"       /* as stock vfio-pci: the program may map the BAR */
#define BERTH_VFIO_TRAP      "trap"      /* no map: every access comes through the module */
#define BERTH_VFIO_REVOCABLE "revocable" /* a map that is taken back without a signal */

/* Bytes of a BAR: whole pages. */
struct berth_vfio_range {
	__u64 offset;
	__u64 length;
};

struct berth_vfio_pages {
	__u32 argsz; /* the size of this with its ranges */
	__u32 flags;
#define BERTH_VFIO_PAGES_READ  0x1 /* always */
#define BERTH_VFIO_PAGES_WRITE 0x2
	__u32 bar;
	__u32 n; /* ranges, in order */
	struct berth_vfio_range ranges[];
};

#define BERTH_VFIO_PAGES  _IO(0xBE, 0)
#define BERTH_VFIO_REVOKE _IO(0xBE, 1)

#endif
