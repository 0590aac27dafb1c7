/* SPDX-License-Identifier: MIT */
/* A model: opening the file, and answers from what gguf.c found in its header. */
#include "vram-planner/model.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/own.h"
#include "base/text.h"
#include "vram-planner/model_priv.h"

/*
 * The header is read, not mapped: a file that shrinks while it is mapped would kill us. Most headers
 * fit the first piece; each further one doubles, so that the work stays within twice the header.
 */
#define FIRST_PIECE (UINT64_C(4) << 20)
#define HEADER_MAX  (UINT64_C(1) << 30) /* known models stay below 32 MiB */

/* A text of the metadata, cut and cleaned. false: absent or not a text. */
static bool text_of(const struct model *m, const char *key, char *buf, size_t size)
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

/* The names, once the tables stand. */
static int identify(struct model *m, struct err *e)
{
	if (!text_of(m, "general.architecture", m->arch, sizeof(m->arch)) || !m->arch[0])
		return err_set(e, -EBADMSG,
			       "the header names no architecture (general.architecture)");
	if (!text_of(m, "general.name", m->name, sizeof(m->name)) || !m->name[0]) {
		const char *slash = strrchr(m->path, '/');

		text_copy(m->name, sizeof(m->name), slash ? slash + 1 : m->path);
		text_clean(m->name);
	}
	return 0;
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
		rc = identify(m, e);
	if (rc) {
		model_close(m);
		return rc;
	}
	*out = m;
	return 0;
}

/* Read the file's beginning up to `want` bytes into m->owned. */
static int read_up_to(struct model *m, int fd, uint64_t want, struct err *e)
{
	uint8_t *grown = realloc(m->owned, want ? want : 1);

	if (!grown)
		return err_set(e, -ENOMEM, "no memory for a header of %" PRIu64 " bytes", want);
	m->owned = grown;
	m->bytes = grown;
	while (m->size < want) {
		ssize_t n = pread(fd, m->owned + m->size, want - m->size, (off_t)m->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "reading at byte %" PRIu64 ": %s", m->size,
				       strerror(errno));
		if (n == 0) { /* shorter than it said: somebody is writing it */
			m->file_size = m->size;
			break;
		}
		m->size += (uint64_t)n;
	}
	return 0;
}

static int read_header(struct model *m, int fd, struct err *e)
{
	uint64_t want = FIRST_PIECE;
	bool more;

	for (;;) {
		if (want > m->file_size)
			want = m->file_size;
		int rc = read_up_to(m, fd, want, e);

		if (rc)
			return rc;
		rc = gguf_parse(m, &more, e);
		if (!rc || !more)
			return rc;
		if (want >= HEADER_MAX)
			return err_set(e, -EBADMSG, "the header does not end within 1 GiB");
		gguf_forget(m);
		want *= 2;
	}
}

static int open_file(const char *path, uint64_t *size, struct err *e)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENXIO) /* a socket, or a terminal that is not ours */
		return err_set(e, -EBADMSG, "is not a regular file");
	if (fd < 0)
		return err_set(e, -errno, "%s", strerror(errno));
	if (fstat(fd, &st) < 0)
		return err_set(e, -errno, "%s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR, "is a directory; give a .gguf file in it");
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "is not a regular file");
	*size = (uint64_t)st.st_size;
	return take_fd(&fd);
}

int model_open(struct model **out, const char *path, struct err *e)
{
	uint64_t size = 0;

	*out = NULL;
	own_fd int fd = open_file(path, &size, e);

	if (fd < 0)
		return err_at(e, fd, "%s", path);
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return err_set(e, -ENOMEM, "no memory");
	m->file_size = size;
	int rc = 0;

	if (!text_copy(m->path, sizeof(m->path), path))
		rc = err_set(e, -ENAMETOOLONG, "the path is too long");
	if (!rc)
		rc = read_header(m, fd, e);
	if (!rc)
		rc = identify(m, e);
	if (rc) {
		model_close(m);
		return err_at(e, rc, "%s", path);
	}
	*out = m;
	return 0;
}

void model_close(struct model *m)
{
	if (!m)
		return;
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

uint64_t model_size_bytes(const struct model *m)
{
	return m->file_size;
}

uint64_t model_header_bytes(const struct model *m)
{
	return m->header_bytes;
}

void model_header_sha256(const struct model *m, char hex[65])
{
	hash_sha256(m->bytes, m->header_bytes, hex);
}

uint64_t model_expected_bytes(const struct model *m)
{
	uint64_t data_at = (m->header_bytes + m->alignment - 1) & ~(m->alignment - 1);

	return m->n_tensors ? data_at + m->data_bytes : m->header_bytes;
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

bool model_has_array(const struct model *m, const char *key, uint64_t *n)
{
	const struct kv *kv = find_of_arch(m, key);

	if (!kv || !kv->is_array)
		return false;
	*n = kv->n;
	return true;
}
