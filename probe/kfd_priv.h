/* SPDX-License-Identifier: MIT */
/* The pure parts of the KFD reader. */
#ifndef BERTH_PROBE_KFD_PRIV_H
#define BERTH_PROBE_KFD_PRIV_H

#include <stdbool.h>
#include <stdint.h>

struct kfd_node {
	char pci[24];
	char arch[16]; /* "gfx1100"; empty: not told */
	uint64_t simds, banks, links;
};

/* The number after `key` and a blank, in lines of such pairs. */
bool kfd_value(const char *text, const char *key, uint64_t *v);

/* A node's `properties`. False for a node of CPUs, and for what is none. */
bool kfd_node_parse(const char *text, struct kfd_node *n);

/* gfx_target_version as compute libraries write it; empty when it is none. */
void kfd_arch(uint64_t version, char arch[16]);

/* The size of a memory bank that holds the GPU's own memory; 0 for others. */
uint64_t kfd_bank_bytes(const char *text);

#endif
