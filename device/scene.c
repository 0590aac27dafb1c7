/* SPDX-License-Identifier: MIT */
#include "device/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "base/text.h"
#include "device/scene_priv.h"

/* --- collecting ---------------------------------------------------------------------------------------- */

void scene_hold(struct scene *s, const struct hold *h)
{
	for (uint32_t i = 0; i < s->n_holds; i++) {
		const struct hold *o = &s->holds[i];

		if (o->kind == h->kind && o->func == h->func && o->pid == h->pid &&
		    strcmp(o->what, h->what) == 0 &&
		    /* A disk is mounted at many places when it is mounted at one. */
		    (h->kind == HOLD_MOUNT || strcmp(o->who, h->who) == 0))
			return;
	}
	if (s->n_holds == SCENE_HOLDS_MAX || h->func >= s->n_funcs) {
		s->n_holds_left_out++;
		return;
	}
	s->holds[s->n_holds++] = *h;
}

static int by_func(const void *a, const void *b)
{
	const struct hold *x = a, *y = b;

	if (x->func != y->func)
		return x->func < y->func ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	int c = strcmp(x->who, y->who);

	return c ? c : strcmp(x->what, y->what);
}

/* A run's process may have two nodes of one card open, and be told by its page besides. */
static void sort_holds(struct scene *s)
{
	uint32_t n = 0;

	qsort(s->holds, s->n_holds, sizeof(*s->holds), by_func);
	for (uint32_t i = 0; i < s->n_holds; i++) {
		const struct hold *last = n ? &s->holds[n - 1] : NULL;

		if (last && s->holds[i].kind == HOLD_RUN && last->kind == HOLD_RUN &&
		    last->func == s->holds[i].func && last->pid == s->holds[i].pid)
			continue;
		s->holds[n++] = s->holds[i];
	}
	s->n_holds = n;
}

static void join_report(struct scene *s)
{
	for (uint32_t i = 0; i < s->n_funcs; i++)
		for (uint32_t k = 0; k < s->report->n_gpus; k++)
			if (strcmp(s->report->gpus[k].pci, s->funcs[i].pci) == 0)
				s->funcs[i].gpu = (int32_t)k;
	for (uint32_t i = 0; i < s->report->n_others; i++)
		s->other_display |= fact_text_known(&s->report->others[i].card);
}

static int read_holds(struct scene *s)
{
	struct nodes n = { 0 };
	int rc = scene_read_nodes(s, &n);

	if (rc == 0) {
		scene_read_runs(s);
		scene_read_procs(s, &n);
		scene_read_holds(s, &n);
		/* A capture keeps no processes: then it is the probe's count. */
		if (!fact_known(&s->unseen) && s->report->n_gpus)
			s->unseen = s->report->gpus[0].holders.unseen;
		sort_holds(s);
	}
	free(n.v);
	return rc;
}

int scene_collect(const struct machine *m, const struct scene_opts *o, struct scene **out,
		  struct err *e)
{
	const struct probe_opts p = { .no_nvml = o->no_nvml, .no_procs = o->no_holds };
	struct scene *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->m = m;
	s->unseen = fact_unknown(WHY_NONE);
	s->holds = calloc(SCENE_HOLDS_MAX, sizeof(*s->holds));
	int rc = s->holds ? probe_collect(m, &p, &s->report, e)
			  : err_set(e, -ENOMEM, "out of memory");

	if (rc == 0 && scene_read_funcs(m, s))
		rc = err_set(e, -ENOMEM, "out of memory");
	if (rc == 0) {
		join_report(s);
		boxes_collect(m, s->report, &s->boxes);
		if (!o->no_holds && read_holds(s))
			rc = err_set(e, -ENOMEM, "out of memory");
	}
	if (rc)
		scene_free(s);
	else
		*out = s;
	return rc;
}

void scene_free(struct scene *s)
{
	if (!s)
		return;
	probe_free(s->report);
	free(s->funcs);
	free(s->holds);
	free(s);
}

/* --- finding ---------------------------------------------------------------------------------------------- */

int scene_index(const struct scene *s, const char *pci)
{
	uint32_t lo = 0, hi = s->n_funcs;

	if (!addr_ok(pci))
		return -1;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = addr_compare(s->funcs[mid].pci, pci);

		if (c == 0)
			return (int)mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

/* "0000:C1:00.0" in small letters; false: no address, with a domain or without. */
static bool address(const char *text, char *pci, size_t size, bool *domain)
{
	char whole[40];

	if (strlen(text) >= size)
		return false;
	for (size_t i = 0; i <= strlen(text); i++)
		pci[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]);
	*domain = addr_ok(pci);
	snprintf(whole, sizeof(whole), "0000:%.24s", pci);
	return *domain || addr_ok(whole);
}

static const struct func *find(const struct scene *s, const char *text, uint32_t *count)
{
	const struct func *found = NULL;
	char pci[24];
	bool domain;

	*count = 0;
	if (!address(text, pci, sizeof(pci), &domain))
		return NULL;
	for (uint32_t i = 0; i < s->n_funcs; i++) {
		const char *rest = strchr(s->funcs[i].pci, ':') + 1;

		if (domain ? addr_compare(s->funcs[i].pci, pci) == 0 : strcmp(rest, pci) == 0) {
			(*count)++;
			found = found ? found : &s->funcs[i];
		}
	}
	return found;
}

const struct func *scene_func(const struct scene *s, const char *pci)
{
	uint32_t n;

	return find(s, pci, &n);
}

const struct gpu *scene_gpu(const struct scene *s, const struct func *f)
{
	return s->report && f->gpu >= 0 && (uint32_t)f->gpu < s->report->n_gpus
		       ? &s->report->gpus[f->gpu]
		       : NULL;
}

/* Counts what does not fit, too. */
static void take(const struct func **set, uint32_t max, uint32_t *n, const struct func *f)
{
	if (*n < max)
		set[*n] = f;
	(*n)++;
}

uint32_t scene_slot(const struct scene *s, const struct func *f, const struct func **set,
		    uint32_t max)
{
	const char *dot = strrchr(f->pci, '.');
	size_t len = dot ? (size_t)(dot - f->pci) + 1 : strlen(f->pci);
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_funcs; i++) {
		const struct func *o = &s->funcs[i];
		bool same = !f->physfn[0] && !o->physfn[0] && strncmp(o->pci, f->pci, len) == 0;

		if (o == f || same)
			take(set, max, &n, o);
	}
	return n < max ? n : max;
}

uint32_t scene_below(const struct scene *s, const struct func *bridge, const struct func **set,
		     uint32_t max)
{
	size_t len = strlen(bridge->dir);
	uint32_t n = 0;

	/* A bridge's folder holds those below it. In order of addresses they come nearest first. */
	for (uint32_t i = 0; i < s->n_funcs; i++)
		if (strncmp(s->funcs[i].dir, bridge->dir, len) == 0 && s->funcs[i].dir[len] == '/')
			take(set, max, &n, &s->funcs[i]);
	return n;
}

uint32_t scene_group(const struct scene *s, int32_t group, const struct func **set, uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t i = 0; group >= 0 && i < s->n_funcs; i++)
		if (s->funcs[i].iommu_group == group)
			take(set, max, &n, &s->funcs[i]);
	return n < max ? n : max;
}

int scene_select(const struct scene *s, const char *device, const struct func **f, struct err *e)
{
	uint32_t index[PROBE_GPUS_MAX], n;

	*f = find(s, device, &n);
	if (n > 1)
		return err_set(e, -EINVAL,
			       "'%s' is in several domains; give the whole address, such as %s",
			       device, (*f)->pci);
	if (n == 1)
		return 0;
	if (strchr(device, ','))
		return err_set(e, -EINVAL, "'%.60s' names several devices; give one", device);
	int rc = probe_select(s->report, device, index, e);

	if (rc < 0)
		return rc;
	*f = scene_func(s, s->report->gpus[index[0]].pci);
	return *f ? 0 : err_set(e, -ENODEV, "%.23s left the bus", s->report->gpus[index[0]].pci);
}

/* --- words -------------------------------------------------------------------------------------------------- */

/* PCI Code and ID Assignment Specification 1.11; the longest match counts. */
static const struct {
	uint32_t class, mask;
	const char *words;
} classes[] = {
	{ 0x010802, 0xffffff, "NVMe drive" },
	{ 0x010600, 0xffff00, "SATA controller" },
	{ 0x010000, 0xff0000, "storage controller" },
	{ 0x020000, 0xffff00, "network card" },
	{ 0x020700, 0xffff00, "InfiniBand card" },
	{ 0x028000, 0xffff00, "network card" },
	{ 0x020000, 0xff0000, "network controller" },
	{ 0x030000, 0xffff00, "VGA display" },
	{ 0x030200, 0xffff00, "3D controller" },
	{ 0x030000, 0xff0000, "display" },
	{ 0x040300, 0xffff00, "sound" },
	{ 0x040000, 0xff0000, "multimedia" },
	{ 0x050000, 0xff0000, "memory" },
	{ 0x060000, 0xffff00, "host bridge" },
	{ 0x060100, 0xffff00, "ISA bridge" },
	{ 0x060000, 0xff0000, "bridge" },
	{ 0x070000, 0xff0000, "serial controller" },
	{ 0x080000, 0xff0000, "system device" },
	{ 0x0b4000, 0xffff00, "co-processor" },
	{ 0x0c0330, 0xffffff, "USB controller" },
	{ 0x0c0340, 0xffffff, "USB4 controller" },
	{ 0x0c0300, 0xffff00, "USB controller" },
	{ 0x0c0500, 0xffff00, "SMBus" },
	{ 0x0c8000, 0xffff00, "USB-C controller" },
	{ 0x0c0000, 0xff0000, "bus controller" },
	{ 0x0d0000, 0xff0000, "wireless card" },
	{ 0x100000, 0xff0000, "encryption engine" },
	{ 0x120000, 0xff0000, "accelerator" },
};

const char *class_words(uint32_t class)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if ((class & classes[i].mask) == classes[i].class)
			return classes[i].words;
	return "device";
}

void func_title(struct text *t, const struct scene *s, const struct func *f)
{
	const struct gpu *g = scene_gpu(s, f);

	if (g)
		gpu_title(t, g);
	else
		text_add(t, "%s (%s)", f->pci, class_words(f->class));
}
