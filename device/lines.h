/* SPDX-License-Identifier: MIT */
/*
 * Lines of /proc and sysfs that say who uses a device. Pure: any bytes in, values out; a line that makes no
 * sense is no answer. Names come out printable.
 */
#ifndef BERTH_DEVICE_LINES_H
#define BERTH_DEVICE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/scene.h"

/* A line of mountinfo (proc_pid_mountinfo(5)). */
struct mount_line {
	uint32_t major, minor; /* of the file system: 0:N for btrfs and others without one device */
	char source[256];      /* "/dev/nvme0n1p2" */
	char where[256];
	char type[32]; /* "ext4" */
};
bool mount_parse(const char *line, struct mount_line *m);

/* A line of /proc/swaps: the file or block device. False for the heading, too. */
bool swap_parse(const char *line, char *path, size_t size);

/* A line of /proc/net/route that is the default route: its interface. */
bool route_parse(const char *line, char *name, size_t size);

/*
 * A path that is the registers of a PCI function, "/sys/devices/.../0000:01:00.0/resource0": the function's
 * address. `line` may be a line of /proc/PID/maps or a path by itself.
 */
bool registers_parse(const char *line, char *pci, size_t size);

/* The name of a virtual machine on QEMU's command line (-name NAME, or guest=NAME,...), words ended by NUL. */
bool vm_name_parse(const char *words, size_t len, char *name, size_t size);

/* The lines of `resource` into f->res; as many as make sense, from the first. */
void resource_parse(const char *text, struct func *f);

/* "226:128". */
bool dev_parse(const char *text, uint32_t *major, uint32_t *minor);

/* The value of KEY in uevent's lines "KEY=value". */
bool uevent_value(const char *text, const char *key, char *value, size_t size);

#endif
