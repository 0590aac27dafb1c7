/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's management library, inside the child: it may be absent, hang with its driver, or crash, and
 * while it is open its devices cannot sleep. Devices are found by PCI address, never by index.
 *
 * What one call tells is a table (nvml_table.c); the rest is here. The types below restate the documented
 * binary interface (NVML API Reference, r418 to r590), so that no header of NVIDIA's is needed.
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

#define SELDOM_NS UINT64_C(60000000000) /* between questions for what hardly ever changes */

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

/* --- memory ------------------------------------------------------------------------------------------ */

/* nvmlDeviceAddressingModeType_t */
#define ADDRESSING_ATS 2
static const char *const addressings[] = { "none", "HMM", "ATS" };

/* Chips without memory of their own, whatever the driver says of the addressing (nvtop issue 466). */
static const char *const unified_names[] = { "GB10", "Orin", "Thor", "Xavier", "Tegra" };

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
			       : nvml_one_of(addressings, ARRAY_LEN(addressings), m.mode);
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
	return v->value_type == 1 && v->v.u ? nvml_number(v->v.u, 1000)
					    : fact_unknown(WHY_NOT_EXPORTED);
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
	size_t stride = stride_of(buf, (size_t)n * STRIDE_MAX + 1, n);

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
	nvml_return (*f)(nvml_device, unsigned *) = dlsym(lib, name);
	unsigned id = 0;
	nvml_return rc = f ? f(h, &id) : NVML_NOT_THERE;

	return rc ? fact_unknown(nvml_why(rc)) : nvml_number(id, 1);
}

static nvml_return ask_text(void *lib, const char *name, nvml_device h,
			    char text[NVML_TEXT_MAX + 1])
{
	nvml_return (*f)(nvml_device, char *, unsigned) = dlsym(lib, name);

	memset(text, 0, NVML_TEXT_MAX + 1);
	return f ? f(h, text, NVML_TEXT_MAX) : NVML_NOT_THERE;
}

/* The profile is the end of the name: "NVIDIA A100-SXM4-40GB MIG 3g.20gb". */
static struct fact_text profile_of(nvml_return rc, const char *name)
{
	const char *at = rc ? NULL : strstr(name, " MIG ");

	if (at)
		return fact_text_of(at + strlen(" MIG "), SRC_NVML);
	return fact_text_unknown(rc ? nvml_why(rc) : WHY_NOT_EXPORTED);
}

static void ask_mig(void *lib, nvml_device h, struct mig *mig)
{
	char text[NVML_TEXT_MAX + 1];
	nvml_return rc = ask_text(lib, "nvmlDeviceGetUUID", h, text);
	struct memory m;

	mig->uuid = rc ? fact_text_unknown(nvml_why(rc)) : fact_text_of(text, SRC_NVML);
	rc = ask_text(lib, "nvmlDeviceGetName", h, text);
	mig->profile = profile_of(rc, text);
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

/* A device, from round to round. */
struct card {
	struct flow flow;
	struct nvml_fn told; /* zeroed at first */
	uint64_t
		whole_ns; /* when all of it was asked; 0: it was not, or what was said may be wrong by now */
};

/* Its mode was changed, ECC or MIG, perhaps: then it has another size, or others may use it. */
static bool may_be_another(const struct nvml_fn *fn, const struct nvml_fn *told)
{
	bool another = fn->vram_total.v != told->vram_total.v || fn->n_procs != told->n_procs;

	for (uint32_t i = 0; !another && i < fn->n_procs; i++)
		another = fn->procs[i].pid != told->procs[i].pid;
	return another;
}

static void ask_device(void *lib, nvml_device h, struct card *card, struct nvml_fn *fn)
{
	const uint64_t now = clock_ns();
	const struct nvml_fn *before = card->whole_ns && now - card->whole_ns < SELDOM_NS
					       ? &card->told
					       : NULL;

	nvml_ask_rows(lib, h, before, fn);
	if (before)
		fn->nv.addressing = before->nv.addressing;
	else
		ask_addressing(lib, h, fn);
	ask_memories(lib, h, fn);
	ask_fields(lib, h, fn, &card->flow);
	ask_migs(lib, h, fn);
	ask_holders(lib, h, fn);
	if (fn->vram_total.why == WHY_LOST || (before && may_be_another(fn, before)))
		card->whole_ns = 0; /* in the next round all is asked */
	else if (!before)
		card->whole_ns = now;
}

/* The record's length and its bytes, in one write: nobody is left waiting in the middle. Drops it. */
static void send(int to, json_t *o)
{
	own_free char *text = json_dumps(o, JSON_COMPACT);
	uint32_t n = text ? (uint32_t)strlen(text) : 0;
	own_free char *record = malloc(sizeof(n) + n);

	json_decref(o);
	if (!record)
		_exit(1);
	memcpy(record, &n, sizeof(n));
	if (n)
		memcpy(record + sizeof(n), text, n);
	child_send(to, record, sizeof(n) + n);
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

static void ask_round(int to, const struct nvml_question *q, void *lib, struct card *cards)
{
	for (uint32_t i = 0; i < q->n; i++) {
		struct nvml_fn fn = { 0 };
		nvml_device h = NULL;
		nvml_return rc = nvml_find(lib, q->pci[i], &h);

		text_copy(fn.pci, sizeof(fn.pci), q->pci[i]);
		nvml_fn_unknown(&fn, rc ? nvml_why(rc) : WHY_NOT_EXPORTED);
		if (rc)
			cards[i].whole_ns = 0;
		else
			ask_device(lib, h, &cards[i], &fn);
		nvml_fn_check(&fn);
		send(to, nvml_fn_change(&fn, &cards[i].told));
		cards[i].told = fn;
	}
}

/* No nvmlShutdown afterwards: the end of the process closes the driver's files. */
void nvml_work(int to, void *question)
{
	const struct nvml_question *q = question;
	void *lib = nvml_open();
	bool able = lib && dlsym(lib, "nvmlDeviceGetHandleByPciBusId_v2");
	enum why why = able ? nvml_start(lib) : WHY_NO_LIBRARY;
	own_free struct card *cards = calloc(q->n ? q->n : 1, sizeof(*cards));
	char asked;

	if (!cards)
		return;
	send(to, about_library(lib, why));
	if (why)
		return;
	if (!q->again)
		ask_round(to, q, lib, cards);
	while (q->again && read(q->again, &asked, 1) == 1)
		ask_round(to, q, lib, cards);
}
