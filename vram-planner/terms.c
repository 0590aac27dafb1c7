/* SPDX-License-Identifier: MIT */
#include "vram-planner/terms.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vram-planner/backend.h"
#include "vram-planner/cache.h"
#include "vram-planner/terms_priv.h"

#define ROWS_MAX 96 /* kinds of tensors on one device; more are added to the last */
#define SHOWN    14

/* Like tensors of all layers: "ffn_down" in q4_K, or the keys of a cache. */
struct term {
	char what[48];
	const char *type;
	uint32_t n;
	uint64_t bytes;
};

struct terms {
	uint32_t n;
	struct term rows[ROWS_MAX];
};

/* --- collecting --- */

static void add(struct terms *all, const char *what, const char *type, uint64_t bytes)
{
	uint32_t i = 0;

	while (i < all->n && (strcmp(all->rows[i].what, what) != 0 || all->rows[i].type != type))
		i++;
	if (i == ROWS_MAX)
		i--;
	if (i == all->n) {
		all->rows[all->n++] = (struct term) { .type = type };
		text_copy(all->rows[i].what, sizeof(all->rows[i].what), what);
	}
	all->rows[i].n++;
	all->rows[i].bytes += bytes;
}

/* "blk.7.ffn_down.weight" -> "ffn_down"; "output.weight" -> "output" */
static const char *kind_of(const struct tensor *t, char *buf, size_t size)
{
	size_t n = t->name_len < size - 1 ? t->name_len : size - 1;
	char *at = buf;

	memcpy(buf, t->name, n);
	buf[n] = '\0';
	text_clean(buf);
	if (t->layer >= 0 && (at = strchr(buf, '.')) && (at = strchr(at + 1, '.')))
		at++;
	else
		at = buf;
	n = strlen(at);
	if (n > 7 && strcmp(at + n - 7, ".weight") == 0)
		at[n - 7] = '\0';
	return at;
}

static uint64_t bytes_at(const struct view *v, uint32_t device, const struct tensor *t)
{
	const struct backend *b = device == HOST ? backend_find("cpu") : v->targets[device].backend;

	return placed_bytes(b, t->type, t->ne[0], t->bytes);
}

static void collect_weights(const struct view *v, uint32_t device, struct terms *all)
{
	const struct placement *p = biller_placement(v->biller);
	const struct model *m = biller_shape(v->biller)->model;
	char name[64];

	for (uint32_t i = 0; i < model_n_tensors(m); i++) {
		const struct tensor *t = model_tensor(m, i);
		bool here = device == HOST ? p->home[i] <= HOME_HOST : p->home[i] == (int)device;

		if (here && p->fate[i] != FATE_SKIPPED)
			add(all, kind_of(t, name, sizeof(name)), quant_name(t->type),
			    bytes_at(v, device, t));
	}
}

static const char *const cache_names[] = {
	[CACHE_K] = "keys",
	[CACHE_V] = "values",
	[CACHE_INDEXER] = "indexer keys",
	[CACHE_COMPRESSED] = "compressed keys",
	[CACHE_CONV] = "convolution states",
	[CACHE_STATE] = "recurrent states",
	[CACHE_PARTIAL_KV] = "partial keys",
	[CACHE_PARTIAL_SCORE] = "partial scores",
	[CACHE_INDEXER_PARTIAL_KV] = "indexer partial keys",
	[CACHE_INDEXER_PARTIAL_SCORE] = "indexer partial scores",
};

static void collect_caches(const struct view *v, uint32_t device, struct terms *all)
{
	const struct shape *s = biller_shape(v->biller);
	const struct placement *p = biller_placement(v->biller);
	struct cache_tensor owned[CACHE_TENSORS_MAX];
	char what[48];

	for (uint32_t i = 0; i < s->n_layer; i++) {
		int home = cache_home(p, &v->ask, i);
		uint32_t n = cache_tensors(s, &v->ask, i, owned);

		if (device == HOST ? home >= 0 : home != (int)device)
			continue;
		for (uint32_t k = 0; k < n; k++) {
			const struct cache_tensor *c = &owned[k];
			const struct backend *b = device == HOST ? backend_find("cpu")
								 : v->targets[device].backend;

			snprintf(what, sizeof(what), "%s %" PRIu64 " x %" PRIu64 " x %" PRIu64,
				 cache_names[c->kind], c->ne[0], c->ne[1], c->ne[2]);
			add(all, what, quant_name(c->type),
			    placed_bytes(b, c->type, c->ne[0], c->bytes));
		}
	}
}

/* --- showing --- */

static int by_bytes(const void *a, const void *b)
{
	const struct term *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->what, y->what);
}

static void show_term(struct text *t, const struct term *r)
{
	char size[TEXT_SIZE_MAX];

	text_add(t, "    %10s  %-40s %4" PRIu32 " x %s\n", text_size(size, r->bytes), r->what, r->n,
		 r->type ? r->type : "-");
}

/* The largest terms, and what is left to the sum that the plan has. */
static void show_terms(struct text *t, struct terms *all, const char *title, uint64_t sum)
{
	uint64_t shown = 0;
	char size[TEXT_SIZE_MAX];

	text_add(t, "  %-11s %s\n", title, text_size(size, sum));
	qsort(all->rows, all->n, sizeof(all->rows[0]), by_bytes);
	for (uint32_t i = 0; i < all->n && i < SHOWN; i++) {
		show_term(t, &all->rows[i]);
		shown += all->rows[i].bytes;
	}
	if (sum > shown)
		text_add(t, "    %10s  %s\n", text_size(size, sum - shown),
			 all->n > SHOWN ? "smaller ones"
					: "copies of tensors that are elsewhere, too");
}

static void show_part(struct text *t, const struct view *v, const struct bill_part *part,
		      const char *name)
{
	char size[TEXT_SIZE_MAX];

	if (part->compute_bytes)
		text_add(t,
			 "  %-11s %s on %s: what lives at once of the graph of %" PRIu32
			 " tokens\n",
			 "compute", text_size(size, part->compute_bytes), name, v->ask.n_ubatch);
	if (part->output_bytes)
		text_add(t, "  %-11s %s on %s: %" PRIu32 " row%s of logits for the caller\n",
			 "output", text_size(size, part->output_bytes), name, v->ask.n_seq,
			 v->ask.n_seq == 1 ? "" : "s");
}

static const char *const host_kinds[] = {
	[BILL_DEVICE] = "",          [BILL_PINNED] = "pinned memory",
	[BILL_CPU] = "plain memory", [BILL_REPACK] = "repacked memory",
	[BILL_AMX] = "AMX tiles",
};

static void show_overhead(struct text *t, uint64_t bytes, bool device)
{
	char size[TEXT_SIZE_MAX];

	text_add(t, "  %-11s %s: %s\n", "overhead", text_size(size, bytes),
		 device ? "the driver's own, the margin, and what a prediction may be short by"
			: "the margin");
}

static const char *device_title(const struct plan *p, uint32_t device, char *buf, size_t size)
{
	const struct plan_device *d = &p->devices[device];

	snprintf(buf, size, "%s%s%s", d->pci, d->pci[0] ? " " : "",
		 d->name[0] ? d->name : d->engine_name);
	return buf;
}

static void show_device(struct text *t, const struct view *v, uint32_t device)
{
	const struct plan_device *d = &v->plan->devices[device];
	const struct bill_part *part = bill_part(&v->bill, BILL_DEVICE, device);
	char name[160], size[TEXT_SIZE_MAX];
	struct terms all = { 0 };

	text_add(t, "\n%s: %s\n", device_title(v->plan, device, name, sizeof(name)),
		 text_size(size, plan_buffers_sum(&d->buffers)));
	collect_weights(v, device, &all);
	show_terms(t, &all, "weights", part ? part->weights_bytes : 0);
	all.n = 0;
	collect_caches(v, device, &all);
	show_terms(t, &all, "cache", part ? part->kv_bytes : 0);
	if (part)
		show_part(t, v, part, "the device");
	show_overhead(t, d->buffers.overhead_bytes, true);
}

static void show_host(struct text *t, const struct view *v)
{
	const struct plan_buffers *b = &v->plan->host.buffers;
	struct terms all = { 0 };
	char size[TEXT_SIZE_MAX];

	text_add(t, "\nhost: %s\n", text_size(size, plan_buffers_sum(b)));
	collect_weights(v, HOST, &all);
	show_terms(t, &all, "weights", b->weights_bytes);
	all.n = 0;
	collect_caches(v, HOST, &all);
	show_terms(t, &all, "cache", b->kv_bytes);
	for (uint32_t i = 0; i < v->bill.n; i++) {
		if (v->bill.parts[i].kind != BILL_DEVICE)
			show_part(t, v, &v->bill.parts[i], host_kinds[v->bill.parts[i].kind]);
	}
	show_overhead(t, b->overhead_bytes, false);
}

/* --- which --- */

static int find_bar(const struct plan *p, const char *bar, uint32_t *device, struct err *e)
{
	uint64_t n = UINT64_MAX;

	*device = HOST;
	if (strcasecmp(bar, "host") == 0 || strcasecmp(bar, "cpu") == 0)
		return 0;
	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];

		if (strcmp(d->pci, bar) == 0 || strcmp(d->engine_name, bar) == 0 ||
		    strcasestr(d->name, bar)) {
			*device = i;
			return 0;
		}
	}
	if (text_parse_u64(bar, &n) == 0 && n < p->n_devices) {
		*device = (uint32_t)n;
		return 0;
	}
	return err_set(e, -ENODEV, "the plan uses no device '%s'; it has %" PRIu32 " and the host",
		       bar, p->n_devices);
}

static int explain(struct text *t, struct view *v, const char *bar, struct err *e)
{
	uint32_t device = HOST;
	int rc = biller_bill(v->biller, &v->ask, v->targets, v->plan->n_devices, &v->bill, e);

	if (!rc && bar)
		rc = find_bar(v->plan, bar, &device, e);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < v->plan->n_devices; i++) {
		if (!bar || i == device)
			show_device(t, v, i);
	}
	if (device == HOST)
		show_host(t, v);
	if (bar)
		savings_explain(t, v, device);
	return 0;
}

int terms_explain(struct text *t, const struct plan *p, const struct model *m, const char *bar,
		  struct err *e)
{
	struct view v = { .plan = p };

	if (!p->n_devices && !p->host.layers)
		return err_set(e, -ENOTSUP, "there is nothing to explain: the plan places nothing");
	int rc = biller_open(&v.biller, m, engine_bundled(), e);

	if (rc)
		return rc;
	ask_of_plan(&v.ask, p);
	for (uint32_t i = 0; i < p->n_devices; i++)
		v.targets[i].backend = backend_find(p->devices[i].backend);
	rc = explain(t, &v, bar, e);
	biller_close(v.biller);
	return rc;
}
