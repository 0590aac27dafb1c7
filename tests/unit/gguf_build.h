/* SPDX-License-Identifier: MIT */
/* Build GGUF headers in memory, sound ones and broken ones. */
#ifndef BERTH_TESTS_GGUF_BUILD_H
#define BERTH_TESTS_GGUF_BUILD_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct built {
	uint8_t bytes[65536];
	size_t n;
	uint64_t offset;  /* of the next tensor's data */
	size_t counts_at; /* of the tensor count; the pair count follows */
	uint64_t n_tensors, n_kvs;
};

static inline void put(struct built *b, const void *p, size_t n)
{
	if (n <= sizeof(b->bytes) - b->n) {
		memcpy(b->bytes + b->n, p, n);
		b->n += n;
	}
}

static inline void put_u32(struct built *b, uint32_t v)
{
	put(b, &v, 4);
}

static inline void put_u64(struct built *b, uint64_t v)
{
	put(b, &v, 8);
}

static inline void put_text(struct built *b, const char *s)
{
	put_u64(b, strlen(s));
	put(b, s, strlen(s));
}

static inline void build_begin(struct built *b, uint32_t version)
{
	memset(b, 0, sizeof(*b));
	put(b, "GGUF", 4);
	put_u32(b, version);
	b->counts_at = b->n;
	put_u64(b, 0);
	put_u64(b, 0);
}

static inline void build_text(struct built *b, const char *key, const char *v)
{
	put_text(b, key);
	put_u32(b, 8);
	put_text(b, v);
	b->n_kvs++;
}

static inline void build_u32(struct built *b, const char *key, uint32_t v)
{
	put_text(b, key);
	put_u32(b, 4);
	put_u32(b, v);
	b->n_kvs++;
}

/* A tensor of f32 (type 0), f16 (1) or q8_0 (8); at its right offset. */
static inline void build_tensor(struct built *b, const char *name, uint32_t type, uint64_t ne0,
				uint64_t ne1)
{
	uint64_t n = ne0 * ne1, bytes = type == 0 ? 4 * n : type == 1 ? 2 * n : n / 32 * 34;

	put_text(b, name);
	put_u32(b, 2);
	put_u64(b, ne0);
	put_u64(b, ne1);
	put_u32(b, type);
	put_u64(b, b->offset);
	b->offset += (bytes + 31) / 32 * 32;
	b->n_tensors++;
}

static inline void build_end(struct built *b)
{
	memcpy(b->bytes + b->counts_at, &b->n_tensors, 8);
	memcpy(b->bytes + b->counts_at + 8, &b->n_kvs, 8);
}

/* A small sound llama: 2 heads of 32 over rows of 64, q8_0, untied. */
static inline void build_llama(struct built *b, uint32_t n_layer)
{
	static const struct {
		const char *name;
		uint64_t ne0, ne1;
	} parts[] = {
		{ "attn_norm", 64, 1 },  { "attn_q", 64, 64 },      { "attn_k", 64, 64 },
		{ "attn_v", 64, 64 },    { "attn_output", 64, 64 }, { "ffn_norm", 64, 1 },
		{ "ffn_gate", 64, 128 }, { "ffn_up", 64, 128 },     { "ffn_down", 128, 64 },
	};
	char name[64];

	build_begin(b, 3);
	build_text(b, "general.architecture", "llama");
	build_text(b, "general.name", "small");
	build_u32(b, "llama.block_count", n_layer);
	build_u32(b, "llama.context_length", 4096);
	build_u32(b, "llama.embedding_length", 64);
	build_u32(b, "llama.feed_forward_length", 128);
	build_u32(b, "llama.attention.head_count", 2);
	build_tensor(b, "token_embd.weight", 8, 64, 1000);
	build_tensor(b, "output_norm.weight", 0, 64, 1);
	build_tensor(b, "output.weight", 8, 64, 1000);
	for (uint32_t i = 0; i < n_layer; i++) {
		for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
			snprintf(name, sizeof(name), "blk.%u.%s.weight", i, parts[k].name);
			build_tensor(b, name, parts[k].ne1 == 1 ? 0 : 8, parts[k].ne0,
				     parts[k].ne1);
		}
	}
	build_end(b);
}

#endif
