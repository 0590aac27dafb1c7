/* SPDX-License-Identifier: MIT */
/* What only NVIDIA's management library tells of a GPU. Unknown of every other vendor's. */
#ifndef BERTH_PROBE_NVIDIA_H
#define BERTH_PROBE_NVIDIA_H

#include <stdint.h>

#include "base/fact.h"

#define MIG_MAX 8 /* a GPU has at most 7 slices; each instance has one or more of them */

/* A Multi-Instance GPU device: a slice of the card that looks like a card of its own. */
struct mig {
	struct fact_text uuid;    /* "MIG-..."; what CUDA_VISIBLE_DEVICES takes */
	struct fact_text profile; /* "3g.40gb" */
	struct fact gpu_instance, compute_instance;
	struct fact vram_total, vram_used, vram_free; /* bytes */
};

struct nvidia {
	struct fact vram_reserved; /* bytes; part of vram_used */
	/* The link as the driver sees it; generation 4 = 16 GT/s. */
	struct fact pcie_gen, pcie_width, pcie_max_gen, pcie_max_width;
	struct fact ecc;             /* 1: on */
	struct fact_text addressing; /* "none", "HMM", "ATS": how it reaches the host's memory */
	struct fact_text virtualization; /* "none", "passthrough", "vGPU", ... */
	struct fact mig_on;              /* 1: MIG mode is on */
	struct fact mig_max;             /* instances possible */
	uint32_t n_migs;
	struct mig migs[MIG_MAX];
};

#endif
