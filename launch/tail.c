/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "launch/tail.h"

/* What the engine, its drivers and the C library write when they give up. */
static const char *const telling[] = {
	"error",  "Error", "ERROR", "ASSERT", "assert", "abort",  "failed",
	"Failed", "fatal", "lost",  "Lost",   "denied", "cannot", "terminate called",
};

void tail_add(struct tail *t, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		t->bytes[t->next] = bytes[i];
		t->next = (t->next + 1) % TAIL_SIZE;
	}
	t->used = t->used + n > TAIL_SIZE ? TAIL_SIZE : t->used + n;
}

static bool tells(const char *line)
{
	for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++)
		if (strstr(line, telling[i]))
			return true;
	return false;
}

/* An abort without words (ggml.c): the line before it says why. */
static bool is_bare(const char *line)
{
	static const char words[] = ": fatal error";
	size_t n = strlen(line), k = sizeof(words) - 1;

	return n >= k && strcmp(line + n - k, words) == 0;
}

/* Source paths of whoever built the engine say nothing to the reader: keep "file.cpp:12: ...". */
static const char *without_path(const char *line)
{
	const char *colon = strchr(line, ':'), *slash = NULL;

	if (line[0] != '/' || !colon)
		return line;
	for (const char *s = line; s < colon; s++)
		if (*s == '/')
			slash = s;
	return slash ? slash + 1 : line;
}

const char *tail_reason(const struct tail *t, char *buf, size_t size)
{
	own_free char *flat = malloc(TAIL_SIZE + 1);
	size_t start = (t->next + TAIL_SIZE - t->used) % TAIL_SIZE;
	bool found = false;
	char *save = NULL;

	buf[0] = 0;
	if (!flat)
		return buf;
	for (size_t i = 0; i < t->used; i++) {
		char c = t->bytes[(start + i) % TAIL_SIZE];

		flat[i] = c ? c : '?';
	}
	flat[t->used] = 0;
	for (char *line = strtok_r(flat, "\r\n", &save); line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		bool telling_line = tells(line);

		if (line[strspn(line, " \t")] == 0 || (found && !telling_line) ||
		    (found && is_bare(line)))
			continue;
		found = found || telling_line;
		text_copy(buf, size, without_path(line));
	}
	return text_trim(text_clean(buf));
}
