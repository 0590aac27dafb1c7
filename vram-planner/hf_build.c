/* SPDX-License-Identifier: MIT */
/* From a folder of a checkpoint to a GGUF header. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "vram-planner/gguf_write.h"
#include "vram-planner/hf.h"

#define CONFIG_MAX (1 << 20)

/* What was met of one tensor of GGUF. */
struct met {
	bool weight, bias;
	uint32_t n_dims;  /* of its shape in the file; 0: only the name is known */
	uint64_t ne[2];   /* fastest first */
	uint64_t experts; /* the highest number, and 1 */
};

struct build {
	struct hf_config c;
	const struct mix *mix;
	struct met *met; /* owned; [layer + 1][row] */
	const char *base;
	const struct opener *opener;
	bool headers;     /* of shards may be read */
	uint32_t n_files; /* whose headers gave shapes */
};

static struct met *met_at(struct build *b, int32_t layer, uint32_t row)
{
	return &b->met[(size_t)(layer + 1) * hf_n_rows + row];
}

static int take_tensor(void *arg, const struct st_tensor *t, struct err *e)
{
	struct build *b = arg;
	struct hf_place p;
	enum hf_mapped how = hf_map(&p, &b->c, t->name);

	if (how == HF_UNKNOWN)
		return err_set(e, -ENODATA, "berth knows no place in GGUF for its tensor '%.60s'",
			       t->name);
	if (how == HF_IGNORED)
		return 0;
	struct met *m = met_at(b, p.layer, p.row);

	m->weight = m->weight || !p.bias;
	m->bias = m->bias || p.bias;
	if (p.expert >= 0 && (uint64_t)p.expert + 1 > m->experts)
		m->experts = (uint64_t)p.expert + 1;
	if (p.bias || t->n_dims == UINT32_MAX)
		return 0;
	if (t->n_dims == 0 || t->n_dims > 2)
		return err_set(e, -ENODATA, "its tensor '%.60s' has %" PRIu32 " dimensions",
			       t->name, t->n_dims);
	m->n_dims = t->n_dims;
	m->ne[0] = t->shape[t->n_dims - 1];
	m->ne[1] = t->n_dims > 1 ? t->shape[0] : 1;
	return 0;
}

/* A file below the base. Nothing but the absence of it is -ENOENT. */
static int open_file(struct build *b, struct reader **r, const char *name, struct err *e)
{
	char where[2048];

	if (snprintf(where, sizeof(where), "%s/%s", b->base, name) >= (int)sizeof(where))
		return err_set(e, -ENAMETOOLONG, "the name of %.80s is too long", name);
	int rc = b->opener->open(b->opener, r, where, e);

	return rc ? err_at(e, rc, "%s", name) : 0;
}

/* Small files come in one piece; a server tells only then that there is none. */
static int read_whole(struct build *b, char **bytes, uint64_t *n, const char *name, uint64_t max,
		      struct err *e)
{
	own_reader struct reader *r = NULL;
	uint64_t got = 1;
	int rc = open_file(b, &r, name, e);

	*bytes = rc ? NULL : malloc(max);
	if (rc)
		return rc;
	if (!*bytes)
		return err_set(e, -ENOMEM, "no memory");
	for (*n = 0; *n < max && got && !rc; *n += got)
		rc = r->read(r, *n, *bytes + *n, max - *n, &got, e);
	if (rc)
		return err_at(e, rc, "%s", name);
	return *n == max ? err_set(e, -EFBIG, "%s is larger than %" PRIu64 " bytes", name, max) : 0;
}

static int read_shard(struct build *b, const char *name, struct err *e)
{
	const struct st_reader sink = { .tensor = take_tensor, .arg = b };
	own_reader struct reader *r = NULL;
	int rc = open_file(b, &r, name, e);

	if (rc)
		return rc;
	b->n_files++;
	rc = safetensors_file(r, &sink, e);
	return rc ? err_at(e, rc, "%s", name) : 0;
}

static int take_file(void *arg, const char *name, struct err *e)
{
	struct build *b = arg;
	int rc = b->headers ? read_shard(b, name, e) : 0;

	return rc == -ENOENT ? 0 : rc; /* only the index is here: shapes come from the config */
}

static int read_config(struct build *b, struct err *e)
{
	own_free char *json = NULL;
	uint64_t n;
	int rc = read_whole(b, &json, &n, "config.json", CONFIG_MAX, e);

	if (!rc)
		rc = hf_config_parse(&b->c, json, n, e);
	if (rc)
		return rc;
	b->met = calloc((size_t)(b->c.n_layer + 1) * hf_n_rows, sizeof(*b->met));
	return b->met ? 0 : err_set(e, -ENOMEM, "no memory for %" PRIu32 " layers", b->c.n_layer);
}

static int read_tensors(struct build *b, struct err *e)
{
	const struct st_reader r = { .tensor = take_tensor, .file = take_file, .arg = b };
	own_free char *json = NULL;
	struct err absent = { 0 };
	uint64_t n;
	int rc = read_whole(b, &json, &n, "model.safetensors.index.json", SAFETENSORS_INDEX_MAX,
			    &absent);

	if (rc == 0)
		return safetensors_index(json, n, &r, e);
	if (rc != -ENOENT)
		return err_set(e, rc, "%s", absent.text);
	rc = read_shard(b, "model.safetensors", e);
	if (rc != -ENOENT)
		return rc;
	return err_set(e, -EBADMSG,
		       "config.json alone does not tell the tensors; "
		       "model.safetensors.index.json (or model.safetensors) must be beside it");
}

/* --- writing --- */

static void key_u32(struct gguf_writer *w, const struct build *b, const char *key, uint64_t v)
{
	char whole[96];

	snprintf(whole, sizeof(whole), "%s.%s", b->c.family->arch, key);
	if (v)
		gguf_write_u32(w, whole, (uint32_t)v);
}

static void key_f32(struct gguf_writer *w, const struct build *b, const char *key, double v)
{
	char whole[96];

	snprintf(whole, sizeof(whole), "%s.%s", b->c.family->arch, key);
	if (v > 0)
		gguf_write_f32(w, whole, (float)v);
}

static void write_attention(struct gguf_writer *w, const struct build *b)
{
	const struct hf_config *c = &b->c;
	bool mla = c->family->mla;

	key_u32(w, b, "attention.head_count", c->n_head);
	key_u32(w, b, "attention.head_count_kv", mla ? 1 : c->n_head_kv);
	key_u32(w, b, "attention.key_length", mla ? c->kv_lora + c->head_rope : c->head);
	key_u32(w, b, "attention.value_length", mla ? c->kv_lora : c->head);
	key_u32(w, b, "rope.dimension_count",
		mla ? c->head_rope : (uint64_t)(c->head * (c->rotary > 0 ? c->rotary : 1)));
	key_u32(w, b, "attention.sliding_window", c->window);
	key_f32(w, b, "attention.layer_norm_rms_epsilon", c->norm_eps > 0 ? c->norm_eps : 1e-6);
	key_f32(w, b, "attention.layer_norm_epsilon", c->norm_eps > 0 ? c->norm_eps : 1e-5);
	key_f32(w, b, "rope.freq_base", c->rope_base);
	if (!mla)
		return;
	key_u32(w, b, "attention.q_lora_rank", c->q_lora);
	key_u32(w, b, "attention.kv_lora_rank", c->kv_lora);
	key_u32(w, b, "attention.key_length_mla", c->head_nope + c->head_rope);
	key_u32(w, b, "attention.value_length_mla", c->head_v);
}

/* The last part of a path; of a repository's URL the part in front of "/resolve/REV". */
static const char *name_of(const char *base)
{
	const char *resolve = strstr(base, "/resolve/"), *slash;

	for (slash = base; (slash = strchr(slash, '/')) && (!resolve || slash < resolve); slash++) {
		if (slash[1])
			base = slash + 1;
	}
	return base;
}

static void write_keys(struct gguf_writer *w, const struct build *b)
{
	const struct hf_config *c = &b->c;
	const char *name = name_of(b->base);

	gguf_write_text(w, "general.architecture", c->family->arch);
	gguf_write_text(w, "general.name", name);
	key_u32(w, b, "block_count", c->n_layer);
	key_u32(w, b, "context_length", c->n_ctx);
	key_u32(w, b, "embedding_length", c->n_embd);
	key_u32(w, b, "feed_forward_length", c->n_ff);
	key_u32(w, b, "vocab_size", c->n_vocab);
	write_attention(w, b);
	key_u32(w, b, "nextn_predict_layers", c->n_nextn);
	if (!c->n_expert)
		return;
	key_u32(w, b, "expert_count", c->n_expert);
	key_u32(w, b, "expert_used_count", c->n_used);
	key_u32(w, b, "expert_feed_forward_length", hf_dim(c, D_EXP));
	key_u32(w, b, "expert_shared_count", c->n_shared);
	key_u32(w, b, "leading_dense_block_count", c->n_dense_lead);
	key_f32(w, b, "expert_weights_scale", c->expert_scale);
	key_u32(w, b, "expert_gating_func", c->sigmoid ? 2 : 1);
}

static struct mix_model mix_model(struct build *b)
{
	const struct hf_config *c = &b->c;

	return (struct mix_model) { .n_layer = c->n_layer,
				    .n_head = c->n_head,
				    .n_head_kv = c->family->mla ? 1 : c->n_head_kv,
				    .n_expert = c->n_expert,
				    .tied = !met_at(b, -1, 1)->weight,
				    .seventy = c->n_layer == 80 && c->n_head != c->n_head_kv &&
					       strcmp(c->family->arch, "llama") == 0 };
}

static void write_one(struct gguf_writer *w, struct build *b, int32_t layer, const char *to,
		      const char *part, uint32_t n_dims, const uint64_t *ne)
{
	struct mix_model of = mix_model(b);
	char name[80];

	if (layer < 0)
		snprintf(name, sizeof(name), "%s.%s", to, part);
	else
		snprintf(name, sizeof(name), "blk.%" PRId32 ".%s.%s", layer, to, part);
	gguf_write_tensor(w, name, mix_type(b->mix, &of, name, layer, n_dims, ne[0]), n_dims, ne);
}

/* The converter cuts the decompression in two, and turns the first part around. */
static void write_kv_b(struct gguf_writer *w, struct build *b, int32_t layer)
{
	const struct hf_config *c = &b->c;
	const uint64_t k[3] = { c->head_nope, c->kv_lora, c->n_head };
	const uint64_t v[3] = { c->kv_lora, c->head_v, c->n_head };

	write_one(w, b, layer, "attn_k_b", "weight", 3, k);
	write_one(w, b, layer, "attn_v_b", "weight", 3, v);
}

static int write_row(struct gguf_writer *w, struct build *b, int32_t layer, uint32_t i,
		     struct err *e)
{
	const struct hf_row *r = &hf_rows[i];
	const struct met *m = met_at(b, layer, i);
	uint64_t ne[3] = { hf_dim(&b->c, r->in), hf_dim(&b->c, r->out), m->experts };
	bool vector = r->out == D_NONE;
	const char *to = r->to;

	if (!m->weight && !m->bias)
		return 0;
	if (b->c.family->post_norm && strcmp(r->from, "post_attention_layernorm") == 0)
		to = "post_attention_norm";
	if (m->n_dims) { /* what is in the file counts, were the config to say otherwise */
		ne[0] = m->ne[0];
		ne[1] = m->ne[1];
	}
	if ((m->weight && !ne[0]) || (!vector && !ne[1]))
		return err_set(e, -EBADMSG,
			       "config.json does not tell the shape of %s in layer %" PRId32,
			       r->from, layer);
	if (m->weight && r->out == D_KVB)
		write_kv_b(w, b, layer);
	else if (m->weight)
		write_one(w, b, layer, to, "weight", m->experts ? 3 : vector ? 1 : 2, ne);
	if (m->bias)
		write_one(w, b, layer, to, "bias", 1, vector ? ne : ne + 1);
	return 0;
}

static int write_tensors(struct gguf_writer *w, struct build *b, struct err *e)
{
	int rc = 0;

	if (b->c.llama3_rope) {
		const uint64_t half[1] = { b->c.head / 2 };

		write_one(w, b, -1, "rope_freqs", "weight", 1, half);
	}
	for (int32_t layer = -1; layer < (int32_t)b->c.n_layer && !rc; layer++) {
		for (uint32_t i = 0; i < hf_n_rows && !rc; i++)
			rc = write_row(w, b, layer, i, e);
	}
	return rc;
}

static int write_model(uint8_t **bytes, uint64_t *n, uint64_t *total, struct build *b,
		       struct err *e)
{
	struct gguf_writer w;

	gguf_write_begin(&w);
	write_keys(&w, b);
	int rc = write_tensors(&w, b, e);

	if (rc) {
		w.failed = true;
		gguf_write_end(&w, n, total);
		return rc;
	}
	*bytes = gguf_write_end(&w, n, total);
	return *bytes ? 0 : err_set(e, -EBADMSG, "the tensors of the checkpoint have absurd sizes");
}

int hf_build(uint8_t **bytes, uint64_t *n, uint64_t *total, char how[160], const char *base,
	     const struct opener *o, bool headers, const struct mix *mix, struct err *e)
{
	struct build b = { .mix = mix, .base = base, .opener = o, .headers = headers };
	int rc = read_config(&b, e);

	*bytes = NULL;
	if (!rc)
		rc = read_tensors(&b, e);
	if (!rc)
		rc = write_model(bytes, n, total, &b, e);
	free(b.met);
	snprintf(how, 160, "converted to GGUF as %s: shapes from %s; not launchable as it is",
		 mix_name(mix), b.n_files ? "the safetensors" : "config.json");
	return rc;
}
