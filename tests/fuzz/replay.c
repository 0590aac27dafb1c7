/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over files and folders of seeds: the regression half of fuzzing, for any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int replay_file(const char *path)
{
	own_file FILE *f = fopen(path, "re");
	own_free uint8_t *bytes = NULL;

	if (!f || fseek(f, 0, SEEK_END) != 0)
		return -1;
	long size = ftell(f);

	/* Exactly as large as the input, so that a read past its end is seen. */
	bytes = malloc(size > 0 ? (size_t)size : 1);
	rewind(f);
	if (!bytes || fread(bytes, 1, (size_t)size, f) != (size_t)size)
		return -1;
	LLVMFuzzerTestOneInput(bytes, (size_t)size);
	return 0;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		own_dir DIR *d = opendir(argv[i]);
		const struct dirent *de;

		while (d && (de = readdir(d))) {
			char path[1024];

			snprintf(path, sizeof(path), "%s/%s", argv[i], de->d_name);
			if (de->d_name[0] != '.' && replay_file(path) == 0)
				n++;
		}
		if (!d && replay_file(argv[i]) == 0)
			n++;
	}
	if (n == 0) {
		fprintf(stderr, "no seed could be read\n");
		return 1;
	}
	printf("%d seeds\n", n);
	return 0;
}
