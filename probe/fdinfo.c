/* SPDX-License-Identifier: MIT */
#include "probe/fdinfo.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/probe_priv.h"

#define REGIONS_MAX 16

enum where { ON_CARD, IN_RAM };

/* Regions by the names drivers give them, without the digits at their ends; others count for nothing. */
static const struct {
	const char *name;
	enum where where;
} places[] = {
	{ "vram", ON_CARD },         /* amdgpu, xe, nouveau */
	{ "local", ON_CARD },        /* i915 */
	{ "stolen-local", ON_CARD }, /* i915 */
	{ "gtt", IN_RAM },           /* amdgpu, xe */
	{ "system", IN_RAM },        /* i915, xe */
	{ "stolen", IN_RAM },        /* xe */
	{ "stolen-system", IN_RAM }, /* i915 */
	{ "cpu", IN_RAM },           /* amdgpu: moved out of the GPU's reach */
	{ "memory", IN_RAM },        /* panfrost, panthor, v3d, msm, amdxdna */
};

/* Of several keys about one region the highest rank counts. drm-memory is amdgpu's older drm-resident. */
static const struct {
	const char *prefix;
	int rank;
} keys[] = {
	{ "drm-total-", 1 },
	{ "drm-memory-", 2 },
	{ "drm-resident-", 3 },
};

/* The beginnings of engines' names in what drivers report, by driver. */
static const struct {
	const char *name;
	enum engine engine;
} engines[] = {
	{ "gfx", ENGINE_RENDER },      { "compute", ENGINE_COMPUTE },
	{ "dma", ENGINE_COPY },        { "dec", ENGINE_VIDEO },
	{ "enc", ENGINE_VIDEO },       { "jpeg", ENGINE_VIDEO },
	{ "vpe", ENGINE_VIDEO }, /* amdgpu, with the two above */
	{ "render", ENGINE_RENDER },   { "copy", ENGINE_COPY },
	{ "video", ENGINE_VIDEO },     { "rcs", ENGINE_RENDER },
	{ "ccs", ENGINE_COMPUTE },     { "bcs", ENGINE_COPY },
	{ "vcs", ENGINE_VIDEO },       { "vecs", ENGINE_VIDEO }, /* xe; i915 has the line above */
	{ "npu", ENGINE_COMPUTE },                               /* amdxdna */
	{ "fragment", ENGINE_RENDER }, { "vertex", ENGINE_RENDER },
	{ "panthor", ENGINE_RENDER },  { "bin", ENGINE_RENDER },
	{ "csd", ENGINE_COMPUTE },     { "tfu", ENGINE_COPY }, /* v3d */
	{ "gpu", ENGINE_RENDER },                              /* msm */
};

static const struct {
	enum engine engine;
	const char *name;
} engine_names[] = {
	{ ENGINE_COMPUTE, "compute" },
	{ ENGINE_RENDER, "render" },
	{ ENGINE_COPY, "copy" },
	{ ENGINE_VIDEO, "video" },
};

struct region {
	char name[24];
	int rank;
	uint64_t bytes;
};

struct parse {
	struct fdinfo *f;
	struct region regions[REGIONS_MAX];
	uint32_t n;
	bool garbled;
};

/* "123", "123 KiB", "123 MiB", "123 ns": the number with its unit. False for what is none. */
static bool quantity(const char *text, uint64_t *v)
{
	size_t n = strspn(text, "0123456789");
	char digits[24];
	uint64_t unit = 1;

	if (!n || n >= sizeof(digits))
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	text += n + strspn(text + n, " \t");
	if (strncmp(text, "KiB", 3) == 0)
		unit = 1u << 10;
	else if (strncmp(text, "MiB", 3) == 0)
		unit = 1u << 20;
	return text_parse_u64(digits, v) == 0 && !__builtin_mul_overflow(*v, unit, v);
}

static bool begins(const char *s, const char *prefix, const char **rest)
{
	size_t n = strlen(prefix);

	if (strncmp(s, prefix, n) != 0)
		return false;
	*rest = s + n;
	return true;
}

static void take_region(struct parse *p, const char *name, int rank, const char *value)
{
	struct region *r = p->regions;
	uint64_t bytes;

	if (!quantity(value, &bytes)) {
		p->garbled = true;
		return;
	}
	while (r < p->regions + p->n && strcmp(r->name, name) != 0)
		r++;
	if (r == p->regions + REGIONS_MAX)
		return;
	if (r == p->regions + p->n) {
		*r = (struct region) { 0 };
		if (!text_copy(r->name, sizeof(r->name), name))
			return;
		p->n++;
	}
	if (rank >= r->rank) {
		r->rank = rank;
		r->bytes = bytes;
	}
}

/* An engine that has counted anything has worked for this client. */
static void take_engine(struct fdinfo *f, const char *name, const char *value)
{
	const char *rest;
	uint64_t v;

	if (!quantity(value, &v) || !v)
		return;
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		if (begins(name, engines[i].name, &rest))
			f->engines |= engines[i].engine;
}

static void take(struct parse *p, const char *key, const char *value)
{
	struct fdinfo *f = p->f;
	const char *rest;

	if (strcmp(key, "drm-driver") == 0) {
		text_copy(f->driver, sizeof(f->driver), value);
		text_clean(f->driver);
	} else if (strcmp(key, "drm-pdev") == 0) {
		text_copy(f->pdev, sizeof(f->pdev), addr_ok(value) ? value : "");
	} else if (strcmp(key, "drm-client-id") == 0) {
		f->has_client = text_parse_u64(value, &f->client) == 0;
	} else if (begins(key, "drm-engine-capacity-", &rest) ||
		   begins(key, "drm-total-cycles-", &rest)) {
		return; /* how many engines there are, and what all clients have used */
	} else if (begins(key, "drm-engine-", &rest) || begins(key, "drm-cycles-", &rest)) {
		take_engine(f, rest, value);
	}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (begins(key, keys[i].prefix, &rest))
			take_region(p, rest, keys[i].rank, value);
}

static void add(struct fact *to, uint64_t bytes)
{
	int64_t sum = fact_known(to) ? to->v : 0;

	if (to->why == WHY_GARBLED)
		return;
	if (bytes > INT64_MAX || __builtin_add_overflow(sum, (int64_t)bytes, &sum))
		*to = fact_unknown(WHY_GARBLED);
	else
		*to = fact_of(sum, SRC_PROC);
}

/* Sums, of tiles and of kinds. "vram0" is "vram" of the first tile. */
static void sum_regions(struct parse *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		struct region *r = &p->regions[i];
		size_t n = strlen(r->name);

		while (n && r->name[n - 1] >= '0' && r->name[n - 1] <= '9')
			r->name[--n] = '\0';
		for (size_t k = 0; k < ARRAY_LEN(places); k++)
			if (strcmp(places[k].name, r->name) == 0)
				add(places[k].where == ON_CARD ? &p->f->vram : &p->f->host,
				    r->bytes);
	}
}

/* One line, "KEY:\tVALUE"; what is longer than any honest one is skipped. */
static void take_line(struct parse *p, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	char key[64], value[64];

	if (!colon || (size_t)(colon - line) >= sizeof(key))
		return;
	const char *at = colon + 1;

	while (at < line + n && (*at == ' ' || *at == '\t'))
		at++;
	size_t len = (size_t)(line + n - at);

	if (len >= sizeof(value))
		return;
	memcpy(key, line, (size_t)(colon - line));
	key[colon - line] = '\0';
	memcpy(value, at, len);
	value[len] = '\0';
	take(p, key, text_trim(value));
}

bool fdinfo_parse(const char *text, struct fdinfo *f)
{
	struct parse p = { .f = f };

	*f = (struct fdinfo) { .vram = fact_unknown(WHY_NOT_EXPORTED),
			       .host = fact_unknown(WHY_NOT_EXPORTED) };
	while (*text) {
		size_t n = strcspn(text, "\n");

		take_line(&p, text, n);
		text += n + (text[n] == '\n');
	}
	sum_regions(&p);
	if (p.garbled)
		f->vram = f->host = fact_unknown(WHY_GARBLED);
	return f->driver[0];
}

struct fact_text engines_text(uint32_t set, enum src src)
{
	char buf[64];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	for (size_t i = 0; i < ARRAY_LEN(engine_names); i++)
		if (set & engine_names[i].engine)
			text_add(&t, "%s%s", t.len ? ", " : "", engine_names[i].name);
	return t.len ? fact_text_of(buf, src) : fact_text_unknown(WHY_NOT_EXPORTED);
}
