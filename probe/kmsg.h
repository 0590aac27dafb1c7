/* SPDX-License-Identifier: MIT */
/*
 * The kernel log: records of /dev/kmsg, the output of dmesg, or of `journalctl -k`. Only lines that
 * could matter to a GPU are kept, and what would name the machine or its owner is replaced, so that
 * a captured log can be shown to anybody. Pure, but for memory.
 */
#ifndef BERTH_PROBE_KMSG_H
#define BERTH_PROBE_KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fact.h"

#define KMSG_LINES_MAX 16384
#define KMSG_BYTES_MAX (16u << 20)

struct kline {
	uint64_t usec; /* since boot, or of the day; only differences mean something */
	bool timed;
	const char *text; /* without time and level; in kmsg.text */
};

struct kmsg {
	bool read;        /* a log was there; else `why` */
	enum why why;     /* meaningful while !read */
	char source[200]; /* "/dev/kmsg", or the file's name */
	uint32_t n;
	uint32_t n_left_out; /* lines that matter beyond KMSG_LINES_MAX: the oldest are kept */
	struct kline *lines;
	char *text;
};

/*
 * Take the last boot out of a log. `wanted` tells for a line's text whether it is kept. 0 or -ENOMEM;
 * free with kmsg_free().
 */
int kmsg_parse(struct kmsg *k, const char *bytes, size_t n, bool (*wanted)(const char *text));
void kmsg_free(struct kmsg *k);

/* All lines as dmesg prints them, which kmsg_parse reads back to the same. One allocation, or NULL. */
char *kmsg_text(const struct kmsg *k);

/*
 * The first PCI address of a line: "0000:03:00.0", or NVIDIA's "PCI:0000:03:00" as function 0. False
 * when there is none.
 */
bool kline_pci(const char *text, char pci[24]);

/* The next line at or after `from` that has `word`; -1: none. */
int kmsg_find(const struct kmsg *k, uint32_t from, const char *word);

/*
 * Replace, in place, what may name a machine or a person: UUIDs, MAC addresses, serial numbers, programs
 * that are not well known, and who built a module on which machine.
 */
void kmsg_scrub(char *text);

#endif
