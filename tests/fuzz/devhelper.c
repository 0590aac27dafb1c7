/* SPDX-License-Identifier: MIT */
/* The privileged helper's command line, a NUL after each word: what it takes holds no path and no stray option. */
#include <stdlib.h>
#include <string.h>

#include "device/elevate.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void judge(int argc, const char *const *argv)
{
	bool force = false;

	if (!helper_action(argv[2], false))
		abort();
	for (int i = 3; i < argc; i++) {
		force |= strcmp(argv[i], "--force") == 0;
		if (strchr(argv[i], '/') || strncmp(argv[i], "--ma", 4) == 0)
			abort();
		for (const char *c = argv[i]; *c; c++)
			if (*c < ' ' || *c > '~')
				abort();
	}
	if (force != (strcmp(argv[1], "force") == 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char text[4096];
	const char *argv[64] = { "device-helper" };
	int argc = 1;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, bytes, size);
	text[size] = '\0';
	for (size_t at = 0; at < size && argc < 63; at += strlen(text + at) + 1)
		argv[argc++] = text + at;
	if (helper_check(argc, argv, NULL) == 0)
		judge(argc, argv);
	return 0;
}
