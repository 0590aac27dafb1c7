/* SPDX-License-Identifier: MIT */
/* What became of a function, in words: its registers or resources as they were, and as they are now. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "device/agent_pci.h"

/* Where each part of "config" begins in its 33 bytes (parts[] of agent_pci.c), and what it is. Little endian. */
enum { AT_IDS = 0, AT_REVISION = 4, AT_CLASS = 5, AT_TYPE = 8, AT_BARS = 9, HEADER_SIZE = 33 };

#define BARS 6

static bool header_parse(const char *text, uint8_t bytes[HEADER_SIZE])
{
	if (strlen(text) != 2 * HEADER_SIZE || strspn(text, "0123456789abcdef") != 2 * HEADER_SIZE)
		return false;
	for (size_t i = 0; i < HEADER_SIZE; i++) {
		unsigned v = 0;

		sscanf(text + 2 * i, "%2x", &v);
		bytes[i] = (uint8_t)v;
	}
	return true;
}

static uint32_t little(const uint8_t *b, int n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | b[n];
	return v;
}

static void add_number(struct text *t, const char *what, const uint8_t *was, const uint8_t *now,
		       int n)
{
	if (memcmp(was, now, (size_t)n) != 0)
		text_add(t, "%sits %s is 0x%0*" PRIx32 ", not 0x%0*" PRIx32, t->len ? "; " : "",
			 what, 2 * n, little(now, n), 2 * n, little(was, n));
}

static void header_differs(struct text *t, const uint8_t was[HEADER_SIZE],
			   const uint8_t now[HEADER_SIZE])
{
	if (memcmp(was + AT_IDS, now + AT_IDS, 4) != 0)
		text_add(t, "its ids are %04" PRIx32 ":%04" PRIx32 ", not %04" PRIx32 ":%04" PRIx32,
			 little(now, 2), little(now + 2, 2), little(was, 2), little(was + 2, 2));
	/* Of one that answers nothing all else reads as ones, too. */
	if (little(now, 4) == UINT32_MAX) {
		text_add(t, ": it does not answer");
		return;
	}
	add_number(t, "revision", was + AT_REVISION, now + AT_REVISION, 1);
	add_number(t, "class", was + AT_CLASS, now + AT_CLASS, 3);
	add_number(t, "header type", was + AT_TYPE, now + AT_TYPE, 1);
	for (int i = 0; i < BARS; i++) {
		char what[32];

		snprintf(what, sizeof(what), "BAR register %d", i);
		add_number(t, what, was + AT_BARS + 4 * i, now + AT_BARS + 4 * i, 4);
	}
}

static void bar_differs(struct text *t, char bar, const char *want, const char *said)
{
	char was[TEXT_SIZE_MAX], now[TEXT_SIZE_MAX];
	uint64_t a, b;

	if (text_parse_u64(want, &a) || text_parse_u64(said, &b))
		text_add(t, "BAR %c has %s bytes, not %s", bar, said, want);
	else if (!b)
		text_add(t, "BAR %c has no address", bar);
	else
		text_add(t, "BAR %c has %s, not %s", bar, text_size(now, b), text_size(was, a));
}

void pci_differs(struct text *t, const char *object, const char *want, const char *said)
{
	uint8_t was[HEADER_SIZE], now[HEADER_SIZE];

	if (strncmp(object, "config ", 7) == 0 && header_parse(want, was) &&
	    header_parse(said, now))
		header_differs(t, was, now);
	else if (strncmp(object, "ids ", 4) == 0)
		text_add(t, "its ids are %s, not %s", said, want);
	else if (strncmp(object, "bar ", 4) == 0 && object[4])
		bar_differs(t, object[4], want, said);
	else if (strncmp(object, "nested ", 7) == 0)
		text_add(t, "%s",
			 strcmp(said, "no") == 0 ? "a BAR or window lies outside the window above"
						 : "the windows above cannot be read");
	else
		text_add(t, "it is '%.40s', not '%.40s'", said, want);
}
