/* SPDX-License-Identifier: MIT */
#include "vram-planner/split.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 5
#define TAIL   (1 + DIGITS + 4 + DIGITS + 5) /* "-00002-of-00005.gguf" */

/* Where the tail begins, with the length of the name before a query; NULL: no such tail. */
static const char *tail_of(const char *name, size_t *len)
{
	static const char form[] = "-#####-of-#####.gguf";

	*len = strcspn(name, "?");
	if (*len <= TAIL)
		return NULL;
	const char *t = name + *len - TAIL;

	for (size_t i = 0; i < TAIL; i++) {
		if (form[i] == '#' ? !isdigit((unsigned char)t[i]) : t[i] != form[i])
			return NULL;
	}
	return t;
}

bool split_parse(const char *name, uint32_t *no, uint32_t *count)
{
	size_t len;
	const char *t = tail_of(name, &len);

	if (!t)
		return false;
	*no = (uint32_t)strtoul(t + 1, NULL, 10);
	*count = (uint32_t)strtoul(t + 1 + DIGITS + 4, NULL, 10);
	return *no > 0 && *no <= *count;
}

bool split_name(const char *name, uint32_t no, char *to, size_t size)
{
	size_t len;
	const char *t = tail_of(name, &len);

	if (!t || no > 99999)
		return false;
	int n = snprintf(to, size, "%.*s-%05" PRIu32 "%s", (int)(t - name), name, no,
			 t + 1 + DIGITS);

	return n > 0 && (size_t)n < size;
}
