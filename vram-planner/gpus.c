/* SPDX-License-Identifier: MIT */
#include "vram-planner/gpus.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/backend.h"
#include "vram-planner/cards.h"

#define SIZE_LEAST (UINT64_C(1) << 20) /* "memory=24" is a slip, not 24 bytes */

struct wanted {
	char name[120];
	char backend[16];
	uint64_t memory, bandwidth, link, power_mw, max_buffer, tflops; /* 0: not given */
	uint64_t count;
};

static int read_size(uint64_t *to, const char *key, const char *v, struct err *e)
{
	if (text_parse_size(v, to) == 0 && *to >= SIZE_LEAST)
		return 0;
	return err_set(e, -EINVAL, "%s=%.40s is no size; write %s=24GiB", key, v, key);
}

/* A bare number is GB/s, as vendors print it. */
int gpus_read_rate(const char *s, uint64_t *bytes_s)
{
	char copy[48];
	bool bare = s[strspn(s, "0123456789.")] == '\0';

	snprintf(copy, sizeof(copy), "%.40s%s", s, bare ? "GB" : "");
	char *slash = strstr(copy, "/s");

	if (slash && !slash[2])
		*slash = '\0';
	return text_parse_size(copy, bytes_s) || *bytes_s == 0 ? -EINVAL : 0;
}

static int read_rate(uint64_t *to, const char *key, const char *v, struct err *e)
{
	if (gpus_read_rate(v, to) == 0)
		return 0;
	return err_set(e, -EINVAL, "%s=%.40s is no rate; write %s=936GB/s", key, v, key);
}

static int read_power(uint64_t *to, const char *v, struct err *e)
{
	char copy[24];
	size_t n = strlen(v);

	snprintf(copy, sizeof(copy), "%.20s", v);
	if (n > 1 && n < 20 && v[n - 1] == 'W')
		copy[n - 1] = '\0';
	if (text_parse_u64(copy, to) || *to == 0 || *to > 100000)
		return err_set(e, -EINVAL, "power=%.20s is no power; write power=350W", v);
	*to *= 1000;
	return 0;
}

static int read_tflops(uint64_t *to, const char *v, struct err *e)
{
	if (text_parse_u64(v, to) == 0 && *to > 0 && *to < 1000000)
		return 0;
	return err_set(e, -EINVAL, "tflops=%.20s is no rate; write tflops=71", v);
}

static int read_backend(struct wanted *w, const char *v, struct err *e)
{
	if (!text_copy(w->backend, sizeof(w->backend), v) || !backend_find(w->backend))
		return err_set(e, -EINVAL,
			       "backend=%.20s is unknown; cuda, rocm, vulkan, sycl or rpc", v);
	return 0;
}

static int read_count(struct wanted *w, const char *v, struct err *e)
{
	if (text_parse_u64(v, &w->count) || w->count == 0 || w->count > PLAN_DEVICES_MAX)
		return err_set(e, -EINVAL, "count=%.20s: 1 to %d are possible", v,
			       PLAN_DEVICES_MAX);
	return 0;
}

static int read_pair(struct wanted *w, const char *key, const char *v, struct err *e)
{
	if (strcmp(key, "backend") == 0)
		return read_backend(w, v, e);
	if (strcmp(key, "memory") == 0)
		return read_size(&w->memory, key, v, e);
	if (strcmp(key, "max_buffer") == 0)
		return read_size(&w->max_buffer, key, v, e);
	if (strcmp(key, "bandwidth") == 0)
		return read_rate(&w->bandwidth, key, v, e);
	if (strcmp(key, "link") == 0)
		return read_rate(&w->link, key, v, e);
	if (strcmp(key, "power") == 0)
		return read_power(&w->power_mw, v, e);
	if (strcmp(key, "tflops") == 0)
		return read_tflops(&w->tflops, v, e);
	if (strcmp(key, "count") == 0)
		return read_count(w, v, e);
	return err_set(e, -EINVAL,
		       "'%.40s' is no property of a GPU; backend, memory, bandwidth, link, tflops, "
		       "power, max_buffer or count",
		       key);
}

static int read_spec(struct wanted *w, const char *spec, struct err *e)
{
	char part[160];

	*w = (struct wanted) { .count = 1 };
	for (bool first = true;; first = false) {
		size_t n = strcspn(spec, ",");

		if (n == 0 || n >= sizeof(w->name))
			return err_set(e, -EINVAL,
				       "a name or a property of a GPU is empty or too long");
		snprintf(part, sizeof(part), "%.*s", (int)n, spec);
		char *eq = strchr(part, '=');

		if (first) {
			text_copy(w->name, sizeof(w->name), text_clean(part));
		} else if (!eq) {
			return err_set(e, -EINVAL, "'%.40s' is no KEY=VALUE", part);
		} else {
			*eq = '\0';
			int rc = read_pair(w, part, eq + 1, e);

			if (rc)
				return rc;
		}
		if (!spec[n])
			return 0;
		spec += n + 1;
	}
}

static struct fact given_or(uint64_t given, uint64_t table, enum why why)
{
	if (given)
		return fact_of((int64_t)given, SRC_USER);
	return table ? fact_of((int64_t)table, SRC_TABLE) : fact_unknown(why);
}

static void fill(struct place *p, const struct wanted *w, const struct card *c)
{
	*p = (struct place) { .hypothetical = true };
	text_copy(p->name, sizeof(p->name), c && !w->memory ? c->name : w->name);
	text_copy(p->backend, sizeof(p->backend),
		  w->backend[0] ? w->backend
		  : c           ? c->backend
				: "vulkan");
	p->total_bytes = given_or(w->memory, c ? (uint64_t)c->memory_gib << 30 : 0,
				  WHY_NOT_EXPORTED);
	p->free_bytes = p->total_bytes;
	p->bandwidth_bytes_s = given_or(
		w->bandwidth, c ? c->bandwidth_gb_s * UINT64_C(1000000000) : 0, WHY_NOT_EXPORTED);
	p->link_bytes_s = given_or(w->link, c ? card_link_bytes_s(c) : 0, WHY_NOT_EXPORTED);
	p->gflops = given_or(w->tflops * 1000, c ? c->tflops * UINT64_C(1000) : 0,
			     WHY_NOT_EXPORTED);
	p->power_mw = given_or(w->power_mw, c ? c->power_w * UINT64_C(1000) : 0, WHY_NOT_EXPORTED);
	p->max_buffer_bytes = given_or(w->max_buffer, 0, WHY_NOT_APPLICABLE);
}

int gpus_add(struct place *places, uint32_t n, uint32_t max, const char *spec, struct err *e)
{
	const struct card *c;
	struct wanted w;
	int rc = read_spec(&w, spec, e);

	if (rc)
		return rc;
	rc = card_find(&c, w.name, w.memory, e);
	if (rc == -ENOENT && w.memory) { /* a card with another memory than its maker gives it */
		c = card_like(w.name);
		rc = c ? 0 : rc;
	}
	if (rc == -EINVAL)
		return rc;
	if (rc && !w.memory)
		return err_set(
			e, -EINVAL,
			"no card is known as '%.60s'; say its memory, as in NAME,memory=24GiB",
			w.name);
	if (c && !c->memory_gib && !w.memory)
		return err_set(
			e, -EINVAL,
			"%s works in the host's memory: say how much of it, as in memory=96GiB",
			c->name);
	for (uint64_t i = 0; i < w.count; i++, n++) {
		if (n == max)
			return err_set(e, -EINVAL, "more than %" PRIu32 " GPUs", max);
		fill(&places[n], &w, rc ? NULL : c);
		snprintf(places[n].engine_name, sizeof(places[n].engine_name),
			 "hypothetical%" PRIu32, n);
	}
	return (int)n;
}

static void add_rate(struct text *t, const char *what, const struct fact *f)
{
	if (fact_known(f))
		text_add(t, ", %s%" PRId64 " GB/s", what, f->v / 1000000000);
}

void gpus_explain(struct text *t, const struct place *p)
{
	const struct card *c = card_like(p->name);
	char size[TEXT_SIZE_MAX];

	text_add(t, "%s is hypothetical: %s by %s, all free", p->name,
		 text_size(size, (uint64_t)p->total_bytes.v), p->backend);
	add_rate(t, "", &p->bandwidth_bytes_s);
	add_rate(t, "link ", &p->link_bytes_s);
	if (p->bandwidth_bytes_s.src == SRC_TABLE && c)
		text_add(t, " (%s)", c->source);
}
