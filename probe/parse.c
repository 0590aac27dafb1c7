/* SPDX-License-Identifier: MIT */
/* Text of the kernel into values. Pure; every byte may be hostile. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/probe_priv.h"

/* drivers/base/power/sysfs.c: the words of runtime_status. */
static const struct {
	const char *word;
	enum awake awake;
} statuses[] = {
	{ "active", AWAKE_YES },
	{ "unsupported", AWAKE_YES }, /* runtime PM is off for it: it never sleeps */
	{ "suspended", AWAKE_NO },
	{ "suspending", AWAKE_NO },
	{ "resuming", AWAKE_NO }, /* not usable yet; whoever wakes it is not us */
};

enum awake parse_runtime_status(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (strcmp(text, statuses[i].word) == 0)
			return statuses[i].awake;
	return AWAKE_UNKNOWN;
}

/* The value of "Key:   123 kB" in bytes. */
static struct fact kib_line(const char *line, size_t key_len)
{
	char *end;

	line += key_len;
	line += strspn(line, " \t");
	errno = 0;
	unsigned long long kib = strtoull(line, &end, 10);

	if (*line < '0' || *line > '9' || errno || strncmp(end, " kB", 3) != 0)
		return fact_unknown(WHY_GARBLED);
	if (end[3] != '\n' && end[3] != '\0')
		return fact_unknown(WHY_GARBLED);
	if (kib > (uint64_t)INT64_MAX / 1024)
		return fact_unknown(WHY_GARBLED);
	return fact_of((int64_t)(kib * 1024), SRC_PROC);
}

static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line && line[1] ? line + 1 : NULL;
}

void parse_meminfo(const char *text, struct fact *total, struct fact *available)
{
	*total = *available = fact_unknown(WHY_NOT_EXPORTED);
	for (const char *l = text; l; l = next_line(l)) {
		if (strncmp(l, "MemTotal:", 9) == 0)
			*total = kib_line(l, 9);
		else if (strncmp(l, "MemAvailable:", 13) == 0)
			*available = kib_line(l, 13);
	}
	/* More available than there is: one of them is wrong, and we cannot tell which. */
	if (fact_known(total) && fact_known(available) && available->v > total->v)
		*total = *available = fact_unknown(WHY_GARBLED);
}

/* Whether the line is "key<blanks>: value"; the value, up to its newline, is copied. */
static bool cpu_line(const char *line, const char *key, char *value, size_t size)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) != 0)
		return false;
	line += n + strspn(line + n, " \t");
	if (*line++ != ':')
		return false;
	line += strspn(line, " \t");
	size_t len = strcspn(line, "\n");

	if (len >= size)
		len = size - 1;
	memcpy(value, line, len);
	value[len] = '\0';
	text_trim(value);
	return true;
}

/* hwloc counts larger machines; without it they have an unknown number of cores. */
#define CORES_MAX 1024

struct core_list {
	uint64_t ids[CORES_MAX]; /* package << 32 | core */
	uint32_t n;
};

static bool add_id(struct core_list *l, uint64_t id)
{
	/* From the end: cpuinfo lists siblings next to each other or one round of cores apart. */
	for (uint32_t i = l->n; i-- > 0;)
		if (l->ids[i] == id)
			return true;
	if (l->n == CORES_MAX)
		return false;
	l->ids[l->n++] = id;
	return true;
}

static bool id_of(const char *value, uint64_t *id)
{
	return text_parse_u64(value, id) == 0 && *id <= UINT32_MAX;
}

/* x86 says "model name", most Arm boards only say what the board is. */
static bool is_name(const char *line, char *value, size_t size)
{
	return cpu_line(line, "model name", value, size) || cpu_line(line, "Model", value, size) ||
	       cpu_line(line, "cpu model", value, size);
}

void parse_cpuinfo(const char *text, struct cpu *c)
{
	struct core_list cores = { .n = 0 }, packages = { .n = 0 };
	uint64_t threads = 0, package = 0, core;
	bool whole = true, has_cores = false;
	char v[128];

	for (const char *l = text; l; l = next_line(l)) {
		if (cpu_line(l, "processor", v, sizeof(v))) {
			threads++;
		} else if (!fact_text_known(&c->name) && is_name(l, v, sizeof(v)) && v[0]) {
			c->name = fact_text_of(v, SRC_PROC);
		} else if (cpu_line(l, "physical id", v, sizeof(v))) {
			whole = id_of(v, &package) && add_id(&packages, package) && whole;
		} else if (cpu_line(l, "core id", v, sizeof(v))) {
			has_cores = true;
			whole = id_of(v, &core) && add_id(&cores, package << 32 | core) && whole;
		}
	}
	if (threads && threads <= CPUS_MAX)
		c->threads = fact_of((int64_t)threads, SRC_PROC);
	if (whole && has_cores && cores.n <= threads) {
		c->cores = fact_of(cores.n, SRC_PROC);
		if (packages.n)
			c->packages = fact_of(packages.n, SRC_PROC);
	}
}

static bool is_kept(const char *line, size_t len, const char *const *keys)
{
	const char *colon = memchr(line, ':', len), *blank = memchr(line, ' ', len);
	const char *end = colon ? colon : blank ? blank : line + len;
	size_t n = (size_t)(end - line);

	while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	for (; *keys; keys++)
		if (strlen(*keys) == n && memcmp(*keys, line, n) == 0)
			return true;
	return false;
}

void keep_lines(char *text, const char *const *keys)
{
	char *to = text;

	for (const char *l = text; *l;) {
		size_t len = strcspn(l, "\n");
		size_t whole = len + (l[len] == '\n');

		if (is_kept(l, len, keys)) {
			memmove(to, l, whole);
			to += whole;
		}
		l += whole;
	}
	*to = '\0';
}
