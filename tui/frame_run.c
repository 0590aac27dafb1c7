/* SPDX-License-Identifier: MIT */
/* A run's part of a recording: its telemetry page without the ring, and what its supervisor says. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/frames.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A number of 4 or 8 bytes; all ones are unknown, null in JSON. */
struct number {
	const char *key;
	size_t offset, size;
};

#define NUMBER(type, member, key)                                                                  \
	{                                                                                          \
		key, offsetof(type, member), sizeof(((type *)0)->member)                           \
	}
#define RUN(member)        NUMBER(struct telem_run, member, #member)
#define COUNT(member)      NUMBER(struct telem_run, counts.member, #member)
#define BYTES(set, member) NUMBER(struct telem_device, set.member, #set "_" #member "_bytes")

/* clang-format off */
static const struct number run_numbers[] = {
	RUN(state), RUN(verified), RUN(n_seq), RUN(ctx_tokens), RUN(ctx_used_tokens), RUN(queue), RUN(busy),
	RUN(started_ns), RUN(ready_ns),
	COUNT(prompt_tokens), COUNT(prompt_ns), COUNT(generated_tokens), COUNT(generated_ns),
	COUNT(cached_tokens), COUNT(drafted_tokens), COUNT(accepted_tokens), COUNT(requests),
	COUNT(requests_failed), COUNT(first_tokens), COUNT(first_token_ns), COUNT(last_first_token_ns),
};

static const struct number device_numbers[] = {
	BYTES(planned, weights), BYTES(planned, kv), BYTES(planned, compute), BYTES(planned, other),
	BYTES(measured, weights), BYTES(measured, kv), BYTES(measured, compute), BYTES(measured, other),
	NUMBER(struct telem_device, layers_asked, "layers_asked"),
	NUMBER(struct telem_device, layers_verified, "layers_verified"),
	NUMBER(struct telem_device, energy_uj, "energy_uj"),
};
/* clang-format on */

static void put_numbers(json_t *o, const struct number *rows, size_t n, const void *obj)
{
	for (const struct number *r = rows; r < rows + n; r++) {
		uint64_t v = 0;
		uint32_t small;

		memcpy(r->size == sizeof(small) ? (void *)&small : (void *)&v,
		       (const char *)obj + r->offset, r->size);
		if (r->size == sizeof(small))
			v = small == TELEM_UNKNOWN32 ? TELEM_UNKNOWN : small;
		if (v > INT64_MAX)
			json_put_null(o, r->key);
		else
			json_put_int(o, r->key, (int64_t)v);
	}
}

static void get_numbers(const json_t *o, const struct number *rows, size_t n, void *obj)
{
	for (const struct number *r = rows; r < rows + n; r++) {
		const json_t *v = json_object_get(o, r->key);
		json_int_t i = json_integer_value(v);
		uint64_t to = !json_is_integer(v) || i < 0 ? TELEM_UNKNOWN : (uint64_t)i;
		uint32_t small = to > TELEM_UNKNOWN32 ? TELEM_UNKNOWN32 : (uint32_t)to;

		memcpy((char *)obj + r->offset,
		       r->size == sizeof(small) ? (const void *)&small : (const void *)&to,
		       r->size);
	}
}

/* --- to JSON --- */

static json_t *devices_json(const struct telem_run *run)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < run->n_devices; i++) {
		json_t *o = json_object();

		json_put_text(o, "pci", run->devices[i].pci);
		json_put_text(o, "name", run->devices[i].name);
		put_numbers(o, device_numbers, N_OF(device_numbers), &run->devices[i]);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *sequences_json(const struct telem_run *run)
{
	uint32_t n = run->n_seq < TELEM_SEQ_MAX ? run->n_seq : TELEM_SEQ_MAX;
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer(run->seq_tokens[i]));
	return list;
}

json_t *frame_of_run(const struct run_seen *r)
{
	const struct telem_run *run = &r->page.run;
	json_t *o = json_object();

	json_put_text(o, "file", r->file);
	json_put_int(o, "rc", r->rc);
	json_put_int(o, "life", r->life);
	json_put_text(o, "note", r->note);
	json_put_text(o, "name", r->name);
	json_put_text(o, "phase", r->phase);
	json_put_bool(o, "supervised", r->supervised);
	json_put_int(o, "starts", r->starts);
	json_put_text(o, "last_class", r->last_class);
	json_put_text(o, "last_sentence", r->last_sentence);
	if (r->rc)
		return o;
	json_put_int(o, "pid", r->page.header.writer_pid);
	json_put_text(o, "model", run->model);
	json_put_text(o, "plan_id", run->plan_id);
	json_put_text(o, "page_name", run->name);
	put_numbers(o, run_numbers, N_OF(run_numbers), run);
	json_object_set_new(o, "devices", devices_json(run));
	json_object_set_new(o, "sequence_tokens", sequences_json(run));
	return o;
}

/* --- and back --- */

static void get_page(const json_t *o, struct telem_page *page)
{
	const json_t *devices = json_object_get(o, "devices");
	const json_t *tokens = json_object_get(o, "sequence_tokens");
	struct telem_run *run = &page->run;

	page->header = (struct telem_header) { .magic = TELEM_MAGIC,
					       .version = TELEM_VERSION,
					       .kind = TELEM_RUN,
					       .size = sizeof(*page) };
	page->header.writer_pid = (int32_t)json_integer_value(json_object_get(o, "pid"));
	json_get_text(o, "model", run->model, sizeof(run->model));
	json_get_text(o, "plan_id", run->plan_id, sizeof(run->plan_id));
	json_get_text(o, "page_name", run->name, sizeof(run->name));
	get_numbers(o, run_numbers, N_OF(run_numbers), run);
	for (size_t i = 0; i < json_array_size(devices) && i < TELEM_DEVICES_MAX; i++) {
		const json_t *d = json_array_get(devices, i);

		json_get_text(d, "pci", run->devices[i].pci, sizeof(run->devices[i].pci));
		json_get_text(d, "name", run->devices[i].name, sizeof(run->devices[i].name));
		get_numbers(d, device_numbers, N_OF(device_numbers), &run->devices[i]);
		run->n_devices = (uint32_t)i + 1;
	}
	for (size_t i = 0; i < json_array_size(tokens) && i < TELEM_SEQ_MAX; i++)
		run->seq_tokens[i] = (uint32_t)json_integer_value(json_array_get(tokens, i));
}

void frame_to_run(const json_t *o, struct run_seen *r)
{
	json_int_t rc = json_integer_value(json_object_get(o, "rc"));
	json_int_t life = json_integer_value(json_object_get(o, "life"));

	json_get_text(o, "file", r->file, sizeof(r->file));
	json_get_text(o, "note", r->note, sizeof(r->note));
	json_get_text(o, "name", r->name, sizeof(r->name));
	json_get_text(o, "phase", r->phase, sizeof(r->phase));
	json_get_text(o, "last_class", r->last_class, sizeof(r->last_class));
	json_get_text(o, "last_sentence", r->last_sentence, sizeof(r->last_sentence));
	r->supervised = json_is_true(json_object_get(o, "supervised"));
	r->starts = (uint32_t)json_integer_value(json_object_get(o, "starts"));
	r->life = life < TELEM_ALIVE || life > TELEM_DEAD ? TELEM_DEAD : (enum telem_life)life;
	r->rc = rc < -4095 || rc > 0 ? -EBADMSG : (int)rc;
	if (!r->rc)
		get_page(o, &r->page);
	if (!r->rc && telem_check(&r->page, sizeof(r->page), NULL))
		r->rc = -EBADMSG;
}
