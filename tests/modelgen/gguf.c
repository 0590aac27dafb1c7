/* SPDX-License-Identifier: MIT */
/* Primitives of the GGUF format, version 3, little endian (the machines we test on are). */
#include <string.h>

#include "tests/modelgen/modelgen_priv.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "GGUF is written as it lies in memory");

void gguf_bytes(struct gguf *g, const void *bytes, size_t n)
{
	if (!g->failed && fwrite(bytes, 1, n, g->f) != n)
		g->failed = true;
	g->at += n;
}

void gguf_u32(struct gguf *g, uint32_t v)
{
	gguf_bytes(g, &v, sizeof(v));
}

void gguf_u64(struct gguf *g, uint64_t v)
{
	gguf_bytes(g, &v, sizeof(v));
}

void gguf_string(struct gguf *g, const char *s)
{
	gguf_u64(g, strlen(s));
	gguf_bytes(g, s, strlen(s));
}

void gguf_key(struct gguf *g, const char *key, uint32_t type)
{
	gguf_string(g, key);
	gguf_u32(g, type);
}

void gguf_kv_u32(struct gguf *g, const char *key, uint32_t v)
{
	gguf_key(g, key, GGUF_U32);
	gguf_u32(g, v);
}

void gguf_kv_f32(struct gguf *g, const char *key, float v)
{
	gguf_key(g, key, GGUF_F32);
	gguf_bytes(g, &v, sizeof(v));
}

void gguf_kv_bool(struct gguf *g, const char *key, bool v)
{
	uint8_t byte = v;

	gguf_key(g, key, GGUF_BOOL);
	gguf_bytes(g, &byte, 1);
}

void gguf_kv_string(struct gguf *g, const char *key, const char *v)
{
	gguf_key(g, key, GGUF_STRING);
	gguf_string(g, v);
}

void gguf_kv_u32s(struct gguf *g, const char *key, const uint32_t *v, uint64_t n)
{
	gguf_array(g, key, GGUF_U32, n);
	gguf_bytes(g, v, n * sizeof(*v));
}

void gguf_array(struct gguf *g, const char *key, uint32_t type, uint64_t n)
{
	gguf_key(g, key, GGUF_ARRAY);
	gguf_u32(g, type);
	gguf_u64(g, n);
}

void gguf_align(struct gguf *g)
{
	static const char zeros[GGUF_ALIGN];

	if (g->at % GGUF_ALIGN)
		gguf_bytes(g, zeros, GGUF_ALIGN - g->at % GGUF_ALIGN);
}
