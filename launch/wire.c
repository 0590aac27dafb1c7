/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "launch/wire.h"

static bool get_u64(const json_t *o, const char *key, uint64_t *v)
{
	const json_t *n = json_object_get(o, key);

	if (!json_is_integer(n) || json_integer_value(n) < 0)
		return false;
	*v = (uint64_t)json_integer_value(n);
	return true;
}

static bool get_u32(const json_t *o, const char *key, uint32_t *v)
{
	uint64_t wide;

	if (!get_u64(o, key, &wide) || wide > UINT32_MAX)
		return false;
	*v = (uint32_t)wide;
	return true;
}

/* Null is the empty text */
static bool get_text(const json_t *o, const char *key, char *to, size_t size)
{
	const json_t *s = json_object_get(o, key);

	to[0] = 0;
	if (json_is_null(s))
		return true;
	if (!json_is_string(s) || !text_copy(to, size, json_string_value(s)))
		return false;
	text_clean(to);
	return true;
}

static bool get_device(const json_t *o, struct wire_device *d)
{
	if (!get_u64(o, "other_bytes", &d->bytes.other))
		d->bytes.other = TELEM_UNKNOWN;
	return get_text(o, "name", d->name, sizeof(d->name)) &&
	       get_text(o, "pci", d->pci, sizeof(d->pci)) &&
	       get_text(o, "backend", d->backend, sizeof(d->backend)) &&
	       get_u32(o, "layers", &d->layers) && get_u64(o, "weights_bytes", &d->bytes.weights) &&
	       get_u64(o, "kv_bytes", &d->bytes.kv) &&
	       get_u64(o, "compute_bytes", &d->bytes.compute) &&
	       get_u64(o, "rounding_bytes", &d->rounding_bytes);
}

static bool get_layers(const json_t *all, char to[WIRE_LAYERS_MAX][48], uint32_t *n)
{
	size_t have = json_array_size(all);

	if (have > WIRE_LAYERS_MAX)
		return false;
	for (size_t i = 0; i < have; i++) {
		const char *name = json_string_value(json_array_get(all, i));

		if (!name || !text_copy(to[i], 48, name))
			return false;
		text_clean(to[i]);
	}
	*n = (uint32_t)have;
	return true;
}

static bool take_ready(struct wire *w, const json_t *o)
{
	struct wire_ready *r = &w->ready;
	const json_t *devices = json_object_get(o, "devices");
	size_t n_devices = json_array_size(devices);

	memset(r, 0, sizeof(*r));
	if (!get_u32(o, "n_ctx", &r->n_ctx) || !get_u32(o, "threads", &r->threads) ||
	    n_devices == 0 || n_devices > PLAN_DEVICES_MAX + 1)
		return false;
	if (!get_layers(json_object_get(o, "layers"), r->layers, &r->n_layers) ||
	    !get_layers(json_object_get(o, "draft_layers"), r->draft_layers, &r->n_draft_layers))
		return false;
	for (size_t i = 0; i < n_devices; i++)
		if (!get_device(json_array_get(devices, i), &r->devices[i]))
			return false;
	if (!get_u64(o, "unplaced_bytes", &r->unplaced_bytes))
		return false;
	r->n_devices = (uint32_t)n_devices;
	w->is_ready = true;
	return true;
}

static bool take_loading(struct wire *w, const json_t *o)
{
	w->loading = true;
	return get_text(o, "engine", w->engine, sizeof(w->engine));
}

static bool take_progress(struct wire *w, const json_t *o)
{
	uint32_t percent;

	if (!get_u32(o, "percent", &percent) || percent > 100)
		return false;
	w->percent = (int)percent;
	return true;
}

static bool take_done(struct wire *w, const json_t *o)
{
	struct wire_done *d = &w->done;

	w->is_done = get_u64(o, "prompt_tokens", &d->prompt_tokens) &&
		     get_u64(o, "prompt_ns", &d->prompt_ns) &&
		     get_u64(o, "generated_tokens", &d->generated_tokens) &&
		     get_u64(o, "generated_ns", &d->generated_ns) &&
		     get_text(o, "stop", d->stop, sizeof(d->stop));
	return w->is_done;
}

static bool take_failed(struct wire *w, const json_t *o)
{
	w->has_failed = get_text(o, "class", w->failure, sizeof(w->failure)) && w->failure[0] &&
			get_text(o, "sentence", w->sentence, sizeof(w->sentence));
	return w->has_failed;
}

static const struct {
	const char *name;
	bool (*take)(struct wire *w, const json_t *o);
} events[] = {
	{ "loading", take_loading }, { "progress", take_progress }, { "ready", take_ready },
	{ "done", take_done },       { "failed", take_failed },
};

int wire_line(struct wire *w, const char *line, size_t n, struct err *e)
{
	json_t *o = json_parse(line, n, "the core's report", e);
	const char *schema, *name;
	bool good = false;

	if (!o)
		return -EBADMSG;
	schema = json_string_value(json_object_get(o, "schema"));
	name = json_string_value(json_object_get(o, "event"));
	for (size_t i = 0; schema && name && i < sizeof(events) / sizeof(events[0]); i++)
		if (strcmp(schema, "berth.core/1") == 0 && strcmp(name, events[i].name) == 0)
			good = events[i].take(w, o);
	json_decref(o);
	return good ? 0
		    : err_set(e, -EBADMSG,
			      "the core reported something that is no berth.core/1 event");
}
