/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's management library, inside the child: it may be absent, hang with its driver, or crash, and
 * while it is open its devices cannot sleep. Devices are found by PCI address, never by index.
 *
 * What is asked is a table; a symbol that this library lacks answers as if the driver did not know. The
 * types below restate the documented binary interface (NVML API Reference, r418 to r590), so that no
 * header of NVIDIA's is needed.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/own.h"
#include "probe/nvml_lib_priv.h"
#include "probe/probe_priv.h"

#define NVML_TEXT_MAX 96 /* the largest of the documented buffers: UUID and name, second version */

struct memory_v2 {
	unsigned version; /* size of the struct | 2 << 24 */
	unsigned long long total, reserved, free, used;
};

struct memory_v1 {
	unsigned long long total, free, used; /* used includes what the driver reserves */
};

struct bar1_memory {
	unsigned long long total, free, used;
};

struct addressing_mode {
	unsigned version; /* size of the struct | 1 << 24 */
	unsigned mode;
};

struct field_value {
	unsigned field, scope;
	long long timestamp, latency_us;
	int value_type; /* 0 double, 1 unsigned, 2 unsigned long, 3 unsigned long long, 4 long long */
	nvml_return rc;
	union {
		double d;
		unsigned u;
		unsigned long long ull;
	} v;
};

/* What was meant by a process has changed under one name: see stride_of. */
struct process {
	unsigned pid;
	unsigned long long bytes;
};

_Static_assert(sizeof(struct memory_v2) == 40, "nvmlMemory_v2_t");
_Static_assert(sizeof(struct memory_v1) == 24, "nvmlMemory_t");
_Static_assert(sizeof(struct bar1_memory) == 24, "nvmlBAR1Memory_t");
_Static_assert(sizeof(struct field_value) == 40, "nvmlFieldValue_t");
_Static_assert(sizeof(struct process) == 16, "nvmlProcessInfo_v1_t");

/* --- numbers and texts by table --------------------------------------------------------------------- */

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

struct query {
	const char *symbol;
	enum call call;
	int arg;
	enum shape shape;
	int64_t scale;
	size_t to, to2; /* members of struct nvml_fn; to2 of the second number, 0: dropped */
};

#define AT(member) offsetof(struct nvml_fn, member)

/* A row whose member is known already is skipped: the newer name comes before the older one. */
static const struct query queries[] = {
	{ "nvmlDeviceGetUUID", CALL_CHARS, 0, AS_TEXT, 0, AT(uuid), 0 },
	{ "nvmlDeviceGetName", CALL_CHARS, 0, AS_TEXT, 0, AT(name), 0 },
	{ "nvmlDeviceGetSerial", CALL_CHARS, 0, AS_TEXT, 0, AT(serial), 0 },
	{ "nvmlDeviceGetVbiosVersion", CALL_CHARS, 0, AS_TEXT, 0, AT(vbios), 0 },
	{ "nvmlDeviceGetCudaComputeCapability", CALL_PAIR, 0, AS_ARCH, 0, AT(arch), 0 },
	{ "nvmlDeviceGetMinorNumber", CALL_U32, 0, AS_NUMBER, 1, AT(minor), 0 },
	{ "nvmlDeviceGetPowerUsage", CALL_U32, 0, AS_NUMBER, 1, AT(power_mw), 0 },
	{ "nvmlDeviceGetEnforcedPowerLimit", CALL_U32, 0, AS_NUMBER, 1, AT(power_cap_mw), 0 },
	{ "nvmlDeviceGetPowerManagementDefaultLimit", CALL_U32, 0, AS_NUMBER, 1,
	  AT(live.power_cap_default_mw), 0 },
	{ "nvmlDeviceGetPowerManagementLimitConstraints", CALL_PAIR, 0, AS_NUMBER, 1,
	  AT(live.power_cap_min_mw), AT(live.power_cap_max_mw) },
	/* millijoules */
	{ "nvmlDeviceGetTotalEnergyConsumption", CALL_U64, 0, AS_NUMBER, 1000, AT(live.energy_uj),
	  0 },
	/* sensor 0 is the chip; degrees */
	{ "nvmlDeviceGetTemperature", CALL_ARG, 0, AS_NUMBER, 1000, AT(temp_mc), 0 },
	/* threshold 3: where it goes below its base clock; 1: where the hardware slows it down */
	{ "nvmlDeviceGetTemperatureThreshold", CALL_ARG, 3, AS_NUMBER, 1000, AT(live.temp_limit_mc),
	  0 },
	{ "nvmlDeviceGetTemperatureThreshold", CALL_ARG, 1, AS_NUMBER, 1000, AT(live.temp_limit_mc),
	  0 },
	{ "nvmlDeviceGetFanSpeed", CALL_U32, 0, AS_NUMBER, 1, AT(live.fan_percent), 0 },
	{ "nvmlDeviceGetUtilizationRates", CALL_STRUCT, 0, AS_NUMBER, 1, AT(busy_percent),
	  AT(live.mem_busy_percent) },
	/* clock 0 is graphics, 2 is memory */
	{ "nvmlDeviceGetClockInfo", CALL_ARG, 0, AS_NUMBER, 1, AT(live.core_mhz), 0 },
	{ "nvmlDeviceGetMaxClockInfo", CALL_ARG, 0, AS_NUMBER, 1, AT(live.core_max_mhz), 0 },
	{ "nvmlDeviceGetClockInfo", CALL_ARG, 2, AS_NUMBER, 1, AT(live.mem_mhz), 0 },
	{ "nvmlDeviceGetMaxClockInfo", CALL_ARG, 2, AS_NUMBER, 1, AT(live.mem_max_mhz), 0 },
	{ "nvmlDeviceGetPerformanceState", CALL_U32, 0, AS_PSTATE, 0, AT(live.perf_state), 0 },
	/* renamed in r535 */
	{ "nvmlDeviceGetCurrentClocksEventReasons", CALL_U64, 0, AS_THROTTLE, 0, AT(live.throttle),
	  0 },
	{ "nvmlDeviceGetCurrentClocksThrottleReasons", CALL_U64, 0, AS_THROTTLE, 0,
	  AT(live.throttle), 0 },
	{ "nvmlDeviceGetCurrPcieLinkGeneration", CALL_U32, 0, AS_NUMBER, 1, AT(nv.pcie_gen), 0 },
	{ "nvmlDeviceGetCurrPcieLinkWidth", CALL_U32, 0, AS_NUMBER, 1, AT(nv.pcie_width), 0 },
	{ "nvmlDeviceGetMaxPcieLinkGeneration", CALL_U32, 0, AS_NUMBER, 1, AT(nv.pcie_max_gen), 0 },
	{ "nvmlDeviceGetMaxPcieLinkWidth", CALL_U32, 0, AS_NUMBER, 1, AT(nv.pcie_max_width), 0 },
	{ "nvmlDeviceGetEccMode", CALL_PAIR, 0, AS_NUMBER, 1, AT(nv.ecc), 0 },
	{ "nvmlDeviceGetVirtualizationMode", CALL_U32, 0, AS_VIRTUALIZATION, 0,
	  AT(nv.virtualization), 0 },
	{ "nvmlDeviceGetMigMode", CALL_PAIR, 0, AS_NUMBER, 1, AT(nv.mig_on), 0 },
	{ "nvmlDeviceGetMaxMigDeviceCount", CALL_U32, 0, AS_NUMBER, 1, AT(nv.mig_max), 0 },
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

/* nvmlDeviceAddressingModeType_t */
#define ADDRESSING_ATS 2
static const char *const addressings[] = { "none", "HMM", "ATS" };

/* Chips without memory of their own, whatever the driver says of the addressing (nvtop issue 466). */
static const char *const unified_names[] = { "GB10", "Orin", "Thor", "Xavier", "Tegra" };

static struct fact_text one_of(const char *const *names, size_t n, uint64_t v)
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

static struct fact number(uint64_t v, int64_t scale)
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
		return one_of(virtualizations, ARRAY_LEN(virtualizations), r->a);
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
		*f = r.rc ? fact_unknown(nvml_why(r.rc)) : number(r.a, q->scale);
	if (q->to2)
		*(struct fact *)(void *)((char *)fn + q->to2) = r.rc ? fact_unknown(nvml_why(r.rc))
								     : number(r.b, q->scale);
}

/* --- memory ------------------------------------------------------------------------------------------ */

struct memory {
	struct fact total, used, free, reserved;
};

static struct memory memory_unknown(enum why why)
{
	const struct fact no = fact_unknown(why);

	return (struct memory) { no, no, no, no };
}

static struct memory memory_of(uint64_t total, uint64_t free_bytes)
{
	if (free_bytes > total || total > INT64_MAX)
		return memory_unknown(WHY_GARBLED);
	/* What the driver reserves cannot be had either: used is everything that is not free. */
	return (struct memory) { .total = fact_of((int64_t)total, SRC_NVML),
				 .free = fact_of((int64_t)free_bytes, SRC_NVML),
				 .used = fact_of((int64_t)(total - free_bytes), SRC_NVML),
				 .reserved = fact_unknown(WHY_NOT_EXPORTED) };
}

static nvml_return ask_memory(void *lib, nvml_device h, struct memory *m)
{
	nvml_return (*f2)(nvml_device, struct memory_v2 *) = dlsym(lib,
								   "nvmlDeviceGetMemoryInfo_v2");
	nvml_return (*f1)(nvml_device, struct memory_v1 *) = dlsym(lib, "nvmlDeviceGetMemoryInfo");
	struct memory_v2 v2 = { .version = sizeof(v2) | 2u << 24 };
	struct memory_v1 v1 = { 0 };
	nvml_return rc = f2 ? f2(h, &v2) : NVML_NOT_THERE;

	if (rc == NVML_OK) {
		*m = memory_of(v2.total, v2.free);
		if (fact_known(&m->total) && v2.reserved <= v2.total)
			m->reserved = fact_of((int64_t)v2.reserved, SRC_NVML);
		return rc;
	}
	/* Drivers before r510 have only the first version. */
	if (nvml_why(rc) == WHY_NOT_EXPORTED && f1)
		rc = f1(h, &v1);
	*m = rc ? memory_unknown(nvml_why(rc)) : memory_of(v1.total, v1.free);
	return rc;
}

static void ask_addressing(void *lib, nvml_device h, struct nvml_fn *fn)
{
	nvml_return (*f)(nvml_device,
			 struct addressing_mode *) = dlsym(lib, "nvmlDeviceGetAddressingMode");
	struct addressing_mode m = { .version = sizeof(m) | 1u << 24 };
	nvml_return rc = f ? f(h, &m) : NVML_NOT_THERE;

	fn->nv.addressing = rc ? fact_text_unknown(nvml_why(rc))
			       : one_of(addressings, ARRAY_LEN(addressings), m.mode);
}

/* It works in the machine's RAM: it has no memory to report, and shares the host's page tables. */
static bool is_unified(const struct nvml_fn *fn)
{
	if (fact_text_known(&fn->nv.addressing) &&
	    strcmp(fn->nv.addressing.v, addressings[ADDRESSING_ATS]) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(unified_names); i++)
		if (fact_text_known(&fn->name) && strstr(fn->name.v, unified_names[i]))
			return true;
	return false;
}

static void ask_memories(void *lib, nvml_device h, struct nvml_fn *fn)
{
	nvml_return (*f)(nvml_device, struct bar1_memory *) = dlsym(lib,
								    "nvmlDeviceGetBAR1MemoryInfo");
	struct bar1_memory bar1 = { 0 };
	struct memory m;

	ask_addressing(lib, h, fn);
	if (ask_memory(lib, h, &m) == NVML_NOT_SUPPORTED && is_unified(fn))
		m = memory_unknown(WHY_NOT_APPLICABLE);
	fn->vram_total = m.total;
	fn->vram_used = m.used;
	fn->vram_free = m.free;
	fn->nv.vram_reserved = m.reserved;
	nvml_return rc = f ? f(h, &bar1) : NVML_NOT_THERE;

	m = rc ? memory_unknown(nvml_why(rc)) : memory_of(bar1.total, bar1.free);
	fn->bar1_total = m.total;
	fn->bar1_used = m.used;
}

/* --- field values: many in one call ------------------------------------------------------------------- */

/* NVML_FI_DEV_*; the last two from r530 on, each the bytes since a time of its own. */
enum { FIELD_MEMORY_TEMP = 82, FIELD_PCIE_TX = 197, FIELD_PCIE_RX = 198 };

/* What the counters of a device were in the round before. */
struct flow {
	bool known;
	uint64_t rx, tx, ns;
};

static struct fact memory_temp(nvml_return rc, const struct field_value *v)
{
	if (rc || v->rc)
		return fact_unknown(nvml_why(rc ? rc : v->rc));
	/* 0 degrees is what a card without the sensor says. */
	return v->value_type == 1 && v->v.u ? number(v->v.u, 1000) : fact_unknown(WHY_NOT_EXPORTED);
}

static bool counter(const struct field_value *v, uint64_t *to)
{
	*to = v->value_type == 1 ? v->v.u : v->v.ull;
	return !v->rc && v->value_type >= 1 && v->value_type <= 3;
}

static void ask_fields(void *lib, nvml_device h, struct nvml_fn *fn, struct flow *before)
{
	nvml_return (*f)(nvml_device, int,
			 struct field_value *) = dlsym(lib, "nvmlDeviceGetFieldValues");
	struct field_value v[] = {
		{ .field = FIELD_MEMORY_TEMP, .rc = NVML_NOT_SUPPORTED },
		{ .field = FIELD_PCIE_TX, .rc = NVML_NOT_SUPPORTED },
		{ .field = FIELD_PCIE_RX, .rc = NVML_NOT_SUPPORTED },
	};
	nvml_return rc = f ? f(h, ARRAY_LEN(v), v) : NVML_NOT_THERE;
	struct flow now = { .ns = clock_ns() };
	const double most = nvml_link_bytes_per_s(&fn->nv);

	/* Old libraries answer without a value. */
	fn->live.temp_memory_mc = memory_temp(rc, &v[0]);
	now.known = !rc && counter(&v[1], &now.tx) && counter(&v[2], &now.rx);
	if (now.known && before->known) {
		fn->live.pcie_tx_bytes_per_s = nvml_rate(before->tx, now.tx, now.ns - before->ns,
							 most);
		fn->live.pcie_rx_bytes_per_s = nvml_rate(before->rx, now.rx, now.ns - before->ns,
							 most);
	}
	*before = now;
}

/* --- processes --------------------------------------------------------------------------------------- */

#define PROCESSES_ASKED 256
#define STRIDE_MAX      32
#define POISON          0xa5

/*
 * The third version's record has 24 bytes, but 32 in drivers from 535.43 to 535.86 and 16 in others
 * (nvitop issues 79, 88 and 226): told by how far into poisoned memory the library wrote.
 */
static size_t stride_of(const unsigned char *buf, size_t size, unsigned n)
{
	static const size_t strides[] = { 16, 24, STRIDE_MAX };
	size_t end = size;

	while (end && buf[end - 1] == POISON)
		end--;
	for (size_t i = 0; i < ARRAY_LEN(strides); i++)
		if (end <= n * strides[i])
			return strides[i];
	return 0;
}

static void add_process(struct nvml_fn *fn, const struct process *p, bool compute)
{
	uint32_t i = 0;

	while (i < fn->n_procs && fn->procs[i].pid != p->pid)
		i++;
	if (i == NVML_PROCS_MAX)
		return;
	struct nvml_proc *to = &fn->procs[i];

	if (i == fn->n_procs) {
		fn->n_procs++;
		*to = (struct nvml_proc) { .pid = p->pid, .bytes = fact_unknown(WHY_NOT_EXPORTED) };
	}
	/* One that computes and draws is in both lists, with all its memory in each. */
	if (p->bytes <= INT64_MAX && (!fact_known(&to->bytes) || (int64_t)p->bytes > to->bytes.v))
		to->bytes = fact_of((int64_t)p->bytes, SRC_NVML);
	to->compute |= compute;
	to->graphics |= !compute;
}

static void ask_processes(void *lib, nvml_device h, struct nvml_fn *fn, const char *name,
			  bool compute)
{
	nvml_return (*f)(nvml_device, unsigned *, void *) = dlsym(lib, name);
	unsigned char buf[(PROCESSES_ASKED + 1) * STRIDE_MAX];
	unsigned n = PROCESSES_ASKED;

	memset(buf, POISON, sizeof(buf));
	if (!f || f(h, &n, buf) != NVML_OK || n > PROCESSES_ASKED)
		return;
	size_t stride = stride_of(buf, sizeof(buf), n);

	for (unsigned i = 0; stride && i < n; i++) {
		struct process p;

		memcpy(&p, buf + i * stride, sizeof(p));
		add_process(fn, &p, compute);
	}
}

static void ask_holders(void *lib, nvml_device h, struct nvml_fn *fn)
{
	ask_processes(lib, h, fn, "nvmlDeviceGetComputeRunningProcesses_v3", true);
	ask_processes(lib, h, fn, "nvmlDeviceGetGraphicsRunningProcesses_v3", false);
}

/* --- MIG --------------------------------------------------------------------------------------------- */

static struct fact ask_id(void *lib, const char *name, nvml_device h)
{
	const struct query q = { .symbol = name, .call = CALL_U32 };
	struct answer r = call(lib, &q, h);

	return r.rc ? fact_unknown(nvml_why(r.rc)) : number(r.a, 1);
}

/* The profile is the end of the name: "NVIDIA A100-SXM4-40GB MIG 3g.20gb". */
static struct fact_text profile_of(const struct answer *r)
{
	const char *at = r->rc ? NULL : strstr(r->text, " MIG ");

	if (at)
		return fact_text_of(at + strlen(" MIG "), SRC_NVML);
	return fact_text_unknown(r->rc ? nvml_why(r->rc) : WHY_NOT_EXPORTED);
}

static void ask_mig(void *lib, nvml_device h, struct mig *mig)
{
	const struct query uuid = { .symbol = "nvmlDeviceGetUUID", .call = CALL_CHARS };
	const struct query name = { .symbol = "nvmlDeviceGetName", .call = CALL_CHARS };
	struct answer r = call(lib, &uuid, h);
	struct memory m;

	mig->uuid = r.rc ? fact_text_unknown(nvml_why(r.rc)) : fact_text_of(r.text, SRC_NVML);
	r = call(lib, &name, h);
	mig->profile = profile_of(&r);
	mig->gpu_instance = ask_id(lib, "nvmlDeviceGetGpuInstanceId", h);
	mig->compute_instance = ask_id(lib, "nvmlDeviceGetComputeInstanceId", h);
	ask_memory(lib, h, &m);
	mig->vram_total = m.total;
	mig->vram_used = m.used;
	mig->vram_free = m.free;
}

static void ask_migs(void *lib, nvml_device h, struct nvml_fn *fn)
{
	nvml_return (*f)(nvml_device, unsigned,
			 nvml_device *) = dlsym(lib, "nvmlDeviceGetMigDeviceHandleByIndex");
	int64_t max = fact_known(&fn->nv.mig_max) ? fn->nv.mig_max.v : MIG_MAX;

	if (!f || !fact_known(&fn->nv.mig_on) || fn->nv.mig_on.v != 1)
		return;
	/* Indices have gaps where no instance was made. */
	for (unsigned i = 0; i < max && i < 64 && fn->nv.n_migs < MIG_MAX; i++) {
		nvml_device mig = NULL;

		if (f(h, i, &mig) != NVML_OK)
			continue;
		ask_mig(lib, mig, &fn->nv.migs[fn->nv.n_migs++]);
		/* The whole card's list is for root alone in this mode. */
		ask_holders(lib, mig, fn);
	}
}

/* --- the child's work ---------------------------------------------------------------------------------- */

static void ask_device(void *lib, nvml_device h, struct nvml_fn *fn, struct flow *flow)
{
	for (size_t i = 0; i < ARRAY_LEN(queries); i++)
		ask_row(lib, &queries[i], h, fn);
	ask_memories(lib, h, fn);
	ask_fields(lib, h, fn, flow);
	ask_migs(lib, h, fn);
	ask_holders(lib, h, fn);
}

/* The record's length, then its bytes; drops it. */
static void send(int to, json_t *o)
{
	own_free char *text = json_dumps(o, JSON_COMPACT);
	uint32_t n = text ? (uint32_t)strlen(text) : 0;

	json_decref(o);
	child_send(to, &n, sizeof(n));
	child_send(to, text, n);
}

static json_t *about_library(void *lib, enum why why)
{
	nvml_return (*f)(char *, unsigned) = why ? NULL : dlsym(lib, "nvmlSystemGetDriverVersion");
	char buf[NVML_TEXT_MAX + 1] = "";
	nvml_return rc = f ? f(buf, NVML_TEXT_MAX) : NVML_NOT_THERE;
	struct fact_text version = rc ? fact_text_unknown(why ? why : nvml_why(rc))
				      : fact_text_of(buf, SRC_NVML);
	json_t *o = json_object();

	json_put_text_or_null(o, "why", why ? why_name(why) : "");
	json_put_fact_text(o, "driver_version", &version);
	return o;
}

static void ask_round(int to, const struct nvml_question *q, void *lib, struct flow *flows)
{
	for (uint32_t i = 0; i < q->n; i++) {
		struct nvml_fn fn = { 0 };
		nvml_device h = NULL;
		nvml_return rc = nvml_find(lib, q->pci[i], &h);

		nvml_fn_unknown(&fn, rc ? nvml_why(rc) : WHY_NOT_EXPORTED);
		if (!rc)
			ask_device(lib, h, &fn, &flows[i]);
		json_t *o = nvml_fn_to_json(&fn, true);

		json_put_text(o, "pci", q->pci[i]);
		send(to, o);
	}
}

/* No nvmlShutdown afterwards: the end of the process closes the driver's files. */
void nvml_work(int to, void *question)
{
	const struct nvml_question *q = question;
	void *lib = nvml_open();
	bool able = lib && dlsym(lib, "nvmlDeviceGetHandleByPciBusId_v2");
	enum why why = able ? nvml_start(lib) : WHY_NO_LIBRARY;
	own_free struct flow *flows = calloc(q->n ? q->n : 1, sizeof(*flows));
	char asked;

	if (!flows)
		return;
	send(to, about_library(lib, why));
	if (why)
		return;
	if (!q->again)
		ask_round(to, q, lib, flows);
	while (q->again && read(q->again, &asked, 1) == 1)
		ask_round(to, q, lib, flows);
}
