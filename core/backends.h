/* SPDX-License-Identifier: MIT */
/* Which file of the engine drives what. Only files of the engine's own folder, by absolute path. */
#ifndef BERTH_CORE_BACKENDS_H
#define BERTH_CORE_BACKENDS_H

#include <stddef.h>

#include "base/err.h"

#define BACKEND_FILES_MAX 16

/*
 * The file of the CPU backend that suits this processor best: each variant scores itself, 0 means it
 * cannot run here. 0, or -ENOENT with *e when there is none.
 */
int backend_cpu_file(const char *dir, char *path, size_t size, struct err *e);

/* The file of a backend by the plan's name ("vulkan"). 0; -EINVAL unknown name; -ENOENT not there. */
int backend_file(const char *dir, const char *name, char *path, size_t size, struct err *e);

/* Every backend that is not the CPU's: names for backend_file. Returns the count. */
size_t backend_list(const char *dir, const char *names[BACKEND_FILES_MAX]);

#endif
