/* SPDX-License-Identifier: MIT */
/*
 * What is known about kernel drivers and vendors, as rows. Sources: "kernel" is the driver's source in
 * Linux 6.1 to 7.2 (drivers/gpu/drm/NAME); "mesa" is Mesa's list of Vulkan drivers (docs/features.txt).
 */
#include <string.h>

#include "probe/probe_priv.h"

/* clang-format off */
static const struct driver drivers[] = {
	/* kernel: amdgpu_vram_mgr.c and amdgpu_pm.c name the files; ROCm, and RADV of mesa, run on it. */
	{ .name = "amdgpu", .compute = true, .vram_sysfs = true, .busy = "gpu_busy_percent",
	  .power = { "power1_average", "power1_input" }, .power_cap = { "power1_cap" }, .temp = "temp1_input" },
	/* NVIDIA's own modules, open or closed: CUDA and Vulkan; numbers only by NVML. */
	{ .name = "nvidia", .compute = true, .nvml = true },
	/* mesa: NVK (Vulkan) runs on it. kernel: nouveau_hwmon.c. */
	{ .name = "nouveau", .compute = true, .power = { "power1_input" }, .power_cap = { "power1_max" },
	  .temp = "temp1_input" },
	/* mesa: ANV runs on both. kernel: i915_hwmon.c and xe_hwmon.c export energy, not power; temp2 is
	   the package, since 6.15. Of xe's limits the first is the card's sustained one, then the
	   package's, then the card's short one: cards have some of them. */
	{ .name = "i915", .compute = true, .power_cap = { "power1_max" } },
	{ .name = "xe", .compute = true, .power_cap = { "power1_max", "power2_max", "power1_cap" },
	  .temp = "temp2_input" },
	/* kernel: radeon_pm.c. mesa: RADV needs amdgpu, and ROCm too. */
	{ .name = "radeon", .temp = "temp1_input",
	  .note = "display only: Vulkan and ROCm need the amdgpu driver" },
	{ .name = "berth_vfio", .note = "held for a virtual machine" },
	{ .name = "vfio-pci", .note = "held for a virtual machine" },
	{ .name = "xe-vfio-pci", .note = "held for a virtual machine" },
	{ .name = "nvgrace-gpu-vfio-pci", .note = "held for a virtual machine" },
	{ .name = "xen-pciback", .note = "held for a virtual machine" },
	{ .name = "pci-stub", .note = "held so that no other driver takes it" },
	/* mesa: Venus over virtio-gpu, when the host serves it; seldom, so not promised. */
	{ .name = "virtio-pci", .note = "virtual display" },
	/* kernel: drm/ast, mgag200, tiny/bochs.c, tiny/cirrus*.c, qxl, vmwgfx, hyperv: no compute engines. */
	{ .name = "ast", .note = "display only (server management controller)" },
	{ .name = "mgag200", .note = "display only (server management controller)" },
	{ .name = "bochs-drm", .note = "display only (virtual)" },
	{ .name = "cirrus", .note = "display only (virtual)" },
	{ .name = "cirrus-qemu", .note = "display only (virtual)" },
	{ .name = "qxl", .note = "display only (virtual)" },
	{ .name = "vmwgfx", .note = "display only (virtual)" },
	/* kernel: drivers/accel. No engine of berth speaks to them. */
	{ .name = "intel_vpu", .note = "NPU: no engine of berth uses it" },
	{ .name = "amdxdna", .note = "NPU: no engine of berth uses it" },
	{ .name = "habanalabs", .note = "accelerator: no engine of berth uses it" },
	{ .name = "qaic", .note = "accelerator: no engine of berth uses it" },
};

/* Short names for people, and the modules that could drive a vendor's GPUs (kernel: id tables). */
static const struct vendor {
	uint32_t id;
	const char *name;
	const char *modules[3];
} vendors[] = {
	{ 0x1002, "AMD", { "amdgpu", "radeon" } },
	{ 0x1022, "AMD", { "amdxdna" } },
	{ 0x10de, "NVIDIA", { "nvidia", "nouveau" } },
	{ 0x8086, "Intel", { "xe", "i915" } },
	{ 0x1a03, "ASPEED", { "ast" } },
	{ 0x102b, "Matrox", { "mgag200" } },
	{ 0x1013, "Cirrus Logic", { "cirrus" } },
	{ 0x1234, "QEMU", { "bochs" } },
	{ 0x1af4, "Virtio", { "virtio_gpu" } },
	{ 0x1b36, "QEMU", { "qxl" } },
	{ 0x15ad, "VMware", { "vmwgfx" } },
	{ 0x1da3, "Habana", { "habanalabs" } },
	{ 0x17cb, "Qualcomm", { "qaic" } },
};

/* PCI Code and ID Assignment Specification 1.11, base classes 03h, 0Bh and 12h. */
static const struct {
	uint32_t class; /* class and subclass */
	const char *name;
} classes[] = {
	{ 0x0300, "VGA" }, { 0x0301, "XGA" }, { 0x0302, "3D" }, { 0x0380, "display" },
	{ 0x0b40, "co-processor" }, { 0x1200, "accelerator" },
};
/* clang-format on */

const struct driver *driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return NULL;
}

bool gpu_has_driver(const struct gpu *g, const char *driver)
{
	return fact_text_known(&g->driver) && strcmp(g->driver.v, driver) == 0;
}

const struct driver *driver_of(const struct gpu *g)
{
	return fact_text_known(&g->driver) ? driver_find(g->driver.v) : NULL;
}

static const struct vendor *vendor_find(uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(vendors); i++)
		if (vendors[i].id == id)
			return &vendors[i];
	return NULL;
}

const char *const *driver_modules(uint32_t vendor)
{
	static const char *const none[1];
	const struct vendor *v = vendor_find(vendor);

	return v ? v->modules : none;
}

const char *vendor_short(uint32_t vendor)
{
	const struct vendor *v = vendor_find(vendor);

	return v ? v->name : NULL;
}

bool class_is_ours(uint32_t class)
{
	return class >> 16 == 0x03 || class >> 8 == 0x0b40 || class >> 8 == 0x1200;
}

const char *class_name(uint32_t class)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (classes[i].class == class >> 8)
			return classes[i].name;
	return class >> 16 == 0x03 ? "display" : "unknown class";
}

bool gpu_has_nvml(const struct gpu *g)
{
	const struct driver *d = driver_of(g);

	return d && d->nvml;
}

bool gpu_can_compute(const struct gpu *g)
{
	const struct driver *d = driver_of(g);

	return d && d->compute;
}

/*
 * Drivers that hold a function for a virtual machine, or for nobody. vfio-pci's variants for one device
 * have vfio in their names too: mlx5_vfio_pci, nvgrace-gpu-vfio-pci, xe-vfio-pci.
 */
static const char *const keepers[] = { "vfio", "pci-stub", "pciback" };

bool driver_keeps(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keepers); i++)
		if (strstr(name, keepers[i]))
			return true;
	return false;
}
