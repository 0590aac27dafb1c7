/* SPDX-License-Identifier: MIT */
#include "base/self.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Cut off the last part of a path when it is this one. */
static bool cut(char *path, const char *part)
{
	char *slash = strrchr(path, '/');

	if (!slash || strcmp(slash + 1, part) != 0)
		return false;
	*slash = '\0';
	return true;
}

int self_path(char *path, size_t size, const char *file, struct err *e)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return err_set(e, n < 0 ? -errno : -ENOENT,
			       "/proc/self/exe cannot be read: %s; mount /proc", strerror(errno));
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	if (!cut(self, "bin") && !(cut(self, "berth") && cut(self, "libexec")))
		return err_set(e, -ENOENT, "%s is neither bin nor libexec/berth of an installation",
			       self);
	n = snprintf(path, size, "%s%s%s", self, *file ? "/" : "", file);
	return n < (ssize_t)size ? 0
				 : err_set(e, -ENAMETOOLONG, "the path of %s is too long", file);
}
