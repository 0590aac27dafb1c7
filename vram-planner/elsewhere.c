/* SPDX-License-Identifier: MIT */
#include "vram-planner/elsewhere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vram-planner/options.h"
#include "vram-planner/quant_name.h"
#include "vram-planner/stores.h"

/* Between the changes of nearest.c: after an 8-bit cache, before smaller batches. */
#define RANK_DEVICES 1
#define RANK_QUANT   35
#define RANK_UNLOAD  38

#define FILES_MAX 32

/* The same question, about another file or with other devices. */
static bool yes(struct plan *p, const char *what, const struct question *q, const struct devices *d,
		const struct wish *w)
{
	struct model *m;

	if (source_open(&m, what, &q->env, NULL))
		return false;
	int rc = plan_decide(p, m, d->places, d->n, &d->host, w, NULL);

	model_close(m);
	return rc == 0 && plan_exit(p) == EXIT_YES;
}

static void offer(struct plan *p, const struct plan *as, const struct wish *w,
		  struct plan_nearest *n)
{
	struct text t;

	text_init(&t, n->options, sizeof(n->options));
	wish_options(&t, w);
	n->verdict = as->verdict;
	if (!t.cut)
		plan_offer(p, n);
}

static void try_devices(struct plan *p, const char *what, const struct question *q,
			const struct devices_opts *o, const struct log *log, struct plan_nearest *n)
{
	struct devices *d = calloc(1, sizeof(*d));
	struct plan *other = calloc(1, sizeof(*other));
	struct wish w = q->wish;

	options_devices(w.devices, sizeof(w.devices), o);
	if (d && other && devices_find(d, o, log, NULL) == 0 && yes(other, what, q, d, &w))
		offer(p, other, &w, n);
	free(other);
	free(d);
}

/* The largest other quant that is a yes loses least. */
static void try_files(struct plan *p, const char *what, const struct question *q)
{
	const char *slash = strrchr(what, '/'), *file = slash ? slash + 1 : what, *best = NULL;
	struct catalog found = { 0 };
	struct plan *other = calloc(1, sizeof(*other)), *chosen = calloc(1, sizeof(*chosen));
	char folder[1024];

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - what) : 1,
		 slash ? what : ".");
	if (!other || !chosen || stores_read_folder(&found, slash == what ? "/" : folder, NULL))
		found.n = 0;
	for (uint32_t i = 0, tried = 0; i < found.n && tried < FILES_MAX; i++) {
		const struct found *f = &found.all[i];
		const char *base = strrchr(f->path, '/');

		base = base ? base + 1 : f->path;
		if (strcmp(base, file) == 0 || !quant_same_model(file, base))
			continue;
		tried++;
		if (yes(other, f->path, q, q->devices, &q->wish) &&
		    other->model_size_bytes > chosen->model_size_bytes) {
			*chosen = *other;
			best = f->path;
		}
	}
	if (best) {
		struct plan_nearest n = { .rank = RANK_QUANT };
		size_t at = 0, len = 0;
		bool named = quant_in_name(best, &at, &len);

		snprintf(n.change, sizeof(n.change), "the model in %.*s", named ? (int)len : 12,
			 named ? best + at : "another file");
		snprintf(n.loss, sizeof(n.loss), "quality, of weights with fewer bits");
		if (text_copy(n.model, sizeof(n.model), best))
			offer(p, chosen, &q->wish, &n);
	}
	catalog_free(&found);
	free(other);
	free(chosen);
}

static bool is_file(const char *what)
{
	struct stat st;

	return stat(what, &st) == 0 && S_ISREG(st.st_mode);
}

void elsewhere_find(struct plan *p, const char *what, const struct question *q,
		    const struct devices_opts *o, const struct log *log)
{
	struct devices_opts other = *o;
	struct plan_nearest devices = { .rank = RANK_DEVICES,
					.change = "without --device",
					.loss = "nothing: other GPUs take part" },
			    unload = { .rank = RANK_UNLOAD,
				       .change = "--free after-unload",
				       .loss = "berth's own runs: they have to end first" };

	if (plan_exit(p) != EXIT_NO || p->verdict == VERDICT_REFUSED || !p->n_layer)
		return;
	other.device = NULL;
	if (o->device && !o->gpus.n && !q->wish.n_split && !q->wish.n_shares)
		try_devices(p, what, q, &other, log, &devices);
	other = *o;
	other.free = FREE_AFTER_UNLOAD;
	if (o->free == FREE_NOW && !o->gpus.n)
		try_devices(p, what, q, &other, log, &unload);
	if (is_file(what))
		try_files(p, what, q);
}
