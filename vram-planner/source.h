/* SPDX-License-Identifier: MIT */
/*
 * A model by whatever name people have for it: a file, one shard of many, a URL, a file of a Hugging
 * Face repository, a folder, or a name that a local store knows.
 */
#ifndef BERTH_SOURCE_H
#define BERTH_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "vram-planner/mix.h"
#include "vram-planner/model.h"

#define SOURCE_TIMEOUT_S 20

/* What of the environment matters; source_env() fills it. */
struct source_env {
	char endpoint[512];      /* HF_ENDPOINT, else https://huggingface.co */
	char token[512];         /* HF_TOKEN, else what the hub's own login stored; "" none */
	char cache[1024];        /* for headers from servers; "" none (BERTH_NO_CACHE) */
	uint32_t timeout_s;      /* for a server that stalls */
	const struct mix *quant; /* what a checkpoint would be quantized to; NULL: MIX_DEFAULT */
};

void source_env(struct source_env *v, uint32_t timeout_s);

/*
 * Open the model called `what`. As model_open(), and for servers as remote.h: -ENOENT there is no such
 * file, -EACCES, -ETIMEDOUT, -EHOSTUNREACH...
 */
int source_open(struct model **m, const char *what, const struct source_env *v, struct err *e);

/* "hf:ORG/REPO" or "hf:ORG/REPO@REV": a whole repository. */
bool source_is_repository(const char *what);

/* A folder with config.json: a model in Hugging Face's own format. */
bool source_is_checkpoint(const char *what);

/*
 * The models of a repository (without any it may be a checkpoint, which source_open() takes by the
 * repository's name): its GGUF files, of a split one the first shard, no image encoders. The
 * count, sorted; *files is one allocation (free it). Errors as source_open().
 */
int source_list_repository(char ***files, const char *what, const struct source_env *v,
			   struct err *e);

#endif
