/* SPDX-License-Identifier: MIT */
/*
 * The machine reader. The input is an archive of text: entries "PATH\n" then "LENGTH\n" and the bytes, a
 * LENGTH of "-> TARGET" being a symbolic link. It is unpacked into a folder of memory, and the whole
 * probe, its check and its JSON run over it. Every entry is also given to the pure parsers.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "probe/doctor_priv.h"
#include "probe/link_priv.h"
#include "probe/probe_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define ENTRIES_MAX 64

/* Every run allocates a whole report: keeping freed ones for long would cost more than it finds. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=8";
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	remove(path);
	return 0;
}

/* Only inside the folder: the fuzzer writes names of its own, and must not write elsewhere. */
static bool is_tame(const char *path)
{
	return *path && *path != '/' && !strstr(path, "..") && !strstr(path, "//") &&
	       strlen(path) < 300;
}

static int open_parent(int root, char *path)
{
	int at = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (char *part = path, *slash; at >= 0 && (slash = strchr(part, '/')); part = slash + 1) {
		*slash = '\0';
		mkdirat(at, part, 0755);
		int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		*slash = '/';
		close(at);
		at = next;
	}
	return at;
}

static void unpack_entry(int root, char *path, const char *length, const uint8_t *bytes, size_t n)
{
	own_fd int parent = is_tame(path) ? open_parent(root, path) : -1;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	if (parent < 0 || !*name)
		return;
	if (strncmp(length, "-> ", 3) == 0) {
		if (symlinkat(length + 3, parent, name) != 0)
			return;
	} else {
		own_fd int fd = openat(parent, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
				       0644);

		if (fd >= 0 && write(fd, bytes, n) < 0)
			return;
	}
}

/* One line of the archive, ended; NULL at the end of the input. */
static char *line(char **at, char *end)
{
	char *start = *at, *nl = start < end ? memchr(start, '\n', (size_t)(end - start)) : NULL;

	if (!nl)
		return NULL;
	*nl = '\0';
	*at = nl + 1;
	return start;
}

/* A link that any text claims has a rate, and lanes that multiply. */
static void parse_links(const char *text)
{
	struct fact speed = parse_link_speed(text, SRC_SYSFS);
	struct fact width = parse_link_width(text, SRC_SYSFS);
	struct link l = { 0 };

	parse_dpm_pcie(text, &l);
	if (fact_known(&speed) && !link_rate(speed.v, 1))
		abort();
	if (fact_known(&width) && !link_rate(2500, width.v))
		abort();
	if (fact_known(&l.driver_width) && !link_rate(l.driver_speed_mts.v, l.driver_width.v))
		abort();
}

static void parse_all(const char *bytes, size_t n)
{
	own_free char *text = strndup(bytes, n);
	static const char *const keys[] = { "processor", "model name", NULL };
	struct bar bars[PROBE_BARS];
	struct fact total, available;
	struct cpuset set, back;
	struct cpu cpu = { 0 };
	char list[120];

	if (!text)
		return;
	parse_resource(text, bars);
	for (int i = 0; i < PROBE_BARS; i++)
		if (bars[i].size_bytes && !bar_size_ok(bars[i].size_bytes))
			abort();
	parse_meminfo(text, &total, &available);
	if (fact_known(&total) && total.v < 0)
		abort();
	parse_cpuinfo(text, &cpu);
	parse_runtime_status(text);
	addr_ok(text);
	if (cpulist_parse(text, &set) == 0 && cpulist_text(&set, list, sizeof(list)) &&
	    (cpulist_parse(list, &back) || memcmp(&set, &back, sizeof(set))))
		abort(); /* what we print must read back as the same CPUs */
	parse_links(text);
	keep_lines(text, keys);
}

static void unpack(int root, char *at, char *end)
{
	for (int i = 0; i < ENTRIES_MAX; i++) {
		char *path = line(&at, end), *length = path ? line(&at, end) : NULL;

		if (!length)
			return;
		size_t n = strtoul(length, NULL, 10), left = (size_t)(end - at);

		n = n < left ? n : left;
		parse_all(at, n);
		unpack_entry(root, path, length, (const uint8_t *)at, n);
		at += n;
		at += at < end && *at == '\n';
	}
}

/* Whatever a machine shows, no two remedies exclude each other, and what is found can be printed. */
static void examine(const struct evidence *ev)
{
	own_free struct findings *f = doctor_examine(ev);
	const struct finding *a, *b;

	if (!f)
		return;
	if (findings_contradict(f, &a, &b))
		abort();
	for (uint32_t i = 0; i < f->n; i++)
		if (!f->list[i].where[0] ||
		    strcmp(text_clean(f->list[i].value), f->list[i].value) != 0)
			abort();
}

static void probe_folder(const char *dir)
{
	struct evidence *ev = NULL;
	const struct want want = { .check = true, .evidence = &ev };
	struct err e = { 0 };
	struct run *run = NULL;
	struct machine m;
	struct check c;

	if (machine_open(&m, dir, &e))
		return;
	if (run_collect(&m, &want, &run, &e) == 0) {
		uint32_t index[PROBE_GPUS_MAX];

		run_check(run, &c);
		json_decref(c.disagreements);
		json_decref(c.notes);
		json_t *o = probe_to_json(&run->merged);
		char *text = json_dumps(o, 0);

		/* JSON of any machine can be written: no text in it is broken. */
		if (!text)
			abort();
		free(text);
		json_decref(o);
		probe_select(&run->merged, run->merged.gpus[0].name.v, index, &e);
		examine(ev);
		free(run);
	} else if (!e.text[0]) {
		abort(); /* a failure without its sentence */
	}
	evidence_free(ev);
	machine_close(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char dir[] = "/dev/shm/berth-fuzz-XXXXXX", other[] = "/tmp/berth-fuzz-XXXXXX";
	char *root = mkdtemp(dir) ? dir : mkdtemp(other);
	own_free char *copy = malloc(size + 1);

	if (!root || !copy)
		return 0;
	memcpy(copy, bytes, size);
	copy[size] = '\0';
	own_fd int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	mkdirat(fd, "sys", 0755);
	unpack(fd, copy, copy + size);
	probe_folder(root);
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
