/* SPDX-License-Identifier: MIT */
/*
 * A kernel that does not count what tasks read and write: to whoever this is preloaded to, /proc/PID/task/TID/io is not there.
 * Kernels are built with those counts wherever tests run.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>

int open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT,
										     "open");
	size_t n = strlen(path);
	mode_t mode = 0;
	va_list list;

	if (strncmp(path, "/proc/", 6) == 0 && n > 3 && strcmp(path + n - 3, "/io") == 0) {
		errno = ENOENT;
		return -1;
	}
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(list, flags);
		mode = va_arg(list, mode_t);
		va_end(list);
	}
	return next(path, flags, mode);
}
