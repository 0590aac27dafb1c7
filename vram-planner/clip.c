/* SPDX-License-Identifier: MIT */
/*
 * The encoder is a transformer over patches and a projection: llama.cpp v0.7.0, mtmd. Tails that are not
 * modelled here (merging, one product) are smaller than a layer and never the peak.
 */
#include "vram-planner/clip.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "vram-planner/gsched.h"
#include "vram-planner/placement.h"

#define SIDE_MAX  16384 /* pixels, patches, widths: nobody has more */
#define LAYER_MAX 256
#define PATCH_MAX 1048576
#define KEPT_MAX  16

enum clip_rope { ROPE_NONE, ROPE_ONE, ROPE_TWO };

enum clip_tail {
	TAIL_SMALL,
	TAIL_POOL,  /* patches are averaged; the projection is stored the other way round */
	TAIL_MLP,   /* two products after the last layer but one */
	TAIL_MERGE, /* squares of patches side by side, and two products; of some layers, too */
};

/* How each projector cuts images up. Those that were measured say so. */
struct projector {
	const char *name;
	uint32_t
		max_tokens; /* of one image, after merging; 0: images are made as large as image_size */
	uint32_t merge;     /* patches of a side that become one token, unless the file says */
	enum clip_rope rope;
	enum clip_tail tail;
	bool two_convs; /* a second kernel for the second frame */
	bool windows;   /* most layers see windows: a mask of all patches by all */
	bool measured;
};

/* clang-format off */
static const struct projector projectors[] = {
	{ "mlp",              0,    1, ROPE_NONE, TAIL_MLP,   false, false, true },
	{ "gemma3",           0,    4, ROPE_NONE, TAIL_POOL,  false, false, true },
	{ "internvl",         0,    2, ROPE_NONE, TAIL_SMALL, false, false, true },
	{ "idefics3",         0,    4, ROPE_NONE, TAIL_SMALL, false, false, true },
	{ "qwen2vl_merger",   4096, 2, ROPE_ONE,  TAIL_MERGE, true,  false, true },
	{ "qwen2.5vl_merger", 4096, 2, ROPE_ONE,  TAIL_MERGE, true,  true,  true },
	{ "qwen3vl_merger",   4096, 2, ROPE_ONE,  TAIL_MERGE, true,  false, false },
	{ "pixtral",          1024, 1, ROPE_TWO,  TAIL_SMALL, false, false, false },
	{ "kimivl",           1024, 2, ROPE_TWO,  TAIL_SMALL, false, false, false },
	{ "gemma4v",          1120, 3, ROPE_TWO,  TAIL_SMALL, false, false, false },
	{ "lfm2",             256,  2, ROPE_NONE, TAIL_SMALL, false, false, false },
	{ "minimax_m3",       576,  2, ROPE_ONE,  TAIL_SMALL, true,  false, false },
	{ "llama4",           0,    2, ROPE_TWO,  TAIL_SMALL, false, false, false },
};
/* clang-format on */

/* What the header says. */
struct clip {
	const struct model *m;
	const struct projector *row;
	uint32_t size, patch, n_embd, n_ff, n_layer, n_head, merge, patches;
};

bool clip_is(const struct model *m)
{
	return strcmp(model_arch(m), "clip") == 0;
}

static const struct projector *projector_of(const struct model *m)
{
	char name[48];

	if (!model_text(m, "clip.projector_type", name, sizeof(name)) &&
	    !model_text(m, "clip.vision.projector_type", name, sizeof(name)))
		return NULL;
	for (size_t i = 0; i < sizeof(projectors) / sizeof(projectors[0]); i++) {
		if (strcmp(projectors[i].name, name) == 0)
			return &projectors[i];
	}
	return NULL;
}

static int need(uint32_t *to, const struct clip *c, const char *key, uint32_t max, struct err *e)
{
	uint64_t v;

	if (!model_u64(c->m, key, &v))
		return err_set(e, -EBADMSG, "the image encoder's key %s is missing", key);
	if (v == 0 || v > max)
		return err_set(e, -EBADMSG,
			       "the image encoder's key %s is %" PRIu64 "; 1 to %" PRIu32
			       " make sense",
			       key, v, max);
	*to = (uint32_t)v;
	return 0;
}

static int read_keys(struct clip *c, struct err *e)
{
	uint64_t v;
	int rc = need(&c->size, c, "clip.vision.image_size", SIDE_MAX, e);

	if (!rc)
		rc = need(&c->patch, c, "clip.vision.patch_size", 1024, e);
	if (!rc)
		rc = need(&c->n_embd, c, "clip.vision.embedding_length", SIDE_MAX, e);
	if (!rc)
		rc = need(&c->n_ff, c, "clip.vision.feed_forward_length", 4 * SIDE_MAX, e);
	if (!rc)
		rc = need(&c->n_layer, c, "clip.vision.block_count", LAYER_MAX, e);
	if (!rc)
		rc = need(&c->n_head, c, "clip.vision.attention.head_count", 1024, e);
	if (!rc && c->n_embd % c->n_head)
		rc = err_set(e, -EBADMSG, "the image encoder's heads do not divide its width");
	c->merge = c->row->merge;
	if (!rc &&
	    (model_u64(c->m, "clip.vision.spatial_merge_size", &v) ||
	     model_u64(c->m, "clip.vision.projector.scale_factor", &v)) &&
	    v > 0 && v <= 16)
		c->merge = (uint32_t)v;
	return rc;
}

/* Patches of the largest image. */
static int count_patches(struct clip *c, struct err *e)
{
	uint64_t side = c->size / c->patch, n = side * side, pixels;

	if (c->row->max_tokens)
		n = (uint64_t)c->row->max_tokens * c->merge * c->merge;
	if (model_u64(c->m, "clip.vision.image_max_pixels", &pixels))
		n = pixels / ((uint64_t)c->patch * c->patch);
	if (c->row->tail == TAIL_POOL && side < c->merge)
		return err_set(e, -EBADMSG, "its images are smaller than the tiles it averages");
	if (n == 0 || n > PATCH_MAX)
		return err_set(e, -EBADMSG, "its images have %" PRIu64 " patches", n);
	c->patches = (uint32_t)n;
	return 0;
}

/* --- the graph --- */

struct vit {
	struct graph *g;
	const struct clip *c;
	int64_t n; /* patches, and the class token */
	bool flash_attn;
	int positions, columns, mask;
	uint32_t n_kept;
	struct {
		int layer, x;
	} kept[KEPT_MAX]; /* outputs of layers that are used again */
};

static const struct tensor *find(const struct vit *v, int layer, const char *name)
{
	char full[64];

	if (layer < 0)
		snprintf(full, sizeof(full), "v.%s", name);
	else
		snprintf(full, sizeof(full), "v.blk.%d.%s", layer, name);
	return model_find_tensor(v->c->m, full);
}

static int leaf(struct vit *v, const struct tensor *t)
{
	int64_t ne[G_DIMS];

	for (int i = 0; t && i < G_DIMS; i++)
		ne[i] = (int64_t)t->ne[i];
	return t ? g_placed(v->g, t->type, ne, 0, GF_WEIGHT) : G_NONE;
}

static int weight(struct vit *v, int layer, const char *name)
{
	return leaf(v, find(v, layer, name));
}

/* Of the projector; without a name of its own. */
static int mm(struct vit *v, const char *name)
{
	return leaf(v, model_find_tensor(v->c->m, name));
}

static int linear(struct vit *v, int layer, const char *name, int x)
{
	char bias[40], matrix[40];

	snprintf(matrix, sizeof(matrix), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	x = g_mul_mat(v->g, weight(v, layer, matrix), x);
	return find(v, layer, bias) ? g_add(v->g, x, weight(v, layer, bias)) : x;
}

static int norm(struct vit *v, int layer, const char *name, int x)
{
	char bias[40], scale[40];

	snprintf(scale, sizeof(scale), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	if (!find(v, layer, scale))
		return x;
	x = find(v, layer, bias) ? g_norm(v->g, x) : g_rms_norm(v->g, x);
	x = g_mul(v->g, x, weight(v, layer, scale));
	return find(v, layer, bias) ? g_add(v->g, x, weight(v, layer, bias)) : x;
}

/* A convolution with a stride of its own width: patches as rows, then a product. */
static int convolution(struct vit *v, const char *kernel, int image)
{
	const struct tensor *k = find(v, -1, kernel);
	int64_t area = (int64_t)v->c->patch * v->c->patch * 3;
	int64_t ne[G_DIMS] = { area, v->c->patches, 1, 1 };
	int rows, matrix;

	if (!k)
		return G_NONE;
	matrix = weight(v, -1, kernel);
	const int src[2] = { matrix, image };

	rows = g_other(v->g, k->type == GT_F32 ? GT_F32 : GT_F16, ne, src, 2);
	return g_mul_mat(v->g, rows, g_reshape_2d(v->g, matrix, area, v->c->n_embd));
}

static int patches(struct vit *v)
{
	struct graph *g = v->g;
	int64_t pixels = (int64_t)v->c->patches * v->c->patch * v->c->patch;
	int image = g_input(g, GT_F32, pixels, 3, 1, 1);
	int x = convolution(v, "patch_embd.weight", image);

	if (v->c->row->two_convs && find(v, -1, "patch_embd.weight.1"))
		x = g_add(g, x, convolution(v, "patch_embd.weight.1", image));
	x = g_cont(g, g_transpose(g, x)); /* a column a patch */
	if (find(v, -1, "patch_embd.bias"))
		x = g_add(g, x, weight(v, -1, "patch_embd.bias"));
	if (v->n > v->c->patches)
		x = g_concat(g, x, g_reshape_2d(g, weight(v, -1, "class_embd"), v->c->n_embd, 1),
			     1);
	if (!find(v, -1, "position_embd.weight"))
		return x;
	/* Learned positions: looked up, or as many as patches, or stretched to as many. */
	if (v->c->row->tail == TAIL_MLP)
		return g_add(g, x,
			     g_get_rows(g, weight(v, -1, "position_embd.weight"), v->positions));
	return g_add(g, x, g_new(g, GT_F32, v->c->n_embd, v->n, 1, 1));
}

static int heads(struct vit *v, int x)
{
	return g_reshape_3d(v->g, x, v->c->n_embd / v->c->n_head, v->c->n_head, v->n);
}

/* By both axes: one half of each head after the other, in the same place. */
static int rotate(struct vit *v, int x)
{
	if (v->c->row->rope == ROPE_NONE)
		return x;
	x = g_rope(v->g, x, v->positions, G_NONE);
	return v->c->row->rope == ROPE_TWO ? g_rope(v->g, x, v->columns, G_NONE) : x;
}

/* A third of a product that has queries, keys and values side by side. */
static int third(struct vit *v, int x)
{
	int64_t head = v->c->n_embd / v->c->n_head;

	return g_view_3d(v->g, x, head, v->c->n_head, v->n, (uint64_t)head * 4, g_nb(v->g, x, 1));
}

static int attention(struct vit *v, int layer, int x)
{
	struct graph *g = v->g;
	bool fused = find(v, layer, "attn_qkv.weight");
	int q, k, w;

	if (fused)
		x = linear(v, layer, "attn_qkv", x);
	q = rotate(v, fused ? third(v, x) : heads(v, linear(v, layer, "attn_q", x)));
	k = rotate(v, fused ? third(v, x) : heads(v, linear(v, layer, "attn_k", x)));
	w = fused ? third(v, x) : heads(v, linear(v, layer, "attn_v", x));

	g_expand(g, q);
	g_expand(g, k);
	g_expand(g, w);
	q = g_permute(g, q, 0, 2, 1, 3);
	k = g_permute(g, k, 0, 2, 1, 3);
	if (v->flash_attn) {
		w = g_cast(g, g_permute(g, w, 0, 2, 1, 3), GT_F16);
		x = g_flash_attn(g, q, g_cast(g, k, GT_F16), w, v->mask, G_NONE);
		x = g_reshape_2d(g, x, v->c->n_embd, v->n);
	} else {
		w = g_cont(g, g_permute(g, w, 1, 2, 0, 3));
		x = g_soft_max(g, g_mul_mat(g, k, q), v->mask, G_NONE);
		x = g_permute(g, g_mul_mat(g, w, x), 0, 2, 1, 3);
		x = g_cont_2d(g, x, v->c->n_embd, v->n);
	}
	return linear(v, layer, "attn_out", x);
}

static int feed_forward(struct vit *v, int layer, int x)
{
	int up = linear(v, layer, "ffn_up", x);

	if (find(v, layer, "ffn_gate.weight"))
		up = g_glu(v->g, linear(v, layer, "ffn_gate", x), up, GLU_GEGLU);
	else
		up = g_unary(v->g, up, UN_GELU);
	return linear(v, layer, "ffn_down", up);
}

/* Square tiles of merge x merge patches become one. The weight is turned around first. */
static int pool(struct vit *v, int x)
{
	struct graph *g = v->g;
	int64_t side = v->c->size / v->c->patch, left = side / v->c->merge;
	const int64_t ne[G_DIMS] = { left, left, v->c->n_embd, 1 };
	int turned = g_cont(g, g_transpose(g, mm(v, "mm.input_projection.weight")));

	x = g_cont_4d(g, g_transpose(g, x), side, side, v->c->n_embd, 1);
	x = g_other(g, GT_F32, ne, &x, 1);
	x = g_reshape_3d(g, x, left * left, v->c->n_embd, 1);
	x = g_rms_norm(g, g_cont(g, g_transpose(g, x)));
	x = g_mul(g, x, mm(v, "mm.soft_emb_norm.weight"));
	return g_mul_mat(g, turned, x);
}

static int mlp(struct vit *v, int x)
{
	struct graph *g = v->g;

	x = g_get_rows(g, x, g_input(g, GT_I32, v->c->patches, 1, 1, 1));
	x = g_add(g, g_mul_mat(g, mm(v, "mm.0.weight"), x), mm(v, "mm.0.bias"));
	x = g_unary(g, x, UN_GELU);
	if (!model_find_tensor(v->c->m, "mm.2.weight"))
		return x;
	return g_add(g, g_mul_mat(g, mm(v, "mm.2.weight"), x), mm(v, "mm.2.bias"));
}

/* Names such as "mm.0" and "v.deepstack.8.fc1". */
static int product(struct vit *v, const char *name, int x)
{
	char matrix[64], bias[64];

	snprintf(matrix, sizeof(matrix), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	return g_add(v->g, g_mul_mat(v->g, mm(v, matrix), x), mm(v, bias));
}

static int merged(struct vit *v, int x)
{
	int64_t area = (int64_t)v->c->merge * v->c->merge;

	return g_reshape_3d(v->g, x, v->c->n_embd * area, v->n / area, 1);
}

/* What layers gave on the way waits until the last one is done. */
static int deepstack(struct vit *v)
{
	int all = G_NONE;

	for (uint32_t i = 0; i < v->n_kept; i++) {
		char norm_[64], first[64], second[64], bias[64];
		int x = g_norm(v->g, merged(v, v->kept[i].x));

		snprintf(norm_, sizeof(norm_), "v.deepstack.%d.norm.weight", v->kept[i].layer);
		snprintf(bias, sizeof(bias), "v.deepstack.%d.norm.bias", v->kept[i].layer);
		snprintf(first, sizeof(first), "v.deepstack.%d.fc1", v->kept[i].layer);
		snprintf(second, sizeof(second), "v.deepstack.%d.fc2", v->kept[i].layer);
		x = g_add(v->g, g_mul(v->g, x, mm(v, norm_)), mm(v, bias));
		x = product(v, second, g_unary(v->g, product(v, first, x), UN_GELU));
		all = i ? g_concat(v->g, all, x, 0) : x;
	}
	return all;
}

static int merge(struct vit *v, int x)
{
	x = product(v, "mm.0", merged(v, x));
	x = product(v, "mm.2", g_unary(v->g, x, UN_GELU));
	return v->n_kept ? g_concat(v->g, x, deepstack(v), 0) : x;
}

static void keep(struct vit *v, int layer, int x)
{
	char name[64];

	snprintf(name, sizeof(name), "v.deepstack.%d.fc1.weight", layer);
	if (v->n_kept == KEPT_MAX || !model_find_tensor(v->c->m, name))
		return;
	v->kept[v->n_kept].layer = layer;
	v->kept[v->n_kept++].x = x;
}

static void build(struct vit *v)
{
	struct graph *g = v->g;
	int x;

	v->positions = g_input(g, GT_I32, v->c->row->rope == ROPE_ONE ? 4 * v->n : v->n, 1, 1, 1);
	v->columns = g_input(g, GT_I32, v->n, 1, 1, 1);
	x = patches(v);
	if (v->c->row->windows)
		v->mask = g_input(g, v->flash_attn ? GT_F16 : GT_F32, v->n, v->n, 1, 1);
	x = norm(v, -1, "pre_ln", x);
	/* Features are taken before the last layer. */
	int layers = (int)v->c->n_layer - (v->c->row->tail == TAIL_MLP);

	for (int il = 0; il < layers; il++) {
		int before = x;

		x = g_add(g, attention(v, il, norm(v, il, "ln1", x)), before);
		before = x;
		x = g_add(g, before, feed_forward(v, il, norm(v, il, "ln2", x)));
		keep(v, il, x);
	}
	x = norm(v, -1, "post_ln", x);
	if (v->c->row->tail == TAIL_POOL)
		x = pool(v, x);
	if (v->c->row->tail == TAIL_MLP)
		x = mlp(v, x);
	if (v->c->row->tail == TAIL_MERGE)
		x = merge(v, x);
	g_expand(g, x);
}

static int graph_bytes(struct clip_bytes *out, struct clip *c, const struct backend *b,
		       bool flash_attn, struct err *e)
{
	const struct backend *cpu = backend_find("cpu");
	struct side sides[2] = { { .backend = b, .alignment = b->alignment },
				 { .backend = cpu, .alignment = cpu->alignment } };
	struct sched sched = { .sides = sides, .n_sides = 2, .n_copies = 1, .offloads = true };
	struct graph g = { 0 };
	struct galloc *scratch = NULL;
	struct vit v = { .g = &g, .c = c, .flash_attn = flash_attn };
	uint64_t sizes[2] = { 0 };

	v.n = (int64_t)c->patches + (find(&v, -1, "class_embd") ? 1 : 0);
	build(&v);
	int rc = g.fault ? -EBADMSG : sched_graph(&sched, &g);

	if (!rc)
		rc = galloc_sizes(&scratch, &g, &sched.laid, sides, 2, sizes);
	if (rc)
		err_set(e, -EBADMSG, "the image encoder's tensors do not fit together: %s",
			g.fault ? g.fault : "no such graph");
	out->compute = sizes[0];
	out->host = sizes[1];
	out->patches = c->patches;
	galloc_free(scratch);
	sched_fini(&sched);
	graph_fini(&g);
	return rc ? -EBADMSG : 0;
}

/* Of a known projector. */
static int known_bytes(struct clip_bytes *out, struct clip *c, const struct backend *b,
		       bool flash_attn, struct err *e)
{
	int rc = read_keys(c, e);

	if (!rc)
		rc = count_patches(c, e);
	return rc ? rc : graph_bytes(out, c, b, flash_attn, e);
}

int clip_bytes(struct clip_bytes *out, const struct model *m, const struct backend *b,
	       bool flash_attn, struct err *e)
{
	struct clip c = { .m = m, .row = projector_of(m) };
	struct err why = { 0 };
	const char *note = "";
	uint64_t audio;

	*out = (struct clip_bytes) { 0 };
	for (uint32_t i = 0; i < model_n_tensors(m); i++) {
		const struct tensor *t = model_tensor(m, i);

		out->weights += placed_bytes(b, t->type, t->ne[0], t->bytes);
	}
	int rc = c.row ? known_bytes(out, &c, b, flash_attn, &why) : -ENOTSUP;

	if (rc && c.row && c.row->measured)
		return err_set(e, rc, "%s", why.text);
	/* A row that nobody measured may have got the file's keys or tensors wrong. */
	if (rc)
		note = "the graph of its projector is unknown: only its weights are counted";
	else if (!c.row->measured)
		note = "the graph of its projector is not verified";
	if (model_u64(m, "clip.has_audio_encoder", &audio) && audio)
		note = "the graph of its audio encoder is not counted";
	text_copy(out->note, sizeof(out->note), note);
	return 0;
}
