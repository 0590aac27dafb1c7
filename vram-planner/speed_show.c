/* SPDX-License-Identifier: MIT */
/* The speed in words and as JSON: always a range, never one number. */
#include <string.h>

#include "vram-planner/speed.h"

/* Two digits that mean something, so that nobody takes an estimate for a measurement. */
static double rounded(double v)
{
	double step = 1;

	if (!(v > 1e-12 && v < 1e15))
		return 0;
	while (v / step >= 100)
		step *= 10;
	while (v / step < 10)
		step /= 10;
	return (double)(uint64_t)(v / step + 0.5) * step;
}

static void add_number(struct text *t, double v)
{
	double r = rounded(v);

	text_add(t, "%.*f", r < 0.1 ? 3 : r < 1 ? 2 : r < 10 ? 1 : 0, r);
}

void speed_brief(struct text *t, const struct range *r)
{
	if (!r->known)
		return;
	add_number(t, r->low);
	text_add(t, " to ");
	add_number(t, r->high);
}

static void add_line(struct text *t, const char *label, const struct range *r, const char *unit,
		     const char *more)
{
	text_add(t, "%-13s", label);
	if (r->known)
		speed_brief(t, r);
	else
		text_add(t, "%s", r->why);
	text_add(t, "%s%s\n", r->known ? unit : "", r->known ? more : "");
}

void speed_explain(struct text *t, const struct speed *s)
{
	char size[TEXT_SIZE_MAX], more[160];
	struct text m;

	text_init(&m, more, sizeof(more));
	text_add(&m, " with %u in context; a token reads %s (%s)", s->depth,
		 text_size(size, (uint64_t)s->token_bytes), s->basis);
	add_line(t, "speed", &s->generation, " tokens/s", more);
	add_line(t, "prompt", &s->prompt, " tokens/s", "");
	if (s->load_s.known) {
		text_add(t, "%-13sat least ", "load");
		add_number(t, s->load_s.low);
		text_add(t, " s by the link; the disk may be slower\n");
	}
	if (s->wh_1000.known)
		add_line(t, "energy", &s->wh_1000, " Wh for 1,000 tokens, GPUs alone", "");
	if (s->kwh > 0) {
		text_init(&m, more, sizeof(more));
		text_add(&m, " at %g a kWh", s->kwh);
		if (s->api_million > 0)
			text_add(&m, "; the API takes %g", s->api_million);
		add_line(t, "cost", &s->cost_million, " for a million tokens", more);
	}
}

static void put_range(json_t *o, const char *key, const struct range *r)
{
	char why[64];

	if (r->known) {
		json_t *both = json_object();

		json_object_set_new(both, "low", json_real(rounded(r->low)));
		json_object_set_new(both, "high",
				    r->high > 0 ? json_real(rounded(r->high)) : json_null());
		json_object_set_new(o, key, both);
		return;
	}
	json_put_null(o, key);
	snprintf(why, sizeof(why), "%s_why", key);
	json_put_text(o, why, r->why);
}

json_t *speed_to_json(const struct speed *s)
{
	json_t *o = json_object();

	json_put_int(o, "depth_tokens", s->depth);
	json_put_int(o, "token_bytes", (int64_t)s->token_bytes);
	put_range(o, "generation_tokens_s", &s->generation);
	put_range(o, "prompt_tokens_s", &s->prompt);
	put_range(o, "load_s", &s->load_s);
	put_range(o, "energy_wh_1000_tokens", &s->wh_1000);
	put_range(o, "cost_million_tokens", &s->cost_million);
	json_put_text(o, "basis", s->basis);
	return o;
}
