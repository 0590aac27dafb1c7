/* SPDX-License-Identifier: MIT */
/* Which devices, runs, processes and events are shown, and in which order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tui/frame.h"

/* --- the filter --- */

static bool has(const char *text, const char *words)
{
	return strcasestr(text, words) != NULL;
}

static const char *filter_of(const struct frame *f)
{
	return f->ui ? f->ui->filter : "";
}

static bool wants_gpu(const char *words, const struct gpu *g)
{
	return has(g->pci, words) || (fact_text_known(&g->name) && has(g->name.v, words)) ||
	       (fact_text_known(&g->driver) && has(g->driver.v, words));
}

static bool wants_run(const char *words, const struct run_seen *r)
{
	return has(r->name, words) || has(r->file, words) ||
	       (!r->rc && has(r->page.run.model, words));
}

/* --- the order --- */

/* Larger comes first; what is unknown last. */
static double weight_of_gpu(const struct frame *f, uint32_t i)
{
	const struct gpu *g = &f->snap->report->gpus[i];

	if (f->prefs->sort == SORT_MEMORY)
		return fact_known(&g->vram_used) ? (double)g->vram_used.v : -1;
	return fact_known(&g->power_mw) ? (double)g->power_mw.v : -1;
}

static double weight_of_run(const struct frame *f, uint32_t i)
{
	const struct run_history *h = f->history
					      ? history_run(f->history, run_key(&f->snap->runs[i]))
					      : NULL;

	/* A mean, so that rows stay where they are while the speed wavers. */
	return h ? series_mean(&h->s[SERIES_GENERATED], 30) : -1;
}

static const char *name_of(const struct frame *f, enum pane p, uint32_t i)
{
	if (p == PANE_DEVICES)
		return f->snap->report->gpus[i].name.v;
	return f->snap->runs[i].name[0] ? f->snap->runs[i].name : f->snap->runs[i].page.run.model;
}

static bool goes_before(const struct frame *f, enum pane p, uint32_t a, uint32_t b)
{
	if (f->prefs->sort == SORT_NAME)
		return strcasecmp(name_of(f, p, a), name_of(f, p, b)) < 0;
	return p == PANE_DEVICES ? weight_of_gpu(f, a) > weight_of_gpu(f, b)
				 : weight_of_run(f, a) > weight_of_run(f, b);
}

static bool is_sorted(const struct frame *f, enum pane p)
{
	enum sort s = f->prefs ? (enum sort)f->prefs->sort : SORT_NONE;

	return s == SORT_NAME || (p == PANE_DEVICES && (s == SORT_MEMORY || s == SORT_POWER)) ||
	       (p == PANE_RUNS && s == SORT_SPEED);
}

/* By insertion: lists are short, and equals keep their order. */
static void sort(struct listing *l, const struct frame *f, enum pane p)
{
	for (uint32_t i = 1; is_sorted(f, p) && i < l->n; i++)
		for (uint32_t k = i;
		     k && goes_before(f, p, l->items[k].index, l->items[k - 1].index); k--) {
			struct item swap = l->items[k];

			l->items[k] = l->items[k - 1];
			l->items[k - 1] = swap;
		}
}

/* --- the lists --- */

static struct item *add(struct listing *l, const char *key, uint32_t index)
{
	struct item *i;

	if (l->n == LIST_MAX) {
		l->left_out++;
		return NULL;
	}
	i = &l->items[l->n++];
	*i = (struct item) { .index = index };
	text_copy(i->key, sizeof(i->key), key);
	return i;
}

static void list_devices(struct listing *l, const struct frame *f)
{
	const struct report *r = f->snap->report;
	const char *words = filter_of(f);

	for (uint32_t i = 0; r && i < r->n_gpus; i++)
		if (wants_gpu(words, &r->gpus[i]))
			add(l, r->gpus[i].pci, i);
	sort(l, f, PANE_DEVICES);
	if (r && (!*words || has("CPU", words)))
		add(l, "CPU", r->n_gpus);
}

static void list_runs(struct listing *l, const struct frame *f)
{
	const struct snapshot *s = f->snap;

	for (uint32_t i = 0; i < s->n_runs; i++)
		if (judge_run(&s->runs[i]) != RUN_NO_PAGE && wants_run(filter_of(f), &s->runs[i]))
			add(l, run_key(&s->runs[i]), i);
	sort(l, f, PANE_RUNS);
}

static void list_bridges(struct listing *l, const struct frame *f)
{
	const struct snapshot *s = f->snap;
	const char *words = filter_of(f);

	for (uint32_t i = 0; i < s->n_bridges; i++)
		if (has(s->bridges[i].key, words) || has(s->bridges[i].page.guest, words))
			add(l, s->bridges[i].key, i);
}

static bool is_ours(const struct snapshot *s, uint32_t pid)
{
	for (uint32_t i = 0; i < s->n_runs; i++)
		if (!s->runs[i].rc && s->runs[i].page.header.writer_pid == (int32_t)pid)
			return true;
	return false;
}

const struct gpu_proc *item_proc(const struct frame *f, const struct item *i)
{
	return &f->snap->report->gpus[i->index].holders.procs[i->proc];
}

static void list_processes(struct listing *l, const struct frame *f)
{
	const struct report *r = f->snap->report;

	for (uint32_t i = 0; r && i < r->n_gpus; i++)
		for (uint32_t k = 0; k < r->gpus[i].holders.n_procs; k++) {
			const struct gpu_proc *p = &r->gpus[i].holders.procs[k];
			char key[64];
			struct item *at;

			if (is_ours(f->snap, p->pid) || !has(p->name, filter_of(f)))
				continue;
			snprintf(key, sizeof(key), "%" PRIu32 " %s", p->pid, r->gpus[i].pci);
			at = add(l, key, i);
			if (at)
				at->proc = k;
		}
}

static void list_events(struct listing *l, const struct frame *f)
{
	const struct event *e;

	for (uint32_t i = 0; f->events && (e = events_newest(f->events, i)); i++) {
		char key[32];

		if (!has(e->text, filter_of(f)) && !has(e->subject, filter_of(f)))
			continue;
		snprintf(key, sizeof(key), "%" PRIu64, e->seq);
		add(l, key, i);
	}
}

void listing_make(struct listing *l, const struct frame *f, enum pane pane)
{
	static void (*const lists[PANES])(struct listing * l, const struct frame *f) = {
		[PANE_DEVICES] = list_devices, [PANE_RUNS] = list_runs,
		[PANE_BRIDGES] = list_bridges, [PANE_PROCESSES] = list_processes,
		[PANE_EVENTS] = list_events,
	};

	l->n = l->left_out = 0;
	lists[pane](l, f);
}

uint32_t listing_find(const struct listing *l, const char *key)
{
	uint32_t i = 0;

	while (i < l->n && strcmp(l->items[i].key, key) != 0)
		i++;
	return i;
}
