/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/utf8.h"

/* Length of the sequence that a lead byte announces; 0 for a byte that leads nothing. */
static size_t announced(unsigned char c)
{
	return c >= 0xf0 && c < 0xf8   ? 4
	       : c >= 0xe0 && c < 0xf0 ? 3
	       : c >= 0xc0 && c < 0xe0 ? 2
				       : 0;
}

size_t utf8_unfinished(const char *s, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = (unsigned char)s[n - back];

		if ((c & 0xc0) != 0x80)
			return announced(c) > back ? back : 0;
	}
	return 0;
}

size_t utf8_pass(struct utf8 *u, const char *bytes, size_t n, char *out)
{
	size_t total = u->n_held, hold;

	memcpy(out, u->held, u->n_held);
	if (n)
		memcpy(out + total, bytes, n);
	total += n;
	hold = bytes ? utf8_unfinished(out, total) : 0;
	u->n_held = hold;
	memcpy(u->held, out + total - hold, hold);
	return total - hold;
}
