/* SPDX-License-Identifier: MIT */
/*
 * What other programs keep on this disk: the stores of Ollama, LM Studio, llama.cpp and Hugging Face.
 * Their folders are read as they are found; nothing is written.
 */
#ifndef BERTH_STORES_H
#define BERTH_STORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FOUND_MAX 4096 /* files; a store with more is listed so far */

/* A model on disk. */
struct found {
	char name[256];       /* as its store calls it: "llama3.2:1b", "org/repo/file.gguf" */
	const char *store;    /* "ollama"; "" for a folder that was named */
	char path[1024];      /* of the file, the first shard, or a folder with config.json */
	char projector[1024]; /* of its image encoder; "" none */
};

struct catalog {
	struct found *all; /* sorted by store and name; owned */
	uint32_t n, room;
	bool cut; /* there were more */
};

/* The folders, by the environment (HOME, OLLAMA_MODELS, HF_HUB_CACHE, ...). 0 or -ENOMEM. */
int stores_read(struct catalog *c, struct err *e);

/* The models below one folder. -ENOENT, -EACCES... when it cannot be read. */
int stores_read_folder(struct catalog *c, const char *folder, struct err *e);

/*
 * The one model that a person calls `name`: as its store calls it, with the store's name in front
 * ("ollama:llama3.2"), or by its file's name with or without .gguf; case does not matter. NULL:
 * none, or (with *e, -EINVAL) several.
 */
const struct found *catalog_find(const struct catalog *c, const char *name, struct err *e);

void catalog_free(struct catalog *c);

/* --- Ollama's manifests --- */

struct manifest {
	char model[80], projector[80], adapter[80]; /* names of blobs, "sha256-<hex>"; "" none */
};

/* Read one: JSON, foreign bytes. 0, or -EBADMSG. */
int manifest_parse(struct manifest *m, const char *bytes, size_t n, struct err *e);

#endif
