/* SPDX-License-Identifier: MIT */
#include "tui/prom_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tui/judge.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/*
 * A fact of a device, or a number of a run's page, by its place; the value is divided by `per`. Of a summary the
 * name is the family's and `part` one of its two, _sum before _count.
 */
struct metric {
	const char *name, *part, *type, *help;
	size_t offset, size;
	double per;
};

#define DEVICE(member, name, type, per, help)                                                      \
	{                                                                                          \
		name, "", type, help, offsetof(struct gpu, member), sizeof(struct fact), per       \
	}
#define RUN_PART(member, name, part, type, per, help)                                              \
	{                                                                                          \
		name, part, type, help, offsetof(struct telem_run, member),                        \
			sizeof(((struct telem_run *)0)->member), per                               \
	}
#define RUN(member, name, type, per, help) RUN_PART(member, name, "", type, per, help)

/* clang-format off */
static const struct metric device_metrics[] = {
	DEVICE(vram_total, "berth_gpu_memory_size_bytes", "gauge", 1, "Memory on the card."),
	DEVICE(vram_used, "berth_gpu_memory_used_bytes", "gauge", 1, "Of it, in use by anybody."),
	DEVICE(power_mw, "berth_gpu_power_watts", "gauge", 1e3, "Power drawn now."),
	DEVICE(power_cap_mw, "berth_gpu_power_limit_watts", "gauge", 1e3, "Power it may draw."),
	DEVICE(live.energy_uj, "berth_gpu_energy_joules_total", "counter", 1e6,
	       "Energy since its driver was loaded."),
	DEVICE(temp_mc, "berth_gpu_temperature_celsius", "gauge", 1e3, "Temperature."),
	DEVICE(live.temp_memory_mc, "berth_gpu_memory_temperature_celsius", "gauge", 1e3,
	       "Temperature of its memory."),
	DEVICE(busy_percent, "berth_gpu_busy_ratio", "gauge", 100, "Share of the time it works."),
	DEVICE(live.core_mhz, "berth_gpu_clock_hertz", "gauge", 1e-6, "Clock of its cores."),
	DEVICE(live.mem_mhz, "berth_gpu_memory_clock_hertz", "gauge", 1e-6, "Clock of its memory."),
	DEVICE(live.fan_rpm, "berth_gpu_fan_rpm", "gauge", 1, "Turns of its first fan in a minute."),
	DEVICE(live.pcie_rx_bytes_per_s, "berth_gpu_pcie_receive_bytes_per_second", "gauge", 1,
	       "Bytes that reach it."),
	DEVICE(live.pcie_tx_bytes_per_s, "berth_gpu_pcie_transmit_bytes_per_second", "gauge", 1,
	       "Bytes that leave it."),
};

static const struct metric run_metrics[] = {
	RUN(counts.prompt_tokens, "berth_run_prompt_tokens_total", "counter", 1, "Prompt tokens computed."),
	RUN(counts.prompt_ns, "berth_run_prompt_seconds_total", "counter", 1e9, "Spent with them."),
	RUN(counts.cached_tokens, "berth_run_cached_tokens_total", "counter", 1,
	    "Prompt tokens that did not have to be computed again."),
	RUN(counts.generated_tokens, "berth_run_generated_tokens_total", "counter", 1, "Generated tokens."),
	RUN(counts.generated_ns, "berth_run_generated_seconds_total", "counter", 1e9, "Spent with them."),
	RUN(counts.drafted_tokens, "berth_run_drafted_tokens_total", "counter", 1,
	    "Tokens that a draft model proposed."),
	RUN(counts.accepted_tokens, "berth_run_accepted_tokens_total", "counter", 1, "Of them, accepted."),
	RUN(counts.requests, "berth_run_requests_total", "counter", 1, "Requests that came."),
	RUN(counts.requests_failed, "berth_run_requests_failed_total", "counter", 1, "Of them, failed."),
	RUN_PART(counts.first_token_ns, "berth_run_first_token_seconds", "_sum", "summary", 1e9,
		 "From a request to its first token."),
	RUN_PART(counts.first_tokens, "berth_run_first_token_seconds", "_count", NULL, 1, NULL),
	RUN(queue, "berth_run_requests_waiting", "gauge", 1, "Requests that wait."),
	RUN(busy, "berth_run_sequences_busy", "gauge", 1, "Sequences at work."),
	RUN(ctx_tokens, "berth_run_context_tokens", "gauge", 1, "Tokens one sequence can hold."),
	RUN(ctx_used_tokens, "berth_run_context_used_tokens", "gauge", 1, "Tokens of the fullest sequence."),
	RUN(verified, "berth_run_verified", "gauge", 1, "1: its layers lie as planned."),
};
/* clang-format on */

/* One label that is no UTF-8 would have the collector refuse the whole set. */
void prom_label(FILE *to, const char *key, const char *value)
{
	char clean[256];

	text_copy(clean, sizeof(clean), value);
	text_clean(clean);
	fprintf(to, "%s=\"", key);
	for (const char *c = clean; *c; c++) {
		if (*c == '\\' || *c == '"')
			fputc('\\', to);
		fputc(*c, to);
	}
	fputc('"', to);
}

void prom_head(FILE *to, const char *name, const char *type, const char *help)
{
	fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prom_value(FILE *to, uint64_t v, double per)
{
	if (per == 1)
		fprintf(to, "} %" PRIu64 "\n", v);
	else
		fprintf(to, "} %.15g\n", (double)v / per);
}

static void gpu_labels(FILE *to, const struct gpu *g)
{
	fputc('{', to);
	prom_label(to, "pci", g->pci);
	fputc(',', to);
	prom_label(to, "name", fact_text_known(&g->name) ? g->name.v : "");
}

static void print_device_metric(const struct report *r, const struct metric *m, FILE *to)
{
	bool begun = false;

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];
		const struct fact *f = (const void *)((const char *)g +
						      m->offset); /* rows name facts only */

		if (!fact_known(f) || f->v < 0)
			continue;
		if (!begun)
			prom_head(to, m->name, m->type, m->help);
		begun = true;
		fputs(m->name, to);
		gpu_labels(to, g);
		prom_value(to, (uint64_t)f->v, m->per);
	}
}

/* One series for each state, 1 for the one that holds: as others count states, too. */
static void print_device_states(const struct snapshot *s, FILE *to)
{
	const struct report *r = s->report;

	if (r->n_gpus)
		prom_head(to, "berth_gpu_state", "gauge", "1: the device is in this state.");
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		fputs("berth_gpu_state", to);
		gpu_labels(to, &r->gpus[i]);
		fputc(',', to);
		prom_label(to, "state", device_state_name(judge_device(s, i)));
		prom_value(to, 1, 1);
	}
}

static void run_labels(FILE *to, const struct run_seen *r)
{
	fputc('{', to);
	prom_label(to, "run", run_key(r));
	fputc(',', to);
	prom_label(to, "model", r->rc ? "" : r->page.run.model);
}

/* False: unknown. */
static bool run_number(const struct run_seen *r, const struct metric *m, uint64_t *v)
{
	const char *at = (const char *)&r->page.run + m->offset;

	if (r->rc)
		return false;
	if (m->size == sizeof(uint32_t))
		*v = *(const uint32_t *)(const void *)at;
	else
		*v = *(const uint64_t *)(const void *)at;
	return *v != (m->size == sizeof(uint32_t) ? TELEM_UNKNOWN32 : TELEM_UNKNOWN);
}

static void print_run_metric(const struct snapshot *s, const struct metric *m, FILE *to)
{
	bool begun = false;
	uint64_t v;

	for (uint32_t i = 0; i < s->n_runs; i++) {
		if (!run_number(&s->runs[i], m, &v))
			continue;
		if (!begun && m->type)
			prom_head(to, m->name, m->type, m->help);
		begun = true;
		fprintf(to, "%s%s", m->name, m->part);
		run_labels(to, &s->runs[i]);
		prom_value(to, v, m->per);
	}
}

/* A series that came twice would have the collector refuse the whole set: a page that makes no sense has many. */
static bool is_told(const struct telem_run *run, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (!strcmp(run->devices[k].pci, run->devices[i].pci) &&
		    !strcmp(run->devices[k].name, run->devices[i].name))
			return true;
	return false;
}

static void print_run_bytes(const struct run_seen *r, FILE *to)
{
	for (uint32_t i = 0; !r->rc && i < r->page.run.n_devices && i < TELEM_DEVICES_MAX; i++) {
		const struct telem_device *d = &r->page.run.devices[i];
		const struct {
			const char *purpose;
			uint64_t bytes;
		} rows[] = { { "weights", d->measured.weights },
			     { "kv", d->measured.kv },
			     { "compute", d->measured.compute },
			     { "other", d->measured.other } };

		for (size_t k = 0; k < N_OF(rows); k++) {
			if (rows[k].bytes == TELEM_UNKNOWN || is_told(&r->page.run, i))
				continue;
			fputs("berth_run_memory_bytes", to);
			run_labels(to, r);
			fputc(',', to);
			prom_label(to, "pci", d->pci);
			fputc(',', to);
			prom_label(to, "device", d->name);
			fputc(',', to);
			prom_label(to, "purpose", rows[k].purpose);
			prom_value(to, rows[k].bytes, 1);
		}
	}
}

static void print_runs(const struct snapshot *s, FILE *to)
{
	for (size_t i = 0; i < N_OF(run_metrics); i++)
		print_run_metric(s, &run_metrics[i], to);
	if (!s->n_runs)
		return;
	prom_head(to, "berth_run_state", "gauge", "1: the run is in this state.");
	for (uint32_t i = 0; i < s->n_runs; i++) {
		fputs("berth_run_state", to);
		run_labels(to, &s->runs[i]);
		fputc(',', to);
		prom_label(to, "state", run_state_name(judge_run(&s->runs[i])));
		prom_value(to, 1, 1);
	}
	prom_head(to, "berth_run_memory_bytes", "gauge",
		  "What the run has on a device, as measured.");
	for (uint32_t i = 0; i < s->n_runs; i++)
		print_run_bytes(&s->runs[i], to);
}

int prom_print(const struct snapshot *s, FILE *to)
{
	for (size_t i = 0; s->report && i < N_OF(device_metrics); i++)
		print_device_metric(s->report, &device_metrics[i], to);
	if (s->report)
		print_device_states(s, to);
	print_runs(s, to);
	prom_bridges(s, to);
	return fflush(to) || ferror(to) ? -EIO : 0;
}
