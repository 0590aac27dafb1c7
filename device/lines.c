/* SPDX-License-Identifier: MIT */
#include "device/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* The next word of a line; false at its end. Words are cut to fit. */
static bool word(const char **at, char *buf, size_t size)
{
	*at += strspn(*at, " \t");
	size_t n = strcspn(*at, " \t\n");
	size_t take = n < size ? n : size - 1;

	memcpy(buf, *at, take);
	buf[take] = '\0';
	*at += n;
	return n != 0;
}

/* The kernel writes blanks and backslashes of names as \040 (seq_file's mangle_path). In place. */
static void unescape(char *s)
{
	char *to = s;

	for (const char *at = s; *at; at++) {
		unsigned v = 0;
		int n = 0;

		if (*at == '\\')
			while (n < 3 && at[n + 1] >= '0' && at[n + 1] <= '7')
				v = v * 8 + (unsigned)(at[++n] - '0');
		if (n == 3 && v && v < 256) {
			*to++ = (char)v;
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
	text_clean(s);
}

bool dev_parse(const char *text, uint32_t *major, uint32_t *minor)
{
	char *end;
	unsigned long long a, b;

	if (*text < '0' || *text > '9')
		return false;
	a = strtoull(text, &end, 10);
	if (*end != ':' || end[1] < '0' || end[1] > '9')
		return false;
	b = strtoull(end + 1, &end, 10);
	if ((*end && !strchr(" \t\n", *end)) || a > UINT32_MAX || b > UINT32_MAX)
		return false;
	*major = (uint32_t)a;
	*minor = (uint32_t)b;
	return true;
}

bool mount_parse(const char *line, struct mount_line *m)
{
	char skip[64];

	*m = (struct mount_line) { 0 };
	/* id parent major:minor root where options [fields...] - type source superoptions */
	if (!word(&line, skip, sizeof(skip)) || !word(&line, skip, sizeof(skip)) ||
	    !word(&line, skip, sizeof(skip)) || !dev_parse(skip, &m->major, &m->minor) ||
	    !word(&line, skip, sizeof(skip)) || !word(&line, m->where, sizeof(m->where)))
		return false;
	const char *dash = strstr(line, " - ");

	if (!dash)
		return false;
	dash += strlen(" - ");
	if (!word(&dash, m->type, sizeof(m->type)) || !word(&dash, m->source, sizeof(m->source)))
		return false;
	unescape(m->where);
	unescape(m->source);
	unescape(m->type);
	return true;
}

bool swap_parse(const char *line, char *path, size_t size)
{
	if (*line != '/' || !word(&line, path, size))
		return false;
	unescape(path);
	return true;
}

bool route_parse(const char *line, char *name, size_t size)
{
	char to[16], mask[16], skip[24];

	/* Iface Destination Gateway Flags RefCnt Use Metric Mask: numbers in hex. */
	if (!word(&line, name, size) || !word(&line, to, sizeof(to)))
		return false;
	for (int i = 0; i < 5; i++)
		if (!word(&line, skip, sizeof(skip)))
			return false;
	text_clean(name);
	return word(&line, mask, sizeof(mask)) && strcmp(to, "00000000") == 0 &&
	       strcmp(mask, "00000000") == 0;
}

bool registers_parse(const char *line, char *pci, size_t size)
{
	const char *dir = strstr(line, "/sys/devices/");
	const char *end = dir ? strstr(dir, "/resource") : NULL;
	char path[512];

	if (!end || (size_t)(end - dir) >= sizeof(path))
		return false;
	/* resource0, resource2_wc: the text file `resource` and resource0_resize are no registers. */
	const char *tail = end + strlen("/resource");

	if (*tail < '0' || *tail > '5' || (tail[1] && !strchr("_ \t\n", tail[1])) ||
	    strncmp(tail + 1, "_resize", strlen("_resize")) == 0)
		return false;
	memcpy(path, dir, (size_t)(end - dir));
	path[end - dir] = '\0';
	addr_of_path(pci, size, path);
	const char *last = strrchr(path, '/');

	return last && pci[0] && strcmp(last + 1, pci) == 0;
}

bool vm_name_parse(const char *words, size_t len, char *name, size_t size)
{
	const char *end = words + len;
	bool next = false;

	for (const char *at = words; at < end;) {
		size_t n = strnlen(at, (size_t)(end - at));

		if (next) {
			size_t skip = n > 6 && strncmp(at, "guest=", 6) == 0 ? 6 : 0;
			size_t take = 0;

			while (skip + take < n && at[skip + take] != ',' && take < size - 1) {
				name[take] = at[skip + take];
				take++;
			}
			name[take] = '\0';
			text_clean(name);
			return take != 0;
		}
		next = (n == 5 && memcmp(at, "-name", 5) == 0) ||
		       (n == 6 && memcmp(at, "--name", 6) == 0);
		at += n + 1;
	}
	return false;
}

void resource_parse(const char *text, struct func *f)
{
	f->n_res = 0;
	while (f->n_res < FUNC_RES && *text) {
		struct func_res *r = &f->res[f->n_res];
		unsigned long long start, end, flags;
		int n = 0;

		if (sscanf(text, " 0x%16llx 0x%16llx 0x%16llx%n", &start, &end, &flags, &n) != 3)
			return;
		/* One that ends before it begins is none. */
		if (flags && end >= start)
			*r = (struct func_res) { start, end, flags };
		f->n_res++;
		text += n;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

bool uevent_value(const char *text, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);

	for (const char *at = text; *at;) {
		size_t n = strcspn(at, "\n");

		if (n > len && memcmp(at, key, len) == 0 && at[len] == '=') {
			size_t take = n - len - 1;

			if (take >= size)
				return false;
			memcpy(value, at + len + 1, take);
			value[take] = '\0';
			text_clean(value);
			return take != 0;
		}
		at += n + (at[n] == '\n');
	}
	return false;
}
