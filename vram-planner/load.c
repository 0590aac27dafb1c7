/* SPDX-License-Identifier: MIT */
/*
 * From readers to a model. A split model (keys split.no, split.count, split.tensors.count; written by
 * gguf-split) has its metadata in the first shard and a tensor table in each.
 */
#include "vram-planner/load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "vram-planner/model_priv.h"
#include "vram-planner/split.h"

/*
 * Most headers fit the first piece. From a file each further one doubles, so that the work stays within
 * twice the header; from a server no more is asked for than the header needs.
 */
#define FIRST_PIECE     (UINT64_C(4) << 20)
#define HEADER_MAX      (UINT64_C(1) << 30) /* known models stay below 32 MiB */
#define HEADER_MAX_STEP (UINT64_C(128) << 20)

static int open_file(const struct opener *o, struct reader **r, const char *where, struct err *e)
{
	(void)o;
	return reader_file(r, where, e);
}

const struct opener opener_files = { .open = open_file };

/* Read the beginning up to `want` bytes into m->owned. */
static int read_up_to(struct model *m, struct reader *r, uint64_t want, struct err *e)
{
	uint8_t *grown = realloc(m->owned, want ? want : 1);
	uint64_t got = 0;

	if (!grown)
		return err_set(e, -ENOMEM, "no memory for a header of %" PRIu64 " bytes", want);
	m->owned = grown;
	m->bytes = grown;
	int rc = r->read(r, m->size, m->owned + m->size, want - m->size, &got, e);

	m->size += got;
	m->file_size = r->size > m->size ? r->size : m->size;
	return rc;
}

static int read_header(struct model *m, struct reader *r, struct err *e)
{
	uint64_t want = FIRST_PIECE, max = r->in_steps ? HEADER_MAX_STEP : HEADER_MAX;
	bool more;

	for (;;) {
		int rc = read_up_to(m, r, want < r->size ? want : r->size, e);

		if (rc)
			return rc;
		rc = gguf_parse(m, &more, e);
		if (!rc || !more)
			return rc;
		if (want >= max)
			return err_set(e, -EBADMSG,
				       "the header does not end within %" PRIu64 " MiB", max >> 20);
		gguf_forget(m);
		want += r->in_steps ? FIRST_PIECE : want;
	}
}

/* What a server did not tell is what the header promises; an absurd promise fails as such later. */
static void settle_size(struct model *m)
{
	if (m->file_size < READER_SIZE_UNKNOWN)
		return;
	m->file_size = model_expected_bytes(m);
	model_add_note(m, "the server does not tell the file's size: taken to be complete");
}

static int load_one(struct model **out, const char *where, const struct opener *o, struct err *e)
{
	own_reader struct reader *r = NULL;
	int rc = o->open(o, &r, where, e);

	*out = NULL;
	if (rc)
		return rc;
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return err_set(e, -ENOMEM, "no memory");
	if (!text_copy(m->path, sizeof(m->path), where))
		rc = err_set(e, -ENAMETOOLONG, "the path is too long");
	if (!rc)
		rc = read_header(m, r, e);
	if (rc) {
		model_close(m);
		return rc;
	}
	settle_size(m);
	if (r->keep)
		r->keep(r, m->bytes, m->header_bytes);
	if (r->note[0])
		model_add_note(m, "%s", r->note);
	*out = m;
	return 0;
}

/* --- shards --- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The shard number (from 0) and count that the keys tell; count 1 when they tell nothing. */
static int split_keys(const struct model *m, uint32_t *no, uint32_t *count, struct err *e)
{
	uint64_t n = 0, of = 0;

	*no = 0;
	*count = 1;
	if (!model_u64(m, "split.count", &of) || of <= 1)
		return 0;
	if (!model_u64(m, "split.no", &n) || n >= of || of > SPLIT_SHARDS_MAX)
		return err_set(e, -EBADMSG,
			       "its keys make it shard %" PRIu64 " (from 0) of %" PRIu64
			       "; berth reads up to %d",
			       n, of, SPLIT_SHARDS_MAX);
	*no = (uint32_t)n;
	*count = (uint32_t)of;
	return 0;
}

/* The engine finds shards by name only: a renamed one is as good as missing. */
static int check_name(const struct model *m, uint32_t no, uint32_t count, struct err *e)
{
	uint32_t named, of;

	if (!split_parse(m->path, &named, &of))
		return err_set(e, -EBADMSG,
			       "it is shard %" PRIu32 " of %" PRIu32
			       ", but its name does not end in -%05" PRIu32 "-of-%05" PRIu32
			       ".gguf: the others cannot be found",
			       no + 1, count, no + 1, count);
	if (named != no + 1 || of != count)
		return err_set(e, -EBADMSG,
			       "its name makes it shard %" PRIu32 " of %" PRIu32
			       ", its keys shard %" PRIu32 " of %" PRIu32,
			       named, of, no + 1, count);
	return 0;
}

static int load_shard(struct model **m, const char *first, uint32_t no, uint32_t count,
		      const struct opener *o, struct err *e)
{
	char where[1024];
	uint32_t has_no, has_count;

	if (!split_name(first, no + 1, where, sizeof(where)))
		return err_set(e, -ENAMETOOLONG, "the path is too long");
	int rc = load_one(m, where, o, e);

	if (rc == -ENOENT)
		return err_set(e, -EBADMSG, "shard %" PRIu32 " of %" PRIu32 " is missing: %s",
			       no + 1, count, base_name(where));
	if (rc)
		return err_at(e, rc, "shard %" PRIu32 " of %" PRIu32 ", %s", no + 1, count,
			      base_name(where));
	rc = split_keys(*m, &has_no, &has_count, e);
	if (!rc && (has_no != no || has_count != count))
		rc = err_set(e, -EBADMSG,
			     "it is shard %" PRIu32 " of %" PRIu32 " by its keys: shards of "
			     "different models are mixed",
			     has_no + 1, has_count);
	return rc ? err_at(e, rc, "shard %" PRIu32 " of %" PRIu32 ", %s", no + 1, count,
			   base_name(where))
		  : 0;
}

static int check_total(const struct model *m, struct err *e)
{
	uint64_t n;

	if (!model_u64(m, "split.tensors.count", &n) || n == m->n_tensors)
		return 0;
	return err_set(e, -EBADMSG,
		       "the shards hold %" PRIu32 " tensors together; their keys promise %" PRIu64,
		       m->n_tensors, n);
}

static int load_others(struct model *m, uint32_t count, const struct opener *o, struct err *e)
{
	m->shards = calloc(count, sizeof(struct model *));
	if (!m->shards)
		return err_set(e, -ENOMEM, "no memory");
	for (m->n_shards = 1; m->n_shards < count; m->n_shards++) {
		struct model **shard = &m->shards[m->n_shards];
		int rc = load_shard(shard, m->path, m->n_shards, count, o, e);

		if (!rc)
			rc = gguf_append(m, *shard, e);
		if (rc) {
			model_close(*shard);
			return rc;
		}
	}
	return check_total(m, e);
}

/* From any shard to the whole. */
static int gather(struct model **m, const struct opener *o, struct err *e)
{
	uint32_t no, count;
	int rc = split_keys(*m, &no, &count, e);

	if (!rc && count > 1)
		rc = check_name(*m, no, count, e);
	if (!rc && no > 0) {
		struct model *first;

		rc = load_shard(&first, (*m)->path, 0, count, o, e);
		if (!rc || first) {
			model_close(*m);
			*m = first;
		}
	}
	if (!rc && count > 1)
		rc = load_others(*m, count, o, e);
	return rc ? rc : model_identify(*m, e);
}

int model_load(struct model **out, const char *where, const struct opener *o, struct err *e)
{
	struct model *m;
	int rc = load_one(&m, where, o, e);

	*out = NULL;
	if (!rc)
		rc = gather(&m, o, e);
	if (rc) {
		model_close(m);
		return err_at(e, rc, "%s", where);
	}
	*out = m;
	return 0;
}

int model_open(struct model **out, const char *path, struct err *e)
{
	return model_load(out, path, &opener_files, e);
}
