/* SPDX-License-Identifier: MIT */
/* Control vectors: a direction for each layer, added to what the layer puts out. */
#ifndef BERTH_CORE_STEER_H
#define BERTH_CORE_STEER_H

#include <stdint.h>

#include "base/err.h"

/*
 * Add the directions in a GGUF file, times scale, to sum[(n_layer - 1) * n_embd]: layer 0 has none.
 * The file is the engine's to parse; what it holds is checked here. 0, or -EBADMSG with *e.
 */
int steer_add(float *sum, const char *path, float scale, uint32_t n_layer, uint32_t n_embd,
	      struct err *e);

#endif
