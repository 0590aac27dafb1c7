/* SPDX-License-Identifier: MIT */
/* Whether a model's tensors are as its keys say; the engine would refuse to load it otherwise. */
#include <inttypes.h>
#include <stdbool.h>

#include "vram-planner/shape_priv.h"

/* The numbers that a state needs (load_arch_hparams requires their keys). */
static int check_states(const struct shape *s, enum mixer mixer, struct err *e)
{
	bool fine = true;

	switch (mixer) {
	case MIXER_MAMBA:
	case MIXER_MAMBA2:
	case MIXER_BOTH:
	case MIXER_DELTA:
		fine = s->ssm_conv && s->ssm_inner && s->ssm_state && s->ssm_dt_rank;
		break;
	case MIXER_KDA:
		fine = s->kda_head && s->ssm_conv && s->n_head;
		break;
	case MIXER_SHORTCONV:
		fine = s->shortconv_cache > 0;
		break;
	case MIXER_RWKV7:
		fine = s->wkv_head && s->token_shift;
		break;
	default:
		break;
	}
	if (!fine)
		return err_set(e, -EBADMSG, "the header lacks sizes of the states of %s layers",
			       s->arch);
	return 0;
}

static int check_sparse(const struct shape *s, struct err *e)
{
	bool indexed = s->memory == MEMORY_DSA || s->memory == MEMORY_DSV4;

	if (indexed && (!s->indexer_heads || !s->indexer_head || !s->indexer_top_k))
		return err_set(e, -EBADMSG,
			       "the header lacks sizes of the indexer (%s.attention.indexer.*)",
			       s->arch);
	if (s->memory == MEMORY_DSV4 && (!s->hc_count || !s->o_groups || !s->o_lora))
		return err_set(e, -EBADMSG,
			       "the header lacks %s.hyper_connection.count or "
			       "attention.output_*",
			       s->arch);
	return 0;
}

/* Tensors whose size the keys give: rows of ne[0] numbers, ne[1] of them; 0: not checked. */
static int check_size(const struct shape *s, uint32_t i, enum slot slot, uint64_t row,
		      uint64_t rows, struct err *e)
{
	const struct tensor *t = shape_weight(s, i, slot);

	if (!t || ((!row || t->ne[0] == row) && (!rows || t->ne[1] == rows)))
		return 0;
	return err_set(e, -EBADMSG,
		       "tensor '%.*s' is %" PRIu64 " by %" PRIu64 " where the keys say %" PRIu64
		       " by %" PRIu64,
		       (int)t->name_len, t->name, t->ne[0], t->ne[1], row ? row : t->ne[0],
		       rows ? rows : t->ne[1]);
}

static int check_attention(const struct shape *s, uint32_t i, struct err *e)
{
	const struct layer *l = &s->layers[i];
	int rc;

	if (l->mixer != MIXER_ATTENTION && l->mixer != MIXER_BOTH)
		return check_size(s, i, SLOT_ATTN_KV_A_MQA, s->n_embd, 0, e);
	rc = check_size(s, i, SLOT_ATTN_K, s->n_embd, (uint64_t)l->head_k * l->n_head_kv, e);
	if (!rc)
		rc = check_size(s, i, SLOT_ATTN_V, s->n_embd, (uint64_t)l->head_v * l->n_head_kv,
				e);
	if (!rc)
		rc = check_size(s, i, SLOT_ATTN_OUTPUT, (uint64_t)l->head_v * l->n_head, s->n_embd,
				e);
	return rc;
}

static int check_experts(const struct shape *s, uint32_t i, struct err *e)
{
	const enum slot slots[] = { SLOT_FFN_GATE_EXPS, SLOT_FFN_UP_EXPS, SLOT_FFN_DOWN_EXPS,
				    SLOT_FFN_GATE_UP_EXPS };

	for (int k = 0; k < 4; k++) {
		const struct tensor *t = shape_weight(s, i, slots[k]);

		if (t && t->ne[2] != s->n_expert)
			return err_set(e, -EBADMSG,
				       "tensor '%.*s' holds %" PRIu64
				       " experts; the keys say %" PRIu32,
				       (int)t->name_len, t->name, t->ne[2], s->n_expert);
	}
	if (!s->layers[i].experts)
		return err_set(e, -EBADMSG,
			       "layer %" PRIu32 " has experts and lacks the tensor ffn_gate_inp",
			       i);
	return check_size(s, i, SLOT_FFN_GATE_INP, s->n_embd, s->n_expert, e);
}

/* A layer that reads another's cache finds its own kind there: as wide, and as long. */
static int check_owner(const struct shape *s, uint32_t i, struct err *e)
{
	const struct layer *l = &s->layers[i], *owner = l->cache < 0 ? l : &s->layers[l->cache];

	if (owner->slides == l->slides && owner->n_head_kv == l->n_head_kv)
		return 0;
	return err_set(e, -EBADMSG,
		       "layer %" PRIu32 " would share the cache of layer %" PRId32
		       ", which is of another kind",
		       i, l->cache);
}

static bool has_tensors(const struct shape *s, uint32_t i)
{
	for (int slot = 0; slot < SLOTS; slot++) {
		if (shape_weight(s, i, (enum slot)slot))
			return true;
	}
	return false;
}

/* A layer that reads another's cache needs no keys and values of its own. */
static bool has_own_cache(const struct shape *s, uint32_t i)
{
	return s->layers[i].cache == (int32_t)i;
}

static bool are_alike(const struct shape *s, uint32_t i, uint32_t k)
{
	const struct layer *a = &s->layers[i], *b = &s->layers[k];

	return a->mixer == b->mixer && a->slides == b->slides && a->experts == b->experts &&
	       a->n_used == b->n_used && a->compress == b->compress && !a->n_ff == !b->n_ff &&
	       has_own_cache(s, i) == has_own_cache(s, k);
}

/*
 * What no family has in some layers of a kind only; without one of them the engine loads nothing. What
 * the graph cannot be made without is missed there.
 */
static const enum slot shared_slots[] = {
	SLOT_ATTN_NORM,     SLOT_ATTN_OUTPUT,    SLOT_ATTN_Q_NORM,
	SLOT_ATTN_K_NORM,   SLOT_FFN_NORM,       SLOT_POST_ATTENTION_NORM,
	SLOT_POST_FFW_NORM, SLOT_FFN_GATE,       SLOT_FFN_UP,
	SLOT_FFN_DOWN,      SLOT_FFN_GATE_INP,   SLOT_FFN_GATE_SHEXP,
	SLOT_FFN_UP_SHEXP,  SLOT_FFN_DOWN_SHEXP, SLOT_FFN_GATE_EXPS,
	SLOT_FFN_UP_EXPS,   SLOT_FFN_DOWN_EXPS,
};

/* A layer has what the last one of its kind before it has. */
static int check_kin(const struct shape *s, uint32_t i, struct err *e)
{
	uint32_t k = i;

	do {
		if (k-- == 0)
			return 0;
	} while (!are_alike(s, i, k));
	for (size_t n = 0; n < sizeof(shared_slots) / sizeof(shared_slots[0]); n++) {
		enum slot slot = shared_slots[n];
		bool here = shape_weight(s, i, slot), there = shape_weight(s, k, slot);

		if (here != there)
			return err_set(e, -EBADMSG,
				       "layer %" PRIu32 " lacks the tensor %s that layer %" PRIu32
				       " has",
				       here ? k : i, slot_name(slot), here ? i : k);
	}
	return 0;
}

static int check_layer(const struct shape *s, uint32_t i, struct err *e)
{
	const struct layer *l = &s->layers[i];
	int rc;

	if (!l->nextn && !has_tensors(s, i))
		return err_set(e, -EBADMSG, "layer %" PRIu32 " of %" PRIu32 " has no tensors", i,
			       s->n_layer);
	rc = check_states(s, l->mixer, e);
	if (!rc)
		rc = check_size(s, i, SLOT_ATTN_NORM, s->n_embd, 0, e);
	if (!rc)
		rc = check_owner(s, i, e);
	if (!rc && layer_attends(l))
		rc = check_attention(s, i, e);
	if (!rc && l->n_ff)
		rc = check_size(s, i, SLOT_FFN_DOWN, l->n_ff, s->n_embd, e);
	if (!rc && (l->experts || shape_weight(s, i, SLOT_FFN_DOWN_EXPS)))
		rc = check_experts(s, i, e);
	if (!rc && i < s->n_run)
		rc = check_kin(s, i, e);
	return rc;
}

/* Without rules: at least one layer keeps something of the past, or there is nothing to bound. */
static int check_bound(const struct shape *s, struct err *e)
{
	for (uint32_t i = 0; i < s->n_layer; i++) {
		if (s->layers[i].mixer != MIXER_NONE)
			return 0;
	}
	return err_set(e, -ENOTSUP, "the header of this '%s' model has no sizes of heads or states",
		       s->arch);
}

int shape_check(const struct shape *s, struct err *e)
{
	int rc = check_sparse(s, e);

	if (s->unverified)
		return check_bound(s, e);
	if (s->n_kv_from_start == 0 || (s->n_kv_from_start < s->n_layer && s->n_kv_from_start < 2))
		return err_set(e, -EBADMSG, "too many layers of %s share a cache", s->arch);
	if (!rc && s->causal && !shape_global(s, GLOBAL_OUTPUT_NORM) &&
	    !(s->family->quirks & QUIRK_NORM_IS_OUTPUT))
		rc = err_set(e, -EBADMSG, "the tensor output_norm.weight is missing");
	for (uint32_t i = 0; !rc && i < s->n_layer; i++)
		rc = check_layer(s, i, e);
	return rc;
}
