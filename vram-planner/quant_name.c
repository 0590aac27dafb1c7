/* SPDX-License-Identifier: MIT */
#include "vram-planner/quant_name.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Quants begin so, with a digit after them; "UD-" in front of one is a maker's mark. */
static const char *const heads[] = { "UD-Q", "UD-IQ", "UD-TQ", "IQ", "TQ",
				     "Q",    "MXFP",  "NVFP",  "BF", "F" };

static size_t length_at(const char *s)
{
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		size_t k = strlen(heads[i]), n = k;

		if (strncasecmp(s, heads[i], k) != 0 || !isdigit((unsigned char)s[k]))
			continue;
		while (isalnum((unsigned char)s[n]) || s[n] == '_')
			n++;
		return n;
	}
	return 0;
}

/* The last one counts: "Q" may be a part of the model's own name. */
bool quant_in_name(const char *file, size_t *at, size_t *n)
{
	bool found = false;

	for (size_t i = 0; file[i]; i++) {
		bool starts = i > 0 &&
			      (file[i - 1] == '-' || file[i - 1] == '.' || file[i - 1] == '_');
		size_t k = starts ? length_at(file + i) : 0;

		if (!k)
			continue;
		*at = i;
		*n = k;
		found = true;
		i += k - 1;
	}
	return found;
}

bool quant_same_model(const char *a, const char *b)
{
	size_t at_a, at_b, n_a, n_b;

	if (!quant_in_name(a, &at_a, &n_a) || !quant_in_name(b, &at_b, &n_b))
		return strcasecmp(a, b) == 0;
	return at_a == at_b && strncasecmp(a, b, at_a) == 0;
}
