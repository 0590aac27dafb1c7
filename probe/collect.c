/* SPDX-License-Identifier: MIT */
/*
 * The order of discovery, which this file alone knows: the machine, the bus, hwloc, then only what the
 * GPUs found call for. A machine without GPUs opens neither pci.ids nor DRM nor NVML.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "base/text.h"
#include "probe/evidence.h"
#include "probe/section.h"

struct collect {
	struct source s;
	const struct want *w;
	struct run *run;
};

/* A captured answer; what is there but no JSON is ignored with a note. */
static json_t *answer(struct collect *c, const char *name)
{
	struct err e = { 0 };
	json_t *o = answer_read(c->s.m, name, &e);
	struct run *run = c->run;

	if (e.rc && run->n_notes < ARRAY_LEN(run->notes))
		snprintf(run->notes[run->n_notes++], sizeof(run->notes[0]),
			 "%.150s; its facts are unknown", e.text);
	return o;
}

static void record(struct collect *c, const char *name, json_t *o)
{
	if (c->s.rec)
		record_answer(c->s.rec, name, o);
	json_decref(o);
}

static void ask_topo(struct collect *c)
{
	struct run *run = c->run;
	struct cpu *cpu = &run->scan.cpu;
	const struct cpu told = *cpu;

	if (c->s.m->live) {
		if (c->w->topology || c->w->check || c->s.rec)
			topo_ask(&run->scan, &run->topo);
	} else {
		json_t *o = answer(c, "hwloc");

		if (o)
			topo_view_from_json(&run->topo, o);
		json_decref(o);
	}
	if (run->topo.asked) {
		record(c, "hwloc", topo_view_to_json(&run->topo));
		*cpu = run->topo.cpu;
		cpu->ram_total = told.ram_total;
		cpu->ram_available = told.ram_available;
	}
	host_cpuinfo(&c->s, cpu);
	host_nodes(&c->s, cpu);
}

static void ask_pci(struct collect *c)
{
	struct run *run = c->run;
	bool list = c->w->check || c->s.rec;
	json_t *o = c->s.m->live ? NULL : answer(c, "pci");

	if (o)
		pci_view_from_json(&run->pci, o);
	else if (c->s.m->live && list)
		pci_ask_list(c->s.m, &run->scan, c->w->wake, &run->pci);
	else if (run->scan.n_gpus)
		pci_ask_names(&run->scan, &run->pci);
	json_decref(o);
	if (run->pci.asked)
		record(c, "pci", pci_view_to_json(&run->pci));
}

static void ask_drm(struct collect *c)
{
	struct run *run = c->run;
	bool any = c->w->check || c->s.rec;

	for (uint32_t i = 0; i < run->scan.n_gpus; i++)
		any |= fact_text_known(&run->scan.gpus[i].driver);
	if (!any)
		return;
	if (c->s.m->live) {
		drm_ask(&run->drm);
	} else {
		json_t *o = answer(c, "drm");

		if (o)
			drm_view_from_json(&run->drm, o);
		json_decref(o);
	}
	if (run->drm.asked)
		record(c, "drm", drm_view_to_json(&run->drm));
}

/* The addresses NVIDIA's own driver holds, and whether all of them are awake: its library opens all. */
static uint32_t nvml_devices(const struct run *run, char (*pci)[24], bool *awake)
{
	uint32_t n = 0;

	*awake = true;
	for (uint32_t i = 0; i < run->scan.n_gpus; i++) {
		const struct gpu *g = &run->scan.gpus[i];
		const struct driver *d = driver_of(g);

		if (!d || !d->nvml)
			continue;
		memcpy(pci[n++], g->pci, sizeof(g->pci));
		*awake &= g->awake == AWAKE_YES && !asleep_now(run->m, g->pci);
	}
	return n;
}

static void ask_nvml(struct collect *c)
{
	char pci[PROBE_GPUS_MAX][24];
	struct nvml_view *v = &c->run->nvml;
	bool awake;
	uint32_t n = nvml_devices(c->run, pci, &awake);

	if (!n)
		return;
	if (!c->s.m->live) {
		uint32_t notes = c->run->n_notes;
		json_t *o = answer(c, "nvml");

		nvml_view_reset(v, false, c->run->n_notes > notes ? WHY_GARBLED : WHY_NONE);
		if (o)
			nvml_view_from_json(v, o);
		json_decref(o);
	} else if (c->w->no_nvml) {
		nvml_view_reset(v, false, WHY_NONE);
	} else if (!awake && !c->w->wake) {
		nvml_view_reset(v, false, WHY_ASLEEP);
	} else if (!machine_exists(c->s.m, "proc/driver/nvidia")) {
		nvml_view_reset(v, false, WHY_NO_DRIVER);
	} else {
		nvml_ask((const char(*)[24])pci, n, NVML_TIMEOUT_MS, v);
	}
	if (c->s.rec)
		nvml_view_scrub(v);
	record(c, "nvml", nvml_view_to_json(v));
}

static struct cpu cpu_unknown(void)
{
	const struct fact no = fact_unknown(WHY_NONE);
	const struct fact_text no_text = fact_text_unknown(WHY_NONE);

	return (struct cpu) { .name = no_text,
			      .cores = no,
			      .threads = no,
			      .packages = no,
			      .numa_nodes = no,
			      .cpuset = no_text,
			      .core_order = no_text };
}

/* A folder that tells nothing about a machine is not one. */
static int check_readable(const struct collect *c, int scan_rc, struct err *e)
{
	const struct report *r = &c->run->scan;
	const struct machine *m = c->s.m;

	if (scan_rc && scan_rc != -ENOENT && scan_rc != -ENOTDIR)
		return err_set(e, m->live ? -EACCES : -EBADMSG,
			       "cannot list the PCI functions in %s%ssys/bus/pci/devices: %s",
			       m->path, m->live ? "" : "/", strerror(-scan_rc));
	if (r->n_gpus || !scan_rc || fact_known(&r->cpu.ram_total) || fact_text_known(&r->cpu.name))
		return 0;
	if (m->live)
		return err_set(e, -EACCES,
			       "neither /sys/bus/pci nor /proc/meminfo can be read; "
			       "are /sys and /proc mounted?");
	return err_set(
		e, -EBADMSG,
		"%s holds neither sys/bus/pci/devices nor proc/meminfo, so it is not a captured "
		"machine; make one with 'berth probe --capture'",
		m->path);
}

/* Each subject's files: first what belongs to the machine, then each GPU's. */
static void read_sections(struct collect *c)
{
	struct report *r = &c->run->scan;
	char dir[PATH_SIZE];

	for (const struct section *const *p = sections; *p; p++)
		if ((*p)->read_report)
			(*p)->read_report(&c->s, r);
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		struct gpu *g = &r->gpus[i];
		const struct look look = { .s = &c->s,
					   .r = r,
					   .g = g,
					   .dir = dir,
					   .ask = g->awake == AWAKE_YES || c->w->wake };

		sysfs_dir(&c->s, g->pci, dir, sizeof(dir));
		for (const struct section *const *p = sections; *p; p++)
			if ((*p)->read)
				(*p)->read(&look);
	}
}

/* What each subject's library says, into the merged report; then what follows from all of it. */
static void ask_sections(struct collect *c)
{
	struct report *r = &c->run->merged;

	for (const struct section *const *p = sections; *p; p++) {
		const struct section *s = *p;
		json_t *o = NULL;

		if (s->answer && !c->s.m->live)
			o = answer(c, s->answer);
		if (s->answer && !o && (c->s.m->live || s->asks_folders))
			o = s->ask(c->run, c->w);
		if (!o)
			continue;
		s->take(r, o);
		record(c, s->answer, o);
	}
	for (const struct section *const *p = sections; *p; p++)
		for (uint32_t i = 0; (*p)->decide && i < r->n_gpus; i++)
			(*p)->decide(r, &r->gpus[i]);
}

/* Last, as it looks at the whole report. */
static int read_evidence(struct collect *c, struct err *e)
{
	struct evidence *ev = NULL;

	if (!c->w->evidence && !c->s.rec)
		return 0;
	int rc = evidence_read(&c->s, &c->run->merged, c->w->log, &ev, e);

	if (c->w->evidence)
		*c->w->evidence = ev;
	else
		evidence_free(ev);
	return rc;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int collect(struct collect *c, struct err *e)
{
	struct report *r = &c->run->scan;
	int64_t start = now_us();

	r->cpu = cpu_unknown();
	if (!c->s.m->live)
		c->s.errors = answer(c, "errors");
	host_read(&c->s, r);
	int scan_rc = sysfs_scan(&c->s, r);
	int64_t scanned = now_us();

	for (uint32_t i = 0; i < r->n_gpus; i++)
		hwmon_read(&c->s, &r->gpus[i], c->w->wake);
	read_sections(c);
	c->run->took_us.scan = scanned - start;
	c->run->took_us.files = now_us() - scanned;
	ask_topo(c);
	int rc = check_readable(c, scan_rc, e);

	if (rc)
		return rc;
	ask_pci(c);
	ask_drm(c);
	ask_nvml(c);
	run_merge(c->run);
	ask_sections(c);
	c->run->took_us.rest = now_us() - start - c->run->took_us.scan - c->run->took_us.files;
	return read_evidence(c, e);
}

int run_collect(const struct machine *m, const struct want *w, struct run **out, struct err *e)
{
	own_free struct run *run = calloc(1, sizeof(*run));
	struct collect c = { .s = { .m = m, .rec = w->rec }, .w = w, .run = run };

	*out = NULL;
	if (!run)
		return err_set(e, -ENOMEM, "out of memory");
	run->m = m;
	int rc = collect(&c, e);

	json_decref(c.s.errors);
	if (!rc)
		*out = take_ptr(&run);
	return rc;
}

int probe_collect(const struct machine *m, const struct probe_opts *o, struct report **r,
		  struct err *e)
{
	const struct want w = { .wake = o && o->wake,
				.no_nvml = o && o->no_nvml,
				.topology = o && o->topology,
				.no_procs = o && o->no_procs };
	own_free struct run *run = NULL;
	int rc = run_collect(m, &w, &run, e);

	*r = NULL;
	if (rc)
		return rc;
	*r = malloc(sizeof(**r));
	if (!*r)
		return err_set(e, -ENOMEM, "out of memory");
	report_copy(*r, &run->merged);
	return 0;
}
