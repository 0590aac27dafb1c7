/* SPDX-License-Identifier: MIT */
#include "tui/line.h"

#include <inttypes.h>

#include "base/text.h"
#include "tui/judge.h"

static void device_sentence(const struct snapshot *s, uint32_t i, FILE *to)
{
	const struct gpu *g = &s->report->gpus[i];
	char buf[512], size[TEXT_SIZE_MAX];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	gpu_title(&t, g);
	text_add(&t, " is %s", device_state_name(judge_device(s, i)));
	if (fact_known(&g->vram_total) && fact_known(&g->vram_used)) {
		text_add(&t, ", has %s", text_size(size, (uint64_t)g->vram_used.v));
		text_add(&t, " of %s in use", text_size(size, (uint64_t)g->vram_total.v));
	}
	if (fact_known(&g->power_mw))
		text_add(&t, ", draws %.0f watts", (double)g->power_mw.v / 1000);
	if (fact_known(&g->temp_mc))
		text_add(&t, ", is at %" PRId64 " degrees Celsius", g->temp_mc.v / 1000);
	fprintf(to, "%s.\n", buf);
}

static void run_sentence(const struct run_seen *r, uint64_t now_ns, FILE *to)
{
	const struct telem_run *run = &r->page.run;
	double rate = r->rc ? -1 : judge_rate_now(r, now_ns);

	fprintf(to, "Run %s is %s", run_key(r), run_state_name(judge_run(r)));
	if (!r->rc && run->model[0])
		fprintf(to, ", model %s", run->model);
	if (!r->rc && run->ctx_tokens && run->ctx_used_tokens != TELEM_UNKNOWN32)
		fprintf(to, ", has %" PRIu32 " of %" PRIu32 " tokens of context in use",
			run->ctx_used_tokens, run->ctx_tokens);
	if (rate >= 0)
		fprintf(to, ", generates %.1f tokens per second", rate);
	fputs(".\n", to);
}

static void bridge_sentence(const struct bridge_seen *b, FILE *to)
{
	const struct telem_bridge *page = &b->page;
	const struct traffic t = judge_traffic(page);
	double p99 = judge_latency(page, 0.99);

	fprintf(to, "%s is %s", b->key, bridge_state_name(judge_bridge(b)));
	if (page->guest[0])
		fprintf(to, ", for the guest %s", page->guest);
	fprintf(to, ", took %" PRIu64 " reads and %" PRIu64 " writes", t.reads, t.writes);
	if (p99 >= 0)
		fprintf(to, ", 99 percent of them in less than %.1f microseconds", p99 / 1000);
	if (t.denied)
		fprintf(to, ", refused %" PRIu64, t.denied);
	fputs(".\n", to);
}

void line_state(const struct snapshot *s, FILE *to)
{
	if (!s->report && s->device_error[0])
		fprintf(to, "The devices cannot be read: %s.\n", s->device_error);
	if (s->report && !s->report->n_gpus)
		fputs("There is no GPU.\n", to);
	for (uint32_t i = 0; s->report && i < s->report->n_gpus; i++)
		device_sentence(s, i, to);
	if (!s->n_runs)
		fputs("Nothing runs.\n", to);
	for (uint32_t i = 0; i < s->n_runs; i++)
		run_sentence(&s->runs[i], s->now_ns, to);
	for (uint32_t i = 0; i < s->n_bridges; i++)
		bridge_sentence(&s->bridges[i], to);
}

static void event_sentence(const struct event *e, FILE *to)
{
	static const char *const words[] = { "", "Warning: ", "Alarm: " };
	char last = '\0';

	for (const char *c = e->text; *c; c++)
		last = *c;
	fprintf(to, "%s %s%s%s%s%s", e->clock, words[e->severity <= SEVERITY_BAD ? e->severity : 0],
		e->subject, e->subject[0] ? " " : "", e->text, last == '.' ? "" : ".");
	if (e->help[0])
		fprintf(to, " Try: %s", e->help);
	fputc('\n', to);
}

void line_events(const struct events *ev, uint64_t *seen, FILE *to)
{
	uint64_t missed = ev->n > *seen ? ev->n - *seen : 0; /* a recording may be wound back */

	if (missed > EVENTS_MAX) {
		fprintf(to, "%" PRIu64 " changes came too fast to be told.\n", missed - EVENTS_MAX);
		missed = EVENTS_MAX;
	}
	while (missed-- > 0) {
		const struct event *e = events_newest(ev, (uint32_t)missed);

		if (e)
			event_sentence(e, to);
	}
	*seen = ev->n;
}
