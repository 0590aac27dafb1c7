/* SPDX-License-Identifier: MIT */
/* What comes from a child is foreign: whatever it says must be safe to keep. */
#include <stdlib.h>

#include "tui/fits.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fits *f = calloc(1, sizeof(*f));
	struct err e = { 0 };
	int rc = fits_read(f, (const char *)bytes, size, &e);

	if (rc && !e.text[0])
		abort();
	for (uint32_t i = 0; i < f->n; i++)
		for (const char *c = f->rows[i].name; *c; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				abort();
	free(f);
	return 0;
}
