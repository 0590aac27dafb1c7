/* SPDX-License-Identifier: MIT */
/* Wishes as people type them. */
#include "vram-planner/wish.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const split_modes[] = { "layer", "none", "row", "tensor", NULL };
const char *const want_choices[] = { "context", "speed", "quality", NULL };

/* llama.cpp v0.5.0, common/arg.cpp, kv_cache_types */
const char *const cache_types[] = { "f16",  "q8_0",   "q4_0", "q4_1", "q5_0",
				    "q5_1", "iq4_nl", "bf16", "f32",  NULL };

bool wish_split(struct wish *w, const char *s)
{
	char part[16];

	w->n_split = 0;
	while (w->n_split < PLAN_DEVICES_MAX) {
		size_t n = strcspn(s, ",");
		uint64_t v;

		if (n == 0 || n >= sizeof(part))
			return false;
		memcpy(part, s, n);
		part[n] = '\0';
		if (text_parse_u64(part, &v) || v > UINT16_MAX)
			return false;
		w->split[w->n_split++] = (uint32_t)v;
		if (!s[n])
			return true;
		s += n + 1;
	}
	return false;
}

uint32_t shares_parse(float *split, const char *s)
{
	float sum = 0;

	memset(split, 0, PLAN_DEVICES_MAX * sizeof(*split));
	for (uint32_t i = 0; i < PLAN_DEVICES_MAX; i++) {
		char *end;

		if (!*s || !strchr("0123456789.", *s))
			return 0;
		split[i] = strtof(s, &end);
		if (!(split[i] >= 0 && split[i] <= 1e9f))
			return 0;
		sum += split[i];
		if (!*end)
			return sum > 0 ? i + 1 : 0;
		if (*end != ',' && *end != '/')
			return 0;
		s = end + 1;
	}
	return 0;
}

bool wish_shares(struct wish *w, const char *s)
{
	w->n_shares = shares_parse(w->shares, s);
	return w->n_shares > 0;
}

bool wish_gpu_layers(struct wish *w, const char *s)
{
	uint64_t v = UINT32_MAX;

	if (strcmp(s, "all") != 0 && strcmp(s, "-1") != 0 && text_parse_u64(s, &v))
		return false;
	w->has_gpu_layers = true;
	w->n_gpu_layers = v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
	return true;
}

bool wish_speed(struct wish *w, const char *s)
{
	char *end;

	w->min_speed = *s && strchr("0123456789.", *s) ? strtod(s, &end) : 0;
	return w->min_speed > 0 && w->min_speed < 1e9 && !*end;
}

/* One "REGEX=WHERE" of n bytes; the last = parts them. */
static bool one_tensor(struct wish_tensors *t, const char *s, size_t n)
{
	const char *eq = memrchr(s, '=', n);
	size_t pattern = eq ? (size_t)(eq - s) : 0, where = eq ? n - pattern - 1 : 0;

	if (!pattern || !where || pattern >= sizeof(t->pattern) || where >= sizeof(t->where))
		return false;
	memcpy(t->pattern, s, pattern);
	t->pattern[pattern] = '\0';
	memcpy(t->where, eq + 1, where);
	t->where[where] = '\0';
	return true;
}

bool wish_tensors(struct wish *w, const char *s)
{
	while (w->n_tensors < PLAN_TENSORS_MAX) {
		size_t n = strcspn(s, ",");

		if (!one_tensor(&w->tensors[w->n_tensors], s, n))
			return false;
		w->n_tensors++;
		if (!s[n])
			return true;
		s += n + 1;
	}
	return false;
}

/* --- and back --- */

static void add_number(struct text *t, const char *option, uint64_t v)
{
	if (v)
		text_add(t, "%s%s %" PRIu64, t->len ? " " : "", option, v);
}

static void add_word(struct text *t, const char *option, const char *word)
{
	text_add(t, "%s%s%s%s", t->len ? " " : "", option, word[0] ? " " : "", word);
}

static void add_flag(struct text *t, const char *option, bool on)
{
	if (on)
		add_word(t, option, "");
}

static void add_placement(struct text *t, const struct wish *w)
{
	if (w->has_gpu_layers && w->n_gpu_layers < UINT32_MAX)
		text_add(t, "%s--gpu-layers %" PRIu32, t->len ? " " : "", w->n_gpu_layers);
	add_flag(t, "--gpu-layers all", w->has_gpu_layers && w->n_gpu_layers == UINT32_MAX);
	for (uint32_t i = 0; i < w->n_split; i++)
		text_add(t, "%s%" PRIu32, i ? "," : t->len ? " --split " : "--split ", w->split[i]);
	for (uint32_t i = 0; i < w->n_shares; i++)
		text_add(t, "%s%g",
			 i        ? ","
			 : t->len ? " --tensor-split "
				  : "--tensor-split ",
			 (double)w->shares[i]);
	if (w->n_cpu_moe == UINT32_MAX)
		add_word(t, "--cpu-moe", "");
	else
		add_number(t, "--n-cpu-moe", w->n_cpu_moe);
	if (w->split_mode != SPLIT_LAYER)
		add_word(t, "--split-mode", split_modes[w->split_mode]);
	for (uint32_t i = 0; i < w->n_tensors; i++)
		text_add(t, "%s--override-tensor '%s=%s'", t->len ? " " : "", w->tensors[i].pattern,
			 w->tensors[i].where);
}

void wish_options(struct text *t, const struct wish *w)
{
	if (w->devices[0])
		add_word(t, w->devices, "");
	if (w->n_ctx == WISH_CTX_OWN)
		add_word(t, "-c", "0");
	else
		add_number(t, "-c", w->n_ctx);
	add_number(t, "--batch", w->n_batch);
	add_number(t, "--ubatch", w->n_ubatch);
	add_number(t, "--parallel", w->n_seq_max);
	add_flag(t, "--kv-unified", w->unified == CHOICE_ON);
	add_flag(t, "--no-kv-unified", w->unified == CHOICE_OFF);
	if (w->type_k[0])
		add_word(t, "--cache-type-k", w->type_k);
	if (w->type_v[0])
		add_word(t, "--cache-type-v", w->type_v);
	if (w->flash_attn != CHOICE_FREE)
		add_word(t, "--flash-attn", w->flash_attn == CHOICE_ON ? "on" : "off");
	add_placement(t, w);
	add_flag(t, "--no-kv-offload", w->cache_on_host);
	add_flag(t, "--swa-full", w->swa_full);
	add_flag(t, "--mtp", w->mtp);
	add_flag(t, "--embeddings", w->embeddings);
	add_number(t, "--n-outputs", w->n_outputs);
	if (w->accept != ACCEPT_GPU)
		add_word(t, "--accept", accept_name(w->accept));
	add_flag(t, "--accept-unverified", w->accept_unverified);
	if (fact_known(&w->margin_bytes))
		text_add(t, "%s--margin %" PRId64, t->len ? " " : "", w->margin_bytes.v);
}
