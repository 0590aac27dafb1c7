/* SPDX-License-Identifier: MIT */
/* The frame around devices and runs: header, help, last line. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tui/view_priv.h"

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

const char *short_address(const char *pci)
{
	return strncmp(pci, "0000:", 5) ? pci : pci + 5;
}

static uint32_t living_runs(const struct snapshot *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_runs; i++)
		n += judge_run_lives(&s->runs[i]);
	return n;
}

/* The first line answers "is it fine?", the most important first: a narrow screen cuts the end. */
static void header(struct view *v, const struct snapshot *s)
{
	struct pen p = view_line(v);
	uint32_t runs = living_runs(s);

	pen_text(&p, ATTR_TITLE, "berth top");
	if (s->report && fact_text_known(&s->report->host))
		pen_printf(&p, ATTR_PLAIN, "  %s", s->report->host.v);
	if (s->origin == ORIGIN_CAPTURED)
		pen_text(&p, ATTR_WARN, " (captured)");
	if (s->clock[0])
		pen_printf(&p, ATTR_PLAIN, "  %s", s->clock);
	if (s->paused)
		pen_text(&p, ATTR_WARN, "  PAUSED");
	if (s->report)
		pen_printf(&p, ATTR_PLAIN, "  %" PRIu32 " GPU%s", s->report->n_gpus,
			   plural(s->report->n_gpus));
	pen_printf(&p, ATTR_PLAIN, "  %" PRIu32 " run%s", runs, plural(runs));
	if (s->interval_ms)
		pen_printf(&p, ATTR_DIM, "  every %" PRIu32 ".%" PRIu32 " s", s->interval_ms / 1000,
			   s->interval_ms % 1000 / 100);
	if (s->report && s->origin == ORIGIN_LIVE && s->device_age_ms > SNAP_DEVICE_OLD_MS)
		pen_printf(&p, ATTR_WARN, "  devices silent for %" PRIu64 " s",
			   s->device_age_ms / 1000);
}

void view_make(struct view *v, const struct snapshot *s)
{
	view_clear(v);
	header(v, s);
	view_devices(v, s);
	view_line(v);
	view_runs(v, s);
}

static const char *const legend[] = {
	"",
	"Memory bars: W weights, K kv cache, C compute, O all other use, . free, ? unknown.",
	"W, K and C are what runs measured, not what was planned.",
	"A sleeping GPU is shown as ASLEEP and is not woken to be read.",
	"'-' means unknown. NOW is the last two seconds; AVG the whole run.",
};

void view_make_help(struct view *v, const struct key_help *keys, uint32_t n)
{
	struct pen p;

	view_clear(v);
	p = view_line(v);
	pen_text(&p, ATTR_TITLE, "berth top: keys");
	for (uint32_t i = 0; i < n; i++) {
		p = view_line(v);
		pen_printf(&p, ATTR_HEAD, "  %-10s", keys[i].label);
		pen_printf(&p, ATTR_PLAIN, " %s", keys[i].help);
	}
	for (size_t i = 0; i < sizeof(legend) / sizeof(legend[0]); i++) {
		p = view_line(v);
		pen_text(&p, ATTR_PLAIN, legend[i]);
	}
}

void view_make_footer(struct view *v, const struct key_help *keys, uint32_t n, uint32_t above,
		      uint32_t below)
{
	struct pen p;

	view_clear(v);
	p = view_line(v);
	if (above || below)
		pen_printf(&p, ATTR_WARN, "%" PRIu32 " rows above, %" PRIu32 " below  ", above,
			   below);
	for (uint32_t i = 0; i < n; i++) {
		if (!keys[i].name)
			continue;
		pen_text(&p, ATTR_TITLE, keys[i].label);
		pen_printf(&p, ATTR_DIM, " %s  ", keys[i].name);
	}
}
