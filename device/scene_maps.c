/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/apart.h"
#include "base/child.h"
#include "device/lines.h"
#include "device/scene_priv.h"

#define MAPS_MAX 262144 /* lines of one process: the kernel's own limit is 65530 */
#define STALL_MS 1000

/* --- mappings ---------------------------------------------------------------------------------------------- */

struct maps_work {
	const struct machine *m;
	const uint32_t *pids;
	uint32_t n;
	int to; /* the parent's pipe */
};

/* A mapping of pids[i]; without an address: that process is done. */
struct mapping {
	uint32_t i;
	char pci[24];
};

typedef void maps_got(void *ctx, uint32_t i, const char *pci);

static void read_maps(const struct machine *m, uint32_t pid, uint32_t i, maps_got *got, void *ctx)
{
	char path[SCENE_PATH], line[1024], pci[24], last[24] = "";
	struct line_file maps;

	snprintf(path, sizeof(path), "proc/%u/maps", pid);
	if (!lines_open(&maps, m, path))
		return;
	for (int k = 0; k < MAPS_MAX && lines_next(&maps, line, sizeof(line)); k++) {
		/* One BAR has many mappings, side by side. */
		if (!strstr(line, "/resource") || !registers_parse(line, pci, sizeof(pci)) ||
		    strcmp(pci, last) == 0)
			continue;
		memcpy(last, pci, sizeof(last));
		got(ctx, i, pci);
	}
	lines_close(&maps);
}

static void send_mapping(void *ctx, uint32_t i, const char *pci)
{
	const struct maps_work *w = ctx;
	struct mapping one = { .i = i };

	snprintf(one.pci, sizeof(one.pci), "%s", pci);
	child_send(w->to, &one, sizeof(one));
}

static void send_all(int to, void *arg)
{
	struct maps_work *w = arg;

	apart_close_others(to, w->m->root_fd);
	w->to = to;
	for (uint32_t i = 0; i < w->n; i++) {
		read_maps(w->m, w->pids[i], i, send_mapping, w);
		send_mapping(w, i, "");
	}
}

/* As many processes as one child tells of, from the first: the count; fewer than n: it is still at the next one. */
static uint32_t receive_some(const struct maps_work *w, void (*got)(void *, uint32_t, const char *),
			     void *ctx)
{
	struct maps_work mine = *w;
	struct mapping one;
	struct child c;
	uint32_t done = 0;

	if (child_open(&c, send_all, &mine))
		return w->n;
	while (done < w->n && child_receive(&c, &one, sizeof(one), STALL_MS) == 1) {
		if (one.i != done)
			break;
		if (one.pci[0])
			got(ctx, w->pids[done], one.pci);
		else
			done++;
	}
	child_close(&c);
	return done;
}

struct direct {
	void (*got)(void *ctx, uint32_t pid, const char *pci);
	void *ctx;
	const uint32_t *pids;
};

static void take_direct(void *ctx, uint32_t i, const char *pci)
{
	const struct direct *d = ctx;

	d->got(d->ctx, d->pids[i], pci);
}

uint32_t scene_maps(const struct machine *m, const uint32_t *pids, uint32_t n,
		    void (*got)(void *ctx, uint32_t pid, const char *pci), void *ctx)
{
	struct direct d = { got, ctx, pids };
	uint32_t silent = 0;

	for (uint32_t i = 0; i < n && !m->live; i++)
		read_maps(m, pids[i], i, take_direct, &d);
	for (uint32_t i = 0; i < n && m->live; i++) {
		const struct maps_work w = { .m = m, .pids = pids + i, .n = n - i };

		i += receive_some(&w, got, ctx);
		silent += i < n;
	}
	return silent;
}

/* --- command lines --------------------------------------------------------------------------------------------- */

#define WORDS_BYTES 4096

struct words {
	const struct machine *m;
	uint32_t pid;
	long n;
	char text[WORDS_BYTES];
};

static void read_words(struct words *w)
{
	char path[SCENE_PATH];

	snprintf(path, sizeof(path), "proc/%u/cmdline", w->pid);
	w->n = machine_read_bytes(w->m, path, w->text, sizeof(w->text));
}

static void send_words(int to, void *arg)
{
	struct words *w = arg;

	apart_close_others(to, w->m->root_fd);
	read_words(w);
	child_send(to, w, sizeof(*w));
}

long scene_cmdline(const struct machine *m, uint32_t pid, char *buf, size_t size)
{
	struct words w = { .m = m, .pid = pid, .n = -ETIMEDOUT };
	struct child c;

	if (!m->live) {
		read_words(&w);
	} else if (child_open(&c, send_words, &w) == 0) {
		if (child_receive(&c, &w, sizeof(w), STALL_MS) != 1)
			w.n = -ETIMEDOUT;
		child_close(&c);
	}
	if (w.n <= 0 || (size_t)w.n > size)
		return w.n > 0 ? -EFBIG : w.n;
	memcpy(buf, w.text, (size_t)w.n);
	return w.n;
}
