/* SPDX-License-Identifier: MIT */
/* A run's part of a recording: its telemetry page without the ring, and what its supervisor says. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/frames_priv.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

#define RUN(member)        FRAME_NUMBER(struct telem_run, member, #member)
#define COUNT(member)      FRAME_NUMBER(struct telem_run, counts.member, #member)
#define BYTES(set, member) FRAME_NUMBER(struct telem_device, set.member, #set "_" #member "_bytes")

#define TEXT(member)                                                                               \
	{                                                                                          \
#member, offsetof(struct run_seen, member), sizeof(((struct run_seen *)0)->member) \
	}

/* clang-format off */
static const struct {
	const char *key;
	size_t offset, size;
} texts[] = {
	TEXT(file), TEXT(note), TEXT(name), TEXT(phase), TEXT(last_class), TEXT(last_sentence),
};

static const struct frame_number run_numbers[] = {
	RUN(state), RUN(verified), RUN(n_seq), RUN(ctx_tokens), RUN(ctx_used_tokens), RUN(queue), RUN(busy),
	RUN(started_ns), RUN(ready_ns),
	COUNT(prompt_tokens), COUNT(prompt_ns), COUNT(generated_tokens), COUNT(generated_ns),
	COUNT(cached_tokens), COUNT(drafted_tokens), COUNT(accepted_tokens), COUNT(requests),
	COUNT(requests_failed), COUNT(first_tokens), COUNT(first_token_ns), COUNT(last_first_token_ns),
};

static const struct frame_number device_numbers[] = {
	BYTES(planned, weights), BYTES(planned, kv), BYTES(planned, compute), BYTES(planned, other),
	BYTES(measured, weights), BYTES(measured, kv), BYTES(measured, compute), BYTES(measured, other),
	FRAME_NUMBER(struct telem_device, layers_asked, "layers_asked"),
	FRAME_NUMBER(struct telem_device, layers_verified, "layers_verified"),
	FRAME_NUMBER(struct telem_device, energy_uj, "energy_uj"),
};
/* clang-format on */

void frame_put_numbers(json_t *o, const struct frame_number *rows, size_t n, const void *obj,
		       const void *was)
{
	for (const struct frame_number *r = rows; r < rows + n; r++) {
		const char *at = (const char *)obj + r->offset;
		uint64_t v = 0;
		uint32_t small;

		if (was && memcmp(at, (const char *)was + r->offset, r->size) == 0)
			continue;
		memcpy(r->size == sizeof(small) ? (void *)&small : (void *)&v, at, r->size);
		if (r->size == sizeof(small))
			v = small == TELEM_UNKNOWN32 ? TELEM_UNKNOWN : small;
		if (v > INT64_MAX)
			json_put_null(o, r->key);
		else
			json_put_int(o, r->key, (int64_t)v);
	}
}

void frame_get_numbers(const json_t *o, const struct frame_number *rows, size_t n, void *obj)
{
	for (const struct frame_number *r = rows; r < rows + n; r++) {
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
		frame_put_numbers(o, device_numbers, N_OF(device_numbers), &run->devices[i], NULL);
		json_array_append_new(list, o);
	}
	return list;
}

static uint32_t n_sequences(const struct telem_run *run)
{
	return run->n_seq < TELEM_SEQ_MAX ? run->n_seq : TELEM_SEQ_MAX;
}

static json_t *sequences_json(const struct telem_run *run)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n_sequences(run); i++)
		json_array_append_new(list, json_integer(run->seq_tokens[i]));
	return list;
}

static bool same_devices(const struct telem_run *a, const struct telem_run *b)
{
	return a->n_devices == b->n_devices &&
	       memcmp(a->devices, b->devices, a->n_devices * sizeof(a->devices[0])) == 0;
}

static bool same_sequences(const struct telem_run *a, const struct telem_run *b)
{
	uint32_t n = n_sequences(a);

	return n == n_sequences(b) &&
	       memcmp(a->seq_tokens, b->seq_tokens, n * sizeof(a->seq_tokens[0])) == 0;
}

void frame_put_unless(json_t *o, bool same, const char *key, json_int_t v)
{
	if (!same)
		json_put_int(o, key, v);
}

void frame_put_text(json_t *o, const char *key, const char *v, const char *was)
{
	if (!was || strcmp(v, was) != 0)
		json_put_text(o, key, v);
}

static void put_page(json_t *o, const struct telem_page *page, const struct telem_page *was)
{
	const struct telem_run *run = &page->run, *old = was ? &was->run : NULL;

	frame_put_unless(o, was && page->header.writer_pid == was->header.writer_pid, "pid",
			 page->header.writer_pid);
	frame_put_text(o, "model", run->model, was ? old->model : NULL);
	frame_put_text(o, "plan_id", run->plan_id, was ? old->plan_id : NULL);
	frame_put_text(o, "page_name", run->name, was ? old->name : NULL);
	frame_put_numbers(o, run_numbers, N_OF(run_numbers), run, old);
	if (!was || !same_devices(run, old))
		json_object_set_new(o, "devices", devices_json(run));
	if (!was || !same_sequences(run, old))
		json_object_set_new(o, "sequence_tokens", sequences_json(run));
}

json_t *frame_of_run(const struct run_seen *r, const struct run_seen *was)
{
	json_t *o;

	if (was && r->rc && !was->rc)
		return NULL; /* the page is gone, and with it its keys */
	o = json_object();
	for (size_t i = 0; i < N_OF(texts); i++)
		frame_put_text(o, texts[i].key, (const char *)r + texts[i].offset,
			       was ? (const char *)was + texts[i].offset : NULL);
	frame_put_unless(o, was && r->rc == was->rc, "rc", r->rc);
	frame_put_unless(o, was && r->life == was->life, "life", r->life);
	frame_put_unless(o, was && r->starts == was->starts, "starts", r->starts);
	if (!was || r->supervised != was->supervised)
		json_put_bool(o, "supervised", r->supervised);
	if (!r->rc)
		put_page(o, &r->page, was && !was->rc ? &was->page : NULL);
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
	frame_get_numbers(o, run_numbers, N_OF(run_numbers), run);
	for (size_t i = 0; i < json_array_size(devices) && i < TELEM_DEVICES_MAX; i++) {
		const json_t *d = json_array_get(devices, i);

		json_get_text(d, "pci", run->devices[i].pci, sizeof(run->devices[i].pci));
		json_get_text(d, "name", run->devices[i].name, sizeof(run->devices[i].name));
		frame_get_numbers(d, device_numbers, N_OF(device_numbers), &run->devices[i]);
		run->n_devices = (uint32_t)i + 1;
	}
	for (size_t i = 0; i < json_array_size(tokens) && i < TELEM_SEQ_MAX; i++)
		run->seq_tokens[i] = (uint32_t)json_integer_value(json_array_get(tokens, i));
}

void frame_to_run(const json_t *o, struct run_seen *r)
{
	json_int_t rc = json_integer_value(json_object_get(o, "rc"));
	json_int_t life = json_integer_value(json_object_get(o, "life"));

	for (size_t i = 0; i < N_OF(texts); i++)
		json_get_text(o, texts[i].key, (char *)r + texts[i].offset, texts[i].size);
	r->supervised = json_is_true(json_object_get(o, "supervised"));
	r->starts = (uint32_t)json_integer_value(json_object_get(o, "starts"));
	r->life = life < TELEM_ALIVE || life > TELEM_DEAD ? TELEM_DEAD : (enum telem_life)life;
	r->rc = rc < -4095 || rc > 0 ? -EBADMSG : (int)rc;
	if (!r->rc)
		get_page(o, &r->page);
	if (!r->rc && telem_check(&r->page, sizeof(r->page), NULL))
		r->rc = -EBADMSG;
}
