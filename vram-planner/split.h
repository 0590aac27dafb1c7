/* SPDX-License-Identifier: MIT */
/* The names of a model's shards: "NAME-00002-of-00005.gguf" (llama.cpp, llama_split_path). */
#ifndef BERTH_SPLIT_H
#define BERTH_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPLIT_SHARDS_MAX 1024 /* the largest models have some fifty */

/* "x-00002-of-00005.gguf": 2 and 5. A query after '?' is no part of the name. false: no shard's name. */
bool split_parse(const char *name, uint32_t *no, uint32_t *count);

/* The name of another shard (from 1) of the same model. false: `name` is no shard's, or too long. */
bool split_name(const char *name, uint32_t no, char *to, size_t size);

#endif
