/* SPDX-License-Identifier: MIT */
/*
 * A function's configuration space: what its header and its capabilities say. Pure: any bytes in, numbers out.
 * Root reads 4096 bytes of an Express function, everybody else the first 64, which hold no capability.
 */
#ifndef BERTH_PROBE_CONFIG_H
#define BERTH_PROBE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_MAX      4096
#define CONFIG_CAPS_MAX 96

struct config_cap {
	uint16_t id;
	uint16_t at; /* offset; 0x100 and above: an extended capability */
};

struct config {
	uint32_t n;              /* bytes that were there: 64, 256 or 4096 on real machines */
	uint16_t vendor, device; /* ffff of a virtual function: they are its physical function's */
	uint16_t command;
	uint32_t n_caps;
	struct config_cap caps[CONFIG_CAPS_MAX];
	/* PCI Express; 0 in all: no such capability, or a function without a link. Megatransfers, lanes. */
	uint32_t speed_mts, max_speed_mts;
	uint8_t width, max_width;
	uint8_t aspm; /* in force: bit 0 L0s, bit 1 L1 */
	/* Resizable BAR. sizes: bit n = 2^(n+20) bytes; 0: that BAR has one size. */
	bool rebar;
	uint64_t sizes[6];
	uint8_t rebar_now[6]; /* n of the size in force, where sizes[] is not 0 */
	bool aer;
	uint32_t
		aer_uncorrectable; /* errors latched since they were last cleared, as the register's bits */
};

/*
 * 0; -EBADMSG: fewer than 64 bytes; -ENODEV: all ones, which is what a device that is gone answers. What lies
 * beyond the n bytes is not there; chains that loop or lead out of the space end.
 */
int config_parse(const uint8_t *bytes, size_t n, struct config *c);

/* Whether the list of extended capabilities could be read, so that an absent one is known to be absent. */
bool config_is_whole(const struct config *c);

/* Zero the device's serial number and its vital product data, in place: not for a capture. */
void config_scrub(uint8_t *bytes, size_t n);

#endif
