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
 *
 * An access that touches a byte of a range is judged as a whole. Writing answers with
 *
 *   EBUSY       the function is open
 *   EINVAL      no such name or verb, no such BAR, a range that is empty or leaves its BAR, ranges
 *               of a BAR that overlap, a rule for a BAR that is not trapped, another mode for one
 *               with rules, an I/O BAR mapped
 *   E2BIG       more than BERTH_VFIO_RULES rules, or more text than sysfs takes at once
 *   EOPNOTSUPP  a mode that this kernel cannot give
 */
#ifndef BERTH_KMOD_UAPI_H
#define BERTH_KMOD_UAPI_H

#define BERTH_VFIO_DRIVER "berth_vfio"
#define BERTH_VFIO_ABI    1
#define BERTH_VFIO_RULES  64

#define BERTH_VFIO_MAP       "map"       /* as stock vfio-pci: the program may map the BAR */
#define BERTH_VFIO_TRAP      "trap"      /* no map: every access comes through the module */
#define BERTH_VFIO_REVOCABLE "revocable" /* a map that is taken back without a signal */

#endif
