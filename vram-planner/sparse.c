/* SPDX-License-Identifier: MIT */
#include "vram-planner/sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"
#include "vram-planner/model_priv.h"

/* All bytes are here, in files that the engine can open by their own names. */
static bool is_complete(const struct model *m)
{
	struct stat st;

	return stat(m->path, &st) == 0 && S_ISREG(st.st_mode) &&
	       model_size_bytes(m) >= model_expected_bytes(m);
}

/* Shards are found by their names; i counts from 0. */
static void name_file(const struct sparse *s, uint32_t i, char *path, size_t size)
{
	if (s->n_files == 1)
		snprintf(path, size, "%s/m.gguf", s->dir);
	else
		snprintf(path, size, "%s/m-%05" PRIu32 "-of-%05" PRIu32 ".gguf", s->dir, i + 1,
			 s->n_files);
}

static int write_one(const struct model *m, const char *path, struct err *e)
{
	uint64_t data_at = (m->header_bytes + m->alignment - 1) & ~(m->alignment - 1), size;
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return err_set(e, -errno, "%s cannot be made: %s", path, strerror(errno));
	if (__builtin_add_overflow(data_at, m->data_bytes, &size) || size > INT64_MAX)
		return err_set(e, -EFBIG, "the tensors take more than a file can have");
	rc = io_write(fd, m->bytes, m->header_bytes);
	if (rc == 0 && ftruncate(fd, (off_t)size) != 0)
		rc = -errno;
	return rc ? err_set(e, rc, "%s cannot get %" PRIu64 " bytes, none of them used: %s", path,
			    size, strerror(-rc))
		  : 0;
}

static int write_all(struct sparse *s, const struct model *m, struct err *e)
{
	char path[sizeof(s->path)];

	for (uint32_t i = 0; i < s->n_files; i++) {
		name_file(s, i, path, sizeof(path));
		int rc = write_one(i == 0 ? m : m->shards[i], path, e);

		if (rc)
			return rc;
	}
	name_file(s, 0, s->path, sizeof(s->path));
	return 0;
}

int sparse_open(struct sparse *s, const struct model *m, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	*s = (struct sparse) { .n_files = model_n_shards(m) };
	if (is_complete(m)) {
		text_copy(s->path, sizeof(s->path), m->path);
		return 0;
	}
	if (!tmp || tmp[0] != '/' || strlen(tmp) > 32)
		tmp = "/tmp";
	snprintf(s->dir, sizeof(s->dir), "%s/berth-measure-XXXXXX", tmp);
	if (!mkdtemp(s->dir)) {
		int rc = -errno;

		s->dir[0] = 0;
		return err_set(e, rc, "no folder can be made in %s: %s", tmp, strerror(-rc));
	}
	return write_all(s, m, e);
}

void sparse_close(const struct sparse *s)
{
	char path[sizeof(s->path)];

	if (!s->dir[0])
		return;
	for (uint32_t i = 0; i < s->n_files; i++) {
		name_file(s, i, path, sizeof(path));
		unlink(path);
	}
	rmdir(s->dir);
}
