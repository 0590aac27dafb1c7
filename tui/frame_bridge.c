/* SPDX-License-Identifier: MIT */
/* A bridge's part of a recording: its telemetry page. */
#include <string.h>

#include "base/text.h"
#include "tui/frames_priv.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

#define NUMBER(member) FRAME_NUMBER(struct telem_bridge, member, #member)
#define COUNT(member)  FRAME_NUMBER(struct telem_bridge, counts.member, #member)
#define TEXT(member)                                                                               \
	{                                                                                          \
#member, offsetof(struct telem_bridge, member),                                    \
			sizeof(((struct telem_bridge *)0)->member)                                 \
	}

/* clang-format off */
static const struct frame_number texts[] = {
	TEXT(pci), TEXT(guest), TEXT(socket), TEXT(backend), TEXT(trouble),
};

static const struct frame_number numbers[] = {
	NUMBER(mode), NUMBER(state), NUMBER(generation), NUMBER(worker_pid), NUMBER(client_pid),
	NUMBER(started_ns), NUMBER(connected_ns),
	COUNT(errors), COUNT(refused), COUNT(retries), COUNT(worker_restarts), COUNT(restart_gap_ns),
	COUNT(clients), COUNT(dma_maps), COUNT(dma_bytes), COUNT(dma_refused), COUNT(interrupts),
	COUNT(recorder_bytes), COUNT(recorder_drops), COUNT(latency_ns), COUNT(latency_max_ns),
};
/* clang-format on */

/* The counters of a region, in the order of the page. */
#define REGION_NUMBERS (sizeof(struct telem_region) / sizeof(uint64_t))

static json_t *number_json(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

/* Without the zeros at the end. */
static json_t *list_json(const uint64_t *v, size_t n)
{
	json_t *list = json_array();

	while (n && !v[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, number_json(v[i]));
	return list;
}

static void list_from(const json_t *list, uint64_t *v, size_t n)
{
	for (size_t i = 0; i < n && i < json_array_size(list); i++) {
		json_int_t got = json_integer_value(json_array_get(list, i));

		v[i] = got > 0 ? (uint64_t)got : 0;
	}
}

static void put_regions(json_t *o, const struct telem_bridge *b, const struct telem_bridge *was)
{
	static const struct telem_region none;

	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		uint64_t v[REGION_NUMBERS];

		/* One that is not there is not told, unless it was. */
		if (!memcmp(&b->regions[i], was ? &was->regions[i] : &none, sizeof(none)))
			continue;
		memcpy(v, &b->regions[i], sizeof(v));
		json_object_set_new(o, telem_region_name(i), list_json(v, REGION_NUMBERS));
	}
}

json_t *frame_of_bridge(const struct bridge_seen *b, const struct bridge_seen *was)
{
	const struct telem_bridge *old = was ? &was->page : NULL;
	json_t *o = json_object();

	frame_put_text(o, "file", b->file, was ? was->file : NULL);
	frame_put_unless(o, was && b->life == was->life, "life", b->life);
	frame_put_unless(o, was && b->pid == was->pid, "pid", b->pid);
	for (size_t i = 0; i < N_OF(texts); i++)
		frame_put_text(o, texts[i].key, (const char *)&b->page + texts[i].offset,
			       was ? (const char *)old + texts[i].offset : NULL);
	frame_put_numbers(o, numbers, N_OF(numbers), &b->page, old);
	put_regions(o, &b->page, old);
	if (!was || memcmp(b->page.latency, old->latency, sizeof(old->latency)) != 0)
		json_object_set_new(o, "latency", list_json(b->page.latency, TELEM_LATENCY));
	return o;
}

void frame_to_bridge(const json_t *o, struct bridge_seen *b)
{
	json_int_t life = json_integer_value(json_object_get(o, "life"));

	json_get_text(o, "file", b->file, sizeof(b->file));
	b->life = life < TELEM_ALIVE || life > TELEM_DEAD ? TELEM_DEAD : (enum telem_life)life;
	b->pid = (int32_t)json_integer_value(json_object_get(o, "pid"));
	for (size_t i = 0; i < N_OF(texts); i++)
		json_get_text(o, texts[i].key, (char *)&b->page + texts[i].offset, texts[i].size);
	frame_get_numbers(o, numbers, N_OF(numbers), &b->page);
	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		uint64_t v[REGION_NUMBERS] = { 0 };

		list_from(json_object_get(o, telem_region_name(i)), v, REGION_NUMBERS);
		memcpy(&b->page.regions[i], v, sizeof(v));
	}
	list_from(json_object_get(o, "latency"), b->page.latency, TELEM_LATENCY);
	telem_bridge_clean(&b->page);
}
