/* SPDX-License-Identifier: MIT */
/* What file names tell of a quant: "Qwen3-8B-Q4_K_M.gguf" is "Qwen3-8B" in "Q4_K_M". */
#ifndef BERTH_QUANT_NAME_H
#define BERTH_QUANT_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Where the quant begins in a file's name (after its separator), and its length. false: it names none. */
bool quant_in_name(const char *file, size_t *at, size_t *n);

/* Whether two files are the same model, in any quants. */
bool quant_same_model(const char *a, const char *b);

#endif
