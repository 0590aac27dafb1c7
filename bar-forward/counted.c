/* SPDX-License-Identifier: MIT */
#include "bar-forward/counted.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int counted_open(pid_t pid)
{
	char path[64];

	if (!pid)
		pid = getpid();
	snprintf(path, sizeof(path), "/proc/%d/task/%d/io", (int)pid, (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool number(const char *text, const char *key, uint64_t *v)
{
	const char *at = strstr(text, key);

	return at && (at == text || at[-1] == '\n') &&
	       sscanf(at + strlen(key), " %" SCNu64, v) == 1;
}

bool counted_parse(const char *text, struct counted *c)
{
	return number(text, "rchar:", &c->read) && number(text, "wchar:", &c->written);
}

bool counted_read(int fd, struct counted *c, uint64_t *bytes)
{
	char text[512];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	*bytes = n > 0 ? (uint64_t)n : 0;
	if (n <= 0)
		return false;
	text[n] = '\0';
	return counted_parse(text, c);
}
