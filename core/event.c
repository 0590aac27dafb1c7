/* SPDX-License-Identifier: MIT */
#include "core/event.h"

static const struct {
	const char *name;
	enum exit_code exit;
} failures[] = {
	[FAILURE_NONE] = { "none", EXIT_YES },
	[FAILURE_PLAN] = { "plan", EXIT_BAD_INPUT },
	[FAILURE_VERSION] = { "version", EXIT_ENGINE },
	[FAILURE_DEVICE] = { "device", EXIT_LOST },
	[FAILURE_LOAD] = { "load", EXIT_ENGINE },
	[FAILURE_OOM] = { "oom", EXIT_ENGINE },
	[FAILURE_CONTEXT] = { "context", EXIT_ENGINE },
	[FAILURE_DECODE] = { "decode", EXIT_ENGINE },
	[FAILURE_OUTPUT] = { "output", EXIT_ENV },
};

const char *failure_name(enum failure f)
{
	return (unsigned)f < FAILURE_COUNT ? failures[f].name : "decode";
}

enum exit_code failure_exit(enum failure f)
{
	return (unsigned)f < FAILURE_COUNT ? failures[f].exit : EXIT_ENGINE;
}

static json_t *event(const char *name)
{
	json_t *o = json_answer("berth.core/1");

	json_put_text(o, "event", name);
	return o;
}

json_t *event_loading(const char *engine)
{
	json_t *o = event("loading");

	json_put_text(o, "engine", engine);
	return o;
}

json_t *event_progress(uint32_t percent)
{
	json_t *o = event("progress");

	json_put_int(o, "percent", percent);
	return o;
}

static json_t *device_object(const struct account_device *d)
{
	json_t *o = json_object();

	json_put_text(o, "name", d->name);
	json_put_text_or_null(o, "pci", d->pci);
	json_put_text(o, "backend", d->backend);
	json_put_int(o, "layers", d->layers);
	json_put_int(o, "weights_bytes", (int64_t)d->bytes.weights);
	json_put_int(o, "kv_bytes", (int64_t)d->bytes.kv);
	json_put_int(o, "compute_bytes", (int64_t)d->bytes.compute);
	if (d->bytes.other == TELEM_UNKNOWN)
		json_put_null(o, "other_bytes");
	else
		json_put_int(o, "other_bytes", (int64_t)d->bytes.other);
	json_put_int(o, "rounding_bytes", (int64_t)d->rounding_bytes);
	return o;
}

static json_t *layers_of(const struct enginelog *l)
{
	json_t *layers = json_array();

	for (uint32_t i = 0; i < l->n_layers; i++)
		json_array_append_new(layers, json_string(l->layers[i]));
	return layers;
}

void event_add_draft(json_t *ready, const struct enginelog *draft)
{
	json_object_set_new(ready, "draft_layers", layers_of(draft));
}

json_t *event_ready(const struct account *a, const struct enginelog *l, uint32_t n_ctx,
		    uint32_t threads)
{
	json_t *o = event("ready"), *devices = json_array();
	json_t *buffers = json_array();

	json_put_int(o, "n_ctx", n_ctx);
	json_put_int(o, "threads", threads);
	json_object_set_new(o, "layers", layers_of(l));
	for (uint32_t i = 0; i < a->n_devices; i++)
		json_array_append_new(devices, device_object(&a->devices[i]));
	json_object_set_new(o, "devices", devices);
	for (uint32_t i = 0; i < l->n_buffers; i++) {
		json_t *b = json_object();

		json_put_text(b, "name", l->buffers[i].name);
		json_put_text(b, "kind", buffer_kind_name(l->buffers[i].kind));
		json_put_int(b, "bytes", (int64_t)l->buffers[i].bytes);
		json_array_append_new(buffers, b);
	}
	json_object_set_new(o, "buffers", buffers);
	json_put_int(o, "unplaced_bytes", (int64_t)a->unplaced_bytes);
	return o;
}

json_t *event_done(const struct outcome *d)
{
	json_t *o = event("done");

	json_put_int(o, "prompt_tokens", (int64_t)d->prompt_tokens);
	json_put_int(o, "prompt_ns", (int64_t)d->prompt_ns);
	json_put_int(o, "generated_tokens", (int64_t)d->generated_tokens);
	json_put_int(o, "generated_ns", (int64_t)d->generated_ns);
	json_put_text(o, "stop", d->stop);
	return o;
}

json_t *event_failed(enum failure f, const char *sentence)
{
	json_t *o = event("failed");

	json_put_text(o, "class", failure_name(f));
	json_put_text(o, "sentence", sentence);
	return o;
}
