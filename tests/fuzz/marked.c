/* SPDX-License-Identifier: MIT */
/* Tables of power profiles as a driver writes them: what is found is small, named, and in force once at most. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "device/marked.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct marked *m)
{
	uint32_t now = 0;

	if (m->n > MARKED_MAX)
		abort();
	for (uint32_t i = 0; i < m->n; i++) {
		now += m->list[i].now;
		if (!m->list[i].name[0] || !memchr(m->list[i].name, 0, MARKED_NAME_MAX) ||
		    m->list[i].number > 4096 || marked_find(m, m->list[i].name) != &m->list[i])
			abort();
	}
	if (now > 1 || (now == 1) != (marked_now(m) != NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	own_free char *text = malloc(size + 1);
	struct marked m;

	if (!text)
		return 0;
	memcpy(text, bytes, size);
	text[size] = '\0';
	marked_table(text, &m);
	check(&m);
	marked_brackets(text, &m);
	check(&m);
	marked_says(text, text);
	number_is_near(text, text);
	return 0;
}
