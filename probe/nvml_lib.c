/* SPDX-License-Identifier: MIT */
#include "probe/nvml_lib_priv.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#include "probe/probe_priv.h"

static const struct {
	nvml_return rc;
	enum why why;
} returns[] = {
	{ NVML_INVALID, WHY_NOT_EXPORTED }, /* a driver that does not know this one */
	{ NVML_NOT_SUPPORTED, WHY_NOT_EXPORTED },
	{ NVML_NO_PERMISSION, WHY_NEEDS_ROOT },
	{ 6, WHY_NOT_EXPORTED }, /* NOT_FOUND: the driver does not manage this one */
	{ 9, WHY_NO_DRIVER },    /* DRIVER_NOT_LOADED */
	{ 10, WHY_TIMEOUT },     /* TIMEOUT */
	{ 12, WHY_NO_LIBRARY },  /* LIBRARY_NOT_FOUND */
	{ NVML_NOT_THERE, WHY_NOT_EXPORTED },
	{ 15, WHY_LOST },         /* GPU_IS_LOST */
	{ 16, WHY_LOST },         /* RESET_REQUIRED */
	{ 17, WHY_NEEDS_ROOT },   /* OPERATING_SYSTEM: a cgroup keeps the device nodes */
	{ 18, WHY_NO_LIBRARY },   /* LIB_RM_VERSION_MISMATCH: not the library of this driver */
	{ 21, WHY_NOT_EXPORTED }, /* NO_DATA */
	{ 25, WHY_NOT_EXPORTED }, /* ARGUMENT_VERSION_MISMATCH: an older library */
	{ 26, WHY_NOT_EXPORTED }, /* DEPRECATED */
	{ 28, WHY_NOT_EXPORTED }, /* GPU_NOT_FOUND */
};

enum why nvml_why(nvml_return rc)
{
	for (size_t i = 0; i < ARRAY_LEN(returns); i++)
		if (returns[i].rc == rc)
			return returns[i].why;
	return WHY_GARBLED;
}

void *nvml_open(void)
{
	/* WSL and NixOS keep it where the loader does not look. */
	static const char *const places[] = { "libnvidia-ml.so.1",
					      "/usr/lib/wsl/lib/libnvidia-ml.so.1",
					      "/run/opengl-driver/lib/libnvidia-ml.so.1" };
	const char *own = getenv("BERTH_NVML");
	void *lib = NULL;

	if (own)
		return dlopen(own, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; i < ARRAY_LEN(places) && !lib; i++)
		lib = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
	return lib;
}

enum why nvml_start(void *lib)
{
	nvml_return (*init)(void) = lib ? dlsym(lib, "nvmlInit_v2") : NULL;

	if (!init)
		return WHY_NO_LIBRARY;
	nvml_return rc = init();

	return rc ? nvml_why(rc) : WHY_NONE;
}

nvml_return nvml_find(void *lib, const char *pci, nvml_device *d)
{
	nvml_return (*f)(const char *, nvml_device *) = dlsym(lib,
							      "nvmlDeviceGetHandleByPciBusId_v2");

	return f ? f(pci, d) : NVML_NOT_THERE;
}
