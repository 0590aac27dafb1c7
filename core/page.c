/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/text.h"
#include "core/page.h"

#define SAMPLE_EVERY_NS UINT64_C(100000000)

static struct telem_bytes planned(const struct plan_buffers *b)
{
	return (struct telem_bytes) { b->weights_bytes, b->kv_bytes, b->compute_bytes,
				      b->overhead_bytes };
}

static void fill_device(struct telem_device *to, const char *pci, const char *name,
			const struct plan_buffers *buffers, uint32_t layers)
{
	static const struct telem_bytes nobody = { TELEM_UNKNOWN, TELEM_UNKNOWN, TELEM_UNKNOWN,
						   TELEM_UNKNOWN };

	text_copy(to->pci, sizeof(to->pci), pci);
	text_copy(to->name, sizeof(to->name), name);
	to->planned = planned(buffers);
	to->measured = nobody;
	to->layers_asked = layers;
}

static void fill(struct telem_run *run, const struct plan *plan)
{
	text_copy(run->model, sizeof(run->model), plan->model_name);
	plan_id(plan, run->plan_id);
	run->state = TELEM_STARTING;
	run->started_ns = telem_now_ns();
	run->n_seq = plan->flags.n_seq_max;
	run->ctx_tokens = plan->flags.n_ctx;
	for (uint32_t i = 0; i < plan->n_devices && run->n_devices < TELEM_DEVICES_MAX - 1; i++) {
		const struct plan_device *d = &plan->devices[i];

		fill_device(&run->devices[run->n_devices++], d->pci,
			    d->engine_name[0] ? d->engine_name : d->name, &d->buffers, d->layers);
	}
	fill_device(&run->devices[run->n_devices++], "", "CPU", &plan->host.buffers,
		    plan->host.layers);
}

int page_open(struct page *p, const char *path, const struct plan *plan, struct err *e)
{
	int rc;

	memset(p, 0, sizeof(*p));
	if (!path)
		return 0;
	rc = telem_create(&p->writer, path, TELEM_RUN, e);
	if (rc)
		return rc;
	p->open = true;
	telem_begin(&p->writer);
	fill(&p->writer.page->run, plan);
	telem_end(&p->writer);
	return 0;
}

void page_account(struct page *p, const struct account *a, uint32_t n_ctx)
{
	if (!p->open)
		return;
	telem_begin(&p->writer);
	struct telem_run *run = &p->writer.page->run;
	run->ctx_tokens = n_ctx;
	/* Both lists are the plan's devices in order, then the host; a 16th device falls off the page */
	for (uint32_t i = 0; i < run->n_devices && i < a->n_devices; i++) {
		const struct account_device *from =
			&a->devices[i + 1 == run->n_devices ? a->n_devices - 1 : i];

		text_copy(run->devices[i].name, sizeof(run->devices[i].name), from->name);
		run->devices[i].measured = from->bytes;
		run->devices[i].layers_verified = from->layers;
	}
	telem_end(&p->writer);
}

void page_verified(struct page *p)
{
	if (!p->open)
		return;
	telem_begin(&p->writer);
	p->writer.page->run.verified = 1;
	telem_end(&p->writer);
}

void page_state(struct page *p, enum telem_state state)
{
	if (!p->open)
		return;
	telem_begin(&p->writer);
	p->writer.page->run.state = state;
	if (state == TELEM_READY && !p->writer.page->run.ready_ns)
		p->writer.page->run.ready_ns = telem_now_ns();
	telem_end(&p->writer);
}

void page_count(struct page *p, const struct outcome *o, uint32_t ctx_used, uint32_t queue)
{
	uint64_t now;

	if (!p->open)
		return;
	now = telem_now_ns();
	telem_begin(&p->writer);
	struct telem_run *run = &p->writer.page->run;
	run->prompt_tokens = o->prompt_tokens;
	run->prompt_ns = o->prompt_ns;
	run->generated_tokens = o->generated_tokens;
	run->generated_ns = o->generated_ns;
	run->ctx_used_tokens = ctx_used;
	run->queue = queue;
	if (now - p->last_sample_ns >= SAMPLE_EVERY_NS) {
		p->last_sample_ns = now;
		telem_sample(&p->writer, now, o->generated_tokens);
	}
	telem_end(&p->writer);
}

void page_beat(struct page *p)
{
	if (p->open)
		telem_beat(&p->writer);
}

void page_close(struct page *p)
{
	if (p->open)
		telem_close(&p->writer);
	p->open = false;
}
