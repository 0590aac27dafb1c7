/* SPDX-License-Identifier: MIT */
/*
 * What one call of NVIDIA's library each tells of a device, as a table; a symbol that this library lacks
 * answers as if the driver did not know.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "probe/nvml_lib_priv.h"
#include "probe/probe_priv.h"

enum call {
	CALL_U32,    /* f(device, &u32) */
	CALL_ARG,    /* f(device, arg, &u32) */
	CALL_PAIR,   /* f(device, &u32, &u32) */
	CALL_STRUCT, /* f(device, &{ u32, u32 }) */
	CALL_U64,    /* f(device, &u64) */
	CALL_CHARS,  /* f(device, text, size) */
};

/* How the numbers become a fact. */
enum shape {
	AS_NUMBER, /* times `scale` */
	AS_TEXT,   /* as it is */
	AS_ARCH,   /* major and minor: "sm_89" */
	AS_PSTATE, /* "P8" */
	AS_THROTTLE,
	AS_VIRTUALIZATION,
};

/* How often, where it is asked again and again. */
enum pace {
	EACH,   /* in every round */
	SELDOM, /* the card's nature, or what it takes a reset of the card to change */
};

struct query {
	const char *symbol;
	enum call call;
	int arg;
	enum shape shape;
	int64_t scale;
	size_t to, to2; /* members of struct nvml_fn; to2 of the second number, 0: dropped */
	enum pace pace;
};

#define AT(member) offsetof(struct nvml_fn, member)

/* A row whose member is known already is skipped: the newer name comes before the older one. */
static const struct query queries[] = {
	{ "nvmlDeviceGetUUID", CALL_CHARS, 0, AS_TEXT, 0, AT(uuid), 0, SELDOM },
	{ "nvmlDeviceGetName", CALL_CHARS, 0, AS_TEXT, 0, AT(name), 0, SELDOM },
	{ "nvmlDeviceGetSerial", CALL_CHARS, 0, AS_TEXT, 0, AT(serial), 0, SELDOM },
	{ "nvmlDeviceGetVbiosVersion", CALL_CHARS, 0, AS_TEXT, 0, AT(vbios), 0, SELDOM },
	{ "nvmlDeviceGetCudaComputeCapability", CALL_PAIR, 0, AS_ARCH, 0, AT(arch), 0, SELDOM },
	{ "nvmlDeviceGetMinorNumber", CALL_U32, 0, AS_NUMBER, 1, AT(minor), 0, SELDOM },
	{ "nvmlDeviceGetPowerUsage", CALL_U32, 0, AS_NUMBER, 1, AT(power_mw), 0, EACH },
	{ "nvmlDeviceGetEnforcedPowerLimit", CALL_U32, 0, AS_NUMBER, 1, AT(power_cap_mw), 0, EACH },
	{ "nvmlDeviceGetPowerManagementDefaultLimit", CALL_U32, 0, AS_NUMBER, 1,
	  AT(live.power_cap_default_mw), 0, SELDOM },
	{ "nvmlDeviceGetPowerManagementLimitConstraints", CALL_PAIR, 0, AS_NUMBER, 1,
	  AT(live.power_cap_min_mw), AT(live.power_cap_max_mw), SELDOM },
	/* millijoules */
	{ "nvmlDeviceGetTotalEnergyConsumption", CALL_U64, 0, AS_NUMBER, 1000, AT(live.energy_uj),
	  0, EACH },
	/* sensor 0 is the chip; degrees */
	{ "nvmlDeviceGetTemperature", CALL_ARG, 0, AS_NUMBER, 1000, AT(temp_mc), 0, EACH },
	/* threshold 3: where it goes below its base clock; 1: where the hardware slows it down */
	{ "nvmlDeviceGetTemperatureThreshold", CALL_ARG, 3, AS_NUMBER, 1000, AT(live.temp_limit_mc),
	  0, SELDOM },
	{ "nvmlDeviceGetTemperatureThreshold", CALL_ARG, 1, AS_NUMBER, 1000, AT(live.temp_limit_mc),
	  0, SELDOM },
	{ "nvmlDeviceGetFanSpeed", CALL_U32, 0, AS_NUMBER, 1, AT(live.fan_percent), 0, EACH },
	{ "nvmlDeviceGetUtilizationRates", CALL_STRUCT, 0, AS_NUMBER, 1, AT(busy_percent),
	  AT(live.mem_busy_percent), EACH },
	/* clock 0 is graphics, 2 is memory */
	{ "nvmlDeviceGetClockInfo", CALL_ARG, 0, AS_NUMBER, 1, AT(live.core_mhz), 0, EACH },
	{ "nvmlDeviceGetMaxClockInfo", CALL_ARG, 0, AS_NUMBER, 1, AT(live.core_max_mhz), 0,
	  SELDOM },
	{ "nvmlDeviceGetClockInfo", CALL_ARG, 2, AS_NUMBER, 1, AT(live.mem_mhz), 0, EACH },
	{ "nvmlDeviceGetMaxClockInfo", CALL_ARG, 2, AS_NUMBER, 1, AT(live.mem_max_mhz), 0, SELDOM },
	{ "nvmlDeviceGetPerformanceState", CALL_U32, 0, AS_PSTATE, 0, AT(live.perf_state), 0,
	  EACH },
	/* renamed in r535 */
	{ "nvmlDeviceGetCurrentClocksEventReasons", CALL_U64, 0, AS_THROTTLE, 0, AT(live.throttle),
	  0, EACH },
	{ "nvmlDeviceGetCurrentClocksThrottleReasons", CALL_U64, 0, AS_THROTTLE, 0,
	  AT(live.throttle), 0, EACH },
	{ "nvmlDeviceGetCurrPcieLinkGeneration", CALL_U32, 0, AS_NUMBER, 1, AT(nv.pcie_gen), 0,
	  EACH },
	{ "nvmlDeviceGetCurrPcieLinkWidth", CALL_U32, 0, AS_NUMBER, 1, AT(nv.pcie_width), 0, EACH },
	{ "nvmlDeviceGetMaxPcieLinkGeneration", CALL_U32, 0, AS_NUMBER, 1, AT(nv.pcie_max_gen), 0,
	  SELDOM },
	{ "nvmlDeviceGetMaxPcieLinkWidth", CALL_U32, 0, AS_NUMBER, 1, AT(nv.pcie_max_width), 0,
	  SELDOM },
	{ "nvmlDeviceGetEccMode", CALL_PAIR, 0, AS_NUMBER, 1, AT(nv.ecc), 0, SELDOM },
	{ "nvmlDeviceGetVirtualizationMode", CALL_U32, 0, AS_VIRTUALIZATION, 0,
	  AT(nv.virtualization), 0, SELDOM },
	{ "nvmlDeviceGetMigMode", CALL_PAIR, 0, AS_NUMBER, 1, AT(nv.mig_on), 0, SELDOM },
	{ "nvmlDeviceGetMaxMigDeviceCount", CALL_U32, 0, AS_NUMBER, 1, AT(nv.mig_max), 0, SELDOM },
};

/* nvmlClocksEventReasons: what holds the clocks down. Bit 0, idle, holds nothing back. */
#define IDLE 0x1ull
static const struct {
	unsigned long long bit;
	const char *name;
} throttles[] = {
	{ 0x2, "application clocks" }, { 0x4, "power limit" },
	{ 0x8, "hardware slowdown" },  { 0x10, "sync boost" },
	{ 0x20, "temperature" },       { 0x40, "hardware temperature" },
	{ 0x80, "power brake" },       { 0x100, "display clocks" },
};

/* nvmlGpuVirtualizationMode_t */
static const char *const virtualizations[] = { "none", "passthrough", "vGPU", "vGPU host",
					       "vSGA host" };

struct fact_text nvml_one_of(const char *const *names, size_t n, uint64_t v)
{
	return v < n ? fact_text_of(names[v], SRC_NVML) : fact_text_unknown(WHY_GARBLED);
}

static struct fact_text throttle_text(uint64_t bits)
{
	char buf[120];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	for (size_t i = 0; i < ARRAY_LEN(throttles); i++)
		if (bits & throttles[i].bit)
			text_add(&t, "%s%s", t.len ? ", " : "", throttles[i].name);
	return fact_text_of(t.len ? buf : bits & ~IDLE ? "other" : "none", SRC_NVML);
}

struct answer {
	nvml_return rc;
	uint64_t a, b;
	char text[NVML_TEXT_MAX + 1];
};

static struct answer call(void *lib, const struct query *q, nvml_device h)
{
	struct answer r = { .rc = NVML_NOT_THERE };
	unsigned two[2] = { 0 };
	unsigned long long wide = 0;
	void *f = dlsym(lib, q->symbol);

	if (!f)
		return r;
	switch (q->call) {
	case CALL_U32:
		r.rc = ((nvml_return(*)(nvml_device, unsigned *))f)(h, &two[0]);
		break;
	case CALL_ARG:
		r.rc = ((nvml_return(*)(nvml_device, int, unsigned *))f)(h, q->arg, &two[0]);
		break;
	case CALL_PAIR:
		r.rc = ((nvml_return(*)(nvml_device, unsigned *, unsigned *))f)(h, &two[0],
										&two[1]);
		break;
	case CALL_STRUCT:
		r.rc = ((nvml_return(*)(nvml_device, unsigned[2]))f)(h, two);
		break;
	case CALL_U64:
		r.rc = ((nvml_return(*)(nvml_device, unsigned long long *))f)(h, &wide);
		break;
	case CALL_CHARS:
		r.rc = ((nvml_return(*)(nvml_device, char *, unsigned))f)(h, r.text, NVML_TEXT_MAX);
		break;
	}
	r.a = q->call == CALL_U64 ? wide : two[0];
	r.b = two[1];
	return r;
}

struct fact nvml_number(uint64_t v, int64_t scale)
{
	int64_t scaled;

	if (v > INT64_MAX || __builtin_mul_overflow((int64_t)v, scale, &scaled))
		return fact_unknown(WHY_GARBLED);
	return fact_of(scaled, SRC_NVML);
}

static struct fact_text as_text(const struct query *q, const struct answer *r)
{
	char buf[48];

	switch (q->shape) {
	case AS_ARCH:
		snprintf(buf, sizeof(buf), "sm_%u%u", (unsigned)r->a, (unsigned)r->b);
		return r->a ? fact_text_of(buf, SRC_NVML) : fact_text_unknown(WHY_GARBLED);
	case AS_PSTATE:
		snprintf(buf, sizeof(buf), "P%u", (unsigned)r->a);
		/* 32 is the library's own word for unknown. */
		return r->a < 16 ? fact_text_of(buf, SRC_NVML)
				 : fact_text_unknown(WHY_NOT_EXPORTED);
	case AS_THROTTLE:
		return throttle_text(r->a);
	case AS_VIRTUALIZATION:
		return nvml_one_of(virtualizations, ARRAY_LEN(virtualizations), r->a);
	default:
		return r->text[0] ? fact_text_of(r->text, SRC_NVML)
				  : fact_text_unknown(WHY_NOT_EXPORTED);
	}
}

static void ask_row(void *lib, const struct query *q, nvml_device h, struct nvml_fn *fn)
{
	bool text = q->shape != AS_NUMBER;
	struct fact *f = (struct fact *)(void *)((char *)fn + q->to);
	struct fact_text *ft = (struct fact_text *)(void *)((char *)fn + q->to);

	if (text ? fact_text_known(ft) : fact_known(f))
		return;
	struct answer r = call(lib, q, h);

	if (text)
		*ft = r.rc ? fact_text_unknown(nvml_why(r.rc)) : as_text(q, &r);
	else
		*f = r.rc ? fact_unknown(nvml_why(r.rc)) : nvml_number(r.a, q->scale);
	if (q->to2)
		*(struct fact *)(void *)((char *)fn + q->to2) = r.rc ? fact_unknown(nvml_why(r.rc))
								     : nvml_number(r.b, q->scale);
}

/* As it was when it was asked last. */
static void keep_row(const struct query *q, const struct nvml_fn *before, struct nvml_fn *fn)
{
	const char *from = (const char *)before;
	char *to = (char *)fn;

	memcpy(to + q->to, from + q->to,
	       q->shape == AS_NUMBER ? sizeof(struct fact) : sizeof(struct fact_text));
	if (q->to2)
		memcpy(to + q->to2, from + q->to2, sizeof(struct fact));
}

void nvml_ask_rows(void *lib, nvml_device h, const struct nvml_fn *before, struct nvml_fn *fn)
{
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		if (before && queries[i].pace == SELDOM)
			keep_row(&queries[i], before, fn);
		else
			ask_row(lib, &queries[i], h, fn);
	}
}
