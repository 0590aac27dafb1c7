/* SPDX-License-Identifier: MIT */
/* The monitor's settings file: whatever it says, what is taken can be written and read back the same. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tui/prefs.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = calloc(1, size + 1);
	char once[8192], twice[8192];
	struct prefs c, back;
	struct text a, b;

	memcpy(text, bytes, size);
	prefs_default(&c);
	prefs_parse(&c, text, NULL);
	text_init(&a, once, sizeof(once));
	prefs_text(&c, &a);
	prefs_default(&back);
	if (a.cut || prefs_parse(&back, once, NULL))
		abort();
	text_init(&b, twice, sizeof(twice));
	prefs_text(&back, &b);
	if (strcmp(once, twice))
		abort();
	free(text);
	return 0;
}
