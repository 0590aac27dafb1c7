/* SPDX-License-Identifier: MIT */
#include "bar-forward/traceshow.h"

#include <inttypes.h>
#include <string.h>

#include "bar-forward/tracefilter.h"
#include "base/telem_bridge.h"
#include "base/text.h"

#define SCHEMA "berth.bridge.trace/1"
#define SHOWN  16 /* bytes of a long access in a line */
#define NS_A_S UINT64_C(1000000000)

/* What a bit of `flags` means, by kind. */
static const struct flag {
	uint32_t kinds;
	uint8_t bit;
	const char *name;
} flags[] = {
#define ACCESS (1u << TRACE_READ | 1u << TRACE_WRITE)
	{ ACCESS, TRACE_POSTED, "posted" },
	{ ACCESS, TRACE_DENIED, "denied" },
	{ ACCESS, TRACE_MASKED, "masked" },
	{ ACCESS, TRACE_LOGGED, "logged" },
	{ 1u << TRACE_DMA_MAP, TRACE_MAP_READ, "readable" },
	{ 1u << TRACE_DMA_MAP, TRACE_MAP_WRITE, "writable" },
	{ 1u << TRACE_DMA_MAP, TRACE_MAP_MESSAGE, "by-message" },
	{ 1u << TRACE_DMA_UNMAP, TRACE_MAP_ALL, "all" },
	{ 1u << TRACE_IRQ_SET, TRACE_IRQ_EVENTFD, "eventfd" },
	{ 1u << TRACE_IRQ_SET, TRACE_IRQ_BOOL, "bool" },
	{ 1u << TRACE_IRQ_SET, TRACE_IRQ_MASK, "mask" },
	{ 1u << TRACE_IRQ_SET, TRACE_IRQ_UNMASK, "unmask" },
	{ UINT32_MAX, TRACE_FAILED, "failed" },
	{ UINT32_MAX, TRACE_ABSENT, "absent" },
	{ UINT32_MAX, TRACE_AGAIN, "again" },
	{ UINT32_MAX, TRACE_CUT, "cut" },
};

#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

static bool has_flag(const struct flag *f, const struct trace_slot *s)
{
	return f->kinds >> s->kind & 1 && s->flags & f->bit;
}

static const char *irq_name(uint32_t index)
{
	static const char *const names[TRACE_IRQS] = { "INTx", "MSI", "MSI-X", "ERR", "REQ" };

	return names[index];
}

static const char *region_name(uint32_t region)
{
	return region < TELEM_REGIONS ? telem_region_name(region) : "VGA";
}

/* --- for people --- */

static void add_bytes(struct text *t, const struct trace_record *rec)
{
	char hex[2 * SHOWN + 1];
	uint32_t n = rec->held < SHOWN ? rec->held : SHOWN;

	if (n)
		text_add(t, " %s%s", text_hex(hex, rec->bytes, n), n < rec->held ? "..." : "");
	if (rec->held < rec->count)
		text_add(t, " (%" PRIu32 " of them recorded)", rec->held);
}

static void add_access(struct text *t, const struct trace_record *rec)
{
	const struct trace_slot *s = &rec->s;

	text_add(t, "%s+0x%" PRIx64, region_name(s->region), s->offset);
	if (!s->width) {
		text_add(t, ", %" PRIu32 " bytes", rec->count);
		add_bytes(t, rec);
		return;
	}
	text_add(t, "/%u = 0x%0*" PRIx64, (unsigned)s->width, 2 * s->width, s->value);
	if (s->flags & TRACE_MASKED)
		text_add(t, ", 0x%" PRIx64 " passed", s->extra);
}

static void add_mark(struct text *t, const struct trace_record *rec)
{
	char mark[32] = "";

	memcpy(mark, rec->bytes, rec->count < sizeof(mark) ? rec->count : sizeof(mark) - 1);
	text_add(t, "%s", text_clean(mark));
}

static void add_what(struct text *t, const struct trace_record *rec)
{
	const struct trace_slot *s = &rec->s;

	switch (s->kind) {
	case TRACE_READ:
	case TRACE_WRITE:
		add_access(t, rec);
		break;
	case TRACE_IRQ_SET:
		if (s->value)
			text_add(t, "%s %" PRIu64 " to %" PRIu64, irq_name(s->region), s->offset,
				 s->offset + s->value - 1);
		else
			text_add(t, "%s down", irq_name(s->region));
		break;
	case TRACE_IRQ:
		text_add(t, "%s %" PRIu64, irq_name(s->region), s->offset);
		if (s->value != 1)
			text_add(t, ", %" PRIu64 " times", s->value);
		break;
	case TRACE_DMA_MAP:
	case TRACE_DMA_UNMAP:
	case TRACE_DMA_READ:
	case TRACE_DMA_WRITE:
		text_add(t, "0x%" PRIx64 "+0x%" PRIx64, s->offset, s->value);
		break;
	case TRACE_CLIENT:
	case TRACE_WORKER:
		text_add(t, "process %" PRIu64, s->value);
		break;
	case TRACE_DEVICE:
		text_add(t, "generation %" PRIu64, s->value);
		break;
	case TRACE_MARK:
		add_mark(t, rec);
		break;
	}
}

static void add_flags(struct text *t, const struct trace_slot *s)
{
	for (size_t i = 0; i < N_FLAGS; i++)
		if (has_flag(&flags[i], s))
			text_add(t, "%s%s", t->buf[t->len - 1] == ' ' ? "" : ", ", flags[i].name);
	if (s->flags & TRACE_FAILED && s->extra < 4096)
		text_add(t, " (%s)", strerror((int)s->extra));
}

void trace_words(char words[TRACE_LINE_MAX], const struct trace_record *rec)
{
	struct text t;

	text_init(&t, words, TRACE_LINE_MAX);
	text_add(&t, "%-9s ", trace_kind_name(rec->s.kind));
	add_what(&t, rec);
	add_flags(&t, &rec->s);
	text_trim(words);
}

void trace_line(char line[TRACE_LINE_MAX], const struct trace_record *rec, uint64_t began)
{
	char words[TRACE_LINE_MAX];
	uint64_t ns = rec->s.ns > began ? rec->s.ns - began : 0;
	struct text t;

	trace_words(words, rec);
	text_init(&t, line, TRACE_LINE_MAX);
	text_add(&t, "%6" PRIu64 ".%09" PRIu64 "  %s", ns / NS_A_S, ns % NS_A_S, words);
	if (rec->s.took)
		text_add(&t, "  [%.1f us]", rec->s.took / 1000.0);
}

/* --- for programs --- */

static int64_t whole(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static void put_hex(json_t *o, const char *key, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, n);
	json_put_text(o, key, text);
}

static json_t *regions_json(const struct trace_device *w)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < TRACE_REGIONS; i++) {
		json_t *o = json_object();

		json_put_text(o, "name", region_name(i));
		json_put_int(o, "size_bytes", whole(w->region[i].size));
		if (w->seq && w->region[i].size)
			json_array_append(list, o);
		json_decref(o);
	}
	return list;
}

json_t *trace_head_json(const struct trace_head *h)
{
	json_t *o = json_answer(SCHEMA);

	json_put_text(o, "event", "recording");
	json_put_text_or_null(o, "device", h->device);
	json_put_text_or_null(o, "backend", h->backend);
	json_put_text_or_null(o, "socket", h->socket);
	json_put_text_or_null(o, "guest", h->guest);
	json_put_int(o, "slots", whole(h->slots));
	json_put_int(o, "started_ns", whole(h->started_ns));
	json_put_int(o, "clock_ns", whole(h->clock_ns));
	json_object_set_new(o, "regions", regions_json(&h->what));
	return o;
}

static void put_bytes(json_t *o, const struct trace_record *rec)
{
	static char hex[2 * TRACE_DATA_MAX + 1];

	json_put_int(o, "count", rec->count);
	if (rec->held == rec->count)
		json_put_text(o, "bytes", text_hex(hex, rec->bytes, rec->held));
	else
		json_put_null(o, "bytes");
}

static void put_access(json_t *o, const struct trace_record *rec)
{
	const struct trace_slot *s = &rec->s;

	json_put_text(o, "region", region_name(s->region));
	put_hex(o, "offset", s->offset);
	if (!s->width) {
		put_bytes(o, rec);
		return;
	}
	json_put_int(o, "count", s->width);
	if (s->flags & TRACE_FAILED && s->kind == TRACE_READ)
		json_put_null(o, "value");
	else
		put_hex(o, "value", s->value);
	if (s->flags & TRACE_MASKED)
		put_hex(o, "passed", s->extra);
}

static void put_irq(json_t *o, const struct trace_slot *s)
{
	json_put_text(o, "interrupt", irq_name(s->region));
	json_put_int(o, s->kind == TRACE_IRQ ? "vector" : "first", whole(s->offset));
	json_put_int(o, "count", whole(s->value));
}

static void put_what(json_t *o, const struct trace_record *rec)
{
	const struct trace_slot *s = &rec->s;
	char mark[32] = "";

	switch (s->kind) {
	case TRACE_READ:
	case TRACE_WRITE:
		put_access(o, rec);
		break;
	case TRACE_IRQ_SET:
	case TRACE_IRQ:
		put_irq(o, s);
		break;
	case TRACE_DMA_MAP:
	case TRACE_DMA_UNMAP:
	case TRACE_DMA_READ:
	case TRACE_DMA_WRITE:
		put_hex(o, "iova", s->offset);
		put_hex(o, "size", s->value);
		break;
	case TRACE_CLIENT:
	case TRACE_WORKER:
		json_put_int(o, "pid", whole(s->value));
		break;
	case TRACE_DEVICE:
		json_put_int(o, "generation", whole(s->value));
		break;
	case TRACE_MARK:
		memcpy(mark, rec->bytes, rec->count < sizeof(mark) ? rec->count : 0);
		json_put_text(o, "text", text_clean(mark));
		break;
	}
}

json_t *trace_json(const struct trace_record *rec, uint64_t began)
{
	json_t *o = json_answer(SCHEMA), *list = json_array();
	const struct trace_slot *s = &rec->s;

	json_put_text(o, "event", trace_kind_name(s->kind));
	json_put_int(o, "t_ns", s->ns > began ? whole(s->ns - began) : 0);
	json_put_int(o, "took_ns", s->took);
	put_what(o, rec);
	for (size_t i = 0; i < N_FLAGS; i++)
		if (has_flag(&flags[i], s))
			json_array_append_new(list, json_string(flags[i].name));
	json_object_set_new(o, "flags", list);
	if (s->flags & TRACE_FAILED)
		json_put_int(o, "errno", whole(s->extra));
	return o;
}
