/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's management library, in a child of ours: it may be absent, hang with its driver, or crash,
 * and while it is open its devices cannot sleep. The child answers one record a device through a pipe
 * and ends; who does not answer in time is killed. Devices are found by PCI address, never by index.
 *
 * The types below restate the documented binary interface (NVML API Reference, r535 to r590), so that
 * no header of NVIDIA's is needed.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "probe/child.h"
#include "probe/probe_priv.h"

#define NVML_TEXT_MAX        96 /* NVML_DEVICE_UUID_V2_BUFFER_SIZE and ..._NAME_V2_... */
#define NVML_TEMPERATURE_GPU 0
#define DEVICE_TIMES         3 /* as long as the library itself, a device may take */

typedef int nvml_return;            /* nvmlReturn_t */
typedef struct nvml_handle *handle; /* nvmlDevice_t */

struct memory_v2 {
	unsigned version; /* size of the struct | 2 << 24 */
	unsigned long long total, reserved, free, used;
};

struct memory_v1 {
	unsigned long long total, free, used; /* used includes what the driver reserves */
};

struct utilization {
	unsigned gpu, memory; /* percent */
};

_Static_assert(sizeof(struct memory_v2) == 40, "nvmlMemory_v2_t");

struct api {
	nvml_return (*init)(void);
	nvml_return (*driver_version)(char *, unsigned);
	nvml_return (*by_pci)(const char *, handle *);
	nvml_return (*uuid)(handle, char *, unsigned);
	nvml_return (*name)(handle, char *, unsigned);
	nvml_return (*memory_v2)(handle, struct memory_v2 *);
	nvml_return (*memory_v1)(handle, struct memory_v1 *);
	nvml_return (*power)(handle, unsigned *);
	nvml_return (*power_limit)(handle, unsigned *);
	nvml_return (*temperature)(handle, int, unsigned *);
	nvml_return (*busy)(handle, struct utilization *);
};

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
	{ "nvmlInit_v2", offsetof(struct api, init) },
	{ "nvmlSystemGetDriverVersion", offsetof(struct api, driver_version) },
	{ "nvmlDeviceGetHandleByPciBusId_v2", offsetof(struct api, by_pci) },
	{ "nvmlDeviceGetUUID", offsetof(struct api, uuid) },
	{ "nvmlDeviceGetName", offsetof(struct api, name) },
	{ "nvmlDeviceGetMemoryInfo_v2", offsetof(struct api, memory_v2) },
	{ "nvmlDeviceGetMemoryInfo", offsetof(struct api, memory_v1) },
	{ "nvmlDeviceGetPowerUsage", offsetof(struct api, power) },
	{ "nvmlDeviceGetEnforcedPowerLimit", offsetof(struct api, power_limit) },
	{ "nvmlDeviceGetTemperature", offsetof(struct api, temperature) },
	{ "nvmlDeviceGetUtilizationRates", offsetof(struct api, busy) },
};

/* nvmlReturn_t, NVML API Reference. */
static const struct {
	nvml_return rc;
	enum why why;
} returns[] = {
	{ 3, WHY_NOT_EXPORTED },  /* NOT_SUPPORTED */
	{ 4, WHY_NEEDS_ROOT },    /* NO_PERMISSION */
	{ 6, WHY_NOT_EXPORTED },  /* NOT_FOUND: the driver does not manage this one */
	{ 9, WHY_NO_DRIVER },     /* DRIVER_NOT_LOADED */
	{ 10, WHY_TIMEOUT },      /* TIMEOUT */
	{ 12, WHY_NO_LIBRARY },   /* LIBRARY_NOT_FOUND */
	{ 13, WHY_NOT_EXPORTED }, /* FUNCTION_NOT_FOUND */
	{ 18, WHY_NO_LIBRARY },   /* LIB_RM_VERSION_MISMATCH: not the library of this driver */
	{ 25, WHY_NOT_EXPORTED }, /* ARGUMENT_VERSION_MISMATCH: an older library */
};

static enum why why_nvml(nvml_return rc)
{
	for (size_t i = 0; i < ARRAY_LEN(returns); i++)
		if (returns[i].rc == rc)
			return returns[i].why;
	return WHY_GARBLED;
}

#define NOT_THERE 13 /* a symbol that this library lacks answers as FUNCTION_NOT_FOUND */

/* The first record has no address: it is about the library. */
struct message {
	enum why why;
	struct fact_text driver_version;
	struct nvml_fn fn;
};

/* --- in the child ------------------------------------------------------------------------------------- */

static void *open_library(void)
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

static enum why start(struct api *api)
{
	void *lib = open_library();

	if (!lib)
		return WHY_NO_LIBRARY;
	for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
		void *f = dlsym(lib, symbols[i].name);

		memcpy((char *)api + symbols[i].offset, &f, sizeof(f));
	}
	if (!api->init || !api->by_pci)
		return WHY_NO_LIBRARY;
	nvml_return rc = api->init();

	return rc ? why_nvml(rc) : WHY_NONE;
}

static struct fact_text ask_text(nvml_return (*f)(handle, char *, unsigned), handle h)
{
	char buf[NVML_TEXT_MAX + 1] = "";
	nvml_return rc = f ? f(h, buf, NVML_TEXT_MAX) : NOT_THERE;

	return rc ? fact_text_unknown(why_nvml(rc)) : fact_text_of(buf, SRC_NVML);
}

static struct fact ask_number(nvml_return (*f)(handle, unsigned *), handle h)
{
	unsigned v = 0;
	nvml_return rc = f ? f(h, &v) : NOT_THERE;

	return rc ? fact_unknown(why_nvml(rc)) : fact_of(v, SRC_NVML);
}

static void put_memory(struct nvml_fn *f, uint64_t total, uint64_t free_bytes)
{
	if (free_bytes > total || total > INT64_MAX) {
		f->vram_total = f->vram_used = f->vram_free = fact_unknown(WHY_GARBLED);
		return;
	}
	f->vram_total = fact_of((int64_t)total, SRC_NVML);
	f->vram_free = fact_of((int64_t)free_bytes, SRC_NVML);
	/* What the driver reserves cannot be had either: used is everything that is not free. */
	f->vram_used = fact_of((int64_t)(total - free_bytes), SRC_NVML);
}

static void ask_memory(const struct api *api, handle h, struct nvml_fn *f)
{
	struct memory_v2 v2 = { .version = sizeof(v2) | 2u << 24 };
	struct memory_v1 v1 = { 0 };
	nvml_return rc = api->memory_v2 ? api->memory_v2(h, &v2) : NOT_THERE;

	if (rc == 0) {
		put_memory(f, v2.total, v2.free);
		return;
	}
	/* Drivers before r510 have only the first version. */
	if (why_nvml(rc) == WHY_NOT_EXPORTED && api->memory_v1)
		rc = api->memory_v1(h, &v1);
	if (rc == 0)
		put_memory(f, v1.total, v1.free);
	else
		f->vram_total = f->vram_used = f->vram_free = fact_unknown(why_nvml(rc));
}

static void ask_sensors(const struct api *api, handle h, struct nvml_fn *f)
{
	struct utilization busy = { 0 };
	unsigned celsius = 0;

	f->power_mw = ask_number(api->power, h);
	f->power_cap_mw = ask_number(api->power_limit, h);
	nvml_return rc = api->temperature ? api->temperature(h, NVML_TEMPERATURE_GPU, &celsius)
					  : NOT_THERE;

	f->temp_mc = rc ? fact_unknown(why_nvml(rc)) : fact_of((int64_t)celsius * 1000, SRC_NVML);
	rc = api->busy ? api->busy(h, &busy) : NOT_THERE;
	f->busy_percent = rc ? fact_unknown(why_nvml(rc)) : fact_of(busy.gpu, SRC_NVML);
}

static void all_unknown(struct nvml_fn *f, enum why why)
{
	f->uuid = f->name = fact_text_unknown(why);
	f->vram_total = f->vram_used = f->vram_free = fact_unknown(why);
	f->power_mw = f->power_cap_mw = f->temp_mc = f->busy_percent = fact_unknown(why);
}

static struct nvml_fn ask_device(const struct api *api, const char *pci)
{
	struct nvml_fn f = { 0 };
	handle h = NULL;

	memcpy(f.pci, pci, sizeof(f.pci));
	nvml_return rc = api->by_pci(pci, &h);

	if (rc) {
		all_unknown(&f, why_nvml(rc));
		return f;
	}
	f.uuid = ask_text(api->uuid, h);
	f.name = ask_text(api->name, h);
	ask_memory(api, h, &f);
	ask_sensors(api, h, &f);
	return f;
}

/* What the child is asked. */
struct question {
	const char (*pci)[24];
	uint32_t n;
};

static void answer(int to, void *arg)
{
	const struct question *q = arg;
	char version[NVML_TEXT_MAX + 1] = "";
	struct api api = { 0 };
	struct message m = { 0 };

	m.why = start(&api);
	m.driver_version = fact_text_unknown(m.why ? m.why : WHY_NOT_EXPORTED);
	if (!m.why && api.driver_version && api.driver_version(version, NVML_TEXT_MAX) == 0)
		m.driver_version = fact_text_of(version, SRC_NVML);
	child_send(to, &m, sizeof(m));
	for (uint32_t i = 0; !m.why && i < q->n; i++) {
		const struct message one = { .fn = ask_device(&api, q->pci[i]) };

		child_send(to, &one, sizeof(one));
	}
	/* No nvmlShutdown: the end of the process closes the driver's files. */
}

/* --- in the parent ------------------------------------------------------------------------------------ */

static void collect(const struct child *c, uint32_t n, int timeout_ms, struct nvml_view *v)
{
	struct message m;
	int rc = child_receive(c, &m, sizeof(m), timeout_ms);

	if (rc == 1 && m.why) {
		v->why = m.why;
		v->driver_version = m.driver_version;
		return;
	}
	if (rc == 1)
		v->driver_version = m.driver_version;
	/*
	 * Each device gets its own time, and more: without the persistence daemon the driver initialises
	 * an idle card when it is first asked, which takes seconds on large ones and is no hang.
	 */
	while (rc == 1 && v->n < n) {
		rc = child_receive(c, &m, sizeof(m), DEVICE_TIMES * timeout_ms);
		if (rc == 1)
			v->fns[v->n++] = m.fn;
	}
	/* For the devices without a record: silence is a hang, an early end is a crash. */
	v->why = rc == 1 ? WHY_NONE : rc == -ETIMEDOUT ? WHY_TIMEOUT : WHY_GARBLED;
	if (rc != 1 && !v->n && !fact_text_known(&v->driver_version))
		v->driver_version = fact_text_unknown(v->why);
}

void nvml_ask(const char (*pci)[24], uint32_t n, int timeout_ms, struct nvml_view *v)
{
	struct question q = { .pci = pci, .n = n };
	struct child c;

	*v = (struct nvml_view) { .asked = true, .why = WHY_NO_LIBRARY };
	v->driver_version = fact_text_unknown(WHY_NO_LIBRARY);
	if (child_open(&c, answer, &q))
		return;
	collect(&c, n, timeout_ms, v);
	child_close(&c);
}
