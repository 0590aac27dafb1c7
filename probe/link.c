/* SPDX-License-Identifier: MIT */
/* Links: reading the ends of a function's way to the root, and showing what follows from them. */
#include "probe/link.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/lines_priv.h"
#include "probe/link_priv.h"
#include "probe/section.h"

static const char *const hop_kinds[] = {
	[HOP_UNKNOWN] = "unknown",
	[HOP_PCIE] = "pcie",
	[HOP_ON_CARD] = "on card",
	[HOP_TUNNEL] = "tunnel",
	[HOP_ON_DIE] = "on die",
	[HOP_ON_PACKAGE] = "on package",
	[HOP_CONVENTIONAL] = "conventional",
	[HOP_SWITCH] = "switch",
};

static const char *const link_causes[] = {
	[LINK_CAUSE_NONE] = "none",        [LINK_CAUSE_IDLE] = "idle",
	[LINK_CAUSE_DOWN] = "downtrained", [LINK_CAUSE_SLOT] = "slot",
	[LINK_CAUSE_TUNNEL] = "tunnel",    [LINK_CAUSE_UNKNOWN] = "unknown",
};

_Static_assert(ARRAY_LEN(hop_kinds) == HOP_COUNT, "every kind has a name");
_Static_assert(ARRAY_LEN(link_causes) == LINK_CAUSE_COUNT, "every cause has a name");

const char *hop_kind_name(enum hop_kind k)
{
	return (unsigned)k < HOP_COUNT ? hop_kinds[k] : "unknown";
}

const char *link_cause_name(enum link_cause c)
{
	return (unsigned)c < LINK_CAUSE_COUNT ? link_causes[c] : "unknown";
}

/* --- reading --- */

static struct fact read_word(const struct source *s, const char *dir, const char *name,
			     struct fact (*parse)(const char *, enum src))
{
	char buf[64];
	long n = src_read_in(s, dir, name, buf, sizeof(buf));

	return n < 0 ? fact_unknown(why_of((int)n)) : parse(buf, SRC_SYSFS);
}

/*
 * Reading any of these may resume the whole way, even max_link_speed: Linux 6.12 and 7.2 answer it from
 * memory, 6.1.192 wakes (measured by the root port's runtime_active_time). Only that one is there tells
 * a device of PCI Express.
 */
static void read_end(const struct source *s, const char *dir, bool ask, struct link_end *e)
{
	char buf[64];

	e->vendor = src_id(s, dir, "vendor");
	e->device = src_id(s, dir, "device");
	e->class = src_id(s, dir, "class");
	e->max_speed_mts = e->speed_mts = e->width = e->max_width = fact_unknown(
		ask ? WHY_NOT_EXPORTED : WHY_ASLEEP);
	if (!ask) {
		e->pcie = src_there(s, dir, "max_link_speed");
		return;
	}
	long n = src_read_in(s, dir, "max_link_speed", buf, sizeof(buf));

	e->pcie = n != -ENOENT && n != -ENOTDIR;
	e->max_speed_mts = n < 0 ? fact_unknown(why_of((int)n)) : parse_link_speed(buf, SRC_SYSFS);
	if (!e->pcie)
		return;
	e->max_width = read_word(s, dir, "max_link_width", parse_link_width);
	e->speed_mts = read_word(s, dir, "current_link_speed", parse_link_speed);
	e->width = read_word(s, dir, "current_link_width", parse_link_width);
}

/* The address that the first `len` bytes of a folder's name end in: its place there, or -1. */
static int last_address(const char *dir, size_t len, char addr[24])
{
	size_t start = len;

	while (start && dir[start - 1] != '/')
		start--;
	if (len - start >= 24)
		return -1;
	snprintf(addr, 24, "%.*s", (int)(len - start), dir + start);
	return addr_ok(addr) ? (int)start : -1;
}

/* From the function upwards: .../0000:00:01.0/0000:01:00.0 holds two ends. */
static void read_way(const struct look *k, struct link *l)
{
	struct link_end ends[LINK_ENDS_MAX];
	size_t len = strlen(k->dir);
	uint32_t n = 0, more = 0;
	char dir[PATH_SIZE], addr[24];
	int at;

	while ((at = last_address(k->dir, len, addr)) >= 0) {
		if (n < LINK_ENDS_MAX) {
			snprintf(dir, sizeof(dir), "%.*s", (int)len, k->dir);
			ends[n] = (struct link_end) { 0 };
			memcpy(ends[n].pci, addr, sizeof(ends[n].pci));
			read_end(k->s, dir, k->ask, &ends[n++]);
		} else {
			more++;
		}
		len = at ? (size_t)at - 1 : 0;
	}
	l->cut = more > 0;
	link_build(l, ends, n, more);
}

static void read_driver(const struct look *k, struct link *l)
{
	const struct fact_text *driver = &k->g->driver;
	char buf[1024];

	if (!fact_text_known(driver) || strcmp(driver->v, "amdgpu") != 0)
		return;
	if (!k->ask)
		l->driver_speed_mts = l->driver_width = fact_unknown(WHY_ASLEEP);
	else if (src_read_in(k->s, k->dir, "pp_dpm_pcie", buf, sizeof(buf)) > 0)
		parse_dpm_pcie(buf, l);
}

static void read_link(const struct look *k)
{
	const struct fact none = fact_unknown(WHY_NOT_EXPORTED);
	struct link *l = &k->g->link;

	*l = (struct link) { .bottleneck = -1, .why = WHY_NOT_EXPORTED };
	l->driver_speed_mts = l->driver_width = none;
	l->driver_best_speed_mts = l->driver_best_width = none;
	/* A hand-made folder without real folders names no bridges. */
	if (strncmp(k->dir, "sys/devices/", strlen("sys/devices/")) != 0)
		return;
	read_way(k, l);
	read_driver(k, l);
}

static void decide(struct report *r, struct gpu *g)
{
	(void)r;
	link_decide(g);
}

/* --- showing --- */

/* clang-format off */
static const struct field hop_fields[] = {
	FIELD(struct hop, pci, FIELD_TEXT, UNIT_NONE, "function"),
	FIELD(struct hop, above, FIELD_TEXT, UNIT_NONE, "bridge above"),
	FIELD(struct hop, speed_mts, FIELD_FACT, UNIT_NONE, "speed"),
	FIELD(struct hop, width, FIELD_FACT, UNIT_NONE, "lanes"),
	FIELD(struct hop, max_speed_mts, FIELD_FACT, UNIT_NONE, "top speed"),
	FIELD(struct hop, max_width, FIELD_FACT, UNIT_NONE, "most lanes"),
	FIELD(struct hop, bytes_per_s, FIELD_FACT, UNIT_NONE, "rate"),
	FIELD(struct hop, max_bytes_per_s, FIELD_FACT, UNIT_NONE, "top rate"),
};

static const struct field link_fields[] = {
	FIELD(struct link, bytes_per_s, FIELD_FACT, UNIT_NONE, "rate"),
	FIELD(struct link, load_10gb_ms, FIELD_FACT, UNIT_NONE, "10 GB"),
};
/* clang-format on */

static void json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	const struct link *l = &g->link;
	json_t *o = json_object(), *hops = json_array();

	(void)r;
	for (uint32_t i = 0; i < l->n_hops; i++) {
		json_t *h = json_object();

		fields_to_json(h, hop_fields, ARRAY_LEN(hop_fields), &l->hops[i]);
		json_put_text(h, "kind", hop_kind_name(l->hops[i].kind));
		json_array_append_new(hops, h);
	}
	fields_to_json(o, link_fields, ARRAY_LEN(link_fields), l);
	json_put_text(o, "cause", link_cause_name(l->cause));
	if (l->bottleneck >= 0)
		json_put_int(o, "bottleneck", l->bottleneck);
	else
		json_object_set_new(o, "bottleneck", json_null());
	json_put_bool(o, "cut", l->cut);
	json_object_set_new(gpu, "links", hops);
	json_object_set_new(gpu, "link", o);
}

/* "16.0 GT/s x16" */
static const char *pair(char buf[48], const struct fact *speed, const struct fact *width)
{
	struct text t;

	text_init(&t, buf, 48);
	if (fact_known(speed))
		text_add(&t, "%lld.%lld GT/s", (long long)speed->v / 1000,
			 (long long)speed->v % 1000 / 100);
	else
		text_add(&t, "unknown speed");
	if (fact_known(width))
		text_add(&t, " x%lld", (long long)width->v);
	return buf;
}

#define NOW(h)  pair((char[48]) { 0 }, &(h)->speed_mts, &(h)->width)
#define BEST(h) pair((char[48]) { 0 }, &(h)->max_speed_mts, &(h)->max_width)
#define OWN(h)  pair((char[48]) { 0 }, &(h)->own_max_speed_mts, &(h)->own_max_width)

/* "31.5 GB/s, 10 GB in 0.3 s" */
static void add_rate(struct line *l, const struct link *k)
{
	if (!fact_known(&k->bytes_per_s) || !fact_known(&k->load_10gb_ms))
		return;
	int64_t tenths = (k->bytes_per_s.v + 50000000) / 100000000;
	int64_t load = (k->load_10gb_ms.v + 50) / 100;

	line_part(l, "%s%lld.%lld GB/s", k->cause == LINK_CAUSE_TUNNEL ? "about " : "",
		  (long long)tenths / 10, (long long)tenths % 10);
	line_part(l, "10 GB in %lld.%lld s", (long long)load / 10, (long long)load % 10);
}

static void add_narrowest(struct line *l, const struct link *k)
{
	const struct hop *h = &k->hops[k->bottleneck];
	const struct hop *card = &k->hops[link_card_hop(k)];

	line_part(l, "%s%s", k->cause == LINK_CAUSE_IDLE ? BEST(h) : NOW(h),
		  h == card ? " to the slot" : "");
	if (h != card)
		text_add(&l->t, " between %s and %s", h->pci, h->above);
	add_rate(l, k);
	if (k->cause == LINK_CAUSE_IDLE)
		text_add(&l->t, "; at rest now with %s", NOW(h));
	else if (k->cause == LINK_CAUSE_DOWN)
		text_add(&l->t, "; both ends can %s", BEST(h));
	else if (k->cause == LINK_CAUSE_SLOT)
		text_add(&l->t, "; the card can %s, %s cannot", OWN(card), h->above);
	else if (k->cause == LINK_CAUSE_UNKNOWN)
		text_add(&l->t, "; whether the card can do better is unknown");
}

static void add_no_link(struct line *l, const struct gpu *g)
{
	const struct link *k = &g->link;

	if (k->n_hops && k->hops[0].kind == HOP_ON_PACKAGE)
		line_part(l, "none that counts: NVLink-C2C joins it to the processor");
	else if (g->kind == GPU_VIRTUAL)
		line_part(l, "none: a virtual device");
	else
		line_part(l, "none: part of the processor");
}

static void add_unknown(struct line *l, const struct link *k)
{
	const int card = link_card_hop(k);

	if (link_hop_of(k, HOP_CONVENTIONAL) >= 0) {
		line_part(l, "a conventional PCI bus");
		return;
	}
	line_part(l, "unknown (%s)", why_name(k->bytes_per_s.why));
	if (card >= 0 && fact_known(&k->hops[card].max_speed_mts))
		line_part(l, "at most %s", BEST(&k->hops[card]));
}

/* "2.5 GT/s x4 of 8.0 GT/s x4"; "says" where it is made up. */
static void add_hop(struct line *l, const struct hop *h)
{
	const char *now = NOW(h), *best = BEST(h);

	text_add(&l->t, "%s to %s: %s", h->pci, h->above[0] ? h->above : "the root",
		 hop_kind_name(h->kind));
	if (!fact_known(&h->max_speed_mts) && !fact_known(&h->speed_mts))
		return;
	text_add(&l->t, "%s", h->kind == HOP_PCIE ? ", " : ", says ");
	if (!fact_known(&h->speed_mts))
		text_add(&l->t, "at most %s", best);
	else if (strcmp(now, best) == 0 || !fact_known(&h->max_speed_mts))
		text_add(&l->t, "%s", now);
	else
		text_add(&l->t, "%s of %s", now, best);
}

static void print_hops(FILE *to, const struct link *k)
{
	for (uint32_t i = 0; i < k->n_hops; i++) {
		struct line l;

		line_init(&l);
		add_hop(&l, &k->hops[i]);
		line_print(to, i ? "" : "hops", l.buf);
	}
	if (k->cut)
		line_print(to, "", "and more than are kept");
}

static void text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	const struct link *k = &g->link;
	struct line l;

	(void)r;
	line_init(&l);
	if (k->bottleneck < 0 && k->cause == LINK_CAUSE_NONE) {
		add_no_link(&l, g);
	} else if (k->bottleneck < 0) {
		add_unknown(&l, k);
	} else if (k->cause == LINK_CAUSE_TUNNEL) {
		line_part(&l, "through a Thunderbolt or USB4 cable");
		add_rate(&l, k);
	} else {
		add_narrowest(&l, k);
	}
	line_print(to, "link", l.buf);
	if (verbose)
		print_hops(to, k);
}

const struct section section_link = {
	.name = "link",
	.read = read_link,
	.decide = decide,
	.json = json,
	.text = text,
};
