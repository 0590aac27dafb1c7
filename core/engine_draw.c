/* SPDX-License-Identifier: MIT */
/* Tokens drawn from what was computed, by the engine's samplers and grammars. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/bounded.h"
#include "core/engine_priv.h"
#include "core/probs.h"

struct engine_draw {
	struct llama_sampler *chain, *grammar;
	uint32_t
		best; /* so many of the likeliest tokens are all that the chain can draw from; 0: any */
};

/* The engine asserts on some of these, and a NaN compares as nothing. */
static int check_sampling(const struct request *r, int32_t n_vocab, struct err *e)
{
	const struct request_sampling *s = &r->sampling;
	const struct {
		const char *name;
		float v, min, max;
	} rows[] = {
		{ "temperature", s->temperature, -1e6f, 1e6f },
		{ "top_p", s->top_p, 0, 1 },
		{ "min_p", s->min_p, 0, 1 },
		{ "typical_p", s->typical_p, 0, 1 },
		{ "repeat_penalty", s->repeat_penalty, 1e-3f, 1e3f },
		{ "frequency_penalty", s->frequency_penalty, -100, 100 },
		{ "presence_penalty", s->presence_penalty, -100, 100 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!(rows[i].v >= rows[i].min && rows[i].v <= rows[i].max))
			return err_set(e, -EINVAL, "%s is %g; it must be from %g to %g",
				       rows[i].name, (double)rows[i].v, (double)rows[i].min,
				       (double)rows[i].max);
	}
	for (size_t i = 0; i < r->n_bias; i++) {
		if (r->bias[i].token < 0 || r->bias[i].token >= n_vocab ||
		    r->bias[i].bias != r->bias[i].bias)
			return err_set(e, -EINVAL,
				       "logit_bias names token %d; the model has 0 to %d",
				       r->bias[i].token, n_vocab - 1);
	}
	return 0;
}

static void add_bias(struct llama_sampler *chain, const struct request *r, int32_t n_vocab)
{
	llama_logit_bias bias[REQUEST_BIAS_MAX];
	size_t n = r->n_bias < REQUEST_BIAS_MAX ? r->n_bias : REQUEST_BIAS_MAX;

	for (size_t i = 0; i < n; i++)
		bias[i] = (llama_logit_bias) { r->bias[i].token, r->bias[i].bias };
	if (n)
		llama_sampler_chain_add(chain,
					llama_sampler_init_logit_bias(n_vocab, (int32_t)n, bias));
}

/*
 * How many of the likeliest tokens, before any penalty, hold all that are left by the first step that
 * takes the k likeliest. Each token that a penalty makes less likely may let in one from further down.
 */
static uint32_t enough(const struct request *r, uint32_t n_penalised)
{
	const struct request_sampling *s = &r->sampling;
	int64_t k = s->temperature <= 0 ? 1 : s->top_k;
	bool lowers = s->repeat_penalty >= 1 && s->frequency_penalty >= 0 &&
		      s->presence_penalty >= 0;

	if (k <= 0 || r->n_bias || (n_penalised && !lowers))
		return 0;
	k += n_penalised;
	return k <= PROBS_BEST_MAX ? (uint32_t)k : 0;
}

/* Neutral steps are left out: each costs a pass over the vocabulary. */
static void fill_chain(struct engine_draw *d, const struct engine *g, const struct request *r)
{
	struct llama_sampler *chain = d->chain;
	const struct request_sampling *s = &r->sampling;
	int32_t last = s->repeat_last_n < 0 || s->repeat_last_n > (int32_t)engine_n_ctx(g)
			       ? (int32_t)engine_n_ctx(g)
			       : s->repeat_last_n;
	bool penalties = s->repeat_penalty != 1 || s->frequency_penalty != 0 ||
			 s->presence_penalty != 0;

	d->best = enough(r, penalties ? (uint32_t)last : 0);
	add_bias(chain, r, engine_n_vocab(g));
	if (penalties && last)
		llama_sampler_chain_add(chain, llama_sampler_init_penalties(
						       engine_n_vocab(g), last, s->repeat_penalty,
						       s->frequency_penalty, s->presence_penalty));
	if (s->temperature <= 0) {
		llama_sampler_chain_add(chain, llama_sampler_init_greedy());
		return;
	}
	if (s->top_k > 0)
		llama_sampler_chain_add(chain, llama_sampler_init_top_k(s->top_k));
	if (s->typical_p < 1)
		llama_sampler_chain_add(chain, llama_sampler_init_typical(s->typical_p, 1));
	if (s->top_p < 1)
		llama_sampler_chain_add(chain, llama_sampler_init_top_p(s->top_p, 1));
	if (s->min_p > 0)
		llama_sampler_chain_add(chain, llama_sampler_init_min_p(s->min_p, 1));
	llama_sampler_chain_add(chain, llama_sampler_init_temp(s->temperature));
	llama_sampler_chain_add(chain,
				llama_sampler_init_dist(s->seeded ? s->seed : LLAMA_DEFAULT_SEED));
}

struct parsing {
	const struct llama_vocab *vocab;
	const char *text;
	struct llama_sampler *grammar;
};

static void parse_grammar(void *arg)
{
	struct parsing *p = arg;

	p->grammar = llama_sampler_init_grammar(p->vocab, p->text, "root");
}

static int add_grammar(struct engine_draw *d, const struct engine *g, const char *text,
		       struct err *e)
{
	struct parsing p = { .vocab = llama_model_get_vocab(g->model), .text = text };
	int rc = bounded_run(parse_grammar, &p);

	d->grammar = p.grammar;
	if (rc == -ETIME)
		return err_set(e, -EINVAL, ENGINE_SLOW_GRAMMAR);
	if (rc)
		return err_set(e, rc, "there is no thread for the grammar");
	if (!d->grammar)
		return err_set(e, -EINVAL, "the grammar does not parse, or has no rule named root");
	return 0;
}

int engine_draw_new(struct engine_draw **out, const struct engine *g, const struct request *r,
		    struct err *e)
{
	struct engine_draw *d;
	int rc = check_sampling(r, engine_n_vocab(g), e);

	*out = NULL;
	if (rc)
		return rc;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	d->chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
	fill_chain(d, g, r);
	if (r->grammar && r->grammar[0])
		rc = add_grammar(d, g, r->grammar, e);
	if (rc)
		engine_draw_free(d);
	else
		*out = d;
	return rc;
}

void engine_draw_free(struct engine_draw *d)
{
	if (!d)
		return;
	if (d->grammar)
		llama_sampler_free(d->grammar);
	llama_sampler_free(d->chain);
	free(d);
}

void engine_draw_seen(struct engine_draw *d, const int32_t *tokens, size_t n)
{
	for (size_t i = 0; i < n; i++)
		llama_sampler_accept(d->chain, tokens[i]);
}

static llama_token_data_array candidates(struct engine *g, const float *logits)
{
	size_t n = (size_t)engine_n_vocab(g);

	for (size_t i = 0; i < n; i++)
		g->candidates[i] = (llama_token_data) { (llama_token)i, logits[i], 0 };
	return (llama_token_data_array) { g->candidates, n, -1, false };
}

/* What the chain looks at; sorted, it need not look for the likeliest again. */
static llama_token_data_array likeliest(const struct engine_draw *d, struct engine *g,
					const float *logits)
{
	struct probs_one best[2 * PROBS_BEST_MAX];
	uint32_t n = 0;

	if (d->best)
		n = probs_best(logits, (uint32_t)engine_n_vocab(g), d->best, best);
	if (n == 0)
		return candidates(g, logits);
	for (uint32_t i = 0; i < n; i++)
		g->candidates[i] = (llama_token_data) { best[i].id, best[i].logit, 0 };
	return (llama_token_data_array) { g->candidates, n, -1, true };
}

int32_t engine_likeliest(struct engine *g, int32_t index, float *chance)
{
	const float *logits = llama_get_logits_ith(g->context, index);
	int32_t n = engine_n_vocab(g), best = 0;
	float sum = 0;

	for (int32_t i = 1; i < n; i++)
		if (logits[i] > logits[best])
			best = i;
	for (int32_t i = 0; i < n; i++)
		sum += expf(logits[i] - logits[best]);
	*chance = 1 / sum;
	return best;
}

static bool grammar_takes(struct llama_sampler *grammar, int32_t token)
{
	llama_token_data one = { token, 1, 0 };
	llama_token_data_array array = { &one, 1, -1, false };

	llama_sampler_apply(grammar, &array);
	return one.logit > -INFINITY;
}

/* Asking a grammar about one token is cheap, about the whole vocabulary it is not: draw, then ask. */
static int32_t draw_token(struct engine_draw *d, struct engine *g, const float *logits)
{
	llama_token_data_array array = likeliest(d, g, logits);
	int32_t token;

	llama_sampler_apply(d->chain, &array);
	token = array.data[array.selected].id;
	if (!d->grammar || grammar_takes(d->grammar, token))
		return token;
	array = candidates(g, logits);
	llama_sampler_apply(d->grammar, &array);
	llama_sampler_apply(d->chain, &array);
	token = array.data[array.selected].id;
	return grammar_takes(d->grammar, token) ? token : ENGINE_NOTHING;
}

static void tell(const struct engine *g, const float *logits, int32_t token,
		 struct request_token *told, uint32_t n_top)
{
	probs_tell(logits, (uint32_t)engine_n_vocab(g), token, n_top, told);
	told->n_text = (uint8_t)engine_piece(g, token, told->text, sizeof(told->text));
	for (uint32_t i = 0; i < told->n_top; i++)
		told->top[i].n_text = (uint8_t)engine_piece(g, told->top[i].id, told->top[i].text,
							    sizeof(told->top[i].text));
}

struct drawing {
	struct engine_draw *d;
	struct engine *g;
	const float *logits;
	int32_t token;
};

static void draw_and_take(void *arg)
{
	struct drawing *w = arg;
	struct engine_draw *d = w->d;

	w->token = draw_token(d, w->g, w->logits);
	if (w->token < 0)
		return;
	llama_sampler_accept(d->chain, w->token);
	if (d->grammar && !engine_is_end(w->g, w->token))
		llama_sampler_accept(d->grammar, w->token);
}

int32_t engine_draw_next(struct engine_draw *d, struct engine *g, int32_t index,
			 struct request_token *told, uint32_t n_top)
{
	struct drawing w = { .d = d, .g = g, .logits = llama_get_logits_ith(g->context, index) };
	int rc = 0;

	if (d->grammar)
		rc = bounded_run(draw_and_take, &w);
	else
		draw_and_take(&w);
	if (rc)
		return rc == -ETIME ? ENGINE_TOO_SLOW : ENGINE_NO_THREAD;
	if (told && w.token >= 0)
		tell(g, w.logits, w.token, told, n_top);
	return w.token;
}

enum failure engine_sampler(struct engine *g, double temperature, uint32_t seed, struct err *e)
{
	struct request r = { .sampling = { .temperature = (float)temperature,
					   .top_p = 1,
					   .typical_p = 1,
					   .repeat_penalty = 1,
					   .seed = seed,
					   .seeded = true } };

	return engine_draw_new(&g->draw, g, &r, e) ? FAILURE_OOM : FAILURE_NONE;
}

int32_t engine_sample(struct engine *g)
{
	return engine_draw_next(g->draw, g, -1, NULL, 0);
}
