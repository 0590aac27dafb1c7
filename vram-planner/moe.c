/* SPDX-License-Identifier: MIT */
/* Routed experts, as llama.cpp's graphs run them (v0.5.0, build_moe_ffn in llama-graph.cpp). */
#include <string.h>

#include "vram-planner/moe.h"

#define CLAMP_EPSILON 1e-6f       /* the engine takes a smaller limit for none */
#define BY_KEY        GATING_NONE /* expert_gating_func says */

enum answer { NO, YES, ASK_KEY /* expert_weights_norm says */ };

/* From llama.cpp v0.5.0, src/models/: the arguments that each graph gives to its experts. */
static const struct routing {
	const char *arch;
	enum gating gating;
	enum answer norm;
	enum moe_act act;
	bool before;
	const char *source;
} routings[] = {
	{ "deepseek2", BY_KEY, ASK_KEY, MOE_SWIGLU, false, "deepseek2.cpp" },
	{ "deepseek32", BY_KEY, ASK_KEY, MOE_SWIGLU, false, "deepseek32.cpp" },
	{ "deepseek4", BY_KEY, ASK_KEY, MOE_SWIGLU_CLAMP, false, "deepseek4.cpp" },
	{ "ernie4_5-moe", GATING_SOFTMAX, YES, MOE_SWIGLU, false, "ernie4-5-moe.cpp" },
	{ "gemma4", GATING_SOFTMAX, YES, MOE_GEGLU, false, "gemma4.cpp" },
	{ "glm-dsa", BY_KEY, ASK_KEY, MOE_SWIGLU, false, "glm-dsa.cpp" },
	{ "glm4moe", BY_KEY, ASK_KEY, MOE_SWIGLU, false, "glm4-moe.cpp" },
	{ "gpt-oss", GATING_SOFTMAX_WEIGHT, NO, MOE_SWIGLU_OAI, false, "openai-moe.cpp" },
	{ "granitehybrid", GATING_SOFTMAX, YES, MOE_SWIGLU, false, "granite-hybrid.cpp" },
	{ "grok", GATING_SOFTMAX, YES, MOE_GEGLU, false, "grok.cpp" },
	{ "hunyuan-moe", GATING_SOFTMAX, YES, MOE_SWIGLU, false, "hunyuan-moe.cpp" },
	{ "jamba", GATING_SOFTMAX, NO, MOE_SWIGLU, false, "jamba.cpp" },
	{ "kimi-linear", BY_KEY, YES, MOE_SWIGLU, false, "kimi-linear.cpp" },
	{ "lfm2moe", BY_KEY, YES, MOE_SWIGLU, false, "lfm2.cpp" },
	{ "llama", GATING_SOFTMAX, YES, MOE_SWIGLU, false, "llama.cpp" },
	{ "llama4", GATING_SIGMOID, NO, MOE_SWIGLU, true, "llama4.cpp" },
	{ "minimax-m2", BY_KEY, YES, MOE_SWIGLU, false, "minimax-m2.cpp" },
	{ "nemotron_h_moe", GATING_SIGMOID, ASK_KEY, MOE_RELU_SQR, false, "nemotron-h.cpp" },
	{ "olmoe", GATING_SOFTMAX, NO, MOE_SWIGLU, false, "olmoe.cpp" },
	{ "qwen35moe", GATING_SOFTMAX, YES, MOE_SWIGLU, false, "qwen35moe.cpp" },
	{ "qwen3moe", GATING_SOFTMAX, YES, MOE_SWIGLU, false, "qwen3moe.cpp" },
	{ "qwen3next", GATING_SOFTMAX, YES, MOE_SWIGLU, false, "qwen3next.cpp" },
};

struct moe moe_of(const struct shape *s)
{
	struct moe m = { .gating = s->gating, .norm = s->expert_norm };

	m.scale = s->expert_scale != 0.0f && s->expert_scale != 1.0f;
	for (size_t i = 0; i < sizeof(routings) / sizeof(routings[0]); i++) {
		const struct routing *r = &routings[i];

		if (strcmp(r->arch, s->arch) != 0)
			continue;
		m.act = r->act;
		m.before = r->before;
		if (r->gating != BY_KEY)
			m.gating = r->gating;
		if (r->norm != ASK_KEY)
			m.norm = r->norm == YES;
	}
	return m;
}

static int probabilities(struct graph *g, int logits, enum gating gating)
{
	switch (gating) {
	case GATING_SIGMOID:
		return g_unary(g, logits, UN_SIGMOID);
	case GATING_SQRT_SOFTPLUS:
		return g_sqrt(g, g_unary(g, logits, UN_SOFTPLUS));
	case GATING_SOFTMAX_WEIGHT: /* softmax comes after the choice */
		return logits;
	default:
		return g_soft_max(g, logits, G_NONE, G_NONE);
	}
}

/*
 * Keep the scores of the best groups only: a group's score is the sum of its two best experts. The other
 * groups are overwritten in a copy that starts as minus infinity.
 */
static int mask_groups(struct build *b, int scores)
{
	struct graph *g = b->g;
	int64_t n_expert = g_ne(g, scores, 0), n = g_ne(g, scores, 1);
	int64_t groups = b->s->n_groups, in_group = n_expert / groups;
	int grouped = g_reshape_3d(g, scores, in_group, groups, n);
	int best = g_argsort_top_k(g, grouped, 2);
	int sum;

	best = g_get_rows(g, g_reshape_4d(g, grouped, 1, in_group, groups, n), best);
	sum = g_sum_rows(g, g_reshape_3d(g, best, 2, groups, n));
	sum = g_reshape_2d(g, sum, groups, n);
	best = g_argsort_top_k(g, sum, b->s->n_groups_used);
	scores = g_get_rows(g, grouped, best);
	scores = g_set_rows(g, g_fill(g, grouped), scores, best);
	return g_reshape_2d(g, scores, n_expert, n);
}

static int choose(struct build *b, int layer, int probs, int logits, const struct moe *m)
{
	struct graph *g = b->g;
	int scores = m->before ? logits : probs, bias;

	if (m->selected != G_NONE)
		return m->selected;
	bias = b_bias(b, layer, SLOT_EXP_PROBS_B);
	if (bias != G_NONE)
		scores = g_add(g, scores, bias);
	if (b->s->n_groups > 1)
		scores = mask_groups(b, scores);
	return g_argsort_top_k(g, scores, b->s->layers[layer].n_used);
}

/* Weights of the chosen experts: [1, n_used, n_tokens]. */
static int route_weights(struct build *b, int layer, int probs, int chosen, const struct moe *m)
{
	struct graph *g = b->g;
	int64_t n = g_ne(g, probs, 1), used = b->s->layers[layer].n_used;
	int w = g_get_rows(g, g_reshape_3d(g, probs, 1, g_ne(g, probs, 0), n), chosen);

	if (m->gating == GATING_SOFTMAX_WEIGHT) {
		w = g_soft_max(g, g_reshape_2d(g, w, used, n), G_NONE, G_NONE);
		w = g_reshape_3d(g, w, 1, used, n);
	}
	if (m->norm) {
		int sum;

		w = g_reshape_2d(g, w, used, n);
		sum = g_clamp(g, g_sum_rows(g, w));
		w = g_reshape_3d(g, g_div(g, w, sum), 1, used, n);
	}
	if (m->scale)
		w = g_scale(g, w);
	return g_expand(g, w);
}

/* One matrix of each chosen expert, with its bias. */
static int mm_id(struct build *b, int layer, int x, int chosen, enum slot slot)
{
	struct graph *g = b->g;
	int bias = b_bias(b, layer, slot), scale = b_scale(b, layer, slot);
	int y = g_mul_mat_id(g, b_weight(b, layer, slot), x, chosen);

	if (scale != G_NONE) {
		int64_t n_expert = g_ne(g, scale, 0);

		scale = g_reshape_3d(g, scale, 1, n_expert, 1);
		scale = g_repeat_4d(g, scale, 1, n_expert, g_ne(g, x, 2), 1);
		y = g_mul(g, y, g_get_rows(g, scale, chosen));
	}
	return bias == G_NONE ? y : g_add_id(g, y, bias, chosen);
}

/* A limit of nothing is none. */
static enum moe_act clamped(enum moe_act act, float limit)
{
	return act == MOE_SWIGLU_CLAMP && limit <= CLAMP_EPSILON ? MOE_SWIGLU : act;
}

static int activate(struct graph *g, int gate, int up, enum moe_act act)
{
	switch (act) {
	case MOE_SWIGLU_OAI:
		return g_glu(g, gate, up, GLU_SWIGLU_OAI);
	case MOE_SWIGLU_CLAMP:
		return g_glu(g, gate, up, GLU_SWIGLU_CLAMP);
	case MOE_GEGLU:
		return up == G_NONE ? g_unary(g, gate, UN_GELU) : g_glu(g, gate, up, GLU_GEGLU);
	case MOE_RELU_SQR:
		return g_sqr(g, g_unary(g, gate, UN_RELU));
	default:
		return up == G_NONE ? g_unary(g, gate, UN_SILU) : g_glu(g, gate, up, GLU_SWIGLU);
	}
}

/* The inner rows of the chosen experts, from a fused matrix, from gate and up, or from up alone. */
static int inner(struct build *b, int layer, int x, int chosen, enum moe_act act)
{
	struct graph *g = b->g;
	int gate, up;

	if (shape_weight(b->s, layer, SLOT_FFN_GATE_UP_EXPS)) {
		int both = mm_id(b, layer, x, chosen, SLOT_FFN_GATE_UP_EXPS);
		int64_t half = g_ne(g, both, 0) / 2, used = g_ne(g, both, 1), n = g_ne(g, both, 2);

		gate = g_view_3d(g, both, half, used, n, g_nb(g, both, 1), g_nb(g, both, 2));
		up = g_view_3d(g, both, half, used, n, g_nb(g, both, 1), g_nb(g, both, 2));
		return activate(g, gate, up, act);
	}
	up = mm_id(b, layer, x, chosen, SLOT_FFN_UP_EXPS);
	if (!shape_weight(b->s, layer, SLOT_FFN_GATE_EXPS))
		return activate(g, up, G_NONE, act);
	gate = mm_id(b, layer, x, chosen, SLOT_FFN_GATE_EXPS);
	return activate(g, gate, up, act);
}

/*
 * Add the experts' outputs up. All views are put in the order before the first sum, so the experts' rows
 * stay alive to the last one; one expert alone is copied, as its view is not contiguous.
 */
static int combine(struct build *b, int experts, uint32_t used)
{
	struct graph *g = b->g;
	int64_t n_embd = g_ne(g, experts, 0), n = g_ne(g, experts, 2);
	int first = G_NONE, sum;

	g_expand(g, experts);
	for (uint32_t i = 0; i < used && !g->fault; i++) {
		int view = g_view_2d(g, experts, n_embd, n, g_nb(g, experts, 2));

		g_expand(g, view);
		if (i == 0)
			first = view;
	}
	if (used == 1)
		return g_cont(g, first);
	sum = first;
	for (uint32_t i = 1; i < used && !g->fault; i++) /* the views are numbered in a row */
		sum = g_expand(g, g_add(g, sum, first + (int)i));
	return sum;
}

int b_moe(struct build *b, int layer, int x, const struct moe *m)
{
	struct graph *g = b->g;
	int64_t n_embd = g_ne(g, x, 0), n = g_ne(g, x, 1), used = b->s->layers[layer].n_used;
	int logits = m->logits, bias = b_bias(b, layer, SLOT_FFN_GATE_INP), probs, chosen, weights;

	if (logits == G_NONE)
		logits = g_mul_mat(g, b_weight(b, layer, SLOT_FFN_GATE_INP), x);
	if (bias != G_NONE)
		logits = g_add(g, logits, bias);
	probs = probabilities(g, logits, m->gating);
	chosen = choose(b, layer, probs, logits, m);
	weights = route_weights(b, layer, probs, chosen, m);
	x = g_reshape_3d(g, x, n_embd, 1, n);
	if (m->before)
		x = g_mul(g, g_repeat_4d(g, x, n_embd, used, n, 1), weights);
	x = inner(b, layer, x, chosen, clamped(m->act, b->s->layers[layer].clamp));
	x = mm_id(b, layer, x, chosen, SLOT_FFN_DOWN_EXPS);
	if (!m->before)
		x = g_mul(g, x, weights);
	return combine(b, x, (uint32_t)used);
}

int b_shared_expert(struct build *b, int layer, int x, enum moe_act act)
{
	static const enum act acts[] = {
		[MOE_SWIGLU] = ACT_SILU,
		[MOE_SWIGLU_CLAMP] = ACT_SILU, /* b_ffn knows the limit */
		[MOE_GEGLU] = ACT_GELU,
		[MOE_RELU_SQR] = ACT_RELU_SQR,
	};

	return b_ffn(b, layer, x,
		     &(struct ffn) { .up = SLOT_FFN_UP_SHEXP,
				     .gate = SLOT_FFN_GATE_SHEXP,
				     .down = SLOT_FFN_DOWN_SHEXP,
				     .act = acts[act] });
}

int b_moe_or_ffn(struct build *b, int layer, int x)
{
	struct moe m;
	int routed;

	if (!shape_weight(b->s, (uint32_t)layer, SLOT_FFN_GATE_INP))
		return b_ffn(b, layer, x, &ffn_silu);
	m = moe_of(b->s);
	routed = b_moe(b, layer, x, &m);
	if (!shape_weight(b->s, (uint32_t)layer, SLOT_FFN_UP_SHEXP))
		return routed;
	return g_add(b->g, routed, b_shared_expert(b, layer, x, m.act));
}
