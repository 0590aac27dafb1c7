/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "probe/probe_priv.h"

static size_t hex_run(const char *s)
{
	return strspn(s, "0123456789abcdef");
}

bool addr_ok(const char *s)
{
	size_t domain = hex_run(s);

	if (domain < 4 || domain > 8 || s[domain] != ':')
		return false;
	s += domain + 1;
	if (hex_run(s) != 2 || s[2] != ':' || hex_run(s + 3) != 2 || s[5] != '.')
		return false;
	return s[6] >= '0' && s[6] <= '7' && !s[7];
}

int addr_compare(const char *a, const char *b)
{
	char *rest_a, *rest_b;
	unsigned long long da = strtoull(a, &rest_a, 16), db = strtoull(b, &rest_b, 16);

	if (da != db)
		return da < db ? -1 : 1;
	return strcmp(rest_a, rest_b); /* fixed width from here on */
}

void addr_of_path(char *pci, size_t size, const char *path)
{
	pci[0] = '\0';
	while (*path) {
		size_t n = strcspn(path, "/");
		char part[24];

		if (n < sizeof(part)) {
			memcpy(part, path, n);
			part[n] = '\0';
			if (addr_ok(part))
				text_copy(pci, size, part);
		}
		path += n + (path[n] == '/');
	}
}
