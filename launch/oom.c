/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch/oom.h"

#define FILE_MAX (16 << 10) /* /proc/vmstat is the longest, some 6 KiB */

/*
 * Where a group's count is. A line of /proc/self/cgroup names the group (cgroups(7)): "0::/PATH" in the
 * unified hierarchy, "N:memory:/PATH" in the old one.
 */
static const struct {
	const char *line, *folder, *file;
} groups[] = {
	{ "0::/", "sys/fs/cgroup", "memory.events" },                  /* cgroup-v2.rst */
	{ ":memory:/", "sys/fs/cgroup/memory", "memory.oom_control" }, /* cgroup-v1, since 4.13 */
};

/* "oom_kill 3" on a line of its own. */
static bool read_count(const struct machine *m, const char *path, uint64_t *n)
{
	char text[FILE_MAX];

	if (machine_read(m, path, text, sizeof(text)) <= 0)
		return false;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		unsigned long long v;

		line += *line == '\n';
		if (sscanf(line, "oom_kill %llu", &v) == 1) {
			*n = v;
			return true;
		}
	}
	return false;
}

static bool group_count(const struct machine *m, const char *text, size_t row, uint64_t *n)
{
	const char *at = strstr(text, groups[row].line);
	size_t skip = strlen(groups[row].line) - 1; /* its slash is the path's */
	char path[1024];

	if (!at || (row == 0 && at != text && at[-1] != '\n'))
		return false;
	at += skip;
	return snprintf(path, sizeof(path), "%s%.*s/%s", groups[row].folder, (int)strcspn(at, "\n"),
			at, groups[row].file) < (int)sizeof(path) &&
	       read_count(m, path, n);
}

uint64_t oom_kills(const struct machine *m)
{
	char text[4096];
	uint64_t n = 0;

	if (machine_read(m, "proc/self/cgroup", text, sizeof(text)) > 0)
		for (size_t row = 0; row < sizeof(groups) / sizeof(groups[0]); row++)
			if (group_count(m, text, row, &n))
				return n;
	return read_count(m, "proc/vmstat", &n) ? n : 0;
}
