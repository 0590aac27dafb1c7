/* SPDX-License-Identifier: MIT */
/* libdrm's table of AMD's names: any text, looked up by ids that the seeds hold. */
#include <stdlib.h>
#include <string.h>

#include "probe/amdids.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const uint32_t ids[][2] = { { 0x744c, 0xc8 }, { 0, 0 }, { 0xffff, 0xff } };
	char *text = malloc(size + 1), name[40];

	if (!text)
		return 0;
	memcpy(text, bytes, size);
	text[size] = '\0';
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		memset(name, 'x', sizeof(name));
		if (amdids_find(text, ids[i][0], ids[i][1], name, sizeof(name)) &&
		    (!*name || !memchr(name, '\0', sizeof(name))))
			abort();
	}
	free(text);
	return 0;
}
