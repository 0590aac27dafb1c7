/* SPDX-License-Identifier: MIT */
/* What each layer of a model is. */
#include <inttypes.h>
#include <string.h>

#include "vram-planner/shape_priv.h"

#define WIDTH_MAX (1u << 20)

/*
 * The layers' numbers of one key, which holds one for all or one for each: out[] keeps what it has when
 * the key is absent.
 */
static int per_layer(const struct shape *s, const char *key, uint32_t n_layer, uint32_t most,
		     uint32_t *out, struct err *e)
{
	uint64_t n, v;

	if (model_has_array(s->model, key, &n) && n != n_layer)
		return err_set(e, -EBADMSG, "%s.%s has %" PRIu64 " entries for %" PRIu32 " layers",
			       s->arch, key, n, n_layer);
	for (uint32_t i = 0; i < n_layer; i++) {
		if (!model_u64_at(s->model, key, i, &v))
			continue;
		if (v > most)
			return err_set(e, -EBADMSG,
				       "%s.%s is %" PRIu64 " for layer %" PRIu32
				       "; at most %" PRIu32 " makes sense",
				       s->arch, key, v, i, most);
		out[i] = (uint32_t)v;
	}
	return 0;
}

struct arrays {
	uint32_t n_head[LAYERS_MAX], n_head_kv[LAYERS_MAX], n_ff[LAYERS_MAX], n_ff_exp[LAYERS_MAX],
		n_used[LAYERS_MAX], recurs[LAYERS_MAX];
};

static int read_arrays(const struct shape *s, struct arrays *a, struct err *e)
{
	uint32_t n = s->n_layer;
	int rc = per_layer(s, "attention.head_count", n, WIDTH_MAX, a->n_head, e);

	memcpy(a->n_head_kv, a->n_head, sizeof(a->n_head_kv));
	if (!rc)
		rc = per_layer(s, "attention.head_count_kv", n, WIDTH_MAX, a->n_head_kv, e);
	if (!rc)
		rc = per_layer(s, "feed_forward_length", n, WIDTH_MAX, a->n_ff, e);
	if (!rc)
		rc = per_layer(s, "expert_feed_forward_length", n, WIDTH_MAX, a->n_ff_exp, e);
	if (!rc)
		rc = per_layer(s, "expert_used_count", n, s->n_expert, a->n_used, e);
	return rc;
}

/* --- sliding --- */

static int window_size(struct shape *s, struct err *e)
{
	const struct family *f = s->family;
	uint64_t v = f->tokens;
	bool found = model_u64(s->model, "attention.sliding_window", &v), if_key;

	if (f->window == WINDOW_NONE || (f->only_layers && s->n_run != f->only_layers))
		return 0;
	if_key = f->window == WINDOW_IF_KEY || f->window == WINDOW_ATTENTION;
	if ((if_key && !found) || ((if_key || f->window == WINDOW_CHUNKS) && v == 0))
		return 0;
	if (f->window == WINDOW_CHUNKS)
		v = f->tokens;
	if (v == 0 || v > INT32_MAX)
		return err_set(e, -EBADMSG,
			       found ? "%s.attention.sliding_window is absurd"
				     : "the header lacks %s.attention.sliding_window",
			       s->arch);
	s->window = (uint32_t)v;
	return 0;
}

/* The pattern: an array of flags in the header, else a period of its own or of the family. */
static int window_pattern(struct shape *s, struct err *e)
{
	const char *key = "attention.sliding_window_pattern";
	uint64_t n = 0, period = s->family->period, v;
	bool listed = model_has_array(s->model, key, &n);

	if (s->family->window == WINDOW_LISTED && !listed)
		return err_set(e, -EBADMSG, "the header lacks %s.%s", s->arch, key);
	if (listed && n < s->n_run)
		return err_set(e, -EBADMSG, "%s.%s has %" PRIu64 " entries for %" PRIu32 " layers",
			       s->arch, key, n, s->n_run);
	if (!listed)
		model_u64(s->model, key, &period);
	for (uint32_t i = 0; i < (listed ? s->n_layer : s->n_run); i++) {
		v = period == 0 || i % period < period - 1;
		if (listed && !model_u64_at(s->model, key, i, &v) && i < s->n_run)
			return err_set(e, -EBADMSG, "%s.%s holds no flags", s->arch, key);
		s->layers[i].slides = v != 0;
	}
	s->period = listed || period > LAYERS_MAX ? 0 : (uint32_t)period;
	return 0;
}

static int read_window(struct shape *s, struct err *e)
{
	enum window kind = s->family->window;
	int rc = window_size(s, e);

	if (rc)
		return rc;
	if (s->window ==
	    0) { /* nothing slides: the cache is plain, llama4 rotates in every layer */
		s->memory = s->memory == MEMORY_WINDOWED ? MEMORY_KV : s->memory;
		if (s->chunked) {
			s->chunked = false;
			s->n_no_rope_step = s->n_run;
			s->attn_temp_scale = 0;
		}
		return 0;
	}
	if (kind != WINDOW_ALL && kind != WINDOW_ATTENTION)
		return window_pattern(s, e);
	for (uint32_t i = 0; i < s->n_layer; i++)
		s->layers[i].slides = kind == WINDOW_ALL || s->layers[i].mixer == MIXER_ATTENTION;
	return 0;
}

/* --- mixers --- */

/* Which layers carry a state where the model lists them, or every n-th attends. */
static int read_interval(const struct shape *s, uint32_t *recurs, struct err *e)
{
	uint64_t n, every = 4;

	if (model_has_array(s->model, "attention.recurrent_layers", &n) ||
	    model_u64(s->model, "attention.recurrent_layers", &n))
		return per_layer(s, "attention.recurrent_layers", s->n_layer, 1, recurs, e);
	model_u64(s->model, "full_attention_interval", &every);
	if (every == 0)
		return err_set(e, -EBADMSG, "%s.full_attention_interval is 0", s->arch);
	for (uint32_t i = 0; i < s->n_run; i++)
		recurs[i] = (i + 1) % every != 0;
	return 0;
}

/* Without rules: whatever the keys give sizes for, in each layer. */
static enum mixer bound_of(const struct shape *s, bool headless)
{
	bool state = s->ssm_inner || s->wkv_head || s->shortconv_cache || s->kda_head;

	if (headless)
		return state ? MIXER_MAMBA2 : MIXER_NONE;
	return state ? MIXER_BOTH : MIXER_ATTENTION;
}

static enum mixer mixer_of(const struct shape *s, const struct arrays *a, uint32_t i)
{
	const struct family *f = s->family;
	bool headless = i < s->n_run && a->n_head_kv[i] == 0;

	if (s->unverified)
		return bound_of(s, headless);
	switch (f->layout) {
	case LAYOUT_HEADS:
		return headless ? f->state : f->mixer;
	case LAYOUT_HEADS_FF:
		if (a->n_ff[i])
			return MIXER_NONE;
		return headless ? f->state : f->mixer;
	case LAYOUT_INTERVAL:
		return a->recurs[i] ? f->state : f->mixer;
	default:
		return f->mixer;
	}
}

static int read_mixers(struct shape *s, struct arrays *a, struct err *e)
{
	bool mla = s->head_k_mla && s->head_v_mla;
	int rc = 0;

	if (s->family->layout == LAYOUT_INTERVAL)
		rc = read_interval(s, a->recurs, e);
	if (!mla && (s->head_k_mla || s->head_v_mla))
		rc = err_set(e, -EBADMSG,
			     "%s has only one of attention.key_length_mla and "
			     "attention.value_length_mla",
			     s->arch);
	if (!mla)
		s->head_k_mla = s->head_v_mla = 0;
	for (uint32_t i = 0; !rc && i < s->n_layer; i++) {
		struct layer *l = &s->layers[i];

		l->mixer = mixer_of(s, a, i);
		if (l->mixer == MIXER_MLA && !mla) /* an old file, not compressed */
			l->mixer = MIXER_ATTENTION;
		l->nextn = i >= s->n_run;
	}
	return rc;
}

/* --- heads and caches --- */

static int read_heads(struct shape *s, const struct arrays *a, uint32_t i, struct err *e)
{
	struct layer *l = &s->layers[i];

	l->n_head = a->n_head[i];
	l->n_head_kv = a->n_head_kv[i];
	l->head_k = l->slides ? s->head_k_swa : s->head_k;
	l->head_v = l->slides ? s->head_v_swa : s->head_v;
	l->n_rot = l->slides ? s->n_rot_swa : s->n_rot;
	if (!layer_attends(l))
		return 0;
	if (l->n_head == 0 || l->n_head_kv == 0 || l->head_k == 0 || l->head_v == 0)
		return err_set(e, -EBADMSG, "the header gives layer %" PRIu32 " no attention heads",
			       i);
	if ((uint64_t)l->n_head * l->head_k > WIDTH_MAX ||
	    (uint64_t)l->n_head * l->head_v > WIDTH_MAX ||
	    (uint64_t)l->n_head_kv * l->head_k > WIDTH_MAX ||
	    (uint64_t)l->n_head_kv * l->head_v > WIDTH_MAX)
		return err_set(e, -EBADMSG, "layer %" PRIu32 " has absurdly wide keys or values",
			       i);
	return 0;
}

/*
 * The layer whose cache layer i reads. Prediction layers own none, except where the engine forgets to
 * leave them out: behind hybrid layers it tells by their heads alone, and with DeepSeek V4.
 */
static int32_t cache_of(const struct shape *s, uint32_t i)
{
	const struct layer *l = &s->layers[i];
	bool kept = s->memory == MEMORY_DSV4 || s->family->layout == LAYOUT_HEADS ||
		    s->family->layout == LAYOUT_HEADS_FF;

	if (s->memory == MEMORY_NONE || !layer_attends(l) || (l->nextn && !kept))
		return -1;
	if (i < s->n_kv_from_start)
		return (int32_t)i;
	return (int32_t)s->n_kv_from_start - (l->slides ? 2 : 1);
}

static bool rotates(const struct shape *s, uint32_t i)
{
	uint64_t v = 1;

	switch (s->family->rope) {
	case ROPE_NONE:
		return false;
	case ROPE_SLIDING:
		return s->window == 0 || s->layers[i].slides;
	case ROPE_STEP:
		return s->n_no_rope_step && (i + 1) % s->n_no_rope_step != 0;
	case ROPE_KEY:
		model_u64(s->model, "rope.scaling.finetuned", &v);
		return v != 0;
	default:
		return true;
	}
}

/* Whether a layer has an indexer of its own; GLM 5.2 and later share one among four layers. */
static int read_indexers(struct shape *s, struct err *e)
{
	uint32_t own[LAYERS_MAX] = { 0 };
	bool shared = strcmp(s->arch, "glm-dsa") == 0;

	for (uint32_t i = 0; i < s->n_run; i++) {
		own[i] = s->memory == MEMORY_DSA || s->layers[i].compress == 4 ||
			 (s->unverified && s->indexer_head);
		if (shared && s->n_ctx_train >= 1048576)
			own[i] = i < 2 || (i - 2) % 4 == 0;
	}
	if (shared) {
		int rc = per_layer(s, "attention.indexer.types", s->n_run, 1, own, e);

		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < s->n_run; i++)
		s->layers[i].indexer = own[i] != 0;
	return 0;
}

/* --- feed-forward --- */

static float clamp_of(const struct shape *s, const char *key, uint32_t i, float fallback)
{
	double v;

	return model_f64_at(s->model, key, i, &v) ? (float)v : fallback;
}

static void read_inner(struct shape *s, const struct arrays *a, uint32_t i)
{
	const struct tensor *down = shape_weight(s, i, SLOT_FFN_DOWN_EXPS);
	struct layer *l = &s->layers[i];

	l->experts = shape_weight(s, i, SLOT_FFN_GATE_INP) != NULL;
	l->n_ff = a->n_ff[i];
	l->n_ff_exp = down && down->ne[0] <= WIDTH_MAX ? (uint32_t)down->ne[0] : a->n_ff_exp[i];
	l->n_used = a->n_used[i];
	l->clamp = clamp_of(s, "swiglu_clamp_exp", i, 0);
	l->clamp_shared = clamp_of(s, "swiglu_clamp_shexp", i, l->clamp);
	s->n_ff_exp = l->n_ff_exp > s->n_ff_exp ? l->n_ff_exp : s->n_ff_exp;
	s->n_used_max = l->n_used > s->n_used_max ? l->n_used : s->n_used_max;
}

static int read_compression(struct shape *s, struct err *e)
{
	const char *key = "attention.compress_ratios";
	uint64_t n = 0, v;

	if (s->memory != MEMORY_DSV4)
		return 0;
	if (!model_has_array(s->model, key, &n) || n < s->n_layer)
		return err_set(e, -EBADMSG, "%s.%s has %" PRIu64 " entries for %" PRIu32 " layers",
			       s->arch, key, n, s->n_layer);
	for (uint32_t i = 0; i < s->n_layer; i++) {
		if (!model_u64_at(s->model, key, i, &v) || (v != 0 && v != 4 && v != 128))
			return err_set(e, -EBADMSG, "%s.%s holds other than 0, 4 and 128", s->arch,
				       key);
		s->layers[i].compress = (uint32_t)v;
	}
	return 0;
}

static int read_experts(struct shape *s, struct err *e)
{
	/* A dense model of this family may say it has one expert (llama_model_base::load_hparams). */
	if (strcmp(s->arch, "hunyuan-dense") == 0 && s->n_expert <= 1) {
		s->n_expert = s->n_used_max = 0;
		for (uint32_t i = 0; i < s->n_layer; i++)
			s->layers[i].n_used = 0;
	}
	s->n_used = s->layers[0].n_used;
	if (s->n_expert && s->n_used_max == 0)
		return err_set(e, -EBADMSG, "%s has %" PRIu32 " experts and uses none", s->arch,
			       s->n_expert);
	return 0;
}

int shape_layers(struct shape *s, struct err *e)
{
	struct arrays a = { 0 };
	int rc = read_arrays(s, &a, e);

	if (!rc)
		rc = read_mixers(s, &a, e);
	if (!rc)
		rc = read_window(s, e);
	if (!rc)
		rc = read_compression(s, e);
	for (uint32_t i = 0; !rc && i < s->n_layer; i++) {
		rc = read_heads(s, &a, i, e);
		read_inner(s, &a, i);
		s->layers[i].cache = cache_of(s, i);
		s->layers[i].rope = rotates(s, i);
	}
	if (!rc)
		rc = read_indexers(s, e);
	if (!rc)
		rc = read_experts(s, e);
	return rc;
}
