/* SPDX-License-Identifier: MIT */
/* A model's shape: reading it in steps, and its tensors by their place. */
#include "vram-planner/shape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vram-planner/shape_priv.h"

static uint32_t *slot_at(const struct shape *s, uint32_t layer, enum slot slot, enum part part)
{
	return &s->slots[((size_t)layer * SLOTS + slot) * PARTS + part];
}

static bool of_experts(enum slot slot)
{
	return slot == SLOT_FFN_UP_EXPS || slot == SLOT_FFN_DOWN_EXPS ||
	       slot == SLOT_FFN_GATE_EXPS || slot == SLOT_FFN_GATE_UP_EXPS;
}

/* Layers that decay by a product where others scan: LLM_TENSOR_SSM_A_NOSCAN, of the same name. */
static bool multiplies(enum mixer state)
{
	return state == MIXER_DELTA || state == MIXER_KDA;
}

/* Note tensor i in its slot. false: no architecture has such a place. */
static bool file_tensor(struct shape *s, const struct tensor *t, uint32_t i)
{
	struct role *r = &s->roles[i];
	enum global global;
	enum slot slot;
	enum part part;

	if (t->layer >= 0) {
		*r = (struct role) { .class = TENSOR_LAYER, .probe = PROBE_MUL_MAT };
		if (!slot_find(t, &slot, &part))
			return false;
		r->probe = (uint8_t)slot_probe(slot, part);
		if (slot == SLOT_SSM_A && multiplies(s->family->state))
			r->probe = PROBE_MUL;
		r->experts = of_experts(slot);
		r->stays = slot == SLOT_EXP_PROBS_B && s->family->quirks & QUIRK_PROBS_STAY;
		*slot_at(s, (uint32_t)t->layer, slot, part) = i + 1;
		return true;
	}
	*r = (struct role) { .class = TENSOR_OUTPUT, .probe = PROBE_MUL_MAT };
	if (!global_find(t, &global, &part))
		return false;
	r->probe = (uint8_t)global_probe(global, part);
	r->class = (uint8_t)global_class(global);
	if (global == GLOBAL_TOKEN_EMBD_NORM && s->family->quirks & QUIRK_NORM_IS_OUTPUT)
		r->class = TENSOR_OUTPUT;
	s->globals[global][part] = i + 1;
	return true;
}

int shape_tensors(struct shape *s, struct err *e)
{
	uint32_t n = model_n_tensors(s->model);

	s->slots = calloc((size_t)s->n_layer * SLOTS * PARTS, sizeof(*s->slots));
	s->roles = calloc(n ? n : 1, sizeof(*s->roles));
	if (!s->slots || !s->roles)
		return err_set(e, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < n; i++) {
		const struct tensor *t = model_tensor(s->model, i);

		if (t->layer >= (int32_t)s->n_layer)
			return err_set(e, -EBADMSG,
				       "tensor '%.*s' belongs to layer %" PRId32 " of %" PRIu32,
				       (int)t->name_len, t->name, t->layer, s->n_layer);
		if (!file_tensor(s, t, i) && !s->unverified)
			return err_set(
				e, -ENOTSUP,
				"berth does not know where the engine puts the tensor '%.*s'",
				(int)t->name_len, t->name);
	}
	return 0;
}

static int read_by(struct shape *s, const struct model *m, const struct family *f, struct err *e)
{
	memset(s, 0, sizeof(*s));
	s->model = m;
	s->arch = model_arch(m);
	s->family = f;
	s->unverified = f == &family_unknown;
	int rc = shape_keys(s, e);

	if (!rc)
		rc = shape_tensors(s, e);
	if (!rc)
		rc = shape_layers(s, e);
	if (!rc)
		rc = shape_check(s, e);
	if (rc)
		shape_fini(s);
	return rc;
}

int shape_read(struct shape *s, const struct model *m, struct err *e)
{
	const struct family *f = family_find(model_arch(m));

	if (!f)
		return err_set(e, -ENOTSUP, "berth has no verified memory rules for '%s' models",
			       model_arch(m));
	return read_by(s, m, f, e);
}

int shape_read_bound(struct shape *s, const struct model *m, struct err *e)
{
	return read_by(s, m, &family_unknown, e);
}

void shape_fini(struct shape *s)
{
	free(s->slots);
	free(s->roles);
	s->slots = NULL;
	s->roles = NULL;
}

const struct tensor *shape_part(const struct shape *s, uint32_t layer, enum slot slot,
				enum part part)
{
	uint32_t i = layer < s->n_layer ? *slot_at(s, layer, slot, part) : 0;

	return i ? model_tensor(s->model, i - 1) : NULL;
}

const struct tensor *shape_weight(const struct shape *s, uint32_t layer, enum slot slot)
{
	return shape_part(s, layer, slot, PART_WEIGHT);
}

const struct tensor *shape_global_part(const struct shape *s, enum global global, enum part part)
{
	uint32_t i = s->globals[global][part];

	return i ? model_tensor(s->model, i - 1) : NULL;
}

const struct tensor *shape_global(const struct shape *s, enum global global)
{
	return shape_global_part(s, global, PART_WEIGHT);
}

uint32_t shape_index(const struct shape *s, const struct tensor *t)
{
	return (uint32_t)(t - model_tensor(s->model, 0));
}

bool layer_attends(const struct layer *l)
{
	return l->mixer == MIXER_ATTENTION || l->mixer == MIXER_MLA || l->mixer == MIXER_DSV4 ||
	       l->mixer == MIXER_BOTH;
}

bool layer_recurs(const struct layer *l)
{
	return l->mixer != MIXER_NONE && (!layer_attends(l) || l->mixer == MIXER_BOTH);
}
