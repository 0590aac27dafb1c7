/* SPDX-License-Identifier: MIT */
/*
 * Names of AMD's products. One device id serves several of them, which only the revision tells apart:
 * pci.ids has "Navi 31 [Radeon RX 7900 XT/7900 XTX/...]", and amdgpu.ids, which comes with libdrm, a row
 * for each. Looking up wakes nothing.
 */
#include "probe/amdids.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "base/text.h"
#include "probe/section.h"

#define TABLE_MAX (1u << 20)

/* libdrm's own place, and that of AMD's installer for its own libdrm, which is newer. */
static const char *const places[] = { "opt/amdgpu/share/libdrm/amdgpu.ids",
				      "usr/share/libdrm/amdgpu.ids" };

/* --- the table: "744C,\tC8,\tAMD Radeon RX 7900 XTX", and lines of comment ------------------------------- */

/* A hexadecimal number up to the next comma, which *at is moved behind. */
static bool hex_column(const char **at, const char *end, uint32_t *v)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = *at;
	uint32_t sum = 0;
	int n = 0;

	for (; p < end && *p != ','; p++) {
		const char *d = memchr(digits, *p | 0x20, sizeof(digits) - 1);

		if (*p == ' ' || *p == '\t')
			continue;
		if (!d || ++n > 4)
			return false;
		sum = sum << 4 | (uint32_t)(d - digits);
	}
	if (!n || p == end)
		return false;
	*v = sum;
	*at = p + 1;
	return true;
}

bool amdids_find(const char *text, uint32_t device, uint32_t revision, char *name, size_t size)
{
	uint32_t d, r;

	for (const char *l = text; *l; l += *l == '\n') {
		const char *end = l + strcspn(l, "\n"), *at = l;

		l = end;
		if (!hex_column(&at, end, &d) || !hex_column(&at, end, &r) || d != device ||
		    r != revision)
			continue;
		at += strspn(at, " \t");
		if (at >= end)
			continue;
		snprintf(name, size, "%.*s", (int)(end - at), at);
		return *text_clean(text_trim(name)) != '\0';
	}
	return false;
}

/* --- the section --------------------------------------------------------------------------------------- */

static char *read_table(void)
{
	struct err e = { 0 };
	struct machine m;
	char *text = NULL;

	if (machine_open(&m, NULL, &e))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(places) && !text; i++)
		read_whole(&m, places[i], TABLE_MAX, &text);
	machine_close(&m);
	return text;
}

static bool is_amd(const struct gpu *g)
{
	return g->vendor == 0x1002;
}

static json_t *ask(const struct run *run, const struct want *w)
{
	const struct report *r = &run->merged;
	own_free char *text = NULL;
	json_t *devices = NULL, *o;
	char name[120];

	(void)w;
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];

		if (!is_amd(g) || (!text && !(text = read_table())) ||
		    !amdids_find(text, g->device, g->revision, name, sizeof(name)))
			continue;
		const struct fact_text f = fact_text_of(name, SRC_DRM);
		json_t *d = json_object();

		json_put_fact_text(d, "name", &f);
		devices = devices ? devices : json_object();
		json_object_set_new(devices, g->pci, d);
	}
	if (!devices)
		return NULL;
	o = json_answer("berth.answer.amdgpu_ids/1");
	json_object_set_new(o, "devices", devices);
	return o;
}

static void take(struct report *r, const json_t *answer)
{
	const json_t *devices = json_object_get(answer, "devices");

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		struct gpu *g = &r->gpus[i];
		const json_t *d = json_object_get(devices, g->pci);
		const struct fact_text name = json_get_fact_text(d, "name");

		if (is_amd(g) && d && fact_text_known(&name))
			g->name = name;
	}
}

const struct section section_amdids = {
	.name = "amdids",
	.answer = "amdgpu_ids",
	.ask = ask,
	.take = take,
};
