/* SPDX-License-Identifier: MIT */
/* The machine itself: its name, kernel, RAM and, where hwloc could not tell, its CPU. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "probe/probe_priv.h"
#include "probe/refresh.h"

/* Thousands of logical CPUs make a long /proc/cpuinfo; more than this is not read. */
#define CPUINFO_MAX (4u << 20)
#define MEMINFO_MAX 16384

static struct fact_text text_file(const struct source *s, const char *path)
{
	char buf[128];
	long n = src_read(s, path, buf, sizeof(buf));

	if (n < 0)
		return fact_text_unknown(why_of((int)n));
	return buf[0] ? fact_text_of(buf, SRC_PROC) : fact_text_unknown(WHY_GARBLED);
}

/* The name says whose machine it is, so a capture stores another one. */
static struct fact_text host_name(const struct source *s)
{
	static const char path[] = "proc/sys/kernel/hostname";
	const struct source quiet = { .m = s->m, .errors = s->errors };
	struct fact_text name = text_file(&quiet, path);

	if (!s->rec || !fact_text_known(&name))
		return name;
	record_file(s->rec, path, "machine");
	return fact_text_of("machine", SRC_PROC);
}

/* A number of a cgroup file; "max" is no limit. */
static bool limit_file(const struct machine *m, const char *dir, const char *file, uint64_t *v)
{
	char path[PATH_SIZE];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, file) >= sizeof(path))
		return false;
	return machine_read_u64(m, path, v) == 0;
}

/* Page cache that nobody is using counts as used in memory.current, but gives way when asked. */
static uint64_t reclaimable(const struct machine *m, const char *dir)
{
	char path[PATH_SIZE], buf[MEMINFO_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/memory.stat", dir) >= sizeof(path))
		return 0;
	if (machine_read(m, path, buf, sizeof(buf)) < 0)
		return 0;
	const char *at = strstr(buf, "\ninactive_file ");

	return at ? strtoull(at + strlen("\ninactive_file "), NULL, 10) : 0;
}

static void apply_limit(const struct machine *m, const char *dir, struct cpu *c)
{
	uint64_t max, used;

	if (!limit_file(m, dir, "memory.max", &max) || !limit_file(m, dir, "memory.current", &used))
		return;
	uint64_t gives_way = reclaimable(m, dir);

	used -= gives_way < used ? gives_way : used;
	uint64_t left = max > used ? max - used : 0;

	if (fact_known(&c->ram_total) && max < (uint64_t)c->ram_total.v)
		c->ram_total.v = (int64_t)max;
	if (fact_known(&c->ram_available) && left < (uint64_t)c->ram_available.v)
		c->ram_available.v = (int64_t)left;
}

/*
 * A container may use less than the machine has: the smallest memory.max on the way from our cgroup
 * (version 2) to the root decides.
 */
static void apply_cgroup(const struct machine *m, struct cpu *c)
{
	static const char root[] = "sys/fs/cgroup";
	char list[2048], dir[PATH_SIZE];

	if (machine_read(m, "proc/self/cgroup", list, sizeof(list)) < 0)
		return;
	const char *own = strncmp(list, "0::/", 4) == 0 ? list + 3 : strstr(list, "\n0::/");

	if (!own)
		return;
	own += *own == '\n' ? 4 : 0;
	int n = snprintf(dir, sizeof(dir), "%s%.*s", root, (int)strcspn(own, "\n"), own);

	if (n < 0 || (size_t)n >= sizeof(dir))
		return;
	while (strlen(dir) > strlen(root)) {
		apply_limit(m, dir, c);
		*strrchr(dir, '/') = '\0';
	}
	apply_limit(m, root, c);
}

/* What a capture stores is what we may use, so that it replays to the same numbers. */
static void record_meminfo(const struct source *s, const char *path, const struct cpu *c)
{
	char buf[160];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	if (fact_known(&c->ram_total))
		text_add(&t, "MemTotal: %lld kB\n", (long long)c->ram_total.v / 1024);
	if (fact_known(&c->ram_available))
		text_add(&t, "MemAvailable: %lld kB", (long long)c->ram_available.v / 1024);
	record_file(s->rec, path, text_trim(buf));
}

static void read_memory(const struct source *s, struct cpu *c)
{
	static const char path[] = "proc/meminfo";
	const struct source quiet = { .m = s->m, .errors = s->errors };
	char buf[MEMINFO_MAX];
	long n = src_read(&quiet, path, buf, sizeof(buf));

	if (n < 0) {
		c->ram_total = c->ram_available = fact_unknown(why_of((int)n));
		if (s->rec && n != -ENOENT)
			record_error(s->rec, path, (int)n);
		return;
	}
	parse_meminfo(buf, &c->ram_total, &c->ram_available);
	if (s->m->live)
		apply_cgroup(s->m, c);
	/* Whole KiB, as the file counts. */
	c->ram_total.v &= ~INT64_C(1023);
	c->ram_available.v &= ~INT64_C(1023);
	if (s->rec && (fact_known(&c->ram_total) || fact_known(&c->ram_available)))
		record_meminfo(s, path, c);
	else if (s->rec)
		record_file(s->rec, path, buf);
}

void host_read(const struct source *s, struct report *r)
{
	r->host = host_name(s);
	r->kernel = text_file(s, "proc/sys/kernel/osrelease");
	read_memory(s, &r->cpu);
}

/* The first line of /proc/stat, in ticks of all CPUs: user nice system idle iowait irq softirq steal ... */
bool host_parse_time(const char *text, struct cpu_time *t)
{
	uint64_t v[8] = { 0 };
	char *end;

	*t = (struct cpu_time) { 0 };
	if (strncmp(text, "cpu ", 4) != 0)
		return false;
	text += 4;
	for (size_t i = 0; i < 8; i++, text = end) {
		v[i] = strtoull(text, &end, 10);
		if (end == text || __builtin_add_overflow(t->all, v[i], &t->all))
			return false;
	}
	t->idle = v[3] + v[4];
	return true;
}

static struct fact busy_since(const struct cpu_time *was, const struct cpu_time *now)
{
	uint64_t all = now->all - was->all, idle = now->idle - was->idle;

	/* A tick that is counted late makes idle time go back for a moment. */
	if (!was->all || now->all <= was->all || now->idle < was->idle || idle > all)
		return fact_unknown(WHY_NONE);
	return fact_of((int64_t)((double)(all - idle) * 100 / (double)all + 0.5), SRC_PROC);
}

void probe_refresh_host(const struct machine *m, struct cpu *c, struct cpu_time *past)
{
	const struct source s = { .m = m };
	struct cpu_time now;
	char line[512];
	long n;

	read_memory(&s, c);
	n = machine_read_bytes(m, "proc/stat", line, sizeof(line) - 1);
	line[n < 0 ? 0 : n] = '\0';
	if (n < 0)
		c->busy_percent = fact_unknown(why_of((int)n));
	else if (!host_parse_time(line, &now))
		c->busy_percent = fact_unknown(WHY_GARBLED);
	else {
		c->busy_percent = busy_since(past, &now);
		*past = now;
	}
}

/* Arm boards print a serial number into it: only these lines are kept in a capture. */
static const char *const cpuinfo_keys[] = { "processor",   "model name", "Model", "cpu model",
					    "physical id", "core id",    NULL };

void host_cpuinfo(const struct source *s, struct cpu *c)
{
	static const char path[] = "proc/cpuinfo";
	bool all = fact_text_known(&c->name) && fact_known(&c->cores) && fact_known(&c->threads);

	if (all && !s->rec)
		return;
	own_free char *buf = NULL;
	struct cpu told = { .name = fact_text_unknown(WHY_NOT_EXPORTED),
			    .cores = fact_unknown(WHY_NOT_EXPORTED),
			    .threads = fact_unknown(WHY_NOT_EXPORTED),
			    .packages = fact_unknown(WHY_NOT_EXPORTED) };

	long n = read_whole(s->m, path, CPUINFO_MAX, &buf);

	if (n < 0) {
		const enum why why = why_of((int)n);

		if (!fact_text_known(&c->name))
			c->name = fact_text_unknown(why);
		if (!fact_known(&c->cores))
			c->cores = fact_unknown(why);
		if (!fact_known(&c->threads))
			c->threads = fact_unknown(why);
		if (!fact_known(&c->packages))
			c->packages = fact_unknown(why);
		return;
	}
	keep_lines(buf, cpuinfo_keys);
	if (s->rec)
		record_file(s->rec, path, text_trim(buf));
	parse_cpuinfo(buf, &told);
	if (!fact_text_known(&c->name))
		c->name = told.name;
	if (!fact_known(&c->threads))
		c->threads = told.threads;
	if (!fact_known(&c->cores))
		c->cores = told.cores;
	if (!fact_known(&c->packages))
		c->packages = told.packages;
}

/* Nodes with nothing but memory are no place to run. */
void host_nodes(const struct source *s, struct cpu *c)
{
	static const char dir[] = "sys/devices/system/node";
	char list[1024];
	struct cpuset set;
	int64_t n = 0;

	if (fact_known(&c->numa_nodes) && !s->rec)
		return;
	long rc = src_read_in(s, dir, "has_cpu", list, sizeof(list));

	if (fact_known(&c->numa_nodes))
		return;
	c->numa_nodes = fact_unknown(rc < 0 ? why_of((int)rc) : WHY_GARBLED);
	if (rc <= 0 || cpulist_parse(list, &set))
		return;
	for (unsigned i = 0; i < CPUS_MAX; i++)
		n += cpuset_has(&set, i);
	c->numa_nodes = fact_of(n, SRC_SYSFS);
}
