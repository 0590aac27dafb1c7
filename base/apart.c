/* SPDX-License-Identifier: MIT */
#include "base/apart.h"

#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/text.h"

#define STALL_MS 1000

struct answer {
	int32_t rc;
	char text[APART_BYTES];
};

struct work {
	const struct machine *m;
	const char *const *paths;
	uint32_t n;
};

static struct answer read_one(const struct machine *m, const char *path)
{
	struct answer a = { 0 };

	a.rc = (int32_t)machine_read(m, path, a.text, sizeof(a.text));
	return a;
}

void apart_close_others(int to, int root)
{
	unsigned a = (unsigned)to, b = (unsigned)root;
	unsigned low = a < b ? a : b, high = a < b ? b : a;

	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

static void read_all(int to, void *arg)
{
	const struct work *w = arg;

	apart_close_others(to, w->m->root_fd);
	for (uint32_t i = 0; i < w->n; i++) {
		struct answer a = read_one(w->m, w->paths[i]);

		child_send(to, &a, sizeof(a));
	}
}

/* As many as one child gives, from the first: the count; fewer than n, the next one keeps it. */
static int read_some(const struct work *w, int stall_ms,
		     void (*got)(void *ctx, uint32_t i, long rc, const char *text), void *ctx,
		     uint32_t first)
{
	struct child c;
	struct answer a;
	uint32_t i = 0;
	int rc = child_open(&c, read_all, (void *)(uintptr_t)w);

	if (rc)
		return rc;
	for (; i < w->n && child_receive(&c, &a, sizeof(a), stall_ms) == 1; i++)
		got(ctx, first + i, a.rc, a.text);
	child_close(&c);
	return (int)i;
}

int apart_read(const struct machine *m, const char *const *paths, uint32_t n, int stall_ms,
	       void (*got)(void *ctx, uint32_t i, long rc, const char *text), void *ctx)
{
	for (uint32_t i = 0; i < n; i++) {
		struct work w = { m, paths + i, n - i };

		if (!m->live) {
			struct answer a = read_one(m, paths[i]);

			got(ctx, i, a.rc, a.text);
			continue;
		}
		int done = read_some(&w, stall_ms, got, ctx, i);

		if (done < 0)
			return done;
		i += (uint32_t)done;
		if (i < n)
			got(ctx, i, -ETIMEDOUT, "");
	}
	return 0;
}

bool apart_must(const char *path)
{
	static const char name[] = "/driver_override";
	size_t n = strlen(path);

	return n > strlen(name) && strcmp(path + n - strlen(name), name) == 0;
}

struct one {
	char *buf;
	size_t size;
	long rc;
};

static void take_one(void *ctx, uint32_t i, long rc, const char *text)
{
	struct one *o = ctx;

	(void)i;
	o->rc = rc >= 0 && !text_copy(o->buf, o->size, text) ? -EFBIG : rc;
	if (o->rc < 0)
		o->buf[0] = '\0';
}

long apart_read_one(const struct machine *m, const char *path, char *buf, size_t size)
{
	struct one o = { buf, size, -EIO };

	if (!m->live || !apart_must(path))
		return machine_read(m, path, buf, size);
	buf[0] = '\0';
	int rc = apart_read(m, &path, 1, STALL_MS, take_one, &o);

	return rc ? rc : o.rc;
}
