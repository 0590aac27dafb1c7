/* SPDX-License-Identifier: MIT */
/*
 * The compute interfaces' own lists of devices, each asked in a child: they load drivers, open every GPU
 * and may hang with one. The types below restate the documented binary interfaces, so that none of their
 * headers is needed: CUDA Driver API, HIP Runtime API, Level Zero core 1.x with the PCI properties
 * extension, Vulkan 1.2 with VK_EXT_pci_bus_info.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/api_priv.h"
#include "base/child.h"
#include "probe/probe_priv.h"

static void *open_first(const char *const *names)
{
	void *lib = NULL;

	for (size_t i = 0; names[i] && !lib; i++)
		lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	return lib;
}

/* False: one of them is missing. Names end with NULL; to[] is filled in the same order. */
static bool find_all(void *lib, const char *const *names, void (**to)(void))
{
	for (size_t i = 0; names[i]; i++) {
		void *f = dlsym(lib, names[i]);

		if (!f)
			return false;
		memcpy(&to[i], &f, sizeof(f));
	}
	return true;
}

/* "0000:C1:00.0" and "c1:00" become our form; what is neither is none. */
static void put_pci(struct api_device *d, const char *text)
{
	unsigned domain, bus, dev, fn = 0;

	if (sscanf(text, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) < 3)
		return;
	snprintf(d->pci, sizeof(d->pci), "%04x:%02x:%02x.%x", domain, bus & 0xff, dev & 0x1f,
		 fn & 7);
}

static struct api_device *next_device(struct api_list *l)
{
	struct api_device *d = &l->devices[l->n];

	*d = (struct api_device) { .same = l->n };
	l->n++;
	return d;
}

/* --- CUDA and HIP: count, then an address for each number --- */

static enum why list_cuda(void *lib, struct api_list *l)
{
	static const char *const symbols[] = { "cuInit", "cuDeviceGetCount", "cuDeviceGet",
					       "cuDeviceGetPCIBusId", NULL };
	struct {
		int (*init)(unsigned);
		int (*count)(int *);
		int (*get)(int *, int);
		int (*pci)(char *, int, int);
	} cu;
	int n = 0;

	if (!find_all(lib, symbols, (void (**)(void))(void *)&cu))
		return WHY_NO_LIBRARY;
	int rc = cu.init(0);

	if (rc == 100) /* CUDA_ERROR_NO_DEVICE */
		return WHY_NONE;
	if (rc || cu.count(&n))
		return WHY_NO_DRIVER;
	for (int i = 0; i < n && l->n < API_DEVICES_MAX; i++) {
		struct api_device *d = next_device(l);
		char text[32] = "";
		int device;

		if (cu.get(&device, i) == 0 && cu.pci(text, sizeof(text) - 1, device) == 0)
			put_pci(d, text);
	}
	return WHY_NONE;
}

static enum why list_hip(void *lib, struct api_list *l)
{
	static const char *const symbols[] = { "hipGetDeviceCount", "hipDeviceGetPCIBusId", NULL };
	struct {
		int (*count)(int *);
		int (*pci)(char *, int, int);
	} hip;
	int n = 0;

	if (!find_all(lib, symbols, (void (**)(void))(void *)&hip))
		return WHY_NO_LIBRARY;
	int rc = hip.count(&n);

	if (rc == 100) /* hipErrorNoDevice */
		return WHY_NONE;
	if (rc)
		return WHY_NO_DRIVER;
	for (int i = 0; i < n && l->n < API_DEVICES_MAX; i++) {
		struct api_device *d = next_device(l);
		char text[32] = "";

		if (hip.pci(text, sizeof(text) - 1, i) == 0)
			put_pci(d, text);
	}
	return WHY_NONE;
}

/* --- Level Zero: drivers, and the devices of each --- */

#define ZE_DRIVERS_MAX   8
#define ZE_STYPE_PCI_EXT 0x10008 /* ZE_STRUCTURE_TYPE_PCI_EXT_PROPERTIES */

struct ze_pci {
	uint32_t stype;
	void *next;
	uint32_t domain, bus, device, function;
	int32_t generation, width;
	int64_t bandwidth;
};

struct ze {
	int (*init)(uint32_t);
	int (*drivers)(uint32_t *, void **);
	int (*devices)(void *, uint32_t *, void **);
	int (*pci)(void *, struct ze_pci *);
};

static void list_ze_driver(const struct ze *ze, void *driver, uint32_t number, struct api_list *l)
{
	void *devices[API_DEVICES_MAX];
	uint32_t n = API_DEVICES_MAX;

	if (ze->devices(driver, &n, devices))
		return;
	for (uint32_t i = 0; i < n && l->n < API_DEVICES_MAX; i++) {
		struct ze_pci pci = { .stype = ZE_STYPE_PCI_EXT };
		struct api_device *d = next_device(l);
		char text[48];

		d->driver = number;
		if (ze->pci(devices[i], &pci))
			continue;
		snprintf(text, sizeof(text), "%x:%x:%x.%x", pci.domain, pci.bus, pci.device,
			 pci.function);
		put_pci(d, text);
	}
}

static enum why list_level_zero(void *lib, struct api_list *l)
{
	static const char *const symbols[] = { "zeInit", "zeDriverGet", "zeDeviceGet",
					       "zeDevicePciGetPropertiesExt", NULL };
	void *drivers[ZE_DRIVERS_MAX];
	uint32_t n = ZE_DRIVERS_MAX;
	struct ze ze;

	if (!find_all(lib, symbols, (void (**)(void))(void *)&ze))
		return WHY_NO_LIBRARY;
	if (ze.init(0) || ze.drivers(&n, drivers))
		return WHY_NO_DRIVER;
	for (uint32_t i = 0; i < n && i < ZE_DRIVERS_MAX; i++)
		list_ze_driver(&ze, drivers[i], i, l);
	return WHY_NONE;
}

/* --- Vulkan --- */

enum {
	VK_APPLICATION_INFO = 0,
	VK_INSTANCE_CREATE_INFO = 1,
	VK_VULKAN_11_FEATURES = 49,
	VK_FEATURES_2 = 1000059000,
	VK_PROPERTIES_2 = 1000059001,
	VK_ID_PROPERTIES = 1000071004,
	VK_DRIVER_PROPERTIES = 1000196000,
	VK_PCI_BUS_INFO = 1000212000,
};

#define VK_VERSION_1_2 ((1u << 22) | (2u << 12))

struct vk_header {
	uint32_t type;
	void *next;
};

struct vk_app {
	struct vk_header h;
	const char *name;
	uint32_t version;
	const char *engine;
	uint32_t engine_version, api_version;
};

struct vk_create {
	struct vk_header h;
	uint32_t flags;
	const struct vk_app *app;
	uint32_t n_layers;
	const char *const *layers;
	uint32_t n_extensions;
	const char *const *extensions;
};

struct vk_properties {
	struct vk_header h;
	uint32_t api_version, driver_version, vendor, device, type;
	char name[256];
	uint8_t rest[1024]; /* cache UUID, limits and sparse properties take 544 bytes */
};

struct vk_id {
	struct vk_header h;
	uint8_t device_uuid[16], driver_uuid[16], luid[8];
	uint32_t node_mask, luid_valid;
};

struct vk_driver {
	struct vk_header h;
	uint32_t id;
	char name[256], info[256];
	uint8_t conformance[4];
};

struct vk_pci {
	struct vk_header h;
	uint32_t domain, bus, device, function;
};

struct vk_features11 {
	struct vk_header h;
	uint32_t storage_buffer_16bit;
	uint32_t rest[16];
};

struct vk_features {
	struct vk_header h;
	uint32_t rest[64]; /* 55 flags */
};

struct vk_extension {
	char name[256];
	uint32_t version;
};

typedef void (*vk_fn)(void);

struct vk {
	vk_fn (*get)(void *, const char *);
	void *instance;
	int (*devices)(void *, uint32_t *, void **);
	void (*properties)(void *, struct vk_properties *);
	void (*features)(void *, struct vk_features *);
	int (*extensions)(void *, const char *, uint32_t *, struct vk_extension *);
};

/* Its own library's answers to a structure that a driver does not know are none: so ask first. */
static bool tells_pci(const struct vk *vk, void *device)
{
	uint32_t n = 0;
	bool found = false;

	if (vk->extensions(device, NULL, &n, NULL) || n > 4096)
		return false;
	struct vk_extension *e = calloc(n ? n : 1, sizeof(*e));

	if (e && vk->extensions(device, NULL, &n, e) == 0)
		for (uint32_t i = 0; i < n; i++)
			found |= strncmp(e[i].name, "VK_EXT_pci_bus_info", sizeof(e[i].name)) == 0;
	free(e);
	return found;
}

static void look_at_vk(const struct vk *vk, void *device, struct api_device *d, uint8_t uuid[16])
{
	struct vk_pci pci = { .h = { VK_PCI_BUS_INFO, NULL } };
	bool has_pci = tells_pci(vk, device);
	struct vk_driver driver = { .h = { VK_DRIVER_PROPERTIES, has_pci ? &pci : NULL } };
	struct vk_id id = { .h = { VK_ID_PROPERTIES, &driver } };
	struct vk_properties p = { .h = { VK_PROPERTIES_2, &id } };
	struct vk_features11 f11 = { .h = { VK_VULKAN_11_FEATURES, NULL } };
	struct vk_features f = { .h = { VK_FEATURES_2, &f11 } };
	char text[48];

	vk->properties(device, &p);
	d->type = p.type;
	d->vendor = p.vendor;
	/* A driver of 1.1 fills neither its own properties nor these features. */
	if (p.api_version < VK_VERSION_1_2) {
		d->lacking = true;
	} else {
		vk->features(device, &f);
		d->driver_id = driver.id;
		d->lacking = !f11.storage_buffer_16bit;
	}
	memcpy(uuid, id.device_uuid, sizeof(id.device_uuid));
	if (!has_pci)
		return;
	snprintf(text, sizeof(text), "%x:%x:%x.%x", pci.domain, pci.bus, pci.device, pci.function);
	put_pci(d, text);
}

static bool start_vk(struct vk *vk, void *lib)
{
	const struct vk_app app = { .h = { VK_APPLICATION_INFO, NULL },
				    .name = "berth",
				    .api_version = VK_VERSION_1_2 };
	const struct vk_create create = { .h = { VK_INSTANCE_CREATE_INFO, NULL }, .app = &app };
	static const char *const first[] = { "vkGetInstanceProcAddr", NULL };
	int (*make)(const struct vk_create *, const void *, void **);
	vk_fn f;

	if (!find_all(lib, first, (vk_fn *)(void *)&vk->get))
		return false;
	f = vk->get(NULL, "vkCreateInstance");
	memcpy(&make, &f, sizeof(f));
	if (!make || make(&create, NULL, &vk->instance))
		return false;
#define VK(member, name) f = vk->get(vk->instance, name), memcpy(&vk->member, &f, sizeof(f))
	VK(devices, "vkEnumeratePhysicalDevices");
	VK(properties, "vkGetPhysicalDeviceProperties2");
	VK(features, "vkGetPhysicalDeviceFeatures2");
	VK(extensions, "vkEnumerateDeviceExtensionProperties");
#undef VK
	return vk->devices && vk->properties && vk->features && vk->extensions;
}

static enum why list_vulkan(void *lib, struct api_list *l)
{
	uint8_t uuids[API_DEVICES_MAX][16];
	void *devices[API_DEVICES_MAX];
	uint32_t n = API_DEVICES_MAX;
	struct vk vk = { 0 };

	/* 5: VK_INCOMPLETE, more than we keep. */
	if (!start_vk(&vk, lib))
		return WHY_NO_DRIVER;
	int rc = vk.devices(vk.instance, &n, devices);

	if (rc && rc != 5)
		return WHY_NO_DRIVER;
	for (uint32_t i = 0; i < n && i < API_DEVICES_MAX; i++) {
		struct api_device *d = next_device(l);

		look_at_vk(&vk, devices[i], d, uuids[i]);
		for (uint32_t k = 0; k < i && d->same == i; k++)
			if (memcmp(uuids[k], uuids[i], sizeof(uuids[i])) == 0)
				d->same = k;
	}
	return WHY_NONE;
}

/* --- all of them --- */

/* What must be set, or not, so that the list is whole and in the order we promise. */
static const struct source_row {
	const char *libraries[5];
	const char *set[2][2];
	const char *unset[4];
	enum why (*list)(void *lib, struct api_list *l);
} sources[API_COUNT] = {
	[API_CUDA] = { { "libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1",
			 "/run/opengl-driver/lib/libcuda.so.1" },
		       { { "CUDA_DEVICE_ORDER", "PCI_BUS_ID" } },
		       { "CUDA_VISIBLE_DEVICES" },
		       list_cuda },
	[API_CUDA_FASTEST] = { { "libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1",
				 "/run/opengl-driver/lib/libcuda.so.1" },
			       { { "CUDA_DEVICE_ORDER", "FASTEST_FIRST" } },
			       { "CUDA_VISIBLE_DEVICES" },
			       list_cuda },
	[API_HIP] = { { "libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5",
			"/opt/rocm/lib/libamdhip64.so" },
		      { { NULL } },
		      { "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES",
			"GPU_DEVICE_ORDINAL" },
		      list_hip },
	[API_LEVEL_ZERO] = { { "libze_loader.so.1" },
			     { { "ZE_ENABLE_PCI_ID_DEVICE_ORDER", "1" },
			       { "ZE_FLAT_DEVICE_HIERARCHY", "COMPOSITE" } },
			     { "ZE_AFFINITY_MASK" },
			     list_level_zero },
	[API_VULKAN] = { { "libvulkan.so.1", "/run/opengl-driver/lib/libvulkan.so.1" },
			 { { NULL } },
			 { NULL },
			 list_vulkan },
};

static void work(int to, void *arg)
{
	const struct source_row *s = arg;
	struct api_list l = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(s->set) && s->set[i][0]; i++)
		setenv(s->set[i][0], s->set[i][1], 1);
	for (size_t i = 0; i < ARRAY_LEN(s->unset) && s->unset[i]; i++)
		unsetenv(s->unset[i]);
	void *lib = open_first(s->libraries);

	l.why = lib ? s->list(lib, &l) : WHY_NO_LIBRARY;
	child_send(to, &l, sizeof(l));
}

void api_ask(enum api a, int timeout_ms, struct api_list *l)
{
	struct child c;
	int rc = child_open(&c, work, (void *)(uintptr_t)&sources[a]);

	if (rc == 0) {
		rc = child_receive(&c, l, sizeof(*l), timeout_ms);
		child_close(&c);
	}
	/* Silence is a hang, an early end a crash. */
	if (rc != 1 || l->n > API_DEVICES_MAX)
		*l = (struct api_list) { .why = rc == -ETIMEDOUT ? WHY_TIMEOUT : WHY_GARBLED };
}
