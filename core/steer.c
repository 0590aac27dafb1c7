/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ggml.h>
#include <gguf.h>

#include "core/steer.h"

#define PREFIX "direction."

/* The layer of "direction.12"; 0: it is no such name. */
static uint32_t layer_of(const char *name, uint32_t n_layer)
{
	char *end;
	unsigned long n;

	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
		return 0;
	n = strtoul(name + sizeof(PREFIX) - 1, &end, 10);
	return *end || end == name + sizeof(PREFIX) - 1 || n >= n_layer ? 0 : (uint32_t)n;
}

static int add_tensor(float *sum, const struct ggml_tensor *t, float scale, uint32_t n_layer,
		      uint32_t n_embd, const char *path, struct err *e)
{
	uint32_t layer = layer_of(t->name, n_layer);
	const float *v = t->data;

	if (!layer)
		return err_set(e, -EBADMSG,
			       "%s: \"%s\" is no direction of one of the model's layers 1 to %u",
			       path, t->name, n_layer - 1);
	if (t->type != GGML_TYPE_F32 || ggml_nelements(t) != (int64_t)n_embd)
		return err_set(e, -EBADMSG,
			       "%s: %s has %lld numbers of type %s; the model wants %u of f32",
			       path, t->name, (long long)ggml_nelements(t), ggml_type_name(t->type),
			       n_embd);
	for (uint32_t i = 0; i < n_embd; i++)
		sum[(size_t)(layer - 1) * n_embd + i] += scale * v[i];
	return 0;
}

int steer_add(float *sum, const char *path, float scale, uint32_t n_layer, uint32_t n_embd,
	      struct err *e)
{
	struct ggml_context *tensors = NULL;
	struct gguf_init_params how = { .no_alloc = false, .ctx = &tensors };
	struct gguf_context *file = gguf_init_from_file(path, how);
	uint32_t n = 0;
	int rc = 0;

	if (!file)
		return err_set(e, -EBADMSG, "%s is no GGUF file that can be read", path);
	for (struct ggml_tensor *t = ggml_get_first_tensor(tensors); t && !rc;
	     t = ggml_get_next_tensor(tensors, t)) {
		/* The context also holds all data as one tensor of bytes */
		if (gguf_find_tensor(file, t->name) < 0)
			continue;
		rc = add_tensor(sum, t, scale, n_layer, n_embd, path, e);
		n++;
	}
	if (!rc && !n)
		rc = err_set(e, -EBADMSG, "%s holds no directions: it is no control vector", path);
	ggml_free(tensors);
	gguf_free(file);
	return rc;
}
