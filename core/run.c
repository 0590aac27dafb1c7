/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/backends.h"
#include "core/batch.h"
#include "core/generate.h"
#include "core/run.h"

/* The backends this plan needs; a device without a name of its backend needs all (returns 0). */
static uint32_t backends_of(const struct plan *p, const char *names[PLAN_DEVICES_MAX])
{
	uint32_t n = 0;

	for (uint32_t d = 0; d < p->n_devices; d++) {
		const char *name = p->devices[d].backend;
		uint32_t i = 0;

		if (name[0] == 0)
			return 0;
		if (strcmp(name, "cpu") == 0) /* is always there */
			continue;
		while (i < n && strcmp(names[i], name) != 0)
			i++;
		if (i == n)
			names[n++] = name;
	}
	return n;
}

bool run_is_for_cpu(const struct plan *p)
{
	for (uint32_t d = 0; d < p->n_devices; d++) {
		if (strcmp(p->devices[d].backend, "cpu") != 0)
			return false;
	}
	return true;
}

/* Of the backends that were asked for, those that are installed. */
static uint32_t backends_given(const struct run *r, const char *names[PLAN_DEVICES_MAX])
{
	const char *installed[BACKEND_FILES_MAX];
	size_t have = backend_list(r->lib_dir, installed);
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->o.backends.n && n < PLAN_DEVICES_MAX; i++)
		for (size_t k = 0; k < have; k++)
			if (strcmp(installed[k], r->o.backends.v[i]) == 0)
				names[n++] = installed[k];
	return n ? n : ENGINE_NO_BACKENDS;
}

enum failure run_open_engine(struct run *r, struct err *e)
{
	const char *names[PLAN_DEVICES_MAX] = { NULL };
	uint32_t n = r->o.plan         ? backends_of(&r->plan, names)
		     : r->o.backends.n ? backends_given(r, names)
				       : 0;
	enum failure f;

	/* A plan for the CPU loads no GPU driver: nothing is woken, nothing can be lost */
	if (r->o.plan && n == 0 && run_is_for_cpu(&r->plan))
		n = ENGINE_NO_BACKENDS;
	f = engine_open(&r->engine, r->lib_dir, names, n, r->o.verbose, e);

	if (f)
		return f;
	r->n_devices = engine_devices(r->engine, r->devices);
	if (r->plan.draft.n_max && !r->o.measure && !r->o.calibrate)
		f = engine_beside(&r->draft, r->engine, e);
	return f;
}

static bool on_progress(void *arg, float part)
{
	struct run *r = arg;

	uint32_t percent = part < 0 ? 0 : part > 1 ? 100 : (uint32_t)(part * 100);

	if (percent != r->percent) {
		r->percent = percent;
		control_send(&r->control, event_progress(percent));
	}
	page_beat(&r->page);
	control_poll(&r->control, 0);
	return !r->control.stop;
}

/* The model's weights were the most of it: the bar stays full. */
static bool on_draft_progress(void *arg, float part)
{
	struct run *r = arg;

	(void)part;
	page_beat(&r->page);
	control_poll(&r->control, 0);
	return !r->control.stop;
}

/* It must be where the plan has it: what a supervisor proves once holds after each sleep, too. */
static enum failure check_draft(const struct run *r, struct err *e)
{
	const struct enginelog *l = engine_log(r->draft);
	int32_t device = r->plan.draft.device;
	const char *want = device < 0 ? "CPU" : r->devices[r->index[device]].name;

	for (uint32_t i = 0; i < l->n_layers; i++) {
		if (strcmp(l->layers[i], want) == 0)
			continue;
		err_set(e, -EIO, "layer %u of the draft was planned for %s, but is on %s", i, want,
			l->layers[i][0] ? l->layers[i] : "a device that the engine did not name");
		return FAILURE_LOAD;
	}
	return FAILURE_NONE;
}

static enum failure load_draft(struct run *r, bool *stopped, struct err *e)
{
	own_free struct plan *plan = calloc(1, sizeof(*plan));
	uint32_t index[PLAN_DEVICES_MAX] = { 0 };
	struct engine_load how = { .plan = plan,
				   .index = index,
				   .threads = r->o.threads,
				   .progress = on_draft_progress,
				   .arg = r };
	struct engine_facts facts, draft;
	enum failure f;

	if (!plan) {
		err_set(e, -ENOMEM, "out of memory");
		return FAILURE_OOM;
	}
	plan_of_draft(plan, &r->plan);
	if (plan->n_devices)
		index[0] = r->index[r->plan.draft.device];
	f = engine_load(r->draft, &how, stopped, e);
	if (f || *stopped) {
		if (f)
			err_at(e, e->rc, "the draft %s", plan->model_path);
		return f;
	}
	engine_facts(r->engine, &facts);
	engine_facts(r->draft, &draft);
	if (!facts.rewinds || !draft.rewinds) {
		err_set(e, -ENOTSUP,
			"the %s keeps a state that cannot be taken back, so no guess can be: run "
			"it without --draft",
			facts.rewinds ? "draft" : "model");
		return FAILURE_PLAN;
	}
	if (engine_same_tokens(r->engine, r->draft, e))
		return FAILURE_PLAN;
	return r->loaded ? check_draft(r, e) : FAILURE_NONE;
}

static enum failure load(struct run *r, struct err *e)
{
	struct engine_load how = { .plan = &r->plan,
				   .index = r->index,
				   .threads = r->o.threads,
				   .progress = on_progress,
				   .arg = r };
	uint64_t start = telem_now_ns();
	enum failure f;
	bool stopped;

	if (device_match(&r->plan, r->devices, r->n_devices, r->index, e))
		return FAILURE_DEVICE;
	for (uint32_t i = 0; i < r->plan.n_devices; i++)
		r->free_before[i] = engine_free_bytes(r->engine, r->index[i]);
	f = engine_load(r->engine, &how, &stopped, e);
	if (f || stopped)
		return f;
	f = engine_adapt(r->engine, &r->loras, &r->vectors, e);
	if (f == FAILURE_NONE && r->draft)
		f = load_draft(r, &stopped, e);
	if (f || stopped)
		return f;
	account_make(&r->account, engine_log(r->engine), r->devices, r->index, r->plan.n_devices);
	if (r->draft)
		account_add(&r->account, engine_log(r->draft));
	for (uint32_t i = 0; i < r->plan.n_devices; i++) {
		struct account_device *d = &r->account.devices[i];

		/* A device without an address is software: its free memory is the host's */
		if (d->pci[0])
			d->bytes.other = account_other(&d->bytes, r->free_before[i],
						       engine_free_bytes(r->engine, r->index[i]));
	}
	r->loaded = true;
	r->load_ns = telem_now_ns() - start;
	return FAILURE_NONE;
}

static void tell_ready(struct run *r)
{
	json_t *o = event_ready(&r->account, engine_log(r->engine), engine_n_ctx(r->engine),
				r->o.threads);

	if (r->draft)
		event_add_draft(o, engine_log(r->draft));
	control_send(&r->control, o);
}

/* Wait until the supervisor has compared the placement with the plan. */
static void wait_for_go(struct run *r)
{
	while (!r->control.go && !r->control.stop) {
		control_poll(&r->control, 1000);
		page_beat(&r->page);
	}
}

/* Once more, after a sleep: devices are the same, and so is the plan. */
static enum failure load_again(void *arg, struct err *e)
{
	return load(arg, e);
}

static enum failure serve(struct run *r, struct err *e)
{
	struct batch_options o = {
		.engine = r->engine,
		.draft = r->draft,
		.draft_max = r->plan.draft.n_max,
		.draft_min = r->o.draft_min,
		.plan = &r->plan,
		.account = &r->account,
		.control = &r->control,
		.page = &r->page,
		.queue_max = r->o.max_queue,
		.sleep_s = r->o.sleep_idle,
		.chat_template = r->o.chat_template,
		.load_ns = r->load_ns,
		.load = load_again,
		.arg = r,
	};
	struct batch_stats s;
	struct server *server = NULL;
	struct batch *b;
	enum failure f;

	if (batch_open(&b, &o, e))
		return FAILURE_OOM;
	r->http.o.batch = b;
	f = server_start(&server, &r->http.o, e) ? FAILURE_OUTPUT : batch_run(b, false, e);
	server_stop(server);
	batch_stats(b, &s);
	batch_close(b);
	r->outcome = (struct outcome) { .prompt_tokens = s.counts.prompt_tokens,
					.prompt_ns = s.counts.prompt_ns,
					.generated_tokens = s.counts.generated_tokens,
					.generated_ns = s.counts.generated_ns,
					.stop = "stopped" };
	return f;
}

/* A template that was asked for by name: before a model is loaded, not at the first conversation. */
static enum failure check_template(const struct run *r, struct err *e)
{
	static const struct request_message hello = { (char *)"user", (char *)"Hello" };
	own_free char *text = NULL;

	if (!r->o.chat_template || engine_chat(r->o.chat_template, &hello, 1, &text) != -ENOENT)
		return FAILURE_NONE;
	err_set(e, -EINVAL,
		"--chat-template: the engine's library knows none named '%.60s'; `berth launch --engine "
		"llama-server` runs any that a model brings",
		r->o.chat_template);
	return FAILURE_PLAN;
}

enum failure run_carry_out(struct run *r, struct err *e)
{
	struct generate g = {
		.engine = NULL,
		.control = &r->control,
		.page = &r->page,
		.out = r->out,
		.prompt = r->o.prompt,
		.max_tokens = r->o.max_tokens,
		.batch = r->plan.flags.n_ubatch,
	};
	enum failure f = run_open_engine(r, e);

	if (f)
		return f;
	f = check_template(r, e);
	if (f)
		return f;
	control_send(&r->control, event_loading(engine_version()));
	f = load(r, e);
	if (f)
		return f;
	r->outcome.stop = "stopped";
	if (r->control.stop)
		return FAILURE_NONE;
	page_account(&r->page, &r->account, engine_n_ctx(r->engine));
	tell_ready(r);
	wait_for_go(r);
	if (r->control.stop)
		return FAILURE_NONE;
	if (r->control.fd >= 0)
		page_verified(&r->page);
	page_state(&r->page, TELEM_READY);
	if (r->o.serve)
		return serve(r, e);
	if (!r->o.prompt) {
		r->outcome.stop = "ready";
		return FAILURE_NONE;
	}
	page_state(&r->page, TELEM_GENERATING);
	f = engine_sampler(r->engine, r->o.temperature, r->o.seed, e);
	if (f)
		return f;
	g.engine = r->engine;
	return generate_run(&g, &r->outcome, e);
}
