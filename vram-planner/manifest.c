/* SPDX-License-Identifier: MIT */
/* Ollama's manifest of a model: which blobs are its weights, its projector, its adapter. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "vram-planner/stores.h"

#define MEDIA "application/vnd.ollama.image."

/* "sha256:<64 hex digits>" -> "sha256-<...>", the blob's file name; anything else is not one. */
static bool blob_name(char *to, size_t size, const char *digest)
{
	if (!digest || strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != 7 + 64)
		return false;
	for (const char *c = digest + 7; *c; c++) {
		if (!isxdigit((unsigned char)*c))
			return false;
	}
	snprintf(to, size, "sha256-%s", digest + 7);
	return true;
}

int manifest_parse(struct manifest *m, const char *bytes, size_t n, struct err *e)
{
	struct {
		const char *media;
		char *to;
	} wanted[] = {
		{ MEDIA "model", m->model },
		{ MEDIA "projector", m->projector },
		{ MEDIA "adapter", m->adapter },
	};
	json_t *o = json_parse(bytes, n, "an Ollama manifest", e);
	size_t i;
	json_t *layer;

	*m = (struct manifest) { 0 };
	if (!o)
		return -EBADMSG;
	json_array_foreach(json_object_get(o, "layers"), i, layer)
	{
		const char *media = json_string_value(json_object_get(layer, "mediaType"));
		const char *digest = json_string_value(json_object_get(layer, "digest"));

		for (size_t k = 0; media && k < sizeof(wanted) / sizeof(wanted[0]); k++) {
			if (strcmp(wanted[k].media, media) == 0 && !wanted[k].to[0])
				blob_name(wanted[k].to, sizeof(m->model), digest);
		}
	}
	json_decref(o);
	return m->model[0] ? 0 : err_set(e, -EBADMSG, "an Ollama manifest names no weights");
}
