/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "core/backends.h"

/* The name is the engine's own for the backend in lower case (ggml_backend_reg_name), the stem is what
 * ggml calls its library (ggml_backend_load_all_from_path). They differ for ROCm. */
static const struct {
	const char *name, *stem;
} backends[] = {
	{ "cuda", "cuda" }, { "vulkan", "vulkan" }, { "rocm", "hip" },
	{ "sycl", "sycl" }, { "rpc", "rpc" },       { "opencl", "opencl" },
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))
_Static_assert(N_BACKENDS <= BACKEND_FILES_MAX, "backend_list has room for every row");

/* The variant's own opinion of this processor; 0: cannot run, or no backend at all. */
static int score(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int (*fn)(void);
	int s;

	if (!handle)
		return 0;
	/* ISO C has no cast from void * to a function pointer; POSIX has, by this detour */
	*(void **)&fn = dlsym(handle, "ggml_backend_score");
	s = fn ? fn() : 0;
	dlclose(handle);
	return s;
}

static bool is_cpu_variant(const char *file)
{
	static const char before[] = "libggml-cpu-", after[] = ".so";
	size_t n = strlen(file);

	return n > sizeof(before) + sizeof(after) - 2 &&
	       strncmp(file, before, sizeof(before) - 1) == 0 && strcmp(file + n - 3, after) == 0;
}

/* After a variant that overrated this processor: the plainest that runs is taken instead of the best. */
static bool wants_plain(void)
{
	const char *cpu = getenv("BERTH_CPU");

	return cpu && strcmp(cpu, "plain") == 0;
}

int backend_cpu_file(const char *dir, char *path, size_t size, struct err *e)
{
	own_dir DIR *d = opendir(dir);
	bool plain = wants_plain();
	int best = 0;

	if (!d)
		return err_set(e, -errno, "the engine's folder %s cannot be read: %s", dir,
			       strerror(errno));
	snprintf(path, size, "%s/libggml-cpu.so", dir);
	for (struct dirent *entry; (entry = readdir(d));) {
		char one[4096];
		int s;

		if (!is_cpu_variant(entry->d_name) ||
		    snprintf(one, sizeof(one), "%s/%s", dir, entry->d_name) >= (int)size)
			continue;
		s = score(one);
		if (s > 0 && (best == 0 || (plain ? s < best : s > best))) {
			best = s;
			snprintf(path, size, "%s", one);
		}
	}
	if (access(path, R_OK) != 0)
		return err_set(e, -ENOENT, "no CPU backend of the engine in %s; run `make deps`",
			       dir);
	return 0;
}

int backend_file(const char *dir, const char *name, char *path, size_t size, struct err *e)
{
	size_t i = 0;

	while (i < N_BACKENDS && strcmp(backends[i].name, name) != 0)
		i++;
	if (i == N_BACKENDS)
		return err_set(e, -EINVAL, "the engine has no backend called \"%s\"", name);
	snprintf(path, size, "%s/libggml-%s.so", dir, backends[i].stem);
	if (access(path, R_OK) != 0)
		return err_set(e, -ENOENT, "the engine's %s backend is not installed (%s)", name,
			       path);
	return 0;
}

size_t backend_list(const char *dir, const char *names[BACKEND_FILES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < N_BACKENDS; i++) {
		char path[4096];

		if (backend_file(dir, backends[i].name, path, sizeof(path), NULL) == 0)
			names[n++] = backends[i].name;
	}
	return n;
}
