/* SPDX-License-Identifier: MIT */
/*
 * The GGUF header: magic, version, counts, key-value pairs, tensor table. Written from the format's
 * specification (ggml/docs/gguf.md). The bytes are hostile: every read goes through take(), every
 * count is compared with what the bytes left could hold before anything is allocated for it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "vram-planner/model_priv.h"

#define KEY_MAX         65535 /* the specification's own bound */
#define TENSOR_NAME_MAX 63    /* GGML_MAX_NAME less the NUL: the engine refuses longer ones */
#define ALIGNMENT_MAX   (UINT64_C(1) << 30)
#define LAYER_MAX       100000 /* a block number above this is no block number */

/* The least bytes that one entry takes, to bound counts: empty key + type + one-byte value, ... */
#define KV_LEAST     (8 + 1 + 4 + 1)
#define TENSOR_LEAST (8 + 4 + 4 + 8)

/* Bytes per scalar; 0: has its own length. */
static const uint8_t kv_sizes[KV_COUNT] = {
	[KV_U8] = 1,  [KV_I8] = 1,   [KV_U16] = 2, [KV_I16] = 2, [KV_U32] = 4, [KV_I32] = 4,
	[KV_F32] = 4, [KV_BOOL] = 1, [KV_U64] = 8, [KV_I64] = 8, [KV_F64] = 8,
};

/* What files that are not GGUF begin with; helps whoever took the wrong file. */
static const struct {
	const char *magic;
	const char *what;
} others[] = {
	{ "PK\3\4", "a zip archive or a PyTorch checkpoint" },
	{ "lmgg", "a GGML file from before GGUF" },
	{ "tjgg", "a GGJT file from before GGUF" },
	{ "\177ELF", "a program" },
	{ "vers", "a Git LFS pointer; run 'git lfs pull'" },
	{ "<!DO", "a web page" },
	{ "<htm", "a web page" },
	{ "\x1f\x8b\x08", "a gzip archive" },
	{ "\xfd"
	  "7zX",
	  "an xz archive" },
};

struct cursor {
	const uint8_t *at, *end;
	struct model *m;
	bool *more;
	struct err *e;
	char doing[96]; /* "tensor 3", "the value of 'x'": where the bytes ran out */
};

static uint64_t left(const struct cursor *c)
{
	return (uint64_t)(c->end - c->at);
}

static int ran_out(struct cursor *c)
{
	*c->more = c->m->size < c->m->file_size;
	return err_set(c->e, -EBADMSG,
		       "truncated: the file ends at byte %" PRIu64 ", inside %s; fetch it again",
		       c->m->size, c->doing);
}

static int take(struct cursor *c, uint64_t n, const uint8_t **p)
{
	if (n > left(c))
		return ran_out(c);
	*p = c->at;
	c->at += n;
	return 0;
}

static int take_u32(struct cursor *c, uint32_t *v)
{
	const uint8_t *p = NULL;

	if (take(c, sizeof(*v), &p))
		return -EBADMSG;
	memcpy(v, p, sizeof(*v));
	return 0;
}

static int take_u64(struct cursor *c, uint64_t *v)
{
	const uint8_t *p = NULL;

	if (take(c, sizeof(*v), &p))
		return -EBADMSG;
	memcpy(v, p, sizeof(*v));
	return 0;
}

/*
 * A count of things that take at least `least` bytes each. More than the whole file could hold is
 * absurd; more than the bytes at hand only means that we have not read far enough.
 */
static int take_count(struct cursor *c, uint64_t least, const char *what, uint64_t *n)
{
	uint64_t behind = c->m->file_size - c->m->size; /* not read yet */

	if (take_u64(c, n))
		return -EBADMSG;
	if (*n > (left(c) + behind) / least)
		return err_set(c->e, -EBADMSG,
			       "absurd count: %" PRIu64 " %s, but only %" PRIu64 " bytes follow; "
			       "the file is cut short or broken",
			       *n, what, left(c) + behind);
	if (*n > left(c) / least)
		return ran_out(c);
	return 0;
}

static int take_name(struct cursor *c, uint64_t max, const char *what, const char **s,
		     uint32_t *len)
{
	const uint8_t *p = NULL;
	uint64_t n;

	if (take_u64(c, &n))
		return -EBADMSG;
	if (n > max)
		return err_set(c->e, -EBADMSG, "a %s of %" PRIu64 " bytes in %s; at most %" PRIu64,
			       what, n, c->doing, max);
	if (take(c, n, &p))
		return -EBADMSG;
	*s = (const char *)p;
	*len = (uint32_t)n;
	return 0;
}

/* Step over n texts. */
static int skip_texts(struct cursor *c, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t len;
		const uint8_t *p;

		if (take_u64(c, &len))
			return -EBADMSG;
		if (len > left(c) + (c->m->file_size - c->m->size))
			return err_set(c->e, -EBADMSG,
				       "absurd size: a text of %" PRIu64
				       " bytes in %s, with %" PRIu64 " bytes left in the file",
				       len, c->doing, left(c) + (c->m->file_size - c->m->size));
		if (take(c, len, &p))
			return -EBADMSG;
	}
	return 0;
}

static int take_value(struct cursor *c, struct kv *kv)
{
	uint32_t type;
	const uint8_t *p = NULL;

	if (take_u32(c, &type))
		return -EBADMSG;
	kv->n = 1;
	kv->is_array = type == KV_ARRAY;
	if (kv->is_array) {
		if (take_u32(c, &type))
			return -EBADMSG;
		if (type < KV_COUNT && type != KV_ARRAY &&
		    take_count(c, kv_sizes[type] ? kv_sizes[type] : 8, "array elements", &kv->n))
			return -EBADMSG;
	}
	if (type >= KV_COUNT || type == KV_ARRAY)
		return err_set(c->e, -EBADMSG, "%s has the unknown type %" PRIu32, c->doing, type);
	kv->type = (enum kv_type)type;
	kv->value = c->at;
	if (kv->type == KV_TEXT)
		return skip_texts(c, kv->n);
	return take(c, kv->n * kv_sizes[kv->type], &p); /* cannot overflow: n was bounded above */
}

/* The engine writes keys into its log as they are; who reads that (core/serverlog.c) goes by lines. */
static bool has_control(const char *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return true;
	return false;
}

static int take_kv(struct cursor *c, uint64_t i, struct kv *kv)
{
	char key[64];

	snprintf(c->doing, sizeof(c->doing), "metadata pair %" PRIu64, i);
	if (take_name(c, KEY_MAX, "key", &kv->key, &kv->key_len))
		return -EBADMSG;
	if (kv->key_len == 0)
		return err_set(c->e, -EBADMSG, "metadata pair %" PRIu64 " has an empty key", i);
	if (has_control(kv->key, kv->key_len))
		return err_set(c->e, -EBADMSG,
			       "metadata pair %" PRIu64 " has a key with control characters", i);
	snprintf(key, sizeof(key), "%.*s", (int)(kv->key_len < 60 ? kv->key_len : 60), kv->key);
	snprintf(c->doing, sizeof(c->doing), "the value of '%s'", text_clean(key));
	return take_value(c, kv);
}

static int compare(const char *a, uint32_t la, const char *b, uint32_t lb)
{
	int d = memcmp(a, b, la < lb ? la : lb);

	return d ? d : (la > lb) - (la < lb);
}

static int by_key(const void *a, const void *b)
{
	const struct kv *x = a, *y = b;

	return compare(x->key, x->key_len, y->key, y->key_len);
}

static int take_kvs(struct cursor *c, uint64_t n)
{
	struct model *m = c->m;

	m->kvs = calloc(n ? n : 1, sizeof(*m->kvs));
	if (!m->kvs)
		return err_set(c->e, -ENOMEM, "no memory for %" PRIu64 " metadata pairs", n);
	for (m->n_kvs = 0; m->n_kvs < n; m->n_kvs++) {
		int rc = take_kv(c, m->n_kvs, &m->kvs[m->n_kvs]);

		if (rc)
			return rc;
	}
	qsort(m->kvs, n, sizeof(*m->kvs), by_key);
	for (uint64_t i = 1; i < n; i++) {
		char key[64];

		if (by_key(&m->kvs[i - 1], &m->kvs[i]) != 0)
			continue;
		snprintf(key, sizeof(key), "%.*s",
			 (int)(m->kvs[i].key_len < 60 ? m->kvs[i].key_len : 60), m->kvs[i].key);
		return err_set(c->e, -EBADMSG, "the key '%s' stands there twice", text_clean(key));
	}
	return 0;
}

const struct kv *gguf_find(const struct model *m, const char *key)
{
	struct kv want = { .key = key, .key_len = (uint32_t)strlen(key) };

	return m->n_kvs ? bsearch(&want, m->kvs, m->n_kvs, sizeof(want), by_key) : NULL;
}

static int check_alignment(struct model *m, struct err *e)
{
	const struct kv *kv = gguf_find(m, "general.alignment");
	uint32_t v;

	m->alignment = 32; /* the specification's default */
	if (!kv)
		return 0;
	if (kv->type != KV_U32 || kv->is_array)
		return err_set(e, -EBADMSG, "general.alignment is not a 32-bit number");
	memcpy(&v, kv->value, sizeof(v));
	if (v == 0 || (v & (v - 1)) != 0 || v > ALIGNMENT_MAX)
		return err_set(
			e, -EBADMSG,
			"general.alignment is %" PRIu32 "; a power of two up to 2^30 is needed", v);
	m->alignment = v;
	return 0;
}

/* "blk.17.attn_q.weight" -> 17; -1 when the name has no block number. */
static int32_t layer_of(const char *name, uint32_t len)
{
	int32_t layer = 0;
	uint32_t i = 4;

	if (len < 6 || memcmp(name, "blk.", 4) != 0)
		return -1;
	for (; i < len && name[i] >= '0' && name[i] <= '9'; i++) {
		layer = layer * 10 + (name[i] - '0');
		if (layer > LAYER_MAX)
			return -1;
	}
	return i > 4 && i < len && name[i] == '.' ? layer : -1;
}

/* Number of weights: the product of the dimensions, in the engine's range (below 2^63). */
static bool count_weights(const struct tensor *t, uint64_t *n)
{
	*n = 1;
	for (int d = 0; d < 4; d++) {
		if (__builtin_mul_overflow(*n, t->ne[d], n) || *n > INT64_MAX)
			return false;
	}
	return true;
}

static int check_shape(struct tensor *t, const char *name, struct err *e)
{
	uint64_t row, n;

	if (!quant_name(t->type))
		return err_set(e, -EBADMSG,
			       "tensor '%s' has the unknown type %" PRIu32
			       "; is the file newer than berth?",
			       name, t->type);
	for (int d = 0; d < 4; d++) {
		if (t->ne[d] > INT64_MAX)
			return err_set(e, -EBADMSG,
				       "tensor '%s' has an absurd dimension of %" PRIu64, name,
				       t->ne[d]);
	}
	if (!count_weights(t, &n))
		return err_set(e, -EBADMSG,
			       "tensor '%s' has absurd dimensions: their product overflows", name);
	if (!quant_bytes(t->type, t->ne[0], &row))
		return err_set(e, -EBADMSG,
			       "tensor '%s' has rows of %" PRIu64 " weights, which %s cannot hold",
			       name, t->ne[0], quant_name(t->type));
	if (!quant_bytes(t->type, n, &t->bytes) || t->bytes > INT64_MAX / 8)
		return err_set(e, -EBADMSG, "tensor '%s' has an absurd size", name);
	return 0;
}

static int take_tensor(struct cursor *c, uint32_t i, struct tensor *t)
{
	char name[TENSOR_NAME_MAX + 1];

	snprintf(c->doing, sizeof(c->doing), "tensor %" PRIu32 " of the tensor table", i);
	if (take_name(c, TENSOR_NAME_MAX, "tensor name", &t->name, &t->name_len) ||
	    take_u32(c, &t->n_dims))
		return -EBADMSG;
	memcpy(name, t->name, t->name_len);
	name[t->name_len] = '\0';
	text_clean(name);
	if (t->n_dims > 4)
		return err_set(c->e, -EBADMSG, "tensor '%s' has %" PRIu32 " dimensions; at most 4",
			       name, t->n_dims);
	for (uint32_t d = 0; d < 4; d++) {
		t->ne[d] = 1;
		if (d < t->n_dims && take_u64(c, &t->ne[d]))
			return -EBADMSG;
	}
	if (take_u32(c, &t->type) || take_u64(c, &t->offset) || check_shape(t, name, c->e))
		return -EBADMSG;
	t->layer = layer_of(t->name, t->name_len);
	/* The engine insists on tensors back to back; a gap or an overlap is a broken file. */
	if (t->offset != c->m->data_bytes)
		return err_set(c->e, -EBADMSG,
			       "the data of tensor '%s' begins at %" PRIu64 "; %" PRIu64
			       " was expected",
			       name, t->offset, c->m->data_bytes);
	if (t->bytes > INT64_MAX / 4 - c->m->alignment - c->m->data_bytes)
		return err_set(c->e, -EBADMSG, "the tensors up to '%s' have an absurd size", name);
	c->m->data_bytes += (t->bytes + c->m->alignment - 1) & ~(c->m->alignment - 1);
	return 0;
}

static int by_tensor_name(const void *a, const void *b, void *arg)
{
	const struct tensor *all = arg, *x = &all[*(const uint32_t *)a],
			    *y = &all[*(const uint32_t *)b];

	return compare(x->name, x->name_len, y->name, y->name_len);
}

static int sort_tensors(struct model *m, struct err *e)
{
	m->by_name = calloc(m->n_tensors ? m->n_tensors : 1, sizeof(*m->by_name));
	if (!m->by_name)
		return err_set(e, -ENOMEM, "no memory for %" PRIu32 " tensors", m->n_tensors);
	for (uint32_t i = 0; i < m->n_tensors; i++)
		m->by_name[i] = i;
	qsort_r(m->by_name, m->n_tensors, sizeof(*m->by_name), by_tensor_name, m->tensors);
	for (uint32_t i = 1; i < m->n_tensors; i++) {
		char name[TENSOR_NAME_MAX + 1];
		const struct tensor *t = &m->tensors[m->by_name[i]];

		if (by_tensor_name(&m->by_name[i - 1], &m->by_name[i], m->tensors) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)t->name_len, t->name);
		return err_set(e, -EBADMSG, "two tensors are called '%s'", text_clean(name));
	}
	return 0;
}

static int take_tensors(struct cursor *c, uint64_t n)
{
	struct model *m = c->m;

	if (n > UINT32_MAX)
		return err_set(c->e, -EBADMSG, "absurd count: %" PRIu64 " tensors", n);
	m->tensors = calloc(n ? n : 1, sizeof(*m->tensors));
	if (!m->tensors)
		return err_set(c->e, -ENOMEM, "no memory for %" PRIu64 " tensors", n);
	for (m->n_tensors = 0; m->n_tensors < n; m->n_tensors++) {
		int rc = take_tensor(c, m->n_tensors, &m->tensors[m->n_tensors]);

		if (rc)
			return rc;
	}
	return sort_tensors(m, c->e);
}

int gguf_append(struct model *m, const struct model *shard, struct err *e)
{
	uint64_t n = (uint64_t)m->n_tensors + shard->n_tensors;

	if (n > UINT32_MAX)
		return err_set(e, -EBADMSG, "absurd count: %" PRIu64 " tensors", n);
	struct tensor *all = reallocarray(m->tensors, n ? n : 1, sizeof(*all));

	if (!all)
		return err_set(e, -ENOMEM, "no memory for %" PRIu64 " tensors", n);
	m->tensors = all;
	for (uint32_t i = 0; i < shard->n_tensors; i++) {
		all[m->n_tensors] = shard->tensors[i];
		all[m->n_tensors++].shard = m->n_shards;
	}
	free(m->by_name);
	return sort_tensors(m, e);
}

static int take_magic(struct cursor *c)
{
	uint32_t version;
	const uint8_t *p = NULL;

	snprintf(c->doing, sizeof(c->doing), "the first 24 bytes");
	if (left(c) == 0)
		return err_set(c->e, -EBADMSG, "the file is empty");
	if (memcmp(c->at, "GGUF", left(c) < 4 ? left(c) : 4) != 0) {
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
			size_t n = strlen(others[i].magic);

			if (left(c) >= n && memcmp(c->at, others[i].magic, n) == 0)
				return err_set(c->e, -EBADMSG, "not a GGUF file: it looks like %s",
					       others[i].what);
		}
		char found[16];
		uint64_t n = left(c) < 4 ? left(c) : 4;

		return err_set(c->e, -EBADMSG,
			       "not a GGUF file: it begins with the bytes %s, not with 'GGUF'",
			       text_hex(found, c->at, n));
	}
	if (take(c, 4, &p) || take_u32(c, &version))
		return -EBADMSG;
	if ((version & 0xffff) == 0 && version != 0)
		return err_set(c->e, -EBADMSG,
			       "a big-endian GGUF file; this machine needs the little-endian one");
	if (version != 2 && version != 3)
		return err_set(c->e, -EBADMSG, "GGUF version %" PRIu32 "; berth reads 2 and 3",
			       version);
	return 0;
}

void gguf_forget(struct model *m)
{
	free(m->kvs);
	free(m->tensors);
	free(m->by_name);
	m->kvs = NULL;
	m->tensors = NULL;
	m->by_name = NULL;
	m->n_kvs = 0;
	m->n_tensors = 0;
	m->data_bytes = 0;
}

int gguf_parse(struct model *m, bool *more, struct err *e)
{
	struct cursor c = {
		.at = m->bytes, .end = m->bytes + m->size, .m = m, .more = more, .e = e
	};
	uint64_t n_tensors, n_kvs;

	*more = false;
	int rc = take_magic(&c);

	if (!rc)
		rc = take_count(&c, TENSOR_LEAST, "tensors", &n_tensors);
	if (!rc)
		rc = take_count(&c, KV_LEAST, "metadata pairs", &n_kvs);
	if (!rc)
		rc = take_kvs(&c, n_kvs);
	if (!rc)
		rc = check_alignment(m, e);
	if (!rc)
		rc = take_tensors(&c, n_tensors);
	m->header_bytes = (uint64_t)(c.at - m->bytes);
	return rc;
}
