/* SPDX-License-Identifier: MIT */
/* A model: opening the file, and answers from what gguf.c found in its header. */
#include "vram-planner/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "vram-planner/model_priv.h"
#include "vram-planner/split.h"

bool model_text(const struct model *m, const char *key, char *buf, size_t size)
{
	const struct kv *kv = gguf_find(m, key);
	uint64_t n;

	if (!kv || kv->type != KV_TEXT || kv->is_array)
		return false;
	memcpy(&n, kv->value, sizeof(n));
	if (n > size - 1)
		n = size - 1;
	memcpy(buf, kv->value + sizeof(n), n);
	buf[n] = '\0';
	text_clean(buf);
	return true;
}

int model_identify(struct model *m, struct err *e)
{
	if (!model_text(m, "general.architecture", m->arch, sizeof(m->arch)) || !m->arch[0])
		return err_set(e, -EBADMSG,
			       "the header names no architecture (general.architecture)");
	if (!model_text(m, "general.name", m->name, sizeof(m->name)) || !m->name[0]) {
		const char *slash = strrchr(m->path, '/');

		text_copy(m->name, sizeof(m->name), slash ? slash + 1 : m->path);
		text_clean(m->name);
	}
	return 0;
}

void model_add_note(struct model *m, const char *fmt, ...)
{
	va_list ap;

	if (m->n_notes == MODEL_NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(m->notes[m->n_notes], sizeof(m->notes[0]), fmt, ap);
	va_end(ap);
	text_clean(m->notes[m->n_notes++]);
}

const char *model_note(const struct model *m, uint32_t i)
{
	return i < m->n_notes ? m->notes[i] : NULL;
}

int model_from_bytes(struct model **out, const void *bytes, uint64_t size, struct err *e)
{
	struct model *m = calloc(1, sizeof(*m));
	bool more;

	*out = NULL;
	if (!m)
		return err_set(e, -ENOMEM, "no memory");
	m->bytes = bytes;
	m->size = m->file_size = size;
	int rc = gguf_parse(m, &more, e);

	if (!rc)
		rc = model_identify(m, e);
	if (rc) {
		model_close(m);
		return rc;
	}
	*out = m;
	return 0;
}

void model_close(struct model *m)
{
	if (!m)
		return;
	for (uint32_t i = 1; i < m->n_shards; i++)
		model_close(m->shards[i]);
	free(m->shards);
	gguf_forget(m);
	free(m->owned);
	free(m);
}

const char *model_path(const struct model *m)
{
	return m->path;
}

const char *model_arch(const struct model *m)
{
	return m->arch;
}

const char *model_name(const struct model *m)
{
	return m->name;
}

uint32_t model_n_shards(const struct model *m)
{
	return m->n_shards ? m->n_shards : 1;
}

/* Shard i; 0 is the model itself. */
static const struct model *shard_at(const struct model *m, uint32_t i)
{
	return i ? m->shards[i] : m;
}

uint64_t model_size_bytes(const struct model *m)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < model_n_shards(m); i++)
		sum += shard_at(m, i)->file_size;
	return sum;
}

uint64_t model_header_bytes(const struct model *m)
{
	return m->header_bytes;
}

void model_header_sha256(const struct model *m, char hex[65])
{
	char all[SPLIT_SHARDS_MAX][64]; /* without NULs: one text */

	hash_sha256(m->bytes, m->header_bytes, hex);
	if (m->n_shards == 0)
		return;
	for (uint32_t i = 0; i < m->n_shards; i++) {
		const struct model *shard = shard_at(m, i);

		hash_sha256(shard->bytes, shard->header_bytes, hex);
		memcpy(all[i], hex, 64);
	}
	hash_sha256(all, (size_t)m->n_shards * 64, hex);
}

uint64_t model_expected_bytes(const struct model *m)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < model_n_shards(m); i++) {
		const struct model *s = shard_at(m, i);
		uint64_t data_at = (s->header_bytes + s->alignment - 1) & ~(s->alignment - 1);

		sum += s->data_bytes ? data_at + s->data_bytes : s->header_bytes;
	}
	return sum;
}

uint32_t model_n_tensors(const struct model *m)
{
	return m->n_tensors;
}

const struct tensor *model_tensor(const struct model *m, uint32_t i)
{
	return i < m->n_tensors ? &m->tensors[i] : NULL;
}

const struct tensor *model_find_tensor(const struct model *m, const char *name)
{
	uint32_t low = 0, high = m->n_tensors;
	size_t len = strlen(name);

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct tensor *t = &m->tensors[m->by_name[mid]];
		int d = memcmp(t->name, name, t->name_len < len ? t->name_len : len);

		if (d == 0)
			d = (t->name_len > len) - (t->name_len < len);
		if (d == 0)
			return t;
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Element i as an integer; negative ones are no size of anything and count as absent. */
static bool integer_at(const struct kv *kv, uint64_t i, uint64_t *v)
{
	const uint8_t *p = kv->value;
	int8_t i8;
	int16_t i16;
	int32_t i32;
	int64_t s;
	uint16_t u16;
	uint32_t u32;

	switch (kv->type) {
	case KV_BOOL:
	case KV_U8:
		*v = p[i];
		return true;
	case KV_I8:
		memcpy(&i8, p + i, 1);
		s = i8;
		break;
	case KV_U16:
		memcpy(&u16, p + 2 * i, 2);
		*v = u16;
		return true;
	case KV_I16:
		memcpy(&i16, p + 2 * i, 2);
		s = i16;
		break;
	case KV_U32:
		memcpy(&u32, p + 4 * i, 4);
		*v = u32;
		return true;
	case KV_I32:
		memcpy(&i32, p + 4 * i, 4);
		s = i32;
		break;
	case KV_U64:
		memcpy(v, p + 8 * i, 8);
		return true;
	case KV_I64:
		memcpy(&s, p + 8 * i, 8);
		break;
	default:
		return false;
	}
	*v = (uint64_t)s;
	return s >= 0;
}

/* The row of "<arch>.<key>", or of the key as it is when it already begins so. */
static const struct kv *find_of_arch(const struct model *m, const char *key)
{
	size_t n = strlen(m->arch);
	char whole[192];

	if (strncmp(key, m->arch, n) == 0 && key[n] == '.')
		return gguf_find(m, key);
	if (strncmp(key, "general.", 8) == 0 || strncmp(key, "split.", 6) == 0)
		return gguf_find(m, key);
	if (snprintf(whole, sizeof(whole), "%s.%s", m->arch, key) >= (int)sizeof(whole))
		return NULL;
	return gguf_find(m, whole);
}

bool model_u64(const struct model *m, const char *key, uint64_t *v)
{
	const struct kv *kv = find_of_arch(m, key);

	return kv && !kv->is_array && integer_at(kv, 0, v);
}

bool model_u64_at(const struct model *m, const char *key, uint32_t i, uint64_t *v)
{
	const struct kv *kv = find_of_arch(m, key);

	if (!kv || (kv->is_array && i >= kv->n))
		return false;
	return integer_at(kv, kv->is_array ? i : 0, v);
}

bool model_f64_at(const struct model *m, const char *key, uint32_t i, double *v)
{
	const struct kv *kv = find_of_arch(m, key);
	uint64_t at, u;
	float f;

	if (!kv || (kv->is_array && i >= kv->n))
		return false;
	at = kv->is_array ? i : 0;
	if (kv->type == KV_F32) {
		memcpy(&f, kv->value + 4 * at, sizeof(f));
		*v = (double)f;
		return true;
	}
	if (kv->type == KV_F64) {
		memcpy(v, kv->value + 8 * at, sizeof(*v));
		return true;
	}
	if (!integer_at(kv, at, &u))
		return false;
	*v = (double)u;
	return true;
}

bool model_has_array(const struct model *m, const char *key, uint64_t *n)
{
	const struct kv *kv = find_of_arch(m, key);

	if (!kv || !kv->is_array)
		return false;
	*n = kv->n;
	return true;
}
