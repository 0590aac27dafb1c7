/* SPDX-License-Identifier: MIT */
/* Prometheus' text format, version 0.0.4. Power and joules are `berth top --prometheus`'s. */
#include <inttypes.h>
#include <stddef.h>

#include "core/reply.h"

enum as {
	AS_U32,
	AS_U64,
	AS_SECONDS, /* from nanoseconds */
};

static const struct metric {
	const char *name, *type, *help;
	enum as as;
	size_t offset;
} metrics[] = {
#define AT(member) offsetof(struct batch_stats, member)
	{ "requests_total", "counter", "Requests that came.", AS_U64, AT(counts.requests) },
	{ "requests_failed_total", "counter", "Of them, failed.", AS_U64,
	  AT(counts.requests_failed) },
	{ "requests_cancelled_total", "counter", "Of them, left by their client.", AS_U64,
	  AT(cancelled) },
	{ "prompt_tokens_total", "counter", "Prompt tokens that were computed.", AS_U64,
	  AT(counts.prompt_tokens) },
	{ "prompt_cached_tokens_total", "counter",
	  "Prompt tokens known from earlier prompts, not computed.", AS_U64,
	  AT(counts.cached_tokens) },
	{ "generated_tokens_total", "counter", "Generated tokens.", AS_U64,
	  AT(counts.generated_tokens) },
	{ "prompt_seconds_total", "counter", "Engine time spent on prompts.", AS_SECONDS,
	  AT(counts.prompt_ns) },
	{ "generated_seconds_total", "counter", "Engine time spent on generated tokens.",
	  AS_SECONDS, AT(counts.generated_ns) },
	{ "drafted_tokens_total", "counter", "Tokens that a draft model guessed.", AS_U64,
	  AT(counts.drafted_tokens) },
	{ "accepted_tokens_total", "counter", "Of them, taken.", AS_U64,
	  AT(counts.accepted_tokens) },
	{ "first_tokens_total", "counter", "Requests that had a first token.", AS_U64,
	  AT(counts.first_tokens) },
	{ "first_token_seconds_total", "counter",
	  "From taking a request to its first token, summed over them.", AS_SECONDS,
	  AT(counts.first_token_ns) },
	{ "steps_total", "counter", "Batches computed.", AS_U64, AT(steps) },
	{ "loads_total", "counter", "Times the model was loaded.", AS_U64, AT(loads) },
	{ "load_seconds", "gauge", "The last load took.", AS_SECONDS, AT(load_ns) },
	{ "slots", "gauge", "Sequences that can be computed at once.", AS_U32, AT(slots) },
	{ "slots_busy", "gauge", "Of them, at work.", AS_U32, AT(busy) },
	{ "requests_queued", "gauge", "Requests that wait for a slot.", AS_U32, AT(queued) },
	{ "queue_limit", "gauge", "Requests that may wait.", AS_U32, AT(queue_max) },
	{ "context_tokens", "gauge", "Tokens one sequence can hold.", AS_U32, AT(ctx_tokens) },
	{ "context_used_tokens", "gauge", "Tokens in the cache, of all sequences.", AS_U64,
	  AT(ctx_used_sum) },
	{ "context_used_max_tokens", "gauge", "Tokens of the fullest sequence.", AS_U32,
	  AT(ctx_used_max) },
#undef AT
};

/* A label's value: the run's name is a person's, and a device's a driver's. */
static void label(struct bytes *b, const char *key, const char *value)
{
	bytes_printf(b, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			bytes_add(b, "\\", 1);
		if (*value == '\n')
			bytes_text(b, "\\n");
		else
			bytes_add(b, value, 1);
	}
	bytes_text(b, "\"");
}

static void one(struct bytes *b, const char *name, const struct metric *m,
		const struct batch_stats *s)
{
	const char *at = (const char *)s + m->offset;

	bytes_printf(b, "# HELP berth_%s %s\n# TYPE berth_%s %s\nberth_%s{", m->name, m->help,
		     m->name, m->type, m->name);
	label(b, "run", name);
	if (m->as == AS_U32)
		bytes_printf(b, "} %" PRIu32 "\n", *(const uint32_t *)(const void *)at);
	else if (m->as == AS_U64)
		bytes_printf(b, "} %" PRIu64 "\n", *(const uint64_t *)(const void *)at);
	else
		bytes_printf(b, "} %.9f\n", (double)*(const uint64_t *)(const void *)at / 1e9);
}

static void device(struct bytes *b, const char *name, const char *device_name, const char *pci,
		   const char *purpose, uint64_t bytes)
{
	bytes_text(b, "berth_device_bytes{");
	label(b, "run", name);
	bytes_text(b, ",");
	label(b, "device", device_name);
	bytes_text(b, ",");
	label(b, "pci", pci);
	bytes_printf(b, ",purpose=\"%s\"} %" PRIu64 "\n", purpose, bytes);
}

void reply_metrics(struct bytes *b, const char *name, const struct batch_stats *s)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		one(b, name, &metrics[i], s);
	bytes_text(b, "# HELP berth_device_bytes What the engine has allocated there.\n"
		      "# TYPE berth_device_bytes gauge\n");
	for (uint32_t i = 0; i < s->n_devices && i < BATCH_DEVICES_MAX; i++) {
		device(b, name, s->devices[i].name, s->devices[i].pci, "weights",
		       s->devices[i].weights_bytes);
		device(b, name, s->devices[i].name, s->devices[i].pci, "kv",
		       s->devices[i].kv_bytes);
		device(b, name, s->devices[i].name, s->devices[i].pci, "compute",
		       s->devices[i].compute_bytes);
	}
}
