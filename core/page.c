/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "core/energy.h"
#include "core/page.h"

#define SAMPLE_EVERY_NS UINT64_C(100000000)
#define ENERGY_EVERY_NS UINT64_C(1000000000)

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
	to->energy_uj = TELEM_UNKNOWN;
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

int page_open(struct page *p, const char *path, const struct plan *plan, const char *name,
	      struct err *e)
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
	struct telem_run *run = &p->writer.page->run;
	fill(run, plan);
	text_copy(run->name, sizeof(run->name), name ? name : "");
	for (uint32_t i = 0; i < run->n_devices; i++)
		p->energy[i] = energy_open("", run->devices[i].pci);
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
	/* What the last step counted was before it ended the last request */
	if (state != TELEM_GENERATING)
		p->writer.page->run.busy = 0;
	if (state == TELEM_READY && !p->writer.page->run.ready_ns)
		p->writer.page->run.ready_ns = telem_now_ns();
	telem_end(&p->writer);
}

void page_sleep(struct page *p)
{
	if (!p->open)
		return;
	telem_begin(&p->writer);
	struct telem_run *run = &p->writer.page->run;
	run->state = TELEM_ASLEEP;
	run->ctx_used_tokens = 0;
	memset(run->seq_tokens, 0, sizeof(run->seq_tokens));
	/* What the driver keeps for us, nobody measures */
	for (uint32_t i = 0; i < run->n_devices; i++)
		run->devices[i].measured = (struct telem_bytes) { .other = TELEM_UNKNOWN };
	telem_end(&p->writer);
}

/* Between begin and end. A device that sleeps is left alone: reading its counter would wake it. */
static void put_energy(struct page *p, uint64_t now)
{
	struct telem_run *run = &p->writer.page->run;

	if (run->state == TELEM_ASLEEP || now - p->last_energy_ns < ENERGY_EVERY_NS)
		return;
	p->last_energy_ns = now;
	for (uint32_t i = 0; i < run->n_devices; i++)
		run->devices[i].energy_uj = energy_read(p->energy[i]);
}

void page_count(struct page *p, const struct page_counts *c)
{
	uint64_t now;

	if (!p->open)
		return;
	now = telem_now_ns();
	telem_begin(&p->writer);
	struct telem_run *run = &p->writer.page->run;
	run->counts = c->all;
	run->ctx_used_tokens = c->ctx_used;
	run->queue = c->queue;
	run->busy = c->busy;
	memcpy(run->seq_tokens, c->seq_tokens, c->n_seq * sizeof(c->seq_tokens[0]));
	if (now - p->last_sample_ns >= SAMPLE_EVERY_NS) {
		p->last_sample_ns = now;
		telem_sample(&p->writer, now);
	}
	put_energy(p, now);
	telem_end(&p->writer);
}

void page_outcome(struct page *p, const struct outcome *o, uint32_t ctx_used)
{
	struct page_counts c = { .all = { .prompt_tokens = o->prompt_tokens,
					  .prompt_ns = o->prompt_ns,
					  .generated_tokens = o->generated_tokens,
					  .generated_ns = o->generated_ns,
					  .requests = 1 },
				 .ctx_used = ctx_used,
				 .busy = 1,
				 .n_seq = 1,
				 .seq_tokens = { ctx_used } };

	page_count(p, &c);
}

void page_beat(struct page *p)
{
	uint64_t now = telem_now_ns();

	if (!p->open)
		return;
	if (now - p->last_energy_ns < ENERGY_EVERY_NS) {
		telem_beat(&p->writer);
		return;
	}
	telem_begin(&p->writer);
	put_energy(p, now);
	telem_end(&p->writer);
}

void page_close(struct page *p)
{
	if (!p->open)
		return;
	for (uint32_t i = 0; i < p->writer.page->run.n_devices; i++)
		own_close_fd(&p->energy[i]);
	telem_close(&p->writer);
	p->open = false;
}
