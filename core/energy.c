/* SPDX-License-Identifier: MIT */
#include "core/energy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"

static DIR *open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

int energy_open(const char *root, const char *pci)
{
	static const char *const files[] = { "energy1_input", "energy2_input" };
	char path[PATH_MAX];
	int fd = -1;

	/* An address only: it becomes a part of a path. */
	if (!*pci || strchr(pci, '/') ||
	    snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/hwmon", root, pci) >=
		    (int)sizeof(path))
		return -1;
	DIR *d = open_folder(path);

	for (struct dirent *of; fd < 0 && d && (of = readdir(d));) {
		own_fd int at = of->d_name[0] == '.' ? -1
						     : openat(dirfd(d), of->d_name,
							      O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		for (size_t i = 0; at >= 0 && fd < 0 && i < sizeof(files) / sizeof(*files); i++)
			fd = openat(at, files[i], O_RDONLY | O_CLOEXEC);
	}
	if (d)
		closedir(d);
	return fd;
}

uint64_t energy_read(int fd)
{
	char text[32];
	char *end;
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0 || text[0] < '0' || text[0] > '9')
		return UINT64_MAX;
	text[n] = '\0';
	errno = 0;
	uint64_t v = strtoull(text, &end, 10);

	return errno || (*end && *end != '\n') ? UINT64_MAX : v;
}
