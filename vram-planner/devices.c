/* SPDX-License-Identifier: MIT */
#include "vram-planner/devices.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "base/own.h"
#include "base/telem.h"
#include "vram-planner/calibration.h"
#include "vram-planner/gpus.h"

const char *const devices_free_choices[] = { "now", "after-unload", "total", NULL };

static void note(struct devices *d, const char *text)
{
	if (d->n_notes < DEVICES_NOTES_MAX)
		text_copy(d->notes[d->n_notes++], sizeof(d->notes[0]), text);
}

/* --- this machine, or a captured one --- */

static int select_devices(struct devices *d, const struct report *r, const char *selector,
			  struct err *e)
{
	uint32_t index[PROBE_GPUS_MAX];
	int n = 0;

	if (selector)
		n = probe_select(r, selector, index, e);
	if (n < 0)
		return n;
	d->n = places_from_report(r, index, (uint32_t)n, d->places, &d->host);
	if (!selector)
		d->n = places_drop_integrated(d->places, d->n);
	if (d->n >= (uint32_t)n)
		return 0;
	for (int i = 0; i < n; i++) {
		const struct gpu *g = &r->gpus[index[i]];

		if (!gpu_can_compute(g))
			return err_set(
				e, -ENODEV,
				"%s has no driver that a compute engine can use; 'berth probe' says more",
				g->pci);
	}
	return 0;
}

static int find_here(struct devices *d, const struct machine *m, const struct devices_opts *o,
		     const struct log *log, struct err *e)
{
	struct probe_opts po = { .wake = o->wake, .no_procs = true };
	struct report *r;
	int rc = probe_collect(m, &po, &r, e);

	if (rc)
		return rc;
	rc = select_devices(d, r, o->device, e);
	for (uint32_t i = 0; rc == 0 && i < r->n_gpus; i++) {
		if (!gpu_can_compute(&r->gpus[i]))
			log_detail(log, "%s is not used: no driver that a compute engine can use",
				   r->gpus[i].pci);
	}
	probe_free(r);
	return rc;
}

/* Without a probe: the one number of this machine that a plan needs. */
static struct fact read_available(const struct machine *m)
{
	char buf[8192], *line;
	uint64_t kib;
	long n = machine_read(m, "proc/meminfo", buf, sizeof(buf));

	if (n < 0)
		return fact_unknown(n == -EACCES ? WHY_NEEDS_ROOT : WHY_NOT_EXPORTED);
	line = strstr(buf, "MemAvailable:");
	if (!line)
		return fact_unknown(WHY_NOT_EXPORTED);
	line += strlen("MemAvailable:");
	line += strspn(line, " \t");
	line[strcspn(line, " \n")] = '\0';
	if (text_parse_u64(line, &kib) || kib > INT64_MAX / 1024)
		return fact_unknown(WHY_GARBLED);
	return fact_of((int64_t)kib * 1024, SRC_PROC);
}

/* --- what counts as free --- */

static uint64_t sum_of(const struct telem_bytes *b)
{
	const uint64_t parts[] = { b->weights, b->kv, b->compute, b->other };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i] != TELEM_UNKNOWN && __builtin_add_overflow(sum, parts[i], &sum))
			return 0;
	}
	return sum;
}

/* What berth's living runs hold on a device. */
static uint64_t held_by_runs(char *const *paths, const char *pci)
{
	uint64_t held = 0;

	for (; paths && *paths; paths++) {
		struct telem_page page;
		enum telem_life life = TELEM_DEAD;

		if (telem_read(*paths, &page, &life, NULL) || life == TELEM_DEAD ||
		    page.header.kind != TELEM_RUN)
			continue;
		for (uint32_t i = 0; i < page.run.n_devices; i++) {
			const struct telem_device *t = &page.run.devices[i];

			if (t->pci[0] && strcmp(t->pci, pci) == 0 &&
			    __builtin_add_overflow(held, sum_of(&t->measured), &held))
				return 0;
		}
	}
	return held;
}

void devices_free_runs(struct devices *d)
{
	char **paths = NULL, text[160], size[TEXT_SIZE_MAX];
	int n = telem_list(&paths);

	for (uint32_t i = 0; n > 0 && i < d->n; i++) {
		struct place *p = &d->places[i];
		uint64_t held = p->pci[0] ? held_by_runs(paths, p->pci) : 0;

		if (!held || !fact_known(&p->free_bytes) || held > INT64_MAX / 2)
			continue;
		p->free_bytes.v += (int64_t)held;
		if (fact_known(&p->total_bytes) && p->free_bytes.v > p->total_bytes.v)
			p->free_bytes.v = p->total_bytes.v;
		snprintf(text, sizeof(text),
			 "%s is counted as free on %s: berth's own runs hold it",
			 text_size(size, held), p->pci);
		note(d, text);
	}
	if (n >= 0)
		telem_list_free(paths);
}

static void count_all_as_free(struct devices *d)
{
	bool any = false;

	for (uint32_t i = 0; i < d->n; i++) {
		struct place *p = &d->places[i];

		if (p->hypothetical || p->integrated || !fact_known(&p->total_bytes))
			continue;
		p->free_bytes = p->total_bytes;
		any = true;
	}
	if (any)
		note(d, "all memory of the GPUs is counted as free, whatever holds it now");
}

static int settle_host(struct devices *d, const struct devices_opts *o, struct err *e)
{
	uint64_t rate;

	if (o->ram != UINT64_MAX)
		d->host.free_bytes = fact_of((int64_t)o->ram, SRC_USER);
	d->host.bandwidth_bytes_s = fact_unknown(WHY_NOT_EXPORTED);
	if (o->gpus.n && o->ram == UINT64_MAX && fact_known(&d->host.free_bytes))
		note(d, "the host's free memory is this machine's; --ram says another");
	if (!o->ram_bandwidth)
		return 0;
	if (gpus_read_rate(o->ram_bandwidth, &rate))
		return err_set(e, -EINVAL, "--ram-bandwidth %.40s is no rate; write 80GB/s",
			       o->ram_bandwidth);
	d->host.bandwidth_bytes_s = fact_of((int64_t)rate, SRC_USER);
	return 0;
}

static void settle_free(struct devices *d, const struct devices_opts *o, bool live)
{
	if (o->free == FREE_TOTAL)
		count_all_as_free(d);
	if (o->free == FREE_AFTER_UNLOAD && live)
		devices_free_runs(d);
}

/* --- GPUs that are nowhere --- */

static int add_gpus(struct devices *d, const struct devices_opts *o, struct err *e)
{
	char text[160];
	struct text t;

	for (uint32_t i = 0; i < o->gpus.n; i++) {
		int n = gpus_add(d->places, d->n, PROBE_GPUS_MAX, o->gpus.v[i], e);

		if (n < 0)
			return err_at(e, n, "--gpu %.60s", o->gpus.v[i]);
		text_init(&t, text, sizeof(text));
		gpus_explain(&t, &d->places[d->n]);
		note(d, text);
		d->n = (uint32_t)n;
	}
	return 0;
}

static void use_calibrations(struct devices *d)
{
	own_free struct calibrations *c = malloc(sizeof(*c));

	if (!c)
		return;
	calibrations_load(c);
	calibrations_apply(c, d->places, d->n, &d->host);
}

int devices_find(struct devices *d, const struct devices_opts *o, const struct log *log,
		 struct err *e)
{
	struct machine m;
	int rc = machine_open(&m, o->machine, e);

	d->n = d->n_notes = 0;
	if (rc)
		return rc;
	if (o->gpus.n && !o->device)
		d->host.free_bytes = read_available(&m);
	else
		rc = find_here(d, &m, o, log, e);
	if (!rc)
		rc = add_gpus(d, o, e);
	if (!rc)
		settle_free(d, o, m.live);
	if (!rc)
		rc = settle_host(d, o, e);
	machine_close(&m);
	if (!rc)
		use_calibrations(d);
	return rc;
}
